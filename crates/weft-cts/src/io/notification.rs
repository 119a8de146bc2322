//! Notifications: threads and operations that wait for an epoch to move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_io::ops::{Nop, NotificationSignal, NotificationWait};
use weft_io::{Notification, Operation, WAKE_ALL};
use weft_sync::Deadline;

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, ended_well, poll_dry, poll_nothing, poll_until, rounds,
    soon, submit,
};

crate::cases! { $ NOTIFICATION for_each_io_notification_case of IoSubject {
    signals_without_observers_move_the_epoch: IoCaps::NONE;
    observations_are_counted: IoCaps::NONE;
    threads_wait_and_are_woken: IoCaps::NONE;
    as_many_threads_wake_as_are_counted: IoCaps::NONE;
    threads_and_signals_take_turns: IoCaps::NONE;
    operations_follow_the_epoch: IoCaps::NONE;
    no_operation_ends_while_the_epoch_is_its_token: IoCaps::NONE;
    an_operation_observes: IoCaps::NONE;
    signals_by_operation: IoCaps::NONE;
    the_epoch_wraps: IoCaps::NONE;
    a_round_trip_through_a_thread: IoCaps::NONE;
    threads_and_operations_wait_together: IoCaps::NONE;
    many_proactors_wait_for_one: IoCaps::NONE;
    no_signal_is_lost_to_an_operation: IoCaps::NONE;
    no_flag_is_missed: IoCaps::NONE;
    a_wait_keeps_its_notification: IoCaps::NONE;
} }

fn notification() -> Arc<Notification> {
    Arc::new(Notification::new())
}

fn next(of: &Arc<Notification>) -> NotificationWait {
    NotificationWait::new(Arc::clone(of))
}

/// [async 117] [async 118] [async-backends 89] [async-backends 90]
fn signals_without_observers_move_the_epoch(_subject: &IoSubject) {
    let changed = notification();
    for epoch in 1..=5 {
        assert!(!changed.signal(WAKE_ALL), "nobody observes");
        assert_eq!(changed.epoch(), epoch);
    }
    let many: Vec<_> = (0..100).map(|_| Arc::clone(&changed)).collect();
    drop(changed);
    assert!(!many[0].signal(0));
    assert_eq!(many[99].epoch(), 6);
}

/// [async 119] [async-backends 90] Once observed, a signal says so; the wait for the old token is over at once.
fn observations_are_counted(_subject: &IoSubject) {
    let changed = notification();
    let observation = changed.observe();
    assert_eq!(observation.token(), 0);
    assert!(changed.signal(1));
    assert!(observation.wait(Deadline::IMMEDIATE));
    assert!(!changed.signal(1), "the observation is over");
    let unused = changed.observe();
    drop(unused);
    assert!(!changed.signal(1));
    assert!(changed.observe().wait_since(0, Deadline::IMMEDIATE), "long ago");
    let token = changed.epoch();
    assert!(!changed.observe().wait_since(token, Deadline::IMMEDIATE));
}

