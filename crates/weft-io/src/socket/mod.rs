//! Sockets.
//!
//! What lives here: [`Socket`], its kinds, states and sticky failure, and the synchronous calls. What does not: making one
//! (`create.rs`), taking over a handle (`import.rs`), closing (`closing.rs`), the operations (`ops`).
//!
//! 1. **The handle's number stays reserved for as long as anybody holds the socket.** So no operation, on whatever thread,
//!    can reach another file through it; see `closing.rs`.
//! 2. **The first transport failure sticks**: later sends fail with its code, and so do the calls that say so. What is the
//!    caller's doing (cancelled, no room, wrong arguments, the wrong moment) is none; nor is a broken pipe where there was
//!    never one, as to a send before the connect. A reset is `UNAVAILABLE` to every
//!    operation that it ends, also to a send that the system tells of a broken pipe because a receive was told of the reset
//!    before, or nobody: io_uring forgets it where the send has got somewhere by then (and a receive sees the end of the
//!    stream). What remains a broken pipe, `FAILED_PRECONDITION`: sending after the peer had closed, or this side had shut
//!    down; a peer in this machine that is gone; and a reset of which somebody else was told, as by another handle of the
//!    same connection.
//! 3. **The state is for people.** Nothing here decides by it, except that a closed socket is refused, with
//!    `FAILED_PRECONDITION`, and whether there was ever a peer.
//! 4. An operation enters before it looks whether the socket is closed, and closing says so before it looks who has
//!    entered: one of the two always sees the other.
#![cfg(unix)]

mod closing;
mod create;
mod import;
mod query;
#[cfg(all(test, not(loom), target_os = "linux"))]
mod tests;

pub use create::SocketOptions;
pub use import::RefusedImport;

use crate::address::{Address, Family};
use crate::errno::failure;
use crate::handle::Handle;
use crate::registration::{Known, Named};
use rustix::io::Errno;
use rustix::net::SocketType;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use weft_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use weft_sync::{Code, Result, Status, bail};

/// What a socket speaks. The numbers are those of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SocketKind {
    /// A stream over IPv4.
    Tcp = 0,
    /// Datagrams over IPv4.
    Udp = 1,
    /// A stream within this machine.
    UnixStream = 2,
    /// Datagrams within this machine.
    UnixDatagram = 3,
    /// A stream over IPv6, and only that.
    Tcp6 = 4,
    /// Datagrams over IPv6, and only that.
    Udp6 = 5,
}

/// What a socket has come to. For people: it may be out of date as soon as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SocketState {
    /// Made, perhaps bound.
    Created = 0,
    /// Waiting for the other side.
    Connecting = 1,
    /// Has a peer.
    Connected = 2,
    /// Accepts connections.
    Listening = 3,
    /// Is being closed.
    Closing = 4,
    /// Is closed.
    Closed = 5,
}

/// Which directions a shutdown ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shutdown {
    /// Nothing more is received.
    Read = 0,
    /// Nothing more is sent; the peer sees the end.
    Write = 1,
    /// Both.
    Both = 2,
}

/// A socket. Cheap to clone; clones are the same socket, which is closed with the last of them or by an operation.
///
/// ```
/// use weft_io::{Address, Socket, SocketKind, SocketOptions};
/// let listener = Socket::new(SocketKind::Tcp, SocketOptions::REUSE_ADDR)?;
/// listener.bind(&Address::ipv4("127.0.0.1", 0)?)?;
/// listener.listen(0)?;
/// assert_ne!(listener.local_address()?.port(), Some(0));
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Socket(Arc<Inner>);

