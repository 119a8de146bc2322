//! Buffers: metadata, ranges, ownership hints. The bytes are in `backing.rs`, host access in `mapping.rs`.
//!
//! # Who may touch the bytes, and when
//!
//! Metadata is immutable from creation on, so any thread may validate against it. The bytes are shared between the
//! host and any number of queues, and *order is the business of whoever submits*: semaphores order queue operations,
//! and the host waits for a fence before it reads what a queue wrote. weft relies on that order in these ways:
//!
//! 1. Access goes through raw pointers, never through long-lived Rust references, except where the caller of an
//!    `unsafe` function promises exclusivity ([`Mapping::bytes`](crate::Mapping::bytes)).
//! 2. A program that breaks the order reads or leaves unspecified *initialised* bytes. It cannot reach memory that was
//!    freed (a [`Pinned`] range stays mapped), memory outside of a buffer (ranges are checked), or bytes that were
//!    never initialised (fresh memory is zeroed; reused memory holds old bytes). That holds for every queue operation
//!    and for the host; what a kernel does with the ranges that it is given is the kernel's: see the guide on trust in
//!    the documentation of the `weft` crate.
//! 3. In the letter of the language such an unordered access is a data race. Kernels are machine code that the
//!    program brings along, so a guarantee beyond the above would be an illusion; safe code that waits for the fences
//!    it was given never races.

use std::sync::{Arc, Weak};

use weft_sync::atomic::{AtomicI64, AtomicU64, Ordering};
use weft_sync::{Frontier, Result, bail};

use crate::backing::{Backing, Transient};
use crate::host_block::HostBlock;
use crate::memory::{
    BufferParams, BufferUsage, MemoryAccess, MemoryType, PlacementFlags, QueueAffinity, WHOLE_BUFFER,
};
use crate::validate;

/// Where a buffer was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The device that it was made for.
    pub device: DeviceId,
    /// Queues that may use it; exactly one bit for queue-allocated buffers.
    pub affinity: QueueAffinity,
    /// Facts about its lifetime.
    pub flags: PlacementFlags,
}

/// Tells devices of one process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(pub u64);

impl DeviceId {
    /// A number that no other device of this process has.
    pub fn unique() -> DeviceId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        DeviceId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Everything about a buffer except its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferMetadata {
    /// Where it lives.
    pub memory_type: MemoryType,
    /// What may be done with it.
    pub access: MemoryAccess,
    /// What it may be used for.
    pub usage: BufferUsage,
    /// Where it was placed.
    pub placement: Placement,
}

impl BufferMetadata {
    /// The metadata of a buffer with `params`, which an allocator has completed and adjusted.
    pub fn new(params: &BufferParams, device: DeviceId) -> BufferMetadata {
        let placement = Placement { device, affinity: params.affinity, flags: PlacementFlags::empty() };
        BufferMetadata {
            memory_type: params.memory_type,
            access: params.access,
            usage: params.usage,
            placement,
        }
    }
}

/// A range of device memory with a type, an allowed use and an allowed access.
///
/// Either *allocated* (owns its bytes), or a *subspan* or *part* of an allocated buffer, which it keeps alive.
pub struct Buffer {
    /// So that `&Buffer` can be retained; programs hold buffers behind type-erased references.
    this: Weak<Buffer>,
    metadata: BufferMetadata,
    byte_offset: u64,
    byte_length: u64,
    kind: Kind,
}

enum Kind {
    Allocated {
        backing: Backing,
        owners: AtomicI64,
    },
    /// `part`: what it is a subspan of, if that is not all of the allocated buffer.
    Subspan {
        allocated: Arc<Buffer>,
        part: Option<Arc<Buffer>>,
    },
    Part {
        allocated: Arc<Buffer>,
        owners: AtomicI64,
    },
}

impl Buffer {
    /// A buffer over bytes that are there from the start. `byte_length` is at most the block's length.
    pub fn resident(metadata: BufferMetadata, byte_length: u64, block: HostBlock) -> Arc<Buffer> {
        assert!(byte_length <= block.length() as u64, "a buffer never exceeds its block");
        Buffer::allocated(metadata, byte_length, Backing::Resident(block))
    }

