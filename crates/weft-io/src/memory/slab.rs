#![allow(unsafe_code, reason = "memory of other owners is taken in here, and addresses in it are given out")]
//! Memory for buffers of one size, of which no proactor knows.
//!
//! What lives here: [`Slab`], [`SlabOptions`]. What does not: what a proactor knows of it (`region.rs`), who has which
//! buffer (`pool.rs`).
//!
//! # Safety
//!
//! 1. A slab owns its memory, or was promised it: mapped, initialised, at the same place, and in nobody else's hands, from
//!    its making until its last clone is gone. Whatever names an address in it keeps a clone.
//! 2. A slab alone gives nobody access to a byte. A [`BufferPool`](super::BufferPool) does, buffer by buffer, to one
//!    owner each; and a slab has one pool at a time: [`Slab::claim`] and [`Slab::disclaim`].

use super::mapping::{Mapping, Pages};
use crate::span::Exclusive;
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use weft_sync::atomic::{AtomicBool, Ordering};
use weft_sync::{Result, bail, status};

/// What memory a slab is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabOptions {
    /// Bytes of each buffer.
    pub buffer_size: usize,
    /// How many buffers.
    pub buffer_count: u32,
    /// Which pages it should have. What it got is told by [`Slab::pages`].
    pub pages: Pages,
    /// The memory node that is preferred.
    pub node: Option<u32>,
}

/// Buffers of one size, one behind the other. Cheap to clone; clones are the same memory, which is freed with the last
/// of them, or with the last region, pool or lease of it.
///
/// ```
/// use weft_io::Slab;
/// let slab = Slab::new(4096, 64)?;
/// assert_eq!((slab.buffer_size(), slab.buffer_count(), slab.bytes()), (4096, 64, 4096 * 64));
/// assert!(Slab::new(0, 64).is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Slab(Arc<Inner>);

struct Inner {
    start: NonNull<u8>,
    buffer_size: usize,
    buffer_count: u32,
    pages: Pages,
    /// Rule 2.
    is_claimed: AtomicBool,
    /// What frees the memory.
    _memory: Memory,
}

#[expect(dead_code, reason = "kept for their drop")]
enum Memory {
    Mapped(Mapping),
    Owned(Box<dyn Any + Send>),
    Foreign,
}

// SAFETY: rule 2: the bytes are reached through leases alone, each of one owner; the rest is atomic or never changes. What
// is owned is `Send`, and only dropped.
unsafe impl Send for Inner {}
// SAFETY: as above; nobody gets a reference to what is owned.
unsafe impl Sync for Inner {}

impl Slab {
    /// New memory, all zero. `INVALID_ARGUMENT`: a size or a count of zero; `OUT_OF_RANGE`: more than an address space has;
    /// `RESOURCE_EXHAUSTED`: more than this system has.
    pub fn new(buffer_size: usize, buffer_count: u32) -> Result<Slab> {
        Slab::with_options(SlabOptions { buffer_size, buffer_count, pages: Pages::Ordinary, node: None })
    }

    /// New memory of chosen pages, all zero. Fails as [`Slab::new`], and with `INVALID_ARGUMENT` if there is no such node.
    pub fn with_options(options: SlabOptions) -> Result<Slab> {
        let SlabOptions { buffer_size, buffer_count, pages, node } = options;
        let bytes = product(buffer_size, buffer_count)?;
        let (mapping, pages) = Mapping::anonymous(bytes, pages, node)?;
        Ok(Slab::assemble(mapping.start(), buffer_size, buffer_count, pages, Memory::Mapped(mapping)))
    }

    /// Memory that somebody else made, which the slab owns from now on: as many buffers as fit. What does not fill a
    /// buffer is left out. `INVALID_ARGUMENT`: not even one fits, or the memory has no span or several.
    ///
    /// ```
    /// use weft_io::Slab;
    /// let slab = Slab::of(vec![0; 1000], 300)?;
    /// assert_eq!(slab.buffer_count(), 3);
    /// # weft_sync::Result::Ok(())
    /// ```
    ///
    /// What others may use at the same time is no slab:
    ///
    /// ```compile_fail,E0277
    /// # fn of(lease: weft_io::SharedLease, span: weft_io::RegionSpan) {
    /// let slab = weft_io::Slab::of(lease, 1);
    /// # }
    /// ```
    pub fn of(memory: impl Exclusive, buffer_size: usize) -> Result<Slab> {
        let mut memory = Box::new(memory);
        if memory.count() != 1 {
            bail!(InvalidArgument, "a memory of {} spans is no slab", memory.count());
        }
        let span = memory.span(0);
        let fits = span.length.checked_div(buffer_size).unwrap_or(0);
        let count = u32::try_from(fits)
            .map_err(|_| status!(OutOfRange, "{fits} buffers of {buffer_size} bytes in one slab"))?;
        let start = NonNull::new(span.address).filter(|_| count > 0);
        let Some(start) = start else {
            bail!(InvalidArgument, "{} bytes have no buffer of {buffer_size}", span.length)
        };
        // The promises of `Exclusive` are those of rule 1, for as long as nobody else uses the value: it is only dropped.
        Ok(Slab::assemble(start, buffer_size, count, Pages::Ordinary, Memory::Owned(memory)))
    }

    /// Memory that stays somebody else's, who frees it. Fails as [`Slab::new`].
    ///
    /// # Safety
    ///
    /// Until the last clone of the slab and everything made of it is gone (regions, pools, leases, operations), the
    /// `buffer_size * buffer_count` bytes are mapped, readable and writable, are initialised, and are reached by nobody
    /// but through the slab.
    pub unsafe fn wrap(start: NonNull<u8>, buffer_size: usize, buffer_count: u32) -> Result<Slab> {
        product(buffer_size, buffer_count)?;
        Ok(Slab::assemble(start, buffer_size, buffer_count, Pages::Ordinary, Memory::Foreign))
    }

