//! The unit of work: a drain that does a bounded piece and says what it did.
//!
//! What lives here: [`Process`], its life from suspended to terminal, [`Work`]. What does not: who drains it and when
//! (`activity.rs`, `ready.rs`, `worker.rs`).
//!
//! ```text
//! SUSPENDED --last wake--> RUNNABLE --complete, report--> COMPLETED
//!     |                       |
//!     +------- cancel --------+-------------------------> CANCELLED
//! ```
//!
//! 1. The outcome is decided once: the first of all reports, or success if there was none when the process resolved.
//! 2. It resolves once: [`Work::completed`], then each dependent is woken, in order, also after failure.
//! 3. [`Work::released`] is called once, after that and after the last worker has left the drain.
//! 4. Whoever has the process scheduled holds a reference, so none of this can happen to freed memory.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use weft_sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use weft_sync::{Code, Result, Status};

use crate::WorkerContext;
use crate::activity::Activity;
use crate::cache_line::CacheLine;
use crate::drained::Drained;
use crate::list::Link;
use crate::warm::Retention;

/// What a process does.
///
/// An immediate process is drained by one worker at a time, a compute process by any number at once.
pub trait Work: Any + Send + Sync {
    /// Does a bounded piece and says what came of it. Must not wait for anything that another process of the same
    /// executor has to produce.
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained;

    /// The process is over, with this outcome. Called once, as soon as that is known: other workers may still be inside
    /// `drain`.
    fn completed(&self, outcome: Result<()>) {
        let _ = outcome;
    }

    /// The last worker has left. Called once, after `completed`; here belongs what balances a
    /// [`Scope::begin`](crate::Scope::begin).
    fn released(&self) {}
}

impl<W: Work + ?Sized> Work for Arc<W> {
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained {
        (**self).drain(worker)
    }

    fn completed(&self, outcome: Result<()>) {
        (**self).completed(outcome);
    }

    fn released(&self) {
        (**self).released();
    }
}

/// What a process is made with.
///
/// ```
/// use weft_task::ProcessOptions;
/// let wide = ProcessOptions { wake_budget: 8, ..ProcessOptions::default() };
/// assert!(wide.is_compute());
/// assert!(!ProcessOptions::default().is_compute());
/// ```
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// How many wakes it takes until the process may run; 0: at once.
    pub suspend_count: u32,
    /// How many workers a schedule tries to wake: a hint, at least 1. More than 1 makes it a compute process.
    pub wake_budget: u32,
    /// Drained from a slot, by any number of workers, also with a budget of 1.
    pub compute_slot: bool,
    /// Woken in this order once the process is over, whatever its outcome.
    pub dependents: Vec<Arc<Process>>,
}

impl ProcessOptions {
    /// Whether several workers may drain the process at once.
    pub fn is_compute(&self) -> bool {
        self.compute_slot || self.wake_budget > 1
    }
}

impl Default for ProcessOptions {
    fn default() -> ProcessOptions {
        ProcessOptions { suspend_count: 0, wake_budget: 1, compute_slot: false, dependents: Vec::new() }
    }
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// It waits for wakes.
    Suspended = 0,
    /// It may be scheduled.
    Runnable = 1,
    /// Over: finished or failed.
    Completed = 2,
    /// Over: cancelled.
    Cancelled = 3,
}

/// What a [`Process::cancel`] came to.
#[must_use = "a process that was runnable has to be scheduled once more"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It was suspended, and is over now: completed, released, dependents woken.
    Resolved,
    /// It was runnable. The next worker to look ends it, so see to it that one looks.
    Schedule,
    /// It was over before.
    TooLate,
}

/// A unit of work. Lives in an `Arc`; the executor holds a reference while it is scheduled.
///
/// Lines, by who writes them: what never changes; what wakers and reporters write; what schedulers and workers write;
/// the link, which lists write.
///
/// ```
/// use std::sync::Arc;
/// use weft_task::{Drained, Process, ProcessOptions, State, Work, WorkerContext};
/// struct Nothing;
/// impl Work for Nothing {
///     fn drain(&self, _: &WorkerContext<'_>) -> Drained { Drained::Finished }
/// }
/// let last = Process::new(Nothing, ProcessOptions { suspend_count: 2, ..Default::default() });
/// assert!(!last.wake());
/// assert!(last.wake(), "the second wake makes it runnable: schedule it");
/// assert_eq!(last.state(), State::Runnable);
/// ```
#[repr(C)]
pub struct Process {
    fixed: CacheLine<Fixed>,
    outcome: CacheLine<Outcome>,
    schedule: CacheLine<Schedule>,
    link: CacheLine<Link>,
}

