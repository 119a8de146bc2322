//! Odd uses: the largest values, nothing at all, handles dropped where they are used, chains without end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use weft_sync::elision::QueueContext;
use weft_sync::reuse::{Acquired, Arena, BlockPool, RangeOptions, RangePool, Request, Requester};
use weft_sync::{Axis, Deadline, Frontier, FrontierBuf, Machine, Semaphore, Tracker, TrackerOptions};

const AXIS: Axis = Machine::LOCAL.host(1);
const CHAIN: usize = if cfg!(tsan) { 1_000 } else { 100_000 };

fn tracker(axis_capacity: u32) -> Tracker {
    Tracker::new(TrackerOptions { axis_capacity, ..TrackerOptions::default() }).expect("a tracker")
}

#[test]
fn the_largest_value_can_be_reached_and_not_passed() {
    let timeline = Semaphore::new(u64::MAX - 1);
    timeline.signal(u64::MAX).unwrap();
    assert!(timeline.signal(u64::MAX).is_err());
    timeline.wait(u64::MAX, Deadline::IMMEDIATE).unwrap();
    let (tracker, calls) = (tracker(1), Arc::new(Mutex::new(0)));
    tracker.register(AXIS, None).unwrap();
    let counted = Arc::clone(&calls);
    let last = FrontierBuf::single(AXIS, u64::MAX);
    tracker.wait(&last, move |outcome| *counted.lock().unwrap() += i32::from(outcome.is_ok())).unwrap();
    assert_eq!(tracker.advance(AXIS, u64::MAX), 1);
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[test]
fn nothing_fits_where_there_is_no_room() {
    let tracker = tracker(0);
    assert!(tracker.register(AXIS, None).is_err());
    assert_eq!(tracker.advance(AXIS, 3), 0);
    assert!(tracker.wait(Frontier::EMPTY, |outcome| outcome.unwrap()).is_ok());
    let mut nothing = FrontierBuf::<0>::new();
    assert!(nothing.raise(AXIS, 1).is_err() && nothing.merge(Frontier::EMPTY).is_ok());
    assert!(QueueContext::<0>::in_order(AXIS).submit([]).past().is_none());
    assert!(QueueContext::<1>::in_order(AXIS).submit([]).past().is_some());
}

/// The last handle may go inside a callback, also that of the tracker which is calling.
#[test]
fn handles_go_where_they_are_used() {
    let timeline = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&timeline);
    timeline.on_reached(1, move |_| drop(held));
    let gone = Arc::downgrade(&timeline);
    timeline.signal(1).unwrap();
    drop(timeline);
    assert!(gone.upgrade().is_none());

    let (tracker, heard) = (Arc::new(tracker(1)), Arc::new(Mutex::new(Vec::new())));
    tracker.register(AXIS, None).unwrap();
    for (epoch, held) in [(1, Some(Arc::clone(&tracker))), (2, None)] {
        let heard = Arc::clone(&heard);
        let callback = move |outcome: weft_sync::Result<()>| {
            heard.lock().unwrap().push(outcome.is_ok());
            drop(held);
        };
        tracker.wait(&FrontierBuf::single(AXIS, epoch), callback).unwrap();
    }
    let gone = Arc::downgrade(&tracker);
    tracker.advance(AXIS, 1);
    drop(tracker);
    assert!(gone.upgrade().is_none());
    assert_eq!(*heard.lock().unwrap(), [true, false], "reached, and cancelled with the tracker");
}

/// A callback that panics takes no other callback with it, and the timeline goes on.
#[test]
fn a_panic_stays_with_its_callback() {
    let (timeline, calls) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&calls);
    timeline.on_reached(1, |_| panic!("one of two"));
    timeline.on_reached(1, move |_| *counted.lock().unwrap() += 1);
    assert!(catch_unwind(AssertUnwindSafe(|| timeline.signal(1))).is_err());
    assert_eq!(*calls.lock().unwrap(), 1);
    timeline.signal(2).unwrap();
}

/// Each callback owns the next timeline: signalling the first, or dropping it, takes the stack of one.
#[test]
fn long_chains_take_the_stack_of_one() {
    let timelines = || -> Vec<Arc<Semaphore>> { (0..CHAIN).map(|_| Arc::new(Semaphore::new(0))).collect() };
    let chained = timelines();
    for pair in chained.windows(2) {
        let next = Arc::clone(&pair[1]);
        pair[0].on_reached(1, move |outcome| match outcome {
            Ok(()) => next.signal(1).unwrap(),
            Err(status) => next.fail(status),
        });
    }
    chained[0].signal(1).unwrap();
    assert_eq!(chained[CHAIN - 1].query().unwrap(), 1);

    let linked = timelines();
    for pair in linked.windows(2) {
        pair[0].link(1, &pair[1], 1);
    }
    let last = Arc::clone(&linked[CHAIN - 1]);
    drop(linked);
    assert!(last.query().is_err(), "cancelled, all the way down");
}

#[test]
fn pools_of_odd_sizes() {
    let unknown = Requester::unknown();
    let one = Request::new(1, 1);
    assert!(BlockPool::<4>::new(u32::MAX, u64::MAX).is_err());
    assert!(BlockPool::<4>::new(2, 0).unwrap().acquire(&one, &unknown).is_err());
    let none = BlockPool::<4>::new(0, 64).unwrap().acquire(&one, &unknown).unwrap();
    assert!(matches!(none, Acquired::Exhausted { .. }));
    assert!(Arena::<1>::new(0).acquire(&one, &unknown).is_err());
    let mut all = Arena::<1>::new(u64::MAX);
    assert!(matches!(all.acquire(&Request::new(u64::MAX, 1 << 63), &unknown).unwrap(), Acquired::Fresh(_)));
    assert!(matches!(all.acquire(&one, &unknown).unwrap(), Acquired::Exhausted { .. }));

    let options = RangeOptions { granularity: 1, slab_bytes: 8, slabs_max: 0, budget: u64::MAX };
    let growing = Request { can_grow: true, ..one };
    let none = RangePool::<2>::new(options).unwrap().acquire(&growing, &unknown).unwrap();
    assert_eq!(none, Acquired::Exhausted { could_grow: false, is_tainted: false });
    let poor = RangeOptions { slabs_max: 1, budget: 0, ..options };
    assert_eq!(RangePool::<2>::new(poor).unwrap().acquire(&growing, &unknown).unwrap(), Acquired::OverBudget);
    for (granularity, slab_bytes) in [(1, u64::MAX), (1 << 63, 1 << 63), (1, 1)] {
        let options = RangeOptions { granularity, slab_bytes, slabs_max: 1, budget: u64::MAX };
        let mut pool = RangePool::<1>::new(options).unwrap();
        for (size, alignment) in [(1, 1), (1, 1 << 63), (1 << 63, 1 << 63), (u64::MAX, 1), (2, 1)] {
            let request = Request { can_grow: true, ..Request::new(size, alignment) };
            if let Some(reservation) =
                pool.acquire(&request, &unknown).ok().and_then(Acquired::into_reservation)
            {
                pool.release(reservation, None).unwrap();
            }
        }
        assert!(pool.statistics().reservations > 0 && pool.statistics().live == 0);
        assert_eq!(pool.free_bytes(), slab_bytes, "joined again");
    }
}
