#![allow(
    unsafe_code,
    reason = "a closure of up to four words is kept in place, so that giving one allocates nothing"
)]
//! A callback that is called at most once, kept inside the operation that it belongs to.
//!
//! What lives here: [`Callback`]. What does not: when it is called (`record.rs`).
//!
//! Closures of up to four words (say, three handles and a number) are kept in place; a larger one goes to a box.
//!
//! # Safety
//!
//! 1. While `table` is there, `data` holds one valid `F`. Whoever moves it out or drops it takes the table away
//!    first, so that happens once.
//! 2. `table` was made for that same `F`, in `place`, the only function that writes either.
//! 3. `F` is `Send`, so the callback may be sent. It is never shared.

use std::mem::MaybeUninit;

/// Closures of up to this size stay in place.
const WORDS: usize = 4;

type Storage = MaybeUninit<[usize; WORDS]>;

/// What a closure type can do, given the place where one lies.
struct Table<A> {
    call: unsafe fn(*mut Storage, A),
    drop: unsafe fn(*mut Storage),
}

/// A closure that is called once with an `A`, or dropped; empty before and after.
pub(crate) struct Callback<A: 'static> {
    data: Storage,
    /// `None` while the place is empty.
    table: Option<&'static Table<A>>,
}

// SAFETY: rule 3: every closure that `set` accepts is `Send`.
unsafe impl<A> Send for Callback<A> {}

/// The table of each closure type that stays in place.
struct InPlace<F, A>(std::marker::PhantomData<(F, A)>);

impl<A: 'static, F: FnOnce(A) + Send + 'static> InPlace<F, A> {
    const FITS: bool = size_of::<F>() <= size_of::<Storage>() && align_of::<F>() <= align_of::<Storage>();
    const TABLE: Table<A> = Table { call: Self::call, drop: Self::drop };

    /// # Safety
    /// `storage` holds an `F` that nobody uses afterwards.
    unsafe fn call(storage: *mut Storage, argument: A) {
        // SAFETY: the caller's promise; the storage is large and aligned enough, for `place` asserted `FITS`.
        let closure = unsafe { storage.cast::<F>().read() };
        closure(argument);
    }

    /// # Safety
    /// `storage` holds an `F` that nobody uses afterwards.
    unsafe fn drop(storage: *mut Storage) {
        // SAFETY: the caller's promise; the storage is large and aligned enough, for `place` asserted `FITS`.
        unsafe { storage.cast::<F>().drop_in_place() };
    }
}

impl<A: 'static> Callback<A> {
    /// An empty place.
    pub(crate) const EMPTY: Callback<A> = Callback { data: Storage::uninit(), table: None };

    /// Keeps `closure`; one that was here is dropped. Allocates only if it is larger than four words.
    #[inline]
    pub(crate) fn set<F: FnOnce(A) + Send + 'static>(&mut self, closure: F) {
        if InPlace::<F, A>::FITS {
            self.place(closure);
        } else {
            let boxed: Box<dyn FnOnce(A) + Send> = Box::new(closure);
            self.place(boxed);
        }
    }

    #[inline]
    fn place<F: FnOnce(A) + Send + 'static>(&mut self, closure: F) {
        const { assert!(size_of::<Box<dyn FnOnce()>>() <= size_of::<Storage>()) };
        assert!(InPlace::<F, A>::FITS, "a closure or the box that holds it fits");
        self.clear();
        // SAFETY: just asserted: the storage is large and aligned enough for an `F`; `clear` left it empty.
        unsafe { self.data.as_mut_ptr().cast::<F>().write(closure) };
        self.table = Some(&InPlace::<F, A>::TABLE);
    }

    /// Moves the closure out.
    #[inline]
    pub(crate) fn take(&mut self) -> Callback<A> {
        Callback { data: self.data, table: self.table.take() }
    }

    /// Calls the closure, if there is one.
    #[inline]
    pub(crate) fn call(mut self, argument: A) {
        if let Some(table) = self.table.take() {
            // SAFETY: rules 1 and 2: the closure lies in `data`, the table is its own, and the place is empty from here
            // on, also if the closure panics.
            unsafe { (table.call)(&raw mut self.data, argument) };
        }
    }

    fn clear(&mut self) {
        if let Some(table) = self.table.take() {
            // SAFETY: rules 1 and 2: the closure was not called, so it still lies in `data`, and the table is its own.
            unsafe { (table.drop)(&raw mut self.data) };
        }
    }
}

impl<A> Drop for Callback<A> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn small_and_large_closures_are_called_once_and_dropped_once() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for size in 0..3 {
            let mut callback = Callback::EMPTY;
            let log = Arc::clone(&seen);
            match size {
                0 => callback.set(move |value: u32| log.lock().unwrap().push(value)),
                1 => {
                    let large = [1_u64; 9];
                    callback.set(move |value: u32| log.lock().unwrap().push(value + large[8] as u32));
                }
                _ => callback.set(move |_| drop(log)),
            }
            if size < 2 {
                callback.take().call(10);
            }
            callback.take().call(99);
        }
        assert_eq!(*seen.lock().unwrap(), [10, 11]);
        let mut dropped = Callback::EMPTY;
        let held = Arc::clone(&seen);
        dropped.set(move |(): ()| drop(held));
        drop(dropped);
        assert_eq!(Arc::strong_count(&seen), 1);
    }
}
