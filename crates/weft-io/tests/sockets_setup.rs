#![allow(unsafe_code, reason = "a handle that somebody else has closed has to be made up")]
//! Sockets before anything goes through them: made, taken over, named, asked, shut down. No proactor takes part.
#![cfg(target_os = "linux")]

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;
use weft_io::{Address, Shutdown, Socket, SocketKind, SocketOptions, SocketState};
use weft_sync::Code;

const KINDS: [SocketKind; 6] = [
    SocketKind::Tcp,
    SocketKind::Udp,
    SocketKind::UnixStream,
    SocketKind::UnixDatagram,
    SocketKind::Tcp6,
    SocketKind::Udp6,
];

/// A socket without options; `None` for IPv6 on a machine that has none.
fn plain(kind: SocketKind) -> Option<Socket> {
    with(kind, SocketOptions::empty())
}

fn with(kind: SocketKind, options: SocketOptions) -> Option<Socket> {
    match Socket::new(kind, options) {
        Ok(socket) => Some(socket),
        Err(why) if matches!(kind, SocketKind::Tcp6 | SocketKind::Udp6) => {
            assert_eq!(why.code(), Code::Unimplemented, "{why}");
            eprintln!("skipped: no IPv6: {why}");
            None
        }
        Err(why) => panic!("{kind:?}: {why}"),
    }
}

fn tcp() -> Socket {
    plain(SocketKind::Tcp).unwrap()
}

fn localhost(port: u16) -> Address {
    Address::from((Ipv4Addr::LOCALHOST, port))
}

/// A socket that listens on a port of its own.
fn listener() -> Socket {
    let socket = tcp();
    socket.bind(&localhost(0)).unwrap();
    socket.listen(8).unwrap();
    socket
}

/// Both ends of a connection: ours, and one that blocks.
fn connected() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (Socket::import(ours.into(), SocketKind::Tcp, false).unwrap(), theirs)
}

/// A name that no other test or process has.
fn abstract_name(of: &str) -> String {
    format!("weft-{}-{of}", std::process::id())
}

fn code<T>(outcome: weft_sync::Result<T>) -> Code {
    outcome.err().expect("a failure").code()
}

/// [async 193, 201] [async-backends 119, 121]
#[test]
fn every_kind_can_be_made_and_let_go() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        assert_eq!(kind as usize, number);
        let Some(socket) = plain(kind) else { continue };
        assert_eq!((socket.kind(), socket.state(), socket.failure()), (kind, SocketState::Created, None));
        assert!(!socket.is_closed() && !socket.is_zero_copy());
        assert!(fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));
        assert!(fcntl_getfd(&socket).unwrap().contains(FdFlags::CLOEXEC));
        let again = socket.clone();
        drop(socket);
        assert!(again.as_fd().try_clone_to_owned().is_ok(), "a clone keeps it open");
    }
}

/// [async 194, 195] [async-backends 119]
#[test]
fn sockets_get_the_address_that_they_ask_for() {
    for kind in [SocketKind::Tcp, SocketKind::Udp, SocketKind::Tcp6, SocketKind::Udp6] {
        let Some(socket) = plain(kind) else { continue };
        let is_v6 = matches!(kind, SocketKind::Tcp6 | SocketKind::Udp6);
        let loopback = if is_v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        let address = Address::from(std::net::SocketAddr::new(loopback, 0));
        socket.bind(&address).unwrap();
        assert_eq!(socket.state(), SocketState::Created, "binding changes nothing");
        let local = socket.local_address().unwrap().to_socket_addr().unwrap();
        assert_eq!(local.ip(), loopback);
        assert_ne!(local.port(), 0, "the port that the system chose");
        // Twice is an error, and nothing moves.
        assert!(socket.bind(&address).is_err());
        assert_eq!(socket.local_address().unwrap().to_socket_addr(), Some(local));
        if kind.is_stream() {
            socket.listen(1).unwrap();
            assert_eq!(socket.state(), SocketState::Listening);
        }
    }
    let any = tcp();
    any.bind(&Address::ipv4("", 0).unwrap()).unwrap();
    assert!(any.local_address().unwrap().to_string().starts_with("0.0.0.0:"));
}

