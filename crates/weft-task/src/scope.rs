//! What is in flight: wait until nothing is, and keep the first failure.
//!
//! 1. **End: count in, end, wake, count out.** An ender counts itself among the enders before it lowers `pending`, and out
//!    again (release) as its last access to the scope.
//! 2. **Wait: idle, then nobody inside.** A waiter that found `pending` at 0 waits for the enders too, so nobody touches
//!    the scope any more once the wait has returned. A flag would not do: with two ends in quick succession the first
//!    would hide the second.
//! 3. The `end` that balances a process's `begin` belongs in [`Work::released`](crate::Work::released): when it is
//!    `completed`, others may still be draining what the waiter is about to take apart.

use std::fmt;
use std::sync::{Arc, OnceLock};

use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock, spin_loop, yield_now};
use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::{Code, Deadline, Result, Status};

/// Most characters of a name that are kept.
const NAME_CHARS_MAX: usize = 15;

/// How a scope is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScopeOptions {
    /// Print the first failure and abort the program: for those who debug.
    pub abort_on_failure: bool,
}

/// A set of operations in flight.
///
/// ```
/// use weft_sync::{Code, Deadline, Status};
/// use weft_task::{Scope, ScopeOptions};
/// let scope = Scope::new("queue 0", ScopeOptions::default());
/// scope.begin();
/// assert_eq!(scope.wait_idle(Deadline::IMMEDIATE).unwrap_err().code(), Code::DeadlineExceeded);
/// scope.fail(Status::new(Code::DataLoss, "gone"));
/// scope.end();
/// scope.wait_idle(Deadline::NEVER)?;
/// assert_eq!(scope.consume_failure().unwrap().message(), "gone");
/// assert_eq!(scope.consume_failure().unwrap().code(), Code::DataLoss, "it stays failed");
/// # weft_sync::Result::Ok(())
/// ```
pub struct Scope {
    name: Box<str>,
    options: ScopeOptions,
    pending: AtomicU64,
    enders: AtomicU64,
    idle: Notification,
    failed: OnceLock<Code>,
    /// The failure in full, until somebody takes it.
    failure: Mutex<Option<Status>>,
}

impl Scope {
    /// Nothing is in flight. Of the name, 15 characters are kept.
    pub fn new(name: &str, options: ScopeOptions) -> Scope {
        Scope {
            name: name.chars().take(NAME_CHARS_MAX).collect(),
            options,
            pending: AtomicU64::new(0),
            enders: AtomicU64::new(0),
            idle: Notification::new(),
            failed: OnceLock::new(),
            failure: Mutex::new(None),
        }
    }

    /// The name, shortened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One more operation is in flight.
    pub fn begin(&self) {
        // Relaxed: whoever ends it got to know of it through something stronger.
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// As [`Scope::begin`], ended when the value is dropped.
    pub fn enter(self: &Arc<Scope>) -> InFlight {
        self.begin();
        InFlight { scope: Arc::clone(self) }
    }

    /// One operation less is in flight. Panics if none was.
    pub fn end(&self) {
        // Rule 1. Relaxed: published by the Release of the next line.
        self.enders.fetch_add(1, Ordering::Relaxed);
        // Release pairs with the Acquire in `is_idle`: what was done in flight is seen by whoever finds the scope idle;
        // so is this ender. Acquire: the last one passes on what the others did.
        let before = self.pending.fetch_sub(1, Ordering::AcqRel);
        if before == 1 {
            self.idle.signal(WAKE_ALL);
        }
        // The last access. Release pairs with the Acquire in `wait_idle`.
        self.enders.fetch_sub(1, Ordering::Release);
        assert!(before > 0, "a scope ends what it began, and not more");
    }

    /// Keeps a failure; the first one stays. Ends nothing.
    pub fn fail(&self, status: Status) {
        let code = status.code();
        if self.options.abort_on_failure {
            eprintln!("scope {}: {status}", self.name);
            std::process::abort();
        }
        let mut failure = lock(&self.failure);
        if self.failed.set(code).is_ok() {
            *failure = Some(status);
        }
    }

    /// Fails with `ABORTED`.
    pub fn abort(&self) {
        self.fail(Status::new(Code::Aborted, "the scope was aborted"));
    }

    /// Whether a failure was kept.
    pub fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// The failure: in full the first time, its code alone ever after. `None` if there was none.
    pub fn consume_failure(&self) -> Option<Status> {
        let mut failure = lock(&self.failure);
        let code = *self.failed.get()?;
        Some(failure.take().unwrap_or_else(|| Status::new(code, "")))
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Whether nothing is in flight and nobody who ended something is still inside.
    pub fn is_abandoned(&self) -> bool {
        self.is_idle() && self.enders.load(Ordering::Acquire) == 0
    }

    /// Waits until nothing is in flight, and nobody who ended something is still inside. `DEADLINE_EXCEEDED` if the
    /// deadline passes first; a failed scope becomes idle like any other.
    pub fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        while !self.is_idle() {
            let observation = self.idle.observe();
            if self.is_idle() {
                break;
            }
            if !observation.wait(deadline) && !self.is_idle() {
                return Err(Status::new(
                    Code::DeadlineExceeded,
                    format!("the deadline passed before scope {} was idle", self.name),
                ));
            }
        }
        self.wait_for_enders();
        Ok(())
    }

    /// Rule 2. An ender inside is a few instructions from the end, unless it lost its processor.
    fn wait_for_enders(&self) {
        let mut looks: u32 = 0;
        // Acquire pairs with the Release at the end of `end`.
        while self.enders.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks.is_multiple_of(64) || cfg!(loom) {
                yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.name)
            .field("pending", &self.pending.load(Ordering::Relaxed))
            .field("failed", &self.failed.get())
            .finish_non_exhaustive()
    }
}

/// One operation in flight; ends when dropped.
#[must_use = "the operation ends when this is dropped"]
#[derive(Debug)]
pub struct InFlight {
    scope: Arc<Scope>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.scope.end();
    }
}
