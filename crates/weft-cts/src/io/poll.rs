//! What a poll answers: deadlines, counts, bounds, progress callbacks.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_io::ops::{Message, Nop, SemaphoreWait, Sequence, Step, Timer};
use weft_io::{Done, Handle, Operation, Progressed};
use weft_sync::{Code, Deadline};

use super::subject::{
    IoCaps, IoSubject, Log, after_ms, point, poll_nothing, poll_until, submit, timeline, timer,
};
use super::system::thread_time;

crate::cases! { $ POLL for_each_io_poll_case of IoSubject {
    an_idle_poll_ends_at_its_deadline: IoCaps::NONE;
    a_poll_counts_what_it_delivers: IoCaps::NONE;
    short_waits_sleep: IoCaps::NONE;
    an_infinite_poll_returns_for_everything: IoCaps::NONE;
    an_operation_that_comes_again_does_not_keep_a_poll: IoCaps::NONE;
    callbacks_do_anything: IoCaps::NONE;
    progress_callbacks_run_in_every_poll: IoCaps::NONE;
    a_callback_that_panics_takes_nothing_along: IoCaps::NONE;
} }

/// [async 4] [async 5] [async-backends 18] [async-backends 19] Nothing ends: the deadline, no earlier and not much later;
/// one that has passed is no wait.
fn an_idle_poll_ends_at_its_deadline(subject: &IoSubject) {
    let mut poller = subject.open();
    poll_nothing(&mut poller);
    for milliseconds in [0, 1, 50] {
        let start = Instant::now();
        let status = poller.poll(after_ms(milliseconds)).unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(milliseconds), "{waited:?} of {milliseconds} ms");
        assert!(waited < Duration::from_secs(5), "{waited:?} of {milliseconds} ms");
    }
}

/// [async 15] [async-backends 30] Completions with and without a callback count, each step of a sequence, cancelled members
/// of chains; messages do not.
fn a_poll_counts_what_it_delivers(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let count_of = |poller: &mut weft_io::Poller, expected: usize| {
        let mut count = 0;
        while count < expected {
            count += poller.poll(super::subject::soon()).unwrap();
        }
        assert_eq!(count, expected);
        poll_nothing(poller);
    };
    handle.submit(Nop).unwrap();
    submit(&handle, Nop, &log, "nop");
    handle.submit(timer(Deadline::IMMEDIATE)).unwrap();
    count_of(&mut poller, 3);
    handle.submit(Sequence::new((0..5).map(|_| Step::new(Nop)).collect())).unwrap();
    count_of(&mut poller, 5);
    let mut batch = handle.batch();
    let head = batch.add(timer(Deadline::NEVER)).unwrap();
    batch.then(Nop).unwrap();
    batch.then(Nop).unwrap();
    batch.submit().unwrap();
    handle.cancel(head).unwrap();
    count_of(&mut poller, 3);
    handle.send_message(7).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    handle.submit(Message { target: handle.clone(), payload: 8 }).unwrap();
    let mut count = 0;
    while let Ok(found) = poller.poll(after_ms(5)) {
        count += found;
    }
    assert_eq!(count, 1, "the operation, and not what it sent");
}

/// [async-backends 35] Waits below a millisecond are waits: most of the time is slept.
fn short_waits_sleep(subject: &IoSubject) {
    let mut poller = subject.open();
    let (start, used) = (Instant::now(), thread_time());
    for _ in 0..100 {
        poller.poll(Deadline::after(Duration::from_micros(900))).unwrap_err();
    }
    let (waited, used) = (start.elapsed(), thread_time() - used);
    assert!(waited >= Duration::from_millis(90), "{waited:?}");
    // A processor that is emulated is slower than the clock.
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 60 } else { 20 }).max(waited / 2);
    assert!(used < limit, "{used:?} of processor time for {waited:?} of waiting");
}

/// Something that another thread does to a proactor.
type Deed = Box<dyn Fn(&Handle) + Send>;

/// [async-backends 21] [async-backends 69] A completion, a wake, a message, a timeline, a cancel from another thread.
fn an_infinite_poll_returns_for_everything(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let reached = timeline();
    let wait = handle.submit(Operation::new(SemaphoreWait::all([point(&reached, 2)]))).unwrap();
    handle.submit(SemaphoreWait::all([point(&reached, 1)])).unwrap();
    poll_nothing(&mut poller);
    let deeds: [Deed; 5] = [
        Box::new(|handle| assert!(handle.submit(Nop).is_ok())),
        Box::new(|handle| handle.wake()),
        Box::new(|handle| handle.send_message(1).unwrap()),
        Box::new(move |_| reached.signal(1).unwrap()),
        Box::new(move |handle| handle.cancel(wait).unwrap()),
    ];
    for (deed, counted) in deeds.into_iter().zip([1, 0, 0, 1, 1]) {
        let handle = handle.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(3));
            deed(&handle);
        });
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), counted);
        thread.join().unwrap();
    }
}

