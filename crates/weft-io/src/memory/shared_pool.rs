#![allow(unsafe_code, reason = "a list and buffers in memory that other processes write to are reached here")]
//! A pool of buffers that several processes take from.
//!
//! What lives here: [`SharedPool`], [`SharedLease`]. What does not: the list itself (`free_list.rs`), the memory
//! (`shared_memory.rs`).
//!
//! The list lies in shared memory in a form that every process must have the same idea of, little-endian:
//!
//! | offset | size      | field                                       |
//! |--------|-----------|---------------------------------------------|
//! | 0      | 4         | magic                                       |
//! | 4      | 4         | version                                     |
//! | 8      | 8         | bytes of a buffer                           |
//! | 16     | 4         | number of buffers                           |
//! | 20     | –         | zero, to the end of the line of 64 bytes    |
//! | 64     | 8         | the word of the list, alone in its line     |
//! | 128    | 4 × count | the links of the list                       |
//!
//! 1. Whoever makes it writes the magic last; whoever opens it sees all of it, or no magic.
//! 2. A process that dies keeps what it had leased; nothing else is lost.
//!
//! # Safety
//!
//! 1. The memory is a mapping that nobody can shorten, and the pool keeps it. Every place was checked to lie inside when
//!    the pool was made.
//! 2. **Other processes are not trusted with this one's memory**: what they write to the list may at worst give out a buffer
//!    twice, or none. So nothing here makes a reference to a buffer's bytes: they are copied in and out atomically, or
//!    used by the kernel.

use crate::free_list::{self, Corrupt, FreeList};
use crate::shared_memory::SharedMemory;
use crate::span::{Measured, Source, Span, Target};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use weft_sync::{Result, Status, bail, status};

const MAGIC: u32 = 0x5042_5249;
const VERSION: u32 = 1;
/// A line of the cache, as all processes see it.
const LINE: usize = 64;
const STATE: usize = LINE;
const LINKS: usize = 2 * LINE;

const _: () = assert!(cfg!(target_endian = "little"), "the layout is little-endian");

/// Where a shared pool lies. Both memories may be the same.
#[derive(Clone, Copy, Debug)]
pub struct SharedPoolParts<'a> {
    /// Where the list is: [`SharedPool::storage_size`] bytes, from here on.
    pub list: &'a SharedMemory,
    /// A multiple of 64.
    pub list_offset: usize,
    /// Where the buffers are, one behind the other.
    pub buffers: &'a SharedMemory,
    /// Where the first of them begins.
    pub buffers_offset: usize,
    /// Bytes of each.
    pub buffer_size: usize,
    /// How many: up to 65,534.
    pub buffer_count: u32,
}

/// Gives out buffers, each to one process at a time. Cheap to clone; clones are the same pool, and so are those that other
/// processes open in the same memory.
///
/// ```
/// use weft_io::{SharedMemory, SharedPool, SharedPoolParts};
/// let list = SharedMemory::create(SharedPool::storage_size(4) / 4)?;
/// let buffers = SharedMemory::create(4 * 1024 / 4)?;
/// let parts = SharedPoolParts {
///     list: &list,
///     list_offset: 0,
///     buffers: &buffers,
///     buffers_offset: 0,
///     buffer_size: 1024,
///     buffer_count: 4,
/// };
/// let here = SharedPool::create(parts)?;
/// // Another process maps the memory of the same handles, and opens it there.
/// let there = SharedPool::open(parts)?;
/// let lease = here.acquire()?;
/// assert_eq!(there.available(), 3);
/// lease.write(0, b"hello")?;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct SharedPool(Arc<Inner>);

struct Inner {
    list: NonNull<u8>,
    buffers: NonNull<u8>,
    buffer_size: usize,
    buffer_count: u32,
    /// Rule 1.
    _memories: [SharedMemory; 2],
}

