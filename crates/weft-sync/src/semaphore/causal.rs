//! What the values of a timeline are ordered after: the accumulated frontier, and which values it is complete for.
//!
//! What lives here: signals that carry a frontier, queries of it, taint. What does not: deciding by it whether a wait
//! can be left out (`elision`).
//!
//! 1. A signal first moves the value, then merges its frontier under the lock, then fires. A reader in between sees
//!    the new value with the older frontier, a lower bound. So "value reached" is only ever concluded from the value.
//! 2. The watermark says up to which value the context is complete. Only a signal that vouches for its own context
//!    raises it, after its frontier was merged, and only if that fitted. A plain signal leaves it: its value is
//!    tainted, and so is every value above the watermark.
//! 3. Values rise strictly. So whoever is ordered after a later, untainted signal is ordered after every earlier
//!    value as well: the next such signal heals what was tainted below it.
//! 4. Overflow changes no bit of the frontier and leaves the watermark; the signal itself succeeds.

use super::{Semaphore, Shared, refused};
use crate::Result;
use crate::atomic::{AtomicU32, AtomicU64, Mutex, Ordering};
use crate::frontier::{Entry, Frontier, FrontierBox, FrontierBuf, Overflow};
use crate::pending::{Action, Pending};

impl Semaphore {
    /// Entries of a frontier that are enough for most timelines.
    pub const FRONTIER_CAPACITY: u8 = 16;

    /// A timeline that stands at `initial` and keeps up to `capacity` entries of what its values are ordered after.
    ///
    /// Only this allocates; signals and queries never do. With a capacity of 0 every frontier that names an axis
    /// overflows, and every value above `initial` stays tainted.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, Semaphore::FRONTIER_CAPACITY);
    /// timeline.signal_untainted(1, &FrontierBuf::single(Machine::LOCAL.queue(0, 0), 4))?;
    /// assert_eq!(timeline.frontier::<16>().expect("one entry fits").to_string(), "{s1.m0.q0:0@4}");
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn with_frontier(initial: u64, capacity: u8) -> Semaphore {
        let frontier = FrontierBox::with_capacity(capacity);
        Semaphore {
            value: AtomicU64::new(initial),
            untainted: AtomicU64::new(initial),
            flags: AtomicU32::new(0),
            carries_frontier: capacity > 0,
            shared: Mutex::new(Shared { failure: None, pending: Pending::default(), frontier }),
        }
    }

    /// As [`Semaphore::signal`], and merges `frontier` into what the timeline is ordered after. The value is tainted:
    /// the frontier need not be all of the signaller's past.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, 1);
    /// timeline.signal_with(1, &FrontierBuf::single(Machine::LOCAL.host(1), 1))?;
    /// timeline.signal_with(2, &FrontierBuf::single(Machine::LOCAL.host(2), 1))?; // does not fit: still signalled
    /// assert_eq!(timeline.query()?, 2);
    /// assert_eq!(timeline.frontier::<1>().expect("fits").to_string(), "{s1.m0.h1@1}");
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn signal_with(&self, value: u64, frontier: &Frontier) -> Result<()> {
        self.signal_merging(value, frontier, false)?.map_err(refused)
    }

