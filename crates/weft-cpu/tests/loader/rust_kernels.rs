//! Kernels written in Rust, loaded and dispatched like compiled ones.

use std::num::NonZeroI32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use weft_cpu::loader::{Bundled, LoaderOptions, Loaders};
use weft_cpu::native::{
    KernelError, KernelResult, KernelSpec, NativeKernel, NativeLibrary, ParameterSpec, Workgroup, reads,
    reads_and_writes, writes,
};
use weft_hal::{Executable, ExecutableParams, FunctionFlags, FunctionId, MemoryAccess, ParameterKind};
use weft_sync::{Code, Result, bail};

use crate::samples::*;

pub fn try_load(library: NativeLibrary, constants: &[u32]) -> Result<Arc<Executable>> {
    let name = library.name().to_owned();
    let mut bundled = Bundled::new();
    bundled.register(Arc::new(library))?;
    let loaders = Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() });
    let params = ExecutableParams { constants, ..params("weft-native", name.as_bytes()) };
    loaders.load(&params).map(front)
}

pub fn load(library: NativeLibrary) -> Arc<Executable> {
    try_load(library, &[]).unwrap()
}

/// The `add` of the handmade C library.
struct Add;
impl NativeKernel for Add {
    type State = ();
    const SPEC: KernelSpec = KernelSpec {
        constant_count: 1,
        bindings: &[reads(4), writes(4)],
        workgroup_size: [4, 2, 1],
        workgroup_size_dynamic: true,
        sequential: true,
        local_memory_bytes: 5000,
        parameters: Some(&[
            ParameterSpec { kind: ParameterKind::Binding, size: 0, offset: 0, name: "in" },
            ParameterSpec { kind: ParameterKind::Constant, size: 4, offset: 0, name: "" },
        ]),
        tag: Some("adds one constant"),
        location: Some((file!(), line!())),
        ..KernelSpec::new("add")
    };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> KernelResult {
        let x = workgroup.id()[0] as usize;
        let scratch = workgroup.local_memory();
        if scratch.len() < 5000 || !scratch.as_ptr().addr().is_multiple_of(64) {
            return Err("local memory is not as asked for".into());
        }
        scratch.fill(7);
        let (input, output) = (workgroup.input::<f32>(0), workgroup.output::<f32>(1));
        output.set(x, input.get(x) + f32::from_bits(workgroup.constants()[0]));
        Ok(())
    }
}

fn add_library() -> NativeLibrary {
    NativeLibrary::stateless("native").kernel::<Add>().unwrap().build()
}

/// [exec 35]
#[test]
fn a_rust_kernel_dispatches_and_reflects_like_a_compiled_one() {
    let executable = load(add_library());
    let mut bindings = [Bytes::of_f32(&[1.0, 2.0, 3.0, 4.0]), Bytes::zeroed(16)];
    let constants = [5.0_f32.to_bits()];
    Run { constants: &constants, ..Run::new("add", [4, 1, 1]) }.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[1].f32s(), [6.0, 7.0, 8.0, 9.0]);

    let info = executable.function(FunctionId(0)).unwrap();
    assert_eq!(info.flags, FunctionFlags::SEQUENTIAL | FunctionFlags::WORKGROUP_SIZE_DYNAMIC);
    assert_eq!((info.constant_count, info.binding_count, info.parameter_count), (1, 2, 2));
    assert_eq!(info.workgroup_size, [4, 2, 1]);
    assert_eq!(info.bindings[0].access, MemoryAccess::READ);
    assert_eq!(info.bindings[1].access, MemoryAccess::WRITE);
    let parameters = executable.parameters(FunctionId(0), 9).unwrap();
    assert_eq!((&*parameters[0].name, parameters[1].kind), ("in", ParameterKind::Constant));
    let native = executable.backend::<weft_cpu::executable::CpuExecutable>().unwrap();
    let export = native.export(0).unwrap();
    assert_eq!(export.attributes.local_memory_pages, 2);
    assert_eq!(export.tag.as_deref(), Some("adds one constant"));
    assert!(export.location.as_ref().unwrap().path.ends_with("rust_kernels.rs"));
    assert_eq!(native.library_name(), "native");
}

/// [exec 35]
#[test]
fn bindings_too_short_fail_before_the_first_workgroup() {
    let executable = load(add_library());
    let mut bindings = [Bytes::of_f32(&[1.0]), Bytes::zeroed(3)];
    let status =
        Run { constants: &[0], ..Run::new("add", [1, 1, 1]) }.on(&executable, &mut bindings).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("at least 4 bytes in binding 1, found 3"), "{status}");
}

/// Fails in the way that constant 0 names, on workgroup 2.
struct Fail;
impl NativeKernel for Fail {
    type State = AtomicU32;
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 1, bindings: &[reads(4)], ..KernelSpec::new("fail") };

    fn run(calls: &AtomicU32, workgroup: &mut Workgroup<'_>) -> KernelResult {
        calls.fetch_add(1, Ordering::Relaxed);
        if workgroup.id()[0] != 2 {
            return Ok(());
        }
        match workgroup.constants()[0] {
            0 => panic!("lost {} marbles", 3),
            1 => std::panic::panic_any(17),
            2 => Err(KernelError::new(NonZeroI32::new(-42).unwrap(), "own number")),
            3 => bail_in_kernel().map_err(KernelError::from),
            4 => {
                // Out of range of the binding.
                workgroup.input::<u32>(0).get(1);
                Ok(())
            }
            5 => {
                workgroup.output::<u32>(0).set(0, 1);
                Ok(())
            }
            6 => {
                workgroup.input::<u32>(1);
                Ok(())
            }
            _ => Err("just text".into()),
        }
    }
}

