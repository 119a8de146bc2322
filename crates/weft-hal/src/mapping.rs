//! Host access to buffers: mappings, and transfers through them.
//!
//! What lives here: [`Mapping`], and `read`, `write`, `fill`, `zero`, `copy` of [`Buffer`]. The order against queues
//! is the caller's duty; see the header of `buffer.rs`.

#![allow(unsafe_code, reason = "copies through raw addresses; ranges are checked and pinned just before")]

use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::buffer::{Buffer, Overlap, Pinned};
use crate::memory::{BufferUsage, MappingMode, MemoryAccess, MemoryType};
use crate::validate::{self, Pattern};

/// A range of a buffer that the host may access until this value is dropped (that is the unmap).
pub struct Mapping {
    buffer: Arc<Buffer>,
    base: *mut u8,
    length: usize,
    access: MemoryAccess,
}

// SAFETY: an address without thread affinity, kept good by the pin and the retained buffer.
unsafe impl Send for Mapping {}
// SAFETY: as above; the methods that touch bytes either are unsafe or copy under the rules of `buffer.rs`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// First byte.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes that are mapped.
    pub fn length(&self) -> usize {
        self.length
    }

    /// What the mapping may be used for.
    pub fn access(&self) -> MemoryAccess {
        self.access
    }

    /// The buffer that is mapped.
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// Part of the mapping as addresses: offsets are relative to the mapping.
    pub fn subspan(&self, offset: u64, length: u64) -> Result<(*mut u8, usize)> {
        let range = validate::byte_range(self.length as u64, offset, length)?;
        Ok((self.base.wrapping_add(range.offset as usize), range.length as usize))
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    /// Nobody writes the range while the slice lives: neither a queue nor another thread nor another mapping.
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: pinned and initialised for `length` bytes; no writer by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.base, self.length) }
    }

    /// The bytes as a mutable slice. The mapping must have been made with WRITE.
    ///
    /// # Safety
    /// Nobody else reads or writes the range while the slice lives.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(self.access.contains(MemoryAccess::WRITE), "a mapping without WRITE is not written");
        // SAFETY: pinned, writable (asserted) and initialised; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.length) }
    }

    /// Makes device writes visible to the host. Memory of CPU devices is coherent: only the access is checked.
    pub fn invalidate(&self, offset: u64, length: u64) -> Result<()> {
        self.require(MemoryAccess::READ, "invalidate")?;
        self.subspan(offset, length).map(drop)
    }

    /// Makes host writes visible to devices. Memory of CPU devices is coherent: only the access is checked.
    pub fn flush(&self, offset: u64, length: u64) -> Result<()> {
        self.require(MemoryAccess::WRITE, "flush")?;
        self.subspan(offset, length).map(drop)
    }

    fn require(&self, access: MemoryAccess, what: &str) -> Result<()> {
        if !self.access.contains(access) {
            bail!(PermissionDenied, "{what} needs a mapping with {access}; this one has {}", self.access);
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.buffer.unpin();
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapping({:p}, {} bytes, {})", self.base, self.length, self.access)
    }
}

impl Buffer {
    /// Maps a range for the host.
    pub fn map(&self, mode: MappingMode, access: MemoryAccess, offset: u64, length: u64) -> Result<Mapping> {
        let usage = match mode {
            MappingMode::Scoped => BufferUsage::MAPPING_SCOPED,
            MappingMode::Persistent => BufferUsage::MAPPING_PERSISTENT,
        };
        let access = if access.contains(MemoryAccess::ANY) { access.union(self.access()) } else { access };
        let pinned = self.prepare_host_access(usage, access, offset, length)?;
        let mapping = Mapping { buffer: self.retain(), base: pinned.base(), length: pinned.length(), access };
        // The pin now belongs to the mapping, which ends it when dropped.
        std::mem::forget(pinned);
        Ok(mapping)
    }

