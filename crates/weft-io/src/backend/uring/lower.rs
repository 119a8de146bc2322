//! How an operation becomes an entry, and an answer an outcome.
//!
//! What lives here: opcodes, fields, what results mean. What does not: pushing and reaping (`ring.rs`).
//!
//! Files: the kernel opens, reads, writes, syncs and closes without waiting where it can, and on threads of its own where
//! it cannot. Some files answer that they cannot now (`EAGAIN`) instead, and what waits on a thread can be interrupted
//! (`EINTR`): both are asked again, on a thread from the start, see [`is_again`].

use crate::frame::Spans;
use crate::ops::{Body, FileOpen, Kind, Ready};
use crate::record::{Erased, Side};
use io_uring::{opcode, squeue, types};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, IntoRawFd};
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
        Body::FileOpen(open) => {
            // Owned by the parameters; the kernel copies it when it begins.
            let path = open.system_path().as_ptr();
            let (flags, mode) = (open.system_flags().bits() as i32, FileOpen::mode().bits());
            opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path).flags(flags).mode(mode).build()
        }
        Body::FileRead(transfer) => {
            let (fd, offset) = (types::Fd(transfer.file.as_raw_fd()), transfer.offset);
            match transfer.spans {
                Spans::One(span) => {
                    opcode::Read::new(fd, span.address, span.length as u32).offset(offset).build()
                }
                Spans::Many(frame) => {
                    let (list, count) = frame.list();
                    opcode::Readv::new(fd, list, count as u32).offset(offset).build()
                }
            }
        }
        Body::FileWrite(transfer) => {
            let (fd, offset) = (types::Fd(transfer.file.as_raw_fd()), transfer.offset);
            match transfer.spans {
                Spans::One(span) => {
                    opcode::Write::new(fd, span.address, span.length as u32).offset(offset).build()
                }
                Spans::Many(frame) => {
                    let (list, count) = frame.list();
                    opcode::Writev::new(fd, list, count as u32).offset(offset).build()
                }
            }
        }
        Body::FileSync(file, is_data_only) => {
            let flags = if is_data_only { types::FsyncFlags::DATASYNC } else { types::FsyncFlags::empty() };
            opcode::Fsync::new(types::Fd(file.as_raw_fd())).flags(flags).build()
        }
        Body::FileClose(Some(handle)) => opcode::Close::new(types::Fd(handle.as_raw_fd())).build(),
        // Others hold it, or it is closed.
        Body::FileClose(None) => opcode::Nop::new().build(),
        _ => unreachable!("the poll thread carries it out"),
    }
}

fn read(fd: i32, side: *mut Side) -> squeue::Entry {
    opcode::Read::new(types::Fd(fd), side.cast(), 8).build()
}

/// Whether the kernel is to be asked once more about a file, by a thread of its own that may wait. A close is not: the
/// number is free, whatever it says.
#[inline]
pub(super) fn is_again(kind: Kind, answer: i32, is_repeated: bool) -> bool {
    if answer >= 0 || kind == Kind::FileClose {
        return false;
    }
    let errno = answer.wrapping_neg();
    // Who waits and is told a second time that it cannot be now, is told so by the file, not by who asks.
    errno == Errno::INTR.raw_os_error() || (errno == Errno::AGAIN.raw_os_error() && !is_repeated)
}

/// What the answer has done to what the operation owns: a number that the kernel has closed, or found not to be open, is
/// nobody's any more. One that it was kept from closing is closed with the operation.
pub(super) fn settle(operation: &mut Erased, answer: i32) {
    if answer != Errno::CANCELED.raw_os_error().wrapping_neg()
        && let Body::FileClose(handle) = operation.body()
        && let Some(closed) = handle.take()
    {
        let _ = closed.into_raw_fd();
    }
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
