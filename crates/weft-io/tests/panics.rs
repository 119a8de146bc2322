//! What users gave to a proactor panics: the panic leaves the poll, and nothing else goes amiss.

mod support;

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use support::{CANCELLED, Log, Subject, after_ms, every, poll_until, real};
use weft_io::ops::{Nop, SemaphoreSignal, SemaphoreWait, Sequence, Step, Timer};
use weft_io::{
    Config, Event, EventSource, Operation, Progressed, RelayPlan, RelaySink, RelaySource, RelayState, Runner,
    RunnerOptions, open_any, open_null,
};
use weft_sync::{Code, Deadline, Point, Semaphore};

/// Panics with this, without what the hook would print.
fn panic_with(payload: &'static str) {
    resume_unwind(Box::new(payload));
}

/// Polls, and says what it panicked with.
fn poll_panics(subject: &mut Subject) -> Option<&'static str> {
    let polled = catch_unwind(AssertUnwindSafe(|| subject.poller.poll(after_ms(5_000))));
    polled.err().map(|payload| payload.downcast_ref::<&'static str>().copied().expect("the test's own"))
}

fn bad_nop(log: &Log, payload: &'static str) -> Operation<Nop> {
    let line = log.line(payload);
    Operation::new(Nop).on_done(move |done| {
        line(done);
        panic_with(payload);
    })
}

/// What came with the one whose callback panicked is called back too, and the next poll waits for nothing that has been
/// there.
#[test]
fn a_callback_that_panics_leaves_nothing_behind() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let mut batch = handle.batch();
        batch.add(bad_nop(&log, "first")).unwrap();
        batch.then(bad_nop(&log, "second")).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        for _ in 0..40 {
            batch.add(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
        }
        batch.submit().unwrap();
        assert_eq!(poll_panics(&mut subject), Some("first"), "{}", subject.name);
        let start = Instant::now();
        while log.len() < 43 {
            // A small ring takes more than one poll, and the second panic may be in another one.
            drop(catch_unwind(AssertUnwindSafe(|| subject.poller.poll(after_ms(5_000)))));
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{}", subject.name);
        assert_eq!(subject.poller.under_way(), 0);
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err(), "the panic came out once");
    });
}

/// A timepoint that panics in the poll thread's turn costs neither the signal its end nor the timelines behind it theirs.
#[test]
fn a_timepoint_that_panics_does_not_take_the_signal_along() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let timelines: Vec<_> = (0..3).map(|_| Arc::new(Semaphore::new(0))).collect();
        let points: Vec<_> =
            timelines.iter().map(|semaphore| Point { semaphore: Arc::clone(semaphore), value: 1 }).collect();
        let timepoint = timelines[1].on_reached(1, |_| panic_with("timepoint"));
        let wait = SemaphoreWait::all(points.clone());
        handle.submit(Operation::new(wait).on_done(log.line("wait"))).unwrap();
        handle.submit(Operation::new(SemaphoreSignal::new(points)).on_done(log.line("signal"))).unwrap();
        for _ in 0..3 {
            handle.submit(Operation::new(Nop).on_done(log.line("behind"))).unwrap();
        }
        assert_eq!(poll_panics(&mut subject), Some("timepoint"), "{}", subject.name);
        poll_until(&mut subject.poller, || log.len() == 5);
        assert!(log.take().iter().all(|(_, code)| code.is_none()), "{}", subject.name);
        assert_eq!(subject.poller.under_way(), 0);
        drop(timepoint);
    });
}

/// Whoever drops a poller is told of no panic, and everything is called back, started or not.
#[test]
fn a_poller_that_is_dropped_calls_everything_back_whatever_panics() {
    for polls in [false, true] {
        every(|Subject { name, mut poller, .. }| {
            let handle = poller.handle().clone();
            let log = Log::default();
            let mut batch = handle.batch();
            for place in 0..8 {
                let line = log.line("timer");
                let timer = Operation::new(Timer { deadline: Deadline::NEVER }).on_done(move |done| {
                    line(done);
                    panic_with("on the way out");
                });
                let added = if place % 2 == 0 { batch.add(timer) } else { batch.then(timer) };
                added.unwrap();
            }
            batch.submit().unwrap();
            if polls {
                assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            }
            drop(poller);
            assert_eq!(log.take(), [("timer", CANCELLED); 8], "{name}");
            assert_eq!(handle.send_message(1).unwrap_err().code(), Code::Aborted);
            let source = EventSource::register(&handle, Event::new().unwrap(), |_| {});
            assert_eq!(source.unwrap_err().why.code(), Code::Aborted);
        });
    }
}

