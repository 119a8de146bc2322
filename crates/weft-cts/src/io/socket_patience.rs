//! Sockets that are not ready after all: somebody else took what had come, or they say that they are ready and are not.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use weft_io::ops::{Accept, AcceptMany, Connect, Recv, RecvFrom, Send, SendTo};
use weft_io::{Pieces, Poller, Socket, SocketKind};
use weft_sync::Code;

use super::connection::{begin, bound, end, listener, run, socket};
use super::subject::{CANCELLED, IoCaps, IoSubject, Log, after_ms, poll_dry, poll_until, submit};

crate::cases! { $ SOCKET_PATIENCE for_each_io_socket_patience_case of IoSubject {
    accepts_wait_on_when_others_are_quicker: IoCaps::KERNEL;
    receives_wait_on_when_others_are_quicker: IoCaps::KERNEL;
    sends_wait_on_when_others_are_quicker: IoCaps::KERNEL;
    a_full_queue_of_datagrams_is_waited_for: IoCaps::KERNEL;
    a_send_before_the_connect_spoils_nothing: IoCaps::KERNEL;
} }

/// More than the kernel tries by itself.
const TIMES: usize = 300;

/// Polls for so long, and returns what of it the thread was busy.
fn poll_for(poller: &mut Poller, time: Duration) -> Duration {
    // The first number is the thread's time on a processor, in nanoseconds.
    let busy = || {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let first = told.split_whitespace().next().and_then(|text| text.parse().ok());
        Duration::from_nanos(first.unwrap_or(0))
    };
    let (before, start) = (busy(), Instant::now());
    while start.elapsed() < time {
        let _ = poller.poll(after_ms(20));
    }
    busy() - before
}

/// [async-backends 139] An accept, of one connection or of many, that finds again and again that somebody else has the
/// connection, is no failure: it goes on, and gets the next that nobody else takes.
pub fn accepts_wait_on_when_others_are_quicker(subject: &IoSubject) {
    for is_many in [false, true] {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        let ours = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = ours.local_addr().expect("it is bound");
        let shared = ours.try_clone().expect("there are handles left");
        let listener = Socket::import(shared.into(), SocketKind::Tcp, false).expect("it is one");
        let (log, accepted) = (Log::default(), Log::default());
        let accept = || {
            let write = accepted.clone();
            match is_many {
                true => {
                    let on_accepted = move |_| write.write("accepted", None);
                    submit(&handle, AcceptMany::new(listener.clone(), on_accepted), &log, "accept")
                }
                false => submit(&handle, Accept::new(listener.clone()), &log, "accept"),
            }
        };
        accept();
        poll_dry(&mut poller);
        for _ in 0..TIMES {
            let near = TcpStream::connect(address).expect("it listens");
            let taken = ours.accept();
            poll_dry(&mut poller);
            // Now and then it is quicker after all, and told so in a moment.
            match log.take()[..] {
                [] => {}
                [("accept", None)] if !is_many => _ = accept(),
                ref other => panic!("many: {is_many}: {other:?}"),
            }
            drop((near, taken));
        }
        accepted.take();
        let near = TcpStream::connect(address).expect("it listens");
        poll_until(&mut poller, || log.len() + accepted.len() > 0);
        assert!(log.take().iter().all(|&(_, code)| code.is_none()));
        drop(near);
    }
}

/// [async-backends 139] The same of receives, of one piece and of two, with the address of the sender and without.
pub fn receives_wait_on_when_others_are_quicker(subject: &IoSubject) {
    for kind in 0..4 {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        let ours = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = ours.local_addr().expect("it is bound");
        let shared = ours.try_clone().expect("there are handles left");
        let socket = Socket::import(shared.into(), SocketKind::Udp, false).expect("it is one");
        let log = Log::default();
        let receive = || {
            let (one, two) = (vec![0; 10], [vec![0; 4], vec![0; 4]]);
            match kind {
                0 => submit(&handle, Recv::new(socket.clone(), one), &log, "receive"),
                1 => submit(&handle, Recv::new(socket.clone(), two), &log, "receive"),
                2 => submit(&handle, RecvFrom::new(socket.clone(), one), &log, "receive"),
                _ => submit(&handle, RecvFrom::new(socket.clone(), two), &log, "receive"),
            }
        };
        receive();
        poll_dry(&mut poller);
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        for _ in 0..TIMES {
            sender.send_to(b"x", address).expect("there is room");
            let _ = ours.recv(&mut [0; 4]);
            poll_dry(&mut poller);
            // Now and then it is quicker after all, and told so in a moment.
            match log.take()[..] {
                [] => {}
                [("receive", None)] => _ = receive(),
                ref other => panic!("kind {kind}: {other:?}"),
            }
        }
        sender.send_to(b"x", address).expect("there is room");
        poll_until(&mut poller, || !log.is_empty());
        assert_eq!(log.take_names(), ["receive"]);
        assert_eq!(socket.failure(), None);
    }
}

