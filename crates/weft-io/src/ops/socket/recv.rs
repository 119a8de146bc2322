#![allow(unsafe_code, reason = "what was received is shown where it lies")]
//! Receiving from the peer.
//!
//! What lives here: [`Recv`], [`RecvMany`]. What does not: datagrams with their senders (`message.rs`), receiving into
//! pools (`memory`).
//!
//! A stream ends, a socket of datagrams does not: there, no bytes are an empty message.
#![cfg(unix)]

use super::{Held, after_receive};
use crate::Capabilities;
use crate::frame::Outline;
use crate::operation::{Params, sealed::Lower};
use crate::ops::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::ops::{Body, Kind};
use crate::socket::Socket;
use crate::span::{Exclusive, Target};
use std::fmt;
use weft_sync::{Result, Status, bail};

/// Kernels learned to wait before they try (5.19), and to say whether a receive has left something, before they learned
/// to go on by themselves (6.0).
fn can_wait_first(capabilities: Capabilities) -> bool {
    capabilities.contains(Capabilities::MULTISHOT)
}

/// Receives what is there, at least a byte of a stream, up to what the memory holds; its spans are filled in order. Ends
/// with the number of bytes: none at the end of a stream; and none, at once, for memory without room.
///
/// Of a datagram, what finds no room is lost.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{Connect, Recv, Send};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let (near, far) = (
///     Socket::new(SocketKind::Udp, SocketOptions::empty())?,
///     Socket::new(SocketKind::Udp, SocketOptions::empty())?,
/// );
/// far.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let mut batch = poller.handle().batch();
/// batch.add(Connect::new(near.clone(), far.local_address()?)).unwrap();
/// batch.then(Send::new(near, b"hello".as_slice())).unwrap();
/// batch.add(Operation::new(Recv::new(far, vec![0; 100])).on_done(|done| {
///     assert_eq!(&done.operation.target[..done.result.unwrap()], b"hello");
/// })).unwrap();
/// batch.submit().unwrap();
/// let mut ended = 0;
/// while ended < 3 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Recv<T: Target> {
    socket: Held,
    /// Into where.
    pub target: T,
    outline: Outline,
    /// Whether the kernel can be told to wait before it tries.
    waits_first: bool,
}

impl<T: Target> Recv<T> {
    /// From this socket, into that memory.
    pub fn new(socket: Socket, target: T) -> Recv<T> {
        Recv { socket: Held::new(socket), target, outline: Outline::new(), waits_first: false }
    }

    /// From where.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }

    /// Whether there is no room for any byte of a stream. Systems wait for one all the same; here that ends at once. A
    /// message is received whatever room there is.
    fn wants_nothing(&self) -> bool {
        self.socket.socket.kind().is_stream() && self.outline.length() == 0
    }
}

impl<T: Target> Params for Recv<T> {
    type Output = usize;

    fn output(&mut self, value: i64) -> usize {
        Outcome::from_value(value).bytes()
    }
}

impl<T: Target> Lower for Recv<T> {
    const KIND: Kind = Kind::SocketRecv;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.waits_first = can_wait_first(capabilities);
        self.outline.ask_target(&mut self.target, false)?;
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        if self.wants_nothing() {
            return Body::Nop;
        }
        Body::Recv {
            socket: self.socket.handle(),
            spans: self.outline.rest(0),
            is_drained: self.waits_first && self.socket.socket.is_drained(),
        }
    }

    fn lane(&self) -> Option<Lane> {
        self.socket.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.socket.obstacle_to_receiving()
    }

    fn settle(&mut self, answer: &mut Answer, _is_cancelled: bool) -> Onward {
        if self.wants_nothing() {
            return Onward::End;
        }
        let is_end = *answer == Ok(0) && self.socket.socket.kind().is_stream();
        after_receive(&self.socket, answer, is_end).unwrap_or(Onward::End)
    }
}

type OnReceived = Box<dyn FnMut(&[u8]) + std::marker::Send>;

