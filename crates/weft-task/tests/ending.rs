//! How processes end while others are about it, too: cancelled, failed, completed from outside, with callbacks that panic
//! or take long. Each test is named after what was seen once.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::{
    OpensWhenDropped, SLOWNESS, Watch, compute, end_once_each, executor, hush_panics_on_purpose, immediate,
    poll_until, suspended, wait_asleep, watched, watched_work,
};
use weft_sync::{Code, Result, Status};
use weft_task::{Cancel, Drained, Process, ProcessOptions, State, Work, WorkerContext};

fn lost() -> Status {
    Status::new(Code::DataLoss, "lost")
}

fn code(watch: &Watch) -> Option<Code> {
    watch.outcome().err().map(|status| status.code())
}

/// A work whose callbacks are the test's.
struct Hooked {
    drain: Box<dyn Fn(&WorkerContext<'_>) -> Drained + Send + Sync>,
    completed: Box<dyn Fn() + Send + Sync>,
    released: Box<dyn Fn() + Send + Sync>,
}

impl Hooked {
    fn new() -> Hooked {
        Hooked {
            drain: Box::new(|_| Drained::Finished),
            completed: Box::new(|| ()),
            released: Box::new(|| ()),
        }
    }
}

impl Work for Hooked {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        (self.drain)(worker)
    }

    fn completed(&self, _: Result<()>) {
        (self.completed)();
    }

    fn released(&self) {
        (self.released)();
    }
}

/// What every other test relies on: the watch tells what a callback could not.
#[test]
fn a_double_release_was_not_noticed() {
    let (work, watch) = watched_work(|_| Drained::Finished);
    work.completed(Ok(()));
    work.released();
    watch.check();
    work.released();
    let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch.check()));
    assert!(noticed.is_err());
}

/// Sixteen workers in one process, on fewer processors: one of them was always counted in, so nobody was the last one out
/// for seconds.
#[test]
fn a_wide_process_was_not_released_for_seconds_after_its_cancel() {
    let executor = executor(16);
    for round in 0..10 {
        let (process, watch) = watched(compute(16), |_| Drained::Worked);
        executor.schedule(&process);
        thread::sleep(Duration::from_millis(2));
        let start = Instant::now();
        executor.cancel(&process);
        watch.wait_released();
        assert!(start.elapsed() < Duration::from_secs(5), "round {round}: {:?}", start.elapsed());
        assert_eq!(code(&watch), Some(Code::Cancelled));
    }
}

/// The same by many processes at once, of all widths, which end by themselves.
#[test]
fn the_last_of_many_processes_was_never_released() {
    let executor = executor(64);
    let start = Instant::now();
    let all: Vec<_> = (0..300_u32)
        .map(|number| {
            let left = AtomicU32::new(50);
            let options = ProcessOptions {
                wake_budget: number % 5,
                compute_slot: number % 2 == 0,
                ..ProcessOptions::default()
            };
            let (process, watch) = watched(options, move |_| {
                let ended =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                if ended.is_err() { Drained::Finished } else { Drained::Worked }
            });
            executor.schedule(&process);
            watch
        })
        .collect();
    all.iter().for_each(|watch| watch.wait_released());
    assert!(start.elapsed() < Duration::from_secs(10) * SLOWNESS, "{:?}", start.elapsed());
    end_once_each(executor, &all);
}

/// One that cancels or fails a suspended process, one that schedules it: a worker and the first one both released it.
/// [task 14]
#[test]
fn a_suspended_process_was_released_twice() {
    let executor = executor(2);
    for round in 0..2_000 / SLOWNESS {
        let options = ProcessOptions { compute_slot: round % 2 == 0, ..suspended(1) };
        let (process, watch) = watched(options, |_| Drained::Finished);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                (0..20).for_each(|_| executor.schedule(&process));
            });
            start.wait();
            (0..round % 50).for_each(|_| std::hint::spin_loop());
            if round % 3 == 0 { executor.fail(&process, lost()) } else { executor.cancel(&process) }
        });
        watch.wait_released();
        poll_until("let go", || Arc::strong_count(&process) == 1);
        assert_eq!(watch.released.load(Ordering::Acquire), 1);
        assert_eq!(code(&watch), Some(if round % 3 == 0 { Code::DataLoss } else { Code::Cancelled }));
        assert_eq!(watch.drains(), 0);
    }
}

/// [task 16]
#[test]
fn a_failure_after_the_cancel_won() {
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        let (process, watch) = watched(options, |worker| {
            worker.cancel(worker.process());
            Drained::Failed(lost())
        });
        executor.schedule(&process);
        watch.wait_released();
        assert_eq!((process.state(), code(&watch)), (State::Cancelled, Some(Code::Cancelled)));
        assert!(!process.report(lost()));
    }
}

/// It ends where it is failed: nobody may ever wake it. [task 10]
#[test]
fn a_failed_suspended_process_never_ended() {
    let executor = executor(1);
    let (dependent, after) = watched(suspended(1), |_| Drained::Finished);
    let options = ProcessOptions { dependents: vec![dependent], ..suspended(2) };
    let (process, watch) = watched(options, |_| Drained::Finished);
    executor.fail(&process, lost());
    assert!(watch.is_released());
    assert_eq!(code(&watch), Some(Code::DataLoss));
    after.wait_released();
    assert!(!process.wake() && !process.wake());
    executor.schedule(&process);
    end_once_each(executor, [&watch, &after]);
    assert_eq!(watch.drains(), 0);
}

#[test]
fn a_process_that_had_failed_was_drained_after_its_last_wake() {
    let executor = executor(1);
    let (process, watch) = watched(suspended(1), |_| Drained::Finished);
    assert!(process.report(lost()));
    assert_eq!(process.state(), State::Suspended);
    assert!(process.wake());
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!((watch.drains(), code(&watch)), (0, Some(Code::DataLoss)));
}

