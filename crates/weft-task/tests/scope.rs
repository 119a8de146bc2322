//! Scopes: idle, failure, abort.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::{OpensWhenDropped, SLOWNESS};
use weft_sync::{Code, Deadline, Status};
use weft_task::{Scope, ScopeOptions};

fn scope() -> Arc<Scope> {
    Arc::new(Scope::new("test", ScopeOptions::default()))
}

/// [task 68]
#[test]
fn a_scope_is_idle_when_the_last_one_ends() {
    let scope = scope();
    scope.wait_idle(Deadline::IMMEDIATE).unwrap();
    scope.begin();
    let second = scope.enter();
    assert_eq!(scope.wait_idle(Deadline::IMMEDIATE).unwrap_err().code(), Code::DeadlineExceeded);
    scope.end();
    let late = scope.wait_idle(Deadline::after(Duration::from_millis(2)));
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(!scope.is_idle());
    std::thread::scope(|threads| {
        let ender = threads.spawn(move || drop(second));
        scope.wait_idle(Deadline::NEVER).unwrap();
        ender.join().unwrap();
    });
    assert!(scope.is_idle());
}

/// [task 69]
#[test]
fn the_first_failure_stays() {
    let scope = scope();
    assert!(scope.consume_failure().is_none());
    scope.fail(Status::new(Code::DataLoss, "first"));
    scope.fail(Status::new(Code::Internal, "second"));
    assert_eq!(scope.consume_failure().unwrap().to_string(), "DATA_LOSS; first");
    for _ in 0..2 {
        let again = scope.consume_failure().unwrap();
        assert_eq!((again.code(), again.message().as_ref()), (Code::DataLoss, ""));
    }
    assert!(scope.has_failed());
}

/// [task 70]
#[test]
fn abort_is_a_failure() {
    let scope = scope();
    scope.abort();
    assert_eq!(scope.consume_failure().unwrap().code(), Code::Aborted);
}

const DEATH: &str = "WEFT_TASK_TEST_DEATH";

/// The test runs itself once more, in a process that is meant to die. [task 70]
#[test]
fn abort_on_failure_ends_the_program() {
    if std::env::var_os(DEATH).is_some() {
        let scope = Scope::new("doomed", ScopeOptions { abort_on_failure: true });
        scope.fail(Status::new(Code::DataLoss, "gone"));
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "abort_on_failure_ends_the_program", "--nocapture"])
        .env(DEATH, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("scope doomed: DATA_LOSS; gone"), "{said}");
}

/// The waiter takes the scope apart right after it was told that it is idle; the enders are done with it by then.
/// [task 71]
#[test]
fn a_scope_may_go_as_soon_as_it_is_idle() {
    for _ in 0..10_000 / SLOWNESS {
        let mut scope = scope();
        scope.begin();
        scope.begin();
        std::thread::scope(|threads| {
            // Not a handle of the scope: what an owner of a queue would lend to its processes.
            let lent = &*scope;
            let enders = [(), ()].map(|()| threads.spawn(|| lent.end()));
            lent.wait_idle(Deadline::NEVER).unwrap();
            assert!(lent.is_abandoned(), "somebody is still inside");
            for ender in enders {
                ender.join().unwrap();
            }
        });
        assert!(Arc::get_mut(&mut scope).is_some());
    }
}

/// [task 72]
#[test]
fn everybody_who_waits_returns() {
    for _ in 0..200 / SLOWNESS {
        let scope = scope();
        let busy = scope.enter();
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| scope.wait_idle(Deadline::NEVER).unwrap());
            }
            drop(busy);
        });
    }
}

/// Others begin and end all the time, so that there is an ender inside at nearly every look.
#[test]
fn a_poll_took_seconds_while_enders_were_busy() {
    let (scope, stop) = (scope(), Arc::new(AtomicBool::new(false)));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    scope.begin();
                    scope.end();
                }
            });
        }
        let _stop = OpensWhenDropped(Arc::clone(&stop));
        let mut longest = Duration::ZERO;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            let start = Instant::now();
            let polled = scope.wait_idle(Deadline::IMMEDIATE);
            assert!(polled.is_ok() || polled.unwrap_err().code() == Code::DeadlineExceeded);
            longest = longest.max(start.elapsed());
        }
        // What a processor is away for on a loaded machine, and no more.
        assert!(longest < Duration::from_secs(1), "{longest:?}");
    });
    scope.wait_idle(Deadline::IMMEDIATE).unwrap();
}

#[test]
fn an_end_too_many_made_a_scope_busy_for_ever() {
    let scope = scope();
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| scope.end())).is_err());
        assert!(scope.is_abandoned(), "{scope:?}");
        scope.wait_idle(Deadline::IMMEDIATE).unwrap();
        scope.begin();
        assert!(!scope.is_idle());
        scope.end();
    }
    // While others are in flight, too: one of five ends finds nothing.
    for _ in 0..500 / SLOWNESS {
        (0..4).for_each(|_| scope.begin());
        let refused = std::thread::scope(|threads| {
            let enders = [(); 5].map(|()| threads.spawn(|| catch_unwind(AssertUnwindSafe(|| scope.end()))));
            enders.map(|ender| ender.join().unwrap().is_err()).into_iter().filter(|&refused| refused).count()
        });
        assert_eq!(refused, 1);
        assert!(scope.is_abandoned(), "{scope:?}");
    }
}

#[test]
fn a_name_is_shortened() {
    assert_eq!(Scope::new("a name of twenty chars", ScopeOptions::default()).name(), "a name of twent");
}
