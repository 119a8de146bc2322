#![allow(unsafe_code, reason = "gives the system hints about ranges of addresses")]
//! Which pages memory gets that a read is about to fill, and that perhaps nobody has touched yet.
//!
//! A huge page that the system has at hand costs a fraction of the 512 small ones that it stands for. One that it has to
//! make costs many times as much: other pages have to be moved out of its way, or, in a virtual machine whose free memory
//! goes back to its host, the host has to bring it. Nothing tells beforehand which it will be, so the first ones are timed:
//!
//! 1. Before a piece of a file is read, the huge pages of its memory are asked for, one by one. The clock is that of the
//!    thread: to wait for a processor is nobody's fault.
//! 2. After one that was slow ([`SLOW`]) the next ones are left to small pages, which the read touches as it comes to them:
//!    twice as many each time ([`Pace`]), until one is quick again. The memory is that of the machine, so there is one
//!    pace for all.
//! 3. After the piece has been read all of it may become huge again: the system does that when it has time.
//! 4. All of this is hints. No byte changes, memory that was touched before stays as it is, and a system that refuses (one
//!    before Linux 5.14, say) gives such pages as it always did.
//!
//! What does not live here: memory that something else than a read touches first, see the allocators of devices.

use std::ops::Range;
use std::time::Duration;

use weft_sync::atomic::{AtomicU32, Ordering};

const HUGE_PAGE: usize = 2 << 20;

/// Shorter pieces get what their neighbours have.
const BYTES_MIN: usize = 4 << 20;

/// A page that comes sooner was there: clearing it takes longer.
const PRESENT: Duration = Duration::from_micros(20);

/// About what 512 small pages take.
const SLOW: Duration = Duration::from_micros(500);

/// Pages that are left small after the first slow one, and after the last of many.
const LEFT_SMALL_MIN: u32 = 16;
const LEFT_SMALL_MAX: u32 = 1024;

/// When to ask for huge pages. Threads share it without order: one page more or less does no harm.
struct Pace {
    left_small: AtomicU32,
    left_small_next: AtomicU32,
}

static PACE: Pace = Pace::new();

impl Pace {
    const fn new() -> Pace {
        Pace { left_small: AtomicU32::new(0), left_small_next: AtomicU32::new(LEFT_SMALL_MIN) }
    }

    /// Whether the next page is asked for as a huge one.
    fn asks(&self) -> bool {
        // Relaxed, here and below: counts, with no order to anything.
        let left = self.left_small.load(Ordering::Relaxed);
        self.left_small.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// A huge page that was asked for took so long.
    fn took(&self, time: Duration) {
        if time > SLOW {
            let left = self.left_small_next.load(Ordering::Relaxed);
            self.left_small.store(left, Ordering::Relaxed);
            self.left_small_next.store((left * 2).min(LEFT_SMALL_MAX), Ordering::Relaxed);
        } else if time > PRESENT {
            self.left_small_next.store(LEFT_SMALL_MIN, Ordering::Relaxed);
        }
    }
}

/// The addresses of the huge pages that lie within a range as a whole.
fn huge_pages(base: usize, length: usize) -> Range<usize> {
    if length < BYTES_MIN {
        return 0..0;
    }
    let end = (base + length) / HUGE_PAGE * HUGE_PAGE;
    base.next_multiple_of(HUGE_PAGE).min(end)..end
}

/// Memory that is about to be filled (rules 1 and 2).
pub(super) fn prepare(base: *mut u8, length: usize) {
    let pages = huge_pages(base.addr(), length);
    for page in pages.step_by(HUGE_PAGE) {
        let start = base.with_addr(page);
        if PACE.asks() {
            hint::may_be_huge(start, HUGE_PAGE);
            if let Some(time) = hint::touch(start, HUGE_PAGE) {
                PACE.took(time);
            }
        } else {
            hint::stays_small(start, HUGE_PAGE);
        }
    }
}

/// It has been filled (rule 3).
pub(super) fn settle(base: *mut u8, length: usize) {
    let pages = huge_pages(base.addr(), length);
    if !pages.is_empty() {
        hint::may_be_huge(base.with_addr(pages.start), pages.len());
    }
}

#[cfg(target_os = "linux")]
mod hint {
    use std::time::Duration;

