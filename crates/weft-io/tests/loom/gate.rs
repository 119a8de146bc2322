//! A registration that ends while it is told: nobody is inside afterwards, and nobody sleeps for good.

use super::{Plain, model};
use loom::thread;
use std::sync::Arc;
use weft_io::model::Gate;

struct World {
    gate: Gate,
    /// How often somebody was inside.
    inside: Plain<u32>,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World { gate: Gate::new(), inside: Plain::new(0) })
    }

    /// Goes in and out on another thread, so often, or until the gate is closed; how often it got in.
    fn visit(self: &Arc<World>, times: u32, number: usize) -> thread::JoinHandle<u32> {
        let world = Arc::clone(self);
        thread::spawn(move || {
            let visits = (0..times).map_while(|_| {
                let _pass = world.gate.enter_as(number)?;
                world.inside.set(world.inside.get() + 1);
                Some(1)
            });
            visits.sum()
        })
    }
}

/// One thread goes in and out, another closes: when that has returned, nothing runs inside, and nothing will; what was
/// done inside is visible. [async 111] [async 145]
#[test]
fn nobody_is_inside_a_closed_gate() {
    model(|| {
        let world = World::new();
        let caller = world.visit(2, 1);
        world.gate.close_as(2);
        assert!(world.gate.is_closed());
        let seen = world.inside.get();
        assert!(world.gate.enter_as(2).is_none());
        assert_eq!(caller.join().expect("it ends"), seen, "somebody got in");
        assert_eq!(world.inside.get(), seen);
    });
}

/// Two threads go in while a third closes: one is inside at a time, each after the other has left.
#[test]
fn one_is_inside_at_a_time() {
    model(|| {
        let world = World::new();
        let callers = [world.visit(1, 1), world.visit(1, 2)];
        world.gate.close_as(3);
        let seen = world.inside.get();
        let visits: u32 = callers.into_iter().map(|caller| caller.join().expect("it ends")).sum();
        assert_eq!(visits, seen, "somebody got in");
    });
}
