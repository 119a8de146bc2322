//! Timelines: a value that only rises, and a failure that stays.
//!
//! What lives here: [`Semaphore`]: value, failure, and the protocol between a signal and a registration, whose rules
//! are numbered in `README.md` and named by the comments. What does not: what the value is ordered after
//! (`causal.rs`), callbacks (`timepoint.rs`), one semaphore that moves another (`link.rs`), primitives of the
//! operating system (`external.rs`), the order of records (`pending.rs`), how they are fired (`dispatch.rs`),
//! blocking (`wait_many.rs`).

mod causal;
mod external;
mod link;
mod timepoint;

pub use external::{ExportTarget, Import};
pub(crate) use link::Forward;
pub use link::Link;
pub(crate) use timepoint::Withdrawal;
pub use timepoint::{Timepoint, Watch};

use crate::atomic::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::dispatch::dispatch;
use crate::frontier::FrontierBox;
use crate::pending::{Action, Pending, Record};
use crate::{Deadline, Idle, Result, Status, status, wait_many};
use std::fmt;
use std::sync::PoisonError;

/// At least one record is pending: a signal must look for the ones that it reaches.
const PENDING: u32 = 1;
/// The semaphore has failed; the status is behind the lock.
const FAILED: u32 = 2;

/// A timeline: a 64-bit value that only rises, and at most one failure, which stays.
///
/// * `value`     – any thread, by read-modify-write only, never backward.
/// * `flags`     – any thread may read; written only while `shared` is locked.
/// * `untainted` – any thread may read; written only while `shared` is locked.
/// * `shared`    – the failure, the pending records and the frontier, under the lock. No foreign code runs under it.
///
/// Failure precedes satisfaction: once a semaphore has failed, every question is answered with the failure, also
/// about values that were reached before.
///
/// A semaphore made with [`Semaphore::with_frontier`] also says what its values are ordered after; see
/// [`Semaphore::signal_untainted`].
///
/// Hold it in an `Arc`. Dropping the last handle with records still pending fires them with `CANCELLED`.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Deadline, Semaphore};
/// let timeline = Arc::new(Semaphore::new(0));
/// let producer = Arc::clone(&timeline);
/// let thread = std::thread::spawn(move || producer.signal(3));
/// timeline.wait(2, Deadline::NEVER)?;
/// assert_eq!(timeline.query()?, 3);
/// thread.join().expect("the producer ends")?;
/// # weft_sync::Result::Ok(())
/// ```
pub struct Semaphore {
    value: AtomicU64,
    /// Values up to here were reached with complete causal context.
    untainted: AtomicU64,
    flags: AtomicU32,
    /// Never changes.
    carries_frontier: bool,
    shared: Mutex<Shared>,
}

struct Shared {
    failure: Option<Status>,
    pending: Pending,
    /// What the values reached so far are ordered after; of capacity 0 unless asked for.
    frontier: FrontierBox,
}

/// What became of a registration.
pub(crate) enum Registration {
    /// The record waits; it can be removed by its ticket.
    Pending(u64),
    /// Nothing was kept: the answer is known.
    Known(Result<()>, Action),
}

impl Semaphore {
    /// A timeline that stands at `initial`.
    ///
    /// ```
    /// assert_eq!(weft_sync::Semaphore::new(7).query()?, 7);
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn new(initial: u64) -> Semaphore {
        Semaphore::with_frontier(initial, 0)
    }

    /// The current value, or the failure.
    ///
    /// ```
    /// use weft_sync::{Code, Semaphore, Status};
    /// let it = Semaphore::new(3);
    /// assert_eq!(it.query()?, 3);
    /// it.fail(Status::new(Code::DataLoss, "gone"));
    /// assert_eq!(it.query().unwrap_err().code(), Code::DataLoss);
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn query(&self) -> Result<u64> {
        self.check()?;
        // Pairs with the compare-exchange in `advance`: what was written before the signal is visible.
        Ok(self.value.load(Ordering::Acquire))
    }

