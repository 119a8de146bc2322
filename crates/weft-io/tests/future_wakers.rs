//! Wakers that do more than wake, and futures that go while their operations end.

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use weft_io::ops::{Nop, Timer};
use weft_io::{Config, Operation, Poller, open_null};
use weft_sync::Deadline;

thread_local! {
    static POLLER: RefCell<Option<Poller>> = const { RefCell::new(None) };
}

fn poll_the_poller() {
    POLLER.with_borrow_mut(|poller| {
        let poller = poller.as_mut().expect("put there by the test");
        // Nothing may be there to end.
        let _ = poller.poll(Deadline::IMMEDIATE);
    });
}

/// Polls when it is dropped.
struct Nosy;

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Nosy {
    fn drop(&mut self) {
        poll_the_poller();
    }
}

/// The old waker goes when a future is looked at with a new one; that may end the very operation.
#[test]
fn a_waker_may_poll_when_it_is_dropped() {
    POLLER.set(Some(open_null(&Config::new()).into_poller().unwrap()));
    let handle = POLLER.with_borrow(|poller| poller.as_ref().unwrap().handle().clone());
    let mut future = handle.run(Nop);
    let nosy = Waker::from(Arc::new(Nosy));
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&nosy)).is_pending());
    drop(nosy);
    let is_ready = (0..5).any(|_| {
        let looked = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
        poll_the_poller();
        matches!(looked, Poll::Ready(done) if done.result.is_ok())
    });
    assert!(is_ready, "its end was seen");
    drop(future);
    drop(POLLER.take());
}

/// Not woken, but kept and given back.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future leaves on one thread while its operation ends on another: its waker is dropped once, and nobody else's. What
/// takes the operation over uses its memory again at once.
#[test]
fn futures_leave_while_operations_end() {
    let mut poller = open_null(&Config::new()).into_poller().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let leavers: Vec<_> = (0..2)
            .map(|thread| {
                let (handle, is_over) = (poller.handle().clone(), &is_over);
                scope.spawn(move || {
                    for round in (thread..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                        leave(&handle, round);
                    }
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_millis(700);
        while leavers.iter().any(|leaver| !leaver.is_finished()) {
            let _ = poller.poll(Deadline::after(Duration::from_micros(50)));
            is_over.store(Instant::now() > end, Ordering::Relaxed);
        }
    });
}

fn leave(handle: &weft_io::Handle, round: u64) {
    let again = handle.clone();
    let timer = Timer { deadline: Deadline::after(Duration::from_nanos(round * 7 % 3000)) };
    let timer = Operation::new(timer).on_done(move |done| {
        // The memory is used again, and awaited by another waker, for a moment.
        let mut future = again.run(done.operation);
        let waker = Waker::from(Arc::new(Counted::default()));
        let _ = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    });
    let mut future = handle.run(timer);
    let counted = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&counted));
    let looked = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    drop(waker);
    (0..round * 13 % 200).for_each(|_| std::hint::spin_loop());
    drop(future);
    if looked.is_pending() {
        let limit = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&counted) != 1 {
            assert!(Instant::now() < limit, "a waker is kept for ever");
            std::thread::yield_now();
        }
    }
}
