//! Threads that wait for files, as no mechanism says when one is ready.
//!
//! What lives here: [`Workers`], what they share, what they do. What does not: the system calls (`ops/file/carry_out.rs`).
//!
//! 1. **They come when they are needed**: with the first operation on a file the first thread, and one more each time
//!    that nobody is idle, up to [`WORKERS_MAX`]. A proactor without files has none.
//! 2. One lock guards the queue, what is done, who is idle, and the end. Whoever waits tests all of it under the lock, and
//!    the wait lets go of the lock and sleeps in one: nothing that comes in between is missed, the end neither.
//! 3. **What is done** lies in a list until the poll thread takes it. It is woken only if it has said, under the same lock
//!    and having found the list empty, that it sleeps.
//! 4. A cancel takes an operation out of the queue. One that runs cannot be stopped: its result wins.
//! 5. Lists have room for every slot from the start: nothing is allocated for an operation.
//! 6. **Whoever is stuck does not stop the others**: while something is in the queue and no thread has taken anything for
//!    [`STALL`], another thread comes, up to [`STUCK_MAX`]. Nobody can tell what is stuck from what is slow, and
//!    nobody has to.
//! 7. **The end waits for threads for [`PATIENCE`]**, and leaves those behind that are stuck: each keeps the operation that
//!    it has, and with it the memory and the file, until the system lets go of it; then it drops them and ends.

use super::lower::Outcome;
use crate::event_handle::{EventHandle, raise};
use crate::ops::carry_out;
use crate::record::Erased;
use crate::table::Key;
use rustix::io::Errno;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Operations on files that run at once.
const WORKERS_MAX: usize = 4;

/// The same, while all are stuck (rule 6).
const STUCK_MAX: usize = 64;

/// How long nothing is taken out of a queue whose threads are stuck: more than most files take.
const STALL: Duration = Duration::from_millis(100);

/// How long the end waits for operations that cannot be stopped.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// An operation that a worker has, or will have.
struct Job {
    key: Key,
    operation: Erased,
}

/// One that a worker is done with.
pub(super) struct Finished {
    pub(super) slot: u32,
    pub(super) operation: Erased,
    pub(super) outcome: Outcome,
}

struct State {
    queue: VecDeque<Job>,
    done: Vec<Finished>,
    /// Threads that wait for something in the queue.
    idle: usize,
    /// Whether the poll thread wants to be woken.
    is_awaited: bool,
    is_over: bool,
    /// When a thread last took something out of the queue, or the last thread came.
    taken_at: Instant,
    /// Threads that have ended.
    left: usize,
}

struct Shared {
    state: Mutex<State>,
    has_work: Condvar,
    has_left: Condvar,
    wake: Arc<EventHandle>,
}

/// See the header.
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Slots of operations that were given and have not come back.
    busy: HashSet<u32>,
    /// Whether the end has waited already.
    is_given_up: bool,
    /// What was taken, and the empty list for the next.
    taken: Vec<Finished>,
}

