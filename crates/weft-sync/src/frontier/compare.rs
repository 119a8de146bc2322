//! Questions about two frontiers: order, satisfaction, difference.
//!
//! What lives here: [`Frontier::compare`], [`Frontier::is_satisfied`], [`Frontier::undominated`]. Each is one scan
//! over both sets, with a first part for sets that name the same axes: then only epochs are compared, without a
//! branch for each entry.

use super::lanes::{covers, relate};
use super::{Entry, Frontier};

/// How two frontiers relate.
///
/// ```
/// use weft_sync::{Causality, Frontier};
/// assert_eq!(Frontier::EMPTY.compare(Frontier::EMPTY), Causality::Equal);
/// assert_eq!(Causality::Before as u8, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Causality {
    /// The same set.
    Equal = 0,
    /// The first requires nothing that the second does not, and less.
    Before = 1,
    /// The second requires nothing that the first does not, and less.
    After = 2,
    /// Each requires something that the other does not.
    Concurrent = 3,
}

impl Causality {
    /// The relation in which one side is ahead somewhere, the other side, both, or neither.
    #[inline]
    fn of(first_ahead: bool, second_ahead: bool) -> Causality {
        match (first_ahead, second_ahead) {
            (false, false) => Causality::Equal,
            (false, true) => Causality::Before,
            (true, false) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
    }
}

impl Frontier {
    /// How this frontier relates to `other`.
    ///
    /// ```
    /// use weft_sync::{Causality, FrontierBuf, Machine};
    /// let [a, b] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
    /// let (first, second) = (FrontierBuf::single(a, 1), FrontierBuf::single(b, 1));
    /// assert_eq!(first.compare(&second), Causality::Concurrent);
    /// ```
    #[inline]
    pub fn compare(&self, other: &Frontier) -> Causality {
        let (mine, theirs) = (self.entries(), other.entries());
        if let ([first], [second]) = (mine, theirs)
            && first.axis == second.axis
        {
            return Causality::of(first.epoch > second.epoch, second.epoch > first.epoch);
        }
        compare_entries(mine, theirs)
    }

    /// Whether this frontier requires everything that `other` requires: equal or after.
    ///
    /// ```
    /// use weft_sync::{Frontier, FrontierBuf, Machine};
    /// let later = FrontierBuf::single(Machine::LOCAL.host(1), 2);
    /// assert!(later.dominates(&FrontierBuf::single(Machine::LOCAL.host(1), 1)));
    /// assert!(later.dominates(Frontier::EMPTY));
    /// ```
    #[inline]
    pub fn dominates(&self, other: &Frontier) -> bool {
        matches!(self.compare(other), Causality::Equal | Causality::After)
    }

    /// Whether every requirement is met by `reached`: current epochs, sorted by axis. Axes that are not asked for
    /// are passed over; one that is asked for and absent is not met.
    ///
    /// ```
    /// use weft_sync::{Entry, FrontierBuf, Machine};
    /// let [a, b] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
    /// let needed = FrontierBuf::single(b, 4);
    /// assert!(needed.is_satisfied(&[Entry::new(a, 9), Entry::new(b, 4)]));
    /// assert!(!needed.is_satisfied(&[Entry::new(a, 9)]));
    /// ```
    #[inline]
    pub fn is_satisfied(&self, reached: &[Entry]) -> bool {
        if let ([needed], [current]) = (self.entries(), reached) {
            return needed.axis == current.axis && needed.epoch <= current.epoch;
        }
        covers(reached, self.entries()) || satisfied(self.entries(), reached)
    }

    /// The entries that `reference` does not cover (axis missing or epoch smaller there), in order of their axes:
    /// writes as many as fit to `out` and returns how many there are. 0 exactly if `reference` dominates; more than
    /// `out` holds if what was written is not all.
    ///
    /// ```
    /// use weft_sync::{Entry, Frontier, FrontierBuf, Machine};
    /// let [a, b] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
    /// let wanted = [Entry::new(a, 3), Entry::new(b, 1)];
    /// let mut missing = [Entry::new(a, 1); 1];
    /// assert_eq!(Frontier::new(&wanted)?.undominated(&FrontierBuf::single(b, 2), &mut missing), 1);
    /// assert_eq!(missing, [Entry::new(a, 3)]);
    /// # weft_sync::Result::Ok(())
    /// ```
    #[inline]
    pub fn undominated(&self, reference: &Frontier, out: &mut [Entry]) -> usize {
        if covers(reference.entries(), self.entries()) {
            return 0;
        }
        undominated(reference.entries(), self.entries(), out)
    }
}

fn compare_entries(mine: &[Entry], theirs: &[Entry]) -> Causality {
    match relate(mine, theirs) {
        Some(relation) => Causality::of(relation.ahead, relation.behind),
        None => compare_by_axis(mine, theirs),
    }
}

/// Merge scan over different axes; ends as soon as each side is known to be ahead somewhere.
#[inline(never)]
fn compare_by_axis(mine: &[Entry], theirs: &[Entry]) -> Causality {
    let (mut ahead, mut behind) = (false, false);
    let mut mine = mine.iter();
    let mut next = mine.next();
    for b in theirs {
        while let Some(a) = next
            && a.axis < b.axis
        {
            ahead = true;
            next = mine.next();
        }
        match next {
            Some(a) if a.axis == b.axis => {
                ahead |= a.epoch > b.epoch;
                behind |= a.epoch < b.epoch;
                next = mine.next();
            }
            _ => behind = true,
        }
        if ahead & behind {
            return Causality::Concurrent;
        }
    }
    Causality::of(ahead | next.is_some(), behind)
}

#[inline(never)]
fn satisfied(needed: &[Entry], reached: &[Entry]) -> bool {
    let mut reached = reached.iter();
    for entry in needed {
        let current = loop {
            match reached.next() {
                Some(current) if current.axis < entry.axis => {}
                Some(current) => break current,
                None => return false,
            }
        };
        if (current.axis != entry.axis) | (current.epoch < entry.epoch) {
            return false;
        }
    }
    true
}

#[inline(never)]
fn undominated(reference: &[Entry], target: &[Entry], out: &mut [Entry]) -> usize {
    let mut count = 0;
    let mut reference = reference.iter();
    let mut next = reference.next();
    for entry in target {
        while let Some(it) = next
            && it.axis < entry.axis
        {
            next = reference.next();
        }
        let covered = match next {
            Some(it) if it.axis == entry.axis => it.epoch,
            _ => 0,
        };
        if covered < entry.epoch {
            if let Some(place) = out.get_mut(count) {
                *place = *entry;
            }
            count += 1;
        }
    }
    count
}
