//! Files and sockets that proactors know by a place in a table: they do what others do, and are closed like others.
//!
//! Whether a proactor knows one is asked only where something depends on it: with and without it is the same to see.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use weft_io::ops::{
    Accept, AcceptMany, Connect, FileClose, FileRead, FileSync, FileWrite, Nop, Recv, RecvFrom, RecvMany,
    RecvPool, RecvPoolMany, Send, SendTo, SocketClose,
};
use weft_io::{
    Access, BufferPool, Capabilities, File, Handle, Operation, Poller, Slab, Socket, SocketKind,
    SocketOptions,
};
use weft_sync::{Code, Deadline};

use super::connection::{
    DATAGRAMS, STREAMS, any_address, begin, bound, end, listener, pair_with, pattern, receive, receive_all,
    run, send, socket,
};
use super::subject::{IoCaps, IoSubject, poll_dry, poll_until, rounds};

crate::cases! { $ REGISTERED_FILE for_each_io_registered_file_case of IoSubject {
    registered_files_are_files: IoCaps::KERNEL;
    a_registered_file_is_let_go: IoCaps::KERNEL;
    registered_sockets_are_sockets: IoCaps::KERNEL;
    registered_sockets_have_messages: IoCaps::KERNEL;
    the_end_of_a_registered_socket_is_seen: IoCaps::KERNEL;
    a_registered_socket_is_closed_elsewhere: IoCaps::KERNEL;
    any_thread_registers_files: IoCaps::KERNEL;
    an_operation_keeps_its_file_registered: IoCaps::KERNEL;
    places_that_are_used_again_are_of_others: IoCaps::KERNEL;
    files_come_and_go_on_another_thread: IoCaps::KERNEL;
    several_proactors_know_a_file: IoCaps::KERNEL;
    files_outlive_a_proactor_that_knows_them: IoCaps::KERNEL;
    what_is_closed_or_gone_registers_nothing: IoCaps::NONE;
} }

/// Whether the proactor has a table.
fn has_table(handle: &Handle) -> bool {
    handle.capabilities().contains(Capabilities::FIXED_FILES)
}

/// A file with this in it, which goes with its last handle; and the same, opened by itself.
fn file_of(content: &[u8]) -> (File, std::fs::File) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("weft-cts-known-{}-{number}", std::process::id()));
    let other = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    let opened_again = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    other.write_all_at(content, 0).unwrap();
    // A handle whose number no race detector has seen, for none sees it closed, and the next with that number is no race.
    (File::import(opened_again.try_clone().unwrap()).unwrap(), other)
}

fn read(poller: &mut Poller, file: &File, room: usize) -> Vec<u8> {
    let done = run(poller, FileRead::new(file.clone(), 0, vec![0; room]));
    let count = done.result.unwrap();
    let mut bytes = done.operation.into_params().target;
    bytes.truncate(count);
    bytes
}

/// A socket, and its other end in the hands of the system.
fn stream() -> (Socket, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    // Beyond that the end does not come.
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (Socket::import(near.into(), SocketKind::UnixStream, false).unwrap(), far)
}

/// Nothing more comes.
#[track_caller]
fn has_ended(mut far: &UnixStream) {
    assert_eq!(far.read(&mut [0]).expect("the end comes"), 0);
}

/// Nothing more comes, and that can be seen already.
#[track_caller]
fn has_ended_now(mut far: &UnixStream) {
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.read(&mut [0]).expect("the end is there"), 0);
}

/// Nothing has come.
#[track_caller]
fn is_open(mut far: &UnixStream) {
    far.set_nonblocking(true).unwrap();
    let found = far.read(&mut [0]).map_err(|why| why.kind());
    assert_eq!(found, Err(std::io::ErrorKind::WouldBlock));
    far.set_nonblocking(false).unwrap();
}

