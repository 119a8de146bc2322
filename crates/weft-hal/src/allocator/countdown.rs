//! Allocator wrapper that runs dry: the first so many blocks are lent, all later requests fail.
//!
//! For tests of what happens when memory is short, at each point of a scenario in turn.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Result, bail};

use super::{AllocatorBackend, MemoryHeap, Statistics};
use crate::host_block::HostBlock;
use crate::memory::BufferParams;

pub(super) struct Countdown {
    pub(super) wrapped: Arc<dyn AllocatorBackend>,
    /// Blocks that may still be lent.
    pub(super) left: AtomicU64,
}

impl AllocatorBackend for Countdown {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        let take = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            bail!(ResourceExhausted, "the countdown allocator has run dry; {size} bytes were asked for");
        }
        self.wrapped.allocate_block(params, size)
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
