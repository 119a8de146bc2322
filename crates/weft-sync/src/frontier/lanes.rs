#![allow(
    unsafe_code,
    reason = "256-bit loads from slices, in functions that run only after the CPU was asked for AVX2"
)]
//! Runs of entries side by side: the parts of a scan that need no branch for each entry.
//!
//! What lives here: for two runs that name the same axes, [`relate`] (which epochs are ahead?), [`covers`] (are all of
//! one side's?) and [`raise`] (take the greater ones); for one run, [`is_ascending`]. Each has a plain form and, on
//! x86-64, one with AVX2 for longer runs, chosen at run time. Measured on a Zen 5: at 16 entries the vector form takes
//! 0.7 of the plain one, at 128 half; below 8 the question whether the CPU has it costs what it saves. AVX-512 halves
//! that again, but only beyond the sizes that occur, so it is not here.
//!
//! # Safety
//!
//! The vector forms are called behind `is_x86_feature_detected!("avx2")` and load and store through `as_chunks`, so that
//! every access lies within one array of two entries, 32 bytes.

use super::Entry;

/// Runs shorter than this are compared by the plain form.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const VECTOR_ENTRIES_MIN: usize = 8;

/// How two runs that name the same axes relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// Some epoch of the first run is greater than its neighbour.
    pub(super) ahead: bool,
    /// Some epoch of the second run is greater than its neighbour.
    pub(super) behind: bool,
}

/// Whether the vector forms are worth it, and there.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn is_for_vectors(count: usize) -> bool {
    count >= VECTOR_ENTRIES_MIN && std::arch::is_x86_feature_detected!("avx2")
}

/// Runs that differ in length or in the first axis, as most do that do not name the same axes.
#[inline]
fn differ_at_once(first: &[Entry], second: &[Entry]) -> bool {
    first.len() != second.len() || first.first().map(|it| it.axis) != second.first().map(|it| it.axis)
}

/// Compares two runs place by place; `None` if they do not name the same axes.
#[inline]
pub(super) fn relate(first: &[Entry], second: &[Entry]) -> Option<Relation> {
    if differ_at_once(first, second) {
        return None;
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if first.len() >= VECTOR_ENTRIES_MIN {
        return relate_long(first, second);
    }
    relate_plain(first, second)
}

/// Apart, so that short runs need not keep registers for the question.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(never)]
fn relate_long(first: &[Entry], second: &[Entry]) -> Option<Relation> {
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return unsafe { vector::relate(first, second) };
    }
    relate_plain(first, second)
}

#[inline]
fn relate_plain(first: &[Entry], second: &[Entry]) -> Option<Relation> {
    // Sums of comparisons become additions with carry, one instruction each.
    let (mut differing, mut ahead, mut behind) = (0, 0, 0);
    for (a, b) in first.iter().zip(second) {
        differing |= a.axis.raw() ^ b.axis.raw();
        ahead += u64::from(a.epoch > b.epoch);
        behind += u64::from(a.epoch < b.epoch);
    }
    (differing == 0).then_some(Relation { ahead: ahead != 0, behind: behind != 0 })
}

