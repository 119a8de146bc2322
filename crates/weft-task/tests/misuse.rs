//! What users should not do, and do: panics in odd places, values that are forgotten, absurd sizes, handles dropped where
//! nobody expects it. The executor goes on. Each test is named after what was seen once.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::{
    OpensWhenDropped, compute, executor, hush_panics_on_purpose, immediate, poll_until, small, suspended,
    wait_asleep, watched,
};
use weft_sync::{Code, Deadline};
use weft_task::{
    Caches, Drained, Executor, ExecutorOptions, Group, Observer, Process, ProcessOptions, Span, Topology,
    Work, WorkerContext,
};

/// Every worker is alive, and plain processes of both kinds end.
fn goes_on(executor: &Executor) {
    for options in [immediate(), compute(1), immediate()] {
        let (process, watch) = watched(options, |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
    }
    let all = executor.worker_count() as u32;
    let inside = AtomicU32::new(0);
    let (process, watch) = watched(compute(all), move |_| {
        inside.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        while inside.load(Ordering::Acquire) < all && start.elapsed() < support::PATIENCE {
            thread::yield_now();
        }
        if inside.load(Ordering::Acquire) < all {
            return Drained::Failed(weft_sync::Status::new(Code::Unavailable, "a worker is gone"));
        }
        Drained::Finished
    });
    executor.schedule(&process);
    watch.wait_released();
    watch.outcome().unwrap();
}

/// Panics when it is dropped, unless that would end the program.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_any(Bomb);
        }
    }
}

/// Drains once; the rest is up to the value that it holds, and to the drain.
struct Once<T: Send + Sync + 'static>(T, fn(&WorkerContext<'_>));

impl<T: Send + Sync + 'static> Work for Once<T> {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        let _ = &self.0;
        (self.1)(worker);
        Drained::Finished
    }
}

#[test]
fn a_work_whose_drop_panicked_took_its_worker_along() {
    hush_panics_on_purpose();
    let executor = executor(2);
    for options in [immediate(), compute(1), compute(2)] {
        for _ in 0..4 {
            executor.schedule(&Process::new(Once(Bomb, |_| ()), options.clone()));
        }
        goes_on(&executor);
    }
    // Two in one chain: a panic during a panic would end the program.
    let last = Process::new(Once(Bomb, |_| ()), suspended(2));
    let dependents = vec![last];
    drop(Process::new(Once(Bomb, |_| ()), ProcessOptions { dependents, ..immediate() }));
}

#[test]
fn what_a_panic_carried_panicked_when_it_was_dropped() {
    hush_panics_on_purpose();
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        executor.schedule(&Process::new(Once((), |_| panic_any(Bomb)), options));
        goes_on(&executor);
    }
}

struct PanicsEverywhere;

impl Work for PanicsEverywhere {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        panic!("drain, on purpose")
    }

    fn completed(&self, _: weft_sync::Result<()>) {
        panic!("completed, on purpose")
    }

    fn released(&self) {
        panic!("released, on purpose")
    }
}

#[test]
fn a_process_that_panics_wherever_it_can() {
    hush_panics_on_purpose();
    // On the smallest stack, too.
    let executor = Executor::new(&ExecutorOptions { workers: 2, stack_bytes: 1, ..small() }).unwrap();
    for number in 0..20 {
        let options = ProcessOptions { compute_slot: number % 2 == 0, ..immediate() };
        executor.schedule(&Process::new(PanicsEverywhere, options));
    }
    goes_on(&executor);
}

struct PanickingObserver(AtomicU32);

impl Observer for PanickingObserver {
    fn begin(&self, _: usize, _: Span) {
        if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(4) {
            panic!("begin, on purpose");
        }
    }

    fn end(&self, _: usize, _: Span) {
        if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(4) {
            panic!("end, on purpose");
        }
    }
}

