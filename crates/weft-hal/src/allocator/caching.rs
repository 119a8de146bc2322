//! Allocator wrapper that keeps freed blocks and lends them again.
//!
//! A block is lent again only for a request of exactly its size, whose type and usage it covers; the one freed last
//! comes first. Exported, immutable and replicated buffers pass by. No lock is held while the wrapped allocator
//! allocates or frees.

use std::ops::Range;
use std::sync::{Arc, Weak};

use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};

use super::{AllocatorBackend, MemoryHeap, Statistics};
use crate::buffer::Pinned;
use crate::host_block::{BlockKeeper, HostBlock};
use crate::memory::{BufferParams, BufferUsage, MemoryType};

/// How much one pool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachingLimits {
    /// Larger allocations are not kept.
    pub allocation_size_max: u64,
    /// Most bytes that are kept.
    pub capacity_max: u64,
    /// Most blocks that are kept.
    pub free_count_max: usize,
}

impl CachingLimits {
    /// Keeps any size, up to 64 blocks.
    pub const UNBOUNDED: CachingLimits =
        CachingLimits { allocation_size_max: u64::MAX, capacity_max: u64::MAX, free_count_max: 64 };
}

/// Which requests a pool serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolKey {
    pub(super) memory_type: MemoryType,
    pub(super) usage: BufferUsage,
}

/// The wrapper: pools in the order in which they are asked.
pub(super) struct Caching {
    wrapped: Arc<dyn AllocatorBackend>,
    pools: Vec<Arc<Pool>>,
}

struct Pool {
    key: PoolKey,
    limits: CachingLimits,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    /// Most recently freed last.
    blocks: Vec<Kept>,
    bytes: u64,
}

struct Kept {
    block: HostBlock,
    params: BufferParams,
}

/// Takes a lent block back.
struct Borrower {
    pool: Weak<Pool>,
    params: BufferParams,
}

const BYPASS: BufferUsage =
    BufferUsage::SHARING_EXPORT.union(BufferUsage::SHARING_IMMUTABLE).union(BufferUsage::SHARING_REPLICATE);

impl Caching {
    pub(super) fn new(wrapped: Arc<dyn AllocatorBackend>, pools: &[(PoolKey, CachingLimits)]) -> Caching {
        let pool = |&(key, limits)| Arc::new(Pool { key, limits, free: Mutex::new(Free::default()) });
        Caching { wrapped, pools: pools.iter().map(pool).collect() }
    }

    fn pool_for(&self, params: &BufferParams, size: u64) -> Option<&Arc<Pool>> {
        if params.usage.intersects(BYPASS) {
            return None;
        }
        self.pools.iter().find(|pool| {
            pool.key.memory_type.contains(params.memory_type.difference(MemoryType::OPTIMAL))
                && pool.key.usage.contains(params.usage)
                && size <= pool.limits.allocation_size_max
        })
    }
}

impl AllocatorBackend for Caching {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        let Some(pool) = self.pool_for(params, size) else {
            return self.wrapped.allocate_block(params, size);
        };
        let kept = match pool.take(params, size) {
            Some(kept) => kept,
            None => Kept { block: self.wrapped.allocate_block(params, size)?, params: *params },
        };
        let borrower = Borrower { pool: Arc::downgrade(pool), params: kept.params };
        Ok(kept.block.lend(Arc::new(borrower)))
    }

    fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        self.wrapped.prefault(memory, range)
    }

    fn statistics(&self) -> Statistics {
        self.wrapped.statistics()
    }

    fn trim(&self) {
        for pool in &self.pools {
            let freed = std::mem::take(&mut *lock(&pool.free));
            drop(freed); // outside the lock
        }
        self.wrapped.trim();
    }

    fn heaps(&self) -> &[MemoryHeap] {
        self.wrapped.heaps()
    }
}

impl Pool {
    fn take(&self, params: &BufferParams, size: u64) -> Option<Kept> {
        let mut free = lock(&self.free);
        let fits = |kept: &Kept| {
            kept.block.length() as u64 == size
                && kept.params.memory_type.contains(params.memory_type)
                && kept.params.usage.contains(params.usage)
                && kept.params.alignment_min >= params.alignment_min
        };
        let index = free.blocks.iter().rposition(fits)?;
        let kept = free.blocks.remove(index);
        free.bytes -= kept.block.length() as u64;
        Some(kept)
    }

    /// Keeps the block, or returns it for freeing if the limits are reached.
    fn keep(&self, kept: Kept) -> Option<Kept> {
        let bytes = kept.block.length() as u64;
        let mut free = lock(&self.free);
        let full = free.blocks.len() >= self.limits.free_count_max
            || free.bytes.saturating_add(bytes) > self.limits.capacity_max;
        if full {
            return Some(kept);
        }
        free.bytes += bytes;
        free.blocks.push(kept);
        None
    }
}

impl BlockKeeper for Borrower {
    fn returned(&self, block: HostBlock) {
        let kept = Kept { block, params: self.params };
        let surplus = match self.pool.upgrade() {
            Some(pool) => pool.keep(kept),
            None => Some(kept),
        };
        drop(surplus); // frees it in the wrapped allocator, outside the pool's lock
    }
}
