//! Notifications whose epoch several parties share: inside one process, and across two.

mod support;

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{Log, Subject, after_ms, alone, every, handles, poll_dry, poll_until, real, soon};
use weft_io::ops::NotificationWait;
use weft_io::{Config, Notification, Operation, SharedEnds, SharedMemory, WAKE_ALL, open_any};
use weft_sync::Code;

fn end() -> Arc<OwnedFd> {
    Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap())
}

/// Two notifications over one word, each of which hears the other.
fn pair() -> (SharedMemory, [Arc<Notification>; 2]) {
    let memory = SharedMemory::create(1).unwrap();
    let (one, two) = (end(), end());
    let make = |wake: &Arc<OwnedFd>, signal: &Arc<OwnedFd>| {
        let ends = SharedEnds { wake: Some(Arc::clone(wake)), signal: Some(Arc::clone(signal)) };
        Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap())
    };
    let both = [make(&one, &two), make(&two, &one)];
    (memory, both)
}

fn wait(subject: &Subject, notification: &Arc<Notification>, log: &Log, name: &'static str) {
    let wait = Operation::new(NotificationWait::new(Arc::clone(notification)));
    subject.poller.handle().submit(wait.on_done(log.line(name))).unwrap();
}

/// [async 135] [async-backends 96] The epoch is the caller's word.
#[test]
fn the_epoch_is_the_callers_word() {
    let _alone = alone();
    let (memory, [one, two]) = pair();
    let word = memory.word(0).unwrap();
    for epoch in 0..10 {
        assert_eq!([one.epoch(), two.epoch(), word.load()], [epoch; 3]);
        assert!([&one, &two][epoch as usize % 2].signal(1), "nobody knows who observes elsewhere");
    }
}

/// [async 136] [async 138] [async-backends 96] Operations and threads wait for one, and are told by the other, many times;
/// a wait whose deadline passes ends there. A handle that still says something ends nothing.
#[test]
fn one_wakes_the_other() {
    let _alone = alone();
    real(|mut subject| {
        let before = handles();
        let (memory, [one, two]) = pair();
        let log = Log::default();
        for round in 0..100 {
            wait(&subject, &one, &log, "one");
            assert_eq!(poll_dry(&mut subject.poller), 0, "{}, round {round}", subject.name);
            let signaller = if round % 3 == 0 { &one } else { &two };
            (0..round % 4 + 1).for_each(|_| _ = signaller.signal(1));
            poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(log.take(), [("one", None)]);
        }
        let start = Instant::now();
        assert!(!one.wait(after_ms(10)));
        assert!(start.elapsed() >= Duration::from_millis(10));
        for _ in 0..100 {
            let signaller = Arc::clone(&two);
            let observation = one.observe();
            let thread = std::thread::spawn(move || _ = signaller.signal(1));
            assert!(observation.wait(soon()));
            thread.join().unwrap();
        }
        drop((memory, one, two));
        (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
        assert_eq!(handles(), before, "{}", subject.name);
    });
}

/// [async 138] A thread waits on one notification, and is woken by another over the same word, which has no handles.
#[test]
fn a_proxy_wakes_threads() {
    let _alone = alone();
    let memory = SharedMemory::create(4).unwrap();
    let make = || Notification::shared(memory.word(3).unwrap(), SharedEnds::default()).unwrap();
    let (here, there) = (make(), make());
    let awake = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert!(here.wait(soon()));
                awake.fetch_add(1, Ordering::Relaxed);
            });
        }
        let limit = soon();
        while awake.load(Ordering::Relaxed) < 4 && !limit.remaining().is_some_and(|left| left.is_zero()) {
            std::thread::sleep(Duration::from_micros(100));
            there.signal(WAKE_ALL);
        }
    });
    assert_eq!(memory.word(0).unwrap().load(), 0, "other words are others'");
}

/// [async 137] [async-backends 96] Nothing of the caller's is closed with a notification, waited for or not.
#[test]
fn the_callers_handles_stay_open() {
    let _alone = alone();
    every(|mut subject| {
        let memory = SharedMemory::create(1).unwrap();
        let (wake, signal) = (end(), end());
        let ends = SharedEnds { wake: Some(Arc::clone(&wake)), signal: Some(Arc::clone(&signal)) };
        let shared = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
        let log = Log::default();
        wait(&subject, &shared, &log, "wait");
        assert_eq!(poll_dry(&mut subject.poller), 0);
        shared.signal(1);
        poll_until(&mut subject.poller, || log.len() == 1);
        drop(shared);
        (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
        assert_eq!((Arc::strong_count(&wake), Arc::strong_count(&signal)), (1, 1), "{}", subject.name);
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(&signal, &mut count).unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(count), 1);
        rustix::io::write(&wake, &count).unwrap();
    });
}

