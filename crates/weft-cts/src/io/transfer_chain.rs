//! Chains of transfers: what is behind a connect, a send, a receive, a read; what their ends mean to it.
//!
//! What lives here: members that the kernel carries out and may think otherwise of. What does not: chains of anything else
//! (`chain.rs`).

use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};

use weft_io::ops::{
    Accept, AcceptMany, Connect, FileRead, Nop, Recv, RecvMany, SemaphoreSignal, SemaphoreWait, Send,
    SocketClose,
};
use weft_io::{Batch, File, Handle, Operation, Params, Shutdown, SocketKind, SocketOptions, Ticket};
use weft_sync::{Code, Deadline, Semaphore};

use super::connection::{
    STREAMS, begin, bound, end, listener, pair, pair_with, pattern, receive, receive_all, send, socket,
};
use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, point, poll_dry, poll_until, rounds, soon, submit, timeline, timer,
};

crate::cases! { $ TRANSFER_CHAIN for_each_io_transfer_chain_case of IoSubject {
    a_send_behind_a_connect_arrives: IoCaps::KERNEL;
    what_is_behind_a_refused_connect_is_cancelled: IoCaps::KERNEL;
    a_refusal_that_comes_later_has_its_reason: IoCaps::KERNEL;
    short_transfers_go_on: IoCaps::KERNEL;
    one_answer_of_many_starts_no_successor: IoCaps::KERNEL;
    what_is_behind_a_send_comes_after_its_end: IoCaps::KERNEL;
    a_send_behind_a_failure_is_never_begun: IoCaps::KERNEL;
    a_chain_that_is_cancelled_leaves_its_sockets_alone: IoCaps::KERNEL;
    values_are_seen_after_what_was_received: IoCaps::KERNEL;
    signals_stand_between_transfers: IoCaps::KERNEL;
} }

/// Adds behind what is there, if something is, and writes down how it ended.
#[track_caller]
fn add<P: Params>(batch: &mut Batch<'_>, log: &Log, name: &'static str, params: P) -> Ticket {
    let operation = Operation::new(params).on_done(log.line(name));
    let added = if batch.is_empty() { batch.add(operation) } else { batch.then(operation) };
    added.expect("there is room")
}

/// [async 50] [async-backends 47] Sends that are linked behind a connect come after it, in order, and arrive.
fn a_send_behind_a_connect_arrives(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in STREAMS {
        let (listener, address) = listener(kind);
        let (near, log) = (socket(kind), Log::default());
        let accepted = begin(&handle, Accept::new(listener));
        let mut batch = handle.batch();
        add(&mut batch, &log, "connect", Connect::new(near.clone(), address));
        add(&mut batch, &log, "one", Send::new(near.clone(), b"one".as_slice()));
        add(&mut batch, &log, "large", Send::new(near.clone(), pattern(300_000, 1)));
        add(&mut batch, &log, "close", SocketClose::new(near));
        batch.submit().unwrap();
        let far = end(&mut poller, &accepted).result.unwrap().socket;
        assert_eq!(receive_all(&mut poller, &far, 3), b"one", "{kind:?}");
        assert!(receive_all(&mut poller, &far, 300_001) == pattern(300_000, 1));
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(log.take_names(), ["connect", "one", "large", "close"]);
    }
}

/// [async 51] [async-backends 47] [async-backends 206] A connect that is refused fails with its reason, and everything
/// behind it is cancelled, each once, in order; the reason alone sticks.
fn what_is_behind_a_refused_connect_is_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in STREAMS {
        let (gone, address) = listener(kind);
        drop(gone);
        let (near, log) = (socket(kind), Log::default());
        let mut batch = handle.batch();
        add(&mut batch, &log, "connect", Connect::new(near.clone(), address));
        add(&mut batch, &log, "send", Send::new(near.clone(), pattern(20_000, 1)));
        add(&mut batch, &log, "recv", Recv::new(near.clone(), vec![0; 10]));
        add(&mut batch, &log, "nop", Nop);
        batch.submit().unwrap();
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(poll_dry(&mut poller), 0);
        let lines = log.take();
        assert_eq!(lines[0], ("connect", Some(Code::Unavailable)), "{kind:?}");
        assert_eq!(lines[1..], ["send", "recv", "nop"].map(|name| (name, CANCELLED)));
        assert_eq!(near.failure(), Some(Code::Unavailable));
    }
}