/// * `fd` – the number never changes; what is open behind it is replaced when the socket is closed.
/// * `state`, `failed`, `pending` – any thread, atomically.
#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    kind: SocketKind,
    /// Whether sends should try to leave the bytes where they are.
    is_zero_copy: bool,
    /// Whether the system has refused to do so.
    copies: AtomicBool,
    /// Whether this side has ended sending.
    is_shut: AtomicBool,
    /// Whether the last receive has left nothing. A guess: more may have come since.
    is_drained: AtomicBool,
    /// A [`SocketState`]; never goes back from `Closing` and `Closed`.
    state: AtomicU32,
    /// A [`Code`]'s number, 0 for none; set once.
    failed: AtomicU32,
    /// Operations between submission and their end.
    pending: AtomicU32,
    /// Where rings know it.
    known: Known,
}

impl SocketKind {
    /// Whether bytes come without boundaries, and end.
    pub fn is_stream(self) -> bool {
        matches!(self, SocketKind::Tcp | SocketKind::UnixStream | SocketKind::Tcp6)
    }

    pub(crate) fn family(self) -> Family {
        match self {
            SocketKind::Tcp | SocketKind::Udp => Family::V4,
            SocketKind::Tcp6 | SocketKind::Udp6 => Family::V6,
            SocketKind::UnixStream | SocketKind::UnixDatagram => Family::Unix,
        }
    }

    fn socket_type(self) -> SocketType {
        if self.is_stream() { SocketType::STREAM } else { SocketType::DGRAM }
    }

    fn is_tcp(self) -> bool {
        matches!(self, SocketKind::Tcp | SocketKind::Tcp6)
    }
}

impl SocketState {
    fn from_raw(raw: u32) -> SocketState {
        use SocketState::{Closed, Closing, Connected, Connecting, Created, Listening};
        [Created, Connecting, Connected, Listening, Closing, Closed][raw as usize]
    }
}

impl TryFrom<u32> for Shutdown {
    type Error = Status;

    /// By number, as in the specification; any other is `INVALID_ARGUMENT`.
    fn try_from(raw: u32) -> Result<Shutdown> {
        match raw {
            0 => Ok(Shutdown::Read),
            1 => Ok(Shutdown::Write),
            2 => Ok(Shutdown::Both),
            _ => bail!(InvalidArgument, "there is no direction {raw} to shut down"),
        }
    }
}

impl Socket {
    /// A socket of this kind. Its handle does not block and is not inherited by programs that are started.
    pub fn new(kind: SocketKind, options: SocketOptions) -> Result<Socket> {
        closing::prepare()?;
        let fd = create::open(kind, options)?;
        Ok(Socket::of(fd, kind, options.contains(SocketOptions::ZERO_COPY), SocketState::Created))
    }

    /// A connection that a listener accepted. Its handle does not block and is not inherited.
    pub(crate) fn accepted(fd: OwnedFd, listener: &Socket) -> Socket {
        Socket::of(fd, listener.kind(), listener.is_zero_copy(), SocketState::Connected)
    }

    fn of(fd: OwnedFd, kind: SocketKind, is_zero_copy: bool, state: SocketState) -> Socket {
        Socket(Arc::new(Inner {
            fd,
            kind,
            is_zero_copy,
            copies: AtomicBool::new(false),
            is_shut: AtomicBool::new(false),
            is_drained: AtomicBool::new(false),
            state: AtomicU32::new(state as u32),
            failed: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            known: Known::new(),
        }))
    }

    /// What it speaks.
    pub fn kind(&self) -> SocketKind {
        self.0.kind
    }

    /// Whether sends should try to leave the bytes where they are.
    pub fn is_zero_copy(&self) -> bool {
        self.0.is_zero_copy
    }

    /// The same, as long as the system has not refused.
    pub(crate) fn tries_zero_copy(&self) -> bool {
        self.0.is_zero_copy && !self.0.copies.load(Ordering::Relaxed)
    }

    /// The system has refused. Says nothing else, so nothing has to be seen with it.
    pub(crate) fn leave_zero_copy(&self) {
        self.0.copies.store(true, Ordering::Relaxed);
    }

    /// Whether a pipe that breaks in the midst of a send was broken by a reset: of a connection over a network, unless this
    /// side has ended sending.
    pub(crate) fn is_reset_by_break(&self) -> bool {
        self.0.kind.is_tcp() && !self.0.is_shut.load(Ordering::Relaxed)
    }

