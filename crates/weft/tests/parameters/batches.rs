//! Batches of loads, gathers and scatters, on both devices.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft::parameters::{ParameterEntry, ParameterFile, ParameterKind, ParameterScopes, SplatPattern};
use weft::vm::Value;
use weft::{Code, Deadline, Fence, Status};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, IMMUTABLE, NULL, Span, TemporaryFile, World, scope, tables};
use crate::imports::bytes;

fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 % 251) as u8).collect()
}

/// File, memory, and a pattern: the whole, parts, the global scope by null and by the empty text, others, none at all.
/// [hal-module 53]
#[test]
fn parameters_are_loaded_by_name() {
    let data = counting(1000);
    let archive =
        irpa(&[Entry::Data("a", &data), Entry::Splat("s", 10, &[1, 2, 3, 4]), Entry::Data("a", b"late")]);
    let other = irpa(&[Entry::Data("a", b"other")]);
    let file = TemporaryFile::new("named.irpa", &archive);
    for uri in DEVICES {
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
        scopes.add("more", "y.irpa", &ParameterFile::from_memory("y", Arc::new(other.clone()))).unwrap();
        let world = World::new(uri, scopes);
        for global in [NULL, scope("")] {
            let spans = [("a", 0, 0, 1000), ("s", 1, 0, 7), ("a", 990, 0, 10), ("a", 1000, 0, 0)];
            let loaded = world.load(global, DEFAULT, &spans).unwrap();
            assert_eq!(loaded, [&data[..], &[2, 3, 4, 1, 2, 3, 4], &data[990..], &[]]);
        }
        assert_eq!(world.load(scope("more"), IMMUTABLE, &[("a", 1, 0, 3)]).unwrap(), [b"the"]);
        assert!(world.load(NULL, DEFAULT, &[]).unwrap().is_empty());
        let fails = |scope: Value, span| {
            let status = world.load(scope, DEFAULT, &[("a", 0, 0, 4), span]).unwrap_err();
            (status.code(), status.message().into_owned())
        };
        assert_eq!(
            fails(scope("none"), ("a", 0, 0, 4)),
            (Code::NotFound, "no provider registered that handles scopes like 'none'".into())
        );
        assert_eq!(
            fails(NULL, ("b", 0, 0, 4)),
            (Code::NotFound, "no parameter found in index with key 'b'".into())
        );
        assert_eq!(
            fails(NULL, ("s", 8, 0, 32)),
            (Code::OutOfRange, "parameter `s` range out of bounds (offset=8, length=32, size=10)".into())
        );
        assert_eq!(fails(NULL, ("a", u64::MAX, 0, 2)).0, Code::OutOfRange);
        assert_eq!(fails(NULL, ("a", 1, 0, u64::MAX)).0, Code::OutOfRange);
        assert_eq!(fails(NULL, ("a", 0, 8, 4)).0, Code::OutOfRange, "a buffer of its own has no offset");
        world.device.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(world.device.allocator().statistics().device.live(), 0);
    }
}

/// Tables that do not fit each other. [hal-module 53]
#[test]
fn tables_are_checked() {
    let archive = ParameterFile::from_memory("x", Arc::new(irpa(&[Entry::Data("key", b"12345678")])));
    for uri in DEVICES {
        let world = World::of(uri, &archive);
        let target = world.buffer(&[0; 8]);
        let code =
            |tables: [Value; 3]| world.transfer_tables("gather", NULL, &target, tables).unwrap_err().code();
        let [keys, data, spans] = tables(&[("key", 0, 0, 8)]);
        assert_eq!(code([keys.clone(), data.clone(), bytes([0; 25])]), Code::InvalidArgument);
        assert_eq!(code([bytes([0; 7]), data.clone(), spans.clone()]), Code::InvalidArgument);
        assert_eq!(code([bytes([1, 0, 0, 0, 3, 0, 0, 0]), data.clone(), spans.clone()]), Code::OutOfRange);
        assert_eq!(code([bytes([0xFF; 8]), data.clone(), spans.clone()]), Code::OutOfRange);
        assert_eq!(code(tables(&[("key", 0, 1, 8)])), Code::OutOfRange, "the target is too short");
        assert_eq!(code(tables(&[("", 0, 0, 8)])), Code::NotFound, "an empty key is a key");
        world.transfer_tables("gather", NULL, &target, [keys, data, spans]).unwrap();
        assert_eq!(target.read_to_vec(0, 8).unwrap(), b"12345678");
    }
}

