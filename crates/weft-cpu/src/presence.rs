//! Pages of large blocks: huge ones where they are quick to have, and present before they are needed.
//!
//! Why: a huge page that the system has at hand costs half of the 512 small ones in its place, or less: 0.15 ms. One that
//! it has to put together, or that the host of a virtual machine took away and has to bring again, costs several times as
//! much as those: 4 ms, or 2 s a GiB. No setting and no count tells the two apart; only the clock does. And whoever
//! reads a file into memory that is not there does the work of both, one after the other.
//!
//! 1. Only memory that was just taken from the heap, and that its owner is about to fill, is made present
//!    ([`Presence::prefault`]): nothing else would be used, and of pages that are there the clock says nothing. Some are all
//!    the same: a heap may keep blocks of some megabytes, and clears them; and ranges of a block may share a huge page. That
//!    costs a system call a page.
//! 2. It asks for huge pages one at a time. One that takes longer than [`SLOW`] makes the next [`SMALL_BYTES`] small ones, of
//!    whatever block; then it tries again. The clock that counts is that on the wall: a machine that waits for its host
//!    uses no processor. A thread that was kept from running takes a page for slow that was not, and loses little.
//! 3. Advice is for whole blocks, which costs no mapping of its own, and is in the end what it was in the beginning, so that
//!    the system may make small pages huge later.
//! 4. Where the system does not do this (Linux before 5.14), whoever touches the memory first does.

#![allow(unsafe_code, reason = "advises the system of memory")]

use std::ops::Range;
use std::ptr::NonNull;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};
use weft_hal::Pinned;
use weft_sync::atomic::{AtomicU64, Ordering};

pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// From this size on blocks are aligned to huge pages.
pub(crate) const HUGE_BYTES_MIN: usize = 4 << 20;

/// What a step makes present: 4 ms of small pages, half a one of huge ones.
const STEP_BYTES: usize = 8 << 20;

/// A huge page that takes longer is dearer than 512 small ones: those take 0.3 to 1.2 ms.
#[cfg(target_os = "linux")]
const SLOW: Duration = Duration::from_millis(1);

/// What is made of small pages then. Trying again costs a slow page, 4 ms, beside 70 for so many small ones.
const SMALL_BYTES: u64 = 128 << 20;

/// How large pages are for the next blocks.
#[derive(Default)]
pub(crate) struct Presence {
    /// Rule 2. Threads that count at once may lose some.
    small_bytes_left: AtomicU64,
}

/// Of a block that was just made: its pages are to be huge.
pub(crate) fn want_huge_pages(base: NonNull<u8>, size: usize) {
    if size >= HUGE_BYTES_MIN {
        Pages { base, bytes: size / HUGE_PAGE * HUGE_PAGE }.want_huge(true);
    }
}

impl Presence {
    /// A step by rules 1 and 2, from the huge page on in which the range begins; where the next begins, or the range's end
    /// after the last. The tail of a block that is no whole huge page is left to whoever touches it.
    pub(crate) fn prefault(&self, block: &Pinned<'_>, range: Range<usize>) -> usize {
        let Some(base) = NonNull::new(block.base()) else { return range.end };
        let is_aligned = base.addr().get().is_multiple_of(HUGE_PAGE);
        if block.length() < HUGE_BYTES_MIN || !is_aligned {
            return range.end;
        }
        let whole = Pages { base, bytes: block.length() / HUGE_PAGE * HUGE_PAGE };
        // Nothing but whole pages of the block: what lies behind them belongs to others.
        let from = range.start.min(whole.bytes) / HUGE_PAGE * HUGE_PAGE;
        let all = range.end.min(whole.bytes).next_multiple_of(HUGE_PAGE);
        let end = all.min(from.saturating_add(STEP_BYTES));
        let is_there = self.make_present(&whole, from, end);
        if is_there && end < all { end } else { range.end }
    }

    /// `false` if the system does not do this.
    fn make_present(&self, whole: &impl Advised, from: usize, end: usize) -> bool {
        // Relaxed, here and below: a count, with no order to anything.
        let mut left = self.small_bytes_left.load(Ordering::Relaxed);
        let mut is_huge = left == 0;
        if !is_huge {
            whole.want_huge(false);
        }
        let mut is_there = true;
        for at in (from..end).step_by(HUGE_PAGE) {
            match whole.make_present(at) {
                None => {
                    is_there = false;
                    break;
                }
                Some(is_slow) if is_huge && is_slow => {
                    is_huge = false;
                    left = SMALL_BYTES;
                    whole.want_huge(false);
                }
                Some(_) if !is_huge => left = left.saturating_sub(HUGE_PAGE as u64),
                Some(_) => {}
            }
        }
        if !is_huge {
            self.small_bytes_left.store(left, Ordering::Relaxed);
            whole.want_huge(true);
        }
        is_there
    }
}

