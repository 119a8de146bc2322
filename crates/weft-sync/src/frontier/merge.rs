//! The union of two frontiers, in place.
//!
//! What lives here: [`merge`], the least upper bound of what a storage holds and a source. What does not: the
//! storages (`storage.rs`).
//!
//! Three cases, cheapest first: one side is empty; both name the same axes and only epochs rise; everything else,
//! where the union is counted first and then written from the right, so that no entry of the target is overwritten
//! before it was read and no scratch space is needed.

use super::lanes::relate;
use super::{Entry, Frontier};
use crate::{Status, status};
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
    if source.is_empty() {
        return Ok(Merged { count, source_dominated: count == 0 });
    }
    if count == 0 && source.len() <= storage.len() {
        storage[..source.len()].copy_from_slice(source);
        return Ok(Merged { count: source.len(), source_dominated: true });
    }
    let target = &mut storage[..count];
    if target.len() == source.len() {
        let relation = relate(target, source);
        if relation.same_axes {
            match (relation.ahead, relation.behind) {
                (_, false) => {}
                (false, true) => target.copy_from_slice(source),
                (true, true) => raise(target, source),
            }
            return Ok(Merged { count, source_dominated: !relation.ahead });
        }
    }
    merge_by_axis(storage, count, source)
}

/// Epochs to the maximum.
#[inline]
fn raise(target: &mut [Entry], source: &[Entry]) {
    for (entry, other) in target.iter_mut().zip(source) {
        entry.epoch = entry.epoch.max(other.epoch);
    }
}

/// The case in which no axis is common, or not all are.
fn merge_by_axis(storage: &mut [Entry], count: usize, source: &[Entry]) -> Result<Merged, Overflow> {
    let common = count_common(&storage[..count], source);
    let union = count + source.len() - common;
    let capacity = storage.len();
    let Some(storage) = storage.get_mut(..union) else { return Err(Overflow { needed: union, capacity }) };
    let (mut mine, mut free) = (count, union);
    let mut covered = common == count;
    for other in source.iter().rev() {
        while mine > 0 && storage[mine - 1].axis > other.axis {
            free -= 1;
            mine -= 1;
            storage[free] = storage[mine];
        }
        free -= 1;
        let mut epoch = other.epoch;
        if mine > 0 && storage[mine - 1].axis == other.axis {
            mine -= 1;
            covered &= storage[mine].epoch <= epoch;
            epoch = epoch.max(storage[mine].epoch);
        }
        storage[free] = Entry::new(other.axis, epoch);
    }
    // What is left of the target lies where it belongs: below everything that came from the source.
    debug_assert_eq!(free, mine);
    Ok(Merged { count: union, source_dominated: covered })
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
