//! Cancels of every kind in every state, and what they must leave alone.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use weft_io::ops::{
    EventWait, FutexWait, FutexWake, HandlePoll, Interest, Message, Nop, NotificationSignal,
    NotificationWait, SemaphoreSignal, SemaphoreWait, Sequence, Step,
};
use weft_io::{Capabilities, Event, Handle, Notification, Operation, Ticket, WAKE_ALL};
use weft_sync::{Code, Deadline};

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, point, poll_dry, poll_nothing, poll_until, submit, timeline,
    timer,
};

crate::cases! { $ CANCELLATION for_each_io_cancellation_case of IoSubject {
    everything_that_waits_can_be_cancelled: IoCaps::NONE;
    what_ends_by_itself_can_be_cancelled: IoCaps::NONE;
    a_late_cancel_reaches_nobody: IoCaps::NONE;
    tickets_are_of_one_proactor: IoCaps::NONE;
    a_cancel_wakes_the_poll: IoCaps::NONE;
    a_cancel_before_its_turn: IoCaps::NONE;
    what_is_cancelled_lets_go: IoCaps::NONE;
    late_cancels_cost_nothing_later: IoCaps::NONE;
    one_of_two_waits_is_cancelled: IoCaps::KERNEL;
    an_event_that_another_wait_took: IoCaps::KERNEL;
    a_cancel_behind_a_link_of_the_kernel: IoCaps::KERNEL;
} }

/// One operation of every kind that waits; nothing ever ends them. The caller keeps what it gets.
pub fn submit_waiting(subject: &IoSubject, handle: &Handle, log: &Log) -> Vec<Ticket> {
    let point = point(&timeline(), 1);
    let steps = || vec![Step::new(timer(Deadline::NEVER)), Step::new(Nop)];
    let asking = Sequence::with_advance(steps(), |_, _| Ok(()));
    let mut tickets = vec![
        submit(handle, timer(Deadline::NEVER), log, "timer"),
        submit(handle, SemaphoreWait::all([point.clone()]), log, "all"),
        submit(handle, SemaphoreWait::any([point]), log, "any"),
        submit(handle, NotificationWait::new(Arc::new(Notification::new())), log, "notification"),
        submit(handle, Sequence::new(steps()), log, "sequence"),
        submit(handle, asking, log, "asking sequence"),
    ];
    if subject.has.contains(IoCaps::KERNEL) {
        tickets.push(submit(handle, EventWait { event: Event::new().unwrap() }, log, "event"));
        let event = Event::new().unwrap();
        tickets.push(submit(handle, EventWait { event: event.clone() }, log, "event too"));
        let poll = HandlePoll { handle: Arc::new(never_readable(&event)), interest: Interest::IN };
        tickets.push(submit(handle, poll, log, "handle"));
        if handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
            let word = Arc::new(AtomicU32::new(0));
            tickets.push(submit(handle, FutexWait { word, expected: 0 }, log, "futex"));
        }
    }
    tickets
}

/// Another number for the event's file.
fn never_readable(event: &Event) -> std::os::fd::OwnedFd {
    use std::os::fd::AsFd;
    event.as_fd().try_clone_to_owned().expect("there are numbers left")
}

/// [async 79] [async 81] [async 82] [async 84] [async 91] [async 93] [async 94] [async 95] [async-backends 65]
/// [async-backends 67] [async-backends 73] Every kind that waits ends cancelled, once, whether it was under way or not;
/// asked twice too.
fn everything_that_waits_can_be_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for is_under_way in [true, false] {
        let log = Log::default();
        let tickets = submit_waiting(subject, &handle, &log);
        if is_under_way {
            poll_nothing(&mut poller);
        }
        for ticket in &tickets {
            handle.cancel(*ticket).unwrap();
            handle.cancel(*ticket).unwrap();
        }
        poll_until(&mut poller, || log.len() == tickets.len());
        assert_eq!(poll_dry(&mut poller), 0);
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        assert_eq!(poll_dry(&mut poller), 0, "they have ended");
        let lines = log.take();
        assert_eq!(lines.len(), tickets.len());
        assert!(lines.iter().all(|(_, code)| *code == CANCELLED), "{lines:?}");
    }
}

