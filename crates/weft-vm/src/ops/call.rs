//! Calls and returns (§13): between functions of a module, into other modules, into Rust.
//!
//! Arguments and results go from register to register; nothing is packed. Errors of imports get their trail here.

use weft_sync::{Result, Status, bail, status};

use super::{FIRST, SECOND};
use crate::cpu::Cpu;
use crate::isa::{IMPORT_BIT, Kind, Register};
use crate::machine::{Environment, Machine, SuspendedCall, Suspension, moved_before};
use crate::native::{CallSite, Outcome, Pending, ResultSlots, U16List};
use crate::reference::Ref;
use crate::stack::Frame;
use crate::state::{BytecodeState, ImportSlot, NativeTarget};

/// Where the interpreter goes after an instruction that may leave the frame.
pub(crate) enum Flow {
    /// On in the same frame, at this pc.
    Next(u32),
    /// On in another frame of the same module.
    Enter(Cpu),
    /// On in the frame that is now on top, of whatever module.
    Switch,
    /// The outermost function returned; its frame stays, with its results.
    Return,
    /// The invocation suspends.
    Suspend,
}

/// The fields of a call instruction.
struct Call<'a> {
    target: u32,
    segments: U16List<'a>,
    operands: U16List<'a>,
    /// Where the list of result registers is.
    results: u32,
    /// Where the caller goes on.
    next: u32,
}

impl<'a> Call<'a> {
    #[inline(always)]
    fn read<const VARIADIC: bool, const YIELDABLE: bool>(cpu: &Cpu) -> Call<'a> {
        let target = cpu.u32(FIRST);
        let (segments, at) = if VARIADIC { cpu.list(SECOND + 2) } else { (U16List::default(), SECOND + 2) };
        let (operands, at) = cpu.list(at);
        if YIELDABLE {
            // The results are the block's arguments.
            let next = cpu.target(at);
            return Call { target, segments, operands, results: cpu.pc() + at as u32 + 4, next };
        }
        let (_, end) = cpu.list(at);
        let (results, next) = (cpu.pc() + at as u32, cpu.pc() + end as u32);
        Call { target, segments, operands, results, next }
    }
}

impl Machine {
    /// `call`, `call.variadic` and their yieldable forms.
    #[inline(never)]
    pub fn call<const VARIADIC: bool, const YIELDABLE: bool>(
        &mut self,
        environment: &Environment<'_>,
        state: &BytecodeState,
        cpu: Cpu,
    ) -> Result<Flow> {
        let call = Call::read::<VARIADIC, YIELDABLE>(&cpu);
        if call.target & IMPORT_BIT == 0 {
            let module = self.stack.top().map_or(0, |frame| frame.module);
            return Ok(Flow::Enter(self.enter(
                environment,
                (state, cpu),
                (state, module, call.target),
                &call,
            )?));
        }
        let import = call.target & !IMPORT_BIT;
        match &state.imports[import as usize] {
            ImportSlot::Native(target) => {
                self.call_native::<VARIADIC, YIELDABLE>(environment, cpu, target, &call)
            }
            ImportSlot::Bytecode { module, function } => {
                let provider = environment.bytecode(*module);
                self.enter(environment, (state, cpu), (provider, *module, *function), &call)?;
                Ok(Flow::Switch)
            }
            ImportSlot::Unresolved => Err(unresolved(state, import)),
        }
    }

    /// Pushes the frame of a bytecode function and passes the arguments.
    #[inline(always)]
    fn enter(
        &mut self,
        environment: &Environment<'_>,
        (caller_state, caller): (&BytecodeState, Cpu),
        (state, module, function): (&BytecodeState, u32, u32),
        call: &Call<'_>,
    ) -> Result<Cpu> {
        let image = state.module.function(function);
        let Some(frame) = self.stack.top_mut() else { bail!(Internal, "a call without a frame") };
        (frame.pc, frame.results, frame.next) = (caller.pc(), call.results, call.next);
        let frame = *frame;
        self.push_bytecode(environment.instance, image, module, function)?;
        // The push may have moved the registers.
        let mut from = self.cpu(&frame, caller_state, frame.pc);
        let mut to = self.top_cpu(state);
        for (index, &(kind, register)) in image.arguments.iter().enumerate() {
            let source = Register(call.operands.get(index));
            if kind.is_ref() {
                let value = from.fetch(source);
                let value = value.or_else(|| argument_moved_before(&to, call.operands, index, image, source));
                to.set_ref(Register::reference(register), value);
            } else {
                from.copy_scalar(source, kind, &mut to, Register::value(register));
            }
        }
        Ok(to)
    }

