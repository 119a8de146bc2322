//! How an operation becomes an entry, and an answer an outcome.
//!
//! What lives here: opcodes, fields, what results mean. What does not: pushing and reaping (`ring.rs`).
//!
//! Files: the kernel opens, reads, writes, syncs and closes without waiting where it can, and on threads of its own where
//! it cannot. Some files answer that they cannot now (`EAGAIN`) instead, and what waits on a thread can be interrupted
//! (`EINTR`): both are asked again, on a thread from the start, see [`is_again`].

use super::ring::{Answer, flag};
use crate::frame::Spans;
use crate::memory::Filled;
use crate::ops::body::{Sending, ZeroCopy};
use crate::ops::outcome::Outcome;
use crate::ops::{Body, FileOpen, Kind, Pooled, Ready, Transfer};
use crate::record::{Erased, Side};
use crate::registration::Named;
use crate::span::Span;
use io_uring::{opcode, squeue, types};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, IntoRawFd};
use weft_sync::atomic::AtomicU32;

/// Size and scope of futexes: 32 bits, of this process.
pub(super) const FUTEX_FLAGS: u32 = 2 | 128;
/// Whoever waits, whatever for.
pub(super) const FUTEX_ANY: u64 = u32::MAX as u64;

/// The entry of an operation of a kernel kind, on the ring of this proactor.
#[inline]
pub(super) fn entry(operation: &mut Erased, proactor: u32) -> squeue::Entry {
    let side = operation.side();
    let mut flags = squeue::Flags::empty();
    // What names an open file: its place in the table of this ring, or its number.
    let mut name = |file: Named<'_>| match file.place(proactor) {
        Some(place) => {
            flags = FIXED_FILE;
            types::Fd(place as i32)
        }
        None => types::Fd(file.fd.as_raw_fd()),
    };
    let made = match operation.body() {
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
        Body::FileRead(transfer) => read_file(&transfer, name(transfer.file), proactor),
        Body::FileWrite(transfer) => write_file(&transfer, name(transfer.file), proactor),
        Body::FileSync(file, is_data_only) => {
            let what = if is_data_only { types::FsyncFlags::DATASYNC } else { types::FsyncFlags::empty() };
            opcode::Fsync::new(name(file)).flags(what).build()
        }
        Body::FileClose(Some(handle)) => opcode::Close::new(types::Fd(handle.as_raw_fd())).build(),
        Body::Accept { listener, peer } => {
            let (address, length) = peer.sender_place();
            opcode::Accept::new(name(listener), address.cast(), length).flags(ACCEPT_FLAGS).build()
        }
        Body::AcceptMany { listener, is_native: true } => {
            opcode::AcceptMulti::new(name(listener)).flags(ACCEPT_FLAGS).build()
        }
        Body::AcceptMany { listener, is_native: false } => {
            let nowhere = std::ptr::null_mut();
            opcode::Accept::new(name(listener), nowhere, std::ptr::null_mut()).flags(ACCEPT_FLAGS).build()
        }
        // Read when the request begins or, by old kernels, when it goes on; the operation has it until it ends.
        Body::Connect { socket, address } => {
            opcode::Connect::new(name(socket), address.as_ptr().cast(), address.length()).build()
        }
        Body::Recv { socket, spans, is_drained } => receive(name(socket), &spans, is_drained),
        Body::RecvPool(mut pooled) => {
            let fd = name(pooled.socket);
            receive_pooled(&mut pooled, fd, proactor)
        }
        Body::Send(sending) => send(&sending, name(sending.socket), proactor),
        // Others hold it, or it is closed.
        Body::FileClose(None) => opcode::Nop::new().build(),
        _ => unreachable!("the poll thread carries it out"),
    };
    made.flags(flags)
}

/// Whether it is a transfer between memory and a device.
#[inline]
pub(super) fn is_direct(operation: &mut Erased) -> bool {
    operation.kind().is_file()
        && matches!(operation.body(), Body::FileRead(transfer) | Body::FileWrite(transfer) if transfer.is_direct)
}

