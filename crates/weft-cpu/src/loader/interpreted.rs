//! Executables whose kernels are not machine code: somebody interprets them.
//!
//! What lives here: [`Interpreter`], which runs one workgroup; [`CpuExecutable::interpreted`], which presents it to
//! devices as if it were machine code; [`WorkgroupCall`], what it sees of a call. What does not: any interpreter, and
//! the loader that made it ([`Loader`](super::Loader), added by [`Loaders::push`](super::Loaders::push)).
//!
//! 1. Each export has an environment of its own, behind which its ordinal and the interpreter lie. So one function is
//!    the entry point of all of them, and nothing that records or runs dispatches knows that there is an interpreter.
//! 2. Calls come from any number of threads at once.
//! 3. A status of the interpreter is the status of the dispatch, with the name of the export added. A panic becomes
//!    INTERNAL; nothing unwinds into the device.
#![allow(
    unsafe_code,
    reason = "entered from the grid loop with raw pointers; turns them into borrowed views"
)]

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use weft_hal::ExecutableParams;
use weft_sync::{Result, bail};

use super::{LoadContext, publish};
use crate::abi::{
    BINDING_COUNT_MAX, CONSTANT_COUNT_MAX, DispatchState, Environment, KernelFunction, WorkgroupState,
};
use crate::executable::{self, CpuExecutable, EnvironmentOwner, Export, PartsByEntry};
use crate::native::{leave_panic, leave_status};

/// Something that runs workgroups of the exports of one executable.
pub trait Interpreter: Send + Sync + 'static {
    /// Runs one workgroup. Called concurrently from any worker; must not block.
    fn run(&self, call: &WorkgroupCall<'_>) -> Result<()>;
}

/// One call of one export.
///
/// The memory behind the pointers is valid for the call, local memory for this call alone. Other workgroups may access
/// bindings at the same time, so whoever accesses them without knowing what the kernel means has to do it atomically.
#[derive(Clone, Copy, Debug)]
pub struct WorkgroupCall<'a> {
    ordinal: u32,
    dispatch: &'a DispatchState,
    workgroup: &'a WorkgroupState,
}

impl<'a> WorkgroupCall<'a> {
    /// Which export.
    #[inline]
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Which workgroup: x, y, z.
    #[inline]
    pub fn id(&self) -> [u32; 3] {
        let state = self.workgroup;
        [state.workgroup_id_x, state.workgroup_id_y, u32::from(state.workgroup_id_z)]
    }

    /// The workgroup size, nowhere 0.
    #[inline]
    pub fn size(&self) -> [u32; 3] {
        let state = self.dispatch;
        [state.workgroup_size_x, state.workgroup_size_y, u32::from(state.workgroup_size_z)]
    }

    /// The grid.
    #[inline]
    pub fn count(&self) -> [u32; 3] {
        let state = self.dispatch;
        [state.workgroup_count_x, state.workgroup_count_y, u32::from(state.workgroup_count_z)]
    }

    /// Push constants; nobody writes them during the call.
    #[inline]
    pub fn constants(&self) -> &'a [u32] {
        match usize::from(self.dispatch.constant_count) {
            0 => &[],
            // SAFETY: the trampoline's caller gives a pointer that is valid for as many words, unchanged during the call.
            count => unsafe { std::slice::from_raw_parts(self.dispatch.constants, count) },
        }
    }

    /// Number of bindings.
    #[inline]
    pub fn binding_count(&self) -> usize {
        usize::from(self.dispatch.binding_count)
    }

    /// Address (aligned to 64) and length of a binding. Panics if there are not so many.
    #[inline]
    pub fn binding(&self, index: usize) -> (NonNull<u8>, usize) {
        assert!(index < self.binding_count(), "binding {index} of {}", self.binding_count());
        // SAFETY: the state has as many pointers and lengths as it says, and `index` is less.
        let at = unsafe { self.dispatch.binding_pointers.add(index) };
        // SAFETY: as above.
        let pointer = unsafe { *at };
        // SAFETY: as above.
        let at = unsafe { self.dispatch.binding_lengths.add(index) };
        // SAFETY: as above.
        let length = unsafe { *at };
        (NonNull::new(pointer.cast()).expect("devices check that bindings are not null"), length)
    }

    /// Address (aligned to 64) and length of the scratch memory of this call; dangling and 0 if there is none.
    #[inline]
    pub fn local_memory(&self) -> (NonNull<u8>, usize) {
        match NonNull::new(self.workgroup.local_memory.cast()) {
            Some(pointer) => (pointer, self.workgroup.local_memory_size as usize),
            None => (NonNull::<crate::abi::CacheLine<[u8; 64]>>::dangling().cast(), 0),
        }
    }
}

