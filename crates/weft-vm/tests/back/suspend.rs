//! `yield`, suspended calls, and the operations of a host that schedules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::native::{NativeModule, Span, Step};
use weft_vm::{Context, Function, Invocation, Module, Progress, Value};

/// Begins, and counts how often the invocation yields until it is over.
fn drive(function: &Function, arguments: &[Value]) -> (usize, Result<Vec<Value>>) {
    let mut invocation = Invocation::new(function);
    let mut progress = invocation.begin(arguments).expect("begun");
    let mut yields = 0;
    while progress != Progress::Completed {
        assert_eq!(progress, Progress::Yielded);
        yields += 1;
        progress = invocation.resume().expect("resumed");
    }
    (yields, invocation.end())
}

/// Goes around `count` times, then finishes with `finish`.
fn yielding<R: 'static>(count: i32, finish: impl FnOnce() -> Result<R> + Send + 'static) -> Result<Step<R>> {
    if count <= 0 {
        return finish().map(Step::Done);
    }
    Ok(Step::yield_now(move |outcome| {
        outcome?;
        yielding(count - 1, finish)
    }))
}

/// A host whose functions yield as often as their first argument says. `calls` counts how often they begin.
fn yielding_host(calls: &Arc<AtomicUsize>) -> Module {
    let (a, b, c, d) = (calls.clone(), calls.clone(), calls.clone(), calls.clone());
    let begin = |calls: &AtomicUsize| calls.fetch_add(1, Ordering::SeqCst);
    NativeModule::builder("host", 0, |_| Ok(()))
        .export_yielding("add", move |_: &(), (count, x, y): (i32, i32, i64)| {
            begin(&a);
            yielding(count, move || Ok(i64::from(x) + y))
        })
        .export_yielding("pass", move |_: &(), (count, token): (i32, Option<Ref>)| {
            begin(&b);
            yielding(count, move || Ok((token, 1.5_f32, -2.5_f64)))
        })
        .export_yielding("sum", move |_: &(), (count, pairs): (i32, Span<'_, (i32, i32)>)| {
            begin(&c);
            let mut sum = 0;
            for pair in pairs.iter() {
                let (x, y) = pair?;
                sum += x * y;
            }
            yielding(count, move || Ok(sum))
        })
        .export_yielding("fail", move |_: &(), (count, number): (i32, i32)| {
            begin(&d);
            yielding(count, move || match Code::from_raw(number as u32) {
                Some(code) => Err(Status::new(code, "late failure")),
                None => Ok(()),
            })
        })
        .build()
        .expect("built")
        .into()
}

use weft_vm::Ref;

fn with_host(builder: ModuleBuilder) -> (Arc<Context>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let builder = builder
        .import("host.add", "0iiI_I")
        .import("host.pass", "0ir_rfF")
        .import("host.sum", "0iCiiD_i")
        .import("host.fail", "0ii_v");
    (context_of(vec![yielding_host(&calls)], builder), calls)
}

/// [vm 110]
#[test]
fn yields_in_sequence_keep_values_and_references() {
    let text = "
        %i8:9 = vm.const.i64 4294967297
        vm.yield ^one(%i0->%i1, %R0->%r1)
      ^one:
        %i1 = vm.add.i32 %i1, %i0
        vm.yield ^two(%i1->%i2)
      ^two:
        %i2 = vm.add.i32 %i2, %i0
        vm.yield ^three()
      ^three:
        %i3 = vm.cmp.nz.ref %r0
        vm.return %i2, %i8:9, %r1, %i3";
    let live = Live::default();
    let token = live.token();
    let function = function("0ir_iIri", text);
    let (yields, results) = drive(&function, &[i(5), r(&token)]);
    assert_eq!(yields, 3);
    assert_eq!(results.expect("returned"), [i(15), l(0x1_0000_0001), r(&token), i(0)]);
    assert_eq!(token.count(), 1);
}

