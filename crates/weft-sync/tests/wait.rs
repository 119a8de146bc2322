//! Blocking on one, any and all timelines: deadlines, failures, threads.
//!
//! Timings are bounded from below only: a loaded machine may be late, never early.
#![cfg(not(loom))]

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use weft_sync::{
    AsPoint, Code, Deadline, Idle, Point, Result, Semaphore, Status, wait_all, wait_all_with, wait_any,
    wait_any_with,
};

fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(initial))
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "the disk is gone")
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().code()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(5))
}

/// Fails when something was left registered with a semaphore.
fn assert_nothing_pending(semaphores: &[&Arc<Semaphore>]) {
    for semaphore in semaphores {
        assert!(format!("{semaphore:?}").contains("pending: 0"), "{semaphore:?}");
    }
}

/// [causal 43] [hal 67] Nothing to wait for is there at once, whatever the deadline.
#[test]
fn an_empty_list_is_met() {
    let none: [Point; 0] = [];
    for deadline in [Deadline::IMMEDIATE, Deadline::NEVER] {
        wait_all(&none, deadline).unwrap();
        assert_eq!(wait_any(&none, deadline).unwrap(), 0);
    }
}

/// [causal 43] [hal 67] Reached already: beyond, exactly, also when the wait may not block.
#[test]
fn a_reached_value_is_met_at_once() {
    let it = semaphore(5);
    for deadline in [Deadline::IMMEDIATE, soon(), Deadline::NEVER] {
        for value in [0, 4, 5] {
            it.wait(value, deadline).unwrap();
            wait_all(&[(&it, value)], deadline).unwrap();
            assert_eq!(wait_any(&[(&it, value)], deadline).unwrap(), 0);
        }
    }
}

/// [causal 43] [hal 67] Behind: at once for an immediate deadline, not before the time for a finite one.
#[test]
fn a_value_that_does_not_come_exceeds_the_deadline() {
    let (it, reached) = (semaphore(5), semaphore(9));
    assert_eq!(code(it.wait(6, Deadline::IMMEDIATE)), Code::DeadlineExceeded);
    assert_eq!(code(wait_any(&[(&it, 6)], Deadline::IMMEDIATE)), Code::DeadlineExceeded);
    assert_eq!(code(wait_all(&[(&reached, 9), (&it, 6)], Deadline::IMMEDIATE)), Code::DeadlineExceeded);

    let start = Instant::now();
    assert_eq!(code(wait_all(&[(&reached, 9), (&it, 6)], soon())), Code::DeadlineExceeded);
    assert_eq!(code(wait_any(&[(&it, 7), (&it, 6)], soon())), Code::DeadlineExceeded);
    assert!(start.elapsed() >= Duration::from_millis(10));
    assert_nothing_pending(&[&it, &reached]);
}

/// [causal 44] [hal 68] A thread signals beyond the value that is waited for.
#[test]
fn a_signal_from_a_thread_ends_the_wait() {
    let it = semaphore(0);
    let signaller = thread::spawn({
        let it = Arc::clone(&it);
        move || {
            thread::sleep(Duration::from_millis(2));
            it.signal(10).unwrap();
        }
    });
    it.wait(3, Deadline::NEVER).unwrap();
    signaller.join().unwrap();
    assert_nothing_pending(&[&it]);
}

/// [causal 44] Met piece by piece, in an order of its own.
#[test]
fn all_waits_for_the_last_of_staggered_signals() {
    let semaphores = [0; 4].map(semaphore);
    let signaller = thread::spawn({
        let semaphores = semaphores.clone();
        move || {
            for index in [2, 0, 3, 1] {
                thread::sleep(Duration::from_millis(1));
                semaphores[index].signal(1).unwrap();
            }
        }
    });
    wait_all(&semaphores.each_ref().map(|it| (it, 1)), Deadline::NEVER).unwrap();
    assert!(semaphores.iter().all(|it| it.is_reached(1).unwrap()));
    signaller.join().unwrap();
}

