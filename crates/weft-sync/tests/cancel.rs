//! Tokens: who is told, what counts as work, when nothing is left.
//!
//! Every interleaving is in `loom/cancel.rs`.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use weft_sync::{
    CancelToken, Code, Deadline, Point, Result, Semaphore, Status, wait_all_unless, wait_any_unless,
};

fn code<T>(result: Result<T>) -> Code {
    result.err().expect("it fails").code()
}

fn points(values: &[u64]) -> Vec<Point> {
    values.iter().map(|&value| Point { semaphore: Arc::new(Semaphore::new(0)), value }).collect()
}

fn counted() -> (Arc<AtomicU32>, impl FnOnce() + Send + 'static) {
    let count = Arc::new(AtomicU32::new(0));
    let own = Arc::clone(&count);
    let callback = move || {
        own.fetch_add(1, Ordering::Relaxed);
    };
    (count, callback)
}

/// All clones are one; a second cancel changes nothing.
#[test]
fn clones_are_one_token() {
    let token = CancelToken::new();
    let clone = token.clone();
    assert!(token.check().is_ok() && !clone.is_cancelled());
    clone.cancel();
    clone.cancel();
    token.cancel();
    assert!(token.is_cancelled() && token.flag().load(Ordering::Relaxed));
    assert_eq!(code(token.check()), Code::Cancelled);
    assert!(!CancelToken::new().is_cancelled());
}

/// Before, after, withdrawn, and never.
#[test]
fn callbacks_are_called_once_or_not_at_all() {
    let token = CancelToken::new();
    let [(early, first), (withdrawn, second), (late, third)] = [counted(), counted(), counted()];
    drop(token.on_cancel(first));
    assert!(token.on_cancel(second).cancel());
    token.cancel();
    token.cancel();
    drop(token.on_cancel(third));
    let counts = [&early, &withdrawn, &late].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 0, 1]);
    // Dropped, uncalled, with the last clone.
    let (never, callback) = counted();
    let token = CancelToken::new();
    let clone = token.clone();
    drop(clone.on_cancel(callback));
    drop(token);
    assert_eq!(Arc::strong_count(&never), 2, "a clone is left");
    drop(clone);
    assert_eq!((Arc::strong_count(&never), never.load(Ordering::Relaxed)), (1, 0));
}

/// In the order in which they were registered, from within each other too.
#[test]
fn callbacks_may_do_anything() {
    let token = CancelToken::new();
    let (sender, order) = mpsc::channel();
    let (inner, again) = (token.clone(), sender.clone());
    let outer = token.on_cancel(move || {
        again.send(1).expect("somebody listens");
        inner.cancel();
        drop(inner.on_cancel(move || again.send(2).expect("somebody listens")));
    });
    drop(token.on_cancel(move || sender.send(3).expect("somebody listens")));
    token.cancel();
    assert!(!outer.cancel());
    let mut order: Vec<i32> = order.try_iter().collect();
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3]);
}

/// All modes end at once, wherever they stand, and leave nothing registered.
#[test]
fn waits_end_with_the_token() {
    type Wait = fn(&[Point], &CancelToken) -> Result<()>;
    let waits: [Wait; 2] = [
        |points, token| wait_all_unless(points, Some(token), Deadline::NEVER),
        |points, token| wait_any_unless(points, Some(token), Deadline::NEVER).map(drop),
    ];
    for count in [1, 3, 20] {
        for wait in waits {
            let (points, token) = (points(&vec![1; count]), CancelToken::new());
            thread::scope(|scope| {
                let waiter = scope.spawn(|| wait(&points, &token));
                thread::sleep(Duration::from_millis(2));
                assert!(!waiter.is_finished());
                token.cancel();
                assert_eq!(code(waiter.join().expect("no panic")), Code::Cancelled);
            });
            assert_eq!(code(wait(&points, &token)), Code::Cancelled, "cancelled before");
            for point in &points {
                assert!(format!("{:?}", point.semaphore).contains("pending: 0"));
            }
        }
    }
}

