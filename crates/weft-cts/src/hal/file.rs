//! Files as queue operands.

#![allow(unsafe_code, reason = "imports memory at an odd address")]

use std::io;
use std::sync::{Arc, Mutex};

use weft_hal::{BufferParams, File, MemoryAccess, PositionalFile, Region, Submission, WHOLE_BUFFER};
use weft_sync::{Code, Point, Semaphore};

use crate::case::Caps;
use crate::subject::{Subject, bytes_of, eventually, fails_with};

crate::cases! { $ FILE for_each_file_case {
    memory_files_read_and_write: Caps::WORK;
    native_files_read_and_write: Caps::WORK;
    transfers_chain_through_semaphores: Caps::WORK;
    short_transfers_resume: Caps::WORK;
    sparse_files_are_read_beyond_4_gib: Caps::WORK;
    reads_past_the_end_are_refused: Caps::NONE;
    unknown_lengths_are_read_until_they_end: Caps::WORK;
    writes_extend_files: Caps::WORK;
    access_is_checked_first: Caps::NONE;
    failing_transfers_fail_their_signals: Caps::WORK;
    unaligned_memory_is_readable: Caps::WORK;
    memory_files_keep_their_range: Caps::NONE;
} }

pub(super) const READ: MemoryAccess = MemoryAccess::READ;
pub(super) const BOTH: MemoryAccess = MemoryAccess::READ.union(MemoryAccess::WRITE);

fn region(buffer: &weft_hal::Buffer, offset: u64, length: u64) -> Region<'_> {
    Region { buffer, offset, length }
}

pub(super) fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 % 251) as u8).collect()
}

/// A file of the operating system, gone with the test.
pub(super) fn native_file(bytes: &[u8]) -> std::fs::File {
    use std::io::Write;
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("weft-cts-{}-{number}", std::process::id()));
    let options = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let mut file = options.expect("the temporary folder is writable");
    file.write_all(bytes).expect("there is room");
    let _ = std::fs::remove_file(&path);
    file
}

/// Reads all and part, writes part; neighbours stay.
pub(super) fn read_and_write(subject: &Subject, file: &Arc<File>, content: &[u8]) {
    let device = &subject.device;
    let buffer = subject.buffer(content.len() as u64);
    subject.run(|at| device.queue_read(at, file, 0, &Region::whole(&buffer))).unwrap();
    assert_eq!(bytes_of(&buffer), content);
    buffer.fill(0, WHOLE_BUFFER, &[0xEE]).unwrap();
    subject.run(|at| device.queue_read(at, file, 5, &region(&buffer, 9, 17))).unwrap();
    let bytes = bytes_of(&buffer);
    assert_eq!(bytes[9..26], content[5..22]);
    assert!(bytes[..9].iter().chain(&bytes[26..]).all(|&byte| byte == 0xEE));
    subject.run(|at| device.queue_write(at, &region(&buffer, 0, 3), file, 7)).unwrap();
    subject.run(|at| device.queue_read(at, file, 0, &Region::whole(&buffer))).unwrap();
    let mut expected = content.to_vec();
    expected[7..10].fill(0xEE);
    assert_eq!(bytes_of(&buffer), expected);
    // Nothing at all is a barrier, wherever it points.
    subject.run(|at| device.queue_read(at, file, 1 << 40, &region(&buffer, 1 << 40, 0))).unwrap();
    subject.run(|at| device.queue_write(at, &region(&buffer, 1 << 40, 0), file, 1 << 40)).unwrap();
}

/// [hal 73] [hal-module 35]
fn memory_files_read_and_write(subject: &Subject) {
    let content = counting(256 << 10);
    let storage = subject.buffer_with(&content);
    let file = Arc::new(File::from_memory(BOTH, storage));
    assert_eq!(file.length(), content.len() as u64);
    read_and_write(subject, &file, &content);
}

/// [hal 73] [hal 75] [hal-module 35]
fn native_files_read_and_write(subject: &Subject) {
    let content = counting(256 << 10);
    let file = Arc::new(File::from_std(BOTH, native_file(&content)));
    assert_eq!(file.length(), content.len() as u64);
    read_and_write(subject, &file, &content);
}

/// [hal 74] [hal-module 34]
fn transfers_chain_through_semaphores(subject: &Subject) {
    let timeline = Arc::new(Semaphore::new(0));
    let at = |value| [Point { semaphore: Arc::clone(&timeline), value }];
    let points: Vec<[Point; 1]> = (0..=4).map(at).collect();
    let step = |index: usize| Submission {
        wait: &points[index],
        signal: &points[index + 1],
        ..Submission::IMMEDIATE
    };
    let first = Arc::new(File::from_std(BOTH, native_file(&counting(64))));
    let second = Arc::new(File::from_std(BOTH, native_file(&[0; 64])));
    let (buffer, result) = (subject.buffer(64), subject.buffer(64));
    let device = &subject.device;
    device.queue_read(&step(0), &first, 0, &Region::whole(&buffer)).unwrap();
    device.queue_fill(&step(1), &region(&buffer, 0, 1), 0xFF, 1).unwrap();
    device.queue_write(&step(2), &Region::whole(&buffer), &second, 0).unwrap();
    device.queue_read(&step(3), &second, 0, &Region::whole(&result)).unwrap();
    subject.reaches(&points[4]);
    let mut expected = counting(64);
    expected[0] = 0xFF;
    assert_eq!(bytes_of(&result), expected);
}

