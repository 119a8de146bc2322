//! Models of the protocols, every interleaving of two or three threads.
//!
//! Run with `cargo xtask loom`.
#![cfg(loom)]

mod bell;
mod free_list;
mod free_stack;
mod gate;
mod handoff;
mod listener;
mod parts;
mod plain;
mod proactor;
mod roster;
mod table;
mod tracker;

use plain::Plain;

/// Explores all interleavings with at most three forced switches: enough for every two-step race, seconds to run.
fn model(body: impl Fn() + Send + Sync + 'static) {
    explore(3, body);
}

/// As [`model`] with at most two forced switches: for whole proactors, whose steps are many.
fn wide_model(body: impl Fn() + Send + Sync + 'static) {
    explore(2, body);
}

fn explore(forced_switches: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(forced_switches);
    builder.max_branches = 20_000;
    builder.check(body);
}
