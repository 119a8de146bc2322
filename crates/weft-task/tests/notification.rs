//! The event count on which workers sleep, as the executor relies on it.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::poll_until;
use weft_sync::Deadline;
use weft_sync::notification::{Notification, WAKE_ALL};

/// [task 61]
#[test]
fn a_signal_counts_from_the_observation_on() {
    let it = Notification::new();
    it.signal(1);
    let after = it.observe();
    assert!(!after.is_over(), "what came before is no wake");
    it.signal(1);
    assert!(after.wait(Deadline::NEVER), "what comes between keeps awake");
}

/// [task 62]
#[test]
fn a_wait_ends_at_its_deadline() {
    let it = Notification::new();
    assert!(!it.observe().wait(Deadline::IMMEDIATE));
    let start = Instant::now();
    assert!(!it.observe().wait(Deadline::after(Duration::from_millis(5))));
    assert!(start.elapsed() >= Duration::from_millis(5));
}

/// [task 63]
#[test]
fn one_signal_wakes_one_or_all() {
    let (it, observing, awake) = (Notification::new(), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let observation = it.observe();
                observing.fetch_add(1, Ordering::AcqRel);
                observation.wait(Deadline::NEVER);
                awake.fetch_add(1, Ordering::AcqRel);
            });
        }
        poll_until("observing", || observing.load(Ordering::Acquire) == 3);
        // One that announced itself and went away swallows nothing.
        drop(it.observe());
        it.signal(1);
        poll_until("one awake", || awake.load(Ordering::Acquire) >= 1);
        it.signal(WAKE_ALL);
        poll_until("all awake", || awake.load(Ordering::Acquire) == 3);
    });
}
