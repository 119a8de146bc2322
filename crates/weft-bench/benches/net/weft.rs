//! Servers on weft.
//!
//! 1. By callbacks: the two operations of a connection take turns, each with the other in its callback, and the buffer goes
//!    to and fro. Nothing is allocated for a message.
//! 2. Pooled: one receive for all of a connection, into buffers of a pool; each is sent from where it lies.
//! 3. By futures: one task for each connection, on tasks of `futures-util`.

use crate::server::{ACKNOWLEDGEMENT, Counter, Mode, Threads};
use crate::within::{self, Ends, ROUNDS};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, Stream};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use weft_io::ops::{Accept, AcceptMany, PooledRecv, Recv, RecvPoolMany, Send};
use weft_io::{
    Access, BufferPool, Config, Handle, Lease, Operation, Part, Poller, Slab, Socket, SocketKind, open,
};
use weft_sync::Deadline;

pub fn poller(backend: &str) -> Poller {
    open(backend, &Config::new()).and_then(|proactor| proactor.into_poller()).expect("the backend is there")
}

fn import(listener: TcpListener) -> Socket {
    Socket::import(listener.into(), SocketKind::Tcp, false).expect("a listener of TCP")
}

fn stream(stream: TcpStream) -> Socket {
    Socket::import(stream.into(), SocketKind::Tcp, false).expect("a stream of TCP")
}

fn poll_for_ever(poller: &mut Poller) {
    loop {
        poller.poll(Deadline::NEVER).expect("the kernel polls");
    }
}

type Receiving = Operation<Recv<Vec<u8>>>;
type Sending = Operation<Send<Part<Vec<u8>>>>;

/// Rule 1.
pub fn callbacks(backend: &'static str, mode: Mode) -> impl FnOnce(TcpListener, Threads) + std::marker::Send {
    move |listener, _| {
        let mut poller = poller(backend);
        let handle = poller.handle().clone();
        let accept = AcceptMany::new(import(listener), move |accepted| {
            let (socket, handle) = (accepted.socket, handle.clone());
            let recv = Operation::new(Recv::new(socket.clone(), vec![0; mode.buffer()]));
            match mode {
                Mode::Echo(_) => receive(handle, recv, Operation::new(Send::new(socket, nothing()))),
                Mode::Sink(_) => count(handle, recv, Counter::default()),
                Mode::Close => {}
            }
        });
        poller.handle().submit(accept).expect("there is room");
        poll_for_ever(&mut poller);
    }
}

pub fn nothing() -> Part<Vec<u8>> {
    Part::new(Vec::new(), ..).expect("all of it")
}

/// One side of an echo; [`send`] is the other.
pub fn receive(handle: Handle, recv: Receiving, send_next: Sending) {
    let again = handle.clone();
    let recv = recv.on_done(move |done| match done.result {
        Ok(0) | Err(_) => {}
        Ok(bytes) => send(again, done.operation, send_next, bytes),
    });
    handle.submit(recv).expect("there is room");
}

fn send(handle: Handle, mut recv: Receiving, mut send: Sending, bytes: usize) {
    let buffer = std::mem::take(&mut recv.target);
    send.source = Part::new(buffer, ..bytes).expect("no more than there is");
    let again = handle.clone();
    let send = send.on_done(move |mut done| {
        if done.result.is_ok() {
            recv.target = std::mem::replace(&mut done.operation.source, nothing()).into_inner();
            receive(again, recv, done.operation);
        }
    });
    handle.submit(send).expect("there is room");
}

fn count(handle: Handle, recv: Receiving, mut counter: Counter) {
    let again = handle.clone();
    let recv = recv.on_done(move |done| {
        if let Ok(bytes @ 1..) = done.result {
            acknowledge(&again, done.operation.socket(), counter.add(bytes));
            count(again, done.operation, counter);
        }
    });
    handle.submit(recv).expect("there is room");
}

fn acknowledge(handle: &Handle, socket: &Socket, times: usize) {
    for _ in 0..times {
        handle.submit(Send::new(socket.clone(), ACKNOWLEDGEMENT)).expect("there is room");
    }
}

/// Rule 2.
pub fn pooled(backend: &'static str, mode: Mode) -> impl FnOnce(TcpListener, Threads) + std::marker::Send {
    move |listener, _| {
        let mut poller = poller(backend);
        let handle = poller.handle().clone();
        let pool = pool(&handle, mode);
        let accept = AcceptMany::new(import(listener), move |accepted| {
            receive_all(&handle, accepted.socket, &pool, mode);
        });
        poller.handle().submit(accept).expect("there is room");
        poll_for_ever(&mut poller);
    }
}

