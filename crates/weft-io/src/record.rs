#![allow(
    unsafe_code,
    reason = "operations of any kind travel behind one thin pointer; this file makes and unmakes it"
)]
//! The memory of an operation, and its form without a type.
//!
//! What lives here: [`Record`], [`Header`], [`Erased`]. What does not: what users see of it (`operation.rs`), what an
//! operation means (`ops`).
//!
//! A record is allocated once, by `Operation::new`, and then only changes hands: the user has it, or the proactor, as
//! [`Erased`]. Whoever has it may touch all of it, except that the kernel may write to `side` from the moment the
//! operation was handed to it until its completion was seen.
//!
//! # Safety
//!
//! 1. An [`Erased`] owns its record like a box. It is made in `erase` from a box and unmade once: by `unerase`, by
//!    `finish`, or by its drop.
//! 2. `table` is the one of the record's own type, written by `Record::new` alone. So a function of the table that gets a
//!    pointer to the header gets a pointer to a `Record` of its own type: the header is the first field, `repr(C)`.
//! 3. `side` lies in a cell and is only handed out as a raw pointer.

use crate::Capabilities;
use crate::callback::Callback;
use crate::operation::{Done, Operation, Params};
use crate::ops::{Body, Kind};
use crate::table::NONE;
use std::any::TypeId;
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use weft_sync::Result;

/// What the kernel reads and writes beside the operation's own parameters.
#[derive(Debug, Default)]
#[repr(C, align(8))]
pub struct Side {
    /// Where an eight-byte read ends.
    pub word: u64,
}

/// What every record begins with.
pub struct Header {
    table: &'static VTable,
    /// The slot of the operation that runs after this one; [`NONE`] if there is none.
    pub(crate) next: Cell<u32>,
    side: UnsafeCell<Side>,
}

/// What can be done with a record whose type is not known.
struct VTable {
    kind: Kind,
    type_id: fn() -> TypeId,
    prepare: unsafe fn(NonNull<Header>, Capabilities) -> Result<()>,
    body: for<'a> unsafe fn(NonNull<Header>, PhantomData<&'a mut ()>) -> Body<'a>,
    finish: unsafe fn(NonNull<Header>, Result<i64>),
    drop: unsafe fn(NonNull<Header>),
}

/// One operation with everything that belongs to it.
#[repr(C)]
pub(crate) struct Record<P: Params> {
    header: Header,
    pub(crate) params: P,
    pub(crate) callback: Callback<Done<P>>,
}

impl<P: Params> Record<P> {
    const TABLE: VTable = VTable {
        kind: P::KIND,
        type_id: TypeId::of::<P>,
        prepare: Self::prepare,
        body: Self::body,
        finish: Self::finish,
        drop: Self::drop,
    };

    pub(crate) fn new(params: P) -> Box<Record<P>> {
        let header =
            Header { table: &Self::TABLE, next: Cell::new(NONE), side: UnsafeCell::new(Side::default()) };
        Box::new(Record { header, params, callback: Callback::EMPTY })
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn prepare(header: NonNull<Header>, capabilities: Capabilities) -> Result<()> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.prepare(capabilities)
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access for `'a`.
    unsafe fn body<'a>(header: NonNull<Header>, _: PhantomData<&'a mut ()>) -> Body<'a> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise. Only the parameters are borrowed, so the kernel may meanwhile write to `side`.
        let params = unsafe { &mut (*record).params };
        params.body()
    }

    /// # Safety
    /// `header` is that of a record of this type, made by `erase`, which the caller gives away.
    unsafe fn finish(header: NonNull<Header>, outcome: Result<i64>) {
        // SAFETY: the caller's promise: it came from a box of this type.
        let mut record = unsafe { Box::from_raw(header.cast::<Record<P>>().as_ptr()) };
        let result = outcome.map(|value| record.params.output(value));
        record.header.next.set(NONE);
        let callback = record.callback.take();
        callback.call(Done { operation: Operation::from_record(record), result });
    }

    /// # Safety
    /// As `finish`.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's promise: it came from a box of this type.
        drop(unsafe { Box::from_raw(header.cast::<Record<P>>().as_ptr()) });
    }
}

