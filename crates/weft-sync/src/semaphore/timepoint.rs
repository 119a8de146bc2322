//! Callbacks at a point of a timeline.
//!
//! What lives here: [`Semaphore::on_reached`], [`Timepoint`]. What does not: the protocol by which a record and a
//! signal find each other (`mod.rs`), how callbacks run (`dispatch.rs`).

use super::{Registration, Semaphore};
use crate::Result;
use crate::callback::Callback;
use crate::dispatch::call_now;
use crate::pending::Action;
use std::sync::{Arc, Weak};

impl Semaphore {
    /// Calls `callback` exactly once: with `Ok` once the timeline has reached `value`, with the failure if it
    /// fails, with `CANCELLED` if the last handle is dropped before either.
    ///
    /// If the answer is known already, the callback runs on this thread before `on_reached` returns (nested more
    /// than 16 callbacks deep: after the callback that registered it); else it runs on the thread that signals,
    /// fails or drops the semaphore. No lock is held meanwhile: the callback may signal, fail, register and
    /// cancel on any semaphore, this one included. It may not block.
    ///
    /// A callback that owns up to four words (say, three handles and a number) is kept without an allocation of its
    /// own. The returned [`Timepoint`] keeps the semaphore alive and can withdraw the callback.
    ///
    /// ```
    /// use std::sync::{Arc, mpsc};
    /// use weft_sync::Semaphore;
    /// let timeline = Arc::new(Semaphore::new(0));
    /// let (sender, receiver) = mpsc::channel();
    /// timeline.on_reached(2, move |outcome| sender.send(outcome.is_ok()).expect("somebody listens"));
    /// timeline.signal(5)?;
    /// assert_eq!(receiver.recv(), Ok(true));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn on_reached(
        self: &Arc<Self>,
        value: u64,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Timepoint {
        match self.is_reached(value) {
            Ok(false) => {}
            Ok(true) => return Timepoint::fired(callback, Ok(())),
            Err(status) => return Timepoint::fired(callback, Err(status)),
        }
        match self.register(value, Action::Call(Callback::new(callback))) {
            Registration::Pending(ticket) => Timepoint::pending(self, value, ticket),
            Registration::Known(outcome, Action::Call(callback)) => {
                Timepoint::fired(|outcome| callback.call(outcome), outcome)
            }
            Registration::Known(..) => unreachable!("a callback was registered"),
        }
    }
}

/// A registered callback. It keeps the semaphore alive.
///
/// Dropping a timepoint detaches it: the callback stays registered and is still called exactly once.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::Semaphore;
/// let timeline = Arc::new(Semaphore::new(0));
/// let timepoint = timeline.on_reached(1, |_| unreachable!("withdrawn"));
/// assert!(timepoint.cancel());
/// assert!(!timepoint.cancel());
/// timeline.signal(1)?;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Timepoint {
    /// `None` if the answer was known at registration: nothing was kept anywhere.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    semaphore: Arc<Semaphore>,
    value: u64,
    ticket: u64,
}

/// A callback that is registered for as long as this lives; from [`Semaphore::watch`].
#[must_use = "the callback is withdrawn when this is dropped"]
#[derive(Debug)]
pub struct Watch<'a> {
    semaphore: &'a Semaphore,
    /// The value and the ticket of what is registered.
    place: Option<(u64, u64)>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some((value, ticket)) = self.place {
            drop(self.semaphore.unregister(value, ticket));
        }
    }
}

impl Semaphore {
    /// As [`Semaphore::on_reached`], for as long as the result lives. A callback that runs already is not waited for.
    pub fn watch(&self, value: u64, callback: impl FnOnce(Result<()>) + Send + 'static) -> Watch<'_> {
        let place = match self.register(value, Action::Call(Callback::new(callback))) {
            Registration::Pending(ticket) => Some((value, ticket)),
            Registration::Known(outcome, Action::Call(callback)) => {
                call_now(|outcome| callback.call(outcome), outcome);
                None
            }
            Registration::Known(..) => unreachable!("a callback was registered"),
        };
        Watch { semaphore: self, place }
    }
}

impl Timepoint {
    fn fired(callback: impl FnOnce(Result<()>) + Send + 'static, outcome: Result<()>) -> Timepoint {
        call_now(callback, outcome);
        Timepoint::over()
    }

    /// One that was answered when it was made.
    pub(super) fn over() -> Timepoint {
        Timepoint { place: None }
    }

    pub(super) fn pending(semaphore: &Arc<Semaphore>, value: u64, ticket: u64) -> Timepoint {
        Timepoint { place: Some(Place { semaphore: Arc::clone(semaphore), value, ticket }) }
    }

    /// Withdraws the callback.
    ///
    /// `true`: it has not run and never will. `false`: it has run, is running on another thread, or is about to;
    /// whoever has to know when it is over keeps a mark of its own. Asking again is harmless.
    pub fn cancel(&self) -> bool {
        let Some(place) = &self.place else { return false };
        // The record is dropped here, after the lock is free: a callback may own anything.
        place.semaphore.unregister(place.value, place.ticket).is_some()
    }

    /// What withdraws the callback without keeping the semaphore alive; `None` if it was answered when it was made.
    pub(crate) fn downgrade(&self) -> Option<Withdrawal> {
        let Place { semaphore, value, ticket } = self.place.as_ref()?;
        Some(Withdrawal { semaphore: Arc::downgrade(semaphore), value: *value, ticket: *ticket })
    }
}

/// See [`Timepoint::downgrade`].
pub(crate) struct Withdrawal {
    semaphore: Weak<Semaphore>,
    value: u64,
    ticket: u64,
}

impl Withdrawal {
    /// Withdraws the callback, if it has not left.
    pub(crate) fn withdraw(&self) {
        if let Some(semaphore) = self.semaphore.upgrade() {
            semaphore.unregister(self.value, self.ticket);
        }
    }
}
