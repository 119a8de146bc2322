//! What runs for each operation allocates nothing: shown by counting.
//!
//! Only the allocations of the asking thread count, so that the harness and other tests do not disturb. "Warm" means
//! that the same was done before, which made the lists as large as they get.
#![cfg(not(loom))]
#![allow(unsafe_code, reason = "an allocator that counts and passes everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::slots::Slots;
use weft_sync::{
    Axis, Causality, Deadline, Entry, Frontier, FrontierBox, FrontierBuf, Machine, Overflow, Semaphore,
    Tracker, TrackerOptions, wait_all, wait_any,
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is being torn down is not the one that asks.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on unchanged to the system's allocator; counting touches no memory of anybody.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// How often this thread allocates while `body` runs.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    body();
    COUNT.get() - before
}

/// Runs `body` once to warm up, and asserts that it allocates nothing the second time.
fn nothing_when_warm(what: &str, mut body: impl FnMut()) {
    body();
    assert_eq!(allocations(body), 0, "{what}");
}

/// Asserts that `body` never allocates.
fn nothing(what: &str, body: impl FnOnce()) {
    assert_eq!(allocations(body), 0, "{what}");
}

fn axis(number: u64) -> Axis {
    Machine::LOCAL.host(number)
}

/// `count` axes from `first` on, `step` apart, at `epoch`.
fn entries(first: u64, step: u64, count: u64, epoch: u64) -> Vec<Entry> {
    (0..count).map(|index| Entry::new(axis(first + index * step), epoch)).collect()
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
    assert_eq!(allocations(|| drop(FrontierBox::with_capacity(4))), 1);
}

#[test]
fn frontiers_never_allocate() {
    for count in [1, 4, 16, 64, 120] {
        let [even, odd, later] = [entries(0, 2, count, 5), entries(1, 2, count, 5), entries(0, 2, count, 6)]
            .map(Vec::into_boxed_slice);
        let mut boxed = FrontierBox::with_capacity(250);
        let mut out = [Entry::new(axis(0), 0); 128];
        let mut bytes = [0; weft_sync::WIRE_BYTES_MAX];
        nothing("frontiers", || {
            let [even, odd, later] = [&*even, &odd, &later].map(|it| Frontier::new(it).unwrap());
            assert_eq!(even.compare(odd), Causality::Concurrent);
            assert_eq!(even.compare(later), Causality::Before);
            assert!(even.is_satisfied(later.entries()) && !odd.is_satisfied(later.entries()));
            assert_eq!(later.undominated(even, &mut out), count as usize);
            assert_eq!(odd.undominated(even, &mut []), count as usize);
            let mut small = FrontierBuf::<120>::copy_of(even).unwrap();
            small.merge(later).unwrap();
            assert_eq!(small.as_frontier(), later);
            for source in [even, odd, later] {
                boxed.merge(source).unwrap();
            }
            assert_eq!(small.merge_reporting(odd).is_ok(), count <= 60);
            let length = odd.encode(&mut bytes).unwrap();
            let (decoded, _) = FrontierBuf::<120>::decode(&bytes[..length]).unwrap();
            assert_eq!(decoded.as_frontier(), odd);
            assert!(FrontierBuf::<120>::decode(&bytes[..length - 1]).is_err());
        });
    }
}

#[test]
fn signals_and_queries_never_allocate() {
    let it = Arc::new(Semaphore::with_frontier(0, 2));
    let past = |number| FrontierBuf::single(axis(number), 1);
    nothing("signals and queries", || {
        it.signal(1).unwrap();
        it.signal_with(2, &past(1)).unwrap();
        it.signal_untainted(3, &past(2)).unwrap();
        it.publish_untainted(4, &past(2)).unwrap();
        it.publish_untainted(4, &past(2)).unwrap();
        it.signal_untainted(5, &past(3)).unwrap();
        assert_eq!(it.merge_frontier(&past(3)), Err(Overflow { needed: 3, capacity: 2 }));
        assert_eq!((it.query().unwrap(), it.untainted_value()), (5, 4));
        assert!(it.is_reached(5).unwrap() && it.is_value_tainted(5));
        assert_eq!(it.query_frontier(&mut [Entry::new(axis(1), 0)]), 2);
        assert!(it.frontier::<2>().is_ok() && it.complete_frontier::<2>(4).is_some());
        it.mark_tainted_above(3);
    });
}

