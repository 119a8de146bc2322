//! Calls that wait for others, and calls whose caller goes on: the fences say that they were cancelled. What a call does
//! with fences that say something else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft::sync::Semaphore;
use weft::{CancelToken, Code, Deadline, Fence, Status, Tensor};

use crate::{
    FOREVER, LONG, SOON, assert_nothing_is_left, cancelled_while, check_others, everywhere, floats, ground,
    live,
};

/// A call that waits for a fence which nobody signals is woken by the cancel itself, not by looking now and then.
#[test]
fn calls_that_wait_are_woken_at_once() {
    everywhere(|program| {
        let add = program.function("add").unwrap();
        let arguments = || (floats(&[1.0; 4]), floats(&[2.0; 4]));
        let mut latencies: Vec<Duration> = (0..31)
            .map(|round| {
                let (token, never) = (CancelToken::new(), Fence::create());
                std::thread::scope(|scope| {
                    let call = scope.spawn(|| {
                        let call = add.prepare(arguments()).after(&never).cancelled_by(&token);
                        let outcome = call.run::<Tensor>();
                        (outcome, Instant::now())
                    });
                    std::thread::sleep(Duration::from_millis(5 + round % 7));
                    let asked = Instant::now();
                    token.cancel();
                    let (outcome, ended) = call.join().unwrap();
                    assert_eq!(outcome.unwrap_err().code(), Code::Cancelled);
                    ended - asked
                })
            })
            .collect();
        latencies.sort();
        // One that looks every 20 ms takes 10 at the median.
        assert!(latencies[15] < Duration::from_millis(5), "{latencies:?}");
        assert_nothing_is_left(program, &CancelToken::new());
        check_others(program, 2.0);
    });
}

/// A call that goes on in the background: its fence fails with CANCELLED, and the token says when nothing is left.
#[test]
fn submitted_calls_fail_their_fences() {
    everywhere(|program| {
        let argument = ground(2.0);
        for name in ["grind", "steps"] {
            let function = program.function(name).unwrap();
            let (token, signal, never) = (CancelToken::new(), Fence::create(), Fence::create());
            let waiting = Fence::create();
            let asked = std::thread::scope(|scope| {
                let is_large = name == "grind";
                let input = if is_large { argument.clone() } else { floats(&[2.0; 4]) };
                let arguments = (input, if is_large { LONG } else { FOREVER });
                // Plain functions, and local-sync, keep their caller.
                scope.spawn(|| {
                    let call = function.prepare(arguments).cancelled_by(&token);
                    let outcome = call.signalling(&signal).submit::<Tensor>();
                    assert!(outcome.is_ok() || outcome.unwrap_err().code() == Code::Cancelled);
                });
                scope.spawn(|| {
                    let call = function.prepare((ground(1.0), 1i64)).after(&never).cancelled_by(&token);
                    if name == "grind" {
                        let _ = call.signalling(&waiting).submit::<Tensor>();
                    }
                });
                std::thread::sleep(Duration::from_millis(50));
                assert!(!signal.query().unwrap());
                token.cancel();
                Instant::now()
            });
            let status = signal.wait(Deadline::after(SOON)).unwrap_err();
            assert_eq!(status.code(), Code::Cancelled, "{name}: {status}");
            if name == "grind" {
                let status = waiting.wait(Deadline::after(SOON)).unwrap_err();
                assert_eq!(status.code(), Code::Cancelled, "{status}");
            }
            token.wait_idle(Deadline::after(SOON)).unwrap();
            assert!(asked.elapsed() < SOON, "{name}: {:?}", asked.elapsed());
            check_others(program, 3.0);
            assert_nothing_is_left(program, &token);
        }
    });
}

/// What comes after a cancelled call by its fence, without a token of its own, is told why it never begins.
#[test]
fn whoever_waits_for_a_cancelled_call_is_told() {
    everywhere(|program| {
        let (steps, add) = (program.function("steps").unwrap(), program.function("add").unwrap());
        let (token, signal) = (CancelToken::new(), Fence::create());
        let status = std::thread::scope(|scope| {
            let behind = scope.spawn(|| {
                let call = add.prepare((floats(&[1.0; 4]), floats(&[1.0; 4]))).after(&signal);
                call.run::<Tensor>().unwrap_err()
            });
            cancelled_while(&token, Duration::from_millis(30), || {
                let call = steps.prepare((floats(&[1.0; 4]), FOREVER)).cancelled_by(&token);
                call.signalling(&signal).run::<Tensor>()
            });
            behind.join().unwrap()
        });
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        assert_nothing_is_left(program, &token);
    });
}

