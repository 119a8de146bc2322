//! Allocators: factories of buffers for one device.
//!
//! What lives here: [`Allocator`], which completes and checks parameters, and the [`AllocatorBackend`] that a device
//! provides. Wrappers that tools select by text are in `caching.rs`, `debug.rs` and `spec.rs`; counters in
//! `statistics.rs`. What does not: where the bytes come from (`weft-cpu/src/host_memory.rs`).

mod caching;
mod debug;
mod spec;
mod statistics;

pub use caching::CachingLimits;
pub use spec::AllocatorWrapper;
pub use statistics::{Side, SideStatistics, Statistics, StatisticsCounters};

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_sync::{Result, Status, bail, status};

use crate::buffer::{Buffer, BufferMetadata, DeviceId};
use crate::host_block::{HostBlock, Lender, RawBlock};
use crate::mapping::Mapping;
use crate::memory::{
    BufferCompatibility, BufferParams, BufferUsage, ExternalKind, HOST_ALIGNMENT, MappingMode, MemoryAccess,
    MemoryType, WHOLE_BUFFER,
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

/// Memory that was offered for import and not taken, with the reason.
pub struct ImportRefused {
    /// Why.
    pub status: Status,
    /// What would have owned the memory; not touched.
    pub owner: Option<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for ImportRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImportRefused({})", self.status)
    }
}

impl From<ImportRefused> for Status {
    fn from(refused: ImportRefused) -> Status {
        refused.status
    }
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
        params.alignment_min = params.alignment_min.max(HOST_ALIGNMENT as u64);
        if !params.alignment_min.is_power_of_two() {
            bail!(InvalidArgument, "alignment {} is not a power of two", params.alignment_min);
        }
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

    /// A buffer over host memory that somebody else owns. `owner` is dropped exactly once, after the last reference to
    /// the buffer; if the import is refused it comes back. Access without WRITE makes a read-only buffer.
    ///
    /// # Safety
    /// `base` is valid for reads of `length` initialised bytes, and for writes if the access has WRITE, until `owner`
    /// is dropped (for ever if it is none). The owner's own accesses obey the order that `buffer.rs` asks for.
    #[expect(unsafe_code, reason = "the caller vouches for a raw address range")]
    pub unsafe fn import_host(
        &self,
        params: &BufferParams,
        base: NonNull<u8>,
        length: usize,
        owner: Option<Box<dyn Any + Send + Sync>>,
    ) -> std::result::Result<Arc<Buffer>, ImportRefused> {
        let params = match self.adjusted(params) {
            Ok(params) => params,
            Err(status) => return Err(ImportRefused { status, owner }),
        };
        let misaligned = !base.as_ptr().addr().is_multiple_of(HOST_ALIGNMENT);
        if misaligned && !params.access.contains(MemoryAccess::UNALIGNED) {
            let status =
                status!(OutOfRange, "imported memory at {base:p} is not aligned to {HOST_ALIGNMENT} bytes");
            return Err(ImportRefused { status, owner });
        }
        let raw = RawBlock { base, length, token: 0 };
        // SAFETY: as the caller promises; `Lender` drops the owner when the block is reclaimed.
        let block = unsafe { HostBlock::new(raw, Arc::new(Lender::new(owner))) };
        Ok(Buffer::resident(BufferMetadata::new(&params, self.device), length as u64, block))
    }

    /// A read-only buffer over shared bytes, at any alignment if the access has UNALIGNED.
    pub fn import_shared(&self, params: &BufferParams, bytes: Arc<[u8]>) -> Result<Arc<Buffer>> {
        let mut params = *params;
        params.access = read_only(params.access);
        let base = NonNull::from(&*bytes).cast::<u8>();
        let length = bytes.len();
        // SAFETY: the bytes are immutable behind an `Arc` that the buffer owns, and WRITE was taken away.
        #[expect(unsafe_code, reason = "the bytes are owned by the buffer and never written")]
        let buffer = unsafe { self.import_host(&params, base, length, Some(Box::new(bytes))) };
        Ok(buffer?)
    }

    /// Memory of other kinds cannot be imported by CPU devices.
    pub fn import_external(&self, kind: ExternalKind) -> Result<Arc<Buffer>> {
        bail!(Unavailable, "external buffers of kind {kind:?} cannot be imported; only host allocations can");
    }

    /// The address of a buffer's bytes, good as long as the returned mapping.
    pub fn export_host(&self, buffer: &Buffer, kind: ExternalKind) -> Result<Mapping> {
        if kind != ExternalKind::HostAllocation {
            bail!(Unavailable, "buffers cannot be exported as {kind:?}; only as host allocations");
        }
        buffer.map(MappingMode::Persistent, MemoryAccess::ANY, 0, WHOLE_BUFFER)
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

fn read_only(access: MemoryAccess) -> MemoryAccess {
    access.difference(MemoryAccess::WRITE | MemoryAccess::DISCARD) | MemoryAccess::READ
}

/// Sizes beyond the address space cannot be had; checked before anybody rounds them up.
#[inline]
fn checked_size(size: u64) -> Result<()> {
    if size > isize::MAX as u64 {
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