/// A message callback that panics is called with the rest of the mailbox.
#[test]
fn a_message_callback_that_panics_loses_no_message() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let seen = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&seen);
        subject.poller.on_message(move |payload| {
            count.fetch_add(1, Ordering::Relaxed);
            if payload % 2 == 0 {
                panic_with(if payload == 0 { "first" } else { "later" });
            }
        });
        (0..5).for_each(|payload| handle.send_message(payload).unwrap());
        assert_eq!(poll_panics(&mut subject), Some("first"), "{}", subject.name);
        assert_eq!(seen.load(Ordering::Relaxed), 5, "{}", subject.name);
        handle.send_message(7).unwrap();
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 0);
        assert_eq!(seen.load(Ordering::Relaxed), 6);
    });
}

/// A progress callback that panics is removed: polls wait again. The others run.
#[test]
fn a_progress_callback_that_panics_is_removed() {
    every(|mut subject| {
        let runs = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&runs);
        let progress = subject.poller.progress().clone();
        progress.register(|| {
            panic_with("progress");
            Progressed::Keep(0)
        });
        progress.register(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Progressed::Remove(0)
        });
        assert_eq!(poll_panics(&mut subject), Some("progress"), "{}", subject.name);
        assert_eq!((progress.count(), runs.load(Ordering::Relaxed)), (0, 1), "{}", subject.name);
        let start = Instant::now();
        assert!(subject.poller.poll(after_ms(20)).is_err());
        assert!(start.elapsed() >= Duration::from_millis(20), "nothing keeps it from waiting");
    });
}

/// What a panicking watch was told with is told too: messages, other sources, other operations.
#[test]
fn a_source_that_panics_takes_no_other_news_along() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let (bad, good) = (Event::new().unwrap(), Event::new().unwrap());
        let (taken, told) = (good.clone(), log.clone());
        let first = EventSource::register(&handle, bad.clone(), |_| panic_with("source")).unwrap();
        let other = EventSource::register(&handle, good.clone(), move |_| {
            taken.reset();
            told.write("told", None);
        });
        let message = log.clone();
        subject.poller.on_message(move |_| message.write("message", None));
        drop(subject.poller.poll(Deadline::IMMEDIATE));
        bad.set();
        good.set();
        handle.send_message(1).unwrap();
        handle.submit(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        let mut panics = 0;
        while (log.len() < 3 || panics == 0) && Instant::now() < limit {
            panics += u32::from(poll_panics(&mut subject).is_some());
        }
        assert_eq!((log.len(), panics), (3, 1), "{}", subject.name);
        drop((first, other));
    });
}

/// An error callback that panics takes no other relay of its handle along: the next is told of the fault, the one behind it
/// fires; and relays that stay are told again.
#[test]
fn a_relay_that_panics_takes_no_other_along() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let reader = Arc::new(reader);
        let (told, reached) = (Arc::new(AtomicU32::new(0)), Event::new().unwrap());
        let relay = |sink: Event, on_fault: Box<dyn FnOnce() + Send>| {
            let plan = RelayPlan::new(RelaySource::handle(Arc::clone(&reader)), RelaySink::event(sink));
            plan.persistent().error_sensitive().on_fault(|_| on_fault())
        };
        let count = Arc::clone(&told);
        let bad = relay(Event::new().unwrap(), Box::new(|| panic_with("fault"))).register(&handle).unwrap();
        let note = Box::new(move || _ = count.fetch_add(1, Ordering::Relaxed));
        let second = relay(Event::new().unwrap(), note).register(&handle).unwrap();
        let source = RelaySource::handle(Arc::clone(&reader));
        let third = RelayPlan::new(source, RelaySink::event(reached.clone())).register(&handle).unwrap();
        drop(subject.poller.poll(Deadline::IMMEDIATE));
        drop(writer);
        assert_eq!(poll_panics(&mut subject), Some("fault"), "{}", subject.name);
        assert_eq!((bad.state(), second.state()), (RelayState::Faulted, RelayState::Faulted));
        assert_eq!(told.load(Ordering::Relaxed), 1, "{}", subject.name);
        assert!(third.state() == RelayState::Done && reached.reset(), "{}", subject.name);
        assert!(subject.poller.poll(after_ms(5)).is_err(), "{}: nobody is left", subject.name);
    });
}

