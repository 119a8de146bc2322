//! What cases for proactors run on: configurations, and shorthands for polling and for writing down what ended.
//!
//! 1. A subject is a configuration, not a proactor: a case opens as many as it wants, each of them fresh.
//! 2. Whether a configuration can be had is found out once in a process. If not, all of its cases are skipped, and say so.
//! 3. Nothing waits without a limit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use weft_io::ops::Timer;
use weft_io::{Capabilities, Config, Done, Handle, Operation, Params, Poller, Proactor, Ticket, open};
use weft_sync::{Code, Deadline, Point, Result, Semaphore};

use crate::case::Tested;

bitflags::bitflags! {
    /// What a case needs and a configuration has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct IoCaps: u32 {
        /// Kernel operations are carried out, and not only ended.
        const KERNEL = 1 << 0;
        /// Futex operations are accepted.
        const FUTEX = 1 << 1;
        /// Sends without a copy are allowed.
        const ZERO_COPY = 1 << 2;
        /// Many completions for one submission are allowed.
        const MULTISHOT = 1 << 3;
        /// The submission ring has four entries.
        const TINY_RING = 1 << 4;
        /// The backend has a ring, of any size.
        const RING = 1 << 5;
    }
}

impl IoCaps {
    /// Every configuration will do.
    pub const NONE: IoCaps = IoCaps::empty();
}

/// A configuration under test.
#[derive(Clone, Debug)]
pub struct IoSubject {
    /// For messages.
    pub name: &'static str,
    /// What it can do.
    pub has: IoCaps,
    backend: &'static str,
    config: Config,
    /// Proactors are made on a thread other than the one that polls.
    is_handed_over: bool,
}

/// io_uring with everything that the kernel has.
pub fn uring() -> IoSubject {
    without("uring", Capabilities::empty())
}

/// io_uring without sends that copy nothing: they are plain sends. Nothing else differs from `uring`.
pub fn uring_no_zerocopy() -> IoSubject {
    without("uring_no_zerocopy", Capabilities::ZERO_COPY_SEND)
}

/// io_uring that accepts and receives once for each submission. Nothing else differs from `uring`.
pub fn uring_no_multishot() -> IoSubject {
    without("uring_no_multishot", Capabilities::MULTISHOT)
}

/// io_uring without messages between rings. The backend makes no use of them, so this differs from `uring` in the mask
/// alone: it shows that the bit changes nothing.
pub fn uring_no_messaging() -> IoSubject {
    without("uring_no_messaging", Capabilities::PROACTOR_MESSAGING)
}

/// io_uring as before kernel 6.7, where operations with futexes are concerned: they are refused.
pub fn uring_no_futex() -> IoSubject {
    without("uring_no_futex", Capabilities::FUTEX_OPERATIONS)
}

/// io_uring as far back as this kernel can be brought: a ring without any flag, and none of the capabilities that came
/// after the oldest kernel that is supported. Futexes stay, as they cannot be done without. Requests that are made
/// either way are carried out by this kernel, not by an old one; only an old one would show the rest.
pub fn uring_minimal() -> IoSubject {
    let newer = Capabilities::MULTISHOT
        | Capabilities::ZERO_COPY_SEND
        | Capabilities::ZERO_COPY_REPORT
        | Capabilities::PROVIDED_BUFFERS
        | Capabilities::RECEIVE_BUNDLES
        | Capabilities::FIXED_FILES
        | Capabilities::INCREMENTAL_BUFFERS;
    let mut subject = without("uring_minimal", newer);
    subject.config.ring_rung = 5;
    subject
}

/// io_uring with a mask that allows nothing.
pub fn uring_nothing_allowed() -> IoSubject {
    without("uring_nothing_allowed", Capabilities::from_bits_retain(u32::MAX))
}

/// io_uring without chains in the kernel.
pub fn uring_no_links() -> IoSubject {
    without("uring_no_links", Capabilities::LINKED_OPERATIONS)
}

/// io_uring with deferred work and an index array.
pub fn uring_rung_1() -> IoSubject {
    on_rung("uring_rung_1", 1)
}

/// io_uring with a single issuer, without deferred work.
pub fn uring_rung_2() -> IoSubject {
    on_rung("uring_rung_2", 2)
}

/// io_uring without a single issuer.
pub fn uring_rung_3() -> IoSubject {
    on_rung("uring_rung_3", 3)
}

/// io_uring that interrupts, but does not stop at a bad entry.
pub fn uring_rung_4() -> IoSubject {
    on_rung("uring_rung_4", 4)
}

