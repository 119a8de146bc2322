//! New sockets.
//!
//! What lives here: [`SocketOptions`], and a handle that has them. What does not: the socket around it (`mod.rs`).
//!
//! 1. Every call is checked: a handle that blocks unnoticed would hang whoever polls.
//! 2. Options that a kind has no use for are ignored: segments of what is no TCP, shared ports of what has none.
#![cfg(unix)]

use super::SocketKind;
use crate::address::Family;
use crate::errno::failure;
use rustix::net::sockopt;
use std::os::fd::OwnedFd;
use std::time::Duration;
use weft_sync::Result;

bitflags::bitflags! {
    /// How a socket is made. Options are the system's; only the wish for zero copies is remembered.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SocketOptions: u32 {
        /// An address can be bound while old connections linger there.
        const REUSE_ADDR = 1;
        /// Several sockets can have one port; the system spreads what comes, where it can.
        const REUSE_PORT = 2;
        /// Small segments are sent at once. TCP only.
        const NO_DELAY = 4;
        /// The system finds out whether the peer is still there.
        const KEEP_ALIVE = 8;
        /// Sends should leave the bytes where they are, if the system can.
        const ZERO_COPY = 16;
        /// Closing resets the connection and discards what was not sent.
        const LINGER_ZERO = 32;
    }
}

/// A handle that does not block and is not inherited, with the options.
pub(super) fn open(kind: SocketKind, options: SocketOptions) -> Result<OwnedFd> {
    let fd = handle(kind)?;
    let set = |outcome: rustix::io::Result<()>, what| outcome.map_err(|errno| failure(errno, what));
    if kind.family() == Family::V6 {
        set(sockopt::set_ipv6_v6only(&fd, true), "IPV6_V6ONLY")?;
    }
    if options.contains(SocketOptions::REUSE_ADDR) {
        set(sockopt::set_socket_reuseaddr(&fd, true), "SO_REUSEADDR")?;
    }
    if options.contains(SocketOptions::REUSE_PORT) && kind.family() != Family::Unix {
        set(share_port(&fd), "SO_REUSEPORT")?;
    }
    if options.contains(SocketOptions::NO_DELAY) && kind.is_tcp() {
        set(sockopt::set_tcp_nodelay(&fd, true), "TCP_NODELAY")?;
    }
    if options.contains(SocketOptions::KEEP_ALIVE) {
        set(sockopt::set_socket_keepalive(&fd, true), "SO_KEEPALIVE")?;
    }
    if options.contains(SocketOptions::LINGER_ZERO) {
        set(sockopt::set_socket_linger(&fd, Some(Duration::ZERO)), "SO_LINGER")?;
    }
    Ok(fd)
}

#[cfg(not(target_vendor = "apple"))]
fn handle(kind: SocketKind) -> Result<OwnedFd> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(kind.family().system(), kind.socket_type(), flags, None)
        .map_err(|errno| failure(errno, "socket"))
}

#[cfg(target_vendor = "apple")]
fn handle(kind: SocketKind) -> Result<OwnedFd> {
    let fd = rustix::net::socket(kind.family().system(), kind.socket_type(), None)
        .map_err(|errno| failure(errno, "socket"))?;
    settle(&fd)?;
    Ok(fd)
}

/// What a new handle needs where the system does not make it so. A send to who has gone must not end the process.
#[cfg(target_vendor = "apple")]
pub(crate) fn settle(fd: &OwnedFd) -> Result<()> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).map_err(|errno| failure(errno, "F_SETFD"))?;
    rustix::io::ioctl_fionbio(fd, true).map_err(|errno| failure(errno, "FIONBIO"))?;
    sockopt::set_socket_nosigpipe(fd, true).map_err(|errno| failure(errno, "SO_NOSIGPIPE"))
}

/// Where sharing and spreading are two options, the one that does both.
fn share_port(fd: &OwnedFd) -> rustix::io::Result<()> {
    #[cfg(target_os = "freebsd")]
    return sockopt::set_socket_reuseport_lb(fd, true);
    #[cfg(not(target_os = "freebsd"))]
    return sockopt::set_socket_reuseport(fd, true);
}
