//! An epoch and those who wait for it to move: prepare, look again, sleep.
//!
//! What lives here: [`Notification`], [`Observation`]. What does not: the sleep itself (`park`), what the epoch
//! stands for: it only says "look again".
//!
//! 1. **Producer: publish, then signal.** It publishes its state; [`Notification::signal`] moves the epoch by a
//!    read-modify-write and *then* reads the number of observers. None: nobody is woken.
//! 2. **Consumer: observe, then look.** [`Notification::observe`] raises the number of observers and *then* reads the
//!    epoch, by a read-modify-write that adds nothing; that is its token. It looks at the state, and sleeps while
//!    the epoch is the token.
//! 3. **Neither misses the other.** Both read-modify-write the epoch, so these have an order. If the consumer's comes
//!    first, the producer acquires what it released and reads an observer. If the producer's comes first, the
//!    consumer's token includes it and its look sees the published state. No sequentially consistent access is
//!    needed, and the model checker sees the protocol as it is.
//! 4. The epoch wraps. A sleeper would have to sleep through 2³² signals to miss one.

use crate::Deadline;
use crate::atomic::{AtomicU32, Ordering};
use crate::park::Word;

/// Every waiter, as a number to wake.
pub const WAKE_ALL: u32 = u32::MAX;

/// Wakes whoever waits for something to change.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use weft_sync::{Deadline, notification::{Notification, WAKE_ALL}};
/// let (ready, changed) = (AtomicBool::new(false), Notification::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         ready.store(true, Ordering::Release);
///         changed.signal(WAKE_ALL);
///     });
///     loop {
///         let observation = changed.observe();
///         if ready.load(Ordering::Acquire) {
///             break;
///         }
///         observation.wait(Deadline::NEVER);
///     }
/// });
/// ```
#[derive(Debug)]
pub struct Notification {
    epoch: Word,
    observers: AtomicU32,
}

impl Notification {
    /// A notification that nobody has signalled.
    pub fn new() -> Notification {
        Notification::at_epoch(0)
    }

    /// A notification whose epoch starts at `epoch`, for those who want to see it wrap.
    pub fn at_epoch(epoch: u32) -> Notification {
        Notification { epoch: Word::new(epoch), observers: AtomicU32::new(0) }
    }

    /// How often it was signalled, modulo 2³².
    #[inline]
    pub fn epoch(&self) -> u32 {
        // Pairs with the Release in `signal`.
        self.epoch.value().load(Ordering::Acquire)
    }

    /// Moves the epoch on and wakes up to `count` of those who wait. Returns whether there was an observer; without
    /// one nothing is woken and no system call is made.
    #[inline]
    pub fn signal(&self, count: u32) -> bool {
        // Release publishes the state; Acquire pairs with the read-modify-write in `observe` (rule 3).
        self.epoch.value().fetch_add(1, Ordering::AcqRel);
        // Relaxed: the line above has acquired every observer that came before it.
        let observed = self.observers.load(Ordering::Relaxed) > 0;
        if observed {
            self.epoch.wake(count);
        }
        observed
    }

    /// Starts to wait. Look at the state after this; then wait, or let go.
    #[inline]
    pub fn observe(&self) -> Observation<'_> {
        self.observers.fetch_add(1, Ordering::Relaxed);
        // A read-modify-write, not a load: it takes a place among the signals (rule 3). Its Release publishes the
        // line above, its Acquire takes in the state of every signal that came before.
        let token = self.epoch.value().fetch_add(0, Ordering::AcqRel);
        Observation { notification: self, token }
    }

    /// Waits for the next signal after this call. `false` if the deadline passes first.
    pub fn wait(&self, deadline: Deadline) -> bool {
        self.observe().wait(deadline)
    }
}

impl Default for Notification {
    fn default() -> Notification {
        Notification::new()
    }
}

/// A waiter that has announced itself. Ends when dropped.
///
/// ```
/// use weft_sync::{Deadline, notification::Notification};
/// let changed = Notification::new();
/// assert!(!changed.signal(1), "nobody observes");
/// let observation = changed.observe();
/// assert!(!observation.is_over() && !changed.observe().wait(Deadline::IMMEDIATE));
/// assert!(changed.signal(1));
/// assert!(observation.wait(Deadline::NEVER), "at once: it was signalled meanwhile");
/// ```
#[must_use = "the announcement ends when this is dropped"]
#[derive(Debug)]
pub struct Observation<'a> {
    notification: &'a Notification,
    token: u32,
}

impl Observation<'_> {
    /// The epoch at which this observation began.
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Whether it was signalled since.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.notification.epoch() != self.token
    }

    /// Sleeps until the epoch has moved since the observation began; at once if it has. `false` if the deadline
    /// passes first.
    pub fn wait(self, deadline: Deadline) -> bool {
        loop {
            if self.is_over() {
                return true;
            }
            if !self.notification.epoch.sleep(self.token, deadline) {
                return self.is_over();
            }
        }
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        // Relaxed: nobody draws a conclusion from an observer that is gone.
        self.notification.observers.fetch_sub(1, Ordering::Relaxed);
    }
}
