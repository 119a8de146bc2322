#![allow(unsafe_code, reason = "whoever has a lease reads and writes its buffer")]
//! One buffer of a pool, in one pair of hands.
//!
//! What lives here: [`Lease`]. What does not: where it comes from and goes back to (`pool.rs`).
//!
//! # Safety
//!
//! 1. A lease is the only way to its buffer, for as long as it lives: the pool has given the index out and gets it back
//!    by the lease's drop; and a slab has one pool. What the kernel has of the same slab are other buffers, or this one in
//!    an operation that has the lease.
//! 2. The buffer lies in a slab, which the pool keeps: it stays where it is, and is initialised.

use super::pool::BufferPool;
use super::region::Access;
use crate::span::{Exclusive, Measured, Source, Span, Target};
use std::fmt;
use std::ops::{Deref, DerefMut};
use weft_sync::Result;

/// A buffer of a [`BufferPool`], until it is dropped, on whatever thread. Given to an operation it comes back with it.
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
}

impl Lease {
    /// The caller has got the index from the pool, and gives it up.
    pub(super) fn new(pool: &BufferPool, index: u16) -> Lease {
        Lease { pool: pool.clone(), index }
    }

    /// Which buffer.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Where it comes from.
    pub fn pool(&self) -> &BufferPool {
        &self.pool
    }

    fn span(&self, access: Access) -> Span {
        let size = self.pool.buffer_size();
        self.pool.region().span(usize::from(self.index) * size, size, access)
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (start, length) = (self.pool.buffer(self.index), self.pool.buffer_size());
        // SAFETY: rules 1 and 2; whoever writes has `self` exclusively, for as long as this borrow.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (start, length) = (self.pool.buffer(self.index), self.pool.buffer_size());
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

// SAFETY: a buffer is leased to one at a time, and only a slab of exclusive memory, or of wrapped memory whose owner
// promised as much, has a pool.
unsafe impl Exclusive for Lease {}

impl Measured for Lease {
    fn length(&mut self) -> Result<usize> {
        Ok(self.pool.buffer_size())
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease(buffer {} of {} bytes)", self.index, self.pool.buffer_size())
    }
}
