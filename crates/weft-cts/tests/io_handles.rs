//! Handles that the system treats in ways of its own: numbers beyond a limit that was lowered, sockets that linger or have
//! errors to be fetched, files that others have a lease of. Each test runs in a child of its own.
//!
//! # Safety
//!
//! Structures handed to the system are whole, live across the call, and are what the call expects; handles are open.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "limits and options are set by system calls that std does not have")]

mod child;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use child::in_child;
use weft_cts::case::Tested;
use weft_cts::io::subject::{self, IoSubject, Log, after_ms, poll_until, submit};
use weft_io::ops::{Accept, FileClose, FileFlags, FileOpen, RecvFrom, Send, SendTo, SocketClose};
use weft_io::{Address, File, Poller, Socket, SocketKind, SocketState};

/// Those that do what is tested here in ways of their own, and are there.
fn subjects() -> impl Iterator<Item = IoSubject> {
    let all = [subject::uring(), subject::uring_minimal(), subject::epoll(), subject::poll()];
    all.into_iter().filter(|subject| subject.why_missing().is_none())
}

/// An option of a socket.
fn set_option<T>(handle: &impl AsRawFd, level: i32, option: i32, value: &T) {
    let length = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: see the header.
    let outcome = unsafe { libc::setsockopt(handle.as_raw_fd(), level, option, value.cast(), length) };
    assert_eq!(outcome, 0);
}

/// The time that closing it takes if its peer does not read.
const LINGERING: libc::linger = libc::linger { l_onoff: 1, l_linger: 3 };

/// Two ends of a connection; the first has a number from `from` on.
fn pair(from: i32) -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let far = listener.accept().expect("somebody connects").0;
    (numbered(near.into(), from), far)
}

/// The same with a number from `from` on.
fn numbered(handle: OwnedFd, from: i32) -> OwnedFd {
    // SAFETY: see the header.
    let number = unsafe { libc::fcntl(handle.as_raw_fd(), libc::F_DUPFD_CLOEXEC, from) };
    assert!(number >= from);
    // SAFETY: it is new, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn limit(handles: u64) {
    let few = libc::rlimit { rlim_cur: handles, rlim_max: 1024 };
    // SAFETY: see the header.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) };
    assert_eq!(outcome, 0);
}

fn ended(poller: &mut Poller, log: &Log) {
    poll_until(poller, || !log.is_empty());
    log.take_names();
}

/// Closing does what it says where the system does not let another file take the place of the closed one: the peer sees the
/// end, whoever has a clone is refused, and the handle goes with the last clone.
#[test]
fn closing_does_not_depend_on_the_limit_of_handles() {
    in_child("closing_does_not_depend_on_the_limit_of_handles", &[], || {
        for subject in subjects() {
            limit(1000);
            let mut poller = subject.open();
            let (handle, log) = (poller.handle().clone(), Log::default());
            let (near, mut far) = pair(500);
            let socket = Socket::import(near, SocketKind::Tcp, false).expect("it is one");
            let file = std::fs::File::open("/proc/self/exe").expect("it is there");
            let file = File::import(numbered(file.into(), 600)).expect("it is one");
            let number = file.as_fd().as_raw_fd();
            limit(100);
            submit(&handle, SocketClose::new(socket.clone()), &log, "close");
            ended(&mut poller, &log);
            assert_eq!(socket.state(), SocketState::Closed, "{}", subject.name);
            assert!(socket.peer_address().is_err());
            far.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be asked for");
            assert_eq!(far.read(&mut [0; 4]).expect("it is told"), 0, "{}", subject.name);
            submit(&handle, FileClose::new(file.clone()), &log, "close");
            ended(&mut poller, &log);
            assert!(file.is_closed() && file.size().is_err(), "{}", subject.name);
            drop(file);
            let left = std::fs::read_link(format!("/proc/self/fd/{number}"));
            assert!(left.is_err(), "{}: {left:?}", subject.name);
        }
    });
}

