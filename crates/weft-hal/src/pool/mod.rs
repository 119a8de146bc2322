//! Pools: memory that is handed from one use to the next in queue order, without waiting for the device.
//!
//! What lives here: [`Pool`], the front of every kind. What does not: the kinds (`kinds.rs`), when memory may be used
//! again (`weft_sync::reuse`), where it comes from (`slab.rs`), which pool a request goes to (`set.rs`).
//!
//! # Rules
//!
//! 1. [`Pool::acquire`] never waits. What it gives is a [`PooledBlock`], the one owner of a reservation, which keeps the
//!    pool alive; what it refuses is no error and costs no message. An error means a broken request, or a provider that
//!    has no more memory.
//! 2. A reservation goes back once: when its block, or the buffer or [`HostBlock`] made of it, is dropped and no view of it
//!    is left. An untouched block goes back as it was, with the death frontier and the taint that it had. Once it was
//!    made a buffer it dies after what [`HostBlock::set_death`] (or [`Buffer::decommit_after`]) was told last, and
//!    without that counts as free of any use.
//! 3. Giving back is short, allocates nothing and never waits for a growth. It may happen on any thread, such as that of
//!    the last pin of a buffer. It posts the notification.
//! 4. Nobody ever gets memory that was not initialised: slabs are, and reused memory holds old bytes.
//! 5. No callback of a pool is called under one of its locks.
//!
//! # How a queue uses a pool
//!
//! An alloca, with `past` the merge of the frontiers of its waits, each read after the wait was reached:
//!
//! ```text
//! let request = Request { can_wait: true, can_grow: true, ..Request::new(size.max(1), alignment) };
//! let requester = Requester { past: Some(&past), is_reached: &|axis, epoch| tracker.query_epoch(axis, epoch) };
//! loop {
//!     let token = pool.observe();                        // before the try, so that no release is missed
//!     match pool.acquire(&request, &requester)? {
//!         Ready(block) | Fresh(block) => buffer.commit(block.into_host_block()), then signal
//!         NeedsWait(block, frontier) if ALLOW_POOL_WAIT_FRONTIER =>
//!             keep the block; tracker.wait(&frontier, push the operation ready again), then commit; should that fail,
//!             or the queue shut down, drop the block: it goes back as it was
//!         NeedsWait(block, _) => drop the block; RESOURCE_EXHAUSTED
//!         Exhausted { remedy: Nothing, .. } | OverBudget { remedy: Nothing } => RESOURCE_EXHAUSTED: it would wait for ever
//!         Exhausted { .. } | OverBudget { .. } =>
//!             wait = pool.on_release(token, push the operation ready again), then start over;
//!             pool.cancel_wait(wait) on shutdown
//!     }
//! }
//! ```
//!
//! A dealloca, after its waits and when nothing it waited for touches the bytes any more:
//!
//! ```text
//! let epoch = reserve the next epoch;
//! buffer.decommit_after(Some(&FrontierBuf::single(axis, epoch)));   // given back now, or with the last pin
//! signal; tracker.advance(axis, epoch);
//! pool.notify();     // who was refused for this very epoch (`Remedy::Epoch`) looks again
//! ```
//!
//! The last line matters: between the release and the advance somebody may look, find memory whose epoch is not reached,
//! and wait for a release that has already happened.
//!
//! [`HostBlock`]: crate::HostBlock
//! [`HostBlock::set_death`]: crate::HostBlock::set_death

mod backend;
mod block;
mod budget;
mod kinds;
mod ledger;
mod parked;
mod pass_through;
mod releases;
mod set;
mod slab;
mod slab_cache;
mod slabbed;

pub use backend::Remedy;
pub use block::PooledBlock;
pub use kinds::{
    ARENA_DEATH_ENTRIES, BLOCK_DEATH_ENTRIES, BLOCKS_MAX, EpochQuery, FixedBlockOptions, PoolSource,
    RANGE_DEATH_ENTRIES, SLABS_MAX, TlsfOptions,
};
pub use parked::ParkedPools;
pub use releases::{ReleaseToken, ReleaseWait};
pub use set::PoolSet;
pub use slab::{HostSlabs, SlabProperties, SlabProvider};
pub use slab_cache::{SlabCache, SlabCacheOptions, SlabCacheStatistics};
pub use weft_sync::reuse::{Request, Requester};

