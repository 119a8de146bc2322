//! Operations that wait, and those that rest until the next submission.
//!
//! 1. One that waits is listed until its waits are over or it has failed; closing fails those that are listed.
//! 2. Whoever takes one off the list has a handle of it, so one that is listed has handles: closing may make another one
//!    under the lock of the list.
//! 3. One that lost its last handle while it is listed (a callback was thrown away uncalled) stays listed, for closing.
//! 4. So many rest as once were in use at the same time, up to [`SPARES_MAX`].

use std::sync::Arc;

use weft_sync::atomic::{AtomicUsize, Mutex, Ordering, lock};

use super::Queue;
use super::operation::{Handle, Operation};
use super::room::KeptBytes;

/// Operations that are kept for later.
const SPARES_MAX: usize = 1024;

/// Not in the list.
const NOWHERE: usize = usize::MAX;

/// The index of an operation in the list. Atomic to be written through a shared reference; the lock of the list orders it.
pub(super) struct Place(AtomicUsize);

impl Default for Place {
    fn default() -> Place {
        Place(AtomicUsize::new(NOWHERE))
    }
}

impl Place {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, index: usize) {
        self.0.store(index, Ordering::Relaxed);
    }
}

/// The operations of one queue that do not run.
#[derive(Default)]
pub(super) struct Waiting {
    lists: Mutex<Lists>,
    /// What those that rest keep for updates.
    pub(super) kept: KeptBytes,
}

#[derive(Default)]
struct Lists {
    waiting: Vec<Arc<Operation>>,
    spare: Vec<Arc<Operation>>,
    /// Operations that exist. The lists have room for all of them.
    made: usize,
}

impl Waiting {
    pub(super) fn list(&self, operation: &Arc<Operation>) {
        let mut lists = lock(&self.lists);
        operation.place.set(lists.waiting.len());
        lists.waiting.push(Arc::clone(operation));
    }

    /// Takes it off the list, if it is there.
    pub(super) fn unlist(&self, operation: &Operation) {
        let mut lists = lock(&self.lists);
        let index = operation.place.get();
        if index == NOWHERE {
            return;
        }
        operation.place.set(NOWHERE);
        let listed = lists.waiting.swap_remove(index);
        if let Some(moved) = lists.waiting.get(index) {
            moved.place.set(index);
        }
        drop(lists);
        drop(listed);
    }

    /// Takes all off the list.
    pub(super) fn drain(&self, queue: &Arc<Queue>) -> Vec<Handle> {
        let mut lists = lock(&self.lists);
        let all = lists.waiting.drain(..).map(|operation| {
            operation.place.set(NOWHERE);
            // Rule 2.
            Handle::new(Arc::clone(queue), operation)
        });
        all.collect()
    }

    /// One that rests; or how many there are with the one that is to be made.
    pub(super) fn take_spare(&self) -> Result<Arc<Operation>, usize> {
        let lists = &mut *lock(&self.lists);
        if let Some(spare) = lists.spare.pop() {
            return Ok(spare);
        }
        lists.made += 1;
        for list in [&mut lists.waiting, &mut lists.spare] {
            list.reserve(lists.made - list.len());
        }
        Err(lists.made)
    }

    /// Nobody has it any more.
    pub(super) fn lay_aside(&self, operation: &Arc<Operation>) {
        let mut lists = lock(&self.lists);
        if operation.place.get() != NOWHERE {
            return;
        }
        if lists.spare.len() < SPARES_MAX {
            lists.spare.push(Arc::clone(operation));
        } else {
            lists.made -= 1;
            drop(lists);
            operation.drop_room(&self.kept);
        }
    }
}
