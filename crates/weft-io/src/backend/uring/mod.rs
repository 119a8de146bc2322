//! io_uring: one ring, filled and entered by the poll thread alone.
//!
//! | file       | what lives there                                                          |
//! |------------|---------------------------------------------------------------------------|
//! | `setup.rs` | the ladder of ring set-ups, what is required, the trial                     |
//! | `detect.rs`| what the kernel has beyond that: tries of single capabilities; unsafe       |
//! | `ring.rs`  | the ring itself, and what the kernel may still use; unsafe                  |
//! | `tag.rs`   | what a completion is about, in 64 bits                                      |
//! | `lower.rs` | operation → entry, answer → outcome                                         |
//! | `rest.rs`  | when what the kernel gave up is asked for again                             |
//! | `memory.rs`| which memory the ring knows; the calls, unsafe, are in `register.rs`        |
//! | `files.rs` | which open files the ring knows by a place in its table            |
//! | `group.rs` | a ring of buffers from which the kernel picks one; unsafe                   |
//!
//! 1. **Entries are made by the poll thread only**, from operations that it took off the pending list, and handed over in
//!    batches with the wait, but for rule 8. So no lock guards the queue, nothing is ever rolled back, and no other thread
//!    enters.
//! 2. **A full queue** is no failure: operations wait in the proactor, entries of this backend's own (cancels, watches)
//!    in `own`, and both go on when the kernel has taken what is there.
//! 3. **A wake** is one standing read of an eventfd: it ends the wait, and takes the signal.
//! 4. **A cancel may come before its operation has begun** in the kernel (behind a link). Then the kernel finds nothing,
//!    and it is asked again for as long as the operation is there.
//! 5. **Overflow of the completion queue** loses nothing (a kernel that would lose is refused): the flag makes the next
//!    exchange enter, and that refills the queue. A request for many completions is ended by it, and says so in the last
//!    one that it has; it is made again.
//! 6. **A send without a copy is answered twice**: with its result, and when its memory is not needed any more. It has ended
//!    with the second. The first is kept; that it is a failure does not make it the last. Such a send is in no chain of
//!    the kernel, where it could be cancelled by a single answer with a second one behind it.
//! 7. **"Not now" is no end** of what waits for a socket or an event, nor of an open: the kernel is asked again, see
//!    `rest.rs`. What a send had got done by then it has told, and the rest of it is asked for.
//! 8. **A transfer past the system's cache is handed over alone**, at once, the members of a chain together: the device
//!    begins with it while the next one is made, and what it has done meanwhile is looked at. Reads of 4 KiB at random, 32
//!    at once, take 7.3 instead of 9.4 µs each on a bare ring, 1 at once as long as before. Out of the cache it would cost a
//!    quarter.

mod detect;
mod files;
mod group;
mod lower;
mod memory;
mod register;
mod registrar;
mod rest;
mod ring;
mod setup;
mod tag;

use super::open::Opened;
use super::{Backend, Ended, Waker};
use crate::capability::Capabilities;
use crate::config::Config;
use crate::event::{new_eventfd, raise};
use crate::ops::{Interest, Kind};
use crate::record::Erased;
use crate::table::Key;
use io_uring::{opcode, squeue, types};
use rest::Rests;
use ring::{Answer, InFlight, Ring, flag};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tag::{Tag, Use};
use weft_sync::{Deadline, Instant, Result, Status};

pub(crate) use files::{Files, Place, Registered};
pub(crate) use group::Group;
pub(crate) use memory::{Hold, Memory};

/// See the header.
pub(crate) struct Uring {
    /// Declared before `ring`: it knows the ring by a handle, until it is dropped.
    memory: Knowing,
    /// The same. `None`: the kernel has no such table, or it is not to be used.
    files: Option<KnowingFiles>,
    ring: Ring,
    /// The number of the proactor.
    proactor: u32,
    is_disabled: bool,
    wake: Arc<OwnedFd>,
    /// Entries of this backend's own that found no room, in order.
    own: VecDeque<squeue::Entry>,
    /// Operations to be cancelled that the kernel did not find.
    missed: Vec<Use>,
    /// Operations that the kernel gave up, which are with this backend until they are asked for again.
    rests: Rests,
}

/// What the ring knows of memory; nothing any more when this is dropped.
struct Knowing(Arc<Memory>);

impl Drop for Knowing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Which files the ring knows; none any more when this is dropped.
struct KnowingFiles(Arc<Files>);