/// [async-backends 206] Connects that wait when their listener goes away are refused when they ask again, a second later:
/// each ends once, with the reason, and so does what is behind it.
fn a_refusal_that_comes_later_has_its_reason(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (full, address) = bound(SocketKind::Tcp);
    full.listen(1).unwrap();
    let (log, sockets) = (Log::default(), [(); 6].map(|()| socket(SocketKind::Tcp)));
    for near in &sockets {
        let mut batch = handle.batch();
        add(&mut batch, &log, "connect", Connect::new(near.clone(), address));
        add(&mut batch, &log, "nop", Nop);
        batch.submit().unwrap();
    }
    poll_dry(&mut poller);
    let at_once = log.len();
    drop(full);
    poll_until(&mut poller, || log.len() == 12);
    let lines = log.take();
    assert!(lines[..at_once].iter().all(|(_, code)| code.is_none()), "{lines:?}");
    assert!(at_once < 12, "the listener has no room for all of them");
    // Those that had been accepted for it are connected, if only for a moment.
    let refused = sockets.iter().filter(|near| near.failure() == Some(Code::Unavailable)).count();
    let of = |line| lines.iter().filter(|&&found| found == line).count();
    assert_eq!(of(("connect", Some(Code::Unavailable))), refused);
    assert_eq!(of(("nop", CANCELLED)), refused);
    assert_eq!(of(("connect", None)) + refused, 6);
    assert!(refused > 0);
}

/// [async-backends 52] [async-backends 54] A read that finds less than it has room for, or nothing, and a receive that comes
/// to the end of its stream, are no failures: what is behind them runs. A kernel that links breaks such chains.
fn short_transfers_go_on(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let path = std::env::temp_dir().join(format!("weft-cts-{}-{}-short", std::process::id(), subject.name));
    std::fs::File::create(&path).unwrap().write_all(b"five!").unwrap();
    let file = File::import(std::fs::File::open(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let log = Log::default();
    for offset in [0, 3, 5, 1000] {
        let mut batch = handle.batch();
        add(&mut batch, &log, "read", FileRead::new(file.clone(), offset, vec![0; 100]));
        add(&mut batch, &log, "again", FileRead::new(file.clone(), offset, vec![0; 100]));
        add(&mut batch, &log, "nop", Nop);
        batch.submit().unwrap();
        poll_until(&mut poller, || log.len() == 3);
        assert_eq!(log.take_names(), ["read", "again", "nop"], "from {offset}");
    }
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        let mut batch = handle.batch();
        add(&mut batch, &log, "short", Recv::new(far.clone(), vec![0; 100]));
        add(&mut batch, &log, "end", Recv::new(far, vec![0; 100]));
        add(&mut batch, &log, "nop", Nop);
        batch.submit().unwrap();
        send(&mut poller, &near, b"last".as_slice());
        near.shutdown(Shutdown::Write).unwrap();
        poll_until(&mut poller, || log.len() == 3);
        assert_eq!(log.take_names(), ["short", "end", "nop"], "{kind:?}");
    }
}

/// [async 58] An operation with many answers starts what is behind it with its last, if that is a good one, and not
/// with one before.
fn one_answer_of_many_starts_no_successor(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (log, pieces) = (Log::default(), channel());
    let mut batch = handle.batch();
    let recv = RecvMany::new(far, vec![0; 10], move |bytes| pieces.0.send(bytes.to_vec()).unwrap());
    add(&mut batch, &log, "recv", recv);
    add(&mut batch, &log, "nop", Nop);
    batch.submit().unwrap();
    for text in [b"one".as_slice(), b"two", b"three"] {
        send(&mut poller, &near, text);
        let mut received = Vec::new();
        poll_until(&mut poller, || {
            pieces.1.try_iter().for_each(|piece| received.extend(piece));
            received.len() == text.len()
        });
        assert_eq!((received.as_slice(), log.len()), (text, 0), "nothing is over");
    }
    near.shutdown(Shutdown::Write).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["recv", "nop"]);
    // One that never ends well never starts it.
    let (listener, address) = listener(SocketKind::Tcp);
    let (sender, accepted) = channel();
    let mut batch = handle.batch();
    let accept = AcceptMany::new(listener, move |connection| drop(sender.send(connection)));
    let ticket = add(&mut batch, &log, "accept", accept);
    add(&mut batch, &log, "nop", Nop);
    batch.submit().unwrap();
    let sockets = [(); 3].map(|()| socket(SocketKind::Tcp));
    for near in &sockets {
        submit(&handle, Connect::new(near.clone(), address), &log, "connect");
    }
    let mut count = 0;
    poll_until(&mut poller, || {
        count += accepted.try_iter().count();
        count == 3 && log.len() == 3
    });
    assert_eq!(log.take_names(), ["connect"; 3]);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take(), [("accept", CANCELLED), ("nop", CANCELLED)]);
}

