//! Files that a proactor reads and writes, on every backend that this machine has.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use weft_hal::{Fault, Faults, File, MemoryAccess, QueueAffinity, Region, Submission};
use weft_io::{Config, Runner, RunnerOptions};
use weft_sync::{Code, Deadline};

use crate::case::Caps;
use crate::hal::file::{BOTH, READ, counting, native_file, read_and_write};
use crate::hal::lifecycle::begin_end;
use crate::subject::{Chain, NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore, soon};

crate::cases! { $ POLLED_FILE for_each_polled_file_case {
    polled_files_read_and_write: Caps::WORK;
    polled_transfers_chain_through_semaphores: Caps::WORK;
    polled_files_are_moved_in_pieces: Caps::WORK;
    polled_short_transfers_resume: Caps::WORK;
    polled_files_go_beyond_4_gib: Caps::WORK;
    polled_reads_past_the_end_are_refused: Caps::WORK;
    polled_unknown_lengths_end: Caps::WORK;
    polled_writes_extend_files: Caps::WORK;
    polled_access_is_that_of_the_descriptor: Caps::WORK;
    polled_import_failures_are_errors: Caps::WORK;
    polled_failures_name_file_and_range: Caps::WORK;
    polled_files_that_change_under_way: Caps::WORK;
    polled_transfers_hold_no_worker: ASYNC_QUEUES;
    polled_transfers_beyond_all_room_end: Caps::WORK;
    polled_files_outlive_their_proactor: Caps::WORK;
    polled_transfers_under_way_outlive_their_proactor: ASYNC_QUEUES;
    polled_transfers_end_with_their_device: ASYNC_QUEUES;
    polled_devices_end_in_their_own_callbacks: ASYNC_QUEUES;
} }

/// The plain device, which is there to be compared with, reads on the thread that submits.
const ASYNC_QUEUES: Caps = Caps::ASYNC.union(Caps::POOLS);

/// More than four pieces, and the last one is odd.
const SEVERAL_PIECES: usize = 5 * (8 << 20) + 12_345;

/// As [`counting`], for lengths that take their time.
fn counting_far(length: usize) -> Vec<u8> {
    let mut bytes = counting(251).repeat(length.div_ceil(251));
    bytes.truncate(length);
    bytes
}

/// A proactor and who polls it.
pub struct Polled {
    /// The backend.
    pub backend: &'static str,
    runner: Option<Runner>,
    handle: weft_io::Handle,
}

impl Polled {
    fn open(backend: &'static str, config: &Config) -> Option<Polled> {
        let opened = weft_io::open(backend, config);
        let opened = opened.and_then(|proactor| Runner::start(proactor, RunnerOptions::new()));
        match opened {
            Ok(runner) => {
                let handle = runner.handle().clone();
                Some(Polled { backend, runner: Some(runner), handle })
            }
            Err(why) => {
                println!("skipped: {backend}: {why}");
                None
            }
        }
    }

    fn runner(&self) -> &Runner {
        self.runner.as_ref().expect("it still runs")
    }

    /// Nobody polls any more, but what was submitted stays so.
    pub fn pause(&self) {
        self.runner().request_stop();
        self.runner().join(soon()).unwrap();
    }

    /// Somebody polls again.
    pub fn resume(&self) {
        self.runner().resume().unwrap();
    }

    /// A file of this proactor.
    pub fn file(&self, access: MemoryAccess, file: fs::File) -> File {
        let file = weft_io::File::try_from(file).expect("it can be taken over");
        File::from_io(access, file, self.handle.clone()).expect("it was opened for this")
    }
}

/// Calls `body` with every backend that can be opened here.
pub fn with_every_proactor(config: &Config, body: impl Fn(Polled)) {
    ["uring", "epoll", "poll"].into_iter().filter_map(|backend| Polled::open(backend, config)).for_each(body);
}

