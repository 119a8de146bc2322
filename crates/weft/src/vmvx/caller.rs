#![allow(unsafe_code, reason = "lends the memory of a dispatch to bytecode for the time of one call")]
//! One context of an executable, and for each kernel its arguments, made once and used for every call (§5.3).
//!
//! 1. Arguments are three references (local memory, push constants, list of bindings) and nine integers. The buffers
//!    are made once; a call lends them memory, and takes it back however the call ends.
//! 2. A kernel may take apart the list of its bindings: it is put right before the next call.
//! 3. A kernel that has kept a reference beyond its call is a failure, and the caller is given up. What it kept has no
//!    bytes from then on, so nothing dangles.

use std::sync::Arc;

use weft_cpu::loader::WorkgroupCall;
use weft_sync::{Result, Status, bail, status};
use weft_vm::{Buffer, Context, ElementType, Function, Linkage, List, Ref, Value};

use super::entries::Entry;

/// A context and what is needed to call kernels in it. Used by one thread at a time.
pub(super) struct Caller {
    kernels: Box<[Kernel]>,
    intact: bool,
}

/// One kernel and its arguments.
struct Kernel {
    function: Function,
    /// Local memory, push constants, bindings. All of them lendable buffers, held here, by `references` and by an
    /// argument or the list.
    buffers: Box<[Arc<Buffer>]>,
    references: Box<[Ref]>,
    list: Arc<List>,
    /// Rule 1, in order.
    arguments: [Value; 12],
    results: Vec<Value>,
}

/// Where the lent buffers are among those of a kernel.
const LOCAL_MEMORY: usize = 0;
const CONSTANTS: usize = 1;
const BINDINGS: usize = 2;
/// Where the first integer is among the arguments.
const INTEGERS: usize = 3;
/// How many references to each buffer, and to the list, this file holds: its own count, the untyped reference, and the
/// argument or element.
const BUFFER_COUNT: usize = 3;
const LIST_COUNT: usize = 2;

impl Caller {
    /// Makes the arguments of all kernels.
    pub fn new(context: &Arc<Context>, module: &str, entries: &[Entry]) -> Result<Caller> {
        let kernel = |entry: &Entry| {
            let function = context.function_at(module, Linkage::Internal, entry.function)?;
            Kernel::new(function, usize::from(entry.export.attributes.binding_count))
        };
        Ok(Caller { kernels: entries.iter().map(kernel).collect::<Result<_>>()?, intact: true })
    }

    /// Whether it may be used again.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Runs one workgroup.
    pub fn call(&mut self, call: &WorkgroupCall<'_>) -> Result<()> {
        let Some(kernel) = self.kernels.get_mut(call.ordinal() as usize) else {
            bail!(OutOfRange, "export {} of {}", call.ordinal(), self.kernels.len());
        };
        // Until the call is over: a panic in it must not leave a caller that looks usable.
        self.intact = false;
        let outcome = kernel.call(call);
        if let Some(kept) = kernel.find_kept() {
            return Err(kept);
        }
        self.intact = true;
        outcome
    }
}

impl Kernel {
    fn new(function: Function, binding_count: usize) -> Result<Kernel> {
        let writable = |index: usize| index != CONSTANTS;
        let buffers: Box<[_]> =
            (0..BINDINGS + binding_count).map(|index| Arc::new(Buffer::lendable(writable(index)))).collect();
        let references: Box<[_]> = buffers.iter().map(|buffer| Ref::new(buffer.clone())).collect();
        let list = Arc::new(List::new(ElementType::Ref(weft_vm::RefType::buffer()), binding_count)?);
        let mut arguments = [const { Value::I32(0) }; 12];
        arguments[LOCAL_MEMORY] = references[LOCAL_MEMORY].clone().into();
        arguments[CONSTANTS] = references[CONSTANTS].clone().into();
        arguments[BINDINGS] = Ref::new(list.clone()).into();
        let kernel = Kernel { function, buffers, references, list, arguments, results: Vec::new() };
        kernel.fill_list()?;
        Ok(kernel)
    }

    fn fill_list(&self) -> Result<()> {
        self.list.resize(0)?;
        self.references[BINDINGS..].iter().try_for_each(|reference| self.list.push(reference.clone().into()))
    }

    fn call(&mut self, call: &WorkgroupCall<'_>) -> Result<()> {
        let binding_count = self.buffers.len() - BINDINGS;
        if call.binding_count() != binding_count {
            bail!(Internal, "{} bindings for a kernel with {binding_count}", call.binding_count());
        }
        if !self.list.holds(&self.references[BINDINGS..]) {
            self.fill_list()?;
        }
        let numbers = [call.id(), call.size(), call.count()];
        for (argument, &number) in self.arguments[INTEGERS..].iter_mut().zip(numbers.as_flattened()) {
            // The bits: counts beyond 2³¹ are negative for the kernel.
            *argument = Value::I32(number as i32);
        }
        let loan = Loan(&self.buffers);
        loan.lend(call);
        self.function.invoke_unsuspended(&self.arguments, &mut self.results)
    }

    /// The failure if somebody else holds a reference to what was lent.
    fn find_kept(&self) -> Option<Status> {
        let is_kept = |buffer: &Arc<Buffer>| Arc::strong_count(buffer) > BUFFER_COUNT;
        if Arc::strong_count(&self.list) <= LIST_COUNT && !self.buffers.iter().any(is_kept) {
            return None;
        }
        Some(status!(Internal, "the kernel kept a reference to memory that was lent for one call"))
    }
}

/// Memory that is lent to these buffers, until dropped.
struct Loan<'a>(&'a [Arc<Buffer>]);

impl Loan<'_> {
    fn lend(&self, call: &WorkgroupCall<'_>) {
        let constants = call.constants();
        let bindings = (0..call.binding_count()).map(|index| call.binding(index));
        let memory =
            [call.local_memory(), (std::ptr::NonNull::from(constants).cast(), size_of_val(constants))];
        for (buffer, (address, length)) in self.0.iter().zip(memory.into_iter().chain(bindings)) {
            // SAFETY: valid until the call returns, which is after `self` is dropped; constants, the only read-only buffer,
            // are not written by anybody; others access bindings by the same bytecode, whose accesses are atomic, or
            // are ordered by the device. Borrows end with the functions of the VM that make them, before the invocation
            // is over. Only this thread uses the context, so only it can reach the buffers: kernels cannot pass
            // references to other contexts.
            unsafe { buffer.lend(address, length) };
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        for buffer in self.0 {
            buffer.take_back();
        }
    }
}