    /// `return`: passes the results to the caller and pops the frame.
    #[inline(never)]
    pub fn leave(&mut self, environment: &Environment<'_>, state: &BytecodeState, cpu: Cpu) -> Flow {
        let [.., caller, frame] = self.stack.frames() else {
            if let Some(frame) = self.stack.top_mut() {
                frame.pc = cpu.pc();
            }
            return Flow::Return;
        };
        let (caller, frame) = (*caller, *frame);
        let same_module = caller.module == frame.module;
        let caller_state = if same_module { state } else { environment.bytecode(caller.module) };
        let image = state.module.function(frame.function);
        let (operands, _) = cpu.list(FIRST);
        let (mut from, mut to) = (cpu, self.cpu(&caller, caller_state, caller.next));
        let results = to.list_at_pc(caller.results);
        for (index, &kind) in image.results.iter().enumerate() {
            let source = Register(operands.get(index));
            if kind.is_ref() {
                let value = from.fetch(source).or_else(|| {
                    let earlier = moved_before(operands, index, source)?;
                    self.transfer[ref_index(&image.results, earlier)].clone()
                });
                self.transfer.push(value);
            } else {
                from.copy_scalar(source, kind, &mut to, Register(results.get(index)));
            }
        }
        // The frame is gone before the results arrive: what they replace goes last.
        self.stack.pop();
        let mut to = self.cpu(&caller, caller_state, caller.next);
        if image.returns_refs {
            let targets = image.results.iter().enumerate().filter(|(_, kind)| kind.is_ref());
            for ((index, _), value) in targets.zip(self.transfer.drain(..)) {
                to.set_ref(Register(results.get(index)), value);
            }
        }
        if same_module { Flow::Enter(to) } else { Flow::Switch }
    }

    #[inline]
    fn call_native<const VARIADIC: bool, const YIELDABLE: bool>(
        &mut self,
        environment: &Environment<'_>,
        mut cpu: Cpu,
        target: &NativeTarget,
        call: &Call<'_>,
    ) -> Result<Flow> {
        environment.check_cancelled()?;
        let results = cpu.list_at_pc(call.results);
        let Some(&Frame { size, .. }) = self.stack.top() else { bail!(Internal, "a call without a frame") };
        let (values, refs) = cpu.banks(usize::from(size.values), usize::from(size.refs));
        let (operands, segments) = (call.operands, call.segments);
        let Environment { instance, cancel, .. } = *environment;
        let mut site = CallSite { instance, cancel, values, refs, operands, segments, results };
        match (target.entry)(&*target.state, &mut site) {
            Ok(Outcome::Done) => Ok(Flow::Next(call.next)),
            Ok(Outcome::Pending(pending)) => {
                if let Some(frame) = self.stack.top_mut() {
                    (frame.pc, frame.results, frame.next) = (cpu.pc(), call.results, call.next);
                }
                self.suspend_call::<YIELDABLE>(pending, target, results.len())
            }
            Err(status) => {
                Err(self.native_failed(environment, target.module, target.export, VARIADIC, status))
            }
        }
    }

    /// An import deferred. Only yieldable calls ask it again; a plain call goes on after the wait, and has no place
    /// for results that do not exist yet.
    #[cold]
    fn suspend_call<const YIELDABLE: bool>(
        &mut self,
        pending: Pending,
        target: &NativeTarget,
        results: usize,
    ) -> Result<Flow> {
        let Pending { wait, resume } = pending;
        let call = SuspendedCall { resume, module: target.module, export: target.export };
        if YIELDABLE {
            self.suspension = Some(Suspension { wait, call: Some(call) });
        } else if results == 0 {
            self.suspension = Some(Suspension { wait, call: None });
        } else {
            bail!(
                Unimplemented,
                "an import with results suspended in a plain call; it needs `call.yieldable`"
            );
        }
        Ok(Flow::Suspend)
    }

    /// Goes on in the native call that the last frame is suspended in. `true`: it finished, the results are written.
    pub fn resume_call(
        &mut self,
        environment: &Environment<'_>,
        call: SuspendedCall,
        outcome: Result<()>,
    ) -> Result<bool> {
        let Some(frame) = self.stack.top().copied() else {
            bail!(Internal, "a suspended call without a frame")
        };
        let state = environment.bytecode(frame.module);
        let size = frame.size;
        let mut cpu = self.cpu(&frame, state, frame.pc);
        let results = cpu.list_at_pc(frame.results);
        let (values, refs) = cpu.banks(usize::from(size.values), usize::from(size.refs));
        let SuspendedCall { resume, module, export } = call;
        match resume(outcome, &mut ResultSlots::new(values, refs, results)) {
            Ok(Outcome::Done) => Ok(true),
            Ok(Outcome::Pending(Pending { wait, resume })) => {
                let call = Some(SuspendedCall { resume, module, export });
                self.suspension = Some(Suspension { wait, call });
                Ok(false)
            }
            Err(status) => Err(self.native_failed(environment, module, export, false, status)),
        }
    }

    #[cold]
    fn native_failed(
        &mut self,
        environment: &Environment<'_>,
        module: u32,
        export: u32,
        variadic: bool,
        status: Status,
    ) -> Status {
        self.failed_native = Some((module, export));
        let name = crate::backtrace::native_name(environment, module, export);
        let step = if variadic { "while calling variadic import" } else { "while calling import" };
        status.while_doing(format!("while invoking native function {name}")).while_doing(step)
    }
}

/// The value of an operand whose register an earlier operand of the same call moved: instructions read all operands
/// before they change any.
#[cold]
fn argument_moved_before(
    to: &Cpu,
    operands: U16List<'_>,
    index: usize,
    image: &crate::module::FunctionImage,
    source: Register,
) -> Option<Ref> {
    let earlier = moved_before(operands, index, source)?;
    to.reference(Register::reference(image.arguments[earlier].1)).cloned()
}

/// Which of the ref results entry `index` is.
fn ref_index(results: &[Kind], index: usize) -> usize {
    results[..index].iter().filter(|kind| kind.is_ref()).count()
}

#[cold]
fn unresolved(state: &BytecodeState, import: u32) -> Status {
    let name = &state.module.archive().imports[import as usize].full_name;
    status!(NotFound, "optional import `{name}` not resolved")
}
