//! Pools to tell when epochs are reached.
//!
//! 1. Memory goes back with the epoch of its deallocation, and only then the tracker hears of that epoch. Who looks in
//!    between finds memory that nobody may use yet, and the release that would have called it is over.
//! 2. So who is refused lists the pool and looks again before it waits; who reaches an epoch tells the pools that are
//!    listed once more.
//! 3. Whoever shares pools shares this list: the queues of all devices of a group.

use std::sync::{Arc, Weak};

use weft_sync::atomic::{AtomicUsize, Mutex, Ordering, fence, lock};

use super::Pool;

/// Pools for which requests are parked.
#[derive(Debug, Default)]
pub struct ParkedPools {
    count: AtomicUsize,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl ParkedPools {
    /// A request is going to be parked at this pool. It has to look again after this, before it waits.
    pub fn add(&self, pool: &Arc<Pool>) {
        let mut pools = lock(&self.pools);
        if !pools.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(pool))) {
            pools.push(Arc::downgrade(pool));
            self.count.store(pools.len(), Ordering::Relaxed);
        }
        drop(pools);
        // The pool is listed, now the request looks; `look_again` does the mirror image.
        fence(Ordering::SeqCst);
    }

    /// Epochs were reached. Those who are still refused list their pools again.
    pub fn look_again(&self) {
        // The epoch is reached, now the list is looked at; `add` does the mirror image. One of the two sees the other.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let pools = {
            let mut pools = lock(&self.pools);
            self.count.store(0, Ordering::Relaxed);
            std::mem::take(&mut *pools)
        };
        for pool in pools.iter().filter_map(Weak::upgrade) {
            pool.notify();
        }
    }
}