/// The slot in which the ring knows the pages of this memory.
fn own_slot(span: Span, proactor: u32) -> Option<u16> {
    span.registered.filter(|registered| registered.proactor == proactor).map(|registered| registered.index)
}

fn read_file(transfer: &Transfer<'_>, fd: types::Fd, proactor: u32) -> squeue::Entry {
    let offset = transfer.offset;
    match transfer.spans {
        Spans::One(span) => {
            // Cut to less than 2³¹ by the operation.
            let length = span.length as u32;
            match own_slot(span, proactor) {
                Some(slot) => opcode::ReadFixed::new(fd, span.address, length, slot).offset(offset).build(),
                None => opcode::Read::new(fd, span.address, length).offset(offset).build(),
            }
        }
        Spans::Many(frame) => {
            let (list, count) = frame.list();
            opcode::Readv::new(fd, list, count as u32).offset(offset).build()
        }
    }
}

fn write_file(transfer: &Transfer<'_>, fd: types::Fd, proactor: u32) -> squeue::Entry {
    let offset = transfer.offset;
    match transfer.spans {
        Spans::One(span) => {
            let length = span.length as u32;
            match own_slot(span, proactor) {
                Some(slot) => opcode::WriteFixed::new(fd, span.address, length, slot).offset(offset).build(),
                None => opcode::Write::new(fd, span.address, length).offset(offset).build(),
            }
        }
        Spans::Many(frame) => {
            let (list, count) = frame.list();
            opcode::Writev::new(fd, list, count as u32).offset(offset).build()
        }
    }
}

