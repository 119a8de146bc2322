//! What the system refuses while a socket is set up: told, and nothing stays open.
//!
//! # Safety
//!
//! Structures handed to the system are whole, live across the call, and are what the call expects.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "filters of system calls are set by calls that std does not have")]

use rustix::fs::OFlags;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use weft_io::{Socket, SocketKind, SocketOptions};
use weft_sync::Code;

/// Runs `body` on a thread for which a call fails if that argument has that value; a filter is for good.
fn refused<T: Send>(call: i64, argument: u32, value: u32, errno: i32, body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            deny(call, argument, value, errno);
            body()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn deny(call: i64, argument: u32, value: u32, errno: i32) {
    let plain = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let unless = |k: u32, jf: u8| {
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        libc::sock_filter { code, jt: 0, jf, k }
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let give = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        plain(load, 0),
        unless(call as u32, 3),
        // The lower half of an argument.
        plain(load, 16 + 8 * argument),
        unless(value, 1),
        plain(give, libc::SECCOMP_RET_ERRNO | errno as u32),
        plain(give, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(outcome, 0);
    // SAFETY: see the header.
    let outcome = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// The next number that the system would give; the same again if nothing stayed open meanwhile. Tests that open files run
/// in the same process, so this is asked for in one test only, which does everything.
fn next_number() -> i32 {
    UdpSocket::bind("127.0.0.1:0").expect("there are ports").as_raw_fd()
}

/// [async 203]
#[test]
fn what_the_system_refuses_is_told() {
    // The first socket may open more than itself.
    drop(Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap());
    let before = next_number();

    let domain = libc::AF_INET6 as u32;
    let outcome = refused(libc::SYS_socket, 0, domain, libc::EAFNOSUPPORT, || {
        Socket::new(SocketKind::Tcp6, SocketOptions::empty()).map(|_| ())
    });
    assert_eq!(outcome.unwrap_err().code(), Code::Unimplemented);

    let options = [
        (libc::SO_REUSEADDR, SocketOptions::REUSE_ADDR),
        (libc::SO_REUSEPORT, SocketOptions::REUSE_PORT),
        (libc::SO_KEEPALIVE, SocketOptions::KEEP_ALIVE),
        (libc::SO_LINGER, SocketOptions::LINGER_ZERO),
        (libc::TCP_NODELAY, SocketOptions::NO_DELAY),
    ];
    for (option, asked) in options {
        let made = |asked| {
            let body = move || Socket::new(SocketKind::Tcp, asked).map(|_| ());
            refused(libc::SYS_setsockopt, 2, option as u32, libc::EPERM, body)
        };
        assert_eq!(made(asked).unwrap_err().code(), Code::PermissionDenied, "{asked:?}");
        made(SocketOptions::all() - asked).expect("nobody asked for what is refused");
    }
    assert_eq!(next_number(), before, "nothing stays open");

    // A handle of others that goes on blocking would hang whoever polls.
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    let number = theirs.as_raw_fd();
    let outcome = refused(libc::SYS_fcntl, 1, libc::F_SETFL as u32, libc::EACCES, || {
        Socket::import(theirs.into(), SocketKind::Udp, false).map(|_| ())
    });
    let refused = outcome.unwrap_err();
    assert_eq!(refused.why.code(), Code::PermissionDenied);
    assert_eq!(refused.handle.as_raw_fd(), number, "it stays with its owner");
    assert!(!rustix::fs::fcntl_getfl(&refused.handle).unwrap().contains(OFlags::NONBLOCK));
}
