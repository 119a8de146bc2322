//! Sends that leave the bytes where they are, or copy them after all: nobody sees a difference but in what they report.

use weft_io::ops::{Recv, Send, SendTo, SocketClose};
use weft_io::{Capabilities, Pieces, SocketKind, SocketOptions};
use weft_sync::Code;

use super::connection::{begin, bound, end, pair, pair_with, pattern, receive_all, run, send};
use super::subject::{IoCaps, IoSubject, Log, poll_dry, poll_until, submit};

crate::cases! { $ SOCKET_ZERO_COPY for_each_io_socket_zero_copy_case of IoSubject {
    bytes_are_the_same_either_way: IoCaps::KERNEL;
    only_what_the_kernel_says_is_reported: IoCaps::KERNEL;
    kinds_that_cannot_copy_all_the_same: IoCaps::KERNEL;
    failures_are_reported_once: IoCaps::KERNEL;
    many_sends_each_have_their_own_end: IoCaps::KERNEL;
    memory_comes_back_when_it_is_not_needed: IoCaps::KERNEL;
    ends_while_memory_is_in_use: IoCaps::KERNEL;
} }

/// [async 218] [async 219] [async-backends 165] Sends of a byte, of 64 KiB, of a mebibyte and of several pieces arrive the
/// same with the option and without; so do datagrams.
fn bytes_are_the_same_either_way(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let options = [
        SocketOptions::empty(),
        SocketOptions::ZERO_COPY,
        SocketOptions::ZERO_COPY | SocketOptions::NO_DELAY,
    ];
    for options in options {
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, options);
        for length in [1, 8191, 8192, 1 << 16, 1 << 20] {
            let bytes = pattern(length, 4);
            let sent = begin(&handle, Send::new(near.clone(), bytes.clone()));
            assert!(receive_all(&mut poller, &far, length) == bytes, "{length} bytes");
            let done = end(&mut poller, &sent);
            assert_eq!(done.result.unwrap().bytes, length);
            assert!(done.operation.source == bytes);
        }
        let pieces: Vec<_> = (0..8).map(|index| pattern(30_000 + index, index as u8)).collect();
        let whole = pieces.concat();
        let sent = begin(&handle, Send::new(near, Pieces(pieces)));
        assert!(receive_all(&mut poller, &far, whole.len()) == whole);
        assert_eq!(end(&mut poller, &sent).result.unwrap().bytes, whole.len());
        let udp = weft_io::Socket::new(SocketKind::Udp, options).unwrap();
        let (to, there) = bound(SocketKind::Udp);
        let sent = run(&mut poller, SendTo::new(udp, pattern(20_000, 7), there)).result.unwrap();
        assert_eq!(sent.bytes, 20_000);
        let received = run(&mut poller, Recv::new(to, vec![0; 30_000]));
        assert_eq!(received.result.unwrap(), 20_000);
        assert!(received.operation.target[..20_000] == pattern(20_000, 7));
    }
}

/// [async 218] [async-backends 167] No copy is reported only if the proactor can, the socket asks, the send is long enough,
/// and the kernel says so; to this very machine it copies.
fn only_what_the_kernel_says_is_reported(subject: &IoSubject) {
    let mut poller = subject.open();
    let may = poller.handle().capabilities().contains(Capabilities::ZERO_COPY_REPORT);
    for options in [SocketOptions::empty(), SocketOptions::ZERO_COPY] {
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, options);
        for length in [100, 50_000] {
            let sent = begin(&poller.handle().clone(), Send::new(near.clone(), pattern(length, 4)));
            assert_eq!(receive_all(&mut poller, &far, length).len(), length);
            let sent = end(&mut poller, &sent).result.unwrap();
            let possible = may && !options.is_empty() && length > 8192;
            assert!(!sent.is_zero_copy || possible, "{options:?}, {length} bytes");
        }
    }
}

