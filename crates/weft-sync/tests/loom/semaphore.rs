//! The timepoint protocol and blocking waits.

use super::{Calls, lost, model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::{Code, Deadline, Semaphore, Status, wait_all, wait_any};

/// [causal 34] No signal slips between the look and the registration.
#[test]
fn signal_against_registration() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        let signaller = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1).unwrap()
        });
        semaphore.on_reached(1, calls.callback());
        signaller.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
    });
}

/// Two signals, one overtaking the other: a record is fired once, by either.
#[test]
fn overtaking_signals_against_registration() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        let signallers = [1, 2].map(|value| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.signal(value).is_ok())
        });
        semaphore.on_reached(1, calls.callback());
        let [_, second] = signallers.map(|it| it.join().unwrap());
        assert!(second, "2 is forward from both 0 and 1");
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
        assert_eq!(semaphore.query().unwrap(), 2);
    });
}

/// [causal 38] Of two signals of one value exactly one succeeds, and what waits is fired once.
#[test]
fn racing_signals_of_one_value() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        semaphore.on_reached(1, calls.callback());
        let other = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1)
        });
        let mine = semaphore.signal(1);
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() != theirs.is_ok());
        assert_eq!(mine.and(theirs).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(calls.reached(), 1);
    });
}

/// [causal 28] A cancelled callback never runs, and one that was not cancelled does.
#[test]
fn signal_against_cancel() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        let timepoint = semaphore.on_reached(1, calls.callback());
        let signaller = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1).unwrap()
        });
        let cancelled = timepoint.cancel();
        signaller.join().unwrap();
        assert_eq!(calls.reached(), usize::from(!cancelled));
    });
}

/// The announcement that a cancel withdraws is not the one of a registration that comes meanwhile.
#[test]
fn cancel_against_registration_and_signal() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (kept, withdrawn) = (Calls::default(), Calls::default());
        let timepoint = semaphore.on_reached(1, withdrawn.callback());
        let registrant = thread::spawn({
            let (semaphore, callback) = (Arc::clone(&semaphore), kept.callback());
            move || drop(semaphore.on_reached(1, callback))
        });
        let signaller = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1).unwrap()
        });
        let cancelled = timepoint.cancel();
        registrant.join().unwrap();
        signaller.join().unwrap();
        assert_eq!(kept.reached(), 1);
        assert_eq!(withdrawn.reached(), usize::from(!cancelled));
    });
}

/// [causal 29] A record that both a failure and a signal could fire is fired once, and the failure stays.
#[test]
fn fail_against_signal() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        semaphore.on_reached(1, calls.callback());
        let signaller = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1)
        });
        semaphore.fail(lost());
        assert_eq!(semaphore.query().unwrap_err().code(), Code::DataLoss);
        let signalled = signaller.join().unwrap();
        assert_eq!(calls.reached() + calls.failed(), 1);
        if let Err(status) = signalled {
            assert_eq!(status.code(), Code::DataLoss);
            assert_eq!(calls.failed(), 1);
        }
        assert_eq!(semaphore.is_reached(0).unwrap_err().code(), Code::DataLoss);
        assert_eq!(semaphore.signal(9).unwrap_err().code(), Code::DataLoss);
    });
}

/// [causal 29] A registration that races with a failure is answered once, with the failure.
#[test]
fn fail_against_registration() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Calls::default();
        let failer = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.fail(lost())
        });
        semaphore.on_reached(1, calls.callback());
        failer.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (0, 1));
    });
}

/// The first failure wins, whoever sees it.
#[test]
fn fail_against_fail() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                semaphore.fail(lost());
                semaphore.query().unwrap_err().code()
            }
        });
        semaphore.fail(Status::new(Code::Aborted, "given up"));
        let mine = semaphore.query().unwrap_err().code();
        assert_eq!(mine, other.join().unwrap());
        assert!(matches!(mine, Code::DataLoss | Code::Aborted));
    });
}

/// What was written before a signal is visible to whoever sees its value, or a later one.
#[test]
fn a_value_publishes_what_came_before_it() {
    model(|| {
        let data = Arc::new(AtomicU32::new(0));
        let semaphore = Arc::new(Semaphore::new(0));
        let writer = thread::spawn({
            let (data, semaphore) = (Arc::clone(&data), Arc::clone(&semaphore));
            move || {
                data.store(7, Ordering::Relaxed);
                semaphore.signal(1).unwrap();
            }
        });
        let overtaker = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.is_reached(1).unwrap() && semaphore.signal(2).is_ok()
        });
        if semaphore.is_reached(1).unwrap() {
            assert_eq!(data.load(Ordering::Relaxed), 7);
        }
        writer.join().unwrap();
        overtaker.join().unwrap();
    });
}

