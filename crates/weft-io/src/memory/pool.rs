//! Who has which buffer of a region.
//!
//! What lives here: [`BufferPool`]. What does not: the list of free buffers (`free_list.rs`), what can be done with one
//! (`lease.rs`), the kernel's ring of buffers (`backend/uring/group.rs`).
//!
//! 1. **A buffer is free, leased, or with the kernel**: in the list, in a [`Lease`], or in the ring from which the kernel
//!    picks one when data for a receive is there. It is in one of the three.
//! 2. A slab has one pool at a time, so two pools never give out the same bytes.
//! 3. **Leases go back to the list**, whatever thread drops them, and from wherever they came. Only the poll thread, when a
//!    receive begins or has got something, moves free buffers into the ring: up to half of all of them, or, if the kernel
//!    has found none, all that are free. So nobody but that thread writes the ring while the kernel reads it.
//! 4. What lies in the ring while no receive is under way can be leased: the kernel does not look at it then.
//! 5. **A buffer that is used up piece by piece** is in several hands: each piece in a lease, the rest with the kernel or, where
//!    that cannot do it, here (`open`), until a receive takes it along. Each has a part of it (`parts.rs`), and it is free when
//!    the last one is back. What is not used up is leased whole, too, if no piece of it is out.

use super::lease::Lease;
use super::region::{Access, Consumption, Region};
#[cfg(target_os = "linux")]
use super::run::Filled;
use super::run::Run;
use super::slab::Slab;
use crate::free_list::{self, Corrupt, FreeList};
use crate::parts::Parts;
use std::fmt;
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, AtomicU64, Mutex, lock};
use weft_sync::{Result, Status, bail, status};

/// Gives out the buffers of a region, to any thread. Cheap to clone; clones are the same pool.
///
/// ```
/// use weft_io::{Access, BufferPool, Region, Slab};
/// let region = Region::unregistered(&Slab::new(512, 2)?, Access::READ | Access::WRITE)?;
/// let pool = BufferPool::new(&region)?;
/// let (first, second) = (pool.acquire()?, pool.acquire()?);
/// assert!(pool.acquire().is_err());
/// drop(first);
/// assert!(pool.acquire().is_ok());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct BufferPool(Arc<Inner>);

struct Inner {
    region: Region,
    slab: Slab,
    state: AtomicU64,
    next: Box<[AtomicU32]>,
    /// Rule 5.
    incremental: Option<Incremental>,
}

/// What a pool of buffers that are used up piece by piece has besides.
struct Incremental {
    /// Of each buffer.
    parts: Box<[Parts]>,
    /// The buffer that receives which look for one by themselves use up, and where what is left of it begins. None while one of
    /// them has it.
    open: Mutex<Option<(u16, usize)>>,
}

impl BufferPool {
    /// A pool of all buffers of the region's slab. `INVALID_ARGUMENT`: it has none, or more than 65,534.
    /// `FAILED_PRECONDITION`: another pool gives them out.
    pub fn new(region: &Region) -> Result<BufferPool> {
        let Some(slab) = region.slab() else { bail!(InvalidArgument, "{region:?} has no buffers") };
        let count = slab.buffer_count();
        if count > free_list::BUFFERS_MAX {
            bail!(InvalidArgument, "a pool of {count} buffers; {} are possible", free_list::BUFFERS_MAX);
        }
        if !slab.claim() {
            bail!(FailedPrecondition, "another pool gives out the buffers of this slab");
        }
        let next = (0..count).map(|_| AtomicU32::new(0)).collect();
        let incremental = (region.consumption() == Consumption::Incremental).then(|| Incremental {
            parts: (0..count).map(|_| Parts::new()).collect(),
            open: Mutex::new(None),
        });
        let (region, slab) = (region.clone(), slab.clone());
        let inner = Inner { region, slab, state: AtomicU64::new(0), next, incremental };
        inner.list().fill();
        Ok(BufferPool(Arc::new(inner)))
    }

    /// A whole buffer; what it holds is what its last owner left. `RESOURCE_EXHAUSTED`: none is free. Never blocks.
    pub fn acquire(&self) -> Result<Lease> {
        match self.0.pop() {
            Some(index) => Ok(Lease::new(self, index)),
            None => Err(self.exhausted()),
        }
    }

    #[cold]
    fn exhausted(&self) -> Status {
        let (all, with_kernel) = (self.capacity(), self.0.with_kernel());
        match with_kernel {
            0 => status!(ResourceExhausted, "{all} of {all} buffers are leased"),
            _ => status!(
                ResourceExhausted,
                "{} of {all} buffers are leased, {with_kernel} are with receives that are under way",
                all.saturating_sub(with_kernel)
            ),
        }
    }

    /// How many buffers are not leased: free, or waiting for data that receives under way may get; also one that is used up in
    /// part, whatever became of the pieces. As of just now.
    pub fn available(&self) -> u32 {
        (self.0.list().count() + self.0.with_kernel() + self.0.open()).min(self.capacity())
    }

    /// How many buffers there are.
    pub fn capacity(&self) -> u32 {
        self.0.slab.buffer_count()
    }

