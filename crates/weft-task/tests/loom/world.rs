//! Whole workers: lists, slots, overflow, end and cancellation as they are.

use super::wide_model;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::{Code, Deadline, Result, Status};
use weft_task::model::World;
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

/// Consumes items; ends after `last` of them, if it is not 0.
struct Items {
    items: AtomicU32,
    consumed: AtomicU32,
    last: u32,
    completed: AtomicU32,
    released: AtomicU32,
    drained: std::sync::atomic::AtomicU32,
    inside: AtomicU32,
    changed: Notification,
}

impl Items {
    fn new(last: u32) -> Arc<Items> {
        Arc::new(Items {
            items: AtomicU32::new(0),
            consumed: AtomicU32::new(0),
            last,
            completed: AtomicU32::new(0),
            released: AtomicU32::new(0),
            drained: std::sync::atomic::AtomicU32::new(0),
            inside: AtomicU32::new(0),
            changed: Notification::new(),
        })
    }

    fn publish(&self, world: &World, process: &Arc<Process>) {
        self.items.fetch_add(1, Ordering::Relaxed);
        world.schedule(process);
    }

    fn wait_consumed(&self, count: u32) {
        self.wait(|| self.consumed.load(Ordering::Relaxed) >= count);
    }

    fn wait_released(&self) {
        self.wait(|| self.released.load(Ordering::Relaxed) > 0);
    }

    fn wait(&self, condition: impl Fn() -> bool) {
        loop {
            let observation = self.changed.observe();
            if condition() {
                return;
            }
            observation.wait(Deadline::NEVER);
        }
    }
}

impl Work for Items {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        assert_eq!(self.released.load(Ordering::Relaxed), 0, "drained after its release");
        self.inside.fetch_add(1, Ordering::Relaxed);
        // Not of the model: a count that decides nothing.
        self.drained.fetch_add(1, Ordering::Relaxed);
        let found = self.items.swap(0, Ordering::Relaxed);
        let drained = if found == 0 {
            Drained::Nothing
        } else {
            let consumed = self.consumed.fetch_add(found, Ordering::Relaxed) + found;
            self.changed.signal(WAKE_ALL);
            if consumed == self.last { Drained::Finished } else { Drained::Worked }
        };
        self.inside.fetch_sub(1, Ordering::Relaxed);
        drained
    }

    fn completed(&self, _: Result<()>) {
        assert_eq!(self.completed.fetch_add(1, Ordering::Relaxed), 0, "completed twice");
    }

    fn released(&self) {
        assert_eq!(self.inside.load(Ordering::Relaxed), 0, "released while somebody is inside");
        assert_eq!(self.completed.load(Ordering::Relaxed), 1, "released before it was completed");
        assert_eq!(self.released.fetch_add(1, Ordering::Relaxed), 0, "released twice");
        self.changed.signal(WAKE_ALL);
    }
}

fn compute() -> ProcessOptions {
    ProcessOptions { compute_slot: true, ..ProcessOptions::default() }
}

fn worker(world: &World, index: usize) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || world.run(index))
}

fn pass(world: &World, index: usize) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || world.pass(index))
}

/// A scheduler against a worker that sleeps, looks and drains; then the end against its sleep. [task 36]
fn scheduled_while_it_falls_asleep(options: fn() -> ProcessOptions) {
    wide_model(move || {
        let (world, items) = (World::new(1, 0), Items::new(0));
        let process = Process::new(Arc::clone(&items), options());
        let worker = worker(&world, 0);
        items.publish(&world, &process);
        items.wait_consumed(1);
        world.exit();
        worker.join().unwrap();
    });
}

#[test]
fn an_immediate_process_is_not_slept_through() {
    scheduled_while_it_falls_asleep(ProcessOptions::default);
}

#[test]
fn a_compute_process_is_not_slept_through() {
    scheduled_while_it_falls_asleep(compute);
}

/// Two schedulers of one compute process against a worker that may give its slot up: nothing is left behind.
/// [task 36]
#[test]
fn two_schedulers_and_a_release() {
    wide_model(|| {
        let (world, items) = (World::new(1, 0), Items::new(0));
        let process = Process::new(Arc::clone(&items), compute());
        let scheduler = thread::spawn({
            let (world, items, process) = (world.clone(), Arc::clone(&items), Arc::clone(&process));
            move || items.publish(&world, &process)
        });
        items.publish(&world, &process);
        world.pass(0);
        scheduler.join().unwrap();
        world.pass(0);
        assert_eq!(items.consumed.load(Ordering::Relaxed), 2);
        assert!(!world.is_occupied(), "the slot was not given up");
    });
}

