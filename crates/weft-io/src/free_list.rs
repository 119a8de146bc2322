//! Which buffers of a pool are free: one word and a list of indices.
//!
//! What lives here: [`FreeList`]. What does not: where the words lie (`pool.rs`, in memory of the process;
//! `shared_pool.rs`, in memory that several processes map), what an index stands for.
//!
//! 1. **The word** has the index of the newest free buffer in its lowest 16 bits ([`END`]: none), how many are free in the
//!    next 16, and above them a number that grows with every push and pop. So a pop that was held up between its look at
//!    the link and its exchange fails, even if the same buffer is the newest again.
//! 2. **Whoever has popped an index owns the buffer**, and its link, until it pushes it. A process that dies between two
//!    steps leaves the list whole: it changes in one exchange, and only what the process had is lost.
//! 3. **Whatever the words hold, nothing outside of them is touched**: an index that is none is an error of its own.
//!    Other processes may have written it.
//! 4. The exchange of a push releases, that of a pop acquires: whoever gets a buffer sees what its last owner wrote.

use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No buffer.
const END: u16 = u16::MAX;

/// Buffers of a list, at most: [`END`] is none of them, and the count of all of them fits into its bits.
pub const BUFFERS_MAX: u32 = 65_534;

/// The list, wherever its words lie.
#[derive(Clone, Copy, Debug)]
pub struct FreeList<'a> {
    /// Rule 1.
    pub state: &'a AtomicU64,
    /// Of each buffer: the one that became free before it.
    pub next: &'a [AtomicU32],
}

/// The words are not those of a list (rule 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The word in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    head: u16,
    count: u16,
    generation: u32,
}

impl State {
    fn unpack(word: u64) -> State {
        State { head: word as u16, count: (word >> 16) as u16, generation: (word >> 32) as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.count) << 16 | u64::from(self.head)
    }
}

impl FreeList<'_> {
    /// Makes every buffer free, the first one to be popped first. Nobody else uses the list yet.
    pub fn fill(self) {
        let count = self.next.len() as u16;
        for (index, next) in (1_u32..).zip(self.next) {
            let is_last = index == u32::from(count);
            next.store(if is_last { u32::from(END) } else { index }, Ordering::Relaxed);
        }
        let head = if count == 0 { END } else { 0 };
        // Whoever makes the list visible to others orders this.
        self.state.store(State { head, count, generation: 0 }.pack(), Ordering::Relaxed);
    }

    /// How many are free, as of just now.
    pub fn count(self) -> u32 {
        u32::from(State::unpack(self.state.load(Ordering::Relaxed)).count)
    }

    /// Takes the newest free one. `None`: there is none.
    pub fn pop(self) -> Result<Option<u16>, Corrupt> {
        // Acquire, here and below: pairs with the Release in `push`.
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let State { head, count, generation } = State::unpack(word);
            if head == END {
                return Ok(None);
            }
            let next = self.next.get(usize::from(head)).ok_or(Corrupt)?.load(Ordering::Relaxed);
            let popped = State {
                head: next as u16,
                count: count.wrapping_sub(1),
                generation: generation.wrapping_add(1),
            };
            match self.state.compare_exchange_weak(word, popped.pack(), Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => return Ok(Some(head)),
                Err(found) => word = found,
            }
        }
    }

    /// Gives one back that the caller owns. Panics for an index that is none.
    pub fn push(self, index: u16) {
        let link = &self.next[usize::from(index)];
        let mut word = self.state.load(Ordering::Relaxed);
        loop {
            let State { head, count, generation } = State::unpack(word);
            link.store(u32::from(head), Ordering::Relaxed);
            let pushed =
                State { head: index, count: count.wrapping_add(1), generation: generation.wrapping_add(1) };
            // Release: pairs with the Acquire in `pop`.
            match self.state.compare_exchange_weak(word, pushed.pack(), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words(count: usize) -> (AtomicU64, Vec<AtomicU32>) {
        (AtomicU64::new(0), (0..count).map(|_| AtomicU32::new(0)).collect())
    }

    #[test]
    fn the_word_is_laid_out_as_specified() {
        let (state, next) = words(3);
        let list = FreeList { state: &state, next: &next };
        list.fill();
        assert_eq!(state.load(Ordering::Relaxed), 3 << 16);
        assert_eq!(next.iter().map(|next| next.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 2, 0xFFFF]);
        assert_eq!(list.pop(), Ok(Some(0)));
        assert_eq!(state.load(Ordering::Relaxed), 1 << 32 | 2 << 16 | 1);
        assert_eq!((list.pop(), list.pop(), list.pop()), (Ok(Some(1)), Ok(Some(2)), Ok(None)));
        assert_eq!(state.load(Ordering::Relaxed), 3 << 32 | 0xFFFF, "a pop of nothing changes nothing");
        list.push(1);
        assert_eq!(state.load(Ordering::Relaxed), 4 << 32 | 1 << 16 | 1);
        state.store(u64::MAX << 32 | 0xFFFF, Ordering::Relaxed);
        list.push(2);
        assert_eq!(state.load(Ordering::Relaxed), 1 << 16 | 2, "generations wrap around");
    }

    /// Whatever another process has left in the words, nothing outside of them is touched, and it ends.
    #[test]
    fn words_that_are_no_list_are_told() {
        let (state, next) = words(2);
        let list = FreeList { state: &state, next: &next };
        list.fill();
        state.store(2, Ordering::Relaxed);
        assert_eq!(list.pop(), Err(Corrupt));
        list.fill();
        next[0].store(0x1_0007, Ordering::Relaxed);
        assert_eq!(list.pop(), Ok(Some(0)));
        assert_eq!(list.pop(), Err(Corrupt));
        let (state, next) = words(0);
        let empty = FreeList { state: &state, next: &next };
        empty.fill();
        assert_eq!((empty.pop(), empty.count()), (Ok(None), 0));
    }

    /// The largest list: every index once.
    #[test]
    fn the_largest_list_gives_every_index_once() {
        let (state, next) = words(BUFFERS_MAX as usize);
        let list = FreeList { state: &state, next: &next };
        list.fill();
        assert_eq!(list.count(), BUFFERS_MAX);
        for expected in 0..BUFFERS_MAX {
            assert_eq!(list.pop(), Ok(Some(expected as u16)));
        }
        assert_eq!((list.pop(), list.count()), (Ok(None), 0));
        (0..BUFFERS_MAX).for_each(|index| list.push(index as u16));
        assert_eq!(list.count(), BUFFERS_MAX);
    }
}