/// Whether both runs name the same axes and no epoch of `lower` is beyond its neighbour in `upper`.
#[inline]
pub(super) fn covers(upper: &[Entry], lower: &[Entry]) -> bool {
    if differ_at_once(upper, lower) {
        return false;
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if is_for_vectors(upper.len()) {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return unsafe { vector::covers(upper, lower) };
    }
    covers_plain(upper, lower)
}

#[inline]
fn covers_plain(upper: &[Entry], lower: &[Entry]) -> bool {
    let (mut differing, mut beyond) = (0, false);
    for (above, below) in upper.iter().zip(lower) {
        differing |= above.axis.raw() ^ below.axis.raw();
        beyond |= below.epoch > above.epoch;
    }
    (differing == 0) & !beyond
}

/// Raises the epochs of `target` to those of `source`, which names the same axes.
#[inline]
pub(super) fn raise(target: &mut [Entry], source: &[Entry]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if is_for_vectors(target.len()) {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return unsafe { vector::raise(target, source) };
    }
    raise_plain(target, source);
}

#[inline]
fn raise_plain(target: &mut [Entry], source: &[Entry]) {
    for (entry, other) in target.iter_mut().zip(source) {
        entry.epoch = entry.epoch.max(other.epoch);
    }
}

/// Whether the axes of a run rise strictly and no epoch is zero.
#[inline]
pub(super) fn is_ascending(entries: &[Entry]) -> bool {
    let Some((first, rest)) = entries.split_first() else { return true };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if is_for_vectors(rest.len()) {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return first.epoch != 0 && unsafe { vector::rises(entries, rest) };
    }
    first.epoch != 0 && rises_plain(entries, rest)
}

/// Whether every entry of `upper` names a greater axis than its neighbour in `lower`, and no epoch of zero.
#[inline]
fn rises_plain(lower: &[Entry], upper: &[Entry]) -> bool {
    let mut wrong = false;
    for (below, above) in lower.iter().zip(upper) {
        wrong |= (above.axis <= below.axis) | (above.epoch == 0);
    }
    !wrong
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod vector {
    //! The same questions, two entries at a time. Lanes 0 and 2 of a register hold axes, 1 and 3 epochs.

    use super::{Entry, Relation, covers_plain, raise_plain, relate_plain, rises_plain};
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_pd, _mm256_cmpeq_epi64,
        _mm256_cmpgt_epi64, _mm256_loadu_si256, _mm256_movemask_pd, _mm256_or_si256, _mm256_set1_epi64x,
        _mm256_setzero_si256, _mm256_storeu_si256, _mm256_xor_si256,
    };

    const AXES: i32 = 0b0101;
    const EPOCHS: i32 = 0b1010;

    #[target_feature(enable = "avx2")]
    pub(super) fn relate(first: &[Entry], second: &[Entry]) -> Option<Relation> {
        let length = first.len().min(second.len());
        let (first, second) = (&first[..length], &second[..length]);
        let (pairs, rest) = first.as_chunks::<2>();
        let (other_pairs, other_rest) = second.as_chunks::<2>();
        let mut greater = _mm256_setzero_si256();
        let mut less = greater;
        for (a, b) in pairs.iter().zip(other_pairs) {
            let (a, b) = (ordered(load(a)), ordered(load(b)));
            greater = _mm256_or_si256(greater, _mm256_cmpgt_epi64(a, b));
            less = _mm256_or_si256(less, _mm256_cmpgt_epi64(b, a));
        }
        let last = relate_plain(rest, other_rest)?;
        let (greater, less) = (lanes(greater), lanes(less));
        // An axis that differs is greater on one side.
        ((greater | less) & AXES == 0).then_some(Relation {
            ahead: (greater & EPOCHS != 0) | last.ahead,
            behind: (less & EPOCHS != 0) | last.behind,
        })
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn covers(upper: &[Entry], lower: &[Entry]) -> bool {
        let length = upper.len().min(lower.len());
        let (upper, lower) = (&upper[..length], &lower[..length]);
        let (pairs, rest) = upper.as_chunks::<2>();
        let (lower_pairs, lower_rest) = lower.as_chunks::<2>();
        let mut beyond = _mm256_setzero_si256();
        let mut equal = _mm256_set1_epi64x(-1);
        for (above, below) in pairs.iter().zip(lower_pairs) {
            let (above, below) = (load(above), load(below));
            beyond = _mm256_or_si256(beyond, unsigned_greater(below, above));
            equal = _mm256_and_si256(equal, _mm256_cmpeq_epi64(below, above));
        }
        (lanes(beyond) & EPOCHS == 0) & (lanes(equal) & AXES == AXES) & covers_plain(rest, lower_rest)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn raise(target: &mut [Entry], source: &[Entry]) {
        let length = target.len().min(source.len());
        let (target, source) = (&mut target[..length], &source[..length]);
        let (pairs, rest) = target.as_chunks_mut::<2>();
        let (other_pairs, other_rest) = source.as_chunks::<2>();
        for (place, other) in pairs.iter_mut().zip(other_pairs) {
            let (mine, other) = (load(place), load(other));
            // The axes are equal, so that either will do.
            store(place, _mm256_blendv_epi8(mine, other, unsigned_greater(other, mine)));
        }
        raise_plain(rest, other_rest);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn rises(lower: &[Entry], upper: &[Entry]) -> bool {
        let length = lower.len().min(upper.len());
        let (lower, upper) = (&lower[..length], &upper[..length]);
        let (pairs, rest) = lower.as_chunks::<2>();
        let (upper_pairs, upper_rest) = upper.as_chunks::<2>();
        let mut greater = _mm256_set1_epi64x(-1);
        let mut zero = _mm256_setzero_si256();
        for (below, above) in pairs.iter().zip(upper_pairs) {
            let above = load(above);
            greater = _mm256_and_si256(greater, unsigned_greater(above, load(below)));
            zero = _mm256_or_si256(zero, _mm256_cmpeq_epi64(above, _mm256_setzero_si256()));
        }
        (lanes(greater) & AXES == AXES) & (lanes(zero) & EPOCHS == 0) & rises_plain(rest, upper_rest)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load(pair: &[Entry; 2]) -> __m256i {
        // SAFETY: a pair of entries is 32 readable bytes, and the load asks for no alignment.
        unsafe { _mm256_loadu_si256(std::ptr::from_ref(pair).cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn store(pair: &mut [Entry; 2], words: __m256i) {
        // SAFETY: a pair of entries is 32 writable bytes, any words are entries, and the store asks for no alignment.
        unsafe { _mm256_storeu_si256(std::ptr::from_mut(pair).cast(), words) };
    }

    /// AVX2 compares signed numbers only; flipping the top bit makes that the unsigned order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn ordered(words: __m256i) -> __m256i {
        _mm256_xor_si256(words, _mm256_set1_epi64x(i64::MIN))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn unsigned_greater(a: __m256i, b: __m256i) -> __m256i {
        _mm256_cmpgt_epi64(ordered(a), ordered(b))
    }

    /// One bit for each of the four lanes.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn lanes(mask: __m256i) -> i32 {
        _mm256_movemask_pd(_mm256_castsi256_pd(mask))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Axis;

    /// Words around the points where signed and unsigned order differ, in every place of runs of every length.
    #[test]
    fn vector_and_plain_forms_agree() {
        let words = [1, 2, i64::MAX as u64, 1 << 63, u64::MAX];
        for length in 0..40_usize {
            let base: Vec<Entry> = (0..length as u64).map(|i| Entry::new(Axis::from_raw(i + 1), 5)).collect();
            for place in 0..length {
                for (axis, epoch) in words.iter().flat_map(|a| words.map(|e| (*a, e))).chain([(7, 0)]) {
                    let mut other = base.clone();
                    other[place] = Entry::new(Axis::from_raw(axis), epoch);
                    for (first, second) in [(&base, &other), (&other, &base)] {
                        assert_eq!(
                            relate(first, second),
                            relate_plain(first, second),
                            "{first:?} {second:?}"
                        );
                        assert_eq!(
                            covers(first, second),
                            covers_plain(first, second),
                            "{first:?} {second:?}"
                        );
                        if relate(first, second).is_some() {
                            let [mut raised, mut plain] = [first.clone(), first.clone()];
                            raise(&mut raised, second);
                            raise_plain(&mut plain, second);
                            assert_eq!(raised, plain, "{first:?} {second:?}");
                        }
                    }
                    let plain = other[0].epoch != 0 && rises_plain(&other, &other[1..]);
                    assert_eq!(is_ascending(&other), plain, "{other:?}");
                }
            }
        }
    }
}