    /// The checks of every host access, then the address.
    fn prepare_host_access(
        &self,
        usage: BufferUsage,
        access: MemoryAccess,
        offset: u64,
        length: u64,
    ) -> Result<Pinned<'_>> {
        validate::memory_type(self, MemoryType::HOST_VISIBLE)?;
        validate::memory_access(self, access)?;
        validate::usage(self, usage)?;
        let range = validate::byte_range(self.byte_length(), offset, length)?;
        self.pin()?.narrow(range.offset, range.length)
    }

    fn host_range(&self, access: MemoryAccess, offset: u64, length: u64) -> Result<Pinned<'_>> {
        self.prepare_host_access(BufferUsage::MAPPING_SCOPED, access, offset, length)
    }

    /// Copies bytes out of the buffer.
    pub fn read(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        let source = self.host_range(MemoryAccess::READ, offset, target.len() as u64)?;
        // SAFETY: the source range is pinned and checked to have `target.len()` bytes; `target` is a distinct Rust
        // object or, if it came from a mapping, handled by copying as if through a temporary.
        unsafe { std::ptr::copy(source.base(), target.as_mut_ptr(), target.len()) };
        Ok(())
    }

    /// Copies bytes into the buffer.
    pub fn write(&self, offset: u64, source: &[u8]) -> Result<()> {
        let target = self.host_range(MemoryAccess::DISCARD_WRITE, offset, source.len() as u64)?;
        // SAFETY: the target range is pinned, writable and checked to have `source.len()` bytes.
        unsafe { std::ptr::copy(source.as_ptr(), target.base(), source.len()) };
        Ok(())
    }

    /// All bytes of a range, as a new vector.
    pub fn read_to_vec(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let range = validate::byte_range(self.byte_length(), offset, length)?;
        let mut bytes = vec![0; range.length as usize];
        self.read(range.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Sets a range to zero.
    pub fn zero(&self, offset: u64, length: u64) -> Result<()> {
        self.fill(offset, length, &[0])
    }

    /// Repeats a pattern of 1, 2 or 4 bytes over a range that is a multiple of it.
    pub fn fill(&self, offset: u64, length: u64, pattern: &[u8]) -> Result<()> {
        let pattern = Pattern::from_bytes(pattern)?;
        let range = validate::byte_range(self.byte_length(), offset, length)?;
        pattern.check_range(range.offset, range.length)?;
        let target = self.host_range(MemoryAccess::DISCARD_WRITE, range.offset, range.length)?;
        // SAFETY: the target range is pinned, writable and has `target.length()` bytes.
        unsafe { fill_bytes(target.base(), target.length(), pattern) };
        Ok(())
    }

    /// Copies between buffers. Overlapping ranges are INVALID_ARGUMENT. A length of 0 does nothing.
    pub fn copy_from(
        &self,
        target_offset: u64,
        source: &Buffer,
        source_offset: u64,
        length: u64,
    ) -> Result<()> {
        let from = source.normalize(source_offset, length)?;
        let to = self.normalize(target_offset, from.length)?;
        if from.length == 0 {
            return Ok(());
        }
        if from.overlap(&to) != Overlap::Disjoint {
            bail!(InvalidArgument, "copy of {} bytes overlaps its source", from.length);
        }
        let target = self.host_range(MemoryAccess::DISCARD_WRITE, target_offset, from.length)?;
        let bytes = source.host_range(MemoryAccess::READ, source_offset, from.length)?;
        // SAFETY: both ranges are pinned and checked to have this many bytes; `copy` allows any overlap through
        // aliasing imports.
        unsafe { std::ptr::copy(bytes.base(), target.base(), target.length()) };
        Ok(())
    }
}

/// Repeats a pattern over `length` bytes; a rest shorter than the pattern gets its first bytes.
///
/// # Safety
/// `base` is valid for writes of `length` bytes.
pub unsafe fn fill_bytes(base: *mut u8, length: usize, pattern: Pattern) {
    let bytes = pattern.repeated.to_le_bytes();
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        // SAFETY: as promised by the caller.
        unsafe { base.write_bytes(bytes[0], length) };
        return;
    }
    for index in 0..length / 4 {
        // SAFETY: `4 * index + 4 <= length`, all of it valid by the caller's promise.
        let target = unsafe { base.add(4 * index) };
        // SAFETY: as above; a byte array has no alignment to violate.
        unsafe { target.cast::<[u8; 4]>().write(bytes) };
    }
    for (index, byte) in (length / 4 * 4..length).zip(bytes) {
        // SAFETY: `index < length`.
        let target = unsafe { base.add(index) };
        // SAFETY: as promised by the caller.
        unsafe { target.write(byte) };
    }
}