    use rustix::mm::{Advice, madvise};
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn may_be_huge(start: *mut u8, bytes: usize) {
        // SAFETY: this advice changes no bytes, wherever it points, and a range that is not mapped is refused.
        let _ = unsafe { madvise(start.cast(), bytes, Advice::LinuxHugepage) };
    }

    pub(super) fn stays_small(start: *mut u8, bytes: usize) {
        // SAFETY: as above.
        let _ = unsafe { madvise(start.cast(), bytes, Advice::LinuxNoHugepage) };
    }

    /// Has the system give memory, and tells how long that took. `None`: it does not do that.
    pub(super) fn touch(start: *mut u8, bytes: usize) -> Option<Duration> {
        let begun = thread_time();
        // SAFETY: as above: what is there stays, what is not is zeroed, and memory that cannot be written is refused.
        let done = unsafe { madvise(start.cast(), bytes, Advice::LinuxPopulateWrite) };
        let taken = thread_time().saturating_sub(begun);
        done.is_ok().then_some(taken)
    }

    fn thread_time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        // Neither is ever negative, and there are less than a thousand million of the second.
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

#[cfg(not(target_os = "linux"))]
mod hint {
    pub(super) fn may_be_huge(_start: *mut u8, _bytes: usize) {}

    pub(super) fn stays_small(_start: *mut u8, _bytes: usize) {}

    pub(super) fn touch(_start: *mut u8, _bytes: usize) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(100);

    /// How many pages are left small before the next is asked for.
    fn left_small(pace: &Pace) -> u32 {
        (0..).find(|_| pace.asks()).unwrap()
    }

    #[test]
    fn huge_pages_are_asked_for_as_long_as_they_come_quickly() {
        let pace = Pace::new();
        for time in [QUICK, Duration::ZERO, SLOW, PRESENT] {
            assert_eq!(left_small(&pace), 0);
            pace.took(time);
        }
        assert_eq!(left_small(&pace), 0);
    }

    #[test]
    fn slow_ones_are_asked_for_less_and_less_until_one_is_quick() {
        let pace = Pace::new();
        for left in [16, 32, 64, 128, 256, 512, 1024, 1024] {
            pace.took(SLOW * 2);
            assert_eq!(left_small(&pace), left);
        }
        // One that was there says nothing.
        pace.took(PRESENT);
        pace.took(SLOW * 2);
        assert_eq!(left_small(&pace), LEFT_SMALL_MAX);
        pace.took(QUICK);
        assert_eq!(left_small(&pace), 0);
        pace.took(SLOW * 2);
        assert_eq!(left_small(&pace), LEFT_SMALL_MIN);
    }

    #[test]
    fn only_whole_huge_pages_of_long_ranges_count() {
        let page = HUGE_PAGE;
        assert_eq!(huge_pages(page * 7, page * 4), page * 7..page * 11);
        assert_eq!(huge_pages(page * 7 + 1, page * 4), page * 8..page * 11);
        assert_eq!(huge_pages(page * 7 - 64, page * 2), page * 7..page * 8);
        assert!(huge_pages(page * 7, page * 2 - 1).is_empty());
        assert!(huge_pages(page * 7, 0).is_empty());
    }

    /// What was there stays, whatever pages it gets.
    #[test]
    fn hints_change_no_bytes() {
        let mut bytes: Vec<u8> = (0..16u32 << 20).map(|index| (index % 251) as u8).collect();
        let (base, length) = (bytes.as_mut_ptr(), bytes.len());
        for _ in 0..3 {
            prepare(base, length);
            hint::stays_small(base.with_addr(huge_pages(base.addr(), length).start), HUGE_PAGE);
            settle(base, length);
        }
        assert!(bytes.iter().enumerate().all(|(index, byte)| *byte == (index % 251) as u8));
    }
}
