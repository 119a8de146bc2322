//! The life of a process, without an executor: suspension, outcome, dependents, cancellation.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use support::{Watch, executor, immediate, suspended, watched};
use weft_sync::{Code, Result, Status};
use weft_task::{Cancel, Drained, Process, ProcessOptions, State, Work, WorkerContext};

fn idle(options: ProcessOptions) -> (Arc<Process>, Arc<Watch>) {
    watched(options, |_| Drained::Nothing)
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "lost")
}

fn complete(process: &Process) -> Vec<*const Process> {
    let mut activated = Vec::new();
    process.complete(|dependent| activated.push(Arc::as_ptr(dependent)));
    activated
}

fn waiting_for(dependents: &[&Arc<Process>]) -> ProcessOptions {
    let dependents = dependents.iter().map(|&process| Arc::clone(process)).collect();
    ProcessOptions { dependents, ..immediate() }
}

/// [task 1]
#[test]
fn a_process_starts_as_it_was_asked_for() {
    let (process, _) = idle(suspended(3));
    assert_eq!((process.state(), process.wake_budget(), process.is_compute()), (State::Suspended, 1, false));
    let (process, _) = idle(ProcessOptions { wake_budget: 4, ..immediate() });
    assert_eq!((process.state(), process.wake_budget(), process.is_compute()), (State::Runnable, 4, true));
    let (process, _) = idle(ProcessOptions { compute_slot: true, wake_budget: 0, ..immediate() });
    assert_eq!((process.wake_budget(), process.is_compute()), (1, true));
}

/// [task 2]
#[test]
fn the_last_wake_makes_it_runnable() {
    let (one, _) = idle(suspended(1));
    assert!(one.wake());
    let (three, _) = idle(suspended(3));
    assert_eq!([three.wake(), three.wake(), three.wake()], [false, false, true]);
    assert_eq!(three.state(), State::Runnable);
}

/// [task 3]
#[test]
fn a_wake_does_not_revive_what_was_cancelled() {
    let (process, _) = idle(suspended(1));
    assert_eq!(process.cancel(|_| ()), Cancel::Resolved);
    assert!(!process.wake());
    assert_eq!(process.state(), State::Cancelled);
}

/// [task 4]
#[test]
fn success_is_told_once() {
    let (process, watch) = idle(immediate());
    complete(&process);
    complete(&process);
    assert_eq!(process.state(), State::Completed);
    assert!(watch.outcome().is_ok());
}

/// [task 5]
#[test]
fn a_reported_failure_is_told() {
    let (process, watch) = idle(immediate());
    assert!(process.report(lost()));
    assert_eq!(process.state(), State::Completed);
    complete(&process);
    assert_eq!(watch.outcome().unwrap_err().to_string(), "DATA_LOSS; lost");
}

struct Silent;

impl Work for Silent {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        Drained::Nothing
    }
}

/// A work that does not listen; the sanitizers and the drop of the process show that nothing leaks. [task 6]
#[test]
fn a_failure_that_nobody_listens_to_is_dropped() {
    let process = Process::new(Silent, immediate());
    process.report(lost());
    complete(&process);
    assert_eq!(Arc::strong_count(&process), 1);
}

/// [task 7]
#[test]
fn dependents_are_activated_in_order() {
    let dependents: Vec<_> = (0..3).map(|_| idle(suspended(1)).0).collect();
    let (process, _) = idle(ProcessOptions { dependents: dependents.clone(), ..immediate() });
    assert_eq!(complete(&process), dependents.iter().map(Arc::as_ptr).collect::<Vec<_>>());
    assert!(dependents.iter().all(|dependent| dependent.state() == State::Runnable));
}

/// [task 8]
#[test]
fn a_dependent_waits_for_everything_it_waits_for() {
    let (ready, _) = idle(suspended(1));
    let (busy, _) = idle(suspended(2));
    let (process, _) = idle(waiting_for(&[&busy, &ready]));
    assert_eq!(complete(&process), [Arc::as_ptr(&ready)]);
    assert_eq!(busy.state(), State::Suspended);
}

/// [task 9]
#[test]
fn a_diamond_ends_once() {
    let (last, _) = idle(suspended(2));
    let (left, _) = idle(ProcessOptions { suspend_count: 1, ..waiting_for(&[&last]) });
    let (right, _) = idle(ProcessOptions { suspend_count: 1, ..waiting_for(&[&last]) });
    let (first, _) = idle(waiting_for(&[&left, &right]));
    assert_eq!(complete(&first).len(), 2);
    assert_eq!(complete(&left), []);
    assert_eq!(complete(&right), [Arc::as_ptr(&last)]);
}

/// [task 10]
#[test]
fn dependents_are_activated_whatever_the_outcome() {
    let (after_failure, _) = idle(suspended(1));
    let (failing, _) = idle(waiting_for(&[&after_failure]));
    failing.report(lost());
    assert_eq!(complete(&failing), [Arc::as_ptr(&after_failure)]);
    let (after_cancel, _) = idle(suspended(1));
    let (cancelled, _) = idle(ProcessOptions { suspend_count: 1, ..waiting_for(&[&after_cancel]) });
    let mut activated = Vec::new();
    assert_eq!(cancelled.cancel(|dependent| activated.push(Arc::as_ptr(dependent))), Cancel::Resolved);
    assert_eq!(activated, [Arc::as_ptr(&after_cancel)]);
}

