//! Events, and readiness of foreign handles.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use weft_io::ops::{EventWait, HandlePoll, Interest, Ready};
use weft_io::{Event, Handle, Operation};
use weft_sync::Code;

use super::subject::{CANCELLED, IoCaps, IoSubject, Log, lock, poll_dry, poll_nothing, poll_until, submit};

crate::cases! { $ EVENT for_each_io_event_case of IoSubject {
    event_waits_take_the_signal: IoCaps::KERNEL;
    an_event_set_by_another_thread_ends_a_blocked_poll: IoCaps::KERNEL;
    those_that_are_set_end_and_no_others: IoCaps::KERNEL;
    one_signal_ends_one_wait: IoCaps::KERNEL;
    many_sets_are_one: IoCaps::KERNEL;
    a_full_event_can_be_set: IoCaps::KERNEL;
    clones_are_one_event: IoCaps::KERNEL;
    handles_are_polled_once: IoCaps::KERNEL;
    handles_hang_up: IoCaps::KERNEL;
    polls_of_handles_are_cancelled: IoCaps::KERNEL;
    polls_for_nothing_are_refused: IoCaps::NONE;
} }

fn wait(event: &Event) -> EventWait {
    EventWait { event: event.clone() }
}

/// [async 100] [async 103] [async 104] [async-backends 80] A wait takes the signal, whether it came before or after; then
/// the event waits again.
fn event_waits_take_the_signal(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let event = Event::new().unwrap();
    event.set();
    submit(&handle, wait(&event), &log, "before");
    poll_until(&mut poller, || log.len() == 1);
    assert!(!event.reset(), "taken");
    for _ in 0..5 {
        submit(&handle, wait(&event), &log, "after");
        poll_nothing(&mut poller);
        event.set();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take_names().len(), 2);
        log.write("before", None);
    }
    event.set();
    assert!(event.reset());
    submit(&handle, wait(&event), &log, "reset");
    poll_nothing(&mut poller);
}

/// [async 101] [async-backends 80] What was written before the set is seen by the callback.
fn an_event_set_by_another_thread_ends_a_blocked_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    let event = Event::new().unwrap();
    let (log, written) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let (seen, line) = (Arc::clone(&written), log.line("set"));
    let wait = Operation::new(wait(&event)).on_done(move |done| {
        assert!(seen.load(Ordering::Relaxed));
        line(done);
    });
    poller.handle().submit(wait).unwrap();
    let setter = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(5));
        written.store(true, Ordering::Relaxed);
        event.set();
    });
    poll_until(&mut poller, || log.len() == 1);
    setter.join().unwrap();
    log.take_names();
}

/// [async 102] [async-backends 80]
fn those_that_are_set_end_and_no_others(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let names = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let events = names.map(|name| {
        let event = Event::new().unwrap();
        submit(&handle, wait(&event), &log, name);
        event
    });
    poll_nothing(&mut poller);
    [1, 4, 6].iter().for_each(|&index: &usize| events[index].set());
    poll_until(&mut poller, || log.len() == 3);
    let mut ended = log.take_names();
    ended.sort_unstable();
    assert_eq!(ended, ["1", "4", "6"]);
    poll_nothing(&mut poller);
}

/// [async-backends 81] Of several waits for one event each signal ends one.
fn one_signal_ends_one_wait(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let event = Event::new().unwrap();
    let tickets: Vec<_> = (0..6).map(|_| submit(&handle, wait(&event), &log, "wait")).collect();
    poll_nothing(&mut poller);
    for ended in 1..=5 {
        event.set();
        poll_until(&mut poller, || log.len() == ended);
        poll_nothing(&mut poller);
        assert_eq!(log.len(), ended);
    }
    assert!(!event.reset());
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    poll_until(&mut poller, || log.len() == 6);
    assert_eq!(log.take().last().unwrap().1, CANCELLED);
}

/// [async 108] A thousand sets are one signal.
fn many_sets_are_one(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let event = Event::new().unwrap();
    (0..1000).for_each(|_| event.set());
    submit(&handle, wait(&event), &log, "first");
    poll_until(&mut poller, || log.len() == 1);
    submit(&handle, wait(&event), &log, "second");
    poll_nothing(&mut poller);
    assert_eq!(log.take_names(), ["first"]);
}

