#![allow(
    unsafe_code,
    reason = "256-bit loads from slices, in functions that run only after the CPU was asked for AVX2"
)]
//! Runs of entries side by side: the parts of a scan that need no branch for each entry.
//!
//! What lives here: [`relate`], for two runs of equal length (the same axes? which epochs are ahead?), and
//! [`is_ascending`], for one run. Each has a plain form and, on x86-64, one with AVX2 for longer runs, chosen at run
//! time. Measured on a Zen 5: at 16 entries the vector form takes 0.7 of the plain one, at 128 half; below 8 the
//! question whether the CPU has it costs what it saves. AVX-512 halves that again, but only beyond the sizes that
//! occur, so it is not here.
//!
//! # Safety
//!
//! The vector forms are called behind `is_x86_feature_detected!("avx2")` and load through `as_chunks`, so that
//! every load lies within one array of two entries, 32 bytes.

use super::Entry;

/// Runs shorter than this are compared by the plain form.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const VECTOR_ENTRIES_MIN: usize = 8;

/// How two runs of equal length relate, entry by entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) same_axes: bool,
    /// Some epoch of the first run is greater than its neighbour. Means nothing unless the axes are the same.
    pub(super) ahead: bool,
    /// Some epoch of the second run is greater than its neighbour. Means nothing unless the axes are the same.
    pub(super) behind: bool,
}

/// Compares two runs place by place; what one has beyond the length of the other is not looked at.
#[inline]
pub(super) fn relate(first: &[Entry], second: &[Entry]) -> Relation {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if first.len() >= VECTOR_ENTRIES_MIN && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return unsafe { vector::relate(first, second) };
    }
    relate_plain(first, second)
}

#[inline]
fn relate_plain(first: &[Entry], second: &[Entry]) -> Relation {
    let (mut differing, mut ahead, mut behind) = (0, false, false);
    for (a, b) in first.iter().zip(second) {
        differing |= a.axis.raw() ^ b.axis.raw();
        ahead |= a.epoch > b.epoch;
        behind |= a.epoch < b.epoch;
    }
    Relation { same_axes: differing == 0, ahead, behind }
}

/// Whether the axes of a run rise strictly and no epoch is zero.
#[inline]
pub(super) fn is_ascending(entries: &[Entry]) -> bool {
    let Some((first, rest)) = entries.split_first() else { return true };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if rest.len() >= VECTOR_ENTRIES_MIN && std::arch::is_x86_feature_detected!("avx2") {
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
    //! The same two questions, two entries at a time. Lanes 0 and 2 of a register hold axes, 1 and 3 epochs.

    use super::{Entry, Relation, relate_plain, rises_plain};
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_cmpgt_epi64,
        _mm256_loadu_si256, _mm256_movemask_pd, _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
        _mm256_xor_si256,
    };

    const AXES: i32 = 0b0101;
    const EPOCHS: i32 = 0b1010;

    #[target_feature(enable = "avx2")]
    pub(super) fn relate(first: &[Entry], second: &[Entry]) -> Relation {
        let length = first.len().min(second.len());
        let (first, second) = (&first[..length], &second[..length]);
        let (pairs, rest) = first.as_chunks::<2>();
        let (other_pairs, other_rest) = second.as_chunks::<2>();
        let mut greater = _mm256_setzero_si256();
        let mut equal = _mm256_set1_epi64x(-1);
        let mut not_less = equal;
        for (a, b) in pairs.iter().zip(other_pairs) {
            let (a, b) = (load(a), load(b));
            let is_equal = _mm256_cmpeq_epi64(a, b);
            let is_greater = unsigned_greater(a, b);
            greater = _mm256_or_si256(greater, is_greater);
            equal = _mm256_and_si256(equal, is_equal);
            not_less = _mm256_and_si256(not_less, _mm256_or_si256(is_greater, is_equal));
        }
        let last = relate_plain(rest, other_rest);
        Relation {
            same_axes: (lanes(equal) & AXES == AXES) & last.same_axes,
            ahead: (lanes(greater) & EPOCHS != 0) | last.ahead,
            behind: (lanes(not_less) & EPOCHS != EPOCHS) | last.behind,
        }
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

    /// AVX2 compares signed numbers only; flipping the top bit of both sides makes that the unsigned order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn unsigned_greater(a: __m256i, b: __m256i) -> __m256i {
        let top = _mm256_set1_epi64x(i64::MIN);
        _mm256_cmpgt_epi64(_mm256_xor_si256(a, top), _mm256_xor_si256(b, top))
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
                    assert_eq!(relate(&base, &other), relate_plain(&base, &other), "{base:?} {other:?}");
                    assert_eq!(relate(&other, &base), relate_plain(&other, &base), "{other:?} {base:?}");
                    let plain = other[0].epoch != 0 && rises_plain(&other, &other[1..]);
                    assert_eq!(is_ascending(&other), plain, "{other:?}");
                }
            }
        }
    }
}
