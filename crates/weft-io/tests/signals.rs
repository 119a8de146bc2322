#![allow(unsafe_code, reason = "a signal is sent to one thread, which no safe interface does")]
//! Signals of the process, told to subscribers.
//!
//! They are the process's, so each test is alone. What changes it for good runs in a process of its own.

mod support;

use rustix::process::{Pid, getpid, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use support::{Subject, after_ms, alone, every, handles, real, soon};
use weft_io::{
    Config, Handle, Signal, SignalSubscription, block_default_signals, ignore_broken_pipe, open, open_null,
};
use weft_sync::{Code, Deadline};

type Seen = Arc<Mutex<Vec<(&'static str, Signal)>>>;

fn subscribe(handle: &Handle, signal: Signal, name: &'static str, seen: &Seen) -> SignalSubscription {
    let log = Arc::clone(seen);
    SignalSubscription::new(handle, signal, move |signal| log.lock().unwrap().push((name, signal))).unwrap()
}

fn taken(seen: &Seen) -> Vec<(&'static str, Signal)> {
    std::mem::take(&mut seen.lock().unwrap())
}

/// Sends a signal to the process.
fn send(signal: Signal) {
    send_to(getpid(), signal);
}

fn send_to(process: Pid, signal: Signal) {
    use rustix::process::Signal as System;
    let number = match signal {
        Signal::Interrupt => System::INT,
        Signal::Terminate => System::TERM,
        Signal::Hangup => System::HUP,
        Signal::Quit => System::QUIT,
        Signal::User1 => System::USR1,
        Signal::User2 => System::USR2,
    };
    kill_process(process, number).unwrap();
}

/// Sends a signal to this thread.
fn raise(number: i32) {
    // SAFETY: sends a signal, for which somebody has subscribed.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

fn poll_for(subject: &mut Subject, mut is_enough: impl FnMut() -> bool) {
    let limit = soon();
    while !is_enough() {
        assert_eq!(
            subject.poller.poll(limit).expect("it comes within ten seconds"),
            0,
            "signals do not count"
        );
    }
}

fn settle(subject: &mut Subject) {
    (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
}

/// The mask of this name in what the system says about this thread.
fn mask(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
}

const NUMBERS: [i32; 6] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

fn bits() -> u64 {
    NUMBERS.iter().map(|number| 1 << (number - 1)).sum()
}

/// [async 153] [async-backends 198] Numbers and names; what is none is refused or `UNKNOWN`.
#[test]
fn signals_have_numbers_and_names() {
    let _alone = alone();
    let names = ["NONE", "INTERRUPT", "TERMINATE", "HANGUP", "QUIT", "USER1", "USER2", "UNKNOWN", "UNKNOWN"];
    for (id, name) in (0..).zip(names) {
        assert_eq!(Signal::name_of(id), name);
        match Signal::from_id(id) {
            Ok(signal) => assert_eq!((signal.id(), signal.name()), (id, name)),
            Err(why) => assert!((id == 0 || id > 6) && why.code() == Code::InvalidArgument),
        }
    }
    assert_eq!(Signal::name_of(u32::MAX), "UNKNOWN");
    assert_eq!(Signal::from_id(u32::MAX).unwrap_err().code(), Code::InvalidArgument);
}

/// [async 153] [async 155] [async-backends 198] Each signal reaches its subscribers, all of them, in the order in which
/// they subscribed, and nobody else; none after its end.
#[test]
fn subscribers_are_told_in_order() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let before = (handles(), mask("SigCgt"), mask("SigBlk"));
        let seen = Seen::default();
        for signal in Signal::ALL {
            let first = subscribe(&handle, signal, "first", &seen);
            let second = subscribe(&handle, signal, "second", &seen);
            let other = Signal::ALL[(signal.id() as usize + 1) % 6];
            let stranger = subscribe(&handle, other, "stranger", &seen);
            for _ in 0..3 {
                send(signal);
                poll_for(&mut subject, || seen.lock().unwrap().len() == 2);
                assert_eq!(taken(&seen), [("first", signal), ("second", signal)], "{}", subject.name);
            }
            drop(first);
            send(signal);
            poll_for(&mut subject, || seen.lock().unwrap().len() == 1);
            assert_eq!(taken(&seen), [("second", signal)]);
            drop((second, stranger));
            assert_eq!((mask("SigCgt"), mask("SigBlk")), (before.1, before.2), "as it was");
        }
        settle(&mut subject);
        assert_eq!(taken(&seen), []);
        // The claim stays with the proactor: the signalfd, and for the first of the process the handler's event.
        assert!(handles() <= before.0 + 2, "{}", subject.name);
    });
}

/// [async 155] [async-backends 198] Signals that this thread blocks wait for the poll, and are told there.
#[test]
fn blocked_signals_are_told() {
    let _alone = alone();
    // A thread of its own: the mask stays.
    let body = || {
        block_default_signals().unwrap();
        assert_eq!(mask("SigBlk") & bits(), bits());
        real(|mut subject| {
            let (handle, seen) = (subject.poller.handle().clone(), Seen::default());
            for (signal, number) in Signal::ALL.into_iter().zip(NUMBERS) {
                let subscription = subscribe(&handle, signal, "it", &seen);
                (0..3).for_each(|_| raise(number));
                poll_for(&mut subject, || !seen.lock().unwrap().is_empty());
                settle(&mut subject);
                assert_eq!(taken(&seen), [("it", signal)], "{}", subject.name);
                // Pending at the end: taken in, and told to nobody.
                raise(number);
                drop(subscription);
                let again = subscribe(&handle, signal, "again", &seen);
                settle(&mut subject);
                assert_eq!(taken(&seen), [], "{}", subject.name);
                drop(again);
            }
        });
    };
    std::thread::spawn(body).join().unwrap();
}

/// [async 156] [async-backends 199] Another proactor is refused until the first has ended, though that has no
/// subscription any more; then it may.
#[test]
fn one_proactor_has_the_signals() {
    let _alone = alone();
    real(|subject| {
        let (Ok(second), seen) = (open("uring", &Config::new()), Seen::default()) else { return };
        let handle = subject.poller.handle().clone();
        let subscription = subscribe(&handle, Signal::User1, "first", &seen);
        let refuse = || {
            let refused = SignalSubscription::new(second.handle(), Signal::User2, |_| {}).unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{}", subject.name);
        };
        refuse();
        drop(subscription);
        refuse();
        let left = subscribe(&handle, Signal::User1, "left", &seen);
        let before = mask("SigCgt");
        drop(subject.poller);
        assert!(mask("SigCgt") != before, "put back with the proactor");
        let late = SignalSubscription::new(&handle, Signal::User1, |_| {}).unwrap_err();
        assert_eq!(late.code(), Code::Aborted);
        let name = subject.name;
        let mut second = Subject { name, poller: second.into_poller().unwrap(), is_real: true };
        let subscription = subscribe(&second.poller.handle().clone(), Signal::User2, "second", &seen);
        send(Signal::User2);
        poll_for(&mut second, || seen.lock().unwrap().len() == 1);
        assert_eq!(taken(&seen), [("second", Signal::User2)]);
        drop((left, subscription));
    });
}

/// [async 157] [async-backends 198] A callback ends its own subscription, the next one, the one before; none of them is
/// told any more.
#[test]
fn callbacks_end_subscriptions() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        // Which of three ends which.
        for (who, whom) in [(0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (1, 1)] {
            let seen = Seen::default();
            let all: Arc<Mutex<Vec<Option<SignalSubscription>>>> = Arc::default();
            for (index, name) in (0..3).zip(["a", "b", "c"]) {
                let (log, others) = (Arc::clone(&seen), Arc::clone(&all));
                let told = move |signal| {
                    log.lock().unwrap().push((name, signal));
                    if index == who {
                        drop(others.lock().unwrap()[whom].take());
                    }
                };
                let subscription = SignalSubscription::new(&handle, Signal::User1, told).unwrap();
                all.lock().unwrap().push(Some(subscription));
            }
            let expected = |is_first: bool| -> Vec<&str> {
                let told = |index: usize| index != whom || (is_first && whom <= who);
                (0..3).filter(|&index| told(index)).map(|index| ["a", "b", "c"][index]).collect()
            };
            for round in 0..2 {
                send(Signal::User1);
                let names = expected(round == 0);
                poll_for(&mut subject, || seen.lock().unwrap().len() >= names.len());
                settle(&mut subject);
                let told: Vec<&str> = taken(&seen).into_iter().map(|(name, _)| name).collect();
                assert_eq!(told, names, "{}: {who} ends {whom}, round {round}", subject.name);
            }
            let rest = std::mem::take(&mut *all.lock().unwrap());
            drop(rest);
        }
        // Ending none is nothing.
        drop(None::<SignalSubscription>);
    });
}

