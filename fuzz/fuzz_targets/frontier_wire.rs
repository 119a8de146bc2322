//! Any bytes as frontiers of another machine: refused, or canonical and written back to the same bytes. What was read is
//! then compared, merged and searched, which has to agree with itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_sync::{Causality, Entry, Frontier, FrontierBuf, WIRE_BYTES_MAX};

fuzz_target!(|data: &[u8]| {
    let Ok((first, rest)) = FrontierBuf::<255>::decode(data) else { return };
    check(&first, &data[..data.len() - rest.len()]);
    // A smaller storage refuses, or reads the same.
    match FrontierBuf::<4>::decode(data) {
        Ok((small, _)) => assert_eq!(small.as_frontier(), first.as_frontier()),
        Err(_) => assert!(first.len() > 4),
    }
    let Ok((second, _)) = FrontierBuf::<255>::decode(rest) else { return };
    relate(&first, &second);
});

fn check(read: &Frontier, bytes: &[u8]) {
    assert!(Frontier::new(read.entries()).is_ok(), "what was decoded is canonical");
    let mut again = [0; WIRE_BYTES_MAX];
    let length = read.encode(&mut again).expect("there is room for any");
    assert_eq!(&again[..length], bytes);
}

fn relate(first: &Frontier, second: &Frontier) {
    let order = first.compare(second);
    let missing = first.undominated(second, &mut []);
    assert_eq!(missing == 0, matches!(order, Causality::Equal | Causality::Before));
    assert_eq!(first.is_satisfied(second.entries()), missing == 0);
    let mut union = FrontierBuf::<255>::copy_of(first).expect("it has at most 255 entries");
    match union.merge(second) {
        Ok(()) => {
            assert!(union.dominates(first) && union.dominates(second));
            let mut out = [Entry::new(weft_sync::Axis::from_raw(1), 1); 255];
            let news = union.undominated(first, &mut out);
            assert!(out[..news].iter().all(|entry| second.covers(entry.axis, entry.epoch)));
        }
        Err(overflow) => {
            assert!(overflow.needed > 255);
            assert_eq!(union.as_frontier(), first, "a refused union changes nothing");
        }
    }
}
