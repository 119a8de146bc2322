//! Storage for one frontier: inline with a capacity in its type, or on the heap with one chosen at run time.
//!
//! What lives here: [`FrontierBuf`], [`FrontierBox`]. Both deref to [`Frontier`] and grow by merging only.

use super::{ENTRIES_MAX, Entry, Frontier, Overflow, merge};
use crate::{Axis, Result};
use std::fmt;
use std::ops::Deref;

/// A frontier of at most `CAPACITY` entries, stored where the value is.
///
/// It has the layout of the wire form on a little-endian machine: `8 + 16 × CAPACITY` bytes, the count first. The
/// frontier of a single queue, `FrontierBuf<1>`, takes 24.
///
/// ```
/// use weft_sync::{FrontierBuf, Machine};
/// let [a, b] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// let mut past = FrontierBuf::<4>::new();
/// past.merge(&FrontierBuf::single(b, 2))?;
/// past.raise(a, 7)?;
/// assert_eq!(past.to_string(), "{s1.m0.q0:0@7, s1.m0.q1:0@2}");
/// # Ok::<(), weft_sync::Overflow>(())
/// ```
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FrontierBuf<const CAPACITY: usize> {
    pub(super) count: u8,
    reserved: [u8; 7],
    pub(super) entries: [Entry; CAPACITY],
}

const _: () = assert!(size_of::<FrontierBuf<0>>() == 8 && size_of::<FrontierBuf<1>>() == 24);
const _: () = assert!(size_of::<FrontierBuf<16>>() == 8 + 256 && align_of::<FrontierBuf<16>>() == 8);
const _: () = assert!(std::mem::offset_of!(FrontierBuf<3>, entries) == 8);

impl<const CAPACITY: usize> FrontierBuf<CAPACITY> {
    /// The empty frontier.
    #[inline]
    pub const fn new() -> FrontierBuf<CAPACITY> {
        const { assert!(CAPACITY <= ENTRIES_MAX, "a frontier has at most 255 entries") };
        FrontierBuf { count: 0, reserved: [0; 7], entries: [Entry::NONE; CAPACITY] }
    }

    /// The frontier of these entries. `INVALID_ARGUMENT` if they are not canonical, `RESOURCE_EXHAUSTED` if there
    /// are more than the capacity.
    pub fn from_entries(entries: &[Entry]) -> Result<FrontierBuf<CAPACITY>> {
        let mut made = FrontierBuf::new();
        made.merge(Frontier::new(entries)?)?;
        Ok(made)
    }

    /// A copy of `frontier`, if it fits.
    pub fn copy_of(frontier: &Frontier) -> std::result::Result<FrontierBuf<CAPACITY>, Overflow> {
        let mut made = FrontierBuf::new();
        made.merge(frontier)?;
        Ok(made)
    }

    /// The frontier.
    #[inline]
    pub fn as_frontier(&self) -> &Frontier {
        Frontier::from_canonical(&self.entries[..usize::from(self.count)])
    }

    /// Raises this frontier to the union with `source`. If that does not fit, nothing changes.
    #[inline]
    pub fn merge(&mut self, source: &Frontier) -> std::result::Result<(), Overflow> {
        self.merge_reporting(source).map(|_| ())
    }

    /// As [`FrontierBuf::merge`]; also tells whether `source` covered everything that was here before, so that this
    /// frontier now equals it.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine};
    /// let mut past = FrontierBuf::single(Machine::LOCAL.host(1), 3);
    /// assert_eq!(past.merge_reporting(&FrontierBuf::single(Machine::LOCAL.host(1), 4)), Ok(true));
    /// assert_eq!(past.merge_reporting(&FrontierBuf::single(Machine::LOCAL.host(1), 2)), Ok(false));
    /// ```
    #[inline]
    pub fn merge_reporting(&mut self, source: &Frontier) -> std::result::Result<bool, Overflow> {
        let merged = merge::merge(&mut self.entries, usize::from(self.count), source)?;
        self.count = merged.count as u8;
        Ok(merged.source_dominated)
    }

