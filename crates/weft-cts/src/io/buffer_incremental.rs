//! Buffers of a pool that are used up piece by piece.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{TryRecvError, channel};

use weft_io::ops::{PooledRecv, RecvPool, RecvPoolMany, Send};
use weft_io::{
    Access, BufferPool, Capabilities, Consumption, Handle, Lease, Operation, Poller, RegionOptions, Slab,
    Socket,
};
use weft_sync::Code;

use super::buffer_bundle::{Random, carry, tcp};
use super::buffer_receive::{Slot, code, has_ended, messages, receive, receive_many, stream};
use super::subject::{CANCELLED, IoCaps, IoSubject, lock, poll_dry, poll_until, rounds};

crate::cases! { $ BUFFER_INCREMENTAL for_each_io_buffer_incremental_case of IoSubject {
    pieces_share_a_buffer: IoCaps::KERNEL;
    random_messages_are_byte_exact_in_pieces: IoCaps::KERNEL;
    without_the_kernel_the_pieces_are_the_same: IoCaps::KERNEL;
    streams_share_buffers: IoCaps::KERNEL;
    exhausted_buffers_come_back_by_pieces: IoCaps::KERNEL;
    whole_buffers_have_no_piece_out: IoCaps::KERNEL;
    a_receive_that_is_cancelled_goes_on_in_its_buffer: IoCaps::KERNEL;
    pieces_are_sent_as_they_are: IoCaps::KERNEL;
    what_cannot_be_in_pieces_is_refused: IoCaps::NONE;
} }

const PIECES: RegionOptions = RegionOptions { access: Access::WRITE, consumption: Consumption::Incremental };

fn pool_of_pieces(handle: &Handle, size: usize, count: u32) -> BufferPool {
    let slab = Slab::new(size, count).unwrap();
    let region = handle.register_slab_with(&slab, PIECES).unwrap();
    assert_eq!(region.consumption(), Consumption::Incremental);
    BufferPool::new(&region).unwrap()
}

/// Buffer, where in it, and how long.
fn place(piece: &PooledRecv) -> (u16, usize, usize) {
    let lease = piece.lease.as_ref().expect("something came");
    assert_eq!(lease.len(), piece.bytes);
    (lease.index(), lease.offset(), lease.len())
}

/// Writes this, and polls until as much has come, all of it in these pieces.
fn written(
    poller: &mut Poller,
    near: &mut UnixStream,
    data: &[u8],
    take: impl Fn() -> Vec<PooledRecv>,
) -> Vec<PooledRecv> {
    near.write_all(data).unwrap();
    let mut all = Vec::new();
    poll_until(poller, || {
        all.extend(take());
        all.iter().map(|piece: &PooledRecv| piece.bytes).sum::<usize>() >= data.len()
    });
    assert_eq!(all.iter().flat_map(|piece| piece.data().to_vec()).collect::<Vec<_>>(), data);
    all
}

/// [async 181] [async-backends 156] Pieces of a stream lie one behind the other until the buffer is full, and then in the next;
/// each is its owner's alone. A buffer is free when all of its pieces are back, not before, and begins anew.
fn pieces_share_a_buffer(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of_pieces(poller.handle(), 100, 2);
    let (mut near, socket) = stream();
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let take = || pieces.try_iter().collect();
    let mut held = Vec::new();
    for mark in 1..=4_u8 {
        held.extend(written(&mut poller, &mut near, &[mark; 30], take));
    }
    let places: Vec<_> = held.iter().map(place).collect();
    let (first, second) = (places[0].0, places[4].0);
    assert_ne!(first, second);
    assert_eq!(places, [(first, 0, 30), (first, 30, 30), (first, 60, 30), (first, 90, 10), (second, 0, 20)]);
    // Whoever has one writes to it and to no other.
    for (mark, piece) in (10..).zip(&mut held) {
        piece.lease.as_mut().unwrap().fill(mark);
    }
    assert!(held.iter().zip(10..).all(|(piece, mark)| piece.data().iter().all(|&byte| byte == mark)));
    let last = held.pop().unwrap();
    assert_eq!((pool.available(), pool.capacity()), (1, 2));
    for index in [2, 0, 1] {
        drop(held.remove(index.min(held.len() - 1)));
        assert_eq!(pool.available(), 1, "a piece is out");
    }
    std::thread::spawn(move || drop(held)).join().unwrap();
    assert_eq!(pool.available(), 2);
    let again = written(&mut poller, &mut near, &[5; 90], take);
    assert_eq!(again.iter().map(place).collect::<Vec<_>>(), [(second, 20, 80), (first, 0, 10)]);
    assert_eq!(last.data(), [14; 20]);
    drop((near, last, again));
    poll_until(&mut poller, || has_ended(&end));
    assert_eq!((code(&end), pool.available()), (None, 2));
}

