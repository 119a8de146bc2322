//! Whether a process is wanted, waiting or being drained: one word.
//!
//! | word                 | state                                                     |
//! |----------------------|-----------------------------------------------------------|
//! | 0                    | IDLE: nobody wants it, nobody has it                      |
//! | `NEEDS`              | QUEUED: in the list, or in a slot and not yet looked at   |
//! | `DRAINING`           | a worker (immediate) or a slot (compute) has it           |
//! | `DRAINING \| NEEDS`  | as above, and somebody published since                    |
//! | `RETIRED`, with any  | terminal: nothing happens any more                        |
//!
//! 1. **Schedule: publish, then raise `NEEDS`** (release). Who finds the word 0 owes the enqueueing; nobody else does.
//! 2. **Drain: take `NEEDS` down, then look** (acquire). What was published before is seen by this drain.
//! 3. **Rest: `DRAINING` → 0 by compare-exchange** (release). It fails if `NEEDS` was raised: drain again.
//! 4. **Neither misses the other.** Publication and rest read-modify-write one word. If the raise comes first, the rest
//!    fails; if the rest comes first, the raise finds 0 and enqueues. Two words would need four sequentially consistent
//!    accesses for the same (Dekker's pattern); one needs none, and the model checker sees the protocol as it is.
//! 5. Each change is a read-modify-write, so it continues the release sequences of those before it: who takes `NEEDS`
//!    down sees everything that was published by whoever raised it, and everything that earlier drains did.

use weft_sync::atomic::{AtomicU32, Ordering};

const NEEDS: u32 = 1;
const DRAINING: u32 = 2;
const RETIRED: u32 = 4;

/// What a schedule owes.
#[must_use = "whoever finds the process idle has to enqueue it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// It was idle: put it where workers look.
    Enqueue,
    /// Somebody has it, or will get it, and will see what was published.
    Seen,
    /// It is over.
    Retired,
}

/// The word of one process.
#[derive(Debug)]
pub struct Activity(AtomicU32);

impl Activity {
    /// Idle.
    pub fn new() -> Activity {
        Activity(AtomicU32::new(0))
    }

    /// Says that something was published (rule 1).
    #[inline]
    pub fn schedule(&self) -> Schedule {
        // Release pairs with the Acquire in `begin`: what was published before is seen by the drain after it.
        match self.0.fetch_or(NEEDS, Ordering::Release) {
            0 => Schedule::Enqueue,
            before if before & RETIRED != 0 => Schedule::Retired,
            _ => Schedule::Seen,
        }
    }

    /// Says the same from inside: whoever has the process must look again before it may rest.
    #[inline]
    pub fn raise(&self) {
        // Release as in `schedule`; what this drain did is seen by the one that looks again.
        self.0.fetch_or(NEEDS, Ordering::Release);
    }

    /// Whether something was published that no drain has taken up.
    #[inline]
    pub fn is_needed(&self) -> bool {
        // Relaxed: only decides whether to `begin`; a raise that is not seen makes `rest` fail.
        self.0.load(Ordering::Relaxed) & NEEDS != 0
    }

    /// Takes up what was published; the process is being drained from here on (rule 2).
    #[inline]
    pub fn begin(&self) {
        // Acquire pairs with the Release in `schedule`, `raise`, `rest` and `yield_turn`.
        self.0.swap(DRAINING, Ordering::Acquire);
    }

    /// Lets go, unless something was published since `begin`: then `false`, and the caller still has it (rule 3).
    #[inline]
    #[must_use]
    pub fn rest(&self) -> bool {
        // Release pairs with the Acquire in `begin`, through the raise in between: the next drain sees this one.
        // Relaxed on failure: the caller begins again, which acquires.
        self.0.compare_exchange(DRAINING, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// From draining back to queued: the caller puts it at the end of the list.
    #[inline]
    pub fn yield_turn(&self) {
        // A read-modify-write, not a store: it keeps what others published since (rule 5).
        self.0.swap(NEEDS, Ordering::AcqRel);
    }

    /// It is over: it never becomes idle again, so nobody enqueues it a second time.
    #[inline]
    pub fn retire(&self) {
        // Relaxed: nothing is read on the strength of it.
        self.0.fetch_or(RETIRED | DRAINING, Ordering::Relaxed);
    }

    /// The state by name, for reports.
    pub fn name(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            0 => "idle",
            word if word & RETIRED != 0 => "retired",
            NEEDS => "queued",
            DRAINING => "draining",
            _ => "draining, needed",
        }
    }
}

impl Default for Activity {
    fn default() -> Activity {
        Activity::new()
    }
}
