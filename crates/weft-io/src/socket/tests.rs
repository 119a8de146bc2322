//! What only the inside of a socket shows: failures that stick, and closing while others hold it.

use super::*;
use crate::address::Address;
use rustix::net::{RecvFlags, SendFlags};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Barrier;

fn socket(kind: SocketKind) -> Socket {
    Socket::new(kind, SocketOptions::empty()).unwrap()
}

fn listener() -> Socket {
    let socket = socket(SocketKind::Tcp);
    socket.bind(&Address::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    socket.listen(8).unwrap();
    socket
}

fn code<T>(outcome: Result<T>) -> Code {
    outcome.err().expect("a failure").code()
}

/// [async 201, 204]
#[test]
fn the_first_failure_sticks() {
    let (broken, other) = (socket(SocketKind::Tcp), socket(SocketKind::Tcp));
    assert_eq!(broken.failure(), None);
    broken.fail(Code::Unavailable);
    broken.fail(Code::FailedPrecondition);
    assert_eq!(broken.clone().failure(), Some(Code::Unavailable));
    let address = Address::from((Ipv4Addr::LOCALHOST, 0));
    assert_eq!(code(broken.bind(&address)), Code::Unavailable);
    assert_eq!(code(broken.listen(1)), Code::Unavailable);
    assert_eq!(code(broken.send_space()), Code::Unavailable);
    // Shutting down asks the system, and so do addresses.
    assert_eq!(code(broken.shutdown(Shutdown::Both)), Code::FailedPrecondition);
    assert!(broken.local_address().is_ok());
    drop(broken);
    assert_eq!(other.failure(), None);
    other.bind(&address).unwrap();
}

#[test]
fn what_callers_do_is_no_failure() {
    let socket = socket(SocketKind::Tcp);
    for code in [Code::Cancelled, Code::ResourceExhausted, Code::InvalidArgument, Code::OutOfRange] {
        socket.fail(code);
    }
    let own_doing = [
        Errno::CANCELED,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::INVAL,
        Errno::FAULT,
        Errno::NOTSOCK,
        Errno::DESTADDRREQ,
        Errno::AGAIN,
        Errno::INTR,
        Errno::ISCONN,
        Errno::NOTCONN,
        Errno::MSGSIZE,
        Errno::BADF,
    ];
    for errno in own_doing {
        socket.fail_with(errno);
        assert_eq!(socket.failure(), None, "{errno}");
    }
    // A pipe that breaks was there.
    for state in [SocketState::Listening, SocketState::Created] {
        socket.set_state(state);
        socket.fail_with(Errno::PIPE);
        assert_eq!(socket.failure(), None);
    }
    socket.set_state(SocketState::Connected);
    socket.fail_with(Errno::PIPE);
    assert_eq!(socket.failure(), Some(Code::FailedPrecondition));
    for (errno, expected) in [
        (Errno::CONNREFUSED, Code::Unavailable),
        (Errno::CONNRESET, Code::Unavailable),
        (Errno::TIMEDOUT, Code::DeadlineExceeded),
        (Errno::NETUNREACH, Code::Unavailable),
        (Errno::NOENT, Code::NotFound),
    ] {
        let socket = self::socket(SocketKind::Tcp);
        socket.fail_with(errno);
        assert_eq!(socket.failure(), Some(expected));
    }
}

/// The descriptor's number, and what is open behind it.
fn inode(socket: &Socket) -> (i32, u64) {
    (socket.as_fd().as_raw_fd(), rustix::fs::fstat(socket).unwrap().st_ino)
}

#[test]
fn closing_ends_the_socket_and_keeps_the_number() {
    let socket = listener();
    let port = socket.local_address().unwrap().port().unwrap();
    let clone = socket.clone();
    let (number, before) = inode(&clone);
    socket.begin_close().unwrap();
    assert_eq!((clone.state(), clone.is_closed()), (SocketState::Closing, true));
    assert_eq!(code(clone.local_address()), Code::FailedPrecondition);
    assert_eq!(code(clone.begin_close()), Code::FailedPrecondition, "once");
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens until it is closed");
    socket.close_now();
    socket.close_now();
    assert_eq!(clone.state(), SocketState::Closed);
    clone.set_state(SocketState::Connected);
    assert_eq!(clone.state(), SocketState::Closed, "that is the end");

    // The real one has gone.
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    let next = Socket::new(SocketKind::Tcp, SocketOptions::REUSE_ADDR).unwrap();
    next.bind(&Address::from((Ipv4Addr::LOCALHOST, port))).expect("the port is free");
    next.listen(1).unwrap();
    drop(next);
    // The number has not, so nobody else gets it.
    drop(socket);
    let (again, after) = inode(&clone);
    assert_eq!(again, number);
    assert_ne!(after, before);
    let others: Vec<Socket> = (0..8).map(|_| self::socket(SocketKind::Udp)).collect();
    assert!(others.iter().all(|other| other.as_fd().as_raw_fd() != number));
    // And nothing works on it, whoever tries.
    assert_eq!(rustix::net::recv(&clone, &mut [0; 8], RecvFlags::empty()), Err(Errno::BADF));
    assert_eq!(rustix::net::send(&clone, b"lost", SendFlags::NOSIGNAL), Err(Errno::BADF));
    let address = Address::from((Ipv4Addr::LOCALHOST, 0));
    assert_eq!(code(clone.bind(&address)), Code::FailedPrecondition);
    assert_eq!(code(clone.listen(1)), Code::FailedPrecondition);
    assert_eq!(code(clone.peer_address()), Code::FailedPrecondition);
    assert_eq!(code(clone.shutdown(Shutdown::Both)), Code::FailedPrecondition);
    assert_eq!(code(clone.send_space()), Code::FailedPrecondition);
    assert_eq!(clone.failure(), None, "closing is no failure");
}

#[test]
fn a_peer_sees_the_end_while_clones_live() {
    use std::io::Read;
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = listening.accept().unwrap();
    let socket = Socket::import(ours.into(), SocketKind::Tcp, false).unwrap();
    let _clone = socket.clone();
    socket.close_now();
    assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn threads_that_ask_while_it_closes_are_answered_or_refused() {
    for _ in 0..200 {
        let socket = listener();
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    while let Ok(address) = socket.local_address() {
                        assert!(address.port().is_some_and(|port| port != 0));
                        if let Err(why) = socket.listen(4) {
                            assert_eq!(why.code(), Code::FailedPrecondition, "{why}");
                        }
                    }
                    assert_eq!(code(socket.local_address()), Code::FailedPrecondition);
                });
            }
            start.wait();
            socket.begin_close().unwrap();
            socket.close_now();
        });
        assert_eq!(socket.state(), SocketState::Closed);
    }
}

