//! Operations that the kernel could not carry out when it was asked, and gave up.
//!
//! What lives here: [`Rests`], when each of them is asked for again. What does not: which answers say so (`lower.rs`), the
//! operations themselves, which lie with those that the kernel has (`ring.rs`).
//!
//! 1. The kernel waits until a handle is ready, and tries. It gives up after some hundred times that somebody else was
//!    quicker; after so many it also gives up on a handle that says that it is ready and is not: a full queue of
//!    datagrams, or one with nothing but errors to be fetched in another way. The two look the same.
//! 2. So what it gives up is asked for again: **at once if the kernel was busy with it for a while, after a rest if it was
//!    not**. Rests get longer, up to [`REST_MAX`], so that nobody is kept busy by a handle that is never ready.
//! 3. **Who rests is not with the kernel**, so a cancel has nobody to ask: it ends the rest, and the operation.

use super::tag::Use;
use std::collections::HashMap;
use std::time::Duration;
use weft_sync::{Deadline, Instant};

/// The first rest: short to whoever waits, and long beside the attempts before it.
const REST_MIN: Duration = Duration::from_millis(1);
/// The longest, and how long the kernel is busy with what it did not give up at once.
const REST_MAX: Duration = Duration::from_millis(16);

/// When an operation was asked for the last time, and how long it rests the next time.
struct Asked {
    of: Use,
    at: Instant,
    rest: Duration,
}

/// See the header.
#[derive(Default)]
pub(super) struct Rests {
    /// By slot. What is of an earlier use of the slot means nothing.
    asked: HashMap<u32, Asked>,
    /// Until when, and who.
    resting: Vec<(Instant, Use)>,
    /// Who was cancelled at rest.
    ended: Vec<Use>,
}

impl Rests {
    /// The kernel has given it up now. `true`: it rests; `false`: it is to be asked for again at once.
    pub(super) fn given_up(&mut self, of: Use, now: Instant) -> bool {
        let fresh = Asked { of, at: now, rest: REST_MIN };
        match self.asked.get_mut(&of.slot) {
            Some(last) if last.of == of && now.since(last.at) < REST_MAX => {
                let until = now.checked_add(last.rest).unwrap_or(now);
                self.resting.push((until, of));
                *last = Asked { of, at: until, rest: REST_MAX.min(last.rest * 2) };
                true
            }
            _ => {
                self.asked.insert(of.slot, fresh);
                false
            }
        }
    }

    /// Rule 3. `false`: it does not rest.
    pub(super) fn cancel(&mut self, of: Use) -> bool {
        let Some(place) = self.resting.iter().position(|&(_, resting)| resting == of) else { return false };
        self.resting.swap_remove(place);
        self.ended.push(of);
        true
    }

    /// One whose rest a cancel has ended.
    #[inline]
    pub(super) fn next_ended(&mut self) -> Option<Use> {
        self.ended.pop()
    }

    /// One whose rest is over.
    pub(super) fn next_rested(&mut self, now: Instant) -> Option<Use> {
        let place = self.resting.iter().position(|&(until, _)| until <= now)?;
        Some(self.resting.swap_remove(place).1)
    }

    /// Whether nobody rests.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.resting.is_empty()
    }

    /// Whether there is something to be done now.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.has_ended() || (!self.is_empty() && self.first().is_some_and(|first| first <= Instant::now()))
    }

    /// Whether somebody was cancelled at rest who has not been given out.
    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The limit of a wait with this one.
    pub(super) fn limit(&self, deadline: Deadline) -> Deadline {
        self.first().map_or(deadline, |first| deadline.min(Deadline::at(first)))
    }

    fn first(&self) -> Option<Instant> {
        self.resting.iter().map(|&(until, _)| until).min()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::table::Key;

    /// Who is given up again and again rests longer and longer, up to a limit; who kept the kernel busy does not rest, nor
    /// who uses the slot next.
    #[test]
    fn rests_get_longer_up_to_a_limit() {
        let of = |generation| Use::from(Key { index: 3, generation });
        let mut rests = Rests::default();
        let mut now = Instant::now();
        let after = |now: Instant, delay| now.checked_add(delay).unwrap();
        assert!(!rests.given_up(of(1), now));
        for millis in [1, 2, 4, 8, 16, 16, 16] {
            assert!(rests.given_up(of(1), now));
            let until = after(now, Duration::from_millis(millis));
            assert_eq!(rests.limit(Deadline::NEVER), Deadline::at(until));
            assert_eq!(rests.next_rested(now), None);
            assert_eq!(rests.next_rested(until), Some(of(1)));
            now = until;
        }
        assert!(rests.is_empty() && !rests.is_due());
        now = after(now, REST_MAX);
        assert!(!rests.given_up(of(1), now), "it was busy");
        assert!(!rests.given_up(of(2), now), "another one");
        assert!(rests.given_up(of(2), now));
        assert!(!rests.cancel(of(1)) && rests.cancel(of(2)) && !rests.cancel(of(2)));
        assert!(rests.is_empty() && rests.is_due());
        assert_eq!((rests.next_ended(), rests.next_ended()), (Some(of(2)), None));
    }
}
