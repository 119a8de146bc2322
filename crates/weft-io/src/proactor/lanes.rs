//! Which operation of a socket runs, and which wait behind it.
//!
//! What lives here: [`Lanes`], one line for each direction of each handle. What does not: what begins when its turn comes
//! (`socket.rs`).
//!
//! A lane is found by the handle's number, which nobody else has while an operation has the socket; and members know their
//! neighbours. So entering, leaving and dropping out cost a few loads and stores, and nothing is allocated but for the
//! largest number so far.

use crate::ops::outcome::Lane;
use crate::table::NONE;

/// See the header.
#[derive(Debug)]
pub(super) struct Lanes {
    /// By handle and direction.
    ends: Vec<[Ends; 2]>,
    /// By slot.
    members: Box<[Member]>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    /// `None`: in no lane.
    lane: Option<Lane>,
    ahead: u32,
    behind: u32,
}

const NOBODY: Member = Member { lane: None, ahead: NONE, behind: NONE };

impl Lanes {
    pub(super) fn new(slots: u32) -> Lanes {
        Lanes { ends: Vec::new(), members: vec![NOBODY; slots as usize].into() }
    }

    /// Joins at the end. `true`: nobody is ahead.
    #[inline]
    pub(super) fn enter(&mut self, slot: u32, lane: Lane) -> bool {
        let handle = lane.handle as usize;
        if handle >= self.ends.len() {
            self.grow(handle);
        }
        let ends = &mut self.ends[handle][lane.direction as usize];
        let ahead = std::mem::replace(&mut ends.last, slot);
        self.members[slot as usize] = Member { lane: Some(lane), ahead, behind: NONE };
        if ahead == NONE {
            ends.first = slot;
            return true;
        }
        self.members[ahead as usize].behind = slot;
        false
    }

    #[cold]
    fn grow(&mut self, handle: usize) {
        // In steps, so that rising numbers do not cost a growth each.
        let count = (handle + 1).next_power_of_two().max(64);
        self.ends.resize(count, [Ends { first: NONE, last: NONE }; 2]);
    }

    /// Leaves, from wherever it is. `Some`: whoever is the first now, if the one that left was.
    #[inline]
    pub(super) fn leave(&mut self, slot: u32) -> Option<u32> {
        let Member { lane, ahead, behind } = std::mem::replace(&mut self.members[slot as usize], NOBODY);
        let lane = lane?;
        let ends = &mut self.ends[lane.handle as usize][lane.direction as usize];
        match behind {
            NONE => ends.last = ahead,
            _ => self.members[behind as usize].ahead = ahead,
        }
        if ahead != NONE {
            self.members[ahead as usize].behind = behind;
            return None;
        }
        ends.first = behind;
        (behind != NONE).then_some(behind)
    }

    /// The first of a lane; [`NONE`] if nobody is there.
    pub(super) fn first(&self, lane: Lane) -> u32 {
        let ends = self.ends.get(lane.handle as usize);
        ends.map_or(NONE, |ends| ends[lane.direction as usize].first)
    }

    /// Who is behind this one; [`NONE`] for the last.
    pub(super) fn behind(&self, slot: u32) -> u32 {
        self.members[slot as usize].behind
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ops::outcome::Direction;
    use std::collections::VecDeque;

    /// [async 223] [async-backends 133] Random entries and departures leave every lane in the order of entry.
    #[test]
    fn lanes_keep_their_order() {
        let mut random = 7_u64;
        let mut draw = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound as u64) as usize
        };
        let lane = |index: usize| Lane {
            handle: [3, 70, 1000][index / 2],
            direction: [Direction::In, Direction::Out][index % 2],
        };
        let mut lanes = Lanes::new(100);
        let mut model: [VecDeque<u32>; 6] = Default::default();
        let mut free: Vec<u32> = (0..100).collect();
        for _ in 0..20_000 {
            let index = draw(6);
            let line = &mut model[index];
            if draw(2) == 0 {
                let Some(slot) = free.pop() else { continue };
                assert_eq!(lanes.enter(slot, lane(index)), line.is_empty());
                line.push_back(slot);
            } else if !line.is_empty() {
                let place = draw(line.len());
                let slot = line.remove(place).unwrap();
                let expected = if place == 0 { line.front().copied() } else { None };
                assert_eq!(lanes.leave(slot), expected);
                assert_eq!(lanes.leave(slot), None, "it has left");
                free.push(slot);
            }
            let mut slot = lanes.first(lane(index));
            for &expected in &model[index] {
                assert_eq!(slot, expected);
                slot = lanes.behind(slot);
            }
            assert_eq!(slot, NONE);
        }
    }
}
