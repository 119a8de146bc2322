//! When a buffer that several have parts of is free again.
//!
//! What lives here: [`Parts`], of one buffer. What does not: who has which bytes of it (`memory/pool.rs`), the list of free
//! buffers (`free_list.rs`).
//!
//! 1. **Whoever has popped the buffer has one part of it**, the only one. Whoever has a part may give another one to somebody
//!    else; so nobody gets one of a buffer that is free.
//! 2. **Who leaves as the last** owns the buffer alone, and gives it back.
//! 3. What others did with their parts is done by then: each leaves with a release, and the last one acquires.

use weft_sync::atomic::{AtomicU32, Ordering, fence};

/// How many have a part of a buffer. Each has a byte of it at least, but for one: so no buffer of less than 4 GiB has more
/// parts than there are numbers.
#[derive(Debug, Default)]
pub struct Parts(AtomicU32);

impl Parts {
    /// Nobody has one.
    pub fn new() -> Parts {
        Parts::default()
    }

    /// The caller has popped the buffer.
    pub fn begin(&self) {
        // Relaxed: nobody else looks before the caller gives a part away, which orders it.
        self.0.store(1, Ordering::Relaxed);
    }

    /// The caller, who has a part, gives one to somebody.
    pub fn add(&self) {
        // Relaxed: who gets the part is told of it in some other way.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller has no part any more. Whether the buffer is the caller's alone now.
    #[must_use = "the last one gives the buffer back"]
    pub fn leave(&self) -> bool {
        // Release pairs with the fence below, and the load in `is_last`, of whoever is the last.
        if self.0.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // Acquire: what the others did is done.
        fence(Ordering::Acquire);
        true
    }

    /// Whether the caller, who has a part, has the only one.
    pub fn is_last(&self) -> bool {
        // Acquire pairs with the Release in `leave`.
        self.0.load(Ordering::Acquire) == 1
    }
}
