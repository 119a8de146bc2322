#![allow(unsafe_code, reason = "a descriptor that others borrow is replaced under its number")]
//! Closing a socket that others hold.
//!
//! What lives here: how the file goes away while its number stays. What does not: cancelling what is under way first, and
//! telling (`ops`).
//!
//! 1. A number that is free is given to the next file that anybody opens. If a clone used it then, it would read and write
//!    that file. So the number is free only when the last clone has gone.
//! 2. Closing therefore puts another file under the number, in one step: the tombstone, on which every call fails with
//!    `EBADF` on Linux, and with another refusal elsewhere. The socket's own file goes with its last user, as always: its
//!    port is free, its peer sees the end.
//! 3. There is one tombstone for the process, opened before the first socket, so that closing cannot fail for want of
//!    descriptors.
#![cfg(unix)]

use super::{Socket, SocketState};
use crate::errno::failure;
use rustix::fs::{Mode, OFlags};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use weft_sync::atomic::Ordering;
use weft_sync::{Result, bail};

static TOMBSTONE: OnceLock<OwnedFd> = OnceLock::new();

/// Opens the tombstone, if there is none.
pub(super) fn prepare() -> Result<()> {
    if TOMBSTONE.get().is_some() {
        return Ok(());
    }
    // A path-only handle refuses everything. Elsewhere: what is no socket refuses what sockets do.
    #[cfg(target_os = "linux")]
    let (path, flags) = ("/", OFlags::PATH | OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    let (path, flags) = ("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC);
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| failure(errno, "opening what takes the place of closed sockets"))?;
    // Whoever else was as quick has set one that is as good.
    let _ = TOMBSTONE.set(file);
    Ok(())
}

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

    /// Closes it, whoever else holds it; once, and after that nothing happens. Requests that the kernel has begun keep the
    /// file until they end.
    pub(crate) fn close_now(&self) {
        let before = self.0.state.swap(SocketState::Closed as u32, Ordering::SeqCst);
        if before == SocketState::Closed as u32 {
            return;
        }
        let tombstone = TOMBSTONE.get().expect("it was opened before the socket was made");
        // SAFETY: the number is the socket's, which owns it while this runs, and the copy is never dropped. Who has
        // borrowed it sees an open file before and after, as a borrow promises.
        let place = unsafe { OwnedFd::from_raw_fd(self.0.fd.as_raw_fd()) };
        let mut place = ManuallyDrop::new(place);
        let replaced = loop {
            match replace(tombstone, &mut place) {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::BUSY) => {}
                outcome => break outcome,
            }
        };
        // Both are open, and the number exists: there is no other way to fail.
        debug_assert!(replaced.is_ok(), "putting a file in the place of a socket: {replaced:?}");
    }
}

#[cfg(not(target_vendor = "apple"))]
fn replace(tombstone: &OwnedFd, place: &mut OwnedFd) -> rustix::io::Result<()> {
    rustix::io::dup3(tombstone, place, rustix::io::DupFlags::CLOEXEC)
}

#[cfg(target_vendor = "apple")]
fn replace(tombstone: &OwnedFd, place: &mut OwnedFd) -> rustix::io::Result<()> {
    rustix::io::dup2(tombstone, place)?;
    rustix::io::fcntl_setfd(place, rustix::io::FdFlags::CLOEXEC)
}
