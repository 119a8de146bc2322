//! A process whose life is watched, for the tests.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::{Deadline, Result};
use weft_task::{Drained, Executor, ExecutorOptions, Process, ProcessOptions, Work, WorkerContext};

/// Long enough for any machine; a test that takes this long hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Divides counts where everything is slow: under the sanitizers.
pub const SLOWNESS: u32 = if cfg!(tsan) { 10 } else { 1 };

/// What was seen of a process.
#[derive(Default)]
pub struct Watch {
    pub outcomes: Mutex<Vec<Result<()>>>,
    pub released: AtomicU32,
    /// Workers in the drain now, and the most at a time.
    pub inside: AtomicU32,
    pub inside_most: AtomicU32,
    pub drains: AtomicU32,
    pub changed: Notification,
}

impl Watch {
    /// Waits until something holds that changes with drains, completion or release.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Watch) -> bool) {
        wait_until_changed(&self.changed, what, || condition(self));
    }

    pub fn wait_released(&self) {
        self.wait_until("released", |watch| watch.released.load(Ordering::Acquire) > 0);
    }

    pub fn wait_completed(&self) {
        self.wait_until("completed", |watch| !watch.outcomes.lock().unwrap().is_empty());
    }

    pub fn wait_drains(&self, count: u32) {
        self.wait_until("drained", |watch| watch.drains.load(Ordering::Acquire) >= count);
    }

    /// The one outcome.
    pub fn outcome(&self) -> Result<()> {
        let outcomes = self.outcomes.lock().unwrap();
        assert_eq!(outcomes.len(), 1, "completed once");
        outcomes[0].clone()
    }

    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire) > 0
    }

    pub fn drains(&self) -> u32 {
        self.drains.load(Ordering::Acquire)
    }
}

struct Watched<F> {
    watch: Arc<Watch>,
    drain: F,
}

impl<F: Fn(&WorkerContext<'_>) -> Drained + Send + Sync + 'static> Work for Watched<F> {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        let inside = self.watch.inside.fetch_add(1, Ordering::AcqRel) + 1;
        self.watch.inside_most.fetch_max(inside, Ordering::AcqRel);
        assert!(!self.watch.is_released(), "no drain after the release");
        let drained = (self.drain)(worker);
        self.watch.inside.fetch_sub(1, Ordering::AcqRel);
        self.watch.drains.fetch_add(1, Ordering::AcqRel);
        self.watch.changed.signal(WAKE_ALL);
        drained
    }

    fn completed(&self, outcome: Result<()>) {
        self.watch.outcomes.lock().unwrap().push(outcome);
        self.watch.changed.signal(WAKE_ALL);
    }

    fn released(&self) {
        assert_eq!(self.watch.inside.load(Ordering::Acquire), 0, "released while somebody is inside");
        assert_eq!(
            self.watch.outcomes.lock().unwrap().len(),
            1,
            "released before it was completed, or completed twice"
        );
        assert_eq!(self.watch.released.fetch_add(1, Ordering::AcqRel), 0, "released twice");
        self.watch.changed.signal(WAKE_ALL);
    }
}

/// A process and what is seen of it.
pub fn watched(
    options: ProcessOptions,
    drain: impl Fn(&WorkerContext<'_>) -> Drained + Send + Sync + 'static,
) -> (Arc<Process>, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    let process = Process::new(Watched { watch: Arc::clone(&watch), drain }, options);
    (process, watch)
}

pub fn immediate() -> ProcessOptions {
    ProcessOptions::default()
}

pub fn compute(budget: u32) -> ProcessOptions {
    ProcessOptions { wake_budget: budget, compute_slot: true, ..ProcessOptions::default() }
}

pub fn suspended(count: u32) -> ProcessOptions {
    ProcessOptions { suspend_count: count, ..ProcessOptions::default() }
}

pub fn executor(workers: usize) -> Executor {
    Executor::new(&ExecutorOptions { workers, ..small() }).unwrap()
}

/// Options of tests with many workers: little scratch.
pub fn small() -> ExecutorOptions {
    ExecutorOptions { local_memory_bytes: 64, stack_bytes: 64 * 1024, ..ExecutorOptions::default() }
}

pub fn wait_until_changed(changed: &Notification, what: &str, condition: impl Fn() -> bool) {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let observation = changed.observe();
        if condition() {
            return;
        }
        assert!(observation.wait(deadline) || condition(), "not {what} within {PATIENCE:?}");
    }
}

/// Waits for what nobody tells of.
pub fn poll_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits until every worker sleeps.
pub fn wait_asleep(executor: &Executor) {
    poll_until("asleep", || {
        let report = executor.report();
        report.seats.iter().take(executor.worker_count()).all(|seat| seat.is_idle)
    });
}