/// Nothing is transferred if one of them has no room; the program's first such is named. [hal-module 53]
#[test]
fn rooms_are_checked_before_anything_is_transferred() {
    let (one, two) = (counting(64), counting(64));
    let file = TemporaryFile::new("rooms.irpa", &irpa(&[Entry::Data("a", &one), Entry::Data("b", &two)]));
    for uri in DEVICES {
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", &ParameterFile::open_writable(&file.0).unwrap()).unwrap();
        let world = World::new(uri, scopes);
        let target = world.buffer(&[0xEE; 128]);
        let refused = |import: &str, spans: &[Span<'_>], name: &str| {
            let status = world.transfer(import, NULL, &target, spans).unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange);
            assert!(status.to_string().contains(&format!("parameter `{name}` of")), "{status}");
        };
        for import in ["gather", "scatter"] {
            refused(import, &[("a", 0, 0, 64), ("b", 0, 100, 64)], "b");
            refused(import, &[("b", 0, 100, 64), ("a", 0, 65, 64)], "b");
        }
        let status = world.load(NULL, DEFAULT, &[("b", 0, 1, 64), ("a", 0, 2, 64)]).unwrap_err();
        assert!(status.to_string().contains("parameter `b`"), "{status}");
        world.device.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(target.read_to_vec(0, 128).unwrap(), [0xEE; 128]);
        let loaded = world.load(NULL, DEFAULT, &[("a", 0, 0, 64), ("b", 0, 0, 64)]).unwrap();
        assert!(loaded == [&*one, &*two]);
    }
}

/// A thousand entries of all kinds into one buffer, twice, and out of it into a file. [hal-module 53]
#[test]
fn many_entries_are_gathered_and_scattered() {
    let names: Vec<String> = (0..1000).map(|index| format!("parameter.{index}")).collect();
    let data = counting(1016);
    let entries: Vec<Entry<'_>> = names
        .iter()
        .enumerate()
        .map(|(index, name)| match index % 3 {
            0 => Entry::Splat(name, 16, &data[index..index + 1 + index % 16]),
            _ => Entry::Data(name, &data[index..index + 16]),
        })
        .collect();
    let expected: Vec<u8> = (0..1000)
        .flat_map(|index| {
            let pattern = if index % 3 == 0 { 1 + index % 16 } else { 16 };
            data[index..index + pattern].iter().copied().cycle().take(16).collect::<Vec<u8>>()
        })
        .collect();
    let spans: Vec<_> = names.iter().zip(0u64..).map(|(name, index)| (&**name, 0, index * 16, 16)).collect();
    let archive = irpa(&entries);
    for uri in DEVICES {
        let file = TemporaryFile::new(&format!("many-{uri}.irpa"), &archive);
        let world = World::of(uri, &ParameterFile::open_writable(&file.0).unwrap());
        let target = world.buffer(&vec![0; 16_000]);
        for _ in 0..2 {
            world.transfer("gather", NULL, &target, &spans).unwrap();
            assert_eq!(target.read_to_vec(0, 16_000).unwrap(), expected);
        }
        let source = world.buffer(&vec![0xEE; 16_000]);
        let written = spans.iter().copied().enumerate().filter(|(index, _)| index % 3 != 0);
        let written: Vec<_> = written.map(|(_, span)| span).collect();
        world.transfer("scatter", NULL, &source, &written).unwrap();
        let again = World::of(uri, &ParameterFile::open(&file.0).unwrap());
        let loaded =
            again.load(NULL, DEFAULT, &[("parameter.1", 0, 0, 16), ("parameter.3", 0, 0, 16)]).unwrap();
        assert_eq!(loaded[0], [0xEE; 16]);
        assert_ne!(loaded[1], [0xEE; 16]);
        // Splats and files that were opened for reading are not written to.
        let denied = |world: &World, name| {
            world.transfer("scatter", NULL, &source, &[(name, 0, 0, 16)]).unwrap_err().code()
        };
        assert_eq!(denied(&world, "parameter.0"), Code::PermissionDenied);
        assert_eq!(denied(&again, "parameter.1"), Code::PermissionDenied);
    }
}

