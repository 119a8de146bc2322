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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    /// Calls `body` with a set of each kind that this system has, and its wake handle.
    fn every(body: impl Fn(&mut EventSet, &mut UnixStream)) {
        let wake = || UnixStream::pair().unwrap();
        let (read, mut write) = wake();
        body(&mut EventSet::Poll(PollSet::new(read.as_fd()).unwrap()), &mut write);
        #[cfg(target_os = "linux")]
        {
            let (read, mut write) = wake();
            let mut set = Epoll::new(read.as_fd()).unwrap();
            set.round_up();
            body(&mut EventSet::Epoll(set), &mut write);
            let (read, mut write) = wake();
            body(&mut EventSet::Epoll(Epoll::new(read.as_fd()).unwrap()), &mut write);
        }
        #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
        {
            let (read, mut write) = wake();
            body(&mut EventSet::Kqueue(Kqueue::new(read.as_fd()).unwrap()), &mut write);
        }
    }

    fn arming(fd: &impl AsRawFd, generation: u32, mask: Mask) -> Arming {
        Arming { fd: fd.as_raw_fd(), generation, mask, armed: Mask::empty(), is_known: false }
    }

    fn now(set: &mut EventSet) -> Vec<Fired> {
        let mut fired = Vec::new();
        assert!(!set.wait(Some(Duration::ZERO), &mut fired).unwrap(), "nobody woke it");
        fired
    }

    /// [async-backends 203] [async-backends 209] What is armed is told once, however long it stays ready; armed again it is
    /// told again. Arming twice is arming once, with what was said last; what is not armed may be disarmed.
    #[test]
    fn what_is_armed_is_told_once() {
        every(|set, _| {
            let (here, mut there) = UnixStream::pair().unwrap();
            set.disarm(here.as_raw_fd());
            set.arm(&arming(&here, 7, Mask::IN)).unwrap();
            assert_eq!(now(set), []);
            there.write_all(b"x").unwrap();
            let told = now(set);
            assert_eq!(told.len(), 1);
            assert_eq!((told[0].fd, told[0].generation), (here.as_raw_fd(), 7));
            assert_eq!(told[0].ready, Mask::IN);
            assert_eq!(now(set), [], "it is not armed");
            let again = Arming { is_known: true, ..arming(&here, 8, Mask::IN | Mask::OUT) };
            set.arm(&Arming { mask: Mask::OUT, ..again }).unwrap();
            set.arm(&Arming { armed: Mask::OUT, ..again }).unwrap();
            let ready = now(set).iter().fold(Mask::empty(), |ready, fired| {
                assert_eq!(fired.generation, 8);
                ready | fired.ready
            });
            assert_eq!(ready, Mask::IN | Mask::OUT);
            set.arm(&again).unwrap();
            set.disarm(here.as_raw_fd());
            assert_eq!(now(set), []);
            // A hang-up that stays is told once, too.
            drop(there);
            set.arm(&arming(&here, 9, Mask::IN)).unwrap();
            assert!(now(set)[0].ready.contains(Mask::IN));
            assert_eq!(now(set), []);
        });
    }

    /// [async-backends 203] More than one batch: each is told, whichever is disarmed meanwhile.
    #[test]
    fn many_are_told() {
        every(|set, _| {
            let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
            for (index, (here, there)) in pairs.iter().enumerate() {
                set.arm(&arming(here, index as u32, Mask::IN)).unwrap();
                (&mut &*there).write_all(b"x").unwrap();
            }
            for (here, _) in pairs.iter().step_by(3) {
                set.disarm(here.as_raw_fd());
            }
            let mut found = Vec::new();
            loop {
                let told = now(set);
                if told.is_empty() {
                    break;
                }
                found.extend(told.iter().map(|fired| fired.generation as usize));
            }
            found.sort_unstable();
            let expected: Vec<usize> = (0..pairs.len()).filter(|index| index % 3 != 0).collect();
            assert_eq!(found, expected);
        });
    }

    /// [async-backends 205] A handle that was closed while a duplicate of it is open is told of once at most, in its own
    /// generation; the next with its number is told in its own.
    #[test]
    fn ghosts_are_told_apart() {
        every(|set, _| {
            let (here, mut there) = UnixStream::pair().unwrap();
            let duplicate = here.try_clone().unwrap();
            let number = here.as_raw_fd();
            set.arm(&arming(&here, 1, Mask::IN)).unwrap();
            let (next, mut other) = UnixStream::pair().unwrap();
            // The number changes hands in one step, so that no other test takes it.
            let mut place = OwnedFd::from(here);
            rustix::io::dup2(&next, &mut place).unwrap();
            assert_eq!(place.as_raw_fd(), number);
            // The set is told to forget what it has under the number, as when the last waiter leaves: too late for the ghost.
            set.disarm(number);
            set.arm(&Arming { is_known: true, ..arming(&place, 2, Mask::IN) }).unwrap();
            there.write_all(b"x").unwrap();
            assert!(now(set).iter().all(|fired| fired.generation == 1));
            assert_eq!(now(set), [], "a ghost does not come again");
            other.write_all(b"x").unwrap();
            assert_eq!(now(set)[0].generation, 2);
            drop(duplicate);
        });
    }

    /// [async-backends 203] Limits are kept; a wake is told for as long as it is not taken, beside everything else.
    #[test]
    fn limits_and_wakes() {
        every(|set, wake| {
            for limit in [300_000, 2_500_000] {
                let limit = Duration::from_nanos(limit);
                let start = Instant::now();
                assert!(!set.wait(Some(limit), &mut Vec::new()).unwrap());
                assert!(start.elapsed() >= limit);
            }
            wake.write_all(b"x").unwrap();
            for _ in 0..2 {
                assert!(set.wait(None, &mut Vec::new()).unwrap());
            }
            let (here, mut there) = UnixStream::pair().unwrap();
            there.write_all(b"x").unwrap();
            set.arm(&arming(&here, 0, Mask::IN)).unwrap();
            let mut fired = Vec::new();
            assert!(set.wait(None, &mut fired).unwrap());
            assert_eq!(fired.len(), 1);
            (&here).read_exact(&mut [0]).unwrap();
        });
    }
}
