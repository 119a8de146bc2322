//! Errors: backtraces, annotations, source locations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use weft_vm::Invocation;
use weft_vm::archive::definition::{DebugDef, LocationDef, SourceMapDef};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::native::{NativeModule, Step};

/// The lines of the stack in an error.
fn stack(status: &Status) -> Vec<String> {
    let text = status.to_string();
    text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

/// [vm 128] Innermost first, with kinds, depth, and the pc where the failing instruction starts.
#[test]
fn frames_are_listed_innermost_first() {
    let builder = module()
        .import("host.fail", "0i_v")
        .function("outer", "0i_v", "%i1 = vm.const.i32.zero \n vm.call @m:1(%i0) \n vm.return")
        .internal_function("", "0i_v", "vm.call @host.fail(%i0) \n vm.return")
        .function(
            "divide",
            "0i_i",
            "%i1 = vm.const.i32.zero \n %i0 = vm.div.i32.s %i0, %i1 \n vm.return %i0",
        );
    let context = context_of(vec![host(&Live::default(), &Log::default())], builder);
    let status = context.function("m.outer").expect("outer").call(&[i(5)]).expect_err("fails");
    assert_eq!(
        stack(&status),
        ["[ 3]   native host.fail", "[ 2] bytecode m@1:1 -", "[ 1] bytecode m.outer:4 -", "[ 0] external"]
    );
    let status = context.function("m.divide").expect("divide").call(&[i(5)]).expect_err("fails");
    assert_eq!(stack(&status), ["[ 1] bytecode m.divide:4 -", "[ 0] external"]);
    assert_eq!((status.code(), &*status.message()), (Code::InvalidArgument, "integer division by zero"));
}

/// [vm 128] [vm 79] A stack of thousands is not printed whole.
#[test]
fn long_stacks_are_cut() {
    let status = run("0v_v", "vm.call @m.f() \n vm.return", &[]).expect_err("endless");
    let lines = stack(&status);
    assert!(lines.len() < 100, "{} lines", lines.len());
    assert!(lines[0].contains("m.f:1") && lines.last().is_some_and(|line| line.contains("external")));
    assert!(status.to_string().contains("more frames"));
}

/// [vm 130] Errors of imports say through which function they came; a nested invocation adds its own.
#[test]
fn import_errors_are_annotated() {
    let builder =
        module().import("host.fail", "0i_v").function("f", "0i_v", "vm.call @host.fail(%i0) \n vm.return");
    let context = context_of(vec![host(&Live::default(), &Log::default())], builder);
    let status = context.function("m.f").expect("f").call(&[i(7)]).expect_err("fails");
    assert_eq!((status.code(), &*status.message()), (Code::PermissionDenied, "host fails with 7"));
    assert_eq!(status.trail()[..2], ["while invoking native function host.fail", "while calling import"]);
    assert_eq!(status.trail().len(), 3, "the stack once");
    let direct = context.function("host.fail").expect("fail").call(&[i(7)]).expect_err("fails");
    assert_eq!(direct.trail()[0], "while invoking native function host.fail");
    assert_eq!(stack(&direct), ["[ 1]   native host.fail", "[ 0] external"]);
}

/// Two functions; the second fails in its third instruction.
fn located(functions: Vec<SourceMapDef>, locations: Vec<LocationDef>) -> Status {
    let builder = ModuleBuilder::new("m")
        .internal_function(
            "inner",
            "0i_v",
            "%i1 = vm.const.i32.zero \n %i0 = vm.div.i32.s %i0, %i1 \n vm.return",
        )
        .function("f", "0i_v", "vm.call @m.inner(%i0) \n vm.return")
        .debug(DebugDef { locations, functions });
    context(builder).function("m.f").expect("f").call(&[i(1)]).expect_err("fails")
}

fn file(line: i32) -> LocationDef {
    LocationDef::FileLineColumn { file: Some("a.mlir".to_owned()), line, column: 7 }
}

fn map(name: &str, locations: &[(i32, i32)]) -> SourceMapDef {
    SourceMapDef { name: Some(name.to_owned()), locations: locations.to_vec() }
}

/// [vm 129]
#[test]
fn locations_are_shown_if_they_can_be_trusted() {
    let locations = vec![file(10), file(20), LocationDef::CallSite { callee: 0, caller: 1 }];
    let maps = vec![map("source_inner", &[(1, 1), (4, 0)]), map("source_f", &[(1, 2)])];
    let status = located(maps, locations.clone());
    assert_eq!(
        stack(&status),
        [
            "[ 2] bytecode m.source_inner:4 a.mlir:10:7",
            "[ 1] bytecode m.source_f:1 a.mlir:10:7",
            "[ 0] external"
        ]
    );
    assert!(status.to_string().contains("a.mlir:10:7\n      at a.mlir:20:7"), "{status}");
    // One map for two functions belongs to nobody knows whom.
    let status = located(vec![map("source_f", &[(1, 0), (4, 0)])], locations);
    assert_eq!(stack(&status), ["[ 2] bytecode m@0:4 -", "[ 1] bytecode m.f:1 -", "[ 0] external"]);
}

/// [vm 129] Nonsense in the database costs nothing but the location.
#[test]
fn broken_locations_are_harmless() {
    let cycle = vec![LocationDef::CallSite { callee: 0, caller: 0 }, LocationDef::Unknown(9)];
    for index in [0, 1, 2, -1, i32::MAX] {
        let maps = vec![map("inner", &[(4, index)]), map("f", &[])];
        let status = located(maps, cycle.clone());
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(stack(&status)[0].contains("m.inner:4 "), "{status}");
    }
}

/// [vm 127] What a native call holds while it is suspended goes however the invocation ends.
#[test]
fn native_state_is_cleaned_up() {
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let cleaned = Arc::new(AtomicUsize::new(0));
    let counter = cleaned.clone();
    let module = NativeModule::builder("host", 0, |_| Ok(()))
        .export_yielding("hold", move |_: &(), fails: i32| {
            let guard = Guard(counter.clone());
            Ok(Step::yield_now(move |outcome| {
                let _held = &guard;
                outcome?;
                match fails {
                    0 => Ok(Step::Done(())),
                    _ => Err(Status::new(Code::Unknown, "as asked")),
                }
            }))
        })
        .build()
        .expect("built");
    let builder = crate::support::module().import("host.hold", "0i_v").function(
        "f",
        "0i_v",
        "vm.call.yieldable @host.hold(%i0) -> ^on() \n ^on: \n vm.return",
    );
    let context = context_of(vec![module.into()], builder);
    let function = context.function("m.f").expect("f");
    function.call(&[i(0)]).expect("success");
    assert_eq!(cleaned.load(Ordering::SeqCst), 1);
    assert_eq!(code(function.call(&[i(1)])), Code::Unknown);
    assert_eq!(cleaned.load(Ordering::SeqCst), 2);
    let mut invocation = Invocation::new(&function);
    invocation.begin(&[i(0)]).expect("begun");
    assert_eq!(cleaned.load(Ordering::SeqCst), 2);
    invocation.abort();
    assert_eq!(cleaned.load(Ordering::SeqCst), 3);
}

/// A native function that panics takes nothing with it but its own call.
#[test]
fn panics_of_natives_release_everything() {
    let live = Live::default();
    let token = live.token();
    let module = NativeModule::builder("host", 0, |_| Ok(()))
        .export("panic", |_: &(), (): ()| -> Result<()> { panic!("on purpose") })
        .build()
        .expect("built");
    let builder = crate::support::module()
        .import("host.panic", "0v_v")
        .global_bytes(4)
        .function("f", "0r_v", "vm.global.store.i32 %i0, .rwdata[0] \n vm.call @host.panic() \n vm.return")
        .function("g", "0v_v", "vm.global.store.i32 %i0, .rwdata[0] \n vm.return");
    let context = context_of(vec![module.into()], builder);
    let function = context.function("m.f").expect("f");
    let arguments = [r(&token)];
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| function.call(&arguments)));
    assert!(panicked.is_err());
    assert_eq!(token.count(), 2);
    context.function("m.g").expect("g").call(&[]).expect("the context is not stuck");
}
