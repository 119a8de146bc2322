//! Panics of what users gave to a proactor.
//!
//! What lives here: [`Core::contain`], around every call of such code, [`Panics`] and [`attempt`], the same for others, and
//! what becomes of a panic. What does not: the calls themselves.
//!
//! 1. A panic interrupts nothing here: it is kept, the turn goes on, and the bookkeeping is done as ever. So whatever came
//!    with the operation whose callback panicked is called back in the same poll.
//! 2. The first panic leaves the poll when that is over; a poll that has one does not wait. Later ones of the same poll
//!    are reported by the panic hook alone.
//! 3. The end of a proactor contains them all: whoever drops one is told nothing, and everything is called back.
//! 4. What was panicked with is user code as well: it may panic when it is dropped, so nobody drops it but `discard`.

use super::Core;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

type Payload = Box<dyn Any + Send>;

/// The first panic of several.
#[derive(Debug, Default)]
pub(crate) struct Panics(Option<Payload>);

impl Panics {
    /// Calls what is not this crate's. `None`: it has panicked.
    #[inline(always)]
    pub(crate) fn catch<R>(&mut self, foreign: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(foreign)) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.keep(payload);
                None
            }
        }
    }

    #[cold]
    fn keep(&mut self, payload: Payload) {
        match &mut self.0 {
            first @ None => *first = Some(payload),
            Some(_) => discard(payload),
        }
    }

    /// Goes on with the panic, if there was one.
    #[inline]
    pub(crate) fn let_out(&mut self) {
        if let Some(payload) = self.0.take() {
            resume_unwind(payload);
        }
    }

    /// Goes on without.
    pub(crate) fn forget(&mut self) {
        if let Some(payload) = self.0.take() {
            discard(payload);
        }
    }
}

impl Core {
    /// Calls what is not this crate's. `None`: it has panicked.
    #[inline(always)]
    pub(super) fn contain<R>(&mut self, foreign: impl FnOnce() -> R) -> Option<R> {
        let value = self.panics.catch(foreign);
        if value.is_none() {
            // Rule 2.
            self.tally.is_done = true;
        }
        value
    }

    /// Rule 2, at the end of a poll.
    #[inline]
    pub(super) fn let_panic_out(&mut self) {
        self.panics.let_out();
    }

    /// Rule 3.
    pub(super) fn forget_panics(&mut self) {
        self.panics.forget();
    }
}

/// Calls what is not this crate's, where a panic becomes something else. `None`: it has panicked.
pub(crate) fn attempt<R>(foreign: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(discard).ok()
}

/// Rule 4.
#[cold]
pub(crate) fn discard(payload: Payload) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Whoever panics with something that panics when dropped has it leaked.
        std::mem::forget(another);
    }
}
