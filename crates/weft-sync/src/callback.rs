#![allow(
    unsafe_code,
    reason = "a closure of up to four words is kept in place, so that registering it allocates nothing"
)]
//! A callback that is called at most once, kept where it is registered.
//!
//! What lives here: [`Callback`]. What does not: when and where it is called (`dispatch.rs`).
//!
//! Timepoints and waiters come by the million and most of their closures hold two or three handles. Those are kept
//! in place; a larger one goes to a box, and the box is what is kept. Either way the caller of `call` sees one kind.
//!
//! # Safety
//!
//! 1. While `table` is there, `data` holds one valid `F`. Whoever moves it out (`take`, `take_from`, `call`, `drop`) takes the
//!    table away first, so it is moved out once.
//! 2. `table` was made for that same `F`, in `fill_in_place`, the only place that writes either anew; both move together.
//! 3. `F` is `Send`, so the callback may be sent. It is never shared: both uses take it by value or exclusively.

use crate::Result;
use std::mem::MaybeUninit;

/// Closures of up to this size stay in place.
const WORDS: usize = 4;

type Storage = MaybeUninit<[usize; WORDS]>;

/// What a closure type can do, given the place where one lies.
struct Table {
    /// Moves the closure out of the storage and calls it.
    call: unsafe fn(*mut Storage, Result<()>),
    /// Drops the closure in the storage.
    drop: unsafe fn(*mut Storage),
}

/// A place for a closure that is called once with an outcome, or dropped; empty before and after.
///
/// The closure lies first, so that copies of the whole place read it in the pieces in which it was written.
#[repr(C)]
pub(crate) struct Callback {
    data: Storage,
    /// `None` while the place is empty.
    table: Option<&'static Table>,
}

const _: () = assert!(size_of::<Callback>() == (WORDS + 1) * size_of::<usize>());

// SAFETY: rule 3: every closure that `new` accepts is `Send`.
unsafe impl Send for Callback {}

/// The table of each closure type that stays in place.
struct InPlace<F>(F);

impl<F: FnOnce(Result<()>) + Send + 'static> InPlace<F> {
    const FITS: bool = size_of::<F>() <= size_of::<Storage>() && align_of::<F>() <= align_of::<Storage>();
    const TABLE: Table = Table { call: Self::call, drop: Self::drop };

    /// # Safety
    /// `storage` holds an `F` that nobody uses afterwards.
    unsafe fn call(storage: *mut Storage, outcome: Result<()>) {
        // SAFETY: the caller's promise; storage is large and aligned enough, for `fill_in_place` asserted `FITS`.
        let closure = unsafe { storage.cast::<F>().read() };
        closure(outcome);
    }

    /// # Safety
    /// `storage` holds an `F` that nobody uses afterwards.
    unsafe fn drop(storage: *mut Storage) {
        // SAFETY: the caller's promise; storage is large and aligned enough, for `fill_in_place` asserted `FITS`.
        unsafe { storage.cast::<F>().drop_in_place() };
    }
}

impl Callback {
    /// An empty place.
    pub(crate) const EMPTY: Callback = Callback { data: Storage::uninit(), table: None };