struct Fixed {
    work: Box<dyn Work>,
    dependents: Box<[Arc<Process>]>,
    is_compute: bool,
}

struct Outcome {
    suspend_count: AtomicI64,
    state: AtomicU32,
    /// Whether somebody has taken on to resolve it.
    resolved: AtomicBool,
    /// The first report; `None` if there was none when the process resolved.
    failure: OnceLock<Option<Status>>,
}

struct Schedule {
    wake_budget: AtomicU32,
    activity: Activity,
    /// The executor that it belongs to; 0 before it was first scheduled.
    executor: AtomicU64,
    retention: Retention,
}

impl Process {
    /// A process, suspended if it takes wakes to run it. A budget of 0 counts as 1.
    pub fn new(work: impl Work, options: ProcessOptions) -> Arc<Process> {
        let state = if options.suspend_count == 0 { State::Runnable } else { State::Suspended };
        Arc::new(Process {
            fixed: CacheLine(Fixed {
                is_compute: options.is_compute(),
                work: Box::new(work),
                dependents: options.dependents.into_boxed_slice(),
            }),
            outcome: CacheLine(Outcome {
                suspend_count: AtomicI64::new(i64::from(options.suspend_count)),
                state: AtomicU32::new(state as u32),
                resolved: AtomicBool::new(false),
                failure: OnceLock::new(),
            }),
            schedule: CacheLine(Schedule {
                wake_budget: AtomicU32::new(options.wake_budget.max(1)),
                activity: Activity::new(),
                executor: AtomicU64::new(0),
                retention: Retention::default(),
            }),
            link: CacheLine(Link::new()),
        })
    }

    /// Makes a process that nobody else holds as it was when it was new and not suspended, whatever became of it, and
    /// gives its work to be changed. `None` if somebody else holds it, or its work is of another type. A process that
    /// was released is held by its executor for a moment longer.
    ///
    /// For those who run many processes of one kind and allocate nothing for them; dependents stay as they are.
    pub fn renew<W: Work>(self: &mut Arc<Process>) -> Option<&mut W> {
        let process = Arc::get_mut(self)?;
        let work: &mut dyn Any = &mut *process.fixed.0.work;
        let work = work.downcast_mut::<W>()?;
        process.outcome.0 = Outcome {
            suspend_count: AtomicI64::new(0),
            state: AtomicU32::new(State::Runnable as u32),
            resolved: AtomicBool::new(false),
            failure: OnceLock::new(),
        };
        let schedule = &mut process.schedule.0;
        schedule.activity = Activity::new();
        schedule.retention = Retention::default();
        process.link.0 = Link::new();
        Some(work)
    }

    /// Where it is in its life.
    #[inline]
    pub fn state(&self) -> State {
        // Acquire pairs with the Release of whoever changed it.
        match self.outcome.state.load(Ordering::Acquire) {
            0 => State::Suspended,
            1 => State::Runnable,
            2 => State::Completed,
            _ => State::Cancelled,
        }
    }

    /// Whether it is over, though workers may still be inside.
    #[inline]
    pub fn is_terminal(&self) -> bool {
        self.outcome.state.load(Ordering::Acquire) >= State::Completed as u32
    }

    /// Whether several workers may drain it at once.
    #[inline]
    pub fn is_compute(&self) -> bool {
        self.fixed.is_compute
    }

    /// How many workers a schedule tries to wake.
    #[inline]
    pub fn wake_budget(&self) -> u32 {
        // Relaxed: a hint.
        self.schedule.wake_budget.load(Ordering::Relaxed)
    }

    /// Changes how many workers the next schedule tries to wake; nobody is woken or sent away by it. From inside a drain
    /// use [`WorkerContext::set_wake_budget`], which wakes the difference.
    pub fn set_wake_budget(&self, budget: u32) -> u32 {
        self.schedule.wake_budget.swap(budget.max(1), Ordering::Relaxed)
    }

