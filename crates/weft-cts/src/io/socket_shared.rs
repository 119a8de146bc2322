//! Sockets that several proactors use at once: what becomes of the waits of one when another closes.

use std::io::Read;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use weft_io::ops::{
    Accept, AcceptMany, Connect, Recv, RecvFrom, RecvMany, RecvPool, RecvPoolMany, Send, SocketClose,
};
use weft_io::{Access, BufferPool, Done, Handle, Operation, Params, Poller, Slab, Socket, SocketKind};
use weft_sync::Code;

use super::connection::{DATAGRAMS, STREAMS, begin, bound, listener, pair, peers, run, socket};
use super::subject::{IoCaps, IoSubject, poll_dry, rounds, soon};

crate::cases! { $ SOCKET_SHARED for_each_io_socket_shared_case of IoSubject {
    a_close_elsewhere_ends_every_wait: IoCaps::KERNEL;
    a_close_elsewhere_ends_a_connect: IoCaps::KERNEL;
    closes_elsewhere_race_with_waits: IoCaps::KERNEL;
    two_proactors_close_at_once: IoCaps::KERNEL;
} }

/// How something ended; `None` is well.
type Ended = Receiver<Option<Code>>;

/// Submits an operation of which only the end is told.
fn wait<P: Params>(handle: &Handle, operation: P) -> Ended {
    let (told, ended) = channel();
    let on_done = move |done: Done<P>| _ = told.send(done.result.err().map(|why| why.code()));
    match handle.submit(Operation::new(operation).on_done(on_done)) {
        Ok(_) => {}
        // It was closed before; the operation comes back, and its callback with it.
        Err(refused) => assert_eq!(refused.why.code(), Code::FailedPrecondition, "{}", refused.why),
    }
    ended
}

/// Polls until it has ended, as what a close ends: cancelled, with the end of the stream, or, if its turn had not come,
/// refused.
#[track_caller]
fn is_closed(poller: &mut Poller, ended: &Ended, what: &str) {
    let limit = soon();
    loop {
        match ended.try_recv() {
            Ok(found) => {
                let is_fine = matches!(found, None | Some(Code::Cancelled | Code::FailedPrecondition));
                return assert!(is_fine, "{what}: {found:?}");
            }
            // Refused.
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let polled = poller.poll(limit);
                assert!(polled.is_ok(), "{what}: {polled:?}");
            }
        }
    }
}

type Wait = fn(&Handle, &Socket) -> Ended;

fn pool(handle: &Handle) -> BufferPool {
    let slab = Slab::new(64, 2).expect("there is memory");
    BufferPool::new(&handle.register_slab(&slab, Access::WRITE).expect("it is registered")).expect("a pool")
}

/// Operations that wait for something to come.
const READERS: [(&str, Wait); 4] = [
    ("recv", |handle, socket| wait(handle, Recv::new(socket.clone(), vec![0; 10]))),
    ("recv many", |handle, socket| wait(handle, RecvMany::new(socket.clone(), vec![0; 10], |_| ()))),
    ("recv pool", |handle, socket| wait(handle, RecvPool::new(socket.clone(), pool(handle)))),
    ("recv pool many", |handle, socket| {
        wait(handle, RecvPoolMany::new(socket.clone(), pool(handle), |_| ()))
    }),
];

const ACCEPTS: [(&str, Wait); 2] = [
    ("accept", |handle, socket| wait(handle, Accept::new(socket.clone()))),
    ("accept many", |handle, socket| wait(handle, AcceptMany::new(socket.clone(), |_| ()))),
];

const RECV_FROM: (&str, Wait) =
    ("recv from", |handle, socket| wait(handle, RecvFrom::new(socket.clone(), vec![0; 10])));

/// More than any socket has room for.
const STUCK_SEND: (&str, Wait) =
    ("send", |handle, socket| wait(handle, Send::new(socket.clone(), vec![0; 16 << 20])));

/// Sockets of every kind with what can wait for them; what else has to stay open meanwhile.
fn waits(poller: &mut Poller, mut each: impl FnMut(&mut Poller, &str, Socket, Wait)) {
    for kind in STREAMS {
        for (name, begin) in READERS.into_iter().chain([STUCK_SEND]) {
            let (near, _far) = pair(poller, kind);
            each(poller, &format!("{kind:?}, {name}"), near, begin);
        }
        for (name, begin) in ACCEPTS {
            let (listener, _) = listener(kind);
            each(poller, &format!("{kind:?}, {name}"), listener, begin);
        }
    }
    for kind in DATAGRAMS {
        for (name, begin) in READERS.into_iter().chain([RECV_FROM]) {
            let (near, _far) = peers(poller, kind);
            each(poller, &format!("{kind:?}, with a peer, {name}"), near, begin);
            let (alone, _) = bound(kind);
            each(poller, &format!("{kind:?}, {name}"), alone, begin);
        }
    }
}

