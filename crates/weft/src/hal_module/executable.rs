//! `hal.executable.*`: kernels that programs bring along.
//!
//! What lives here: the exports. What does not: formats and loading (`weft-cpu/src/loader/`).

use super::HalState;
use std::sync::Arc;
use weft_hal::{CachingMode, Device, Executable, ExecutableParams};
use weft_sync::{Result, bail};
use weft_vm::Buffer as Bytes;

/// `rIrrr_r`
pub(super) fn create(
    state: &HalState,
    (device, _affinity, format, data, constants): (&Device, u64, &Bytes, &Bytes, Option<&Bytes>),
) -> Result<Arc<Executable>> {
    if !state.devices.iter().any(|known| known.id() == device.id()) {
        bail!(NotFound, "device `{}` is none of this module's", device.identifier());
    }
    let constants = constants.map_or_else(|| Ok(Vec::new()), specialization_constants)?;
    device.prepare_executable(&ExecutableParams {
        format: &format.text(),
        data: &data.bytes(),
        constants: &constants,
        // No ALIAS_PROVIDED_DATA: nothing would keep the bytes alive as long as the executable.
        caching_mode: CachingMode::ALLOW_OPTIMIZATION,
    })
}

fn specialization_constants(bytes: &Bytes) -> Result<Vec<u32>> {
    let bytes = bytes.bytes();
    let (whole, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        bail!(InvalidArgument, "executable constants have {} bytes, not a multiple of 4", bytes.len());
    }
    Ok(whole.iter().map(|constant| u32::from_le_bytes(*constant)).collect())
}

/// `rr_I`
pub(super) fn lookup_function(_: &HalState, (executable, name): (&Executable, &Bytes)) -> Result<u64> {
    Ok(executable.lookup_function(&name.text())?.0)
}
