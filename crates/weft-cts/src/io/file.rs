//! Files: opening, places, pieces, limits, closing.
//!
//! Each case works in a folder of its own among the temporary ones, and removes it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use weft_io::ops::{
    FileClose, FileFlags, FileOpen, FileRead, FileSync, FileWrite, Nop, Sequence, Step, TRANSFER_MAX,
};
use weft_io::{File, Operation, Params, Part, Pieces, Poller};
use weft_sync::{Code, Result};

use super::subject::{IoCaps, IoSubject, Log, poll_until, submit};

crate::cases! { $ FILE for_each_io_file_case of IoSubject {
    files_are_opened_as_asked: IoCaps::KERNEL;
    flags_that_make_no_sense_are_refused: IoCaps::NONE;
    files_that_are_made_can_be_shared_but_not_inherited: IoCaps::KERNEL;
    reads_end_with_the_file: IoCaps::KERNEL;
    what_is_written_is_read_back: IoCaps::KERNEL;
    appended_files_have_no_places: IoCaps::KERNEL;
    files_that_cannot_be_written_say_so: IoCaps::KERNEL;
    eight_pieces_are_one_transfer: IoCaps::KERNEL;
    long_spans_are_cut: IoCaps::KERNEL;
    places_beyond_four_gibibytes: IoCaps::KERNEL;
    places_that_do_not_exist_are_refused: IoCaps::NONE;
    reads_at_once_are_independent: IoCaps::KERNEL;
    what_is_synced_is_there: IoCaps::KERNEL;
    closing_keeps_what_was_written: IoCaps::KERNEL;
    closing_lets_reads_end: IoCaps::KERNEL;
    files_of_others_are_taken_over: IoCaps::KERNEL;
    what_is_no_file_stays_with_the_caller: IoCaps::NONE;
    cancelled_operations_on_files_end_once: IoCaps::KERNEL;
    a_step_hands_its_file_to_the_next: IoCaps::KERNEL;
    direct_transfers_are_chained: IoCaps::KERNEL;
    direct_transfers_say_what_they_need: IoCaps::KERNEL;
} }

/// A folder that goes with the case.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weft-cts-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a folder of its own");
        Folder(path)
    }

    /// A file with this in it.
    fn with(&self, content: &[u8]) -> PathBuf {
        let path = self.0.join("content");
        fs::write(&path, content).expect("there is room");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const BOTH: FileFlags = FileFlags::READ.union(FileFlags::WRITE);
const MAKE: FileFlags = BOTH.union(FileFlags::CREATE);

fn run<P: Params>(poller: &mut Poller, operation: P) -> Result<P::Output> {
    let handle = poller.handle().clone();
    poller.block_on(handle.run(operation)).expect("the kernel polls").result
}

fn open(poller: &mut Poller, path: impl AsRef<Path>, flags: FileFlags) -> File {
    run(poller, FileOpen::new(path, flags)).expect("it can be opened")
}

/// What one read of so many bytes finds.
fn read(poller: &mut Poller, file: &File, offset: u64, length: usize) -> Vec<u8> {
    let handle = poller.handle().clone();
    let read = handle.run(FileRead::new(file.clone(), offset, vec![0; length]));
    let done = poller.block_on(read).expect("the kernel polls");
    let count = done.result.expect("it can be read");
    let mut bytes = done.operation.into_params().target;
    bytes.truncate(count);
    bytes
}

fn code<T>(result: Result<T>) -> Option<Code> {
    result.err().map(|status| status.code())
}

/// Bytes that tell where they are.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// [async 160] [async-backends 172] Missing, made, there, emptied.
fn files_are_opened_as_asked(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("new");
    let missing = run(&mut poller, FileOpen::new(&path, FileFlags::READ)).unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.to_string().contains("new"), "which one: {missing}");
    let made = open(&mut poller, &path, MAKE);
    assert_eq!(made.size().unwrap(), 0);
    run(&mut poller, FileWrite::new(made.clone(), 0, b"text".as_slice())).unwrap();
    let again = open(&mut poller, &path, MAKE);
    assert_eq!(read(&mut poller, &again, 0, 10), b"text", "not emptied");
    let emptied = open(&mut poller, &path, FileFlags::WRITE | FileFlags::TRUNCATE);
    assert_eq!((emptied.size().unwrap(), made.size().unwrap()), (0, 0));
    let none = folder.0.join("none").join("file");
    assert_eq!(code(run(&mut poller, FileOpen::new(none, MAKE))), Some(Code::NotFound));
    // [async 167] A folder is no file, however it is opened.
    for flags in [FileFlags::READ, BOTH] {
        let outcome = run(&mut poller, FileOpen::new(&folder.0, flags));
        assert_eq!(code(outcome), Some(Code::FailedPrecondition), "{flags:?}");
    }
}