/// [async 195, 196] [async-backends 119]
#[test]
fn a_port_that_is_taken_is_told() {
    let first = listener();
    let second = tcp();
    assert_eq!(code(second.bind(&first.local_address().unwrap())), Code::FailedPrecondition);
    assert_eq!(second.failure(), None, "no transport has failed");
    // The socket is as good as before.
    second.bind(&localhost(0)).unwrap();
    // With the option on both, they share.
    let shared = || with(SocketKind::Tcp, SocketOptions::REUSE_PORT).unwrap();
    let (third, fourth) = (shared(), shared());
    third.bind(&localhost(0)).unwrap();
    fourth.bind(&third.local_address().unwrap()).unwrap();
    third.listen(1).unwrap();
    fourth.listen(1).unwrap();
}

/// [async 196] [async-backends 119]
#[test]
fn listening_needs_no_address_and_may_be_said_again() {
    for backlog in [0, 1, 128, u32::MAX] {
        let socket = tcp();
        socket.listen(backlog).unwrap();
        let port = socket.local_address().unwrap().port().unwrap();
        assert_ne!(port, 0, "the system chose one");
        socket.listen(16).unwrap();
        assert_eq!(socket.state(), SocketState::Listening);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    assert!(plain(SocketKind::Udp).unwrap().listen(1).is_err(), "datagrams have no connections");
    assert!(plain(SocketKind::UnixDatagram).unwrap().listen(1).is_err());
}

#[test]
fn addresses_of_another_family_are_refused() {
    let address = localhost(0);
    for kind in [SocketKind::UnixStream, SocketKind::UnixDatagram, SocketKind::Tcp6, SocketKind::Udp6] {
        let Some(socket) = plain(kind) else { continue };
        assert_eq!(code(socket.bind(&address)), Code::InvalidArgument);
    }
    assert_eq!(code(tcp().bind(&Address::ipv6("::1", 0).unwrap())), Code::InvalidArgument);
    assert_eq!(code(tcp().bind(&Address::EMPTY)), Code::InvalidArgument);
    // An address that this machine does not have.
    assert!(tcp().bind(&Address::ipv4("192.0.2.1", 0).unwrap()).is_err());
}

/// [async 198] [async-backends 125]
#[test]
fn options_reach_the_system() {
    let all = SocketOptions::all();
    for kind in KINDS {
        for options in all.iter().chain([SocketOptions::empty(), all]) {
            let Some(socket) = with(kind, options) else { break };
            let has = |option| options.contains(option);
            let is_tcp = matches!(kind, SocketKind::Tcp | SocketKind::Tcp6);
            let is_unix = matches!(kind, SocketKind::UnixStream | SocketKind::UnixDatagram);
            assert_eq!(sockopt::socket_reuseaddr(&socket).unwrap(), has(SocketOptions::REUSE_ADDR));
            if !is_unix {
                assert_eq!(sockopt::socket_reuseport(&socket).unwrap(), has(SocketOptions::REUSE_PORT));
            }
            assert_eq!(sockopt::socket_keepalive(&socket).unwrap(), has(SocketOptions::KEEP_ALIVE));
            let linger = has(SocketOptions::LINGER_ZERO).then_some(Duration::ZERO);
            assert_eq!(sockopt::socket_linger(&socket).unwrap(), linger);
            if is_tcp {
                assert_eq!(sockopt::tcp_nodelay(&socket).unwrap(), has(SocketOptions::NO_DELAY));
            }
            assert_eq!(socket.is_zero_copy(), has(SocketOptions::ZERO_COPY), "a wish is never refused");
        }
    }
    let numbers = ["REUSE_ADDR", "REUSE_PORT", "NO_DELAY", "KEEP_ALIVE", "ZERO_COPY", "LINGER_ZERO"];
    for (bit, name) in numbers.into_iter().enumerate() {
        assert_eq!(SocketOptions::from_name(name).unwrap().bits(), 1 << bit);
    }
}

/// [async 194]
#[test]
fn ipv6_sockets_are_for_ipv6_only() {
    let Some(v6) = plain(SocketKind::Tcp6) else { return };
    assert!(sockopt::ipv6_v6only(&v6).unwrap());
    v6.bind(&Address::ipv6("", 0).unwrap()).unwrap();
    v6.listen(1).unwrap();
    // So the port is free for IPv4.
    tcp().bind(&Address::ipv4("", v6.local_address().unwrap().port().unwrap()).unwrap()).unwrap();
}

/// [async 199] [async-backends 126]
#[test]
fn handles_of_others_are_taken_over() {
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::from(listening.local_addr().unwrap());
    assert!(!fcntl_getfl(&listening).unwrap().contains(OFlags::NONBLOCK));
    let socket = Socket::import(listening.into(), SocketKind::Tcp, false).unwrap();
    assert_eq!(socket.state(), SocketState::Listening);
    assert_eq!(socket.local_address().unwrap(), address);
    assert!(fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));

    let (socket, theirs) = connected();
    assert_eq!(socket.state(), SocketState::Connected);
    assert_eq!(socket.peer_address().unwrap(), theirs.local_addr().unwrap().into());

    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = Socket::import(datagrams.into(), SocketKind::Udp, true).unwrap();
    assert_eq!((socket.state(), socket.is_zero_copy()), (SocketState::Created, true));

    let (one, other) = UnixStream::pair().unwrap();
    let socket = Socket::import(one.into(), SocketKind::UnixStream, false).unwrap();
    assert_eq!(socket.state(), SocketState::Connected);
    assert_eq!(socket.peer_address().unwrap(), Address::EMPTY, "its peer has no name");
    drop(other);
    let socket =
        Socket::import(UnixDatagram::unbound().unwrap().into(), SocketKind::UnixDatagram, false).unwrap();
    assert_eq!((socket.state(), socket.local_address().unwrap()), (SocketState::Created, Address::EMPTY));
}

