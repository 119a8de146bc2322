//! Where pools get their memory: slabs, large blocks of it.
//!
//! What lives here: [`SlabProvider`], and the one of host memory, [`HostSlabs`]. What does not: slabs that are made ready
//! before they are asked for (`slab_cache.rs`), who cuts them up (`slabbed.rs`).

use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::allocator::AllocatorBackend;
use crate::buffer::{Buffer, BufferMetadata};
use crate::host_block::HostBlock;
use crate::memory::{
    ADDRESS_SPACE_BYTES, BufferParams, BufferUsage, MemoryAccess, MemoryType, QueueAffinity,
};

/// What slabs of a provider are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabProperties {
    /// Where they live.
    pub memory_type: MemoryType,
    /// What they may be used for.
    pub usage: BufferUsage,
    /// The largest alignment that can be had.
    pub alignment_max: u64,
}

/// A source of slabs. A slab goes back when its block is dropped.
pub trait SlabProvider: Send + Sync {
    /// What its slabs are good for.
    fn properties(&self) -> SlabProperties;

    /// A block of at least `size` initialised bytes, aligned to `alignment`. RESOURCE_EXHAUSTED if there is none.
    fn acquire_slab(&self, size: u64, alignment: u64) -> Result<HostBlock>;

    /// Makes the pages of a slab present, so that its first users need not. A hint.
    fn prefault(&self, slab: &mut HostBlock) {
        slab.touch_pages();
    }

    /// Makes a buffer of a part of one of its slabs. For providers whose buffers need more than an address.
    fn wrap(&self, metadata: BufferMetadata, byte_length: u64, block: HostBlock) -> Result<Arc<Buffer>> {
        Ok(Buffer::resident(metadata, byte_length, block))
    }

    /// Gives back what is only kept for later.
    fn trim(&self) {}
}

/// Slabs from an allocator of host memory.
pub struct HostSlabs {
    memory: Arc<dyn AllocatorBackend>,
}

impl HostSlabs {
    /// The largest alignment: that of huge pages.
    pub const ALIGNMENT_MAX: u64 = 2 << 20;

    /// Slabs from `memory`, where they are counted as device memory.
    pub fn new(memory: Arc<dyn AllocatorBackend>) -> Arc<HostSlabs> {
        Arc::new(HostSlabs { memory })
    }
}

impl SlabProvider for HostSlabs {
    fn properties(&self) -> SlabProperties {
        SlabProperties {
            memory_type: MemoryType::HOST_LOCAL | MemoryType::HOST_CACHED | MemoryType::DEVICE_LOCAL,
            usage: BufferUsage::all(),
            alignment_max: HostSlabs::ALIGNMENT_MAX,
        }
    }

    fn acquire_slab(&self, size: u64, alignment: u64) -> Result<HostBlock> {
        if size > ADDRESS_SPACE_BYTES {
            bail!(ResourceExhausted, "a slab of {size} bytes exceeds the address space");
        }
        let SlabProperties { memory_type, usage, .. } = self.properties();
        let params = BufferParams {
            usage,
            access: MemoryAccess::ALL,
            memory_type,
            affinity: QueueAffinity::ANY,
            alignment_min: alignment,
        };
        self.memory.allocate_block(&params, size)
    }

    fn trim(&self) {
        self.memory.trim();
    }
}

/// Takes a slab and looks whether it is what was asked for: offsets are computed from here on.
pub(super) fn take_slab(provider: &dyn SlabProvider, size: u64, alignment: u64) -> Result<HostBlock> {
    let slab = provider.acquire_slab(size, alignment)?;
    let address = slab.base().addr().get() as u64;
    if (slab.length() as u64) < size || !address.is_multiple_of(alignment) {
        bail!(
            Internal,
            "a slab of {} bytes at {address:#x} was provided where {size} aligned to {alignment} were asked for",
            slab.length()
        );
    }
    Ok(slab)
}
