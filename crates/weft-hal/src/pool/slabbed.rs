//! Pools that cut slabs up: locks and memory around the algebra of `weft_sync::reuse`.
//!
//! What lives here: [`Slabbed`]. What does not: which part of a slab a request gets (`weft_sync::reuse`), how the pools
//! differ (`kinds.rs`).
//!
//! 1. Two locks. The *book* (algebra and slabs) is held to search and to work through what came back; the *ledger*
//!    (reservations by number) is held for a few instructions. Who gives memory back takes the ledger alone.
//! 2. Order: book, then ledger. No slab is taken from or given to its provider under either. The epoch query runs under the
//!    book: it looks at a tracker and calls nothing of the pool.
//! 3. Memory that came back is worked into the algebra, in the order in which it came, by whoever holds the book next.
//! 4. To grow: under the book, charge the budget and say that somebody grows; take the slab under no lock; under the book
//!    again, add it and search again. So growth is never counted twice, and who is refused meanwhile knows that more may
//!    come.
//! 5. A slab stays as long as anything of it is reserved. Reservations hold the pool, so no slab goes while a block of it
//!    is out.

use std::sync::Arc;

use weft_sync::atomic::{Mutex, lock};
use weft_sync::reuse::{Acquired, Death, Request, Requester, Reservation, Statistics};
use weft_sync::{Frontier, FrontierBuf, Result, bail};

use super::backend::{Answer, BackendStatistics, Grant, Place, PoolBackend, Remedy};
use super::budget::Budget;
use super::ledger::{Fate, Ledger};
use super::slab::{SlabProvider, take_slab};
use crate::host_block::HostBlock;

