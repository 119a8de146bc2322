//! Blocking on one or several timelines.
//!
//! What lives here: [`wait_all`], [`wait_any`] and the ways to name what is waited for. What does not: the sleep
//! itself (`sleeper.rs`).
//!
//! A wait looks first, and most end there. Else it registers one note with each timeline that is behind, sleeps,
//! and takes the remaining notes back. Up to eight entries it allocates nothing of its own. Before it registers it may
//! look again for a while, if it was told to ([`Idle`]). A wait that a token ends has one note more, with the token.

use crate::atomic::{spin_loop, yield_now};
use crate::cancel::CancelToken;
use crate::dispatch::is_inside_callback;
use crate::gather::on_all_reached;
use crate::lending::{self, Lender};
use crate::pending::Action;
use crate::semaphore::{Registration, Semaphore};
use crate::sleeper::{Sleeper, Wake};
use crate::{Code, Deadline, Instant, Result, Status, bail};
use std::sync::Arc;
use std::time::Duration;

/// Entries that a wait holds on its stack.
const ENTRIES_INLINE: usize = 8;

/// For how long [`Idle::Yield`] looks again and again: a hand-over between two running threads takes less, and falling
/// asleep takes more.
const YIELD_TIME: Duration = Duration::from_nanos(500);

/// Looks between two questions for the time, and between two offers of the processor to other threads.
const LOOKS_PER_PAUSE: u32 = 32;

/// How a thread passes the time while it waits.
///
/// Spinning pays when what is waited for comes from a thread that runs, within a microsecond; it costs a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Sleep at once.
    #[default]
    Block,
    /// Look again and again for about 500 ns, then sleep.
    Yield,
    /// Look again and again to the end.
    Active,
}

/// A point on a timeline: this semaphore at this value.
#[derive(Clone, Debug)]
pub struct Point {
    /// The timeline.
    pub semaphore: Arc<Semaphore>,
    /// The value on it.
    pub value: u64,
}

/// Anything that names a point on a timeline: [`Point`], `(&Arc<Semaphore>, u64)`, `(&Semaphore, u64)`, …
pub trait AsPoint {
    /// The timeline and the value on it.
    fn as_point(&self) -> (&Semaphore, u64);
}

impl AsPoint for Point {
    fn as_point(&self) -> (&Semaphore, u64) {
        (&self.semaphore, self.value)
    }
}

impl<S: AsRef<Semaphore>> AsPoint for (S, u64) {
    fn as_point(&self) -> (&Semaphore, u64) {
        (self.0.as_ref(), self.1)
    }
}

impl<P: AsPoint + ?Sized> AsPoint for &P {
    fn as_point(&self) -> (&Semaphore, u64) {
        (**self).as_point()
    }
}

/// Blocks until every point is reached. An empty list is reached at once.
///
/// The failure of any of the semaphores ends the wait with that failure, also if it came before the wait.
/// `DEADLINE_EXCEEDED` if the deadline passes first. When it returns, nothing of it is left registered.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Code, Deadline, Semaphore, wait_all};
/// let (first, second) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
/// let late = wait_all(&[(&first, 1), (&second, 1)], Deadline::IMMEDIATE);
/// assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
/// second.signal(1)?;
/// wait_all(&[(&first, 1), (&second, 1)], Deadline::IMMEDIATE)?;
/// # weft_sync::Result::Ok(())
/// ```
#[inline]
pub fn wait_all<P: AsPoint>(points: &[P], deadline: Deadline) -> Result<()> {
    wait_all_with(points, deadline, Idle::Block)
}

/// As [`wait_all`], and says how the thread passes the time.
#[inline]
pub fn wait_all_with<P: AsPoint>(points: &[P], deadline: Deadline, idle: Idle) -> Result<()> {
    if look_for_all(points)? {
        return Ok(());
    }
    pass_the_time(points, Mode::All, deadline, idle).map(|_| ())
}

/// Blocks until one of the points is reached and returns its index: the lowest one if several are reached when
/// the wait begins. An empty list is met at once; its index is 0 and names nothing.
///
/// A point that is reached wins over a failure that is found in the same look; else the failure of any of the
/// semaphores ends the wait with that failure. `DEADLINE_EXCEEDED` if the deadline passes first. When it returns,
/// nothing of it is left registered.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Deadline, Semaphore, wait_any};
/// let (first, second) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(1)));
/// assert_eq!(wait_any(&[(&first, 1), (&second, 1)], Deadline::NEVER)?, 1);
/// # weft_sync::Result::Ok(())
/// ```
pub fn wait_any<P: AsPoint>(points: &[P], deadline: Deadline) -> Result<usize> {
    wait_any_with(points, deadline, Idle::Block)
}

