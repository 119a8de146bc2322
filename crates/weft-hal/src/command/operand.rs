//! Operands of commands: a buffer, or a slot of the table that a submission brings.

use std::sync::Arc;

use weft_sync::{Result, bail};

use super::flags::DispatchFlags;
use crate::buffer::{Buffer, BufferRange};
use crate::executable::{Executable, FunctionId};
use crate::memory::WHOLE_BUFFER;
use crate::validate;

/// A range as a caller names it: unchecked, possibly `WHOLE_BUFFER` long.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// The buffer.
    pub buffer: &'a Buffer,
    /// First byte, relative to the buffer.
    pub offset: u64,
    /// Bytes, or `WHOLE_BUFFER` for the rest.
    pub length: u64,
}

impl<'a> Region<'a> {
    /// All of a buffer.
    pub fn whole(buffer: &'a Buffer) -> Region<'a> {
        Region { buffer, offset: 0, length: WHOLE_BUFFER }
    }

    /// The checked range of the allocated buffer.
    #[inline]
    pub fn check(&self) -> Result<BufferRange<'a>> {
        self.buffer.normalize(self.offset, self.length)
    }
}

/// What a recorded command refers to. With a buffer it is *direct* and the slot means nothing; without, it is
/// *indirect* and refers to entry `slot` of the table given at submission.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The buffer of a direct operand.
    pub buffer: Option<&'a Buffer>,
    /// The table entry of an indirect operand.
    pub slot: u32,
    /// First byte, relative to the buffer or to the entry's offset.
    pub offset: u64,
    /// Bytes, or `WHOLE_BUFFER` for the rest.
    pub length: u64,
}

impl<'a> Operand<'a> {
    /// A range of a buffer.
    pub fn direct(buffer: &'a Buffer, offset: u64, length: u64) -> Operand<'a> {
        Operand { buffer: Some(buffer), slot: 0, offset, length }
    }

    /// A range of a table entry.
    pub fn slot(slot: u32, offset: u64, length: u64) -> Operand<'a> {
        Operand { buffer: None, slot, offset, length }
    }

    /// The operand as devices see it: direct ranges checked and resolved, slots as they are.
    #[inline]
    pub fn place(&self) -> Result<Place<'a>> {
        let Some(buffer) = self.buffer else {
            return Ok(Place::Slot { slot: self.slot, offset: self.offset, length: self.length });
        };
        buffer.normalize(self.offset, self.length).map(Place::Direct)
    }
}

/// An operand that was validated.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A range of an allocated buffer.
    Direct(BufferRange<'a>),
    /// A range of a table entry; the length may be `WHOLE_BUFFER`.
    Slot {
        /// Index in the table.
        slot: u32,
        /// First byte after the entry's offset.
        offset: u64,
        /// Bytes, or `WHOLE_BUFFER` for the rest of the entry.
        length: u64,
    },
}

impl Place<'_> {
    /// Bytes, or `WHOLE_BUFFER` for the rest of a table entry.
    pub fn length(&self) -> u64 {
        match self {
            Place::Direct(range) => range.length,
            Place::Slot { length, .. } => *length,
        }
    }
}

/// An entry of the table that a submission brings.
#[derive(Clone, Copy, Debug)]
pub struct BindingEntry<'a> {
    /// The buffer; entries that no command uses may have none.
    pub buffer: Option<&'a Buffer>,
    /// First byte.
    pub offset: u64,
    /// Bytes, or `WHOLE_BUFFER` for the rest.
    pub length: u64,
}

impl<'a> BindingEntry<'a> {
    /// All of a buffer.
    pub fn whole(buffer: &'a Buffer) -> BindingEntry<'a> {
        BindingEntry { buffer: Some(buffer), offset: 0, length: WHOLE_BUFFER }
    }

    /// The checked range of the allocated buffer. INVALID_ARGUMENT if there is no buffer.
    #[inline]
    pub fn check(&self, slot: usize) -> Result<BufferRange<'a>> {
        match self.buffer {
            Some(buffer) => buffer.normalize(self.offset, self.length),
            None => bail!(InvalidArgument, "binding table entry {slot} is used but has no buffer"),
        }
    }
}

/// How many workgroups a dispatch has.
#[derive(Clone, Copy, Debug)]
pub enum WorkgroupCount<'a> {
    /// These.
    Direct([u32; 3]),
    /// Three 32-bit numbers in a buffer that no longer changes once the waits are over.
    IndirectStatic(Operand<'a>),
    /// Three 32-bit numbers in a buffer, read immediately before the dispatch.
    IndirectDynamic(Operand<'a>),
}

impl<'a> WorkgroupCount<'a> {
    /// Where indirect counts are.
    pub fn source(&self) -> Option<&Operand<'a>> {
        match self {
            WorkgroupCount::Direct(_) => None,
            WorkgroupCount::IndirectStatic(source) | WorkgroupCount::IndirectDynamic(source) => Some(source),
        }
    }
}

/// One dispatch: which kernel, how often, on what.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a> {
    /// Where the function is.
    pub executable: &'a Executable,
    /// Which function.
    pub function: FunctionId,
    /// Workgroup size; 0 = what the function declares.
    pub workgroup_size: [u32; 3],
    /// Number of workgroups. 0 anywhere means no work.
    pub workgroup_count: WorkgroupCount<'a>,
    /// Local memory in addition to what the function declares.
    pub local_memory_bytes: u32,
    /// Push constants. That their byte length is a multiple of 4 is a fact of the type.
    pub constants: &'a [u32],
    /// Bindings, in the order of the function.
    pub bindings: &'a [Operand<'a>],
    /// How it gets its arguments.
    pub flags: DispatchFlags,
}

/// An operand that outlives the recording call.
#[derive(Clone, Debug)]
pub enum OwnedPlace {
    /// A range of an allocated buffer.
    Direct {
        /// The allocated buffer.
        buffer: Arc<Buffer>,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// A range of a table entry.
    Slot {
        /// Index in the table.
        slot: u32,
        /// First byte after the entry's offset.
        offset: u64,
        /// Bytes, or `WHOLE_BUFFER`.
        length: u64,
    },
}

impl OwnedPlace {
    /// Retains the buffer of a direct place.
    pub fn new(place: &Place<'_>) -> OwnedPlace {
        match *place {
            Place::Direct(BufferRange { buffer, offset, length }) => {
                OwnedPlace::Direct { buffer: buffer.retain(), offset, length }
            }
            Place::Slot { slot, offset, length } => OwnedPlace::Slot { slot, offset, length },
        }
    }

    /// The range it refers to, given a checked table.
    pub fn resolve<'a>(&'a self, table: &[BindingEntry<'a>]) -> Result<BufferRange<'a>> {
        match *self {
            OwnedPlace::Direct { ref buffer, offset, length } => Ok(BufferRange { buffer, offset, length }),
            OwnedPlace::Slot { slot, offset, length } => {
                let Some(entry) = table.get(slot as usize) else {
                    bail!(OutOfRange, "slot {slot} of a binding table with {} entries", table.len());
                };
                let entry = entry.check(slot as usize)?;
                let range = validate::byte_range(entry.length, offset, length)?;
                Ok(BufferRange {
                    buffer: entry.buffer,
                    offset: entry.offset + range.offset,
                    length: range.length,
                })
            }
        }
    }
}