/// [async-backends 169] A kind of socket that has no such sends is sent through as ever, and keeps no failure.
fn kinds_that_cannot_copy_all_the_same(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair_with(&mut poller, SocketKind::UnixStream, SocketOptions::ZERO_COPY);
    for _ in 0..3 {
        let sent = begin(&poller.handle().clone(), Send::new(near.clone(), pattern(100_000, 5)));
        assert!(receive_all(&mut poller, &far, 100_000) == pattern(100_000, 5));
        let sent = end(&mut poller, &sent).result.unwrap();
        assert_eq!((sent.bytes, sent.is_zero_copy), (100_000, false));
    }
    assert_eq!(near.failure(), None);
}

/// [async-backends 168] A send to a peer that has reset the connection fails, once, and one that waits and is cancelled is
/// reported so.
fn failures_are_reported_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, peer) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    send(&mut poller, &near, pattern(20_000, 1));
    // Closing with bytes that were not received resets.
    drop(peer);
    let log = Log::default();
    let mut codes = Vec::new();
    while !codes.contains(&Code::Unavailable) && codes.len() < 100 {
        submit(&handle, Send::new(near.clone(), pattern(20_000, 2)), &log, "send");
        poll_until(&mut poller, || !log.is_empty());
        assert_eq!(poll_dry(&mut poller), 0);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "once");
        codes.extend(lines[0].1);
    }
    assert_eq!(near.failure(), Some(codes[0]));
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    let stuck = submit(&handle, Send::new(near.clone(), vec![0; 16 << 20]), &log, "stuck");
    let behind = submit(&handle, Send::new(near.clone(), pattern(20_000, 0)), &log, "behind");
    poll_dry(&mut poller);
    handle.cancel(behind).unwrap();
    handle.cancel(stuck).unwrap();
    // The first has sent some, so it cannot have been without effect.
    run(&mut poller, SocketClose::new(far)).result.unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert!(log.take().contains(&("behind", Some(Code::Cancelled))));
}

/// [async 218] [async-backends 170] Sends on many connections at once end each with its own number of bytes, in whatever
/// order the kernel lets go of their memory.
fn many_sends_each_have_their_own_end(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pairs: Vec<_> =
        (0..8).map(|_| pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY)).collect();
    let sends: Vec<_> = (0..64)
        .map(|index| {
            let (near, _) = &pairs[index % 8];
            begin(&handle, Send::new(near.clone(), pattern(8192 + index * 100, index as u8)))
        })
        .collect();
    for (number, (_, far)) in pairs.iter().enumerate() {
        for index in (number..64).step_by(8) {
            let length = 8192 + index * 100;
            assert!(receive_all(&mut poller, far, length) == pattern(length, index as u8));
        }
    }
    for (index, came) in sends.iter().enumerate() {
        assert_eq!(end(&mut poller, came).result.unwrap().bytes, 8192 + index * 100);
        assert!(came.recv().is_err(), "once");
    }
}

/// [async-backends 166] When the send has ended its memory can be written over: what the peer receives later is what was sent.
fn memory_comes_back_when_it_is_not_needed(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    for round in 0..10 {
        let mut done = run(&mut poller, Send::new(near.clone(), pattern(20_000, round)));
        assert_eq!(done.result.unwrap().bytes, 20_000);
        done.operation.source.fill(0xEE);
        assert!(receive_all(&mut poller, &far, 20_000) == pattern(20_000, round));
    }
}

/// [async-backends 171] Closing, and the end of the proactor, while the kernel still uses memory of sends: each ends once.
fn ends_while_memory_is_in_use(subject: &IoSubject) {
    for closes in [true, false] {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
        let _other = pair(&mut poller, SocketKind::Tcp);
        let log = Log::default();
        for name in ["a", "b", "c"] {
            submit(&handle, Send::new(near.clone(), vec![0; 8 << 20]), &log, name);
        }
        poll_dry(&mut poller);
        if closes {
            run(&mut poller, SocketClose::new(near)).result.unwrap();
            poll_dry(&mut poller);
        }
        drop(far);
        drop(poller);
        assert_eq!(log.len(), 3);
    }
}
