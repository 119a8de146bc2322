//! Regions of tiles that workers claim: who takes which, and who notices that a region is done.
//!
//! What lives here: [`Tiles`], three words. What does not: what a tile is, and how many to take at a time.
//!
//! 1. **Open: what is left, claim word, then region and count in one word** (release). Whoever sees the region sees all of
//!    it, and the count that goes with it.
//! 2. **A claim carries the region it is meant for.** A worker that was held up between a look at the region and its
//!    claim finds another tag in the claim word, and takes nothing.
//! 3. **Only what was claimed is retired.** So the count of a region reaches 0 once, after its last tile, and no late
//!    decrement can meet the next region: that one is opened by whoever brought the count to 0, the *completer*.
//! 4. **Effects pass from region to region**: retirements release them into one word, the last one acquires all of them
//!    and publishes the next region.
//!
//! A region number is used once in the life of a `Tiles`; [`Tiles::reset`] begins a new life and needs `&mut`.

use std::ops::Range;

use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::cache_line::CacheLine;

/// Not a region: nothing was opened yet.
const NONE: u32 = u32::MAX;

/// The tiles of one region after the other.
#[derive(Debug)]
pub struct Tiles {
    /// region << 32 | its tiles: read by all, written once a region.
    open: CacheLine<AtomicU64>,
    /// region << 32 | next tile.
    claim: CacheLine<AtomicU64>,
    /// Tiles that were not retired.
    left: CacheLine<AtomicU32>,
}

/// A region that was open when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRegion {
    /// Its number.
    pub region: u32,
    /// Its tiles.
    pub tiles: u32,
}

impl Tiles {
    /// Nothing is open.
    pub fn new() -> Tiles {
        Tiles {
            open: CacheLine(AtomicU64::new(u64::from(NONE) << 32)),
            claim: CacheLine(AtomicU64::new(u64::from(NONE) << 32)),
            left: CacheLine(AtomicU32::new(0)),
        }
    }

    /// As new.
    pub fn reset(&mut self) {
        *self = Tiles::new();
    }

    /// Opens a region of at least one tile. By whoever retired the last tile of the one before, or first of all; never
    /// with a number that was used before.
    pub fn open(&self, region: u32, tiles: u32) {
        debug_assert!(region != NONE && tiles > 0);
        self.left.store(tiles, Ordering::Relaxed);
        self.claim.store(u64::from(region) << 32, Ordering::Relaxed);
        // Release pairs with the Acquire in `current`: rule 1, and the effects of the regions before (rule 4).
        self.open.store(u64::from(region) << 32 | u64::from(tiles), Ordering::Release);
    }

    /// The open region, if there is one.
    #[inline]
    pub fn current(&self) -> Option<OpenRegion> {
        // Acquire pairs with the Release in `open`.
        let word = self.open.load(Ordering::Acquire);
        let open = OpenRegion { region: (word >> 32) as u32, tiles: word as u32 };
        (open.region != NONE).then_some(open)
    }

    /// Takes up to `count` tiles. `None` if all are taken or the region is not open any more.
    #[inline]
    pub fn claim(&self, open: OpenRegion, count: u32) -> Option<Range<u32>> {
        // Relaxed throughout: the region was acquired in `current`, and what is claimed is published by `retire`.
        let mut word = self.claim.load(Ordering::Relaxed);
        loop {
            let next = word as u32;
            if (word >> 32) as u32 != open.region || next >= open.tiles {
                return None;
            }
            let end = next + count.min(open.tiles - next);
            let taken = u64::from(open.region) << 32 | u64::from(end);
            match self.claim.compare_exchange_weak(word, taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(next..end),
                Err(found) => word = found,
            }
        }
    }

    /// How many tiles of a region nobody has claimed, as a hint.
    #[inline]
    pub fn unclaimed(&self, open: OpenRegion) -> u32 {
        let word = self.claim.load(Ordering::Relaxed);
        if (word >> 32) as u32 == open.region { open.tiles.saturating_sub(word as u32) } else { 0 }
    }

    /// Gives claimed tiles back as done. `true` for the completer of the region.
    #[inline]
    #[must_use = "the completer opens the next region"]
    pub fn retire(&self, count: u32) -> bool {
        // Release: the effects of these tiles; Acquire: the completer has seen those of all others (rule 4).
        let before = self.left.fetch_sub(count, Ordering::AcqRel);
        debug_assert!(before >= count, "only claimed tiles are retired");
        before == count
    }
}

