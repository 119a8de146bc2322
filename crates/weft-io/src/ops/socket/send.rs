//! Sending to the peer.
//!
//! What lives here: [`Send`]. What does not: datagrams to any address (`message.rs`).
//!
//! 1. **A send to a stream ends when all of it is with the kernel**, however often that takes a part: it goes on with the
//!    rest. It ends with fewer bytes only if it was cancelled in between. One that fails in between fails;
//!    [`Send::sent`] says how far it came.
//! 2. **Without a copy** if the socket asks for it (`SocketOptions::ZERO_COPY`), the proactor can, and there are at least
//!    [`ZERO_COPY_BYTES_MIN`] bytes: below that, pinning the pages and the second answer cost more than a copy. It ends
//!    when the kernel does not need the memory any more. A kernel that refuses (for that kind of socket, or because no
//!    more memory may be pinned) is asked for a plain send, and not for another one on that socket.
#![cfg(unix)]

use super::Held;
use crate::Capabilities;
use crate::frame::Outline;
use crate::operation::{Params, sealed::Lower};
use crate::ops::body::{Sending, ZeroCopy};
use crate::ops::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::ops::{Body, Kind};
use crate::socket::Socket;
use crate::span::Source;
use rustix::io::Errno;
use weft_sync::{Result, Status};

/// Sends of fewer bytes are copied.
pub(super) const ZERO_COPY_BYTES_MIN: usize = 8192;

bitflags::bitflags! {
    /// How something is sent.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SendFlags: u32 {
        /// More follows at once: the system may wait for it and send both together.
        const MORE = 1;
    }
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How many bytes.
    pub bytes: usize,
    /// Whether none of them was copied, as far as the kernel says so.
    pub is_zero_copy: bool,
}

/// Sends all of the memory, its spans in order, as one piece. Ends with the number of bytes, which is all of them unless it
/// was cancelled when some were sent.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{Connect, Send, SendFlags};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// listener.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// listener.listen(0)?;
/// let socket = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// // Nothing has to end before the next is submitted.
/// poller.handle().submit(Connect::new(socket.clone(), listener.local_address()?)).unwrap();
/// let greeting = Send::new(socket.clone(), [b"hel".to_vec(), b"lo ".to_vec()]).with_flags(SendFlags::MORE);
/// poller.handle().submit(greeting).unwrap();
/// poller.handle().submit(Operation::new(Send::new(socket, b"world".as_slice())).on_done(|done| {
///     assert_eq!(done.result.unwrap().bytes, 5);
/// })).unwrap();
/// let mut ended = 0;
/// while ended < 3 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Send<S: Source> {
    socket: Held,
    /// What is sent.
    pub source: S,
    /// How.
    pub flags: SendFlags,
    outline: Outline,
    /// How many bytes are sent.
    sent: usize,
    copying: Copying,
}

/// Whether a send is tried without a copy, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    tried: ZeroCopy,
    /// Whether anything was copied.
    has_copied: bool,
}

impl Copying {
    pub(super) const ALWAYS: Copying = Copying { tried: ZeroCopy::No, has_copied: false };

    /// Rule 2.
    pub(super) fn choose(socket: &Socket, capabilities: Capabilities, length: usize) -> Copying {
        let can = capabilities.contains(Capabilities::ZERO_COPY_SEND);
        let tried = match can && length >= ZERO_COPY_BYTES_MIN && socket.tries_zero_copy() {
            true if capabilities.contains(Capabilities::ZERO_COPY_REPORT) => ZeroCopy::Reported,
            true => ZeroCopy::Tried,
            false => ZeroCopy::No,
        };
        Copying { tried, has_copied: false }
    }

    pub(super) fn tried(self) -> ZeroCopy {
        self.tried
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        // A kernel that does not report has said nothing.
        self.has_copied |= self.tried != ZeroCopy::Reported || !outcome.is_zero_copy();
    }

    /// Whether the failure is of the way, not of the send; then the other way is taken from now on.
    pub(super) fn gives_up(&mut self, socket: &Socket, errno: Errno) -> bool {
        let refusals = [Errno::OPNOTSUPP, Errno::NOMEM, Errno::INVAL];
        if self.tried == ZeroCopy::No || !refusals.contains(&errno) {
            return false;
        }
        self.tried = ZeroCopy::No;
        socket.leave_zero_copy();
        true
    }

    pub(super) fn sent(self, bytes: usize) -> Sent {
        Sent { bytes, is_zero_copy: !self.has_copied && bytes > 0 }
    }
}

impl<S: Source> Send<S> {
    /// To the peer of this socket.
    pub fn new(socket: Socket, source: S) -> Send<S> {
        Send {
            socket: Held::new(socket),
            source,
            flags: SendFlags::empty(),
            outline: Outline::new(),
            sent: 0,
            copying: Copying::ALWAYS,
        }
    }

    /// The same with these flags.
    #[must_use]
    pub fn with_flags(self, flags: SendFlags) -> Send<S> {
        Send { flags, ..self }
    }

    /// Through which socket.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }

    /// How many bytes the last use has sent, however it ended.
    pub fn sent(&self) -> usize {
        self.sent
    }
}

impl<S: Source> Params for Send<S> {
    type Output = Sent;

    fn output(&mut self, _value: i64) -> Sent {
        self.copying.sent(self.sent)
    }
}

impl<S: Source> Lower for Send<S> {
    const KIND: Kind = Kind::SocketSend;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.outline.ask_source(&self.source, false)?;
        self.sent = 0;
        self.copying = Copying::choose(&self.socket.socket, capabilities, self.outline.length());
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        Body::Send(Sending {
            socket: self.socket.handle(),
            spans: self.outline.rest(self.sent),
            is_stream: self.socket.socket.kind().is_stream(),
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

    fn let_go(&self) {
        if self.copying.tried() != ZeroCopy::No && self.socket.socket.kind().is_stream() {
            self.socket.socket.break_off();
        }
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        if let Ok(value) = *answer {
            let outcome = Outcome::from_value(value);
            self.sent += outcome.bytes();
            self.copying.add(outcome);
            let is_short = self.sent < self.outline.length() && outcome.bytes() > 0;
            let goes_on = is_short && !is_cancelled && self.socket.socket.kind().is_stream();
            // Rule 1.
            return if goes_on { Onward::Again } else { Onward::End };
        }
        match self.socket.failure(answer) {
            Some(errno) if !is_cancelled && self.copying.gives_up(&self.socket.socket, errno) => {
                Onward::Again
            }
            Some(errno) => self.socket.remember(errno, self.sent > 0, answer),
            None => {
                // Rule 1: cancelled in between.
                if self.sent > 0 {
                    *answer = Ok(0);
                }
                Onward::End
            }
        }
    }
}
