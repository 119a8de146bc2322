//! A queue that is a process.
//!
//! | file            | what lives there                                                        |
//! |-----------------|-------------------------------------------------------------------------|
//! | `mod.rs`        | the queue: submission, the control process, closing                     |
//! | `operation.rs`  | an operation that waits for semaphores                                  |
//! | `waiting.rs`    | those that wait, and those that rest until they are used again          |
//! | `room.rs`       | storage of operations that are over                                     |
//! | `job.rs`        | what operations do when their time has come, the short ones all of it   |
//! | `at_once.rs`    | recordings that are run by whoever submits them                         |
//! | `execution.rs`  | recordings that run: one process each                                   |
//! | `pooled.rs`     | allocations from pools                                                  |
//! | `prefault.rs`   | memory that is made present before it is filled, step by step           |
//! | `past.rs`       | what an operation comes after, and what its signals say about that      |
//! | `transfer.rs`   | reads and writes of files by a proactor                                 |
//! | `record.rs`     | what is kept of an operation while its device is profiled               |
//!
//! 1. **What can be done at once is done by whoever submits**: with all waits reached, a short operation ends before the
//!    call returns, and a recording is handed to the executor without a detour.
//! 2. **Nobody blocks for a semaphore.** An operation registers with those that it waits for. If a worker brings the last
//!    one it does what is short at once; other threads, and what is not short, go by the ready list, which the *control
//!    process* works off.
//! 3. **A recording is a process of its own**, so the executor's slots, its last-one-out rule and its overflow list are
//!    all the machinery there is for running several at once. Processes are used again: a submission allocates nothing
//!    once enough of them exist.
//! 4. Signals of success fire with the last tile; resources go when the last thread has left. Signals of failure fire
//!    only then: nobody is in a kernel any more.
//! 5. Signals fire inside of [`Executor::offering`]: what becomes ready by them is left to the thread that fires them.
//! 6. **Closing** fails what waits with CANCELLED (deallocations are done first), stops recordings at the next tile, cancels
//!    what proactors have, and waits until nothing is in flight.
//! 7. **Cancelling** does so to the operations of one token, and to nothing else: what waits fails with CANCELLED
//!    (deallocations are done first), what runs stops at the next tile (`stop.rs`), what a proactor has is cancelled. What
//!    is ready or scheduled looks when its turn comes. An operation counts among the work of its token until nothing of it
//!    is left. Operations without a token pay for none of this.

mod at_once;
mod execution;
pub(crate) mod job;
mod operation;
mod past;
mod pooled;
mod prefault;
mod record;
mod room;
#[cfg(unix)]
mod transfer;
mod waiting;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};

use weft_hal::profile::Profiler;
use weft_hal::{BindingEntry, Buffer, DeviceId, Submission, fail_all};
use weft_sync::atomic::{AtomicBool, Mutex, Ordering, lock};
use weft_sync::{
    Axis, CancelToken, CancelWork, Code, CompletionCounter, Deadline, FrontierBuf, Point, Result, Status,
    Tracker,
};
use weft_task::{Drained, Executor, Process, ProcessOptions, Scope, ScopeOptions, Work, WorkerContext};

use crate::block::{BlockBuilder, Blocks, Operands};
use crate::host_memory::HostMemory;
use crate::panics::contain;
pub(crate) use at_once::Pace;
pub(crate) use job::{Job, OwnedRange};
use operation::{Handle, Operation};
use past::Past;
pub(crate) use pooled::{ParkedPools, PoolRequest};
pub(crate) use record::{PoolsOfBuffers, Record};
use room::Room;
use waiting::Waiting;

/// What all queues of a device share.
pub(crate) struct QueueOptions {
    pub(crate) executor: Executor,
    pub(crate) axis: Axis,
    pub(crate) memory: HostMemory,
    pub(crate) profiler: Arc<Profiler>,
    /// Knows the axis.
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) parked: Arc<ParkedPools>,
    /// For profiles.
    pub(crate) origins: Arc<PoolsOfBuffers>,
}

/// One queue.
pub(crate) struct Queue {
    this: Weak<Queue>,
    pub(crate) executor: Executor,
    axis: Axis,
    completions: CompletionCounter,
    memory: HostMemory,
    pub(crate) profiler: Arc<Profiler>,
    tracker: Arc<Tracker>,
    parked: Arc<ParkedPools>,
    origins: Arc<PoolsOfBuffers>,
    /// Operations whose waits are over.
    ready: Mutex<VecDeque<Handle>>,
    /// Operations that wait, for closing; and those that rest.
    waiting: Waiting,
    control: OnceLock<Arc<Process>>,
    /// Builders, and recordings that served one submission: to be used again.
    builders: Mutex<Vec<BlockBuilder>>,
    spare_blocks: Mutex<Vec<Arc<Blocks>>>,
    /// For recordings: operands, and processes for one thread and for several.
    operands: Mutex<Vec<Operands>>,
    narrow: execution::Spares,
    wide: execution::Spares,
    #[cfg(unix)]
    transfers: Arc<transfer::QueueTransfers>,
    scope: Arc<Scope>,
    closing: AtomicBool,
}

