//! Readiness: operations by attempts, when the system says that one can succeed. Needs nothing that a system lacks or a
//! filter forbids.
//!
//! | file             | what lives there                                                        |
//! |------------------|-------------------------------------------------------------------------|
//! | `event_set.rs`   | which handles are ready: the contract; unsafe                            |
//! | `epoll.rs`, `poll.rs`, `kqueue.rs` | the three mechanisms behind it                         |
//! | `descriptors.rs` | who waits for which handle                                              |
//! | `lower.rs`       | what a kind does when it begins, and when its handle is ready            |
//! | `sockets.rs`     | attempts at sockets; unsafe                                             |
//! | `workers.rs`     | threads that wait for files                                             |
//!
//! 1. **An operation begins when it is pushed**, on the poll thread. It ends at once, or joins a line at its handle.
//! 2. **Nothing that users gave runs inside an exchange**: whatever ends there is queued, and given out by `next`. So no
//!    handle can be closed, and no number used again, while the reports of one wait are worked off.
//! 3. **Whoever leaves the last place at a handle disarms it**, before the operation is given back, and with it the handle.
//!    After that nothing here refers to it.
//! 4. Handles are armed together, right before the next wait. One that cannot be armed ends what would have waited for it.
//! 5. A handle that the mechanism cannot watch because it is always ready, as files are for epoll, is ready.
//! 6. No chain is linked here: an instant operation has ended when it is pushed, so the proactor starts what is behind it.
//! 7. What ends while others are given out waits for the next exchange, so that nobody keeps a poll busy for ever. Connections
//!    do not, up to a bound: one for each exchange is less than others make where thousands of handles are ready, too.
//! 8. **The end waits for files, but not for ever**: what a thread is stuck in cannot be stopped, so its memory has to stay.
//!    When only such operations are left, and nothing comes from them for [`PATIENCE`], the exchange fails. They stay with
//!    their threads, which the proactor leaves behind, and are not called back; their parameters and callbacks are dropped
//!    when the system lets go of them.

mod descriptors;
#[cfg(target_os = "linux")]
mod epoll;
mod event_set;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
mod kqueue;
mod lower;
mod open;
mod poll;
mod sockets;
mod streams;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod workers;

pub(super) use open::{open_epoll, open_kqueue, open_poll};

use super::Ended;
use crate::event_handle::{EventHandle, lower as lower_wake};
use crate::ops::{Interest, Kind};
use crate::record::Erased;
use crate::table::Key;
use descriptors::{Descriptors, Line, NOBODY};
use event_set::{Arming, EventSet, Fired, Mask};
use lower::{Begun, First, Outcome};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::Streams;
use weft_sync::{Deadline, Result, bail};
use workers::{Finished, PATIENCE, Workers};

/// Connections that one exchange accepts beyond the first of each listener (rule 7).
const ACCEPTED_MAX: usize = 256;

/// See the header.
pub(crate) struct Readiness {
    set: EventSet,
    wake: Arc<EventHandle>,
    map: Descriptors,
    /// Of each slot: the operation that waits, and the generation of its slot.
    operations: Box<[Option<(u64, Erased)>]>,
    /// Places of watches, by number, and numbers by place above those of slots.
    watches: HashMap<u64, u32>,
    numbers: Vec<u64>,
    /// Made with the first operation on a file.
    workers: Option<Workers>,
    streams: Streams,
    /// When those that workers still have are given up (rule 8).
    given_up: Option<Instant>,
    /// What has ended, in order.
    ended: VecDeque<Ended>,
    /// How many of them had when the last exchange was over.
    due: usize,
    /// How many more connections it may accept.
    acceptable: usize,
    /// What one wait has told.
    fired: Vec<Fired>,
}

