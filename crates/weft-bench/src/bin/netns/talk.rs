//! Streams and datagrams, with a deadline.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use weft_bench::stream::{bytes, is_stream};
use weft_io::ops::{Recv, Send, Timer};
use weft_io::{Done, Handle, Operation, Params, Shutdown, Socket};
use weft_sync::{Code, Deadline, Status};

/// Something that a case does at the same time as others.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All of these at once.
pub async fn all(mut tasks: Vec<Task<'_>>) {
    poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Awaits an operation, and cancels it when the deadline passes.
pub async fn bounded<P: Params>(
    handle: &Handle,
    operation: impl Into<Operation<P>>,
    deadline: Deadline,
) -> Done<P> {
    let mut running = handle.run(operation);
    let mut timer = pin!(handle.run(Timer { deadline }));
    let mut is_late = false;
    poll_fn(|context| {
        if !is_late && timer.as_mut().poll(context).is_ready() {
            is_late = true;
            running.cancel();
        }
        Pin::new(&mut running).poll(context)
    })
    .await
}

/// Nothing for a while.
pub async fn pause(handle: &Handle, milliseconds: u64) {
    let deadline = Deadline::after(Duration::from_millis(milliseconds));
    let done = handle.run(Timer { deadline }).await;
    done.result.expect("nobody cancels it");
}

/// What one direction has come to.
#[derive(Debug, Default)]
pub struct Way {
    /// Bytes that sends say were sent.
    pub sent: u64,
    /// Bytes, or datagrams, that came and were right.
    pub received: u64,
    /// Something else came than was sent.
    pub is_spoilt: bool,
    /// How sending and receiving ended, if not well.
    pub sending: Option<Status>,
    pub receiving: Option<Status>,
}

impl Way {
    /// The codes with which sending and receiving failed.
    pub fn codes(&self) -> (Option<Code>, Option<Code>) {
        (self.sending.as_ref().map(Status::code), self.receiving.as_ref().map(Status::code))
    }
}

/// Shared by both ends.
pub type Shared = Rc<RefCell<Way>>;

/// Bytes of one send and one receive.
const PIECE: usize = 16 << 10;

/// Sends so many bytes of a stream, then the end of it.
pub async fn say(handle: &Handle, socket: Socket, way: Shared, seed: u64, total: u64, deadline: Deadline) {
    let mut sent = 0;
    while sent < total {
        let count = (total - sent).min(PIECE as u64) as usize;
        let done = bounded(handle, Send::new(socket.clone(), bytes(seed, sent, count)), deadline).await;
        sent += done.operation.sent() as u64;
        way.borrow_mut().sent = sent;
        if let Err(why) = done.result {
            way.borrow_mut().sending = Some(why);
            return;
        }
    }
    if let Err(why) = socket.shutdown(Shutdown::Write) {
        way.borrow_mut().sending = Some(why);
    }
}

/// Receives a stream to its end.
pub async fn hear(handle: &Handle, socket: Socket, way: Shared, seed: u64, deadline: Deadline) {
    let mut recv = Operation::new(Recv::new(socket, vec![0; PIECE]));
    loop {
        let done = bounded(handle, recv, deadline).await;
        recv = done.operation;
        let mut way = way.borrow_mut();
        match done.result {
            Ok(0) => return,
            Ok(count) => {
                way.is_spoilt |= !is_stream(seed, way.received, &recv.target[..count]);
                way.received += count as u64;
            }
            Err(why) => return way.receiving = Some(why),
        }
    }
}

/// Bytes of a datagram: its number, then a stream of that seed.
const DATAGRAM: usize = 1000;

fn datagram(number: u64) -> Vec<u8> {
    let mut text = number.to_le_bytes().to_vec();
    text.extend(bytes(number, 0, DATAGRAM - 8));
    text
}

/// Sends so many datagrams, some each millisecond. Failures are counted by the last of them, and end nothing: each message
/// stands alone.
pub async fn post(handle: &Handle, socket: Socket, way: Shared, count: u64) {
    for number in 0..count {
        let done = handle.run(Send::new(socket.clone(), datagram(number))).await;
        match done.result {
            Ok(_) => way.borrow_mut().sent += 1,
            Err(why) => {
                way.borrow_mut().sending = Some(why);
                return;
            }
        }
        if number % 8 == 7 {
            pause(handle, 1).await;
        }
    }
}

/// Receives datagrams until nothing has come for a second, or the deadline. Each comes once, and whole.
pub async fn collect(handle: &Handle, socket: Socket, way: Shared, count: u64) {
    let mut seen = vec![false; count as usize];
    loop {
        let quiet = Deadline::after(Duration::from_secs(1));
        let done = bounded(handle, Recv::new(socket.clone(), vec![0; DATAGRAM + 1]), quiet).await;
        let mut way = way.borrow_mut();
        match done.result {
            Ok(length) => {
                let text = &done.operation.target[..length];
                let number = text.first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word));
                let is_new = seen.get_mut(number as usize).is_some_and(|seen| !std::mem::replace(seen, true));
                way.is_spoilt |= !is_new || text != datagram(number);
                way.received += 1;
            }
            Err(why) => return way.receiving = Some(why),
        }
    }
}
