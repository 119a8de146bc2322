//! What a seat is with, and since when: for reports of an executor that seems to stand still.
//!
//! What lives here: [`Whereabouts`] and the clock for it. What does not: the report (`report.rs`), events for those who
//! trace (`observe.rs`).
//!
//! 1. Each is written by the thread on its seat, a few plain stores a visit, and read by reports only. Nothing is decided by
//!    it, so it is none of what the models look at, and its atomics are not theirs.
//! 2. The clock is the coarse one of the system: some milliseconds coarse, some nanoseconds cheap.
//! 3. The process is a number here and never followed: it may be gone by the time somebody reads it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::observe::ProcessId;

/// Where one seat is.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    /// Address of the process, 0 for none.
    process: AtomicUsize,
    since_ns: AtomicU64,
}

impl Whereabouts {
    /// The seat is with a process until the stay is dropped: its drains, and its end.
    #[inline]
    pub(crate) fn stay(&self, process: ProcessId) -> Stay<'_> {
        self.since_ns.store(coarse_ns(), Ordering::Relaxed);
        // Release pairs with the Acquire in `now`: whoever sees the process sees since when.
        self.process.store(process.0, Ordering::Release);
        Stay(self)
    }

    /// The process that the seat is with, and for how long it has been.
    pub(crate) fn now(&self) -> Option<(ProcessId, Duration)> {
        let process = self.process.load(Ordering::Acquire);
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        let stay = Duration::from_nanos(coarse_ns().saturating_sub(since_ns));
        (process != 0).then_some((ProcessId(process), stay))
    }
}

/// A seat is with a process while this lives.
#[must_use = "the stay ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct Stay<'a>(&'a Whereabouts);

impl Drop for Stay<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.process.store(0, Ordering::Relaxed);
    }
}

/// A clock that only goes on, in nanoseconds since some time.
#[inline]
fn coarse_ns() -> u64 {
    cfg_select! {
        all(target_os = "linux", not(loom), not(miri)) => {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        }
        _ => {
            static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stay_has_a_beginning_and_an_end() {
        let whereabouts = Whereabouts::default();
        assert_eq!(whereabouts.now(), None);
        let stay = whereabouts.stay(ProcessId(64));
        std::thread::sleep(Duration::from_millis(30));
        let (process, since) = whereabouts.now().unwrap();
        assert_eq!(process, ProcessId(64));
        // Coarse by a tick at each end, which is 10 ms at most.
        assert!(since >= Duration::from_millis(10), "{since:?}");
        drop(stay);
        assert_eq!(whereabouts.now(), None);
    }
}