/// An operation on its way: everything that is not its work.
pub(crate) struct Ticket {
    pub(crate) signals: Vec<Point>,
    pub(crate) past: Past,
    pub(crate) record: Option<Box<Record>>,
    /// What cancels it, until nothing of it is left.
    pub(crate) work: Option<CancelWork>,
}

impl Ticket {
    /// All of it.
    fn take(&mut self) -> Ticket {
        let (signals, record, work) =
            (std::mem::take(&mut self.signals), self.record.take(), self.work.take());
        Ticket { signals, past: self.past, record, work }
    }

    /// All of it, by reference, but for the record.
    fn take_ref(&mut self) -> TicketRef<'_> {
        let cancel = self.work.as_ref().map(CancelWork::token);
        TicketRef { signals: &self.signals, past: &self.past, record: self.record.take(), cancel }
    }

    /// What cancels it.
    fn cancel(&self) -> Option<&CancelToken> {
        self.work.as_ref().map(CancelWork::token)
    }

    /// It is to end with CANCELLED.
    fn is_cancelled(&self) -> bool {
        self.cancel().is_some_and(CancelToken::is_cancelled)
    }
}

impl Queue {
    pub(crate) fn new(options: QueueOptions) -> Arc<Queue> {
        let QueueOptions { executor, axis, memory, profiler, tracker, parked, origins } = options;
        let queue = Arc::new_cyclic(|this| Queue {
            this: Weak::clone(this),
            executor,
            axis,
            completions: CompletionCounter::new(),
            memory,
            profiler,
            tracker,
            parked,
            origins,
            ready: Mutex::new(VecDeque::new()),
            waiting: Waiting::default(),
            control: OnceLock::new(),
            builders: Mutex::new(Vec::new()),
            spare_blocks: Mutex::new(Vec::new()),
            operands: Mutex::new(Vec::new()),
            narrow: execution::Spares::new(false),
            wide: execution::Spares::new(true),
            #[cfg(unix)]
            transfers: Arc::default(),
            scope: Arc::new(Scope::new("queue", ScopeOptions::default())),
            closing: AtomicBool::new(false),
        });
        let control = Control(Weak::clone(&queue.this));
        let control = Process::new(control, ProcessOptions::default());
        assert!(queue.control.set(control).is_ok(), "a new queue has no control process");
        queue
    }

    /// Its timeline.
    pub(crate) fn axis(&self) -> Axis {
        self.axis
    }

    /// Epochs of its timeline that were completed.
    pub(crate) fn completed(&self) -> u64 {
        self.completions.completed()
    }

    /// Another owner of this queue.
    fn retain(&self) -> Arc<Queue> {
        self.this.upgrade().expect("a borrowed queue is alive")
    }

    pub(crate) fn is_closing(&self) -> bool {
        // Relaxed: whoever submits while the device goes away has no order with it.
        self.closing.load(Ordering::Relaxed)
    }

    /// Why something stopped half-way: the device closes, or else its token was cancelled.
    #[cold]
    fn stopped(&self) -> Status {
        if self.is_closing() { closed() } else { CancelToken::status() }
    }

    /// Submits a short operation: done now if its waits are over, by a worker otherwise. `later` makes the job for that.
    ///
    /// Errors of work that is done now fail the signals, as they would later, and are returned as well.
    pub(crate) fn submit_short(
        &self,
        submission: &Submission<'_>,
        mut record: Option<Box<Record>>,
        now: impl FnOnce(Option<&Record>) -> Result<()>,
        later: impl FnOnce(&mut Room) -> Result<Job>,
    ) -> Result<()> {
        match self.look(submission) {
            Look::Failed(status) => self.refuse(submission, record, status),
            Look::Reached => {
                let past = Past::of(submission);
                if let Some(record) = &mut record {
                    record.begin(self.worker());
                }
                let outcome = now(record.as_deref());
                let ticket = TicketRef::of(submission, &past, record);
                self.end(ticket, outcome.as_ref().err().cloned());
                outcome
            }
            Look::Pending => self.defer(submission, record, later),
        }
    }

