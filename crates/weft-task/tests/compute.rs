//! Compute processes: several workers in one process, slots and their overflow, release.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use support::{
    OpensWhenDropped, PATIENCE, SLOWNESS, Watch, compute, end_once_each, executor, poll_until, wait_asleep,
    watched,
};
use weft_sync::{Code, Deadline, Status};
use weft_task::{Drained, KeepWarm, Process, ProcessOptions};

/// Claims `count` tiles one by one; ends when all are done, not merely claimed.
fn tiles(options: ProcessOptions, count: u32) -> (Arc<Process>, Arc<Watch>, Arc<Tiles>) {
    let tiles = Arc::new(Tiles {
        done: (0..count).map(|_| AtomicU32::new(0)).collect(),
        next: AtomicU32::new(0),
        left: AtomicU32::new(count),
        workers: Mutex::new(HashSet::new()),
    });
    let shared = Arc::clone(&tiles);
    let (process, watch) = watched(options, move |worker| shared.drain(worker.local_index()));
    (process, watch, tiles)
}

struct Tiles {
    done: Vec<AtomicU32>,
    next: AtomicU32,
    left: AtomicU32,
    workers: Mutex<HashSet<usize>>,
}

impl Tiles {
    fn drain(&self, worker: usize) -> Drained {
        let tile = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        let Some(done) = self.done.get(tile) else { return Drained::Nothing };
        done.fetch_add(1, Ordering::Relaxed);
        self.workers.lock().unwrap().insert(worker);
        match self.left.fetch_sub(1, Ordering::AcqRel) {
            1 => Drained::Finished,
            _ => Drained::Worked,
        }
    }

    fn each_once(&self) -> bool {
        self.done.iter().all(|done| done.load(Ordering::Relaxed) == 1)
    }
}

/// [task 38]
#[test]
fn each_tile_is_done_once_and_by_several_workers() {
    let executor = executor(4);
    let (process, watch, few) = tiles(compute(4), 100);
    executor.schedule(&process);
    watch.wait_released();
    assert!(few.each_once());
    // On a machine with few processors a run may be over before a second worker is awake; some run is not.
    let several = (0..200).any(|_| {
        let (process, watch, many) = tiles(compute(4), 10_000 / SLOWNESS);
        executor.schedule(&process);
        watch.wait_released();
        assert!(many.each_once());
        many.workers.lock().unwrap().len() > 1
    });
    assert!(several, "one worker did everything, always");
}

/// [task 39]
#[test]
fn more_processes_than_slots_all_end() {
    for count in [8, 17, 40, 200] {
        let executor = executor(2);
        let all: Vec<_> = (0..count).map(|_| tiles(compute(2), 10)).collect();
        for (process, ..) in &all {
            executor.schedule(process);
        }
        for (_, watch, tiles) in &all {
            watch.wait_released();
            assert!(tiles.each_once());
        }
    }
}

/// Those in the overflow list come first before those that are placed over and over.
#[test]
fn the_overflow_is_first_come_first_served() {
    let executor = executor(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let gate = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..48_u32)
        .map(|number| {
            let (order, gate) = (Arc::clone(&order), Arc::clone(&gate));
            watched(compute(1), move |_| {
                if !gate.load(Ordering::Acquire) {
                    return Drained::Again;
                }
                order.lock().unwrap().push(number);
                Drained::Finished
            })
        })
        .collect();
    for (process, _) in &all {
        executor.schedule(process);
    }
    gate.store(true, Ordering::Release);
    all.iter().for_each(|(_, watch)| watch.wait_released());
    // Sixteen slots are visited in turn; what was placed later cannot come before what was placed a round earlier.
    for (position, &number) in order.lock().unwrap().iter().enumerate() {
        assert!(position.abs_diff(number as usize) <= 32, "{number} came at {position}");
    }
}

