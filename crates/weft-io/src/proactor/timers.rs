//! Which timer ends next.
//!
//! What lives here: [`Timers`], a heap of deadlines whose members know their places. What does not: the clock, the sleep.
//!
//! One heap in user space, and one kernel timer for the sleep, instead of one kernel timer for each operation: arming and
//! cancelling need no system call and no ring entry, and the order is exact on every backend. Timers end in the order of
//! their deadlines, equal ones in the order in which they were armed.

use crate::table::NONE;
use weft_sync::Deadline;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: Deadline,
    /// Rises with each insertion.
    order: u64,
    slot: u32,
}

/// See the header.
pub(crate) struct Timers {
    heap: Vec<Entry>,
    /// Of each slot: where it is in the heap.
    places: Vec<u32>,
    order: u64,
}

/// Children of a node. Four lie in two cache lines, and the heap is half as high as a binary one.
const FANOUT: usize = 4;

impl Timers {
    /// A heap for operations in this many slots.
    pub(crate) fn new(slots: u32) -> Timers {
        Timers { heap: Vec::with_capacity(slots as usize), places: vec![NONE; slots as usize], order: 0 }
    }

    pub(crate) fn insert(&mut self, slot: u32, deadline: Deadline) {
        self.order += 1;
        self.heap.push(Entry { deadline, order: self.order, slot });
        self.rise(self.heap.len() - 1);
    }

    /// Takes a timer out. `false`: it is not there.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let place = self.places[slot as usize];
        if place == NONE {
            return false;
        }
        self.take_at(place as usize);
        true
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<Deadline> {
        self.heap.first().map(|entry| entry.deadline)
    }

    /// Takes the earliest timer out, if its deadline is not after `now`.
    pub(crate) fn pop_until(&mut self, now: Deadline) -> Option<u32> {
        let first = self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        let slot = first.slot;
        self.take_at(0);
        Some(slot)
    }

    fn take_at(&mut self, place: usize) {
        let taken = self.heap.swap_remove(place);
        self.places[taken.slot as usize] = NONE;
        if place < self.heap.len() {
            // What was last may belong further up as well as further down.
            let place = self.rise(place);
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / FANOUT;
            if self.heap[parent] <= entry {
                break;
            }
            self.set(place, self.heap[parent]);
            place = parent;
        }
        self.set(place, entry);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let first = place * FANOUT + 1;
            let children = first..self.heap.len().min(first + FANOUT);
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else { break };
            if self.heap[least] >= entry {
                break;
            }
            self.set(place, self.heap[least]);
            place = least;
        }
        self.set(place, entry);
    }

    fn set(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.slot as usize] = place as u32;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;
    use weft_sync::Instant;

    /// [async 33] [async 34] [async-backends 41] Random insertions and removals leave in the order of deadlines, equal
    /// ones in that of insertion; the head, a middle and the last can be removed and inserted again.
    #[test]
    fn timers_leave_in_order_of_deadline_then_of_insertion() {
        let start = Instant::now();
        let mut random = 12345_u64;
        let mut draw = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut timers = Timers::new(512);
        let mut model: Vec<(Deadline, u64, u32)> = Vec::new();
        let mut free: Vec<u32> = (0..512).collect();
        for order in 0..20_000 {
            if draw(3) < 2
                && let Some(slot) = free.pop()
            {
                let deadline = Deadline::at(start + Duration::from_millis(draw(40)));
                timers.insert(slot, deadline);
                model.push((deadline, order, slot));
            } else if draw(2) == 0 && !model.is_empty() {
                let (_, _, slot) = model.swap_remove(draw(model.len() as u64) as usize);
                assert!(timers.remove(slot) && !timers.remove(slot));
                free.push(slot);
            } else {
                model.sort();
                let now = Deadline::at(start + Duration::from_millis(draw(40)));
                let expected = model.first().filter(|first| first.0 <= now).map(|first| first.2);
                assert_eq!(timers.pop_until(now), expected);
                if let Some(slot) = expected {
                    model.remove(0);
                    free.push(slot);
                }
            }
            model.sort();
            assert_eq!(timers.first(), model.first().map(|first| first.0));
        }
    }
}
