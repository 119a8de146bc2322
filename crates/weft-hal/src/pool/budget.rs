//! How much backing memory a pool may have.
//!
//! What lives here: [`Budget`]. Charged before memory is taken, so that two who grow at once never exceed it together.

use weft_sync::atomic::{AtomicU64, Ordering};

/// Bytes that are spoken for, and the most that may be.
pub(super) struct Budget {
    limit: u64,
    charged: AtomicU64,
}

impl Budget {
    pub fn new(limit: u64) -> Budget {
        Budget { limit, charged: AtomicU64::new(0) }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that are spoken for: committed, or about to be.
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    /// Speaks for so many bytes; `false`: they would be too many.
    #[must_use]
    pub fn charge(&self, bytes: u64) -> bool {
        // Relaxed: only the sum matters; the memory itself changes hands under the locks of the pool.
        let within = |charged: u64| charged.checked_add(bytes).filter(|&sum| sum <= self.limit);
        self.charged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    pub fn refund(&self, bytes: u64) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
    }
}
