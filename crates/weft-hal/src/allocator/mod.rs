//! Allocators: factories of buffers for one device.
//!
//! What lives here: [`Allocator`], which completes and checks parameters, and the [`AllocatorBackend`] that a device
//! provides. Import and export are in `import.rs`. Wrappers that tools select by text are in `caching.rs`, `countdown.rs`, `debug.rs` and `spec.rs`; counters in
//! `statistics.rs`. What does not: where the bytes come from (`weft-cpu/src/host_memory.rs`).

mod caching;
mod countdown;
mod debug;
mod import;
mod spec;
mod statistics;

pub use caching::CachingLimits;
pub use import::ImportRefused;
pub use spec::AllocatorWrapper;
pub use statistics::{Side, SideStatistics, Statistics, StatisticsCounters};

use std::ops::Range;
use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::buffer::{Buffer, BufferMetadata, DeviceId, Pinned};
use crate::host_block::HostBlock;
use crate::memory::{
    ADDRESS_SPACE_BYTES, BufferCompatibility, BufferParams, BufferUsage, HOST_ALIGNMENT, MemoryType,
};

/// A kind of memory that an allocator can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryHeap {
    /// Where it lives.
    pub memory_type: MemoryType,
    /// What it may be used for.
    pub usage: BufferUsage,
    /// Largest allocation.
    pub allocation_size_max: u64,
    /// Smallest alignment.
    pub alignment_min: u64,
}

impl MemoryHeap {
    /// The one heap of CPU devices.
    pub const HOST: MemoryHeap = MemoryHeap {
        memory_type: MemoryType::DEVICE_LOCAL
            .union(MemoryType::HOST_VISIBLE)
            .union(MemoryType::HOST_COHERENT),
        usage: BufferUsage::all(),
        allocation_size_max: u64::MAX,
        alignment_min: HOST_ALIGNMENT as u64,
    };
}

/// Where an allocator's bytes come from.
pub trait AllocatorBackend: Send + Sync {
    /// A block of at least `size` bytes, aligned to `params.alignment_min` or better, whose bytes are initialised.
    /// `params` are completed and adjusted. RESOURCE_EXHAUSTED if there is none.
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock>;

    /// Makes the begin of a range present, of an untouched block that starts where `memory` does; where the rest of the range
    /// begins, or its end if nothing more can be done. Bytes do not change. A call takes some milliseconds at most, on
    /// whichever thread has the time.
    fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        let _ = memory;
        range.end
    }

    /// Bytes lent out and returned so far.
    fn statistics(&self) -> Statistics;

    /// Gives back to the system what is only kept for later.
    fn trim(&self);

    /// Kinds of memory.
    fn heaps(&self) -> &[MemoryHeap] {
        &[MemoryHeap::HOST]
    }
}

/// A factory of buffers for one device. Thread-safe.
pub struct Allocator {
    device: DeviceId,
    backend: Arc<dyn AllocatorBackend>,
}

impl Allocator {
    /// An allocator for `device` over `backend`.
    pub fn new(device: DeviceId, backend: Arc<dyn AllocatorBackend>) -> Allocator {
        Allocator { device, backend }
    }

    /// Where the bytes come from.
    pub fn backend(&self) -> &Arc<dyn AllocatorBackend> {
        &self.backend
    }

    /// The device that it allocates for.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// What can be done with memory of these parameters; they come back completed and adjusted. 0 bytes are valid.
    pub fn query_compatibility(&self, params: &mut BufferParams, size: u64) -> Result<BufferCompatibility> {
        *params = self.adjusted(params)?;
        checked_size(size)?;
        let mut answer = BufferCompatibility::ALLOCATABLE
            | BufferCompatibility::IMPORTABLE
            | BufferCompatibility::EXPORTABLE;
        if params.memory_type.contains(MemoryType::DEVICE_VISIBLE) {
            if params.usage.intersects(BufferUsage::TRANSFER) {
                answer |= BufferCompatibility::QUEUE_TRANSFER;
            }
            if params.usage.intersects(BufferUsage::DISPATCH) {
                answer |= BufferCompatibility::QUEUE_DISPATCH;
            }
        }
        Ok(answer)
    }

    /// Completed parameters as host memory has them: always mappable and copyable, OPTIMAL resolved.
    pub fn adjusted(&self, params: &BufferParams) -> Result<BufferParams> {
        let mut params = params.completed();
        if params.memory_type.contains(MemoryType::OPTIMAL) {
            // The one heap is the best there is for everybody, so nothing but reach is added.
            params.memory_type =
                params.memory_type.difference(MemoryType::OPTIMAL) | MemoryType::DEVICE_VISIBLE;
        }
        params.memory_type |= MemoryType::HOST_VISIBLE;
        params.usage |= BufferUsage::MAPPING_SCOPED
            | BufferUsage::MAPPING_PERSISTENT
            | BufferUsage::MAPPING_ACCESS_RANDOM
            | BufferUsage::TRANSFER;
        if params.alignment_min != 0 && !params.alignment_min.is_power_of_two() {
            bail!(InvalidArgument, "alignment {} is not a power of two", params.alignment_min);
        }
        params.alignment_min = params.alignment_min.max(HOST_ALIGNMENT as u64);
        Ok(params)
    }

    /// Kinds of memory. OUT_OF_RANGE, naming the number, if there are more than `capacity`.
    pub fn query_heaps(&self, capacity: usize) -> Result<&[MemoryHeap]> {
        let heaps = self.backend.heaps();
        if capacity < heaps.len() {
            bail!(OutOfRange, "room for {capacity} heaps, {} needed", heaps.len());
        }
        Ok(heaps)
    }

    /// A buffer of `size` bytes. Contents are unspecified (but initialised) bytes.
    pub fn allocate(&self, params: &BufferParams, size: u64) -> Result<Arc<Buffer>> {
        let params = self.adjusted(params)?;
        let block = self.allocate_block(&params, size)?;
        Ok(Buffer::resident(BufferMetadata::new(&params, self.device), size, block))
    }

    /// The block of a buffer, for devices that commit it later. `params` are adjusted.
    #[inline]
    pub fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        checked_size(size)?;
        self.backend.allocate_block(params, size)
    }

    /// A step of making memory present: see [`AllocatorBackend::prefault`].
    #[inline]
    pub fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        self.backend.prefault(memory, range)
    }

    /// Bytes lent out and returned so far.
    pub fn statistics(&self) -> Statistics {
        self.backend.statistics()
    }

    /// Gives back to the system what is only kept for later.
    pub fn trim(&self) {
        self.backend.trim();
    }
}

/// Sizes beyond the address space cannot be had; checked before anybody rounds them up.
#[inline]
fn checked_size(size: u64) -> Result<()> {
    if size > ADDRESS_SPACE_BYTES {
        bail!(ResourceExhausted, "{size} bytes exceed the address space");
    }
    Ok(())
}

impl std::fmt::Debug for Allocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Allocator")
            .field("device", &self.device)
            .field("statistics", &self.statistics())
            .finish()
    }
}
