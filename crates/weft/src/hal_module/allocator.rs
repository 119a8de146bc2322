//! `hal.allocator.*`: device memory that exists at once.
//!
//! What lives here: the exports, and lending the memory of a `vm.buffer` to a device.
//! What does not: completing parameters, statistics (`weft-hal/src/allocator/`).

use super::{HalState, lend};
use std::sync::Arc;
use weft_hal::{
    Allocator, Buffer, BufferParams, BufferUsage, Device, MemoryAccess, MemoryType, QueueAffinity,
    WHOLE_BUFFER,
};
use weft_sync::{Result, bail};
use weft_vm::Buffer as Bytes;
use weft_vm::native::{Object, Span};

/// Pairs that one selection may offer.
const SELECT_PAIRS_MAX: usize = 64;

/// `iiICrID_rI`: one of several devices for a buffer that all of them use: the lead device if it is among them.
pub(super) fn select(
    state: &HalState,
    (_memory_type, _usage, _flags, pairs): (u32, u32, u64, Span<'_, (Object<'_, Device>, u64)>),
) -> Result<(Arc<Device>, u64)> {
    if pairs.len() > SELECT_PAIRS_MAX {
        bail!(ResourceExhausted, "{} devices to select from, at most {SELECT_PAIRS_MAX}", pairs.len());
    }
    let lead = state.devices.get(state.lead_device).map(|device| device.id());
    let (mut first, mut leading) = (None, None);
    // To the end: a null is an error wherever it stands.
    for pair in pairs.iter() {
        let (device, affinity) = pair?;
        first.get_or_insert((device, affinity));
        if Some(device.id()) == lead {
            leading.get_or_insert((device, affinity));
        }
    }
    match leading.or(first) {
        Some((device, affinity)) => Ok((device.to_arc(), affinity)),
        None => bail!(InvalidArgument, "no device to select from"),
    }
}

fn params(memory_type: u32, usage: u32, affinity: u64) -> BufferParams {
    BufferParams {
        usage: BufferUsage::from_bits_retain(usage),
        access: MemoryAccess::empty(),
        memory_type: MemoryType::from_bits_retain(memory_type),
        affinity: QueueAffinity(affinity),
        alignment_min: 0,
    }
}

/// `rIiiI_r`
pub(super) fn allocate(
    _: &HalState,
    (allocator, affinity, memory_type, usage, size): (&Allocator, u64, u32, u32, u64),
) -> Result<Arc<Buffer>> {
    allocator.allocate(&params(memory_type, usage, affinity), size)
}

/// `riIiirII_r`: the memory of a `vm.buffer` as a device buffer, without a copy. With `try`, null where it cannot be.
pub(super) fn import(
    _: &HalState,
    (allocator, is_try, affinity, memory_type, usage, source, offset, length): (
        &Allocator,
        i32,
        u64,
        u32,
        u32,
        Object<'_, Bytes>,
        u64,
        u64,
    ),
) -> Result<Option<Arc<Buffer>>> {
    let mut params = params(memory_type, usage, affinity);
    let shares_immutable = params.usage.contains(BufferUsage::SHARING_IMMUTABLE);
    if !source.is_mutable() && !shares_immutable {
        bail!(
            PermissionDenied,
            "constant data can be imported only with usage SHARING_IMMUTABLE, not {}",
            params.usage
        );
    }
    let available = source.len() as u64;
    let rest = available.checked_sub(offset);
    let wanted = if length == WHOLE_BUFFER { rest } else { rest.and(Some(length)) };
    let (Some(length), true) = (wanted, rest >= wanted) else {
        bail!(InvalidArgument, "import of {length} bytes at {offset} from a source of {available}");
    };
    params.access = MemoryAccess::READ;
    if source.is_mutable() && !shares_immutable {
        params.access |= MemoryAccess::WRITE | MemoryAccess::DISCARD;
    }
    match lend::lend(allocator, &params, &source.to_arc(), offset, length) {
        Ok(buffer) => Ok(Some(buffer)),
        Err(_) if is_try != 0 => Ok(None),
        Err(status) => Err(status),
    }
}
