//! Threads that lend themselves while they wait.

mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use support::{SLOWNESS, compute, executor, immediate, small, wait_asleep, watched};
use weft_sync::{Code, Deadline, Semaphore, Status};
use weft_task::{Drained, Executor, ExecutorOptions, Process, ProcessOptions, Work, WorkerContext};

/// Signals a semaphore from its drain, and notes who drained it.
struct Signals {
    semaphore: Arc<Semaphore>,
    by: Mutex<Option<ThreadId>>,
}

impl Work for Signals {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        *self.by.lock().unwrap() = Some(thread::current().id());
        self.semaphore.signal(1).unwrap();
        Drained::Finished
    }
}

fn signals(options: ProcessOptions) -> (Arc<Process>, Arc<Signals>) {
    let work = Arc::new(Signals { semaphore: Arc::new(Semaphore::new(0)), by: Mutex::new(None) });
    (Process::new(Arc::clone(&work), options), work)
}

/// A submission and the wait for it on one thread: no other thread is woken.
#[test]
fn a_caller_runs_its_own_work() {
    let executor = executor(2);
    wait_asleep(&executor);
    let before = executor.counters();
    for options in [immediate(), compute(1)] {
        let (process, work) = signals(options);
        let guest = executor.lend().unwrap();
        guest.schedule_next(&process);
        guest.wait(&work.semaphore, 1, Deadline::NEVER).unwrap();
        assert_eq!(*work.by.lock().unwrap(), Some(thread::current().id()));
    }
    let after = executor.counters();
    assert_eq!((after.wakes, after.claims), (before.wakes, before.claims), "nobody was woken");
}

/// A process that schedules another and goes to rest, as a queue does: still one thread.
#[test]
fn a_queue_and_its_one_tile_need_one_thread() {
    let executor = executor(2);
    wait_asleep(&executor);
    let (tile, work) = signals(compute(1));
    let submitted = AtomicBool::new(false);
    let (queue, _) = watched(immediate(), move |worker| {
        if submitted.swap(true, Ordering::Relaxed) {
            return Drained::Nothing;
        }
        worker.schedule_next(&tile);
        Drained::Worked
    });
    let guest = executor.lend().unwrap();
    guest.schedule_next(&queue);
    guest.wait(&work.semaphore, 1, Deadline::NEVER).unwrap();
    assert_eq!(*work.by.lock().unwrap(), Some(thread::current().id()));
    assert_eq!(executor.counters().wakes, 0, "nobody was woken");
}

#[test]
fn a_wide_process_gets_workers_and_the_guest() {
    let executor = executor(2);
    wait_asleep(&executor);
    let inside = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&inside);
    let done = Arc::new(Semaphore::new(0));
    let signal = Arc::clone(&done);
    let (process, watch) = watched(compute(3), move |_| {
        if count.fetch_add(1, Ordering::AcqRel) == 2 {
            signal.signal(1).unwrap();
        }
        while count.load(Ordering::Acquire) < 3 {
            thread::yield_now();
        }
        Drained::Finished
    });
    let guest = executor.lend().unwrap();
    guest.schedule_next(&process);
    guest.wait(&done, 1, Deadline::NEVER).unwrap();
    watch.wait_released();
}

/// What was offered and not run is run by a worker.
#[test]
fn a_guest_that_leaves_leaves_nothing_behind() {
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        let (process, watch) = watched(options, |_| Drained::Finished);
        wait_asleep(&executor);
        executor.lend().unwrap().schedule_next(&process);
        watch.wait_released();
    }
}

/// Guests come and go while others schedule: whoever was chosen for something and leaves hands it over.
#[test]
fn guests_that_come_and_go_lose_nothing() {
    let executor = executor(1);
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    let Some(guest) = executor.lend() else { continue };
                    guest.run_until(Deadline::after(Duration::from_micros(20)), || false);
                }
            });
        }
        for round in 0..3_000 / SLOWNESS {
            let options = if round % 2 == 0 { immediate() } else { compute(1) };
            let (process, watch) = watched(options, |_| Drained::Finished);
            executor.schedule(&process);
            watch.wait_released();
        }
        end.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_guest_that_waits_is_woken_before_a_worker() {
    let executor = executor(1);
    wait_asleep(&executor);
    let (process, work) = signals(immediate());
    let waiter = thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            executor.wait(&work.semaphore, 1, Deadline::NEVER).unwrap();
            thread::current().id()
        });
        support::poll_until("asleep", || executor.report().seats.iter().skip(1).any(|seat| seat.is_idle));
        executor.schedule(&process);
        waiter.join().unwrap()
    });
    assert_eq!(*work.by.lock().unwrap(), Some(waiter));
}

#[test]
fn a_guest_waits_like_any_other() {
    let executor = executor(1);
    let semaphore = Arc::new(Semaphore::new(0));
    let late = executor.wait(&semaphore, 1, Deadline::after(Duration::from_millis(2)));
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    thread::scope(|scope| {
        scope.spawn(|| semaphore.signal(1).unwrap());
        executor.wait(&semaphore, 1, Deadline::NEVER).unwrap();
    });
    thread::scope(|scope| {
        scope.spawn(|| semaphore.fail(Status::new(Code::DataLoss, "lost")));
        assert_eq!(executor.wait(&semaphore, 2, Deadline::NEVER).unwrap_err().code(), Code::DataLoss);
    });
}

/// On a worker, on a guest, and with every seat taken: no seat.
#[test]
fn without_a_seat_one_waits_in_the_plain_way() {
    let executor = Executor::new(&ExecutorOptions { workers: 2, guests_max: 1, ..small() }).unwrap();
    let inner = executor.clone();
    let (process, watch) = watched(immediate(), move |_| {
        assert!(inner.is_inside() && inner.lend().is_none());
        Drained::Finished
    });
    executor.schedule(&process);
    watch.wait_released();
    let guest = executor.lend().unwrap();
    assert!(executor.lend().is_none());
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!executor.is_inside() && executor.lend().is_none());
            let (process, work) = signals(immediate());
            executor.schedule(&process);
            executor.wait(&work.semaphore, 1, Deadline::NEVER).unwrap();
        });
    });
    drop(guest);
    assert!(!executor.is_inside() && executor.lend().is_some());
    let none = Executor::new(&ExecutorOptions { guests_max: 0, ..small() }).unwrap();
    assert!(none.lend().is_none());
}

/// A guest works in the mode of workers, and has its own back afterwards.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn a_guest_flushes_denormals_only_while_it_works() {
    let sum = || black_box(1e-40_f32) + black_box(1e-40_f32);
    let executor = executor(1);
    let guest = executor.lend().unwrap();
    let mut inside = 1.0;
    guest.run_until(Deadline::NEVER, || {
        inside = sum();
        true
    });
    assert_eq!(inside, 0.0);
    assert!(sum() > 0.0);
}
