//! What a drain is told about the worker that calls it, and what it may ask of it.

use std::cell::Cell;
use std::sync::Arc;

use crate::local_memory::Scratch;
use crate::process::Process;
use crate::worker::Pump;

/// The worker that drains, as the drain sees it. Stays on its thread.
pub struct WorkerContext<'a> {
    pub(crate) pump: &'a Pump<'a>,
    pub(crate) process: &'a Arc<Process>,
    /// Whether this drain has the local memory.
    pub(crate) has_memory: Cell<bool>,
}

impl WorkerContext<'_> {
    /// The index of the worker among all executors: unique, from the executor's base index on. Guests come after the
    /// workers.
    #[inline]
    pub fn index(&self) -> usize {
        self.pump.shared.settings.worker_base_index + self.pump.seat
    }

    /// The index of the worker in its executor.
    #[inline]
    pub fn local_index(&self) -> usize {
        self.pump.seat
    }

    /// The processor on which the thread last woke up.
    #[inline]
    pub fn processor(&self) -> u32 {
        self.pump.processor.get()
    }

    /// Scratch memory of this worker. Panics while the result of an earlier call in this drain is alive.
    pub fn local_memory(&self) -> Scratch<'_> {
        let length = || self.pump.shared.local_memory_bytes(self.pump.seat);
        Scratch::take(&self.pump.memory, &self.has_memory, length)
    }

    /// The process that is being drained.
    #[inline]
    pub fn process(&self) -> &Arc<Process> {
        self.process
    }

    /// Schedules a process and wakes as many workers as its budget says.
    pub fn schedule(&self, process: &Arc<Process>) {
        self.pump.schedule(process, false);
    }

    /// As [`WorkerContext::schedule`], and offers that this worker looks at it next: one worker less is woken, none for
    /// a budget of 1. Should this drain go on with other work instead, the missing wake is made up for.
    pub fn schedule_next(&self, process: &Arc<Process>) {
        self.pump.schedule(process, true);
    }

    /// Cancels a process; see [`Executor::cancel`](crate::Executor::cancel).
    pub fn cancel(&self, process: &Arc<Process>) {
        self.pump.shared.cancel(process);
    }

    /// Calls up to `count` sleepers to look at this process too; for drains that find more work than they can do alone.
    pub fn call_for(&self, count: u32) {
        if count > 0 {
            // Published first: a worker that is about to sleep finds it in its last look.
            self.process.activity().raise();
            self.pump.wake(count);
        }
    }

    /// Changes the wake budget of this process; if it grows, there is work for more workers, and the difference is woken.
    pub fn set_wake_budget(&self, budget: u32) {
        let before = self.process.set_wake_budget(budget);
        if budget > before {
            // Published first: a worker that is about to sleep finds it in its last look.
            self.process.activity().raise();
            self.pump.wake(budget - before);
        }
    }
}
