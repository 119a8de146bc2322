//! Operations that are awaited.
//!
//! What lives here: [`Handle::run`], its future [`Running`], [`Poller::block_on`]. What does not: how an operation that
//! has ended finds its future (`handoff.rs`).
//!
//! 1. **The proactor owns the operation while it is under way**, and the memory that it works on, whatever becomes of the
//!    future. A future that is dropped asks for a cancel; the operation is dropped when it has ended, or goes to the
//!    callback that it was given before. So it has one receiver: the future while there is one, then the callback. That
//!    holds for one that was refused, too.
//! 2. **No executor is needed, and any will do**: all that the future knows is its waker, which is woken on the poll thread.
//! 3. Awaiting allocates nothing beyond the operation, which comes back to be run again: the waker lies in its record.
//! 4. It starts when `run` is called, not when it is first awaited: several that are started together are under way
//!    together, in this order.

use crate::alarm::{self, Alarm, Run};
use crate::handle::Handle;
use crate::handoff::Where;
use crate::operation::{Done, Operation, Params, Refused, Ticket};
use crate::proactor::Poller;
use crate::record::Awaited;
use crate::shared::gone;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use weft_sync::{Deadline, Result};

/// An operation that was started by [`Handle::run`]. Awaited, it yields the operation and how it has ended.
///
/// Dropped earlier, it asks the operation to end. See [`Handle::run`].
#[must_use = "an operation whose future is dropped is cancelled"]
pub struct Running<'a, P: Params> {
    handle: &'a Handle,
    stage: Stage<P>,
}

enum Stage<P: Params> {
    UnderWay(Awaited<P>, Ticket),
    /// It was refused.
    Refused(Done<P>),
    Over,
}

impl Handle {
    /// Starts an operation now; the future yields it back with its result. A refusal is such a result, too.
    ///
    /// The future may be awaited in any executor, on any thread, while the proactor is polled wherever it is bound. Dropped
    /// before the end it asks for a cancel, and the operation, with all that it works on, stays with the proactor until
    /// it has ended. Then it is dropped on the poll thread, or handed to its callback, if it has one. (One that had ended
    /// before, unseen, or was refused goes there from the thread that drops the future.) While there is a future the
    /// callback is not called and stays with the operation.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weft_io::{Config, Event, Operation, open_any, ops::{EventWait, Timer}};
    /// use weft_sync::Deadline;
    /// let mut poller = open_any(&Config::new())?.into_poller()?;
    /// let (handle, event) = (poller.handle().clone(), Event::new()?);
    /// let mut timer = Operation::new(Timer { deadline: Deadline::after(Duration::from_millis(1)) });
    /// poller.block_on(async {
    ///     let set = handle.run(EventWait { event: event.clone() }); // Under way from here on.
    ///     timer = handle.run(timer).await.operation; // Ready to be run again.
    ///     event.set();
    ///     set.await.result
    /// })?
    /// # ; weft_sync::Result::Ok(())
    /// ```
    pub fn run<P: Params>(&self, operation: impl Into<Operation<P>>) -> Running<'_, P> {
        let stage = match self.admit(operation.into()) {
            Err(Refused { why, operation }) => Stage::Refused(Done { operation, result: Err(why) }),
            Ok((key, mut erased)) => {
                let shared = &*self.0;
                let awaited = erased.awaited().expect("of this type, and just accepted");
                shared.table.put(key.index, erased);
                if shared.show(key.index, key.index).is_err() {
                    let erased =
                        shared.table.take(key.index).expect("put by this thread, and shown to nobody");
                    shared.table.release(key.index);
                    erased.finish(Err(gone()));
                }
                Stage::UnderWay(awaited, Ticket { proactor: shared.id, key })
            }
        };
        Running { handle: self, stage }
    }
}

impl<P: Params> Running<'_, P> {
    /// Asks the operation to end. The future goes on: it yields `CANCELLED`, or what came first.
    pub fn cancel(&self) {
        if let Stage::UnderWay(_, ticket) = &self.stage {
            self.handle.cancel(*ticket).expect("the ticket is of this proactor");
        }
    }
}

impl<P: Params> Future for Running<'_, P> {
    type Output = Done<P>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done<P>> {
        let at = self.handle.0.home.place();
        if let Stage::UnderWay(awaited, _) = &mut self.stage {
            let waker = if at == Where::Home { alarm::local(context.waker()) } else { context.waker() };
            return match awaited.park(waker, at) {
                Some(done) => {
                    self.stage = Stage::Over;
                    Poll::Ready(done)
                }
                None => Poll::Pending,
            };
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Refused(done) => Poll::Ready(done),
            _ => panic!("an operation that has ended is not awaited again"),
        }
    }
}

/// Nothing in it is pinned: the operation lies in memory of its own.
impl<P: Params> Unpin for Running<'_, P> {}

impl<P: Params> Drop for Running<'_, P> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::UnderWay(mut awaited, ticket) => {
                if awaited.leave(self.handle.0.home.place()) {
                    self.handle.cancel(ticket).expect("the ticket is of this proactor");
                }
            }
            // Rule 1.
            Stage::Refused(done) => Operation::end_refused(done),
            Stage::Over => {}
        }
    }
}

impl<P: Params> fmt::Debug for Running<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({:?})", P::KIND)
    }
}

impl Poller {
    /// Polls until `future` has its value: what it awaits of this proactor, and whatever wakes it from elsewhere.
    ///
    /// An error is that of a poll, which did not get through to the system; the future is dropped then.
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output> {
        let mut future = pin!(future);
        let alarm = self.alarm.take().unwrap_or_else(|| Arc::new(Alarm::new(self.handle().clone())));
        let waker = Waker::from(Arc::clone(&alarm));
        let mut context = Context::from_waker(&waker);
        let run = Run::begin(&waker);
        let outcome = loop {
            // Both before the look: a wake after it is for the next one.
            if run.take() | alarm.take()
                && let Poll::Ready(value) = future.as_mut().poll(&mut context)
            {
                break Ok(value);
            }
            if let Err(why) = self.poll(Deadline::NEVER) {
                break Err(why);
            }
        };
        self.alarm = Some(alarm);
        outcome
    }
}
