//! Tokens: registering against cancelling, the last work against the wait for it.

use super::{model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft_sync::{CancelToken, Code, Deadline, Point, Semaphore, wait_all_unless};

/// Whoever registers, early or late, is told once, after the flag was set.
#[test]
fn register_against_cancel() {
    model(|| {
        let token = CancelToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let (theirs, counted) = (token.clone(), Arc::clone(&calls));
        drop(token.on_cancel(move || {
            assert!(theirs.is_cancelled());
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        canceller.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// Withdrawn or called, as it was told.
#[test]
fn withdraw_against_cancel() {
    model(|| {
        let token = CancelToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let timepoint = token.on_cancel(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let withdrawn = timepoint.cancel();
        canceller.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), usize::from(!withdrawn));
    });
}

/// A wait that sleeps, or is about to, does not miss it.
#[test]
fn wait_against_cancel() {
    model(|| {
        let token = CancelToken::new();
        let never = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let outcome = wait_all_unless(&never, Some(&token), Deadline::NEVER);
        assert_eq!(outcome.unwrap_err().code(), Code::Cancelled);
        canceller.join().unwrap();
        assert!(format!("{:?}", never[0].semaphore).contains("pending: 0"));
    });
}

/// The wait returns, and sees what the work did.
#[test]
fn the_last_work_against_the_wait() {
    model(|| {
        let (token, data) = (CancelToken::new(), Arc::new(AtomicU32::new(0)));
        let (work, written) = (token.work(), Arc::clone(&data));
        let worker = thread::spawn(move || {
            written.store(7, Ordering::Relaxed);
            drop(work);
        });
        token.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(data.load(Ordering::Relaxed), 7);
        worker.join().unwrap();
    });
}

/// Two that end at the same time: one of them may signal for both.
#[test]
fn two_works_against_the_wait() {
    wide_model(|| {
        let (token, data) = (CancelToken::new(), Arc::new([AtomicU32::new(0), AtomicU32::new(0)]));
        let workers = [0, 1].map(|index| {
            let (work, data) = (token.work(), Arc::clone(&data));
            thread::spawn(move || {
                data[index].store(7, Ordering::Relaxed);
                drop(work);
            })
        });
        token.wait_idle(Deadline::NEVER).unwrap();
        assert!(data.iter().all(|it| it.load(Ordering::Relaxed) == 7));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Work that begins more before it ends: there is no moment between the two at which nothing is left.
#[test]
fn work_that_begins_work_against_the_wait() {
    model(|| {
        let (token, data) = (CancelToken::new(), Arc::new(AtomicU32::new(0)));
        let (first, written) = (token.work(), Arc::clone(&data));
        let worker = thread::spawn(move || {
            let second = first.token().work();
            drop(first);
            written.store(7, Ordering::Relaxed);
            drop(second);
        });
        token.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(data.load(Ordering::Relaxed), 7);
        worker.join().unwrap();
    });
}
