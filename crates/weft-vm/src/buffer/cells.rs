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