impl Readiness {
    fn new(set: EventSet, wake: Arc<EventHandle>, slots: u32) -> Readiness {
        Readiness {
            set,
            wake,
            map: Descriptors::new(slots),
            operations: (0..slots).map(|_| None).collect(),
            watches: HashMap::new(),
            numbers: Vec::new(),
            workers: None,
            streams: Streams::default(),
            given_up: None,
            ended: VecDeque::with_capacity(slots as usize),
            due: 0,
            acceptable: 0,
            fired: Vec::new(),
        }
    }

    pub(crate) fn bind(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn room(&mut self) -> usize {
        usize::MAX
    }

    /// Rule 1.
    pub(crate) fn push(&mut self, key: Key, mut operation: Erased, is_linked: bool) {
        assert!(!is_linked, "rule 6: links are not told of as a capability");
        let slot = key.index;
        match lower::begin(&mut operation) {
            Begun::Ended(outcome) => self.ended.push_back(Ended::Operation { slot, operation, outcome }),
            Begun::Waits { fd, line, mask, first } => {
                if let Some(outcome) = self.attempt_first(fd, line, first, &mut operation) {
                    if operation.kind() == Kind::SocketAccept && self.acceptable > 0 {
                        self.acceptable -= 1;
                        self.due += 1;
                    }
                    return self.ended.push_back(Ended::Operation { slot, operation, outcome });
                }
                self.operations[slot as usize] = Some((key.generation, operation));
                self.map.join(slot, fd, line, mask);
            }
            Begun::Blocks => match self.streams.place(&mut operation) {
                Some((fd, line)) => {
                    self.operations[slot as usize] = Some((key.generation, operation));
                    self.map.join(slot, fd, line, line.direction() | Mask::TROUBLE);
                }
                None => self.have_done(key, operation),
            },
        }
    }

    /// An attempt before anything is armed, unless somebody was there before.
    fn attempt_first(
        &mut self,
        fd: RawFd,
        line: Line,
        first: First,
        operation: &mut Erased,
    ) -> Option<Outcome> {
        let is_made = match first {
            First::None => false,
            First::Attempt => true,
            First::IfFull => self.map.has_more(fd),
        };
        if !is_made || self.map.first(fd, line) != NOBODY {
            return None;
        }
        self.attempt(fd, operation, Mask::empty())
    }

    fn attempt(&mut self, fd: RawFd, operation: &mut Erased, ready: Mask) -> Option<Outcome> {
        let outcome = lower::attempt(operation, ready);
        if operation.kind() == Kind::SocketRecv {
            let has_more = outcome.as_ref().is_some_and(|outcome| lower::is_full(operation, outcome));
            self.map.set_more(fd, has_more);
        }
        outcome
    }

    fn have_done(&mut self, key: Key, operation: Erased) {
        let (slots, wake) = (self.operations.len(), &self.wake);
        let workers = self.workers.get_or_insert_with(|| Workers::new(slots, Arc::clone(wake)));
        if let Err((operation, errno)) = workers.push(key, operation) {
            let outcome = Err(errno.raw_os_error());
            self.come_back(Finished { slot: key.index, operation, outcome });
        }
    }

    /// Somebody's file that is a stream is ready: a worker gets the operation.
    fn hand_over(&mut self, fd: RawFd, line: Line, key: Key, operation: Erased) {
        if let Some(fd) = self.map.leave(key.index) {
            // Rule 3.
            self.set.disarm(fd);
        }
        self.map.set_occupied(fd, line, true);
        self.streams.begin(key.index, fd, line);
        self.have_done(key, operation);
    }

    fn come_back(&mut self, Finished { slot, operation, outcome }: Finished) {
        if let Some((fd, line)) = self.streams.end(slot) {
            self.map.set_occupied(fd, line, false);
        }
        self.ended.push_back(Ended::Operation { slot, operation, outcome });
    }

    /// Takes in what workers have done. Whoever `awaits` is woken when there is nothing yet.
    fn take_done(&mut self, awaits: bool) {
        let Some(mut workers) = self.workers.take() else { return };
        if workers.is_busy() {
            workers.take(awaits).for_each(|finished| self.come_back(finished));
        }
        self.workers = Some(workers);
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        let is_waiting = matches!(
            self.operations.get(key.index as usize),
            Some(Some((generation, _))) if *generation == key.generation
        );
        let outcome = Err(Errno::CANCELED.raw_os_error());
        if is_waiting {
            self.end(key.index, outcome);
        } else if let Some(operation) = self.workers.as_mut().and_then(|workers| workers.cancel(key)) {
            self.come_back(Finished { slot: key.index, operation, outcome });
        }
    }

    /// Rule 8. Of operations on files only the end asks for this.
    pub(crate) fn let_go(&mut self, key: Key) {
        if self.workers.as_ref().is_some_and(|workers| workers.has(key.index)) {
            self.given_up.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }

    pub(crate) fn poll(&mut self, number: u64, fd: BorrowedFd<'_>, interest: Interest) {
        let waiter = self.map.new_watch();
        let place = waiter as usize - self.operations.len();
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, 0);
        }
        self.numbers[place] = number;
        self.watches.insert(number, waiter);
        self.map.join(waiter, fd.as_raw_fd(), Line::Observers, lower::of_interest(interest));
    }