#[test]
fn an_observer_that_panicked_took_its_worker_along() {
    hush_panics_on_purpose();
    let observer = Arc::new(PanickingObserver(AtomicU32::new(0)));
    let options = ExecutorOptions { workers: 2, observer: Some(observer.clone()), ..small() };
    let executor = Executor::new(&options).unwrap();
    goes_on(&executor);
    assert!(observer.0.load(Ordering::Relaxed) > 8);
}

/// The condition panics in the last look before a sleep, when the guest shows in the idle mask.
#[test]
fn a_guest_that_panicked_was_chosen_for_work_for_ever() {
    hush_panics_on_purpose();
    let executor = executor(1);
    goes_on(&executor);
    for panics_at in 1..=4 {
        wait_asleep(&executor);
        let guest = executor.lend().unwrap();
        let mut asked = 0;
        let until = || {
            asked += 1;
            assert!(asked < panics_at, "until, on purpose");
            false
        };
        let run = AssertUnwindSafe(|| guest.run_until(Deadline::after(Duration::from_millis(1)), until));
        let _ = catch_unwind(run);
        assert!(executor.report().seats.iter().skip(1).all(|seat| !seat.is_idle), "it is awake");
        drop(guest);
        goes_on(&executor);
    }
}

#[test]
fn an_endless_spin_overflowed() {
    let options = ExecutorOptions { spin: Duration::MAX, ..small() };
    let executor = Executor::new(&options).unwrap();
    for _ in 0..20 {
        goes_on(&executor);
        thread::sleep(Duration::from_micros(500));
    }
}

/// More than there is: refused where the executor is made, not found out by a worker that dies of it.
#[test]
fn absurd_sizes_killed_the_workers() {
    let refused = |options: ExecutorOptions| Executor::new(&options).unwrap_err();
    for local_memory_bytes in [usize::MAX, isize::MAX as usize - 4096, (1 << 30) + 1] {
        let status = refused(ExecutorOptions { local_memory_bytes, ..small() });
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("local memory"), "{status}");
    }
    let status = refused(ExecutorOptions { stack_bytes: usize::MAX, ..small() });
    assert_eq!(status.code(), Code::ResourceExhausted);
    let status = refused(ExecutorOptions { worker_base_index: usize::MAX, workers: 2, ..small() });
    assert_eq!(status.code(), Code::InvalidArgument);
    // Largest indices that there are.
    let base = usize::MAX - 2 - ExecutorOptions::default().guests_max;
    let options = ExecutorOptions { worker_base_index: base, workers: 2, ..small() };
    goes_on(&Executor::new(&options).unwrap());
}

/// A cache of 16 EiB in a description of the machine: whoever asks for as much scratch as there is cache gets what is
/// usual.
#[test]
fn an_absurd_cache_killed_the_workers() {
    let mut topology = Topology::default();
    // Under the sanitizers each byte that is touched takes its time.
    let large = if cfg!(tsan) { 1 << 20 } else { 1 << 40 };
    for bytes in [u64::MAX, large, 0] {
        let caches = Caches { l1_data: bytes, l2_data: bytes, l3_data: bytes };
        topology.push(Group { caches, ..Group::UNPINNED }).unwrap();
    }
    let options = ExecutorOptions { topology: Some(topology), local_memory_bytes: 0, ..small() };
    goes_on(&Executor::new(&options).unwrap());
}

/// [task 58] The next drain has memory of its own.
#[test]
fn a_drain_that_forgot_its_scratch_took_it_from_all_others() {
    let executor = executor(1);
    let forgets = |worker: &WorkerContext<'_>| std::mem::forget(worker.local_memory());
    for options in [immediate(), compute(1)] {
        executor.schedule(&Process::new(Once((), forgets), options));
        let (process, watch) = watched(immediate(), |worker| {
            let mut memory = worker.local_memory();
            memory.fill(7);
            drop(memory);
            // Lent again, with what was written.
            if worker.local_memory().iter().all(|&byte| byte == 7) {
                Drained::Finished
            } else {
                Drained::Nothing
            }
        });
        executor.schedule(&process);
        watch.wait_released();
        watch.outcome().unwrap();
    }
    // Twice in one drain fails the drain, and nobody else.
    let twice = |worker: &WorkerContext<'_>| {
        let _first = worker.local_memory();
        let _second = worker.local_memory();
    };
    executor.schedule(&Process::new(Once((), twice), immediate()));
    goes_on(&executor);
}

