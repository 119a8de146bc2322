//! The submission contract: what an operation waits for, what it signals, and how failures travel.
//!
//! 1. An operation begins after all its waits are reached and signals all its points after its effects are visible.
//! 2. Operations without a semaphore path between them have no order.
//! 3. Errors in the arguments are returned and leave the signals untouched.
//! 4. A failed wait fails all signals with the same status, without doing the work; the call itself succeeds.
//! 5. A failure of the work fails all signals with its status. Devices that work inside the call also return it.
//! 6. **A cancelled submission** fails its signals with CANCELLED: at once while it waits, else where it can be stopped
//!    (dispatches at the next workgroup, transfers of files when the system has let go of the memory, what is about to begin
//!    when it would). What was done stays done. Deallocations give the memory back all the same, at once: what uses it is
//!    the same call's, and what runs has it pinned. An operation that was over stays as it is.
//!
//! What lives here: [`Submission`], the flags of queue operations, host calls, and the one place where rules 1, 4 and 5
//! are put into practice for devices that work inside the call. The operations are methods of `Device`.

use std::sync::Arc;

use weft_sync::{CancelToken, Deadline, Point, Result, Status, WhileDoing, wait_all_unless};

use crate::allocator::Allocator;
use crate::buffer::{Buffer, BufferMetadata, BufferRange, DeviceId};
use crate::fence::{Fence, fail_all, signal_all};
use crate::host_block::HostBlock;
use crate::mask_text::mask;
use crate::memory::{BufferParams, QueueAffinity};
use crate::pool::Pool;

mask! {
    /// How a queue allocation behaves.
    pub struct AllocaFlags: u64, "alloca flag" {
        combined {}
        single {
            /// Nobody promises to deallocate it on a queue.
            INDETERMINATE_LIFETIME = 1;
            /// May wait until memory that is being freed is free.
            ALLOW_POOL_WAIT_FRONTIER = 2;
        }
    }
}

mask! {
    /// How a queue deallocation behaves.
    pub struct DeallocaFlags: u64, "dealloca flag" {
        combined {}
        single {
            /// Run where the buffer was allocated, whatever the affinity.
            PREFER_ORIGIN = 1;
        }
    }
}

mask! {
    /// How a host call behaves.
    pub struct HostCallFlags: u64, "host call flag" {
        combined {}
        single {
            /// Signals fire before the call, whose result is ignored.
            NON_BLOCKING = 1;
            /// A hint: spin rather than sleep.
            WAIT_ACTIVE = 2;
            /// A hint: the call may be late.
            RELAXED = 4;
        }
    }
}

mask! {
    /// How an execution behaves.
    pub struct ExecuteFlags: u64, "execute flag" {
        combined {}
        single {
            /// The caller keeps the table's buffers alive until the signals fire.
            BORROW_BINDING_TABLE_LIFETIME = 1;
        }
    }
}

/// The buffer that a queue allocation makes.
#[derive(Clone, Copy, Debug)]
pub struct Alloca<'a> {
    /// Where the memory comes from; `None`: wherever the device likes.
    pub pool: Option<&'a Arc<Pool>>,
    /// How it behaves.
    pub flags: AllocaFlags,
    /// Completed and adjusted.
    pub params: BufferParams,
    /// Final.
    pub metadata: BufferMetadata,
    /// Bytes.
    pub size: u64,
}

impl Alloca<'_> {
    /// The memory, on a thread that may wait until some comes back to the pool, or the token is cancelled.
    pub fn allocate(&self, allocator: &Allocator, cancel: Option<&CancelToken>) -> Result<HostBlock> {
        let allocate = || {
            let Some(pool) = self.pool else { return allocator.allocate_block(&self.params, self.size) };
            let (size, alignment) = (self.size.max(1), self.params.alignment_min);
            let block = pool.allocate_unless(size, alignment, cancel, Deadline::NEVER)?;
            Ok(block.into_host_block())
        };
        allocate().while_doing(|| "allocating on a queue")
    }
}

/// A range whose memory is being made present, step by step: see [`Device::queue_prefault`](crate::Device::queue_prefault).
pub struct Prefault {
    buffer: Arc<Buffer>,
    /// Where the next step begins.
    next: usize,
    end: usize,
}

impl Prefault {
    /// Nothing is done yet.
    pub fn new(range: &BufferRange<'_>) -> Prefault {
        let (next, end) = (range.offset as usize, range.offset.saturating_add(range.length) as usize);
        Prefault { buffer: range.buffer.retain(), next, end }
    }

    /// A step of some milliseconds at most; false after the last. FAILED_PRECONDITION if the buffer has no memory.
    pub fn step(&mut self, allocator: &Allocator) -> Result<bool> {
        let memory = self.buffer.pin().while_doing(|| "making memory present")?;
        if !self.buffer.is_untouched() {
            return Ok(false);
        }
        self.next = allocator.prefault(&memory, self.next..self.end);
        Ok(self.next < self.end)
    }
}

/// Where an operation runs, what it waits for and what it signals.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Queues that may run it. In calls to a [`DeviceBackend`](crate::DeviceBackend): exactly one bit.
    pub affinity: QueueAffinity,
    /// All of these are reached before it begins.
    pub wait: &'a [Point],
    /// All of these are signalled after it is done.
    pub signal: &'a [Point],
    /// Ends it before its time (rule 6).
    pub cancel: Option<&'a CancelToken>,
}

