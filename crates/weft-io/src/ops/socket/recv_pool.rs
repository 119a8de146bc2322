//! Receiving into buffers of a pool.
//!
//! What lives here: [`RecvPool`], [`RecvPoolMany`], [`PooledRecv`], and one attempt for backends without a ring of buffers.
//! What does not: the pool (`memory/pool.rs`), the ring (`backend/uring/group.rs`).
//!
//! 1. **No buffer waits for data**: one is picked when data is there, by the kernel or by the attempt.
//! 2. A backend puts the buffer into the operation before it gives the answer, so it comes back whatever becomes of the
//!    answer. One that holds nothing goes back at once.
//!    **Several buffers of one answer** (`RECEIVE_BUNDLES`) are told one by one, in order, as if each had been answered by
//!    itself. All of them are told, also if a callback cancels the receive in the midst: they have left the socket. Only a
//!    receive of many out of a stream asks for that: messages have boundaries, and who wants one piece wants one buffer.
//!    **A piece of a buffer** that is used up piece by piece is a lease like any; the pool counts them. Such buffers are for
//!    streams alone.
//! 3. **A pool without a buffer** ends the operation with `RESOURCE_EXHAUSTED`, and nothing is lost: what has come stays in
//!    the socket, and the failure is not the socket's. A receive whose ring has run dry while the pool has buffers again
//!    goes on.
#![cfg(all(unix, not(loom)))]

use super::{Held, after_receive};
use crate::Capabilities;
#[cfg(target_os = "linux")]
use crate::memory::Filled;
use crate::memory::{BufferPool, Consumption, Lease, Run};
use crate::operation::{Params, sealed::Lower};
use crate::ops::outcome::{Answer, Direction, Lane, Onward, Outcome};
use crate::ops::{Body, Kind};
use crate::registration::Named;
use crate::socket::Socket;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::fmt;
use weft_sync::{Result, Status};

/// What was received into a buffer of a pool.
#[derive(Debug)]
pub struct PooledRecv {
    /// The buffer. None at the end of a stream, and for an empty message.
    pub lease: Option<Lease>,
    /// How many of its bytes were received.
    pub bytes: usize,
}

impl PooledRecv {
    fn of((lease, bytes): (Lease, usize)) -> PooledRecv {
        PooledRecv { lease: Some(lease), bytes }
    }

    /// What was received.
    pub fn data(&self) -> &[u8] {
        self.lease.as_ref().map_or(&[], |lease| &lease[..self.bytes.min(lease.len())])
    }
}

/// What a backend needs of either operation.
pub struct Pooled<'a> {
    pub(crate) socket: Named<'a>,
    pub(crate) pool: &'a BufferPool,
    /// Where the buffers go (rule 2).
    pub(crate) run: &'a mut Run,
    /// Whether the kernel may pick buffers from the ring of the pool, if it has one.
    pub(crate) is_native: bool,
    /// Whether it may go on by itself.
    pub(crate) is_many: bool,
    /// Whether one answer may span several buffers.
    pub(crate) takes_bundles: bool,
}

impl Pooled<'_> {
    /// The number of the ring of buffers that the kernel of this proactor picks from, for a request that follows.
    /// `None`: it has none.
    #[cfg(target_os = "linux")]
    pub(crate) fn begin(&self, proactor: u32) -> Option<u16> {
        if self.is_picked_by(proactor) { self.pool.begin_receive() } else { None }
    }

    /// An answer to such a request, with what it says of buffers. `false`: there was no ring, and so no such request.
    #[cfg(target_os = "linux")]
    pub(crate) fn picked(&mut self, proactor: u32, filled: Option<Filled>, is_last: bool) -> bool {
        if !self.is_picked_by(proactor) {
            return false;
        }
        if let Some(filled) = filled {
            *self.run = self.pool.received(filled).unwrap_or_default();
        }
        // After the buffer: what is in the ring of a pool without receives can be leased to anybody.
        if is_last {
            self.pool.end_receive();
        }
        true
    }

    #[cfg(target_os = "linux")]
    fn is_picked_by(&self, proactor: u32) -> bool {
        self.is_native && self.pool.region().proactor_id() == proactor && self.pool.has_ring()
    }

    /// Receives now, if there is something; `None`: there is not.
    pub(crate) fn attempt(&mut self) -> Option<Answer> {
        let Ok(mut lease) = self.pool.begin_attempt() else {
            return Some(Err(Errno::NOBUFS.raw_os_error()));
        };
        let outcome = loop {
            match rustix::net::recv(self.socket, &mut *lease, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                outcome => break outcome.map(|(stored, _)| stored),
            }
        };
        *self.run = self.pool.end_attempt(lease, outcome.unwrap_or(0));
        match outcome {
            Err(Errno::AGAIN) => None,
            Err(errno) => Some(Err(errno.raw_os_error())),
            Ok(stored) => Some(Ok(stored as i64)),
        }
    }
}

