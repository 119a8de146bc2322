//! Operations on sockets.
//!
//! | file         | what lives there                                               |
//! |--------------|----------------------------------------------------------------|
//! | `accept.rs`  | accepting one connection, and accepting until told to stop     |
//! | `connect.rs` | connecting                                                     |
//! | `recv.rs`    | receiving from the peer, once and until the end                |
//! | `recv_pool.rs` | the same into buffers of a pool                              |
//! | `send.rs`    | sending to the peer                                            |
//! | `message.rs` | messages to and from any address                               |
//! | `close.rs`   | closing                                                        |
//!
//! What lives here: how an operation holds its socket. What does not: sockets themselves (`socket`), which operation of
//! a socket runs when (`proactor/socket.rs`).
//!
//! 1. **Operations of one direction of a socket run one at a time, and end in the order of submission**; so the bytes
//!    of two sends never mix. Accepting and receiving are one direction, connecting and sending the other: a send that
//!    is submitted behind a connect waits for it. Directions do not wait for each other. This holds for the operations
//!    of one proactor; nobody orders those of several.
//! 2. **The first transport failure sticks to the socket** (`Socket::failure`). Sends then fail with its code when their
//!    turn comes, receives first deliver what the kernel still has. What is no failure of the connection does not
//!    stick: cancels, want of memory or descriptors, arguments, and what one message to one address came to.
//! 3. **What a kernel has handed out belongs to somebody at once**: an accepted connection is in the operation before
//!    anybody is told, so it is closed with it if nobody takes it.
#![cfg(unix)]

mod accept;
mod close;
mod connect;
mod message;
mod recv;
mod recv_pool;
mod send;

pub use accept::{Accept, AcceptMany, Accepted};
pub use close::SocketClose;
pub use connect::Connect;
pub use message::{Received, RecvFrom, SendTo};
pub use recv::{Recv, RecvMany};
#[cfg(not(loom))]
pub(crate) use recv_pool::Pooled;
#[cfg(not(loom))]
pub use recv_pool::{PooledRecv, RecvPool, RecvPoolMany};
pub use send::{Send, SendFlags, Sent};

use super::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::end_of_input::no_more_comes;
use crate::registration::Named;
use crate::socket::{Socket, SocketState};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};
use weft_sync::{Result, Status, status};

/// A socket as an operation has it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) socket: Socket,
    /// Whether the socket counts the operation.
    is_entered: bool,
}

impl Held {
    pub(crate) fn new(socket: Socket) -> Held {
        Held { socket, is_entered: false }
    }

    /// Part of `prepare`.
    pub(crate) fn enter(&mut self) -> Result<()> {
        if !self.is_entered {
            self.socket.enter()?;
            self.is_entered = true;
        }
        Ok(())
    }

    /// Part of `release`.
    pub(crate) fn leave(&mut self) {
        if std::mem::take(&mut self.is_entered) {
            self.socket.leave();
        }
    }

    pub(crate) fn handle(&self) -> Named<'_> {
        self.socket.named()
    }

    pub(crate) fn lane(&self, direction: Direction) -> Option<Lane> {
        Some(Lane { handle: self.socket.as_fd().as_raw_fd() as u32, direction })
    }

    /// Why an operation on it must not begin.
    pub(crate) fn obstacle(&self) -> Option<Status> {
        match self.socket.is_closed() {
            true => Some(status!(FailedPrecondition, "the socket was closed before the operation began")),
            false => None,
        }
    }

    /// The same, for one that sends.
    pub(crate) fn obstacle_to_sending(&self) -> Option<Status> {
        let failed = |code| Status::new(code, "the socket has failed before");
        self.obstacle().or_else(|| self.socket.failure().map(failed))
    }

    /// The same, for one that receives. A backend that waits before it tries would wait for a connection, and then for ever.
    pub(crate) fn obstacle_to_receiving(&self) -> Option<Status> {
        let is_listening = self.socket.state() == SocketState::Listening;
        let refusal = || status!(FailedPrecondition, "a socket that listens receives nothing");
        self.obstacle().or_else(|| is_listening.then(refusal))
    }

    /// The first cause of what a send was told, which is remembered. A system tells of a reset once, whoever asks first, or
    /// nobody if a send `has_sent` something; whoever comes later hears of a broken pipe.
    pub(crate) fn remember(&self, errno: Errno, has_sent: bool, answer: &mut Answer) -> Onward {
        let mut cause = errno;
        if errno == Errno::PIPE {
            let first = self.socket.failure().filter(|&first| first != crate::errno::code(errno));
            if let Some(first) = first {
                return Onward::Fail(first);
            }
            if has_sent && self.socket.is_reset_by_break() {
                cause = Errno::CONNRESET;
                *answer = Err(cause.raw_os_error());
            }
        }
        self.socket.fail_with(cause);
        Onward::End
    }

    /// What fails because the socket was closed under it is cancelled, however the kernel puts it. `Some`: another failure.
    pub(crate) fn failure(&self, answer: &mut Answer) -> Option<Errno> {
        let Err(number) = answer else { return None };
        if self.socket.is_closed() {
            *number = Errno::CANCELED.raw_os_error();
        }
        let errno = Errno::from_raw_os_error(*number);
        (errno != Errno::CANCELED).then_some(errno)
    }

    /// The same of a receive that got nothing: a close may shut the socket down before it lets the file go, and that end is
    /// none of the peer's, nor an empty message of anybody.
    fn cancel_end(&self, answer: &mut Answer) {
        if *answer == Ok(0) && self.socket.is_closed() {
            *answer = Err(Errno::CANCELED.raw_os_error());
        }
    }
}

impl Held {
    /// Whether a receive that got nothing has come to the end, and not upon an empty message.
    pub(crate) fn has_ended(&self) -> bool {
        if self.socket.kind().is_stream() {
            return true;
        }
        no_more_comes(&self.socket)
    }
}

/// What the answer to a receive means to its socket. `Some`: it has come to the end of one that had failed before.
fn after_receive(held: &Held, answer: &mut Answer, is_end: bool) -> Option<Onward> {
    held.cancel_end(answer);
    if let Some(errno) = held.failure(answer) {
        held.socket.fail_with(errno);
    } else if let Ok(value) = *answer {
        held.socket.note_rest(!Outcome::from_value(value).is_drained());
    }
    // First what was there, then the failure.
    let failure = if is_end && answer.is_ok() { held.socket.failure() } else { None };
    failure.map(Onward::Fail)
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leave();
    }
}