    /// Bytes of each.
    pub fn buffer_size(&self) -> usize {
        self.0.slab.buffer_size()
    }

    /// Whose buffers it gives out.
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    pub(super) fn buffer(&self, index: u16) -> *mut u8 {
        self.0.slab.buffer(index)
    }

    /// Of a buffer with others behind it that were received together: how many bytes of it, and the next one, which the
    /// caller has not had before.
    pub(super) fn follow(&self, lease: &Lease) -> Option<(usize, Lease)> {
        cfg_select! {
            target_os = "linux" => {
                let (bytes, next) = self.0.region.hold().group()?.follow(lease.index());
                Some((bytes as usize, Lease::new(self, next)))
            }
            _ => { let _ = lease; None }
        }
    }

    /// From a lease that is going.
    pub(super) fn take_back(&self, index: u16) {
        if let Some(incremental) = &self.0.incremental
            && !incremental.parts[usize::from(index)].leave()
        {
            return;
        }
        self.0.list().push(index);
    }

    /// What a receive that looks for room by itself may fill: a whole buffer, or the rest of one.
    pub(crate) fn begin_attempt(&self) -> Result<Lease> {
        if let Some(incremental) = &self.0.incremental
            && let Some((index, offset)) = lock(&incremental.open).take()
        {
            return Ok(Lease::piece(self, index, offset, self.buffer_size() - offset));
        }
        self.acquire()
    }

    /// It has filled so many bytes of it.
    pub(crate) fn end_attempt(&self, mut lease: Lease, bytes: usize) -> Run {
        if let Some(incremental) = &self.0.incremental {
            let (index, end) = (lease.index(), lease.offset() + bytes);
            if bytes < lease.len() && end > 0 {
                // The lease has a part already.
                incremental.parts[usize::from(index)].add();
                let before = lock(&incremental.open).replace((index, end));
                debug_assert!(before.is_none(), "receives of a pool look for room one at a time");
            }
            lease.shorten(bytes);
        }
        if bytes == 0 { Run::default() } else { Run::of(lease, bytes) }
    }

    /// Whether operations may receive into it, out of a stream or messages. `FAILED_PRECONDITION`: nobody may write to the
    /// region. `INVALID_ARGUMENT`: messages, and what is left of a buffer would cut them.
    pub(crate) fn check_receive(&self, is_stream: bool) -> Result<()> {
        if !is_stream && self.0.incremental.is_some() {
            bail!(InvalidArgument, "receiving messages into a pool whose buffers are used up piece by piece");
        }
        if !self.0.region.access().contains(Access::WRITE) {
            bail!(FailedPrecondition, "receiving into a pool whose region operations may not write");
        }
        Ok(())
    }
}

/// For the backend that has a ring of buffers; on the poll thread.
#[cfg(target_os = "linux")]
impl BufferPool {
    /// Whether the kernel has a ring for it.
    pub(crate) fn has_ring(&self) -> bool {
        self.0.region.hold().group().is_some()
    }

    /// A receive begins: the number of the ring that the kernel picks a buffer from. `None`: there is no ring, and the
    /// receive needs a lease.
    pub(crate) fn begin_receive(&self) -> Option<u16> {
        let group = self.0.region.hold().group()?;
        group.begin();
        self.feed(self.half());
        Some(group.id())
    }

    /// The kernel has picked this buffer, and those behind it that so many bytes fill; or a piece of this one.
    pub(crate) fn received(&self, filled: Filled) -> Option<Run> {
        let Filled { buffer: index, bytes, goes_on } = filled;
        let group = self.0.region.hold().group()?;
        if u32::from(index) >= self.capacity() {
            debug_assert!(false, "buffer {index} of {}", self.capacity());
            return None;
        }
        if let Some(incremental) = &self.0.incremental {
            let (offset, bytes) = group.picked_piece(index, bytes, goes_on)?;
            match (goes_on, bytes) {
                (true, 0) => return None,
                (true, _) => incremental.parts[usize::from(index)].add(),
                // The kernel's own part is that of the piece, which may be empty.
                (false, _) => self.feed(self.half()),
            }
            return Some(Run::of(Lease::piece(self, index, offset as usize, bytes as usize), bytes as usize));
        }
        let picked = group.picked(index, bytes)?;
        self.feed(self.half());
        Some(Run::of_many(Lease::new(self, index), picked.behind, picked.bytes as usize))
    }

    /// The kernel has found no buffer. Whether it would now.
    pub(crate) fn replenish(&self) -> bool {
        self.feed(self.capacity());
        self.0.with_kernel() > 0
    }

    /// The last answer of a receive has come.
    pub(crate) fn end_receive(&self) {
        if let Some(group) = self.0.region.hold().group() {
            group.end();
        }
    }

    fn half(&self) -> u32 {
        self.capacity().div_ceil(2)
    }

    fn feed(&self, up_to: u32) {
        if let Some(group) = self.0.region.hold().group() {
            group.feed(&self.0.slab, up_to, || self.0.pop_free());
        }
    }
}

