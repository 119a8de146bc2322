//! Format strings, guessing formats from bytes, the order of loaders.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_cpu::executable::CpuExecutable;
use weft_cpu::features::{FeatureSet, ProcessorWords};
use weft_cpu::loader::format::{HOST_ARCHITECTURE, elf_size, infer};
use weft_cpu::loader::{LoadContext, Loader, LoaderOptions, Loaders};
use weft_hal::ExecutableParams;
use weft_sync::{Code, Result, Status};

use crate::patch::{put16, put64};
use crate::samples::*;

fn loaders() -> Loaders {
    Loaders::new(LoaderOptions::default())
}

/// [exec 52]
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn own_formats_are_supported_and_others_are_not() {
    let loaders = loaders();
    for own in [
        "embedded-elf-x86_64",
        "embedded-elf-x86_64-anything",
        "embedded-fatelf",
        "system-elf-x86_64",
        "system-elf-x86_64-v2",
        "static",
        "weft-native",
    ] {
        assert!(loaders.supports(own), "{own}");
    }
    for other in [
        "embedded-elf-arm_64",
        "embedded-elf-x86_64v9",
        "embedded-elf-x86_6",
        "embedded-elf-",
        "embedded-elf",
        "Embedded-elf-x86_64",
        "system-elf-arm_64",
        "system-dll-x86_64",
        "system-dylib-x86_64",
        "static-x86_64",
        "vmvx-ir",
        "",
        "garbage",
    ] {
        assert!(!loaders.supports(other), "{other}");
    }
}

/// [exec 52] [exec 56]
#[test]
fn an_unknown_format_is_not_found_by_name() {
    let status = loaders().load(&params("embedded-elf-pdp11", MULTIPLY)).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("embedded-elf-pdp11"), "{status}");
}

/// Claims every format starting with `test-` and answers with a fixed status.
struct Declining(&'static str, Status, Arc<AtomicUsize>);
impl Loader for Declining {
    fn name(&self) -> &'static str {
        self.0
    }

    fn claims(&self, format: &str) -> bool {
        format.starts_with("test-")
    }

    fn load(&self, _params: &ExecutableParams<'_>, _context: &LoadContext) -> Result<CpuExecutable> {
        self.2.fetch_add(1, Ordering::Relaxed);
        Err(self.1.clone())
    }
}

/// [exec 56]
#[test]
fn loaders_that_decline_pass_on_and_others_decide() {
    let asked = Arc::new(AtomicUsize::new(0));
    let declining = |name, code, text| Box::new(Declining(name, Status::new(code, text), Arc::clone(&asked)));
    let mut loaders = loaders();
    loaders.push(declining("one", Code::Cancelled, "not today"));
    loaders.push(declining("two", Code::NotFound, "no such thing"));
    let status = loaders.load(&params("test-format", b"")).unwrap_err();
    assert_eq!((status.code(), asked.load(Ordering::Relaxed)), (Code::NotFound, 2));
    for part in ["test-format", "one: CANCELLED; not today", "two: NOT_FOUND; no such thing"] {
        assert!(status.message().contains(part), "{status}");
    }
    loaders.push(declining("three", Code::DataLoss, "broken"));
    loaders.push(declining("four", Code::NotFound, "never asked"));
    let status = loaders.load(&params("test-format", b"")).unwrap_err();
    assert_eq!((status.code(), asked.load(Ordering::Relaxed)), (Code::DataLoss, 5));
}

/// [exec 56]
#[test]
#[cfg(target_arch = "x86_64")]
fn missing_symbols_do_not_look_like_a_missing_loader() {
    let mut data = MULTIPLY.to_vec();
    let name = data.windows(4).position(|window| window == b"iree").unwrap();
    data[name] = b'x';
    let status = loaders().load(&params(EMBEDDED, &data)).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("iree_hal_executable_library_query"), "{status}");
}

#[test]
fn loaders_are_chosen_by_name() {
    let mut some = loaders();
    some.keep_only(&["embedded-elf"]).unwrap();
    assert!(!some.supports("static"));
    let mut none = loaders();
    let status = none.keep_only(&["vulkan"]).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(none.supports("static"));
}

/// [exec 54]
#[test]
fn feature_words_can_be_overridden_and_reach_the_environment() {
    let words: ProcessorWords = [0b101, 2, 3, 4, 5, 6, 7, 8];
    let loaders = Loaders::new(LoaderOptions { processor: Some(words), ..LoaderOptions::default() });
    for (key, bit) in FeatureSet::HOST.keys() {
        assert_eq!(loaders.processor_feature(key), Some(0b101_u64 >> bit & 1 != 0), "{key}");
    }
    assert_eq!(loaders.processor_feature("warp-drive"), None);
}