fn every(body: impl Fn(Polled)) {
    with_every_proactor(&Config::new(), body);
}

/// [hal 73] [hal 75] [hal-module 35]
fn polled_files_read_and_write(subject: &Subject) {
    let content = counting(256 << 10);
    every(|polled| {
        let file = Arc::new(polled.file(BOTH, native_file(&content)));
        assert_eq!((file.length(), file.is_polled()), (content.len() as u64, true));
        read_and_write(subject, &file, &content);
    });
}

/// [hal 74] [hal-module 34]
fn polled_transfers_chain_through_semaphores(subject: &Subject) {
    every(|polled| {
        let chain = Chain::new(5);
        let first = Arc::new(polled.file(BOTH, native_file(&counting(64))));
        let second = Arc::new(polled.file(BOTH, native_file(&[0; 64])));
        let (buffer, result) = (subject.buffer(64), subject.buffer(64));
        let device = &subject.device;
        device.queue_read(&chain.step(0), &first, 0, &Region::whole(&buffer)).unwrap();
        device.queue_fill(&chain.step(1), &region(&buffer, 0, 1), 0xFF, 1).unwrap();
        device.queue_write(&chain.step(2), &Region::whole(&buffer), &second, 0).unwrap();
        device.queue_write(&chain.step(3), &region(&buffer, 0, 1), &first, 3).unwrap();
        device.queue_read(&chain.step(4), &second, 0, &Region::whole(&result)).unwrap();
        subject.reaches(chain.end());
        let mut expected = counting(64);
        expected[0] = 0xFF;
        assert_eq!(bytes_of(&result), expected, "{}", polled.backend);
        let mut changed = [0; 4];
        first.read_exact(0, &mut changed).unwrap();
        assert_eq!(changed[3], 0xFF);
    });
}

/// [hal 75] what is longer than a piece is moved by several at once, and every byte arrives at its place.
fn polled_files_are_moved_in_pieces(subject: &Subject) {
    let content = counting_far(SEVERAL_PIECES);
    every(|polled| {
        let file = Arc::new(polled.file(BOTH, native_file(&[])));
        let source = subject.buffer_with(&content);
        subject.run(|at| subject.device.queue_write(at, &Region::whole(&source), &file, 7)).unwrap();
        let file = Arc::new(polled.file(READ, copy_of(&file, 7 + content.len())));
        let target = subject.buffer(content.len() as u64);
        subject.run(|at| subject.device.queue_read(at, &file, 7, &Region::whole(&target))).unwrap();
        assert!(bytes_of(&target) == content, "{}", polled.backend);
    });
}

/// The bytes of a file, in another one.
fn copy_of(file: &File, length: usize) -> fs::File {
    let mut bytes = vec![0; length];
    file.read_exact(0, &mut bytes).unwrap();
    native_file(&bytes)
}

/// [hal 75] [hal-module 35]
fn polled_short_transfers_resume(subject: &Subject) {
    let content = counting(10_000);
    every(|polled| {
        let file = polled.file(BOTH, native_file(&content));
        let faults = Arc::new(Faults::every(1, Fault::IsShort(777)));
        let file = Arc::new(file.with_faults(Arc::clone(&faults)));
        read_and_write(subject, &file, &content);
        assert!(
            faults.count() >= 26,
            "two reads of everything take 13 transfers each, not {}",
            faults.count()
        );
    });
}

/// [hal 75] [hal-module 35] sparse, so that only the pages that are touched exist.
fn polled_files_go_beyond_4_gib(subject: &Subject) {
    every(|polled| {
        let inner = native_file(&[]);
        inner.set_len((5 << 30) + 4096).unwrap();
        let file = Arc::new(polled.file(BOTH, inner));
        let buffer = subject.buffer_with(&counting(4096));
        let device = &subject.device;
        for place in [5 << 30, (4 << 30) - 2048] {
            subject.run(|at| device.queue_write(at, &Region::whole(&buffer), &file, place)).unwrap();
            let result = subject.buffer(8192);
            subject.run(|at| device.queue_read(at, &file, place - 4096, &Region::whole(&result))).unwrap();
            let bytes = bytes_of(&result);
            assert_eq!((&bytes[..4096], &bytes[4096..]), (&[0; 4096][..], &counting(4096)[..]));
        }
    });
}

