//! What a block of memory died after.
//!
//! What lives here: [`Death`], the test that everything rests on. What does not: which blocks there are.

use super::Requester;
use crate::frontier::{Frontier, FrontierBuf};

/// What has to be complete before a freed block may be touched; up to `CAPACITY` entries of it.
///
/// ```
/// use weft_sync::reuse::{Coverage, Death, Requester};
/// use weft_sync::{Frontier, FrontierBuf, Machine};
/// let [copy, compute] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// let freed = FrontierBuf::single(copy, 4);
/// let death = Death::<4>::after(Some(&freed));
/// let later = FrontierBuf::<2>::copy_of(&FrontierBuf::single(copy, 5)).expect("it fits");
/// assert_eq!(death.coverage(&Requester::after(&later)), Coverage::Covered);
/// assert_eq!(death.coverage(&Requester::after(&FrontierBuf::single(compute, 9))), Coverage::Uncovered);
/// assert_eq!(Death::<4>::after(None).coverage(&Requester::unknown()), Coverage::Fresh);
/// # let _ = Frontier::EMPTY;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Death<const CAPACITY: usize> {
    frontier: FrontierBuf<CAPACITY>,
    is_tainted: bool,
}

/// Whether somebody may touch a block at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Nothing to be ordered after.
    Fresh,
    /// The requester is ordered after every use, or every use is known to be complete.
    Covered,
    /// Not known to be safe.
    Uncovered,
}

impl<const CAPACITY: usize> Death<CAPACITY> {
    /// Of a block that was never used, or whose last use is over.
    pub const NONE: Death<CAPACITY> = Death { frontier: FrontierBuf::new(), is_tainted: false };

    /// Of a block that is freed by something ordered after `frontier`; `None` if all use of it is over. Tainted if it
    /// does not fit.
    #[inline]
    pub fn after(frontier: Option<&Frontier>) -> Death<CAPACITY> {
        let Some(frontier) = frontier else { return Death::NONE };
        match FrontierBuf::copy_of(frontier) {
            Ok(frontier) => Death { frontier, is_tainted: false },
            Err(_) => Death { frontier: FrontierBuf::new(), is_tainted: true },
        }
    }

    /// Whether more has to be complete than is known.
    #[inline]
    pub fn is_tainted(&self) -> bool {
        self.is_tainted
    }

    /// What has to be complete; `None` if not all of it is known.
    #[inline]
    pub fn frontier(&self) -> Option<&FrontierBuf<CAPACITY>> {
        (!self.is_tainted).then_some(&self.frontier)
    }

    /// Joins the death of another block, as when two neighbours become one. `false`: not all of it fits any more.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, reuse::Death};
    /// let [a, b] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
    /// let mut death = Death::<1>::after(Some(&FrontierBuf::single(a, 1)));
    /// assert!(death.join(&Death::after(Some(&FrontierBuf::single(a, 3)))));
    /// assert_eq!(death.frontier().expect("it fits").to_string(), "{s1.m0.q0:0@3}");
    /// assert!(!death.join(&Death::after(Some(&FrontierBuf::single(b, 1)))));
    /// assert!(death.is_tainted());
    /// ```
    pub fn join(&mut self, other: &Death<CAPACITY>) -> bool {
        if self.is_tainted || other.is_tainted || self.frontier.merge(&other.frontier).is_err() {
            *self = Death { frontier: FrontierBuf::new(), is_tainted: true };
        }
        !self.is_tainted
    }

    /// Whether `requester` may touch the block at once.
    #[inline]
    pub fn coverage(&self, requester: &Requester<'_>) -> Coverage {
        if self.is_tainted {
            return Coverage::Uncovered;
        }
        if self.frontier.is_empty() {
            return Coverage::Fresh;
        }
        if requester.past.is_some_and(|past| past.dominates(&self.frontier)) {
            return Coverage::Covered;
        }
        // Before anybody waits: some of it may be complete, and the requester ordered after the rest.
        let is_over = self.frontier.into_iter().all(|entry| {
            requester.past.is_some_and(|past| past.covers(entry.axis, entry.epoch))
                || (requester.is_reached)(entry.axis, entry.epoch)
        });
        if is_over { Coverage::Covered } else { Coverage::Uncovered }
    }
}
