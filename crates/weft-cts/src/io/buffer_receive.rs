//! Receiving into pools of registered buffers. Several at once, and from callbacks: `buffer_sharing.rs`.

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use weft_io::ops::{Nop, PooledRecv, RecvPool, RecvPoolMany, Sequence, Step};
use weft_io::{
    Access, BufferPool, Handle, Lease, Operation, Poller, Region, Slab, Socket, SocketKind, Ticket,
};
use weft_sync::{Code, Result, Status};

use super::subject::{CANCELLED, IoCaps, IoSubject, lock, poll_dry, poll_nothing, poll_until};

crate::cases! { $ BUFFER_RECEIVE for_each_io_buffer_receive_case of IoSubject {
    receives_fill_buffers_of_the_pool: IoCaps::KERNEL;
    one_receive_delivers_many_buffers: IoCaps::KERNEL;
    an_empty_pool_loses_nothing: IoCaps::KERNEL;
    an_empty_pool_is_told_before_the_end: IoCaps::KERNEL;
    all_buffers_come_back: IoCaps::KERNEL;
    buffers_wait_for_nobody: IoCaps::KERNEL;
    leases_outlive_sockets_and_proactors: IoCaps::KERNEL;
    pools_of_others_are_refused: IoCaps::NONE;
    empty_messages_end_nothing: IoCaps::KERNEL;
    long_messages_are_cut: IoCaps::KERNEL;
    buffers_beyond_four_gigabytes_are_filled: IoCaps::KERNEL;
} }

pub(super) fn pool_of(handle: &Handle, size: usize, count: u32) -> BufferPool {
    let slab = Slab::new(size, count).unwrap();
    BufferPool::new(&handle.register_slab(&slab, Access::WRITE).unwrap()).unwrap()
}

pub(super) fn import(handle: impl Into<OwnedFd>, kind: SocketKind) -> Socket {
    Socket::import(handle.into(), kind, false).map_err(|refused| refused.why).unwrap()
}

/// A stream whose one end is written to as usual.
pub(super) fn stream() -> (UnixStream, Socket) {
    let (near, far) = UnixStream::pair().unwrap();
    (near, import(far, SocketKind::UnixStream))
}

pub(super) fn messages() -> (UnixDatagram, Socket) {
    let (near, far) = UnixDatagram::pair().unwrap();
    (near, import(far, SocketKind::UnixDatagram))
}

pub(super) type Slot = Arc<Mutex<Option<Result<PooledRecv>>>>;

/// Submits one receive; where its result will be.
pub(super) fn receive(handle: &Handle, socket: &Socket, pool: &BufferPool) -> (Ticket, Slot) {
    let slot = Slot::default();
    let told = Arc::clone(&slot);
    let receive = Operation::new(RecvPool::new(socket.clone(), pool.clone()));
    let ticket = handle.submit(receive.on_done(move |done| *lock(&told) = Some(done.result))).unwrap();
    (ticket, slot)
}

fn result(poller: &mut Poller, slot: &Slot) -> Result<PooledRecv> {
    let mut found = None;
    poll_until(poller, || {
        found = lock(slot).take();
        found.is_some()
    });
    found.expect("polled until it is there")
}

/// Receives once, now.
fn received(poller: &mut Poller, socket: &Socket, pool: &BufferPool) -> Result<PooledRecv> {
    let (_, slot) = receive(&poller.handle().clone(), socket, pool);
    result(poller, &slot)
}

pub(super) type Ended = Arc<Mutex<Option<Result<()>>>>;

/// Submits a receive of many pieces; where they go, and its end.
pub(super) fn receive_many(
    handle: &Handle,
    socket: &Socket,
    pool: &BufferPool,
) -> (Ticket, Receiver<PooledRecv>, Ended) {
    let (send, pieces) = channel();
    let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |piece| drop(send.send(piece)));
    let end = Ended::default();
    let told = Arc::clone(&end);
    let many = Operation::new(many).on_done(move |done| *lock(&told) = Some(done.result));
    (handle.submit(many).unwrap(), pieces, end)
}

pub(super) fn has_ended(end: &Ended) -> bool {
    lock(end).is_some()
}

pub(super) fn code(end: &Ended) -> Option<Code> {
    lock(end).take().expect("it has ended").err().map(|why: Status| why.code())
}

