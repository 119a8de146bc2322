//! The floor of a program: the very kernel of a compiled module, called in a bare loop.
//!
//! The kernel comes from the module's own rodata through weft's loader; everything around it is left out.

#![allow(
    unsafe_code,
    reason = "calls the kernels of the repository's own modules with buffers of the right sizes"
)]

use std::ffi::c_void;
use std::ops::Range;
use std::path::Path;

use weft_cpu::abi::{CacheLine, DispatchState, WorkgroupState};
use weft_cpu::dispatch::{Geometry, Operands};
use weft_cpu::executable::{CpuExecutable, EntryPoint};
use weft_cpu::float_mode::FlushedDenormals;
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_hal::{CachingMode, ExecutableParams};
use weft_sync::{Result, status};
use weft_vm::{Archive, ModuleBytes};

/// Memory for one binding, aligned as kernels demand.
#[derive(Clone)]
pub struct Memory(Vec<Line>);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Memory {
    /// `count` floats of this value.
    pub fn floats(count: usize, value: f32) -> Memory {
        Memory(vec![Line([value; 16]); count.div_ceil(16)])
    }

    fn bytes(&self) -> usize {
        self.0.len() * size_of::<Line>()
    }
}

const FIRST_WORKGROUP: WorkgroupState = WorkgroupState {
    workgroup_id_x: 0,
    workgroup_id_y: 0,
    workgroup_id_z: 0,
    reserved: 0,
    processor_id: 0,
    local_memory: std::ptr::null_mut(),
    local_memory_size: 0,
    padding: 0,
};

/// The only kernel of a module of `models/bench`, with what it works on.
pub struct BareKernel {
    /// Keeps the code mapped.
    _executable: CpuExecutable,
    entry: EntryPoint,
    /// Keeps the bytes behind `pointers`.
    _memory: Vec<Memory>,
    pointers: Vec<*mut c_void>,
    lengths: Vec<usize>,
    constants: Vec<u32>,
}

impl BareKernel {
    /// Finds and loads the kernel; its bindings are `memory`, its constants `constants`, in order.
    pub fn load(module: &Path, mut memory: Vec<Memory>, constants: &[u32]) -> Result<BareKernel> {
        let bytes = ModuleBytes::read_file(module)?;
        let archive = Archive::parse(&bytes)?;
        let elf = archive
            .rodata
            .iter()
            .map(|segment| &bytes[segment.range.clone()])
            .find(|data| data.starts_with(b"\x7fELF"))
            .ok_or_else(|| status!(NotFound, "no kernels in {}", module.display()))?;
        let loaders = Loaders::new(LoaderOptions::default());
        let format = concat!("embedded-elf-", "x86_64");
        let caching_mode = CachingMode::empty();
        let executable =
            loaders.load(&ExecutableParams { format, data: elf, constants: &[], caching_mode })?;
        let entry =
            *executable.entry(0).ok_or_else(|| status!(NotFound, "an executable without functions"))?;
        let attributes = &entry.attributes;
        let declared = (usize::from(attributes.binding_count), usize::from(attributes.constant_count));
        if declared != (memory.len(), constants.len()) {
            return Err(status!(Internal, "the kernel wants {declared:?} bindings and constants"));
        }
        let lengths = memory.iter().map(Memory::bytes).collect();
        let pointers = memory.iter_mut().map(|memory| memory.0.as_mut_ptr().cast()).collect();
        let constants = constants.to_vec();
        Ok(BareKernel { _executable: executable, entry, _memory: memory, pointers, lengths, constants })
    }

    /// Calls the kernel for each workgroup of a row, the row `repeats` times, and nothing else.
    pub fn run(&self, workgroups: u32, repeats: u32) {
        let caller = Caller { kernel: self.entry, operands: self.operands(), workgroups };
        caller.run(0..workgroups, repeats);
    }

    /// Calls it for each workgroup of a row, one half on a thread of its own. The thread is started for it, so this is a
    /// floor only for rows that take milliseconds.
    pub fn run_on_two_threads(&self, workgroups: u32) {
        let caller = Caller { kernel: self.entry, operands: self.operands(), workgroups };
        std::thread::scope(|scope| {
            let caller = &caller;
            scope.spawn(move || caller.run(workgroups / 2..workgroups, 1));
            caller.run(0..workgroups / 2, 1);
        });
    }

    fn operands(&self) -> Operands {
        Operands {
            constants: self.constants.as_ptr(),
            constant_count: self.constants.len() as u16,
            binding_count: self.pointers.len() as u8,
            binding_pointers: self.pointers.as_ptr(),
            binding_lengths: self.lengths.as_ptr(),
        }
    }
}

/// A row of workgroups to be called for, by one thread or by several.
struct Caller {
    kernel: EntryPoint,
    operands: Operands,
    workgroups: u32,
}

// SAFETY: it lives in calls of a kernel that is borrowed meanwhile, whose memory and code stay where they are; the
// workgroups of a compiled dispatch may run at the same time, and no workgroup is in two parts.
unsafe impl Sync for Caller {}

impl Caller {
    fn run(&self, part: Range<u32>, repeats: u32) {
        let geometry = Geometry { size: [1; 3], count: [self.workgroups, 1, 1], local_memory_bytes: 0 };
        let state: CacheLine<DispatchState> = geometry.state(&self.operands, 1);
        let mut workgroup = CacheLine(FIRST_WORKGROUP);
        let _float_mode = FlushedDenormals::enter();
        for _ in 0..repeats {
            for x in part.clone() {
                workgroup.0.workgroup_id_x = x;
                // SAFETY: the executable is alive, the state describes bindings of the module's own sizes that the
                // kernel owns, and nobody else uses them: `BareKernel` is neither `Send` nor `Sync`.
                let code = unsafe { (self.kernel.function)(self.kernel.environment, &state.0, &workgroup.0) };
                assert_eq!(code, 0, "a kernel of the repository's own modules failed");
            }
        }
    }
}
