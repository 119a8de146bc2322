#![allow(unsafe_code, reason = "the smallest buffer of a socket has no safe way to be asked for")]
//! Bytes over connections: all of them, in order, in pieces of any size, and how connections end.

use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use weft_io::ops::{Accept, Connect, Recv, RecvMany, Send, SendFlags, SocketClose};
use weft_io::{
    Operation, Part, Pieces, Poller, SPANS_MAX, Shutdown, Socket, SocketKind, SocketOptions, SocketState,
};
use weft_sync::Code;

use super::connection::{
    STREAMS, begin, connect_to, end, listener, pair, pair_with, pattern, receive, receive_all, run, send,
    socket,
};
use super::subject::{IoCaps, IoSubject, Log, lock, poll_dry, poll_until, submit};

crate::cases! { $ SOCKET_DATA for_each_io_socket_data_case of IoSubject {
    connections_carry_bytes_both_ways: IoCaps::KERNEL;
    accepted_connections_are_set_up: IoCaps::KERNEL;
    connecting_to_nobody_sticks: IoCaps::KERNEL;
    connecting_twice_does_not_stick: IoCaps::KERNEL;
    only_listeners_accept: IoCaps::KERNEL;
    connections_of_one_listener: IoCaps::KERNEL;
    large_transfers_arrive_whole: IoCaps::KERNEL;
    both_directions_at_once: IoCaps::KERNEL;
    pieces_are_sent_and_filled_in_order: IoCaps::KERNEL;
    more_than_eight_pieces_are_refused: IoCaps::NONE;
    sends_do_not_mix: IoCaps::KERNEL;
    a_pipeline_is_submitted_whole: IoCaps::KERNEL;
    streams_end_when_the_peer_has_sent_all: IoCaps::KERNEL;
    resets_are_failures_that_stick: IoCaps::KERNEL;
    sends_can_be_used_again: IoCaps::KERNEL;
    callbacks_answer_what_was_received: IoCaps::KERNEL;
    flags_join_what_is_sent: IoCaps::KERNEL;
    a_reset_is_told_alike: IoCaps::KERNEL;
} }

/// [async 194] [async 200] [async 205] [async-backends 119] [async-backends 120] [async-backends 127] Over every kind of
/// stream bytes go both ways, several times on one connection.
fn connections_carry_bytes_both_ways(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        for round in 0..5_u8 {
            send(&mut poller, &near, vec![round; 10]);
            assert_eq!(receive_all(&mut poller, &far, 10), [round; 10], "{kind:?}");
            send(&mut poller, &far, vec![round + 1; 20]);
            assert_eq!(receive_all(&mut poller, &near, 20), [round + 1; 20], "{kind:?}");
        }
        assert_eq!((near.failure(), far.failure()), (None, None));
    }
}

/// [async 202] [async-backends 121] [async-backends 125] An accepted connection does not block, is not inherited, is
/// connected, knows its peer, and asks for what its listener asked for.
fn accepted_connections_are_set_up(subject: &IoSubject) {
    let mut poller = subject.open();
    for options in [SocketOptions::empty(), SocketOptions::ZERO_COPY] {
        let listener = Socket::new(SocketKind::Tcp, options).unwrap();
        listener.listen(0).unwrap();
        let port = listener.local_address().unwrap().port().unwrap();
        let address = weft_io::Address::ipv4("127.0.0.1", port).unwrap();
        let near = socket(SocketKind::Tcp);
        let accepted = begin(&poller.handle().clone(), Accept::new(listener));
        run(&mut poller, Connect::new(near.clone(), address)).result.unwrap();
        assert_eq!(near.state(), SocketState::Connected);
        let accepted = end(&mut poller, &accepted).result.unwrap();
        assert_eq!(accepted.peer, near.local_address().unwrap());
        assert_eq!(accepted.socket.peer_address().unwrap(), accepted.peer);
        assert_eq!(accepted.socket.local_address().unwrap(), near.peer_address().unwrap());
        assert_eq!(accepted.socket.state(), SocketState::Connected);
        assert_eq!(accepted.socket.kind(), SocketKind::Tcp);
        assert_eq!(accepted.socket.is_zero_copy(), !options.is_empty());
        let (flags, inherited) = flags_of(&accepted.socket);
        assert!(flags & libc::O_NONBLOCK != 0);
        assert!(inherited & libc::FD_CLOEXEC != 0);
    }
    let (_, far) = pair(&mut poller, SocketKind::UnixStream);
    assert!(far.peer_address().unwrap().is_empty(), "a name that nobody gave");
}

