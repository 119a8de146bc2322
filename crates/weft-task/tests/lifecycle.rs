//! Starting and stopping executors, at any moment.

mod support;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::{SLOWNESS, compute, executor, immediate, poll_until, small, wait_asleep, watched};
use weft_sync::Code;
use weft_task::{
    Drained, Executor, ExecutorOptions, Group, KeepWarm, Placement, Process, Spawn, Topology, WORKERS_MAX,
    Work, WorkerContext,
};

/// One runs on each of many executors, of all sizes that there are. weft's limit is 1024, see the specification.
/// [task 85]
#[test]
fn executors_of_all_sizes() {
    for workers in [1, 2, 64, 65, 256, WORKERS_MAX] {
        let workers = if cfg!(tsan) { workers.min(65) } else { workers };
        let executor = executor(workers);
        assert_eq!(executor.worker_count(), workers);
        let (process, watch) = watched(immediate(), |_| Drained::Finished);
        executor.schedule(&process);
        let done = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&done);
        let (wide, wide_watch) =
            watched(compute(workers as u32), move |_| match count.fetch_add(1, Ordering::Relaxed) {
                2_000.. => Drained::Finished,
                _ => Drained::Worked,
            });
        executor.schedule(&wide);
        watch.wait_released();
        wide_watch.wait_released();
    }
    let refused = Executor::new(&ExecutorOptions { workers: WORKERS_MAX + 1, ..small() }).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("1025"), "{refused}");
    let refused = Executor::new(&ExecutorOptions { workers: 0, ..small() }).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// A topology says how many and where; a place that cannot be had is no failure. [task 60]
#[test]
fn workers_follow_a_topology_where_they_can() {
    let mut topology = Topology::from_count(2);
    let nowhere = Placement { processor: Some(900_000), ..Placement::ANYWHERE };
    topology.push(Group { placement: nowhere, ..Group::UNPINNED }).unwrap();
    let options = ExecutorOptions { topology: Some(topology), ..small() };
    let executor = Executor::new(&options).unwrap();
    assert_eq!(executor.worker_count(), 3);
    wait_asleep(&executor);
    if cfg!(target_os = "linux") {
        assert_eq!(executor.report().refused_placements, 1);
    }
    let (process, watch) = watched(immediate(), |_| Drained::Finished);
    executor.schedule(&process);
    watch.wait_released();
    let empty = Executor::new(&ExecutorOptions { topology: Some(Topology::default()), ..small() }).unwrap();
    assert_eq!(empty.worker_count(), 1, "somebody has to do it");
    let (process, watch) = watched(immediate(), |_| Drained::Finished);
    empty.schedule(&process);
    watch.wait_released();
}

/// Refuses worker `refused`; counts threads that live.
struct Refusing {
    refused: usize,
    alive: Arc<AtomicUsize>,
}

impl Spawn for Refusing {
    fn spawn(
        &self,
        index: usize,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send>,
    ) -> io::Result<thread::JoinHandle<()>> {
        if index == self.refused {
            return Err(io::Error::other("no more threads"));
        }
        let alive = Arc::clone(&self.alive);
        alive.fetch_add(1, Ordering::AcqRel);
        builder.spawn(move || {
            body();
            alive.fetch_sub(1, Ordering::AcqRel);
        })
    }
}

/// [task 86]
#[test]
fn a_thread_that_cannot_be_started_is_told_and_leaks_nothing() {
    for refused in 0..6 {
        let alive = Arc::new(AtomicUsize::new(0));
        let spawn = Arc::new(Refusing { refused, alive: Arc::clone(&alive) });
        let failure = Executor::new(&ExecutorOptions { workers: 6, spawn, ..small() }).unwrap_err();
        assert_eq!(failure.code(), Code::ResourceExhausted);
        assert!(failure.message().contains(&format!("worker {refused}")), "{failure}");
        assert!(failure.message().contains("no more threads"), "{failure}");
        assert_eq!(alive.load(Ordering::Acquire), 0, "those that were started have left");
    }
}

/// While workers are known to be in their warm window: shown beside it. [task 87]
#[test]
fn an_executor_stops_in_every_state() {
    let start = Instant::now();
    drop(executor(4));
    let asleep = executor(4);
    wait_asleep(&asleep);
    drop(asleep);
    let warm = executor(2);
    let (process, watch) = watched(compute(2), |worker| {
        let epoch = worker.process().retention_epoch();
        Drained::KeepWarm(KeepWarm { epoch, retainers_max: 8 })
    });
    for _ in 0..100 {
        warm.schedule(&process);
    }
    watch.wait_drains(1);
    drop(warm);
    // One that never rests, in the list and in a slot.
    for options in [immediate(), compute(1)] {
        let busy = executor(2);
        let (process, watch) = watched(options, |_| Drained::Worked);
        busy.schedule(&process);
        watch.wait_drains(100);
        drop(busy);
        assert!(!watch.is_released(), "what was not brought to its end is dropped, not ended");
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Threads of this process whose name says that they are workers with a base index of 8,800 or more.
#[cfg(target_os = "linux")]
fn worker_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("weft-88"))
        })
        .count()
}

