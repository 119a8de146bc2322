//! How far transfers of parameters have come, for whoever shows it.
//!
//! 1. A batch announces all its bytes when it begins. What it turns out not to transfer, because memory is used in place
//!    or because it fails half-way, is taken back when it ends.
//! 2. The observer is told by one thread at a time, and a report is never older than the one before. Changes made meanwhile,
//!    by other threads or by the observer itself, are left to that thread, which tells them next, several in one report.
//! 3. The observer is never called under the lock: it may do what changes the counts, such as cancelling calls.
//! 4. When nothing is under way, both numbers are equal.
//!
//! What lives here: [`TransferCount`], [`Announced`]. What does not: showing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_sync::Point;

/// Hears how many bytes of parameters have been transferred, and how many there are to transfer in all, since the program
/// was loaded. It is called on any thread, by one at a time, and may neither block nor use parameters itself. It may cancel
/// calls; what that changes it hears of after it has returned.
pub type TransferObserver = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Counts bytes for an observer.
pub(super) struct TransferCount {
    observer: TransferObserver,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    total: u64,
    /// They have changed since the observer was last told.
    is_untold: bool,
    /// A thread is telling, and will look again afterwards.
    is_telling: bool,
}

impl TransferCount {
    pub(super) fn new(observer: TransferObserver) -> Arc<TransferCount> {
        Arc::new(TransferCount { observer, counts: Mutex::default() })
    }

    /// A batch begins that may transfer so many bytes.
    pub(super) fn announce(self: &Arc<Self>, bytes: u64) -> Announced {
        if bytes > 0 {
            self.change(|counts| counts.total = counts.total.saturating_add(bytes));
        }
        Announced { count: Arc::clone(self), left: bytes }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.lock();
        change(&mut counts);
        counts.is_untold = true;
        if counts.is_telling {
            return;
        }
        counts.is_telling = true;
        drop(counts);
        // Rule 2: nobody else tells until this is dropped, also if the observer panics.
        let mut telling = Telling { count: self, is_over: false };
        while let Some((done, total)) = telling.next() {
            (self.observer)(done, total);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that tells the observer. Dropped, another one may.
struct Telling<'a> {
    count: &'a TransferCount,
    is_over: bool,
}

impl Telling<'_> {
    /// What the observer has not heard of yet. `None` ends the telling, under the same lock, so that no change made after
    /// that look is left to nobody.
    fn next(&mut self) -> Option<(u64, u64)> {
        let mut counts = self.count.lock();
        if !std::mem::take(&mut counts.is_untold) {
            counts.is_telling = false;
            self.is_over = true;
            return None;
        }
        Some((counts.done, counts.total))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // The observer has panicked. What it was not told of, whoever makes the next change tells it.
            self.count.lock().is_telling = false;
        }
    }
}

/// The bytes of a batch that have not been submitted yet. Dropped, they are taken back.
pub(super) struct Announced {
    count: Arc<TransferCount>,
    left: u64,
}

impl Announced {
    /// So many bytes end at this point, one way or the other.
    pub(super) fn submitted(&mut self, bytes: u64, end: &Point) {
        let bytes = bytes.min(self.left);
        if bytes == 0 {
            return;
        }
        self.left -= bytes;
        let count = Arc::clone(&self.count);
        end.semaphore.on_reached(end.value, move |_| {
            count.change(|counts| counts.done = counts.done.saturating_add(bytes));
        });
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if self.left > 0 {
            self.count.change(|counts| counts.total = counts.total.saturating_sub(self.left));
        }
    }
}