    /// One of the awaited things has happened. `true` if it was the last one: the caller then has to schedule it.
    #[must_use = "the wake that makes a process runnable has to schedule it"]
    pub fn wake(&self) -> bool {
        // AcqRel: the last one has acquired what the others did before their wakes.
        let before = self.outcome.suspend_count.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "a process is woken as often as it was suspended");
        before == 1 && self.change(State::Suspended, State::Runnable)
    }

    /// Reports a failure. The first one is kept and ends the process as soon as a worker looks; if it is reported from
    /// outside a drain, schedule the process so that one does. `false` if there was an outcome already.
    pub fn report(&self, failure: Status) -> bool {
        let first = self.outcome.failure.set(Some(failure)).is_ok();
        self.change(State::Runnable, State::Completed);
        first
    }

    /// Ends the process, unless it is over: decides the outcome, then resolves it. `activate` is called for each
    /// dependent that became runnable, in order; it has to schedule them.
    pub fn complete(&self, activate: impl FnMut(&Arc<Process>)) {
        let _ =
            self.change(State::Runnable, State::Completed) || self.change(State::Suspended, State::Completed);
        self.resolve(activate);
    }

    /// Asks for the end. A process that is still suspended ends here; `activate` as in [`Process::complete`].
    pub fn cancel(&self, activate: impl FnMut(&Arc<Process>)) -> Cancel {
        if self.is_terminal() {
            return Cancel::TooLate;
        }
        if self.change(State::Suspended, State::Cancelled) {
            // Nobody can have scheduled it, and nobody will.
            self.schedule.activity.retire();
            self.resolve(activate);
            self.fixed.work.released();
            return Cancel::Resolved;
        }
        if self.change(State::Runnable, State::Cancelled) { Cancel::Schedule } else { Cancel::TooLate }
    }

    fn change(&self, from: State, to: State) -> bool {
        // Release publishes what led to it, Acquire takes in what led to the state before.
        self.outcome
            .state
            .compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Completes and wakes the dependents; of several callers one does.
    pub(crate) fn resolve(&self, mut activate: impl FnMut(&Arc<Process>)) {
        if self.outcome.resolved.swap(true, Ordering::AcqRel) {
            return;
        }
        // Whoever reports from here on comes too late. A cancel decides by the state, so state and outcome agree.
        let failure = self.outcome.failure.get_or_init(|| (self.state() == State::Cancelled).then(cancelled));
        let outcome = failure.clone().map_or(Ok(()), Err);
        // A callback that panics must not keep the dependents waiting.
        let panic = catch_unwind(AssertUnwindSafe(|| self.fixed.work.completed(outcome))).err();
        for dependent in &self.fixed.dependents {
            if dependent.wake() {
                activate(dependent);
            }
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// The epoch that a drain reads before it looks for work, to stay warm by; see [`Drained::KeepWarm`].
    #[inline]
    pub fn retention_epoch(&self) -> u32 {
        self.schedule.retention.epoch.load(Ordering::Acquire)
    }

    /// Tells workers that stay warm to look again.
    #[inline]
    pub fn advance_retention(&self) {
        // Release pairs with the Acquire in `retention_epoch`.
        self.schedule.retention.epoch.fetch_add(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn work(&self) -> &dyn Work {
        &*self.fixed.work
    }

    #[inline]
    pub(crate) fn activity(&self) -> &Activity {
        &self.schedule.activity
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    #[inline]
    pub(crate) fn retention(&self) -> &Retention {
        &self.schedule.retention
    }

    /// Binds it to the executor `id`, or checks that it is.
    #[inline]
    pub(crate) fn bind(&self, id: u64) {
        if self.schedule.executor.load(Ordering::Relaxed) != id {
            self.bind_first(id);
        }
    }

    #[cold]
    fn bind_first(&self, id: u64) {
        let bound = self.schedule.executor.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
        assert!(
            bound.is_ok() || bound == Err(id),
            "a process belongs to the executor that scheduled it first"
        );
    }
}

#[cold]
fn cancelled() -> Status {
    Status::new(Code::Cancelled, "the process was cancelled")
}

impl Drop for Process {
    /// Takes chains of dependents apart one by one: recursion would need a stack as deep as the chain.
    fn drop(&mut self) {
        let mut orphans: Vec<Arc<Process>> = std::mem::take(&mut self.fixed.dependents).into_vec();
        while let Some(orphan) = orphans.pop() {
            if let Some(mut process) = Arc::into_inner(orphan) {
                orphans.append(&mut std::mem::take(&mut process.fixed.dependents).into_vec());
            }
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("state", &self.state())
            .field("activity", &self.schedule.activity.name())
            .field("wake_budget", &self.wake_budget())
            .finish_non_exhaustive()
    }
}

const _: () = assert!(std::mem::align_of::<Process>() >= 64);
#[cfg(not(loom))]
const _: () = assert!(std::mem::size_of::<Process>() == 4 * std::mem::align_of::<Process>());
