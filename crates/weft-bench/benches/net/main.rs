//! Sockets beside their floor and peers: *What to measure* of `docs/spec/async.md` and `docs/spec/async-backends.md`.
//!
//! `cargo bench -p weft-bench --bench net [part of a name …]`. Floor: a blocking thread for each connection. Peers: monoio,
//! compio and tokio-uring over io_uring, tokio over epoll, all of them on one thread. Marks: the best runtime over io_uring
//! in each shape, and also tokio with many connections.
//!
//! 1. **The client is the same for all**: one blocking thread of `std`, on the last processor of two; each server has the
//!    other one. It writes to all its connections, then reads from all of them.
//! 2. Servers stay for the whole run, asleep in the kernel while others are measured, which happens in turn.
//! 3. Besides the time of a round the processor time of the server is told. Where others work on the machine too, that is
//!    what says something.
//! 4. All listeners, and so all connections, send small segments at once.
//!
//! | file         | what lives there                                   |
//! |--------------|----------------------------------------------------|
//! | `shapes.rs`  | what is timed                                      |
//! | `rounds.rs`  | subjects in turn, with the time of their servers   |
//! | `client.rs`  | rule 1                                             |
//! | `server.rs`  | what a server does, wherever it runs; the floor    |
//! | `weft.rs`    | on weft: by callbacks, into pools, by futures      |
//! | `peers.rs`   | on the other runtimes                              |
//! | `within.rs`  | both ends on one thread                            |
//! | `pooled.rs`  | the ways of receiving into pools                   |

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod pooled;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod shapes;
#[cfg(target_os = "linux")]
mod weft;
#[cfg(target_os = "linux")]
mod within;

#[cfg(target_os = "linux")]
fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()));
    server::pin(server::CLIENT);
    let table = weft_bench::Table::begin("sockets");
    for (name, run) in shapes::ALL {
        if wanted(name) {
            run(&table, name);
        }
    }
    if wanted("within") {
        within::run(&table);
    }
    if wanted("pooled") {
        pooled::run(&table);
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
