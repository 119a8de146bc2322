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
//! An awaited record has two ends: the [`Erased`] that travels, and the [`Awaited`] of its future. The one that goes last
//! owns it, see `handoff.rs`.
//!
//! # Safety
//!
//! 1. An [`Erased`] owns its record like a box. It is made in `erase` from a box and unmade once: by `unerase`, by
//!    `finish`, or by its drop. One that is awaited owns all of it but the word and the waker of `handoff`, which both
//!    ends use by its rules; it is unmade by `hand_back` alone, which passes the record on to the future, or learns that
//!    there is none any more and owns all of it.
//! 2. `table` is the one of the record's own type, written by `Record::new` alone. So a function of the table that gets a
//!    pointer to the header gets a pointer to a `Record` of its own type: the header is the first field, `repr(C)`.
//! 3. `side` lies in a cell and is only handed out as a raw pointer.
//! 4. No box and no exclusive reference to a whole record exists while there are two ends: only its parts are borrowed.
//! 5. Once a proactor has a poll thread, its operations end there alone. `Where::Home` says that this is that thread.

use crate::Capabilities;
use crate::callback::Callback;
use crate::handoff::{Finished, Handoff, Where};
use crate::operation::{Done, Operation, Params};
use crate::ops::outcome::{Answer, Lane, Onward};
use crate::ops::{Body, Kind};
use crate::table::NONE;
use std::any::TypeId;
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;
use weft_sync::{Result, Status, status};

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
    handoff: Handoff,
}

/// What can be done with a record whose type is not known.
struct VTable {
    kind: Kind,
    type_id: fn() -> TypeId,
    prepare: unsafe fn(NonNull<Header>, Capabilities) -> Result<()>,
    proactor: unsafe fn(NonNull<Header>) -> Option<u32>,
    release: unsafe fn(NonNull<Header>),
    miss: unsafe fn(NonNull<Header>, &Status),
    body: for<'a> unsafe fn(NonNull<Header>, PhantomData<&'a mut ()>) -> Body<'a>,
    keep: unsafe fn(NonNull<Header>, i64) -> Result<()>,
    lane: unsafe fn(NonNull<Header>) -> Option<Lane>,
    obstacle: unsafe fn(NonNull<Header>) -> Option<Status>,
    let_go: unsafe fn(NonNull<Header>),
    settle: unsafe fn(NonNull<Header>, &mut Answer, bool) -> Onward,
    shot: unsafe fn(NonNull<Header>, i64),
    finish: unsafe fn(NonNull<Header>, Result<i64>),
    drop: unsafe fn(NonNull<Header>),
}

/// One operation with everything that belongs to it.
#[repr(C)]
pub(crate) struct Record<P: Params> {
    header: Header,
    pub(crate) params: P,
    pub(crate) callback: Callback<Done<P>>,
    /// How an awaited operation has ended, until its future looks.
    result: Option<Result<P::Output>>,
}

impl<P: Params> Record<P> {
    const TABLE: VTable = VTable {
        kind: P::KIND,
        type_id: TypeId::of::<P>,
        prepare: Self::prepare,
        proactor: Self::proactor,
        release: Self::release,
        miss: Self::miss,
        body: Self::body,
        keep: Self::keep,
        lane: Self::lane,
        obstacle: Self::obstacle,
        let_go: Self::let_go,
        settle: Self::settle,
        shot: Self::shot,
        finish: Self::finish,
        drop: Self::drop,
    };

