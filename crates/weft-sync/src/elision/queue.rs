//! What a queue is ordered after, from submission to submission.
//!
//! What lives here: [`QueueContext`], [`Submission`]. What does not: deciding which waits a submission can leave out
//! (`mod.rs`).
//!
//! 1. The context of a queue that runs in order is everything that its *next* submission is ordered after: what earlier
//!    submissions waited for, and its own axis at the last epoch. A queue that promises no order has no context: each
//!    submission is ordered after what it waits for, and nothing else. Its epochs count submissions all the same, so one
//!    is reached once everything submitted up to it has completed, in whatever order.
//! 2. A submission takes up a frontier only if it really waits for it (device waits, or the past of the very value that
//!    it waits for), or if all of it is known to be complete. Taking over the accumulated frontier of a semaphore after
//!    waiting for an earlier value would claim to be ordered after work that has not run, and every later wait that is
//!    left out would inherit the lie.
//! 3. If a union does not fit, the queue no longer knows all of its past. It stops vouching for it: its signals are
//!    tainted, and only what it signalled itself is left out. Once the submission that took in the excess has
//!    completed, so has everything that was not noted: then it vouches again.

use super::Waiter;
use crate::Axis;
use crate::frontier::{Entry, Frontier, FrontierBuf};

/// What a queue is ordered after.
///
/// ```
/// use weft_sync::elision::QueueContext;
/// use weft_sync::{FrontierBuf, Machine};
/// let [copy, compute] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// let mut queue = QueueContext::<16>::in_order(compute);
/// let copied = FrontierBuf::single(copy, 3);
/// let first = queue.submit([&*copied]);
/// assert_eq!(first.past().expect("it fits").to_string(), "{s1.m0.q0:0@3, s1.m0.q1:0@1}");
/// let second = queue.submit([]);
/// assert_eq!(second.past().expect("it fits").to_string(), "{s1.m0.q0:0@3, s1.m0.q1:0@2}");
/// ```
#[derive(Clone, Debug)]
pub struct QueueContext<const CAPACITY: usize> {
    axis: Axis,
    is_in_order: bool,
    past: FrontierBuf<CAPACITY>,
    /// The last epoch that was submitted.
    submitted: u64,
    /// The context is incomplete until this epoch of the queue itself is complete.
    incomplete_until: Option<u64>,
}

/// One submission: what it is known by, and what it is ordered after.
#[derive(Clone, Debug)]
pub struct Submission<const CAPACITY: usize> {
    /// The axis of the queue and the epoch of the submission.
    pub at: Entry,
    past: Option<FrontierBuf<CAPACITY>>,
}

impl<const CAPACITY: usize> Submission<CAPACITY> {
    /// Everything that the submission is ordered after, itself included; `None` if the queue cannot say. A signal
    /// without it is tainted.
    pub fn past(&self) -> Option<&Frontier> {
        self.past.as_deref()
    }
}

impl<const CAPACITY: usize> QueueContext<CAPACITY> {
    /// A queue that has submitted nothing and runs one piece of work after the other.
    pub fn in_order(axis: Axis) -> QueueContext<CAPACITY> {
        QueueContext {
            axis,
            is_in_order: true,
            past: FrontierBuf::new(),
            submitted: 0,
            incomplete_until: None,
        }
    }

    /// A queue that has submitted nothing and promises no order among its work.
    pub fn out_of_order(axis: Axis) -> QueueContext<CAPACITY> {
        QueueContext { is_in_order: false, ..QueueContext::in_order(axis) }
    }

    /// The axis of the queue.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// What the next submission is ordered after before it waits for anything, as far as that is known.
    pub fn past(&self) -> &Frontier {
        &self.past
    }

    /// Whether [`QueueContext::past`] is all of it.
    pub fn is_complete(&self) -> bool {
        self.incomplete_until.is_none()
    }

    /// The queue as the ladder sees it.
    pub fn as_waiter(&self) -> Waiter<'_> {
        Waiter {
            axis: self.axis,
            past: &self.past,
            is_complete: self.is_complete(),
            is_in_order: self.is_in_order,
        }
    }

    /// Numbers a submission that is ordered after `waited` (rule 2 says what may stand there).
    pub fn submit<'f>(&mut self, waited: impl IntoIterator<Item = &'f Frontier>) -> Submission<CAPACITY> {
        self.submitted += 1;
        let at = Entry::new(self.axis, self.submitted);
        let mut past = self.past;
        let mut fits = true;
        for frontier in waited {
            fits &= past.merge(frontier).is_ok();
        }
        fits &= past.raise(at.axis, at.epoch).is_ok();
        if self.is_in_order {
            self.past = past;
            if !fits {
                self.incomplete_until = Some(self.submitted);
            }
        }
        Submission { at, past: (fits && self.is_complete()).then_some(past) }
    }

    /// Forgets what is known to be complete, which makes room, and vouches again if everything that was not noted is
    /// complete. `is_reached` asks a tracker.
    ///
    /// ```
    /// use weft_sync::elision::QueueContext;
    /// use weft_sync::{FrontierBuf, Machine};
    /// let mut queue = QueueContext::<1>::in_order(Machine::LOCAL.queue(0, 0));
    /// assert!(queue.submit([]).past().is_some());
    /// assert!(queue.submit([&*FrontierBuf::single(Machine::LOCAL.host(1), 1)]).past().is_none());
    /// queue.rebuild(|_, epoch| epoch <= 1);
    /// assert!(queue.submit([]).past().is_none(), "the submission that waited has not completed");
    /// queue.rebuild(|_, epoch| epoch <= 2);
    /// assert!(queue.submit([]).past().is_some());
    /// ```
    pub fn rebuild(&mut self, is_reached: impl Fn(Axis, u64) -> bool) {
        let mut kept = FrontierBuf::new();
        for entry in &*self.past {
            // The own entry stays: it is what other queues know this one by.
            if entry.axis == self.axis || !is_reached(entry.axis, entry.epoch) {
                let fits = kept.raise(entry.axis, entry.epoch);
                debug_assert!(fits.is_ok(), "a part of what is there fits");
            }
        }
        self.past = kept;
        if self.incomplete_until.is_some_and(|epoch| is_reached(self.axis, epoch)) {
            self.incomplete_until = None;
        }
    }
}