    /// Whether there is probably nothing to be received now.
    #[inline]
    pub(crate) fn is_drained(&self) -> bool {
        self.0.is_drained.load(Ordering::Relaxed)
    }

    /// A receive has left something, or nothing. Whoever gets it wrong loses time, nothing else.
    #[inline]
    pub(crate) fn note_rest(&self, has_rest: bool) {
        self.0.is_drained.store(!has_rest, Ordering::Relaxed);
    }

    /// What it has come to; any thread may ask.
    pub fn state(&self) -> SocketState {
        SocketState::from_raw(self.0.state.load(Ordering::Acquire))
    }

    /// The first transport failure, which sticks; any thread may ask.
    pub fn failure(&self) -> Option<Code> {
        Code::from_raw(self.0.failed.load(Ordering::Acquire))
    }

    /// Whether it is closed, or is being closed.
    pub fn is_closed(&self) -> bool {
        // SeqCst: the second step of rule 4, for operations.
        self.0.state.load(Ordering::SeqCst) >= SocketState::Closing as u32
    }

    /// Whether this proactor's ring knows it, see [`Handle::register_socket`]. What it does not know works as well.
    pub fn is_registered(&self, proactor: &Handle) -> bool {
        proactor.is_there().is_ok() && self.0.known.place(proactor.0.id).is_some()
    }

    /// Whether any ring knows it. What no ring knows when closing has begun, and when nobody is on it but operations, stays
    /// unknown: registering enters as they do.
    pub(crate) fn is_known(&self) -> bool {
        self.0.known.is_anywhere()
    }

