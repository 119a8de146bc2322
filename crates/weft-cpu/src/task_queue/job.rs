//! What operations do when their time has come.
//!
//! What lives here: [`Job`], everything that an operation needs later, retained; and the bodies of the short ones, which
//! the device also calls directly. What does not: recordings (`execution.rs`), validation (`weft-hal`).
//!
//! Host calls, and transfers of files without a proactor, may take long. So each is a process of its own, and the control
//! process goes on; it holds the worker that runs it until it returns. A host call that waits for other operations needs
//! another worker, or a thread that lends itself, to run those: see [`HostCall`]. Transfers of a proactor hold nobody
//! (`transfer.rs`).

#![allow(unsafe_code, reason = "moves bytes between checked, pinned ranges")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use weft_hal::{
    Alloca, Allocator, BindingEntry, Buffer, BufferParams, BufferRange, Direction, File, HostBlock, HostCall,
    HostCallContext, HostCallEnd, HostCallFlags, Pattern, Pinned, Prefault, fill_bytes,
};
use weft_sync::atomic::{Mutex, lock};
use weft_sync::{CancelToken, Result, WhileDoing, bail};
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use super::pooled::PoolRequest;
use super::room::{Room, emptied, emptied_table};
use super::{Caller, Queue, Record, Ticket, TicketRef};
use crate::block::Blocks;

/// Bytes that are moved in less time than a hand-over takes.
const SHORT_BYTES_MAX: u64 = 16 * 1024;

/// A range that is retained.
pub(crate) struct OwnedRange {
    buffer: Arc<Buffer>,
    offset: u64,
    length: u64,
}

impl OwnedRange {
    pub(crate) fn new(range: &BufferRange<'_>) -> OwnedRange {
        OwnedRange { buffer: range.buffer.retain(), offset: range.offset, length: range.length }
    }

    fn borrow(&self) -> BufferRange<'_> {
        BufferRange { buffer: &self.buffer, offset: self.offset, length: self.length }
    }
}

/// An entry of a table that is retained.
pub(crate) struct OwnedEntry {
    buffer: Option<Arc<Buffer>>,
    offset: u64,
    length: u64,
}

impl OwnedEntry {
    fn borrow(&self) -> BindingEntry<'_> {
        BindingEntry { buffer: self.buffer.as_deref(), offset: self.offset, length: self.length }
    }
}

/// An allocation that is done later.
pub(crate) struct Request {
    pub(super) buffer: Arc<Buffer>,
    pub(super) allocator: Arc<Allocator>,
    params: BufferParams,
    size: u64,
}

impl Request {
    pub(crate) fn new(buffer: &Arc<Buffer>, allocator: &Arc<Allocator>, alloca: &Alloca<'_>) -> Request {
        let (buffer, allocator) = (Arc::clone(buffer), Arc::clone(allocator));
        Request { buffer, allocator, params: alloca.params, size: alloca.size }
    }

    pub(super) fn allocate(&self) -> Result<HostBlock> {
        self.allocator.allocate_block(&self.params, self.size).while_doing(|| "allocating on a queue")
    }
}

/// What is done later.
pub(crate) enum Job {
    Barrier,
    Alloca(Request),
    Pool(PoolRequest),
    Dealloca(Arc<Buffer>),
    Prefault(Prefault, Arc<Allocator>),
    Fill(OwnedRange, Pattern),
    Update(Vec<u8>, OwnedRange),
    Copy(OwnedRange, OwnedRange),
    Read(Arc<File>, u64, OwnedRange),
    Write(OwnedRange, Arc<File>, u64),
    Recording(Arc<Blocks>, Vec<OwnedEntry>),
    HostCall(HostCall, Caller),
}

impl Job {
    /// An update keeps what it is to write.
    pub(crate) fn update(room: &mut Room, source: &[u8], target: OwnedRange) -> Job {
        let mut bytes = std::mem::take(&mut room.bytes);
        bytes.extend_from_slice(source);
        Job::Update(bytes, target)
    }

