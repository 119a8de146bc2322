//! Too much of everything: more operations than the rings hold, cancels and wakes when they are full, completions that
//! come all at once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_io::ops::{
    Accept, AcceptMany, EventWait, FileClose, FileFlags, FileOpen, FileRead, Nop, RecvMany, Sequence,
    SocketClose, Step,
};
use weft_io::{Event, Operation, Socket, SocketKind, Ticket};
use weft_sync::{Code, Deadline};

use super::connection::{bound, pattern, receive, run, send};
use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, counting, ended_well, poll_dry, poll_nothing, poll_until, submit,
    timer,
};

crate::cases! { $ EXHAUSTION for_each_io_exhaustion_case of IoSubject {
    as_many_as_there_are_slots: IoCaps::NONE;
    slots_come_back_after_every_end: IoCaps::NONE;
    a_chain_as_long_as_the_table: IoCaps::NONE;
    more_waits_than_the_rings_hold: IoCaps::KERNEL;
    cancels_of_more_than_the_rings_hold: IoCaps::KERNEL;
    commands_when_the_ring_is_full: IoCaps::KERNEL;
    a_completion_that_overflows_keeps_its_order: IoCaps::KERNEL;
    connections_that_overflow_are_all_accepted: IoCaps::KERNEL;
    messages_that_overflow_are_all_received: IoCaps::KERNEL;
    with_room_for_one_everything_goes: IoCaps::KERNEL;
} }

/// [async 24] [async-backends 38] Exactly that many, and one more as soon as one has ended.
fn as_many_as_there_are_slots(subject: &IoSubject) {
    for slots in [1, 2, 7, 300] {
        let mut poller = subject.open_with(|config| config.operations_max = slots);
        let handle = poller.handle().clone();
        let log = Log::default();
        for round in 0..3 {
            let tickets: Vec<Ticket> =
                (0..slots).map(|_| submit(&handle, timer(Deadline::NEVER), &log, "timer")).collect();
            let refused = handle.submit(Nop).unwrap_err();
            assert_eq!(refused.why.code(), Code::ResourceExhausted);
            if round == 1 {
                poll_nothing(&mut poller);
            }
            tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
            poll_until(&mut poller, || log.len() == slots as usize);
            log.take();
        }
        assert_eq!(poller.under_way(), 0);
    }
}

/// [async 24] A callback finds the slot of its own operation free, and a sequence needs one only, however long.
fn slots_come_back_after_every_end(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 1);
    let handle = poller.handle().clone();
    let log = Log::default();
    let (inner, line) = (handle.clone(), log.line("second"));
    let first = Operation::new(Nop).on_done(move |done| {
        ended_well(&done.result);
        inner.submit(timer(Deadline::IMMEDIATE).on_done(line)).unwrap();
    });
    handle.submit(first).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    submit(&handle, Sequence::new((0..1000).map(|_| Step::new(Nop)).collect()), &log, "sequence");
    assert_eq!(poll_until(&mut poller, || log.len() == 2), 1000);
    assert_eq!(log.take_names(), ["second", "sequence"]);
}

/// [async 55] [async-backends 42] Every slot in one chain, whose callbacks submit into the slots before them.
fn a_chain_as_long_as_the_table(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 64);
    let handle = poller.handle().clone();
    let ended = Arc::new(AtomicUsize::new(0));
    let mut batch = handle.batch();
    for index in 0..64 {
        let (ended, inner) = (Arc::clone(&ended), handle.clone());
        let member = Operation::new(Nop).on_done(move |done| {
            ended_well(&done.result);
            inner.submit(Operation::new(Nop).on_done(counting(&ended))).unwrap();
            ended.fetch_add(1, Ordering::Relaxed);
        });
        let added = if index == 0 { batch.add(member) } else { batch.then(member) };
        added.unwrap();
    }
    assert_eq!(batch.add(Nop).unwrap_err().why.code(), Code::ResourceExhausted);
    batch.submit().unwrap();
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 128);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// So many are more than the submission ring of every subject holds, and on the tiny one than both.
const MANY: usize = 600;

