//! Operations that are awaited: on the poll thread, on others, and not to their end.

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use support::{Log, after_ms, every, every_with, poll_dry, poll_until};
use weft_io::ops::{FutexWait, Message, Nop, NotificationWait, SemaphoreSignal, SemaphoreWait, Timer};
use weft_io::{Config, Done, Handle, Notification, Operation, Params, Poller, Running, WAKE_ALL, open_null};
use weft_sync::{Code, Deadline, Point, Semaphore};

fn timer(deadline: Deadline) -> Operation<Timer> {
    Operation::new(Timer { deadline })
}

fn code(done: &Done<Timer>) -> Option<Code> {
    done.result.as_ref().err().map(|status| status.code())
}

/// The smallest executor: a thread that parks.
struct Parked {
    thread: Thread,
    wakes: AtomicUsize,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.thread.unpark();
    }
}

fn park_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let parked = Arc::new(Parked { thread: thread::current(), wakes: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&parked));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park_timeout(Duration::from_secs(10));
        assert!(parked.wakes.load(Ordering::Relaxed) > 0, "woken in ten seconds");
    }
}

/// Looks once.
fn look<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls on this thread while `body` runs on another one.
fn polling<R: Send>(poller: &mut Poller, body: impl FnOnce(Handle) -> R + Send) -> R {
    let handle = poller.handle().clone();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let value = body(handle.clone());
            is_over.store(true, Ordering::Release);
            handle.wake();
            value
        });
        while !is_over.load(Ordering::Acquire) {
            drop(poller.poll(after_ms(10_000)));
            assert!(!other.is_finished() || is_over.load(Ordering::Acquire), "the other thread has failed");
        }
        other.join().unwrap()
    })
}

/// [async 17] [async 18] [async 19] [async 39] Started together, awaited in turn; each comes back, and again.
#[test]
fn operations_are_awaited_on_the_poll_thread() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let count = subject.poller.block_on(async {
            let mut operations: VecDeque<Operation<Nop>> = (0..32).map(|_| Operation::new(Nop)).collect();
            let mut count = 0;
            for _ in 0..3 {
                let running: Vec<Running<'_, Nop>> =
                    operations.drain(..).map(|nop| handle.run(nop)).collect();
                for nop in running {
                    let done = nop.await;
                    done.result.unwrap();
                    operations.push_back(done.operation);
                    count += 1;
                }
            }
            count
        });
        assert_eq!(count.unwrap(), 96, "{}", subject.name);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 31] [async 229] [async 232] [async 234] One after the other, of every family, with the results in their types.
#[test]
fn a_chain_of_awaits_is_a_chain() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let inbox = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&inbox);
        subject.poller.on_message(move |payload| into.lock().unwrap().push(payload));
        let (first, second) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let point = |semaphore: &Arc<Semaphore>, value| Point { semaphore: Arc::clone(semaphore), value };
        let changed = Arc::new(Notification::new());
        let winner = subject.poller.block_on(async {
            let any = handle.run(SemaphoreWait::any([point(&first, 9), point(&second, 1)]));
            let heard = handle.run(NotificationWait::new(Arc::clone(&changed)));
            let start = std::time::Instant::now();
            handle.run(timer(after_ms(2))).await.result.unwrap();
            assert!(start.elapsed() >= Duration::from_millis(2));
            handle.run(SemaphoreSignal::new([point(&second, 1)])).await.result.unwrap();
            assert_eq!(second.query().unwrap(), 1, "before the await is over");
            handle.run(Message { target: handle.clone(), payload: 7 }).await.result.unwrap();
            changed.signal(WAKE_ALL);
            heard.await.result.unwrap();
            any.await.result.unwrap()
        });
        assert_eq!(winner.unwrap(), 1);
        poll_until(&mut subject.poller, || *inbox.lock().unwrap() == [7]);
    });
}

/// [async 79] [async 81] [async 87] A future can ask its operation to end, and stays to see it.
#[test]
fn a_future_can_cancel_and_stay() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let done = subject.poller.block_on(async {
            let never = handle.run(timer(Deadline::NEVER));
            never.cancel();
            never.cancel();
            never.await
        });
        assert_eq!(code(&done.unwrap()), Some(Code::Cancelled));
        let done = polling(&mut subject.poller, |handle| {
            let never = handle.run(timer(Deadline::NEVER));
            thread::sleep(Duration::from_millis(2));
            never.cancel();
            park_on(never)
        });
        assert_eq!(code(&done), Some(Code::Cancelled), "{}", subject.name);
        let quick = subject.poller.block_on(async {
            let quick = handle.run(timer(Deadline::IMMEDIATE));
            handle.run(timer(after_ms(1))).await.result.unwrap();
            quick.cancel();
            quick.await
        });
        assert_eq!(code(&quick.unwrap()), None, "it had ended");
    });
}