/// [async-backends 56] What is behind a send without a copy comes after its end; one that is cancelled in the middle of a chain,
/// or of itself, ends once, and so does everything behind it.
fn what_is_behind_a_send_comes_after_its_end(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    let log = Log::default();
    for round in 0..10_u8 {
        let mut batch = handle.batch();
        add(&mut batch, &log, "before", Nop);
        add(&mut batch, &log, "send", Send::new(near.clone(), pattern(1 << 16, round)));
        add(&mut batch, &log, "behind", Nop);
        add(&mut batch, &log, "send too", Send::new(near.clone(), pattern(20_000, round)));
        batch.submit().unwrap();
        assert!(receive_all(&mut poller, &far, 1 << 16) == pattern(1 << 16, round));
        assert!(receive_all(&mut poller, &far, 20_000) == pattern(20_000, round));
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(log.take_names(), ["before", "send", "behind", "send too"]);
    }
    // More than fits anywhere, so it is under way when the cancel comes.
    let mut batch = handle.batch();
    add(&mut batch, &log, "before", Nop);
    let stuck = add(&mut batch, &log, "send", Send::new(near.clone(), vec![0; 16 << 20]));
    let never = add(&mut batch, &log, "timer", weft_io::ops::Timer { deadline: Deadline::NEVER });
    add(&mut batch, &log, "last", Send::new(near, pattern(20_000, 0)));
    batch.submit().unwrap();
    poll_dry(&mut poller);
    assert_eq!(log.take_names(), ["before"]);
    handle.cancel(stuck).unwrap();
    handle.cancel(never).unwrap();
    // The kernel lets go of the memory when the peer has what is away, or is gone.
    drop(far);
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(poll_dry(&mut poller), 0);
    let lines = log.take();
    assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), ["send", "timer", "last"], "each once");
    assert_eq!((lines[1].1, lines[2].1), (CANCELLED, CANCELLED));
}

/// [async-backends 56] [async-backends 57] A send behind what fails, in the kernel or out of it, is cancelled once, and
/// not a byte of it is away.
fn a_send_behind_a_failure_is_never_begun(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    let (log, broken) = (Log::default(), timeline());
    broken.fail(weft_sync::status!(DataLoss, "gone"));
    // It cannot be read.
    let void = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let void = File::import(void).unwrap();
    let behind = |batch: &mut Batch<'_>, log: &Log| {
        add(batch, log, "send", Send::new(near.clone(), pattern(1 << 16, 1)));
        add(batch, log, "nop", Nop);
    };
    for round in 0..2 {
        let mut batch = handle.batch();
        add(&mut batch, &log, "before", Nop);
        match round {
            0 => add(&mut batch, &log, "fails", FileRead::new(void.clone(), 0, vec![0; 10])),
            _ => add(&mut batch, &log, "fails", SemaphoreWait::all([point(&broken, 1)])),
        };
        behind(&mut batch, &log);
        batch.submit().unwrap();
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(poll_dry(&mut poller), 0);
        let lines = log.take();
        assert_eq!(lines[0], ("before", None));
        assert!(lines[1].1.is_some_and(|code| code != Code::Cancelled), "{lines:?}");
        assert_eq!(lines[2..], [("send", CANCELLED), ("nop", CANCELLED)]);
    }
    assert_eq!(near.failure(), None);
    send(&mut poller, &near, b"the first".as_slice());
    assert_eq!(receive(&mut poller, &far, 100), b"the first");
}

