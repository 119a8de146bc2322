//! Both ends of all connections on one thread, of one runtime: nobody sleeps, so only the runtime and the kernel count, and
//! the clock of the thread is right on a machine that others use, too.
//!
//! The far ends are those of the servers. The near ends send a message and receive the answer, [`ROUNDS`] times, each
//! connection at its own pace. For one connection that is the shape of the reference's own figures.

use crate::server::{Mode, listener};
use crate::{peers, weft};
use std::net::TcpStream;
use weft_bench::{Figure, Subject, Table, measure_busy};

/// Messages on each connection in one go.
pub const ROUNDS: usize = 16;

/// The ends of a connection.
pub struct Ends {
    pub near: TcpStream,
    pub far: TcpStream,
}

/// What the reference takes for a round trip on io_uring and on epoll, in microseconds.
type Reference = Option<(f64, f64)>;

/// Connections, bytes.
const SHAPES: [(usize, usize, Reference); 4] = [
    (1, 64, Some((15.7, 17.8))),
    (1, 4096, Some((15.8, 19.5))),
    (1, 1 << 16, Some((33.5, 33.4))),
    (32, 64, None),
];

fn pairs(count: usize) -> Vec<Ends> {
    (0..count)
        .map(|_| {
            let (near, far) = pair();
            Ends { near, far }
        })
        .collect()
}

/// The ends of a connection.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = listener();
    let near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    near.set_nodelay(true).expect("a stream of TCP");
    let (far, _) = listener.accept().expect("there is one");
    (near, far)
}

/// The far end of a server on weft.
pub fn mode(bytes: usize) -> Mode {
    Mode::Echo(bytes.max(4096))
}

fn shape(table: &Table, connections: usize, bytes: usize) -> Vec<Figure> {
    let subject =
        |name: &str, run: Box<dyn FnMut()>| Subject::new(name, run).per_call((ROUNDS * connections) as u64);
    let pairs = || pairs(connections);
    let figures = measure_busy(vec![
        subject("weft, callbacks, io_uring", Box::new(weft::within_callbacks("uring", pairs(), bytes))),
        subject("weft, pooled, io_uring", Box::new(weft::within_pooled("uring", pairs(), bytes))),
        subject("weft, futures, io_uring", Box::new(weft::within_futures("uring", pairs(), bytes))),
        subject("weft, callbacks, epoll", Box::new(weft::within_callbacks("epoll", pairs(), bytes))),
        subject("weft, futures, epoll", Box::new(weft::within_futures("epoll", pairs(), bytes))),
        subject("monoio", Box::new(peers::monoio::within(pairs(), bytes))),
        subject("compio", Box::new(peers::compio::within(pairs(), bytes))),
        subject("tokio-uring", Box::new(peers::tokio_uring::within(pairs(), bytes))),
        subject("tokio (epoll)", Box::new(peers::tokio::within(pairs(), bytes))),
    ]);
    // As for servers: runtimes over io_uring, and where there are many connections also tokio, which is the last.
    let peers = if connections > 1 { &figures[5..] } else { &figures[5..8] };
    let best = peers.iter().map(|figure| figure.median_ns).min_by(f64::total_cmp);
    table.group(&format!("both ends on one thread, {connections} x {bytes} B, a message"), &figures, best);
    figures
}

pub fn run(table: &Table) {
    for (connections, bytes, reference) in SHAPES {
        let figures = shape(table, connections, bytes);
        if let Some((ring_us, epoll_us)) = reference {
            for (figure, us) in [(&figures[0], ring_us), (&figures[3], epoll_us)] {
                let ratio = figure.median_ns / (us * 1e3);
                println!("  {} beside the reference's {us} us: {ratio:.2}x", figure.name);
            }
        }
    }
}
