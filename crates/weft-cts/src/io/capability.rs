//! Masks: what a proactor may not use it does by other means, or refuses where there are none.
//!
//! One body, run with each capability taken away, with each as the only one that is left, and with all and none. What it
//! asks for is the same each time; what it is refused follows from what the proactor says that it can do, and from nothing
//! else.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use weft_io::ops::{
    AcceptMany, Connect, FileRead, FutexWait, FutexWake, RecvMany, RecvPoolMany, Send, SocketClose,
};
use weft_io::{
    Access, BufferPool, Capabilities, Event, File, Handle, Operation, Poller, Region, SharedMemory, Slab,
    SocketKind, SocketOptions,
};
use weft_sync::{Code, Deadline};

use super::connection::{
    begin, end, listener, pair, pair_with, pattern, receive, receive_all, run, send, socket,
};
use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, lock, poll_dry, poll_until, submit, timeline, timer,
};
use crate::case::Tested;

crate::cases! { $ CAPABILITY for_each_io_capability_case of IoSubject {
    what_a_mask_takes_away_is_done_otherwise: IoCaps::NONE;
    what_a_mask_leaves_is_all_that_is_used: IoCaps::NONE;
} }

/// [async 2] [async 12] Each capability taken away by itself, and none.
fn what_a_mask_takes_away_is_done_otherwise(subject: &IoSubject) {
    check(subject, Capabilities::all());
    for taken in Capabilities::all().iter() {
        check(subject, Capabilities::all() - taken);
    }
}

/// [async 2] [async 12] Each capability by itself, and none at all.
fn what_a_mask_leaves_is_all_that_is_used(subject: &IoSubject) {
    check(subject, Capabilities::empty());
    for left in Capabilities::all().iter() {
        check(subject, left);
    }
}

/// A proactor that may use no more than this, and than its subject.
fn check(subject: &IoSubject, mask: Capabilities) {
    let mut poller = subject.open_with(|config| config.allowed &= mask);
    let can = poller.handle().capabilities();
    assert!(mask.contains(can), "{can:?} of {mask:?}");
    println!("{mask:?}: {can:?}");
    let poller = &mut poller;
    refuses_what_it_cannot(poller, can);
    software_goes_on(poller);
    let region = registers(poller, can);
    if subject.has().contains(IoCaps::KERNEL) {
        many_results(poller, region);
        sends_report_what_was_done(poller, can);
        knows_files(poller, can);
    }
    assert_eq!(poll_dry(poller), 0);
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Code>) -> Option<Code> {
    result.err()
}

/// Futexes, fences and memory of devices are refused with `UNAVAILABLE`, and only then.
fn refuses_what_it_cannot(poller: &mut Poller, can: Capabilities) {
    let handle = poller.handle().clone();
    let wanted = |bit| (!can.contains(bit)).then_some(Code::Unavailable);

    let word = Arc::new(AtomicU32::new(1));
    let wait = || FutexWait { word: Arc::clone(&word), expected: 0 };
    let wake = || FutexWake { word: Arc::clone(&word), count: 1 };
    let waited = refusal(handle.submit(wait()).map_err(|refused| refused.why.code()));
    let woken = refusal(handle.submit(wake()).map_err(|refused| refused.why.code()));
    assert_eq!([waited, woken], [wanted(Capabilities::FUTEX_OPERATIONS); 2]);
    poll_until(poller, || Arc::strong_count(&word) == 1);
    assert_eq!(word.load(Ordering::Relaxed), 1);

    let (event, moved) = (Event::new().unwrap(), timeline());
    event.set();
    let fence = event.as_fd().try_clone_to_owned().unwrap();
    let imported = handle.import_fence(fence, &moved, 3).map_err(|refused| refused.why.code());
    assert_eq!(refusal(imported), wanted(Capabilities::DEVICE_FENCE));
    if can.contains(Capabilities::DEVICE_FENCE) {
        poll_until(poller, || moved.query().unwrap() == 3);
    }

    let memory = SharedMemory::create(1024).unwrap();
    let device = handle.register_dmabuf(memory.as_fd(), 0, 4096, Access::READ);
    assert_eq!(refusal(device.map_err(|why| why.code())), wanted(Capabilities::DMABUF));
}

/// Chains in their order and up to the first that fails, timers in theirs, and messages.
fn software_goes_on(poller: &mut Poller) {
    let (handle, log) = (poller.handle().clone(), Log::default());
    let mut batch = handle.batch();
    batch.add(Operation::new(weft_io::ops::Nop).on_done(log.line("a"))).unwrap();
    batch.then(Operation::new(weft_io::ops::Nop).on_done(log.line("b"))).unwrap();
    batch.then(timer(after_ms(2)).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    poll_until(poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["a", "b", "c"]);
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("head"))).unwrap();
    batch.then(Operation::new(weft_io::ops::Nop).on_done(log.line("behind"))).unwrap();
    batch.submit().unwrap();
    poll_dry(poller);
    handle.cancel(head).unwrap();
    poll_until(poller, || log.len() == 2);
    assert_eq!(log.take(), [("head", CANCELLED), ("behind", CANCELLED)]);
    // Far apart: a machine that is busy, or emulated, may take its time between the two lines below.
    let (later, sooner) = (after_ms(100), after_ms(1));
    submit(&handle, timer(later), &log, "later");
    submit(&handle, timer(sooner), &log, "sooner");
    poll_until(poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["sooner", "later"]);
    let inbox = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&inbox);
    poller.on_message(move |payload| lock(&into).push(payload));
    (1..=3).for_each(|payload| handle.send_message(payload).unwrap());
    poll_until(poller, || lock(&inbox).len() == 3);
    assert_eq!(*lock(&inbox), [1, 2, 3]);
}

