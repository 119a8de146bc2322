//! One callback for several points against signals, failures and its withdrawal.

use super::{Calls, lost, model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::{Point, Semaphore, on_all_reached, on_any_reached};

fn two() -> ([Arc<Semaphore>; 2], [Point; 2]) {
    let semaphores = [0, 0].map(|value| Arc::new(Semaphore::new(value)));
    let points = semaphores.clone().map(|semaphore| Point { semaphore, value: 1 });
    (semaphores, points)
}

/// [causal 44] Two signals while the points are registered: called once, with both effects seen.
#[test]
fn all_against_two_signals() {
    wide_model(|| {
        let (semaphores, points) = two();
        let (calls, data) = (Calls::default(), Arc::new([AtomicU32::new(0), AtomicU32::new(0)]));
        let signallers = [0, 1].map(|index| {
            let (semaphore, data) = (Arc::clone(&semaphores[index]), Arc::clone(&data));
            thread::spawn(move || {
                data[index].store(7, Ordering::Relaxed);
                semaphore.signal(1).unwrap();
            })
        });
        let callback = calls.callback();
        on_all_reached(&points, move |outcome| {
            assert!(data.iter().all(|it| it.load(Ordering::Relaxed) == 7));
            callback(outcome);
        });
        for signaller in signallers {
            signaller.join().unwrap();
        }
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
    });
}

/// [causal 45] A failure that decides while points are registered leaves nothing behind.
#[test]
fn any_against_failure_and_signal() {
    model(|| {
        let (semaphores, points) = two();
        let calls = Calls::default();
        let failer = thread::spawn({
            let first = Arc::clone(&semaphores[0]);
            move || first.fail(lost())
        });
        let callback = calls.callback();
        on_any_reached(&points, move |outcome| callback(outcome.map(|_| ()))).unwrap();
        semaphores[1].signal(1).unwrap();
        failer.join().unwrap();
        assert_eq!(calls.reached() + calls.failed(), 1);
        assert!(format!("{:?}", semaphores[1]).contains("pending: 0"));
    });
}

/// Withdrawn or called, as it was told.
#[test]
fn cancel_against_signal() {
    model(|| {
        let (semaphores, points) = two();
        let calls = Calls::default();
        let gathering = on_all_reached(&points, calls.callback());
        semaphores[0].signal(1).unwrap();
        let signaller = thread::spawn({
            let second = Arc::clone(&semaphores[1]);
            move || second.signal(1).unwrap()
        });
        let cancelled = gathering.cancel();
        signaller.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (usize::from(!cancelled), 0));
    });
}
