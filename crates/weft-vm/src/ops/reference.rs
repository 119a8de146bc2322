//! Instructions on references: constants, casts, choices, comparison (§10.5, §11.6).

use weft_sync::{Result, Status, status};

use super::{FIRST, SECOND, THIRD};
use crate::cpu::Cpu;
use crate::isa::Register;
use crate::native::U16List;
use crate::reference::Ref;
use crate::types::{Instance, TypeSpec};

/// Whether an object may have this type; null may have any.
#[inline]
pub(crate) fn accepts(spec: &TypeSpec, value: &Ref) -> bool {
    match spec {
        TypeSpec::Ref(ref_type) => value.is_of(ref_type.id()),
        TypeSpec::Any => true,
        TypeSpec::Value(_) | TypeSpec::Placeholder(_) => false,
    }
}

/// INVALID_ARGUMENT naming both types unless the object may have this type.
#[inline]
pub(crate) fn check_type(spec: &TypeSpec, value: Option<&Ref>, instance: &Instance) -> Result<()> {
    match value {
        Some(value) if !accepts(spec, value) => Err(mismatch(spec, value, instance)),
        _ => Ok(()),
    }
}

#[cold]
fn mismatch(spec: &TypeSpec, value: &Ref, instance: &Instance) -> Status {
    let found = instance.type_name(value.type_id());
    let found = found.as_deref().unwrap_or("an unregistered type");
    status!(InvalidArgument, "ref type mismatch: expected {spec:?}, found `{found}`")
}

impl Cpu {
    /// Copies or moves a ref register into another. Onto itself nothing happens.
    #[inline(always)]
    pub fn assign_ref(&mut self, source: Register, target: Register) {
        let value = self.fetch(source);
        self.set_ref(target, value);
    }

    /// `cmp.eq.ref`: same object, or both null.
    #[inline]
    pub fn same_refs(&self) -> bool {
        match (self.get_ref(FIRST), self.get_ref(SECOND)) {
            (Some(left), Some(right)) => left.same(right),
            (left, right) => left.is_none() && right.is_none(),
        }
    }
}

/// `cast.any.ref`: operand, type, result.
#[inline(never)]
pub(crate) fn cast(mut cpu: Cpu, types: &[TypeSpec], instance: &Instance) -> Result<()> {
    let (source, result) = (cpu.register(FIRST), cpu.register(FIRST + 2 + 4));
    check_type(&types[cpu.u32(SECOND) as usize], cpu.reference(source), instance)?;
    cpu.assign_ref(source, result);
    Ok(())
}

/// `select.ref`: condition, type, value if true, value if false, result.
#[inline(never)]
pub(crate) fn select(mut cpu: Cpu, types: &[TypeSpec], instance: &Instance) -> Result<()> {
    const ON_TRUE: usize = SECOND + 4;
    let condition: bool = cpu.get(FIRST);
    let spec = &types[cpu.u32(SECOND) as usize];
    let operands = [cpu.register(ON_TRUE), cpu.register(ON_TRUE + 2)];
    let chosen = operands[usize::from(!condition)];
    check_type(spec, cpu.reference(chosen), instance)?;
    let result = cpu.register(ON_TRUE + 4);
    choose(&mut cpu, chosen, operands.into_iter(), result);
    Ok(())
}

/// `switch.ref`: index, type, default, values, result. Gives the length.
#[inline(never)]
pub(crate) fn switch(mut cpu: Cpu, types: &[TypeSpec], instance: &Instance) -> Result<usize> {
    const DEFAULT: usize = SECOND + 4;
    let index: u32 = cpu.get(FIRST);
    let spec = &types[cpu.u32(SECOND) as usize];
    let default = cpu.register(DEFAULT);
    let (values, end): (U16List<'_>, usize) = cpu.list(DEFAULT + 2);
    let chosen = values.try_get(index).map_or(default, Register);
    check_type(spec, cpu.reference(chosen), instance)?;
    let result = cpu.register(end);
    choose(&mut cpu, chosen, std::iter::once(default).chain(values.iter().map(Register)), result);
    Ok(end + 2)
}

/// Puts the chosen operand into the result and releases the others that carry MOVE. Two operands may name the same
/// register, one with MOVE: it counts as moved once.
fn choose(
    cpu: &mut Cpu,
    chosen: Register,
    operands: impl Iterator<Item = Register> + Clone,
    result: Register,
) {
    let is_chosen = |operand: &Register| operand.ordinal() == chosen.ordinal();
    let moved = operands.clone().any(|operand| operand.is_move() && is_chosen(&operand));
    let value = if moved { cpu.slot(chosen).take() } else { cpu.reference(chosen).cloned() };
    for operand in operands {
        // The result register is replaced below, after the new value is in hand.
        if operand.is_move() && operand.ordinal() != result.ordinal() {
            cpu.set_ref(operand, None);
        }
    }
    cpu.set_ref(result, value);
}

/// `discard.refs`: releases every listed register. Gives the length.
#[inline(never)]
pub(crate) fn discard(mut cpu: Cpu) -> usize {
    let (registers, end) = cpu.list(FIRST);
    for register in registers.iter().map(Register) {
        cpu.set_ref(register, None);
    }
    end
}

/// `assign.ref`: operand, result.
#[inline(always)]
pub(crate) fn assign(cpu: &mut Cpu) {
    let (source, target) = (cpu.register(FIRST), cpu.register(SECOND));
    cpu.assign_ref(source, target);
}

/// The offset of the result in `cmp.*.ref`.
pub(crate) const COMPARISON_RESULT: usize = THIRD;
