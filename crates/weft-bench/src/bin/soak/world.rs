//! All connections, and what they have come to.

use crate::life::{At, Connection, Fate, GREETING, Side, begin, meet};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use weft_bench::stream::Random;
use weft_io::ops::{AcceptMany, Recv};
use weft_io::{
    Access, Address, BufferPool, Config, Done, Handle, Operation, Params, Poller, Slab, Socket, SocketKind,
    SocketOptions, Ticket, open,
};
use weft_sync::{Deadline, Status};

/// What was asked for.
pub struct Plan {
    pub seconds: u64,
    pub connections: usize,
    pub backend: String,
    pub seed: u64,
}

/// Addresses of listeners: a pair of addresses has some 28,000 connections, those that are waited out included.
const TCP_LISTENERS: u8 = 16;
/// How long anything may take that is to be over.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two reports.
const REPORT: Duration = Duration::from_secs(10);
/// New connections between two polls in the beginning.
const OPENED_AT_ONCE: usize = 64;

/// What everything has come to.
#[derive(Debug, Default)]
pub struct Totals {
    pub opened: u64,
    pub refused: u64,
    pub late: u64,
    pub cancels: u64,
    pub bytes: u64,
    sent: u64,
    received: u64,
    lost: u64,
    fates: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
    unexpected: Vec<String>,
    unexpected_count: u64,
}

impl Totals {
    /// Something that may be.
    pub fn failed(&mut self, why: &Status, what: &str) {
        *self.failures.entry(format!("{what}: {}", why.code())).or_default() += 1;
    }

    /// Something that may not be.
    pub fn unexpected(&mut self, what: String) {
        self.unexpected_count += 1;
        if self.unexpected.len() < 20 {
            self.unexpected.push(what);
        }
    }
}

/// What changes.
pub struct Held {
    pub connections: Vec<Connection>,
    pub random: Random,
    pub totals: Totals,
    /// No connection begins any more, and those that are there come to their end.
    pub is_closing: bool,
    /// Far ends that are not known yet.
    strangers: u64,
    targets: Vec<(SocketKind, Address)>,
}

/// See the header.
pub struct World {
    pub handle: Handle,
    pub pool: BufferPool,
    /// The longest pause between two messages.
    pub pause_ms: u64,
    held: Mutex<Held>,
}

impl World {
    pub fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics")
    }

    /// There are slots for all.
    pub fn submit<P: Params>(&self, operation: Operation<P>) -> Ticket {
        self.handle.submit(operation).map_err(|refused| refused.why).expect("there are slots for all")
    }
}

impl Held {
    /// A new connection in this place.
    fn open(&mut self, world: &Arc<World>, place: usize) {
        self.totals.opened += 1;
        let number = self.totals.opened;
        let connection = Connection::new(number, &mut self.random);
        let fate = connection.fate;
        if place == self.connections.len() {
            self.connections.push(connection);
        } else {
            self.connections[place] = connection;
        }
        let (kind, address) = self.targets[self.random.below(self.targets.len() as u64) as usize];
        let mut options = SocketOptions::NO_DELAY;
        options.set(SocketOptions::LINGER_ZERO, fate == Fate::NearCloses);
        let socket = Socket::new(kind, options).expect("there are handles for all");
        begin(self, &At { world: Arc::clone(world), place, number, side: Side::Near }, socket, address);
    }

    /// Accounts for the connection of this place if it is over, and begins the next there.
    pub fn settle(&mut self, world: &Arc<World>, place: usize) {
        let Some(connection) = self.connections.get(place) else { return };
        if connection.number == 0 || !connection.is_over() {
            return;
        }
        let (fate, [near, far]) = (connection.fate, &connection.ends);
        let is_whole = fate == Fate::GoodOrder && connection.is_known;
        for (from, to, way) in [(near, far, "there"), (far, near, "back")] {
            self.totals.sent += from.sent;
            self.totals.received += to.received;
            let (sent, received) = (from.sent, to.received);
            match sent.checked_sub(received) {
                Some(lost) if lost == 0 || !is_whole => self.totals.lost += lost,
                _ => {
                    let text =
                        format!("{fate:?} {}: {received} of {sent} bytes came {way}", connection.number);
                    self.totals.unexpected(text);
                }
            }
        }
        *self.totals.fates.entry(format!("{fate:?}")).or_default() += 1;
        if self.is_closing {
            self.connections[place].number = 0;
            return;
        }
        self.open(world, place);
    }

    fn live(&self) -> usize {
        self.connections.iter().filter(|connection| connection.number != 0).count()
    }

    /// Both ends there.
    fn known(&self) -> usize {
        self.connections.iter().filter(|connection| connection.number != 0 && connection.is_known).count()
    }

    fn look_for_stuck(&mut self) {
        for connection in &self.connections {
            let is_stuck = connection.ending_since.is_some_and(|since| since.elapsed() > PATIENCE);
            if connection.number != 0 && is_stuck {
                self.totals.unexpected_count += 1;
                if self.totals.unexpected.len() < 20 {
                    self.totals.unexpected.push(format!("does not end: {}", connection.shown()));
                }
            }
        }
    }
}

