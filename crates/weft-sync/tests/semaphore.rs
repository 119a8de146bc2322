//! Timelines one call at a time, and from many threads: value, failure, timepoints, callbacks.
//!
//! Blocking is in `wait.rs`, every interleaving of small races in `loom.rs`, long random histories in
//! `properties.rs`.
#![cfg(not(loom))]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use weft_sync::{Code, Result, Semaphore, Status, Timepoint};

/// A callback by name, and the failure that it got.
type Entry = (u64, Option<Code>);

/// The outcomes that callbacks got, in the order in which they ran.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// A callback that notes `name` and the failure code.
    fn callback(&self, name: u64) -> impl FnOnce(Result<()>) + Send + 'static {
        let log = self.clone();
        move |outcome| log.0.lock().unwrap().push((name, outcome.err().map(|status| status.code())))
    }

    fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(initial))
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "the disk is gone")
}

/// [causal 25] [hal 65] A new timeline stands at its initial value and is as good from any handle.
#[test]
fn starts_at_its_initial_value() {
    assert_eq!(semaphore(0).query().unwrap(), 0);
    let first = semaphore(u64::MAX);
    let second = Arc::clone(&first);
    drop(first);
    assert_eq!(second.query().unwrap(), u64::MAX);
    assert!(second.is_reached(u64::MAX).unwrap());
}

/// [causal 26] [hal 65] Only forward, by any distance.
#[test]
fn signals_only_forward() {
    let it = semaphore(5);
    it.signal(6).unwrap();
    for value in [6, 5, 0] {
        let refused = it.signal(value).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(refused.message(), "semaphore already signaled past 6");
        assert_eq!(it.query().unwrap(), 6);
    }
    it.signal(1 << 40).unwrap();
    it.signal(u64::MAX).unwrap();
    assert_eq!(it.query().unwrap(), u64::MAX);
    assert_eq!(it.signal(u64::MAX).unwrap_err().code(), Code::InvalidArgument);
}

/// [causal 27] At once, later, overshot; of several values exactly those that are reached.
#[test]
fn timepoints_fire_when_their_value_is_reached() {
    let (it, log) = (semaphore(2), Log::default());
    it.on_reached(2, log.callback(2));
    it.on_reached(1, log.callback(1));
    assert_eq!(log.take(), [(2, None), (1, None)], "reached already: before the call returns");

    for value in [9, 3, 5, 4, 3] {
        it.on_reached(value, log.callback(value));
    }
    assert_eq!(log.take(), []);
    it.signal(3).unwrap();
    assert_eq!(log.take(), [(3, None), (3, None)]);
    it.signal(7).unwrap();
    assert_eq!(log.take(), [(4, None), (5, None)]);
    it.signal(u64::MAX).unwrap();
    assert_eq!(log.take(), [(9, None)]);
}

/// [causal 27] The far end of the timeline can be waited for.
#[test]
fn the_last_value_can_be_reached() {
    let (it, log) = (semaphore(0), Log::default());
    it.on_reached(u64::MAX, log.callback(1));
    it.signal(u64::MAX - 1).unwrap();
    assert_eq!(log.take(), []);
    it.signal(u64::MAX).unwrap();
    assert_eq!(log.take(), [(1, None)]);
}

/// [causal 28] True once while pending, false ever after; false after firing and for what fired at once.
#[test]
fn cancel_answers_whether_the_callback_was_withdrawn() {
    let (it, log) = (semaphore(0), Log::default());
    let withdrawn = it.on_reached(1, log.callback(1));
    let twin = it.on_reached(1, log.callback(2));
    assert!(withdrawn.cancel());
    assert!(!withdrawn.cancel());
    it.signal(1).unwrap();
    assert_eq!(log.take(), [(2, None)], "the twin at the same value stays");
    assert!(!twin.cancel());
    assert!(!it.on_reached(1, log.callback(3)).cancel());
    assert_eq!(log.take(), [(3, None)]);
}

/// [causal 28] What a withdrawn callback owned is given back at the cancel, and may use the semaphore then.
#[test]
fn a_withdrawn_callback_is_dropped_outside_the_lock() {
    struct SignalOnDrop(Arc<Semaphore>);
    impl Drop for SignalOnDrop {
        fn drop(&mut self) {
            self.0.signal(5).expect("the lock is free");
        }
    }
    let it = semaphore(0);
    let owned = SignalOnDrop(Arc::clone(&it));
    let timepoint = it.on_reached(9, move |_| drop(owned));
    assert!(timepoint.cancel());
    assert_eq!(it.query().unwrap(), 5);
}