/// [vm 110] Both paths yield, a different number of times.
#[test]
fn divergent_yields() {
    let text = "
        vm.cond_br %i0, ^a(), ^b()
      ^a:
        %i1 = vm.const.i32 1
        vm.yield ^out()
      ^b:
        vm.yield ^c()
      ^c:
        %i1 = vm.const.i32 2
        vm.yield ^out()
      ^out:
        vm.return %i1";
    let function = function("0i_i", text);
    let (yields, results) = drive(&function, &[i(1)]);
    assert_eq!((yields, results.expect("returned")), (1, vec![i(1)]));
    let (yields, results) = drive(&function, &[i(0)]);
    assert_eq!((yields, results.expect("returned")), (2, vec![i(2)]));
}

/// [vm 111] [vm 116]
#[test]
fn internal_calls_that_yield() {
    let context = context(
        module()
            .internal_function("once", "0i_i", "%i1 = vm.add.i32 %i0, %i0 \n vm.yield ^on() \n ^on: \n vm.return %i1")
            .internal_function("plain", "0i_i", "vm.return %i0")
            .internal_function("nested", "0i_i", "vm.call.yieldable @m.once(%i0) -> ^on(%i0) \n ^on: \n %i0 = vm.call @m.once(%i0) \n vm.yield ^end() \n ^end: \n vm.return %i0")
            .function("yieldable", "0i_i", "vm.call.yieldable @m.once(%i0) -> ^on(%i1) \n ^on: \n vm.return %i1")
            .function("after_plain", "0i_i", "%i0 = vm.call @m.plain(%i0) \n vm.call.yieldable @m.once(%i0) -> ^on(%i1) \n ^on: \n vm.return %i1")
            .function("plain_call", "0i_i", "%i1 = vm.call @m.once(%i0) \n vm.return %i1")
            .function("completes", "0i_i", "vm.call.yieldable @m.plain(%i0) -> ^on(%i1) \n ^on: \n vm.return %i1")
            .function("deep", "0i_i", "vm.call.yieldable @m.nested(%i0) -> ^on(%i1) \n ^on: \n %i1 = vm.call @m.nested(%i1) \n vm.return %i1"),
    );
    for (name, yields, result) in [
        ("yieldable", 1, 14),
        ("after_plain", 1, 14),
        ("plain_call", 1, 14),
        ("completes", 0, 7),
        ("deep", 6, 7 * 16),
    ] {
        let function = context.export("m", name).expect(name);
        let (found, results) = drive(&function, &[i(7)]);
        assert_eq!((found, results.expect(name)), (yields, vec![i(result)]), "{name}");
        assert_eq!(function.call(&[i(7)]).expect("blocking"), [i(result)], "{name}");
    }
}

/// [vm 112] [vm 114]
#[test]
fn imports_that_yield() {
    let (context, calls) = with_host(
        module()
            .function(
                "one",
                "0iiI_I",
                "vm.call.yieldable @host.add(%i0, %i1, %i2:3) -> ^on(%i4:5) \n ^on: \n vm.return %i4:5",
            )
            .function(
                "two",
                "0iiI_II",
                "vm.call.yieldable @host.add(%i0, %i1, %i2:3) -> ^on(%i2:3)
               ^on:
                 vm.call.yieldable @host.add(%i0, %i1, %i2:3) -> ^out(%i6:7)
               ^out:
                 vm.return %i2:3, %i6:7",
            )
            .function(
                "moved",
                "0ir_rfFi",
                "vm.call.yieldable @host.pass(%i0, %R0) -> ^on(%r1, %i1, %i2:3)
               ^on:
                 %i4 = vm.cmp.nz.ref %r0
                 vm.return %r1, %i1, %i2:3, %i4",
            ),
    );
    let function = |name: &str| context.export("m", name).expect(name);
    for (count, begun) in [(3, 1), (0, 2), (10, 3)] {
        let (yields, results) = drive(&function("one"), &[i(count), i(-4), l(1 << 40)]);
        assert_eq!((yields as i32, results.expect("returned")), (count, vec![l((1 << 40) - 4)]));
        assert_eq!(calls.load(Ordering::SeqCst), begun, "begun once a call, however often it resumes");
    }
    let (yields, results) = drive(&function("two"), &[i(2), i(1), l(10)]);
    assert_eq!((yields, results.expect("returned")), (4, vec![l(11), l(12)]));
    let live = Live::default();
    let token = live.token();
    for count in [0, 3] {
        let (yields, results) = drive(&function("moved"), &[i(count), r(&token)]);
        assert_eq!(
            (yields as i32, results.expect("returned")),
            (count, vec![r(&token), f(1.5), d(-2.5), i(0)])
        );
        assert_eq!(token.count(), 1);
    }
}

