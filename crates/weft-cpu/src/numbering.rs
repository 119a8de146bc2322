//! Numbers for things that a recording refers to again and again.
//!
//! Commands name the same few buffers and kernels over and over, and mostly the ones named last: those are looked
//! for one by one from the end. Beyond a handful an index answers, so that thousands cost no more.

use std::collections::HashMap;
use std::hash::Hash;

/// Keys that are looked for one by one, the latest first.
const RECENT: usize = 8;

/// Keys in the order in which they came, each once.
#[derive(Debug)]
pub(crate) struct Numbering<K> {
    keys: Vec<K>,
    /// All keys, once there are more than `RECENT`.
    index: HashMap<K, usize>,
}

impl<K> Default for Numbering<K> {
    fn default() -> Numbering<K> {
        Numbering { keys: Vec::new(), index: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Numbering<K> {
    /// The number of a key that came before.
    #[inline]
    pub(crate) fn find(&self, key: K) -> Option<usize> {
        let recent = self.keys.iter().rev().take(RECENT).position(|&known| known == key);
        match recent {
            Some(back) => Some(self.keys.len() - 1 - back),
            None => self.index.get(&key).copied(),
        }
    }

    /// Gives the next number to a key that did not come before.
    pub(crate) fn push(&mut self, key: K) {
        self.keys.push(key);
        match self.keys.len() {
            0..=RECENT => {}
            length if length == RECENT + 1 => {
                self.index.extend(self.keys.iter().enumerate().map(|(number, &known)| (known, number)));
            }
            length => {
                self.index.insert(key, length - 1);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.index.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing, one, a few, growth into the index, and repeated keys at every size. [hal 168]
    #[test]
    fn each_key_has_one_number() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.find(5), None);
        for number in 0..1000_usize {
            assert_eq!(numbering.find(number * 3), None);
            numbering.push(number * 3);
            for earlier in [0, number / 2, number.saturating_sub(7), number] {
                assert_eq!(numbering.find(earlier * 3), Some(earlier));
            }
            assert_eq!(numbering.find(number * 3 + 1), None);
        }
        numbering.clear();
        assert_eq!(numbering.find(0), None);
    }
}
