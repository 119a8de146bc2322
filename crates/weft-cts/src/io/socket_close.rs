//! Cancels of operations on sockets, closing, and what becomes of results that nobody takes.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use weft_io::ops::{
    Accept, AcceptMany, Connect, HandlePoll, Interest, Ready, Recv, RecvFrom, RecvMany, Send, Sequence,
    SocketClose, Step,
};
use weft_io::{Operation, Poller, Socket, SocketKind, SocketOptions, SocketState};
use weft_sync::{Code, Deadline};

use super::connection::{
    STREAMS, begin, bound, connect_to, end, listener, pair, pair_with, pattern, receive, receive_all, run,
    send, socket,
};
use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, counting, lock, poll_dry, poll_until, rounds, submit,
};

crate::cases! { $ SOCKET_CLOSE for_each_io_socket_close_case of IoSubject {
    a_cancelled_receive_leaves_the_socket_usable: IoCaps::KERNEL;
    a_cancelled_accept_leaves_the_listener_usable: IoCaps::KERNEL;
    a_cancelled_connect_ends_once: IoCaps::KERNEL;
    a_half_sent_send_says_how_much: IoCaps::KERNEL;
    what_waits_for_its_turn_can_be_cancelled: IoCaps::KERNEL;
    cancels_race_with_data: IoCaps::KERNEL;
    closing_ends_what_is_under_way: IoCaps::KERNEL;
    closing_twice_is_as_good: IoCaps::KERNEL;
    a_closed_socket_is_refused: IoCaps::NONE;
    a_close_behind_a_send_lets_it_end: IoCaps::KERNEL;
    a_close_ends_operations_of_another_proactor: IoCaps::KERNEL;
    a_linger_of_zero_resets: IoCaps::KERNEL;
    a_number_used_again_is_another_socket: IoCaps::KERNEL;
    numbers_used_again_by_callbacks_are_others: IoCaps::KERNEL;
    connections_that_nobody_takes_are_closed: IoCaps::KERNEL;
    a_step_keeps_its_connection: IoCaps::KERNEL;
    the_end_of_a_proactor_ends_its_transfers: IoCaps::KERNEL;
} }

/// [async 88] [async 225] [async-backends 70] [async-backends 122] A receive that is cancelled while it waits ends so, once;
/// nothing sticks, and the socket receives and sends.
fn a_cancelled_receive_leaves_the_socket_usable(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for kind in STREAMS {
        let (near, far) = pair(&mut poller, kind);
        let log = Log::default();
        let once = submit(&handle, Recv::new(near.clone(), vec![0; 10]), &log, "once");
        let behind = submit(&handle, RecvMany::new(near.clone(), vec![0; 10], |_| ()), &log, "behind");
        assert_eq!(poll_dry(&mut poller), 0);
        [once, behind, once].iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut poller, || log.len() == 2);
        assert!(log.take().iter().all(|&(_, code)| code == CANCELLED));
        assert_eq!(near.failure(), None);
        send(&mut poller, &far, b"still".as_slice());
        assert_eq!(receive(&mut poller, &near, 10), b"still");
        send(&mut poller, &near, b"here".as_slice());
        assert_eq!(receive(&mut poller, &far, 10), b"here");
    }
}

/// [async 89] [async-backends 65] [async-backends 70] The same for an accept, once and many.
fn a_cancelled_accept_leaves_the_listener_usable(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (listener, address) = listener(SocketKind::Tcp);
    let log = Log::default();
    for round in 0..2 {
        let ticket = match round {
            0 => submit(&handle, Accept::new(listener.clone()), &log, "once"),
            _ => submit(&handle, AcceptMany::new(listener.clone(), |_| ()), &log, "many"),
        };
        assert_eq!(poll_dry(&mut poller), 0);
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == round + 1);
    }
    assert_eq!(log.take(), [("once", CANCELLED), ("many", CANCELLED)]);
    let (near, far) = connect_to(&mut poller, &listener, address, SocketOptions::empty());
    send(&mut poller, &near, b"through".as_slice());
    assert_eq!(receive(&mut poller, &far, 10), b"through");
}