/// [hal 76] [hal-module 35] before any wait, and nobody is told.
fn polled_reads_past_the_end_are_refused(subject: &Subject) {
    every(|polled| {
        let never = [point(&semaphore(0), 1)];
        let signal = [point(&semaphore(0), 1)];
        let blocked = Submission { wait: &never, signal: &signal, ..NOW };
        let file = Arc::new(polled.file(READ, native_file(&[1; 100])));
        let buffer = subject.buffer(200);
        for (offset, length) in [(0, 101), (100, 1), (u64::MAX, 2), (u64::MAX - 10, 11), (1 << 50, 1)] {
            let target = region(&buffer, 0, length);
            fails_with(subject.device.queue_read(&blocked, &file, offset, &target), Code::OutOfRange);
        }
        assert_eq!(signal[0].semaphore.query().unwrap(), 0);
        subject.run(|at| subject.device.queue_read(at, &file, 1 << 50, &region(&buffer, 0, 0))).unwrap();
    });
}

/// [hal 77]
fn polled_unknown_lengths_end(subject: &Subject) {
    let (Ok(zeros), Ok(text)) = (fs::File::open("/dev/zero"), fs::read("/proc/version")) else {
        println!("skipped: no files of unknown length here");
        return;
    };
    every(|polled| {
        let endless = Arc::new(polled.file(READ, zeros.try_clone().unwrap()));
        assert_eq!(endless.length(), 0);
        let buffer = subject.buffer_with(&[7; 4096]);
        subject.run(|at| subject.device.queue_read(at, &endless, 1 << 40, &Region::whole(&buffer))).unwrap();
        assert_eq!(bytes_of(&buffer), [0; 4096]);
        let ends = Arc::new(polled.file(READ, fs::File::open("/proc/version").unwrap()).named("version"));
        assert_eq!(ends.length(), 0);
        let there = region(&buffer, 0, text.len() as u64);
        subject.run(|at| subject.device.queue_read(at, &ends, 0, &there)).unwrap();
        assert_eq!(bytes_of(&buffer)[..text.len()], text);
        let status = subject.run(|at| subject.device.queue_read(at, &ends, 0, &Region::whole(&buffer)));
        let status = status.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        assert!(status.to_string().contains("short read"), "{status}");
        assert!(status.to_string().contains("4096 bytes at 0 of file `version`"), "{status}");
    });
}

/// [hal 78] [hal-module 35]
fn polled_writes_extend_files(subject: &Subject) {
    every(|polled| {
        let file = Arc::new(polled.file(BOTH, native_file(&[1; 10])));
        let buffer = subject.buffer_with(&counting(32));
        subject.run(|at| subject.device.queue_write(at, &Region::whole(&buffer), &file, 8)).unwrap();
        let mut bytes = vec![0; 40];
        file.read_exact(0, &mut bytes).unwrap();
        assert_eq!((&bytes[..8], &bytes[8..]), (&[1; 8][..], &counting(32)[..]));
    });
}

/// A file with a name, opened so.
fn reopened(read: bool, write: bool, append: bool) -> fs::File {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("weft-cts-polled-{}-{number}", std::process::id()));
    fs::write(&path, [0; 8]).unwrap();
    let file = fs::OpenOptions::new().read(read).write(write && !append).append(append).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    file
}