/// [async 181] [async-backends 147] Streams and messages of every family fill buffers, many more than there are in the
/// pool; the end of a stream has none.
fn receives_fill_buffers_of_the_pool(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 256, 4);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nodelay(true).unwrap();
    let tcp = import(listener.accept().unwrap().0, SocketKind::Tcp);
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    from.connect(to.local_addr().unwrap()).unwrap();
    let udp = import(to, SocketKind::Udp);
    let (mut unix_near, unix) = stream();
    let (message_near, message) = messages();
    for round in 0..20_u8 {
        let data = [round; 100];
        near.write_all(&data).unwrap();
        assert_eq!(received(&mut poller, &tcp, &pool).unwrap().data(), data);
        from.send(&data).unwrap();
        assert_eq!(received(&mut poller, &udp, &pool).unwrap().data(), data);
        unix_near.write_all(&data).unwrap();
        assert_eq!(received(&mut poller, &unix, &pool).unwrap().data(), data);
        // Also if the receive is there first.
        let (_, slot) = receive(&poller.handle().clone(), &message, &pool);
        poll_nothing(&mut poller);
        message_near.send(&data).unwrap();
        let piece = result(&mut poller, &slot).unwrap();
        assert_eq!((piece.data(), piece.bytes), (data.as_slice(), 100));
        assert_eq!(piece.lease.as_ref().map(|lease| lease.len()), Some(256));
        assert_eq!(pool.available(), 3);
    }
    assert_eq!(pool.available(), 4);
    drop((near, unix_near));
    for socket in [&tcp, &unix] {
        let end = received(&mut poller, socket, &pool).unwrap();
        assert!(end.bytes == 0 && end.lease.is_none() && end.data().is_empty());
    }
    assert_eq!(pool.available(), 4);
}

/// [async 215] [async-backends 143] [async-backends 144] One receive delivers everything that comes, in order and in buffers
/// of its own, until the stream ends; then it ends, once.
fn one_receive_delivers_many_buffers(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 8);
    let (mut near, socket) = stream();
    near.write_all(b"early").unwrap();
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let mut all = Vec::new();
    for round in 0..50_usize {
        poll_until(&mut poller, || {
            all.extend(pieces.try_iter().flat_map(|piece| piece.data().to_vec()));
            all.len() == 5 + 10 * round
        });
        assert!(!has_ended(&end));
        near.write_all(&[round as u8; 10]).unwrap();
    }
    near.write_all(&[99; 64 * 8]).unwrap();
    drop(near);
    poll_until(&mut poller, || {
        all.extend(pieces.try_iter().flat_map(|piece| piece.data().to_vec()));
        has_ended(&end)
    });
    all.extend(pieces.try_iter().flat_map(|piece| piece.data().to_vec()));
    assert_eq!(code(&end), None);
    assert_eq!(all[..5], *b"early");
    assert!(all[5..505].chunks(10).zip(0..).all(|(chunk, mark)| chunk.iter().all(|&byte| byte == mark)));
    assert_eq!(all[505..], [99; 64 * 8]);
    assert_eq!(pool.available(), 8);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async-backends 147] [async 225] A consumer that keeps its buffers ends the receive, when there is no other, with
/// `RESOURCE_EXHAUSTED`; the socket is as it was, and the next receive goes on where that one stopped.
fn an_empty_pool_loses_nothing(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 10, 4);
    let (mut near, socket) = stream();
    let data: Vec<u8> = (0..100).collect();
    near.write_all(&data).unwrap();
    let mut all = Vec::new();
    for round in 0..2 {
        let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
        poll_until(&mut poller, || has_ended(&end));
        assert_eq!(code(&end), Some(Code::ResourceExhausted));
        let kept: Vec<PooledRecv> = pieces.try_iter().collect();
        assert_eq!((kept.len(), pool.available()), (4, 0), "round {round}");
        let again = received(&mut poller, &socket, &pool).unwrap_err();
        assert_eq!((again.code(), socket.failure()), (Code::ResourceExhausted, None));
        all.extend(kept.iter().flat_map(|piece| piece.data().to_vec()));
    }
    drop(near);
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    poll_until(&mut poller, || has_ended(&end));
    all.extend(pieces.try_iter().flat_map(|piece| piece.data().to_vec()));
    assert_eq!((code(&end), all), (None, data));
}