/// [causal 29] [hal 66] Everything pending gets the failure, everything later too, and a second one is dropped.
#[test]
fn a_failure_is_first_sticky_and_whole() {
    let (it, log) = (semaphore(3), Log::default());
    let messages = Arc::new(Mutex::new(Vec::new()));
    for value in [4, u64::MAX] {
        let messages = Arc::clone(&messages);
        it.on_reached(value, move |outcome| {
            messages.lock().unwrap().push(outcome.unwrap_err().to_string());
        });
    }
    it.fail(lost());
    assert_eq!(*messages.lock().unwrap(), ["DATA_LOSS; the disk is gone", "DATA_LOSS; the disk is gone"]);

    it.fail(Status::new(Code::Aborted, "too late"));
    assert_eq!(it.query().unwrap_err().message(), "the disk is gone");
    it.on_reached(1, log.callback(1));
    assert_eq!(log.take(), [(1, Some(Code::DataLoss))], "failure precedes satisfaction");
    assert_eq!(it.is_reached(0).unwrap_err().code(), Code::DataLoss);
}

/// [causal 38] A signal after a failure is refused with the failure.
#[test]
fn a_failed_timeline_refuses_signals() {
    let it = semaphore(0);
    it.fail(lost());
    assert_eq!(it.signal(1).unwrap_err().code(), Code::DataLoss);
    assert_eq!(it.signal(0).unwrap_err().code(), Code::DataLoss, "failure precedes the argument check");
    assert!(format!("{it:?}").contains("value: 0"), "{it:?}");
}

/// [causal 29] Records have left the semaphore before their callbacks run.
#[test]
fn records_are_unlinked_before_callbacks_run() {
    let it = semaphore(0);
    let places: Arc<Mutex<Vec<Timepoint>>> = Arc::default();
    let withdrawn: Arc<Mutex<Vec<bool>>> = Arc::default();
    for _ in 0..2 {
        let (places_in, withdrawn) = (Arc::clone(&places), Arc::clone(&withdrawn));
        let timepoint = it.on_reached(1, move |_| {
            withdrawn.lock().unwrap().extend(places_in.lock().unwrap().iter().map(Timepoint::cancel));
        });
        places.lock().unwrap().push(timepoint);
    }
    it.fail(lost());
    assert_eq!(*withdrawn.lock().unwrap(), [false; 4], "neither its own record nor the next one is there");
    places.lock().unwrap().clear();
}

/// [causal 30] Callbacks that outlive the last handle learn that nothing will come.
#[test]
fn dropping_the_last_handle_cancels_what_is_pending() {
    let (it, log) = (semaphore(0), Log::default());
    let timepoint = it.on_reached(1, log.callback(1));
    it.on_reached(2, log.callback(2));
    drop(it);
    assert_eq!(log.take(), [], "a timepoint keeps its semaphore alive");
    drop(timepoint);
    assert_eq!(log.take(), [(1, Some(Code::Cancelled)), (2, Some(Code::Cancelled))]);
}

/// [causal 34] A timepoint fires on the thread that signals.
#[test]
fn a_timepoint_fires_on_the_signalling_thread() {
    let it = semaphore(0);
    let (sender, receiver) = std::sync::mpsc::channel();
    it.on_reached(1, move |_| sender.send(thread::current().id()).unwrap());
    let signaller = thread::spawn(move || it.signal(1).unwrap());
    assert_eq!(receiver.recv().unwrap(), signaller.thread().id());
    signaller.join().unwrap();
}

/// [causal 34] [causal 38] Eight threads try the same thousand values: no value is signalled twice.
#[test]
fn each_value_is_signalled_once() {
    const THREADS: u64 = 8;
    const VALUES: u64 = 1000;
    let it = semaphore(0);
    let winners: Vec<AtomicUsize> = (0..=VALUES).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for value in 1..=VALUES {
                    match it.signal(value) {
                        Ok(()) => drop(winners[value as usize].fetch_add(1, Ordering::Relaxed)),
                        Err(status) => assert_eq!(status.code(), Code::InvalidArgument),
                    }
                }
            });
        }
    });
    assert!(winners.iter().all(|count| count.load(Ordering::Relaxed) <= 1));
    assert_eq!(winners[VALUES as usize].load(Ordering::Relaxed), 1, "the last one cannot be overtaken");
    assert_eq!(it.query().unwrap(), VALUES);
}

