//! Relocations (`docs/spec/executables.md` §2.7): decoded from the file, not from the image, so that a relocation that
//! lands on the table changes nothing.
//!
//! What lives here: from table entries to [`Fixup`]s, checked except for what depends on the bias, and their final value
//! for a bias. What does not: storing (`image.rs`).

use weft_sync::{Result, bail, status};

use super::Machine;
use super::fields::u64_at;
use super::segments::Segments;
use super::symbols::Symbols;

const ENTRY_BYTES: usize = 24;

/// One store into the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixup {
    /// Where, as the file counts addresses. Lies in a writable segment.
    pub target: u64,
    /// Value relative to `base`, wrapping.
    value: u64,
    /// Whether the bias is added to `value`.
    biased: bool,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The value itself.
    Word64,
    /// The value, which must be equal after zero extension.
    Unsigned32,
    /// The value, which must be equal after sign extension.
    Signed32,
    /// The value minus the address of the target, as `Signed32`.
    Relative32,
}

/// Bytes to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Bytes8([u8; 8]),
    Bytes4([u8; 4]),
}

impl Fixup {
    /// The bytes for an image at this bias; `OUT_OF_RANGE` if a 32-bit form cannot hold the value.
    pub(super) fn stored(&self, bias: u64) -> Result<Stored> {
        let value = if self.biased { self.value.wrapping_add(bias) } else { self.value };
        let short = match self.form {
            Form::Word64 => return Ok(Stored::Bytes8(value.to_le_bytes())),
            Form::Unsigned32 => u32::try_from(value).ok().map(u32::to_le_bytes),
            Form::Signed32 => i32::try_from(value.cast_signed()).ok().map(i32::to_le_bytes),
            Form::Relative32 => {
                let distance = value.wrapping_sub(self.target.wrapping_add(bias)).cast_signed();
                i32::try_from(distance).ok().map(i32::to_le_bytes)
            }
        };
        short.map(Stored::Bytes4).ok_or_else(|| {
            status!(OutOfRange, "ELF relocation at {:#x}: {value:#x} does not fit 32 bits", self.target)
        })
    }

    fn bytes(&self) -> u64 {
        if self.form == Form::Word64 { 8 } else { 4 }
    }
}

/// The value that a relocation type stores, before the symbol is looked up.
enum Kind {
    Nothing,
    Relative,
    /// Symbol, with or without addend.
    Symbol {
        addend: bool,
        form: Form,
    },
}

fn kind(machine: Machine, number: u32) -> Option<Kind> {
    let word = |addend| Kind::Symbol { addend, form: Form::Word64 };
    Some(match (machine, number) {
        (Machine::X86_64, 0) | (Machine::Aarch64, 0 | 256) => Kind::Nothing,
        (Machine::X86_64, 8) | (Machine::Aarch64, 1027) => Kind::Relative,
        (Machine::X86_64, 1) => word(true),
        (Machine::X86_64, 6 | 7) => word(false),
        (Machine::Aarch64, 257 | 1025 | 1026) => word(true),
        (Machine::X86_64, 2) => Kind::Symbol { addend: true, form: Form::Relative32 },
        (Machine::X86_64, 10) => Kind::Symbol { addend: true, form: Form::Unsigned32 },
        (Machine::X86_64, 11) => Kind::Symbol { addend: true, form: Form::Signed32 },
        _ => return None,
    })
}

/// All relocations of a file, in order of application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relocations<'a> {
    pub machine: Machine,
    pub symbols: Symbols<'a>,
    pub main: &'a [u8],
    pub jump: &'a [u8],
}

impl Relocations<'_> {
    /// Number of table entries.
    pub(super) fn count(&self) -> u64 {
        ((self.main.len() + self.jump.len()) / ENTRY_BYTES) as u64
    }

    /// Decodes each entry; those that store nothing are skipped.
    pub(super) fn fixups<'b>(&'b self, segments: &'b Segments) -> impl Iterator<Item = Result<Fixup>> + 'b {
        let entries = self.main.chunks_exact(ENTRY_BYTES).chain(self.jump.chunks_exact(ENTRY_BYTES));
        entries.filter_map(|entry| self.fixup(entry, segments).transpose())
    }

    fn fixup(&self, entry: &[u8], segments: &Segments) -> Result<Option<Fixup>> {
        let read = |offset| u64_at(entry, offset).unwrap_or(0);
        let (target, info, addend) = (read(0), read(8), read(16));
        let (symbol, number) = ((info >> 32) as u32, info as u32);
        let Some(kind) = kind(self.machine, number) else {
            bail!(
                Unimplemented,
                "ELF relocation type {number} at {target:#x} is not supported on {}",
                self.machine
            );
        };
        // Also where the type ignores it: the index must not be out of range in a file that is in order.
        let symbol = self.symbols.value(symbol)?;
        let fixup = match kind {
            Kind::Nothing => return Ok(None),
            Kind::Relative => {
                check_inside(addend, target, segments)?;
                Fixup { target, value: addend, biased: true, form: Form::Word64 }
            }
            Kind::Symbol { addend: has_addend, form } => {
                let addend = if has_addend { addend } else { 0 };
                let value = symbol.unwrap_or(0).wrapping_add(addend);
                Fixup { target, value, biased: symbol.is_some(), form }
            }
        };
        check_target(&fixup, segments)?;
        Ok(Some(fixup))
    }
}

/// One past the end is allowed: pointers to the end of a section occur.
fn check_inside(address: u64, target: u64, segments: &Segments) -> Result<()> {
    if address < segments.span.start || address > segments.span.end {
        bail!(OutOfRange, "ELF relocation at {target:#x}: address {address:#x} is outside of the image");
    }
    Ok(())
}

fn check_target(fixup: &Fixup, segments: &Segments) -> Result<()> {
    let outside = || {
        status!(
            PermissionDenied,
            "ELF relocation at {:#x}: the target is not inside a writable segment",
            fixup.target
        )
    };
    let end = fixup.target.checked_add(fixup.bytes()).ok_or_else(outside)?;
    match segments.holding(&(fixup.target..end)) {
        Some(segment) if segment.protection.write => Ok(()),
        _ => Err(outside()),
    }
}
