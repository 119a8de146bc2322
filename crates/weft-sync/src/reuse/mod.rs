//! When freed memory may be used again without waiting.
//!
//! What lives here: what a request and its answers are, [`Requester`], [`Reservation`], [`Acquired`]. What does not: what
//! a block died after (`death.rs`), blocks of one size (`blocks.rs`), ranges of any size (`ranges.rs`), memory that is
//! given back all at once (`arena.rs`), the memory itself: pools here deal in offsets, and their owner locks them.
//!
//! 1. Who frees a block says what is ordered before that: the *death frontier*. All uses precede it by construction, so
//!    one vector stands for every use, however many readers there were.
//! 2. A block may be touched at once by whoever is ordered after its death frontier, or once the epochs that it names
//!    are known to be complete. That is one comparison of two short vectors, and no wait.
//! 3. A death frontier that does not fit *taints* the block: it is refused to everybody, also to those who happen to be
//!    ordered after the part that is known, until the pool is known to be quiet.
//! 4. A part of a block died when the block did; a block made of two died when both had.
//! 5. A refused block stays as it was: its death frontier, its taint and its place among the candidates.

mod arena;
mod blocks;
mod chain;
mod death;
mod ranges;

pub use arena::Arena;
pub use blocks::BlockPool;
pub use death::{Coverage, Death};
pub use ranges::{RangeOptions, RangePool};

use crate::frontier::{Frontier, FrontierBuf};
use crate::{Axis, Result, bail};
use std::sync::atomic::{AtomicU64, Ordering};

/// Who asks for memory: what it is ordered after, and what it knows to be complete.
#[derive(Clone, Copy)]
pub struct Requester<'a> {
    /// Everything that it is ordered after; `None` if it cannot say all of it. Then only what is complete counts.
    pub past: Option<&'a Frontier>,
    /// Whether an epoch is known to be complete: a look at a tracker, never a wait.
    pub is_reached: &'a dyn Fn(Axis, u64) -> bool,
}

impl<'a> Requester<'a> {
    /// A requester that is ordered after `past` and asks no tracker.
    ///
    /// ```
    /// use weft_sync::{Frontier, reuse::Requester};
    /// assert!(Requester::after(Frontier::EMPTY).past.is_some());
    /// ```
    pub fn after(past: &'a Frontier) -> Requester<'a> {
        Requester { past: Some(past), is_reached: &|_, _| false }
    }

    /// A requester of which nothing is known: the host, or a queue that has lost track of its past.
    ///
    /// ```
    /// assert!(weft_sync::reuse::Requester::unknown().past.is_none());
    /// ```
    pub fn unknown() -> Requester<'static> {
        Requester { past: None, is_reached: &|_, _| false }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes; more than 0.
    pub size: u64,
    /// A power of two.
    pub alignment: u64,
    /// The requester is able to wait for the death frontier of a block before it touches the bytes.
    pub can_wait: bool,
    /// The pool may take more backing memory.
    pub can_grow: bool,
}

impl Request {
    /// So many bytes, from a requester that neither waits nor lets the pool grow.
    ///
    /// ```
    /// use weft_sync::reuse::Request;
    /// let request = Request { can_wait: true, ..Request::new(4096, 64) };
    /// assert!(!request.can_grow);
    /// ```
    pub const fn new(size: u64, alignment: u64) -> Request {
        Request { size, alignment, can_wait: false, can_grow: false }
    }

    fn check(&self, size_max: u64) -> Result<()> {
        let Request { size, alignment, .. } = *self;
        if size == 0 {
            bail!(InvalidArgument, "0 bytes were asked for");
        }
        if !alignment.is_power_of_two() {
            bail!(InvalidArgument, "an alignment of {alignment} was asked for; it should be a power of two");
        }
        if size > size_max {
            bail!(OutOfRange, "{size} bytes were asked for; this pool has blocks of at most {size_max}");
        }
        Ok(())
    }
}

/// Memory that somebody has. Goes back with `release` or `restore`; dropping it keeps the memory reserved.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "reserved until it is released"]
pub struct Reservation {
    pool: PoolId,
    slab: u32,
    index: u32,
    offset: u64,
    size: u64,
}

impl Reservation {
    /// Which piece of backing memory it lies in; 0 unless the pool grows.
    pub fn slab(&self) -> u32 {
        self.slab
    }