use std::sync::Arc;
use std::time::Duration;

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Axis, CancelToken, Deadline, FrontierBuf, Result, bail};

use crate::buffer::{Buffer, BufferMetadata};
use crate::memory::{BufferParams, BufferUsage, MemoryType};
use backend::{Answer, BackendStatistics, Grant, PoolBackend};
use releases::Releases;

/// What has to be reached before reserved memory may be touched.
pub type WaitFrontier = FrontierBuf<ARENA_DEATH_ENTRIES>;

/// How often a thread that waits for epochs looks again, for nobody need tell it.
const EPOCH_LOOK: Duration = Duration::from_millis(1);

/// What a pool has to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCapabilities {
    /// Where its memory lives.
    pub memory_type: MemoryType,
    /// What its memory may be used for.
    pub usage: BufferUsage,
    /// Smallest request that should be routed to it.
    pub size_min: u64,
    /// Largest request; 0: no limit. More is OUT_OF_RANGE.
    pub size_max: u64,
    /// Largest alignment. More is INVALID_ARGUMENT.
    pub alignment_max: u64,
}

impl PoolCapabilities {
    /// Whether a buffer of these parameters and so many bytes can come from here.
    pub fn fit(&self, params: &BufferParams, size: u64) -> bool {
        self.memory_type.contains(params.memory_type.difference(MemoryType::OPTIMAL))
            && self.usage.contains(params.usage)
            && size >= self.size_min
            && (self.size_max == 0 || size <= self.size_max)
            && params.alignment_min <= self.alignment_max
    }
}

/// The answer to a request.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "boxing the frontier would allocate where nothing may")]
pub enum Acquired {
    /// Used before, and the requester is past that: use it at once.
    Ready(PooledBlock),
    /// Never used, or freed with nothing to wait for: use it at once.
    Fresh(PooledBlock),
    /// Reserved, but the bytes may not be touched before the frontier is reached. Dropping the block declines: it goes
    /// back exactly as it was.
    NeedsWait(PooledBlock, WaitFrontier),
    /// Nothing was reserved.
    Exhausted {
        /// Only another slab could satisfy the request, which did not allow it.
        growth_required: bool,
        /// What could change this.
        remedy: Remedy,
    },
    /// Nothing was reserved: another slab would exceed the budget.
    OverBudget {
        /// What could change this.
        remedy: Remedy,
    },
}

impl Acquired {
    /// The memory, if there is any that may be used at once.
    pub fn usable(self) -> Option<PooledBlock> {
        match self {
            Acquired::Ready(block) | Acquired::Fresh(block) => Some(block),
            Acquired::NeedsWait(..) | Acquired::Exhausted { .. } | Acquired::OverBudget { .. } => None,
        }
    }
}

/// What a pool has and has done. Consistent when nobody uses the pool meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Bytes that are reserved now, rounded as the pool rounds them.
    pub reserved_bytes: u64,
    /// Bytes of slabs that are not reserved.
    pub free_bytes: u64,
    /// Bytes of slabs.
    pub committed_bytes: u64,
    /// Most bytes of slabs.
    pub budget_bytes: u64,
    /// Reservations that are live now.
    pub live: u64,
    /// Slabs.
    pub slabs: u64,
    /// Requests that were answered with memory.
    pub reservations: u64,
    /// Reservations that came back.
    pub releases: u64,
    /// Answers [`Acquired::Ready`].
    pub reused: u64,
    /// Free memory that was looked at and refused because of what it died after.
    pub misses: u64,
    /// Answers [`Acquired::Fresh`].
    pub fresh: u64,
    /// Answers [`Acquired::Exhausted`].
    pub exhausted: u64,
    /// Answers [`Acquired::OverBudget`].
    pub over_budget: u64,
    /// Answers [`Acquired::NeedsWait`].
    pub waits: u64,
}

