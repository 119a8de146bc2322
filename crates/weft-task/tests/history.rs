//! The bugs of the reference, each as a test named after what its users saw. Numbers: `docs/spec/task.md` section 13.
//!
//! H13 and H16 are about affinity and topology and are shown there. What a single schedule decides is shown by the models
//! in `tests/loom`, over every interleaving.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{
    SLOWNESS, compute, deeds, executor, immediate, poll_until, small, suspended, wait_asleep, watched,
};
use weft_sync::Deadline;
use weft_task::{
    Drained, Executor, ExecutorOptions, Process, ProcessOptions, Scope, ScopeOptions, State, Work,
    WorkerContext,
};

/// H1: a wake-up was lost between a rest and a schedule.
#[test]
fn h1_a_schedule_was_lost_while_the_process_went_to_rest() {
    for options in [immediate(), compute(1)] {
        let executor = executor(1);
        let (items, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (from, to) = (Arc::clone(&items), Arc::clone(&seen));
        let (process, _) = watched(options, move |_| {
            // One look an item: it rests after each, so nearly every schedule meets a rest.
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            Drained::Nothing
        });
        for item in 1..=5_000 / SLOWNESS {
            items.store(item, Ordering::Relaxed);
            executor.schedule(&process);
            let mut looks = 0_u32;
            while seen.load(Ordering::Relaxed) != item {
                looks += 1;
                if looks > 100 {
                    poll_until("seen", || seen.load(Ordering::Relaxed) == item);
                }
                std::thread::yield_now();
            }
        }
    }
}

/// H2: atomics were left as zeroes that nobody had written.
#[test]
fn h2_a_fresh_process_was_in_no_state_at_all() {
    let (fresh, _) = watched(immediate(), |_| Drained::Nothing);
    assert_eq!(fresh.state(), State::Runnable);
    assert_eq!((fresh.wake_budget(), fresh.retention_epoch()), (1, 0));
    let (fresh, _) = watched(suspended(2), |_| Drained::Nothing);
    assert_eq!(fresh.state(), State::Suspended);
    assert!(format!("{fresh:?}").contains("idle"), "{fresh:?}");
}

/// Ends a scope when it is released, like a queue operation.
struct InScope {
    scope: Arc<Scope>,
    completed: AtomicU32,
}

impl Work for InScope {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        Drained::Finished
    }

    fn completed(&self, _: weft_sync::Result<()>) {
        assert_eq!(self.completed.fetch_add(1, Ordering::AcqRel), 0, "completed twice");
    }

    fn released(&self) {
        self.scope.end();
    }
}

/// H3: a process that was over became idle, was placed again, and ended twice: the scope never became idle.
#[test]
fn h3_the_wait_for_idle_hung_because_a_process_ended_twice() {
    let executor = executor(2);
    let scope = Arc::new(Scope::new("h3", ScopeOptions::default()));
    for _ in 0..1_000 / SLOWNESS {
        scope.begin();
        let work = InScope { scope: Arc::clone(&scope), completed: AtomicU32::new(0) };
        let process = Process::new(work, compute(2));
        executor.schedule(&process);
        executor.schedule(&process);
        scope.wait_idle(Deadline::after(support::PATIENCE)).unwrap();
        executor.schedule(&process);
    }
    wait_asleep(&executor);
    assert!(scope.is_abandoned());
}

/// H4: idle was stored at completion, so a second slot got the process while the first was still draining it.
#[test]
fn h4_two_slots_held_one_process() {
    let executor = executor(3);
    let (stay, done) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let (gate, count) = (Arc::clone(&stay), Arc::clone(&done));
    let (process, watch) = watched(compute(2), move |_| {
        if count.fetch_add(1, Ordering::AcqRel) > 0 {
            return Drained::Finished;
        }
        while gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Drained::Worked
    });
    executor.schedule(&process);
    watch.wait_completed();
    for _ in 0..100 {
        executor.schedule(&process);
        assert!(executor.report().slots.len() <= 1);
    }
    assert!(!watch.is_released());
    stay.store(false, Ordering::Release);
    watch.wait_released();
}

