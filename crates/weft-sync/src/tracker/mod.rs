//! Which epochs have been reached, and who waits for sets of them.
//!
//! What lives here: [`Tracker`]. What does not: the table of axes (`table.rs`), the lists of waiters (`waiters.rs`),
//! how callbacks run (`dispatch.rs`). The protocol between a wait and an advance is numbered in `README.md`.

mod table;
mod waiters;

use crate::atomic::{Mutex, MutexGuard, Ordering, lock};
use crate::dispatch::{call_now, dispatch};
use crate::frontier::Frontier;
use crate::{Axis, Machine, Result, Semaphore, Status, bail, status};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};
use table::{AxisSlot, DETACHED, FAILED, Table};
use waiters::{Insertion, Name, Waiters};

/// The largest number of axes that a tracker can be asked for.
const AXES_MAX: u32 = u32::MAX / 4;

/// What a tracker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerOptions {
    /// How many axes can be registered, at most.
    pub axis_capacity: u32,
    /// The place that this tracker serves: session and machine.
    pub machine: Machine,
}

impl Default for TrackerOptions {
    /// 256 axes, on machine 0 of session 1.
    fn default() -> TrackerOptions {
        TrackerOptions { axis_capacity: 256, machine: Machine::LOCAL }
    }
}

/// Which epochs of which axes have been reached, and who waits for them.
///
/// * `table`   – lookups by any thread without a lock; axes are added under the lock.
/// * `waiters` – under the lock. No foreign code runs under it.
///
/// Callbacks run on the thread that advances, fails or drops, outside every lock. They may wait, advance, fail and
/// cancel on this tracker and any other, and on semaphores. They may not block.
///
/// ```
/// use std::sync::mpsc;
/// use weft_sync::{Entry, Frontier, Machine, Tracker, TrackerOptions};
/// let tracker = Tracker::new(TrackerOptions::default())?;
/// let [copy, compute] = [Machine::LOCAL.queue(0, 0), Machine::LOCAL.queue(1, 0)];
/// tracker.register(copy, None)?;
/// tracker.register(compute, None)?;
///
/// let both = [Entry::new(copy, 2), Entry::new(compute, 1)];
/// let (sender, receiver) = mpsc::channel();
/// tracker.wait(Frontier::new(&both)?, move |outcome| sender.send(outcome.is_ok()).expect("heard"))?;
/// assert_eq!(tracker.advance(copy, 2), 0);
/// assert_eq!(tracker.advance(compute, 1), 1, "one waiter went on");
/// assert_eq!(receiver.recv(), Ok(true));
/// # weft_sync::Result::Ok(())
/// ```
pub struct Tracker {
    table: Table,
    waiters: Mutex<Waiters>,
    options: TrackerOptions,
}

/// Names a wait, to cancel it. Answered waits have names too; they name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitId(Option<Name>);

impl Tracker {
    /// A tracker that knows no axis. `INVALID_ARGUMENT` for a capacity above a quarter of 2³², `RESOURCE_EXHAUSTED`
    /// if there is no memory for it.
    pub fn new(options: TrackerOptions) -> Result<Tracker> {
        let capacity = options.axis_capacity;
        if capacity > AXES_MAX {
            bail!(
                InvalidArgument,
                "a tracker of {capacity} axes was asked for; at most {AXES_MAX} are possible"
            );
        }
        let made = || {
            let table = Table::with_capacity(capacity)?;
            let waiters = Mutex::new(Waiters::new(table.len())?);
            Some(Tracker { table, waiters, options })
        };
        made().ok_or_else(|| status!(ResourceExhausted, "no memory for a tracker of {capacity} axes"))
    }

    /// The place that this tracker serves.
    pub fn machine(&self) -> Machine {
        self.options.machine
    }

