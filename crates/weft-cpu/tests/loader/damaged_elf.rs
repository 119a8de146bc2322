//! Each field that the ELF loader trusts, damaged, with the code that it answers. Nothing here is executed: files are read,
//! laid out and, where they pass, mapped and relocated.

use weft_cpu::loader::elf::{Image, Layout, Machine, Target};
use weft_sync::Code::{self, *};

use crate::patch::*;
use crate::samples::*;

type Change = fn(&mut Vec<u8>);
/// What is wrong, how to make it so, what the loader answers.
type Row = (&'static str, Change, Code);

fn target(machine: Machine) -> Target {
    Target { machine, page_bytes: 4096, span_bytes_max: 1 << 30 }
}

/// First and second stage.
fn map(data: &[u8], machine: Machine) -> weft_sync::Result<Image> {
    Image::load(&Layout::parse(data, &target(machine))?)
}

fn check(sample: &[u8], machine: Machine, rows: &[Row]) {
    map(sample, machine).expect("the sample is in order");
    for (what, change, code) in rows {
        let mut data = sample.to_vec();
        change(&mut data);
        match map(&data, machine) {
            Ok(_) => panic!("{what}: loaded"),
            Err(status) => assert_eq!(status.code(), *code, "{what}: {status}"),
        }
    }
}

/// Changes a field of the first program header of a kind.
fn program(data: &mut [u8], kind: u32, field: usize, value: u64) {
    let at = Elf::parse(data).header(kind).at + field;
    if field < OFFSET { put32(data, at, value as u32) } else { put64(data, at, value) }
}

/// Changes a field of the LOAD with these flags.
fn load_field(data: &mut [u8], flags: u32, field: usize, value: u64) {
    let at = Elf::parse(data).load(flags).at + field;
    if field < OFFSET { put32(data, at, value as u32) } else { put64(data, at, value) }
}

/// Replaces the tag of a dynamic entry.
fn retag(data: &mut [u8], from: u64, to: u64) {
    let at = Elf::parse(data).dynamic(from);
    put64(data, at, to);
}

/// Replaces the value of a dynamic entry.
fn set_value(data: &mut [u8], tag: u64, value: u64) {
    let at = Elf::parse(data).dynamic(tag) + 8;
    put64(data, at, value);
}

/// Turns RELACOUNT, which the loader ignores, into another entry.
fn add_entry(data: &mut [u8], tag: u64, value: u64) {
    retag(data, 0x6FFF_FFF9, tag);
    set_value(data, tag, value);
}

/// Replaces fields of relocation 0: offset, info, addend.
fn relocation(data: &mut [u8], field: usize, value: u64) {
    let at = Elf::parse(data).relocation(0) + field;
    put64(data, at, value);
}

/// [exec 20]
#[test]
fn a_damaged_file_header_is_refused() {
    check(
        MULTIPLY,
        Machine::X86_64,
        &[
            ("empty", |data| data.clear(), FailedPrecondition),
            ("truncated header", |data| data.truncate(63), FailedPrecondition),
            ("magic", |data| data[1] = b'e', FailedPrecondition),
            ("32-bit class", |data| data[4] = 1, FailedPrecondition),
            ("big-endian", |data| data[5] = 2, FailedPrecondition),
            ("identification version", |data| data[6] = 0, FailedPrecondition),
            ("OS ABI of FreeBSD", |data| data[7] = 9, FailedPrecondition),
            ("executable, not shared", |data| put16(data, 16, 2), FailedPrecondition),
            ("another machine", |data| put16(data, 18, 0xB7), FailedPrecondition),
            ("version", |data| put32(data, 20, 2), FailedPrecondition),
            ("header size", |data| put16(data, 52, 52), FailedPrecondition),
            ("program header size", |data| put16(data, 54, 32), FailedPrecondition),
            ("no program header table", |data| put64(data, 32, 0), FailedPrecondition),
            ("no program headers", |data| put16(data, 56, 0), FailedPrecondition),
            ("extended program headers", |data| put16(data, 56, 0xFFFF), FailedPrecondition),
            ("65 program headers", |data| put16(data, 56, 65), ResourceExhausted),
            ("program headers past the end", |data| put64(data, 32, 0xFFF0), FailedPrecondition),
            ("program headers overflow", |data| put64(data, 32, u64::MAX - 8), FailedPrecondition),
            ("truncated program headers", |data| data.truncate(200), FailedPrecondition),
        ],
    );
    for os_abi in [0, 3, 255] {
        let mut data = MULTIPLY.to_vec();
        data[7] = os_abi;
        map(&data, Machine::X86_64).unwrap();
    }
}

/// [exec 20] [exec 21]
#[test]
fn damaged_segments_are_refused() {
    check(
        MULTIPLY,
        Machine::X86_64,
        &[
            ("file range overflows", |data| load_field(data, 4, FILE_BYTES, u64::MAX), FailedPrecondition),
            ("file range past the end", |data| load_field(data, 6, OFFSET, 0x13A0), FailedPrecondition),
            (
                "more in the file than in memory",
                |data| load_field(data, 6, MEMORY_BYTES, 8),
                FailedPrecondition,
            ),
            (
                "memory range overflows",
                |data| load_field(data, 6, MEMORY_BYTES, u64::MAX),
                FailedPrecondition,
            ),
            (
                "last page overflows",
                |data| load_field(data, 6, MEMORY_BYTES, u64::MAX - 0x23A0),
                FailedPrecondition,
            ),
            ("odd alignment", |data| load_field(data, 6, ALIGNMENT, 0x1001), FailedPrecondition),
            ("incongruent address", |data| load_field(data, 6, ADDRESS, 0x23A8), FailedPrecondition),
            ("overlap", |data| load_field(data, 4, MEMORY_BYTES, 0x1361), FailedPrecondition),
            ("not ascending", |data| load_field(data, 4, ADDRESS, 0x9000), FailedPrecondition),
            ("huge span", |data| load_field(data, 6, MEMORY_BYTES, 1 << 30), ResourceExhausted),
            ("huge alignment", |data| load_field(data, 4, ALIGNMENT, 1 << 40), ResourceExhausted),
            ("writable code", |data| load_field(data, 5, FLAGS, 7), PermissionDenied),
            ("executable data", |data| load_field(data, 6, FLAGS, 3), PermissionDenied),
            ("executable stack", |data| program(data, STACK, FLAGS, 7), PermissionDenied),
            ("thread-local storage", |data| program(data, STACK, KIND, 7), Unimplemented),
            ("interpreter", |data| program(data, STACK, KIND, 3), Unimplemented),
            ("read-only range outside", |data| program(data, RELRO, ADDRESS, 0x8000), FailedPrecondition),
            (
                "read-only range overflows",
                |data| program(data, RELRO, MEMORY_BYTES, u64::MAX),
                FailedPrecondition,
            ),
            ("two read-only ranges", |data| program(data, STACK, KIND, u64::from(RELRO)), FailedPrecondition),
            (
                "no segments",
                |data| {
                    for load in Elf::parse(&data.clone()).loads() {
                        put32(data, load.at, 4);
                    }
                },
                FailedPrecondition,
            ),
        ],
    );
}

/// [exec 20] [exec 21]
#[test]
fn a_damaged_dynamic_table_is_refused() {
    const IGNORED: u64 = 0x6FFF_FFF0;
    check(
        MULTIPLY,
        Machine::X86_64,
        &[
            ("none", |data| program(data, DYNAMIC, KIND, 4), FailedPrecondition),
            ("two", |data| program(data, STACK, KIND, u64::from(DYNAMIC)), FailedPrecondition),
            ("outside", |data| program(data, DYNAMIC, ADDRESS, 0x9000), FailedPrecondition),
            ("not file-backed", |data| program(data, DYNAMIC, ADDRESS, 0x2520), FailedPrecondition),
            ("overflows", |data| program(data, DYNAMIC, ADDRESS, u64::MAX - 8), FailedPrecondition),
            ("empty", |data| program(data, DYNAMIC, FILE_BYTES, 0), FailedPrecondition),
            ("half an entry", |data| program(data, DYNAMIC, FILE_BYTES, 0xB8), FailedPrecondition),
            ("no string table", |data| retag(data, 5, IGNORED), FailedPrecondition),
            ("no string table size", |data| retag(data, 10, IGNORED), FailedPrecondition),
            ("no symbol table", |data| retag(data, 6, IGNORED), FailedPrecondition),
            ("no hash table", |data| retag(data, 4, IGNORED), FailedPrecondition),
            ("symbol size", |data| set_value(data, 11, 16), FailedPrecondition),
            ("relocation size", |data| set_value(data, 9, 16), FailedPrecondition),
            ("empty strings", |data| set_value(data, 10, 0), FailedPrecondition),
            ("strings cut", |data| set_value(data, 10, 34), FailedPrecondition),
            ("strings past the segment", |data| set_value(data, 10, 0x1000), FailedPrecondition),
            ("strings overflow", |data| set_value(data, 5, u64::MAX - 3), FailedPrecondition),
            ("symbols outside", |data| set_value(data, 6, 0x8000), FailedPrecondition),
            ("hash outside", |data| set_value(data, 4, 0x34F), FailedPrecondition),
            ("relocations not whole", |data| set_value(data, 8, 25), FailedPrecondition),
            ("relocations outside", |data| set_value(data, 7, 0x340), FailedPrecondition),
            ("relocations overflow", |data| set_value(data, 7, u64::MAX - 3), FailedPrecondition),
            ("relocations without size", |data| retag(data, 8, IGNORED), FailedPrecondition),
            ("relocation size without table", |data| retag(data, 7, IGNORED), FailedPrecondition),
            ("REL", |data| add_entry(data, 17, 0x238), FailedPrecondition),
            ("RELSZ", |data| add_entry(data, 18, 16), FailedPrecondition),
            ("RELR", |data| add_entry(data, 36, 0x238), Unimplemented),
            ("RELRSZ", |data| add_entry(data, 35, 8), Unimplemented),
            ("RELRENT", |data| add_entry(data, 37, 8), Unimplemented),
            ("NEEDED", |data| add_entry(data, 1, 1), Unavailable),
            ("TEXTREL", |data| add_entry(data, 22, 0), PermissionDenied),
            ("FLAGS with text relocations", |data| set_value(data, 30, 4), PermissionDenied),
            ("FLAGS with static TLS", |data| set_value(data, 30, 16), Unimplemented),
            ("INIT", |data| add_entry(data, 12, 0x1360), Unimplemented),
            ("INIT_ARRAY", |data| add_entry(data, 25, 0x23A0), Unimplemented),
            ("INIT_ARRAYSZ", |data| add_entry(data, 27, 8), Unimplemented),
            ("PREINIT_ARRAYSZ", |data| add_entry(data, 33, 8), Unimplemented),
            ("JMPREL without PLTREL", |data| add_entry(data, 23, 0x238), FailedPrecondition),
            ("PLTRELSZ without JMPREL", |data| add_entry(data, 2, 24), FailedPrecondition),
            ("two string tables", |data| add_entry(data, 5, 0x211), FailedPrecondition),
        ],
    );
    let accepted: [(&str, Change); 4] = [
        ("INIT of 0", |data| add_entry(data, 12, 0)),
        ("empty INIT_ARRAYSZ", |data| add_entry(data, 27, 0)),
        ("FINI", |data| add_entry(data, 13, 0x1360)),
        ("the same string table twice", |data| add_entry(data, 5, 0x210)),
    ];
    for (what, change) in accepted {
        let mut data = MULTIPLY.to_vec();
        change(&mut data);
        map(&data, Machine::X86_64).unwrap_or_else(|status| panic!("{what}: {status}"));
    }
    check(
        HANDMADE,
        Machine::X86_64,
        &[("PLTREL is REL", |data| set_value(data, 20, 17), FailedPrecondition)],
    );
}

/// Replaces bytes of symbol 1: name 0, info 4, section 6, value 8.
fn symbol(data: &mut [u8], field: usize, bytes: &[u8]) {
    let at = Elf::parse(data).symbol(1) + field;
    data[at..at + bytes.len()].copy_from_slice(bytes);
}

/// [exec 20]
#[test]
fn damaged_symbols_are_refused() {
    check(
        MULTIPLY,
        Machine::X86_64,
        &[
            ("undefined", |data| symbol(data, 6, &[0, 0]), Unavailable),
            ("undefined and weak", |data| symbol(data, 4, &[0x22, 0, 0, 0]), Unavailable),
            ("name outside", |data| symbol(data, 0, &35_u32.to_le_bytes()), FailedPrecondition),
            ("name far outside", |data| symbol(data, 0, &[255; 4]), FailedPrecondition),
            ("another name", |data| symbol(data, 0, &[2, 0, 0, 0]), FailedPrecondition),
            ("local", |data| symbol(data, 4, &[0x02]), FailedPrecondition),
            ("data", |data| symbol(data, 4, &[0x11]), FailedPrecondition),
            ("in data", |data| symbol(data, 8, &0x23A0_u64.to_le_bytes()), FailedPrecondition),
            ("nowhere", |data| symbol(data, 8, &[255; 8]), FailedPrecondition),
            ("before the code", |data| symbol(data, 8, &0x135F_u64.to_le_bytes()), FailedPrecondition),
            (
                "more symbols than fit",
                |data| {
                    let hash = Elf::parse(data).file_offset(Elf::parse(data).dynamic_value(4));
                    put32(data, hash + 4, u32::MAX);
                },
                FailedPrecondition,
            ),
            (
                "more buckets than fit",
                |data| {
                    let hash = Elf::parse(data).file_offset(Elf::parse(data).dynamic_value(4));
                    put32(data, hash, u32::MAX);
                },
                FailedPrecondition,
            ),
            (
                "only the null symbol",
                |data| {
                    let hash = Elf::parse(data).file_offset(Elf::parse(data).dynamic_value(4));
                    put32(data, hash + 4, 1);
                },
                FailedPrecondition,
            ),
        ],
    );
    for info in [0x12, 0x22, 0x10] {
        let mut data = MULTIPLY.to_vec();
        symbol(&mut data, 4, &[info]);
        map(&data, Machine::X86_64).unwrap();
    }
    let mut data = MULTIPLY.to_vec();
    symbol(&mut data, 6, &[0, 0]);
    let status = map(&data, Machine::X86_64).unwrap_err();
    assert!(status.message().contains("iree_hal_executable_library_query"), "{status}");
}

/// [exec 20] [exec 21]
#[test]
fn damaged_relocations_are_refused() {
    check(
        MULTIPLY,
        Machine::X86_64,
        &[
            ("unknown type", |data| relocation(data, 8, 99), Unimplemented),
            ("COPY", |data| relocation(data, 8, 5), Unimplemented),
            ("IRELATIVE", |data| relocation(data, 8, 37), Unimplemented),
            ("TLS module", |data| relocation(data, 8, 16), Unimplemented),
            ("TLS offset", |data| relocation(data, 8, 18), Unimplemented),
            ("symbol out of range", |data| relocation(data, 8, 2 << 32 | 8), OutOfRange),
            ("symbol far out of range", |data| relocation(data, 8, 0xFFFF_FFFF << 32 | 1), OutOfRange),
            ("symbol out of range, nothing to store", |data| relocation(data, 8, 7 << 32), OutOfRange),
            ("into code", |data| relocation(data, 0, 0x1360), PermissionDenied),
            ("into constants", |data| relocation(data, 0, 0x2E0), PermissionDenied),
            ("outside", |data| relocation(data, 0, 0x9000), PermissionDenied),
            ("between segments", |data| relocation(data, 0, 0x1800), PermissionDenied),
            ("half outside", |data| relocation(data, 0, 0x2FF9), PermissionDenied),
            ("overflows", |data| relocation(data, 0, u64::MAX - 3), PermissionDenied),
            ("relative past the image", |data| relocation(data, 16, 0x3001), OutOfRange),
            ("relative before the image", |data| relocation(data, 16, u64::MAX), OutOfRange),
            ("32-bit absolute", |data| relocation(data, 8, 1 << 32 | 10), OutOfRange),
            ("32-bit signed absolute", |data| relocation(data, 8, 1 << 32 | 11), OutOfRange),
            (
                "32-bit relative, too far",
                |data| {
                    relocation(data, 8, 1 << 32 | 2);
                    relocation(data, 16, 1 << 40);
                },
                OutOfRange,
            ),
        ],
    );
    let accepted: [(&str, Change); 5] = [
        ("one past the end", |data| relocation(data, 16, 0x3000)),
        ("nothing", |data| relocation(data, 8, 0)),
        ("unaligned target", |data| relocation(data, 0, 0x23A9)),
        ("zeroed target", |data| relocation(data, 0, 0x2FF8)),
        ("32-bit relative", |data| {
            relocation(data, 8, 1 << 32 | 2);
            relocation(data, 16, 0);
        }),
    ];
    for (what, change) in accepted {
        let mut data = MULTIPLY.to_vec();
        change(&mut data);
        map(&data, Machine::X86_64).unwrap_or_else(|status| panic!("{what}: {status}"));
    }
}

/// [exec 17] [exec 20] [exec 29]
#[test]
fn arm_files_are_mapped_and_their_relocations_judged_on_any_machine() {
    map(MULTIPLY_DEBUG_ARM, Machine::Aarch64).unwrap();
    check(
        MULTIPLY_ARM,
        Machine::Aarch64,
        &[
            ("COPY", |data| relocation(data, 8, 1024), Unimplemented),
            ("IRELATIVE", |data| relocation(data, 8, 1032), Unimplemented),
            ("TLS", |data| relocation(data, 8, 1028), Unimplemented),
            ("TLS descriptor", |data| relocation(data, 8, 1031), Unimplemented),
            ("type of x86-64", |data| relocation(data, 8, 8), Unimplemented),
            ("relative past the image", |data| relocation(data, 16, 0x2_1001), OutOfRange),
            ("machine of x86-64", |data| put16(data, 18, 0x3E), FailedPrecondition),
        ],
    );
    for kind in [0, 256, 257, 1025, 1026] {
        let mut data = MULTIPLY_ARM.to_vec();
        relocation(&mut data, 8, 1 << 32 | kind);
        map(&data, Machine::Aarch64).unwrap();
    }
}

/// [exec 27]
#[test]
fn host_pages_larger_than_the_files_are_refused_or_served() {
    for page_bytes in [0x4000, 0x1_0000] {
        let wide = |machine| Target { machine, page_bytes, span_bytes_max: 1 << 30 };
        // 4 KiB alignment: code and data would share a page.
        let status = Layout::parse(MULTIPLY, &wide(Machine::X86_64)).unwrap_err();
        assert_eq!(status.code(), FailedPrecondition);
        assert!(status.message().contains("finer than host page"), "{status}");
        // 64 KiB alignment: fine.
        let layout = Layout::parse(MULTIPLY_ARM, &wide(Machine::Aarch64)).unwrap();
        Image::load(&layout).unwrap();
    }
}

/// [exec 26]
#[test]
fn every_prefix_of_a_file_is_an_error_or_loads() {
    for sample in [MULTIPLY, HANDMADE] {
        for length in 0..sample.len() {
            drop(map(&sample[..length], Machine::X86_64));
        }
    }
}

/// [exec 26]
#[test]
fn random_damage_never_panics() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let samples = [
        (MULTIPLY, Machine::X86_64),
        (HANDMADE, Machine::X86_64),
        (SEVERAL, Machine::X86_64),
        (MULTIPLY_ARM, Machine::Aarch64),
    ];
    let mut loaded = 0;
    for round in 0..20_000 {
        let (sample, machine) = samples[round % samples.len()];
        let mut data = sample.to_vec();
        // Where the loader looks: the headers and the tables, mostly.
        let hot = if round % 3 == 0 { data.len() } else { 1024.min(data.len()) };
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(hot);
            data[at] = match numbers.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => data[at] ^ 1 << numbers.below(8),
                _ => numbers.next() as u8,
            };
        }
        loaded += usize::from(map(&data, machine).is_ok());
    }
    // Much of what is flipped is code and names: both outcomes must occur, or the test looks at nothing.
    assert!((1000..19_000).contains(&loaded), "{loaded} of 20000 loaded");
}
