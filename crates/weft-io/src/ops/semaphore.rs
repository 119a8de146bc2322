//! Waiting for timelines and moving them, in their turn.
//!
//! What lives here: [`SemaphoreWait`], [`SemaphoreSignal`], and `Tracker`, by which timepoints decide a wait. What does
//! not: what the poll thread does with the decision (`proactor/software.rs`).
//!
//! 1. A wait registers a timepoint for each of its points. Their callbacks run on any thread, at once or later.
//! 2. The tracker's word holds the use of the wait (32 bits) and how many points are missing. A report of another use
//!    changes nothing. Whoever moves the word to "nothing missing" has decided the wait: one report, or the cancel.
//! 3. A report that decides stores what it decided, then puts the operation's slot on the list of the fired. So a slot is
//!    on that list at most once for each use, whatever fails or is cancelled at the same time.
//! 4. The tracker is shared with every callback, so one that comes late finds it, and finds another use.
//! 5. What came before each of the reports of a use is visible to whoever ends the wait: each report releases, the one that
//!    decides acquires, and the list of the fired carries that to the poll thread.

use super::{Body, Kind};
use crate::Capabilities;
use crate::operation::{Params, sealed::Lower};
use crate::shared::Shared;
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, AtomicU64, Mutex, Ordering, lock};
use weft_sync::{FrontierBuf, Point, Result, Status, Timepoint, bail};

/// Points of one operation, at most.
pub const POINTS_MAX: usize = 255;

fn check_count(points: &[Point]) -> Result<()> {
    if points.len() > POINTS_MAX {
        bail!(OutOfRange, "{} semaphores in one operation, at most {POINTS_MAX}", points.len());
    }
    Ok(())
}

/// Which of several points a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitMode {
    /// Every one.
    All,
    /// The first that is reached; a point that is reached at submission wins over a timeline that has failed.
    Any,
}

/// Ends when timelines have reached their values; with the failure if one of them fails first. Holds the timelines
/// meanwhile. Ends with the index of the point that was reached last: in [`WaitMode::Any`], the one that was.
#[derive(Debug)]
pub struct SemaphoreWait {
    /// What is waited for; 255 at most, and one at least to wait for any of them.
    pub points: Vec<Point>,
    /// All of them or any.
    pub mode: WaitMode,
    tracker: Arc<Tracker>,
    timepoints: Vec<Timepoint>,
}

impl SemaphoreWait {
    /// Waits for all of these points.
    pub fn all(points: impl Into<Vec<Point>>) -> SemaphoreWait {
        SemaphoreWait::new(WaitMode::All, points.into())
    }

    /// Waits for any of these points.
    pub fn any(points: impl Into<Vec<Point>>) -> SemaphoreWait {
        SemaphoreWait::new(WaitMode::Any, points.into())
    }

    fn new(mode: WaitMode, points: Vec<Point>) -> SemaphoreWait {
        let timepoints = Vec::with_capacity(points.len());
        SemaphoreWait { points, mode, tracker: Arc::default(), timepoints }
    }

    /// Registers for every point. `Some`: known at once, nothing is registered.
    pub(crate) fn arm(&mut self, shared: &Arc<Shared>, slot: u32) -> Option<Result<i64>> {
        let missing = match self.mode {
            WaitMode::All if self.points.is_empty() => return Some(Ok(0)),
            WaitMode::All => self.points.len() as u32,
            WaitMode::Any => {
                let reached = |point: &Point| matches!(point.semaphore.is_reached(point.value), Ok(true));
                if let Some(index) = self.points.iter().position(reached) {
                    return Some(Ok(index as i64));
                }
                1
            }
        };
        let generation = self.tracker.begin(missing);
        for (index, point) in self.points.iter().enumerate() {
            let (tracker, shared) = (Arc::clone(&self.tracker), Arc::clone(shared));
            // Three words and a half: kept in place by the semaphore.
            let index = index as u8;
            self.timepoints.push(point.semaphore.on_reached(point.value, move |outcome| {
                if tracker.report(generation, index, outcome) {
                    shared.fire(slot);
                }
            }));
            if self.tracker.is_decided() {
                break;
            }
        }
        None
    }

    /// Takes an armed wait back, unless it is decided: then whoever decided it fires, or has.
    pub(crate) fn withdraw(&mut self) -> bool {
        let withdrawn = self.tracker.decide_by_cancel();
        if withdrawn {
            self.release();
        }
        withdrawn
    }

    /// What an armed wait was decided to end with.
    pub(crate) fn conclude(&mut self) -> Result<i64> {
        self.release();
        self.tracker.outcome()
    }

    /// Leaves every timeline. Callbacks that run just now find another use of the tracker, or a decided one.
    fn release(&mut self) {
        self.timepoints.drain(..).for_each(|timepoint| {
            timepoint.cancel();
        });
    }
}

