#![allow(unsafe_code, reason = "the ring of buffers is written here while the kernel reads it")]
//! A ring of buffers from which the kernel picks one when data is there.
//!
//! What lives here: [`Group`]. What does not: which buffers go there (`memory/pool.rs`), its number and registration
//! (`memory.rs`).
//!
//! 1. **Entries** lie in a page-aligned ring of a power of two. The kernel takes them from its head, which nobody else sees;
//!    the tail is the last half-word of the first entry, so no entry is ever written as a whole.
//! 2. **The kernel tells of every buffer that it takes**, by a flag of the completion: `taken` counts along, and is the
//!    kernel's head when no request is under way. Of several that one completion spans (a bundle) it names the first; the
//!    others are those that were added behind it, see [`Record`]. Completions that are held back may be told of after later
//!    ones: nothing is written over an entry that was not told of, however long ago the kernel has passed it.
//!    Of a buffer that is used up piece by piece it says whether it goes on with it: until it does not, the buffer is the
//!    kernel's, and counts as one that lies in the ring. Pieces begin where the one before ended, so they are told of in the
//!    order in which they were taken: a kernel that does otherwise is not asked for this, see `detect.rs`.
//! 3. **Buffers come back through the pool**, not through here: whoever drops a lease does not touch the ring. So the ring is
//!    written under a lock by the poll thread, while requests are under way; and by others only to take entries back off
//!    its tail, when none is (`reclaim`), for then the kernel reads neither tail nor entries.
//!
//! # Safety
//!
//! An entry is made of a buffer that the pool has given to the ring: nobody reads or writes it until the kernel has picked
//! it, or it was reclaimed. Of one that is used up piece by piece that holds for what is left of it: the kernel writes behind
//! the pieces that it has told of, never in them. A request that may pick one owns the pool, and so the slab. The mapping of
//! the ring lives as long as the group; the kernel keeps its pages by itself if that is shorter than the registration.

use crate::memory::Slab;
use crate::memory::{Mapping, Pages};
use std::sync::atomic::{AtomicU16, Ordering};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};

/// `io_uring_buf`.
#[repr(C)]
struct Entry {
    address: u64,
    length: u32,
    buffer: u16,
    /// Of the first entry: the tail of the ring.
    tail: AtomicU16,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// Buffers in a ring, at most.
pub(super) const ENTRIES_MAX: u32 = 32_768;

/// See the header.
#[derive(Debug)]
pub(crate) struct Group {
    id: u16,
    entries: u32,
    ring: Mapping,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Entries ever added, but for those that were taken back off the tail.
    tail: u16,
    /// Entries that the kernel has told of.
    taken: u16,
    /// Of each buffer.
    records: Box<[Record]>,
    /// Requests that may pick a buffer.
    requests: u32,
}

/// What is known of a buffer since it was added last. It is not added again before whoever was told of it gives it back, so
/// until then all of this stays.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Where it was added.
    position: u16,
    /// Which buffer was added behind it; itself if none was.
    next: u16,
    /// How many bytes it has: fewer than there are if the kernel has seen to that, see [`Group::picked`].
    length: u32,
    /// Where the next piece of it begins.
    offset: u32,
    /// It was added, and neither told of nor taken out again.
    is_there: bool,
}

/// What a completion has been told to mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picked {
    /// How many buffers there are behind the first.
    pub(crate) behind: u32,
    /// How many bytes there are in all of them.
    pub(crate) bytes: u32,
}

impl State {
    /// How many lie in the ring.
    fn count(&self) -> u32 {
        u32::from(self.tail.wrapping_sub(self.taken))
    }

    /// Whether this buffer, which was added a round ago where the next one will be, was not told of yet (rule 2).
    fn is_in_the_way(&self, buffer: u16) -> bool {
        let Record { position, is_there, .. } = self.records[usize::from(buffer)];
        is_there && usize::from(self.tail.wrapping_sub(position)) == self.records.len()
    }

