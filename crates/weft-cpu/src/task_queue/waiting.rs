//! Operations that wait, and those that rest until the next submission.
//!
//! 1. One that waits is listed until its waits are over or it has failed; closing fails those that are listed.
//! 2. Whoever takes one off the list has a handle of it, so one that is listed has handles: closing may make another one
//!    under the lock of the list.
//! 3. One that lost its last handle while it is listed (a callback was thrown away uncalled) stays listed, for closing.
//!    Closing may give it handles again before whoever had the last one is here to lay it aside. So an operation is laid
//!    aside only if it has no handle now, is not listed, and does not rest already: all three under the lock.
//! 4. So many rest as once were in use at the same time, up to [`SPARES_MAX`].

use std::sync::Arc;

use weft_sync::atomic::{AtomicUsize, Mutex, Ordering, lock};

use super::Queue;
use super::operation::{Handle, Operation};
use super::room::KeptBytes;

/// Operations that are kept for later.
const SPARES_MAX: usize = 1024;

/// In use, and not in the list.
const NOWHERE: usize = usize::MAX;
/// Among those that rest.
const RESTING: usize = usize::MAX - 1;

/// The index of an operation in the list, or one of the two above. Atomic to be written through a shared reference; the lock of the list orders it.
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
        if index >= RESTING {
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
        let counted = self.take_all().into_iter();
        counted.map(|operation| Handle::counted(Arc::clone(queue), operation)).collect()
    }

    /// All that were listed, each with one user more.
    fn take_all(&self) -> Vec<Arc<Operation>> {
        let mut lists = lock(&self.lists);
        let all = lists.waiting.drain(..).inspect(|operation| {
            operation.place.set(NOWHERE);
            // Rule 2.
            operation.count_user();
        });
        all.collect()
    }

    /// One that rested, with its first user; or how many there are with the one that is to be made.
    pub(super) fn take_spare(&self) -> Result<Arc<Operation>, usize> {
        let lists = &mut *lock(&self.lists);
        if let Some(spare) = lists.spare.pop() {
            spare.place.set(NOWHERE);
            spare.count_user();
            return Ok(spare);
        }
        lists.made += 1;
        for list in [&mut lists.waiting, &mut lists.spare] {
            list.reserve(lists.made - list.len());
        }
        Err(lists.made)
    }

    /// Its last user has gone; unless it has another one by now (rule 3).
    pub(super) fn lay_aside(&self, operation: &Arc<Operation>) {
        let mut lists = lock(&self.lists);
        if operation.place.get() != NOWHERE || !operation.has_no_user() {
            return;
        }
        operation.place.set(RESTING);
        if lists.spare.len() < SPARES_MAX {
            lists.spare.push(Arc::clone(operation));
        } else {
            lists.made -= 1;
            drop(lists);
            operation.drop_room(&self.kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closing takes an operation off the list between the end of its last handle and the moment when that lays it aside.
    #[test]
    fn an_operation_rests_once() {
        let waiting = Waiting::default();
        let operation = Arc::<Operation>::default();
        operation.count_user();
        waiting.list(&operation);
        // A callback is thrown away: its handle goes, and its thread is not here yet.
        assert!(operation.is_last_user());
        let drained = waiting.take_all();
        // Now it is.
        waiting.lay_aside(&operation);
        assert!(waiting.take_spare().is_err(), "closing has it");
        assert!(drained[0].is_last_user());
        waiting.lay_aside(&operation);
        // Whoever comes still later finds it resting, and then used again.
        waiting.lay_aside(&operation);
        let again = waiting.take_spare().expect("it rests");
        waiting.lay_aside(&operation);
        assert!(waiting.take_spare().is_err(), "it rested once");
        assert!(again.is_last_user());
    }
}
