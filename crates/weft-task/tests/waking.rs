//! Who is woken when, what sleeping costs, and what a worker tells a drain about itself.

mod support;

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{
    OpensWhenDropped, compute, deeds, executor, immediate, poll_until, small, wait_asleep, watched,
};
use weft_task::{Drained, Executor, ExecutorOptions, LOCAL_MEMORY_ALIGNMENT, Observer, Span};

/// More are wanted than one thread wakes: the woken ones wake the rest, and no credit is left over.
/// [task 54]
#[test]
fn the_woken_wake_the_rest() {
    let executor = executor(12);
    wait_asleep(&executor);
    let (inside, end) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, gate) = (Arc::clone(&inside), Arc::clone(&end));
    let (process, watch) = watched(compute(12), move |_| {
        count.fetch_add(1, Ordering::AcqRel);
        while !gate.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_micros(50));
        }
        Drained::Finished
    });
    executor.schedule(&process);
    let open = OpensWhenDropped(end);
    poll_until("all inside", || inside.load(Ordering::Acquire) == 12);
    drop(open);
    watch.wait_released();
    // Four by the scheduler; the others by those, as credits or because they saw the process alone for a moment.
    let counters = executor.counters();
    assert!(counters.relays > 0 && counters.wakes + counters.relays >= 12, "{counters:?}");
    wait_asleep(&executor);
    // Far more than there are workers, over and over: hints decay, they do not pile up.
    for _ in 0..50 {
        let (process, watch) = watched(compute(1_000_000), |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
        assert!(executor.report().wake_credits as usize <= executor.seat_count());
    }
    wait_asleep(&executor);
}

/// [task 55]
#[test]
fn nothing_waits_for_a_stuck_worker_while_another_sleeps() {
    let executor = executor(3);
    for stuck_options in [immediate(), compute(1)] {
        wait_asleep(&executor);
        let end = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&end);
        let taken = AtomicBool::new(false);
        let (stuck, stuck_watch) = watched(stuck_options, move |_| {
            // One is stuck; others that come find nothing to do.
            if taken.swap(true, Ordering::Relaxed) {
                return Drained::Nothing;
            }
            while !gate.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            Drained::Finished
        });
        executor.schedule(&stuck);
        poll_until("stuck", || stuck_watch.inside.load(Ordering::Acquire) == 1);
        for round in 0..200 / support::SLOWNESS {
            let options = if round % 2 == 0 { immediate() } else { compute(1) };
            let (process, watch) = watched(options, |_| Drained::Finished);
            executor.schedule(&process);
            watch.wait_released();
        }
        end.store(true, Ordering::Release);
        stuck_watch.wait_released();
    }
}

/// Two that block for long and one that does not, scheduled at once: whoever is chosen for one and finds another passes
/// it on. [task 55]
#[test]
fn who_finds_other_work_first_passes_on() {
    let executor = executor(3);
    for _ in 0..100 / support::SLOWNESS {
        let end = Arc::new(AtomicBool::new(false));
        let long = |options| {
            let (gate, taken) = (Arc::clone(&end), AtomicBool::new(false));
            watched(options, move |_| {
                if taken.swap(true, Ordering::Relaxed) {
                    return Drained::Nothing;
                }
                while !gate.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                Drained::Finished
            })
        };
        let (first, first_watch) = long(compute(1));
        let (second, second_watch) = long(immediate());
        let (quick, quick_watch) = watched(immediate(), |_| Drained::Finished);
        executor.schedule(&first);
        executor.schedule(&second);
        executor.schedule(&quick);
        quick_watch.wait_released();
        end.store(true, Ordering::Release);
        first_watch.wait_released();
        second_watch.wait_released();
    }
}

/// User and system time of this process so far.
#[cfg(target_os = "linux")]
fn processor_time_of(executor_threads: &str) -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        if head.contains(executor_threads) {
            let fields: Vec<u64> = tail.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
            ticks += fields[11] + fields[12];
        }
    }
    // A tick is 10 ms everywhere.
    Duration::from_millis(ticks * 10)
}

