//! `hal.command_buffer.*`: recording work for devices.
//!
//! What lives here: the exports, which turn arguments into operands. What does not: the recording state and every check
//! (`weft-hal/src/command/`), running what was recorded (`queue.rs`).
//!
//! An operand with a buffer is direct; without, it names a slot of the table that a submission brings.

use super::HalState;
use super::gather::Gathered;
use std::sync::Arc;
use weft_hal::{
    BINDINGS_MAX, Buffer, Channel, CommandBuffer, CommandBufferMode, CommandBufferParams, CommandCategory,
    Device, Dispatch, DispatchFlags, Executable, ExecutionStage, FunctionId, Operand, QueueAffinity,
    WorkgroupCount,
};
use weft_sync::{Result, Status, bail, status};
use weft_vm::Buffer as Bytes;
use weft_vm::native::{NativeCall, Span};

/// Reserved, slot, buffer or null, offset, length.
type Binding<'a> = (u32, u32, Option<&'a Buffer>, u64, u64);

/// Buffer or null, offset.
type Place<'a> = (Option<&'a Buffer>, u64);

/// Constants of one dispatch that need no allocation.
const CONSTANTS_INLINE: usize = 32;

/// Bindings of one dispatch that need no allocation.
const BINDINGS_INLINE: usize = 8;

const NO_OPERAND: Operand<'static> = Operand { buffer: None, slot: 0, offset: 0, length: 0 };

/// `riiIi_r`
pub(super) fn create(
    _: &HalState,
    (call, device, modes, categories, affinity, binding_capacity): (
        NativeCall<'_>,
        &Device,
        u32,
        u32,
        u64,
        i32,
    ),
) -> Result<Arc<CommandBuffer>> {
    let Ok(binding_capacity) = u32::try_from(binding_capacity) else {
        bail!(InvalidArgument, "binding capacity {binding_capacity} is negative");
    };
    let params = CommandBufferParams {
        mode: CommandBufferMode::from_bits_retain(modes),
        categories: CommandCategory::from_bits_retain(categories),
        affinity: QueueAffinity(affinity),
        binding_capacity,
    };
    let command_buffer = device.create_command_buffer(params)?;
    // Recordings that outlive this call, which others may have made for all calls, go by the token of whoever submits them.
    if let Some(token) = call.cancel() {
        command_buffer.cancelled_by(token);
    }
    command_buffer.begin()?;
    Ok(command_buffer)
}

/// `r_v`
pub(super) fn finalize(state: &HalState, command_buffer: &CommandBuffer) -> Result<()> {
    command_buffer.end()?;
    if let Some(recorded) = &state.recorded {
        recorded(command_buffer);
    }
    Ok(())
}

/// `rr_v`
pub(super) fn begin_debug_group(
    _: &HalState,
    (command_buffer, label): (&CommandBuffer, &Bytes),
) -> Result<()> {
    command_buffer.begin_debug_group(&label.text())
}

/// `r_v`
pub(super) fn end_debug_group(_: &HalState, command_buffer: &CommandBuffer) -> Result<()> {
    command_buffer.end_debug_group()
}

/// `riiI_v`
pub(super) fn execution_barrier(
    _: &HalState,
    (command_buffer, source, target, _flags): (&CommandBuffer, u32, u32, u64),
) -> Result<()> {
    command_buffer.barrier(ExecutionStage::from_bits_retain(source), ExecutionStage::from_bits_retain(target))
}

/// `rrIIIi_v`
pub(super) fn advise_buffer(
    _: &HalState,
    (command_buffer, buffer, _flags, _arg0, _arg1, slot): (
        &CommandBuffer,
        Option<&Buffer>,
        u64,
        u64,
        u64,
        u32,
    ),
) -> Result<()> {
    command_buffer.advise(&Operand { buffer, slot, offset: 0, length: weft_hal::WHOLE_BUFFER })
}

/// `rrIIiIiI_v`
pub(super) fn fill_buffer(
    _: &HalState,
    (command_buffer, buffer, offset, length, slot, pattern, pattern_length, _flags): (
        &CommandBuffer,
        Option<&Buffer>,
        u64,
        u64,
        u32,
        u64,
        u32,
        u64,
    ),
) -> Result<()> {
    command_buffer.fill(&Operand { buffer, slot, offset, length }, pattern, u64::from(pattern_length))
}

/// `rrIrIIiI_v`: the source is copied now.
pub(super) fn update_buffer(
    _: &HalState,
    (command_buffer, source, source_offset, buffer, offset, length, slot, _flags): (
        &CommandBuffer,
        &Bytes,
        u64,
        Option<&Buffer>,
        u64,
        u64,
        u32,
        u64,
    ),
) -> Result<()> {
    let source = super::source_bytes(source, source_offset, length)?;
    command_buffer.update_any_length(&source, &Operand { buffer, slot, offset, length: source.len() as u64 })
}

