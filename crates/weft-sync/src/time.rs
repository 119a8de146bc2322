//! When a wait gives up.
//!
//! What lives here: [`Instant`], a point on the monotonic clock, and [`Deadline`], the latest instant at which
//! a wait may still answer. What does not: sleeping (`sleeper.rs`).
//!
//! Waits take deadlines, not durations: a wait made of several steps then keeps one limit for all of them.

use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock.
///
/// ```
/// use std::time::Duration;
/// use weft_sync::Instant;
/// let start = Instant::now();
/// assert!(start + Duration::from_millis(1) > start);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// The present.
    pub fn now() -> Instant {
        Instant(std::time::Instant::now())
    }

    /// The time since `earlier`; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// This instant moved into the future; `None` beyond the end of the clock.
    pub fn checked_add(self, delay: Duration) -> Option<Instant> {
        self.0.checked_add(delay).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Panics beyond the end of the clock, as `std` does; use [`Instant::checked_add`] for delays from outside.
    fn add(self, delay: Duration) -> Instant {
        Instant(self.0 + delay)
    }
}

/// The latest instant at which a wait may still answer.
///
/// Deadlines are ordered by how long they let a wait go on: `IMMEDIATE`, then instants, then `NEVER`.
///
/// ```
/// use std::time::Duration;
/// use weft_sync::Deadline;
/// assert_eq!(Deadline::IMMEDIATE.remaining(), Some(Duration::ZERO));
/// assert_eq!(Deadline::NEVER.remaining(), None);
/// assert!(Deadline::after(Duration::from_secs(5)) < Deadline::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(When);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Immediate,
    At(Instant),
    Never,
}

impl Deadline {
    /// Look once, never block.
    pub const IMMEDIATE: Deadline = Deadline(When::Immediate);
    /// Wait for as long as it takes.
    pub const NEVER: Deadline = Deadline(When::Never);

    /// Give up at `instant`.
    pub fn at(instant: Instant) -> Deadline {
        Deadline(When::At(instant))
    }

    /// Give up after `delay` from now. Zero is [`Deadline::IMMEDIATE`] and reads no clock; a delay beyond the
    /// end of the clock is [`Deadline::NEVER`].
    pub fn after(delay: Duration) -> Deadline {
        if delay.is_zero() {
            return Deadline::IMMEDIATE;
        }
        Instant::now().checked_add(delay).map_or(Deadline::NEVER, Deadline::at)
    }

    /// True for [`Deadline::IMMEDIATE`] only: this wait may not block.
    pub fn is_immediate(self) -> bool {
        self.0 == When::Immediate
    }

    /// When it passes; `None` for [`Deadline::IMMEDIATE`], which has, and for [`Deadline::NEVER`].
    pub fn instant(self) -> Option<Instant> {
        match self.0 {
            When::At(instant) => Some(instant),
            When::Immediate | When::Never => None,
        }
    }

    /// The time left: zero once the deadline has passed, `None` if it never passes.
    pub fn remaining(self) -> Option<Duration> {
        match self.0 {
            When::Immediate => Some(Duration::ZERO),
            When::At(instant) => Some(instant.since(Instant::now())),
            When::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_beyond_the_clock_is_never() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
        assert_eq!(Deadline::after(Duration::ZERO), Deadline::IMMEDIATE);
        assert_eq!([Deadline::IMMEDIATE, Deadline::NEVER].map(Deadline::instant), [None, None]);
        let now = Instant::now();
        assert_eq!(Deadline::at(now).instant(), Some(now));
    }

    #[test]
    fn deadlines_order_by_patience() {
        let now = Instant::now();
        let mut deadlines = [
            Deadline::NEVER,
            Deadline::at(now + Duration::from_secs(2)),
            Deadline::IMMEDIATE,
            Deadline::at(now),
        ];
        deadlines.sort();
        assert_eq!(
            deadlines,
            [
                Deadline::IMMEDIATE,
                Deadline::at(now),
                Deadline::at(now + Duration::from_secs(2)),
                Deadline::NEVER
            ]
        );
    }

    #[test]
    fn remaining_stops_at_zero() {
        assert_eq!(Deadline::at(Instant::now()).remaining(), Some(Duration::ZERO));
        let left = Deadline::after(Duration::from_secs(3600)).remaining().expect("a finite deadline");
        assert!(left > Duration::from_secs(3590) && left <= Duration::from_secs(3600), "{left:?}");
    }
}
