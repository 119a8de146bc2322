//! A registration that ends while it is told: nobody is inside afterwards, and nobody sleeps for good.

use super::model;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use std::sync::Arc;
use weft_io::model::Gate;

/// One thread goes in and out, another closes: when that has returned, nothing runs inside, and nothing will; what was
/// done inside is visible. [async 111] [async 145]
#[test]
fn nobody_is_inside_a_closed_gate() {
    model(|| {
        let gate = Arc::new(Gate::new());
        // Odd while somebody is inside.
        let steps = Arc::new(AtomicU32::new(0));
        let caller = {
            let (gate, steps) = (Arc::clone(&gate), Arc::clone(&steps));
            thread::spawn(move || {
                for _ in 0..2 {
                    let Some(pass) = gate.enter_as(1) else { return };
                    steps.fetch_add(1, Ordering::Relaxed);
                    steps.fetch_add(1, Ordering::Relaxed);
                    drop(pass);
                }
            })
        };
        gate.close_as(2);
        let seen = steps.load(Ordering::Relaxed);
        assert_eq!(seen % 2, 0, "somebody is inside");
        assert!(gate.enter_as(2).is_none());
        caller.join().expect("it ends");
        assert_eq!(steps.load(Ordering::Relaxed), seen, "somebody got in");
    });
}
