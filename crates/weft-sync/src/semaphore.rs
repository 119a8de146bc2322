//! Timelines: a value that only rises, and a failure that stays.
//!
//! What lives here: [`Semaphore`], [`Timepoint`]. What does not: the order of records (`pending.rs`), how they
//! are fired (`dispatch.rs`), blocking on several timelines (`wait_many.rs`).
//!
//! The protocol between a signal and a registration, by number, is in `README.md`; comments name its rules.

use crate::atomic::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::dispatch::{call_now, dispatch};
use crate::pending::{Action, Pending, Record};
use crate::{Deadline, Result, Status, status, wait_many};
use std::fmt;
use std::sync::{Arc, PoisonError};

/// At least one record is pending: a signal must look for the ones that it reaches.
const PENDING: u32 = 1;
/// The semaphore has failed; the status is behind the lock.
const FAILED: u32 = 2;

/// A timeline: a 64-bit value that only rises, and at most one failure, which stays.
///
/// * `value`  – any thread, by read-modify-write only, never backward.
/// * `flags`  – any thread may read; written only while `shared` is locked.
/// * `shared` – the failure and the pending records, under the lock. No foreign code runs under it.
///
/// Failure precedes satisfaction: once a semaphore has failed, every question is answered with the failure, also
/// about values that were reached before.
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
    flags: AtomicU32,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    failure: Option<Status>,
    pending: Pending,
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
    pub fn new(initial: u64) -> Semaphore {
        Semaphore {
            value: AtomicU64::new(initial),
            flags: AtomicU32::new(0),
            shared: Mutex::new(Shared::default()),
        }
    }

    /// The current value, or the failure.
    #[inline]
    pub fn query(&self) -> Result<u64> {
        self.check()?;
        // Pairs with the compare-exchange in `signal`: what was written before the signal is visible.
        Ok(self.value.load(Ordering::Acquire))
    }

    /// Whether the timeline has reached `value`; the failure if it has failed. Never blocks or locks while the
    /// semaphore has not failed.
    #[inline]
    pub fn is_reached(&self, value: u64) -> Result<bool> {
        Ok(self.query()? >= value)
    }

    /// Moves the timeline forward to `value` and fires everything that waits for `value` or less.
    ///
    /// `INVALID_ARGUMENT` if the timeline stands at `value` or beyond, and the failure if it has failed; nothing
    /// changes then. Of two racing signals of one value exactly one succeeds.
    ///
    /// Callbacks run on this thread before `signal` returns; if it is itself called by a callback, after that
    /// callback has returned.
    #[inline]
    pub fn signal(&self, value: u64) -> Result<()> {
        self.check()?;
        let mut current = self.value.load(Ordering::Relaxed);
        loop {
            if value <= current {
                return Err(refused(current));
            }
            // Release pairs with the Acquire in `query`. Acquire pairs with the read-modify-write in `register`
            // (rule 3: whoever registered first is seen below), and with earlier signals, whose writes the
            // callbacks that this one fires must see.
            match self.value.compare_exchange_weak(current, value, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(found) => current = found,
            }
        }
        // Relaxed: the compare-exchange above has already acquired every registration that it came after.
        if self.flags.load(Ordering::Relaxed) & PENDING != 0 {
            self.fire_reached(value);
        }
        Ok(())
    }

    /// Fails the timeline: every pending and every later question is answered with `status`. The value stays.
    /// The first failure wins; a later one is dropped.
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
            // Pairs with the Acquire in `check`.
            self.flags.store(FAILED, Ordering::Release);
        });
    }

    /// Blocks until the timeline has reached `value`.
    ///
    /// `DEADLINE_EXCEEDED` if the deadline passes first, the failure if the timeline fails first (or has failed).
    /// Inside a callback, where nothing may block, a wait that would have to gives `FAILED_PRECONDITION`.
    #[inline]
    pub fn wait(&self, value: u64, deadline: Deadline) -> Result<()> {
        wait_many::wait_all(&[(self, value)], deadline)
    }

    /// Calls `callback` exactly once: with `Ok` once the timeline has reached `value`, with the failure if it
    /// fails, with `CANCELLED` if the last handle is dropped before either.
    ///
    /// If the answer is known already, the callback runs on this thread before `on_reached` returns (nested more
    /// than 16 callbacks deep: after the callback that registered it); else it runs on the thread that signals,
    /// fails or drops the semaphore. No lock is held meanwhile: the callback may signal, fail, register and
    /// cancel on any semaphore, this one included. It may not block.
    ///
    /// The returned [`Timepoint`] keeps the semaphore alive and can withdraw the callback.
    pub fn on_reached(
        self: &Arc<Self>,
        value: u64,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Timepoint {
        match self.is_reached(value) {
            Ok(false) => {}
            Ok(true) => return Timepoint::fired(callback, Ok(())),
            Err(status) => return Timepoint::fired(callback, Err(status)),
        }
        match self.register(value, Action::Call(Box::new(callback))) {
            Registration::Pending(ticket) => {
                Timepoint { place: Some(Place { semaphore: Arc::clone(self), value, ticket }) }
            }
            Registration::Known(outcome, Action::Call(callback)) => Timepoint::fired(callback, outcome),
            Registration::Known(_, Action::Wake(_)) => unreachable!("a callback was registered"),
        }
    }

    /// Keeps `action` until the timeline has reached `value`, unless the answer is known.
    pub(crate) fn register(&self, value: u64, action: Action) -> Registration {
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
            for record in shared.pending.drain_reached(value) {
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
        // Pairs with the Release in `fail`: whoever sees the failure sees what came before it.
        if self.flags.load(Ordering::Acquire) & FAILED == 0 { Ok(()) } else { self.failure() }
    }

    #[cold]
    fn failure(&self) -> Result<()> {
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
            .finish()
    }
}

/// A registered callback. It keeps the semaphore alive.
///
/// Dropping a timepoint detaches it: the callback stays registered and is still called exactly once.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::Semaphore;
/// let timeline = Arc::new(Semaphore::new(0));
/// let timepoint = timeline.on_reached(1, |_| unreachable!("withdrawn"));
/// assert!(timepoint.cancel());
/// assert!(!timepoint.cancel());
/// timeline.signal(1)?;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Timepoint {
    /// `None` if the answer was known at registration: nothing was kept anywhere.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    semaphore: Arc<Semaphore>,
    value: u64,
    ticket: u64,
}

impl Timepoint {
    fn fired(callback: impl FnOnce(Result<()>) + Send + 'static, outcome: Result<()>) -> Timepoint {
        call_now(callback, outcome);
        Timepoint { place: None }
    }

    /// Withdraws the callback.
    ///
    /// `true`: it has not run and never will. `false`: it has run, is running on another thread, or is about to;
    /// whoever has to know when it is over keeps a mark of its own. Asking again is harmless.
    pub fn cancel(&self) -> bool {
        let Some(place) = &self.place else { return false };
        // The record is dropped here, after the lock is free: a callback may own anything.
        place.semaphore.unregister(place.value, place.ticket).is_some()
    }
}