#[derive(Default)]
struct Counters {
    reused: AtomicU64,
    fresh: AtomicU64,
    exhausted: AtomicU64,
    over_budget: AtomicU64,
    waits: AtomicU64,
}

/// Memory for buffers that come and go in queue order. Shared by queues and threads.
///
/// ```
/// use std::sync::Arc;
/// use weft_hal::pool::{Acquired, HostSlabs, Pool, PoolSource, Request, Requester, TlsfOptions};
/// use weft_sync::{FrontierBuf, Machine};
///
/// # let device = weft_hal::open_null_device();
/// let slabs = HostSlabs::new(Arc::clone(device.allocator().backend()));
/// let pool = Pool::tlsf(PoolSource::new(slabs), &TlsfOptions { slab_bytes: 1 << 20, ..TlsfOptions::default() })?;
/// let request = Request { can_grow: true, ..Request::new(1000, 64) };
/// let Acquired::Fresh(block) = pool.acquire(&request, &Requester::unknown())? else { panic!("never used") };
/// assert_eq!((block.offset(), block.length()), (0, 1024));
///
/// // Given back by an operation that is epoch 3 of its queue; who comes after that has it at once.
/// let queue = Machine::LOCAL.queue(0, 0);
/// block.release(Some(&FrontierBuf::single(queue, 3)));
/// let later = FrontierBuf::single(queue, 5);
/// let Acquired::Ready(block) = pool.acquire(&request, &Requester::after(&later))? else { panic!("dominated") };
/// assert_eq!(block.offset(), 0);
/// # weft_sync::Result::Ok(())
/// ```
pub struct Pool {
    capabilities: PoolCapabilities,
    backend: Box<dyn PoolBackend>,
    source: PoolSource,
    counters: Counters,
    releases: Releases,
}

/// Memory.
impl Pool {
    fn over(source: PoolSource, capabilities: PoolCapabilities, backend: Box<dyn PoolBackend>) -> Arc<Pool> {
        let (counters, releases) = (Counters::default(), Releases::default());
        Arc::new(Pool { capabilities, backend, source, counters, releases })
    }

    /// Reserves memory, without waiting for anything. See the header of the module for what to do with the answer.
    ///
    /// `is_reached` of the requester is asked while the pool is locked: it may look, not wait, and not call the pool.
    ///
    /// INVALID_ARGUMENT for 0 bytes, an alignment that is no power of two or more than the pool has; OUT_OF_RANGE for
    /// more bytes than it has; whatever its slab provider says when it has to grow and cannot.
    pub fn acquire(self: &Arc<Self>, request: &Request, requester: &Requester<'_>) -> Result<Acquired> {
        self.check(request)?;
        let is_reached = |axis, epoch| (requester.is_reached)(axis, epoch) || self.query_epoch(axis, epoch);
        let requester = Requester { past: requester.past, is_reached: &is_reached };
        let answer = self.backend.acquire(request, &requester).inspect_err(|_| {
            // Others may have been told that a growth is under way.
            self.notify();
        })?;
        let (grant, place) = match answer {
            Answer::Memory(grant, place) => (grant, place),
            Answer::Exhausted { growth_required, remedy } => {
                Self::count(&self.counters.exhausted);
                return Ok(Acquired::Exhausted { growth_required, remedy });
            }
            Answer::OverBudget { remedy } => {
                Self::count(&self.counters.over_budget);
                return Ok(Acquired::OverBudget { remedy });
            }
        };
        let has_grown = place.has_grown;
        let block = PooledBlock::new(self, place);
        if has_grown {
            self.notify();
        }
        Ok(match grant {
            Grant::Ready => {
                Self::count(&self.counters.reused);
                Acquired::Ready(block)
            }
            Grant::Fresh => {
                Self::count(&self.counters.fresh);
                Acquired::Fresh(block)
            }
            Grant::NeedsWait(frontier) => {
                Self::count(&self.counters.waits);
                Acquired::NeedsWait(block, frontier)
            }
        })
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self, request: &Request) -> Result<()> {
        let Request { size, alignment, .. } = *request;
        let PoolCapabilities { size_max, alignment_max, .. } = self.capabilities;
        if size == 0 {
            bail!(InvalidArgument, "0 bytes were asked for");
        }
        if !alignment.is_power_of_two() || alignment > alignment_max {
            bail!(
                InvalidArgument,
                "an alignment of {alignment} was asked for; it should be a power of two up to {alignment_max}"
            );
        }
        if size_max != 0 && size > size_max {
            bail!(OutOfRange, "{size} bytes were asked for; this pool has at most {size_max} in one piece");
        }
        Ok(())
    }