/// With work in flight. Processes are dropped with the executor that held them: each is counted. [task 88]
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_cycles_leak_nothing() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let alive = Arc::new(AtomicUsize::new(0));
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let files_before = files();
    for cycle in 0..1_000 / SLOWNESS {
        let options = ExecutorOptions { workers: 2, worker_base_index: 8_800, ..small() };
        let executor = Executor::new(&options).unwrap();
        for number in 0..20 {
            alive.fetch_add(1, Ordering::AcqRel);
            let counted = Counted(Arc::clone(&alive));
            let left = AtomicU32::new(number);
            let drain = move |_: &WorkerContext<'_>| {
                let _ = &counted;
                if left.fetch_sub(1, Ordering::Relaxed) <= 1 { Drained::Finished } else { Drained::Worked }
            };
            let options = if number % 2 == 0 { compute(2) } else { immediate() };
            executor.schedule(&watched(options, drain).0);
        }
        if cycle % 3 == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(alive.load(Ordering::Acquire), 0);
    assert_eq!(worker_threads(), 0);
    // Other tests of this program open files too, a few.
    assert!(files() < files_before + 50);
}

/// [task 89]
#[test]
fn handles_come_and_go_on_several_threads() {
    let executor = executor(2);
    thread::scope(|scope| {
        for _ in 0..4 {
            let mine = executor.clone();
            scope.spawn(move || {
                for _ in 0..100 {
                    let handle = mine.clone();
                    let (process, watch) = watched(immediate(), |_| Drained::Finished);
                    handle.schedule(&process);
                    watch.wait_released();
                }
            });
        }
        drop(executor);
    });
}

/// Holds the last handle of its own executor, and drops it in its drain.
struct Owns {
    executor: Mutex<Option<Executor>>,
    dropped: Arc<AtomicBool>,
}

impl Work for Owns {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        self.executor.lock().unwrap().take();
        self.dropped.store(true, Ordering::Release);
        Drained::Finished
    }
}

#[test]
fn the_last_handle_may_go_on_a_worker() {
    for options in [immediate(), compute(2)] {
        let executor = executor(2);
        let dropped = Arc::new(AtomicBool::new(false));
        let work = Arc::new(Owns { executor: Mutex::new(None), dropped: Arc::clone(&dropped) });
        let process = Process::new(Arc::clone(&work), options);
        *work.executor.lock().unwrap() = Some(executor.clone());
        executor.schedule(&process);
        drop(executor);
        poll_until("dropped", || dropped.load(Ordering::Acquire));
        drop(process);
        poll_until("gone with the last worker", || Arc::strong_count(&work) == 1);
    }
}

/// [task 90]
#[test]
fn a_report_under_full_load() {
    let executor = executor(4);
    let end = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..30)
        .map(|number| {
            let end = Arc::clone(&end);
            let options = if number % 3 == 0 { immediate() } else { compute(4) };
            watched(options, move |_| match end.load(Ordering::Relaxed) {
                true => Drained::Finished,
                false => Drained::Worked,
            })
        })
        .collect();
    all.iter().for_each(|(process, _)| executor.schedule(process));
    let mut seen = 0;
    for _ in 0..500 / SLOWNESS {
        let report = executor.report();
        seen = seen.max(report.slots.len());
        assert!(report.to_string().starts_with("executor: "));
    }
    assert!(seen > 1, "{}", executor.report());
    assert!(executor.report().is_overflowing);
    end.store(true, Ordering::Relaxed);
    all.iter().for_each(|(_, watch)| watch.wait_released());
}

/// The look of a report may be the last one out of a slot; the process does not get stuck by it.
#[test]
fn a_report_leaves_nothing_behind() {
    let executor = executor(1);
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5_000 / SLOWNESS {
                let (process, watch) = watched(compute(1), |_| Drained::Finished);
                executor.schedule(&process);
                watch.wait_released();
            }
            end.store(true, Ordering::Release);
        });
        while !end.load(Ordering::Acquire) {
            executor.report();
        }
    });
}
