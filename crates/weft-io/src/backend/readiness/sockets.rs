#![allow(unsafe_code, reason = "system calls that get addresses of memory are made here")]
//! Attempts at sockets: system calls that take or put what can be had at once.
//!
//! What lives here: one function for each kind. What does not: when an attempt is made (`mod.rs`), what its answer means to
//! the operation (`settle` of its kind).
//!
//! 1. No call blocks, whatever the mode of the handle: it may be shared with other processes, and they may change it.
//!    Transfers say so themselves. To accept and to connect no flag can be given, so the mode is set right before each
//!    attempt. What is left of the danger is somebody who changes it between the two calls; an accept then blocks only if
//!    there is no connection.
//! 2. No call raises a signal: whoever sends to nobody is told by the answer.
//! 3. A send puts in what there is room for. The proactor hands the rest over again: what the caller gave is not changed.
//! 4. A connect is asked for once; how it went is asked of the socket, when that is ready. One that failed leaves nothing
//!    behind: the socket can be connected again.
//!
//! # Safety
//!
//! Memory of a transfer, frames and addresses belong to the operation, which the caller has: the body borrows from it. No
//! call keeps an address beyond its end.

use super::lower::{Outcome, again};
use crate::address::Address;
use crate::frame::{Frame, Spans};
use crate::ops::body::Sending;
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What an attempt has come to; `None`: nothing.
pub(super) type Attempt = Option<Outcome>;

/// Flags of every call that sends. Where there is no flag for rule 2, sockets have an option, see `socket`.
const SEND_FLAGS: i32 = cfg_select! {
    target_vendor = "apple" => { libc::MSG_DONTWAIT }
    _ => { libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL }
};

/// The kernel's own limit for one transfer; the operation goes on with the rest.
const TRANSFER_MAX: usize = 0x7FFF_F000;

/// What a call of the C library came to.
fn answer(outcome: isize) -> Result<i64, Errno> {
    match outcome {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
        // A number of bytes, or of a handle.
        found => Ok(found as i64),
    }
}

fn attempt(call: impl FnMut() -> Result<i64, Errno>) -> Attempt {
    match again(call) {
        // The same number on every system that is supported.
        Err(Errno::AGAIN) => None,
        outcome => Some(outcome.map_err(Errno::raw_os_error)),
    }
}

/// Accepts one connection, which does not block and is not inherited; its address goes to `peer`.
pub(super) fn accept(listener: BorrowedFd<'_>, peer: Option<&Frame>) -> Attempt {
    let nowhere = (std::ptr::null_mut(), std::ptr::null_mut());
    let (address, length) = peer.map_or(nowhere, Frame::sender_place);
    attempt(|| {
        do_not_block(listener);
        accept_once(listener, address.cast(), length)
    })
}

/// Rule 1. What cannot be set so says why in the call that comes.
fn do_not_block(socket: BorrowedFd<'_>) {
    let _ = rustix::io::ioctl_fionbio(socket, true);
}

#[cfg(not(target_vendor = "apple"))]
fn accept_once(
    listener: BorrowedFd<'_>,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
) -> Result<i64, Errno> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: both null, or places in a frame, see the header.
    answer(unsafe { libc::accept4(listener.as_raw_fd(), address, length, flags) } as isize)
}

#[cfg(target_vendor = "apple")]
fn accept_once(
    listener: BorrowedFd<'_>,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
) -> Result<i64, Errno> {
    use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
    // SAFETY: both null, or places in a frame, see the header.
    let accepted = answer(unsafe { libc::accept(listener.as_raw_fd(), address, length) } as isize)?;
    // SAFETY: the system has just made it, and nobody else knows the number.
    let accepted = unsafe { OwnedFd::from_raw_fd(accepted as i32) };
    // What cannot be made so is closed.
    rustix::io::fcntl_setfd(&accepted, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&accepted, true)?;
    Ok(i64::from(accepted.into_raw_fd()))
}

/// Asks for a connection; `None`: it is being made.
pub(super) fn connect(socket: BorrowedFd<'_>, address: &Address) -> Attempt {
    do_not_block(socket);
    // SAFETY: the address is as long as it says, see the header.
    let outcome = unsafe {
        libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), address.length() as libc::socklen_t)
    };
    match answer(outcome as isize) {
        // One that is interrupted goes on.
        Err(Errno::INPROGRESS | Errno::INTR) => None,
        // Also that a listener of the same machine has no room (`EAGAIN`), which nobody tells when it has.
        outcome => Some(outcome.map_err(Errno::raw_os_error)),
    }
}

/// How a connect went whose socket is ready.
///
/// Some systems take note of a connection only when they are asked for it again, and would then take a later connect for
/// that; others say that there is one.
pub(super) fn connected(socket: BorrowedFd<'_>, address: &Address) -> Attempt {
    if let Some(errno) = failure_of(socket) {
        finish(socket);
        return Some(Err(errno.raw_os_error()));
    }
    match connect(socket, address) {
        Some(Err(errno)) if errno == Errno::ISCONN.raw_os_error() => Some(Ok(0)),
        // It is not over: the readiness was of something else.
        Some(Err(errno)) if errno == Errno::ALREADY.raw_os_error() => None,
        outcome => outcome,
    }
}

/// Rule 4. Linux takes a connect that failed for unfinished until somebody connects again, and fails that one in its place,
/// although the error was told. To connect to nobody finishes it, and begins nothing.
fn finish(socket: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::connect_unspec(socket);
    let _ = socket;
}

/// What the socket has failed with and nobody was told yet.
pub(super) fn failure_of(socket: BorrowedFd<'_>) -> Option<Errno> {
    match rustix::net::sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(errno)) | Err(errno) => Some(errno),
    }
}

/// Receives what is there.
pub(super) fn recv(socket: BorrowedFd<'_>, spans: &Spans<'_>) -> Attempt {
    let fd = socket.as_raw_fd();
    attempt(|| match spans {
        Spans::One(span) => {
            let length = span.length.min(TRANSFER_MAX);
            // SAFETY: memory that may be written, see the header.
            answer(unsafe { libc::recv(fd, span.address.cast(), length, libc::MSG_DONTWAIT) })
        }
        Spans::Many(frame) => {
            // SAFETY: a header whose list and place for an address are the operation's, see the header.
            answer(unsafe { libc::recvmsg(fd, frame.header(), libc::MSG_DONTWAIT) })
        }
    })
}

/// Sends what there is room for.
pub(super) fn send(sending: &Sending<'_>) -> Attempt {
    let fd = sending.socket.fd.as_raw_fd();
    let mut flags = SEND_FLAGS;
    #[cfg(target_os = "linux")]
    if sending.has_more {
        flags |= libc::MSG_MORE;
    }
    // Elsewhere nobody can be told, and nothing is held back.
    let _ = (&mut flags, sending.has_more);
    attempt(|| match &sending.spans {
        Spans::One(span) => {
            // A message that is too long is refused by the system, not cut.
            let length = if sending.is_stream { span.length.min(TRANSFER_MAX) } else { span.length };
            // SAFETY: initialised memory, see the header.
            answer(unsafe { libc::send(fd, span.address.cast(), length, flags) })
        }
        Spans::Many(frame) => {
            // SAFETY: a header whose list and address are the operation's, see the header.
            answer(unsafe { libc::sendmsg(fd, frame.header(), flags) })
        }
    })
}
