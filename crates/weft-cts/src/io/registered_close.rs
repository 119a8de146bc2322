//! Registered sockets that are closed while something is under way on them: what was queued reaches nobody else, and the
//! peer sees what it sees of any close.
//!
//! Only some proactors know sockets by places; the cases are the same for all.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use weft_io::ops::{Connect, EventWait, Nop, Recv, RecvFrom, RecvMany, Send, SocketClose};
use weft_io::{Address, Done, Event, Handle, Operation, Params, Poller, Socket, SocketKind, SocketOptions};
use weft_sync::Code;

use super::connection::{begin, end, pair, peers, run};
use super::subject::{IoCaps, IoSubject, poll_dry, poll_until, rounds};

crate::cases! { $ REGISTERED_CLOSE for_each_io_registered_close_case of IoSubject {
    what_was_queued_reaches_nobody_else: IoCaps::KERNEL;
    what_waits_in_a_chain_reaches_nobody_else: IoCaps::KERNEL;
    sockets_come_and_go_amid_traffic: IoCaps::KERNEL;
    a_reset_is_a_reset_where_the_socket_is_known_elsewhere: IoCaps::KERNEL;
    a_reset_is_a_reset_where_others_are_on_the_socket: IoCaps::KERNEL;
    a_receive_that_a_close_ends_is_cancelled: IoCaps::KERNEL;
} }

/// A socket, and its other end, which never waits.
fn stream() -> (Socket, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    (Socket::import(near.into(), SocketKind::UnixStream, false).unwrap(), far)
}

/// What has come; `None`: nothing, and not the end either.
fn read(mut far: &UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 100];
    match far.read(&mut bytes) {
        Ok(count) => {
            bytes.truncate(count);
            Some(bytes)
        }
        Err(why) if why.kind() == ErrorKind::WouldBlock => None,
        // Its queue was not empty when it was closed.
        Err(why) if why.kind() == ErrorKind::ConnectionReset => Some(Vec::new()),
        Err(why) => panic!("{why}"),
    }
}

/// A send and a receive of a socket are submitted, then its close, and its place becomes another's.
fn close_with_queue(handle: &Handle, near: Socket, next: &Socket) {
    drop(begin(handle, Send::new(near.clone(), b"not for you".as_slice())));
    drop(begin(handle, Recv::new(near.clone(), vec![0; 100])));
    let (again, next) = (handle.clone(), next.clone());
    let close = Operation::new(SocketClose::new(near));
    handle.submit(close.on_done(move |_| again.register_socket(&next).unwrap())).unwrap();
}

/// [async 227] A socket is closed with a send and a receive in the queue, and another one is registered:
/// on the poll thread, in a callback and out of it, and on another one.
fn what_was_queued_reaches_nobody_else(subject: &IoSubject) {
    for round in 0..3 {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        let ((near, near_far), (next, mut next_far)) = (stream(), stream());
        next_far.write_all(b"for the next").unwrap();
        handle.register_socket(&near).unwrap();
        poll_dry(&mut poller);
        match round {
            0 => close_with_queue(&handle, near, &next),
            1 => {
                let (inner, next) = (handle.clone(), next.clone());
                let inside = move |_| close_with_queue(&inner, near, &next);
                handle.submit(Operation::new(Nop).on_done(inside)).unwrap();
            }
            _ => {
                let (other, next) = (handle.clone(), next.clone());
                let elsewhere = move || {
                    drop(begin(&other, Send::new(near.clone(), b"not for you".as_slice())));
                    drop(begin(&other, Recv::new(near.clone(), vec![0; 100])));
                    drop(begin(&other, SocketClose::new(near)));
                    other.register_socket(&next).unwrap();
                };
                std::thread::spawn(elsewhere).join().unwrap();
            }
        }
        poll_dry(&mut poller);
        assert_eq!(read(&next_far), None, "round {round}");
        // The send may have come first; then the end.
        let first = read(&near_far).expect("it is closed");
        assert!(first.is_empty() || first == b"not for you", "{first:?}");
        let done = run(&mut poller, Recv::new(next, vec![0; 100]));
        assert_eq!(&done.operation.into_params().target[..done.result.unwrap()], b"for the next");
    }
}

/// [async 227] The same of a send that the kernel has, behind a member that has not ended.
fn what_waits_in_a_chain_reaches_nobody_else(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for _ in 0..rounds(20) {
        let ((near, near_far), (next, next_far)) = (stream(), stream());
        handle.register_socket(&near).unwrap();
        let event = Event::new().unwrap();
        let mut batch = handle.batch();
        batch.add(Operation::new(EventWait { event: event.clone() })).unwrap();
        batch.then(Operation::new(Send::new(near.clone(), b"not for you".as_slice()))).unwrap();
        batch.submit().unwrap();
        poll_dry(&mut poller);
        let (again, known) = (handle.clone(), next.clone());
        let close = Operation::new(SocketClose::new(near));
        handle.submit(close.on_done(move |_| again.register_socket(&known).unwrap())).unwrap();
        event.set();
        poll_dry(&mut poller);
        assert_eq!(read(&next_far), None);
        let first = read(&near_far).expect("it is closed");
        assert!(first.is_empty() || first == b"not for you", "{first:?}");
        drop(next);
    }
}

