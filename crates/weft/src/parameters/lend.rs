#![allow(unsafe_code, reason = "lends the memory of a parameter file to a device")]
//! Device buffers over the memory of parameter files.
//!
//! What lives here: [`lend`], the one place that turns such memory into a read-only device buffer, which keeps the memory
//! alive. What does not: when that is done (see `batch.rs`).

use std::ptr::NonNull;
use std::sync::Arc;

use weft_hal::{Allocator, Buffer, BufferParams, MemoryAccess};
use weft_sync::{Result, bail};
use weft_vm::SharedBytes;

/// A read-only device buffer over a range of `bytes`. OUT_OF_RANGE if the range is not inside, or its start is not
/// aligned as the allocator needs it (unless the access has UNALIGNED).
pub(super) fn lend(
    allocator: &Allocator,
    params: &BufferParams,
    bytes: &SharedBytes,
    offset: u64,
    length: u64,
) -> Result<Arc<Buffer>> {
    let all = (**bytes).as_ref();
    let end = offset.checked_add(length).and_then(|end| usize::try_from(end).ok());
    let Some(range) = end.and_then(|end| all.get(offset as usize..end)) else {
        bail!(OutOfRange, "range of {length} bytes at {offset} of {} in memory", all.len());
    };
    let access = params.access.difference(MemoryAccess::WRITE | MemoryAccess::DISCARD) | MemoryAccess::READ;
    let params = BufferParams { access, ..*params };
    let base = NonNull::from(range).cast::<u8>();
    let owner = Box::new(Arc::clone(bytes));
    // SAFETY: the bytes stay at their address, readable and unchanged, as long as the owner, which the device buffer
    // drops last (`SharedBytes` asks for that). WRITE was taken away above, and callers ask only for parameters that the
    // program declared immutable or for sources of transfers, so no kernel writes to them.
    let lent = unsafe { allocator.import_host(&params, base, range.len(), Some(owner)) };
    Ok(lent?)
}
