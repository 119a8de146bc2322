#![allow(unsafe_code, reason = "whoever provides memory for operations promises that it stays where it is")]
//! The memory that transfers read and write.
//!
//! What lives here: [`Source`] and [`Target`], which memory can be, [`Span`], a piece of it, and [`Part`], less than all of
//! it. What does not: registered memory and pools (`memory`), what the kernel is told of several spans (`frame.rs`).
//!
//! 1. **An operation owns the memory that it works on.** So nobody frees, moves or changes it while the kernel uses it,
//!    whatever becomes of the caller, and it comes back with the operation.
//! 2. **A memory has up to [`SPANS_MAX`] spans**, which are filled or sent in order, as if they were one piece.
//! 3. **What others share** ([`SharedLease`](crate::SharedLease), memory of devices) goes to the system, which reads and
//!    writes it like any; but nobody makes references to it. Whatever does needs [`Exclusive`] memory.
//! 4. **Memory is asked once**, when its operation is submitted, by whoever submits it (for a step that a function may have
//!    changed: when it starts): how many spans, and each of them. A panic is then that of `submit`, and nothing has
//!    happened; that of such a step ends its sequence.
//! 5. Everything in a span is initialised: what a transfer fills is a `Vec<u8>` of that length, not of that capacity.

use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use weft_sync::{Result, bail};

/// Spans of one operation, at most.
pub const SPANS_MAX: usize = 8;

/// One piece of memory, as a transfer sees it.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where it begins; anything if it is empty.
    pub address: *mut u8,
    /// How many bytes.
    pub length: usize,
    /// The registration that it lies in, if the kernel knows its pages.
    pub registered: Option<Registered>,
}

/// Where a span lies among the registered buffers of a proactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The proactor that knows it; to any other it is memory like any.
    pub proactor: u32,
    /// Its place in the table of buffers; the whole span lies in that buffer.
    pub index: u16,
}

impl Span {
    /// A piece of ordinary memory that is read.
    pub fn of(bytes: &[u8]) -> Span {
        Span { address: bytes.as_ptr().cast_mut(), length: bytes.len(), registered: None }
    }

    /// A piece of ordinary memory that is written.
    pub fn of_mut(bytes: &mut [u8]) -> Span {
        Span { address: bytes.as_mut_ptr(), length: bytes.len(), registered: None }
    }

    /// Less of it; what of the range lies within.
    pub(crate) fn part(self, range: Range<usize>) -> Span {
        let (start, end) = (range.start.min(self.length), range.end.min(self.length));
        Span { address: self.address.wrapping_add(start), length: end.saturating_sub(start), ..self }
    }
}

/// Memory that operations send or write to files. Asked for its spans when an operation is submitted; a panic is then that
/// of the submission.
///
/// # Safety
///
/// For as long as the value lives, and until it is used in another way than by these functions and by moving it:
/// 1. each span names initialised bytes, which stay at their addresses even if the value is moved;
/// 2. whoever else may use the bytes meanwhile, such as another process, does so through raw pointers alone, and nobody makes
///    a reference to them;
/// 3. `count` and the lengths stay what they are.
pub unsafe trait Source: Send + 'static {
    /// How many spans: 0 to [`SPANS_MAX`], else the operation is refused.
    fn count(&self) -> usize {
        1
    }

    /// One of them. Panics for an index that is not below the count.
    fn span(&self, index: usize) -> Span;
}

/// Memory that operations receive into or read from files. Asked for its spans as a [`Source`] is.
///
/// # Safety
///
/// As [`Source`], and the bytes may be written through the addresses, by the system or through raw pointers.
pub unsafe trait Target: Send + 'static {
    /// How many spans: 0 to [`SPANS_MAX`], else the operation is refused.
    fn count(&self) -> usize {
        1
    }

    /// One of them. Panics for an index that is not below the count.
    fn span(&mut self, index: usize) -> Span;

    /// Why nothing may be written there: whoever submits an operation that would is refused with this.
    fn check_writes(&self) -> Result<()> {
        Ok(())
    }
}

/// Memory that nobody else has: references may be made to it, and what they see does not change by itself.
///
/// # Safety
///
/// As [`Target`], and while the value lives nobody else reaches its bytes, neither another value of this process nor another
/// process nor a device; and they may be read and written like any memory.
pub unsafe trait Exclusive: Target {}

// SAFETY: a vector's bytes are its own.
unsafe impl Exclusive for Vec<u8> {}
// SAFETY: a box's bytes are its own.
unsafe impl Exclusive for Box<[u8]> {}
// SAFETY: each element has its own.
unsafe impl<T: Exclusive, const N: usize> Exclusive for [T; N] {}
// SAFETY: each element has its own.
unsafe impl<T: Exclusive> Exclusive for Pieces<T> {}
// SAFETY: a part of what nobody else has.
unsafe impl<T: Exclusive> Exclusive for Part<T> {}

/// There is one span, and it was asked for.
fn only(index: usize) {
    assert_eq!(index, 0, "the memory has one span");
}

// SAFETY: a vector's bytes lie on the heap, and only its owner changes them.
unsafe impl Source for Vec<u8> {
    fn span(&self, index: usize) -> Span {
        only(index);
        Span::of(self)
    }
}

