#![allow(
    unsafe_code,
    reason = "entries that name memory are pushed here, and the ring is used through shared references"
)]
//! The ring, and what the kernel may still use.
//!
//! What lives here: [`Ring`], pushing, entering, reaping, and the operations that the kernel has. What does not: what an
//! entry means (`lower.rs`), when something is pushed (`mod.rs`).
//!
//! # Safety
//!
//! 1. **Whatever an entry names outlives it.** An entry of an operation is made from the operation's own memory (or from
//!    what its parameters share), and `push` takes the operation along: it lies in `in_flight` until the kernel's answer
//!    was seen. Entries of other kinds name no memory, except the one of the wake, whose word lives as long as the ring
//!    and until its last answer.
//! 2. **A ring that goes away with answers missing leaks** what the kernel may still write to.
//! 3. One thread uses a bound ring: `Ring` is used by `&mut`, and whoever binds it does not send it away afterwards. So
//!    the shared forms of the queues, which must not be used from two threads, are not.
//! 4. `submitter` refers to what `ring` points at. The ring is in an `Arc` that this struct never gives away and drops
//!    last, and nothing borrows it exclusively, so the references stay good for as long as the submitter is used.

use super::setup::number;
use super::tag::Use;
use crate::ops::Kind;
use crate::record::Erased;
use io_uring::{EnterFlags, IoUring, Submitter, squeue, types};
use rustix::io::Errno;
use std::sync::Arc;
use weft_sync::Deadline;

/// Completions that are copied at a time.
const COPIED_MAX: usize = 32;

/// An answer of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    pub(super) user_data: u64,
    pub(super) result: i32,
    /// See [`flag`].
    pub(super) flags: u32,
}

/// Flags of answers.
pub(super) mod flag {
    /// A buffer was picked; its number is in the upper half.
    pub const BUFFER: u32 = 1;
    /// Another answer follows.
    pub const MORE: u32 = 1 << 1;
    /// A receive has left something in the socket.
    pub const NOT_EMPTY: u32 = 1 << 2;
    /// The memory of a send is not needed any more.
    pub const NOTIFICATION: u32 = 1 << 3;
    /// The buffer that was picked is not used up.
    pub const BUFFER_GOES_ON: u32 = 1 << 4;
}

/// An operation that the kernel has.
pub(super) struct InFlight {
    pub(super) of: Use,
    pub(super) operation: Erased,
    /// Whether it was asked to end.
    pub(super) is_cancelled: bool,
    /// Whether this is not the first time that the kernel has it.
    pub(super) is_repeated: bool,
    /// What the first of two answers said; the second is missing.
    pub(super) result: Option<i32>,
}

/// See the header.
pub(super) struct Ring {
    /// Declared before `ring`: dropped before it (rule 4).
    submitter: Submitter<'static>,
    ring: Arc<IoUring>,
    /// Of each slot: the operation that the kernel has, and of which use it is.
    in_flight: Box<[Option<InFlight>]>,
    /// How many there are.
    count: usize,
    /// What is known of the one that was lent out, which is still with the kernel.
    lent: Option<(Use, bool, bool, Option<i32>)>,
    /// What the read of the wake writes to.
    wake_word: *mut u64,
    /// Whether that read is under way.
    is_wake_armed: bool,
    /// Entries since the last call whose answers come without waiting for anything. In a chain each begins with the end
    /// of the one before: a call that waited for one answer would come back with the first of them.
    instant: u32,
    /// Entries that fit before the next call: what the kernel has taken is only looked at then.
    room: usize,
    /// Completions that were there at the last look and have not been copied yet.
    left: usize,
    /// Copied completions, and which of them are still to be given out. Copied many at a time: each look at the queue
    /// touches lines that the kernel writes.
    copied: [Answer; COPIED_MAX],
    next: usize,
    end: usize,
    tells_of_work: bool,
    /// The thread that has bound it knows it by a number, and holds it by that.
    is_registered: bool,
}

// SAFETY: rule 3. Until it is bound a ring is only moved and dropped; the queues' pointers are into mappings of the
// process, good on every thread.
unsafe impl Send for Ring {}

impl Ring {
    pub(super) fn new(ring: IoUring, slots: u32, tells_of_work: bool) -> Ring {
        let ring = Arc::new(ring);
        let shared: *const IoUring = Arc::as_ptr(&ring);
        // SAFETY: rule 4.
        let shared: &'static IoUring = unsafe { &*shared };
        Ring {
            submitter: shared.submitter(),
            room: ring.params().sq_entries() as usize,
            ring,
            in_flight: (0..slots).map(|_| None).collect(),
            count: 0,
            lent: None,
            wake_word: Box::into_raw(Box::new(0)),
            is_wake_armed: false,
            instant: 0,
            left: 0,
            copied: [Answer::default(); COPIED_MAX],
            next: 0,
            end: 0,
            tells_of_work,
            is_registered: false,
        }
    }

