//! What an operation comes after, and what its signals say about that.
//!
//! 1. The past is the union of what the semaphores that it waited for know, read after they were reached. It is
//!    *complete* if each of them knew all of its own.
//! 2. The signal says: this past, and this epoch of this queue. A semaphore is told that its past is complete only if it
//!    was; whoever asks an incomplete one learns nothing, which is never wrong.
//! 3. Semaphores that carry no frontier cost nothing here.

use weft_hal::{Submission, each_point};
use weft_sync::{Axis, Frontier, FrontierBuf, Point, Result};

/// Axes that are kept. More of them make the past incomplete.
const ENTRIES: usize = 8;

/// What came before an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    frontier: FrontierBuf<ENTRIES>,
    is_complete: bool,
}

impl Past {
    /// Nothing came before.
    pub(crate) fn nothing() -> Past {
        Past { frontier: FrontierBuf::default(), is_complete: true }
    }

    /// What came before an operation whose waits are over.
    #[inline]
    pub(crate) fn of(submission: &Submission<'_>) -> Past {
        let mut past = Past::nothing();
        // Without anybody to tell there is nothing to find out.
        if submission.signal.iter().any(|point| point.semaphore.carries_frontier()) {
            past.gather(submission.wait);
        }
        past
    }

    /// The axes and epochs that are known to have been before.
    pub(super) fn frontier(&self) -> &Frontier {
        self.frontier.as_frontier()
    }

    /// Adds what these points know; they are reached.
    #[cold]
    pub(crate) fn gather(&mut self, points: &[Point]) {
        for Point { semaphore, value } in points {
            let known = semaphore.complete_frontier::<ENTRIES>(*value);
            self.is_complete &= known.is_some_and(|known| self.frontier.merge(known.as_frontier()).is_ok());
        }
    }

    /// Signals all points, in order, up to the first that refuses. A panic of one's callbacks goes on when all have been
    /// signalled.
    #[inline]
    pub(crate) fn signal(&self, points: &[Point], axis: Axis, epoch: u64) -> Result<()> {
        each_point(points, |Point { semaphore, value }| {
            if !semaphore.carries_frontier() {
                return semaphore.signal(*value);
            }
            let mut own = self.frontier;
            let fits = own.raise(axis, epoch).is_ok();
            if fits && self.is_complete {
                semaphore.signal_untainted(*value, own.as_frontier())
            } else {
                semaphore.signal_with(*value, own.as_frontier())
            }
        })
    }
}