    pub(crate) fn cancel_poll(&mut self, number: u64) {
        // One that was told already is in the queue.
        if let Some(&waiter) = self.watches.get(&number) {
            self.end(waiter, Err(Errno::CANCELED.raw_os_error()));
        }
    }

    pub(crate) fn is_due(&mut self) -> bool {
        !self.ended.is_empty()
            || self.map.has_changes()
            || self.map.armed() > 0
            || self.map.has_rests()
            || self.workers.as_ref().is_some_and(Workers::is_busy)
    }

    pub(crate) fn is_brief(&self) -> bool {
        !self.ended.is_empty()
    }

    pub(crate) fn exchange(&mut self, wait: Option<Deadline>) -> Result<()> {
        let rest = self.map.end_rests();
        self.arm_changed();
        self.take_done(wait.is_some() && self.ended.is_empty());
        let relief = self.workers.as_mut().and_then(Workers::relieve);
        let end = self.given_up.map(|end| end.saturating_duration_since(Instant::now()));
        let limit = match wait {
            Some(deadline) if self.ended.is_empty() => {
                [rest, relief, end].into_iter().fold(deadline.remaining(), shorter)
            }
            _ => Some(Duration::ZERO),
        };
        // Whoever does not wait looks for what is armed only: a wake is for those who sleep.
        let outcome = match limit.is_some_and(|limit| limit.is_zero()) && self.map.armed() == 0 {
            true => Ok(()),
            false => self.wait(limit),
        };
        self.take_done(false);
        self.due = self.ended.len();
        self.acceptable = ACCEPTED_MAX;
        if let Some(workers) = self.workers.as_mut().filter(|workers| workers.is_busy())
            && self.given_up.is_some_and(|end| end <= Instant::now())
            && self.ended.is_empty()
        {
            workers.give_up();
            bail!(Aborted, "operations on files do not come back, and are left to their threads");
        }
        outcome.map_err(|errno| crate::errno::failure(errno, "waiting for handles to be ready"))
    }

    /// Rule 7.
    pub(crate) fn next(&mut self) -> Option<Ended> {
        self.due = self.due.checked_sub(1)?;
        self.ended.pop_front()
    }

    pub(crate) fn close(&mut self) {}

    /// Rule 4.
    fn arm_changed(&mut self) {
        while let Some(change) = self.map.next_change() {
            let Some(arming) = change else { continue };
            match self.set.arm(&arming) {
                Ok(()) => self.map.has_armed(&arming),
                Err(errno) => {
                    self.map.has_not_armed(arming.fd);
                    self.refuse(&arming, errno);
                }
            }
        }
    }

