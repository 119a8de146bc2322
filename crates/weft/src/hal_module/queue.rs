//! `hal.device.queue.*`: work in the order that fences give.
//!
//! What lives here: the exports, which turn arguments into submissions. What does not: waiting, working, signalling
//! (`weft-hal/src/queue.rs` has the contract).

use super::HalState;
use super::gather::Gathered;
use std::sync::Arc;
use weft_hal::{
    AllocaFlags, BindingEntry, Buffer, BufferParams, BufferUsage, CommandBuffer, DeallocaFlags, Device,
    ExecuteFlags, Fence, File, MemoryAccess, MemoryType, QueueAffinity, Region, Submission, WHOLE_BUFFER,
};
use weft_sync::{Result, Status, status};
use weft_vm::Buffer as Bytes;
use weft_vm::native::{NativeCall, Object, Span};

/// Device, affinity, wait fence, signal fence: how every queue operation begins. Whatever cancels the call cancels what it
/// submits.
type Queue<'a> = (&'a Device, u64, Option<&'a Fence>, Option<&'a Fence>, NativeCall<'a>);

/// Buffer or null, offset, length.
type Entry<'a> = (Option<&'a Buffer>, u64, u64);

/// Table entries that need no allocation.
const BINDINGS_INLINE: usize = 8;

const NO_BINDING: BindingEntry<'static> = BindingEntry { buffer: None, offset: 0, length: 0 };

/// Programs may pass any affinity; bits of queues that do not exist are folded onto those that do.
#[inline]
fn submission<'a>((device, affinity, wait, signal, call): Queue<'a>) -> (&'a Device, Submission<'a>) {
    let affinity = match affinity {
        u64::MAX => QueueAffinity::ANY,
        other => QueueAffinity(other).folded(device.queue_count()),
    };
    (device, Submission::between(wait, signal).on(affinity).cancelled_by(call.cancel()))
}

/// `rIrrIiiII_r`: the buffer is there at once, its memory when the signal fence is reached.
pub(super) fn alloca(
    _: &HalState,
    (queue, pool, memory_type, usage, size, flags): (Queue<'_>, u64, u32, u32, u64, u64),
) -> Result<Arc<Buffer>> {
    let (device, submission) = submission(queue);
    if pool != 0 {
        return Err(unknown_pool(pool));
    }
    let params = BufferParams {
        usage: BufferUsage::from_bits_retain(usage),
        access: MemoryAccess::empty(),
        memory_type: MemoryType::from_bits_retain(memory_type),
        affinity: submission.affinity,
        alignment_min: 0,
    };
    device.queue_alloca(&submission, &params, size, AllocaFlags::from_bits_retain(flags))
}

#[cold]
fn unknown_pool(pool: u64) -> Status {
    status!(Unimplemented, "queue allocation from pool {pool}; only the default pool 0 exists")
}

/// `rIrrrI_v`: a second deallocation of one buffer only waits and signals.
pub(super) fn dealloca(_: &HalState, (queue, buffer, flags): (Queue<'_>, &Buffer, u64)) -> Result<()> {
    let (device, submission) = submission(queue);
    if buffer.is_dealloca_queued() {
        return device.queue_barrier(&submission);
    }
    device.queue_dealloca(&submission, buffer, DeallocaFlags::from_bits_retain(flags))
}

/// `rIrrrIIIiI_v`
pub(super) fn fill(
    _: &HalState,
    (queue, buffer, offset, length, pattern, pattern_length, _flags): (
        Queue<'_>,
        &Buffer,
        u64,
        u64,
        u64,
        u32,
        u64,
    ),
) -> Result<()> {
    let (device, submission) = submission(queue);
    device.queue_fill(&submission, &Region { buffer, offset, length }, pattern, u64::from(pattern_length))
}

/// `rIrrrIrIII_v`: the source is copied now.
pub(super) fn update(
    _: &HalState,
    (queue, source, source_offset, target, target_offset, length, _flags): (
        Queue<'_>,
        &Bytes,
        u64,
        &Buffer,
        u64,
        u64,
        u64,
    ),
) -> Result<()> {
    let (device, submission) = submission(queue);
    let source = super::source_bytes(source, source_offset, length)?;
    device.queue_update(&submission, &source, target, target_offset)
}

/// `rIrrrIrIII_v`
pub(super) fn copy(
    _: &HalState,
    (queue, source, source_offset, target, target_offset, length, _flags): (
        Queue<'_>,
        &Buffer,
        u64,
        &Buffer,
        u64,
        u64,
        u64,
    ),
) -> Result<()> {
    let (device, submission) = submission(queue);
    let source = Region { buffer: source, offset: source_offset, length };
    // As many bytes as the source has.
    let target = Region { buffer: target, offset: target_offset, length: WHOLE_BUFFER };
    device.queue_copy(&submission, &source, &target)
}

/// `rIrrrIrIII_v`
pub(super) fn read(
    _: &HalState,
    (queue, file, file_offset, target, target_offset, length, _flags): (
        Queue<'_>,
        Object<'_, File>,
        u64,
        &Buffer,
        u64,
        u64,
        u64,
    ),
) -> Result<()> {
    let (device, submission) = submission(queue);
    let target = Region { buffer: target, offset: target_offset, length };
    device.queue_read(&submission, &file.to_arc(), file_offset, &target)
}

/// `rIrrrIrIII_v`
pub(super) fn write(
    _: &HalState,
    (queue, source, source_offset, file, file_offset, length, _flags): (
        Queue<'_>,
        &Buffer,
        u64,
        Object<'_, File>,
        u64,
        u64,
        u64,
    ),
) -> Result<()> {
    let (device, submission) = submission(queue);
    let source = Region { buffer: source, offset: source_offset, length };
    device.queue_write(&submission, &source, &file.to_arc(), file_offset)
}

/// `rIrrI_v`
pub(super) fn barrier(_: &HalState, (queue, _flags): (Queue<'_>, u64)) -> Result<()> {
    let (device, submission) = submission(queue);
    device.queue_barrier(&submission)
}

/// `rIrrrI_v`
pub(super) fn execute(
    _: &HalState,
    (queue, commands, flags): (Queue<'_>, &CommandBuffer, u64),
) -> Result<()> {
    let (device, submission) = submission(queue);
    device.queue_execute(&submission, Some(commands), None, ExecuteFlags::from_bits_retain(flags))
}

/// `rIrrrICrIID_v`
pub(super) fn execute_indirect(
    _: &HalState,
    (queue, commands, flags, table): (Queue<'_>, &CommandBuffer, u64, Span<'_, Entry<'_>>),
) -> Result<()> {
    let (device, submission) = submission(queue);
    let table = Gathered::<BindingEntry<'_>, BINDINGS_INLINE>::from_span(
        &table,
        NO_BINDING,
        |(buffer, offset, length)| BindingEntry { buffer, offset, length },
    )?;
    let flags = ExecuteFlags::from_bits_retain(flags);
    device.queue_execute(&submission, Some(commands), Some(table.as_slice()), flags)
}

/// `rI_v`
pub(super) fn flush(_: &HalState, (device, affinity): (&Device, u64)) -> Result<()> {
    device.queue_flush(QueueAffinity(affinity).folded(device.queue_count()))
}
