//! The laws of frontiers on random sets, against a naive map from axis to epoch.
#![cfg(not(loom))]

use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_sync::{Axis, Causality, Entry, Frontier, FrontierBox, FrontierBuf, Overflow};

/// Cases of each law; a sanitizer, which runs everything many times slower, gets fewer.
const CASES: u32 = if cfg!(tsan) { 500 } else { 10_000 };

/// What a frontier is, said naively. An absent axis stands at 0.
type Model = BTreeMap<u64, u64>;

fn at(model: &Model, axis: u64) -> u64 {
    model.get(&axis).copied().unwrap_or(0)
}

fn model_compare(first: &Model, second: &Model) -> Causality {
    let axes = || first.keys().chain(second.keys());
    let ahead = axes().any(|&axis| at(first, axis) > at(second, axis));
    let behind = axes().any(|&axis| at(first, axis) < at(second, axis));
    match (ahead, behind) {
        (false, false) => Causality::Equal,
        (false, true) => Causality::Before,
        (true, false) => Causality::After,
        (true, true) => Causality::Concurrent,
    }
}

fn model_union(first: &Model, second: &Model) -> Model {
    let mut union = first.clone();
    for (&axis, &epoch) in second {
        let place = union.entry(axis).or_default();
        *place = epoch.max(*place);
    }
    union
}

fn entries(model: &Model) -> Vec<Entry> {
    model.iter().map(|(&axis, &epoch)| Entry::new(Axis::from_raw(axis), epoch)).collect()
}

fn boxed(model: &Model, capacity: usize) -> FrontierBox {
    let mut made = FrontierBox::with_capacity(u8::try_from(capacity).unwrap());
    made.merge(Frontier::new(&entries(model)).unwrap()).unwrap();
    made
}

fn buffer(model: &Model) -> FrontierBuf<255> {
    FrontierBuf::from_entries(&entries(model)).unwrap()
}

fn model_of(frontier: &Frontier) -> Model {
    frontier.into_iter().map(|entry| (entry.axis.raw(), entry.epoch)).collect()
}

