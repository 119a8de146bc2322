//! Sockets, and a system that is short of something or shared with others: no handles left, broken pipes, two processes at
//! one listener. Each test runs in a child of its own.
//!
//! # Safety
//!
//! Structures handed to the system are whole, live across the call, and are what the call expects.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "limits and dispositions are set by system calls that std does not have")]

mod child;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use child::{child_of, in_child};
use weft_cts::case::Tested;
use weft_cts::io::subject::{self, IoSubject, Log, poll_dry, poll_until, submit};
use weft_io::ops::{Accept, AcceptMany, Accepted, Send};
use weft_io::{Part, Pieces, Poller, Socket, SocketKind, SocketOptions};
use weft_sync::Code;

/// Those that do what is tested here in ways of their own, and are there.
fn subjects() -> impl Iterator<Item = IoSubject> {
    let all = [
        subject::uring(),
        subject::uring_no_multishot(),
        subject::uring_minimal(),
        subject::uring_rung_5(),
        subject::uring_tiny(),
        subject::epoll(),
        subject::poll(),
    ];
    all.into_iter().filter(|subject| match subject.why_missing() {
        Some(why) => {
            println!("{} skipped: {why}", subject.name);
            false
        }
        None => true,
    })
}

/// One that both of us have.
fn listener() -> (Socket, TcpListener, SocketAddr) {
    let ours = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = ours.local_addr().expect("it is bound");
    let shared = ours.try_clone().expect("there are handles left");
    let listener = Socket::import(shared.into(), SocketKind::Tcp, false).expect("it is one");
    (listener, ours, address)
}

/// Opens what can be opened.
fn take_all_handles() -> Vec<OwnedFd> {
    let first: OwnedFd = std::fs::File::open("/dev/null").expect("there are handles left").into();
    let mut taken = vec![];
    while let Ok(next) = first.try_clone() {
        taken.push(next);
    }
    taken.push(first);
    taken
}

/// From here on this process has a hundred handles.
fn allow_few_handles() {
    let few = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: see the header.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) };
    assert_eq!(outcome, 0);
}

/// [async-backends 140] No handle is left for the connection: the accept says so, once or of many, and the connection waits
/// in the listener for the next one. Nothing sticks.
#[test]
fn a_connection_waits_until_there_is_a_handle() {
    in_child("a_connection_waits_until_there_is_a_handle", &[], || {
        allow_few_handles();
        for subject in subjects() {
            let mut poller = subject.open();
            let handle = poller.handle().clone();
            let (listener, _ours, address) = listener();
            let (log, accepted) = (Log::default(), Arc::new(AtomicUsize::new(0)));
            for round in 0..4 {
                let count = Arc::clone(&accepted);
                let accept = || match round % 2 {
                    0 => submit(&handle, Accept::new(listener.clone()), &log, "accept"),
                    _ => {
                        let count = Arc::clone(&count);
                        let on_accepted = move |_| _ = count.fetch_add(1, Ordering::Relaxed);
                        submit(&handle, AcceptMany::new(listener.clone(), on_accepted), &log, "accept")
                    }
                };
                let mut near = TcpStream::connect(address).expect("it listens");
                let taken = take_all_handles();
                for _ in 0..2 {
                    accept();
                    poll_until(&mut poller, || log.len() == 1);
                    assert_eq!(log.take(), [("accept", Some(Code::ResourceExhausted))], "{}", subject.name);
                }
                assert_eq!(listener.failure(), None);
                drop(taken);
                let ticket = accept();
                poll_until(&mut poller, || log.len() == 1 || accepted.load(Ordering::Relaxed) == 1);
                if round % 2 == 1 {
                    assert_eq!(accepted.swap(0, Ordering::Relaxed), 1);
                    handle.cancel(ticket).expect("its own");
                    poll_until(&mut poller, || log.len() == 1);
                    log.take();
                } else {
                    assert_eq!(log.take_names(), ["accept"]);
                }
                // It was this connection, and nobody has kept it.
                let ended = near.read(&mut [0]);
                assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
            }
        }
    });
}