/// Before anything happens.
fn flags_that_make_no_sense_are_refused(subject: &IoSubject) {
    let poller = subject.open();
    for flags in [
        FileFlags::empty(),
        FileFlags::CREATE,
        FileFlags::READ | FileFlags::TRUNCATE,
        FileFlags::READ | FileFlags::APPEND,
        FileFlags::READ | FileFlags::from_bits_retain(64),
    ] {
        let refused = poller.handle().submit(FileOpen::new("/dev/null", flags)).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument, "{flags:?}");
    }
    let refused = poller.handle().submit(FileOpen::new("a\0b", FileFlags::READ)).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
}

/// [async 167] Mode bits, less those that the umask takes; close on exec.
fn files_that_are_made_can_be_shared_but_not_inherited(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let (path, other) = (folder.0.join("made"), folder.0.join("other"));
    let made = open(&mut poller, &path, MAKE);
    // Made by the same rules with all bits: what is missing is the umask's.
    drop(fs::File::create(&other).unwrap());
    let allowed = fs::metadata(&other).unwrap().permissions().mode() & 0o777;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o664 & (allowed | 0o111));
    let listing = fs::read_to_string(format!("/proc/self/fdinfo/{}", made.as_fd().as_raw_fd())).unwrap();
    let flags = listing.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_owned();
    let flags = u32::from_str_radix(&flags, 8).unwrap();
    assert_ne!(flags & 0o2_000_000, 0, "close on exec: {flags:o}");
}

/// [async 161] [async-backends 172] Whole, from the middle, over the end, at the end, beyond it.
fn reads_end_with_the_file(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let content = pattern(10_000);
    let file = open(&mut poller, folder.with(&content), FileFlags::READ);
    assert_eq!(file.size().unwrap(), 10_000);
    assert_eq!(read(&mut poller, &file, 0, 10_000), content);
    assert_eq!(read(&mut poller, &file, 5_000, 100), content[5_000..5_100]);
    assert_eq!(read(&mut poller, &file, 9_990, 100), content[9_990..]);
    for (offset, length) in [(10_000, 100), (10_001, 1), (1 << 40, 1), (i64::MAX as u64, 1), (0, 0)] {
        assert_eq!(read(&mut poller, &file, offset, length), [], "{length} from {offset}");
    }
}

/// [async 163] [async-backends 172] At places, in any order, over what was there, and more than a few pages.
fn what_is_written_is_read_back(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("written");
    let file = open(&mut poller, &path, MAKE);
    let long = pattern((3 << 20) + 17);
    let mut written = 0;
    while written < long.len() {
        let rest = Part::new(long.clone(), written..).unwrap();
        written += run(&mut poller, FileWrite::new(file.clone(), written as u64, rest)).unwrap();
    }
    assert!(fs::read(&path).unwrap() == long);
    assert_eq!(run(&mut poller, FileWrite::new(file.clone(), 1_000_000, b"over".as_slice())).unwrap(), 4);
    assert_eq!(read(&mut poller, &file, 999_998, 8)[2..6], *b"over");
    let end = long.len() as u64 + 5_000;
    assert_eq!(run(&mut poller, FileWrite::new(file.clone(), end, b"end".as_slice())).unwrap(), 3);
    assert_eq!(read(&mut poller, &file, end - 2, 10), b"\0\0end");
    assert_eq!(file.size().unwrap(), end + 3);
}

/// [async 167] What is appended is written behind the end, whatever the place.
fn appended_files_have_no_places(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(b"begin");
    let file = open(&mut poller, &path, FileFlags::WRITE | FileFlags::APPEND);
    for (offset, text) in [(0, "1"), (100, "2"), (2, "3")] {
        assert_eq!(run(&mut poller, FileWrite::new(file.clone(), offset, text.as_bytes())).unwrap(), 1);
    }
    assert_eq!(fs::read(&path).unwrap(), b"begin123");
}