fn elf(class: u8, machine: u16) -> Vec<u8> {
    let mut data = vec![0; 64];
    data[..4].copy_from_slice(b"\x7FELF");
    data[4] = class;
    data[5] = 1;
    put16(&mut data, 18, machine);
    data
}

fn portable_executable(machine: u16) -> Vec<u8> {
    let mut data = vec![0; 96];
    data[..2].copy_from_slice(b"MZ");
    data[0x3C] = 80;
    data[80..84].copy_from_slice(b"PE\0\0");
    put16(&mut data, 84, machine);
    data
}

/// [exec 53]
#[test]
fn formats_are_guessed_from_bytes() {
    let wide_memory = [&b"\0asm\x01\0\0\0"[..], &[1, 0], &[5, 3, 1, 4, 1]].concat();
    let imported = b"\0asm\x01\0\0\0\x02\x09\x01\x01m\x01n\x02\x05\x01\x02".to_vec();
    let narrow = b"\0asm\x01\0\0\0\x05\x03\x01\x00\x01".to_vec();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (MULTIPLY_X86.to_vec(), "embedded-elf-x86_64"),
        (MULTIPLY_ARM.to_vec(), "embedded-elf-arm_64"),
        (elf(1, 0x03), "embedded-elf-x86_32"),
        (elf(1, 0x28), "embedded-elf-arm_32"),
        (elf(2, 0xF3), "embedded-elf-riscv_64"),
        (elf(1, 0xF3), "embedded-elf-riscv_32"),
        (elf(2, 0x2A), "embedded-elf-unknown"),
        (vec![0xFA, 0x70, 0x0E, 0x1F, 1, 0], "embedded-fatelf"),
        (portable_executable(0x8664), "system-dll-x86_64"),
        (portable_executable(0x014C), "system-dll-x86_32"),
        (portable_executable(0xAA64), "system-dll-arm_64"),
        (portable_executable(0x01C4), "system-dll-arm_32"),
        (b"\xFE\xED\xFA\xCF\x01\x00\x00\x0C".to_vec(), "system-dylib-arm_64"),
        (b"\xCF\xFA\xED\xFE\x07\x00\x00\x01".to_vec(), "system-dylib-x86_64"),
        (b"\xCE\xFA\xED\xFE\x07\x00\x00\x00".to_vec(), "system-dylib-x86_32"),
        (b"\0asm\x01\0\0\0".to_vec(), "system-wasm-wasm_32"),
        (narrow, "system-wasm-wasm_32"),
        (wide_memory, "system-wasm-wasm_64"),
        (imported, "system-wasm-wasm_64"),
    ];
    for (data, format) in cases {
        assert_eq!(infer(&data).unwrap(), format);
    }
    for short in [&b""[..], b"\x7FEL"] {
        assert_eq!(infer(short).unwrap_err().code(), Code::InvalidArgument);
    }
    let garbage: [&[u8]; 5] = [b"garbage", b"MZ but no more", b"\0asm\x02\0\0\0", &[0; 64], b"\x7FELG"];
    for garbage in garbage {
        assert_eq!(infer(garbage).unwrap_err().code(), Code::Incompatible);
    }
    let no_header = portable_executable(0x9999);
    assert_eq!(infer(&no_header).unwrap_err().code(), Code::Incompatible);
    assert!(HOST_ARCHITECTURE.is_some());
}

/// [exec 53]
#[test]
fn the_size_of_an_elf_file_is_where_its_last_part_ends() {
    for sample in [MULTIPLY_X86, MULTIPLY_ARM, MATMUL, HANDMADE] {
        let mut padded = sample.to_vec();
        padded.resize(sample.len() + 1000, 0);
        assert_eq!(elf_size(&padded).unwrap(), sample.len() as u64);
        assert_eq!(elf_size(sample).unwrap(), sample.len() as u64);
        for length in [5, 63, 100, sample.len() - 1] {
            assert_eq!(elf_size(&sample[..length]).unwrap_err().code(), Code::OutOfRange, "{length}");
        }
    }
    let mut small = MULTIPLY.to_vec();
    put16(&mut small, 58, 63);
    assert_eq!(elf_size(&small).unwrap_err().code(), Code::InvalidArgument);
    let mut big_endian = MULTIPLY.to_vec();
    big_endian[5] = 2;
    assert_eq!(elf_size(&big_endian).unwrap_err().code(), Code::InvalidArgument);
    let mut wraps = MULTIPLY.to_vec();
    put64(&mut wraps, 40, u64::MAX - 3);
    assert_eq!(elf_size(&wraps).unwrap_err().code(), Code::OutOfRange);
    assert_eq!(elf_size(b"garbage").unwrap_err().code(), Code::Incompatible);
}
