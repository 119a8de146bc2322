//! Calls that wait for others, and calls whose caller goes on: the fences say that they were cancelled.

use std::time::{Duration, Instant};

use weft::{CancelToken, Code, Deadline, Fence, Tensor};

use crate::{
    FOREVER, LONG, SOON, assert_nothing_is_left, cancelled_while, check_others, everywhere, floats, ground,
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
