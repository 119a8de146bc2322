//! Cancels that race with natural ends, kind by kind: each operation ends once, either way, and nothing is left of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use weft_io::ops::{
    EventWait, FutexWait, HandlePoll, Interest, NotificationWait, SemaphoreWait, Sequence, Step, Timer,
};
use weft_io::{Done, Event, Notification, Operation, Params, WAKE_ALL};
use weft_sync::{Code, Deadline};

use super::subject::{
    IoCaps, IoSubject, counting, point, poll_dry, poll_nothing, poll_until, rounds, timeline, timer,
};
use super::system;

crate::cases! { $ RACE for_each_io_race_case of IoSubject {
    cancels_race_with_timers: IoCaps::NONE;
    cancels_race_with_timelines: IoCaps::NONE;
    cancels_race_with_notifications: IoCaps::NONE;
    cancels_race_with_sequences: IoCaps::NONE;
    cancels_race_with_submission: IoCaps::NONE;
    cancels_race_with_sets: IoCaps::KERNEL;
    cancels_race_with_readiness: IoCaps::KERNEL;
    cancels_race_with_wakes: IoCaps::KERNEL.union(IoCaps::FUTEX);
} }

/// What another thread does.
type Deed = Box<dyn FnOnce() + Send>;

/// A thread that does what it is told.
fn worker() -> (mpsc::Sender<Deed>, std::thread::JoinHandle<()>) {
    let (orders, work) = mpsc::channel::<Deed>();
    (orders, std::thread::spawn(move || work.iter().for_each(|deed| deed())))
}

