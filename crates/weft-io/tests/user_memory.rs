//! Memory whose owner wrote it himself, and wrongly: it panics when it is asked where it lies.
#![allow(
    unsafe_code,
    reason = "whoever provides memory makes a promise about it, here a bad joke about the rest"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::{Log, Subject, after_ms, every, poll_until, real};
use weft_io::ops::{FileRead, FileWrite, Nop, Recv, Send, SendTo, Sequence, Step};
use weft_io::{
    Address, File, Handle, Operation, Params, Socket, SocketKind, SocketOptions, Source, Span, Target,
};
use weft_sync::Code;

/// Memory that answers so often, and panics when it is asked again.
struct Tired {
    bytes: Vec<u8>,
    count: usize,
    patience: Arc<AtomicU32>,
}

impl Tired {
    fn new(count: usize, patience: u32) -> Tired {
        Tired { bytes: vec![7; 8], count, patience: Arc::new(AtomicU32::new(patience)) }
    }

    fn ask(&self) {
        let left = self.patience.load(Ordering::Relaxed);
        if left == 0 {
            resume_unwind(Box::new("asked again"));
        }
        self.patience.store(left - 1, Ordering::Relaxed);
    }
}

// SAFETY: a vector's bytes lie on the heap, and only its owner changes them.
unsafe impl Source for Tired {
    fn count(&self) -> usize {
        self.count
    }

    fn span(&self, _index: usize) -> Span {
        self.ask();
        Span::of(&self.bytes)
    }
}

// SAFETY: as for `Source`; the address comes from an exclusive borrow.
unsafe impl Target for Tired {
    fn count(&self) -> usize {
        self.count
    }

    fn span(&mut self, _index: usize) -> Span {
        self.ask();
        Span::of_mut(&mut self.bytes)
    }
}

fn udp() -> (Socket, Address) {
    let socket = Socket::new(SocketKind::Udp, SocketOptions::empty()).unwrap();
    socket.bind(&Address::ipv4("127.0.0.1", 0).unwrap()).unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

fn zeroes() -> File {
    let file = std::fs::OpenOptions::new().read(true).write(true).open("/dev/zero").unwrap();
    File::import(file).map_err(|refused| refused.why).unwrap()
}

/// Submits what has memory that never answers, and says whether the submission panicked.
fn submission_panics<P: Params>(handle: &Handle, params: P) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(handle.submit(params)))).is_err()
}

/// A panic is that of the submission, and costs no slot.
#[test]
fn memory_that_panics_does_so_where_it_is_submitted() {
    every(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let (socket, address) = udp();
        for count in [1, 3] {
            let tired = || Tired::new(count, 0);
            assert!(submission_panics(&handle, FileWrite::new(zeroes(), 0, tired())), "{name}");
            assert!(submission_panics(&handle, FileRead::new(zeroes(), 0, tired())), "{name}");
            assert!(submission_panics(&handle, SendTo::new(socket.clone(), tired(), address)), "{name}");
            assert!(submission_panics(&handle, Send::new(socket.clone(), tired())), "{name}");
            assert!(submission_panics(&handle, Recv::new(socket.clone(), tired())), "{name}");
            let step = Step::new(FileWrite::new(zeroes(), 0, tired()));
            assert!(submission_panics(&handle, Sequence::new(vec![step])), "{name}");
        }
        let log = Log::default();
        handle.submit(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(poller.under_way(), 0);
    });
}

/// Nobody asks memory again once it is submitted: not the poll thread, not a thread that waits for files, however often
/// an operation is begun.
#[test]
fn memory_is_asked_once() {
    real(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let log = Log::default();
        for count in [1_u32, 3] {
            let tired = || Tired::new(count as usize, count);
            let (socket, address) = udp();
            handle
                .submit(Operation::new(Recv::new(socket.clone(), tired())).on_done(log.line("recv")))
                .unwrap();
            let send = SendTo::new(socket, tired(), address);
            handle.submit(Operation::new(send).on_done(log.line("send"))).unwrap();
            let write = FileWrite::new(zeroes(), 0, tired());
            handle.submit(Operation::new(write).on_done(log.line("write"))).unwrap();
            let read = FileRead::new(zeroes(), 0, tired());
            handle.submit(Operation::new(read).on_done(log.line("read"))).unwrap();
            handle.submit(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
            poll_until(&mut poller, || log.len() == 5);
            let lines = log.take();
            assert!(lines.iter().all(|(_, code)| code.is_none()), "{name}: {lines:?}");
        }
        assert_eq!(poller.under_way(), 0);
    });
}

/// The memory of a step that the function may have changed is asked when the step starts: a panic ends the sequence, and
/// nothing else.
#[test]
fn memory_of_a_later_step_that_panics_ends_its_sequence() {
    every(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let log = Log::default();
        let steps = vec![Step::new(Nop), Step::new(FileWrite::new(zeroes(), 0, Tired::new(1, 1)))];
        let sequence = Sequence::with_advance(steps, |_, _| Ok(()));
        handle.submit(Operation::new(sequence).on_done(log.line("sequence"))).unwrap();
        handle.submit(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let mut lines = log.take();
        lines.sort_unstable();
        assert_eq!(lines, [("behind", None), ("sequence", Some(Code::Internal))], "{name}");
        assert_eq!(poller.under_way(), 0);
        assert!(poller.poll(after_ms(1)).is_err());
    });
}