/// Two workers in one slot, one of which ends the process: one completion, one release, after both have left.
#[test]
fn two_workers_end_a_process_once() {
    wide_model(|| {
        let (world, items) = (World::new(2, 0), Items::new(1));
        let process = Process::new(Arc::clone(&items), compute());
        items.publish(&world, &process);
        let other = pass(&world, 1);
        world.pass(0);
        other.join().unwrap();
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
        assert!(!world.is_occupied());
        assert_eq!(Arc::strong_count(&process), 1, "the slot gave its reference back");
    });
}

/// Ends when two are inside; whoever comes first waits for the other one.
struct Pair {
    inside: AtomicU32,
    changed: Notification,
}

impl Pair {
    fn wait_for_both(&self) {
        loop {
            let observation = self.changed.observe();
            if self.inside.load(Ordering::Relaxed) >= 2 {
                return;
            }
            observation.wait(Deadline::NEVER);
        }
    }
}

impl Work for Pair {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        self.inside.fetch_add(1, Ordering::Relaxed);
        self.changed.signal(WAKE_ALL);
        self.wait_for_both();
        Drained::Finished
    }
}

/// Two are wanted. One takes up what was published; the other one, which may be asleep, about to sleep or not there yet,
/// comes too.
#[test]
fn all_who_are_wanted_come() {
    wide_model(|| {
        let world = World::new(2, 0);
        let pair = Arc::new(Pair { inside: AtomicU32::new(0), changed: Notification::new() });
        let options = ProcessOptions { wake_budget: 2, ..ProcessOptions::default() };
        let process = Process::new(Arc::clone(&pair), options);
        let other = worker(&world, 1);
        world.schedule(&process);
        world.pass(0);
        world.exit();
        other.join().unwrap();
    });
}

/// The slot is used again, by the same process at the same address, while a worker that saw the first placement is late.
#[test]
fn a_slot_is_used_again_under_a_late_entrant() {
    wide_model(|| {
        let (world, items) = (World::new(2, 0), Items::new(2));
        let process = Process::new(Arc::clone(&items), compute());
        items.publish(&world, &process);
        let late = pass(&world, 1);
        world.pass(0);
        items.publish(&world, &process);
        world.pass(0);
        late.join().unwrap();
        world.pass(0);
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
        assert!(!world.is_occupied());
    });
}

/// One slot, two processes: the second is listed while the first one gives the slot up. Neither misses the other.
#[test]
fn what_overflows_is_promoted() {
    wide_model(|| {
        let (world, first, second) = (World::new(1, 0), Items::new(1), Items::new(1));
        let processes = [&first, &second].map(|items| Process::new(Arc::clone(items), compute()));
        first.publish(&world, &processes[0]);
        let scheduler = thread::spawn({
            let (world, second, process) = (world.clone(), Arc::clone(&second), Arc::clone(&processes[1]));
            move || second.publish(&world, &process)
        });
        world.pass(0);
        scheduler.join().unwrap();
        world.pass(0);
        assert_eq!(first.released.load(Ordering::Relaxed), 1);
        assert_eq!(second.released.load(Ordering::Relaxed), 1);
    });
}

/// The same with a worker that sleeps: somebody is woken for what was promoted, or placed under a closed gate.
#[test]
fn nobody_sleeps_over_what_was_promoted() {
    wide_model(|| {
        let (world, first, second) = (World::new(1, 0), Items::new(1), Items::new(1));
        let processes = [&first, &second].map(|items| Process::new(Arc::clone(items), compute()));
        first.publish(&world, &processes[0]);
        let worker = worker(&world, 0);
        second.publish(&world, &processes[1]);
        second.wait_released();
        first.wait_released();
        world.exit();
        worker.join().unwrap();
    });
}

