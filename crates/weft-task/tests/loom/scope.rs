//! The end of the last operation against whoever takes the scope apart.

use super::{model, wide_model};
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;
use weft_sync::Deadline;
use weft_task::{Scope, ScopeOptions};

/// A scope, and a cell that the ender reads right before its last access to the scope would be over for the owner.
struct Owned {
    scope: Scope,
    memory: UnsafeCell<u32>,
}

fn owned() -> Arc<Owned> {
    Arc::new(Owned { scope: Scope::new("model", ScopeOptions::default()), memory: UnsafeCell::new(0) })
}

impl Owned {
    /// What was done in flight.
    fn use_memory(&self) {
        self.memory.with(|memory| {
            // SAFETY: a plain read, which the model checks against `take_apart`.
            #[allow(unsafe_code, reason = "the model watches this cell")]
            unsafe {
                std::hint::black_box(*memory);
            }
        });
    }

    fn take_apart(&self) {
        self.memory.with_mut(|memory| {
            // SAFETY: a plain write, which the model checks.
            #[allow(unsafe_code, reason = "the model watches this cell")]
            unsafe {
                *memory = 1;
            }
        });
        assert!(self.scope.is_abandoned(), "somebody is still inside");
    }
}

/// [task 71]
#[test]
fn nobody_is_inside_when_the_wait_returns() {
    model(|| {
        let it = owned();
        it.scope.begin();
        let ender = thread::spawn({
            let it = Arc::clone(&it);
            move || {
                it.use_memory();
                it.scope.end();
            }
        });
        it.scope.wait_idle(Deadline::NEVER).unwrap();
        it.take_apart();
        ender.join().unwrap();
    });
}

/// The scope goes idle twice in quick succession: the first ender does not hide the second.
#[test]
fn two_enders_are_both_waited_for() {
    wide_model(|| {
        let it = owned();
        let enders = [(), ()].map(|()| {
            it.scope.begin();
            let it = Arc::clone(&it);
            thread::spawn(move || {
                it.use_memory();
                it.scope.end();
            })
        });
        it.scope.wait_idle(Deadline::NEVER).unwrap();
        it.take_apart();
        for ender in enders {
            ender.join().unwrap();
        }
    });
}
