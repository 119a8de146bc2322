//! What was submitted to one semaphore and has perhaps not run: who will signal which value, and what that is ordered
//! after.
//!
//! What lives here: [`SignalHistory`], a ring of the last submitted signals. What does not: the semaphore, which knows
//! what was signalled, not what will be.
//!
//! 1. Each signal keeps what *its* value is ordered after: its producer's past, and that of the signals before it,
//!    for values only rise. A wait for an earlier value is resolved by the earlier signal, or by the least recorded one
//!    above it, never by what came later.
//! 2. A signal is exact if its producer's own epoch covers everything that its value is ordered after: its past covers
//!    the past of every signal before it. A second, independent producer ends that, until a signal covers both again.
//! 3. A signal whose producer cannot say, or whose past does not fit, covers nothing. The next one that can say is
//!    ordered after it all the same, as values rise, and is complete.

use super::{Past, Producer, Submission, Wait};
use crate::Semaphore;
use crate::frontier::{Entry, Frontier, FrontierBuf};

/// A signal that was submitted.
#[derive(Clone, Debug)]
pub struct SubmittedSignal<const CAPACITY: usize> {
    value: u64,
    at: Entry,
    is_exact: bool,
    past: KnownPast<CAPACITY>,
}

#[derive(Clone, Debug)]
enum KnownPast<const CAPACITY: usize> {
    Complete(FrontierBuf<CAPACITY>),
    Tainted,
    Truncated,
}

impl<const CAPACITY: usize> SubmittedSignal<CAPACITY> {
    /// The value.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The signal as the ladder sees it.
    pub fn as_producer(&self) -> Producer<'_> {
        let past = match &self.past {
            KnownPast::Complete(past) => Past::Complete(past),
            KnownPast::Tainted => Past::Tainted,
            KnownPast::Truncated => Past::Truncated,
        };
        Producer { at: self.at, is_exact: self.is_exact, past }
    }

    /// What the value is ordered after, if that is known.
    pub fn past(&self) -> Option<&Frontier> {
        match &self.past {
            KnownPast::Complete(past) => Some(past),
            _ => None,
        }
    }
}

/// The last `LENGTH` signals that were submitted to a semaphore.
///
/// ```
/// use weft_sync::Machine;
/// use weft_sync::elision::{QueueContext, SignalHistory};
/// let mut queue = QueueContext::<16>::in_order(Machine::LOCAL.queue(0, 0));
/// let mut history = SignalHistory::<16, 4>::new();
/// for value in [2, 5] {
///     history.record(value, &queue.submit([]));
/// }
/// assert_eq!(history.covering(3).expect("5 was submitted").value(), 5);
/// assert_eq!(history.covering(1).expect("2 was submitted").past().map(|past| past.to_string()),
///     Some("{s1.m0.q0:0@1}".to_owned()));
/// assert!(history.covering(6).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct SignalHistory<const CAPACITY: usize, const LENGTH: usize> {
    /// Rising by value; a ring whose oldest entry is at `next` once it is full.
    signals: [Option<SubmittedSignal<CAPACITY>>; LENGTH],
    next: usize,
    /// What the signals so far are ordered after, of those that could say.
    accumulated: FrontierBuf<CAPACITY>,
}

impl<const CAPACITY: usize, const LENGTH: usize> SignalHistory<CAPACITY, LENGTH> {
    /// Nothing was submitted.
    pub fn new() -> SignalHistory<CAPACITY, LENGTH> {
        const { assert!(LENGTH > 0, "the last signal has to be known") };
        SignalHistory { signals: [const { None }; LENGTH], next: 0, accumulated: FrontierBuf::new() }
    }

    /// Notes that `submission` will signal `value`. Values rise from signal to signal.
    pub fn record<const OTHER: usize>(&mut self, value: u64, submission: &Submission<OTHER>) {
        debug_assert!(self.last().is_none_or(|last| last.value < value), "a timeline never stands still");
        let (past, is_exact) = match submission.past() {
            None => (KnownPast::Tainted, false),
            Some(past) => match self.accumulated.merge_reporting(past) {
                Ok(covers_all) => (KnownPast::Complete(self.accumulated), covers_all),
                Err(_) => (KnownPast::Truncated, false),
            },
        };
        self.signals[self.next] = Some(SubmittedSignal { value, at: submission.at, is_exact, past });
        self.next = (self.next + 1) % LENGTH;
    }

    /// The least recorded signal of `value` or more.
    pub fn covering(&self, value: u64) -> Option<&SubmittedSignal<CAPACITY>> {
        let signals = self.signals.iter().flatten();
        signals.filter(|signal| signal.value >= value).min_by_key(|signal| signal.value)
    }

    /// The last signal.
    pub fn last(&self) -> Option<&SubmittedSignal<CAPACITY>> {
        self.signals[(self.next + LENGTH - 1) % LENGTH].as_ref()
    }

    /// What is known of a wait for `value` on the semaphore that this is the history of.
    pub fn wait(&self, semaphore: &Semaphore, value: u64) -> Wait<'_> {
        let reached = semaphore.is_reached(value);
        // Rung 3 asks for it only where a signal of the value was submitted: then the last one is of that or more.
        let last = self.last();
        Wait {
            has_failed: reached.is_err(),
            is_reached: reached.unwrap_or(false),
            producer: self.covering(value).map(SubmittedSignal::as_producer),
            last_signaller: last.map(|last| last.at.axis),
        }
    }
}

impl<const CAPACITY: usize, const LENGTH: usize> Default for SignalHistory<CAPACITY, LENGTH> {
    fn default() -> SignalHistory<CAPACITY, LENGTH> {
        SignalHistory::new()
    }
}
