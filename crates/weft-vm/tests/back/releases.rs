//! Nothing leaks: every count returns to its start however an invocation ends (§15).

use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::*;
use weft_vm::{Context, Function, Invocation, InvokeOptions, Module, Progress};

/// A function that handles tokens in every way there is: registers, calls, lists, globals, results of imports,
/// selections, loops. `host.point` fails when its turn comes.
const BUSY: &str = "
    vm.call @host.point()
    %i0 = vm.const.i32 2
    %i1 = vm.const.i32 1
    %i6:7 = vm.const.i64 11
    vm.call @host.point()
    %r2 = vm.list.alloc %i0 : !vm.list<!vm.opaque>
    vm.list.resize %r2, %i0
    vm.list.set.ref %r2, %i1, %r0
    vm.call @host.point()
    %r3 = vm.call @host.make(%i6:7)
    vm.list.set.ref %r2, %i4, %R3
    vm.call @host.point()
    vm.global.store.ref %r1, .refs[0] : !test.token
    %r4 = vm.global.load.ref .refs[0] : !test.token
    vm.call @host.point()
    %r5, %r6 = vm.call @m.inner(%r0, %R1, %r2)
    vm.call @host.point()
    %r7 = vm.select.ref %i1 ? %R5 : %R6 -> !test.token
    vm.br ^loop(%i0->%i5)
  ^loop:
    %r8 = vm.call @host.make(%i6:7)
    vm.call @host.point()
    %i5 = vm.sub.i32 %i5, %i1
    vm.cond_br %i5, ^loop(%R8->%r9), ^out(%R8->%r10)
  ^out:
    vm.discard.refs %r9
    vm.call @host.point()
    vm.return %R7, %r0, %r10";

/// Called by it: keeps, passes and drops.
const INNER: &str = "
    %i2:3 = vm.const.i64 12
    %r3 = vm.call @host.make(%i2:3)
    vm.call @host.point()
    %r4 = vm.assign.ref %R0
    vm.call @host.point()
    vm.return %R3, %R1";

/// A host whose `point` fails the n-th time it is called, for the whole life of the module.
fn host_failing_at(live: &Live, turn: i64) -> Module {
    let maker = live.clone();
    let turns = AtomicI64::new(0);
    weft_vm::native::NativeModule::builder("host", 0, |_| Ok(()))
        .export("make", move |_: &(), number: i64| Ok(maker.numbered(number)))
        .export("point", move |_: &(), (): ()| match turns.fetch_add(1, Ordering::SeqCst) + 1 == turn {
            true => Err(Status::new(Code::DataLoss, "its turn")),
            false => Ok(()),
        })
        .build()
        .expect("built")
        .into()
}

fn busy(host: Module) -> Function {
    let builder = module()
        .import("host.make", "0I_r")
        .import("host.point", "0v_v")
        .global_refs(1)
        .function("f", "0rr_rrr", BUSY)
        .internal_function("inner", "0rrr_rr", INNER);
    context_of(vec![host], builder).function("m.f").expect("f")
}

/// [vm 89] Success, and failure at each point in turn.
#[test]
fn counts_return_after_success_and_every_failure() {
    let mut failures = 0;
    for turn in 0.. {
        let live = Live::default();
        let (a, b) = (live.token(), live.token());
        let function = busy(host_failing_at(&live, turn));
        let results = function.call(&[r(&a), r(&b)]);
        let held = i64::try_from(b.count()).expect("few") - 1;
        assert!(held <= 1, "only the global may keep it");
        let succeeded = results.is_ok();
        if let Err(status) = &results {
            assert_eq!(status.code(), Code::DataLoss);
            assert_eq!(a.count(), 1, "turn {turn}");
            assert_eq!(live.count(), 2, "turn {turn}: all made tokens are gone");
            failures += 1;
        }
        drop(results);
        assert_eq!((a.count(), live.count()), (1, 2), "turn {turn}");
        drop(function);
        assert_eq!(b.count(), 1, "turn {turn}: the global went with the context");
        if succeeded && turn > 0 {
            break;
        }
    }
    assert_eq!(failures, 11, "every point had its turn");
}

/// [vm 89] Stopped at each branch and call in turn, by its budget.
#[test]
fn counts_return_when_the_budget_ends() {
    let live = Live::default();
    let (a, b) = (live.token(), live.token());
    let function = busy(host_failing_at(&live, 0));
    for budget in 0.. {
        let options = InvokeOptions { cancel: None, budget: Some(budget) };
        let outcome = function.invoke_with(&options, &[r(&a), r(&b)], &mut Vec::new());
        assert_eq!((a.count(), live.count()), (1, 2), "budget {budget}");
        if outcome.is_ok() {
            assert!(budget > 10);
            break;
        }
    }
}

/// [vm 89] [vm 117] Aborted or dropped while suspended, in one frame and in several.
#[test]
fn counts_return_after_abort() {
    let live = Live::default();
    let (a, b) = (live.token(), live.token());
    let context = context(
        module().internal_function("deep", "0r_r", "vm.yield ^on() \n ^on: \n vm.return %R0").function(
            "f",
            "0rr_r",
            "%r2 = vm.assign.ref %r0 \n %r3 = vm.call @m.deep(%R1) \n vm.return %r3",
        ),
    );
    let function = context.function("m.f").expect("f");
    for end in ["abort", "drop", "finish"] {
        let mut invocation = Invocation::new(&function);
        assert_eq!(invocation.begin(&[r(&a), r(&b)]).expect("begun"), Progress::Yielded);
        assert_eq!((a.count(), b.count()), (3, 2), "registers hold them");
        match end {
            "abort" => {
                invocation.abort();
                assert_eq!((a.count(), b.count()), (1, 1));
                assert_eq!(code(invocation.end()), Code::Aborted);
            }
            "drop" => drop(invocation),
            _ => {
                assert_eq!(invocation.resume().expect("resumed"), Progress::Completed);
                assert_eq!(invocation.end().expect("results"), [r(&b)]);
            }
        }
        assert_eq!((a.count(), b.count()), (1, 1), "{end}");
    }
}

/// [vm 89] A frame's registers go by ordinal, inner frames before outer ones.
#[test]
fn releases_come_in_order() {
    let (live, log) = (Live::default(), Log::default());
    let text = "
        %r0 = vm.call @host.taken(%i0)
        %r1 = vm.call @host.taken(%i1)
        vm.call @m.inner(%i2)
        vm.return";
    let inner = "
        %r2 = vm.call @host.taken(%i0)
        %r1 = vm.call @host.taken(%i0)
        %i0 = vm.const.i32 3
        vm.fail %i0, \"\"";
    let (maker, noter) = (live.clone(), log.clone());
    let host = weft_vm::native::NativeModule::builder("host", 0, |_| Ok(()))
        .export("taken", move |_: &(), number: i32| {
            // Each call numbers its token anew, so that both of `inner` differ.
            Ok(maker.logged(i64::from(number) * 10 + maker.count(), &noter))
        })
        .build()
        .expect("built");
    let builder = module()
        .import("host.taken", "0i_r")
        .function("f", "0iii_v", text)
        .internal_function("inner", "0i_v", inner);
    let context: std::sync::Arc<Context> = context_of(vec![host.into()], builder);
    let failed = context.function("m.f").expect("f").call(&[i(1), i(2), i(3)]);
    assert_eq!(code(failed), Code::InvalidArgument);
    // Made as 10, 21, then in the inner frame 32 (register 2) and 33 (register 1).
    assert_eq!(log.take(), [33, 32, 10, 21]);
    assert_eq!(live.count(), 0);
}
