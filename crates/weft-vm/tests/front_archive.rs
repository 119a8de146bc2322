//! Containers and FlatBuffers: what is read, what is refused, and that nothing else happens.

mod front_support;

use front_support::{Random, built, compiled, everything, written};
use weft_sync::Code;
use weft_vm::archive::{Features, RODATA_BASE_ALIGNMENT};
use weft_vm::debug_info::DebugInfo;
use weft_vm::disassemble::{Options, Style, disassemble_module};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::verify::verify;
use weft_vm::{Archive, ModuleBytes};

const DATA: &str = "tests/data/front";

fn compiled_named(name: &str) -> Vec<u8> {
    compiled(DATA).into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}.vmfb")).1
}

fn code_of(result: weft_sync::Result<Archive>) -> Option<Code> {
    result.err().map(|status| status.code())
}

/// Everything that reads an archive, for tests that only ask that it returns.
fn read_everything(bytes: &[u8]) {
    let _ = Archive::query_requirements(bytes);
    let Ok(archive) = Archive::parse(bytes) else { return };
    let _ = verify(&archive, bytes);
    let _ = disassemble_module(&archive, bytes, &Options { pcs: true, style: Style::Exact });
    if let Some(debug) = DebugInfo::open(&archive, bytes) {
        for index in -1..20 {
            let _ = debug.location_text(index);
        }
        let _ = debug.function_name(0);
    }
}

/// [vm 1] The parts that loading reads are the same in both forms.
#[test]
fn polyglot_and_flat_archives_hold_the_same_module() {
    for program in ["scalars", "tensors"] {
        let zip = compiled_named(program);
        let flat = compiled_named(&format!("{program}.flat"));
        assert_eq!(&zip[..4], b"PK\x03\x04");
        let (from_zip, from_flat) = (Archive::parse(&zip).unwrap(), Archive::parse(&flat).unwrap());
        assert_eq!(from_zip.layout.zip_bytes, 64);
        assert_eq!(from_flat.layout.zip_bytes, 0);
        assert_eq!(from_zip.imports, from_flat.imports);
        assert_eq!(from_zip.exports, from_flat.exports);
        assert_eq!(from_zip.functions, from_flat.functions);
        assert_eq!(zip[from_zip.code.clone()], flat[from_flat.code.clone()]);
        for (left, right) in from_zip.rodata.iter().zip(&from_flat.rodata) {
            assert_eq!(zip[left.range.clone()], flat[right.range.clone()]);
        }
        verify(&from_zip, &zip).unwrap();
        verify(&from_flat, &flat).unwrap();
    }
}

/// [vm 2]
#[test]
fn modules_of_both_compiler_versions_load() {
    for program in ["scalars", "tensors"] {
        for name in [program.to_owned(), format!("{program}.older")] {
            let bytes = compiled_named(&name);
            let archive = Archive::parse(&bytes).unwrap();
            assert_eq!(archive.bytecode_version, 17 << 16);
            verify(&archive, &bytes).unwrap();
        }
    }
}

/// A zip header of 30 bytes, a name and an extra field before a flat archive.
fn zipped(flat: &[u8], name: usize, extra: usize) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.resize(26, 0);
    bytes.extend((name as u16).to_le_bytes());
    bytes.extend((extra as u16).to_le_bytes());
    bytes.resize(30 + name + extra, 0xEE);
    bytes.extend(flat);
    bytes
}

/// [vm 3]
#[test]
fn zip_headers_of_any_size_are_skipped() {
    let flat = everything().build().unwrap();
    for (name, extra) in [(0, 0), (9, 25), (1, 0), (0, 300), (65_535, 65_535)] {
        let archive = Archive::parse(&zipped(&flat, name, extra)).unwrap();
        assert_eq!(archive.layout.zip_bytes, 30 + name + extra);
        assert_eq!(archive.name, "everything");
    }
    let beyond = zipped(&[], 9, 25);
    assert_eq!(code_of(Archive::parse(&beyond[..63])), Some(Code::InvalidArgument));
    let message = Archive::parse(&beyond[..63]).unwrap_err().to_string();
    assert!(message.contains("zip header of 64 bytes"), "{message}");
    assert_eq!(code_of(Archive::parse(&beyond)), Some(Code::InvalidArgument), "nothing after the header");
}

