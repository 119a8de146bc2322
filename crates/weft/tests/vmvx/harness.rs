//! Short ways to make an executable of assembly text, and to dispatch it over memory that lives here.
#![allow(unsafe_code, reason = "runs kernels over buffers that live here")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use weft::cpu::abi::CacheLine;
use weft::cpu::dispatch::{DirectDispatch, GeometryRequest, Scratch, run_direct};
use weft::cpu::executable::CpuExecutable;
use weft::cpu::loader::LoaderOptions;
use weft::hal::{CachingMode, ExecutableParams};
use weft::vm::module_builder::ModuleBuilder;
use weft::{Code, Result, VMVX_FORMAT, default_loaders};

/// What every kernel takes.
pub const KERNEL: &str = "0rrriiiiiiiii_v";

/// A module with one kernel `run` of this text.
pub fn kernel(bindings: usize, constants: usize, text: &str) -> ModuleBuilder {
    ModuleBuilder::new("kernels")
        .function("run", KERNEL, text)
        .function_attribute("binding_count", &bindings.to_string())
        .function_attribute("constant_count", &constants.to_string())
}

/// Loads with the loaders that devices have.
pub fn load(data: &[u8]) -> Result<CpuExecutable> {
    load_with(data, &[])
}

pub fn load_with(data: &[u8], constants: &[u32]) -> Result<CpuExecutable> {
    let params =
        ExecutableParams { format: VMVX_FORMAT, data, constants, caching_mode: CachingMode::empty() };
    default_loaders(LoaderOptions::default()).load(&params)
}

/// Builds and loads what is well-formed.
pub fn load_built(module: ModuleBuilder) -> CpuExecutable {
    load(&module.build().expect("assembles")).expect("loads")
}

pub fn load_code(module: ModuleBuilder) -> Option<Code> {
    load(&module.build().expect("assembles")).err().map(|status| status.code())
}

/// Bytes at an address that is aligned to 64.
pub struct Bytes {
    lines: Vec<CacheLine<[u8; 64]>>,
    length: usize,
}

impl Bytes {
    pub fn zeroed(length: usize) -> Bytes {
        Bytes { lines: vec![CacheLine([0; 64]); length.div_ceil(64).max(1)], length }
    }

    pub fn new(bytes: &[u8]) -> Bytes {
        let mut all = Bytes::zeroed(bytes.len());
        for (line, chunk) in all.lines.iter_mut().zip(bytes.chunks(64)) {
            line.0[..chunk.len()].copy_from_slice(chunk);
        }
        all
    }

    pub fn of_u32(values: &[u32]) -> Bytes {
        Bytes::new(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn of_f32(values: &[f32]) -> Bytes {
        Bytes::of_u32(&values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.0).take(self.length).collect()
    }

    pub fn u32s(&self) -> Vec<u32> {
        self.bytes().as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    pub fn f32s(&self) -> Vec<f32> {
        self.u32s().into_iter().map(f32::from_bits).collect()
    }
}

/// One dispatch of an export.
pub struct Run<'a> {
    pub ordinal: u32,
    pub size: [u32; 3],
    pub count: [u32; 3],
    pub local_memory_bytes: u32,
    pub constants: &'a [u32],
}

impl Default for Run<'_> {
    fn default() -> Self {
        Run { ordinal: 0, size: [0; 3], count: [1; 3], local_memory_bytes: 0, constants: &[] }
    }
}

impl Run<'_> {
    pub fn on(&self, executable: &CpuExecutable, bindings: &mut [Bytes]) -> Result<()> {
        let lengths: Vec<usize> = bindings.iter().map(|binding| binding.length).collect();
        let pointers: Vec<*mut c_void> =
            bindings.iter_mut().map(|binding| binding.lines.as_mut_ptr().cast()).collect();
        let dispatch = DirectDispatch {
            ordinal: self.ordinal,
            geometry: GeometryRequest {
                size: self.size,
                count: self.count,
                local_memory_bytes: self.local_memory_bytes,
            },
            constants: self.constants,
            binding_pointers: &pointers,
            binding_lengths: &lengths,
            processor_id: 0,
        };
        // SAFETY: the pointers are those of the bindings, borrowed uniquely for the call, with their lengths.
        unsafe { run_direct(executable, &dispatch, &mut Scratch::default()) }
    }
}

