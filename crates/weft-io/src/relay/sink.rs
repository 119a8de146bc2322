//! Where a relay signals.
//!
//! What lives here: [`RelaySink`]. What does not: when it fires (`mod.rs`).

use crate::errno::failure;
use crate::{Event, Notification};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use weft_sync::{Result, bail};

/// What a relay signals when its source is ready.
pub struct RelaySink(To);

enum To {
    Event(Event),
    Handle(Box<dyn AsFd + Send + Sync>, u64),
    Notification(Arc<Notification>, u32),
}

impl RelaySink {
    /// Sets an event.
    pub fn event(event: Event) -> RelaySink {
        // Nobody knows who was to take the last signal.
        event.leave_unsure();
        RelaySink(To::Event(event))
    }

    /// Writes eight bytes to a handle, which must not block: an eventfd takes them as a number, and several add up. A
    /// handle that is full has been signalled already. One without readers faults the relay; in a program that has not
    /// left broken pipes ignored, as Rust programs have, see
    /// [`ignore_broken_pipe`](crate::ignore_broken_pipe).
    pub fn handle(handle: impl AsFd + Send + Sync + 'static, value: u64) -> RelaySink {
        RelaySink(To::Handle(Box::new(handle), value))
    }

    /// Signals a notification, for up to `count` threads.
    pub fn notification(notification: Arc<Notification>, count: u32) -> RelaySink {
        RelaySink(To::Notification(notification, count))
    }

    pub(super) fn check(&self) -> Result<()> {
        let To::Handle(handle, _) = &self.0 else { return Ok(()) };
        match rustix::fs::fcntl_getfl(handle) {
            Ok(flags) if flags.contains(OFlags::NONBLOCK) => Ok(()),
            Ok(_) => bail!(InvalidArgument, "the sink of a relay must not block"),
            Err(errno) => bail!(InvalidArgument, "the sink of a relay: {errno}"),
        }
    }

    pub(super) fn fire(&self) -> Result<()> {
        match &self.0 {
            To::Event(event) => event.set(),
            To::Notification(notification, count) => {
                notification.signal(*count);
            }
            To::Handle(handle, value) => loop {
                match rustix::io::write(handle, &value.to_ne_bytes()) {
                    Err(Errno::INTR) => {}
                    // Full: whoever reads it is told anyway.
                    Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                    Err(errno) => return Err(failure(errno, "writing to a sink")),
                }
            },
        }
        Ok(())
    }
}

impl fmt::Debug for RelaySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            To::Event(_) => f.write_str("event"),
            To::Handle(handle, value) => write!(f, "{value} to {:?}", handle.as_fd()),
            To::Notification(_, count) => write!(f, "notification for {count}"),
        }
    }
}
