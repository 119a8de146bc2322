//! Cancels in every state of every kind, and the end of a proactor.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{CANCELLED, Log, after_ms, every, every_with, poll_dry, poll_until, real};
use weft_io::ops::{
    EventWait, FutexWait, HandlePoll, Interest, Kind, Message, Nop, NotificationSignal, NotificationWait,
    SemaphoreSignal, SemaphoreWait, Sequence, Step, Timer,
};
use weft_io::{Capabilities, Config, Event, Handle, Notification, Operation, Params, Progressed, Ticket};
use weft_sync::{Code, Deadline, Point, Semaphore};

fn submit<P: Params>(handle: &Handle, params: P, log: &Log, name: &'static str) -> Ticket {
    handle.submit(Operation::new(params).on_done(log.line(name))).unwrap()
}

/// One operation of every kind that waits; nothing ever ends them.
fn submit_all_kinds(handle: &Handle, log: &Log, is_real: bool) -> Vec<Ticket> {
    let never = Arc::new(Semaphore::new(0));
    let point = Point { semaphore: never, value: 1 };
    let mut tickets = vec![
        submit(handle, Timer { deadline: Deadline::NEVER }, log, "timer"),
        submit(handle, SemaphoreWait::all([point.clone()]), log, "all"),
        submit(handle, SemaphoreWait::any([point]), log, "any"),
        submit(handle, NotificationWait::new(Arc::new(Notification::new())), log, "notification"),
        submit(handle, Sequence::new(vec![Step::new(Timer { deadline: Deadline::NEVER })]), log, "sequence"),
    ];
    if is_real {
        tickets.push(submit(handle, EventWait { event: Event::new().unwrap() }, log, "event"));
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        std::mem::forget(_far);
        let poll = HandlePoll { handle: Arc::new(near.into()), interest: Interest::IN };
        tickets.push(submit(handle, poll, log, "handle"));
        if handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
            let word = Arc::new(weft_sync::atomic::AtomicU32::new(0));
            tickets.push(submit(handle, FutexWait { word, expected: 0 }, log, "futex"));
        }
    }
    tickets
}

/// [async 79] [async 82] [async 84] [async 91] [async 93] [async 94] [async 95] [async-backends 65] [async-backends 67]
/// [async-backends 73] Every kind that waits ends cancelled, once, whether it was under way or not; asked twice too.
#[test]
fn everything_that_waits_can_be_cancelled() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        for is_under_way in [true, false] {
            let log = Log::default();
            let tickets = submit_all_kinds(&handle, &log, subject.is_real);
            if is_under_way {
                assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
            }
            for ticket in &tickets {
                handle.cancel(*ticket).unwrap();
                handle.cancel(*ticket).unwrap();
            }
            poll_until(&mut subject.poller, || log.len() == tickets.len());
            assert_eq!(poll_dry(&mut subject.poller), 0);
            tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
            assert_eq!(poll_dry(&mut subject.poller), 0, "they have ended");
            assert!(log.take().iter().all(|(_, code)| *code == CANCELLED), "{}", subject.name);
        }
    });
}

/// [async 94] [async-backends 66] What ends by itself at once is not harmed by a cancel.
#[test]
fn what_ends_by_itself_can_be_cancelled() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let changed = Arc::new(Notification::new());
        let timeline = Arc::new(Semaphore::new(0));
        let tickets = [
            submit(&handle, Nop, &log, "nop"),
            submit(&handle, NotificationSignal { notification: changed, count: 1 }, &log, "signal"),
            submit(&handle, SemaphoreSignal::new([Point { semaphore: timeline, value: 1 }]), &log, "advance"),
            submit(&handle, Message { target: handle.clone(), payload: 0 }, &log, "message"),
        ];
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut subject.poller, || log.len() == 4);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 80] [async 96] [async-backends 76] A ticket names one use of a slot: a late cancel reaches nobody.
#[test]
fn a_late_cancel_reaches_nobody() {
    every_with(&Config { operations_max: 1, ..Config::new() }, |mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let first = submit(&handle, Nop, &log, "first");
        poll_until(&mut subject.poller, || log.len() == 1);
        let second = submit(&handle, Timer { deadline: Deadline::NEVER }, &log, "second");
        assert_ne!(first, second);
        handle.cancel(first).unwrap();
        assert!(subject.poller.poll(after_ms(2)).is_err());
        handle.cancel(second).unwrap();
        poll_until(&mut subject.poller, || log.len() == 2);
        let other = weft_io::open_null(&Config::new());
        assert_eq!(other.handle().cancel(second).unwrap_err().code(), Code::InvalidArgument);
    });
}

