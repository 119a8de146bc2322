//! Recordings that are run by whoever submits them.
//!
//! A hand-over costs more than many recordings take. A thread that submits and then waits would run such a recording in
//! its wait; this file lets it do so at once, without process and seat.
//!
//! 1. Only on threads that lend themselves ([`Executor::lending`]) or work for the executor: others may not be kept.
//! 2. Only recordings that have shown to be quick. What a recording takes is measured when it runs as a process: the first
//!    times, and now and then after that.
//! 3. A device that is being profiled does the same, and watches.
//! 4. What the submission brings is alive until the call returns, so nothing is retained.
//!
//! [`Executor::lending`]: weft_task::Executor::lending

#![allow(unsafe_code, reason = "promises to `block/` that operands and scratch are those of the recording")]

use std::cell::Cell;
use std::time::Duration;

use weft_hal::BindingEntry;
use weft_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use weft_sync::{Result, WhileDoing};
use weft_task::float_mode::FlushedDenormals;

use super::{Queue, Record, TicketRef};
use crate::block::{Blocks, Nobody, Operands, Scratch, Watcher, run_alone};
use crate::stop::{Cancelled, Flag, Stop};

/// A recording that takes no longer is quick.
const QUICK: Duration = Duration::from_micros(15);

/// A recording that takes no longer on one thread is run by one, however wide it is: a second would come too late.
const SHORT: Duration = Duration::from_micros(25);

/// Runs between two measurements of a recording that was quick.
const MEASURED_EVERY: u32 = 64;

/// How a recording ran lately.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Runs that may still be done at once before it is measured again; 0: measure.
    credit: AtomicU32,
    is_short: AtomicBool,
}

impl Pace {
    /// Uses up a run, if there is one.
    #[inline]
    fn take_run(&self) -> bool {
        // Relaxed, in two steps: a lost count only moves a measurement.
        let credit = self.credit.load(Ordering::Relaxed);
        if credit > 0 {
            self.credit.store(credit - 1, Ordering::Relaxed);
        }
        credit > 0
    }

    /// One thread is enough for it.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// A run on one thread took so long.
    pub(super) fn note(&self, took: Duration) {
        self.is_short.store(took <= SHORT, Ordering::Relaxed);
        self.credit.store(if took <= QUICK { MEASURED_EVERY } else { 0 }, Ordering::Relaxed);
    }
}

thread_local! {
    /// Room for operands, between two recordings of this thread.
    static ROOM: Cell<Option<Operands>> = const { Cell::new(None) };
}

impl Queue {
    /// Runs a recording here and now, if that is allowed. `None`: it has to be started.
    #[inline]
    pub(super) fn run_at_once(
        &self,
        blocks: &Blocks,
        table: &[BindingEntry<'_>],
        ticket: &mut TicketRef<'_>,
    ) -> Option<Result<()>> {
        if !((blocks.is_narrow || blocks.pace.is_short())
            && self.executor.is_offered_this_thread()
            && blocks.pace.take_run())
        {
            return None;
        }
        let mut operands = ROOM.take().unwrap_or_else(|| self.spare_operands());
        let stop = Flag(&self.closing);
        let outcome = match (&mut ticket.record, ticket.cancel) {
            (None, None) => self.run_here(blocks, table, &mut operands, stop, &mut Nobody),
            (None, Some(token)) => {
                self.run_here(blocks, table, &mut operands, Cancelled(token, stop), &mut Nobody)
            }
            (Some(record), None) => self.run_watched(blocks, table, &mut operands, stop, record),
            (Some(record), Some(token)) => {
                self.run_watched(blocks, table, &mut operands, Cancelled(token, stop), record)
            }
        };
        operands.release();
        ROOM.set(Some(operands));
        Some(outcome.while_doing(|| "executing a command buffer"))
    }

    #[cold]
    fn run_watched(
        &self,
        blocks: &Blocks,
        table: &[BindingEntry<'_>],
        operands: &mut Operands,
        stop: impl Stop,
        record: &mut Record,
    ) -> Result<()> {
        let worker = self.worker();
        record.begin(worker);
        let Some(watch) = self.watch(record, 1, blocks) else {
            return self.run_here(blocks, table, operands, stop, &mut Nobody);
        };
        let outcome = self.run_here(blocks, table, operands, stop, &mut watch.witness(0, worker));
        if let Some(done) = watch.report(&self.profiler, blocks, operands) {
            record.set_done(done);
        }
        outcome
    }

    #[inline]
    fn run_here<W: Watcher, S: Stop>(
        &self,
        blocks: &Blocks,
        table: &[BindingEntry<'_>],
        operands: &mut Operands,
        stop: S,
        watcher: &mut W,
    ) -> Result<()> {
        operands.look_up(blocks, table)?;
        let scratch = self.scratch(blocks, 1)?;
        let base = scratch.as_ref().map_or(std::ptr::null_mut(), |block| block.base().as_ptr().cast());
        let _float_mode = FlushedDenormals::enter();
        // SAFETY: the operands were just looked up for this recording, and the scratch has its size; both are ours.
        let went_on = unsafe { run_alone(blocks, operands, Scratch(base), 0, stop, watcher)? };
        if went_on { Ok(()) } else { Err(self.stopped()) }
    }
}
