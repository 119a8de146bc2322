//! The proactor beside its floor and peers: *What to measure* of `docs/spec/async.md` and `docs/spec/async-backends.md`.
//!
//! `cargo bench -p weft-bench --bench proactor [part of a name …]`. Floor: a bare ring of the same kind in the same run.
//! Peers: tokio-uring and compio. Marks: 60 ns over the floor an operation where operations are all there is; else 0.8 ×
//! the reference's own benchmark on such a machine. What never sleeps is timed by the clock of its thread.
//!
//! | file           | what is timed                                                             |
//! |----------------|---------------------------------------------------------------------------|
//! | `nops.rs`      | operations that do nothing: what everything else costs                      |
//! | `timers.rs`    | thousands of timers                                                        |
//! | `events.rs`    | signals, on this thread and from another                                    |
//! | `sequences.rs` | one operation after the other                                               |
//! | `sources.rs`   | one that speaks among many that do not: event sources, relays               |
//! | `threads.rs`   | what other threads ask of a poll thread                                      |
//! | `idle.rs`      | polls that find nothing, cancels                                            |
//! | `floor.rs`     | the bare ring                                                              |
//! | `peers.rs`     | the other runtimes                                                          |

#[cfg(target_os = "linux")]
mod events;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod nops;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod sequences;
#[cfg(target_os = "linux")]
mod sources;
#[cfg(target_os = "linux")]
mod threads;
#[cfg(target_os = "linux")]
mod timers;

#[cfg(target_os = "linux")]
mod subject {
    use weft_io::{Config, Poller, open};
    use weft_sync::{Code, Deadline};

    /// A mark: 0.8 × what the reference takes, in nanoseconds.
    pub fn beside(reference_us: f64) -> Option<f64> {
        Some(reference_us * 1e3 * 0.8)
    }

    /// A proactor on the calling thread.
    pub fn poller() -> Poller {
        poller_with(&Config::new())
    }

    pub fn poller_with(config: &Config) -> Poller {
        open("uring", config).and_then(|proactor| proactor.into_poller()).expect("the kernel has io_uring")
    }

    /// Polls until so much has ended.
    pub fn poll_until(poller: &mut Poller, count: usize) {
        let mut ended = 0;
        while ended < count {
            ended += poller.poll(Deadline::NEVER).expect("the kernel polls");
        }
    }

    /// One poll that does not wait, and finds nothing that has ended.
    pub fn poll_dry(poller: &mut Poller) {
        let outcome = poller.poll(Deadline::IMMEDIATE);
        assert!(matches!(outcome, Err(why) if why.code() == Code::DeadlineExceeded), "nothing has ended");
    }
}

#[cfg(target_os = "linux")]
fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()));
    type Group = (&'static str, fn(&weft_bench::Table));
    let groups: [Group; 7] = [
        ("nops", nops::run),
        ("timers", timers::run),
        ("events", events::run),
        ("sequences", sequences::run),
        ("sources", sources::run),
        ("threads", threads::run),
        ("idle", idle::run),
    ];
    let description = subject::poller().handle().describe().to_string();
    println!("{description}");
    let table = weft_bench::Table::begin("proactor");
    for (name, run) in groups {
        if wanted(name) {
            run(&table);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
