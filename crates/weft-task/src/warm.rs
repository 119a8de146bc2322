//! Staying near a compute process that has nothing to do for the moment, and claims that keep it in its slot.
//!
//! Between two regions of a program lie microseconds, and a sleep costs more. A worker whose drain answered
//! [`KeepWarm`] may stay near, holding a claim, until the retention epoch of the process moves.
//!
//! 1. A claim is taken before the slot is left; a slot whose process has claims is not given up.
//! 2. At most as many claims as the drain allows and the wake budget says.
//! 3. All who stay share one window, opened by the first: later ones get no fresh one. When it closes they go idle like
//!    anybody else, and the next schedule wakes them. They do not sleep near the process: a sleep here would need a
//!    wake-up of its own to notice the end of the executor, and an idle executor has none.
//! 4. Whoever comes back raises `NEEDS` *before* it drops its claim, so the last claim cannot be dropped into a release.
//! 5. **The last one out decides**, here too. Who drops the last claim enters the slot once more to be the last one out of
//!    it. If it finds the gate closed, the closer has yet to reopen it and looks at the claims after that: both
//!    read-modify-write the gate, so one of them sees what the other did.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering, spin_loop};

use crate::drained::KeepWarm;
use crate::process::Process;
use crate::slot::{Closed, Entry, Slot};
use crate::tuning::WARM_SPIN_NS;
use crate::worker::Pump;

/// The claims on one process.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// Moves when those who stay near have to look again.
    pub(crate) epoch: AtomicU32,
    retainers: AtomicU32,
    /// Until when they stay, on the clock of the executor.
    until_ns: AtomicU64,
}

impl Process {
    /// Whether somebody stays near or comes back, so that the slot may not be given up.
    #[inline]
    pub(crate) fn has_retainers(&self) -> bool {
        // Acquire pairs with the Release in `drop_claim`.
        self.retention().retainers.load(Ordering::Acquire) > 0
    }

    /// Takes a claim, if there is one to be had (rule 2).
    pub(crate) fn try_retain(&self, warm: KeepWarm) -> bool {
        let limit = warm.retainers_max.min(self.wake_budget());
        let take = |count: u32| (count < limit).then_some(count + 1);
        // Relaxed: a claim is taken while counted in at the gate, and leaving it publishes the claim.
        self.retention().retainers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Takes a claim without asking, for a worker that was told to come back. Only while counted in at the gate.
    pub(crate) fn take_claim(&self) {
        self.retention().retainers.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a claim back. `true` if it was the last one.
    pub(crate) fn drop_claim(&self) -> bool {
        // Release: what this worker did is seen by whoever gives the slot up.
        self.retention().retainers.fetch_sub(1, Ordering::Release) == 1
    }
}

impl Pump<'_> {
    /// Leaves the slot with a claim, and waits. `true` if there is more to do.
    pub(crate) fn stay_near(&self, slot: &Slot, entry: Entry<'_>, warm: KeepWarm) -> bool {
        // The claim keeps the process in its slot, but only this reference lets it be looked at from outside.
        let process = Arc::clone(entry.process());
        self.counters.warm_stays.add(1);
        // Never the closer: the claim forbids it.
        let _ = entry.leave();
        if self.wait_for_epoch(&process, warm.epoch) {
            self.counters.warm_hits.add(1);
            process.activity().raise();
            process.drop_claim();
            return true;
        }
        if process.drop_claim()
            && let Some(entry) = slot.come_back()
        {
            return entry.leave().is_some_and(|last| self.try_release(slot, last));
        }
        false
    }

    /// `true` if the epoch moved within the window.
    fn wait_for_epoch(&self, process: &Process, epoch: u32) -> bool {
        let retention = process.retention();
        let rings = self.shared.sleepers.rings(self.seat);
        let now = self.shared.clock_ns();
        // Whoever finds the window closed opens the next one, if it is the only one near.
        let until = retention.until_ns.load(Ordering::Relaxed);
        let alone = retention.retainers.load(Ordering::Relaxed) == 1;
        let until = if until > now || !alone { until } else { now + WARM_SPIN_NS };
        retention.until_ns.fetch_max(until, Ordering::Relaxed);
        loop {
            // Acquire pairs with the Release in `advance_retention`.
            if retention.epoch.load(Ordering::Acquire) != epoch {
                return true;
            }
            let called_away = self.shared.is_exiting()
                || process.is_terminal()
                || self.shared.sleepers.rings(self.seat) != rings
                || !self.shared.ready.immediate.is_empty();
            if called_away || self.shared.clock_ns() >= until {
                return false;
            }
            spin_loop();
        }
    }

    /// For a closer who found claims: reopens, and takes the last step itself if the last claim was dropped meanwhile
    /// (rule 5). `true` if somebody has to look again.
    pub(crate) fn leave_to_retainers(&self, slot: &Slot, closed: Closed<'_>) -> bool {
        let process = Arc::clone(closed.process());
        closed.reopen();
        if process.has_retainers() {
            return false;
        }
        let last = slot.come_back().and_then(Entry::leave);
        last.is_some_and(|last| self.try_release(slot, last))
    }
}
