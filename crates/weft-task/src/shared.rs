//! What the threads of one executor share, and scheduling.
//!
//! What lives here: [`Shared`]. What does not: what a worker does with it (`worker.rs`), starting and stopping
//! (`executor.rs`). Each part that somebody writes lies on lines of its own.

use std::sync::Arc;

use weft_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use weft_sync::{Instant, Status};

use crate::activity::Schedule;
use crate::cache_line::CacheLine;
use crate::counters::{Counters, SeatCounters};
use crate::local_memory::LocalMemory;
use crate::observe::{Observer, Span};
use crate::outcome::State;
use crate::panics::contain;
use crate::pin::Placement;
use crate::process::{Cancel, Process};
use crate::ready::Ready;
use crate::sleepers::Sleepers;
use crate::spin::SpinLimits;
use crate::steals::WorkerThreads;
use crate::whereabouts::Whereabouts;

/// What was settled when the executor was made.
pub(crate) struct Settings {
    pub(crate) workers: usize,
    pub(crate) guests: usize,
    pub(crate) worker_base_index: usize,
    /// Scratch of each worker; guests have that of the first one.
    pub(crate) local_memory_bytes: Box<[usize]>,
    /// Where each worker runs.
    pub(crate) placements: Box<[Placement]>,
    pub(crate) spin: SpinLimits,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// The shared side of an executor.
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) settings: Settings,
    pub(crate) ready: Ready,
    pub(crate) sleepers: Sleepers,
    pub(crate) counters: Box<[CacheLine<SeatCounters>]>,
    /// What each seat is with.
    pub(crate) whereabouts: Box<[CacheLine<Whereabouts>]>,
    pub(crate) worker_threads: WorkerThreads,
    /// Wakes by threads that have no seat.
    outside_wakes: CacheLine<AtomicU64>,
    exiting: CacheLine<AtomicBool>,
    /// Workers that have not left yet.
    workers_left: AtomicUsize,
    /// Workers that could not go where they should.
    pub(crate) refused_placements: AtomicU64,
    /// Guest seats that are taken.
    pub(crate) guests_taken: CacheLine<AtomicU64>,
    /// Scratch of guest seats, kept from one guest to the next.
    pub(crate) guest_memory: Box<[Mutex<Option<LocalMemory>>]>,
    start: Instant,
}

/// What came of scheduling.
pub(crate) struct Scheduled {
    /// How many sleepers were woken here.
    pub(crate) wakes: u32,
    /// Whether the caller's offer to look at it itself was made use of.
    pub(crate) left_to_caller: bool,
}

