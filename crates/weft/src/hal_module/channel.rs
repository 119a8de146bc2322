//! `hal.channel.*`: groups of devices that work collectively. No device has them yet; the exports exist so that
//! programs that mention them can be linked.
//!
//! What lives here: the exports, which refuse.

use super::HalState;
use std::sync::Arc;
use weft_hal::{Channel, Device};
use weft_sync::{Result, Status, bail, status};
use weft_vm::Buffer as Bytes;

#[cold]
fn unsupported() -> Status {
    status!(Unimplemented, "collectives not implemented")
}

/// `rIIrrii_r`
pub(super) fn create(
    _: &HalState,
    (_device, _affinity, _flags, _id, _group, _rank, _count): (
        &Device,
        u64,
        u64,
        Option<&Bytes>,
        Option<&Bytes>,
        i32,
        i32,
    ),
) -> Result<Arc<Channel>> {
    Err(unsupported())
}

/// `riiI_r`
pub(super) fn split(
    _: &HalState,
    (_channel, _color, _key, _flags): (&Channel, i32, i32, u64),
) -> Result<Arc<Channel>> {
    Err(unsupported())
}

/// `r_ii`
pub(super) fn rank_and_count(_: &HalState, _channel: &Channel) -> Result<(i32, i32)> {
    bail!(Unimplemented, "collectives not implemented")
}