/// [async 120] [async 121] [async-backends 91] A timeout is not early; several signals wake once.
fn threads_wait_and_are_woken(_subject: &IoSubject) {
    let changed = notification();
    let start = Instant::now();
    assert!(!changed.wait(after_ms(20)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    let (inner, started) = (Arc::clone(&changed), Arc::new(AtomicBool::new(false)));
    let is_started = Arc::clone(&started);
    let waiter = std::thread::spawn(move || {
        let observation = inner.observe();
        is_started.store(true, Ordering::Release);
        observation.wait(soon())
    });
    while !started.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    for _ in 0..5 {
        changed.signal(WAKE_ALL);
    }
    assert!(waiter.join().unwrap());
    assert!(!changed.wait(Deadline::IMMEDIATE), "that was for the one before");
}

/// [async 123] [async-backends 91] Some, then all.
fn as_many_threads_wake_as_are_counted(_subject: &IoSubject) {
    let changed = notification();
    let (observing, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let (changed, observing, woken) =
                (Arc::clone(&changed), Arc::clone(&observing), Arc::clone(&woken));
            std::thread::spawn(move || {
                let observation = changed.observe();
                observing.fetch_add(1, Ordering::Release);
                assert!(observation.wait(soon()));
                woken.fetch_add(1, Ordering::Release);
            })
        })
        .collect();
    crate::subject::eventually("all observe", || observing.load(Ordering::Acquire) == 6);
    // Until they sleep. One that does not yet is not woken, it sees the epoch.
    std::thread::sleep(Duration::from_millis(20));
    assert!(changed.signal(2));
    crate::subject::eventually("two are woken", || woken.load(Ordering::Acquire) >= 2);
    changed.signal(WAKE_ALL);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// [async 122] [async-backends 91] A thousand times there and back.
fn threads_and_signals_take_turns(_subject: &IoSubject) {
    let (ping, pong) = (notification(), notification());
    let (their_ping, their_pong) = (Arc::clone(&ping), Arc::clone(&pong));
    let partner = std::thread::spawn(move || {
        for round in 0..1000 {
            assert!(their_ping.observe().wait_since(round, soon()));
            their_pong.signal(1);
        }
    });
    for round in 0..1000 {
        ping.signal(1);
        assert!(pong.observe().wait_since(round, soon()));
    }
    partner.join().unwrap();
}

/// [async 124] [async 126] [async 128] [async-backends 92] [async-backends 93] A wait ends at the next signal after its
/// submission, one with a token that is over at once, one behind another in its turn.
fn operations_follow_the_epoch(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    changed.signal(1);
    submit(&handle, NotificationWait::since(Arc::clone(&changed), 0), &log, "stale");
    assert_eq!(poller.poll(Deadline::IMMEDIATE).unwrap(), 1);
    submit(&handle, next(&changed), &log, "next");
    submit(&handle, next(&changed), &log, "next too");
    poll_nothing(&mut poller);
    changed.signal(1);
    poll_until(&mut poller, || log.len() == 3);
    // Signalled between submission and poll.
    submit(&handle, next(&changed), &log, "between");
    changed.signal(1);
    poll_until(&mut poller, || log.len() == 4);
    let mut batch = handle.batch();
    batch.add(Operation::new(next(&changed)).on_done(log.line("head"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    changed.signal(1);
    poll_until(&mut poller, || log.len() == 6);
    assert_eq!(log.take_names(), ["stale", "next", "next too", "between", "head", "behind"]);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 132] [async-backends 94] Signals of the past, and wakes, end nothing.
fn no_operation_ends_while_the_epoch_is_its_token(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    for round in 1..=20 {
        submit(&handle, next(&changed), &log, "early");
        poll_nothing(&mut poller);
        // The second and the third are told before the first is heard.
        for _ in 0..3 {
            changed.signal(WAKE_ALL);
        }
        submit(&handle, next(&changed), &log, "late");
        poll_until(&mut poller, || log.len() == 1);
        handle.wake();
        poll_dry(&mut poller);
        assert_eq!(log.len(), 1, "the epoch is the token of the second");
        changed.signal(WAKE_ALL);
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take_names(), ["early", "late"]);
        assert_eq!(changed.epoch(), 4 * round);
    }
}

/// [async 125] From its submission to its end, a cancel included.
fn an_operation_observes(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    submit(&handle, next(&changed), &log, "wait");
    assert!(changed.signal(1), "from its submission on");
    poll_until(&mut poller, || log.len() == 1);
    assert!(!changed.signal(1));
    let ticket = submit(&handle, next(&changed), &log, "wait");
    poll_nothing(&mut poller);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert!(!changed.signal(1));
    assert_eq!(log.take(), [("wait", None), ("wait", CANCELLED)]);
}

/// [async 127] [async-backends 92] The operation moves the epoch, wakes threads and operations, and says whether there
/// were any.
fn signals_by_operation(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    let observed = Arc::new(AtomicU32::new(9));
    let signal = || {
        let observed = Arc::clone(&observed);
        let signal = NotificationSignal { notification: Arc::clone(&changed), count: WAKE_ALL };
        Operation::new(signal)
            .on_done(move |done| observed.store(u32::from(done.result.unwrap()), Ordering::Relaxed))
    };
    handle.submit(signal()).unwrap();
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    assert_eq!((changed.epoch(), observed.load(Ordering::Relaxed)), (1, 0));
    submit(&handle, next(&changed), &log, "wait");
    poll_nothing(&mut poller);
    let inner = Arc::clone(&changed);
    let observing = Arc::new(AtomicBool::new(false));
    let is_observing = Arc::clone(&observing);
    let thread = std::thread::spawn(move || {
        let observation = inner.observe();
        is_observing.store(true, Ordering::Release);
        observation.wait(soon())
    });
    crate::subject::eventually("the thread observes", || observing.load(Ordering::Acquire));
    handle.submit(signal()).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    poll_dry(&mut poller);
    assert!(thread.join().unwrap());
    assert_eq!((changed.epoch(), observed.load(Ordering::Relaxed)), (2, 1));
}

/// [async 133] After the greatest epoch comes zero.
fn the_epoch_wraps(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let changed = Arc::new(Notification::at_epoch(u32::MAX));
    submit(&poller.handle().clone(), next(&changed), &log, "wait");
    poll_nothing(&mut poller);
    let observation = changed.observe();
    changed.signal(WAKE_ALL);
    assert_eq!(changed.epoch(), 0);
    assert!(observation.wait(soon()));
    poll_until(&mut poller, || log.len() == 1);
    log.take_names();
}

/// [async 129] [async-backends 93] The callback of a wait wakes a thread, which signals again.
fn a_round_trip_through_a_thread(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (here, there) = (notification(), notification());
    let (their_here, their_there) = (Arc::clone(&here), Arc::clone(&there));
    let thread = std::thread::spawn(move || {
        for round in 0..100 {
            their_here.signal(1);
            assert!(their_there.observe().wait_since(round, soon()));
        }
    });
    let ended = Arc::new(AtomicUsize::new(0));
    for round in 0..100 {
        let (there, ended) = (Arc::clone(&there), Arc::clone(&ended));
        let wait = NotificationWait::since(Arc::clone(&here), round);
        let wait = Operation::new(wait).on_done(move |done| {
            ended_well(&done.result);
            there.signal(1);
            ended.fetch_add(1, Ordering::Relaxed);
        });
        handle.submit(wait).unwrap();
    }
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 100);
    thread.join().unwrap();
}

/// [async 131] Neither takes the other's signal.
fn threads_and_operations_wait_together(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    for _ in 0..50 {
        let token = changed.epoch();
        submit(&handle, next(&changed), &log, "operation");
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let changed = Arc::clone(&changed);
                std::thread::spawn(move || changed.observe().wait_since(token, soon()))
            })
            .collect();
        changed.signal(WAKE_ALL);
        poll_until(&mut poller, || log.len() == 1);
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        log.take_names();
    }
}

/// [async 131] A signal ends the waits of all proactors, more than fit beside the notification.
fn many_proactors_wait_for_one(subject: &IoSubject) {
    let mut pollers: Vec<_> = (0..7).map(|_| subject.open()).collect();
    let log = Log::default();
    let changed = notification();
    for round in 1..=3 {
        for poller in &mut pollers {
            submit(&poller.handle().clone(), next(&changed), &log, "wait");
            poll_nothing(poller);
        }
        changed.signal(1);
        for poller in &mut pollers {
            assert_eq!(poller.poll(soon()).unwrap(), 1);
        }
        assert_eq!(log.take_names().len(), 7, "in round {round}");
        // One of them goes away, and a new one comes.
        pollers.remove(round);
        pollers.push(subject.open());
    }
}

/// [async 130] [async-backends 92] Submitted here, or on another thread, and signalled at once, here or there; the poll
/// waits or does not.
fn no_signal_is_lost_to_an_operation(subject: &IoSubject) {
    let rounds = rounds(30_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let changed = notification();
    let ended = Arc::new(AtomicUsize::new(0));
    let submit = {
        let (handle, changed, ended) = (handle.clone(), Arc::clone(&changed), Arc::clone(&ended));
        move || {
            let ended = Arc::clone(&ended);
            let wait = Operation::new(next(&changed)).on_done(move |done| {
                ended_well(&done.result);
                ended.fetch_add(1, Ordering::Release);
            });
            handle.submit(wait).unwrap();
        }
    };
    // All on this thread.
    for round in 1..=rounds {
        submit();
        changed.signal(1);
        assert_eq!(poller.poll(soon()).expect("not lost"), 1);
        assert_eq!(ended.load(Ordering::Relaxed), round);
    }
    // Both on another one, and then signalled here.
    for is_signalled_here in [false, true] {
        ended.store(0, Ordering::Relaxed);
        let (submit, signal, ended_there) = (submit.clone(), Arc::clone(&changed), Arc::clone(&ended));
        let turn = Arc::new(AtomicUsize::new(0));
        let their_turn = Arc::clone(&turn);
        let thread = std::thread::spawn(move || {
            for round in 0..rounds {
                submit();
                if is_signalled_here {
                    their_turn.fetch_add(1, Ordering::Release);
                } else {
                    signal.signal(1);
                }
                while ended_there.load(Ordering::Acquire) <= round {
                    std::thread::yield_now();
                }
            }
        });
        for round in 1..=rounds {
            if is_signalled_here {
                while turn.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
                changed.signal(1);
            }
            poll_until(&mut poller, || ended.load(Ordering::Acquire) >= round);
        }
        thread.join().unwrap();
    }
    poll_dry(&mut poller);
}

/// [async 134] [async-backends 92] The consumer observes, looks, waits; the producer publishes and signals: the consumer
/// never sleeps with something to look at.
fn no_flag_is_missed(_subject: &IoSubject) {
    let rounds = rounds(50_000) as u32;
    let changed = notification();
    let published = Arc::new(AtomicU32::new(0));
    let consumed = Arc::new(AtomicU32::new(0));
    let (their_changed, their_published, their_consumed) =
        (Arc::clone(&changed), Arc::clone(&published), Arc::clone(&consumed));
    let consumer = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < rounds {
            let observation = their_changed.observe();
            let now = their_published.load(Ordering::Acquire);
            if now > seen {
                seen = now;
                their_consumed.store(seen, Ordering::Release);
                continue;
            }
            assert!(observation.wait(soon()), "slept with something to look at");
        }
    });
    for round in 1..=rounds {
        published.store(round, Ordering::Release);
        changed.signal(1);
        if round % 3 == 0 {
            while consumed.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
        }
    }
    consumer.join().unwrap();
}

/// [async 117] [async-backends 98] Everybody else has let go of it; the wait still ends, by cancel.
fn a_wait_keeps_its_notification(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let changed = notification();
    let weak = Arc::downgrade(&changed);
    let ticket = submit(&handle, NotificationWait::new(changed), &log, "wait");
    poll_nothing(&mut poller);
    weak.upgrade().unwrap().signal(WAKE_ALL);
    poll_until(&mut poller, || log.len() == 1);
    handle.cancel(ticket).unwrap();
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(weak.strong_count(), 0);
    let ticket = submit(&handle, NotificationWait::new(notification()), &log, "wait");
    poll_nothing(&mut poller);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take(), [("wait", None), ("wait", CANCELLED)]);
}