/// Few axes and epochs, so that sets meet; now and then the ends of the range and long runs of axes.
fn model() -> impl Strategy<Value = Model> {
    let epoch = prop_oneof![8 => 1..4u64, 1 => Just(u64::MAX), 1 => (1u64 << 63) - 1..(1 << 63) + 1];
    let axis = prop_oneof![12 => 0..12u64, 1 => Just(u64::MAX), 1 => (1u64 << 63) - 1..(1 << 63) + 1];
    let small = prop::collection::btree_map(axis, epoch.clone(), 0..8);
    let run = (0..4u64, 1..40usize, epoch, any::<u16>()).prop_map(|(first, length, epoch, dip)| {
        let mut run: Model = (0..length as u64).map(|index| (first + index, epoch)).collect();
        run.insert(first + u64::from(dip) % length as u64, 1 + u64::from(dip) % 3);
        run
    });
    prop_oneof![4 => small, 1 => run]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// [causal 11] Order is that of the model; reflexive, antisymmetric, transitive.
    #[test]
    fn compare_is_a_partial_order(a in model(), b in model(), c in model()) {
        let [fa, fb, fc] = [&a, &b, &c].map(buffer);
        prop_assert_eq!(fa.compare(&fb), model_compare(&a, &b));
        prop_assert_eq!(fa.compare(&fa), Causality::Equal);
        prop_assert_eq!(fa.compare(&fb) == Causality::Equal, a == b);
        prop_assert_eq!(fa.compare(&fb) == Causality::After, fb.compare(&fa) == Causality::Before);
        if fa.dominates(&fb) && fb.dominates(&fc) {
            prop_assert!(fa.dominates(&fc));
        }
    }

    /// [causal 16] [causal 18] Union is that of the model, or refused without a trace; idempotent, commutative,
    /// associative, above both.
    #[test]
    fn merge_is_the_least_upper_bound(a in model(), b in model(), c in model(), room in 0..64usize) {
        let union = model_union(&a, &b);
        let capacity = room.max(a.len());
        let mut made = boxed(&a, capacity);
        let outcome = made.merge_reporting(&buffer(&b));
        if union.len() > capacity {
            prop_assert_eq!(outcome, Err(Overflow { needed: union.len(), capacity }));
            prop_assert_eq!(model_of(&made), a.clone());
        } else {
            let covers = matches!(model_compare(&b, &a), Causality::Equal | Causality::After);
            prop_assert_eq!(outcome, Ok(covers));
            prop_assert_eq!(model_of(&made), union);
            prop_assert!(Frontier::new(made.entries()).is_ok());
            let once = model_of(&made);
            made.merge(&buffer(&b)).unwrap();
            prop_assert_eq!(model_of(&made), once);
        }
        let [fa, fb, fc] = [&a, &b, &c].map(buffer);
        let merge = |mut into: FrontierBuf<255>, from: &Frontier| { into.merge(from).unwrap(); into };
        prop_assert_eq!(merge(fa, &fb), merge(fb, &fa));
        prop_assert_eq!(merge(merge(fa, &fb), &fc), merge(fa, &merge(fb, &fc)));
        prop_assert!(merge(fa, &fb).dominates(&fa) && merge(fa, &fb).dominates(&fb));
    }

    /// [causal 20] Satisfaction is that of the model, and stays when epochs rise.
    #[test]
    fn satisfaction_is_monotone(needed in model(), reached in model(), more in model()) {
        let satisfied = needed.iter().all(|(&axis, &epoch)| at(&reached, axis) >= epoch);
        let frontier = buffer(&needed);
        prop_assert_eq!(frontier.is_satisfied(&entries(&reached)), satisfied);
        prop_assert!(frontier.is_satisfied(&entries(&model_union(&needed, &reached))));
        if satisfied {
            prop_assert!(frontier.is_satisfied(&entries(&model_union(&reached, &more))));
        }
    }

    /// [causal 23] The difference is that of the model; none exactly if dominated; none to itself.
    #[test]
    fn difference_agrees_with_order(reference in model(), target in model(), room in 0..16usize) {
        let expected: Model = target.iter()
            .filter(|&(&axis, &epoch)| at(&reference, axis) < epoch)
            .map(|(&axis, &epoch)| (axis, epoch))
            .collect();
        let (freference, ftarget) = (buffer(&reference), buffer(&target));
        let mut out = vec![Entry::new(Axis::from_raw(0), 0); room];
        let count = ftarget.undominated(&freference, &mut out);
        prop_assert_eq!(count, expected.len());
        prop_assert_eq!(&out[..count.min(room)], &entries(&expected)[..count.min(room)]);
        prop_assert_eq!(count == 0, freference.dominates(&ftarget));
        prop_assert_eq!(ftarget.undominated(&ftarget, &mut out), 0);
        for axis in 0..12 {
            prop_assert_eq!(ftarget.epoch_of(Axis::from_raw(axis)), at(&target, axis));
        }
    }

    /// [causal 7] Bytes come back as they went; changed bytes are refused or are another frontier, never nonsense.
    #[test]
    fn bytes_come_back(sent in model(), place in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let sent = buffer(&sent);
        let mut bytes = vec![0; sent.wire_bytes()];
        prop_assert_eq!(sent.encode(&mut bytes), Some(sent.wire_bytes()));
        let (received, rest) = FrontierBuf::<255>::decode(&bytes).unwrap();
        prop_assert_eq!(&received, &sent);
        prop_assert!(rest.is_empty());
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        if let Ok((other, rest)) = FrontierBuf::<255>::decode(&bytes) {
            prop_assert!(Frontier::new(other.entries()).is_ok());
            prop_assert_eq!(other.wire_bytes() + rest.len(), bytes.len());
            let mut again = vec![0; other.wire_bytes()];
            other.encode(&mut again).unwrap();
            prop_assert_eq!(&again[..], &bytes[..again.len()]);
        }
    }
}