/// [async 80] [async 83] [async 94] [async-backends 66] What ends by itself at once is not harmed by a cancel: it ends well,
/// with its effect, or cancelled without one; asked again when it has ended, nothing comes.
fn what_ends_by_itself_can_be_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (changed, moved) = (Arc::new(Notification::new()), timeline());
    let tell = NotificationSignal { notification: Arc::clone(&changed), count: 1 };
    let mut tickets = vec![
        submit(&handle, Nop, &log, "nop"),
        submit(&handle, tell, &log, "tell"),
        submit(&handle, SemaphoreSignal::new([point(&moved, 1)]), &log, "advance"),
        submit(&handle, Message { target: handle.clone(), payload: 0 }, &log, "message"),
        submit(&handle, timer(Deadline::IMMEDIATE), &log, "timer"),
    ];
    if handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
        let wake = FutexWake { word: Arc::new(AtomicU32::new(0)), count: 1 };
        tickets.push(submit(&handle, wake, &log, "wake"));
    }
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    poll_until(&mut poller, || log.len() == tickets.len());
    assert_eq!(poll_dry(&mut poller), 0);
    for (name, code) in log.take() {
        assert!(matches!(code, None | CANCELLED), "{name}");
        let effect = match name {
            "tell" => u64::from(changed.epoch()),
            "advance" => moved.query().unwrap(),
            _ => continue,
        };
        assert_eq!(effect == 1, code.is_none(), "{name}");
    }
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 80] [async 96] [async-backends 66] [async-backends 76] A ticket names one use of a slot, so a late cancel reaches
/// nobody: not what has the slot now, and not that what it then is when it was submitted again.
fn a_late_cancel_reaches_nobody(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 1);
    let handle = poller.handle().clone();
    let log = Log::default();
    let mut before = Vec::new();
    for _ in 0..100 {
        let first = submit(&handle, Nop, &log, "first");
        poll_until(&mut poller, || log.len() == 1);
        assert!(!before.contains(&first));
        before.push(first);
        let second = submit(&handle, timer(Deadline::NEVER), &log, "second");
        before.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_dry(&mut poller);
        assert_eq!(log.len(), 1);
        handle.cancel(second).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take(), [("first", None), ("second", CANCELLED)]);
        before.push(second);
    }
}

/// [async 96] A ticket of another proactor says so.
fn tickets_are_of_one_proactor(subject: &IoSubject) {
    let (mut poller, other) = (subject.open(), subject.open());
    let log = Log::default();
    let ticket = submit(&poller.handle().clone(), timer(Deadline::NEVER), &log, "timer");
    let refused = other.handle().cancel(ticket).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    poll_nothing(&mut poller);
    assert!(log.is_empty());
}

/// [async 87] [async-backends 69] A cancel of another thread ends a poll that waits for a long time, promptly; of every
/// kind.
fn a_cancel_wakes_the_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for ticket in submit_waiting(subject, &handle, &log) {
        let (start, ended, canceller) = (Instant::now(), log.len(), handle.clone());
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2));
            canceller.cancel(ticket).unwrap();
        });
        let long = Deadline::after(Duration::from_secs(15));
        while log.len() == ended {
            poller.poll(long).expect("the cancel wakes");
        }
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        canceller.join().unwrap();
    }
    assert!(log.take().iter().all(|(_, code)| *code == CANCELLED));
}

/// [async 47] [async 52] [async 59] [async-backends 49] [async-backends 74] A member that has not begun ends when its turn
/// comes, without effect, and with it what is behind.
fn a_cancel_before_its_turn(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let untouched = timeline();
    let mut batch = handle.batch();
    batch.add(timer(after_ms(3)).on_done(log.line("a"))).unwrap();
    let signal = SemaphoreSignal::new([point(&untouched, 1)]);
    let middle = batch.then(Operation::new(signal).on_done(log.line("b"))).unwrap();
    batch.then(timer(Deadline::IMMEDIATE).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    handle.cancel(middle).unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take(), [("a", None), ("b", CANCELLED), ("c", CANCELLED)]);
    assert_eq!(untouched.query().unwrap(), 0);
    // When the head is under way.
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("a"))).unwrap();
    let middle = batch.then(timer(Deadline::NEVER).on_done(log.line("b"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    handle.cancel(middle).unwrap();
    assert_eq!(poll_dry(&mut poller), 0, "its turn has not come");
    handle.cancel(head).unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take(), ["a", "b", "c"].map(|name| (name, CANCELLED)));
    // Cancelled before its batch was submitted.
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("head"))).unwrap();
    handle.cancel(head).unwrap();
    assert_eq!(poll_dry(&mut poller), 0);
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take(), [("head", CANCELLED)]);
}

