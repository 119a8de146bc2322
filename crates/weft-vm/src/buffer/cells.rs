#![allow(
    unsafe_code,
    reason = "elements at addresses that were bounded before a loop; rules in buffer/storage.rs"
)]
//! Access to many elements of a buffer, for native functions that work in loops.
//!
//! What [`Buffer::cells`](super::Buffer::cells) gives remembers address and count, so that a loop does not ask the
//! buffer for every element. Each access checks its index and is one relaxed atomic access where others may write
//! (`buffer/storage.rs`, Safety), so threads that share a buffer get mixed values at worst.

use std::fmt;
use std::marker::PhantomData;

use super::storage::{Element, Storage};

/// Elements to read.
pub struct Cells<'a, T> {
    /// `count` elements from here on are readable for `'a`, aligned if `writable`.
    base: *const u8,
    count: usize,
    writable: bool,
    lives: PhantomData<(&'a Storage, T)>,
}

impl<T> Clone for Cells<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Cells<'_, T> {}

impl<'a, T: Element> Cells<'a, T> {
    pub(super) fn new(storage: &'a Storage) -> Cells<'a, T> {
        Cells {
            base: storage.base().as_ptr(),
            count: storage.len() >> T::SHIFT,
            writable: storage.is_writable(),
            lives: PhantomData,
        }
    }

    /// How many whole elements there are.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "none is nothing special")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// One element. Panics outside.
    #[inline(always)]
    pub fn get(&self, index: usize) -> T {
        assert!(index < self.count, "element {index} of {}", self.count);
        // SAFETY: inside of the storage's bytes.
        let address = unsafe { self.base.add(index << T::SHIFT) };
        // SAFETY: readable and, where writable, aligned (see the field; storage.rs, Safety 1 to 3).
        unsafe { T::load(address, self.writable) }
    }
}

/// Elements to write, and to read.
pub struct CellsMut<'a, T>(Cells<'a, T>);

impl<T> Clone for CellsMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CellsMut<'_, T> {}

impl<'a, T: Element> CellsMut<'a, T> {
    /// `storage` is writable.
    pub(super) fn new(storage: &'a Storage) -> CellsMut<'a, T> {
        assert!(storage.is_writable(), "checked by the caller");
        CellsMut(Cells::new(storage))
    }

    /// How many whole elements there are.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "none is nothing special")]
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// One element. Panics outside.
    #[inline(always)]
    pub fn get(&self, index: usize) -> T {
        self.0.get(index)
    }

    /// Writes one element. Panics outside.
    #[inline(always)]
    pub fn set(&self, index: usize, value: T) {
        assert!(index < self.0.count, "element {index} of {}", self.0.count);
        // SAFETY: inside of the storage's bytes.
        let address = unsafe { self.0.base.add(index << T::SHIFT) };
        // SAFETY: writable (`new`), aligned (storage.rs, Safety 2).
        unsafe { value.store(address.cast_mut()) };
    }
}

impl<T> fmt::Debug for Cells<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cells({} of {} bytes)", self.count, size_of::<T>())
    }
}

impl<T> fmt::Debug for CellsMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;

    use weft_sync::Code;

    use crate::buffer::Buffer;

    /// Aligned as writable memory has to be.
    #[repr(align(16))]
    struct Memory([u32; 4]);

    #[test]
    fn lent_memory_is_seen_until_it_is_taken_back() {
        let mut memory = Memory([1, 2, 3, 4]);
        let buffer = Buffer::lendable(true);
        assert_eq!((buffer.len(), buffer.is_mutable()), (0, true));
        // SAFETY: `memory` outlives the loan and is not touched otherwise while it lasts.
        unsafe { buffer.lend(NonNull::from(&mut memory.0).cast(), 15) };
        let cells = buffer.cells_mut::<u32>().expect("writable");
        assert_eq!((cells.len(), cells.get(2)), (3, 3));
        cells.set(2, 9);
        buffer.write(0, &[7, 0, 0, 0]).expect("inside");
        assert_eq!(buffer.load::<u32>(3).expect_err("outside").code(), Code::OutOfRange);
        assert_eq!(buffer.cells::<u8>().get(14), 0);
        buffer.take_back();
        assert_eq!((buffer.len(), buffer.cells::<u8>().len()), (0, 0));
        assert_eq!(buffer.store::<u8>(0, 1).expect_err("nothing there").code(), Code::OutOfRange);
        assert_eq!(memory.0, [7, 2, 9, 4]);
    }

    #[test]
    fn read_only_memory_may_lie_anywhere() {
        let bytes = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8];
        let buffer = Buffer::lendable(false);
        // SAFETY: `bytes` outlives the loan and is not written.
        unsafe { buffer.lend(NonNull::from(&bytes[1..]).cast(), 8) };
        assert_eq!(buffer.cells::<u64>().get(0), u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(buffer.cells_mut::<u8>().expect_err("read-only").code(), Code::PermissionDenied);
        assert_eq!(buffer.write(0, &[1]).expect_err("read-only").code(), Code::PermissionDenied);
    }

    #[test]
    #[should_panic(expected = "element 2 of 2")]
    fn elements_outside_panic() {
        Buffer::allocate(9, 0).expect("allocated").cells::<u32>().get(2);
    }

    /// What has memory of its own keeps it.
    #[test]
    fn only_what_was_lent_is_taken_back() {
        let buffer = Buffer::from_bytes([1, 2, 3]);
        buffer.take_back();
        assert_eq!(buffer.len(), 3);
    }
}