/// [hal 79] [hal-module 35] what the descriptor was opened for counts, not who owns the file.
fn polled_access_is_that_of_the_descriptor(subject: &Subject) {
    every(|polled| {
        let write = MemoryAccess::WRITE;
        let from = |access, file: fs::File| {
            let file = weft_io::File::try_from(file).unwrap();
            File::from_io(access, file, polled.handle.clone())
        };
        fails_with(from(BOTH, reopened(true, false, false)), Code::PermissionDenied);
        fails_with(from(write, reopened(true, false, false)), Code::PermissionDenied);
        fails_with(from(READ, reopened(false, true, false)), Code::PermissionDenied);
        fails_with(from(write, reopened(false, true, true)), Code::InvalidArgument);
        let (read_only, write_only) =
            (from(READ, reopened(true, false, false)).unwrap(), from(write, reopened(false, true, false)));
        let (read_only, write_only) = (Arc::new(read_only), Arc::new(write_only.unwrap()));
        let buffer = subject.buffer(8);
        for length in [0, 8, 999] {
            let (device, there) = (&subject.device, region(&buffer, 0, length));
            fails_with(
                subject.run(|at| device.queue_read(at, &write_only, 0, &there)),
                Code::PermissionDenied,
            );
            fails_with(
                subject.run(|at| device.queue_write(at, &there, &read_only, 0)),
                Code::PermissionDenied,
            );
        }
    });
}

/// [hal 81] what no proactor can read at places is refused, and comes back; a file without a proactor is read all the same.
fn polled_import_failures_are_errors(subject: &Subject) {
    let (reader, _writer) = std::io::pipe().unwrap();
    let refused = weft_io::File::import(reader).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    let folder = fs::File::open(std::env::temp_dir()).unwrap();
    assert!(weft_io::File::import(folder).is_err());
    let file = Arc::new(File::from_std(READ, native_file(&counting(100))));
    assert!(!file.is_polled());
    let buffer = subject.buffer(100);
    subject.run(|at| subject.device.queue_read(at, &file, 0, &Region::whole(&buffer))).unwrap();
    assert_eq!(bytes_of(&buffer), counting(100));
}

/// [hal 80] and the buffer is let go of, and the queue keeps working.
fn polled_failures_name_file_and_range(subject: &Subject) {
    every(|polled| {
        let make = |fault| {
            let file = polled.file(BOTH, native_file(&[1; 300])).named("some/weights");
            Arc::new(file.with_faults(Arc::new(Faults::every(1, fault))))
        };
        let buffer = subject.buffer(256);
        let device = &subject.device;
        for (fault, code) in [(Fault::Fails, Code::Unknown), (Fault::Ends, Code::OutOfRange)] {
            let file = make(fault);
            let read = subject.run(|at| device.queue_read(at, &file, 11, &Region::whole(&buffer)));
            let write = subject.run(|at| device.queue_write(at, &region(&buffer, 0, 9), &file, 2));
            let (read, write) = (read.unwrap_err(), write.unwrap_err());
            assert_eq!((read.code(), write.code()), (code, code));
            let text = read.to_string();
            assert!(text.contains("reading 256 bytes at 11 of file `some/weights`"), "{text}");
            let text = write.to_string();
            assert!(text.contains("writing 9 bytes at 2 of file `some/weights`"), "{text}");
        }
        let inner = weft_io::File::try_from(native_file(&[1; 300])).unwrap();
        let closed = Arc::new(File::from_io(READ, inner.clone(), polled.handle.clone()).unwrap());
        let (sender, hears) = std::sync::mpsc::channel();
        let close = weft_io::Operation::new(weft_io::ops::FileClose::new(inner));
        polled.handle.submit(close.on_done(move |done| sender.send(done.result).unwrap())).unwrap();
        hears.recv_timeout(Duration::from_secs(15)).unwrap().unwrap();
        let read = subject.run(|at| device.queue_read(at, &closed, 0, &Region::whole(&buffer)));
        fails_with(read, Code::FailedPrecondition);
        eventually("nobody holds the buffer", || Arc::strong_count(&buffer) == 1);
        subject.run(|at| device.queue_fill(at, &Region::whole(&buffer), 3, 1)).unwrap();
        assert_eq!(bytes_of(&buffer), [3; 256]);
    });
}