/// [task 40]
#[test]
fn a_chain_of_narrowing_processes() {
    let executor = executor(4);
    let (third, end, _) = tiles(ProcessOptions { suspend_count: 1, ..compute(1) }, 20);
    let (second, ..) = tiles(ProcessOptions { suspend_count: 1, dependents: vec![third], ..compute(2) }, 20);
    let (first, ..) = tiles(ProcessOptions { dependents: vec![second], ..compute(4) }, 20);
    executor.schedule(&first);
    end.wait_released();
}

/// One fails while three others are inside, and stay: told at once, released when they have left. [task 41, 42]
#[test]
fn a_failure_in_one_drain_ends_all() {
    for _ in 0..50 / SLOWNESS {
        let executor = executor(4);
        let (drains, leave) = (AtomicU32::new(0), Arc::new(AtomicBool::new(false)));
        let gate = Arc::clone(&leave);
        let (process, watch) = watched(compute(4), move |_| {
            if drains.fetch_add(1, Ordering::AcqRel) == 3 {
                return Drained::Failed(Status::new(Code::DataLoss, "lost"));
            }
            while !gate.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            Drained::Failed(Status::new(Code::Internal, "late"))
        });
        let open = OpensWhenDropped(leave);
        executor.schedule(&process);
        watch.wait_completed();
        assert!(!watch.is_released() && watch.inside.load(Ordering::Acquire) >= 3);
        drop(open);
        watch.wait_released();
        assert_eq!(watch.outcome().unwrap_err().code(), Code::DataLoss);
        end_once_each(executor, [&watch]);
    }
}

/// The same at any moment, with whoever happens to be inside. [task 41, 42]
#[test]
fn a_failure_at_any_moment_ends_all_once() {
    let executor = executor(4);
    let watches: Vec<_> = (0..200 / SLOWNESS)
        .map(|_| {
            let drains = AtomicU32::new(0);
            let (process, watch) =
                watched(compute(4), move |_| match drains.fetch_add(1, Ordering::Relaxed) {
                    50 => Drained::Failed(Status::new(Code::DataLoss, "lost")),
                    _ => Drained::Worked,
                });
            executor.schedule(&process);
            watch.wait_released();
            assert_eq!(watch.outcome().unwrap_err().code(), Code::DataLoss);
            watch
        })
        .collect();
    end_once_each(executor, &watches);
}

/// Completion comes while another worker is still inside, release after it has left; meanwhile what the process owns is
/// used. [task 42, 43]
#[test]
fn whoever_is_inside_keeps_the_process_alive() {
    let executor = executor(2);
    let (inside, leave) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, gate) = (Arc::clone(&inside), Arc::clone(&leave));
    let data = vec![7_u8; 4096];
    let (process, watch) = watched(compute(2), move |_| {
        if count.fetch_add(1, Ordering::AcqRel) == 0 {
            while !gate.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            assert_eq!(data.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 7 * 4096);
            return Drained::Worked;
        }
        Drained::Finished
    });
    executor.schedule(&process);
    // The second worker ends the process while the first one is inside. The handle goes, too.
    drop(process);
    watch.wait_completed();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(!watch.is_released());
    leave.store(true, Ordering::Release);
    watch.wait_released();
    end_once_each(executor, [&watch]);
}

/// [task 44, 53]
#[test]
fn one_worker_that_stays_keeps_the_process_in_its_slot() {
    let executor = executor(4);
    let done = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&done);
    let watching = AtomicBool::new(false);
    let (process, watch) = watched(compute(4), move |_| {
        if end.load(Ordering::Acquire) {
            return Drained::Finished;
        }
        // The first one to come is elected to watch; the others find nothing and leave.
        if watching.swap(true, Ordering::AcqRel) {
            return Drained::Nothing;
        }
        std::thread::yield_now();
        watching.store(false, Ordering::Release);
        Drained::Again
    });
    executor.schedule(&process);
    for _ in 0..20 {
        let drains = watch.drains();
        watch.wait_drains(drains + 10);
        let occupied = executor.report().slots.len();
        assert_eq!(occupied, 1, "the process stays where it is");
    }
    // Nobody schedules it again: the watcher sees the change.
    done.store(true, Ordering::Release);
    watch.wait_released();
}

