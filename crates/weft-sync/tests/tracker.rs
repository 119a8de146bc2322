//! The tracker call by call, from many threads, and from its own callbacks.
//!
//! Every interleaving of wait, advance and fail is in `loom`.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use weft_sync::{
    Axis, Code, Entry, Frontier, FrontierBuf, Machine, Result, Semaphore, Status, Tracker, TrackerOptions,
    WaitId,
};

type Entered = (u64, Option<Code>);

/// The outcomes that callbacks got, in the order in which they ran.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Entered>>>);

impl Log {
    fn callback(&self, name: u64) -> impl FnOnce(Result<()>) + Send + 'static {
        let log = self.clone();
        move |outcome| log.0.lock().unwrap().push((name, outcome.err().map(|status| status.code())))
    }

    fn take(&self) -> Vec<Entered> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn axis(number: u64) -> Axis {
    Machine::LOCAL.host(number)
}

/// A tracker that knows the axes 1 to `axes`.
fn tracker(axes: u64) -> Arc<Tracker> {
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    (1..=axes).for_each(|number| tracker.register(axis(number), None).unwrap());
    Arc::new(tracker)
}

fn set(pairs: &[(u64, u64)]) -> FrontierBuf<32> {
    let entries: Vec<_> = pairs.iter().map(|&(number, epoch)| Entry::new(axis(number), epoch)).collect();
    FrontierBuf::from_entries(&entries).unwrap()
}

fn wait(tracker: &Tracker, pairs: &[(u64, u64)], log: &Log, name: u64) -> WaitId {
    tracker.wait(&set(pairs), log.callback(name)).unwrap()
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "the device is gone")
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().code()
}

/// [causal 47] Sizes from none to too many; registering twice, also when nothing else fits.
#[test]
fn creation_and_registration() {
    let make = |axis_capacity| {
        let machine = Machine { session: 9, index: 4 };
        Tracker::new(TrackerOptions { axis_capacity, machine })
    };
    let none = make(0).unwrap();
    assert_eq!(code(none.register(axis(1), None)), Code::ResourceExhausted);
    assert_eq!(none.machine(), Machine { session: 9, index: 4 });
    assert_eq!(code(make(u32::MAX / 4 + 1)), Code::InvalidArgument);
    assert_eq!(code(make(u32::MAX)), Code::InvalidArgument);

    let two = make(2).unwrap();
    two.register(axis(1), None).unwrap();
    assert_eq!(code(two.register(axis(1), None)), Code::AlreadyExists);
    two.register(axis(2), None).unwrap();
    assert_eq!(code(two.register(axis(2), None)), Code::AlreadyExists, "said before that nothing fits");
    assert_eq!(code(two.register(axis(3), None)), Code::ResourceExhausted);
    assert_eq!(code(two.register(Axis::from_raw(0), None)), Code::InvalidArgument);
    two.retire_axis(axis(1), Status::new(Code::Cancelled, "done"));
    assert_eq!(code(two.register(axis(1), None)), Code::AlreadyExists, "reserved for ever");
    assert_eq!(TrackerOptions::default().axis_capacity, 256);
}

/// [causal 48] A tracker that goes away answers those who still wait.
#[test]
fn dropping_cancels_what_waits() {
    drop(tracker(3));
    let (it, log) = (tracker(2), Log::default());
    wait(&it, &[(1, 1)], &log, 1);
    wait(&it, &[(1, 1), (2, 1)], &log, 2);
    drop(it);
    let mut told = log.take();
    told.sort_unstable();
    assert_eq!(told, [(1, Some(Code::Cancelled)), (2, Some(Code::Cancelled))]);
}

/// [causal 49] [causal 61] Forward only; very large epochs; unknown axes; what can be asked.
#[test]
fn advance_moves_forward_only() {
    let it = tracker(2);
    assert_eq!(it.current_epoch(axis(1)), Some(0));
    for (epoch, after) in
        [(5, 5), (5, 5), (3, 5), (u64::MAX - 1, u64::MAX - 1), (u64::MAX, u64::MAX), (0, u64::MAX)]
    {
        assert_eq!(it.advance(axis(1), epoch), 0);
        assert_eq!(it.current_epoch(axis(1)), Some(after));
    }
    assert!(it.query_epoch(axis(1), u64::MAX) && it.query_epoch(axis(2), 0) && !it.query_epoch(axis(2), 1));
    assert_eq!(it.advance(axis(9), 1), 0);
    assert_eq!(it.advance(Axis::from_raw(0), 1), 0);
    assert!(!it.query_epoch(axis(9), 0) && it.current_epoch(axis(9)).is_none());
    it.advance(axis(2), 4);
    it.fail_axis(axis(2), lost());
    assert!(it.query_epoch(axis(2), 4) && !it.query_epoch(axis(2), 5), "a failure takes nothing back");
}

