//! Event sources: callbacks that are told about handles for as long as they are registered.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_io::ops::Ready;
use weft_io::{Event, EventSource, Handle, Poller};

use super::subject::{IoCaps, IoSubject, after_ms, poll_dry, poll_until, rounds, soon};

crate::cases! { $ EVENT_SOURCE for_each_io_event_source_case of IoSubject {
    sources_are_told_each_of_its_own: IoCaps::KERNEL;
    a_source_is_told_by_level: IoCaps::KERNEL;
    hang_ups_are_told: IoCaps::KERNEL;
    a_callback_ends_another_registration: IoCaps::KERNEL;
    a_handle_may_be_registered_twice: IoCaps::KERNEL;
    a_handle_that_cannot_be_watched_is_told_of_once: IoCaps::KERNEL;
    full_rings_silence_nobody: IoCaps::KERNEL;
    sources_of_other_threads_are_told: IoCaps::KERNEL;
    no_call_after_the_end_on_any_thread: IoCaps::KERNEL;
} }

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

/// Polls until nothing is told and nothing is on its way.
fn settle(poller: &mut Poller) {
    (0..3).for_each(|_| drop(poller.poll(after_ms(1))));
}

/// [async 111] [async 112] [async-backends 82] Each is told of its own events, each time, and of none when it is over.
/// Telling is not counted by the poll.
fn sources_are_told_each_of_its_own(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let events: Vec<Event> = (0..5).map(|_| Event::new().unwrap()).collect();
    let mut sources: Vec<_> = events.iter().map(|event| counting(&handle, event)).collect();
    for round in 1..4 {
        for (event, (_, count)) in events.iter().zip(&sources) {
            event.set();
            while of(count) < round {
                assert_eq!(poller.poll(soon()).unwrap(), 0, "{}", subject.name);
            }
        }
        assert!(sources.iter().all(|(_, count)| of(count) == round));
    }
    let (third, count) = sources.remove(2);
    drop(third);
    events.iter().for_each(Event::set);
    poll_until(&mut poller, || sources.iter().all(|(_, count)| of(count) == 4));
    settle(&mut poller);
    assert_eq!(of(&count), 3, "not after the end");
    assert!(events[2].reset());
}

/// [async 111] What is not taken is told again.
fn a_source_is_told_by_level(subject: &IoSubject) {
    let mut poller = subject.open();
    let (event, count) = (Event::new().unwrap(), Arc::new(AtomicU32::new(0)));
    let (taken, counted) = (event.clone(), Arc::clone(&count));
    let told = move |_| {
        if counted.fetch_add(1, Ordering::Relaxed) == 4 {
            taken.reset();
        }
    };
    let source = EventSource::register(poller.handle(), event.clone(), told).unwrap();
    event.set();
    poll_until(&mut poller, || of(&count) == 5);
    settle(&mut poller);
    assert_eq!(of(&count), 5, "{}", subject.name);
    drop(source);
}

/// [async 113] [async-backends 83] Data is `IN`, the end of the other side `HUP`, both together both.
fn hang_ups_are_told(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for (writes, expected) in [(false, Ready::HUP), (true, Ready::IN | Ready::HUP)] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let told = move |ready| log.lock().unwrap().push(ready);
        let reader = Arc::new(reader);
        let source = EventSource::register(&handle, Arc::clone(&reader), told).unwrap();
        settle(&mut poller);
        assert!(seen.lock().unwrap().is_empty());
        if writes {
            writer.write_all(b"some").unwrap();
            poll_until(&mut poller, || !seen.lock().unwrap().is_empty());
            assert_eq!(seen.lock().unwrap()[0], Ready::IN, "{}", subject.name);
        }
        drop(writer);
        poll_until(&mut poller, || seen.lock().unwrap().last() == Some(&expected));
        let mut rest = [0; 8];
        let held = if writes { 4 } else { 0 };
        assert_eq!((&*reader).read(&mut rest).unwrap(), held, "nothing was taken");
        drop(source);
    }
}

/// [async 114] [async-backends 82] [async-backends 85] Of two sources with events in one poll, the one that is told
/// first ends the other, which is not told any more.
fn a_callback_ends_another_registration(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
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
    settle(&mut poller);
    events.iter().for_each(Event::set);
    poll_until(&mut poller, || of(&told) == 1);
    settle(&mut poller);
    assert_eq!(of(&told), 1, "{}", subject.name);
    assert_eq!(events.iter().filter(|event| event.reset()).count(), 1);
    others.iter().for_each(|other| drop(other.lock().unwrap().take()));
}

/// [async-backends 87] One handle, two registrations: both are told.
fn a_handle_may_be_registered_twice(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let event = Event::new().unwrap();
    let counts: [Arc<AtomicU32>; 2] = Default::default();
    let sources = counts.clone().map(|count| {
        let told = move |_| _ = count.fetch_add(1, Ordering::Relaxed);
        EventSource::register(&handle, event.clone(), told).unwrap()
    });
    event.set();
    poll_until(&mut poller, || counts.iter().all(|count| of(count) > 0));
    drop(sources);
}

/// [async 115] [async-backends 84] What cannot be watched is told of as an error, once. A handle that is no number, or no
/// handle, and a callback that is none, are not expressible.
fn a_handle_that_cannot_be_watched_is_told_of_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let path = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let told = move |ready| log.lock().unwrap().push(ready);
    let source = EventSource::register(poller.handle(), path, told).unwrap();
    poll_until(&mut poller, || !seen.lock().unwrap().is_empty());
    settle(&mut poller);
    assert_eq!(*seen.lock().unwrap(), [Ready::ERR], "{}", subject.name);
    drop(source);
}

/// [async-backends 86] Far more events at once than the rings hold silence nobody.
fn full_rings_silence_nobody(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.ring_entries = 4);
    let handle = poller.handle().clone();
    let events: Vec<Event> = (0..100).map(|_| Event::new().unwrap()).collect();
    let sources: Vec<_> = events.iter().map(|event| counting(&handle, event)).collect();
    for round in 1..4 {
        events.iter().for_each(Event::set);
        poll_until(&mut poller, || sources.iter().all(|(_, count)| of(count) == round));
    }
    assert_eq!(poll_dry(&mut poller), 0, "{}", subject.name);
}

/// [async-backends 88] A source that another thread registers, before the first poll and during one, is told.
fn sources_of_other_threads_are_told(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let event = Event::new().unwrap();
    event.set();
    let (source, count) = counting(&handle, &event);
    poll_until(&mut poller, || of(&count) == 1);
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
    poll_until(&mut poller, || of(&told) > 0);
    thread.join().unwrap();
    assert_eq!(of(&told), 1, "{}", subject.name);
    drop(source);
}

/// [async 111] [async-backends 82] A registration that another thread drops while events rain: when the drop has
/// returned, the callback is not running and does not run again.
fn no_call_after_the_end_on_any_thread(subject: &IoSubject) {
    let rounds = rounds(3_000) / 10;
    let mut poller = subject.open();
    let handle = poller.handle().clone();
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
        drop(poller.poll(soon()));
    }
    thread.join().unwrap();
    assert_eq!(of(&violations), 0, "{}", subject.name);
}