/// [task 46]
#[test]
fn twenty_thousand_schedules_while_draining() {
    let executor = executor(2);
    let (items, consumed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let total = 20_000 / SLOWNESS;
    let (from, to) = (Arc::clone(&items), Arc::clone(&consumed));
    let (process, watch) = watched(compute(2), move |_| match from.swap(0, Ordering::Relaxed) {
        0 => Drained::Nothing,
        // With the last item it ends, whatever is scheduled at that moment.
        found if to.fetch_add(found, Ordering::Relaxed) + found >= total => Drained::Finished,
        _ => Drained::Worked,
    });
    for _ in 0..total {
        items.fetch_add(1, Ordering::Relaxed);
        executor.schedule(&process);
    }
    poll_until("consumed", || consumed.load(Ordering::Relaxed) == total);
    (0..100).for_each(|_| executor.schedule(&process));
    watch.wait_released();
    end_once_each(executor, [&watch]);
}

/// [task 47]
#[test]
fn scheduling_what_is_about_to_end_ends_it_once() {
    let executor = executor(2);
    let watches: Vec<_> = (0..500 / SLOWNESS)
        .map(|_| {
            let (process, watch) = watched(compute(2), |_| Drained::Finished);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..10).for_each(|_| executor.schedule(&process)));
                }
            });
            watch.wait_released();
            // It is over now, and scheduled all the same, also from several threads.
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| executor.schedule(&process));
                }
            });
            assert!(watch.outcome().is_ok());
            watch
        })
        .collect();
    end_once_each(executor, &watches);
}

/// Entries and releases at the same time, thousands of times; a corrupt gate would keep the slot for ever. [task 48]
#[test]
fn late_entrants_leave_the_gate_as_it_was() {
    let executor = executor(4);
    for _ in 0..2_000 / SLOWNESS {
        let (process, watch) = watched(compute(4), |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
    }
    wait_asleep(&executor);
    assert!(executor.report().slots.is_empty());
    let (process, watch) = watched(compute(4), |_| Drained::Finished);
    executor.schedule(&process);
    watch.wait_released();
}

/// One process, placed and released over and over, in the same slot at the same address. [task 49]
#[test]
fn a_process_comes_back_to_its_slot() {
    let executor = executor(3);
    let count = Arc::new(AtomicU32::new(0));
    let published = Arc::new(AtomicU32::new(0));
    let (to, from) = (Arc::clone(&count), Arc::clone(&published));
    let (process, _) = watched(compute(3), move |_| match from.swap(0, Ordering::Relaxed) {
        0 => Drained::Nothing,
        found => {
            to.fetch_add(found, Ordering::Relaxed);
            Drained::Worked
        }
    });
    for round in 1..=3_000 / SLOWNESS {
        published.fetch_add(1, Ordering::Relaxed);
        executor.schedule(&process);
        poll_until("seen", || count.load(Ordering::Relaxed) == round);
        if round % 16 == 0 {
            poll_until("given up", || executor.report().slots.is_empty());
        }
    }
}

/// [task 50]
#[test]
fn a_budget_of_one_in_a_slot() {
    let executor = executor(2);
    let (process, watch, tiles) = tiles(compute(1), 50);
    executor.schedule(&process);
    watch.wait_released();
    assert!(tiles.each_once());
    let counters = executor.counters();
    assert!(counters.compute_drains >= 50 && counters.immediate_drains == 0);
}

/// What a lowered one does is shown beside the claims. [task 51]
#[test]
fn a_growing_budget_wakes_more_workers() {
    let executor = executor(4);
    wait_asleep(&executor);
    let (inside, end) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, gate) = (Arc::clone(&inside), Arc::clone(&end));
    let widened = AtomicBool::new(false);
    let (process, watch) = watched(compute(1), move |worker| {
        if !widened.swap(true, Ordering::Relaxed) {
            worker.set_wake_budget(4);
        }
        count.fetch_add(1, Ordering::AcqRel);
        while !gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Drained::Finished
    });
    executor.schedule(&process);
    poll_until("joined", || inside.load(Ordering::Acquire) == 4);
    end.store(true, Ordering::Release);
    watch.wait_released();
}