    /// Makes the calling thread the owner, if the ring waits for one.
    pub(super) fn enable(&mut self, is_disabled: bool) -> Result<(), Errno> {
        if is_disabled {
            self.submitter.register_enable_rings().map_err(|error| number(&error))?;
        }
        // Saves the look-up of the handle in each call. A kernel that does not know it goes without, and so does a thread
        // that has as many rings as the kernel registers for one.
        self.is_registered = self.submitter.register_ring_fd().is_ok();
        Ok(())
    }

    /// How many entries fit.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Pushes the entry of an operation, which belongs to the kernel until its answer.
    #[inline]
    pub(super) fn push(
        &mut self,
        of: Use,
        mut operation: Erased,
        lower: impl FnOnce(&mut Erased) -> squeue::Entry,
    ) {
        let entry = lower(&mut operation);
        self.instant += u32::from(operation.kind().is_instant());
        let place = &mut self.in_flight[of.slot as usize];
        assert!(place.is_none(), "one operation in a slot at a time");
        *place = Some(InFlight { of, operation, is_cancelled: false, is_repeated: false, result: None });
        self.count += 1;
        self.push_entry(&entry);
    }

    /// Pushes an entry that names no memory, or what the caller has put in `in_flight`. There is room.
    #[inline]
    pub(super) fn push_entry(&mut self, entry: &squeue::Entry) {
        // SAFETY: rule 3.
        let mut queue = unsafe { self.ring.submission_shared() };
        // SAFETY: rule 1.
        let pushed = unsafe { queue.push(entry) };
        assert!(pushed.is_ok(), "the caller has seen that there is room");
        self.room -= 1;
    }

    /// The read of the wake handle, if it is not under way.
    pub(super) fn arm_wake(&mut self, lower: impl FnOnce(*mut u64) -> squeue::Entry) {
        if !self.is_wake_armed {
            self.is_wake_armed = true;
            self.push_entry(&lower(self.wake_word));
        }
    }

    /// The read of the wake handle was answered.
    pub(super) fn disarm_wake(&mut self) {
        self.is_wake_armed = false;
    }

    pub(super) fn is_wake_armed(&self) -> bool {
        self.is_wake_armed
    }

    /// The operation of this use of a slot, whose answer has come.
    #[inline]
    pub(super) fn take(&mut self, of: Use) -> Option<InFlight> {
        if !self.has(of) {
            return None;
        }
        self.count -= 1;
        self.in_flight[of.slot as usize].take()
    }

    /// The kind of the operation of this use of a slot, if the kernel has it.
    pub(super) fn kind(&self, of: Use) -> Option<Kind> {
        match self.in_flight.get(of.slot as usize) {
            Some(Some(found)) if found.of == of => Some(found.operation.kind()),
            _ => None,
        }
    }

    /// Whether the operation of this use of a slot has had the first of its two answers, and what that was.
    pub(super) fn result(&self, of: Use) -> Option<i32> {
        match self.in_flight.get(of.slot as usize) {
            Some(Some(found)) if found.of == of => found.result,
            _ => None,
        }
    }

    /// Keeps the first of two answers.
    pub(super) fn note_result(&mut self, of: Use, result: i32) {
        if let Some(Some(found)) = self.in_flight.get_mut(of.slot as usize)
            && found.of == of
        {
            found.result = Some(result);
        }
    }

    /// See `Lower::let_go`. Touches what the kernel does not.
    pub(super) fn let_go(&self, of: Use) {
        if let Some(Some(found)) = self.in_flight.get(of.slot as usize)
            && found.of == of
        {
            found.operation.let_go();
        }
    }

    /// Lends out an operation that the kernel goes on with. It comes back by `resume` before anything else is asked for.
    pub(super) fn lend(&mut self, of: Use) -> Option<Erased> {
        assert!(self.lent.is_none(), "one at a time");
        if !self.has(of) {
            return None;
        }
        let InFlight { of, operation, is_cancelled, is_repeated, result } =
            self.in_flight[of.slot as usize].take()?;
        self.lent = Some((of, is_cancelled, is_repeated, result));
        Some(operation)
    }

