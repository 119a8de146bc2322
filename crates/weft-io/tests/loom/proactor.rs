//! Whole proactors without a kernel: a thread does one thing while the poll thread polls for its effect.

use super::{Plain, wide_model};
use loom::thread;
use std::sync::Arc;
use weft_io::ops::{Nop, NotificationWait, SemaphoreWait, Timer};
use weft_io::{Config, Notification, Operation, Poller, WAKE_ALL, open_null};
use weft_sync::{Deadline, Point, Semaphore};

fn poller() -> Poller {
    let config = Config { operations_max: 2, messages_max: 1, ..Config::new() };
    open_null(&config).into_poller().unwrap()
}

/// Polls until so many operations have ended. A wake that never comes makes the model give up.
fn poll(poller: &mut Poller, wanted: usize) {
    let mut ended = 0;
    while ended < wanted {
        ended += poller.poll(Deadline::NEVER).unwrap();
    }
    assert_eq!(ended, wanted);
    assert_eq!(poller.under_way(), 0);
}

/// [async 26] [async-backends 24]
#[test]
fn a_submission_is_seen_by_a_poll_that_falls_asleep() {
    wide_model(|| {
        let mut poller = poller();
        let handle = poller.handle().clone();
        let submitter = thread::spawn(move || {
            let before = Plain::new(0);
            before.set(7);
            let nop = Operation::new(Nop).on_done(move |_| assert_eq!(before.get(), 7));
            drop(handle.submit(nop));
        });
        poll(&mut poller, 1);
        submitter.join().unwrap();
    });
}

/// [async 87] [async-backends 69]
#[test]
fn a_cancel_is_seen_by_a_poll_that_falls_asleep() {
    wide_model(|| {
        let mut poller = poller();
        let handle = poller.handle().clone();
        let ticket = handle.submit(Timer { deadline: Deadline::NEVER }).unwrap();
        let canceller = thread::spawn(move || handle.cancel(ticket).unwrap());
        poll(&mut poller, 1);
        canceller.join().unwrap();
    });
}

/// [async 130] [async-backends 92] A wait that is armed just now, and a signal: it ends.
#[test]
fn a_signal_is_not_lost_on_a_wait_that_is_armed() {
    wide_model(|| {
        let mut poller = poller();
        let changed = Arc::new(Notification::new());
        poller.handle().submit(Operation::new(NotificationWait::new(Arc::clone(&changed)))).unwrap();
        let signaller = thread::spawn(move || {
            changed.signal(WAKE_ALL);
        });
        poll(&mut poller, 1);
        signaller.join().unwrap();
    });
}

/// [async-backends 92] Two notifications that one proactor hears of at the same time: both waits end, and see what came
/// before the signals.
#[test]
fn two_signals_are_heard_together() {
    wide_model(|| {
        let mut poller = poller();
        let threads = [(); 2].map(|()| {
            let changed = Arc::new(Notification::new());
            let state = Arc::new(Plain::new(0));
            let seen = Arc::clone(&state);
            let wait = Operation::new(NotificationWait::new(Arc::clone(&changed)))
                .on_done(move |_| assert_eq!(seen.get(), 7));
            poller.handle().submit(wait).unwrap();
            thread::spawn(move || {
                state.set(7);
                changed.signal(WAKE_ALL);
            })
        });
        poll(&mut poller, 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// [async-backends 104] A timeline moves while its wait is cancelled: the wait ends once.
#[test]
fn a_wait_that_is_decided_and_cancelled_ends_once() {
    wide_model(|| {
        let mut poller = poller();
        let handle = poller.handle().clone();
        let timeline = Arc::new(Semaphore::new(0));
        let wait = SemaphoreWait::all([Point { semaphore: Arc::clone(&timeline), value: 1 }]);
        let ticket = handle.submit(Operation::new(wait)).unwrap();
        assert!(poller.poll(Deadline::IMMEDIATE).is_err());
        let signaller = thread::spawn(move || timeline.signal(1).unwrap());
        handle.cancel(ticket).unwrap();
        poll(&mut poller, 1);
        signaller.join().unwrap();
    });
}

/// [async-backends 234] The end of a proactor while somebody submits: the operation ends, or comes back.
#[test]
fn the_end_meets_a_submission() {
    wide_model(|| {
        let poller = poller();
        let handle = poller.handle().clone();
        let ended = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = Arc::clone(&ended);
        let submitter = thread::spawn(move || {
            let nop = Operation::new(Nop).on_done(move |_| {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
            u32::from(handle.submit(nop).is_err())
        });
        drop(poller);
        let refused = submitter.join().unwrap();
        assert_eq!(refused + ended.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}
