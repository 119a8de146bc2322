//! Reading a FlatBuffer that nobody has checked.
//!
//! 1. Every position is computed with checked arithmetic and every byte is read through a bounds-checked slice;
//!    fixed-width values are assembled from bytes, so no alignment is assumed anywhere.
//! 2. Offsets only point forward and nothing is followed that the caller did not name, so the depth of a walk is
//!    the depth of the caller's code, whatever the buffer contains.
//! 3. Vectors may share their elements, so a small buffer can describe a huge tree. Everything that is visited is
//!    paid for from a budget proportional to the buffer's size; a buffer that overspends is refused.
//!
//! Not here: which tables there are (`read.rs`).

use std::cell::Cell;
use std::ops::Range;

use weft_sync::{Result, bail, status};

/// Bytes of work that a buffer may cause for each byte of its own. Compilers share next to nothing; a hundred
/// functions sharing one signature stay far below.
const WORK_PER_BYTE: usize = 16;
/// Work that even the smallest buffer may cause.
const WORK_MIN: usize = 1 << 20;

/// A FlatBuffer without its size prefix.
pub(crate) struct FlatBuffer<'a> {
    bytes: &'a [u8],
    work_left: Cell<usize>,
}

impl<'a> FlatBuffer<'a> {
    /// Wraps bytes; they are checked as they are visited.
    pub fn new(bytes: &'a [u8]) -> FlatBuffer<'a> {
        let work = bytes.len().saturating_mul(WORK_PER_BYTE).max(WORK_MIN);
        FlatBuffer { bytes, work_left: Cell::new(work) }
    }

    /// The root table.
    pub fn root(&self) -> Result<Table<'_>> {
        let position = self.follow(0, "root table")?;
        self.table(position, "root table")
    }

    /// The table at a position obtained from [`Table::table_position`].
    pub fn table(&self, position: usize, what: &'static str) -> Result<Table<'_>> {
        let distance = i64::from(self.u32(position, what)? as i32);
        let vtable = i64::try_from(position).ok().and_then(|position| position.checked_sub(distance));
        let Some(vtable) = vtable.and_then(|vtable| usize::try_from(vtable).ok()) else {
            bail!(InvalidArgument, "FlatBuffer: {what}: vtable before the start of the buffer");
        };
        let vtable_size = usize::from(self.u16(vtable, what)?);
        let inline_size = usize::from(self.u16(offset(vtable, 2), what)?);
        if vtable_size < 4 || vtable_size % 2 != 0 {
            bail!(InvalidArgument, "FlatBuffer: {what}: vtable of {vtable_size} bytes");
        }
        self.slice(vtable, vtable_size, what)?;
        self.slice(position, inline_size.max(4), what)?;
        self.pay(16, what)?;
        Ok(Table { buffer: self, position, vtable, slots: (vtable_size - 4) / 2, inline_size })
    }

    fn slice(&self, start: usize, length: usize, what: &str) -> Result<&'a [u8]> {
        let end = start.checked_add(length);
        let slice = end.and_then(|end| self.bytes.get(start..end));
        slice.ok_or_else(|| {
            status!(
                InvalidArgument,
                "FlatBuffer: {what}: {length} bytes at {start} lie outside the buffer of {} bytes",
                self.bytes.len()
            )
        })
    }

    fn u16(&self, position: usize, what: &str) -> Result<u16> {
        let bytes = self.slice(position, 2, what)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, position: usize, what: &str) -> Result<u32> {
        let bytes = self.slice(position, 4, what)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The target of the offset stored at `position`.
    fn follow(&self, position: usize, what: &str) -> Result<usize> {
        match self.u32(position, what)? {
            0 => bail!(InvalidArgument, "FlatBuffer: {what}: offset at {position} is zero"),
            distance => Ok(offset(position, distance as usize)),
        }
    }

    /// The elements of the vector at `position`, as a range of the buffer.
    fn vector(&self, position: usize, stride: usize, what: &str) -> Result<Range<usize>> {
        let count = self.u32(position, what)? as usize;
        let Some(length) = count.checked_mul(stride) else {
            bail!(InvalidArgument, "FlatBuffer: {what}: vector of {count} elements");
        };
        let start = offset(position, 4);
        self.slice(start, length, what)?;
        Ok(start..start + length)
    }

    fn string(&self, position: usize, what: &str) -> Result<String> {
        let range = self.vector(position, 1, what)?;
        if self.slice(range.end, 1, what)? != [0] {
            bail!(InvalidArgument, "FlatBuffer: {what}: string at {position} has no NUL at its end");
        }
        self.pay(range.len() + 16, what)?;
        Ok(String::from_utf8_lossy(&self.bytes[range]).into_owned())
    }

    fn pay(&self, work: usize, what: &str) -> Result<()> {
        let Some(left) = self.work_left.get().checked_sub(work) else {
            bail!(
                InvalidArgument,
                "FlatBuffer: {what}: parts are shared so often that reading them has no end"
            );
        };
        self.work_left.set(left);
        Ok(())
    }
}

/// Positions past the end of the address space are past the end of any buffer, which is what readers check.
fn offset(position: usize, distance: usize) -> usize {
    position.saturating_add(distance)
}

/// A table whose vtable and inline part are known to lie inside the buffer.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    buffer: &'a FlatBuffer<'a>,
    position: usize,
    vtable: usize,
    slots: usize,
    inline_size: usize,
}

