//! Notifications inside one process: who is woken, who counts as an observer, and that no signal is lost.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use support::{CANCELLED, Log, after_ms, every, poll_dry, poll_until, soon};
use weft_io::ops::{Nop, NotificationSignal, NotificationWait};
use weft_io::{Config, Notification, Operation, WAKE_ALL, open_null};
use weft_sync::Deadline;

fn notification() -> Arc<Notification> {
    Arc::new(Notification::new())
}

/// [async 117] [async 118] [async 119] [async-backends 89] [async-backends 90] Without an observer a signal moves the
/// epoch by one and says that nobody saw it; with one it says that somebody did, and a wait for the old epoch ends.
#[test]
fn signals_say_whether_somebody_observes() {
    let changed = notification();
    let kept = vec![Arc::clone(&changed); 10];
    for epoch in 0..5 {
        assert_eq!(changed.epoch(), epoch);
        assert!(!changed.signal([1, 7, WAKE_ALL][epoch as usize % 3]));
    }
    drop(kept);
    let observation = changed.observe();
    let token = observation.token();
    assert_eq!(token, 5);
    assert!(changed.signal(1));
    assert_eq!(changed.epoch(), 6);
    assert!(observation.wait_since(token, after_ms(0)), "no time is needed");
    assert!(!changed.signal(1), "it has ended");
}

