//! Single NOPs and batches: order, identity, refusals that leave nothing behind, operations that are submitted again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use weft_io::ops::{
    FutexWait, Kind, Message, Nop, NotificationWait, SemaphoreSignal, SemaphoreWait, Sequence, Step, Timer,
};
use weft_io::{Capabilities, Notification, Operation, Progressed, Ticket};
use weft_sync::{Code, Deadline};

use super::subject::{
    IoCaps, IoSubject, Log, point, poll_dry, poll_nothing, poll_until, soon, submit, timeline, timer,
};

crate::cases! { $ SUBMISSION for_each_io_submission_case of IoSubject {
    one_nop_ends_once: IoCaps::NONE;
    nops_end_in_order: IoCaps::NONE;
    the_very_operation_comes_back: IoCaps::NONE;
    an_empty_batch_does_nothing: IoCaps::NONE;
    links_that_make_no_sense_are_refused: IoCaps::NONE;
    a_batch_with_a_bad_member_has_no_effect: IoCaps::NONE;
    a_dropped_batch_has_no_effect: IoCaps::NONE;
    what_does_not_fit_comes_back: IoCaps::NONE;
    a_batch_of_all_slots_goes_in_after_a_poll: IoCaps::NONE;
    batches_come_back: IoCaps::NONE;
    an_operation_is_submitted_again_and_again: IoCaps::NONE;
} }

/// [async 17] [async-backends 32]
fn one_nop_ends_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    submit(&poller.handle().clone(), Nop, &log, "nop");
    assert!(log.is_empty(), "not inside submit");
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    assert_eq!(log.take_names(), ["nop"]);
    poll_nothing(&mut poller);
}

/// [async 18] [async 39] [async-backends 32] NOPs end once each, in the order of their batch.
fn nops_end_in_order(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for _ in 0..20 {
        let mut batch = handle.batch();
        for name in names {
            batch.add(Operation::new(Nop).on_done(log.line(name))).unwrap();
        }
        assert!(log.is_empty());
        batch.submit().unwrap();
        let count = poll_until(&mut poller, || log.len() == names.len());
        assert_eq!(count, names.len());
        assert_eq!(log.take_names(), names);
    }
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 19] [async-backends 32] The operation that a callback gets is the one that was submitted, with all that it owns,
/// and its inputs are as they were.
fn the_very_operation_comes_back(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let ended = Arc::new(AtomicUsize::new(0));
    for payload in 0..10 {
        let message = Operation::new(Message { target: handle.clone(), payload });
        let address = std::ptr::from_ref::<Message>(&message).addr();
        let counter = Arc::clone(&ended);
        let message = message.on_done(move |done| {
            assert_eq!(done.operation.payload, payload);
            assert_eq!(std::ptr::from_ref::<Message>(&done.operation).addr(), address);
            counter.fetch_add(1, Ordering::Relaxed);
        });
        handle.submit(message).unwrap();
    }
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 10);
}

/// [async 20] [async-backends 32]
fn an_empty_batch_does_nothing(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let batch = handle.batch();
    assert!(batch.is_empty());
    batch.submit().unwrap();
    handle.submit_all(Vec::<Operation<Nop>>::new()).unwrap();
    poll_nothing(&mut poller);
}

/// [async 21] [async 22] [async 74] [async 78] [async-backends 48] [async-backends 63] A link always has two ends: there is
/// none on a lone or on a last operation, and none to or from a sequence. What is refused comes back.
fn links_that_make_no_sense_are_refused(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let mut batch = handle.batch();
    assert_eq!(batch.then(Nop).unwrap_err().why.code(), Code::InvalidArgument);
    for sequence in
        [Sequence::new(vec![Step::new(Nop)]), Sequence::with_advance(vec![Step::new(Nop)], |_, _| Ok(()))]
    {
        batch.add(sequence).unwrap();
        assert_eq!(batch.then(Nop).unwrap_err().why.code(), Code::InvalidArgument);
    }
    batch.add(Nop).unwrap();
    let refused = batch.then(Sequence::new(Vec::new())).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    assert!(refused.operation.steps.is_empty());
    assert_eq!(batch.len(), 3);
    drop(batch);
    assert_eq!(poll_dry(&mut poller), 0, "nothing of it was submitted");
    let nested = Sequence::new(vec![Step::new(Sequence::new(Vec::new()))]);
    assert_eq!(handle.submit(nested).unwrap_err().why.code(), Code::InvalidArgument);
}

