//! The ladder by which a wait is left out, awaited by the device, or held back: each rung alone, and what queues take up.

use weft_sync::elision::{
    Deferred, Elided, Past, Plan, Producer, QueueContext, Resolution, SignalHistory, Submission, Wait,
    Waiter, plan, resolve,
};
use weft_sync::{
    Axis, Code, Entry, Frontier, FrontierBuf, Machine, Semaphore, Status, Tracker, TrackerOptions,
};

const A: Axis = Machine::LOCAL.queue(0, 0);
const B: Axis = Machine::LOCAL.queue(1, 0);
const C: Axis = Machine::LOCAL.queue(2, 0);
const HOST: Axis = Machine::LOCAL.host(1);

type Queue = QueueContext<16>;
type History = SignalHistory<16, 4>;

/// What the devices of these tests can wait for: local queues.
fn is_waitable(axis: Axis) -> bool {
    [A, B, C].contains(&axis)
}

fn ladder(wait: &Wait<'_>, queue: &Waiter<'_>) -> (Resolution, Vec<Entry>) {
    let mut barriers = [Entry::NONE; 4];
    let resolution = resolve(wait, queue, is_waitable, &mut barriers);
    let count = if let Resolution::Barriers(count) = resolution { count } else { 0 };
    (resolution, barriers[..count].to_vec())
}

fn waiter(axis: Axis, past: &Frontier) -> Waiter<'_> {
    Waiter { axis, past, is_complete: true, is_in_order: true }
}

fn frontier(entries: &[(Axis, u64)]) -> FrontierBuf<16> {
    let entries: Vec<Entry> = entries.iter().map(|&(axis, epoch)| Entry::new(axis, epoch)).collect();
    FrontierBuf::from_entries(&entries).expect("the entries are in order")
}

