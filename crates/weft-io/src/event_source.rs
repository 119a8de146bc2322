//! Handles that somebody is told about for as long as they are registered.
//!
//! What lives here: [`EventSource`]. What does not: how a handle is watched (`proactor/watch.rs`), how a registration ends
//! (`gate.rs`).
//!
//! 1. **By level**: the callback is called again and again while the handle is readable, so it takes what there is. A
//!    hang-up is a level too: whoever is told of one ends the registration.
//! 2. **The end is now**: when a registration has been dropped, on whatever thread, its callback is not running and does
//!    not run again, whatever the kernel has reported already. The callback itself may drop it; then that call is the last.
//! 3. The handle and the callback stay until the kernel has no question about the handle left, which takes the poll thread
//!    a turn.
//! 4. A handle that the kernel does not let be watched, or not any more, is told of once, as an error; nothing is silent, but
//!    the null backend, which has no kernel to ask.
//! 5. A source that is idle costs nothing: the kernel knows whom to tell.
//! 6. A callback that panics is not called again; the panic comes out of the poll.
#![cfg(unix)]

use crate::gate::Gate;
use crate::ops::{Interest, Ready};
use crate::proactor::{Verdict, Watching};
use crate::{Event, Handle};
use std::any::Any;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use weft_sync::{Result, Status};

/// The registration of a callback that is told when a handle can be read. Ends when dropped: when that returns, the callback
/// is not running and does not run again. So the drop waits while the callback runs on the poll thread, unless it is the
/// callback that drops it: whoever drops it holds no lock that the callback takes, else both wait for ever.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use weft_io::{Config, Event, EventSource, open};
/// use weft_sync::Deadline;
/// # let Ok(proactor) = open("uring", &Config::new()) else { return Ok(()) };
/// let mut poller = proactor.into_poller()?;
/// let (event, told) = (Event::new()?, Arc::new(AtomicU32::new(0)));
/// let (taken, count) = (event.clone(), told.clone());
/// let source = EventSource::register(poller.handle(), event.clone(), move |_ready| {
///     taken.reset();
///     count.fetch_add(1, Ordering::Relaxed);
/// }).map_err(|refused| refused.why)?;
/// for round in 1..4 {
///     event.set();
///     poller.poll(Deadline::NEVER)?;
///     assert_eq!(told.load(Ordering::Relaxed), round);
/// }
/// drop(source);
/// # weft_sync::Result::Ok(())
/// ```
#[must_use = "the registration ends when this is dropped"]
pub struct EventSource {
    handle: Handle,
    number: u64,
    gate: Arc<Gate>,
}

/// A handle that was not registered, and why.
#[must_use = "the handle comes back here"]
pub struct RefusedSource<S> {
    /// `ABORTED`: the proactor is gone.
    pub why: Status,
    /// What was to be watched.
    pub source: S,
}

impl<S> fmt::Debug for RefusedSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedSource({})", self.why)
    }
}

impl EventSource {
    /// Tells `callback` whenever `source` can be read, has hung up or has an error, on the poll thread. Any thread may
    /// register, before the first poll too. The source is whatever keeps a handle open: an [`Event`], a
    /// socket, an `Arc<OwnedFd>`. Registered twice, it is told of twice. The null backend takes every source and is told of
    /// none, as it does nothing with any handle.
    pub fn register<S: AsFd + Send + 'static>(
        handle: &Handle,
        source: S,
        callback: impl FnMut(Ready) + Send + 'static,
    ) -> std::result::Result<EventSource, RefusedSource<S>> {
        if let Some(event) = (&source as &dyn Any).downcast_ref::<Event>() {
            // It may be set when nobody is told any more.
            event.leave_unsure();
        }
        let gate = Arc::new(Gate::new());
        let told = Told { source, callback: Box::new(callback), gate: Arc::clone(&gate) };
        match handle.0.watch(Box::new(told)) {
            Ok(number) => Ok(EventSource { handle: handle.clone(), number, gate }),
            Err((why, watching)) => {
                let watching: Box<dyn Any> = watching;
                match watching.downcast::<Told<S>>() {
                    Ok(told) => Err(RefusedSource { why, source: told.source }),
                    Err(_) => unreachable!("the same watch comes back"),
                }
            }
        }
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.gate.close();
        self.handle.0.unwatch(self.number);
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventSource({} of {:?})", self.number, self.handle)
    }
}

/// What the poll thread has of a registration.
struct Told<S> {
    source: S,
    callback: Box<dyn FnMut(Ready) + Send>,
    gate: Arc<Gate>,
}

impl<S> fmt::Debug for Told<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventSource(open: {})", !self.gate.is_closed())
    }
}

impl<S: AsFd + Send + 'static> Watching for Told<S> {
    fn handle(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    fn interest(&self) -> Interest {
        Interest::IN
    }

    fn ready(&mut self, ready: Result<Ready>) -> Verdict {
        let Some(_pass) = self.gate.enter() else { return Verdict::Done };
        // Rule 4: the watch ends with an error, and that is the last that is told.
        (self.callback)(ready.unwrap_or(Ready::ERR));
        match self.gate.is_closed() {
            true => Verdict::Done,
            false => Verdict::Again,
        }
    }

    fn end(self: Box<Self>, _why: Status) {}
}
