#![allow(unsafe_code, reason = "a waker lies in a cell that two threads use in turns, by one word")]
//! By which an operation that has ended goes to the future that awaits it, or learns that there is none.
//!
//! What lives here: [`Handoff`], one word and the place of a waker. What does not: the operation (`record.rs`), the future
//! (`future.rs`).
//!
//! Two ends share an awaited operation: the one who ends it, once, and the future, which looks any number of times and
//! leaves once.
//!
//! | word     | who owns the operation | who may touch the waker |
//! |----------|------------------------|-------------------------|
//! | `IDLE`   | it is not awaited      | its owner               |
//! | `EMPTY`  | who ends it            | the future              |
//! | `PARKED` | who ends it            | nobody                  |
//! | `TAKING` | who ends it            | who ends it             |
//! | `DONE`   | the future             | the future              |
//! | `LEFT`   | who ends it            | who ends it             |
//!
//! 1. The future moves `EMPTY` to `PARKED` with a waker in its place, and `PARKED` to `EMPTY` before it changes it.
//! 2. Who ends the operation moves `PARKED` to `TAKING`, takes the waker, then moves to `DONE`; or from `EMPTY` to `DONE`
//!    directly. It wakes after that, and touches neither the word nor the operation again.
//! 3. The future moves whatever it finds to `LEFT`. If that was `DONE`, the operation is its own; else it is the other's,
//!    who finds `LEFT`.
//! 4. A future that finds `TAKING` cannot leave its new waker. It asks that waker at once to look again: the other end is
//!    two steps from `DONE`, and waits for nothing.

use std::task::Waker;
use weft_sync::atomic::{AtomicU32, Ordering, UnsafeCell};

const IDLE: u32 = 0;
const EMPTY: u32 = 1;
const PARKED: u32 = 2;
const TAKING: u32 = 3;
const DONE: u32 = 4;
const LEFT: u32 = 5;

/// See the header.
#[derive(Debug)]
pub struct Handoff {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker is `Send`, and the table in the header gives it to one end at a time; all moves of the word to another
// row release, and acquire from the row before.
unsafe impl Sync for Handoff {}

/// What became of an operation that has ended.
#[derive(Debug)]
#[must_use = "the waker has to be woken; an operation that is left alone, dropped"]
pub enum Finished {
    /// It is the future's. `Some`: whom to wake.
    Handed(Option<Waker>),
    /// The future has left: it stays here.
    Alone,
}

impl Handoff {
    /// One that is not awaited.
    pub fn new() -> Handoff {
        Handoff { word: AtomicU32::new(IDLE), waker: UnsafeCell::new(None) }
    }

    /// From here on there are two ends. The caller owns both, and passes one on by means that synchronize.
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
    pub fn reset(&mut self) {
        self.word.store(IDLE, Ordering::Relaxed);
        // SAFETY: exclusive.
        drop(self.waker.with_mut(|place| unsafe { (*place).take() }));
    }

    /// What `reset` and a drop do to the place, for models that cannot own what they share.
    ///
    /// # Safety
    /// The caller owns the operation.
    #[cfg(loom)]
    pub unsafe fn empty(&self) {
        // SAFETY: the caller's promise, which the model checks.
        drop(self.waker.with_mut(|place| unsafe { (*place).take() }));
    }

    /// Leaves a waker; `true`: not needed, it is done, and the operation is the caller's.
    ///
    /// # Safety
    /// The caller is the future's end, in one call at a time, and has not left.
    pub unsafe fn park(&self, waker: &Waker) -> bool {
        // Acquire, here and below: `DONE` comes with all that was done to the operation, `EMPTY` after `PARKED` with nothing.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            match word {
                DONE => return true,
                TAKING => {
                    // Rule 4.
                    waker.wake_by_ref();
                    return false;
                }
                PARKED => match self.exchange(PARKED, EMPTY) {
                    Ok(()) => word = EMPTY,
                    Err(found) => word = found,
                },
                _ => {
                    // SAFETY: the table: in `EMPTY` the place is the future's.
                    self.waker.with_mut(|place| unsafe { keep(place, waker) });
                    match self.exchange(EMPTY, PARKED) {
                        Ok(()) => return false,
                        Err(found) => word = found,
                    }
                }
            }
        }
    }

    /// The future goes. `true`: whoever ends the operation owns it. `false`: it is done, and the caller's.
    ///
    /// # Safety
    /// The caller is the future's end, and this is its last call.
    pub unsafe fn leave(&self) -> bool {
        if self.exchange(PARKED, EMPTY).is_ok() {
            // Not kept for as long as the operation goes on: it keeps a task alive.
            // SAFETY: the table: in `EMPTY` the place is the future's.
            drop(self.waker.with_mut(|place| unsafe { (*place).take() }));
        }
        // AcqRel: pairs with `finish`, whichever is first.
        self.word.swap(LEFT, Ordering::AcqRel) != DONE
    }

    /// The operation has ended. If it is handed over, neither it nor this is the caller's any more.
    ///
    /// # Safety
    /// The caller is the end that ends the operation, and this is its only call.
    pub unsafe fn finish(&self) -> Finished {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let outcome = match word {
                EMPTY => self.exchange(EMPTY, DONE).map(|()| Finished::Handed(None)),
                PARKED => self.exchange(PARKED, TAKING).map(|()| self.take_and_finish()),
                _ => {
                    // Acquire: pairs with `leave`. The exchange changes nothing, it only reads in order.
                    self.word.load(Ordering::Acquire);
                    return Finished::Alone;
                }
            };
            match outcome {
                Ok(finished) => return finished,
                Err(found) => word = found,
            }
        }
    }

    /// Rule 2, from `TAKING`.
    fn take_and_finish(&self) -> Finished {
        // SAFETY: the table: in `TAKING` the place is that of the end that made it so, in `finish` alone.
        let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
        match self.exchange(TAKING, DONE) {
            Ok(()) => Finished::Handed(waker),
            Err(_) => Finished::Alone,
        }
    }

    fn exchange(&self, from: u32, to: u32) -> Result<(), u32> {
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

impl Default for Handoff {
    fn default() -> Handoff {
        Handoff::new()
    }
}

/// # Safety
/// The caller has exclusive access to the place.
unsafe fn keep(place: *mut Option<Waker>, waker: &Waker) {
    // SAFETY: the caller's promise.
    let place = unsafe { &mut *place };
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
