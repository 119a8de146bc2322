//! An operation that waits for semaphores.
//!
//! 1. `pending` counts its unreached waits, and one more while they are being registered: so nothing becomes ready, and
//!    nothing is freed, half-way through the registration.
//! 2. The first failure takes the job out and ends the operation at once; whoever comes later finds none.
//! 3. Whoever takes the job decides what becomes of it. It is taken once.

use std::sync::Arc;

use crate::panics::contain;
use weft_hal::{Submission, fail_all};
use weft_sync::atomic::{AtomicU64, AtomicUsize, Mutex, Ordering, lock};
use weft_sync::{Point, Status, Timepoint};

use super::job::Job;
use super::past::Past;
use super::pooled::Parked;
use super::{Queue, Record, Ticket, TicketRef, closed};

/// A submitted operation.
pub(crate) struct Operation {
    queue: Arc<Queue>,
    number: u64,
    pending: AtomicUsize,
    state: Mutex<State>,
}

/// What is left of it.
struct State {
    content: Option<Content>,
    timepoints: Vec<Timepoint>,
    parked: Option<Parked>,
}

struct Content {
    job: Job,
    waits: Vec<Point>,
    ticket: Ticket,
}

impl Operation {
    pub(crate) fn new(
        queue: &Queue,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        job: Job,
    ) -> Arc<Operation> {
        let ticket = Ticket { signals: submission.signal.to_vec(), past: Past::nothing(), record };
        // Needed again for the past, and only if somebody wants to know it.
        let wants_past = matches!(job, Job::Pool(_))
            || submission.signal.iter().any(|point| point.semaphore.carries_frontier());
        let waits = if wants_past { submission.wait.to_vec() } else { Vec::new() };
        Operation::over(queue, Content { job, waits, ticket })
    }

    fn over(queue: &Queue, content: Content) -> Arc<Operation> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Operation {
            queue: queue.retain(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            pending: AtomicUsize::new(1),
            state: Mutex::new(State { content: Some(content), timepoints: Vec::new(), parked: None }),
        })
    }

    /// One that waits for something else than semaphores: for one call of [`Operation::one_less`] or
    /// [`Operation::fail`].
    pub(super) fn parked(queue: &Queue, job: Job, ticket: Ticket) -> Arc<Operation> {
        let operation = Operation::over(queue, Content { job, waits: Vec::new(), ticket });
        queue.scope.begin();
        lock(&queue.waiting).insert(operation.number, Arc::clone(&operation));
        operation
    }

    /// Where it is parked; unless it went on already.
    pub(super) fn is_parked(&self, parked: Parked) {
        let mut state = lock(&self.state);
        if state.content.is_some() {
            state.parked = Some(parked);
        }
        drop(state);
        // Closing may have looked before it was listed.
        if self.queue.is_closing() {
            self.fail(closed());
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Registers with all points that are not reached.
    pub(crate) fn wait_for(self: &Arc<Operation>, points: &[Point]) {
        for point in points {
            self.pending.fetch_add(1, Ordering::Relaxed);
            let operation = Arc::clone(self);
            let timepoint = point.semaphore.on_reached(point.value, move |outcome| match outcome {
                Ok(()) => operation.one_less(),
                Err(status) => operation.fail(status),
            });
            let mut state = lock(&self.state);
            if state.content.is_none() {
                // Failed meanwhile: whoever did that has cancelled the others.
                drop(state);
                timepoint.cancel();
                break;
            }
            state.timepoints.push(timepoint);
        }
        self.one_less();
    }

    pub(super) fn one_less(self: &Arc<Operation>) {
        // AcqRel: the last one has seen what all the others did before.
        if self.pending.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let is_short = lock(&self.state).content.as_ref().map(|content| content.job.is_short());
        let Some(is_short) = is_short else { return };
        lock(&self.queue.waiting).remove(&self.number);
        // Whoever works for the executor does what is short at once; a hand-over would take longer. Others, such as a
        // thread of the program that signals, are not kept.
        if is_short && self.queue.executor.is_inside() {
            self.run();
        } else {
            self.queue.push_ready(Arc::clone(self));
        }
    }

    fn take(&self) -> Option<Content> {
        let (content, timepoints, parked) = {
            let mut state = lock(&self.state);
            (state.content.take(), std::mem::take(&mut state.timepoints), state.parked.take())
        };
        content.as_ref()?;
        if let Some(parked) = parked {
            parked.cancel();
        }
        for timepoint in timepoints {
            timepoint.cancel();
        }
        content
    }

    /// Ends it without doing it, unless somebody was faster. Deallocations are done when the device closes: memory has
    /// to go back.
    pub(crate) fn fail(&self, status: Status) {
        let Some(Content { job, mut ticket, .. }) = self.take() else { return };
        if let Some(record) = &mut ticket.record {
            record.ready();
        }
        lock(&self.queue.waiting).remove(&self.number);
        job.abandon(self.queue.is_closing());
        let ticket = TicketRef { signals: &ticket.signals, past: &ticket.past, record: ticket.record };
        self.queue.end(ticket, Some(status));
        self.queue.scope.end();
    }

    /// Does it. Its waits are over.
    pub(crate) fn run(&self) {
        let Some(Content { job, waits, mut ticket }) = self.take() else { return };
        if self.queue.is_closing() {
            job.abandon(true);
            self.queue.tell(ticket.record, Some(closed().code()));
            contain(|| fail_all(&ticket.signals, closed()));
            self.queue.scope.end();
            return;
        }
        if !waits.is_empty() {
            ticket.past.gather(&waits);
        }
        if let Some(record) = &mut ticket.record {
            record.ready();
        }
        job.run(&self.queue, ticket);
        self.queue.scope.end();
    }
}
