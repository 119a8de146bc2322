//! What is particular to readiness: attempts, lines at a handle, threads for files, nothing that spins.

#![cfg(target_os = "linux")]

mod support;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use support::{CANCELLED, Log, Subject, after_ms, poll_dry, poll_until, real};
use weft_io::ops::{EventWait, FileFlags, FileOpen, FileRead, HandlePoll, Interest, Recv, RecvMany, Send};
use weft_io::{Event, Operation, Socket, SocketKind, SocketOptions};
use weft_sync::{Code, Deadline};

/// The two that this system has.
fn readiness(body: impl Fn(Subject)) {
    real(|subject| {
        if ["epoll", "poll"].contains(&subject.name) {
            body(subject);
        }
    });
}

/// What this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// [async-backends 209] Whoever waits uses nothing, also beside a hang-up that somebody was told of already, and for a
/// handle that a cancel has left ready.
#[test]
fn whoever_waits_uses_nothing() {
    readiness(|Subject { name, mut poller, .. }| {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let (here, _there) = UnixStream::pair().unwrap();
        let socket = Socket::import(OwnedFd::from(here), SocketKind::UnixStream, false).unwrap();
        handle.submit(Operation::new(Recv::new(socket, vec![0; 8])).on_done(log.line("recv"))).unwrap();
        let event = Event::new().unwrap();
        handle.submit(Operation::new(EventWait { event: event.clone() }).on_done(log.line("event"))).unwrap();
        let (hung, other) = UnixStream::pair().unwrap();
        drop(other);
        let hung: Arc<OwnedFd> = Arc::new(hung.into());
        let observe = || HandlePoll { handle: Arc::clone(&hung), interest: Interest::IN };
        handle.submit(Operation::new(observe()).on_done(log.line("observed"))).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        let late = handle.submit(Operation::new(observe()).on_done(log.line("late"))).unwrap();
        handle.cancel(late).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let before = processor_time();
        assert_eq!(poller.poll(after_ms(300)).unwrap_err().code(), Code::DeadlineExceeded);
        let used = processor_time() - before;
        assert!(used < Duration::from_millis(30), "{name}: {used:?}");
        assert_eq!(log.len(), 2);
    });
}

/// [async-backends 209] Nor does anybody, on any backend, after wakes that came when nobody slept, beside an error that stays
/// on a handle, and a send without room.
#[test]
fn late_wakes_and_errors_use_nothing() {
    real(|Subject { name, mut poller, .. }| {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let (reader, broken) = std::io::pipe().unwrap();
        drop(reader);
        let broken: Arc<OwnedFd> = Arc::new(broken.into());
        let observe = || HandlePoll { handle: Arc::clone(&broken), interest: Interest::IN };
        for _ in 0..2 {
            handle.submit(Operation::new(observe()).on_done(log.line("error"))).unwrap();
            poll_until(&mut poller, || log.len() == 1);
            assert_eq!(log.take(), [("error", None)], "{name}");
        }
        let (here, _there) = UnixStream::pair().unwrap();
        let socket = Socket::import(OwnedFd::from(here), SocketKind::UnixStream, false).unwrap();
        let send = Operation::new(Send::new(socket.clone(), vec![0; 8 << 20]));
        handle.submit(send.on_done(log.line("send"))).unwrap();
        handle.submit(Operation::new(Recv::new(socket, vec![0; 8])).on_done(log.line("recv"))).unwrap();
        poll_dry(&mut poller);
        for _ in 0..1000 {
            handle.wake();
        }
        assert_eq!(poller.poll(after_ms(1000)).unwrap(), 0, "{name}");
        let before = processor_time();
        assert_eq!(poller.poll(after_ms(150)).unwrap_err().code(), Code::DeadlineExceeded);
        let used = processor_time() - before;
        assert!(used < Duration::from_millis(20), "{name}: {used:?}");
        assert_eq!(log.len(), 0);
    });
}

/// [async-backends 81] One signal ends the first of those that wait, in order, and those that look are all told.
#[test]
fn lines_are_served_in_order() {
    readiness(|Subject { mut poller, .. }| {
        let (handle, log, event) = (poller.handle().clone(), Log::default(), Event::new().unwrap());
        let wait = || Operation::new(EventWait { event: event.clone() });
        let first = handle.submit(wait().on_done(log.line("first"))).unwrap();
        for name in ["second", "third"] {
            handle.submit(wait().on_done(log.line(name))).unwrap();
        }
        handle.cancel(first).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("first", CANCELLED)]);
        for name in ["second", "third"] {
            event.set();
            poll_until(&mut poller, || log.len() == 1);
            assert_eq!(log.take(), [(name, None)]);
        }
        assert!(!event.reset());
    });
}

/// [async-backends 176] An operation on a file that waits for a thread is cancelled at once; those that run end as they
/// would have.
#[test]
fn queued_operations_on_files_are_cancelled() {
    readiness(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let zeroes = FileOpen::new("/dev/zero", FileFlags::READ);
        let zeroes = poller.block_on(handle.run(zeroes)).unwrap().result.unwrap();
        // Long reads keep the threads busy, for a while: so it may take several attempts to find them so.
        let is_shown = (0..100).any(|_| {
            let log = Log::default();
            for name in ["a", "b", "c", "d"] {
                let read = FileRead::new(zeroes.clone(), 0, vec![0; 32 << 20]);
                handle.submit(Operation::new(read).on_done(log.line(name))).unwrap();
            }
            let queued = FileOpen::new("/dev/null", FileFlags::READ);
            let ticket = handle.submit(Operation::new(queued).on_done(log.line("queued"))).unwrap();
            // Begins them.
            let _ = poller.poll(Deadline::IMMEDIATE);
            handle.cancel(ticket).unwrap();
            poll_until(&mut poller, || log.len() == 5);
            let lines = log.take();
            assert!(lines.iter().all(|(name, code)| *name == "queued" || code.is_none()), "{lines:?}");
            lines[0] == ("queued", CANCELLED)
        });
        assert!(is_shown, "{name}: cancelled before the others had ended");
    });
}

/// Whatever listens receives nothing, and says so on every backend, also when it came from elsewhere.
#[test]
fn a_listener_receives_nothing() {
    real(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let own = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
        own.listen(0).unwrap();
        let theirs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = Socket::import(theirs.into(), SocketKind::Tcp, false).unwrap();
        for listener in [own, theirs] {
            for length in [8, 0] {
                let recv = handle.run(Recv::new(listener.clone(), vec![0; length]));
                let refused = poller.block_on(recv).unwrap().result.unwrap_err();
                assert_eq!(refused.code(), Code::FailedPrecondition, "{name}");
            }
            let many = handle.run(RecvMany::new(listener, vec![0; 8], |_| unreachable!("nothing comes")));
            let refused = poller.block_on(many).unwrap().result.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{name}");
        }
    });
}