/// [async 139] [async-backends 96] A proxy without a wake end signals, and waits of operations are refused; ends that
/// would block are refused.
#[test]
fn a_proxy_signals_and_is_not_waited_for() {
    let _alone = alone();
    real(|mut subject| {
        let memory = SharedMemory::create(1).unwrap();
        let channel = end();
        let word = memory.word(0).unwrap();
        let ends = SharedEnds { wake: Some(Arc::clone(&channel)), signal: None };
        let heard = Arc::new(Notification::shared(word.clone(), ends).unwrap());
        let ends = SharedEnds { wake: None, signal: Some(channel) };
        let proxy = Arc::new(Notification::shared(word.clone(), ends).unwrap());
        let log = Log::default();
        let refused = subject
            .poller
            .handle()
            .submit(Operation::new(NotificationWait::new(Arc::clone(&proxy))))
            .unwrap_err();
        assert_eq!(refused.why.code(), Code::FailedPrecondition);
        wait(&subject, &heard, &log, "heard");
        assert_eq!(poll_dry(&mut subject.poller), 0, "{}", subject.name);
        proxy.signal(1);
        poll_until(&mut subject.poller, || log.len() == 1);
        let blocking = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let ends = SharedEnds { wake: Some(blocking), signal: None };
        assert_eq!(Notification::shared(word, ends).unwrap_err().code(), Code::InvalidArgument);
    });
}

/// [async-backends 94] What is left in the handle from earlier does not end a wait whose epoch has not moved.
#[test]
fn stale_handles_end_nothing() {
    let _alone = alone();
    real(|mut subject| {
        let (_memory, [one, two]) = pair();
        let log = Log::default();
        for _ in 0..5 {
            (0..7).for_each(|_| _ = two.signal(1));
            wait(&subject, &one, &log, "wait");
            (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
            assert_eq!(log.len(), 0, "{}", subject.name);
            two.signal(1);
            poll_until(&mut subject.poller, || log.len() == 1);
            log.take();
        }
    });
}

/// [async-backends 96] The other side goes away: waits end with a failure, later ones are refused, nothing spins.
#[test]
fn a_wake_end_that_hangs_up_fails_waits() {
    let _alone = alone();
    real(|mut subject| {
        let memory = SharedMemory::create(1).unwrap();
        let flags = rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC;
        let (reader, writer) = rustix::pipe::pipe_with(flags).unwrap();
        let ends = SharedEnds { wake: Some(Arc::new(reader)), signal: None };
        let heard = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
        let log = Log::default();
        wait(&subject, &heard, &log, "wait");
        assert_eq!(poll_dry(&mut subject.poller), 0);
        drop(writer);
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(log.take(), [("wait", Some(Code::Unavailable))], "{}", subject.name);
        (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
        assert!(subject.poller.poll(after_ms(5)).is_err(), "asleep until the deadline");
        let refused =
            subject.poller.handle().submit(Operation::new(NotificationWait::new(heard))).unwrap_err();
        assert_eq!(refused.why.code(), Code::Unavailable);
    });
}

/// [async 138] Several proactors, of several threads, hear by one notification: each signal reaches them all.
#[test]
fn several_proactors_hear_one_notification() {
    let _alone = alone();
    let rounds = if cfg!(tsan) { 20 } else { 200 };
    let (_memory, [one, two]) = pair();
    let meet = Arc::new(std::sync::Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (one, meet) = (Arc::clone(&one), Arc::clone(&meet));
            scope.spawn(move || {
                let Ok(mut poller) = open_any(&Config::new()).unwrap().into_poller() else { return };
                if poller.handle().describe().backend == "null" {
                    (0..2 * rounds).for_each(|_| _ = meet.wait());
                    return;
                }
                for round in 0..rounds {
                    let log = Log::default();
                    let wait = Operation::new(NotificationWait::since(Arc::clone(&one), round));
                    poller.handle().submit(wait.on_done(log.line("wait"))).unwrap();
                    drop(poller.poll(after_ms(0)));
                    meet.wait();
                    poll_until(&mut poller, || log.len() == 1);
                    meet.wait();
                }
            });
        }
        for _ in 0..rounds {
            meet.wait();
            two.signal(1);
            meet.wait();
        }
    });
}

const OTHER: &str = "WEFT_IO_OTHER_PROCESS";