/// What both operations are made of.
#[derive(Debug)]
struct Receiving {
    socket: Held,
    pool: BufferPool,
    run: Run,
    is_native: bool,
    takes_bundles: bool,
}

impl Receiving {
    fn new(socket: Socket, pool: BufferPool) -> Receiving {
        let socket = Held::new(socket);
        Receiving { socket, pool, run: Run::default(), is_native: false, takes_bundles: false }
    }

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        let is_stream = self.socket.socket.kind().is_stream();
        self.pool.check_receive(is_stream)?;
        self.is_native = capabilities.contains(Capabilities::MULTISHOT | Capabilities::PROVIDED_BUFFERS);
        // Large buffers are what pieces come into: hardly ever is one answer about two of them.
        let is_whole = self.pool.region().consumption() == Consumption::Whole;
        self.takes_bundles = is_stream && is_whole && capabilities.contains(Capabilities::RECEIVE_BUNDLES);
        self.socket.enter()
    }

    fn body(&mut self, is_many: bool) -> Body<'_> {
        Body::RecvPool(Pooled {
            socket: self.socket.handle(),
            pool: &self.pool,
            run: &mut self.run,
            is_native: self.is_native,
            is_many,
            takes_bundles: is_many && self.takes_bundles,
        })
    }

    /// What an answer means that is not that of a message: `None` for one.
    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Option<Onward> {
        if *answer == Err(Errno::NOBUFS.raw_os_error()) {
            // Rule 3.
            let goes_on = !is_cancelled && self.is_native && self.replenish();
            return Some(if goes_on { Onward::Again } else { Onward::End });
        }
        let is_end = *answer == Ok(0) && self.socket.has_ended();
        if !matches!(answer, Ok(1..)) {
            self.run = Run::default();
        }
        match after_receive(&self.socket, answer, is_end) {
            Some(onward) => Some(onward),
            None if answer.is_ok() && !is_end => None,
            None => Some(Onward::End),
        }
    }

    #[cfg(target_os = "linux")]
    fn replenish(&self) -> bool {
        self.pool.replenish()
    }

    #[cfg(not(target_os = "linux"))]
    fn replenish(&self) -> bool {
        false
    }

    /// What there is to tell first of an answer. What comes behind it is left in the run.
    fn first(value: i64, run: &mut Run) -> PooledRecv {
        let nothing = PooledRecv { lease: None, bytes: Outcome::from_value(value).bytes() };
        run.next().map_or(nothing, PooledRecv::of)
    }
}

/// Receives what is there, at least a byte of a stream, into a buffer of a pool, which is picked when it is there.
///
/// Ends with the buffer; without one at the end of a stream, and for an empty message. Of a datagram that is longer than
/// a buffer the rest is lost. `RESOURCE_EXHAUSTED`: the pool has no buffer; what has come stays in the socket. When that is
/// told differs while nothing has come: a kernel that picks the buffer by itself says so at once, the other backends when
/// there is something to put into one, so that a buffer may have come back until then.
///
/// Refused with `FAILED_PRECONDITION` if operations may not write to the pool's region, and with `INVALID_ARGUMENT` if that
/// is not of this proactor, or the socket's messages were to come into buffers that are used up piece by piece
/// ([`Consumption`]).
///
/// ```
/// use weft_io::{Access, Address, BufferPool, Config, Operation, Slab, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{RecvPool, SendTo};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let pool = BufferPool::new(&handle.register_slab(&Slab::new(2048, 16)?, Access::WRITE)?)?;
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// socket.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let address = socket.local_address()?;
/// let recv = RecvPool::new(socket.clone(), pool.clone());
/// handle.submit(Operation::new(recv).on_done(|done| assert_eq!(done.result.unwrap().data(), b"hello"))).unwrap();
/// handle.submit(SendTo::new(socket, b"hello".as_slice(), address)).unwrap();
/// let mut ended = 0;
/// while ended < 2 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// assert_eq!(pool.available(), 16);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct RecvPool(Receiving);

impl RecvPool {
    /// From this socket, into that pool.
    pub fn new(socket: Socket, pool: BufferPool) -> RecvPool {
        RecvPool(Receiving::new(socket, pool))
    }

    /// From where.
    pub fn socket(&self) -> &Socket {
        &self.0.socket.socket
    }
}

impl Params for RecvPool {
    type Output = PooledRecv;

    fn output(&mut self, value: i64) -> PooledRecv {
        Receiving::first(value, &mut self.0.run)
    }
}