/// [causal 34] A hundred registrations race with the signal that reaches them: all fire, once.
#[test]
fn concurrent_registrations_and_signal_all_fire() {
    for _ in 0..50 {
        let (it, fired) = (semaphore(0), Arc::new(AtomicUsize::new(0)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let fired = Arc::clone(&fired);
                        it.on_reached(1, move |outcome| {
                            outcome.unwrap();
                            fired.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
            scope.spawn(|| it.signal(1).unwrap());
        });
        assert_eq!(fired.load(Ordering::Relaxed), 100);
    }
}

/// [causal 35] Chains of two and three; a link of the chain may decide not to go on.
#[test]
fn callbacks_signal_further_semaphores() {
    let [first, second, third, untaken] = [0; 4].map(semaphore);
    let next = Arc::clone(&second);
    first.on_reached(1, move |_| next.signal(1).unwrap());
    let (next, never) = (Arc::clone(&third), Arc::clone(&untaken));
    second.on_reached(1, move |outcome| match outcome {
        Ok(()) => next.signal(1).unwrap(),
        Err(status) => never.fail(status),
    });
    assert_eq!(third.query().unwrap(), 0);
    first.signal(1).unwrap();
    assert_eq!((second.query().unwrap(), third.query().unwrap(), untaken.query().unwrap()), (1, 1, 0));
}

/// [causal 39] A record's callback owns it: storage is gone, and registered again, inside it.
#[test]
fn a_callback_registers_again_on_its_own_semaphore() {
    fn count_up(it: &Arc<Semaphore>, value: u64, log: &Log) {
        let (semaphore, log) = (Arc::downgrade(it), log.clone());
        it.on_reached(value, move |outcome| {
            log.callback(value)(outcome);
            if let Some(semaphore) = semaphore.upgrade()
                && value < 4
            {
                count_up(&semaphore, value + 1, &log);
            }
        });
    }
    let (it, log) = (semaphore(0), Log::default());
    count_up(&it, 1, &log);
    it.signal(1).unwrap();
    assert_eq!(log.take(), [(1, None)]);
    // The values 3 and 4 are reached when their callbacks are registered: they run at once, inside.
    it.signal(4).unwrap();
    assert_eq!(log.take(), [(2, None), (3, None), (4, None)]);
}

/// [causal 39] A callback may signal the semaphore that runs it, and release the last handle to it.
#[test]
fn a_callback_uses_and_releases_its_own_semaphore() {
    let log = Log::default();
    let it = semaphore(0);
    it.on_reached(2, log.callback(2));
    it.on_reached(9, log.callback(9));
    let own = Arc::clone(&it);
    it.on_reached(1, move |_| own.signal(3).unwrap());
    let handle = Mutex::new(Some(it));
    let signaller = Arc::clone(handle.lock().unwrap().as_ref().unwrap());
    signaller.signal(1).unwrap();
    assert_eq!(log.take(), [(2, None)]);
    signaller.on_reached(4, {
        let handle = handle.lock().unwrap().take();
        move |_| drop(handle)
    });
    let weak = Arc::downgrade(&signaller);
    signaller.signal(4).unwrap();
    drop(signaller);
    assert!(weak.upgrade().is_none());
    assert_eq!(log.take(), [(9, Some(Code::Cancelled))]);
}

/// A chain of semaphores, each signalling (or failing) the next, and a counter of the callbacks that ran.
fn chain(length: usize) -> (Vec<Arc<Semaphore>>, Arc<AtomicUsize>) {
    let semaphores: Vec<_> = (0..=length).map(|_| semaphore(0)).collect();
    let ran = Arc::new(AtomicUsize::new(0));
    for pair in semaphores.windows(2) {
        let (next, ran) = (Arc::clone(&pair[1]), Arc::clone(&ran));
        pair[0].on_reached(1, move |outcome| {
            ran.fetch_add(1, Ordering::Relaxed);
            match outcome {
                Ok(()) => next.signal(1).unwrap(),
                Err(status) => next.fail(status),
            }
        });
    }
    (semaphores, ran)
}

const CHAIN: usize = 100_000;

/// Runs `body` with a stack on which no chain of nested calls would fit.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(128 << 10).spawn(body).unwrap().join().unwrap();
}

/// [causal 39] A hundred thousand callbacks in a row take the stack of one: by signal and by failure.
#[test]
fn a_long_chain_does_not_overflow_the_stack() {
    on_a_small_stack(|| {
        let (semaphores, ran) = chain(CHAIN);
        semaphores[0].signal(1).unwrap();
        assert_eq!(semaphores[CHAIN].query().unwrap(), 1);
        assert_eq!(ran.load(Ordering::Relaxed), CHAIN);

        let (semaphores, ran) = chain(CHAIN);
        semaphores[0].fail(lost());
        assert_eq!(semaphores[CHAIN].query().unwrap_err().code(), Code::DataLoss);
        assert_eq!(ran.load(Ordering::Relaxed), CHAIN);
    });
}

/// [causal 30] [causal 39] A chain whose head is dropped is cancelled to its end, without deep recursion.
#[test]
fn a_long_chain_is_dropped_without_overflow() {
    on_a_small_stack(|| {
        let (mut semaphores, ran) = chain(CHAIN);
        let last = semaphores.pop().unwrap();
        // From the tail: every semaphore but the head is still held by the callback before it.
        while semaphores.pop().is_some() {}
        assert_eq!(ran.load(Ordering::Relaxed), CHAIN);
        assert_eq!(last.query().unwrap_err().code(), Code::Cancelled);
    });
}

/// [causal 39] Callbacks that run at once nest in their callers only to a bounded depth.
#[test]
fn a_long_chain_of_registrations_does_not_overflow_the_stack() {
    fn step(it: &Arc<Semaphore>, left: usize, ran: &Arc<AtomicUsize>) {
        let (next, counter) = (Arc::clone(it), Arc::clone(ran));
        it.on_reached(1, move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            if left > 1 {
                step(&next, left - 1, &counter);
            }
        });
    }
    on_a_small_stack(|| {
        let (it, ran) = (semaphore(1), Arc::new(AtomicUsize::new(0)));
        step(&it, CHAIN, &ran);
        assert_eq!(ran.load(Ordering::Relaxed), CHAIN, "all ran before the outermost call returned");
    });
}

