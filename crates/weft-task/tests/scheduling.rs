//! Scheduling immediate processes: states, sleeping and waking, chains, fairness.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use support::{SLOWNESS, Watch, compute, executor, immediate, poll_until, suspended, wait_asleep, watched};
use weft_sync::{Code, Status};
use weft_task::{Drained, Process, ProcessOptions};

/// Drains `count` times, then ends.
fn countdown(options: ProcessOptions, count: u32) -> (Arc<Process>, Arc<Watch>) {
    let left = AtomicU32::new(count);
    watched(options, move |_| match left.fetch_sub(1, Ordering::Relaxed) {
        0 | 1 => Drained::Finished,
        _ => Drained::Worked,
    })
}

/// Consumes items that were published; rests when there are none.
fn consumer(options: ProcessOptions) -> (Arc<Process>, Arc<Watch>, Arc<AtomicU32>, Arc<AtomicU32>) {
    let (items, consumed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (from, to) = (Arc::clone(&items), Arc::clone(&consumed));
    let (process, watch) = watched(options, move |_| {
        // Relaxed on purpose: scheduling alone has to make the items visible.
        match from.swap(0, Ordering::Relaxed) {
            0 => Drained::Nothing,
            found => {
                to.fetch_add(found, Ordering::Relaxed);
                Drained::Worked
            }
        }
    });
    (process, watch, items, consumed)
}

/// [task 21]
#[test]
fn one_process_on_one_worker() {
    let executor = executor(1);
    let (process, watch) = countdown(immediate(), 1);
    executor.schedule(&process);
    watch.wait_released();
    assert!(watch.outcome().is_ok());
    assert_eq!(watch.drains(), 1);
}

/// [task 22]
#[test]
fn a_process_with_work_is_drained_again() {
    let executor = executor(1);
    let (process, watch) = countdown(immediate(), 6);
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!(watch.drains(), 6);
}

/// [task 23]
#[test]
fn chains_and_diamonds_run_in_order() {
    for workers in [1, 4] {
        let executor = executor(workers);
        let order = Arc::new(Mutex::new(Vec::new()));
        let step = |name: char, options: ProcessOptions| {
            let order = Arc::clone(&order);
            watched(options, move |_| {
                order.lock().unwrap().push(name);
                Drained::Finished
            })
        };
        let (last, end) = step('d', suspended(2));
        let (left, _) = step('b', ProcessOptions { dependents: vec![last.clone()], ..suspended(1) });
        let (right, _) = step('c', ProcessOptions { dependents: vec![last], ..suspended(1) });
        let (first, _) = step('a', ProcessOptions { dependents: vec![left, right], ..immediate() });
        executor.schedule(&first);
        end.wait_released();
        let order: String = order.lock().unwrap().iter().collect();
        assert!(order == "abcd" || order == "acbd", "{order}");
    }
}

/// [task 24]
#[test]
fn a_process_without_work_rests_until_it_is_scheduled() {
    let executor = executor(1);
    let (process, watch, items, consumed) = consumer(immediate());
    executor.schedule(&process);
    watch.wait_drains(1);
    wait_asleep(&executor);
    let drains = watch.drains();
    items.fetch_add(1, Ordering::Relaxed);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(watch.drains(), drains, "nobody looks before it is scheduled");
    executor.schedule(&process);
    poll_until("consumed", || consumed.load(Ordering::Relaxed) == 1);
}

/// [task 25]
#[test]
fn scheduling_in_every_state_loses_nothing_and_doubles_nothing() {
    let executor = executor(2);
    let (process, watch, items, consumed) = consumer(immediate());
    let total = 50_000 / SLOWNESS;
    for _ in 0..total {
        items.fetch_add(1, Ordering::Relaxed);
        executor.schedule(&process);
    }
    poll_until("consumed", || consumed.load(Ordering::Relaxed) == total);
    assert_eq!(watch.inside_most.load(Ordering::Relaxed), 1);
}

/// [task 26]
#[test]
fn scheduling_what_is_over_does_nothing() {
    let executor = executor(2);
    for options in [immediate(), compute(2)] {
        let (process, watch) = countdown(options, 1);
        executor.schedule(&process);
        watch.wait_released();
        let drains = watch.drains();
        for _ in 0..100 {
            executor.schedule(&process);
        }
        wait_asleep(&executor);
        assert_eq!(watch.drains(), drains);
        assert!(watch.outcome().is_ok());
    }
}

fn sleep_and_wake(options: ProcessOptions, workers: usize, cycles: u32) {
    let executor = executor(workers);
    let (process, watch, items, consumed) = consumer(options);
    for cycle in 1..=cycles {
        items.fetch_add(1, Ordering::Relaxed);
        executor.schedule(&process);
        poll_until("consumed", || consumed.load(Ordering::Relaxed) == cycle);
        // It sleeps before it is scheduled again, and so does its worker now and then.
        poll_until("at rest", || {
            format!("{process:?}").contains("idle") && executor.report().slots.is_empty()
        });
        if cycle % 8 == 0 {
            wait_asleep(&executor);
        }
    }
    assert!(watch.drains() >= cycles);
}

/// [task 27]
#[test]
fn fifty_sleeps_and_wakes_see_each_item() {
    sleep_and_wake(immediate(), 1, 50);
}

/// [task 28]
#[test]
fn five_hundred_sleeps_and_wakes_through_a_slot() {
    sleep_and_wake(compute(1), 2, 500);
}

/// [task 29]
#[test]
fn eight_threads_schedule_one_sleeper() {
    for options in [immediate(), compute(2)] {
        let executor = executor(2);
        let (process, _, items, consumed) = consumer(options);
        let each = 2_000 / SLOWNESS;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..each {
                        items.fetch_add(1, Ordering::Relaxed);
                        executor.schedule(&process);
                    }
                });
            }
        });
        poll_until("consumed", || consumed.load(Ordering::Relaxed) == 8 * each);
    }
}