/// A send, and the close behind it, in a callback or on another thread; and when it is closed, the next one is registered.
fn send_and_close(handle: &Handle, near: Socket, tag: u8, next: Socket, is_inside: bool) {
    let (here, again) = (handle.clone(), handle.clone());
    let act = move || {
        drop(begin(&here, Send::new(near.clone(), vec![tag; 5])));
        // It may be closed by now.
        let on_closed = move |_| drop(again.register_socket(&next));
        here.submit(Operation::new(SocketClose::new(near)).on_done(on_closed)).unwrap();
    };
    if is_inside {
        handle.submit(Operation::new(Nop).on_done(move |_| act())).unwrap();
    } else {
        std::thread::spawn(act).join().unwrap();
    }
}

/// [async 227] Sockets are registered, used, and closed or dropped at random, also from another thread;
/// whatever comes out of one was put into it.
fn sockets_come_and_go_amid_traffic(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let mut seed = 7_u64;
    let mut below = move |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    };
    let mut open: Vec<(u8, Socket, UnixStream)> = Vec::new();
    let (tell, told) = channel();
    for round in 0..rounds(4_000) {
        let choice = below(8);
        if open.is_empty() || (open.len() < 8 && choice < 3) {
            let (near, far) = stream();
            if below(2) == 0 {
                handle.register_socket(&near).unwrap();
            }
            // Of the far end it gets its own tag, too.
            let tag = round as u8;
            (&far).write_all(&[tag; 3]).unwrap();
            open.push((tag, near, far));
            continue;
        }
        let place = below(open.len() as u64) as usize;
        let (tag, near) = (open[place].0, open[place].1.clone());
        match choice {
            0..5 => drop(begin(&handle, Send::new(near, vec![tag; 5]))),
            5 => {
                // So that it ends, and no other waits behind it.
                let _ = (&open[place].2).write(&[tag; 7]);
                let tell = tell.clone();
                let recv = Operation::new(Recv::new(near, vec![!tag; 7])).on_done(move |done| {
                    let count = done.result.unwrap_or(0);
                    let bytes = &done.operation.into_params().target[..count];
                    let _ = tell.send(bytes.iter().all(|byte| *byte == tag));
                });
                handle.submit(recv).unwrap();
            }
            _ => {
                // One that is not known yet gets the place.
                let is_next = |(_, other, _): &&(u8, Socket, UnixStream)| !other.is_registered(&handle);
                let next = open.iter().find(is_next).map_or(near.clone(), |(_, other, _)| other.clone());
                send_and_close(&handle, near, tag, next, choice == 6);
                let (tag, near, far) = open.swap_remove(place);
                drop(near);
                // What was sent before; the rest comes to nobody.
                while let Some(bytes) = read(&far).filter(|bytes| !bytes.is_empty()) {
                    assert!(bytes.iter().all(|byte| *byte == tag), "{bytes:?} of {tag}");
                }
            }
        }
        if below(3) == 0 {
            poll_dry(&mut poller);
        }
        for (tag, _, far) in &open {
            while let Some(bytes) = read(far) {
                assert!(!bytes.is_empty() && bytes.iter().all(|byte| byte == tag), "{bytes:?} of {tag}");
            }
        }
    }
    for (_, near, _) in open.drain(..) {
        run(&mut poller, SocketClose::new(near)).result.unwrap();
    }
    poll_dry(&mut poller);
    assert!(told.try_iter().all(|is_own| is_own));
}

/// A connection that this proactor has begun, and its other end.
fn connection(poller: &mut Poller, options: SocketOptions) -> (Socket, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let near = Socket::new(SocketKind::Tcp, options).unwrap();
    let address = Address::ipv4("127.0.0.1", port).unwrap();
    let connected = begin(&poller.handle().clone(), Connect::new(near.clone(), address));
    end(poller, &connected).result.unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (near, far)
}

