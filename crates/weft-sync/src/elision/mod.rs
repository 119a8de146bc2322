//! Which waits of a submission are unnecessary, which become device waits, and which hold it back.
//!
//! What lives here: the ladder, [`resolve`], as one pure function of what is known about a wait, and [`plan`] for all
//! waits of one submission. What does not: what a queue is ordered after (`queue.rs`), what was submitted to a
//! semaphore (`history.rs`), asking semaphores and trackers.
//!
//! The rungs, cheapest first; each is sound by itself:
//!
//! | rung | known                                                             | outcome                           |
//! |------|-------------------------------------------------------------------|-----------------------------------|
//! | 0    | the semaphore has failed                                          | the operation fails               |
//! | 1    | the value is reached                                              | nothing to wait for               |
//! | 2    | no signal of the value, or of more, has been submitted            | held back                         |
//! | 3    | the last submitted signal came from this queue, which is in order | elided                            |
//! | 4    | the producer's own epoch covers all that the signal is ordered after | elided, or one device wait     |
//! | 5    | the signal's past is complete                                     | elided, or a device wait an axis  |
//! | 6    | none of these                                                     | held back                         |
//!
//! Rung 2 comes before any dominance: while the signal is not submitted, the semaphore's frontier does not contain it
//! yet, and "dominated" would be true of something else.
//!
//! A wait that is left out still needs a memory acquire of the right scope on the operation that left it out.

mod history;
mod queue;

pub use history::{SignalHistory, SubmittedSignal};
pub use queue::{QueueContext, Submission};

use crate::Axis;
use crate::frontier::{Entry, Frontier, FrontierBuf};

/// What is known of everything that a signal is ordered after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past<'a> {
    /// This is all of it.
    Complete(&'a Frontier),
    /// The value was, or will be, signalled by somebody who does not say.
    Tainted,
    /// There was more of it than the storage held.
    Truncated,
}

/// A signal that was submitted and covers the awaited value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer<'a> {
    /// The queue that signals, and the epoch at which it does.
    pub at: Entry,
    /// Whether `at` covers all that the semaphore is ordered after: nobody independent has signalled it.
    pub is_exact: bool,
    /// What the signal is ordered after, `at` included.
    pub past: Past<'a>,
}

/// What is known of one wait when its submission is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait<'a> {
    /// The semaphore has failed.
    pub has_failed: bool,
    /// The semaphore stands at the value or beyond (an acquire load said so).
    pub is_reached: bool,
    /// The least submitted signal of the value or more; `None` if none was submitted, or none is known.
    pub producer: Option<Producer<'a>>,
    /// The queue of the last submitted signal of the semaphore, if that covers the value.
    pub last_signaller: Option<Axis>,
}

impl<'a> Wait<'a> {
    /// What a submission may take up for this wait once it goes ahead, whichever rung let it: everything that the
    /// awaited value itself is ordered after.
    ///
    /// `None` for a value that is reached: what the timeline is ordered after by now may name work that has not run.
    /// `None`, too, if the queue itself moved the timeline last, which says nothing about other producers, and if the
    /// past is not known, when a wait that is held back is all that is left.
    ///
    /// ```
    /// use weft_sync::elision::{Past, Producer, Wait, Waiter};
    /// use weft_sync::{Entry, Frontier, FrontierBuf, Machine};
    /// let [producer, consumer] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
    /// let past = FrontierBuf::single(producer, 4);
    /// let known = Producer { at: Entry::new(producer, 4), is_exact: true, past: Past::Complete(&past) };
    /// let wait = Wait { has_failed: false, is_reached: false, producer: Some(known), last_signaller: None };
    /// let queue = Waiter { axis: consumer, past: Frontier::EMPTY, is_complete: true, is_in_order: true };
    /// assert_eq!(wait.import(&queue), Some(&*past));
    /// assert_eq!(Wait { is_reached: true, ..wait }.import(&queue), None);
    /// ```
    pub fn import(&self, queue: &Waiter<'_>) -> Option<&'a Frontier> {
        if self.has_failed || self.is_reached || self.is_from(queue) {
            return None;
        }
        match self.producer?.past {
            Past::Complete(past) => Some(past),
            Past::Tainted | Past::Truncated => None,
        }
    }

    /// Rung 3: whoever runs in order is past its own last signal, and with it past every value below.
    fn is_from(&self, queue: &Waiter<'_>) -> bool {
        queue.is_in_order && self.last_signaller == Some(queue.axis)
    }
}

/// What is known of the queue that is to wait.
#[derive(Clone, Copy, Debug)]
pub struct Waiter<'a> {
    /// Its axis.
    pub axis: Axis,
    /// Everything that its next submission is ordered after.
    pub past: &'a Frontier,
    /// Whether `past` is all of it. A queue that cannot say leaves out only what it signalled itself.
    pub is_complete: bool,
    /// Whether work starts only after the work before it has ended.
    pub is_in_order: bool,
}

