//! `__init`, `__deinit`, `__notify`, forking, and the order in which things are released.

use std::sync::Arc;

use crate::support::*;
use weft_vm::isa::Kind;
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::native::{NativeModule, Signal};
use weft_vm::{Context, Module, Value};

/// A module that notes `number` when it is initialised and `-number` when it is deinitialised.
fn noting(name: &str, number: i32) -> ModuleBuilder {
    let note = |value: i32| format!("%i0 = vm.const.i32 {value} \n vm.call @host.note(%i0) \n vm.return");
    ModuleBuilder::new(name).import("host.note", "0i_v").function("__init", "0v_v", &note(number)).function(
        "__deinit",
        "0v_v",
        &note(-number),
    )
}

/// [vm 40] [vm 41]
#[test]
fn init_in_order_deinit_in_reverse() {
    let log = Log::default();
    let instance = instance();
    let modules = vec![
        host(&Live::default(), &log),
        load(&instance, noting("a", 1)),
        load(&instance, noting("b", 2)),
        load(&instance, ModuleBuilder::new("quiet")),
        load(&instance, noting("c", 3)),
    ];
    let first = Context::new(&instance, modules.clone()).expect("made");
    assert_eq!(log.take(), [1, 2, 3]);
    let second = Context::new(&instance, modules).expect("made again");
    assert_eq!(log.take(), [1, 2, 3], "once for each context");
    drop(first);
    assert_eq!(log.take(), [-3, -2, -1]);
    drop(second);
    assert_eq!(log.take(), [-3, -2, -1]);
}

/// [vm 40] A failing `__init` undoes the modules before it, but its own module gets no `__deinit`.
#[test]
fn a_failing_init_undoes_the_others() {
    let log = Log::default();
    let instance = instance();
    let failing = || {
        ModuleBuilder::new("c")
            .import("host.note", "0i_v")
            .function("__init", "0v_v", "%i0 = vm.const.i32 9 \n vm.fail %i0, \"not today\"")
            .function("__deinit", "0v_v", "%i0 = vm.const.i32 99 \n vm.call @host.note(%i0) \n vm.return")
    };
    let modules = vec![
        host(&Live::default(), &log),
        load(&instance, noting("a", 1)),
        load(&instance, noting("b", 2)),
        load(&instance, failing()),
        load(&instance, noting("d", 4)),
    ];
    let status = Context::new(&instance, modules).expect_err("init fails");
    assert_eq!((status.code(), &*status.message()), (Code::FailedPrecondition, "not today"));
    assert_eq!(log.take(), [1, 2, -2, -1]);
    let wrong = ModuleBuilder::new("w").function("__init", "0i_v", "vm.return");
    assert_eq!(code(Context::new(&instance, vec![load(&instance, wrong)])), Code::InvalidArgument);
    let results = ModuleBuilder::new("w").function("__init", "0v_i", "vm.return %i0");
    assert_eq!(code(Context::new(&instance, vec![load(&instance, results)])), Code::InvalidArgument);
}

/// [vm 41] An error of `__deinit` does not keep the others from theirs; then the globals go, by slot.
#[test]
fn destruction_goes_on_after_errors() {
    let (live, log) = (Live::default(), Log::default());
    let instance = instance();
    let broken = ModuleBuilder::new("broken")
        .global_refs(2)
        .function("put", "0rr_v", "vm.global.store.ref %r0, .refs[0] : !test.token \n vm.global.store.ref %r1, .refs[1] : !test.token \n vm.return")
        .function("__deinit", "0v_v", "%i0 = vm.const.i32 3 \n vm.fail %i0, \"no\"");
    let keeper = ModuleBuilder::new("keeper").global_refs(1).function(
        "put",
        "0r_v",
        "vm.global.store.ref %r0, .refs[0] : !test.token \n vm.return",
    );
    let modules = vec![
        host(&live, &log),
        load(&instance, keeper),
        load(&instance, noting("a", 1)),
        load(&instance, broken),
    ];
    let context = Context::new(&instance, modules).expect("made");
    let keep = context.function("keeper.put").expect("put");
    keep.call(&[Value::Ref(Some(live.logged(10, &log)))]).expect("kept");
    let put = context.function("broken.put").expect("put");
    let tokens = [live.logged(20, &log), live.logged(21, &log)].map(|token| Value::Ref(Some(token)));
    put.call(&tokens).expect("kept");
    drop(tokens);
    drop((keep, put));
    assert_eq!((live.count(), log.take()), (3, vec![1]));
    drop(context);
    assert_eq!(log.take(), [-1, 20, 21, 10], "deinit, then states in reverse, slots in order");
    assert_eq!(live.count(), 0);
}

