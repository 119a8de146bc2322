//! What registrations of event sources leave behind: no handle, no callback. The rest is in the conformance suite.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use support::{Subject, after_ms, alone, every, handles, poll_until, real, real_with};
use weft_io::ops::Ready;
use weft_io::{Config, Event, EventSource, Handle, open_null};
use weft_sync::{Code, Deadline};

/// Registers a callback that takes the signal and counts.
fn counting(handle: &Handle, event: &Event) -> (EventSource, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let (taken, counted) = (event.clone(), Arc::clone(&count));
    let told = move |ready| {
        assert_eq!(ready, Ready::IN);
        taken.reset();
        counted.fetch_add(1, Ordering::Relaxed);
    };
    (EventSource::register(handle, event.clone(), told).unwrap(), count)
}

fn of(count: &AtomicU32) -> u32 {
    count.load(Ordering::Relaxed)
}

/// Polls without waiting, until nothing is told and nothing is on its way.
fn settle(subject: &mut Subject) {
    (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
}

/// [async 110] [async-backends 82] Registered and not, before the first poll, after it, and without any.
#[test]
fn registrations_come_and_go_without_events() {
    let _alone = alone();
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let before = handles();
        let event = Event::new().unwrap();
        for _ in 0..3 {
            let sources: Vec<_> = (0..5).map(|_| counting(&handle, &event)).collect();
            drop(sources);
            settle(&mut subject);
            let sources: Vec<_> = (0..5).map(|_| counting(&handle, &event)).collect();
            settle(&mut subject);
            drop(sources);
            settle(&mut subject);
        }
        drop(event);
        assert_eq!(handles(), before, "{}", subject.name);
    });
}

/// [async-backends 85] A callback that ends its own registration is called once, also when the submission ring is full
/// of other things, and is dropped.
#[test]
fn a_callback_ends_its_own_registration() {
    let _alone = alone();
    let config = Config { ring_entries: 4, ..Config::new() };
    real_with(&config, |mut subject| {
        let handle = subject.poller.handle().clone();
        let before = handles();
        let told = Arc::new(AtomicU32::new(0));
        let events: Vec<Event> = (0..40).map(|_| Event::new().unwrap()).collect();
        for event in &events {
            let own: Arc<Mutex<Option<EventSource>>> = Arc::default();
            let (counted, mine) = (Arc::clone(&told), Arc::clone(&own));
            let callback = move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(mine.lock().unwrap().take());
            };
            *own.lock().unwrap() = Some(EventSource::register(&handle, event.clone(), callback).unwrap());
        }
        events.iter().for_each(Event::set);
        poll_until(&mut subject.poller, || of(&told) == 40);
        settle(&mut subject);
        assert_eq!(of(&told), 40, "{}", subject.name);
        assert!(events.iter().all(Event::reset));
        drop(events);
        assert_eq!(handles(), before);
        assert_eq!(Arc::strong_count(&told), 1, "the callbacks are gone");
    });
}

/// [async 111] [async 260] The proactor may go first: registrations end with it, nothing stays open; later ones come back.
#[test]
fn registrations_outlive_their_proactor() {
    let _alone = alone();
    every(|subject| {
        let before = handles();
        let handle = subject.poller.handle().clone();
        let event = Event::new().unwrap();
        let sources: Vec<_> = (0..3).map(|_| counting(&handle, &event)).collect();
        drop(subject.poller);
        let refused = EventSource::register(&handle, event.clone(), |_| {}).unwrap_err();
        assert_eq!(refused.why.code(), Code::Aborted);
        drop(refused.source);
        event.set();
        assert!(sources.iter().all(|(_, count)| of(count) == 0 && Arc::strong_count(count) == 1));
        drop((sources, event));
        // The ring, or the set of epoll, which the handle does not keep, but for its wake. `poll` has nothing else.
        let has_more = subject.is_real && subject.name != "poll";
        assert_eq!(handles(), before - usize::from(has_more), "{}", subject.name);
    });
}

/// [async 115] Without a kernel nothing is told.
#[test]
fn the_null_backend_tells_nothing() {
    let _alone = alone();
    let mut poller = open_null(&Config::new()).into_poller().unwrap();
    let event = Event::new().unwrap();
    let (source, count) = counting(poller.handle(), &event);
    event.set();
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    assert_eq!(of(&count), 0);
    drop(source);
}

/// [async 111] A callback that panics is not called again; the panic comes out of the poll, and others are told as ever.
#[test]
fn a_callback_that_panics_is_not_called_again() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (bad, good, told) = (Event::new().unwrap(), Event::new().unwrap(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&told);
        let callback = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        };
        let source = EventSource::register(&handle, bad.clone(), callback).unwrap();
        let (other, count) = counting(&handle, &good);
        bad.set();
        let poll = || poll_until(&mut subject.poller, || false);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).is_err());
        good.set();
        poll_until(&mut subject.poller, || of(&count) == 1);
        settle(&mut subject);
        assert_eq!(of(&told), 1, "{}", subject.name);
        drop((source, other));
    });
}