/// [task 11]
#[test]
fn the_first_failure_wins() {
    let (process, watch) = idle(immediate());
    assert!(process.report(lost()));
    assert!(!process.report(Status::new(Code::Internal, "late")));
    complete(&process);
    assert_eq!(watch.outcome().unwrap_err().code(), Code::DataLoss);
}

/// [task 12]
#[test]
fn of_eight_failures_at_once_one_survives() {
    for _ in 0..50 {
        let (process, watch) = idle(immediate());
        let kept = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (process, kept) = (&process, &kept);
                scope.spawn(move || {
                    let first = process.report(Status::new(Code::Internal, format!("{number}")));
                    kept.fetch_add(u32::from(first), Ordering::Relaxed);
                });
            }
        });
        complete(&process);
        assert_eq!(kept.into_inner(), 1);
        assert!(watch.outcome().is_err());
    }
}

/// [task 13]
#[test]
fn a_failure_after_the_end_is_discarded() {
    let (process, watch) = idle(immediate());
    complete(&process);
    assert!(!process.report(lost()));
    assert!(watch.outcome().is_ok());
}

/// [task 14]
#[test]
fn cancelling_the_suspended_ends_them_here() {
    let (process, watch) = idle(suspended(2));
    assert_eq!(process.cancel(|_| ()), Cancel::Resolved);
    assert_eq!(watch.outcome().unwrap_err().code(), Code::Cancelled);
    assert!(watch.is_released());
}

/// [task 15]
#[test]
fn cancelling_the_runnable_leaves_the_end_to_a_worker() {
    let executor = executor(1);
    let (process, watch) = idle(immediate());
    assert_eq!(process.cancel(|_| ()), Cancel::Schedule);
    assert!(watch.outcomes.lock().unwrap().is_empty());
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!(watch.outcome().unwrap_err().code(), Code::Cancelled);
    assert_eq!(watch.drains(), 0, "what is over is not drained");
}

/// [task 16]
#[test]
fn cancelling_what_is_over_changes_nothing() {
    let (process, watch) = idle(immediate());
    complete(&process);
    assert_eq!(process.cancel(|_| ()), Cancel::TooLate);
    assert_eq!(process.state(), State::Completed);
    assert!(watch.outcome().is_ok());
    let (process, watch) = idle(suspended(1));
    process.report(lost());
    assert_eq!(process.cancel(|_| ()), Cancel::Resolved);
    assert_eq!(watch.outcome().unwrap_err().code(), Code::DataLoss);
}

/// [task 17]
#[test]
fn a_cancel_and_a_wake_end_it_once() {
    let executor = executor(2);
    for _ in 0..2_000 / support::SLOWNESS {
        let (process, watch) = watched(suspended(1), |_| Drained::Finished);
        std::thread::scope(|scope| {
            scope.spawn(|| executor.cancel(&process));
            if process.wake() {
                executor.schedule(&process);
            }
        });
        watch.wait_released();
        assert_eq!(
            watch.outcome().map_err(|status| status.code()).is_err(),
            process.state() == State::Cancelled
        );
    }
}

/// [task 18]
#[test]
fn of_eight_wakes_at_once_one_is_the_last() {
    for _ in 0..200 {
        let (process, _) = idle(suspended(8));
        let last = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| last.fetch_add(u32::from(process.wake()), Ordering::Relaxed));
            }
        });
        assert_eq!(last.into_inner(), 1);
    }
}

struct Forgets {
    handle: Mutex<Option<Arc<Process>>>,
    released: Arc<AtomicU32>,
}

impl Work for Forgets {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        Drained::Finished
    }

    fn completed(&self, _: Result<()>) {
        self.handle.lock().unwrap().take();
    }

    fn released(&self) {
        self.released.fetch_add(1, Ordering::Release);
    }
}

/// The callback drops the last handle that the user has. [task 19]
#[test]
fn the_completion_may_forget_the_process() {
    let executor = executor(1);
    let released = Arc::new(AtomicU32::new(0));
    let work = Arc::new(Forgets { handle: Mutex::new(None), released: Arc::clone(&released) });
    let process = Process::new(Arc::clone(&work), immediate());
    let gone: Weak<Process> = Arc::downgrade(&process);
    *work.handle.lock().unwrap() = Some(Arc::clone(&process));
    executor.schedule(&process);
    drop(process);
    support::poll_until("forgotten", || gone.strong_count() == 0);
    assert_eq!(released.load(Ordering::Acquire), 1);
}

/// A million links: taken apart one by one, or the stack would not do.
#[test]
fn a_long_chain_is_taken_apart() {
    let mut process = Process::new(Silent, suspended(1));
    for _ in 0..100_000 {
        process = Process::new(Silent, ProcessOptions { dependents: vec![process], ..suspended(1) });
    }
    drop(process);
}
