//! How one thread sleeps until others have told it enough.
//!
//! What lives here: [`Sleeper`], one per thread, and [`Wake`], the note that a semaphore keeps for it. What does
//! not: which semaphores a wait registers with and what it makes of the outcome (`wait_many.rs`).
//!
//! A sleeper outlives every wait that uses it, so a note that is delivered late finds valid memory. Each wait
//! has its own epoch, and a note for an epoch that is over changes nothing.

use crate::atomic::{Condvar, Mutex, lock, thread_local};
use crate::{Deadline, Result, Status};
use std::sync::{Arc, PoisonError};

/// The sleeping side of one thread.
pub(crate) struct Sleeper {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// What a wait has been told so far. Everything is guarded by the lock of the sleeper.
#[derive(Default)]
struct Progress {
    /// Counts waits of this thread; a note with another epoch is late and ignored.
    epoch: u64,
    /// How many entries have yet to be reached before the thread goes on.
    missing: usize,
    /// The entry that was reached first.
    first_reached: Option<usize>,
    /// The failure that arrived first, with its entry.
    failure: Option<(usize, Status)>,
    /// True while the thread is blocked, so that nobody pays for a wake-up that nobody hears.
    sleeping: bool,
}

impl Progress {
    fn is_decided(&self) -> bool {
        self.missing == 0 || self.failure.is_some()
    }
}

/// What a wait knew when it ended.
pub(crate) struct Outcome {
    /// Entries that were still missing.
    pub(crate) missing: usize,
    /// The entry that was reached first.
    pub(crate) first_reached: Option<usize>,
    /// The failure that arrived first, with its entry.
    pub(crate) failure: Option<(usize, Status)>,
}

thread_local! {
    static SLEEPER: Arc<Sleeper> = Arc::new(Sleeper::new());
}

impl Sleeper {
    fn new() -> Sleeper {
        Sleeper { progress: Mutex::new(Progress::default()), changed: Condvar::new() }
    }

    /// The sleeper of the calling thread; a fresh one while the thread is being torn down.
    pub(crate) fn current() -> Arc<Sleeper> {
        SLEEPER.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Sleeper::new()))
    }

    /// Starts a wait that ends when `missing` entries were reached or one failed. Returns its epoch.
    pub(crate) fn begin(&self, missing: usize) -> u64 {
        let mut progress = lock(&self.progress);
        progress.missing = missing;
        progress.epoch
    }

    /// Notes the outcome of entry `index` of the wait `epoch`, and wakes the thread if that decides it.
    pub(crate) fn report(&self, epoch: u64, index: usize, outcome: Result<()>) {
        let wake = {
            let mut progress = lock(&self.progress);
            if progress.epoch != epoch {
                return;
            }
            match outcome {
                Ok(()) => {
                    progress.missing = progress.missing.saturating_sub(1);
                    progress.first_reached.get_or_insert(index);
                }
                Err(status) => {
                    progress.failure.get_or_insert((index, status));
                }
            }
            progress.sleeping && progress.is_decided()
        };
        // After the lock is free: the woken thread needs it first thing.
        if wake {
            self.changed.notify_one();
        }
    }

    /// Blocks until the wait is decided or the deadline has passed.
    pub(crate) fn sleep(&self, deadline: Deadline) {
        let mut progress = lock(&self.progress);
        while !progress.is_decided() {
            let remaining = deadline.remaining();
            if remaining.is_some_and(|left| left.is_zero()) {
                break;
            }
            progress.sleeping = true;
            progress = match remaining {
                None => self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            progress.sleeping = false;
        }
    }

    /// Ends the wait: what is reported for it from now on is ignored.
    pub(crate) fn end(&self) -> Outcome {
        let mut progress = lock(&self.progress);
        progress.epoch += 1;
        Outcome {
            missing: progress.missing,
            first_reached: progress.first_reached.take(),
            failure: progress.failure.take(),
        }
    }
}

/// A note to one sleeping thread, kept by the semaphore that will deliver it.
pub(crate) struct Wake {
    pub(crate) sleeper: Arc<Sleeper>,
    pub(crate) epoch: u64,
    pub(crate) index: usize,
}

impl Wake {
    /// Delivers the note.
    pub(crate) fn deliver(self, outcome: Result<()>) {
        self.sleeper.report(self.epoch, self.index, outcome);
    }
}
