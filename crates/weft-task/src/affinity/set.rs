//! [`AffinitySet`]: a set of workers as a value.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

use crate::tuning::WORKERS_MAX;

/// Bits of one word.
pub(super) const WORD_BITS: usize = u64::BITS as usize;

/// Words of a set.
pub(super) const WORDS: usize = WORKERS_MAX.div_ceil(WORD_BITS);

// `Not` and `ALL` fill whole words; a part of a word would need a mask there.
const _: () = assert!(WORKERS_MAX.is_multiple_of(WORD_BITS));

/// A set of workers, by index below [`WORKERS_MAX`].
///
/// ```
/// use weft_task::AffinitySet;
/// let set = AffinitySet::first(3) | AffinitySet::single(700);
/// assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 2, 700]);
/// assert_eq!((set & !AffinitySet::first(2)).find_first(), Some(2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AffinitySet {
    pub(super) words: [u64; WORDS],
}

impl AffinitySet {
    /// Nobody.
    pub const EMPTY: AffinitySet = AffinitySet { words: [0; WORDS] };

    /// Everybody that may exist.
    pub const ALL: AffinitySet = AffinitySet { words: [u64::MAX; WORDS] };

    /// The workers below `count`.
    ///
    /// # Panics
    ///
    /// If `count` is above [`WORKERS_MAX`].
    #[must_use]
    pub fn first(count: usize) -> AffinitySet {
        assert!(count <= WORKERS_MAX, "{count} workers, the most are {WORKERS_MAX}");
        let mut set = AffinitySet::EMPTY;
        set.words[..count / WORD_BITS].fill(u64::MAX);
        if !count.is_multiple_of(WORD_BITS) {
            set.words[count / WORD_BITS] = (1 << (count % WORD_BITS)) - 1;
        }
        set
    }

    /// One worker.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`WORKERS_MAX`], as in every call that takes an index.
    #[must_use]
    pub fn single(index: usize) -> AffinitySet {
        let mut set = AffinitySet::EMPTY;
        set.insert(index);
        set
    }

    /// Adds a worker.
    pub fn insert(&mut self, index: usize) {
        let (word, bit) = place(index);
        self.words[word] |= bit;
    }

    /// Takes a worker out.
    pub fn remove(&mut self, index: usize) {
        let (word, bit) = place(index);
        self.words[word] &= !bit;
    }

    /// Whether a worker is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        let (word, bit) = place(index);
        self.words[word] & bit != 0
    }

    /// Whether nobody is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == AffinitySet::EMPTY
    }

    /// How many are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The lowest index in the set.
    #[must_use]
    pub fn find_first(&self) -> Option<usize> {
        let word = self.words.iter().position(|word| *word != 0)?;
        Some(word * WORD_BITS + self.words[word].trailing_zeros() as usize)
    }

    /// The indices in the set, ascending.
    #[must_use]
    pub fn iter(&self) -> Indices {
        Indices { words: self.words, word: 0 }
    }
}

/// Word and bit of an index.
#[inline]
pub(super) fn place(index: usize) -> (usize, u64) {
    assert!(index < WORKERS_MAX, "worker {index}, the most are {WORKERS_MAX}");
    (index / WORD_BITS, 1 << (index % WORD_BITS))
}

impl BitAnd for AffinitySet {
    type Output = AffinitySet;

    fn bitand(mut self, other: AffinitySet) -> AffinitySet {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word &= other;
        }
        self
    }
}

impl BitOr for AffinitySet {
    type Output = AffinitySet;

    fn bitor(mut self, other: AffinitySet) -> AffinitySet {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word |= other;
        }
        self
    }
}

impl Not for AffinitySet {
    type Output = AffinitySet;

    fn not(mut self) -> AffinitySet {
        for word in &mut self.words {
            *word = !*word;
        }
        self
    }
}

impl FromIterator<usize> for AffinitySet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> AffinitySet {
        let mut set = AffinitySet::EMPTY;
        for index in indices {
            set.insert(index);
        }
        set
    }
}

impl IntoIterator for &AffinitySet {
    type Item = usize;
    type IntoIter = Indices;

    fn into_iter(self) -> Indices {
        self.iter()
    }
}

impl fmt::Debug for AffinitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == AffinitySet::ALL {
            return f.write_str("{any}");
        }
        f.debug_set().entries(self).finish()
    }
}

/// The indices of an [`AffinitySet`], ascending.
#[derive(Clone, Debug)]
pub struct Indices {
    /// What is left.
    words: [u64; WORDS],
    word: usize,
}

impl Iterator for Indices {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let bits = self.words.get_mut(self.word)?;
            if *bits != 0 {
                let index = self.word * WORD_BITS + bits.trailing_zeros() as usize;
                // Clears the lowest bit that is set.
                *bits &= *bits - 1;
                return Some(index);
            }
            self.word += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARIES: [usize; 10] = [0, 1, 63, 64, 127, 128, 255, 256, 1022, 1023];

    /// [task 65] Each index alone, then all of them together, across the bounds of words.
    #[test]
    fn indices_across_words_are_set_tested_and_cleared() {
        let mut all = AffinitySet::EMPTY;
        for index in BOUNDARIES {
            let single = AffinitySet::single(index);
            assert_eq!(single.find_first(), Some(index));
            assert_eq!(single.count(), 1);
            assert!(single.contains(index));
            assert!(BOUNDARIES.iter().all(|other| *other == index || !single.contains(*other)));
            all.insert(index);
        }
        assert_eq!(all.iter().collect::<Vec<_>>(), BOUNDARIES);
        for (position, index) in BOUNDARIES.into_iter().enumerate() {
            assert_eq!(all.find_first(), Some(index));
            all.remove(index);
            assert!(!all.contains(index));
            assert_eq!(all.count(), BOUNDARIES.len() - position - 1);
        }
        assert!(all.is_empty());
    }

    /// [task 66] No bit at or above the count is set, for counts at, below and above the bounds of words.
    #[test]
    fn first_sets_exactly_the_indices_below_the_count() {
        for count in [0, 1, 63, 64, 65, 255, 256, 257, 1023, 1024] {
            let set = AffinitySet::first(count);
            assert_eq!(set.count(), count);
            assert!(set.iter().eq(0..count));
            assert_eq!(set.find_first(), (count > 0).then_some(0));
            assert_eq!((!set).find_first(), (count < WORKERS_MAX).then_some(count));
        }
        assert_eq!(AffinitySet::first(WORKERS_MAX), AffinitySet::ALL);
        assert_eq!(AffinitySet::EMPTY.find_first(), None);
    }

    #[test]
    fn and_or_and_not_work_on_every_word() {
        let even: AffinitySet = (0..WORKERS_MAX).step_by(2).collect();
        let odd = !even;
        assert_eq!(odd.count(), WORKERS_MAX / 2);
        assert!((even & odd).is_empty());
        assert_eq!(even | odd, AffinitySet::ALL);
        assert_eq!((even & AffinitySet::first(130)).count(), 65);
    }

    #[test]
    #[should_panic(expected = "worker 1024, the most are 1024")]
    fn an_index_outside_is_refused() {
        let _ = AffinitySet::single(WORKERS_MAX);
    }
}