impl Params for SemaphoreWait {
    type Output = usize;

    fn output(&mut self, value: i64) -> usize {
        value as usize
    }
}

impl Lower for SemaphoreWait {
    const KIND: Kind = Kind::SemaphoreWait;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        check_count(&self.points)?;
        if self.mode == WaitMode::Any && self.points.is_empty() {
            bail!(InvalidArgument, "one of no semaphores was asked for");
        }
        Ok(())
    }

    fn body(&mut self) -> Body<'_> {
        Body::SemaphoreWait(self)
    }
}

/// By which reports on any thread decide a wait once. See the header.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Use in the upper half, missing points in the lower.
    word: AtomicU64,
    winner: AtomicU32,
    failure: Mutex<Option<Status>>,
}

impl Tracker {
    /// Starts the next use, of which `missing` reports decide.
    pub fn begin(&self, missing: u32) -> u32 {
        let generation = ((self.word.load(Ordering::Relaxed) >> 32) as u32).wrapping_add(1);
        *lock(&self.failure) = None;
        // Relaxed: reports of this use come from callbacks that are registered after this, and reports of earlier ones read
        // nothing but the word. The use before is decided, so no report changes the word between the load and this.
        self.word.store(u64::from(generation) << 32 | u64::from(missing), Ordering::Relaxed);
        generation
    }

    /// Takes a report in. `true`: it decided, and the caller fires.
    #[must_use = "a report that decides is fired"]
    pub fn report(&self, generation: u32, index: u8, outcome: Result<()>) -> bool {
        let fails = outcome.is_err();
        // Relaxed: only compared. An old word makes the exchange fail.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if (word >> 32) as u32 != generation || word as u32 == 0 {
                return false;
            }
            let less = if fails { word & !u64::from(u32::MAX) } else { word - 1 };
            // Rule 5: Release pairs with the Acquire of a later report, Acquire with the Release of those before.
            match self.word.compare_exchange_weak(word, less, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if less as u32 != 0 => return false,
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        // The decider writes these, and the poll thread reads them when the slot comes off the list: its push publishes.
        self.winner.store(u32::from(index), Ordering::Relaxed);
        if let Err(status) = outcome {
            *lock(&self.failure) = Some(status);
        }
        true
    }

    fn is_decided(&self) -> bool {
        self.word.load(Ordering::Relaxed) as u32 == 0
    }

    /// Decides the current use, if nothing has. `false`: a report has and fires, or will.
    #[must_use = "without the decision the operation goes on"]
    pub fn decide_by_cancel(&self) -> bool {
        // Relaxed, all of it: the one that began the use cancels it, and takes nothing from the reports that it makes vain.
        let mut word = self.word.load(Ordering::Relaxed);
        while word as u32 != 0 {
            let decided = word & !u64::from(u32::MAX);
            match self.word.compare_exchange_weak(word, decided, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// What the use was decided to end with, once. To be asked by whoever takes the slot off the list of the fired.
    pub fn outcome(&self) -> Result<i64> {
        match lock(&self.failure).take() {
            Some(status) => Err(status.while_doing("waiting for semaphores")),
            None => Ok(i64::from(self.winner.load(Ordering::Relaxed))),
        }
    }
}

/// Moves timelines forward when its turn comes, in order. The first that refuses ends it with that refusal; those before
/// it stay moved.
#[derive(Debug)]
pub struct SemaphoreSignal {
    /// What is moved where; 255 at most.
    pub points: Vec<Point>,
    /// What the values are ordered after, if that is known.
    pub frontier: Option<Box<FrontierBuf<16>>>,
}

impl SemaphoreSignal {
    /// Signals these points, without a frontier.
    pub fn new(points: impl Into<Vec<Point>>) -> SemaphoreSignal {
        SemaphoreSignal { points: points.into(), frontier: None }
    }

    /// Each point by `call`, which gives `None` if a callback panicked that waited for it: the timeline was moved then, and
    /// the next one is.
    pub(crate) fn run(
        &self,
        mut call: impl FnMut(&mut dyn FnMut() -> Result<()>) -> Option<Result<()>>,
    ) -> Result<i64> {
        for point in &self.points {
            let moved = call(&mut || match &self.frontier {
                Some(frontier) => point.semaphore.signal_with(point.value, frontier),
                None => point.semaphore.signal(point.value),
            });
            moved.unwrap_or(Ok(()))?;
        }
        Ok(0)
    }
}

impl Params for SemaphoreSignal {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for SemaphoreSignal {
    const KIND: Kind = Kind::SemaphoreSignal;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        check_count(&self.points)
    }

    fn body(&mut self) -> Body<'_> {
        Body::SemaphoreSignal(self)
    }
}