fn submit_waits(handle: &weft_io::Handle, events: &[Event], ended: &Arc<AtomicUsize>) -> Vec<Ticket> {
    let wait = |event: &Event| {
        let ended = Arc::clone(ended);
        let wait = Operation::new(EventWait { event: event.clone() });
        let wait = wait.on_done(move |done| {
            let code = done.result.err().map(|status| status.code());
            assert!(matches!(code, None | CANCELLED), "{code:?}");
            ended.fetch_add(1, Ordering::Relaxed);
        });
        handle.submit(wait).unwrap()
    };
    events.iter().map(wait).collect()
}

/// [async-backends 218] [async-backends 219] Waits on hundreds of events, all of which are set between two polls: more
/// completions than fit, none lost.
fn more_waits_than_the_rings_hold(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let events: Vec<Event> = (0..MANY).map(|_| Event::new().unwrap()).collect();
    for _ in 0..3 {
        let ended = Arc::new(AtomicUsize::new(0));
        submit_waits(&handle, &events, &ended);
        for _ in 0..MANY {
            // Until the kernel has them all, however few it takes at a time.
            drop(poller.poll(Deadline::IMMEDIATE));
        }
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        events.iter().for_each(Event::set);
        poll_until(&mut poller, || ended.load(Ordering::Relaxed) == MANY);
        poll_nothing(&mut poller);
        assert!(events.iter().all(|event| !event.reset()), "every signal was taken");
    }
}

/// [async 97] [async-backends 39] Hundreds at once, when the kernel has them and when it has not.
fn cancels_of_more_than_the_rings_hold(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let events: Vec<Event> = (0..MANY).map(|_| Event::new().unwrap()).collect();
    for polls in [0, 1, MANY] {
        let ended = Arc::new(AtomicUsize::new(0));
        let tickets = submit_waits(&handle, &events, &ended);
        (0..polls).for_each(|_| drop(poller.poll(Deadline::IMMEDIATE)));
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
        poll_until(&mut poller, || ended.load(Ordering::Relaxed) == MANY);
        poll_nothing(&mut poller);
    }
}

/// [async 97] [async-backends 39] Operations wait for room in the ring; wakes, messages, timers and cancels need none.
fn commands_when_the_ring_is_full(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let arrived = log.clone();
    poller.on_message(move |_| arrived.write("message", None));
    let events: Vec<Event> = (0..MANY).map(|_| Event::new().unwrap()).collect();
    let ended = Arc::new(AtomicUsize::new(0));
    let tickets = submit_waits(&handle, &events, &ended);
    submit(&handle, timer(Deadline::IMMEDIATE), &log, "timer");
    handle.send_message(1).unwrap();
    handle.wake();
    handle.cancel(tickets[MANY - 1]).unwrap();
    poll_until(&mut poller, || log.len() == 2 && ended.load(Ordering::Relaxed) == 1);
    log.take_names();
    // The last but one has its turn although everything in front of it waits.
    events[MANY - 2].set();
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 2);
    drop(poller);
    assert_eq!(ended.load(Ordering::Relaxed), MANY);
}

/// [async 48] [async-backends 218] Chains through a ring that cannot hold them: each in its own order.
fn a_completion_that_overflows_keeps_its_order(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let progress: Vec<_> = (0..50).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let mut batch = handle.batch();
    for progress in &progress {
        for index in 0..20 {
            let progress = Arc::clone(progress);
            let nop = Operation::new(Nop).on_done(move |done| {
                ended_well(&done.result);
                assert_eq!(progress.fetch_add(1, Ordering::Relaxed), index);
            });
            let added = if index == 0 { batch.add(nop) } else { batch.then(nop) };
            added.unwrap();
        }
    }
    batch.submit().unwrap();
    let is_over = || progress.iter().all(|progress| progress.load(Ordering::Relaxed) == 20);
    assert_eq!(poll_until(&mut poller, is_over), 1000);
}

