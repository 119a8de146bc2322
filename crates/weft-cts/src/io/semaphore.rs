//! Operations that wait for timelines and move them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_io::ops::{Nop, SemaphoreSignal, SemaphoreWait};
use weft_io::{Handle, Operation};
use weft_sync::{Code, Deadline, Point, Semaphore};

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, ended_well, point, poll_dry, poll_nothing, poll_until, rounds, soon,
    submit, timeline,
};

crate::cases! { $ SEMAPHORE for_each_io_semaphore_case of IoSubject {
    what_is_reached_ends_at_the_next_poll: IoCaps::NONE;
    all_are_waited_for: IoCaps::NONE;
    any_is_waited_for: IoCaps::NONE;
    a_failure_ends_waits: IoCaps::NONE;
    signals_move_timelines: IoCaps::NONE;
    a_signal_that_is_refused_stops: IoCaps::NONE;
    signals_carry_frontiers: IoCaps::NONE;
    a_signal_wakes_a_wait: IoCaps::NONE;
    numbers_of_points: IoCaps::NONE;
    waits_keep_their_timelines: IoCaps::NONE;
    timelines_and_proactors_outlive_each_other: IoCaps::NONE;
    all_fail_at_once: IoCaps::NONE;
    all_are_reached_at_once: IoCaps::NONE;
    a_timepoint_that_submits: IoCaps::NONE;
    chains_of_waits_and_signals: IoCaps::NONE;
} }

fn lost() -> weft_sync::Status {
    weft_sync::status!(DataLoss, "gone")
}

/// [async 232] [async-backends 101] Not inside submit, and not later.
fn what_is_reached_ends_at_the_next_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let reached = timeline();
    reached.signal(5).unwrap();
    submit(&handle, SemaphoreWait::all([point(&reached, 5), point(&reached, 1)]), &log, "all");
    submit(&handle, SemaphoreWait::any([point(&reached, 9), point(&reached, 5)]), &log, "any");
    submit(&handle, SemaphoreWait::all([]), &log, "none");
    assert!(log.is_empty());
    assert_eq!(poller.poll(Deadline::IMMEDIATE).unwrap(), 3);
    let mut names = log.take_names();
    names.sort_unstable();
    assert_eq!(names, ["all", "any", "none"]);
}

/// [async 232] [async-backends 101] Each of them, from other threads, in any order.
fn all_are_waited_for(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let timelines: Vec<Arc<Semaphore>> = (0..4).map(|_| timeline()).collect();
    let points: Vec<Point> = timelines.iter().map(|timeline| point(timeline, 2)).collect();
    submit(&poller.handle().clone(), SemaphoreWait::all(points), &log, "all");
    for index in [2, 0, 3] {
        timelines[index].signal(2).unwrap();
        poll_nothing(&mut poller);
    }
    timelines[1].signal(1).unwrap();
    poll_nothing(&mut poller);
    let last = Arc::clone(&timelines[1]);
    let thread = std::thread::spawn(move || last.signal(7).unwrap());
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    thread.join().unwrap();
    assert_eq!(log.take_names(), ["all"]);
}

/// Waits for any of these, and says which it was.
fn winner(handle: &Handle, points: Vec<Point>) -> Arc<AtomicUsize> {
    let index = Arc::new(AtomicUsize::new(usize::MAX));
    let found = Arc::clone(&index);
    let wait = Operation::new(SemaphoreWait::any(points)).on_done(move |done| {
        if let Ok(index) = done.result {
            found.store(index, Ordering::Relaxed);
        }
    });
    handle.submit(wait).unwrap();
    index
}

