//! Files that are long, and proactors that come and go with operations on files under way: what takes too long to be shown
//! on every configuration.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use weft_cts::case::Tested;
use weft_cts::io::subject::{self, IoSubject, counting, poll_until, rounds};
use weft_io::ops::{FileFlags, FileOpen, FileRead, FileWrite};
use weft_io::{File, Operation, Poller};

/// One of each way to carry files out that is there: epoll has the threads of `poll`.
fn subjects() -> impl Iterator<Item = IoSubject> {
    [subject::uring(), subject::poll()].into_iter().filter(|subject| {
        let why = subject.why_missing();
        why.iter().for_each(|why| println!("{} skipped: {why}", subject.name));
        why.is_none()
    })
}

/// What is in the file: this at these places, and nothing anywhere else.
const MARKS: [(u64, &[u8]); 5] = [
    (0, b"the beginning"),
    ((1 << 30) - 2, b"across pieces"),
    ((1 << 31) - 5, b"across two gigabytes"),
    ((1 << 31) + 12_345, b"beyond them"),
    (LENGTH - 7, b"the end"),
];

/// More than two gigabytes, and no whole number of pieces.
const LENGTH: u64 = (1 << 31) + 20_000_001;

/// How much is copied at once; the buffer stays in the cache of most machines.
const PIECE: usize = 1 << 20;

/// Copies all of it in a loop; what is nothing but zeros is left out, as the place that it goes to has them already. Returns
/// how many bytes there were.
fn copy(poller: &mut Poller, from: &File, to: &File) -> u64 {
    let handle = poller.handle().clone();
    let (mut offset, mut buffer) = (0, vec![0_u8; PIECE]);
    let zeros = vec![0_u8; PIECE];
    loop {
        let read = poller.block_on(handle.run(FileRead::new(from.clone(), offset, buffer)));
        let done = read.expect("it is polled");
        let count = done.result.expect("it can be read");
        buffer = done.operation.into_params().target;
        if count == 0 {
            return offset;
        }
        let mut sent = 0;
        while buffer[..count] != zeros[..count] && sent < count {
            let rest = buffer[sent..count].to_vec();
            let write = handle.run(FileWrite::new(to.clone(), offset + sent as u64, rest));
            sent += poller.block_on(write).expect("it is polled").result.expect("it can be written");
        }
        offset += count as u64;
    }
}

/// [async 169] [async-backends 173] More than two gigabytes are copied in a loop, and are the same bytes: what was written is
/// where it was, and there is nothing else, as the copy has no blocks for it.
#[test]
fn long_files_are_copied_to_the_byte() {
    let folder = std::env::temp_dir().join(format!("weft-cts-{}-long", std::process::id()));
    fs::create_dir(&folder).expect("a folder of its own");
    let source = folder.join("source");
    let file = fs::File::create(&source).expect("it is new");
    file.set_len(LENGTH).expect("files can be that long");
    for (place, text) in MARKS {
        file.write_all_at(text, place).expect("there is room");
    }
    for subject in subjects() {
        let mut poller = subject.open();
        let target = folder.join(subject.name);
        let flags = FileFlags::WRITE | FileFlags::CREATE;
        let handle = poller.handle().clone();
        let mut open = |path, flags| {
            let opened = poller.block_on(handle.run(FileOpen::new(path, flags)));
            opened.expect("it is polled").result.expect("it can be opened")
        };
        let (from, to) = (open(&source, FileFlags::READ), open(&target, flags));
        assert_eq!(copy(&mut poller, &from, &to), LENGTH);
        assert_eq!(to.size().expect("it is a file"), LENGTH);
        for (place, text) in MARKS {
            // With what is around it.
            let start = place.saturating_sub(1000);
            let found = [&source, &target].map(|path| {
                let mut bytes = vec![0; 3000];
                let file = fs::File::open(path).expect("it is there");
                let count = file.read_at(&mut bytes, start).expect("it can be read");
                bytes.truncate(count);
                bytes
            });
            assert!(found[0] == found[1] && found[1][(place - start) as usize..].starts_with(text));
        }
        let blocks = fs::metadata(&target).expect("it was made").blocks() * 512;
        assert!(blocks <= (MARKS.len() * 2 * PIECE) as u64 + (1 << 20), "{blocks} bytes are no hole");
    }
    fs::remove_dir_all(&folder).expect("it was made here");
}

/// [async-backends 175] Proactors that are made, given operations on files, and dropped at every point of what
/// their threads do with them: each operation is called back once, and nobody waits for ever.
#[test]
fn proactors_come_and_go_with_files_under_way() {
    for subject in subjects() {
        let file = File::import(fs::File::open("/dev/zero").expect("there is one")).expect("it is a file");
        for round in 0..rounds(2000) {
            let mut poller = subject.open_with(|config| {
                (config.operations_max, config.messages_max, config.ring_entries) = (4, 1, 4);
            });
            let handle = poller.handle().clone();
            let ended = std::sync::Arc::default();
            for _ in 0..=round % 3 {
                let read = Operation::new(FileRead::new(file.clone(), 0, vec![1; 16]));
                handle.submit(read.on_done(counting(&ended))).expect("there is room");
            }
            let count = || ended.load(std::sync::atomic::Ordering::Acquire);
            match round % 4 {
                0 => {}
                1 => _ = poll_until(&mut poller, || count() > 0),
                _ => _ = poller.poll(weft_sync::Deadline::IMMEDIATE).is_ok(),
            }
            drop(poller);
            assert_eq!(count(), round % 3 + 1);
        }
    }
}
