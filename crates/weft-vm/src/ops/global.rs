#![allow(unsafe_code, reason = "globals are safe to touch under the context's gate, which every run holds")]
//! Loads and stores of globals (§11.5).
//!
//! # Safety
//!
//! Every run of the interpreter holds the gate of its context: shared, or exclusively if
//! [`Environment::exclusive`]. Stores check that, whatever the load-time analysis said, so a wrong analysis is an
//! error and no race.

use weft_sync::{Result, Status, bail, status};

use super::reference::check_type;
use crate::cpu::Cpu;
use crate::isa::Register;
use crate::machine::Environment;
use crate::state::BytecodeState;

/// A global of four or eight bytes at an offset that may be anywhere.
pub(crate) trait Global: Sized {
    fn load(state: &BytecodeState, offset: u32) -> Result<Self>;
    fn store(self, environment: &Environment<'_>, state: &BytecodeState, offset: u32) -> Result<()>;
}

macro_rules! global {
    ($integer:ty) => {
        impl Global for $integer {
            #[inline(always)]
            fn load(state: &BytecodeState, offset: u32) -> Result<$integer> {
                // SAFETY: the run holds the gate (header).
                match unsafe { state.globals.load(offset) } {
                    Some(bytes) => Ok(<$integer>::from_le_bytes(bytes)),
                    None => Err(outside(offset)),
                }
            }

            #[inline(always)]
            fn store(self, environment: &Environment<'_>, state: &BytecodeState, offset: u32) -> Result<()> {
                check_exclusive(environment)?;
                // SAFETY: the run holds the gate exclusively, as just checked (header).
                unsafe { state.globals.store(offset, self.to_le_bytes()) }.ok_or_else(|| outside(offset))
            }
        }
    };
}

global!(u32);
global!(u64);

/// `global.load.ref` and its indirect form: the type at `at`, the result after it.
#[inline(never)]
pub(crate) fn load_ref(
    mut cpu: Cpu,
    environment: &Environment<'_>,
    state: &BytecodeState,
    ordinal: u32,
    at: usize,
) -> Result<()> {
    let (spec, result) = (&state.module.types()[cpu.u32(at) as usize], cpu.register(at + 4));
    // SAFETY: the run holds the gate (header).
    let loaded = unsafe { state.globals.load_ref(ordinal) };
    let Some(value) = loaded else { return Err(no_such_ref(state, ordinal)) };
    check_type(spec, value.as_ref(), environment.instance)?;
    if result.is_move() {
        check_exclusive(environment)?;
        // SAFETY: the run holds the gate exclusively, as just checked (header).
        drop(unsafe { state.globals.replace_ref(ordinal, None) });
    }
    cpu.set_ref(result, value);
    Ok(())
}

/// `global.store.ref` and its indirect form: the type at `at`, the value after it.
#[inline(never)]
pub(crate) fn store_ref(
    mut cpu: Cpu,
    environment: &Environment<'_>,
    state: &BytecodeState,
    ordinal: u32,
    at: usize,
) -> Result<()> {
    let (spec, source) = (&state.module.types()[cpu.u32(at) as usize], cpu.register(at + 4));
    check_exclusive(environment)?;
    if ordinal as usize >= state.globals.ref_count() {
        return Err(no_such_ref(state, ordinal));
    }
    check_type(spec, cpu.reference(source), environment.instance)?;
    let value = cpu.fetch(source);
    // SAFETY: the run holds the gate exclusively, as just checked (header).
    drop(unsafe { state.globals.replace_ref(ordinal, value) });
    Ok(())
}

/// The ordinal in the register named at `at`, for the indirect forms.
pub(crate) fn indirect(cpu: &Cpu, at: usize) -> u32 {
    cpu.word(Register(cpu.u16(at)))
}

#[inline(always)]
fn check_exclusive(environment: &Environment<'_>) -> Result<()> {
    if environment.exclusive { Ok(()) } else { not_exclusive() }
}

#[cold]
fn not_exclusive() -> Result<()> {
    bail!(Internal, "a global is stored by an invocation that shares the context with others")
}

#[cold]
fn outside(offset: u32) -> Status {
    status!(OutOfRange, "global offset {offset} is outside of the module's globals")
}

#[cold]
fn no_such_ref(state: &BytecodeState, ordinal: u32) -> Status {
    status!(OutOfRange, "ref global {ordinal} of {}", state.globals.ref_count())
}
