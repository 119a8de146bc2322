//! Safetensors and GGUF: what is read, and every fault of the tables.

use weft::Code;
use weft::parameters::ArchiveFormat::{Gguf as GgufFormat, Safetensors};
use weft::parameters::{ParameterEntry, ParameterIndex, ParameterKind};

use crate::build::{Gguf, read, refusal, safetensors};

fn offset(entry: &ParameterEntry) -> u64 {
    match entry.kind {
        ParameterKind::File { offset, .. } => offset,
        ParameterKind::Splat(_) => panic!("not in a file"),
    }
}

/// Keys, ranges, escapes, what is ignored. [hal-module 52]
#[test]
fn safetensors_are_read() {
    let json = r#" { "__metadata__": {"a": [1, {"b": null}]}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "a\"0": {"data_offsets": [4, 6], "more": {"x": []}}, "none": {"data_offsets": [6, 6]} } "#;
    let bytes = safetensors(json, &[1, 2, 3, 4, 5, 6]);
    let entries = read(Safetensors, &bytes).unwrap();
    let start = bytes.len() as u64 - 6;
    let rows: Vec<(String, u64, u64)> =
        entries.iter().map(|entry| (entry.name(), offset(entry) - start, entry.length)).collect();
    assert_eq!(rows, [("w".into(), 0, 4), ("a\"0".into(), 4, 2), ("none".into(), 6, 0)]);
    // Found as text and as it is spelt in the file.
    let index = ParameterIndex::new();
    index.add(entries);
    assert_eq!(index.find(b"a\"0").unwrap().length, 2);
    assert_eq!(index.find(b"a\\\"0").unwrap().length, 2);
    assert!(read(Safetensors, &safetensors("{}", &[])).unwrap().is_empty());
}

