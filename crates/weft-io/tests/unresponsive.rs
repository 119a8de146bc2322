//! Others that do not answer: a peer that does not read, a pipe that nobody opens. Nobody waits for them at the end.
#![cfg(target_os = "linux")]

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use support::{after_ms, real};
use weft_io::ops::{FileFlags, FileOpen, Send, SocketClose};
use weft_io::{Config, Operation, Poller, Socket, SocketKind, open};
use weft_sync::{Code, Deadline};

/// A connection to a peer that reads nothing.
fn connection() -> (std::net::TcpStream, Socket) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = Socket::import(near.into(), SocketKind::Tcp, true).map_err(|refused| refused.why).unwrap();
    (listener.accept().unwrap().0, socket)
}

type Ends = Receiver<Option<Code>>;

/// A send without a copy of so many bytes, as far as it gets.
fn begin_send(poller: &mut Poller, socket: &Socket, bytes: usize) -> Ends {
    let (tell, ends) = channel();
    let send = Send::new(socket.clone(), vec![1_u8; bytes]);
    let send =
        Operation::new(send).on_done(move |done| tell.send(done.result.err().map(|why| why.code())).unwrap());
    poller.handle().submit(send).unwrap();
    while poller.poll(after_ms(30)).is_ok() {}
    ends
}

/// Both that of which some waits for room, and that which is all with the kernel, and only not acknowledged.
const SIZES: [usize; 2] = [64 << 20, 200 << 10];

/// [async 228] [async-backends 171] [async-backends 137] A close ends a send without a copy whose peer takes nothing.
#[test]
fn a_close_does_not_wait_for_the_peer() {
    let Ok(proactor) = open("uring", &Config::new()) else { return };
    let mut poller = proactor.into_poller().unwrap();
    for bytes in SIZES {
        let (peer, socket) = connection();
        let ends = begin_send(&mut poller, &socket, bytes);
        poller.handle().submit(SocketClose::new(socket)).unwrap();
        while poller.under_way() > 0 {
            poller.poll(Deadline::after(Duration::from_secs(20))).expect("it comes to an end");
        }
        ends.try_recv().expect("called back");
        drop(peer);
    }
}

/// [async 260] [async-backends 171] Nor does the end of the poller.
#[test]
fn the_end_does_not_wait_for_the_peer() {
    for bytes in SIZES {
        let Ok(proactor) = open("uring", &Config::new()) else { return };
        let mut poller = proactor.into_poller().unwrap();
        let (peer, socket) = connection();
        let ends = begin_send(&mut poller, &socket, bytes);
        drop(poller);
        ends.try_recv().expect("called back");
        drop(peer);
    }
}

/// [async-backends 177] A pipe is no file, and opening one waits for nobody.
#[test]
fn opening_a_pipe_waits_for_nobody() {
    let path = std::env::temp_dir().join(format!("weft-io-pipe-{}", std::process::id()));
    // Left by a process of the same number.
    let _ = std::fs::remove_file(&path);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    real(|mut subject| {
        let (tell, ends) = channel();
        let open = Operation::new(FileOpen::new(&path, FileFlags::READ));
        let open = open.on_done(move |done| tell.send(done.result.unwrap_err().code()).unwrap());
        subject.poller.handle().submit(open).unwrap();
        assert_eq!(subject.poller.poll(Deadline::after(Duration::from_secs(20))).unwrap(), 1);
        assert_eq!(ends.try_recv().unwrap(), Code::InvalidArgument, "{}", subject.name);
    });
    std::fs::remove_file(&path).unwrap();
}