    /// A queue-allocated buffer, whose bytes are given now or committed later ([`Buffer::commit`]). Its metadata is
    /// final now.
    pub fn transient(
        mut metadata: BufferMetadata,
        byte_length: u64,
        block: Option<HostBlock>,
    ) -> Arc<Buffer> {
        metadata.placement.flags |= PlacementFlags::ASYNCHRONOUS;
        let backing = match block {
            Some(block) => {
                assert!(byte_length <= block.length() as u64, "a buffer never exceeds its block");
                Transient::committed(block)
            }
            None => Transient::new(),
        };
        Buffer::allocated(metadata, byte_length, Backing::Transient(backing))
    }

    fn allocated(metadata: BufferMetadata, byte_length: u64, backing: Backing) -> Arc<Buffer> {
        Arc::new_cyclic(|this| Buffer {
            this: this.clone(),
            metadata,
            byte_offset: 0,
            byte_length,
            kind: Kind::Allocated { backing, owners: AtomicI64::new(1) },
        })
    }

    /// Another owner of this buffer.
    #[inline]
    pub fn retain(&self) -> Arc<Buffer> {
        self.this.upgrade().expect("a borrowed buffer is alive")
    }

    /// Where it lives.
    pub fn memory_type(&self) -> MemoryType {
        self.metadata.memory_type
    }

    /// What may be done with it.
    pub fn access(&self) -> MemoryAccess {
        self.metadata.access
    }

    /// What it may be used for.
    pub fn usage(&self) -> BufferUsage {
        self.metadata.usage
    }

    /// Where it was placed.
    pub fn placement(&self) -> Placement {
        self.metadata.placement
    }

    /// All of the above.
    pub fn metadata(&self) -> &BufferMetadata {
        &self.metadata
    }

    /// Bytes of this buffer or subspan.
    #[inline]
    pub fn byte_length(&self) -> u64 {
        self.byte_length
    }

    /// Where it starts in its allocated buffer.
    #[inline]
    pub fn byte_offset(&self) -> u64 {
        self.byte_offset
    }

    /// The buffer that owns the bytes: itself, or what it is a subspan of.
    #[inline]
    pub fn allocated_buffer(&self) -> &Buffer {
        match &self.kind {
            Kind::Allocated { .. } => self,
            Kind::Subspan { allocated, .. } | Kind::Part { allocated, .. } => allocated,
        }
    }

    /// Bytes of the allocated buffer.
    pub fn allocation_size(&self) -> u64 {
        self.allocated_buffer().byte_length
    }

    /// Both are, or lie in, the same allocated buffer.
    #[inline]
    pub fn same_allocation(&self, other: &Buffer) -> bool {
        std::ptr::eq(self.allocated_buffer(), other.allocated_buffer())
    }

    /// Part of this buffer. The whole of it is the buffer itself; a subspan of a subspan refers to the allocated
    /// buffer. `WHOLE_BUFFER` means the rest from `offset`.
    pub fn subspan(&self, offset: u64, length: u64) -> Result<Arc<Buffer>> {
        let range = validate::byte_range(self.byte_length, offset, length)?;
        if range.offset == 0 && range.length == self.byte_length {
            return Ok(self.retain());
        }
        let part = match &self.kind {
            Kind::Allocated { .. } => None,
            Kind::Subspan { part, .. } => part.clone(),
            Kind::Part { .. } => Some(self.retain()),
        };
        let allocated = self.allocated_buffer().retain();
        Ok(self.of_range(&range, Kind::Subspan { allocated, part }))
    }

    /// Part of this buffer that programs take for an allocation of its own: it has owners of its own. Whoever cuts a buffer
    /// into parts has to see to it that deallocating one leaves the others alone:
    /// [`AllocaFlags::INDETERMINATE_LIFETIME`](crate::AllocaFlags::INDETERMINATE_LIFETIME).
    pub fn part(&self, offset: u64, length: u64) -> Result<Arc<Buffer>> {
        let range = validate::byte_range(self.byte_length, offset, length)?;
        let (allocated, owners) = (self.allocated_buffer().retain(), AtomicI64::new(1));
        Ok(self.of_range(&range, Kind::Part { allocated, owners }))
    }