    fn query_epoch(&self, axis: Axis, epoch: u64) -> bool {
        self.source.is_reached.as_ref().is_some_and(|is_reached| is_reached(axis, epoch))
    }

    /// Reserves memory on a thread that may wait until some comes back.
    ///
    /// DEADLINE_EXCEEDED if none did in time; an immediate deadline tries once. RESOURCE_EXHAUSTED if waiting would be in
    /// vain. Other errors as [`Pool::acquire`].
    pub fn allocate(self: &Arc<Self>, size: u64, alignment: u64, deadline: Deadline) -> Result<PooledBlock> {
        self.allocate_unless(size, alignment, None, deadline)
    }

    /// As [`Pool::allocate`], and CANCELLED once the token is cancelled.
    pub fn allocate_unless(
        self: &Arc<Self>,
        size: u64,
        alignment: u64,
        cancel: Option<&CancelToken>,
        deadline: Deadline,
    ) -> Result<PooledBlock> {
        let heeds = cancel.map(|token| {
            let pool = Arc::clone(self);
            token.on_cancel(move || {
                // All that wait look again, this thread too.
                pool.notify();
            })
        });
        let outcome = self.allocate_in_turn(size, alignment, cancel, deadline);
        if let Some(timepoint) = heeds {
            timepoint.cancel();
        }
        outcome
    }

    fn allocate_in_turn(
        self: &Arc<Self>,
        size: u64,
        alignment: u64,
        cancel: Option<&CancelToken>,
        deadline: Deadline,
    ) -> Result<PooledBlock> {
        let request = Request { can_grow: true, ..Request::new(size, alignment) };
        loop {
            let observation = self.releases.observe_to_sleep();
            cancel.map_or(Ok(()), CancelToken::check)?;
            let remedy = match self.acquire(&request, &Requester::unknown())? {
                Acquired::Ready(block) | Acquired::Fresh(block) => return Ok(block),
                Acquired::NeedsWait(..) => {
                    bail!(Internal, "a pool asked for a wait that the request did not allow")
                }
                Acquired::Exhausted { remedy, .. } | Acquired::OverBudget { remedy } => remedy,
            };
            if remedy == Remedy::Nothing {
                bail!(ResourceExhausted, "a pool has no {size} bytes, and never will");
            }
            // Nobody need say when epochs are reached, so those are looked at again and again.
            let looks_again =
                remedy == Remedy::Epoch && deadline.remaining().is_none_or(|left| left > EPOCH_LOOK);
            let until = if looks_again { Deadline::after(EPOCH_LOOK) } else { deadline };
            if !observation.wait(until) && !looks_again {
                bail!(DeadlineExceeded, "no {size} bytes came back to a pool in time");
            }
        }
    }

    /// A buffer from here, on a thread that may wait: [`Pool::allocate`] and [`Pool::materialize`]. `params` are completed
    /// and adjusted. 0 bytes are valid.
    pub fn allocate_buffer(
        self: &Arc<Self>,
        metadata: &BufferMetadata,
        alignment: u64,
        size: u64,
        deadline: Deadline,
    ) -> Result<Arc<Buffer>> {
        let block = self.allocate(size.max(1), alignment, deadline)?;
        self.materialize(block, metadata, size)
    }