/// [async 225] Transfers that are cancelled with their chain, before they had begun, are no failure of their socket.
fn a_chain_that_is_cancelled_leaves_its_sockets_alone(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let log = Log::default();
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER).on_done(log.line("timer"))).unwrap();
    add(&mut batch, &log, "send", Send::new(near.clone(), b"never".as_slice()));
    add(&mut batch, &log, "recv", Recv::new(near.clone(), vec![0; 10]));
    add(&mut batch, &log, "close", SocketClose::new(near.clone()));
    batch.submit().unwrap();
    poll_dry(&mut poller);
    handle.cancel(head).unwrap();
    poll_until(&mut poller, || log.len() == 4);
    assert_eq!(log.take(), ["timer", "send", "recv", "close"].map(|name| (name, CANCELLED)));
    assert_eq!((near.failure(), near.is_closed()), (None, false));
    send(&mut poller, &near, b"as ever".as_slice());
    assert_eq!(receive(&mut poller, &far, 10), b"as ever");
}

/// [async-backends 107] Another thread that sees the value of a signal behind a receive finds what was received, as the
/// receive's callback has left it.
fn values_are_seen_after_what_was_received(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::UnixStream);
    let seen = timeline();
    for round in 1..=rounds(300) as u64 {
        let place: Arc<OnceLock<Vec<u8>>> = Arc::default();
        let observer = {
            let (place, seen): (_, Arc<Semaphore>) = (Arc::clone(&place), Arc::clone(&seen));
            std::thread::spawn(move || {
                while !seen.is_reached(round).expect("nobody fails it") {
                    std::hint::spin_loop();
                    seen.wait(round, Deadline::after(std::time::Duration::from_micros(50))).ok();
                }
                place.get().expect("it was received before").clone()
            })
        };
        let left = Arc::clone(&place);
        let recv = Operation::new(Recv::new(far.clone(), vec![0; 8])).on_done(move |done| {
            done.result.expect("the peer is there");
            left.set(done.operation.into_params().target).expect("once");
        });
        let mut batch = handle.batch();
        batch.add(recv).unwrap();
        batch.then(SemaphoreSignal::new([point(&seen, round)])).unwrap();
        batch.submit().unwrap();
        send(&mut poller, &near, round.to_le_bytes().to_vec());
        poll_until(&mut poller, || seen.is_reached(round).unwrap());
        assert_eq!(observer.join().unwrap(), round.to_le_bytes());
    }
}

/// A pair of sockets with a receive in front, a signal, and a send behind.
fn echo_chain(handle: &Handle, log: &Log, far: &weft_io::Socket, seen: &Arc<Semaphore>) {
    let mut batch = handle.batch();
    add(&mut batch, log, "recv", Recv::new(far.clone(), vec![0; 8]));
    add(&mut batch, log, "signal", SemaphoreSignal::new([point(seen, 1)]));
    add(&mut batch, log, "send", Send::new(far.clone(), b"answer".as_slice()));
    batch.submit().unwrap();
}

/// [async 234] [async 235] [async-backends 106] Between a receive and a send a value moves, and not before anything was
/// received; a send waits for a value; behind a wait that fails nothing is sent and no value moves.
fn signals_stand_between_transfers(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (log, seen, go, broken) = (Log::default(), timeline(), timeline(), timeline());
    echo_chain(&handle, &log, &far, &seen);
    poll_dry(&mut poller);
    assert_eq!((seen.query().unwrap(), log.len()), (0, 0));
    send(&mut poller, &near, b"question".as_slice());
    assert_eq!(receive(&mut poller, &near, 100), b"answer");
    assert_eq!(seen.query().unwrap(), 1);
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["recv", "signal", "send"]);
    let mut batch = handle.batch();
    add(&mut batch, &log, "wait", SemaphoreWait::all([point(&go, 1)]));
    add(&mut batch, &log, "send", Send::new(near.clone(), b"later".as_slice()));
    batch.submit().unwrap();
    let mut batch = handle.batch();
    add(&mut batch, &log, "fails", SemaphoreWait::all([point(&broken, 1)]));
    add(&mut batch, &log, "signal", SemaphoreSignal::new([point(&seen, 2)]));
    add(&mut batch, &log, "send", Send::new(near.clone(), b"never".as_slice()));
    batch.submit().unwrap();
    poll_dry(&mut poller);
    assert!(log.is_empty());
    broken.fail(weft_sync::status!(DataLoss, "gone"));
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take(), [("fails", Some(Code::DataLoss)), ("signal", CANCELLED), ("send", CANCELLED)]);
    go.signal(1).unwrap();
    assert_eq!(receive(&mut poller, &far, 100), b"later");
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["wait", "send"]);
    assert_eq!(seen.query().unwrap(), 1);
    assert!(seen.wait(1, soon()).is_ok());
}