    /// Requires at least `epoch` (1 or more; 0 asks nothing) of `axis`.
    #[inline]
    pub fn raise(&mut self, axis: Axis, epoch: u64) -> std::result::Result<(), Overflow> {
        if epoch == 0 {
            return Ok(());
        }
        self.merge(Frontier::from_canonical(&[Entry::new(axis, epoch)]))
    }

    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

impl FrontierBuf<1> {
    /// The frontier of one axis, the most common one; an epoch of 0 makes it empty.
    #[inline]
    pub const fn single(axis: Axis, epoch: u64) -> FrontierBuf<1> {
        FrontierBuf { count: (epoch != 0) as u8, reserved: [0; 7], entries: [Entry::new(axis, epoch)] }
    }
}

impl<const CAPACITY: usize> Default for FrontierBuf<CAPACITY> {
    fn default() -> FrontierBuf<CAPACITY> {
        FrontierBuf::new()
    }
}

/// A frontier whose capacity is chosen when it is made; its one allocation.
///
/// ```
/// use weft_sync::{FrontierBox, FrontierBuf, Machine};
/// let mut past = FrontierBox::with_capacity(2);
/// past.merge(&FrontierBuf::single(Machine::LOCAL.host(1), 1))?;
/// assert_eq!((past.len(), past.capacity()), (1, 2));
/// # Ok::<(), weft_sync::Overflow>(())
/// ```
pub struct FrontierBox {
    entries: Box<[Entry]>,
    count: u8,
}

impl FrontierBox {
    /// The empty frontier, with room for `capacity` entries.
    pub fn with_capacity(capacity: u8) -> FrontierBox {
        FrontierBox { entries: vec![Entry::NONE; usize::from(capacity)].into_boxed_slice(), count: 0 }
    }

    /// How many entries fit.
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// The frontier.
    #[inline]
    pub fn as_frontier(&self) -> &Frontier {
        Frontier::from_canonical(&self.entries[..usize::from(self.count)])
    }

    /// Raises this frontier to the union with `source`. If that does not fit, nothing changes.
    #[inline]
    pub fn merge(&mut self, source: &Frontier) -> std::result::Result<(), Overflow> {
        self.merge_reporting(source).map(|_| ())
    }

    /// As [`FrontierBox::merge`]; also tells whether `source` covered everything that was here before.
    #[inline]
    pub fn merge_reporting(&mut self, source: &Frontier) -> std::result::Result<bool, Overflow> {
        let merged = merge::merge(&mut self.entries, usize::from(self.count), source)?;
        self.count = merged.count as u8;
        Ok(merged.source_dominated)
    }

    /// Forgets everything; the room stays.
    #[inline]
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

/// What both storages share: they read as a frontier.
macro_rules! read_as_frontier {
    ($([$($generics:tt)*] $storage:ty),*) => { $(
        impl<$($generics)*> Deref for $storage {
            type Target = Frontier;

            #[inline]
            fn deref(&self) -> &Frontier {
                self.as_frontier()
            }
        }

        impl<$($generics)*> AsRef<Frontier> for $storage {
            fn as_ref(&self) -> &Frontier {
                self.as_frontier()
            }
        }

        impl<$($generics)*> fmt::Debug for $storage {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_frontier(), f)
            }
        }

        impl<$($generics)*> fmt::Display for $storage {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_frontier(), f)
            }
        }

        impl<$($generics)*> PartialEq for $storage {
            fn eq(&self, other: &Self) -> bool {
                self.as_frontier() == other.as_frontier()
            }
        }

        impl<$($generics)*> Eq for $storage {}
    )* };
}

read_as_frontier!([const CAPACITY: usize] FrontierBuf<CAPACITY>, [] FrontierBox);
