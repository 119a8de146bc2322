//! Operand, result and segment lists of calls, and the list of `return` (rules 18–20 of §16).

use super::fields::{Banks, Move};
use super::{Checked, Refusal};
use crate::archive::Function;
use crate::isa::{CoreOp, Cursor, Field, Op, Register, SEGMENT_SCALAR, u16_entries};
use crate::signature::{Argument, Signature};

/// The segment sizes of a call against the arguments of its target.
pub(super) fn segments(signature: &Signature, sizes: &[u8]) -> Checked {
    let arguments = signature.arguments();
    length(sizes.len() / 2, arguments.len(), "segment sizes", signature)?;
    for (index, (argument, size)) in arguments.iter().zip(u16_entries(sizes)).enumerate() {
        let is_span = matches!(argument, Argument::Span(_));
        if is_span == (size == SEGMENT_SCALAR) {
            let expected = if is_span { "a tuple count" } else { "65535, since it is no span" };
            return Err(Refusal::invalid(format_args!(
                "segment size {size} for argument {index} of `{}`, expected {expected}",
                signature.text()
            )));
        }
    }
    Ok(())
}

/// The operands of a call. `sizes` are checked segment sizes, `None` for calls without.
///
/// Counts are compared before anything is walked, so the work is bounded by the instruction's size, not by the
/// signature's.
pub(super) fn operands(
    banks: Banks,
    signature: &Signature,
    sizes: Option<&[u8]>,
    registers: &[u8],
) -> Checked {
    let given = registers.len() / 2;
    let Some(sizes) = sizes else {
        if signature.is_variadic() {
            return Err(Refusal::invalid(format_args!(
                "`{}` has spans, so it can only be called with segment sizes",
                signature.text()
            )));
        }
        length(given, signature.arguments().len(), "operands", signature)?;
        return values(banks, signature, std::iter::repeat(SEGMENT_SCALAR), registers);
    };
    let values_of = |(argument, count): (&Argument, u16)| match argument {
        Argument::Value(_) => 1,
        Argument::Span(tuple) => tuple.len().saturating_mul(usize::from(count)),
    };
    let counts = signature.arguments().iter().zip(u16_entries(sizes)).map(values_of);
    length(given, counts.fold(0, usize::saturating_add), "operands", signature)?;
    values(banks, signature, u16_entries(sizes), registers)
}

/// As many registers as the arguments have values: each against its kind.
fn values(
    banks: Banks,
    signature: &Signature,
    sizes: impl Iterator<Item = u16>,
    registers: &[u8],
) -> Checked {
    let mut registers = u16_entries(registers).map(Register);
    for (argument, size) in signature.arguments().iter().zip(sizes) {
        match argument {
            Argument::Value(kind) => {
                let Some(register) = registers.next() else { break };
                banks.kind(register, *kind, Move::Allowed)?;
            }
            Argument::Span(tuple) => {
                let values = tuple.len() * usize::from(size);
                for (register, kind) in registers.by_ref().take(values).zip(tuple.iter().cycle()) {
                    banks.kind(register, *kind, Move::Allowed)?;
                }
            }
        }
    }
    Ok(())
}

/// The result registers of a call, or the operands of `return`.
pub(super) fn results(banks: Banks, signature: &Signature, registers: &[u8], moves: Move) -> Checked {
    length(registers.len() / 2, signature.results().len(), "results", signature)?;
    for (kind, register) in signature.results().iter().zip(u16_entries(registers)) {
        banks.kind(Register(register), *kind, moves)?;
    }
    Ok(())
}

fn length(found: usize, expected: usize, what: &str, signature: &Signature) -> Checked {
    if found == expected {
        return Ok(());
    }
    let message = format!("{found} {what} where `{}` needs {expected}", signature.text());
    Err(if found < expected { Refusal::out_of_range(message) } else { Refusal::invalid(message) })
}

/// Checks one already verified call instruction against a signature that was not known then.
pub(super) fn check_site(function: &Function, code: &[u8], pc: usize, signature: &Signature) -> Checked {
    let banks = Banks::of(function);
    let mut cursor = Cursor::new(code, pc);
    let op = cursor.op()?;
    if !is_call(op) {
        return Err(Refusal::invalid(format_args!("`{}` is no call", op.info().mnemonic)));
    }
    let mut sizes = None;
    for field in op.info().fields {
        match field {
            Field::Segments => {
                let list = cursor.list(2)?;
                segments(signature, list)?;
                sizes = Some(list);
            }
            Field::Regs => operands(banks, signature, sizes, cursor.list(2)?)?,
            Field::RegsWrite => results(banks, signature, cursor.list(2)?, Move::Forbidden)?,
            other => {
                cursor.bytes(other.fixed_size().unwrap_or(0))?;
            }
        }
    }
    Ok(())
}

/// The four call instructions.
pub(super) fn is_call(op: Op) -> bool {
    use CoreOp::{Call, CallVariadic, CallVariadicYieldable, CallYieldable};
    matches!(op, Op::Core(Call | CallVariadic | CallYieldable | CallVariadicYieldable))
}
