//! Things that one thread at a time uses, while none does: taken before use, put back after.
//!
//! 1. What a thread put back it finds again, and finds alone, unless more threads run than there are shelves.
//! 2. There is no lock that all threads take: each thread has its shelf, chosen by the number of the thread.
//! 3. At most as many things exist as were in use at the same time, for each shelf.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use weft_cpu::abi::CacheLine;
use weft_sync::atomic::{AtomicUsize, Ordering};

/// Shelves; more threads share. A power of two.
const SHELVES: usize = 32;

/// Idle things of one kind.
pub(super) struct Idle<T> {
    /// Each on a cache line of its own: neighbours belong to other threads.
    shelves: Box<[CacheLine<Shelf<T>>]>,
}

type Shelf<T> = Mutex<Vec<Box<T>>>;

thread_local! {
    /// Which shelf this thread uses.
    static SHELF: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of this thread, from the first time that it asks on.
fn shelf_index() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    SHELF.with(|shelf| match shelf.get() {
        Some(index) => index,
        None => {
            let index = THREADS.fetch_add(1, Ordering::Relaxed) % SHELVES;
            shelf.set(Some(index));
            index
        }
    })
}

impl<T> Idle<T> {
    /// Nothing idle.
    pub fn new() -> Idle<T> {
        Idle { shelves: (0..SHELVES).map(|_| CacheLine(Mutex::default())).collect() }
    }

    fn shelf(&self) -> &Shelf<T> {
        &self.shelves[shelf_index()].0
    }

    /// Takes something idle, if there is any on this thread's shelf.
    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        self.shelf().lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Puts something where this thread finds it.
    #[inline]
    pub fn put(&self, thing: Box<T>) {
        self.shelf().lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_finds_what_it_put() {
        let idle = Idle::new();
        assert!(idle.take().is_none());
        idle.put(Box::new(7));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Another shelf, unless the threads of other tests have used up all numbers in between.
                if let Some(found) = idle.take() {
                    idle.put(found);
                }
            });
        });
        assert_eq!(idle.take().as_deref(), Some(&7));
    }
}