/// [async 167] [async-backends 172] Neither of a read-only file nor of one that is only written is more to be had.
fn files_that_cannot_be_written_say_so(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(b"text");
    let file = open(&mut poller, &path, FileFlags::READ);
    let outcome = run(&mut poller, FileWrite::new(file, 0, b"TEXT".as_slice()));
    assert_eq!(code(outcome), Some(Code::FailedPrecondition));
    let file = open(&mut poller, &path, FileFlags::WRITE);
    assert_eq!(code(run(&mut poller, FileRead::new(file, 0, vec![0; 4]))), Some(Code::FailedPrecondition));
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

/// [async 168] Eight pieces, some of them empty; none; and no ninth.
fn eight_pieces_are_one_transfer(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("pieces");
    let file = open(&mut poller, &path, MAKE);
    let pieces: [&'static [u8]; 8] = [b"a", b"", b"bcd", b"", b"ef", b"g", b"", b"hij"];
    assert_eq!(run(&mut poller, FileWrite::new(file.clone(), 2, pieces)).unwrap(), 10);
    assert_eq!(fs::read(&path).unwrap(), b"\0\0abcdefghij");
    let room = |length| vec![0_u8; length];
    let target = Pieces([3, 0, 1, 0, 4, 1, 0, 9].map(room).to_vec());
    let handle = poller.handle().clone();
    let done = poller.block_on(handle.run(FileRead::new(file.clone(), 1, target))).unwrap();
    assert_eq!(done.result.unwrap(), 11);
    let found = done.operation.into_params().target.0;
    let expected: [&[u8]; 8] = [b"\0ab", b"", b"c", b"", b"defg", b"h", b"", b"ij\0\0\0\0\0\0\0"];
    assert_eq!(found, expected);
    assert_eq!(run(&mut poller, FileWrite::new(file.clone(), 0, Pieces::<Vec<u8>>(Vec::new()))).unwrap(), 0);
    let nine = Pieces(vec![room(1); 9]);
    let refused = handle.submit(FileRead::new(file, 0, nine)).unwrap_err();
    assert_eq!(refused.why.code(), Code::OutOfRange);
    assert_eq!(refused.operation.target.0.len(), 9);
}

/// [async 162] [async-backends 173] Spans beyond four gibibytes: neither an error, nor their length modulo 2³². The
/// memory is never touched where nothing is transferred, so it costs nothing.
fn long_spans_are_cut(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let file = open(&mut poller, folder.with(b"short"), FileFlags::READ);
    // Whatever is written there is gone without having been looked at.
    let void = open(&mut poller, "/dev/null", FileFlags::WRITE);
    let handle = poller.handle().clone();
    let lengths = [(4_usize << 30) + 1, 4 << 30, (2 << 30) + 1, TRANSFER_MAX + 1];
    // The race detector looks at every byte, which takes minutes.
    for &length in &lengths[..if cfg!(tsan) { 0 } else { lengths.len() }] {
        let long = vec![0_u8; length];
        let done = poller.block_on(handle.run(FileRead::new(file.clone(), 0, long))).unwrap();
        assert_eq!(done.result.unwrap(), 5, "{length}");
        let long = done.operation.into_params().target;
        assert_eq!(long[..6], *b"short\0");
        let done = poller.block_on(handle.run(FileWrite::new(void.clone(), 0, long))).unwrap();
        assert_eq!(done.result.unwrap(), TRANSFER_MAX, "{length}");
        let long = done.operation.into_params().source;
        let pieces = Pieces(vec![b"first".to_vec(), long]);
        let done = poller.block_on(handle.run(FileWrite::new(void.clone(), 0, pieces))).unwrap();
        assert_eq!(done.result.unwrap(), TRANSFER_MAX, "{length}, behind another");
    }
}

/// Of a file with a hole; what is in it takes a few blocks of the device.
fn places_beyond_four_gibibytes(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("sparse");
    let file = open(&mut poller, &path, MAKE);
    let places = [0, (4_u64 << 30) - 3, 4 << 30, (5 << 30) + 7, (40 << 30) + 1];
    for place in places {
        let text = place.to_le_bytes().to_vec();
        match run(&mut poller, FileWrite::new(file.clone(), place, text)) {
            Ok(count) => assert_eq!(count, 8),
            // A file system that has no files of that size.
            Err(why) if why.code() == Code::OutOfRange => return,
            Err(why) => panic!("{place}: {why}"),
        }
    }
    assert_eq!(file.size().unwrap(), (40 << 30) + 9);
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20, "a hole");
    // One of them overlaps another.
    for place in [0, 4 << 30, (5 << 30) + 7, (40 << 30) + 1] {
        assert_eq!(read(&mut poller, &file, place, 8), place.to_le_bytes(), "{place}");
    }
    assert_eq!(read(&mut poller, &file, 1 << 30, 4), [0; 4]);
}

/// The kernel has other meanings for them.
fn places_that_do_not_exist_are_refused(subject: &IoSubject) {
    let poller = subject.open();
    let file = File::import(fs::File::open("/dev/null").unwrap()).unwrap();
    for offset in [1 << 63, u64::MAX - 1, u64::MAX] {
        let refused = poller.handle().submit(FileRead::new(file.clone(), offset, vec![0; 1])).unwrap_err();
        assert_eq!(refused.why.code(), Code::OutOfRange, "{offset}");
        let write = FileWrite::new(file.clone(), offset, b"x".as_slice());
        assert_eq!(poller.handle().submit(write).unwrap_err().why.code(), Code::OutOfRange, "{offset}");
    }
}

/// [async 166] [async-backends 172] Many at once, and none of them moves another's place.
fn reads_at_once_are_independent(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let content = pattern(64 * 1000);
    let file = open(&mut poller, folder.with(&content), FileFlags::READ);
    let handle = poller.handle().clone();
    let reads: Vec<_> = (0..64)
        .rev()
        .map(|index| (index, handle.run(FileRead::new(file.clone(), index * 1000, vec![0; 1000]))))
        .collect();
    for (index, read) in reads {
        let done = poller.block_on(read).unwrap();
        assert_eq!(done.result.unwrap(), 1000);
        assert!(done.operation.target == content[index as usize * 1000..][..1000], "{index}");
    }
}

/// [async 168] With and without what describes the bytes, and what cannot be synced.
fn what_is_synced_is_there(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("synced");
    let file = open(&mut poller, &path, MAKE);
    let (handle, log) = (poller.handle().clone(), Log::default());
    for is_data_only in [true, false] {
        // Behind each other, submitted at once.
        let mut batch = handle.batch();
        let write = FileWrite::new(file.clone(), 0, b"text".as_slice());
        batch.add(Operation::new(write).on_done(log.line("write"))).unwrap();
        let sync = FileSync::new(file.clone(), is_data_only);
        batch.then(Operation::new(sync).on_done(log.line("sync"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take_names(), ["write", "sync"]);
    }
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

/// [async 164] [async-backends 172] Written, closed, opened again.
fn closing_keeps_what_was_written(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.0.join("closed");
    let file = open(&mut poller, &path, MAKE);
    assert_eq!(run(&mut poller, FileWrite::new(file.clone(), 0, b"stays".as_slice())).unwrap(), 5);
    let clone = file.clone();
    run(&mut poller, FileClose::new(file)).unwrap();
    assert!(clone.is_closed());
    assert_eq!(code(clone.size()), Some(Code::FailedPrecondition));
    let refused = poller.handle().submit(FileRead::new(clone.clone(), 0, vec![0; 5])).unwrap_err();
    assert_eq!(refused.why.code(), Code::FailedPrecondition);
    drop(refused);
    run(&mut poller, FileClose::new(clone)).expect("closed twice is closed");
    let again = open(&mut poller, &path, FileFlags::READ);
    assert_eq!(read(&mut poller, &again, 0, 10), b"stays");
}

/// [async-backends 174] Reads that were accepted before the close end well, and nobody else's file is read.
fn closing_lets_reads_end(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(&[7; 1 << 16]);
    for _ in 0..20 {
        let file = open(&mut poller, &path, FileFlags::READ);
        let (handle, log) = (poller.handle().clone(), Log::default());
        for index in 0..8 {
            let line = log.line("read");
            let read = FileRead::new(file.clone(), index << 13, vec![0; 1 << 13]);
            let read = Operation::new(read).on_done(move |done| {
                assert!(done.operation.target.iter().all(|&byte| byte == 7));
                line(done);
            });
            handle.submit(read).unwrap();
        }
        submit(&handle, FileClose::new(file), &log, "close");
        // Would get the number if it were free.
        let others: Vec<fs::File> = (0..4).map(|_| fs::File::open("/dev/zero").unwrap()).collect();
        poll_until(&mut poller, || log.len() == 9);
        assert_eq!(log.take_names().iter().filter(|&&name| name == "read").count(), 8);
        drop(others);
    }
}

/// [async 165] [async-backends 172] Clones are one file, open until the last is gone.
fn files_of_others_are_taken_over(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let (keep, give) = std::io::pipe().unwrap();
    drop(keep);
    let refused = File::import(give).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    let file = File::import(fs::File::open(folder.with(b"mine")).unwrap()).unwrap();
    let clone = file.clone();
    assert_eq!(read(&mut poller, &file, 0, 10), b"mine");
    drop(file);
    assert_eq!(read(&mut poller, &clone, 1, 2), b"in");
}

/// [async-backends 177]
fn what_is_no_file_stays_with_the_caller(subject: &IoSubject) {
    let (_poller, folder) = (subject.open(), Folder::new());
    let (socket, mut far) = UnixStream::pair().unwrap();
    let handles: [OwnedFd; 2] = [socket.into(), fs::File::open(&folder.0).unwrap().into()];
    for handle in handles {
        let number = handle.as_raw_fd();
        let refused = File::import(handle).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument);
        assert_eq!(refused.handle.as_raw_fd(), number, "comes back, open");
        drop(refused);
    }
    assert!(std::io::Write::write_all(&mut far, b"x").is_err(), "and goes with the refusal");
}

/// [async-backends 176] Whatever a cancel finds.
fn cancelled_operations_on_files_end_once(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(&pattern(1 << 16));
    let file = open(&mut poller, &path, BOTH);
    for round in 0..20 {
        let (handle, log) = (poller.handle().clone(), Log::default());
        let mut tickets = Vec::new();
        for index in 0..8 {
            tickets.push(submit(&handle, FileOpen::new(&path, FileFlags::READ), &log, "open"));
            let read = FileRead::new(file.clone(), index << 12, vec![0; 1 << 12]);
            tickets.push(submit(&handle, read, &log, "read"));
            let write = FileWrite::new(file.clone(), index << 12, vec![1; 1 << 10]);
            tickets.push(submit(&handle, write, &log, "write"));
            tickets.push(submit(&handle, FileSync::new(file.clone(), true), &log, "sync"));
        }
        if round % 2 == 0 {
            drop(poller.poll(weft_sync::Deadline::IMMEDIATE));
        }
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut poller, || log.len() == 32);
        for (name, code) in log.take() {
            assert!(matches!(code, None | Some(Code::Cancelled)), "{name}: {code:?}");
        }
    }
    assert!(!file.is_closed());
    assert_eq!(read(&mut poller, &file, 0, 1 << 16).len(), 1 << 16);
}

/// What a step has opened is in it for the function; what the function leaves there is closed.
fn a_step_hands_its_file_to_the_next(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(b"0123456789");
    let steps = vec![Step::new(FileOpen::new(&path, FileFlags::READ)), Step::new(Nop)];
    let sequence = Sequence::with_advance(steps, |ended, next| {
        if let (Some(file), Some(next)) = (ended.take_output::<FileOpen>(), next) {
            assert!(ended.take_output::<FileOpen>().is_none(), "once");
            *next = Step::new(FileRead::new(file, 2, vec![0; 4]));
        }
        Ok(())
    });
    let handle = poller.handle().clone();
    let mut done = poller.block_on(handle.run(sequence)).unwrap();
    done.result.unwrap();
    let mut last = done.operation.steps.pop().unwrap();
    assert_eq!(last.take_output::<FileRead<Vec<u8>>>(), Some(4));
    assert_eq!(last.params_mut::<FileRead<Vec<u8>>>().unwrap().target, b"2345");
    // A folder is found out after the kernel has opened it: the step fails, and nothing runs behind it.
    let steps = vec![Step::new(FileOpen::new(&folder.0, FileFlags::READ)), Step::new(Nop)];
    let done = poller.block_on(handle.run(Sequence::new(steps))).unwrap();
    assert_eq!((code(done.result), done.operation.ended()), (Some(Code::FailedPrecondition), 1));
}

/// The system's rule passes through, with what it is; not every file system has such transfers.
fn direct_transfers_say_what_they_need(subject: &IoSubject) {
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(&pattern(1 << 16));
    let flags = FileFlags::READ | FileFlags::DIRECT;
    let Ok(file) = run(&mut poller, FileOpen::new(&path, flags)) else { return };
    let Some(rule) = file.direct_alignment() else { return };
    assert!(rule.memory.is_power_of_two() && rule.offset.is_power_of_two(), "{rule:?}");
    if rule.offset > 1 {
        let why = run(&mut poller, FileRead::new(file.clone(), 1, vec![0; 100])).unwrap_err();
        assert_eq!(why.code(), Code::InvalidArgument);
        assert!(why.to_string().contains(&rule.offset.to_string()), "{why}");
    }
    let (align, length) = (rule.memory as usize, rule.offset as usize);
    let memory = vec![0_u8; length + align];
    let start = memory.as_ptr().align_offset(align);
    let part = Part::new(memory, start..start + length).unwrap();
    let handle = poller.handle().clone();
    let done = poller.block_on(handle.run(FileRead::new(file, 0, part))).unwrap();
    assert_eq!(done.result.unwrap(), length);
    let memory = done.operation.into_params().target.into_inner();
    assert!(memory[start..start + length] == pattern(1 << 16)[..length]);
}

/// Transfers past the cache, which the kernel may be handed at once, are a chain like any: in order, among
/// others, and nothing behind one that fails.
fn direct_transfers_are_chained(subject: &IoSubject) {
    const BLOCK: usize = 4096;
    let (mut poller, folder) = (subject.open(), Folder::new());
    let path = folder.with(&pattern(4 * BLOCK));
    let flags = FileFlags::READ | FileFlags::WRITE | FileFlags::DIRECT;
    let Ok(file) = run(&mut poller, FileOpen::new(&path, flags)) else { return };
    if file.direct_alignment().is_none_or(|rule| rule.memory as usize > BLOCK || rule.offset as usize > BLOCK)
    {
        return;
    }
    let block = |byte: u8| {
        let memory = vec![byte; 2 * BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        Part::new(memory, start..start + BLOCK).unwrap()
    };
    let handle = poller.handle().clone();
    let (send, ended) = std::sync::mpsc::channel();
    let told = |number: u32| {
        let send = send.clone();
        move |is_done: bool| send.send((number, is_done)).unwrap()
    };
    for place in [0, 1] {
        // The last one is refused in the second round: its place is no multiple of anything.
        let (first, second, third, last) = (told(0), told(1), told(2), told(3));
        let mut batch = handle.batch();
        let write = FileWrite::new(file.clone(), BLOCK as u64, block(7));
        batch.add(Operation::new(write).on_done(move |done| first(done.result.is_ok()))).unwrap();
        batch.then(Operation::new(Nop).on_done(move |done| second(done.result.is_ok()))).unwrap();
        let read = FileRead::new(file.clone(), BLOCK as u64 + place, block(0));
        let read = Operation::new(read).on_done(move |done| {
            let is_done = done.result.is_ok();
            let target = done.operation.into_params().target.into_inner();
            let start = target.as_ptr().align_offset(BLOCK);
            third(is_done && target[start..start + BLOCK].iter().all(|&byte| byte == 7));
        });
        batch.then(read).unwrap();
        let again = FileWrite::new(file.clone(), 0, block(9));
        batch.then(Operation::new(again).on_done(move |done| last(done.result.is_ok()))).unwrap();
        batch.submit().unwrap();
        let mut all = Vec::new();
        while all.len() < 4 {
            poller.poll(super::subject::soon()).unwrap();
            all.extend(ended.try_iter());
        }
        let is_whole = place == 0;
        assert_eq!(all, [(0, true), (1, true), (2, is_whole), (3, is_whole)]);
    }
}