/// [vm 4]
#[test]
fn every_truncation_is_refused_or_whole() {
    for name in ["scalars", "scalars.flat", "tensors"] {
        let bytes = compiled_named(name);
        let whole = Archive::parse(&bytes).unwrap();
        for length in 0..bytes.len() {
            match Archive::parse(&bytes[..length]) {
                Ok(_) => assert!(length >= whole.layout.inferred_bytes, "{name} cut to {length} bytes"),
                Err(status) => assert_eq!(status.code(), Code::InvalidArgument, "{name}, {length}: {status}"),
            }
        }
    }
}

/// [vm 5]
#[test]
fn size_prefixes_that_cannot_be_are_refused() {
    let flat = everything().build().unwrap();
    let size = flat.len() as u32 - 4;
    for prefix in [0, 1, 7, 11, size + 1, u32::MAX] {
        let mut bytes = flat.clone();
        bytes[..4].copy_from_slice(&prefix.to_le_bytes());
        assert_eq!(code_of(Archive::parse(&bytes)), Some(Code::InvalidArgument), "prefix {prefix}");
    }
}

/// [vm 6]
#[test]
fn bytes_that_are_no_module_are_refused() {
    let mut wrong = everything().build().unwrap();
    wrong[8..12].copy_from_slice(b"IREX");
    let message = Archive::parse(&wrong).unwrap_err().to_string();
    assert!(message.contains("`IREX`") && message.contains("`IREE`"), "{message}");
    for bytes in [&[][..], &[0; 15], &[0; 16], &[0xFF; 64], b"\x7FELF and more than sixteen bytes"] {
        assert_eq!(code_of(Archive::parse(bytes)), Some(Code::InvalidArgument));
    }
}

/// [vm 7] [vm 9]
#[test]
fn external_constants_are_found_from_the_start_of_the_archive() {
    for name in ["tensors", "tensors.flat", "tensors.older", "waiting"] {
        let bytes = compiled_named(name);
        let archive = Archive::parse(&bytes).unwrap();
        let external: Vec<_> = archive.rodata.iter().filter(|segment| !segment.embedded).collect();
        assert!(!external.is_empty());
        for segment in external {
            assert_eq!(&bytes[segment.range.clone()][..4], b"\x7FELF", "{name}");
        }
        assert_eq!(archive.layout.rodata_base % RODATA_BASE_ALIGNMENT, 0, "{name}");
    }
    // Behind a header of odd size the base is aligned to the archive, not to the FlatBuffer.
    let flat = everything().build().unwrap();
    let archive = Archive::parse(&zipped(&flat, 3, 4)).unwrap();
    assert_eq!(archive.layout.flatbuffer.start, 41);
    let size = u32::from_le_bytes(flat[..4].try_into().unwrap()) as usize;
    assert_eq!(archive.layout.rodata_base, (41 + size).next_multiple_of(64));
}

/// [vm 7]
#[test]
fn external_constants_outside_the_archive_are_refused() {
    let builder = everything().external_rodata("x", 16, &[7; 100]);
    let last = 3;
    let try_with = |offset: u64, length: u64| {
        let mut bytes = written(&builder, |module| {
            module.rodata[last].external_offset = offset;
            module.rodata[last].external_length = length;
        });
        bytes.resize(bytes.len().next_multiple_of(64) + 100, 7);
        Archive::parse(&bytes).map(|archive| archive.rodata[last].range.len()).map_err(|status| status.code())
    };
    assert_eq!(try_with(0, 100), Ok(100));
    assert_eq!(try_with(99, 1), Ok(1));
    assert_eq!(try_with(100, 0), Ok(0));
    for (offset, length) in [
        (0, 101),
        (100, 1),
        (101, 0),
        (u64::MAX, 0),
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (1, u64::MAX),
        (8, u64::MAX - 7),
        (i64::MAX as u64, i64::MAX as u64),
    ] {
        assert_eq!(try_with(offset, length), Err(Code::InvalidArgument), "{offset} {length}");
    }
}

