//! Readiness by `poll(2)`: an array of what is armed, handed over whole with each wait.
//!
//! 1. What is told is taken out of the array, by moving the last element to its place. That place is looked at again.
//! 2. The wake handle is the first element and never moves.
//! 3. A number that is no open handle is told as such, by the wait.
//! 4. **No call takes more elements than the process may have handles**, and that limit can be lowered while more are open.
//!    Then the array is waited for in parts: all of them are looked at, then the first one, with the wake in it, is
//!    waited for, a moment each time. So whatever is in another part is told up to that moment late. Where not even the
//!    wake may be waited for, that is `RESOURCE_EXHAUSTED`.

use super::event_set::{Arming, Fired, Mask, held, timespec};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// How long one part of the array is waited for: short beside what people notice, and the looks take nothing beside it.
const MOMENT: Duration = Duration::from_millis(10);

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

    /// Rule 4.
    #[cold]
    fn wait_in_parts(&mut self, limit: Option<Duration>) -> Result<usize, Errno> {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut size = self.array.len();
        loop {
            // The limit may change at any time.
            let Some(left) = self.look_in_parts(size)? else {
                size /= 2;
                continue;
            };
            let rest = end.map_or(MOMENT, |end| end.saturating_duration_since(Instant::now()).min(MOMENT));
            if left > 0 || rest.is_zero() {
                return Ok(left);
            }
            match rustix::event::poll(&mut self.array[..size], Some(&timespec(rest))) {
                Err(Errno::INVAL) | Ok(0) => {}
                outcome => return outcome,
            }
        }
    }

    /// How many are ready now, asked for in parts of this size. `None`: those are too large. Whatever is told stays told
    /// for as long as nobody asks again.
    fn look_in_parts(&mut self, size: usize) -> Result<Option<usize>, Errno> {
        if size == 0 {
            return Err(Errno::MFILE);
        }
        let mut left = 0;
        for part in self.array.chunks_mut(size) {
            match rustix::event::poll(part, Some(&timespec(Duration::ZERO))) {
                Ok(count) => left += count,
                Err(Errno::INVAL) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
        Ok(Some(left))
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
        let mut left = match rustix::event::poll(&mut self.array, limit.map(timespec).as_ref()) {
            // Nothing else of this call can be invalid.
            Err(Errno::INVAL) => self.wait_in_parts(limit)?,
            outcome => outcome?,
        };
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
