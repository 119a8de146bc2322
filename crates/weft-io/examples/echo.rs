//! Sends everybody back what they send: `cargo run -p weft-io --example echo -- [ADDRESS]`.
//!
//! Each connection is one buffer that goes round: received into, sent from. Nothing is allocated for a message.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use weft_io::ops::{AcceptMany, Recv, Send, Timer};
use weft_io::{Address, Config, Handle, Operation, Part, Socket, SocketKind, SocketOptions, open_any};
use weft_sync::{Code, Deadline, Result, Status, status};

/// Waits for what the peer sends next. The connection is closed with the last clone of its socket.
fn receive(handle: &Handle, socket: Socket, buffer: Vec<u8>) {
    let (again, from) = (handle.clone(), socket.clone());
    let recv = Operation::new(Recv::new(from, buffer)).on_done(move |done| match done.result {
        // The peer has nothing more to say.
        Ok(0) => {}
        Ok(count) => send(&again, socket, done.operation.into_params().target, count),
        Err(why) => eprintln!("receiving: {why}"),
    });
    if let Err(refused) = handle.submit(recv) {
        eprintln!("a connection is dropped: {}", refused.why);
    }
}

/// Sends the beginning of the buffer back, all of it, and goes on.
fn send(handle: &Handle, socket: Socket, buffer: Vec<u8>, count: usize) {
    let (again, to) = (handle.clone(), socket.clone());
    let part = Part::new(buffer, ..count).expect("no more was received than there is");
    let send = Operation::new(Send::new(to, part)).on_done(move |done| match done.result {
        Ok(_) => receive(&again, socket, done.operation.into_params().source.into_inner()),
        Err(why) => eprintln!("sending: {why}"),
    });
    if let Err(refused) = handle.submit(send) {
        eprintln!("a connection is dropped: {}", refused.why);
    }
}

/// Accepts connections there, and polls for ever. `told` learns the address, with the port that the system chose.
pub fn serve(address: &str, told: impl FnOnce(Address)) -> Result<()> {
    let mut poller = open_any(&Config::new())?.into_poller()?;
    let listener = Socket::new(SocketKind::Tcp, SocketOptions::REUSE_ADDR)?;
    listener.bind(&Address::parse(address)?)?;
    listener.listen(0)?;
    told(listener.local_address()?);
    let handle = poller.handle().clone();
    let (tell, ended) = channel();
    accept(handle, listener, tell);
    loop {
        if let Ok(why) = ended.try_recv() {
            return Err(why);
        }
        poller.poll(Deadline::NEVER)?;
    }
}

/// Accepts until it fails. Without a number left for a connection it goes on after a moment: who hangs up gives one back.
fn accept(handle: Handle, listener: Socket, tell: Sender<Status>) {
    let (serving, again, refusal) = (handle.clone(), handle.clone(), tell.clone());
    let many = AcceptMany::new(listener.clone(), move |accepted| {
        receive(&serving, accepted.socket, vec![0; 64 << 10]);
    });
    let many = Operation::new(many).on_done(move |done| match done.result.err() {
        Some(why) if why.code() == Code::ResourceExhausted => {
            eprintln!("no connections for a moment: {why}");
            pause(&again, listener, tell);
        }
        why => drop(tell.send(why.unwrap_or_else(|| status!(Unknown, "no more connections")))),
    });
    if let Err(refused) = handle.submit(many) {
        drop(refusal.send(refused.why));
    }
}

fn pause(handle: &Handle, listener: Socket, tell: Sender<Status>) {
    let (again, refusal) = (handle.clone(), tell.clone());
    let moment = Timer { deadline: Deadline::after(Duration::from_millis(100)) };
    let moment = Operation::new(moment).on_done(move |done| match done.result {
        Ok(()) => accept(again, listener, tell),
        Err(why) => drop(tell.send(why)),
    });
    if let Err(refused) = handle.submit(moment) {
        drop(refusal.send(refused.why));
    }
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    serve(&address, |address| println!("listening on {address}"))
}
