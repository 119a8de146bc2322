//! How an end receives: one of five ways by chance, receive by receive.
//!
//! What lives here: the two pools, the receives, the pieces that are kept for a while. What does not: what an end does about
//! what it has heard (`life.rs`).
//!
//! 1. **Five ways**: into memory of its own; into a pool of buffers that are used up whole, or of buffers that are used up
//!    piece by piece; and from either pool piece after piece, until the stream ends. One that goes on is cancelled by chance,
//!    also in the midst of an answer; then, or when the pool is dry, the next receive goes on where it stopped, in whatever
//!    way.
//! 2. **Some pieces are kept**, and given back in another order. When one is given back it is still what was received: nobody
//!    else has written there. So pools run dry now and then, until many are
//!    given back at once.
//! 3. In the end no piece is kept, and all buffers of both pools are back.

use crate::life::{At, failed, finish, send_back};
use crate::world::Held;
use std::time::Instant;
use weft_bench::stream::{Random, is_stream};
use weft_io::ops::{PooledRecv, Recv, RecvPool, RecvPoolMany};
use weft_io::{
    Access, BufferPool, Consumption, Done, Handle, Operation, RegionOptions, Slab, Socket, Ticket,
};
use weft_sync::Status;

/// One operation in so many is asked to stop as soon as it is under way.
const CANCELLED_ONCE_IN: u64 = 16;
/// One piece in so many is kept.
const KEPT_ONCE_IN: u64 = 6;
/// Once in so many times that something is received, those that are kept are given back but for some. Until then there
/// may be as many as a pool has buffers.
const GIVEN_BACK_ONCE_IN: u64 = 512;

/// What is received into.
pub struct Pools {
    /// A message takes several of its buffers.
    whole: BufferPool,
    /// Several messages share one of its buffers.
    pieces: BufferPool,
}

impl Pools {
    /// Of this proactor.
    pub fn new(handle: &Handle) -> Result<Pools, Status> {
        let pool = |size, count, consumption| {
            let slab = Slab::new(size, count)?;
            let options = RegionOptions { access: Access::READ | Access::WRITE, consumption };
            BufferPool::new(&handle.register_slab_with(&slab, options)?)
        };
        let pools = Pools {
            whole: pool(2048, 128, Consumption::Whole)?,
            pieces: pool(1 << 14, 32, Consumption::Incremental)?,
        };
        // All of it is in memory from the beginning, not when chance has it.
        for pool in [&pools.whole, &pools.pieces] {
            let all: Result<Vec<_>, Status> = (0..pool.capacity()).map(|_| pool.acquire()).collect();
            all?.iter_mut().for_each(|buffer| buffer.fill(0xEE));
        }
        Ok(pools)
    }

    /// Rule 3: which did not come back.
    pub fn missing(&self) -> Vec<String> {
        let count = |(pool, what): (&BufferPool, &str)| {
            let (available, capacity) = (pool.available(), pool.capacity());
            (available != capacity).then(|| format!("{available} of {capacity} buffers {what} are back"))
        };
        [(&self.whole, "used up whole"), (&self.pieces, "used up in pieces")]
            .into_iter()
            .filter_map(count)
            .collect()
    }
}

/// How an end receives (rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Own { room: usize },
    Pool { in_pieces: bool, is_many: bool },
}

impl Way {
    /// By chance. Not often one that goes on, because that is for longer.
    fn new(random: &mut Random) -> Way {
        match random.below(16) {
            0..7 => Way::Own { room: 1 + random.below(8192) as usize },
            rest => Way::Pool { in_pieces: rest.is_multiple_of(2), is_many: rest > 11 },
        }
    }

    /// For people.
    fn name(self) -> &'static str {
        match self {
            Way::Own { .. } => "its own memory",
            Way::Pool { in_pieces: false, is_many: false } => "a pool",
            Way::Pool { in_pieces: true, is_many: false } => "a pool of pieces",
            Way::Pool { in_pieces: false, is_many: true } => "a pool, again and again",
            Way::Pool { in_pieces: true, is_many: true } => "a pool of pieces, again and again",
        }
    }
}

/// What came.
enum Heard {
    Own(Vec<u8>, usize),
    Piece(PooledRecv),
}

impl Heard {
    fn data(&self) -> &[u8] {
        match self {
            Heard::Own(room, count) => &room[..*count],
            Heard::Piece(piece) => piece.data(),
        }
    }
}

/// A piece that is kept, and what has to be in it.
pub struct Kept {
    /// Who got it. That knows the world, which knows this: nothing is kept any more when that is over.
    at: At,
    seed: u64,
    offset: u64,
    piece: PooledRecv,
}

/// Receives what comes next.
pub fn receive(held: &mut Held, handle: &Handle, at: &At) {
    let way = Way::new(&mut held.random);
    let connection = &mut held.connections[at.place];
    let is_alone = connection.is_alone();
    let end = connection.end(at.side);
    let Some(socket) = end.socket.clone() else { return };
    if end.is_over || end.recv.is_some() || !end.owed.is_empty() {
        return;
    }
    end.under_way += 1;
    let ticket = submit(handle, at, socket, way);
    end.recv = Some(ticket);
    // Other receives are asked to stop when something is sent.
    if is_alone {
        cancel_perhaps(held, handle, ticket);
    }
}

