//! How an operation becomes an entry, and an answer an outcome.
//!
//! What lives here: opcodes, fields, what results mean. What does not: pushing and reaping (`ring.rs`).

use crate::ops::{Body, Kind, Ready};
use crate::record::{Erased, Side};
use io_uring::{opcode, squeue, types};
use rustix::io::Errno;
use std::os::fd::AsRawFd;
use weft_sync::atomic::AtomicU32;

/// Size and scope of futexes: 32 bits, of this process.
pub(super) const FUTEX_FLAGS: u32 = 2 | 128;
/// Whoever waits, whatever for.
pub(super) const FUTEX_ANY: u64 = u32::MAX as u64;

/// The entry of an operation of a kernel kind.
#[inline]
pub(super) fn entry(operation: &mut Erased) -> squeue::Entry {
    let side = operation.side();
    match operation.body() {
        Body::Nop => opcode::Nop::new().build(),
        // One read is wait and take in one: the kernel waits for the handle to be readable by itself, and a cancel
        // finds one request.
        Body::EventWait(fd) => read(fd.as_raw_fd(), side),
        Body::HandlePoll(fd, interest) => {
            opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), interest.to_poll()).build()
        }
        Body::FutexWait(wait) => {
            let word = AtomicU32::as_ptr(&wait.word).cast_const();
            opcode::FutexWait::new(word, u64::from(wait.expected), FUTEX_ANY, FUTEX_FLAGS).build()
        }
        Body::FutexWake(wake) => {
            let word = AtomicU32::as_ptr(&wake.word).cast_const();
            let count = u64::from(wake.count.min(i32::MAX as u32));
            opcode::FutexWake::new(word, count, FUTEX_ANY, FUTEX_FLAGS).build()
        }
        _ => unreachable!("the poll thread carries it out"),
    }
}

fn read(fd: i32, side: *mut Side) -> squeue::Entry {
    opcode::Read::new(types::Fd(fd), side.cast(), 8).build()
}

/// What the kernel's answer means to an operation of this kind.
#[inline]
pub(super) fn outcome(kind: Kind, result: i32) -> Result<i64, i32> {
    if result < 0 {
        return failure(kind, result.wrapping_neg());
    }
    match kind {
        Kind::HandlePoll => Ok(i64::from(Ready::from_poll(result as u32).bits())),
        // An eventfd gives eight bytes or an error.
        Kind::EventWait if result != 8 => Err(Errno::IO.raw_os_error()),
        _ => Ok(i64::from(result)),
    }
}

#[cold]
fn failure(kind: Kind, errno: i32) -> Result<i64, i32> {
    // The word did not hold what was expected: there is nothing to wait for.
    if kind == Kind::FutexWait && errno == Errno::AGAIN.raw_os_error() {
        return Ok(0);
    }
    Err(errno)
}