impl Default for Tiles {
    fn default() -> Tiles {
        Tiles::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// What different threads write at the same time lies on cache lines of its own, and nothing else lies there. [hal 152]
    #[test]
    fn contended_words_share_no_line() {
        const LINE: usize = align_of::<CacheLine<u8>>();
        let lines = [offset_of!(Tiles, open), offset_of!(Tiles, claim), offset_of!(Tiles, left)];
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line % LINE, 0);
            assert!(lines[..index].iter().all(|other| line.abs_diff(*other) >= LINE));
        }
        assert_eq!((size_of::<Tiles>(), align_of::<Tiles>()), (3 * LINE, LINE));
        const { assert!(LINE >= 64) };
    }

    /// The largest region there can be: no count wraps. [hal 152] [hal 162]
    #[test]
    fn a_region_of_all_tiles_there_are() {
        let tiles = Tiles::new();
        tiles.open(u32::MAX - 1, u32::MAX);
        let open = tiles.current().unwrap();
        assert_eq!(tiles.claim(open, 1 << 31), Some(0..1 << 31));
        assert_eq!(tiles.claim(open, u32::MAX), Some(1 << 31..u32::MAX));
        assert_eq!((tiles.claim(open, u32::MAX), tiles.unclaimed(open)), (None, 0));
        assert!(!tiles.retire(u32::MAX - (1 << 31)));
        assert!(tiles.retire(1 << 31));
    }

    #[test]
    fn tiles_are_claimed_in_order_and_retired_once() {
        let tiles = Tiles::new();
        assert_eq!(tiles.current(), None);
        tiles.open(0, 5);
        let open = tiles.current().unwrap();
        assert_eq!(open, OpenRegion { region: 0, tiles: 5 });
        assert_eq!(tiles.claim(open, 2), Some(0..2));
        assert_eq!(tiles.unclaimed(open), 3);
        assert_eq!(tiles.claim(open, 9), Some(2..5));
        assert_eq!(tiles.claim(open, 1), None);
        assert!(!tiles.retire(3));
        assert!(tiles.retire(2));
    }

    /// A worker that looked at region 0 and was held up takes nothing from region 1, whatever their sizes. [hal 157]
    #[test]
    fn a_late_worker_takes_nothing_from_the_next_region() {
        let tiles = Tiles::new();
        tiles.open(0, 1);
        let late = tiles.current().unwrap();
        assert_eq!(tiles.claim(late, 1), Some(0..1));
        assert!(tiles.retire(1));
        tiles.open(1, 3);
        assert_eq!(tiles.claim(late, 1), None);
        assert_eq!(tiles.claim(OpenRegion { region: 0, tiles: 3 }, 1), None);
        assert_eq!(tiles.unclaimed(late), 0);
        assert_eq!(tiles.claim(tiles.current().unwrap(), 3), Some(0..3));
    }

    /// Workers that take one step at a time, in an order that somebody else decides.
    struct Play {
        tiles: Tiles,
        sizes: &'static [u32],
        done: Vec<Vec<u32>>,
        completers: u32,
    }

    #[derive(Clone)]
    enum Step {
        Look,
        Claim(OpenRegion),
        Retire(u32, Range<u32>),
        Left,
    }

    impl Play {
        fn new(sizes: &'static [u32]) -> Play {
            let done = sizes.iter().map(|&size| vec![0; size as usize]).collect();
            let play = Play { tiles: Tiles::new(), sizes, done, completers: 0 };
            play.tiles.open(0, sizes[0]);
            play
        }

        fn step(&mut self, step: &Step, at_once: u32) -> Step {
            match step {
                Step::Look => self.tiles.current().map_or(Step::Left, Step::Claim),
                Step::Claim(open) => match self.tiles.claim(*open, at_once) {
                    Some(range) => {
                        let region = open.region as usize;
                        assert!(self.done[..region].iter().flatten().all(|&count| count == 1), "too early");
                        range.clone().for_each(|tile| self.done[region][tile as usize] += 1);
                        Step::Retire(open.region, range)
                    }
                    None => Step::Left,
                },
                Step::Retire(region, range) => {
                    if self.tiles.retire(range.len() as u32) {
                        self.completers += 1;
                        if let Some(&size) = self.sizes.get(*region as usize + 1) {
                            self.tiles.open(region + 1, size);
                        }
                    }
                    Step::Look
                }
                Step::Left => Step::Left,
            }
        }
    }

    /// Plays every order of steps in which workers are exchanged at most so often while they could go on. Returns how many.
    fn play_all(sizes: &'static [u32], workers: usize, at_once: u32, exchanges_max: u32) -> u32 {
        let mut plays = 0;
        let mut prefixes: Vec<Vec<usize>> = vec![Vec::new()];
        while let Some(prefix) = prefixes.pop() {
            let (mut play, mut steps) = (Play::new(sizes), vec![Step::Look; workers]);
            let (mut order, mut exchanges, mut last) = (Vec::new(), 0, 0);
            while let Some(first) = (0..workers).find(|&worker| !matches!(steps[worker], Step::Left)) {
                let goes_on = !matches!(steps[last], Step::Left);
                let default = if goes_on { last } else { first };
                let chosen = prefix.get(order.len()).copied().unwrap_or(default);
                if order.len() >= prefix.len() {
                    let may_exchange = !goes_on || exchanges < exchanges_max;
                    let others = (0..workers).filter(|&worker| worker != chosen && may_exchange);
                    for other in others.filter(|&worker| !matches!(steps[worker], Step::Left)) {
                        prefixes.push([&order[..], &[other]].concat());
                    }
                }
                exchanges += u32::from(goes_on && chosen != last);
                order.push(chosen);
                steps[chosen] = play.step(&steps[chosen].clone(), at_once);
                last = chosen;
            }
            assert!(play.done.iter().flatten().all(|&count| count == 1), "{order:?}: {:?}", play.done);
            assert_eq!(play.completers as usize, sizes.len(), "{order:?}");
            plays += 1;
        }
        plays
    }

    /// [hal 158] Every order of looks, claims and retirements of two workers, and those of three with few exchanges; what
    /// orders of memory accesses add is in `tests/loom/tiles.rs`.
    #[test]
    fn every_order_of_steps() {
        let plays = [
            play_all(&[1, 2], 2, 1, u32::MAX),
            play_all(&[2, 1, 2], 2, 1, 6),
            play_all(&[2, 1, 2], 2, 2, u32::MAX),
            play_all(&[2, 1, 2], 3, 1, 3),
            play_all(&[1, 3], 3, 2, 4),
        ];
        assert!(plays.iter().all(|&plays| plays > 100), "{plays:?}");
    }
}
