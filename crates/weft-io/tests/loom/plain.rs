#![allow(unsafe_code, reason = "the model checker watches the cell")]
//! Memory without any order of its own.

use loom::cell::UnsafeCell;

/// What stands for data that is published, handed on or owned: two threads that come to it with no order between them
/// end the model. Unlike a relaxed atomic it also tells of a read that the next owner's write overtakes.
#[derive(Default)]
pub(crate) struct Plain<T>(UnsafeCell<T>);

// SAFETY: the checker ends the model before two threads are there at the same time.
unsafe impl<T: Send> Sync for Plain<T> {}

impl<T: Copy> Plain<T> {
    pub(crate) fn new(value: T) -> Plain<T> {
        Plain(UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> T {
        // SAFETY: as above.
        self.0.with(|place| unsafe { *place })
    }

    pub(crate) fn set(&self, value: T) {
        // SAFETY: as above.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}
