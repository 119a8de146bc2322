//! Staying near a compute process that has nothing to do for the moment, and claims that keep it in its slot.
//!
//! Between two regions of a program lie microseconds, and a sleep costs more. A worker whose drain answered
//! [`KeepWarm`] may stay near, holding a claim, until the retention epoch of the process moves.
//!
//! 1. A claim is taken before the slot is left; a slot whose process has claims is not given up.
//! 2. At most as many claims as the drain allows and the wake budget says.
//! 3. All who stay share one window, opened by the first: later ones get no fresh one. When it closes they go idle like
//!    anybody else, and the next schedule wakes them. They do not sleep near the process: a sleep here would need a
//!    wake-up of its own to notice the end of the executor, and an idle executor has none.
//! 4. Whoever comes back raises `NEEDS` *before* it drops its claim, so the last claim cannot be dropped into a release.
//! 5. **The last one out decides**, here too. Who drops the last claim enters the slot once more to be the last one out of
//!    it. If it finds the gate closed, the closer has yet to reopen it and looks at the claims after that: both
//!    read-modify-write the gate, so one of them sees what the other did.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering, spin_loop};

use crate::drained::KeepWarm;
use crate::process::Process;
use crate::slot::{Closed, Entry, Slot};
use crate::tuning::WARM_SPIN_NS;
use crate::worker::Pump;

/// The claims on one process.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// Moves when those who stay near have to look again.
    pub(crate) epoch: AtomicU32,
    retainers: AtomicU32,
    /// Until when they stay, on the clock of the executor.
    until_ns: AtomicU64,
}

impl Process {
    /// Whether somebody stays near or comes back, so that the slot may not be given up.
    #[inline]
    pub(crate) fn has_retainers(&self) -> bool {
        // Acquire pairs with the Release in `drop_claim`.
        self.retention().retainers.load(Ordering::Acquire) > 0
    }