/// [async-backends 150] [async-backends 156] As with whole buffers: messages of all sizes, pieces that are held back and returned
/// in any order by another thread, and each byte stays what it is until then.
fn random_messages_are_byte_exact_in_pieces(subject: &IoSubject) {
    let mut poller = subject.open();
    for (size, count) in [(4096, 4), (100, 8), (7, 4)] {
        let pool = pool_of_pieces(poller.handle(), size, count);
        let (near, socket) = stream();
        carry(&mut poller, &pool, near, &socket, count as usize / 2);
        let (near, socket) = tcp();
        carry(&mut poller, &pool, near, &socket, count as usize / 2);
    }
}

/// [async 2] [async-backends 156] Where the kernel may not do it, the receives do.
fn without_the_kernel_the_pieces_are_the_same(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.allowed -= Capabilities::INCREMENTAL_BUFFERS);
    let pool = pool_of_pieces(poller.handle(), 300, 4);
    let (near, socket) = stream();
    carry(&mut poller, &pool, near, &socket, 2);
    let whole = pool.acquire().unwrap();
    assert_eq!((whole.len(), whole.offset()), (300, 0));
}

/// [async-backends 147] [async-backends 156] Pieces of several streams, by receives of both kinds, lie mixed in the same buffers;
/// each stream gets its own.
fn streams_share_buffers(subject: &IoSubject) {
    const STREAMS: usize = 4;
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of_pieces(&handle, 1000, 4);
    let mut pairs: Vec<(UnixStream, Socket)> = (0..STREAMS).map(|_| stream()).collect();
    let many: Vec<_> = pairs[..2].iter().map(|(_, socket)| receive_many(&handle, socket, &pool)).collect();
    let mut ones: Vec<Slot> =
        pairs[2..].iter().map(|(_, socket)| receive(&handle, socket, &pool).1).collect();
    let byte = |stream: usize, index: usize| (index.wrapping_mul(31) ^ stream.wrapping_mul(77)) as u8;
    let (mut sent, mut came) = ([0; STREAMS], [0; STREAMS]);
    let (mut random, mut kept) = (Random(0x9E37_79B9_7F4A_7C15), Vec::new());
    for _ in 0..rounds(3000) {
        for (stream, (near, _)) in pairs.iter_mut().enumerate() {
            let length = random.below(60);
            let data: Vec<u8> = (sent[stream]..).take(length).map(|index| byte(stream, index)).collect();
            near.write_all(&data).unwrap();
            sent[stream] += length;
        }
        poll_until(&mut poller, || {
            let mut found: Vec<(usize, PooledRecv)> = Vec::new();
            for (stream, (_, pieces, end)) in many.iter().enumerate() {
                assert!(!has_ended(end));
                found.extend(pieces.try_iter().map(|piece| (stream, piece)));
            }
            for (stream, slot) in (2..).zip(&mut ones) {
                if let Some(piece) = lock(slot).take() {
                    found.push((stream, piece.unwrap()));
                } else {
                    continue;
                }
                *slot = receive(&handle, &pairs[stream].1, &pool).1;
            }
            for (stream, piece) in found {
                let is_right =
                    (came[stream]..).zip(piece.data()).all(|(index, &found)| found == byte(stream, index));
                assert!(is_right, "{stream} at {}: {piece:?}", came[stream]);
                came[stream] += piece.bytes;
                kept.push(piece);
            }
            while kept.len() > random.below(3) {
                kept.swap_remove(random.below(kept.len()));
            }
            came == sent
        });
    }
    drop((pairs, kept));
    poll_until(&mut poller, || {
        many.iter().all(|(_, _, end)| has_ended(end)) && ones.iter().all(|slot| lock(slot).is_some())
    });
    drop(ones);
    assert_eq!(pool.available(), 4);
}