    /// Whether the timeline has reached `value`; the failure if it has failed. Never blocks or locks while the
    /// semaphore has not failed.
    #[inline]
    pub fn is_reached(&self, value: u64) -> Result<bool> {
        Ok(self.query()? >= value)
    }

    /// The value that was reached last, whether or not the timeline has failed since. For reports; to go on from a
    /// value, ask [`Semaphore::query`].
    pub fn last_value(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// The failure, if there is one.
    ///
    /// ```
    /// use weft_sync::{Code, Semaphore, Status};
    /// let it = Semaphore::new(3);
    /// assert!(it.failure().is_none());
    /// it.fail(Status::new(Code::DataLoss, "gone"));
    /// assert_eq!(it.failure().map(|status| status.code()), Some(Code::DataLoss));
    /// assert_eq!(it.last_value(), 3);
    /// ```
    pub fn failure(&self) -> Option<Status> {
        self.check().err()
    }

    /// Moves the timeline forward to `value` and fires everything that waits for `value` or less.
    ///
    /// `INVALID_ARGUMENT` if the timeline stands at `value` or beyond, and the failure if it has failed; nothing
    /// changes then. Of two racing signals of one value exactly one succeeds. It says nothing about what the value
    /// is ordered after: the value is tainted ([`Semaphore::is_value_tainted`]).
    ///
    /// Callbacks run on this thread before `signal` returns; if it is itself called by a callback, after that
    /// callback has returned.
    ///
    /// ```
    /// use weft_sync::{Code, Semaphore};
    /// let it = Semaphore::new(0);
    /// it.signal(5)?;
    /// assert_eq!(it.signal(5).unwrap_err().code(), Code::InvalidArgument);
    /// assert_eq!(it.query()?, 5);
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn signal(&self, value: u64) -> Result<()> {
        if let Err(current) = self.advance(value)? {
            return Err(refused(current));
        }
        // Relaxed: the read-modify-write in `advance` has already acquired every registration that it came after.
        if self.flags.load(Ordering::Relaxed) & PENDING != 0 {
            self.fire_reached(value);
        }
        Ok(())
    }

    /// Moves the value; the current one if that is not forward.
    #[inline]
    fn advance(&self, value: u64) -> Result<std::result::Result<(), u64>> {
        self.check()?;
        let mut current = self.value.load(Ordering::Relaxed);
        while value > current {
            // Release pairs with the Acquire in `query`. Acquire pairs with the read-modify-write in `register`
            // (rule 3: whoever registered first is seen by the look that follows), and with earlier signals, whose
            // writes the callbacks that this one fires must see.
            match self.value.compare_exchange_weak(current, value, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(Ok(())),
                Err(found) => current = found,
            }
        }
        Ok(Err(current))
    }

    /// Fails the timeline: every pending and every later question is answered with `status`. The value stays.
    /// The first failure wins; a later one is dropped.
    ///
    /// ```
    /// use weft_sync::{Code, Deadline, Semaphore, Status};
    /// let it = Semaphore::new(0);
    /// it.fail(Status::new(Code::DataLoss, "the disk is gone"));
    /// it.fail(Status::new(Code::Aborted, "too late"));
    /// assert_eq!(it.wait(1, Deadline::NEVER).unwrap_err().code(), Code::DataLoss);
    /// assert!(it.signal(1).is_err());
    /// ```
    pub fn fail(&self, status: Status) {
        dispatch(|batch| {
            let mut shared = self.lock();
            if shared.failure.is_some() {
                return;
            }
            for record in shared.pending.drain_all() {
                batch.push(record, Err(status.clone()));
            }
            shared.failure = Some(status);
            // Relaxed: whoever sees it takes the lock for the status, which orders all that came before.
            self.flags.store(FAILED, Ordering::Relaxed);
        });
    }

    /// Blocks until the timeline has reached `value`.
    ///
    /// `DEADLINE_EXCEEDED` if the deadline passes first, the failure if the timeline fails first (or has failed).
    /// Inside a callback, where nothing may block, a wait that would have to gives `FAILED_PRECONDITION`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weft_sync::{Code, Deadline, Semaphore};
    /// let it = Semaphore::new(2);
    /// it.wait(2, Deadline::IMMEDIATE)?;
    /// let late = it.wait(3, Deadline::after(Duration::from_millis(1)));
    /// assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn wait(&self, value: u64, deadline: Deadline) -> Result<()> {
        wait_many::wait_all(&[(self, value)], deadline)
    }