/// [hal-module 52]
#[test]
fn faults_of_safetensors() {
    let entry = |offsets: &str| safetensors(&format!(r#"{{"w": {{"data_offsets": {offsets}}}}}"#), &[0; 8]);
    let cases: &[(&str, Vec<u8>, Code)] = &[
        ("empty", Vec::new(), Code::OutOfRange),
        ("seven bytes", vec![0; 7], Code::OutOfRange),
        ("header cut", safetensors("{}", &[])[..9].to_vec(), Code::OutOfRange),
        ("length of everything", vec![0xFF; 64], Code::OutOfRange),
        ("no text", vec![0; 8], Code::InvalidArgument),
        ("an array", safetensors("[]", &[]), Code::InvalidArgument),
        ("no offsets", safetensors(r#"{"w": {"dtype": "F32"}}"#, &[]), Code::NotFound),
        ("no object", safetensors(r#"{"w": 1}"#, &[]), Code::InvalidArgument),
        ("words", entry(r#"["a", 4]"#), Code::InvalidArgument),
        ("negative", entry("[-1, 4]"), Code::InvalidArgument),
        ("fractions", entry("[0, 4.0]"), Code::InvalidArgument),
        ("too large", entry("[0, 18446744073709551616]"), Code::InvalidArgument),
        ("one number", entry("[4]"), Code::InvalidArgument),
        ("three numbers", entry("[0, 4, 8]"), Code::InvalidArgument),
        ("backwards", entry("[4, 2]"), Code::InvalidArgument),
        ("beyond", entry("[0, 9]"), Code::InvalidArgument),
        ("after the end", safetensors("{} x", &[]), Code::InvalidArgument),
        (
            "deep",
            safetensors(&format!(r#"{{"__metadata__": {}"#, "[".repeat(1000)), &[]),
            Code::InvalidArgument,
        ),
    ];
    assert!(read(Safetensors, &entry("[8, 8]")).is_ok());
    for (name, bytes, code) in cases {
        assert_eq!(refusal(Safetensors, bytes), *code, "{name}");
    }
    let status = read(Safetensors, &entry("[0, 9]")).unwrap_err().to_string();
    assert!(status.contains("parameter `w` at offset"), "{status}");
}

/// Sizes of all types, both versions, the alignment that the file gives, no tensors at all. [hal-module 52]
#[test]
fn gguf_is_read() {
    const SIZES: &[(u32, u64, u64)] = &[
        (0, 1, 4),
        (1, 1, 2),
        (2, 32, 18),
        (3, 32, 20),
        (6, 32, 22),
        (7, 32, 24),
        (8, 32, 34),
        (9, 32, 40),
        (10, 256, 84),
        (11, 256, 110),
        (12, 256, 144),
        (13, 256, 176),
        (14, 256, 210),
        (15, 256, 292),
        (16, 1, 1),
        (17, 1, 2),
        (18, 1, 4),
    ];
    for version in [2, 3] {
        for (kind, elements, bytes) in SIZES {
            let file = Gguf::new(version, 1, 0).tensor("t", &[*elements, 3], *kind, 0);
            let file = file.data(32, &vec![0; 3 * *bytes as usize]);
            assert_eq!(read(GgufFormat, &file).unwrap()[0].length, 3 * bytes, "type {kind}");
        }
    }
    let file = Gguf::new(3, 2, 3)
        .text("general.alignment")
        .u32(4)
        .u32(64)
        .text("list")
        .u32(9)
        .u32(8)
        .u64(2)
        .text("a")
        .text("bc")
        .text("numbers")
        .u32(9)
        .u32(10)
        .u64(1)
        .u64(7)
        .tensor("a", &[2], 0, 0)
        .tensor("b", &[3], 16, 9);
    let start = file.0.len().next_multiple_of(64) as u64;
    let entries = read(GgufFormat, &file.data(64, &[0; 12])).unwrap();
    assert_eq!((offset(&entries[0]), entries[0].length), (start, 8));
    assert_eq!((offset(&entries[1]), entries[1].length), (start + 9, 3));
    assert!(read(GgufFormat, &Gguf::new(3, 0, 0).0).unwrap().is_empty());
    let scalar = Gguf::new(3, 1, 0).tensor("s", &[], 0, 0).data(32, &[0; 4]);
    assert_eq!(read(GgufFormat, &scalar).unwrap()[0].length, 4);
}

/// [hal-module 52]
#[test]
fn faults_of_gguf() {
    let tensor = |extents: &[u64], kind: u32, at: u64| {
        Gguf::new(3, 1, 0).tensor("t", extents, kind, at).data(32, &[0; 64])
    };
    let pair = |kind: u32| Gguf::new(3, 0, 1).text("key").u32(kind);
    let mut magic = Gguf::new(3, 0, 0).0;
    magic[3] = b'X';
    let good = tensor(&[2], 0, 0);
    let cases: &[(&str, Vec<u8>, Code)] = &[
        ("magic", magic, Code::InvalidArgument),
        ("version 1", Gguf::new(1, 0, 0).0, Code::Unimplemented),
        ("version 4", Gguf::new(4, 0, 0).0, Code::Unimplemented),
        ("no counts", Gguf::new(3, 0, 0).0[..20].to_vec(), Code::OutOfRange),
        ("missing tensor", Gguf::new(3, 1, 0).0, Code::OutOfRange),
        ("endless tensors", Gguf::new(3, u64::MAX, 0).0, Code::OutOfRange),
        ("endless pairs", Gguf::new(3, 0, u64::MAX).0, Code::OutOfRange),
        ("long name", Gguf::new(3, 1, 0).u64(u64::MAX).0, Code::OutOfRange),
        ("cut in a tensor", good[..40].to_vec(), Code::OutOfRange),
        ("type 4", tensor(&[2], 4, 0), Code::Unimplemented),
        ("type 5", tensor(&[2], 5, 0), Code::Unimplemented),
        ("type 19", tensor(&[2], 19, 0), Code::Unimplemented),
        ("type of another world", tensor(&[2], u32::MAX, 0), Code::Unimplemented),
        ("part of a block", tensor(&[33], 2, 0), Code::InvalidArgument),
        ("overflow", tensor(&[u64::MAX, 3], 0, 0), Code::InvalidArgument),
        ("overflow in bytes", tensor(&[u64::MAX], 0, 0), Code::InvalidArgument),
        ("outside", tensor(&[17], 0, 0), Code::InvalidArgument),
        ("outside by its offset", tensor(&[2], 0, 60), Code::InvalidArgument),
        ("offset overflows", tensor(&[2], 0, u64::MAX), Code::InvalidArgument),
        ("unknown value", pair(13).0, Code::InvalidArgument),
        ("array of arrays", pair(9).u32(9).u64(1).0, Code::InvalidArgument),
        ("array of unknown", pair(9).u32(77).u64(0).0, Code::InvalidArgument),
        ("endless array", pair(9).u32(10).u64(u64::MAX).0, Code::OutOfRange),
        ("endless strings", pair(9).u32(8).u64(u64::MAX).0, Code::OutOfRange),
        (
            "alignment as text",
            Gguf::new(3, 0, 1).text("general.alignment").u32(8).text("64").0,
            Code::InvalidArgument,
        ),
        ("alignment 0", Gguf::new(3, 0, 1).text("general.alignment").u32(4).u32(0).0, Code::InvalidArgument),
        (
            "alignment 48",
            Gguf::new(3, 0, 1).text("general.alignment").u32(4).u32(48).0,
            Code::InvalidArgument,
        ),
        ("endless extents", Gguf::new(3, 1, 0).text("t").u32(u32::MAX).u64(1).u64(0).0, Code::OutOfRange),
    ];
    assert!(read(GgufFormat, &good).is_ok());
    for (name, bytes, code) in cases {
        assert_eq!(refusal(GgufFormat, bytes), *code, "{name}");
    }
    for length in 0..good.len() {
        let _ = read(GgufFormat, &good[..length]);
    }
}