/// [async-backends 148] The end of a stream is not told to a pool that is empty, but by the next receive.
fn an_empty_pool_is_told_before_the_end(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 16, 2);
    let (mut near, socket) = stream();
    near.write_all(&[1; 32]).unwrap();
    let first = received(&mut poller, &socket, &pool).unwrap();
    let second = received(&mut poller, &socket, &pool).unwrap();
    drop(near);
    let exhausted = received(&mut poller, &socket, &pool).unwrap_err();
    assert_eq!(exhausted.code(), Code::ResourceExhausted);
    drop((first, second));
    assert_eq!(received(&mut poller, &socket, &pool).unwrap().bytes, 0);
    assert_eq!(pool.available(), 2);
}

/// [async-backends 149] [async 181] After ends, cancels and failures every buffer is there, and can be leased.
fn all_buffers_come_back(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 64, 8);
    for round in 0..30 {
        let (mut near, socket) = stream();
        let (ticket, pieces, end) = receive_many(&handle, &socket, &pool);
        let (one_ticket, one) = receive(&handle, &socket, &pool);
        near.write_all(b"something").unwrap();
        let mut got = None;
        poll_until(&mut poller, || {
            got = got.take().or_else(|| pieces.try_recv().ok());
            got.is_some()
        });
        match round % 3 {
            // The end of the stream, for both.
            0 => drop(near),
            1 => {
                handle.cancel(ticket).unwrap();
                handle.cancel(one_ticket).unwrap();
            }
            // A reset: data that nobody has read.
            _ => {
                handle.cancel(one_ticket).unwrap();
                drop(near);
            }
        }
        poll_until(&mut poller, || has_ended(&end) && lock(&one).is_some());
        assert!([None, CANCELLED].contains(&code(&end)));
        drop((pieces, got, lock(&one).take()));
        assert_eq!(pool.available(), 8, "round {round}");
        let leases: Vec<Lease> = (0..8).map(|_| pool.acquire().unwrap()).collect();
        assert_eq!(pool.acquire().unwrap_err().code(), Code::ResourceExhausted);
        drop(leases);
    }
}

/// [async-backends 147] Receives that wait hold no buffer: there are more of them than buffers, and each gets its data.
fn buffers_wait_for_nobody(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 64, 2);
    let mut pairs: Vec<(UnixStream, Socket)> = (0..20).map(|_| stream()).collect();
    let slots: Vec<Slot> = pairs.iter().map(|(_, socket)| receive(&handle, socket, &pool).1).collect();
    poll_nothing(&mut poller);
    assert_eq!(pool.available(), 2);
    for ((near, _), slot) in pairs.iter_mut().zip(&slots) {
        near.write_all(b"data").unwrap();
        assert_eq!(result(&mut poller, slot).unwrap().data(), b"data");
    }
    assert_eq!(pool.available(), 2);
}

/// [async-backends 150] A lease is good, and comes back on whatever thread, after the socket, the pool's other
/// owners and the proactor are gone.
fn leases_outlive_sockets_and_proactors(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 2);
    let (mut near, socket) = stream();
    near.write_all(b"kept").unwrap();
    let piece = received(&mut poller, &socket, &pool).unwrap();
    drop((socket, near));
    drop(poller);
    assert_eq!((piece.data(), pool.available()), (b"kept".as_slice(), 1));
    let last = pool.acquire().unwrap();
    drop(pool);
    let back = std::thread::spawn(move || {
        assert_eq!(piece.data(), b"kept");
        drop(piece);
    });
    back.join().unwrap();
    assert_eq!(last.pool().available(), 1);
}