/// [async 85] [async-backends 70] What an operation held is let go before its callback is over, and is as good as before.
fn what_is_cancelled_lets_go(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (reached, changed) = (timeline(), Arc::new(Notification::new()));
    for _ in 0..10 {
        let tickets = [
            submit(&handle, SemaphoreWait::all([point(&reached, 1)]), &log, "wait"),
            submit(&handle, NotificationWait::new(Arc::clone(&changed)), &log, "note"),
        ];
        poll_nothing(&mut poller);
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut poller, || log.len() == 2);
        assert!(log.take().iter().all(|(_, code)| *code == CANCELLED));
        assert_eq!((Arc::strong_count(&reached), Arc::strong_count(&changed)), (1, 1));
        assert!(!changed.signal(WAKE_ALL), "nobody observes any more");
    }
    submit(&handle, SemaphoreWait::all([point(&reached, 1)]), &log, "wait");
    submit(&handle, NotificationWait::new(Arc::clone(&changed)), &log, "note");
    poll_nothing(&mut poller);
    reached.signal(1).unwrap();
    changed.signal(WAKE_ALL);
    poll_until(&mut poller, || log.len() == 2);
    log.take_names();
}

/// The shortest of many idle polls.
fn idle_poll(poller: &mut weft_io::Poller) -> Duration {
    let one = |_| {
        let start = Instant::now();
        poll_nothing(poller);
        start.elapsed()
    };
    (0..500).map(one).min().expect("there were some")
}

/// [async-backends 77] Cancels that come late or twice leave nothing to be looked at.
fn late_cancels_cost_nothing_later(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let before = idle_poll(&mut poller);
    for _ in 0..300 {
        let ticket = submit(&handle, timer(Deadline::NEVER), &log, "timer");
        let nop = submit(&handle, Nop, &log, "nop");
        poll_until(&mut poller, || log.len() % 2 == 1);
        for ticket in [ticket, nop, ticket, nop] {
            handle.cancel(ticket).unwrap();
        }
        poll_until(&mut poller, || log.len() % 2 == 0);
    }
    poll_dry(&mut poller);
    let after = idle_poll(&mut poller);
    assert!(after <= before * 4 + Duration::from_micros(2), "{before:?} before, {after:?} after");
}

/// [async-backends 71] The other one goes on.
fn one_of_two_waits_is_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for cancelled in 0..2 {
        let event = Event::new().unwrap();
        let tickets =
            ["first", "second"].map(|name| submit(&handle, EventWait { event: event.clone() }, &log, name));
        poll_nothing(&mut poller);
        handle.cancel(tickets[cancelled]).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        poll_nothing(&mut poller);
        event.set();
        poll_until(&mut poller, || log.len() == 2);
        let codes: Vec<_> = log.take().into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, [CANCELLED, None]);
        assert!(!event.reset(), "it was taken");
    }
}

/// [async-backends 72] A wait whose signal somebody else took goes on waiting, and can be cancelled.
fn an_event_that_another_wait_took(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for _ in 0..50 {
        let event = Event::new().unwrap();
        let tickets: Vec<_> =
            (0..3).map(|_| submit(&handle, EventWait { event: event.clone() }, &log, "wait")).collect();
        poll_nothing(&mut poller);
        event.set();
        poll_until(&mut poller, || log.len() == 1);
        poll_nothing(&mut poller);
        // Set and taken back between two polls: the waits have been told by the kernel, or not.
        event.set();
        event.reset();
        poll_dry(&mut poller);
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut poller, || log.len() == 3);
        let lines = log.take();
        assert_eq!(lines[0].1, None);
        assert!(lines.iter().all(|(_, code)| matches!(*code, None | CANCELLED)));
    }
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 59] [async-backends 74] The kernel has the members before it, and starts it by itself; or would.
fn a_cancel_behind_a_link_of_the_kernel(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for is_polled in [false, true] {
        let mut batch = handle.batch();
        batch.add(Nop).unwrap();
        batch.then(Nop).unwrap();
        let wait = EventWait { event: Event::new().unwrap() };
        let wait = batch.then(Operation::new(wait).on_done(log.line("event"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        batch.submit().unwrap();
        if is_polled {
            poll_dry(&mut poller);
        }
        handle.cancel(wait).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take(), [("event", CANCELLED), ("behind", CANCELLED)]);
    }
}
