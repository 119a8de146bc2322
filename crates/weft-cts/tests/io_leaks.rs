//! What a proactor leaves behind: no handle, no memory.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "counts bytes by standing in for the allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};

use weft_cts::case::Tested;
use weft_cts::io::cancellation::submit_waiting;
use weft_cts::io::subject::{self, IoSubject, Log, poll_until};
use weft_io::Operation;
use weft_io::ops::{Nop, Timer};
use weft_sync::Deadline;

struct Counting;

/// Bytes that are allocated now.
static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: hands every call on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(address, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn handles() -> i64 {
    std::fs::read_dir("/proc/self/fd").expect("there is a /proc").count() as i64
}

/// One life: everything that waits, some of it cancelled, some ended, chains that have not started, messages, and an end
/// in the middle of all that.
fn live(subject: &IoSubject, round: usize) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    poller.on_message(|_| {});
    let tickets = submit_waiting(subject, &handle, &log);
    if !round.is_multiple_of(3) {
        drop(poller.poll(Deadline::IMMEDIATE));
    }
    if round % 3 == 2 {
        tickets.iter().skip(1).step_by(2).for_each(|&ticket| handle.cancel(ticket).expect("its own"));
        poll_until(&mut poller, || log.len() == tickets.len() / 2);
    }
    let mut batch = handle.batch();
    batch.add(Timer { deadline: Deadline::NEVER }).expect("there is room");
    batch.then(Operation::new(Nop).on_done(log.line("behind"))).expect("there is room");
    batch.submit().expect("it is there");
    let mut unfinished = handle.batch();
    unfinished.add(Nop).expect("there is room");
    handle.send_message(1).expect("there is room");
    handle.submit(Operation::new(Nop).on_done(log.line("nop"))).expect("there is room");
    if round.is_multiple_of(2) {
        drop(poller.poll(Deadline::IMMEDIATE));
    }
    drop(unfinished);
    drop(poller);
    assert_eq!(log.len(), tickets.len() + 2);
}

/// [async 3] [async 38] [async 260] [async-backends 7] [async-backends 232] Lives of proactors in a row, on every
/// configuration: as many handles and bytes after the hundredth as after the tenth. One test: the count is of the whole
/// process.
#[test]
fn nothing_is_left_of_a_proactor() {
    let subjects = [
        subject::null(),
        subject::uring(),
        subject::uring_no_futex(),
        subject::uring_no_links(),
        subject::uring_rung_2(),
        subject::uring_rung_5(),
        subject::uring_tiny(),
    ];
    for subject in subjects {
        if let Some(why) = subject.why_missing() {
            println!("skipped: {}: {why}", subject.name);
            continue;
        }
        (0..10).for_each(|round| live(&subject, round));
        let before = [handles(), BYTES.load(Ordering::Relaxed)];
        (0..90).for_each(|round| live(&subject, round));
        let after = [handles(), BYTES.load(Ordering::Relaxed)];
        assert_eq!(after[0], before[0], "{}: handles", subject.name);
        // The test program itself may write a line meanwhile.
        let grown = after[1] - before[1];
        assert!(grown.abs() < 2_000, "{}: {grown} bytes", subject.name);
    }
}