/// A cancel against the drain that ends the process, or leaves it to rest.
fn cancelled_while_it_is_drained(options: fn() -> ProcessOptions, last: u32) {
    wide_model(move || {
        let (world, items) = (World::new(1, 0), Items::new(last));
        let process = Process::new(Arc::clone(&items), options());
        items.publish(&world, &process);
        let canceller = thread::spawn({
            let (world, process) = (world.clone(), Arc::clone(&process));
            move || world.cancel(&process)
        });
        world.pass(0);
        canceller.join().unwrap();
        world.pass(0);
        assert_eq!(items.completed.load(Ordering::Relaxed), 1);
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_cancel_and_the_end_of_an_immediate_process() {
    cancelled_while_it_is_drained(ProcessOptions::default, 1);
    cancelled_while_it_is_drained(ProcessOptions::default, 0);
}

#[test]
fn a_cancel_and_the_end_of_a_compute_process() {
    cancelled_while_it_is_drained(compute, 1);
    cancelled_while_it_is_drained(compute, 0);
}

/// A cancel against the wake that makes the process runnable: it ends once, here or there. [task 17]
#[test]
fn a_cancel_and_the_last_wake() {
    wide_model(|| {
        let (world, items) = (World::new(1, 0), Items::new(1));
        let options = ProcessOptions { suspend_count: 1, ..ProcessOptions::default() };
        let process = Process::new(Arc::clone(&items), options);
        let canceller = thread::spawn({
            let (world, process) = (world.clone(), Arc::clone(&process));
            move || world.cancel(&process)
        });
        if process.wake() {
            items.publish(&world, &process);
        }
        canceller.join().unwrap();
        world.pass(0);
        assert_eq!(items.completed.load(Ordering::Relaxed), 1);
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
    });
}

/// Somebody schedules a suspended process that somebody else is just ending: it is told once, released once, and released
/// after it was told, whichever of the two and the worker does which. `end` is a cancel or a failure.
fn ended_while_it_is_scheduled(options: fn() -> ProcessOptions, end: fn(&World, &Arc<Process>)) {
    wide_model(move || {
        let (world, items) = (World::new(1, 0), Items::new(0));
        let process = Process::new(Arc::clone(&items), ProcessOptions { suspend_count: 1, ..options() });
        // The one who ends it is the one who is interrupted: the other one does all it can meanwhile.
        let scheduler = thread::spawn({
            let (world, process) = (world.clone(), Arc::clone(&process));
            move || {
                world.schedule(&process);
                world.pass(0);
            }
        });
        end(&world, &process);
        scheduler.join().unwrap();
        world.pass(0);
        assert_eq!(items.completed.load(Ordering::Relaxed), 1);
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
        assert_eq!(items.drained.load(Ordering::Relaxed), 0, "drained after its end");
    });
}

/// [task 14]
#[test]
fn a_cancel_and_a_schedule_of_the_suspended() {
    ended_while_it_is_scheduled(ProcessOptions::default, World::cancel);
    ended_while_it_is_scheduled(compute, World::cancel);
}

#[test]
fn a_failure_and_a_schedule_of_the_suspended() {
    let fail = |world: &World, process: &Arc<Process>| {
        world.fail(process, Status::new(Code::DataLoss, "lost"));
    };
    ended_while_it_is_scheduled(ProcessOptions::default, fail);
}

/// Somebody outside completes what a worker is about to end: the release waits until `completed` has returned. [task 42]
#[test]
fn an_end_from_outside_is_told_before_the_release() {
    for options in [ProcessOptions::default, compute] {
        wide_model(move || {
            let (world, items) = (World::new(1, 0), Items::new(1));
            let process = Process::new(Arc::clone(&items), options());
            items.publish(&world, &process);
            let outside = thread::spawn({
                let process = Arc::clone(&process);
                move || process.complete(|_| ())
            });
            world.pass(0);
            outside.join().unwrap();
            world.schedule(&process);
            world.pass(0);
            assert_eq!(items.completed.load(Ordering::Relaxed), 1);
            assert_eq!(items.released.load(Ordering::Relaxed), 1);
        });
    }
}

/// A failure is reported while the last wake comes: the process is not drained, and ends with the failure.
#[test]
fn a_report_and_the_last_wake() {
    wide_model(|| {
        let (world, items) = (World::new(1, 0), Items::new(0));
        let options = ProcessOptions { suspend_count: 1, ..ProcessOptions::default() };
        let process = Process::new(Arc::clone(&items), options);
        let waker = thread::spawn({
            let process = Arc::clone(&process);
            move || process.wake()
        });
        assert!(process.report(Status::new(Code::DataLoss, "lost")));
        assert!(waker.join().unwrap());
        world.schedule(&process);
        world.pass(0);
        assert_eq!(items.released.load(Ordering::Relaxed), 1);
        assert_eq!(items.drained.load(Ordering::Relaxed), 0, "drained although it has failed");
    });
}

/// A worker that starts, looks and sleeps while the executor ends.
#[test]
fn the_end_is_not_slept_through() {
    wide_model(|| {
        let world = World::new(1, 0);
        let worker = worker(&world, 0);
        world.exit();
        worker.join().unwrap();
    });
}

/// A guest waits for what another thread publishes and rings for.
#[test]
fn a_guest_is_rung_awake() {
    wide_model(|| {
        let (world, done) = (World::new(1, 1), Arc::new(AtomicU32::new(0)));
        let mut other = None;
        let begin = |_: &weft_task::Guest<'_>, bell: weft_task::Bell| {
            let done = Arc::clone(&done);
            other = Some(thread::spawn(move || {
                done.store(1, Ordering::Relaxed);
                bell.ring();
            }));
        };
        assert!(world.lend(begin, || done.load(Ordering::Relaxed) == 1));
        other.unwrap().join().unwrap();
    });
}

/// A guest that leaves does not take along what somebody chose it for: the worker gets it.
#[test]
fn a_guest_that_leaves_hands_over() {
    wide_model(|| {
        let (world, items, done) = (World::new(1, 1), Items::new(1), Arc::new(AtomicU32::new(0)));
        let process = Process::new(Arc::clone(&items), ProcessOptions::default());
        let worker = worker(&world, 0);
        let mut other = None;
        let begin = |_: &weft_task::Guest<'_>, bell: weft_task::Bell| {
            let (world, items, done) = (world.clone(), Arc::clone(&items), Arc::clone(&done));
            other = Some(thread::spawn(move || {
                items.publish(&world, &process);
                done.store(1, Ordering::Relaxed);
                bell.ring();
            }));
        };
        assert!(world.lend(begin, || done.load(Ordering::Relaxed) == 1));
        other.unwrap().join().unwrap();
        items.wait_released();
        world.exit();
        worker.join().unwrap();
    });
}

/// Worker 0 asks to come back and ends the process then; worker 1 finds nothing and may leave last.
struct Watched {
    looks: AtomicU32,
    released: AtomicU32,
}

impl Work for Watched {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        match worker.local_index() {
            0 if self.looks.fetch_add(1, Ordering::Relaxed) == 0 => Drained::Again,
            0 => Drained::Finished,
            _ => Drained::Nothing,
        }
    }

    fn released(&self) {
        self.released.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who comes back says so before it leaves: a sibling that found nothing does not give the slot up.
#[test]
fn a_watcher_finds_the_process_again() {
    wide_model(|| {
        let world = World::new(2, 0);
        let work = Arc::new(Watched { looks: AtomicU32::new(0), released: AtomicU32::new(0) });
        let process = Process::new(Arc::clone(&work), compute());
        world.schedule(&process);
        let watcher = pass(&world, 0);
        // Once only: this worker would find `NEEDS` again and again.
        world.pass_once(1);
        watcher.join().unwrap();
        let came_first = work.looks.load(Ordering::Relaxed) > 0;
        assert!(!came_first || work.released.load(Ordering::Relaxed) == 1, "the watcher lost its process");
    });
}

/// Two pieces, of which the second comes up while the first one is done; any worker may do either.
struct Regions {
    phase: AtomicU32,
    released: AtomicU32,
}

impl Regions {
    fn advance(&self, from: u32) -> bool {
        self.phase.compare_exchange(from, from + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Work for Regions {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        if self.advance(0) {
            assert!(self.advance(1));
            Drained::Worked
        } else if self.advance(2) {
            Drained::Finished
        } else {
            Drained::Nothing
        }
    }

    fn released(&self) {
        self.released.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who did work says so before it leaves: a sibling that came too early for the next piece does not give the slot up.
#[test]
fn a_region_is_not_lost_to_one_who_came_too_early() {
    wide_model(|| {
        let world = World::new(2, 0);
        let work = Arc::new(Regions { phase: AtomicU32::new(0), released: AtomicU32::new(0) });
        let process = Process::new(Arc::clone(&work), compute());
        world.schedule(&process);
        let other = pass(&world, 1);
        world.pass(0);
        other.join().unwrap();
        assert_eq!(work.released.load(Ordering::Relaxed), 1);
    });
}