/// [async-backends 147] [async-backends 156] [async 225] Pieces that are kept keep their buffers: in the end there is no room, and
/// nothing is lost. The last piece of one brings it back, and the next receive goes on in it.
fn exhausted_buffers_come_back_by_pieces(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of_pieces(poller.handle(), 64, 2);
    let (mut near, socket) = stream();
    let data: Vec<u8> = (0..200).collect();
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let take = || pieces.try_iter().collect();
    let mut kept = written(&mut poller, &mut near, &data[..40], take);
    near.write_all(&data[40..]).unwrap();
    poll_until(&mut poller, || has_ended(&end));
    assert_eq!(code(&end), Some(Code::ResourceExhausted));
    kept.extend(pieces.try_iter());
    assert_eq!(kept.iter().map(|piece| place(piece).1).collect::<Vec<_>>(), [0, 40, 0]);
    assert!(kept.iter().flat_map(|piece| piece.data()).eq(&data[..128]));
    assert_eq!(pool.available(), 0);
    let (_, refused) = receive(&poller.handle().clone(), &socket, &pool);
    poll_until(&mut poller, || lock(&refused).is_some());
    assert_eq!(lock(&refused).take().unwrap().unwrap_err().code(), Code::ResourceExhausted);
    drop(kept.remove(1));
    assert_eq!(pool.available(), 0);
    let first = kept.remove(0);
    let buffer = place(&first).0;
    drop(first);
    assert_eq!(pool.available(), 1);
    let (_, next) = receive(&poller.handle().clone(), &socket, &pool);
    poll_until(&mut poller, || lock(&next).is_some());
    let next = lock(&next).take().unwrap().unwrap();
    assert_eq!((place(&next), next.data()), ((buffer, 0, 64), &data[128..192]));
    assert_eq!(kept[0].data(), &data[64..128]);
    drop((next, kept));
    assert_eq!(pool.available(), 2);
}

/// [async 174] [async-backends 156] What is leased whole is whole: a buffer of which a piece is out is not among it, and is again
/// when the piece is back.
fn whole_buffers_have_no_piece_out(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of_pieces(poller.handle(), 64, 4);
    let (mut near, socket) = stream();
    for round in 0..5 {
        let (_, slot) = receive(&poller.handle().clone(), &socket, &pool);
        near.write_all(b"piece").unwrap();
        poll_until(&mut poller, || lock(&slot).is_some());
        let piece = lock(&slot).take().unwrap().unwrap();
        assert_eq!(place(&piece).1, 0, "round {round}");
        let mut whole: Vec<Lease> = std::iter::from_fn(|| pool.acquire().ok()).collect();
        assert_eq!((whole.len(), pool.available()), (3, 1));
        assert!(whole.iter().all(|lease| lease.index() != place(&piece).0 && lease.len() == 64));
        whole.iter_mut().for_each(|lease| lease.fill(9));
        assert_eq!(piece.data(), b"piece");
        let buffer = place(&piece).0;
        drop(piece);
        let last = pool.acquire().unwrap();
        assert_eq!((last.index(), last.offset(), last.len()), (buffer, 0, 64));
        assert_eq!(pool.acquire().unwrap_err().code(), Code::ResourceExhausted);
        drop((whole, last));
        assert_eq!(pool.available(), 4);
    }
}

