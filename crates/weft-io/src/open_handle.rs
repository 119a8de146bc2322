#![allow(unsafe_code, reason = "a descriptor that others borrow is replaced under its number")]
//! Closing what others hold.
//!
//! What lives here: the tombstone, and how it takes the place of an open file under its number. What does not: who decides
//! that (`socket/closing.rs`, `file.rs`).
//!
//! 1. A number that is free is given to the next file that anybody opens. If a clone used it then, it would read and write
//!    that file. So the number is free only when the last clone has gone.
//! 2. Closing therefore puts another file under the number, in one step: the tombstone, on which every call fails with
//!    `EBADF` on Linux, and with another refusal elsewhere. The file itself goes with its last user, as always: requests
//!    that the kernel has begun keep it until they end.
//!    A process that lowers its limit of handles below numbers that are open, or filters the call, cannot put anything
//!    there. Then the number keeps what it has until the last clone has gone, and the caller is told: what else can be done
//!    about it is done by whoever knows what it is.
//! 3. There is one tombstone for the process, opened before the first handle that may need it, so that closing cannot fail
//!    for want of descriptors.
#![cfg(unix)]

use crate::errno::failure;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use weft_sync::Result;

static TOMBSTONE: OnceLock<OwnedFd> = OnceLock::new();

/// Opens the tombstone, if there is none. To be called before a handle is made that may be buried.
pub(crate) fn prepare() -> Result<()> {
    if TOMBSTONE.get().is_some() {
        return Ok(());
    }
    // A path-only handle refuses everything. Elsewhere: what is neither a socket nor a file with content refuses, or
    // ignores, what those do.
    #[cfg(target_os = "linux")]
    let (path, flags) = ("/", OFlags::PATH | OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    let (path, flags) = ("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC);
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| failure(errno, "opening what takes the place of closed handles"))?;
    // Whoever else was as quick has set one that is as good.
    let _ = TOMBSTONE.set(file);
    Ok(())
}

/// An open file that has nothing in it and takes everything.
pub(crate) fn nothing() -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// What became of a burial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Buried {
    /// The tombstone is under the number.
    Now,
    /// The system did not let it; what was open stays so until the number is given back.
    WithLastClone,
}

/// Puts the tombstone in the place of what is open, see rule 2. Panics if it was never prepared.
pub(crate) fn bury(handle: &OwnedFd) -> Buried {
    let tombstone = TOMBSTONE.get().expect("it was opened before the handle was made");
    // SAFETY: the number is the handle's, which owns it while this runs, and the copy is never dropped. Who has borrowed
    // it sees an open file before and after, as a borrow promises.
    let place = unsafe { OwnedFd::from_raw_fd(handle.as_raw_fd()) };
    let mut place = ManuallyDrop::new(place);
    loop {
        match replace(tombstone, &mut place) {
            Ok(()) => return Buried::Now,
            Err(Errno::INTR | Errno::BUSY) => {}
            // A limit, or a filter: both are open, and the number exists.
            Err(_) => return Buried::WithLastClone,
        }
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