/// As [`wait_any`], and says how the thread passes the time.
pub fn wait_any_with<P: AsPoint>(points: &[P], deadline: Deadline, idle: Idle) -> Result<usize> {
    if let Some(index) = look_for_any(points)? {
        return Ok(index);
    }
    pass_the_time(points, Mode::Any, deadline, idle)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Any,
}

#[inline]
fn look_for_all<P: AsPoint>(points: &[P]) -> Result<bool> {
    let mut all = true;
    // To the end, even past a point that is behind: a later one may have failed.
    for point in points {
        let (semaphore, value) = point.as_point();
        all &= semaphore.is_reached(value).map_err(|status| awaiting(status, value))?;
    }
    Ok(all)
}

fn look_for_any<P: AsPoint>(points: &[P]) -> Result<Option<usize>> {
    if points.is_empty() {
        return Ok(Some(0));
    }
    let mut failure = None;
    for (index, point) in points.iter().enumerate() {
        let (semaphore, value) = point.as_point();
        match semaphore.is_reached(value) {
            Ok(true) => return Ok(Some(index)),
            Ok(false) => {}
            Err(status) => {
                failure.get_or_insert_with(|| awaiting(status, value));
            }
        }
    }
    failure.map_or(Ok(None), Err)
}

fn look<P: AsPoint>(points: &[P], mode: Mode) -> Result<Option<usize>> {
    match mode {
        Mode::All => Ok(look_for_all(points)?.then_some(0)),
        Mode::Any => look_for_any(points),
    }
}

/// The path of a wait that was not met at the first look.
#[cold]
fn pass_the_time<P: AsPoint>(points: &[P], mode: Mode, deadline: Deadline, idle: Idle) -> Result<usize> {
    may_block(deadline)?;
    let spin_until = match idle {
        Idle::Block => return lend_or_block(points, mode, deadline),
        Idle::Yield => deadline.min(Deadline::after(YIELD_TIME)),
        Idle::Active => deadline,
    };
    match spin(points, mode, spin_until)? {
        Some(index) => Ok(index),
        None if spin_until == deadline => Err(expired()),
        None => block(points, mode, deadline, None),
    }
}

fn may_block(deadline: Deadline) -> Result<()> {
    if deadline.is_immediate() {
        return Err(expired());
    }
    if is_inside_callback() {
        bail!(
            FailedPrecondition,
            "a timepoint callback may not block; it would have to wait for a semaphore"
        );
    }
    Ok(())
}

/// The waits that a token ends, which has not been cancelled at the first look.
pub(crate) fn wait_unless(
    points: &[Point],
    for_any: bool,
    cancel: &CancelToken,
    deadline: Deadline,
) -> Result<usize> {
    let mode = if for_any { Mode::Any } else { Mode::All };
    if let Some(index) = look(points, mode)? {
        return Ok(index);
    }
    may_block(deadline)?;
    if let Some(lender) = lending::current() {
        if mode == Mode::All && deadline.remaining().is_none() && lend_unless(points, cancel, &*lender) {
            if let Some(index) = look(points, mode)? {
                return Ok(index);
            }
            cancel.check()?;
        }
        lender.before_sleep();
    }
    block(points, mode, deadline, Some(cancel.point()))
}

/// Lenders know points that are reached, and that fail: one says here what becomes of all of these, or of the token.
fn lend_unless(points: &[Point], cancel: &CancelToken, lender: &dyn Lender) -> bool {
    let over = Arc::new(Semaphore::new(0));
    let (reached, asked) = (Arc::clone(&over), Arc::clone(&over));
    let gathering = on_all_reached(points, move |outcome| match outcome {
        // Refused if the token was faster.
        Ok(()) => drop(reached.signal(1)),
        Err(status) => reached.fail(status),
    });
    let timepoint = cancel.on_cancel(move || asked.fail(CancelToken::status()));
    let lent = lender.use_until(&[(&over, 1)]);
    gathering.cancel();
    timepoint.cancel();
    lent
}

/// Looks until the wait is met or the deadline has passed.
fn spin<P: AsPoint>(points: &[P], mode: Mode, deadline: Deadline) -> Result<Option<usize>> {
    let limit = deadline.remaining().and_then(|left| Instant::now().checked_add(left));
    loop {
        for _ in 0..LOOKS_PER_PAUSE {
            if let Some(index) = look(points, mode)? {
                return Ok(Some(index));
            }
            spin_loop();
        }
        if limit.is_some_and(|limit| Instant::now() >= limit) {
            // Once more: the value may have come while the clock was read.
            return look(points, mode);
        }
        // With more threads than processors, the one that is waited for may need this one.
        yield_now();
    }
}

