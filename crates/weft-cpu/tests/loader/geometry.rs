//! Grids, sizes, local memory and operands, seen by a kernel that reports what it was told.

use std::ffi::c_void;

use weft_cpu::abi::DispatchAttributes;
use weft_cpu::dispatch::{Geometry, GeometryRequest, LocalMemory, Operands, run_grid};
use weft_cpu::executable::CpuExecutable;
use weft_sync::Code;

use crate::samples::*;

/// Runs `inspect` of the handmade library; its 16 words for each workgroup, in linear order.
fn inspect(run: &Run<'_>) -> Vec<Vec<u32>> {
    let executable = front(load(HANDMADE).unwrap());
    let workgroups = run.count.iter().product::<u32>() as usize;
    let mut bindings = [Bytes::zeroed(4), Bytes::zeroed(64 * workgroups)];
    run.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [workgroups as u32]);
    bindings[1].u32s().chunks(16).map(<[u32]>::to_vec).collect()
}

/// [exec 12] [exec 14] [exec 57]
#[test]
fn every_workgroup_runs_once_in_order_and_knows_the_grid() {
    let seen = inspect(&Run::new("inspect", [3, 4, 5]));
    assert_eq!(seen.len(), 60);
    for (linear, words) in seen.iter().enumerate() {
        let linear = linear as u32;
        assert_eq!(words[..3], [linear % 3, linear / 3 % 4, linear / 12], "id");
        assert_eq!(words[6..9], [3, 4, 5], "count");
        assert_eq!(words[9], 1, "one at a time");
        assert_eq!(words[10..12], [2, 0], "bindings, constants");
        assert_eq!(words[13], 60 * 64, "length of binding 1");
        assert_eq!(words[14], 3, "processor");
        assert_eq!(words[15], linear, "x fastest, then y, then z");
    }
}

/// [exec 60]
#[test]
fn the_size_is_the_exports_unless_the_dispatch_says_otherwise() {
    let size = |size| inspect(&Run { size, ..Run::new("inspect", [1, 1, 1]) })[0][3..6].to_vec();
    assert_eq!(size([0, 0, 0]), [4, 2, 1]);
    assert_eq!(size([8, 0, 0]), [8, 2, 1]);
    assert_eq!(size([12, 6, 9]), [12, 6, 9]);
    let resolve = |flags, declared: [u32; 3], size| {
        let attributes = DispatchAttributes {
            flags,
            workgroup_size_x: declared[0],
            workgroup_size_y: declared[1],
            workgroup_size_z: declared[2] as u16,
            ..DispatchAttributes::default()
        };
        let request = GeometryRequest { size, count: [1, 1, 1], local_memory_bytes: 0 };
        Geometry::resolve(&attributes, &request).map(|geometry| geometry.size).map_err(|status| status.code())
    };
    let dynamic = DispatchAttributes::WORKGROUP_SIZE_DYNAMIC;
    assert_eq!(resolve(0, [0, 0, 0], [0, 0, 0]), Ok([1, 1, 1]));
    assert_eq!(resolve(0, [4, 2, 1], [5, 0, 0]), Ok([5, 2, 1]), "fixed sizes are passed through");
    assert_eq!(resolve(dynamic, [4, 2, 1], [6, 0, 0]), Err(Code::InvalidArgument));
    assert_eq!(resolve(dynamic, [4, 0, 1], [8, 7, 3]), Ok([8, 7, 3]));
    assert_eq!(resolve(0, [0, 0, 0], [1, 1, 65536]), Err(Code::OutOfRange));
    assert_eq!(resolve(0, [0, 0, 0], [1, 1, 65535]), Ok([1, 1, 65535]));
}

/// [exec 14]
#[test]
fn concurrency_saturates_and_is_never_zero() {
    let geometry = Geometry { size: [1; 3], count: [1; 3], local_memory_bytes: 0 };
    let operands = Operands {
        constants: std::ptr::null(),
        constant_count: 0,
        binding_count: 0,
        binding_pointers: std::ptr::null(),
        binding_lengths: std::ptr::null(),
    };
    let told = |workers| geometry.state(&operands, workers).0.max_concurrency;
    assert_eq!([told(0), told(1), told(255), told(256), told(300)], [1, 1, 255, 255, 255]);
}

/// [exec 11]
#[test]
fn after_a_failure_nothing_more_starts_and_the_first_code_is_kept() {
    let executable = front(load(HANDMADE).unwrap());
    for (failing, code) in [(0_u32, 7_u32), (5, 42), (13, u32::MAX), (59, 9)] {
        let constants = [failing, code];
        let run = Run { constants: &constants, ..Run::new("fail", [3, 4, 5]) };
        let mut bindings = [Bytes::zeroed(4)];
        let status = run.on(&executable, &mut bindings).unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        let message = status.message().into_owned();
        assert!(message.contains("`fail`") && message.contains("export 2"), "{message}");
        assert!(message.ends_with(&format!("code {}", code as i32)), "{message}");
        assert_eq!(bindings[0].u32s(), [failing + 1], "workgroups started");
    }
    // Numbers are not status codes, and 0 is success.
    let run = Run { constants: &[3, 0], ..Run::new("fail", [3, 4, 5]) };
    let mut bindings = [Bytes::zeroed(4)];
    run.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [60]);
}