    fn of_range(&self, range: &validate::ByteRange, kind: Kind) -> Arc<Buffer> {
        Arc::new_cyclic(|this| Buffer {
            this: this.clone(),
            metadata: self.metadata,
            byte_offset: self.byte_offset + range.offset,
            byte_length: range.length,
            kind,
        })
    }

    /// The same bytes as a range of the allocated buffer, `WHOLE_BUFFER` resolved, bounds checked.
    pub fn normalize(&self, offset: u64, length: u64) -> Result<BufferRange<'_>> {
        let range = validate::byte_range(self.byte_length, offset, length)?;
        let buffer = self.allocated_buffer();
        Ok(BufferRange { buffer, offset: self.byte_offset + range.offset, length: range.length })
    }

    /// Adds an owner of the allocation, or of the part, in the sense of the program's own accounting.
    pub fn preserve(&self) {
        self.owners().fetch_add(1, Ordering::Relaxed);
    }

    /// Takes an owner of the allocation away; true for the last one. Below zero it stays false.
    pub fn discard(&self) -> bool {
        // Release: what this owner did is before the deallocation; Acquire: the last one sees what all others did.
        let before = self.owners().fetch_sub(1, Ordering::AcqRel);
        before == 1
    }

    /// Exactly one owner of the allocation is left.
    pub fn is_terminal(&self) -> bool {
        self.owners().load(Ordering::Acquire) == 1
    }

    fn owners(&self) -> &AtomicI64 {
        match &self.kind {
            Kind::Allocated { owners, .. } | Kind::Part { owners, .. } => owners,
            Kind::Subspan { allocated, part } => part.as_ref().unwrap_or(allocated).owners(),
        }
    }

    fn backing(&self) -> &Backing {
        match &self.allocated_buffer().kind {
            Kind::Allocated { backing, .. } => backing,
            Kind::Subspan { .. } | Kind::Part { .. } => unreachable!("an allocated buffer owns its bytes"),
        }
    }

    fn transient_backing(&self) -> Option<&Transient> {
        match self.backing() {
            Backing::Resident(_) => None,
            Backing::Transient(transient) => Some(transient),
        }
    }
}

/// For devices: memory that comes and goes in queue order.
impl Buffer {
    /// The memory comes and goes in queue order.
    pub fn is_transient(&self) -> bool {
        self.transient_backing().is_some()
    }

    /// The bytes are there now. Always true for resident buffers.
    pub fn is_committed(&self) -> bool {
        self.transient_backing().is_none_or(Transient::is_committed)
    }

    /// Nobody had touched its memory when it was allocated: see [`HostBlock::is_untouched`].
    pub fn is_untouched(&self) -> bool {
        match self.backing() {
            Backing::Resident(block) => block.is_untouched(),
            Backing::Transient(transient) => transient.is_untouched(),
        }
    }

    /// Gives a transient buffer its bytes; at most once. Signals of the alloca fire after this.
    pub fn commit(&self, block: HostBlock) -> Result<()> {
        let Some(transient) = self.transient_backing() else {
            bail!(FailedPrecondition, "only queue-allocated buffers are committed");
        };
        if (block.length() as u64) < self.allocation_size() {
            bail!(Internal, "{} bytes committed for a buffer of {}", block.length(), self.allocation_size());
        }
        transient.commit(block)
    }

    /// Takes the bytes of a transient buffer away; they go home once nobody has them pinned. Idempotent.
    pub fn decommit(&self) {
        if let Some(transient) = self.transient_backing() {
            transient.decommit();
        }
    }

    /// As [`Buffer::decommit`], and tells the pool that the bytes come from what has to be complete before they may be used
    /// again; `None` if all use of them is over. They go back with that, now or with the last pin. Only the first call
    /// counts.
    pub fn decommit_after(&self, death: Option<&Frontier>) {
        if let Some(transient) = self.transient_backing() {
            transient.decommit_after(death);
        }
    }

    /// Marks a transient buffer as being deallocated. False if somebody did so before.
    pub fn claim_dealloca(&self) -> bool {
        self.transient_backing().is_none_or(Transient::claim_dealloca)
    }

    /// Undoes [`Buffer::claim_dealloca`] after the deallocation failed.
    pub fn withdraw_dealloca(&self) {
        if let Some(transient) = self.transient_backing() {
            transient.withdraw_dealloca();
        }
    }

