//! Single operations of every kind, and what a poll answers.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Log, after_ms, every, every_with, poll_dry, poll_until, real, soon};
use weft_io::ops::{
    EventWait, FutexWait, FutexWake, HandlePoll, Interest, Message, Nop, NotificationSignal,
    NotificationWait, Ready, SemaphoreSignal, SemaphoreWait, Timer,
};
use weft_io::{Capabilities, Config, Event, Notification, Operation, WAKE_ALL};
use weft_sync::{Code, Deadline, Point, Semaphore};

/// [async 17] [async 18] [async 19] [async 39] [async-backends 32] NOPs end once each, in the order of their batch.
#[test]
fn nops_end_in_order() {
    every(|mut subject| {
        let log = Log::default();
        let handle = subject.poller.handle().clone();
        let names = ["a", "b", "c", "d", "e"];
        let mut batch = handle.batch();
        for name in names {
            batch.add(Operation::new(Nop).on_done(log.line(name))).unwrap();
        }
        assert_eq!(log.len(), 0);
        batch.submit().unwrap();
        let count = poll_until(&mut subject.poller, || log.len() == 5);
        assert_eq!(count, 5, "{}", subject.name);
        assert_eq!(log.take(), names.map(|name| (name, None)));
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 4] [async 5] [async-backends 18] [async-backends 19] Nothing ends: the deadline, no earlier and not much later.
#[test]
fn an_idle_poll_ends_at_its_deadline() {
    every(|mut subject| {
        let now = subject.poller.poll(Deadline::IMMEDIATE).unwrap_err();
        assert_eq!(now.code(), Code::DeadlineExceeded);
        let start = Instant::now();
        let later = subject.poller.poll(after_ms(30)).unwrap_err();
        assert_eq!(later.code(), Code::DeadlineExceeded);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(30) && waited < Duration::from_secs(5), "{waited:?}");
    });
}

/// [async 6] [async 7] [async-backends 22] Ten wakes before a poll count as one; a wake during one ends it.
#[test]
fn wakes_stick_and_count_once() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        (0..10).for_each(|_| handle.wake());
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 0);
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        let waker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            handle.wake();
        });
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 0);
        waker.join().unwrap();
    });
}

/// [async 31] [async 32] [async 33] [async 34] [async-backends 33] [async-backends 34] Timers end in the order of their
/// deadlines, equal ones in that of submission, none early; a past one at the next poll.
#[test]
fn timers_end_in_order_and_not_early() {
    every(|mut subject| {
        let log = Log::default();
        let handle = subject.poller.handle().clone();
        let start = Instant::now();
        let base = weft_sync::Instant::now();
        let at = |milliseconds| Deadline::at(base + Duration::from_millis(milliseconds));
        for (name, deadline) in
            [("20", at(20)), ("5", at(5)), ("10a", at(10)), ("10b", at(10)), ("past", Deadline::IMMEDIATE)]
        {
            handle.submit(Operation::new(Timer { deadline }).on_done(log.line(name))).unwrap();
        }
        assert_eq!(subject.poller.poll(Deadline::IMMEDIATE).unwrap(), 1);
        assert_eq!(log.take(), [("past", None)]);
        poll_until(&mut subject.poller, || log.len() == 4);
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(log.take(), ["5", "10a", "10b", "20"].map(|name| (name, None)), "{}", subject.name);
    });
}

