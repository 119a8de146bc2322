//! Datagrams to and from any address.
//!
//! What lives here: [`SendTo`], [`RecvFrom`]. What does not: sockets that have a peer (`send.rs`, `recv.rs`).
//!
//! Each message stands alone: what one came to says nothing about the next, which may go elsewhere. So only what is
//! wrong with the socket itself sticks to it.
#![cfg(unix)]

use super::send::Copying;
use super::{Held, SendFlags, Sent};
use crate::Capabilities;
use crate::address::Address;
use crate::frame::{Outline, Spans};
use crate::operation::{Params, sealed::Lower};
use crate::ops::body::Sending;
use crate::ops::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::ops::{Body, Kind};
use crate::socket::Socket;
use crate::span::{Source, Target};
use rustix::io::Errno;
use weft_sync::{Result, Status, bail};

/// What is wrong with a socket, and not with a message.
fn is_of_the_socket(errno: Errno) -> bool {
    [Errno::PIPE, Errno::SHUTDOWN, Errno::CONNRESET, Errno::NETDOWN, Errno::IO].contains(&errno)
}

fn only_datagrams(socket: &Socket) -> Result<()> {
    if socket.kind().is_stream() {
        bail!(InvalidArgument, "messages with addresses on a socket for {:?}", socket.kind());
    }
    Ok(())
}

/// Sends the memory, its spans in order, as one message to an address. Ends with the number of bytes.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{RecvFrom, SendTo};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// socket.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let own = socket.local_address()?;
/// poller.handle().submit(SendTo::new(socket.clone(), b"to myself".as_slice(), own)).unwrap();
/// let recv = Operation::new(RecvFrom::new(socket, vec![0; 4])).on_done(move |done| {
///     let received = done.result.unwrap();
///     assert_eq!(&done.operation.target[..received.bytes], b"to m");
///     assert!(received.is_truncated);
///     assert_eq!(received.sender, own);
/// });
/// poller.handle().submit(recv).unwrap();
/// let mut ended = 0;
/// while ended < 2 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct SendTo<S: Source> {
    socket: Held,
    /// What is sent.
    pub source: S,
    /// To where.
    pub address: Address,
    /// How.
    pub flags: SendFlags,
    outline: Outline,
    copying: Copying,
}

impl<S: Source> SendTo<S> {
    /// From this socket, to that address.
    pub fn new(socket: Socket, source: S, address: Address) -> SendTo<S> {
        SendTo {
            socket: Held::new(socket),
            source,
            address,
            flags: SendFlags::empty(),
            outline: Outline::new(),
            copying: Copying::ALWAYS,
        }
    }

    /// The same with these flags.
    #[must_use]
    pub fn with_flags(self, flags: SendFlags) -> SendTo<S> {
        SendTo { flags, ..self }
    }

    /// Through which socket.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }
}

impl<S: Source> Params for SendTo<S> {
    type Output = Sent;

    fn output(&mut self, value: i64) -> Sent {
        let outcome = Outcome::from_value(value);
        self.copying.add(outcome);
        self.copying.sent(outcome.bytes())
    }
}

impl<S: Source> Lower for SendTo<S> {
    const KIND: Kind = Kind::SocketSendTo;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        let socket = &self.socket.socket;
        only_datagrams(socket)?;
        if self.address.family() != Some(socket.kind().family()) {
            bail!(InvalidArgument, "a socket for {:?} cannot send to {}", socket.kind(), self.address);
        }
        self.outline.ask_source(&self.source, true)?;
        self.copying = Copying::choose(socket, capabilities, self.outline.length());
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        let frame = self.outline.message();
        frame.fill_destination(self.address.as_sockaddr());
        Body::Send(Sending {
            socket: self.socket.handle(),
            spans: Spans::Many(frame),
            is_stream: false,
            has_more: self.flags.contains(SendFlags::MORE),
            zero_copy: self.copying.tried(),
        })
    }

    fn lane(&self) -> Option<Lane> {
        self.socket.lane(Direction::Out)
    }

    fn obstacle(&self) -> Option<Status> {
        self.socket.obstacle_to_sending()
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        match self.socket.failure(answer) {
            Some(errno) if !is_cancelled && self.copying.gives_up(&self.socket.socket, errno) => {
                return Onward::Again;
            }
            Some(errno) if is_of_the_socket(errno) => self.socket.socket.fail_with(errno),
            _ => {}
        }
        Onward::End
    }
}

/// A message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in memory.
    pub bytes: usize,
    /// Who sent it; empty if that is a Unix socket without a name.
    pub sender: Address,
    /// Whether there was more of it, which is lost.
    pub is_truncated: bool,
}

/// Receives one message, with the address of its sender; its memory's spans are filled in order. An empty message is one.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{RecvFrom, SendTo};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// socket.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let address = socket.local_address()?;
/// let (answering, again) = (socket.clone(), handle.clone());
/// let recv = Operation::new(RecvFrom::new(socket.clone(), vec![0; 100])).on_done(move |done| {
///     let sender = done.result.unwrap().sender;
///     again.submit(SendTo::new(answering, b"got it".as_slice(), sender)).unwrap();
/// });
/// handle.submit(recv).unwrap();
/// handle.submit(SendTo::new(socket, b"hello".as_slice(), address)).unwrap();
/// let mut ended = 0;
/// while ended < 3 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct RecvFrom<T: Target> {
    socket: Held,
    /// Into where.
    pub target: T,
    outline: Outline,
}

impl<T: Target> RecvFrom<T> {
    /// From this socket, into that memory.
    pub fn new(socket: Socket, target: T) -> RecvFrom<T> {
        RecvFrom { socket: Held::new(socket), target, outline: Outline::new() }
    }

    /// From where.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }
}

impl<T: Target> Params for RecvFrom<T> {
    type Output = Received;

    fn output(&mut self, value: i64) -> Received {
        let bytes = Outcome::from_value(value).bytes();
        let (sender, flags) = match self.outline.frame() {
            Some(frame) => (Address::from_sockaddr(frame.sender()), frame.flags()),
            None => (Address::EMPTY, 0),
        };
        Received { bytes, sender, is_truncated: flags & libc::MSG_TRUNC != 0 }
    }
}

impl<T: Target> Lower for RecvFrom<T> {
    const KIND: Kind = Kind::SocketRecvFrom;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        only_datagrams(&self.socket.socket)?;
        self.outline.ask_target(&mut self.target, true)?;
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        let frame = self.outline.message();
        frame.expect_sender();
        Body::Recv { socket: self.socket.handle(), spans: Spans::Many(frame), is_drained: false }
    }

    fn lane(&self) -> Option<Lane> {
        self.socket.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.socket.obstacle_to_receiving()
    }

    fn settle(&mut self, answer: &mut Answer, _is_cancelled: bool) -> Onward {
        self.socket.cancel_end(answer);
        match self.socket.failure(answer) {
            Some(errno) if is_of_the_socket(errno) => self.socket.socket.fail_with(errno),
            _ => {}
        }
        Onward::End
    }
}