/// io_uring without any flag.
pub fn uring_rung_5() -> IoSubject {
    on_rung("uring_rung_5", 5)
}

/// io_uring with room for four entries: both queues overflow all the time.
pub fn uring_tiny() -> IoSubject {
    let mut subject = without("uring_tiny", Capabilities::empty());
    subject.config.ring_entries = 4;
    subject.has |= IoCaps::TINY_RING;
    subject
}

/// io_uring, made on one thread and polled on another.
pub fn uring_cross_thread() -> IoSubject {
    IoSubject { is_handed_over: true, ..without("uring_cross_thread", Capabilities::empty()) }
}

/// Readiness by epoll.
pub fn epoll() -> IoSubject {
    readiness("epoll")
}

/// Readiness by `poll(2)`.
pub fn poll() -> IoSubject {
    readiness("poll")
}

/// No kernel: its operations end at once.
pub fn null() -> IoSubject {
    let has = IoCaps::ZERO_COPY | IoCaps::MULTISHOT | IoCaps::FUTEX;
    IoSubject { name: "null", has, backend: "null", config: Config::new(), is_handed_over: false }
}

fn without(name: &'static str, removed: Capabilities) -> IoSubject {
    let allowed = Capabilities::from_bits_retain(!removed.bits());
    let mut has = IoCaps::KERNEL | IoCaps::RING;
    has.set(IoCaps::ZERO_COPY, !removed.contains(Capabilities::ZERO_COPY_SEND));
    has.set(IoCaps::MULTISHOT, !removed.contains(Capabilities::MULTISHOT));
    has.set(IoCaps::FUTEX, !removed.contains(Capabilities::FUTEX_OPERATIONS));
    let config = Config { allowed, ..Config::new() };
    IoSubject { name, has, backend: "uring", config, is_handed_over: false }
}

/// Operations by attempts: many completions for one submission are made of many attempts, futexes are nobody's.
fn readiness(name: &'static str) -> IoSubject {
    let has = IoCaps::KERNEL | IoCaps::MULTISHOT;
    IoSubject { name, has, backend: name, config: Config::new(), is_handed_over: false }
}

fn on_rung(name: &'static str, ring_rung: usize) -> IoSubject {
    let mut subject = without(name, Capabilities::empty());
    subject.config.ring_rung = ring_rung;
    subject
}

impl Tested for IoSubject {
    type Caps = IoCaps;

    fn name(&self) -> &'static str {
        self.name
    }

    fn has(&self) -> IoCaps {
        let mut has = self.has;
        // Older kernels have less, whatever the mask says. The null backend has no kernel.
        if self.has.contains(IoCaps::KERNEL)
            && let Ok(proactor) = open(self.backend, &self.config)
        {
            let found = proactor.handle().capabilities();
            has.set(IoCaps::FUTEX, found.contains(Capabilities::FUTEX_OPERATIONS));
            has.set(IoCaps::ZERO_COPY, found.contains(Capabilities::ZERO_COPY_SEND));
            has.set(IoCaps::MULTISHOT, found.contains(Capabilities::MULTISHOT));
        }
        has
    }

    fn why_missing(&self) -> Option<String> {
        // Rule 2.
        static KNOWN: Mutex<BTreeMap<&str, Option<String>>> = Mutex::new(BTreeMap::new());
        let mut known = lock(&KNOWN);
        let found = known.entry(self.name).or_insert_with(|| match open(self.backend, &self.config) {
            Ok(_) => None,
            Err(why) if why.code() == Code::Unavailable => Some(why.to_string()),
            Err(why) => panic!("{}: {why}", self.name),
        });
        found.clone()
    }
}

impl IoSubject {
    /// What proactors of this subject are made with.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// A proactor, polled by this thread.
    pub fn open(&self) -> Poller {
        self.open_with(|_| {})
    }

    /// A proactor with changes to its configuration, polled by this thread.
    pub fn open_with(&self, change: impl FnOnce(&mut Config)) -> Poller {
        self.proactor_with(change).into_poller().expect("nobody else polls it")
    }

    /// A proactor that nobody polls yet.
    pub fn proactor(&self) -> Proactor {
        self.proactor_with(|_| {})
    }

