//! `hal.fence.*`.

use super::harness::{Hal, NULL, object, unwrap, wrapper};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft::Code;
use weft::hal::Fence;
use weft::sync::{Deadline, Point, Semaphore};
use weft::vm::module_builder::ModuleBuilder;
use weft::vm::{Invocation, ModuleBytes, Progress, Value};

fn query(hal: &Hal, fence: &Value) -> i32 {
    match hal.call("fence.query", &[fence.clone()])[0] {
        Value::I32(code) => code,
        ref other => panic!("{other:?}"),
    }
}

fn signal(hal: &Hal, fence: &Value) {
    hal.call("fence.signal", &[fence.clone()]);
}

fn fail(hal: &Hal, fence: &Value, code: i32) {
    hal.call("fence.fail", &[fence.clone(), Value::I32(code)]);
}

fn join(hal: &Hal, fences: &[Value]) -> Value {
    let arguments = [&[Value::I64(0)][..], fences].concat();
    hal.call_spans("fence.join", &[fences.len()], &arguments).remove(0)
}

fn await_arguments(timeout_ms: i32, fences: &[Value]) -> Vec<Value> {
    [&[Value::I32(timeout_ms), Value::I64(0)][..], fences].concat()
}

fn await_all(hal: &Hal, timeout_ms: i32, fences: &[Value]) -> i32 {
    match hal.call_spans("fence.await", &[fences.len()], &await_arguments(timeout_ms, fences))[0] {
        Value::I32(code) => code,
        ref other => panic!("{other:?}"),
    }
}

/// Creation, signalling, failing, asking. [hal-module 38]
#[test]
fn the_life_of_a_fence() {
    let hal = Hal::new();
    let fence = hal.fence();
    assert_eq!(query(&hal, &fence), 17);
    signal(&hal, &fence);
    assert_eq!(query(&hal, &fence), 0);
    let twice = hal.fails("fence.signal", &[], &[fence.clone()]);
    assert_eq!(
        (twice.code(), &*twice.message()),
        (Code::InvalidArgument, "semaphore already signaled past 1")
    );

    let failed = hal.fence();
    fail(&hal, &failed, 0);
    assert_eq!(query(&hal, &failed), 17);
    fail(&hal, &failed, 7);
    fail(&hal, &failed, 8);
    assert_eq!(query(&hal, &failed), 7);
    assert_eq!(hal.code("fence.await", &[1], &await_arguments(-1, &[failed])), Code::PermissionDenied);

    fail(&hal, &fence, 5);
    assert_eq!(query(&hal, &fence), 5);
    let masked = hal.fence();
    fail(&hal, &masked, 32 + 3);
    assert_eq!(query(&hal, &masked), 3);
}

/// Sets of points. [hal-module 39]
#[test]
fn joining() {
    let hal = Hal::new();
    let (first, second) = (hal.fence(), hal.fence());
    assert_eq!(join(&hal, &[]), NULL);
    assert_eq!(join(&hal, &[NULL, NULL]), NULL);
    assert_eq!(join(&hal, &[NULL, first.clone(), NULL]), first);
    let both = join(&hal, &[first.clone(), NULL, second.clone(), first.clone()]);
    assert_eq!(unwrap::<Fence>(&both).points().len(), 2);
    let nested = join(&hal, &[both.clone(), hal.fence()]);
    assert_eq!(unwrap::<Fence>(&nested).points().len(), 3);
    signal(&hal, &first);
    assert_eq!(query(&hal, &both), 17);
    signal(&hal, &second);
    assert_eq!((query(&hal, &both), query(&hal, &nested)), (0, 17));

    let semaphore = Arc::new(Semaphore::new(0));
    let at = |value: u64| object(Fence::at(semaphore.clone(), value));
    let joined = unwrap::<Fence>(&join(&hal, &[at(3), at(7), at(5)]));
    assert_eq!(joined.points().iter().map(|point| point.value).collect::<Vec<_>>(), [7]);

    // 65535 semaphores are too many, a few less are not.
    let many = |count: usize| {
        let points = (0..count).map(|_| Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 });
        object(Fence::new(points).expect("below the limit"))
    };
    let (large, small) = (many(65_000), many(535));
    join(&hal, &[large.clone(), small.clone()]);
    let arguments = [Value::I64(0), large, small, hal.fence()];
    assert_eq!(hal.code("fence.join", &[3], &arguments), Code::ResourceExhausted);
}

/// Waiting with and without patience. [hal-module 40]
#[test]
fn awaiting() {
    let hal = Hal::new();
    let (reached, never) = (hal.fence(), hal.fence());
    signal(&hal, &reached);
    assert_eq!(await_all(&hal, -1, &[]), 0);
    assert_eq!(await_all(&hal, 0, &[NULL, NULL]), 0);
    assert_eq!(await_all(&hal, -1, &[reached.clone(), NULL]), 0);
    assert_eq!(await_all(&hal, 0, &[never.clone()]), 4);
    assert_eq!(await_all(&hal, 0, &[reached.clone(), never.clone()]), 4);
    let start = Instant::now();
    assert_eq!(await_all(&hal, 50, &[never.clone()]), 4);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(20), "{waited:?}");
    let failed = hal.fence();
    fail(&hal, &failed, 15);
    let mixed = await_arguments(-1, &[never.clone(), reached, failed]);
    assert_eq!(hal.code("fence.await", &[3], &mixed), Code::DataLoss);
    let many: Vec<_> = (0..100).map(|_| hal.fence()).collect();
    many.iter().for_each(|fence| signal(&hal, fence));
    assert_eq!(await_all(&hal, -1, &many), 0);
    // A fence that fails with DEADLINE_EXCEEDED is a failure, not a timeout.
    let deadline = hal.fence();
    fail(&hal, &deadline, 4);
    assert_eq!(hal.code("fence.await", &[1], &await_arguments(1000, &[deadline])), Code::DeadlineExceeded);
}

