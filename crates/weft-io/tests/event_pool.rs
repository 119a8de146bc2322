//! Events, and pools of them: what a pool hands out, who gets what, and that nothing is left over.

mod support;

use std::any::Any;
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Barrier, Mutex};
use support::{Log, Subject, alone, every, handles, poll_dry, poll_until, real};
use weft_io::ops::{EventWait, Sequence, Step};
use weft_io::{Event, EventPool, EventSource, Operation, RelayPlan, RelaySink, RelaySource};
use weft_sync::Deadline;

fn numbers(events: &[Event]) -> HashSet<i32> {
    events.iter().map(|event| event.as_fd().as_raw_fd()).collect()
}

/// [async 106] Pools of none and of some hand out distinct events, grow on demand, and use again what came back.
#[test]
fn a_pool_grows_and_uses_events_again() {
    let _alone = alone();
    let before = handles();
    for count in [0, 1, 7, 200] {
        let pool = EventPool::new(count).unwrap();
        assert_eq!((pool.made(), handles()), (count, before + count));
        let first = pool.acquire().unwrap();
        assert_eq!(pool.made(), count.max(1));
        let number = first.as_fd().as_raw_fd();
        drop(first);
        assert_eq!(pool.acquire().unwrap().as_fd().as_raw_fd(), number, "used again");
        let all: Vec<Event> = (0..count + 3).map(|_| pool.acquire().unwrap()).collect();
        assert_eq!(numbers(&all).len(), count + 3);
        drop(all);
        assert_eq!((pool.made(), handles()), (count + 3, before + count + 3));
        let again: Vec<Event> = (0..count + 3).map(|_| pool.acquire().unwrap()).collect();
        assert_eq!(pool.made(), count + 3);
        // The pool goes first: what is out stays good.
        drop(pool);
        assert_eq!(handles(), before + count + 3);
        again[0].set();
        assert!(again[0].reset());
        drop(again);
        assert_eq!(handles(), before);
    }
}

/// [async 105] An event lives as long as any of its clones, and a pool's goes back with the last of them.
#[test]
fn clones_are_the_same_event() {
    let _alone = alone();
    let before = handles();
    let event = Event::new().unwrap();
    let clones = vec![event.clone(); 100];
    drop(event);
    clones[7].set();
    assert!(clones[93].reset());
    drop(clones);
    assert_eq!(handles(), before);
    let pool = EventPool::new(1).unwrap();
    let event = pool.acquire().unwrap();
    let clone = event.clone();
    drop(event);
    let other = pool.acquire().unwrap();
    assert_ne!(clone.as_fd().as_raw_fd(), other.as_fd().as_raw_fd(), "the first is still out");
    drop((clone, other));
    assert_eq!(pool.made(), 2);
}

/// [async 106] [async 107] [async-backends 80] A pooled event signals a wait, is held by it, and comes back not set,
/// also after several signals.
#[test]
fn a_wait_holds_its_event() {
    let _alone = alone();
    real(|mut subject| {
        let pool = EventPool::new(1).unwrap();
        let log = Log::default();
        for round in 0..50 {
            let event = pool.acquire().unwrap();
            assert!(!event.reset(), "{}: clean, round {round}", subject.name);
            let wait = Operation::new(EventWait { event: event.clone() }).on_done(log.line("set"));
            subject.poller.handle().submit(wait).unwrap();
            (0..round % 4 + 1).for_each(|_| event.set());
            drop(event);
            let other = pool.acquire().unwrap();
            assert!(!other.reset(), "another one: the wait has its own");
            drop(other);
            poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(log.take(), [("set", None)]);
        }
        assert_eq!(pool.made(), 2);
    });
}

/// [async 103] [async 108] [async 109] Taking the signal leaves the event as new; sets add up to one; one too many for
/// the system's counter is none.
#[test]
fn sets_add_up_to_one() {
    let _alone = alone();
    every(|mut subject| {
        let event = Event::new().unwrap();
        // The counter is full, and cannot take one more.
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        assert!(rustix::io::write(&event, &1_u64.to_ne_bytes()).is_err());
        event.set();
        if subject.is_real {
            let log = Log::default();
            let handle = subject.poller.handle().clone();
            for _ in 0..3 {
                (0..1000).for_each(|_| event.set());
                let wait = EventWait { event: event.clone() };
                handle.submit(Operation::new(wait).on_done(log.line("set"))).unwrap();
                poll_until(&mut subject.poller, || log.len() == 1);
                assert_eq!(log.take(), [("set", None)]);
                assert!(!event.reset(), "{}", subject.name);
            }
        } else {
            assert!(event.reset());
            assert!(!event.reset());
        }
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 107] Threads that take and give back at the same time never get the same event, and each comes out not set.
#[test]
fn threads_share_a_pool() {
    let _alone = alone();
    const THREADS: usize = 8;
    let rounds = if cfg!(tsan) { 500 } else { 5_000 };
    let before = handles();
    let pool = EventPool::new(4).unwrap();
    let out = Arc::new(Mutex::new(HashSet::new()));
    let start = Arc::new(Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, out, start) = (pool.clone(), Arc::clone(&out), Arc::clone(&start));
            scope.spawn(move || {
                start.wait();
                let mut held = Vec::new();
                for round in 0..rounds {
                    let event = pool.acquire().unwrap();
                    let number = event.as_fd().as_raw_fd();
                    assert!(out.lock().unwrap().insert(number), "event {number} is out already");
                    event.set();
                    assert!(event.reset());
                    assert!(!event.reset(), "it came out set");
                    held.push(event);
                    if held.len() > (thread + round) % 5 {
                        let event = held.swap_remove(round % held.len());
                        assert!(out.lock().unwrap().remove(&event.as_fd().as_raw_fd()));
                        drop(event);
                    }
                }
                held.iter().for_each(|event| {
                    out.lock().unwrap().remove(&event.as_fd().as_raw_fd());
                });
            });
        }
    });
    assert!(pool.made() <= THREADS * 6, "no more than were out at once: {}", pool.made());
    assert_eq!(handles(), before + pool.made());
    drop(pool);
    assert_eq!(handles(), before, "all are closed");
}