impl<'a> Submission<'a> {
    /// On any queue, after nothing, telling nobody.
    pub const IMMEDIATE: Submission<'static> =
        Submission { affinity: QueueAffinity::ANY, wait: &[], signal: &[], cancel: None };

    /// On any queue, between two fences, either of which may be missing.
    pub fn between(wait: Option<&'a Fence>, signal: Option<&'a Fence>) -> Submission<'a> {
        Submission {
            affinity: QueueAffinity::ANY,
            wait: Fence::points_of(wait),
            signal: Fence::points_of(signal),
            cancel: None,
        }
    }

    /// The same, ended by this token, if there is one.
    #[must_use]
    pub fn cancelled_by(mut self, token: Option<&'a CancelToken>) -> Submission<'a> {
        self.cancel = token;
        self
    }

    /// The same on these queues.
    #[must_use]
    pub fn on(mut self, affinity: QueueAffinity) -> Submission<'a> {
        self.affinity = affinity;
        self
    }

    /// Its token was cancelled.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(CancelToken::is_cancelled)
    }

    /// Runs `work` on the calling thread by rules 1, 4 and 5. `Ok(None)` if a wait failed, so that nothing was done.
    #[inline]
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if let Err(status) = self.wait_here() {
            fail_all(self.signal, status);
            return Ok(None);
        }
        let outcome = work().and_then(|value| signal_all(self.signal).map(|()| value));
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(status) => Err(self.fail(status)),
        }
    }

    /// Waits on the calling thread, until all is reached, something fails, or the token is cancelled.
    #[inline]
    pub fn wait_here(&self) -> Result<()> {
        wait_all_unless(self.wait, self.cancel, Deadline::NEVER)
    }

    /// Takes the memory of a buffer whose deallocation was claimed, on the calling thread. If a wait fails the buffer stays
    /// usable and may be deallocated later; but the memory of a cancelled call goes back at once.
    pub fn run_dealloca(&self, buffer: &Buffer) -> Result<()> {
        let done = self.run(|| {
            buffer.decommit();
            Ok(())
        });
        if !matches!(done, Ok(Some(()))) && buffer.is_committed() {
            if self.is_cancelled() { buffer.decommit() } else { buffer.withdraw_dealloca() }
        }
        done.map(drop)
    }

    /// Makes a transient buffer on the calling thread: committed, or never to be if a wait failed.
    pub fn run_alloca(&self, allocator: &Allocator, alloca: &Alloca<'_>) -> Result<Arc<Buffer>> {
        let block = self.run(|| alloca.allocate(allocator, self.cancel))?;
        Ok(Buffer::transient(alloca.metadata, alloca.size, block))
    }

    #[cold]
    fn fail(&self, status: Status) -> Status {
        let status = CancelToken::cause(self.cancel, status);
        fail_all(self.signal, status.clone());
        status
    }
}

/// What a host function is told. The signals are only lent for the call; clone them to answer later.
#[derive(Clone, Copy, Debug)]
pub struct HostCallContext<'a> {
    /// The device that calls.
    pub device: DeviceId,
    /// The queue that calls, one bit.
    pub affinity: QueueAffinity,
    /// What is signalled after the call; empty for NON_BLOCKING calls.
    pub signal: &'a [Point],
}

/// How a host function ended without failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum HostCallEnd {
    /// The device signals.
    Done,
    /// The function took the signals over and will signal or fail them itself.
    Deferred,
}

/// What a host call runs.
pub type HostFunction = dyn FnOnce(&HostCallContext<'_>, [u64; 4]) -> Result<HostCallEnd> + Send;

/// A function to be called in queue order.
///
/// While it runs it holds the thread that runs it: on local-task a worker. A function that waits for other operations of
/// the device needs another worker, or a thread that lends itself, to run those; as many such calls at once as there are
/// workers never end. Such a function returns [`HostCallEnd::Deferred`] and signals later, or waits on a thread of its own.
pub struct HostCall {
    /// What to call.
    pub function: Box<HostFunction>,
    /// Passed through unchanged.
    pub arguments: [u64; 4],
    /// How it behaves.
    pub flags: HostCallFlags,
}

impl HostCall {
    /// Makes the call on this thread, between waits and signals.
    pub fn run(self, submission: &Submission<'_>, context: &HostCallContext<'_>) -> Result<()> {
        if self.flags.contains(HostCallFlags::NON_BLOCKING) {
            if submission.run(|| Ok(()))?.is_some() {
                // Nobody waits for the outcome any more.
                let _ = (self.function)(&HostCallContext { signal: &[], ..*context }, self.arguments);
            }
            return Ok(());
        }
        if let Err(status) = submission.wait_here() {
            fail_all(submission.signal, status);
            return Ok(());
        }
        let outcome = (self.function)(context, self.arguments).while_doing(|| "calling a host function");
        match outcome {
            // The callee signals, or has done so.
            Ok(HostCallEnd::Deferred) => Ok(()),
            Ok(HostCallEnd::Done) => signal_all(submission.signal).map_err(|status| submission.fail(status)),
            Err(status) => Err(submission.fail(status)),
        }
    }
}
