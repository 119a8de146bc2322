//! Running workgroups: the geometry of a dispatch, and the loop that calls a kernel for each id of the grid.
//!
//! What lives here: [`Geometry`] (all checks on counts, sizes and local memory, made once, before the first workgroup) and
//! the single-threaded grid loop. What does not: who provides bindings, constants and scratch (the devices), and how
//! several workers share a grid.
//!
//! 1. Order on one thread: x fastest, then y, then z.
//! 2. After the first failure no further workgroup starts, in any row or plane.
//! 3. A failure says which export failed and with which number; the number is never read as a status code.
#![allow(unsafe_code, reason = "calls kernels through their raw entry points")]

use std::ffi::c_void;
use std::num::NonZeroI32;

use weft_sync::{Result, bail, status};

use crate::abi::{
    BINDING_ALIGNMENT, CacheLine, DispatchAttributes, DispatchState, Environment, KernelFunction,
    LOCAL_MEMORY_PAGE_BYTES, WorkgroupState,
};
use crate::executable::CpuExecutable;

/// The non-zero answer of a kernel. See [`CpuExecutable::kernel_failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFailure(NonZeroI32);

impl KernelFailure {
    /// The number.
    pub fn code(self) -> i32 {
        self.0.get()
    }
}

/// Size and number of workgroups and their scratch, resolved and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Workgroup size, nowhere 0.
    pub size: [u32; 3],
    /// Grid; 0 somewhere means no work.
    pub count: [u32; 3],
    /// Bytes of local memory that each workgroup needs.
    pub local_memory_bytes: u32,
}

/// What a dispatch asks for, before it is checked against the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeometryRequest {
    /// Workgroup size, 0 where the export's own is wanted.
    pub size: [u32; 3],
    /// Grid.
    pub count: [u32; 3],
    /// Local memory beyond what the export asks for.
    pub local_memory_bytes: u32,
}

impl Geometry {
    /// Resolves a request against an export.
    ///
    /// `OUT_OF_RANGE` if z (count or size) does not fit 16 bits, the grid does not fit 32 bits or local memory does not
    /// fit 32 bits; `INVALID_ARGUMENT` if a dynamic size is not a multiple of the export's.
    #[inline]
    pub fn resolve(attributes: &DispatchAttributes, request: &GeometryRequest) -> Result<Geometry> {
        weft_hal::validate::grid(request.count)?;
        let size = resolve_size(attributes, request.size)?;
        let pages = u32::from(attributes.local_memory_pages) * LOCAL_MEMORY_PAGE_BYTES;
        let Some(local_memory_bytes) = pages.checked_add(request.local_memory_bytes) else {
            bail!(
                OutOfRange,
                "{pages} + {} bytes of local memory exceed 32 bits",
                request.local_memory_bytes
            );
        };
        Ok(Geometry { size, count: request.count, local_memory_bytes })
    }

    /// Whether no workgroup is to run.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count.contains(&0)
    }

    /// The dispatch state for this geometry. `max_concurrency` is how many workgroups may run at once.
    #[inline]
    pub fn state(&self, operands: &Operands, max_concurrency: usize) -> CacheLine<DispatchState> {
        CacheLine(DispatchState {
            workgroup_size_x: self.size[0],
            workgroup_size_y: self.size[1],
            // `resolve` checked that both z fit.
            workgroup_size_z: self.size[2] as u16,
            constant_count: operands.constant_count,
            workgroup_count_x: self.count[0],
            workgroup_count_y: self.count[1],
            workgroup_count_z: self.count[2] as u16,
            max_concurrency: max_concurrency.clamp(1, usize::from(u8::MAX)) as u8,
            binding_count: operands.binding_count,
            constants: operands.constants,
            binding_pointers: operands.binding_pointers,
            binding_lengths: operands.binding_lengths,
        })
    }
}