/// Receives until the stream ends, with the same memory each time: a callback sees what has come while it lies there. A
/// socket of datagrams has no end; an empty message is one like any.
///
/// No kernel does this for one request: it is one after the other, and nothing is lost in between.
///
/// ```
/// use std::sync::mpsc::channel;
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{RecvMany, SendTo};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// socket.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let address = socket.local_address()?;
/// let (send, received) = channel();
/// let recv = RecvMany::new(socket.clone(), vec![0; 100], move |bytes| send.send(bytes.to_vec()).unwrap());
/// poller.handle().submit(recv).unwrap();
/// for text in ["one", "two"] {
///     poller.handle().submit(SendTo::new(socket.clone(), text.as_bytes(), address)).unwrap();
/// }
/// let mut messages = Vec::new();
/// while messages.len() < 2 {
///     poller.poll(Deadline::NEVER)?;
///     messages.extend(received.try_iter());
/// }
/// assert_eq!(messages, [b"one", b"two"]);
/// # weft_sync::Result::Ok(())
/// ```
pub struct RecvMany<T: Exclusive> {
    socket: Held,
    target: T,
    /// `None` once it has panicked.
    on_received: Option<OnReceived>,
    outline: Outline,
    /// As in [`Recv`].
    waits_first: bool,
}

impl<T: Exclusive> RecvMany<T> {
    /// From this socket, through that memory, which has one span with room for at least a byte. The callback is called on
    /// the poll thread, with each piece; it may do what callbacks of operations may. One that panics is not called again,
    /// and the operation ends with `CANCELLED`.
    pub fn new(
        socket: Socket,
        target: T,
        on_received: impl FnMut(&[u8]) + std::marker::Send + 'static,
    ) -> RecvMany<T> {
        let on_received: OnReceived = Box::new(on_received);
        let (socket, on_received) = (Held::new(socket), Some(on_received));
        RecvMany { socket, target, on_received, outline: Outline::new(), waits_first: false }
    }

    /// From where.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }

    /// The memory, which is nobody else's any more.
    pub fn into_target(self) -> T {
        self.target
    }
}

impl<T: Exclusive> Params for RecvMany<T> {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl<T: Exclusive> Lower for RecvMany<T> {
    const KIND: Kind = Kind::SocketRecv;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.waits_first = can_wait_first(capabilities);
        let is_one = self.target.count() == 1;
        if is_one {
            self.outline.ask_target(&mut self.target, false)?;
        }
        // Without room every answer would be the same, for ever.
        if !is_one || self.outline.length() == 0 {
            bail!(
                InvalidArgument,
                "receiving again and again needs one piece of memory with room for a byte"
            );
        }
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        Body::Recv {
            socket: self.socket.handle(),
            spans: self.outline.rest(0),
            is_drained: self.waits_first && self.socket.socket.is_drained(),
        }
    }

    fn lane(&self) -> Option<Lane> {
        self.socket.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.socket.obstacle_to_receiving()
    }

    fn settle(&mut self, answer: &mut Answer, _is_cancelled: bool) -> Onward {
        let is_end = *answer == Ok(0) && self.socket.has_ended();
        match after_receive(&self.socket, answer, is_end) {
            Some(onward) => onward,
            None if answer.is_ok() && !is_end => Onward::Tell,
            None => Onward::End,
        }
    }

    fn shot(&mut self, value: i64) {
        let Some(mut on_received) = self.on_received.take() else { return };
        let Some(span) = self.outline.only() else { return };
        let length = Outcome::from_value(value).bytes().min(span.length);
        // SAFETY: a target's span is initialised memory of that length that stays, and nobody else uses it: the kernel has
        // answered, and is asked again when this is over.
        let bytes = unsafe { std::slice::from_raw_parts(span.address, length) };
        on_received(bytes);
        self.on_received = Some(on_received);
    }
}

impl<T: Exclusive> fmt::Debug for RecvMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").field("socket", &self.socket.socket).finish_non_exhaustive()
    }
}
