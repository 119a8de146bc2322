//! What is timed.

use crate::client::{Client, visit};
use crate::rounds::{Asked, rounds};
use crate::server::{ACKNOWLEDGED, Mode, Server, threads};
use crate::{peers, weft};
use weft_bench::Table;

/// Runtimes over io_uring: the mark of every echo.
const OVER_RINGS: &[&str] = &["monoio", "compio", "tokio-uring"];
/// The mark where there are many connections.
const ALL_PEERS: &[&str] = &["monoio", "compio", "tokio-uring", "tokio (epoll)"];

type Shape = (&'static str, fn(&Table, &str));

pub const ALL: [Shape; 5] = [
    ("echo, 1 x 64 B", |table, name| echo(table, name, 1, 64, OVER_RINGS)),
    ("echo, 32 x 64 B", |table, name| echo(table, name, 32, 64, ALL_PEERS)),
    ("echo, 1 x 64 KiB", |table, name| echo(table, name, 1, 1 << 16, OVER_RINGS)),
    ("one way, 1 MiB in pieces of 64 KiB", one_way),
    ("connect, accept, close, a connection of 32", accept),
];

/// The floor first.
fn servers(mode: Mode) -> Vec<Server> {
    let mut servers = vec![
        Server::start("floor: threads", threads(mode)),
        Server::start("weft, callbacks, io_uring", weft::callbacks("uring", mode)),
        Server::start("weft, futures, io_uring", weft::futures("uring", mode)),
        Server::start("weft, callbacks, epoll", weft::callbacks("epoll", mode)),
        Server::start("weft, futures, epoll", weft::futures("epoll", mode)),
        Server::start("monoio", peers::monoio::serve(mode)),
        Server::start("compio", peers::compio::serve(mode)),
        Server::start("tokio-uring", peers::tokio_uring::serve(mode)),
        Server::start("tokio (epoll)", peers::tokio::serve(mode)),
    ];
    // Else nothing is received.
    if mode != Mode::Close {
        servers.insert(2, Server::start("weft, pooled, io_uring", weft::pooled("uring", mode)));
    }
    servers
}

fn echo(table: &Table, name: &str, connections: usize, bytes: usize, marks: &[&str]) {
    let servers = servers(Mode::Echo(bytes.max(4096)));
    let asked = servers.iter().map(|server| {
        let mut client = Client::new(server.address, connections, bytes);
        client.check();
        Asked { server, per_call: 1, ask: Box::new(move || client.echo()) }
    });
    rounds(table, name, asked.collect(), marks);
}

fn one_way(table: &Table, name: &str) {
    let servers = servers(Mode::Sink(1 << 16));
    let asked = servers.iter().map(|server| {
        let mut client = Client::new(server.address, 1, 1 << 16);
        Asked { server, per_call: 1, ask: Box::new(move || client.stream()) }
    });
    println!("{name}: 100 us are {:.1} GB/s", ACKNOWLEDGED as f64 / 100e-6 / 1e9);
    rounds(table, name, asked.collect(), ALL_PEERS);
}

/// Connections at once.
const VISITORS: usize = 32;

fn accept(table: &Table, name: &str) {
    let servers = servers(Mode::Close);
    let asked = servers.iter().map(|server| Asked {
        server,
        per_call: VISITORS,
        ask: Box::new(move || visit(server.address, VISITORS)),
    });
    rounds(table, name, asked.collect(), ALL_PEERS);
}