/// [causal 50] Answered at once, kept, refused.
#[test]
fn wait_answers_at_once_if_it_can() {
    let (it, log) = (tracker(2), Log::default());
    it.wait(Frontier::EMPTY, log.callback(1)).unwrap();
    it.advance(axis(1), 5);
    let id = wait(&it, &[(1, 5)], &log, 2);
    assert_eq!(log.take(), [(1, None), (2, None)]);
    assert!(!it.cancel_wait(id));
    wait(&it, &[(1, 5), (2, 1)], &log, 3);
    let refused = it.wait(&set(&[(1, 1), (7, 1)]), log.callback(4));
    assert_eq!(code(refused), Code::NotFound);
    let refused = it.wait(&set(&[(1, 1), (2, 1), (7, 1), (8, 1), (9, 1)]), log.callback(4)).unwrap_err();
    assert!(refused.code() == Code::NotFound && refused.message().contains("s1.m0.h7"), "{refused}");
    assert_eq!(log.take(), []);
}

/// [causal 51] One entry, several entries, one and then all; several waiters on the same and on different frontiers.
#[test]
fn advances_dispatch_whom_they_satisfy() {
    let (it, log) = (tracker(6), Log::default());
    wait(&it, &[(1, 3)], &log, 1);
    assert_eq!(it.advance(axis(1), 2), 0);
    assert_eq!(it.advance(axis(2), 9), 0);
    assert_eq!(log.take(), []);
    assert_eq!(it.advance(axis(1), 4), 1);
    assert_eq!(log.take(), [(1, None)]);

    for order in [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [3, 1, 6, 2, 5, 4]] {
        let it = tracker(6);
        wait(&it, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)], &log, 7);
        let counts = order.map(|number| it.advance(axis(number), number));
        assert_eq!((counts, log.take()), ([0, 0, 0, 0, 0, 1], vec![(7, None)]));
    }

    let it = tracker(3);
    for name in 0..3 {
        wait(&it, &[(1, 2), (2, 2)], &log, name);
    }
    wait(&it, &[(1, 9)], &log, 10);
    wait(&it, &[(1, 1)], &log, 11);
    wait(&it, &[(2, 1)], &log, 12);
    assert_eq!(it.advance(axis(1), 2), 1);
    assert_eq!(log.take(), [(11, None)]);
    assert_eq!(it.advance(axis(2), 2), 4);
    let mut told = log.take();
    told.sort_unstable();
    assert_eq!(told, [(0, None), (1, None), (2, None), (12, None)]);
    assert_eq!(it.advance(axis(1), u64::MAX), 1);
}

/// [causal 51] An epoch at the end of the range can be waited for.
#[test]
fn the_last_epoch_can_be_reached() {
    let (it, log) = (tracker(1), Log::default());
    wait(&it, &[(1, u64::MAX)], &log, 1);
    assert_eq!(it.advance(axis(1), u64::MAX - 1), 0);
    assert_eq!(it.advance(axis(1), u64::MAX), 1);
    assert_eq!(log.take(), [(1, None)]);
}

/// [causal 52] True once while pending; the others stay, wherever in their list the cancelled one was.
#[test]
fn cancel_answers_whether_the_wait_was_withdrawn() {
    for withdrawn in 0..4 {
        let (it, log) = (tracker(2), Log::default());
        let ids: Vec<_> = (0..4).map(|name| wait(&it, &[(1, 1 + name), (2, 1)], &log, name)).collect();
        it.advance(axis(2), 1);
        assert!(it.cancel_wait(ids[withdrawn]));
        assert!(!it.cancel_wait(ids[withdrawn]));
        let again = wait(&it, &[(1, 1)], &log, 9);
        assert_eq!(it.advance(axis(1), 9), 4);
        let mut names: Vec<_> = log.take().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let expected: Vec<_> = (0..4).filter(|&name| name != withdrawn as u64).chain([9]).collect();
        assert_eq!(names, expected);
        // A later wait in the place of an earlier one is not withdrawn by the earlier one's name.
        let later: Vec<_> = (0..5).map(|name| wait(&it, &[(1, 10)], &log, name)).collect();
        assert!(ids.iter().all(|&id| !it.cancel_wait(id)) && !it.cancel_wait(again));
        assert!(later.iter().all(|&id| it.cancel_wait(id)));
    }
}

