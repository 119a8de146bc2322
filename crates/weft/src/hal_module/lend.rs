#![allow(unsafe_code, reason = "lends the memory of a program's byte buffer to a device")]
//! Device buffers over the memory of `vm.buffer` objects.
//!
//! What lives here: [`lend`], the one place that turns such memory into a device buffer. The device buffer keeps the
//! `vm.buffer` alive. What does not: whether a program may do so (`allocator.rs`, `files.rs`).

use std::sync::Arc;
use weft_hal::{Allocator, Buffer, BufferParams, MemoryAccess};
use weft_sync::{Result, bail};
use weft_vm::Buffer as Bytes;

/// A device buffer over `length` bytes of `source` from `offset` on. OUT_OF_RANGE if the range is not inside, or its
/// start is not aligned as the allocator needs it (unless the access has UNALIGNED).
pub(super) fn lend(
    allocator: &Allocator,
    params: &BufferParams,
    source: &Arc<Bytes>,
    offset: u64,
    length: u64,
) -> Result<Arc<Buffer>> {
    let available = source.len() as u64;
    if offset > available || length > available - offset {
        bail!(OutOfRange, "range of {length} bytes at {offset} of a source of {available}");
    }
    if params.access.contains(MemoryAccess::WRITE) && !source.is_mutable() {
        bail!(PermissionDenied, "constant data cannot be lent for writing");
    }
    // SAFETY: `offset` is at most the length of the source, whose bytes start at `base`.
    let base = unsafe { source.base().add(offset as usize) };
    let owner = Box::new(Arc::clone(source));
    // SAFETY: the bytes stay at their address as long as the owner, which the device buffer drops last; WRITE is given
    // for mutable sources only (checked above), whose bytes are owned by the source and never seen as a Rust slice.
    // Unordered accesses of program and device are the program's fault, as the header of weft-hal's `buffer.rs` says.
    let lent = unsafe { allocator.import_host(params, base, length as usize, Some(owner)) };
    Ok(lent?)
}