/// Submits what `make` makes, with something that ends it; one thread does that, another cancels, both at once. `check`
/// sees whether it was cancelled, and what it was made for. Returns how often it ended well and how often not.
fn race<P: Params, T>(
    subject: &IoSubject,
    make: impl Fn(usize) -> (P, Deed, T),
    check: impl Fn(bool, T),
) -> [usize; 2] {
    let rounds = rounds(20_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (ender, ender_thread) = worker();
    let (canceller, canceller_thread) = worker();
    let ended = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let read = |index: usize| ended[index].load(Ordering::Acquire);
    for round in 1..=rounds {
        let (params, end, context) = make(round);
        let counts = Arc::clone(&ended);
        let operation = Operation::new(params).on_done(move |done: Done<P>| {
            let code = done.result.err().map(|status| status.code());
            assert!(matches!(code, None | Some(Code::Cancelled)), "{code:?}");
            counts[usize::from(code.is_some())].fetch_add(1, Ordering::Release);
        });
        let cancelled_before = read(1);
        let ticket = handle.submit(operation).unwrap();
        if round % 3 == 0 {
            // The kernel has it already; or it has ended.
            drop(poller.poll(Deadline::IMMEDIATE));
        }
        let asking = handle.clone();
        let cancel: Deed = Box::new(move || asking.cancel(ticket).unwrap());
        let pause = round % 64;
        let late: Deed = Box::new(move || {
            (0..pause * 8).for_each(|_| std::hint::spin_loop());
            cancel();
        });
        ender.send(end).unwrap();
        canceller.send(late).unwrap();
        poll_until(&mut poller, || read(0) + read(1) == round);
        check(read(1) > cancelled_before, context);
    }
    drop((ender, canceller));
    ender_thread.join().unwrap();
    canceller_thread.join().unwrap();
    poll_dry(&mut poller);
    assert_eq!((read(0) + read(1), poller.under_way()), (rounds, 0), "none ended twice");
    poll_nothing(&mut poller);
    [read(0), read(1)]
}

/// [async 92] [async-backends 68]
fn cancels_race_with_timers(subject: &IoSubject) {
    let make = |round: usize| {
        let deadline = Deadline::after(Duration::from_micros((round % 40) as u64));
        (Timer { deadline }, Box::new(|| {}) as Deed, ())
    };
    race(subject, make, |_, ()| {});
}

/// [async 236] [async-backends 68] [async-backends 104]
fn cancels_race_with_timelines(subject: &IoSubject) {
    let make = |round: usize| {
        let moved = timeline();
        let points = [point(&moved, 1), point(&moved, 2)];
        let wait =
            if round.is_multiple_of(2) { SemaphoreWait::all(points) } else { SemaphoreWait::any(points) };
        (wait, Box::new(move || moved.signal(2).unwrap()) as Deed, ())
    };
    race(subject, make, |_, ()| {});
}

/// [async-backends 68]
fn cancels_race_with_notifications(subject: &IoSubject) {
    let changed = Arc::new(Notification::new());
    let make = |_| {
        let (wait, changed) = (NotificationWait::new(Arc::clone(&changed)), Arc::clone(&changed));
        let signal: Deed = Box::new(move || {
            changed.signal(WAKE_ALL);
        });
        (wait, signal, ())
    };
    race(subject, make, |_, ()| {});
    assert!(!changed.signal(WAKE_ALL), "nobody observes any more");
}

/// [async 73] [async-backends 62] [async-backends 68] Between and during steps: the one that was not reached did not run.
fn cancels_race_with_sequences(subject: &IoSubject) {
    let make = |_| {
        let (moved, last) = (timeline(), timeline());
        let mut steps = vec![
            Step::new(weft_io::ops::Nop),
            Step::new(SemaphoreWait::all([point(&moved, 1)])),
            Step::new(weft_io::ops::Nop),
        ];
        steps.push(Step::new(weft_io::ops::SemaphoreSignal::new([point(&last, 1)])));
        let sequence = Sequence::with_advance(steps, |_, _| Ok(()));
        (sequence, Box::new(move || moved.signal(1).unwrap()) as Deed, last)
    };
    race(subject, make, |is_cancelled, last| {
        // The function is asked after the last step too, and then a cancel still counts.
        assert!(is_cancelled || last.query().unwrap() == 1);
    });
}

/// [async-backends 73] [async-backends 76] The cancel comes from another thread than the submission, before the poll thread
/// has seen either.
fn cancels_race_with_submission(subject: &IoSubject) {
    let rounds = rounds(100_000);
    let mut poller = subject.open();
    let (handle, ended) = (poller.handle().clone(), Arc::new(AtomicUsize::new(0)));
    let (tickets, cancels) = mpsc::channel();
    let canceller = handle.clone();
    let threads = [
        std::thread::spawn(move || {
            cancels.iter().for_each(|ticket| canceller.cancel(ticket).unwrap());
        }),
        std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                for _ in 0..rounds {
                    let mut never = timer(Deadline::NEVER).on_done(counting(&ended));
                    let ticket = loop {
                        match handle.submit(never) {
                            Ok(ticket) => break ticket,
                            Err(refused) => never = refused.operation,
                        }
                        std::thread::yield_now();
                    };
                    tickets.send(ticket).unwrap();
                }
            }
        }),
    ];
    poll_until(&mut poller, || ended.load(Ordering::Acquire) == rounds);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 85] [async 86] [async-backends 68] [async-backends 70] One of them wins; the event stays good, and the signal is
/// not lost.
fn cancels_race_with_sets(subject: &IoSubject) {
    let make = |_| {
        let event = Event::new().unwrap();
        let (wait, setter) = (EventWait { event: event.clone() }, event.clone());
        let (done, is_set) = mpsc::channel();
        let set: Deed = Box::new(move || {
            setter.set();
            done.send(()).unwrap();
        });
        (wait, set, (event, is_set))
    };
    race(subject, make, |is_cancelled, (event, is_set)| {
        is_set.recv().unwrap();
        assert_eq!(event.reset(), is_cancelled, "the signal is with the wait or with the event");
    });
}

/// [async-backends 68]
fn cancels_race_with_readiness(subject: &IoSubject) {
    use std::os::fd::AsFd;
    let make = |_| {
        let event = Event::new().unwrap();
        let handle = Arc::new(event.as_fd().try_clone_to_owned().unwrap());
        (HandlePoll { handle, interest: Interest::IN }, Box::new(move || event.set()) as Deed, ())
    };
    race(subject, make, |_, ()| {});
}

/// [async 93] [async-backends 68] [async-backends 178] The wake is the system's own.
fn cancels_race_with_wakes(subject: &IoSubject) {
    let make = |_| {
        let word = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let wait = FutexWait { word: Arc::clone(&word), expected: 0 };
        let wake: Deed = Box::new(move || {
            word.store(1, Ordering::Release);
            system::futex_wake(&word, 1);
        });
        (wait, wake, ())
    };
    race(subject, make, |_, ()| {});
}
