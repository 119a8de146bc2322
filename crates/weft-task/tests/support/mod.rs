//! A process whose life is watched, for the tests.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::{Deadline, Result};
use weft_task::{Counters, Drained, Executor, ExecutorOptions, Process, ProcessOptions, Work, WorkerContext};

/// Long enough for any machine; a test that takes this long hangs.
pub const PATIENCE: Duration = Duration::from_secs(if cfg!(tsan) { 180 } else { 30 });

/// Divides counts where everything is slow: under the sanitizers.
pub const SLOWNESS: u32 = if cfg!(tsan) { 10 } else { 1 };

/// Says nothing of panics that are on purpose: what carries no text, or says so. With a trace of the stack each takes
/// seconds under the sanitizers.
pub fn hush_panics_on_purpose() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match info.payload_as_str() {
            Some(text) if !text.contains("on purpose") => before(info),
            _ => {}
        }));
    });
}

/// What was seen of a process.
///
/// An assertion in a callback would be contained by the executor, and nobody would hear of it: what should not happen is
/// noted, and [`Watch::check`], which most others call, asserts on the thread of the test.
#[derive(Default)]
pub struct Watch {
    pub outcomes: Mutex<Vec<Result<()>>>,
    pub released: AtomicU32,
    /// Workers in the drain now, and the most at a time.
    pub inside: AtomicU32,
    pub inside_most: AtomicU32,
    pub drains: AtomicU32,
    pub changed: Notification,
    violations: Mutex<Vec<&'static str>>,
}

impl Watch {
    /// Waits until something holds that changes with drains, completion or release.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Watch) -> bool) {
        wait_until_changed(&self.changed, what, || condition(self));
        self.check();
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
        self.check();
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

    /// Notes what should not have happened, unless it holds.
    fn expect(&self, holds: bool, otherwise: &'static str) {
        if !holds {
            self.violations.lock().unwrap().push(otherwise);
        }
    }

    /// Fails if something happened that should not have.
    pub fn check(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// Stops an executor, so that nothing comes late, and checks that each process ended once: completed, then released.
pub fn end_once_each<'a>(executor: Executor, watches: impl IntoIterator<Item = &'a Arc<Watch>>) {
    drop(executor);
    for watch in watches {
        let _ = watch.outcome();
        assert_eq!(watch.released.load(Ordering::Acquire), 1, "released once");
        assert_eq!(watch.inside.load(Ordering::Acquire), 0);
    }
}

struct Watched<F> {
    watch: Arc<Watch>,
    drain: F,
}

/// A drain that runs; ends also by a panic.
struct Inside<'a>(&'a Watch);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.expect(!std::thread::panicking(), "a drain panicked");
        self.0.expect(!self.0.is_released(), "released while somebody is inside");
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
        self.0.drains.fetch_add(1, Ordering::AcqRel);
        self.0.changed.signal(WAKE_ALL);
    }
}

impl<F: Fn(&WorkerContext<'_>) -> Drained + Send + Sync + 'static> Work for Watched<F> {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        let inside = self.watch.inside.fetch_add(1, Ordering::AcqRel) + 1;
        self.watch.inside_most.fetch_max(inside, Ordering::AcqRel);
        let _inside = Inside(&self.watch);
        self.watch.expect(!self.watch.is_released(), "drained after its release");
        (self.drain)(worker)
    }

    fn completed(&self, outcome: Result<()>) {
        let before = {
            let mut outcomes = self.watch.outcomes.lock().unwrap();
            outcomes.push(outcome);
            outcomes.len() - 1
        };
        self.watch.expect(before == 0, "completed twice");
        self.watch.expect(!self.watch.is_released(), "released before it was completed");
        self.watch.changed.signal(WAKE_ALL);
    }

    fn released(&self) {
        let inside = self.watch.inside.load(Ordering::Acquire);
        self.watch.expect(inside == 0, "released while somebody is inside");
        let completed = self.watch.outcomes.lock().unwrap().len();
        self.watch.expect(completed == 1, "released before it was completed, or completed twice");
        let before = self.watch.released.fetch_add(1, Ordering::AcqRel);
        self.watch.expect(before == 0, "released twice");
        self.watch.changed.signal(WAKE_ALL);
    }
}

/// The work of [`watched`], for those who call it themselves.
pub fn watched_work(
    drain: impl Fn(&WorkerContext<'_>) -> Drained + Send + Sync + 'static,
) -> (impl Work, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    (Watched { watch: Arc::clone(&watch), drain }, watch)
}

/// A process and what is seen of it.
pub fn watched(
    options: ProcessOptions,
    drain: impl Fn(&WorkerContext<'_>) -> Drained + Send + Sync + 'static,
) -> (Arc<Process>, Arc<Watch>) {
    let (work, watch) = watched_work(drain);
    (Process::new(work, options), watch)
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

/// Lets drains end that wait for it, also when the test fails: an executor waits for its workers.
pub struct OpensWhenDropped(pub Arc<AtomicBool>);

impl Drop for OpensWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
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

/// What the seats have done; what the system did to their threads does not count.
pub fn deeds(executor: &Executor) -> Counters {
    let mut counters = executor.counters();
    counters.steals = 0;
    counters
}

/// Waits until every worker sleeps.
pub fn wait_asleep(executor: &Executor) {
    poll_until("asleep", || {
        let report = executor.report();
        report.seats.iter().take(executor.worker_count()).all(|seat| seat.is_idle)
    });
}
