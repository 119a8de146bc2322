#![allow(
    unsafe_code,
    reason = "a slice of entries is viewed as a Frontier, which has the same layout and adds an invariant"
)]
//! Sets of (axis, epoch): what must have happened before.
//!
//! What lives here: [`Entry`], [`Frontier`] (a borrowed, canonical set), [`FrontierBuf`] and [`FrontierBox`] (the
//! storage for one). What does not: the algorithms (`compare.rs`, `merge.rs`), bytes for other machines
//! (`wire.rs`), what has been reached (`tracker.rs`).
//!
//! 1. Canonical: strictly ascending by axis, every epoch at least 1, at most 255 entries. An axis that is absent
//!    stands at epoch 0. The types hold this, so nothing below checks it again.
//! 2. Storage belongs to the caller and has a fixed capacity. Nothing here allocates but the making of a
//!    [`FrontierBox`].
//! 3. Overflow is never eviction: a union that does not fit is refused and the target keeps every bit. It is then
//!    a *lower bound* of the causal past, which may never prove that a wait is unnecessary or memory is free;
//!    whoever holds it has to note that it is incomplete.
//!
//! # Safety
//!
//! `Frontier` is `repr(transparent)` over `[Entry]`; the one cast below relies on that and on nothing else.
//! Rule 1 is an invariant for correct answers, not for memory safety.

mod compare;
mod lanes;
mod merge;
mod storage;
mod wire;

pub use compare::Causality;
pub use merge::Overflow;
pub use storage::{FrontierBox, FrontierBuf};
pub use wire::{WIRE_BYTES_MAX, WireError};

use crate::{Axis, Result, bail};
use std::fmt;

/// Entries that a frontier holds at most: the wire form counts them in one byte.
pub const ENTRIES_MAX: usize = 255;

/// One axis and how far it must have come.
///
/// ```
/// use weft_sync::{Entry, Machine};
/// let entry = Entry::new(Machine::LOCAL.queue(0, 0), 7);
/// assert_eq!(entry.to_string(), "s1.m0.q0:0@7");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Entry {
    /// The timeline.
    pub axis: Axis,
    /// Everything that its owner numbered up to here.
    pub epoch: u64,
}

const _: () = assert!(size_of::<Entry>() == 16 && align_of::<Entry>() == 8);

impl Entry {
    /// An epoch of an axis.
    #[inline]
    pub const fn new(axis: Axis, epoch: u64) -> Entry {
        Entry { axis, epoch }
    }

    /// What unused storage is filled with: epoch 0 of the axis that names nothing.
    ///
    /// ```
    /// use weft_sync::{Entry, FrontierBuf, Machine};
    /// let frontier = FrontierBuf::single(Machine::LOCAL.host(1), 3);
    /// let mut missing = [Entry::NONE; 4];
    /// assert_eq!(frontier.undominated(weft_sync::Frontier::EMPTY, &mut missing), 1);
    /// assert_eq!(missing[1], Entry::NONE);
    /// ```
    pub const NONE: Entry = Entry::new(Axis::from_raw(0), 0);
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.axis, self.epoch)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A canonical set of (axis, epoch), borrowed from whoever stores it.
///
/// Like `str` it is only seen behind a reference; every storage derefs to it, so that all of them can be compared
/// with and merged into all others.
///
/// ```
/// use weft_sync::{Causality, Entry, Frontier, Machine};
/// let [cpu, gpu] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// let prepared = [Entry::new(cpu, 1)];
/// let computed = [Entry::new(cpu, 1), Entry::new(gpu, 4)];
/// let (prepared, computed) = (Frontier::new(&prepared)?, Frontier::new(&computed)?);
/// assert_eq!(prepared.compare(computed), Causality::Before);
/// assert_eq!(computed.epoch_of(gpu), 4);
/// assert!(Frontier::new(&[Entry::new(gpu, 0)]).is_err(), "epochs count from 1");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Frontier([Entry]);

impl Frontier {
    /// The empty set: it has no requirement.
    pub const EMPTY: &'static Frontier = Frontier::from_canonical(&[]);

    /// The set of these entries, if they are canonical. `INVALID_ARGUMENT` naming the first index that is not.
    #[inline]
    pub fn new(entries: &[Entry]) -> Result<&Frontier> {
        if is_canonical(entries) { Ok(Frontier::from_canonical(entries)) } else { Err(explain(entries)) }
    }

    /// Whoever calls this has seen to it that `entries` are canonical.
    #[inline]
    pub(crate) const fn from_canonical(entries: &[Entry]) -> &Frontier {
        let entries: *const [Entry] = entries;
        // SAFETY: the pointer comes from the reference right above, and `Frontier` has the layout of `[Entry]`
        // (`repr(transparent)`), so the cast keeps address, length and lifetime.
        unsafe { &*(entries as *const Frontier) }
    }

    /// The entries in rising order of their axes.
    #[inline]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// How many axes it names.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if it requires nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The epoch required of `axis`; 0 if none is.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine};
    /// let past = FrontierBuf::single(Machine::LOCAL.host(1), 3);
    /// assert_eq!((past.epoch_of(Machine::LOCAL.host(1)), past.epoch_of(Machine::LOCAL.host(2))), (3, 0));
    /// assert!(past.covers(Machine::LOCAL.host(1), 2));
    /// ```
    pub fn epoch_of(&self, axis: Axis) -> u64 {
        match self.0.binary_search_by_key(&axis, |entry| entry.axis) {
            Ok(place) => self.0[place].epoch,
            Err(_) => 0,
        }
    }

    /// Whether it requires at least `epoch` of `axis`.
    pub fn covers(&self, axis: Axis, epoch: u64) -> bool {
        self.epoch_of(axis) >= epoch
    }
}

#[inline]
fn is_canonical(entries: &[Entry]) -> bool {
    entries.len() <= ENTRIES_MAX && lanes::is_ascending(entries)
}

#[cold]
fn explain(entries: &[Entry]) -> crate::Status {
    let why = || -> Result<()> {
        if entries.len() > ENTRIES_MAX {
            bail!(InvalidArgument, "a frontier has at most {ENTRIES_MAX} entries, found {}", entries.len());
        }
        for (index, entry) in entries.iter().enumerate() {
            if entry.epoch == 0 {
                bail!(
                    InvalidArgument,
                    "frontier entry {index} ({}) has epoch 0; epochs count from 1",
                    entry.axis
                );
            }
            let Some(previous) = index.checked_sub(1).map(|before| entries[before].axis) else { continue };
            if entry.axis == previous {
                bail!(InvalidArgument, "frontier entry {index} repeats axis {}", entry.axis);
            }
            if entry.axis < previous {
                bail!(InvalidArgument, "frontier entry {index} ({}) is not above {previous}", entry.axis);
            }
        }
        Ok(())
    };
    why().expect_err("called for entries that are not canonical")
}

/// `{s1.m0.q0:0@3, s1.m0.c1@7}`
impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, entry) in self.0.iter().enumerate() {
            write!(f, "{}{entry}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<Frontier> for Frontier {
    fn as_ref(&self) -> &Frontier {
        self
    }
}

impl<'a> IntoIterator for &'a Frontier {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
