#![allow(unsafe_code, reason = "not every question to the system has a safe interface on every system")]
//! What the system is asked about a socket.
//!
//! What lives here: how much can be sent without waiting, and whether it listens. What does not: addresses (`mod.rs`), which
//! have safe interfaces everywhere.
#![cfg(unix)]

use std::os::fd::BorrowedFd;

/// Half of the buffer, less what it holds. The kernel doubles what was asked for, to have room for its own; so half of it
/// is what surely is there for bytes.
#[cfg(target_os = "linux")]
pub(super) fn send_space(fd: BorrowedFd<'_>) -> rustix::io::Result<usize> {
    use std::os::fd::AsRawFd;
    let room = rustix::net::sockopt::socket_send_buffer_size(fd)? / 2;
    let mut unsent: libc::c_int = 0;
    // SAFETY: the handle is borrowed for the call; TIOCOUTQ writes one int, to a local of that type.
    let outcome = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
    if outcome < 0 {
        let errno = std::io::Error::last_os_error();
        return Err(rustix::io::Errno::from_io_error(&errno).unwrap_or(rustix::io::Errno::IO));
    }
    Ok(room.saturating_sub(usize::try_from(unsent).unwrap_or(0)))
}

/// Nobody says.
#[cfg(not(target_os = "linux"))]
pub(super) fn send_space(_: BorrowedFd<'_>) -> rustix::io::Result<usize> {
    Ok(usize::MAX)
}

/// Whether connections can come to it.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn is_listening(fd: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(false)
}

#[cfg(target_vendor = "apple")]
pub(super) fn is_listening(fd: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let mut answer: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the handle is borrowed for the call; the answer is one int, for which there is room, as the length says.
    let outcome = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut answer).cast(),
            &raw mut length,
        )
    };
    outcome == 0 && answer != 0
}