/// Of the file, and of the handle.
fn flags_of(socket: &Socket) -> (i32, i32) {
    use std::os::fd::AsRawFd;
    let read = |kind: &str| {
        let path = format!("/proc/self/fdinfo/{}", socket.as_fd().as_raw_fd());
        let text = std::fs::read_to_string(path).expect("it is open");
        let line = text.lines().find_map(|line| line.strip_prefix(kind)).expect("a line of flags").trim();
        i32::from_str_radix(line, 8).expect("an octal number")
    };
    let flags = read("flags:");
    (flags, if flags & libc::O_CLOEXEC != 0 { libc::FD_CLOEXEC } else { 0 })
}

/// [async 205] [async 201] [async-backends 120] [async-backends 122] Nobody listens: `UNAVAILABLE`, and later sends fail
/// with the same, at once; another socket of the same proactor is none the worse.
fn connecting_to_nobody_sticks(subject: &IoSubject) {
    let mut poller = subject.open();
    let (gone, address) = listener(SocketKind::Tcp);
    drop(gone);
    let near = socket(SocketKind::Tcp);
    let other = pair(&mut poller, SocketKind::Tcp);
    let done = run(&mut poller, Connect::new(near.clone(), address));
    assert_eq!(done.result.unwrap_err().code(), Code::Unavailable);
    for _ in 0..2 {
        assert_eq!(near.failure(), Some(Code::Unavailable));
        let done = run(&mut poller, Send::new(near.clone(), b"x".as_slice()));
        assert_eq!(done.result.unwrap_err().code(), Code::Unavailable);
    }
    send(&mut poller, &other.0, b"still here".as_slice());
    assert_eq!(receive(&mut poller, &other.1, 100), b"still here");
}

/// [async-backends 120] A second connect fails, and the connection does not mind.
fn connecting_twice_does_not_stick(subject: &IoSubject) {
    let mut poller = subject.open();
    let (listener, address) = listener(SocketKind::Tcp);
    let (near, far) = connect_to(&mut poller, &listener, address, SocketOptions::empty());
    let done = run(&mut poller, Connect::new(near.clone(), address));
    assert_eq!(done.result.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!((near.failure(), near.state()), (None, SocketState::Connected));
    send(&mut poller, &near, b"yet".as_slice());
    assert_eq!(receive(&mut poller, &far, 10), b"yet");
}

/// [async 197] [async-backends 120] What does not listen accepts nothing, and says so through the callback; that is no
/// failure which sticks.
fn only_listeners_accept(subject: &IoSubject) {
    let mut poller = subject.open();
    let (deaf, _) = super::connection::bound(SocketKind::Tcp);
    let done = run(&mut poller, Accept::new(deaf.clone()));
    assert_eq!(done.result.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(deaf.failure(), None);
}

/// [async 209] [async-backends 130] Many connections of one listener, made one after the other and at once, are kept apart.
fn connections_of_one_listener(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let mut pairs: Vec<_> =
        (0..3).map(|_| connect_to(&mut poller, &listener, address, SocketOptions::empty())).collect();
    let accepts: Vec<_> = (0..5).map(|_| begin(&handle, Accept::new(listener.clone()))).collect();
    let sockets: Vec<_> = (0..5).map(|_| socket(SocketKind::Tcp)).collect();
    let connects: Vec<_> =
        sockets.iter().map(|near| begin(&handle, Connect::new(near.clone(), address))).collect();
    connects.iter().for_each(|came| end(&mut poller, came).result.unwrap());
    for came in &accepts {
        let accepted = end(&mut poller, came).result.unwrap();
        let near = sockets.iter().find(|near| near.local_address().unwrap() == accepted.peer);
        pairs.push((near.expect("its peer is one of ours").clone(), accepted.socket));
    }
    let sends: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(index, (near, _))| begin(&handle, Send::new(near.clone(), pattern(1000, index as u8))))
        .collect();
    for (index, (_, far)) in pairs.iter().enumerate() {
        assert_eq!(receive_all(&mut poller, far, 1000), pattern(1000, index as u8));
    }
    sends.iter().for_each(|came| assert_eq!(end(&mut poller, came).result.unwrap().bytes, 1000));
}

/// Sends this through a connection, and receives it in pieces of up to so many bytes.
fn transfer(poller: &mut Poller, (near, far): (&Socket, &Socket), bytes: &[u8], room: usize) {
    let sent = begin(&poller.handle().clone(), Send::new(near.clone(), bytes.to_vec()));
    let mut all = Vec::new();
    while all.len() < bytes.len() {
        all.extend(receive(poller, far, room));
    }
    assert!(all == bytes, "{} bytes differ", bytes.len());
    let done = end(poller, &sent);
    assert_eq!(done.result.unwrap().bytes, bytes.len());
    assert_eq!(done.operation.sent(), bytes.len());
    assert!(done.operation.source == bytes, "the memory is as it was");
}

/// [async 208] [async 224] [async-backends 129] [async-backends 134] More than any buffer of the kernel holds arrives whole:
/// one send is enough; received in large pieces and in small ones, through usual buffers and the smallest that there are.
fn large_transfers_arrive_whole(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        transfer(&mut poller, (&near, &far), &pattern(1 << 20, 1), 1 << 20);
        transfer(&mut poller, (&far, &near), &pattern(1 << 18, 2), 1000);
        shrink_send_buffer(&near);
        transfer(&mut poller, (&near, &far), &pattern(1 << 16, 3), 777);
    }
}