/// [async-backends 154] [async-backends 219] A hundred connections between two polls are more than the queue of a small ring
/// holds: all are accepted, and so is what comes after.
fn connections_that_overflow_are_all_accepted(subject: &IoSubject) {
    let mut poller = subject.open();
    let (listener, address) = bound(SocketKind::Tcp);
    listener.listen(200).unwrap();
    let port = address.port().unwrap();
    let (log, accepted) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&accepted);
    let accept = AcceptMany::new(listener, move |_| _ = count.fetch_add(1, Ordering::Relaxed));
    poller.handle().submit(Operation::new(accept).on_done(log.line("accept"))).unwrap();
    poll_dry(&mut poller);
    for round in 1..=3 {
        let open: Vec<_> =
            (0..100).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
        poll_until(&mut poller, || accepted.load(Ordering::Relaxed) == round * 100);
        assert!(log.is_empty(), "it goes on");
        drop(open);
    }
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async-backends 154] [async-backends 219] The same for receives: messages for forty of them between two polls, each in its
/// order, and none of the receives ends.
fn messages_that_overflow_are_all_received(subject: &IoSubject) {
    let mut poller = subject.open();
    let (log, total) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<UnixDatagram> = (0..40)
        .map(|_| {
            let (near, far) = UnixDatagram::pair().unwrap();
            let far = Socket::import(far.into(), SocketKind::UnixDatagram, false).unwrap();
            let (total, mut next) = (Arc::clone(&total), 0);
            let recv = RecvMany::new(far, vec![0; 16], move |bytes| {
                assert_eq!(bytes, [next]);
                next += 1;
                total.fetch_add(1, Ordering::Relaxed);
            });
            poller.handle().submit(Operation::new(recv).on_done(log.line("recv"))).unwrap();
            near
        })
        .collect();
    poll_dry(&mut poller);
    for round in 0..10_u8 {
        for message in round * 5..round * 5 + 5 {
            senders.iter().for_each(|near| assert_eq!(near.send(&[message]).unwrap(), 1));
        }
        let expected = (usize::from(round) + 1) * 200;
        poll_until(&mut poller, || total.load(Ordering::Relaxed) == expected);
        assert!(log.is_empty(), "they go on");
    }
}

/// [async-backends 208] A proactor with one slot, one place for messages and the smallest ring does one thing after the other,
/// of every family, and drops nothing.
fn with_room_for_one_everything_goes(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| {
        (config.operations_max, config.messages_max, config.ring_entries) = (1, 1, 1);
    });
    let (handle, log) = (poller.handle().clone(), Log::default());
    let inbox = log.clone();
    poller.on_message(move |_| inbox.write("message", None));
    let (listener, address) = bound(SocketKind::Tcp);
    listener.listen(0).unwrap();
    for _ in 0..3 {
        let event = Event::new().unwrap();
        submit(&handle, EventWait { event: event.clone() }, &log, "event");
        assert_eq!(handle.submit(Nop).unwrap_err().why.code(), Code::ResourceExhausted);
        event.set();
        poll_until(&mut poller, || log.len() == 1);
        handle.send_message(1).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let ticket = submit(&handle, EventWait { event }, &log, "cancelled");
        poll_dry(&mut poller);
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 3);
        assert_eq!(log.take(), [("event", None), ("message", None), ("cancelled", CANCELLED)]);
        let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port().unwrap())).unwrap();
        let near = run(&mut poller, Accept::new(listener.clone())).result.unwrap().socket;
        // Several attempts, with nothing but its own slot.
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 1 << 20];
            far.read_exact(&mut all).unwrap();
            far.write_all(b"through").unwrap();
            (far, all)
        });
        send(&mut poller, &near, pattern(1 << 20, 1));
        let (far, all) = reader.join().unwrap();
        assert!(all == pattern(1 << 20, 1));
        assert_eq!(receive(&mut poller, &near, 100), b"through");
        drop(far);
        run(&mut poller, RecvMany::new(near.clone(), vec![0; 4], |_| ())).result.unwrap();
        run(&mut poller, SocketClose::new(near)).result.unwrap();
        let file = run(&mut poller, FileOpen::new("/dev/zero", FileFlags::READ)).result.unwrap();
        assert_eq!(run(&mut poller, FileRead::new(file.clone(), 0, vec![1; 9])).result.unwrap(), 9);
        run(&mut poller, FileClose::new(file)).result.unwrap();
        let steps = (0..3).map(|_| Step::new(Nop)).collect();
        run(&mut poller, Sequence::new(steps)).result.unwrap();
    }
    assert_eq!(poller.under_way(), 0);
}