/// Reads a greeting, piece by piece.
fn listen_to(world: &Arc<World>, socket: Socket, so_far: Vec<u8>) {
    let here = Arc::clone(world);
    let recv = Operation::new(Recv::new(socket, vec![0; GREETING - so_far.len()]));
    let recv = recv.on_done(move |done: Done<Recv<Vec<u8>>>| {
        let mut so_far = so_far;
        let socket = done.operation.socket().clone();
        match done.result {
            Ok(count) if count > 0 => {
                so_far.extend(&done.operation.target[..count]);
                if so_far.len() < GREETING {
                    return listen_to(&here, socket, so_far);
                }
                drop(done.operation);
                meet(&here, socket, &so_far);
            }
            // It has gone before it said who it is.
            Ok(_) => {}
            Err(why) => here.lock().totals.failed(&why, "being greeted"),
        }
        here.lock().strangers -= 1;
    });
    world.submit(recv);
}

fn listeners(count: u8) -> Result<Vec<Socket>, Status> {
    let mut listeners = Vec::new();
    for last in 1..=count {
        let socket = Socket::new(SocketKind::Tcp, SocketOptions::NO_DELAY)?;
        socket.bind(&Address::ipv4(format!("127.0.0.{last}"), 0)?)?;
        listeners.push(socket);
    }
    for place in 0..count / 2 {
        let socket = Socket::new(SocketKind::UnixStream, SocketOptions::empty())?;
        socket.bind(&Address::parse(format!("unix:@weft-soak-{}-{place}", std::process::id()))?)?;
        listeners.push(socket);
    }
    for listener in &listeners {
        listener.listen(0)?;
    }
    Ok(listeners)
}

/// Handles for everything but the ends of connections: listeners, greetings, the proactor's own.
const SPARE_HANDLES: u64 = 192;

/// As many connections as this process may have, up to those that are wanted. Each has two handles here.
fn allowed(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let need = wanted as u64 * 2 + SPARE_HANDLES;
    let limit = getrlimit(Resource::Nofile);
    for maximum in [limit.maximum.map(|maximum| maximum.max(need)), limit.maximum] {
        let current = Some(maximum.map_or(need, |maximum| maximum.min(need)));
        // The upper limit is raised by those who may.
        if setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            break;
        }
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(need);
    let fit = (current.saturating_sub(SPARE_HANDLES) / 2) as usize;
    if fit < wanted {
        println!(
            "{current} handles are allowed (ulimit -Hn): {fit} connections with both ends, not {wanted}"
        );
    }
    wanted.min(fit)
}

fn handles() -> usize {
    // One of them reads the folder.
    std::fs::read_dir("/proc/self/fd").map_or(0, |folder| folder.count().saturating_sub(1))
}

/// Bytes in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * 4096
}

fn report(world: &World, start: Instant, under_way: usize) {
    let held = world.lock();
    let totals = &held.totals;
    println!(
        "{:5.1} s: {} open ({} known), {} opened, {} under way, {:.1} MB received, {} cancels, {} handles, {} MiB",
        start.elapsed().as_secs_f64(),
        held.live(),
        held.known(),
        totals.opened,
        under_way,
        totals.bytes as f64 / 1e6,
        totals.cancels,
        handles(),
        resident() >> 20,
    );
}

/// Does all of it.
pub fn run(mut plan: Plan) -> Result<(), String> {
    plan.connections = allowed(plan.connections);
    let plan = &plan;
    let text = |why: Status| why.to_string();
    // What the first socket of a process keeps for good.
    drop(Socket::new(SocketKind::Tcp, SocketOptions::empty()).map_err(text)?);
    let before = handles();
    let slots = (plan.connections as u32).saturating_mul(10).clamp(1024, Config::LIMIT);
    let config = Config { operations_max: slots, ring_entries: 4096, ..Config::new() };
    let mut poller = open(&plan.backend, &config).and_then(|found| found.into_poller()).map_err(text)?;
    println!("{}", poller.handle().describe());
    let after_all = soak(plan, &mut poller)?;
    drop(poller);
    let after = handles();
    let mut wrong = after_all;
    if after > before {
        wrong.push(format!("{before} handles in the beginning, {after} in the end"));
    }
    println!("handles: {before} before, {after} after");
    for line in &wrong {
        eprintln!("  {line}");
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} things are wrong", wrong.len())) }
}