/// Memory is registered either way; the kernel knows it only if the proactor may tell.
fn registers(poller: &Poller, can: Capabilities) -> Region {
    let slab = Slab::new(4096, 4).unwrap();
    let region = poller.handle().register_slab(&slab, Access::READ | Access::WRITE).unwrap();
    assert!(!region.is_pinned() || can.contains(Capabilities::REGISTERED_BUFFERS));
    region
}

/// One submission each: many connections, many pieces, and many pieces into buffers of a pool.
fn many_results(poller: &mut Poller, region: Region) {
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let (told, accepted) = channel();
    let accepting = begin(&handle, AcceptMany::new(listener.clone(), move |one| drop(told.send(one.socket))));
    let mut ends = Vec::new();
    for _ in 0..5 {
        let near = socket(SocketKind::Tcp);
        run(poller, Connect::new(near.clone(), address)).result.unwrap();
        ends.push(near);
    }
    let mut others = Vec::new();
    poll_until(poller, || {
        others.extend(accepted.try_iter());
        others.len() == 5
    });
    assert!(accepting.try_recv().is_err(), "it goes on");
    run(poller, SocketClose::new(listener)).result.unwrap();
    assert_eq!(end(poller, &accepting).result.unwrap_err().code(), Code::Cancelled);

    let (near, far) = pair(poller, SocketKind::UnixStream);
    let (told, pieces) = channel();
    let receiving =
        begin(&handle, RecvMany::new(far, vec![0; 16], move |piece| drop(told.send(piece.to_vec()))));
    for text in [b"one", b"two", b"six"] {
        send(poller, &near, text.as_slice());
        let mut piece = None;
        poll_until(poller, || {
            piece = pieces.try_recv().ok();
            piece.is_some()
        });
        assert_eq!(piece.unwrap(), text);
    }
    drop(near);
    end(poller, &receiving).result.unwrap();
    many_results_in_a_pool(poller, &handle, region);
}

fn many_results_in_a_pool(poller: &mut Poller, handle: &Handle, region: Region) {
    let pool = BufferPool::new(&region).unwrap();
    let (near, far) = pair(poller, SocketKind::UnixStream);
    let (told, pieces) = channel();
    let many = RecvPoolMany::new(far.clone(), pool.clone(), move |piece| drop(told.send(piece)));
    let receiving = begin(handle, many);
    // More than there are buffers: each comes back.
    for round in 0..9 {
        let bytes = pattern(1000, round);
        send(poller, &near, bytes.clone());
        let mut found = Vec::new();
        poll_until(poller, || {
            pieces.try_iter().for_each(|piece| found.extend_from_slice(piece.data()));
            found.len() == 1000
        });
        assert!(found == bytes);
    }
    drop(near);
    end(poller, &receiving).result.unwrap();
    drop(far);

    // Registered buffers are sent and read into like any.
    let mut lease = pool.acquire().unwrap();
    lease.fill(7);
    let (near, far) = pair_with(poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    let sent = begin(handle, Send::new(near, lease));
    assert!(receive_all(poller, &far, 4096).iter().all(|&byte| byte == 7));
    assert_eq!(end(poller, &sent).result.unwrap().bytes, 4096);
    let memory = SharedMemory::create(1024).unwrap();
    let file = File::import(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let mut lease = pool.acquire().unwrap();
    lease.fill(1);
    let read = run(poller, FileRead::new(file, 0, lease));
    assert_eq!(read.result.unwrap(), 4096);
    assert!(read.operation.into_params().target.iter().all(|&byte| byte == 0));
}

/// A send that asks for no copy arrives the same, and says that there was none only where that can be known.
fn sends_report_what_was_done(poller: &mut Poller, can: Capabilities) {
    let may = Capabilities::ZERO_COPY_SEND | Capabilities::ZERO_COPY_REPORT;
    let (near, far) = pair_with(poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    let bytes = pattern(50_000, 3);
    let sent = begin(&poller.handle().clone(), Send::new(near.clone(), bytes.clone()));
    assert!(receive_all(poller, &far, bytes.len()) == bytes);
    let sent = end(poller, &sent).result.unwrap();
    assert!(sent.bytes == bytes.len() && (!sent.is_zero_copy || can.contains(may)));
    drop(near);
    assert_eq!(receive(poller, &far, 1), b"");
}

/// Files and sockets are registered either way; the kernel knows them only if the proactor may tell.
fn knows_files(poller: &mut Poller, can: Capabilities) {
    let handle = poller.handle().clone();
    let memory = SharedMemory::create(1024).unwrap();
    let file = File::import(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
    handle.register_file(&file).unwrap();
    assert_eq!(file.is_registered(&handle), can.contains(Capabilities::FIXED_FILES));
    assert_eq!(run(poller, FileRead::new(file, 10, vec![1; 20])).result.unwrap(), 20);
    let (near, far) = pair(poller, SocketKind::Tcp);
    handle.register_socket(&near).unwrap();
    assert_eq!(near.is_registered(&handle), can.contains(Capabilities::FIXED_FILES));
    send(poller, &near, b"known".as_slice());
    assert_eq!(receive(poller, &far, 10), b"known");
    drop(near);
    assert_eq!(receive(poller, &far, 1), b"");
}