/// [async-backends 27] An operation that comes again from its own callback does not keep a poll, and keeps the next one
/// from waiting.
fn an_operation_that_comes_again_does_not_keep_a_poll(subject: &IoSubject) {
    fn again(handle: Handle, count: Arc<AtomicUsize>) -> impl FnOnce(Done<Timer>) + Send + 'static {
        move |done| {
            count.fetch_add(1, Ordering::Relaxed);
            let next = again(handle.clone(), count);
            if done.result.is_ok() {
                drop(handle.submit(done.operation.on_done(next)));
            }
        }
    }
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let count = Arc::new(AtomicUsize::new(0));
    let endless = timer(Deadline::IMMEDIATE).on_done(again(handle.clone(), Arc::clone(&count)));
    handle.submit(endless).unwrap();
    for polls in 1..10 {
        let counted = poller.poll(Deadline::NEVER).unwrap();
        assert!(counted > 0 && counted < 100, "{counted} completions in one poll");
        assert!(count.load(Ordering::Relaxed) >= polls);
    }
}

/// [async-backends 28] [async-backends 78] Inside a callback: the operation is freed or comes again, others are cancelled,
/// the operation itself too, and the last handle goes.
fn callbacks_do_anything(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let other = submit(&handle, timer(Deadline::NEVER), &log, "other");
    let own = Arc::new(std::sync::Mutex::new(None));
    let (inner, canceller, line) = (Arc::clone(&own), handle.clone(), log.line("again"));
    let first = Operation::new(Nop).on_done(move |done: Done<Nop>| {
        let own = super::subject::lock(&inner).expect("written before the poll");
        canceller.cancel(own).unwrap();
        canceller.cancel(other).unwrap();
        canceller.wake();
        let again = done.operation.on_done(line);
        assert_ne!(canceller.submit(again).unwrap(), own);
    });
    *super::subject::lock(&own) = Some(handle.submit(first).unwrap());
    drop(handle);
    poll_until(&mut poller, || log.len() == 2);
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, [("again", None), ("other", super::subject::CANCELLED)]);
}

/// [async 13] [async 14] [async-backends 26] Progress callbacks run in every poll, which does not wait then; what they find
/// counts; they take each other in and out.
fn progress_callbacks_run_in_every_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    let runs = Rc::new(Cell::new(0));
    let progress = poller.progress().clone();
    let (counter, inner) = (Rc::clone(&runs), progress.clone());
    let mut once = false;
    let first = progress.register(move || {
        counter.set(counter.get() + 1);
        if !std::mem::replace(&mut once, true) {
            let counter = Rc::clone(&counter);
            inner.register(move || {
                counter.set(counter.get() + 100);
                Progressed::Remove(7)
            });
        }
        Progressed::Keep(0)
    });
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0, "does not wait");
    assert_eq!((runs.get(), progress.count()), (1, 2));
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 7, "the other runs from the next poll on");
    assert_eq!((runs.get(), progress.count()), (102, 1));
    assert!(progress.unregister(first) && !progress.unregister(first));
    // Takes itself out while it runs.
    let (own, inner) = (Rc::new(Cell::new(None)), progress.clone());
    let id = Rc::clone(&own);
    own.set(Some(progress.register(move || {
        assert!(inner.unregister(id.get().unwrap()));
        Progressed::Keep(1)
    })));
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1);
    assert_eq!(progress.count(), 0);
    // Takes out one that would run behind it, and one that ran before.
    let ids = Rc::new(Cell::new([None; 2]));
    let (before, remover) = (progress.register(|| Progressed::Keep(1)), (progress.clone(), Rc::clone(&ids)));
    let own = progress.register(move || {
        remover.1.get().into_iter().flatten().for_each(|id| assert!(remover.0.unregister(id)));
        Progressed::Remove(10)
    });
    ids.set([Some(before), Some(progress.register(|| Progressed::Keep(100)))]);
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 11);
    assert_eq!(progress.count(), 0);
    assert!(!progress.unregister(own));
    poll_nothing(&mut poller);
}

/// A callback that panics takes the poll along, and nothing else: the rest of its chain, and everything that came with
/// it, ends.
fn a_callback_that_panics_takes_nothing_along(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let mut batch = handle.batch();
    batch.add(Operation::new(Nop).on_done(|_| panic!("a test's own"))).unwrap();
    batch.then(timer(Deadline::IMMEDIATE).on_done(log.line("behind"))).unwrap();
    batch.add(Operation::new(Nop).on_done(log.line("beside"))).unwrap();
    batch.submit().unwrap();
    let poll = std::panic::AssertUnwindSafe(|| {
        let mut poller = std::panic::AssertUnwindSafe(&mut poller);
        poller.poll(Deadline::NEVER)
    });
    assert!(std::panic::catch_unwind(poll).is_err());
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(poller.under_way(), 0);
}