fn produced(at: (Axis, u64), is_exact: bool, past: Past<'_>) -> Wait<'_> {
    let producer = Producer { at: Entry::new(at.0, at.1), is_exact, past };
    Wait { has_failed: false, is_reached: false, producer: Some(producer), last_signaller: Some(at.0) }
}

/// Each rung alone, with the device waits that it costs. [causal 63]
#[test]
fn every_rung_alone() {
    let past = frontier(&[(A, 3)]);
    let fan_in = frontier(&[(A, 3), (C, 2)]);
    let foreign = frontier(&[(A, 3), (HOST, 7)]);
    let nothing = Frontier::EMPTY;
    let exact = produced((A, 3), true, Past::Complete(&past));
    let joined = produced((C, 2), false, Past::Complete(&fan_in));
    let queue = waiter(B, nothing);
    let none = Vec::<Entry>::new();

    let rung_0 = Wait { has_failed: true, is_reached: true, ..exact };
    assert_eq!(ladder(&rung_0, &queue), (Resolution::Fail, none.clone()));
    let rung_1 = Wait { is_reached: true, ..exact };
    assert_eq!(ladder(&rung_1, &queue), (Resolution::Reached, none.clone()));
    let rung_2 = Wait { producer: None, last_signaller: None, ..exact };
    assert_eq!(ladder(&rung_2, &queue), (Resolution::Defer(Deferred::NotSubmitted), none.clone()));
    assert_eq!(
        ladder(&exact, &waiter(A, nothing)),
        (Resolution::Elide(Elided::SameQueue), none.clone()),
        "rung 3"
    );
    assert_eq!(ladder(&exact, &queue), (Resolution::Barriers(1), vec![Entry::new(A, 3)]), "rung 4");
    assert_eq!(
        ladder(&exact, &waiter(B, &past)),
        (Resolution::Elide(Elided::ProducerCovered), none.clone()),
        "rung 4"
    );
    assert_eq!(
        ladder(&joined, &queue),
        (Resolution::Barriers(2), vec![Entry::new(A, 3), Entry::new(C, 2)]),
        "rung 5"
    );
    assert_eq!(ladder(&joined, &waiter(B, &past)), (Resolution::Barriers(1), vec![Entry::new(C, 2)]));
    assert_eq!(
        ladder(&joined, &waiter(B, &fan_in)),
        (Resolution::Elide(Elided::PastDominated), none.clone())
    );
    let on_host = produced((A, 3), false, Past::Complete(&foreign));
    assert_eq!(ladder(&on_host, &queue), (Resolution::Defer(Deferred::NotWaitable), none.clone()), "rung 6");
    let by_host = produced((HOST, 7), true, Past::Complete(&foreign));
    assert_eq!(ladder(&by_host, &queue), (Resolution::Defer(Deferred::NotWaitable), none.clone()));
    let too_many = resolve(&joined, &queue, is_waitable, &mut [Entry::NONE; 1]);
    assert_eq!(too_many, Resolution::Defer(Deferred::TooManyBarriers));
    let none_at_all = resolve(&exact, &queue, is_waitable, &mut []);
    assert_eq!(none_at_all, Resolution::Defer(Deferred::TooManyBarriers));
}

/// A queue that waits for itself a thousand times asks the device for nothing. [causal 63]
#[test]
fn a_sequence_on_one_queue_waits_for_nothing() {
    let (semaphore, mut history, mut queue) = (Semaphore::new(0), History::new(), Queue::in_order(A));
    history.record(1, &queue.submit([]));
    for value in 1..=1000 {
        let wait = history.wait(&semaphore, value);
        assert_eq!(ladder(&wait, &queue.as_waiter()).0, Resolution::Elide(Elided::SameQueue));
        assert_eq!(wait.import(&queue.as_waiter()), None);
        history.record(value + 1, &queue.submit([]));
    }
}

/// A queue without order among its work is not ordered after what it submitted itself. [causal 63]
#[test]
fn out_of_order_queues_wait_for_themselves() {
    let (semaphore, mut history, mut queue) = (Semaphore::new(0), History::new(), Queue::out_of_order(A));
    history.record(1, &queue.submit([]));
    let wait = history.wait(&semaphore, 1);
    assert_eq!(ladder(&wait, &queue.as_waiter()), (Resolution::Barriers(1), vec![Entry::new(A, 1)]));
    assert!(queue.past().is_empty());
}

/// A value that nobody has submitted is never left out, whatever the queue is ordered after. [causal 64]
#[test]
fn waiting_before_the_signal_is_held_back() {
    let (semaphore, mut history) = (Semaphore::with_frontier(0, 16), History::new());
    let (mut producer, mut consumer) = (Queue::in_order(A), Queue::in_order(B));
    let first = producer.submit([]);
    history.record(1, &first);
    semaphore.signal_untainted(1, first.past().expect("complete")).unwrap();
    let wide = frontier(&[(A, 100)]);
    consumer.submit([&*wide]);
    assert!(consumer.past().dominates(&semaphore.complete_frontier::<16>(1).expect("complete")));
    let wait = history.wait(&semaphore, 2);
    assert_eq!(ladder(&wait, &consumer.as_waiter()).0, Resolution::Defer(Deferred::NotSubmitted));
    // The same of the queue that will signal it itself: it must not wait for its own future.
    assert_eq!(ladder(&wait, &producer.as_waiter()).0, Resolution::Defer(Deferred::NotSubmitted));
}

/// Two independent producers: neither stands for the other, so both are awaited; one that covers both is exact again.
/// [causal 65]
#[test]
fn fan_in_waits_for_both_producers() {
    let (semaphore, mut history) = (Semaphore::new(0), History::new());
    let (mut a, mut c) = (Queue::in_order(A), Queue::in_order(C));
    history.record(1, &a.submit([]));
    assert!(history.last().expect("recorded").as_producer().is_exact);
    history.record(2, &c.submit([]));
    assert!(!history.last().expect("recorded").as_producer().is_exact);
    let consumer = Queue::in_order(B);
    let wait = history.wait(&semaphore, 2);
    assert_eq!(
        ladder(&wait, &consumer.as_waiter()),
        (Resolution::Barriers(2), vec![Entry::new(A, 1), Entry::new(C, 1)])
    );
    history.record(3, &a.submit([c.past()]));
    let wait = history.wait(&semaphore, 3);
    assert_eq!(ladder(&wait, &consumer.as_waiter()), (Resolution::Barriers(1), vec![Entry::new(A, 2)]));
}

/// Whatever is not known in full proves nothing. [causal 66]
#[test]
fn nothing_incomplete_leaves_a_wait_out() {
    let covering = frontier(&[(A, 9), (C, 9)]);
    let queue = waiter(B, &covering);
    let past = frontier(&[(A, 3)]);
    let tainted = produced((A, 3), true, Past::Tainted);
    assert_eq!(ladder(&tainted, &queue).0, Resolution::Defer(Deferred::Tainted));
    let truncated = produced((A, 3), true, Past::Truncated);
    assert_eq!(ladder(&truncated, &queue).0, Resolution::Defer(Deferred::Truncated));
    let known = produced((A, 3), true, Past::Complete(&past));
    let incomplete = Waiter { is_complete: false, ..queue };
    assert_eq!(ladder(&known, &incomplete).0, Resolution::Defer(Deferred::QueueIncomplete));
    let itself = Waiter { is_complete: false, ..waiter(A, &covering) };
    assert_eq!(ladder(&known, &itself).0, Resolution::Elide(Elided::SameQueue));
    for unknown in [tainted, truncated] {
        assert_eq!(unknown.import(&queue), None);
    }
}

/// A queue whose past does not fit stops vouching, and so do its signals, until what was left out is complete.
/// [causal 66]
#[test]
fn a_queue_that_overflows_stops_vouching() {
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    for axis in [A, B, C] {
        tracker.register(axis, None).unwrap();
    }
    let mut queue = QueueContext::<2>::in_order(A);
    let others = frontier(&[(B, 1), (C, 1)]);
    let submission = queue.submit([&*others]);
    assert!(submission.past().is_none() && !queue.is_complete());
    let mut history = History::new();
    history.record(1, &submission);
    assert!(matches!(history.last().expect("recorded").as_producer().past, Past::Tainted));
    tracker.advance(B, 1);
    tracker.advance(C, 1);
    queue.rebuild(|axis, epoch| tracker.query_epoch(axis, epoch));
    assert!(!queue.is_complete(), "the submission that took it in has not completed");
    tracker.advance(A, 1);
    queue.rebuild(|axis, epoch| tracker.query_epoch(axis, epoch));
    assert!(queue.is_complete());
    assert_eq!(queue.submit([]).past().expect("complete again").to_string(), "{s1.m0.q0:0@2}");
}

/// The past of an earlier value is taken up, not that of a later one. [causal 67]
#[test]
fn a_reached_value_brings_nothing_of_later_signals() {
    let semaphore = Semaphore::with_frontier(0, 16);
    let mut history = History::new();
    let (mut a, mut b) = (Queue::in_order(A), Queue::in_order(B));
    let first = a.submit([]);
    history.record(1, &first);
    semaphore.signal_untainted(1, first.past().expect("complete")).unwrap();
    let second = a.submit([]);
    history.record(2, &second);
    // As a signaller may when it submits: the accumulated frontier now names work that has not run.
    semaphore.merge_frontier(second.past().expect("complete")).unwrap();

    let wait = history.wait(&semaphore, 1);
    assert_eq!(ladder(&wait, &b.as_waiter()).0, Resolution::Reached);
    let imported: Vec<&Frontier> = wait.import(&b.as_waiter()).into_iter().collect();
    let submission = b.submit(imported);
    assert!(!submission.past().expect("complete").covers(A, 2));
    // A wait for the second value takes up all of it.
    let wait = history.wait(&semaphore, 2);
    let Plan::Submit(barriers) = plan::<4>([wait], &b.as_waiter(), is_waitable) else { panic!("submitted") };
    assert_eq!(barriers.to_string(), "{s1.m0.q0:0@2}");
    let imported = wait.import(&b.as_waiter()).expect("known");
    assert!(b.submit([&*barriers, imported]).past().expect("complete").covers(A, 2));
}

/// A late waiter depends on the signal of its value, though the timeline is further.
#[test]
fn a_late_waiter_takes_up_the_value_that_it_waits_for() {
    let (semaphore, mut history) = (Semaphore::new(0), History::new());
    let mut producer = Queue::in_order(A);
    for value in 1..=3 {
        history.record(value, &producer.submit([]));
    }
    let consumer = Queue::in_order(B);
    let wait = history.wait(&semaphore, 1);
    assert_eq!(wait.import(&consumer.as_waiter()).expect("known").to_string(), "{s1.m0.q0:0@1}");
    assert_eq!(ladder(&wait, &consumer.as_waiter()).1, [Entry::new(A, 1)]);
}

/// One wait that is held back holds back the submission, one that failed fails it; device waits are joined. [causal 68]
#[test]
fn a_submission_is_held_back_whole() {
    let (past_a, past_c) = (frontier(&[(A, 3)]), frontier(&[(C, 5)]));
    let [on_a, on_c] =
        [produced((A, 3), true, Past::Complete(&past_a)), produced((C, 5), true, Past::Complete(&past_c))];
    let later = frontier(&[(A, 4)]);
    let on_later = produced((A, 4), true, Past::Complete(&later));
    let unknown = Wait { producer: None, last_signaller: None, ..on_a };
    let failed = Wait { has_failed: true, ..on_a };
    let queue = waiter(B, Frontier::EMPTY);
    let decide = |waits: &[Wait<'_>]| plan::<2>(waits.iter().copied(), &queue, is_waitable);
    assert_eq!(decide(&[on_a, unknown, on_c]), Plan::Defer(1, Deferred::NotSubmitted));
    assert_eq!(decide(&[unknown, on_a, failed]), Plan::Fail(2), "a failure wins");
    let Plan::Submit(barriers) = decide(&[on_c, on_a, on_later]) else { panic!("nothing holds it back") };
    assert_eq!(barriers.entries(), [Entry::new(A, 4), Entry::new(C, 5)], "one an axis, the largest, rising");
    let one = plan::<1>([on_a, on_c], &queue, is_waitable);
    assert_eq!(one, Plan::Defer(1, Deferred::TooManyBarriers));
}

/// The failure of a wait that is held back fails what the submission would have signalled. [causal 68]
#[test]
fn a_failed_wait_fails_what_was_to_be_signalled() {
    let (input, output) = (std::sync::Arc::new(Semaphore::new(0)), std::sync::Arc::new(Semaphore::new(0)));
    let history = History::new();
    let wait = history.wait(&input, 1);
    assert_eq!(
        plan::<4>([wait], &waiter(B, Frontier::EMPTY), is_waitable),
        Plan::Defer(0, Deferred::NotSubmitted)
    );
    let signalled = std::sync::Arc::clone(&output);
    input.on_reached(1, move |outcome| match outcome {
        Ok(()) => signalled.signal(1).expect("nobody else signals it"),
        Err(status) => signalled.fail(status),
    });
    input.fail(Status::new(Code::DataLoss, "the copy was cut short"));
    assert_eq!(output.query().unwrap_err().code(), Code::DataLoss);
    assert_eq!(plan::<4>([history.wait(&input, 1)], &waiter(B, Frontier::EMPTY), is_waitable), Plan::Fail(0));
}

/// Every stage is linked to the one before it before any has run; the failure of the first reaches the last, also
/// across a fan-out, with its cause. [causal 70]
#[test]
fn a_failed_stage_reaches_everything_behind_it() {
    let stages: Vec<_> = (0..6).map(|_| std::sync::Arc::new(Semaphore::with_frontier(0, 16))).collect();
    for (source, target) in [(0, 1), (1, 2), (1, 3), (3, 4), (4, 5)] {
        stages[source].link(1, &stages[target], 1);
    }
    stages[0].fail(Status::new(Code::Unavailable, "the device is gone"));
    for stage in &stages {
        let status = stage.query().unwrap_err();
        assert_eq!((status.code(), &*status.message()), (Code::Unavailable, "the device is gone"));
    }
}

/// Epochs of a queue without order are numbered as its work completes, not as it is submitted: an epoch that is reached
/// says that so many pieces, whichever, have ended. [causal 71]
#[test]
fn epochs_of_an_unordered_queue_count_completions() {
    use std::sync::atomic::{AtomicU64, Ordering};
    use weft_sync::CompletionCounter;
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    tracker.register(A, None).unwrap();
    let (completed, effects) = (CompletionCounter::new(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    effects.fetch_add(1, Ordering::Relaxed);
                    tracker.advance(A, completed.complete());
                }
            });
        }
        scope.spawn(|| {
            while !tracker.query_epoch(A, 1000) {
                let epoch = tracker.current_epoch(A).expect("registered");
                assert!(effects.load(Ordering::Relaxed) >= epoch, "an epoch stands for that many effects");
                std::thread::yield_now();
            }
        });
    });
    assert_eq!(completed.completed(), 1000);
}