fn shrink_send_buffer(socket: &Socket) {
    use std::os::fd::AsRawFd;
    let small: libc::c_int = 1;
    let (value, size) = (std::ptr::from_ref(&small).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the option takes an int, which lives longer than the call.
    let outcome = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, value, size) };
    assert_eq!(outcome, 0, "buffers can be made small");
}

/// [async 208] [async-backends 129] Two sends of a mebibyte meet, and neither waits for the other.
fn both_directions_at_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (here, there) = (pattern(1 << 20, 4), pattern(1 << 20, 5));
    let sends = [(&near, &here), (&far, &there)]
        .map(|(socket, bytes)| begin(&handle, Send::new(socket.clone(), bytes.clone())));
    let ends = [(&near, there), (&far, here)].map(|(socket, expected)| {
        let all = Arc::new(Mutex::new(Vec::<u8>::new()));
        let sink = Arc::clone(&all);
        let recv = RecvMany::new(socket.clone(), vec![0; 1 << 16], move |bytes| lock(&sink).extend(bytes));
        drop(begin(&handle, recv));
        (all, expected)
    });
    sends.iter().for_each(|came| assert_eq!(end(&mut poller, came).result.unwrap().bytes, 1 << 20));
    poll_until(&mut poller, || ends.iter().all(|(all, expected)| lock(all).len() == expected.len()));
    assert!(ends.iter().all(|(all, expected)| *lock(all) == *expected));
}

/// [async 30] [async 210] [async-backends 131] Several pieces, one of them empty, are one send; a receive fills several in order; one
/// piece, none, and eight.
fn pieces_are_sent_and_filled_in_order(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    for count in [0, 1, 3, SPANS_MAX] {
        let pieces: Vec<_> = (0..count).map(|index| pattern(index * 10, index as u8)).collect();
        let whole: Vec<u8> = pieces.concat();
        send(&mut poller, &near, Pieces(pieces));
        assert_eq!(receive_all(&mut poller, &far, whole.len()), whole, "{count} pieces");
        // Nothing is there, and nothing is wanted.
        let none = run(&mut poller, Recv::new(far.clone(), Pieces::<Vec<u8>>(Vec::new())));
        assert_eq!(none.result.unwrap(), 0);
        assert_eq!(receive(&mut poller, &far, 0), b"");
    }
    send(&mut poller, &near, Part::new(pattern(100, 0), 20..70).unwrap());
    let target = [vec![0; 10], vec![0; 0], vec![0; 40]];
    let done = run(&mut poller, Recv::new(far.clone(), target));
    assert_eq!(done.result.unwrap(), 50);
    assert_eq!(done.operation.target.concat(), pattern(100, 0)[20..70]);
    // Beyond what a buffer of the kernel holds, in pieces that end anywhere.
    let pieces: Vec<_> = (0..SPANS_MAX).map(|index| pattern(100_001 + index, index as u8)).collect();
    let whole = pieces.concat();
    let sent = begin(&poller.handle().clone(), Send::new(near, Pieces(pieces)));
    assert!(receive_all(&mut poller, &far, whole.len()) == whole);
    assert_eq!(end(&mut poller, &sent).result.unwrap().bytes, whole.len());
}

