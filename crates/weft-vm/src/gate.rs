//! Who may run in a context at the same time.
//!
//! Invocations that cannot store globals share the context; one that may store has it alone. The gate is held while
//! an invocation runs, not while it is suspended, so globals may change between suspend and resume. Whoever waits to
//! enter can be cancelled.
//!
//! A thread that is inside a context cannot enter it again (from a native function that it called): it would wait
//! for itself. That is an error, not a deadlock.

use std::cell::RefCell;
use std::marker::PhantomData;

use weft_sync::{CancelToken, Passage, Result, Status, Turnstile, status};

/// The gate of one context.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    turnstile: Turnstile,
}

/// Proof of being inside; leaving is dropping it.
pub(crate) struct Inside<'a> {
    _passage: Passage<'a>,
    /// It stays on this thread, which is noted as being inside.
    _here: PhantomData<*const ()>,
}

thread_local! {
    /// The gates that this thread is inside of, by address, outermost first. Almost always one.
    static ENTERED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Gate {
    /// Waits until the context can be entered. FAILED_PRECONDITION if this thread is inside already, CANCELLED if it is
    /// asked to end while it waits.
    #[inline]
    pub fn enter(&self, exclusive: bool, cancel: Option<&CancelToken>) -> Result<Inside<'_>> {
        let address = std::ptr::from_ref(self).addr();
        let entered = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let fresh = !entered.contains(&address);
            if fresh {
                entered.push(address);
            }
            fresh
        });
        match entered {
            Ok(true) => {}
            Ok(false) => return Err(inside_already()),
            Err(_) => return Err(thread_ends()),
        }
        // A native function that panics inside leaves; globals are whole at every point where it could.
        match self.turnstile.enter(exclusive, cancel) {
            Ok(passage) => Ok(Inside { _passage: passage, _here: PhantomData }),
            Err(status) => {
                forget_last();
                Err(status)
            }
        }
    }
}

/// Calls nest, so the last one entered is the one left.
#[inline]
fn forget_last() {
    let _ = ENTERED.try_with(|entered| entered.borrow_mut().pop());
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        forget_last();
    }
}

#[cold]
fn thread_ends() -> Status {
    status!(FailedPrecondition, "this thread is ending: what it kept for calls is gone")
}

#[cold]
fn inside_already() -> Status {
    status!(
        FailedPrecondition,
        "this thread is running in the context already; invoke from outside of its imports"
    )
}
