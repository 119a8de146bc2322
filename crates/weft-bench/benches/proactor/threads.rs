//! What other threads ask of a poll thread: to wake, to take operations, to take messages.
//!
//! The poll thread sleeps in the kernel and the other thread spins for its answer, so one direction is a wake.

use crate::floor::{Bare, raise};
use crate::peers;
use crate::subject::poller;
use rustix::event::{EventfdFlags, eventfd};
use std::future::poll_fn;
use std::hint::spin_loop;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::Scope;
use weft_bench::{Subject, Table, measure};
use weft_io::{Done, Handle, Operation, ops::Nop};
use weft_sync::Deadline;

/// What the thread that sleeps has answered, and whether it is to go.
#[derive(Default)]
struct Answers {
    count: AtomicU64,
    is_over: AtomicBool,
}

impl Answers {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    fn spin_until(&self, wanted: u64) {
        let mut looks = 0_u32;
        while self.count.load(Ordering::Acquire) < wanted {
            looks += 1;
            if looks.is_multiple_of(1 << 12) {
                std::thread::yield_now();
            }
            spin_loop();
        }
    }

    fn are_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// A thread that polls a proactor until it is over; its handle. Every message and every wake is an answer.
fn polling<'scope>(scope: &'scope Scope<'scope, '_>, answers: &'scope Answers, counts_wakes: bool) -> Handle {
    let (send, receive) = mpsc::channel();
    scope.spawn(move || {
        let mut poller = poller();
        let count: &'static Count = Box::leak(Box::default());
        poller.on_message(|_| count.0.set(count.0.get() + 1));
        send.send(poller.handle().clone()).expect("it is waited for");
        while !answers.are_over() {
            let ended = poller.poll(Deadline::NEVER).expect("the kernel polls");
            let messages = count.0.take();
            match (ended, messages) {
                (0, 0) if counts_wakes => answers.add(),
                (_, messages) => _ = answers.count.fetch_add(messages, Ordering::Release),
            }
        }
    });
    receive.recv().expect("it polls")
}

#[derive(Default)]
struct Count(std::cell::Cell<u64>);

/// A thread with a bare ring that reads an eventfd again and again.
fn reading<'scope>(scope: &'scope Scope<'scope, '_>, answers: &'scope Answers, fd: &'scope impl AsFd)
where
    std::os::fd::BorrowedFd<'scope>: Send,
{
    let fd = fd.as_fd();
    scope.spawn(move || {
        let mut ring = Bare::new(256);
        while !answers.are_over() {
            ring.read(fd);
            ring.wait(1);
            answers.add();
        }
    });
}

/// A place for the waker of a future that waits for nothing else.
#[derive(Default)]
struct Parked(Mutex<Option<Waker>>, AtomicU64);