#[test]
fn answered_questions_never_allocate() {
    let it = Arc::new(Semaphore::new(3));
    nothing("waits that are met, callbacks whose answer is known", || {
        it.wait(3, Deadline::NEVER).unwrap();
        wait_all(&[(&it, 1), (&it, 2)], Deadline::IMMEDIATE).unwrap();
        assert_eq!(wait_any(&[(&it, 9), (&it, 2)], Deadline::IMMEDIATE).unwrap(), 1);
        it.on_reached(2, |outcome| outcome.unwrap());
    });
}

#[test]
fn timepoints_allocate_nothing_when_warm() {
    let it = Arc::new(Semaphore::with_frontier(0, 4));
    let past = FrontierBuf::single(axis(1), 1);
    let mut value = 0;
    nothing_when_warm("register, cancel; register, signal", || {
        for _ in 0..10 {
            value += 1;
            let owned = (Arc::clone(&it), Arc::clone(&it), Arc::clone(&it), value);
            let timepoints = [value, value + 5].map(|at| it.on_reached(at, |_| ()));
            let third = it.on_reached(value, move |outcome| {
                outcome.unwrap();
                assert!(owned.0.query().unwrap() >= owned.3);
            });
            assert!(timepoints[1].cancel());
            it.signal_untainted(value, &past).unwrap();
            assert!(!timepoints[0].cancel() && !third.cancel());
        }
    });
}

#[test]
fn blocked_waits_allocate_nothing_when_warm() {
    let [there, back] = [0, 0].map(|value| Arc::new(Semaphore::new(value)));
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=200 {
                there.wait(value, Deadline::NEVER).unwrap();
                back.signal(value).unwrap();
            }
        });
        let mut value = 0;
        nothing_when_warm("signal, block", || {
            for _ in 0..100 {
                value += 1;
                there.signal(value).unwrap();
                wait_all(&[(&back, value)], Deadline::NEVER).unwrap();
            }
        });
    });
}

#[test]
fn trackers_allocate_nothing_when_warm() {
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    for number in 1..=4 {
        tracker.register(axis(number), None).unwrap();
    }
    let mut epoch = 0;
    nothing("advance with nobody waiting, wait already satisfied, query", || {
        for number in 1..=4 {
            assert_eq!(tracker.advance(axis(number), 1), 0);
        }
        epoch = 1;
        tracker.wait(&FrontierBuf::single(axis(1), 1), |outcome| outcome.unwrap()).unwrap();
        assert!(tracker.query_epoch(axis(1), 1));
    });
    nothing_when_warm("arm, cancel; arm, advance", || {
        for _ in 0..10 {
            epoch += 1;
            let all = [1, 2, 3, 4].map(|number| Entry::new(axis(number), epoch));
            let all = Frontier::new(&all).unwrap();
            let id = tracker.wait(all, |_| unreachable!("withdrawn")).unwrap();
            tracker.wait(all, |outcome| outcome.unwrap()).unwrap();
            assert!(tracker.cancel_wait(id));
            let dispatched: usize = (1..=4).map(|number| tracker.advance(axis(number), epoch)).sum();
            assert_eq!(dispatched, 1);
        }
    });
}

#[test]
fn notifications_and_slots_never_allocate() {
    let (notification, slots) = (Notification::new(), Slots::new(2));
    nothing("observe, signal, wait; insert, take", || {
        let observation = notification.observe();
        assert!(notification.signal(WAKE_ALL) && observation.wait(Deadline::NEVER));
        let handle = slots.insert(7).unwrap();
        assert_eq!(slots.take(handle), Some(7));
    });
}