/// Both ways of calling, with a result that is valid when the fence says so.
fn both_ways(mut body: impl FnMut(&dyn Fn(&[&Arc<Fence>]) -> weft::Result<Tensor>, &str)) {
    everywhere(|program| {
        let add = program.function("add").unwrap();
        let prepared = |signals: &[&Arc<Fence>]| {
            let call = add.prepare((floats(&[1.0; 4]), floats(&[2.0; 4])));
            signals.iter().fold(call, |call, fence| call.signalling(fence))
        };
        body(&|signals| prepared(signals).run(), "run");
        body(&|signals| prepared(signals).submit(), "submit");
        assert_eq!(live(program), 0);
    });
}

/// Several signal fences are their union: the same one twice, and points of one timeline in any order.
#[test]
fn signal_fences_are_joined() {
    both_ways(|call, way| {
        let timeline = Arc::new(Semaphore::new(0));
        let at = |value| Fence::at(Arc::clone(&timeline), value);
        let (twice, other) = (Fence::create(), Fence::create());
        let (second, first) = (at(2), at(1));
        let sum = call(&[&twice, &second, &other, &first, &twice])
            .unwrap_or_else(|status| panic!("{way}: {status}"));
        for fence in [&twice, &second, &other, &first] {
            fence.wait(Deadline::after(SOON)).unwrap_or_else(|status| panic!("{way}: {status}"));
        }
        assert_eq!(sum.to_vec::<f32>().unwrap(), [3.0; 4], "{way}");
        assert_eq!(timeline.query().unwrap(), 2, "{way}");
    });
}

/// A signal fence that is reached already fails the call before it runs, and nothing happens to its timeline; one that has
/// failed gives the call its failure. Whoever waits for another fence of that call is told.
#[test]
fn signal_fences_that_are_over_are_refused() {
    both_ways(|call, way| {
        let (timeline, other) = (Arc::new(Semaphore::new(7)), Fence::create());
        let status = call(&[&Fence::at(Arc::clone(&timeline), 7), &other]).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{way}: {status}");
        assert_eq!(timeline.query().unwrap(), 7, "{way}");
        assert_eq!(other.query().unwrap_err().code(), Code::InvalidArgument, "{way}");
        let text = status.to_string();
        assert_eq!(text.matches("invoking function").count(), 1, "{way}: {text}");

        let (failed, other) = (Fence::create(), Fence::create());
        failed.fail(Status::new(Code::DataLoss, "the disk is gone"));
        let status = call(&[&failed, &other]).unwrap_err();
        assert_eq!(status.code(), Code::DataLoss, "{way}: {status}");
        assert_eq!(other.query().unwrap_err().code(), Code::DataLoss, "{way}");
        let text = status.to_string();
        assert_eq!(text.matches("the disk is gone").count(), 1, "{way}: {text}");
    });
}

/// A call does not wait for a fence that nobody is left to signal, whenever the last one goes. One that is held in any way,
/// as a fence, as a timeline, is waited for.
#[test]
fn nobody_waits_for_abandoned_fences() {
    everywhere(|program| {
        let add = program.function("add").unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        for round in 0..4 {
            let (gate, reached) = (Fence::create(), Fence::create());
            reached.signal().unwrap();
            let (add, ended, theirs) = (add.clone(), ended.clone(), Arc::clone(&gate));
            // A thread of its own: it would never return.
            std::thread::spawn(move || {
                let call = add.prepare((floats(&[1.0; 4]), floats(&[2.0; 4]))).after(&theirs);
                let call = if round % 2 == 0 { call } else { call.after(&reached).after(&theirs) };
                drop((theirs, reached));
                ended.send(call.run::<Tensor>().map(|sum| sum.to_vec::<f32>().unwrap()))
            });
            let timeline = Arc::clone(&gate.points()[0].semaphore);
            drop(gate);
            assert!(end.recv_timeout(Duration::from_millis(60)).is_err(), "the timeline is held");
            if round < 2 {
                timeline.signal(1).unwrap();
                assert_eq!(end.recv_timeout(SOON).unwrap().unwrap(), [3.0; 4]);
            } else {
                drop(timeline);
                let status = end.recv_timeout(SOON).expect("it waits for nobody").unwrap_err();
                assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                assert!(status.to_string().contains("nobody is left to signal the fence"), "{status}");
            }
        }
        check_others(program, 2.0);
    });
}
