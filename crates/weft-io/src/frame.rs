#![allow(unsafe_code, reason = "the kernel reads and writes a frame beside its owner")]
//! What the kernel is told of a transfer that one address and one length do not describe.
//!
//! What lives here: [`Outline`], what memory has told of itself; [`Frame`]: the list of spans, the message header, the
//! address of the other side; and [`Spans`], the form in which a backend gets the memory of a transfer. What does not: the
//! memory itself (`span.rs`), when a frame is read (`backend/*`).
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
use std::ops::Range;
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
    /// What is named, of each of `whole`.
    spans: [iovec; SPANS_MAX],
    /// What the memory has told of itself.
    whole: [iovec; SPANS_MAX],
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

    /// Keeps these spans, to be named in whole or in part.
    fn note(&mut self, spans: impl Iterator<Item = Span>) {
        let parts = self.parts();
        let mut count = 0;
        for span in spans.take(SPANS_MAX) {
            let iov = iovec { iov_base: span.address.cast::<c_void>(), iov_len: span.length };
            // SAFETY: within the allocation: the index is below `SPANS_MAX`.
            let place = unsafe { &raw mut (*parts).whole[count] };
            // SAFETY: rule 2: the kernel does not have it.
            unsafe { place.write(iov) };
            count += 1;
        }
        // SAFETY: rule 2.
        unsafe { (*parts).count = count };
    }

    /// What was kept.
    fn whole(&self) -> impl Iterator<Item = iovec> + use<> {
        let parts = self.parts();
        // SAFETY: rule 2; written by `note`, zero before.
        let whole = unsafe { (*parts).whole };
        // SAFETY: as above.
        let count = unsafe { (*parts).count };
        whole.into_iter().take(count)
    }

    /// Bytes in all that was kept.
    fn whole_length(&self) -> usize {
        self.whole().fold(0, |sum, span| sum.saturating_add(span.iov_len))
    }

    /// Names what of this range of the bytes there is, and no address.
    pub(crate) fn fill(&mut self, range: Range<usize>) {
        let parts = self.parts();
        let (mut skip, mut left) = (range.start, range.end.saturating_sub(range.start));
        let mut count = 0;
        for span in self.whole() {
            let begin = skip.min(span.iov_len);
            let length = (span.iov_len - begin).min(left);
            (skip, left) = (skip - begin, left - length);
            let address = span.iov_base.cast::<u8>().wrapping_add(begin);
            let iov = iovec { iov_base: address.cast::<c_void>(), iov_len: length };
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
        // SAFETY: rule 2; written by `note`, zero before.
        let count = unsafe { (*parts).count };
        // SAFETY: within the allocation.
        (unsafe { &raw mut (*parts).spans }.cast(), count)
    }

    /// Bytes in all of the spans.
    pub(crate) fn length(&self) -> usize {
        let (list, count) = self.list();
        // SAFETY: that many were written by `fill`, or are zero, and rule 2.
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

/// What the memory of a transfer has told of itself when the operation was submitted.
///
/// That is the only time at which it is asked: it is the user's code, and whoever submits can do with a panic. Nobody else
/// could, neither the poll thread nor one that waits for files. What it has told stays true for as long as the operation
/// has it ([`Source`], [`Target`]).
#[derive(Debug)]
pub(crate) struct Outline {
    /// The only span, or nothing.
    only: Span,
    /// Several, or a message with an address.
    frame: Option<Frame>,
    /// Bytes in all of them.
    length: usize,
}

// SAFETY: an outline holds addresses of memory that the operation owns beside it; whoever has the operation has both.
unsafe impl Send for Outline {}
// SAFETY: a shared outline gives out addresses, and uses none.
unsafe impl Sync for Outline {}

impl Outline {
    const NOTHING: Span = Span { address: NonNull::dangling().as_ptr(), length: 0, registered: None };

    /// Of no memory.
    pub(crate) const fn new() -> Outline {
        Outline { only: Outline::NOTHING, frame: None, length: 0 }
    }

    /// Asks memory that is read. Part of `prepare`: allocates the first time that it has several spans.
    pub(crate) fn ask_source<S: Source>(&mut self, source: &S, has_address: bool) -> Result<()> {
        let count = countable(source.count())?;
        self.note(count, has_address, |index| source.span(index));
        Ok(())
    }

    /// The same for memory that is written, which has to allow that.
    pub(crate) fn ask_target<T: Target>(&mut self, target: &mut T, has_address: bool) -> Result<()> {
        let count = countable(target.count())?;
        target.check_writes()?;
        self.note(count, has_address, |index| target.span(index));
        Ok(())
    }

    fn note(&mut self, count: usize, has_address: bool, mut span: impl FnMut(usize) -> Span) {
        if (count > 1 || has_address) && self.frame.is_none() {
            self.frame = Some(Frame::new());
        }
        match &mut self.frame {
            Some(frame) => {
                frame.note((0..count).map(span));
                self.length = frame.whole_length();
            }
            None => {
                self.only = if count == 0 { Outline::NOTHING } else { span(0) };
                self.length = self.only.length;
            }
        }
    }

    /// Bytes in all of the spans.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The only span, if there are not several.
    pub(crate) fn only(&self) -> Option<Span> {
        self.frame.is_none().then_some(self.only)
    }

    /// All of it, without so many bytes at the beginning.
    pub(crate) fn rest(&mut self, skip: usize) -> Spans<'_> {
        self.range(skip..usize::MAX)
    }

    /// What of this range there is.
    pub(crate) fn range(&mut self, range: Range<usize>) -> Spans<'_> {
        match &mut self.frame {
            Some(frame) => {
                frame.fill(range);
                Spans::Many(frame)
            }
            None => Spans::One(self.only.part(range)),
        }
    }

    /// All of it, in a frame that can have an address.
    pub(crate) fn message(&mut self) -> &mut Frame {
        let frame = self.frame.get_or_insert_with(Frame::new);
        frame.fill(0..usize::MAX);
        frame
    }

    /// The frame of the last message.
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frame.as_ref()
    }
}

/// Whether this many spans can be told.
fn countable(count: usize) -> Result<usize> {
    if count > SPANS_MAX {
        bail!(OutOfRange, "{count} spans in one transfer; {SPANS_MAX} are possible");
    }
    Ok(count)
}