/// [causal 44] [hal 67] The index names the one that was reached; the lowest if several were.
#[test]
fn any_tells_which() {
    let [first, middle, last] = [0; 3].map(semaphore);
    let points = [(&first, 1), (&middle, 1), (&last, 1)];
    last.signal(1).unwrap();
    assert_eq!(wait_any(&points, Deadline::NEVER).unwrap(), 2);
    middle.signal(1).unwrap();
    assert_eq!(wait_any(&points, Deadline::NEVER).unwrap(), 1);
    first.signal(1).unwrap();
    assert_eq!(wait_any(&points, Deadline::IMMEDIATE).unwrap(), 0);
}

/// [causal 44] [hal 68] Any of several, signalled by a thread while the wait sleeps; the others are let go.
#[test]
fn any_is_woken_by_a_thread() {
    for chosen in 0..3 {
        let semaphores = [0; 3].map(semaphore);
        let signaller = thread::spawn({
            let it = Arc::clone(&semaphores[chosen]);
            move || {
                thread::sleep(Duration::from_millis(1));
                it.signal(1).unwrap();
            }
        });
        let points = semaphores.each_ref().map(|it| (it, 1));
        assert_eq!(wait_any(&points, Deadline::NEVER).unwrap(), chosen);
        signaller.join().unwrap();
        assert_nothing_pending(&semaphores.each_ref());
    }
}

/// [causal 45] [hal 66] A failure ends the wait with its own code and says what was waited for.
#[test]
fn a_failure_before_the_wait_is_reported() {
    let (failed, behind) = (semaphore(7), semaphore(0));
    failed.fail(lost());
    for deadline in [Deadline::IMMEDIATE, soon(), Deadline::NEVER] {
        let status = failed.wait(1, deadline).unwrap_err();
        assert_eq!(
            status.to_string(),
            "DATA_LOSS; the disk is gone; waiting for a semaphore to reach 1",
            "also for a value that had been reached"
        );
        assert_eq!(code(wait_all(&[(&behind, 1), (&failed, 1)], deadline)), Code::DataLoss);
        assert_eq!(code(wait_any(&[(&behind, 1), (&failed, 1)], deadline)), Code::DataLoss);
    }
    assert_nothing_pending(&[&behind]);
}

/// [causal 45] In one look a value that is reached wins over a failure, for any; for all the failure wins.
#[test]
fn any_prefers_the_reached_one_to_the_failed_one() {
    let (failed, reached) = (semaphore(0), semaphore(1));
    failed.fail(lost());
    let points = [(&failed, 1), (&reached, 1)];
    assert_eq!(wait_any(&points, Deadline::IMMEDIATE).unwrap(), 1);
    assert_eq!(code(wait_all(&points, Deadline::IMMEDIATE)), Code::DataLoss);
}

/// [causal 45] [hal 66] [hal 68] A failure during the wait ends it with its code and leaves the others untouched.
#[test]
fn a_failure_during_the_wait_ends_it() {
    for any in [false, true] {
        let (failing, other) = (semaphore(0), semaphore(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(1));
                failing.fail(lost());
            });
            let points = [(&other, 4), (&failing, 2)];
            let outcome = if any {
                wait_any(&points, Deadline::NEVER).map(drop)
            } else {
                wait_all(&points, Deadline::NEVER)
            };
            assert_eq!(
                outcome.unwrap_err().to_string(),
                "DATA_LOSS; the disk is gone; waiting for a semaphore to reach 2"
            );
        });
        assert_eq!(other.query().unwrap(), 0);
        assert_nothing_pending(&[&other]);
    }
}