/// Arrays that a dispatch state points at.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// Push constants.
    pub constants: *const u32,
    /// How many.
    pub constant_count: u16,
    /// Bindings.
    pub binding_count: u8,
    /// Data pointers, 64-byte aligned, non-null.
    pub binding_pointers: *const *mut c_void,
    /// Lengths in bytes.
    pub binding_lengths: *const usize,
}

/// Scratch of the calling thread.
#[derive(Clone, Copy, Debug)]
pub struct LocalMemory {
    /// 64-byte aligned; null if there is none.
    pub pointer: *mut c_void,
    /// Bytes.
    pub bytes: u32,
}

impl LocalMemory {
    /// No scratch.
    pub const NONE: LocalMemory = LocalMemory { pointer: std::ptr::null_mut(), bytes: 0 };
}

#[inline]
fn resolve_size(attributes: &DispatchAttributes, wanted: [u32; 3]) -> Result<[u32; 3]> {
    let declared = attributes.workgroup_size();
    let mut size = [1; 3];
    for axis in 0..3 {
        size[axis] = match (wanted[axis], declared[axis]) {
            (0, 0) => 1,
            (0, declared) => declared,
            (wanted, _) => wanted,
        };
        let dynamic = attributes.flags & DispatchAttributes::WORKGROUP_SIZE_DYNAMIC != 0;
        if dynamic && declared[axis] != 0 && size[axis] % declared[axis] != 0 {
            bail!(
                InvalidArgument,
                "workgroup size {} in dimension {axis} is not a multiple of {}",
                size[axis],
                declared[axis]
            );
        }
    }
    if size[2] > u32::from(u16::MAX) {
        bail!(OutOfRange, "workgroup size z is {}, at most 65535", size[2]);
    }
    Ok(size)
}

/// Checks that all bindings are non-null and aligned for kernels: one OR and one mask.
#[inline]
pub fn check_binding_pointers(pointers: &[*mut c_void]) -> Result<()> {
    let mut all = 0;
    let mut any_null = false;
    for pointer in pointers {
        all |= pointer.addr();
        any_null |= pointer.is_null();
    }
    if any_null || all % BINDING_ALIGNMENT != 0 {
        return Err(bad_binding(pointers));
    }
    Ok(())
}

#[cold]
fn bad_binding(pointers: &[*mut c_void]) -> weft_sync::Status {
    for (index, pointer) in pointers.iter().enumerate() {
        if pointer.is_null() {
            return status!(FailedPrecondition, "binding {index} has no buffer");
        }
        let residue = pointer.addr() % BINDING_ALIGNMENT;
        if residue != 0 {
            return status!(
                InvalidArgument,
                "binding {index} starts {residue} bytes past a {BINDING_ALIGNMENT}-byte boundary; kernels need it aligned"
            );
        }
    }
    status!(Internal, "bindings are in order")
}

/// Calls the kernel for each workgroup of the grid in `dispatch`, on this thread, until the first failure.
///
/// # Safety
/// * `function` and `environment` belong to one executable that stays alive for the call.
/// * `dispatch` came from [`Geometry::state`]; its arrays are readable for the call, hold as many entries as the export
///   declares, and its binding pointers are valid for `binding_lengths` bytes, 64-byte aligned and non-null.
/// * `local` is exclusive to this call, initialised, 64-byte aligned and as large as the geometry says.
/// * The memory of bindings may be accessed by this kernel: whoever else uses it is ordered before or after.
#[inline]
pub unsafe fn run_grid(
    function: KernelFunction,
    environment: *const Environment,
    dispatch: &CacheLine<DispatchState>,
    local: LocalMemory,
    processor_id: u32,
) -> std::result::Result<(), KernelFailure> {
    let [count_x, count_y, count_z] =
        [dispatch.0.workgroup_count_x, dispatch.0.workgroup_count_y, u32::from(dispatch.0.workgroup_count_z)];
    let mut workgroup = CacheLine(WorkgroupState {
        workgroup_id_x: 0,
        workgroup_id_y: 0,
        workgroup_id_z: 0,
        reserved: 0,
        processor_id,
        local_memory: local.pointer,
        local_memory_size: local.bytes,
        padding: 0,
    });
    for z in 0..count_z {
        // Fits: the count is 16 bits wide.
        workgroup.0.workgroup_id_z = z as u16;
        for y in 0..count_y {
            workgroup.0.workgroup_id_y = y;
            for x in 0..count_x {
                workgroup.0.workgroup_id_x = x;
                // SAFETY: the caller vouches for the code and for what `dispatch` points at; `dispatch` and `workgroup` are
                // borrowed, aligned to 64 and distinct, and nothing changes them during the call.
                let code = unsafe { function(environment, &raw const dispatch.0, &raw const workgroup.0) };
                if let Some(code) = NonZeroI32::new(code) {
                    return Err(KernelFailure(code));
                }
            }
        }
    }
    Ok(())
}

