//! All connections of this process, those who are not known yet, and the listeners that they come through.

use crate::connection::{Connection, Fate, GREETING, Side, count_open};
use crate::life::{At, begin, meet};
use crate::process::{handles, resident};
use crate::receive::{Kept, Pools, give_back};
use crate::totals::Totals;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use weft_bench::stream::Random;
use weft_io::ops::{AcceptMany, Recv};
use weft_io::{
    Address, Config, Done, Handle, Operation, Params, Poller, Socket, SocketKind, SocketOptions, Ticket, open,
};
use weft_sync::{Deadline, Status};

/// How long anything may take that is to be over.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The longest pause between two messages, and what it grows to where that is too much for the machine.
const PAUSE_MS: u64 = 4000;
const PAUSE_MS_MAX: u64 = 32_000;
/// One socket in so many is known to the ring by a place in a table.
const REGISTERED_ONCE_IN: u64 = 3;

/// Where a near end connects to.
pub type Target = (SocketKind, Address);

/// What changes.
pub struct Held {
    pub connections: Vec<Connection>,
    pub random: Random,
    pub totals: Totals,
    /// No connection begins any more, and those that are there come to their end.
    pub is_closing: bool,
    /// In the places from there on the far ends are in another process.
    pub inside: usize,
    /// Listeners of this process.
    pub targets: Vec<Target>,
    /// Listeners of the other.
    pub targets_outside: Vec<Target>,
    /// The longest pause between two messages.
    pub pause_ms: u64,
    /// What was received and has not been given back.
    pub kept: Vec<Kept>,
    /// Far ends that are not known yet.
    strangers: u64,
    /// Places whose connection is over and has none that follows.
    free: Vec<usize>,
}

/// See the header.
pub struct World {
    pub handle: Handle,
    pub pools: Pools,
    /// All near ends are in another process.
    pub is_outside: bool,
    held: Mutex<Held>,
}

/// A proactor for so many connections.
pub fn proactor(backend: &str, connections: usize) -> Result<Poller, Status> {
    let slots = (connections as u32).saturating_mul(10).clamp(1024, Config::LIMIT);
    let config = Config { operations_max: slots, ring_entries: 4096, ..Config::new() };
    open(backend, &config)?.into_poller()
}

impl World {
    /// Of so many connections with both ends in this process. Whoever makes it says what else differs.
    pub fn new(handle: Handle, seed: u64, inside: usize) -> Result<World, Status> {
        let pools = Pools::new(&handle)?;
        let held = Held {
            connections: Vec::new(),
            random: Random::new(seed),
            totals: Totals::default(),
            is_closing: false,
            inside,
            targets: Vec::new(),
            targets_outside: Vec::new(),
            pause_ms: PAUSE_MS,
            kept: Vec::new(),
            strangers: 0,
            free: Vec::new(),
        };
        Ok(World { handle, pools, is_outside: false, held: Mutex::new(held) })
    }

    pub fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics")
    }

    /// There are slots for all.
    pub fn submit<P: Params>(&self, operation: Operation<P>) -> Ticket {
        self.handle.submit(operation).map_err(|refused| refused.why).expect("there are slots for all")
    }

    /// Buffers that did not come back, and whatever else may not be once all is over.
    pub fn close_the_books(&self) {
        let mut held = self.lock();
        for missing in self.pools.missing() {
            held.totals.unexpected(missing);
        }
        held.totals.close_the_books(self.is_outside);
    }

    pub fn report(&self, start: Instant, under_way: usize) {
        let held = self.lock();
        let totals = &held.totals;
        println!(
            "{:5.1} s: {} open at once, {} opened, {under_way} under way, \
             {:.1} MB received, {} cancels, {} handles, {} MiB",
            start.elapsed().as_secs_f64(),
            count_open(&held.connections),
            totals.opened,
            totals.bytes as f64 / 1e6,
            totals.cancels,
            handles(),
            resident() >> 20,
        );
    }
}

impl Held {
    /// A new connection in this place.
    pub fn open(&mut self, world: &Arc<World>, place: usize) {
        self.totals.opened += 1;
        let number = self.totals.opened;
        let is_outside = place >= self.inside;
        self.totals.sums(is_outside).opened += 1;
        let connection = Connection::new(number, is_outside, &mut self.random);
        let fate = connection.fate;
        if place == self.connections.len() {
            self.connections.push(connection);
        } else {
            self.connections[place] = connection;
        }
        let targets = if is_outside { &self.targets_outside } else { &self.targets };
        let (kind, address) = targets[self.random.below(targets.len() as u64) as usize];
        let mut options = SocketOptions::NO_DELAY;
        options.set(SocketOptions::LINGER_ZERO, fate == Fate::NearCloses);
        let socket = Socket::new(kind, options).expect("there are handles for all");
        begin(self, &At { world: Arc::clone(world), place, number, side: Side::Near }, socket, address);
    }

