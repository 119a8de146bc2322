//! What the tests of this crate share: proactors of every configuration, a log, and polling with a failsafe.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weft_io::{Capabilities, Config, Done, Params, Poller, open, open_null};
use weft_sync::{Code, Deadline, Result};

/// One configuration, by name.
pub struct Subject {
    pub name: &'static str,
    pub poller: Poller,
    /// Whether kernel operations are carried out, and not only ended.
    pub is_real: bool,
}

/// Calls `body` with a new proactor of every configuration that this machine has.
pub fn every(body: impl Fn(Subject)) {
    every_with(&Config::new(), body);
}

/// The same, all from this configuration.
pub fn every_with(config: &Config, body: impl Fn(Subject)) {
    real_with(config, &body);
    let poller = open_null(config).into_poller().expect("it needs nothing");
    body(Subject { name: "null", poller, is_real: false });
}

/// Those that carry kernel operations out.
pub fn real(body: impl Fn(Subject)) {
    real_with(&Config::new(), body);
}

pub fn real_with(config: &Config, body: impl Fn(Subject)) {
    let without = |capabilities| Config { allowed: config.allowed - capabilities, ..config.clone() };
    let configurations = [
        ("uring", config.clone()),
        ("uring, second rung", Config { ring_rung: 1, ..config.clone() }),
        ("uring, single issuer", Config { ring_rung: 2, ..config.clone() }),
        ("uring, cooperative", Config { ring_rung: 3, ..config.clone() }),
        ("uring, submit all", Config { ring_rung: 4, ..config.clone() }),
        ("uring, plain", Config { ring_rung: 5, ..config.clone() }),
        ("uring, four entries", Config { ring_entries: 4, ..config.clone() }),
        ("uring, nothing allowed", without(Capabilities::all())),
        ("uring, no links", without(Capabilities::LINKED_OPERATIONS)),
    ];
    let ring = configurations.into_iter().map(|(name, config)| (name, "uring", config));
    let readiness = ["epoll", "poll", "kqueue"].map(|name| (name, name, config.clone()));
    for (name, backend, config) in ring.chain(readiness) {
        match open(backend, &config) {
            Ok(proactor) => {
                let poller = proactor.into_poller().expect("its owner");
                body(Subject { name, poller, is_real: true });
            }
            Err(why) => {
                assert_eq!(why.code(), Code::Unavailable, "{name}: {why}");
                eprintln!("skipped: {name}: {why}");
            }
        }
    }
}

/// What callbacks have seen, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Line>>>);

/// A name, and how it ended: `None` is well.
pub type Line = (&'static str, Option<Code>);

impl Log {
    /// A callback that writes a line.
    pub fn line<P: Params>(&self, name: &'static str) -> impl FnOnce(Done<P>) + Send + 'static {
        let log = self.clone();
        move |done| log.write(name, done.result.as_ref().err().map(|status| status.code()))
    }

    pub fn write(&self, name: &'static str, code: Option<Code>) {
        self.0.lock().unwrap().push((name, code));
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

pub fn after_ms(milliseconds: u64) -> Deadline {
    Deadline::after(Duration::from_millis(milliseconds))
}

/// Polls until `log` has so many lines. Panics after ten seconds.
pub fn poll_until(poller: &mut Poller, mut is_enough: impl FnMut() -> bool) -> usize {
    let limit = soon();
    let mut count = 0;
    while !is_enough() {
        count += poller.poll(limit).expect("something ends in ten seconds");
    }
    count
}

/// Polls without waiting until there is nothing.
pub fn poll_dry(poller: &mut Poller) -> usize {
    let mut count = 0;
    loop {
        match poller.poll(Deadline::IMMEDIATE) {
            Ok(found) => count += found,
            Err(status) => {
                assert_eq!(status.code(), Code::DeadlineExceeded);
                return count;
            }
        }
    }
}

pub const CANCELLED: Option<Code> = Some(Code::Cancelled);

pub fn ok(result: &Result<()>) -> bool {
    result.is_ok()
}

/// For files whose tests count handles or share something else of the process: each test is alone in it.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many handles this process has open.
pub fn handles() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
