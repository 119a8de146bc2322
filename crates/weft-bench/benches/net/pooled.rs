//! Receiving into pools, by each of its ways: *pooled receive* of `docs/spec/async-backends.md`, *What to measure*.
//!
//! A burst of messages is written to one end of a connection, and then polled for until all of it has come to the other.
//! Both ends are on this thread, so its own time is what counts. The floor reads into one buffer, without waiting.
//!
//! Whole buffers are of [`BUFFER`] bytes, so a long message takes several; those that are used up piece by piece are as much
//! memory in fewer, larger ones. How many completions a message has taken is told
//! behind the times.

use crate::weft::poller;
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft_bench::{Subject, Table, measure_busy};
use weft_io::ops::{PooledRecv, RecvPool, RecvPoolMany};
use weft_io::{
    Access, BufferPool, Capabilities, Config, Consumption, Handle, Operation, Poller, RegionOptions, Slab,
    Socket, SocketKind, open,
};
use weft_sync::Deadline;

/// Bytes of a buffer.
const BUFFER: usize = 4096;
/// How many there are.
const BUFFERS: u32 = 64;
/// How much larger those are that are used up piece by piece.
const LARGER: usize = 16;
/// Bytes of a message, messages of a burst.
const SHAPES: [(usize, usize); 5] = [(64, 1), (64, 16), (1024, 1), (1024, 16), (16 << 10, 2)];

/// How a subject receives.
#[derive(Clone, Copy)]
enum Way {
    /// One piece for each submission.
    Single,
    /// All pieces for one.
    Many,
    /// The same, one behind the other in large buffers.
    Incremental,
}

/// What has come to one connection.
struct Far {
    poller: Poller,
    near: TcpStream,
    bytes: Arc<AtomicUsize>,
    expected: usize,
    /// Since the count was taken last.
    completions: usize,
}

impl Far {
    fn open(backend: &str, removed: Capabilities, way: Way) -> Far {
        let config = Config { allowed: Capabilities::all() - removed, ..Config::new() };
        let poller = match removed.is_empty() {
            true => poller(backend),
            false => open(backend, &config).and_then(|proactor| proactor.into_poller()).expect("it is there"),
        };
        let handle = poller.handle().clone();
        let (near, far) = crate::within::pair();
        let socket = Socket::import(far.into(), SocketKind::Tcp, false).expect("a stream of TCP");
        let (larger, consumption) = match way {
            Way::Single | Way::Many => (1, Consumption::Whole),
            Way::Incremental => (LARGER, Consumption::Incremental),
        };
        let slab = Slab::new(BUFFER * larger, BUFFERS / larger as u32).expect("there is memory");
        let options = RegionOptions { access: Access::WRITE, consumption };
        let region = handle.register_slab_with(&slab, options).expect("it can be known");
        let pool = BufferPool::new(&region).expect("the slab is free");
        let bytes = Arc::new(AtomicUsize::new(0));
        match way {
            Way::Single => receive_one(handle, RecvPool::new(socket, pool), Arc::clone(&bytes)),
            Way::Many | Way::Incremental => receive_many(&handle, socket, pool, Arc::clone(&bytes)),
        }
        Far { poller, near, bytes, expected: 0, completions: 0 }
    }

    fn burst(&mut self, message: &[u8], count: usize) {
        for _ in 0..count {
            self.near.write_all(message).expect("the far end is there");
        }
        self.expected += message.len() * count;
        while self.bytes.load(Ordering::Relaxed) < self.expected {
            self.completions += self.poller.poll(Deadline::NEVER).expect("the kernel polls");
        }
    }
}

fn receive_one(handle: Handle, recv: impl Into<Operation<RecvPool>>, bytes: Arc<AtomicUsize>) {
    let again = handle.clone();
    let recv = recv.into().on_done(move |done| {
        if let Ok(piece) = done.result {
            bytes.fetch_add(piece.bytes, Ordering::Relaxed);
            drop(piece);
            receive_one(again, done.operation, bytes);
        }
    });
    handle.submit(recv).expect("there is room");
}

fn receive_many(handle: &Handle, socket: Socket, pool: BufferPool, bytes: Arc<AtomicUsize>) {
    let count = move |piece: PooledRecv| {
        bytes.fetch_add(piece.bytes, Ordering::Relaxed);
    };
    handle.submit(RecvPoolMany::new(socket, pool, count)).expect("there is room");
}

/// The floor.
fn read(near: &mut TcpStream, far: &mut TcpStream, message: &[u8], count: usize, buffer: &mut [u8]) {
    for _ in 0..count {
        near.write_all(message).expect("the far end is there");
    }
    let mut missing = message.len() * count;
    while missing > 0 {
        match far.read(buffer) {
            Ok(found) => missing -= found,
            Err(why) if why.kind() == ErrorKind::WouldBlock => {}
            Err(why) => panic!("{why}"),
        }
    }
}

pub fn run(table: &Table) {
    let ways = [
        ("weft, one at a time, epoll", "epoll", Way::Single, Capabilities::empty()),
        ("weft, one at a time, io_uring", "uring", Way::Single, Capabilities::empty()),
        ("weft, many, io_uring", "uring", Way::Many, Capabilities::RECEIVE_BUNDLES),
        ("weft, many in bundles, io_uring", "uring", Way::Many, Capabilities::empty()),
        ("weft, many piece by piece, io_uring", "uring", Way::Incremental, Capabilities::empty()),
        ("weft, many piece by piece, epoll", "epoll", Way::Incremental, Capabilities::empty()),
    ];
    for (bytes, count) in SHAPES {
        let message = vec![7; bytes];
        let told: Vec<Cell<(usize, usize)>> = ways.iter().map(|_| Cell::default()).collect();
        let (mut near, mut far) = crate::within::pair();
        far.set_nonblocking(true).expect("a stream of TCP");
        let mut buffer = vec![0; BUFFER];
        let floor = || read(&mut near, &mut far, &message, count, &mut buffer);
        let mut subjects = vec![Subject::new("floor: read", floor).per_call(count as u64)];
        for ((name, backend, way, removed), told) in ways.into_iter().zip(&told) {
            let (mut far, message) = (Far::open(backend, removed, way), &message);
            let run = move || {
                far.burst(message, count);
                let (completions, messages) = told.get();
                told.set((completions + std::mem::take(&mut far.completions), messages + count));
            };
            subjects.push(Subject::new(name, run).per_call(count as u64));
        }
        let figures = measure_busy(subjects);
        table.group(&format!("pooled, bursts of {count} x {bytes} B, a message"), &figures, None);
        for ((name, ..), told) in ways.iter().zip(&told) {
            let (completions, messages) = told.get();
            println!("  {name}: {:.3} completions a message", completions as f64 / messages as f64);
        }
    }
}
