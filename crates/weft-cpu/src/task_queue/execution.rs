//! Recordings that run: one process each, used again.
//!
//! What lives here: [`Execution`], the work of such a process, and [`Spares`], where processes wait for their next
//! recording. What does not: how commands run (`block/`).
//!
//! 1. A *narrow* execution is an immediate process: one thread at a time, so it runs the recording without atomics. A
//!    *wide* one has a slot, and threads share its tiles.
//! 2. A spare is renewed only by its sole owner (`Process::renew` takes `&mut`): nobody can be inside, and nobody comes
//!    late.
//! 3. `completed` is called with the last tile, while others may still be leaving; `released` when nobody is inside.
//! 4. Seats number the threads inside from 0 on. A thread without a seat has nothing to do here.

#![allow(unsafe_code, reason = "promises to `block/` that operands and scratch are those of the recording")]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use weft_hal::{BindingEntry, HostBlock};
use weft_sync::atomic::{AtomicBool, Mutex, Ordering, lock};
use weft_sync::{CancelToken, CancelWork, Instant, Point, Result, Status, WhileDoing};
use weft_task::{Drained, KeepWarm, Process, ProcessOptions, Seats, Tiles, Work, WorkerContext};

use super::past::Past;
use super::{Queue, Record, TicketRef};
use crate::block::{Blocks, Nobody, Operands, Scratch, Share, ShareEnd, Watch, run_alone};
use crate::stop::{Cancelled, Flag, Stop};

/// Processes that are looked at for a spare one before a new one is made.
const SPARES_LOOKED_AT: usize = 4;

/// Operands that a queue keeps for later.
const OPERANDS_MAX: usize = 1024;

/// Local memory of one seat is a multiple of this.
const SCRATCH_ALIGNMENT: usize = 64;

/// Processes of one kind, those in use included: who is done goes free by itself.
pub(super) struct Spares {
    processes: Mutex<VecDeque<Arc<Process>>>,
    is_wide: bool,
}

impl Spares {
    pub(super) fn new(is_wide: bool) -> Spares {
        Spares { processes: Mutex::new(VecDeque::new()), is_wide }
    }

    /// A process that nobody uses.
    fn take(&self) -> Arc<Process> {
        let mut processes = lock(&self.processes);
        for _ in 0..processes.len().min(SPARES_LOOKED_AT) {
            let Some(process) = processes.pop_front() else { break };
            // It only gets fewer owners: nobody makes new ones of a process that is over but who has it here.
            if Arc::strong_count(&process) == 1 {
                return process;
            }
            processes.push_back(process);
        }
        drop(processes);
        self.make()
    }

    fn make(&self) -> Arc<Process> {
        let options = ProcessOptions { compute_slot: self.is_wide, ..ProcessOptions::default() };
        Process::new(Execution::new(self.is_wide), options)
    }

    fn put(&self, process: Arc<Process>) {
        lock(&self.processes).push_back(process);
    }
}

/// A recording that runs, or waits to be used again.
struct Execution {
    is_wide: bool,
    task: RwLock<Task>,
    notice: Mutex<Notice>,
    tiles: Tiles,
    stop: AtomicBool,
    /// Seats that are taken.
    seats: Seats,
    failure: OnceLock<Status>,
}

/// What is being run. Written by who starts it, and at its end.
struct Task {
    queue: Option<Arc<Queue>>,
    blocks: Option<Arc<Blocks>>,
    operands: Operands,
    scratch: Option<HostBlock>,
    /// Threads that may be inside.
    workers: u32,
    /// Somebody wants to know what is done.
    watch: Option<Box<Watch>>,
    /// What cancels it, until nothing of it is left.
    work: Option<CancelWork>,
}

/// What is said at the end, and to whom. Apart from the task, which others may still read then.
struct Notice {
    signals: Vec<Point>,
    past: Past,
    record: Option<Box<Record>>,
}

