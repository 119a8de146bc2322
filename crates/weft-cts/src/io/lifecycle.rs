//! Creation, what a proactor says about itself, threads that make it and threads that poll it, and how it goes away
//! when nothing is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_io::ops::{Nop, Timer};
use weft_io::{Capabilities, Config, Operation, Poller, open, open_any};
use weft_sync::{Code, Deadline};

use super::subject::{IoCaps, IoSubject, Log, after_ms, poll_dry, poll_nothing, poll_until, submit, timer};

crate::cases! { $ LIFECYCLE for_each_io_lifecycle_case of IoSubject {
    a_proactor_describes_itself: IoCaps::NONE;
    masks_take_away_what_they_name: IoCaps::NONE;
    a_proactor_works_with_nothing_allowed: IoCaps::NONE;
    sizes_of_every_size: IoCaps::NONE;
    configurations_that_make_no_sense_are_refused: IoCaps::NONE;
    handles_outlive_their_proactor: IoCaps::NONE;
    a_proactor_that_nobody_polled_ends_cleanly: IoCaps::NONE;
    a_proactor_is_polled_where_it_is_bound: IoCaps::NONE;
    only_one_thread_can_poll: IoCaps::NONE;
    proactors_come_and_go: IoCaps::NONE;
    many_proactors_at_once: IoCaps::NONE;
    every_rung_is_another_ring: IoCaps::RING;
} }

/// [async 1] [async 2] [async 16] [async-backends 2] What was allowed and detected, the same for all of its life; a long
/// name is cut at a character's boundary, and at what would end a C string.
fn a_proactor_describes_itself(subject: &IoSubject) {
    let name = "ü".repeat(40);
    let mut poller = subject.open_with(|config| config.name.clone_from(&name));
    let before = poller.handle().capabilities();
    assert!(subject.config().allowed.contains(before));
    poll_nothing(&mut poller);
    let description = poller.handle().describe();
    assert_eq!(description.name, "ü".repeat(16));
    assert_eq!((description.capabilities, poller.handle().capabilities()), (before, before));
    assert!(!description.backend.is_empty() && !description.to_string().is_empty());
    let cut = subject.open_with(|config| config.name = "before\0behind".to_owned());
    assert_eq!(cut.handle().describe().name, "before");
}

/// [async 2] [async-backends 2] A mask takes away exactly what it names. What is done without: `capability.rs`.
fn masks_take_away_what_they_name(subject: &IoSubject) {
    let all = subject.open().handle().capabilities();
    let same = subject.open_with(|config| config.allowed |= config.allowed).handle().capabilities();
    assert_eq!(all, same);
    for bit in 0..32 {
        let taken = Capabilities::from_bits_retain(1 << bit);
        let left = subject.open_with(|config| config.allowed = config.allowed.difference(taken));
        assert_eq!(left.handle().capabilities(), all.difference(taken), "without {taken:?}");
    }
}

/// [async-backends 2] Without any capability there are still NOPs, timers and chains.
fn a_proactor_works_with_nothing_allowed(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.allowed = Capabilities::empty());
    assert!(poller.handle().capabilities().is_empty());
    let log = Log::default();
    let handle = poller.handle().clone();
    let mut batch = handle.batch();
    batch.add(Operation::new(Nop).on_done(log.line("a"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("b"))).unwrap();
    batch.then(timer(after_ms(1)).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["a", "b", "c"]);
}

/// [async-backends 13] Entries of a ring: nothing stands for the usual number, odd numbers are rounded up, and too many
/// are as many as the kernel takes. As much as fits in none of them gets through.
fn sizes_of_every_size(subject: &IoSubject) {
    for ring_entries in [0, 1, 3, 100, 32_768, 1_000_000] {
        let mut poller = subject.open_with(|config| config.ring_entries = ring_entries);
        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..300 {
            let ended = Arc::clone(&ended);
            let count = move |_| {
                ended.fetch_add(1, Ordering::Relaxed);
            };
            poller.handle().submit(Operation::new(Nop).on_done(count)).unwrap();
        }
        poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 300);
    }
    for count in [0, 1, 2] {
        let mut poller = subject.open_with(|config| config.messages_max = count);
        poller.handle().send_message(1).expect("there is always room for one");
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    }
}