    /// Takes back what was lent.
    pub(super) fn resume(&mut self, slot: u32, operation: Erased) {
        let (of, is_cancelled, is_repeated, result) = self.lent.take().expect("it was lent");
        assert_eq!(of.slot, slot, "it was this one");
        self.in_flight[slot as usize] = Some(InFlight { of, operation, is_cancelled, is_repeated, result });
    }

    /// Keeps an operation that was taken for a second answer, to an entry that the caller pushes next.
    pub(super) fn put_back(&mut self, again: InFlight) {
        let place = &mut self.in_flight[again.of.slot as usize];
        assert!(place.is_none(), "one operation in a slot at a time");
        *place = Some(again);
        self.count += 1;
    }

    /// Somebody wants it to end.
    pub(super) fn note_cancel(&mut self, of: Use) {
        if let Some(Some(found)) = self.in_flight.get_mut(of.slot as usize)
            && found.of == of
        {
            found.is_cancelled = true;
        }
    }

    /// Whether the kernel has the operation of this use of a slot.
    #[inline]
    pub(super) fn has(&self, of: Use) -> bool {
        matches!(self.in_flight.get(of.slot as usize), Some(Some(found)) if found.of == of)
    }

    /// Whether there is something to hand over, or to take in.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        // SAFETY: rule 3.
        let completions = unsafe { self.ring.completion_shared() };
        !completions.is_empty() || self.has_copies() || self.needs_call()
    }

    /// Whether the next call comes back at once, also one that waits.
    #[inline]
    pub(super) fn is_brief(&self) -> bool {
        self.instant > 0
    }

    /// Whether answers that were taken from the queue have not been given out. Whoever is interrupted leaves some.
    #[inline]
    pub(super) fn has_copies(&self) -> bool {
        self.next < self.end
    }

    /// Whether the kernel has to be asked: it has not taken everything, or holds completions back.
    #[inline]
    fn needs_call(&self) -> bool {
        // SAFETY: rule 3.
        let queue = unsafe { self.ring.submission_shared() };
        !self.tells_of_work || !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Hands everything over and waits for a completion, until the deadline; or does not wait.
    pub(super) fn enter(&mut self, wait: Option<Deadline>) -> Result<(), Errno> {
        if wait.is_none() && !self.needs_call() {
            return Ok(());
        }
        // SAFETY: rule 3.
        let to_submit = unsafe { self.ring.submission_shared() }.len() as u32;
        // A kernel that takes less than it is given does not wait at all, so what it waits for always comes.
        let instant = std::mem::take(&mut self.instant);
        let want = instant.max(1);
        let remaining = wait.map(Deadline::remaining);
        let get = EnterFlags::GETEVENTS.bits();
        let outcome = match remaining {
            // Whoever does not wait, or not any more.
            None => self.call(to_submit, instant, get, None),
            Some(Some(left)) if left.is_zero() => self.call(to_submit, instant, get, None),
            Some(None) => self.call(to_submit, want, get, None),
            Some(Some(left)) => {
                let limit = types::Timespec::from(left);
                let arguments = types::SubmitArgs::new().timespec(&limit);
                self.call(to_submit, want, get | EnterFlags::EXT_ARG.bits(), Some(&arguments))
            }
        };
        // SAFETY: rule 3.
        let queue = unsafe { self.ring.submission_shared() };
        self.room = queue.capacity() - queue.len();
        drop(queue);
        match outcome {
            // The kernel is short of memory or of room for completions: what was not taken stays in the queue, and is
            // handed over again after the completions have been delivered.
            Ok(_) | Err(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn call(
        &self,
        to_submit: u32,
        want: u32,
        flags: u32,
        arguments: Option<&types::SubmitArgs<'_, '_>>,
    ) -> Result<usize, Errno> {
        // SAFETY: the flags fit the argument: `EXT_ARG` comes with one, and without it the call takes none.
        let outcome = unsafe { self.submitter.enter(to_submit, want, flags, arguments) };
        outcome.map_err(|error| number(&error))
    }

    /// Looks how many completions there are now; `next` gives out that many.
    #[inline]
    pub(super) fn look(&mut self) {
        // SAFETY: rule 3.
        self.left = unsafe { self.ring.completion_shared() }.len();
    }

    /// One of the completions that were there at the last look.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Answer> {
        if self.next == self.end && !self.copy() {
            return None;
        }
        let answer = self.copied[self.next];
        self.next += 1;
        Some(answer)
    }

    /// Copies completions, and gives their places back to the kernel. `false`: there are none left.
    fn copy(&mut self) -> bool {
        // SAFETY: rule 3.
        let queue = unsafe { self.ring.completion_shared() };
        let count = self.left.min(COPIED_MAX);
        self.end = 0;
        for (entry, place) in queue.take(count).zip(&mut self.copied) {
            let (user_data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            *place = Answer { user_data, result, flags };
            self.end += 1;
        }
        self.left -= count;
        self.next = 0;
        self.end > 0
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.is_registered {
            // Or else the ring would live as long as the thread. This is the thread that has registered it: by rule 3 a
            // bound ring stays where it is. Should it fail, that is all that happens.
            drop(self.submitter.unregister_ring_fd());
        }
        if self.count > 0 {
            // Rule 2.
            std::mem::forget(std::mem::take(&mut self.in_flight));
        }
        if !self.is_wake_armed {
            // SAFETY: rule 1: it came from a box, and no read of the kernel is under way.
            drop(unsafe { Box::from_raw(self.wake_word) });
        }
    }
}

/// Pushes an entry of a trial ring, which has room for it.
pub(super) fn push_trial(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: a trial names no memory but what it has leaked, and frees that after the answer.
    let pushed = unsafe { ring.submission().push(entry) };
    assert!(pushed.is_ok(), "a trial ring has room");
}

/// Frees what a trial has leaked and the kernel has answered for.
pub(super) fn unleak(word: &'static mut u64) {
    // SAFETY: `try_out` leaked it from a box, and passes it on once.
    drop(unsafe { Box::from_raw(word) });
}

#[cfg(test)]
mod tests {
    use super::super::setup;
    use super::*;
    use crate::config::Config;

    fn bound() -> Option<Ring> {
        let made = setup::ring(&Config::new()).inspect_err(|why| println!("skipped: {why}")).ok()?;
        let mut ring = Ring::new(made.ring, 1, made.rung.tells_of_work);
        ring.enable(made.rung.is_single).expect("nobody else has enabled it");
        Some(ring)
    }

    /// [async-backends 3] A ring that is gone leaves its place to the next: a thread registers sixteen at a time, and any
    /// number one after another; what it cannot register works all the same.
    #[test]
    fn rings_come_and_go() {
        let Some(first) = bound() else { return };
        if !first.is_registered {
            return println!("skipped: this kernel registers none");
        }
        for round in 0..40 {
            assert!(bound().is_some_and(|ring| ring.is_registered), "round {round}");
        }
        let many: Vec<Ring> = (0..20).filter_map(|_| bound()).collect();
        assert!(many.iter().any(|ring| !ring.is_registered));
        for mut ring in many {
            ring.arm_wake(|_| io_uring::opcode::Nop::new().build().user_data(1));
            ring.enter(Some(Deadline::NEVER)).expect("it is entered by its handle, too");
            ring.look();
            assert_eq!(ring.next().map(|answer| answer.user_data), Some(1));
            ring.disarm_wake();
        }
        assert!(bound().is_some_and(|ring| ring.is_registered));
    }

    /// [async-backends 214] Without a flag for that a kernel stops at an entry that it does not take; what is behind it is
    /// handed over by the next call, and each is answered.
    #[test]
    fn a_bad_entry_does_not_stop_what_is_behind_it() {
        use io_uring::{opcode, types::FsyncFlags};
        for ring_rung in [0, 5] {
            let config = Config { ring_rung, ..Config::new() };
            let Ok(made) = setup::ring(&config) else { return println!("skipped: no ring") };
            let mut ring = Ring::new(made.ring, 1, made.rung.tells_of_work);
            ring.enable(made.rung.is_single).expect("nobody else has enabled it");
            let unknown = FsyncFlags::from_bits_retain(1 << 30);
            for user_data in 1..=6 {
                let entry = match user_data {
                    2 | 5 => opcode::Fsync::new(types::Fd(-1)).flags(unknown).build(),
                    _ => opcode::Nop::new().build(),
                };
                ring.push_entry(&entry.user_data(user_data));
            }
            let mut answers = Vec::new();
            let mut calls = 0;
            while answers.len() < 6 {
                ring.enter(Some(Deadline::NEVER)).expect("it is entered");
                ring.look();
                while let Some(answer) = ring.next() {
                    let is_bad = answer.result == Errno::INVAL.raw_os_error().wrapping_neg();
                    assert_eq!(is_bad, matches!(answer.user_data, 2 | 5), "{answer:?}");
                    answers.push(answer.user_data);
                }
                calls += 1;
            }
            assert_eq!(answers, [1, 2, 3, 4, 5, 6]);
            // Or else the kernel did not stop, and nothing was shown.
            assert!(ring_rung == 0 || calls > 1, "{calls} calls");
        }
    }
}
