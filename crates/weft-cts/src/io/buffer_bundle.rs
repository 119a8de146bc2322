//! Streams that fill many buffers of a pool, also several by one answer of the kernel; and what reads them while others
//! hold what was read before.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_io::ops::{PooledRecv, RecvPoolMany};
use weft_io::{BufferPool, Capabilities, Operation, Poller, Socket, SocketKind, Ticket};
use weft_sync::{Code, Deadline};

use super::buffer_receive::{Ended, code, has_ended, import, messages, pool_of, receive_many, stream};
use super::subject::{CANCELLED, IoCaps, IoSubject, Log, lock, poll_dry, poll_until, rounds, soon, submit};

crate::cases! { $ BUFFER_BUNDLE for_each_io_buffer_bundle_case of IoSubject {
    random_messages_are_byte_exact: IoCaps::KERNEL;
    without_bundles_the_bytes_are_the_same: IoCaps::KERNEL;
    one_answer_fills_many_buffers: IoCaps::KERNEL;
    buffers_of_an_answer_come_back_one_by_one: IoCaps::KERNEL;
    a_cancel_in_the_midst_loses_nothing: IoCaps::KERNEL;
    a_panic_in_the_midst_keeps_no_buffer: IoCaps::KERNEL;
    messages_are_never_bundled: IoCaps::KERNEL;
} }

/// A small generator, the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What a stream has at this place.
fn byte(index: usize) -> u8 {
    ((index as u32).wrapping_mul(0x9E37_79B1) >> 24) as u8
}

pub(super) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(byte).collect()
}

/// A stream of TCP whose one end is written to as usual.
pub(super) fn tcp() -> (TcpStream, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nodelay(true).unwrap();
    (near, import(listener.accept().unwrap().0, SocketKind::Tcp))
}

/// Keeps up to `held` pieces, gives them back in no order, and sees that each is what it was. Returns how many bytes came, and
/// says so as they come.
fn keep(pieces: Receiver<PooledRecv>, held: usize, came: &AtomicUsize) -> usize {
    let is_whole = |piece: &PooledRecv, start: usize| {
        (start..).zip(piece.data()).all(|(index, &found)| found == byte(index))
    };
    let (mut count, mut kept, mut random) = (0, Vec::new(), Random(0xD129_0D3B_3B1D_6C2B));
    for piece in pieces {
        assert!(is_whole(&piece, count), "{piece:?} at {count}");
        let start = count;
        count += piece.bytes;
        came.store(count, Ordering::Relaxed);
        kept.push((piece, start));
        while kept.len() > random.below(held + 1) {
            let (piece, start) = kept.swap_remove(random.below(kept.len()));
            assert!(is_whole(&piece, start), "{piece:?} was at {start}");
        }
    }
    assert!(kept.iter().all(|(piece, start)| is_whole(piece, *start)));
    count
}

