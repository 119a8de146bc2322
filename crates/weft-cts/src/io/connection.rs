//! Sockets that cases use: made, connected, and run by one poller.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use weft_io::ops::{Accept, Connect, Recv, Send};
use weft_io::{Address, Done, Handle, Operation, Params, Poller, Socket, SocketKind, SocketOptions, Source};

use super::subject::soon;

/// Kinds that have connections.
pub const STREAMS: [SocketKind; 3] = [SocketKind::Tcp, SocketKind::Tcp6, SocketKind::UnixStream];

/// Kinds that have messages.
pub const DATAGRAMS: [SocketKind; 3] = [SocketKind::Udp, SocketKind::Udp6, SocketKind::UnixDatagram];

/// A socket without options.
pub fn socket(kind: SocketKind) -> Socket {
    Socket::new(kind, SocketOptions::empty()).expect("there is room for a handle")
}

/// Where a socket of this kind can be bound, of this machine alone and nobody else's.
pub fn any_address(kind: SocketKind) -> Address {
    static NAMES: AtomicU32 = AtomicU32::new(0);
    match kind {
        SocketKind::Tcp | SocketKind::Udp => Address::ipv4("127.0.0.1", 0),
        SocketKind::Tcp6 | SocketKind::Udp6 => Address::ipv6("::1", 0),
        SocketKind::UnixStream | SocketKind::UnixDatagram => {
            let number = NAMES.fetch_add(1, Ordering::Relaxed);
            Address::unix(format!("@weft-cts-{}-{number}", std::process::id()))
        }
    }
    .expect("an address")
}

/// A socket with an address.
pub fn bound(kind: SocketKind) -> (Socket, Address) {
    let socket = socket(kind);
    socket.bind(&any_address(kind)).expect("nobody else has it");
    let address = socket.local_address().expect("it is bound");
    (socket, address)
}

/// One that accepts connections.
pub fn listener(kind: SocketKind) -> (Socket, Address) {
    let (listener, address) = bound(kind);
    listener.listen(0).expect("it is bound");
    (listener, address)
}

/// Submits an operation; what becomes of it comes back here.
#[track_caller]
pub fn begin<P: Params>(handle: &Handle, operation: impl Into<Operation<P>>) -> Receiver<Done<P>>
where
    Done<P>: std::marker::Send,
{
    let (send, came) = channel();
    // Whoever does not want to know has dropped the other end.
    let operation = operation.into().on_done(move |done| drop(send.send(done)));
    handle.submit(operation).expect("there is room");
    came
}

/// Polls until it has ended.
#[track_caller]
pub fn end<P: Params>(poller: &mut Poller, came: &Receiver<Done<P>>) -> Done<P> {
    let limit = soon();
    loop {
        match came.try_recv() {
            Ok(done) => return done,
            Err(TryRecvError::Disconnected) => panic!("the operation ended without its callback"),
            Err(TryRecvError::Empty) => _ = poller.poll(limit).expect("it ends in time"),
        }
    }
}

/// Submits an operation, and polls until it has ended.
#[track_caller]
pub fn run<P: Params>(poller: &mut Poller, operation: impl Into<Operation<P>>) -> Done<P>
where
    Done<P>: std::marker::Send,
{
    let came = begin(&poller.handle().clone(), operation);
    end(poller, &came)
}

/// A new socket with these options, connected to this listener, and the other end.
#[track_caller]
pub fn connect_to(
    poller: &mut Poller,
    listener: &Socket,
    address: Address,
    options: SocketOptions,
) -> (Socket, Socket) {
    let near = Socket::new(listener.kind(), options).expect("there is room for a handle");
    let handle = poller.handle().clone();
    let accepted = begin(&handle, Accept::new(listener.clone()));
    let connected = begin(&handle, Connect::new(near.clone(), address));
    end(poller, &connected).result.expect("somebody accepts");
    let far = end(poller, &accepted).result.expect("somebody connects").socket;
    (near, far)
}

/// Two ends of a connection.
#[track_caller]
pub fn pair(poller: &mut Poller, kind: SocketKind) -> (Socket, Socket) {
    pair_with(poller, kind, SocketOptions::empty())
}

/// Two ends of a connection, the first with these options.
#[track_caller]
pub fn pair_with(poller: &mut Poller, kind: SocketKind, options: SocketOptions) -> (Socket, Socket) {
    let (listener, address) = listener(kind);
    connect_to(poller, &listener, address, options)
}

/// Two sockets of datagrams that are each other's peers.
#[track_caller]
pub fn peers(poller: &mut Poller, kind: SocketKind) -> (Socket, Socket) {
    let ((near, here), (far, there)) = (bound(kind), bound(kind));
    run(poller, Connect::new(near.clone(), there)).result.expect("a peer");
    run(poller, Connect::new(far.clone(), here)).result.expect("a peer");
    (near, far)
}

/// Sends all of this.
#[track_caller]
pub fn send<S: Source + std::marker::Send>(poller: &mut Poller, socket: &Socket, bytes: S) {
    let done = run(poller, Send::new(socket.clone(), bytes));
    done.result.expect("the peer is there");
}

/// Receives once, up to so many bytes.
#[track_caller]
pub fn receive(poller: &mut Poller, socket: &Socket, room: usize) -> Vec<u8> {
    let done = run(poller, Recv::new(socket.clone(), vec![0; room]));
    let received = done.result.expect("the peer is there");
    let mut bytes = done.operation.into_params().target;
    bytes.truncate(received);
    bytes
}

/// Receives until there are so many bytes, or the stream ends.
#[track_caller]
pub fn receive_all(poller: &mut Poller, socket: &Socket, count: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let piece = receive(poller, socket, count - all.len());
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
    }
    all
}

/// Bytes that tell where they are, and which of several pieces they belong to.
pub fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 251) as u8 ^ seed).collect()
}