/// [task 56]
#[cfg(target_os = "linux")]
#[test]
fn an_idle_executor_uses_no_processor() {
    let options = ExecutorOptions { workers: 8, worker_base_index: 5_600, ..small() };
    let executor = Executor::new(&options).unwrap();
    wait_asleep(&executor);
    let (time, counters) = (processor_time_of("(weft-56"), deeds(&executor));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(processor_time_of("(weft-56"), time);
    assert_eq!(deeds(&executor), counters, "nobody woke up");
}

#[test]
fn spinning_is_bounded_and_elected() {
    let spin = Duration::from_millis(20);
    let executor = Executor::new(&ExecutorOptions { workers: 4, spin, ..small() }).unwrap();
    for _ in 0..20 {
        let (process, watch) = watched(immediate(), |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
    }
    wait_at_rest(&executor, spin);
    let counters = executor.counters();
    assert_eq!(counters.spins > 0, has_several_processors(), "{counters:?}");
    assert!(counters.spin_hits <= counters.spins);
}

/// A spinner takes its processor from whoever produces the work, if there is one only.
fn has_several_processors() -> bool {
    std::thread::available_parallelism().is_ok_and(|count| count.get() > 1)
}

/// Nobody does anything any more, nor spins for so long.
fn wait_at_rest(executor: &Executor, spin: Duration) {
    poll_until("at rest", || {
        let before = deeds(executor);
        std::thread::sleep(2 * spin);
        deeds(executor) == before
    });
}

/// The shortest of some times from a schedule to the drain, of a worker that has been idle for 50 µs.
fn wake_latency(executor: &Executor, tries: u32) -> Duration {
    let latency = |_| {
        let drained = Arc::new(Mutex::new(None));
        let to = Arc::clone(&drained);
        let (process, watch) = watched(immediate(), move |_| {
            *to.lock().unwrap() = Some(Instant::now());
            Drained::Finished
        });
        let idle = Instant::now();
        while idle.elapsed() < Duration::from_micros(50) {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        executor.schedule(&process);
        watch.wait_released();
        let drained = drained.lock().unwrap().unwrap();
        drained.duration_since(start)
    };
    (0..tries).map(latency).min().unwrap_or_default()
}

/// A spinner is reached sooner than a sleeper, uses its processor until the limit, and then no more. [task 57]
#[cfg(target_os = "linux")]
#[test]
fn spinning_buys_latency_with_processor_time() {
    if !has_several_processors() {
        return;
    }
    let make = |worker_base_index, spin| {
        let options = ExecutorOptions { workers: 1, worker_base_index, spin, ..small() };
        Executor::new(&options).unwrap()
    };
    let limit = Duration::from_millis(100);
    let (sleeping, spinning) = (make(5_700, Duration::ZERO), make(5_800, limit));
    // Others may have the second processor for a while.
    poll_until("sooner", || wake_latency(&spinning, 100) < wake_latency(&sleeping, 100));
    let counters = spinning.counters();
    assert!(counters.spin_hits > 0, "{counters:?}");
    assert_eq!(sleeping.counters().spins, 0);

    wait_at_rest(&spinning, limit);
    let (spun, slept) = ("(weft-58", "(weft-57");
    let before = (processor_time_of(spun), processor_time_of(slept));
    let wakes = 10;
    for _ in 0..wakes {
        for executor in [&spinning, &sleeping] {
            let (process, watch) = watched(immediate(), |_| Drained::Finished);
            executor.schedule(&process);
            watch.wait_released();
        }
        // The window gets shorter with each miss, down to a sixteenth.
        std::thread::sleep(limit / 16);
    }
    wait_at_rest(&spinning, limit);
    let used = (processor_time_of(spun) - before.0, processor_time_of(slept) - before.1);
    assert!(used.0 > used.1, "{used:?}");
    assert!(used.0 <= limit * (wakes + 1), "{used:?}");
    let before = processor_time_of(spun);
    std::thread::sleep(2 * limit);
    assert_eq!(processor_time_of(spun), before, "it sleeps after its limit");
}

/// [task 58]
#[test]
fn workers_have_their_own_index_and_memory() {
    let options = ExecutorOptions {
        workers: 4,
        worker_base_index: 100,
        local_memory_bytes: 1_000,
        ..ExecutorOptions::default()
    };
    let executor = Executor::new(&options).unwrap();
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let to = Arc::clone(&seen);
    let inside = AtomicU32::new(0);
    let (process, watch) = watched(compute(4), move |worker| {
        let mut memory = worker.local_memory();
        assert_eq!(memory.len(), 1_024);
        assert_eq!(memory.as_ptr() as usize % LOCAL_MEMORY_ALIGNMENT, 0);
        memory.fill(worker.index() as u8);
        to.lock().unwrap().insert((worker.index(), worker.local_index(), memory.as_ptr() as usize));
        // Stay until all four are here.
        inside.fetch_add(1, Ordering::AcqRel);
        while inside.load(Ordering::Acquire) < 4 {
            std::thread::yield_now();
        }
        assert!(memory.iter().all(|&byte| byte == worker.index() as u8), "somebody else wrote here");
        Drained::Finished
    });
    executor.schedule(&process);
    watch.wait_released();
    let seen = seen.lock().unwrap();
    let mut indices: Vec<_> = seen.iter().map(|&(index, local, _)| (index, local)).collect();
    indices.sort_unstable();
    assert_eq!(indices, [(100, 0), (101, 1), (102, 2), (103, 3)]);
    let mut starts: Vec<_> = seen.iter().map(|&(.., start)| start).collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 1_024));
}