fn submit(handle: &Handle, at: &At, socket: Socket, way: Way) -> Ticket {
    let here = at.clone();
    let pools = &at.world.pools;
    let ticket = match way {
        Way::Own { room } => {
            let recv = Operation::new(Recv::new(socket, vec![0; room]));
            let told = move |mut done: Done<Recv<Vec<u8>>>| {
                let room = std::mem::take(&mut done.operation.target);
                received(&here, way, done.result.map(|count| Heard::Own(room, count)));
            };
            handle.submit(recv.on_done(told)).map_err(|refused| refused.why)
        }
        Way::Pool { in_pieces, is_many: false } => {
            let pool = if in_pieces { &pools.pieces } else { &pools.whole };
            let recv = Operation::new(RecvPool::new(socket, pool.clone()));
            let told = move |done: Done<RecvPool>| received(&here, way, done.result.map(Heard::Piece));
            handle.submit(recv.on_done(told)).map_err(|refused| refused.why)
        }
        Way::Pool { in_pieces, is_many: true } => {
            let pool = if in_pieces { &pools.pieces } else { &pools.whole };
            let there = at.clone();
            let recv = RecvPoolMany::new(socket, pool.clone(), move |piece| go_on(&there, way, piece));
            let told = move |done: Done<RecvPoolMany>| {
                received(&here, way, done.result.map(|()| Heard::Own(Vec::new(), 0)));
            };
            handle.submit(Operation::new(recv).on_done(told)).map_err(|refused| refused.why)
        }
    };
    ticket.expect("there are slots for all")
}

/// Asked while it is under way; it may be too late.
pub fn cancel_perhaps(held: &mut Held, handle: &Handle, ticket: Ticket) {
    if held.random.once_in(CANCELLED_ONCE_IN) {
        held.totals.cancels += 1;
        handle.cancel(ticket).expect("of this proactor");
    }
}

/// A receive has ended, with something unless the stream has ended too.
fn received(at: &At, way: Way, outcome: Result<Heard, Status>) {
    at.with(|held, handle| {
        let connection = &mut held.connections[at.place];
        let is_alone = connection.is_alone();
        let end = connection.end(at.side);
        end.under_way -= 1;
        end.recv = None;
        match outcome {
            Ok(heard) if heard.data().is_empty() => {
                end.has_heard_end = true;
                if is_alone { send_back(held, handle, at) } else { finish(held, handle, at) }
            }
            Ok(heard) => {
                take(held, at, way, heard);
                if is_alone { send_back(held, handle, at) } else { receive(held, handle, at) }
            }
            Err(why) => failed(held, handle, at, &why, &format!("receiving into {}", way.name())),
        }
    });
}

/// A receive that goes on has a piece.
fn go_on(at: &At, way: Way, piece: PooledRecv) {
    at.with(|held, handle| {
        let recv = held.connections[at.place].end(at.side).recv;
        if piece.data().is_empty() || recv.is_none() {
            return held.totals.unexpected(format!("{at} was told of {piece:?} by {recv:?}"));
        }
        take(held, at, way, Heard::Piece(piece));
        if held.connections[at.place].is_alone() {
            send_back(held, handle, at);
        }
        if let Some(ticket) = recv {
            cancel_perhaps(held, handle, ticket);
        }
    });
}

/// Compares and counts what came.
fn take(held: &mut Held, at: &At, way: Way, heard: Heard) {
    let connection = &mut held.connections[at.place];
    let (seed, is_alone) = (connection.seed(at.side.other()), connection.is_alone());
    // It hears of the end when it has read all that was sent before, piece by piece.
    connection.ending_since = connection.ending_since.map(|_| Instant::now());
    let end = connection.end(at.side);
    let (data, offset) = (heard.data(), end.received);
    end.received += data.len() as u64;
    if is_alone {
        end.owed.extend(data);
    }
    held.totals.bytes += data.len() as u64;
    *held.totals.ways.entry(way.name()).or_default() += 1;
    let is_right = is_stream(seed, offset, data);
    if !is_right {
        held.totals.unexpected(format!("{at} got other bytes at {offset}, {way:?}"));
    }
    if held.random.once_in(GIVEN_BACK_ONCE_IN) {
        let left = held.random.below(1 + held.kept.len() as u64) as usize;
        give_back(held, left);
    }
    if let Heard::Piece(piece) = heard
        && is_right
        && !held.is_closing
        && held.random.once_in(KEPT_ONCE_IN)
    {
        held.kept.push(Kept { at: at.clone(), seed, offset, piece });
    }
}

/// Rule 2: until so many are left.
pub fn give_back(held: &mut Held, left: usize) {
    while held.kept.len() > left {
        let index = held.random.below(held.kept.len() as u64) as usize;
        let Kept { at, seed, offset, piece } = held.kept.swap_remove(index);
        if !is_stream(seed, offset, piece.data()) {
            held.totals.unexpected(format!("what {at} got at {offset} is not there any more"));
        }
    }
}