/// [causal 53] Waiters before and after; the first failure wins; one axis of several; an unknown one.
#[test]
fn a_failed_axis_fails_whoever_names_it() {
    let (it, log) = (tracker(8), Log::default());
    wait(&it, &[(1, 1)], &log, 1);
    wait(&it, &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)], &log, 2);
    wait(&it, &[(2, 1)], &log, 3);
    it.fail_axis(axis(77), lost());
    it.fail_axis(axis(1), lost());
    let mut told = log.take();
    told.sort_unstable();
    assert_eq!(told, [(1, Some(Code::DataLoss)), (2, Some(Code::DataLoss))]);
    it.fail_axis(axis(1), Status::new(Code::Aborted, "too late"));
    wait(&it, &[(1, 1)], &log, 4);
    assert_eq!(log.take(), [(4, Some(Code::DataLoss))]);
    it.advance(axis(1), 5);
    wait(&it, &[(1, 1)], &log, 5);
    assert_eq!(log.take(), [(5, Some(Code::DataLoss))], "also for an epoch that is reached");
    assert_eq!(it.advance(axis(2), 1), 1);
    assert_eq!(log.take(), [(3, None)]);
}

/// [causal 60] A failed axis is seen behind a pending one.
#[test]
fn a_failure_behind_a_pending_entry_is_seen_at_once() {
    let (it, log) = (tracker(2), Log::default());
    it.fail_axis(axis(2), lost());
    wait(&it, &[(1, 1), (2, 1)], &log, 1);
    assert_eq!(log.take(), [(1, Some(Code::DataLoss))]);
}

/// [causal 54] A retired axis ends its waiters and leaves its semaphore alone, then and afterwards.
#[test]
fn a_retired_axis_lets_go_of_its_semaphore() {
    let (it, log, bridge) = (tracker(0), Log::default(), Arc::new(Semaphore::new(0)));
    it.register(axis(1), Some(Arc::clone(&bridge))).unwrap();
    wait(&it, &[(1, 4)], &log, 1);
    it.advance(axis(1), 2);
    it.retire_axis(axis(1), Status::new(Code::Cancelled, "queue closed"));
    wait(&it, &[(1, 1)], &log, 2);
    assert_eq!(log.take(), [(1, Some(Code::Cancelled)), (2, Some(Code::Cancelled))]);
    it.advance(axis(1), 3);
    it.fail_axis(axis(1), lost());
    assert_eq!(bridge.query().unwrap(), 2);
}

/// [causal 55] With a semaphore: it follows; a refusal fails it; a failed axis fails it.
#[test]
fn a_bridge_follows_its_axis() {
    let (it, log) = (tracker(1), Log::default());
    assert_eq!(it.advance(axis(1), 1), 0, "without one");
    let [bridge, moved, failing] = [0; 3].map(|value| Arc::new(Semaphore::new(value)));
    for (number, bridge) in [(2, &bridge), (3, &moved), (4, &failing)] {
        it.register(axis(number), Some(Arc::clone(bridge))).unwrap();
    }
    wait(&it, &[(2, 5)], &log, 1);
    for (epoch, after) in [(2, 2), (1, 2), (7, 7)] {
        it.advance(axis(2), epoch);
        assert_eq!(bridge.query().unwrap(), after);
    }
    assert_eq!(log.take(), [(1, None)]);

    moved.signal(9).unwrap();
    wait(&it, &[(3, 4)], &log, 2);
    assert_eq!(it.advance(axis(3), 4), 1);
    assert_eq!(code(moved.query()), Code::InvalidArgument);
    assert_eq!(log.take(), [(2, None)], "the axis itself is fine");

    it.fail_axis(axis(4), lost());
    assert_eq!(code(failing.query()), Code::DataLoss);
    it.advance(axis(4), 1);
    assert_eq!(failing.last_value(), 0);
}

/// [causal 55] [causal 56] Many threads advance one axis: its semaphore is never failed for being overtaken.
#[test]
fn overtaken_bridges_are_no_error() {
    const EPOCHS: u64 = if cfg!(tsan) { 2_000 } else { 20_000 };
    let (it, bridge, next) = (tracker(0), Arc::new(Semaphore::new(0)), AtomicU64::new(1));
    it.register(axis(1), Some(Arc::clone(&bridge))).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let epoch = next.fetch_add(1, Ordering::Relaxed);
                    if epoch > EPOCHS {
                        break;
                    }
                    it.advance(axis(1), epoch);
                }
            });
        }
    });
    assert_eq!((bridge.query().unwrap(), it.current_epoch(axis(1))), (EPOCHS, Some(EPOCHS)));
}