/// [async 90] [async-backends 65] A connect that nobody answers ends with its cancel, or by itself; once.
fn a_cancelled_connect_ends_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (full, address) = bound(SocketKind::Tcp);
    full.listen(1).unwrap();
    // The first of them fill the listener's queue.
    let log = Log::default();
    let tickets: Vec<_> = (0..5)
        .map(|_| submit(&handle, Connect::new(socket(SocketKind::Tcp), address), &log, "connect"))
        .collect();
    assert!(poll_dry(&mut poller) <= 5);
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    poll_until(&mut poller, || log.len() == 5);
    assert!(log.take().iter().all(|&(_, code)| matches!(code, None | CANCELLED)));
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 225] [async-backends 75] A send that has got half of its bytes away and is cancelled ends well, with their number,
/// and the peer receives so many; nothing sticks.
fn a_half_sent_send_says_how_much(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for options in [SocketOptions::empty(), SocketOptions::ZERO_COPY] {
        let (near, far) = pair_with(&mut poller, SocketKind::Tcp, options);
        let bytes = vec![3; 16 << 20];
        let (sent, came) = std::sync::mpsc::channel();
        let operation = Operation::new(Send::new(near.clone(), bytes.clone()));
        let ticket = handle.submit(operation.on_done(move |done| sent.send(done).unwrap())).unwrap();
        let first = receive(&mut poller, &far, 1000).len();
        assert!(first > 0, "it has begun");
        handle.cancel(ticket).unwrap();
        let collected = collect(&mut poller, &far);
        let done = end(&mut poller, &came);
        let sent = done.result.expect("some bytes are away").bytes;
        assert_eq!(sent, done.operation.sent());
        assert!((1..bytes.len()).contains(&sent), "{sent}");
        assert_eq!(near.failure(), None);
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        drop(done.operation);
        poll_until(&mut poller, || collected.is_over());
        assert_eq!(collected.count() + first, sent, "what the peer has");
    }
}

/// How much a socket has received, while others poll.
struct Collected {
    count: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
}

impl Collected {
    fn count(&self) -> usize {
        self.count.load(std::sync::atomic::Ordering::Acquire)
    }

    fn is_over(&self) -> bool {
        self.over.load(std::sync::atomic::Ordering::Acquire) == 1
    }
}

fn collect(poller: &mut Poller, socket: &Socket) -> Collected {
    let collected = Collected { count: Arc::default(), over: Arc::default() };
    let count = Arc::clone(&collected.count);
    let recv = RecvMany::new(socket.clone(), vec![0; 1 << 16], move |bytes| {
        count.fetch_add(bytes.len(), std::sync::atomic::Ordering::AcqRel);
    });
    poller.handle().submit(Operation::new(recv).on_done(counting(&collected.over))).unwrap();
    collected
}

/// [async-backends 67] Operations that wait behind others of their direction end with their cancel, at
/// once, wherever they stand; those that stay keep their order.
fn what_waits_for_its_turn_can_be_cancelled(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let log = Log::default();
    let names = ["a", "b", "c", "d", "e", "f"];
    let tickets = names.map(|name| submit(&handle, Recv::new(far.clone(), vec![0; 2]), &log, name));
    assert_eq!(poll_dry(&mut poller), 0);
    for index in [2, 5, 3] {
        handle.cancel(tickets[index]).unwrap();
    }
    poll_until(&mut poller, || log.len() == 3);
    assert!(log.take().iter().all(|&(name, code)| code == CANCELLED && ["c", "d", "f"].contains(&name)));
    handle.cancel(tickets[0]).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take(), [("a", CANCELLED)]);
    send(&mut poller, &near, b"12".as_slice());
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["b"]);
    send(&mut poller, &near, b"34".as_slice());
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["e"]);
}

/// [async-backends 68] A cancel that races with data: the receive ends once, either way, and no byte is lost.
fn cancels_race_with_data(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for round in 0..rounds(1000) {
        let (told, came) = std::sync::mpsc::channel();
        let recv = Operation::new(Recv::new(far.clone(), vec![0; 100]));
        let ticket = handle.submit(recv.on_done(move |done| told.send(done).unwrap())).unwrap();
        if round % 3 == 0 {
            poll_dry(&mut poller);
        }
        let byte = round as u8;
        let send = begin(&handle, Send::new(near.clone(), vec![byte]));
        sent.push(byte);
        if round % 2 == 0 {
            poll_dry(&mut poller);
        }
        handle.cancel(ticket).unwrap();
        end(&mut poller, &send).result.unwrap();
        let done = end(&mut poller, &came);
        match done.result {
            Ok(count) => received.extend(&done.operation.target[..count]),
            Err(why) => assert_eq!(why.code(), Code::Cancelled),
        }
        assert!(came.recv().is_err(), "once");
    }
    let rest = sent.len() - received.len();
    received.extend(receive_all(&mut poller, &far, rest));
    assert_eq!(received, sent);
    assert_eq!(far.failure(), None);
}

