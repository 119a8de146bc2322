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
//! 4. A proactor listens to a notification by one `Listener`, made at its first wait and kept on the roster until the
//!    proactor ends, or the notification does. A signal marks it and puts it on that proactor's list, once until it is heard: the mark is taken off
//!    *before* the poll thread looks at the epoch.
//! 5. Nothing here locks on the way of a signal, so it may be sent from a signal handler; if no proactor goes meanwhile
//!    that listens, for a signal holds it for a moment, and whoever is the last to hold one frees it.
//! 6. A notification of several processes (`shared_notification.rs`) cannot know who observes, so it always wakes.
//! 7. The level counts, not the edge: whoever waits ends when the epoch is not its token any more. `count` limits how
//!    many threads are woken, never how many operations.

use crate::listener::Listener;
use crate::roster::Roster;
use crate::shared::Shared;
#[cfg(all(target_os = "linux", not(loom)))]
use crate::shared_memory::SharedWord;
#[cfg(all(target_os = "linux", not(loom)))]
use crate::shared_notification::{Outside, SharedEnds};
use std::sync::Arc;
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
    epoch: Epoch,
    /// Threads, operations and relays of this process that wait, or are about to.
    observers: AtomicU32,
    listeners: Arc<Roster<Listener>>,
}

/// Where the epoch lies.
#[derive(Debug)]
enum Epoch {
    Own(Word),
    #[cfg(all(target_os = "linux", not(loom)))]
    Shared(Arc<Outside>),
}

impl Notification {
    /// A notification that nobody has signalled.
    pub fn new() -> Notification {
        Notification::at_epoch(0)
    }

    /// A notification whose epoch starts at `epoch`, for those who want to see it wrap.
    pub fn at_epoch(epoch: u32) -> Notification {
        Notification::with(Epoch::Own(Word::new(epoch)), Arc::default())
    }

    fn with(epoch: Epoch, listeners: Arc<Roster<Listener>>) -> Notification {
        Notification { epoch, observers: AtomicU32::new(0), listeners }
    }

    /// A notification whose epoch is `word`, which other notifications may have too, here or in other processes: a signal
    /// of one is a signal of all. Nothing is closed when it is dropped.
    ///
    /// Threads of all processes are woken by the word alone. Operations, and relays, hear of others through
    /// [`SharedEnds::wake`]; without it a wait is refused with `FAILED_PRECONDITION` when it is submitted. A signal cannot
    /// know who observes elsewhere, so it always wakes, and says that somebody observed.
    ///
    /// `INVALID_ARGUMENT`: an end that would block.
    ///
    /// ```
    /// use weft_io::{Notification, SharedEnds, SharedMemory};
    /// let memory = SharedMemory::create(1)?;
    /// let here = Notification::shared(memory.word(0)?, SharedEnds::default())?;
    /// let there = Notification::shared(memory.word(0)?, SharedEnds::default())?;
    /// let observation = here.observe();
    /// there.signal(1);
    /// assert!(observation.wait(weft_sync::Deadline::NEVER));
    /// assert_eq!((here.epoch(), memory.word(0)?.load()), (1, 1));
    /// # weft_sync::Result::Ok(())
    /// ```
    #[cfg(all(target_os = "linux", not(loom)))]
    pub fn shared(word: SharedWord, ends: SharedEnds) -> weft_sync::Result<Notification> {
        let listeners = Arc::default();
        Ok(Notification::with(Epoch::Shared(Outside::new(word, ends, &listeners)?), listeners))
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        match &self.epoch {
            Epoch::Own(word) => word.value(),
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.value(),
        }
    }

    /// Whether everybody who could observe is counted.
    #[inline]
    fn knows_observers(&self) -> bool {
        matches!(self.epoch, Epoch::Own(_))
    }

    /// As [`Word::sleep`].
    fn sleep(&self, token: u32, deadline: Deadline) -> bool {
        match &self.epoch {
            Epoch::Own(word) => word.sleep(token, deadline),
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.sleep(token, deadline),
        }
    }

    /// How often it was signalled, modulo 2³².
    pub fn epoch(&self) -> u32 {
        // Pairs with the Release in `signal`.
        self.word().load(Ordering::Acquire)
    }

    /// Moves the epoch on, ends the waits of operations, and wakes up to `count` threads. Returns whether somebody
    /// observed it; if nobody did, no system call was made. May be called in a signal handler, as long as the proactors
    /// whose operations or relays have waited for it, or handles of them, are kept meanwhile.
    pub fn signal(&self, count: u32) -> bool {
        // Release publishes the state; Acquire pairs with the read-modify-write in `look` (rule 3).
        self.word().fetch_add(1, Ordering::AcqRel);
        // The line above has acquired every observer that came before it. Acquire all the same, for one that came after it
        // and is seen: so is its listener. Pairs with the Release in `enlist`.
        if self.observers.load(Ordering::Acquire) == 0 && self.knows_observers() {
            return false;
        }
        match &self.epoch {
            Epoch::Own(word) => word.wake(count),
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.wake(count),
        }
        self.listeners.each(|listener| listener.tell());
        true
    }