/// [async-backends 139] The same of a send whose place others fill before it comes.
pub fn sends_wait_on_when_others_are_quicker(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = UnixDatagram::pair().expect("there are handles left");
    let other = near.try_clone().expect("there are handles left");
    let socket = Socket::import(near.into(), SocketKind::UnixDatagram, false).expect("it is one");
    let fill = || while other.send(b"x").is_ok() {};
    fill();
    let log = Log::default();
    let send = || {
        let pieces = Pieces(vec![b"pie".to_vec(), b"ces".to_vec()]);
        submit(&handle, Send::new(socket.clone(), pieces), &log, "send")
    };
    send();
    poll_dry(&mut poller);
    for _ in 0..TIMES {
        far.recv(&mut [0; 10]).expect("it is full");
        fill();
        poll_dry(&mut poller);
        // Now and then it is quicker after all.
        match log.take()[..] {
            [] => {}
            [("send", None)] => _ = send(),
            ref other => panic!("{other:?}"),
        }
    }
    far.set_nonblocking(true).expect("it can be");
    let mut got = vec![];
    poll_until(&mut poller, || {
        let mut text = [0; 10];
        while let Ok(count) = far.recv(&mut text) {
            got.push(text[..count].to_vec());
        }
        // Whoever waits for room is told of it once more.
        handle.wake();
        !log.is_empty()
    });
    while let Ok(count) = far.recv(&mut [0; 10]) {
        got.push(vec![0; count]);
    }
    assert_eq!(log.take_names(), ["send"]);
    assert_eq!(got.last().map(Vec::len), Some(6));
    assert_eq!(socket.failure(), None);
}

/// Messages to a socket of this machine whose queue is full wait until there is room, although the sender is ready at all
/// times; nobody is kept busy meanwhile, and they can be cancelled.
pub fn a_full_queue_of_datagrams_is_waited_for(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (receiver, address) = bound(SocketKind::UnixDatagram);
    let sender = socket(SocketKind::UnixDatagram);
    let log = Log::default();
    let mut sent = 0;
    let last = loop {
        let ticket = submit(&handle, SendTo::new(sender.clone(), vec![7; 100], address), &log, "send");
        poll_for(&mut poller, Duration::from_millis(2));
        if log.is_empty() {
            break ticket;
        }
        assert_eq!(log.take_names(), ["send"], "after {sent}");
        sent += 1;
        assert!(sent < 100_000, "the system's limit is far below that");
    };
    let time = Duration::from_millis(300);
    let busy = poll_for(&mut poller, time);
    assert_eq!(log.take(), [], "it waits");
    // Who spins is busy all the time; asking again every few milliseconds takes half of an emulated processor.
    assert!(busy < time * 4 / 5, "busy for {busy:?} of {time:?}");
    let received = run(&mut poller, RecvFrom::new(receiver.clone(), vec![0; 200]));
    assert_eq!(received.result.expect("it is full").bytes, 100);
    poll_until(&mut poller, || !log.is_empty());
    assert_eq!(log.take_names(), ["send"]);
    let _ = handle.cancel(last);
    let again = submit(&handle, SendTo::new(sender.clone(), vec![8; 100], address), &log, "again");
    poll_for(&mut poller, Duration::from_millis(20));
    assert_eq!(log.take(), [], "it is full again");
    handle.cancel(again).expect("it is under way");
    poll_until(&mut poller, || !log.is_empty());
    assert_eq!(log.take(), [("again", CANCELLED)]);
    assert_eq!(sender.failure(), None);
    // One that waits ends with the proactor.
    submit(&handle, SendTo::new(sender, vec![8; 100], address), &log, "at the end");
    poll_for(&mut poller, Duration::from_millis(20));
    drop(poller);
    assert_eq!(log.take(), [("at the end", CANCELLED)]);
}

/// A send on a socket that is not connected yet fails, and that is all: after the connect everything is as it should be.
pub fn a_send_before_the_connect_spoils_nothing(subject: &IoSubject) {
    let mut poller = subject.open();
    for kind in [SocketKind::Tcp, SocketKind::Tcp6, SocketKind::UnixStream] {
        let near = socket(kind);
        let early = run(&mut poller, Send::new(near.clone(), b"early".to_vec()));
        assert_eq!(early.result.expect_err("nobody is there").code(), Code::FailedPrecondition, "{kind:?}");
        assert_eq!(near.failure(), None, "{kind:?}");
        let (listener, address) = listener(kind);
        let handle = poller.handle().clone();
        let accepted = begin(&handle, Accept::new(listener));
        run(&mut poller, Connect::new(near.clone(), address)).result.expect("somebody listens");
        let far = end(&mut poller, &accepted).result.expect("somebody connects").socket;
        let sent = run(&mut poller, Send::new(near.clone(), b"in time".to_vec()));
        assert_eq!(sent.result.expect("there is a peer").bytes, 7, "{kind:?}");
        // A pipe that breaks is still one.
        drop(far);
        let mut sends = 0;
        while near.failure().is_none() {
            let _ = run(&mut poller, Send::new(near.clone(), vec![0; 1000]));
            sends += 1;
            assert!(sends < 100_000, "{kind:?}: the peer is gone");
        }
    }
}