/// [vm 8]
#[test]
fn constants_may_be_empty() {
    let builder = ModuleBuilder::new("m").rodata(&[]).external_rodata("e", 1, &[]).rodata(b"x");
    for builder in [builder.clone(), builder.polyglot()] {
        let (_, archive) = built(builder);
        let lengths: Vec<usize> = archive.rodata.iter().map(|segment| segment.range.len()).collect();
        assert_eq!(lengths, [0, 0, 1]);
    }
}

/// [vm 10]
#[test]
fn what_follows_the_module_does_not_count() {
    let zip = compiled_named("tensors");
    let archive = Archive::parse(&zip).unwrap();
    let ends = archive.rodata.iter().map(|segment| segment.range.end).max().unwrap();
    assert_eq!(archive.layout.inferred_bytes, ends);
    assert!(ends < zip.len(), "the zip directory comes after");
    let flat = compiled_named("scalars.flat");
    let mut longer = flat.clone();
    longer.extend([0xAB; 1000]);
    let (plain, followed) = (Archive::parse(&flat).unwrap(), Archive::parse(&longer).unwrap());
    assert_eq!(plain.layout, followed.layout);
    assert_eq!(plain.layout.inferred_bytes, plain.layout.flatbuffer.end);
}

/// [vm 13]
#[test]
fn archives_at_odd_addresses_load() {
    for (name, bytes) in compiled(DATA) {
        for shift in 1..8 {
            let mut moved = vec![0; shift];
            moved.extend(&bytes);
            let archive = Archive::parse(&moved[shift..]).unwrap();
            verify(&archive, &moved[shift..]).unwrap_or_else(|error| panic!("{name} at {shift}: {error}"));
        }
    }
}

/// [vm 14] What is handed to consumers is where the compiler put it, aligned or not; they decide about copies.
#[test]
fn constants_are_only_as_aligned_as_the_file_says() {
    let bytes = ModuleBytes::copy_of(&compiled_named("tensors"));
    let archive = Archive::parse(&bytes).unwrap();
    let positions: Vec<usize> = archive.rodata.iter().map(|segment| segment.range.start % 64).collect();
    assert!(positions.iter().any(|position| position % 16 != 0), "{positions:?}");
    assert!(positions.iter().any(|position| position % 16 == 0), "{positions:?}");
    for segment in &archive.rodata {
        let constant = &bytes[segment.range.clone()];
        assert_eq!(constant.as_ptr() as usize % 64, segment.range.start % 64, "the storage is aligned to 64");
    }
}

/// [vm 15]
#[test]
fn requirements_can_be_asked_without_having_them() {
    let bytes = written(&everything(), |module| module.requirements = 1 | 0x100);
    let required = Archive::query_requirements(&bytes).unwrap();
    assert_eq!(required.bits(), 0x101);
    let status = Archive::parse(&bytes).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let message = status.to_string();
    assert!(message.contains("missing 0x100"), "{message}");
    assert!(message.contains("required EXT_F32 | 0x100"), "{message}");
    assert!(message.contains("available EXT_F32 | EXT_F64 | YIELD | UNWIND"), "{message}");
    assert_eq!(
        Archive::query_requirements(&compiled_named("scalars")).unwrap(),
        Features::EXT_F32 | Features::EXT_F64
    );
    assert!(Archive::query_requirements(&bytes[..40]).is_err());
}

/// [vm 16]
#[test]
fn flipped_bits_never_panic() {
    let modules = [
        compiled_named("scalars.flat"),
        everything().polyglot().external_rodata("e", 16, b"external").build().unwrap(),
    ];
    for bytes in modules {
        for position in 0..bytes.len() {
            for flip in [0x01, 0x04, 0x80, 0xFF] {
                let mut flipped = bytes.clone();
                flipped[position] ^= flip;
                read_everything(&flipped);
            }
        }
    }
}

