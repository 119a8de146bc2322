//! What is particular to readiness: attempts, lines at a handle, threads for files, nothing that spins.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "an option of sockets is set by a system call that std does not have")]

mod support;

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use support::{CANCELLED, Log, Subject, after_ms, poll_dry, poll_until, real};
use weft_io::ops::{
    Accept, AcceptMany, Connect, EventWait, FileFlags, FileOpen, FileRead, HandlePoll, Interest,
};
use weft_io::ops::{Recv, RecvFrom, RecvMany, Send, SendTo};
use weft_io::{Address, Event, File, Operation, Poller, Socket, SocketKind, SocketOptions};
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

/// [async-backends 176] Whoever waits for a device that says when it is ready keeps no thread: more of them than there are
/// threads stop nobody else, are cancelled at once, and the end does not wait for them.
#[test]
fn devices_are_waited_for_like_sockets() {
    readiness(|Subject { name, mut poller, .. }| {
        use std::io::Seek;
        // Whoever may not read what the kernel says, or has no such kernel, has no device to wait for.
        let Ok(mut device) = std::fs::File::open("/dev/kmsg") else { return eprintln!("skipped: no kmsg") };
        let Ok(_) = device.seek(std::io::SeekFrom::End(0)) else { return eprintln!("skipped: no end") };
        let device = File::import(device).unwrap();
        let (handle, log) = (poller.handle().clone(), Log::default());
        let read = || {
            let read = FileRead::new(device.clone(), 0, vec![0; 9000]);
            handle.submit(Operation::new(read).on_done(log.line("read"))).unwrap()
        };
        let tickets: Vec<_> = (0..6).map(|_| read()).collect();
        poll_dry(&mut poller);
        let start = Instant::now();
        let open = FileOpen::new("/dev/null", FileFlags::READ);
        poller.block_on(handle.run(open)).unwrap().result.unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        // What the kernel says meanwhile ends some of them.
        for ticket in &tickets[..3] {
            let _ = handle.cancel(*ticket);
        }
        poll_until(&mut poller, || log.len() >= 3);
        assert!(log.take().iter().all(|line| [("read", None), ("read", CANCELLED)].contains(line)), "{name}");
        drop(poller);
        assert!(start.elapsed() < Duration::from_secs(4), "{name}: {:?}", start.elapsed());
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

/// A duplicate of the handle, as another process may have it, from whose side the handle now blocks.
fn blocking(socket: &Socket) -> OwnedFd {
    let duplicate = socket.as_fd().try_clone_to_owned().unwrap();
    rustix::io::ioctl_fionbio(&duplicate, false).unwrap();
    duplicate
}

/// [async-backends 136] [async-backends 139] A handle that somebody else made block does not stop the proactor: neither one
/// that listens, also behind its last connection, nor one that connects to where there is no room.
#[test]
fn handles_that_others_made_block_stop_nobody() {
    real(|Subject { name, mut poller, .. }| {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let theirs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = theirs.local_addr().unwrap();
        let listener = Socket::import(theirs.into(), SocketKind::Tcp, false).unwrap();
        let other = blocking(&listener);
        // Whoever blocks is let go after a while, and has failed.
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            while is_over.recv_timeout(Duration::from_secs(3)) == Err(RecvTimeoutError::Timeout) {
                drop(TcpStream::connect(address));
            }
        });
        let quickly = |poller: &mut Poller| {
            let start = Instant::now();
            poll_dry(poller);
            assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        };
        let accept =
            handle.submit(Operation::new(Accept::new(listener.clone())).on_done(log.line("one"))).unwrap();
        quickly(&mut poller);
        handle.cancel(accept).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let many = AcceptMany::new(listener.clone(), move |_| _ = count.fetch_add(1, Ordering::Relaxed));
        handle.submit(Operation::new(many).on_done(log.line("many"))).unwrap();
        quickly(&mut poller);
        for round in 1..4 {
            rustix::io::ioctl_fionbio(&other, false).unwrap();
            let _near = TcpStream::connect(address).unwrap();
            poll_until(&mut poller, || accepted.load(Ordering::Relaxed) == round);
            quickly(&mut poller);
        }
        let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&full, 1).unwrap();
        let there = full.local_addr().unwrap();
        let patience = Duration::from_millis(100);
        let taken: Vec<_> = (0..6).map_while(|_| TcpStream::connect_timeout(&there, patience).ok()).collect();
        let near = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
        let _other = blocking(&near);
        let connect = Connect::new(near, Address::from(there));
        handle.submit(Operation::new(connect).on_done(log.line("connect"))).unwrap();
        let start = Instant::now();
        poll_dry(&mut poller);
        // A kernel sends again after a second: a connect that blocks takes longer.
        assert!(start.elapsed() < Duration::from_millis(900), "{name}: {:?}", start.elapsed());
        drop((over, taken, full));
        guard.join().unwrap();
    });
}