/// [async-backends 140] Handles run out while connections are being accepted, for one submission: those that were accepted
/// stay, the next is told as the end, once, and nothing goes on by itself. As soon as there is a handle an accept takes
/// the connection that waits, and goes on with those that come then.
#[test]
fn accepting_ends_when_handles_run_out() {
    in_child("accepting_ends_when_handles_run_out", &[], || {
        allow_few_handles();
        for subject in subjects() {
            let mut poller = subject.open();
            let handle = poller.handle().clone();
            let (listener, _ours, address) = listener();
            let (log, accepted) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
            let accept = || {
                let into = Arc::clone(&accepted);
                let on_accepted = move |one: Accepted| into.lock().expect("no panic").push(one);
                submit(&handle, AcceptMany::new(listener.clone(), on_accepted), &log, "accept");
            };
            let count = || accepted.lock().expect("no panic").len();
            accept();
            let mut near = Vec::new();
            for expected in 1..=3 {
                near.push(TcpStream::connect(address).expect("it listens"));
                poll_until(&mut poller, || count() == expected);
            }
            // One is left, for this side of the next connection.
            let mut taken = take_all_handles();
            drop(taken.pop());
            near.push(TcpStream::connect(address).expect("it listens"));
            for _ in 0..3 {
                poll_until(&mut poller, || log.len() == 1);
                assert_eq!(log.take(), [("accept", Some(Code::ResourceExhausted))], "{}", subject.name);
                let nothing = poller.poll(subject::after_ms(20)).expect_err("it is over");
                assert_eq!((nothing.code(), count()), (Code::DeadlineExceeded, 3), "{}", subject.name);
                accept();
            }
            poll_until(&mut poller, || log.len() == 1);
            log.take();
            drop(taken);
            accept();
            poll_until(&mut poller, || count() == 4);
            near.push(TcpStream::connect(address).expect("it listens"));
            poll_until(&mut poller, || count() == 5);
            assert_eq!((log.len(), listener.failure()), (0, None));
            // They are connections, each to its peer.
            for (near, one) in near.iter().zip(accepted.lock().expect("no panic").iter()) {
                let peer = near.local_addr().expect("it is connected").to_string();
                assert_eq!(one.peer.to_string(), peer, "{}", subject.name);
            }
            accepted.lock().expect("no panic").clear();
        }
    });
}

/// Sends to nobody, in every way, until all of them have failed.
fn send_to_nobody(poller: &mut Poller, near: &Socket) {
    let (handle, log) = (poller.handle().clone(), Log::default());
    for _ in 0..3 {
        submit(&handle, Send::new(near.clone(), b"short".as_slice()), &log, "send");
        submit(&handle, Send::new(near.clone(), vec![0; 100_000]), &log, "send");
        let part = Part::new(vec![0; 10], 2..5).expect("it is in there");
        submit(&handle, Send::new(near.clone(), Pieces(vec![part])), &log, "send");
        poll_until(poller, || log.len() == 3);
        if log.take().iter().all(|(_, code)| code.is_some()) {
            return;
        }
    }
    panic!("nobody is there, and sends end well");
}

/// [async 226] [async-backends 136] Where a broken pipe ends a process, as it does if nobody has changed that, sending to
/// nobody does not: on sockets of every kind, with and without copies.
#[test]
fn a_broken_pipe_ends_nobody() {
    in_child("a_broken_pipe_ends_nobody", &[], || {
        // SAFETY: takes numbers only.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert_ne!(before, libc::SIG_ERR);
        for subject in subjects() {
            let mut poller = subject.open();
            let (here, there) = UnixStream::pair().expect("there are handles left");
            let near = Socket::import(here.into(), SocketKind::UnixStream, false).expect("it is one");
            drop(there);
            send_to_nobody(&mut poller, &near);
            for options in [SocketOptions::empty(), SocketOptions::ZERO_COPY] {
                let (_, ours, address) = listener();
                let near = Socket::new(SocketKind::Tcp, options).expect("there are handles left");
                let there = weft_io::Address::ipv4("127.0.0.1", address.port()).expect("an address");
                let log = Log::default();
                submit(poller.handle(), weft_io::ops::Connect::new(near.clone(), there), &log, "connect");
                poll_until(&mut poller, || log.len() == 1);
                assert_eq!(log.take_names(), ["connect"]);
                // The other side is there, and hears no more.
                let far = ours.accept().expect("somebody has connected").0;
                near.shutdown(weft_io::Shutdown::Write).expect("it is connected");
                send_to_nobody(&mut poller, &near);
                drop(far);
            }
        }
        // Nobody has changed it.
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) }, libc::SIG_DFL);
    });
}