/// [async 107] Clones that two threads let go at the same time give the event back once, or close it; the pool neither
/// loses count nor grows without bound.
#[test]
fn last_clones_that_race_lose_nothing() {
    let _alone = alone();
    let rounds = if cfg!(tsan) { 500 } else { 20_000 };
    let before = handles();
    let pool = EventPool::new(1).unwrap();
    let (send, receive) = std::sync::mpsc::sync_channel::<Event>(1);
    let other = std::thread::spawn(move || receive.iter().for_each(drop));
    for _ in 0..rounds {
        let event = pool.acquire().unwrap();
        send.send(event.clone()).unwrap();
        drop(event);
    }
    drop(send);
    other.join().unwrap();
    assert!(pool.made() <= 4, "{}", pool.made());
    drop(pool);
    assert_eq!(handles(), before);
}

/// [async 107] The pool may go while others still give back.
#[test]
fn a_pool_goes_while_its_events_come_back() {
    let _alone = alone();
    let before = handles();
    for _ in 0..200 {
        let pool = EventPool::new(8).unwrap();
        let events: Vec<Event> = (0..8).map(|_| pool.acquire().unwrap()).collect();
        let other = std::thread::spawn(move || drop(events));
        drop(pool);
        other.join().unwrap();
    }
    assert_eq!(handles(), before);
}

/// A signal that came too late for a cancelled wait, or in time, is not the next owner's, whoever let the event go last.
#[test]
fn an_event_that_is_set_while_its_wait_is_cancelled_comes_back_unset() {
    let _alone = alone();
    real(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let pool = EventPool::new(1).unwrap();
        for round in 0..8 {
            let (is_step, is_late, is_started) = (round & 1 != 0, round & 2 != 0, round & 4 != 0);
            let event = pool.acquire().unwrap();
            let wait = EventWait { event: event.clone() };
            let ticket = match is_step {
                true => handle.submit(Sequence::new(vec![Step::new(wait)])).unwrap(),
                false => handle.submit(wait).unwrap(),
            };
            if is_started {
                assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            }
            handle.cancel(ticket).unwrap();
            if is_late {
                while poller.poll(Deadline::IMMEDIATE).is_ok() || poller.under_way() > 0 {}
            }
            event.set();
            drop(event);
            while poller.poll(Deadline::IMMEDIATE).is_ok() || poller.under_way() > 0 {}
            let again = pool.acquire().unwrap();
            assert!(!again.reset(), "{name}, round {round}: it was set");
            assert_eq!(pool.made(), 1, "the same one");
        }
    });
}

/// So is one that was set too late for a registration: as an event source, as the source of a relay, or as a sink.
#[test]
fn an_event_that_is_set_while_its_registration_ends_comes_back_unset() {
    let _alone = alone();
    real(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let pool = EventPool::new(1).unwrap();
        let other = || RelaySink::event(Event::new().unwrap());
        for round in 0..3 {
            let event = pool.acquire().unwrap();
            let setter = event.clone();
            let registered: Box<dyn Any> = match round {
                0 => Box::new(EventSource::register(&handle, event, |_| {}).unwrap()),
                1 => {
                    let plan = RelayPlan::new(RelaySource::event(event), other());
                    Box::new(plan.persistent().register(&handle).unwrap())
                }
                _ => {
                    let source = RelaySource::event(Event::new().unwrap());
                    Box::new(RelayPlan::new(source, RelaySink::event(event)).register(&handle).unwrap())
                }
            };
            assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            drop(registered);
            setter.set();
            drop(setter);
            (0..3).for_each(|_| drop(poller.poll(Deadline::IMMEDIATE)));
            let again = pool.acquire().unwrap();
            assert!(!again.reset(), "{name}, round {round}: it was set");
            assert_eq!(pool.made(), 1, "the same one");
        }
    });
}

/// [async 107] A debug build says so when an event goes back while it is set.
#[test]
#[cfg(debug_assertions)]
fn a_set_event_that_goes_back_is_noticed() {
    let _alone = alone();
    let pool = EventPool::new(1).unwrap();
    let event = pool.acquire().unwrap();
    event.set();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(event)));
    assert!(outcome.is_err());
}