    pub(crate) fn recording(room: &mut Room, blocks: Arc<Blocks>, table: &[BindingEntry<'_>]) -> Job {
        let mut entries = std::mem::take(&mut room.entries);
        entries.extend(table.iter().map(|entry| OwnedEntry {
            buffer: entry.buffer.map(Buffer::retain),
            offset: entry.offset,
            length: entry.length,
        }));
        Job::Recording(blocks, entries)
    }

    /// It takes no longer than handing it to another thread: moves few bytes, or only starts something.
    pub(super) fn is_short(&self) -> bool {
        match self {
            Job::Barrier | Job::Alloca(_) | Job::Dealloca(_) | Job::Recording(..) => true,
            Job::Fill(range, _) | Job::Update(_, range) | Job::Copy(range, _) => {
                range.length <= SHORT_BYTES_MAX
            }
            // Those of pools take locks that others hold for longer.
            Job::Prefault(..) | Job::Pool(_) | Job::Read(..) | Job::Write(..) | Job::HostCall(..) => false,
        }
    }

    /// The job will not be done. `for_good`: nor by anybody later, for the device closes, or the call was cancelled.
    pub(super) fn abandon(self, queue: &Queue, record: Option<&Record>, for_good: bool) {
        if let Job::Dealloca(buffer) = self {
            queue.give_up_dealloca(&buffer, record, for_good);
        }
    }

    /// Does it and says so. Leaves its own room in `room`; what it has no time for takes the content of the ticket along.
    pub(super) fn run(self, queue: &Queue, ticket: &mut Ticket, room: &mut Room) {
        if let Some(record) = &mut ticket.record
            && self.is_done_here()
        {
            record.begin(queue.worker());
        }
        let outcome = match self {
            Job::Barrier => Ok(()),
            Job::Alloca(request) => request
                .allocate()
                .and_then(|block| queue.give(&request.buffer, block, ticket.record.as_deref())),
            Job::Dealloca(buffer) => return queue.deallocate(&buffer, ticket.take_ref()),
            Job::Prefault(steps, allocator) => return queue.start_prefault(steps, allocator, ticket.take()),
            Job::Fill(target, pattern) => fill(&target.borrow(), pattern),
            Job::Update(mut bytes, target) => {
                let outcome = update(&bytes, &target.borrow());
                bytes.clear();
                room.bytes = bytes;
                outcome
            }
            Job::Copy(source, target) => copy(&source.borrow(), &target.borrow()),
            Job::Recording(blocks, entries) => {
                let mut table: Vec<BindingEntry<'_>> = std::mem::take(&mut room.table);
                table.extend(entries.iter().map(OwnedEntry::borrow));
                let outcome = queue.run_or_start(blocks, &table, ticket);
                room.table = emptied_table(table);
                room.entries = emptied(entries);
                match outcome {
                    Some(outcome) => outcome,
                    None => return,
                }
            }
            Job::Pool(request) => return queue.allocate(request, ticket.take()),
            #[cfg(unix)]
            Job::Read(file, offset, target) if file.is_polled() => {
                return queue.start_transfer(Direction::Read, &file, offset, &target.borrow(), ticket.take());
            }
            #[cfg(unix)]
            Job::Write(source, file, offset) if file.is_polled() => {
                return queue.start_transfer(
                    Direction::Write,
                    &file,
                    offset,
                    &source.borrow(),
                    ticket.take(),
                );
            }
            Job::Read(..) | Job::Write(..) | Job::HostCall(..) => {
                return queue.start_long(self, ticket.take());
            }
        };
        queue.end(ticket.take_ref(), outcome.err());
    }

    /// Its work is done by [`Job::run`] itself, and a profile may have an execution of it.
    fn is_done_here(&self) -> bool {
        matches!(self, Job::Barrier | Job::Fill(..) | Job::Update(..) | Job::Copy(..))
    }

    /// The body of the long ones. `Ok(false)`: somebody else signals.
    fn run_long(self, ticket: &mut Ticket, queue: &Queue) -> Result<bool> {
        match self {
            Job::Read(file, offset, target) => {
                read(&file, offset, &target.borrow(), ticket.cancel()).map(|()| true)
            }
            Job::Write(source, file, offset) => {
                write(&source.borrow(), &file, offset, ticket.cancel()).map(|()| true)
            }
            Job::HostCall(call, caller) => call_host(call, caller, ticket, queue),
            _ => Ok(true),
        }
    }
}

/// What blocks or takes long, as a process.
struct Long(Mutex<Option<(Job, Ticket, Arc<Queue>)>>);

impl Work for Long {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let taken = lock(&self.0).take();
        if let Some((job, mut ticket, queue)) = taken {
            if let Some(record) = &mut ticket.record {
                record.begin(queue.worker());
            }
            let outcome = if ticket.is_cancelled() {
                job.abandon(&queue, ticket.record.as_deref(), true);
                Err(CancelToken::status())
            } else {
                contained("a host function", || job.run_long(&mut ticket, &queue))
            };
            let to = ticket.take_ref();
            match outcome {
                Ok(true) => queue.end(to, None),
                Ok(false) => queue.end(TicketRef { signals: &[], ..to }, None),
                Err(status) => queue.end(to, Some(status)),
            }
            queue.scope.end();
            // Last, with the ticket: the work of its token.
        }
        Drained::Finished
    }
}

/// A panic of what others have written (`whose`) is a failure of its operation.
pub(super) fn contained<T>(whose: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = crate::panics::text(panic);
        bail!(Internal, "{whose} panicked: {text}")
    })
}

