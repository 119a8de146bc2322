//! Files on every configuration: what is left behind when nobody waits for a result, and what closing does to others.

#![cfg(target_os = "linux")]

mod support;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{Log, Subject, alone, handles, poll_dry, poll_until, real};
use weft_io::ops::{FileClose, FileFlags, FileOpen, FileRead, FileSync, FileWrite, Sequence, Step};
use weft_io::{Access, BufferPool, File, Operation, Slab};
use weft_sync::{Code, Deadline};

/// A file of its own for each test, gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, content: &[u8]) -> Place {
        let path = std::env::temp_dir().join(format!("weft-io-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Place(path)
    }

    fn open(&self) -> File {
        let file = std::fs::File::options().read(true).write(true).open(&self.0).unwrap();
        File::try_from(file).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn open(place: &Place) -> FileOpen {
    FileOpen::new(&place.0, FileFlags::READ)
}

/// Configurations that carry operations on files out.
fn with_files(body: impl Fn(Subject)) {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let open = handle.run(FileOpen::new("/dev/null", FileFlags::READ));
        match subject.poller.block_on(open).unwrap().result {
            Err(why) if why.code() == Code::Unimplemented => eprintln!("skipped: {}: {why}", subject.name),
            _ => body(subject),
        }
    });
}

/// [async-backends 172] What was opened and is taken by nobody is closed: no callback, a future that is dropped, a cancel,
/// a step that nobody looks at, a poller that goes.
#[test]
fn what_nobody_takes_is_closed() {
    let _alone = alone();
    let place = Place::new("nobody", b"text");
    with_files(|Subject { name, mut poller, .. }| {
        // The first open also opens what takes the place of closed files.
        let handle = poller.handle().clone();
        drop(poller.block_on(handle.run(open(&place))).unwrap());
        let before = handles();
        handle.submit(open(&place)).unwrap();
        let mut late = 0;
        while late < 1 {
            late += poller.poll(Deadline::NEVER).unwrap();
        }
        assert_eq!(handles(), before, "{name}: without a callback");
        for wait in [0, 1] {
            let running = handle.run(open(&place));
            drop(poller.poll(Deadline::after(Duration::from_millis(wait))));
            drop(running);
            poll_dry(&mut poller);
            while poller.under_way() > 0 {
                poller.poll(Deadline::NEVER).unwrap();
            }
            assert_eq!(handles(), before, "{name}: a future that was dropped");
        }
        let log = Log::default();
        let ticket = handle.submit(Operation::new(open(&place)).on_done(log.line("open"))).unwrap();
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(handles(), before, "{name}: cancelled");
        let sequence = Sequence::new(vec![Step::new(open(&place)), Step::new(open(&place))]);
        handle.submit(Operation::new(sequence).on_done(log.line("sequence"))).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(handles(), before, "{name}: steps");
        for _ in 0..8 {
            handle.submit(open(&place)).unwrap();
        }
        drop(poller);
        drop(handle);
        assert!(handles() <= before, "{name}: a poller that has gone");
    });
}

/// [async-backends 172] The file of one step is there for the next one.
#[test]
fn a_step_hands_its_file_on() {
    let _alone = alone();
    let place = Place::new("step", b"0123456789");
    with_files(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let steps = vec![Step::new(open(&place)), Step::new(weft_io::ops::Nop)];
        let sequence = Sequence::with_advance(steps, |ended, next| {
            if let (Some(file), Some(next)) = (ended.take_output::<FileOpen>(), next) {
                *next = Step::new(FileRead::new(file, 2, vec![0; 4]));
            }
            Ok(())
        });
        let mut done = poller.block_on(handle.run(sequence)).unwrap();
        done.result.unwrap();
        let mut read = done.operation.steps.pop().unwrap();
        assert_eq!(read.take_output::<FileRead<Vec<u8>>>(), Some(4), "{name}");
        assert_eq!(read.params_mut::<FileRead<Vec<u8>>>().unwrap().target, b"2345", "{name}");
    });
}

