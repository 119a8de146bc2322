//! Real files, loaded and run.

use std::sync::Arc;

use weft_cpu::executable::CpuExecutable;
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_hal::{CachingMode, ExecutableParams, FunctionFlags, FunctionId, ParameterKind};
use weft_sync::Code;

use crate::samples::*;

fn multiplies(executable: CpuExecutable) {
    let executable = front(executable);
    let name = executable.function(FunctionId(0)).unwrap().name.clone();
    let mut bindings = [
        Bytes::of_f32(&[1.0, 2.0, 3.0, 4.0]),
        Bytes::of_f32(&[100.0, 200.0, 300.0, 400.0]),
        Bytes::zeroed(16),
    ];
    Run::new(&name, [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[2].f32s(), [100.0, 400.0, 900.0, 1600.0]);
}

/// [exec 17] [exec 1]
#[test]
fn stripped_and_debug_builds_multiply() {
    multiplies(load(MULTIPLY).unwrap());
    let debug = load(MULTIPLY_DEBUG).unwrap();
    let location =
        debug.export(0).unwrap().location.clone().expect("debug builds say where kernels come from");
    assert!(location.path.ends_with("multiply.mlir"), "{location:?}");
    multiplies(debug);
    assert_eq!(load(MULTIPLY).unwrap().export(0).unwrap().location, None);
}

/// [exec 18]
#[test]
fn a_512x512_matmul_is_right() {
    let executable = front(load(MATMUL).unwrap());
    let info = executable.function(FunctionId(0)).unwrap();
    let (name, count) = (info.name.clone(), usize::from(info.binding_count));
    assert_eq!(count, 3, "{info:?}");
    let n = 512;
    let a: Vec<f32> = (0..n * n).map(|i| (i % 13) as f32 - 6.0).collect();
    let b: Vec<f32> = (0..n * n).map(|i| (i % 7) as f32 * 0.5).collect();
    let mut bindings = [Bytes::of_f32(&a), Bytes::of_f32(&b), Bytes::of_f32(&vec![1.0; n * n])];
    // 64x64 tiles, numbered along x.
    Run::new(&name, [64, 1, 1]).on(&executable, &mut bindings).unwrap();
    let out = bindings[2].f32s();
    for (row, column) in [(0, 0), (1, 2), (511, 511), (100, 300), (63, 64), (256, 0)] {
        let sum: f32 = (0..n).map(|k| a[row * n + k] * b[k * n + column]).sum();
        // Small multiples of one half: exact in any order.
        assert_eq!(out[row * n + column], sum + 1.0, "({row}, {column})");
    }
}

/// [exec 19]
#[test]
fn an_input_at_any_address_loads() {
    for offset in [1, 3, 7, 63] {
        let mut padded = vec![0xAA; offset];
        padded.extend(MULTIPLY);
        multiplies(load(&padded[offset..]).unwrap());
    }
}

/// [exec 22]
#[test]
fn a_file_without_section_headers_loads() {
    let mut data = MULTIPLY.to_vec();
    data[40..48].fill(0);
    data[58..64].fill(0);
    // Nor are the bytes needed that no segment covers.
    let end =
        crate::patch::Elf::parse(&data).loads().map(|load| load.offset + load.file_bytes).max().unwrap();
    data.truncate(end as usize);
    multiplies(load(&data).unwrap());
}

/// [exec 3] [exec 4]
#[test]
fn a_handmade_library_adds() {
    let executable = front(load(HANDMADE).unwrap());
    let mut bindings = [Bytes::of_f32(&[1.0, 2.0, 3.0, 4.0]), Bytes::zeroed(16)];
    let constants = [5.0_f32.to_bits()];
    let run = Run { constants: &constants, ..Run::new("add", [4, 1, 1]) };
    run.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[1].f32s(), [6.0, 7.0, 8.0, 9.0]);
}