#[test]
fn a_guest_whose_drain_forgot_its_scratch_lost_its_seat() {
    let executor = Executor::new(&ExecutorOptions { guests_max: 1, ..small() }).unwrap();
    wait_asleep(&executor);
    for _ in 0..2 {
        let guest = executor.lend().expect("the seat is free");
        let forgets = |worker: &WorkerContext<'_>| std::mem::forget(worker.local_memory());
        guest.schedule_next(&Process::new(Once((), forgets), immediate()));
        guest.run_until(Deadline::after(Duration::from_millis(1)), || false);
    }
}

/// What is queued holds a bell, which holds the executor's shared side, which holds what is queued.
#[test]
fn queued_processes_that_held_a_bell_leaked() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let executor = executor(1);
    let bell = executor.lend().unwrap().bell();
    let (end, alive) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::clone(&end);
    let (busy, watch) = watched(immediate(), move |_| {
        while !gate.load(Ordering::Acquire) {
            thread::yield_now();
        }
        Drained::Finished
    });
    executor.schedule(&busy);
    poll_until("inside", || watch.inside.load(Ordering::Acquire) == 1);
    // In the list, in slots and in line for slots.
    for options in [immediate(), compute(1)] {
        for _ in 0..20 {
            alive.fetch_add(1, Ordering::AcqRel);
            let work = Once((bell.clone(), Counted(Arc::clone(&alive))), |_| ());
            executor.schedule(&Process::new(work, options.clone()));
        }
    }
    drop(bell);
    thread::scope(|scope| {
        let open = OpensWhenDropped(end);
        let stopper = scope.spawn(move || drop(executor));
        thread::sleep(Duration::from_millis(10));
        drop(open);
        stopper.join().unwrap();
    });
    assert_eq!(alive.load(Ordering::Acquire), 0);
}

/// Holds a handle of some executor and drops it in its drain.
struct Drops(Mutex<Option<Executor>>, Arc<Barrier>, Arc<AtomicU32>);

impl Work for Drops {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        self.1.wait();
        drop(self.0.lock().unwrap().take());
        self.2.fetch_add(1, Ordering::AcqRel);
        Drained::Finished
    }
}

/// Each worker drops the last handle of the other's executor, and waited for the other to leave.
#[test]
fn two_executors_that_dropped_each_other_waited_for_ever() {
    for _ in 0..20 {
        let both = [executor(1), executor(1)];
        let (meet, dropped) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
        for (here, other) in [(0, 1), (1, 0)] {
            let other = Mutex::new(Some(both[other].clone()));
            let work = Drops(other, Arc::clone(&meet), Arc::clone(&dropped));
            both[here].schedule(&Process::new(work, immediate()));
        }
        drop(both);
        poll_until("both dropped", || dropped.load(Ordering::Acquire) == 2);
    }
}

/// The thread has a seat for ever, but is no worker: it waits for the drains to end.
#[test]
fn a_thread_with_a_forgotten_guest_did_not_wait_for_the_workers() {
    let executor = executor(1);
    std::mem::forget(executor.lend().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&over);
    let (process, watch) = watched(immediate(), move |_| {
        thread::sleep(Duration::from_millis(20));
        end.store(true, Ordering::Release);
        Drained::Finished
    });
    executor.schedule(&process);
    poll_until("inside", || watch.inside.load(Ordering::Acquire) == 1);
    drop(executor);
    assert!(over.load(Ordering::Acquire));
}