    /// Takes a claim, if there is one to be had (rule 2).
    pub(crate) fn try_retain(&self, warm: KeepWarm) -> bool {
        let limit = warm.retainers_max.min(self.wake_budget());
        let take = |count: u32| (count < limit).then_some(count + 1);
        // Relaxed: a claim is taken while counted in at the gate, and leaving it publishes the claim.
        self.retention().retainers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Takes a claim without asking, for a worker that was told to come back. Only while counted in at the gate.
    pub(crate) fn take_claim(&self) {
        self.retention().retainers.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a claim back. `true` if it was the last one.
    pub(crate) fn drop_claim(&self) -> bool {
        // Release: what this worker did is seen by whoever gives the slot up.
        self.retention().retainers.fetch_sub(1, Ordering::Release) == 1
    }
}

impl Pump<'_> {
    /// Leaves the slot with a claim, and waits. `true` if there is more to do.
    pub(crate) fn stay_near(&self, slot: &Slot, entry: Entry<'_>, warm: KeepWarm) -> bool {
        // The claim keeps the process in its slot, but only this reference lets it be looked at from outside.
        let process = Arc::clone(entry.process());
        self.counters.warm_stays.add(1);
        // Never the closer: the claim forbids it.
        let _ = entry.leave();
        if self.wait_for_epoch(&process, warm.epoch) {
            self.counters.warm_hits.add(1);
            process.activity().raise();
            process.drop_claim();
            return true;
        }
        if process.drop_claim()
            && let Some(entry) = slot.come_back()
        {
            return entry.leave().is_some_and(|last| self.try_release(slot, last));
        }
        false
    }

    /// `true` if the epoch moved within the window.
    fn wait_for_epoch(&self, process: &Process, epoch: u32) -> bool {
        let retention = process.retention();
        let rings = self.shared.sleepers.rings(self.seat);
        let now = self.shared.clock_ns();
        // Whoever finds the window closed opens the next one, if it is the only one near.
        let until = retention.until_ns.load(Ordering::Relaxed);
        let alone = retention.retainers.load(Ordering::Relaxed) == 1;
        let until = if until > now || !alone { until } else { now + WARM_SPIN_NS };
        retention.until_ns.fetch_max(until, Ordering::Relaxed);
        loop {
            // Acquire pairs with the Release in `advance_retention`.
            if retention.epoch.load(Ordering::Acquire) != epoch {
                return true;
            }
            let called_away = self.shared.is_exiting()
                || process.is_terminal()
                || self.shared.sleepers.rings(self.seat) != rings
                || !self.shared.ready.immediate.is_empty();
            if called_away || self.shared.clock_ns() >= until {
                return false;
            }
            spin_loop();
        }
    }

    /// For a closer who found claims: reopens, and takes the last step itself if the last claim was dropped meanwhile
    /// (rule 5). `true` if somebody has to look again.
    pub(crate) fn leave_to_retainers(&self, slot: &Slot, closed: Closed<'_>) -> bool {
        let process = Arc::clone(closed.process());
        closed.reopen();
        if process.has_retainers() {
            if !process.activity().is_needed() {
                return false;
            }
            // As where there are none: those who were woken for what was published may have found the gate closed.
            self.wake(process.wake_budget() - 1);
            return true;
        }
        let last = slot.come_back().and_then(Entry::leave);
        last.is_some_and(|last| self.try_release(slot, last))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    //! The window is of microseconds; here it is held open, so that it is known who is near and for how long.

    use super::*;
    use crate::{Drained, Executor, ExecutorOptions, ProcessOptions, Work, WorkerContext};
    use std::time::{Duration, Instant};

    /// Long enough for any machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Wants to stay near, always.
    struct Near {
        retainers_max: u32,
        looks: Arc<AtomicU32>,
    }

    impl Work for Near {
        fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
            let epoch = worker.process().retention_epoch();
            self.looks.fetch_add(1, Ordering::Relaxed);
            Drained::KeepWarm(KeepWarm { epoch, retainers_max: self.retainers_max })
        }
    }

    /// A process to which workers stay near until the epoch moves, and the number of its drains.
    fn near(wake_budget: u32, retainers_max: u32) -> (Arc<Process>, Arc<AtomicU32>) {
        let looks = Arc::new(AtomicU32::new(0));
        let work = Near { retainers_max, looks: Arc::clone(&looks) };
        let options = ProcessOptions { wake_budget, compute_slot: true, ..ProcessOptions::default() };
        let process = Process::new(work, options);
        process.retention().until_ns.store(u64::MAX, Ordering::Relaxed);
        (process, looks)
    }

    fn executor(workers: usize) -> Executor {
        Executor::new(&ExecutorOptions { workers, local_memory_bytes: 64, ..ExecutorOptions::default() })
            .unwrap()
    }

    fn retainers(process: &Process) -> u32 {
        process.retention().retainers.load(Ordering::Relaxed)
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// So many are near, and everybody else sleeps.
    fn wait_near(executor: &Executor, process: &Process, count: u32) {
        let sleepers = || executor.report().seats.iter().filter(|seat| seat.is_idle).count() as u32;
        let others = executor.worker_count() as u32 - count;
        wait_until(&format!("{count} near"), || retainers(process) == count && sleepers() == others);
    }

    /// [task 20]
    #[test]
    fn claims_are_as_many_as_limit_and_budget_allow() {
        for (budget, limit) in [(4, 2), (2, 4), (3, 3), (1, 8), (4, 0)] {
            let (process, _) = near(budget, limit);
            let warm = KeepWarm { epoch: 0, retainers_max: limit };
            let least = budget.min(limit);
            assert!((0..least).all(|_| process.try_retain(warm)));
            assert!(!process.try_retain(warm), "one too many of {least}");
            if least > 0 {
                process.drop_claim();
                assert!(process.try_retain(warm), "one was released, so one is admitted");
                assert!(!process.try_retain(warm));
            }
            let executor = executor(4);
            let (process, _) = near(budget, limit);
            executor.schedule(&process);
            wait_near(&executor, &process, least);
        }
    }

    /// From many threads, with the budget changing. [task 20]
    #[test]
    fn claims_at_once_are_never_too_many() {
        let (process, _) = near(4, 3);
        let (near, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..if cfg!(tsan) { 500 } else { 5_000 } {
                        if process.try_retain(KeepWarm { epoch: 0, retainers_max: 3 }) {
                            most.fetch_max(near.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                            near.fetch_sub(1, Ordering::Relaxed);
                            process.drop_claim();
                        }
                        process.set_wake_budget(1 + round % 4);
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(retainers(&process), 0);
    }

    /// [task 51]
    #[test]
    fn a_lowered_budget_admits_fewer_again() {
        let executor = executor(4);
        let (process, _) = near(4, 3);
        executor.schedule(&process);
        wait_near(&executor, &process, 3);
        // Nobody is sent away by it; but of those who come back one is admitted.
        process.set_wake_budget(1);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(retainers(&process), 3);
        process.advance_retention();
        wait_near(&executor, &process, 1);
        process.set_wake_budget(2);
        executor.schedule(&process);
        wait_near(&executor, &process, 2);
    }

    /// [task 45]
    #[test]
    fn who_is_near_comes_back_when_the_epoch_moves_and_not_before() {
        let executor = executor(1);
        let (process, looks) = near(1, 1);
        executor.schedule(&process);
        for round in 1..=20 {
            wait_until("near", || looks.load(Ordering::Relaxed) == round && retainers(&process) == 1);
            std::thread::sleep(Duration::from_millis(1));
            assert_eq!(looks.load(Ordering::Relaxed), round);
            process.advance_retention();
        }
        wait_until("back", || executor.counters().warm_hits == 20);
    }

    /// Both workers are inside their window, which would never close. [task 87]
    #[test]
    fn an_executor_stops_while_its_workers_stay_near() {
        for _ in 0..20 {
            let executor = executor(2);
            let (process, _) = near(2, 2);
            executor.schedule(&process);
            wait_near(&executor, &process, 2);
            let start = Instant::now();
            drop(executor);
            assert!(start.elapsed() < PATIENCE / 3, "{:?}", start.elapsed());
            assert_eq!(retainers(&process), 0);
        }
    }
}
