//! Messages: sixty-four bits from any thread to the callback of a poll thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weft_io::ops::{Message, Nop};
use weft_io::{Operation, Poller};
use weft_sync::{Code, Deadline};

use super::subject::{
    IoCaps, IoSubject, Log, after_ms, poll_dry, poll_nothing, poll_until, rounds, soon, submit, timer,
};

crate::cases! { $ MESSAGE for_each_io_message_case of IoSubject {
    messages_arrive_once_and_in_order: IoCaps::NONE;
    a_message_is_an_operation: IoCaps::NONE;
    messages_go_there_and_back: IoCaps::NONE;
    every_bit_arrives: IoCaps::NONE;
    a_full_mailbox_refuses: IoCaps::NONE;
    many_threads_send: IoCaps::NONE;
    without_a_callback_messages_are_dropped: IoCaps::NONE;
    the_callback_sends_again: IoCaps::NONE;
    a_target_that_is_not_polled_yet: IoCaps::NONE;
    a_target_that_goes_away: IoCaps::NONE;
    a_message_to_another_backend: IoCaps::NONE;
    a_batch_of_messages_keeps_its_order: IoCaps::NONE;
    a_message_without_a_callback_is_silent: IoCaps::NONE;
} }

/// What has arrived.
type Inbox = Rc<RefCell<Vec<u64>>>;

fn inbox(poller: &mut Poller) -> Inbox {
    let inbox = Inbox::default();
    let into = Rc::clone(&inbox);
    poller.on_message(move |payload| into.borrow_mut().push(payload));
    inbox
}

/// [async 229] [async-backends 110] [async-backends 111] One, several before a poll, from here and from elsewhere.
fn messages_arrive_once_and_in_order(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let inbox = inbox(&mut poller);
    handle.send_message(1).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0, "messages are not counted");
    (2..=100).for_each(|payload| handle.send_message(payload).unwrap());
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    let sender = std::thread::spawn(move || handle.send_message(101).unwrap());
    poll_until(&mut poller, || inbox.borrow().len() == 101);
    sender.join().unwrap();
    assert!(inbox.borrow().iter().copied().eq(1..=101));
    poll_nothing(&mut poller);
}

/// [async 229] [async-backends 110] To oneself and behind a timer; its own completion counts, what it sent does not.
fn a_message_is_an_operation(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let inbox = inbox(&mut poller);
    let log = Log::default();
    let message = |payload| Operation::new(Message { target: handle.clone(), payload });
    submit(&handle, message(7), &log, "sent");
    let mut batch = handle.batch();
    batch.add(timer(after_ms(2))).unwrap();
    batch.then(message(8).on_done(log.line("sent later"))).unwrap();
    batch.submit().unwrap();
    poll_until(&mut poller, || inbox.borrow().len() == 2 && log.len() == 2);
    assert_eq!(*inbox.borrow(), [7, 8]);
    assert_eq!(log.take_names(), ["sent", "sent later"]);
}

/// [async 229] [async-backends 110] From one proactor to another on another thread, and back.
fn messages_go_there_and_back(subject: &IoSubject) {
    let mut poller = subject.open();
    let here = poller.handle().clone();
    let inbox = inbox(&mut poller);
    let other = subject.proactor();
    let there = other.handle().clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let thread = std::thread::spawn(move || {
        let mut poller = other.into_poller().unwrap();
        let back = here;
        poller.on_message(move |payload| back.send_message(payload + 1000).unwrap());
        while !stop.load(Ordering::Acquire) {
            drop(poller.poll(after_ms(1000)));
        }
    });
    for payload in 0..100 {
        if payload % 2 == 0 {
            there.send_message(payload).unwrap();
        } else {
            poller.handle().submit(Message { target: there.clone(), payload }).unwrap();
        }
        poll_until(&mut poller, || inbox.borrow().len() as u64 == payload + 1);
    }
    is_over.store(true, Ordering::Release);
    there.wake();
    thread.join().unwrap();
    assert!(inbox.borrow().iter().copied().eq(1000..1100));
}