/// `riirIrIII_v`
pub(super) fn copy_buffer(
    _: &HalState,
    (command_buffer, source_slot, target_slot, source, target, length, _flags): (
        &CommandBuffer,
        u32,
        u32,
        Place<'_>,
        Place<'_>,
        u64,
        u64,
    ),
) -> Result<()> {
    let operand = |(buffer, offset), slot| Operand { buffer, slot, offset, length };
    command_buffer.copy(&operand(source, source_slot), &operand(target, target_slot))
}

/// `rriiiirrIIIII_v`: no device has channels, so this can only refuse.
#[expect(clippy::type_complexity, reason = "the argument list is the program ABI")]
pub(super) fn collective(
    _: &HalState,
    (command_buffer, channel, _op, _param, _send_slot, _recv_slot, _send, _recv, _ranges, _count): (
        &CommandBuffer,
        &Channel,
        u32,
        u32,
        u32,
        u32,
        Option<&Buffer>,
        Option<&Buffer>,
        (u64, u64, u64, u64),
        u64,
    ),
) -> Result<()> {
    command_buffer.collective(channel)
}

/// `rrIiiiICiDCiirIID_v`
#[expect(clippy::type_complexity, reason = "the argument list is the program ABI")]
pub(super) fn dispatch(
    _: &HalState,
    (command_buffer, executable, function, x, y, z, flags, constants, bindings): (
        &CommandBuffer,
        &Executable,
        u64,
        u32,
        u32,
        u32,
        u64,
        Span<'_, u32>,
        Span<'_, Binding<'_>>,
    ),
) -> Result<()> {
    let count = WorkgroupCount::Direct([x, y, z]);
    record_dispatch(command_buffer, (executable, function), count, flags, &constants, &bindings)
}

/// `rrIirIICiDCiirIID_v`
#[expect(clippy::type_complexity, reason = "the argument list is the program ABI")]
pub(super) fn dispatch_indirect(
    _: &HalState,
    (command_buffer, executable, function, slot, buffer, offset, flags, constants, bindings): (
        &CommandBuffer,
        &Executable,
        u64,
        u32,
        Option<&Buffer>,
        u64,
        u64,
        Span<'_, u32>,
        Span<'_, Binding<'_>>,
    ),
) -> Result<()> {
    let counts = Operand { buffer, slot, offset, length: weft_hal::WHOLE_BUFFER };
    let is_static =
        DispatchFlags::from_bits_retain(flags).contains(DispatchFlags::STATIC_INDIRECT_PARAMETERS);
    let count = if is_static {
        WorkgroupCount::IndirectStatic(counts)
    } else {
        WorkgroupCount::IndirectDynamic(counts)
    };
    record_dispatch(command_buffer, (executable, function), count, flags, &constants, &bindings)
}

fn record_dispatch(
    command_buffer: &CommandBuffer,
    (executable, function): (&Executable, u64),
    workgroup_count: WorkgroupCount<'_>,
    flags: u64,
    constants: &Span<'_, u32>,
    bindings: &Span<'_, Binding<'_>>,
) -> Result<()> {
    if bindings.len() > BINDINGS_MAX {
        return Err(too_many_bindings(bindings.len()));
    }
    let constants = Gathered::<u32, CONSTANTS_INLINE>::from_span(constants, 0, |constant| constant)?;
    let bindings = Gathered::<Operand<'_>, BINDINGS_INLINE>::from_span(
        bindings,
        NO_OPERAND,
        |(_, slot, buffer, offset, length)| Operand { buffer, slot, offset, length },
    )?;
    command_buffer.dispatch(&Dispatch {
        executable,
        function: FunctionId(function),
        workgroup_size: [0; 3],
        workgroup_count,
        local_memory_bytes: 0,
        constants: constants.as_slice(),
        bindings: bindings.as_slice(),
        flags: DispatchFlags::from_bits_retain(flags) & KNOWN_FLAGS,
    })
}

/// Flags that weft has a meaning for; others are ignored.
const KNOWN_FLAGS: DispatchFlags = DispatchFlags::DYNAMIC_INDIRECT_PARAMETERS
    .union(DispatchFlags::STATIC_INDIRECT_PARAMETERS)
    .union(DispatchFlags::CUSTOM_DIRECT_ARGUMENTS)
    .union(DispatchFlags::DYNAMIC_INDIRECT_ARGUMENTS)
    .union(DispatchFlags::STATIC_INDIRECT_ARGUMENTS)
    .union(DispatchFlags::ALLOW_INLINE_EXECUTION)
    .union(DispatchFlags::BORROW_RESOURCE_LIFETIMES);

#[cold]
fn too_many_bindings(count: usize) -> Status {
    status!(OutOfRange, "binding count {count} > {BINDINGS_MAX}")
}