/// [async 79] [async 91] [async 95] A future that is dropped asks for a cancel; the operation and what it holds end with
/// the proactor, not before, and exactly once.
#[test]
fn a_dropped_future_leaves_its_operation_to_the_proactor() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let changed = Arc::new(Notification::new());
        let wait = handle.run(NotificationWait::new(Arc::clone(&changed)));
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        assert_eq!(subject.poller.under_way(), 1);
        drop(wait);
        assert!(Arc::strong_count(&changed) > 1, "the proactor still has it");
        assert_eq!(subject.poller.poll(Deadline::IMMEDIATE).unwrap(), 1);
        assert_eq!((Arc::strong_count(&changed), subject.poller.under_way()), (1, 0), "{}", subject.name);
        // Before it has started.
        drop(handle.run(NotificationWait::new(Arc::clone(&changed))));
        assert_eq!(subject.poller.poll(Deadline::IMMEDIATE).unwrap(), 1);
        assert_eq!(Arc::strong_count(&changed), 1);
        // After it has ended, unseen.
        let over = handle.run(NotificationWait::since(Arc::clone(&changed), changed.epoch().wrapping_sub(1)));
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        assert_eq!(Arc::strong_count(&changed), 2, "it is the future's");
        drop(over);
        assert_eq!(Arc::strong_count(&changed), 1);
        // One that was looked at holds a task; a future that is gone holds none.
        let parked = Arc::new(Parked { thread: thread::current(), wakes: AtomicUsize::new(0) });
        let waker = Waker::from(Arc::clone(&parked));
        let mut wait = handle.run(NotificationWait::new(Arc::clone(&changed)));
        for _ in 0..2 {
            assert!(Pin::new(&mut wait).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&parked), 3);
        drop(wait);
        assert_eq!(Arc::strong_count(&parked), 2);
        assert!(Arc::strong_count(&changed) > 1, "the proactor still has it");
        assert_eq!(poll_dry(&mut subject.poller), 1);
        assert_eq!((Arc::strong_count(&changed), parked.wakes.load(Ordering::Relaxed)), (1, 0));
    });
}

/// [async 19] [async 79] What has a callback goes there if nobody awaits it any more; else to its future, which gets the
/// callback back with it.
#[test]
fn an_operation_without_its_future_goes_to_its_callback() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (sender, receiver) = mpsc::channel();
        let with_place = |deadline| {
            let sender = sender.clone();
            timer(deadline).on_done(move |done| sender.send((code(&done), done.operation)).unwrap())
        };
        drop(handle.run(with_place(Deadline::NEVER)));
        assert!(receiver.try_recv().is_err());
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        let (outcome, operation) = receiver.try_recv().unwrap();
        assert_eq!(outcome, Some(Code::Cancelled));
        assert_eq!(operation.into_params().deadline, Deadline::NEVER);
        // It had ended; nobody looked.
        let over = handle.run(with_place(Deadline::IMMEDIATE));
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        assert!(receiver.try_recv().is_err());
        drop(over);
        assert_eq!(receiver.try_recv().unwrap().0, None);
        // It goes to its future, then it is submitted, with the callback that it still has.
        let run = handle.run(with_place(Deadline::IMMEDIATE));
        let done = subject.poller.block_on(run).unwrap();
        assert!(receiver.try_recv().is_err());
        handle.submit(done.operation).unwrap();
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1);
        assert_eq!(receiver.try_recv().unwrap().0, None, "{}", subject.name);
    });
}

/// [async 24] [async 27] [async 173] [async 237] [async 260] A refusal is a result, and brings the operation back; the end
/// of the proactor ends what is awaited.
#[test]
fn refusals_and_the_end_are_results() {
    every_with(&Config { operations_max: 1, ..Config::new() }, |subject| {
        let handle = subject.poller.handle().clone();
        let mut first = handle.run(timer(Deadline::NEVER));
        let refused = park_on(handle.run(timer(Deadline::IMMEDIATE)));
        assert_eq!(code(&refused), Some(Code::ResourceExhausted));
        assert_eq!(refused.operation.into_params().deadline, Deadline::IMMEDIATE);
        let semaphore = Arc::new(Semaphore::new(0));
        let points = vec![Point { semaphore, value: 1 }; 256];
        assert_eq!(
            park_on(handle.run(SemaphoreWait::all(points))).result.unwrap_err().code(),
            Code::OutOfRange
        );
        if !handle.capabilities().contains(weft_io::Capabilities::FUTEX_OPERATIONS) {
            let wait = FutexWait { word: Arc::default(), expected: 0 };
            assert_eq!(park_on(handle.run(wait)).result.unwrap_err().code(), Code::Unavailable);
        }
        assert!(look(&mut first).is_pending());
        drop(subject);
        assert_eq!(code(&park_on(first)), Some(Code::Cancelled));
        let late = park_on(handle.run(timer(Deadline::IMMEDIATE)));
        assert_eq!(code(&late), Some(Code::Aborted));
        drop(handle.run(late.operation));
    });
}

/// Polled after its value was given out, a future panics, as the language's own do.
#[test]
fn a_future_is_over_once() {
    let mut poller = open_null(&Config::new()).into_poller().unwrap();
    let handle = poller.handle().clone();
    let mut nop = handle.run(Nop);
    poller.poll(Deadline::NEVER).unwrap();
    assert!(look(&mut nop).is_ready());
    let again = std::panic::AssertUnwindSafe(|| look(&mut nop));
    assert!(std::panic::catch_unwind(again).is_err());
    drop(nop);
}