    /// Where in that piece, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes were asked for.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Tells the reservations of one pool from those of others. There is one of each, so one of this pool is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PoolId(u64);

impl PoolId {
    fn next() -> PoolId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only has to differ.
        PoolId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn check(self, reservation: &Reservation) -> Result<()> {
        if reservation.pool == self {
            return Ok(());
        }
        let Reservation { slab, offset, size, .. } = reservation;
        bail!(InvalidArgument, "{size} bytes at {offset} of piece {slab} were reserved from another pool");
    }
}

/// The answer to a request. None of them is an error.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired<const DEATH: usize> {
    /// Used before, and the requester is past that: use it at once.
    Ready(Reservation),
    /// Never used, or freed with nothing to wait for: use it at once.
    Fresh(Reservation),
    /// Reserved, but the bytes may not be touched before the frontier is reached. [`BlockPool::restore`] and its like
    /// give it back as it was.
    NeedsWait(Reservation, FrontierBuf<DEATH>),
    /// Nothing suitable.
    Exhausted {
        /// The pool would have grown, had the request let it.
        could_grow: bool,
        /// There is memory that a pool which is quiet could give: see [`BlockPool::assume_quiet`].
        is_tainted: bool,
    },
    /// More than the pool was allowed to hand out.
    OverBudget,
}

impl<const DEATH: usize> Acquired<DEATH> {
    /// The memory, whether or not it has to be waited for.
    pub fn into_reservation(self) -> Option<Reservation> {
        match self {
            Acquired::Ready(it) | Acquired::Fresh(it) | Acquired::NeedsWait(it, _) => Some(it),
            Acquired::Exhausted { .. } | Acquired::OverBudget => None,
        }
    }
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests that were answered with memory.
    pub reservations: u64,
    /// Memory that came back, released or restored.
    pub releases: u64,
    /// Answers [`Acquired::Ready`].
    pub reused: u64,
    /// Answers [`Acquired::Fresh`].
    pub fresh: u64,
    /// Answers [`Acquired::NeedsWait`].
    pub waits: u64,
    /// Answers [`Acquired::Exhausted`].
    pub exhausted: u64,
    /// Answers [`Acquired::OverBudget`].
    pub over_budget: u64,
    /// Blocks that were looked at and refused.
    pub misses: u64,
    /// Those of the misses that were refused because they are tainted: no requester would have got them.
    pub tainted_misses: u64,
    /// Blocks whose death frontier did not fit, when they were released.
    pub tainted_releases: u64,
    /// Neighbours whose joint death frontier did not fit.
    pub tainted_joins: u64,
    /// Bytes that are reserved now.
    pub reserved_bytes: u64,
    /// Reservations that are live now.
    pub live: u64,
    /// Pieces of backing memory.
    pub slabs: u64,
}

impl Statistics {
    fn count<const DEATH: usize>(&mut self, answer: &Acquired<DEATH>) {
        let reservation = match answer {
            Acquired::Ready(it) => {
                self.reused += 1;
                it
            }
            Acquired::Fresh(it) => {
                self.fresh += 1;
                it
            }
            Acquired::NeedsWait(it, _) => {
                self.waits += 1;
                it
            }
            Acquired::Exhausted { .. } => {
                self.exhausted += 1;
                return;
            }
            Acquired::OverBudget => {
                self.over_budget += 1;
                return;
            }
        };
        self.reservations += 1;
        self.live += 1;
        self.reserved_bytes += reservation.size;
    }

    fn count_return(&mut self, reservation: &Reservation) {
        self.releases += 1;
        self.live -= 1;
        self.reserved_bytes -= reservation.size;
    }
}