impl<'a> Table<'a> {
    /// Where field `id` of `size` bytes is stored; `None` if it is absent.
    fn field(&self, id: usize, size: usize, what: &str) -> Result<Option<usize>> {
        if id >= self.slots {
            return Ok(None);
        }
        let at = usize::from(self.buffer.u16(self.vtable + 4 + 2 * id, what)?);
        if at == 0 {
            return Ok(None);
        }
        if at < 4 || at + size > self.inline_size {
            bail!(
                InvalidArgument,
                "FlatBuffer: {what}: field at {at} lies outside its table of {} bytes",
                self.inline_size
            );
        }
        Ok(Some(self.position + at))
    }

    /// An 8-bit field, 0 if absent.
    pub fn u8(&self, id: usize, what: &str) -> Result<u8> {
        let position = self.field(id, 1, what)?;
        position.map_or(Ok(0), |position| Ok(self.buffer.slice(position, 1, what)?[0]))
    }

    /// A 32-bit field.
    pub fn u32(&self, id: usize, default: u32, what: &str) -> Result<u32> {
        let position = self.field(id, 4, what)?;
        position.map_or(Ok(default), |position| self.buffer.u32(position, what))
    }

    /// A signed 32-bit field, 0 if absent.
    pub fn i32(&self, id: usize, what: &str) -> Result<i32> {
        Ok(self.u32(id, 0, what)? as i32)
    }

    /// A 64-bit field, 0 if absent.
    pub fn u64(&self, id: usize, what: &str) -> Result<u64> {
        let Some(position) = self.field(id, 8, what)? else { return Ok(0) };
        let low = u64::from(self.buffer.u32(position, what)?);
        let high = u64::from(self.buffer.u32(offset(position, 4), what)?);
        Ok(high << 32 | low)
    }

    fn target(&self, id: usize, what: &str) -> Result<Option<usize>> {
        self.field(id, 4, what)?.map(|position| self.buffer.follow(position, what)).transpose()
    }

    /// Whether an offset field is present.
    pub fn has(&self, id: usize, what: &str) -> Result<bool> {
        Ok(self.field(id, 4, what)?.is_some())
    }

    /// A string field. Bytes that are no UTF-8 are replaced: the format does not demand UTF-8, and names that are
    /// compared come from sources that write it.
    pub fn string(&self, id: usize, what: &str) -> Result<Option<String>> {
        self.target(id, what)?.map(|position| self.buffer.string(position, what)).transpose()
    }

    /// A table field.
    pub fn table(&self, id: usize, what: &'static str) -> Result<Option<Table<'a>>> {
        self.target(id, what)?.map(|position| self.buffer.table(position, what)).transpose()
    }

    /// Where a table field's value is, unvisited.
    pub fn table_position(&self, id: usize, what: &'static str) -> Result<Option<usize>> {
        self.target(id, what)
    }

    /// A vector of `stride`-byte elements, as a range of the buffer.
    pub fn scalars(&self, id: usize, stride: usize, what: &str) -> Result<Option<Range<usize>>> {
        self.target(id, what)?.map(|position| self.buffer.vector(position, stride, what)).transpose()
    }

    /// A vector of `stride`-byte elements, as chunks of bytes.
    pub fn chunks(
        &self,
        id: usize,
        stride: usize,
        what: &str,
    ) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + use<'a>> {
        let range = self.scalars(id, stride, what)?.unwrap_or(0..0);
        self.buffer.pay(range.len(), what)?;
        Ok(self.buffer.bytes[range].chunks_exact(stride))
    }

    /// One byte of a range that [`Self::scalars`] returned.
    pub fn byte(&self, position: usize) -> Option<u8> {
        self.buffer.bytes.get(position).copied()
    }

    /// A vector of offsets; empty if absent.
    pub fn offsets(&self, id: usize, what: &'static str) -> Result<Offsets<'a>> {
        let range = self.scalars(id, 4, what)?.unwrap_or(0..0);
        Ok(Offsets { buffer: self.buffer, range, what })
    }
}

/// A vector of offsets to tables or strings.
#[derive(Clone)]
pub(crate) struct Offsets<'a> {
    buffer: &'a FlatBuffer<'a>,
    range: Range<usize>,
    what: &'static str,
}

impl<'a> Offsets<'a> {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.range.len() / 4
    }

    /// Element `index` as a table; `None` past the end.
    pub fn table(&self, index: usize) -> Result<Option<Table<'a>>> {
        if index >= self.len() {
            return Ok(None);
        }
        let position = self.buffer.follow(self.range.start + 4 * index, self.what)?;
        self.buffer.table(position, self.what).map(Some)
    }

    /// Every element, as a table.
    pub fn tables(self) -> impl Iterator<Item = Result<Table<'a>>> {
        (0..self.len()).map_while(move |index| self.table(index).transpose())
    }
}