    fn assemble(
        start: NonNull<u8>,
        buffer_size: usize,
        buffer_count: u32,
        pages: Pages,
        memory: Memory,
    ) -> Slab {
        let is_claimed = AtomicBool::new(false);
        Slab(Arc::new(Inner { start, buffer_size, buffer_count, pages, is_claimed, _memory: memory }))
    }

    /// Bytes of each buffer.
    pub fn buffer_size(&self) -> usize {
        self.0.buffer_size
    }

    /// How many buffers.
    pub fn buffer_count(&self) -> u32 {
        self.0.buffer_count
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        // No overflow: seen by `product`, or there is such a memory.
        self.0.buffer_size * self.0.buffer_count as usize
    }

    /// Which pages it got.
    pub fn pages(&self) -> Pages {
        self.0.pages
    }

    /// Where the bytes begin.
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.start.as_ptr()
    }

    /// Where a buffer begins. Panics for one that is not there.
    pub(crate) fn buffer(&self, index: u16) -> *mut u8 {
        assert!(u32::from(index) < self.0.buffer_count, "buffer {index} of {}", self.0.buffer_count);
        self.start().wrapping_add(usize::from(index) * self.0.buffer_size)
    }

    /// Makes the caller the one who gives buffers out. `false`: somebody else is.
    pub(super) fn claim(&self) -> bool {
        // Acquire pairs with the Release in `disclaim`: what was written to the buffers is seen.
        !self.0.is_claimed.swap(true, Ordering::Acquire)
    }

    /// The caller, who has claimed it, has every buffer back and gives out none any more.
    pub(super) fn disclaim(&self) {
        self.0.is_claimed.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slab({} buffers of {} bytes)", self.0.buffer_count, self.0.buffer_size)
    }
}

/// How many bytes that is.
fn product(size: usize, count: u32) -> Result<usize> {
    if size == 0 || count == 0 {
        bail!(InvalidArgument, "a slab of {count} buffers of {size} bytes");
    }
    // What no allocation can have no slab can have: addresses are compared as signed numbers.
    match size.checked_mul(count as usize) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(bytes),
        _ => bail!(OutOfRange, "a slab of {count} buffers of {size} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Target;
    use weft_sync::Code;

    fn code(slab: Result<Slab>) -> Code {
        slab.unwrap_err().code()
    }

    /// [async 174] [async 178] Every kind of memory; sizes that make no sense are refused.
    #[test]
    fn slabs_are_made_of_all_kinds_of_memory() {
        assert_eq!(code(Slab::new(0, 4)), Code::InvalidArgument);
        assert_eq!(code(Slab::new(4096, 0)), Code::InvalidArgument);
        assert_eq!(code(Slab::new(usize::MAX / 2, 3)), Code::OutOfRange);
        assert_eq!(code(Slab::new(1 << 60, 1)), Code::ResourceExhausted);
        for pages in [Pages::Ordinary, Pages::Transparent, Pages::Huge] {
            let options = SlabOptions { buffer_size: 1 << 20, buffer_count: 3, pages, node: Some(0) };
            let slab = Slab::with_options(options).unwrap();
            assert!(slab.pages() == pages || pages != Pages::Ordinary);
            assert_eq!(slab.bytes(), 3 << 20);
        }
        let options =
            SlabOptions { buffer_size: 1, buffer_count: 1, pages: Pages::Ordinary, node: Some(4000) };
        assert_eq!(code(Slab::with_options(options)), Code::InvalidArgument);
        assert_eq!(code(Slab::of(vec![0; 10], 11)), Code::InvalidArgument);
        assert_eq!(code(Slab::of(vec![0; 10], 0)), Code::InvalidArgument);
        assert_eq!(code(Slab::of([vec![0; 10], vec![0; 10]], 1)), Code::InvalidArgument);
        assert_eq!(Slab::of(vec![0_u8; 11].into_boxed_slice(), 5).unwrap().buffer_count(), 2);
    }

    /// [async 178] Memory that is wrapped stays its owner's: nothing is freed.
    #[test]
    fn wrapped_memory_is_not_freed() {
        let mut bytes = vec![7_u8; 64];
        let start = NonNull::new(bytes.as_mut_ptr()).unwrap();
        // SAFETY: the vector lives longer, and is not used meanwhile.
        let slab = unsafe { Slab::wrap(start, 16, 4) }.unwrap();
        drop((slab.clone(), slab));
        assert_eq!(bytes, [7; 64]);
        // SAFETY: refused.
        assert_eq!(code(unsafe { Slab::wrap(start, 0, 4) }), Code::InvalidArgument);
    }

    /// [async 178] What is owned is dropped with the last clone.
    #[test]
    fn owned_memory_is_dropped_once() {
        struct Told(Vec<u8>, #[expect(dead_code, reason = "counts")] Arc<()>);
        // SAFETY: those of its vector.
        unsafe impl Target for Told {
            fn span(&mut self, index: usize) -> crate::span::Span {
                Target::span(&mut self.0, index)
            }
        }
        // SAFETY: those of its vector.
        unsafe impl Exclusive for Told {}
        let told = Arc::new(());
        let slab = Slab::of(Told(vec![0; 10], Arc::clone(&told)), 10).unwrap();
        let clone = slab.clone();
        drop(slab);
        assert_eq!(Arc::strong_count(&told), 2);
        drop(clone);
        assert_eq!(Arc::strong_count(&told), 1);
    }
}
