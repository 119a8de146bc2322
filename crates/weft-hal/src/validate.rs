//! Checks of arguments that every device relies on and none repeats.
//!
//! Each check fails with the code that programs see (`docs/spec/hal.md` §3.2, §10, `docs/spec/hal-module.md` §5) and a
//! message that names what was expected and what was found.

use weft_sync::{Code, Result, Status, bail, status};

use crate::buffer::Buffer;
use crate::command::{BINDINGS_MAX, Dispatch, DispatchFlags, Operand, Use, WorkgroupCount};
use crate::executable::FunctionInfo;
use crate::memory::{BufferParams, BufferUsage, MemoryAccess, MemoryType, WHOLE_BUFFER};
use crate::pool::PoolCapabilities;

/// A checked range: `offset + length` lies within what it was checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Bytes; never `WHOLE_BUFFER`.
    pub length: u64,
}

/// Resolves `WHOLE_BUFFER` and checks `offset` and `length` against `available` bytes, without overflow.
#[inline]
pub fn byte_range(available: u64, offset: u64, length: u64) -> Result<ByteRange> {
    if offset > available {
        return Err(out_of_range(available, offset, length));
    }
    let rest = available - offset;
    if length == WHOLE_BUFFER {
        return Ok(ByteRange { offset, length: rest });
    }
    if length > rest {
        return Err(out_of_range(available, offset, length));
    }
    Ok(ByteRange { offset, length })
}

#[cold]
fn out_of_range(available: u64, offset: u64, length: u64) -> Status {
    if length == WHOLE_BUFFER {
        return status!(OutOfRange, "offset {offset} lies outside of {available} bytes");
    }
    status!(OutOfRange, "range of {length} bytes at offset {offset} lies outside of {available} bytes")
}

/// The buffer's memory type has all `required` bits.
#[inline]
pub fn memory_type(buffer: &Buffer, required: MemoryType) -> Result<()> {
    if buffer.memory_type().contains(required) {
        return Ok(());
    }
    Err(lacks("memory type", &required, &buffer.memory_type()))
}

/// A pool has memory of these parameters, which are completed and adjusted, and `size` bytes of it in one piece.
pub fn pool_request(pool: &PoolCapabilities, params: &BufferParams, size: u64) -> Result<()> {
    if !pool.memory_type.contains(params.memory_type) {
        return Err(pool_lacks("memory type", &params.memory_type, &pool.memory_type));
    }
    if !pool.usage.contains(params.usage) {
        return Err(pool_lacks("usage", &params.usage, &pool.usage));
    }
    if params.alignment_min > pool.alignment_max {
        return Err(pool_lacks("alignment", &params.alignment_min, &pool.alignment_max));
    }
    if pool.size_max != 0 && size > pool.size_max {
        bail!(OutOfRange, "{size} bytes were asked for; the pool has at most {} in one piece", pool.size_max);
    }
    Ok(())
}

#[cold]
fn pool_lacks(what: &str, required: &dyn std::fmt::Display, actual: &dyn std::fmt::Display) -> Status {
    status!(InvalidArgument, "{what} {required} was asked for; the pool has {actual}")
}

/// The buffer allows all `required` access. ANY always passes; a request for nothing is INVALID_ARGUMENT.
#[inline]
pub fn memory_access(buffer: &Buffer, required: MemoryAccess) -> Result<()> {
    if required.contains(MemoryAccess::ANY) {
        return Ok(());
    }
    if !required.intersects(MemoryAccess::READ.union(MemoryAccess::WRITE)) {
        bail!(InvalidArgument, "memory access {required} asks for neither READ nor WRITE");
    }
    // Discarding old contents is a way of writing: who may write may discard.
    let allowed = buffer.access();
    let granted =
        if allowed.contains(MemoryAccess::WRITE) { allowed.union(MemoryAccess::DISCARD) } else { allowed };
    if granted.contains(required) {
        return Ok(());
    }
    Err(lacks("memory access", &required, &allowed))
}

/// The buffer allows all `required` usage.
#[inline]
pub fn usage(buffer: &Buffer, required: BufferUsage) -> Result<()> {
    if buffer.usage().contains(required) {
        return Ok(());
    }
    Err(lacks("usage", &required, &buffer.usage()))
}

#[cold]
fn lacks(what: &str, required: &dyn std::fmt::Display, actual: &dyn std::fmt::Display) -> Status {
    status!(PermissionDenied, "buffer {what} {actual} lacks {required}")
}

/// The pattern of a fill: 1, 2 or 4 bytes, and a range in whole patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern repeated to 4 bytes, little endian.
    pub repeated: u32,
    /// 1, 2 or 4.
    pub length: u8,
}

