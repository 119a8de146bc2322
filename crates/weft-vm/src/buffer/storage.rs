#![allow(
    unsafe_code,
    reason = "bytes shared between threads: every access is bounded here and free of data races"
)]
//! The bytes behind a buffer.
//!
//! Lives here: who owns the bytes, and every access to them. Not here: access rights and the semantics of the
//! buffer instructions (`buffer.rs`).
//!
//! # Safety
//!
//! 1. `data` points to `length` bytes that live as long as the `Storage` (it owns the allocation or a count on the
//!    owner). Lent memory lives until it is taken back; then `length` is 0. Whoever lends promises that no other
//!    thread looks while either of the two fields changes, so both are always seen as a pair.
//! 2. Writable bytes are only touched through relaxed atomics of the width of the access, because programs may share
//!    mutable buffers between threads. Addresses are aligned for the width: allocations and writable lent memory are
//!    aligned to 16 or more and elements sit at multiples of their width. Two threads that race on one byte with
//!    different widths get some mixture of the values; every byte that they read was written by somebody.
//! 3. Bytes that are not writable are never written, so they are read plainly and at any alignment.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};

use crate::module_bytes::SharedBytes;

/// The least alignment of owned allocations; element accesses rely on 8 of it.
pub(crate) const ALIGNMENT_MIN: usize = 16;

/// More than any machine can give, and small enough that no allocator treats it as a bug of its caller.
const BYTES_MAX: usize = if cfg!(fuzzing) { 1 << 24 } else { 1 << 40 };

const WORD: usize = size_of::<u64>();

/// Both words change only while memory is lent or taken back; loading them costs what plain fields cost.
pub(crate) struct Storage {
    data: AtomicPtr<u8>,
    length: AtomicUsize,
    owner: Owner,
}

enum Owner {
    /// Allocated here, with this layout.
    Allocation(Layout),
    /// Borrowed from the owner of the bytes.
    Shared {
        /// Held, never looked at.
        _keep: SharedBytes,
    },
    /// The host's, for a while.
    Lent { writable: bool },
}

mod sealed {
    pub trait Sealed {}
}

/// An unsigned integer that is loaded from and stored to a buffer in one access.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// Binary logarithm of the width in bytes.
    const SHIFT: u32;

    /// # Safety
    /// `address` is valid for reads of the width; writable bytes as in the header, 2, if `atomic`.
    #[doc(hidden)]
    unsafe fn load(address: *const u8, atomic: bool) -> Self;

    /// # Safety
    /// `address` is valid for writes of the width, writable bytes as in the header, 2.
    #[doc(hidden)]
    unsafe fn store(self, address: *mut u8);
}

macro_rules! element {
    ($integer:ty, $atomic:ty, $shift:literal) => {
        impl sealed::Sealed for $integer {}
        impl Element for $integer {
            const SHIFT: u32 = $shift;

            #[inline(always)]
            unsafe fn load(address: *const u8, atomic: bool) -> Self {
                if atomic {
                    debug_assert!(address.cast::<$atomic>().is_aligned());
                    // SAFETY: valid for reads as the caller promises, aligned (header, 2).
                    let cell = unsafe { &*address.cast::<$atomic>() };
                    <$integer>::from_le(cell.load(Relaxed))
                } else {
                    // SAFETY: valid for reads as the caller promises; never written (header, 3).
                    <$integer>::from_le(unsafe { address.cast::<$integer>().read_unaligned() })
                }
            }

            #[inline(always)]
            unsafe fn store(self, address: *mut u8) {
                debug_assert!(address.cast::<$atomic>().is_aligned());
                // SAFETY: valid for writes as the caller promises, aligned (header, 2).
                let cell = unsafe { &*address.cast::<$atomic>() };
                cell.store(self.to_le(), Relaxed);
            }
        }
    };
}

element!(u8, AtomicU8, 0);
element!(u16, AtomicU16, 1);
element!(u32, AtomicU32, 2);
element!(u64, AtomicU64, 3);