    /// A deallocation was submitted and not withdrawn.
    pub fn is_dealloca_queued(&self) -> bool {
        self.transient_backing().is_some_and(Transient::is_dealloca_queued)
    }

    /// The address of the bytes, which stay where they are until the pin is dropped. FAILED_PRECONDITION for a
    /// transient buffer that is not committed.
    #[inline]
    pub fn pin(&self) -> Result<Pinned<'_>> {
        let (base, transient) = match self.backing() {
            Backing::Resident(block) => (block.base().as_ptr(), None),
            Backing::Transient(transient) => (transient.pin()?, Some(transient)),
        };
        Ok(Pinned {
            base: base.wrapping_add(self.byte_offset as usize),
            length: self.byte_length as usize,
            transient,
        })
    }

    /// Pins a range for longer than a borrow: retains the buffer as well. Returns the pin, the first byte of the range and
    /// its length; the address is good until the pin is dropped.
    #[inline]
    pub fn pin_retained(&self, offset: u64, length: u64) -> Result<(PinnedBuffer, *mut u8, usize)> {
        let pinned = self.pin()?.narrow(offset, length)?;
        let (base, length) = (pinned.base, pinned.length);
        std::mem::forget(pinned);
        Ok((PinnedBuffer(self.retain()), base, length))
    }

    /// Ends a pin that was forgotten on purpose by `mapping.rs`.
    pub(crate) fn unpin(&self) {
        if let Some(transient) = self.transient_backing() {
            transient.unpin();
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("offset", &self.byte_offset)
            .field("length", &self.byte_length)
            .field("memory_type", &self.metadata.memory_type)
            .field("access", &self.metadata.access)
            .field("usage", &self.metadata.usage)
            .field("transient", &self.is_transient())
            .finish()
    }
}

/// Bytes whose address is good for as long as this value lives.
pub struct Pinned<'a> {
    base: *mut u8,
    length: usize,
    transient: Option<&'a Transient>,
}

impl<'a> Pinned<'a> {
    /// No bytes; for filling tables.
    pub const EMPTY: Pinned<'static> = Pinned { base: std::ptr::null_mut(), length: 0, transient: None };

    /// First byte. Reading and writing it is unsafe and bound to the rules in the header of `buffer.rs`.
    #[inline]
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes from `base` on.
    #[inline]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The part of it that starts at `offset` and has at most `length` bytes. OUT_OF_RANGE if it does not fit.
    #[inline]
    pub fn narrow(mut self, offset: u64, length: u64) -> Result<Pinned<'a>> {
        let range = validate::byte_range(self.length as u64, offset, length)?;
        self.base = self.base.wrapping_add(range.offset as usize);
        self.length = range.length as usize;
        Ok(self)
    }
}

impl Drop for Pinned<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(transient) = self.transient {
            transient.unpin();
        }
    }
}

/// A buffer that is retained with its bytes pinned, from [`Buffer::pin_retained`].
#[derive(Debug)]
pub struct PinnedBuffer(Arc<Buffer>);

impl Drop for PinnedBuffer {
    #[inline]
    fn drop(&mut self) {
        self.0.unpin();
    }
}

/// A checked range of an allocated buffer.
#[derive(Clone, Copy, Debug)]
pub struct BufferRange<'a> {
    /// The buffer that owns the bytes.
    pub buffer: &'a Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes; never `WHOLE_BUFFER`.
    pub length: u64,
}

/// How two ranges lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// No byte in common.
    Disjoint,
    /// Some bytes in common.
    Partial,
    /// The same bytes.
    Complete,
}

impl BufferRange<'_> {
    /// How the two ranges lie to each other.
    pub fn overlap(&self, other: &BufferRange<'_>) -> Overlap {
        if !self.buffer.same_allocation(other.buffer) || self.length == 0 || other.length == 0 {
            return Overlap::Disjoint;
        }
        if self.offset == other.offset && self.length == other.length {
            return Overlap::Complete;
        }
        let apart = self.offset >= other.offset + other.length || other.offset >= self.offset + self.length;
        if apart { Overlap::Disjoint } else { Overlap::Partial }
    }
}

/// Compile-time reminder: lengths as `WHOLE_BUFFER` never reach a device.
const _: () = assert!(WHOLE_BUFFER == u64::MAX);