/// [async 87] [async-backends 69] A cancel of another thread ends a poll that waits.
#[test]
fn a_cancel_wakes_the_poll() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let ticket = submit(&handle, Timer { deadline: Deadline::NEVER }, &log, "timer");
        let start = Instant::now();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            handle.cancel(ticket).unwrap();
        });
        poll_until(&mut subject.poller, || log.len() == 1);
        assert!(start.elapsed() < Duration::from_secs(5));
        canceller.join().unwrap();
    });
}

/// [async 52] [async 59] [async-backends 49] [async-backends 74] A member that has not begun ends when its turn comes,
/// and with it what is behind.
#[test]
fn a_member_that_waits_can_be_cancelled() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let mut batch = handle.batch();
        batch.add(Operation::new(Timer { deadline: after_ms(3) }).on_done(log.line("a"))).unwrap();
        let middle = Timer { deadline: Deadline::IMMEDIATE };
        let middle = batch.then(Operation::new(middle).on_done(log.line("b"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("c"))).unwrap();
        batch.submit().unwrap();
        handle.cancel(middle).unwrap();
        poll_until(&mut subject.poller, || log.len() == 3);
        assert_eq!(log.take(), [("a", None), ("b", CANCELLED), ("c", CANCELLED)], "{}", subject.name);
        // Cancelled before its batch was submitted.
        let mut batch = handle.batch();
        let head = Timer { deadline: Deadline::NEVER };
        let head = batch.add(Operation::new(head).on_done(log.line("head"))).unwrap();
        handle.cancel(head).unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(log.take(), [("head", CANCELLED)]);
        // Behind a link of the kernel.
        if subject.is_real {
            let mut batch = handle.batch();
            batch.add(Nop).unwrap();
            batch.then(Nop).unwrap();
            let wait = Operation::new(EventWait { event: Event::new().unwrap() }).on_done(log.line("event"));
            let wait = batch.then(wait).unwrap();
            batch.submit().unwrap();
            handle.cancel(wait).unwrap();
            poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(log.take(), [("event", CANCELLED)]);
        }
    });
}

/// [async 85] [async 86] [async-backends 68] [async-backends 70] [async-backends 71] A cancel against a set: one of them
/// wins, the event stays good, and the signal is not lost.
#[test]
fn cancels_race_with_sets() {
    let rounds = if cfg!(tsan) { 100 } else { 1_000 };
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        for _ in 0..rounds {
            let event = Event::new().unwrap();
            let log = Log::default();
            let ticket = submit(&handle, EventWait { event: event.clone() }, &log, "wait");
            let (setter, canceller) = (event.clone(), handle.clone());
            let threads = [
                std::thread::spawn(move || setter.set()),
                std::thread::spawn(move || canceller.cancel(ticket).unwrap()),
            ];
            poll_until(&mut subject.poller, || log.len() == 1);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            match log.take()[0].1 {
                None => assert!(!event.reset()),
                code => {
                    assert_eq!(code, CANCELLED);
                    assert!(event.reset(), "{}: the signal is still there", subject.name);
                }
            }
        }
        poll_dry(&mut subject.poller);
    });
}

/// [async 236] [async-backends 103] [async-backends 104] Timelines that fail, advance and a cancel, all at once.
#[test]
fn cancels_race_with_timelines() {
    let rounds = if cfg!(tsan) { 100 } else { 1_000 };
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        for round in 0..rounds {
            let log = Log::default();
            let timelines: [_; 3] = std::array::from_fn(|_| Arc::new(Semaphore::new(0)));
            let points: Vec<Point> = timelines
                .iter()
                .map(|timeline| Point { semaphore: Arc::clone(timeline), value: 1 })
                .collect();
            let wait = if round % 2 == 0 { SemaphoreWait::all(points) } else { SemaphoreWait::any(points) };
            let ticket = submit(&handle, wait, &log, "wait");
            let canceller = handle.clone();
            let [a, b, c] = timelines;
            let threads = [
                std::thread::spawn(move || drop(a.signal(1))),
                std::thread::spawn(move || b.fail(weft_sync::status!(DataLoss, "gone"))),
                std::thread::spawn(move || drop(c.signal(1))),
                std::thread::spawn(move || canceller.cancel(ticket).unwrap()),
            ];
            poll_until(&mut subject.poller, || log.len() == 1);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            poll_dry(&mut subject.poller);
            assert_eq!(log.len(), 1);
        }
    });
}