/// [async 139] [async-backends 97] Two processes with one word and each other's handles, passed over a socket: threads
/// and operations of one are woken by the other, a thousand times.
#[test]
fn two_processes_share_a_notification() {
    let _alone = alone();
    let Ok(proactor) = weft_io::open("uring", &Config::new()) else { return };
    let mut poller = proactor.into_poller().unwrap();
    let memory = SharedMemory::create(1).unwrap();
    let (here, there) = (end(), end());
    let flags = SocketFlags::CLOEXEC;
    let (mine, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    send(&mine, &[memory.as_fd(), there.as_fd(), here.as_fd()]);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(OTHER, "1")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ends = SharedEnds { wake: Some(here), signal: Some(there) };
    let shared = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
    for round in 0..500 {
        // Ping from here, pong from there: the epoch moves by two.
        let log = Log::default();
        shared.signal(1);
        let ping = 2 * round + 1;
        if round % 2 == 0 {
            let wait = Operation::new(NotificationWait::since(Arc::clone(&shared), ping));
            poller.handle().submit(wait.on_done(log.line("pong"))).unwrap();
            poll_until(&mut poller, || log.len() == 1);
        } else {
            assert!(shared.observe().wait_since(ping, soon()), "round {round}");
        }
        assert_eq!(shared.epoch(), ping + 1);
    }
    assert!(child.wait().unwrap().success());
}

/// The other side of the test above; by itself it does nothing.
#[test]
fn the_other_process() {
    if std::env::var_os(OTHER).is_none() {
        return;
    }
    let socket = std::io::stdin();
    let mut passed = receive(socket.as_fd()).into_iter();
    let mut next = || passed.next().unwrap();
    let memory = SharedMemory::open(next()).unwrap();
    let ends = SharedEnds { wake: Some(Arc::new(next())), signal: Some(Arc::new(next())) };
    let shared = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
    let mut poller = weft_io::open("uring", &Config::new()).unwrap().into_poller().unwrap();
    for round in 0..500 {
        let before = 2 * round;
        if round % 3 == 0 {
            let log = Log::default();
            let wait = Operation::new(NotificationWait::since(Arc::clone(&shared), before));
            poller.handle().submit(wait.on_done(log.line("ping"))).unwrap();
            poll_until(&mut poller, || log.len() == 1);
        } else {
            assert!(shared.observe().wait_since(before, soon()), "round {round}");
        }
        assert_eq!(shared.epoch(), before + 1);
        shared.signal(1);
    }
}

fn send(socket: &OwnedFd, handles: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    assert!(buffer.push(SendAncillaryMessage::ScmRights(handles)));
    sendmsg(socket, &[IoSlice::new(b"x")], &mut buffer, SendFlags::empty()).unwrap();
}

fn receive(socket: BorrowedFd<'_>) -> Vec<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut buffer = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut buffer, RecvFlags::CMSG_CLOEXEC).unwrap();
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(handles) => Some(handles.collect::<Vec<_>>()),
        _ => None,
    };
    buffer.drain().filter_map(rights).flatten().collect()
}

/// The other side says nothing, in a message of its own: that is news like any other, and nobody is deaf for it. Its end is
/// an end, or a shutdown where there is none.
#[test]
fn an_empty_message_makes_nobody_deaf() {
    let _alone = alone();
    for (kind, has_end) in [(SocketType::DGRAM, false), (SocketType::SEQPACKET, true)] {
        real(|mut subject| {
            let memory = SharedMemory::create(1).unwrap();
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (wake, other) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
            let wake = Arc::new(wake);
            let ends = SharedEnds { wake: Some(Arc::clone(&wake)), signal: None };
            let here = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
            let there = Notification::shared(memory.word(0).unwrap(), SharedEnds::default()).unwrap();
            let log = Log::default();
            for _ in 0..3 {
                wait(&subject, &here, &log, "told");
                drop(subject.poller.poll(after_ms(1)));
                rustix::net::send(&other, &[], SendFlags::empty()).unwrap();
                drop(subject.poller.poll(after_ms(5)));
                assert_eq!(log.len(), 0, "{}: nobody has signalled", subject.name);
                there.signal(WAKE_ALL);
                rustix::net::send(&other, &[], SendFlags::empty()).unwrap();
                poll_until(&mut subject.poller, || log.len() == 1);
                assert_eq!(log.take(), [("told", None)], "{}", subject.name);
            }
            wait(&subject, &here, &log, "over");
            match has_end {
                true => drop(other),
                false => rustix::net::shutdown(&*wake, rustix::net::Shutdown::Read).unwrap(),
            }
            poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(log.take(), [("over", Some(Code::Unavailable))], "{}", subject.name);
        });
    }
}
