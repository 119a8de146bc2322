//! Events: set on any thread, taken by one waiter.
#![cfg(target_os = "linux")]

use crate::errno::failure;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, Ordering};
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
pub struct Event(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    /// What was written before a set is visible to whoever takes it: the kernel orders that too, but neither the memory
    /// model nor a race detector knows what passes through it.
    sets: AtomicU32,
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Result<Event> {
        let fd = new_eventfd().while_doing(|| "making an event")?;
        Ok(Event(Arc::new(Inner { fd, sets: AtomicU32::new(0) })))
    }

    /// Sets it. Never blocks; may be called in a signal handler.
    pub fn set(&self) {
        // Pairs with the Acquire in `taken`.
        self.0.sets.fetch_add(1, Ordering::Release);
        raise(&self.0.fd);
    }

    /// Takes the signal, if there is one.
    pub fn reset(&self) -> bool {
        let was_set = lower(&self.0.fd);
        self.taken();
        was_set
    }

    /// Whoever has taken the signal calls this before it goes on.
    pub(crate) fn taken(&self) {
        self.0.sets.load(Ordering::Acquire);
    }
}

impl AsFd for Event {
    /// Readable while the event is set.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

pub(crate) fn new_eventfd() -> Result<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    eventfd(0, flags).map_err(|errno| failure(errno, "eventfd"))
}

/// Makes an eventfd readable. One that is full is readable already.
pub(crate) fn raise(fd: &OwnedFd) {
    loop {
        match rustix::io::write(fd, &1_u64.to_ne_bytes()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(rustix::io::Errno::AGAIN) => return,
            // The handle is owned, so it is open, and it is an eventfd: nothing else can come.
            Err(errno) => {
                debug_assert!(false, "writing to an eventfd: {errno}");
                return;
            }
        }
    }
}

/// Takes what an eventfd holds. `false`: nothing.
pub(crate) fn lower(fd: &OwnedFd) -> bool {
    let mut count = [0; 8];
    loop {
        match rustix::io::read(fd, &mut count) {
            Err(rustix::io::Errno::INTR) => {}
            outcome => return outcome.is_ok(),
        }
    }
}