    /// This buffer is added at the tail, behind that one.
    fn note(&mut self, buffer: u16, length: u32, before: Option<u16>) {
        let (position, next) = (self.tail, buffer);
        self.records[usize::from(buffer)] = Record { position, next, length, offset: 0, is_there: true };
        if let Some(before) = before {
            self.records[usize::from(before)].next = buffer;
        }
    }
}

impl Group {
    /// An empty ring of as many entries, a power of two.
    pub(super) fn new(id: u16, entries: u32) -> Result<Group> {
        let bytes = entries as usize * size_of::<Entry>();
        let (ring, _) = Mapping::anonymous(bytes, Pages::Ordinary, None)?;
        let records = (0..entries).map(|_| Record::default()).collect();
        Ok(Group { id, entries, ring, state: Mutex::new(State { records, ..State::default() }) })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn address(&self) -> *mut u8 {
        self.ring.start().as_ptr()
    }

    /// The entry of this position.
    fn entry(&self, position: u16) -> *mut Entry {
        let index = u32::from(position) & (self.entries - 1);
        self.address().cast::<Entry>().wrapping_add(index as usize)
    }

    fn store_tail(&self, tail: u16) {
        // SAFETY: the first entry lies in the mapping, which is page-aligned and zeroed; this half-word of it is never
        // reached but atomically.
        let place = unsafe { &(*self.entry(0)).tail };
        // The kernel acquires: the entries before are written.
        place.store(tail, Ordering::Release);
    }

    /// A request that may pick a buffer goes to the kernel.
    pub(crate) fn begin(&self) {
        lock(&self.state).requests += 1;
    }

    /// The last answer of a request has come.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        debug_assert!(state.requests > 0, "a request ends once");
        state.requests = state.requests.saturating_sub(1);
    }

    /// The kernel has told of this one that it took, and of those behind it that so many bytes fill.
    ///
    /// All but the last are full. A kernel that expects less than a whole buffer writes down in the ring that it has less, and
    /// leaves it so if nothing comes then: how long each is, is read there. `None`: it does not lie there.
    pub(crate) fn picked(&self, first: u16, bytes: u32) -> Option<Picked> {
        let mut state = lock(&self.state);
        let (mut current, mut told, mut left) = (first, 0_u16, bytes);
        loop {
            let record = &mut state.records[usize::from(current)];
            if !record.is_there {
                break;
            }
            let entry = self.entry(record.position);
            // SAFETY: within the mapping, for the position is masked; the kernel is done with what it has told of.
            record.length = unsafe { (*entry).length }.min(record.length);
            record.is_there = false;
            told += 1;
            left = left.saturating_sub(record.length);
            if left == 0 {
                break;
            }
            current = record.next;
        }
        // A kernel that tells of more than there is, or of one twice, is not believed any further than that.
        debug_assert!(told > 0 && left == 0, "{bytes} bytes are more than there was room for");
        state.taken = state.taken.wrapping_add(told);
        Some(Picked { behind: u32::from(told.checked_sub(1)?), bytes: bytes - left })
    }

    /// The kernel has told of so many more bytes in this buffer, and whether it goes on with it: where they begin, and how many
    /// there are. `None`: it does not lie there.
    pub(crate) fn picked_piece(&self, buffer: u16, bytes: u32, goes_on: bool) -> Option<(u32, u32)> {
        let mut state = lock(&self.state);
        let record = &mut state.records[usize::from(buffer)];
        debug_assert!(
            record.is_there && bytes <= record.length - record.offset,
            "{record:?} has {bytes} bytes"
        );
        if !record.is_there {
            return None;
        }
        let (offset, bytes) = (record.offset, bytes.min(record.length - record.offset));
        record.offset += bytes;
        record.is_there = goes_on;
        if !goes_on {
            state.taken = state.taken.wrapping_add(1);
        }
        Some((offset, bytes))
    }

    /// How many bytes of this buffer, one of several that were told of together, are full, and which is the next of them.
    pub(crate) fn follow(&self, buffer: u16) -> (u32, u16) {
        let record = lock(&self.state).records[usize::from(buffer)];
        (record.length, record.next)
    }

