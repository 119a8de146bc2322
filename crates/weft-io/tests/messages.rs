//! Messages between threads that poll.

use std::sync::mpsc;
use std::time::Duration;
use weft_io::ops::Message;
use weft_io::{Config, Handle, Operation, Runner, RunnerOptions, VisitedPoller, open};
use weft_sync::Code;

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
            let prepare = move |poller: &mut VisitedPoller<'_>| {
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
