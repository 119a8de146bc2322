//! Ranges of host memory that know where to return to.
//!
//! A [`HostBlock`] is the exclusive owner of a range of bytes; dropping it gives the range back to its
//! [`BlockHome`] (a pool, the heap, whoever lent imported memory) exactly once.
//! What does not live here: who may touch the bytes while a buffer holds the block, see `buffer.rs`.

#![allow(unsafe_code, reason = "owns raw address ranges; the promise is made once, in HostBlock::new")]

use std::alloc::Layout;
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_sync::atomic::{Mutex, lock};
use weft_sync::{Frontier, Result, bail, status};

use crate::memory::{ADDRESS_SPACE_BYTES, HOST_ALIGNMENT};

/// No system has smaller pages.
const PAGE_BYTES_MIN: usize = 4096;

/// Takes blocks back when their last owner is gone.
pub trait BlockHome: Send + Sync {
    /// Called once for each block, from whatever thread dropped it.
    fn reclaim(&self, block: RawBlock);

    /// Told before: what has to be complete before the bytes of a block may be used again; `None` if all use of them is
    /// over. Homes that do not hand memory on in queue order need not know.
    fn set_death(&self, block: &RawBlock, death: Option<&Frontier>) {
        let _ = (block, death);
    }

    /// Both at once.
    fn reclaim_after(&self, block: RawBlock, death: Option<&Frontier>) {
        self.set_death(&block, death);
        self.reclaim(block);
    }
}

/// The plain values of a block: an address range and a number for its home.
#[derive(Clone, Copy, Debug)]
pub struct RawBlock {
    /// First byte.
    pub base: NonNull<u8>,
    /// Bytes that may be used.
    pub length: usize,
    /// Whatever the home needs to know again.
    pub token: u64,
}

/// Exclusive owner of a range of host bytes.
pub struct HostBlock {
    raw: RawBlock,
    /// `None` only while it is being dropped.
    home: Option<Arc<dyn BlockHome>>,
    is_writable: bool,
    is_untouched: bool,
}

// SAFETY: the block is an address range without thread affinity, and its home is Send + Sync.
unsafe impl Send for HostBlock {}
// SAFETY: shared references only give out the address; using it is unsafe elsewhere.
unsafe impl Sync for HostBlock {}

impl HostBlock {
    /// Takes ownership of an address range.
    ///
    /// # Safety
    /// `raw.base` is valid for reads and writes of `raw.length` initialised bytes from now until `home.reclaim(raw)` is
    /// called.
    pub unsafe fn new(raw: RawBlock, home: Arc<dyn BlockHome>) -> HostBlock {
        HostBlock { raw, home: Some(home), is_writable: true, is_untouched: false }
    }

    /// As [`HostBlock::new`], over memory that may be read-only.
    ///
    /// # Safety
    /// `raw.base` is valid for reads of `raw.length` initialised bytes from now until `home.reclaim(raw)` is called. No
    /// buffer that grants WRITE is made of it.
    pub unsafe fn read_only(raw: RawBlock, home: Arc<dyn BlockHome>) -> HostBlock {
        HostBlock { raw, home: Some(home), is_writable: false, is_untouched: false }
    }

    /// The same over memory that nobody has touched since it was made: see [`HostBlock::is_untouched`].
    #[must_use]
    pub fn untouched(mut self) -> HostBlock {
        self.is_untouched = true;
        self
    }