    /// How many buffers lie in it.
    pub(crate) fn count(&self) -> u32 {
        lock(&self.state).count()
    }

    /// Adds buffers of the slab until there are so many, or `next` has none.
    pub(crate) fn feed(&self, slab: &Slab, up_to: u32, mut next: impl FnMut() -> Option<u16>) {
        let mut state = lock(&self.state);
        let before = state.tail;
        // Not known for an empty ring, and then of no interest: it was told of.
        let mut last = (state.count() > 0).then(|| self.buffer_at(state.tail.wrapping_sub(1)));
        while state.count() < up_to.min(self.entries) {
            if state.is_in_the_way(self.buffer_at(state.tail)) {
                break;
            }
            let Some(buffer) = next() else { break };
            let entry = self.entry(state.tail);
            let address = slab.buffer(buffer).expose_provenance() as u64;
            // SAFETY: within the mapping, for the position is masked; and the kernel does not read behind the tail.
            unsafe { (*entry).address = address };
            // Checked when it was registered: the size fits.
            let length = slab.buffer_size() as u32;
            // SAFETY: as above.
            unsafe { (*entry).length = length };
            // SAFETY: as above.
            unsafe { (*entry).buffer = buffer };
            state.note(buffer, length, last.replace(buffer));
            state.tail = state.tail.wrapping_add(1);
        }
        if state.tail != before {
            self.store_tail(state.tail);
        }
    }

    /// Takes the buffer that was added last out again, if no request may pick it (rule 3), and nobody has a piece of it.
    pub(crate) fn reclaim(&self, is_whole: impl FnOnce(u16) -> bool) -> Option<u16> {
        let mut state = lock(&self.state);
        if state.requests > 0 || state.count() == 0 {
            return None;
        }
        let last = state.tail.wrapping_sub(1);
        let buffer = self.buffer_at(last);
        // No piece is made meanwhile: that needs a request.
        if !is_whole(buffer) {
            return None;
        }
        state.tail = last;
        self.store_tail(last);
        state.records[usize::from(buffer)].is_there = false;
        Some(buffer)
    }

    fn buffer_at(&self, position: u16) -> u16 {
        let entry = self.entry(position);
        // SAFETY: within the mapping; written by `feed`, and what the kernel writes in an entry is never this field.
        unsafe { (*entry).buffer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const SIZE: u32 = 64;

    /// A small generator, the same everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    /// What the kernel does with a ring.
    struct Kernel<'a> {
        group: &'a Group,
        head: u16,
    }

    impl Kernel<'_> {
        /// Fills so many buffers, the last one with so many bytes; those and the first are what it tells of.
        fn take(&mut self, count: usize, last: u32) -> (Vec<(u16, u32)>, u32) {
            let mut parts = Vec::new();
            for index in 0..count {
                let entry = self.group.entry(self.head);
                // SAFETY: the test is the kernel, and on one thread with the group.
                let length = unsafe { (*entry).length };
                let bytes = if index + 1 == count { last.min(length) } else { length };
                parts.push((self.group.buffer_at(self.head), bytes));
                self.head = self.head.wrapping_add(1);
            }
            let bytes = parts.iter().map(|part| part.1).sum();
            (parts, bytes)
        }

        /// Expects fewer bytes than the next buffer has, and gets none.
        fn shorten(&mut self, length: u32) {
            let entry = self.group.entry(self.head);
            // SAFETY: as above.
            unsafe { (*entry).length = length };
        }
    }

    /// What the group makes of what was told.
    fn told(group: &Group, first: u16, bytes: u32) -> Vec<(u16, u32)> {
        let Picked { behind, bytes } = group.picked(first, bytes).unwrap();
        let (mut parts, mut buffer, mut left) = (Vec::new(), first, bytes);
        for _ in 0..behind {
            let (length, next) = group.follow(buffer);
            parts.push((buffer, length));
            left -= length;
            buffer = next;
        }
        parts.push((buffer, left));
        parts
    }

