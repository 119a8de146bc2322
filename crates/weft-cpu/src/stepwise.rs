//! For tests: memory that is made present in counted steps.

use std::ops::Range;

use weft_hal::{AllocatorBackend, BufferParams, HostBlock, Pinned, Statistics};
use weft_sync::atomic::{AtomicUsize, Ordering};
use weft_sync::{CancelToken, Result};

use crate::host_memory::HostMemory;

pub(crate) const STEP_BYTES: usize = 1 << 20;

/// Host memory whose steps have [`STEP_BYTES`] each, and a token that is cancelled during the first.
#[derive(Default)]
pub(crate) struct Stepwise {
    pub(crate) memory: HostMemory,
    pub(crate) steps: AtomicUsize,
    pub(crate) cancelled_meanwhile: Option<CancelToken>,
}

impl AllocatorBackend for Stepwise {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        self.memory.allocate_block(params, size)
    }

    fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        assert!(range.end <= memory.length(), "all of the allocated buffer, and a range of it");
        if let Some(token) = &self.cancelled_meanwhile {
            token.cancel();
        }
        self.steps.fetch_add(1, Ordering::Relaxed);
        range.end.min(range.start + STEP_BYTES)
    }

    fn statistics(&self) -> Statistics {
        self.memory.statistics()
    }

    fn trim(&self) {}
}