/// An argument of an imported function.
#[derive(Clone, Copy)]
pub enum Argument {
    /// A binding.
    Buffer(usize),
    /// The push constants, which are read-only.
    Constants,
    Null,
    I32(i32),
    I64(i64),
}

/// A module whose kernel makes one call of a function of `vmvx`, with `bindings` bindings.
pub fn caller_of(name: &str, cconv: &str, bindings: usize, arguments: &[Argument]) -> ModuleBuilder {
    let (mut text, mut operands, mut next_value, mut next_ref) = (String::new(), Vec::new(), 10, 3);
    for argument in arguments {
        match argument {
            Argument::Buffer(index) => {
                text += &format!(
                    "%i9 = vm.const.i32 {index}\n%r{next_ref} = vm.list.get.ref %r2, %i9 : !vm.buffer\n"
                );
                operands.push(format!("%r{next_ref}"));
                next_ref += 1;
            }
            Argument::Constants => operands.push("%r1".to_owned()),
            Argument::Null => {
                text += &format!("%r{next_ref} = vm.const.ref.zero\n");
                operands.push(format!("%r{next_ref}"));
                next_ref += 1;
            }
            Argument::I32(value) => {
                text += &format!("%i{next_value} = vm.const.i32 {value}\n");
                operands.push(format!("%i{next_value}"));
                next_value += 2;
            }
            Argument::I64(value) => {
                text += &format!("%i{next_value}:{} = vm.const.i64 {value}\n", next_value + 1);
                operands.push(format!("%i{next_value}"));
                next_value += 2;
            }
        }
    }
    text += &format!("vm.call @vmvx.{name}({})\nvm.return", operands.join(", "));
    ModuleBuilder::new("kernels")
        .dependency("vmvx", 0)
        .import(&format!("vmvx.{name}"), cconv)
        .function("run", KERNEL, &text)
        .function_attribute("binding_count", &bindings.to_string())
        .function_attribute("constant_count", "1")
}

/// Calls a function of `vmvx` over these bindings.
pub fn call(name: &str, cconv: &str, bindings: &mut [Bytes], arguments: &[Argument]) -> Result<()> {
    let executable = load_built(caller_of(name, cconv, bindings.len(), arguments));
    Run { constants: &[0], ..Run::default() }.on(&executable, bindings)
}

/// One binding of words that several dispatches use at the same time.
pub struct Shared(CacheLine<[AtomicU32; 16]>);

impl Shared {
    pub fn new(count: usize) -> Shared {
        let shared = Shared(CacheLine(Default::default()));
        shared.0.0[count..].iter().for_each(|word| word.store(1, Relaxed));
        shared
    }

    pub fn all_are_one(&self) -> bool {
        self.0.0.iter().all(|word| word.load(Relaxed) == 1)
    }

    pub fn run(&self, executable: &CpuExecutable, constants: &[u32]) -> Result<()> {
        let pointers = [std::ptr::from_ref(&self.0).cast_mut().cast::<c_void>()];
        let dispatch = DirectDispatch {
            ordinal: 0,
            geometry: GeometryRequest { size: [0; 3], count: [1; 3], local_memory_bytes: 0 },
            constants,
            binding_pointers: &pointers,
            binding_lengths: &[64],
            processor_id: 0,
        };
        // SAFETY: 64 bytes of atomics, which bytecode accesses atomically as well.
        unsafe { run_direct(executable, &dispatch, &mut Scratch::default()) }
    }
}