/// An operation whose type is not known; owns it.
pub struct Erased(NonNull<Header>);

// SAFETY: parameters and callbacks are `Send` (required by `Params` and `Callback`), and an `Erased` is the only way to
// its record.
unsafe impl Send for Erased {}

impl Erased {
    pub(crate) fn erase<P: Params>(record: Box<Record<P>>) -> Erased {
        let raw = Box::into_raw(record).cast::<Header>();
        // SAFETY: a box is never null.
        Erased(unsafe { NonNull::new_unchecked(raw) })
    }

    /// The operation in its own type again, if it is of that type.
    pub(crate) fn unerase<P: Params>(self) -> std::result::Result<Box<Record<P>>, Erased> {
        if !self.is::<P>() {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: rule 2, just checked: a record of this type, which `this` gives up without dropping it.
        Ok(unsafe { Box::from_raw(this.0.cast::<Record<P>>().as_ptr()) })
    }

    /// Whether it is of this type.
    pub(crate) fn is<P: Params>(&self) -> bool {
        (self.header().table.type_id)() == TypeId::of::<P>()
    }

    /// The parameters, if they are of this type. The kernel does not have the operation.
    pub(crate) fn params_mut<P: Params>(&mut self) -> Option<&mut P> {
        if !self.is::<P>() {
            return None;
        }
        let record = self.0.cast::<Record<P>>().as_ptr();
        // SAFETY: rule 2, just checked; `self` is borrowed exclusively for as long as the parameters are.
        Some(unsafe { &mut (*record).params })
    }

    pub(crate) fn into_raw(self) -> *mut Header {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// What [`Erased::into_raw`] gave, or nothing for null. Crate-private callers pass nothing else: the table's cells
    /// are written by `put` alone and emptied by the swap that reads them.
    pub(crate) fn from_raw(raw: *mut Header) -> Option<Erased> {
        NonNull::new(raw).map(Erased)
    }

    fn header(&self) -> &Header {
        // SAFETY: rule 1: the record lives as long as `self`. Nothing of a header is ever borrowed exclusively.
        unsafe { self.0.as_ref() }
    }

    /// What kind of operation it is.
    pub(crate) fn kind(&self) -> Kind {
        self.header().table.kind
    }

    /// See [`Header::next`].
    pub(crate) fn next(&self) -> &Cell<u32> {
        &self.header().next
    }

    /// See [`Lower::prepare`](crate::operation::sealed::Lower::prepare).
    pub(crate) fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        let prepare = self.header().table.prepare;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { prepare(self.0, capabilities) }
    }

    /// What is to be done. Not to be asked while the kernel has the operation, unless only what the kernel does not
    /// touch is used.
    #[inline]
    pub(crate) fn body(&mut self) -> Body<'_> {
        let body = self.header().table.body;
        // SAFETY: rule 2; exclusive access comes with `&mut self`, for the lifetime of the result.
        unsafe { body(self.0, PhantomData) }
    }

    /// The place that the kernel may use; valid until the operation ends.
    pub(crate) fn side(&self) -> *mut Side {
        self.header().side.get()
    }

    /// Ends the operation: its callback gets it back with the result.
    #[inline]
    pub(crate) fn finish(self, outcome: Result<i64>) {
        let this = ManuallyDrop::new(self);
        let finish = this.header().table.finish;
        // SAFETY: rules 1 and 2: `this` gives the record up without dropping it.
        unsafe { finish(this.0, outcome) };
    }
}

impl Drop for Erased {
    fn drop(&mut self) {
        let drop = self.header().table.drop;
        // SAFETY: rules 1 and 2: nobody uses `self` afterwards.
        unsafe { drop(self.0) };
    }
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Erased({:?})", self.kind())
    }
}