/// Says to a child that it is the other process.
const OTHER: &str = "WEFT_CTS_OTHER";

/// Takes connections from the listener that it was given, for as long as it may, and says so to each. If whoever started it
/// is gone, it ends by itself.
fn accept_elsewhere() {
    let listener = std::io::stdin().as_fd().try_clone_to_owned().expect("there are handles left");
    let listener = TcpListener::from(listener);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        match listener.accept() {
            Ok((mut taken, _)) => drop(taken.write_all(b"elsewhere")),
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {
                let mut entry = libc::pollfd {
                    fd: std::os::fd::AsRawFd::as_raw_fd(&listener),
                    events: libc::POLLIN,
                    revents: 0,
                };
                // SAFETY: see the header.
                unsafe { libc::poll(&raw mut entry, 1, 1000) };
            }
            Err(why) => panic!("{why}"),
        }
    }
}

/// Connects so often, and counts who took it: somebody else, or this process, which says nothing.
fn connect_often(address: SocketAddr, times: usize) -> [usize; 2] {
    let mut taken = [0; 2];
    for _ in 0..times {
        let mut near = TcpStream::connect(address).expect("it listens");
        near.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be asked for");
        let mut text = Vec::new();
        near.read_to_end(&mut text).expect("somebody takes it");
        taken[usize::from(text.is_empty())] += 1;
    }
    taken
}

/// [async-backends 139] Two processes accept from one listener, so that one finds nothing where it was told that there is
/// something: that is no failure, its accept goes on, and no connection is lost.
#[test]
fn two_processes_accept_from_one_listener() {
    const NAME: &str = "two_processes_accept_from_one_listener";
    if std::env::var_os(OTHER).is_some() {
        return accept_elsewhere();
    }
    in_child(NAME, &[], || {
        for subject in subjects() {
            let mut poller = subject.open();
            let handle = poller.handle().clone();
            let (listener, ours, address) = listener();
            let (log, accepted) = (Log::default(), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&accepted);
            let on_accepted = move |_| _ = count.fetch_add(1, Ordering::Relaxed);
            submit(&handle, AcceptMany::new(listener, on_accepted), &log, "accept");
            poll_dry(&mut poller);
            // Taken away before this process looks, although it was told.
            for _ in 0..20 {
                let near = TcpStream::connect(address).expect("it listens");
                let taken = ours.accept();
                poll_dry(&mut poller);
                assert_eq!(taken.is_err(), accepted.swap(0, Ordering::Relaxed) == 1, "one of both has it");
                drop(near);
            }
            let given = OwnedFd::from(ours);
            let mut other = child_of(NAME);
            other.env(OTHER, "1").stdin(Stdio::from(given)).stdout(Stdio::null()).stderr(Stdio::null());
            let mut other = other.spawn().expect("it starts");
            let (is_over, again) = (Arc::new(AtomicBool::new(false)), handle.clone());
            let told = Arc::clone(&is_over);
            let clients = std::thread::spawn(move || {
                let taken = connect_often(address, 100);
                other.kill().and_then(|()| other.wait()).expect("it was there");
                // Whoever is left has them all.
                let left = connect_often(address, 5);
                told.store(true, Ordering::Release);
                again.wake();
                (taken, left)
            });
            poll_until(&mut poller, || is_over.load(Ordering::Acquire));
            let (taken, left) = clients.join().expect("everybody was served");
            assert!(log.is_empty(), "{}: {:?}", subject.name, log.take());
            assert_eq!(left, [0, 5], "{}", subject.name);
            assert_eq!(accepted.load(Ordering::Relaxed), taken[1] + 5, "{}", subject.name);
        }
    });
}