/// [async 30] [async-backends 131] Nine pieces are refused before anything happens, and come back.
fn more_than_eight_pieces_are_refused(subject: &IoSubject) {
    let poller = subject.open();
    let socket = socket(SocketKind::Tcp);
    let nine = || Pieces(vec![vec![0_u8; 1]; SPANS_MAX + 1]);
    let refused = poller.handle().submit(Send::new(socket.clone(), nine())).unwrap_err();
    assert_eq!(refused.why.code(), Code::OutOfRange);
    assert_eq!(refused.operation.source, nine());
    let refused = poller.handle().submit(Recv::new(socket.clone(), nine())).unwrap_err();
    assert_eq!(refused.why.code(), Code::OutOfRange);
    assert_eq!(socket.failure(), None);
}

/// [async 223] [async-backends 133] Sends that are submitted back to back while buffers are full arrive one after the other,
/// and end in that order; so does one that comes later.
fn sends_do_not_mix(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (told, ended) = channel();
    let submit = |seed: u8, length: usize| {
        let told = told.clone();
        let send = Operation::new(Send::new(near.clone(), pattern(length, seed)));
        handle
            .submit(send.on_done(move |done| told.send((seed, done.result.unwrap().bytes)).unwrap()))
            .unwrap();
    };
    let lengths = [1 << 20, 300_000, 1, 500_000, 0, 70_000];
    for (seed, &length) in lengths[..5].iter().enumerate() {
        submit(seed as u8, length);
    }
    let mut received = receive_all(&mut poller, &far, 1 << 19);
    submit(5, lengths[5]);
    let total: usize = lengths.iter().sum();
    received.extend(receive_all(&mut poller, &far, total - (1 << 19)));
    let expected: Vec<u8> =
        lengths.iter().enumerate().flat_map(|(seed, &length)| pattern(length, seed as u8)).collect();
    assert!(received == expected);
    let mut ends = Vec::new();
    poll_until(&mut poller, || {
        ends.extend(ended.try_iter());
        ends.len() == lengths.len()
    });
    let expected: Vec<_> = lengths.iter().enumerate().map(|(seed, &length)| (seed as u8, length)).collect();
    assert_eq!(ends, expected);
}

/// [async 205] A connect and the sends behind it, and the receives, are submitted before any of it has begun.
fn a_pipeline_is_submitted_whole(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let near = socket(SocketKind::Tcp);
    let accepted = begin(&handle, Accept::new(listener));
    let connected = begin(&handle, Connect::new(near.clone(), address));
    let sends = [b"one".as_slice(), b"two"].map(|text| begin(&handle, Send::new(near.clone(), text)));
    end(&mut poller, &connected).result.unwrap();
    sends.iter().for_each(|came| assert_eq!(end(&mut poller, came).result.unwrap().bytes, 3));
    let far = end(&mut poller, &accepted).result.unwrap().socket;
    assert_eq!(receive_all(&mut poller, &far, 6), b"onetwo");
}

/// [async 206] [async 207] [async-backends 123] [async-backends 124] After a shutdown the peer receives what was sent, and
/// then the end, as often as it asks; the other direction goes on. After a close it ends too.
fn streams_end_when_the_peer_has_sent_all(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        send(&mut poller, &near, b"last words".as_slice());
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive_all(&mut poller, &far, 100), b"last words");
        assert_eq!(receive(&mut poller, &far, 100), b"");
        send(&mut poller, &far, b"heard".as_slice());
        assert_eq!(receive(&mut poller, &near, 100), b"heard");
        assert_eq!((near.failure(), far.failure()), (None, None));
        let waiting = begin(&poller.handle().clone(), Recv::new(near.clone(), vec![0; 10]));
        drop(far);
        assert_eq!(end(&mut poller, &waiting).result.unwrap(), 0);
    }
}

/// [async 207] [async 221] [async-backends 122] [async-backends 124] A reset fails what waits, and what comes
/// later with the same code; a receive still ends, and nobody else is concerned.
fn resets_are_failures_that_stick(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::LINGER_ZERO);
    let other = pair(&mut poller, SocketKind::Tcp);
    let waiting = begin(&poller.handle().clone(), Recv::new(far.clone(), vec![0; 10]));
    drop(near);
    assert_eq!(end(&mut poller, &waiting).result.unwrap_err().code(), Code::Unavailable);
    assert_eq!(far.failure(), Some(Code::Unavailable));
    for _ in 0..3 {
        let done = run(&mut poller, Send::new(far.clone(), b"anybody?".as_slice()));
        assert_eq!(done.result.unwrap_err().code(), Code::Unavailable);
    }
    let done = run(&mut poller, Recv::new(far, vec![0; 10]));
    assert_eq!(done.result.unwrap_err().code(), Code::Unavailable);
    // A peer that goes away without a reset: sends fail sooner or later, and then that sticks.
    let (near, far) = pair(&mut poller, SocketKind::UnixStream);
    drop(near);
    let done = run(&mut poller, Send::new(far.clone(), b"anybody?".as_slice()));
    assert_eq!(done.result.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(far.failure(), Some(Code::FailedPrecondition));
    send(&mut poller, &other.0, b"unharmed".as_slice());
    assert_eq!(receive(&mut poller, &other.1, 10), b"unharmed");
}