impl Storage {
    /// Zeroed bytes of its own, writable. `None` when the allocator refuses. `alignment` is a power of two.
    pub fn allocate(length: usize, alignment: usize) -> Option<Storage> {
        if length > BYTES_MAX || alignment > BYTES_MAX {
            return None;
        }
        let layout = Layout::from_size_align(length.max(1), alignment.max(ALIGNMENT_MIN)).ok()?;
        // SAFETY: the layout's size is not zero.
        let data = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Storage::new(data, length, Owner::Allocation(layout)))
    }

    /// Part of somebody else's bytes, read only. `None` when the range is not inside.
    pub fn shared(keep: SharedBytes, range: std::ops::Range<usize>) -> Option<Storage> {
        // The slice stays valid while `keep` lives: its owner can neither move nor be borrowed mutably inside the
        // `Arc`, so a shared borrow of it could last as long.
        let bytes = (*keep).as_ref().get(range)?;
        let (data, length) = (NonNull::from(bytes).cast::<u8>(), bytes.len());
        Some(Storage::new(data, length, Owner::Shared { _keep: keep }))
    }

    /// No bytes yet: the host lends some later.
    pub fn lendable(writable: bool) -> Storage {
        Storage::new(NonNull::dangling(), 0, Owner::Lent { writable })
    }

    fn new(data: NonNull<u8>, length: usize, owner: Owner) -> Storage {
        Storage { data: AtomicPtr::new(data.as_ptr()), length: AtomicUsize::new(length), owner }
    }

    /// Lends bytes, in place of those lent before.
    ///
    /// # Safety
    /// As for `Buffer::lend`.
    pub unsafe fn lend(&self, data: NonNull<u8>, length: usize) {
        let Owner::Lent { writable } = self.owner else { panic!("a buffer with memory of its own") };
        assert!(!writable || data.addr().get().is_multiple_of(ALIGNMENT_MIN), "writable memory is aligned");
        self.data.store(data.as_ptr(), Relaxed);
        self.length.store(length, Relaxed);
    }

    /// Ends the loan: no bytes from here on. Nothing happens to memory that was not lent.
    pub fn take_back(&self) {
        if matches!(self.owner, Owner::Lent { .. }) {
            self.length.store(0, Relaxed);
        }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.length.load(Relaxed)
    }

    #[inline(always)]
    fn data(&self) -> *mut u8 {
        self.data.load(Relaxed)
    }

    pub fn base(&self) -> NonNull<u8> {
        NonNull::new(self.data()).expect("made from one")
    }

    #[inline(always)]
    pub fn is_writable(&self) -> bool {
        !matches!(self.owner, Owner::Shared { .. } | Owner::Lent { writable: false })
    }

    /// The bytes, when nobody can write them.
    pub fn as_slice(&self) -> Option<&[u8]> {
        if self.is_writable() {
            return None;
        }
        // SAFETY: readable for the life of `self`, or until taken back, and whoever lends promises that no borrow lasts
        // as long (header, 1); never written (header, 3).
        Some(unsafe { std::slice::from_raw_parts(self.data(), self.len()) })
    }

    /// Element `index` of an array of `T` that starts at the first byte; `None` outside.
    #[inline(always)]
    pub fn get<T: Element>(&self, index: u64) -> Option<T> {
        if index >= (self.len() >> T::SHIFT) as u64 {
            return None;
        }
        // SAFETY: index < length / width, so the offset is below `length` (header, 1).
        let address = unsafe { self.data().add((index as usize) << T::SHIFT) };
        // SAFETY: (index + 1) * width <= length, so the element is readable (header, 1); elements of writable bytes
        // are aligned (header, 2).
        Some(unsafe { T::load(address, self.is_writable()) })
    }

    /// Writes element `index`; `None` outside. Only for writable bytes.
    #[inline(always)]
    pub fn set<T: Element>(&self, index: u64, value: T) -> Option<()> {
        assert!(self.is_writable(), "read-only bytes are never written");
        if index >= (self.len() >> T::SHIFT) as u64 {
            return None;
        }
        // SAFETY: index < length / width, so the offset is below `length` (header, 1).
        let address = unsafe { self.data().add((index as usize) << T::SHIFT) };
        // SAFETY: (index + 1) * width <= length: writable (asserted above); aligned (header, 2).
        unsafe { value.store(address) };
        Some(())
    }

    /// Copies `out.len()` bytes from `offset` on. The range must be inside.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        if let Some(bytes) = self.as_slice() {
            out.copy_from_slice(&bytes[offset..][..out.len()]);
            return;
        }
        let length = self.len();
        assert!(offset <= length && out.len() <= length - offset, "checked by the caller");
        let (head, words) = split(offset, out.len());
        let (first, rest) = out.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words * WORD);
        for (index, byte) in first.iter_mut().enumerate() {
            *byte = self.get::<u8>((offset + index) as u64).expect("inside");
        }
        let word = (offset + head) / WORD;
        for (index, chunk) in middle.chunks_exact_mut(WORD).enumerate() {
            let value = self.get::<u64>((word + index) as u64).expect("inside");
            chunk.copy_from_slice(&value.to_le_bytes());
        }
        let tail = offset + head + words * WORD;
        for (index, byte) in last.iter_mut().enumerate() {
            *byte = self.get::<u8>((tail + index) as u64).expect("inside");
        }
    }

    /// Writes `bytes` from `offset` on. The range must be inside, the storage writable.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let length = self.len();
        assert!(offset <= length && bytes.len() <= length - offset, "checked by the caller");
        let (head, words) = split(offset, bytes.len());
        let (first, rest) = bytes.split_at(head);
        let (middle, last) = rest.split_at(words * WORD);
        for (index, &byte) in first.iter().enumerate() {
            self.set::<u8>((offset + index) as u64, byte).expect("inside");
        }
        let word = (offset + head) / WORD;
        for (index, chunk) in middle.chunks_exact(WORD).enumerate() {
            let value = u64::from_le_bytes(chunk.try_into().expect("chunks of a word"));
            self.set::<u64>((word + index) as u64, value).expect("inside");
        }
        let tail = offset + head + words * WORD;
        for (index, &byte) in last.iter().enumerate() {
            self.set::<u8>((tail + index) as u64, byte).expect("inside");
        }
    }
}

