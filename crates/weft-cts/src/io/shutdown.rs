//! The end of a proactor: everything comes back once, nothing happens afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weft_io::Operation;
use weft_io::ops::{EventWait, Nop, NotificationWait, SemaphoreSignal, SemaphoreWait, Sequence, Step};
use weft_io::{Event, Notification, WAKE_ALL};
use weft_sync::{Code, Deadline};

use super::cancellation::submit_waiting;
use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, counting, point, poll_nothing, rounds, submit, timeline, timer,
};

crate::cases! { $ SHUTDOWN for_each_io_shutdown_case of IoSubject {
    the_end_calls_everything_back: IoCaps::NONE;
    the_end_calls_back_what_has_not_started: IoCaps::NONE;
    nothing_happens_afterwards: IoCaps::NONE;
    submissions_race_with_the_end: IoCaps::NONE;
    signals_race_with_the_end: IoCaps::NONE;
    callbacks_of_the_end_may_do_anything: IoCaps::NONE;
    what_operations_own_is_let_go: IoCaps::NONE;
    the_end_of_a_full_ring: IoCaps::KERNEL;
} }

/// [async 260] [async-backends 232] One operation of each kind, under way or not: cancelled, once.
fn the_end_calls_everything_back(subject: &IoSubject) {
    for is_polled in [false, true] {
        let mut poller = subject.open();
        let log = Log::default();
        let handle = poller.handle().clone();
        let count = submit_waiting(subject, &handle, &log).len();
        if is_polled {
            poll_nothing(&mut poller);
            assert_eq!(poller.under_way(), count);
        }
        drop(poller);
        let lines = log.take();
        assert_eq!(lines.len(), count);
        assert!(lines.iter().all(|(_, code)| *code == CANCELLED), "{lines:?}");
    }
}

