//! Objects that CPU devices accept but have no use for: events and channels.
//!
//! Recordings of CPU devices run in order, so an event is always in the right state. Collectives are not implemented,
//! so no channel can exist.

use std::convert::Infallible;

/// Something that commands signal, reset and wait for.
#[derive(Debug, Default)]
pub struct Event(());

/// A group of participants in collectives. Cannot be made.
#[derive(Debug)]
pub struct Channel(Infallible);

impl Channel {
    /// Rank and number of participants.
    pub fn rank_and_count(&self) -> (i32, i32) {
        match self.0 {}
    }
}
