#![allow(unsafe_code, reason = "makes the `Cpu` of a frame; the promises are answered where it is made")]
//! What executes an invocation: its stack, what it waits for, and the error it ends with.
//!
//! Lives here: [`Machine`] (begin, results, errors) and [`Environment`] (what it runs in). Not here: the dispatch loop
//! (`interpret.rs`), calls (`ops/call.rs`), scheduling and blocking (`invocation.rs`).
//!
//! Invariant that the `Cpu`s rely on: every frame on the stack was pushed by [`Machine::push_bytecode`]
//! with a module index and function ordinal that name a bytecode function in every environment in which the machine
//! runs: a context's list of modules only grows.

use std::cell::Cell;
use std::sync::Arc;

use weft_sync::{CancelToken, Result, Status};

use crate::cpu::{Bounds, Cpu};
use crate::direct_call::HostBanks;
use crate::isa::{Kind, Register};
use crate::module::FunctionImage;
use crate::native::{NativeModule, ResumeCall, U16List, Wait};
use crate::ops::control::{budget_spent, cancelled};
use crate::reference::Ref;
use crate::stack::{Frame, Stack};
use crate::state::{BytecodeState, Linked, ModuleState};
use crate::types::Instance;
use crate::value::Value;

/// What an invocation runs in, for as long as it runs without suspending.
pub(crate) struct Environment<'a> {
    pub instance: &'a Instance,
    /// The modules of the context; frames name them by index.
    pub modules: &'a [Arc<Linked>],
    /// Whether the gate of the context is held exclusively, so that globals may be stored.
    pub exclusive: bool,
    /// Ends the invocation from outside. Native functions pass it on to what they begin.
    pub cancel: Option<&'a CancelToken>,
}

impl<'a> Environment<'a> {
    /// The module of a bytecode frame.
    #[inline]
    pub fn bytecode(&self, module: u32) -> &'a BytecodeState {
        self.modules[module as usize].bytecode().expect("bytecode frames name bytecode modules")
    }

    /// The module of a native frame.
    pub fn native(&self, module: u32) -> Option<&'a Arc<NativeModule>> {
        match &self.modules[module as usize].state {
            ModuleState::Native(state) => Some(&state.module),
            ModuleState::Bytecode(_) => None,
        }
    }

    #[inline]
    pub fn check_cancelled(&self) -> Result<()> {
        match self.cancel {
            Some(token) if token.is_cancelled() => Err(cancelled()),
            _ => Ok(()),
        }
    }
}

/// Why an invocation does not run, and how it goes on.
pub(crate) struct Suspension {
    /// What it waits for; `None`: nothing, others should run first.
    pub wait: Option<Wait>,
    /// The native call that it is in; `None` for `yield`, and for calls that are not asked again.
    pub call: Option<SuspendedCall>,
}

/// A native call that has not finished.
pub(crate) struct SuspendedCall {
    pub resume: ResumeCall,
    /// The function, for messages.
    pub module: u32,
    pub export: u32,
}

/// Frames, registers and pending work of one invocation. Idle machines are reused.
#[derive(Default)]
pub(crate) struct Machine {
    pub stack: Stack,
    /// Set while the invocation is suspended.
    pub suspension: Option<Suspension>,
    /// Registers of a native function that the host called itself.
    pub host: HostBanks,
    /// References on their way from one frame to another.
    pub transfer: Vec<Option<Ref>>,
    /// Branches and calls that may still be taken; `None`: as many as it likes.
    pub budget: Option<u64>,
    /// The native function that just failed, for the backtrace: it has no frame of its own.
    pub failed_native: Option<(u32, u32)>,
}

/// How many branches and calls may pass before cancellation and budget are looked at.
const FUEL_MAX: u32 = 4096;

thread_local! {
    /// The last machine that became idle on this thread.
    static IDLE: Cell<Option<Box<Machine>>> = const { Cell::new(None) };
}

