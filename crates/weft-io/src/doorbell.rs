//! One word by which any thread tells the poll thread that there is something to look at.
//!
//! What lives here: [`Doorbell`]. What does not: the lists that it tells of (`table.rs`), the primitive on which the
//! poll thread sleeps (`backend`).
//!
//! 1. **Producer: publish, then ring.** It puts its work where the poll thread looks, then adds a bit to the word by a
//!    read-modify-write.
//! 2. **Poll thread: answer, then look.** It takes all bits by a read-modify-write, and then looks at what they name.
//! 3. **Before it sleeps** it moves the word from "no bits" to `SLEEPING` by compare-exchange. A bit that came since the
//!    answer makes that fail, and it looks again instead.
//! 4. **The first ring that finds `SLEEPING` owes the wake**, one system call; those behind it see that bits are set
//!    already. So any number of rings before the poll thread runs cost one wake.
//! 5. All steps are read-modify-writes of one word, so they have an order: a ring before the answer is seen by it, a
//!    ring after it is seen by step 3 or sees `SLEEPING`. No sequentially consistent access is needed.
//! 6. **A ring may be left out** if its bit is set: somebody's answer is still to come, and with it a look. That holds if
//!    the publishing was a read-modify-write that acquires, and the look one that releases, of the same word: a publishing
//!    that this look misses comes after it, so it has seen the answer before the look, and finds the bit gone.

use weft_sync::atomic::{AtomicU32, Ordering};

/// What a ring tells of.
pub mod bell {
    /// Operations were submitted.
    pub const PENDING: u32 = 1 << 1;
    /// Somebody wants the poll to return.
    pub const WAKE: u32 = 1 << 2;
    /// Operations are asked to end.
    pub const CANCEL: u32 = 1 << 3;
    /// Operations that waited in software are decided.
    pub const FIRED: u32 = 1 << 4;
    /// Something is to be registered or taken back.
    pub const COMMAND: u32 = 1 << 5;
    /// Messages have arrived.
    pub const MESSAGE: u32 = 1 << 6;
    /// Notifications were signalled.
    pub const HEARD: u32 = 1 << 7;
}

const SLEEPING: u32 = 1;

/// See the header.
#[derive(Debug)]
pub struct Doorbell(AtomicU32);

impl Doorbell {
    /// A quiet one.
    pub fn new() -> Doorbell {
        Doorbell(AtomicU32::new(0))
    }

    /// Tells of work that was published. `true`: the poll thread sleeps, and this ring owes the wake.
    #[must_use = "a ring that finds a sleeper owes the wake"]
    #[inline]
    pub fn ring(&self, what: u32) -> bool {
        // Release pairs with the Acquire in `answer`: the work is visible to whoever sees the bit. Nothing is acquired:
        // that the poll thread sleeps is a debt, and says nothing of what it did.
        self.0.fetch_or(what, Ordering::Release) == SLEEPING
    }

    /// The same, for work that was published as rule 6 asks.
    #[must_use = "a ring that finds a sleeper owes the wake"]
    #[inline]
    pub fn ring_after(&self, what: u32) -> bool {
        // Relaxed: what has to be seen here was acquired by the publishing.
        self.0.load(Ordering::Relaxed) & what == 0 && self.ring(what)
    }

    /// Takes every bit that was set since the last answer.
    #[inline]
    pub fn answer(&self) -> u32 {
        // Acquire pairs with the Release in `ring`. Nothing is released: whoever has to know of an answer, by rule 6,
        // learns it from the look that follows.
        self.0.swap(0, Ordering::Acquire) & !SLEEPING
    }

    /// Announces sleep. `false`: somebody rang; look again.
    #[inline]
    pub fn sleep(&self) -> bool {
        // Relaxed: rule 5 is about the order of this one word. What a bit tells of is acquired by the answer that takes it.
        self.0.compare_exchange(0, SLEEPING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether somebody has rung since the last answer.
    #[inline]
    pub fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !SLEEPING != 0
    }
}

impl Default for Doorbell {
    fn default() -> Doorbell {
        Doorbell::new()
    }
}
