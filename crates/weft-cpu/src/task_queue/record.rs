//! What is kept of an operation while its device is profiled.
//!
//! 1. An operation has a [`Record`] if the device was being profiled when it was submitted: one load then, and without a
//!    session nothing else. It goes with the ticket, and is told before the signals fire.
//! 2. Work that never began, because a wait failed or the device went away, has no execution.
//! 3. Threads are told apart by their seats. A thread of the program that does something itself has none, and stands for
//!    the calling thread.
//!
//! What does not live here: what recordings do (`block/report.rs`), who gets the records (`weft-hal/src/profile`).

use std::collections::HashMap;
use std::sync::Arc;

use weft_hal::pool::Pool;
use weft_hal::profile::{CALLING_THREAD, ExecutionEvent, MemoryAction, MemoryEvent, QueueEvent, now_ns};
use weft_hal::{AllocatorBackend, Buffer};
use weft_sync::Code;
use weft_sync::atomic::{Mutex, lock};

use super::Queue;
use crate::block::{Blocks, Done, Watch};

/// An operation that is being profiled.
pub(crate) struct Record {
    event: QueueEvent,
    /// The recording that it runs; 0 for none.
    command_buffer: u64,
    /// The event says when its waits were over.
    is_ready: bool,
    /// Its submission was told; only the execution is left.
    is_told: bool,
    /// When the work began and who did it. None: it did not begin.
    done: Option<Done>,
}

impl Record {
    /// Of an operation that was submitted.
    #[cold]
    pub(crate) fn new(event: QueueEvent) -> Box<Record> {
        Box::new(Record { event, command_buffer: 0, is_ready: false, is_told: false, done: None })
    }

    /// The submission runs a recording of the program's.
    pub(crate) fn executes(&mut self, command_buffer: u64) {
        self.command_buffer = command_buffer;
    }

    /// Its waits are over, or one failed. What it waits for after that is not semaphores.
    pub(super) fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.event.ready_ns = now_ns();
        }
    }

    /// Its work begins, on this worker.
    pub(super) fn begin(&mut self, worker: u32) {
        self.done = Some(Done { began_ns: now_ns(), ended_ns: None, worker: Some(worker) });
    }

    /// Its work begins, on no worker of the device.
    pub(super) fn begin_elsewhere(&mut self) {
        self.done = Some(Done { began_ns: now_ns(), ended_ns: None, worker: None });
    }

    /// Its work was done so.
    pub(super) fn set_done(&mut self, done: Done) {
        self.done = Some(done);
    }

    /// An execution of its own for work that others do not tell of.
    fn execution(&self, failure: Option<Code>, end_ns: u64) -> Option<ExecutionEvent> {
        let Done { began_ns, ended_ns, worker } = self.done?;
        let end_ns = ended_ns.unwrap_or(end_ns);
        let execution = self.event.execution()?;
        let command_buffer = self.command_buffer;
        Some(ExecutionEvent { start_ns: began_ns, end_ns, worker, failure, command_buffer, ..execution })
    }
}

/// Where queue-allocated memory came from, by buffer; for all queues of a device. Nothing is kept without a session.
#[derive(Debug, Default)]
pub(crate) struct PoolsOfBuffers(Mutex<HashMap<u64, Origin>>);

/// The memory of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pool: u64,
    reserved_bytes: u64,
}

impl Origin {
    pub(super) fn pool(pool: &Arc<Pool>, reserved_bytes: u64) -> Origin {
        Origin { pool: Arc::as_ptr(pool).addr() as u64, reserved_bytes }
    }
}

impl Queue {
    /// The calling thread as a worker (rule 3).
    pub(super) fn worker(&self) -> u32 {
        let seat = self.executor.seat_of_this_thread();
        seat.and_then(|seat| u32::try_from(seat).ok()).unwrap_or(CALLING_THREAD)
    }

    /// For a recording that is about to run on at most so many threads, if somebody wants to know what it does.
    pub(super) fn watch(&self, record: &Record, seats: u32, blocks: &Blocks) -> Option<Box<Watch>> {
        let QueueEvent { submission, queue, .. } = record.event;
        Watch::is_wanted(&self.profiler)
            .then(|| Box::new(Watch::new(submission, queue, seats, blocks.regions.len())))
    }

