#![allow(
    unsafe_code,
    reason = "values lie in cells that the state word of their slot hands to one thread at a time"
)]
//! Handles that notice a reused slot.
//!
//! What lives here: [`Slots`], a table of a fixed number of values that any thread inserts into and takes from, and
//! [`Handle`]. What does not: looking at a value in place; it is moved in and moved out.
//!
//! Each slot has a word: generation and state. A handle names slot and generation, so that a handle of a value that
//! was taken finds nothing, also after the slot holds another value.
//!
//! 1. **Free slots form a stack**, linked by index. Its head carries a tag that changes with every pop and push, so
//!    that a head that looks the same is the same.
//! 2. **Insert** pops a slot, which it then owns, writes the value and stores `FULL` (release).
//! 3. **Take** moves `FULL` of its own generation to `TAKEN` by compare-exchange (acquire). One of several succeeds; it
//!    owns the slot, moves the value out, stores the next generation as `FREE` (release) and pushes the slot.
//! 4. A handle is stale for ever, until the generation has wrapped after 2³⁰ uses of one slot.
//!
//! # Safety
//!
//! The value of a slot is accessed by its owner only: the inserting thread between pop and `FULL`, the taking thread
//! between `TAKEN` and push, and whoever drops the table.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use std::fmt;
use std::mem::MaybeUninit;

const FREE: u32 = 0;
const FULL: u32 = 1;
const TAKEN: u32 = 2;
const STATE_BITS: u32 = 2;
const STATE_MASK: u32 = (1 << STATE_BITS) - 1;

/// No slot, at the end of the stack of free ones.
const NONE: u32 = u32::MAX;

/// Names one value in one table, until it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// The handle as one word, for interfaces that carry words.
    ///
    /// ```
    /// use weft_sync::slots::{Handle, Slots};
    /// let slots = Slots::new(1);
    /// let handle = slots.insert("a").expect("room for one");
    /// assert_eq!(Handle::from_raw(handle.raw()), handle);
    /// ```
    pub fn raw(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The handle that [`Handle::raw`] gave. Any other word is a handle too, and most likely finds nothing.
    pub fn from_raw(raw: u64) -> Handle {
        Handle { index: raw as u32, generation: (raw >> 32) as u32 }
    }
}

struct Slot<T> {
    /// Generation and state.
    word: AtomicU32,
    /// The next free slot, while this one is free.
    next: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// A table of values under handles that notice reuse.
///
/// ```
/// use weft_sync::slots::Slots;
/// let slots = Slots::new(1);
/// let first = slots.insert("first").expect("one slot is free");
/// assert_eq!(slots.insert("second"), Err("second"), "full: it comes back");
/// assert_eq!(slots.take(first), Some("first"));
/// let second = slots.insert("second").expect("free again");
/// assert_eq!(slots.take(first), None, "the same slot, another value");
/// assert_eq!(slots.take(second), Some("second"));
/// ```
pub struct Slots<T> {
    slots: Box<[Slot<T>]>,
    /// Index of the first free slot, and a tag above it.
    free: AtomicU64,
}

// SAFETY: values are moved in and out, each by one thread at a time (see the header); never shared.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as above; shared use of the table gives no shared use of a value.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// A table of `capacity` slots; its one allocation.
    pub fn new(capacity: u32) -> Slots<T> {
        let next = |index: u32| if index + 1 < capacity { index + 1 } else { NONE };
        let slot = |index| Slot {
            word: AtomicU32::new(FREE),
            next: AtomicU32::new(next(index)),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        };
        let first = if capacity > 0 { 0 } else { NONE };
        Slots { slots: (0..capacity).map(slot).collect(), free: AtomicU64::new(u64::from(first)) }
    }

    /// How many values fit.
    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Keeps `value`, or gives it back if every slot is in use.
    pub fn insert(&self, value: T) -> Result<Handle, T> {
        let Some(index) = self.pop_free() else { return Err(value) };
        let slot = &self.slots[index as usize];
        slot.value.with_mut(|place| {
            // SAFETY: rule 2: the slot was popped, so this thread owns its cell, and a free slot holds no value.
            unsafe { place.cast::<T>().write(value) };
        });
        // Relaxed: the word was last written before the slot was pushed, which the pop has acquired.
        let generation = slot.word.load(Ordering::Relaxed) >> STATE_BITS;
        // Pairs with the Acquire in `take`: the value is visible to whoever takes it.
        slot.word.store(generation << STATE_BITS | FULL, Ordering::Release);
        Ok(Handle { index, generation })
    }

    /// Moves the value of `handle` out. `None` if it was taken before; of several at once, one gets it.
    pub fn take(&self, handle: Handle) -> Option<T> {
        let slot = self.slots.get(handle.index as usize)?;
        let full = (handle.generation & (u32::MAX >> STATE_BITS)) << STATE_BITS | FULL;
        let taken = full & !STATE_MASK | TAKEN;
        // Acquire pairs with the Release in `insert`.
        slot.word.compare_exchange(full, taken, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let value = slot.value.with_mut(|place| {
            // SAFETY: rule 3: the compare-exchange made this thread the owner of the cell, and the slot was `FULL`.
            unsafe { place.cast::<T>().read() }
        });
        let next_generation = (taken & !STATE_MASK).wrapping_add(1 << STATE_BITS);
        // Relaxed: whoever reads it as an owner has acquired the push below; others only compare it.
        slot.word.store(next_generation | FREE, Ordering::Relaxed);
        self.push_free(handle.index);
        Some(value)
    }

    fn pop_free(&self) -> Option<u32> {
        // Acquire pairs with the Release in `push_free`: link and value of the slot are visible.
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            // The end of the stack, whose index is that of no slot.
            let slot = self.slots.get(index as usize)?;
            // May be stale if another thread pops meanwhile; the tag then makes the exchange fail.
            let next = slot.next.load(Ordering::Relaxed);
            let popped = retag(head) | u64::from(next);
            match self.free.compare_exchange_weak(head, popped, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(found) => head = found,
            }
        }
    }

    fn push_free(&self, index: u32) {
        let slot = &self.slots[index as usize];
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            slot.next.store(head as u32, Ordering::Relaxed);
            let pushed = retag(head) | u64::from(index);
            // Release pairs with the Acquire in `pop_free`. A pop in between continues the release sequence, being a
            // read-modify-write, so slots further down stay published too.
            match self.free.compare_exchange_weak(head, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => head = found,
            }
        }
    }
}

/// The upper half of the head with the tag moved on, the lower half free for an index.
fn retag(head: u64) -> u64 {
    (head & !u64::from(u32::MAX)).wrapping_add(1 << 32)
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        if !std::mem::needs_drop::<T>() {
            return;
        }
        for slot in &mut self.slots {
            if slot.word.load(Ordering::Relaxed) & STATE_MASK == FULL {
                slot.value.with_mut(|place| {
                    // SAFETY: nobody else uses the table any more, and a `FULL` slot holds a value.
                    unsafe { place.cast::<T>().drop_in_place() };
                });
            }
        }
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
