//! What stops running work before its end, and how soon.
//!
//! What lives here: [`Stop`], what running work looks at, and the loop over the workgroups of one dispatch that
//! does so. What does not: who sets them (`task_queue/`, `weft_sync::CancelToken`), tiles that threads share
//! (`block/together.rs`, which looks between any two runs of them).
//!
//! 1. Work looks between commands, between stretches of workgroups, and between pieces of large transfers.
//! 2. **A stretch is a number while nobody can be in a hurry**: a device that closes waits for 64 workgroups. With a token,
//!    somebody may wait for the answer, and one workgroup may take milliseconds: then the first stretch is one workgroup,
//!    and those that follow are made about [`STRETCH_SHORT`] long. Reading the clock is a thousandth of that.

#![allow(unsafe_code, reason = "calls kernels through their raw entry points")]

use std::ops::Range;
use std::time::Duration;

use weft_sync::atomic::{AtomicBool, Ordering};
use weft_sync::{CancelToken, Instant};

use crate::abi::{CacheLine, DispatchState, Environment, KernelFunction};
use crate::dispatch::{KernelFailure, LocalMemory, run_grid, run_tiles};

/// Workgroups between two looks without a token.
const STRETCH: u32 = 64;
/// A stretch that took less is followed by a longer one.
const STRETCH_SHORT: Duration = Duration::from_micros(50);
/// A stretch that took more is followed by a shorter one.
const STRETCH_LONG: Duration = Duration::from_micros(200);
/// Most workgroups of a stretch, whatever the clock says.
const STRETCH_MAX: u32 = 1 << 16;
/// Bytes that are moved between two looks: a fraction of a millisecond. A multiple of any pattern.
const PIECE_BYTES: usize = 1 << 20;

/// Where running work looks for whether to go on. What nobody can be in a hurry for is compiled without any of it.
pub(crate) trait Stop: Copy {
    /// Somebody may wait for the answer.
    const IS_PROMPT: bool;
    /// Workgroups that may run without a look.
    const STRETCH: u32;

    /// Not to go on.
    fn is_set(self) -> bool;

    /// Calls `work` for one piece of `length` bytes after the other; for all of them at once if nobody can be in a hurry.
    /// `false` if it was stopped.
    #[inline(always)]
    fn in_pieces(self, length: usize, mut work: impl FnMut(Range<usize>)) -> bool {
        if !Self::IS_PROMPT || length <= PIECE_BYTES {
            work(0..length);
            return true;
        }
        for begin in (0..length).step_by(PIECE_BYTES) {
            if self.is_set() {
                return false;
            }
            work(begin..length.min(begin + PIECE_BYTES));
        }
        true
    }
}

/// Nothing stops it.
#[derive(Clone, Copy)]
pub(crate) struct Never;

impl Stop for Never {
    const IS_PROMPT: bool = false;
    const STRETCH: u32 = u32::MAX;

    #[inline(always)]
    fn is_set(self) -> bool {
        false
    }
}

/// The end of a device, or the failure of a recording.
#[derive(Clone, Copy)]
pub(crate) struct Flag<'a>(pub(crate) &'a AtomicBool);

impl Stop for Flag<'_> {
    const IS_PROMPT: bool = false;
    const STRETCH: u32 = STRETCH;

    #[inline(always)]
    fn is_set(self) -> bool {
        // Relaxed: sooner or later.
        self.0.load(Ordering::Relaxed)
    }
}

/// A token, and whatever else stops it.
#[derive(Clone, Copy)]
pub(crate) struct Cancelled<'a, S>(pub(crate) &'a CancelToken, pub(crate) S);

impl<S: Stop> Stop for Cancelled<'_, S> {
    const IS_PROMPT: bool = true;
    const STRETCH: u32 = 1;

    #[inline(always)]
    fn is_set(self) -> bool {
        self.0.is_cancelled() || self.1.is_set()
    }
}

/// As [`Stop::in_pieces`], for a token.
#[inline]
pub(crate) fn in_pieces(
    cancel: Option<&CancelToken>,
    length: usize,
    mut work: impl FnMut(Range<usize>),
) -> bool {
    match cancel {
        None => {
            work(0..length);
            true
        }
        Some(token) => Cancelled(token, Never).in_pieces(length, work),
    }
}

/// One dispatch on one thread. By value: what its address is taken of is written to memory, once for each dispatch.
#[derive(Clone, Copy)]
pub(crate) struct Grid<'a> {
    pub(crate) function: KernelFunction,
    pub(crate) environment: *const Environment,
    pub(crate) state: &'a CacheLine<DispatchState>,
    pub(crate) local: LocalMemory,
    pub(crate) processor_id: u32,
    /// All workgroups.
    pub(crate) tiles: u32,
}

impl Grid<'_> {
    /// Runs all workgroups in order. `Ok(false)` if it was stopped.
    ///
    /// # Safety
    /// As for [`run_grid`]; `tiles` is the product of the counts.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Stop>(self, stop: S) -> Result<bool, KernelFailure> {
        if !S::IS_PROMPT && self.tiles <= S::STRETCH {
            let Grid { function, environment, state, local, processor_id, .. } = self;
            // SAFETY: the caller's promises.
            unsafe { run_grid(function, environment, state, local, processor_id)? };
            return Ok(true);
        }
        // SAFETY: the caller's promises.
        unsafe { self.run_in_stretches(stop) }
    }

    /// # Safety
    /// As for [`Grid::run`].
    #[inline(never)]
    unsafe fn run_in_stretches<S: Stop>(self, stop: S) -> Result<bool, KernelFailure> {
        let Grid { function, environment, state, local, processor_id, tiles } = self;
        let mut stretch = Stretch::new::<S>();
        let mut begin = 0;
        while begin < tiles {
            if stop.is_set() {
                return Ok(false);
            }
            let end = begin.saturating_add(stretch.tiles).min(tiles);
            // SAFETY: the caller's promises; the tiles lie within the grid.
            unsafe { run_tiles(function, environment, state, local, processor_id, begin..end)? };
            begin = end;
            stretch.follow();
        }
        Ok(true)
    }
}

/// How many workgroups run before the next look (rule 2).
struct Stretch {
    tiles: u32,
    /// When it began, if its length goes by the clock.
    began: Option<Instant>,
}

impl Stretch {
    fn new<S: Stop>() -> Stretch {
        Stretch { tiles: S::STRETCH, began: S::IS_PROMPT.then(Instant::now) }
    }

    #[inline]
    fn follow(&mut self) {
        let Some(began) = self.began else { return };
        let now = Instant::now();
        let took = now.since(began);
        if took < STRETCH_SHORT {
            self.tiles = self.tiles.saturating_mul(2).min(STRETCH_MAX);
        } else if took > STRETCH_LONG {
            self.tiles = (self.tiles / 2).max(1);
        }
        self.began = Some(now);
    }
}
