//! A queue of callbacks with their outcomes, written and read field by field.
//!
//! What lives here: [`Fifo`]. What does not: when what is queued runs (`mod.rs`).
//!
//! A ring of std would do, but it takes and gives whole elements: a callback then goes through the stack twice, in
//! other pieces than it was written in, and the processor waits for the stores to end each time. That was a third of
//! what it takes to fire one.

use crate::Result;
use crate::callback::Callback;

/// Elements in front of the first one that are tolerated before the others are moved down.
const GAP_MAX: usize = 64;

struct Element {
    callback: Callback,
    outcome: Result<()>,
}

/// Callbacks with their outcomes, first in, first out.
pub(super) struct Fifo {
    elements: Vec<Element>,
    /// Where the first one is; those before it are empty.
    first: usize,
}

impl Fifo {
    pub(super) const fn new() -> Fifo {
        Fifo { elements: Vec::new(), first: 0 }
    }

    /// Appends the callback that lies in `place`, and leaves that empty.
    #[inline]
    pub(super) fn push(&mut self, place: &mut Callback, outcome: Result<()>) {
        self.elements.push(Element { callback: Callback::EMPTY, outcome: Ok(()) });
        if let Some(element) = self.elements.last_mut() {
            element.callback.take_from(place);
            element.outcome = outcome;
        }
    }

    /// Takes the first one out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Callback, Result<()>)> {
        let element = self.elements.get_mut(self.first)?;
        let taken = (element.callback.take(), std::mem::replace(&mut element.outcome, Ok(())));
        self.first += 1;
        if self.first == self.elements.len() {
            self.elements.clear();
            self.first = 0;
        } else if self.first >= GAP_MAX && self.first * 2 >= self.elements.len() {
            // As many go as stay, so what is moved down was paid for by what was taken.
            self.elements.drain(..self.first);
            self.first = 0;
        }
        Some(taken)
    }

    /// Gives storage beyond `kept` elements back, if nothing is queued.
    #[inline]
    pub(super) fn shrink_to(&mut self, kept: usize) {
        if self.elements.capacity() > kept {
            self.elements.shrink_to(kept);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Pushes and pops in all proportions against a counter: order is kept, nothing is lost, storage stays in bounds.
    #[test]
    fn order_is_that_of_the_pushes() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut fifo = Fifo::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..2_000_usize {
            for _ in 0..round % 7 {
                let (number, log) = (pushed, Arc::clone(&seen));
                fifo.push(&mut Callback::new(move |_| log.lock().unwrap().push(number)), Ok(()));
                pushed += 1;
            }
            for _ in 0..(round / 3) % 8 {
                if let Some((callback, outcome)) = fifo.pop() {
                    callback.call(outcome);
                    popped += 1;
                }
            }
            assert!(fifo.elements.len() <= 2 * (pushed - popped) + 2 * GAP_MAX);
        }
        while let Some((callback, outcome)) = fifo.pop() {
            callback.call(outcome);
        }
        assert!(seen.lock().unwrap().iter().copied().eq(0..pushed));
        fifo.shrink_to(4);
        assert!(fifo.elements.capacity() <= 4);
    }
}
