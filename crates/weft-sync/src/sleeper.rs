//! How one thread sleeps until others have told it enough.
//!
//! What lives here: [`Sleeper`], one per thread, and [`Wake`], the note that a semaphore keeps for it. What does
//! not: which semaphores a wait registers with and what it makes of the outcome (`wait_many.rs`).
//!
//! A sleeper outlives every wait that uses it, so a note that is delivered late finds valid memory. Each wait
//! has its own epoch, and a note for an epoch that is over changes nothing.

use crate::atomic::{Mutex, lock, thread_local};
use crate::notification::Notification;
use crate::{Deadline, Result, Status};
use std::sync::Arc;

/// The sleeping side of one thread.
pub(crate) struct Sleeper {
    progress: Mutex<Progress>,
    changed: Notification,
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
        Sleeper { progress: Mutex::new(Progress::default()), changed: Notification::new() }
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
        let decided = {
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
            progress.is_decided()
        };
        // After the lock is free: the woken thread needs it first thing. Nobody is woken unless the thread sleeps.
        if decided {
            self.changed.signal(1);
        }
    }

    /// Blocks until the wait is decided or the deadline has passed.
    pub(crate) fn sleep(&self, deadline: Deadline) {
        loop {
            let observation = self.changed.observe();
            if lock(&self.progress).is_decided() || !observation.wait(deadline) {
                return;
            }
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
