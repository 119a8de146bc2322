//! What memory is and may be used for: the masks that programs pass, and the parameters of an allocation.
//!
//! What lives here: memory type, access, usage and compatibility masks with their ABI numbers, [`BufferParams`],
//! [`QueueAffinity`] and the size constants of the contract. Who checks them: `validate.rs`.

use weft_sync::{Result, bail};

use crate::mask_text::mask;

mask! {
    /// Where memory lives and who can reach it.
    pub struct MemoryType: u32, "memory type" {
        combined {
            /// OPTIMAL plus HOST_LOCAL.
            OPTIMAL_FOR_HOST = 71;
            /// Host memory, mappable and coherent.
            HOST_LOCAL = 70;
            /// OPTIMAL plus DEVICE_LOCAL.
            OPTIMAL_FOR_DEVICE = 49;
            /// Device memory.
            DEVICE_LOCAL = 48;
        }
        single {
            /// The allocator adds what is best; never part of a buffer's own type.
            OPTIMAL = 1;
            /// Can be mapped.
            HOST_VISIBLE = 2;
            /// Needs no flush or invalidate.
            HOST_COHERENT = 4;
            /// Cached by the host.
            HOST_CACHED = 8;
            /// Queues can use it.
            DEVICE_VISIBLE = 16;
        }
    }
}

mask! {
    /// What may be done with the bytes.
    pub struct MemoryAccess: u16, "memory access" {
        combined {
            /// READ, WRITE and DISCARD.
            ALL = 7;
            /// Writing where the old contents need not be kept.
            DISCARD_WRITE = 6;
        }
        single {
            /// Bytes may be read.
            READ = 1;
            /// Bytes may be written.
            WRITE = 2;
            /// Old contents need not be kept.
            DISCARD = 4;
            /// The same bytes may be reachable through another buffer.
            MAY_ALIAS = 8;
            /// An import of less than the preferred alignment is acceptable.
            UNALIGNED = 16;
            /// A mapping request that accepts whatever the buffer allows.
            ANY = 32;
        }
    }
}

mask! {
    /// What queues and hosts may use a buffer for.
    pub struct BufferUsage: u32, "buffer usage" {
        combined {
            /// Every dispatch bit.
            DISPATCH = 0x3F00;
            /// TRANSFER plus DISPATCH_STORAGE: what a request of 0 means.
            DEFAULT = 0xC03;
            /// TRANSFER_SOURCE plus TRANSFER_TARGET.
            TRANSFER = 3;
            /// DISPATCH_STORAGE_READ plus DISPATCH_STORAGE_WRITE.
            DISPATCH_STORAGE = 0xC00;
            /// DISPATCH_IMAGE_READ plus DISPATCH_IMAGE_WRITE.
            DISPATCH_IMAGE = 0x3000;
            /// MAPPING_SCOPED plus MAPPING_ACCESS_RANDOM.
            MAPPING = 0x0900_0000;
        }
        single {
            /// Source of copies.
            TRANSFER_SOURCE = 1 << 0;
            /// Target of fills, updates and copies.
            TRANSFER_TARGET = 1 << 1;
            /// Holds workgroup counts of indirect dispatches.
            DISPATCH_INDIRECT_PARAMETERS = 1 << 8;
            /// Read uniformly by kernels.
            DISPATCH_UNIFORM_READ = 1 << 9;
            /// Read by kernels.
            DISPATCH_STORAGE_READ = 1 << 10;
            /// Written by kernels.
            DISPATCH_STORAGE_WRITE = 1 << 11;
            /// Read as an image.
            DISPATCH_IMAGE_READ = 1 << 12;
            /// Written as an image.
            DISPATCH_IMAGE_WRITE = 1 << 13;
            /// May be exported.
            SHARING_EXPORT = 1 << 16;
            /// May be replicated to other devices.
            SHARING_REPLICATE = 1 << 17;
            /// Used by several queues at once.
            SHARING_CONCURRENT = 1 << 18;
            /// Never written after creation.
            SHARING_IMMUTABLE = 1 << 19;
            /// May be mapped for a while.
            MAPPING_SCOPED = 1 << 24;
            /// May stay mapped while queues use it.
            MAPPING_PERSISTENT = 1 << 25;
            /// Mapping is welcome but not required.
            MAPPING_OPTIONAL = 1 << 26;
            /// Mapped access in any order.
            MAPPING_ACCESS_RANDOM = 1 << 27;
            /// Mapped access writes front to back.
            MAPPING_ACCESS_SEQUENTIAL_WRITE = 1 << 28;
        }
    }
}

mask! {
    /// What an allocator can do with memory of given parameters.
    pub struct BufferCompatibility: u32, "buffer compatibility" {
        combined {}
        single {
            /// Can be allocated.
            ALLOCATABLE = 1;
            /// Can be imported.
            IMPORTABLE = 2;
            /// Can be exported.
            EXPORTABLE = 4;
            /// Transfers on queues may use it.
            QUEUE_TRANSFER = 1 << 10;
            /// Dispatches on queues may use it.
            QUEUE_DISPATCH = 1 << 11;
            /// Works, but slowly.
            LOW_PERFORMANCE = 1 << 20;
        }
    }
}

