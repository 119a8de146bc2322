//! Asking work to end: one token for a call and all that it puts anywhere.
//!
//! What lives here: [`CancelToken`], the work that carries it ([`CancelWork`]), and waits that it ends
//! ([`wait_all_unless`]). What does not: what each kind of work does when it is asked (queues, transfers, programs).
//!
//! 1. **Cancel: the flag, then the semaphore.** Loops look at the flag; whoever waits registers with the semaphore, which
//!    is never reached and fails with `CANCELLED`. Whoever registers late finds it failed, or the flag set before that; so
//!    the protocol of timepoints is all that is needed, and cancelling is idempotent as failing is.
//! 2. **Work is counted twice**: when it begins, and when it is over. The second count is the value of a timeline, so
//!    waiting for the end of all work is waiting for a point. Whoever ends takes a number first and signals it then; of
//!    two that race the later number may be signalled first, and the earlier one is refused, for it is reached.
//! 3. Nothing is left when all that had begun is over and nothing has begun meanwhile; else the wait begins again. A
//!    token's work is begun by work that is counted, or by a caller who would know; so after a cancel this ends.

use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::wait_many::wait_unless;
use crate::{Code, Deadline, Point, Result, Semaphore, Status, Timepoint};
use std::fmt;
use std::sync::Arc;

/// What is never reached: the value that is waited for.
const NEVER: u64 = 1;

/// Asks all work that carries it to end. All clones are one token; several calls may share one.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{CancelToken, Code, Deadline, Point, Semaphore, wait_all_unless};
/// let token = CancelToken::new();
/// let work = token.work();
/// let never = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
/// let (asked, theirs) = (token.clone(), token.clone());
/// let thread = std::thread::spawn(move || {
///     let outcome = wait_all_unless(&never, Some(&theirs), Deadline::NEVER);
///     drop(work);
///     outcome
/// });
/// asked.cancel();
/// token.wait_idle(Deadline::NEVER)?;
/// assert_eq!(thread.join().expect("no panic").unwrap_err().code(), Code::Cancelled);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Shared>);

/// * `flag`  – set once, by `cancel`.
/// * `asked` – failed once, after that.
/// * `begun`, `over` – works that began, and that are numbered as over; they only rise.
/// * `ended` – its value is the highest number that was signalled; all works up to it are over.
struct Shared {
    flag: AtomicBool,
    asked: Arc<Semaphore>,
    begun: AtomicU64,
    over: AtomicU64,
    ended: Semaphore,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            flag: AtomicBool::new(false),
            asked: Arc::new(Semaphore::new(0)),
            begun: AtomicU64::new(0),
            over: AtomicU64::new(0),
            ended: Semaphore::new(0),
        }
    }
}

