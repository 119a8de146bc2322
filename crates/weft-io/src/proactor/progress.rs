//! Callbacks that every poll runs before it would wait.
//!
//! What lives here: [`Progress`], the register of a poll thread. What does not: when they run (`poll.rs`).
//!
//! For rings in shared memory that are looked at in some ten nanoseconds, where waiting for a wake takes microseconds.
//! While one is registered, polls do not wait. One that panics is removed.

use super::Core;
use super::panics::attempt;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// What a progress callback found, and whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progressed {
    /// It found this much, and runs again in the next poll.
    Keep(usize),
    /// It found this much, and is removed: dropped when it has returned.
    Remove(usize),
}

/// Names a registered progress callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgressId(u64);

type Callback = Box<dyn FnMut() -> Progressed>;

#[derive(Default)]
struct Register {
    entries: RefCell<Vec<Entry>>,
    ids: Cell<u64>,
}

struct Entry {
    id: ProgressId,
    /// `None` while it runs, and when it is removed.
    callback: Option<Callback>,
    is_removed: bool,
}

/// The progress callbacks of one poll thread. Cheap to clone; stays on its thread, so a progress callback may own it.
///
/// ```
/// use weft_io::{Config, Progressed, open_null};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// let id = poller.progress().register(|| Progressed::Keep(3));
/// assert_eq!(poller.poll(Deadline::NEVER)?, 3);
/// assert!(poller.progress().unregister(id));
/// assert!(poller.poll(Deadline::IMMEDIATE).is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct Progress(Rc<Register>);

impl Progress {
    /// Runs `callback` once in every poll from now on; registered by another one, from the next poll on.
    pub fn register(&self, callback: impl FnMut() -> Progressed + 'static) -> ProgressId {
        let id = ProgressId(self.0.ids.replace(self.0.ids.get() + 1));
        let callback: Option<Callback> = Some(Box::new(callback));
        self.0.entries.borrow_mut().push(Entry { id, callback, is_removed: false });
        id
    }

    /// Takes a callback out. `false`: it is not registered. May be called while it runs: then it is dropped afterwards.
    pub fn unregister(&self, id: ProgressId) -> bool {
        let mut entries = self.0.entries.borrow_mut();
        let Some(entry) = entries.iter_mut().find(|entry| entry.id == id && !entry.is_removed) else {
            return false;
        };
        entry.is_removed = true;
        let callback = entry.callback.take();
        // It may own anything, this register included.
        drop(entries);
        drop(callback);
        true
    }

    /// How many are registered.
    pub fn count(&self) -> usize {
        self.0.entries.borrow().iter().filter(|entry| !entry.is_removed).count()
    }

    /// Runs each once, but not those that another one registers: a poll ends. `None`: there are none.
    pub(super) fn run(&self, core: &mut Core) -> Option<usize> {
        let count = self.0.entries.borrow().len();
        if count == 0 {
            return None;
        }
        let mut found: usize = 0;
        for index in 0..count {
            let callback = self.0.entries.borrow_mut()[index].callback.take();
            if let Some(callback) = callback {
                found = found.saturating_add(self.run_one(core, index, callback));
            }
        }
        self.0.entries.borrow_mut().retain(|entry| !entry.is_removed);
        Some(found)
    }

    /// Drops them all, whatever they do about it.
    pub(super) fn clear(&self) {
        let entries = self.0.entries.take();
        entries.into_iter().for_each(|entry| _ = attempt(|| drop(entry)));
    }

    fn run_one(&self, core: &mut Core, index: usize, mut callback: Callback) -> usize {
        let progressed = core.contain(&mut callback).unwrap_or(Progressed::Remove(0));
        // Entries are only added behind while this runs, so the index is still its own.
        let mut entries = self.0.entries.borrow_mut();
        let entry = &mut entries[index];
        let found = match progressed {
            Progressed::Keep(found) => found,
            Progressed::Remove(found) => {
                entry.is_removed = true;
                found
            }
        };
        let dropped = match entry.is_removed {
            true => Some(callback),
            false => {
                entry.callback = Some(callback);
                None
            }
        };
        drop(entries);
        core.contain(|| drop(dropped));
        found
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Progress({})", self.count())
    }
}