/// [async 228] [async-backends 124] A socket that another proactor knows, which does not poll, is closed: the peer
/// sees the end, or the reset where that is what a close is, at once.
fn a_reset_is_a_reset_where_the_socket_is_known_elsewhere(subject: &IoSubject) {
    for round in 0..6 {
        let (is_known, how) = (round % 2 == 1, round / 2);
        let mut poller = subject.open();
        let options = if how == 1 { SocketOptions::LINGER_ZERO } else { SocketOptions::empty() };
        let (near, mut far) = connection(&mut poller, options);
        if how == 2 {
            far.write_all(b"unread").unwrap();
            let looks = TcpStream::from(near.as_fd().try_clone_to_owned().unwrap());
            while looks.peek(&mut [0]).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let (registered, known) = channel();
        let (done, over) = channel::<()>();
        std::thread::scope(|scope| {
            let other = near.clone();
            scope.spawn(move || {
                let mut elsewhere = subject.open();
                poll_dry(&mut elsewhere);
                if is_known {
                    elsewhere.handle().register_socket(&other).unwrap();
                }
                drop(other);
                registered.send(()).unwrap();
                // It does not poll until the peer has seen what there is to see.
                let _ = over.recv();
            });
            known.recv().unwrap();
            run(&mut poller, SocketClose::new(near)).result.unwrap();
            let seen = far.read(&mut [0]).map_err(|why| why.kind());
            drop(done);
            let expected = if how == 0 { Ok(0) } else { Err(ErrorKind::ConnectionReset) };
            assert_eq!(seen, expected, "known: {is_known}, way {how}");
        });
    }
}

/// [async 228] [async-backends 124] A socket is closed on which another proactor has a receive, or a chain has a send that has
/// not begun: what a close resets is reset, at once.
fn a_reset_is_a_reset_where_others_are_on_the_socket(subject: &IoSubject) {
    // Where no connection can be broken off, it is shut down until the last of them has left.
    if !cfg!(target_os = "linux") {
        return;
    }
    for round in 0..4 {
        let (is_known, is_elsewhere) = (round % 2 == 1, round / 2 == 1);
        let (mut poller, mut elsewhere) = (subject.open(), subject.open());
        let (near, mut far) = connection(&mut poller, SocketOptions::LINGER_ZERO);
        let handle = poller.handle().clone();
        if is_known {
            handle.register_socket(&near).unwrap();
        }
        drop(begin(&handle, Recv::new(near.clone(), vec![0; 100])));
        let event = Event::new().unwrap();
        if is_elsewhere {
            drop(begin(elsewhere.handle(), Recv::new(near.clone(), vec![0; 100])));
            poll_dry(&mut elsewhere);
        } else {
            let mut batch = handle.batch();
            batch.add(Operation::new(EventWait { event })).unwrap();
            batch.then(Operation::new(Send::new(near.clone(), b"late".as_slice()))).unwrap();
            batch.submit().unwrap();
        }
        poll_dry(&mut poller);
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        let seen = far.read(&mut [0]).map_err(|why| why.kind());
        assert_eq!(seen, Err(ErrorKind::ConnectionReset), "known: {is_known}, elsewhere: {is_elsewhere}");
    }
}

/// Submits an operation of which only the end is told.
fn wait<P: Params>(handle: &Handle, operation: P, told: Sender<Option<Code>>) {
    let on_done = move |done: Done<P>| _ = told.send(done.result.err().map(|why| why.code()));
    handle.submit(Operation::new(operation).on_done(on_done)).unwrap();
}

/// Submits a receive of a way, and tells what it has received, as well, and with what it ended.
fn receive(handle: &Handle, near: Socket, way: usize) -> Receiver<Option<Code>> {
    let (told, ended) = channel();
    let (piece, memory) = (told.clone(), vec![0; 100]);
    match way {
        0 => wait(handle, Recv::new(near, memory), told),
        1 => wait(handle, RecvMany::new(near, memory, move |_| _ = piece.send(None)), told),
        _ => wait(handle, RecvFrom::new(near, memory), told),
    }
    ended
}

/// [async 228] Nobody has sent anything, and no peer has ended: whoever receives hears of neither when the socket is closed,
/// known or not, by this proactor or by another, before the kernel has the receive or after.
fn a_receive_that_a_close_ends_is_cancelled(subject: &IoSubject) {
    let (mut poller, mut elsewhere) = (subject.open(), subject.open());
    let handle = poller.handle().clone();
    for kind in [SocketKind::Tcp, SocketKind::UnixStream, SocketKind::Udp, SocketKind::UnixDatagram] {
        let ways = if kind.is_stream() { 2 } else { 3 };
        for round in 0..8 * ways {
            let (way, round) = (round / 8, round % 8);
            let (known, has_begun) = (round / 2, round % 2 == 1);
            let (near, far) = match kind.is_stream() {
                true => pair(&mut poller, kind),
                false => peers(&mut poller, kind),
            };
            match known {
                1 => handle.register_socket(&near).unwrap(),
                2 => elsewhere.handle().register_socket(&near).unwrap(),
                _ => {}
            }
            let ended = receive(&handle, near.clone(), way);
            if has_begun {
                poll_dry(&mut poller);
            }
            // The last round: another one closes it, and it has begun.
            if known == 3 && has_begun {
                run(&mut elsewhere, SocketClose::new(near)).result.unwrap();
            } else {
                drop(begin(&handle, SocketClose::new(near)));
            }
            // A kernel may try for a while.
            let mut found = Vec::new();
            poll_until(&mut poller, || {
                found.extend(ended.try_iter());
                !found.is_empty()
            });
            poll_dry(&mut poller);
            found.extend(ended.try_iter());
            assert_eq!(found, [Some(Code::Cancelled)], "{kind:?}, way {way}, round {round}");
            drop(far);
        }
    }
}
