//! Readiness by `poll(2)`: an array of what is armed, handed over whole with each wait.
//!
//! 1. What is told is taken out of the array, by moving the last element to its place. That place is looked at again.
//! 2. The wake handle is the first element and never moves.
//! 3. A number that is no open handle is told as such, by the wait.

use super::event_set::{Arming, Fired, Mask, held, timespec};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// See the header.
pub(super) struct PollSet {
    array: Vec<PollFd<'static>>,
    /// Beside the array.
    generations: Vec<u32>,
    places: HashMap<RawFd, usize>,
}

impl PollSet {
    /// A set with this wake handle, which stays open for as long.
    pub(super) fn new(wake: BorrowedFd<'_>) -> Result<PollSet, Errno> {
        let wake = PollFd::from_borrowed_fd(held(wake.as_raw_fd()), PollFlags::IN);
        let mut set = PollSet { array: vec![wake], generations: vec![0], places: HashMap::new() };
        set.wait(Some(Duration::ZERO), &mut Vec::new())?;
        Ok(set)
    }

    pub(super) fn arm(&mut self, arming: &Arming) -> Result<(), Errno> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, arming.mask.contains(Mask::IN));
        flags.set(PollFlags::OUT, arming.mask.contains(Mask::OUT));
        let element = PollFd::from_borrowed_fd(held(arming.fd), flags);
        match self.places.get(&arming.fd) {
            Some(&place) => {
                self.array[place] = element;
                self.generations[place] = arming.generation;
            }
            None => {
                self.places.insert(arming.fd, self.array.len());
                self.array.push(element);
                self.generations.push(arming.generation);
            }
        }
        Ok(())
    }

    pub(super) fn disarm(&mut self, fd: RawFd) {
        if let Some(place) = self.places.remove(&fd) {
            self.close_gap(place);
        }
    }

    /// The element of this place goes, the last one takes it.
    fn close_gap(&mut self, place: usize) {
        self.array.swap_remove(place);
        self.generations.swap_remove(place);
        if let Some(moved) = self.array.get(place) {
            self.places.insert(moved.as_fd().as_raw_fd(), place);
        }
    }

    pub(super) fn wait(&mut self, limit: Option<Duration>, fired: &mut Vec<Fired>) -> Result<bool, Errno> {
        let limit = limit.map(timespec);
        let mut left = rustix::event::poll(&mut self.array, limit.as_ref())?;
        let is_woken = !self.array[0].revents().is_empty();
        left -= usize::from(is_woken);
        let mut place = 1;
        while left > 0 && place < self.array.len() {
            let found = self.array[place].revents();
            if found.is_empty() {
                place += 1;
                continue;
            }
            left -= 1;
            let fd = self.array[place].as_fd().as_raw_fd();
            let ready = told(found);
            fired.push(Fired { fd, generation: self.generations[place], ready, disarmed: Mask::all() });
            // Rule 1.
            self.disarm(fd);
        }
        Ok(is_woken)
    }
}

/// What the system has told; the numbers are the same, their type is not.
fn told(found: PollFlags) -> Mask {
    let names = [
        (PollFlags::IN, Mask::IN),
        (PollFlags::OUT, Mask::OUT),
        (PollFlags::ERR, Mask::ERR),
        (PollFlags::HUP, Mask::HUP),
        (PollFlags::NVAL, Mask::INVALID),
    ];
    let set = names.into_iter().filter(|(flag, _)| found.contains(*flag));
    set.fold(Mask::empty(), |ready, (_, mask)| ready | mask)
}
