//! Linux: the kernel keeps the sleepers; the word needs nothing beside it.

use crate::Deadline;
use crate::atomic::AtomicU32;
use rustix::thread::futex::{self, Flags, Timespec};

#[derive(Debug)]
pub(super) struct Means;

impl Means {
    pub(super) const fn new() -> Means {
        Means
    }

    pub(super) fn sleep(&self, word: &AtomicU32, expected: u32, deadline: Deadline) {
        // A delay beyond the range of the kernel's clock is as good as none.
        let timeout = deadline.remaining().and_then(|left| Timespec::try_from(left).ok());
        // Every way in which this can fail (the word has changed, a signal, the time is up) is a reason to look
        // again, which the caller does anyway.
        let _ = futex::wait(word, Flags::PRIVATE, expected, timeout.as_ref());
    }

    pub(super) fn wake(&self, word: &AtomicU32, count: u32) {
        // The kernel counts in signed numbers. It can only fail for a word that is not mapped.
        let _ = futex::wake(word, Flags::PRIVATE, count.min(i32::MAX as u32));
    }
}
