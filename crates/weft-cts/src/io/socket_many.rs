//! Operations with many results: connections, pieces and messages, one after the other until it is over.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use weft_io::ops::{AcceptMany, Accepted, Connect, RecvMany, Send, SendTo, SocketClose};
use weft_io::{Done, Handle, Operation, Shutdown, Socket, SocketKind, SocketOptions, Ticket};
use weft_sync::Code;

use super::connection::{
    DATAGRAMS, STREAMS, begin, bound, connect_to, end, listener, pair, pair_with, pattern, peers, receive,
    run, send, socket,
};
use super::subject::{CANCELLED, IoCaps, IoSubject, Log, lock, poll_dry, poll_until, soon};

crate::cases! { $ SOCKET_MANY for_each_io_socket_many_case of IoSubject {
    every_connection_is_accepted: IoCaps::KERNEL;
    connections_that_wait_already_are_accepted: IoCaps::KERNEL;
    accepting_ends_with_its_cancel: IoCaps::KERNEL;
    a_callback_that_panics_ends_its_accept: IoCaps::KERNEL;
    every_piece_is_received: IoCaps::KERNEL;
    receiving_ends_with_the_stream: IoCaps::KERNEL;
    receiving_ends_with_a_failure: IoCaps::KERNEL;
    empty_messages_do_not_end_it: IoCaps::KERNEL;
    callbacks_cancel_and_close: IoCaps::KERNEL;
    memory_without_room_is_refused: IoCaps::NONE;
    a_step_with_many_results: IoCaps::KERNEL;
} }

type Accepting = (Receiver<Accepted>, Receiver<Done<AcceptMany>>, Ticket);

fn accept_many(handle: &Handle, listener: &Socket) -> Accepting {
    let (sender, accepted) = channel();
    let (told, ended) = channel();
    // Whoever does not want connections any more has them closed.
    let accept = AcceptMany::new(listener.clone(), move |connection| drop(sender.send(connection)));
    let accept = Operation::new(accept).on_done(move |done| drop(told.send(done)));
    (accepted, ended, handle.submit(accept).unwrap())
}

/// [async 214] [async 202] [async-backends 141] [async-backends 142] [async-backends 154] Fifty connections, made in bursts
/// that no ring of four has room for, are all accepted, each with its own peer's address.
fn every_connection_is_accepted(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in [SocketKind::Tcp, SocketKind::Tcp6] {
        let (listener, address) = listener(kind);
        let (accepted, ended, ticket) = accept_many(&handle, &listener);
        let mut expected = BTreeSet::new();
        let mut open = Vec::new();
        for burst in [1, 9, 40] {
            let sockets: Vec<_> = (0..burst).map(|_| socket(kind)).collect();
            let connects: Vec<_> =
                sockets.iter().map(|near| begin(&handle, Connect::new(near.clone(), address))).collect();
            connects.iter().for_each(|came| end(&mut poller, came).result.unwrap());
            expected.extend(sockets.iter().map(|near| near.local_address().unwrap().to_string()));
            open.extend(sockets);
        }
        let mut connections = Vec::new();
        poll_until(&mut poller, || {
            connections.extend(accepted.try_iter());
            connections.len() == expected.len()
        });
        let found: BTreeSet<_> = connections.iter().map(|one: &Accepted| one.peer.to_string()).collect();
        assert_eq!(found, expected);
        // They are connections.
        let far = &connections[17].socket;
        let near = open.iter().find(|near| near.local_address().unwrap() == connections[17].peer).unwrap();
        send(&mut poller, near, b"you?".as_slice());
        assert_eq!(receive(&mut poller, far, 10), b"you?");
        assert!(ended.try_recv().is_err(), "it goes on");
        handle.cancel(ticket).unwrap();
        assert_eq!(end(&mut poller, &ended).result.unwrap_err().code(), Code::Cancelled);
    }
}

/// [async 216] [async-backends 145] Connections that were there before the accept was submitted do not keep it from
/// accepting those that come later.
fn connections_that_wait_already_are_accepted(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let early: Vec<_> = (0..3).map(|_| socket(SocketKind::Tcp)).collect();
    for near in &early {
        run(&mut poller, Connect::new(near.clone(), address)).result.unwrap();
    }
    let (accepted, _ended, _) = accept_many(&handle, &listener);
    let mut count = 0;
    poll_until(&mut poller, || {
        count += accepted.try_iter().count();
        count == 3
    });
    assert_eq!(poll_dry(&mut poller), 0);
    for _ in 0..3 {
        let near = socket(SocketKind::Tcp);
        run(&mut poller, Connect::new(near.clone(), address)).result.unwrap();
        poll_until(&mut poller, || accepted.try_recv().is_ok());
    }
}