/// [causal 45] More entries than fit on the stack of the wait.
#[test]
fn long_lists_work_alike() {
    let semaphores: Vec<_> = (0..40).map(|_| semaphore(0)).collect();
    let points: Vec<_> = semaphores.iter().map(|it| Point { semaphore: Arc::clone(it), value: 1 }).collect();
    assert_eq!(code(wait_all(&points, soon())), Code::DeadlineExceeded);
    thread::scope(|scope| {
        scope.spawn(|| semaphores[33].signal(1).unwrap());
        assert_eq!(wait_any(&points, Deadline::NEVER).unwrap(), 33);
        scope.spawn(|| {
            for it in semaphores.iter().filter(|it| !it.is_reached(1).unwrap()) {
                it.signal(1).unwrap();
            }
        });
        wait_all(&points, Deadline::NEVER).unwrap();
    });
    assert_nothing_pending(&semaphores.iter().collect::<Vec<_>>());
}

/// One semaphore may stand in the list several times.
#[test]
fn one_semaphore_at_several_values() {
    let [it, seen] = [0; 2].map(semaphore);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1));
            it.signal(1).unwrap();
            // However late the other thread is: it must not find 3 reached too when it begins to wait.
            seen.wait(1, Deadline::NEVER).unwrap();
            it.signal(2).unwrap();
            it.signal(3).unwrap();
        });
        assert_eq!(wait_any(&[(&it, 3), (&it, 1)], Deadline::NEVER).unwrap(), 1);
        seen.signal(1).unwrap();
        wait_all(&[(&it, 3), (&it, 1), (&it, 3)], Deadline::NEVER).unwrap();
    });
    assert_nothing_pending(&[&it, &seen]);
}

/// [causal 46] The state of a wait that ended is not touched: late signals disturb no later wait of the thread.
#[test]
fn late_signals_do_not_disturb_later_waits() {
    const ROUNDS: u64 = 300;
    let [first, second, started, silent] = [0; 4].map(semaphore);
    thread::scope(|scope| {
        for it in [&first, &second] {
            let started = &started;
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    started.wait(round, Deadline::NEVER).unwrap();
                    it.signal(round).unwrap();
                }
            });
        }
        for round in 1..=ROUNDS {
            started.signal(round).unwrap();
            let points = [(&first, round), (&second, round)];
            let index = wait_any(&points, Deadline::NEVER).unwrap();
            assert!(points[index].0.is_reached(round).unwrap());
            // The signal of the other one comes about now. It is nothing to this wait.
            assert_eq!(
                code(silent.wait(1, Deadline::after(Duration::from_micros(20)))),
                Code::DeadlineExceeded
            );
            wait_all(&points, Deadline::NEVER).unwrap();
        }
    });
    assert_nothing_pending(&[&first, &second, &started, &silent]);
}

/// [hal 68] Two threads hand a value to and fro.
#[test]
fn ping_pong() {
    const ROUNDS: u64 = 2000;
    let (ping, pong) = (semaphore(0), semaphore(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                ping.wait(round, Deadline::NEVER).unwrap();
                pong.signal(round).unwrap();
            }
        });
        for round in 1..=ROUNDS {
            ping.signal(round).unwrap();
            pong.wait(round, Deadline::NEVER).unwrap();
        }
    });
    assert_eq!(pong.query().unwrap(), ROUNDS);
}

/// [hal 68] Many threads wait for one value; several wait for several; a failure ends them all.
#[test]
fn many_waiters() {
    for fails in [false, true] {
        let (first, second) = (semaphore(0), semaphore(0));
        thread::scope(|scope| {
            let single: Vec<_> = (0..8).map(|_| scope.spawn(|| first.wait(1, Deadline::NEVER))).collect();
            let several: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| wait_all(&[(&first, 1), (&second, 1)], Deadline::NEVER)))
                .collect();
            thread::sleep(Duration::from_millis(1));
            second.signal(1).unwrap();
            if fails {
                first.fail(lost())
            } else {
                first.signal(1).unwrap()
            }
            for waiter in single.into_iter().chain(several) {
                let outcome = waiter.join().unwrap().map_err(|status| status.code());
                assert_eq!(outcome, if fails { Err(Code::DataLoss) } else { Ok(()) });
            }
        });
        assert_nothing_pending(&[&first, &second]);
    }
}