// SAFETY: as for `Source`; the address comes from an exclusive borrow.
unsafe impl Target for Vec<u8> {
    fn span(&mut self, index: usize) -> Span {
        only(index);
        Span::of_mut(self)
    }
}

// SAFETY: a box's bytes lie on the heap, and only its owner changes them.
unsafe impl Source for Box<[u8]> {
    fn span(&self, index: usize) -> Span {
        only(index);
        Span::of(self)
    }
}

// SAFETY: as for `Source`; the address comes from an exclusive borrow.
unsafe impl Target for Box<[u8]> {
    fn span(&mut self, index: usize) -> Span {
        only(index);
        Span::of_mut(self)
    }
}

// SAFETY: shared bytes lie on the heap and are not changed by anybody while they are shared with this value.
unsafe impl Source for Arc<[u8]> {
    fn span(&self, index: usize) -> Span {
        only(index);
        Span::of(self)
    }
}

// SAFETY: constants.
unsafe impl Source for &'static [u8] {
    fn span(&self, index: usize) -> Span {
        only(index);
        Span::of(self)
    }
}

// SAFETY: each element keeps the promises for its own spans, wherever the array is.
unsafe impl<S: Source, const N: usize> Source for [S; N] {
    fn count(&self) -> usize {
        self.iter().map(S::count).sum()
    }

    fn span(&self, index: usize) -> Span {
        source_among(self, index)
    }
}

// SAFETY: each element keeps the promises for its own spans, wherever the array is.
unsafe impl<T: Target, const N: usize> Target for [T; N] {
    fn count(&self) -> usize {
        self.iter().map(T::count).sum()
    }

    fn span(&mut self, index: usize) -> Span {
        target_among(self, index)
    }

    fn check_writes(&self) -> Result<()> {
        self.iter().try_for_each(T::check_writes)
    }
}

/// The span of this index among those of all of them.
fn source_among<S: Source>(all: &[S], mut index: usize) -> Span {
    for one in all {
        match index.checked_sub(one.count()) {
            Some(rest) => index = rest,
            None => return one.span(index),
        }
    }
    panic!("there is no such span");
}

/// The span of this index among those of all of them.
fn target_among<T: Target>(all: &mut [T], mut index: usize) -> Span {
    for one in all {
        match index.checked_sub(one.count()) {
            Some(rest) => index = rest,
            None => return one.span(index),
        }
    }
    panic!("there is no such span");
}

/// Several pieces of memory, in a number that is not known when the program is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces<M>(pub Vec<M>);

// SAFETY: each element keeps the promises for its own spans; the list is not changed while nobody has it.
unsafe impl<S: Source> Source for Pieces<S> {
    fn count(&self) -> usize {
        self.0.iter().map(S::count).sum()
    }

    fn span(&self, index: usize) -> Span {
        source_among(&self.0, index)
    }
}

// SAFETY: as for `Source`.
unsafe impl<T: Target> Target for Pieces<T> {
    fn count(&self) -> usize {
        self.0.iter().map(T::count).sum()
    }

    fn span(&mut self, index: usize) -> Span {
        target_among(&mut self.0, index)
    }

    fn check_writes(&self) -> Result<()> {
        self.0.iter().try_for_each(T::check_writes)
    }
}

/// A range of a piece of memory that has one span.
///
/// ```
/// use weft_io::Part;
/// let part = Part::new(vec![0_u8; 100], 10..20)?;
/// assert_eq!(part.range(), 10..20);
/// assert_eq!(part.into_inner().len(), 100);
/// assert!(Part::new(vec![0_u8; 100], 90..101).is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<M> {
    memory: M,
    range: Range<usize>,
}

impl<M> Part<M> {
    /// `OUT_OF_RANGE` if the memory does not reach that far. `INVALID_ARGUMENT` if it has no span or several.
    pub fn new(mut memory: M, range: impl RangeBounds<usize>) -> Result<Part<M>>
    where
        M: Measured,
    {
        let length = memory.length()?;
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => length,
        };
        if start > end || end > length {
            bail!(OutOfRange, "bytes {start}..{end} of a memory of {length}");
        }
        Ok(Part { memory, range: start..end })
    }

    /// Which bytes.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// All of the memory.
    pub fn into_inner(self) -> M {
        self.memory
    }
}

/// Memory whose length is known: every [`Source`] and every [`Target`] of this crate.
pub trait Measured {
    /// How many bytes its one span has.
    fn length(&mut self) -> Result<usize>;
}

macro_rules! measured {
    ($($memory:ty),*) => {
        $(impl Measured for $memory {
            fn length(&mut self) -> Result<usize> {
                Ok(self.len())
            }
        })*
    };
}

measured!(Vec<u8>, Box<[u8]>, Arc<[u8]>, &'static [u8]);

// SAFETY: a part of what the memory promises for all of it.
unsafe impl<S: Source> Source for Part<S> {
    fn span(&self, index: usize) -> Span {
        only(index);
        self.memory.span(0).part(self.range())
    }
}

// SAFETY: a part of what the memory promises for all of it.
unsafe impl<T: Target> Target for Part<T> {
    fn span(&mut self, index: usize) -> Span {
        only(index);
        let range = self.range();
        self.memory.span(0).part(range)
    }

    fn check_writes(&self) -> Result<()> {
        self.memory.check_writes()
    }
}