/// [async-backends 174] [async 164] What is under way when a file is closed ends well; the number is not given to another
/// file for as long as anybody could use it.
#[test]
fn closing_ends_nothing_and_keeps_the_number() {
    let _alone = alone();
    let place = Place::new("number", &vec![7; 1 << 20]);
    with_files(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let (file, log) = (place.open(), Log::default());
        let (held, number) = (file.clone(), file.as_fd().as_raw_fd());
        let (send, received) = channel();
        for index in 0..16 {
            let send = send.clone();
            let read = FileRead::new(file.clone(), index << 16, vec![0; 1 << 16]);
            let done = move |done: weft_io::Done<FileRead<Vec<u8>>>| send.send(done).unwrap();
            handle.submit(Operation::new(read).on_done(done)).unwrap();
        }
        handle.submit(Operation::new(FileClose::new(file)).on_done(log.line("close"))).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        let refused = handle.submit(FileSync::new(held.clone(), false)).unwrap_err();
        assert_eq!(refused.why.code(), Code::FailedPrecondition, "{name}");
        drop(refused);
        let mut reads = Vec::new();
        poll_until(&mut poller, || {
            reads.extend(received.try_iter());
            reads.len() == 16
        });
        for done in reads {
            assert_eq!(done.result.unwrap(), 1 << 16, "{name}");
            assert!(done.operation.target.iter().all(|&byte| byte == 7));
        }
        let others: Vec<OwnedFd> = (0..20).map(|_| std::fs::File::open(&place.0).unwrap().into()).collect();
        assert!(others.iter().all(|other| other.as_raw_fd() != number), "{name}: the number is taken");
        assert_eq!(held.size().unwrap_err().code(), Code::FailedPrecondition, "{name}");
        // Through another reference, and through the last.
        let again = poller.block_on(handle.run(FileClose::new(held.clone()))).unwrap();
        again.result.unwrap();
        poller.block_on(handle.run(FileClose::new(held))).unwrap().result.unwrap();
        let next: OwnedFd = std::fs::File::open(&place.0).unwrap().into();
        assert!(next.as_raw_fd() <= number, "{name}: free after the last has gone");
    });
}

/// Files that were closed by operations, dropped, or never started leave no handle behind.
#[test]
fn no_handle_is_left() {
    let _alone = alone();
    let place = Place::new("left", b"text");
    with_files(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        drop(place.open());
        let before = handles();
        for round in 0..50 {
            let file = place.open();
            let held = (round % 2 == 0).then(|| file.clone());
            let write = FileWrite::new(file.clone(), 0, b"TEXT".as_slice());
            poller.block_on(handle.run(write)).unwrap().result.unwrap();
            let log = Log::default();
            let close = Operation::new(FileClose::new(file)).on_done(log.line("close"));
            let ticket = handle.submit(close).unwrap();
            if round % 3 == 0 {
                handle.cancel(ticket).unwrap();
            }
            poll_until(&mut poller, || log.len() == 1);
            drop(held);
        }
        assert_eq!(handles(), before, "{name}");
    });
}

/// Memory that the ring knows, of this proactor and of another: the same bytes. Files are read into
/// leases and written from them.
#[test]
fn registered_memory_is_memory() {
    let _alone = alone();
    let place = Place::new("registered", &[1; 8192]);
    let foreign = weft_io::open_any(&weft_io::Config::new()).unwrap();
    with_files(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        for owner in [&handle, foreign.handle()] {
            let slab = Slab::new(4096, 2).unwrap();
            let region = owner.register_slab(&slab, Access::READ | Access::WRITE).unwrap();
            let pool = BufferPool::new(&region).unwrap();
            let file = place.open();
            let lease = pool.acquire().unwrap();
            let read = poller.block_on(handle.run(FileRead::new(file.clone(), 4096, lease))).unwrap();
            assert_eq!(read.result.unwrap(), 4096, "{name}");
            let mut lease = read.operation.into_params().target;
            assert!(lease.iter().all(|&byte| byte == 1), "{name}");
            lease.fill(2);
            let write = poller.block_on(handle.run(FileWrite::new(file, 0, lease))).unwrap();
            assert_eq!(write.result.unwrap(), 4096, "{name}");
            drop(write.operation);
            assert!(std::fs::read(&place.0).unwrap() == [[2; 4096], [1; 4096]].concat(), "{name}");
            std::fs::write(&place.0, [1; 8192]).unwrap();
        }
    });
}

/// [async-backends 172] Where nothing can be written, no write ends with 0: whoever goes on until all is done would not end.
#[test]
fn the_last_place_takes_nothing() {
    let _alone = alone();
    let place = Place::new("end", b"text");
    with_files(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let (file, end) = (place.open(), i64::MAX as u64);
        let (well, refused) = (Ok(0), Err(Code::OutOfRange));
        for (offset, length, expected) in [
            (end, 4, (well, refused)),
            (end + 1, 0, (refused, refused)),
            (u64::MAX, 4, (refused, refused)),
            (end, 0, (well, well)),
        ] {
            let read = handle.run(FileRead::new(file.clone(), offset, vec![0; length]));
            let read = poller.block_on(read).unwrap().result.map_err(|why| why.code());
            let write = handle.run(FileWrite::new(file.clone(), offset, vec![0; length]));
            let write = poller.block_on(write).unwrap().result.map_err(|why| why.code());
            assert_eq!((read, write), expected, "{name}: {length} bytes at {offset}");
        }
    });
}
