//! Panics of what users gave to a proactor.
//!
//! What lives here: [`Core::contain`], around every call of such code, and what becomes of a panic. What does not: the
//! calls themselves.
//!
//! 1. A panic interrupts nothing here: it is kept, the turn goes on, and the bookkeeping is done as ever. So whatever came
//!    with the operation whose callback panicked is called back in the same poll.
//! 2. The first panic leaves the poll when that is over; a poll that has one does not wait. Later ones of the same poll
//!    are reported by the panic hook alone.
//! 3. The end of a proactor contains them all: whoever drops one is told nothing, and everything is called back.

use super::Core;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

type Payload = Box<dyn Any + Send>;

/// The first panic of the poll under way.
#[derive(Debug, Default)]
pub(super) struct Panics(Option<Payload>);

impl Core {
    /// Calls what is not this crate's. `None`: it has panicked.
    #[inline(always)]
    pub(super) fn contain<R>(&mut self, foreign: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(foreign)) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.keep_panic(payload);
                None
            }
        }
    }

    #[cold]
    fn keep_panic(&mut self, payload: Payload) {
        // Rule 2.
        self.tally.is_done = true;
        match &mut self.panics.0 {
            first @ None => *first = Some(payload),
            Some(_) => discard(payload),
        }
    }

    /// Rule 2, at the end of a poll.
    #[inline]
    pub(super) fn let_panic_out(&mut self) {
        if let Some(payload) = self.panics.0.take() {
            resume_unwind(payload);
        }
    }

    /// Rule 3.
    pub(super) fn forget_panics(&mut self) {
        if let Some(payload) = self.panics.0.take() {
            discard(payload);
        }
    }
}

/// Drops a payload, which may panic too.
fn discard(payload: Payload) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Whoever panics with something that panics when dropped has it leaked.
        std::mem::forget(another);
    }
}
