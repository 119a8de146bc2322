//! Models of the protocols, every interleaving of two or three threads.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p weft-sync --test loom`. Laws that need no interleaving are
//! in the other tests.
#![cfg(loom)]

mod cancel;
mod causal;
mod gather;
mod list;
mod notification;
mod semaphore;
mod slots;
mod tracker;
mod turnstile;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft_sync::{Code, Status};

/// Explores all interleavings with at most three forced switches: enough for every two-step race, seconds to run.
fn model(body: impl Fn() + Send + Sync + 'static) {
    explore(3, body);
}

/// As [`model`] with at most two forced switches: for three threads of which one sleeps, where a third makes minutes of
/// seconds.
fn wide_model(body: impl Fn() + Send + Sync + 'static) {
    explore(2, body);
}

fn explore(forced_switches: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(forced_switches);
    builder.check(body);
}

/// Counts calls of one callback by outcome. Not part of the model: a plain counter.
#[derive(Clone, Default)]
struct Calls {
    reached: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Calls {
    fn callback(&self) -> impl FnOnce(weft_sync::Result<()>) + Send + 'static {
        let calls = self.clone();
        move |outcome| {
            let counter = if outcome.is_ok() { &calls.reached } else { &calls.failed };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::Relaxed)
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "lost")
}
