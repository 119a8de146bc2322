//! Visits to slots: several workers drain one process.
//!
//! What lives here: one visit from entry to exit, and what the last one out does. What does not: the gate itself
//! (`slot.rs`), staying near for a moment (`warm.rs`). The rules are numbered in `README.md`, *The slot protocol*.

use std::sync::Arc;

use weft_sync::atomic::yield_now;

use crate::drained::{Drained, KeepWarm};
use crate::observe::{ProcessId, Span};
use crate::process::Process;
use crate::slot::{Closed, Entry, Last, Slot};
use crate::tuning::{DRAINS_ALONE_MAX, DRAINS_SHARED_MAX, POSTS_MAX, SLOTS};
use crate::worker::Pump;

/// How a run of drains ended.
struct Visit {
    /// Something was done.
    worked: bool,
    /// The last drain did work, so there may be more.
    stay: bool,
    /// The last drain was told to come back.
    again: bool,
    /// The last drain asked to stay near.
    warm: Option<KeepWarm>,
}

impl Pump<'_> {
    /// Goes through the slots up to the first one in which something was done. `false` if there was none.
    pub(crate) fn visit_slots(&self) -> bool {
        let start = self.scan_start.get();
        self.scan_start.set(start.wrapping_add(1));
        (0..SLOTS).any(|offset| {
            let index = start.wrapping_add(offset) % SLOTS;
            let slot = &self.shared.ready.slots[index];
            let held = self.held.get() & 1 << index != 0;
            let entry = if held { slot.come_back() } else { slot.enter() };
            // A closed slot to which this seat has to come back is reopened soon: that is no time to sleep.
            entry.map_or(held, |entry| self.visit(index, slot, entry))
        })
    }

    /// Whether a process in a slot waits for somebody to look. Takes nothing up.
    pub(crate) fn is_needed_in_slots(&self) -> bool {
        self.shared.ready.slots.iter().any(|slot| {
            let Some(entry) = slot.enter() else { return false };
            // What is over needs nobody but those who are inside, and the last of them.
            let needed = entry.process().activity().is_needed() && !entry.process().is_terminal();
            let last = entry.leave();
            // A look counts as a visit: whoever leaves last decides, also if it only looked.
            needed || last.is_some_and(|last| self.try_release(slot, last))
        })
    }

    /// One visit. `true` if there may be more to do, here or elsewhere.
    fn visit(&self, index: usize, slot: &Slot, entry: Entry<'_>) -> bool {
        self.pass_on();
        self.counters.entries.add(1);
        let process = entry.process();
        let id = ProcessId::of(process);
        let _stay = self.shared.whereabouts[self.seat].stay(id);
        let Visit { worked, stay, again, warm } =
            self.shared.span(self.seat, Span::Compute(id), || self.drain_compute(process));
        if self.hold(index, process, again && !process.is_terminal()) {
            let _ = entry.leave();
            return true;
        }
        if process.is_terminal() {
            // Nobody else has to come: those who are inside leave, and it ends (rule 9).
            entry.shut();
            // At once, though others may be inside: what waits for the end need not wait for them.
            self.complete(process);
            let last = entry.leave();
            return last.is_some_and(|last| self.try_release(slot, last)) || worked;
        }
        if let Some(warm) = warm
            && process.try_retain(warm)
        {
            return self.stay_near(slot, entry, warm);
        }
        if stay {
            // Before leaving: a sibling that saw nothing must not give the slot up.
            process.activity().raise();
            let _ = entry.leave();
            return true;
        }
        let last = entry.leave();
        last.is_some_and(|last| self.try_release(slot, last)) || worked
    }

    /// Takes or drops the claim of this seat on the process in slot `index`. While there is one the slot is not given up,
    /// so the process that this seat comes back to is the same. Returns whether there is one.
    fn hold(&self, index: usize, process: &Process, wanted: bool) -> bool {
        let (held, bit) = (self.held.get(), 1 << index);
        match (held & bit != 0, wanted) {
            (false, true) => {
                process.take_claim();
                self.held.set(held | bit);
            }
            (true, false) => {
                process.drop_claim();
                self.held.set(held & !bit);
            }
            _ => {}
        }
        wanted
    }

    /// Drops every claim of this seat, which comes back no more.
    pub(crate) fn let_go(&self) {
        while self.held.get() != 0 {
            let index = self.held.get().trailing_zeros() as usize;
            let slot = &self.shared.ready.slots[index];
            // Closed for a moment only: claims forbid to vacate it.
            let Some(entry) = slot.come_back() else {
                yield_now();
                continue;
            };
            // Somebody else may have to look instead.
            entry.process().activity().raise();
            self.hold(index, entry.process(), false);
            if entry.leave().is_some_and(|last| self.try_release(slot, last)) {
                self.wake(1);
            }
        }
    }

    /// Drains until there is nothing to do, the share is used up, or something else is more urgent.
    fn drain_compute(&self, process: &Arc<Process>) -> Visit {
        let mut visit = Visit { worked: false, stay: false, again: false, warm: None };
        self.guard(process, || self.drain_in_turn(process, &mut visit));
        visit
    }

    fn drain_in_turn(&self, process: &Arc<Process>, visit: &mut Visit) {
        let ready = &self.shared.ready;
        let rings = self.shared.sleepers.rings(self.seat);
        let mut share = if ready.occupied() > 1 { DRAINS_SHARED_MAX } else { DRAINS_ALONE_MAX };
        let mut drains = 0;
        while !process.is_terminal() {
            if process.activity().is_needed() {
                process.activity().begin();
            }
            drains += 1;
            match self.call(process) {
                Drained::Worked => {
                    visit.worked = true;
                    visit.stay = true;
                }
                Drained::Nothing => {
                    visit.stay = false;
                    break;
                }
                Drained::Again => {
                    visit.stay = false;
                    visit.again = true;
                    break;
                }
                Drained::KeepWarm(warm) => {
                    visit.stay = false;
                    visit.warm = Some(warm);
                    break;
                }
                Drained::Finished => {
                    process.finish();
                    visit.worked = true;
                }
                Drained::Failed(status) => {
                    process.report(status);
                    visit.worked = true;
                }
            }
            share -= 1;
            let urgent = || {
                !ready.immediate.is_empty()
                    || self.has_offer()
                    || self.shared.sleepers.has_credits()
                    || self.shared.sleepers.rings(self.seat) != rings
            };
            if share == 0 || urgent() {
                break;
            }
        }
        self.counters.compute_drains.add(drains);
    }

    /// The last one out gives the slot up, if nobody came and nothing was published. `true` if somebody has to look again.
    pub(crate) fn try_release(&self, slot: &Slot, last: Last<'_>) -> bool {
        let Some(closed) = last.close() else { return false };
        let process = closed.process();
        if process.has_retainers() {
            return self.leave_to_retainers(slot, closed);
        }
        if process.is_terminal() {
            self.release(slot, closed);
            return true;
        }
        if !process.activity().rest() {
            // After the failure, which is that of a schedule: it may have come with a larger budget.
            let budget = process.wake_budget();
            closed.reopen();
            // Workers that were woken for what was published may have found the gate closed and gone to sleep. This one
            // looks again; the others are woken again.
            self.wake(budget - 1);
            return true;
        }
        // Idle from here on: it may be placed elsewhere before it has left this slot. Only its reference is still here.
        drop(closed.vacate());
        self.refill(slot)
    }

    /// The end of a process: nobody is inside, and nobody comes in.
    fn release(&self, slot: &Slot, closed: Closed<'_>) {
        closed.process().activity().retire();
        let process = closed.vacate();
        self.refill(slot);
        // Cancelled processes end here without a drain.
        self.complete(&process);
        // What waited for this one must not wait for `released`, which is the user's and may take long.
        self.take_back();
        self.leave(&process);
    }

    /// After a slot was freed: places who waits for one, and wakes for whatever is in this one now. Those who came for it
    /// while the gate was closed have gone. `true` if there is something.
    fn refill(&self, slot: &Slot) -> bool {
        let promoted = self.shared.ready.promote();
        let placed = promoted > 0 || slot.is_occupied();
        if placed {
            // This worker is one of them. How many a process wants that somebody else placed is not known from here.
            self.wake(promoted.max(POSTS_MAX) - 1);
        }
        placed
    }
}