/// Calls the kernel for the workgroups `tiles` of the grid in `dispatch`, numbered with x fastest, until the first failure.
///
/// # Safety
/// As for [`run_grid`]; `tiles` lies within the grid.
#[inline]
pub unsafe fn run_tiles(
    function: KernelFunction,
    environment: *const Environment,
    dispatch: &CacheLine<DispatchState>,
    local: LocalMemory,
    processor_id: u32,
    tiles: std::ops::Range<u32>,
) -> std::result::Result<(), KernelFailure> {
    let (count_x, count_y) = (dispatch.0.workgroup_count_x, dispatch.0.workgroup_count_y);
    let (mut x, mut y, mut z) = (tiles.start, 0, 0);
    // Most runs begin in the first row, and divisions take longer than small kernels.
    if x >= count_x {
        let row = x / count_x;
        x %= count_x;
        (y, z) = (row % count_y, row / count_y);
    }
    let mut workgroup = CacheLine(WorkgroupState {
        workgroup_id_x: x,
        workgroup_id_y: y,
        // Fits: the count is 16 bits wide.
        workgroup_id_z: z as u16,
        reserved: 0,
        processor_id,
        local_memory: local.pointer,
        local_memory_size: local.bytes,
        padding: 0,
    });
    for _ in tiles {
        // SAFETY: as in `run_grid`.
        let code = unsafe { function(environment, &raw const dispatch.0, &raw const workgroup.0) };
        if let Some(code) = NonZeroI32::new(code) {
            return Err(KernelFailure(code));
        }
        let id = &mut workgroup.0;
        id.workgroup_id_x += 1;
        if id.workgroup_id_x == count_x {
            id.workgroup_id_x = 0;
            id.workgroup_id_y += 1;
            if id.workgroup_id_y == count_y {
                id.workgroup_id_y = 0;
                id.workgroup_id_z = id.workgroup_id_z.wrapping_add(1);
            }
        }
    }
    Ok(())
}

/// A whole dispatch for callers without a recorder: tools, tests, direct queue operations.
#[derive(Clone, Copy, Debug)]
pub struct DirectDispatch<'a> {
    /// Which export.
    pub ordinal: u32,
    /// Workgroup size, grid, extra local memory.
    pub geometry: GeometryRequest,
    /// Push constants.
    pub constants: &'a [u32],
    /// Data pointers.
    pub binding_pointers: &'a [*mut c_void],
    /// Lengths in bytes.
    pub binding_lengths: &'a [usize],
    /// Logical processor of this thread.
    pub processor_id: u32,
}

