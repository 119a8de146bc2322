//! The one place that names `std::sync::atomic`: the switch between the real primitives and loom's.
//!
//! With `--cfg loom` every primitive here becomes one that the model checker can interleave. `Arc` is not
//! switched: the crate trusts std's reference counts and never reads them.

#[cfg(not(loom))]
pub use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(not(loom))]
pub use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::thread_local;

#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::thread_local;

use std::sync::PoisonError;

/// Locks without regard to poison.
///
/// A poisoned lock only says that some thread panicked while it held the lock. The sections of this project
/// run no foreign code and leave their data whole at every step, so there is nothing to distrust.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