// SAFETY: the list is reached through atomics alone, the buffers too (rule 2), in memory of the process.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl SharedPool {
    /// Bytes that the list of so many buffers takes.
    pub fn storage_size(buffer_count: u32) -> usize {
        LINKS + 4 * buffer_count as usize
    }

    /// Makes a pool: writes the list, in which every buffer is free. Nobody else uses the memory yet.
    ///
    /// `INVALID_ARGUMENT`: an offset that is not aligned, too little memory, no buffers or too many, or list and buffers
    /// overlap.
    pub fn create(parts: SharedPoolParts<'_>) -> Result<SharedPool> {
        let inner = Inner::new(parts)?;
        inner.word(0).store(0, Ordering::Relaxed);
        for index in 5..LINKS / 4 {
            inner.word(4 * index).store(0, Ordering::Relaxed);
        }
        inner.word(4).store(VERSION, Ordering::Relaxed);
        inner.long(8).store(parts.buffer_size as u64, Ordering::Relaxed);
        inner.word(16).store(parts.buffer_count, Ordering::Relaxed);
        inner.list().fill();
        // Pairs with the Acquire in `open`.
        inner.word(0).store(MAGIC, Ordering::Release);
        Ok(SharedPool(Arc::new(inner)))
    }

    /// Opens a pool that another process has made. Changes nothing.
    ///
    /// `INVALID_ARGUMENT`: as [`SharedPool::create`]; or there is no pool, one of another version, or one of other buffers.
    pub fn open(parts: SharedPoolParts<'_>) -> Result<SharedPool> {
        let inner = Inner::new(parts)?;
        // Acquire pairs with the Release in `create`.
        let magic = inner.word(0).load(Ordering::Acquire);
        if magic != MAGIC {
            bail!(InvalidArgument, "no shared pool begins with {magic:#x}");
        }
        let version = inner.word(4).load(Ordering::Relaxed);
        if version != VERSION {
            bail!(InvalidArgument, "a shared pool of version {version}; this is {VERSION}");
        }
        let size = inner.long(8).load(Ordering::Relaxed);
        if size != parts.buffer_size as u64 {
            bail!(InvalidArgument, "buffers of {} bytes in a shared pool of {size}", parts.buffer_size);
        }
        let count = inner.word(16).load(Ordering::Relaxed);
        if count != parts.buffer_count {
            bail!(InvalidArgument, "{} buffers in a shared pool of {count}", parts.buffer_count);
        }
        Ok(SharedPool(Arc::new(inner)))
    }

    /// A buffer, for this process. `RESOURCE_EXHAUSTED`: none is free. `DATA_LOSS`: another process has destroyed the list.
    /// Never blocks.
    pub fn acquire(&self) -> Result<SharedLease> {
        match self.0.list().pop() {
            Ok(Some(index)) => Ok(SharedLease { pool: self.clone(), index }),
            Ok(None) => Err(self.exhausted()),
            Err(Corrupt) => bail!(DataLoss, "the list of the shared pool is none any more"),
        }
    }

    #[cold]
    fn exhausted(&self) -> Status {
        status!(ResourceExhausted, "all {} buffers are leased, here or elsewhere", self.capacity())
    }

    /// How many are free, for any process. As of just now.
    pub fn available(&self) -> u32 {
        self.0.list().count().min(self.capacity())
    }

    /// How many buffers there are.
    pub fn capacity(&self) -> u32 {
        self.0.buffer_count
    }

    /// Bytes of each.
    pub fn buffer_size(&self) -> usize {
        self.0.buffer_size
    }
}

impl Inner {
    fn new(parts: SharedPoolParts<'_>) -> Result<Inner> {
        let SharedPoolParts { list, list_offset, buffers, buffers_offset, buffer_size, buffer_count } = parts;
        if buffer_size == 0 || buffer_count == 0 || buffer_count > free_list::BUFFERS_MAX {
            bail!(InvalidArgument, "a shared pool of {buffer_count} buffers of {buffer_size} bytes");
        }
        let too_small = |why: Status| status!(InvalidArgument, "too little memory: {why}");
        let list_bytes = SharedPool::storage_size(buffer_count);
        if !list_offset.is_multiple_of(LINE) {
            bail!(
                InvalidArgument,
                "the list of a shared pool at {list_offset}, which is not a multiple of {LINE}"
            );
        }
        let list_start = list.piece(list_offset, list_bytes).map_err(too_small)?;
        let Some(bytes) = buffer_size.checked_mul(buffer_count as usize) else {
            bail!(InvalidArgument, "{buffer_count} buffers of {buffer_size} bytes");
        };
        let start = buffers.piece(buffers_offset, bytes).map_err(too_small)?;
        let (list_at, start_at) = (list_start.addr().get(), start.addr().get());
        if list_at < start_at + bytes && start_at < list_at + list_bytes {
            bail!(InvalidArgument, "the list of a shared pool lies among its buffers");
        }
        let memories = [list.clone(), buffers.clone()];
        Ok(Inner { list: list_start, buffers: start, buffer_size, buffer_count, _memories: memories })
    }

