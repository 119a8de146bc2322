//! Messages: their boundaries, their senders, and what becomes of those that nobody receives.

use weft_io::ops::{Recv, RecvFrom, Send, SendTo};
use weft_io::{Address, SPANS_MAX, SocketKind};
use weft_sync::Code;

use super::connection::{DATAGRAMS, begin, bound, end, pair, pattern, peers, receive, run, send, socket};
use super::subject::{IoCaps, IoSubject};

crate::cases! { $ SOCKET_DATAGRAM for_each_io_socket_datagram_case of IoSubject {
    boundaries_are_kept: IoCaps::KERNEL;
    whoever_sent_it_can_be_answered: IoCaps::KERNEL;
    what_finds_no_room_is_told_of: IoCaps::KERNEL;
    messages_of_pieces: IoCaps::KERNEL;
    empty_messages_are_messages: IoCaps::KERNEL;
    nobody_there_is_no_failure_of_the_socket: IoCaps::KERNEL;
    addresses_of_other_families_are_refused: IoCaps::NONE;
    streams_have_no_messages: IoCaps::KERNEL;
} }

/// [async 211] [async 213] [async-backends 127] [async-backends 128] Between peers, messages arrive one by one, in both
/// directions, singly and in a burst.
fn boundaries_are_kept(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in DATAGRAMS {
        let (near, far) = peers(&mut poller, kind);
        for (from, to) in [(&near, &far), (&far, &near)] {
            for length in [1, 100, 1400] {
                send(&mut poller, from, pattern(length, 1));
                assert_eq!(receive(&mut poller, to, 2000), pattern(length, 1), "{kind:?}");
            }
            // A system keeps at least so many for who has not asked yet.
            (0..8).for_each(|index| send(&mut poller, from, vec![index; 10 + usize::from(index)]));
            for index in 0..8 {
                assert_eq!(receive(&mut poller, to, 2000), vec![index; 10 + usize::from(index)]);
            }
        }
    }
}

/// [async 212] [async-backends 128] A receiver learns who sent a message, and sends there.
fn whoever_sent_it_can_be_answered(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in DATAGRAMS {
        let ((near, here), (far, there)) = (bound(kind), bound(kind));
        for text in ["question", "another"] {
            let came = begin(&poller.handle().clone(), RecvFrom::new(far.clone(), vec![0; 100]));
            let sent = run(&mut poller, SendTo::new(near.clone(), text.as_bytes(), there));
            assert_eq!(sent.result.unwrap().bytes, text.len());
            let done = end(&mut poller, &came);
            let received = done.result.unwrap();
            assert_eq!((received.sender, received.is_truncated), (here, false), "{kind:?}");
            assert_eq!(&done.operation.target[..received.bytes], text.as_bytes());
            let answer = SendTo::new(far.clone(), b"answer".as_slice(), received.sender);
            run(&mut poller, answer).result.unwrap();
            assert_eq!(receive(&mut poller, &near, 100), b"answer");
        }
    }
    let (far, there) = bound(SocketKind::UnixDatagram);
    run(&mut poller, SendTo::new(socket(SocketKind::UnixDatagram), b"x".as_slice(), there)).result.unwrap();
    let received = run(&mut poller, RecvFrom::new(far, vec![0; 1])).result.unwrap();
    assert_eq!((received.bytes, received.sender), (1, Address::EMPTY), "it has no name");
}

/// [async 212] What finds no room in the memory is lost, and that is told; the next message is whole.
fn what_finds_no_room_is_told_of(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in DATAGRAMS {
        let (near, far) = peers(&mut poller, kind);
        send(&mut poller, &near, pattern(100, 2));
        send(&mut poller, &near, pattern(10, 3));
        for (bytes, is_truncated) in [(10, true), (10, false)] {
            let received = run(&mut poller, RecvFrom::new(far.clone(), vec![0; 10])).result.unwrap();
            assert_eq!((received.bytes, received.is_truncated), (bytes, is_truncated), "{kind:?}");
        }
    }
}

