//! Which timer ends next.
//!
//! What lives here: [`Timers`], a heap of deadlines whose members know their places. What does not: the clock, the sleep.
//!
//! One heap in user space, and one kernel timer for the sleep, instead of one kernel timer for each operation: arming and
//! cancelling need no system call and no ring entry, and the order is exact on every backend. Timers end in the order of
//! their deadlines, equal ones in the order in which they were armed.
//!
//! A member of the heap is one number: the time, how many were armed before it, its slot. So members are compared as numbers,
//! and four children take one cache line or two.

use crate::config::Config;
use crate::table::NONE;
use std::time::Duration;
use weft_sync::{Deadline, Instant};

/// Bits that name the slot. Above them are 44 bits of the order, and above those 64 of the time.
const SLOT_BITS: u32 = 20;
const TIME_SHIFT: u32 = 64;

const _: () = assert!(Config::LIMIT <= 1 << SLOT_BITS, "there is a number for every slot");

/// The time at which a heap was made; earlier ones have the numbers below.
const START: u64 = 1 << 63;

/// Children of a node: the heap is half as high as a binary one.
const FANOUT: usize = 4;

/// See the header.
pub(crate) struct Timers {
    heap: Vec<u128>,
    /// Of each slot: where it is in the heap.
    places: Vec<u32>,
    /// Rises with each insertion, and begins again when the heap is empty. Only equal deadlines of which one was armed
    /// seventeen trillion insertions before the other could change places.
    order: u64,
    start: Instant,
}

impl Timers {
    /// A heap for operations in this many slots.
    pub(crate) fn new(slots: u32) -> Timers {
        Timers {
            heap: Vec::with_capacity(slots as usize),
            places: vec![NONE; slots as usize],
            order: 0,
            start: Instant::now(),
        }
    }

    pub(crate) fn insert(&mut self, slot: u32, deadline: Deadline) {
        self.order = if self.heap.is_empty() { 0 } else { self.order + 1 };
        let rest = self.order << SLOT_BITS | u64::from(slot);
        self.heap.push(u128::from(self.time(deadline)) << TIME_SHIFT | u128::from(rest));
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

    /// The earliest deadline. One from before the heap was made has passed.
    pub(crate) fn first(&self) -> Option<Deadline> {
        let time = time_of(*self.heap.first()?);
        Some(match time.checked_sub(START) {
            None => Deadline::IMMEDIATE,
            Some(_) if time == u64::MAX => Deadline::NEVER,
            Some(after) => {
                self.start.checked_add(Duration::from_nanos(after)).map_or(Deadline::NEVER, Deadline::at)
            }
        })
    }

    /// Takes the earliest timer out, if its deadline is not after `now`.
    #[inline]
    pub(crate) fn pop_until(&mut self, now: Instant) -> Option<Due> {
        let first = *self.heap.first()?;
        if time_of(first) > self.time(Deadline::at(now)) {
            return None;
        }
        self.take_at(0);
        Some(Due(first))
    }

    /// Takes the earliest timer out, if its deadline is before that of one that was taken out.
    #[inline]
    pub(crate) fn pop_before(&mut self, taken: Due) -> Option<Due> {
        let first = *self.heap.first()?;
        if time_of(first) >= time_of(taken.0) {
            return None;
        }
        self.take_at(0);
        Some(Due(first))
    }

    /// A number that is larger for later deadlines; three centuries from the start all but `NEVER` are the same.
    fn time(&self, deadline: Deadline) -> u64 {
        let Some(instant) = deadline.instant() else {
            return if deadline == Deadline::NEVER { u64::MAX } else { 0 };
        };
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(START - 2);
        match instant < self.start {
            true => START - nanoseconds(self.start.since(instant)),
            false => START + nanoseconds(instant.since(self.start)),
        }
    }

    fn take_at(&mut self, place: usize) {
        let taken = self.heap.swap_remove(place);
        self.places[slot_of(taken) as usize] = NONE;
        if place < self.heap.len() {
            // What was last may belong further up as well as further down.
            let place = self.rise(place);
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let member = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / FANOUT;
            if self.heap[parent] <= member {
                break;
            }
            self.set(place, self.heap[parent]);
            place = parent;
        }
        self.set(place, member);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let member = self.heap[place];
        loop {
            let first = place * FANOUT + 1;
            let children = first..self.heap.len().min(first + FANOUT);
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else { break };
            if self.heap[least] >= member {
                break;
            }
            self.set(place, self.heap[least]);
            place = least;
        }
        self.set(place, member);
    }

    #[inline]
    fn set(&mut self, place: usize, member: u128) {
        self.heap[place] = member;
        self.places[slot_of(member) as usize] = place as u32;
    }
}

/// A timer that was taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due(u128);

impl Due {
    /// None.
    pub(crate) const NONE: Due = Due(0);

    pub(crate) fn slot(self) -> u32 {
        slot_of(self.0)
    }
}

fn time_of(member: u128) -> u64 {
    (member >> TIME_SHIFT) as u64
}

fn slot_of(member: u128) -> u32 {
    member as u32 & ((1 << SLOT_BITS) - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// [async 33] [async 34] [async-backends 41] Random insertions and removals leave in the order of deadlines, equal
    /// ones in that of insertion; the head, a middle and the last can be removed and inserted again.
    #[test]
    fn timers_leave_in_order_of_deadline_then_of_insertion() {
        let mut timers = Timers::new(512);
        let start = Instant::now();
        let mut random = 12345_u64;
        let mut draw = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
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
                let now = start + Duration::from_millis(draw(40));
                let expected =
                    model.first().filter(|first| first.0 <= Deadline::at(now)).map(|first| first.2);
                assert_eq!(timers.pop_until(now).map(Due::slot), expected);
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