/// Tells executors apart; never 0, which stands for none.
fn next_id() -> u64 {
    // Not of the model: a plain number that orders nothing, in a static, which the model's atomics cannot be.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Shared {
        let seats = settings.workers + settings.guests;
        Shared {
            id: next_id(),
            ready: Ready::new(),
            sleepers: Sleepers::new(settings.workers, settings.guests),
            counters: (0..seats).map(|_| CacheLine(SeatCounters::new())).collect(),
            whereabouts: (0..seats).map(|_| CacheLine::default()).collect(),
            worker_threads: WorkerThreads::new(settings.workers),
            outside_wakes: CacheLine(AtomicU64::new(0)),
            exiting: CacheLine(AtomicBool::new(false)),
            workers_left: AtomicUsize::new(settings.workers),
            refused_placements: AtomicU64::new(0),
            guests_taken: CacheLine(AtomicU64::new(0)),
            guest_memory: (0..settings.guests).map(|_| Mutex::new(None)).collect(),
            settings,
            start: Instant::now(),
        }
    }

    /// Scratch of a seat.
    pub(crate) fn local_memory_bytes(&self, seat: usize) -> usize {
        self.settings.local_memory_bytes.get(seat).copied().unwrap_or(self.settings.local_memory_bytes[0])
    }

    /// A worker has looked for the last time. The last of them drops what was never drained: what is queued may hold a
    /// bell, which would hold this for ever.
    pub(crate) fn end_worker(&self, worker: usize) {
        self.worker_threads.leave(worker);
        // AcqRel: the last one has seen what the others did.
        if self.workers_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ready.clear();
        }
    }

    /// Nanoseconds since the executor was made.
    pub(crate) fn clock_ns(&self) -> u64 {
        Instant::now().since(self.start).as_nanos() as u64
    }

    /// Makes a process known to the workers and wakes as many as its budget says. `offer`: the caller is about to look
    /// for work itself, and counts as one of them.
    pub(crate) fn schedule(&self, process: &Arc<Process>, offer: bool) -> Scheduled {
        process.bind(self.id);
        let state = process.state();
        if state == State::Suspended {
            return Scheduled { wakes: 0, left_to_caller: false };
        }
        // What is over needs one to end it, and no more.
        let budget = if state == State::Runnable { process.wake_budget() } else { 1 };
        let scheduled = process.activity().schedule();
        let wanted = match (scheduled, process.is_compute()) {
            (Schedule::Retired, _) | (Schedule::Seen, false) => 0,
            (Schedule::Enqueue, false) => {
                self.ready.immediate.push(Arc::clone(process));
                1
            }
            (Schedule::Enqueue, true) => {
                let promoted = self.ready.place(Arc::clone(process));
                budget.saturating_add(promoted)
            }
            (Schedule::Seen, true) => {
                if process.has_retainers() {
                    process.advance_retention();
                }
                budget
            }
        };
        let left_to_caller = offer && wanted > 0;
        let wakes = match (wanted, left_to_caller) {
            (0, _) | (1, true) => 0,
            // The list is not empty, or `NEEDS` is up, until somebody has taken it up.
            (1, false) => self.sleepers.wake_one(),
            (wanted, _) => self.sleepers.wake(wanted - u32::from(left_to_caller)),
        };
        Scheduled { wakes, left_to_caller }
    }

    /// As [`Shared::schedule`], for threads without a seat. Returns whether something was left to the caller.
    pub(crate) fn schedule_from_outside(&self, process: &Arc<Process>, offer: bool) -> bool {
        let Scheduled { wakes, left_to_caller } = self.schedule(process, offer);
        if wakes > 0 {
            self.outside_wakes.fetch_add(u64::from(wakes), Ordering::Relaxed);
        }
        left_to_caller
    }

    /// Wakes sleepers, for threads without a seat.
    pub(crate) fn wake_from_outside(&self, count: u32) {
        let wakes = self.sleepers.wake(count);
        self.outside_wakes.fetch_add(u64::from(wakes), Ordering::Relaxed);
    }

    /// Cancels and sees to it that somebody ends the process.
    pub(crate) fn cancel(&self, process: &Arc<Process>) {
        match process.cancel(|dependent| self.activate(dependent)) {
            Cancel::Schedule => _ = self.schedule_from_outside(process, false),
            Cancel::Resolved | Cancel::TooLate => {}
        }
    }

    /// Fails a process and sees to it that somebody ends it.
    pub(crate) fn fail(&self, process: &Arc<Process>, failure: Status) {
        if !process.fail(failure, |dependent| self.activate(dependent)) {
            self.schedule_from_outside(process, false);
        }
    }

    /// Schedules what waited for a process that ends here. One that belongs elsewhere is left to its owner, which is not
    /// the fault of whoever is ending that process.
    fn activate(&self, dependent: &Arc<Process>) {
        contain(|| _ = self.schedule_from_outside(dependent, false));
    }

    #[inline]
    pub(crate) fn is_exiting(&self) -> bool {
        // Relaxed: the bell that is rung after it was set orders it for sleepers; others see it soon.
        self.exiting.load(Ordering::Relaxed)
    }

    /// Asks every worker to leave: all of them before anybody waits for one.
    pub(crate) fn request_exit(&self) {
        self.exiting.store(true, Ordering::Release);
        self.sleepers.post_all();
    }

    /// The counts of all seats, and of those who have none.
    pub(crate) fn count(&self) -> Counters {
        let mut sum = Counters::default();
        for seat in 0..self.counters.len() {
            sum.add(&self.count_of(seat));
        }
        sum.wakes += self.outside_wakes.load(Ordering::Relaxed);
        sum
    }

    /// The counts of one seat.
    pub(crate) fn count_of(&self, seat: usize) -> Counters {
        self.counters[seat].snapshot(self.worker_threads.steals(seat))
    }

    #[inline]
    pub(crate) fn span<R>(&self, seat: usize, span: Span, body: impl FnOnce() -> R) -> R {
        match &self.settings.observer {
            None => body(),
            Some(observer) => {
                contain(|| observer.begin(seat, span));
                let result = body();
                contain(|| observer.end(seat, span));
                result
            }
        }
    }
}
