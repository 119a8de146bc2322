//! Splats as commands of a device: fills where the device has them, else a first stretch and copies that double it.
//!
//! What lives here: [`SplatFill`], [`record`]. What does not: when the commands run (see `batch.rs`).

use std::sync::Arc;

use weft_hal::{
    Buffer, CommandBuffer, CommandBufferMode, CommandBufferParams, CommandCategory, Device, ExecutionStage,
    Operand, QueueAffinity,
};
use weft_sync::Result;

use super::index::SplatPattern;

/// Bytes that the host writes of a pattern that no fill can repeat; copies do the rest.
const STRETCH_BYTES: usize = 4096;

/// A pattern over a range of a buffer, beginning with its first byte.
pub(super) struct SplatFill {
    pub(super) buffer: Arc<Buffer>,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) pattern: SplatPattern,
}

impl SplatFill {
    /// The pattern as the number and the length of a fill, if a fill can do it.
    fn as_fill(&self) -> Option<(u64, u64)> {
        let bytes = self.pattern.bytes();
        let length = bytes.len() as u64;
        let fits = matches!(length, 1 | 2 | 4)
            && self.offset.is_multiple_of(length)
            && self.length.is_multiple_of(length);
        fits.then(|| (bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)), length))
    }

    fn operand(&self, offset: u64, length: u64) -> Operand<'_> {
        Operand::direct(&self.buffer, self.offset + offset, length)
    }

    /// Writes the first stretch: a whole number of patterns, or all there is. How much that was.
    fn begin(&self, commands: &CommandBuffer) -> Result<u64> {
        let pattern = self.pattern.bytes();
        let stretch = STRETCH_BYTES - STRETCH_BYTES % pattern.len();
        let length = usize::try_from(self.length).map_or(stretch, |length| length.min(stretch));
        let bytes: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
        commands.update(&bytes, &self.operand(0, length as u64))?;
        Ok(length as u64)
    }
}

/// A command buffer that does all of them.
pub(super) fn record(
    device: &Device,
    affinity: QueueAffinity,
    fills: &[SplatFill],
) -> Result<Arc<CommandBuffer>> {
    let commands = device.create_command_buffer(CommandBufferParams {
        mode: CommandBufferMode::ONE_SHOT,
        categories: CommandCategory::TRANSFER,
        affinity,
        binding_capacity: 0,
    })?;
    commands.begin()?;
    // Those that are not done, with how far they are.
    let mut unfinished = Vec::new();
    for fill in fills {
        if let Some((bits, pattern_length)) = fill.as_fill() {
            commands.fill(&fill.operand(0, fill.length), bits, pattern_length)?;
        } else {
            unfinished.push((fill, fill.begin(&commands)?));
        }
    }
    loop {
        unfinished.retain(|(fill, done)| *done < fill.length);
        if unfinished.is_empty() {
            break;
        }
        // Each round copies what earlier rounds wrote.
        commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER)?;
        for (fill, done) in &mut unfinished {
            let length = (*done).min(fill.length - *done);
            commands.copy(&fill.operand(0, length), &fill.operand(*done, length))?;
            *done += length;
        }
    }
    commands.end()?;
    Ok(commands)
}
