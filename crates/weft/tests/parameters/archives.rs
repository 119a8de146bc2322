//! IRPA archives that are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft::parameters::{
    ArchiveFormat, ArchiveLayout, DATA_ALIGNMENT, ParameterEntry, ParameterFile, ParameterIndex,
    ParameterKind, ParameterScopes, PlacedEntry, SplatPattern, Storage, read_archive, write_file,
};
use weft::{Code, Result};

use crate::build::{Entry, FIRST, irpa, read, with_u64};

fn shown(entries: &[ParameterEntry]) -> Vec<(String, Option<u64>, u64)> {
    let offset = |entry: &ParameterEntry| match &entry.kind {
        ParameterKind::Splat(_) => None,
        ParameterKind::File { offset, .. } => Some(*offset),
    };
    entries.iter().map(|entry| (entry.name(), offset(entry), entry.length)).collect()
}

fn row(name: &str, offset: Option<u64>, length: u64) -> (String, Option<u64>, u64) {
    (name.to_owned(), offset, length)
}

/// Empty, one, several, with splats of every length and entries to skip; linked headers count from their own start.
/// [hal-module 51]
#[test]
fn archives_are_read() {
    let read = |bytes: &[u8]| read(ArchiveFormat::Irpa, bytes).unwrap();
    assert!(read(&irpa(&[])).is_empty());
    let single = read(&irpa(&[Entry::Data("key0", &[7; 16])]));
    assert_eq!(shown(&single), [row("key0", Some(192), 16)]);
    let mixed = read(&irpa(&[
        Entry::Data("key0", &[1; 16]),
        Entry::Skip,
        Entry::Data("key1", &[2; 16]),
        Entry::Splat("key2", 102, &[3]),
        Entry::Splat("key3", 33_554_432, &[4; 8]),
    ]));
    let rows = [
        row("key0", Some(576), 16),
        row("key1", Some(640), 16),
        row("key2", None, 102),
        row("key3", None, 33_554_432),
    ];
    assert_eq!(shown(&mixed), rows);
    for length in [1, 2, 4, 8, 16] {
        let pattern: Vec<u8> = (0..length).collect();
        let entries = read(&irpa(&[Entry::Splat("s", 64, &pattern)]));
        assert!(matches!(entries[0].kind, ParameterKind::Splat(found) if found.bytes() == pattern));
    }
    let first = irpa(&[Entry::Data("a", &[1; 4])]);
    let next = first.len().next_multiple_of(16);
    let mut linked = with_u64(first, 16, next as u64);
    linked.resize(next, 0);
    linked.extend(irpa(&[Entry::Data("b", &[2; 4])]));
    let rows = [row("a", Some(192), 4), row("b", Some(192 + next as u64), 4)];
    assert_eq!(shown(&read(&linked)), rows);
}

