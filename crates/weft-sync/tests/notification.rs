//! Notifications from many threads: no wake is lost, deadlines hold, the epoch wraps.
//!
//! Every interleaving of the protocol is in `loom.rs`.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use weft_sync::Deadline;
use weft_sync::notification::{Notification, WAKE_ALL};

const ROUNDS: u32 = if cfg!(tsan) { 2_000 } else { 50_000 };

#[test]
fn a_signal_without_observers_only_moves_the_epoch() {
    let it = Notification::new();
    assert!(!it.signal(WAKE_ALL));
    assert!(!it.signal(0));
    assert_eq!(it.epoch(), 2);
    let observation = it.observe();
    assert_eq!((observation.token(), observation.is_over()), (2, false));
    assert!(it.signal(1), "observed");
    assert!(observation.is_over() && observation.wait(Deadline::IMMEDIATE));
    assert!(!it.signal(1), "the observation is over");
}

#[test]
fn a_wait_ends_with_a_signal_or_at_its_deadline() {
    let it = Notification::new();
    let start = Instant::now();
    assert!(!it.wait(Deadline::after(Duration::from_millis(3))));
    assert!(start.elapsed() >= Duration::from_millis(3));
    assert!(!it.wait(Deadline::IMMEDIATE));
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| it.wait(Deadline::NEVER))).collect();
        while waiters.iter().any(|waiter| !waiter.is_finished()) {
            it.signal(WAKE_ALL);
            thread::yield_now();
        }
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
    });
}

#[test]
fn the_epoch_wraps_and_still_wakes() {
    let it = Notification::at_epoch(u32::MAX);
    let observation = it.observe();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1));
            it.signal(1);
        });
        assert!(observation.wait(Deadline::NEVER));
    });
    assert_eq!(it.epoch(), 0);
}

/// A producer publishes and signals, a consumer observes, looks and sleeps: it never sleeps through a change.
#[test]
fn observe_look_sleep_loses_nothing() {
    let (state, changed, answered) = (AtomicU32::new(0), Notification::new(), Notification::new());
    let seen = AtomicU32::new(0);
    let await_round = |word: &AtomicU32, by: &Notification, round: u32| loop {
        let observation = by.observe();
        if word.load(Ordering::Acquire) >= round {
            break;
        }
        assert!(observation.wait(Deadline::after(Duration::from_secs(20))), "a wake was lost");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                await_round(&state, &changed, round);
                seen.store(round, Ordering::Release);
                answered.signal(1);
            }
        });
        for round in 1..=ROUNDS {
            state.store(round, Ordering::Release);
            changed.signal(1);
            await_round(&seen, &answered, round);
        }
    });
}