/// [vm 113]
#[test]
fn variadic_imports_that_yield() {
    let text = |segments: usize, operands: &str| {
        format!(
            "vm.call.variadic.yieldable @host.sum segments[65535, {segments}](%i0{operands}) -> ^on(%i4)
           ^on:
             vm.call.variadic.yieldable @host.sum segments[65535, 1](%i0, %i4, %i1) -> ^out(%i4)
           ^out:
             vm.return %i4"
        )
    };
    let (context, calls) = with_host(
        module()
            .function("two", "0iii_i", &text(2, ", %i1, %i2, %i2, %i2"))
            .function("one", "0iii_i", &text(1, ", %i1, %i2"))
            .function("none", "0iii_i", &text(0, "")),
    );
    for count in [0, 1, 4] {
        for (name, sum) in [("two", 3 * 5 + 25), ("one", 3 * 5), ("none", 0)] {
            let before = calls.load(Ordering::SeqCst);
            let (yields, results) = drive(&context.export("m", name).expect(name), &[i(count), i(3), i(5)]);
            assert_eq!((yields as i32, results.expect("returned")), (2 * count, vec![i(sum * 3)]), "{name}");
            assert_eq!(calls.load(Ordering::SeqCst), before + 2);
        }
    }
}

/// [vm 115] [vm 130]
#[test]
fn imports_may_fail_late() {
    let (context, _) = with_host(module().function(
        "f",
        "0iir_r",
        "vm.call.yieldable @host.fail(%i0, %i1) -> ^on() \n ^on: \n vm.return %R0",
    ));
    let live = Live::default();
    let token = live.token();
    let function = context.function("m.f").expect("f");
    for count in [0, 1, 5] {
        let (yields, results) = drive(&function, &[i(count), i(15), r(&token)]);
        let status = results.expect_err("late");
        assert_eq!(
            (yields as i32, status.code(), &*status.message()),
            (count, Code::DataLoss, "late failure")
        );
        let text = status.to_string();
        for part in ["while invoking native function host.fail", "while calling import", "m.f"] {
            assert!(text.contains(part), "`{part}` in {text}");
        }
        assert_eq!(token.count(), 1);
        let (_, results) = drive(&function, &[i(count), i(0), r(&token)]);
        assert_eq!(results.expect("no failure"), [r(&token)]);
    }
}

/// [vm 116] In a plain call an import may suspend only if it has no results; then it is not asked again.
#[test]
fn plain_calls_of_suspending_imports() {
    let (context, calls) = with_host(
        module()
            .function("none", "0i_i", "vm.call @host.fail(%i0, %i0) \n %i1 = vm.const.i32 3 \n vm.return %i1")
            .function("some", "0i_I", "%i4:5 = vm.call @host.add(%i0, %i0, %i2:3) \n vm.return %i4:5"),
    );
    let none = context.function("m.none").expect("none");
    // It would fail at its third resume, but is resumed only by the interpreter: past the call.
    let (yields, results) = drive(&none, &[i(3)]);
    assert_eq!((yields, results.expect("went on")), (1, vec![i(3)]));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let some = context.function("m.some").expect("some");
    assert_eq!(code(some.call(&[i(3)])), Code::Unimplemented);
    assert_eq!(some.call(&[i(0)]).expect("finished at once"), [l(0)]);
}

