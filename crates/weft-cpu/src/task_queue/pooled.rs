//! Memory from a pool, in queue order and without a thread that waits for it.
//!
//! 1. A request looks; what it finds usable is committed at once. What may be used only after some epochs is kept while
//!    the tracker is asked to say when; where there is nothing, the pool is asked to say when something came back.
//! 2. The token of the pool is taken before the look, so no release is missed. A release may serve somebody else: then
//!    the request looks and waits again.
//! 3. A request that may not wait for epochs, or that nothing could ever serve, fails with RESOURCE_EXHAUSTED.
//! 4. A deallocation gives its memory back with its own epoch, signals, and advances the tracker. Who was refused for
//!    that very epoch between the two has to look again, so pools with parked requests are told once more after that.

use std::sync::Arc;

pub(crate) use weft_hal::pool::ParkedPools;
use weft_hal::pool::{
    Acquired, Pool, PooledBlock, ReleaseToken, ReleaseWait, Remedy, Request, Requester, WaitFrontier,
};
use weft_hal::{Alloca, AllocaFlags, Buffer, Submission};
use weft_sync::{CancelToken, Result, Tracker, WaitId, WhileDoing, bail};

use super::job::Job;
use super::operation::Operation;
use super::past::Past;
use super::record::Origin;
use super::{Queue, Record, Ticket, TicketRef};

/// An allocation from a pool that is not committed yet.
pub(crate) struct PoolRequest {
    pub(super) pool: Arc<Pool>,
    buffer: Arc<Buffer>,
    request: Request,
    may_wait_for_epochs: bool,
    /// Reserved, and usable once the frontier is reached that was waited for.
    held: Option<PooledBlock>,
    /// Its pool is among those of [`ParkedPools`].
    is_announced: bool,
}

/// What came of a look.
pub(super) enum Look {
    /// The buffer has its memory.
    Committed,
    /// Look again when something came back to the pool since the token was taken.
    AfterRelease(ReleaseToken),
    /// The memory is held; it is usable when this is reached.
    AfterFrontier(Box<WaitFrontier>),
}

impl PoolRequest {
    pub(crate) fn new(buffer: &Arc<Buffer>, pool: &Arc<Pool>, alloca: &Alloca<'_>) -> PoolRequest {
        let alignment = alloca.params.alignment_min.max(1);
        PoolRequest {
            pool: Arc::clone(pool),
            buffer: Arc::clone(buffer),
            request: Request {
                can_wait: true,
                can_grow: true,
                ..Request::new(alloca.size.max(1), alignment)
            },
            may_wait_for_epochs: alloca.flags.contains(AllocaFlags::ALLOW_POOL_WAIT_FRONTIER),
            held: None,
            is_announced: false,
        }
    }

    /// Before it parks: lists its pool. `true` if it has to look once more, for it was not listed when it looked.
    fn announce(&mut self, parked: &ParkedPools) -> bool {
        if self.is_announced {
            // Whoever tells it to look again takes the pool off the list.
            self.is_announced = false;
            return false;
        }
        self.is_announced = true;
        parked.add(&self.pool);
        true
    }

    /// Looks for memory, or commits what is held.
    pub(super) fn look(&mut self, queue: &Queue, past: &Past, record: Option<&Record>) -> Result<Look> {
        if let Some(block) = self.held.take() {
            return self.commit(queue, block, record);
        }
        let token = self.pool.observe();
        let is_reached = |axis, epoch| queue.tracker.query_epoch(axis, epoch);
        let requester = Requester { past: Some(past.frontier()), is_reached: &is_reached };
        let acquired = self.pool.acquire(&self.request, &requester);
        match acquired.while_doing(|| "allocating from a pool")? {
            Acquired::Ready(block) | Acquired::Fresh(block) => {
                self.tell_reserved(queue, &block, record, 0);
                self.commit(queue, block, record)
            }
            Acquired::NeedsWait(block, frontier) if self.may_wait_for_epochs => {
                self.tell_reserved(queue, &block, record, frontier.as_frontier().len());
                self.held = Some(block);
                Ok(Look::AfterFrontier(Box::new(frontier)))
            }
            Acquired::NeedsWait(..) => {
                bail!(
                    ResourceExhausted,
                    "the pool's memory is in use by work that this operation may not wait for"
                )
            }
            Acquired::Exhausted { remedy: Remedy::Nothing, .. }
            | Acquired::OverBudget { remedy: Remedy::Nothing } => {
                bail!(ResourceExhausted, "the pool has no {} bytes, and never will", self.request.size)
            }
            Acquired::Exhausted { .. } | Acquired::OverBudget { .. } => Ok(Look::AfterRelease(token)),
        }
    }

