//! What an operation costs the heap once it exists: nothing.

#![allow(unsafe_code, reason = "counts allocations by standing in for the allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use support::{Subject, every, real};
use weft_io::ops::{
    Connect, EventWait, FileRead, Message, Nop, NotificationWait, PooledRecv, Recv, RecvFrom, RecvPool,
    RecvPoolMany, SemaphoreSignal, SemaphoreWait, Send, SendTo, Sequence, Step, Timer,
};
use weft_io::{
    Access, Address, BufferPool, Consumption, Event, File, Notification, Operation, Params, RegionOptions,
    Slab, Socket, SocketKind, SocketOptions, WAKE_ALL,
};
use weft_sync::{Deadline, Point, Semaphore};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(address, layout) }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(address, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Submits the same operation again and again, each time after it has come back, and counts what 500 times allocated; the
/// least of several counts, for threads of the test's harness allocate too. `before` changes it for its next turn; `after` makes it end.
fn allocations<P: Params>(
    subject: &mut Subject,
    operation: P,
    mut before: impl FnMut(&mut P),
    mut after: impl FnMut(),
) -> u64 {
    let handle = subject.poller.handle().clone();
    let (back, came) = sync_channel(1);
    let mut operation = Operation::new(operation);
    let (mut least, mut counted) = (u64::MAX, 0);
    for round in 0..5_000 {
        if round % 500 == 0 {
            let now = ALLOCATIONS.load(Ordering::Relaxed);
            // The first round is where spares are made.
            if round > 500 {
                least = least.min(now - counted);
            }
            if least == 0 {
                break;
            }
            counted = now;
        }
        before(&mut operation);
        let back = back.clone();
        let ready = operation.on_done(move |done| {
            done.result.expect("it ends well");
            back.send(done.operation).expect("somebody waits for it");
        });
        handle.submit(ready).expect("there is room");
        after();
        operation = loop {
            match came.try_recv() {
                Ok(operation) => break operation,
                Err(_) => {
                    subject.poller.poll(Deadline::NEVER).expect("it ends");
                }
            }
        };
    }
    least
}

fn software(subject: &mut Subject) {
    let name = subject.name;
    let expect_none = |kind: &str, count: u64| assert_eq!(count, 0, "{kind} on {name}");
    expect_none("nop", allocations(subject, Nop, |_| (), || ()));
    let timer = Timer { deadline: Deadline::IMMEDIATE };
    expect_none("timer", allocations(subject, timer, |_| (), || ()));

    let changed = Arc::new(Notification::new());
    let wait = NotificationWait::new(Arc::clone(&changed));
    let count = allocations(subject, wait, |_| (), || assert!(changed.signal(WAKE_ALL)));
    expect_none("notification", count);

    let timeline = Arc::new(Semaphore::new(0));
    let wait = SemaphoreWait::all([Point { semaphore: Arc::clone(&timeline), value: 0 }]);
    let (mut wanted, mut reached) = (0, 0);
    let next = |wait: &mut SemaphoreWait| {
        wanted += 1;
        wait.points[0].value = wanted;
    };
    let count = allocations(subject, wait, next, || {
        reached += 1;
        timeline.signal(reached).unwrap();
    });
    expect_none("semaphore wait", count);

    let ahead = Arc::new(Semaphore::new(0));
    let signal = SemaphoreSignal::new([Point { semaphore: ahead, value: 0 }]);
    let count = allocations(subject, signal, |signal| signal.points[0].value += 1, || ());
    expect_none("semaphore signal", count);

    let message = Message { target: subject.poller.handle().clone(), payload: 1 };
    expect_none("message", allocations(subject, message, |_| (), || ()));

    let sequence = Sequence::new(vec![Step::new(Nop), Step::new(timer), Step::new(Nop)]);
    expect_none("sequence", allocations(subject, sequence, |_| (), || ()));
}

/// What is received comes from a socket of the standard library.
fn sockets(subject: &mut Subject) {
    let name = subject.name;
    let socket = Socket::new(SocketKind::Udp, SocketOptions::empty()).unwrap();
    socket.bind(&Address::ipv4("127.0.0.1", 0).unwrap()).unwrap();
    let own = socket.local_address().unwrap();
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tell = || assert_eq!(other.send_to(b"1234567890", own.to_socket_addr().unwrap()).unwrap(), 10);
    let recv = Recv::new(socket.clone(), vec![0; 100]);
    assert_eq!(allocations(subject, recv, |_| (), tell), 0, "receive on {name}");
    let recv = Recv::new(socket.clone(), [vec![0; 5], vec![0; 5]]);
    assert_eq!(allocations(subject, recv, |_| (), tell), 0, "receive of pieces on {name}");
    let recv = RecvFrom::new(socket.clone(), vec![0; 100]);
    assert_eq!(allocations(subject, recv, |_| (), tell), 0, "receive from on {name}");
    // Nobody receives any more: what finds no room is lost.
    let send = SendTo::new(socket.clone(), b"1234567890".as_slice(), own);
    assert_eq!(allocations(subject, send, |_| (), || ()), 0, "send to on {name}");
    let connect = Connect::new(socket.clone(), own);
    assert_eq!(allocations(subject, connect, |_| (), || ()), 0, "connect on {name}");
    let send = Send::new(socket, [b"12345".as_slice(), b"67890"]);
    assert_eq!(allocations(subject, send, |_| (), || ()), 0, "send on {name}");
}

/// What comes into pools, in whole buffers, several of them at once, and in pieces.
fn pools(subject: &mut Subject) {
    for consumption in [Consumption::Whole, Consumption::Incremental] {
        let name = format!("{consumption:?} on {}", subject.name);
        let options = RegionOptions { access: Access::WRITE, consumption };
        let region =
            subject.poller.handle().register_slab_with(&Slab::new(64, 16).unwrap(), options).unwrap();
        let pool = BufferPool::new(&region).unwrap();
        let stream = || {
            let (near, far) = UnixStream::pair().unwrap();
            (near, Socket::import(far.into(), SocketKind::UnixStream, false).expect("it is a stream"))
        };
        let (mut near, socket) = stream();
        let once = RecvPool::new(socket, pool.clone());
        let count = allocations(subject, once, |_| (), || near.write_all(b"1234567890").unwrap());
        assert_eq!(count, 0, "one piece, {name}");
        let (mut near, socket) = stream();
        assert_eq!(allocations_of_many(subject, socket, pool, &mut near), 0, "many pieces, {name}");
    }
}

/// What 500 messages, each of several buffers, allocate in one receive that goes on; the least of several counts.
fn allocations_of_many(
    subject: &mut Subject,
    socket: Socket,
    pool: BufferPool,
    near: &mut UnixStream,
) -> u64 {
    let came = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&came);
    let count = move |piece: PooledRecv| {
        counts.fetch_add(piece.bytes, Ordering::Relaxed);
    };
    subject.poller.handle().submit(RecvPoolMany::new(socket, pool, count)).unwrap();
    let (message, mut sent, mut least) = ([7; 330], 0, u64::MAX);
    for _ in 0..10 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..500 {
            near.write_all(&message).unwrap();
            sent += message.len();
            while came.load(Ordering::Relaxed) < sent {
                subject.poller.poll(Deadline::NEVER).expect("it comes");
            }
        }
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
        if least == 0 {
            break;
        }
    }
    least
}

/// [async 244] [async-backends 28] One test: the count is of the whole process.
#[test]
fn submitting_and_ending_allocates_nothing() {
    every(|mut subject| software(&mut subject));
    real(|mut subject| {
        let event = Event::new().unwrap();
        let wait = EventWait { event: event.clone() };
        assert_eq!(allocations(&mut subject, wait, |_| (), || event.set()), 0, "{}", subject.name);
        let file = File::import(std::fs::File::open("/proc/self/exe").unwrap()).unwrap();
        let read = FileRead::new(file.clone(), 0, vec![0; 4096]);
        let next = |read: &mut FileRead<Vec<u8>>| read.offset = (read.offset + 4096) % (1 << 20);
        assert_eq!(allocations(&mut subject, read, next, || ()), 0, "{}, reads", subject.name);
        let pieces = FileRead::new(file, 0, [vec![0; 100], vec![0; 100]]);
        assert_eq!(allocations(&mut subject, pieces, |_| (), || ()), 0, "{}, pieces", subject.name);
        sockets(&mut subject);
        pools(&mut subject);
    });
}