/// [async 232] [async-backends 101] The index is of one that was reached, the first one if several were at once; and one
/// that is reached wins over one that has failed.
fn any_is_waited_for(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let timelines: Vec<Arc<Semaphore>> = (0..4).map(|_| timeline()).collect();
    let points = |value| timelines.iter().map(|timeline| point(timeline, value)).collect::<Vec<_>>();
    let index = winner(&handle, points(1));
    poll_nothing(&mut poller);
    timelines[2].signal(1).unwrap();
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    assert_eq!(index.load(Ordering::Relaxed), 2);
    timelines[1].signal(1).unwrap();
    let index = winner(&handle, points(1));
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    assert_eq!(index.load(Ordering::Relaxed), 1);
    timelines[0].fail(lost());
    let index = winner(&handle, points(1));
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    assert_eq!(index.load(Ordering::Relaxed), 1);
}

/// [async 233] [async-backends 101] Before the wait or during it, with the failure's own code; a cancel ends it too.
fn a_failure_ends_waits(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (broken, whole) = (timeline(), timeline());
    let points = || [point(&whole, 1), point(&broken, 1)];
    submit(&handle, SemaphoreWait::all(points()), &log, "all");
    submit(&handle, SemaphoreWait::any(points()), &log, "any");
    poll_nothing(&mut poller);
    broken.fail(lost());
    poll_until(&mut poller, || log.len() == 2);
    submit(&handle, SemaphoreWait::all(points()), &log, "all later");
    submit(&handle, SemaphoreWait::any(points()), &log, "any later");
    poll_until(&mut poller, || log.len() == 4);
    assert!(log.take().iter().all(|(_, code)| *code == Some(Code::DataLoss)));
    let ticket = submit(&handle, SemaphoreWait::all([point(&whole, 1)]), &log, "cancelled");
    poll_nothing(&mut poller);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    whole.signal(1).unwrap();
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(log.take(), [("cancelled", CANCELLED)]);
}

/// [async 231] [async-backends 100] One, several.
fn signals_move_timelines(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let timelines = [timeline(), timeline(), timeline()];
    submit(&handle, SemaphoreSignal::new([point(&timelines[0], 3)]), &log, "one");
    assert_eq!(timelines[0].query().unwrap(), 0, "in its turn");
    let points: Vec<_> = timelines.iter().map(|timeline| point(timeline, 4)).collect();
    submit(&handle, SemaphoreSignal::new(points), &log, "several");
    submit(&handle, SemaphoreSignal::new([]), &log, "none");
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["one", "several", "none"]);
    assert!(timelines.iter().all(|timeline| timeline.query().unwrap() == 4));
}

/// [async 231] [async-backends 100] Those before it stay moved, those behind it are not.
fn a_signal_that_is_refused_stops(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let [before, still, behind] = [timeline(), timeline(), timeline()];
    still.signal(5).unwrap();
    for value in [5, 4] {
        let points = [point(&before, value + 3 - 2 * (value - 4)), point(&still, value), point(&behind, 1)];
        submit(&handle, SemaphoreSignal::new(points), &log, "back");
    }
    poll_until(&mut poller, || log.len() == 2);
    assert!(log.take().iter().all(|(_, code)| *code == Some(Code::InvalidArgument)));
    assert_eq!(still.query().unwrap(), 5);
    assert_eq!(behind.query().unwrap(), 0);
    assert!(before.query().unwrap() > 0);
    still.fail(lost());
    submit(&handle, SemaphoreSignal::new([point(&still, 6)]), &log, "failed");
    poll_until(&mut poller, || log.len() == 1);
    assert!(log.take()[0].1.is_some());
}

/// [async 231] [async-backends 100] What the operation says its values are ordered after is what the timeline is then.
fn signals_carry_frontiers(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let moved = Arc::new(Semaphore::with_frontier(0, 4));
    let axis = weft_sync::Machine::LOCAL.queue(0, 0);
    let mut frontier = weft_sync::FrontierBuf::<16>::default();
    frontier.raise(axis, 9).unwrap();
    let mut signal = SemaphoreSignal::new([point(&moved, 1)]);
    signal.frontier = Some(Box::new(frontier));
    submit(&poller.handle().clone(), signal, &log, "signal");
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["signal"]);
    assert_eq!(moved.query().unwrap(), 1);
    let found = moved.frontier::<4>().unwrap();
    assert_eq!(found.as_frontier().epoch_of(axis), 9);
}