    /// First byte.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.raw.base
    }

    /// Bytes that may be used.
    #[inline]
    pub fn length(&self) -> usize {
        self.raw.length
    }

    /// Nobody has touched it since it was made, so its pages need not be there yet. An allocator says so, of blocks that it
    /// has just taken from the heap; it is over when a block is filled, or was lent.
    #[inline]
    pub fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// Says what has to be complete before the bytes may be used again, once the block is dropped; `None` if all use of
    /// them is over. The last word counts.
    pub fn set_death(&mut self, death: Option<&Frontier>) {
        if let Some(home) = &self.home {
            home.set_death(&self.raw, death);
        }
    }

    /// [`HostBlock::set_death`], and drops the block.
    pub fn release_after(mut self, death: Option<&Frontier>) {
        if let Some(home) = self.home.take() {
            home.reclaim_after(self.raw, death);
        }
    }

    pub(crate) fn raw(&self) -> &RawBlock {
        &self.raw
    }

    /// Has its home know it by another token, which the home understands as well.
    pub(crate) fn set_token(&mut self, token: u64) {
        self.raw.token = token;
    }

    /// Whether it returns to the home at this address.
    pub(crate) fn is_from(&self, home: *const ()) -> bool {
        self.home.as_ref().is_some_and(|it| std::ptr::eq(Arc::as_ptr(it).cast(), home))
    }

    /// Makes every page present, by writing into each what it holds.
    ///
    /// Panics on a block over memory that may be read-only.
    pub fn touch_pages(&mut self) {
        assert!(self.is_writable, "a block that may be read-only cannot be touched");
        self.is_untouched = false;
        for offset in (0..self.raw.length).step_by(PAGE_BYTES_MIN) {
            // SAFETY: the offset is less than the length, so the address lies in the block.
            let byte = unsafe { self.raw.base.add(offset) };
            // SAFETY: within the block, which `new` makes readable and initialised.
            let value = unsafe { byte.read_volatile() };
            // SAFETY: within the block, which `new` makes writable; `&mut self` is the only owner.
            unsafe { byte.write_volatile(value) };
        }
    }

    /// Sets every byte. The block has one owner, so nobody else looks.
    ///
    /// Panics on a block over memory that may be read-only.
    pub fn fill(&mut self, byte: u8) {
        assert!(self.is_writable, "a block that may be read-only cannot be filled");
        self.is_untouched = false;
        // SAFETY: the contract of `new` makes the whole range writable, and `&mut self` is the only owner.
        unsafe { self.raw.base.write_bytes(byte, self.raw.length) }
    }

    /// Memory straight from the system heap: zeroed, aligned to 64 or more. For devices without a pool.
    pub fn from_heap(length: usize, alignment: usize) -> Result<HostBlock> {
        let alignment = alignment.max(HOST_ALIGNMENT);
        let layout = Layout::from_size_align(length.max(1), alignment).ok();
        let layout = layout.filter(|layout| layout.size() as u64 <= ADDRESS_SPACE_BYTES);
        let Some(layout) = layout else {
            bail!(ResourceExhausted, "{length} bytes aligned to {alignment} do not fit the address space");
        };
        // SAFETY: the layout has a size of at least 1.
        let base = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            return Err(status!(ResourceExhausted, "the host has no {length} bytes left"));
        };
        let raw = RawBlock { base, length, token: alignment as u64 };
        // SAFETY: freshly allocated and zeroed with this layout, freed only by `Heap::reclaim`.
        Ok(unsafe { HostBlock::new(raw, Arc::new(Heap)) })
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.reclaim(self.raw);
        }
    }
}

impl std::fmt::Debug for HostBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostBlock({:p}, {} bytes)", self.raw.base, self.raw.length)
    }
}

/// Gets blocks back that it lent with [`HostBlock::lend`].
pub trait BlockKeeper: Send + Sync {
    /// The borrower is done. Whether to keep or drop the block is the keeper's choice.
    fn returned(&self, block: HostBlock);
}

impl HostBlock {
    /// A block over the same bytes that returns this one to `keeper` when it is dropped.
    pub fn lend(mut self, keeper: Arc<dyn BlockKeeper>) -> HostBlock {
        let raw = RawBlock { token: 0, ..self.raw };
        let is_writable = self.is_writable;
        // When it comes back, it has been used.
        let is_untouched = std::mem::take(&mut self.is_untouched);
        let home = Lent { block: Mutex::new(Some(self)), keeper };
        // SAFETY: `home` owns the block over these bytes until `reclaim`, and gives out no other. Whether they are
        // writable goes with them.
        let mut lent = unsafe { HostBlock::new(raw, Arc::new(home)) };
        lent.is_writable = is_writable;
        lent.is_untouched = is_untouched;
        lent
    }
}

/// Home of a block from [`HostBlock::lend`].
struct Lent {
    block: Mutex<Option<HostBlock>>,
    keeper: Arc<dyn BlockKeeper>,
}

impl BlockHome for Lent {
    fn reclaim(&self, _block: RawBlock) {
        let block = lock(&self.block).take();
        if let Some(block) = block {
            self.keeper.returned(block);
        }
    }

    fn set_death(&self, _block: &RawBlock, death: Option<&Frontier>) {
        if let Some(block) = lock(&self.block).as_mut() {
            block.set_death(death);
        }
    }
}

/// Home of blocks from [`HostBlock::from_heap`]; the token is the alignment.
struct Heap;

impl BlockHome for Heap {
    fn reclaim(&self, block: RawBlock) {
        let layout = Layout::from_size_align(block.length.max(1), block.token as usize)
            .expect("the layout was valid when the block was made");
        // SAFETY: `from_heap` allocated exactly this layout at this address, and a block is reclaimed once.
        unsafe { std::alloc::dealloc(block.base.as_ptr(), layout) }
    }
}

/// Home of imported memory: keeps its owner until the block is gone.
pub(crate) struct Lender {
    owner: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

impl Lender {
    pub(crate) fn new(owner: Option<Box<dyn Any + Send + Sync>>) -> Lender {
        Lender { owner: Mutex::new(owner) }
    }
}

impl BlockHome for Lender {
    fn reclaim(&self, _block: RawBlock) {
        let owner = lock(&self.owner).take();
        drop(owner); // outside the lock: an owner may do anything
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_blocks_are_zeroed_and_aligned() {
        for (length, alignment) in [(0, 1), (1, 64), (1000, 4096)] {
            let block = HostBlock::from_heap(length, alignment).unwrap();
            assert_eq!(block.base().as_ptr() as usize % alignment.max(64), 0);
            assert_eq!(block.length(), length);
        }
        let too_large = HostBlock::from_heap(isize::MAX as usize, 64).unwrap_err();
        assert_eq!(too_large.code(), weft_sync::Code::ResourceExhausted);
    }
}