/// Waits until so many bytes have come; not for ever, should they never.
fn catch_up(came: &AtomicUsize, count: usize) {
    for _ in 0..200 {
        if came.load(Ordering::Relaxed) >= count {
            return;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// Messages of a byte to several buffers go through a pool to another thread, which holds up to so many pieces.
pub(super) fn carry(
    poller: &mut Poller,
    pool: &BufferPool,
    mut near: impl Write + Send + 'static,
    socket: &Socket,
    held: usize,
) {
    let (total, length_max) = (rounds(600_000), 5 * pool.buffer_size().min(4000));
    let came = Arc::new(AtomicUsize::new(0));
    let caught_up = Arc::clone(&came);
    let writer = std::thread::spawn(move || {
        let (data, mut random) = (bytes(total), Random(0x9E37_79B9_7F4A_7C15));
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            // Few are long.
            let bound = 1 + random.below(length_max);
            let (message, behind) = rest.split_at((1 + random.below(bound)).min(rest.len()));
            near.write_all(message).unwrap();
            rest = behind;
            // Sometimes the next one comes when this one is there, sometimes on its heels.
            if random.below(4) == 0 {
                catch_up(&caught_up, total - rest.len());
            }
        }
    });
    let (give, take) = channel();
    let keeper = std::thread::spawn(move || keep(take, held, &came));
    loop {
        let (own, end) = (give.clone(), Ended::default());
        // Gone if the keeper has found something amiss, which it says itself.
        let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |piece| drop(own.send(piece)));
        let told = Arc::clone(&end);
        let many = Operation::new(many).on_done(move |done| *lock(&told) = Some(done.result));
        poller.handle().submit(many).unwrap();
        poll_until(poller, || has_ended(&end));
        match code(&end) {
            None => break,
            other => assert_eq!(other, Some(Code::ResourceExhausted)),
        }
    }
    drop(give);
    writer.join().unwrap();
    assert_eq!(keeper.join().unwrap(), total);
    assert_eq!(pool.available(), pool.capacity());
}

/// [async-backends 147] [async-backends 150] [async-backends 156] Whatever sizes messages have, from a byte to several buffers,
/// and whatever is held back and returned in whatever order by another thread: each byte comes once, in its place, and stays
/// what it is until its buffer is returned.
fn random_messages_are_byte_exact(subject: &IoSubject) {
    let mut poller = subject.open();
    for (size, count) in [(100, 8), (1000, 16), (7, 4)] {
        let pool = pool_of(poller.handle(), size, count);
        let (near, socket) = stream();
        carry(&mut poller, &pool, near, &socket, count as usize / 2);
        let (near, socket) = tcp();
        carry(&mut poller, &pool, near, &socket, count as usize / 2);
    }
}

/// [async 2] [async-backends 156] Where the kernel may not fill several buffers by one answer, the bytes are the same.
fn without_bundles_the_bytes_are_the_same(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.allowed -= Capabilities::RECEIVE_BUNDLES);
    let pool = pool_of(poller.handle(), 100, 8);
    let (near, socket) = stream();
    carry(&mut poller, &pool, near, &socket, 4);
}

/// Whether one answer is expected to fill several buffers of a stream.
fn bundles(poller: &Poller) -> bool {
    let native = Capabilities::MULTISHOT | Capabilities::PROVIDED_BUFFERS | Capabilities::RECEIVE_BUNDLES;
    poller.handle().capabilities().contains(native)
}

/// All pieces of a receive that has so many bytes before it; and how many completions that took.
fn received(
    poller: &mut Poller,
    pool: &BufferPool,
    near: &mut UnixStream,
    socket: &Socket,
    count: usize,
) -> (Vec<PooledRecv>, usize) {
    near.write_all(&bytes(count)).unwrap();
    let (ticket, pieces, end) = receive_many(poller.handle(), socket, pool);
    let mut all: Vec<PooledRecv> = Vec::new();
    let completions = poll_until(poller, || {
        all.extend(pieces.try_iter());
        all.iter().map(|piece| piece.bytes).sum::<usize>() == count
    });
    poller.handle().cancel(ticket).unwrap();
    poll_until(poller, || has_ended(&end));
    (all, completions)
}

/// [async-backends 156] What is there fills buffer after buffer. Where the kernel has bundles fewer completions tell of it than
/// there are buffers.
fn one_answer_fills_many_buffers(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 16);
    let (mut near, socket) = stream();
    for round in 0..20 {
        let (all, completions) = received(&mut poller, &pool, &mut near, &socket, 64 * 6 + 10);
        assert_eq!(all.iter().map(|piece| piece.bytes).collect::<Vec<_>>(), [64, 64, 64, 64, 64, 64, 10]);
        let data: Vec<u8> = all.iter().flat_map(|piece| piece.data().to_vec()).collect();
        assert_eq!(data, bytes(64 * 6 + 10));
        assert!(completions <= all.len() && (completions < all.len()) == bundles(&poller), "{completions}");
        drop(all);
        assert_eq!(pool.available(), 16, "round {round}");
    }
}

