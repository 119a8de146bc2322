//! Waiting for semaphores and points in time.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use weft_sync::{Deadline, Point, Semaphore};
use weft_vm::native::{NativeCall, NativeModule, Object, Span, Step, Wait};
use weft_vm::{
    CancelToken, Context, Function, Instance, Invocation, InvokeOptions, Module, Progress, Ref, Value,
};

/// `host.all`, `host.any`: wait for semaphores at values and give 0, 4 for a deadline; `host.until`: sleeps.
fn waiting_host() -> Module {
    type Points<'a> = Span<'a, (Object<'static, Semaphore>, u64)>;
    fn points(span: &Points<'_>) -> Result<Vec<Point>> {
        span.iter()
            .map(|pair| pair.map(|(semaphore, value)| Point { semaphore: semaphore.to_arc(), value }))
            .collect()
    }
    fn deadline(ms: i64) -> Deadline {
        u64::try_from(ms).map_or(Deadline::NEVER, |ms| Deadline::after(Duration::from_millis(ms)))
    }
    fn settle(outcome: Result<()>) -> Result<Step<i32>> {
        match outcome {
            Ok(()) => Ok(Step::Done(0)),
            Err(status) if status.code() == Code::DeadlineExceeded => Ok(Step::Done(4)),
            Err(status) => Err(status),
        }
    }
    NativeModule::builder("host", 0, |_| Ok(()))
        .export_yielding("all", |_: &(), (ms, span): (i64, Points<'_>)| {
            Ok(Step::wait(Wait::all(points(&span)?, deadline(ms)), settle))
        })
        .export_yielding("any", |_: &(), (ms, span): (i64, Points<'_>)| {
            Ok(Step::wait(Wait::any(points(&span)?, deadline(ms)), settle))
        })
        .export_yielding("until", |_: &(), ms: i64| Ok(Step::wait(Wait::until(deadline(ms)), settle)))
        .build()
        .expect("built")
        .into()
}

/// `m.all`, `m.any`: deadline, then two semaphores to be reached at 1 and 5. `m.until`: deadline.
fn waiting() -> Arc<Context> {
    let instance = Instance::new();
    instance.register::<Semaphore>("test.semaphore").expect("registered");
    let text = |name: &str| {
        format!(
            "%i2:3 = vm.const.i64 1
             %i4:5 = vm.const.i64 5
             vm.call.variadic.yieldable @host.{name} segments[65535, 2](%i0:1, %r0, %i2:3, %r1, %i4:5) -> ^on(%i6)
           ^on:
             vm.return %i6"
        )
    };
    let builder = module()
        .import("host.all", "0ICrID_i")
        .import("host.any", "0ICrID_i")
        .import("host.until", "0I_i")
        .function("all", "0Irr_i", &text("all"))
        .function("any", "0Irr_i", &text("any"))
        .function(
            "until",
            "0I_i",
            "vm.call.yieldable @host.until(%i0:1) -> ^on(%i2) \n ^on: \n vm.return %i2",
        );
    Context::new(&instance, vec![waiting_host(), load(&instance, builder)]).expect("made")
}

struct Pair {
    first: Arc<Semaphore>,
    second: Arc<Semaphore>,
}

impl Pair {
    fn new() -> Pair {
        Pair { first: Arc::new(Semaphore::new(0)), second: Arc::new(Semaphore::new(0)) }
    }

    fn arguments(&self, deadline_ms: i64) -> [Value; 3] {
        let reference = |semaphore: &Arc<Semaphore>| Value::Ref(Some(Ref::new(semaphore.clone())));
        [l(deadline_ms), reference(&self.first), reference(&self.second)]
    }
}

fn begun(function: &Function, arguments: &[Value]) -> Invocation {
    let mut invocation = Invocation::new(function);
    assert_eq!(invocation.begin(arguments).expect("begun"), Progress::Waiting);
    invocation
}

/// [vm 119] ALL: every point, in any order; not one less.
#[test]
fn waits_for_all() {
    let context = waiting();
    let function = context.function("m.all").expect("all");
    for order in [[1, 2], [2, 1]] {
        let pair = Pair::new();
        let mut invocation = begun(&function, &pair.arguments(-1));
        assert_eq!(invocation.waiting_for().expect("waits").points().len(), 2);
        for which in order {
            assert_eq!(code(invocation.resume()), Code::FailedPrecondition, "still waiting");
            assert_eq!(code(invocation.wait(Deadline::IMMEDIATE)), Code::Deferred);
            match which {
                1 => pair.first.signal(1).expect("forward"),
                _ => pair.second.signal(7).expect("forward"),
            }
        }
        assert_eq!(invocation.resume().expect("ready"), Progress::Completed);
        assert_eq!(invocation.end().expect("results"), [i(0)]);
    }
}

/// [vm 119]
#[test]
fn waits_for_any() {
    let context = waiting();
    let function = context.function("m.any").expect("any");
    for which in [1, 2] {
        let pair = Pair::new();
        let mut invocation = begun(&function, &pair.arguments(-1));
        pair.second.signal(4).expect("not far enough");
        assert_eq!(code(invocation.resume()), Code::FailedPrecondition);
        if which == 1 { pair.first.signal(1) } else { pair.second.signal(5) }.expect("forward");
        invocation.wait(Deadline::NEVER).expect("over");
        assert_eq!(invocation.resume().expect("ready"), Progress::Completed);
        assert_eq!(invocation.end().expect("results"), [i(0)]);
    }
}

/// [vm 119] The wait's own deadline is an outcome; the host's limit is not.
#[test]
fn deadlines() {
    let context = waiting();
    let pair = Pair::new();
    for name in ["m.all", "m.any"] {
        let function = context.function(name).expect(name);
        assert_eq!(function.call(&pair.arguments(0)).expect("polled"), [i(4)]);
        assert_eq!(function.call(&pair.arguments(5)).expect("passed"), [i(4)]);
        let mut invocation = begun(&function, &pair.arguments(-1));
        assert_eq!(code(invocation.wait(Deadline::after(Duration::from_millis(2)))), Code::Deferred);
        assert_eq!(code(invocation.wait(Deadline::IMMEDIATE)), Code::Deferred);
    }
    let until = context.function("m.until").expect("until");
    for ms in [0, 5] {
        assert_eq!(until.call(&[l(ms)]).expect("a passed time is success"), [i(0)]);
    }
    let mut invocation = begun(&until, &[l(60_000)]);
    assert_eq!(code(invocation.wait(Deadline::IMMEDIATE)), Code::Deferred);
    assert_eq!(code(invocation.resume()), Code::FailedPrecondition);
}

/// [vm 119] A source that fails, before the wait or during it, fails the call with its own status.
#[test]
fn failed_sources() {
    let context = waiting();
    for name in ["m.all", "m.any"] {
        let function = context.function(name).expect(name);
        let pair = Pair::new();
        let mut invocation = begun(&function, &pair.arguments(-1));
        pair.second.fail(Status::new(Code::Unavailable, "the device is gone"));
        assert_eq!(invocation.resume().expect("over"), Progress::Completed);
        let status = invocation.end().expect_err("failed");
        assert_eq!((status.code(), &*status.message()), (Code::Unavailable, "the device is gone"));
        assert!(status.to_string().contains("host."), "{status}");
        assert_eq!(code(function.call(&pair.arguments(-1))), Code::Unavailable);
        // A failure that looks like a deadline is a failure all the same, here handled by the import.
        let late = Pair::new();
        late.first.fail(Status::new(Code::DeadlineExceeded, "not ours"));
        assert_eq!(function.call(&late.arguments(-1)).expect("mapped by the host"), [i(4)]);
    }
}

/// [vm 120] A blocking call waits without holding the context, and ends when another thread signals.
#[test]
fn blocking_calls_wait_outside_of_the_context() {
    let context = waiting();
    let pair = Pair::new();
    let function = context.function("m.all").expect("all");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| function.call(&pair.arguments(-1)));
        pair.first.signal(1).expect("forward");
        // The context is free for others meanwhile, also for exclusive use.
        context.signal(weft_vm::native::Signal::Resume).expect("nobody holds it");
        pair.second.signal(5).expect("forward");
        assert_eq!(waiter.join().expect("no panic").expect("over"), [i(0)]);
    });
}