/// [async 98] [async 214] [async-backends 142] [async-backends 67] A cancel, asked for twice, ends it once; after that nobody
/// is told of anything, and the next accept gets what comes.
fn accepting_ends_with_its_cancel(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::UnixStream);
    let (accepted, ended, ticket) = accept_many(&handle, &listener);
    let near = socket(SocketKind::UnixStream);
    run(&mut poller, Connect::new(near, address)).result.unwrap();
    poll_until(&mut poller, || accepted.try_recv().is_ok());
    for _ in 0..2 {
        handle.cancel(ticket).unwrap();
    }
    assert_eq!(end(&mut poller, &ended).result.unwrap_err().code(), Code::Cancelled);
    assert!(ended.recv().is_err(), "once");
    let _pair = connect_to(&mut poller, &listener, address, SocketOptions::empty());
    assert!(accepted.try_recv().is_err());
}

/// A callback that panics is not called again, and its operation ends; what has been accepted by then is closed.
fn a_callback_that_panics_ends_its_accept(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let log = Log::default();
    let called = Arc::new(Mutex::new(0));
    let count = Arc::clone(&called);
    let accept = AcceptMany::new(listener, move |_| {
        *count.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        std::panic::resume_unwind(Box::new("no"));
    });
    handle.submit(Operation::new(accept).on_done(log.line("accept"))).unwrap();
    for _ in 0..3 {
        handle.submit(Connect::new(socket(SocketKind::Tcp), address)).unwrap();
    }
    let mut panics = 0;
    while log.is_empty() {
        let turn = std::panic::AssertUnwindSafe(|| poller.poll(soon()));
        match std::panic::catch_unwind(turn) {
            Ok(outcome) => _ = outcome.expect("it ends"),
            Err(_) => panics += 1,
        }
    }
    assert_eq!((log.take(), panics, *lock(&called)), (vec![("accept", CANCELLED)], 1, 1));
}

/// What a receive was called with, and its end.
type Receiving = (Receiver<Vec<u8>>, Receiver<Done<RecvMany<Vec<u8>>>>);

/// Collects what a receive is called with.
fn receive_many(handle: &Handle, socket: &Socket, room: usize) -> Receiving {
    let (sender, received) = channel();
    let recv = RecvMany::new(socket.clone(), vec![0; room], move |bytes| drop(sender.send(bytes.to_vec())));
    (received, begin(handle, recv))
}

/// [async 215] [async-backends 143] Messages, and pieces of a stream, are received one after the other for one submission,
/// also those that were there before it.
fn every_piece_is_received(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in DATAGRAMS {
        let (near, far) = peers(&mut poller, kind);
        send(&mut poller, &near, vec![0; 1]);
        let (received, _ended) = receive_many(&handle, &far, 2000);
        for length in 2..20 {
            send(&mut poller, &near, vec![length as u8; length]);
        }
        let mut messages = Vec::new();
        poll_until(&mut poller, || {
            messages.extend(received.try_iter());
            messages.len() == 19
        });
        assert_eq!(messages[0], [0]);
        assert!((2..20).all(|length| messages[length - 1] == vec![length as u8; length]), "{kind:?}");
    }
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        let (received, _ended) = receive_many(&handle, &far, 100);
        let bytes = pattern(100_000, 6);
        let sent = begin(&handle, Send::new(near, bytes.clone()));
        let mut all = Vec::new();
        poll_until(&mut poller, || {
            received.try_iter().for_each(|piece| all.extend(piece));
            all.len() == bytes.len()
        });
        assert!(all == bytes);
        end(&mut poller, &sent).result.unwrap();
    }
}

