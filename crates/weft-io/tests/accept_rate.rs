//! How fast connections are accepted.

#![cfg(target_os = "linux")]

use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::time::Duration;
use weft_io::ops::AcceptMany;
use weft_io::{Address, Config, Socket, SocketKind, SocketOptions, open};
use weft_sync::Deadline;

/// Connections that wait come together, and not one with each poll: where thousands of handles are ready, too,
/// polls are long, and listeners fill up.
#[test]
fn waiting_connections_come_together() {
    for backend in ["uring", "epoll", "poll"] {
        let opened = open(backend, &Config::new()).and_then(|proactor| proactor.into_poller());
        let Ok(mut poller) = opened else {
            println!("skipped: no {backend}");
            continue;
        };
        let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
        listener.bind(&Address::ipv4("127.0.0.1", 0).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let port = listener.local_address().unwrap().port().unwrap();
        let streams: Vec<TcpStream> =
            (0..100).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
        let (send, accepted) = channel();
        let accept = AcceptMany::new(listener, move |accepted| send.send(accepted).unwrap());
        poller.handle().submit(accept).unwrap();
        let mut connections = Vec::new();
        let mut polls = 0;
        while connections.len() < streams.len() {
            polls += 1;
            assert!(polls <= 10, "{backend}: {} accepted by ten polls", connections.len());
            poller.poll(Deadline::after(Duration::from_secs(10))).unwrap();
            connections.extend(accepted.try_iter());
        }
    }
}