/// [async 37] [async-backends 36] Ten thousand timers end, each once.
#[test]
fn ten_thousand_timers_end() {
    let config = Config { operations_max: 10_000, ..Config::new() };
    every_with(&config, |mut subject| {
        let ended = Arc::new(AtomicUsize::new(0));
        let deadline = after_ms(3);
        for _ in 0..10_000 {
            let ended = Arc::clone(&ended);
            let count = move |_| {
                ended.fetch_add(1, Ordering::Relaxed);
            };
            subject.poller.handle().submit(Operation::new(Timer { deadline }).on_done(count)).unwrap();
        }
        poll_until(&mut subject.poller, || ended.load(Ordering::Relaxed) == 10_000);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 100] [async 102] [async 103] [async 104] [async 108] [async-backends 80] A wait takes the signal, whether it
/// came before or after; many sets are one; others' events are others'.
#[test]
fn event_waits_take_the_signal() {
    real(|mut subject| {
        let log = Log::default();
        let handle = subject.poller.handle().clone();
        let (event, other) = (Event::new().unwrap(), Event::new().unwrap());
        (0..1000).for_each(|_| event.set());
        handle
            .submit(Operation::new(EventWait { event: event.clone() }).on_done(log.line("before")))
            .unwrap();
        handle.submit(Operation::new(EventWait { event: other.clone() }).on_done(log.line("other"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        assert!(!event.reset(), "{}: taken", subject.name);
        handle.submit(Operation::new(EventWait { event: event.clone() }).on_done(log.line("after"))).unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        event.set();
        poll_until(&mut subject.poller, || log.len() == 2);
        other.set();
        poll_until(&mut subject.poller, || log.len() == 3);
        assert_eq!(log.take(), [("before", None), ("after", None), ("other", None)]);
    });
}

/// [async 101] [async-backends 80] What was written before the set is seen by the callback.
#[test]
fn an_event_set_by_another_thread_ends_a_blocked_poll() {
    real(|mut subject| {
        let event = Event::new().unwrap();
        let (log, written) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let (seen, line) = (Arc::clone(&written), log.line("set"));
        let wait = Operation::new(EventWait { event: event.clone() }).on_done(move |done| {
            assert!(seen.load(Ordering::Relaxed));
            line(done);
        });
        subject.poller.handle().submit(wait).unwrap();
        let setter = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            written.store(true, Ordering::Relaxed);
            event.set();
        });
        poll_until(&mut subject.poller, || log.len() == 1);
        setter.join().unwrap();
    });
}

/// [async 116] A handle is ready for what it is ready for; nothing is read from it.
#[test]
fn handles_are_polled_once() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let near: Arc<std::os::fd::OwnedFd> = Arc::new(near.into());
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let ask = |interest| {
            let seen = Arc::clone(&seen);
            let poll = Operation::new(HandlePoll { handle: Arc::clone(&near), interest });
            handle.submit(poll.on_done(move |done| seen.lock().unwrap().push(done.result.unwrap()))).unwrap();
        };
        ask(Interest::OUT);
        poll_until(&mut subject.poller, || seen.lock().unwrap().len() == 1);
        ask(Interest::IN);
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        poll_until(&mut subject.poller, || seen.lock().unwrap().len() == 2);
        drop(far);
        ask(Interest::IN);
        poll_until(&mut subject.poller, || seen.lock().unwrap().len() == 3);
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], Ready::OUT);
        assert_eq!(seen[1], Ready::IN);
        assert!(
            seen[2].contains(Ready::HUP | Ready::IN),
            "not drained, and the other side is gone: {:?}",
            seen[2]
        );
        let nothing = HandlePoll { handle: Arc::clone(&near), interest: Interest::empty() };
        assert_eq!(handle.submit(nothing).unwrap_err().why.code(), Code::InvalidArgument);
    });
}

