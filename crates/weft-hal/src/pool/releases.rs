//! Who waits for memory to come back.
//!
//! What lives here: [`Releases`]: threads that sleep and callbacks that are called when something was released. What does
//! not: when that is (`mod.rs`).
//!
//! 1. Who waits observes first, tries again, and only then waits for the epoch to move on from what it observed. So a
//!    release between looking and waiting is not lost.
//! 2. A callback is entered, and counted, before its epoch is looked at by a read-modify-write; a release moves the epoch
//!    and then looks at the count. One of the two sees the other (rule 3 of `weft_sync::notification`).
//! 3. Callbacks run in the order in which they were entered, on the thread that released, under no lock. Each is called
//!    once or cancelled, never both.

use std::collections::VecDeque;

use weft_sync::atomic::{AtomicU32, Mutex, Ordering, lock};
use weft_sync::notification::{Notification, Observation, WAKE_ALL};

/// A moment between releases. See [`Pool::observe`](super::Pool::observe).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ReleaseToken(u32);

/// A callback that waits for a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseWait(u64);

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiters {
    last: u64,
    callbacks: VecDeque<(ReleaseWait, Callback)>,
}

#[derive(Default)]
pub(super) struct Releases {
    notification: Notification,
    /// How many callbacks there are.
    waiting: AtomicU32,
    waiters: Mutex<Waiters>,
}

impl Releases {
    #[inline]
    pub fn observe(&self) -> ReleaseToken {
        ReleaseToken(self.notification.epoch())
    }

    /// For threads: announces one that may sleep.
    pub fn observe_to_sleep(&self) -> Observation<'_> {
        self.notification.observe()
    }

    pub fn on_release(&self, token: ReleaseToken, callback: Callback) -> ReleaseWait {
        let wait = {
            let mut waiters = lock(&self.waiters);
            waiters.last += 1;
            let wait = ReleaseWait(waiters.last);
            waiters.callbacks.push_back((wait, callback));
            self.waiting.store(waiters.callbacks.len() as u32, Ordering::Relaxed);
            wait
        };
        // Rule 2: `observe` reads the epoch by a read-modify-write that publishes the count.
        let now = self.notification.observe().token();
        if now != token.0
            && let Some(callback) = self.take(wait)
        {
            callback();
        }
        wait
    }

    /// Takes a callback back; `None` if it was called, or is about to be.
    fn take(&self, wait: ReleaseWait) -> Option<Callback> {
        let mut waiters = lock(&self.waiters);
        let index = waiters.callbacks.iter().position(|(other, _)| *other == wait)?;
        let (_, callback) = waiters.callbacks.remove(index)?;
        self.waiting.store(waiters.callbacks.len() as u32, Ordering::Relaxed);
        Some(callback)
    }

    pub fn cancel(&self, wait: ReleaseWait) -> bool {
        let callback = self.take(wait);
        callback.is_some() // dropped here, under no lock
    }

    /// Something was released. Returns whether anybody waited.
    #[inline]
    pub fn post(&self) -> bool {
        let observed = self.notification.signal(WAKE_ALL);
        // Relaxed: the signal has acquired every count that came before it (rule 2).
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return observed;
        }
        self.call_all();
        true
    }

    #[cold]
    fn call_all(&self) {
        let callbacks = {
            let mut waiters = lock(&self.waiters);
            self.waiting.store(0, Ordering::Relaxed);
            std::mem::take(&mut waiters.callbacks)
        };
        for (_, callback) in callbacks {
            callback();
        }
    }
}
