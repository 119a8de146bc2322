//! The dispatch loop: one `match` over the opcodes, each arm one line that names its handler.
//!
//! Lives here: which opcode runs which handler, when cancellation and budget are looked at, where errors get their
//! place. Not here: what the handlers do (`ops/`), frames (`machine.rs`).
//!
//! The loop keeps the [`Cpu`] in a local that never has its address taken, so pc and banks stay in machine
//! registers: handlers that are not inlined get a copy.

use weft_sync::Result;

use crate::cpu::Cpu;
use crate::isa::CoreOp;
use crate::machine::{Environment, Machine, Suspension};
use crate::ops::call::Flow;
use crate::ops::global::{self, Global, indirect};
use crate::ops::{FIRST, FOURTH, SECOND, THIRD, control, float, int, list, memory, reference};
use crate::quicken::RunOp;
use crate::state::BytecodeState;
use crate::types::PrintKind;

/// How a run ended, failures aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The outermost function returned.
    Returned,
    /// The invocation is suspended; [`Machine::suspension`] says why.
    Suspended,
}

/// The length of an instruction all of whose fields have a fixed size.
pub(crate) const fn length(op: CoreOp) -> usize {
    match op.info().fixed_length() {
        Some(length) => length,
        None => panic!("the length of this instruction depends on its contents"),
    }
}

/// One `match` over the core set. Arms come in groups, by what has to happen around the handler:
/// * `plain`: cannot fail, then the next instruction;
/// * `fallible`: may fail, then the next instruction;
/// * `sized`: may fail, gives its length;
/// * `other`: moves the pc itself.
macro_rules! dispatch {
    (
        $op:expr, $cpu:ident, $attempt:ident;
        plain { $($plain:ident => $plain_body:expr,)* }
        fallible { $($fallible:ident => $fallible_body:expr,)* }
        sized { $($sized:ident => $sized_body:expr,)* }
        other { $($other:ident => $other_body:expr,)* }
    ) => {
        match $op {
            $(RunOp::$plain => {
                $plain_body;
                $cpu.advance(const { length(CoreOp::$plain) });
            })*
            $(RunOp::$fallible => {
                $attempt!($fallible_body);
                $cpu.advance(const { length(CoreOp::$fallible) });
            })*
            $(RunOp::$sized => {
                let length: usize = $attempt!($sized_body);
                $cpu.advance(length);
            })*
            $(RunOp::$other => $other_body,)*
        }
    };
}

impl Machine {
    /// Runs the last frame from where it goes on, until the outermost function returns, something suspends, or
    /// something fails. The caller holds the gate of the context as `environment` says.
    pub fn run(&mut self, environment: &Environment<'_>) -> Result<Exit> {
        match self.interpret(environment) {
            Ok(exit) => Ok(exit),
            Err(status) => Err(crate::backtrace::annotate(self, environment, status)),
        }
    }

    /// Goes on after a suspension whose wait ended with `outcome`.
    pub fn resume(&mut self, environment: &Environment<'_>, outcome: Result<()>) -> Result<Exit> {
        let resumed = match self.suspension.take() {
            Some(Suspension { call: Some(call), .. }) => self.resume_call(environment, call, outcome),
            _ => outcome.map(|()| true),
        };
        match resumed {
            Ok(true) => self.run(environment),
            Ok(false) => Ok(Exit::Suspended),
            Err(status) => Err(crate::backtrace::annotate(self, environment, status)),
        }
    }