/// A callback that panics ends its own subscription: the others are told, by that signal and by those that follow, and new
/// ones may come.
#[test]
fn a_callback_that_panics_ends_its_own_subscription() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let seen = Seen::default();
        let before = subscribe(&handle, Signal::User1, "before", &seen);
        let bad =
            SignalSubscription::new(&handle, Signal::User1, |_| resume_unwind(Box::new("bad"))).unwrap();
        let only =
            SignalSubscription::new(&handle, Signal::User2, |_| resume_unwind(Box::new("only"))).unwrap();
        let after = subscribe(&handle, Signal::User1, "after", &seen);
        settle(&mut subject);
        send(Signal::User1);
        let limit = soon();
        let mut panics = 0;
        while seen.lock().unwrap().len() < 2 || panics == 0 {
            let polled = catch_unwind(AssertUnwindSafe(|| subject.poller.poll(limit)));
            panics += u32::from(polled.is_err_and(|payload| payload.is::<&str>()));
            assert!(limit.remaining().is_none_or(|left| !left.is_zero()), "{}", subject.name);
        }
        assert_eq!((panics, taken(&seen).len()), (1, 2), "{}", subject.name);
        let late = subscribe(&handle, Signal::Hangup, "late", &seen);
        send(Signal::User1);
        send(Signal::Hangup);
        poll_for(&mut subject, || seen.lock().unwrap().len() == 3);
        let mut told: Vec<_> = taken(&seen).into_iter().map(|(name, _)| name).collect();
        told.sort_unstable();
        assert_eq!(told, ["after", "before", "late"], "{}", subject.name);
        drop((before, bad, only, after, late));
    });
}