/// Patterns of every length, from every phase, over lengths that no fill can do, and over many megabytes.
#[test]
fn splats_of_any_length_are_written() {
    let pattern = counting(16);
    let scopes = || {
        let mut scopes = ParameterScopes::new();
        let entry = |length: usize| {
            let kind = ParameterKind::Splat(SplatPattern::new(&pattern[..length]).unwrap());
            ParameterEntry::new(format!("p{length}").into_bytes(), 8 << 20, kind)
        };
        scopes.index("").add((1..=16).map(entry));
        scopes
    };
    for uri in DEVICES {
        let world = World::new(uri, scopes());
        for length in 1..=16usize {
            let name = format!("p{length}");
            for (offset, at, bytes) in [(0u64, 0u64, 1u64), (5, 3, 9001), (16, 4, 8192), (1, 0, 4097)] {
                let target = world.buffer(&[0xAA; 9010]);
                world.transfer("gather", NULL, &target, &[(&name, offset, at, bytes)]).unwrap();
                let found = target.read_to_vec(0, 9010).unwrap();
                for (index, byte) in found.iter().enumerate() {
                    let inside = (index as u64).checked_sub(at).filter(|distance| *distance < bytes);
                    let expected = inside
                        .map_or(0xAA, |distance| pattern[((offset + distance) % length as u64) as usize]);
                    assert_eq!(*byte, expected, "{uri} {name} from {offset} at {at}, byte {index}");
                }
            }
        }
        let large = world.load(NULL, DEFAULT, &[("p7", 0, 0, 8 << 20), ("p8", 0, 0, 1 << 20)]).unwrap();
        assert!(large[0].iter().zip(pattern[..7].iter().cycle()).all(|(found, expected)| found == expected));
        assert!(large[1].iter().zip(pattern[..8].iter().cycle()).all(|(found, expected)| found == expected));
    }
}

/// From a file and from memory, in place or copied, on both devices, with parameters longer than one transfer: the same
/// bytes. A buffer that is the file's memory has the exact range, and only what programs never write is shared.
/// [hal-module 55]
#[test]
fn all_ways_give_the_same_bytes() {
    let data = counting(40 << 20);
    let file =
        TemporaryFile::new("ways.irpa", &irpa(&[Entry::Data("first", b"x"), Entry::Data("large", &data)]));
    let spans = [("large", 0, 0, 40 << 20), ("large", 64, 0, 100), ("large", 1, 0, 99), ("first", 0, 0, 1)];
    let lengths = [40 << 20, 100, 99, 1];
    for uri in DEVICES {
        for is_preloaded in [false, true] {
            let open =
                if is_preloaded { ParameterFile::preload(&file.0) } else { ParameterFile::open(&file.0) };
            let world = World::of(uri, &open.unwrap());
            for usage in [DEFAULT, IMMUTABLE] {
                let signal = Fence::create();
                let buffers = world.load_between(None, Some(&signal), NULL, usage, &spans).unwrap();
                signal.wait(Deadline::NEVER).unwrap();
                for ((buffer, (_, offset, _, length)), expected) in buffers.iter().zip(spans).zip(lengths) {
                    assert_eq!(buffer.byte_length(), expected);
                    let start = offset as usize;
                    let expected = if length == 1 { b"x" } else { &data[start..start + length as usize] };
                    assert!(buffer.read_to_vec(0, u64::MAX).unwrap() == expected, "{uri} {is_preloaded}");
                }
                // Aligned ranges of memory cost no memory of the device.
                let in_place: Vec<bool> = buffers.iter().map(|buffer| !buffer.is_transient()).collect();
                let expected = is_preloaded && usage == IMMUTABLE;
                assert_eq!(
                    in_place,
                    [expected, expected, false, expected],
                    "{uri} {is_preloaded} {usage:#x}"
                );
            }
        }
    }
}