/// [async 228] [async 214] [async-backends 137] [async-backends 142] A close ends everything that is under way on its
/// socket: accepts, receives, a send that is stuck, and what waits behind them; each once, and the close itself well. The peer
/// sees the end.
fn closing_ends_what_is_under_way(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    submit(&handle, Send::new(near.clone(), vec![0; 16 << 20]), &log, "send");
    submit(&handle, Send::new(near.clone(), b"behind".as_slice()), &log, "send behind");
    submit(&handle, Recv::new(near.clone(), vec![0; 10]), &log, "recv");
    submit(&handle, RecvMany::new(near.clone(), vec![0; 10], |_| ()), &log, "recv many");
    assert_eq!(poll_dry(&mut poller), 0);
    submit(&handle, SocketClose::new(near.clone()), &log, "close");
    poll_until(&mut poller, || log.len() == 5);
    let check = |log: &Log| {
        for (name, code) in log.take() {
            // Some bytes of the send are away, or all of a shorter one.
            let is_fine = matches!((name, code), ("close" | "send", None)) || code == CANCELLED;
            assert!(is_fine, "{name}: {code:?}");
        }
    };
    check(&log);
    assert_eq!((near.state(), near.failure()), (SocketState::Closed, None));
    let collected = collect(&mut poller, &far);
    poll_until(&mut poller, || collected.is_over());
    for round in 0..2 {
        let (listener, address) = listener(SocketKind::Tcp);
        match round {
            0 => submit(&handle, Accept::new(listener.clone()), &log, "accept"),
            _ => submit(&handle, AcceptMany::new(listener.clone(), |_| ()), &log, "accept many"),
        };
        assert_eq!(poll_dry(&mut poller), 0);
        submit(&handle, SocketClose::new(listener), &log, "close");
        poll_until(&mut poller, || log.len() == 2);
        check(&log);
        let late = run(&mut poller, Connect::new(socket(SocketKind::Tcp), address));
        assert_eq!(late.result.unwrap_err().code(), Code::Unavailable, "nobody listens any more");
    }
    let (udp, _) = bound(SocketKind::Udp);
    submit(&handle, RecvFrom::new(udp.clone(), vec![0; 10]), &log, "recv from");
    // In one go, so that it has hardly begun.
    submit(&handle, SocketClose::new(udp), &log, "close");
    poll_until(&mut poller, || log.len() == 2);
    check(&log);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 228] [async-backends 137] A second close through another reference ends well, also while the first is under way.
fn closing_twice_is_as_good(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (near, _far) = pair(&mut poller, SocketKind::UnixStream);
    for _ in 0..3 {
        submit(&handle, SocketClose::new(near.clone()), &log, "close");
    }
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["close"; 3]);
    run(&mut poller, SocketClose::new(near)).result.unwrap();
}

/// [async-backends 137] Operations on a closed socket are refused, and come back.
fn a_closed_socket_is_refused(subject: &IoSubject) {
    let mut poller = subject.open();
    let socket = socket(SocketKind::Tcp);
    run(&mut poller, SocketClose::new(socket.clone())).result.unwrap();
    let handle = poller.handle();
    let recv = handle.submit(Recv::new(socket.clone(), vec![1_u8; 3])).unwrap_err();
    assert_eq!((recv.why.code(), recv.operation.target.len()), (Code::FailedPrecondition, 3));
    let send = handle.submit(Send::new(socket.clone(), b"x".as_slice())).unwrap_err();
    assert_eq!(send.why.code(), Code::FailedPrecondition);
    let accept = handle.submit(Accept::new(socket)).unwrap_err();
    assert_eq!(accept.why.code(), Code::FailedPrecondition);
}

/// [async-backends 138] A close that is linked behind a send begins when all of that is with the kernel: the peer receives
/// it, and then the end.
fn a_close_behind_a_send_lets_it_end(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let bytes = pattern(3 << 20, 8);
    let log = Log::default();
    let mut batch = handle.batch();
    batch.add(Operation::new(Send::new(near.clone(), bytes.clone())).on_done(log.line("send"))).unwrap();
    batch.then(Operation::new(SocketClose::new(near)).on_done(log.line("close"))).unwrap();
    batch.submit().unwrap();
    assert!(receive_all(&mut poller, &far, bytes.len() + 1) == bytes);
    assert_eq!(log.take_names(), ["send", "close"]);
}