/// Why a wait is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elided {
    /// The signal comes from this very queue, which runs in order (rung 3).
    SameQueue,
    /// The queue is ordered after the producer's epoch, which covers everything (rung 4).
    ProducerCovered,
    /// The queue is ordered after everything that the signal is ordered after (rung 5).
    PastDominated,
}

/// Why a submission is held back until a semaphore comes to its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    /// No signal of the value, or of more, was submitted (rung 2).
    NotSubmitted,
    /// This queue does not know all that it is ordered after.
    QueueIncomplete,
    /// The signaller does not say what the value is ordered after.
    Tainted,
    /// What the value is ordered after did not fit.
    Truncated,
    /// A device cannot wait for one of the axes: a collective, a host, another machine.
    NotWaitable,
    /// More device waits than the submission may have.
    TooManyBarriers,
}

/// What becomes of one wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The operation fails, through the normal way of a wait that fails (rung 0).
    Fail,
    /// The value is reached: only a memory acquire (rung 1).
    Reached,
    /// The wait is left out.
    Elide(Elided),
    /// The device waits for this many axes, which were written to the caller's storage, in rising order.
    Barriers(usize),
    /// The whole submission is held back until the semaphore comes to the value.
    Defer(Deferred),
}

/// Decides one wait. `is_waitable` says whether the device of the queue can wait for an axis; the epochs that it has to
/// wait for are written to `barriers`, whose length is how many it may.
///
/// ```
/// use weft_sync::elision::{Deferred, Elided, Past, Producer, Resolution, Wait, Waiter, resolve};
/// use weft_sync::{Entry, Frontier, FrontierBuf, Machine};
/// let [producer, consumer] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// let past = FrontierBuf::single(producer, 4);
/// let at = Entry::new(producer, 4);
/// let wait = Wait {
///     has_failed: false,
///     is_reached: false,
///     producer: Some(Producer { at, is_exact: true, past: Past::Complete(&past) }),
///     last_signaller: Some(producer),
/// };
/// let mut barriers = [at; 4];
/// let queue = |past| Waiter { axis: consumer, past, is_complete: true, is_in_order: true };
/// let first = resolve(&wait, &queue(Frontier::EMPTY), |_| true, &mut barriers);
/// assert_eq!((first, barriers[0]), (Resolution::Barriers(1), at));
/// // The next submission is ordered after that already.
/// let second = resolve(&wait, &queue(&past), |_| true, &mut barriers);
/// assert_eq!(second, Resolution::Elide(Elided::ProducerCovered));
/// let unknown = resolve(&Wait { producer: None, ..wait }, &queue(&past), |_| true, &mut barriers);
/// assert_eq!(unknown, Resolution::Defer(Deferred::NotSubmitted));
/// ```
pub fn resolve(
    wait: &Wait<'_>,
    queue: &Waiter<'_>,
    is_waitable: impl Fn(Axis) -> bool,
    barriers: &mut [Entry],
) -> Resolution {
    if wait.has_failed {
        return Resolution::Fail;
    }
    if wait.is_reached {
        return Resolution::Reached;
    }
    let Some(producer) = wait.producer else { return Resolution::Defer(Deferred::NotSubmitted) };
    if wait.is_from(queue) {
        return Resolution::Elide(Elided::SameQueue);
    }
    if !queue.is_complete {
        return Resolution::Defer(Deferred::QueueIncomplete);
    }
    if producer.is_exact && matches!(producer.past, Past::Complete(_)) {
        return by_producer(producer.at, queue, is_waitable, barriers);
    }
    match producer.past {
        Past::Complete(past) => by_past(past, queue, is_waitable, barriers),
        Past::Tainted => Resolution::Defer(Deferred::Tainted),
        Past::Truncated => Resolution::Defer(Deferred::Truncated),
    }
}