    /// Starts to wait on this thread. Look at the state after this; then wait, or let go.
    pub fn observe(&self) -> Observation<'_> {
        self.enlist();
        Observation { notification: self, token: self.look() }
    }

    /// Blocks this thread until the next signal after this call. `false` if the deadline passes first. Not for poll
    /// threads: they would not hear anything else.
    pub fn wait(&self, deadline: Deadline) -> bool {
        self.observe().wait(deadline)
    }

    /// Starts to wait for an operation; the epoch after that.
    pub(crate) fn announce(this: &Arc<Notification>) -> (Announcement, u32) {
        this.enlist();
        (Announcement(Arc::clone(this)), this.look())
    }

    fn enlist(&self) {
        // Release pairs with the Acquire in `signal`.
        self.observers.fetch_add(1, Ordering::Release);
    }

    fn retire(&self) {
        // Relaxed: nobody draws a conclusion from an observer that is gone.
        self.observers.fetch_sub(1, Ordering::Relaxed);
    }

    /// The epoch, by a read-modify-write, not a load: it takes a place among the signals (rule 3). Its Release publishes
    /// what was announced before, its Acquire takes in the state of every signal that came before.
    pub(crate) fn look(&self) -> u32 {
        self.word().fetch_add(0, Ordering::AcqRel)
    }

    /// The listener of this proactor; the first call makes it.
    pub(crate) fn listener(&self, shared: &Arc<Shared>) -> Arc<Listener> {
        Listener::of(&self.listeners, shared)
    }

    /// Has the proactor hear of other processes too. After somebody has joined its listener.
    pub(crate) fn listen_outside(&self, shared: &Arc<Shared>) {
        match &self.epoch {
            Epoch::Own(_) => _ = shared,
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.listen(shared),
        }
    }

    /// Why operations and relays cannot wait for it.
    pub(crate) fn check_waits(&self) -> weft_sync::Result<()> {
        match &self.epoch {
            Epoch::Own(_) => Ok(()),
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.check_waits(),
        }
    }

    /// How a wait that knows `token` ends by now, if it does.
    pub(crate) fn verdict(&self, token: u32) -> Option<weft_sync::Result<()>> {
        if self.epoch() != token {
            return Some(Ok(()));
        }
        match &self.epoch {
            Epoch::Own(_) => None,
            #[cfg(all(target_os = "linux", not(loom)))]
            Epoch::Shared(outside) => outside.check_ear().err().map(Err),
        }
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
            if !notification.sleep(token, deadline) {
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

/// An operation that observes a notification. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Announcement(Arc<Notification>);

impl Announcement {
    /// What is observed.
    #[cfg(unix)]
    pub(crate) fn notification(&self) -> Arc<Notification> {
        Arc::clone(&self.0)
    }

    /// Whether it is this notification that is observed.
    pub(crate) fn is_of(&self, notification: &Arc<Notification>) -> bool {
        Arc::ptr_eq(&self.0, notification)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.0.retire();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ops::NotificationWait;
    use crate::{Config, Poller, open_null};

    /// A proactor with an operation that waits for this.
    fn waiting(changed: &Arc<Notification>) -> Poller {
        let mut poller = open_null(&Config::new()).into_poller().unwrap();
        poller.handle().submit(NotificationWait::new(Arc::clone(changed))).unwrap();
        assert!(poller.poll(Deadline::IMMEDIATE).is_err(), "it waits");
        poller
    }

    /// [async 27] Proactors come and go while a notification stays: it keeps nothing of those that have gone, although
    /// handles of them are kept; a signal goes to those that are there, and to nobody else.
    #[test]
    fn proactors_that_go_are_forgotten() {
        let changed = Arc::new(Notification::new());
        let count = || changed.listeners.count();
        let mut here = waiting(&changed);
        let handles: Vec<_> = (0..1000)
            .map(|_| {
                let poller = waiting(&changed);
                assert_eq!(count(), (2, 4));
                poller.handle().clone()
            })
            .collect();
        assert_eq!(count(), (1, 4));
        assert!(handles.iter().all(|handle| handle.0.heard.is_empty()));
        assert!(changed.signal(WAKE_ALL));
        assert_eq!(here.poll(Deadline::NEVER).unwrap(), 1);
        assert!(handles.iter().all(|handle| handle.0.heard.is_empty()), "nobody told them");
        // As many as there ever were at once have seats.
        let several: Vec<_> = (0..9).map(|_| waiting(&changed)).collect();
        assert_eq!(count(), (10, 12));
        drop((several, here));
        assert_eq!(count(), (0, 12));
    }

    /// The other way round: notifications come and go while a proactor stays, which keeps nothing of them either.
    #[test]
    fn notifications_that_go_are_forgotten() {
        let mut poller = open_null(&Config::new()).into_poller().unwrap();
        for _ in 0..1000 {
            let changed = Arc::new(Notification::new());
            poller.handle().submit(NotificationWait::new(Arc::clone(&changed))).unwrap();
            assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            changed.signal(WAKE_ALL);
            assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1);
        }
        assert!(poller.handle().0.rosters.len() <= 16);
    }
}