    /// A buffer over a reservation that may be used now. Dropping the buffer gives the reservation back with nothing to
    /// wait for.
    ///
    /// INVALID_ARGUMENT for a block of another pool or more bytes than it has; else what the slab provider says, which may
    /// refuse. Then the block goes back as it was.
    pub fn materialize(
        self: &Arc<Self>,
        block: PooledBlock,
        metadata: &BufferMetadata,
        byte_length: u64,
    ) -> Result<Arc<Buffer>> {
        self.check_block(&block, byte_length)?;
        let token = block.handle();
        let buffer = self.source.slabs.wrap(*metadata, byte_length, block.into_untouched())?;
        self.backend.set_death(token, None);
        Ok(buffer)
    }

    /// A buffer that only borrows a reservation: dropping it does not give anything back. The reservation stays until both
    /// the block and all views of it are gone.
    ///
    /// Errors as [`Pool::materialize`].
    pub fn view(
        self: &Arc<Self>,
        block: &PooledBlock,
        metadata: &BufferMetadata,
        byte_length: u64,
    ) -> Result<Arc<Buffer>> {
        self.check_block(block, byte_length)?;
        let buffer = self.source.slabs.wrap(*metadata, byte_length, block.pinned_view(self))?;
        self.backend.set_death(block.handle(), None);
        Ok(buffer)
    }

    fn check_block(self: &Arc<Self>, block: &PooledBlock, byte_length: u64) -> Result<()> {
        if !block.is_of(self) {
            bail!(InvalidArgument, "a block of another pool");
        }
        if byte_length > block.length() {
            bail!(InvalidArgument, "a buffer of {byte_length} bytes over a block of {}", block.length());
        }
        Ok(())
    }
}

/// Waiting, counting, upkeep.
impl Pool {
    /// The moment before an [`Pool::acquire`] that may be refused.
    #[inline]
    pub fn observe(&self) -> ReleaseToken {
        self.releases.observe()
    }

    /// Calls `callback` once, when something was released, or [`Pool::notify`] called, after `token` was observed; at once,
    /// and on this thread, if that has happened. It runs on the thread that releases, under no lock of the pool, and
    /// should only hand the work on.
    ///
    /// A callback that is never called is dropped with the pool, so one that holds the pool has to be cancelled.
    pub fn on_release(&self, token: ReleaseToken, callback: impl FnOnce() + Send + 'static) -> ReleaseWait {
        self.releases.on_release(token, Box::new(callback))
    }

    /// Takes a callback back: `true`: it will not be called; `false`: it was, or is being called.
    pub fn cancel_wait(&self, wait: ReleaseWait) -> bool {
        self.releases.cancel(wait)
    }

    /// Has everybody who waits look again, as after a release. Call this after epochs were reached that memory of this
    /// pool died after. Returns whether anybody waited.
    pub fn notify(&self) -> bool {
        self.releases.post()
    }

    /// What it has to offer.
    pub fn capabilities(&self) -> &PoolCapabilities {
        &self.capabilities
    }

    /// What it has and has done.
    pub fn statistics(&self) -> PoolStatistics {
        let BackendStatistics {
            reserved_bytes,
            live,
            releases,
            committed_bytes,
            budget_bytes,
            slabs,
            misses,
        } = self.backend.statistics();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { reused, fresh, exhausted, over_budget, waits } = &self.counters;
        let (reused, fresh, waits) = (read(reused), read(fresh), read(waits));
        PoolStatistics {
            reserved_bytes,
            free_bytes: committed_bytes.saturating_sub(reserved_bytes),
            committed_bytes,
            budget_bytes,
            live,
            slabs,
            reservations: reused + fresh + waits,
            releases,
            reused,
            misses,
            fresh,
            exhausted: read(exhausted),
            over_budget: read(over_budget),
            waits,
        }
    }

    /// Gives slabs back of which nothing is reserved and whose last uses are known to be over. What their provider keeps
    /// is for its own owner to trim.
    pub fn trim(&self) {
        let is_reached = |axis, epoch| self.query_epoch(axis, epoch);
        if self.backend.trim(&Requester { past: None, is_reached: &is_reached }) {
            self.notify();
        }
    }

    /// Forgets what free memory died after, taint included. For an owner who knows that all use of what came back so far is
    /// over, as after waiting for every queue.
    pub fn assume_quiet(&self) {
        self.backend.assume_quiet();
        self.notify();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}
