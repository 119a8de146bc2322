//! `hal.buffer.*`: ranges of device memory.
//!
//! What lives here: the exports. What does not: ranges, mapping and ownership counts (`weft-hal/src/buffer.rs`).

use super::HalState;
use std::sync::Arc;
use weft_hal::{Allocator, Buffer, BufferUsage, MemoryType};
use weft_sync::{Code, Result, Status, bail};
use weft_vm::Buffer as Bytes;

/// `rrrIii_v`
pub(super) fn assert(
    _: &HalState,
    (buffer, message, _allocator, length_min, memory_type, usage): (
        &Buffer,
        &Bytes,
        &Allocator,
        u64,
        u32,
        u32,
    ),
) -> Result<()> {
    let have = buffer.byte_length();
    if have < length_min {
        return Err(too_short(message, have, length_min));
    }
    let wanted = MemoryType::from_bits_retain(memory_type);
    if !buffer.memory_type().contains(wanted) {
        return Err(lacks(message, "memory type", &buffer.memory_type().to_string(), &wanted.to_string()));
    }
    let wanted = BufferUsage::from_bits_retain(usage);
    if !buffer.usage().contains(wanted) {
        return Err(lacks(message, "usage", &buffer.usage().to_string(), &wanted.to_string()));
    }
    Ok(())
}

#[cold]
fn too_short(message: &Bytes, have: u64, expected: u64) -> Status {
    let text = message.text();
    Status::new(
        Code::InvalidArgument,
        format!("{text} buffer byte length {have} less than expected minimum {expected}"),
    )
}

#[cold]
fn lacks(message: &Bytes, what: &str, have: &str, expected: &str) -> Status {
    let text = message.text();
    Status::new(
        Code::PermissionDenied,
        format!("{text} buffer {what} is {have}, which lacks some of {expected}"),
    )
}

/// `r_v`
pub(super) fn allocation_preserve(_: &HalState, buffer: &Buffer) -> Result<()> {
    buffer.preserve();
    Ok(())
}

/// `r_i`
pub(super) fn allocation_discard(_: &HalState, buffer: &Buffer) -> Result<bool> {
    Ok(buffer.discard())
}

/// `r_i`
pub(super) fn allocation_is_terminal(_: &HalState, buffer: &Buffer) -> Result<bool> {
    Ok(buffer.is_terminal())
}

/// `rII_r`
pub(super) fn subspan(_: &HalState, (buffer, offset, length): (&Buffer, u64, u64)) -> Result<Arc<Buffer>> {
    buffer.subspan(offset, length)
}

/// `r_I`
pub(super) fn length(_: &HalState, buffer: &Buffer) -> Result<u64> {
    Ok(buffer.byte_length())
}

/// `rIi_i`
pub(super) fn load(_: &HalState, (buffer, offset, length): (&Buffer, u64, i32)) -> Result<u32> {
    let width = width(length)?;
    let mut bytes = [0; 4];
    if width > 0 {
        buffer.read(offset, &mut bytes[..width])?;
    }
    Ok(u32::from_le_bytes(bytes))
}

/// `irIi_v`
pub(super) fn store(_: &HalState, (value, buffer, offset, length): (u32, &Buffer, u64, i32)) -> Result<()> {
    let width = width(length)?;
    if width == 0 {
        return Ok(());
    }
    buffer.write(offset, &value.to_le_bytes()[..width])
}

fn width(length: i32) -> Result<usize> {
    match usize::try_from(length) {
        Ok(width) if width <= 4 => Ok(width),
        _ => bail!(InvalidArgument, "a load or store of {length} bytes; expected 0 to 4"),
    }
}
