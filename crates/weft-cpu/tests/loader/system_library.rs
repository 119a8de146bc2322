//! Libraries that the system's own loader links.

use std::path::PathBuf;

use weft_cpu::executable::CpuExecutable;
use weft_cpu::loader::{LoaderOptions, Loaders, SystemLibrary};
use weft_hal::FunctionId;
use weft_sync::{Code, Result};

use crate::samples::*;

const FORMAT: &str = if cfg!(target_arch = "aarch64") { "system-elf-arm_64" } else { "system-elf-x86_64" };

fn load_system(data: &[u8]) -> Result<CpuExecutable> {
    Loaders::new(LoaderOptions::default()).load(&params(FORMAT, data))
}

fn remainder(executable: CpuExecutable) {
    let executable = front(executable);
    let name = (0..executable.function_count() as u64)
        .map(|ordinal| executable.function(FunctionId(ordinal)).unwrap().name.clone())
        .find(|name| name.starts_with("rem"))
        .unwrap();
    let a: Vec<f32> = (0..16).map(|i| i as f32 + 0.5).collect();
    let mut bindings = [Bytes::of_f32(&a), Bytes::of_f32(&[3.0; 16]), Bytes::zeroed(64)];
    Run::new(&name, [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    let expected: Vec<f32> = a.iter().map(|x| x % 3.0).collect();
    assert_eq!(bindings[2].f32s(), expected);
}

/// [exec 31] [exec 32]
#[test]
fn a_library_that_needs_libm_runs_from_memory() {
    remainder(load_system(SEVERAL_SYSTEM).unwrap());
}

/// [exec 31]
#[test]
fn a_library_with_a_footer_runs() {
    let mut blob = vec![0xEE; 16];
    blob.extend(SEVERAL_SYSTEM);
    blob.extend(b"debug database");
    let (library, debug) = (SEVERAL_SYSTEM.len() as u64, 14_u64);
    blob.extend(b"IREEDBG\0");
    blob.extend([0; 8]);
    for word in [16, library, 16 + library, debug] {
        blob.extend(word.to_le_bytes());
    }
    remainder(load_system(&blob).unwrap());
    let at = blob.len() - 8;
    blob[at] = 15;
    assert_eq!(load_system(&blob).unwrap_err().code(), Code::OutOfRange);
}

/// [exec 32]
#[test]
fn a_missing_symbol_fails_at_load_with_its_name() {
    let mut data = SEVERAL_SYSTEM.to_vec();
    let at = data.windows(7).position(|window| window == b"\0fmodf\0").unwrap();
    data[at + 1..at + 6].copy_from_slice(b"fmodq");
    let status = load_system(&data).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("fmodq"), "{status}");
}

#[test]
fn what_is_no_library_is_refused() {
    for garbage in [&b""[..], b"garbage", &SEVERAL_SYSTEM[..200]] {
        let status = load_system(garbage).unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    }
    let mut data = SEVERAL_SYSTEM.to_vec();
    let names: Vec<usize> = (0..data.len() - 4)
        .filter(|&at| &data[at..at + 4] == b"iree" && data[at..].starts_with(b"iree_hal_exec"))
        .collect();
    for at in names {
        data[at] = b'x';
    }
    let status = load_system(&data).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("iree_hal_executable_library_query"), "{status}");
}

/// [exec 33]
#[test]
fn embedded_files_load_as_system_libraries_too() {
    let executable = front(load_system(MULTIPLY).unwrap());
    let name = executable.function(FunctionId(0)).unwrap().name.clone();
    let mut bindings = [Bytes::of_f32(&[1.0; 4]), Bytes::of_f32(&[2.0; 4]), Bytes::zeroed(16)];
    Run::new(&name, [1, 1, 1]).on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[2].f32s(), [2.0; 4]);
}

/// Descriptors of this process that lead to a library's file.
fn open_libraries() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().contains("weft-"))
        .count()
}

fn temporary_libraries() -> Vec<PathBuf> {
    let mark = format!("weft-{}-", std::process::id());
    let files = std::fs::read_dir(std::env::temp_dir()).unwrap();
    files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&mark)))
        .collect()
}

/// [exec 31] [exec 65]
#[test]
fn neither_descriptors_nor_files_are_left() {
    let loaded: Vec<_> = (0..40).map(|_| load_system(SEVERAL_SYSTEM).unwrap()).collect();
    for _ in 0..100 {
        drop(load_system(SEVERAL_SYSTEM).unwrap());
        drop(load_system(b"garbage").unwrap_err());
    }
    // Another test may be in the middle of a load.
    assert!(open_libraries() < 10, "{}", open_libraries());
    assert_eq!(temporary_libraries(), [] as [PathBuf; 0]);
    drop(loaded);
}

/// Each load is a library of its own, even if its file has the descriptor number of an earlier one that is still loaded.
#[test]
fn libraries_are_not_taken_for_each_other() {
    let first = load_system(SEVERAL_SYSTEM).unwrap();
    let second = load_system(MULTIPLY).unwrap();
    let third = load_system(HANDMADE).unwrap();
    assert_eq!(first.library_name(), "several_linked");
    assert_eq!(second.library_name(), "mul_dispatch_0");
    assert_eq!(third.library_name(), "handmade");
    // Globals are not shared between two loads of the same bytes.
    let fourth = front(load_system(HANDMADE).unwrap());
    let third = front(third);
    for executable in [&third, &fourth] {
        let mut bindings = [Bytes::zeroed(20)];
        Run::new("globals", [1, 1, 1]).on(executable, &mut bindings).unwrap();
        assert_eq!(bindings[0].u32s(), [5, 41, 30, 20, 42]);
    }
}

/// [exec 31]
#[test]
fn preserved_libraries_stay_in_the_directory() {
    let directory = std::env::temp_dir().join(format!("weft-preserve-{}", std::process::id()));
    let loaders = |directory: PathBuf| {
        let system = SystemLibrary { preserve_in: Some(directory) };
        Loaders::new(LoaderOptions { system, ..LoaderOptions::default() })
    };
    let status = loaders(directory.clone()).load(&params(FORMAT, SEVERAL_SYSTEM)).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    std::fs::create_dir(&directory).unwrap();
    remainder(loaders(directory.clone()).load(&params(FORMAT, SEVERAL_SYSTEM)).unwrap());
    let kept: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), SEVERAL_SYSTEM);
    std::fs::remove_dir_all(&directory).unwrap();
}