impl Inner {
    fn list(&self) -> FreeList<'_> {
        FreeList { state: &self.state, next: &self.next }
    }

    fn pop_free(&self) -> Option<u16> {
        let found = match self.list().pop() {
            Ok(found) => found?,
            Err(Corrupt) => unreachable!("the words are this pool's alone"),
        };
        if let Some(incremental) = &self.incremental {
            incremental.parts[usize::from(found)].begin();
        }
        Some(found)
    }

    fn pop(&self) -> Option<u16> {
        let found = self.pop_free();
        #[cfg(target_os = "linux")]
        let found = found.or_else(|| self.region.hold().group()?.reclaim(|index| self.is_whole(index)));
        found.or_else(|| self.pop_open())
    }

    /// Whether no piece is out of a buffer of which the caller has the rest.
    fn is_whole(&self, index: u16) -> bool {
        self.incremental.as_ref().is_none_or(|incremental| incremental.parts[usize::from(index)].is_last())
    }

    /// The buffer that is used up in part, if no piece of it is out.
    fn pop_open(&self) -> Option<u16> {
        let mut open = lock(&self.incremental.as_ref()?.open);
        open.take_if(|(index, _)| self.is_whole(*index)).map(|(index, _)| index)
    }

    /// How many are used up in part, without the kernel's.
    fn open(&self) -> u32 {
        self.incremental.as_ref().map_or(0, |incremental| u32::from(lock(&incremental.open).is_some()))
    }

    /// How many lie in the kernel's ring.
    fn with_kernel(&self) -> u32 {
        cfg_select! {
            target_os = "linux" => { self.region.hold().group().map_or(0, |group| group.count()) }
            _ => { 0 }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // No lease is left, and no receive, for each has the pool. What lies in the ring is taken out of it.
        #[cfg(target_os = "linux")]
        if let Some(group) = self.region.hold().group() {
            while group.reclaim(|_| true).is_some() {}
        }
        self.slab.disclaim();
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferPool({} of {} available)", self.available(), self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    fn pool(size: usize, count: u32) -> Result<BufferPool> {
        BufferPool::new(&Region::unregistered(&Slab::new(size, count)?, Access::READ)?)
    }

    /// [async 174] [async 175] [async 176] Every buffer once, none overlapping another, in whatever order they come back.
    #[test]
    fn buffers_are_leased_once() {
        let pool = pool(100, 7).unwrap();
        for round in 0..3 {
            let mut leases: Vec<Lease> = (0..7).map(|_| pool.acquire().unwrap()).collect();
            assert_eq!(pool.acquire().unwrap_err().code(), Code::ResourceExhausted);
            assert_eq!((pool.available(), pool.capacity()), (0, 7));
            for lease in &mut leases {
                let index = lease.index() as u8;
                lease.fill(index);
            }
            assert!(leases.iter().all(|lease| lease.iter().all(|&byte| u16::from(byte) == lease.index())));
            leases.rotate_left(round);
            drop(leases.pop());
            assert_eq!(pool.available(), 1);
            leases.push(pool.acquire().unwrap());
            drop(leases);
            assert_eq!(pool.available(), 7);
        }
    }

    /// A slab has one pool at a time; it lives as long as a lease.
    #[test]
    fn a_slab_has_one_pool() {
        let slab = Slab::new(16, 2).unwrap();
        let region = Region::unregistered(&slab, Access::WRITE).unwrap();
        let other = Region::unregistered(&slab, Access::READ).unwrap();
        let pool = BufferPool::new(&region).unwrap();
        assert_eq!(BufferPool::new(&other).unwrap_err().code(), Code::FailedPrecondition);
        let lease = pool.acquire().unwrap();
        drop((pool, region, slab));
        assert_eq!(BufferPool::new(&other).unwrap_err().code(), Code::FailedPrecondition);
        drop(lease);
        BufferPool::new(&other).unwrap();
        assert_eq!(
            Region::unregistered(other.slab().unwrap(), Access::empty()).unwrap_err().code(),
            Code::InvalidArgument
        );
    }

    /// [async 175] The most buffers that there can be, and one more.
    #[test]
    fn a_pool_has_a_limit() {
        let largest = pool(1, 65_534).unwrap();
        let leases: Vec<Lease> = std::iter::from_fn(|| largest.acquire().ok()).collect();
        assert_eq!(leases.len(), 65_534);
        assert_eq!(pool(1, 65_535).unwrap_err().code(), Code::InvalidArgument);
    }

    /// [async 191] Eight threads take and give back: no buffer has two owners, and all are there in the end.
    #[test]
    fn threads_share_a_pool() {
        let pool = pool(size_of::<usize>(), 12).unwrap();
        let rounds = match () {
            () if cfg!(tsan) => 2_000,
            () if cfg!(debug_assertions) => 200_000,
            () => 1_000_000,
        };
        std::thread::scope(|scope| {
            for thread in 1..=8_usize {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let Ok(mut lease) = pool.acquire() else { continue };
                        let mark = (thread << 32 | round).to_ne_bytes();
                        lease.copy_from_slice(&mark);
                        std::hint::black_box(&mut lease);
                        assert_eq!(*lease, mark);
                    }
                });
            }
        });
        assert_eq!(pool.available(), 12);
    }
}
