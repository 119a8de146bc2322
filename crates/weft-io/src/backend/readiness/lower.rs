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
use super::sockets;
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
    /// It waits, after a first attempt if that makes sense and nobody is before it.
    Waits { fd: RawFd, line: Line, mask: Mask, first: First },
    /// It blocks, so a worker carries it out.
    Blocks,
}

/// Whether an attempt is made at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Whoever waits does not expect that there is something.
    None,
    /// There usually is.
    Attempt,
    /// There is if the last one found as much as it could take.
    IfFull,
}

/// Begins an operation of a kernel kind.
pub(super) fn begin(operation: &mut Erased) -> Begun {
    match operation.body() {
        Body::Nop => Begun::Ended(Ok(0)),
        Body::EventWait(fd) => reads(fd, First::None),
        Body::HandlePoll(fd, interest) => waits(fd, Line::Observers, of_interest(interest), First::None),
        Body::Accept { listener, .. } | Body::AcceptMany { listener, .. } => {
            reads(listener.fd, First::Attempt)
        }
        Body::Recv { socket, .. } => reads(socket.fd, First::IfFull),
        Body::RecvPool(pooled) => reads(pooled.socket.fd, First::None),
        Body::Send(sending) => writes(sending.socket.fd, First::Attempt),
        Body::Connect { socket, address } => match sockets::connect(socket.fd, address) {
            Some(outcome) => Begun::Ended(outcome),
            None => writes(socket.fd, First::None),
        },
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

fn reads(fd: BorrowedFd<'_>, first: First) -> Begun {
    waits(fd, Line::Readers, Mask::IN | Mask::TROUBLE, first)
}

fn writes(fd: BorrowedFd<'_>, first: First) -> Begun {
    waits(fd, Line::Writers, Mask::OUT | Mask::TROUBLE, first)
}

fn waits(fd: BorrowedFd<'_>, line: Line, mask: Mask, first: First) -> Begun {
    Begun::Waits { fd: fd.as_raw_fd(), line, mask, first }
}

/// Tries to end an operation whose handle is ready; `None`: there was nothing.
pub(super) fn attempt(operation: &mut Erased, ready: Mask) -> Option<Outcome> {
    match operation.body() {
        Body::EventWait(fd) => take_signal(fd),
        Body::HandlePoll(..) => Some(observed(ready)),
        Body::Accept { listener, peer } => {
            sockets::accept(listener.fd, Some(peer)).or_else(|| deaf(listener.fd, ready))
        }
        Body::AcceptMany { listener, .. } => {
            sockets::accept(listener.fd, None).or_else(|| deaf(listener.fd, ready))
        }
        Body::Connect { socket, address } => sockets::connected(socket.fd, address),
        Body::Recv { socket, spans, .. } => {
            sockets::recv(socket.fd, &spans).or_else(|| trouble(socket.fd, ready))
        }
        Body::RecvPool(mut pooled) => pooled.attempt().or_else(|| trouble(pooled.socket.fd, ready)),
        Body::Send(sending) => sockets::send(&sending).or_else(|| trouble(sending.socket.fd, ready)),
        _ => unreachable!("it does not wait for a handle"),
    }
}

/// There was nothing although the socket is in trouble: it says what that is, or would say so again and again.
fn trouble(socket: BorrowedFd<'_>, ready: Mask) -> Option<Outcome> {
    if !ready.intersects(Mask::TROUBLE) {
        return None;
    }
    let hung_up = ready.contains(Mask::HUP).then_some(Errno::CONNRESET);
    sockets::failure_of(socket).or(hung_up).map(|errno| Err(errno.raw_os_error()))
}

/// The same of one that listens. Shut down it has hung up, and of some kinds systems say no more than that there is nobody;
/// what others say is said of those, too.
fn deaf(listener: BorrowedFd<'_>, ready: Mask) -> Option<Outcome> {
    trouble(listener, ready).map(|_| Err(Errno::INVAL.raw_os_error()))
}

/// Whether a receive found as much as it could take, so that there is probably more.
pub(super) fn is_full(operation: &mut Erased, outcome: &Outcome) -> bool {
    match (operation.body(), outcome) {
        (Body::Recv { spans, .. }, Ok(count)) => *count > 0 && usize::try_from(*count) == Ok(spans.length()),
        _ => false,
    }
}

fn take_signal(fd: BorrowedFd<'_>) -> Option<Outcome> {
    match crate::event_handle::take(fd) {
        Ok(false) => None,
        Ok(true) => Some(Ok(8)),
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
pub(super) fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
