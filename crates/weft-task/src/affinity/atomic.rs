//! [`AtomicAffinitySet`]: a set of workers that many threads change.
//!
//! 1. Adding or taking out one worker is one read-modify-write of one word, so changes of different workers never undo
//!    each other.
//! 2. A look at the whole set is word by word and is no consistent snapshot: it is a hint, whatever its ordering.
//! 3. The caller names the ordering of single changes, because they are steps of the caller's protocols.

use std::fmt;

use weft_sync::atomic::{AtomicU64, Ordering};

use super::set::{AffinitySet, WORD_BITS, WORDS, place};

/// A set of workers that many threads change.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use weft_task::{AffinitySet, AtomicAffinitySet};
/// let idle = AtomicAffinitySet::new(&AffinitySet::first(2));
/// assert!(idle.remove(0, Ordering::Acquire), "it was in");
/// assert_eq!(idle.take_first(Ordering::Release), Some(1));
/// assert!(idle.load().is_empty());
/// ```
pub struct AtomicAffinitySet {
    words: [AtomicU64; WORDS],
}

impl AtomicAffinitySet {
    /// Starts as `set`.
    #[must_use]
    pub fn new(set: &AffinitySet) -> AtomicAffinitySet {
        AtomicAffinitySet { words: std::array::from_fn(|word| AtomicU64::new(set.words[word])) }
    }

    /// Adds a worker. Returns whether it was in the set before.
    #[inline]
    pub fn insert(&self, index: usize, order: Ordering) -> bool {
        let (word, bit) = place(index);
        self.words[word].fetch_or(bit, order) & bit != 0
    }

    /// Takes a worker out. Returns whether it was in the set: of several that take out the same worker, one is told so.
    #[inline]
    pub fn remove(&self, index: usize, order: Ordering) -> bool {
        let (word, bit) = place(index);
        self.words[word].fetch_and(!bit, order) & bit != 0
    }

    /// Whether a worker is in the set; relaxed, a hint.
    #[inline]
    pub fn contains(&self, index: usize) -> bool {
        let (word, bit) = place(index);
        self.words[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Takes the lowest worker that can be had; nobody else gets the same. The removal has the ordering `order`, the
    /// search none.
    pub fn take_first(&self, order: Ordering) -> Option<usize> {
        let mut words = self.words.iter().enumerate();
        words.find_map(|(index, word)| take_lowest(word, order).map(|bit| index * WORD_BITS + bit))
    }

    /// How many are in the set; word by word, a hint.
    pub fn count(&self) -> usize {
        self.load().count()
    }

    /// Whether the set looks empty; word by word, a hint.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// The whole set, word by word, relaxed: a hint, not a snapshot.
    pub fn load(&self) -> AffinitySet {
        AffinitySet { words: std::array::from_fn(|word| self.words[word].load(Ordering::Relaxed)) }
    }
}

/// Takes the lowest bit of a word that can be had.
fn take_lowest(word: &AtomicU64, order: Ordering) -> Option<usize> {
    let mut bits = word.load(Ordering::Relaxed);
    while bits != 0 {
        let lowest = bits & bits.wrapping_neg();
        let before = word.fetch_and(!lowest, order);
        if before & lowest != 0 {
            return Some(lowest.trailing_zeros() as usize);
        }
        bits = before;
    }
    None
}

impl Default for AtomicAffinitySet {
    fn default() -> AtomicAffinitySet {
        AtomicAffinitySet::new(&AffinitySet::EMPTY)
    }
}

impl fmt::Debug for AtomicAffinitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    /// [task 67] Eight threads own eight bits each of one word and flip them; none undoes what another did.
    #[test]
    fn changes_of_different_bits_of_one_word_lose_nothing() {
        const THREADS: usize = 8;
        let set = AtomicAffinitySet::default();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let set = &set;
                scope.spawn(move || {
                    let mine = (64..128).skip(thread).step_by(THREADS);
                    for _ in 0..5_000 {
                        for index in mine.clone() {
                            assert!(!set.insert(index, Ordering::Relaxed));
                            assert!(set.contains(index));
                        }
                        for index in mine.clone() {
                            assert!(set.remove(index, Ordering::Relaxed));
                        }
                    }
                    for index in mine {
                        set.insert(index, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(set.load(), AffinitySet::first(128) & !AffinitySet::first(64));
    }

    /// [task 65] As for plain sets: the bounds of words.
    #[test]
    fn single_indices_across_words() {
        for index in [0, 63, 64, 127, 128, 255, 1023] {
            let set = AtomicAffinitySet::default();
            assert!(set.is_empty());
            assert!(!set.insert(index, Ordering::Relaxed));
            assert!(set.insert(index, Ordering::Relaxed));
            assert_eq!(set.load(), AffinitySet::single(index));
            assert_eq!(set.take_first(Ordering::Relaxed), Some(index));
            assert_eq!(set.take_first(Ordering::Relaxed), None);
            assert!(!set.remove(index, Ordering::Relaxed));
        }
    }

    #[test]
    fn of_several_takers_each_gets_another_worker() {
        let set = AtomicAffinitySet::new(&AffinitySet::first(1000));
        let taken = thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        std::iter::from_fn(|| set.take_first(Ordering::Relaxed)).collect::<Vec<_>>()
                    })
                })
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(taken.len(), 1000);
        assert_eq!(taken.into_iter().collect::<AffinitySet>(), AffinitySet::first(1000));
    }
}