/// [async 163] [async 168] [async-backends 172] What is written to a registered file is read from it, to the byte, with every
/// operation that files have; registered twice it is the same; and it is closed like any.
fn registered_files_are_files(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let bytes = pattern(70_000, 1);
    let (file, other) = file_of(&[0; 70_000]);
    assert!(!file.is_registered(&handle));
    (0..3).for_each(|_| handle.register_file(&file).unwrap());
    assert_eq!(file.is_registered(&handle), has_table(&handle));
    let poller = &mut poller;

    assert_eq!(
        run(poller, FileWrite::new(file.clone(), 0, bytes[..40_000].to_vec())).result.unwrap(),
        40_000
    );
    let rest = [bytes[40_000..50_000].to_vec(), bytes[50_000..].to_vec()];
    assert_eq!(run(poller, FileWrite::new(file.clone(), 40_000, rest)).result.unwrap(), 30_000);
    run(poller, FileSync::new(file.clone(), true)).result.unwrap();
    run(poller, FileSync::new(file.clone(), false)).result.unwrap();
    assert!(read(poller, &file, 100_000) == bytes);
    let done = run(poller, FileRead::new(file.clone(), 10, [vec![0; 1000], vec![0; 2000]]));
    assert_eq!(done.result.unwrap(), 3000);
    assert!(done.operation.into_params().target.concat() == bytes[10..3010]);

    // So much that a thread of the kernel copies it.
    let (long, _) = file_of(&pattern(3 << 20, 2));
    handle.register_file(&long).unwrap();
    assert!(read(poller, &long, 3 << 20) == pattern(3 << 20, 2));

    // With memory that is registered, too.
    let slab = Slab::new(4096, 4).unwrap();
    let pool = BufferPool::new(&handle.register_slab(&slab, Access::READ | Access::WRITE).unwrap()).unwrap();
    let done = run(poller, FileRead::new(file.clone(), 4096, pool.acquire().unwrap()));
    assert_eq!(done.result.unwrap(), 4096);
    let lease = done.operation.into_params().target;
    assert!(lease[..] == bytes[4096..8192]);
    assert_eq!(run(poller, FileWrite::new(file.clone(), 0, lease)).result.unwrap(), 4096);
    assert!(read(poller, &file, 4096) == bytes[4096..8192]);

    let held = file.clone();
    run(poller, FileClose::new(file)).result.unwrap();
    assert!(held.is_closed());
    assert_eq!(handle.register_file(&held).unwrap_err().code(), Code::FailedPrecondition);
    let mut left = vec![0; 4096];
    other.read_exact_at(&mut left, 0).unwrap();
    assert!(left == bytes[4096..8192]);
    drop(held);
    assert_eq!(poll_dry(poller), 0);
}

/// [async 164] [async 165] [async-backends 174] What an open file has of the system, here a lock, is free when it was closed
/// by an operation, whoever else holds it, or the last of it was dropped, here or on another thread.
fn a_registered_file_is_let_go(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for round in 0..8 {
        let (file, other) = file_of(b"locked");
        // The lock is of what was opened, not of the handle.
        std::fs::File::from(file.as_fd().try_clone_to_owned().unwrap()).lock().unwrap();
        handle.register_file(&file).unwrap();
        assert_eq!(read(&mut poller, &file, 10), b"locked");
        assert!(other.try_lock().is_err());
        let mut held = None;
        match round % 4 {
            0 => run(&mut poller, FileClose::new(file)).result.unwrap(),
            1 => {
                held = Some(file.clone());
                run(&mut poller, FileClose::new(file)).result.unwrap();
            }
            2 => drop(file),
            _ => {
                std::thread::spawn(move || drop(file)).join().unwrap();
                poll_dry(&mut poller);
            }
        }
        // A kernel that does not know the file by a place may let go of it a moment after it has answered.
        let (start, may_wait) = (Instant::now(), !has_table(&handle));
        while may_wait && other.try_lock().is_err() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
        other.try_lock().expect("nobody has it any more");
        drop(held);
    }
}

