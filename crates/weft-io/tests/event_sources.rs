//! Callbacks that are told about handles for as long as they are registered.

mod support;

use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Subject, after_ms, alone, every, handles, poll_dry, poll_until, real, real_with, soon};
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

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap()
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

/// [async 111] [async 112] [async-backends 82] Each is told of its own events, each time, and of none when it is over.
/// Telling is not counted by the poll.
#[test]
fn sources_are_told_each_of_its_own() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let events: Vec<Event> = (0..5).map(|_| Event::new().unwrap()).collect();
        let mut sources: Vec<_> = events.iter().map(|event| counting(&handle, event)).collect();
        for round in 1..4 {
            for (event, (_, count)) in events.iter().zip(&sources) {
                event.set();
                while of(count) < round {
                    assert_eq!(subject.poller.poll(soon()).unwrap(), 0, "{}", subject.name);
                }
            }
            assert!(sources.iter().all(|(_, count)| of(count) == round));
        }
        let (third, count) = sources.remove(2);
        drop(third);
        events.iter().for_each(Event::set);
        poll_until(&mut subject.poller, || sources.iter().all(|(_, count)| of(count) == 4));
        settle(&mut subject);
        assert_eq!(of(&count), 3, "not after the end");
        assert!(events[2].reset());
    });
}

/// [async 111] What is not taken is told again.
#[test]
fn a_source_is_told_by_level() {
    let _alone = alone();
    real(|mut subject| {
        let (event, count) = (Event::new().unwrap(), Arc::new(AtomicU32::new(0)));
        let (taken, counted) = (event.clone(), Arc::clone(&count));
        let told = move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) == 4 {
                taken.reset();
            }
        };
        let source = EventSource::register(subject.poller.handle(), event.clone(), told).unwrap();
        event.set();
        poll_until(&mut subject.poller, || of(&count) == 5);
        settle(&mut subject);
        assert_eq!(of(&count), 5, "{}", subject.name);
        drop(source);
    });
}

/// [async 113] [async-backends 83] Data is `IN`, the end of the other side `HUP`, both together both.
#[test]
fn hang_ups_are_told() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        for (writes, expected) in [(false, Ready::HUP), (true, Ready::IN | Ready::HUP)] {
            let (reader, writer) = pipe();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            let told = move |ready| log.lock().unwrap().push(ready);
            let reader = Arc::new(reader);
            let source = EventSource::register(&handle, Arc::clone(&reader), told).unwrap();
            settle(&mut subject);
            assert!(seen.lock().unwrap().is_empty());
            if writes {
                rustix::io::write(&writer, b"some").unwrap();
                poll_until(&mut subject.poller, || !seen.lock().unwrap().is_empty());
                assert_eq!(seen.lock().unwrap()[0], Ready::IN, "{}", subject.name);
            }
            drop(writer);
            poll_until(&mut subject.poller, || seen.lock().unwrap().last() == Some(&expected));
            let mut rest = [0; 8];
            let held = if writes { 4 } else { 0 };
            assert_eq!(rustix::io::read(&*reader, &mut rest).unwrap(), held, "nothing was taken");
            drop(source);
        }
    });
}

/// [async 114] [async-backends 82] [async-backends 85] Of two sources with events in one poll, the one that is told
/// first ends the other, which is not told any more.
#[test]
fn a_callback_ends_another_registration() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let told = Arc::new(AtomicU32::new(0));
        let others: [Arc<Mutex<Option<EventSource>>>; 2] = Default::default();
        let events = [Event::new().unwrap(), Event::new().unwrap()];
        for index in 0..2 {
            let (told, other) = (Arc::clone(&told), Arc::clone(&others[1 - index]));
            let taken = events[index].clone();
            let callback = move |_| {
                taken.reset();
                told.fetch_add(1, Ordering::Relaxed);
                drop(other.lock().unwrap().take());
            };
            let source = EventSource::register(&handle, events[index].clone(), callback).unwrap();
            *others[index].lock().unwrap() = Some(source);
        }
        settle(&mut subject);
        events.iter().for_each(Event::set);
        poll_until(&mut subject.poller, || of(&told) == 1);
        settle(&mut subject);
        assert_eq!(of(&told), 1, "{}", subject.name);
        assert_eq!(events.iter().filter(|event| event.reset()).count(), 1);
        others.iter().for_each(|other| drop(other.lock().unwrap().take()));
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