/// [async 260] [async-backends 232] Members behind others, in order; steps of sequences; batches that were never submitted
/// come back to whoever has them.
fn the_end_calls_back_what_has_not_started(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let untouched = timeline();
    let mut batch = handle.batch();
    batch.add(timer(Deadline::NEVER).on_done(log.line("head"))).unwrap();
    let signal = SemaphoreSignal::new([point(&untouched, 1)]);
    batch.then(Operation::new(signal).on_done(log.line("behind"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    let mut late = handle.batch();
    late.add(Operation::new(Nop).on_done(log.line("never"))).unwrap();
    drop(poller);
    assert_eq!(log.take(), ["head", "behind", "last"].map(|name| (name, CANCELLED)));
    assert_eq!(untouched.query().unwrap(), 0);
    let back = late.submit().unwrap_err();
    assert_eq!((back.why.code(), back.batch.len()), (Code::Aborted, 1));
    drop(back);
    assert!(log.is_empty());
}

/// [async 27] [async 260] [async-backends 233] Signals, cancels, wakes and messages find nobody, and say so or do nothing.
fn nothing_happens_afterwards(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let (moved, changed) = (timeline(), Arc::new(Notification::new()));
    let tickets = [
        submit(&handle, SemaphoreWait::all([point(&moved, 1)]), &log, "wait"),
        submit(&handle, NotificationWait::new(Arc::clone(&changed)), &log, "note"),
        submit(&handle, timer(super::subject::after_ms(1)), &log, "timer"),
    ];
    // On a slow machine the timer ends before the proactor does.
    drop(poller.poll(Deadline::IMMEDIATE));
    drop(poller);
    log.take();
    moved.signal(1).unwrap();
    assert!(!changed.signal(WAKE_ALL), "it does not observe any more");
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    handle.wake();
    assert_eq!(handle.send_message(1).unwrap_err().code(), Code::Aborted);
    let refused = handle.submit(Operation::new(Nop).on_done(log.line("never"))).unwrap_err();
    assert_eq!(refused.why.code(), Code::Aborted);
    drop(refused);
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(log.is_empty());
}

/// [async-backends 234] Each submission is refused, or called back; whatever the poller was doing.
fn submissions_race_with_the_end(subject: &IoSubject) {
    for round in 0..rounds(2_000) / 10 {
        let mut poller = subject.open_with(|config| config.operations_max = 64);
        let (accepted, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let handle = poller.handle().clone();
                let (accepted, ended) = (Arc::clone(&accepted), Arc::clone(&ended));
                std::thread::spawn(move || {
                    loop {
                        let mut batch = handle.batch();
                        let head = timer(if thread == 0 { Deadline::NEVER } else { Deadline::IMMEDIATE });
                        let head = head.on_done(counting(&ended));
                        let rest = Operation::new(Nop).on_done(counting(&ended));
                        let whole = batch.add(head).is_ok() && batch.then(rest).is_ok();
                        if !whole {
                            std::thread::yield_now();
                            // No room; but somebody has to notice the end.
                            match handle.send_message(0) {
                                Err(status) if status.code() == Code::Aborted => return,
                                _ => continue,
                            }
                        }
                        match batch.submit() {
                            Ok(()) => {
                                accepted.fetch_add(2, Ordering::Relaxed);
                            }
                            Err(refused) => {
                                assert_eq!(refused.why.code(), Code::Aborted);
                                return;
                            }
                        }
                    }
                })
            })
            .collect();
        (0..round % 5).for_each(|_| drop(poller.poll(Deadline::IMMEDIATE)));
        drop(poller);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(ended.load(Ordering::Relaxed), accepted.load(Ordering::Relaxed));
    }
}

/// [async 260] [async-backends 109] [async-backends 234] Timelines, notifications and cancels from other threads at the very
/// end: one callback each.
fn signals_race_with_the_end(subject: &IoSubject) {
    for _ in 0..rounds(2_000) / 10 {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        let log = Log::default();
        let (moved, changed) = (timeline(), Arc::new(Notification::new()));
        let mut tickets = Vec::new();
        for _ in 0..8 {
            tickets.push(submit(&handle, SemaphoreWait::all([point(&moved, 1)]), &log, "wait"));
            tickets.push(submit(&handle, NotificationWait::new(Arc::clone(&changed)), &log, "note"));
        }
        poll_nothing(&mut poller);
        let is_ready = Arc::new(AtomicBool::new(false));
        let ready = Arc::clone(&is_ready);
        let thread = std::thread::spawn(move || {
            ready.store(true, Ordering::Release);
            changed.signal(WAKE_ALL);
            moved.signal(1).unwrap();
            tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        });
        while !is_ready.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        drop(poller);
        thread.join().unwrap();
        assert_eq!(log.take().len(), 16);
    }
}

/// [async 260] [async-backends 28] They submit, and are refused; they cancel, wake and send; they drop the last handle.
fn callbacks_of_the_end_may_do_anything(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let other = submit(&handle, timer(Deadline::NEVER), &log, "other");
    let (again, refusals) = (handle.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&refusals);
    let stubborn = timer(Deadline::NEVER).on_done(move |done| {
        assert_eq!(done.result.unwrap_err().code(), Code::Cancelled);
        assert_eq!(again.submit(done.operation).unwrap_err().why.code(), Code::Aborted);
        again.cancel(other).unwrap();
        again.wake();
        drop(again.send_message(1));
        counter.fetch_add(1, Ordering::Relaxed);
    });
    handle.submit(stubborn).unwrap();
    poll_nothing(&mut poller);
    drop(handle);
    drop(poller);
    assert_eq!(refusals.load(Ordering::Relaxed), 1);
    assert_eq!(log.take(), [("other", CANCELLED)]);
}

/// [async 3] [async 260] Timelines, notifications and whatever callbacks have captured, also of operations that have none.
fn what_operations_own_is_let_go(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (moved, changed, captured) = (timeline(), Arc::new(Notification::new()), Arc::new(()));
    for index in 0..40 {
        let own = Arc::clone(&captured);
        let wait = Operation::new(SemaphoreWait::all([point(&moved, 1)])).on_done(move |_| drop(own));
        handle.submit(wait).unwrap();
        handle.submit(NotificationWait::new(Arc::clone(&changed))).unwrap();
        let steps =
            vec![Step::new(timer(Deadline::NEVER)), Step::new(SemaphoreWait::any([point(&moved, 1)]))];
        handle.submit(Sequence::new(steps)).unwrap();
        if index == 20 {
            poll_nothing(&mut poller);
        }
    }
    drop(poller);
    let counts = [Arc::strong_count(&moved), Arc::strong_count(&changed), Arc::strong_count(&captured)];
    assert_eq!(counts, [1; 3]);
}

/// [async-backends 232] With far more under way than the ring holds, half of it not yet handed over.
fn the_end_of_a_full_ring(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let event = Event::new().unwrap();
    for index in 0..800 {
        submit(&handle, EventWait { event: event.clone() }, &log, "event");
        if index == 400 {
            poll_nothing(&mut poller);
        }
    }
    drop(poller);
    assert_eq!(log.take(), vec![("event", CANCELLED); 800]);
}