/// [async 23] [async-backends 48] [async-backends 102] Whatever is wrong with a member is said when it is added; those
/// before it have not run, and what they own is whole. The batch goes on without it, or not at all.
fn a_batch_with_a_bad_member_has_no_effect(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (untouched, word) = (timeline(), Arc::new(AtomicU32::new(0)));
    let has_futex = handle.capabilities().contains(Capabilities::FUTEX_OPERATIONS);
    for is_submitted in [false, true] {
        let mut batch = handle.batch();
        let signal = SemaphoreSignal::new([point(&untouched, 1)]);
        batch.add(Operation::new(signal).on_done(log.line("signal"))).unwrap();
        let too_many = SemaphoreWait::all(vec![point(&untouched, 1); 256]);
        let refused = batch.then(Operation::new(too_many).on_done(log.line("too many"))).unwrap_err();
        assert_eq!(refused.why.code(), Code::OutOfRange);
        assert_eq!(refused.operation.points.len(), 256);
        drop(refused);
        assert_eq!(batch.add(SemaphoreWait::any([])).unwrap_err().why.code(), Code::InvalidArgument);
        if !has_futex {
            let wait = FutexWait { word: Arc::clone(&word), expected: 0 };
            assert_eq!(batch.add(wait).unwrap_err().why.code(), Code::Unavailable);
        }
        assert_eq!((batch.len(), Arc::strong_count(&untouched)), (1, 2));
        if is_submitted {
            batch.submit().unwrap();
            poll_until(&mut poller, || log.len() == 1);
            assert_eq!(untouched.query().unwrap(), 1);
        } else {
            drop(batch);
            poll_nothing(&mut poller);
            assert_eq!((untouched.query().unwrap(), log.len()), (0, 0));
        }
        assert_eq!((Arc::strong_count(&untouched), Arc::strong_count(&word)), (1, 1));
    }
}

/// [async 23] A batch that is not submitted frees its slots and what its operations own, whatever its chains look like.
fn a_dropped_batch_has_no_effect(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 6);
    let handle = poller.handle().clone();
    let (never, changed) = (timeline(), Arc::new(Notification::new()));
    for _ in 0..10 {
        let mut batch = handle.batch();
        batch.add(SemaphoreWait::all([point(&never, 1)])).unwrap();
        batch.then(SemaphoreWait::any([point(&never, 1)])).unwrap();
        batch.add(Nop).unwrap();
        batch.add(NotificationWait::new(Arc::clone(&changed))).unwrap();
        let tickets: Vec<Ticket> = (0..2).map(|_| batch.then(timer(Deadline::NEVER)).unwrap()).collect();
        assert_eq!(batch.add(Nop).unwrap_err().why.code(), Code::ResourceExhausted);
        drop(batch);
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        assert_eq!(poll_dry(&mut poller), 0);
        assert_eq!((Arc::strong_count(&never), Arc::strong_count(&changed)), (1, 1));
    }
    assert_eq!(poller.under_way(), 0);
}

/// [async 24] [async 97] [async-backends 38] [async-backends 39] Whoever submits too much gets it back, and nothing of it
/// has happened; cancels, wakes and messages need no room.
fn what_does_not_fit_comes_back(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 4);
    let handle = poller.handle().clone();
    let log = Log::default();
    let tickets: Vec<Ticket> =
        (0..4).map(|_| submit(&handle, timer(Deadline::NEVER), &log, "timer")).collect();
    let refused = handle.submit(Operation::new(Nop).on_done(log.line("late"))).unwrap_err();
    assert_eq!(refused.why.code(), Code::ResourceExhausted);
    let mut batch = handle.batch();
    assert_eq!(batch.add(Nop).unwrap_err().why.code(), Code::ResourceExhausted);
    handle.wake();
    handle.send_message(1).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    handle.cancel(tickets[2]).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    handle.submit(refused.operation).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take(), [("timer", super::subject::CANCELLED), ("late", None)]);
}