/// [async 205] [async 214] [async 215] [async-backends 129] Connections of registered sockets, to registered listeners, with
/// every operation that streams have.
fn registered_sockets_are_sockets(subject: &IoSubject) {
    let mut poller = subject.open();
    let poller = &mut poller;
    let handle = poller.handle().clone();
    for kind in STREAMS {
        let (listener, address) = listener(kind);
        handle.register_socket(&listener).unwrap();
        assert_eq!(listener.is_registered(&handle), has_table(&handle));
        let (told, accepted) = channel();
        let many = AcceptMany::new(listener.clone(), move |one| drop(told.send(one.socket)));
        let accepting = begin(&handle, many);
        let ends: Vec<(Socket, Socket)> =
            (0..3).map(|_| connected(poller, kind, address, &accepted)).collect();
        run(poller, SocketClose::new(listener)).result.unwrap();
        assert_eq!(end(poller, &accepting).result.unwrap_err().code(), Code::Cancelled);
        for (near, far) in &ends {
            exchanges(poller, near, far);
            exchanges(poller, far, near);
        }
        for (index, (near, far)) in ends.into_iter().enumerate() {
            ends_in_pieces(poller, near, &far, index % 2 == 0);
        }
    }
    // Sends that ask for no copy.
    let (near, far) = pair_with(poller, SocketKind::Tcp, SocketOptions::ZERO_COPY);
    handle.register_socket(&near).unwrap();
    let bytes = pattern(100_000, 9);
    for pieces in [vec![bytes.clone()], vec![bytes[..30_000].to_vec(), bytes[30_000..].to_vec()]] {
        let sent = match <[Vec<u8>; 2]>::try_from(pieces) {
            Ok(two) => {
                let sent = begin(&handle, Send::new(near.clone(), two));
                assert!(receive_all(poller, &far, bytes.len()) == bytes);
                end(poller, &sent).result.unwrap()
            }
            Err(mut one) => {
                let sent = begin(&handle, Send::new(near.clone(), one.remove(0)));
                assert!(receive_all(poller, &far, bytes.len()) == bytes);
                end(poller, &sent).result.unwrap()
            }
        };
        assert_eq!(sent.bytes, bytes.len());
    }
}

/// A connection whose ends are both registered: one before it was connected.
fn connected(
    poller: &mut Poller,
    kind: SocketKind,
    address: weft_io::Address,
    accepted: &Receiver<Socket>,
) -> (Socket, Socket) {
    let handle = poller.handle().clone();
    let near = socket(kind);
    handle.register_socket(&near).unwrap();
    run(poller, Connect::new(near.clone(), address)).result.unwrap();
    let mut far = None;
    poll_until(poller, || {
        far = far.take().or_else(|| accepted.try_recv().ok());
        far.is_some()
    });
    let far = far.unwrap();
    handle.register_socket(&far).unwrap();
    (near, far)
}

/// From one to the other, in every way.
fn exchanges(poller: &mut Poller, from: &Socket, to: &Socket) {
    let handle = poller.handle().clone();
    let bytes = pattern(30_000, 5);
    let sent = begin(&handle, Send::new(from.clone(), bytes.clone()));
    assert!(receive_all(poller, to, bytes.len()) == bytes);
    assert_eq!(end(poller, &sent).result.unwrap().bytes, bytes.len());

    let came = begin(&handle, Recv::new(to.clone(), [vec![0; 3], vec![0; 10]]));
    send(poller, from, [b"one ".to_vec(), b"two".to_vec()]);
    let done = end(poller, &came);
    assert_eq!(done.result.unwrap(), 7);
    assert_eq!(&done.operation.into_params().target.concat()[..7], b"one two");

    let came = begin(&handle, RecvPool::new(to.clone(), pool(&handle)));
    send(poller, from, b"pooled".as_slice());
    assert_eq!(end(poller, &came).result.unwrap().data(), b"pooled");
}

/// In three pieces, each told by itself, and the end.
fn ends_in_pieces(poller: &mut Poller, from: Socket, to: &Socket, is_pooled: bool) {
    let handle = poller.handle().clone();
    let (told, pieces) = channel();
    let (once, many) = if is_pooled {
        let many =
            RecvPoolMany::new(to.clone(), pool(&handle), move |piece| drop(told.send(piece.data().to_vec())));
        (None, Some(begin(&handle, many)))
    } else {
        let many = RecvMany::new(to.clone(), vec![0; 16], move |piece| drop(told.send(piece.to_vec())));
        (Some(begin(&handle, many)), None)
    };
    for text in [b"one", b"two", b"six"] {
        send(poller, &from, text.as_slice());
        let mut piece = None;
        poll_until(poller, || {
            piece = pieces.try_recv().ok();
            piece.is_some()
        });
        assert_eq!(piece.unwrap(), text);
    }
    drop(from);
    if let Some(ended) = once {
        end(poller, &ended).result.unwrap();
    }
    if let Some(ended) = many {
        end(poller, &ended).result.unwrap();
    }
}

fn pool(handle: &Handle) -> BufferPool {
    let slab = Slab::new(64, 4).unwrap();
    BufferPool::new(&handle.register_slab(&slab, Access::WRITE).unwrap()).unwrap()
}

