//! Where operations are between submission and completion: slots, and lists of slots.
//!
//! What lives here: [`Table`], [`IndexList`]. What does not: the operations themselves (`record.rs`), what the poll
//! thread knows of each (`proactor/core.rs`).
//!
//! A slot has one word: a generation and three bits. Its index and its generation are what a ticket names, so a late
//! cancel cannot reach another operation in the same slot. What the kernel carries is the index and the lower 24 bits of
//! the generation: enough, for no answer comes after 16 million uses that were answered in between.
//!
//! 1. **Acquire** pops a free slot; its word becomes `LIVE`.
//! 2. **Cancel** sets `CANCEL` on a live slot of its own generation. Only the one that set it puts the slot on the list
//!    of cancels: a slot is on that list once, and a cancel needs no room anywhere.
//! 3. **The poll thread takes the slot off that list** and sets `SEEN`.
//! 4. **Release** moves the word to the next generation. A slot with `CANCEL` and without `SEEN` is still on the list of
//!    cancels, so it is not freed by the release but by step 3, which finds it no longer live. Both are
//!    read-modify-writes of the word: exactly one of them frees.
//! 5. **The poll thread has some free slots of its own**, so that what it submits and ends itself takes and frees them without
//!    a read-modify-write. It gives them back before it sleeps, when nothing else is free, and in the poll that comes after
//!    another thread has found nothing free: that one gives back what it has taken, so nobody could tell by what is free.
//! 6. Lists are linked by index, pushed to by any thread, drained whole by one. A closed list takes nothing more.

use crate::record::Erased;
use std::ptr;
use weft_sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// No slot.
pub const NONE: u32 = u32::MAX;
/// The head of a list that takes nothing more.
const CLOSED: u32 = u32::MAX - 1;

/// Most free slots that the poll thread keeps for itself: one read-modify-write for all of them.
const OWN_MAX: u32 = 64;
/// Which part of a table that is at most, but one slot of any.
const OWN_PART: u32 = 32;

const LIVE: u64 = 1;
const CANCEL: u64 = 2;
const SEEN: u64 = 4;
const GENERATION_SHIFT: u32 = 8;

/// A slot during one of its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which slot.
    pub index: u32,
    /// Which of its uses, of 56 bits.
    pub generation: u64,
}

#[derive(Debug)]
struct Slot {
    word: AtomicU64,
    /// The operation, from `put` to `take`.
    record: AtomicPtr<crate::record::Header>,
}

/// The slots of one proactor.
#[derive(Debug)]
pub struct Table {
    slots: Box<[Slot]>,
    /// Index of the first free slot, and above it a tag that changes with each pop and push.
    free: AtomicU64,
    next_free: Box<[AtomicU32]>,
    own: Own,
    /// Somebody has found nothing free since the poll thread gave back what it had.
    is_wanted: AtomicBool,
}

/// Free slots of the poll thread, linked from the first to the last. Only that thread uses this.
#[derive(Debug)]
struct Own {
    first: AtomicU32,
    last: AtomicU32,
    count: AtomicU32,
    /// How many it may have; one in a table in which each counts.
    room: u32,
}

impl Table {
    /// A table of `count` free slots.
    pub fn new(count: u32) -> Table {
        let count = count.clamp(1, CLOSED - 1);
        let next = |index: u32| AtomicU32::new(if index + 1 < count { index + 1 } else { NONE });
        let slot = |_| Slot { word: AtomicU64::new(0), record: AtomicPtr::new(ptr::null_mut()) };
        Table {
            slots: (0..count).map(slot).collect(),
            free: AtomicU64::new(0),
            next_free: (0..count).map(next).collect(),
            own: Own {
                first: AtomicU32::new(NONE),
                last: AtomicU32::new(NONE),
                count: AtomicU32::new(0),
                room: (count / OWN_PART).clamp(1, OWN_MAX),
            },
            is_wanted: AtomicBool::new(false),
        }
    }

    /// How many slots there are.
    pub fn count(&self) -> u32 {
        self.slots.len() as u32
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        &self.slots[index as usize].word
    }