impl Queue {
    /// Gives a queue-allocated buffer its memory.
    pub(crate) fn commit(
        &self,
        buffer: &Buffer,
        allocator: &Allocator,
        params: &BufferParams,
        size: u64,
        record: Option<&Record>,
    ) -> Result<()> {
        let block = allocator.allocate_block(params, size).while_doing(|| "allocating on a queue")?;
        self.give(buffer, block, record)
    }

    pub(super) fn give(&self, buffer: &Buffer, block: HostBlock, record: Option<&Record>) -> Result<()> {
        buffer.commit(block)?;
        if let Some(record) = record {
            self.tell_allocated(record, buffer);
        }
        Ok(())
    }

    /// Runs a recording if that may be done here; `None` if it was started, and says itself when it is over.
    fn run_or_start(
        &self,
        blocks: Arc<Blocks>,
        table: &[BindingEntry<'_>],
        ticket: &mut Ticket,
    ) -> Option<Result<()>> {
        let mut to = ticket.take_ref();
        if let Some(outcome) = self.run_at_once(&blocks, table, &mut to) {
            let record = to.record.take();
            ticket.record = record;
            self.recycle(blocks);
            return Some(outcome);
        }
        if let Err(status) = self.start(blocks, table, &mut to) {
            self.end(to, Some(status));
        }
        None
    }

    fn start_long(&self, job: Job, ticket: Ticket) {
        self.scope.begin();
        let long = Long(Mutex::new(Some((job, ticket, self.retain()))));
        self.executor.schedule(&Process::new(long, ProcessOptions::default()));
    }
}

fn call_host(call: HostCall, caller: Caller, ticket: &mut Ticket, queue: &Queue) -> Result<bool> {
    let HostCall { function, arguments, flags } = call;
    let is_early = flags.contains(HostCallFlags::NON_BLOCKING);
    if let (true, Some(record)) = (is_early, &mut ticket.record) {
        queue.tell_early(record);
    }
    let context =
        HostCallContext { device: caller.device, affinity: caller.affinity, signal: &ticket.signals };
    if is_early {
        let to = TicketRef { signals: &ticket.signals, past: &ticket.past, record: None, cancel: None };
        queue.end(to, None);
        // Nobody waits for the outcome any more.
        let _ = function(&HostCallContext { signal: &[], ..context }, arguments);
        return Ok(false);
    }
    let end = function(&context, arguments).while_doing(|| "calling a host function")?;
    Ok(end == HostCallEnd::Done)
}

/// The pinned bytes of a checked range.
#[inline]
fn pin<'a>(range: &BufferRange<'a>) -> Result<Pinned<'a>> {
    range.buffer.pin()?.narrow(range.offset, range.length)
}

pub(crate) fn fill(target: &BufferRange<'_>, pattern: Pattern) -> Result<()> {
    let target = pin(target).while_doing(|| "filling a buffer")?;
    // SAFETY: the range is checked and pinned, and the front checked that it may be written.
    unsafe { fill_bytes(target.base(), target.length(), pattern) };
    Ok(())
}

pub(crate) fn update(source: &[u8], target: &BufferRange<'_>) -> Result<()> {
    let target = pin(target).while_doing(|| "updating a buffer")?;
    assert_eq!(target.length(), source.len(), "the front sized the range for the source");
    // SAFETY: the range is checked and pinned, may be written, and is as long as the source; `copy` allows overlap.
    unsafe { std::ptr::copy(source.as_ptr(), target.base(), source.len()) };
    Ok(())
}

pub(crate) fn copy(source: &BufferRange<'_>, target: &BufferRange<'_>) -> Result<()> {
    let pinned = pin(source).and_then(|source| Ok((source, pin(target)?)));
    let (source, target) = pinned.while_doing(|| "copying between buffers")?;
    assert_eq!(source.length(), target.length(), "the front made the ranges equally long");
    // SAFETY: both ranges are checked and pinned, and equally long; the target may be written. `copy` allows overlap
    // through aliasing imports.
    unsafe { std::ptr::copy(source.base(), target.base(), source.length()) };
    Ok(())
}

fn read(file: &File, offset: u64, target: &BufferRange<'_>, cancel: Option<&CancelToken>) -> Result<()> {
    let target = pin(target).while_doing(|| "reading a file")?;
    // SAFETY: the range is checked, pinned, initialised and may be written; the submitter orders other users of it before
    // or after this operation.
    let bytes = unsafe { std::slice::from_raw_parts_mut(target.base(), target.length()) };
    file.read_exact_unless(offset, bytes, cancel)
}

fn write(source: &BufferRange<'_>, file: &File, offset: u64, cancel: Option<&CancelToken>) -> Result<()> {
    let source = pin(source).while_doing(|| "writing a file")?;
    // SAFETY: the range is checked, pinned and initialised; the submitter orders writers of it before or after.
    let bytes = unsafe { std::slice::from_raw_parts(source.base(), source.length()) };
    file.write_all_unless(offset, bytes, cancel)
}