/// [async 24] A batch that takes every slot is refused by another thread as long as one is in use, and accepted after a poll
/// that has ended that one: the poll thread keeps no slot for itself.
fn a_batch_of_all_slots_goes_in_after_a_poll(subject: &IoSubject) {
    for has_progress in [false, true] {
        let mut poller = subject.open_with(|config| config.operations_max = 256);
        let handle = poller.handle().clone();
        let log = Log::default();
        if has_progress {
            poller.progress().register(|| Progressed::Keep(0));
        }
        let elsewhere = |operations: Vec<Operation<Nop>>| {
            let handle = handle.clone();
            std::thread::spawn(move || handle.submit_all(operations)).join().unwrap()
        };
        let mut batch: Vec<_> = (0..256).map(|_| Operation::new(Nop).on_done(log.line("batch"))).collect();
        for _ in 0..3 {
            handle.submit(Operation::new(Nop).on_done(log.line("one"))).unwrap();
            let refused = elsewhere(batch).unwrap_err();
            assert_eq!(refused.why.code(), Code::ResourceExhausted);
            poll_until(&mut poller, || log.len() == 1);
            elsewhere(refused.operations).unwrap();
            poll_until(&mut poller, || log.len() == 257);
            assert_eq!(log.take().iter().filter(|line| line.0 == "batch").count(), 256);
            batch = (0..256).map(|_| Operation::new(Nop).on_done(log.line("batch"))).collect();
        }
        // Nor does it keep any of those that ended before.
        let mut left = Some(batch);
        for _ in 0..2 {
            left = left.take().and_then(|batch| elsewhere(batch).err()).map(|refused| refused.operations);
            let _ = poller.poll(Deadline::IMMEDIATE);
        }
        assert!(left.is_none(), "one refusal at the most");
        poll_until(&mut poller, || log.len() == 256);
    }
}

/// [async-backends 38] [async-backends 212] What is refused comes back in order, with its chains and callbacks;
/// accepted later, it runs.
fn batches_come_back(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 3);
    let handle = poller.handle().clone();
    let log = Log::default();
    let four = ["a", "b", "c", "d"].map(|name| Operation::new(Nop).on_done(log.line(name)));
    let refused = handle.submit_all(Vec::from(four)).unwrap_err();
    assert_eq!(refused.why.code(), Code::ResourceExhausted);
    let mut operations = refused.operations;
    let last = operations.pop().unwrap();
    handle.submit_all(operations).unwrap();
    poll_until(&mut poller, || log.len() == 3);
    handle.submit_all(vec![last]).unwrap();
    poll_until(&mut poller, || log.len() == 4);
    assert_eq!(log.take_names(), ["a", "b", "c", "d"]);
    let mut batch = handle.batch();
    batch.add(Nop).unwrap();
    batch.then(Timer { deadline: Deadline::NEVER }).unwrap();
    batch.add(Nop).unwrap();
    let kinds: Vec<_> = batch.into_steps().iter().map(Step::kind).collect();
    assert_eq!(kinds, [Kind::Nop, Kind::Timer, Kind::Nop]);
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(poller.under_way(), 0);
}

/// [async-backends 28] An operation that comes back goes in again, ten thousand times, always the same memory.
fn an_operation_is_submitted_again_and_again(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 1);
    let handle = poller.handle().clone();
    let slot = Arc::new(std::sync::Mutex::new(Some(Operation::new(Nop))));
    let mut address = None;
    for _ in 0..super::subject::rounds(10_000) {
        let operation = super::subject::lock(&slot).take().expect("it came back");
        let here = std::ptr::from_ref::<Nop>(&operation).addr();
        assert_eq!(*address.get_or_insert(here), here);
        let back = Arc::clone(&slot);
        let operation = operation.on_done(move |done| *super::subject::lock(&back) = Some(done.operation));
        handle.submit(operation).unwrap();
        assert_eq!(poller.poll(soon()).unwrap(), 1);
    }
}
