//! What a recording demands of the table that each submission brings.
//!
//! Every indirect operand widens the requirement of its slot, so that a submission is checked once for each slot and
//! not for each command. Only copies through slots are looked at one by one: whether two ranges overlap depends on
//! both entries.

use weft_sync::{Result, Status, bail, status};

use super::operand::{BindingEntry, OwnedPlace, Place};
use crate::buffer::Overlap;
use crate::memory::{BufferUsage, MemoryAccess, MemoryType, WHOLE_BUFFER};
use crate::validate;

/// What one use asks of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) access: MemoryAccess,
    /// All of these.
    pub(crate) usage: BufferUsage,
    /// At least one of these, if any is given.
    pub(crate) usage_any: BufferUsage,
    /// The offset is a multiple of this.
    pub(crate) offset_multiple: u64,
    /// The length is a multiple of this.
    pub(crate) length_multiple: u64,
}

impl Use {
    pub(crate) const TRANSFER_TARGET: Use =
        Use { access: MemoryAccess::WRITE, usage: BufferUsage::TRANSFER_TARGET, ..Use::NOTHING };
    pub(crate) const TRANSFER_SOURCE: Use =
        Use { access: MemoryAccess::READ, usage: BufferUsage::TRANSFER_SOURCE, ..Use::NOTHING };
    pub(crate) const WORKGROUP_COUNTS: Use = Use {
        access: MemoryAccess::READ,
        usage: BufferUsage::DISPATCH_INDIRECT_PARAMETERS,
        offset_multiple: 4,
        ..Use::NOTHING
    };
    pub(crate) const NOTHING: Use = Use {
        access: MemoryAccess::empty(),
        usage: BufferUsage::empty(),
        usage_any: BufferUsage::empty(),
        offset_multiple: 1,
        length_multiple: 1,
    };

    /// What a kernel asks of a binding: storage of some kind, and the access that its executable declares.
    pub(crate) fn binding(access: MemoryAccess) -> Use {
        let usage_any = BufferUsage::DISPATCH_STORAGE.union(BufferUsage::DISPATCH_UNIFORM_READ);
        Use { access, usage_any, ..Use::NOTHING }
    }

    /// Checks a buffer. Its range is checked elsewhere.
    #[inline]
    pub(crate) fn check(&self, buffer: &crate::buffer::Buffer) -> Result<()> {
        validate::memory_type(buffer, MemoryType::DEVICE_VISIBLE)?;
        if !self.access.is_empty() {
            validate::memory_access(buffer, self.access)?;
        }
        validate::usage(buffer, self.usage)?;
        if !self.usage_any.is_empty() && !buffer.usage().intersects(self.usage_any) {
            return Err(no_such_usage(self.usage_any, buffer.usage()));
        }
        Ok(())
    }
}

#[cold]
fn no_such_usage(wanted: BufferUsage, actual: BufferUsage) -> Status {
    status!(PermissionDenied, "buffer usage {actual} has none of {wanted}")
}

/// The union of what all commands ask of one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotRequirement {
    slot: u32,
    need: Use,
    /// The entry has at least this many bytes.
    extent: u64,
}

impl SlotRequirement {
    fn widen(&mut self, need: &Use, offset: u64, length: u64) -> Result<()> {
        let Some(end) = offset.checked_add(if length == WHOLE_BUFFER { 0 } else { length }) else {
            bail!(OutOfRange, "range of {length} bytes at offset {offset} exceeds 64 bits");
        };
        self.extent = self.extent.max(end);
        self.need.access |= need.access;
        self.need.usage |= need.usage;
        self.need.usage_any |= need.usage_any;
        self.need.offset_multiple = least_common_multiple(self.need.offset_multiple, need.offset_multiple);
        if length == WHOLE_BUFFER {
            // The offset is a multiple already, so the rest is one if the entry's length is.
            self.need.length_multiple =
                least_common_multiple(self.need.length_multiple, need.length_multiple);
        }
        Ok(())
    }

    fn check(&self, entry: &BindingEntry<'_>) -> Result<()> {
        let range = entry.check(self.slot as usize)?;
        self.need.check(range.buffer)?;
        if self.extent > range.length {
            bail!(OutOfRange, "commands use {} bytes of an entry of {}", self.extent, range.length);
        }
        let aligned = entry.offset.is_multiple_of(self.need.offset_multiple)
            && range.length.is_multiple_of(self.need.length_multiple);
        if !aligned {
            let (offset, multiple) = (entry.offset, self.need.offset_multiple.max(self.need.length_multiple));
            bail!(
                InvalidArgument,
                "offset {offset} or length {} is not a multiple of {multiple}",
                range.length
            );
        }
        Ok(())
    }
}

/// Multiples come from patterns and counts: powers of two up to 4.
fn least_common_multiple(a: u64, b: u64) -> u64 {
    a.max(b)
}

/// What a recording demands of its table.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    /// Slots in use, ascending. Sparse: a program chooses the numbers.
    slots: Vec<SlotRequirement>,
    copies: Vec<(OwnedPlace, OwnedPlace)>,
}

impl Requirements {
    /// Notes a use of a slot.
    pub(crate) fn note(&mut self, slot: u32, need: &Use, offset: u64, length: u64) -> Result<()> {
        let index = match self.slots.binary_search_by_key(&slot, |known| known.slot) {
            Ok(index) => index,
            Err(index) => {
                self.slots.insert(index, SlotRequirement { slot, need: Use::NOTHING, extent: 0 });
                index
            }
        };
        self.slots[index].widen(need, offset, length)
    }

    /// Notes a copy that involves a slot.
    pub(crate) fn note_copy(&mut self, source: &Place<'_>, target: &Place<'_>) {
        self.copies.push((OwnedPlace::new(source), OwnedPlace::new(target)));
    }

    /// Some command refers to a slot.
    pub(crate) fn needs_table(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Checks the table of one submission.
    pub(crate) fn check<'a>(&'a self, table: &[BindingEntry<'a>]) -> Result<()> {
        for requirement in &self.slots {
            let slot = requirement.slot;
            let Some(entry) = table.get(slot as usize) else {
                bail!(OutOfRange, "binding table has {} entries; a command uses slot {slot}", table.len());
            };
            requirement.check(entry).map_err(|status| in_slot(status, slot))?;
        }
        self.copies.iter().try_for_each(|(source, target)| check_copy(source, target, table))
    }
}

#[cold]
fn in_slot(status: Status, slot: u32) -> Status {
    status.while_doing(format!("checking binding table entry {slot}"))
}

fn check_copy<'a>(source: &'a OwnedPlace, target: &'a OwnedPlace, table: &[BindingEntry<'a>]) -> Result<()> {
    let source = source.resolve(table)?;
    let mut target = target.resolve(table)?;
    if target.length < source.length {
        bail!(OutOfRange, "copy of {} bytes into a range of {}", source.length, target.length);
    }
    target.length = source.length;
    if source.overlap(&target) != Overlap::Disjoint {
        bail!(InvalidArgument, "copy of {} bytes overlaps its source", source.length);
    }
    Ok(())
}