    /// [async-backends 147] [async-backends 156] Buffers of one completion are those that lie behind each other in the ring, in
    /// whatever order they came there, around its end and that of the 16 bits; also if completions are told in another order
    /// than that of what they took, and what is told early is in the ring again meanwhile.
    #[test]
    fn what_is_told_together_lay_together() {
        const COUNT: u32 = 16;
        let slab = Slab::new(SIZE as usize, COUNT).unwrap();
        let group = Group::new(0, COUNT).unwrap();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut free: Vec<u16> = (0..COUNT as u16).collect();
        let mut leased = Vec::new();
        let mut kernel = Kernel { group: &group, head: 0 };
        let mut untold: VecDeque<(Vec<(u16, u32)>, u32)> = VecDeque::new();
        group.begin();
        for round in 0..200_000 {
            while !leased.is_empty() && random.below(3) > 0 {
                let index = random.below(leased.len());
                free.push(leased.swap_remove(index));
            }
            let up_to = 1 + random.below(COUNT as usize) as u32;
            group.feed(&slab, up_to, || {
                let index = random.below(free.len().max(1));
                (!free.is_empty()).then(|| free.swap_remove(index))
            });
            let taken: usize = untold.iter().map(|(parts, _)| parts.len()).sum();
            let there = group.count() as usize - taken;
            if there > 0 {
                if random.below(8) == 0 {
                    kernel.shorten(1 + random.below(SIZE as usize) as u32);
                }
                let last = 1 + random.below(SIZE as usize) as u32;
                untold.push_back(kernel.take(1 + random.below(there), last));
            }
            if untold.len() > random.below(4) {
                let index = random.below(untold.len());
                let (parts, bytes) = untold.remove(index).expect("it is there");
                assert_eq!(told(&group, parts[0].0, bytes), parts, "round {round}");
                leased.extend(parts.iter().map(|part| part.0));
            }
        }
        for (parts, bytes) in untold {
            assert_eq!(told(&group, parts[0].0, bytes), parts);
            leased.extend(parts.iter().map(|part| part.0));
        }
        group.end();
        free.extend(std::iter::from_fn(|| group.reclaim(|_| true)));
        free.append(&mut leased);
        free.sort_unstable();
        assert_eq!(free, (0..COUNT as u16).collect::<Vec<_>>());
    }

    /// [async-backends 156] Pieces of a buffer begin where the one before ended; the buffer counts until the kernel is done with it,
    /// is taken out only whole, and begins anew when it comes again.
    #[test]
    fn pieces_follow_each_other() {
        let slab = Slab::new(SIZE as usize, 2).unwrap();
        let group = Group::new(0, 2).unwrap();
        let mut next = [1, 0].into_iter();
        group.feed(&slab, 2, || next.next());
        assert_eq!(group.picked_piece(1, 10, true), Some((0, 10)));
        assert_eq!(group.picked_piece(1, 0, true), Some((10, 0)));
        assert_eq!((group.picked_piece(1, 54, false), group.count()), (Some((10, 54)), 1));
        assert_eq!(group.picked_piece(0, 30, true), Some((0, 30)));
        assert_eq!((group.reclaim(|_| false), group.count()), (None, 1));
        assert_eq!((group.reclaim(|buffer| buffer == 0), group.count()), (Some(0), 0));
        group.feed(&slab, 1, || Some(0));
        assert_eq!(group.picked_piece(0, 64, false), Some((0, 64)));
    }

    /// An answer that names more bytes than there was room for gives what there is, and nothing twice; also where a buffer
    /// that was behind the last one was taken back off the ring.
    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "more than there was room for"))]
    fn nothing_is_told_that_was_not_there() {
        let slab = Slab::new(SIZE as usize, 4).unwrap();
        let group = Group::new(0, 4).unwrap();
        let mut next = 0..3_u16;
        group.feed(&slab, 4, || next.next());
        assert_eq!(group.reclaim(|_| true), Some(2));
        assert_eq!(told(&group, 0, 1000), [(0, SIZE), (1, SIZE)]);
        assert_eq!((group.count(), group.reclaim(|_| true)), (0, None));
        assert_eq!(group.picked(1, 10), None);
    }
}