/// [async 181] [async-backends 149] [async-backends 156] Each buffer of an answer is somebody's by itself: it comes back alone, is
/// filled again alone, and what is in the others stays. When all are held, the receive ends and loses nothing.
fn buffers_of_an_answer_come_back_one_by_one(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 8);
    let (mut near, socket) = stream();
    let (mut all, _) = received(&mut poller, &pool, &mut near, &socket, 64 * 8);
    assert_eq!((all.len(), pool.available()), (8, 0));
    let mut indices: Vec<u16> = all.iter().map(|piece| piece.lease.as_ref().unwrap().index()).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..8).collect::<Vec<_>>());
    near.write_all(b"more").unwrap();
    let (_, _, end) = receive_many(poller.handle(), &socket, &pool);
    poll_until(&mut poller, || has_ended(&end));
    assert_eq!(code(&end), Some(Code::ResourceExhausted));
    let given = all.remove(3).lease.unwrap().index();
    assert_eq!(pool.available(), 1);
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let mut more = None;
    poll_until(&mut poller, || {
        more = more.take().or_else(|| pieces.try_recv().ok());
        more.is_some()
    });
    let more = more.unwrap();
    assert_eq!((more.data(), more.lease.as_ref().unwrap().index()), (b"more".as_slice(), given));
    let expected = bytes(64 * 8);
    let kept = all.iter().flat_map(|piece| piece.data().to_vec());
    assert!(kept.eq(expected[..64 * 3].iter().chain(&expected[64 * 4..]).copied()));
    drop((near, all, more));
    poll_until(&mut poller, || has_ended(&end));
    // Told by the kernel that there was no buffer, or of the end.
    assert!([None, Some(Code::ResourceExhausted)].contains(&code(&end)));
    assert_eq!(pool.available(), 8);
}

/// [async-backends 146] [async-backends 149] A callback cancels at its first piece. What was told and what is left in the socket
/// are the stream, without a gap.
fn a_cancel_in_the_midst_loses_nothing(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 64, 16);
    for round in 0..20 {
        let (mut near, socket) = stream();
        near.write_all(&bytes(700)).unwrap();
        drop(near);
        let ticket: Arc<Mutex<Option<Ticket>>> = Arc::default();
        let (log, (give, pieces)) = (Log::default(), channel());
        let (proactor, own) = (handle.clone(), Arc::clone(&ticket));
        let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |piece: PooledRecv| {
            if let Some(ticket) = lock(&own).take() {
                proactor.cancel(ticket).unwrap();
            }
            give.send(piece).unwrap();
        });
        *lock(&ticket) = Some(submit(&handle, many, &log, "end"));
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("end", CANCELLED)]);
        let mut all: Vec<u8> = pieces.iter().flat_map(|piece| piece.data().to_vec()).collect();
        assert!(!all.is_empty() && (all.len() < 700 || bundles(&poller)), "{} were told", all.len());
        loop {
            let (_, pieces, end) = receive_many(&handle, &socket, &pool);
            poll_until(&mut poller, || has_ended(&end));
            all.extend(pieces.try_iter().flat_map(|piece| piece.data().to_vec()));
            match code(&end) {
                None => break,
                other => assert_eq!(other, Some(Code::ResourceExhausted)),
            }
        }
        assert!(all == bytes(700), "round {round}: {} bytes", all.len());
        assert_eq!((poll_dry(&mut poller), pool.available()), (0, 16));
    }
}

/// [async-backends 149] A callback that panics is not called again, and what was to be told is back in the pool.
fn a_panic_in_the_midst_keeps_no_buffer(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 64, 16);
    let (mut near, socket) = stream();
    near.write_all(&bytes(64 * 6)).unwrap();
    let (log, calls) = (Log::default(), Log::default());
    let called = calls.clone();
    let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |_| {
        called.write("piece", None);
        assert!(called.len() < 2, "the second piece is too much");
    });
    submit(&handle, many, &log, "end");
    let mut panics = 0;
    while log.is_empty() {
        panics += usize::from(catch_unwind(AssertUnwindSafe(|| drop(poller.poll(soon())))).is_err());
    }
    // It leaves the poll in which it was, or the one after.
    panics += usize::from(catch_unwind(AssertUnwindSafe(|| drop(poller.poll(Deadline::IMMEDIATE)))).is_err());
    assert_eq!((panics, calls.len(), log.take()), (1, 2, vec![("end", CANCELLED)]));
    assert_eq!(pool.available(), 16);
}

/// [async-backends 147] A message fills one buffer, and what does not fit is lost, whatever else is there.
fn messages_are_never_bundled(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 8);
    let (near, socket) = messages();
    for mark in 1..=3 {
        near.send(&[mark; 100]).unwrap();
    }
    let (ticket, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let mut all = Vec::new();
    poll_until(&mut poller, || {
        all.extend(pieces.try_iter());
        all.len() >= 3
    });
    poller.handle().cancel(ticket).unwrap();
    poll_until(&mut poller, || has_ended(&end));
    all.extend(pieces.try_iter());
    let expected = [[1; 64], [2; 64], [3; 64]];
    assert!(all.iter().map(|piece| piece.data()).eq(expected.iter().map(|part| part.as_slice())));
}