/// H5: with all slots full a process was dropped, and what waited for it hung for ever.
#[test]
fn h5_the_seventeenth_process_was_dropped() {
    let executor = executor(2);
    let go = Arc::new(AtomicBool::new(false));
    let (last, watch) = watched(suspended(40), |_| Drained::Finished);
    for _ in 0..40 {
        let go = Arc::clone(&go);
        let options = ProcessOptions { dependents: vec![Arc::clone(&last)], ..compute(2) };
        let (process, _) = watched(options, move |_| match go.load(Ordering::Acquire) {
            true => Drained::Finished,
            false => Drained::Again,
        });
        executor.schedule(&process);
    }
    go.store(true, Ordering::Release);
    watch.wait_released();
}

/// H6: the scope ended with the completion, while siblings were draining what its owner then freed.
#[test]
fn h6_the_queue_was_freed_under_a_draining_worker() {
    let executor = executor(2);
    for _ in 0..300 / SLOWNESS {
        let scope = Arc::new(Scope::new("h6", ScopeOptions::default()));
        scope.begin();
        let inside = Arc::new(AtomicU32::new(0));
        let process = Process::new(
            Leaves { inside: Arc::clone(&inside), scope: Arc::clone(&scope), drains: AtomicU32::new(0) },
            compute(2),
        );
        executor.schedule(&process);
        scope.wait_idle(Deadline::after(support::PATIENCE)).unwrap();
        assert_eq!(inside.load(Ordering::Acquire), 0, "idle, but a worker is inside");
    }
}

struct Leaves {
    inside: Arc<AtomicU32>,
    scope: Arc<Scope>,
    drains: AtomicU32,
}

impl Work for Leaves {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        self.inside.fetch_add(1, Ordering::AcqRel);
        let last = self.drains.fetch_add(1, Ordering::Relaxed) >= 4;
        std::thread::yield_now();
        self.inside.fetch_sub(1, Ordering::AcqRel);
        if last { Drained::Finished } else { Drained::Worked }
    }

    fn released(&self) {
        self.scope.end();
    }
}

/// H7: workers that got no tile of one region said so, parked, and missed all later regions.
#[test]
fn h7_a_worker_without_a_tile_missed_the_later_regions() {
    let executor = executor(2);
    let (region, workers) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (current, seen) = (Arc::clone(&region), Arc::clone(&workers));
    let (process, watch) = watched(compute(2), move |worker| {
        let now = current.load(Ordering::Acquire);
        let mut seen = seen.lock().unwrap();
        if !seen.contains(&(now, worker.local_index())) {
            seen.push((now, worker.local_index()));
        }
        if now == 20 { Drained::Finished } else { Drained::Again }
    });
    executor.schedule(&process);
    for next in 1..=20 {
        // Both are still there in each region, though there is never a tile for either.
        let here = || workers.lock().unwrap().iter().filter(|entry| entry.0 == next - 1).count();
        poll_until("both here", || here() == 2);
        region.store(next, Ordering::Release);
    }
    watch.wait_released();
}