    /// An operation is over: tells of it. Before its signals fire.
    #[inline]
    pub(super) fn tell(&self, record: Option<Box<Record>>, failure: Option<Code>) {
        if let Some(record) = record {
            self.tell_all(*record, failure);
        }
    }

    #[cold]
    fn tell_all(&self, mut record: Record, failure: Option<Code>) {
        let end_ns = now_ns();
        if let Some(execution) = record.execution(failure, end_ns) {
            self.profiler.record_execution(execution, None);
        }
        if !record.is_told {
            record.event.end_ns = end_ns;
            record.event.failure = failure;
            self.profiler.record_queue_event(record.event);
        }
    }

    /// The signals fire before the work is done: tells of the submission now, and of the work in [`Queue::tell`].
    #[cold]
    pub(super) fn tell_early(&self, record: &mut Record) {
        record.is_told = true;
        record.event.end_ns = now_ns();
        self.profiler.record_queue_event(record.event.clone());
    }

    /// A buffer was given memory of the device's own.
    #[cold]
    pub(crate) fn tell_allocated(&self, record: &Record, buffer: &Buffer) {
        // Another buffer may have been there before, and was never deallocated.
        lock(&self.origins.0).remove(&number_of(buffer));
        let actions = [MemoryAction::Reserve, MemoryAction::Materialize, MemoryAction::Alloca];
        self.tell_memory(record, buffer, &actions, (self.origin_in_device(buffer), 0));
    }

    /// A pool set memory aside; it may be used once as many axes as `frontier_count` are far enough.
    #[cold]
    pub(super) fn tell_reserved(
        &self,
        record: &Record,
        buffer: &Buffer,
        origin: Origin,
        frontier_count: usize,
    ) {
        lock(&self.origins.0).insert(number_of(buffer), origin);
        self.tell_memory(record, buffer, &[MemoryAction::Reserve], (origin, frontier_count as u32));
    }

    /// A buffer was given the memory that was set aside for it.
    #[cold]
    pub(super) fn tell_committed(&self, record: &Record, buffer: &Buffer) {
        let known = lock(&self.origins.0).get(&number_of(buffer)).copied();
        let origin = known.unwrap_or_else(|| self.origin_in_device(buffer));
        self.tell_memory(record, buffer, &[MemoryAction::Materialize, MemoryAction::Alloca], (origin, 0));
    }

    /// The memory of a buffer was taken away, to be used again after one epoch of this queue.
    #[cold]
    pub(super) fn tell_deallocated(&self, record: &Record, buffer: &Buffer) {
        let known = lock(&self.origins.0).remove(&number_of(buffer));
        let origin = known.unwrap_or_else(|| self.origin_in_device(buffer));
        self.tell_memory(record, buffer, &[MemoryAction::Dealloca, MemoryAction::Release], (origin, 1));
    }

    fn origin_in_device(&self, buffer: &Buffer) -> Origin {
        Origin { pool: 0, reserved_bytes: self.memory.reserved_bytes(buffer.byte_length()) }
    }

    fn tell_memory(
        &self,
        record: &Record,
        buffer: &Buffer,
        actions: &[MemoryAction],
        (origin, frontier_count): (Origin, u32),
    ) {
        let statistics = self.memory.statistics();
        for &action in actions {
            self.profiler.record_memory(MemoryEvent {
                action,
                submission: record.event.submission,
                queue: record.event.queue,
                pool: origin.pool,
                allocation: number_of(buffer),
                length: buffer.byte_length(),
                reserved_length: origin.reserved_bytes,
                frontier_count,
                live_bytes: statistics.device.live().saturating_add(statistics.host.live()),
                time_ns: now_ns(),
            });
        }
    }
}

/// Tells buffers that exist at the same time apart.
fn number_of(buffer: &Buffer) -> u64 {
    std::ptr::from_ref(buffer).addr() as u64
}
