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
//! 1. `data` holds one valid `F` from `in_place` until it is moved out, by `call` or by `drop`. Both give the callback up,
//!    so it is moved out once.
//! 2. `table` was made for that same `F`, in `in_place`, the only place that makes either.
//! 3. `F` is `Send`, so the callback may be sent. It is never shared: both uses take it by value or exclusively.

use crate::Result;
use std::mem::{ManuallyDrop, MaybeUninit};

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

/// A closure that is called once with an outcome, or dropped.
pub(crate) struct Callback {
    data: Storage,
    table: &'static Table,
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
        // SAFETY: the caller's promise; storage is large and aligned enough, for `in_place` asserted `FITS`.
        let closure = unsafe { storage.cast::<F>().read() };
        closure(outcome);
    }

    /// # Safety
    /// `storage` holds an `F` that nobody uses afterwards.
    unsafe fn drop(storage: *mut Storage) {
        // SAFETY: the caller's promise; storage is large and aligned enough, for `in_place` asserted `FITS`.
        unsafe { storage.cast::<F>().drop_in_place() };
    }
}

impl Callback {
    /// Keeps `closure`; allocates only if it is larger than four words.
    #[inline]
    pub(crate) fn new<F: FnOnce(Result<()>) + Send + 'static>(closure: F) -> Callback {
        if InPlace::<F>::FITS { Callback::in_place(closure) } else { Callback::in_place(Box::new(closure)) }
    }

    #[inline]
    fn in_place<F: FnOnce(Result<()>) + Send + 'static>(closure: F) -> Callback {
        assert!(InPlace::<F>::FITS, "a closure or the box that holds it fits");
        let mut data = Storage::uninit();
        // SAFETY: just asserted: the storage is large and aligned enough for an `F`, and nothing lies in it yet.
        unsafe { data.as_mut_ptr().cast::<F>().write(closure) };
        Callback { data, table: &InPlace::<F>::TABLE }
    }

    /// Calls it.
    #[inline]
    pub(crate) fn call(self, outcome: Result<()>) {
        let mut this = ManuallyDrop::new(self);
        let call = this.table.call;
        // SAFETY: rules 1 and 2: the closure lies in `data`, the table is its own, and `this` is not used or dropped
        // afterwards, also if the closure panics.
        unsafe { call(&raw mut this.data, outcome) };
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: rules 1 and 2: a callback that is dropped was not called, so its closure still lies in `data`.
        unsafe { (self.table.drop)(&raw mut self.data) };
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