/// A connect that was refused leaves nothing behind: the next one goes to where it says.
#[test]
fn a_refused_socket_connects_again() {
    real(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let near = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
        let mut connect = || {
            let connect = handle.run(Connect::new(near.clone(), Address::from(free)));
            poller.block_on(connect).unwrap().result.map_err(|status| status.code())
        };
        assert_eq!(connect(), Err(Code::Unavailable), "{name}");
        let _listener = std::net::TcpListener::bind(free).unwrap();
        assert_eq!(connect(), Ok(()), "{name}");
        assert_eq!(connect(), Err(Code::FailedPrecondition), "{name}");
    });
}

/// Polls for a while in which nothing ends, and hardly anything of the processor is used.
fn sleeps(name: &str, poller: &mut Poller) {
    let before = processor_time();
    assert_eq!(poller.poll(after_ms(600)).unwrap_err().code(), Code::DeadlineExceeded, "{name}");
    let used = processor_time() - before;
    // Whoever spins on a machine that has more to do gets a part of the time, too.
    assert!(used < Duration::from_millis(15), "{name}: {used:?}");
}

/// [async-backends 209] A message to whoever has no room waits, and nobody says when there is: no time is spent on asking,
/// who receives through the same socket waits for nothing else, and the message goes as soon as there is room.
#[test]
fn a_full_receiver_is_waited_for_without_spinning() {
    readiness(|Subject { name, mut poller, .. }| {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let own = |which: &str| {
            let socket = Socket::new(SocketKind::UnixDatagram, SocketOptions::empty()).unwrap();
            let path = format!("@weft-{which}-{}-{}", std::process::id(), name.replace(' ', "-"));
            let address = Address::unix(path).unwrap();
            socket.bind(&address).unwrap();
            (socket, address)
        };
        let ((near, here), (far, there)) = (own("near"), own("far"));
        handle.submit(Operation::new(Recv::new(near.clone(), vec![0; 8])).on_done(log.line("near"))).unwrap();
        let mut sent = 0;
        loop {
            let send = SendTo::new(near.clone(), vec![0; 8], there);
            handle.submit(Operation::new(send).on_done(log.line("sent"))).unwrap();
            if poller.poll(after_ms(100)).is_err() {
                break;
            }
            assert_eq!(log.take(), [("sent", None)], "{name}");
            sent += 1;
        }
        sleeps(name, &mut poller);
        handle.submit(Operation::new(SendTo::new(far.clone(), vec![1], here))).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("near", None)], "{name}");
        for _ in 0..=sent {
            let done = poller.block_on(handle.run(Recv::new(far.clone(), vec![0; 8]))).unwrap();
            assert_eq!(done.result.unwrap(), 8, "{name}");
        }
        assert_eq!(log.take(), [("sent", None)], "{name}");
    });
}

/// [async-backends 209] What lies in the error queue of a socket, and nobody reads, is no reason to spin: whoever receives
/// or waits for room sleeps beside it, and gets what comes.
#[test]
fn an_error_queue_is_no_reason_to_spin() {
    readiness(|Subject { name, mut poller, .. }| {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ours = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = ours.local_addr().unwrap();
        keep_errors(&ours);
        ours.send_to(b"anybody?", nobody).unwrap();
        // The error itself is told once, here.
        let limit = Instant::now() + Duration::from_secs(5);
        while ours.take_error().unwrap().is_none() && Instant::now() < limit {}
        let socket = Socket::import(ours.into(), SocketKind::Udp, false).unwrap();
        let recv = Operation::new(RecvFrom::new(socket, vec![0; 8]));
        handle.submit(recv.on_done(log.line("recv"))).unwrap();
        sleeps(name, &mut poller);
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"here", here).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("recv", None)], "{name}");
    });
}

/// Has the system keep what became of messages, in the error queue.
fn keep_errors(socket: &std::net::UdpSocket) {
    use std::os::fd::AsRawFd;
    let (yes, size) = (1_i32, 4);
    // SAFETY: the option is a number that lives across the call.
    let outcome = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_IP, libc::IP_RECVERR, (&raw const yes).cast(), size)
    };
    assert_eq!(outcome, 0);
}