impl Drop for KnowingFiles {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Opens the backend, or says why it cannot be had here.
pub(super) fn open(config: &Config) -> Result<Opened> {
    let setup::Made { ring, rung, mut detected } = setup::ring(config)?;
    // Memory of a device is mapped, and its pages kept at hand if they can be.
    detected.set(Capabilities::DMABUF, detected.contains(Capabilities::REGISTERED_BUFFERS));
    let wake = Arc::new(new_eventfd().map_err(unavailable)?);
    let details = format!(
        "{}; {} entries, {} completions",
        rung.name,
        ring.params().sq_entries(),
        ring.params().cq_entries()
    );
    let allowed = detected & config.allowed;
    let has_registered = allowed.contains(Capabilities::REGISTERED_BUFFERS);
    let is_recent = allowed.contains(Capabilities::MULTISHOT);
    let abilities = memory::Abilities {
        is_single: rung.is_single,
        has_slots: has_registered && ring.params().is_feature_resource_tagging(),
        is_sparse: is_recent,
        has_groups: is_recent && allowed.contains(Capabilities::PROVIDED_BUFFERS),
        has_incremental: is_recent
            && allowed.contains(Capabilities::PROVIDED_BUFFERS | Capabilities::INCREMENTAL_BUFFERS),
    };
    let backend = Uring {
        memory: Knowing(Memory::new(ring.as_raw_fd(), abilities)),
        files: allowed
            .contains(Capabilities::FIXED_FILES)
            .then(|| KnowingFiles(Files::new(ring.as_raw_fd(), rung.is_single))),
        ring: Ring::new(ring, config.operations_max, rung.tells_of_work),
        proactor: 0,
        is_disabled: rung.is_single,
        wake: Arc::clone(&wake),
        own: VecDeque::new(),
        missed: Vec::new(),
        rests: Rests::default(),
    };
    Ok(Opened { backend: Backend::Uring(Box::new(backend)), waker: Waker::Handle(wake), details, detected })
}

fn unavailable(status: Status) -> Status {
    Status::new(weft_sync::Code::Unavailable, status.to_string())
}

impl Uring {
    pub(crate) fn introduce(&mut self, proactor: u32) {
        self.proactor = proactor;
    }

    pub(crate) fn bind(&mut self) -> Result<()> {
        let ring = &mut self.ring;
        let mut enable = || self.memory.0.while_binding(|| ring.enable(self.is_disabled));
        let enabled = match &self.files {
            Some(files) => files.0.while_binding(enable),
            None => enable(),
        };
        enabled.map_err(|errno| setup::refusal(errno, "enabling the ring"))
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.0)
    }

    pub(crate) fn files(&self) -> Option<Arc<Files>> {
        self.files.as_ref().map(|files| Arc::clone(&files.0))
    }