/// [async 26] [async 41] [async 42] Tasks on four threads, each in an executor of its own, while this one polls; every
/// operation is used again and again.
#[test]
fn other_threads_await_while_this_one_polls() {
    every(|mut subject| {
        let rounds = if subject.is_real { 200 } else { 1000 };
        let count = polling(&mut subject.poller, |handle| {
            thread::scope(|scope| {
                let awaiting = |_| {
                    scope.spawn(|| {
                        park_on(async {
                            let mut operation = Operation::new(Nop);
                            for _ in 0..rounds {
                                let done = handle.run(operation).await;
                                done.result.unwrap();
                                operation = done.operation;
                            }
                            rounds
                        })
                    })
                };
                let threads: Vec<_> = (0..4).map(awaiting).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        });
        assert_eq!(count, 4 * rounds);
        poll_dry(&mut subject.poller);
        assert_eq!(subject.poller.under_way(), 0);
    });
}

/// [async 38] [async 43] [async 86] [async 92] Futures that are looked at, woken, cancelled and dropped at any moment
/// against a poll thread that ends their operations: each comes back once, to its future or to its place.
#[test]
fn futures_are_dropped_at_any_moment() {
    every(|mut subject| {
        let rounds = if subject.is_real { 300 } else { 2000 };
        let placed = Arc::new(AtomicUsize::new(0));
        let seen = polling(&mut subject.poller, |handle| {
            thread::scope(|scope| {
                let storming = |seed: usize| {
                    let (handle, placed) = (&handle, &placed);
                    scope.spawn(move || {
                        (0..rounds).filter(|round| storm(handle, placed, seed + round)).count()
                    })
                };
                let threads: Vec<_> = (0..2).map(storming).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        });
        poll_dry(&mut subject.poller);
        assert_eq!(subject.poller.under_way(), 0);
        assert_eq!(seen + placed.load(Ordering::Relaxed), 2 * rounds, "{}", subject.name);
    });
}

/// The place of operations whose futures are gone.
fn counting<P: Params>(placed: &Arc<AtomicUsize>) -> impl FnOnce(Done<P>) + Send + 'static {
    let placed = Arc::clone(placed);
    move |_| {
        placed.fetch_add(1, Ordering::Relaxed);
    }
}

/// One operation, treated in one of several ways. Whether its future has seen it.
fn storm(handle: &Handle, placed: &Arc<AtomicUsize>, round: usize) -> bool {
    if round.is_multiple_of(2) {
        let mut nop = handle.run(Operation::new(Nop).on_done(counting(placed)));
        (0..round % 7).for_each(|_| thread::yield_now());
        let is_seen = look(&mut nop).is_ready();
        if !is_seen && round.is_multiple_of(3) {
            park_on(nop).result.unwrap();
            return true;
        }
        return is_seen;
    }
    let soon = Deadline::after(Duration::from_micros(round as u64 % 50));
    let timer = handle.run(timer(soon).on_done(counting(placed)));
    if round.is_multiple_of(3) {
        timer.cancel();
        drop(park_on(timer));
        return true;
    }
    (0..round % 5).for_each(|_| thread::yield_now());
    drop(timer);
    false
}

/// A future may await what no proactor does: its waker works from any thread.
#[test]
fn whoever_wakes_the_future_wakes_the_poll() {
    every(|mut subject| {
        let is_set = Arc::new(AtomicBool::new(false));
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let (flag, left) = (Arc::clone(&is_set), Arc::clone(&slot));
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(3));
            flag.store(true, Ordering::Release);
            if let Some(waker) = left.lock().unwrap().take() {
                waker.wake();
            }
        });
        let waiting = std::future::poll_fn(|context| {
            *slot.lock().unwrap() = Some(context.waker().clone());
            if is_set.load(Ordering::Acquire) { Poll::Ready(5) } else { Poll::Pending }
        });
        assert_eq!(subject.poller.block_on(waiting).unwrap(), 5);
        other.join().unwrap();
    });
}

/// One that was refused has one receiver like any: its future; the callback, if that is dropped before it is awaited.
#[test]
fn a_refused_operation_goes_to_its_callback_when_its_future_is_dropped() {
    let mut poller = open_null(&Config { operations_max: 1, ..Config::new() }).into_poller().unwrap();
    let handle = poller.handle().clone();
    let log = Log::default();
    let first = handle.run(Operation::new(Nop).on_done(log.line("first")));
    let refused = handle.run(Operation::new(Nop).on_done(log.line("refused")));
    drop(refused);
    assert_eq!(log.take(), [("refused", Some(Code::ResourceExhausted))]);
    let awaited = handle.run(Operation::new(Nop).on_done(log.line("awaited")));
    let done = poller.block_on(awaited).unwrap();
    assert_eq!(done.result.unwrap_err().code(), Code::ResourceExhausted);
    drop(done.operation);
    poller.block_on(first).unwrap().result.unwrap();
    assert_eq!(log.len(), 0, "the callback of one that was awaited is not called");
}