/// [causal 56] Different axes from different threads; every waiter once.
#[test]
fn concurrent_advances_of_different_axes() {
    let (it, fired) = (tracker(4), Arc::new(AtomicUsize::new(0)));
    for round in 1..=250 {
        let fired = Arc::clone(&fired);
        let all = set(&[(1, round), (2, round), (3, round), (4, round)]);
        it.wait(&all, move |outcome| {
            outcome.unwrap();
            fired.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    }
    let dispatched = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 1..=4 {
            let (it, dispatched) = (&it, &dispatched);
            scope.spawn(move || {
                for epoch in 1..=250 {
                    dispatched.fetch_add(it.advance(axis(number), epoch), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((fired.load(Ordering::Relaxed), dispatched.load(Ordering::Relaxed)), (250, 250));
}

/// [causal 57] A pipeline of stages, each started by the one before through the tracker.
#[test]
fn scenario_pipeline() {
    let (it, log) = (tracker(4), Log::default());
    for stage in 1..=3 {
        let (tracker, note) = (Arc::downgrade(&it), log.callback(stage));
        it.wait(&set(&[(stage, 1)]), move |outcome| {
            note(outcome);
            tracker.upgrade().unwrap().advance(axis(stage + 1), 1);
        })
        .unwrap();
    }
    assert_eq!(it.advance(axis(1), 1), 1);
    assert_eq!(log.take(), [(1, None), (2, None), (3, None)]);
    assert!(it.query_epoch(axis(4), 1));
}

/// [causal 57] One producer starts many, one consumer waits for all of them.
#[test]
fn scenario_fan_out_and_in() {
    let (it, log) = (tracker(9), Log::default());
    let all: Vec<_> = (2..=9).map(|number| (number, 1)).collect();
    wait(&it, &all, &log, 100);
    for number in 2..=9 {
        let tracker = Arc::downgrade(&it);
        it.wait(&set(&[(1, 1)]), move |_| _ = tracker.upgrade().unwrap().advance(axis(number), 1)).unwrap();
    }
    assert_eq!(it.advance(axis(1), 1), 8);
    assert_eq!(log.take(), [(100, None)]);
}

/// [causal 57] A device is lost: all of its queues fail, other work goes on.
#[test]
fn scenario_device_lost() {
    let (it, log) = (tracker(4), Log::default());
    wait(&it, &[(1, 1), (3, 1)], &log, 1);
    wait(&it, &[(2, 1)], &log, 2);
    wait(&it, &[(3, 1), (4, 1)], &log, 3);
    for queue in [1, 2] {
        it.fail_axis(axis(queue), Status::new(Code::Unavailable, "device lost"));
    }
    assert_eq!(log.take(), [(1, Some(Code::Unavailable)), (2, Some(Code::Unavailable))]);
    it.advance(axis(3), 1);
    it.advance(axis(4), 1);
    assert_eq!(log.take(), [(3, None)]);
}

/// [causal 58] One advance against one wait, over and over: each wait is answered. (Ten million rounds by
/// `WEFT_STRESS_ROUNDS=10000000`.)
#[test]
fn no_wake_is_lost() {
    let rounds = std::env::var("WEFT_STRESS_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: u64 = rounds.unwrap_or(if cfg!(tsan) { 10_000 } else { 100_000 });
    let it = tracker(1);
    let (started, answered) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=rounds {
                while started.load(Ordering::Acquire) < round {
                    std::hint::spin_loop();
                }
                it.advance(axis(1), round);
            }
        });
        for round in 1..=rounds {
            let answered_by = Arc::clone(&answered);
            started.store(round, Ordering::Release);
            it.wait(&set(&[(1, round)]), move |outcome| {
                outcome.unwrap();
                answered_by.store(round, Ordering::Release);
            })
            .unwrap();
            let mut looks = 0_u64;
            while answered.load(Ordering::Acquire) < round {
                looks += 1;
                assert!(looks < 1 << 34, "the wait of round {round} was never answered");
                if looks.is_multiple_of(1 << 10) {
                    thread::yield_now();
                }
            }
        }
    });
}

/// [causal 59] Callbacks wait again, advance, fail and cancel on the tracker that runs them.
#[test]
fn callbacks_reenter() {
    let (it, log) = (tracker(4), Log::default());
    let tracker = Arc::downgrade(&it);
    let victim = wait(&it, &[(4, 9)], &log, 9);
    let inner = log.clone();
    it.wait(&set(&[(1, 1)]), move |outcome| {
        let it = tracker.upgrade().unwrap();
        outcome.unwrap();
        wait(&it, &[(1, 1)], &inner, 1);
        wait(&it, &[(2, 1)], &inner, 2);
        wait(&it, &[(3, 1)], &inner, 3);
        assert!(it.cancel_wait(victim));
        it.advance(axis(2), 1);
        it.fail_axis(axis(3), lost());
    })
    .unwrap();
    assert_eq!(it.advance(axis(1), 1), 1);
    assert_eq!(log.take(), [(1, None), (2, None), (3, Some(Code::DataLoss))]);
}

/// [causal 59] The semaphore of an axis that fails calls back into the tracker, which holds no lock meanwhile.
#[test]
fn a_bridge_callback_reenters_while_its_axis_fails() {
    let (it, log, bridge) = (tracker(2), Log::default(), Arc::new(Semaphore::new(0)));
    it.register(axis(3), Some(Arc::clone(&bridge))).unwrap();
    wait(&it, &[(3, 5)], &log, 5);
    let (tracker, inner) = (Arc::downgrade(&it), log.clone());
    bridge.on_reached(1, move |outcome| {
        let it = tracker.upgrade().unwrap();
        inner.callback(1)(outcome);
        wait(&it, &[(1, 1)], &inner, 2);
        it.advance(axis(1), 1);
        it.fail_axis(axis(2), lost());
        wait(&it, &[(3, 1)], &inner, 3);
    });
    it.fail_axis(axis(3), lost());
    let mut told = log.take();
    told.sort_unstable();
    assert_eq!(
        told,
        [(1, Some(Code::DataLoss)), (2, None), (3, Some(Code::DataLoss)), (5, Some(Code::DataLoss))]
    );
}

/// [causal 59] A callback may hold the last reference to its tracker and let go of it.
#[test]
fn a_callback_releases_the_last_reference() {
    let (it, log) = (tracker(1), Log::default());
    wait(&it, &[(1, 9)], &log, 9);
    let held = Arc::clone(&it);
    it.wait(&set(&[(1, 1)]), move |_| drop(held)).unwrap();
    let weak = Arc::downgrade(&it);
    thread::spawn(move || it.advance(axis(1), 1)).join().unwrap();
    assert!(weak.upgrade().is_none());
    assert_eq!(log.take(), [(9, Some(Code::Cancelled))]);
}

/// A panic in the callback of a bridge or of a waiter does not cost other waiters their turn.
#[test]
fn a_panic_does_not_cost_the_others_their_turn() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let (it, log, bridge) = (tracker(0), Log::default(), Arc::new(Semaphore::new(0)));
    it.register(axis(1), Some(Arc::clone(&bridge))).unwrap();
    bridge.on_reached(1, |_| panic!("on purpose"));
    wait(&it, &[(1, 1)], &log, 1);
    assert!(catch_unwind(AssertUnwindSafe(|| it.advance(axis(1), 1))).is_err());
    assert_eq!(log.take(), [(1, None)]);
    it.wait(&set(&[(1, 2)]), |_| panic!("on purpose")).unwrap();
    wait(&it, &[(1, 2)], &log, 2);
    assert!(catch_unwind(AssertUnwindSafe(|| it.advance(axis(1), 2))).is_err());
    assert_eq!(log.take(), [(2, None)]);
}

/// Axes are registered while others look up, wait and advance.
#[test]
fn axes_arrive_late() {
    let (it, fired) = (tracker(0), Arc::new(AtomicUsize::new(0)));
    const AXES: u64 = 200;
    thread::scope(|scope| {
        scope.spawn(|| (1..=AXES).for_each(|number| it.register(axis(number), None).unwrap()));
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 1..=AXES {
                    let fired = Arc::clone(&fired);
                    while it.current_epoch(axis(number)).is_none() {
                        thread::yield_now();
                    }
                    it.wait(&set(&[(number, 1)]), move |_| _ = fired.fetch_add(1, Ordering::Relaxed))
                        .unwrap();
                    it.advance(axis(number), 1);
                }
            });
        }
    });
    assert_eq!(fired.load(Ordering::Relaxed), 2 * AXES as usize);
}
