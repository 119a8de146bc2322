//! Blocks of one size.
//!
//! What lives here: [`BlockPool`]. What does not: blocks that are split and joined (`ranges.rs`).

use super::{Acquired, Coverage, Death, PoolId, Request, Requester, Reservation, Statistics};
use crate::frontier::Frontier;
use crate::{Result, Status, status};
use std::collections::VecDeque;

/// A fixed number of blocks of one size, given out in the order in which they were freed.
///
/// Reserving and releasing allocate nothing.
///
/// ```
/// use weft_sync::reuse::{Acquired, BlockPool, Request, Requester};
/// use weft_sync::{Frontier, FrontierBuf, Machine};
/// let mut pool = BlockPool::<4>::new(2, 4096)?;
/// let queue = Machine::LOCAL.queue(0, 0);
/// let request = Request::new(4096, 64);
/// let Acquired::Fresh(first) = pool.acquire(&request, &Requester::unknown())? else { panic!("never used") };
/// let Acquired::Fresh(second) = pool.acquire(&request, &Requester::unknown())? else { panic!("never used") };
/// pool.release(first, Some(&FrontierBuf::single(queue, 7)))?;
/// let stranger = pool.acquire(&request, &Requester::after(Frontier::EMPTY))?;
/// assert!(matches!(stranger, Acquired::Exhausted { .. }));
/// let later = FrontierBuf::single(queue, 8);
/// assert!(matches!(pool.acquire(&request, &Requester::after(&later))?, Acquired::Ready(_)));
/// # let _ = second;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct BlockPool<const DEATH: usize> {
    id: PoolId,
    block_bytes: u64,
    /// By index.
    deaths: Vec<Death<DEATH>>,
    /// Indices of free blocks; room for all of them.
    free: VecDeque<u32>,
    statistics: Statistics,
}

impl<const DEATH: usize> BlockPool<DEATH> {
    /// `count` blocks of `block_bytes` each, one behind the other. `RESOURCE_EXHAUSTED` if there is no memory to keep
    /// account of so many, `INVALID_ARGUMENT` if their bytes cannot be counted.
    pub fn new(count: u32, block_bytes: u64) -> Result<BlockPool<DEATH>> {
        if block_bytes.checked_mul(u64::from(count)).is_none() {
            return Err(status!(
                InvalidArgument,
                "{count} blocks of {block_bytes} bytes are more than there can be"
            ));
        }
        let room = |_| status!(ResourceExhausted, "no memory to keep account of {count} blocks");
        let mut deaths = Vec::new();
        deaths.try_reserve_exact(count as usize).map_err(room)?;
        deaths.resize(count as usize, Death::NONE);
        let mut free = VecDeque::new();
        free.try_reserve_exact(count as usize).map_err(room)?;
        free.extend(0..count);
        let statistics = Statistics { slabs: 1, ..Statistics::default() };
        Ok(BlockPool { id: PoolId::next(), block_bytes, deaths, free, statistics })
    }

    /// Reserves a block that `requester` may touch at once; failing that, if it can wait, the first one that it can
    /// wait for.
    ///
    /// `INVALID_ARGUMENT` for 0 bytes or an alignment that is no power of two, `OUT_OF_RANGE` for more bytes, or more
    /// alignment, than a block has.
    pub fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
        request.check(self.block_bytes)?;
        let aligned_to = 1 << self.block_bytes.trailing_zeros();
        if request.alignment > aligned_to {
            return Err(misaligned(request.alignment, aligned_to));
        }
        let answer = self.answer(request, requester);
        self.statistics.count(&answer);
        Ok(answer)
    }

    fn answer(&mut self, request: &Request, requester: &Requester<'_>) -> Acquired<DEATH> {
        let (mut to_wait_for, mut is_tainted) = (None, false);
        for place in 0..self.free.len() {
            let death = &self.deaths[self.free[place] as usize];
            match death.coverage(requester) {
                Coverage::Fresh => return Acquired::Fresh(self.reserve(place, request.size)),
                Coverage::Covered => return Acquired::Ready(self.reserve(place, request.size)),
                Coverage::Uncovered => self.statistics.misses += 1,
            }
            if death.is_tainted() {
                is_tainted = true;
                self.statistics.tainted_misses += 1;
            } else if to_wait_for.is_none() {
                to_wait_for = Some((place, *death));
            }
        }
        if request.can_wait
            && let Some((place, death)) = to_wait_for
            && let Some(frontier) = death.frontier()
        {
            return Acquired::NeedsWait(self.reserve(place, request.size), *frontier);
        }
        Acquired::Exhausted { could_grow: false, is_tainted }
    }

    fn reserve(&mut self, place: usize, size: u64) -> Reservation {
        let index = self.free.remove(place).expect("the place was just looked at");
        Reservation { pool: self.id, slab: 0, index, offset: u64::from(index) * self.block_bytes, size }
    }

    /// Takes a block back from something ordered after `death`; `None` if all use of it is over.
    ///
    /// `INVALID_ARGUMENT` if it was not reserved here.
    pub fn release(&mut self, reservation: Reservation, death: Option<&Frontier>) -> Result<()> {
        self.release_dead(reservation, Death::after(death))
    }

    /// As [`BlockPool::release`], for who has looked before at what fits.
    pub fn release_dead(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()> {
        self.id.check(&reservation)?;
        self.statistics.count_return(&reservation);
        self.statistics.tainted_releases += u64::from(death.is_tainted());
        self.deaths[reservation.index as usize] = death;
        self.free.push_back(reservation.index);
        Ok(())
    }

    /// Takes back a block that was not touched, as it was: for waits that are declined or fail.
    ///
    /// `INVALID_ARGUMENT` if it was not reserved here.
    pub fn restore(&mut self, reservation: Reservation) -> Result<()> {
        self.id.check(&reservation)?;
        self.statistics.count_return(&reservation);
        self.free.push_front(reservation.index);
        Ok(())
    }

    /// Forgets what free memory died after, taint included. For an owner who knows that all use of what was released so
    /// far is over, as after waiting for every queue.
    pub fn assume_quiet(&mut self) {
        for &index in &self.free {
            self.deaths[index as usize] = Death::NONE;
        }
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }
}

#[cold]
fn misaligned(alignment: u64, aligned_to: u64) -> Status {
    status!(OutOfRange, "an alignment of {alignment} was asked for; blocks are aligned to {aligned_to}")
}
