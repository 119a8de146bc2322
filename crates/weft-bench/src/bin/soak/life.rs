//! One connection from its beginning to its end.
//!
//! 1. Either end sends messages with pauses in between, and always receives. The near end begins with a greeting, by which
//!    the far end is known.
//! 2. **In good order**: who has sent everything shuts its direction down, who has seen the end of the other and has shut
//!    its own closes. Otherwise one end closes, or gives up, in the midst of a send, as its fate has it.
//! 3. An end is over when it has no operation under way; the connection when both are. Then it is accounted for.

use crate::world::{Held, World};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_bench::stream::{Random, bytes, is_stream};
use weft_io::ops::{Connect, PooledRecv, Recv, RecvPool, Send, Sent, SocketClose, Timer};
use weft_io::{Done, Handle, Operation, Shutdown, Socket, Ticket};
use weft_sync::{Code, Deadline, Status};

/// Bytes of a greeting: the place of the connection and its number.
pub const GREETING: usize = 16;
/// Bytes of most messages, at most.
const MESSAGE_MAX: u64 = 4096;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Rule 2.
    GoodOrder,
    /// The near end, whose close is a reset, closes.
    NearCloses,
    /// The far end closes.
    FarCloses,
    /// The near end cancels everything and lets the socket go.
    NearGivesUp,
}

/// One end.
#[derive(Debug)]
pub struct End {
    pub socket: Option<Socket>,
    recv: Option<Ticket>,
    send: Option<Ticket>,
    /// Operations under way, timers included.
    pub under_way: u32,
    pub sent: u64,
    pub received: u64,
    messages: u32,
    /// Nothing more is sent, and the other end was told.
    is_shut: bool,
    /// The other end has nothing more to send.
    has_heard_end: bool,
    /// It is closed, or about to be.
    is_over: bool,
}

impl End {
    fn new(messages: u32) -> End {
        End {
            socket: None,
            recv: None,
            send: None,
            under_way: 0,
            sent: 0,
            received: 0,
            messages,
            is_shut: false,
            has_heard_end: false,
            is_over: false,
        }
    }
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Near = 0,
    Far = 1,
}

impl Side {
    fn other(self) -> Side {
        if self == Side::Near { Side::Far } else { Side::Near }
    }
}

/// See the header.
#[derive(Debug)]
pub struct Connection {
    pub number: u64,
    pub fate: Fate,
    pub ends: [End; 2],
    /// Since when it has to be over soon.
    pub ending_since: Option<Instant>,
    /// Messages of the near end until its fate.
    messages_to_fate: u32,
    /// Whether the far end was known.
    pub is_known: bool,
}

impl Connection {
    pub fn new(number: u64, random: &mut Random) -> Connection {
        let fate = match random.below(10) {
            0..5 => Fate::GoodOrder,
            5..7 => Fate::NearCloses,
            7..9 => Fate::FarCloses,
            _ => Fate::NearGivesUp,
        };
        let messages = 1 + random.below(8) as u32;
        let ends = [End::new(messages), End::new(1 + random.below(8) as u32)];
        let messages_to_fate = random.below(u64::from(messages)) as u32;
        Connection { number, fate, ends, ending_since: None, messages_to_fate, is_known: false }
    }

    /// Which end was shut, has heard the end, is over, with how much under way: for people.
    pub fn shown(&self) -> String {
        let end = |end: &End| {
            let End { is_shut, has_heard_end, is_over, under_way, messages, .. } = end;
            format!(
                "(shut {is_shut}, heard {has_heard_end}, over {is_over}, {under_way} under way, {messages} to send, recv {}, send {})",
                end.recv.is_some(),
                end.send.is_some()
            )
        };
        format!(
            "{} {:?} known {}: near {} far {}",
            self.number,
            self.fate,
            self.is_known,
            end(&self.ends[0]),
            end(&self.ends[1])
        )
    }

    fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// What this side sends.
    fn seed(&self, side: Side) -> u64 {
        self.number << 1 | side as u64
    }

    /// Rule 3.
    pub fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.is_over && end.under_way == 0 && end.socket.is_none())
            || (!self.is_known && self.ends[0].is_over && self.ends[0].under_way == 0)
    }
}

/// Names an end of a connection; of one that is gone it reaches nothing.
#[derive(Clone)]
pub struct At {
    pub world: Arc<World>,
    pub place: usize,
    pub number: u64,
    pub side: Side,
}

impl At {
    fn other(&self) -> At {
        At { side: self.side.other(), ..self.clone() }
    }

    /// Does something with the connection, and whatever that makes due. Under the lock: submitting calls nobody back.
    fn with(&self, act: impl FnOnce(&mut Held, &Handle)) {
        let mut held = self.world.lock();
        act(&mut held, &self.world.handle);
        held.settle(&self.world, self.place);
    }
}

/// Connects the near end.
pub fn begin(held: &mut Held, at: &At, socket: Socket, address: weft_io::Address) {
    let end = held.connections[at.place].end(at.side);
    end.socket = Some(socket.clone());
    end.under_way += 1;
    let here = at.clone();
    let connect = Operation::new(Connect::new(socket, address)).on_done(move |done: Done<Connect>| {
        here.with(|held, handle| {
            held.connections[here.place].end(here.side).under_way -= 1;
            if let Err(why) = done.result {
                held.totals.failed(&why, "connecting");
                held.totals.refused += 1;
                return give_up(held, handle, &here);
            }
            greet(held, handle, &here);
        });
    });
    at.world.submit(connect);
}

fn greet(held: &mut Held, handle: &Handle, at: &At) {
    let mut text = (at.place as u64).to_le_bytes().to_vec();
    text.extend(at.number.to_le_bytes());
    let end = held.connections[at.place].end(at.side);
    let Some(socket) = end.socket.clone() else { return };
    end.under_way += 1;
    let here = at.clone();
    let send = Operation::new(Send::new(socket, text)).on_done(move |done| {
        here.with(|held, handle| {
            held.connections[here.place].end(here.side).under_way -= 1;
            match done.result {
                Ok(Sent { bytes: GREETING, .. }) => next_message(held, handle, &here),
                other => {
                    held.totals.unexpected(format!("a greeting ended with {other:?}"));
                    give_up(held, handle, &here);
                }
            }
        });
    });
    at.world.submit(send);
    receive(held, handle, at);
}

/// The far end is known: both ends are there.
pub fn meet(world: &Arc<World>, socket: Socket, greeting: &[u8]) {
    let word = |at: usize| u64::from_le_bytes(greeting[at..at + 8].try_into().expect("eight bytes"));
    let (place, number) = (word(0) as usize, word(8));
    let at = At { world: Arc::clone(world), place, number, side: Side::Far };
    at.with(|held, handle| {
        let is_current = held.connections.get(place).is_some_and(|found| found.number == number);
        if !is_current {
            // The near end has given up before.
            return held.totals.late += 1;
        }
        let connection = &mut held.connections[place];
        connection.is_known = true;
        if connection.end(Side::Far).is_over {
            // It was to close before it was known. The socket goes here.
            return;
        }
        connection.end(Side::Far).socket = Some(socket);
        receive(held, handle, &at);
        next_message(held, handle, &at);
    });
}

