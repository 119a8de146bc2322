//! Queue operations of the local-sync device: each waits, works and signals inside the call.
//!
//! What lives here: the work of each operation. What does not: the order of waiting, working, signalling and failing,
//! which is the same for all (`Submission::run` in `weft-hal/src/queue.rs`), and validation (`weft-hal`).

#![allow(unsafe_code, reason = "moves bytes between checked, pinned ranges")]

use weft_hal::{
    Allocator, BindingEntry, Buffer, BufferRange, DeviceId, Dispatch, File, HostCall, HostCallContext,
    Pattern, Pinned, Prefault, Submission, fill_bytes,
};
use weft_sync::{CancelToken, Result, WhileDoing};

use crate::command_buffer::{Program, ProgramBuilder};
use crate::host_memory::HostMemory;
use crate::stop::in_pieces;

/// The pinned bytes of a checked range.
#[inline]
fn pin<'a>(range: &BufferRange<'a>) -> Result<Pinned<'a>> {
    range.buffer.pin()?.narrow(range.offset, range.length)
}

pub(crate) fn dealloca(submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
    submission.run_dealloca(buffer)
}

pub(crate) fn prefault(
    submission: &Submission<'_>,
    allocator: &Allocator,
    target: BufferRange<'_>,
) -> Result<()> {
    let work = || {
        let mut steps = Prefault::new(&target);
        while steps.step(allocator)? {
            submission.cancel.map_or(Ok(()), CancelToken::check)?;
        }
        Ok(())
    };
    submission.run(work).map(drop)
}

pub(crate) fn fill(submission: &Submission<'_>, target: BufferRange<'_>, pattern: Pattern) -> Result<()> {
    let work = || {
        let target = pin(&target)?;
        let went_on = in_pieces(submission.cancel, target.length(), |bytes| {
            // SAFETY: the range is checked and pinned, and the front checked that it may be written. Pieces are multiples
            // of any pattern.
            unsafe { fill_bytes(target.base().wrapping_add(bytes.start), bytes.len(), pattern) };
        });
        if went_on { Ok(()) } else { Err(CancelToken::status()) }
    };
    submission.run(|| work().while_doing(|| "filling a buffer")).map(drop)
}

pub(crate) fn update(submission: &Submission<'_>, source: &[u8], target: BufferRange<'_>) -> Result<()> {
    let work = || {
        let target = pin(&target)?;
        assert_eq!(target.length(), source.len(), "the front sized the range for the source");
        // SAFETY: the range is checked and pinned, may be written, and is as long as the source; `copy` allows overlap.
        unsafe { std::ptr::copy(source.as_ptr(), target.base(), source.len()) };
        Ok(())
    };
    submission.run(|| work().while_doing(|| "updating a buffer")).map(drop)
}

pub(crate) fn copy(
    submission: &Submission<'_>,
    source: BufferRange<'_>,
    target: BufferRange<'_>,
) -> Result<()> {
    let work = || {
        let (source, target) = (pin(&source)?, pin(&target)?);
        assert_eq!(source.length(), target.length(), "the front made the ranges equally long");
        let went_on = in_pieces(submission.cancel, source.length(), |bytes| {
            let (from, to) =
                (source.base().wrapping_add(bytes.start), target.base().wrapping_add(bytes.start));
            // SAFETY: both ranges are checked and pinned, and equally long; the target may be written. `copy` allows overlap
            // through aliasing imports.
            unsafe { std::ptr::copy(from, to, bytes.len()) };
        });
        if went_on { Ok(()) } else { Err(CancelToken::status()) }
    };
    submission.run(|| work().while_doing(|| "copying between buffers")).map(drop)
}

pub(crate) fn read(
    submission: &Submission<'_>,
    file: &File,
    offset: u64,
    target: BufferRange<'_>,
) -> Result<()> {
    let work = || {
        let target = pin(&target).while_doing(|| "reading a file")?;
        // SAFETY: the range is checked, pinned, initialised and may be written; the submitter orders other users of it
        // before or after this operation.
        let bytes = unsafe { std::slice::from_raw_parts_mut(target.base(), target.length()) };
        file.read_exact_unless(offset, bytes, submission.cancel)
    };
    submission.run(work).map(drop)
}

pub(crate) fn write(
    submission: &Submission<'_>,
    source: BufferRange<'_>,
    file: &File,
    offset: u64,
) -> Result<()> {
    let work = || {
        let source = pin(&source).while_doing(|| "writing a file")?;
        // SAFETY: the range is checked, pinned and initialised; the submitter orders writers of it before or after.
        let bytes = unsafe { std::slice::from_raw_parts(source.base(), source.length()) };
        file.write_all_unless(offset, bytes, submission.cancel)
    };
    submission.run(work).map(drop)
}

pub(crate) fn dispatch(
    submission: &Submission<'_>,
    memory: &HostMemory,
    dispatch: &Dispatch<'_>,
) -> Result<()> {
    let mut builder = ProgramBuilder::default();
    // Recording finds errors in the arguments, which leave the signals untouched.
    builder.dispatch(dispatch)?;
    let cancel = submission.cancel;
    submission
        .run(|| builder.program().run(&[], memory, cancel, None).while_doing(|| "dispatching"))
        .map(drop)
}

pub(crate) fn execute(
    submission: &Submission<'_>,
    memory: &HostMemory,
    program: &Program,
    table: &[BindingEntry<'_>],
) -> Result<()> {
    let cancel = submission.cancel;
    submission
        .run(|| program.run(table, memory, cancel, None).while_doing(|| "executing a command buffer"))
        .map(drop)
}

pub(crate) fn barrier(submission: &Submission<'_>) -> Result<()> {
    submission.run(|| Ok(())).map(drop)
}

pub(crate) fn host_call(submission: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()> {
    let context = HostCallContext { device, affinity: submission.affinity, signal: submission.signal };
    call.run(submission, &context)
}