impl Workers {
    /// No threads, and room for so many operations.
    pub(super) fn new(slots: usize, wake: Arc<EventHandle>) -> Workers {
        let state = State {
            queue: VecDeque::with_capacity(slots),
            done: Vec::with_capacity(slots),
            idle: 0,
            is_awaited: false,
            is_over: false,
            taken_at: Instant::now(),
            left: 0,
        };
        let (has_work, has_left) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { state: Mutex::new(state), has_work, has_left, wake });
        let busy = HashSet::with_capacity(slots);
        Workers { shared, threads: Vec::new(), busy, is_given_up: false, taken: Vec::with_capacity(slots) }
    }

    /// Has an operation on a file carried out. It comes back if there is no thread and none can be made.
    pub(super) fn push(&mut self, key: Key, operation: Erased) -> Result<(), (Erased, Errno)> {
        let has_idle = {
            let state = self.shared.lock();
            state.idle > state.queue.len()
        };
        if !has_idle
            && self.threads.len() < WORKERS_MAX
            && let Err(errno) = self.spawn()
            && self.threads.is_empty()
        {
            return Err((operation, errno));
        }
        self.shared.lock().queue.push_back(Job { key, operation });
        self.busy.insert(key.index);
        self.shared.has_work.notify_one();
        Ok(())
    }

    fn spawn(&mut self) -> Result<(), Errno> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("weft-io file".to_owned()).spawn(move || shared.work());
        self.threads.push(thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?);
        Ok(())
    }

    /// Takes an operation back that has not begun.
    pub(super) fn cancel(&mut self, key: Key) -> Option<Erased> {
        let mut state = self.shared.lock();
        let place = state.queue.iter().position(|job| job.key == key)?;
        self.busy.remove(&key.index);
        state.queue.remove(place).map(|job| job.operation)
    }

    /// Whether something is to come back.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Whether the operation of this slot is to come back.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.busy.contains(&slot)
    }

    /// Rule 6. How long until it has to be asked for again.
    pub(super) fn relieve(&mut self) -> Option<Duration> {
        if self.busy.is_empty() || self.threads.len() >= STUCK_MAX {
            return None;
        }
        let since = {
            let state = self.shared.lock();
            if state.queue.is_empty() {
                return None;
            }
            // One that was told of something counts as idle until it runs.
            if state.idle > 0 { Duration::ZERO } else { state.taken_at.elapsed() }
        };
        if since < STALL {
            return Some(STALL - since);
        }
        self.shared.lock().taken_at = Instant::now();
        // Where there is no room for another thread there may be some later.
        let _ = self.spawn();
        Some(STALL)
    }

    /// The end has waited, and waits no more.
    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
    }

    /// What is done. If that is nothing and `awaits`, the poll thread is woken when something is (rule 3).
    pub(super) fn take(&mut self, awaits: bool) -> impl Iterator<Item = Finished> {
        {
            let mut state = self.shared.lock();
            std::mem::swap(&mut state.done, &mut self.taken);
            state.is_awaited = awaits && self.taken.is_empty();
        }
        let busy = &mut self.busy;
        self.taken.drain(..).inspect(|finished| _ = busy.remove(&finished.slot))
    }
}

impl Drop for Workers {
    /// The end: what has not begun is dropped, what runs is waited for. Rule 7.
    fn drop(&mut self) {
        let left = {
            let mut state = self.shared.lock();
            state.is_over = true;
            std::mem::take(&mut state.queue)
        };
        self.shared.has_work.notify_all();
        drop(left);
        let patience = if self.is_given_up { Duration::ZERO } else { PATIENCE };
        let count = self.threads.len();
        let state = self.shared.lock();
        let waited = self.shared.has_left.wait_timeout_while(state, patience, |state| state.left < count);
        let are_gone = {
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.left == count
        };
        for thread in self.threads.drain(..) {
            if are_gone || thread.is_finished() {
                // One that panicked has said so.
                let _ = thread.join();
            }
        }
    }
}

/// A thread that ends, however it does.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.lock().left += 1;
        self.0.has_left.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker does.
    fn work(&self) {
        // Declared first, so that it goes last, without the lock.
        let _leaving = Leaving(self);
        let mut state = self.lock();
        loop {
            if state.is_over {
                return;
            }
            let Some(Job { key, mut operation }) = state.queue.pop_front() else {
                state.idle += 1;
                state = self.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            state.taken_at = Instant::now();
            drop(state);
            let outcome = carry_out(&mut operation.body());
            state = self.lock();
            if state.is_over {
                // Rule 7: nobody takes it any more. What users gave may do anything when it is dropped.
                drop(state);
                if let Ok(value) = outcome
                    && operation.kind().gives_handle()
                {
                    // So that what was opened is closed.
                    let _ = operation.keep(value);
                }
                return drop(operation);
            }
            state.done.push(Finished { slot: key.index, operation, outcome });
            if std::mem::take(&mut state.is_awaited) {
                raise(&self.wake);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_handle::new_event_handle;

    /// [async 257] [async-backends 175] Threads end whatever they do when they are told, ten thousand times: nothing that
    /// tells them is missed.
    #[test]
    fn workers_end() {
        let wake = Arc::new(new_event_handle().unwrap());
        for round in 0..10_000 {
            let mut workers = Workers::new(1, Arc::clone(&wake));
            // A second one now and then: most of the time goes into threads.
            for _ in 0..1 + usize::from(round % 8 == 0) {
                workers.spawn().unwrap();
            }
            assert!(!workers.is_busy() && workers.take(true).next().is_none());
            drop(workers);
        }
    }
}
