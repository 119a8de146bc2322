//! The union of two frontiers, in place.
//!
//! What lives here: [`merge`], the least upper bound of what a storage holds and a source. What does not: the
//! storages (`storage.rs`).
//!
//! Three cases, cheapest first: one side is empty; both name the same axes and only epochs rise; everything else,
//! where the union is written from the right, so that no entry of the target is overwritten before it was read and no
//! scratch space is needed. Where it ends is known beforehand only if all axes differ. If there is room for that case,
//! it is assumed, and what was written is moved down by the axes that were common after all; if not, they are counted
//! first, for a union that does not fit must change nothing.

use super::lanes::{raise, relate};
use super::{Entry, Frontier};
use crate::{Status, status};
use std::cell::Cell;
use std::fmt;

/// A union that does not fit: the target is unchanged, and no longer all of the causal past.
///
/// ```
/// use weft_sync::{FrontierBuf, Machine, Overflow};
/// let mut one = FrontierBuf::single(Machine::LOCAL.host(1), 1);
/// let other = FrontierBuf::single(Machine::LOCAL.host(2), 1);
/// assert_eq!(one.merge(&other), Err(Overflow { needed: 2, capacity: 1 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Entries of the union.
    pub needed: usize,
    /// Entries that the storage holds.
    pub capacity: usize,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the union has {} entries, the storage holds {}", self.needed, self.capacity)
    }
}

impl std::error::Error for Overflow {}

impl From<Overflow> for Status {
    fn from(overflow: Overflow) -> Status {
        status!(ResourceExhausted, "{overflow}")
    }
}

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Entries of the target now.
    pub(crate) count: usize,
    /// Whether the source covered the whole old target, so that the target equals the source now.
    pub(crate) source_dominated: bool,
}

/// Raises the first `count` entries of `storage`, which are canonical, to the union with `source`.
#[inline]
pub(crate) fn merge(storage: &mut [Entry], count: usize, source: &Frontier) -> Result<Merged, Overflow> {
    let source = source.entries();
    // The most common one by far: a queue raises its own axis.
    if let (1, [entry, ..], [other]) = (count, &mut *storage, source)
        && entry.axis == other.axis
    {
        let source_dominated = entry.epoch <= other.epoch;
        entry.epoch = entry.epoch.max(other.epoch);
        return Ok(Merged { count, source_dominated });
    }
    merge_entries(storage, count, source)
}

fn merge_entries(storage: &mut [Entry], count: usize, source: &[Entry]) -> Result<Merged, Overflow> {
    let target = &mut storage[..count];
    if source.is_empty() {
        return Ok(Merged { count, source_dominated: count == 0 });
    }
    if let Some(relation) = relate(target, source) {
        if relation.behind {
            raise(target, source);
        }
        return Ok(Merged { count, source_dominated: !relation.ahead });
    }
    if count == 0 && source.len() <= storage.len() {
        storage[..source.len()].copy_from_slice(source);
        return Ok(Merged { count: source.len(), source_dominated: true });
    }
    merge_by_axis(storage, count, source)
}

/// The case in which no axis is common, or not all are.
#[inline(never)]
fn merge_by_axis(storage: &mut [Entry], count: usize, source: &[Entry]) -> Result<Merged, Overflow> {
    let capacity = storage.len();
    let end = if count + source.len() <= capacity {
        count + source.len()
    } else {
        let union = count + source.len() - count_common(&storage[..count], source);
        if union > capacity {
            return Err(Overflow { needed: union, capacity });
        }
        union
    };
    let Written { common, first, left, covered } = write_union(&mut storage[..end], count, source);
    if first > left {
        storage.copy_within(first..end, left);
    }
    Ok(Merged { count: left + end - first, source_dominated: covered & (common == count) })
}

/// What [`write_union`] did.
struct Written {
    /// Axes that both had.
    common: usize,
    /// Where what was written begins. It ends where the storage ends.
    first: usize,
    /// Entries of the target that were not moved: all of them belong below what was written.
    left: usize,
    /// No epoch of the target was beyond the source's, among the common axes.
    covered: bool,
}

/// Writes the union from the end of `storage` down. Cells, because the entries of the target that have yet to be read
/// lie in the same place; the writing stays at or above the reading, for there is room for every entry of both, less
/// those that were counted as common.
fn write_union(storage: &mut [Entry], count: usize, source: &[Entry]) -> Written {
    let cells = Cell::from_mut(storage).as_slice_of_cells();
    let mut places = cells.iter().rev();
    let mut mine = cells[..count].iter().rev();
    let mut next = mine.next().map(Cell::get);
    let (mut common, mut covered) = (0, true);
    for other in source.iter().rev() {
        let mut written = *other;
        while let Some(entry) = next {
            if entry.axis <= other.axis {
                if entry.axis == other.axis {
                    common += 1;
                    covered &= entry.epoch <= other.epoch;
                    written.epoch = entry.epoch.max(other.epoch);
                    next = mine.next().map(Cell::get);
                }
                break;
            }
            put(&mut places, entry);
            next = mine.next().map(Cell::get);
        }
        put(&mut places, written);
    }
    let left = mine.len() + usize::from(next.is_some());
    Written { common, first: places.len(), left, covered }
}

#[inline]
fn put<'a>(places: &mut impl Iterator<Item = &'a Cell<Entry>>, entry: Entry) {
    if let Some(place) = places.next() {
        place.set(entry);
    }
}

/// How many axes both name.
fn count_common(target: &[Entry], source: &[Entry]) -> usize {
    let mut common = 0;
    let mut target = target.iter();
    let mut next = target.next();
    for other in source {
        while let Some(entry) = next
            && entry.axis < other.axis
        {
            next = target.next();
        }
        let Some(entry) = next else { break };
        common += usize::from(entry.axis == other.axis);
    }
    common
}
