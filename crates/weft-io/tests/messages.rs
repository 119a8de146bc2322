//! Messages whose senders do not look back, and messages between threads that poll.

mod support;

use std::sync::mpsc;
use std::time::Duration;
use support::{every, every_with, poll_dry, poll_until, soon};
use weft_io::ops::{Message, Timer};
use weft_io::{Config, Handle, Operation, Runner, RunnerOptions, open, open_null};
use weft_sync::{Code, Deadline};

/// [async 229] [async-backends 110] Without a callback there is no word of a message, well or not; its slot is free again at
/// once, and what is behind it in a chain starts.
#[test]
fn a_message_without_a_callback_is_silent() {
    every_with(&Config { operations_max: 2, messages_max: 1, ..Config::new() }, |mut subject| {
        let handle = subject.poller.handle().clone();
        let (sender, inbox) = mpsc::channel();
        subject.poller.on_message(move |payload| sender.send(payload).unwrap());
        let message = |payload| Message { target: handle.clone(), payload };
        for round in 0..3 {
            let mut batch = handle.batch();
            batch.add(Timer { deadline: Deadline::IMMEDIATE }).unwrap();
            batch.then(message(round)).unwrap();
            batch.submit().unwrap();
            let mut count = 0;
            poll_until(&mut subject.poller, || {
                count += inbox.try_iter().inspect(|&payload| assert_eq!(payload, round)).count();
                count == 1
            });
            assert_eq!(subject.poller.under_way(), 0, "{}", subject.name);
        }
        // The second one does not fit into the mailbox, and nobody hears of it.
        handle.submit(message(7)).unwrap();
        handle.submit(message(8)).unwrap();
        assert_eq!(subject.poller.poll(soon()).unwrap(), 2);
        poll_dry(&mut subject.poller);
        assert_eq!(inbox.try_iter().collect::<Vec<u64>>(), [7]);
        assert_eq!(subject.poller.under_way(), 0);
    });
}

/// [async 230] [async-backends 111] What one thread sends, by operation and without, in the order of its polls.
#[test]
fn a_batch_of_messages_keeps_its_order() {
    every(|mut subject| {
        let mut target = open_null(&Config::new()).into_poller().unwrap();
        let there = target.handle().clone();
        let (sender, inbox) = mpsc::channel();
        target.on_message(move |payload| sender.send(payload).unwrap());
        for round in 0..4 {
            let mut batch = subject.poller.handle().batch();
            for payload in 0..20 {
                batch.add(Message { target: there.clone(), payload: round * 100 + payload }).unwrap();
            }
            batch.submit().unwrap();
            assert_eq!(poll_dry(&mut subject.poller), 20);
            there.send_message(round * 100 + 99).unwrap();
        }
        poll_dry(&mut target);
        let expected = (0..4).flat_map(|round| (0..20).chain([99]).map(move |payload| round * 100 + payload));
        assert!(inbox.try_iter().eq(expected), "{}", subject.name);
    });
}

/// [async 229] [async 230] [async-backends 110] [async-backends 118] Two threads pass a number on to each other, each from its
/// message callback; a target that is gone fails the operation.
#[test]
fn threads_pass_messages_on() {
    for name in ["uring", "null"] {
        let (Ok(first), Ok(second)) = (open(name, &Config::new()), open(name, &Config::new())) else {
            return;
        };
        let handles = [first.handle().clone(), second.handle().clone()];
        let (sender, receiver) = mpsc::channel();
        let passing = |target: Handle| {
            let sender = sender.clone();
            let prepare = move |poller: &mut weft_io::Poller| {
                poller.on_message(move |number| match number {
                    1000 => sender.send(number).unwrap(),
                    _ => target.send_message(number + 1).unwrap(),
                });
                Ok(())
            };
            RunnerOptions { prepare: Some(Box::new(prepare)), ..RunnerOptions::new() }
        };
        let runners = [
            Runner::start(first, passing(handles[1].clone())).unwrap(),
            Runner::start(second, passing(handles[0].clone())).unwrap(),
        ];
        let target = handles[1].clone();
        handles[0].submit(Message { target, payload: 0 }).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), 1000);
        let [first, second] = runners;
        drop(second);
        let (sender, ended) = mpsc::channel();
        let late = Operation::new(Message { target: handles[1].clone(), payload: 1 });
        first.handle().submit(late.on_done(move |done| sender.send(done.result).unwrap())).unwrap();
        let result = ended.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(result.unwrap_err().code(), Code::Aborted);
    }
}