/// Cut short after it was opened; deleted after it was opened.
fn polled_files_that_change_under_way(subject: &Subject) {
    every(|polled| {
        let inner = native_file(&counting(100_000));
        let file = Arc::new(polled.file(READ, inner.try_clone().unwrap()).named("cut"));
        inner.set_len(60_000).unwrap();
        let buffer = subject.buffer(100_000);
        let read = subject.run(|at| subject.device.queue_read(at, &file, 0, &Region::whole(&buffer)));
        let status = read.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        let text = status.to_string();
        assert!(text.contains("ended at 60000, 40000 bytes early") && text.contains("`cut`"), "{text}");
        // `native_file` has deleted it already.
        let there = region(&buffer, 0, 60_000);
        subject.run(|at| subject.device.queue_read(at, &file, 0, &there)).unwrap();
        assert_eq!(bytes_of(&buffer)[..60_000], counting(60_000));
    });
}

/// [hal-module 35] nobody polls, so the read stays under way; the worker goes on with other work.
fn polled_transfers_hold_no_worker(subject: &Subject) {
    every(|polled| {
        let file = Arc::new(polled.file(READ, native_file(&counting(64))));
        polled.pause();
        let (read_into, buffer) = (subject.buffer(64), subject.buffer(4));
        let signals: Vec<_> = (0..20).map(|_| [point(&semaphore(0), 1)]).collect();
        for signal in &signals {
            let at = Submission { signal, ..NOW };
            subject.device.queue_read(&at, &file, 0, &Region::whole(&read_into)).unwrap();
        }
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 5, 1)).unwrap();
        subject.run(|at| subject.device.queue_barrier(at)).unwrap();
        assert!(signals.iter().all(|signal| matches!(signal[0].semaphore.query(), Ok(0))));
        polled.runner().resume().unwrap();
        signals.iter().for_each(|signal| subject.reaches(signal));
        assert_eq!(bytes_of(&read_into), counting(64));
    });
}

/// A proactor with room for two: whoever is refused is neither lost nor late for ever.
fn polled_transfers_beyond_all_room_end(subject: &Subject) {
    let content = counting_far(3 * (8 << 20));
    with_every_proactor(&Config { operations_max: 2, ..Config::new() }, |polled| {
        let file = Arc::new(polled.file(READ, native_file(&content)));
        let large = subject.buffer(content.len() as u64);
        let small: Vec<_> = (0..100).map(|_| (subject.buffer(512), [point(&semaphore(0), 1)])).collect();
        let last = [point(&semaphore(0), 1)];
        let device = &subject.device;
        device.queue_read(&Submission { signal: &last, ..NOW }, &file, 0, &Region::whole(&large)).unwrap();
        for (index, (buffer, signal)) in small.iter().enumerate() {
            let at = Submission { signal, ..NOW };
            device.queue_read(&at, &file, index as u64, &Region::whole(buffer)).unwrap();
        }
        for (index, (buffer, signal)) in small.iter().enumerate() {
            subject.reaches(signal);
            assert_eq!(bytes_of(buffer), content[index..index + 512]);
        }
        subject.reaches(&last);
        assert!(bytes_of(&large) == content);
    });
}

/// Without anybody who polls, files are read and written by threads that may block.
fn polled_files_outlive_their_proactor(subject: &Subject) {
    let content = counting(64 << 10);
    every(|mut polled| {
        let file = Arc::new(polled.file(BOTH, native_file(&content)));
        polled.runner = None;
        read_and_write(subject, &file, &content);
    });
}