/// [async 228] [async-backends 137] What another proactor has under way on a socket ends when it is closed.
fn a_close_ends_operations_of_another_proactor(subject: &IoSubject) {
    let mut poller = subject.open();
    let mut other = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (listener, _) = listener(SocketKind::Tcp);
    let recv = begin(&other.handle().clone(), Recv::new(near.clone(), vec![0; 10]));
    let accept = begin(&other.handle().clone(), Accept::new(listener.clone()));
    assert_eq!(poll_dry(&mut other), 0);
    run(&mut poller, SocketClose::new(near)).result.unwrap();
    run(&mut poller, SocketClose::new(listener)).result.unwrap();
    // However the kernel puts it: an end, or a failure because of the close.
    let received = end(&mut other, &recv).result;
    assert!(received.as_ref().map_or_else(|why| why.code() == Code::Cancelled, |&count| count == 0));
    assert_eq!(end(&mut other, &accept).result.unwrap_err().code(), Code::Cancelled);
    assert_eq!(receive(&mut poller, &far, 10), b"");
}

/// [async 207] [async-backends 124] A close that discards: the peer's receive fails.
fn a_linger_of_zero_resets(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair_with(&mut poller, SocketKind::Tcp, SocketOptions::LINGER_ZERO);
    let waiting = begin(&poller.handle().clone(), Recv::new(far.clone(), vec![0; 10]));
    run(&mut poller, SocketClose::new(near)).result.unwrap();
    assert_eq!(end(&mut poller, &waiting).result.unwrap_err().code(), Code::Unavailable);
    assert_eq!(far.failure(), Some(Code::Unavailable));
}

/// [async 227] [async-backends 137] When the last has let go of a closed socket, its number is free; whoever gets it next is
/// not reached by what was under way on the one before.
fn a_number_used_again_is_another_socket(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let mut seen = Vec::new();
    for round in 0..20_u8 {
        let (near, far) = pair(&mut poller, SocketKind::UnixStream);
        let number = near.as_fd().as_raw_fd();
        let is_reused = seen.contains(&number);
        seen.push(number);
        send(&mut poller, &far, vec![round; 3]);
        assert_eq!(receive(&mut poller, &near, 10), [round; 3], "used again: {is_reused}");
        let waiting = begin(&handle, Recv::new(near.clone(), vec![0; 10]));
        if round % 2 == 0 {
            poll_dry(&mut poller);
        }
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        assert_eq!(end(&mut poller, &waiting).result.unwrap_err().code(), Code::Cancelled);
    }
}

/// [async 227] [async-backends 205] Several handles are ready in one poll. Their callbacks close them, and wait for others that
/// get the same numbers: what the old ones still have to tell, also through duplicates that stay open, reaches none of them.
fn numbers_used_again_by_callbacks_are_others(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for keeps in [false, true] {
        let (log, ends) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
        let mut others = Vec::new();
        for _ in 0..8 {
            let (here, mut there) = UnixStream::pair().unwrap();
            let ghost = keeps.then(|| here.try_clone().unwrap());
            let (again, lines, ends) = (handle.clone(), log.clone(), Arc::clone(&ends));
            let first = HandlePoll { handle: Arc::new(here.into()), interest: Interest::IN };
            let first = Operation::new(first).on_done(move |done| {
                assert_eq!(done.result.unwrap(), Ready::IN);
                drop(done.operation);
                let (next, end) = UnixStream::pair().unwrap();
                lock(&ends).push(end);
                let next = HandlePoll { handle: Arc::new(next.into()), interest: Interest::IN };
                submit(&again, next, &lines, "next");
            });
            handle.submit(first).unwrap();
            there.write_all(b"x").unwrap();
            others.push((there, ghost));
        }
        poll_until(&mut poller, || lock(&ends).len() == 8);
        // More to tell, where anybody is left to tell it.
        others.iter_mut().for_each(|(there, _)| _ = there.write_all(b"x").is_ok());
        assert_eq!((poll_dry(&mut poller), log.len()), (0, 0), "duplicates: {keeps}");
        lock(&ends).iter_mut().for_each(|end| end.write_all(b"x").unwrap());
        poll_until(&mut poller, || log.len() == 8);
        assert_eq!(log.take_names(), ["next"; 8]);
    }
}