/// [async 109] The counter behind it is at its end: a set neither blocks nor is lost.
fn a_full_event_can_be_set(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let event = Event::new().unwrap();
    let mut counter = std::fs::File::from(event.as_fd().try_clone_to_owned().unwrap());
    counter.write_all(&(u64::MAX - 1).to_ne_bytes()).unwrap();
    event.set();
    event.set();
    submit(&poller.handle().clone(), wait(&event), &log, "wait");
    poll_until(&mut poller, || log.len() == 1);
    assert!(!event.reset());
}

/// [async 105] [async-backends 80] One is set, another is waited for, the last one is gone before that ends.
fn clones_are_one_event(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let event = Event::new().unwrap();
    let clones: Vec<Event> = (0..100).map(|_| event.clone()).collect();
    clones[50].set();
    assert!(event.reset());
    clones[51].set();
    drop(clones);
    submit(&poller.handle().clone(), EventWait { event }, &log, "wait");
    poll_until(&mut poller, || log.len() == 1);
    log.take_names();
}

/// What polls of a handle have found.
type Found = Arc<Mutex<Vec<Ready>>>;

fn ask(handle: &Handle, of: &Arc<OwnedFd>, interest: Interest, found: &Found) {
    let found = Arc::clone(found);
    let poll = Operation::new(HandlePoll { handle: Arc::clone(of), interest });
    handle.submit(poll.on_done(move |done| lock(&found).push(done.result.unwrap()))).unwrap();
}

fn pair() -> (Arc<OwnedFd>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Arc::new(near.into()), far)
}

/// [async 116] A handle is ready for what it is ready for; nothing is read from it, and it stays open.
fn handles_are_polled_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, mut far) = pair();
    let found = Found::default();
    ask(&handle, &near, Interest::OUT, &found);
    poll_until(&mut poller, || lock(&found).len() == 1);
    ask(&handle, &near, Interest::IN, &found);
    poll_nothing(&mut poller);
    far.write_all(b"x").unwrap();
    poll_until(&mut poller, || lock(&found).len() == 2);
    ask(&handle, &near, Interest::IN | Interest::OUT, &found);
    poll_until(&mut poller, || lock(&found).len() == 3);
    assert_eq!(*lock(&found), [Ready::OUT, Ready::IN, Ready::IN | Ready::OUT]);
    assert_eq!(poll_dry(&mut poller), 0, "once each");
    assert_eq!(Arc::strong_count(&near), 1, "let go, and open");
    let mut near = UnixStream::from(Arc::into_inner(near).unwrap());
    near.write_all(b"y").unwrap();
}

/// [async 116] With data left, and without; of a pipe too.
fn handles_hang_up(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let found = Found::default();
    for is_written in [true, false] {
        let (near, mut far) = pair();
        if is_written {
            far.write_all(b"x").unwrap();
        }
        ask(&handle, &near, Interest::IN, &found);
        if !is_written {
            poll_nothing(&mut poller);
        }
        drop(far);
        poll_until(&mut poller, || lock(&found).len() == 1);
        if is_written {
            lock(&found).clear();
            ask(&handle, &near, Interest::IN, &found);
            poll_until(&mut poller, || lock(&found).len() == 1);
        }
        let ready = lock(&found).pop().unwrap();
        assert!(ready.contains(Ready::HUP), "{ready:?}");
    }
    let (read, write) = std::io::pipe().unwrap();
    let read: Arc<OwnedFd> = Arc::new(read.into());
    ask(&handle, &read, Interest::IN, &found);
    poll_nothing(&mut poller);
    drop(write);
    poll_until(&mut poller, || lock(&found).len() == 1);
    assert_eq!(*lock(&found), [Ready::HUP], "nothing to read");
}

/// [async 116] [async-backends 65] The handle belongs to the operation for as long as it is under way.
fn polls_of_handles_are_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (near, far) = pair();
    let weak = Arc::downgrade(&near);
    let ticket = submit(&handle, HandlePoll { handle: near, interest: Interest::IN }, &log, "poll");
    poll_nothing(&mut poller);
    assert_eq!(weak.strong_count(), 1);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take(), [("poll", CANCELLED)]);
    assert_eq!(weak.strong_count(), 0);
    assert!((&far).write_all(b"x").is_err(), "closed");
}

/// [async 116]
fn polls_for_nothing_are_refused(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, _far) = pair();
    let nothing = HandlePoll { handle: near, interest: Interest::empty() };
    let refused = poller.handle().submit(nothing).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    poll_nothing(&mut poller);
}
