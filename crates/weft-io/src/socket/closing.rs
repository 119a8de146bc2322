//! Closing a socket that others hold.
//!
//! What lives here: when the file goes away while its number stays. What does not: how that is done (`open_handle.rs`),
//! cancelling what is under way first, and telling (`ops`).
//!
//! 1. The socket's own file goes with its last user, as always: its port is free, its peer sees the end.
//! 2. **Where the system does not let the file go while the number stays** (see `open_handle.rs`), both directions are shut
//!    down instead: the peer sees the end, a listener accepts nobody. The file, and with it the port, goes with the last
//!    clone.
//! 3. **No close waits for the peer.** A socket that lingers (`SO_LINGER` with a time; none is made here, but handles that
//!    are taken over can be so, and what their listeners accept) would have whoever closes it wait until all was
//!    delivered, although its handle does not block. So lingering is turned off before the close: what is unsent is sent
//!    all the same, by the system. `SO_LINGER` with no time, which resets the connection, waits for nobody and stays.
//! 4. **Rings that know the socket let it go first** (`registration.rs`), for they keep it open: not before the last operation
//!    on it has left, which may name it by its place, and a ring that listens to another thread when that comes by. The
//!    file, and with it the port, goes then; what the peer has to see, it sees at once: both directions are shut down, and a
//!    connection that a close would reset is reset. A stream within this machine is shut down in either case.
#![cfg(unix)]

use super::{Inner, Socket, SocketState};
use crate::open_handle::{self, Buried};
use crate::registration::LetGo;
use rustix::net::sockopt;
use std::os::fd::OwnedFd;
use weft_sync::atomic::Ordering;
use weft_sync::{Result, bail};

pub(super) use crate::open_handle::prepare;

impl Socket {
    /// From here on nothing can be done with the socket; `FAILED_PRECONDITION` if somebody else has begun before. What has
    /// entered by now is told by [`Socket::pending`].
    pub(crate) fn begin_close(&self) -> Result<()> {
        // SeqCst: the first step of rule 4 in `mod.rs`; the second is the caller's look at `pending`.
        let before = self.0.state.fetch_max(SocketState::Closing as u32, Ordering::SeqCst);
        if before >= SocketState::Closing as u32 {
            bail!(FailedPrecondition, "closing a socket: it is closed");
        }
        Ok(())
    }

    /// Ends what others have under way on it, in both directions.
    pub(crate) fn interrupt(&self) {
        // One without a peer is not shut down, but who waits for it is told all the same.
        let _ = rustix::net::shutdown(self, rustix::net::Shutdown::Both);
    }

    /// Breaks a connection off: what its peer has not got is thrown away, and memory that was lent to the system for it
    /// comes back.
    pub(crate) fn break_off(&self) {
        // Of what has no connection nothing is kept.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::connect_unspec(self);
    }

    /// Lets the peer see what it sees of a close (rule 4), where that comes later.
    pub(crate) fn end_for_peer(&self) {
        if self.0.kind.is_tcp() && self.would_reset() {
            self.break_off();
        }
        // Also then: where no connection can be broken off, this is what ends the waits of others.
        self.interrupt();
    }

    /// Whether its close is a reset to its peer: it was asked to be, or there is something that nobody has received.
    fn would_reset(&self) -> bool {
        let is_asked = sockopt::socket_linger(self).is_ok_and(|time| time.is_some_and(|time| time.is_zero()));
        is_asked || rustix::io::ioctl_fionread(self).is_ok_and(|unread| unread > 0)
    }

    /// Closes it, whoever else holds it; once, and after that nothing happens. Requests that the kernel has begun keep the
    /// file until they end; there is none that has yet to find it in the table of a ring (rule 4).
    pub(crate) fn close_now(&self) {
        let before = self.0.state.swap(SocketState::Closed as u32, Ordering::SeqCst);
        if before != SocketState::Closed as u32 {
            linger_no_more(&self.0);
            if self.0.known.let_go() == LetGo::Later {
                self.end_for_peer();
            }
            if open_handle::bury(&self.0.fd) == Buried::WithLastClone {
                // Rule 2.
                self.interrupt();
            }
        }
    }
}

/// Rule 3.
fn linger_no_more(socket: &Inner) {
    let fd: &OwnedFd = &socket.fd;
    if socket.kind.is_tcp()
        && sockopt::socket_linger(fd).is_ok_and(|time| time.is_some_and(|time| !time.is_zero()))
    {
        let _ = sockopt::set_socket_linger(fd, None);
    }
}

impl Drop for Inner {
    /// The last clone has gone, which closes the handle.
    fn drop(&mut self) {
        // Relaxed: nobody else has it any more.
        if self.state.load(Ordering::Relaxed) != SocketState::Closed as u32 {
            linger_no_more(self);
        }
    }
}
