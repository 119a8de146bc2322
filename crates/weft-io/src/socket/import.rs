//! Sockets that others made.
//!
//! What lives here: taking over a handle. What does not: making one (`create.rs`).
//!
//! 1. The handle is made not to block, which those see, too, who have copies of it; nothing else is changed.
//! 2. What it is, is asked of the system, so that the socket's kind cannot be wrong.
#![cfg(unix)]

use super::{Socket, SocketKind, SocketState, closing, query};
use crate::errno::failure;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::sockopt;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use weft_sync::{Result, Status, bail};

/// A handle that cannot be taken over, and why.
pub struct RefusedImport {
    /// Why.
    pub why: Status,
    /// As it was.
    pub handle: OwnedFd,
}

impl Socket {
    /// Takes over a socket. A listener listens, and what has a peer is connected. `is_zero_copy` asserts that the handle is
    /// set up for it.
    pub fn import(
        handle: OwnedFd,
        kind: SocketKind,
        is_zero_copy: bool,
    ) -> std::result::Result<Socket, RefusedImport> {
        match closing::prepare().and_then(|()| adopt(&handle, kind)) {
            Ok(state) => Ok(Socket::of(handle, kind, is_zero_copy, state)),
            Err(why) => Err(RefusedImport { why, handle }),
        }
    }
}

/// Checks the handle, stops it from blocking, and says what it has come to.
fn adopt(handle: &OwnedFd, kind: SocketKind) -> Result<SocketState> {
    let found =
        sockopt::socket_type(handle).map_err(|errno| failure(errno, "asking a handle for its kind"))?;
    // Not SO_DOMAIN, which not every system has.
    let address = rustix::net::getsockname(handle).map_err(|errno| failure(errno, "getsockname"))?;
    if found != kind.socket_type() || address.address_family() != kind.family().system() {
        bail!(InvalidArgument, "the handle is no socket for {kind:?}");
    }
    let state = state_of(handle)?;
    let flags = rustix::fs::fcntl_getfl(handle).map_err(|errno| failure(errno, "F_GETFL"))?;
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(handle, flags | OFlags::NONBLOCK)
            .map_err(|errno| failure(errno, "F_SETFL"))?;
    }
    Ok(state)
}

fn state_of(handle: &OwnedFd) -> Result<SocketState> {
    if query::is_listening(handle.as_fd()) {
        return Ok(SocketState::Listening);
    }
    match rustix::net::getpeername(handle) {
        Ok(_) => Ok(SocketState::Connected),
        Err(Errno::NOTCONN) => Ok(SocketState::Created),
        // A connection whose peer has gone; Apple's systems say so.
        Err(Errno::INVAL) => Ok(SocketState::Connected),
        Err(errno) => Err(failure(errno, "getpeername")),
    }
}

impl From<RefusedImport> for Status {
    fn from(refused: RefusedImport) -> Status {
        refused.why
    }
}

impl fmt::Debug for RefusedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedImport({})", self.why)
    }
}