/// A wait inside a callback that would have to block is refused; one that need not is answered.
#[test]
fn a_callback_may_not_block() {
    let it = semaphore(1);
    let other = semaphore(0);
    let seen: Arc<Mutex<Vec<Option<Code>>>> = Arc::default();
    it.on_reached(1, {
        let (it, seen) = (Arc::clone(&it), Arc::clone(&seen));
        move |_| {
            for outcome in [
                it.wait(1, Deadline::NEVER),
                other.wait(1, Deadline::IMMEDIATE),
                other.wait(1, soon()),
                other.wait(1, Deadline::NEVER),
            ] {
                seen.lock().unwrap().push(outcome.err().map(|status| status.code()));
            }
        }
    });
    assert_eq!(
        *seen.lock().unwrap(),
        [None, Some(Code::DeadlineExceeded), Some(Code::FailedPrecondition), Some(Code::FailedPrecondition)]
    );
    assert_eq!(code(it.wait(2, soon())), Code::DeadlineExceeded, "outside of callbacks blocking is fine");
}

/// Points may be named in every handy form.
#[test]
fn forms_of_points() {
    let it = semaphore(3);
    let point = Point { semaphore: Arc::clone(&it), value: 3 };
    wait_all(&[&point, &point], Deadline::IMMEDIATE).unwrap();
    wait_all(&[(Arc::clone(&it), 3)], Deadline::IMMEDIATE).unwrap();
    let borrowed: &Semaphore = &it;
    wait_all(&[(borrowed, 3)], Deadline::IMMEDIATE).unwrap();
    assert_eq!(point.as_point().1, 3);
}

/// [causal 46] However the thread passes the time, the answers are the same.
#[test]
fn idle_changes_no_answer() {
    for idle in [Idle::Block, Idle::Yield, Idle::Active] {
        let [first, second, failed] = [0; 3].map(semaphore);
        failed.fail(lost());
        first.signal(3).unwrap();
        first.wait_with(3, Deadline::IMMEDIATE, idle).unwrap();
        // Before the deadline is made: however late this thread is, it lasts at least as long as the deadline says.
        let start = Instant::now();
        for deadline in [Deadline::IMMEDIATE, soon()] {
            assert_eq!(code(second.wait_with(1, deadline, idle)), Code::DeadlineExceeded);
            assert_eq!(
                code(wait_any_with(&[(&second, 1), (&first, 4)], deadline, idle)),
                Code::DeadlineExceeded
            );
            assert!(deadline.is_immediate() || start.elapsed() >= Duration::from_millis(5));
        }
        assert_eq!(code(wait_all_with(&[(&second, 1), (&failed, 1)], Deadline::NEVER, idle)), Code::DataLoss);
        thread::scope(|scope| {
            let (was_seen, seen) = mpsc::channel();
            let second = &second;
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(2));
                second.signal(1).unwrap();
                // Not before it was seen: a wait that comes late is told of the failure.
                seen.recv().unwrap();
                thread::sleep(Duration::from_millis(2));
                second.fail(lost());
            });
            let reached = wait_any_with(&[(&first, 9), (second, 1)], Deadline::NEVER, idle);
            was_seen.send(()).unwrap();
            assert_eq!(reached.unwrap(), 1);
            assert_eq!(code(wait_all_with(&[(second, 2)], Deadline::NEVER, idle)), Code::DataLoss);
        });
        assert_nothing_pending(&[&first, &second]);
    }
    let refused = Arc::new(Mutex::new(None));
    let (it, seen, other) = (semaphore(0), Arc::clone(&refused), semaphore(0));
    it.on_reached(0, move |_| {
        *seen.lock().unwrap() = Some(code(other.wait_with(1, Deadline::NEVER, Idle::Active)));
    });
    assert_eq!(*refused.lock().unwrap(), Some(Code::FailedPrecondition), "a callback may not spin either");
}
