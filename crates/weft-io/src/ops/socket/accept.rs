#![allow(unsafe_code, reason = "the kernel gives accepted connections as numbers")]
//! Accepting connections.
//!
//! What lives here: [`Accept`], [`AcceptMany`]. What does not: making a socket of a descriptor (`socket`).
//!
//! Where the kernel cannot accept many connections for one request, `AcceptMany` is one request after the other; nobody
//! sees a difference.
#![cfg(unix)]

use super::Held;
use crate::Capabilities;
use crate::address::Address;
use crate::frame::Frame;
use crate::operation::{Params, sealed::Lower};
use crate::ops::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::ops::{Body, Kind};
use crate::socket::Socket;
use rustix::io::Errno;
use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};
use weft_sync::{Result, Status};

/// A connection.
#[derive(Debug)]
pub struct Accepted {
    /// Connected. Its handle does not block and is not inherited.
    pub socket: Socket,
    /// Who is at the other end; empty if that is a Unix socket without a name.
    pub peer: Address,
}

/// The descriptor that is the outcome of an accept.
fn descriptor(value: i64) -> OwnedFd {
    // SAFETY: backends answer an accept with a new descriptor that nobody else has, and each answer is looked at once.
    unsafe { OwnedFd::from_raw_fd(Outcome::from_value(value).result() as i32) }
}

/// Accepts one connection. Ends with it; a failure of the listener's is none that sticks.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{Accept, Connect};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// listener.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// listener.listen(0)?;
/// let socket = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// let connect = Connect::new(socket.clone(), listener.local_address()?);
/// let accept = Operation::new(Accept::new(listener)).on_done(move |done| {
///     assert_eq!(done.result.unwrap().peer, socket.local_address().unwrap());
/// });
/// poller.handle().submit(accept).unwrap();
/// poller.handle().submit(connect).unwrap();
/// let mut ended = 0;
/// while ended < 2 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Accept {
    listener: Held,
    frame: Option<Frame>,
    /// What has been accepted, until somebody takes it.
    accepted: Option<Accepted>,
}

impl Accept {
    /// From this listener.
    pub fn new(listener: Socket) -> Accept {
        Accept { listener: Held::new(listener), frame: None, accepted: None }
    }

    /// From where.
    pub fn listener(&self) -> &Socket {
        &self.listener.socket
    }
}

impl Params for Accept {
    type Output = Accepted;

    fn output(&mut self, _value: i64) -> Accepted {
        self.accepted.take().expect("there is one when the operation ends well")
    }
}

impl Lower for Accept {
    const KIND: Kind = Kind::SocketAccept;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        self.accepted = None;
        self.frame.get_or_insert_with(Frame::new);
        self.listener.enter()
    }

    fn release(&mut self) {
        self.listener.leave();
    }

    fn body(&mut self) -> Body<'_> {
        let frame = self.frame.get_or_insert_with(Frame::new);
        frame.fill(0..0);
        frame.expect_sender();
        Body::Accept { listener: self.listener.handle(), peer: frame }
    }

    fn lane(&self) -> Option<Lane> {
        self.listener.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.listener.obstacle()
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        if let Ok(value) = *answer {
            let socket = Socket::accepted(descriptor(value), &self.listener.socket);
            let peer =
                self.frame.as_ref().map_or(Address::EMPTY, |frame| Address::from_sockaddr(frame.sender()));
            self.accepted = Some(Accepted { socket, peer });
            return Onward::End;
        }
        match self.listener.failure(answer) {
            Some(errno) if !is_cancelled && is_passing(errno) => Onward::Again,
            _ => Onward::End,
        }
    }
}

/// Failures of a connection that went away before it was accepted: the listener has others.
fn is_passing(errno: Errno) -> bool {
    [Errno::CONNABORTED, Errno::INTR, Errno::PROTO].contains(&errno)
}

type OnAccepted = Box<dyn FnMut(Accepted) + std::marker::Send>;

/// Accepts connections until it is cancelled, the listener is closed, or descriptors run out; a callback gets each of them.
///
/// It never ends well. After `RESOURCE_EXHAUSTED` connections wait in the listener for the next.
///
/// ```
/// use std::sync::mpsc::channel;
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{AcceptMany, Connect};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// listener.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// listener.listen(0)?;
/// let address = listener.local_address()?;
/// let (send, accepted) = channel();
/// let accept = AcceptMany::new(listener, move |connection| send.send(connection).unwrap());
/// poller.handle().submit(Operation::new(accept)).unwrap();
/// for _ in 0..3 {
///     let socket = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
///     poller.handle().submit(Connect::new(socket, address)).unwrap();
/// }
/// let mut connections = Vec::new();
/// while connections.len() < 3 {
///     poller.poll(Deadline::NEVER)?;
///     connections.extend(accepted.try_iter());
/// }
/// # weft_sync::Result::Ok(())
/// ```
pub struct AcceptMany {
    listener: Held,
    /// `None` once it has panicked: what is accepted after that is closed.
    on_accepted: Option<OnAccepted>,
    /// Whether the kernel goes on by itself.
    is_native: bool,
}

impl AcceptMany {
    /// From this listener. The callback is called on the poll thread, for each connection; it may do what callbacks of
    /// operations may. One that panics is not called again, and the operation ends with `CANCELLED`.
    pub fn new(
        listener: Socket,
        on_accepted: impl FnMut(Accepted) + std::marker::Send + 'static,
    ) -> AcceptMany {
        let on_accepted: OnAccepted = Box::new(on_accepted);
        AcceptMany { listener: Held::new(listener), on_accepted: Some(on_accepted), is_native: false }
    }

    /// From where.
    pub fn listener(&self) -> &Socket {
        &self.listener.socket
    }
}

impl Params for AcceptMany {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for AcceptMany {
    const KIND: Kind = Kind::SocketAccept;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.is_native = capabilities.contains(Capabilities::MULTISHOT);
        self.listener.enter()
    }

    fn release(&mut self) {
        self.listener.leave();
    }

    fn body(&mut self) -> Body<'_> {
        Body::AcceptMany { listener: self.listener.handle(), is_native: self.is_native }
    }

    fn lane(&self) -> Option<Lane> {
        self.listener.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.listener.obstacle()
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        if answer.is_ok() {
            return Onward::Tell;
        }
        match self.listener.failure(answer) {
            Some(errno) if !is_cancelled && is_passing(errno) => Onward::Again,
            _ => Onward::End,
        }
    }

    fn shot(&mut self, value: i64) {
        let socket = Socket::accepted(descriptor(value), &self.listener.socket);
        // Asked here: one place for the address of many connections would be overwritten by the next. Who has gone
        // again has none.
        let peer = socket.peer_address().unwrap_or(Address::EMPTY);
        if let Some(mut on_accepted) = self.on_accepted.take() {
            on_accepted(Accepted { socket, peer });
            self.on_accepted = Some(on_accepted);
        }
    }
}

impl fmt::Debug for AcceptMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptMany").field("listener", &self.listener.socket).finish_non_exhaustive()
    }
}