/// [async 211] [async 212] [async-backends 128] Messages from and to registered sockets, with addresses and without.
fn registered_sockets_have_messages(subject: &IoSubject) {
    let mut poller = subject.open();
    let poller = &mut poller;
    let handle = poller.handle().clone();
    for kind in DATAGRAMS {
        let ((near, here), (far, there)) = (bound(kind), bound(kind));
        [&near, &far].into_iter().for_each(|socket| handle.register_socket(socket).unwrap());
        let came = begin(&handle, RecvFrom::new(far.clone(), vec![0; 100]));
        run(poller, SendTo::new(near.clone(), b"question".as_slice(), there)).result.unwrap();
        let done = end(poller, &came);
        let received = done.result.unwrap();
        assert_eq!((received.bytes, received.sender), (8, here), "{kind:?}");
        assert_eq!(&done.operation.into_params().target[..8], b"question");
        run(poller, Connect::new(far.clone(), here)).result.unwrap();
        send(poller, &far, [b"two ".to_vec(), b"pieces".to_vec()]);
        assert_eq!(receive(poller, &near, 100), b"two pieces");
        // Its number and its name are free.
        run(poller, SocketClose::new(far)).result.unwrap();
        drop(near);
        let again = socket(kind);
        again.bind(&there).unwrap();
        again.bind(&any_address(kind)).unwrap_err();
    }
}

/// [async 228] [async-backends 124] [async-backends 137] The other side sees the end of a registered socket when that is
/// closed, or the last of it is dropped, here or on another thread, whatever is under way on other registered sockets; and a
/// listener's port is free.
fn the_end_of_a_registered_socket_is_seen(subject: &IoSubject) {
    let mut poller = subject.open();
    let poller = &mut poller;
    let handle = poller.handle().clone();
    let (waiting, mut other) = stream();
    handle.register_socket(&waiting).unwrap();
    let waits = begin(&handle, Recv::new(waiting.clone(), vec![0; 10]));
    assert_eq!(poll_dry(poller), 0);
    for round in 0..40 {
        let (near, far) = stream();
        handle.register_socket(&near).unwrap();
        let held = near.clone();
        is_open(&far);
        match round % 4 {
            0 => run(poller, SocketClose::new(near)).result.unwrap(),
            1 => {
                drop(held);
                drop(near);
                has_ended_now(&far);
                continue;
            }
            2 => {
                drop(held);
                std::thread::spawn(move || drop(near)).join().unwrap();
                poll_dry(poller);
                has_ended(&far);
                continue;
            }
            // With a receive under way, which keeps it until it has ended.
            _ => {
                let came = begin(&handle, Recv::new(near.clone(), vec![0; 10]));
                assert_eq!(poll_dry(poller), 0);
                run(poller, SocketClose::new(near)).result.unwrap();
                let code = end(poller, &came).result.map_err(|why| why.code());
                assert!(matches!(code, Ok(0) | Err(Code::Cancelled)), "{code:?}");
            }
        }
        has_ended(&far);
        assert!(!held.is_registered(&handle));
        assert_eq!(handle.register_socket(&held).unwrap_err().code(), Code::FailedPrecondition);
    }
    let (listener, address) = listener(SocketKind::Tcp);
    handle.register_socket(&listener).unwrap();
    let held = listener.clone();
    run(poller, SocketClose::new(listener)).result.unwrap();
    socket(SocketKind::Tcp).bind(&address).expect("the port is free");
    drop(held);
    other.write_all(b"still").unwrap();
    assert_eq!(end(poller, &waits).result.unwrap(), 5);
}

/// [async 228] [async-backends 137] A socket that one proactor knows and another closes: its peer sees the end before the
/// first has polled, and when that has polled, what it has under way has ended and the port is free.
fn a_registered_socket_is_closed_elsewhere(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for is_waiting in [false, true] {
        let (near, far) = stream();
        let (listener, address) = listener(SocketKind::Tcp);
        [&near, &listener].into_iter().for_each(|socket| handle.register_socket(socket).unwrap());
        let waits = is_waiting.then(|| begin(&handle, Recv::new(near.clone(), vec![0; 10])));
        let accepts = is_waiting.then(|| begin(&handle, Accept::new(listener.clone())));
        poll_dry(&mut poller);
        std::thread::scope(|scope| {
            let (near, listener) = (near.clone(), listener.clone());
            scope.spawn(move || {
                let mut elsewhere = subject.open();
                run(&mut elsewhere, SocketClose::new(near)).result.unwrap();
                run(&mut elsewhere, SocketClose::new(listener)).result.unwrap();
            });
        });
        has_ended(&far);
        if let Some(waits) = waits {
            let code = end(&mut poller, &waits).result.map_err(|why| why.code());
            assert!(matches!(code, Ok(0) | Err(Code::Cancelled)), "{code:?}");
        }
        if let Some(accepts) = accepts {
            assert_eq!(end(&mut poller, &accepts).result.unwrap_err().code(), Code::Cancelled);
        }
        poll_dry(&mut poller);
        socket(SocketKind::Tcp).bind(&address).expect("the port is free");
        assert!(!near.is_registered(&handle) && !listener.is_registered(&handle));
    }
}