/// [async 233] [async-backends 101]
fn a_signal_wakes_a_wait(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let moved = timeline();
    submit(&handle, SemaphoreWait::all([point(&moved, 1)]), &log, "wait");
    poll_nothing(&mut poller);
    submit(&handle, SemaphoreSignal::new([point(&moved, 1)]), &log, "signal");
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["signal", "wait"]);
}

/// [async 237] [async-backends 102] None, one, 255; one more is refused, with nothing armed.
fn numbers_of_points(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let moved = timeline();
    let points = |count| vec![point(&moved, 1); count];
    for count in [256, 1000] {
        assert_eq!(
            handle.submit(SemaphoreWait::all(points(count))).unwrap_err().why.code(),
            Code::OutOfRange
        );
        assert_eq!(
            handle.submit(SemaphoreWait::any(points(count))).unwrap_err().why.code(),
            Code::OutOfRange
        );
        assert_eq!(
            handle.submit(SemaphoreSignal::new(points(count))).unwrap_err().why.code(),
            Code::OutOfRange
        );
    }
    assert_eq!(handle.submit(SemaphoreWait::any([])).unwrap_err().why.code(), Code::InvalidArgument);
    assert_eq!(Arc::strong_count(&moved), 1);
    submit(&handle, SemaphoreWait::all([]), &log, "none");
    submit(&handle, SemaphoreWait::all(points(255)), &log, "all");
    let mut last: Vec<Point> = (0..254).map(|_| point(&timeline(), 1)).collect();
    last.push(point(&moved, 1));
    let index = winner(&handle, last);
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    moved.signal(1).unwrap();
    poll_until(&mut poller, || log.len() == 2 && index.load(Ordering::Relaxed) != usize::MAX);
    assert_eq!((log.take_names().len(), index.load(Ordering::Relaxed)), (2, 254));
}

/// [async 238] Everybody else has let go of it.
fn waits_keep_their_timelines(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let moved = timeline();
    let weak = Arc::downgrade(&moved);
    submit(&handle, SemaphoreWait::all([Point { semaphore: moved, value: 1 }]), &log, "wait");
    poll_nothing(&mut poller);
    weak.upgrade().expect("the operation has it").signal(1).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!((log.take_names().len(), weak.strong_count()), (1, 0));
}

/// [async-backends 109] Neither leaves the other anything to do.
fn timelines_and_proactors_outlive_each_other(subject: &IoSubject) {
    let log = Log::default();
    let moved = timeline();
    let mut poller = subject.open();
    submit(&poller.handle().clone(), SemaphoreWait::all([point(&moved, 1)]), &log, "wait");
    poll_nothing(&mut poller);
    drop(poller);
    assert_eq!(log.take(), [("wait", CANCELLED)]);
    assert_eq!(Arc::strong_count(&moved), 1);
    moved.signal(1).unwrap();
}

