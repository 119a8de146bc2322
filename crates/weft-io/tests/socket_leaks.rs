//! What operations on sockets leave behind in the process: no handles.
#![cfg(target_os = "linux")]

mod support;

use std::sync::mpsc::channel;
use support::{Subject, handles, poll_until, real};
use weft_io::ops::{Accept, AcceptMany, Connect, Recv, RecvMany, Send, Sequence, SocketClose, Step};
use weft_io::{Address, Operation, Params, Socket, SocketKind, SocketOptions};
use weft_sync::Deadline;

fn listener() -> (Socket, Address) {
    let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
    listener.bind(&Address::ipv4("127.0.0.1", 0).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_address().unwrap();
    (listener, address)
}

fn run<P: Params>(subject: &mut Subject, operation: P) -> weft_sync::Result<P::Output> {
    let (send, came) = channel();
    let handle = subject.poller.handle().clone();
    handle.submit(Operation::new(operation).on_done(move |done| send.send(done.result).unwrap())).unwrap();
    let mut result = None;
    poll_until(&mut subject.poller, || {
        result = came.try_recv().ok();
        result.is_some()
    });
    result.expect("it has ended")
}

/// Connections that are accepted by whatever accepts, and whom nobody takes them from.
fn round(subject: &mut Subject, number: usize) {
    let (listener, address) = listener();
    let handle = subject.poller.handle().clone();
    match number % 4 {
        0 => _ = handle.submit(Accept::new(listener.clone())).unwrap(),
        1 => _ = handle.submit(AcceptMany::new(listener.clone(), drop)).unwrap(),
        2 => drop(handle.run(Accept::new(listener.clone()))),
        _ => _ = handle.submit(Sequence::new(vec![Step::new(Accept::new(listener.clone()))])).unwrap(),
    }
    let near = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
    run(subject, Connect::new(near.clone(), address)).unwrap();
    handle.submit(RecvMany::new(near.clone(), vec![0; 10], |_| ())).unwrap();
    handle.submit(Send::new(near.clone(), vec![0; 1 << 20])).unwrap();
    handle.submit(Recv::new(near.clone(), vec![0; 10])).unwrap();
    let _ = subject.poller.poll(Deadline::IMMEDIATE);
    run(subject, SocketClose::new(near)).unwrap();
    run(subject, SocketClose::new(listener)).unwrap();
    if number.is_multiple_of(3) {
        let _ = subject.poller.poll(Deadline::IMMEDIATE);
    }
}

/// [async 228] [async-backends 137] Connections that nobody takes, sockets that are closed while everything is under way on
/// them, and proactors that go away meanwhile leave no handle. One test: the count is of the whole process.
#[test]
fn sockets_leave_no_handles() {
    // What is opened once stays.
    real(|mut subject| round(&mut subject, 0));
    let before = handles();
    real(|mut subject| {
        for number in 0..24 {
            round(&mut subject, number);
        }
        // Some have not ended.
        drop(subject);
    });
    assert_eq!(handles(), before);
}