/// [async-backends 162] Files are registered by any thread, before the first poll, between polls, and by callbacks; nobody
/// waits for the poll thread, and until it comes by the file is used as any.
fn any_thread_registers_files(subject: &IoSubject) {
    let proactor = subject.proactor();
    let handle = proactor.handle().clone();
    let (early, _) = file_of(b"early");
    handle.register_file(&early).unwrap();
    assert_eq!(early.is_registered(&handle), has_table(&handle), "no thread owns it yet");
    let mut poller = proactor.into_poller().unwrap();
    assert_eq!(read(&mut poller, &early, 10), b"early");

    let (late, _) = file_of(b"late");
    for _ in 0..2 {
        let (handle, late) = (handle.clone(), late.clone());
        std::thread::spawn(move || handle.register_file(&late).unwrap()).join().unwrap();
    }
    assert_eq!(read(&mut poller, &late, 10), b"late");
    poll_dry(&mut poller);
    assert_eq!(late.is_registered(&handle), has_table(&handle));
    assert_eq!(read(&mut poller, &late, 10), b"late");

    // Dropped before the poll thread has come by.
    let (near, far) = stream();
    {
        let handle = handle.clone();
        std::thread::spawn(move || handle.register_socket(&near).unwrap()).join().unwrap();
    }
    poll_dry(&mut poller);
    has_ended(&far);

    let (called, _) = file_of(b"called");
    let (own, named) = (handle.clone(), called.clone());
    let (told, registered) = channel();
    let by_callback = Operation::new(Nop).on_done(move |_| {
        own.register_file(&named).unwrap();
        told.send(named.is_registered(&own)).unwrap();
    });
    handle.submit(by_callback).unwrap();
    let mut found = None;
    poll_until(&mut poller, || {
        found = registered.try_recv().ok();
        found.is_some()
    });
    assert_eq!(found, Some(has_table(&handle)));
    assert_eq!(read(&mut poller, &called, 10), b"called");
}

/// [async 190] [async-backends 174] The caller drops what it has of a socket, here or elsewhere, while a receive is under way:
/// that gets what comes, and then the peer sees the end.
fn an_operation_keeps_its_file_registered(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for round in 0..20 {
        let (near, mut far) = stream();
        handle.register_socket(&near).unwrap();
        let came = begin(&handle, Recv::new(near.clone(), vec![0; 10]));
        if round % 2 == 0 {
            assert_eq!(poll_dry(&mut poller), 0);
        }
        match round % 4 {
            0 | 1 => drop(near),
            _ => std::thread::spawn(move || drop(near)).join().unwrap(),
        }
        // Others that would get its place.
        let (other, _far) = stream();
        handle.register_socket(&other).unwrap();
        poll_dry(&mut poller);
        is_open(&far);
        far.write_all(b"late").unwrap();
        let done = end(&mut poller, &came);
        assert_eq!(done.result.unwrap(), 4);
        drop(done.operation);
        has_ended(&far);
    }
}

/// [async 227] [async-backends 160] [async-backends 174] Files that come and go get each other's numbers and places; reads and
/// writes that are submitted between two polls are of their own file.
fn places_that_are_used_again_are_of_others(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for round in 0..rounds(200) as u32 {
        let mut ends = Vec::new();
        for number in 0..5 {
            let content = (round * 5 + number).to_le_bytes();
            let (file, other) = file_of(&content);
            handle.register_file(&file).unwrap();
            let came = begin(&handle, FileRead::new(file.clone(), 0, vec![0; 4]));
            let sent = begin(&handle, FileWrite::new(file, 4, content.to_vec()));
            ends.push((content, other, came, sent));
        }
        for (content, other, came, sent) in ends {
            let done = end(&mut poller, &came);
            assert_eq!(done.result.unwrap(), 4);
            assert_eq!(done.operation.into_params().target, content);
            assert_eq!(end(&mut poller, &sent).result.unwrap(), 4);
            let mut written = [0; 4];
            other.read_exact_at(&mut written, 4).unwrap();
            assert_eq!(written, content);
        }
    }
}