/// [exec 58]
#[test]
fn no_workgroups_is_success_without_a_call_but_operands_are_checked() {
    let executable = front(load(HANDMADE).unwrap());
    for count in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [u32::MAX, u32::MAX, 0]] {
        let mut bindings = [Bytes::zeroed(4), Bytes::zeroed(64)];
        Run::new("inspect", count).on(&executable, &mut bindings).unwrap();
        assert_eq!(bindings[0].u32s(), [0]);
        let status = Run::new("inspect", count).on(&executable, &mut bindings[..1]).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

/// [exec 59]
#[test]
fn grids_that_do_not_fit_are_refused() {
    let executable = front(load(HANDMADE).unwrap());
    let code = |count| {
        let mut bindings = [Bytes::zeroed(4), Bytes::zeroed(64)];
        Run::new("inspect", count).on(&executable, &mut bindings).unwrap_err().code()
    };
    assert_eq!(code([1, 1, 65536]), Code::OutOfRange);
    assert_eq!(code([1 << 16, 1 << 16, 1]), Code::OutOfRange);
    assert_eq!(code([u32::MAX, u32::MAX, 65535]), Code::OutOfRange);
}

/// [exec 59]
#[test]
fn more_than_two_to_the_31_workgroups_all_run() {
    // All of them take seconds in a release build and a minute in a debug build, which runs one plane of the grid.
    let count = if cfg!(debug_assertions) { [0x10001, 1, 3] } else { [0x10001, 0x4000, 2] };
    let executable = front(load(HANDMADE).unwrap());
    // `fail` counts its calls; this number of a workgroup does not occur.
    let run = Run { constants: &[u32::MAX, 1], ..Run::new("fail", count) };
    let mut bindings = [Bytes::zeroed(4)];
    run.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [count.iter().product::<u32>()]);
}

/// [exec 61]
#[test]
fn operands_that_do_not_fit_the_export_are_refused() {
    let executable = front(load(HANDMADE).unwrap());
    let mut buffer = Bytes::zeroed(256);
    let good = buffer.pointer();
    let code = |constants: &[u32], pointers: &[*mut c_void], lengths: &[usize]| {
        let run = Run { constants, ..Run::new("add", [1, 1, 1]) };
        run.with_pointers(&executable, 0, pointers, lengths).err().map(|status| status.code())
    };
    assert_eq!(code(&[0], &[good, good], &[4, 4]), None);
    assert_eq!(code(&[], &[good, good], &[4, 4]), Some(Code::InvalidArgument));
    assert_eq!(code(&[0, 0], &[good, good], &[4, 4]), Some(Code::InvalidArgument));
    assert_eq!(code(&[0], &[good], &[4]), Some(Code::InvalidArgument));
    assert_eq!(code(&[0], &[good, good], &[4]), Some(Code::InvalidArgument));
    assert_eq!(code(&[0], &[good, std::ptr::null_mut()], &[4, 4]), Some(Code::FailedPrecondition));
    let odd = good.wrapping_byte_add(4);
    assert_eq!(code(&[0], &[good, odd], &[4, 4]), Some(Code::InvalidArgument));
    let run = Run::new("add", [1, 1, 1]);
    let status = run.with_pointers(&executable, 4, &[], &[]).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}

/// [exec 63]
#[test]
fn local_memory_is_the_static_pages_and_what_the_dispatch_adds() {
    // `inspect` writes to all of it and checks its alignment.
    let bytes = |more| inspect(&Run { local_memory_bytes: more, ..Run::new("inspect", [2, 1, 1]) })[1][12];
    assert_eq!(bytes(0), 2 * 4096);
    assert_eq!(bytes(1), 2 * 4096 + 1);
    assert_eq!(bytes(100_000), 2 * 4096 + 100_000);
    let attributes = DispatchAttributes { local_memory_pages: 1, ..DispatchAttributes::default() };
    let resolve = |local_memory_bytes| {
        let request = GeometryRequest { size: [0; 3], count: [1; 3], local_memory_bytes };
        Geometry::resolve(&attributes, &request).map(|geometry| geometry.local_memory_bytes)
    };
    assert_eq!(resolve(u32::MAX - 4096).unwrap(), u32::MAX);
    assert_eq!(resolve(u32::MAX - 4095).unwrap_err().code(), Code::OutOfRange);
}

/// [exec 13]
#[test]
#[allow(unsafe_code, reason = "runs a kernel over buffers that live here")]
fn compiled_kernels_see_flushed_denormals_inside_the_guard_only() {
    let executable = load(HANDMADE).unwrap();
    let sum = |executable: &CpuExecutable| {
        let mut input = Bytes::of_f32(&[1e-40]);
        let mut output = Bytes::of_f32(&[-1.0]);
        let entry = executable.entry(0).unwrap();
        let request = GeometryRequest { size: [0; 3], count: [1; 3], local_memory_bytes: 0 };
        let geometry = Geometry::resolve(&entry.attributes, &request).unwrap();
        let constants = [1e-40_f32.to_bits()];
        let pointers = [input.pointer(), output.pointer()];
        let operands = Operands {
            constants: constants.as_ptr(),
            constant_count: 1,
            binding_count: 2,
            binding_pointers: pointers.as_ptr(),
            binding_lengths: [4_usize, 4].as_ptr(),
        };
        let state = geometry.state(&operands, 1);
        // SAFETY: one constant and two aligned bindings of four bytes, as `add` declares.
        unsafe { run_grid(entry.function, entry.environment, &state, LocalMemory::NONE, 0) }.unwrap();
        output.u32s()[0]
    };
    assert_ne!(sum(&executable), 0);
    {
        let _mode = weft_cpu::float_mode::FlushedDenormals::enter();
        assert_eq!(sum(&executable), 0);
    }
    assert_ne!(sum(&executable), 0);
}
