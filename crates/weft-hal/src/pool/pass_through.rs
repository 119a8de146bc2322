//! A pool in name only: one slab for each reservation.
//!
//! What lives here: [`PassThrough`]. A slab goes back to its provider when its reservation does, whatever that dies
//! after: queues release memory when the work on it is done, although its epoch may not yet be published.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock};
use weft_sync::reuse::{Request, Requester};
use weft_sync::{Frontier, Result};

use super::backend::{Answer, BackendStatistics, Grant, Place, PoolBackend, Remedy};
use super::budget::Budget;
use super::ledger::Ledger;
use super::slab::{SlabProvider, take_slab};
use crate::host_block::HostBlock;

pub(super) struct PassThrough {
    ledger: Mutex<Ledger<Slab, 0>>,
    budget: Budget,
    slabs: AtomicU64,
    provider: Arc<dyn SlabProvider>,
}

struct Slab {
    block: HostBlock,
    /// What was charged for it; the block may be longer.
    bytes: u64,
}

impl PassThrough {
    pub fn new(budget: u64, provider: Arc<dyn SlabProvider>) -> PassThrough {
        PassThrough {
            ledger: Mutex::new(Ledger::new()),
            budget: Budget::new(budget),
            slabs: AtomicU64::new(0),
            provider,
        }
    }

    fn take(&self, request: &Request) -> Result<Place> {
        let block = take_slab(&*self.provider, request.size, request.alignment)?;
        let base = block.base().as_ptr();
        let mut ledger = lock(&self.ledger);
        ledger.make_room()?;
        let token = ledger.enter(Slab { block, bytes: request.size }, request.size);
        self.slabs.fetch_add(1, Ordering::Relaxed);
        Ok(Place { base, offset: 0, length: request.size, token, slab: 0, has_grown: false })
    }
}

impl PoolBackend for PassThrough {
    fn acquire(&self, request: &Request, _requester: &Requester<'_>) -> Result<Answer> {
        if !request.can_grow {
            return Ok(Answer::Exhausted { growth_required: true, remedy: Remedy::Nothing });
        }
        if !self.budget.charge(request.size) {
            let fits_ever = request.size <= self.budget.limit();
            return Ok(Answer::OverBudget {
                remedy: if fits_ever { Remedy::Release } else { Remedy::Nothing },
            });
        }
        match self.take(request) {
            Ok(place) => Ok(Answer::Memory(Grant::Fresh, place)),
            Err(status) => {
                self.budget.refund(request.size);
                Err(status)
            }
        }
    }

    fn pin(&self, token: u64) {
        lock(&self.ledger).pin(token);
    }

    fn set_death(&self, token: u64, death: Option<&Frontier>) {
        lock(&self.ledger).set_death(token, death);
    }

    fn unpin_after(&self, token: u64, _death: Option<&Frontier>) -> bool {
        self.unpin(token)
    }

    fn unpin(&self, token: u64) -> bool {
        let Slab { block, bytes } = {
            let mut ledger = lock(&self.ledger);
            if !ledger.unpin(token) {
                return false;
            }
            // Under the same lock, so the list has this one only.
            ledger.take_returned().expect("it was just put there").content
        };
        drop(block); // under no lock: a home may do anything
        self.slabs.fetch_sub(1, Ordering::Relaxed);
        self.budget.refund(bytes);
        true
    }

    fn statistics(&self) -> BackendStatistics {
        let ledger = lock(&self.ledger);
        BackendStatistics {
            reserved_bytes: ledger.reserved_bytes(),
            live: ledger.live(),
            releases: ledger.releases(),
            committed_bytes: self.budget.charged(),
            budget_bytes: self.budget.limit(),
            slabs: self.slabs.load(Ordering::Relaxed),
            misses: 0,
        }
    }

    fn trim(&self, _requester: &Requester<'_>) -> bool {
        false
    }

    fn assume_quiet(&self) {}
}