impl Lower for RecvPool {
    const KIND: Kind = Kind::SocketRecvPool;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.0.prepare(capabilities)
    }

    fn proactor(&self) -> Option<u32> {
        Some(self.0.pool.region().proactor_id())
    }

    fn release(&mut self) {
        self.0.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        self.0.body(false)
    }

    fn lane(&self) -> Option<Lane> {
        self.0.socket.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.0.socket.obstacle_to_receiving()
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        self.0.settle(answer, is_cancelled).unwrap_or(Onward::End)
    }
}

type OnReceived = Box<dyn FnMut(PooledRecv) + std::marker::Send>;

/// Receives until the stream ends, each piece into another buffer; a callback gets them. A socket of datagrams has no end;
/// an empty message is one like any, without a buffer.
///
/// Of a stream that has more than a buffer holds the kernel may fill several buffers at once
/// ([`Capabilities::RECEIVE_BUNDLES`]). The callback still gets each by itself, in order; to who counts completions
/// ([`Poller::poll`](crate::Poller::poll)) they are one. A cancel in the midst ends the receive after the last of them.
///
/// Fails as [`RecvPool`] does, also in the middle: after `RESOURCE_EXHAUSTED` the next one continues where it stopped.
///
/// ```
/// use std::sync::mpsc::channel;
/// use weft_io::{Access, Address, BufferPool, Config, Slab, Socket, SocketKind, SocketOptions, open_any};
/// use weft_io::ops::{RecvPoolMany, SendTo};
/// use weft_sync::Deadline;
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let pool = BufferPool::new(&handle.register_slab(&Slab::new(2048, 16)?, Access::WRITE)?)?;
/// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
/// socket.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// let address = socket.local_address()?;
/// let (send, received) = channel();
/// handle.submit(RecvPoolMany::new(socket.clone(), pool, move |piece| send.send(piece).unwrap())).unwrap();
/// for text in ["one", "two"] {
///     handle.submit(SendTo::new(socket.clone(), text.as_bytes(), address)).unwrap();
/// }
/// let mut messages = Vec::new();
/// while messages.len() < 2 {
///     poller.poll(Deadline::NEVER)?;
///     messages.extend(received.try_iter());
/// }
/// assert_eq!((messages[0].data(), messages[1].data()), (b"one".as_slice(), b"two".as_slice()));
/// # weft_sync::Result::Ok(())
/// ```
pub struct RecvPoolMany {
    receiving: Receiving,
    /// `None` once it has panicked.
    on_received: Option<OnReceived>,
}

impl RecvPoolMany {
    /// From this socket, into that pool. The callback is called on the poll thread, with each piece; it may do what
    /// callbacks of operations may. One that panics is not called again, and the operation ends with `CANCELLED`.
    pub fn new(
        socket: Socket,
        pool: BufferPool,
        on_received: impl FnMut(PooledRecv) + std::marker::Send + 'static,
    ) -> RecvPoolMany {
        let on_received: OnReceived = Box::new(on_received);
        RecvPoolMany { receiving: Receiving::new(socket, pool), on_received: Some(on_received) }
    }

    /// From where.
    pub fn socket(&self) -> &Socket {
        &self.receiving.socket.socket
    }
}

impl Params for RecvPoolMany {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for RecvPoolMany {
    const KIND: Kind = Kind::SocketRecvPool;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        self.receiving.prepare(capabilities)
    }

    fn proactor(&self) -> Option<u32> {
        Some(self.receiving.pool.region().proactor_id())
    }

    fn release(&mut self) {
        self.receiving.socket.leave();
    }

    fn body(&mut self) -> Body<'_> {
        self.receiving.body(true)
    }

    fn lane(&self) -> Option<Lane> {
        self.receiving.socket.lane(Direction::In)
    }

    fn obstacle(&self) -> Option<Status> {
        self.receiving.socket.obstacle_to_receiving()
    }

    fn settle(&mut self, answer: &mut Answer, is_cancelled: bool) -> Onward {
        self.receiving.settle(answer, is_cancelled).unwrap_or(Onward::Tell)
    }

    fn shot(&mut self, value: i64) {
        // Here, so that the rest goes back if the callback panics.
        let mut run = std::mem::take(&mut self.receiving.run);
        if let Some(mut on_received) = self.on_received.take() {
            on_received(Receiving::first(value, &mut run));
            run.by_ref().map(PooledRecv::of).for_each(&mut on_received);
            self.on_received = Some(on_received);
        }
    }
}

impl fmt::Debug for RecvPoolMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvPoolMany").field("receiving", &self.receiving).finish_non_exhaustive()
    }
}
