//! An operation that ends at an instant.

use super::{Body, Kind};
use crate::operation::{Params, sealed::Lower};
use weft_sync::Deadline;

/// Ends at its deadline or after it, never before. One in the past ends at the next poll; [`Deadline::NEVER`] only by
/// cancel. Timers end in the order of their deadlines, equal ones in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// When.
    pub deadline: Deadline,
}

impl Params for Timer {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for Timer {
    const KIND: Kind = Kind::Timer;

    fn body(&mut self) -> Body<'_> {
        Body::Timer(self.deadline)
    }
}
