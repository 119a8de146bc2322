//! Frontiers case by case: validation, order, union, satisfaction, difference, bytes.
//!
//! Laws on random inputs are in `frontier_laws.rs`.
#![cfg(not(loom))]

use weft_sync::{
    Axis, Causality, Code, Entry, Frontier, FrontierBox, FrontierBuf, Machine, Overflow, WIRE_BYTES_MAX,
    WireError,
};

/// The axis with this number; small numbers keep the tables readable.
fn axis(number: u64) -> Axis {
    Axis::from_raw(number)
}

fn entries(pairs: &[(u64, u64)]) -> Vec<Entry> {
    pairs.iter().map(|&(number, epoch)| Entry::new(axis(number), epoch)).collect()
}

fn set(pairs: &[(u64, u64)]) -> FrontierBuf<255> {
    FrontierBuf::from_entries(&entries(pairs)).expect("the table is canonical")
}

/// Axes `first`, `first + step`, … with one epoch.
fn run(length: u64, first: u64, step: u64, epoch: u64) -> FrontierBuf<255> {
    set(&(0..length).map(|index| (first + index * step, epoch)).collect::<Vec<_>>())
}

fn compare(first: &[(u64, u64)], second: &[(u64, u64)]) -> Causality {
    let relation = set(first).compare(&set(second));
    let mirrored = set(second).compare(&set(first));
    let expected = match relation {
        Causality::Before => Causality::After,
        Causality::After => Causality::Before,
        same => same,
    };
    assert_eq!(mirrored, expected, "{first:?} against {second:?}");
    relation
}

/// [causal 5] What is canonical is accepted.
#[test]
fn canonical_sets_are_valid() {
    let ten: Vec<_> = (1..=10).map(|number| (number, number)).collect();
    for pairs in [&[][..], &[(1, 1)], &[(1, 5), (2, 1)], &ten] {
        let entries = entries(pairs);
        assert_eq!(Frontier::new(&entries).unwrap().entries(), entries);
    }
    assert_eq!(Frontier::EMPTY.len(), 0);
    assert!(Frontier::new(&entries(&[(0, 1)])).is_ok(), "any 64 bits are an axis");
}

/// [causal 6] What is not is refused, naming the index.
#[test]
fn everything_else_is_refused() {
    let many: Vec<_> = (1..=256).map(|number| (number, 1)).collect();
    for (pairs, why) in [
        (&[(2, 1), (1, 1)][..], "entry 1"),
        (&[(1, 1), (1, 2)], "entry 1"),
        (&[(1, 0)], "entry 0"),
        (&[(1, 1), (2, 0)], "entry 1"),
        (&[(1, 1), (3, 1), (2, 1), (4, 1)], "entry 2"),
        (&many, "at most 255"),
    ] {
        let entries = entries(pairs);
        for refused in
            [Frontier::new(&entries).unwrap_err(), FrontierBuf::<255>::from_entries(&entries).unwrap_err()]
        {
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(why), "{refused}");
        }
    }
    let longer: Vec<_> = (1..=40).map(|number| (number, u64::from(number != 33))).collect();
    assert!(Frontier::new(&entries(&longer)).unwrap_err().message().contains("entry 32"));
}