/// Moves at most so many bytes a call, and now and then asks to be called again.
struct Reluctant {
    bytes: Mutex<Vec<u8>>,
    step: usize,
    /// What `length` says.
    length: u64,
    calls: std::sync::atomic::AtomicUsize,
}

impl Reluctant {
    fn new(bytes: Vec<u8>, step: usize, length: u64) -> Reluctant {
        Reluctant { bytes: Mutex::new(bytes), step, length, calls: Default::default() }
    }

    fn interrupt(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if call % 3 == 1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl PositionalFile for Reluctant {
    fn read_at(&self, offset: u64, target: &mut [u8]) -> io::Result<usize> {
        self.interrupt()?;
        let bytes = self.bytes.lock().unwrap();
        let rest = bytes.get(offset as usize..).unwrap_or(&[]);
        let moved = rest.len().min(target.len()).min(self.step);
        target[..moved].copy_from_slice(&rest[..moved]);
        Ok(moved)
    }

    fn write_at(&self, offset: u64, source: &[u8]) -> io::Result<usize> {
        self.interrupt()?;
        let mut bytes = self.bytes.lock().unwrap();
        let moved = source.len().min(self.step);
        let end = offset as usize + moved;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(&source[..moved]);
        Ok(moved)
    }

    fn length(&self) -> u64 {
        self.length
    }
}

/// [hal 75] [hal-module 35]
fn short_transfers_resume(subject: &Subject) {
    let content = counting(10_000);
    let file = Arc::new(File::from_positional(BOTH, Box::new(Reluctant::new(content.clone(), 777, 10_000))));
    read_and_write(subject, &file, &content);
}

/// [hal 75] [hal-module 35] sparse, so that only the pages that are touched exist.
fn sparse_files_are_read_beyond_4_gib(subject: &Subject) {
    let end = (5 << 30) + 4096_u64;
    let inner = native_file(&[]);
    inner.set_len(end).unwrap();
    let file = Arc::new(File::from_std(BOTH, inner));
    let buffer = subject.buffer_with(&counting(4096));
    subject.run(|at| subject.device.queue_write(at, &Region::whole(&buffer), &file, 5 << 30)).unwrap();
    let result = subject.buffer(8192);
    subject
        .run(|at| subject.device.queue_read(at, &file, (5 << 30) - 4096, &Region::whole(&result)))
        .unwrap();
    let bytes = bytes_of(&result);
    assert_eq!((&bytes[..4096], &bytes[4096..]), (&[0; 4096][..], &counting(4096)[..]));
    fails_with(
        subject.run(|at| subject.device.queue_read(at, &file, (5 << 30) + 1, &region(&result, 0, 4096))),
        Code::OutOfRange,
    );
}

/// [hal 76] [hal-module 35]
fn reads_past_the_end_are_refused(subject: &Subject) {
    let never = Arc::new(Semaphore::new(0));
    let wait = [Point { semaphore: Arc::clone(&never), value: 1 }];
    let signal = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
    // The wait would block for ever: the range is looked at first.
    let blocked = Submission { wait: &wait, signal: &signal, ..Submission::IMMEDIATE };
    let file = Arc::new(File::from_std(READ, native_file(&[1; 100])));
    let buffer = subject.buffer(200);
    for (offset, length) in [(0, 101), (100, 1), (u64::MAX, 2), (u64::MAX - 10, 11), (1 << 50, 1)] {
        let target = region(&buffer, 0, length);
        fails_with(subject.device.queue_read(&blocked, &file, offset, &target), Code::OutOfRange);
    }
    fails_with(subject.device.queue_read(&blocked, &file, 0, &region(&buffer, 150, 51)), Code::OutOfRange);
    assert_eq!(signal[0].semaphore.query().unwrap(), 0, "signals are untouched");
    subject.run(|at| subject.device.queue_read(at, &file, 1 << 50, &region(&buffer, 0, 0))).unwrap();
}

/// [hal 77]
fn unknown_lengths_are_read_until_they_end(subject: &Subject) {
    let pipe = Arc::new(File::from_positional(READ, Box::new(Reluctant::new(counting(50), 50, 0))));
    let (buffer, signal) =
        (subject.buffer(100), [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }]);
    let submission = Submission { signal: &signal, ..Submission::IMMEDIATE };
    subject.run(|at| subject.device.queue_read(at, &pipe, 10, &region(&buffer, 0, 40))).unwrap();
    assert_eq!(bytes_of(&buffer)[..40], counting(50)[10..]);
    let read = subject.device.queue_read(&submission, &pipe, 10, &region(&buffer, 0, 41));
    subject.fails(read, &signal, Code::OutOfRange);
}

/// [hal 78] [hal-module 35]
fn writes_extend_files(subject: &Subject) {
    let file = Arc::new(File::from_std(BOTH, native_file(&[1; 10])));
    let buffer = subject.buffer_with(&counting(32));
    subject.run(|at| subject.device.queue_write(at, &Region::whole(&buffer), &file, 8)).unwrap();
    // The length was taken when the file was opened, so it is opened again for reading.
    let mut bytes = vec![0; 40];
    file.read_exact(0, &mut bytes).unwrap();
    assert_eq!((&bytes[..8], &bytes[8..]), (&[1; 8][..], &counting(32)[..]));
}

/// [hal 79] [hal-module 35]
fn access_is_checked_first(subject: &Subject) {
    let device = &subject.device;
    let buffer = subject.buffer(8);
    let read_only = Arc::new(File::from_std(READ, native_file(&[0; 8])));
    let write_only = Arc::new(File::from_std(MemoryAccess::WRITE, native_file(&[0; 8])));
    // Before ranges, and before lengths of 0.
    for length in [0, 8, 999] {
        let there = region(&buffer, 0, length);
        fails_with(subject.run(|at| device.queue_read(at, &write_only, 0, &there)), Code::PermissionDenied);
        fails_with(subject.run(|at| device.queue_write(at, &there, &read_only, 0)), Code::PermissionDenied);
    }
    let memory = Arc::new(File::from_memory(READ, subject.buffer(8)));
    fails_with(
        subject.run(|at| device.queue_write(at, &Region::whole(&buffer), &memory, 0)),
        Code::PermissionDenied,
    );
    let constant = BufferParams { access: READ, ..BufferParams::device_local() };
    let constant = device.allocator().allocate(&constant, 8).unwrap();
    fails_with(
        subject.run(|at| device.queue_read(at, &read_only, 0, &Region::whole(&constant))),
        Code::PermissionDenied,
    );
}

/// Refuses everything.
struct Broken;

impl PositionalFile for Broken {
    fn read_at(&self, _offset: u64, _target: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(9))
    }

