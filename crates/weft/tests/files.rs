//! Files that a session opens for devices.

use std::path::PathBuf;
use std::sync::Arc;

use weft::hal::{BufferParams, File, MemoryAccess, Region, Submission};
use weft::sync::{Code, Point, Semaphore};
use weft::{Deadline, Device, FilePoller, Session};

const BOTH: MemoryAccess = MemoryAccess::READ.union(MemoryAccess::WRITE);

/// A file that is gone after the test.
struct Scrap(PathBuf);

impl Scrap {
    fn new(name: &str, bytes: &[u8]) -> Scrap {
        let path = std::env::temp_dir().join(format!("weft-files-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Scrap(path)
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn run(device: &Device, submit: impl FnOnce(&Submission<'_>) -> weft::Result<()>) -> weft::Result<()> {
    let signal = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
    submit(&Submission { signal: &signal, ..Submission::IMMEDIATE })?;
    device.wait_all(&signal, Deadline::NEVER)
}

/// Reads all, writes some at another place, reads that.
fn exercise(device: &Device, file: &Arc<File>) {
    let buffer = device.allocator().allocate(&BufferParams::device_local(), 10_000).unwrap();
    let (all, some) = (
        Region { buffer: &buffer, offset: 0, length: 10_000 },
        Region { buffer: &buffer, offset: 100, length: 7 },
    );
    run(device, |at| device.queue_read(at, file, 0, &all)).unwrap();
    assert_eq!(buffer.read_to_vec(0, 10_000).unwrap(), counting(10_000));
    run(device, |at| device.queue_write(at, &some, file, 20_000)).unwrap();
    let mut written = [0; 7];
    file.read_exact(20_000, &mut written).unwrap();
    assert_eq!(written[..], counting(107)[100..]);
}

/// [hal-module 35] Both devices, on every backend that this machine has.
#[test]
fn sessions_open_files_for_their_devices() {
    for backend in ["uring", "epoll", "poll"] {
        let session = Session::builder()
            .device("local-task")
            .device("local-sync")
            .files(FilePoller::with_backend(backend))
            .build()
            .unwrap();
        if let Some(why) = session.files().why_synchronous() {
            println!("skipped: {backend}: {why}");
            continue;
        }
        for device in session.devices().unwrap() {
            let scrap = Scrap::new(&format!("{backend}-{}", device.identifier()), &counting(10_000));
            let file = session.open_file(&scrap.0, BOTH).unwrap();
            assert!(file.is_polled());
            exercise(device, &file);
        }
    }
}

/// [hal 81] Without a proactor devices do it themselves, and why is known.
#[test]
fn files_work_without_a_proactor() {
    let files = FilePoller::with_backend("carrier pigeon");
    let session = Session::builder().device("local-task").device("local-sync").files(files).build().unwrap();
    for device in session.devices().unwrap() {
        let scrap = Scrap::new(&format!("none-{}", device.identifier()), &counting(10_000));
        let file = session.open_file(&scrap.0, BOTH).unwrap();
        assert!(!file.is_polled());
        exercise(device, &file);
    }
    let why = session.files().why_synchronous().unwrap();
    assert!(why.to_string().contains("carrier pigeon"), "{why}");
}

/// A file outlives the session that opened it.
#[test]
fn files_outlive_their_session() {
    let session = Session::builder().device("local-task").build().unwrap();
    let scrap = Scrap::new("outlived", &counting(10_000));
    let file = session.open_file(&scrap.0, BOTH).unwrap();
    let device = Arc::clone(&session.devices().unwrap()[0]);
    drop(session);
    exercise(&device, &file);
}

/// Errors name the file, and what cannot be read at places is refused.
#[test]
fn files_that_cannot_be_opened_are_named() {
    let session = Session::new().unwrap();
    let status = session.open_file("no/such/file", MemoryAccess::READ).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.to_string().contains("no/such/file"), "{status}");
    let status = session.open_file(std::env::temp_dir(), MemoryAccess::READ).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
}