/// [vm 41] A function keeps its context; module states still go in order.
#[test]
fn functions_keep_their_context_alive() {
    let log = Log::default();
    let instance = instance();
    let builder = noting("a", 1).function("f", "0v_v", "vm.return");
    let modules = vec![host(&Live::default(), &log), load(&instance, builder)];
    let context = Context::new(&instance, modules).expect("made");
    let function = context.function("a.f").expect("f");
    drop(context);
    assert_eq!(log.take(), [1]);
    function.call(&[]).expect("still there");
    drop(function);
    assert_eq!(log.take(), [-1]);
}

/// A module that notes signals as `number * 10 + signal`.
fn notified(name: &str, number: i32) -> ModuleBuilder {
    let text = format!(
        "%i1 = vm.const.i32 {number}
         %i2 = vm.const.i32 10
         %i0 = vm.fma.i32 %i1, %i2, %i0
         vm.call @host.note(%i0)
         vm.return"
    );
    ModuleBuilder::new(name).import("host.note", "0i_v").function("__notify", "0i_v", &text)
}

/// A native module that notes signals the same way.
fn native_notified(log: &Log) -> Module {
    let log = log.clone();
    let builder = NativeModule::builder("n", 0, |_| Ok(()));
    let builder = builder.on_signal(move |_: &(), signal| {
        log.add(70 + signal as i64);
        Ok(())
    });
    builder.build().expect("built").into()
}

/// [vm 42]
#[test]
fn signals_go_forwards_or_backwards() {
    let log = Log::default();
    let instance = instance();
    let modules = vec![
        host(&Live::default(), &log),
        load(&instance, notified("a", 1)),
        native_notified(&log),
        load(&instance, ModuleBuilder::new("deaf")),
        load(&instance, notified("b", 2)),
    ];
    let context = Context::new(&instance, modules).expect("made");
    for (signal, expected) in [
        (Signal::Resume, [10, 70, 20]),
        (Signal::Suspend, [21, 71, 11]),
        (Signal::LowMemory, [22, 72, 12]),
        (Signal::Fork, [13, 73, 23]),
    ] {
        context.signal(signal).expect("delivered");
        assert_eq!(log.take(), expected, "{signal:?}");
    }
}

/// [vm 42] The first error stops the delivery.
#[test]
fn a_failing_notification_stops() {
    let log = Log::default();
    let instance = instance();
    let failing =
        ModuleBuilder::new("f").function("__notify", "0i_v", "%i1 = vm.const.i32 8 \n vm.fail %i1, \"\"");
    let modules = vec![
        host(&Live::default(), &log),
        load(&instance, notified("a", 1)),
        load(&instance, failing),
        load(&instance, notified("b", 2)),
    ];
    let context = Context::new(&instance, modules).expect("made");
    assert_eq!(code(context.signal(Signal::Resume)), Code::ResourceExhausted);
    assert_eq!(log.take(), [10]);
    assert_eq!(code(context.signal(Signal::Suspend)), Code::ResourceExhausted);
    assert_eq!(log.take(), [21]);
}