impl Machine {
    /// An idle machine of this thread, or a new one.
    pub fn acquire() -> Box<Machine> {
        // A thread that is ending keeps none.
        IDLE.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// Gives a machine back after an invocation, its frames released.
    pub fn release(mut self: Box<Self>) {
        self.reset();
        if self.stack.is_worth_keeping() {
            // Dropped if the thread is ending.
            let _ = IDLE.try_with(|idle| idle.set(Some(self)));
        }
    }

    /// Releases everything from the inside out: the native call that was pending, then frames.
    pub fn reset(&mut self) {
        self.suspension = None;
        self.stack.unwind();
        self.transfer.clear();
        self.host.clear();
        self.budget = None;
        self.failed_native = None;
    }

    /// Begins a bytecode function: pushes its frame with the arguments, whose number and kinds are checked.
    pub fn begin_bytecode(
        &mut self,
        instance: &Instance,
        state: &BytecodeState,
        module: u32,
        function: u32,
        arguments: &[Value],
    ) -> Result<()> {
        let image = state.module.function(function);
        self.push_bytecode(instance, image, module, function)?;
        let mut cpu = self.top_cpu(state);
        let registers = image.arguments.iter();
        for (&(kind, register), argument) in registers.zip(arguments) {
            put_argument(&mut cpu, kind, register, argument);
        }
        Ok(())
    }

    /// Pushes a frame of a bytecode function.
    #[inline(always)]
    pub fn push_bytecode(
        &mut self,
        instance: &Instance,
        image: &FunctionImage,
        module: u32,
        function: u32,
    ) -> Result<()> {
        let frame = Frame {
            module,
            function,
            code: image.code,
            size: image.size,
            values: 0,
            refs: 0,
            pc: 0,
            results: 0,
            // After the marker of the entry block.
            next: 1,
        };
        self.stack.push(frame, instance.options().stack_bytes_max)
    }

    /// The `Cpu` of the last frame, where it goes on.
    #[inline]
    pub fn top_cpu(&mut self, state: &BytecodeState) -> Cpu {
        let frame = *self.stack.top().expect("a frame to run");
        self.cpu(&frame, state, frame.next)
    }

    /// The `Cpu` of a frame whose module is `state`, at `pc`.
    #[inline(always)]
    pub fn cpu(&mut self, frame: &Frame, state: &BytecodeState, pc: u32) -> Cpu {
        let (values, refs) = self.stack.banks(frame);
        let code = state.module.running().address(frame.code);
        let bounds = Bounds {
            code: state.module.function(frame.function).code_length,
            values: usize::from(frame.size.values),
            refs: usize::from(frame.size.refs),
        };
        // SAFETY: 1: the prepared code of a verified function, which its module keeps where it is; `pc` is 1
        // (the entry block), or was noted by an instruction as its own or as its successor (`Frame::pc`,
        // `Frame::next`). 2: the frame was pushed with the size of this function, and frames do not overlap;
        // whoever pushes or pops makes a new `Cpu` afterwards. 3 and 4 are the dispatch loop's.
        unsafe { Cpu::new(code, pc, values, refs, bounds) }
    }

    /// What a finished bytecode function returns: the list of its `return`, converted by kind. The frame stays.
    pub fn take_results(&mut self, state: &BytecodeState, results: &mut Vec<Value>) {
        let frame = *self.stack.top().expect("the frame that returned");
        let mut cpu = self.cpu(&frame, state, frame.pc);
        let kinds = &state.module.function(frame.function).results;
        // The frame is the outermost one: its operands are those of `return`, at the pc.
        let (list, _) = cpu.list(crate::ops::FIRST);
        for (index, kind) in kinds.iter().enumerate() {
            let value = take_result(&mut cpu, *kind, list, index, results);
            results.push(value);
        }
    }

    /// Fuel for the dispatch loop, unless the invocation is cancelled or its budget spent.
    #[inline]
    pub fn refuel(&mut self, environment: &Environment<'_>) -> Result<u32> {
        environment.check_cancelled()?;
        let Some(budget) = &mut self.budget else { return Ok(FUEL_MAX) };
        if *budget == 0 {
            budget_spent()?;
        }
        let fuel = (*budget).min(u64::from(FUEL_MAX)) as u32;
        *budget -= u64::from(fuel);
        Ok(fuel)
    }

    /// Notes where the running frame stands when it fails.
    #[cold]
    pub fn fail_at(&mut self, cpu: Cpu, status: Status) -> Status {
        if let Some(frame) = self.stack.top_mut() {
            frame.pc = cpu.pc();
        }
        status
    }
}

/// Writes one argument to its register. The kinds were checked by the caller.
fn put_argument(cpu: &mut Cpu, kind: Kind, register: u16, argument: &Value) {
    match kind {
        Kind::I32 => cpu.set_word(Register::value(register), argument.to_i64().unwrap_or(0) as u32),
        Kind::I64 => cpu.set_pair(Register::value(register), argument.to_i64().unwrap_or(0) as u64),
        Kind::F32 => cpu.set_word(Register::value(register), argument.to_f32().unwrap_or(0.0).to_bits()),
        Kind::F64 => cpu.set_pair(Register::value(register), argument.to_f64().unwrap_or(0.0).to_bits()),
        Kind::Ref => {
            let value = if let Value::Ref(reference) = argument { reference.clone() } else { None };
            cpu.set_ref(Register::reference(register), value);
        }
    }
}

fn take_result(cpu: &mut Cpu, kind: Kind, list: U16List<'_>, index: usize, before: &[Value]) -> Value {
    let register = Register(list.get(index));
    match kind {
        Kind::I32 => Value::I32(cpu.word(register) as i32),
        Kind::I64 => Value::I64(cpu.pair(register) as i64),
        Kind::F32 => Value::F32(f32::from_bits(cpu.word(register))),
        Kind::F64 => Value::F64(f64::from_bits(cpu.pair(register))),
        Kind::Ref => match cpu.fetch(register) {
            Some(reference) => Value::Ref(Some(reference)),
            // Perhaps moved out by an earlier entry of the same list, which all see the same registers.
            None => {
                moved_before(list, index, register).map_or(Value::NULL, |earlier| before[earlier].clone())
            }
        },
    }
}

/// The entry before `index` that moved the same register, if there is one.
pub(crate) fn moved_before(list: U16List<'_>, index: usize, register: Register) -> Option<usize> {
    (0..index).find(|&earlier| {
        let earlier = Register(list.get(earlier));
        earlier.is_move() && earlier.ordinal() == register.ordinal()
    })
}
