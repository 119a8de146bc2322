//! Allocator wrapper that fills fresh memory with 0xCD, so that reading what nobody wrote shows.

use std::sync::Arc;

use weft_sync::Result;

use super::{AllocatorBackend, MemoryHeap, Statistics};
use crate::host_block::HostBlock;
use crate::memory::BufferParams;

/// What fresh memory reads as.
const FRESH: u8 = 0xCD;

/// Fills each new block before it is lent.
pub(super) struct Debug {
    pub(super) wrapped: Arc<dyn AllocatorBackend>,
}

impl AllocatorBackend for Debug {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        let mut block = self.wrapped.allocate_block(params, size)?;
        block.fill(FRESH);
        Ok(block)
    }

    fn statistics(&self) -> Statistics {
        self.wrapped.statistics()
    }

    fn trim(&self) {
        self.wrapped.trim();
    }

    fn heaps(&self) -> &[MemoryHeap] {
        self.wrapped.heaps()
    }
}
