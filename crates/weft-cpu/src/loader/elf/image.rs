//! The second stage: from a plan to memory that is relocated and protected, without executing any of it.
//!
//! Safe for any [`Layout`]: the mapping checks each store against the regions that it has. What does not live here: system
//! calls (`mapping.rs`).

use weft_sync::{Result, WhileDoing, status};

use super::layout::Layout;
use super::mapping::{Mapped, Writable};
use super::relocation::Stored;
use super::segments::Segment;
use crate::loader::graph::{ImageMemory, ImageRange};

/// A file in memory, ready to be called. Unmapped on drop.
#[derive(Debug)]
pub struct Image {
    mapped: Mapped,
    /// Address in memory minus address in the file, wrapping.
    bias: u64,
    segments: Vec<Segment>,
}

impl Image {
    /// Maps, copies, relocates, protects. After a failure nothing stays mapped.
    pub fn load(layout: &Layout<'_>) -> Result<Image> {
        Self::load_steps(layout).while_doing(|| "mapping an embedded ELF file")
    }

    fn load_steps(layout: &Layout<'_>) -> Result<Image> {
        let plan = &layout.segments;
        let low = plan.span.start;
        let mut memory = Writable::reserve(plan, layout.page_bytes)?;
        let bias = memory.base_address().wrapping_sub(low);
        for segment in &plan.segments {
            let start = segment.file_offset as usize;
            let bytes = layout.data.get(start..start + segment.file_bytes as usize).unwrap_or_default();
            memory.store(segment.memory.start - low, bytes)?;
        }
        for fixup in layout.relocations.fixups(plan) {
            let fixup = fixup?;
            let offset = fixup.target - low;
            match fixup.stored(bias)? {
                Stored::Bytes8(bytes) => memory.store(offset, &bytes)?,
                Stored::Bytes4(bytes) => memory.store(offset, &bytes)?,
            }
        }
        let read_only = plan.read_only.as_ref().map(|pages| pages.start - low..pages.end - low);
        let mapped = memory.protect(read_only)?;
        Ok(Image { mapped, bias, segments: plan.segments.clone() })
    }

    /// Where an address of the file is in memory.
    pub fn address_of(&self, file_address: u64) -> u64 {
        file_address.wrapping_add(self.bias)
    }

    /// The readable segments as they are now.
    ///
    /// Only for the time between protection and the first kernel call: afterwards kernels may write to writable segments.
    pub(crate) fn memory(&mut self) -> Result<ImageMemory<'_>> {
        let mut ranges = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            if !segment.protection.read {
                continue;
            }
            let address = segment.memory.start.wrapping_add(self.bias);
            let bytes = self
                .mapped
                .bytes(address, segment.memory.end - segment.memory.start)
                .ok_or_else(|| status!(Internal, "segment at {address:#x} is not mapped"))?;
            ranges.push(ImageRange { address, bytes, executable: segment.protection.execute });
        }
        Ok(ImageMemory::new(ranges))
    }
}
