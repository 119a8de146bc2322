#![allow(unsafe_code, reason = "handles that operations own are borrowed by number here, in one place")]
//! Which handles are ready: one contract, three mechanisms.
//!
//! What lives here: [`Mask`], [`Fired`], [`EventSet`]. What does not: who waits for a handle (`descriptors.rs`), the calls of
//! each mechanism (`epoll.rs`, `poll.rs`, `kqueue.rs`).
//!
//! 1. **Armed once, told once.** What was told is not armed any more, so nothing that is ready can make a wait spin, also
//!    if nobody is there who would take it: not a hang-up that stays, and not the ghost of a handle that was closed
//!    while a duplicate of it is open.
//! 2. **By level**: what is ready when it is armed is told.
//! 3. Arming what is armed replaces it, or adds to it; what is told carries the generation that it was armed with.
//! 4. Errors and hang-ups are told without being asked for.
//! 5. The wake handle is always armed, and told by the result of `wait`.
//! 6. A wait that a signal interrupts ends with nothing told; no wait ends before its limit for another reason of the
//!    mechanism's own than a limit of its clock, which is rounded up.

#[cfg(target_os = "linux")]
use super::epoll::Epoll;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use super::kqueue::Kqueue;
use super::poll::PollSet;
use rustix::event::Timespec;
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

bitflags::bitflags! {
    /// What a handle is ready for, in the numbers of `poll(2)`, which are the same on every system that has it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Mask: u32 {
        const IN = 0x1;
        const OUT = 0x4;
        const ERR = 0x8;
        const HUP = 0x10;
        const INVALID = 0x20;
    }
}

impl Mask {
    /// What is told without being asked for.
    pub(super) const TROUBLE: Mask = Mask::ERR.union(Mask::HUP).union(Mask::INVALID);
}

/// A handle that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) fd: RawFd,
    pub(super) generation: u32,
    pub(super) ready: Mask,
    /// What is not armed any more.
    pub(super) disarmed: Mask,
}

/// How a handle is to be armed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arming {
    pub(super) fd: RawFd,
    pub(super) generation: u32,
    pub(super) mask: Mask,
    /// What of it is armed already, in this generation.
    pub(super) armed: Mask,
    /// Whether the mechanism probably remembers the handle.
    pub(super) is_known: bool,
}

/// No wait takes longer: it ends with nothing told, and whoever waits waits again. Every mechanism can count so far.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// See the header.
pub(super) enum EventSet {
    #[cfg(target_os = "linux")]
    Epoll(Epoll),
    Poll(PollSet),
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    Kqueue(Kqueue),
}

macro_rules! each {
    ($self:ident, $set:ident => $body:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            EventSet::Epoll($set) => $body,
            EventSet::Poll($set) => $body,
            #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
            EventSet::Kqueue($set) => $body,
        }
    };
}

impl EventSet {
    /// Arms a handle that is open. A failure arms nothing that was not armed before.
    pub(super) fn arm(&mut self, arming: &Arming) -> Result<(), Errno> {
        each!(self, set => set.arm(arming))
    }

    /// Arms it no more; of no effect on a handle that is not armed.
    pub(super) fn disarm(&mut self, fd: RawFd) {
        each!(self, set => set.disarm(fd));
    }

    /// Waits until something is ready or the limit passes; `None` is no limit. Appends what is ready; `true`: the wake.
    pub(super) fn wait(&mut self, limit: Option<Duration>, fired: &mut Vec<Fired>) -> Result<bool, Errno> {
        let limit = limit.map(|limit| limit.min(LIMIT_MAX));
        match each!(self, set => set.wait(limit, fired)) {
            Err(Errno::INTR) => Ok(false),
            outcome => outcome,
        }
    }
}

/// A limit as the system takes it.
pub(super) fn timespec(limit: Duration) -> Timespec {
    // Below `LIMIT_MAX`.
    Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ }
}

/// The handle of this number, which is open: whoever waits for it owns it, for as long as it is armed.
pub(super) fn held(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: no number is negative: it is that of a handle. It is used for the next system call, or for as long as the
    // handle is armed, and a mechanism that finds it closed says so and touches no memory.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