#[test]
fn who_enters_is_counted_or_refused() {
    let socket = socket(SocketKind::Tcp);
    socket.enter().unwrap();
    socket.enter().unwrap();
    socket.leave();
    assert_eq!(socket.pending(), 1);
    socket.begin_close().unwrap();
    assert_eq!(code(socket.enter()), Code::FailedPrecondition);
    assert_eq!(socket.pending(), 1);
    socket.leave();
    assert_eq!(socket.pending(), 0);
    // From two threads: whoever got in is seen by who closes.
    for _ in 0..2_000 {
        let socket = self::socket(SocketKind::Udp);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            let entering = scope.spawn(|| {
                start.wait();
                socket.enter().is_ok()
            });
            start.wait();
            socket.begin_close().unwrap();
            let seen = socket.pending();
            let entered = entering.join().unwrap();
            assert!(!entered || seen == 1);
        });
    }
}

#[test]
fn states_go_forward() {
    let socket = socket(SocketKind::Tcp);
    for state in [SocketState::Connecting, SocketState::Connected, SocketState::Listening] {
        socket.set_state(state);
        assert_eq!(socket.state(), state);
    }
    let listener = Socket::new(SocketKind::Tcp, SocketOptions::ZERO_COPY).unwrap();
    let accepted = Socket::accepted(self::socket(SocketKind::Tcp).0.fd.try_clone().unwrap(), &listener);
    assert_eq!((accepted.state(), accepted.kind()), (SocketState::Connected, SocketKind::Tcp));
    assert!(accepted.is_zero_copy(), "the wish is passed on");
}
