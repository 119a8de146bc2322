#![allow(unsafe_code, reason = "system calls that get addresses of memory are made here")]
//! Operations on files by system calls, on the thread that asks.
//!
//! What lives here: [`carry_out`]. What does not: on which thread that is (`backend/readiness`).
//!
//! # Safety
//!
//! The memory of a transfer belongs to the operation, which the caller has: the body borrows from it.
//!
//! # Rules
//!
//! 1. **What has no places** (terminals, and some devices, are streams; some special files have places to read from and
//!    none to write to) is read and written where it stands, as io_uring does: the place that the transfer names means
//!    nothing to it.
//! 2. **An open waits** for whoever has a lease of the file to give that up, as every plain open does, although it is asked
//!    for not to wait for the other end of a pipe.

use super::{FileOpen, Transfer};
use crate::frame::Spans;
use crate::ops::Body;
use libc::{c_int, iovec};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

/// Between two attempts to open what somebody has a lease of.
const LEASE_PAUSE: Duration = Duration::from_millis(5);

/// Carries an operation on a file out, and waits until it is done. What it ends with: a number, or one of the system's
/// errors, in the form that backends give back. Signals that interrupt begin it again.
///
/// Must be called with the body of an operation on a file.
pub(crate) fn carry_out(body: &mut Body<'_>) -> Result<i64, i32> {
    let outcome = match body {
        Body::FileOpen(open) => self::open(open),
        Body::FileRead(transfer) => repeated(|| read(transfer)),
        Body::FileWrite(transfer) => repeated(|| write(transfer)),
        Body::FileSync(file, is_data_only) => repeated(|| sync(file.fd, *is_data_only)),
        Body::FileClose(handle) => handle.take().map_or(Ok(0), close),
        _ => unreachable!("no operation on a file"),
    };
    outcome.map_err(Errno::raw_os_error)
}

fn repeated(mut call: impl FnMut() -> Result<i64, Errno>) -> Result<i64, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

fn open(open: &FileOpen) -> Result<i64, Errno> {
    loop {
        match rustix::fs::open(open.system_path(), open.system_flags(), FileOpen::mode()) {
            Ok(opened) => return Ok(i64::from(opened.into_raw_fd())),
            Err(Errno::INTR) => {}
            // Rule 2. The system ends a lease that its holder does not, after a while.
            Err(Errno::AGAIN) => std::thread::sleep(LEASE_PAUSE),
            Err(errno) => return Err(errno),
        }
    }
}

fn read(transfer: &Transfer<'_>) -> Result<i64, Errno> {
    let file = transfer.file.fd.as_raw_fd();
    with_list(&transfer.spans, |list, count| {
        // SAFETY: the list is of memory that may be written, see the header.
        let read =
            answer(unsafe { system::preadv(file, list, count, system::place(transfer.offset)?) } as i64);
        if read != Err(Errno::SPIPE) {
            return read;
        }
        // Rule 1.
        // SAFETY: the list is of memory that may be written, see the header.
        answer(unsafe { libc::readv(file, list, count) } as i64)
    })
}

fn write(transfer: &Transfer<'_>) -> Result<i64, Errno> {
    let file = transfer.file.fd.as_raw_fd();
    with_list(&transfer.spans, |list, count| {
        #[cfg(not(target_os = "linux"))]
        if rustix::fs::fcntl_getfl(transfer.file.fd)?.contains(rustix::fs::OFlags::APPEND) {
            // Only Linux writes at the end whatever the place is.
            // SAFETY: the list is of initialised memory, see the header.
            return answer(unsafe { libc::writev(file, list, count) } as i64);
        }
        // SAFETY: the list is of initialised memory, see the header.
        let wrote =
            answer(unsafe { system::pwritev(file, list, count, system::place(transfer.offset)?) } as i64);
        if wrote != Err(Errno::SPIPE) {
            return wrote;
        }
        // Rule 1.
        // SAFETY: the list is of initialised memory, see the header.
        answer(unsafe { libc::writev(file, list, count) } as i64)
    })
}

/// The memory as a list of pieces.
fn with_list(
    spans: &Spans<'_>,
    call: impl FnOnce(*const iovec, c_int) -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    match spans {
        Spans::One(span) => {
            let one = iovec { iov_base: span.address.cast(), iov_len: span.length };
            call(&raw const one, 1)
        }
        Spans::Many(frame) => {
            let (list, count) = frame.list();
            call(list, count as c_int)
        }
    }
}

fn sync(file: BorrowedFd<'_>, is_data_only: bool) -> Result<i64, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    if is_data_only {
        return rustix::fs::fdatasync(file).map(|()| 0);
    }
    let _ = is_data_only;
    rustix::fs::fsync(file).map(|()| 0)
}

fn close(handle: OwnedFd) -> Result<i64, Errno> {
    // SAFETY: it was owned until here, and whatever the answer is, the number is free.
    answer(i64::from(unsafe { libc::close(handle.into_raw_fd()) }))
}

/// What a call of the C library came to.
fn answer(outcome: i64) -> Result<i64, Errno> {
    if outcome >= 0 {
        return Ok(outcome);
    }
    let number = std::io::Error::last_os_error().raw_os_error();
    Err(number.map_or(Errno::IO, Errno::from_raw_os_error))
}

/// Calls with places of 64 bits, whatever the machine.
#[cfg(target_os = "linux")]
mod system {
    pub(super) use libc::{preadv64 as preadv, pwritev64 as pwritev};

    pub(super) fn place(offset: u64) -> Result<libc::off64_t, rustix::io::Errno> {
        libc::off64_t::try_from(offset).map_err(|_| rustix::io::Errno::OVERFLOW)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) use libc::{preadv, pwritev};

    pub(super) fn place(offset: u64) -> Result<libc::off_t, rustix::io::Errno> {
        libc::off_t::try_from(offset).map_err(|_| rustix::io::Errno::OVERFLOW)
    }
}