/// What a system can be told of memory.
trait Advised {
    /// How large the pages are to be that come next.
    fn want_huge(&self, is_huge: bool);

    /// Makes present what begins at byte `at`, and says whether that was slow; `None` if it cannot.
    fn make_present(&self, at: usize) -> Option<bool>;
}

/// The huge pages that a block of this module's caller consists of.
#[derive(Clone, Copy)]
struct Pages {
    base: NonNull<u8>,
    bytes: usize,
}

#[cfg(target_os = "linux")]
impl Advised for Pages {
    fn want_huge(&self, is_huge: bool) {
        let advice = if is_huge { Advice::LinuxHugepage } else { Advice::LinuxNoHugepage };
        // SAFETY: the range lies within a block and starts at a page; the advice does not change contents. A failure only
        // means pages of another size.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.bytes, advice) };
    }

    fn make_present(&self, at: usize) -> Option<bool> {
        let start = Instant::now();
        let first = self.base.as_ptr().wrapping_add(at);
        // SAFETY: a huge page of the block; the system writes nothing into it that others see.
        unsafe { madvise(first.cast(), HUGE_PAGE, Advice::LinuxPopulateWrite) }.ok()?;
        Some(start.elapsed() > SLOW)
    }
}

#[cfg(not(target_os = "linux"))]
impl Advised for Pages {
    fn want_huge(&self, _is_huge: bool) {}

    fn make_present(&self, _at: usize) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A system whose huge pages run out, and which cannot do more than so much.
    struct Fake {
        quick: Cell<usize>,
        cannot_from: usize,
        is_huge: Cell<bool>,
        /// Of which size each page was.
        made: RefCell<Vec<bool>>,
    }

    impl Fake {
        fn new(quick: usize) -> Fake {
            Fake {
                quick: Cell::new(quick),
                cannot_from: usize::MAX,
                is_huge: Cell::new(true),
                made: RefCell::default(),
            }
        }

        fn huge_pages(&self) -> usize {
            self.made.borrow().iter().filter(|&&is_huge| is_huge).count()
        }
    }

    impl Advised for Fake {
        fn want_huge(&self, is_huge: bool) {
            self.is_huge.set(is_huge);
        }

        fn make_present(&self, at: usize) -> Option<bool> {
            let is_huge = self.is_huge.get();
            self.made.borrow_mut().push(is_huge);
            let is_slow = is_huge && self.quick.get() == 0;
            if is_huge && !is_slow {
                self.quick.set(self.quick.get() - 1);
            }
            (at < self.cannot_from).then_some(is_slow)
        }
    }

    /// A step at a time, as a device does it.
    fn all(presence: &Presence, system: &Fake, bytes: usize) -> bool {
        (0..bytes).step_by(STEP_BYTES).all(|from| {
            let is_there = presence.make_present(system, from, bytes.min(from + STEP_BYTES));
            assert!(system.is_huge.get(), "the advice is as it was");
            is_there
        })
    }

    #[test]
    fn huge_pages_are_taken_while_they_are_quick() {
        let (presence, system) = (Presence::default(), Fake::new(100));
        assert!(all(&presence, &system, 200 << 20));
        assert_eq!((system.huge_pages(), system.made.borrow().len()), (100, 100));
        // The next is slow; and then one in 128 MiB, also over several blocks, until they are quick again.
        for _ in 0..4 {
            assert!(all(&presence, &system, 65 << 20));
        }
        assert_eq!(system.huge_pages(), 100 + 3, "{:?}", system.made.borrow());
        system.quick.set(1000);
        assert!(all(&presence, &system, 512 << 20));
        assert!(system.huge_pages() > 100 + 3 + 128);
    }

    #[test]
    fn what_the_system_cannot_do_is_left() {
        for quick in [0, 100] {
            let system = Fake { cannot_from: 10 << 20, ..Fake::new(quick) };
            assert!(!all(&Presence::default(), &system, 64 << 20));
            assert_eq!(system.made.borrow().len(), 6);
        }
    }
}
