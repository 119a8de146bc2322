//! Which slots of a table are free.
//!
//! What lives here: [`Slots`]. What does not: what lies in a slot (`backend/uring/memory.rs`).
//!
//! Runs are given out first-fit, the lowest that is long enough; runs that touch when they come back become one again.

use std::ops::Range;

/// See the header.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Runs that are free, in order, none touching the next.
    free: Vec<Range<u32>>,
}

impl Slots {
    /// All of `count` slots are free.
    pub(crate) fn new(count: u32) -> Slots {
        Slots { free: (count > 0).then_some(0..count).into_iter().collect() }
    }

    /// The lowest run of so many. `None`: there is none, or it would have no slot.
    pub(crate) fn acquire(&mut self, count: u32) -> Option<Range<u32>> {
        if count == 0 {
            return None;
        }
        let place = self.free.iter().position(|run| run.end - run.start >= count)?;
        let run = &mut self.free[place];
        let taken = run.start..run.start + count;
        run.start = taken.end;
        if run.start == run.end {
            self.free.remove(place);
        }
        Some(taken)
    }

    /// Frees a run that `acquire` gave out.
    pub(crate) fn release(&mut self, run: Range<u32>) {
        if run.start == run.end {
            return;
        }
        let place = self.free.partition_point(|free| free.start < run.start);
        debug_assert!(place == 0 || self.free[place - 1].end <= run.start, "freed once");
        debug_assert!(self.free.get(place).is_none_or(|next| run.end <= next.start), "freed once");
        self.free.insert(place, run);
        if self.free.get(place + 1).is_some_and(|next| next.start == self.free[place].end) {
            self.free[place].end = self.free.remove(place + 1).end;
        }
        if place > 0 && self.free[place - 1].end == self.free[place].start {
            self.free[place - 1].end = self.free.remove(place).end;
        }
    }

    /// How many are free.
    #[cfg(test)]
    fn free(&self) -> u32 {
        self.free.iter().map(|run| run.end - run.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [async 192] [async-backends 160] Runs are contiguous and mixed in size; what is fragmented becomes whole again; a
    /// full table gives nothing, and neither does a wish for nothing.
    #[test]
    fn runs_come_and_go() {
        let mut slots = Slots::new(16);
        assert_eq!(slots.acquire(0), None);
        assert_eq!(slots.acquire(17), None);
        let runs: Vec<_> = [4, 1, 3, 8].into_iter().map(|count| slots.acquire(count).unwrap()).collect();
        assert_eq!(runs, [0..4, 4..5, 5..8, 8..16]);
        assert_eq!((slots.acquire(1), slots.free()), (None, 0));
        slots.release(0..4);
        slots.release(5..8);
        assert_eq!(slots.acquire(5), None, "seven are free, in two pieces");
        assert_eq!(slots.acquire(2), Some(0..2));
        slots.release(4..5);
        assert_eq!(slots.acquire(6), Some(2..8), "one piece again");
        for run in [2..8, 8..16, 0..2, 3..3] {
            slots.release(run);
        }
        assert_eq!((slots.free.len(), slots.acquire(16)), (1, Some(0..16)));
        slots.release(0..16);
        assert_eq!(Slots::new(0).acquire(1), None);
    }

    /// [async-backends 160] Whatever is taken and freed in whatever order, no slot is given out twice, and all are free
    /// and in one piece in the end.
    #[test]
    fn no_slot_is_given_out_twice() {
        let mut slots = Slots::new(200);
        let mut taken: Vec<Range<u32>> = Vec::new();
        let mut seed = 1_u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..5_000 {
            if random(2) == 0 {
                taken.extend(slots.acquire(random(20)));
            } else if !taken.is_empty() {
                slots.release(taken.swap_remove(random(taken.len() as u32) as usize));
            }
            let mut all = taken.clone();
            all.extend(slots.free.iter().cloned());
            all.sort_unstable_by_key(|run| run.start);
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(all.iter().map(|run| run.end - run.start).sum::<u32>(), 200);
        }
        taken.drain(..).for_each(|run| slots.release(run));
        assert_eq!((slots.free(), slots.acquire(200)), (200, Some(0..200)));
    }
}
