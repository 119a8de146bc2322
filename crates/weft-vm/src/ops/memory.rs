//! Buffer instructions (§11.3): from registers to [`Buffer`] and back.

use std::sync::Arc;

use weft_sync::{Result, Status, status};

use super::{FIFTH, FIRST, FOURTH, SECOND, SIXTH, THIRD};
use crate::buffer::{Buffer, Element};
use crate::cpu::{Cpu, Scalar};
use crate::isa::Register;
use crate::reference::Ref;

/// The buffer named by the register field at `at`.
#[inline(always)]
fn buffer(cpu: &Cpu, at: usize) -> Result<&Buffer> {
    let reference = cpu.get_ref(at);
    match reference.and_then(Ref::as_buffer) {
        Some(buffer) => Ok(buffer),
        None => Err(no_buffer(reference)),
    }
}

#[cold]
fn no_buffer(reference: Option<&Ref>) -> Status {
    match reference {
        None => status!(InvalidArgument, "expected a buffer, the ref is null"),
        Some(_) => status!(InvalidArgument, "expected a buffer, found an object of another type"),
    }
}

impl Cpu {
    /// `buffer.load.K`: buffer, element offset, result.
    #[inline(always)]
    pub fn load<T: Element, R: Scalar>(&mut self, extend: impl FnOnce(T) -> R) -> Result<()> {
        let value = buffer(self, FIRST)?.load::<T>(self.get(SECOND))?;
        self.set(THIRD, extend(value));
        Ok(())
    }

    /// `buffer.store.K`: buffer, element offset, value.
    #[inline(always)]
    pub fn store<T: Element, V: Scalar>(&mut self, narrow: impl FnOnce(V) -> T) -> Result<()> {
        buffer(self, FIRST)?.store(self.get(SECOND), narrow(self.get(THIRD)))
    }
}

/// `buffer.fill.K`: buffer, element offset, element count, value.
#[inline(never)]
pub(crate) fn fill<T: Element>(cpu: Cpu, value: u64) -> Result<()> {
    buffer(&cpu, FIRST)?.fill::<T>(cpu.get(SECOND), cpu.get(THIRD), value)
}

/// `buffer.alloc`: length, alignment, result. A negative length is more than there is.
#[inline(never)]
pub(crate) fn alloc(mut cpu: Cpu) -> Result<()> {
    let buffer = Buffer::allocate(cpu.get(FIRST), cpu.get(SECOND))?;
    put(&mut cpu, THIRD, buffer);
    Ok(())
}

/// `buffer.clone`: source, offset, length, alignment, result.
#[inline(never)]
pub(crate) fn clone(mut cpu: Cpu) -> Result<()> {
    let copy = buffer(&cpu, FIRST)?.clone_range(cpu.get(SECOND), cpu.get(THIRD), cpu.get(FOURTH))?;
    put(&mut cpu, FIFTH, copy);
    Ok(())
}

fn put(cpu: &mut Cpu, at: usize, buffer: Buffer) {
    let register: Register = cpu.register(at);
    cpu.set_ref(register, Some(Ref::new(Arc::new(buffer))));
}

/// `buffer.length`: buffer, result.
#[inline(never)]
pub(crate) fn length(mut cpu: Cpu) -> Result<()> {
    let length = buffer(&cpu, FIRST)?.len() as u64;
    cpu.set(SECOND, length);
    Ok(())
}

/// `buffer.copy`: source, offset, target, offset, length.
#[inline(never)]
pub(crate) fn copy(cpu: Cpu) -> Result<()> {
    let (source, target) = (buffer(&cpu, FIRST)?, buffer(&cpu, THIRD)?);
    source.copy(cpu.get(SECOND), target, cpu.get(FOURTH), cpu.get(FIFTH))
}

/// `buffer.compare`: left, offset, right, offset, length, result.
#[inline(never)]
pub(crate) fn compare(mut cpu: Cpu) -> Result<()> {
    let (left, right) = (buffer(&cpu, FIRST)?, buffer(&cpu, THIRD)?);
    let equal = left.compare(cpu.get(SECOND), right, cpu.get(FOURTH), cpu.get(FIFTH))?;
    cpu.set(SIXTH, equal);
    Ok(())
}

/// `buffer.hash`: buffer, offset, length, result.
#[inline(never)]
pub(crate) fn hash(mut cpu: Cpu) -> Result<()> {
    let hash = buffer(&cpu, FIRST)?.hash(cpu.get(SECOND), cpu.get(THIRD))?;
    cpu.set(FOURTH, hash);
    Ok(())
}
