//! Who makes which proactor of a pool, and who waits for whom meanwhile.
//!
//! What lives here: [`Making`]. What does not: the making itself, and what was made (`pool.rs`).
//!
//! 1. One thread makes a proactor, which has the [`Turn`] until it is made or has come to nothing, whatever panics. Others
//!    that ask for it wait, and then look again.
//! 2. What the user gave is called [`within`](Making::within) the making of one, on the thread that makes it or on that of
//!    its runner: never on two at once. What that asks for is what the making of that one waits for.
//! 3. **Nobody waits in a circle**: whoever asks within a making follows who waits for whom from the one that it asks for.
//!    All of that is known under one lock, so the last one to close a circle sees all of it, and is refused.

use crate::notification::{Notification, WAKE_ALL};
use std::cell::RefCell;
use weft_sync::atomic::{Mutex, lock};
use weft_sync::{Deadline, Result, bail};

/// Where one proactor is.
#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    is_made: bool,
    /// The one that its making waits for.
    awaits: Option<usize>,
}

thread_local! {
    /// The makings that this thread is within, the innermost last: of which pool, and of which proactor.
    static WITHIN: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// See the header.
pub(crate) struct Making {
    stages: Mutex<Vec<Stage>>,
    /// Told when a turn is over.
    changed: Notification,
}

/// The right to make one.
pub(crate) struct Turn<'a> {
    making: &'a Making,
    index: Option<usize>,
    /// Within whose making.
    asking: Option<usize>,
}

impl Making {
    pub(crate) fn new(count: usize) -> Making {
        Making { stages: Mutex::new(vec![Stage::default(); count]), changed: Notification::new() }
    }

    /// The turn to make this one; or, if `is_there`, nothing but the end of the wait for it.
    pub(crate) fn begin(&self, index: usize, is_there: impl Fn() -> bool) -> Result<Turn<'_>> {
        let asking = self.innermost();
        loop {
            let observation = self.changed.observe();
            let mut stages = lock(&self.stages);
            if is_there() {
                if let Some(asking) = asking {
                    stages[asking].awaits = None;
                }
                return Ok(Turn { making: self, index: None, asking: None });
            }
            if let Some(asking) = asking {
                stages[asking].awaits = None;
                check(&stages, asking, index)?;
                stages[asking].awaits = Some(index);
            }
            if !stages[index].is_made {
                stages[index] = Stage { is_made: true, awaits: None };
                return Ok(Turn { making: self, index: Some(index), asking });
            }
            drop(stages);
            observation.wait(Deadline::NEVER);
        }
    }

    /// Rule 2.
    pub(crate) fn within<R>(&self, index: usize, call: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                WITHIN.with_borrow_mut(Vec::pop);
            }
        }
        WITHIN.with_borrow_mut(|within| within.push((self.identity(), index)));
        let _leave = Leave;
        call()
    }

    /// The proactor of this pool within whose making the thread is.
    fn innermost(&self) -> Option<usize> {
        let of_this = |&&(pool, _): &&(usize, usize)| pool == self.identity();
        WITHIN.with_borrow(|within| within.iter().rev().find(of_this).map(|&(_, index)| index))
    }

    /// It stays where it is while anybody is within a making of it: the pool is borrowed, and so is what it shares.
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Rule 3.
fn check(stages: &[Stage], asking: usize, asked: usize) -> Result<()> {
    let mut next = Some(asked);
    while let Some(index) = next {
        if index == asking {
            bail!(
                FailedPrecondition,
                "proactor {asking} of a pool, which is being made, asks for {asked}, which would wait for it"
            );
        }
        next = stages[index].awaits;
    }
    Ok(())
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(index) = self.index else { return };
        let mut stages = lock(&self.making.stages);
        stages[index] = Stage::default();
        if let Some(asking) = self.asking {
            stages[asking].awaits = None;
        }
        drop(stages);
        self.making.changed.signal(WAKE_ALL);
    }
}
