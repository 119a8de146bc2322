//! What cannot be had from a system when one wants it: readiness that is nothing but trouble.

use super::event_set::Mask;
use super::poll::PollSet;
use super::{EventSet, Readiness};
use crate::Capabilities;
use crate::address::Address;
use crate::backend::Ended;
use crate::event_handle::new_event_handle;
use crate::ops::Connect;
use crate::record::{Erased, Record};
use crate::socket::{Shutdown, Socket, SocketKind, SocketOptions};
use crate::table::Key;
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// A listener without room, and those that have taken it.
fn full() -> (Socket, Address, Vec<std::net::TcpStream>) {
    let listener = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
    listener.bind(&Address::ipv4("127.0.0.1", 0).unwrap()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_address().unwrap();
    let there = std::net::SocketAddr::from(([127, 0, 0, 1], address.port().unwrap()));
    let wait = std::time::Duration::from_millis(200);
    let taken = (0..6).map_while(|_| std::net::TcpStream::connect_timeout(&there, wait).ok()).collect();
    (listener, address, taken)
}

/// [async 222] [async-backends 206] A connect that waits is not ended by an error that is not its own; by one that is, it
/// is, although nothing says that the socket can be written to.
#[test]
fn an_error_alone_ends_a_connect() {
    let wake = Arc::new(new_event_handle().unwrap());
    let set = EventSet::Poll(PollSet::new(wake.as_fd()).unwrap());
    let mut readiness = Readiness::new(set, wake, 4);
    let (_listener, address, _taken) = full();
    let near = Socket::new(SocketKind::Tcp, SocketOptions::empty()).unwrap();
    let mut operation = Erased::erase(Record::new(Connect::new(near.clone(), address)));
    operation.prepare(Capabilities::empty()).unwrap();
    readiness.push(Key { index: 1, generation: 1 }, operation, false);
    assert!(readiness.ended.is_empty(), "nobody answers");
    readiness.serve(near.as_fd().as_raw_fd(), Mask::ERR);
    assert!(readiness.ended.is_empty(), "there was none");
    // What an attempt to connect is told when it is broken off.
    near.shutdown(Shutdown::Both).ok();
    readiness.serve(near.as_fd().as_raw_fd(), Mask::ERR);
    match readiness.ended.pop_front() {
        Some(Ended::Operation { slot: 1, outcome, .. }) => {
            assert_eq!(outcome, Err(Errno::CONNRESET.raw_os_error()));
        }
        _ => panic!("it is over"),
    }
    assert!(readiness.ended.is_empty());
}
