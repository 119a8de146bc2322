//! Calls of a ring that fail and are made again: the system is short of something for a moment, or a signal came.
//!
//! What lives here: a thread whose calls are answered by another (a filter that notifies), and what must survive that. What
//! does not: calls that fail for good (`io_system.rs`).
//!
//! # Safety
//!
//! Structures handed to the system are whole, live across the call, and are what the call expects.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "filters and their notifications are system calls that std does not have")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use weft_cts::case::Tested;
use weft_cts::io::subject::{self, CANCELLED, IoSubject, Log, poll_dry, poll_until};
use weft_io::ops::{EventWait, FutexWake, Nop, Timer};
use weft_io::{Capabilities, Event, Operation, Poller};
use weft_sync::Deadline;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call that the thread makes: how many entries it hands over.
type Submitted = u64;

/// From now on this thread's calls of this number wait for an answer through the handle. `None`: not on this system.
fn listen(call: i64) -> Option<OwnedFd> {
    let statement = |code: u32, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let give = libc::BPF_RET | libc::BPF_K;
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        statement(give, 0, libc::SECCOMP_RET_USER_NOTIF),
        statement(give, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(outcome, 0);
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: see the header.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    if listener < 0 {
        println!("skipped: no filter that notifies: {}", std::io::Error::last_os_error());
        return None;
    }
    // SAFETY: a handle that was just made, and that nobody else knows.
    Some(unsafe { OwnedFd::from_raw_fd(listener as i32) })
}

/// Whether a call waits for an answer; `None` when the thread is gone.
fn has_call(listener: &OwnedFd) -> Option<bool> {
    let mut entry = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: see the header.
    let count = unsafe { libc::poll(&raw mut entry, 1, 100) };
    let is_over = count > 0 && entry.revents & libc::POLLIN == 0;
    if is_over { None } else { Some(count > 0) }
}

/// Answers one call: with an error instead of it, or by letting it go on.
fn answer(listener: &OwnedFd, decide: &mut impl FnMut(Submitted) -> Option<i32>) {
    /// `SECCOMP_IOCTL_NOTIF_RECV`, `SECCOMP_IOCTL_NOTIF_SEND`: direction, size and number of the request.
    const RECEIVE: u64 = 3 << 30 | (size_of::<libc::seccomp_notif>() as u64) << 16 | 0x2100;
    const SEND: u64 = 3 << 30 | (size_of::<libc::seccomp_notif_resp>() as u64) << 16 | 0x2101;
    // SAFETY: all zeros is what the call wants to be given.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: see the header.
    let outcome = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut call) };
    if outcome < 0 {
        // A signal took the thread out of its call.
        return;
    }
    let decision = decide(call.data.args[1]);
    let flags = if decision.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 };
    let error = decision.map_or(0, |errno| -errno);
    let mut response = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
    // SAFETY: see the header.
    unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) };
}

/// Runs `body` with a poller of its own, on a thread whose calls of the ring end as `decide` says.
fn answered(
    subject: &IoSubject,
    mut decide: impl FnMut(Submitted) -> Option<i32>,
    body: impl FnOnce(Poller) + Send + 'static,
) {
    let (told, heard) = mpsc::channel();
    let poller_of = subject.clone();
    let thread = std::thread::spawn(move || {
        let poller = poller_of.open();
        if let Some(listener) = listen(libc::SYS_io_uring_enter) {
            told.send(listener).expect("somebody waits");
            body(poller);
        }
    });
    if let Ok(listener) = heard.recv_timeout(PATIENCE) {
        let start = Instant::now();
        while let Some(is_there) = has_call(&listener) {
            if is_there {
                answer(&listener, &mut decide);
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
        }
    }
    thread.join().expect("no panic");
}

/// Something of everything: many operations, a chain, waits that end and that are cancelled, a poller that goes with
/// operations under way.
fn work(mut poller: Poller) {
    let handle = poller.handle().clone();
    let log = Log::default();
    for _ in 0..10 {
        for _ in 0..20 {
            subject::submit(&handle, Nop, &log, "nop");
        }
        poll_until(&mut poller, || log.len() == 20);
        assert_eq!(log.take_names(), ["nop"; 20]);
    }
    if handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
        let mut batch = handle.batch();
        for name in ["1", "2", "3", "4", "5"] {
            let wake =
                Operation::new(FutexWake { word: Default::default(), count: 1 }).on_done(log.line(name));
            let outcome = if batch.is_empty() { batch.add(wake) } else { batch.then(wake) };
            outcome.expect("there is room");
        }
        batch.submit().expect("there is room");
        poll_until(&mut poller, || log.len() == 5);
        assert_eq!(log.take_names(), ["1", "2", "3", "4", "5"]);
    }
    let event = Event::new().expect("there are handles left");
    for _ in 0..20 {
        subject::submit(&handle, EventWait { event: event.clone() }, &log, "event");
        event.set();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take_names(), ["event"]);
        let ticket = subject::submit(&handle, EventWait { event: event.clone() }, &log, "never");
        poll_dry(&mut poller);
        handle.cancel(ticket).expect("it is of this proactor");
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("never", CANCELLED)]);
    }
    let start = Instant::now();
    let pause = Timer { deadline: Deadline::after(Duration::from_millis(20)) };
    subject::submit(&handle, pause, &log, "timer");
    poll_until(&mut poller, || log.len() == 1);
    assert!(start.elapsed() >= Duration::from_millis(20), "{:?}", start.elapsed());
    assert_eq!(log.take_names(), ["timer"]);
    subject::submit(&handle, EventWait { event }, &log, "last");
    drop(poller);
    assert_eq!(log.take(), [("last", CANCELLED)]);
}

/// [async-backends 213] Two of three calls fail, as when the system is short of memory or of room, or a signal comes: nothing is
/// lost and nothing done twice, and each call hands over at least what the failed one before it did.
#[test]
fn calls_that_fail_lose_nothing() {
    for subject in [subject::uring(), subject::uring_rung_3(), subject::uring_rung_5(), subject::uring_tiny()]
    {
        if let Some(why) = subject.why_missing() {
            println!("{} skipped: {why}", subject.name);
            continue;
        }
        for errnos in [[libc::EAGAIN, libc::EAGAIN], [libc::EBUSY, libc::EBUSY], [libc::EINTR, libc::EAGAIN]]
        {
            let (mut calls, mut failed) = (0_usize, None);
            let decide = |submitted: Submitted| {
                let name = subject.name;
                assert!(failed.is_none_or(|before| submitted >= before), "{name}: {failed:?}, {submitted}");
                let errno = errnos.get(calls % 3).copied();
                failed = errno.map(|_| submitted);
                calls += 1;
                errno
            };
            answered(&subject, decide, work);
            assert!(calls == 0 || calls > 50, "{}: {calls} calls", subject.name);
        }
    }
}