/// A handle that panics when it is asked for as often as that.
struct Refusing {
    event: Event,
    left: AtomicU32,
}

impl AsFd for Refusing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            panic_with("no handle");
        }
        self.event.as_fd()
    }
}

/// A sink that panics when it is asked for its handle faults its relay; the one beside it stays, and is told again.
#[test]
fn a_sink_that_panics_faults_its_relay() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (input, good) = (Event::new().unwrap(), Event::new().unwrap());
        // Asked once when it is checked.
        let sink = Refusing { event: Event::new().unwrap(), left: AtomicU32::new(1) };
        let shared = Arc::new(input.clone());
        let plan = |sink| RelayPlan::new(RelaySource::handle(Arc::clone(&shared)), sink).persistent();
        let bad = plan(RelaySink::handle(sink, 1)).register(&handle).unwrap();
        let other = plan(RelaySink::event(good.clone())).register(&handle).unwrap();
        input.set();
        assert_eq!(poll_panics(&mut subject), Some("no handle"), "{}", subject.name);
        assert!(bad.state() == RelayState::Faulted && good.reset(), "{}", subject.name);
        input.set();
        let start = Instant::now();
        while !good.reset() {
            assert_eq!(subject.poller.poll(after_ms(5_000)).unwrap(), 0, "{}", subject.name);
            assert!(start.elapsed() < Duration::from_secs(10), "{}", subject.name);
        }
        assert_eq!(other.state(), RelayState::Active);
    });
}

/// A source that panics when it is asked for its handle is not registered. What was registered behind it is, and nothing else
/// that the poll had to do is lost.
#[test]
fn a_source_without_a_handle_takes_no_other_along() {
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let message = log.clone();
        subject.poller.on_message(move |_| message.write("message", None));
        let bad = Refusing { event: Event::new().unwrap(), left: AtomicU32::new(0) };
        let bad = EventSource::register(&handle, bad, |_| unreachable!("it has no handle")).unwrap();
        let event = Event::new().unwrap();
        let (taken, told) = (event.clone(), log.clone());
        let good = EventSource::register(&handle, event.clone(), move |_| {
            taken.reset();
            told.write("told", None);
        });
        event.set();
        handle.send_message(1).unwrap();
        handle.wake();
        assert_eq!(poll_panics(&mut subject), Some("no handle"), "{}", subject.name);
        let start = Instant::now();
        while log.len() < 2 {
            assert_eq!(subject.poller.poll(after_ms(5_000)).unwrap(), 0, "{}", subject.name);
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{}", subject.name);
        drop((bad, good));
    });
}

/// A waker is user code too: one that panics costs neither its future the result nor others their callbacks.
#[test]
fn a_waker_that_panics_leaves_nothing_behind() {
    struct Panicking;
    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic_with("waker");
        }
    }
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let mut future = pin!(handle.run(Nop));
        let waker = Waker::from(Arc::new(Panicking));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        for _ in 0..4 {
            handle.submit(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
        }
        assert_eq!(poll_panics(&mut subject), Some("waker"), "{}", subject.name);
        let start = Instant::now();
        poll_until(&mut subject.poller, || log.len() == 4);
        assert!(start.elapsed() < Duration::from_secs(4), "{}", subject.name);
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready(), "{}", subject.name);
    });
}

/// A runner stops at a panic, and goes on where it was when it is resumed: nobody is left uncalled, nobody called twice.
#[test]
fn a_runner_that_is_resumed_after_a_panic_has_lost_nothing() {
    let Ok(proactor) = open_any(&Config::new()) else { return println!("skipped: nothing can be opened") };
    let runner = Runner::start(proactor, RunnerOptions::new()).unwrap();
    let log = Log::default();
    let mut batch = runner.handle().batch();
    batch.add(bad_nop(&log, "bad")).unwrap();
    for _ in 0..40 {
        batch.add(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
    }
    batch.submit().unwrap();
    runner.join(after_ms(20_000)).unwrap();
    assert!(runner.consume_status().is_some(), "it says that it has stopped, and why");
    runner.resume().unwrap();
    runner.handle().submit(Operation::new(Nop).on_done(log.line("after"))).unwrap();
    let start = Instant::now();
    while log.len() < 42 {
        assert!(start.elapsed() < Duration::from_secs(20), "{} of 42", log.len());
        std::thread::yield_now();
    }
    runner.request_stop();
    runner.join(after_ms(20_000)).unwrap();
    assert_eq!(log.len(), 42);
}

/// Panics again when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic_with("once more");
    }
}

