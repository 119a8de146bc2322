#![allow(unsafe_code, reason = "whoever has a lease reads and writes its buffer")]
//! One buffer of a pool, or a piece of one, in one pair of hands.
//!
//! What lives here: [`Lease`]. What does not: where it comes from and goes back to (`pool.rs`).
//!
//! # Safety
//!
//! 1. A lease is the only way to its bytes, for as long as it lives: the pool has given the index out and gets it back
//!    by the lease's drop; and a slab has one pool. What the kernel has of the same slab are other buffers, or this one in
//!    an operation that has the lease. **Of a buffer that is used up piece by piece** there are several leases, and the kernel
//!    or the pool has the rest; a piece begins where the one before ended, so no two have a byte in common, and the buffer
//!    begins anew only when all of them are back.
//! 2. The buffer lies in a slab, which the pool keeps: it stays where it is, and is initialised.

use super::pool::BufferPool;
use super::region::Access;
use crate::span::{Exclusive, Measured, Source, Span, Target};
use std::fmt;
use std::ops::{Deref, DerefMut};
use weft_sync::Result;

/// A buffer of a [`BufferPool`], until it is dropped, on whatever thread. Given to an operation it comes back with it. What was
/// received into a buffer that is used up piece by piece ([`Consumption`](crate::Consumption)) is a piece of one.
///
/// ```
/// use weft_io::{Access, BufferPool, Region, Slab};
/// let pool = BufferPool::new(&Region::unregistered(&Slab::new(64, 1)?, Access::READ)?)?;
/// let lease = pool.acquire()?;
/// assert_eq!((lease.len(), pool.available()), (64, 0));
/// drop(lease);
/// assert_eq!(pool.available(), 1);
/// # weft_sync::Result::Ok(())
/// ```
pub struct Lease {
    pool: BufferPool,
    index: u16,
    offset: usize,
    length: usize,
}

impl Lease {
    /// The caller has got the index from the pool, and gives it up.
    pub(super) fn new(pool: &BufferPool, index: u16) -> Lease {
        Lease::piece(pool, index, 0, pool.buffer_size())
    }

    /// The caller has a part of this buffer, to which nobody else has these bytes, and gives it up. They lie in the buffer.
    pub(super) fn piece(pool: &BufferPool, index: u16, offset: usize, length: usize) -> Lease {
        debug_assert!(offset + length <= pool.buffer_size(), "{length} bytes at {offset}");
        Lease { pool: pool.clone(), index, offset, length }
    }

    /// Only so many of its bytes: the others are somebody else's from now on.
    pub(super) fn shorten(&mut self, length: usize) {
        debug_assert!(length <= self.length, "{length} of {}", self.length);
        self.length = length.min(self.length);
    }

    /// Which buffer.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Where in it: zero but for pieces.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Where it comes from.
    pub fn pool(&self) -> &BufferPool {
        &self.pool
    }

    fn span(&self, access: Access) -> Span {
        let start = usize::from(self.index) * self.pool.buffer_size() + self.offset;
        self.pool.region().span(start, self.length, access)
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (start, length) = (self.pool.buffer(self.index).wrapping_add(self.offset), self.length);
        // SAFETY: rules 1 and 2; whoever writes has `self` exclusively, for as long as this borrow.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (start, length) = (self.pool.buffer(self.index).wrapping_add(self.offset), self.length);
        // SAFETY: rules 1 and 2, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.take_back(self.index);
    }
}

// SAFETY: rules 1 and 2.
unsafe impl Source for Lease {
    fn span(&self, index: usize) -> Span {
        assert_eq!(index, 0, "a lease has one span");
        self.span(Access::READ)
    }
}

// SAFETY: rules 1 and 2; nobody else has the lease.
unsafe impl Target for Lease {
    fn span(&mut self, index: usize) -> Span {
        assert_eq!(index, 0, "a lease has one span");
        Lease::span(self, Access::WRITE)
    }
}

// SAFETY: a byte is leased to one at a time, and only a slab of exclusive memory, or of wrapped memory whose owner
// promised as much, has a pool.
unsafe impl Exclusive for Lease {}

impl Measured for Lease {
    fn length(&mut self) -> Result<usize> {
        Ok(self.length)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease(buffer {}, {} bytes at {})", self.index, self.length, self.offset)
    }
}