    fn commit(&self, queue: &Queue, block: PooledBlock, record: Option<&Record>) -> Result<Look> {
        self.buffer.commit(block.into_host_block())?;
        if let Some(record) = record {
            queue.tell_committed(record, &self.buffer);
        }
        Ok(Look::Committed)
    }

    fn tell_reserved(
        &self,
        queue: &Queue,
        block: &PooledBlock,
        record: Option<&Record>,
        frontier_count: usize,
    ) {
        if let Some(record) = record {
            let origin = Origin::pool(&self.pool, block.length());
            queue.tell_reserved(record, &self.buffer, origin, frontier_count);
        }
    }
}

impl Queue {
    /// Submits an allocation from a pool. RESOURCE_EXHAUSTED is returned if that is known now.
    pub(crate) fn submit_pool_request(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        mut request: PoolRequest,
    ) -> Result<()> {
        match self.look(submission) {
            super::Look::Failed(status) => self.refuse(submission, record, status),
            super::Look::Pending => self.defer(submission, record, |_| Ok(Job::Pool(request))),
            super::Look::Reached => {
                let mut past = Past::nothing();
                past.gather(submission.wait);
                let look = self.look_for_memory(&mut request, &past, record.as_deref());
                if let Ok(Look::AfterRelease(_) | Look::AfterFrontier(_)) = &look {
                    let work = submission.cancel.map(CancelToken::work);
                    let ticket = Ticket { signals: submission.signal.to_vec(), past, record, work };
                    self.park(request, ticket, look?);
                    return Ok(());
                }
                let failure = look.as_ref().err().cloned();
                self.end(TicketRef::of(submission, &past, record), failure);
                look.map(drop)
            }
        }
    }

    /// Does a request whose waits are over, or which may look again.
    pub(super) fn allocate(&self, mut request: PoolRequest, mut ticket: Ticket) {
        let failure = match self.look_for_memory(&mut request, &ticket.past, ticket.record.as_deref()) {
            Ok(Look::Committed) => None,
            Ok(look) => return self.park(request, ticket, look),
            Err(status) => Some(status),
        };
        self.end(ticket.take_ref(), failure);
    }

    fn look_for_memory(
        &self,
        request: &mut PoolRequest,
        past: &Past,
        record: Option<&Record>,
    ) -> Result<Look> {
        loop {
            let look = request.look(self, past, record)?;
            if !(matches!(look, Look::AfterRelease(_)) && request.announce(&self.parked)) {
                return Ok(look);
            }
        }
    }

    fn park(&self, request: PoolRequest, ticket: Ticket, look: Look) {
        let pool = Arc::clone(&request.pool);
        let cancel = ticket.cancel().cloned();
        let operation = Operation::parked(self, Job::Pool(request), ticket);
        let parked = match look {
            Look::Committed => return,
            Look::AfterRelease(token) => {
                let again = operation.clone();
                let wait = pool.on_release(token, move || again.one_less());
                Parked::Release(pool, wait)
            }
            Look::AfterFrontier(frontier) => {
                let again = operation.clone();
                let wait = self.tracker.wait(frontier.as_frontier(), move |outcome| match outcome {
                    Ok(()) => again.one_less(),
                    Err(status) => again.fail(status),
                });
                match wait {
                    Ok(wait) => Parked::Frontier(Arc::clone(&self.tracker), wait),
                    Err(status) => return operation.fail(status),
                }
            }
        };
        operation.is_parked(parked, cancel.as_ref());
    }
}

/// Where an operation is parked, to take it away from there.
pub(super) enum Parked {
    Release(Arc<Pool>, ReleaseWait),
    Frontier(Arc<Tracker>, WaitId),
}

impl Parked {
    pub(super) fn cancel(self) {
        match self {
            Parked::Release(pool, wait) => drop(pool.cancel_wait(wait)),
            Parked::Frontier(tracker, wait) => drop(tracker.cancel_wait(wait)),
        }
    }
}