    /// Submits something that a worker does.
    pub(crate) fn submit_job(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        job: Job,
    ) -> Result<()> {
        match self.look(submission) {
            Look::Failed(status) => {
                // It may have memory, which goes back before anybody hears of the end.
                drop(job);
                self.refuse(submission, record, status)
            }
            Look::Reached if submission.cancel.is_none() => {
                let operation = Operation::begin(self, submission, record, |_| Ok(job))?;
                self.scope.begin();
                self.push_ready(operation);
                Ok(())
            }
            Look::Reached | Look::Pending => self.defer(submission, record, |_| Ok(job)),
        }
    }

    /// Submits a recording. `table` was checked by the front.
    pub(crate) fn submit_recording(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        blocks: Arc<Blocks>,
        table: &[BindingEntry<'_>],
    ) -> Result<()> {
        match self.look(submission) {
            Look::Failed(status) => self.refuse(submission, record, status),
            Look::Reached => {
                let past = Past::of(submission);
                let mut ticket = TicketRef::of(submission, &past, record);
                if let Some(outcome) = self.run_at_once(&blocks, table, &mut ticket) {
                    self.end(ticket, outcome.err());
                    self.recycle(blocks);
                    return Ok(());
                }
                if let Err(status) = self.start(blocks, table, &mut ticket) {
                    // It was accepted; that it could not begin is told as what it would have met later.
                    self.end(ticket, Some(status));
                }
                Ok(())
            }
            Look::Pending => self.defer(submission, record, |room| Ok(Job::recording(room, blocks, table))),
        }
    }

    /// Records something for one submission. Allocates nothing once enough recordings have come back.
    pub(crate) fn record_once(
        &self,
        record: impl FnOnce(&mut BlockBuilder) -> Result<()>,
    ) -> Result<Arc<Blocks>> {
        let mut builder = lock(&self.builders).pop().unwrap_or_default();
        let mut blocks = lock(&self.spare_blocks).pop().unwrap_or_default();
        let room = Arc::get_mut(&mut blocks).expect("spares have one owner");
        builder.begin_once(std::mem::take(room));
        let recorded = record(&mut builder);
        *room = builder.end();
        lock(&self.builders).push(builder);
        match recorded {
            Ok(()) => Ok(blocks),
            Err(status) => {
                self.recycle(blocks);
                Err(status)
            }
        }
    }

    /// Takes back what [`Queue::record_once`] gave, if this was its last user.
    fn recycle(&self, mut blocks: Arc<Blocks>) {
        if blocks.is_for_one_use
            && let Some(room) = Arc::get_mut(&mut blocks)
        {
            // What it refers to goes now.
            room.clear();
            lock(&self.spare_blocks).push(blocks);
        }
    }

    /// Submits a deallocation, which the front has claimed for this caller.
    pub(crate) fn submit_dealloca(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        buffer: &Buffer,
    ) -> Result<()> {
        match self.look(submission) {
            Look::Failed(status) => {
                self.give_up_dealloca(buffer, record.as_deref(), submission.is_cancelled());
                self.refuse(submission, record, status)
            }
            Look::Reached => {
                let past = Past::of(submission);
                self.deallocate(buffer, TicketRef::of(submission, &past, record));
                Ok(())
            }
            Look::Pending => self.defer(submission, record, |_| Ok(Job::Dealloca(buffer.retain()))),
        }
    }

    fn look(&self, submission: &Submission<'_>) -> Look {
        let mut look = Look::Reached;
        if submission.is_cancelled() {
            return Look::Failed(CancelToken::status());
        }
        for point in submission.wait {
            match point.semaphore.is_reached(point.value) {
                Ok(true) => {}
                Ok(false) => look = Look::Pending,
                Err(status) => return Look::Failed(status),
            }
        }
        if self.is_closing() { Look::Failed(closed()) } else { look }
    }

    /// A submission whose waits have failed fails.
    #[cold]
    fn refuse(&self, submission: &Submission<'_>, record: Option<Box<Record>>, status: Status) -> Result<()> {
        self.tell(record, Some(status.code()));
        fail_all(submission.signal, status);
        Ok(())
    }

    fn defer(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        job: impl FnOnce(&mut Room) -> Result<Job>,
    ) -> Result<()> {
        let operation = Operation::begin(self, submission, record, job)?;
        self.scope.begin();
        operation.list();
        operation.wait_for(submission.wait, submission.cancel);
        // Closing may have looked before this one was listed.
        if self.is_closing() {
            operation.fail(closed());
        }
        Ok(())
    }

    /// An operation has nothing to wait for any more.
    fn push_ready(&self, operation: Handle) {
        lock(&self.ready).push_back(operation);
        self.executor.schedule_soon(self.control());
    }

    fn control(&self) -> &Arc<Process> {
        self.control.get().expect("set when the queue was made")
    }

    /// The end of an operation, of which nobody touches the memory any more: says so to everybody.
    fn end(&self, ticket: TicketRef<'_>, failure: Option<Status>) {
        match failure {
            None => self.succeed(ticket, self.completions.complete()),
            Some(status) => {
                let status = CancelToken::cause(ticket.cancel, status);
                self.tell(ticket.record, Some(status.code()));
                self.executor.offering(|| contain(|| fail_all(ticket.signals, status)));
            }
        }
    }

    /// A deallocation has failed: the buffer stays usable and may be deallocated later; but if this was `for_good`, its memory
    /// goes back at once.
    #[cold]
    fn give_up_dealloca(&self, buffer: &Buffer, record: Option<&Record>, for_good: bool) {
        if !for_good {
            return buffer.withdraw_dealloca();
        }
        let was_committed = buffer.is_committed();
        buffer.decommit();
        if let (Some(record), true) = (record, was_committed) {
            self.tell_deallocated(record, buffer);
        }
    }

    /// Takes the memory of a buffer away, to be used again after the epoch of this very operation.
    fn deallocate(&self, buffer: &Buffer, ticket: TicketRef<'_>) {
        let epoch = self.completions.complete();
        buffer.decommit_after(Some(FrontierBuf::<1>::single(self.axis, epoch).as_frontier()));
        if let Some(record) = &ticket.record
            && !buffer.is_committed()
        {
            self.tell_deallocated(record, buffer);
        }
        self.succeed(ticket, epoch);
    }

    fn succeed(&self, ticket: TicketRef<'_>, epoch: u64) {
        self.tell(ticket.record, None);
        self.executor.offering(|| {
            contain(|| {
                if let Err(status) = ticket.past.signal(ticket.signals, self.axis, epoch) {
                    // Somebody else signalled it further, or failed it.
                    fail_all(ticket.signals, status);
                }
            });
        });
        contain(|| self.advance(epoch));
        self.parked.look_again();
    }

    fn advance(&self, epoch: u64) {
        self.tracker.advance(self.axis, epoch);
    }

    /// Waits until nothing is in flight.
    pub(crate) fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        self.executor.begin_left_work();
        self.scope.wait_idle(deadline)
    }

