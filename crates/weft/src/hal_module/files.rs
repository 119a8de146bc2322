//! `hal.ex.file.*`: files as sources and targets of queue transfers.
//!
//! What lives here: the exports. What does not: reading and writing (`weft-hal/src/file.rs`).

use super::{HalState, lend};
use std::sync::Arc;
use weft_hal::{BufferParams, BufferUsage, Device, File, MemoryAccess, WHOLE_BUFFER};
use weft_sync::{Result, bail};
use weft_vm::Buffer as Bytes;
use weft_vm::native::Object;

/// `rIirIIi_r`: a read-only file over the bytes of a `vm.buffer`, which it keeps alive.
pub(super) fn from_memory(
    _: &HalState,
    (device, _affinity, access, source, offset, length, _flags): (
        &Device,
        u64,
        u32,
        Object<'_, Bytes>,
        u64,
        u64,
        u32,
    ),
) -> Result<Arc<File>> {
    if access != u32::from(MemoryAccess::READ.bits()) {
        bail!(
            PermissionDenied,
            "files over program memory can only be read; access {access:#x} was asked for"
        );
    }
    let rest = (source.len() as u64).saturating_sub(offset);
    let length = if length == WHOLE_BUFFER { rest } else { length };
    let params = BufferParams {
        usage: BufferUsage::TRANSFER | BufferUsage::SHARING_IMMUTABLE,
        access: MemoryAccess::READ | MemoryAccess::UNALIGNED,
        ..BufferParams::device_local()
    };
    let storage = lend::lend(device.allocator(), &params, &source.to_arc(), offset, length)?;
    Ok(Arc::new(File::from_memory(MemoryAccess::READ, storage)))
}