    pub(crate) fn new(params: P) -> Box<Record<P>> {
        let header = Header {
            table: &Self::TABLE,
            next: Cell::new(NONE),
            side: UnsafeCell::new(Side::default()),
            handoff: Handoff::new(),
        };
        Box::new(Record { header, params, callback: Callback::EMPTY, result: None })
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
    /// `header` is that of a record of this type, to which the caller has access.
    unsafe fn proactor(header: NonNull<Header>) -> Option<u32> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &(*record).params };
        params.proactor()
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn release(header: NonNull<Header>) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.release();
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn miss(header: NonNull<Header>, why: &Status) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.miss(why);
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
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn keep(header: NonNull<Header>, value: i64) -> Result<()> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.keep(value)
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has access.
    unsafe fn lane(header: NonNull<Header>) -> Option<Lane> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &(*record).params };
        params.lane()
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has access.
    unsafe fn obstacle(header: NonNull<Header>) -> Option<Status> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &(*record).params };
        params.obstacle()
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has access.
    unsafe fn let_go(header: NonNull<Header>) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &(*record).params };
        params.let_go();
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn settle(header: NonNull<Header>, answer: &mut Answer, is_cancelled: bool) -> Onward {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.settle(answer, is_cancelled)
    }

    /// # Safety
    /// `header` is that of a record of this type, to which the caller has exclusive access.
    unsafe fn shot(header: NonNull<Header>, value: i64) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let params = unsafe { &mut (*record).params };
        params.shot(value);
    }

    /// # Safety
    /// `header` is that of a record of this type, made by `erase`, which the caller gives away.
    unsafe fn finish(header: NonNull<Header>, outcome: Result<i64>) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let handoff = unsafe { &(*record).header.handoff };
        if handoff.is_awaited() {
            // SAFETY: the caller's promise.
            let alone = unsafe { Self::hand_back(header, outcome) };
            if let Some((done, callback)) = alone {
                callback.call(done);
            }
            return;
        }
        // SAFETY: the caller's promise: it came from a box of this type, and rule 4: it has one end.
        let mut record = unsafe { Box::from_raw(record) };
        let result = result_of(&mut record.params, outcome);
        record.params.release();
        record.header.next.set(NONE);
        let callback = record.callback.take();
        callback.call(Done { operation: Operation::from_record(record), result });
    }

    /// Ends an awaited operation. `Some`: its future is gone.
    ///
    /// # Safety
    /// `header` is that of an awaited record of this type, made by `erase`, which the caller gives away.
    unsafe fn hand_back(
        header: NonNull<Header>,
        outcome: Result<i64>,
    ) -> Option<(Done<P>, Callback<Done<P>>)> {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise; rule 1: the parameters are this end's.
        let params = unsafe { &mut (*record).params };
        let result = result_of(params, outcome);
        params.release();
        // SAFETY: rule 1: and so is the result, until `finish` below.
        unsafe { (*record).result = Some(result) };
        // SAFETY: the caller's promise.
        let handoff = unsafe { &(*record).header.handoff };
        // SAFETY: an `Erased` is given away once, so this is the one call for this handoff.
        match unsafe { handoff.finish() } {
            Finished::Handed(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                None
            }
            Finished::Alone => {
                // SAFETY: the caller's promise: it came from a box of this type. The other end is gone.
                let mut record = unsafe { Box::from_raw(record) };
                let callback = record.callback.take();
                Some((Self::done(record), callback))
            }
        }
    }

    /// An awaited operation that has ended, as its only owner sees it.
    fn done(mut record: Box<Self>) -> Done<P> {
        let result = record.result.take().expect("written before it was handed back");
        record.header.next.set(NONE);
        record.header.handoff.reset();
        Done { operation: Operation::from_record(record), result }
    }

    /// # Safety
    /// As `finish`.
    unsafe fn drop(header: NonNull<Header>) {
        let record = header.cast::<Record<P>>().as_ptr();
        // SAFETY: the caller's promise.
        let handoff = unsafe { &(*record).header.handoff };
        if handoff.is_awaited() {
            let why = status!(Aborted, "the proactor went away and could not end the operation");
            // SAFETY: the caller's promise. A callback is called for operations that have ended; this one has not.
            drop(unsafe { Self::hand_back(header, Err(why)) });
            return;
        }
        // SAFETY: the caller's promise: it came from a box of this type, and rule 4: it has one end.
        drop(unsafe { Box::from_raw(record) });
    }
}

#[inline]
fn result_of<P: Params>(params: &mut P, outcome: Result<i64>) -> Result<P::Output> {
    match outcome {
        Ok(value) => Ok(params.output(value)),
        Err(status) => {
            params.miss(&status);
            Err(status)
        }
    }
}

/// The end of a record that its future has.
pub(crate) struct Awaited<P: Params>(Option<NonNull<Record<P>>>);

// SAFETY: parameters, callbacks and outputs are `Send` (required by `Params` and `Callback`), so are statuses; the word of
// the handoff is made for two threads.
unsafe impl<P: Params> Send for Awaited<P> {}

impl<P: Params> Awaited<P> {
    /// The operation, if it has ended; else `waker` is woken when it has. Panics if it was taken before.
    #[inline]
    pub(crate) fn park(&mut self, waker: &Waker, at: Where) -> Option<Done<P>> {
        let record = self.0.expect("an operation that has ended is not awaited again");
        // SAFETY: rule 1: the record lives until both ends are gone.
        let handoff = unsafe { &(*record.as_ptr()).header.handoff };
        // SAFETY: an `Awaited` is made once for each handoff, and this takes it exclusively. `Where`: rule 5.
        if !unsafe { handoff.park(waker, at) } {
            return None;
        }
        self.0 = None;
        // SAFETY: it came from a box of this type; the other end has handed it back and does not touch it again.
        Some(Record::done(unsafe { Box::from_raw(record.as_ptr()) }))
    }