/// What the pools of `weft_sync::reuse` have in common.
pub(super) trait Algebra<const DEATH: usize>: Send {
    /// Never grows by itself.
    fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>>;
    fn release(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()>;
    fn restore(&mut self, reservation: Reservation) -> Result<()>;
    fn assume_quiet(&mut self);
    fn statistics(&self) -> Statistics;
    #[inline]
    fn misses(&self) -> Misses {
        let Statistics { misses, tainted_misses, .. } = self.statistics();
        Misses { all: misses, tainted: tainted_misses }
    }
    /// Adds one slab and says its number.
    fn add_slab(&mut self) -> Result<u32>;
    /// Gives up slabs of which nothing is reserved and that `requester` may touch.
    fn remove_idle_slabs(&mut self, requester: &Requester<'_>, each: &mut dyn FnMut(u32));
}

/// How often free memory was refused, and how often of that because it is tainted.
#[derive(Clone, Copy)]
pub(super) struct Misses {
    all: u64,
    tainted: u64,
}

/// The slabs of a pool.
pub(super) struct SlabShape {
    pub bytes: u64,
    pub alignment: u64,
    /// Requests are rounded up to multiples of this, of which a slab is one.
    pub granularity: u64,
    /// The most that there may be.
    pub count_max: u64,
}

pub(super) struct Slabbed<A, const DEATH: usize> {
    book: Mutex<Book<A>>,
    ledger: Mutex<Ledger<Reservation, DEATH>>,
    budget: Budget,
    shape: SlabShape,
    provider: Arc<dyn SlabProvider>,
}

struct Book<A> {
    algebra: A,
    /// By number.
    slabs: Vec<Option<HostBlock>>,
    /// How many are taking a slab now.
    growing: u32,
    /// Refusals that the algebra counted a second time, in the search after a growth.
    misses_twice: u64,
}

impl<A> Book<A> {
    /// Numbers are dense: a new one is the lowest that was never used.
    fn install(&mut self, number: u32, slab: HostBlock) {
        let number = number as usize;
        if number >= self.slabs.len() {
            self.slabs.resize_with(number + 1, || None);
        }
        self.slabs[number] = Some(slab);
    }
}

impl<A: Algebra<DEATH>, const DEATH: usize> Slabbed<A, DEATH> {
    /// A pool that begins without slabs and grows within `budget`.
    pub fn growing(
        algebra: A,
        shape: SlabShape,
        budget: u64,
        provider: Arc<dyn SlabProvider>,
    ) -> Slabbed<A, DEATH> {
        let book = Book { algebra, slabs: Vec::new(), growing: 0, misses_twice: 0 };
        Slabbed {
            book: Mutex::new(book),
            ledger: Mutex::new(Ledger::new()),
            budget: Budget::new(budget),
            shape,
            provider,
        }
    }

    /// A pool of one slab, which it takes now and keeps.
    pub fn fixed(algebra: A, shape: SlabShape, provider: Arc<dyn SlabProvider>) -> Result<Slabbed<A, DEATH>> {
        let slab = take_slab(&*provider, shape.bytes, shape.alignment)?;
        let budget = shape.bytes;
        let made = Slabbed::growing(algebra, shape, budget, provider);
        assert!(made.budget.charge(budget), "the budget is one slab");
        lock(&made.book).install(0, slab);
        Ok(made)
    }

    /// Rule 3; and makes room for one more reservation. Ends, for only who has the book enters new ones.
    fn settle(&self, book: &mut Book<A>) -> Result<()> {
        loop {
            let returned = {
                let mut ledger = lock(&self.ledger);
                match ledger.take_returned() {
                    Some(returned) => returned, // its slot is the room
                    None => return ledger.make_room(),
                }
            };
            // The ledger is free while neighbours are joined.
            let taken = match returned.fate {
                Fate::AsBefore => book.algebra.restore(returned.content),
                Fate::After(death) => book.algebra.release(returned.content, death),
            };
            taken.expect("the ledger only has reservations of this algebra");
            if !returned.has_next {
                return Ok(());
            }
        }
    }

    /// Takes the slab that a growth has brought, or its failure.
    fn end_growth(&self, slab: &mut Result<Option<HostBlock>>) -> Result<()> {
        let mut book = lock(&self.book);
        book.growing -= 1;
        match slab {
            Ok(slab) => {
                if book.slabs.try_reserve(1).is_err() {
                    bail!(ResourceExhausted, "no memory to keep account of {} slabs", book.slabs.len() + 1);
                }
                let number = book.algebra.add_slab()?;
                if let Some(slab) = slab.take() {
                    book.install(number, slab);
                }
                Ok(())
            }
            Err(status) => Err(status.clone()),
        }
    }

    fn search(&self, book: &mut Book<A>, request: &Request, requester: &Requester<'_>) -> Result<Answer> {
        let before = book.algebra.misses();
        let (reservation, grant) = match book.algebra.acquire(request, requester)? {
            Acquired::Ready(reservation) => (reservation, Grant::Ready),
            Acquired::Fresh(reservation) => (reservation, Grant::Fresh),
            Acquired::NeedsWait(reservation, frontier) => {
                let frontier = FrontierBuf::copy_of(&frontier).expect("no pool keeps longer deaths");
                (reservation, Grant::NeedsWait(frontier))
            }
            Acquired::Exhausted { could_grow, .. } => {
                let remedy = Self::remedy(book, before);
                // Slabs that others are taking now count: the algebra does not know of them.
                let coming = book.algebra.statistics().slabs + u64::from(book.growing);
                let growth_required = could_grow && coming < self.shape.count_max;
                return Ok(Answer::Exhausted { growth_required, remedy });
            }
            Acquired::OverBudget => unreachable!("the algebra is made without a budget"),
        };
        let (offset, slab) = (reservation.offset(), reservation.slab());
        let base = book.slabs[slab as usize].as_ref().expect("reserved memory has a slab").base();
        // Offset and length lie within the slab, whose addresses fit a `usize`.
        let base = base.as_ptr().wrapping_add(offset as usize);
        let token = lock(&self.ledger).enter(reservation, request.size);
        Ok(Answer::Memory(grant, Place { base, offset, length: request.size, token, slab, has_grown: false }))
    }

    /// What could change a refusal that was just given.
    fn remedy(book: &Book<A>, before: Misses) -> Remedy {
        let now = book.algebra.misses();
        if now.all - before.all > now.tainted - before.tainted {
            Remedy::Epoch
        } else if book.algebra.statistics().live > 0 || book.growing > 0 {
            Remedy::Release
        } else {
            Remedy::Nothing
        }
    }
}

impl<A: Algebra<DEATH>, const DEATH: usize> PoolBackend for Slabbed<A, DEATH> {
    fn acquire(&self, request: &Request, requester: &Requester<'_>) -> Result<Answer> {
        let request = Request { size: request.size.next_multiple_of(self.shape.granularity), ..*request };
        let mut book = lock(&self.book);
        self.settle(&mut book)?;
        let answer = self.search(&mut book, &request, requester)?;
        let Answer::Exhausted { growth_required: true, remedy } = answer else { return Ok(answer) };
        if !request.can_grow {
            return Ok(answer);
        }
        // Rule 4.
        if !self.budget.charge(self.shape.bytes) {
            return Ok(Answer::OverBudget { remedy });
        }
        book.growing += 1;
        drop(book);
        let mut slab = take_slab(&*self.provider, self.shape.bytes, self.shape.alignment).map(Some);
        let added = self.end_growth(&mut slab);
        drop(slab); // under no lock: it is still there if the book has no room for it
        added.inspect_err(|_| self.budget.refund(self.shape.bytes))?;
        let mut book = lock(&self.book);
        self.settle(&mut book)?;
        let before = book.algebra.misses().all;
        let mut answer = self.search(&mut book, &request, requester)?;
        book.misses_twice += book.algebra.misses().all - before;
        if let Answer::Memory(_, place) = &mut answer {
            place.has_grown = true;
        }
        Ok(answer)
    }

    fn pin(&self, token: u64) {
        lock(&self.ledger).pin(token);
    }

    fn set_death(&self, token: u64, death: Option<&Frontier>) {
        lock(&self.ledger).set_death(token, death);
    }

    fn unpin_after(&self, token: u64, death: Option<&Frontier>) -> bool {
        let mut ledger = lock(&self.ledger);
        ledger.set_death(token, death);
        ledger.unpin(token)
    }

    fn unpin(&self, token: u64) -> bool {
        lock(&self.ledger).unpin(token)
    }

    fn statistics(&self) -> BackendStatistics {
        let (slabs, misses) = {
            let book = lock(&self.book);
            let statistics = book.algebra.statistics();
            (statistics.slabs, statistics.misses - book.misses_twice)
        };
        let ledger = lock(&self.ledger);
        BackendStatistics {
            reserved_bytes: ledger.reserved_bytes(),
            live: ledger.live(),
            releases: ledger.releases(),
            committed_bytes: self.budget.charged(),
            budget_bytes: self.budget.limit(),
            slabs,
            misses,
        }
    }

    fn trim(&self, requester: &Requester<'_>) -> bool {
        let mut freed = Vec::new();
        {
            let mut book = lock(&self.book);
            // Without room for one more reservation, all that came back is worked in nevertheless.
            let _ = self.settle(&mut book);
            let Book { algebra, slabs, .. } = &mut *book;
            algebra.remove_idle_slabs(requester, &mut |slab| freed.extend(slabs[slab as usize].take()));
        }
        self.budget.refund(self.shape.bytes * freed.len() as u64);
        !freed.is_empty()
    }

    fn assume_quiet(&self) {
        let mut book = lock(&self.book);
        let _ = self.settle(&mut book); // as in `trim`
        book.algebra.assume_quiet();
    }
}