/// [async 212] [async-backends 128] A message is sent from several pieces, and received into several.
fn messages_of_pieces(subject: &IoSubject) {
    let mut poller = subject.open();
    let ((near, _), (far, there)) = (bound(SocketKind::Udp), bound(SocketKind::Udp));
    let pieces: [Vec<u8>; SPANS_MAX] = std::array::from_fn(|index| pattern(index * 3, index as u8));
    let whole = pieces.concat();
    run(&mut poller, SendTo::new(near, pieces, there)).result.unwrap();
    let done = run(&mut poller, RecvFrom::new(far, [vec![0; 5], vec![0; 200]]));
    let received = done.result.unwrap();
    assert_eq!(received.bytes, whole.len());
    assert_eq!(done.operation.target.concat()[..received.bytes], whole);
}

/// [async-backends 128] [async-backends 155] A message may be empty; it is received like any other.
fn empty_messages_are_messages(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in DATAGRAMS {
        let (near, far) = peers(&mut poller, kind);
        for text in ["", "full"] {
            send(&mut poller, &near, text.as_bytes());
        }
        assert_eq!(receive(&mut poller, &far, 10), b"");
        assert_eq!(receive(&mut poller, &far, 10), b"full");
        assert_eq!(far.failure(), None);
        let waiting = begin(&poller.handle().clone(), Recv::new(far, vec![0; 10]));
        send(&mut poller, &near, b"".as_slice());
        assert_eq!(end(&mut poller, &waiting).result.unwrap(), 0);
    }
}

/// [async-backends 128] Messages to where nobody is do not harm a socket that has no peer: it goes on sending, and receives.
fn nobody_there_is_no_failure_of_the_socket(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, here) = bound(SocketKind::Udp);
    let (gone, nowhere) = bound(SocketKind::Udp);
    drop(gone);
    for _ in 0..3 {
        run(&mut poller, SendTo::new(near.clone(), b"anybody?".as_slice(), nowhere)).result.unwrap();
    }
    run(&mut poller, SendTo::new(near.clone(), b"myself".as_slice(), here)).result.unwrap();
    let done = run(&mut poller, RecvFrom::new(near.clone(), vec![0; 10]));
    assert_eq!(done.result.unwrap().sender, here);
    let missing = Address::unix(format!("@weft-cts-nobody-{}", std::process::id())).unwrap();
    let unix = socket(SocketKind::UnixDatagram);
    let done = run(&mut poller, SendTo::new(unix.clone(), b"anybody?".as_slice(), missing));
    assert_eq!(done.result.unwrap_err().code(), Code::Unavailable);
    assert_eq!((near.failure(), unix.failure()), (None, None));
}

/// An address that the socket cannot send to is refused before anything happens.
fn addresses_of_other_families_are_refused(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let foreign = Address::ipv6("::1", 1).unwrap();
    for address in [foreign, Address::EMPTY] {
        let refused =
            handle.submit(SendTo::new(socket(SocketKind::Udp), b"x".as_slice(), address)).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument);
        let connect = weft_io::ops::Connect::new(socket(SocketKind::Tcp), address);
        assert_eq!(handle.submit(connect).unwrap_err().why.code(), Code::InvalidArgument);
    }
}

/// Streams have a peer, and no messages: both kinds of operation are refused there.
fn streams_have_no_messages(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let address = far.local_address().unwrap();
    let handle = poller.handle().clone();
    let refused = handle.submit(SendTo::new(near.clone(), b"x".as_slice(), address)).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    let refused = handle.submit(RecvFrom::new(near.clone(), vec![0; 1])).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    run(&mut poller, Send::new(near, b"as ever".as_slice())).result.unwrap();
    assert_eq!(receive(&mut poller, &far, 10), b"as ever");
}
