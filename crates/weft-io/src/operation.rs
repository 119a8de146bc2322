//! Operations as their owner sees them.
//!
//! What lives here: [`Operation`], [`Done`], [`Refused`], [`Ticket`], [`Params`]. What does not: the memory behind it
//! (`record.rs`), the kinds (`ops`), submission (`handle.rs`).
//!
//! 1. **The caller owns an operation, allocated once.** `submit` takes it; a refused submission and the completion give it
//!    back. In between nobody but the proactor and the kernel can reach it, so it cannot be freed, moved or changed while
//!    the kernel uses it, whatever the caller leaks or drops.
//! 2. **It ends exactly once**: with a value, with a failure, or with `CANCELLED`. Then its callback is called, on the
//!    poll thread, and owns it.
//! 3. **What it works on moves with it**: events, semaphores, words, buffers are part of the parameters.
//! 4. Whoever wants to cancel keeps the [`Ticket`]. It names one use of one slot, so it cannot reach another operation.

use crate::Capabilities;
use crate::ops::outcome::{Answer, Lane, Onward};
use crate::ops::{Body, Kind};
use crate::record::{Erased, Record};
use crate::table::Key;
use std::fmt;
use std::ops::{Deref, DerefMut};
use weft_sync::{Result, Status};

/// The parameters of one kind of operation. Implemented by the types of [`ops`](crate::ops) and by no others.
pub trait Params: sealed::Lower + Sized + Send + 'static {
    /// What an operation of this kind ends with if it does not fail.
    type Output: Send + 'static;

    /// What the number that it ended with stands for. The proactor's business.
    #[doc(hidden)]
    fn output(&mut self, value: i64) -> Self::Output;
}

/// What the proactor asks of parameters.
pub(crate) mod sealed {
    use super::{Answer, Body, Capabilities, Kind, Lane, Onward, Result, Status};

    pub trait Lower {
        const KIND: Kind;

        /// Whether this may be submitted at all; called by `submit` before anything happens.
        ///
        /// A step is prepared once more when it starts, if it may have been changed: what was taken stays, if it fits.
        fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
            Ok(())
        }

        /// Gives up what was taken in `prepare`: the operation has ended, or comes back without having started. May be
        /// called more often.
        fn release(&mut self) {}

        /// What is to be done.
        fn body(&mut self) -> Body<'_>;

        /// The direction of a socket that it waits in; every kind that [`Kind::is_transfer`] has one.
        fn lane(&self) -> Option<Lane> {
            None
        }

        /// Gives the system a reason to let go of its memory, beside a cancel: whoever asked does not wait for the other
        /// side. The backend may have it.
        fn let_go(&self) {}

        /// Why it must not begin, although its turn has come.
        fn obstacle(&self) -> Option<Status> {
            None
        }

        /// What the backend's answer means to one that has a lane, and how it goes on. Called for each answer, also those
        /// that are not the last; the answer may be changed.
        fn settle(&mut self, _answer: &mut Answer, _is_cancelled: bool) -> Onward {
            Onward::End
        }

        /// One of several results, after `settle` has said so. Calls what the user gave.
        fn shot(&mut self, _value: i64) {}

        /// The proactor that alone can carry it out.
        fn proactor(&self) -> Option<u32> {
            None
        }

        /// It has ended without a value.
        fn miss(&mut self, _why: &Status) {}

        /// Takes what the number that it ended with owns: a handle that was opened must not be lost, whoever asks for the
        /// output, and whether anybody does. Called once after each end of a kind that [`Kind::gives_handle`], before
        /// `output`; a failure is that of the operation.
        fn keep(&mut self, _value: i64) -> Result<()> {
            Ok(())
        }
    }
}

/// An operation that is not under way: parameters, a callback, and the memory for everything in between.
///
/// Making one allocates; submitting, completing and submitting again does not.
///
/// ```
/// use weft_io::{Operation, ops::Timer};
/// use weft_sync::Deadline;
/// let mut operation = Operation::new(Timer { deadline: Deadline::IMMEDIATE });
/// operation.deadline = Deadline::NEVER;
/// assert_eq!(operation.into_params().deadline, Deadline::NEVER);
/// ```
///
/// It is not to be had while it is under way:
///
/// ```compile_fail,E0382
/// use weft_io::{Config, Operation, ops::Timer, open_null};
/// use weft_sync::Deadline;
/// let proactor = open_null(&Config::new());
/// let mut operation = Operation::new(Timer { deadline: Deadline::NEVER });
/// proactor.handle().submit(operation).unwrap();
/// operation.deadline = Deadline::IMMEDIATE; // moved
/// ```
///
/// and it borrows nothing that could go away meanwhile:
///
/// ```compile_fail,E0597
/// use weft_io::{Config, Operation, ops::Nop, open_null};
/// let proactor = open_null(&Config::new());
/// let mut count = 0;
/// let operation = Operation::new(Nop).on_done(|_| count += 1);
/// proactor.handle().submit(operation).unwrap();
/// ```
pub struct Operation<P: Params>(Box<Record<P>>);

impl<P: Params> Operation<P> {
    /// An operation without a callback: it ends in silence.
    pub fn new(params: P) -> Operation<P> {
        Operation(Record::new(params))
    }

    /// Calls `callback` on the poll thread when the operation has ended. One that was set before is dropped. A closure
    /// that owns up to four words is kept without an allocation.
    ///
    /// The callback may submit, also the very operation that it gets back, cancel, signal, and drop anything. It may not
    /// block.
    #[must_use]
    pub fn on_done(mut self, callback: impl FnOnce(Done<P>) + Send + 'static) -> Operation<P> {
        self.0.callback.set(callback);
        self
    }

    /// The parameters alone.
    pub fn into_params(self) -> P {
        self.0.params
    }

    /// Hands a refused one to its callback, as if it had ended.
    pub(crate) fn end_refused(mut done: Done<P>) {
        let callback = done.operation.0.callback.take();
        callback.call(done);
    }

    pub(crate) fn from_record(record: Box<Record<P>>) -> Operation<P> {
        Operation(record)
    }

    pub(crate) fn erase(self) -> Erased {
        Erased::erase(self.0)
    }
}

impl<P: Params> From<P> for Operation<P> {
    fn from(params: P) -> Operation<P> {
        Operation::new(params)
    }
}

impl<P: Params> Deref for Operation<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0.params
    }
}

impl<P: Params> DerefMut for Operation<P> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.0.params
    }
}

impl<P: Params> fmt::Debug for Operation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({:?})", P::KIND)
    }
}

/// An operation that has ended, and how.
#[must_use = "the operation and what it owns come back here"]
pub struct Done<P: Params> {
    /// The operation, ready to be submitted again. Its callback is gone: it has been called.
    pub operation: Operation<P>,
    /// The value, the failure, or `CANCELLED`.
    pub result: Result<P::Output>,
}

impl<P: Params> fmt::Debug for Done<P>
where
    P::Output: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("operation", &self.operation).field("result", &self.result).finish()
    }
}

/// An operation that was not accepted, whole, with its callback, and why. Nothing has happened.
#[must_use = "the operation comes back here"]
pub struct Refused<P: Params> {
    /// `RESOURCE_EXHAUSTED`: poll, then try the same again. `ABORTED`: the proactor is gone. Others: the parameters.
    pub why: Status,
    /// What was to be submitted.
    pub operation: Operation<P>,
}

impl<P: Params> fmt::Debug for Refused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?}, {})", self.operation, self.why)
    }
}

/// Names an operation that was submitted, for [`Handle::cancel`](crate::Handle::cancel).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) proactor: u32,
    pub(crate) key: Key,
}
