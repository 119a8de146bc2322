//! Who may run in a context at the same time.
//!
//! Invocations that cannot store globals share the context; one that may store has it alone. The gate is held while
//! an invocation runs, not while it is suspended, so globals may change between suspend and resume.
//!
//! A thread that is inside a context cannot enter it again (from a native function that it called): it would wait
//! for itself. That is an error, not a deadlock.

use std::cell::RefCell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use weft_sync::{Result, Status, status};

/// The gate of one context.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    lock: RwLock<()>,
}

/// Proof of being inside; leaving is dropping it.
pub(crate) struct Inside<'a> {
    _held: Held<'a>,
}

enum Held<'a> {
    Shared(#[expect(dead_code, reason = "held, not looked at")] RwLockReadGuard<'a, ()>),
    Exclusive(#[expect(dead_code, reason = "held, not looked at")] RwLockWriteGuard<'a, ()>),
}

thread_local! {
    /// The gates that this thread is inside of, by address, outermost first. Almost always one.
    static ENTERED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Gate {
    /// Waits until the context can be entered. FAILED_PRECONDITION if this thread is inside already.
    #[inline]
    pub fn enter(&self, exclusive: bool) -> Result<Inside<'_>> {
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
        // A poisoned gate says that a native function panicked; globals are whole at every point where it could.
        let held = match exclusive {
            true => Held::Exclusive(self.lock.write().unwrap_or_else(PoisonError::into_inner)),
            false => Held::Shared(self.lock.read().unwrap_or_else(PoisonError::into_inner)),
        };
        Ok(Inside { _held: held })
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Calls nest, so the last one entered is the one left.
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().pop());
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
