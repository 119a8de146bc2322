//! Compiled inputs, and short ways to load and run them.
#![allow(unsafe_code, reason = "runs kernels over buffers that live here")]
#![allow(dead_code, reason = "not every machine runs every sample")]

use std::ffi::c_void;
use std::sync::Arc;

use weft_cpu::abi::CacheLine;
use weft_cpu::dispatch::{DirectDispatch, GeometryRequest, Scratch, run_direct};
use weft_cpu::executable::CpuExecutable;
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_hal::{CachingMode, Executable, ExecutableParams};
use weft_sync::Result;

/// A sample for the machine that the tests run on, or the x86-64 one where there is none.
macro_rules! host_samples {
    ($($name:ident = $file:literal;)*) => { $(
        #[cfg(not(target_arch = "aarch64"))]
        pub const $name: &[u8] = include_bytes!(concat!("../data/", $file, ".x86_64.so"));
        #[cfg(target_arch = "aarch64")]
        pub const $name: &[u8] = include_bytes!(concat!("../data/", $file, ".arm_64.so"));
    )* };
}

host_samples! {
    MULTIPLY = "multiply";
    MULTIPLY_DEBUG = "multiply.debug";
    MATMUL = "matmul";
    SEVERAL = "several";
    SEVERAL_SYSTEM = "several.system";
    HANDMADE = "handmade";
    HANDMADE_IMPORT = "handmade.import";
}

pub const MULTIPLY_X86: &[u8] = include_bytes!("../data/multiply.x86_64.so");
pub const MULTIPLY_ARM: &[u8] = include_bytes!("../data/multiply.arm_64.so");
pub const MULTIPLY_DEBUG_ARM: &[u8] = include_bytes!("../data/multiply.debug.arm_64.so");
pub const IMPORT_X86: &[u8] = include_bytes!("../data/import.x86_64.so");
pub const CONSTANTS_X86: &[u8] = include_bytes!("../data/constants.x86_64.so");

/// Format of embedded files for this machine.
pub const EMBEDDED: &str =
    if cfg!(target_arch = "aarch64") { "embedded-elf-arm_64" } else { "embedded-elf-x86_64" };

pub fn params<'a>(format: &'a str, data: &'a [u8]) -> ExecutableParams<'a> {
    ExecutableParams { format, data, constants: &[], caching_mode: CachingMode::empty() }
}

/// Loads an embedded ELF file with default options.
pub fn load(data: &[u8]) -> Result<CpuExecutable> {
    Loaders::new(LoaderOptions::default()).load(&params(EMBEDDED, data))
}

/// As a device gives it out.
pub fn front(executable: CpuExecutable) -> Arc<Executable> {
    Executable::new(Box::new(executable))
}

/// Bytes at a 64-byte aligned address.
#[derive(Clone)]
pub struct Bytes {
    lines: Vec<CacheLine<[u8; 64]>>,
    length: usize,
}

impl Bytes {
    pub fn zeroed(length: usize) -> Bytes {
        Bytes { lines: vec![CacheLine([0; 64]); length.div_ceil(64).max(1)], length }
    }

    pub fn of<T: Copy, const N: usize>(values: &[T], to_bytes: impl Fn(T) -> [u8; N]) -> Bytes {
        let mut bytes = Bytes::zeroed(values.len() * N);
        for (index, &value) in values.iter().enumerate() {
            let at = index * N;
            bytes.lines[at / 64].0[at % 64..at % 64 + N].copy_from_slice(&to_bytes(value));
        }
        bytes
    }

    pub fn of_f32(values: &[f32]) -> Bytes {
        Bytes::of(values, f32::to_le_bytes)
    }

    pub fn of_u32(values: &[u32]) -> Bytes {
        Bytes::of(values, u32::to_le_bytes)
    }

    pub fn pointer(&mut self) -> *mut c_void {
        self.lines.as_mut_ptr().cast()
    }

    pub fn u32s(&self) -> Vec<u32> {
        let bytes: Vec<u8> = self.lines.iter().flat_map(|line| line.0).take(self.length).collect();
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    pub fn f32s(&self) -> Vec<f32> {
        self.u32s().into_iter().map(f32::from_bits).collect()
    }
}

/// One dispatch, built step by step.
pub struct Run<'a> {
    pub name: &'a str,
    pub size: [u32; 3],
    pub count: [u32; 3],
    pub local_memory_bytes: u32,
    pub constants: &'a [u32],
}

impl<'a> Run<'a> {
    pub fn new(name: &'a str, count: [u32; 3]) -> Run<'a> {
        Run { name, size: [0; 3], count, local_memory_bytes: 0, constants: &[] }
    }

    pub fn on(&self, executable: &Executable, bindings: &mut [Bytes]) -> Result<()> {
        let function = executable.lookup_function(self.name)?;
        let pointers: Vec<*mut c_void> = bindings.iter_mut().map(Bytes::pointer).collect();
        let lengths: Vec<usize> = bindings.iter().map(|binding| binding.length).collect();
        self.with_pointers(executable, u32::try_from(function.0).unwrap(), &pointers, &lengths)
    }

    pub fn with_pointers(
        &self,
        executable: &Executable,
        ordinal: u32,
        pointers: &[*mut c_void],
        lengths: &[usize],
    ) -> Result<()> {
        let dispatch = DirectDispatch {
            ordinal,
            geometry: GeometryRequest {
                size: self.size,
                count: self.count,
                local_memory_bytes: self.local_memory_bytes,
            },
            constants: self.constants,
            binding_pointers: pointers,
            binding_lengths: lengths,
            processor_id: 3,
        };
        let executable = executable.backend::<CpuExecutable>().expect("made by this crate");
        // SAFETY: the pointers are those of the caller's exclusive buffers (or are rejected before use).
        unsafe { run_direct(executable, &dispatch, &mut Scratch::default()) }
    }
}
