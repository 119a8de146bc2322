//! Allocations of large memory that is made present before it is filled: each is a process, a drain of it a step.
//!
//! So nobody who has other work on the same workers waits for longer than that, and a cancel is heard in between. What a step
//! is, and whether it does anything, the allocator knows.

use std::sync::Arc;

use weft_hal::{Alloca, FirstUse, Submission};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use super::job::{Job, Request, contained};
use super::past::Past;
use super::{Look, Queue, Record, Ticket, TicketRef};
use crate::presence::HUGE_BYTES_MIN;

/// Whether this one is, rather than to be done by whoever comes by.
pub(crate) fn is_prepared(alloca: &Alloca<'_>) -> bool {
    alloca.first_use == FirstUse::Filled && alloca.pool.is_none() && alloca.size >= HUGE_BYTES_MIN as u64
}

impl Queue {
    /// Submits one. If nothing is waited for, memory that cannot be had is refused at once, as in `submit_short`.
    pub(crate) fn submit_prepared(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        mut request: Request,
    ) -> Result<()> {
        if let Look::Reached = self.look(submission) {
            match request.allocate() {
                Ok(block) => request.block = Some(block),
                Err(status) => {
                    let past = Past::of(submission);
                    self.end(TicketRef::of(submission, &past, record), Some(status.clone()));
                    return Err(status);
                }
            }
        }
        self.submit_job(submission, record, Job::Alloca(request))
    }

    pub(super) fn start_preparing(&self, request: Request, ticket: Ticket) {
        self.scope.begin();
        let preparing = Preparing { request, next: 0, ticket, queue: self.retain() };
        let work = PreparingWork(Mutex::new(Some(preparing)));
        self.executor.schedule(&Process::new(work, ProcessOptions::default()));
    }
}

struct Preparing {
    request: Request,
    /// Where the next step begins.
    next: usize,
    ticket: Ticket,
    queue: Arc<Queue>,
}

impl Preparing {
    /// `Ok(true)`: the buffer has its memory.
    fn step(&mut self) -> Result<bool> {
        let Preparing { request, next, ticket, queue } = self;
        if queue.is_closing() || ticket.is_cancelled() {
            return Err(queue.stopped());
        }
        let mut block = match request.block.take() {
            Some(block) => block,
            None => request.allocate()?,
        };
        *next = request.allocator.prepare(&mut block, *next);
        if *next < block.length() {
            request.block = Some(block);
            return Ok(false);
        }
        queue.give(&request.buffer, block, ticket.record.as_deref()).map(|()| true)
    }
}

/// Whoever drains it has it until he puts it back.
struct PreparingWork(Mutex<Option<Preparing>>);

impl Work for PreparingWork {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let Some(mut preparing) = lock(&self.0).take() else { return Drained::Finished };
        match contained(|| preparing.step()) {
            Ok(false) => {
                *lock(&self.0) = Some(preparing);
                Drained::Worked
            }
            outcome => {
                let Preparing { request, mut ticket, queue, .. } = preparing;
                // Its memory, if it still has it, goes back before anybody hears of the end.
                drop(request);
                queue.end(ticket.take_ref(), outcome.err());
                queue.scope.end();
                // Last, with the ticket: the work of its token.
                Drained::Finished
            }
        }
    }
}