    /// A proactor with changes to its configuration that nobody polls yet.
    pub fn proactor_with(&self, change: impl FnOnce(&mut Config)) -> Proactor {
        let mut config = self.config();
        change(&mut config);
        let backend = self.backend;
        let make = move || open(backend, &config).unwrap_or_else(|why| panic!("{backend}: {why}"));
        match self.is_handed_over {
            true => std::thread::spawn(make).join().expect("the proactor is made"),
            false => make(),
        }
    }
}

/// Divides the rounds of races further, for those who run the suite many times.
const FEWER_ROUNDS: &str = "WEFT_CTS_FEWER_ROUNDS";

/// How often a race is run: as often as told, or less where each round takes much longer, or the whole is repeated.
pub fn rounds(count: usize) -> usize {
    static DIVISOR: OnceLock<usize> = OnceLock::new();
    let divisor = *DIVISOR.get_or_init(|| {
        let told = std::env::var(FEWER_ROUNDS).ok().and_then(|text| text.parse().ok());
        let own = match () {
            () if cfg!(tsan) => 100,
            () if cfg!(debug_assertions) => 10,
            () => 1,
        };
        told.unwrap_or(1_usize).max(1) * own
    });
    (count / divisor).max(20)
}

/// How long anything may take: beyond that it is stuck, and the case fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(if cfg!(tsan) { 100 } else { 20 });

/// The deadline of every wait for what must come.
pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// The deadline in so many milliseconds.
pub fn after_ms(milliseconds: u64) -> Deadline {
    Deadline::after(Duration::from_millis(milliseconds))
}

/// Locks, also what another test's panic has left.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A timer.
pub fn timer(deadline: Deadline) -> Operation<Timer> {
    Operation::new(Timer { deadline })
}

/// A new timeline.
pub fn timeline() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// A point on a timeline.
pub fn point(semaphore: &Arc<Semaphore>, value: u64) -> Point {
    Point { semaphore: Arc::clone(semaphore), value }
}

/// Submits, and writes down under this name how it ended.
#[track_caller]
pub fn submit<P: Params>(
    handle: &Handle,
    operation: impl Into<Operation<P>>,
    log: &Log,
    name: &'static str,
) -> Ticket {
    handle.submit(operation.into().on_done(log.line(name))).expect("there is room")
}

/// A callback that counts, however its operation ended.
pub fn counting<P: Params>(count: &Arc<AtomicUsize>) -> impl FnOnce(Done<P>) + Send + 'static {
    let count = Arc::clone(count);
    move |_| {
        count.fetch_add(1, Ordering::Release);
    }
}

/// An operation ended well; or the case has failed already, and it ended with its proactor.
#[track_caller]
pub fn ended_well<T>(result: &Result<T>) {
    if let Err(status) = result
        && !std::thread::panicking()
    {
        panic!("{status}");
    }
}

/// What callbacks have seen, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Line>>>);

/// A name, and how it ended: `None` is well.
pub type Line = (&'static str, Option<Code>);

/// How a cancelled operation ends.
pub const CANCELLED: Option<Code> = Some(Code::Cancelled);

impl Log {
    /// A callback that writes a line.
    pub fn line<P: Params>(&self, name: &'static str) -> impl FnOnce(Done<P>) + Send + 'static {
        let log = self.clone();
        move |done| log.write(name, done.result.as_ref().err().map(|status| status.code()))
    }

    /// Writes a line.
    pub fn write(&self, name: &'static str, code: Option<Code>) {
        lock(&self.0).push((name, code));
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines, once.
    pub fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// The names alone, once; every line must be of success.
    #[track_caller]
    pub fn take_names(&self) -> Vec<&'static str> {
        let name = |(name, code): Line| {
            assert_eq!(code, None, "{name}");
            name
        };
        self.take().into_iter().map(name).collect()
    }
}

/// Polls until it is so, and returns how much was counted meanwhile.
#[track_caller]
pub fn poll_until(poller: &mut Poller, mut is_enough: impl FnMut() -> bool) -> usize {
    let limit = soon();
    let mut count = 0;
    while !is_enough() {
        count += poller.poll(limit).expect("something ends in time");
    }
    count
}

/// Polls without waiting until there is nothing.
#[track_caller]
pub fn poll_dry(poller: &mut Poller) -> usize {
    let mut count = 0;
    loop {
        match poller.poll(Deadline::IMMEDIATE) {
            Ok(found) => count += found,
            Err(status) => {
                assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
                return count;
            }
        }
    }
}

/// An immediate poll finds nothing.
#[track_caller]
pub fn poll_nothing(poller: &mut Poller) {
    let status = poller.poll(Deadline::IMMEDIATE).expect_err("nothing has ended");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}
