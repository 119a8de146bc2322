//! Allocator wrapper that runs dry: the first so many blocks are lent, all later requests fail, or some of them.
//!
//! For tests of what happens when memory is short, at each point of a scenario in turn.

use std::ops::Range;
use std::sync::Arc;

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Result, bail};

use super::{AllocatorBackend, MemoryHeap, Statistics};
use crate::buffer::Pinned;
use crate::host_block::HostBlock;
use crate::memory::BufferParams;

pub(super) struct Countdown {
    pub(super) wrapped: Arc<dyn AllocatorBackend>,
    /// Requests so far.
    pub(super) asked: AtomicU64,
    /// The numbers of the requests that are refused, the first being 0.
    pub(super) refused: Range<u64>,
}

impl AllocatorBackend for Countdown {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        // Relaxed: a count, with no order to anything.
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if self.refused.contains(&number) {
            bail!(ResourceExhausted, "the countdown allocator has run dry; {size} bytes were asked for");
        }
        self.wrapped.allocate_block(params, size)
    }

    fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        self.wrapped.prefault(memory, range)
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