    /// Rule 1; `None` if every slot is in use.
    pub fn acquire(&self) -> Option<Key> {
        // Acquire pairs with the Release in `push_free`: the link and the word of the slot are visible.
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            if index == NONE {
                self.want();
                return None;
            }
            let next = self.next_free[index as usize].load(Ordering::Relaxed);
            let popped = retagged(head, next);
            // Relaxed if it succeeds: the same head was acquired when it was read.
            match self.free.compare_exchange_weak(head, popped, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Some(self.begin_use(index)),
                Err(found) => head = found,
            }
        }
    }

    /// Rule 5, by another thread.
    #[cold]
    fn want(&self) {
        // Relaxed: a poll that comes after this, in any order that somebody could know of, sees it.
        if !self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.store(true, Ordering::Relaxed);
        }
    }

    /// The same on the poll thread, which has some free slots of its own.
    #[inline]
    pub fn acquire_here(&self) -> Option<Key> {
        let own = &self.own;
        if own.first.load(Ordering::Relaxed) == NONE {
            self.take_some();
        }
        let index = own.first.load(Ordering::Relaxed);
        if index == NONE {
            return None;
        }
        own.first.store(self.next_free[index as usize].load(Ordering::Relaxed), Ordering::Relaxed);
        own.count.store(own.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        Some(self.begin_use(index))
    }

    /// Takes as many free slots as fill half the room of the poll thread, which has none.
    fn take_some(&self) {
        let wanted = (self.own.room / 2).max(1);
        // Acquire: as in `acquire`, for all of them: each change of the head goes on with what was released by those before.
        let mut head = self.free.load(Ordering::Acquire);
        while head as u32 != NONE {
            // Links of slots that somebody takes meanwhile may be anything; then the head has changed, too.
            let (mut last, mut count) = (head as u32, 1);
            let mut rest = self.next_free[last as usize].load(Ordering::Relaxed);
            while count < wanted && rest != NONE {
                (last, count) = (rest, count + 1);
                rest = self.next_free[last as usize].load(Ordering::Relaxed);
            }
            let taken = retagged(head, rest);
            // Relaxed if it succeeds: as in `acquire`.
            match self.free.compare_exchange_weak(head, taken, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => {
                    self.next_free[last as usize].store(NONE, Ordering::Relaxed);
                    self.own.first.store(head as u32, Ordering::Relaxed);
                    self.own.last.store(last, Ordering::Relaxed);
                    self.own.count.store(count, Ordering::Relaxed);
                    return;
                }
                Err(found) => head = found,
            }
        }
    }

    #[inline]
    fn begin_use(&self, index: u32) -> Key {
        // Relaxed: this thread owns the slot until it hands the key on.
        let word = self.word(index).load(Ordering::Relaxed);
        self.word(index).store(word | LIVE, Ordering::Relaxed);
        Key { index, generation: word >> GENERATION_SHIFT }
    }

    /// Keeps the operation of a live slot for the poll thread.
    #[inline]
    pub fn put(&self, index: u32, operation: Erased) {
        // Relaxed: the list of the pending carries it to the poll thread, with the links of chains.
        self.slots[index as usize].record.store(operation.into_raw(), Ordering::Relaxed);
    }

    /// The operation that was put, once. Only one thread has the slot at a time: whoever acquired it until it is shown,
    /// then the poll thread. So no read-modify-write is needed.
    #[inline]
    pub fn take(&self, index: u32) -> Option<Erased> {
        let place = &self.slots[index as usize].record;
        // Relaxed: as in `put`.
        let record = place.load(Ordering::Relaxed);
        place.store(ptr::null_mut(), Ordering::Relaxed);
        Erased::from_raw(record)
    }

    /// The current use of a live slot.
    #[inline]
    pub fn key(&self, index: u32) -> Key {
        Key { index, generation: self.word(index).load(Ordering::Relaxed) >> GENERATION_SHIFT }
    }

    /// Whether the operation in this live slot was asked to end.
    #[inline]
    pub fn is_cancelled(&self, index: u32) -> bool {
        self.word(index).load(Ordering::Relaxed) & CANCEL != 0
    }

    /// Rule 2. `true`: the caller puts the slot on the list of cancels. `false`: it is there, or the use is over.
    #[must_use = "a cancel that was taken goes on the list"]
    pub fn cancel(&self, key: Key) -> bool {
        let Some(slot) = self.slots.get(key.index as usize) else { return false };
        let mut word = slot.word.load(Ordering::Relaxed);
        loop {
            let is_this = word >> GENERATION_SHIFT == key.generation && word & LIVE != 0;
            if !is_this || word & CANCEL != 0 {
                return false;
            }
            // Relaxed: what the caller owns now is a link of the list of cancels, and that list hands it on. It came to
            // the caller with the key, after the use before was over.
            match slot.word.compare_exchange_weak(word, word | CANCEL, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
    }

    /// The poll thread asks a step of its own to end: no list is involved.
    pub fn cancel_here(&self, index: u32) {
        // What is on the list stays there: `SEEN` is only added if this call is the first to cancel.
        let word = self.word(index);
        let before = word.load(Ordering::Relaxed);
        if before & (CANCEL | LIVE) == LIVE {
            // A foreign cancel in between would put the slot on the list: then leave it to that.
            let marked = before | CANCEL | SEEN;
            // Relaxed: nobody else does anything about it.
            let _ = word.compare_exchange(before, marked, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Rule 3, for a slot that came off the list of cancels. `true`: its operation is still there.
    pub fn see_cancel(&self, index: u32) -> bool {
        // Pairs with `end_use`, whichever is second and frees: Acquire, for the slot has been its owner's; Release, for the
        // link of the list of cancels has been read.
        let before = self.word(index).fetch_or(SEEN, Ordering::AcqRel);
        if before & LIVE != 0 {
            return true;
        }
        // Rule 4: the release left it to this call.
        self.word(index).store(before & !0xFF, Ordering::Relaxed);
        self.push_free(index, index);
        false
    }

    /// Rule 4: ends the use of a live slot.
    pub fn release(&self, index: u32) {
        if self.end_use(index) {
            self.push_free(index, index);
        }
    }

    /// Rule 4, by the poll thread, which keeps the slot for itself if it has room.
    #[inline]
    pub fn release_here(&self, index: u32) {
        if !self.end_use(index) {
            return;
        }
        let own = &self.own;
        let (first, count) = (own.first.load(Ordering::Relaxed), own.count.load(Ordering::Relaxed));
        self.next_free[index as usize].store(first, Ordering::Relaxed);
        if first == NONE {
            own.last.store(index, Ordering::Relaxed);
        }
        own.first.store(index, Ordering::Relaxed);
        own.count.store(count + 1, Ordering::Relaxed);
        if count + 1 >= own.room {
            self.share();
        }
    }

    /// Frees what the poll thread has kept for itself.
    pub fn share(&self) {
        let first = self.own.first.load(Ordering::Relaxed);
        if first != NONE {
            self.own.first.store(NONE, Ordering::Relaxed);
            self.own.count.store(0, Ordering::Relaxed);
            self.push_free(first, self.own.last.load(Ordering::Relaxed));
        }
    }

    /// The same, if nothing else is free.
    #[inline]
    pub fn share_if_scarce(&self) {
        // Relaxed: whoever finds nothing free finds what is kept here at the latest in the next poll.
        if self.free.load(Ordering::Relaxed) as u32 == NONE {
            self.share();
        }
    }

    /// The same at the end of a poll, also if somebody has found nothing free.
    #[inline]
    pub fn share_if_wanted(&self) {
        if self.is_wanted.load(Ordering::Relaxed) {
            // Before the slots are given back: who wants more in between is seen by the next poll.
            self.is_wanted.store(false, Ordering::Relaxed);
            self.share();
        } else {
            self.share_if_scarce();
        }
    }

    /// `true`: the caller frees the slot.
    #[inline]
    fn end_use(&self, index: u32) -> bool {
        let word = self.word(index);
        // Only the owner of the slot changes the generation, so it is still the one that is read here.
        let generation = (word.load(Ordering::Relaxed) >> GENERATION_SHIFT).wrapping_add(1);
        // Pairs with `see_cancel`, whichever is second and frees.
        let before = word.swap(generation << GENERATION_SHIFT, Ordering::AcqRel);
        before & (CANCEL | SEEN) != CANCEL
    }

    /// Frees the slots from `first` to `last`, which are linked.
    fn push_free(&self, first: u32, last: u32) {
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            self.next_free[last as usize].store(head as u32, Ordering::Relaxed);
            let pushed = retagged(head, first);
            // Release pairs with the Acquire in `acquire`.
            match self.free.compare_exchange_weak(head, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => head = found,
            }
        }
    }
}

/// The head with the next tag and this index.
fn retagged(head: u64, index: u32) -> u64 {
    (head & !u64::from(u32::MAX)).wrapping_add(1 << 32) | u64::from(index)
}

impl Drop for Table {
    fn drop(&mut self) {
        for index in 0..self.count() {
            drop(self.take(index));
        }
    }
}

/// A list of slots that many threads push to and one drains whole.
///
/// * `head` – any thread.
/// * `own`  – the thread that drains: what it has pushed itself, while there was nothing of others. So what is there came
///   before whatever is in the list proper, and is drained first.
/// * `next` – of a slot: whoever pushes it, until it is pushed; then whoever drains.
#[derive(Debug)]
pub struct IndexList {
    head: AtomicU32,
    own: AtomicU32,
    next: Box<[AtomicU32]>,
}

/// The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl IndexList {
    /// An empty list over the slots of a table.
    pub fn new(count: u32) -> IndexList {
        let next = (0..count.max(1)).map(|_| AtomicU32::new(NONE)).collect();
        IndexList { head: AtomicU32::new(NONE), own: AtomicU32::new(NONE), next }
    }

    /// Links a slot that is not listed behind another such slot, for [`IndexList::push_linked`].
    #[inline]
    pub fn link(&self, older: u32, newer: u32) {
        self.next[newer as usize].store(older, Ordering::Relaxed);
    }

    /// Adds one slot.
    pub fn push(&self, index: u32) -> Result<(), Closed> {
        self.push_linked(index, index)
    }

    /// Adds the slots from `oldest` to `newest`, each linked behind the one before.
    #[inline]
    pub fn push_linked(&self, oldest: u32, newest: u32) -> Result<(), Closed> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Err(Closed);
            }
            self.next[oldest as usize].store(head, Ordering::Relaxed);
            // Release pairs with the Acquire in `take_all`: links and slots are visible to the drainer. Acquire pairs with
            // the Release there: see rule 6 of `doorbell.rs`.
            match self.head.compare_exchange_weak(head, newest, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => head = found,
            }
        }
    }

    /// The same, on the thread that drains, and without a read-modify-write. `false`: there are slots of others, which may
    /// have come before, or the list is closed.
    #[inline]
    pub fn push_own(&self, oldest: u32, newest: u32) -> bool {
        // Relaxed: a push that comes before this one in any order that somebody could know of is seen, or was drained.
        if self.head.load(Ordering::Relaxed) != NONE {
            return false;
        }
        self.next[oldest as usize].store(self.own.load(Ordering::Relaxed), Ordering::Relaxed);
        self.own.store(newest, Ordering::Relaxed);
        true
    }

    /// Whether the thread that drains has pushed something itself.
    #[inline]
    pub fn has_own(&self) -> bool {
        self.own.load(Ordering::Relaxed) != NONE
    }

    /// Takes what the thread that drains has pushed itself.
    #[inline]
    pub fn drain_own(&self) -> u32 {
        let newest = self.own.load(Ordering::Relaxed);
        self.own.store(NONE, Ordering::Relaxed);
        self.reversed(newest)
    }

    /// Takes everything; the first slot of what was pushed, from which [`IndexList::after`] goes on in that order.
    pub fn drain(&self) -> u32 {
        self.take_all(NONE)
    }

    /// Takes everything, and takes nothing more from now on.
    pub fn close(&self) -> u32 {
        self.take_all(CLOSED)
    }

    fn take_all(&self, leave: u32) -> u32 {
        let mut newest = self.head.load(Ordering::Relaxed);
        loop {
            // Not by a swap: a closed list would be open for a moment.
            if newest == CLOSED {
                return NONE;
            }
            // Both pair with the same in `push_linked`. Also when there is nothing: the push that comes next has to see
            // what this thread did before.
            match self.head.compare_exchange_weak(newest, leave, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(found) => newest = found,
            }
        }
        self.reversed(newest)
    }

    /// Turns the links of a list that was taken; its oldest slot.
    #[inline]
    fn reversed(&self, mut newest: u32) -> u32 {
        let mut oldest = NONE;
        while newest != NONE {
            let older = self.next[newest as usize].load(Ordering::Relaxed);
            self.next[newest as usize].store(oldest, Ordering::Relaxed);
            oldest = newest;
            newest = older;
        }
        oldest
    }

    /// The slot that was pushed after this one; to be asked before the slot is used again.
    #[inline]
    pub fn after(&self, index: u32) -> u32 {
        self.next[index as usize].load(Ordering::Relaxed)
    }
}
