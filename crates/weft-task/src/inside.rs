//! Which executor the calling thread works for, and for which one it promised to look.
//!
//! 1. **An offer stands for a look.** A thread that opens offers ([`Offering`]) will soon look for work itself. What is
//!    scheduled on it meanwhile, by whatever it calls, may be left to it: nobody is woken for it.
//! 2. One such thing at a time; the next one wakes somebody.
//! 3. A seat (worker or guest) picks up what was left on its thread in its next pass. A thread without a seat wakes
//!    somebody when the offer ends, if it has not waited as a guest meanwhile.

use std::cell::Cell;

thread_local! {
    /// The executor whose seat this thread has.
    static INSIDE: Cell<u64> = const { Cell::new(0) };
    /// Which seat that is.
    static SEAT: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread is a worker, of whatever executor.
    static WORKER: Cell<bool> = const { Cell::new(false) };
    /// The executor for which offers are open.
    static OPEN: Cell<u64> = const { Cell::new(0) };
    /// The executor for which something was left to this thread.
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// The executor that the thread works for; 0 for none, also while the thread ends.
pub(crate) fn executor() -> u64 {
    if cfg!(loom) {
        // The threads of a model share one of the system's.
        return 0;
    }
    INSIDE.try_with(Cell::get).unwrap_or(0)
}

/// The seat that the thread has of an executor, if it has one.
pub(crate) fn seat(id: u64) -> Option<usize> {
    (executor() == id).then(|| SEAT.get())
}

/// The thread is a worker from now on.
pub(crate) fn become_worker(id: u64, seat: usize) {
    enter(id, seat);
    WORKER.set(true);
}

/// Whether the thread is a worker of any executor.
pub(crate) fn is_worker() -> bool {
    WORKER.try_with(Cell::get).unwrap_or(false)
}

/// The thread has a seat from now on.
pub(crate) fn enter(id: u64, seat: usize) {
    INSIDE.set(id);
    SEAT.set(seat);
}

/// The thread has no seat any more.
pub(crate) fn leave() {
    INSIDE.set(0);
}

/// Opens offers for an executor until it is dropped.
pub(crate) struct Offering {
    before: u64,
}

impl Offering {
    pub(crate) fn open(id: u64) -> Offering {
        Offering { before: if cfg!(loom) { 0 } else { OPEN.replace(id) } }
    }
}

impl Drop for Offering {
    fn drop(&mut self) {
        if !cfg!(loom) {
            OPEN.set(self.before);
        }
    }
}

/// Whether something scheduled for an executor may be left to this thread (rules 1 and 2).
#[inline]
pub(crate) fn accepts(id: u64) -> bool {
    !cfg!(loom) && OPEN.try_with(Cell::get) == Ok(id) && LEFT.get() == 0
}

/// Whether offers are open for an executor.
pub(crate) fn is_open(id: u64) -> bool {
    !cfg!(loom) && OPEN.try_with(Cell::get) == Ok(id)
}

/// Something was left to this thread.
#[inline]
pub(crate) fn leave_work(id: u64) {
    LEFT.set(id);
}

/// Whether something was left to this thread.
#[inline]
pub(crate) fn has_left_work(id: u64) -> bool {
    !cfg!(loom) && LEFT.try_with(Cell::get) == Ok(id)
}

/// Picks up what was left to this thread: who calls it looks for it (rule 3).
#[inline]
pub(crate) fn take_left_work(id: u64) -> bool {
    let has = has_left_work(id);
    if has {
        LEFT.set(0);
    }
    has
}