/// A callback sees what was written before its value was signalled, also when a later signal runs it.
#[test]
fn a_callback_sees_what_came_before_its_value() {
    model(|| {
        let data = Arc::new(AtomicU32::new(0));
        let semaphore = Arc::new(Semaphore::new(0));
        semaphore.on_reached(1, {
            let data = Arc::clone(&data);
            move |_| assert_eq!(data.load(Ordering::Relaxed), 7)
        });
        let writer = thread::spawn({
            let (data, semaphore) = (Arc::clone(&data), Arc::clone(&semaphore));
            move || {
                data.store(7, Ordering::Relaxed);
                semaphore.signal(1).unwrap();
            }
        });
        // Only a signal that comes after 1 may fire the callback without being its writer.
        if semaphore.query().unwrap() == 1 {
            semaphore.signal(2).unwrap();
        }
        writer.join().unwrap();
    });
}

/// [causal 44] A blocked thread is woken by the signal that it waits for.
#[test]
fn wait_against_signal() {
    model(|| {
        let data = Arc::new(AtomicU32::new(0));
        let semaphore = Arc::new(Semaphore::new(0));
        let signaller = thread::spawn({
            let (data, semaphore) = (Arc::clone(&data), Arc::clone(&semaphore));
            move || {
                data.store(7, Ordering::Relaxed);
                semaphore.signal(2).unwrap();
            }
        });
        semaphore.wait(1, Deadline::NEVER).unwrap();
        assert_eq!(data.load(Ordering::Relaxed), 7);
        signaller.join().unwrap();
    });
}

/// [causal 45] A blocked thread is woken by the failure of what it waits for.
#[test]
fn wait_against_fail() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let failer = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.fail(lost())
        });
        assert_eq!(semaphore.wait(1, Deadline::NEVER).unwrap_err().code(), Code::DataLoss);
        failer.join().unwrap();
    });
}

/// Two threads blocked on one value are both woken.
#[test]
fn two_waits_against_signal() {
    wide_model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiter = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.wait(1, Deadline::NEVER)
        });
        let signaller = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.signal(1)
        });
        semaphore.wait(1, Deadline::NEVER).unwrap();
        signaller.join().unwrap().unwrap();
        waiter.join().unwrap().unwrap();
    });
}

/// [causal 44] A wait for all goes on after the last of two signals, in whichever order they come.
#[test]
fn wait_for_all_against_signals() {
    wide_model(|| {
        let semaphores = [0, 0].map(|value| Arc::new(Semaphore::new(value)));
        let signallers = semaphores.clone().map(|it| thread::spawn(move || it.signal(1).unwrap()));
        let [first, second] = &semaphores;
        wait_all(&[(first, 1), (second, 1)], Deadline::NEVER).unwrap();
        assert!(first.is_reached(1).unwrap() && second.is_reached(1).unwrap());
        for signaller in signallers {
            signaller.join().unwrap();
        }
    });
}

/// [causal 46] The signal that a wait for any did not need arrives late: it disturbs no later wait of the thread.
#[test]
fn a_late_wake_is_ignored() {
    wide_model(|| {
        let semaphores = [0, 0, 0].map(|value| Arc::new(Semaphore::new(value)));
        let [first, second, third] = &semaphores;
        let signaller = thread::spawn({
            let semaphores = semaphores.clone();
            // The first ends the first wait; the second is late, and may come before or into the second wait.
            move || semaphores.iter().for_each(|it| it.signal(1).unwrap())
        });
        let index = wait_any(&[(first, 1), (second, 1)], Deadline::NEVER).unwrap();
        assert!(semaphores[index].is_reached(1).unwrap());
        third.wait(1, Deadline::NEVER).unwrap();
        assert!(third.is_reached(1).unwrap(), "woken by what belonged to the first wait");
        signaller.join().unwrap();
    });
}

/// A wait for any that one semaphore ends by failing and another by its value reports one of the two.
#[test]
fn wait_for_any_against_fail_and_signal() {
    wide_model(|| {
        let (failing, rising) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let failer = thread::spawn({
            let failing = Arc::clone(&failing);
            move || failing.fail(lost())
        });
        let signaller = thread::spawn({
            let rising = Arc::clone(&rising);
            move || rising.signal(1).unwrap()
        });
        match wait_any(&[(&failing, 1), (&rising, 1)], Deadline::NEVER) {
            Ok(index) => assert_eq!(index, 1),
            Err(status) => assert_eq!(status.code(), Code::DataLoss),
        }
        failer.join().unwrap();
        signaller.join().unwrap();
    });
}