/// What a submission is ordered after travels from queue to queue.
#[test]
fn the_past_travels_from_queue_to_queue() {
    let (mut a, mut b, mut c) = (Queue::in_order(A), Queue::in_order(B), Queue::in_order(C));
    let (semaphore, mut first, mut second) = (Semaphore::new(0), History::new(), History::new());
    first.record(1, &a.submit([]));
    let submit = |queue: &mut Queue, history: &History| -> (FrontierBuf<4>, Submission<16>) {
        let wait = history.wait(&semaphore, 1);
        let Plan::Submit(barriers) = plan::<4>([wait], &queue.as_waiter(), is_waitable) else { panic!() };
        let imported: Vec<&Frontier> = wait.import(&queue.as_waiter()).into_iter().collect();
        let submission = queue.submit(imported);
        (barriers, submission)
    };
    second.record(1, &submit(&mut b, &first).1);
    let (barriers, submission) = submit(&mut c, &second);
    assert_eq!(barriers.entries(), [Entry::new(B, 1)], "one stands for both");
    assert_eq!(
        submission.past().expect("complete").entries(),
        [Entry::new(A, 1), Entry::new(B, 1), Entry::new(C, 1)]
    );
    let again = submit(&mut c, &first).0;
    assert!(again.is_empty(), "known through the second queue");
}