/// [async 1] What no proactor can be made of is refused in one line; a backend that does not exist names those that do.
fn configurations_that_make_no_sense_are_refused(subject: &IoSubject) {
    let nothing = Config { operations_max: 0, ..subject.config() };
    for refused in [open("uring", &nothing), open("null", &nothing), open_any(&nothing)] {
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
    let unknown = open("pigeons", &subject.config()).unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
    assert!(unknown.message().contains("null") && !unknown.to_string().contains('\n'), "{unknown}");
    let too_far = open("uring", &Config { ring_rung: 99, ..subject.config() }).unwrap_err();
    assert!(matches!(too_far.code(), Code::InvalidArgument | Code::Unavailable), "{too_far}");
}

/// [async 3] [async 27] [async-backends 3] A thousand handles keep a proactor's memory, not the proactor.
fn handles_outlive_their_proactor(subject: &IoSubject) {
    let mut poller = subject.open();
    let handles: Vec<_> = (0..1000).map(|_| poller.handle().clone()).collect();
    let log = Log::default();
    submit(&handles[999], Nop, &log, "nop");
    poll_until(&mut poller, || log.len() == 1);
    drop(poller);
    for handle in &handles {
        assert_eq!(handle.submit(Nop).unwrap_err().why.code(), Code::Aborted);
        handle.wake();
    }
    assert_eq!(handles[0].send_message(1).unwrap_err().code(), Code::Aborted);
    let mut batch = handles[0].batch();
    batch.add(Nop).unwrap();
    let refused = batch.submit().unwrap_err();
    assert_eq!((refused.why.code(), refused.batch.len()), (Code::Aborted, 1));
}

/// [async-backends 3] A proactor that was never polled ends what was submitted, on whatever thread drops it.
fn a_proactor_that_nobody_polled_ends_cleanly(subject: &IoSubject) {
    drop(subject.proactor());
    let log = Log::default();
    let proactor = subject.proactor();
    let mut batch = proactor.handle().batch();
    batch.add(Operation::new(Nop).on_done(log.line("a"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("b"))).unwrap();
    batch.add(Operation::new(Nop).on_done(log.line("c"))).unwrap();
    batch.submit().unwrap();
    std::thread::spawn(move || drop(proactor)).join().unwrap();
    assert_eq!(log.take(), ["a", "b", "c"].map(|name| (name, super::subject::CANCELLED)));
    drop(subject.open());
}

/// [async 10] [async-backends 10] [async-backends 11] Made on one thread, submitted to from there, polled on another, which
/// is the one for good; others go on submitting.
fn a_proactor_is_polled_where_it_is_bound(subject: &IoSubject) {
    let log = Log::default();
    let proactor = subject.proactor();
    submit(proactor.handle(), Nop, &log, "early");
    let handle = proactor.handle().clone();
    let poll = std::thread::spawn({
        let log = log.clone();
        move || {
            let mut poller = proactor.into_poller().unwrap();
            poll_until(&mut poller, || log.len() == 3);
            assert_eq!(poll_dry(&mut poller), 0);
        }
    });
    submit(&handle, Nop, &log, "late");
    let other = std::thread::spawn({
        let log = log.clone();
        move || submit(&handle, timer(after_ms(1)), &log, "from elsewhere")
    });
    other.join().unwrap();
    poll.join().unwrap();
}

/// Tells types that may change threads from those that may not: for the former both impls apply, and naming the method
/// is ambiguous.
trait StaysOnItsThread<Of> {
    fn stays() -> bool {
        true
    }
}

impl<T: ?Sized> StaysOnItsThread<()> for T {}
impl<T: ?Sized + Send> StaysOnItsThread<u8> for T {}

/// [async 9] [async-backends 12] [async-backends 29] A poller neither leaves its thread nor can be reached by a callback,
/// which must be able to: both do not compile.
fn only_one_thread_can_poll(subject: &IoSubject) {
    assert!(<Poller as StaysOnItsThread<_>>::stays());
    assert!(<weft_io::Progress as StaysOnItsThread<_>>::stays());
    drop(subject.open());
}

/// [async 3] [async-backends 3] Made, used and dropped over and over.
fn proactors_come_and_go(subject: &IoSubject) {
    for round in 0..100 {
        let mut poller = subject.open();
        let log = Log::default();
        submit(poller.handle(), Nop, &log, "nop");
        if round % 2 == 0 {
            poll_until(&mut poller, || log.len() == 1);
        }
        drop(poller);
        assert_eq!(log.len(), 1);
    }
}

/// [async-backends 10] Several on one thread do not disturb each other.
fn many_proactors_at_once(subject: &IoSubject) {
    let mut pollers: Vec<Poller> = (0..8).map(|_| subject.open()).collect();
    let log = Log::default();
    for poller in &pollers {
        submit(poller.handle(), Timer { deadline: after_ms(1) }, &log, "timer");
    }
    for (index, poller) in pollers.iter_mut().enumerate() {
        assert_eq!(poller.poll(super::subject::soon()).unwrap(), 1);
        assert_eq!(log.len(), index + 1);
    }
    pollers.iter_mut().for_each(poll_nothing);
}

/// [async-backends 5] From each rung on the ladder is walked down: what is opened says which it is, and carries NOPs,
/// chains and timers. The whole suite runs on each of them, too.
fn every_rung_is_another_ring(subject: &IoSubject) {
    let mut found = Vec::new();
    for rung in 0..=5 {
        let mut poller = subject.open_with(|config| config.ring_rung = rung);
        found.push(poller.handle().describe().details.clone());
        let log = Log::default();
        let handle = poller.handle().clone();
        let mut batch = handle.batch();
        batch.add(Operation::new(Nop).on_done(log.line("a"))).unwrap();
        batch.then(timer(after_ms(1)).on_done(log.line("b"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert_eq!(log.take_names(), ["a", "b"]);
    }
    // An older kernel has fewer, the same ones from some rung on.
    assert!(found[5].contains("plain"), "{found:?}");
    let last = found.iter().position(|details| found[5] == *details).expect("it is there");
    assert!(found[last..].iter().all(|details| *details == found[5]), "{found:?}");
}