/// [async 199] [async-backends 126]
#[test]
fn what_is_not_that_kind_of_socket_stays_with_its_owner() {
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let refused = Socket::import(reader, SocketKind::Tcp, false).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    assert!(fcntl_getfd(&refused.handle).is_ok(), "it is still open");
    let handles: [(SocketKind, OwnedFd); 3] = [
        (SocketKind::Tcp, TcpListener::bind("127.0.0.1:0").unwrap().into()),
        (SocketKind::Udp, UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        (SocketKind::UnixDatagram, UnixDatagram::unbound().unwrap().into()),
    ];
    for (is, handle) in handles {
        for kind in KINDS.into_iter().filter(|&kind| kind != is) {
            let copy = handle.try_clone().unwrap();
            let refused = Socket::import(copy, kind, false).unwrap_err();
            assert_eq!(refused.why.code(), Code::InvalidArgument, "{is:?} as {kind:?}");
            assert!(!fcntl_getfl(&refused.handle).unwrap().contains(OFlags::NONBLOCK), "nothing was changed");
        }
    }
}

/// [async 199] [async-backends 126]
#[test]
fn a_handle_that_is_closed_is_refused() {
    // A number so high that nobody gets it while this runs.
    let high = rustix::io::fcntl_dupfd_cloexec(tcp().as_fd(), 900).unwrap();
    let number = high.as_raw_fd();
    drop(high);
    // SAFETY: nothing is open under the number, so nobody's file is touched; the value is taken apart again below.
    let closed = unsafe { OwnedFd::from_raw_fd(number) };
    let refused = Socket::import(closed, SocketKind::Tcp, false).unwrap_err();
    assert_eq!(refused.why.code(), Code::FailedPrecondition);
    assert_eq!(refused.handle.into_raw_fd(), number);
}

/// [async 200] [async-backends 127]
#[test]
fn abstract_names_are_bound_and_found() {
    let name = abstract_name("stream");
    let address = Address::unix(format!("@{name}")).unwrap();
    let socket = plain(SocketKind::UnixStream).unwrap();
    socket.bind(&address).unwrap();
    socket.listen(1).unwrap();
    assert_eq!(socket.local_address().unwrap(), address);
    assert_eq!(socket.local_address().unwrap().to_string(), format!("unix:@{name}"));
    let taken = plain(SocketKind::UnixStream).unwrap();
    assert_eq!(code(taken.bind(&address)), Code::FailedPrecondition);
    UnixStream::connect_addr(&UnixAddress::from_abstract_name(&name).unwrap()).unwrap();
    // And the other way round: what others have bound has the same address.
    let name = UnixAddress::from_abstract_name(abstract_name("datagrams")).unwrap();
    let bound = UnixDatagram::bind_addr(&name).unwrap();
    let socket = Socket::import(bound.into(), SocketKind::UnixDatagram, false).unwrap();
    let expected = Address::unix([b"@", name.as_abstract_name().unwrap()].concat()).unwrap();
    assert_eq!(socket.local_address().unwrap(), expected);
    // The empty name is one. Tests of other processes may have it.
    let empty = plain(SocketKind::UnixStream).unwrap();
    match empty.bind(&Address::unix("@").unwrap()) {
        Ok(()) => assert_eq!(empty.local_address().unwrap().to_string(), "unix:@"),
        Err(why) => assert_eq!(why.code(), Code::FailedPrecondition, "{why}"),
    }
}

/// [async-backends 119]
#[test]
fn paths_are_bound_and_found() {
    let folder = std::env::temp_dir().join(abstract_name("paths"));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let address = Address::unix(path.to_str().unwrap()).unwrap();
    let socket = plain(SocketKind::UnixStream).unwrap();
    socket.bind(&address).unwrap();
    socket.listen(1).unwrap();
    assert_eq!(socket.local_address().unwrap(), address);
    let theirs = UnixStream::connect(&path).unwrap();
    let ours = Socket::import(theirs.into(), SocketKind::UnixStream, false).unwrap();
    assert_eq!(ours.peer_address().unwrap(), address);
    let another = plain(SocketKind::UnixDatagram).unwrap();
    assert_eq!(code(another.bind(&address)), Code::FailedPrecondition, "the file exists");
    assert!(UnixListener::bind(&path).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// [async 206] [async-backends 123]
#[test]
fn one_direction_is_shut_down_and_the_other_goes_on() {
    let (socket, mut theirs) = connected();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0, "the peer sees the end");
    theirs.write_all(b"still here").unwrap();
    let mut received = [0; 16];
    rustix::event::poll(
        &mut [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)],
        Some(&rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 }),
    )
    .unwrap();
    let (_, length) = rustix::net::recv(&socket, &mut received[..], rustix::net::RecvFlags::empty()).unwrap();
    assert_eq!(&received[..length], b"still here");
    socket.shutdown(Shutdown::Both).unwrap();
    assert!(socket.local_address().is_ok(), "it can still be asked");
    assert!(socket.failure().is_none());
}

