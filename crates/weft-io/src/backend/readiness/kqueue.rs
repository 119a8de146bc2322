#![allow(unsafe_code, reason = "changes name handles by number, and the list of events may be of any memory")]
//! Readiness by kqueue, on macOS and FreeBSD.
//!
//! 1. One filter for each direction, one-shot: told once, then gone. What one handle is ready for comes as two events.
//! 2. **All or nothing**: each change is answered for by a receipt, and if one fails, those that worked are taken back. A
//!    filter that is armed already is not touched: adding it again may lose what it was about to tell.
//! 3. A filter that is deleted may be gone: by its event, or with its handle.
//! 4. The end of a stream is told with a flag; what was received before it may still be read, so both are reported.
//! 5. Errors and hang-ups come with a direction: to wait for them alone is not possible here.
//!
//! # Safety
//!
//! Changes name handles that are open for as long as they are armed: whoever waits for one owns it. The lists of changes
//! and events live across the call, and udata is a number, never used as an address.

use super::event_set::{Arming, Fired, Mask, timespec};
use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent_timespec, kqueue};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Events that are taken with one call.
const BATCH: usize = 64;

const DIRECTIONS: [Mask; 2] = [Mask::IN, Mask::OUT];

/// See the header.
pub(super) struct Kqueue {
    fd: OwnedFd,
    wake: RawFd,
}

impl Kqueue {
    /// A set with this wake handle, which stays open for as long.
    pub(super) fn new(wake: BorrowedFd<'_>) -> Result<Kqueue, Errno> {
        let fd = kqueue()?;
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        let mut set = Kqueue { fd, wake: wake.as_raw_fd() };
        set.change(&[set.event(set.wake, Mask::IN, 0, EventFlags::ADD)])?;
        set.wait(Some(Duration::ZERO), &mut Vec::new())?;
        Ok(set)
    }

    fn event(&self, fd: RawFd, direction: Mask, generation: u32, flags: EventFlags) -> Event {
        let filter = match direction {
            Mask::OUT => EventFilter::Write(fd),
            _ => EventFilter::Read(fd),
        };
        let data = ptr::without_provenance_mut(generation as usize);
        Event::new(filter, flags | EventFlags::RECEIPT, data)
    }

    /// Makes up to two changes. Rule 2.
    fn change(&mut self, changes: &[Event]) -> Result<(), Errno> {
        let mut receipts = [const { MaybeUninit::<Event>::uninit() }; 2];
        // SAFETY: see the header.
        let (answers, _) =
            unsafe { kevent_timespec(&self.fd, changes, &mut receipts[..changes.len()], None) }?;
        let error = |answer: &Event| {
            let errno = i32::try_from(answer.data()).unwrap_or(0);
            (errno != 0).then(|| Errno::from_raw_os_error(errno))
        };
        answers.iter().find_map(error).map_or(Ok(()), Err)
    }

    pub(super) fn arm(&mut self, arming: &Arming) -> Result<(), Errno> {
        let missing = arming.mask - arming.armed;
        if !arming.mask.intersects(Mask::IN | Mask::OUT) {
            // Rule 5.
            return Err(Errno::OPNOTSUPP);
        }
        let flags = EventFlags::ADD | EventFlags::ONESHOT;
        let directions = DIRECTIONS.into_iter().filter(|direction| missing.contains(*direction));
        let changes: Vec<Event> = directions
            .clone()
            .map(|direction| self.event(arming.fd, direction, arming.generation, flags))
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.change(&changes).inspect_err(|_| {
            for direction in directions {
                self.delete(arming.fd, direction);
            }
        })
    }

    pub(super) fn disarm(&mut self, fd: RawFd) {
        for direction in DIRECTIONS {
            self.delete(fd, direction);
        }
    }

    /// Rule 3.
    fn delete(&mut self, fd: RawFd, direction: Mask) {
        let _ = self.change(&[self.event(fd, direction, 0, EventFlags::DELETE)]);
    }

    pub(super) fn wait(&mut self, limit: Option<Duration>, fired: &mut Vec<Fired>) -> Result<bool, Errno> {
        let limit = limit.map(timespec);
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        // SAFETY: see the header.
        let (events, _) = unsafe { kevent_timespec(&self.fd, &[], &mut events[..], limit.as_ref()) }?;
        let mut is_woken = false;
        for event in events.iter() {
            let (fd, direction) = match event.filter() {
                EventFilter::Read(fd) if fd == self.wake => {
                    is_woken = true;
                    continue;
                }
                EventFilter::Read(fd) => (fd, Mask::IN),
                EventFilter::Write(fd) => (fd, Mask::OUT),
                _ => continue,
            };
            let mut ready = direction;
            // Rule 4.
            ready.set(Mask::HUP, event.flags().contains(EventFlags::EOF));
            ready.set(Mask::ERR, event.flags().contains(EventFlags::ERROR));
            fired.push(Fired { fd, generation: event.udata().addr() as u32, ready, disarmed: direction });
        }
        Ok(is_woken)
    }
}