/// `IOSQE_FIXED_FILE`: the entry names a file by its place.
const FIXED_FILE: squeue::Flags = squeue::Flags::from_bits_retain(1);
/// What an accepted connection has from the start.
const ACCEPT_FLAGS: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
/// `IORING_RECVSEND_POLL_FIRST`: an attempt that finds nothing costs more than to look whether there is something.
const POLL_FIRST: u16 = 1;
/// `IORING_SEND_ZC_REPORT_USAGE`.
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`.
const WAS_COPIED: i32 = i32::MIN;

/// What the kernel can take at once; the operation goes on with the rest.
fn clamped(span: Span) -> u32 {
    span.length.min(0x7FFF_F000) as u32
}

fn send(sending: &Sending<'_>, fd: types::Fd, proactor: u32) -> squeue::Entry {
    let mut flags = libc::MSG_NOSIGNAL;
    if sending.is_stream {
        flags |= libc::MSG_WAITALL;
    }
    if sending.has_more {
        flags |= libc::MSG_MORE;
    }
    let reports = if sending.zero_copy == ZeroCopy::Reported { REPORT_USAGE } else { 0 };
    match (sending.zero_copy, &sending.spans) {
        (ZeroCopy::No, &Spans::One(span)) => {
            opcode::Send::new(fd, span.address, clamped(span)).flags(flags).build()
        }
        (ZeroCopy::No, Spans::Many(frame)) => {
            opcode::SendMsg::new(fd, frame.header()).flags(flags as u32).build()
        }
        (_, &Spans::One(span)) => {
            let plain = opcode::SendZc::new(fd, span.address, clamped(span)).flags(flags).zc_flags(reports);
            plain.buf_index(own_slot(span, proactor)).build()
        }
        (_, Spans::Many(frame)) => {
            opcode::SendMsgZc::new(fd, frame.header()).flags(flags as u32).ioprio(reports).build()
        }
    }
}

fn receive(fd: types::Fd, spans: &Spans<'_>, is_drained: bool) -> squeue::Entry {
    let how = if is_drained { POLL_FIRST } else { 0 };
    match *spans {
        Spans::One(span) => opcode::Recv::new(fd, span.address, clamped(span)).ioprio(how).build(),
        Spans::Many(frame) => opcode::RecvMsg::new(fd, frame.header()).ioprio(how).build(),
    }
}

/// The kernel picks a buffer when there is data; or, where it cannot, it says when.
fn receive_pooled(pooled: &mut Pooled<'_>, fd: types::Fd, proactor: u32) -> squeue::Entry {
    match pooled.begin(proactor) {
        Some(group) if pooled.takes_bundles => opcode::RecvMultiBundle::new(fd, group).build(),
        Some(group) if pooled.is_many => opcode::RecvMulti::new(fd, group).build(),
        Some(group) => {
            let receive = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(group);
            receive.build().flags(squeue::Flags::BUFFER_SELECT)
        }
        None => opcode::PollAdd::new(fd, libc::POLLIN as u32).build(),
    }
}

/// What an answer means to a receive into a pool, which has the buffer afterwards. `None`: it has to be asked again.
pub(super) fn outcome_of_pooled(
    operation: &mut Erased,
    answer: &Answer,
    proactor: u32,
) -> Option<Result<i64, i32>> {
    let Body::RecvPool(mut pooled) = operation.body() else { return Some(Ok(i64::from(answer.result))) };
    let bytes = u32::try_from(answer.result);
    let filled = (answer.flags & flag::BUFFER != 0).then(|| Filled {
        buffer: (answer.flags >> 16) as u16,
        bytes: bytes.unwrap_or(0),
        goes_on: answer.flags & flag::BUFFER_GOES_ON != 0,
    });
    let is_last = answer.flags & flag::MORE == 0;
    let is_native = pooled.picked(proactor, filled, is_last);
    match bytes {
        Err(_) => Some(Err(answer.result.wrapping_neg())),
        Ok(bytes) if is_native => Some(Ok(i64::from(bytes))),
        Ok(_) => pooled.attempt(),
    }
}

/// What the flags of an answer add to what a receive got.
#[inline]
pub(super) fn outcome_of_receive(outcome: Result<i64, i32>, flags: u32) -> Result<i64, i32> {
    match outcome {
        // The end of a stream, an empty message, and failures are what they are.
        Ok(value @ 1..) if flags & flag::NOT_EMPTY == 0 => Ok(Outcome::from_value(value).drained().value()),
        _ => outcome,
    }
}

/// What two answers mean to a send: its result, and what became of its memory.
pub(super) fn outcome_of_zero_copy(result: i32, notification: i32) -> Result<i64, i32> {
    let sent = u32::try_from(result).map_err(|_| result.wrapping_neg())?;
    let outcome = Outcome::of(sent);
    // Whether the kernel was asked to report is known to the operation.
    let is_copied = notification & WAS_COPIED != 0;
    Ok(if is_copied { outcome.value() } else { outcome.without_copy().value() })
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

/// Whether an answer says only that it cannot be now. Who waits for a socket or an event is not told that: somebody else
/// was quicker, again and again, or the handle is ready only in name. A file that is opened waits until whoever has a lease
/// of it gives that up. A connect is told: there is no room where it goes to.
#[inline]
pub(super) fn is_given_up(kind: Kind, answer: i32) -> bool {
    if answer >= 0 {
        return false;
    }
    let errno = Errno::from_raw_os_error(answer.wrapping_neg());
    let waits = kind.is_transfer() && kind != Kind::SocketConnect;
    match errno {
        Errno::AGAIN => waits || kind == Kind::EventWait || kind == Kind::FileOpen,
        Errno::INTR => waits,
        _ => false,
    }
}

/// Whether nobody will ever come to whoever accepts: one of this machine that is shut down says no more than that there is
/// nobody now.
pub(super) fn is_deaf(operation: &mut Erased) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let (Body::Accept { listener, .. } | Body::AcceptMany { listener, .. }) = operation.body() else {
        return false;
    };
    let mut handle = [PollFd::from_borrowed_fd(listener.fd, PollFlags::IN)];
    let told = poll(&mut handle, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    told.is_ok() && handle[0].revents().contains(PollFlags::HUP)
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
