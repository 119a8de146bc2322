//! Futexes: operations and threads that wait on the same words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use weft_io::ops::{FutexWait, FutexWake, Nop};
use weft_io::{Capabilities, Handle, Operation};
use weft_sync::Code;

use super::subject::{CANCELLED, IoCaps, IoSubject, Log, lock, poll_dry, poll_nothing, poll_until, submit};
use super::system;

/// Kernel futexes that are allowed.
const FUTEX: IoCaps = IoCaps::KERNEL.union(IoCaps::FUTEX);

crate::cases! { $ FUTEX_CASES for_each_io_futex_case of IoSubject {
    without_the_capability_futexes_are_refused: IoCaps::NONE;
    a_thread_wakes_an_operation: FUTEX;
    an_operation_wakes_threads: FUTEX;
    another_value_is_nothing_to_wait_for: FUTEX;
    as_many_operations_wake_as_are_counted: FUTEX;
    futexes_in_chains: FUTEX;
    a_futex_wait_is_cancelled: FUTEX;
    callbacks_wake: FUTEX;
    words_are_private_to_the_process: FUTEX;
} }

fn word() -> Arc<AtomicU32> {
    Arc::new(AtomicU32::new(0))
}

fn wait(word: &Arc<AtomicU32>, expected: u32) -> FutexWait {
    FutexWait { word: Arc::clone(word), expected }
}

fn wake(word: &Arc<AtomicU32>, count: u32) -> FutexWake {
    FutexWake { word: Arc::clone(word), count }
}

/// [async 173] [async-backends 180] At submission, with the operation back; where it is, it is accepted.
fn without_the_capability_futexes_are_refused(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.allowed -= Capabilities::FUTEX_OPERATIONS);
    let handle = poller.handle().clone();
    assert!(!handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS));
    let (word, log) = (word(), Log::default());
    let refused = handle.submit(Operation::new(wait(&word, 0)).on_done(log.line("never"))).unwrap_err();
    assert_eq!((refused.why.code(), refused.operation.expected), (Code::Unavailable, 0));
    assert_eq!(handle.submit(wake(&word, 1)).unwrap_err().why.code(), Code::Unavailable);
    drop(refused);
    poll_nothing(&mut poller);
    assert_eq!((log.len(), Arc::strong_count(&word)), (0, 1));
}

/// [async 170] [async-backends 178] A thread that knows nothing of operations, by the system's own call.
fn a_thread_wakes_an_operation(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let word = word();
    submit(&poller.handle().clone(), wait(&word, 0), &log, "wait");
    poll_nothing(&mut poller);
    let theirs = Arc::clone(&word);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(3));
        theirs.store(1, Ordering::Release);
        system::futex_wake(&theirs, 1)
    });
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(thread.join().unwrap(), 1, "it woke one");
    log.take_names();
}

/// What a wake has counted.
fn woken(handle: &Handle, poller: &mut weft_io::Poller, operation: FutexWake) -> u32 {
    let found = Arc::new(std::sync::Mutex::new(None));
    let home = Arc::clone(&found);
    let operation = Operation::new(operation).on_done(move |done| *lock(&home) = Some(done.result.unwrap()));
    handle.submit(operation).unwrap();
    poll_until(poller, || lock(&found).is_some());
    let woken = lock(&found).take();
    woken.expect("just looked")
}

/// [async 170] [async 172] [async-backends 178] There and back through a thread that sleeps in the system's own call.
fn an_operation_wakes_threads(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (log, here, there) = (Log::default(), word(), word());
    let (their_here, their_there) = (Arc::clone(&here), Arc::clone(&there));
    let thread = std::thread::spawn(move || {
        for round in 0..20 {
            while their_there.load(Ordering::Acquire) == round {
                system::futex_wait(&their_there, round);
            }
            their_here.store(round + 1, Ordering::Release);
            system::futex_wake(&their_here, 1);
        }
    });
    for round in 0..20 {
        submit(&handle, wait(&here, round), &log, "back");
        there.store(round + 1, Ordering::Release);
        assert!(woken(&handle, &mut poller, wake(&there, 1)) <= 1);
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(here.load(Ordering::Acquire), round + 1);
        log.take_names();
    }
    thread.join().unwrap();
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 170] [async-backends 178]
fn another_value_is_nothing_to_wait_for(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    submit(&poller.handle().clone(), wait(&word(), 7), &log, "wait");
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["wait"]);
}