/// A panic in one callback reaches the signaller, after the other callbacks had their turn.
#[test]
fn a_panicking_callback_does_not_cost_the_others_their_turn() {
    let (it, log) = (semaphore(0), Log::default());
    it.on_reached(1, |_| panic!("on purpose"));
    it.on_reached(1, log.callback(1));
    let chained = semaphore(0);
    chained.on_reached(1, log.callback(2));
    it.on_reached(1, move |_| chained.signal(1).unwrap());
    let panic = catch_unwind(AssertUnwindSafe(|| it.signal(1))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(log.take(), [(1, None), (2, None)]);
    assert!(catch_unwind(AssertUnwindSafe(|| it.on_reached(1, |_| panic!("at once")))).is_err());
    it.on_reached(1, log.callback(3));
    assert_eq!(log.take(), [(3, None)], "the thread fires as before");
}

/// Destructors of thread-local values run when the work list of the thread may be gone; they may still signal.
#[test]
fn a_thread_being_torn_down_may_still_signal() {
    struct AtExit(Arc<Semaphore>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            self.0.signal(1).unwrap();
            self.0.on_reached(1, |outcome| outcome.unwrap());
        }
    }
    thread_local!(static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) });

    for touches_work_list_first in [false, true] {
        let (it, log) = (semaphore(0), Log::default());
        it.on_reached(1, log.callback(1));
        thread::spawn(move || {
            if touches_work_list_first {
                it.on_reached(0, |_| ());
            }
            AT_EXIT.with(|slot| *slot.borrow_mut() = Some(AtExit(Arc::clone(&it))));
            if !touches_work_list_first {
                it.on_reached(0, |_| ());
            }
        })
        .join()
        .unwrap();
        assert_eq!(log.take(), [(1, None)]);
    }
}