/// The callback of a process that is completed from outside takes its time; the worker that drains it does not. [task 42]
#[test]
fn a_worker_released_what_somebody_else_was_completing() {
    for options in [immediate(), compute(1)] {
        let executor = executor(1);
        let (told, early) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let released = Arc::new(AtomicBool::new(false));
        let work = Hooked {
            completed: Box::new({
                let told = Arc::clone(&told);
                move || {
                    thread::sleep(Duration::from_millis(10));
                    told.store(true, Ordering::Release);
                }
            }),
            released: Box::new({
                let (told, early, released) = (Arc::clone(&told), Arc::clone(&early), Arc::clone(&released));
                move || {
                    early.store(!told.load(Ordering::Acquire), Ordering::Relaxed);
                    released.store(true, Ordering::Release);
                }
            }),
            drain: Box::new(|_| {
                thread::sleep(Duration::from_millis(2));
                Drained::Finished
            }),
        };
        let process = Process::new(work, options);
        executor.schedule(&process);
        process.complete(|_| ());
        poll_until("released", || released.load(Ordering::Acquire));
        assert!(!early.load(Ordering::Relaxed));
    }
}

/// A suspended process that is completed from outside is released there: no worker will ever look.
#[test]
fn a_suspended_process_that_was_completed_was_never_released() {
    let (process, watch) = watched(suspended(1), |_| Drained::Finished);
    process.complete(|_| ());
    assert!(watch.is_released() && watch.outcome().is_ok());
}

/// A callback that panics is contained: whoever ends the process is not to blame for it.
#[test]
fn a_panic_in_completed_skipped_the_release_and_failed_the_canceller() {
    hush_panics_on_purpose();
    let executor = executor(1);
    let victims: Vec<_> = (0..2)
        .map(|_| {
            let released = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&released);
            let work = Hooked {
                completed: Box::new(|| panic!("completed, on purpose")),
                released: Box::new(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    panic!("released, on purpose");
                }),
                ..Hooked::new()
            };
            (Process::new(work, suspended(1)), released)
        })
        .collect();
    executor.cancel(&victims[0].0);
    assert_eq!(victims[0].1.load(Ordering::Relaxed), 1);
    let victim = Arc::clone(&victims[1].0);
    let (process, watch) = watched(immediate(), move |worker| {
        worker.cancel(&victim);
        Drained::Finished
    });
    executor.schedule(&process);
    watch.wait_released();
    assert!(watch.outcome().is_ok());
    assert_eq!(victims[1].1.load(Ordering::Relaxed), 1);
}

/// A dependent that belongs to another executor cannot be scheduled here; those after it can.
#[test]
fn a_dependent_of_another_executor_stranded_those_after_it() {
    hush_panics_on_purpose();
    let (here, elsewhere) = (executor(1), executor(1));
    for cancelled in [false, true] {
        let (first, first_watch) = watched(suspended(1), |_| Drained::Finished);
        let (second, second_watch) = watched(suspended(1), |_| Drained::Finished);
        let dependents = vec![Arc::clone(&first), second];
        let options =
            ProcessOptions { dependents, suspend_count: u32::from(cancelled), ..ProcessOptions::default() };
        let (process, watch) = watched(options, |_| Drained::Finished);
        elsewhere.schedule(&first);
        if cancelled {
            here.cancel(&process)
        } else {
            here.schedule(&process)
        }
        watch.wait_released();
        second_watch.wait_released();
        // It was woken all the same, and its owner may go on with it.
        assert_eq!(first.state(), State::Runnable);
        elsewhere.schedule(&first);
        first_watch.wait_released();
    }
    let (dependent, _) = watched(suspended(1), |_| Drained::Finished);
    let options = ProcessOptions { dependents: vec![dependent], ..suspended(1) };
    let (process, watch) = watched(options, |_| Drained::Finished);
    // What the caller of a process does itself, it hears of; the process has ended by then.
    let activate = |_: &Arc<Process>| panic!("activate, on purpose");
    let cancel = std::panic::AssertUnwindSafe(|| process.cancel(activate));
    assert!(std::panic::catch_unwind(cancel).is_err());
    assert!(watch.is_released());
    assert_eq!(process.cancel(|_| ()), Cancel::TooLate);
}

/// Three workers sleep while the fourth is in `released`, and what waited for the process waits. [task 55]
#[test]
fn a_dependent_waited_for_a_long_release() {
    for options in [immediate(), compute(1)] {
        let executor = executor(4);
        wait_asleep(&executor);
        let (ran, waited) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let done = OpensWhenDropped(Arc::clone(&ran));
        let (dependent, watch) = watched(suspended(1), move |_| {
            done.0.store(true, Ordering::Release);
            Drained::Finished
        });
        let work = Hooked {
            released: Box::new({
                let (ran, waited) = (Arc::clone(&ran), Arc::clone(&waited));
                move || {
                    let start = Instant::now();
                    while !ran.load(Ordering::Acquire) && start.elapsed() < Duration::from_secs(2) {
                        thread::sleep(Duration::from_micros(100));
                    }
                    *waited.lock().unwrap() = Some(start.elapsed());
                }
            }),
            ..Hooked::new()
        };
        executor.schedule(&Process::new(work, ProcessOptions { dependents: vec![dependent], ..options }));
        watch.wait_released();
        poll_until("released", || waited.lock().unwrap().is_some());
        let waited = waited.lock().unwrap().unwrap_or_default();
        assert!(waited < Duration::from_secs(2), "it ran only after the release: {waited:?}");
    }
}
