//! Threads that do something useful while they wait.
//!
//! What lives here: [`Lender`], and the one that the calling thread has chosen ([`lending_to`]). What does not: the wait
//! that asks it (`wait_many.rs`), those who know what to do meanwhile (executors).
//!
//! Only a wait without a deadline lends its thread: what the thread is given to do may take longer than a deadline.

use std::cell::RefCell;
use std::sync::Arc;

use crate::semaphore::Semaphore;

/// Somebody who can use a thread that has to wait.
pub trait Lender: Send + Sync {
    /// Uses the thread until all points are reached or one has failed. `false`, at once, if it cannot.
    fn use_until(&self, points: &[(&Semaphore, u64)]) -> bool;

    /// The thread is about to sleep in a wait that does not lend it.
    fn before_sleep(&self);
}

thread_local! {
    static LENDER: RefCell<Option<Arc<dyn Lender>>> = const { RefCell::new(None) };
}

/// Calls `body`; waits on this thread lend it to `lender` meanwhile. Nests: the innermost lender counts.
pub fn lending_to<R>(lender: Arc<dyn Lender>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<dyn Lender>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let before = self.0.take();
            // While the thread ends there is nothing to restore.
            let replaced = LENDER.try_with(|lender| lender.replace(before));
            drop(replaced);
        }
    }
    let _restore = Restore(LENDER.with(|current| current.replace(Some(lender))));
    body()
}

/// Whom waits of this thread lend it to.
pub(crate) fn current() -> Option<Arc<dyn Lender>> {
    LENDER.try_with(|lender| lender.borrow().clone()).ok().flatten()
}