/// Lets one thread for each timeline do something to it at the same time while a wait for all or any of them is under
/// way; each wait ends once.
fn at_once(
    subject: &IoSubject,
    deed: impl Fn(&Semaphore) + Clone + Send + 'static,
    is_all: bool,
) -> [usize; 2] {
    let rounds = rounds(10_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (work, threads): (Vec<_>, Vec<_>) = (0..4)
        .map(|_| {
            let (work, orders) = std::sync::mpsc::channel::<Arc<Semaphore>>();
            let deed = deed.clone();
            (work, std::thread::spawn(move || orders.iter().for_each(|timeline| deed(&timeline))))
        })
        .unzip();
    let ended = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let sum =
        |ended: &[AtomicUsize; 2]| ended.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>();
    for round in 1..=rounds {
        let timelines: Vec<Arc<Semaphore>> = work.iter().map(|_| timeline()).collect();
        let points: Vec<Point> = timelines.iter().map(|timeline| point(timeline, 1)).collect();
        let wait = if is_all { SemaphoreWait::all(points) } else { SemaphoreWait::any(points) };
        let counts = Arc::clone(&ended);
        let wait = Operation::new(wait).on_done(move |done| {
            if let Ok(index) = done.result {
                assert!(index < 4);
            }
            counts[usize::from(done.result.is_err())].fetch_add(1, Ordering::Relaxed);
        });
        let ticket = handle.submit(wait).unwrap();
        for (work, timeline) in work.iter().zip(timelines) {
            work.send(timeline).unwrap();
        }
        if round % 4 == 0 {
            handle.cancel(ticket).unwrap();
        }
        poll_until(&mut poller, || sum(&ended) == round);
    }
    drop(work);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(sum(&ended), rounds, "none ended twice");
    [0, 1].map(|index| ended[index].load(Ordering::Relaxed))
}

/// [async 236] [async-backends 104] [async-backends 105] From several threads, and a cancel now and then: one callback.
fn all_fail_at_once(subject: &IoSubject) {
    let [well, _] = at_once(subject, |timeline| timeline.fail(lost()), true);
    assert_eq!(well, 0);
    let [well, _] = at_once(subject, |timeline| timeline.fail(lost()), false);
    assert_eq!(well, 0);
}

/// [async 236] [async-backends 103] [async-backends 104] [async-backends 105]
fn all_are_reached_at_once(subject: &IoSubject) {
    for is_all in [true, false] {
        let [well, cancelled] = at_once(subject, |timeline| timeline.signal(1).unwrap(), is_all);
        assert!(well >= cancelled);
    }
}

/// [async-backends 108] What runs when a timeline moves may submit to the proactor that moves it.
fn a_timepoint_that_submits(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let moved = timeline();
    let (inner, line) = (handle.clone(), log.line("inner"));
    let timepoint = moved.on_reached(1, move |outcome| {
        ended_well(&outcome);
        inner.submit(Operation::new(Nop).on_done(line)).unwrap();
    });
    submit(&handle, SemaphoreSignal::new([point(&moved, 1)]), &log, "signal");
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["signal", "inner"]);
    drop(timepoint);
}

/// [async 234] [async 235] [async-backends 106] Independent chains; the value is there before what is behind starts; a wait
/// that fails or is cancelled keeps what is behind from happening.
fn chains_of_waits_and_signals(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let [gate, first, second, broken] = [timeline(), timeline(), timeline(), timeline()];
    let wait = |of: &Arc<Semaphore>| Operation::new(SemaphoreWait::all([point(of, 1)]));
    let signal = |of: &Arc<Semaphore>| Operation::new(SemaphoreSignal::new([point(of, 1)]));
    let mut batch = handle.batch();
    batch.add(wait(&gate).on_done(log.line("wait"))).unwrap();
    batch.then(signal(&first).on_done(log.line("signal"))).unwrap();
    let (seen, line) = (Arc::clone(&first), log.line("nop"));
    let nop = Operation::new(Nop).on_done(move |done| {
        assert_eq!(seen.query().unwrap(), 1);
        line(done);
    });
    batch.then(nop).unwrap();
    batch.add(wait(&broken).on_done(log.line("broken"))).unwrap();
    batch.then(signal(&second).on_done(log.line("not signalled"))).unwrap();
    batch.then(Operation::new(Nop).on_done(log.line("not done"))).unwrap();
    batch.submit().unwrap();
    poll_nothing(&mut poller);
    assert_eq!(first.query().unwrap(), 0);
    gate.signal(1).unwrap();
    poll_until(&mut poller, || log.len() == 3);
    assert_eq!(log.take_names(), ["wait", "signal", "nop"]);
    broken.fail(lost());
    poll_until(&mut poller, || log.len() == 3);
    let lines = log.take();
    assert_eq!(lines[0], ("broken", Some(Code::DataLoss)));
    assert_eq!(lines[1..], [("not signalled", CANCELLED), ("not done", CANCELLED)]);
    assert_eq!(second.query().unwrap(), 0);
}
