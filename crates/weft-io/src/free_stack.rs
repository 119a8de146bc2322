//! A stack of free places that any number of threads push to and pop from, and that grows.
//!
//! What lives here: [`FreeStack`]. What does not: what lies in the places (`event_pool.rs`).
//!
//! 1. A place is an index for good. Places lie in segments that double in size and never move.
//! 2. The head is the index of the newest free place and, above it, a tag that changes with each push and pop. So a pop
//!    that was held up between its look at the link and its exchange fails, even if the same place is on top again.
//! 3. Whoever has popped a place owns it, link and value, until it pushes it.
//! 4. A closed stack takes nothing more; whoever closes it gets all that was there.

use std::ptr;
use std::sync::OnceLock;
use weft_sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// No place.
const NONE: u32 = u32::MAX;
/// The stack takes nothing more.
const CLOSED: u32 = u32::MAX - 1;
/// Places of the first segment; the next has twice as many, and so on.
const FIRST: u32 = if cfg!(loom) { 1 } else { 64 };
/// How many segments there can be.
const SEGMENTS: usize = 24;
/// How many places there can be.
const PLACES_MAX: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// See the header.
#[derive(Debug)]
pub struct FreeStack<T> {
    head: AtomicU64,
    /// How many places have been made.
    made: AtomicU32,
    segments: [OnceLock<Box<[Place<T>]>>; SEGMENTS],
}

/// * `next`  – whoever pops or pushes it (rule 3); read by pops that fail.
/// * `value` – whoever owns the place.
#[derive(Debug)]
struct Place<T> {
    next: AtomicU32,
    value: AtomicPtr<T>,
}

impl<T> FreeStack<T> {
    /// A stack of no places.
    pub fn new() -> FreeStack<T> {
        FreeStack {
            head: AtomicU64::new(u64::from(NONE)),
            made: AtomicU32::new(0),
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    /// How many places have been made.
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Makes a place that belongs to the caller. `None`: there can be no more.
    pub fn make(&self) -> Option<u32> {
        let mut made = self.made.load(Ordering::Relaxed);
        loop {
            if made >= PLACES_MAX {
                return None;
            }
            match self.made.compare_exchange_weak(made, made + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(made),
                Err(found) => made = found,
            }
        }
    }

    fn place(&self, index: u32) -> &Place<T> {
        let (segment, offset) = position(index);
        let place = || Place { next: AtomicU32::new(NONE), value: AtomicPtr::new(ptr::null_mut()) };
        let make = || (0..FIRST << segment).map(|_| place()).collect();
        &self.segments[segment].get_or_init(make)[offset as usize]
    }

    /// Takes the newest free place.
    pub fn pop(&self) -> Option<u32> {
        // Acquire pairs with the Release in `push`: link and value are visible.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            if index >= CLOSED {
                return None;
            }
            let next = self.place(index).next.load(Ordering::Relaxed);
            let popped = retagged(head, next);
            // Relaxed if it succeeds: the same head was acquired when it was read.
            match self.head.compare_exchange_weak(head, popped, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(found) => head = found,
            }
        }
    }

    /// Frees a place that the caller owns. `false`: the stack is closed, and the place still is the caller's. When this
    /// has succeeded, nothing of the stack is touched any more: it may be gone.
    #[must_use = "a closed stack takes nothing"]
    pub fn push(&self, index: u32) -> bool {
        let place = self.place(index);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head as u32 == CLOSED {
                return false;
            }
            place.next.store(head as u32, Ordering::Relaxed);
            let pushed = retagged(head, index);
            // Release pairs with the Acquire in `pop` and `close`.
            match self.head.compare_exchange_weak(head, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => head = found,
            }
        }
    }

    /// Takes nothing more from now on; calls `each` with every place that was free.
    pub fn close(&self, mut each: impl FnMut(u32)) {
        // Acquire pairs with the Release in `push`.
        let mut index = self.head.swap(u64::from(CLOSED), Ordering::Acquire) as u32;
        while index < CLOSED {
            let next = self.place(index).next.load(Ordering::Relaxed);
            each(index);
            index = next;
        }
    }

    /// What lies in a place that the caller owns; afterwards `value` does.
    pub fn exchange(&self, index: u32, value: *mut T) -> *mut T {
        let cell = &self.place(index).value;
        // Relaxed, and not one step: rule 3.
        let before = cell.load(Ordering::Relaxed);
        cell.store(value, Ordering::Relaxed);
        before
    }
}

impl<T> Default for FreeStack<T> {
    fn default() -> FreeStack<T> {
        FreeStack::new()
    }
}

/// The head with the next tag and this index.
fn retagged(head: u64, index: u32) -> u64 {
    (head & !u64::from(u32::MAX)).wrapping_add(1 << 32) | u64::from(index)
}

/// Segment, and index in it.
fn position(index: u32) -> (usize, u32) {
    let segment = (index / FIRST + 1).ilog2();
    (segment as usize, index - FIRST * ((1 << segment) - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(position(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(position(PLACES_MAX - 1), (SEGMENTS - 1, (FIRST << (SEGMENTS - 1)) - 1));
    }

    #[test]
    fn places_are_popped_once_until_the_stack_is_closed() {
        let stack = FreeStack::<u8>::new();
        assert_eq!(stack.pop(), None);
        let made: Vec<u32> = (0..200).filter_map(|_| stack.make()).collect();
        assert_eq!(made, (0..200).collect::<Vec<_>>());
        assert!(made.iter().all(|&index| stack.push(index)));
        assert_eq!(stack.pop(), Some(199));
        let mut left = Vec::new();
        stack.close(|index| left.push(index));
        left.sort_unstable();
        assert_eq!(left, (0..199).collect::<Vec<_>>());
        assert!(!stack.push(199));
        assert_eq!(stack.pop(), None);
    }
}
