#![allow(
    unsafe_code,
    reason = "a slot owns its process through a raw pointer, which entrants borrow while they are counted in"
)]
//! One place in which a compute process is drained by several workers at once.
//!
//! What lives here: [`Slot`] and the types of its protocol, of which each step can only be taken after the one before:
//! [`Reservation`] → filled; [`Entry`] → [`Last`] → [`Closed`] → vacated or reopened. What does not: when to do which
//! (`ready.rs`, `compute.rs`). The rules are numbered in `README.md`, *The slot protocol*.
//!
//! `gate` = generation (32 bits) | `CLOSED` (1) | `OVER` (1) | workers inside (30).
//!
//! # Safety
//!
//! * `process` holds null, `RESERVED`, or a pointer from `Arc::into_raw` whose reference belongs to the slot.
//! * That reference is taken out only by the holder of [`Closed`], of which there is at most one, and only while nobody
//!   is counted in (rule 5). So whoever is counted in and then reads a pointer may use it until it leaves (rule 3).

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use weft_sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::process::Process;

/// The slot is being filled.
const RESERVED: *mut Process = ptr::without_provenance_mut(1);

const GENERATION: u64 = 1 << 32;
const CLOSED: u64 = 1 << 31;
/// The process is over: those who are inside see to its end.
const OVER: u64 = 1 << 30;
const COUNT: u64 = OVER - 1;

/// A slot; empty, reserved, or holding a process.
#[derive(Debug)]
pub(crate) struct Slot {
    process: AtomicPtr<Process>,
    gate: AtomicU64,
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot { process: AtomicPtr::new(ptr::null_mut()), gate: AtomicU64::new(0) }
    }

    /// Takes the slot if it is empty (rule 1).
    pub(crate) fn reserve(&self) -> Option<Reservation<'_>> {
        if !self.is_free() {
            return None;
        }
        // Acquire pairs with the Release in `vacate`, so that what the last holder did stays before this.
        self.process
            .compare_exchange(ptr::null_mut(), RESERVED, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Reservation { slot: self })
    }

    /// Whether nothing is in it, as a hint.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.process.load(Ordering::Relaxed).is_null()
    }

    /// Whether it holds a process, as a hint.
    #[inline]
    pub(crate) fn is_occupied(&self) -> bool {
        let process = self.process.load(Ordering::Relaxed);
        !process.is_null() && process != RESERVED
    }

    /// Whether it holds a process that no worker is with, as a hint.
    #[inline]
    pub(crate) fn is_unattended(&self) -> bool {
        self.is_occupied() && self.gate.load(Ordering::Relaxed) & (CLOSED | COUNT) == 0
    }

    /// Generation, whether it is closed, and how many workers are inside: a look for reports.
    pub(crate) fn describe(&self) -> (u32, bool, u32) {
        let gate = self.gate.load(Ordering::Relaxed);
        ((gate >> 32) as u32, gate & CLOSED != 0, (gate & COUNT) as u32)
    }

    /// Goes in, if there is a process, its slot is open, and it is not over with somebody inside.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entry<'_>> {
        if !self.is_occupied() {
            return None;
        }
        // Relaxed: who came for a process that was placed later has acquired that the gate was closed before (rule 9).
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & (CLOSED | OVER) == OVER && gate & COUNT > 0 {
            return None;
        }
        self.come_back()
    }

    /// Goes in, if there is a process and its slot is open (rules 2 to 4). For those who have a claim on the process, or
    /// had one.
    #[inline]
    pub(crate) fn come_back(&self) -> Option<Entry<'_>> {
        while self.is_occupied() {
            // Acquire pairs with the Release in `vacate`: after a reopening the old process is not seen any more. Release
            // pairs with the Acquire there: whoever reopens sees the process for which this worker came too early.
            let before = self.gate.fetch_add(1, Ordering::AcqRel);
            if before & CLOSED == 0 {
                // Acquire pairs with the Release in `fill`: the process is seen as it was when it was placed.
                let process = self.process.load(Ordering::Acquire);
                if !process.is_null() && process != RESERVED {
                    // SAFETY: counted in with the gate open, so the slot keeps this reference until `leave` (see the
                    // header). `ManuallyDrop` makes this a borrow: the count of the reference is not touched.
                    let process = ManuallyDrop::new(unsafe { Arc::from_raw(process) });
                    return Some(Entry { slot: self, process });
                }
            }
            // Back out. Acquire pairs with the Release in `leave`: the look after this sees what the other one was with.
            let before = self.gate.fetch_sub(1, Ordering::AcqRel);
            if before & CLOSED != 0 || before & COUNT != 1 {
                return None;
            }
            // Somebody may have left meanwhile and relied on this worker being the last one: look again (rule 4).
        }
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let process = self.process.load(Ordering::Acquire);
        if !process.is_null() && process != RESERVED {
            // SAFETY: the slot owns this reference, and nobody is inside: entries borrow the slot.
            drop(unsafe { Arc::from_raw(process) });
        }
    }
}

