//! An epoch, and everybody who waits for it to move: threads asleep, and operations of any number of proactors.
//!
//! What lives here: [`Notification`], [`Observation`]. What does not: how a signal reaches a proactor (`listener.rs`), the
//! operations (`ops/notification.rs`).
//!
//! 1. **Two audiences, two channels.** Threads sleep on the epoch's word; a proactor hears through its doorbell. Neither
//!    can swallow what was meant for the other.
//! 2. **A signal** moves the epoch by a read-modify-write and *then* looks at who listens.
//! 3. **A listener** announces itself and *then* looks at the epoch, by a read-modify-write that adds nothing. Both touch
//!    the epoch by read-modify-writes, so one of the two comes first: a signal that came first is in the listener's look,
//!    a later one sees the announcement.
//! 4. A proactor listens to a notification by one `Listener`, made at its first wait and kept for the life of the
//!    notification. A signal marks it and puts it on that proactor's list, once until it is heard: the mark is taken off
//!    *before* the poll thread looks at the epoch.
//! 5. Nothing here locks on the way of a signal, so it may be sent from a signal handler.
//! 6. The level counts, not the edge: whoever waits ends when the epoch is not its token any more. `count` limits how
//!    many threads are woken, never how many operations.

use crate::listener::Listener;
use crate::shared::Shared;
use std::sync::{Arc, OnceLock};
use weft_sync::Deadline;
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::park::Word;

/// Every waiter, as a number to wake.
pub const WAKE_ALL: u32 = u32::MAX;

/// Says "look again" to threads and to operations.
///
/// ```
/// use std::sync::Arc;
/// use weft_io::{Config, Notification, Operation, WAKE_ALL, open_null, ops::NotificationWait};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// let changed = Arc::new(Notification::new());
/// poller.handle().submit(NotificationWait::new(changed.clone())).expect("there is room");
/// assert!(poller.poll(Deadline::IMMEDIATE).is_err(), "not yet");
/// assert!(changed.signal(WAKE_ALL), "the operation observes");
/// assert_eq!(poller.poll(Deadline::NEVER)?, 1);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Notification {
    epoch: Word,
    /// Threads and operations that wait, or are about to.
    observers: AtomicU32,
    listeners: Chunk,
}

impl Notification {
    /// A notification that nobody has signalled.
    pub fn new() -> Notification {
        Notification::at_epoch(0)
    }

    /// A notification whose epoch starts at `epoch`, for those who want to see it wrap.
    pub fn at_epoch(epoch: u32) -> Notification {
        Notification { epoch: Word::new(epoch), observers: AtomicU32::new(0), listeners: Chunk::default() }
    }

    /// How often it was signalled, modulo 2³².
    pub fn epoch(&self) -> u32 {
        // Pairs with the Release in `signal`.
        self.epoch.value().load(Ordering::Acquire)
    }

    /// Moves the epoch on, ends the waits of operations, and wakes up to `count` threads. Returns whether somebody
    /// observed it; if nobody did, no system call was made. May be called in a signal handler.
    pub fn signal(&self, count: u32) -> bool {
        // Release publishes the state; Acquire pairs with the read-modify-writes of `observe` and `announce` (rule 3).
        self.epoch.value().fetch_add(1, Ordering::AcqRel);
        // Relaxed: the line above has acquired every observer that came before it.
        if self.observers.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.epoch.wake(count);
        self.listeners.each(|listener| listener.tell());
        true
    }

    /// Starts to wait on this thread. Look at the state after this; then wait, or let go.
    pub fn observe(&self) -> Observation<'_> {
        Observation { notification: self, token: self.announce() }
    }

    /// Blocks this thread until the next signal after this call. `false` if the deadline passes first. Not for poll
    /// threads: they would not hear anything else.
    pub fn wait(&self, deadline: Deadline) -> bool {
        self.observe().wait(deadline)
    }

    /// One observer more; the epoch after the announcement (rule 3).
    pub(crate) fn announce(&self) -> u32 {
        self.observers.fetch_add(1, Ordering::Relaxed);
        // A read-modify-write, not a load: it takes a place among the signals. Its Release publishes the line above and
        // what a listener wrote before, its Acquire takes in the state of every signal that came before.
        self.epoch.value().fetch_add(0, Ordering::AcqRel)
    }

    /// Takes an announcement back.
    pub(crate) fn retire(&self) {
        // Relaxed: nobody draws a conclusion from an observer that is gone.
        self.observers.fetch_sub(1, Ordering::Relaxed);
    }

    /// The listener of this proactor; the first call makes it.
    pub(crate) fn listener(&self, shared: &Arc<Shared>) -> &Arc<Listener> {
        self.listeners.of(shared)
    }
}

impl Default for Notification {
    fn default() -> Notification {
        Notification::new()
    }
}

/// A thread that has announced that it will wait. Ends when dropped.
///
/// ```
/// use weft_io::Notification;
/// use weft_sync::Deadline;
/// let changed = Notification::new();
/// assert!(!changed.signal(1), "nobody observes");
/// let observation = changed.observe();
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

    /// Sleeps until the epoch has moved since the observation began; at once if it has. `false` if the deadline passes
    /// first.
    pub fn wait(self, deadline: Deadline) -> bool {
        let token = self.token;
        self.wait_since(token, deadline)
    }

    /// Sleeps until the epoch is not `token` any more.
    pub fn wait_since(self, token: u32, deadline: Deadline) -> bool {
        let notification = self.notification;
        loop {
            if notification.epoch() != token {
                return true;
            }
            if !notification.epoch.sleep(token, deadline) {
                return notification.epoch() != token;
            }
        }
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        self.notification.retire();
    }
}

/// The listeners of one notification: only ever added to. Filled from the front.
#[derive(Debug, Default)]
struct Chunk {
    places: [OnceLock<Arc<Listener>>; 4],
    next: OnceLock<Box<Chunk>>,
}

impl Chunk {
    fn each(&self, mut tell: impl FnMut(&Arc<Listener>)) {
        let mut chunk = Some(self);
        while let Some(this) = chunk {
            for place in &this.places {
                let Some(listener) = place.get() else { return };
                tell(listener);
            }
            chunk = this.next.get().map(|next| &**next);
        }
    }

    fn of(&self, shared: &Arc<Shared>) -> &Arc<Listener> {
        let mut chunk = self;
        loop {
            for place in &chunk.places {
                // Only this proactor's poll thread makes its listener, so there is one.
                let listener = place.get_or_init(|| Listener::new(shared));
                if listener.proactor == shared.id {
                    return listener;
                }
            }
            chunk = chunk.next.get_or_init(Box::default);
        }
    }
}