/// [vm 43]
#[test]
fn forks_copy_values_and_share_objects() {
    let (live, log) = (Live::default(), Log::default());
    let instance = instance();
    let builder = notified("m", 4)
        .global("number", Kind::I32)
        .global_refs(1)
        .function("__init", "0v_v", "%i0 = vm.const.i32 5 \n vm.call @host.note(%i0) \n vm.return")
        .function("set", "0ir_v", "vm.global.store.i32 %i0, .rwdata[@number] \n vm.global.store.ref %r0, .refs[0] : !test.token \n vm.return")
        .function("get", "0v_ir", "%i0 = vm.global.load.i32 .rwdata[@number] \n %r0 = vm.global.load.ref .refs[0] : !test.token \n vm.return %i0, %r0")
        .function("note", "0i_v", "vm.call @host.note(%i0) \n vm.return");
    let context = Context::new(&instance, vec![host(&live, &log), load(&instance, builder)]).expect("made");
    assert_eq!(log.take(), [5]);
    let call = |context: &Arc<Context>, name: &str, arguments: &[Value]| {
        context.export("m", name).expect("exported").call(arguments).expect("called")
    };
    let (a, b) = (live.numbered(1), live.numbered(2));
    call(&context, "set", &[i(1), r(&a)]);
    let fork = context.fork().expect("forked");
    assert_eq!(log.take(), [43], "signalled, not initialised again");
    assert_eq!(call(&fork, "get", &[]), [i(1), r(&a)]);
    assert_eq!(a.count(), 3, "shared by both");
    call(&fork, "set", &[i(2), r(&b)]);
    assert_eq!(call(&context, "get", &[]), [i(1), r(&a)]);
    call(&context, "set", &[i(3), r(&a)]);
    assert_eq!(call(&fork, "get", &[]), [i(2), r(&b)]);
    call(&fork, "note", &[i(8)]);
    assert_eq!(log.take(), [8], "imports are bound in the fork");
    drop(context);
    assert_eq!(call(&fork, "get", &[]), [i(2), r(&b)], "the fork lives on");
    drop(fork);
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 43] State of native modules: by the module's rule, else made anew; imports see the fork's.
#[test]
fn forks_of_native_state() {
    let instance = instance();
    let shared: Module = NativeModule::builder("shared", 0, |_| Ok(Arc::new(1)))
        .on_fork(|parent: &Arc<i32>| Ok(parent.clone()))
        .export("same", |_: &Arc<i32>, (): ()| Ok(()))
        .build()
        .expect("built")
        .into();
    let fresh: Module = NativeModule::builder("fresh", 0, |_| Ok(Arc::new(2)))
        .export("count", |state: &Arc<i32>, (): ()| Ok(Arc::strong_count(state) as i32))
        .build()
        .expect("built")
        .into();
    let caller = module().import("fresh.count", "0v_i").function(
        "f",
        "0v_i",
        "%i0 = vm.call @fresh.count() \n vm.return %i0",
    );
    let modules = vec![shared.clone(), fresh.clone(), load(&instance, caller)];
    let context = Context::new(&instance, modules).expect("made");
    let fork = context.fork().expect("forked");
    let state = |context: &Context, module: &Module| {
        context.with_native_state(module, |state: &Arc<i32>| state.clone()).expect("there")
    };
    assert!(Arc::ptr_eq(&state(&context, &shared), &state(&fork, &shared)));
    let held = state(&fork, &fresh);
    assert!(!Arc::ptr_eq(&state(&context, &fresh), &held));
    assert_eq!(fork.function("m.f").expect("f").call(&[]).expect("called"), [i(2)]);
    assert_eq!(context.function("m.f").expect("f").call(&[]).expect("called"), [i(1)]);
}

/// [vm 45]
#[test]
fn contexts_have_their_own_globals() {
    let instance = instance();
    let text = "
        %i1 = vm.global.load.i32 .rwdata[0]
        %i1 = vm.add.i32 %i1, %i0
        vm.global.store.i32 %i1, .rwdata[0]
        vm.return %i1";
    let module = load(&instance, module().global_bytes(4).function("add", "0i_i", text));
    let make =
        || Context::new(&instance, vec![module.clone()]).expect("made").function("m.add").expect("add");
    let (first, second) = (make(), make());
    assert_eq!(first.call(&[i(5)]).expect("added"), [i(5)]);
    assert_eq!(second.call(&[i(7)]).expect("added"), [i(7)]);
    assert_eq!(first.call(&[i(1)]).expect("added"), [i(6)]);
}