    /// As [`Semaphore::wait`], and says how the thread passes the time.
    ///
    /// ```
    /// use weft_sync::{Deadline, Idle, Semaphore};
    /// Semaphore::new(3).wait_with(2, Deadline::NEVER, Idle::Active)?;
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn wait_with(&self, value: u64, deadline: Deadline, idle: Idle) -> Result<()> {
        wait_many::wait_all_with(&[(self, value)], deadline, idle)
    }

    /// Keeps `action` until the timeline has reached `value`, unless the answer is known.
    pub(crate) fn register(&self, value: u64, mut action: Action) -> Registration {
        let mut shared = self.lock();
        if let Some(status) = &shared.failure {
            return Registration::Known(Err(status.clone()), action);
        }
        // Rule 2: announce, then look. Relaxed: the read-modify-write below publishes it.
        self.flags.store(PENDING, Ordering::Relaxed);
        // A read-modify-write, not a load: it takes a place among the signals. One that comes later acquires
        // what it releases and sees the announcement; one that came earlier is seen here (rule 3).
        let current = self.value.fetch_add(0, Ordering::AcqRel);
        if current >= value {
            self.withdraw_announcement(&shared.pending);
            self.hand_over(&shared.frontier, value, &mut action);
            return Registration::Known(Ok(()), action);
        }
        Registration::Pending(shared.pending.insert(value, action))
    }

    /// Removes a record. `None` if it has left: then it is being fired or was.
    pub(crate) fn unregister(&self, value: u64, ticket: u64) -> Option<Record> {
        let mut shared = self.lock();
        let record = shared.pending.remove(value, ticket)?;
        self.withdraw_announcement(&shared.pending);
        Some(record)
    }

    #[cold]
    fn fire_reached(&self, value: u64) {
        dispatch(|batch| {
            let mut shared = self.lock();
            let Shared { pending, frontier, .. } = &mut *shared;
            for mut record in pending.drain_reached(value) {
                self.hand_over(frontier, record.value, &mut record.action);
                batch.push(record, Ok(()));
            }
            self.withdraw_announcement(&shared.pending);
        });
    }

    /// Rule 4: the announcement goes with the last record. Only under the lock, hence the argument.
    fn withdraw_announcement(&self, pending: &Pending) {
        if pending.is_empty() && self.flags.load(Ordering::Relaxed) & FAILED == 0 {
            self.flags.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    fn check(&self) -> Result<()> {
        // Relaxed: whoever sees the failure goes on to the lock, and sees what came before it.
        if self.flags.load(Ordering::Relaxed) & FAILED == 0 { Ok(()) } else { self.known_failure() }
    }

    #[cold]
    fn known_failure(&self) -> Result<()> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

#[cold]
fn refused(current: u64) -> Status {
    status!(InvalidArgument, "semaphore already signaled past {current}")
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        let shared = self.shared.get_mut().unwrap_or_else(PoisonError::into_inner);
        if shared.pending.is_empty() {
            return;
        }
        dispatch(|batch| {
            let gone = status!(Cancelled, "the semaphore was dropped before its value was reached");
            for record in shared.pending.drain_all() {
                batch.push(record, Err(gone.clone()));
            }
        });
    }
}

impl AsRef<Semaphore> for Semaphore {
    fn as_ref(&self) -> &Semaphore {
        self
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.lock();
        f.debug_struct("Semaphore")
            .field("value", &self.value.load(Ordering::Relaxed))
            .field("failure", &shared.failure)
            .field("pending", &shared.pending.len())
            .field("frontier", &shared.frontier)
            .finish()
    }
}