/// [async-backends 87] One handle, two registrations: both are told.
#[test]
fn a_handle_may_be_registered_twice() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let event = Event::new().unwrap();
        let counts: [Arc<AtomicU32>; 2] = Default::default();
        let sources = counts.clone().map(|count| {
            let told = move |_| _ = count.fetch_add(1, Ordering::Relaxed);
            EventSource::register(&handle, event.clone(), told).unwrap()
        });
        event.set();
        poll_until(&mut subject.poller, || counts.iter().all(|count| of(count) > 0));
        drop(sources);
    });
}

/// [async 115] [async-backends 84] What cannot be watched is told of as an error, once. A handle that is no number, or no
/// handle, and a callback that is none, are not expressible.
#[test]
fn a_handle_that_cannot_be_watched_is_told_of_once() {
    let _alone = alone();
    real(|mut subject| {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let path = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let told = move |ready| log.lock().unwrap().push(ready);
        let source = EventSource::register(subject.poller.handle(), path, told).unwrap();
        poll_until(&mut subject.poller, || !seen.lock().unwrap().is_empty());
        settle(&mut subject);
        assert_eq!(*seen.lock().unwrap(), [Ready::ERR], "{}", subject.name);
        drop(source);
    });
}

/// [async-backends 86] Far more events at once than the rings hold silence nobody.
#[test]
fn full_rings_silence_nobody() {
    let _alone = alone();
    let config = Config { ring_entries: 4, ..Config::new() };
    real_with(&config, |mut subject| {
        let handle = subject.poller.handle().clone();
        let events: Vec<Event> = (0..100).map(|_| Event::new().unwrap()).collect();
        let sources: Vec<_> = events.iter().map(|event| counting(&handle, event)).collect();
        for round in 1..4 {
            events.iter().for_each(Event::set);
            poll_until(&mut subject.poller, || sources.iter().all(|(_, count)| of(count) == round));
        }
        assert_eq!(poll_dry(&mut subject.poller), 0, "{}", subject.name);
    });
}

/// [async-backends 88] A source that another thread registers, before the first poll and during one, is told.
#[test]
fn sources_of_other_threads_are_told() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let event = Event::new().unwrap();
        event.set();
        let (source, count) = counting(&handle, &event);
        poll_until(&mut subject.poller, || of(&count) == 1);
        let told = Arc::new(AtomicU32::new(0));
        let (other, counted) = (handle.clone(), Arc::clone(&told));
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            let event = Event::new().unwrap();
            event.set();
            let (source, count) = counting(&other, &event);
            while of(&count) == 0 {
                std::thread::yield_now();
            }
            drop(source);
            event.set();
            std::thread::sleep(Duration::from_millis(2));
            counted.store(of(&count), Ordering::Relaxed);
            other.wake();
        });
        poll_until(&mut subject.poller, || of(&told) > 0);
        thread.join().unwrap();
        assert_eq!(of(&told), 1, "{}", subject.name);
        drop(source);
    });
}

/// [async 111] [async-backends 82] A registration that another thread drops while events rain: when the drop has
/// returned, the callback is not running and does not run again.
#[test]
fn no_call_after_the_end_on_any_thread() {
    let _alone = alone();
    let rounds = if cfg!(tsan) { 30 } else { 300 };
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (is_over, violations) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (over, wrong) = (Arc::clone(&is_over), Arc::clone(&violations));
        let thread = std::thread::spawn(move || {
            for _ in 0..rounds {
                let event = Event::new().unwrap();
                let (is_gone, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
                let (gone, counted, wrong) = (Arc::clone(&is_gone), Arc::clone(&told), Arc::clone(&wrong));
                let callback = move |_| {
                    std::thread::yield_now();
                    counted.fetch_add(1, Ordering::Relaxed);
                    wrong.fetch_add(u32::from(gone.load(Ordering::Relaxed)), Ordering::Relaxed);
                };
                let source = EventSource::register(&handle, event.clone(), callback).unwrap();
                event.set();
                while of(&told) < 2 {
                    std::thread::yield_now();
                }
                drop(source);
                is_gone.store(true, Ordering::Relaxed);
            }
            over.store(true, Ordering::Relaxed);
            handle.wake();
        });
        while !is_over.load(Ordering::Relaxed) {
            drop(subject.poller.poll(soon()));
        }
        thread.join().unwrap();
        assert_eq!(of(&violations), 0, "{}", subject.name);
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
        // The handles of the ring, which the handle does not keep; but for its wake.
        let ring = if subject.is_real { before - 1 } else { before };
        assert_eq!(handles(), ring, "{}", subject.name);
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