/// Receives what comes next, in one of two ways.
fn receive(held: &mut Held, handle: &Handle, at: &At) {
    let is_pooled = held.random.once_in(3);
    let room = 1 + held.random.below(8192) as usize;
    let end = held.connections[at.place].end(at.side);
    let Some(socket) = end.socket.clone() else { return };
    if end.is_over || end.recv.is_some() {
        return;
    }
    end.under_way += 1;
    let here = at.clone();
    let ticket = if is_pooled {
        let recv = Operation::new(RecvPool::new(socket, at.world.pool.clone()));
        let told = move |done: Done<RecvPool>| match done.result {
            Ok(piece) => received(&here, Ok(PooledRecv::data(&piece))),
            Err(why) => received(&here, Err(why)),
        };
        handle.submit(recv.on_done(told)).map_err(|refused| refused.why)
    } else {
        let recv = Operation::new(Recv::new(socket, vec![0; room]));
        let told = move |done: Done<Recv<Vec<u8>>>| match done.result {
            Ok(count) => received(&here, Ok(&done.operation.target[..count])),
            Err(why) => received(&here, Err(why)),
        };
        handle.submit(recv.on_done(told)).map_err(|refused| refused.why)
    };
    end.recv = Some(ticket.expect("there are slots for all"));
}

fn received(at: &At, outcome: Result<&[u8], Status>) {
    at.with(|held, handle| {
        let connection = &mut held.connections[at.place];
        let seed = connection.seed(at.side.other());
        let end = connection.end(at.side);
        end.under_way -= 1;
        end.recv = None;
        match outcome {
            Ok([]) => {
                end.has_heard_end = true;
                finish(held, handle, at);
            }
            Ok(bytes) => {
                let offset = end.received;
                end.received += bytes.len() as u64;
                held.totals.bytes += bytes.len() as u64;
                if !is_stream(seed, offset, bytes) {
                    held.totals.unexpected(format!("{at} got other bytes at {offset}"));
                }
                receive(held, handle, at);
            }
            Err(why) => failed(held, handle, at, &why, "receiving"),
        }
    });
}

/// An operation has not ended well.
fn failed(held: &mut Held, handle: &Handle, at: &At, why: &Status, what: &str) {
    held.totals.failed(why, what);
    let end = held.connections[at.place].end(at.side);
    if end.is_over {
        return;
    }
    match why.code() {
        // Cancelled by chance, or the pool is dry: it goes on.
        Code::Cancelled | Code::ResourceExhausted => receive_or_send(held, handle, at),
        _ => {
            let connection = &held.connections[at.place];
            if connection.fate == Fate::GoodOrder && !held.is_closing {
                held.totals.unexpected(format!("{at}, in good order, failed {what}: {why}"));
            }
            give_up(held, handle, at);
        }
    }
}

fn receive_or_send(held: &mut Held, handle: &Handle, at: &At) {
    if !held.connections[at.place].end(at.side).has_heard_end {
        receive(held, handle, at);
    }
}

/// Sends the next message, or comes to the end.
fn next_message(held: &mut Held, handle: &Handle, at: &At) {
    let is_closing = held.is_closing;
    let connection = &mut held.connections[at.place];
    let (seed, is_fated) = (connection.seed(at.side), connection.messages_to_fate == 0);
    let fate = connection.fate;
    connection.messages_to_fate -= u32::from(!is_fated && at.side == Side::Near);
    let end = connection.end(at.side);
    if end.is_over || end.is_shut || end.send.is_some() {
        return;
    }
    if end.messages == 0 || is_closing {
        return shut(held, handle, at);
    }
    end.messages -= 1;
    let Some(socket) = end.socket.clone() else { return };
    let count = match held.random.below(32) {
        0 => 65_536,
        _ => 1 + held.random.below(MESSAGE_MAX) as usize,
    };
    end.under_way += 1;
    let here = at.clone();
    let send = Operation::new(Send::new(socket, bytes(seed, end.sent, count)));
    let send = send.on_done(move |done| sent(&here, done, count));
    let ticket = at.world.submit(send);
    end.send = Some(ticket);
    // Asked while it is under way; it may be too late.
    if held.random.once_in(16) {
        held.totals.cancels += 1;
        handle.cancel(ticket).expect("of this proactor");
    }
    if held.random.once_in(16)
        && let Some(ticket) = end.recv
    {
        held.totals.cancels += 1;
        handle.cancel(ticket).expect("of this proactor");
    }
    if is_fated && at.side == Side::Near {
        match fate {
            Fate::GoodOrder => {}
            Fate::NearCloses => close(held, handle, at),
            Fate::FarCloses => close(held, handle, &at.other()),
            Fate::NearGivesUp => give_up(held, handle, at),
        }
    }
}

