//! What is in flight: wait until nothing is, and keep the first failure.
//!
//! 1. **End: one less in flight and one ender more, in one step; wake; count out.** Both counts are in one word, so an
//!    ender is seen by whoever sees what it ended. It counts itself out (release) as its last access to the scope. An end
//!    without a begin changes nothing.
//! 2. **Wait: idle, then nobody inside.** A waiter that found nothing in flight waits for the enders too, so nobody touches
//!    the scope any more once the wait has returned. A flag would not do: with two ends in quick succession the first
//!    would hide the second. Its deadline holds for both: where others begin and end all the time there may be an ender
//!    inside at each look.
//! 3. The `end` that balances a process's `begin` belongs in [`Work::released`](crate::Work::released): when it is
//!    `completed`, others may still be draining what the waiter is about to take apart.

use std::fmt;
use std::sync::{Arc, OnceLock};

use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock, spin_loop, yield_now};
use weft_sync::notification::{Notification, WAKE_ALL};
use weft_sync::{Code, Deadline, Result, Status};

/// Most characters of a name that are kept.
const NAME_CHARS_MAX: usize = 15;

/// One ender inside; what is in flight is counted below. 2⁴⁰ operations and 2²⁴ threads: more than there can be.
const ENDER: u64 = 1 << 40;

/// Looks for enders between two questions for the time.
const LOOKS_PER_CLOCK: u32 = 64;

fn pending(word: u64) -> u64 {
    word & (ENDER - 1)
}

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
    /// Enders inside | operations in flight.
    counts: AtomicU64,
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
            counts: AtomicU64::new(0),
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
        self.counts.fetch_add(1, Ordering::Relaxed);
    }

    /// As [`Scope::begin`], ended when the value is dropped.
    pub fn enter(self: &Arc<Scope>) -> InFlight {
        self.begin();
        InFlight { scope: Arc::clone(self) }
    }

    /// One operation less is in flight. Panics if none was, and leaves the scope as it is.
    pub fn end(&self) {
        // Rule 1. A compare-exchange, not an addition: an end too many must not even pass through a wrong count.
        let end = |word: u64| (pending(word) > 0).then_some(word + ENDER - 1);
        // Release pairs with the Acquire in `is_idle`: what was done in flight is seen by whoever finds the scope idle.
        // Acquire: the last one passes on what the others did.
        let Ok(before) = self.counts.fetch_update(Ordering::AcqRel, Ordering::Relaxed, end) else {
            panic!("a scope ends what it began, and not more");
        };
        if pending(before) == 1 {
            self.idle.signal(WAKE_ALL);
        }
        // The last access. Release pairs with the Acquire in `wait_for_enders`.
        self.counts.fetch_sub(ENDER, Ordering::Release);
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
        pending(self.counts.load(Ordering::Acquire)) == 0
    }

    /// Whether nothing is in flight and nobody who ended something is still inside.
    pub fn is_abandoned(&self) -> bool {
        self.counts.load(Ordering::Acquire) == 0
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
                return Err(self.still_busy());
            }
        }
        if self.wait_for_enders(deadline) { Ok(()) } else { Err(self.still_busy()) }
    }

    #[cold]
    fn still_busy(&self) -> Status {
        let message = format!("the deadline passed before scope {} was idle", self.name);
        Status::new(Code::DeadlineExceeded, message)
    }

    /// Rule 2. An ender inside is a few instructions from the end, unless it lost its processor. `false` if the deadline
    /// passes first.
    fn wait_for_enders(&self, deadline: Deadline) -> bool {
        let mut looks: u32 = 0;
        // Acquire pairs with the Release at the end of `end`.
        while self.counts.load(Ordering::Acquire) >= ENDER {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_CLOCK) || cfg!(loom) {
                if deadline.remaining().is_some_and(|left| left.is_zero()) {
                    return false;
                }
                yield_now();
            } else {
                spin_loop();
            }
        }
        true
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.name)
            .field("pending", &pending(self.counts.load(Ordering::Relaxed)))
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