/// H8, H9: workers that met a recording about to close span on it, or slept though the next one was there. Here: an answer
/// of nothing lets the last one leave, and a publication after it brings somebody back.
#[test]
fn h8_h9_workers_span_on_what_was_closing_or_slept_through_the_next() {
    let executor = executor(2);
    let (recording, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (from, to) = (Arc::clone(&recording), Arc::clone(&done));
    let (process, watch) = watched(compute(2), move |_| match from.swap(0, Ordering::AcqRel) {
        0 => Drained::Nothing,
        number => {
            to.store(number, Ordering::Release);
            Drained::Worked
        }
    });
    for number in 1..=2_000 / SLOWNESS {
        recording.store(number, Ordering::Release);
        executor.schedule(&process);
        poll_until("done", || done.load(Ordering::Acquire) == number);
    }
    wait_asleep(&executor);
    assert!(executor.report().slots.is_empty());
    let drains = watch.drains();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(watch.drains(), drains, "nobody spins on it");
}

/// H10, H11, H12: empty lists were locked, looked at first, and masks were written on each turn. Here: a busy worker that
/// finds its work in a slot neither sleeps nor wakes, and counts no immediate drain.
#[test]
fn h10_h11_h12_busy_workers_fought_over_an_empty_list() {
    let executor = executor(1);
    let left = AtomicU32::new(100_000 / SLOWNESS);
    let (process, watch) = watched(compute(1), move |_| match left.fetch_sub(1, Ordering::Relaxed) {
        1 => Drained::Finished,
        _ => Drained::Worked,
    });
    wait_asleep(&executor);
    let before = executor.counters();
    executor.schedule(&process);
    watch.wait_released();
    wait_asleep(&executor);
    let after = executor.counters();
    assert_eq!(after.immediate_drains, before.immediate_drains);
    assert!(after.sleeps - before.sleeps <= 2, "{after:?}");
    let drains = after.compute_drains - before.compute_drains;
    assert!((after.entries - before.entries) * 32 < drains, "a visit is many drains: {after:?}");
}

/// H14: all workers said they were number 0, and raced for its state.
#[test]
fn h14_all_workers_had_the_same_index() {
    let executor = executor(4);
    let here: Arc<[AtomicU32; 4]> = Arc::default();
    let state = Arc::clone(&here);
    let left = AtomicU32::new(20_000 / SLOWNESS);
    let (process, watch) = watched(compute(4), move |worker| {
        let mine = &state[worker.index()];
        assert_eq!(mine.fetch_add(1, Ordering::AcqRel), 0, "somebody else has this index");
        mine.fetch_sub(1, Ordering::AcqRel);
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(1) | Err(_) => Drained::Finished,
            Ok(_) => Drained::Worked,
        }
    });
    executor.schedule(&process);
    watch.wait_released();
    assert!(watch.outcome().is_ok());
}

/// H15: a start that failed half-way took apart what had never been made. See `lifecycle.rs` for every worker.
#[test]
fn h15_a_failed_start_destroyed_what_was_never_made() {
    for _ in 0..20 {
        assert!(Executor::new(&ExecutorOptions { workers: 2_000, ..small() }).is_err());
    }
}

/// H17: credits for which nobody slept were handed round for ever.
#[test]
fn h17_workers_relayed_wakes_to_nobody_for_ever() {
    let executor = executor(2);
    for _ in 0..200 {
        let (process, watch) = watched(compute(1_000), |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
    }
    wait_asleep(&executor);
    let before = deeds(&executor);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(deeds(&executor), before);
}

/// H18: what was published at the same time as a rest was left behind in an idle process.
#[test]
fn h18_work_was_left_in_an_idle_process() {
    let executor = executor(2);
    let (list, sum) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
    let (from, to) = (Arc::clone(&list), Arc::clone(&sum));
    let (process, _) = watched(compute(2), move |_| match from.lock().unwrap().pop() {
        None => Drained::Nothing,
        Some(number) => {
            to.fetch_add(number, Ordering::Relaxed);
            Drained::Worked
        }
    });
    let each = 2_000 / SLOWNESS;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..each {
                    list.lock().unwrap().push(1);
                    executor.schedule(&process);
                }
            });
        }
    });
    poll_until("all taken", || sum.load(Ordering::Relaxed) == 3 * each);
}

/// H19: a region of one tile woke every worker.
#[test]
fn h19_one_tile_woke_everybody() {
    let executor = executor(8);
    wait_asleep(&executor);
    let before = executor.counters();
    for _ in 0..50 {
        let (process, watch) = watched(compute(1), |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
        wait_asleep(&executor);
    }
    let after = executor.counters();
    // One each; a second one now and then, where a look met an open gate.
    assert!(after.claims - before.claims <= 100, "{after:?}");
}

/// H20: what asks for whole cache lines was given any address. The size and alignment of a process are also checked when
/// it is compiled.
#[test]
fn h20_structures_lay_across_cache_lines() {
    for _ in 0..100 {
        let (process, _) = watched(immediate(), |_| Drained::Nothing);
        assert_eq!(Arc::as_ptr(&process) as usize % 64, 0);
    }
}