/// [vm 117] Aborted at a yield and in a pending import; what the import held goes too.
#[test]
fn aborts() {
    let (context, _) = with_host(
        module()
            .function("yields", "0r_r", "vm.yield ^on() \n ^on: \n vm.return %R0")
            .function("pending", "0r_r", "%i0 = vm.const.i32 9 \n vm.call.yieldable @host.pass(%i0, %R0) -> ^on(%r0, %i1, %i2:3) \n ^on: \n vm.return %R0"),
    );
    let live = Live::default();
    let token = live.token();
    for name in ["yields", "pending"] {
        let mut invocation = Invocation::new(&context.export("m", name).expect(name));
        assert_eq!(invocation.begin(&[r(&token)]).expect("begun"), Progress::Yielded);
        assert_eq!(token.count(), 2, "{name}");
        invocation.abort();
        assert_eq!(token.count(), 1, "{name}");
        assert_eq!(code(invocation.end()), Code::Aborted);
        assert_eq!(code(invocation.resume()), Code::FailedPrecondition);
    }
    let mut idle = Invocation::new(&context.function("m.yields").expect("yields"));
    idle.abort();
    assert_eq!(code(idle.begin(&[r(&token)])), Code::FailedPrecondition);
    assert_eq!(code(idle.end()), Code::Aborted);
}

/// [vm 118]
#[test]
fn operations_at_the_wrong_time() {
    let function = function("0i_i", "vm.yield ^on() \n ^on: \n vm.return %i0");
    let mut invocation = Invocation::new(&function);
    assert_eq!(code(invocation.resume()), Code::FailedPrecondition);
    assert_eq!(code(invocation.wait(weft_sync::Deadline::NEVER)), Code::FailedPrecondition);
    assert_eq!(code(invocation.end()), Code::FailedPrecondition);
    assert_eq!(code(invocation.begin(&[])), Code::InvalidArgument);
    assert_eq!(invocation.begin(&[i(1)]).expect("still idle"), Progress::Yielded);
    assert_eq!(code(invocation.begin(&[i(1)])), Code::FailedPrecondition);
    assert_eq!(code(invocation.end()), Code::FailedPrecondition);
    assert_eq!(code(invocation.wait(weft_sync::Deadline::NEVER)), Code::FailedPrecondition);
    assert_eq!(invocation.resume().expect("resumed"), Progress::Completed);
    assert_eq!(code(invocation.resume()), Code::FailedPrecondition);
    assert_eq!(invocation.end().expect("results"), [i(1)]);
    assert_eq!(code(invocation.end()), Code::FailedPrecondition);
    invocation.abort();
    assert_eq!(code(invocation.end()), Code::FailedPrecondition);
    // After a completed one, an abort changes nothing.
    let mut done = Invocation::new(&crate::support::function("0i_i", "vm.return %i0"));
    assert_eq!(done.begin(&[i(2)]).expect("begun"), Progress::Completed);
    done.abort();
    assert_eq!(done.end().expect("results"), [i(2)]);
}

/// [vm 120] [vm 110] A blocking call goes through all yields.
#[test]
fn blocking_calls_resume_yields() {
    let text = "
        %i1 = vm.const.i32 1
        vm.br ^again()
      ^again:
        %i0 = vm.sub.i32 %i0, %i1
        vm.yield ^test()
      ^test:
        vm.cond_br %i0, ^again(), ^out()
      ^out:
        vm.return %i0";
    assert_eq!(run("0i_i", text, &[i(1000)]).expect("no hang"), [i(0)]);
}