/// [async-backends 201] [async-backends 202] A thousand signals at once, from another thread: told at least once, and not
/// after the end; the handler neither blocks nor disturbs a system call's error.
#[test]
fn a_burst_is_told() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (count, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, over) = (Arc::clone(&count), Arc::clone(&is_over));
        let subscription = SignalSubscription::new(&handle, Signal::User1, move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        let thread = std::thread::spawn(move || {
            for _ in 0..1000 {
                // SAFETY: sets this thread's error number.
                let errno = unsafe { libc::__errno_location() };
                // SAFETY: the place is this thread's.
                unsafe { errno.write(libc::ENOTTY) };
                raise(libc::SIGUSR1);
                // SAFETY: as above.
                assert_eq!(unsafe { errno.read() }, libc::ENOTTY);
            }
            over.store(true, Ordering::Relaxed);
            handle.wake();
        });
        poll_for(&mut subject, || is_over.load(Ordering::Relaxed));
        thread.join().unwrap();
        settle(&mut subject);
        let told = count.load(Ordering::Relaxed);
        assert!((1..=1000).contains(&told), "{}: {told}", subject.name);
        drop(subscription);
        settle(&mut subject);
        assert_eq!(count.load(Ordering::Relaxed), told);
    });
}

/// [async 159] [async-backends 198] A backend without signals takes subscriptions, tells nothing, and leaves the process
/// as it is.
#[test]
fn the_null_backend_has_no_signals() {
    let _alone = alone();
    let mut poller = open_null(&Config::new()).into_poller().unwrap();
    assert!(!SignalSubscription::are_supported(poller.handle()));
    let before = mask("SigCgt");
    let subscription = SignalSubscription::new(poller.handle(), Signal::User1, |_| {}).unwrap();
    assert_eq!(mask("SigCgt"), before);
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    drop(subscription);
}

/// [async 155] [async 260] A proactor that goes with subscriptions, never polled or in the midst of signals: nothing is
/// told afterwards, nothing stays open, and the process is as it was.
#[test]
fn proactors_go_with_their_subscriptions() {
    let _alone = alone();
    every(|subject| {
        let before = mask("SigCgt");
        let seen = Seen::default();
        let handle = subject.poller.handle().clone();
        let subscriptions: Vec<_> =
            Signal::ALL.into_iter().map(|signal| subscribe(&handle, signal, "it", &seen)).collect();
        if subject.is_real {
            send(Signal::User1);
        }
        drop(subject.poller);
        assert_eq!(mask("SigCgt"), before, "{}", subject.name);
        drop(subscriptions);
        assert_eq!((Arc::strong_count(&seen), taken(&seen)), (1, Vec::new()));
    });
}

const ROLE: &str = "WEFT_IO_SIGNAL_ROLE";

