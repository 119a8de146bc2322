//! The unit of work: a drain that does a bounded piece and says what it did.
//!
//! What lives here: [`Process`] and what it calls when, [`Work`]. What does not: who drains it and when (`activity.rs`,
//! `ready.rs`, `worker.rs`), how its end is decided (`outcome.rs`).
//!
//! 1. It is told once: [`Work::completed`], then each dependent is woken, in order, also after failure.
//! 2. [`Work::released`] is called once, after that and after the last worker has left the drain.
//! 3. Whoever has the process scheduled holds a reference, so none of this can happen to freed memory.
//! 4. No panic of the user's code gets out of the end of a process, nor does one keep the rest of it from happening: the
//!    thread on which it ends may be anybody's.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;

use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use weft_sync::{Result, Status};

use crate::WorkerContext;
use crate::activity::Activity;
use crate::cache_line::CacheLine;
use crate::drained::Drained;
use crate::list::Link;
use crate::outcome::{Outcome, State};
use crate::panics::{caught, contain, discard};
use crate::warm::Retention;

/// What a process does.
///
/// An immediate process is drained by one worker at a time, a compute process by any number at once.
///
/// A panic in a drain is a failure of the process; one in `completed`, in `released` or in the drop of the work is printed
/// and goes nowhere: they run on whichever thread comes last.
pub trait Work: Any + Send + Sync {
    /// Does a bounded piece and says what came of it. Must not wait for anything that another process of the same
    /// executor has to produce.
    fn drain(&self, worker: &WorkerContext<'_>) -> Drained;

    /// The process is over, with this outcome. Called once, as soon as that is known: other workers may still be inside
    /// `drain`.
    fn completed(&self, outcome: Result<()>) {
        let _ = outcome;
    }

    /// The last worker has left. Called once, after `completed` has returned; here belongs what balances a
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

/// What a [`Process::cancel`] came to.
#[must_use = "a process that was runnable has to be scheduled once more"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It was suspended, and is over now: completed, dependents woken, and released, unless a worker that somebody called
    /// at the same moment has yet to look.
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
        Arc::new(Process {
            fixed: CacheLine(Fixed {
                is_compute: options.is_compute(),
                work: Box::new(work),
                dependents: options.dependents.into_boxed_slice(),
            }),
            outcome: CacheLine(Outcome::new(options.suspend_count)),
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
        process.outcome.0 = Outcome::new(0);
        let schedule = &mut process.schedule.0;
        schedule.activity = Activity::new();
        schedule.retention = Retention::default();
        process.link.0 = Link::new();
        Some(work)
    }

    /// Where it is in its life.
    #[inline]
    pub fn state(&self) -> State {
        self.outcome.state()
    }

    /// Whether it is over, though workers may still be inside.
    #[inline]
    pub fn is_terminal(&self) -> bool {
        self.outcome.is_terminal()
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
        self.outcome.wake()
    }

    /// Reports a failure. The first one is kept and ends the process as soon as a worker looks; if it is reported from
    /// outside a drain, schedule the process so that one does. A suspended process keeps it, and ends with it without a
    /// drain when its last wake comes. `false` if there was an outcome already.
    pub fn report(&self, failure: Status) -> bool {
        self.outcome.report(failure)
    }

    /// Ends the process, unless it is over: decides the outcome, then tells it. `activate` is called for each dependent
    /// that became runnable, in order; it has to schedule them. A process that was suspended is released here, too; one
    /// that was runnable by a worker, so see to it that one looks.
    pub fn complete(&self, activate: impl FnMut(&Arc<Process>)) {
        if self.outcome.change(State::Suspended, State::Completed) {
            return self.end_suspended(activate);
        }
        self.outcome.change(State::Runnable, State::Completed);
        self.resolve(activate);
    }

    /// Its drain says that it is finished. It remains to be told.
    pub(crate) fn finish(&self) {
        self.outcome.change(State::Runnable, State::Completed);
    }

    /// Asks for the end. A process that is still suspended ends here; `activate` as in [`Process::complete`].
    pub fn cancel(&self, activate: impl FnMut(&Arc<Process>)) -> Cancel {
        if self.outcome.change(State::Suspended, State::Cancelled) {
            self.end_suspended(activate);
            return Cancel::Resolved;
        }
        if self.outcome.change(State::Runnable, State::Cancelled) {
            Cancel::Schedule
        } else {
            Cancel::TooLate
        }
    }

    /// Reports a failure, and ends the process with it if it is still suspended. `false` if it was not: then a worker has
    /// to look.
    pub(crate) fn fail(&self, failure: Status, activate: impl FnMut(&Arc<Process>)) -> bool {
        self.report(failure);
        let suspended = self.outcome.change(State::Suspended, State::Completed);
        if suspended {
            self.end_suspended(activate);
        }
        suspended
    }

    /// The end of a process that was suspended until now.
    fn end_suspended(&self, activate: impl FnMut(&Arc<Process>)) {
        // Nobody has scheduled it while it was suspended. Somebody who saw that it is so no more may just have done it:
        // then a worker comes, and the process is left when that one has gone.
        if self.activity().retire_idle() && self.outcome.left() {
            self.release();
        }
        self.resolve(activate);
    }

    /// Tells and wakes the dependents; of several callers one does.
    pub(crate) fn resolve(&self, mut activate: impl FnMut(&Arc<Process>)) {
        let Some(outcome) = self.outcome.take() else { return };
        contain(|| self.fixed.work.completed(outcome));
        // One dependent that cannot be activated must not keep the others waiting, nor the release.
        let mut first_panic = None;
        for dependent in &self.fixed.dependents {
            let panic = caught(|| {
                if dependent.wake() {
                    activate(dependent);
                }
            });
            match (panic, &first_panic) {
                (Some(panic), None) => first_panic = Some(panic),
                (Some(panic), Some(_)) => discard(panic),
                (None, _) => {}
            }
        }
        if self.outcome.told() {
            self.release();
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
    }

    /// The last worker has left, and none will come. Releases, unless the process was not told yet: then whoever tells
    /// does. Whether it was released here.
    pub(crate) fn leave(&self) -> bool {
        let second = self.outcome.left();
        if second {
            self.release();
        }
        second
    }

    fn release(&self) {
        contain(|| self.fixed.work.released());
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

/// Stands in for a work that is being dropped. Takes no memory.
struct Gone;

impl Work for Gone {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        Drained::Finished
    }
}

impl Drop for Process {
    /// Takes chains of dependents apart one by one: recursion would need a stack as deep as the chain.
    fn drop(&mut self) {
        let mut orphans: Vec<Arc<Process>> = mem::take(&mut self.fixed.dependents).into_vec();
        while let Some(orphan) = orphans.pop() {
            if let Some(mut process) = Arc::into_inner(orphan) {
                orphans.append(&mut mem::take(&mut process.fixed.dependents).into_vec());
            }
        }
        // Rule 4: the last handle is dropped by a worker more often than not.
        let work = mem::replace(&mut self.fixed.work, Box::new(Gone));
        contain(|| drop(work));
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
