//! An operation that waits for semaphores.
//!
//! What lives here: [`Operation`] and [`Handle`]. What does not: where operations rest between two uses, and the list of
//! those that wait (`waiting.rs`); what they do (`job.rs`).
//!
//! 1. `pending` counts its unreached waits, and one more while they are being registered: so nothing becomes ready, and
//!    nothing is freed, half-way through the registration.
//! 2. The first failure takes the job out and ends the operation at once; whoever comes later finds none.
//! 3. Whoever takes the job decides what becomes of it. It is taken once.
//! 4. One that a token cancels registers with that too: as the last one, for a call of [`Handle::fail`]. It is no wait, and
//!    is not counted.
//! 5. **Operations are used again.** Whoever may still come to one, late or in vain, holds a [`Handle`]: whoever submits,
//!    each callback, the ready list. The last handle to go lays the operation aside, with the room of its lists; so a
//!    callback that lost a race never meets the next use.

use std::ops::Deref;
use std::sync::Arc;

use weft_hal::Submission;
use weft_sync::atomic::{AtomicUsize, Mutex, Ordering, lock};
use weft_sync::{CancelToken, Point, Status, Timepoint};

use super::job::Job;
use super::past::Past;
use super::pooled::Parked;
use super::room::{KeptBytes, Room, emptied};
use super::waiting::Place;
use super::{Queue, Record, Ticket, closed};

/// A submitted operation, or one that rests.
///
/// * `users` – handles; 0 while it rests.
/// * `place` – where it is listed as waiting; under the lock of that list.
#[derive(Default)]
pub(crate) struct Operation {
    users: AtomicUsize,
    pending: AtomicUsize,
    pub(super) place: Place,
    state: Mutex<State>,
}

/// What is left of it.
#[derive(Default)]
struct State {
    content: Option<Content>,
    timepoints: Vec<Timepoint>,
    parked: Option<Parked>,
    /// Of earlier uses, and empty.
    points: [Vec<Point>; 2],
    room: Room,
}

struct Content {
    job: Job,
    waits: Vec<Point>,
    ticket: Ticket,
}

/// An operation that is being done or failed. What this drops is dropped outside of the lock: the last owner of a
/// semaphore may call anybody.
struct Taken {
    content: Content,
    timepoints: Vec<Timepoint>,
    parked: Option<Parked>,
    room: Room,
}

/// Somebody who may still come to an operation (rule 5), and the queue that it belongs to.
pub(crate) struct Handle {
    queue: Arc<Queue>,
    operation: Arc<Operation>,
}

impl Handle {
    /// For one that was counted by [`Operation::count_user`].
    pub(super) fn counted(queue: Arc<Queue>, operation: Arc<Operation>) -> Handle {
        Handle { queue, operation }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Handle {
        self.operation.count_user();
        Handle::counted(Arc::clone(&self.queue), Arc::clone(&self.operation))
    }
}

impl Deref for Handle {
    type Target = Operation;