    /// For a backend.
    #[inline]
    pub(crate) fn named(&self) -> Named<'_> {
        Named::new(self.as_fd(), &self.0.known)
    }

    /// Gives it an address. Port 0 lets the system choose one.
    pub fn bind(&self, address: &Address) -> Result<()> {
        self.usable("binding a socket")?;
        if address.family() != Some(self.kind().family()) {
            bail!(InvalidArgument, "a socket for {:?} cannot have the address {address}", self.kind());
        }
        self.called(rustix::net::bind(self, address), "bind")
    }

    /// Lets connections come; up to `backlog` of them wait to be accepted, as many as the system allows if it is 0.
    pub fn listen(&self, backlog: u32) -> Result<()> {
        self.usable("listening")?;
        let backlog = if backlog == 0 { i32::MAX } else { i32::try_from(backlog).unwrap_or(i32::MAX) };
        self.called(rustix::net::listen(self, backlog), "listen")?;
        self.set_state(SocketState::Listening);
        Ok(())
    }

    /// Where it is; with the port that the system chose.
    pub fn local_address(&self) -> Result<Address> {
        self.open("asking for the address of a socket")?;
        let address = self.called(rustix::net::getsockname(self), "getsockname")?;
        Ok(Address::from_system(&address))
    }

    /// Who is at the other end; empty if that is a Unix socket without a name.
    pub fn peer_address(&self) -> Result<Address> {
        self.open("asking for the peer of a socket")?;
        let address = self.called(rustix::net::getpeername(self), "getpeername")?;
        Ok(address.map_or(Address::EMPTY, |address| Address::from_system(&address)))
    }

    /// Ends one direction of a connection, or both; also after a failure. What the kernel has received is still there.
    pub fn shutdown(&self, what: Shutdown) -> Result<()> {
        self.open("shutting a socket down")?;
        if self.kind().family() == Family::Unix && !query::is_listening(self.as_fd()) {
            // The kernel shuts those down that have no peer, too, which other kinds refuse.
            self.called(rustix::net::getpeername(self), "shutdown")?;
        }
        if what != Shutdown::Read {
            // Before: whoever sends hears of a broken pipe at once, and knows by this whose doing it is.
            self.0.is_shut.store(true, Ordering::Relaxed);
        }
        let how = match what {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        self.called(rustix::net::shutdown(self, how), "shutdown")
    }

    /// How many bytes can surely be sent now without waiting; `usize::MAX` where the system does not say.
    pub fn send_space(&self) -> Result<usize> {
        self.usable("asking for the room of a socket")?;
        self.called(query::send_space(self.as_fd()), "asking for the room of a socket")
    }

    /// Remembers a transport failure, unless there was one. What callers do to themselves is none: see rule 2.
    ///
    /// Codes do not tell everything: who has the system's number calls [`Socket::fail_with`].
    pub(crate) fn fail(&self, code: Code) {
        let own_doing = [Code::Cancelled, Code::ResourceExhausted, Code::InvalidArgument, Code::OutOfRange];
        if !own_doing.contains(&code) {
            // Release: pairs with the Acquire of `failure`. The first stays.
            let _ = self.0.failed.compare_exchange(0, code.raw(), Ordering::Release, Ordering::Relaxed);
        }
    }

    /// As [`Socket::fail`], for what the kernel said about a transfer or a connection.
    pub(crate) fn fail_with(&self, errno: Errno) {
        // Said of the moment or of one message, not of the connection.
        let own_doing = [
            Errno::AGAIN,
            Errno::INTR,
            Errno::ISCONN,
            Errno::NOTCONN,
            Errno::ALREADY,
            Errno::INPROGRESS,
            Errno::MSGSIZE,
            Errno::AFNOSUPPORT,
            Errno::BADF,
        ];
        // Nobody was ever at the other end; a connect makes it as good as new.
        let never_had_peer = matches!(self.state(), SocketState::Created | SocketState::Listening);
        let is_of_connection = !own_doing.contains(&errno) && (errno != Errno::PIPE || !never_had_peer);
        if is_of_connection {
            self.fail(crate::errno::code(errno));
        }
    }

    /// Says what it has come to. Nothing changes any more once it is being closed.
    pub(crate) fn set_state(&self, state: SocketState) {
        let word = &self.0.state;
        let _ = word.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |before| {
            (before < SocketState::Closing as u32 || state == SocketState::Closed).then_some(state as u32)
        });
    }

    /// An operation begins. Pairs with [`Socket::leave`], unless it is refused because the socket is closed.
    pub(crate) fn enter(&self) -> Result<()> {
        // SeqCst: the first step of rule 4; `begin_close` does the mirror image.
        self.0.pending.fetch_add(1, Ordering::SeqCst);
        let open = self.open("submitting an operation on a socket");
        if open.is_err() {
            self.leave();
        }
        open
    }

    /// An operation that has entered has ended. The last to leave a socket that is being closed closes it.
    pub(crate) fn leave(&self) {
        let before = self.0.pending.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "who leaves has entered");
        if before == 1 && self.0.state.load(Ordering::SeqCst) == SocketState::Closing as u32 {
            self.close_now();
        }
    }

    /// Operations that have entered and not left. Not fewer than there are once closing has begun.
    pub(crate) fn pending(&self) -> u32 {
        self.0.pending.load(Ordering::SeqCst)
    }

    /// Refuses a closed socket.
    fn open(&self, what: &str) -> Result<()> {
        if self.is_closed() {
            bail!(FailedPrecondition, "{what}: it is closed");
        }
        Ok(())
    }

    /// Refuses a closed socket, and one that has failed.
    fn usable(&self, what: &str) -> Result<()> {
        self.open(what)?;
        match self.failure() {
            Some(code) => Err(Status::new(code, format!("{what}: it has failed before"))),
            None => Ok(()),
        }
    }

    /// What a system call came to. What was replaced under it failed because of that.
    fn called<T>(&self, outcome: rustix::io::Result<T>, what: &str) -> Result<T> {
        outcome.map_err(|errno| self.open(what).err().unwrap_or_else(|| failure(errno, what)))
    }
}

impl AsFd for Socket {
    /// The handle; once the socket is closed, one that nothing works on, or that is shut down.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}