/// [causal 7] Sizes, offsets, the one-entry form, and bytes.
#[test]
fn layout_is_that_of_the_wire() {
    assert_eq!((size_of::<FrontierBuf<1>>(), size_of::<FrontierBuf<4>>()), (24, 72));
    assert_eq!((size_of::<FrontierBuf<8>>(), size_of::<FrontierBuf<16>>()), (136, 264));
    assert_eq!(size_of::<FrontierBuf<255>>(), WIRE_BYTES_MAX);

    let sent = set(&[(0x0103_0001_0000_0000, 5), (0x0103_0100_0000_002A, u64::MAX)]);
    let mut bytes = [0xEE; 64];
    assert_eq!(sent.encode(&mut bytes), Some(40));
    assert_eq!(bytes[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[8..24], [0, 0, 0, 0, 1, 0, 3, 1, 5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[24..40], [0x2A, 0, 0, 0, 0, 1, 3, 1, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(bytes[40..], [0xEE; 24], "nothing is written beyond the length");
    assert_eq!(sent.encode(&mut [0; 39]), None);
    let (received, rest) = FrontierBuf::<2>::decode(&bytes).unwrap();
    assert_eq!((received.as_frontier(), rest.len()), (sent.as_frontier(), 24));

    let one = FrontierBuf::single(axis(7), 3);
    let mut boxed = FrontierBox::with_capacity(1);
    boxed.merge(&one).unwrap();
    assert_eq!(boxed.as_frontier(), one.as_frontier());
    assert!(one.is_satisfied(boxed.entries()));
    assert_eq!(FrontierBuf::single(axis(7), 0).as_frontier(), Frontier::EMPTY);
}

/// [causal 7] Truncated input, bad counts and everything that is not canonical.
#[test]
fn bad_bytes_are_refused() {
    let mut bytes = [0; 56];
    assert_eq!(set(&[(1, 1), (2, 2), (3, 3)]).encode(&mut bytes), Some(56));
    let decode = |bytes: &[u8]| FrontierBuf::<3>::decode(bytes).map(|(made, _)| made.len());
    assert_eq!(decode(&bytes), Ok(3));
    for cut in 0..56 {
        let needed = if cut < 8 { 8 } else { 56 };
        assert_eq!(decode(&bytes[..cut]), Err(WireError::Truncated { needed, found: cut }));
    }
    for reserved in 1..8 {
        let mut wrong = bytes;
        wrong[reserved] = 1;
        assert_eq!(decode(&wrong), Err(WireError::Reserved));
    }
    let mut wrong = bytes;
    wrong[0] = 255;
    assert_eq!(decode(&wrong), Err(WireError::Truncated { needed: WIRE_BYTES_MAX, found: 56 }));
    for (offset, byte) in [(8, 2), (8, 3), (16, 0), (24, 1), (24, 3), (48, 0)] {
        let mut wrong = bytes;
        wrong[offset] = byte;
        assert_eq!(decode(&wrong), Err(WireError::NotCanonical), "byte {offset} = {byte}");
    }
    let overflow = Overflow { needed: 3, capacity: 2 };
    assert_eq!(FrontierBuf::<2>::decode(&bytes).unwrap_err(), WireError::Overflow(overflow));
    assert_eq!(weft_sync::Status::from(WireError::Overflow(overflow)).code(), Code::ResourceExhausted);
    assert_eq!(weft_sync::Status::from(WireError::Reserved).code(), Code::InvalidArgument);
}

/// [causal 8] The empty set is before every other one.
#[test]
fn compare_with_empty() {
    assert_eq!(compare(&[], &[]), Causality::Equal);
    assert_eq!(compare(&[], &[(1, 1)]), Causality::Before);
    assert_eq!(compare(&[(1, 1), (2, 1)], &[]), Causality::After);
}

/// [causal 9] An absent axis stands at zero.
#[test]
fn compare_different_axes() {
    assert_eq!(compare(&[(1, 1)], &[(2, 1)]), Causality::Concurrent);
    assert_eq!(compare(&[(1, 1), (3, 1)], &[(2, 1), (4, 1)]), Causality::Concurrent);
    assert_eq!(compare(&[(2, 5)], &[(1, 1), (2, 5)]), Causality::Before);
    assert_eq!(compare(&[(1, 1), (2, 5), (3, 1)], &[(2, 5)]), Causality::After);
    assert_eq!(compare(&[(1, 1), (2, 5)], &[(2, 5), (3, 1)]), Causality::Concurrent);
    assert_eq!(compare(&[(1, 9), (2, 5)], &[(1, 8)]), Causality::After);
    assert_eq!(compare(&[(1, 9)], &[(1, 8), (2, 5)]), Causality::Concurrent);
}

/// [causal 10] The same axes: only epochs decide, wherever they differ.
#[test]
fn compare_same_axes() {
    assert_eq!(compare(&[(1, 4)], &[(1, 4)]), Causality::Equal);
    assert_eq!(compare(&[(1, 3)], &[(1, 4)]), Causality::Before);
    assert_eq!(compare(&[(1, 5), (2, 3)], &[(1, 4), (2, 4)]), Causality::Concurrent);
    for length in [2, 8, 9, 31] {
        let base = run(length, 1, 1, 5);
        assert_eq!(base.compare(&run(length, 1, 1, 5)), Causality::Equal);
        for place in 1..=length {
            let mut ahead = base;
            ahead.raise(axis(place), 6).unwrap();
            assert_eq!(base.compare(&ahead), Causality::Before, "{place} of {length}");
            assert_eq!(ahead.compare(&base), Causality::After, "{place} of {length}");
            let mut other = base;
            other.raise(axis(place % length + 1), 6).unwrap();
            assert_eq!(ahead.compare(&other), Causality::Concurrent, "{place} of {length}");
        }
        assert_eq!(
            run(length, 1, 1, 5).compare(&run(length, 2, 1, 5)),
            Causality::Concurrent,
            "of equal length, shifted"
        );
    }
}

/// [causal 12] The largest sets, and epochs at the end of the range.
#[test]
fn compare_at_the_limits() {
    let full = |epoch| run(255, 1, 1, epoch);
    assert_eq!(full(u64::MAX).compare(&full(u64::MAX)), Causality::Equal);
    assert_eq!(full(u64::MAX - 1).compare(&full(u64::MAX)), Causality::Before);
    assert_eq!(full(1 << 63).compare(&full((1 << 63) - 1)), Causality::After);
    let mut mixed = full(i64::MAX as u64);
    mixed.raise(axis(255), u64::MAX).unwrap();
    let mut other = full(i64::MAX as u64);
    other.raise(axis(1), 1 << 63).unwrap();
    assert_eq!(mixed.compare(&other), Causality::Concurrent);
    assert_eq!(run(255, 1, 2, 1).compare(&run(255, 2, 2, 1)), Causality::Concurrent);
    assert_eq!(full(1).compare(&run(254, 1, 1, 1)), Causality::After);
}

/// Merges and checks what every merge promises, then the exact result.
fn merged(target: &[(u64, u64)], source: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut made = set(target);
    made.merge(&set(source)).unwrap();
    assert!(made.dominates(&set(target)) && made.dominates(&set(source)));
    Frontier::new(made.entries()).expect("still canonical");
    let mut mirrored = set(source);
    mirrored.merge(&set(target)).unwrap();
    assert_eq!(made, mirrored, "{target:?} with {source:?}");
    made.entries().iter().map(|entry| (entry.axis.raw(), entry.epoch)).collect()
}

/// [causal 13] Nothing merged into anything changes nothing, without needing room.
#[test]
fn merge_empty() {
    assert_eq!(merged(&[], &[]), []);
    assert_eq!(merged(&[(1, 2)], &[]), [(1, 2)]);
    let mut none = FrontierBuf::<0>::new();
    assert_eq!(none.merge(Frontier::EMPTY), Ok(()));
    assert_eq!(none.merge(&FrontierBuf::single(axis(1), 1)), Err(Overflow { needed: 1, capacity: 0 }));
    let mut full = FrontierBuf::single(axis(1), 1);
    assert_eq!(full.merge(Frontier::EMPTY), Ok(()));
}

/// [causal 14] The same axes: epochs to the maximum, the count stays, a full storage is no obstacle.
#[test]
fn merge_same_axes() {
    assert_eq!(merged(&[(1, 2)], &[(1, 3)]), [(1, 3)]);
    assert_eq!(merged(&[(1, 3)], &[(1, 2)]), [(1, 3)]);
    assert_eq!(merged(&[(1, 3)], &[(1, 3)]), [(1, 3)]);
    assert_eq!(merged(&[(1, 3), (2, 8)], &[(1, 4), (2, 7)]), [(1, 4), (2, 8)]);
    let left: Vec<_> = (1..=8).map(|number| (number, 10 + number % 2)).collect();
    let right: Vec<_> = (1..=8).map(|number| (number, 11 - number % 2)).collect();
    assert_eq!(merged(&left, &right), (1..=8).map(|number| (number, 11)).collect::<Vec<_>>());
    let mut full = FrontierBuf::<8>::copy_of(&set(&left)).unwrap();
    full.merge(&set(&right)).unwrap();
    assert_eq!(full.len(), 8);
}

/// [causal 15] Different axes: empty target, overlap, disjoint, below, above, interleaved.
#[test]
fn merge_different_axes() {
    assert_eq!(merged(&[], &[(1, 1), (2, 2)]), [(1, 1), (2, 2)]);
    assert_eq!(merged(&[(1, 5), (2, 5)], &[(2, 6), (3, 1)]), [(1, 5), (2, 6), (3, 1)]);
    assert_eq!(merged(&[(3, 1), (4, 1)], &[(1, 2), (2, 2)]), [(1, 2), (2, 2), (3, 1), (4, 1)]);
    assert_eq!(merged(&[(1, 1)], &[(8, 2), (9, 2)]), [(1, 1), (8, 2), (9, 2)]);
    assert_eq!(
        merged(&[(1, 1), (3, 1), (5, 1)], &[(2, 2), (4, 2), (6, 2)]),
        [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (6, 2)]
    );
}

/// [causal 16] What does not fit is refused and changes no bit; what fits exactly is fine.
#[test]
fn merge_overflow_changes_nothing() {
    let mut three = FrontierBuf::<3>::from_entries(&entries(&[(2, 5), (4, 5)])).unwrap();
    let before = three;
    for source in
        [&[(1, 9), (3, 9)][..], &[(2, 9), (5, 9), (6, 9)], &[(5, 1), (6, 1)], &[(2, 9), (3, 9), (5, 9)]]
    {
        assert_eq!(three.merge(&set(source)), Err(Overflow { needed: 4, capacity: 3 }));
        assert_eq!(three, before, "{source:?}");
    }
    three.merge(&set(&[(3, 1), (4, 9)])).unwrap();
    assert_eq!(three.as_frontier(), set(&[(2, 5), (3, 1), (4, 9)]).as_frontier());

    let mut large = run(200, 1, 1, 1);
    let before = large;
    assert_eq!(large.merge(&run(200, 201, 1, 1)), Err(Overflow { needed: 400, capacity: 255 }));
    assert_eq!(large, before);
    large.merge(&run(55, 201, 1, 1)).unwrap();
    assert_eq!(large.len(), 255);
    let status = weft_sync::Status::from(Overflow { needed: 4, capacity: 3 });
    assert_eq!(status.to_string(), "RESOURCE_EXHAUSTED; the union has 4 entries, the storage holds 3");
}

/// [causal 17] Entries are moved by one, to make room in between, and by many.
#[test]
fn merge_shifts_what_is_in_the_way() {
    assert_eq!(merged(&[(2, 1)], &[(1, 1)]), [(1, 1), (2, 1)]);
    assert_eq!(merged(&[(1, 1), (3, 3)], &[(2, 2)]), [(1, 1), (2, 2), (3, 3)]);
    let high: Vec<_> = (100..140).map(|number| (number, number)).collect();
    let low: Vec<_> = (1..60).map(|number| (number, number)).collect();
    assert_eq!(merged(&high, &low), [&low[..], &high].concat());
}

/// [causal 19] Whether the source covered all that was there.
#[test]
fn merge_reports_dominance() {
    let report = |target: &[(u64, u64)], source: &[(u64, u64)]| set(target).merge_reporting(&set(source));
    assert_eq!(report(&[(1, 1), (2, 2)], &[(1, 1), (2, 3)]), Ok(true));
    assert_eq!(report(&[(1, 1)], &[(1, 1)]), Ok(true));
    assert_eq!(report(&[(1, 4), (2, 2)], &[(1, 3), (2, 3)]), Ok(false), "the target was ahead");
    assert_eq!(report(&[(2, 1)], &[(1, 1), (2, 1), (3, 1)]), Ok(true), "the source only adds");
    assert_eq!(report(&[(1, 1), (2, 1)], &[(1, 9)]), Ok(false), "the target has another axis");
    assert_eq!(report(&[(1, 1), (2, 7)], &[(1, 2), (2, 6), (3, 1)]), Ok(false), "a shared epoch was later");
    assert_eq!(report(&[], &[(1, 1)]), Ok(true));
    assert_eq!(report(&[], &[]), Ok(true));
    assert_eq!(report(&[(1, 1)], &[]), Ok(false));
    assert!(FrontierBuf::single(axis(1), 1).merge_reporting(&set(&[(2, 1)])).is_err());
    let mut boxed = FrontierBox::with_capacity(2);
    assert_eq!(boxed.merge_reporting(&set(&[(1, 1), (2, 1)])), Ok(true));
    assert_eq!(boxed.merge_reporting(&set(&[(1, 2)])), Ok(false));
    assert_eq!(boxed.merge(&set(&[(3, 2)])), Err(Overflow { needed: 3, capacity: 2 }));
    boxed.clear();
    assert_eq!((boxed.len(), boxed.capacity()), (0, 2));
}

/// [causal 20] Satisfied by current epochs.
#[test]
fn satisfied() {
    let ask = |needed: &[(u64, u64)], reached: &[(u64, u64)]| set(needed).is_satisfied(&entries(reached));
    assert!(ask(&[], &[]) && ask(&[], &[(1, 1)]));
    assert!(ask(&[(1, 4)], &[(1, 5)]) && ask(&[(1, 4)], &[(1, 4)]) && !ask(&[(1, 4)], &[(1, 3)]));
    assert!(!ask(&[(2, 1)], &[(1, 9), (3, 9)]) && !ask(&[(1, 1)], &[]));
    assert!(ask(&[(1, 1), (3, 2)], &[(1, 1), (2, 0), (3, 2), (4, 9)]), "extra axes, one at nothing yet");
    assert!(!ask(&[(1, 1), (3, 2)], &[(1, 1), (2, 7), (3, 1)]), "all but one");
    assert!(!ask(&[(1, 1), (3, 2)], &[(1, 1), (2, 7)]), "one missing at the end");
    assert!(!ask(&[(1, 1), (2, 2)], &[(1, 1), (3, 3)]), "of equal length, another axis");
    for length in [2, 9, 40] {
        let needed = run(length, 1, 1, 5);
        assert!(needed.is_satisfied(run(length, 1, 1, 6).entries()));
        for behind in 1..=length {
            let mut reached = run(length, 1, 1, 6).entries().to_vec();
            reached[behind as usize - 1].epoch = 4;
            assert!(!needed.is_satisfied(&reached));
        }
    }
}

/// The entries of `target` that `reference` does not cover, asked with too little room as well.
fn undominated(reference: &[(u64, u64)], target: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (reference, target) = (set(reference), set(target));
    let untouched = Entry::new(axis(u64::MAX), 0);
    let mut all = [untouched; 40];
    let count = target.undominated(&reference, &mut all);
    assert_eq!(count == 0, reference.dominates(&target));
    for room in 0..=count {
        let mut some = [untouched; 40];
        assert_eq!(target.undominated(&reference, &mut some[..room]), count);
        assert_eq!(some[..room], all[..room]);
        assert!(some[room..].iter().all(|entry| *entry == untouched));
    }
    all[..count].iter().map(|entry| (entry.axis.raw(), entry.epoch)).collect()
}

/// [causal 21] [causal 23] The same axes; with less room than there is to say.
#[test]
fn undominated_on_the_same_axes() {
    assert_eq!(undominated(&[(1, 5), (2, 5)], &[(1, 5), (2, 4)]), []);
    assert_eq!(undominated(&[(1, 1), (2, 1)], &[(1, 2), (2, 2)]), [(1, 2), (2, 2)]);
    assert_eq!(undominated(&[(1, 1), (2, 9), (3, 1)], &[(1, 1), (2, 8), (3, 2)]), [(3, 2)]);
    assert_eq!(undominated(&[(1, 3)], &[(1, 3)]), []);
    assert_eq!(undominated(&[(1, 3)], &[(1, 4)]), [(1, 4)]);
}

/// [causal 22] [causal 23] Different axes.
#[test]
fn undominated_on_different_axes() {
    assert_eq!(undominated(&[(1, 5)], &[(1, 5), (2, 1)]), [(2, 1)]);
    assert_eq!(undominated(&[(1, 5), (2, 9)], &[(1, 5)]), []);
    assert_eq!(undominated(&[(1, 5), (3, 5)], &[(2, 1), (4, 1)]), [(2, 1), (4, 1)]);
    assert_eq!(undominated(&[(1, 5), (2, 5)], &[(2, 6), (3, 1)]), [(2, 6), (3, 1)]);
    assert_eq!(undominated(&[], &[(1, 1), (2, 1)]), [(1, 1), (2, 1)]);
    assert_eq!(undominated(&[(1, 1)], &[]), []);
    assert_eq!(undominated(&[], &[]), []);
}

/// [causal 24] A pipeline on one queue: every step dominates the ones before.
#[test]
fn scenario_sequential_pipeline() {
    let steps: Vec<_> =
        (1..=10).map(|epoch| FrontierBuf::single(Machine::LOCAL.queue(0, 0), epoch)).collect();
    for (index, step) in steps.iter().enumerate() {
        assert!(steps[..index].iter().all(|earlier| step.compare(earlier) == Causality::After));
    }
}

/// [causal 24] Fan out and in again: branches are concurrent, the join has seen all of them.
#[test]
fn scenario_fan_out_and_in() {
    let queue = |index| Machine::LOCAL.queue(index, 0);
    let source = FrontierBuf::single(queue(0), 1);
    let branches: Vec<_> = (1..=4)
        .map(|index| {
            let mut branch = FrontierBuf::<8>::copy_of(&source).unwrap();
            branch.raise(queue(index), 1).unwrap();
            branch
        })
        .collect();
    let mut join = FrontierBuf::<8>::new();
    for branch in &branches {
        assert!(branches.iter().all(|it| it == branch || it.compare(branch) == Causality::Concurrent));
        join.merge(branch).unwrap();
    }
    assert_eq!(join.len(), 5);
    assert!(branches.iter().all(|branch| join.dominates(branch)));
}

/// [causal 23] [causal 24] A collective of eight queues is one entry, and one entry is missing without it.
#[test]
fn scenario_collective() {
    let channel = Machine::LOCAL.collective(7);
    let participants: Vec<_> = (0..8).map(|device| Entry::new(Machine::LOCAL.queue(device, 0), 3)).collect();
    assert_eq!(Frontier::new(&participants).unwrap().len(), 8);
    let step = FrontierBuf::single(channel, 3);
    assert_eq!((step.len(), size_of_val(&step)), (1, 24));
    let mut missing = [Entry::new(channel, 0)];
    let mut joined = FrontierBuf::<4>::copy_of(&FrontierBuf::single(channel, 2)).unwrap();
    assert_eq!(step.undominated(&joined, &mut missing), 1);
    assert_eq!(missing, [Entry::new(channel, 3)]);
    joined.raise(channel, 4).unwrap();
    assert_eq!(step.undominated(&joined, &mut missing), 0);
}

/// [causal 23] [causal 24] What one machine sends, the other can use as it is; one remote axis is left to wait for.
#[test]
fn scenario_two_machines() {
    let near = Machine { session: 1, index: 0 };
    let far = Machine { session: 1, index: 1 };
    let sent =
        FrontierBuf::<4>::from_entries(&[Entry::new(near.queue(0, 0), 4), Entry::new(near.collective(1), 2)])
            .unwrap();
    let mut bytes = [0; 64];
    let length = sent.encode(&mut bytes).unwrap();
    let (received, _) = FrontierBuf::<4>::decode(&bytes[..length]).unwrap();
    let mut past = FrontierBuf::<8>::copy_of(&FrontierBuf::single(far.queue(0, 0), 9)).unwrap();
    past.merge(&received).unwrap();
    assert_eq!(past.to_string(), "{s1.m0.q0:0@4, s1.m0.c1@2, s1.m1.q0:0@9}");
    let wait = FrontierBuf::<4>::from_entries(&[
        Entry::new(near.queue(0, 0), 4),
        Entry::new(near.collective(1), 3),
        Entry::new(far.queue(0, 0), 9),
    ])
    .unwrap();
    let mut missing = [Entry::new(near.queue(0, 0), 0); 3];
    assert_eq!(wait.undominated(&past, &mut missing), 1);
    assert_eq!(missing[0], Entry::new(near.collective(1), 3));
}

/// [causal 24] Overflow is seen, and what is left is a lower bound that still holds.
#[test]
fn scenario_overflow_is_detected() {
    let mut past = FrontierBuf::<2>::new();
    let overflowed: Vec<bool> =
        (1..=4).map(|context| past.raise(Machine::LOCAL.host(context), 1).is_err()).collect();
    assert_eq!(overflowed, [false, false, true, true]);
    assert_eq!(past.to_string(), "{s1.m0.h1@1, s1.m0.h2@1}");
}

/// [causal 24] C knows of A although it only met B.
#[test]
fn scenario_chain_of_causality() {
    let [a, b, c] = [0, 1, 2].map(|index| Machine::LOCAL.queue(index, 0));
    let first = FrontierBuf::single(a, 3);
    let mut second = FrontierBuf::<3>::copy_of(&first).unwrap();
    second.raise(b, 1).unwrap();
    let mut third = FrontierBuf::<3>::copy_of(&second).unwrap();
    third.raise(c, 2).unwrap();
    assert!(third.dominates(&first) && third.covers(a, 3) && !third.covers(a, 4));
    assert_eq!([a, b, c].map(|axis| third.epoch_of(axis)), [3, 1, 2]);
    assert_eq!(third.epoch_of(Machine::LOCAL.host(1)), 0);
    assert_eq!(third.entries().iter().map(|entry| entry.epoch).sum::<u64>(), 6);
}