/// What lies behind the environment of one export.
struct Callee<I> {
    interpreter: Arc<I>,
    ordinal: u32,
}

impl CpuExecutable {
    /// An executable whose exports `interpreter` runs. OUT_OF_RANGE if one has more constants or bindings than a
    /// dispatch can carry.
    pub fn interpreted<I: Interpreter>(
        library: &str,
        exports: Vec<Export>,
        interpreter: Arc<I>,
        params: &ExecutableParams<'_>,
        context: &LoadContext,
    ) -> Result<CpuExecutable> {
        let mut entries: Vec<(KernelFunction, *const Environment)> = Vec::with_capacity(exports.len());
        let mut environments = Vec::with_capacity(exports.len());
        for (ordinal, export) in (0..).zip(&exports) {
            check_counts(export)?;
            let mut environment = EnvironmentOwner::new(&[], context.processor);
            environment.set_native_state(Arc::new(Callee { interpreter: Arc::clone(&interpreter), ordinal }));
            entries.push((run_interpreted::<I>, environment.as_ptr()));
            environments.push(environment);
        }
        let parts = PartsByEntry {
            library: library.into(),
            entries,
            exports,
            environment: publish::environment(params, context),
            code: Box::new(environments),
        };
        // SAFETY: the function is the trampoline for `I`; each environment has a callee with an `I` behind it and is kept as
        // `code`, and an `Interpreter` may be called from any thread.
        Ok(unsafe { CpuExecutable::assemble_by_entry(parts) })
    }
}

fn check_counts(export: &Export) -> Result<()> {
    let (constants, bindings) = (export.attributes.constant_count, export.attributes.binding_count);
    if usize::from(constants) > CONSTANT_COUNT_MAX || usize::from(bindings) > BINDING_COUNT_MAX {
        bail!(OutOfRange, "export `{}` asks for {constants} constants and {bindings} bindings", export.name);
    }
    Ok(())
}

crate::abi::psabi_fn! {
    /// Runs one workgroup of the export that the environment belongs to.
    ///
    /// # Safety
    /// As [`crate::dispatch::run_grid`] calls kernels, with an environment that `CpuExecutable::interpreted` made for `I`.
    unsafe fn run_interpreted[I: Interpreter](
        environment: *const Environment,
        dispatch: *const DispatchState,
        workgroup: *const WorkgroupState,
    ) -> c_int {
        // SAFETY: by the caller.
        let callee = unsafe { executable::native_state::<Callee<I>>(environment) };
        // SAFETY: by the caller, non-null, aligned, readable and unchanged during the call.
        let dispatch = unsafe { &*dispatch };
        // SAFETY: as above.
        let workgroup = unsafe { &*workgroup };
        let call = WorkgroupCall { ordinal: callee.ordinal, dispatch, workgroup };
        // Unwind safety: as for Rust kernels (`native/shim.rs`), what a panic leaves behind is the interpreter's business.
        match catch_unwind(AssertUnwindSafe(|| callee.interpreter.run(&call))) {
            Ok(Ok(())) => 0,
            Ok(Err(status)) => leave_status(environment, status),
            Err(panic) => leave_panic(environment, panic),
        }
    }
}
