//! How a process ends: its state, its first failure, and who calls what once.
//!
//! What lives here: [`Outcome`], [`State`]. What does not: the callbacks themselves and the dependents (`process.rs`).
//!
//! ```text
//! SUSPENDED --last wake--> RUNNABLE --complete, report--> COMPLETED
//!     |                       |
//!     +------- cancel --------+-------------------------> CANCELLED
//! ```
//!
//! 1. The outcome is decided once: the first of all reports and cancels, or success if there was none when the process
//!    resolved. What is reported to a process that is over, cancelled ones included, comes too late.
//! 2. A report to a suspended process is kept, and ends it when its last wake would make it runnable. Report and wake each
//!    write their word and read the other's, with a sequentially consistent fence between. *Race closed: the process is
//!    runnable, has failed, and is drained.*
//! 3. **Two things end a process**, on any threads and in any order: it is *told* (`completed` has returned and dependents
//!    were woken), and it is *left* (no worker is inside and none will come). **Whoever does the second one releases.**
//!    *Races closed: a canceller and a worker that a scheduler called both release; a worker releases while somebody else
//!    is still inside `completed`.*

use std::sync::OnceLock;

use weft_sync::atomic::{AtomicI64, AtomicU32, Ordering, fence};
use weft_sync::{Code, Result, Status};

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// It waits for wakes.
    Suspended = 0,
    /// It may be scheduled.
    Runnable = 1,
    /// Over: finished or failed.
    Completed = 2,
    /// Over: cancelled.
    Cancelled = 3,
}

/// Somebody has taken on to tell.
const TAKEN: u32 = 1;
/// It was told.
const TOLD: u32 = 2;
/// It was left.
const LEFT: u32 = 4;

/// The end of one process.
#[derive(Debug)]
pub(crate) struct Outcome {
    suspend_count: AtomicI64,
    state: AtomicU32,
    end: AtomicU32,
    /// The first report; `None` if there was none when the process resolved.
    failure: OnceLock<Option<Status>>,
}

impl Outcome {
    pub(crate) fn new(suspend_count: u32) -> Outcome {
        let state = if suspend_count == 0 { State::Runnable } else { State::Suspended };
        Outcome {
            suspend_count: AtomicI64::new(i64::from(suspend_count)),
            state: AtomicU32::new(state as u32),
            end: AtomicU32::new(0),
            failure: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        // Acquire pairs with the Release of whoever changed it.
        match self.state.load(Ordering::Acquire) {
            0 => State::Suspended,
            1 => State::Runnable,
            2 => State::Completed,
            _ => State::Cancelled,
        }
    }

    #[inline]
    pub(crate) fn is_terminal(&self) -> bool {
        self.state.load(Ordering::Acquire) >= State::Completed as u32
    }

    pub(crate) fn change(&self, from: State, to: State) -> bool {
        // Release publishes what led to it, Acquire takes in what led to the state before.
        self.state.compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// One wake. `true` for the one that ends the suspension.
    pub(crate) fn wake(&self) -> bool {
        // AcqRel: the last one has acquired what the others did before their wakes.
        let before = self.suspend_count.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "a process is woken as often as it was suspended");
        if before != 1 || !self.change(State::Suspended, State::Runnable) {
            return false;
        }
        // Rule 2: runnable, now failures are looked for; `report` does the mirror image.
        fence(Ordering::SeqCst);
        if self.failure.get().is_some() {
            self.change(State::Runnable, State::Completed);
        }
        true
    }

    /// Keeps a failure, if it is the first. Whether it is.
    pub(crate) fn report(&self, failure: Status) -> bool {
        if self.is_terminal() {
            return false;
        }
        let first = self.failure.set(Some(failure)).is_ok();
        // Rule 2: failed, now it is looked whether it is runnable; `wake` does the mirror image.
        fence(Ordering::SeqCst);
        self.change(State::Runnable, State::Completed);
        first
    }

    /// What came of it, for the one who tells; nobody else gets it.
    pub(crate) fn take(&self) -> Option<Result<()>> {
        // Acquire: whoever tells has seen what led to the end.
        if self.end.fetch_or(TAKEN, Ordering::AcqRel) & TAKEN != 0 {
            return None;
        }
        // Whoever reports from here on comes too late.
        let failure = self.failure.get_or_init(|| (self.state() == State::Cancelled).then(cancelled));
        Some(failure.clone().map_or(Ok(()), Err))
    }

    /// It was told. `true`: the caller releases (rule 3).
    #[must_use = "whoever comes second releases"]
    pub(crate) fn told(&self) -> bool {
        // AcqRel in both: the second one has seen what the first one did before.
        self.end.fetch_or(TOLD, Ordering::AcqRel) & LEFT != 0
    }

    /// It was left; once in the life of a process. `true`: the caller releases (rule 3).
    #[must_use = "whoever comes second releases"]
    pub(crate) fn left(&self) -> bool {
        self.end.fetch_or(LEFT, Ordering::AcqRel) & TOLD != 0
    }
}

#[cold]
fn cancelled() -> Status {
    Status::new(Code::Cancelled, "the process was cancelled")
}