    /// A word of the list's memory.
    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset < SharedPool::storage_size(self.buffer_count));
        // SAFETY: rule 1: inside the mapping, which begins with a page; the list begins with a line.
        let place = unsafe { self.list.add(offset) };
        // SAFETY: aligned, mapped as long as `self`, and shared as an atomic.
        unsafe { place.cast::<AtomicU32>().as_ref() }
    }

    /// A double word of the list's memory.
    fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset < LINKS);
        // SAFETY: as in `word`.
        let place = unsafe { self.list.add(offset) };
        // SAFETY: as in `word`.
        unsafe { place.cast::<AtomicU64>().as_ref() }
    }

    fn list(&self) -> FreeList<'_> {
        let links = std::ptr::from_ref(self.word(LINKS));
        // SAFETY: rule 1: so many words were checked to be there; shared as atomics, as long as `self`.
        let next = unsafe { std::slice::from_raw_parts(links, self.buffer_count as usize) };
        FreeList { state: self.long(STATE), next }
    }
}

impl fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedPool({} of {} available)", self.available(), self.capacity())
    }
}

/// A buffer of a [`SharedPool`], until it is dropped. Its bytes are copied in and out: other processes, which may have lost
/// their way, could write to them. Operations use them where they lie.
pub struct SharedLease {
    pool: SharedPool,
    index: u16,
}

impl SharedLease {
    /// Which buffer. Given to another process, in a message, it names the same one there.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Where it comes from.
    pub fn pool(&self) -> &SharedPool {
        &self.pool
    }

    fn start(&self) -> *mut u8 {
        let inner = &self.pool.0;
        inner.buffers.as_ptr().wrapping_add(usize::from(self.index) * inner.buffer_size)
    }

    /// Copies bytes into the buffer, from `offset` on. `OUT_OF_RANGE`: it is too short.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let cells = self.cells(offset, bytes.len())?;
        cells.iter().zip(bytes).for_each(|(cell, &byte)| cell.store(byte, Ordering::Relaxed));
        Ok(())
    }

    /// Copies bytes out of the buffer, from `offset` on. `OUT_OF_RANGE`: it is too short.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let cells = self.cells(offset, bytes.len())?;
        bytes.iter_mut().zip(cells).for_each(|(byte, cell)| *byte = cell.load(Ordering::Relaxed));
        Ok(())
    }

    fn cells(&self, offset: usize, length: usize) -> Result<&[AtomicU8]> {
        let size = self.pool.buffer_size();
        if offset.checked_add(length).is_none_or(|end| end > size) {
            bail!(OutOfRange, "{length} bytes at {offset} of a buffer of {size}");
        }
        let start = self.start().wrapping_add(offset).cast::<AtomicU8>();
        // SAFETY: rule 1: inside the buffer, as just checked, and the index came from the list, which gives out none that is
        // not there; shared as atomics (rule 2), as long as the pool keeps the mapping.
        Ok(unsafe { std::slice::from_raw_parts(start, length) })
    }

    fn piece(&self) -> Span {
        Span { address: self.start(), length: self.pool.buffer_size(), registered: None }
    }
}

impl Drop for SharedLease {
    fn drop(&mut self) {
        self.pool.0.list().push(self.index);
    }
}

// SAFETY: the pool keeps the mapping, which stays where it is. A process that has lost its way may write to it: rule 2, and
// what the kernel then sends is whatever is there.
unsafe impl Source for SharedLease {
    fn span(&self, index: usize) -> Span {
        assert_eq!(index, 0, "a lease has one span");
        self.piece()
    }
}

// SAFETY: as above.
unsafe impl Target for SharedLease {
    fn span(&mut self, index: usize) -> Span {
        assert_eq!(index, 0, "a lease has one span");
        self.piece()
    }
}

impl Measured for SharedLease {
    fn length(&mut self) -> Result<usize> {
        Ok(self.pool.buffer_size())
    }
}

impl fmt::Debug for SharedLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedLease(buffer {} of {} bytes)", self.index, self.pool.buffer_size())
    }
}
