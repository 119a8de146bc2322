//! `hal.device.*` and `hal.devices.*` without the queues: which devices there are and what they can do.
//!
//! What lives here: the exports. What does not: queue operations (`queue.rs`).

use super::HalState;
use std::sync::Arc;
use weft_hal::{Allocator, Device};
use weft_sync::Result;
use weft_vm::Buffer as Bytes;

/// `r_r`
pub(super) fn allocator(_: &HalState, device: &Device) -> Result<Arc<Allocator>> {
    Ok(Arc::clone(device.allocator()))
}

/// `rrr_iI`: unknown categories and keys are answered with "not found", never with an error.
pub(super) fn query_i64(
    _: &HalState,
    (device, category, key): (&Device, &Bytes, &Bytes),
) -> Result<(bool, i64)> {
    let answer = device.query_i64(&category.text(), &key.text());
    Ok((answer.is_some(), answer.unwrap_or(0)))
}

/// `v_i`
pub(super) fn count(state: &HalState, (): ()) -> Result<i32> {
    Ok(i32::try_from(state.devices.len()).unwrap_or(i32::MAX))
}

/// `i_r`: null for an index that no device has.
pub(super) fn get(state: &HalState, index: i32) -> Result<Option<Arc<Device>>> {
    Ok(usize::try_from(index).ok().and_then(|index| state.devices.get(index)).cloned())
}