    #[inline]
    pub(crate) fn room(&mut self) -> usize {
        if self.own.is_empty() { self.ring.room() } else { 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: Key, operation: Erased, is_linked: bool) {
        let (of, proactor) = (Use::from(key), self.proactor);
        let mut is_direct = false;
        self.ring.push(of, operation, |operation| {
            is_direct = lower::is_direct(operation);
            let entry = lower::entry(operation, proactor).user_data(Tag::Operation(of).pack());
            if is_linked { entry.flags(squeue::Flags::IO_LINK) } else { entry }
        });
        if is_direct && !is_linked {
            // Rule 8. What the kernel does not take now is handed over with the rest, which tells what is wrong.
            let _ = self.ring.enter(None);
        }
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        self.cancel_use(Use::from(key));
    }

    fn cancel_use(&mut self, of: Use) {
        self.ring.note_cancel(of);
        if !self.rests.is_empty() && self.rests.cancel(of) {
            return;
        }
        let target = Tag::Operation(of).pack();
        self.push_own(opcode::AsyncCancel::new(target).build().user_data(Tag::Cancel(of).pack()));
    }

    pub(crate) fn poll(&mut self, number: u64, fd: BorrowedFd<'_>, interest: Interest) {
        let entry = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), interest.to_poll()).build();
        self.push_own(entry.user_data(Tag::Watch(number).pack()));
    }

    pub(crate) fn cancel_poll(&mut self, number: u64) {
        let target = Tag::Watch(number).pack();
        self.push_own(opcode::AsyncCancel::new(target).build().user_data(Tag::None.pack()));
    }

    /// Rule 2.
    fn push_own(&mut self, entry: squeue::Entry) {
        if self.own.is_empty() && self.ring.room() > 0 {
            self.ring.push_entry(&entry);
        } else {
            self.own.push_back(entry);
        }
    }

    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        self.ring.is_due() || !self.own.is_empty() || !self.missed.is_empty() || self.rests.is_due()
    }

    #[inline]
    pub(crate) fn is_brief(&self) -> bool {
        self.ring.is_brief()
    }

    pub(crate) fn exchange(&mut self, wait: Option<Deadline>) -> Result<()> {
        while let Some(of) = self.missed.pop() {
            // Rule 4. It may have ended meanwhile.
            if self.ring.has(of) {
                self.cancel_use(of);
            }
        }
        if !self.rests.is_empty() {
            self.end_rests();
        }
        let has_room = self.make_room()?;
        // Whoever could not be woken does not sleep, nor who has answers already.
        let may_sleep = has_room && !self.ring.has_copies() && !self.rests.has_ended();
        let wait = wait.filter(|_| may_sleep).map(|deadline| self.rests.limit(deadline));
        let outcome = self.ring.enter(wait);
        self.ring.look();
        outcome.map_err(|errno| crate::errno::failure(errno, "io_uring_enter"))
    }

    /// Asks for what has rested.
    fn end_rests(&mut self) {
        let now = Instant::now();
        while let Some(of) = self.rests.next_rested(now) {
            if let Some(found) = self.ring.take(of) {
                self.ask_again(found, squeue::Flags::empty());
            }
        }
    }

    /// Gives the kernel an operation once more that it has answered.
    fn ask_again(&mut self, mut found: InFlight, flags: squeue::Flags) {
        let of = found.of;
        let entry = lower::entry(&mut found.operation, self.proactor).flags(flags);
        // Neither of the answers to the question before is one to this.
        self.ring.put_back(InFlight { is_repeated: true, result: None, ..found });
        self.push_own(entry.user_data(Tag::Operation(of).pack()));
    }

    /// Rule 7: sees to it that the kernel is asked again for what it gave up, now or later. Who was cancelled has ended.
    #[cold]
    fn given_up(&mut self, mut found: InFlight) -> Option<Ended> {
        let of = found.of;
        if found.is_cancelled {
            return Some(withdrawn(found));
        }
        if lower::is_deaf(&mut found.operation) {
            let outcome = Err(Errno::INVAL.raw_os_error());
            return Some(Ended::Operation { slot: of.slot, operation: found.operation, outcome });
        }
        match self.rests.given_up(of, Instant::now()) {
            true => self.ring.put_back(InFlight { result: None, ..found }),
            false => self.ask_again(found, squeue::Flags::empty()),
        }
        None
    }

    /// Moves own entries into the ring and sees to the wake. `false`: not all have found room yet.
    fn make_room(&mut self) -> Result<bool> {
        // The queue takes all of it after one call, unless the kernel is short of something.
        for _ in 0..2 {
            while self.ring.room() > 0 {
                let Some(entry) = self.own.pop_front() else { break };
                self.ring.push_entry(&entry);
            }
            if self.own.is_empty() && (self.ring.is_wake_armed() || self.ring.room() > 0) {
                let fd = types::Fd(self.wake.as_raw_fd());
                let entry = |word: *mut u64| opcode::Read::new(fd, word.cast(), 8).build();
                self.ring.arm_wake(|word| entry(word).user_data(Tag::Wake.pack()));
                return Ok(true);
            }
            let outcome = self.ring.enter(None);
            outcome.map_err(|errno| crate::errno::failure(errno, "io_uring_enter"))?;
        }
        Ok(false)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<Ended> {
        while let Some(of) = self.rests.next_ended() {
            if let Some(found) = self.ring.take(of) {
                return Some(withdrawn(found));
            }
        }
        loop {
            let answer = self.ring.next()?;
            match Tag::unpack(answer.user_data) {
                Tag::Operation(of) => {
                    if answer.flags & (flag::MORE | flag::NOTIFICATION) != 0 {
                        match self.next_of_several(of, answer) {
                            Some(ended) => return Some(ended),
                            None => continue,
                        }
                    }
                    let Some(found) = self.ring.take(of) else {
                        debug_assert!(false, "an answer without a question: {of:?}");
                        continue;
                    };
                    if found.operation.kind().is_file() {
                        match self.conclude_file(found, answer.result) {
                            Some(ended) => return Some(ended),
                            None => continue,
                        }
                    }
                    if found.operation.kind() == Kind::SocketRecvPool {
                        match self.conclude_pooled(found, answer) {
                            Some(ended) => return Some(ended),
                            None => continue,
                        }
                    }
                    if lower::is_given_up(found.operation.kind(), answer.result) {
                        match self.given_up(found) {
                            Some(ended) => return Some(ended),
                            None => continue,
                        }
                    }
                    let mut outcome = lower::outcome(found.operation.kind(), answer.result);
                    if found.operation.kind() == Kind::SocketRecv {
                        outcome = lower::outcome_of_receive(outcome, answer.flags);
                    }
                    return Some(Ended::Operation { slot: of.slot, operation: found.operation, outcome });
                }
                Tag::Watch(number) => return Some(Ended::Watch { number, result: answer.result }),
                Tag::Wake => {
                    // Reading an own, open eventfd fails for no reason but a cancel.
                    let is_cancelled = answer.result == Errno::CANCELED.raw_os_error().wrapping_neg();
                    debug_assert!(
                        answer.result == 8 || is_cancelled,
                        "the wake ended with {}",
                        answer.result
                    );
                    self.ring.disarm_wake();
                }
                Tag::Cancel(of) => {
                    let not_found = answer.result == Errno::NOENT.raw_os_error().wrapping_neg();
                    // One that has been answered and waits for its memory has nothing left to cancel.
                    if not_found && self.ring.has(of) && self.ring.result(of).is_none() {
                        self.missed.push(of);
                    }
                }
                Tag::None => {}
            }
        }
    }

    /// An answer that is not the last, or the one that says that memory of a send is not needed any more.
    #[inline(never)]
    fn next_of_several(&mut self, of: Use, answer: Answer) -> Option<Ended> {
        let kind = self.ring.kind(of)?;
        let is_send = matches!(kind, Kind::SocketSend | Kind::SocketSendTo);
        if answer.flags & flag::NOTIFICATION != 0 {
            // The result is that of the answer before, which may have been a failure. Without one this is of a send before.
            let result = self.ring.result(of)?;
            let found = self.ring.take(of)?;
            if lower::is_given_up(kind, result) {
                return self.given_up(found);
            }
            let outcome = lower::outcome_of_zero_copy(result, answer.result);
            return Some(Ended::Operation { slot: of.slot, operation: found.operation, outcome });
        }
        if is_send {
            self.ring.note_result(of, answer.result);
            return None;
        }
        let mut operation = self.ring.lend(of)?;
        if kind == Kind::SocketRecvPool {
            // The buffer. Several answers are of those that it comes with.
            let _ = lower::outcome_of_pooled(&mut operation, &answer, self.proactor);
        }
        // Failures are final; one that is not would leave nothing to tell.
        let value = u32::try_from(answer.result).map_or(0, i64::from);
        Some(Ended::Shot { slot: of.slot, operation, value })
    }

    /// See `backend/mod.rs`.
    pub(crate) fn let_go(&mut self, key: Key) {
        self.ring.let_go(Use::from(key));
    }

    /// See `backend/mod.rs`.
    pub(crate) fn resume(&mut self, slot: u32, operation: Erased) {
        self.ring.resume(slot, operation);
    }

    /// What the last answer means to a receive into a pool. `None`: the kernel is asked again.
    fn conclude_pooled(&mut self, mut found: InFlight, answer: Answer) -> Option<Ended> {
        let outcome = lower::outcome_of_pooled(&mut found.operation, &answer, self.proactor);
        match outcome {
            Some(outcome) if !lower::is_given_up(Kind::SocketRecvPool, answer.result) => {
                Some(Ended::Operation { slot: found.of.slot, operation: found.operation, outcome })
            }
            // Also where the kernel only said that there is something, and there was nothing.
            _ => self.given_up(found),
        }
    }

    /// What the answer means to an operation on a file. `None`: the kernel is asked again.
    fn conclude_file(&mut self, mut found: InFlight, answer: i32) -> Option<Ended> {
        let InFlight { of, is_cancelled, is_repeated, .. } = found;
        let kind = found.operation.kind();
        let mut outcome = lower::outcome(kind, answer);
        if lower::is_again(kind, answer, is_repeated) {
            if !is_cancelled {
                self.ask_again(found, squeue::Flags::ASYNC);
                return None;
            }
            outcome = Err(Errno::CANCELED.raw_os_error());
        } else if lower::is_given_up(kind, answer) {
            return self.given_up(found);
        }
        lower::settle(&mut found.operation, answer);
        Some(Ended::Operation { slot: of.slot, operation: found.operation, outcome })
    }

    /// Nothing is under way but the read of the wake, which a wake ends.
    pub(crate) fn close(&mut self) {
        if self.ring.is_wake_armed() {
            raise(&self.wake);
        }
        while self.ring.is_wake_armed() {
            if self.ring.enter(Some(Deadline::NEVER)).is_err() {
                // Its word is leaked.
                return;
            }
            self.ring.look();
            while self.next().is_some() {}
        }
    }
}

/// The end of one that the kernel has not got, because of a cancel.
fn withdrawn(found: InFlight) -> Ended {
    let outcome = Err(Errno::CANCELED.raw_os_error());
    Ended::Operation { slot: found.of.slot, operation: found.operation, outcome }
}