/// [async 24] [async 97] [async-backends 38] [async-backends 39] Whoever submits too much gets it back, and nothing of it
/// has happened; cancels, wakes and messages need no room.
#[test]
fn what_does_not_fit_comes_back() {
    every_with(&Config { operations_max: 4, ..Config::new() }, |mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let tickets: Vec<Ticket> =
            (0..4).map(|_| submit(&handle, Timer { deadline: Deadline::NEVER }, &log, "timer")).collect();
        let refused = handle.submit(Operation::new(Nop).on_done(log.line("late"))).unwrap_err();
        assert_eq!(refused.why.code(), Code::ResourceExhausted);
        let mut batch = handle.batch();
        assert_eq!(batch.add(Nop).unwrap_err().why.code(), Code::ResourceExhausted);
        handle.wake();
        handle.cancel(tickets[2]).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        handle.submit(refused.operation).unwrap();
        poll_until(&mut subject.poller, || log.len() == 2);
        assert_eq!(log.take(), [("timer", CANCELLED), ("late", None)]);
    });
}

/// [async 24] What is refused comes back in order, with its chains and callbacks; accepted later, it runs.
#[test]
fn batches_come_back() {
    every_with(&Config { operations_max: 3, ..Config::new() }, |mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let four = ["a", "b", "c", "d"].map(|name| Operation::new(Nop).on_done(log.line(name)));
        let refused = handle.submit_all(Vec::from(four)).unwrap_err();
        assert_eq!(refused.why.code(), Code::ResourceExhausted);
        let mut operations = refused.operations;
        let last = operations.pop().unwrap();
        handle.submit_all(operations).unwrap();
        poll_until(&mut subject.poller, || log.len() == 3);
        handle.submit_all(vec![last]).unwrap();
        poll_until(&mut subject.poller, || log.len() == 4);
        assert_eq!(log.take(), ["a", "b", "c", "d"].map(|name| (name, None)));
        let mut batch = handle.batch();
        batch.add(Nop).unwrap();
        batch.then(Timer { deadline: Deadline::NEVER }).unwrap();
        batch.add(Nop).unwrap();
        let kinds: Vec<_> = batch.into_steps().iter().map(Step::kind).collect();
        assert_eq!(kinds, [Kind::Nop, Kind::Timer, Kind::Nop]);
        assert_eq!(poll_dry(&mut subject.poller), 0);
        assert_eq!(subject.poller.under_way(), 0);
    });
}

/// [async 13] [async 14] [async-backends 26] Progress callbacks run in every poll, which does not wait then; what they find
/// counts; they take each other in and out.
#[test]
fn progress_callbacks_run_in_every_poll() {
    every(|mut subject| {
        let runs = std::rc::Rc::new(std::cell::Cell::new(0));
        let progress = subject.poller.progress().clone();
        let (counter, inner) = (runs.clone(), progress.clone());
        let mut once = false;
        let first = progress.register(move || {
            counter.set(counter.get() + 1);
            if !std::mem::replace(&mut once, true) {
                let counter = counter.clone();
                inner.register(move || {
                    counter.set(counter.get() + 100);
                    Progressed::Remove(7)
                });
            }
            Progressed::Keep(0)
        });
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 7);
        assert_eq!(runs.get(), 101);
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 0, "does not wait");
        assert_eq!((runs.get(), progress.count()), (102, 1));
        assert!(progress.unregister(first) && !progress.unregister(first));
        let (own, inner) = (std::rc::Rc::new(std::cell::Cell::new(None)), progress.clone());
        let id = own.clone();
        own.set(Some(progress.register(move || {
            assert!(inner.unregister(id.get().unwrap()));
            Progressed::Keep(1)
        })));
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        assert_eq!(progress.count(), 0);
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
    });
}

/// [async-backends 27] [async-backends 28] An operation that comes again from its own callback does not keep a poll.
#[test]
fn an_operation_that_comes_again_does_not_keep_a_poll() {
    fn again(handle: Handle, count: Arc<AtomicUsize>) -> impl FnOnce(weft_io::Done<Timer>) + Send + 'static {
        move |done| {
            count.fetch_add(1, Ordering::Relaxed);
            let next = again(handle.clone(), count);
            if done.result.is_ok() {
                drop(handle.submit(done.operation.on_done(next)));
            }
        }
    }
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let count = Arc::new(AtomicUsize::new(0));
        let timer = Operation::new(Timer { deadline: Deadline::IMMEDIATE });
        handle.submit(timer.on_done(again(handle.clone(), count.clone()))).unwrap();
        for polls in 1..10 {
            assert!(subject.poller.poll(Deadline::NEVER).unwrap() > 0);
            assert!(count.load(Ordering::Relaxed) >= polls);
        }
    });
}