/// [task 59]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn workers_flush_denormals() {
    let executor = executor(1);
    let sum = Arc::new(Mutex::new(None));
    let to = Arc::clone(&sum);
    let (process, watch) = watched(immediate(), move |_| {
        *to.lock().unwrap() = Some(black_box(1e-40_f32) + black_box(1e-40_f32));
        Drained::Finished
    });
    executor.schedule(&process);
    watch.wait_released();
    assert_eq!(sum.lock().unwrap().take(), Some(0.0));
}

/// The name; affinity is shown beside the code that pins. [task 60]
#[test]
fn worker_threads_have_their_name() {
    let options = ExecutorOptions { workers: 2, worker_base_index: 70, ..small() };
    let executor = Executor::new(&options).unwrap();
    let names = Arc::new(Mutex::new(HashSet::new()));
    while names.lock().unwrap().len() < 2 {
        let to = Arc::clone(&names);
        let (process, watch) = watched(compute(2), move |_| {
            to.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
            std::thread::sleep(Duration::from_millis(1));
            Drained::Finished
        });
        executor.schedule(&process);
        watch.wait_released();
    }
    assert_eq!(*names.lock().unwrap(), HashSet::from(["weft-70".to_owned(), "weft-71".to_owned()]));
}

#[derive(Default)]
struct Log(Mutex<Vec<(usize, bool, Span)>>);

impl Observer for Log {
    fn begin(&self, worker: usize, span: Span) {
        self.0.lock().unwrap().push((worker, true, span));
    }

    fn end(&self, worker: usize, span: Span) {
        self.0.lock().unwrap().push((worker, false, span));
    }
}

/// What begins ends, with the same values, one thing at a time for each worker.
#[test]
fn an_observer_sees_beginnings_and_ends() {
    let log = Arc::new(Log::default());
    let options = ExecutorOptions { workers: 2, observer: Some(log.clone()), ..small() };
    let executor = Executor::new(&options).unwrap();
    for options in [immediate(), compute(2)] {
        let (process, watch) = watched(options, |_| Drained::Finished);
        executor.schedule(&process);
        watch.wait_released();
    }
    wait_asleep(&executor);
    drop(executor);
    let log = log.0.lock().unwrap();
    for worker in 0..2 {
        let mut open = None;
        for &(_, begins, span) in log.iter().filter(|entry| entry.0 == worker) {
            let before = if begins { open.replace(span) } else { open.take() };
            assert_eq!(before, if begins { None } else { Some(span) });
        }
        assert_eq!(open, None);
    }
    assert!(log.iter().any(|entry| matches!(entry.2, Span::Immediate(_))));
    assert!(log.iter().any(|entry| matches!(entry.2, Span::Compute(_))));
    assert!(log.iter().any(|entry| entry.2 == Span::Sleep));
}
