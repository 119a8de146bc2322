//! Connecting.
#![cfg(unix)]

use super::Held;
use crate::Capabilities;
use crate::address::Address;
use crate::operation::{Params, sealed::Lower};
use crate::ops::outcome::{Answer, Direction, Lane, Onward};
use crate::ops::{Body, Kind};
use crate::socket::{Socket, SocketState};
use weft_sync::{Result, Status, bail};

/// Connects a stream; gives a socket of datagrams the peer that it sends to and receives from.
///
/// Nobody there: `UNAVAILABLE`, which sticks; connected already: `FAILED_PRECONDITION`, which does not.
///
/// ```
/// use weft_io::{Address, Config, Operation, Socket, SocketKind, SocketOptions, SocketState, open_any, ops::Connect};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// listener.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// listener.listen(0)?;
/// let socket = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
/// let connect = Operation::new(Connect::new(socket.clone(), listener.local_address()?));
/// poller.handle().submit(connect.on_done(|done| done.result.unwrap())).unwrap();
/// poller.poll(Deadline::NEVER)?;
/// assert_eq!(socket.state(), SocketState::Connected);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Connect {
    socket: Held,
    address: Address,
}

impl Connect {
    /// This socket, to there.
    pub fn new(socket: Socket, address: Address) -> Connect {
        Connect { socket: Held::new(socket), address }
    }

    /// Which socket.
    pub fn socket(&self) -> &Socket {
        &self.socket.socket
    }

    /// To where.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Params for Connect {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for Connect {
    const KIND: Kind = Kind::SocketConnect;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        let (address, kind) = (&self.address, self.socket.socket.kind());
        if address.family() != Some(kind.family()) {
            bail!(InvalidArgument, "a socket for {kind:?} cannot be connected to {address}");
        }
        self.socket.enter()
    }

    fn release(&mut self) {
        self.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        self.socket.socket.set_state(SocketState::Connecting);
        Body::Connect { socket: self.socket.handle(), address: &self.address }
    }

    fn lane(&self) -> Option<Lane> {
        self.socket.lane(Direction::Out)
    }

    fn obstacle(&self) -> Option<Status> {
        self.socket.obstacle()
    }

    fn settle(&mut self, answer: &mut Answer, _is_cancelled: bool) -> Onward {
        let state = match self.socket.failure(answer) {
            Some(rustix::io::Errno::ISCONN) => SocketState::Connected,
            Some(errno) => {
                self.socket.socket.fail_with(errno);
                SocketState::Created
            }
            None if answer.is_ok() => SocketState::Connected,
            None => SocketState::Created,
        };
        self.socket.socket.set_state(state);
        Onward::End
    }
}