/// A callback that panics takes the poll along, and nothing else: the rest of its chain, and everything that came with
/// it, ends.
#[test]
fn a_callback_that_panics_takes_nothing_along() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let mut batch = handle.batch();
        batch.add(Operation::new(Nop).on_done(|_| panic!("a test's own"))).unwrap();
        batch
            .then(Operation::new(Timer { deadline: Deadline::IMMEDIATE }).on_done(log.line("behind")))
            .unwrap();
        batch.add(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
        batch.submit().unwrap();
        let poll = std::panic::AssertUnwindSafe(|| {
            let mut poller = std::panic::AssertUnwindSafe(&mut subject.poller);
            poller.poll(Deadline::NEVER)
        });
        assert!(std::panic::catch_unwind(poll).is_err(), "{}", subject.name);
        poll_until(&mut subject.poller, || log.len() == 2);
        assert_eq!(subject.poller.under_way(), 0);
    });
}

/// [async 260] [async-backends 232] [async-backends 234] A poller that goes away calls everything back, once, also what a
/// callback tries to submit then.
#[test]
fn the_end_calls_everything_back() {
    every(|subject| {
        let mut subject = subject;
        let log = Log::default();
        let handle = subject.poller.handle().clone();
        let count = submit_all_kinds(&handle, &log, subject.is_real).len();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        let mut batch = handle.batch();
        batch.add(Operation::new(Timer { deadline: Deadline::NEVER }).on_done(log.line("head"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        batch.submit().unwrap();
        subject.poller.poll(Deadline::IMMEDIATE).unwrap_err();
        let (again, refusals) = (handle.clone(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&refusals);
        let stubborn = Operation::new(Nop).on_done(move |done| {
            assert_eq!(done.result.unwrap_err().code(), Code::Cancelled);
            assert_eq!(again.submit(done.operation).unwrap_err().why.code(), Code::Aborted);
            counter.fetch_add(1, Ordering::Relaxed);
        });
        handle.submit(stubborn).unwrap();
        let mut late = handle.batch();
        late.add(Operation::new(Nop).on_done(log.line("never"))).unwrap();
        drop(subject.poller);
        assert_eq!(refusals.load(Ordering::Relaxed), 1);
        let lines = log.take();
        assert_eq!(lines.len(), count + 2, "{}", subject.name);
        assert!(lines.iter().all(|(_, code)| *code == CANCELLED));
        let back = late.submit().unwrap_err();
        assert_eq!(back.why.code(), Code::Aborted);
        drop(back);
        assert_eq!(handle.submit(Nop).unwrap_err().why.code(), Code::Aborted);
        assert_eq!(handle.send_message(1).unwrap_err().code(), Code::Aborted);
        handle.wake();
    });
}

/// [async-backends 3] A proactor that was never polled ends what was submitted.
#[test]
fn a_proactor_that_nobody_polled_ends_cleanly() {
    let log = Log::default();
    let proactor = weft_io::open_any(&Config::new()).unwrap();
    let mut batch = proactor.handle().batch();
    batch.add(Operation::new(Nop).on_done(log.line("a"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("b"))).unwrap();
    batch.add(Operation::new(Nop).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    std::thread::spawn(move || drop(proactor)).join().unwrap();
    assert_eq!(log.take(), ["a", "b", "c"].map(|name| (name, CANCELLED)));
}

/// [async 10] [async-backends 10] Made on one thread, submitted to from there, polled on another.
#[test]
fn a_proactor_is_polled_where_it_is_bound() {
    let log = Log::default();
    let proactor = weft_io::open_any(&Config::new()).unwrap();
    submit(proactor.handle(), Nop, &log, "early");
    let handle = proactor.handle().clone();
    let poll = std::thread::spawn({
        let log = log.clone();
        move || {
            let mut poller = proactor.into_poller().unwrap();
            poll_until(&mut poller, || log.len() == 2);
        }
    });
    submit(&handle, Nop, &log, "late");
    poll.join().unwrap();
}