    /// Keeps `closure`; allocates only if it is larger than four words.
    #[inline(always)]
    pub(crate) fn new<F: FnOnce(Result<()>) + Send + 'static>(closure: F) -> Callback {
        let mut made = Callback::EMPTY;
        made.fill(closure);
        made
    }

    /// Puts `closure` into an empty place, without a detour; a closure that was there is dropped.
    #[inline(always)]
    pub(crate) fn fill<F: FnOnce(Result<()>) + Send + 'static>(&mut self, closure: F) {
        if InPlace::<F>::FITS { self.fill_in_place(closure) } else { self.fill_in_place(Box::new(closure)) }
    }

    #[inline(always)]
    fn fill_in_place<F: FnOnce(Result<()>) + Send + 'static>(&mut self, closure: F) {
        assert!(InPlace::<F>::FITS, "a closure or the box that holds it fits");
        drop(self.take());
        // SAFETY: just asserted: the storage is large and aligned enough for an `F`; and nothing lies in it any more.
        unsafe { self.data.as_mut_ptr().cast::<F>().write(closure) };
        self.table = Some(&InPlace::<F>::TABLE);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_none()
    }

    /// Moves the closure to a new place.
    #[inline]
    pub(crate) fn take(&mut self) -> Callback {
        Callback { data: self.data, table: self.table.take() }
    }

    /// Moves the closure of `other` here; one that was here is dropped.
    #[inline]
    pub(crate) fn take_from(&mut self, other: &mut Callback) {
        drop(self.take());
        self.data = other.data;
        self.table = other.table.take();
    }

    /// Calls the closure, if there is one.
    #[inline]
    pub(crate) fn call(mut self, outcome: Result<()>) {
        if let Some(table) = self.table.take() {
            // SAFETY: rules 1 and 2: the closure lies in `data`, the table is its own, and the place is empty from here
            // on, also if the closure panics.
            unsafe { (table.call)(&raw mut self.data, outcome) };
        }
    }
}

impl Drop for Callback {
    #[inline]
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            // SAFETY: rules 1 and 2: the closure was not called, so it still lies in `data`, and the table is its own.
            unsafe { (table.drop)(&raw mut self.data) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Code, Status};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs `body` with a closure of each size class; it says how often what the closure owns was dropped.
    fn each_size(body: impl Fn(Callback, &AtomicUsize, &Mutex<Vec<Option<Code>>>)) {
        let seen: Arc<Mutex<Vec<Option<Code>>>> = Arc::default();
        let drops = Arc::new(AtomicUsize::new(0));
        let note = |seen: &Mutex<Vec<Option<Code>>>, outcome: Result<()>| {
            seen.lock().unwrap().push(outcome.err().map(|status| status.code()));
        };
        let owned = Counted(Arc::clone(&drops));
        let log = Arc::clone(&seen);
        body(
            Callback::new(move |outcome| {
                let _owned = &owned;
                note(&log, outcome)
            }),
            &drops,
            &seen,
        );
        let (owned, log, large) = (Counted(Arc::clone(&drops)), Arc::clone(&seen), [7_u64; 20]);
        body(
            Callback::new(move |outcome| {
                let _owned = &owned;
                assert_eq!(large, [7; 20]);
                note(&log, outcome);
            }),
            &drops,
            &seen,
        );
        #[repr(align(64))]
        struct Aligned(u8);
        let (owned, log, aligned) = (Counted(Arc::clone(&drops)), Arc::clone(&seen), Aligned(9));
        body(
            Callback::new(move |outcome| {
                let _owned = &owned;
                let aligned = &aligned;
                assert!(std::ptr::from_ref(aligned).is_aligned() && aligned.0 == 9);
                note(&log, outcome);
            }),
            &drops,
            &seen,
        );
    }

    #[test]
    fn is_called_once_and_gives_back_what_it_owns() {
        each_size(|callback, drops, seen| {
            let before = drops.load(Ordering::Relaxed);
            callback.call(Err(Status::new(Code::Aborted, "")));
            assert_eq!(drops.load(Ordering::Relaxed), before + 1);
            assert_eq!(seen.lock().unwrap().last(), Some(&Some(Code::Aborted)));
        });
    }

    #[test]
    fn is_dropped_uncalled() {
        each_size(|callback, drops, seen| {
            let before = drops.load(Ordering::Relaxed);
            let moved = Box::new(callback);
            drop(moved);
            assert_eq!(drops.load(Ordering::Relaxed), before + 1);
            assert!(seen.lock().unwrap().is_empty());
        });
    }

    #[test]
    fn a_panic_gives_back_what_it_owns() {
        let drops = Arc::new(AtomicUsize::new(0));
        let owned = Counted(Arc::clone(&drops));
        let callback = Callback::new(move |_| {
            let _owned = &owned;
            panic!("on purpose");
        });
        assert!(catch_unwind(AssertUnwindSafe(|| callback.call(Ok(())))).is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }
}
