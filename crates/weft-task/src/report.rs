//! A look at an executor that seems to stand still.
//!
//! Racy on purpose: each value was true when it was read. It takes no lock that a drain may hold and follows no pointer
//! that it does not hold, so it may be asked for at any time.

use std::fmt;
use std::sync::Arc;

use weft_sync::atomic::{Ordering, fence};

use crate::counters::Counters;
use crate::shared::Shared;

/// What an executor looked like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whether the executor is being stopped.
    pub exiting: bool,
    /// Workers that could not be pinned where the topology says.
    pub refused_placements: u64,
    /// Wakes left to whoever is woken.
    pub wake_credits: u32,
    /// Whether immediate processes wait.
    pub has_immediate: bool,
    /// Whether compute processes wait for a slot.
    pub is_overflowing: bool,
    /// Workers, then guests.
    pub seats: Vec<SeatReport>,
    /// The slots that hold a process.
    pub slots: Vec<SlotReport>,
}

/// A seat.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SeatReport {
    /// Whether it sleeps.
    pub is_idle: bool,
    /// What it has done so far.
    pub counters: Counters,
}

/// A slot that holds a process.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SlotReport {
    /// Which.
    pub index: usize,
    /// Which process: its address.
    pub process: usize,
    /// How often the slot was given up.
    pub generation: u32,
    /// Workers inside.
    pub drainers: u32,
    /// What the activity of the process says.
    pub activity: &'static str,
    /// Whether the process is over.
    pub is_terminal: bool,
}

impl Report {
    pub(crate) fn of(shared: &Shared) -> Report {
        let seat =
            |(seat, counters): (usize, &crate::cache_line::CacheLine<crate::counters::SeatCounters>)| {
                SeatReport { is_idle: shared.sleepers.is_idle(seat), counters: counters.snapshot() }
            };
        Report {
            exiting: shared.is_exiting(),
            refused_placements: shared.refused_placements.load(Ordering::Relaxed),
            wake_credits: shared.sleepers.credits(),
            has_immediate: !shared.ready.immediate.is_empty(),
            is_overflowing: shared.ready.is_overflowing(),
            seats: shared.counters.iter().enumerate().map(seat).collect(),
            slots: (0..shared.ready.slots.len()).filter_map(|index| slot(shared, index)).collect(),
        }
    }
}

/// Goes in, as workers do, so that the process stays where it is meanwhile.
fn slot(shared: &Shared, index: usize) -> Option<SlotReport> {
    let slot = &shared.ready.slots[index];
    let entry = slot.enter()?;
    let (generation, _, inside) = slot.describe();
    let process = Arc::clone(entry.process());
    let report = SlotReport {
        index,
        process: Arc::as_ptr(&process) as usize,
        generation,
        drainers: inside.saturating_sub(1),
        activity: process.activity().name(),
        is_terminal: process.is_terminal(),
    };
    if entry.leave().is_some() {
        // This look was the last one out, and it does not give slots up: have somebody look who does. Who has a claim does
        // so anyway, when it drops the claim. Acquire: one that has dropped it and found this look inside is seen.
        fence(Ordering::Acquire);
        if !process.has_retainers() {
            shared.schedule_from_outside(&process, false);
        }
    }
    Some(report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "executor: {}{} idle of {} seats, {} wake credits{}{}",
            if self.exiting { "exiting, " } else { "" },
            self.seats.iter().filter(|seat| seat.is_idle).count(),
            self.seats.len(),
            self.wake_credits,
            if self.has_immediate { ", immediate processes wait" } else { "" },
            if self.is_overflowing { ", slots overflow" } else { "" },
        )?;
        for (index, seat) in self.seats.iter().enumerate() {
            let state = if seat.is_idle { "idle" } else { "awake" };
            let counters = &seat.counters;
            writeln!(
                f,
                "  seat {index}: {state}, drains {}+{}, entries {}, sleeps {}, wakes {}",
                counters.immediate_drains,
                counters.compute_drains,
                counters.entries,
                counters.sleeps,
                counters.wakes
            )?;
        }
        for slot in &self.slots {
            writeln!(
                f,
                "  slot {}: process {:#x}, {}{}, generation {}, {} inside",
                slot.index,
                slot.process,
                slot.activity,
                if slot.is_terminal { ", terminal" } else { "" },
                slot.generation,
                slot.drainers
            )?;
        }
        Ok(())
    }
}