mask! {
    /// Facts about where a buffer was placed.
    pub struct PlacementFlags: u32, "placement flag" {
        combined {}
        single {
            /// Memory comes and goes in queue order.
            ASYNCHRONOUS = 1;
            /// Nobody promises to deallocate it on a queue.
            INDETERMINATE_LIFETIME = 2;
        }
    }
}

/// How long a mapping lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MappingMode {
    /// Until it is unmapped; keeps the bytes alive meanwhile.
    Scoped = 1,
    /// As long as the buffer, also while queues use it.
    Persistent = 2,
}

/// Kinds of memory that come from, or go to, outside the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExternalKind {
    /// Nothing.
    None = 0,
    /// A host address range.
    HostAllocation = 1,
    /// A device address.
    DeviceAllocation = 2,
    /// A file descriptor.
    OpaqueFd = 3,
    /// A Win32 handle.
    OpaqueWin32 = 4,
}

/// As a length: everything from the offset to the end.
pub const WHOLE_BUFFER: u64 = u64::MAX;

/// Alignment of everything that CPU devices allocate, and of imports without `UNALIGNED`.
pub const HOST_ALIGNMENT: usize = 64;

/// No process can have more: what user addresses of today's 64-bit systems span, or half of a smaller address space.
pub(crate) const ADDRESS_SPACE_BYTES: u64 =
    if cfg!(target_pointer_width = "64") { 1 << 47 } else { isize::MAX as u64 };

/// Most bytes one recorded update may carry.
pub const UPDATE_BYTES_MAX: u64 = 64 << 10;

/// Most queues a device may have: one bit each in a [`QueueAffinity`].
pub const QUEUES_MAX: u32 = 64;

/// Which queues of a device may run an operation: one bit a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueAffinity(pub u64);

impl QueueAffinity {
    /// Any queue.
    pub const ANY: QueueAffinity = QueueAffinity(u64::MAX);

    /// Exactly this queue.
    pub fn queue(index: u32) -> QueueAffinity {
        QueueAffinity(1 << (index % QUEUES_MAX))
    }

    /// 0 means ANY wherever programs pass an affinity.
    #[must_use]
    pub fn or_any(self) -> QueueAffinity {
        if self.0 == 0 { QueueAffinity::ANY } else { self }
    }

    /// Program rule: bits of queues that do not exist fold onto queues that do, so every pattern selects some queue.
    #[must_use]
    pub fn folded(self, queue_count: u32) -> QueueAffinity {
        let existing = existing_mask(queue_count);
        let any = self.or_any().0;
        if any & existing != 0 {
            return QueueAffinity(any & existing);
        }
        QueueAffinity::queue(any.trailing_zeros() % queue_count.clamp(1, QUEUES_MAX))
    }

    /// The queue that runs the operation: the lowest existing one asked for. A mask that names no existing queue is
    /// INVALID_ARGUMENT.
    pub fn select(self, queue_count: u32) -> Result<u32> {
        let chosen = self.or_any().0 & existing_mask(queue_count);
        if chosen == 0 {
            bail!(InvalidArgument, "queue affinity {:#x} selects none of {queue_count} queues", self.0);
        }
        Ok(chosen.trailing_zeros())
    }
}

fn existing_mask(queue_count: u32) -> u64 {
    if queue_count >= QUEUES_MAX { u64::MAX } else { (1 << queue_count) - 1 }
}

impl Default for QueueAffinity {
    fn default() -> QueueAffinity {
        QueueAffinity::ANY
    }
}

/// What a buffer should be able to do. Zeroed fields are completed by [`BufferParams::completed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferParams {
    /// Intended use; none means DEFAULT.
    pub usage: BufferUsage,
    /// Allowed access; none means ALL.
    pub access: MemoryAccess,
    /// Where it lives; none means OPTIMAL.
    pub memory_type: MemoryType,
    /// Queues that use it; 0 means ANY.
    pub affinity: QueueAffinity,
    /// At least this alignment, a power of two; 0 means the allocator's own.
    pub alignment_min: u64,
}

impl BufferParams {
    /// Device-local memory of default usage: what programs ask for.
    pub fn device_local() -> BufferParams {
        BufferParams { memory_type: MemoryType::DEVICE_LOCAL, ..BufferParams::default() }
    }

    /// Zeroed fields replaced by what they mean. Every path that makes a buffer goes through this.
    #[must_use]
    pub fn completed(mut self) -> BufferParams {
        if self.usage.is_empty() {
            self.usage = BufferUsage::DEFAULT;
        }
        if self.access.is_empty() {
            self.access = MemoryAccess::ALL;
        }
        if self.memory_type.is_empty() {
            self.memory_type = MemoryType::OPTIMAL;
        }
        self.affinity = self.affinity.or_any();
        self
    }
}
