//! Closing a socket that others hold.
//!
//! What lives here: when the file goes away while its number stays. What does not: how that is done (`open_handle.rs`),
//! cancelling what is under way first, and telling (`ops`).
//!
//! The socket's own file goes with its last user, as always: its port is free, its peer sees the end.
#![cfg(unix)]

use super::{Socket, SocketState};
use crate::open_handle;
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

    /// Closes it, whoever else holds it; once, and after that nothing happens. Requests that the kernel has begun keep the
    /// file until they end.
    pub(crate) fn close_now(&self) {
        let before = self.0.state.swap(SocketState::Closed as u32, Ordering::SeqCst);
        if before != SocketState::Closed as u32 {
            open_handle::bury(&self.0.fd);
        }
    }
}