/// How many single bytes precede the first whole word of a range, and how many words follow.
fn split(offset: usize, length: usize) -> (usize, usize) {
    let head = (offset.wrapping_neg() % WORD).min(length);
    (head, (length - head) / WORD)
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Owner::Allocation(layout) = self.owner {
            // SAFETY: allocated in `allocate` with this layout, freed once.
            unsafe { dealloc(self.data(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_found_at_every_offset() {
        let storage = Storage::allocate(64, 16).expect("allocated");
        for offset in 0..16 {
            for length in 0..40 {
                let bytes: Vec<u8> = (0..length).map(|index| (offset * 40 + index) as u8 | 1).collect();
                storage.write(0, &[0; 64]);
                storage.write(offset, &bytes);
                let mut out = vec![0; length];
                storage.read(offset, &mut out);
                assert_eq!(out, bytes, "{offset} {length}");
                let mut all = [0; 64];
                storage.read(0, &mut all);
                assert!(all[..offset].iter().chain(&all[offset + length..]).all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn element_ranges_do_not_wrap() {
        let storage = Storage::allocate(15, 16).expect("allocated");
        assert_eq!(storage.get::<u64>(0), Some(0));
        assert_eq!(storage.get::<u64>(1), None);
        assert_eq!(storage.get::<u64>(u64::MAX / 8 + 1), None);
        assert_eq!(storage.get::<u8>(u64::MAX), None);
        assert_eq!(storage.set::<u16>(7, 1), None);
        assert_eq!(storage.set::<u16>(6, 0x1234), Some(()));
        assert_eq!(storage.get::<u8>(13), Some(0x12));
    }

    #[test]
    fn too_much_is_refused() {
        assert!(Storage::allocate(usize::MAX, 16).is_none());
        assert!(Storage::allocate(1 << 50, 16).is_none());
        assert!(Storage::allocate(8, 1 << 50).is_none());
    }
}