/// A token that nobody cancels changes nothing: values, failures with their trail, deadlines.
#[test]
fn waits_with_a_token_are_waits() {
    let (token, pair) = (CancelToken::new(), points(&[1, 2]));
    let late = Deadline::after(Duration::from_millis(3));
    assert_eq!(code(wait_all_unless(&pair, Some(&token), late)), Code::DeadlineExceeded);
    assert_eq!(code(wait_any_unless(&pair, Some(&token), Deadline::IMMEDIATE)), Code::DeadlineExceeded);
    thread::scope(|scope| {
        let all = scope.spawn(|| wait_all_unless(&pair, Some(&token), Deadline::NEVER));
        let any = scope.spawn(|| wait_any_unless(&pair, Some(&token), Deadline::NEVER));
        pair[1].semaphore.signal(2).expect("forward");
        assert_eq!(any.join().expect("no panic").expect("one of them"), 1);
        pair[0].semaphore.signal(1).expect("forward");
        all.join().expect("no panic").expect("both");
    });
    wait_all_unless(&pair, None, Deadline::IMMEDIATE).expect("reached");
    assert_eq!(wait_any_unless(&pair, None, Deadline::IMMEDIATE).expect("reached"), 0);
    wait_all_unless(&[], Some(&token), Deadline::IMMEDIATE).expect("nothing to wait for");
    pair[0].semaphore.fail(Status::new(Code::DataLoss, "gone"));
    let status = wait_all_unless(&pair, Some(&token), Deadline::NEVER).expect_err("failed");
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.to_string().contains("reach 1"), "{status}");
}

/// Sleeping until somebody cancels.
#[test]
fn a_token_is_waited_for() {
    let token = CancelToken::new();
    let begin = Instant::now();
    assert_eq!(code(token.wait(Deadline::after(Duration::from_millis(3)))), Code::DeadlineExceeded);
    assert!(begin.elapsed() >= Duration::from_millis(3));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| token.wait(Deadline::NEVER));
        token.cancel();
        assert_eq!(code(waiter.join().expect("no panic")), Code::Cancelled);
    });
}

/// Nothing is left when all guards are gone, those too that were made by work that is over.
#[test]
fn work_is_waited_for() {
    let token = CancelToken::new();
    token.wait_idle(Deadline::IMMEDIATE).expect("there is no work");
    let (first, second) = (token.work(), token.work());
    assert_eq!(token.work_count(), 2);
    assert_eq!(code(token.wait_idle(Deadline::IMMEDIATE)), Code::DeadlineExceeded);
    drop(second);
    assert_eq!(code(token.wait_idle(Deadline::after(Duration::from_millis(1)))), Code::DeadlineExceeded);
    let done = Arc::new(AtomicU32::new(0));
    thread::scope(|scope| {
        let noted = Arc::clone(&done);
        scope.spawn(move || {
            let next = first.token().work();
            drop(first);
            thread::sleep(Duration::from_millis(3));
            noted.store(1, Ordering::Relaxed);
            drop(next);
        });
        token.wait_idle(Deadline::NEVER).expect("it ends");
        assert_eq!(done.load(Ordering::Relaxed), 1, "the second half was not waited for");
    });
    assert_eq!(token.work_count(), 0);
    token.wait_idle(Deadline::IMMEDIATE).expect("nothing is left");
}

/// Many works that end on many threads, round after round.
#[test]
fn the_last_of_many_ends_the_wait() {
    let token = CancelToken::new();
    for round in 0..200_u32 {
        let ended = Arc::new(AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                let (works, ended) = ([token.work(), token.work(), token.work()], Arc::clone(&ended));
                scope.spawn(move || {
                    for work in works {
                        ended.fetch_add(1, Ordering::Relaxed);
                        drop(work);
                    }
                });
            }
            token.wait_idle(Deadline::NEVER).expect("they end");
            assert_eq!(ended.load(Ordering::Relaxed), 12, "round {round}");
        });
    }
}

/// Failures that come after a cancel are its consequence; others, and those before it, are told as they are.
#[test]
fn causes() {
    let lost = || Status::new(Code::DataLoss, "gone");
    let token = CancelToken::new();
    assert_eq!(CancelToken::cause(None, lost()).code(), Code::DataLoss);
    assert_eq!(CancelToken::cause(Some(&token), lost()).code(), Code::DataLoss);
    token.cancel();
    let cause = CancelToken::cause(Some(&token), lost());
    assert_eq!(cause.code(), Code::Cancelled);
    assert!(cause.to_string().contains("gone"), "{cause}");
}
