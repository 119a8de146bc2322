//! IRPA archives that are refused: every row of the table of faults.

use weft::Code;
use weft::parameters::ArchiveFormat::Irpa;

use crate::build::{COUNT, ENTRIES, Entry, FIRST, METADATA, STORAGE, irpa, read, refusal, with_u64};

fn good() -> Vec<u8> {
    irpa(&[Entry::Data("data", &[9; 20]), Entry::Splat("splat", 8, &[1, 2])])
}

/// Each fault has its status. [hal-module 51]
#[test]
fn every_fault_has_its_status() {
    let place = |at: usize, value: u64| with_u64(good(), at, value);
    let truncated = |length: usize| good()[..length].to_vec();
    let byte = |at: usize, value: u8| {
        let mut bytes = good();
        bytes[at] = value;
        bytes
    };
    let length = good().len() as u64;
    let second = FIRST + 80;
    let cases: &[(&str, Vec<u8>, Code)] = &[
        ("empty", Vec::new(), Code::InvalidArgument),
        ("no prefix", truncated(31), Code::InvalidArgument),
        ("magic", byte(0, b'J'), Code::InvalidArgument),
        ("header size", place(8, 96), Code::InvalidArgument),
        ("header cut", truncated(87), Code::OutOfRange),
        ("major", byte(4, 1), Code::Unimplemented),
        ("minor", byte(6, 1), Code::Unimplemented),
        ("entries beyond the file", place(ENTRIES + 8, length), Code::OutOfRange),
        ("entries overflow", place(ENTRIES, u64::MAX), Code::OutOfRange),
        ("metadata beyond the file", place(METADATA + 8, length), Code::OutOfRange),
        ("storage beyond the file", place(STORAGE + 8, length), Code::OutOfRange),
        ("storage overflow", place(STORAGE, u64::MAX - 3), Code::OutOfRange),
        ("file cut", truncated(good().len() - 1), Code::OutOfRange),
        ("one more entry", place(COUNT, 3), Code::OutOfRange),
        ("endless entries", place(COUNT, u64::MAX), Code::OutOfRange),
        ("entry of no size", place(FIRST, 0), Code::OutOfRange),
        ("entry too small", place(FIRST, 75), Code::OutOfRange),
        ("entry too large", place(FIRST, 1000), Code::OutOfRange),
        ("entry overflows", place(FIRST, u64::MAX), Code::OutOfRange),
        ("name outside", place(FIRST + 20, 10), Code::OutOfRange),
        ("name overflows", place(FIRST + 28, u64::MAX), Code::OutOfRange),
        ("metadata outside", place(FIRST + 44, 10), Code::OutOfRange),
        ("data outside", place(FIRST + 60, 1), Code::OutOfRange),
        ("data overflows", place(FIRST + 68, u64::MAX), Code::OutOfRange),
        ("pattern of none", byte(second + 84, 0), Code::InvalidArgument),
        ("pattern of 17", byte(second + 84, 17), Code::InvalidArgument),
        ("pattern of 255", byte(second + 84, 255), Code::InvalidArgument),
        ("external", byte(FIRST + 8, 3), Code::Unimplemented),
        ("unknown", byte(FIRST + 8, 4), Code::Unimplemented),
        ("next outside", place(16, length), Code::OutOfRange),
        ("next overflows", place(16, u64::MAX), Code::OutOfRange),
        ("next crooked", place(16, 8), Code::InvalidArgument),
        ("next is no header", place(16, 96), Code::InvalidArgument),
    ];
    assert!(read(Irpa, &good()).is_ok());
    for (name, bytes, code) in cases {
        assert_eq!(refusal(Irpa, bytes), *code, "{name}");
    }
}

/// A message says which parameter it is about, and where it stands.
#[test]
fn faults_name_the_parameter_and_the_place() {
    let status = read(Irpa, &with_u64(good(), FIRST + 68, 100)).unwrap_err().to_string();
    for part in ["`a test`", "`data`", "entry 0 of 2 at offset 96", "data of 100 bytes at 0"] {
        assert!(status.contains(part), "`{part}` in {status}");
    }
}

/// Every archive cut at every length, and every byte of it replaced by some values, is refused or read; never more.
#[test]
fn cut_and_spoilt_archives_do_no_harm() {
    let good = good();
    for length in 0..good.len() {
        assert!(read(Irpa, &good[..length]).is_err(), "{length} bytes");
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut bytes = good.clone();
            bytes[at] = value;
            let _ = read(Irpa, &bytes);
        }
    }
}

/// Small files cannot ask for much memory or time: headers that share their entries, names that share their bytes.
#[test]
fn sharing_is_bounded() {
    // Headers in a row, each of which has all entries at the end of the file as its own.
    let headers = 1000usize;
    let tail = irpa(&[]).len().max(FIRST) * headers;
    let mut bytes = Vec::new();
    for index in 0..headers {
        let header = with_u64(irpa(&[]), 16, if index + 1 < headers { 96 } else { 0 });
        let from_here = (tail - index * 96) as u64;
        let header =
            with_u64(with_u64(with_u64(header, COUNT, 1000), ENTRIES, from_here), ENTRIES + 8, 64 * 1000);
        bytes.extend(&header[..88]);
        bytes.resize((index + 1) * 96, 0);
    }
    bytes.resize(tail, 0);
    for _ in 0..1000 {
        let start = bytes.len();
        bytes.extend(60u64.to_le_bytes());
        bytes.resize(start + 64, 0);
    }
    assert_eq!(refusal(Irpa, &bytes), Code::OutOfRange);
    // Ten thousand names of 60 KiB over the same bytes.
    let name = "n".repeat(60 << 10);
    let mut entries = vec![Entry::Splat(&name, 1, &[1])];
    entries.extend((0..10_000).map(|_| Entry::Splat("", 1, &[1])));
    let mut bytes = irpa(&entries);
    for index in 1..=10_000 {
        bytes = with_u64(with_u64(bytes, FIRST + index * 96 + 20, 0), FIRST + index * 96 + 28, 60 << 10);
    }
    assert_eq!(refusal(Irpa, &bytes), Code::ResourceExhausted);
}
