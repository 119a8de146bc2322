//! Chains: order, failures, members of every kind, and what the kernel thinks otherwise of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use weft_io::ops::{
    EventWait, FutexWait, FutexWake, HandlePoll, Interest, Message, Nop, NotificationSignal,
    NotificationWait, SemaphoreSignal, SemaphoreWait,
};
use weft_io::{Batch, Capabilities, Event, Handle, Notification, Operation, Ticket};
use weft_sync::{Code, Deadline};

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, point, poll_dry, poll_nothing, poll_until, timeline, timer,
};

crate::cases! { $ CHAIN for_each_io_chain_case of IoSubject {
    long_chains_run_in_order: IoCaps::NONE;
    a_chain_waits_for_its_trigger: IoCaps::NONE;
    chains_of_a_batch_are_independent: IoCaps::NONE;
    a_failure_cancels_the_rest: IoCaps::NONE;
    members_of_every_kind_follow_each_other: IoCaps::NONE;
    members_without_a_callback_count: IoCaps::NONE;
    a_message_waits_for_its_trigger: IoCaps::NONE;
    signals_come_in_turn: IoCaps::NONE;
    kernel_members_follow_each_other: IoCaps::KERNEL;
    what_is_no_failure_goes_on: IoCaps::KERNEL;
    a_kernel_failure_cancels_the_rest: IoCaps::KERNEL;
    a_chain_of_events_takes_its_turns: IoCaps::KERNEL;
} }

