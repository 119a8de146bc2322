//! Files that are read, preloaded or mapped: equal results, and what becomes of each when the file changes.

use std::ops::Range;
use std::sync::Arc;

use weft::parameters::{ParameterFile, ParameterScopes};
use weft::vm::SharedBytes;
use weft::{Code, Deadline, Fence};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, IMMUTABLE, NULL, TemporaryFile, World};

/// Bytes at a multiple of 64, as mappings are; not those of the file, so that it shows which of the two was used.
struct Aligned(Vec<[u8; 64]>, Range<usize>);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &self.0.as_flattened()[self.1.clone()]
    }
}

fn aligned(bytes: &[u8]) -> SharedBytes {
    let mut blocks = vec![[0; 64]; bytes.len() / 64 + 2];
    let start = blocks.as_ptr().addr().wrapping_neg() % 64;
    let range = start..start + bytes.len();
    blocks.as_flattened_mut()[range.clone()].copy_from_slice(bytes);
    Arc::new(Aligned(blocks, range))
}

const SPANS: [(&str, u64, u64, u64); 4] =
    [("a", 0, 0, 1000), ("a", 64, 0, 936), ("a", 3, 0, 500), ("b", 0, 0, 77)];

fn archive(fill: u8) -> Vec<u8> {
    irpa(&[Entry::Data("a", &[fill; 1000]), Entry::Data("b", &[fill.wrapping_add(1); 77])])
}

/// All three give the same bytes, for parameters that may be used in place and for those that may not, at places that
/// are aligned and at others. [hal-module 55] [hal-module 57]
#[test]
fn read_preloaded_and_mapped_files_give_the_same() {
    let archive = archive(40);
    let file = TemporaryFile::new("modes.irpa", &archive);
    let mapped = || {
        let handle = std::fs::File::open(&file.0).unwrap();
        ParameterFile::from_mapping("mapped", handle, aligned(&archive)).unwrap()
    };
    let expected = [vec![40; 1000], vec![40; 936], vec![40; 500], vec![41; 77]];
    for uri in DEVICES {
        let modes =
            [ParameterFile::open(&file.0).unwrap(), ParameterFile::preload(&file.0).unwrap(), mapped()];
        for (mode, parameters) in modes.iter().enumerate() {
            let world = World::of(uri, parameters);
            for usage in [DEFAULT, IMMUTABLE] {
                assert_eq!(world.load(NULL, usage, &SPANS).unwrap(), expected, "{uri}, mode {mode}");
            }
            let target = world.buffer(&[0; 200]);
            world.transfer("gather", NULL, &target, &[("b", 7, 100, 70)]).unwrap();
            assert_eq!(target.read_to_vec(100, 70).unwrap(), [41; 70]);
        }
    }
}

/// Only what is lent in place comes from the mapping; headers and copies are read from the file.
#[test]
fn mappings_are_lent_and_never_copied() {
    let file = TemporaryFile::new("lent.irpa", &archive(10));
    let handle = std::fs::File::open(&file.0).unwrap();
    let parameters = ParameterFile::from_mapping("lent", handle, aligned(&archive(20))).unwrap();
    for uri in DEVICES {
        let world = World::of(uri, &parameters);
        let lent = world.load(NULL, IMMUTABLE, &SPANS).unwrap();
        assert_eq!(lent, [vec![20; 1000], vec![20; 936], vec![10; 500], vec![21; 77]], "one is not aligned");
        let copied = world.load(NULL, DEFAULT, &SPANS).unwrap();
        assert_eq!(copied, [vec![10; 1000], vec![10; 936], vec![10; 500], vec![11; 77]]);
        assert_eq!(world.device.allocator().statistics().device.live(), 0);
    }
}

/// A mapped file that was cut short is noticed before anything touches what is missing, by parameter and file; what is
/// left is lent as before. The mapping need not be as long as its last page, but as long as the file.
#[test]
fn a_mapped_file_that_was_cut_short_is_refused() {
    let bytes = archive(30);
    let file = TemporaryFile::new("cut.irpa", &bytes);
    let open = || std::fs::File::open(&file.0).unwrap();
    assert_eq!(
        ParameterFile::from_mapping("cut.irpa", open(), aligned(&bytes[..bytes.len() - 1]))
            .unwrap_err()
            .code(),
        Code::OutOfRange
    );
    let mut tail = bytes.clone();
    tail.resize(bytes.len().next_multiple_of(4096), 0);
    let parameters = ParameterFile::from_mapping("cut.irpa", open(), aligned(&tail)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(bytes.len() as u64 - 10).unwrap();
    for uri in DEVICES {
        let mut scopes = ParameterScopes::new();
        // Its headers are whole.
        let entries = weft::parameters::read_archive(
            &ParameterFile::from_memory("cut.irpa", Arc::new(bytes.clone())),
            weft::parameters::ArchiveFormat::Irpa,
        );
        scopes.index("").add(entries.unwrap().into_iter().map(|entry| weft::parameters::ParameterEntry {
            kind: match entry.kind {
                weft::parameters::ParameterKind::File { offset, .. } => {
                    weft::parameters::ParameterKind::File { file: Arc::clone(&parameters), offset }
                }
                splat => splat,
            },
            ..entry
        }));
        let world = World::new(uri, scopes);
        for usage in [IMMUTABLE, DEFAULT] {
            assert_eq!(world.load(NULL, usage, &[("a", 0, 0, 1000)]).unwrap(), [[30; 1000]]);
            let status = world.load(NULL, usage, &[("a", 0, 0, 1000), ("b", 0, 0, 77)]).unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange, "{status}");
            let text = status.to_string();
            assert!(text.contains("loading parameter `b` of `cut.irpa`"), "{text}");
            // Where it is lent, and where it is read.
            assert!(text.contains("10 bytes early") || text.contains("from a file of 1347"), "{text}");
        }
    }
}

/// A preloaded file is what it was, whatever happens on disk.
#[test]
fn preloaded_files_do_not_change() {
    let file = TemporaryFile::new("kept.irpa", &archive(50));
    let parameters = ParameterFile::preload(&file.0).unwrap();
    std::fs::write(&file.0, b"").unwrap();
    for uri in DEVICES {
        let world = World::of(uri, &parameters);
        let signal = Fence::create();
        let buffers = world.load_between(None, Some(&signal), NULL, IMMUTABLE, &SPANS).unwrap();
        signal.wait(Deadline::NEVER).unwrap();
        // The memory outlives whoever lent it.
        drop(world);
        assert_eq!(buffers[0].read_to_vec(0, u64::MAX).unwrap(), [50; 1000]);
    }
}
