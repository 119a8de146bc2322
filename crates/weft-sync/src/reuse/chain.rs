//! Ranges that lie side by side in pieces of backing memory.
//!
//! What lives here: [`Chain`]: ranges, their neighbours, splitting and joining. What does not: which of the free ones a
//! request gets (`ranges.rs`).

use super::Death;

/// No range.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(super) struct Range<const DEATH: usize> {
    pub slab: u32,
    pub offset: u64,
    pub bytes: u64,
    pub is_free: bool,
    pub death: Death<DEATH>,
    /// The range that ends where this one begins, in the same piece.
    before: u32,
    /// The range that begins where this one ends. Of a range that is not in use: the next such.
    after: u32,
}

/// All ranges, by index. An index stays with its range until that is joined to the one before.
#[derive(Debug)]
pub(super) struct Chain<const DEATH: usize> {
    ranges: Vec<Range<DEATH>>,
    /// The first index that is not in use.
    spare: u32,
    spares: usize,
}

impl<const DEATH: usize> Chain<DEATH> {
    pub fn new() -> Chain<DEATH> {
        Chain { ranges: Vec::new(), spare: NONE, spares: 0 }
    }

    pub fn get(&self, index: u32) -> &Range<DEATH> {
        &self.ranges[index as usize]
    }

    pub fn get_mut(&mut self, index: u32) -> &mut Range<DEATH> {
        &mut self.ranges[index as usize]
    }

    /// Makes sure that two more ranges can be added, and returns how many indices there are; `None` without memory.
    pub fn reserve(&mut self) -> Option<usize> {
        while self.spares < 2 {
            if self.ranges.len() >= NONE as usize {
                return None;
            }
            self.ranges.try_reserve(1).ok()?;
            let index = self.ranges.len() as u32;
            self.ranges.push(Range {
                slab: 0,
                offset: 0,
                bytes: 0,
                is_free: false,
                death: Death::NONE,
                before: NONE,
                after: self.spare,
            });
            self.spare = index;
            self.spares += 1;
        }
        Some(self.ranges.len())
    }

    fn take_spare(&mut self, range: Range<DEATH>) -> u32 {
        let index = self.spare;
        let place = &mut self.ranges[index as usize];
        self.spare = place.after;
        self.spares -= 1;
        *place = range;
        index
    }

    /// Adds a piece of backing memory as one free range that was never used. There is room for it.
    pub fn add_slab(&mut self, slab: u32, bytes: u64) -> u32 {
        self.take_spare(Range {
            slab,
            offset: 0,
            bytes,
            is_free: true,
            death: Death::NONE,
            before: NONE,
            after: NONE,
        })
    }

    /// Splits a range behind its first bytes; both parts keep what the whole died after. Returns both; they are one and
    /// the same if there is nothing to split. There is room for the second.
    pub fn split(&mut self, index: u32, bytes: u64) -> (u32, u32) {
        let whole = *self.get(index);
        if bytes == 0 || bytes == whole.bytes {
            return (index, index);
        }
        let rest = self.take_spare(Range {
            offset: whole.offset + bytes,
            bytes: whole.bytes - bytes,
            before: index,
            ..whole
        });
        if let Some(after) = self.ranges.get_mut(whole.after as usize) {
            after.before = rest;
        }
        let first = self.get_mut(index);
        (first.bytes, first.after) = (bytes, rest);
        (index, rest)
    }

    pub fn free_neighbours(&self, index: u32) -> [Option<u32>; 2] {
        let Range { before, after, .. } = *self.get(index);
        [before, after]
            .map(|neighbour| (neighbour != NONE && self.get(neighbour).is_free).then_some(neighbour))
    }

    /// Joins two neighbours. Returns the range that is left, and whether its death frontier fitted where both did.
    pub fn join(&mut self, one: u32, other: u32) -> (u32, bool) {
        let (first, second) = if self.get(one).after == other { (one, other) } else { (other, one) };
        let gone = *self.get(second);
        let range = self.get_mut(first);
        let were_known = !range.death.is_tainted() && !gone.death.is_tainted();
        let fits = range.death.join(&gone.death) || !were_known;
        range.bytes += gone.bytes;
        range.after = gone.after;
        if let Some(after) = self.ranges.get_mut(gone.after as usize) {
            after.before = first;
        }
        self.give_up(second);
        (first, fits)
    }

    /// Takes out a range that is a whole piece of backing memory: it has no neighbours.
    pub fn remove_slab(&mut self, index: u32) {
        debug_assert!(self.get(index).before == NONE && self.get(index).after == NONE, "a whole piece");
        self.give_up(index);
    }

    fn give_up(&mut self, index: u32) {
        let place = &mut self.ranges[index as usize];
        place.after = self.spare;
        place.is_free = false;
        self.spare = index;
        self.spares += 1;
    }

    /// One more than the highest index, of ranges and of places for them.
    pub fn indices(&self) -> u32 {
        // `reserve` makes no more than a `u32` can name.
        self.ranges.len() as u32
    }

    pub fn forget_deaths(&mut self) {
        for range in self.ranges.iter_mut().filter(|range| range.is_free) {
            range.death = Death::NONE;
        }
    }

    pub fn free_bytes(&self) -> u64 {
        self.ranges.iter().filter(|range| range.is_free).map(|range| range.bytes).sum()
    }
}