    /// A handle could not be armed: those who wait for more than is armed are served (rule 5), or end.
    #[cold]
    fn refuse(&mut self, arming: &Arming, errno: Errno) {
        let missing = arming.mask - arming.armed;
        if errno == Errno::PERM {
            return self.serve(arming.fd, missing & (Mask::IN | Mask::OUT));
        }
        for line in [Line::Readers, Line::Writers, Line::Observers] {
            let mut waiter = self.map.first(arming.fd, line);
            while waiter != NOBODY {
                let after = self.map.after(waiter);
                if self.map.mask(waiter).intersects(missing) {
                    self.end(waiter, Err(errno.raw_os_error()));
                }
                waiter = after;
            }
        }
    }

    fn wait(&mut self, limit: Option<Duration>) -> std::result::Result<(), Errno> {
        let mut fired = std::mem::take(&mut self.fired);
        let outcome = self.set.wait(limit, &mut fired);
        for report in fired.drain(..) {
            if self.map.take(&report) {
                self.serve(report.fd, report.ready);
            }
        }
        self.fired = fired;
        if outcome? {
            lower_wake(&self.wake);
        }
        Ok(())
    }

    /// A handle is ready: those who wait for that are served, in order.
    fn serve(&mut self, fd: RawFd, ready: Mask) {
        let mut observer = self.map.first(fd, Line::Observers);
        while observer != NOBODY {
            let after = self.map.after(observer);
            let found = ready & self.map.mask(observer);
            if !found.is_empty() {
                self.tell(observer, found);
            }
            observer = after;
        }
        for line in [Line::Readers, Line::Writers] {
            // Trouble is everybody's: the attempt finds out what it is.
            if ready.intersects(line.direction() | Mask::TROUBLE) {
                self.serve_line(fd, line, ready);
            }
        }
    }

    fn serve_line(&mut self, fd: RawFd, line: Line, ready: Mask) {
        let mut is_fruitful = false;
        loop {
            let waiter = self.map.first(fd, line);
            if waiter == NOBODY {
                return;
            }
            let Some((generation, mut operation)) = self.operations[waiter as usize].take() else { return };
            if operation.kind().is_file() {
                return self.hand_over(fd, line, Key { index: waiter, generation }, operation);
            }
            let outcome = self.attempt(fd, &mut operation, ready);
            self.operations[waiter as usize] = Some((generation, operation));
            match outcome {
                Some(outcome) => {
                    self.map.was_fruitful(fd);
                    is_fruitful = true;
                    self.end(waiter, outcome);
                }
                None if is_fruitful => return,
                None => return self.map.was_fruitless(fd, ready & (line.direction() | Mask::TROUBLE)),
            }
        }
    }

    /// Ends one that only looks.
    fn tell(&mut self, waiter: u32, found: Mask) {
        let outcome = match self.operations.get_mut(waiter as usize) {
            Some(Some((_, operation))) => lower::attempt(operation, found).unwrap_or(Ok(0)),
            Some(None) => return,
            None if found.contains(Mask::INVALID) => Err(Errno::BADF.raw_os_error()),
            None => Ok(i64::from(found.bits())),
        };
        self.end(waiter, outcome);
    }

    /// Whoever waits has ended: leaves the line, and goes to the queue.
    fn end(&mut self, waiter: u32, outcome: Outcome) {
        if let Some(fd) = self.map.leave(waiter) {
            // Rule 3.
            self.set.disarm(fd);
        }
        let slots = self.operations.len();
        let Some(place) = self.operations.get_mut(waiter as usize) else {
            let number = self.numbers[waiter as usize - slots];
            self.watches.remove(&number);
            self.map.free_watch(waiter);
            let result = outcome.map_or_else(|errno| errno.wrapping_neg(), |bits| bits as i32);
            return self.ended.push_back(Ended::Watch { number, result });
        };
        if let Some((_, operation)) = place.take() {
            self.ended.push_back(Ended::Operation { slot: waiter, operation, outcome });
        }
    }
}

/// The shorter of two limits, where `None` is none.
fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