impl Pattern {
    /// The low `length` bytes of `bits`.
    pub fn new(bits: u64, length: u64) -> Result<Pattern> {
        let repeated = match length {
            1 => u32::from(bits as u8) * 0x0101_0101,
            2 => u32::from(bits as u16) * 0x0001_0001,
            4 => bits as u32,
            _ => bail!(InvalidArgument, "fill pattern has {length} bytes; expected 1, 2 or 4"),
        };
        Ok(Pattern { repeated, length: length as u8 })
    }

    /// The pattern in these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Pattern> {
        let mut bits = [0; 8];
        let taken = bytes.len().min(8);
        bits[..taken].copy_from_slice(&bytes[..taken]);
        Pattern::new(u64::from_le_bytes(bits), bytes.len() as u64)
    }

    /// Offset and length are multiples of the pattern.
    pub fn check_range(self, offset: u64, length: u64) -> Result<()> {
        let step = u64::from(self.length);
        let whole = length == WHOLE_BUFFER;
        if offset.is_multiple_of(step) && (whole || length.is_multiple_of(step)) {
            return Ok(());
        }
        Err(Status::new(
            Code::InvalidArgument,
            format!("fill of {length} bytes at offset {offset} is not a multiple of its {step}-byte pattern"),
        ))
    }
}

/// Bytes that indirect workgroup counts take: three 32-bit numbers.
pub(crate) const INDIRECT_COUNT_BYTES: u64 = 12;

/// What does not depend on operands: function, number of constants and bindings, size of the grid.
pub(crate) fn dispatch<'a>(dispatch: &Dispatch<'a>) -> Result<&'a FunctionInfo> {
    let unsupported = DispatchFlags::CUSTOM_DIRECT_ARGUMENTS
        | DispatchFlags::DYNAMIC_INDIRECT_ARGUMENTS
        | DispatchFlags::STATIC_INDIRECT_ARGUMENTS;
    if dispatch.flags.intersects(unsupported) {
        bail!(Unimplemented, "dispatch flags {} are not supported", dispatch.flags & unsupported);
    }
    let function = dispatch.executable.function(dispatch.function)?;
    let (name, constants, bindings) = (&function.name, dispatch.constants.len(), dispatch.bindings.len());
    if constants != usize::from(function.constant_count) {
        bail!(
            InvalidArgument,
            "`{name}` takes {} constants, {constants} were given",
            function.constant_count
        );
    }
    if bindings > BINDINGS_MAX {
        bail!(OutOfRange, "binding count {bindings} > {BINDINGS_MAX}");
    }
    if bindings != usize::from(function.binding_count) {
        bail!(InvalidArgument, "`{name}` takes {} bindings, {bindings} were given", function.binding_count);
    }
    if let WorkgroupCount::Direct(count) = dispatch.workgroup_count {
        grid(count)?;
    }
    Ok(function)
}

/// A grid fits the kernel interface: z in 16 bits, the number of workgroups in 32.
pub fn grid(count: [u32; 3]) -> Result<()> {
    let product = count.iter().try_fold(1_u64, |product, &extent| product.checked_mul(u64::from(extent)));
    if product.is_none_or(|product| product > u64::from(u32::MAX)) || count[2] > u32::from(u16::MAX) {
        let [x, y, z] = count;
        bail!(OutOfRange, "{x}x{y}x{z} workgroups exceed 32 bits in all or 16 bits in z");
    }
    Ok(())
}

/// Each binding with what its kernel asks of it.
pub(crate) fn binding_uses<'a>(
    function: &'a FunctionInfo,
    dispatch: &Dispatch<'a>,
) -> impl Iterator<Item = (&'a Operand<'a>, Use)> {
    dispatch.bindings.iter().enumerate().map(|(index, operand)| {
        let declared = function.bindings.get(index).map_or(MemoryAccess::empty(), |binding| binding.access);
        (operand, Use::binding(declared))
    })
}

/// Where indirect counts may be: at a multiple of 4, with at least 12 bytes.
pub(crate) fn indirect_counts(source: &Operand<'_>) -> Result<()> {
    if !source.offset.is_multiple_of(4) {
        bail!(InvalidArgument, "workgroup counts at offset {}, which is not a multiple of 4", source.offset);
    }
    if source.length < INDIRECT_COUNT_BYTES {
        bail!(
            OutOfRange,
            "workgroup counts take {INDIRECT_COUNT_BYTES} bytes; the range has {}",
            source.length
        );
    }
    Ok(())
}
