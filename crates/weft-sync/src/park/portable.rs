//! Everywhere else, and under the model checker: a lock and a condition variable beside the word.
//!
//! The sleeper compares under the lock, and a wake passes through the lock after the word was changed. So either
//! the sleeper sees the change, or it sleeps before the wake gets the lock and is notified.

use crate::Deadline;
use crate::atomic::{AtomicU32, Condvar, Mutex, Ordering, lock};

#[derive(Debug)]
pub(super) struct Means {
    gate: Mutex<()>,
    changed: Condvar,
}

impl Means {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Means {
        Means { gate: Mutex::new(()), changed: Condvar::new() }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Means {
        Means { gate: Mutex::new(()), changed: Condvar::new() }
    }

    pub(super) fn sleep(&self, word: &AtomicU32, expected: u32, deadline: Deadline) {
        let gate = lock(&self.gate);
        // Relaxed: the lock orders it after every change whose wake came before.
        if word.load(Ordering::Relaxed) != expected {
            return;
        }
        // A poisoned gate guards nothing, hence the ignored results.
        match deadline.remaining() {
            None => drop(self.changed.wait(gate)),
            Some(left) => drop(self.changed.wait_timeout(gate, left)),
        }
    }

    pub(super) fn wake(&self, _: &AtomicU32, count: u32) {
        drop(lock(&self.gate));
        match count {
            1 => self.changed.notify_one(),
            // Too many is allowed: a sleep may end for no reason.
            _ => self.changed.notify_all(),
        }
    }
}