fn sent(at: &At, done: Done<Send<Vec<u8>>>, count: usize) {
    at.with(|held, handle| {
        let end = held.connections[at.place].end(at.side);
        end.under_way -= 1;
        end.send = None;
        end.sent += done.operation.sent() as u64;
        match done.result {
            Ok(all) => {
                if all.bytes != done.operation.sent() || all.bytes > count {
                    held.totals.unexpected(format!("{at} sent {all:?} of {count}"));
                }
                pause(held, handle, at);
            }
            Err(why) if why.code() == Code::Cancelled => {
                held.totals.failed(&why, "sending");
                pause(held, handle, at);
            }
            Err(why) => failed(held, handle, at, &why, "sending"),
        }
    });
}

/// Then the next message.
fn pause(held: &mut Held, handle: &Handle, at: &At) {
    let longest = at.world.pause_ms;
    let pause = Duration::from_millis(held.random.below(longest));
    let end = held.connections[at.place].end(at.side);
    if end.is_over {
        return;
    }
    if held.is_closing || pause < Duration::from_millis(longest / 8) {
        return next_message(held, handle, at);
    }
    end.under_way += 1;
    let here = at.clone();
    let timer = Operation::new(Timer { deadline: Deadline::after(pause) }).on_done(move |_| {
        here.with(|held, handle| {
            held.connections[here.place].end(here.side).under_way -= 1;
            next_message(held, handle, &here);
        });
    });
    at.world.submit(timer);
}

/// Rule 2: nothing more is sent.
fn shut(held: &mut Held, handle: &Handle, at: &At) {
    let end = held.connections[at.place].end(at.side);
    end.is_shut = true;
    if let Some(socket) = &end.socket
        && let Err(why) = socket.shutdown(Shutdown::Write)
    {
        // The other end has reset the connection, and this one will be told.
        held.totals.failed(&why, "shutting down");
    }
    finish(held, handle, at);
}

/// Rule 2: whoever has said and heard everything closes.
fn finish(held: &mut Held, handle: &Handle, at: &At) {
    let connection = &mut held.connections[at.place];
    let end = connection.end(at.side);
    if end.is_over || !end.has_heard_end {
        return;
    }
    if end.is_shut {
        return close(held, handle, at);
    }
    // The other end is closed, or only has nothing more to say: then this one goes on until it has said all.
    if connection.fate != Fate::GoodOrder {
        close(held, handle, at);
    }
}

/// Closes, whatever is under way.
fn close(held: &mut Held, _: &Handle, at: &At) {
    let connection = &mut held.connections[at.place];
    connection.ending_since.get_or_insert_with(Instant::now);
    let end = connection.end(at.side);
    if std::mem::replace(&mut end.is_over, true) {
        return;
    }
    let Some(socket) = end.socket.take() else { return };
    end.under_way += 1;
    let here = at.clone();
    let close = Operation::new(SocketClose::new(socket)).on_done(move |done| {
        here.with(|held, _| {
            held.connections[here.place].end(here.side).under_way -= 1;
            if let Err(why) = done.result {
                held.totals.unexpected(format!("{here} could not be closed: {why}"));
            }
        });
    });
    at.world.submit(close);
}

/// Cancels everything and lets the socket go.
pub fn give_up(held: &mut Held, handle: &Handle, at: &At) {
    let connection = &mut held.connections[at.place];
    connection.ending_since.get_or_insert_with(Instant::now);
    let end = connection.end(at.side);
    end.is_over = true;
    end.socket = None;
    for ticket in [end.recv, end.send].into_iter().flatten() {
        handle.cancel(ticket).expect("of this proactor");
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {:?} end of connection {}", self.side, self.number)
    }
}