    /// Rule 6.
    pub(crate) fn close(&self) {
        // Relaxed: whoever is listed after the look below came by the same lock, and sees it.
        self.closing.store(true, Ordering::Relaxed);
        #[cfg(unix)]
        self.transfers.close(&closed());
        for operation in self.waiting.drain(&self.retain()) {
            operation.fail(closed());
        }
        self.executor.schedule(self.control());
        if self.executor.is_inside() || is_polling_thread() {
            // The last handle was dropped by a thread that what is in flight needs, and which cannot wait for itself. What
            // is in flight holds the queue.
            return;
        }
        // Without a deadline: recordings stop at the next tile.
        let idle = self.scope.wait_idle(Deadline::NEVER);
        debug_assert!(idle.is_ok());
        // Nothing will be completed any more: whoever waits for later epochs would wait for ever.
        self.tracker.retire_axis(self.axis, closed());
    }
}

impl Drop for Queue {
    /// Closing did so, unless the last handle was dropped by a worker, which could not wait for what was in flight.
    fn drop(&mut self) {
        contain(|| self.tracker.retire_axis(self.axis, closed()));
    }
}

/// What an operation says when it is over, by reference.
pub(crate) struct TicketRef<'a> {
    pub(crate) signals: &'a [Point],
    pub(crate) past: &'a Past,
    pub(crate) record: Option<Box<Record>>,
    /// What cancels what is begun for it.
    pub(crate) cancel: Option<&'a CancelToken>,
}

impl<'a> TicketRef<'a> {
    /// Of a submission that does not wait.
    fn of(submission: &Submission<'a>, past: &'a Past, record: Option<Box<Record>>) -> TicketRef<'a> {
        TicketRef { signals: submission.signal, past, record, cancel: submission.cancel }
    }
}

enum Look {
    Reached,
    Pending,
    /// A wait has failed, or the device is being closed: the signals are to fail.
    Failed(Status),
}

/// This thread polls a proactor, and is in the middle of it.
fn is_polling_thread() -> bool {
    cfg_select! {
        unix => { weft_hal::is_ending() }
        _ => { false }
    }
}

#[cold]
fn closed() -> Status {
    Status::new(Code::Cancelled, "the device was closed")
}

/// Does what has become ready, one operation a drain.
struct Control(Weak<Queue>);

impl Work for Control {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let Some(queue) = self.0.upgrade() else { return Drained::Finished };
        let operation = lock(&queue.ready).pop_front();
        match operation {
            Some(operation) => {
                operation.run();
                Drained::Worked
            }
            None => Drained::Nothing,
        }
    }
}

/// For host calls: which device and queue they come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) device: DeviceId,
    pub(crate) affinity: weft_hal::QueueAffinity,
}