impl Parked {
    fn wake(&self) {
        self.1.fetch_add(1, Ordering::Release);
        let waker = self.0.lock().expect("nobody panics").take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Answers each wake until it is over.
    async fn answer(&self, answers: &Answers) {
        let mut seen = 0;
        while !answers.are_over() {
            poll_fn(|context| {
                *self.0.lock().expect("nobody panics") = Some(context.waker().clone());
                if self.1.load(Ordering::Acquire) > seen { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            seen += 1;
            answers.add();
        }
    }
}

/// One subject: asks, then spins until it is answered.
fn round(answers: &Answers, ask: impl Fn()) -> impl FnMut() {
    let mut wanted = 0;
    move || {
        wanted += 1;
        ask();
        answers.spin_until(wanted);
    }
}

fn wakes(table: &Table) {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("handles are to be had");
    let answers: [Answers; 6] = Default::default();
    let (compio, tokio) = (Parked::default(), Parked::default());
    let kept: Arc<Mutex<Option<Operation<Nop>>>> = Arc::new(Mutex::new(Some(Operation::new(Nop))));
    std::thread::scope(|scope| {
        let [bare, woken, submitted, told, for_compio, for_tokio] = &answers;
        reading(scope, bare, &fd);
        let wake = polling(scope, woken, true);
        let submit = polling(scope, submitted, false);
        let tell = polling(scope, told, false);
        scope.spawn(|| peers::compio().block_on(compio.answer(for_compio)));
        scope.spawn(|| peers::tokio_uring().block_on(tokio.answer(for_tokio)));
        let submit_one = || {
            let operation = kept.lock().expect("nobody panics").take().expect("it has come back");
            let (back, answered) = (Arc::clone(&kept), Arc::clone(&SUBMITTED));
            let operation = operation.on_done(move |done: Done<Nop>| {
                *back.lock().expect("nobody panics") = Some(done.operation);
                answered.add();
            });
            submit.submit(operation).expect("there is room");
        };
        let figures = measure(vec![
            Subject::new("floor: eventfd, read by a bare ring", round(bare, || raise(&fd))),
            Subject::new("weft, wake", round(woken, || wake.wake())),
            Subject::new("weft, submit, callback", round(&SUBMITTED, submit_one)),
            Subject::new("weft, message", round(told, || tell.send_message(7).expect("there is room"))),
            Subject::new("compio, waker", round(for_compio, || compio.wake())),
            Subject::new("tokio-uring, waker", round(for_tokio, || tokio.wake())),
        ]);
        answers.iter().for_each(|answers| answers.is_over.store(true, Ordering::Release));
        raise(&fd);
        [&wake, &submit, &tell].iter().for_each(|handle| handle.wake());
        compio.wake();
        tokio.wake();
        table.group("a poll thread that sleeps, woken by another thread", &figures, None);
    });
}

/// Answers of the operations that are submitted one by one.
static SUBMITTED: std::sync::LazyLock<Arc<Answers>> = std::sync::LazyLock::new(Arc::default);

/// Operations of one submitting thread at once.
const WINDOW: usize = 64;

/// Times that a submitting thread submits its window in one call.
const WINDOWS: usize = 32;

/// A thread's operations, and how many of them have come back.
struct Window {
    pool: Mutex<Vec<Operation<Nop>>>,
    back: AtomicU64,
}

/// Submits a window again and again, as one batch or one by one.
fn submit_windows(handle: &Handle, window: &Arc<Window>, is_batch: bool) {
    for _ in 0..WINDOWS {
        let wanted = window.back.load(Ordering::Relaxed) + WINDOW as u64;
        let operations = std::mem::take(&mut *window.pool.lock().expect("nobody panics"));
        let mut batch = handle.batch();
        for operation in operations {
            let back = Arc::clone(window);
            let operation = operation.on_done(move |done: Done<Nop>| {
                back.pool.lock().expect("nobody panics").push(done.operation);
                back.back.fetch_add(1, Ordering::Release);
            });
            if is_batch {
                batch.add(operation).expect("there is room");
            } else {
                handle.submit(operation).expect("there is room");
            }
        }
        batch.submit().expect("the proactor is there");
        while window.back.load(Ordering::Acquire) < wanted {
            std::thread::yield_now();
        }
    }
}

fn throughput(table: &Table, threads: usize) {
    let answers = Answers::default();
    std::thread::scope(|scope| {
        let handle = polling(scope, &answers, false);
        let windows: Vec<Arc<Window>> = (0..threads)
            .map(|_| {
                let pool = Mutex::new((0..WINDOW).map(|_| Operation::new(Nop)).collect());
                Arc::new(Window { pool, back: AtomicU64::new(0) })
            })
            .collect();
        // The threads of each subject stay; they are told to go by channels.
        let gang = |is_batch: bool| {
            let (done, finished) = mpsc::channel();
            let asks: Vec<mpsc::Sender<()>> = windows
                .iter()
                .map(|window| {
                    let ((ask, asked), done) = (mpsc::channel(), done.clone());
                    let (window, handle) = (Arc::clone(window), handle.clone());
                    scope.spawn(move || {
                        while asked.recv().is_ok() {
                            submit_windows(&handle, &window, is_batch);
                            done.send(()).expect("it is waited for");
                        }
                    });
                    ask
                })
                .collect();
            move || {
                asks.iter().for_each(|ask| ask.send(()).expect("it waits"));
                asks.iter().for_each(|_| finished.recv().expect("it answers"));
            }
        };
        let per_call = (threads * WINDOW * WINDOWS) as u64;
        let mut bare = Bare::new(256);
        let figures = measure(vec![
            Subject::new("floor: bare ring, 64 at once, its own thread", || bare.nops(WINDOW))
                .per_call(WINDOW as u64),
            Subject::new("weft, batches of 64", gang(true)).per_call(per_call),
            Subject::new("weft, one by one", gang(false)).per_call(per_call),
        ]);
        answers.is_over.store(true, Ordering::Release);
        handle.wake();
        table.group(&format!("operations that do nothing, from {threads} threads"), &figures, None);
    });
}

/// Messages in one burst.
const BURST: u64 = 256;

fn messages(table: &Table, senders: usize) {
    let answers = Answers::default();
    std::thread::scope(|scope| {
        let handle = polling(scope, &answers, false);
        let (done, finished) = mpsc::channel();
        let asks: Vec<mpsc::Sender<()>> = (0..senders)
            .map(|_| {
                let ((ask, asked), done, handle) = (mpsc::channel(), done.clone(), handle.clone());
                scope.spawn(move || {
                    while asked.recv().is_ok() {
                        for payload in 0..BURST {
                            // The mailbox holds as many as one sender sends.
                            while handle.send_message(payload).is_err() {
                                std::thread::yield_now();
                            }
                        }
                        done.send(()).expect("it is waited for");
                    }
                });
                ask
            })
            .collect();
        let mut wanted = 0;
        let burst = || {
            wanted += BURST * senders as u64;
            asks.iter().for_each(|ask| ask.send(()).expect("it waits"));
            asks.iter().for_each(|_| finished.recv().expect("it answers"));
            answers.spin_until(wanted);
        };
        let figures = measure(vec![Subject::new("weft", burst).per_call(BURST * senders as u64)]);
        drop(asks);
        answers.is_over.store(true, Ordering::Release);
        handle.wake();
        table.group(&format!("messages, in bursts of 256, from {senders} threads"), &figures, None);
    });
}

pub fn run(table: &Table) {
    wakes(table);
    for threads in [1, 2, 4] {
        throughput(table, threads);
    }
    for senders in [1, 4] {
        messages(table, senders);
    }
}