impl Execution {
    fn new(is_wide: bool) -> Execution {
        Execution {
            is_wide,
            task: RwLock::new(Task {
                queue: None,
                blocks: None,
                operands: Operands::default(),
                scratch: None,
                workers: 1,
                watch: None,
                work: None,
            }),
            notice: Mutex::new(Notice { signals: Vec::new(), past: Past::nothing(), record: None }),
            tiles: Tiles::new(),
            stop: AtomicBool::new(false),
            seats: Seats::new(),
            failure: OnceLock::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Task> {
        self.task.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Task> {
        self.task.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Starts a recording whose waits are over, and takes the record out of the ticket. On an error nothing was started,
    /// and the ticket is as it was.
    pub(super) fn start(
        &self,
        blocks: Arc<Blocks>,
        table: &[BindingEntry<'_>],
        ticket: &mut TicketRef<'_>,
    ) -> Result<()> {
        let threads = self.executor.worker_count().min(Seats::COUNT_MAX as usize) as u32;
        let is_wide = threads > 1 && !blocks.is_narrow && !blocks.pace.is_short();
        let spares = if is_wide { &self.wide } else { &self.narrow };
        let mut process = spares.take();
        let Some(execution) = process.renew::<Execution>() else {
            weft_sync::bail!(Internal, "a spare process is in use");
        };
        let begun = execution.begin(self, blocks, table, ticket, if is_wide { threads } else { 1 });
        let has_work = match begun {
            Ok(has_work) => has_work,
            Err(status) => {
                execution.clear();
                spares.put(process);
                return Err(status);
            }
        };
        if !has_work {
            if let Some(record) = &mut lock(&execution.notice).record {
                record.begin(self.worker());
            }
            execution.write().let_go();
            execution.finish(self, None, None);
            execution.clear();
            spares.put(process);
            return Ok(());
        }
        self.scope.begin();
        spares.put(Arc::clone(&process));
        self.executor.schedule_soon(&process);
        Ok(())
    }

    /// Operands that nobody uses.
    pub(super) fn spare_operands(&self) -> Operands {
        lock(&self.operands).pop().unwrap_or_else(Operands::roomy)
    }

    pub(super) fn scratch(&self, blocks: &Blocks, seats: u32) -> Result<Option<HostBlock>> {
        if blocks.local_memory_bytes == 0 {
            return Ok(None);
        }
        let bytes = scratch_stride(blocks).saturating_mul(seats as usize);
        self.memory.scratch(bytes).map(Some).while_doing(|| "providing local memory")
    }
}

fn scratch_stride(blocks: &Blocks) -> usize {
    (blocks.local_memory_bytes as usize).next_multiple_of(SCRATCH_ALIGNMENT)
}

impl Execution {
    /// Everything that can fail, before anybody sees it. Whether there is anything to run.
    fn begin(
        &mut self,
        queue: &Queue,
        blocks: Arc<Blocks>,
        table: &[BindingEntry<'_>],
        ticket: &mut TicketRef<'_>,
        workers: u32,
    ) -> Result<bool> {
        let Execution { task, notice, tiles, stop, seats, failure, .. } = self;
        let task = task.get_mut().unwrap_or_else(PoisonError::into_inner);
        tiles.reset();
        *stop = AtomicBool::new(false);
        seats.reset();
        *failure = OnceLock::new();
        task.queue = Some(queue.retain());
        let Task { blocks: place, operands, scratch, .. } = task;
        let blocks = place.insert(blocks);
        *operands = queue.spare_operands();
        operands.look_up(blocks, table)?;
        // Before the first workgroup: a lack of memory must not show half-way.
        *scratch = queue.scratch(blocks, workers)?;
        let has_work = if workers > 1 {
            operands.load_all(blocks);
            let share = Share { blocks, operands, tiles, stop: Flag(stop), workers };
            share.open_from(0)?
        } else {
            !blocks.regions.is_empty()
        };
        task.workers = workers;
        task.work = ticket.cancel.map(CancelToken::work);
        task.watch = ticket.record.as_deref().and_then(|record| queue.watch(record, workers, blocks));
        let notice = notice.get_mut().unwrap_or_else(PoisonError::into_inner);
        notice.signals.extend_from_slice(ticket.signals);
        notice.past = *ticket.past;
        notice.record = ticket.record.take();
        Ok(has_work)
    }

    fn drain_alone(&self, worker: &WorkerContext<'_>) -> Drained {
        let mut task = self.write();
        let Task { queue: Some(queue), blocks: Some(blocks), operands, scratch, watch, work, .. } =
            &mut *task
        else {
            return Drained::Finished;
        };
        let scratch = Scratch(base_of(scratch.as_ref(), 0));
        let alone = Alone { queue, blocks, operands, scratch, watch: watch.as_deref() };
        let closing = Flag(&queue.closing);
        match work {
            None => alone.run(worker, closing),
            Some(work) => alone.run(worker, Cancelled(work.token(), closing)),
        }
    }

    fn drain_together(&self, task: &Task, worker: &WorkerContext<'_>) -> Drained {
        let (Some(queue), Some(blocks)) = (&task.queue, &task.blocks) else { return Drained::Finished };
        let Some(seat) = self.seats.take(task.workers) else { return Drained::Nothing };
        // Before the look for tiles: what is opened after it moves the epoch.
        let epoch = worker.process().retention_epoch();
        let flag = Flag(if queue.is_closing() { &queue.closing } else { &self.stop });
        let end = match task.cancel() {
            None => self.share(task, worker, (seat.number(), blocks), flag),
            Some(token) => self.share(task, worker, (seat.number(), blocks), Cancelled(token, flag)),
        };
        match end {
            Ok(ShareEnd::Over(took)) => {
                took.inspect(|&took| blocks.pace.note(took));
                Drained::Finished
            }
            Ok(ShareEnd::Slice) => Drained::Worked,
            Ok(ShareEnd::Idle { .. }) if queue.is_closing() || task.is_cancelled() => {
                Drained::Failed(queue.stopped())
            }
            Ok(ShareEnd::Idle { wide_ahead: true, .. }) => {
                Drained::KeepWarm(KeepWarm { epoch, retainers_max: task.workers - 1 })
            }
            Ok(ShareEnd::Idle { .. }) => Drained::Nothing,
            Err(status) => {
                self.stop.store(true, Ordering::Relaxed);
                Drained::Failed(status.while_doing("executing a command buffer"))
            }
        }
    }

    /// Works on the tiles, in this seat.
    fn share(
        &self,
        task: &Task,
        worker: &WorkerContext<'_>,
        (seat, blocks): (u32, &Blocks),
        stop: impl Stop,
    ) -> Result<ShareEnd> {
        let share =
            Share { blocks, operands: &task.operands, tiles: &self.tiles, stop, workers: task.workers };
        let stride = scratch_stride(blocks) * seat as usize;
        let scratch = Scratch(base_of(task.scratch.as_ref(), stride));
        let call = |count: u32| {
            worker.process().advance_retention();
            worker.call_for(count.min(self.seats.free(task.workers)));
        };
        match &task.watch {
            // SAFETY: `begin` looked the operands up for this recording, loaded all blocks, and provided scratch of this
            // size for each seat, of which one thread at a time has this one.
            None => unsafe { share.work(scratch, seat, &mut Nobody, call) },
            Some(watch) => {
                let mut witness = watch.witness(seat, seat_of(worker));
                // SAFETY: as above.
                unsafe { share.work(scratch, seat, &mut witness, call) }
            }
        }
    }
}

/// A recording that this thread has to itself.
struct Alone<'a> {
    queue: &'a Queue,
    blocks: &'a Blocks,
    operands: &'a mut Operands,
    scratch: Scratch,
    watch: Option<&'a Watch>,
}

impl Alone<'_> {
    fn run(self, worker: &WorkerContext<'_>, stop: impl Stop) -> Drained {
        let Alone { queue, blocks, operands, scratch, watch } = self;
        let begin = Instant::now();
        let outcome = match watch {
            // SAFETY: `begin` of the execution looked the operands up for this recording, and provided scratch of this size;
            // its write lock makes both ours.
            None => unsafe { run_alone(blocks, operands, scratch, 0, stop, &mut Nobody) },
            Some(watch) => {
                let mut witness = watch.witness(0, seat_of(worker));
                // SAFETY: as above.
                unsafe { run_alone(blocks, operands, scratch, 0, stop, &mut witness) }
            }
        };
        blocks.pace.note(Instant::now().since(begin));
        match outcome {
            Ok(true) => Drained::Finished,
            Ok(false) => Drained::Failed(queue.stopped()),
            Err(status) => Drained::Failed(status.while_doing("executing a command buffer")),
        }
    }
}

/// The number of the thread for profiles.
fn seat_of(worker: &WorkerContext<'_>) -> u32 {
    u32::try_from(worker.local_index()).unwrap_or(u32::MAX)
}

fn base_of(block: Option<&HostBlock>, offset: usize) -> *mut c_void {
    block.map_or(std::ptr::null_mut(), |block| block.base().as_ptr().wrapping_add(offset).cast())
}

impl Work for Execution {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        if self.is_wide { self.drain_together(&self.read(), worker) } else { self.drain_alone(worker) }
    }

    fn completed(&self, outcome: Result<()>) {
        if let Err(status) = outcome {
            // Rule 4 of the queue: said when nobody is inside.
            drop(self.failure.set(status));
        } else if self.is_wide {
            let queue = {
                let task = self.read();
                self.report(&task);
                task.queue.clone()
            };
            let Some(queue) = queue else { return };
            // If nobody else is inside, memory goes back before anybody hears of the end; else with the last one out.
            if let Ok(mut task) = self.task.try_write() {
                task.let_go();
            }
            self.finish(&queue, None, None);
        }
        // A narrow one is released at once, by this very thread.
    }

    fn released(&self) {
        let (queue, work) = {
            let mut task = self.write();
            self.report(&task);
            task.let_go();
            (task.queue.take(), task.work.take())
        };
        let Some(queue) = queue else { return };
        let failure = self.failure.get().cloned();
        if failure.is_some() || !self.is_wide {
            self.finish(&queue, failure, work.as_ref().map(CancelWork::token));
        }
        queue.scope.end();
        // Whoever waits for the work of its token may use its buffers from here on.
        drop(work);
    }
}

impl Execution {
    /// Tells the profile what was done, while everything is still there. The first call counts.
    #[inline]
    fn report(&self, task: &Task) {
        let Task { queue: Some(queue), blocks: Some(blocks), watch: Some(watch), operands, .. } = task else {
            return;
        };
        let done = watch.report(&queue.profiler, blocks, operands);
        if let (Some(done), Some(record)) = (done, &mut lock(&self.notice).record) {
            record.set_done(done);
        }
    }

    /// Says that it is over.
    fn finish(&self, queue: &Queue, failure: Option<Status>, cancel: Option<&CancelToken>) {
        let mut notice = lock(&self.notice);
        let Notice { signals, past, record } = &mut *notice;
        // Under the lock of this execution alone, which nobody else takes before it is released.
        queue.end(TicketRef { signals, past, record: record.take(), cancel }, failure);
        signals.clear();
    }

    /// As it was before it began, but for its room.
    fn clear(&self) {
        let mut task = self.write();
        task.let_go();
        (task.queue, task.work) = (None, None);
        let mut notice = lock(&self.notice);
        notice.signals.clear();
        notice.record = None;
    }
}

impl Task {
    /// What cancels it.
    fn cancel(&self) -> Option<&CancelToken> {
        self.work.as_ref().map(CancelWork::token)
    }

    /// It is to end with CANCELLED.
    fn is_cancelled(&self) -> bool {
        self.cancel().is_some_and(CancelToken::is_cancelled)
    }

    /// Lets go of memory and code.
    fn let_go(&mut self) {
        self.watch = None;
        self.operands.release();
        self.scratch = None;
        if let (Some(blocks), Some(queue)) = (self.blocks.take(), &self.queue) {
            // Those used last are used next: room that has grown is found again, however many processes there are.
            let mut spare = lock(&queue.operands);
            if spare.len() < OPERANDS_MAX {
                spare.push(std::mem::take(&mut self.operands));
            }
            drop(spare);
            queue.recycle(blocks);
        }
    }
}