/// [task 30]
#[test]
fn many_processes_from_many_threads() {
    let executor = executor(4);
    let alone: Vec<_> = (0..64).map(|number| countdown(immediate(), number % 5 + 1)).collect();
    for (process, _) in &alone {
        executor.schedule(process);
    }
    alone.iter().for_each(|(_, watch)| watch.wait_released());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mine: Vec<_> = (0..16).map(|_| countdown(immediate(), 3)).collect();
                mine.iter().for_each(|(process, _)| executor.schedule(process));
                mine.iter().for_each(|(_, watch)| watch.wait_released());
            });
        }
    });
}

/// [task 31]
#[test]
fn a_chain_of_stages_with_many_drains() {
    let executor = executor(2);
    let (third, end) = countdown(suspended(1), 3);
    let (second, middle) = countdown(ProcessOptions { dependents: vec![third], ..suspended(1) }, 5);
    let (first, start) = countdown(ProcessOptions { dependents: vec![second], ..immediate() }, 10);
    executor.schedule(&first);
    end.wait_released();
    assert_eq!([start.drains(), middle.drains(), end.drains()], [10, 5, 3]);
}

/// [task 32]
#[test]
fn a_failing_drain_is_the_last_one() {
    let executor = executor(1);
    let (process, watch) = watched(immediate(), |_| Drained::Failed(Status::new(Code::DataLoss, "lost")));
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!(watch.outcome().unwrap_err().code(), Code::DataLoss);
    executor.schedule(&process);
    wait_asleep(&executor);
    assert_eq!(watch.drains(), 1);
}

/// [task 33]
#[test]
fn an_immediate_process_has_one_worker_at_a_time() {
    let executor = executor(4);
    let (process, watch, items, consumed) = consumer(immediate());
    let each = 1_000 / SLOWNESS;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..each {
                    items.fetch_add(1, Ordering::Relaxed);
                    executor.schedule(&process);
                    std::thread::yield_now();
                }
            });
        }
    });
    poll_until("consumed", || consumed.load(Ordering::Relaxed) == 4 * each);
    assert_eq!(watch.inside_most.load(Ordering::Relaxed), 1);
}

