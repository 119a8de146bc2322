//! Native functions that cannot finish at once: what they wait for, and how they go on.
//!
//! Lives here: [`Step`], [`Wait`] as native functions make them. Not here: who waits (`invocation.rs`).

use std::fmt;

use weft_sync::{CancelToken, Code, Deadline, Point, Result, wait_all_unless, wait_any_unless};

/// When a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// When the deadline passes; that is success.
    Until,
    /// When one of the points is reached.
    Any,
    /// When all points are reached.
    All,
}

/// What a suspended invocation waits for.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Deadline, Point, Semaphore};
/// use weft_vm::native::Wait;
/// let semaphore = Arc::new(Semaphore::new(3));
/// let wait = Wait::all([Point { semaphore, value: 3 }], Deadline::NEVER);
/// assert!(matches!(wait.block(Deadline::NEVER), Some(Ok(()))));
/// ```
#[derive(Clone, Debug)]
pub struct Wait {
    kind: WaitKind,
    points: Vec<Point>,
    deadline: Deadline,
}

impl Wait {
    /// For all points; DEADLINE_EXCEEDED if the deadline passes first.
    pub fn all(points: impl Into<Vec<Point>>, deadline: Deadline) -> Wait {
        Wait { kind: WaitKind::All, points: points.into(), deadline }
    }

    /// For one of the points; DEADLINE_EXCEEDED if the deadline passes first.
    pub fn any(points: impl Into<Vec<Point>>, deadline: Deadline) -> Wait {
        Wait { kind: WaitKind::Any, points: points.into(), deadline }
    }

    /// For a point in time.
    pub fn until(deadline: Deadline) -> Wait {
        Wait { kind: WaitKind::Until, points: Vec::new(), deadline }
    }

    /// When the wait is over.
    pub fn kind(&self) -> WaitKind {
        self.kind
    }

    /// What is waited for; empty for [`WaitKind::Until`].
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// When the wait gives up, or for [`WaitKind::Until`] ends.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Blocks the thread until the wait is over or `limit` passes. The outcome is what the waiter gets: success,
    /// DEADLINE_EXCEEDED for the wait's own deadline, or the failure of a point. `None`: `limit` came first.
    pub fn block(&self, limit: Deadline) -> Option<Result<()>> {
        self.block_unless(None, limit)
    }

    /// As [`Wait::block`], and CANCELLED once the token is cancelled.
    pub fn block_unless(&self, cancel: Option<&CancelToken>, limit: Deadline) -> Option<Result<()>> {
        let nearest = self.deadline.min(limit);
        let outcome = match self.kind {
            WaitKind::Until => {
                if let Err(cancelled) = sleep(cancel, nearest) {
                    return Some(Err(cancelled));
                }
                return (self.deadline <= limit || is_past(self.deadline)).then_some(Ok(()));
            }
            WaitKind::Any => wait_any_unless(&self.points, cancel, nearest).map(drop),
            WaitKind::All => wait_all_unless(&self.points, cancel, nearest),
        };
        match outcome {
            Err(status) if status.code() == Code::DeadlineExceeded && !self.is_failed() => {
                // One of the two deadlines passed; only the wait's own one is an outcome.
                is_past(self.deadline).then_some(Err(status))
            }
            outcome => Some(outcome),
        }
    }

    /// Whether a point has failed, to tell a point that failed with DEADLINE_EXCEEDED from a deadline.
    fn is_failed(&self) -> bool {
        self.points.iter().any(|point| point.semaphore.query().is_err())
    }
}

/// Sleeps until the deadline has passed. The error: the token was cancelled before.
fn sleep(cancel: Option<&CancelToken>, until: Deadline) -> Result<()> {
    let Some(cancel) = cancel else {
        match until.remaining() {
            Some(remaining) => std::thread::sleep(remaining),
            // Nothing ends this wait but the end of the process.
            None => loop {
                std::thread::park();
            },
        }
        return Ok(());
    };
    match cancel.wait(until) {
        Err(status) if status.code() == Code::DeadlineExceeded => Ok(()),
        outcome => outcome,
    }
}

fn is_past(deadline: Deadline) -> bool {
    deadline.remaining().is_some_and(|remaining| remaining.is_zero())
}

/// How a native function goes on once its wait is over. Gets the outcome of the wait.
pub type Resume<R> = Box<dyn FnOnce(Result<()>) -> Result<Step<R>> + Send>;

/// What a native function that may suspend returns.
pub enum Step<R> {
    /// Finished.
    Done(R),
    /// Suspend the invocation until the wait is over, then go on.
    Wait(Wait, Resume<R>),
    /// Suspend the invocation, let others run, then go on.
    Yield(Resume<R>),
}

impl<R> Step<R> {
    /// Suspends until `wait` is over. The closure gets the outcome of the wait and must not block.
    pub fn wait(wait: Wait, resume: impl FnOnce(Result<()>) -> Result<Step<R>> + Send + 'static) -> Step<R> {
        Step::Wait(wait, Box::new(resume))
    }

    /// Suspends so that others can run.
    pub fn yield_now(resume: impl FnOnce(Result<()>) -> Result<Step<R>> + Send + 'static) -> Step<R> {
        Step::Yield(Box::new(resume))
    }
}

impl<R: fmt::Debug> fmt::Debug for Step<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Done(results) => f.debug_tuple("Done").field(results).finish(),
            Step::Wait(wait, _) => f.debug_tuple("Wait").field(wait).finish(),
            Step::Yield(_) => f.write_str("Yield"),
        }
    }
}
