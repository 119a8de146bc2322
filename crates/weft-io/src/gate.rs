//! The end of a registration, as seen from any thread: when closing has returned, nobody is inside, and nobody gets in.
//!
//! What lives here: [`Gate`]. What does not: what is called inside (`event_source.rs`, `relay`, `signal.rs`).
//!
//! 1. The poll thread enters before it calls what was registered, and leaves afterwards, also if that panics. One enters
//!    at a time.
//! 2. Whoever closes marks the word, and sleeps while somebody is inside; unless it is inside itself: what was called
//!    may end its own registration, and returns then as ever.
//! 3. Both are read-modify-writes of one word. So either the entry finds the mark, or the closer finds the entry.

use weft_sync::Deadline;
use weft_sync::atomic::{AtomicUsize, Ordering};
use weft_sync::park::Word;

const INSIDE: u32 = 1;
const CLOSED: u32 = 2;

/// See the header.
#[derive(Debug)]
pub struct Gate {
    word: Word,
    /// Which thread is inside; only that thread finds its own number here.
    thread: AtomicUsize,
}

/// Inside, until dropped.
#[derive(Debug)]
pub struct Pass<'a>(&'a Gate);

impl Gate {
    /// An open gate.
    pub fn new() -> Gate {
        Gate { word: Word::new(0), thread: AtomicUsize::new(0) }
    }

    /// Gets in, unless the gate is closed.
    pub fn enter(&self) -> Option<Pass<'_>> {
        self.enter_as(here())
    }

    /// The same, for a thread of this number.
    pub fn enter_as(&self, thread: usize) -> Option<Pass<'_>> {
        // Acquire pairs with the Release of one that was inside before. Whoever does not get in takes nothing from those who
        // are inside, or have closed; and nobody takes anything from an entry.
        let entered = self.word.value().compare_exchange(0, INSIDE, Ordering::Acquire, Ordering::Relaxed);
        entered.ok()?;
        self.thread.store(thread, Ordering::Relaxed);
        Some(Pass(self))
    }

    /// Lets nobody in any more, and waits until nobody is inside but perhaps the calling thread.
    pub fn close(&self) {
        self.close_as(here());
    }

    /// The same, for a thread of this number.
    pub fn close_as(&self, thread: usize) {
        // Acquire, here and below, pairs with the Release of the one that leaves: all it did is over.
        let mut found = self.word.value().fetch_or(CLOSED, Ordering::Acquire) | CLOSED;
        while found & INSIDE != 0 && self.thread.load(Ordering::Relaxed) != thread {
            self.word.sleep(found, Deadline::NEVER);
            found = self.word.value().load(Ordering::Acquire);
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // Relaxed: a hint. Whoever wants to get in asks by entering.
        self.word.value().load(Ordering::Relaxed) & CLOSED != 0
    }
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.thread.store(0, Ordering::Relaxed);
        // Release pairs with the Acquire of whoever comes in or closes.
        let found = self.0.word.value().fetch_and(!INSIDE, Ordering::Release);
        if found & CLOSED != 0 {
            self.0.word.wake_all();
        }
    }
}

/// A number of the calling thread that no other thread has at the same time; not zero.
fn here() -> usize {
    std::thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32};

    #[test]
    fn a_closed_gate_lets_nobody_in_and_may_be_closed_from_inside() {
        let gate = Gate::new();
        drop(gate.enter().unwrap());
        let pass = gate.enter().unwrap();
        gate.close();
        gate.close();
        assert!(gate.is_closed());
        drop(pass);
        assert!(gate.enter().is_none());
    }

    #[test]
    fn closing_waits_for_whoever_is_inside() {
        for _ in 0..200 {
            let (gate, inside) = (Arc::new(Gate::new()), Arc::new(AtomicBool::new(false)));
            let entered = Arc::new(AtomicU32::new(0));
            let caller = {
                let (gate, inside, entered) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&entered));
                std::thread::spawn(move || {
                    while let Some(_pass) = gate.enter() {
                        inside.store(true, Ordering::Relaxed);
                        entered.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        inside.store(false, Ordering::Relaxed);
                    }
                })
            };
            while entered.load(Ordering::Relaxed) < 3 {
                std::thread::yield_now();
            }
            gate.close();
            assert!(!inside.load(Ordering::Relaxed));
            caller.join().unwrap();
        }
    }
}
