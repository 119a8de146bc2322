//! What a connection does from its beginning to its end. How it receives is in `receive.rs`.
//!
//! 1. Either end sends messages with pauses in between, and always receives. The near end begins with a greeting, by which
//!    the far end is known.
//! 2. **In good order**: who has sent everything shuts its direction down, who has seen the end of the other and has shut
//!    its own closes. Otherwise one end closes, or gives up, in the midst of a send, as its fate has it.
//! 3. An end is over when it has no operation under way; the connection when both are. Then it is accounted for.
//! 4. **Alone in its process**, a far end has no messages. It sends back what it receives, in the order in which it comes,
//!    until the near end has shut its direction and nothing is left; then it shuts its own. It closes in the midst of that
//!    when it has received as much as the greeting says.

use crate::connection::{Connection, Fate, GREETING, Greeting, Side};
use crate::receive::{cancel_perhaps, receive};
use crate::world::{Held, World};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_bench::stream::bytes;
use weft_io::ops::{Connect, Send, Sent, SocketClose, Timer};
use weft_io::{Done, Handle, Operation, Shutdown, Socket};
use weft_sync::{Code, Deadline, Status};

/// Bytes of most messages, at most.
const MESSAGE_MAX: u64 = 4096;

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
    pub fn with(&self, act: impl FnOnce(&mut Held, &Handle)) {
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
    let connection = &mut held.connections[at.place];
    let text = connection.greeting(at.place).to_bytes();
    let end = connection.end(at.side);
    let Some(socket) = end.socket.clone() else { return };
    end.under_way += 1;
    held.register_perhaps(handle, &socket);
    let here = at.clone();
    let send = Operation::new(Send::new(socket, text)).on_done(move |done| {
        here.with(|held, handle| {
            let connection = &mut held.connections[here.place];
            connection.end(here.side).under_way -= 1;
            match done.result {
                Ok(Sent { bytes: GREETING, .. }) => {
                    // A far end in this process makes itself known.
                    connection.is_known |= connection.outside.is_some();
                    next_message(held, handle, &here);
                }
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
pub fn meet(world: &Arc<World>, socket: Socket, said: &[u8]) {
    match Greeting::read(said, world.is_outside) {
        Some(Greeting::Inside { place, number }) => meet_near(world, socket, place, number),
        Some(Greeting::Outside { fate, fate_bytes, number }) => {
            let mut held = world.lock();
            let place = held.put(Connection::alone(number, fate, fate_bytes));
            held.connections[place].end(Side::Far).socket = Some(socket);
            receive(
                &mut held,
                &world.handle,
                &At { world: Arc::clone(world), place, number, side: Side::Far },
            );
        }
        None => world.lock().totals.unexpected(format!("a greeting that nobody says: {said:?}")),
    }
}

/// The near end is in this process too.
fn meet_near(world: &Arc<World>, socket: Socket, place: usize, number: u64) {
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

/// Rule 4.
pub fn send_back(held: &mut Held, handle: &Handle, at: &At) {
    let connection = &mut held.connections[at.place];
    let (fate, fate_bytes) = (connection.fate, connection.fate_bytes);
    let end = connection.end(at.side);
    if end.is_over || end.send.is_some() || end.pause.is_some() {
        return;
    }
    if end.owed.is_empty() {
        return if end.has_heard_end { shut(held, handle, at) } else { receive(held, handle, at) };
    }
    let is_fated = fate == Fate::FarCloses && end.received >= fate_bytes;
    let owed = end.owed.clone();
    submit_send(held, handle, at, owed);
    if is_fated {
        close(held, handle, at);
    }
}

/// An operation has not ended well.
pub fn failed(held: &mut Held, handle: &Handle, at: &At, why: &Status, what: &str) {
    held.totals.failed(why, what);
    let end = held.connections[at.place].end(at.side);
    if end.is_over {
        return;
    }
    match why.code() {
        // Cancelled by chance, or the pool is dry: it goes on.
        Code::Cancelled | Code::ResourceExhausted if end.has_heard_end => {}
        Code::Cancelled | Code::ResourceExhausted => receive(held, handle, at),
        _ => {
            let connection = &held.connections[at.place];
            if connection.fate == Fate::GoodOrder && !held.is_closing {
                held.totals.unexpected(format!("{at}, in good order, failed {what}: {why}"));
            }
            give_up(held, handle, at);
        }
    }
}

/// Sends the next message, or comes to the end.
fn next_message(held: &mut Held, handle: &Handle, at: &At) {
    let is_closing = held.is_closing;
    let connection = &mut held.connections[at.place];
    let (seed, is_fated) = (connection.seed(at.side), connection.messages_to_fate == 0);
    let (fate, is_outside) = (connection.fate, connection.outside.is_some());
    connection.messages_to_fate -= u32::from(!is_fated && at.side == Side::Near);
    let end = connection.end(at.side);
    if end.is_over || end.is_shut || end.send.is_some() {
        return;
    }
    if end.messages == 0 || is_closing {
        return shut(held, handle, at);
    }
    end.messages -= 1;
    let count = match held.random.below(32) {
        0 => 65_536,
        _ => 1 + held.random.below(MESSAGE_MAX) as usize,
    };
    let (message, recv) = (bytes(seed, end.sent, count), end.recv);
    submit_send(held, handle, at, message);
    if let Some(ticket) = recv {
        cancel_perhaps(held, handle, ticket);
    }
    if is_fated && at.side == Side::Near {
        match fate {
            Fate::GoodOrder => {}
            Fate::NearCloses => close(held, handle, at),
            // Rule 4, if it is not here.
            Fate::FarCloses if is_outside => {}
            Fate::FarCloses => close(held, handle, &at.other()),
            Fate::NearGivesUp => give_up(held, handle, at),
        }
    }
}

fn submit_send(held: &mut Held, handle: &Handle, at: &At, message: Vec<u8>) {
    let end = held.connections[at.place].end(at.side);
    let Some(socket) = end.socket.clone() else { return };
    end.under_way += 1;
    let (here, count) = (at.clone(), message.len());
    let send = Operation::new(Send::new(socket, message)).on_done(move |done| sent(&here, done, count));
    let ticket = at.world.submit(send);
    end.send = Some(ticket);
    cancel_perhaps(held, handle, ticket);
}

fn sent(at: &At, done: Done<Send<Vec<u8>>>, count: usize) {
    at.with(|held, handle| {
        let end = held.connections[at.place].end(at.side);
        end.under_way -= 1;
        end.send = None;
        let sent = done.operation.sent();
        end.sent += sent as u64;
        // Of what it does not owe it owes nothing afterwards.
        end.owed.drain(..sent.min(end.owed.len()));
        match done.result {
            Ok(all) => {
                if all.bytes != sent || all.bytes > count {
                    held.totals.unexpected(format!("{at} sent {all:?} of {count}"));
                }
                pause(held, handle, at);
            }
            Err(why) if matches!(why.code(), Code::Cancelled | Code::ResourceExhausted) => {
                held.totals.failed(&why, "sending");
                pause(held, handle, at);
            }
            Err(why) => failed(held, handle, at, &why, "sending"),
        }
    });
}

/// Then the next message, or the rest of what it owes.
fn pause(held: &mut Held, handle: &Handle, at: &At) {
    let longest = held.pause_ms;
    let pause = Duration::from_millis(held.random.below(longest));
    let end = held.connections[at.place].end(at.side);
    if end.is_over {
        return;
    }
    if held.is_closing || pause < Duration::from_millis(longest / 8) {
        return go_on(held, handle, at);
    }
    end.under_way += 1;
    let here = at.clone();
    let timer = Operation::new(Timer { deadline: Deadline::after(pause) }).on_done(move |_| {
        here.with(|held, handle| {
            let end = held.connections[here.place].end(here.side);
            end.under_way -= 1;
            end.pause = None;
            go_on(held, handle, &here);
        });
    });
    end.pause = Some(at.world.submit(timer));
}

fn go_on(held: &mut Held, handle: &Handle, at: &At) {
    if held.connections[at.place].is_alone() {
        send_back(held, handle, at);
    } else {
        next_message(held, handle, at);
    }
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
pub fn finish(held: &mut Held, handle: &Handle, at: &At) {
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

/// Closes, whatever is under way; only a pause has no reason to last.
fn close(held: &mut Held, handle: &Handle, at: &At) {
    let connection = &mut held.connections[at.place];
    connection.ending_since.get_or_insert_with(Instant::now);
    let end = connection.end(at.side);
    if std::mem::replace(&mut end.is_over, true) {
        return;
    }
    if let Some(ticket) = end.pause {
        handle.cancel(ticket).expect("of this proactor");
    }
    let Some(socket) = end.socket.take() else { return };
    end.under_way += 1;
    let here = at.clone();
    let close = Operation::new(SocketClose::new(socket)).on_done(move |done| {
        here.with(|held, handle| {
            held.connections[here.place].end(here.side).under_way -= 1;
            if let Err(why) = done.result {
                held.totals.unexpected(format!("{here} could not be closed: {why}"));
            }
            held.register_another(handle);
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
    for ticket in [end.recv, end.send, end.pause].into_iter().flatten() {
        handle.cancel(ticket).expect("of this proactor");
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {:?} end of connection {}", self.side, self.number)
    }
}