/// [async 28] [async 44] [async 45] [async 53] [async 54] [async 55] [async-backends 42] [async-backends 50] Chains of any length run
/// in order, through any ring; the batch, and the frame it was made in, are gone.
fn long_chains_run_in_order(subject: &IoSubject) {
    fn submit(handle: &Handle, length: usize, order: &Arc<AtomicUsize>) {
        let mut batch = handle.batch();
        for index in 0..length {
            let order = Arc::clone(order);
            let nop = Operation::new(Nop).on_done(move |done| {
                super::subject::ended_well(&done.result);
                assert_eq!(order.fetch_add(1, Ordering::Relaxed), index);
            });
            let added = if index == 0 { batch.add(nop) } else { batch.then(nop) };
            added.unwrap();
        }
        batch.submit().unwrap();
    }
    let mut poller = subject.open();
    for length in [1_usize, 2, 5, 16, 17, 100, 1000] {
        let order = Arc::new(AtomicUsize::new(0));
        submit(&poller.handle().clone(), length, &order);
        let count = poll_until(&mut poller, || order.load(Ordering::Relaxed) == length);
        assert_eq!(count, length);
    }
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 46] [async-backends 43] [async-backends 51] A timer in front delays its own chain and no other operation.
fn a_chain_waits_for_its_trigger(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let mut batch = handle.batch();
    batch.add(timer(after_ms(50)).on_done(log.line("timer"))).unwrap();
    batch.then(timer(Deadline::IMMEDIATE).on_done(log.line("behind it"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
    batch.add(Operation::new(Nop).on_done(log.line("free"))).unwrap();
    batch.add(Operation::new(Nop).on_done(log.line("free too"))).unwrap();
    batch.submit().unwrap();
    let start = std::time::Instant::now();
    poll_until(&mut poller, || log.len() >= 2);
    // On a slow machine the timer is over before the first poll.
    let is_in_time = start.elapsed() < std::time::Duration::from_millis(40);
    poll_until(&mut poller, || log.len() == 5);
    let mut names = log.take_names();
    if !is_in_time {
        names.sort_by_key(|name| !name.starts_with("free"));
    }
    assert_eq!(names, ["free", "free too", "timer", "behind it", "last"]);
}

/// [async 48] [async 54] [async-backends 45] [async-backends 64] Two chains and lone operations in one batch: each in its
/// own order, and the failure of one is none of another's business.
fn chains_of_a_batch_are_independent(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (broken, line) = (timeline(), |name| Operation::new(Nop).on_done(log.line(name)));
    broken.fail(weft_sync::status!(DataLoss, "gone"));
    let mut batch = handle.batch();
    batch.add(line("a1")).unwrap();
    batch.then(line("a2")).unwrap();
    batch.then(line("a3")).unwrap();
    batch.add(line("lone")).unwrap();
    let wait = SemaphoreWait::all([point(&broken, 1)]);
    batch.add(Operation::new(wait).on_done(log.line("x1"))).unwrap();
    batch.then(line("x2")).unwrap();
    batch.add(line("b1")).unwrap();
    batch.then(line("b2")).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 8);
    let lines = log.take();
    let of = |letter: &str| -> Vec<_> {
        lines.iter().filter(|(name, _)| name.starts_with(letter)).copied().collect()
    };
    assert_eq!(of("a"), [("a1", None), ("a2", None), ("a3", None)]);
    assert_eq!(of("l"), [("lone", None)]);
    assert_eq!(of("b"), [("b1", None), ("b2", None)]);
    assert_eq!(of("x"), [("x1", Some(Code::DataLoss)), ("x2", CANCELLED)]);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 47] [async 56] [async-backends 44] [async-backends 57] [async-backends 106] A failure is called back first, then
/// the rest, in order, as cancelled; nothing of it is carried out.
fn a_failure_cancels_the_rest(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (broken, untouched) = (timeline(), timeline());
    let mut batch = handle.batch();
    let wait = SemaphoreWait::all([point(&broken, 1)]);
    batch.add(Operation::new(Nop).on_done(log.line("before"))).unwrap();
    batch.then(Operation::new(wait).on_done(log.line("wait"))).unwrap();
    let signal = SemaphoreSignal::new([point(&untouched, 1)]);
    batch.then(Operation::new(signal).on_done(log.line("signal"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 1);
    broken.fail(weft_sync::status!(DataLoss, "gone"));
    poll_until(&mut poller, || log.len() == 4);
    let expected =
        [("before", None), ("wait", Some(Code::DataLoss)), ("signal", CANCELLED), ("nop", CANCELLED)];
    assert_eq!(log.take(), expected);
    assert_eq!(untouched.query().unwrap(), 0);
    // The head is cancelled.
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("head"))).unwrap();
    let signal = SemaphoreSignal::new([point(&untouched, 1)]);
    batch.then(Operation::new(signal).on_done(log.line("signal"))).unwrap();
    batch.then(timer(Deadline::NEVER).on_done(log.line("timer"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    handle.cancel(head).unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take(), ["head", "signal", "timer"].map(|name| (name, CANCELLED)));
    assert_eq!(untouched.query().unwrap(), 0);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 60] [async 234] [async 235] [async-backends 60] [async-backends 106] Kernel and software members, mixed; nothing
/// runs before its turn, and values are visible to what comes behind.
fn members_of_every_kind_follow_each_other(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (first, second, changed) = (timeline(), timeline(), Arc::new(Notification::new()));
    let mut batch = handle.batch();
    batch.add(Operation::new(SemaphoreWait::all([point(&first, 1)])).on_done(log.line("wait"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
    let signal = SemaphoreSignal::new([point(&second, 3)]);
    batch.then(Operation::new(signal).on_done(log.line("signal"))).unwrap();
    let (seen, line) = (Arc::clone(&second), log.line("again"));
    let again = Operation::new(SemaphoreSignal::new([point(&second, 4)])).on_done(move |done| {
        assert_eq!(seen.query().unwrap(), 4);
        line(done);
    });
    batch.then(again).unwrap();
    batch.then(timer(after_ms(1)).on_done(log.line("timer"))).unwrap();
    let told = NotificationSignal { notification: Arc::clone(&changed), count: 1 };
    batch.then(Operation::new(told).on_done(log.line("tell"))).unwrap();
    // Submitted with the epoch before that.
    let wait = NotificationWait::new(Arc::clone(&changed));
    batch.then(Operation::new(wait).on_done(log.line("note"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("nop too"))).unwrap();
    let message = Message { target: handle.clone(), payload: 1 };
    batch.then(Operation::new(message).on_done(log.line("message"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    assert_eq!((second.query().unwrap(), changed.epoch()), (0, 0), "nothing runs early");
    first.signal(1).unwrap();
    poll_until(&mut poller, || log.len() == 9);
    let expected = ["wait", "nop", "signal", "again", "timer", "tell", "note", "nop too", "message"];
    assert_eq!(log.take_names(), expected);
}

/// [async 15] A member without a callback is one like others.
fn members_without_a_callback_count(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let mut batch = handle.batch();
    batch.add(Nop).unwrap();
    batch.then(timer(Deadline::IMMEDIATE)).unwrap();
    batch.then(Nop).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
    batch.submit().unwrap();
    let mut count = 0;
    while log.is_empty() {
        count += poller.poll(super::subject::soon()).unwrap();
    }
    assert_eq!(count, 4);
}

/// [async 60] [async-backends 55] A message behind a timer comes after it, and not at all if that is cancelled; one in
/// front does not keep what is behind it.
fn a_message_waits_for_its_trigger(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let inbox = log.clone();
    poller.on_message(move |_| inbox.write("arrived", None));
    let message = || Operation::new(Message { target: handle.clone(), payload: 1 });
    let mut batch = handle.batch();
    batch.add(timer(after_ms(5)).on_done(log.line("timer"))).unwrap();
    batch.then(message().on_done(log.line("sent"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 4);
    let lines = log.take_names();
    assert_eq!(lines[0], "timer");
    let of = |name| lines.iter().position(|line| *line == name).unwrap();
    assert!(of("sent") < of("nop"));
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("timer"))).unwrap();
    batch.then(message().on_done(log.line("sent"))).unwrap();
    batch.submit().unwrap();
    handle.cancel(head).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    poll_dry(&mut poller);
    assert_eq!(log.take(), [("timer", CANCELLED), ("sent", CANCELLED)], "nothing arrived");
}

/// [async 235] [async-backends 106] Two signals of one timeline in a chain: the second sees the first. One that fails ends
/// the chain, and what is behind is not signalled.
fn signals_come_in_turn(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (moved, untouched) = (timeline(), timeline());
    let signal = |semaphore, value| Operation::new(SemaphoreSignal::new([point(semaphore, value)]));
    let mut batch = handle.batch();
    batch.add(signal(&moved, 1).on_done(log.line("one"))).unwrap();
    batch.then(signal(&moved, 2).on_done(log.line("two"))).unwrap();
    batch.then(signal(&moved, 2).on_done(log.line("two again"))).unwrap();
    batch.then(signal(&untouched, 1).on_done(log.line("other"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 4);
    let lines = log.take();
    assert_eq!(lines[..2], [("one", None), ("two", None)]);
    assert!(lines[2].1.is_some_and(|code| code != Code::Cancelled), "{lines:?}");
    assert_eq!(lines[3], ("other", CANCELLED));
    assert_eq!((moved.query().unwrap(), untouched.query().unwrap()), (2, 0));
}

/// [async 49] [async-backends 46] An event in the middle: what is in front has ended, what is behind has not begun.
fn kernel_members_follow_each_other(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let event = Event::new().unwrap();
    let mut batch = handle.batch();
    batch.add(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
    batch.then(Operation::new(EventWait { event: event.clone() }).on_done(log.line("event"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(poll_dry(&mut poller), 0);
    event.set();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["nop", "event", "last"]);
}

/// Adds at the front or behind, and names it.
fn chain_of_three<'a>(
    handle: &'a Handle,
    log: &Log,
    add: impl FnOnce(&mut Batch<'a>) -> Ticket,
) -> Batch<'a> {
    let mut batch = handle.batch();
    batch.add(Operation::new(Nop).on_done(log.line("before"))).unwrap();
    add(&mut batch);
    batch.then(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
    batch
}

/// [async-backends 53] What the kernel reports as a failure and is none continues the chain: a word that has another value,
/// an epoch that is over, a wake of nobody.
fn what_is_no_failure_goes_on(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let word = Arc::new(AtomicU32::new(0));
    let mut expected = vec!["before", "member", "behind"];
    let over = NotificationWait::since(Arc::new(Notification::new()), 77);
    let over = Operation::new(over).on_done(log.line("member"));
    chain_of_three(&handle, &log, |batch| batch.then(over).unwrap()).submit().unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), expected);
    if handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
        let other = FutexWait { word: Arc::clone(&word), expected: 1 };
        let other = Operation::new(other).on_done(log.line("member"));
        chain_of_three(&handle, &log, |batch| batch.then(other).unwrap()).submit().unwrap();
        poll_until(&mut poller, || log.len() == 3);
        assert_eq!(log.take_names(), expected);
        let nobody = Operation::new(FutexWake { word, count: 1 }).on_done(log.line("wake"));
        chain_of_three(&handle, &log, |batch| batch.then(nobody).unwrap()).submit().unwrap();
        poll_until(&mut poller, || log.len() == 3);
        expected[1] = "wake";
        assert_eq!(log.take_names(), expected);
    }
}

/// [async-backends 57] A word at an address that the kernel refuses does not exist in safe code, so a handle that cannot
/// be polled has to do: it fails its operation and what is behind it, or neither.
fn a_kernel_failure_cancels_the_rest(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    let poll = HandlePoll { handle: Arc::new(file.into()), interest: Interest::IN };
    let poll = Operation::new(poll).on_done(log.line("poll"));
    chain_of_three(&handle, &log, |batch| batch.then(poll).unwrap()).submit().unwrap();
    poll_until(&mut poller, || log.len() == 3);
    let lines = log.take();
    assert_eq!(lines[0], ("before", None));
    assert_eq!(lines[1].1.is_some(), lines[2].1.is_some());
}

/// [async-backends 220] Ten waits of the kernel in a row, each set before its turn comes: one poll after the other gets
/// through, none of them for nothing.
fn a_chain_of_events_takes_its_turns(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let ended = Arc::new(AtomicUsize::new(0));
    let events: Vec<Event> = (0..10).map(|_| Event::new().unwrap()).collect();
    events.iter().for_each(Event::set);
    let mut batch = handle.batch();
    for (index, event) in events.iter().enumerate() {
        let ended = Arc::clone(&ended);
        let wait = Operation::new(EventWait { event: event.clone() }).on_done(move |done| {
            super::subject::ended_well(&done.result);
            assert_eq!(ended.fetch_add(1, Ordering::Relaxed), index);
        });
        let added = if index == 0 { batch.add(wait) } else { batch.then(wait) };
        added.unwrap();
    }
    batch.submit().unwrap();
    let mut polls = 0;
    while ended.load(Ordering::Relaxed) < 10 {
        assert!(poller.poll(super::subject::soon()).unwrap() > 0);
        polls += 1;
    }
    assert!(polls <= 10, "{polls} polls");
}
