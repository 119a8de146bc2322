#![allow(
    unsafe_code,
    reason = "a waker is kept as the two words that it consists of, so that it can be read while it may change"
)]
//! By which an operation that has ended goes to the future that awaits it, or learns that there is none.
//!
//! What lives here: [`Handoff`], one word and the place of a waker. What does not: the operation (`record.rs`), the future
//! (`future.rs`).
//!
//! Two ends share an awaited operation: the one who ends it, once, and the future, which looks any number of times and
//! leaves once.
//!
//! | word     | who owns the operation | the waker in its place               |
//! |----------|------------------------|--------------------------------------|
//! | `IDLE`   | it is not awaited      | none                                 |
//! | `EMPTY`  | who ends it            | none; the future may put one         |
//! | `PARKED` | who ends it            | one, of whoever moves the word on    |
//! | `DONE`   | the future             | none                                 |
//! | `LEFT`   | who ends it            | none                                 |
//!
//! 1. The future moves `EMPTY` to `PARKED` with a waker in its place, and `PARKED` to `EMPTY` before it changes it. Each of
//!    these moves changes the number in the word, too. One that it would only replace by its like stays.
//! 2. Who ends the operation moves `EMPTY` or `PARKED` to `DONE`. From `PARKED` it reads the waker before: had it changed
//!    meanwhile, so would the number, and the move fails. It wakes after that, and touches neither the word nor the
//!    operation again.
//! 3. The future moves whatever it finds to `LEFT`, but for `DONE`: then the operation is its own.
//! 4. On the thread that alone ends operations the future is alone with the word: it moves it by a store.
//! 5. Cloning and dropping a waker is somebody else's code, which may poll, and so end the very operation: it runs before the
//!    first look that a move is made from, or after the last move.
//! 6. From `LEFT` on the operation, and this with it, is the other end's, who may free it at once: nothing is read after
//!    that move.

use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWakerVTable, Waker};
use weft_sync::atomic::{AtomicPtr, AtomicU32, Ordering};

const IDLE: u32 = 0;
const EMPTY: u32 = 1;
const PARKED: u32 = 2;
const DONE: u32 = 3;
const LEFT: u32 = 4;

const STATE: u32 = 7;
/// Below it is one of the above; from it on, the number of rule 1.
const NUMBER: u32 = 8;

/// See the header.
#[derive(Debug)]
pub struct Handoff {
    word: AtomicU32,
    /// The waker: its data and what can be done with it. Written by the future in `EMPTY` alone.
    data: AtomicPtr<()>,
    table: AtomicPtr<RawWakerVTable>,
}

/// What became of an operation that has ended.
#[derive(Debug)]
#[must_use = "the waker has to be woken; an operation that is left alone, dropped"]
pub enum Finished {
    /// It is the future's. `Some`: whom to wake.
    Handed(Option<Waker>),
    /// The future has left: it stays here.
    Alone,
}

/// Who moves the word of a future's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The thread that alone can end the operation (rule 4).
    Home,
    /// Another one, or it is not known.
    Anywhere,
}