/// [async-backends 146] [async-backends 149] Cancelled in the midst of a buffer, also by its own callback, a receive leaves the
/// rest of it to the next.
fn a_receive_that_is_cancelled_goes_on_in_its_buffer(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of_pieces(&handle, 1000, 4);
    let (mut near, socket) = stream();
    let mut kept: Vec<PooledRecv> = Vec::new();
    for round in 0..10 {
        let (ticket, pieces, end) = receive_many(&handle, &socket, &pool);
        let take = || pieces.try_iter().collect();
        kept.extend(written(&mut poller, &mut near, &[round; 20], take));
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || has_ended(&end));
        assert_eq!((code(&end), pieces.try_iter().count()), (CANCELLED, 0));
    }
    let buffer = place(&kept[0]).0;
    assert!(kept.iter().zip(0..).all(|(piece, round)| place(piece) == (buffer, round * 20, 20)));
    assert_eq!((poll_dry(&mut poller), pool.available()), (0, 4));
    let (log, told) = channel();
    let (proactor, own) = (handle.clone(), socket.clone());
    let many = RecvPoolMany::new(socket, pool.clone(), move |piece| {
        log.send(piece).unwrap();
        proactor.submit(weft_io::ops::SocketClose::new(own.clone())).unwrap();
    });
    handle.submit(many).unwrap();
    near.write_all(b"the last").unwrap();
    let mut last = None;
    poll_until(&mut poller, || {
        last = last.take().or_else(|| told.try_recv().ok());
        last.is_some()
    });
    assert_eq!(place(&last.unwrap()), (buffer, 200, 8));
    drop(kept);
    // The end of the receive has dropped the callback.
    poll_until(&mut poller, || matches!(told.try_recv(), Err(TryRecvError::Disconnected)));
    assert_eq!(pool.available(), 4);
}

/// [async 181] A piece is given to a send like any lease: what goes out is the piece, whether the kernel knows
/// the memory or not.
fn pieces_are_sent_as_they_are(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let options = RegionOptions { access: Access::READ | Access::WRITE, ..PIECES };
    let region = handle.register_slab_with(&Slab::new(4096, 2).unwrap(), options).unwrap();
    let pool = BufferPool::new(&region).unwrap();
    let (mut near, socket) = stream();
    let (ticket, pieces, end) = receive_many(&handle, &socket, &pool);
    for text in [b"first".as_slice(), b"second", b"third"] {
        let piece = written(&mut poller, &mut near, text, || pieces.try_iter().collect()).remove(0);
        let (give, sent) = channel();
        let send = Operation::new(Send::new(socket.clone(), piece.lease.unwrap()));
        handle.submit(send.on_done(move |done| give.send(done.result.unwrap().bytes).unwrap())).unwrap();
        let mut count = None;
        poll_until(&mut poller, || {
            count = sent.try_recv().ok();
            count.is_some()
        });
        assert_eq!(count, Some(text.len()));
        let mut back = vec![0; text.len()];
        near.read_exact(&mut back).unwrap();
        assert_eq!(back, text);
    }
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || has_ended(&end));
    assert_eq!(pool.available(), 2);
}

/// [async 181] [async-backends 151] Messages, which what is left of a buffer would cut, and buffers with more bytes than a piece
/// can be told of.
fn what_cannot_be_in_pieces_is_refused(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of_pieces(&handle, 64, 2);
    let (_near, socket) = messages();
    let once = handle.submit(RecvPool::new(socket.clone(), pool.clone())).unwrap_err();
    let many = handle.submit(RecvPoolMany::new(socket, pool.clone(), |_| {})).unwrap_err();
    assert_eq!([once.why.code(), many.why.code()], [Code::InvalidArgument; 2]);
    assert_eq!(pool.available(), 2);
    let Ok(slab) = Slab::new(1 << 32, 1) else { return println!("skipped: no four gigabytes of addresses") };
    let refused = handle.register_slab_with(&slab, PIECES).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    drop(handle.register_slab(&slab, Access::READ).unwrap());
}
