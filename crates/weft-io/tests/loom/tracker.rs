//! A wait for several timelines is decided once, whoever comes: reports, failures, a cancel.

use super::model;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_io::model::Tracker;

/// Two reports, one of them a failure, and a cancel: one of them decides.
/// [async 236] [async-backends 103] [async-backends 104]
#[test]
fn a_wait_is_decided_once() {
    for missing in [1, 2] {
        model(move || {
            let tracker = Arc::new(Tracker::default());
            let decided = Arc::new(AtomicU32::new(0));
            let generation = tracker.begin(missing);
            let threads = [0_u8, 1].map(|index| {
                let (tracker, decided) = (Arc::clone(&tracker), Arc::clone(&decided));
                thread::spawn(move || {
                    let outcome = match index {
                        0 => Ok(()),
                        _ => Err(weft_sync::status!(DataLoss, "gone")),
                    };
                    if tracker.report(generation, index, outcome) {
                        decided.fetch_add(1, Ordering::Relaxed);
                    }
                })
            });
            if tracker.decide_by_cancel() {
                decided.fetch_add(1, Ordering::Relaxed);
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(decided.load(Ordering::Relaxed), 1);
        });
    }
}

/// A report of an earlier use comes while the next one is under way: it decides nothing.
/// [async-backends 105]
#[test]
fn a_late_report_decides_nothing() {
    model(|| {
        let tracker = Arc::new(Tracker::default());
        let old = tracker.begin(1);
        assert!(tracker.decide_by_cancel());
        let late = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || assert!(!tracker.report(old, 0, Ok(()))))
        };
        let new = tracker.begin(1);
        assert!(tracker.report(new, 1, Ok(())));
        late.join().unwrap();
    });
}