    fn interpret(&mut self, environment: &Environment<'_>) -> Result<Exit> {
        let mut fuel = self.refuel(environment)?;
        let (mut cpu, mut state) = self.top(environment);

        /// The value of a handler, or the end of the run with the place noted.
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(status) => return Err(self.fail_at(cpu, status)),
                }
            };
        }
        /// Counts a branch or call. Endless programs pass here, so here they can be stopped.
        macro_rules! spend {
            () => {
                fuel -= 1;
                if fuel == 0 {
                    fuel = attempt!(self.refuel(environment));
                }
            };
        }
        macro_rules! call {
            ($variadic:literal, $yieldable:literal) => {{
                spend!();
                match attempt!(self.call::<$variadic, $yieldable>(environment, state, cpu)) {
                    Flow::Next(pc) => cpu.jump(pc),
                    Flow::Enter(frame) => cpu = frame.apart(),
                    Flow::Switch => (cpu, state) = self.top(environment),
                    Flow::Return => return Ok(Exit::Returned),
                    Flow::Suspend => return Ok(Exit::Suspended),
                }
            }};
        }
        macro_rules! fused {
            ($branch:expr) => {{
                $branch;
                spend!();
            }};
        }
        macro_rules! branch {
            ($at:expr) => {{
                spend!();
                cpu.branch($at);
            }};
        }

        loop {
            let Some(op) = RunOp::from_byte(cpu.opcode()) else { cpu.unassigned_opcode() };
            dispatch! { op, cpu, attempt;
                plain {
                    // Entering a block costs nothing: targets are taken past the marker.
                    Block => {},
                    ConstI32Zero => cpu.set(FIRST, 0_u32),
                    ConstI32 => cpu.set(FIRST + 4, cpu.u32(FIRST)),
                    ConstI64Zero => cpu.set(FIRST, 0_u64),
                    ConstI64 => cpu.set(FIRST + 8, cpu.u64(FIRST)),
                    ConstRefZero => cpu.set_ref(cpu.register(FIRST), None),
                    ConstRefRodata => {
                        let constant = state.module.rodata(cpu.u32(FIRST)).clone();
                        cpu.set_ref(cpu.register(FIRST + 4), Some(constant));
                    },
                    SelectI32 => cpu.select::<u32>(),
                    SelectI64 => cpu.select::<u64>(),
                    AddI32 => cpu.binary(u32::wrapping_add),
                    SubI32 => cpu.binary(u32::wrapping_sub),
                    MulI32 => cpu.binary(u32::wrapping_mul),
                    FmaI32 => cpu.ternary(int::fma_i32),
                    AddI64 => cpu.binary(u64::wrapping_add),
                    SubI64 => cpu.binary(u64::wrapping_sub),
                    MulI64 => cpu.binary(u64::wrapping_mul),
                    FmaI64 => cpu.ternary(int::fma_i64),
                    NotI32 => cpu.unary(|a: u32| !a),
                    AndI32 => cpu.binary(|a: u32, b: u32| a & b),
                    OrI32 => cpu.binary(|a: u32, b: u32| a | b),
                    XorI32 => cpu.binary(|a: u32, b: u32| a ^ b),
                    NotI64 => cpu.unary(|a: u64| !a),
                    AndI64 => cpu.binary(|a: u64, b: u64| a & b),
                    OrI64 => cpu.binary(|a: u64, b: u64| a | b),
                    XorI64 => cpu.binary(|a: u64, b: u64| a ^ b),
                    // The wrapping shifts mask the amount with the width less one.
                    ShlI32 => cpu.binary(|a: u32, amount: u32| a.wrapping_shl(amount)),
                    ShrI32S => cpu.binary(|a: i32, amount: u32| a.wrapping_shr(amount)),
                    ShrI32U => cpu.binary(|a: u32, amount: u32| a.wrapping_shr(amount)),
                    ShlI64 => cpu.binary(|a: u64, amount: u32| a.wrapping_shl(amount)),
                    ShrI64S => cpu.binary(|a: i64, amount: u32| a.wrapping_shr(amount)),
                    ShrI64U => cpu.binary(|a: u64, amount: u32| a.wrapping_shr(amount)),
                    TruncI32I8 => cpu.unary(|a: u32| a & 0xFF),
                    TruncI32I16 => cpu.unary(|a: u32| a & 0xFFFF),
                    TruncI64I32 => cpu.unary(|a: u64| a as u32),
                    ExtI8I32S => cpu.unary(|a: u32| i32::from(a as i8)),
                    ExtI8I32U => cpu.unary(|a: u32| a & 0xFF),
                    ExtI16I32S => cpu.unary(|a: u32| i32::from(a as i16)),
                    ExtI16I32U => cpu.unary(|a: u32| a & 0xFFFF),
                    ExtI32I64S => cpu.unary(|a: i32| i64::from(a)),
                    ExtI32I64U => cpu.unary(|a: u32| u64::from(a)),
                    CmpEqI32 => cpu.binary(|a: u32, b: u32| a == b),
                    CmpNeI32 => cpu.binary(|a: u32, b: u32| a != b),
                    CmpLtI32S => cpu.binary(|a: i32, b: i32| a < b),
                    CmpLtI32U => cpu.binary(|a: u32, b: u32| a < b),
                    CmpNzI32 => cpu.unary(|a: u32| a != 0),
                    CmpEqI64 => cpu.binary(|a: u64, b: u64| a == b),
                    CmpNeI64 => cpu.binary(|a: u64, b: u64| a != b),
                    CmpLtI64S => cpu.binary(|a: i64, b: i64| a < b),
                    CmpLtI64U => cpu.binary(|a: u64, b: u64| a < b),
                    CmpNzI64 => cpu.unary(|a: u64| a != 0),
                    CmpEqRef => cpu.set(reference::COMPARISON_RESULT, cpu.same_refs()),
                    CmpNeRef => cpu.set(reference::COMPARISON_RESULT, !cpu.same_refs()),
                    CmpNzRef => cpu.set(SECOND, cpu.get_ref(FIRST).is_some()),
                    CtlzI32 => cpu.unary(u32::leading_zeros),
                    CtlzI64 => cpu.unary(|a: u64| u64::from(a.leading_zeros())),
                    AbsI32 => cpu.unary(i32::wrapping_abs),
                    AbsI64 => cpu.unary(i64::wrapping_abs),
                    MinI32S => cpu.binary(|a: i32, b: i32| a.min(b)),
                    MinI32U => cpu.binary(|a: u32, b: u32| a.min(b)),
                    MaxI32S => cpu.binary(|a: i32, b: i32| a.max(b)),
                    MaxI32U => cpu.binary(|a: u32, b: u32| a.max(b)),
                    MinI64S => cpu.binary(|a: i64, b: i64| a.min(b)),
                    MinI64U => cpu.binary(|a: u64, b: u64| a.min(b)),
                    MaxI64S => cpu.binary(|a: i64, b: i64| a.max(b)),
                    MaxI64U => cpu.binary(|a: u64, b: u64| a.max(b)),
                    AssignRef => reference::assign(&mut cpu),
                    ImportResolved => {
                        cpu.set(FIRST + 4, state.is_import_resolved(cpu.u32(FIRST)));
                    },
                }
                fallible {
                    GlobalLoadI32 => u32::load(state, cpu.u32(FIRST)).map(|value| cpu.set(THIRD, value)),
                    GlobalLoadI64 => u64::load(state, cpu.u32(FIRST)).map(|value| cpu.set(THIRD, value)),
                    GlobalStoreI32 => cpu.get::<u32>(THIRD).store(environment, state, cpu.u32(FIRST)),
                    GlobalStoreI64 => cpu.get::<u64>(THIRD).store(environment, state, cpu.u32(FIRST)),
                    GlobalLoadIndirectI32 => {
                        u32::load(state, indirect(&cpu, FIRST)).map(|value| cpu.set(SECOND, value))
                    },
                    GlobalLoadIndirectI64 => {
                        u64::load(state, indirect(&cpu, FIRST)).map(|value| cpu.set(SECOND, value))
                    },
                    GlobalStoreIndirectI32 => {
                        cpu.get::<u32>(SECOND).store(environment, state, indirect(&cpu, FIRST))
                    },
                    GlobalStoreIndirectI64 => {
                        cpu.get::<u64>(SECOND).store(environment, state, indirect(&cpu, FIRST))
                    },
                    GlobalLoadRef => global::load_ref(cpu, environment, state, cpu.u32(FIRST), FIRST + 4),
                    GlobalStoreRef => global::store_ref(cpu, environment, state, cpu.u32(FIRST), FIRST + 4),
                    GlobalLoadIndirectRef => {
                        global::load_ref(cpu, environment, state, indirect(&cpu, FIRST), SECOND)
                    },
                    GlobalStoreIndirectRef => {
                        global::store_ref(cpu, environment, state, indirect(&cpu, FIRST), SECOND)
                    },
                    ListAlloc => list::alloc(cpu, state.module.types()),
                    ListReserve => list::reserve(cpu),
                    ListSize => list::size(cpu),
                    ListResize => list::resize(cpu),
                    ListGetI32 => list::get_i32(cpu),
                    ListSetI32 => list::set_i32(cpu),
                    ListGetI64 => list::get_i64(cpu),
                    ListSetI64 => list::set_i64(cpu),
                    ListGetRef => list::get_ref(cpu, state.module.types()),
                    ListSetRef => list::set_ref(cpu),
                    SelectRef => reference::select(cpu, state.module.types(), environment.instance),
                    CastAnyRef => reference::cast(cpu, state.module.types(), environment.instance),
                    DivI32S => cpu.try_binary(int::div_i32),
                    DivI32U => cpu.try_binary(int::div_u32),
                    RemI32S => cpu.try_binary(int::rem_i32),
                    RemI32U => cpu.try_binary(int::rem_u32),
                    DivI64S => cpu.try_binary(int::div_i64),
                    DivI64U => cpu.try_binary(int::div_u64),
                    RemI64S => cpu.try_binary(int::rem_i64),
                    RemI64U => cpu.try_binary(int::rem_u64),
                    BufferLoadI8U => cpu.load(|value: u8| u32::from(value)),
                    BufferLoadI8S => cpu.load(|value: u8| i32::from(value as i8)),
                    BufferLoadI16U => cpu.load(|value: u16| u32::from(value)),
                    BufferLoadI16S => cpu.load(|value: u16| i32::from(value as i16)),
                    BufferLoadI32 => cpu.load(|value: u32| value),
                    BufferLoadI64 => cpu.load(|value: u64| value),
                    BufferStoreI8 => cpu.store(|value: u32| value as u8),
                    BufferStoreI16 => cpu.store(|value: u32| value as u16),
                    BufferStoreI32 => cpu.store(|value: u32| value),
                    BufferStoreI64 => cpu.store(|value: u64| value),
                    BufferAlloc => memory::alloc(cpu),
                    BufferClone => memory::clone(cpu),
                    BufferLength => memory::length(cpu),
                    BufferCopy => memory::copy(cpu),
                    BufferCompare => memory::compare(cpu),
                    BufferFillI8 => memory::fill::<u8>(cpu, cpu.get::<u32>(FOURTH).into()),
                    BufferFillI16 => memory::fill::<u16>(cpu, cpu.get::<u32>(FOURTH).into()),
                    BufferFillI32 => memory::fill::<u32>(cpu, cpu.get::<u32>(FOURTH).into()),
                    BufferFillI64 => memory::fill::<u64>(cpu, cpu.get(FOURTH)),
                    BufferHash => memory::hash(cpu),
                }
                sized {
                    SwitchI32 => Ok(cpu.switch::<u32>()),
                    SwitchI64 => Ok(cpu.switch::<u64>()),
                    SwitchRef => reference::switch(cpu, state.module.types(), environment.instance),
                    DiscardRefs => Ok(reference::discard(cpu)),
                    Trace => Ok(control::print(cpu, environment.instance, PrintKind::Trace)),
                    Print => Ok(control::print(cpu, environment.instance, PrintKind::Print)),
                    PrefixF32 => float::step_f32(cpu.after_prefix(), environment, state).map(after_prefix),
                    PrefixF64 => float::step_f64(cpu.after_prefix(), environment, state).map(after_prefix),
                }
                other {
                    Br => branch!(FIRST),
                    Break => branch!(FIRST),
                    CondBreak => branch!(SECOND),
                    CondBr => {
                        spend!();
                        cpu.branch_if();
                    },
                    BranchEqI32 => fused!(cpu.branch_if_compared(|a: u32, b: u32| a == b)),
                    BranchNeI32 => fused!(cpu.branch_if_compared(|a: u32, b: u32| a != b)),
                    BranchLtI32S => fused!(cpu.branch_if_compared(|a: i32, b: i32| a < b)),
                    BranchLtI32U => fused!(cpu.branch_if_compared(|a: u32, b: u32| a < b)),
                    BranchEqI64 => fused!(cpu.branch_if_compared(|a: u64, b: u64| a == b)),
                    BranchNeI64 => fused!(cpu.branch_if_compared(|a: u64, b: u64| a != b)),
                    BranchLtI64S => fused!(cpu.branch_if_compared(|a: i64, b: i64| a < b)),
                    BranchLtI64U => fused!(cpu.branch_if_compared(|a: u64, b: u64| a < b)),
                    BranchNzI32 => fused!(cpu.branch_if_not_zero(|a: u32| a != 0)),
                    BranchNzI64 => fused!(cpu.branch_if_not_zero(|a: u64| a != 0)),
                    BrTable => {
                        spend!();
                        cpu = cpu.branch_table();
                    },
                    Call => call!(false, false),
                    CallVariadic => call!(true, false),
                    CallYieldable => call!(false, true),
                    CallVariadicYieldable => call!(true, true),
                    Return => match self.leave(environment, state, cpu) {
                        Flow::Enter(frame) => cpu = frame.apart(),
                        Flow::Return => return Ok(Exit::Returned),
                        _ => (cpu, state) = self.top(environment),
                    },
                    Fail => {
                        let next = attempt!(fail(cpu, state, self));
                        cpu.advance(next);
                    },
                    Yield => {
                        self.suspend_yield(cpu);
                        return Ok(Exit::Suspended);
                    },
                }
            }
        }
    }

    /// The last frame, ready to go on.
    #[inline]
    fn top<'a>(&mut self, environment: &Environment<'a>) -> (Cpu, &'a BytecodeState) {
        let state = environment.bytecode(self.stack.top().map_or(0, |frame| frame.module));
        (self.top_cpu(state), state)
    }

    /// `yield`: the remap is applied now; the frame goes on at the target block.
    fn suspend_yield(&mut self, cpu: Cpu) {
        let next = cpu.branch_later();
        if let Some(frame) = self.stack.top_mut() {
            (frame.pc, frame.next) = (cpu.pc(), next);
        }
        self.suspension = Some(Suspension { wait: None, call: None });
    }
}

/// `fail`: the program's error. Code 0 is none: the next block follows at the length given, if there is one.
#[cold]
fn fail(cpu: Cpu, state: &BytecodeState, machine: &Machine) -> Result<usize> {
    let (status, length) = control::fail(cpu);
    let function = machine.stack.top().map_or(0, |frame| frame.function);
    let end = state.module.function(function).code_length;
    match status {
        Some(status) => Err(status),
        None if cpu.pc() as usize + length < end => Ok(length),
        None => Err(control::fail_at_end()),
    }
}

/// The length of an instruction, given the one after its prefix.
fn after_prefix(length: usize) -> usize {
    length + 1
}
