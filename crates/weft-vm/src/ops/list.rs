//! List instructions (§11.4): from registers to [`List`] and back.

use std::sync::Arc;

use weft_sync::{Result, Status, status};

use super::reference::accepts;
use super::{FIRST, SECOND, THIRD};
use crate::cpu::Cpu;
use crate::list::{ElementType, List};
use crate::reference::Ref;
use crate::types::TypeSpec;
use crate::value::Value;

/// The list named by the first operand.
#[inline]
fn list(cpu: &Cpu) -> Result<&List> {
    let reference = cpu.get_ref(FIRST);
    reference.and_then(Ref::as_list).ok_or_else(|| no_list(reference))
}

#[cold]
fn no_list(reference: Option<&Ref>) -> Status {
    match reference {
        None => status!(InvalidArgument, "expected a list, the ref is null"),
        Some(_) => status!(InvalidArgument, "expected a list, found an object of another type"),
    }
}

/// `list.alloc`: element type, capacity, result.
#[inline(never)]
pub(crate) fn alloc(mut cpu: Cpu, types: &[TypeSpec]) -> Result<()> {
    let element = ElementType::from_spec(&types[cpu.u32(FIRST) as usize])?;
    let capacity: u32 = cpu.get(FIRST + 4);
    let list = List::new(element, capacity as usize)?;
    cpu.set_ref(cpu.register(FIRST + 4 + 2), Some(Ref::new(Arc::new(list))));
    Ok(())
}

#[inline(never)]
pub(crate) fn reserve(cpu: Cpu) -> Result<()> {
    let capacity: u32 = cpu.get(SECOND);
    list(&cpu)?.reserve(capacity as usize)
}

#[inline(never)]
pub(crate) fn size(mut cpu: Cpu) -> Result<()> {
    let size = list(&cpu)?.len() as u32;
    cpu.set(SECOND, size);
    Ok(())
}

#[inline(never)]
pub(crate) fn resize(cpu: Cpu) -> Result<()> {
    let size: u32 = cpu.get(SECOND);
    list(&cpu)?.resize(size as usize)
}

#[inline(never)]
pub(crate) fn get_i32(mut cpu: Cpu) -> Result<()> {
    let value = list(&cpu)?.get_integer(cpu.get(SECOND))?;
    cpu.set(THIRD, value as i32);
    Ok(())
}

#[inline(never)]
pub(crate) fn get_i64(mut cpu: Cpu) -> Result<()> {
    let value = list(&cpu)?.get_integer(cpu.get(SECOND))?;
    cpu.set(THIRD, value);
    Ok(())
}

#[inline(never)]
pub(crate) fn get_f32(mut cpu: Cpu) -> Result<()> {
    let (value, _) = list(&cpu)?.get_float(cpu.get(SECOND))?;
    cpu.set(THIRD, value);
    Ok(())
}

#[inline(never)]
pub(crate) fn get_f64(mut cpu: Cpu) -> Result<()> {
    let (_, value) = list(&cpu)?.get_float(cpu.get(SECOND))?;
    cpu.set(THIRD, value);
    Ok(())
}

#[inline(never)]
pub(crate) fn set_i32(cpu: Cpu) -> Result<()> {
    list(&cpu)?.set_value(cpu.get(SECOND), Value::I32(cpu.get(THIRD)))
}

#[inline(never)]
pub(crate) fn set_i64(cpu: Cpu) -> Result<()> {
    list(&cpu)?.set_value(cpu.get(SECOND), Value::I64(cpu.get(THIRD)))
}

#[inline(never)]
pub(crate) fn set_f32(cpu: Cpu) -> Result<()> {
    list(&cpu)?.set_value(cpu.get(SECOND), Value::F32(cpu.get(THIRD)))
}

#[inline(never)]
pub(crate) fn set_f64(cpu: Cpu) -> Result<()> {
    list(&cpu)?.set_value(cpu.get(SECOND), Value::F64(cpu.get(THIRD)))
}

/// `list.get.ref`: list, index, type, result. An object of another type reads as null.
#[inline(never)]
pub(crate) fn get_ref(mut cpu: Cpu, types: &[TypeSpec]) -> Result<()> {
    let spec = &types[cpu.u32(THIRD) as usize];
    let result = cpu.register(THIRD + 4);
    let value = list(&cpu)?.get_ref(cpu.get(SECOND), result.is_move(), |value| accepts(spec, value))?;
    cpu.set_ref(result, value);
    Ok(())
}

/// `list.set.ref`: list, index, value.
#[inline(never)]
pub(crate) fn set_ref(cpu: Cpu) -> Result<()> {
    let (index, source) = (cpu.get(SECOND), cpu.register(THIRD));
    // The value may be the list itself, moved out of the very register that names it: hold it meanwhile.
    let consumes_list = source.is_move() && source.ordinal() == cpu.register(FIRST).ordinal();
    let _held = consumes_list.then(|| cpu.get_ref(FIRST).cloned());
    let list = list(&cpu)?;
    let mut consumer = cpu;
    list.set_ref(index, cpu.reference(source), || consumer.fetch(source))
}