/// [async-backends 160] [async-backends 162] The same, by a thread that opens, registers, and drops while another polls.
fn files_come_and_go_on_another_thread(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let other = std::thread::spawn(move || {
        for round in 0..rounds(1000) as u32 {
            let (file, _other) = file_of(&round.to_le_bytes());
            handle.register_file(&file).unwrap();
            let ends: Vec<_> = (0..3)
                .map(|_| {
                    let file = file.clone();
                    begin(&handle, FileRead::new(file, 0, vec![0; 4]))
                })
                .collect();
            // In one of two rounds the operations are the last to have it.
            if round % 2 == 0 {
                drop(file);
            }
            for came in ends {
                let done = came.recv().unwrap();
                assert_eq!(done.result.unwrap(), 4);
                assert_eq!(done.operation.into_params().target, round.to_le_bytes());
            }
        }
        handle.wake();
    });
    while !other.is_finished() {
        match poller.poll(Deadline::after(Duration::from_millis(20))) {
            Ok(_) => {}
            Err(why) => assert_eq!(why.code(), Code::DeadlineExceeded, "{why}"),
        }
    }
    other.join().unwrap();
}

/// [async 166] A file that several proactors know, more of them than are remembered, is read by each, and by one that does
/// not know it; and the last to let it go is the last that knew it.
fn several_proactors_know_a_file(subject: &IoSubject) {
    let mut pollers: Vec<Poller> = (0..11).map(|_| subject.open()).collect();
    let (shared, _) = file_of(b"shared");
    for round in 0..3 {
        for poller in &mut pollers[1..] {
            poller.handle().register_file(&shared).unwrap();
            assert_eq!(read(poller, &shared, 10), b"shared");
        }
        assert_eq!(read(&mut pollers[0], &shared, 10), b"shared");
        let known = pollers.iter().filter(|poller| shared.is_registered(poller.handle())).count();
        assert_eq!(known, if has_table(pollers[0].handle()) { 8 } else { 0 }, "round {round}");
        // The next round has others.
        pollers[1..5].iter_mut().for_each(|poller| *poller = subject.open());
    }
    let (near, far) = stream();
    pollers.iter().for_each(|poller| poller.handle().register_socket(&near).unwrap());
    drop(near);
    has_ended_now(&far);
}

/// [async 165] [async-backends 149] Files and sockets that a proactor knew go on without it, and are closed like any.
fn files_outlive_a_proactor_that_knows_them(subject: &IoSubject) {
    let mut other = subject.open();
    for is_polled in [true, false] {
        let proactor = subject.proactor();
        let handle = proactor.handle().clone();
        let (kept, _) = file_of(b"kept");
        let (near, mut far) = stream();
        handle.register_file(&kept).unwrap();
        handle.register_socket(&near).unwrap();
        match is_polled {
            true => {
                let mut poller = proactor.into_poller().unwrap();
                assert_eq!(read(&mut poller, &kept, 10), b"kept");
                let came = begin(&handle, Recv::new(near.clone(), vec![0; 10]));
                poll_dry(&mut poller);
                drop(poller);
                assert_eq!(came.recv().unwrap().result.unwrap_err().code(), Code::Cancelled);
            }
            false => drop(proactor),
        }
        assert_eq!(read(&mut other, &kept, 10), b"kept");
        far.write_all(b"more").unwrap();
        assert_eq!(receive(&mut other, &near, 10), b"more");
        is_open(&far);
        drop(near);
        has_ended_now(&far);
    }
}

/// [async 27] [async 165] [async-backends 177] What is closed is refused, and so is whatever comes to a proactor that is gone.
fn what_is_closed_or_gone_registers_nothing(subject: &IoSubject) {
    let proactor = subject.proactor();
    let handle = proactor.handle().clone();
    let (open, _) = file_of(b"open");
    let udp = socket(SocketKind::Udp);
    handle.register_file(&open).unwrap();
    handle.register_socket(&udp).unwrap();
    drop(proactor);
    let (other, _) = file_of(b"other");
    assert_eq!(handle.register_file(&other).unwrap_err().code(), Code::Aborted);
    assert_eq!(handle.register_file(&open).unwrap_err().code(), Code::Aborted);
    assert_eq!(handle.register_socket(&udp).unwrap_err().code(), Code::Aborted);
    assert!(!other.is_registered(&handle));
}
