//! The client, the same for all servers.

use crate::server::ACKNOWLEDGED;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Connections to one server, and what is said on them.
pub struct Client {
    streams: Vec<TcpStream>,
    said: Vec<u8>,
    heard: Vec<u8>,
}

impl Client {
    /// So many connections, for messages of so many bytes.
    pub fn new(address: SocketAddr, connections: usize, bytes: usize) -> Client {
        let connect = |_| {
            let stream = TcpStream::connect(address).expect("the server listens");
            stream.set_nodelay(true).expect("a stream of TCP");
            stream
        };
        let said = (0..bytes).map(|index| (index % 251) as u8).collect();
        Client { streams: (0..connections).map(connect).collect(), said, heard: vec![0; bytes] }
    }

    /// Says the message on each connection, then hears it from each.
    pub fn echo(&mut self) {
        for stream in &mut self.streams {
            stream.write_all(&self.said).expect("the server receives");
        }
        for stream in &mut self.streams {
            stream.read_exact(&mut self.heard).expect("the server sends");
        }
    }

    /// Whether the message comes back as it was.
    pub fn check(&mut self) {
        self.heard.fill(0);
        self.echo();
        assert!(self.heard == self.said, "the echo is another text");
    }

    /// Says it until an acknowledgement is due, and hears that.
    pub fn stream(&mut self) {
        let stream = &mut self.streams[0];
        for _ in 0..ACKNOWLEDGED / self.said.len() {
            stream.write_all(&self.said).expect("the server receives");
        }
        stream.read_exact(&mut self.heard[..1]).expect("the server sends");
    }
}

/// Connects so many times, then waits for the end of each connection.
pub fn visit(address: SocketAddr, connections: usize) {
    let connect = |_| TcpStream::connect(address).expect("the server listens");
    let streams: Vec<TcpStream> = (0..connections).map(connect).collect();
    for mut stream in streams {
        assert_eq!(stream.read(&mut [0]).expect("the server closes"), 0);
    }
}