/// [async 230] [async-backends 112]
fn every_bit_arrives(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let inbox = inbox(&mut poller);
    let mut payloads = vec![0, u64::MAX, 1 << 31, 1 << 63, u64::from(u32::MAX), !u64::from(u32::MAX)];
    payloads.extend((0..64).map(|bit| 1_u64 << bit));
    for &payload in &payloads {
        handle.send_message(payload).unwrap();
    }
    poll_until(&mut poller, || inbox.borrow().len() == payloads.len());
    assert_eq!(*inbox.borrow(), payloads);
    inbox.borrow_mut().clear();
    for &payload in &payloads {
        handle.submit(Message { target: handle.clone(), payload }).unwrap();
    }
    poll_until(&mut poller, || inbox.borrow().len() == payloads.len());
    assert_eq!(*inbox.borrow(), payloads);
}

/// [async 230] [async-backends 113] What is too much was not sent; after a poll there is room. By operation the refusal
/// comes through the callback.
fn a_full_mailbox_refuses(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.messages_max = 4);
    let handle = poller.handle().clone();
    let inbox = inbox(&mut poller);
    let log = Log::default();
    for round in 0..3 {
        for payload in 0..4 {
            handle.send_message(round * 10 + payload).unwrap();
        }
        assert_eq!(handle.send_message(99).unwrap_err().code(), Code::ResourceExhausted);
        submit(&handle, Message { target: handle.clone(), payload: 98 }, &log, "refused");
        poll_until(&mut poller, || log.len() == 1);
        poll_dry(&mut poller);
        assert_eq!(log.take(), [("refused", Some(Code::ResourceExhausted))]);
        assert_eq!(inbox.take(), [0, 1, 2, 3].map(|payload| round * 10 + payload));
    }
}