    /// Leaves the record to the other end. `false`: that has handed it back before, so its callback was called just now.
    pub(crate) fn leave(&mut self, at: Where) -> bool {
        let Some(record) = self.0.take() else { return false };
        // SAFETY: as in `park`.
        let handoff = unsafe { &(*record.as_ptr()).header.handoff };
        // SAFETY: as in `park`; the pointer was taken, so this is the last call for this end.
        if unsafe { handoff.leave(at) } {
            return true;
        }
        // SAFETY: as in `park`.
        let mut record = unsafe { Box::from_raw(record.as_ptr()) };
        let callback = record.callback.take();
        callback.call(Record::done(record));
        false
    }
}

impl<P: Params> Drop for Awaited<P> {
    fn drop(&mut self) {
        self.leave(Where::Anywhere);
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

    /// The second end, for a future; `None` for another type, and if there is one already.
    pub(crate) fn awaited<P: Params>(&mut self) -> Option<Awaited<P>> {
        if !self.is::<P>() || self.header().handoff.is_awaited() {
            return None;
        }
        self.header().handoff.begin();
        Some(Awaited(Some(self.0.cast::<Record<P>>())))
    }

    /// The operation in its own type again, if it is of that type and not awaited.
    pub(crate) fn unerase<P: Params>(self) -> std::result::Result<Box<Record<P>>, Erased> {
        if !self.is::<P>() || self.header().handoff.is_awaited() {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: rule 2, just checked: a record of this type, which `this` gives up without dropping it.
        let mut record = unsafe { Box::from_raw(this.0.cast::<Record<P>>().as_ptr()) };
        record.params.release();
        Ok(record)
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

    /// See [`Lower::proactor`](crate::operation::sealed::Lower::proactor).
    pub(crate) fn proactor(&self) -> Option<u32> {
        let proactor = self.header().table.proactor;
        // SAFETY: rule 2; access comes with `&self`.
        unsafe { proactor(self.0) }
    }

    /// See [`Lower::release`](crate::operation::sealed::Lower::release).
    pub(crate) fn release(&mut self) {
        let release = self.header().table.release;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { release(self.0) }
    }

    /// See [`Lower::miss`](crate::operation::sealed::Lower::miss).
    pub(crate) fn miss(&mut self, why: &Status) {
        let miss = self.header().table.miss;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { miss(self.0, why) }
    }

    /// What is to be done. Not to be asked while the kernel has the operation, unless only what the kernel does not
    /// touch is used.
    #[inline]
    pub(crate) fn body(&mut self) -> Body<'_> {
        let body = self.header().table.body;
        // SAFETY: rule 2; exclusive access comes with `&mut self`, for the lifetime of the result.
        unsafe { body(self.0, PhantomData) }
    }

    /// See [`Lower::keep`](crate::operation::sealed::Lower::keep).
    pub(crate) fn keep(&mut self, value: i64) -> Result<()> {
        let keep = self.header().table.keep;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { keep(self.0, value) }
    }

    /// See [`Lower::lane`](crate::operation::sealed::Lower::lane).
    #[inline]
    pub(crate) fn lane(&self) -> Option<Lane> {
        let lane = self.header().table.lane;
        // SAFETY: rule 2; access comes with `&self`.
        unsafe { lane(self.0) }
    }

    /// See [`Lower::let_go`](crate::operation::sealed::Lower::let_go).
    pub(crate) fn let_go(&self) {
        let let_go = self.header().table.let_go;
        // SAFETY: rule 2; access comes with `&self`.
        unsafe { let_go(self.0) };
    }

    /// See [`Lower::obstacle`](crate::operation::sealed::Lower::obstacle).
    #[inline]
    pub(crate) fn obstacle(&self) -> Option<Status> {
        let obstacle = self.header().table.obstacle;
        // SAFETY: rule 2; access comes with `&self`.
        unsafe { obstacle(self.0) }
    }

    /// See [`Lower::settle`](crate::operation::sealed::Lower::settle).
    #[inline]
    pub(crate) fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        let settle = self.header().table.settle;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { settle(self.0, answer, is_cancelled) }
    }

    /// See [`Lower::shot`](crate::operation::sealed::Lower::shot).
    pub(crate) fn shot(&mut self, value: i64) {
        let shot = self.header().table.shot;
        // SAFETY: rule 2; exclusive access comes with `&mut self`.
        unsafe { shot(self.0, value) };
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
