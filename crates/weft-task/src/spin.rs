//! How long an idle worker looks before it sleeps.
//!
//! Spinning pays when the next work comes within microseconds and costs a processor otherwise, so it is off unless asked
//! for, bounded, elected and adaptive:
//!
//! 1. At most `spinners_max` seats spin at a time: more of them than there is work make narrow programs slower.
//! 2. Not at all where the process may use one processor only (quotas included): a spinner would take it from whoever
//!    produces the work.
//! 3. A spin that ends in sleep halves the next one of this seat, a spin that pays doubles it, up to the limit.

use std::cell::Cell;
use std::time::Duration;

use weft_sync::Instant;
use weft_sync::atomic::{AtomicU32, Ordering, spin_loop};
use weft_sync::notification::Notification;

use crate::counters::SeatCounters;

/// Looks between two questions for the time.
const LOOKS_PER_CLOCK: u32 = 32;

/// A spin gets no shorter than this part of the limit, so that it can get longer again.
const SHORTEST_PART: u32 = 16;

/// What the seats of one executor share.
#[derive(Debug)]
pub(crate) struct SpinLimits {
    limit: Duration,
    spinners_max: u32,
    spinners: AtomicU32,
}

impl SpinLimits {
    pub(crate) fn new(limit: Duration, spinners_max: u32, processors: usize) -> SpinLimits {
        let limit = if processors > 1 { limit } else { Duration::ZERO };
        SpinLimits { limit, spinners_max, spinners: AtomicU32::new(0) }
    }
}

/// The spinning side of one seat.
#[derive(Debug)]
pub(crate) struct Spinner {
    window: Cell<Duration>,
}

impl Spinner {
    pub(crate) fn new(limits: &SpinLimits) -> Spinner {
        Spinner { window: Cell::new(limits.limit) }
    }

    /// Looks until the epoch of the bell has passed `token`, or it is time to sleep.
    pub(crate) fn spin(&self, limits: &SpinLimits, bell: &Notification, token: u32, counters: &SeatCounters) {
        if limits.limit.is_zero() {
            return;
        }
        if limits.spinners.fetch_add(1, Ordering::Relaxed) < limits.spinners_max {
            counters.spins.add(1);
            let window = self.window.get();
            if look(bell, token, window) {
                counters.spin_hits.add(1);
                // Saturating: any limit may be asked for.
                self.window.set(window.saturating_mul(2).min(limits.limit));
            } else {
                self.window.set((window / 2).max(limits.limit / SHORTEST_PART));
            }
        }
        limits.spinners.fetch_sub(1, Ordering::Relaxed);
    }
}

fn look(bell: &Notification, token: u32, window: Duration) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..LOOKS_PER_CLOCK {
            if bell.epoch() != token {
                return true;
            }
            spin_loop();
        }
        if Instant::now().since(start) >= window {
            return false;
        }
    }
}