/// [async 229] [async 230] [async-backends 111] [async-backends 117] Eight senders, far more than fit at once: each in its
/// own order, none lost, none twice.
fn many_threads_send(subject: &IoSubject) {
    let per_sender = rounds(20_000) as u64;
    let mut poller = subject.open_with(|config| config.messages_max = 64);
    let senders: Vec<_> = (0..8_u64)
        .map(|sender| {
            let handle = poller.handle().clone();
            std::thread::spawn(move || {
                for number in 0..per_sender {
                    while let Err(status) = handle.send_message(sender << 32 | number) {
                        assert_eq!(status.code(), Code::ResourceExhausted);
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let next = Rc::new(RefCell::new([0; 8]));
    let expected = Rc::clone(&next);
    poller.on_message(move |payload| {
        let expected = &mut expected.borrow_mut()[(payload >> 32) as usize];
        assert_eq!(payload & u64::from(u32::MAX), *expected);
        *expected += 1;
    });
    poll_until(&mut poller, || *next.borrow() == [per_sender; 8]);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    poll_dry(&mut poller);
    assert_eq!(*next.borrow(), [per_sender; 8]);
}

/// [async 230] [async-backends 115] One that is set later gets what comes later; the last one that was set gets it.
fn without_a_callback_messages_are_dropped(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.messages_max = 2);
    let handle = poller.handle().clone();
    for payload in 0..10 {
        handle.send_message(payload).unwrap();
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    }
    let first = inbox(&mut poller);
    handle.send_message(10).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    let second = inbox(&mut poller);
    handle.send_message(11).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    assert_eq!((first.take(), second.take()), (vec![10], vec![11]));
}

/// [async-backends 116] To itself, within bounds: what it sends in one poll does not keep that poll for ever.
fn the_callback_sends_again(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (count, again) = (Rc::new(RefCell::new(0_u64)), handle.clone());
    let counted = Rc::clone(&count);
    poller.on_message(move |payload| {
        *counted.borrow_mut() += 1;
        again.send_message(payload + 1).unwrap();
        again.submit(Nop).unwrap();
    });
    handle.send_message(0).unwrap();
    let mut before = 0;
    for _ in 0..10 {
        poller.poll(soon()).unwrap();
        let now = *count.borrow();
        assert!(now > before && now < before + 200, "{now} after {before}");
        before = now;
    }
}

/// [async-backends 114] What was sent before the first poll arrives in it, although nobody was there.
fn a_target_that_is_not_polled_yet(subject: &IoSubject) {
    let target = subject.proactor();
    let mut source = subject.open();
    let log = Log::default();
    target.handle().send_message(1).unwrap();
    submit(&source.handle().clone(), Message { target: target.handle().clone(), payload: 2 }, &log, "sent");
    poll_until(&mut source, || log.len() == 1);
    let mut poller = target.into_poller().unwrap();
    let inbox = inbox(&mut poller);
    poll_until(&mut poller, || inbox.borrow().len() == 2);
    assert_eq!(inbox.take(), [1, 2]);
}

/// [async-backends 118] Sends are refused from then on, and fail operations; what was in flight is dropped.
fn a_target_that_goes_away(subject: &IoSubject) {
    let mut source = subject.open();
    let log = Log::default();
    let target = subject.open();
    let gone = target.handle().clone();
    gone.send_message(1).unwrap();
    let stop = Arc::new(AtomicUsize::new(0));
    let (sender, sent) = (gone.clone(), Arc::clone(&stop));
    let storm = std::thread::spawn(move || {
        loop {
            match sender.send_message(2) {
                Ok(()) => {}
                Err(status) if status.code() == Code::Aborted => return,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    crate::subject::eventually("the storm has begun", || stop.load(Ordering::Relaxed) > 10);
    drop(target);
    storm.join().unwrap();
    assert_eq!(gone.send_message(3).unwrap_err().code(), Code::Aborted);
    submit(&source.handle().clone(), Message { target: gone, payload: 4 }, &log, "late");
    poll_until(&mut source, || log.len() == 1);
    assert_eq!(log.take(), [("late", Some(Code::Aborted))]);
}

/// [async 230] [async-backends 114] Messages go through a mailbox that every backend has, so any may write to any.
fn a_message_to_another_backend(subject: &IoSubject) {
    let mut source = subject.open();
    let mut target = weft_io::open_null(&subject.config()).into_poller().unwrap();
    let inbox = inbox(&mut target);
    source.handle().submit(Message { target: target.handle().clone(), payload: 5 }).unwrap();
    assert_eq!(source.poll(soon()).unwrap(), 1);
    poll_until(&mut target, || !inbox.borrow().is_empty());
    assert_eq!(inbox.take(), [5]);
}

/// [async 229] [async-backends 110] Without a callback there is no word of a message, well or not; its slot is free again at
/// once, and what is behind it in a chain starts.
fn a_message_without_a_callback_is_silent(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| (config.operations_max, config.messages_max) = (2, 1));
    let handle = poller.handle().clone();
    let (sender, inbox) = std::sync::mpsc::channel();
    poller.on_message(move |payload| sender.send(payload).unwrap());
    let message = |payload| Message { target: handle.clone(), payload };
    for round in 0..3 {
        let mut batch = handle.batch();
        batch.add(timer(Deadline::IMMEDIATE)).unwrap();
        batch.then(message(round)).unwrap();
        batch.submit().unwrap();
        let mut count = 0;
        poll_until(&mut poller, || {
            count += inbox.try_iter().inspect(|&payload| assert_eq!(payload, round)).count();
            count == 1
        });
        assert_eq!(poller.under_way(), 0, "{}", subject.name);
    }
    // The second one does not fit into the mailbox, and nobody hears of it.
    handle.submit(message(7)).unwrap();
    handle.submit(message(8)).unwrap();
    assert_eq!(poller.poll(soon()).unwrap(), 2);
    poll_dry(&mut poller);
    assert_eq!(inbox.try_iter().collect::<Vec<u64>>(), [7]);
    assert_eq!(poller.under_way(), 0);
}

/// [async 230] [async-backends 111] What one thread sends, by operation and without, in the order of its polls.
fn a_batch_of_messages_keeps_its_order(subject: &IoSubject) {
    let mut poller = subject.open();
    let mut target = weft_io::open_null(&subject.config()).into_poller().unwrap();
    let there = target.handle().clone();
    let (sender, inbox) = std::sync::mpsc::channel();
    target.on_message(move |payload| sender.send(payload).unwrap());
    for round in 0..4 {
        let mut batch = poller.handle().batch();
        for payload in 0..20 {
            batch.add(Message { target: there.clone(), payload: round * 100 + payload }).unwrap();
        }
        batch.submit().unwrap();
        assert_eq!(poll_dry(&mut poller), 20);
        there.send_message(round * 100 + 99).unwrap();
    }
    poll_dry(&mut target);
    let expected = (0..4).flat_map(|round| (0..20).chain([99]).map(move |payload| round * 100 + payload));
    assert!(inbox.try_iter().eq(expected), "{}", subject.name);
}