/// What the compiler puts around every plain function: a code that the wait answers with becomes a failure with this
/// message. A fence that failed, by a dispatch for example, gives no code: the call fails with what happened there
/// (`../programs.rs`, `kernels_that_fail`). [hal-module 65]
#[test]
fn wrappers_of_the_compiler_say_that_a_wait_failed() {
    let hal = Hal::new();
    let bytes = ModuleBuilder::new("test")
        .dependency("hal", 0)
        .import("hal.fence.await", "0iICrD_i")
        .function(
            "call",
            "0iIr_v",
            "%i4 = vm.const.i32.zero
             vm.call.variadic.yieldable @hal.fence.await segments[65535, 65535, 1](%i0, %i2:3, %r0) -> ^after(%i0)
             ^after:
             vm.cond_br %i0, ^failed(), ^reached()
             ^reached:
             vm.return
             ^failed:
             vm.fail %i0, \"failed to wait on timepoint\"",
        )
        .build()
        .unwrap();
    let program = hal.session.program().bytes(ModuleBytes::copy_of(&bytes)).unwrap().load().unwrap();
    let function = program.function("call").unwrap();
    let wait = |timeout_ms: i32, fence: &Value| {
        function.handle().call(&await_arguments(timeout_ms, &[fence.clone()])).map(drop)
    };
    let (fence, failed) = (hal.fence(), hal.fence());
    for timeout_ms in [0, 20] {
        let status = wait(timeout_ms, &fence).unwrap_err();
        assert_eq!(
            (status.code(), &*status.message()),
            (Code::DeadlineExceeded, "failed to wait on timepoint")
        );
    }
    signal(&hal, &fence);
    wait(-1, &fence).unwrap();
    unwrap::<Fence>(&failed).fail(weft::Status::new(Code::DataLoss, "the dispatch failed"));
    let status = wait(-1, &failed).unwrap_err();
    assert_eq!((status.code(), &*status.message()), (Code::DataLoss, "the dispatch failed"));
}

/// Another thread ends the wait. [hal-module 40]
#[test]
fn another_thread_wakes_the_program() {
    let hal = Hal::new();
    let fences: Vec<_> = (0..3).map(|_| hal.fence()).collect();
    let other: Vec<_> = fences.iter().map(unwrap::<Fence>).collect();
    let thread = std::thread::spawn(move || {
        for fence in other {
            std::thread::sleep(Duration::from_millis(10));
            fence.signal().unwrap();
        }
    });
    assert_eq!(await_all(&hal, -1, &fences), 0);
    thread.join().unwrap();
    let late = hal.fence();
    let fence = unwrap::<Fence>(&late);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        fence.fail(weft::Status::new(Code::Aborted, "given up"));
    });
    let status = hal.fails("fence.await", &[1], &await_arguments(-1, &[late]));
    assert_eq!((status.code(), &*status.message()), (Code::Aborted, "given up"));
    thread.join().unwrap();
}

/// One thread serves many waiting invocations; some of them are given up. [hal-module 40]
#[test]
fn many_invocations_wait_on_one_thread() {
    let hal = Hal::new();
    let bytes = wrapper("hal", "fence.await", &hal.signature("fence.await"), &[1]).unwrap();
    let program = hal.session.program().bytes(ModuleBytes::copy_of(&bytes)).unwrap().load().unwrap();
    let function = program.function("call").unwrap();
    let fences: Vec<_> = (0..200).map(|_| Fence::create()).collect();
    let mut invocations: Vec<_> = fences
        .iter()
        .map(|fence| {
            let mut invocation = Invocation::new(function.handle());
            let arguments = await_arguments(-1, &[object(fence.clone())]);
            assert_eq!(invocation.begin(&arguments).unwrap(), Progress::Waiting);
            assert_eq!(invocation.resume().unwrap_err().code(), Code::FailedPrecondition);
            invocation
        })
        .collect();
    // The program goes, the invocations keep what they need.
    drop((program, function));
    for (index, fence) in fences.iter().enumerate().rev() {
        match index % 3 {
            0 => fence.signal().unwrap(),
            1 => fence.fail(weft::Status::new(Code::DataLoss, "lost")),
            _ => {}
        }
    }
    for (index, mut invocation) in invocations.drain(..).enumerate() {
        if index % 3 == 2 {
            // Dropped while it waits, or aborted.
            if index % 2 == 0 {
                invocation.abort();
                assert_eq!(invocation.end().unwrap_err().code(), Code::Aborted);
            }
            continue;
        }
        invocation.wait(Deadline::IMMEDIATE).unwrap();
        assert_eq!(invocation.resume().unwrap(), Progress::Completed);
        let outcome = invocation.end();
        if index % 3 == 0 {
            assert_eq!(outcome.unwrap(), [Value::I32(0)]);
        } else {
            assert_eq!(outcome.unwrap_err().code(), Code::DataLoss);
        }
    }
}