/// [exec 5] [exec 7]
#[test]
fn reflection_tells_what_the_library_says() {
    let executable = front(load(HANDMADE).unwrap());
    assert_eq!(executable.function_count(), 4);
    let add = executable.function(FunctionId(0)).unwrap();
    assert_eq!((&*add.name, add.flags), ("add", FunctionFlags::empty()));
    assert_eq!((add.constant_count, add.binding_count, add.parameter_count), (1, 2, 3));
    assert_eq!(add.workgroup_size, [0, 0, 0]);
    let inspect = executable.function(FunctionId(1)).unwrap();
    assert_eq!(inspect.flags, FunctionFlags::SEQUENTIAL | FunctionFlags::WORKGROUP_SIZE_DYNAMIC);
    assert_eq!(inspect.workgroup_size, [4, 2, 1]);
    for missing in [4, 100, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(executable.function(FunctionId(missing)).unwrap_err().code(), Code::OutOfRange);
    }
    assert_eq!(executable.lookup_function("add").unwrap(), FunctionId(0));
    assert_eq!(executable.lookup_function("fail").unwrap(), FunctionId(2));
    let status = executable.lookup_function("adds").unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("adds"), "{status}");
    assert_eq!(executable.lookup_global("table").unwrap_err().code(), Code::Unimplemented);
}

/// [exec 7]
#[test]
fn of_two_exports_with_one_name_the_first_is_found() {
    let mut data = HANDMADE.to_vec();
    // The name of export 3 becomes that of export 1, letter by letter: both have seven.
    let at = data.windows(9).position(|window| window == b"\0globals\0").unwrap();
    data[at + 1..at + 8].copy_from_slice(b"inspect");
    let executable = front(load(&data).unwrap());
    assert_eq!(executable.function(FunctionId(3)).unwrap().name, "inspect");
    assert_eq!(executable.lookup_function("inspect").unwrap(), FunctionId(1));
}

/// [exec 6]
#[test]
fn parameters_fill_the_capacity_and_unknown_kinds_are_constants() {
    let executable = front(load(HANDMADE).unwrap());
    let all = executable.parameters(FunctionId(0), 100).unwrap();
    let seen: Vec<_> = all.iter().map(|p| (p.kind, &*p.name, p.size, p.offset)).collect();
    assert_eq!(
        seen,
        [
            (ParameterKind::Binding, "out", 0, 1),
            (ParameterKind::Binding, "in", 0, 0),
            (ParameterKind::Constant, "", 4, 0)
        ]
    );
    assert_eq!(executable.parameters(FunctionId(0), 2).unwrap(), all[..2]);
    assert_eq!(executable.parameters(FunctionId(0), 0).unwrap(), []);
    assert_eq!(executable.parameters(FunctionId(1), 9).unwrap_err().code(), Code::Unavailable);
    assert_eq!(executable.parameters(FunctionId(4), 9).unwrap_err().code(), Code::OutOfRange);
}

/// [exec 10]
#[test]
fn tags_and_locations_are_those_of_their_own_export() {
    // The sample's empty tables have pointers to nowhere.
    let executable = load(HANDMADE).unwrap();
    let export = |ordinal| executable.export(ordinal).unwrap();
    assert_eq!(export(0).tag.as_deref(), Some("adds one constant"));
    assert_eq!(export(1).tag, None);
    let location = |ordinal| export(ordinal).location.as_ref().map(|at| (&*at.path, at.line));
    assert_eq!(location(0), Some(("hand.c", 10)));
    // The stage table of this very export comes first.
    assert_eq!(location(1), Some(("ir.ml", 7)));
    assert_eq!(location(2), Some(("hand.c", 30)));
}

/// [exec 29]
#[test]
fn globals_and_their_relocations_work() {
    let executable = front(load(HANDMADE).unwrap());
    let mut bindings = [Bytes::zeroed(20)];
    for call in 1..=3 {
        Run::new("globals", [1, 1, 1]).on(&executable, &mut bindings).unwrap();
        assert_eq!(bindings[0].u32s(), [5 * call, 40 + call, 30, 20, 42]);
    }
    // Each load has globals of its own.
    let second = front(load(HANDMADE).unwrap());
    Run::new("globals", [1, 1, 1]).on(&second, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s()[..2], [5, 41]);
}

fn load_with_constants(constants: &[u32], data: &[u8]) -> weft_sync::Result<CpuExecutable> {
    let params = ExecutableParams { constants, ..params(EMBEDDED, data) };
    Loaders::new(LoaderOptions::default()).load(&params)
}

