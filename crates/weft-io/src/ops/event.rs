//! Waiting for events and for foreign handles to be ready.
#![cfg(unix)]

use super::{Body, Kind};
use crate::Capabilities;
use crate::Event;
use crate::operation::{Params, sealed::Lower};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use weft_sync::{Result, Status, bail};

/// Ends when the event is set, and takes the signal: of several waits one ends. One that was set before ends at once.
#[derive(Clone, Debug)]
pub struct EventWait {
    /// What is waited for.
    pub event: Event,
}

impl Params for EventWait {
    type Output = ();

    fn output(&mut self, _value: i64) {
        self.event.taken();
    }
}

impl Lower for EventWait {
    const KIND: Kind = Kind::EventWait;

    fn body(&mut self) -> Body<'_> {
        Body::EventWait(self.event.as_fd())
    }

    fn miss(&mut self, _why: &Status) {
        self.event.leave_unsure();
    }
}

bitflags::bitflags! {
    /// What of a handle is waited for. Errors and hang-ups are always reported.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Interest: u32 {
        /// Something can be read.
        const IN = 1;
        /// Something can be written.
        const OUT = 8;
    }
}

bitflags::bitflags! {
    /// What a handle is ready for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ready: u32 {
        /// Something can be read.
        const IN = 1;
        /// An error is pending, or the handle cannot be polled.
        const ERR = 2;
        /// The other side is gone.
        const HUP = 4;
        /// Something can be written.
        const OUT = 8;
    }
}

impl Ready {
    /// From what `poll(2)`, and everything made after it, reports. The numbers are those of every system that is supported,
    /// but for the last, which is Linux's and not used by others for anything that is asked for.
    pub(crate) fn from_poll(bits: u32) -> Ready {
        let mut ready = Ready::empty();
        ready.set(Ready::IN, bits & 0x1 != 0);
        ready.set(Ready::OUT, bits & 0x4 != 0);
        // An error is pending, or the number is no open file.
        ready.set(Ready::ERR, bits & (0x8 | 0x20) != 0);
        // Both directions are gone, or the one to here.
        ready.set(Ready::HUP, bits & (0x10 | 0x2000) != 0);
        ready
    }
}

impl Interest {
    /// For `poll(2)`, and everything made after it. Errors and hang-ups need not be asked for.
    pub(crate) fn to_poll(self) -> u32 {
        u32::from(self.contains(Interest::IN)) | u32::from(self.contains(Interest::OUT)) << 2
    }
}

/// Ends when the handle is ready. Reads nothing from it.
#[derive(Clone, Debug)]
pub struct HandlePoll {
    /// What is waited for; shared, so that it stays open for as long as the operation.
    pub handle: Arc<OwnedFd>,
    /// Which readiness.
    pub interest: Interest,
}

impl Params for HandlePoll {
    type Output = Ready;

    fn output(&mut self, value: i64) -> Ready {
        Ready::from_bits_truncate(value as u32)
    }
}

impl Lower for HandlePoll {
    const KIND: Kind = Kind::HandlePoll;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        if self.interest.is_empty() {
            bail!(InvalidArgument, "nothing about the handle is of interest");
        }
        Ok(())
    }

    fn body(&mut self) -> Body<'_> {
        Body::HandlePoll(self.handle.as_fd(), self.interest)
    }
}
