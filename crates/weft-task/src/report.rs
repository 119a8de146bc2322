//! A look at an executor that seems to stand still.
//!
//! Racy on purpose: each value was true when it was read. It follows no pointer that it does not hold, and the locks that it
//! takes are those of lists, for a bounded time, which nobody holds while code of users runs: so it may be asked for at any
//! time. What nobody has scheduled, suspended processes for one, the executor does not know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weft_sync::atomic::{Ordering, fence};

use crate::counters::Counters;
use crate::observe::ProcessId;
use crate::process::Process;
use crate::shared::Shared;

/// Processes of a list that are reported; those after them are not.
const LISTED_MAX: usize = 64;

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
    /// Immediate processes that wait for a worker: the first 64, in their order.
    pub immediate: Vec<WaitingReport>,
    /// Compute processes that wait for a slot: the first 64, in their order.
    pub overflow: Vec<WaitingReport>,
}

/// A seat.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SeatReport {
    /// Whether it sleeps.
    pub is_idle: bool,
    /// Whether somebody has it: workers have theirs always, guests while they are lent.
    pub is_taken: bool,
    /// The process that it is with: in its drain, or in what comes at its end.
    pub process: Option<ProcessId>,
    /// For how long it has been with that process, to some milliseconds.
    pub stay: Duration,
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

/// A process in a list.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitingReport {
    /// Which.
    pub process: ProcessId,
    /// What its activity says.
    pub activity: &'static str,
    /// Whether it is over.
    pub is_terminal: bool,
    /// How many workers it wants.
    pub wake_budget: u32,
}

impl Report {
    pub(crate) fn of(shared: &Shared) -> Report {
        Report {
            exiting: shared.is_exiting(),
            refused_placements: shared.refused_placements.load(Ordering::Relaxed),
            wake_credits: shared.sleepers.credits(),
            has_immediate: !shared.ready.immediate.is_empty(),
            is_overflowing: shared.ready.is_overflowing(),
            seats: (0..shared.counters.len()).map(|index| seat(shared, index)).collect(),
            slots: (0..shared.ready.slots.len()).filter_map(|index| slot(shared, index)).collect(),
            immediate: shared.ready.immediate.look(LISTED_MAX, waiting),
            overflow: shared.ready.look_at_overflow(LISTED_MAX, waiting),
        }
    }
}

fn seat(shared: &Shared, index: usize) -> SeatReport {
    let guest = index.checked_sub(shared.settings.workers);
    let guests_taken = shared.guests_taken.load(Ordering::Relaxed);
    let now = shared.whereabouts[index].now();
    SeatReport {
        is_idle: shared.sleepers.is_idle(index),
        is_taken: guest.is_none_or(|guest| guests_taken & 1 << guest != 0),
        process: now.map(|(process, _)| process),
        stay: now.map_or(Duration::ZERO, |(_, stay)| stay),
        counters: shared.count_of(index),
    }
}

fn waiting(process: &Process) -> WaitingReport {
    WaitingReport {
        process: ProcessId::of(process),
        activity: process.activity().name(),
        is_terminal: process.is_terminal(),
        wake_budget: process.wake_budget(),
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
            writeln!(f, "  seat {index}: {seat}")?;
        }
        for slot in &self.slots {
            writeln!(f, "  slot {}: {slot}", slot.index)?;
        }
        for (name, list) in [("waits for a worker", &self.immediate), ("waits for a slot", &self.overflow)] {
            for waiting in list {
                writeln!(f, "  {name}: {waiting}")?;
            }
            if list.len() == LISTED_MAX {
                writeln!(f, "  {name}: perhaps others")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for SeatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_taken, self.is_idle, self.process) {
            (false, ..) => write!(f, "free")?,
            (true, true, _) => write!(f, "idle")?,
            (true, false, None) => write!(f, "awake")?,
            (true, false, Some(process)) => write!(f, "with process {process} for {:.3?}", self.stay)?,
        }
        let Counters { immediate_drains, compute_drains, entries, sleeps, wakes, steals, .. } = self.counters;
        write!(f, ", drains {immediate_drains}+{compute_drains}, entries {entries}, sleeps {sleeps}")?;
        write!(f, ", wakes {wakes}, steals {steals}")
    }
}

impl fmt::Display for SlotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = if self.is_terminal { ", terminal" } else { "" };
        write!(f, "process {:#x}, {}{over}", self.process, self.activity)?;
        write!(f, ", generation {}, {} inside", self.generation, self.drainers)
    }
}

impl fmt::Display for WaitingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = if self.is_terminal { ", terminal" } else { "" };
        write!(f, "process {}, {}{over}, budget {}", self.process, self.activity, self.wake_budget)
    }
}