    fn write_at(&self, _offset: u64, _source: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn length(&self) -> u64 {
        8
    }
}

/// [hal 80]
fn failing_transfers_fail_their_signals(subject: &Subject) {
    let broken = Arc::new(File::from_positional(BOTH, Box::new(Broken)));
    let buffer = subject.buffer(8);
    let signals = [(); 2].map(|()| [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }]);
    let signalling = |index: usize| Submission { signal: &signals[index], ..Submission::IMMEDIATE };
    let all = Region::whole(&buffer);
    let (read, write) = (
        subject.device.queue_read(&signalling(0), &broken, 0, &all),
        subject.device.queue_write(&signalling(1), &all, &broken, 0),
    );
    subject.fails(read, &signals[0], Code::FailedPrecondition);
    subject.fails(write, &signals[1], Code::ResourceExhausted);
    // Nothing stays mapped, and the queue keeps working.
    eventually("nobody holds the buffer", || Arc::strong_count(&buffer) == 1);
    subject.run(|at| subject.device.queue_fill(at, &all, 1, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [1; 8]);
}

/// [hal 82] [hal-module 35]
fn unaligned_memory_is_readable(subject: &Subject) {
    #[repr(align(64))]
    struct Aligned([u8; 256]);
    static MEMORY: Aligned = Aligned([42; 256]);
    let base = std::ptr::NonNull::from(&MEMORY.0[17..]).cast();
    let access = READ | MemoryAccess::UNALIGNED;
    let params = BufferParams { access, ..BufferParams::device_local() };
    // SAFETY: static memory stays, and the access has no WRITE.
    let storage = unsafe { subject.device.allocator().import_host(&params, base, 200, None) }.unwrap();
    let file = Arc::new(File::from_memory(READ, storage));
    let buffer = subject.buffer(64);
    subject.run(|at| subject.device.queue_read(at, &file, 3, &Region::whole(&buffer))).unwrap();
    assert_eq!(bytes_of(&buffer), [42; 64]);
}

/// [hal 82]
fn memory_files_keep_their_range(subject: &Subject) {
    let file = Arc::new(File::from_memory(BOTH, subject.buffer(64)));
    let buffer = subject.buffer(128);
    for (offset, length) in [(0, 65), (64, 1), (u64::MAX - 1, 2), (u64::MAX - 1, 8)] {
        let there = region(&buffer, 0, length);
        fails_with(subject.run(|at| subject.device.queue_read(at, &file, offset, &there)), Code::OutOfRange);
        fails_with(subject.run(|at| subject.device.queue_write(at, &there, &file, offset)), Code::OutOfRange);
    }
}