/// Rung 4: one epoch stands for everything.
fn by_producer(
    at: Entry,
    queue: &Waiter<'_>,
    is_waitable: impl Fn(Axis) -> bool,
    barriers: &mut [Entry],
) -> Resolution {
    if queue.past.covers(at.axis, at.epoch) {
        return Resolution::Elide(Elided::ProducerCovered);
    }
    if !is_waitable(at.axis) {
        return Resolution::Defer(Deferred::NotWaitable);
    }
    match barriers.first_mut() {
        Some(place) => {
            *place = at;
            Resolution::Barriers(1)
        }
        None => Resolution::Defer(Deferred::TooManyBarriers),
    }
}

/// Rung 5: whatever the queue is not ordered after yet.
fn by_past(
    past: &Frontier,
    queue: &Waiter<'_>,
    is_waitable: impl Fn(Axis) -> bool,
    barriers: &mut [Entry],
) -> Resolution {
    let missing = past.undominated(queue.past, barriers);
    if missing == 0 {
        return Resolution::Elide(Elided::PastDominated);
    }
    let Some(listed) = barriers.get(..missing) else { return Resolution::Defer(Deferred::TooManyBarriers) };
    if listed.iter().all(|entry| is_waitable(entry.axis)) {
        Resolution::Barriers(missing)
    } else {
        Resolution::Defer(Deferred::NotWaitable)
    }
}

/// What becomes of a submission: all of its waits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan<const BARRIERS: usize> {
    /// The wait with this index has failed: so does the submission.
    Fail(usize),
    /// The wait with this index holds all of it back; there are no partial barriers.
    Defer(usize, Deferred),
    /// Submit it now, behind these device waits: one an axis, of the largest epoch, in rising order.
    Submit(FrontierBuf<BARRIERS>),
}

/// Decides all waits of one submission. A failure anywhere wins over a wait that holds back.
pub fn plan<'a, const BARRIERS: usize>(
    waits: impl IntoIterator<Item = Wait<'a>>,
    queue: &Waiter<'_>,
    is_waitable: impl Fn(Axis) -> bool,
) -> Plan<BARRIERS> {
    let mut barriers = FrontierBuf::new();
    let mut held_back = None;
    for (index, wait) in waits.into_iter().enumerate() {
        let mut own = [Entry::NONE; BARRIERS];
        match resolve(&wait, queue, &is_waitable, &mut own) {
            Resolution::Fail => return Plan::Fail(index),
            Resolution::Defer(why) => _ = held_back.get_or_insert((index, why)),
            Resolution::Barriers(count) => {
                if barriers.merge(Frontier::from_canonical(&own[..count])).is_err() {
                    held_back.get_or_insert((index, Deferred::TooManyBarriers));
                }
            }
            Resolution::Reached | Resolution::Elide(_) => {}
        }
    }
    match held_back {
        Some((index, why)) => Plan::Defer(index, why),
        None => Plan::Submit(barriers),
    }
}
