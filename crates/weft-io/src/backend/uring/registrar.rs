//! Who may tell a ring of memory and of files.
//!
//! What lives here: [`Registrar`]. What does not: the calls (`register.rs`), what is told (`memory.rs`, `files.rs`).
//!
//! Before a ring is bound, any thread may; after it, the poll thread, and others only if the ring has no single owner. Whoever
//! keeps one keeps it behind a lock that covers the question, the call, and what follows from it: binding takes it, too.

use crate::shared::Shared;
use std::os::fd::RawFd;

/// A ring, for those who tell it of something.
#[derive(Debug)]
pub(super) struct Registrar {
    /// `None` once it is gone.
    ring: Option<RawFd>,
    /// One owner is listened to.
    is_single: bool,
    is_bound: bool,
}

impl Registrar {
    pub(super) const fn new(ring: RawFd, is_single: bool) -> Registrar {
        Registrar { ring: Some(ring), is_single, is_bound: false }
    }

    /// `bind` makes the calling thread the owner of the ring.
    pub(super) fn while_binding<T>(&mut self, bind: impl FnOnce() -> T) -> T {
        self.is_bound = true;
        bind()
    }

    pub(super) const fn ring(&self) -> Option<RawFd> {
        self.ring
    }

    /// The ring, for the last time.
    pub(super) const fn close(&mut self) -> Option<RawFd> {
        self.ring.take()
    }

    /// Whether the calling thread may. A ring that is gone takes calls from anybody: they do nothing.
    pub(super) fn may_call(&self, shared: &Shared) -> bool {
        !self.is_single || !self.is_bound || self.ring.is_none() || shared.home.is_here()
    }
}