/// [async 170] [async 171] [async 173] [async-backends 178] [async-backends 180]
#[test]
fn futexes_wait_and_wake() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let word = Arc::new(weft_sync::atomic::AtomicU32::new(7));
        let log = Log::default();
        let wait = |expected, name| {
            Operation::new(FutexWait { word: Arc::clone(&word), expected }).on_done(log.line(name))
        };
        if !handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
            assert_eq!(handle.submit(wait(7, "a")).unwrap_err().why.code(), Code::Unavailable);
            return;
        }
        handle.submit(wait(8, "another value")).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        handle.submit(wait(7, "first")).unwrap();
        handle.submit(wait(7, "second")).unwrap();
        handle.submit(wait(7, "third")).unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        let woken = Arc::new(AtomicUsize::new(99));
        let wake = |count| {
            let woken = Arc::clone(&woken);
            Operation::new(FutexWake { word: Arc::clone(&word), count })
                .on_done(move |done| woken.store(done.result.unwrap() as usize, Ordering::Relaxed))
        };
        handle.submit(wake(2)).unwrap();
        poll_until(&mut subject.poller, || log.len() == 3);
        assert_eq!(woken.load(Ordering::Relaxed), 2);
        handle.submit(wake(u32::MAX)).unwrap();
        poll_until(&mut subject.poller, || log.len() == 4);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        handle.submit(wake(1)).unwrap();
        poll_until(&mut subject.poller, || woken.load(Ordering::Relaxed) == 0);
        assert!(log.take().iter().all(|(_, code)| code.is_none()));
    });
}

/// [async 124] [async 125] [async 126] [async 127] [async-backends 92] [async-backends 94] Notification waits end when the
/// epoch is no longer their token, and only then.
#[test]
fn notification_waits_follow_the_epoch() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let changed = Arc::new(Notification::at_epoch(u32::MAX));
        let log = Log::default();
        assert!(!changed.signal(WAKE_ALL), "nobody observes");
        assert_eq!(changed.epoch(), 0);
        let stale = NotificationWait::since(Arc::clone(&changed), u32::MAX);
        handle.submit(Operation::new(stale).on_done(log.line("stale"))).unwrap();
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        let next = || Operation::new(NotificationWait::new(Arc::clone(&changed)));
        handle.submit(next().on_done(log.line("next"))).unwrap();
        handle.submit(next().on_done(log.line("next too"))).unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err(), "not while the epoch is the token");
        let signal = NotificationSignal { notification: Arc::clone(&changed), count: 1 };
        handle.submit(Operation::new(signal).on_done(log.line("signal"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 4);
        assert_eq!(poll_dry(&mut subject.poller), 0);
        assert!(!changed.signal(1), "nobody observes any more");
        // Signalled between submission and poll.
        handle.submit(next().on_done(log.line("between"))).unwrap();
        assert!(changed.signal(1), "what was submitted observes");
        poll_until(&mut subject.poller, || log.len() == 5);
        assert!(log.take().iter().all(|(_, code)| code.is_none()));
    });
}

/// [async 231] [async 232] [async 233] [async-backends 100] [async-backends 101] [async-backends 102]
#[test]
fn semaphore_waits_and_signals() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let timelines: Vec<Arc<Semaphore>> = (0..3).map(|_| Arc::new(Semaphore::new(0))).collect();
        let point = |index: usize, value| Point { semaphore: Arc::clone(&timelines[index]), value };
        let log = Log::default();
        let winner = Arc::new(AtomicUsize::new(99));
        let all = SemaphoreWait::all([point(0, 1), point(1, 1)]);
        handle.submit(Operation::new(all).on_done(log.line("all"))).unwrap();
        let (index, line) = (Arc::clone(&winner), log.line("any"));
        let any = Operation::new(SemaphoreWait::any([point(2, 5), point(1, 1)])).on_done(move |done| {
            index.store(*done.result.as_ref().unwrap(), Ordering::Relaxed);
            line(done);
        });
        handle.submit(any).unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        handle.submit(SemaphoreSignal::new([point(0, 1)])).unwrap();
        assert_eq!(subject.poller.poll(soon()).unwrap(), 1, "the signal alone");
        timelines[1].signal(1).unwrap();
        poll_until(&mut subject.poller, || log.len() == 2);
        assert_eq!(winner.load(Ordering::Relaxed), 1);
        handle.submit(Operation::new(SemaphoreSignal::new([point(0, 1)])).on_done(log.line("back"))).unwrap();
        timelines[2].fail(weft_sync::status!(DataLoss, "gone"));
        handle.submit(Operation::new(SemaphoreWait::all([point(2, 9)])).on_done(log.line("failed"))).unwrap();
        let any = SemaphoreWait::any([point(2, 9), point(0, 1)]);
        handle.submit(Operation::new(any).on_done(log.line("reached"))).unwrap();
        handle.submit(Operation::new(SemaphoreWait::all([])).on_done(log.line("none"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 6);
        let mut lines = log.take();
        lines.sort();
        let wrong = lines.iter().find(|(name, _)| *name == "back").unwrap().1;
        assert!(wrong.is_some(), "a timeline does not stand still");
        assert!(lines.contains(&("failed", Some(Code::DataLoss))) && lines.contains(&("reached", None)));
        assert!(lines.contains(&("none", None)));
        let too_many = SemaphoreWait::all(vec![point(0, 1); 256]);
        assert_eq!(handle.submit(too_many).unwrap_err().why.code(), Code::OutOfRange);
        handle.submit(SemaphoreWait::all(vec![point(0, 1); 255])).unwrap();
        assert_eq!(handle.submit(SemaphoreWait::any([])).unwrap_err().why.code(), Code::InvalidArgument);
        assert_eq!(subject.poller.poll(soon()).unwrap(), 1);
    });
}