/// [async 171] [async-backends 178] Two of three, the rest, nobody.
fn as_many_operations_wake_as_are_counted(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (log, word, other) = (Log::default(), word(), word());
    for name in ["a", "b", "c"] {
        submit(&handle, wait(&word, 0), &log, name);
    }
    submit(&handle, wait(&other, 0), &log, "other");
    poll_nothing(&mut poller);
    assert_eq!(woken(&handle, &mut poller, wake(&word, 2)), 2);
    poll_until(&mut poller, || log.len() == 2);
    poll_nothing(&mut poller);
    assert_eq!(woken(&handle, &mut poller, wake(&word, u32::MAX)), 1, "whoever is left");
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(woken(&handle, &mut poller, wake(&word, 1)), 0, "nobody");
    let mut names = log.take_names();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"]);
    poll_nothing(&mut poller);
}

/// [async 60] [async 172] [async-backends 53] [async-backends 178] A wait in front, a wake behind.
fn futexes_in_chains(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (log, first, second) = (Log::default(), word(), word());
    submit(&handle, wait(&second, 0), &log, "second");
    let mut batch = handle.batch();
    batch.add(Operation::new(wait(&first, 0)).on_done(log.line("first"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
    batch.then(Operation::new(wake(&second, 1)).on_done(log.line("wake"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    assert_eq!(woken(&handle, &mut poller, wake(&first, 1)), 1);
    poll_until(&mut poller, || log.len() == 4);
    let names = log.take_names();
    let of = |name| names.iter().position(|line| *line == name).unwrap();
    assert!(of("first") < of("nop") && of("nop") < of("wake"));
}

/// [async 93] [async-backends 178] Also twice; the word and other waits on it are as before.
fn a_futex_wait_is_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (log, word) = (Log::default(), word());
    let ticket = submit(&handle, wait(&word, 0), &log, "cancelled");
    submit(&handle, wait(&word, 0), &log, "woken");
    poll_nothing(&mut poller);
    handle.cancel(ticket).unwrap();
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(woken(&handle, &mut poller, wake(&word, u32::MAX)), 1);
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take(), [("cancelled", CANCELLED), ("woken", None)]);
    assert_eq!(Arc::strong_count(&word), 1);
}

/// [async 172] [async-backends 178] One, and all.
fn callbacks_wake(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for count in [1, u32::MAX] {
        let (log, word) = (Log::default(), word());
        let waits = if count == 1 { 1 } else { 4 };
        for _ in 0..waits {
            submit(&handle, wait(&word, 0), &log, "wait");
        }
        poll_nothing(&mut poller);
        let (inner, theirs) = (handle.clone(), Arc::clone(&word));
        let nop = Operation::new(Nop).on_done(move |_| {
            inner.submit(wake(&theirs, count)).unwrap();
        });
        handle.submit(nop).unwrap();
        poll_until(&mut poller, || log.len() == waits);
        poll_dry(&mut poller);
        log.take_names();
    }
}

/// [async-backends 179] Whoever wakes the word as one of several processes wakes nobody who waits for it here.
fn words_are_private_to_the_process(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let word = word();
    submit(&poller.handle().clone(), wait(&word, 0), &log, "wait");
    poll_nothing(&mut poller);
    assert_eq!(system::futex_wake_shared(&word, i32::MAX), 0);
    poll_nothing(&mut poller);
    assert_eq!(system::futex_wake(&word, i32::MAX), 1);
    poll_until(&mut poller, || log.len() == 1);
    log.take_names();
}