/// [vm 122] Two invocations take turns and see each other's stores.
#[test]
fn suspended_invocations_coexist() {
    let text = "
        %i1 = vm.global.load.i32 .rwdata[0]
        %i1 = vm.add.i32 %i1, %i0
        vm.global.store.i32 %i1, .rwdata[0]
        vm.yield ^again()
      ^again:
        %i2 = vm.global.load.i32 .rwdata[0]
        %i2 = vm.add.i32 %i2, %i0
        vm.global.store.i32 %i2, .rwdata[0]
        vm.yield ^out()
      ^out:
        %i3 = vm.global.load.i32 .rwdata[0]
        vm.return %i1, %i2, %i3";
    let context = context(module().global_bytes(4).function("f", "0i_iii", text));
    let function = context.function("m.f").expect("f");
    let (mut one, mut ten) = (Invocation::new(&function), Invocation::new(&function));
    one.begin(&[i(1)]).expect("begun");
    ten.begin(&[i(10)]).expect("begun");
    one.resume().expect("resumed");
    ten.resume().expect("resumed");
    assert_eq!(ten.resume().expect("resumed"), Progress::Completed);
    assert_eq!(one.resume().expect("resumed"), Progress::Completed);
    assert_eq!(one.end().expect("results"), [i(1), i(12), i(22)]);
    assert_eq!(ten.end().expect("results"), [i(11), i(22), i(22)]);
}

/// [vm 123]
#[test]
fn an_init_that_suspends_is_driven_to_its_end() {
    let init = "
        %i0 = vm.const.i32 3
        vm.yield ^on()
      ^on:
        vm.call.yieldable @host.add(%i0, %i0, %i2:3) -> ^out(%i4:5)
      ^out:
        vm.global.store.i64 %i4:5, .rwdata[0]
        vm.return";
    let get = "%i0:1 = vm.global.load.i64 .rwdata[0] \n vm.return %i0:1";
    let (context, _) =
        with_host(module().global_bytes(8).function("__init", "0v_v", init).function("get", "0v_I", get));
    assert_eq!(context.function("m.get").expect("get").call(&[]).expect("loaded"), [l(3)]);
}

/// A native function that suspends, called by the host itself.
#[test]
fn hosts_call_yielding_natives() {
    let (context, _) = with_host(module());
    let add = context.function("host.add").expect("add");
    let (yields, results) = drive(&add, &[i(2), i(3), l(4)]);
    assert_eq!((yields, results.expect("returned")), (2, vec![l(7)]));
    assert_eq!(add.call(&[i(5), i(3), l(4)]).expect("blocking"), [l(7)]);
    assert_eq!(code(context.function("host.fail").expect("fail").call(&[i(2), i(5)])), Code::NotFound);
    let live = Live::default();
    let token = live.token();
    let mut pass = Invocation::new(&context.function("host.pass").expect("pass"));
    pass.begin(&[i(1), r(&token)]).expect("begun");
    assert_eq!(token.count(), 2);
    drop(pass);
    assert_eq!(token.count(), 1);
}

/// [vm 116] A module of bytecode that yields, called through an import: the whole stack suspends.
#[test]
fn bytecode_imports_may_yield() {
    let instance = instance();
    let lower = ModuleBuilder::new("low").function("f", "0i_i", "vm.yield ^on() \n ^on: \n vm.return %i0");
    let upper = module()
        .import("low.f", "0i_i")
        .function("plain", "0i_i", "%i1 = vm.call @low.f(%i0) \n vm.return %i1")
        .function("yieldable", "0i_i", "vm.call.yieldable @low.f(%i0) -> ^on(%i1) \n ^on: \n vm.return %i1");
    let modules = vec![load(&instance, lower), load(&instance, upper)];
    let context = Context::new(&instance, modules).expect("made");
    for name in ["plain", "yieldable"] {
        let (yields, results) = drive(&context.export("m", name).expect(name), &[i(6)]);
        assert_eq!((yields, results.expect(name)), (1, vec![i(6)]));
    }
}
