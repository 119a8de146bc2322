//! Which executor the calling thread works for.

use std::cell::Cell;

thread_local! {
    /// Identity of the executor; 0: none.
    static INSIDE: Cell<u64> = const { Cell::new(0) };
}

/// The executor for which the calling thread works, as a worker or a guest; 0 for none.
pub(crate) fn executor() -> u64 {
    if cfg!(loom) {
        // The threads of a model share one of the system's.
        return 0;
    }
    INSIDE.try_with(Cell::get).unwrap_or(0)
}

/// The calling thread works for executor `id` from here on.
pub(crate) fn enter(id: u64) {
    INSIDE.set(id);
}

/// It no longer does.
pub(crate) fn leave() {
    INSIDE.set(0);
}