/// [async 120] [async 121] [async 122] [async-backends 91] A thread sleeps until a signal, or until its deadline and not
/// shorter; several signals are one wake.
#[test]
fn threads_wait() {
    let changed = notification();
    let start = Instant::now();
    assert!(!changed.wait(after_ms(20)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(!changed.wait(after_ms(0)));
    let (turn, rounds) = (notification(), 1000);
    let thread = {
        let (changed, turn) = (Arc::clone(&changed), Arc::clone(&turn));
        std::thread::spawn(move || {
            for round in 0..rounds {
                let mine = turn.observe();
                if turn.epoch() == round {
                    assert!(mine.wait_since(round, soon()));
                }
                (0..3).for_each(|_| _ = changed.signal(1));
            }
        })
    };
    for round in 0..rounds {
        let observation = changed.observe();
        let token = observation.token();
        turn.signal(1);
        assert!(observation.wait_since(token, soon()), "round {round}");
        while changed.epoch() < 3 * (round + 1) {
            std::thread::yield_now();
        }
    }
    thread.join().unwrap();
}

/// [async 123] [async-backends 91] A count wakes at least that many of those asleep, a broadcast all.
#[test]
fn counts_and_broadcasts_wake() {
    for count in [1, 2, WAKE_ALL] {
        let (changed, awake) = (notification(), Arc::new(AtomicU32::new(0)));
        let observing = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (changed, awake) = (Arc::clone(&changed), Arc::clone(&awake));
                let observing = Arc::clone(&observing);
                std::thread::spawn(move || {
                    let observation = changed.observe();
                    observing.wait();
                    assert!(observation.wait(soon()));
                    awake.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        observing.wait();
        // Time to fall asleep; whoever has not ends all the same.
        std::thread::sleep(Duration::from_millis(10));
        changed.signal(count);
        let wanted = count.min(4);
        while awake.load(Ordering::Relaxed) < wanted {
            std::thread::yield_now();
        }
        changed.signal(WAKE_ALL);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// [async 124] [async 125] [async 126] [async 132] [async-backends 92] [async-backends 94] A wait observes, ends after a
/// signal and not before, whatever was signalled earlier; one whose token is old ends at once.
#[test]
fn operations_wait() {
    every(|mut subject| {
        let (changed, log) = (notification(), Log::default());
        let handle = subject.poller.handle().clone();
        changed.signal(WAKE_ALL);
        for _ in 0..20 {
            let wait = NotificationWait::new(Arc::clone(&changed));
            handle.submit(Operation::new(wait).on_done(log.line("wait"))).unwrap();
            assert_eq!(poll_dry(&mut subject.poller), 0, "{}: the epoch is the token", subject.name);
            assert!(changed.signal(1), "the operation observes");
            poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(log.take(), [("wait", None)]);
            assert!(!changed.signal(1), "it has ended");
        }
        let old = NotificationWait::since(Arc::clone(&changed), changed.epoch().wrapping_sub(1));
        handle.submit(Operation::new(old).on_done(log.line("old"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
    });
}

/// [async 127] [async 128] [async 95] [async-backends 93] A signal in its turn moves the epoch and ends waits; what is
/// linked behind a wait follows it; a cancelled wait needs no signal, and observes no more.
#[test]
fn signals_in_their_turn() {
    every(|mut subject| {
        let (changed, log) = (notification(), Log::default());
        let handle = subject.poller.handle().clone();
        let mut batch = handle.batch();
        let wait = NotificationWait::new(Arc::clone(&changed));
        batch.add(Operation::new(wait).on_done(log.line("wait"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        let signal = NotificationSignal { notification: Arc::clone(&changed), count: WAKE_ALL };
        batch.add(Operation::new(signal).on_done(log.line("signal"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 3);
        let lines: Vec<&str> = log.take().into_iter().map(|(name, code)| (name, code).0).collect();
        let at = |name| lines.iter().position(|line| *line == name).unwrap();
        assert!(at("wait") < at("nop"), "{}: {lines:?}", subject.name);
        assert_eq!(changed.epoch(), 1);
        let wait = Operation::new(NotificationWait::new(Arc::clone(&changed))).on_done(log.line("late"));
        let ticket = handle.submit(wait).unwrap();
        assert_eq!(poll_dry(&mut subject.poller), 0);
        handle.cancel(ticket).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(log.take(), [("late", CANCELLED)]);
        assert!(!changed.signal(WAKE_ALL));
    });
}

/// [async 129] [async 131] [async-backends 93] A callback wakes a thread, whose signal ends the next wait; threads and
/// operations that wait for one notification do not take each other's wakes.
#[test]
fn threads_and_operations_wait_for_one_notification() {
    every(|mut subject| {
        let rounds = 200;
        let changed = notification();
        let back = notification();
        let thread = {
            let (changed, back) = (Arc::clone(&changed), Arc::clone(&back));
            std::thread::spawn(move || {
                for round in 0..rounds {
                    let observation = changed.observe();
                    if changed.epoch() == round {
                        assert!(observation.wait_since(round, soon()), "round {round}");
                    }
                    back.signal(1);
                }
            })
        };
        let handle = subject.poller.handle().clone();
        for round in 0..rounds {
            let log = Log::default();
            let (line, seen) = (log.line("back"), log.line("changed"));
            let (signal, wait) = (Arc::clone(&changed), NotificationWait::since(Arc::clone(&back), round));
            handle
                .submit(Operation::new(NotificationWait::since(Arc::clone(&changed), round)).on_done(seen))
                .unwrap();
            handle.submit(Operation::new(wait).on_done(line)).unwrap();
            let ring = Operation::new(Nop).on_done(move |_| _ = signal.signal(1));
            handle.submit(ring).unwrap();
            poll_until(&mut subject.poller, || log.len() == 2);
        }
        thread.join().unwrap();
    });
}

/// [async 130] [async-backends 92] A signal right after a submission is never lost, whoever submits, whoever signals.
#[test]
fn no_signal_after_a_submission_is_lost() {
    let rounds = if cfg!(tsan) { 200 } else { 10_000 };
    every(|mut subject| {
        let changed = notification();
        let handle = subject.poller.handle().clone();
        for (submits_here, signals_here) in [(true, true), (true, false), (false, true), (false, false)] {
            let ended = Arc::new(AtomicU32::new(0));
            let meet = Arc::new(Barrier::new(2));
            let submit = {
                let (handle, changed, ended) = (handle.clone(), Arc::clone(&changed), Arc::clone(&ended));
                move || {
                    let ended = Arc::clone(&ended);
                    let wait = Operation::new(NotificationWait::new(Arc::clone(&changed)));
                    let count = move |_| _ = ended.fetch_add(1, Ordering::Relaxed);
                    handle.submit(wait.on_done(count)).unwrap();
                }
            };
            let signal = {
                let changed = Arc::clone(&changed);
                move || _ = changed.signal(1)
            };
            let other = (!submits_here || !signals_here).then(|| {
                let (submit, signal, meet) = (submit.clone(), signal.clone(), Arc::clone(&meet));
                std::thread::spawn(move || {
                    for _ in 0..rounds / 4 {
                        meet.wait();
                        if !submits_here {
                            submit();
                        }
                        if submits_here || signals_here {
                            meet.wait();
                        }
                        if !signals_here {
                            signal();
                        }
                    }
                })
            });
            for round in 1..=rounds / 4 {
                if other.is_some() {
                    meet.wait();
                }
                if submits_here {
                    submit();
                }
                if submits_here != signals_here {
                    meet.wait();
                }
                if signals_here {
                    signal();
                }
                poll_until(&mut subject.poller, || ended.load(Ordering::Relaxed) == round);
            }
            other.into_iter().for_each(|other| other.join().unwrap());
        }
    });
}

/// [async 133] The epoch wraps, for threads and for operations.
#[test]
fn the_epoch_wraps() {
    every(|mut subject| {
        let (changed, log) = (Arc::new(Notification::at_epoch(u32::MAX)), Log::default());
        let observation = changed.observe();
        let wait = NotificationWait::new(Arc::clone(&changed));
        subject.poller.handle().submit(Operation::new(wait).on_done(log.line("wait"))).unwrap();
        assert_eq!(poll_dry(&mut subject.poller), 0);
        changed.signal(WAKE_ALL);
        assert_eq!(changed.epoch(), 0);
        assert!(observation.wait(soon()));
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(log.take(), [("wait", None)], "{}", subject.name);
    });
}

/// [async 134] Publish, signal; observe, check, wait: the one who waits never sleeps through what was published.
#[test]
fn nobody_sleeps_through_what_was_published() {
    let rounds = if cfg!(tsan) { 2_000 } else { 30_000 };
    let (changed, flag) = (notification(), Arc::new(AtomicBool::new(false)));
    let (signaller, raised) = (Arc::clone(&changed), Arc::clone(&flag));
    let producer = std::thread::spawn(move || {
        for _ in 0..rounds {
            while raised.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            raised.store(true, Ordering::Relaxed);
            signaller.signal(1);
        }
    });
    for round in 0..rounds {
        loop {
            let observation = changed.observe();
            if flag.load(Ordering::Relaxed) {
                break;
            }
            assert!(observation.wait(soon()), "round {round}: asleep with the flag set");
        }
        flag.store(false, Ordering::Relaxed);
    }
    producer.join().unwrap();
}

/// Any number of waits end in the order in which they began, and leave in any other, in a time that grows with their
/// number: not with its square.
#[test]
fn very_many_waits_end_and_leave() {
    const WAITS: u32 = 60_000;
    let config = Config { operations_max: WAITS, ..Config::new() };
    let mut poller = open_null(&config).into_poller().unwrap();
    let handle = poller.handle().clone();
    let changed = Arc::new(Notification::new());
    let ended = Arc::new(Mutex::new(Vec::new()));
    let wait = |number: u32| {
        let ended = Arc::clone(&ended);
        let wait = Operation::new(NotificationWait::new(Arc::clone(&changed)));
        wait.on_done(move |done| ended.lock().unwrap().push((number, done.result.is_ok())))
    };
    let start = Instant::now();
    let tickets: Vec<_> = (0..WAITS).map(|number| handle.submit(wait(number)).unwrap()).collect();
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    // Every third leaves, from the last to the first.
    tickets.iter().rev().step_by(3).for_each(|&ticket| handle.cancel(ticket).unwrap());
    poll_until(&mut poller, || ended.lock().unwrap().len() == WAITS as usize / 3);
    assert!(ended.lock().unwrap().drain(..).all(|(_, is_ok)| !is_ok));
    assert!(changed.signal(1));
    poll_until(&mut poller, || ended.lock().unwrap().len() == WAITS as usize / 3 * 2);
    let told = std::mem::take(&mut *ended.lock().unwrap());
    assert!(told.is_sorted() && told.iter().all(|(_, is_ok)| *is_ok));
    (0..WAITS).for_each(|number| _ = handle.submit(wait(number)).unwrap());
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    drop(poller);
    assert_eq!(ended.lock().unwrap().len(), WAITS as usize);
    // The square of it took half a minute.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
