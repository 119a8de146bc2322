//! How far transfers of parameters have come, for whoever shows it.
//!
//! 1. A batch announces all its bytes when it begins. What it turns out not to transfer, because memory is used in place
//!    or because it fails half-way, is taken back when it ends.
//! 2. The observer hears of every change, one after the other: a report is never older than the one before.
//! 3. When nothing is under way, both numbers are equal.
//!
//! What lives here: [`TransferCount`], [`Announced`]. What does not: showing it.

use std::sync::{Arc, Mutex, PoisonError};

use weft_sync::Point;

/// Hears how many bytes of parameters have been transferred, and how many there are to transfer in all, since the program
/// was loaded. It is called on any thread, and may neither block nor use parameters itself.
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
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut counts);
        // Under the lock, for rule 2.
        (self.observer)(counts.done, counts.total);
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
