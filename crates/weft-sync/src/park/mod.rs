//! Sleeping and waking on a 32-bit word.
//!
//! What lives here: [`Word`], an atomic word on which threads sleep while it holds an expected value, and the one
//! place that chooses how. What does not: what the word means (`notification.rs`).
//!
//! 1. A sleeper says which value it saw. The comparison with the word and falling asleep are one step for
//!    everybody who wakes: a word changed before it keeps the sleeper awake, a wake after it is not lost.
//! 2. Whoever changes the word wakes afterwards. A wake without sleepers is harmless.
//! 3. A sleep may end for no reason. Whoever sleeps looks again.
//! 4. Deadlines are absolute; a wait that is woken early and sleeps on keeps its limit.
//!
//! | system  | means                                                          |
//! |---------|----------------------------------------------------------------|
//! | Linux   | futex, private to the process                                  |
//! | Windows | `WaitOnAddress`                                                |
//! | Apple   | ulock                                                          |
//! | others  | a lock and a condition variable beside the word; so does loom  |

use crate::Deadline;
use crate::atomic::AtomicU32;

cfg_select! {
    loom => {
        mod portable;
        use portable as system;
    }
    any(target_os = "linux", target_os = "android") => {
        mod futex;
        use futex as system;
    }
    windows => {
        mod wait_on_address;
        use wait_on_address as system;
    }
    target_vendor = "apple" => {
        mod ulock;
        use ulock as system;
    }
    _ => {
        mod portable;
        use portable as system;
    }
}

/// A word to sleep on.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use weft_sync::{Deadline, park::Word};
/// let word = Word::new(0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         word.value().store(1, Ordering::Release);
///         word.wake(1);
///     });
///     while word.value().load(Ordering::Acquire) == 0 {
///         word.sleep(0, Deadline::NEVER);
///     }
/// });
/// ```
#[derive(Debug)]
pub struct Word {
    value: AtomicU32,
    means: system::Means,
}

impl Word {
    /// A word that holds `value`.
    #[cfg(not(loom))]
    pub const fn new(value: u32) -> Word {
        Word { value: AtomicU32::new(value), means: system::Means::new() }
    }

    /// A word that holds `value`.
    #[cfg(loom)]
    pub fn new(value: u32) -> Word {
        Word { value: AtomicU32::new(value), means: system::Means::new() }
    }

    /// The word. Change it first, then [`Word::wake`].
    #[inline]
    pub fn value(&self) -> &AtomicU32 {
        &self.value
    }

    /// Sleeps while the word holds `expected`, until somebody wakes, the deadline passes, or for no reason.
    ///
    /// `false`: the deadline has passed. `true` says nothing about the word: look again.
    pub fn sleep(&self, expected: u32, deadline: Deadline) -> bool {
        if deadline.remaining().is_some_and(|left| left.is_zero()) {
            return false;
        }
        self.means.sleep(&self.value, expected, deadline);
        true
    }

    /// Wakes up to `count` sleepers.
    pub fn wake(&self, count: u32) {
        if count > 0 {
            self.means.wake(&self.value, count);
        }
    }

    /// Wakes every sleeper.
    pub fn wake_all(&self) {
        self.wake(u32::MAX);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn a_changed_word_keeps_the_sleeper_awake() {
        let word = Word::new(1);
        assert!(word.sleep(0, Deadline::NEVER));
    }

    #[test]
    fn a_sleep_ends_at_its_deadline_and_not_before() {
        let word = Word::new(0);
        let start = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(5));
        while word.sleep(0, deadline) {}
        assert!(Instant::now().since(start) >= Duration::from_millis(5));
        assert!(!word.sleep(0, Deadline::IMMEDIATE));
    }

    #[test]
    fn a_wake_reaches_as_many_as_it_names() {
        let (word, awake) = (Word::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while word.value().load(Ordering::Acquire) == 0 {
                        word.sleep(0, Deadline::NEVER);
                    }
                    awake.fetch_add(1, Ordering::AcqRel);
                });
            }
            std::thread::sleep(Duration::from_millis(5));
            word.wake(0);
            word.value().store(1, Ordering::Release);
            word.wake(2);
            // Two may still sleep now. They all get up in the end, whatever the first wake reached.
            word.wake_all();
        });
        assert_eq!(awake.load(Ordering::Acquire), 4);
    }
}