    /// Adds an axis, which stands at epoch 0, and a semaphore that is to follow it. The axis stays reserved for ever.
    ///
    /// `ALREADY_EXISTS` for an axis that is registered, `RESOURCE_EXHAUSTED` beyond the capacity, `INVALID_ARGUMENT` for
    /// axis 0, which names nothing. May be called while others look up, advance and wait.
    ///
    /// ```
    /// use weft_sync::{Code, Machine, Tracker, TrackerOptions};
    /// let tracker = Tracker::new(TrackerOptions { axis_capacity: 1, ..Default::default() })?;
    /// tracker.register(Machine::LOCAL.host(1), None)?;
    /// assert_eq!(tracker.register(Machine::LOCAL.host(1), None).unwrap_err().code(), Code::AlreadyExists);
    /// assert_eq!(tracker.register(Machine::LOCAL.host(2), None).unwrap_err().code(), Code::ResourceExhausted);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn register(&self, axis: Axis, bridge: Option<Arc<Semaphore>>) -> Result<()> {
        let mut waiters = self.lock();
        if axis.raw() == 0 {
            bail!(InvalidArgument, "axis 0 names no timeline");
        }
        if self.table.find(axis).is_some() {
            bail!(AlreadyExists, "axis {axis} is registered already");
        }
        let capacity = self.options.axis_capacity;
        if waiters.registered == capacity {
            bail!(ResourceExhausted, "no room for axis {axis}: all {capacity} axes are in use");
        }
        waiters.registered += 1;
        self.table.insert(axis, bridge);
        Ok(())
    }

    /// Notes that `axis` has come to `epoch`, and calls back whoever waited for that and is satisfied now. Returns how
    /// many. An unknown axis, or an epoch that was reached before, has no effect.
    ///
    /// The semaphore that follows the axis is signalled first. If it refuses, because somebody else has moved it, it is
    /// failed with that refusal.
    #[inline]
    pub fn advance(&self, axis: Axis, epoch: u64) -> usize {
        let Some(index) = self.table.find(axis) else { return 0 };
        let slot = self.table.slot(index);
        // Release publishes what came before the epoch; Acquire pairs with the read-modify-write of a wait: whoever
        // announced itself first is seen below.
        if slot.epoch.load(Ordering::Relaxed) >= epoch
            || slot.epoch.fetch_max(epoch, Ordering::AcqRel) >= epoch
        {
            return 0;
        }
        if let Some(bridge) = slot.bridge() {
            return self.advance_bridged(index, bridge, epoch);
        }
        self.dispatch_reached(index, epoch)
    }

    #[inline]
    fn dispatch_reached(&self, index: u32, epoch: u64) -> usize {
        // Relaxed: the read-modify-write in `advance` has already acquired every announcement that it came after.
        if self.table.slot(index).watched.load(Ordering::Relaxed) > epoch {
            return 0;
        }
        self.dispatch_due(index)
    }

    #[cold]
    fn advance_bridged(&self, index: u32, bridge: &Semaphore, epoch: u64) -> usize {
        // A callback of the semaphore may panic. The waiters of the axis have their turn all the same.
        let signalled = catch_unwind(AssertUnwindSafe(|| self.follow(self.table.slot(index), bridge, epoch)));
        let dispatched = self.dispatch_reached(index, epoch);
        match signalled {
            Ok(()) => dispatched,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Signals the semaphore that follows an axis.
    fn follow(&self, slot: &AxisSlot, bridge: &Semaphore, epoch: u64) {
        if let Err(refusal) = bridge.signal(epoch) {
            // Of two threads that advance at once, the later epoch may get to the semaphore first. Then it stands at an
            // epoch that this tracker has reached, beyond ours: nothing is wrong. The value is read first: whoever
            // signalled it had moved the epoch before, and the look at the value acquires that.
            let value = bridge.last_value();
            let reached = slot.epoch.load(Ordering::Acquire);
            let is_overtaken = epoch < reached && value <= reached;
            if !is_overtaken {
                bridge.fail(refusal.while_doing("following an axis"));
            }
        }
    }

    /// Calls back every waiter that watches the axis and is satisfied.
    #[cold]
    fn dispatch_due(&self, index: u32) -> usize {
        dispatch(|batch| {
            let mut waiters = self.lock();
            waiters.take_due(&self.table, index, |callback| batch.push_callback(callback, Ok(())))
        })
    }

    /// Calls `callback` exactly once: with `Ok` once every epoch of `frontier` is reached, with the failure if one of
    /// its axes fails (or has failed, whether or not the others are reached), with `CANCELLED` if the tracker is
    /// dropped before either.
    ///
    /// If the answer is known already, the callback runs on this thread before `wait` returns. `NOT_FOUND` if an axis
    /// is not registered; the callback is dropped then.
    pub fn wait(
        &self,
        frontier: &Frontier,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<WaitId> {
        if self.is_satisfied(frontier) {
            call_now(callback, Ok(()));
            return Ok(WaitId(None));
        }
        self.enqueue(frontier, callback)
    }

    /// Whether every axis is registered, has not failed and has come to its epoch.
    #[inline]
    fn is_satisfied(&self, frontier: &Frontier) -> bool {
        frontier.into_iter().all(|entry| {
            let Some(index) = self.table.find(entry.axis) else { return false };
            let slot = self.table.slot(index);
            // Pairs with the Release in `advance`: the callback sees what came before the epoch.
            slot.epoch.load(Ordering::Acquire) >= entry.epoch && !slot.has_failed()
        })
    }

    /// The path of a wait that was not satisfied at the first look.
    #[inline(never)]
    fn enqueue(
        &self,
        frontier: &Frontier,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<WaitId> {
        let mut waiters = self.lock();
        let outcome = match waiters.insert(&self.table, frontier) {
            Insertion::Kept(name) => {
                waiters.callback_mut(name).fill(callback);
                return Ok(WaitId(Some(name)));
            }
            Insertion::Satisfied => Ok(()),
            Insertion::Failed(status) => Err(status),
            Insertion::Unknown(axis) => {
                drop(waiters);
                return Err(unknown(axis));
            }
        };
        drop(waiters);
        call_now(callback, outcome);
        Ok(WaitId(None))
    }

    /// Withdraws a wait. `true`: its callback has not run and never will. `false`: it has run, is running on another
    /// thread, or is about to. Asking again is harmless.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine, Tracker, TrackerOptions};
    /// let tracker = Tracker::new(TrackerOptions::default())?;
    /// let axis = Machine::LOCAL.host(1);
    /// tracker.register(axis, None)?;
    /// let wait = tracker.wait(&FrontierBuf::single(axis, 1), |_| unreachable!("withdrawn"))?;
    /// assert!(tracker.cancel_wait(wait));
    /// assert!(!tracker.cancel_wait(wait));
    /// assert_eq!(tracker.advance(axis, 1), 0);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn cancel_wait(&self, wait: WaitId) -> bool {
        let Some(name) = wait.0 else { return false };
        let callback = self.lock().remove(&self.table, name);
        // Dropped here, after the lock is free: a callback may own anything.
        callback.is_some()
    }

    /// Fails an axis: every waiter that names it is called back with `status`, also if the rest of its frontier is
    /// pending, and every later wait that names it too. The semaphore that follows it fails. The first failure wins;
    /// an unknown axis is passed over.
    ///
    /// ```
    /// use weft_sync::{Code, FrontierBuf, Machine, Status, Tracker, TrackerOptions};
    /// let (tracker, axis) = (Tracker::new(TrackerOptions::default())?, Machine::LOCAL.queue(0, 0));
    /// tracker.register(axis, None)?;
    /// tracker.advance(axis, 3);
    /// tracker.fail_axis(axis, Status::new(Code::DataLoss, "the device is lost"));
    /// tracker.wait(&FrontierBuf::single(axis, 2), |outcome| {
    ///     assert_eq!(outcome.unwrap_err().code(), Code::DataLoss, "also for what was reached");
    /// })?;
    /// assert!(tracker.query_epoch(axis, 3) && !tracker.query_epoch(axis, 4));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn fail_axis(&self, axis: Axis, status: Status) {
        self.end_axis(axis, status, FAILED);
    }

    /// As [`Tracker::fail_axis`] for an axis whose owner has stopped for good: its semaphore is let go of and stays as
    /// it is. `CANCELLED` is the status for a clean end.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_sync::{Code, Machine, Semaphore, Status, Tracker, TrackerOptions};
    /// let (tracker, axis) = (Tracker::new(TrackerOptions::default())?, Machine::LOCAL.queue(0, 0));
    /// let bridge = Arc::new(Semaphore::new(0));
    /// tracker.register(axis, Some(Arc::clone(&bridge)))?;
    /// tracker.advance(axis, 2);
    /// tracker.retire_axis(axis, Status::new(Code::Cancelled, "the device was closed"));
    /// assert_eq!(bridge.query()?, 2);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn retire_axis(&self, axis: Axis, status: Status) {
        self.end_axis(axis, status, FAILED | DETACHED);
    }

    fn end_axis(&self, axis: Axis, status: Status, flags: u32) {
        let Some(index) = self.table.find(axis) else { return };
        let slot = self.table.slot(index);
        dispatch(|batch| {
            let mut waiters = self.lock();
            // Relaxed: whoever sees `FAILED` takes the lock next; `DETACHED` only says that the bridge is no longer used.
            slot.flags.fetch_or(flags, Ordering::Relaxed);
            if !waiters.set_failure(index, &status) {
                return;
            }
            if let Some(bridge) = slot.bridge() {
                batch.push_failure(Arc::clone(bridge), status.clone());
            }
            waiters.take_naming(&self.table, index, |callback| {
                batch.push_callback(callback, Err(status.clone()));
            });
        });
    }

    /// Whether `axis` has come to `epoch`. Never blocks or locks. An axis that is not registered has reached nothing;
    /// one that failed keeps what it had reached.
    #[inline]
    pub fn query_epoch(&self, axis: Axis, epoch: u64) -> bool {
        self.current_epoch(axis).is_some_and(|current| current >= epoch)
    }

    /// How far `axis` has come; `None` if it is not registered.
    #[inline]
    pub fn current_epoch(&self, axis: Axis) -> Option<u64> {
        let index = self.table.find(axis)?;
        // Pairs with the Release in `advance`.
        Some(self.table.slot(index).epoch.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        lock(&self.waiters)
    }
}

#[cold]
fn unknown(axis: Axis) -> Status {
    status!(NotFound, "axis {axis} is not registered with the tracker")
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let waiters = self.waiters.get_mut().unwrap_or_else(PoisonError::into_inner);
        if waiters.is_empty() {
            return;
        }
        dispatch(|batch| {
            let gone = status!(Cancelled, "the tracker was dropped before the awaited epochs were reached");
            waiters.take_all(|callback| batch.push_callback(callback, Err(gone.clone())));
        });
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = self.lock();
        f.debug_struct("Tracker")
            .field("options", &self.options)
            .field("axes", &waiters.registered)
            .field("waiters", &waiters.len())
            .finish()
    }
}
