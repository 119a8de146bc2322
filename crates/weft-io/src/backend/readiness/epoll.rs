#![allow(
    unsafe_code,
    reason = "waits go into a list that can be sent, by calls to which no safe crate gives one"
)]
//! Readiness by epoll.
//!
//! 1. Each handle is registered one-shot: told once, then known and disabled, and armed again by a modification. It is not
//!    taken out when nobody waits any more but has to be if it is armed; the kernel forgets it when it is closed.
//! 2. Whether the kernel knows it is a guess of the caller's, and the answer says when the guess was wrong: a number may
//!    have been closed and given to another handle since.
//! 3. Limits go to the nanosecond where the kernel takes them so (`epoll_pwait2`, 5.11), else up to the next millisecond.
//!
//! # Safety
//!
//! The list of events is the set's own, of the kernel's form, and as long as the kernel is told. The limit is a pair of
//! 64-bit numbers on every architecture.

use super::event_set::{Arming, Fired, Mask, held};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Events that are taken with one call. What is left is told by the next one, and what was told goes to the end.
const BATCH: usize = 256;

/// What the wake handle is registered with; no handle has this number.
const WAKE: u64 = u64::MAX;

/// See the header.
pub(super) struct Epoll {
    fd: OwnedFd,
    events: Box<[libc::epoll_event]>,
    has_nanoseconds: bool,
}

impl Epoll {
    /// A set with this wake handle, which stays open for as long.
    pub(super) fn new(wake: BorrowedFd<'_>) -> Result<Epoll, Errno> {
        let fd = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&fd, wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; BATCH].into();
        let mut set = Epoll { fd, events, has_nanoseconds: true };
        // Filters that do not know the call refuse it with various numbers.
        set.has_nanoseconds = set.wait_nanoseconds(Duration::ZERO).is_ok();
        set.wait(Some(Duration::ZERO), &mut Vec::new())?;
        Ok(set)
    }

    /// Whether limits need not be rounded.
    pub(super) fn has_nanoseconds(&self) -> bool {
        self.has_nanoseconds
    }

    /// As on a kernel that counts milliseconds.
    #[cfg(test)]
    pub(super) fn round_up(&mut self) {
        self.has_nanoseconds = false;
    }

    pub(super) fn arm(&mut self, arming: &Arming) -> Result<(), Errno> {
        let fd = held(arming.fd);
        let mut flags = EventFlags::ONESHOT;
        flags.set(EventFlags::IN, arming.mask.contains(Mask::IN));
        flags.set(EventFlags::OUT, arming.mask.contains(Mask::OUT));
        let data = || EventData::new_u64(pack(arming.fd, arming.generation));
        // Rule 2.
        if arming.is_known {
            match epoll::modify(&self.fd, fd, data(), flags) {
                Err(Errno::NOENT) => {}
                outcome => return outcome,
            }
        }
        match epoll::add(&self.fd, fd, data(), flags) {
            Err(Errno::EXIST) => epoll::modify(&self.fd, fd, data(), flags),
            outcome => outcome,
        }
    }

    pub(super) fn disarm(&mut self, fd: RawFd) {
        // What is not there is not armed.
        let _ = epoll::delete(&self.fd, held(fd));
    }

    pub(super) fn wait(&mut self, limit: Option<Duration>, fired: &mut Vec<Fired>) -> Result<bool, Errno> {
        let count = match limit {
            Some(limit) if self.has_nanoseconds => self.wait_nanoseconds(limit)?,
            _ => self.wait_milliseconds(limit.map_or(-1, up_to_milliseconds))?,
        };
        let mut is_woken = false;
        for event in &self.events[..count] {
            let (data, flags) = (event.u64, event.events);
            if data == WAKE {
                is_woken = true;
                continue;
            }
            let (fd, generation) = unpack(data);
            let ready = Mask::from_bits_truncate(flags);
            fired.push(Fired { fd, generation, ready, disarmed: Mask::all() });
        }
        Ok(is_woken)
    }

    fn wait_nanoseconds(&mut self, limit: Duration) -> Result<usize, Errno> {
        let limit = [limit.as_secs() as i64, i64::from(limit.subsec_nanos())];
        let (fd, room) = (self.fd.as_raw_fd(), self.events.len());
        let (events, no_signals) = (self.events.as_mut_ptr(), std::ptr::null::<u64>());
        let call = libc::SYS_epoll_pwait2;
        // SAFETY: see the header; `limit` and `events` live across the call, which takes no set of signals.
        count_of(unsafe { libc::syscall(call, fd, events, room, limit.as_ptr(), no_signals, 0) })
    }

    fn wait_milliseconds(&mut self, limit: i32) -> Result<usize, Errno> {
        let room = self.events.len() as i32;
        // SAFETY: see the header; `events` lives across the call.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), room, limit) };
        count_of(count.into())
    }
}

fn count_of(answer: i64) -> Result<usize, Errno> {
    // Only -1 is no count.
    usize::try_from(answer)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// Rule 3. A limit that was cut would make the last millisecond a busy loop.
fn up_to_milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

fn pack(fd: RawFd, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(fd as u32)
}

fn unpack(data: u64) -> (RawFd, u32) {
    (data as u32 as RawFd, (data >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [async-backends 35] What is left of a limit is waited for, not spun away.
    #[test]
    fn limits_are_rounded_up() {
        let up = |nanoseconds| up_to_milliseconds(Duration::from_nanos(nanoseconds));
        assert_eq!([up(0), up(1), up(1_000_000), up(1_000_001), up(1_999_000_001)], [0, 1, 1, 2, 2000]);
        assert_eq!(up_to_milliseconds(Duration::MAX), i32::MAX);
        assert_eq!(unpack(pack(7, u32::MAX)), (7, u32::MAX));
        assert_ne!(pack(RawFd::MAX, u32::MAX), WAKE);
    }
}