/// What is laid out is read again, whatever the alignment, and files are written as a whole or not at all.
#[test]
fn archives_are_written() {
    let folder = std::env::temp_dir().join(format!("weft-archives-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.irpa");
    let entry = |key: &str, length, storage| PlacedEntry {
        key: key.as_bytes().into(),
        metadata: (*b"said").into(),
        length,
        storage,
    };
    let entries = [
        entry("data", 5, Storage::Data),
        entry("splat", 1 << 40, Storage::Splat(SplatPattern::new(&[1, 2, 3]).unwrap())),
        entry("more", 0, Storage::Data),
    ];
    for alignment in [1, 16, DATA_ALIGNMENT, 4096] {
        let layout = ArchiveLayout::new(&entries, alignment).unwrap();
        let mut bytes = layout.head().to_vec();
        bytes.resize(layout.length() as usize, 0);
        std::fs::write(&path, &bytes).unwrap();
        let read = weft::parameters::read_archive(&ParameterFile::open(&path).unwrap(), ArchiveFormat::Irpa)
            .unwrap();
        for (index, (placed, entry)) in entries.iter().zip(&read).enumerate() {
            assert_eq!(
                (&placed.key, &placed.metadata, placed.length),
                (&entry.key, &entry.metadata, entry.length)
            );
            let offset = match &entry.kind {
                ParameterKind::Splat(_) => None,
                ParameterKind::File { offset, .. } => Some(*offset),
            };
            assert_eq!(offset, layout.data_offset(index));
            assert!(offset.is_none_or(|offset| offset.is_multiple_of(alignment)));
        }
    }
    let too_long = [entry("a", u64::MAX - 100, Storage::Data), entry("b", 200, Storage::Data)];
    assert_eq!(ArchiveLayout::new(&too_long, 64).unwrap_err().code(), Code::OutOfRange);
    assert_eq!(ArchiveLayout::new(&entries, 48).unwrap_err().code(), Code::InvalidArgument);
    // A failure leaves the old file, and nothing else in the folder.
    let before = std::fs::read(&path).unwrap();
    let failed: Result<()> = write_file(&path, |file| {
        use std::io::Write;
        file.write_all(b"half").unwrap();
        Err(weft::Status::new(Code::DataLoss, "power went away"))
    });
    assert_eq!(failed.unwrap_err().code(), Code::DataLoss);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Bytes that count how often somebody reads some of them.
struct Counting(Vec<u8>, AtomicUsize);

impl AsRef<[u8]> for Counting {
    fn as_ref(&self) -> &[u8] {
        self.1.fetch_add(1, Ordering::Relaxed);
        &self.0
    }
}

/// Entries, names and descriptions are read in pieces of some length, although each entry jumps to its name and to its
/// description: whether names follow each other or go backwards.
#[test]
fn large_tables_are_read_about_once() {
    let count = 20_000;
    let names: Vec<String> = (0..count).map(|index| format!("{index:08}")).collect();
    let descriptions = "d".repeat(100_000);
    let mut entries: Vec<Entry<'_>> = names.iter().map(|name| Entry::Data(name, &[])).collect();
    entries.push(Entry::Data(&descriptions, &[]));
    let mut described = irpa(&entries);
    for index in 0..count {
        let at = FIRST + index * 80;
        described = with_u64(with_u64(described, at + 36, 8 * count as u64 + 50_000), at + 44, 4);
    }
    let mut backwards = described.clone();
    for index in 0..count {
        backwards = with_u64(backwards, FIRST + index * 80 + 20, 8 * (count - 1 - index) as u64);
    }
    for (bytes, first) in [(described, b"00000000"), (backwards, b"00019999")] {
        let bytes = Arc::new(Counting(bytes, AtomicUsize::new(0)));
        let shared: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::clone(&bytes) as _;
        let entries =
            read_archive(&ParameterFile::from_memory("counted", shared), ArchiveFormat::Irpa).unwrap();
        assert_eq!(
            (entries.len(), &*entries[0].key, &*entries[0].metadata),
            (count + 1, &first[..], &b"dddd"[..])
        );
        let reads = bytes.1.load(Ordering::Relaxed);
        assert!(reads < 100, "{reads} reads of at most 64 KiB for less than 2 MiB");
    }
}

/// Splats know where they are: a range that begins within a pattern begins with its middle.
#[test]
fn patterns_turn_and_shrink() {
    let pattern = |bytes: &[u8]| SplatPattern::new(bytes).unwrap();
    assert_eq!(pattern(&[1, 2, 3]).from_offset(7), pattern(&[2, 3, 1]));
    assert_eq!(pattern(&[0; 16]).from_offset(3), SplatPattern::ZERO);
    assert_eq!(pattern(&[1, 2, 1, 2, 1, 2, 1, 2]).from_offset(1), pattern(&[2, 1]));
    assert_eq!(pattern(&[1, 2, 1]).from_offset(u64::MAX), pattern(&[1, 2, 1]));
    assert!(SplatPattern::new(&[0; 17]).is_err());
}

/// The first of several parameters with one key is found, order is kept, and adding while others look up is safe.
/// [hal-module 53]
#[test]
fn an_index_finds_the_first_and_grows_under_readers() {
    let splat = |key: &str, length| {
        ParameterEntry::new(key.as_bytes(), length, ParameterKind::Splat(SplatPattern::ZERO))
    };
    let index = Arc::new(ParameterIndex::new());
    index.add([splat("a", 1), splat("b", 2), splat("a", 3)]);
    assert_eq!(index.find(b"a").unwrap().length, 1);
    let lengths: Vec<u64> = index.entries().iter().map(|entry| entry.length).collect();
    assert_eq!(lengths, [1, 2, 3]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..20_000).for_each(|_| assert_eq!(index.find(b"b").unwrap().length, 2)));
        }
        (0..2000).for_each(|count| index.add([splat(&format!("k{count}"), count)]));
    });
    assert_eq!(index.find(b"k1999").unwrap().length, 1999);
    let missing = index.find(b"none").unwrap_err();
    assert_eq!(
        (missing.code(), &*missing.message()),
        (Code::NotFound, "no parameter found in index with key 'none'")
    );
}

/// Scope before the first `=`, several files of one scope in order, extensions in any case. [hal-module 57]
#[test]
fn scopes_are_named_in_front_of_files() {
    assert_eq!(ParameterScopes::split("a=b=c.irpa"), ("a", "b=c.irpa"));
    assert_eq!(ParameterScopes::split("=c.irpa"), ("", "c.irpa"));
    assert_eq!(ArchiveFormat::of_path("x.IRPA").unwrap(), ArchiveFormat::Irpa);
    assert_eq!(ArchiveFormat::of_path("x.SafeTensors").unwrap(), ArchiveFormat::Safetensors);
    assert_eq!(ArchiveFormat::of_path("irpa").unwrap_err().code(), Code::Unimplemented);
    let memory = |bytes: Vec<u8>| ParameterFile::from_memory("m", Arc::new(bytes));
    let mut scopes = ParameterScopes::new();
    scopes.add("s", "1.irpa", &memory(irpa(&[Entry::Splat("k", 4, &[1])]))).unwrap();
    scopes.add("", "2.irpa", &memory(irpa(&[Entry::Splat("g", 4, &[1])]))).unwrap();
    scopes
        .add("s", "3.irpa", &memory(irpa(&[Entry::Splat("k", 8, &[1]), Entry::Splat("l", 8, &[1])])))
        .unwrap();
    // A file that is refused leaves nothing behind.
    let bad = irpa(&[Entry::Splat("good", 8, &[1]), Entry::Splat("bad", 8, &[1; 17])]);
    assert!(scopes.add("s", "4.irpa", &memory(bad)).is_err());
    let names: Vec<(&str, usize)> =
        scopes.providers().iter().map(|provider| (provider.scope(), provider.index().len())).collect();
    assert_eq!(names, [("s", 3), ("", 1)]);
    assert_eq!(scopes.index("s").find(b"k").unwrap().length, 4);
    assert_eq!(ParameterFile::open("/none/such.irpa").unwrap_err().code(), Code::NotFound);
    assert_eq!(ParameterFile::open(std::env::temp_dir()).unwrap_err().code(), Code::InvalidArgument);
}
