//! One callback for several points: all, any, failure, withdrawal.
//!
//! Every interleaving is in `loom/gather.rs`.
#![cfg(not(loom))]

use std::sync::{Arc, Mutex};
use std::thread;
use weft_sync::{Code, Deadline, Point, Result, Semaphore, Status, on_all_reached, on_any_reached};

type Seen<T> = Arc<Mutex<Vec<std::result::Result<T, Code>>>>;

fn seen<T>() -> Seen<T> {
    Seen::default()
}

fn note<T: Send + 'static>(seen: &Seen<T>) -> impl FnOnce(Result<T>) + Send + 'static {
    let seen = Arc::clone(seen);
    move |outcome| seen.lock().unwrap().push(outcome.map_err(|status| status.code()))
}

fn taken<T>(seen: &Seen<T>) -> Vec<std::result::Result<T, Code>> {
    std::mem::take(&mut seen.lock().unwrap())
}

fn semaphores<const COUNT: usize>() -> [Arc<Semaphore>; COUNT] {
    std::array::from_fn(|_| Arc::new(Semaphore::new(0)))
}

fn points(semaphores: &[Arc<Semaphore>], value: u64) -> Vec<Point> {
    semaphores.iter().map(|semaphore| Point { semaphore: Arc::clone(semaphore), value }).collect()
}

fn assert_nothing_pending(semaphores: &[Arc<Semaphore>]) {
    for semaphore in semaphores {
        let shown = format!("{semaphore:?}");
        assert!(shown.contains("pending: 0"), "{shown}");
    }
}

/// [causal 44]
#[test]
fn all_is_called_with_the_last() {
    let (semaphores, seen) = (semaphores::<12>(), seen());
    on_all_reached(&points(&semaphores, 1), note(&seen));
    for semaphore in semaphores.iter().rev() {
        assert!(seen.lock().unwrap().is_empty());
        semaphore.signal(2).unwrap();
    }
    assert_eq!(taken(&seen), [Ok(())]);
    on_all_reached(&points(&semaphores, 2), note(&seen));
    on_all_reached(&[], note(&seen));
    assert_eq!(taken(&seen), [Ok(()), Ok(())]);
}

/// [causal 44] The lowest of those that are reached; then the first that is; nothing is left registered.
#[test]
fn any_is_called_with_the_first() {
    let (semaphores, seen) = (semaphores::<3>(), seen());
    on_any_reached(&points(&semaphores, 1), note(&seen)).unwrap();
    semaphores[1].signal(1).unwrap();
    assert_eq!(taken(&seen), [Ok(1)]);
    assert_nothing_pending(&semaphores);
    semaphores[2].signal(1).unwrap();
    on_any_reached(&points(&semaphores, 1), note(&seen)).unwrap();
    assert_eq!(taken(&seen), [Ok(1)]);
    assert_eq!(on_any_reached(&[], note(&seen)).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(taken(&seen), []);
}

/// [causal 45] A failure before or meanwhile ends it, once; in any mode a point that is reached wins.
#[test]
fn a_failure_ends_it() {
    let (semaphores, all, any) = (semaphores::<3>(), seen(), seen());
    on_all_reached(&points(&semaphores, 1), note(&all));
    on_any_reached(&points(&semaphores, 1), note(&any)).unwrap();
    semaphores[1].fail(Status::new(Code::DataLoss, "lost"));
    semaphores[2].fail(Status::new(Code::Aborted, "later"));
    assert_eq!((taken(&all), taken(&any)), (vec![Err(Code::DataLoss)], vec![Err(Code::DataLoss)]));
    assert_nothing_pending(&semaphores);
    on_all_reached(&points(&semaphores, 1), note(&all));
    on_any_reached(&points(&semaphores, 1), note(&any)).unwrap();
    assert_eq!((taken(&all), taken(&any)), (vec![Err(Code::DataLoss)], vec![Err(Code::DataLoss)]));
    assert_nothing_pending(&semaphores);
    let mut reached_last = points(&semaphores, 1);
    reached_last.push(Point { semaphore: Arc::new(Semaphore::new(1)), value: 1 });
    on_any_reached(&reached_last, note(&any)).unwrap();
    assert_eq!(taken(&any), [Ok(3)]);
}

/// A gathering keeps no timeline alive: one that goes counts as failed.
#[test]
fn a_dropped_timeline_counts_as_failed() {
    let (semaphores, seen) = (semaphores::<2>(), seen());
    let gathering = on_all_reached(&points(&semaphores, 1), note(&seen));
    let [first, second] = semaphores;
    drop(first);
    assert_eq!(taken(&seen), [Err(Code::Cancelled)]);
    assert!(!gathering.cancel());
    assert_nothing_pending(&[second]);
}

#[test]
fn cancel_withdraws_everything() {
    let (semaphores, seen) = (semaphores::<3>(), seen());
    let gathering = on_all_reached(&points(&semaphores, 1), note(&seen));
    semaphores[0].signal(1).unwrap();
    assert!(gathering.cancel());
    assert_nothing_pending(&semaphores);
    assert_eq!(Arc::strong_count(&seen), 1, "the callback was dropped");
    assert!(!gathering.cancel());
    let over = on_all_reached(&points(&semaphores[..1], 1), note(&seen));
    assert!(!over.cancel());
    assert_eq!(taken(&seen), [Ok(())]);
}

/// The callback may enter the same timelines, and finds nothing of the gathering there.
#[test]
fn callbacks_reenter() {
    let (semaphores, seen) = (semaphores::<2>(), seen());
    let (again, log) = (semaphores.clone(), note(&seen));
    on_any_reached(&points(&semaphores, 1), move |outcome| {
        outcome.unwrap();
        on_all_reached(&points(&again, 2), log);
        again[1].signal(2).unwrap();
    })
    .unwrap();
    semaphores[0].signal(2).unwrap();
    assert_eq!(taken(&seen), [Ok(())]);
}

#[test]
fn signals_from_many_threads_decide_once() {
    const ROUNDS: u64 = if cfg!(tsan) { 100 } else { 2_000 };
    let semaphores = semaphores::<4>();
    let done = Arc::new(Semaphore::new(0));
    thread::scope(|scope| {
        for semaphore in &semaphores {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    done.wait(round - 1, Deadline::NEVER).unwrap();
                    semaphore.signal(round).unwrap();
                }
            });
        }
        for round in 1..=ROUNDS {
            let finished = Arc::clone(&done);
            // `done` rises once a round: a second call would be refused.
            on_all_reached(&points(&semaphores, round), move |outcome| {
                outcome.unwrap();
                finished.signal(round).unwrap();
            });
            done.wait(round, Deadline::NEVER).unwrap();
        }
    });
}