/// [async 181] [async-backends 151] Pools that operations may not write to, and those of other proactors or of none: by
/// themselves, as steps, and as steps that a function has put in.
fn pools_of_others_are_refused(subject: &IoSubject) {
    let (mut poller, other) = (subject.open(), subject.open());
    let handle = poller.handle().clone();
    let (_near, socket) = stream();
    let slab = Slab::new(64, 4).unwrap();
    let mut refused = |region: &Region| {
        let pool = BufferPool::new(region).unwrap();
        let once = RecvPool::new(socket.clone(), pool.clone());
        let once = handle.submit(once).unwrap_err();
        let many = RecvPoolMany::new(socket.clone(), pool.clone(), |_| {});
        let many = handle.submit(many).unwrap_err();
        assert_eq!(once.why.code(), many.why.code());
        let step = RecvPool::new(socket.clone(), pool.clone());
        let steps = Sequence::new(vec![Step::new(Nop), Step::new(step)]);
        assert_eq!(handle.submit(steps).unwrap_err().why.code(), once.why.code());
        let socket = socket.clone();
        let put_in = Sequence::with_advance(vec![Step::new(Nop), Step::new(Nop)], move |_, next| {
            if let Some(next) = next {
                *next = Step::new(RecvPool::new(socket.clone(), pool.clone()));
            }
            Ok(())
        });
        let (sender, ended) = channel();
        let put_in = Operation::new(put_in).on_done(move |done| sender.send(done.result).unwrap());
        handle.submit(put_in).unwrap();
        let mut result = None;
        poll_until(&mut poller, || {
            result = ended.try_recv().ok();
            result.is_some()
        });
        assert_eq!(result.unwrap().unwrap_err().code(), once.why.code());
        once.why.code()
    };
    let own = handle.register_slab(&slab, Access::READ).unwrap();
    assert_eq!(refused(&own), Code::FailedPrecondition);
    let foreign = other.handle().register_slab(&slab, Access::WRITE).unwrap();
    assert_eq!(refused(&foreign), Code::InvalidArgument);
    assert_eq!(refused(&Region::unregistered(&slab, Access::WRITE).unwrap()), Code::InvalidArgument);
    // Nor can one proactor carry out steps of two.
    let pools = [&handle, other.handle()].map(|owner| {
        let slab = Slab::new(64, 4).unwrap();
        BufferPool::new(&owner.register_slab(&slab, Access::WRITE).unwrap()).unwrap()
    });
    let steps = pools.map(|pool| Step::new(RecvPool::new(socket.clone(), pool)));
    let refused = handle.submit(Sequence::new(steps.into())).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
}

/// [async 217] [async-backends 155] A message of no bytes is one like any: it has no buffer, and ends no receive of many.
fn empty_messages_end_nothing(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 64, 4);
    let (near, socket) = messages();
    let (ticket, pieces, end) = receive_many(&handle, &socket, &pool);
    let mut lengths = Vec::new();
    for length in [3, 0, 0, 5, 0, 1] {
        near.send(&[7; 5][..length]).unwrap();
        let before = lengths.len();
        poll_until(&mut poller, || {
            lengths.extend(pieces.try_iter().map(|piece| (piece.bytes, piece.lease.is_some())));
            lengths.len() > before
        });
    }
    assert!(!has_ended(&end));
    assert_eq!(lengths, [(3, true), (0, false), (0, false), (5, true), (0, false), (1, true)]);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || has_ended(&end));
    assert_eq!(code(&end), CANCELLED);
    near.send(&[]).unwrap();
    let piece = received(&mut poller, &socket, &pool).unwrap();
    assert!(piece.bytes == 0 && piece.lease.is_none());
    assert_eq!(pool.available(), 4);
}

/// [async-backends 147] What does not fit into a buffer of a message is lost, of that message alone.
fn long_messages_are_cut(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 8, 4);
    let (near, socket) = messages();
    near.send(b"a long message").unwrap();
    near.send(b"short").unwrap();
    assert_eq!(received(&mut poller, &socket, &pool).unwrap().data(), b"a long m");
    assert_eq!(received(&mut poller, &socket, &pool).unwrap().data(), b"short");
}

/// [async 188] [async-backends 152] A buffer that lies more than four gigabytes into its slab gets the data, not one that
/// lies where the lower half of its offset says.
fn buffers_beyond_four_gigabytes_are_filled(subject: &IoSubject) {
    const SIZE: usize = 1 << 20;
    let mut poller = subject.open();
    let Ok(slab) = Slab::new(SIZE, 8192) else { return println!("skipped: no eight gigabytes of addresses") };
    let pool = BufferPool::new(&poller.handle().register_slab(&slab, Access::WRITE).unwrap()).unwrap();
    let low: Vec<Lease> =
        std::iter::from_fn(|| pool.acquire().ok().filter(|lease| lease.index() < 4200)).collect();
    let (mut near, socket) = stream();
    near.write_all(b"far away").unwrap();
    let piece = received(&mut poller, &socket, &pool).unwrap();
    let lease = piece.lease.as_ref().unwrap();
    assert!(lease.index() >= 4200, "{lease:?}");
    assert_eq!(piece.data(), b"far away");
    let first = low.iter().find(|lease| lease.index() == 0).unwrap();
    assert_eq!(lease.as_ptr().addr() - first.as_ptr().addr(), usize::from(lease.index()) * SIZE);
    assert_eq!(first[..8], [0; 8]);
}