/// [vm 16]
#[test]
fn random_words_in_the_tables_never_panic() {
    let mut random = Random::new(16);
    let bytes = compiled_named("tensors");
    let tables = Archive::parse(&bytes).unwrap().layout.flatbuffer;
    for _ in 0..3000 {
        let mut changed = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let position = tables.start + random.below(tables.len() - 4);
            let word = match random.below(4) {
                0 => random.next() as u32,
                1 => random.below(tables.len()) as u32,
                2 => u32::MAX - random.below(9) as u32,
                _ => 0,
            };
            changed[position..position + 4].copy_from_slice(&word.to_le_bytes());
        }
        read_everything(&changed);
    }
}

/// [vm 17] The tag part: unknown union tags. See `tables_longer_than_known_are_read` for the vtables.
#[test]
fn unknown_location_tags_are_tolerated() {
    use weft_vm::archive::definition::{DebugDef, LocationDef, SourceMapDef};
    let locations = vec![LocationDef::Unknown(9), LocationDef::Unknown(255)];
    let functions = vec![SourceMapDef { name: Some("f".into()), locations: vec![(1, 0)] }];
    let (bytes, archive) = built(
        ModuleBuilder::new("m").function("f", "0v_v", "vm.return").debug(DebugDef { locations, functions }),
    );
    let verified = verify(&archive, &bytes).unwrap();
    let debug = DebugInfo::open(&archive, &bytes).unwrap();
    assert_eq!(debug.location(0, verified.function_code(0).unwrap(), 1).as_deref(), Some("[unknown]"));
}

/// Appends a vtable with more slots for the root table and points the table to it.
fn with_longer_root(flat: &[u8], slots: usize) -> Vec<u8> {
    let mut bytes = flat.to_vec();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let half = |bytes: &[u8], at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let table = 4 + word(&bytes, 4);
    let vtable = table - word(&bytes, table);
    let size = usize::from(half(&bytes, vtable));
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let longer = bytes.len();
    bytes.extend(((size + 2 * slots) as u16).to_le_bytes());
    bytes.extend_from_within(vtable + 2..vtable + size);
    // The new fields claim to be where the table's first field is.
    bytes.extend(std::iter::repeat_n(4_u16.to_le_bytes(), slots).flatten());
    let distance = table as i32 - longer as i32;
    bytes[table..table + 4].copy_from_slice(&distance.to_le_bytes());
    let prefix = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&prefix.to_le_bytes());
    bytes
}

/// [vm 17]
#[test]
fn tables_longer_than_known_are_read() {
    let flat = everything().build().unwrap();
    let plain = Archive::parse(&flat).unwrap();
    for slots in [1, 2, 100, 32_000] {
        let longer = with_longer_root(&flat, slots);
        let archive = Archive::parse(&longer).unwrap();
        assert_eq!(archive.imports, plain.imports);
        assert_eq!(archive.functions, plain.functions);
        verify(&archive, &longer).unwrap();
    }
}

/// [vm 18] Sixty thousand imports, all the same one with a name of sixty thousand bytes: three gigabytes of names.
#[test]
fn vectors_that_share_their_elements_are_bounded() {
    let builder = ModuleBuilder::new("m").import(&"n".repeat(60_000), "0v_v");
    let mut bytes = written(&builder, |module| module.types = vec![Some("i32".into()); 60_000]);
    let count = bytes.windows(4).position(|window| window == 60_000_u32.to_le_bytes()).unwrap();
    // The first such word is the types' count; let its offsets all point to the import's name holder.
    let name = bytes.windows(8).position(|window| window == b"nnnnnnnn").unwrap() - 4;
    // A table whose only field is that name, and a vtable for it.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let vtable = bytes.len();
    bytes.extend([6, 0, 8, 0, 4, 0, 0, 0]);
    let table = bytes.len();
    bytes.extend(((table - vtable) as u32).to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    let holder = bytes.len();
    bytes.resize(holder + 60_004 + 8, b'n');
    bytes[holder..holder + 4].copy_from_slice(&60_000_u32.to_le_bytes());
    bytes[holder + 60_004..].fill(0);
    let distance = (holder - (table + 4)) as u32;
    bytes[table + 4..table + 8].copy_from_slice(&distance.to_le_bytes());
    assert!(name < table);
    for index in 0..60_000 {
        let at = count + 4 + 4 * index;
        let distance = (table - at) as u32;
        bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    }
    let prefix = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&prefix.to_le_bytes());
    let start = std::time::Instant::now();
    let status = Archive::parse(&bytes).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.to_string().contains("shared so often"), "{status}");
    assert!(start.elapsed().as_secs() < 5, "took {:?}", start.elapsed());
}