impl Handoff {
    /// One that is not awaited.
    pub fn new() -> Handoff {
        Handoff {
            word: AtomicU32::new(IDLE),
            data: AtomicPtr::new(ptr::null_mut()),
            table: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// From here on there are two ends. The caller owns both, and passes one on by means that synchronize.
    #[inline]
    pub fn begin(&self) {
        self.word.store(EMPTY, Ordering::Relaxed);
    }

    /// Whether there are, or were, two ends. To be asked by who ends the operation.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        // Relaxed: `begin` came before the hand-over of this end.
        self.word.load(Ordering::Relaxed) != IDLE
    }

    /// There is one end again, and it is the caller's.
    #[inline]
    pub fn reset(&self) {
        self.word.store(IDLE, Ordering::Relaxed);
    }

    /// Leaves a waker; `true`: not needed, it is done, and the operation is the caller's.
    ///
    /// # Safety
    /// The caller is the future's end, in one call at a time, and has not left. `Where` is true.
    #[inline]
    pub unsafe fn park(&self, waker: &Waker, at: Where) -> bool {
        // Acquire, here and below: `DONE` comes with all that was done to the operation.
        match self.word.load(Ordering::Acquire) & STATE {
            DONE => return true,
            PARKED if self.is_kept(waker) => return false,
            _ => {}
        }
        // Rule 5: somebody else's code, before the first look that counts.
        let kept = ManuallyDrop::new(waker.clone());
        let mut old = None;
        let mut word = self.word.load(Ordering::Acquire);
        if word & STATE == PARKED {
            // SAFETY: the caller's promise.
            match unsafe { self.unpark(word, EMPTY, at) } {
                Some(waker) => (old, word) = (waker, next(word, EMPTY)),
                None => word = DONE,
            }
        }
        if word & STATE == DONE {
            drop(ManuallyDrop::into_inner(kept));
            return true;
        }
        // Relaxed: whoever reads them has acquired the word.
        self.data.store(kept.data().cast_mut(), Ordering::Relaxed);
        self.table.store(ptr::from_ref(kept.vtable()).cast_mut(), Ordering::Relaxed);
        let is_parked = self.go(word, next(word, PARKED), at);
        // Rule 5: after the last move.
        drop(old);
        if !is_parked {
            // It was done meanwhile, from `EMPTY`: the waker is still this end's.
            drop(ManuallyDrop::into_inner(kept));
        }
        !is_parked
    }

    /// The future goes. `true`: whoever ends the operation owns it. `false`: it is done, and the caller's.
    ///
    /// # Safety
    /// The caller is the future's end, and this is its last call. `Where` is true.
    pub unsafe fn leave(&self, at: Where) -> bool {
        let word = self.word.load(Ordering::Acquire);
        match word & STATE {
            // SAFETY: the caller's promise. The waker is not kept for as long as the operation goes on.
            PARKED => unsafe { self.unpark(word, LEFT, at) }.is_some(),
            DONE => false,
            _ => self.go(word, next(word, LEFT), at),
        }
    }

    /// The operation has ended. If it is handed over, neither it nor this is the caller's any more.
    ///
    /// # Safety
    /// The caller is the end that ends the operation, and this is its only call.
    #[inline]
    pub unsafe fn finish(&self) -> Finished {
        // Acquire: of the waker, and of what the future did before it left.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let (data, table) = match word & STATE {
                LEFT => return Finished::Alone,
                PARKED => (self.data.load(Ordering::Relaxed), self.table.load(Ordering::Relaxed)),
                _ => (ptr::null_mut(), ptr::null_mut()),
            };
            // Release: the operation's end. Nothing is left to be acquired if it succeeds: whatever was found was acquired when
            // it was read, and no other move has made the same word.
            match self.word.compare_exchange(word, DONE, Ordering::Release, Ordering::Acquire) {
                // SAFETY: rule 2: the move from `PARKED` of the same number gives this end the waker that was read.
                Ok(_) => return Finished::Handed(unsafe { waker_of(data, table) }),
                Err(found) => word = found,
            }
        }
    }

    /// For models: what is in the place is gone.
    #[cfg(loom)]
    pub fn forget_waker(&self) {
        self.data.store(ptr::null_mut(), Ordering::Relaxed);
        self.table.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Whether a waker like this is in the place. Asked by the future's end, which alone writes it, in `PARKED`.
    fn is_kept(&self, waker: &Waker) -> bool {
        // If it is done meanwhile, this task is woken after that: as long as the waker was kept, nobody else could have
        // its data.
        ptr::eq(self.data.load(Ordering::Relaxed), waker.data())
            && ptr::eq(self.table.load(Ordering::Relaxed), waker.vtable())
    }

    /// Moves `PARKED` on, and gives the waker back. `None`: it is done.
    ///
    /// # Safety
    /// The caller is the future's end, and has found `PARKED` in `word`.
    #[expect(
        clippy::option_option,
        reason = "the inner one says that a waker may be null, which this one is not"
    )]
    unsafe fn unpark(&self, word: u32, state: u32, at: Where) -> Option<Option<Waker>> {
        // Rule 6: read before the move. In `PARKED` nobody else writes them.
        let (data, table) = (self.data.load(Ordering::Relaxed), self.table.load(Ordering::Relaxed));
        if !self.go(word, next(word, state), at) {
            return None;
        }
        // SAFETY: this end has put it there, and has moved the word on, so it is this end's again.
        Some(unsafe { waker_of(data, table) })
    }

    /// One move of the future's end; `false`: it is done.
    #[inline]
    fn go(&self, from: u32, to: u32, at: Where) -> bool {
        if at == Where::Home {
            // Relaxed: the other end is on this thread, and whoever takes the future to another one takes this along.
            self.word.store(to, Ordering::Relaxed);
            return true;
        }
        // Release: the waker, and whatever was done before the future leaves. What is found if it succeeds is this end's own
        // last move; else it is `DONE`, which is acquired.
        self.word.compare_exchange(from, to, Ordering::Release, Ordering::Acquire).is_ok()
    }
}

impl Default for Handoff {
    fn default() -> Handoff {
        Handoff::new()
    }
}

#[inline]
fn next(word: u32, state: u32) -> u32 {
    (word & !STATE).wrapping_add(NUMBER) | state
}

/// # Safety
/// Both come from a waker that the caller owns and does not drop otherwise; or `table` is null.
#[inline]
unsafe fn waker_of(data: *mut (), table: *mut RawWakerVTable) -> Option<Waker> {
    // SAFETY: not null, then from `Waker::vtable`, which is for good.
    let table = unsafe { table.cast_const().as_ref() }?;
    // SAFETY: the caller's promise.
    Some(unsafe { Waker::new(data, table) })
}
