#![allow(unsafe_code, reason = "the kernel reads and writes a frame beside its owner")]
//! What the kernel is told of a transfer that one address and one length do not describe.
//!
//! What lives here: [`Frame`]: the list of spans, the message header, the address of the other side; and [`Spans`], the
//! form in which a backend gets the memory of a transfer. What does not: the memory itself (`span.rs`), when a frame is
//! read (`backend/*`).
//!
//! # Safety
//!
//! 1. A frame lies in an allocation of its own that does not move, and is only used through raw pointers, so
//!    the kernel may read and write it while its owner is borrowed or moved.
//! 2. Its owner is the operation, which the backend keeps until the kernel has answered. It is filled before an
//!    operation goes to the kernel and looked at after it has come back.

use crate::span::{SPANS_MAX, Source, Span, Target};
use libc::{c_void, iovec, msghdr, sockaddr_storage};
use std::mem;
use std::ptr::{self, NonNull};
use weft_sync::{Result, bail};

/// The memory of a transfer.
#[derive(Debug)]
pub enum Spans<'a> {
    /// One piece, or nothing.
    One(Span),
    /// Several, in the frame; a message with an address has its only piece there too.
    Many(&'a Frame),
}

impl Spans<'_> {
    /// Bytes in all of them.
    pub(crate) fn length(&self) -> usize {
        match self {
            Spans::One(span) => span.length,
            Spans::Many(frame) => frame.length(),
        }
    }
}

struct Parts {
    header: msghdr,
    spans: [iovec; SPANS_MAX],
    count: usize,
    address: sockaddr_storage,
}

/// See the header.
pub struct Frame(NonNull<Parts>);

// SAFETY: a frame holds addresses of memory that the operation owns beside it; whoever has the operation has both.
unsafe impl Send for Frame {}
// SAFETY: a shared frame is only read by `header` and `spans`, which give out raw pointers.
unsafe impl Sync for Frame {}

impl Frame {
    pub(crate) fn new() -> Frame {
        // SAFETY: addresses and numbers, which may be zero.
        let parts: Parts = unsafe { mem::zeroed() };
        Frame(NonNull::from(Box::leak(Box::new(parts))))
    }

    fn parts(&self) -> *mut Parts {
        self.0.as_ptr()
    }

    /// Names these spans, and no address.
    pub(crate) fn fill(&mut self, spans: impl Iterator<Item = Span>) {
        let parts = self.parts();
        let mut count = 0;
        for span in spans.take(SPANS_MAX) {
            let iov = iovec { iov_base: span.address.cast::<c_void>(), iov_len: span.length };
            // SAFETY: within the allocation: the index is below `SPANS_MAX`.
            let place = unsafe { &raw mut (*parts).spans[count] };
            // SAFETY: rule 2: the kernel does not have it.
            unsafe { place.write(iov) };
            count += 1;
        }
        // SAFETY: zeroes are a header.
        let mut header: msghdr = unsafe { mem::zeroed() };
        // SAFETY: within the allocation; no reference is made.
        header.msg_iov = unsafe { &raw mut (*parts).spans }.cast();
        header.msg_iovlen = count as _;
        // SAFETY: rule 2.
        unsafe { (*parts).count = count };
        // SAFETY: rule 2; a header needs no drop.
        unsafe { (*parts).header = header };
    }

    /// Names the address that the message goes to.
    pub(crate) fn fill_destination(&mut self, address: &[u8]) {
        assert!(address.len() <= size_of::<sockaddr_storage>(), "an address fits into its storage");
        let parts = self.parts();
        // SAFETY: within the allocation.
        let storage = unsafe { &raw mut (*parts).address };
        // SAFETY: rule 2, and the length was checked.
        unsafe { ptr::copy_nonoverlapping(address.as_ptr(), storage.cast::<u8>(), address.len()) };
        // SAFETY: rule 2.
        unsafe { (*parts).header.msg_name = storage.cast() };
        // SAFETY: rule 2.
        unsafe { (*parts).header.msg_namelen = address.len() as _ };
    }

    /// Makes room for the address that the message came from.
    pub(crate) fn expect_sender(&mut self) {
        let parts = self.parts();
        // SAFETY: within the allocation.
        let storage = unsafe { &raw mut (*parts).address };
        // SAFETY: rule 2.
        unsafe { (*parts).header.msg_name = storage.cast() };
        // SAFETY: rule 2.
        unsafe { (*parts).header.msg_namelen = size_of::<sockaddr_storage>() as _ };
    }

