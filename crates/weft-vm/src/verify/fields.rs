//! Single operands: registers, ordinals, remaps (rules 9–15 and 21 of §16).

use super::{Checked, Refusal};
use crate::archive::{Archive, Function};
use crate::isa::{Field, IMPORT_BIT, Kind, OpInfo, Register, RemapPair};

/// Whether a ref operand may carry MOVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Allowed,
    Forbidden,
}

/// The register counts of the function being checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Banks {
    pub values: u32,
    pub refs: u32,
}

impl Banks {
    pub fn of(function: &Function) -> Banks {
        Banks { values: u32::from(function.value_registers), refs: u32::from(function.ref_registers) }
    }

    /// A register that holds `kind`.
    #[inline]
    pub fn kind(self, register: Register, kind: Kind, moves: Move) -> Checked {
        if register.is_ref() != kind.is_ref() {
            return Err(wrong_bank(register, kind));
        }
        let ordinal = u32::from(register.ordinal());
        if kind.is_ref() {
            return self.reference(register, ordinal, moves);
        }
        if kind.registers() == 2 && ordinal % 2 != 0 {
            return Err(Refusal::invalid(format_args!("64-bit register %i{ordinal} is not even")));
        }
        if ordinal + kind.registers() > self.values {
            return Err(beyond(register, kind, self.values));
        }
        Ok(())
    }

    /// A register of whichever bank its bit 15 says.
    pub fn any(self, register: Register, moves: Move) -> Checked {
        self.kind(register, if register.is_ref() { Kind::Ref } else { Kind::I32 }, moves)
    }

    /// One move of a branch.
    pub fn remap(self, pair: RemapPair) -> Checked {
        if pair.source.is_ref() != pair.target.is_ref() {
            return Err(Refusal::invalid(format_args!(
                "branch moves {} to {}, which is in the other bank",
                name(pair.source),
                name(pair.target)
            )));
        }
        self.any(pair.source, Move::Allowed)?;
        self.any(pair.target, Move::Forbidden)
    }

    fn reference(self, register: Register, ordinal: u32, moves: Move) -> Checked {
        if register.is_move() && moves == Move::Forbidden {
            return Err(Refusal::invalid(format_args!("{} may not carry MOVE here", name(register))));
        }
        if ordinal >= self.refs {
            return Err(beyond(register, Kind::Ref, self.refs));
        }
        Ok(())
    }
}

#[cold]
fn wrong_bank(register: Register, kind: Kind) -> Refusal {
    Refusal::invalid(format_args!("{} where a register for {} is needed", name(register), kind.name()))
}

#[cold]
fn beyond(register: Register, kind: Kind, count: u32) -> Refusal {
    let bank = if kind.is_ref() { "ref" } else { "value" };
    let pair = if kind.registers() == 2 { " (a pair)" } else { "" };
    Refusal::out_of_range(format_args!(
        "{}{pair} of a function with {count} {bank} registers",
        name(register)
    ))
}

/// How a register prints: `%i3`, `%r0`, with MOVE `%R0`.
fn name(register: Register) -> String {
    let bank = match (register.is_ref(), register.is_move()) {
        (false, _) => 'i',
        (true, false) => 'r',
        (true, true) => 'R',
    };
    format!("%{bank}{}", register.ordinal())
}

/// A byte offset into the value globals, for the access that `info` makes.
pub(super) fn global_offset(archive: &Archive, info: &OpInfo, offset: u32) -> Checked {
    let width = info.fields.iter().find_map(|field| match field {
        Field::Read(kind) | Field::Write(kind) => Some(4 * kind.registers()),
        _ => None,
    });
    let end = u64::from(offset) + u64::from(width.unwrap_or(8));
    if end > u64::from(archive.global_bytes) {
        return Err(Refusal::out_of_range(format_args!(
            "global bytes up to {end} of {}",
            archive.global_bytes
        )));
    }
    Ok(())
}

/// An ordinal of some table of the module.
pub(super) fn ordinal(ordinal: u32, count: usize, what: &str) -> Checked {
    if ordinal as usize >= count {
        return Err(Refusal::out_of_range(format_args!("{what} {ordinal} of {count}")));
    }
    Ok(())
}

/// A type id; `element` if any type will do.
pub(super) fn type_id(archive: &Archive, id: u32, element: bool) -> Checked {
    ordinal(id, archive.types.len(), "type")?;
    let entry = &archive.types[id as usize];
    if !element && !entry.spelling.is_ref() {
        return Err(Refusal::invalid(format_args!("type `{}` where a ref type is needed", entry.full_name)));
    }
    Ok(())
}

/// What a `func` field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Internal(u32),
    Import(u32),
}

/// A `func` field.
pub(super) fn function(archive: &Archive, raw: u32) -> Checked<Target> {
    let ordinal = raw & !IMPORT_BIT;
    let (target, count, what) = if raw & IMPORT_BIT != 0 {
        (Target::Import(ordinal), archive.imports.len(), "import")
    } else {
        (Target::Internal(ordinal), archive.functions.len(), "function")
    };
    if ordinal as usize >= count {
        return Err(Refusal::invalid(format_args!("{what} {ordinal} of {count}")));
    }
    Ok(target)
}