/// Checks everything, then runs the grid on this thread. `scratch` grows to the local memory that is needed.
///
/// # Safety
/// Binding pointers are valid for reads and writes of their lengths for the call, and no one else accesses the memory in
/// conflict with what the kernel does.
pub unsafe fn run_direct(
    executable: &CpuExecutable,
    dispatch: &DirectDispatch<'_>,
    scratch: &mut Scratch,
) -> Result<()> {
    let ordinal = dispatch.ordinal;
    let export = executable.export(ordinal)?;
    check_operand_counts(export, dispatch)?;
    check_binding_pointers(dispatch.binding_pointers)?;
    executable.check_binding_lengths(ordinal, dispatch.binding_lengths)?;
    let geometry = Geometry::resolve(&export.attributes, &dispatch.geometry)?;
    if geometry.is_empty() {
        return Ok(());
    }
    let operands = Operands {
        constants: dispatch.constants.as_ptr(),
        constant_count: u16::from(export.attributes.constant_count),
        binding_count: export.attributes.binding_count,
        binding_pointers: dispatch.binding_pointers.as_ptr(),
        binding_lengths: dispatch.binding_lengths.as_ptr(),
    };
    let state = geometry.state(&operands, 1);
    let local = scratch.reserve(geometry.local_memory_bytes)?;
    let Some(entry) = executable.entry(ordinal) else {
        bail!(Internal, "export {ordinal} has no entry point");
    };
    // SAFETY: counts, alignment and null pointers were checked above against the export; the arrays are borrowed in
    // `dispatch` for the call; validity of the binding memory is the caller's promise; `local` borrows `scratch`.
    let outcome =
        unsafe { run_grid(entry.function, entry.environment, &state, local, dispatch.processor_id) };
    outcome.map_err(|failure| executable.kernel_failure(ordinal, failure))
}

fn check_operand_counts(export: &crate::executable::Export, dispatch: &DirectDispatch<'_>) -> Result<()> {
    let attributes = &export.attributes;
    let name = &export.name;
    if dispatch.constants.len() != usize::from(attributes.constant_count) {
        let (have, want) = (dispatch.constants.len(), attributes.constant_count);
        bail!(InvalidArgument, "kernel `{name}` takes {want} constants, {have} given");
    }
    let want = usize::from(attributes.binding_count);
    if dispatch.binding_pointers.len() != want || dispatch.binding_lengths.len() != want {
        let (pointers, lengths) = (dispatch.binding_pointers.len(), dispatch.binding_lengths.len());
        bail!(
            InvalidArgument,
            "kernel `{name}` takes {want} bindings, {pointers} pointers and {lengths} lengths given"
        );
    }
    Ok(())
}

/// Growable, 64-byte aligned scratch of one thread, reused between dispatches.
#[derive(Debug, Default)]
pub struct Scratch {
    lines: Vec<CacheLine<[u8; 64]>>,
}

impl Scratch {
    /// Scratch of at least this size; `RESOURCE_EXHAUSTED` if memory is short. Contents are arbitrary.
    #[inline]
    pub fn reserve(&mut self, bytes: u32) -> Result<LocalMemory> {
        if bytes == 0 {
            return Ok(LocalMemory::NONE);
        }
        let lines = bytes.div_ceil(64) as usize;
        if self.lines.len() < lines {
            self.grow(lines)?;
        }
        Ok(LocalMemory { pointer: self.lines.as_mut_ptr().cast(), bytes })
    }

    #[cold]
    fn grow(&mut self, lines: usize) -> Result<()> {
        let more = lines - self.lines.len();
        if self.lines.try_reserve_exact(more).is_err() {
            bail!(ResourceExhausted, "no memory for {} bytes of workgroup local memory", lines * 64);
        }
        self.lines.resize(lines, CacheLine([0; 64]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [hal 160] The field of the dispatch state is one byte: 256 must not look like none.
    #[test]
    fn the_number_of_workers_saturates() {
        let geometry = Geometry { size: [1; 3], count: [1; 3], local_memory_bytes: 0 };
        let operands = Operands {
            constants: std::ptr::null(),
            constant_count: 0,
            binding_count: 0,
            binding_pointers: std::ptr::null(),
            binding_lengths: std::ptr::null(),
        };
        for (workers, told) in [(0, 1), (1, 1), (2, 2), (255, 255), (256, 255), (512, 255), (usize::MAX, 255)]
        {
            assert_eq!(geometry.state(&operands, workers).0.max_concurrency, told, "{workers} workers");
        }
    }
}
