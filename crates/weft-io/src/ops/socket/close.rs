//! Closing.
#![cfg(unix)]

use crate::Capabilities;
use crate::operation::{Params, sealed::Lower};
use crate::ops::{Body, Kind};
use crate::socket::Socket;
use weft_sync::{Result, bail};

/// Closes a socket, whoever else holds it: the peer sees the end, the port is free, and operations on it end, with
/// `CANCELLED` as a rule, before this one or after it. Of a socket that was closed before it ends well, too.
///
/// It begins when its turn comes, so one that is linked behind a send lets that end first. What another proactor has under
/// way on the socket ends too, when that polls; until then both directions are shut down, or the connection is reset where
/// its close would do that.
///
/// ```
/// use weft_io::{Config, Operation, Socket, SocketKind, SocketOptions, SocketState, open_any, ops::SocketClose};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// poller.handle().submit(SocketClose::new(socket.clone())).unwrap();
/// poller.poll(Deadline::NEVER)?;
/// assert_eq!(socket.state(), SocketState::Closed);
/// assert!(socket.local_address().is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct SocketClose {
    /// Given up when it is closed.
    socket: Option<Socket>,
}

impl SocketClose {
    /// This one; the reference is given up.
    pub fn new(socket: Socket) -> SocketClose {
        SocketClose { socket: Some(socket) }
    }
}

impl Params for SocketClose {
    type Output = ();

    fn output(&mut self, _value: i64) {
        self.socket = None;
    }
}

impl Lower for SocketClose {
    const KIND: Kind = Kind::SocketClose;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        if self.socket.is_none() {
            bail!(InvalidArgument, "the operation has closed its socket");
        }
        Ok(())
    }

    fn body(&mut self) -> Body<'_> {
        match &self.socket {
            Some(socket) => Body::SocketClose(socket),
            None => Body::Nop,
        }
    }
}
