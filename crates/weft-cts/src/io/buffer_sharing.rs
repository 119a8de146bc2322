//! Receiving into pools by several at once: sockets, threads, callbacks, and the end of a proactor.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use weft_io::ops::{PooledRecv, RecvPoolMany};
use weft_io::{Operation, Socket, Ticket};
use weft_sync::Code;

use super::buffer_receive::{Ended, code, has_ended, pool_of, receive, receive_many, stream};
use super::subject::{CANCELLED, IoCaps, IoSubject, Log, lock, poll_dry, poll_until, rounds, soon, submit};

crate::cases! { $ BUFFER_SHARING for_each_io_buffer_sharing_case of IoSubject {
    sockets_share_a_pool: IoCaps::KERNEL;
    leases_come_back_from_other_threads: IoCaps::KERNEL;
    callbacks_end_their_receive: IoCaps::KERNEL;
    a_receive_ends_with_its_proactor: IoCaps::KERNEL;
} }

/// [async-backends 147] [async-backends 156] Several streams through one small pool, in pieces of odd sizes, each byte in its
/// place; and several pools at once.
fn sockets_share_a_pool(subject: &IoSubject) {
    const STREAMS: usize = 6;
    let total = rounds(200_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pools = [pool_of(&handle, 1000, 4), pool_of(&handle, 333, 8)];
    let pairs: Vec<(UnixStream, Socket)> = (0..STREAMS).map(|_| stream()).collect();
    let byte = |stream: usize, index: usize| (index.wrapping_mul(31) ^ stream.wrapping_mul(77)) as u8;
    std::thread::scope(|scope| {
        let mut sockets = Vec::new();
        for (number, (mut near, socket)) in pairs.into_iter().enumerate() {
            scope.spawn(move || {
                let data: Vec<u8> = (0..total).map(|index| byte(number, index)).collect();
                for piece in data.chunks(997 + 100 * number) {
                    near.write_all(piece).unwrap();
                }
            });
            sockets.push(socket);
        }
        let mut counts = [0; STREAMS];
        let mut receives: Vec<_> = sockets
            .iter()
            .enumerate()
            .map(|(number, socket)| receive_many(&handle, socket, &pools[number % 2]))
            .collect();
        let mut is_over = [false; STREAMS];
        while is_over != [true; STREAMS] {
            drop(poller.poll(soon()));
            for number in 0..STREAMS {
                for piece in receives[number].1.try_iter() {
                    for &found in piece.data() {
                        assert_eq!(found, byte(number, counts[number]), "{number} at {}", counts[number]);
                        counts[number] += 1;
                    }
                }
                if !is_over[number] && has_ended(&receives[number].2) {
                    match code(&receives[number].2) {
                        None => is_over[number] = true,
                        Some(Code::ResourceExhausted) => {
                            receives[number] = receive_many(&handle, &sockets[number], &pools[number % 2]);
                        }
                        other => panic!("{number}: {other:?}"),
                    }
                }
            }
        }
        assert_eq!(counts, [total; STREAMS]);
    });
    assert_eq!(pools.map(|pool| pool.available()), [4, 8]);
}

/// [async-backends 150] Another thread keeps leases for a while and drops them, as the kernel picks others: no byte changes
/// under a lease.
fn leases_come_back_from_other_threads(subject: &IoSubject) {
    let total = rounds(300_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 512, 8);
    let (near, socket) = stream();
    let (give, take) = channel::<PooledRecv>();
    let writer = std::thread::spawn(move || {
        let data: Vec<u8> = (0..total).map(|index| (index % 251) as u8).collect();
        let mut near = near;
        data.chunks(700).for_each(|piece| near.write_all(piece).unwrap());
    });
    let reader = std::thread::spawn(move || {
        let (mut count, mut held) = (0, Vec::new());
        let check = |piece: &PooledRecv, start: usize| {
            let is_right = |(offset, &found): (usize, &u8)| found == ((start + offset) % 251) as u8;
            assert!(piece.data().iter().enumerate().all(is_right));
        };
        for piece in take {
            check(&piece, count);
            let start = count;
            count += piece.bytes;
            held.push((piece, start));
            if held.len() == 4 {
                held.drain(..).for_each(|(piece, start)| check(&piece, start));
            }
        }
        count
    });
    loop {
        let sender = give.clone();
        let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |piece| sender.send(piece).unwrap());
        let end = Ended::default();
        let told = Arc::clone(&end);
        let many = Operation::new(many).on_done(move |done| *lock(&told) = Some(done.result));
        handle.submit(many).unwrap();
        poll_until(&mut poller, || has_ended(&end));
        match code(&end) {
            None => break,
            other => assert_eq!(other, Some(Code::ResourceExhausted)),
        }
    }
    drop(give);
    writer.join().unwrap();
    assert_eq!(reader.join().unwrap(), total);
    assert_eq!(pool.available(), 8);
}

/// [async-backends 146] A callback for one of many pieces cancels its receive, closes the socket, or drops what it has of
/// both: the receive ends once, and nothing is told after that.
fn callbacks_end_their_receive(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let pool = pool_of(&handle, 8, 4);
    for way in 0..3 {
        let (mut near, socket) = stream();
        let ticket: Arc<Mutex<Option<Ticket>>> = Arc::default();
        let (log, told) = (Log::default(), Log::default());
        let (proactor, own, mine, pieces) =
            (handle.clone(), socket.clone(), Arc::clone(&ticket), told.clone());
        let mut own = Some(own);
        let many = RecvPoolMany::new(socket.clone(), pool.clone(), move |piece| {
            assert!(!piece.data().is_empty());
            pieces.write("piece", None);
            match way {
                0 => proactor.cancel(lock(&mine).unwrap()).unwrap(),
                1 => drop(proactor.submit(weft_io::ops::SocketClose::new(own.take().unwrap())).unwrap()),
                _ => drop(own.take()),
            }
        });
        *lock(&ticket) = Some(submit(&handle, many, &log, "end"));
        drop(socket);
        near.write_all(b"piece").unwrap();
        poll_until(&mut poller, || told.len() == 1);
        if way == 2 {
            drop(near);
        }
        poll_until(&mut poller, || log.len() == 1);
        poll_dry(&mut poller);
        assert_eq!(log.take(), [("end", if way == 2 { None } else { CANCELLED })]);
        assert_eq!((told.len(), pool.available()), (1, 4), "way {way}");
    }
}

/// [async-backends 149] A proactor that goes away ends its receives, and every buffer is back.
fn a_receive_ends_with_its_proactor(subject: &IoSubject) {
    let mut poller = subject.open();
    let pool = pool_of(poller.handle(), 64, 4);
    let (mut near, socket) = stream();
    let (_, pieces, end) = receive_many(poller.handle(), &socket, &pool);
    let (_, one) = receive(&poller.handle().clone(), &socket, &pool);
    near.write_all(b"before").unwrap();
    let mut piece = None;
    poll_until(&mut poller, || {
        piece = piece.take().or_else(|| pieces.try_recv().ok());
        piece.is_some()
    });
    drop(poller);
    assert_eq!(code(&end), CANCELLED);
    assert_eq!(lock(&one).take().unwrap().unwrap_err().code(), Code::Cancelled);
    assert_eq!(pool.available(), 3);
    drop(piece);
    assert_eq!(std::iter::from_fn(|| pool.acquire().ok()).take(5).fold(0, |count, _| count + 1), 5);
    near.write_all(b"after").unwrap();
    drop(socket);
    let mut rest = Vec::new();
    // What the proactor did not take is gone with the socket.
    drop(near.read_to_end(&mut rest));
}