#[test]
fn nobody_stays_warm_where_nobody_may() {
    let executor = executor(4);
    let stays = Arc::new(AtomicU32::new(0));
    let (process, _) = watched(compute(4), {
        let stays = Arc::clone(&stays);
        move |worker| {
            stays.fetch_add(1, Ordering::Relaxed);
            let epoch = worker.process().retention_epoch();
            Drained::KeepWarm(KeepWarm { epoch, retainers_max: 0 })
        }
    });
    executor.schedule(&process);
    wait_asleep(&executor);
    assert!(stays.load(Ordering::Relaxed) > 0);
    assert_eq!(executor.counters().warm_stays, 0, "no claim is to be had");
}

/// Two are wanted, one of which has looked in vain and is about to sleep: the other one, who was asleep, has taken up what
/// was published by the time this one shows itself. It goes in all the same. [task 38]
#[test]
fn who_is_about_to_sleep_is_one_of_those_who_are_wanted() {
    let executor = executor(1);
    wait_asleep(&executor);
    let inside = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&inside);
    let give_up = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&give_up);
    let (process, watch) = watched(compute(2), move |_| {
        count.fetch_add(1, Ordering::AcqRel);
        while count.load(Ordering::Acquire) < 2 && !gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Drained::Finished
    });
    let _open = OpensWhenDropped(give_up);
    let guest = executor.lend().expect("a seat is free");
    let mut questions = 0;
    let joined = guest.run_until(Deadline::after(PATIENCE), || {
        questions += 1;
        // Asked at the beginning, after the look at everything, and in the last look before the sleep.
        if questions == 2 {
            executor.schedule(&process);
            poll_until("inside", || inside.load(Ordering::Acquire) == 1);
        }
        inside.load(Ordering::Acquire) == 2
    });
    assert!(joined, "it slept while it was wanted");
    watch.wait_released();
}

/// [task 45]
#[test]
fn who_stays_warm_comes_back_when_the_epoch_moves() {
    let executor = executor(1);
    let (process, watch) = watched(compute(1), |worker| {
        let epoch = worker.process().retention_epoch();
        Drained::KeepWarm(KeepWarm { epoch, retainers_max: 8 })
    });
    executor.schedule(&process);
    wait_asleep(&executor);
    let counters = executor.counters();
    assert!(counters.warm_stays > 0);
    assert_eq!(counters.warm_hits, 0, "the epoch did not move, so nobody came back");
    assert!(executor.report().slots.is_empty(), "and the slot was given up in the end");
    // Under load the worker may lose its processor during the window; some stay is met.
    poll_until("met", || {
        executor.schedule(&process);
        for _ in 0..1_000 {
            process.advance_retention();
        }
        executor.counters().warm_hits > 0
    });
    wait_asleep(&executor);
    assert!(watch.outcomes.lock().unwrap().is_empty());
}

/// [task 52]
#[test]
fn a_slot_freed_while_another_process_is_placed() {
    let executor = executor(2);
    for _ in 0..300 / SLOWNESS {
        let all: Vec<_> = (0..20).map(|_| watched(compute(1), |_| Drained::Finished)).collect();
        let (first, second) = all.split_at(10);
        std::thread::scope(|scope| {
            scope.spawn(|| first.iter().for_each(|(process, _)| executor.schedule(process)));
            second.iter().for_each(|(process, _)| executor.schedule(process));
        });
        all.iter().for_each(|(_, watch)| watch.wait_released());
    }
}
