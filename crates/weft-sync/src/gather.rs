//! One callback for several points on timelines, and its withdrawal.
//!
//! What lives here: [`on_all_reached`], [`on_any_reached`], [`Gathering`]. What does not: blocking on several
//! (`wait_many.rs`), how a single timepoint and a signal find each other (`semaphore`).
//!
//! 1. A gathering registers a timepoint for each of its points. Each reports once: reached, or failed.
//! 2. A report that decides takes the callback out under the lock of the gathering. Nobody else finds one there, so it
//!    is called once or withdrawn once. All: the last point is reached, or the first fails. Any: the first is reached, or
//!    the first fails.
//! 3. Whoever takes the callback out also takes the timepoints out and withdraws those that have not fired, after the
//!    lock is free and before the callback runs: when it runs, nothing of the gathering is registered any more.
//! 4. A report may decide while points are still being registered. The registering thread hands each timepoint in under
//!    the lock; if the callback is gone by then, it withdraws that timepoint itself and stops.

use crate::atomic::{Mutex, lock};
use crate::dispatch::call_now;
use crate::semaphore::Withdrawal;
use crate::{Point, Result, bail};
use std::fmt;
use std::sync::Arc;

/// Calls `callback` exactly once: with `Ok` once every point is reached, with the failure if one of the timelines fails
/// first. An empty list is reached at once.
///
/// If the answer is known already, the callback runs before this returns; else on the thread that decides. It may do
/// what a callback of [`Semaphore::on_reached`](crate::Semaphore::on_reached) may.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use weft_sync::{Point, Semaphore, on_all_reached};
/// let timelines = [0, 0].map(|value| Arc::new(Semaphore::new(value)));
/// let points = timelines.clone().map(|semaphore| Point { semaphore, value: 1 });
/// let (sender, receiver) = mpsc::channel();
/// on_all_reached(&points, move |outcome| sender.send(outcome.is_ok()).expect("somebody listens"));
/// timelines[1].signal(1)?;
/// assert!(receiver.try_recv().is_err());
/// timelines[0].signal(1)?;
/// assert_eq!(receiver.recv(), Ok(true));
/// # weft_sync::Result::Ok(())
/// ```
pub fn on_all_reached(points: &[Point], callback: impl FnOnce(Result<()>) + Send + 'static) -> Gathering {
    if points.is_empty() {
        call_now(callback, Ok(()));
        return Gathering { shared: Shared::over() };
    }
    Gathering::start(points, points.len(), Box::new(|outcome| callback(outcome.map(|_| ()))))
}

/// Calls `callback` exactly once: with the index of the first point that is reached (the lowest one if several are
/// when this is called), with the failure if one of the timelines fails first.
///
/// A point that is reached wins over a failure that is found when this is called. `INVALID_ARGUMENT` for an empty list,
/// which could only be answered by an index that names nothing; the callback is dropped then.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use weft_sync::{Point, Semaphore, on_any_reached};
/// let timelines = [0, 0].map(|value| Arc::new(Semaphore::new(value)));
/// let points = timelines.clone().map(|semaphore| Point { semaphore, value: 1 });
/// let (sender, receiver) = mpsc::channel();
/// on_any_reached(&points, move |outcome| sender.send(outcome.ok()).expect("somebody listens"))?;
/// timelines[1].signal(1)?;
/// assert_eq!(receiver.recv(), Ok(Some(1)));
/// # weft_sync::Result::Ok(())
/// ```
pub fn on_any_reached(
    points: &[Point],
    callback: impl FnOnce(Result<usize>) + Send + 'static,
) -> Result<Gathering> {
    if points.is_empty() {
        bail!(InvalidArgument, "one of no points was asked for");
    }
    // One that is reached wins over one that failed, wherever they are in the list.
    let is_reached = |point: &Point| matches!(point.semaphore.is_reached(point.value), Ok(true));
    if let Some(index) = points.iter().position(is_reached) {
        call_now(move |outcome| callback(outcome.map(|()| index)), Ok(()));
        return Ok(Gathering { shared: Shared::over() });
    }
    Ok(Gathering::start(points, 1, Box::new(callback)))
}

/// A callback that waits for several points. Dropping this detaches it: the callback is still called.
///
/// It keeps none of the timelines alive; one whose last handle is dropped counts as failed, with `CANCELLED`.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Point, Semaphore, on_all_reached};
/// let timeline = Arc::new(Semaphore::new(0));
/// let points = [1, 2].map(|value| Point { semaphore: Arc::clone(&timeline), value });
/// let gathering = on_all_reached(&points, |_| unreachable!("withdrawn"));
/// timeline.signal(1)?;
/// assert!(gathering.cancel());
/// assert!(!gathering.cancel());
/// timeline.signal(2)?;
/// # weft_sync::Result::Ok(())
/// ```
pub struct Gathering {
    shared: Arc<Shared>,
}

impl Gathering {
    fn start(points: &[Point], missing: usize, callback: Call) -> Gathering {
        let open = Open { missing, callback, registered: Vec::with_capacity(points.len()) };
        let shared = Arc::new(Shared(Mutex::new(Some(open))));
        for (index, point) in points.iter().enumerate() {
            let reported = Arc::clone(&shared);
            let timepoint =
                point.semaphore.on_reached(point.value, move |outcome| reported.report(index, outcome));
            if !shared.keep(timepoint.downgrade()) {
                timepoint.cancel();
                break;
            }
        }
        Gathering { shared }
    }

    /// Withdraws the callback. `true`: it has not run and never will, and nothing is left registered. `false`: it has run,
    /// is running on another thread, or is about to. Asking again is harmless.
    pub fn cancel(&self) -> bool {
        // The callback is dropped here, after the lock is free: it may own anything.
        self.shared.close().is_some()
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = lock(&self.shared.0).as_ref().map(|open| open.missing);
        f.debug_struct("Gathering").field("missing", &missing).finish()
    }
}

type Call = Box<dyn FnOnce(Result<usize>) + Send>;

/// A gathering that is not decided.
struct Open {
    /// How many more points decide it.
    missing: usize,
    callback: Call,
    registered: Vec<Withdrawal>,
}

/// `None` once it is decided or withdrawn.
struct Shared(Mutex<Option<Open>>);

impl Shared {
    fn over() -> Arc<Shared> {
        Arc::new(Shared(Mutex::new(None)))
    }

    /// Keeps what withdraws a timepoint; `false` if it is no longer needed.
    fn keep(&self, withdrawal: Option<Withdrawal>) -> bool {
        match &mut *lock(&self.0) {
            Some(open) => {
                open.registered.extend(withdrawal);
                true
            }
            None => false,
        }
    }

    /// Rule 3: takes the callback and withdraws every timepoint that is left.
    fn close(&self) -> Option<Call> {
        let open = lock(&self.0).take()?;
        open.registered.iter().for_each(Withdrawal::withdraw);
        Some(open.callback)
    }

    fn report(&self, index: usize, outcome: Result<()>) {
        if outcome.is_ok() {
            let mut shared = lock(&self.0);
            let Some(open) = &mut *shared else { return };
            open.missing -= 1;
            if open.missing > 0 {
                return;
            }
        }
        if let Some(callback) = self.close() {
            callback(outcome.map(|()| index));
        }
    }
}