/// An empty slot that nobody else can fill.
#[must_use = "a reservation that is neither filled nor given up blocks the slot"]
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    slot: &'a Slot,
}

impl Reservation<'_> {
    /// Places the process; the slot owns the reference from here on.
    pub(crate) fn fill(self, process: Arc<Process>) {
        // Release pairs with the Acquire in `enter`.
        self.slot.process.store(Arc::into_raw(process).cast_mut(), Ordering::Release);
    }

    /// Leaves the slot empty.
    pub(crate) fn give_up(self) {
        // Release keeps the order that `reserve` acquired for the next one.
        self.slot.process.store(ptr::null_mut(), Ordering::Release);
    }
}

/// A worker inside: the process stays placed and alive.
#[must_use = "whoever went in has to leave"]
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    slot: &'a Slot,
    process: ManuallyDrop<Arc<Process>>,
}

impl<'a> Entry<'a> {
    #[inline]
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The process is over: nobody else need come in while somebody is inside (rule 9).
    pub(crate) fn shut(&self) {
        // Relaxed throughout: a hint, which keeps others from being in the way of the last one out.
        if self.slot.gate.load(Ordering::Relaxed) & OVER == 0 {
            self.slot.gate.fetch_or(OVER, Ordering::Relaxed);
        }
    }

    /// Goes out. The last one may try to close.
    #[inline]
    pub(crate) fn leave(self) -> Option<Last<'a>> {
        // Release: what this worker did is seen by whoever closes. The closer's compare-exchange acquires it.
        let before = self.slot.gate.fetch_sub(1, Ordering::Release);
        (before & COUNT == 1).then_some(Last { slot: self.slot, gate: before - 1 })
    }
}

/// Whoever brought the count to 0. Others may be inside again by now, and even the process may be another.
#[derive(Debug)]
pub(crate) struct Last<'a> {
    slot: &'a Slot,
    /// As it was left: of the generation that was entered, open, with nobody inside.
    gate: u64,
}

impl<'a> Last<'a> {
    /// Shuts everybody else out, if nobody came and the placement is still the same one (rule 5).
    #[inline]
    pub(crate) fn close(self) -> Option<Closed<'a>> {
        // Acquire pairs with the Release in `leave` of all who were inside. Relaxed on failure: whoever made it fail is
        // in charge now.
        let closed = self.gate | CLOSED;
        self.slot.gate.compare_exchange(self.gate, closed, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let process = self.slot.process.load(Ordering::Relaxed);
        // SAFETY: the generation is the one of the entry, so the slot still holds the process that was entered, and only
        // the holder of `Closed` takes it out.
        let process = ManuallyDrop::new(unsafe { Arc::from_raw(process) });
        Some(Closed { slot: self.slot, over: self.gate & OVER, process })
    }
}

/// The slot is shut: nobody is inside and nobody comes in.
#[must_use = "a closed slot has to be reopened or vacated"]
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    slot: &'a Slot,
    /// `OVER` if it is set, which nobody changes now.
    over: u64,
    process: ManuallyDrop<Arc<Process>>,
}

impl Closed<'_> {
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Lets workers in again; the process stays.
    pub(crate) fn reopen(self) {
        // Arithmetic, not a store: a late entrant may have counted itself in for a moment (rule 6). Release: the next
        // entrants see what the closer saw. Acquire: the closer sees what those did who came while it was closed.
        self.slot.gate.fetch_sub(CLOSED, Ordering::AcqRel);
    }

    /// Takes the process out and lets the next one in.
    pub(crate) fn vacate(self) -> Arc<Process> {
        // Release pairs with the Acquire in `reserve`.
        self.slot.process.store(ptr::null_mut(), Ordering::Release);
        // As in `reopen`; the next generation makes every `Last` of this one fail. Release and Acquire pair with those of
        // `enter`: see there.
        self.slot.gate.fetch_add(GENERATION - CLOSED - self.over, Ordering::AcqRel);
        ManuallyDrop::into_inner(self.process)
    }
}
