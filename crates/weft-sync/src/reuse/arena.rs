//! Memory that is given out from the front and comes back all at once.
//!
//! What lives here: [`Arena`]. What does not: blocks that are reused one by one (`blocks.rs`, `ranges.rs`).

use super::{Acquired, Coverage, Death, PoolId, Request, Requester, Reservation, Statistics};
use crate::Result;
use crate::frontier::Frontier;

/// One piece of memory that is given out from the front, in batches. When everything of a batch has come back the next
/// one starts at the front again; all of it died after everything of the batch before.
///
/// ```
/// use weft_sync::reuse::{Acquired, Arena, Request, Requester};
/// use weft_sync::{FrontierBuf, Machine};
/// let mut arena = Arena::<16>::new(1 << 20);
/// let request = Request::new(100, 64);
/// let (first, second) = (
///     arena.acquire(&request, &Requester::unknown())?.into_reservation().expect("the first batch is fresh"),
///     arena.acquire(&request, &Requester::unknown())?.into_reservation().expect("the first batch is fresh"),
/// );
/// assert_eq!((first.offset(), second.offset()), (0, 128));
/// let [copy, compute] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// arena.release(first, Some(&FrontierBuf::single(copy, 1)))?;
/// arena.release(second, Some(&FrontierBuf::single(compute, 2)))?;
/// let request = Request { can_wait: true, ..request };
/// let Acquired::NeedsWait(_, frontier) = arena.acquire(&request, &Requester::unknown())? else { panic!() };
/// assert_eq!(frontier.to_string(), "{s1.m0.q0:0@1, s1.m0.q1:0@2}");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Arena<const DEATH: usize> {
    id: PoolId,
    bytes: u64,
    used: u64,
    /// Of the batch before.
    death: Death<DEATH>,
    /// Of what has come back of this batch.
    accumulated: Death<DEATH>,
    statistics: Statistics,
}

impl<const DEATH: usize> Arena<DEATH> {
    /// An arena of so many bytes.
    pub fn new(bytes: u64) -> Arena<DEATH> {
        let statistics = Statistics { slabs: 1, ..Statistics::default() };
        Arena { id: PoolId::next(), bytes, used: 0, death: Death::NONE, accumulated: Death::NONE, statistics }
    }

    /// Reserves the next bytes. Everything of a batch has the death frontier of the batch before, so either all of it
    /// can be touched at once by a requester or none.
    ///
    /// `INVALID_ARGUMENT` for 0 bytes or an alignment that is no power of two, `OUT_OF_RANGE` for more than the whole
    /// arena.
    pub fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
        request.check(self.bytes)?;
        let answer = self.answer(request, requester);
        self.statistics.count(&answer);
        Ok(answer)
    }

    fn answer(&mut self, request: &Request, requester: &Requester<'_>) -> Acquired<DEATH> {
        let end_of = |offset: u64| offset.checked_add(request.size).filter(|&end| end <= self.bytes);
        let place = self.used.checked_next_multiple_of(request.alignment);
        let Some((offset, end)) = place.and_then(|offset| Some((offset, end_of(offset)?))) else {
            return Acquired::Exhausted { could_grow: false, is_tainted: false };
        };
        let reservation = Reservation { pool: self.id, slab: 0, index: 0, offset, size: request.size };
        let answer = match self.death.coverage(requester) {
            Coverage::Fresh => Acquired::Fresh(reservation),
            Coverage::Covered => Acquired::Ready(reservation),
            Coverage::Uncovered => {
                self.statistics.misses += 1;
                self.statistics.tainted_misses += u64::from(self.death.is_tainted());
                match self.death.frontier() {
                    Some(frontier) if request.can_wait => Acquired::NeedsWait(reservation, *frontier),
                    _ => {
                        let is_tainted = self.death.is_tainted();
                        return Acquired::Exhausted { could_grow: false, is_tainted };
                    }
                }
            }
        };
        self.used = end;
        answer
    }

    /// Takes bytes back from something ordered after `death`; `None` if all use of them is over. The last ones end the
    /// batch.
    ///
    /// `INVALID_ARGUMENT` if they were not reserved here.
    pub fn release(&mut self, reservation: Reservation, death: Option<&Frontier>) -> Result<()> {
        self.release_dead(reservation, Death::after(death))
    }

    /// As [`Arena::release`], for who has looked before at what fits.
    pub fn release_dead(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()> {
        self.take_back(&reservation)?;
        let was_tainted = self.accumulated.is_tainted();
        if !self.accumulated.join(&death) && !was_tainted {
            self.statistics.tainted_releases += 1;
        }
        self.end_of_batch();
        Ok(())
    }

    /// Takes back bytes that were not touched: for waits that are declined or fail.
    ///
    /// `INVALID_ARGUMENT` if they were not reserved here.
    pub fn restore(&mut self, reservation: Reservation) -> Result<()> {
        self.take_back(&reservation)?;
        // Not touched, hence still waiting for what the batch before died after.
        let before = self.death;
        self.accumulated.join(&before);
        self.end_of_batch();
        Ok(())
    }

    fn take_back(&mut self, reservation: &Reservation) -> Result<()> {
        self.id.check(reservation)?;
        self.statistics.count_return(reservation);
        Ok(())
    }

    fn end_of_batch(&mut self) {
        if self.statistics.live == 0 {
            self.death = std::mem::replace(&mut self.accumulated, Death::NONE);
            self.used = 0;
        }
    }

    /// Forgets what free memory died after, taint included. For an owner who knows that all use of what was released so
    /// far is over, as after waiting for every queue.
    pub fn assume_quiet(&mut self) {
        self.death = Death::NONE;
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }
}