/// [async 229] [async 230] [async-backends 110] [async-backends 111] [async-backends 112] [async-backends 113]
#[test]
fn messages_arrive_once_and_in_order() {
    every_with(&Config { messages_max: 4, ..Config::new() }, |mut subject| {
        let handle = subject.poller.handle().clone();
        let inbox = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let into = std::rc::Rc::clone(&inbox);
        subject.poller.on_message(move |payload| into.borrow_mut().push(payload));
        let payloads = [0, u64::MAX, 1 << 31, 1 << 63];
        payloads.iter().for_each(|&payload| handle.send_message(payload).unwrap());
        assert_eq!(handle.send_message(5).unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 0, "messages are not counted");
        assert_eq!(*inbox.borrow(), payloads);
        let log = Log::default();
        let message = Message { target: handle.clone(), payload: 77 };
        handle.submit(Operation::new(message).on_done(log.line("sent"))).unwrap();
        poll_until(&mut subject.poller, || inbox.borrow().len() == 5 && log.len() == 1);
        assert_eq!(inbox.borrow()[4], 77);
        let sender = std::thread::spawn(move || handle.send_message(6).unwrap());
        poll_until(&mut subject.poller, || inbox.borrow().len() == 6);
        sender.join().unwrap();
    });
}

/// [async 2] [async 16] What was allowed and detected; a long name is cut.
#[test]
fn a_proactor_describes_itself() {
    let config = Config { name: "ü".repeat(40), ..Config::new() };
    every_with(&config, |subject| {
        let description = subject.poller.handle().describe();
        assert_eq!(description.name, "ü".repeat(16));
        assert!(!description.backend.is_empty() && !description.to_string().is_empty());
        assert!(config.allowed.contains(description.capabilities));
    });
}

/// [async 26] [async 40] [async-backends 25] Eight threads submit while one polls: each operation ends once.
#[test]
fn many_threads_submit() {
    let per_thread = if cfg!(tsan) { 500 } else { 5_000 };
    every(|mut subject| {
        let ended = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (handle, ended) = (subject.poller.handle().clone(), Arc::clone(&ended));
                std::thread::spawn(move || {
                    for _ in 0..per_thread {
                        let ended = Arc::clone(&ended);
                        let count = move |_| {
                            ended.fetch_add(1, Ordering::Relaxed);
                        };
                        let mut operation = Operation::new(Nop).on_done(count);
                        while let Err(refused) = handle.submit(operation) {
                            assert_eq!(refused.why.code(), Code::ResourceExhausted);
                            operation = refused.operation;
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        poll_until(&mut subject.poller, || ended.load(Ordering::Relaxed) == 8 * per_thread);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}
