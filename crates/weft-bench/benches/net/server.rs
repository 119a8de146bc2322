//! What a server does, wherever it runs; and the floor, a blocking thread for each connection.

use rustix::thread::{CpuSet, Pid, gettid, sched_setaffinity};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

/// The processor of servers.
pub const SERVER: usize = 0;
/// The processor of clients.
pub const CLIENT: usize = 1;

/// Bytes of a stream that are answered with one.
pub const ACKNOWLEDGED: usize = 1 << 20;
/// What they are answered with.
pub const ACKNOWLEDGEMENT: &[u8] = b"k";

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is received is sent back, through buffers of this size.
    Echo(usize),
    /// What is received is counted: each [`ACKNOWLEDGED`] bytes are answered with one byte.
    Sink(usize),
    /// It is closed at once.
    Close,
}

impl Mode {
    /// Bytes of a buffer.
    pub fn buffer(self) -> usize {
        match self {
            Mode::Echo(bytes) | Mode::Sink(bytes) => bytes,
            Mode::Close => 0,
        }
    }
}

/// Counts what a stream has brought.
#[derive(Default)]
pub struct Counter(usize);

impl Counter {
    /// How many acknowledgements are due after so many more bytes.
    pub fn add(&mut self, bytes: usize) -> usize {
        self.0 += bytes;
        let due = self.0 / ACKNOWLEDGED;
        self.0 %= ACKNOWLEDGED;
        due
    }
}

/// Keeps the calling thread on a processor, if there is one of that number.
pub fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    // On a machine with one there is nothing to choose.
    let _ = sched_setaffinity(None, &set);
}

/// The threads of a server.
pub type Threads = Arc<Mutex<Vec<Pid>>>;

/// A server that runs, for as long as the program.
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    threads: Threads,
}

/// A listener whose connections send small segments at once.
pub fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    rustix::net::sockopt::set_tcp_nodelay(&listener, true).expect("a listener of TCP");
    listener
}

impl Server {
    /// Starts one: `serve` gets a listener and runs on a thread of its own, for ever.
    pub fn start(name: &'static str, serve: impl FnOnce(TcpListener, Threads) + Send + 'static) -> Server {
        let threads = Threads::default();
        let listener = listener();
        let address = listener.local_addr().expect("it is bound");
        let (begun, wait) = mpsc::channel();
        let told = Arc::clone(&threads);
        std::thread::spawn(move || {
            pin(SERVER);
            told.lock().expect("nobody panics").push(gettid());
            begun.send(()).expect("it is waited for");
            serve(listener, told);
        });
        wait.recv().expect("it starts");
        Server { name, address, threads }
    }

    /// Nanoseconds of a processor that its threads have used.
    pub fn busy_ns(&self) -> u64 {
        let threads = self.threads.lock().expect("nobody panics");
        let of = |thread: &Pid| {
            let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
            // A thread whose connection has ended is gone.
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        threads.iter().map(of).sum()
    }
}

/// The floor.
pub fn threads(mode: Mode) -> impl FnOnce(TcpListener, Threads) + Send + 'static {
    move |listener, threads| {
        while let Ok((stream, _)) = listener.accept() {
            if mode == Mode::Close {
                continue;
            }
            let threads = Arc::clone(&threads);
            std::thread::spawn(move || {
                threads.lock().expect("nobody panics").push(gettid());
                // Who has gone away wants nothing more.
                let _ = converse(stream, mode);
            });
        }
    }
}

fn converse(mut stream: TcpStream, mode: Mode) -> std::io::Result<()> {
    let mut buffer = vec![0; mode.buffer()];
    let mut counter = Counter::default();
    loop {
        let count = stream.read(&mut buffer)?;
        match mode {
            _ if count == 0 => return Ok(()),
            Mode::Echo(_) => stream.write_all(&buffer[..count])?,
            Mode::Sink(_) => {
                for _ in 0..counter.add(count) {
                    stream.write_all(ACKNOWLEDGEMENT)?;
                }
            }
            Mode::Close => return Ok(()),
        }
    }
}