    /// For the kernel: where the sender's address goes, and where its length.
    pub(crate) fn sender_place(&self) -> (*mut sockaddr_storage, *mut libc::socklen_t) {
        let parts = self.parts();
        // SAFETY: within the allocation.
        let storage = unsafe { &raw mut (*parts).address };
        // SAFETY: within the allocation.
        (storage, unsafe { &raw mut (*parts).header.msg_namelen })
    }

    /// The address that the message came from, as the kernel left it; the caller has seen the end of the operation.
    pub(crate) fn sender(&self) -> &[u8] {
        let parts = self.parts();
        // SAFETY: rule 2.
        let length = unsafe { (*parts).header.msg_namelen } as usize;
        let length = length.min(size_of::<sockaddr_storage>());
        // SAFETY: within the allocation.
        let storage = unsafe { &raw const (*parts).address };
        // SAFETY: rule 2: the kernel is done; the storage was zeroed when it was made, so all of it is initialised.
        unsafe { std::slice::from_raw_parts(storage.cast::<u8>(), length) }
    }

    /// What the kernel left in the header: `MSG_TRUNC` and the like.
    pub(crate) fn flags(&self) -> i32 {
        // SAFETY: rule 2.
        unsafe { (*self.parts()).header.msg_flags }
    }

    /// For the kernel.
    pub(crate) fn header(&self) -> *mut msghdr {
        // SAFETY: within the allocation.
        unsafe { &raw mut (*self.parts()).header }
    }

    /// For the kernel: the list, and how many there are.
    pub(crate) fn list(&self) -> (*mut iovec, usize) {
        let parts = self.parts();
        // SAFETY: rule 2; written by `fill`, zero before.
        let count = unsafe { (*parts).count };
        // SAFETY: within the allocation.
        (unsafe { &raw mut (*parts).spans }.cast(), count)
    }

    /// Bytes in all of the spans.
    pub(crate) fn length(&self) -> usize {
        let (list, count) = self.list();
        // SAFETY: that many were written by `fill`, and rule 2.
        let list = unsafe { std::slice::from_raw_parts(list, count) };
        list.iter().fold(0, |sum, span| sum.saturating_add(span.iov_len))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: `new` leaked it from a box, and rule 2: its owner is the last who has it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, count) = self.list();
        write!(f, "Frame({count} spans)")
    }
}

/// Whether this many spans can be told; makes the frame that they need. Part of `prepare`: allocates the first time.
pub(crate) fn prepare(frame: &mut Option<Frame>, count: usize, has_address: bool) -> Result<()> {
    if count > SPANS_MAX {
        bail!(OutOfRange, "{count} spans in one transfer; {SPANS_MAX} are possible");
    }
    if (count > 1 || has_address) && frame.is_none() {
        *frame = Some(Frame::new());
    }
    Ok(())
}

/// The same for memory that is written, which has to allow that.
pub(crate) fn prepare_target<T: Target>(
    frame: &mut Option<Frame>,
    target: &T,
    has_address: bool,
) -> Result<()> {
    prepare(frame, target.count(), has_address)?;
    target.check_writes()
}

/// The spans of memory that is read, without so many bytes at the beginning. `frame` was prepared for it.
pub(crate) fn of_rest<'a, S: Source>(source: &S, frame: &'a mut Option<Frame>, mut skip: usize) -> Spans<'a> {
    let mut rest = |index| {
        let span = source.span(index);
        let cut = skip.min(span.length);
        skip -= cut;
        span.part(cut..span.length)
    };
    match (source.count(), frame) {
        (count, Some(frame)) => {
            frame.fill((0..count).map(rest));
            Spans::Many(frame)
        }
        (0, None) => Spans::One(Span::of(&[])),
        (_, None) => Spans::One(rest(0)),
    }
}

/// Bytes that a source has.
pub(crate) fn length_of_source<S: Source>(source: &S) -> usize {
    (0..source.count()).fold(0, |sum, index| sum.saturating_add(source.span(index).length))
}

/// Bytes that a target has room for.
pub(crate) fn length_of_target<T: Target>(target: &mut T) -> usize {
    (0..target.count()).fold(0, |sum, index| sum.saturating_add(target.span(index).length))
}

/// The spans of memory that is written. `frame` was prepared for it.
pub(crate) fn of_target<'a, T: Target>(target: &mut T, frame: &'a mut Option<Frame>) -> Spans<'a> {
    match (target.count(), frame) {
        (count, Some(frame)) => {
            frame.fill((0..count).map(|index| target.span(index)));
            Spans::Many(frame)
        }
        (0, None) => Spans::One(Span::of(&[])),
        (_, None) => Spans::One(target.span(0)),
    }
}