/// [vm 117] Aborted in a wait; the sources are let go.
#[test]
fn aborted_waits() {
    let context = waiting();
    let pair = Pair::new();
    let mut invocation = begun(&context.function("m.all").expect("all"), &pair.arguments(-1));
    assert!(Arc::strong_count(&pair.first) > 1);
    invocation.abort();
    assert_eq!(code(invocation.end()), Code::Aborted);
    assert_eq!((Arc::strong_count(&pair.first), Arc::strong_count(&pair.second)), (1, 1));
}

fn cancellable() -> (CancelToken, InvokeOptions) {
    let token = CancelToken::new();
    let options = InvokeOptions { cancel: Some(token.clone()), budget: None };
    (token, options)
}

/// [vm 80] A token ends every kind of wait that blocks, and leaves nothing registered.
#[test]
fn cancelled_waits() {
    let context = waiting();
    for name in ["m.all", "m.any", "m.until"] {
        let (function, pair) = (context.function(name).expect(name), Pair::new());
        let arguments = if name == "m.until" { vec![l(-1)] } else { pair.arguments(-1).to_vec() };
        let (token, options) = cancellable();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| function.invoke_with(&options, &arguments, &mut Vec::new()));
            std::thread::sleep(Duration::from_millis(5));
            assert!(!waiter.is_finished());
            token.cancel();
            assert_eq!(code(waiter.join().expect("no panic")), Code::Cancelled);
        });
        assert!(format!("{:?}", pair.first).contains("pending: 0"));
        // The next one does not even begin.
        let again = function.invoke_with(&options, &arguments, &mut Vec::new());
        assert_eq!(code(again), Code::Cancelled, "{name}");
    }
}