fn panic_twice() {
    resume_unwind(Box::new(Twice));
}

/// What somebody panics with may panic when it is dropped: a sequence fails all the same, and ends once.
#[test]
fn a_sequence_whose_function_panics_twice_ends() {
    every(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let log = Log::default();
        let sequence = Sequence::with_advance(vec![Step::new(Nop), Step::new(Nop)], |_, _| {
            panic_twice();
            Ok(())
        });
        handle.submit(Operation::new(sequence).on_done(log.line("sequence"))).unwrap();
        handle.submit(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let told = log.take();
        assert!(told.contains(&("sequence", Some(Code::Internal))), "{name}: {told:?}");
        assert!(told.contains(&("beside", None)), "{name}: {told:?}");
        assert_eq!(poller.under_way(), 0);
    });
}

/// The same for a runner: what panics twice is one status, and the thread goes on living.
#[test]
fn a_runner_outlives_what_panics_twice() {
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let options = RunnerOptions {
        on_error: Some(Box::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            panic_twice();
        })),
        ..RunnerOptions::new()
    };
    let runner = Runner::start(open_null(&Config::new()), options).unwrap();
    assert_eq!(runner.visit(|_| panic_twice()).unwrap_err().code(), Code::Internal);
    runner.handle().submit(Operation::new(Nop).on_done(|_| panic_twice())).unwrap();
    runner.join(after_ms(20_000)).unwrap();
    assert_eq!(runner.consume_status().map(|why| why.code()), Some(Code::Internal));
    assert_eq!(told.load(Ordering::Relaxed), 1);
    assert_eq!(runner.visit(|_| 5).unwrap(), 5);
    let options = RunnerOptions {
        prepare: Some(Box::new(|_| {
            panic_twice();
            Ok(())
        })),
        ..RunnerOptions::new()
    };
    let refused = Runner::start(open_null(&Config::new()), options);
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
}

/// Callbacks whose drop panics are dropped with their poller, each of them, and no panic comes out.
#[test]
fn a_poller_that_is_dropped_lets_no_panic_out() {
    let mut poller = open_null(&Config::new()).into_poller().unwrap();
    let progress = poller.progress().clone();
    let owned = Twice;
    poller.on_message(move |_| _ = &owned);
    for owned in [Twice, Twice] {
        progress.register(move || {
            let _ = &owned;
            Progressed::Keep(0)
        });
    }
    drop(poller);
    assert_eq!(progress.count(), 0);
}

/// A batch that is dropped gives every slot back, whatever its operations do when they are dropped; the first panic leaves
/// the drop.
#[test]
fn a_dropped_batch_of_panics_gives_its_slots_back() {
    struct Bomb(&'static str);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_with(self.0);
        }
    }
    let proactor = open_null(&Config { operations_max: 8, ..Config::new() });
    for _ in 0..3 {
        let mut batch = proactor.handle().batch();
        for place in 0..8 {
            let bomb = (place % 2 == 0).then(|| Bomb("dropped"));
            let nop = Operation::new(Nop).on_done(move |_| drop(bomb));
            let added = if place % 4 == 1 { batch.then(nop) } else { batch.add(nop) };
            added.unwrap();
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(batch)));
        assert_eq!(dropped.unwrap_err().downcast_ref(), Some(&"dropped"));
    }
    // Whoever unwinds already is told of no other panic.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut batch = proactor.handle().batch();
        let bomb = Bomb("dropped");
        batch.add(Operation::new(Nop).on_done(move |_| drop(bomb))).unwrap();
        panic_with("first");
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"first"));
    for _ in 0..8 {
        proactor.handle().submit(Nop).expect("every slot is free");
    }
}

/// Counts of progress callbacks add up to no more than the largest number.
#[test]
fn counts_of_progress_do_not_overflow() {
    every(|Subject { name, mut poller, .. }| {
        let registered =
            [usize::MAX, 2].map(|found| poller.progress().register(move || Progressed::Keep(found)));
        poller.handle().submit(Nop).unwrap();
        for _ in 0..3 {
            assert_eq!(poller.poll(Deadline::IMMEDIATE).unwrap(), usize::MAX, "{name}");
        }
        assert!(registered.into_iter().all(|id| poller.progress().unregister(id)));
    });
}