/// [task 34]
#[test]
fn coming_back_is_not_sleeping() {
    let executor = executor(1);
    let looks = AtomicU32::new(0);
    let (process, watch) = watched(immediate(), move |_| match looks.fetch_add(1, Ordering::Relaxed) {
        100 => Drained::Finished,
        _ => Drained::Again,
    });
    wait_asleep(&executor);
    let sleeps = executor.counters().sleeps;
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!(watch.drains(), 101);
    assert!(executor.counters().sleeps <= sleeps + 1);
}

/// [task 35]
#[test]
fn an_immediate_and_a_long_compute_process_share_a_worker() {
    let executor = executor(1);
    let stop = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stop);
    let (long, long_watch) = watched(compute(1), move |_| match until.load(Ordering::Relaxed) {
        true => Drained::Finished,
        false => Drained::Worked,
    });
    executor.schedule(&long);
    long_watch.wait_drains(10);
    let (process, watch) = countdown(immediate(), 5);
    executor.schedule(&process);
    watch.wait_released();
    let drains = long_watch.drains();
    long_watch.wait_drains(drains + 10);
    // The other way round: an immediate process that never rests does not keep a compute process out.
    let until = Arc::clone(&stop);
    let (restless, restless_watch) = watched(immediate(), move |_| match until.load(Ordering::Relaxed) {
        true => Drained::Finished,
        false => Drained::Worked,
    });
    executor.schedule(&restless);
    restless_watch.wait_drains(10);
    let (process, watch) = countdown(compute(1), 5);
    executor.schedule(&process);
    watch.wait_released();
    stop.store(true, Ordering::Relaxed);
    long_watch.wait_released();
    restless_watch.wait_released();
}

/// A panic ends the process, not the worker.
#[test]
fn a_panic_is_a_failure_of_the_process() {
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        // Not `watched`: its counts of who is inside do not survive an unwinding.
        let outcome = Arc::new(Mutex::new(None));
        let process = Process::new(Panics(Arc::clone(&outcome)), options);
        executor.schedule(&process);
        poll_until("completed", || outcome.lock().unwrap().is_some());
        let failure = outcome.lock().unwrap().take().unwrap().unwrap_err();
        assert_eq!(failure.to_string(), "INTERNAL; a drain panicked: on purpose");
    }
    let (process, watch) = countdown(immediate(), 1);
    executor.schedule(&process);
    watch.wait_released();
}

struct Panics(Arc<Mutex<Option<weft_sync::Result<()>>>>);

impl weft_task::Work for Panics {
    fn drain(&self, _: &weft_task::WorkerContext<'_>) -> Drained {
        panic!("on purpose")
    }

    fn completed(&self, outcome: weft_sync::Result<()>) {
        *self.0.lock().unwrap() = Some(outcome);
    }
}

#[test]
#[should_panic(expected = "a process belongs to the executor that scheduled it first")]
fn a_process_does_not_change_its_executor() {
    let (first, second) = (executor(1), executor(1));
    let (process, watch) = countdown(immediate(), 1);
    first.schedule(&process);
    watch.wait_released();
    second.schedule(&process);
}

#[test]
fn a_failure_from_outside_ends_a_process_that_rests() {
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        let (process, watch, ..) = consumer(options);
        executor.schedule(&process);
        watch.wait_drains(1);
        wait_asleep(&executor);
        executor.fail(&process, Status::new(Code::Aborted, "enough"));
        watch.wait_released();
        assert_eq!(watch.outcome().unwrap_err().code(), Code::Aborted);
    }
}

/// A drain that schedules something and then works on for long does not keep it from others.
#[test]
fn what_is_offered_to_a_busy_worker_is_taken_by_another() {
    let executor = executor(2);
    let (other, other_watch) = countdown(immediate(), 1);
    let seen = Arc::clone(&other_watch);
    let barrier = Arc::new(Barrier::new(1));
    let scheduled = AtomicBool::new(false);
    let (busy, watch) = watched(immediate(), move |worker| {
        if !scheduled.swap(true, Ordering::Relaxed) {
            worker.schedule_next(&other);
        }
        barrier.wait();
        if seen.is_released() { Drained::Finished } else { Drained::Worked }
    });
    executor.schedule(&busy);
    watch.wait_released();
}
