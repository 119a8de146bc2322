//! A wait against an advance, a failure and a cancel.

use super::{Calls, lost, model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::{Axis, Entry, Frontier, FrontierBuf, Machine, Semaphore, Tracker, TrackerOptions};

fn axis(number: u64) -> Axis {
    Machine::LOCAL.host(number)
}

fn tracker(axes: u64) -> Arc<Tracker> {
    let options = TrackerOptions { axis_capacity: 2, machine: Machine::LOCAL };
    let tracker = Tracker::new(options).unwrap();
    (1..=axes).for_each(|number| tracker.register(axis(number), None).unwrap());
    Arc::new(tracker)
}

fn one(number: u64, epoch: u64) -> FrontierBuf<1> {
    FrontierBuf::single(axis(number), epoch)
}

/// [causal 58] Whichever comes first, the wait is answered once, and sees what came before the epoch.
#[test]
fn wait_against_advance() {
    model(|| {
        let (it, calls, data) = (tracker(1), Calls::default(), Arc::new(AtomicU32::new(0)));
        let owner = thread::spawn({
            let (it, data) = (Arc::clone(&it), Arc::clone(&data));
            move || {
                data.store(7, Ordering::Relaxed);
                it.advance(axis(1), 1)
            }
        });
        let callback = calls.callback();
        it.wait(&one(1, 1), move |outcome| {
            assert_eq!(data.load(Ordering::Relaxed), 7);
            callback(outcome);
        })
        .unwrap();
        owner.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
    });
}

/// A wait that finds its epoch reached at the first look sees what came before it, too. The hint orders nothing; it brings the
/// checker to try the advance before the first look, which it leaves out otherwise: it takes the advance's own first
/// look for the last access to the epoch.
#[test]
fn an_answer_at_once_sees_what_came_before() {
    model(|| {
        let (it, calls) = (tracker(1), Calls::default());
        let shared = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let owner = thread::spawn({
            let (it, shared) = (Arc::clone(&it), Arc::clone(&shared));
            move || {
                shared.0.store(7, Ordering::Relaxed);
                it.advance(axis(1), 1);
                shared.1.store(1, Ordering::Relaxed);
            }
        });
        let hint = shared.1.load(Ordering::Relaxed);
        let callback = calls.callback();
        it.wait(&one(1, 1), move |outcome| {
            assert_eq!(shared.0.load(Ordering::Relaxed), 7, "hint {hint}");
            callback(outcome);
        })
        .unwrap();
        owner.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
    });
}

/// [causal 56] [causal 58] Two axes from two threads: the one that decides dispatches, once, with both effects seen.
#[test]
fn wait_for_two_axes_against_two_advances() {
    model(|| {
        let (it, calls) = (tracker(2), Calls::default());
        let data = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let owners = [1, 2].map(|number| {
            let (it, data) = (Arc::clone(&it), Arc::clone(&data));
            thread::spawn(move || {
                data[number - 1].store(7, Ordering::Relaxed);
                it.advance(axis(number as u64), 1)
            })
        });
        let both = [Entry::new(axis(1), 1), Entry::new(axis(2), 1)];
        let callback = calls.callback();
        it.wait(Frontier::new(&both).unwrap(), move |outcome| {
            assert!(data.iter().all(|it| it.load(Ordering::Relaxed) == 7));
            callback(outcome);
        })
        .unwrap();
        let dispatched: usize = owners.map(|owner| owner.join().unwrap()).iter().sum();
        assert_eq!((calls.reached(), calls.failed()), (1, 0));
        assert!(dispatched <= 1);
    });
}

/// [causal 53] [causal 58] A failure and an advance race over one waiter: it is answered once, and so is a later one.
#[test]
fn wait_against_advance_and_failure() {
    model(|| {
        let (it, calls) = (tracker(1), Calls::default());
        let owner = thread::spawn({
            let it = Arc::clone(&it);
            move || it.advance(axis(1), 1)
        });
        let failer = thread::spawn({
            let it = Arc::clone(&it);
            move || it.fail_axis(axis(1), lost())
        });
        it.wait(&one(1, 1), calls.callback()).unwrap();
        owner.join().unwrap();
        failer.join().unwrap();
        assert_eq!(calls.reached() + calls.failed(), 1);
        let later = Calls::default();
        it.wait(&one(1, 1), later.callback()).unwrap();
        assert_eq!((later.reached(), later.failed()), (0, 1));
    });
}

/// [causal 53] A failure of an axis that the waiter does not watch just then is not missed while it moves on.
#[test]
fn failure_while_the_watch_moves() {
    model(|| {
        let (it, calls) = (tracker(2), Calls::default());
        let both = [Entry::new(axis(1), 1), Entry::new(axis(2), 1)];
        it.wait(Frontier::new(&both).unwrap(), calls.callback()).unwrap();
        let failer = thread::spawn({
            let it = Arc::clone(&it);
            move || it.fail_axis(axis(1), lost())
        });
        it.advance(axis(2), 1);
        failer.join().unwrap();
        assert_eq!((calls.reached(), calls.failed()), (0, 1));
        assert_eq!(it.advance(axis(1), 1), 0);
    });
}

/// [causal 52] A withdrawn wait is not called, one that was not is; its neighbour in the list is, either way.
#[test]
fn cancel_against_advance() {
    model(|| {
        let (it, withdrawn, kept) = (tracker(1), Calls::default(), Calls::default());
        let id = it.wait(&one(1, 1), withdrawn.callback()).unwrap();
        it.wait(&one(1, 2), kept.callback()).unwrap();
        let owner = thread::spawn({
            let it = Arc::clone(&it);
            move || it.advance(axis(1), 2)
        });
        let cancelled = it.cancel_wait(id);
        let dispatched = owner.join().unwrap();
        assert_eq!((withdrawn.reached(), kept.reached()), (usize::from(!cancelled), 1));
        assert_eq!(dispatched, 1 + usize::from(!cancelled));
    });
}

/// A wait for less than what is watched announces itself; the advance to it does not pass it by.
#[test]
fn a_lower_wait_against_an_advance() {
    model(|| {
        let (it, low, high) = (tracker(1), Calls::default(), Calls::default());
        it.wait(&one(1, 3), high.callback()).unwrap();
        let owner = thread::spawn({
            let it = Arc::clone(&it);
            move || it.advance(axis(1), 1)
        });
        it.wait(&one(1, 1), low.callback()).unwrap();
        owner.join().unwrap();
        assert_eq!((low.reached(), high.reached()), (1, 0));
        assert_eq!(it.advance(axis(1), 3), 1);
    });
}

/// A wait for an epoch that others have announced already, and that is reached while it is looked at, sees what came before.
#[test]
fn a_second_wait_for_an_epoch_against_its_advance() {
    model(|| {
        let (it, first, second) = (tracker(1), Calls::default(), Calls::default());
        let data = Arc::new(AtomicU32::new(0));
        it.wait(&one(1, 1), first.callback()).unwrap();
        let owner = thread::spawn({
            let (it, data) = (Arc::clone(&it), Arc::clone(&data));
            move || {
                data.store(7, Ordering::Relaxed);
                it.advance(axis(1), 1);
            }
        });
        let callback = second.callback();
        it.wait(&one(1, 1), move |outcome| {
            assert_eq!(data.load(Ordering::Relaxed), 7);
            callback(outcome);
        })
        .unwrap();
        owner.join().unwrap();
        assert_eq!((first.reached(), second.reached()), (1, 1));
    });
}

/// Who dispatches for an earlier epoch also takes those whose epoch another thread has just reached: with what came
/// before that one.
#[test]
fn an_advance_dispatches_for_a_later_one() {
    model(|| {
        let (it, early, late) = (tracker(1), Calls::default(), Calls::default());
        let data = Arc::new(AtomicU32::new(0));
        it.wait(&one(1, 1), early.callback()).unwrap();
        let (callback, seen) = (late.callback(), Arc::clone(&data));
        it.wait(&one(1, 2), move |outcome| {
            assert_eq!(seen.load(Ordering::Relaxed), 7);
            callback(outcome);
        })
        .unwrap();
        let later = thread::spawn({
            let (it, data) = (Arc::clone(&it), Arc::clone(&data));
            move || {
                data.store(7, Ordering::Relaxed);
                it.advance(axis(1), 2);
            }
        });
        it.advance(axis(1), 1);
        later.join().unwrap();
        assert_eq!((early.reached(), late.reached()), (1, 1));
    });
}

/// The lowest watched epoch is lowered by one thread and raised by another, while a third advances.
#[test]
fn watches_come_and_go_while_the_axis_advances() {
    model(|| {
        let (it, first, second) = (tracker(1), Calls::default(), Calls::default());
        it.wait(&one(1, 2), second.callback()).unwrap();
        let waiter = thread::spawn({
            let (it, first) = (Arc::clone(&it), first.clone());
            move || {
                let id = it.wait(&one(1, 1), first.callback()).unwrap();
                it.cancel_wait(id)
            }
        });
        let owner = thread::spawn({
            let it = Arc::clone(&it);
            move || it.advance(axis(1), 2)
        });
        let cancelled = waiter.join().unwrap();
        owner.join().unwrap();
        assert_eq!((second.reached(), first.reached()), (1, usize::from(!cancelled)));
    });
}

/// [causal 55] Two threads advance one axis: its semaphore ends at the later epoch and is never failed.
#[test]
fn bridge_against_two_advances() {
    model(|| {
        let (it, bridge) = (tracker(0), Arc::new(Semaphore::new(0)));
        it.register(axis(1), Some(Arc::clone(&bridge))).unwrap();
        let other = thread::spawn({
            let it = Arc::clone(&it);
            move || it.advance(axis(1), 1)
        });
        it.advance(axis(1), 2);
        other.join().unwrap();
        assert_eq!(bridge.query().unwrap(), 2);
    });
}

/// An axis that is registered meanwhile is found whole or not at all.
#[test]
fn lookup_against_registration() {
    model(|| {
        let (it, bridge) = (tracker(1), Arc::new(Semaphore::new(0)));
        let registrar = thread::spawn({
            let (it, bridge) = (Arc::clone(&it), Arc::clone(&bridge));
            move || it.register(axis(2), Some(bridge)).unwrap()
        });
        it.advance(axis(2), 3);
        if it.query_epoch(axis(2), 3) {
            assert_eq!(bridge.query().unwrap(), 3);
        }
        registrar.join().unwrap();
        assert!(it.current_epoch(axis(2)).is_some());
    });
}