/// [vm 18] Tables refer to tables without end; only those that the schema names are followed.
#[test]
fn depth_does_not_follow_the_input() {
    use weft_vm::archive::definition::{DebugDef, LocationDef, SourceMapDef};
    let locations: Vec<LocationDef> =
        (0..5000).map(|index| LocationDef::Name { name: Some("x".into()), child: Some(index + 1) }).collect();
    let functions = vec![SourceMapDef { name: None, locations: vec![(1, 0)] }];
    let (bytes, archive) = built(
        ModuleBuilder::new("m").function("f", "0v_v", "vm.return").debug(DebugDef { locations, functions }),
    );
    verify(&archive, &bytes).unwrap();
    let text = DebugInfo::open(&archive, &bytes).unwrap().location_text(0);
    assert!(text.contains("[unknown]") && text.len() < 1000, "{text}");
}

/// [vm 18] Many functions over one large body of code would take days to verify, and to list.
#[test]
fn code_shared_too_often_is_refused() {
    let body = "%i0 = vm.add.i32 %i0, %i0\n".repeat(20_000) + "vm.return";
    let builder = ModuleBuilder::new("m").function("f", "0v_v", &body);
    let parse = |count: usize| {
        let bytes = written(&builder, |module| {
            module.functions = vec![module.functions[0]; count];
            module.signatures = vec![module.signatures[0].clone(); count];
        });
        Archive::parse(&bytes).map_err(|status| (status.code(), status.to_string()))
    };
    assert_eq!(parse(100).unwrap().functions.len(), 100);
    let (code, message) = parse(10_000).unwrap_err();
    assert_eq!(code, Code::ResourceExhausted);
    assert!(message.contains("code of 1400040000 bytes"), "{message}");
}

/// Writing and reading agree about every field of every table.
#[test]
fn what_is_written_is_what_is_read() {
    use weft_vm::archive::definition::{DebugDef, LocationDef, ModuleDef, RodataDef, SourceMapDef};
    let builder = everything()
        .version(9)
        .attribute("key", "value")
        .dependency("host", 4)
        .optional_dependency("maybe", 0)
        .optional_import("host.optional", "0v_i")
        .unsigned_import("host.unsigned")
        .function_attribute("iree.abi.declaration", "text")
        .debug(DebugDef {
            locations: vec![
                LocationDef::None,
                LocationDef::FileLineColumn { file: Some("f".into()), line: 1, column: -2 },
                LocationDef::CallSite { callee: 1, caller: 0 },
                LocationDef::Fused { metadata: Some("m".into()), locations: vec![0, 1] },
                LocationDef::Name { name: Some("n".into()), child: Some(1) },
            ],
            functions: vec![SourceMapDef { name: Some("first".into()), locations: vec![(1, 2), (3, 4)] }],
        });
    let definition = builder.definition().unwrap();
    for bytes in [builder.clone().build().unwrap(), builder.polyglot().build().unwrap()] {
        let read = Archive::definition(&bytes).unwrap();
        let rodata = read.rodata.iter().map(|segment| RodataDef {
            compression: segment.compression,
            embedded: segment.embedded.clone().map(|range| bytes[range].to_vec()),
            external_offset: segment.external_offset,
            external_length: segment.external_length,
        });
        let read = ModuleDef {
            rodata: rodata.collect(),
            bytecode: read.bytecode.map(|range| bytes[range].to_vec()),
            name: read.name,
            version: read.version,
            requirements: read.requirements,
            attributes: read.attributes,
            types: read.types,
            dependencies: read.dependencies,
            imports: read.imports,
            exports: read.exports,
            signatures: read.signatures,
            state: read.state,
            functions: read.functions,
            bytecode_version: read.bytecode_version,
            debug: read.debug,
        };
        assert_eq!(read, definition);
    }
}