/// [vm 80] The host waits for it in its own time; also when what it waited for has come.
#[test]
fn cancelled_invocations() {
    let context = waiting();
    let function = context.function("m.all").expect("all");
    for signalled in [false, true] {
        let (pair, (token, options)) = (Pair::new(), cancellable());
        let mut invocation = Invocation::with_options(&function, options);
        assert_eq!(invocation.begin(&pair.arguments(-1)).expect("begun"), Progress::Waiting);
        assert_eq!(code(invocation.wait(Deadline::IMMEDIATE)), Code::Deferred);
        if signalled {
            pair.first.signal(1).expect("forward");
            pair.second.signal(5).expect("forward");
        }
        token.cancel();
        invocation.wait(Deadline::NEVER).expect("there is something to go on with");
        assert_eq!(invocation.resume().expect("over"), Progress::Completed);
        assert_eq!(code(invocation.end()), Code::Cancelled);
    }
}

/// A native function sees the token of the call that it serves, also through bytecode, and may keep it.
#[test]
fn native_functions_see_the_token() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let place = Arc::clone(&kept);
    let host = NativeModule::builder("host", 0, |_| Ok(()))
        .export("begin", move |_: &(), (call, a): (NativeCall<'_>, i32)| {
            *place.lock().expect("nobody panicked") = call.cancel().cloned();
            Ok(a + 1)
        })
        .build()
        .expect("built");
    let instance = Instance::new();
    let builder = module().import("host.begin", "0i_i").function(
        "f",
        "0i_i",
        "%i1 = vm.call @host.begin(%i0) \n vm.return %i1",
    );
    let context = Context::new(&instance, vec![host.into(), load(&instance, builder)]).expect("made");
    for name in ["m.f", "host.begin"] {
        let (function, (token, options)) = (context.function(name).expect(name), cancellable());
        assert_eq!(function.call(&[i(4)]).expect("runs"), [i(5)]);
        assert!(kept.lock().expect("nobody panicked").is_none(), "{name}");
        let mut results = Vec::new();
        function.invoke_with(&options, &[i(4)], &mut results).expect("runs");
        assert_eq!(results, [i(5)]);
        let seen = kept.lock().expect("nobody panicked").take().expect("there is one");
        assert!(!seen.is_cancelled());
        token.cancel();
        assert!(seen.is_cancelled(), "{name}: another token");
    }
}

/// [vm 128] A waiting invocation shows its stack.
#[test]
fn the_stack_of_a_waiting_invocation() {
    let context = waiting();
    let pair = Pair::new();
    let invocation = begun(&context.function("m.all").expect("all"), &pair.arguments(-1));
    let stack = invocation.stack().expect("suspended");
    let kinds: Vec<&str> =
        stack.lines().filter(|line| line.starts_with('[')).map(|line| line[5..13].trim()).collect();
    assert_eq!(kinds, ["wait", "native", "bytecode", "external"], "{stack}");
    assert!(stack.contains("host.all") && stack.contains("m.all:"), "{stack}");
}