    /// As [`Semaphore::signal_with`], by a signaller whose `frontier` is all of its past: the value and every one
    /// below it are untainted afterwards, unless the frontier does not fit.
    ///
    /// A signaller whose own context is incomplete must use [`Semaphore::signal_with`]: what it leaves out would be
    /// missing from every wait that is left out, and from every block that is reused, on the strength of this.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, 16);
    /// timeline.signal(1)?;
    /// assert!(timeline.is_value_tainted(1));
    /// timeline.signal_untainted(2, &FrontierBuf::single(Machine::LOCAL.host(1), 1))?;
    /// assert!(!timeline.is_value_tainted(2) && !timeline.is_value_tainted(1));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn signal_untainted(&self, value: u64, frontier: &Frontier) -> Result<()> {
        self.signal_merging(value, frontier, true)?.map_err(refused)
    }

    /// As [`Semaphore::signal_untainted`] for observers that may be late or several: no effect, and no error, if the
    /// timeline stands at `value` or beyond.
    ///
    /// ```
    /// use weft_sync::{Frontier, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, 16);
    /// timeline.publish_untainted(2, Frontier::EMPTY)?;
    /// timeline.publish_untainted(2, Frontier::EMPTY)?;
    /// timeline.publish_untainted(1, Frontier::EMPTY)?;
    /// assert_eq!(timeline.query()?, 2);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn publish_untainted(&self, value: u64, frontier: &Frontier) -> Result<()> {
        self.signal_merging(value, frontier, true).map(|_| ())
    }

    /// Moves the value, merges, fires; the current value if the new one is not forward.
    fn signal_merging(
        &self,
        value: u64,
        frontier: &Frontier,
        is_complete: bool,
    ) -> Result<std::result::Result<(), u64>> {
        if let Err(current) = self.advance(value)? {
            return Ok(Err(current));
        }
        let is_due = {
            let mut shared = self.lock();
            let fits = shared.frontier.merge(frontier).is_ok();
            // Relaxed load: only written under the lock. Release pairs with the Acquire in `untainted_value`.
            if fits && is_complete && self.untainted.load(Ordering::Relaxed) < value {
                self.untainted.store(value, Ordering::Release);
            }
            shared.pending.is_due(value)
        };
        // Whoever registers after the lock was freed looks at the value itself.
        if is_due {
            self.fire_reached(value);
        }
        Ok(Ok(()))
    }

    /// Adds to what the timeline is ordered after without moving it: a signaller may do so when it *submits* the
    /// signal, so that whoever submits next can tell what is yet to come. Nothing is fired. What does not fit
    /// changes nothing.
    ///
    /// From then on the accumulated frontier names work that has not run. It still covers every signal so far, which
    /// is what a test for dominance needs; it may not be taken over as the past of whoever waited for an earlier
    /// value.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, 1);
    /// timeline.merge_frontier(&FrontierBuf::single(Machine::LOCAL.host(1), 1))?;
    /// assert!(timeline.merge_frontier(&FrontierBuf::single(Machine::LOCAL.host(2), 1)).is_err());
    /// # Ok::<(), weft_sync::Overflow>(())
    /// ```
    pub fn merge_frontier(&self, frontier: &Frontier) -> std::result::Result<(), Overflow> {
        self.lock().frontier.merge(frontier)
    }

    /// Copies the accumulated frontier to `out`, as far as there is room, and returns how many entries it has. More
    /// than `out` holds: the copy is incomplete and proves nothing.
    pub fn query_frontier(&self, out: &mut [Entry]) -> usize {
        let shared = self.lock();
        let entries = shared.frontier.entries();
        let copied = entries.len().min(out.len());
        out[..copied].copy_from_slice(&entries[..copied]);
        entries.len()
    }

    /// The accumulated frontier, if it fits.
    pub fn frontier<const CAPACITY: usize>(&self) -> std::result::Result<FrontierBuf<CAPACITY>, Overflow> {
        FrontierBuf::copy_of(&self.lock().frontier)
    }

    /// The accumulated frontier, if it is all of what `value` is ordered after: the value is untainted and nothing
    /// was cut off. Only such a frontier may show that a wait for `value` is unnecessary.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Semaphore};
    /// let timeline = Semaphore::with_frontier(0, 16);
    /// timeline.signal_untainted(1, &FrontierBuf::single(Machine::LOCAL.host(1), 1))?;
    /// timeline.signal(2)?;
    /// assert!(timeline.complete_frontier::<16>(1).is_some());
    /// assert!(timeline.complete_frontier::<16>(2).is_none());
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn complete_frontier<const CAPACITY: usize>(&self, value: u64) -> Option<FrontierBuf<CAPACITY>> {
        let shared = self.lock();
        // Under the lock: the watermark and the frontier are of one moment.
        if self.is_value_tainted(value) {
            return None;
        }
        FrontierBuf::copy_of(&shared.frontier).ok()
    }

    /// Lowers the watermark to `value` if it is above: values beyond are tainted from now on. Never raises it.
    ///
    /// ```
    /// let timeline = weft_sync::Semaphore::new(5);
    /// timeline.mark_tainted_above(3);
    /// timeline.mark_tainted_above(4);
    /// assert_eq!(timeline.untainted_value(), 3);
    /// ```
    pub fn mark_tainted_above(&self, value: u64) {
        let _shared = self.lock();
        if value < self.untainted.load(Ordering::Relaxed) {
            self.untainted.store(value, Ordering::Release);
        }
    }

    /// Whether `value` was, or would be, reached by something whose causal context is not all known. Correctness does
    /// not suffer; no wait for the value may be left out, and no memory be reused, on the strength of the frontier.
    #[inline]
    pub fn is_value_tainted(&self, value: u64) -> bool {
        value > self.untainted_value()
    }

    /// The watermark: the largest value that is untainted.
    #[inline]
    pub fn untainted_value(&self) -> u64 {
        // Pairs with the Release in `signal_merging`.
        self.untainted.load(Ordering::Acquire)
    }

    /// Whether it keeps a frontier at all. Takes no lock.
    #[inline]
    pub fn carries_frontier(&self) -> bool {
        self.carries_frontier
    }

    /// How many entries of a frontier it keeps.
    pub fn frontier_capacity(&self) -> u8 {
        // 255 at most: it was made from a `u8`.
        self.lock().frontier.capacity() as u8
    }

    /// Gives a record that leaves for its turn what the value it waited for is ordered after. Only under the lock,
    /// hence the argument.
    #[inline]
    pub(super) fn hand_over(&self, frontier: &Frontier, value: u64, action: &mut Action) {
        if let Action::Forward(forward) = action {
            forward.take_over(frontier, !self.is_value_tainted(value));
        }
    }
}
