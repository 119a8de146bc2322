//! Events: set on any thread, taken by one waiter.
#![cfg(unix)]

use crate::event_handle::new_event_handle;
#[cfg(target_os = "linux")]
pub(crate) use crate::event_handle::new_eventfd;
pub(crate) use crate::event_handle::{EventHandle, lower, raise};
use crate::event_pool::{self, Home};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use weft_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use weft_sync::{Result, WhileDoing};

/// A signal that is taken by one waiter: by [`EventWait`](crate::ops::EventWait), or by [`Event::reset`].
///
/// Several sets before a wait count as one. Cheap to clone; clones are the same event.
///
/// ```
/// use weft_io::Event;
/// let event = Event::new()?;
/// event.set();
/// event.set();
/// assert!(event.reset());
/// assert!(!event.reset());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Event(
    /// `None` while it is dropped.
    Option<Arc<Inner>>,
);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) fd: EventHandle,
    /// What was written before a set is visible to whoever takes it: the kernel orders that too, but neither the memory
    /// model nor a race detector knows what passes through it.
    sets: AtomicU32,
    /// Whether a wait was cancelled, or it was watched, or set, for somebody: nobody knows who was to take the signal, so its
    /// pool looks.
    pub(crate) is_unsure: AtomicBool,
    /// The pool that it belongs to.
    pub(crate) home: Option<Home>,
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Result<Event> {
        Event::make(None)
    }

    /// An event that goes to its pool when it is let go.
    pub(crate) fn with_home(home: Home) -> Result<Event> {
        Event::make(Some(home))
    }

    fn make(home: Option<Home>) -> Result<Event> {
        let fd = new_event_handle().while_doing(|| "making an event")?;
        Ok(Event::from_inner(Arc::new(Inner {
            fd,
            sets: AtomicU32::new(0),
            is_unsure: AtomicBool::new(false),
            home,
        })))
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Event {
        Event(Some(inner))
    }

    fn inner(&self) -> &Inner {
        self.0.as_ref().expect("it is only taken by the drop")
    }

    /// Sets it. Never blocks; may be called in a signal handler.
    pub fn set(&self) {
        // Pairs with the Acquire in `taken`.
        self.inner().sets.fetch_add(1, Ordering::Release);
        raise(&self.inner().fd);
    }

    /// Takes the signal, if there is one.
    pub fn reset(&self) -> bool {
        let was_set = lower(&self.inner().fd);
        self.taken();
        was_set
    }

    /// A wait for it ended, or a registration may end, without the signal, which may come yet.
    pub(crate) fn leave_unsure(&self) {
        // Relaxed: whoever looks has the last reference, which orders more than this.
        self.inner().is_unsure.store(true, Ordering::Relaxed);
    }

    /// Whoever has taken the signal calls this before it goes on.
    pub(crate) fn taken(&self) {
        self.inner().sets.load(Ordering::Acquire);
    }
}

impl AsFd for Event {
    /// Readable while the event is set.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().fd.as_fd()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // One reference, and it is this one: nobody is left who could make another. Two threads that let the last two
        // go at once may both miss that; then the event is closed, and its place stays.
        if let Some(inner) = self.0.take()
            && inner.home.is_some()
            && Arc::strong_count(&inner) == 1
        {
            event_pool::give_back(inner);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.leave();
        }
    }
}