/// Everything on the proactor; what was wrong.
fn soak(plan: &Plan, poller: &mut Poller) -> Result<Vec<String>, String> {
    let text = |why: Status| why.to_string();
    let handle = poller.handle().clone();
    let slab = Slab::new(2048, 4096).map_err(text)?;
    let region = handle.register_slab(&slab, Access::READ | Access::WRITE).map_err(text)?;
    let pool = BufferPool::new(&region).map_err(text)?;
    let listeners = listeners(TCP_LISTENERS).map_err(text)?;
    let targets: Result<Vec<_>, Status> =
        listeners.iter().map(|socket| Ok((socket.kind(), socket.local_address()?))).collect();
    let held = Held {
        connections: Vec::with_capacity(plan.connections),
        random: Random::new(plan.seed),
        totals: Totals::default(),
        is_closing: false,
        strangers: 0,
        targets: targets.map_err(text)?,
    };
    let world = Arc::new(World { handle, pool, pause_ms: 4000, held: Mutex::new(held) });
    let accepts: Vec<Ticket> = listeners
        .into_iter()
        .map(|listener| {
            let here = Arc::clone(&world);
            let accept = AcceptMany::new(listener, move |accepted| {
                here.lock().strangers += 1;
                listen_to(&here, accepted.socket, Vec::new());
            });
            let there = Arc::clone(&world);
            world.submit(Operation::new(accept).on_done(move |done| {
                if !there.lock().is_closing {
                    there.lock().totals.unexpected(format!("a listener ended: {:?}", done.result));
                }
            }))
        })
        .collect();
    let (warm, end) = traffic(plan, &world, poller);
    wind_up(&world, poller, &accepts);
    Ok(verdict(plan, &world, warm, end))
}

/// The busy part. Memory after a third of it, and in the end.
fn traffic(plan: &Plan, world: &Arc<World>, poller: &mut Poller) -> (u64, u64) {
    let (start, length) = (Instant::now(), Duration::from_secs(plan.seconds));
    let (mut next_report, mut warm) = (REPORT, 0);
    while start.elapsed() < length {
        let open = world.lock().connections.len();
        for place in open..plan.connections.min(open + OPENED_AT_ONCE) {
            world.lock().open(world, place);
        }
        let soon = Deadline::after(Duration::from_millis(if open < plan.connections { 1 } else { 100 }));
        // Nothing ends within that time, perhaps.
        let _ = poller.poll(soon);
        if start.elapsed() >= next_report {
            next_report += REPORT;
            world.lock().look_for_stuck();
            report(world, start, poller.under_way());
        }
        if warm == 0 && start.elapsed() >= length / 3 {
            warm = resident();
        }
    }
    report(world, start, poller.under_way());
    (warm, resident())
}

/// Everything comes to its end.
fn wind_up(world: &Arc<World>, poller: &mut Poller, accepts: &[Ticket]) {
    world.lock().is_closing = true;
    let start = Instant::now();
    let is_over = || world.lock().live() == 0 && world.lock().strangers == 0;
    let mut looks = 0_u32;
    while !(looks.is_multiple_of(64) && is_over()) && start.elapsed() < PATIENCE + PATIENCE {
        let _ = poller.poll(Deadline::after(Duration::from_millis(20)));
        looks += 1;
    }
    for ticket in accepts {
        world.handle.cancel(*ticket).expect("of this proactor");
    }
    while poller.under_way() > 0 && start.elapsed() < PATIENCE * 3 {
        let _ = poller.poll(Deadline::after(Duration::from_millis(20)));
    }
    let mut held = world.lock();
    let left: Vec<String> =
        held.connections.iter().filter(|left| left.number != 0).map(Connection::shown).take(20).collect();
    let count = held.live();
    for line in left {
        held.totals.unexpected(format!("left of {count}: {line}"));
    }
    if held.strangers > 0 {
        let text = format!("{} far ends were never known", held.strangers);
        held.totals.unexpected(text);
    }
    if poller.under_way() > 0 {
        held.totals.unexpected(format!("{} operations have not ended", poller.under_way()));
    }
    println!("{:.1} s to come to the end", start.elapsed().as_secs_f64());
}

fn verdict(plan: &Plan, world: &World, warm: u64, end: u64) -> Vec<String> {
    let mut held = world.lock();
    if end > warm + warm / 10 + (16 << 20) {
        let text = format!("memory has grown from {} to {} MiB", warm >> 20, end >> 20);
        held.totals.unexpected(text);
    }
    let (available, capacity) = (world.pool.available(), world.pool.capacity());
    if available != capacity {
        held.totals.unexpected(format!("{available} of {capacity} buffers are back"));
    }
    let totals = &mut held.totals;
    println!("\n{} s, {} connections, {}, seed {}", plan.seconds, plan.connections, plan.backend, plan.seed);
    println!("  opened {}, refused {}, late greetings {}", totals.opened, totals.refused, totals.late);
    for (fate, count) in &totals.fates {
        println!("  {fate:<24} {count:>9}");
    }
    for (failure, count) in &totals.failures {
        println!("  {failure:<40} {count:>9}");
    }
    println!(
        "  bytes: sent {}, received {}, lost with broken connections {}",
        totals.sent, totals.received, totals.lost
    );
    println!("  memory: {} MiB after a third, {} MiB in the end", warm >> 20, end >> 20);
    if totals.sent != totals.received + totals.lost || totals.received != totals.bytes {
        totals.unexpected("the sums do not agree".to_owned());
    }
    let mut wrong = std::mem::take(&mut totals.unexpected);
    if totals.unexpected_count > wrong.len() as u64 {
        wrong.push(format!("and {} more", totals.unexpected_count - wrong.len() as u64));
    }
    wrong
}