/// Nothing is read before the wait fence, the signal fence comes after the last byte, a failed wait fails the signal.
/// [hal-module 54]
#[test]
fn fences_are_kept() {
    let data = counting(3 << 20);
    let file = TemporaryFile::new("fences.irpa", &irpa(&[Entry::Data("a", &vec![0; 3 << 20])]));
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (seen_done, seen_total) = (Arc::clone(&done), Arc::clone(&total));
    let mut scopes = ParameterScopes::new();
    scopes.add("", "x.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
    let observer = Arc::new(move |done, total| {
        seen_done.store(done, Ordering::SeqCst);
        seen_total.store(total, Ordering::SeqCst);
    });
    let world = World::observed("local-task", scopes, Some(observer));
    let (wait, signal) = (Fence::create(), Fence::create());
    let spans = [("a", 0, 0, 3 << 20)];
    let buffers = world.load_between(Some(&wait), Some(&signal), NULL, DEFAULT, &spans).unwrap();
    assert_eq!(
        signal.wait(Deadline::after(Duration::from_millis(30))).unwrap_err().code(),
        Code::DeadlineExceeded
    );
    assert_eq!(done.load(Ordering::SeqCst), 0, "nothing has been transferred");
    // What is in the file when the fence is reached is what is read.
    std::fs::write(&file.0, irpa(&[Entry::Data("a", &data)])).unwrap();
    wait.signal().unwrap();
    signal.wait(Deadline::NEVER).unwrap();
    assert!(buffers[0].read_to_vec(0, u64::MAX).unwrap() == data);
    assert_eq!((done.load(Ordering::SeqCst), total.load(Ordering::SeqCst)), (3 << 20, 3 << 20));
    let (wait, signal) = (Fence::create(), Fence::create());
    wait.fail(Status::new(Code::DataLoss, "the step before failed"));
    world.load_between(Some(&wait), Some(&signal), NULL, DEFAULT, &spans).unwrap();
    let failure = signal.wait(Deadline::NEVER).unwrap_err();
    assert_eq!((failure.code(), &*failure.message()), (Code::DataLoss, "the step before failed"));
}

/// Whoever is told how far transfers have come hears of all bytes of a batch at once, never of fewer than before, and
/// that nothing is left in the end: also where memory is used in place, and where a batch fails half-way.
#[test]
fn counts_begin_with_the_whole_and_end_even() {
    let data = counting(1 << 20);
    let archive = irpa(&[Entry::Data("a", &data), Entry::Splat("s", 1 << 20, &[1]), Entry::Data("b", &data)]);
    let file = TemporaryFile::new("counts.irpa", &archive);
    let spans = [("a", 0, 0, 1 << 20), ("s", 0, 0, 1 << 20), ("b", 1, 0, 1000), ("b", 64, 0, 1 << 19)];
    for uri in DEVICES {
        for is_preloaded in [false, true] {
            let open =
                if is_preloaded { ParameterFile::preload(&file.0) } else { ParameterFile::open(&file.0) };
            let mut scopes = ParameterScopes::new();
            let open = open.unwrap();
            scopes.add("", "x.irpa", &open).unwrap();
            // Nobody has memory for it.
            let kind = ParameterKind::File { file: open, offset: 0 };
            scopes.index("").add([ParameterEntry::new(*b"huge", 1 << 60, kind)]);
            let reports: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
            let sink = Arc::clone(&reports);
            let observer = Arc::new(move |done, total| sink.lock().unwrap().push((done, total)));
            let world = World::observed(uri, scopes, Some(observer));
            // The program stays, so that all calls count together.
            let program = world.program("load");
            let refused = [("huge", 0, 0, 1 << 60)];
            for (usage, spans) in [(DEFAULT, &spans[..]), (IMMUTABLE, &spans), (DEFAULT, &refused)] {
                let whole: u64 =
                    spans.iter().filter(|(name, ..)| *name != "s").map(|(.., length)| length).sum();
                let before = reports.lock().unwrap().last().copied().unwrap_or((0, 0));
                let first = reports.lock().unwrap().len();
                let signal = Fence::create();
                let loaded = world.load_by(&program, None, Some(&signal), NULL, usage, spans);
                assert_eq!(signal.wait(Deadline::NEVER).is_ok(), loaded.is_ok());
                assert_eq!(loaded.is_ok(), spans.len() > 1);
                world.device.wait_idle(Deadline::NEVER).unwrap();
                let reports = reports.lock().unwrap();
                assert_eq!(reports[first], (before.0, before.1 + whole), "{uri} {is_preloaded}");
                assert!(reports.is_sorted_by_key(|(done, _)| *done), "{reports:?}");
                let (done, total) = reports[reports.len() - 1];
                assert_eq!(done, total, "{uri} {is_preloaded} {usage:#x}");
                let lent = if is_preloaded && usage == IMMUTABLE { whole - 1000 } else { 0 };
                let expected = if loaded.is_ok() { whole - lent } else { 0 };
                assert_eq!(done - before.0, expected, "{uri} {is_preloaded} {usage:#x}");
            }
        }
    }
}

/// A file that is cut short while it is loaded fails the fence, which names the parameter and the file; what was loaded
/// for nothing is freed, and the next load works. [hal-module 54]
#[test]
fn a_file_that_shrinks_fails_by_name() {
    let data = counting(1 << 20);
    let archive = irpa(&[Entry::Data("early", &data), Entry::Data("late", &data)]);
    for uri in DEVICES {
        let file = TemporaryFile::new(&format!("shrinks-{uri}.irpa"), &archive);
        let world = World::of(uri, &ParameterFile::open(&file.0).unwrap());
        std::fs::OpenOptions::new()
            .write(true)
            .open(&file.0)
            .unwrap()
            .set_len(archive.len() as u64 - 100)
            .unwrap();
        let status =
            world.load(NULL, DEFAULT, &[("early", 0, 0, 1 << 20), ("late", 0, 0, 1 << 20)]).unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        let text = status.to_string();
        assert!(text.contains("loading parameter `late` of `"), "{text}");
        assert!(text.contains(&format!("shrinks-{uri}.irpa")), "{text}");
        world.device.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(world.device.allocator().statistics().device.live(), 0, "{uri}");
        assert_eq!(world.load(NULL, DEFAULT, &[("early", 0, 0, 1 << 20)]).unwrap(), [&data[..]]);
    }
}

/// Whoever reads behind the end of a file that was cut short is told where it ends, not where reading began: by whom
/// ever it is read.
#[test]
fn the_end_of_a_file_that_shrank_is_told() {
    let data = counting(1 << 20);
    let archive = irpa(&[Entry::Data("early", &data), Entry::Data("late", &data)]);
    for (backend, end) in [("posix", 5000), ("posix", 0), ("nobody", 5000), ("nobody", 0)] {
        let file = TemporaryFile::new(&format!("ends-{backend}-{end}.irpa"), &archive);
        let opened = ParameterFile::open(&file.0).unwrap();
        let (world, _) = World::read_by("local-task", &opened, backend).unwrap();
        let (wait, signal) = (Fence::create(), Fence::create());
        let spans = [("late", 0, 0, 1 << 20)];
        world.load_between(Some(&wait), Some(&signal), NULL, DEFAULT, &spans).unwrap();
        // What was there when the load was asked for is not there any more when it begins.
        std::fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(end).unwrap();
        wait.signal().unwrap();
        let told = format!("ended at {end}, {} bytes early", archive.len() as u64 - end);
        let status = signal.wait(Deadline::NEVER).unwrap_err();
        assert!(status.to_string().contains(&told), "{backend}: {told}: {status}");
        let status = opened.read_exact_at(archive.len() as u64 - 100, &mut [0; 100]).unwrap_err();
        assert!(status.to_string().contains(&told), "{told}: {status}");
    }
}

/// The file that was opened is the one that is read, whatever takes its name afterwards. [hal-module 56]
#[test]
fn a_replaced_archive_stays_as_it_was() {
    for uri in DEVICES {
        let file = TemporaryFile::new(&format!("replaced-{uri}.irpa"), &irpa(&[Entry::Data("a", b"old")]));
        let world = World::of(uri, &ParameterFile::open(&file.0).unwrap());
        let fresh = TemporaryFile::new(&format!("fresh-{uri}.irpa"), &irpa(&[Entry::Data("a", b"new")]));
        std::fs::rename(&fresh.0, &file.0).unwrap();
        assert_eq!(world.load(NULL, DEFAULT, &[("a", 0, 0, 3)]).unwrap(), [b"old"]);
        std::fs::remove_file(&file.0).unwrap();
        assert_eq!(world.load(NULL, DEFAULT, &[("a", 0, 0, 3)]).unwrap(), [b"old"]);
    }
}

/// Entries that somebody made by hand, beyond the end of their file: an error, wherever they begin. [hal-module 53]
#[test]
fn entries_beyond_their_file_are_refused() {
    let on_disk = TemporaryFile::new("beyond.bin", &[7; 100]);
    for in_memory in [false, true] {
        for (offset, length) in [
            (u64::MAX - 10, 100),
            (u64::MAX - 99, 100),
            (1 << 63, 8),
            (i64::MAX as u64, 2 << 20),
            (100, 1),
            (99, 2),
            (0, 6 << 20),
        ] {
            let file = if in_memory {
                ParameterFile::from_memory("m", Arc::new(vec![7u8; 100]))
            } else {
                ParameterFile::open(&on_disk.0).unwrap()
            };
            for uri in DEVICES {
                let mut scopes = ParameterScopes::new();
                let kind = ParameterKind::File { file: Arc::clone(&file), offset };
                scopes.index("").add([ParameterEntry::new(*b"a", length, kind)]);
                let world = World::new(uri, scopes);
                for usage in [DEFAULT, IMMUTABLE] {
                    let status = world.load(NULL, usage, &[("a", 0, 0, length)]).unwrap_err();
                    assert!(
                        [Code::OutOfRange, Code::InvalidArgument].contains(&status.code())
                            && status.to_string().contains("parameter `a` of `"),
                        "{uri}, {offset}, {length}: {status}"
                    );
                }
                let target = world.buffer(&[0; 8]);
                world.transfer("gather", NULL, &target, &[("a", length - 1, 0, 1)]).unwrap_err();
                world.device.wait_idle(Deadline::NEVER).unwrap();
                drop(target);
                assert_eq!(world.device.allocator().statistics().device.live(), 0);
            }
        }
    }
}