/// [async 228] A connection that was accepted and that nobody takes is closed: its peer sees the end. Nobody takes it from an
/// accept without a callback, from a future that was dropped, or when the proactor goes away.
fn connections_that_nobody_takes_are_closed(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let mut check = |submit: &dyn Fn(Socket)| {
        let (listener, address) = listener(SocketKind::Tcp);
        submit(listener);
        let near = socket(SocketKind::Tcp);
        // Over a slow network, whoever listened may have gone before he is reached.
        match run(&mut poller, Connect::new(near.clone(), address)).result {
            Ok(()) => {}
            Err(why) => return assert_eq!(why.code(), Code::Unavailable),
        }
        let done = run(&mut poller, Recv::new(near, vec![0; 1]));
        assert!(matches!(done.result, Ok(0) | Err(_)), "it is over");
    };
    check(&|listener| _ = handle.submit(Accept::new(listener)).unwrap());
    check(&|listener| _ = handle.submit(AcceptMany::new(listener, drop)).unwrap());
    check(&|listener| drop(handle.run(Accept::new(listener))));
    let steps = |listener| vec![Step::new(Accept::new(listener))];
    check(&|listener| _ = handle.submit(Sequence::new(steps(listener))).unwrap());
    // What has come when the proactor goes away, and what comes then.
    let (listener, address) = listener(SocketKind::Tcp);
    let ends: Vec<_> = (0..3)
        .map(|_| {
            let near = socket(SocketKind::Tcp);
            run(&mut poller, Connect::new(near.clone(), address)).result.unwrap();
            near
        })
        .collect();
    let mut other = subject.open();
    let accept = begin(&other.handle().clone(), Accept::new(listener.clone()));
    let many = begin(&other.handle().clone(), AcceptMany::new(listener, drop));
    let _ = other.poll(Deadline::IMMEDIATE);
    drop(other);
    assert!(accept.try_recv().is_ok() && many.try_recv().is_ok(), "all are called back");
    drop((accept, many));
    for near in ends {
        let done = run(&mut poller, Recv::new(near, vec![0; 1]));
        assert!(matches!(done.result, Ok(0) | Err(_)));
    }
}

/// The connection that a step has accepted stays with the step until the function between the steps takes it.
fn a_step_keeps_its_connection(subject: &IoSubject) {
    let mut poller = subject.open();
    let (listener, address) = listener(SocketKind::Tcp);
    let near = socket(SocketKind::Tcp);
    let steps = vec![Step::new(Accept::new(listener)), Step::new(weft_io::ops::Nop)];
    let sequence = Sequence::with_advance(steps, |ended, next| {
        if let Some(accepted) = ended.take_output::<Accept>()
            && let Some(next) = next
        {
            *next = Step::new(Send::new(accepted.socket, b"welcome".as_slice()));
        }
        Ok(())
    });
    let came = begin(&poller.handle().clone(), sequence);
    run(&mut poller, Connect::new(near.clone(), address)).result.unwrap();
    assert_eq!(receive(&mut poller, &near, 100), b"welcome");
    end(&mut poller, &came).result.unwrap();
}

/// [async-backends 232] A proactor that goes away with transfers of every kind under way calls each back, once.
fn the_end_of_a_proactor_ends_its_transfers(subject: &IoSubject) {
    let mut poller = subject.open();
    let (near, far) = pair(&mut poller, SocketKind::Tcp);
    let (listener, _) = listener(SocketKind::Tcp);
    let (udp, _) = bound(SocketKind::Udp);
    let log = Log::default();
    let handle = poller.handle().clone();
    submit(&handle, Recv::new(near.clone(), vec![0; 10]), &log, "recv");
    submit(&handle, RecvMany::new(near.clone(), vec![0; 10], |_| ()), &log, "recv many");
    submit(&handle, Send::new(near, vec![0; 16 << 20]), &log, "send");
    submit(&handle, Accept::new(listener.clone()), &log, "accept");
    submit(&handle, AcceptMany::new(listener, |_| ()), &log, "accept many");
    submit(&handle, RecvFrom::new(udp, vec![0; 10]), &log, "recv from");
    assert_eq!(poll_dry(&mut poller), 0);
    drop(poller);
    let lines = log.take();
    assert_eq!(lines.len(), 6);
    assert!(
        lines.iter().all(|&(name, code)| code == CANCELLED || (name, code) == ("send", None)),
        "{lines:?}"
    );
    assert_eq!(far.failure(), None);
}