impl Drop for Shared {
    /// Nobody can cancel any more: what still waits for that is told so, and goes.
    fn drop(&mut self) {
        // Refused after a cancel, when nobody is left to be told.
        drop(self.asked.signal(NEVER));
    }
}

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Asks everything that carries this token to end. Returns at once; [`CancelToken::wait_idle`] waits for the end.
    /// Work that waits is told on this thread.
    pub fn cancel(&self) {
        // Rule 1. Relaxed: the failure, which comes after it, orders it for those who register; loops look again.
        self.0.flag.store(true, Ordering::Relaxed);
        self.0.asked.fail(CancelToken::status());
    }

    /// Whether somebody has cancelled.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::Relaxed)
    }

    /// What [`CancelToken::is_cancelled`] looks at, for loops. To be read.
    #[inline]
    pub fn flag(&self) -> &AtomicBool {
        &self.0.flag
    }

    /// What work ends with that was asked to.
    #[cold]
    pub fn status() -> Status {
        Status::new(Code::Cancelled, "the call was cancelled")
    }

    /// Why work has failed: if its token was cancelled that is the reason, and what it met then a consequence, such as
    /// memory that went back already.
    #[cold]
    pub fn cause(cancel: Option<&CancelToken>, failure: Status) -> Status {
        match cancel {
            Some(token) if token.is_cancelled() && failure.code() != Code::Cancelled => {
                Status::new(Code::Cancelled, format!("the call was cancelled; then: {failure}"))
            }
            _ => failure,
        }
    }

    /// CANCELLED if somebody has cancelled.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(CancelToken::status()) } else { Ok(()) }
    }

    /// Calls `callback` once when somebody cancels, on that thread; at once, on this one, if somebody did so before. It
    /// may do what a callback of [`Semaphore::on_reached`] may. Never called, it is dropped with the last clone of the
    /// token, or when the timepoint is cancelled.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Timepoint {
        self.0.asked.on_reached(NEVER, move |outcome| {
            // Reached: the token is gone.
            if outcome.is_err() {
                callback();
            }
        })
    }

    /// Sleeps until somebody cancels: CANCELLED, or DEADLINE_EXCEEDED if the deadline passes first.
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        self.0.asked.wait(NEVER, deadline)
    }

    /// Counts work that carries this token, until the guard is dropped.
    #[inline]
    pub fn work(&self) -> CancelWork {
        // Relaxed: whoever has to see it was told of the work through something stronger.
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        CancelWork(self.clone())
    }

    /// Blocks until no work carries this token. DEADLINE_EXCEEDED if that takes longer. It cancels nothing.
    pub fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        let mut begun = self.0.begun.load(Ordering::Relaxed);
        loop {
            self.0.ended.wait(begun, deadline)?;
            // Rule 3. Acquired by the wait: what was begun by work that is over is seen here.
            let now = self.0.begun.load(Ordering::Relaxed);
            if now == begun {
                return Ok(());
            }
            begun = now;
        }
    }

    /// How many works carry the token. Others may begin and end meanwhile.
    pub fn work_count(&self) -> u64 {
        let over = self.0.over.load(Ordering::Acquire);
        self.0.begun.load(Ordering::Relaxed).saturating_sub(over)
    }

    /// The point that is never reached.
    pub(crate) fn point(&self) -> (&Semaphore, u64) {
        (&self.0.asked, NEVER)
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .field("works", &self.work_count())
            .finish()
    }
}

/// Work that carries a token, from [`CancelToken::work`]. Dropped when nothing of it is left.
#[must_use = "the work is over when this is dropped"]
pub struct CancelWork(CancelToken);

impl CancelWork {
    /// The token that it carries.
    #[inline]
    pub fn token(&self) -> &CancelToken {
        &self.0
    }
}

impl Drop for CancelWork {
    fn drop(&mut self) {
        let shared = &self.0.0;
        // AcqRel: whoever signals a number passes on what all works before it did, and what they began.
        let number = shared.over.fetch_add(1, Ordering::AcqRel) + 1;
        // Rule 2: refused if a later number was signalled meanwhile.
        drop(shared.ended.signal(number));
    }
}

impl fmt::Debug for CancelWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelWork").field(&self.0).finish()
    }
}

/// As [`wait_all`](crate::wait_all), and CANCELLED once the token is cancelled, also if that was before the wait.
#[inline]
pub fn wait_all_unless(points: &[Point], cancel: Option<&CancelToken>, deadline: Deadline) -> Result<()> {
    match cancel {
        None => crate::wait_all(points, deadline),
        Some(token) => checked_wait(points, false, token, deadline).map(drop),
    }
}

/// As [`wait_any`](crate::wait_any), and CANCELLED once the token is cancelled, also if that was before the wait.
#[inline]
pub fn wait_any_unless(points: &[Point], cancel: Option<&CancelToken>, deadline: Deadline) -> Result<usize> {
    match cancel {
        None => crate::wait_any(points, deadline),
        Some(token) => checked_wait(points, true, token, deadline),
    }
}

#[inline(never)]
fn checked_wait(points: &[Point], for_any: bool, token: &CancelToken, deadline: Deadline) -> Result<usize> {
    token.check()?;
    wait_unless(points, for_any, token, deadline)
}
