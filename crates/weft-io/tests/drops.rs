//! What users gave to a proactor panics when it is dropped: nothing else goes amiss.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use support::{Log, after_ms, alone, every, real, soon};
use weft_io::ops::NotificationWait;
use weft_io::{
    Event, Notification, Operation, Relay, RelayPlan, RelaySink, RelaySource, RelayState, Signal,
    SignalSubscription, WAKE_ALL,
};
use weft_sync::Deadline;

/// Panics when it is dropped, unless something panics already.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            resume_unwind(Box::new("bomb"));
        }
    }
}

fn of(changed: &Arc<Notification>) -> RelaySource {
    RelaySource::notification(Arc::clone(changed))
}

fn plan(source: RelaySource) -> RelayPlan {
    RelayPlan::new(source, RelaySink::event(Event::new().unwrap()))
}

/// One that has a bomb.
fn bad(source: RelaySource) -> RelayPlan {
    let bomb = Bomb;
    plan(source).on_fault(move |_| drop(bomb))
}

/// A relay drops another one of its notification while both are told, and that one panics: whoever was signalled at
/// the same time is told all the same, then and later.
#[test]
fn a_relay_that_panics_when_it_is_dropped_makes_nobody_deaf() {
    let _alone = alone();
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (changed, beside) = (Arc::new(Notification::new()), Arc::new(Notification::new()));
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        drop(reader);
        let other: Arc<Mutex<Option<Relay>>> = Arc::default();
        let taken = Arc::clone(&other);
        let first = RelayPlan::new(of(&changed), RelaySink::handle(writer, 1))
            .on_fault(move |_| drop(taken.lock().unwrap().take()))
            .register(&handle)
            .unwrap();
        *other.lock().unwrap() = Some(bad(of(&changed)).register(&handle).unwrap());
        let log = Log::default();
        for round in 1..4 {
            let wait = NotificationWait::new(Arc::clone(&beside));
            handle.submit(Operation::new(wait).on_done(log.line("beside"))).unwrap();
            drop(subject.poller.poll(Deadline::IMMEDIATE));
            // What is heard last comes first.
            beside.signal(WAKE_ALL);
            changed.signal(WAKE_ALL);
            let limit = soon();
            while log.len() < round {
                let polled = catch_unwind(AssertUnwindSafe(|| subject.poller.poll(limit)));
                assert!(polled.is_err() || polled.is_ok_and(|polled| polled.is_ok()), "{}", subject.name);
            }
        }
        assert_eq!(first.state(), RelayState::Faulted);
        assert!(!changed.signal(1), "{}: nobody observes", subject.name);
    });
}

/// [async 152] A proactor ends with relays that panic when they are dropped: the others end too, and nobody observes.
#[test]
fn a_relay_that_panics_when_it_is_dropped_ends_with_all_others() {
    let _alone = alone();
    every(|subject| {
        let handle = subject.poller.handle().clone();
        let (first, second) = (Arc::new(Notification::new()), Arc::new(Notification::new()));
        let event = Event::new().unwrap();
        let sources = || [of(&first), RelaySource::event(event.clone()), of(&second)];
        for source in sources().into_iter().chain(sources()) {
            bad(source).register(&handle).unwrap().detach();
        }
        let held = sources().map(|source| plan(source).register(&handle).unwrap());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(subject.poller))).is_ok(), "{}", subject.name);
        assert!(held.iter().all(|relay| relay.state() == RelayState::Done), "{}", subject.name);
        assert!(!first.signal(1) && !second.signal(1), "{}: nobody observes", subject.name);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1), "{}", subject.name);
    });
}

/// [async 155] A subscription ends itself when it is told, and its callback panics when it is dropped: those who subscribed
/// after it are told of the same signal, and of the others that came with it.
#[test]
fn a_subscription_that_panics_when_it_is_dropped_takes_no_signal_along() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let own: Arc<Mutex<Option<SignalSubscription>>> = Arc::default();
        let (taken, bomb) = (Arc::clone(&own), Bomb);
        let bad = SignalSubscription::new(&handle, Signal::User1, move |_| {
            let _ = &bomb;
            drop(taken.lock().unwrap().take());
        });
        *own.lock().unwrap() = Some(bad.unwrap());
        let told = Arc::new(AtomicU32::new(0));
        let others = [Signal::User1, Signal::User2].map(|signal| {
            let told = Arc::clone(&told);
            SignalSubscription::new(&handle, signal, move |_| _ = told.fetch_add(1, Ordering::Relaxed))
        });
        drop(subject.poller.poll(Deadline::IMMEDIATE));
        for signal in [rustix::process::Signal::USR1, rustix::process::Signal::USR2] {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        }
        let mut panics = 0;
        for _ in 0..200 {
            let polled = catch_unwind(AssertUnwindSafe(|| subject.poller.poll(after_ms(5))));
            panics += u32::from(polled.is_err());
            if panics > 0 && told.load(Ordering::Relaxed) == 2 {
                break;
            }
        }
        assert_eq!((panics, told.load(Ordering::Relaxed)), (1, 2), "{}", subject.name);
        drop(others);
    });
}