/// [async 215] [async-backends 143] [async-backends 144] The end of a stream ends it well, once, after everything else; the
/// callback is not called for it.
fn receiving_ends_with_the_stream(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        let (received, ended) = receive_many(&handle, &far, 10);
        send(&mut poller, &near, b"good bye".as_slice());
        near.shutdown(Shutdown::Write).unwrap();
        let done = end(&mut poller, &ended);
        done.result.unwrap();
        assert_eq!(received.try_iter().collect::<Vec<_>>().concat(), b"good bye");
        assert!(received.try_iter().all(|piece| !piece.is_empty()));
        assert!(ended.recv().is_err(), "once");
        assert_eq!(done.operation.into_params().into_target().len(), 10);
    }
}

/// [async-backends 144] So does a failure, with its status, which sticks.
fn receiving_ends_with_a_failure(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::LINGER_ZERO);
    let (received, ended) = receive_many(&handle, &far, 10);
    send(&mut poller, &near, b"first".as_slice());
    poll_until(&mut poller, || received.try_recv().is_ok());
    drop(near);
    assert_eq!(end(&mut poller, &ended).result.unwrap_err().code(), Code::Unavailable);
    assert_eq!(far.failure(), Some(Code::Unavailable));
    assert!(ended.recv().is_err(), "once");
}

/// [async 217] [async-backends 155] An empty message is told like any other, and more follow.
fn empty_messages_do_not_end_it(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in DATAGRAMS {
        let (near, far) = peers(&mut poller, kind);
        let (received, ended) = receive_many(&handle, &far, 10);
        for text in ["one", "", "", "two"] {
            send(&mut poller, &near, text.as_bytes());
        }
        let mut messages = Vec::new();
        poll_until(&mut poller, || {
            messages.extend(received.try_iter());
            messages.len() == 4
        });
        assert_eq!(messages.concat(), b"onetwo");
        assert!(messages[1].is_empty() && messages[2].is_empty(), "{kind:?}");
        assert!(ended.try_recv().is_err(), "it goes on");
    }
}

/// [async 98] [async-backends 146] [async-backends 78] From within the callback of a result the operation is cancelled, or
/// its socket closed: it ends once, and the callback is not called again for what comes after that.
fn callbacks_cancel_and_close(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for closes in [false, true] {
        let (listening, address) = bound(SocketKind::Udp);
        let log = Log::default();
        let own: Arc<Mutex<Option<Ticket>>> = Arc::default();
        let (again, lines, ticket, target) =
            (handle.clone(), log.clone(), Arc::clone(&own), listening.clone());
        let recv = RecvMany::new(listening.clone(), vec![0; 10], move |_| {
            lines.write("told", None);
            match closes {
                true => _ = again.submit(SocketClose::new(target.clone())).unwrap(),
                false => again.cancel(lock(&ticket).expect("it was submitted")).unwrap(),
            }
        });
        let submitted = handle.submit(Operation::new(recv).on_done(log.line("ended"))).unwrap();
        *lock(&own) = Some(submitted);
        let sender = socket(SocketKind::Udp);
        for _ in 0..3 {
            run(&mut poller, SendTo::new(sender.clone(), b"x".as_slice(), address)).result.unwrap();
        }
        poll_until(&mut poller, || log.take().contains(&("ended", CANCELLED)));
        poll_dry(&mut poller);
        assert!(log.is_empty());
        assert_eq!(listening.is_closed(), closes);
    }
}

/// Memory in which nothing can be received would be told of for ever.
fn memory_without_room_is_refused(subject: &IoSubject) {
    let poller = subject.open();
    let socket = socket(SocketKind::Udp);
    let refused = poller.handle().submit(RecvMany::new(socket, Vec::new(), |_| ())).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
}

/// A step of a sequence has many results like any other, and the next begins when it has ended.
fn a_step_with_many_results(subject: &IoSubject) {
    use weft_io::ops::{Sequence, Step};
    let mut poller = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (sender, received) = channel();
    let recv = RecvMany::new(far.clone(), vec![0; 3], move |bytes| sender.send(bytes.to_vec()).unwrap());
    let steps = vec![Step::new(recv), Step::new(Send::new(far, b"all of it".as_slice()))];
    let came = begin(&poller.handle().clone(), Sequence::new(steps));
    send(&mut poller, &near, b"in several pieces".as_slice());
    near.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut poller, &near, 100), b"all of it");
    end(&mut poller, &came).result.unwrap();
    assert_eq!(received.try_iter().collect::<Vec<_>>().concat(), b"in several pieces");
}
