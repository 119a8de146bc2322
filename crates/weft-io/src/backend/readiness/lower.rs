//! How an operation is carried out by attempts, and what an attempt's answer means.
//!
//! What lives here: what each kind does when it begins ([`begin`]) and when its handle is ready ([`attempt`]). What does
//! not: who is asked when (`mod.rs`).
//!
//! 1. **An attempt never blocks.** It takes or puts what can be had at once, or says that there is nothing.
//! 2. An attempt that a signal interrupts is made again.
//! 3. Readiness is a hint: another process may have taken what was there. Whoever finds nothing waits on, in its place.

use super::descriptors::Line;
use super::event_set::Mask;
use crate::ops::{Body, Interest, Ready};
use crate::record::Erased;
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// What an operation ended with.
pub(super) type Outcome = Result<i64, i32>;

/// What the beginning of an operation has come to.
pub(super) enum Begun {
    /// It has ended.
    Ended(Outcome),
    /// It waits.
    Waits { fd: RawFd, line: Line, mask: Mask },
    /// It blocks, so a worker carries it out.
    Blocks,
}

/// Begins an operation of a kernel kind.
pub(super) fn begin(operation: &mut Erased) -> Begun {
    match operation.body() {
        Body::Nop => Begun::Ended(Ok(0)),
        // No attempt: whoever waits for an event does not expect it to be set.
        Body::EventWait(fd) => waits(fd, Line::Readers, Mask::IN | Mask::TROUBLE),
        Body::HandlePoll(fd, interest) => waits(fd, Line::Observers, of_interest(interest)),
        // A close has taken its file by now: whoever comes later finds it closed.
        Body::FileOpen(..)
        | Body::FileRead(..)
        | Body::FileWrite(..)
        | Body::FileSync(..)
        | Body::FileClose(..) => Begun::Blocks,
        // Not told of as a capability, so never asked for.
        _ => Begun::Ended(Err(Errno::OPNOTSUPP.raw_os_error())),
    }
}

fn waits(fd: BorrowedFd<'_>, line: Line, mask: Mask) -> Begun {
    Begun::Waits { fd: fd.as_raw_fd(), line, mask }
}

/// Tries to end an operation whose handle is ready; `None`: there was nothing.
pub(super) fn attempt(operation: &mut Erased, ready: Mask) -> Option<Outcome> {
    match operation.body() {
        Body::EventWait(fd) => take_signal(fd),
        Body::HandlePoll(..) => Some(observed(ready)),
        _ => unreachable!("it does not wait for a handle"),
    }
}

fn take_signal(fd: BorrowedFd<'_>) -> Option<Outcome> {
    let mut count = [0; 8];
    match again(|| rustix::io::read(fd, &mut count)) {
        Err(Errno::AGAIN) => None,
        // An eventfd gives eight bytes or an error.
        Ok(8) => Some(Ok(8)),
        Ok(_) => Some(Err(Errno::IO.raw_os_error())),
        Err(errno) => Some(Err(errno.raw_os_error())),
    }
}

/// What an observing operation ends with.
fn observed(ready: Mask) -> Outcome {
    if ready.contains(Mask::INVALID) {
        return Err(Errno::BADF.raw_os_error());
    }
    Ok(i64::from(Ready::from_poll(ready.bits()).bits()))
}

/// What an interest means; trouble is always told.
pub(super) fn of_interest(interest: Interest) -> Mask {
    let mut mask = Mask::TROUBLE;
    mask.set(Mask::IN, interest.contains(Interest::IN));
    mask.set(Mask::OUT, interest.contains(Interest::OUT));
    mask
}

/// Rule 2.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