fn bail_in_kernel() -> Result<()> {
    bail!(DataLoss, "a checksum is wrong")
}

/// [exec 35] [exec 11]
#[test]
fn panics_and_errors_fail_the_dispatch_with_their_text() {
    let library = NativeLibrary::with_state("failing", |_| Ok(AtomicU32::new(0)));
    let executable = load(library.kernel::<Fail>().unwrap().build());
    let texts = [
        "code -1: panicked: lost 3 marbles",
        "code -1: panicked: (no text)",
        "code -42: own number",
        "code 15: DATA_LOSS; a checksum is wrong",
        "code -1: panicked: element 1 of 1",
        "code -1: panicked: binding 0 is declared as read only",
        "code -1: panicked: binding 1 of 1",
        "just text",
    ];
    for (way, text) in texts.into_iter().enumerate() {
        let constants = [way as u32];
        let run = Run { constants: &constants, ..Run::new("fail", [100, 1, 1]) };
        let status = run.on(&executable, &mut [Bytes::zeroed(4)]).unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("`fail` (export 0)"), "{status}");
        assert!(status.message().ends_with(text), "{status}");
    }
}

/// Counts calls in shared state; the first constant is the start.
struct Tally;
impl NativeKernel for Tally {
    type State = AtomicU32;
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads_and_writes(4)], ..KernelSpec::new("tally") };

    fn run(total: &AtomicU32, workgroup: &mut Workgroup<'_>) -> KernelResult {
        let total = total.fetch_add(1, Ordering::Relaxed) + 1;
        workgroup.output::<u32>(0).set(0, total);
        Ok(())
    }
}

fn tally_library() -> NativeLibrary {
    let library = NativeLibrary::with_state("tally", |constants| match constants {
        [] => Ok(AtomicU32::new(0)),
        [start] => Ok(AtomicU32::new(*start)),
        more => bail!(InvalidArgument, "one start value, {} given", more.len()),
    });
    library.kernel::<Tally>().unwrap().build()
}

/// [exec 35] [exec 55]
#[test]
fn state_comes_from_the_constants_and_is_shared_by_all_calls_of_one_load() {
    let executable = try_load(tally_library(), &[1000]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    Run::new("tally", [5, 1, 1]).on(&executable, &mut [Bytes::zeroed(4)]).unwrap();
                }
            });
        }
    });
    let mut bindings = [Bytes::zeroed(4)];
    Run::new("tally", [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [1000 + 4 * 50 * 5 + 1]);
    // Another load starts anew.
    Run::new("tally", [1, 1, 1]).on(&try_load(tally_library(), &[]).unwrap(), &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [1]);
    let status = try_load(tally_library(), &[1, 2]).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.to_string().contains("tally"), "{status}");
    assert_eq!(try_load(add_library(), &[1]).unwrap_err().code(), Code::InvalidArgument);
}

/// Each element type, and slices with a promise.
struct Types;
impl NativeKernel for Types {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads(0), writes(0)], ..KernelSpec::new("types") };

    #[allow(unsafe_code, reason = "takes slices of bindings")]
    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> KernelResult {
        let input = workgroup.input::<u8>(0);
        assert_eq!((input.len(), input.is_empty()), (13, false));
        assert_eq!(workgroup.input::<u32>(0).len(), 3);
        assert_eq!(workgroup.input::<f64>(0).len(), 1);
        assert_eq!(workgroup.input::<i16>(0).get(5), i16::from_le_bytes([11, 12]));
        workgroup.output::<i64>(1).set(0, -2);
        assert_eq!(workgroup.output::<i64>(1).get(0), -2);
        assert_eq!(workgroup.output::<u8>(1).get(7), 0xFF);
        // SAFETY: one workgroup, two buffers: nothing else writes to binding 0.
        let bytes = unsafe { input.as_slice() };
        // SAFETY: as above, and the views are not used while the slice lives.
        let slice = unsafe { workgroup.output::<u8>(1).as_mut_slice(8..21) };
        slice.copy_from_slice(bytes);
        Ok(())
    }
}

/// [exec 35]
#[test]
fn views_have_the_types_and_lengths_that_are_asked_for() {
    let executable = load(NativeLibrary::stateless("types").kernel::<Types>().unwrap().build());
    let bytes: Vec<u8> = (1..=13).collect();
    let mut bindings = [Bytes::of(&bytes, |byte| [byte]), Bytes::zeroed(24)];
    Run::new("types", [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[1].u32s(), [u32::MAX - 1, u32::MAX, 0x0403_0201, 0x0807_0605, 0x0C0B_0A09, 13]);
}

#[test]
fn two_kernels_of_one_name_are_refused() {
    let library = NativeLibrary::stateless("twice").kernel::<Add>().unwrap();
    assert_eq!(library.kernel::<Add>().err().unwrap().code(), Code::AlreadyExists);
}