    fn deref(&self) -> &Operation {
        &self.operation
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.operation.is_last_user() {
            self.queue.waiting.lay_aside(&self.operation);
        }
    }
}

impl Operation {
    /// One more handle: made from another one, or under the lock of the lists, where an operation rests or is listed.
    pub(super) fn count_user(&self) {
        // Relaxed: as with any count of owners, one that exists is what makes another; and the lock orders the others.
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// One handle less. `true`: the last one.
    pub(super) fn is_last_user(&self) -> bool {
        // AcqRel: the last one has seen all that the others did, and so does the next use.
        self.users.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether it has no handle. Means something under the lock of the lists, and if it is not listed.
    pub(super) fn has_no_user(&self) -> bool {
        // Acquire: pairs with the Release of `is_last_user`, whose thread may still be on its way to the lock.
        self.users.load(Ordering::Acquire) == 0
    }

    /// `job` makes the job, with the room of an earlier one.
    pub(crate) fn begin(
        queue: &Queue,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        job: impl FnOnce(&mut Room) -> weft_sync::Result<Job>,
    ) -> weft_sync::Result<Handle> {
        let handle = Operation::any(queue);
        let mut state = lock(&handle.state);
        let job = job(&mut state.room)?;
        let [mut signals, mut waits] = std::mem::take(&mut state.points);
        signals.extend_from_slice(submission.signal);
        // Needed again for the past, and only if somebody wants to know it.
        let wants_past = matches!(job, Job::Pool(_))
            || submission.signal.iter().any(|point| point.semaphore.carries_frontier());
        if wants_past {
            waits.extend_from_slice(submission.wait);
        }
        let work = submission.cancel.map(CancelToken::work);
        let ticket = Ticket { signals, past: Past::nothing(), record, work };
        state.content = Some(Content { job, waits, ticket });
        drop(state);
        Ok(handle)
    }

    /// One that rested, or a new one.
    fn any(queue: &Queue) -> Handle {
        let operation = queue.waiting.take_spare().unwrap_or_else(|made| {
            // All of them may become ready at once: whether the list has room then does not depend on chance.
            let mut ready = lock(&queue.ready);
            let more = made.saturating_sub(ready.len());
            ready.reserve(more);
            drop(ready);
            let operation = Arc::<Operation>::default();
            operation.count_user();
            operation
        });
        // Relaxed: nobody else has it.
        operation.pending.store(1, Ordering::Relaxed);
        Handle::counted(queue.retain(), operation)
    }

    /// One that waits for something else than semaphores: for one call of [`Handle::one_less`] or [`Handle::fail`].
    pub(super) fn parked(queue: &Queue, job: Job, ticket: Ticket) -> Handle {
        let handle = Operation::any(queue);
        lock(&handle.state).content = Some(Content { job, waits: Vec::new(), ticket });
        queue.scope.begin();
        queue.waiting.list(&handle.operation);
        handle
    }

    /// Everything, to do it or to fail it. Once.
    fn take(&self) -> Option<Taken> {
        let mut state = lock(&self.state);
        let content = state.content.take()?;
        let (timepoints, room) = (std::mem::take(&mut state.timepoints), std::mem::take(&mut state.room));
        Some(Taken { content, timepoints, parked: state.parked.take(), room })
    }

    /// Gives the bytes back that are kept for later updates: it will not be used again.
    pub(super) fn drop_room(&self, kept: &KeptBytes) {
        kept.release(&mut lock(&self.state).room);
    }
}

impl Handle {
    /// Where it is parked; unless it went on already.
    pub(super) fn is_parked(&self, parked: Parked, cancel: Option<&CancelToken>) {
        let mut state = lock(&self.state);
        if state.content.is_some() {
            state.parked = Some(parked);
        }
        drop(state);
        if let Some(token) = cancel {
            self.heed(token);
        }
        // Closing may have looked before it was listed.
        if self.queue.is_closing() {
            self.fail(closed());
        }
    }

    /// Lists it for closing.
    pub(super) fn list(&self) {
        self.queue.waiting.list(&self.operation);
    }

    /// Registers with all points that are not reached, and with the token that cancels it.
    pub(crate) fn wait_for(&self, points: &[Point], cancel: Option<&CancelToken>) {
        for point in points {
            if matches!(point.semaphore.is_reached(point.value), Ok(true)) {
                continue;
            }
            self.pending.fetch_add(1, Ordering::Relaxed);
            let operation = self.clone();
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
        if let Some(token) = cancel {
            self.heed(token);
        }
        self.one_less();
    }

    /// Registers with the token, as the last of its timepoints.
    #[cold]
    fn heed(&self, token: &CancelToken) {
        let operation = self.clone();
        let timepoint = token.on_cancel(move || operation.fail(CancelToken::status()));
        let mut state = lock(&self.state);
        if state.content.is_none() {
            // Over, or on its way: this handle keeps it from being used again.
            drop(state);
            timepoint.cancel();
            return;
        }
        state.timepoints.push(timepoint);
    }

    pub(super) fn one_less(&self) {
        // AcqRel: the last one has seen what all the others did before.
        if self.pending.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let is_short = lock(&self.state).content.as_ref().map(|content| content.job.is_short());
        let Some(is_short) = is_short else { return };
        self.queue.waiting.unlist(&self.operation);
        // Whoever works for the executor does what is short at once; a hand-over would take longer. Others, such as a
        // thread of the program that signals, are not kept.
        if is_short && self.queue.executor.is_inside() {
            self.run();
        } else {
            self.queue.push_ready(self.clone());
        }
    }

    /// Ends it without doing it, unless somebody was faster. Deallocations are done when the device closes, and when they
    /// are cancelled: memory has to go back.
    pub(crate) fn fail(&self, status: Status) {
        let Some(mut taken) = self.take() else { return };
        if let Some(parked) = taken.parked.take() {
            parked.cancel();
        }
        for timepoint in taken.timepoints.drain(..) {
            timepoint.cancel();
        }
        self.queue.waiting.unlist(&self.operation);
        let Content { job, ticket, .. } = &mut taken.content;
        if let Some(record) = &mut ticket.record {
            record.ready();
        }
        let is_last_chance = self.queue.is_closing() || ticket.is_cancelled();
        let job = std::mem::replace(job, Job::Barrier);
        job.abandon(&self.queue, ticket.record.as_deref(), is_last_chance);
        self.queue.end(ticket.take_ref(), Some(status));
        self.end(taken);
    }

    /// Nothing is left to be done.
    fn end(&self, mut taken: Taken) {
        let work = taken.content.ticket.work.take();
        self.clear(taken);
        self.queue.scope.end();
        // Whoever waits for the work of its token may use its buffers from here on.
        drop(work);
    }

    /// What it refers to goes, and the room stays for the next use.
    fn clear(&self, taken: Taken) {
        let Taken { content, timepoints, mut room, .. } = taken;
        let timepoints = emptied(timepoints);
        let Content { waits, ticket: Ticket { signals, .. }, .. } = content;
        let points = [emptied(signals), emptied(waits)];
        self.queue.waiting.kept.keep(&mut room);
        let mut state = lock(&self.state);
        state.points = points;
        state.timepoints = timepoints;
        state.room = room;
    }

    /// Does it. Its waits are over.
    pub(crate) fn run(&self) {
        let Some(mut taken) = self.take() else { return };
        let Taken { content: Content { job, waits, ticket }, timepoints, room, .. } = &mut taken;
        if ticket.work.is_some()
            && let Some(timepoint) = timepoints.pop()
        {
            // That of the token.
            timepoint.cancel();
        }
        // All others have fired, or the job would have been taken.
        timepoints.clear();
        let job = std::mem::replace(job, Job::Barrier);
        if self.queue.is_closing() || ticket.is_cancelled() {
            job.abandon(&self.queue, ticket.record.as_deref(), true);
            self.queue.end(ticket.take_ref(), Some(self.queue.stopped()));
        } else {
            if !waits.is_empty() {
                ticket.past.gather(waits);
            }
            if let Some(record) = &mut ticket.record {
                record.ready();
            }
            job.run(&self.queue, ticket, room);
        }
        self.end(taken);
    }
}