/// Whoever closes a socket that lingers does not wait for the peer: one that was taken over, by an operation or with its
/// last clone, nor one that a listener has accepted that lingers. What was sent arrives.
#[test]
fn closing_does_not_linger() {
    in_child("closing_does_not_linger", &[], || {
        for subject in subjects() {
            let mut poller = subject.open();
            let (handle, log) = (poller.handle().clone(), Log::default());
            for (is_accepted, has_clone, is_dropped) in
                [(false, false, false), (false, true, false), (true, false, false), (false, false, true)]
            {
                let (socket, mut far) = match is_accepted {
                    false => {
                        let (near, far) = pair(0);
                        set_option(&near, libc::SOL_SOCKET, libc::SO_LINGER, &LINGERING);
                        (Socket::import(near, SocketKind::Tcp, false).expect("it is one"), far)
                    }
                    true => accepted(&mut poller),
                };
                // More than the peer takes unless it reads, and less than both buffers.
                let text = vec![7; 1 << 20];
                let ticket = submit(&handle, Send::new(socket.clone(), text), &log, "send");
                let _ = poller.poll(after_ms(50));
                if log.is_empty() {
                    handle.cancel(ticket).expect("it is under way");
                    poll_until(&mut poller, || !log.is_empty());
                }
                log.take();
                let clone = has_clone.then(|| socket.clone());
                let start = Instant::now();
                if is_dropped {
                    drop(socket);
                } else {
                    submit(&handle, SocketClose::new(socket), &log, "close");
                    ended(&mut poller, &log);
                }
                let time = start.elapsed();
                assert!(time < Duration::from_secs(2), "{}: {time:?}", subject.name);
                drop(clone);
                let mut text = vec![];
                far.read_to_end(&mut text).expect("nothing is lost");
                assert!(text.len() > 1000 && text.iter().all(|&byte| byte == 7));
            }
        }
    });
}

/// One that a listener that lingers has accepted, and its peer.
fn accepted(poller: &mut Poller) -> (Socket, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    set_option(&listener, libc::SOL_SOCKET, libc::SO_LINGER, &LINGERING);
    let address = listener.local_addr().expect("it is bound");
    let listener = Socket::import(listener.into(), SocketKind::Tcp, false).expect("it is one");
    let far = TcpStream::connect(address).expect("it listens");
    let handle = poller.handle().clone();
    let done = poller.block_on(handle.run(Accept::new(listener))).expect("it is polled");
    (done.result.expect("somebody connects").socket, far)
}

/// A socket that keeps errors of messages until somebody fetches them says all the time that there is something. Whoever
/// waits for a message is not told of that again and again, keeps nobody busy, and gets the message.
#[test]
fn errors_that_are_kept_disturb_no_receive() {
    in_child("errors_that_are_kept_disturb_no_receive", &[], || {
        for subject in [subject::uring(), subject::uring_minimal()] {
            if subject.why_missing().is_some() {
                continue;
            }
            let mut poller = subject.open();
            let (handle, log) = (poller.handle().clone(), Log::default());
            let ours = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, &1_i32);
            let address = ours.local_addr().expect("it is bound");
            // Nobody has that port any more.
            let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|gone| gone.local_addr());
            let socket = Socket::import(ours.into(), SocketKind::Udp, false).expect("it is one");
            let gone = Address::from(gone.expect("a port"));
            submit(&handle, SendTo::new(socket.clone(), b"?".to_vec(), gone), &log, "send");
            poll_until(&mut poller, || !log.is_empty());
            log.take();
            // The first may be told of the error, of which the queue keeps a copy.
            submit(&handle, RecvFrom::new(socket.clone(), vec![0; 10]), &log, "receive");
            let _ = poller.poll(after_ms(50));
            if !log.is_empty() {
                log.take();
                submit(&handle, RecvFrom::new(socket.clone(), vec![0; 10]), &log, "receive");
            }
            let before = processor_time();
            let _ = poller.poll(after_ms(300));
            let busy = processor_time() - before;
            assert_eq!(log.take(), [], "{}", subject.name);
            assert!(busy < Duration::from_millis(150), "{}: {busy:?}", subject.name);
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            sender.send_to(b"x", address).expect("there is room");
            ended(&mut poller, &log);
        }
    });
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: see the header.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(outcome, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A file of which somebody has a lease is opened when that is given up, as by everybody else.
#[test]
fn opening_waits_for_a_lease() {
    in_child("opening_waits_for_a_lease", &[], || {
        // SAFETY: see the header; the signal that asks for the lease is of no use here.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let path = std::env::temp_dir().join(format!("weft-cts-{}-lease", std::process::id()));
        for subject in subjects() {
            let mut poller = subject.open();
            let (handle, log) = (poller.handle().clone(), Log::default());
            std::fs::File::create(&path).and_then(|mut file| file.write_all(b"x")).expect("there is room");
            let leased = std::fs::File::open(&path).expect("it is there");
            // SAFETY: see the header.
            let outcome = unsafe { libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
            if outcome != 0 {
                println!("told: skipped: there are no leases here");
                break;
            }
            submit(&handle, FileOpen::new(&path, FileFlags::WRITE), &log, "open");
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(200) {
                let _ = poller.poll(after_ms(50));
            }
            assert_eq!(log.take(), [], "{}", subject.name);
            drop(leased);
            ended(&mut poller, &log);
        }
        drop(std::fs::remove_file(&path));
    });
}
