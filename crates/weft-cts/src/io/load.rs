//! Many operations: bursts, interleaved submission and polling, threads that submit at once, memory that is used again
//! as fast as possible.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use weft_io::ops::{Nop, Timer};
use weft_io::{Handle, Operation};
use weft_sync::{Code, Deadline};

use super::subject::{IoCaps, IoSubject, poll_dry, poll_until, rounds, timer};

crate::cases! { $ LOAD for_each_io_load_case of IoSubject {
    bursts_of_nops_end: IoCaps::NONE;
    submissions_and_polls_take_turns: IoCaps::NONE;
    submissions_and_cancels_take_turns: IoCaps::NONE;
    many_threads_submit: IoCaps::NONE;
    memory_is_reused_by_one_thread: IoCaps::NONE;
    memory_is_reused_by_many_threads: IoCaps::NONE;
    memory_is_reused_by_two_threads_over_two_slots: IoCaps::NONE;
} }

/// A NOP that counts.
fn counting_nop(count: &Arc<AtomicUsize>) -> Operation<Nop> {
    let count = Arc::clone(count);
    Operation::new(Nop).on_done(move |done| {
        super::subject::ended_well(&done.result);
        count.fetch_add(1, Ordering::Relaxed);
    })
}

/// [async 39] [async-backends 37] A hundred thousand, half a ring at a time.
fn bursts_of_nops_end(subject: &IoSubject) {
    let bursts = rounds(100_000) / 128;
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..bursts {
        let mut burst = (0..128).map(|_| counting_nop(&count)).collect();
        // Polls once: what that leaves is there with the next burst.
        drop(poller.poll(Deadline::IMMEDIATE));
        while let Err(refused) = handle.submit_all(burst) {
            assert_eq!(refused.why.code(), Code::ResourceExhausted);
            burst = refused.operations;
            assert!(poller.poll(Deadline::NEVER).unwrap() > 0);
        }
    }
    poll_until(&mut poller, || count.load(Ordering::Relaxed) == bursts * 128);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 40] [async-backends 37]
fn submissions_and_polls_take_turns(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let count = Arc::new(AtomicUsize::new(0));
    let mut submitted = 0;
    for round in 0..200 {
        for _ in 0..round % 7 {
            handle.submit(counting_nop(&count)).unwrap();
            submitted += 1;
        }
        // Finds something or nothing.
        drop(poller.poll(Deadline::IMMEDIATE));
    }
    poll_until(&mut poller, || count.load(Ordering::Relaxed) == submitted);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 38] [async 91] [async 92] Each ends once, cancelled or not, and every slot is free again.
fn submissions_and_cancels_take_turns(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 64);
    let handle = poller.handle().clone();
    let ended = Arc::new(AtomicUsize::new(0));
    let rounds = rounds(20_000);
    for round in 0..rounds {
        let ended = Arc::clone(&ended);
        let deadline = if round % 3 == 0 { Deadline::IMMEDIATE } else { Deadline::NEVER };
        let operation = timer(deadline).on_done(move |done: weft_io::Done<Timer>| {
            assert!(done.result.is_ok() || done.result.is_err_and(|status| status.code() == Code::Cancelled));
            ended.fetch_add(1, Ordering::Relaxed);
        });
        let ticket = handle.submit(operation).unwrap();
        handle.cancel(ticket).unwrap();
        if round % 32 == 31 {
            poll_dry(&mut poller);
        }
    }
    poll_dry(&mut poller);
    assert_eq!((ended.load(Ordering::Relaxed), poller.under_way()), (rounds, 0));
}

/// Submits, and again whenever there is no room, as someone does who cannot poll.
fn submit_in_time(handle: &Handle, mut operation: Operation<Nop>) {
    while let Err(refused) = handle.submit(operation) {
        assert_eq!(refused.why.code(), Code::ResourceExhausted);
        operation = refused.operation;
        std::thread::yield_now();
    }
}

/// [async 26] [async-backends 11] [async-backends 25] [async-backends 221] Eight threads submit while one polls: each operation ends once.
fn many_threads_submit(subject: &IoSubject) {
    let per_thread = rounds(10_000);
    let mut poller = subject.open_with(|config| config.operations_max = 500);
    let ended = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (handle, ended) = (poller.handle().clone(), Arc::clone(&ended));
            std::thread::spawn(move || {
                (0..per_thread).for_each(|_| submit_in_time(&handle, counting_nop(&ended)));
            })
        })
        .collect();
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == 8 * per_thread);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(poll_dry(&mut poller), 0);
}

/// What operations carry, to show a race on their memory: a plain number, written before each submission.
struct Token {
    operation: Operation<Nop>,
    number: u64,
}

/// Lets `threads` threads submit `slots` operations over and over, as fast as they come back.
fn reuse(subject: &IoSubject, threads: usize, slots: usize, times: usize) {
    let mut poller = subject.open_with(|config| config.operations_max = slots as u32);
    let ended = Arc::new(AtomicUsize::new(0));
    let (home, pool) = mpsc::channel::<Token>();
    let pool = Arc::new(std::sync::Mutex::new(pool));
    for _ in 0..slots {
        home.send(Token { operation: Operation::new(Nop), number: 0 }).unwrap();
    }
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (handle, pool, home) = (poller.handle().clone(), Arc::clone(&pool), home.clone());
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                for _ in 0..times {
                    let token = super::subject::lock(&pool).recv().expect("one comes back");
                    let (home, ended) = (home.clone(), Arc::clone(&ended));
                    let number = token.number + 1;
                    let operation = token.operation.on_done(move |done| {
                        super::subject::ended_well(&done.result);
                        // Before it can be taken again: the last one ends the case.
                        ended.fetch_add(1, Ordering::Relaxed);
                        let _ = home.send(Token { operation: done.operation, number });
                    });
                    submit_in_time(&handle, operation);
                }
            })
        })
        .collect();
    poll_until(&mut poller, || ended.load(Ordering::Relaxed) == threads * times);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let pool = super::subject::lock(&pool);
    let tokens: Vec<Token> = pool.try_iter().collect();
    assert_eq!(tokens.len(), slots);
    assert_eq!(tokens.iter().map(|token| token.number).sum::<u64>(), (threads * times) as u64);
}

/// [async 41] [async-backends 40]
fn memory_is_reused_by_one_thread(subject: &IoSubject) {
    reuse(subject, 1, 1, rounds(10_000));
}

/// [async 42] [async-backends 40]
fn memory_is_reused_by_many_threads(subject: &IoSubject) {
    reuse(subject, 4, 16, rounds(10_000));
}

/// [async 43] [async-backends 40]
fn memory_is_reused_by_two_threads_over_two_slots(subject: &IoSubject) {
    reuse(subject, 2, 2, rounds(10_000));
}
