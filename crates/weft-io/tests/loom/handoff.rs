//! An operation ends while its future looks, looks with another waker, or goes.

use super::{Plain, model};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use weft_io::model::{Finished, Handoff, Where};

/// Not part of the model: counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an operation is to its ends.
struct Shared {
    handoff: Handoff,
    operation: Plain<u32>,
}

fn shared() -> Arc<Shared> {
    let shared = Shared { handoff: Handoff::new(), operation: Plain::new(0) };
    shared.handoff.begin();
    Arc::new(shared)
}

impl Shared {
    /// The end of the proactor. Whether it was alone.
    #[allow(unsafe_code, reason = "the end that ends the operation, once")]
    fn finish(&self) -> bool {
        assert!(self.handoff.is_awaited());
        self.operation.set(7);
        // SAFETY: the only call.
        match unsafe { self.handoff.finish() } {
            Finished::Handed(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                false
            }
            Finished::Alone => {
                self.own();
                // As if it were freed: a waker that is looked for now is not found.
                self.handoff.forget_waker();
                true
            }
        }
    }

    /// The future looks. Whether it has the operation.
    #[allow(unsafe_code, reason = "the future's end, on one thread")]
    fn look(&self, waker: &Waker) -> bool {
        // SAFETY: one thread, before `leave`.
        let is_done = unsafe { self.handoff.park(waker, Where::Anywhere) };
        if is_done {
            self.own();
        }
        is_done
    }

    /// The future goes. Whether the operation is the other end's.
    #[allow(unsafe_code, reason = "the future's end, on one thread")]
    fn leave(&self) -> bool {
        // SAFETY: the last call.
        let is_left = unsafe { self.handoff.leave(Where::Anywhere) };
        if !is_left {
            self.own();
        }
        is_left
    }

    /// Whoever owns the operation in the end may do with it as it likes.
    fn own(&self) {
        assert_eq!(self.operation.get(), 7, "it has ended");
        self.operation.set(8);
    }
}

fn finish_elsewhere(shared: &Arc<Shared>) -> thread::JoinHandle<bool> {
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.finish())
}

/// A future that was not done is woken, by the waker of its last look: it may always wait for that.
#[test]
fn the_last_waker_is_woken() {
    for looks in 1..=3 {
        model(move || {
            let shared = shared();
            let other = finish_elsewhere(&shared);
            let wakes: Vec<Arc<Wakes>> = (0..looks).map(|_| Arc::default()).collect();
            let is_done = wakes.iter().any(|wake| shared.look(&Waker::from(Arc::clone(wake))));
            assert!(!other.join().unwrap(), "the future is there");
            if !is_done {
                let last = wakes.last().unwrap();
                assert!(last.0.load(Ordering::Relaxed) > 0, "it waits for ever");
                assert!(shared.look(Waker::noop()));
            }
        });
    }
}

/// Either end may be last; exactly one owns the operation then, and no waker is kept by a future that is gone.
#[test]
fn one_end_owns_the_operation() {
    for looks in 0..=2 {
        model(move || {
            let shared = shared();
            let other = finish_elsewhere(&shared);
            let wake = Arc::new(Wakes::default());
            let is_done = (0..looks).any(|_| shared.look(&Waker::from(Arc::clone(&wake))));
            let is_left = !is_done && shared.leave();
            let is_alone = other.join().unwrap();
            assert_eq!(is_alone, is_left);
            assert_eq!(Arc::strong_count(&wake), 1);
        });
    }
}

/// A future that looks again with the same waker leaves it there, and is woken by it; once, and it is dropped once.
#[test]
fn a_waker_that_stays_is_woken_once() {
    model(|| {
        let shared = shared();
        let other = finish_elsewhere(&shared);
        let wake = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wake));
        let is_done = (0..3).any(|_| shared.look(&waker));
        assert!(!other.join().unwrap(), "the future is there");
        assert!(is_done || wake.0.load(Ordering::Relaxed) == 1);
        assert!(is_done || shared.look(&waker));
        drop(waker);
        assert_eq!(Arc::strong_count(&wake), 1);
    });
}

/// The future looks at home, then goes to another thread and looks, or leaves, there, while the operation ends at home.
#[test]
fn a_future_leaves_home() {
    for leaves in [false, true] {
        model(move || {
            let shared = shared();
            let wakes: [Arc<Wakes>; 2] = Default::default();
            let [first, second] = wakes.each_ref().map(|wake| Waker::from(Arc::clone(wake)));
            #[allow(unsafe_code, reason = "the future's end, on the thread that ends the operation below")]
            // SAFETY: before `leave`.
            let is_done = unsafe { shared.handoff.park(&first, Where::Home) };
            assert!(!is_done);
            drop(first);
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || if leaves { !shared.leave() } else { shared.look(&second) })
            };
            let is_alone = shared.finish();
            let is_done = other.join().unwrap();
            assert_eq!(is_alone, leaves && !is_done);
            let woken = wakes.each_ref().map(|wake| wake.0.load(Ordering::Relaxed));
            assert!(leaves || is_done || woken == [0, 1], "whoever looked last is woken");
            assert_eq!(wakes.map(|wake| Arc::strong_count(&wake)), [1, 1]);
        });
    }
}