    /// A connection that another process has begun, in whatever place is free.
    pub fn put(&mut self, connection: Connection) -> usize {
        self.totals.opened += 1;
        self.totals.outside.opened += 1;
        match self.free.pop() {
            Some(place) => {
                self.connections[place] = connection;
                place
            }
            None => {
                self.connections.push(connection);
                self.connections.len() - 1
            }
        }
    }

    /// A socket that is new is made known to the ring, by chance.
    pub fn register_perhaps(&mut self, handle: &Handle, socket: &Socket) {
        if self.random.once_in(REGISTERED_ONCE_IN) {
            self.register(handle, socket);
        }
    }

    /// A socket has been closed: another one that is in use is made known to the ring, by chance. It gets the place of the
    /// other in the table, whose last operations the kernel may not even have seen.
    pub fn register_another(&mut self, handle: &Handle) {
        let place = self.random.below(self.connections.len() as u64) as usize;
        let end = &self.connections[place].ends[self.random.below(2) as usize];
        if let Some(socket) = end.socket.clone() {
            self.register_perhaps(handle, &socket);
        }
    }

    /// Where there is no table, nothing happens.
    fn register(&mut self, handle: &Handle, socket: &Socket) {
        let was_registered = socket.is_registered(handle);
        match handle.register_socket(socket) {
            Ok(()) => self.totals.registered += u64::from(!was_registered && socket.is_registered(handle)),
            Err(why) => self.totals.unexpected(format!("a socket could not be registered: {why}")),
        }
    }

    /// Accounts for the connection of this place if it is over, and begins the next there.
    pub fn settle(&mut self, world: &Arc<World>, place: usize) {
        let Some(connection) = self.connections.get(place) else { return };
        if connection.number == 0 || !connection.is_over() {
            return;
        }
        let (fate, is_outside) = (connection.fate, connection.outside.is_some());
        let wrong = connection.account(self.totals.sums(is_outside));
        for line in wrong {
            self.totals.unexpected(line);
        }
        *self.totals.fates.entry((is_outside, format!("{fate:?}"))).or_default() += 1;
        if self.is_closing || world.is_outside {
            self.connections[place].number = 0;
            self.free.push(place);
            return;
        }
        self.open(world, place);
    }

    fn live(&self) -> usize {
        self.connections.iter().filter(|connection| connection.number != 0).count()
    }

    /// How many are open.
    pub fn look(&mut self) -> usize {
        let open = count_open(&self.connections);
        self.totals.see(open);
        open.all()
    }

    /// Longer pauses. Each connection does as much in a second whatever the others do; a machine for which that is too much
    /// would always have some of them waiting to be opened.
    pub fn relieve(&mut self) {
        self.pause_ms = (self.pause_ms + self.pause_ms / 8).min(PAUSE_MS_MAX);
    }

    pub fn look_for_stuck(&mut self) {
        let is_stuck = |connection: &&Connection| {
            connection.number != 0 && connection.ending_since.is_some_and(|since| since.elapsed() > PATIENCE)
        };
        for connection in self.connections.iter().filter(is_stuck) {
            self.totals.unexpected(format!("does not end: {}", connection.shown()));
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

/// So many listeners for TCP, and half as many for Unix sockets.
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

/// Far ends may come, to as many addresses; where, and what to cancel in the end.
pub fn welcome(world: &Arc<World>, addresses: u8) -> Result<(Vec<Target>, Vec<Ticket>), Status> {
    let (mut targets, mut accepts) = (Vec::new(), Vec::new());
    for listener in listeners(addresses)? {
        targets.push((listener.kind(), listener.local_address()?));
        let here = Arc::clone(world);
        let accept = AcceptMany::new(listener, move |accepted| {
            let mut held = here.lock();
            held.strangers += 1;
            held.register_perhaps(&here.handle, &accepted.socket);
            drop(held);
            listen_to(&here, accepted.socket, Vec::new());
        });
        let there = Arc::clone(world);
        accepts.push(world.submit(Operation::new(accept).on_done(move |done| {
            if !there.lock().is_closing {
                there.lock().totals.unexpected(format!("a listener ended: {:?}", done.result));
            }
        })));
    }
    Ok((targets, accepts))
}

/// Everything comes to its end. How long that took.
pub fn wind_up(world: &Arc<World>, poller: &mut Poller, accepts: &[Ticket]) -> Duration {
    let mut held = world.lock();
    held.is_closing = true;
    give_back(&mut held, 0);
    drop(held);
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
    start.elapsed()
}