/// The proactor goes away with the transfers in its hands.
fn polled_transfers_under_way_outlive_their_proactor(subject: &Subject) {
    let content = counting_far(SEVERAL_PIECES);
    every(|mut polled| {
        let file = Arc::new(polled.file(READ, native_file(&content)));
        polled.pause();
        let buffer = subject.buffer(content.len() as u64);
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { signal: &signal, ..NOW };
        subject.device.queue_read(&at, &file, 0, &Region::whole(&buffer)).unwrap();
        // It may or may not have been begun by now.
        polled.runner = None;
        subject.reaches(&signal);
        assert!(bytes_of(&buffer) == content, "{}", polled.backend);
    });
}

/// [hal 143] transfers under way are cancelled and waited for, and until then their buffers stay.
fn polled_transfers_end_with_their_device(subject: &Subject) {
    every(|polled| {
        let doomed = subject.separate();
        let allocator = Arc::clone(doomed.device.allocator());
        let file = Arc::new(polled.file(READ, native_file(&counting_far(SEVERAL_PIECES))));
        let inner_faults = Arc::new(Faults::every(0, Fault::Ends));
        let watched = polled.file(READ, native_file(&counting(64))).with_faults(Arc::clone(&inner_faults));
        polled.pause();
        let buffer = doomed.buffer(SEVERAL_PIECES as u64);
        let small = doomed.buffer(64);
        let signals = [(); 3].map(|()| [point(&semaphore(0), 1)]);
        let [first, second, third] = &signals;
        let affinity = QueueAffinity::queue(0);
        let device = &doomed.device;
        let at = |signal| Submission { affinity, signal, ..NOW };
        device.queue_read(&at(first), &file, 0, &Region::whole(&buffer)).unwrap();
        let watched = Arc::new(watched);
        device.queue_read(&at(second), &watched, 0, &Region::whole(&small)).unwrap();
        // The end of the device has come as far as the transfers when this one is told.
        let never = [point(&semaphore(0), 1)];
        device.queue_barrier(&Submission { wait: &never, ..at(third) }).unwrap();
        eventually("the second one is under way", || inner_faults.count() > 0);
        drop((buffer, small));
        let hears = begin_end(doomed);
        eventually("the end has begun", || third[0].semaphore.query().is_err());
        assert!(hears.recv_timeout(Duration::from_millis(20)).is_err(), "it waits for the proactor");
        assert!(allocator.statistics().device.live() > 0, "freed while it is read into");
        polled.runner().resume().unwrap();
        hears.recv_timeout(Duration::from_secs(20)).expect("the device ends");
        for signal in &signals {
            fails_with(signal[0].semaphore.query(), Code::Cancelled);
        }
        drop(file);
        eventually("all memory is back", || allocator.statistics().device.live() == 0);
    });
}

/// The last owner of the device is whoever hears of a transfer's end, on the thread that polls.
fn polled_devices_end_in_their_own_callbacks(subject: &Subject) {
    every(|polled| {
        let doomed = subject.separate();
        let file = Arc::new(polled.file(READ, native_file(&counting(64))));
        let buffer = doomed.buffer(64);
        let signals = [(); 2].map(|()| [point(&semaphore(0), 1)]);
        polled.pause();
        for signal in &signals {
            let at = Submission { signal, ..NOW };
            doomed.device.queue_read(&at, &file, 0, &Region::whole(&buffer)).unwrap();
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let Subject { device, kernels, .. } = doomed;
        let timepoint = signals[0][0].semaphore.on_reached(1, move |_| {
            drop((device, kernels));
            over.store(true, Ordering::Release);
        });
        polled.runner().resume().unwrap();
        eventually("the device was dropped", || is_over.load(Ordering::Acquire));
        // Whether the second one was done or cancelled: it was told.
        let told = signals[1][0].semaphore.wait(1, Deadline::after(Duration::from_secs(20)));
        assert!(told.as_ref().is_ok_and(|&()| true) || told.as_ref().unwrap_err().code() == Code::Cancelled);
        drop(timepoint);
    });
}