/// [async 228] [async-backends 137] Every kind of wait on every kind of socket ends when another proactor closes it, whether it
/// is the only one, one of several, or behind others, and whether or not the closing proactor waits as well.
fn a_close_elsewhere_ends_every_wait(subject: &IoSubject) {
    let (mut poller, mut other) = (subject.open(), subject.open());
    let (own, others) = (poller.handle().clone(), other.handle().clone());
    for (here, there) in [(0, 1), (1, 1), (2, 1), (0, 2), (2, 3)] {
        waits(&mut poller, |poller, name, socket, begin| {
            let what = format!("{name}: {here} here, {there} there");
            let here: Vec<Ended> = (0..here).map(|_| begin(&own, &socket)).collect();
            let there: Vec<Ended> = (0..there).map(|_| begin(&others, &socket)).collect();
            poll_dry(poller);
            poll_dry(&mut other);
            run(poller, SocketClose::new(socket)).result.unwrap();
            here.iter().for_each(|ended| is_closed(poller, ended, &what));
            there.iter().for_each(|ended| is_closed(&mut other, ended, &what));
        });
    }
    assert_eq!((poll_dry(&mut poller), poll_dry(&mut other)), (0, 0));
}

/// [async 228] [async-backends 137] A connect that nobody answers ends, too.
fn a_close_elsewhere_ends_a_connect(subject: &IoSubject) {
    let (mut poller, mut other) = (subject.open(), subject.open());
    let (listener, address) = bound(SocketKind::Tcp);
    listener.listen(1).unwrap();
    let handle = other.handle().clone();
    let sockets: Vec<Socket> = (0..6).map(|_| socket(SocketKind::Tcp)).collect();
    let connects: Vec<Ended> =
        sockets.iter().map(|near| wait(&handle, Connect::new(near.clone(), address))).collect();
    poll_dry(&mut other);
    let waiting = connects.iter().zip(sockets).filter_map(|(ended, near)| match ended.try_recv() {
        Ok(_) => None,
        Err(_) => Some((ended, near)),
    });
    let waiting: Vec<_> = waiting.collect();
    assert!(!waiting.is_empty(), "there is no room for all of them");
    for (ended, near) in waiting {
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        is_closed(&mut other, ended, "connect");
    }
}

/// [async 228] [async-backends 137] [async-backends 205] A close at any moment of the life of another proactor's wait, which is
/// submitted, begun, armed or woken just then: it ends, and the socket is closed for its peer.
fn closes_elsewhere_race_with_waits(subject: &IoSubject) {
    let mut poller = subject.open();
    let (give, take) = channel::<(Socket, Wait, String)>();
    let there = subject.clone();
    let other = std::thread::spawn(move || {
        let mut other = there.open();
        let handle = other.handle().clone();
        for (socket, begin, what) in take {
            let ended = begin(&handle, &socket);
            drop(socket);
            is_closed(&mut other, &ended, &what);
        }
        assert_eq!(poll_dry(&mut other), 0);
    });
    let handle = poller.handle().clone();
    for round in 0..rounds(600) {
        let (near, end, (name, begin)) = match round % 4 {
            0 => {
                let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
                (
                    Socket::import(near.into(), SocketKind::UnixStream, false).unwrap(),
                    Some(far),
                    READERS[round / 4 % 4],
                )
            }
            1 => (bound(SocketKind::Udp).0, None, RECV_FROM),
            2 => (listener(STREAMS[round / 4 % 3]).0, None, ACCEPTS[round / 8 % 2]),
            _ => (bound(SocketKind::UnixDatagram).0, None, READERS[round / 4 % 4]),
        };
        let own = (round / 16 % 2 == 0).then(|| begin(&handle, &near));
        let closing = near.clone();
        give.send((near, begin, format!("round {round}, {name}"))).unwrap();
        (0..round % 50 * 40).for_each(|_| std::hint::spin_loop());
        run(&mut poller, SocketClose::new(closing)).result.unwrap();
        if let Some(own) = own {
            is_closed(&mut poller, &own, "its own");
        }
        if let Some(mut end) = end {
            assert_eq!(end.read(&mut [0]).unwrap(), 0, "nobody keeps it open");
        }
    }
    drop(give);
    other.join().unwrap();
}

/// [async 228] [async-backends 137] Two proactors that wait for a socket close it at the same time: both waits end, and both
/// closes, well.
fn two_proactors_close_at_once(subject: &IoSubject) {
    let both = std::sync::Barrier::new(2);
    let (near, far): (Vec<Socket>, Vec<Socket>) = {
        let mut poller = subject.open();
        (0..rounds(200)).map(|_| pair(&mut poller, SocketKind::UnixStream)).unzip()
    };
    let close_all = || {
        let mut poller = subject.open();
        let handle = poller.handle().clone();
        for socket in &near {
            let ended = wait(&handle, Recv::new(socket.clone(), vec![0; 1]));
            both.wait();
            let closed = begin(&handle, SocketClose::new(socket.clone()));
            is_closed(&mut poller, &ended, "recv");
            let limit = soon();
            while let Err(TryRecvError::Empty) = closed.try_recv() {
                poller.poll(limit).expect("it ends in time");
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(close_all);
        close_all();
    });
    let mut poller = subject.open();
    for far in far {
        assert_eq!(run(&mut poller, Recv::new(far, vec![0; 1])).result.unwrap(), 0);
    }
}
