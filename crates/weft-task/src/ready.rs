//! Where runnable processes wait for workers: the immediate list, the slots, and the overflow of the slots.
//!
//! What lives here: [`Ready`] and how a process gets into a slot. What does not: draining and giving a slot up
//! (`compute.rs`), waking (`sleepers.rs`).
//!
//! A process that finds no free slot waits in the overflow list; nothing is ever turned away.
//!
//! 1. Who adds to the overflow list looks for a free slot *after* that; who frees a slot looks at the overflow list
//!    *after* that. A sequentially consistent fence stands between on both sides, so one of the two sees the other.
//! 2. A slot is reserved before a process is taken from the list, so what is taken always has a place.
//! 3. While the list is not empty, newcomers go to its end: first come, first placed.

use std::sync::Arc;

use weft_sync::atomic::{Ordering, fence};

use crate::cache_line::CacheLine;
use crate::list::ProcessList;
use crate::process::Process;
use crate::slot::{Closed, Entry, Last, Slot};
use crate::tuning::SLOTS;

/// Everything that can be run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) immediate: CacheLine<ProcessList>,
    pub(crate) slots: [CacheLine<Slot>; SLOTS],
    overflow: CacheLine<ProcessList>,
}

impl Ready {
    pub(crate) fn new() -> Ready {
        Ready {
            immediate: CacheLine(ProcessList::new()),
            slots: std::array::from_fn(|_| CacheLine(Slot::new())),
            overflow: CacheLine(ProcessList::new()),
        }
    }

    /// Puts a compute process into a slot, or in line for one. Returns the wake budgets of processes that were placed on
    /// this occasion without anybody having been woken for them.
    pub(crate) fn place(&self, process: Arc<Process>) -> u32 {
        if self.overflow.is_empty()
            && let Some(reservation) = self.slots.iter().find_map(|slot| slot.reserve())
        {
            reservation.fill(process);
            return 0;
        }
        self.overflow.push(process);
        self.promote()
    }

    /// Moves processes from the overflow list into free slots. Returns their wake budgets.
    pub(crate) fn promote(&self) -> u32 {
        let mut budget: u32 = 0;
        loop {
            // Rule 1: a process was listed, now slots are looked at; or a slot was freed, now the list is looked at.
            fence(Ordering::SeqCst);
            if self.overflow.is_empty() {
                return budget;
            }
            let Some(reservation) = self.slots.iter().find_map(|slot| slot.reserve()) else { return budget };
            match self.overflow.pop() {
                Some(process) => {
                    budget = budget.saturating_add(process.wake_budget());
                    reservation.fill(process);
                }
                // Another thread was faster. The slot is free again, which somebody may have missed: look once more.
                None => reservation.give_up(),
            }
        }
    }

    /// Drops everything, when nobody looks any more.
    pub(crate) fn clear(&self) {
        for list in [&self.immediate, &self.overflow] {
            while list.pop().is_some() {}
        }
        for slot in &self.slots {
            let closed = slot.come_back().and_then(Entry::leave).and_then(Last::close);
            drop(closed.map(Closed::vacate));
        }
    }

    /// Whether something waits that no worker is with, as a hint.
    pub(crate) fn has_unattended(&self) -> bool {
        !self.immediate.is_empty() || self.slots.iter().any(|slot| slot.is_unattended())
    }

    /// Whether processes wait for a slot.
    pub(crate) fn is_overflowing(&self) -> bool {
        !self.overflow.is_empty()
    }

    /// The first processes that wait for a slot.
    pub(crate) fn look_at_overflow<R>(&self, count_max: usize, look: impl Fn(&Process) -> R) -> Vec<R> {
        self.overflow.look(count_max, look)
    }

    /// How many slots hold a process, as a hint.
    pub(crate) fn occupied(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_occupied()).count()
    }
}
