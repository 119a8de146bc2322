//! One semaphore that moves another.
//!
//! What lives here: [`Semaphore::link`], [`Link`]. What does not: when a record fires (`mod.rs`).
//!
//! 1. When the source reaches its value, the target is signalled. Source fails: the target fails with that status.
//!    Last handle of the source dropped: the target fails with `CANCELLED`.
//! 2. A target that refuses the signal (it stands at the value or beyond) fails with `INVALID_ARGUMENT`: two signallers
//!    of one value are an error of the structure and must be seen.
//! 3. The target is ordered after what the source is ordered after. The link takes the source's accumulated frontier,
//!    and whether it is complete for the value, under the source's lock when it leaves; the target is signalled with
//!    both. Storage for the frontier is part of the link, so that a signal allocates nothing.

use super::{Registration, Semaphore, Timepoint};
use crate::dispatch::forward_now;
use crate::frontier::{Frontier, FrontierBox};
use crate::pending::Action;
use crate::{Result, WhileDoing};
use std::sync::Arc;

impl Semaphore {
    /// Signals `target` to `target_value` once this semaphore has reached `value`; at once if it has.
    ///
    /// A failure goes on to the target, and so does the end of this semaphore, as `CANCELLED`. A target that refuses
    /// the signal fails. What this semaphore is ordered after, the target is ordered after too. Several links may
    /// leave one semaphore, and chains of any length take the stack of one; a cycle is the caller's error.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_sync::Semaphore;
    /// let (source, target) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    /// source.link(1, &target, 7);
    /// source.signal(1)?;
    /// assert_eq!(target.query()?, 7);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn link(self: &Arc<Self>, value: u64, target: &Arc<Semaphore>, target_value: u64) -> Link {
        let forward = Box::new(Forward {
            target: Arc::clone(target),
            value: target_value,
            frontier: FrontierBox::with_capacity(self.frontier_capacity()),
            is_complete: false,
        });
        match self.register(value, Action::Forward(forward)) {
            Registration::Pending(ticket) => Link(Timepoint::pending(self, value, ticket)),
            Registration::Known(outcome, Action::Forward(forward)) => {
                forward_now(forward, outcome);
                Link(Timepoint::over())
            }
            Registration::Known(..) => unreachable!("a link was registered"),
        }
    }
}

/// A link from one semaphore to another. It keeps the source alive.
///
/// Dropping it detaches it: the link stays, and no longer keeps the source alive.
#[derive(Debug)]
pub struct Link(Timepoint);

impl Link {
    /// Takes the link back. `true`: the target will not be moved by it. `false`: it was, or is just being.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_sync::Semaphore;
    /// let (source, target) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    /// assert!(source.link(1, &target, 1).unlink());
    /// source.signal(1)?;
    /// assert_eq!(target.query()?, 0);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn unlink(&self) -> bool {
        self.0.cancel()
    }
}

/// The record of a link: what to signal, and room for what goes with it.
pub(crate) struct Forward {
    target: Arc<Semaphore>,
    value: u64,
    frontier: FrontierBox,
    is_complete: bool,
}

impl Forward {
    /// Takes over what the source is ordered after, and whether that is all.
    pub(super) fn take_over(&mut self, frontier: &Frontier, is_complete: bool) {
        self.frontier.clear();
        let fits = self.frontier.merge(frontier).is_ok();
        debug_assert!(fits, "the link has the capacity of its source");
        self.is_complete = is_complete && fits;
    }

    /// Moves or fails the target. A failure goes on as it is: if each link of a chain added a step, a chain of n
    /// would keep n² of them.
    pub(crate) fn deliver(self, outcome: Result<()>) {
        let refused = outcome.and_then(|()| {
            let signalled = if self.is_complete {
                self.target.signal_untainted(self.value, &self.frontier)
            } else {
                self.target.signal_with(self.value, &self.frontier)
            };
            signalled.while_doing(|| "following a link from another semaphore")
        });
        if let Err(status) = refused {
            self.target.fail(status);
        }
    }
}