fn pool(handle: &Handle, mode: Mode) -> BufferPool {
    // Large ones are few: what lies in the ring should be in the processor's cache again when its turn comes.
    let count = if mode.buffer() > 4096 { 8 } else { 128 };
    let slab = Slab::new(mode.buffer(), count).expect("there is memory");
    let region = handle.register_slab(&slab, Access::READ | Access::WRITE).expect("it can be known");
    BufferPool::new(&region).expect("the slab is free")
}

fn receive_all(handle: &Handle, socket: Socket, pool: &BufferPool, mode: Mode) {
    let (own, back, mut counter) = (handle.clone(), socket.clone(), Counter::default());
    let on_received = move |piece: PooledRecv| match mode {
        Mode::Echo(_) => {
            let Some(lease) = piece.lease else { return };
            let part: Part<Lease> = Part::new(lease, ..piece.bytes).expect("no more than there is");
            own.submit(Send::new(back.clone(), part)).expect("there is room");
        }
        _ => acknowledge(&own, &back, counter.add(piece.bytes)),
    };
    let (again, socket_again, pool_again) = (handle.clone(), socket.clone(), pool.clone());
    let recv = Operation::new(RecvPoolMany::new(socket, pool.clone(), on_received));
    let recv = recv.on_done(move |done| {
        // The pool has run dry.
        if done.result.is_err_and(|why| why.code() == weft_sync::Code::ResourceExhausted) {
            receive_all(&again, socket_again, &pool_again, mode);
        }
    });
    handle.submit(recv).expect("there is room");
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Rule 3.
pub fn futures(backend: &'static str, mode: Mode) -> impl FnOnce(TcpListener, Threads) + std::marker::Send {
    move |listener, _| {
        let mut poller = poller(backend);
        let handle = &poller.handle().clone();
        let listener = import(listener);
        let accepted: Rc<RefCell<Vec<Socket>>> = Rc::default();
        let arrivals = Rc::clone(&accepted);
        let mut tasks: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
        tasks.push(Box::pin(async move {
            let mut accept = Operation::new(Accept::new(listener));
            loop {
                let done = handle.run(accept).await;
                accept = done.operation;
                arrivals.borrow_mut().extend(done.result.ok().map(|accepted| accepted.socket));
            }
        }));
        let all = poll_fn(|context| {
            loop {
                let turn = Pin::new(&mut tasks).poll_next(context);
                let arrived = std::mem::take(&mut *accepted.borrow_mut());
                if arrived.is_empty() && turn.is_pending() {
                    return Poll::<()>::Pending;
                }
                let wanted = arrived.into_iter().filter(|_| mode != Mode::Close);
                tasks.extend(wanted.map(|socket| -> Task<'_> { Box::pin(converse(handle, socket, mode)) }));
            }
        });
        poller.block_on(all).expect("the kernel polls");
    }
}

async fn converse(handle: &Handle, socket: Socket, mode: Mode) {
    let mut recv = Operation::new(Recv::new(socket.clone(), vec![0; mode.buffer()]));
    let mut send = Operation::new(Send::new(socket.clone(), nothing()));
    let mut counter = Counter::default();
    loop {
        let received = handle.run(recv).await;
        recv = received.operation;
        let Ok(bytes @ 1..) = received.result else { return };
        if mode != Mode::Echo(mode.buffer()) {
            for _ in 0..counter.add(bytes) {
                let acknowledged = handle.run(Send::new(socket.clone(), ACKNOWLEDGEMENT)).await;
                let Ok(_) = acknowledged.result else { return };
            }
            continue;
        }
        send.source = Part::new(std::mem::take(&mut recv.target), ..bytes).expect("no more than there is");
        let sent = handle.run(send).await;
        send = sent.operation;
        recv.target = std::mem::replace(&mut send.source, nothing()).into_inner();
        let Ok(_) = sent.result else { return };
    }
}

/// The near end of a connection, by callbacks.
struct Near {
    send: Option<Operation<Send<Vec<u8>>>>,
    recv: Option<Receiving>,
    /// Messages to come, and bytes of the next.
    rounds: usize,
    bytes: usize,
}

type Nears = Arc<Mutex<Vec<Near>>>;

fn nears(ends: &[Ends], bytes: usize) -> Nears {
    let near = |ends: &Ends| {
        let socket = stream(ends.near.try_clone().expect("there are handles"));
        let send = Some(Operation::new(Send::new(socket.clone(), vec![7; bytes])));
        let recv = Some(Operation::new(Recv::new(socket, vec![0; bytes])));
        Near { send, recv, rounds: 0, bytes: 0 }
    };
    Arc::new(Mutex::new(ends.iter().map(near).collect()))
}

/// Sends the message and waits for the answer; that goes on until the rounds are over.
fn say(handle: &Handle, nears: &Nears, index: usize) {
    let mut all = nears.lock().expect("nobody panics");
    let send = all[index].send.take().expect("the last one is sent");
    let recv = all[index].recv.take().expect("the last one is answered");
    drop(all);
    let back = Arc::clone(nears);
    let send = send.on_done(move |done| {
        done.result.expect("the far end is there");
        back.lock().expect("nobody panics")[index].send = Some(done.operation);
    });
    handle.submit(send).expect("there is room");
    hear(handle.clone(), Arc::clone(nears), index, recv);
}

fn hear(handle: Handle, nears: Nears, index: usize, recv: Receiving) {
    let again = handle.clone();
    let recv = recv.on_done(move |done| {
        let count = done.result.expect("the far end answers");
        let mut all = nears.lock().expect("nobody panics");
        let near = &mut all[index];
        near.bytes += count;
        if near.bytes < done.operation.target.len() {
            drop(all);
            return hear(again, nears, index, done.operation);
        }
        near.bytes = 0;
        near.rounds -= 1;
        near.recv = Some(done.operation);
        let is_over = near.rounds == 0;
        drop(all);
        if !is_over {
            say(&again, &nears, index);
        }
    });
    handle.submit(recv).expect("there is room");
}

fn go_round(poller: &mut Poller, nears: &Nears) {
    let count = nears.lock().expect("nobody panics").len();
    let handle = poller.handle().clone();
    for index in 0..count {
        nears.lock().expect("nobody panics")[index].rounds = ROUNDS;
        say(&handle, nears, index);
    }
    let is_over = || {
        let all = nears.lock().expect("nobody panics");
        all.iter().all(|near| near.rounds == 0 && near.send.is_some())
    };
    while !is_over() {
        // With many connections much ends before that is looked at again.
        for _ in 0..ROUNDS {
            if poller.poll(Deadline::IMMEDIATE).is_err() {
                break;
            }
        }
    }
}

/// Both ends by callbacks.
pub fn within_callbacks(backend: &str, pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
    let mut poller = poller(backend);
    let nears = nears(&pairs, bytes);
    for ends in pairs {
        let far = stream(ends.far);
        let recv = Operation::new(Recv::new(far.clone(), vec![0; within::mode(bytes).buffer()]));
        receive(poller.handle().clone(), recv, Operation::new(Send::new(far, nothing())));
    }
    move || go_round(&mut poller, &nears)
}

/// Far ends that receive into a pool.
pub fn within_pooled(backend: &str, pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
    let mut poller = poller(backend);
    let nears = nears(&pairs, bytes);
    let mode = within::mode(bytes);
    let pool = pool(poller.handle(), mode);
    for ends in pairs {
        receive_all(poller.handle(), stream(ends.far), &pool, mode);
    }
    move || go_round(&mut poller, &nears)
}

/// Both ends by futures.
pub fn within_futures(backend: &str, pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
    let mut poller = poller(backend);
    // Kept for as long as the program, as its tasks.
    let handle: &'static Handle = Box::leak(Box::new(poller.handle().clone()));
    let mut far: FuturesUnordered<Task<'static>> = FuturesUnordered::new();
    let mut near = Vec::new();
    for ends in pairs {
        far.push(Box::pin(converse(handle, stream(ends.far), within::mode(bytes))));
        let socket = stream(ends.near);
        let send = Some(Operation::new(Send::new(socket.clone(), vec![7; bytes])));
        near.push((send, Some(Operation::new(Recv::new(socket, vec![0; bytes])))));
    }
    move || {
        let all = join_all(near.iter_mut().map(|(send, recv)| async {
            for _ in 0..ROUNDS {
                let sent = handle.run(send.take().expect("it is back")).await;
                sent.result.expect("the far end is there");
                *send = Some(sent.operation);
                let mut heard = 0;
                while heard < bytes {
                    let done = handle.run(recv.take().expect("it is back")).await;
                    heard += done.result.expect("the far end answers");
                    *recv = Some(done.operation);
                }
            }
        }));
        let far = poll_fn(|context| {
            while Pin::new(&mut far).poll_next(context).is_ready() {}
            Poll::<()>::Pending
        });
        let outcome = poller.block_on(select(all, far)).expect("the kernel polls");
        assert!(matches!(outcome, Either::Left(_)), "the far ends stay");
    }
}