fn play(role: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_its_own", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// [async 158] [async-backends 200] After the last subscription the default action is back: the process ends by the
/// signal, and does not before. What was ignored is ignored again.
#[test]
fn the_default_action_comes_back() {
    let _alone = alone();
    // The race detector keeps a signal back until the thread calls the C library, which one that polls does not.
    if cfg!(tsan) || open("uring", &Config::new()).is_err() {
        return;
    }
    for signal in ["INTERRUPT", "TERMINATE", "HANGUP", "USER1", "USER2"] {
        let number = match signal {
            "INTERRUPT" => libc::SIGINT,
            "TERMINATE" => libc::SIGTERM,
            "HANGUP" => libc::SIGHUP,
            "USER1" => libc::SIGUSR1,
            _ => libc::SIGUSR2,
        };
        assert_eq!(play(signal).signal(), Some(number), "{signal}");
    }
    assert!(play("ignored").success());
}

/// [async 158] The helpers block the six signals, on threads to come too, and leave broken pipes to whoever writes.
#[test]
fn the_helpers_do_what_they_say() {
    let _alone = alone();
    assert!(play("helpers").success());
}

/// What the tests above run in a process of its own; by itself it does nothing.
#[test]
fn a_process_of_its_own() {
    let Some(role) = std::env::var_os(ROLE) else { return };
    match role.to_str().unwrap() {
        "helpers" => {
            block_default_signals().unwrap();
            let inherited = std::thread::spawn(|| mask("SigBlk")).join().unwrap();
            assert_eq!((mask("SigBlk") & bits(), inherited & bits()), (bits(), bits()));
            ignore_broken_pipe().unwrap();
            assert_ne!(mask("SigIgn") & (1 << (libc::SIGPIPE - 1)), 0);
        }
        "ignored" => {
            // SAFETY: ignoring runs no code.
            unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
            tell_and_end(Signal::User1);
            send(Signal::User1);
        }
        name => {
            let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name).unwrap();
            // A shell may have started all of this with signals ignored.
            // SAFETY: the default runs no code.
            unsafe { libc::signal(NUMBERS[signal.id() as usize - 1], libc::SIG_DFL) };
            tell_and_end(signal);
            send(signal);
            std::thread::sleep(std::time::Duration::from_secs(10));
        }
    }
}

fn tell_and_end(signal: Signal) {
    let poller = open("uring", &Config::new()).unwrap().into_poller().unwrap();
    let mut subject = Subject { name: "uring", poller, is_real: true };
    let seen = Seen::default();
    let handle = subject.poller.handle().clone();
    let subscriptions = [subscribe(&handle, signal, "a", &seen), subscribe(&handle, signal, "b", &seen)];
    send(signal);
    poll_for(&mut subject, || seen.lock().unwrap().len() == 2);
    drop(subscriptions);
}

/// [async 153] A proactor ends while another thread subscribes with the next: that one has its handler, and what the process
/// did before comes back at the end.
#[test]
fn the_signals_go_from_one_proactor_to_the_next() {
    let _alone = alone();
    let before = mask("SigCgt");
    let small = Config { operations_max: 4, ..Config::new() };
    let Ok(first) = open("poll", &small) else { return };
    drop(first);
    for _ in 0..if cfg!(tsan) { 20 } else { 400 } {
        let [one, mut next] = [0, 1].map(|_| open("poll", &small).unwrap().into_poller().unwrap());
        let seen = Seen::default();
        let left = subscribe(one.handle(), Signal::User1, "one", &seen);
        let (handle, log) = (next.handle().clone(), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            loop {
                let log = Arc::clone(&log);
                let told = move |signal| log.lock().unwrap().push(("next", signal));
                match SignalSubscription::new(&handle, Signal::User1, told) {
                    Ok(subscription) => return subscription,
                    Err(why) => assert_eq!(why.code(), Code::FailedPrecondition),
                }
            }
        });
        drop(one);
        let subscription = thread.join().unwrap();
        let bit = 1 << (libc::SIGUSR1 - 1);
        assert!(mask("SigCgt") & bit != 0, "there is a handler");
        send(Signal::User1);
        while seen.lock().unwrap().is_empty() {
            next.poll(soon()).unwrap();
        }
        assert_eq!(taken(&seen), [("next", Signal::User1)]);
        drop((left, subscription, next));
        assert_eq!(mask("SigCgt"), before, "as it was");
    }
}