/// [async 224] [async-backends 134] The same send is submitted again and again, also after it took several attempts, and
/// sends the same bytes.
fn sends_can_be_used_again(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let bytes = pattern(700_000, 9);
    let mut operation = Operation::new(Send::new(near, bytes.clone()));
    for _ in 0..3 {
        let sent = begin(&poller.handle().clone(), operation);
        assert!(receive_all(&mut poller, &far, bytes.len()) == bytes);
        let done = end(&mut poller, &sent);
        assert_eq!(done.result.unwrap().bytes, bytes.len());
        operation = done.operation;
    }
}

/// [async 220] [async-backends 132] What a callback submits comes back intact: fifty patterns, each answered from within the
/// callback that received it.
fn callbacks_answer_what_was_received(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (echo, again) = (far.clone(), handle.clone());
    let answer = move |bytes: &[u8]| {
        again.submit(Send::new(echo.clone(), bytes.to_vec())).unwrap();
    };
    drop(begin(&handle, RecvMany::new(far, vec![0; 4096], answer)));
    for seed in 0..50 {
        let bytes = pattern(1000 + usize::from(seed), seed);
        send(&mut poller, &near, bytes.clone());
        assert!(receive_all(&mut poller, &near, bytes.len()) == bytes, "pattern {seed}");
    }
    // With more under way than fits through.
    shrink_send_buffer(&near);
    let bytes = pattern(80_000, 77);
    let sent = begin(&handle, Send::new(near.clone(), bytes.clone()));
    assert!(receive_all(&mut poller, &near, bytes.len()) == bytes);
    end(&mut poller, &sent).result.unwrap();
}

/// [async 218] [async-backends 135] What is sent with more to come arrives with what follows.
fn flags_join_what_is_sent(subject: &IoSubject) {
    let mut poller = subject.open();
    for options in [SocketOptions::empty(), SocketOptions::ZERO_COPY] {
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, options);
        for size in [10, 20_000] {
            let first = Send::new(near.clone(), pattern(size, 1)).with_flags(SendFlags::MORE);
            assert_eq!(run(&mut poller, first).result.unwrap().bytes, size);
            send(&mut poller, &near, pattern(size, 2));
            let expected = [pattern(size, 1), pattern(size, 2)].concat();
            assert!(receive_all(&mut poller, &far, 2 * size) == expected);
        }
    }
}

/// [async 221] [async-backends 122] A reset in the midst of a send, of which the system tells whoever asks first: the receive that
/// waits, the send, and those that come later hear of that, not of the broken pipe that is left of it.
fn a_reset_is_told_alike(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for round in 0..6 {
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::LINGER_ZERO);
        let (log, bytes) = (Log::default(), vec![0; 16 << 20]);
        if round % 2 == 0 {
            submit(&handle, Recv::new(far.clone(), vec![0; 10]), &log, "recv");
        }
        submit(&handle, Send::new(far.clone(), bytes), &log, "send");
        if round % 2 == 1 {
            submit(&handle, Recv::new(far.clone(), vec![0; 10]), &log, "recv");
        }
        submit(&handle, Send::new(far.clone(), b"behind".as_slice()), &log, "behind");
        assert_eq!(poll_dry(&mut poller), 0);
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        poll_until(&mut poller, || log.len() == 3);
        submit(&handle, Send::new(far.clone(), b"late".as_slice()), &log, "late");
        poll_until(&mut poller, || log.len() == 4);
        let lines = log.take();
        // Where nobody is told of it, a receive sees the end.
        let is_told = |(name, code): &(&str, Option<Code>)| {
            *code == Some(Code::Unavailable) || (*name, *code) == ("recv", None)
        };
        assert!(lines.iter().all(is_told), "{lines:?}");
        assert_eq!(far.failure(), Some(Code::Unavailable));
    }
}
