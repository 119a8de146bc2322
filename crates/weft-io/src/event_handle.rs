//! Handles that are readable while they are raised.
//!
//! What lives here: [`EventHandle`], an eventfd on Linux, a pipe elsewhere; [`raise`], [`lower`]. What does not: who waits
//! for one (`event.rs`), the wake of a backend (`backend`).
//!
//! 1. Raising never blocks, and may be done in a signal handler. What is raised already stays so: several times are once.
//! 2. Lowering takes everything there is.
//! 3. No half of one is left behind if the other cannot be made, and no program that is started inherits one.
#![cfg(unix)]

use crate::errno::failure;
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use weft_sync::Result;

/// See the header.
#[cfg(target_os = "linux")]
pub(crate) type EventHandle = OwnedFd;

/// See the header.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct EventHandle {
    read: OwnedFd,
    write: OwnedFd,
}

#[cfg(not(target_os = "linux"))]
impl AsFd for EventHandle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// One that is not raised.
pub(crate) fn new_event_handle() -> Result<EventHandle> {
    cfg_select! {
        target_os = "linux" => { new_eventfd() }
        _ => { new_pipe().map_err(|errno| failure(errno, "pipe")) }
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn new_eventfd() -> Result<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    eventfd(0, flags).map_err(|errno| failure(errno, "eventfd"))
}

#[cfg(not(target_os = "linux"))]
fn new_pipe() -> rustix::io::Result<EventHandle> {
    let (read, write) = rustix::pipe::pipe()?;
    for end in [&read, &write] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok(EventHandle { read, write })
}

/// Rule 1.
pub(crate) fn raise(handle: &EventHandle) {
    #[cfg(target_os = "linux")]
    let (end, bytes) = (handle, 1_u64.to_ne_bytes());
    #[cfg(not(target_os = "linux"))]
    let (end, bytes) = (&handle.write, [1_u8]);
    loop {
        match rustix::io::write(end, &bytes) {
            Err(Errno::INTR) => {}
            // One that is full is readable already.
            Ok(_) | Err(Errno::AGAIN) => return,
            // The handle is owned, so it is open, and both ends are: nothing else can come.
            Err(errno) => {
                debug_assert!(false, "raising an event: {errno}");
                return;
            }
        }
    }
}

/// Rule 2. `false`: there was nothing.
pub(crate) fn lower(handle: &EventHandle) -> bool {
    matches!(take(handle), Ok(true))
}

/// The same, of a handle that somebody else owns.
pub(crate) fn take(handle: impl AsFd) -> std::result::Result<bool, Errno> {
    // An eventfd gives eight bytes, whatever it holds, and then nothing; a pipe gives what is in it.
    let mut bytes = [0; if cfg!(target_os = "linux") { 8 } else { 512 }];
    let mut was_raised = false;
    loop {
        match rustix::io::read(&handle, &mut bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(was_raised),
            Err(errno) => return Err(errno),
            Ok(count) => {
                was_raised = true;
                if cfg!(target_os = "linux") || count < bytes.len() {
                    return Ok(true);
                }
            }
        }
    }
}