/// [async 206] [async-backends 123]
#[test]
fn who_has_no_peer_cannot_be_shut_down() {
    for kind in KINDS {
        let Some(socket) = plain(kind) else { continue };
        for what in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
            assert_eq!(code(socket.shutdown(what)), Code::FailedPrecondition, "{kind:?} {what:?}");
        }
    }
    for (number, what) in [Shutdown::Read, Shutdown::Write, Shutdown::Both].into_iter().enumerate() {
        assert_eq!(Shutdown::try_from(number as u32).unwrap(), what);
    }
    assert_eq!(code(Shutdown::try_from(3)), Code::InvalidArgument);
    assert_eq!(code(Shutdown::try_from(u32::MAX)), Code::InvalidArgument);
    let (one, other) = UnixStream::pair().unwrap();
    let one = Socket::import(one.into(), SocketKind::UnixStream, false).unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&other).read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(code(tcp().peer_address()), Code::FailedPrecondition);
}

/// [async 204]
#[test]
fn the_room_to_send_shrinks_to_nothing() {
    let (socket, _theirs) = connected();
    let fresh = socket.send_space().unwrap();
    assert!(fresh > 0);
    let bytes = vec![7; 1 << 16];
    let mut sent = 0;
    while let Ok(length) = rustix::net::send(&socket, &bytes, rustix::net::SendFlags::NOSIGNAL) {
        sent += length;
    }
    assert!(sent > 0);
    assert_eq!(socket.send_space().unwrap(), 0, "after {sent} bytes");
    assert!(plain(SocketKind::Udp).unwrap().send_space().unwrap() > 0);
    assert!(plain(SocketKind::UnixStream).unwrap().send_space().unwrap() > 0);
}

/// One at the end of descriptors, in a process of its own: the limit is the process's.
#[test]
fn without_descriptors_nothing_is_made() {
    const CHILD: &str = "WEFT_TEST_NO_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = "without_descriptors_nothing_is_made";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let mut sockets = vec![tcp()];
    let limit = rustix::process::Rlimit { current: Some(32), maximum: Some(32) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let why = loop {
        match Socket::new(SocketKind::Tcp, SocketOptions::all()) {
            Ok(socket) => sockets.push(socket),
            Err(why) => break why,
        }
    };
    assert_eq!(why.code(), Code::ResourceExhausted, "{why}");
    sockets.pop();
    sockets.push(Socket::new(SocketKind::Tcp, SocketOptions::all()).expect("there is one again"));
}