/// Blocks, unless somebody can use the thread meanwhile.
fn lend_or_block<P: AsPoint>(points: &[P], mode: Mode, deadline: Deadline) -> Result<usize> {
    if let Some(lender) = lending::current() {
        if mode == Mode::All && deadline.remaining().is_none() && lend(points, &*lender) {
            // Reached, or failed: then this look says with what.
            if let Some(index) = look(points, mode)? {
                return Ok(index);
            }
        }
        lender.before_sleep();
    }
    block(points, mode, deadline, None)
}

fn lend<P: AsPoint>(points: &[P], lender: &dyn Lender) -> bool {
    match points.len() {
        0 => true,
        count if count <= ENTRIES_INLINE => {
            let list: [_; ENTRIES_INLINE] =
                std::array::from_fn(|index| points[index.min(count - 1)].as_point());
            lender.use_until(&list[..count])
        }
        _ => lender.use_until(&points.iter().map(AsPoint::as_point).collect::<Vec<_>>()),
    }
}

/// What ends a wait by failing: never reached, and no entry.
type Veto<'a> = Option<(&'a Semaphore, u64)>;

fn block<P: AsPoint>(points: &[P], mode: Mode, deadline: Deadline, veto: Veto<'_>) -> Result<usize> {
    if points.len() <= ENTRIES_INLINE {
        block_with(points, &mut [None; ENTRIES_INLINE][..points.len()], mode, deadline, veto)
    } else {
        block_with(points, &mut vec![None; points.len()], mode, deadline, veto)
    }
}

/// Registers, sleeps, takes back. `tickets` has an entry for each point: `Some` while a note may be registered.
fn block_with<P: AsPoint>(
    points: &[P],
    tickets: &mut [Option<u64>],
    mode: Mode,
    deadline: Deadline,
    veto: Veto<'_>,
) -> Result<usize> {
    let sleeper = Sleeper::current();
    let epoch = sleeper.begin(if mode == Mode::All { points.len() } else { 1 });
    for (index, (point, ticket)) in points.iter().zip(tickets.iter_mut()).enumerate() {
        let (semaphore, value) = point.as_point();
        let wake = Wake { sleeper: Arc::clone(&sleeper), epoch, index };
        match semaphore.register(value, Action::Wake(wake)) {
            Registration::Pending(registered) => *ticket = Some(registered),
            Registration::Known(outcome, _) => {
                // The rest need not be asked once the wait is decided: all mode by a failure, any mode by a
                // point that is reached (there a failure is not yet the last word).
                let decided = outcome.is_ok() == (mode == Mode::Any);
                sleeper.report(epoch, index, outcome);
                if decided {
                    break;
                }
            }
        }
    }
    let veto_ticket = veto.and_then(|(semaphore, value)| {
        let wake = Wake { sleeper: Arc::clone(&sleeper), epoch, index: points.len() };
        match semaphore.register(value, Action::Wake(wake)) {
            Registration::Pending(ticket) => Some(ticket),
            Registration::Known(outcome, _) => {
                sleeper.report(epoch, points.len(), outcome);
                None
            }
        }
    });
    sleeper.sleep(deadline);
    let outcome = sleeper.end();
    if let (Some((semaphore, value)), Some(ticket)) = (veto, veto_ticket) {
        semaphore.unregister(value, ticket);
    }
    if !(mode == Mode::All && outcome.missing == 0) {
        take_back(points, tickets);
    }
    match (mode, outcome.first_reached, outcome.failure) {
        (Mode::Any, Some(index), _) => Ok(index),
        (_, _, Some((index, status))) => Err(match points.get(index) {
            Some(point) => awaiting(status, point.as_point().1),
            None => status,
        }),
        (Mode::All, _, None) if outcome.missing == 0 => Ok(0),
        // A value may have been reached whose signal has not got round to this thread.
        _ => look(points, mode)?.ok_or_else(expired),
    }
}

fn take_back<P: AsPoint>(points: &[P], tickets: &[Option<u64>]) {
    for (point, ticket) in points.iter().zip(tickets) {
        if let Some(ticket) = *ticket {
            let (semaphore, value) = point.as_point();
            semaphore.unregister(value, ticket);
        }
    }
}

#[cold]
fn awaiting(status: Status, value: u64) -> Status {
    status.while_doing(format!("waiting for a semaphore to reach {value}"))
}

#[cold]
fn expired() -> Status {
    Status::new(Code::DeadlineExceeded, "the deadline passed before the awaited values were reached")
}