/// [exec 55]
#[test]
#[cfg(target_arch = "x86_64")]
fn undeclared_constants_reach_the_kernel_and_survive_the_callers_buffer() {
    let mut constants = vec![3, 7];
    let executable = load_with_constants(&constants, CONSTANTS_X86).unwrap();
    constants.fill(0xFFFF);
    drop(constants);
    assert_eq!(executable.constants(), [3, 7]);
    let executable = front(executable);
    let mut bindings = [Bytes::of_u32(&[1, 2, 3, 4]), Bytes::zeroed(16)];
    Run::new("shift_scale", [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[1].u32s(), [28, 35, 42, 49]);
}

/// [exec 55]
#[test]
fn declared_constants_must_be_given_exactly() {
    let mut data = HANDMADE.to_vec();
    // constants.count of the library table, which the sample's name table precedes: found by its neighbours.
    let at = crate::patch::library_table(&data) + 104;
    data[at..at + 4].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(load_with_constants(&[1, 2], &data).unwrap().constants(), [1, 2]);
    for wrong in [&[][..], &[1], &[1, 2, 3]] {
        assert_eq!(load_with_constants(wrong, &data).unwrap_err().code(), Code::FailedPrecondition);
    }
}

/// [exec 8]
#[test]
fn verification_can_be_disabled_for_the_table_alone() {
    let mut data = HANDMADE.to_vec();
    crate::patch::set_operand_counts(&mut data, 0, 65, 2);
    assert_eq!(load(&data).unwrap_err().code(), Code::OutOfRange);
    let trusting =
        ExecutableParams { caching_mode: CachingMode::DISABLE_VERIFICATION, ..params(EMBEDDED, &data) };
    let executable = Loaders::new(LoaderOptions::default()).load(&trusting).unwrap();
    assert_eq!(executable.export(0).unwrap().attributes.constant_count, 65);
    crate::patch::set_operand_counts(&mut data, 0, 1, 65);
    assert_eq!(load(&data).unwrap_err().code(), Code::OutOfRange);
    crate::patch::set_operand_counts(&mut data, 0, 64, 64);
    load(&data).unwrap();
}

/// [exec 16]
#[test]
fn many_threads_load_the_same_bytes() {
    let loaders = Arc::new(Loaders::new(LoaderOptions::default()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let loaders = Arc::clone(&loaders);
            scope.spawn(move || {
                for _ in 0..25 {
                    multiplies(loaders.load(&params(EMBEDDED, MULTIPLY)).unwrap());
                }
            });
        }
    });
}

/// [exec 15] [exec 65]
#[test]
fn an_executable_outlives_its_loaders_and_is_released_on_any_thread() {
    let loaders = Loaders::new(LoaderOptions::default());
    let executable = front(loaders.load(&params(EMBEDDED, MULTIPLY)).unwrap());
    drop(loaders);
    let worker = std::thread::spawn(move || {
        let mut bindings = [Bytes::of_f32(&[2.0; 4]), Bytes::of_f32(&[3.0; 4]), Bytes::zeroed(16)];
        let name = executable.function(FunctionId(0)).unwrap().name.clone();
        Run::new(&name, [1, 1, 1]).on(&executable, &mut bindings).unwrap();
        bindings[2].f32s()
    });
    assert_eq!(worker.join().unwrap(), [6.0; 4]);
}

/// [exec 64]
#[test]
fn several_exports_run_by_name() {
    let executable = front(load(SEVERAL).unwrap());
    let name_with = |part: &str| {
        (0..executable.function_count() as u64)
            .map(|ordinal| executable.function(FunctionId(ordinal)).unwrap().name.clone())
            .find(|name| name.contains(part))
            .unwrap_or_else(|| panic!("no export with {part}"))
    };
    let input: Vec<f32> = (0..120).map(|i| i as f32).collect();
    let mut negated = [Bytes::of_f32(&input), Bytes::zeroed(480)];
    Run::new(&name_with("two_dispatch_0"), [1, 1, 1]).on(&executable, &mut negated).unwrap();
    // Chained: the result of the first is the input of the second.
    let mut doubled = [negated[1].clone(), Bytes::zeroed(480)];
    Run::new(&name_with("two_dispatch_1"), [1, 1, 1]).on(&executable, &mut doubled).unwrap();
    let expected: Vec<f32> = input.iter().map(|x| -2.0 * x).collect();
    assert_eq!(doubled[1].f32s(), expected);
}
