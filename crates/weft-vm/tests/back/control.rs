//! Branches, block arguments, calls, `fail`, recursion, debug instructions.

use std::sync::{Arc, Mutex};

use crate::support::*;
use weft_vm::{Context, Instance, InstanceOptions, InvokeOptions, Value};

/// [vm 71]
#[test]
fn fail_raises_its_code_and_message() {
    assert_eq!(run("0v_v", "vm.return", &[]).expect("nothing"), []);
    let fail = function("0i_v", "vm.fail %i0, \"it broke\"");
    for number in (1..=16).chain([18]) {
        let status = fail.call(&[i(number)]).expect_err("failed");
        assert_eq!(status.code().raw(), number as u32);
        assert_eq!(status.message(), "it broke");
    }
    for number in [17, 19, 32, 40, -1] {
        let status = fail.call(&[i(number)]).expect_err("failed");
        assert_eq!(status.code(), Code::Unknown, "{number}");
        assert!(status.message().contains("it broke"), "{status}");
        assert!(status.message().contains(&(number as u32).to_string()), "{status}");
    }
}

/// [vm 71] Code 0 is no failure: the next block follows, if there is one.
#[test]
fn fail_with_zero_goes_on() {
    let text = "
        vm.fail %i0, \"odd\"
      ^next:
        %i1 = vm.const.i32 7
        vm.return %i1";
    let fail = function("0i_i", text);
    assert_eq!(fail.call(&[i(0)]).expect("goes on"), [i(7)]);
    assert_eq!(code(fail.call(&[i(5)])), Code::NotFound);
    assert_eq!(code(run("0i_v", "vm.fail %i0, \"last\"", &[i(0)])), Code::Internal);
}

/// [vm 71] [vm 130] Bytes of any kind, and many of them.
#[test]
fn messages_survive_byte_for_byte() {
    let long = "x".repeat(9000);
    let status = run("0i_v", &format!("vm.fail %i0, \"{long}\""), &[i(13)]).expect_err("failed");
    assert_eq!(status.message_bytes(), long.as_bytes());
    let status = run("0i_v", "vm.fail %i0, \"a\\xFF\\n\\x00b\"", &[i(3)]).expect_err("failed");
    assert_eq!(status.message_bytes(), b"a\xFF\n\0b");
}

/// [vm 72]
#[test]
fn conditional_branches_carry_arguments() {
    let live = Live::default();
    let (a, b) = (live.numbered(1), live.numbered(2));
    let text = "
        %i1 = vm.const.i32 11
        %i2 = vm.const.i32 22
        vm.cond_br %i0, ^out(%i1->%i3, %r0->%r2), ^out(%i2->%i3, %R1->%r2)
      ^out:
        vm.return %i3, %r2";
    let branch = function("0irr_ir", text);
    for condition in [1, 2, -1, i32::MIN] {
        assert_eq!(branch.call(&[i(condition), r(&a), r(&b)]).expect("true"), [i(11), r(&a)]);
    }
    assert_eq!(branch.call(&[i(0), r(&a), r(&b)]).expect("false"), [i(22), r(&b)]);
}

/// [vm 73]
#[test]
fn branch_tables() {
    let live = Live::default();
    let a = live.token();
    let text = "
        %i1 = vm.const.i32 10
        %i2 = vm.const.i32 20
        %i3 = vm.const.i32 30
        vm.br_table %i0 { default: ^out(%i3->%i4, %r0->%r1), 0: ^out(%i1->%i4), 1: ^out(%i2->%i4, %R0->%r1), 2: ^last() }
      ^last:
        vm.return %i0, %r0
      ^out:
        vm.return %i4, %r1";
    let table = function("0ir_ir", text);
    for (index, expected) in [
        (0, [i(10), Value::NULL]),
        (1, [i(20), r(&a)]),
        (2, [i(2), r(&a)]),
        (3, [i(30), r(&a)]),
        (-1, [i(30), r(&a)]),
        (i32::MIN, [i(30), r(&a)]),
    ] {
        assert_eq!(table.call(&[i(index), r(&a)]).expect("branched"), expected, "{index}");
    }
    let empty = "vm.br_table %i0 { default: ^out(%i0->%i1) } \n ^out: \n vm.return %i1";
    assert_eq!(run("0i_i", empty, &[i(0)]).expect("default"), [i(0)]);
}

/// [vm 74] Pairs are applied in order; cycles go through a scratch register; onto itself nothing happens.
#[test]
fn remaps_are_sequential() {
    let clobber = "vm.br ^out(%i0->%i1, %i1->%i2) \n ^out: \n vm.return %i1, %i2";
    assert_eq!(run("0iii_ii", clobber, &[i(1), i(2), i(3)]).expect("run"), [i(1), i(1)]);
    let cycle = "vm.br ^out(%i0->%i3, %i1->%i0, %i2->%i1, %i3->%i2) \n ^out: \n vm.return %i0, %i1, %i2";
    assert_eq!(run("0iii_iii", cycle, &[i(1), i(2), i(3)]).expect("run"), [i(2), i(3), i(1)]);
    let live = Live::default();
    let (a, b) = (live.numbered(1), live.numbered(2));
    let swap = "vm.br ^out(%R0->%r2, %R1->%r0, %R2->%r1, %R0->%r0) \n ^out: \n vm.return %r0, %r1, %r2";
    assert_eq!(run("0rr_rrr", swap, &[r(&a), r(&b)]).expect("run"), [r(&b), r(&a), Value::NULL]);
    // Results of a return may come from any registers in any order.
    let returns = "vm.return %i1, %i0, %i1";
    assert_eq!(run("0ii_iii", returns, &[i(1), i(2)]).expect("run"), [i(2), i(1), i(2)]);
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 75]
#[test]
fn pairs_cross_branches_in_halves() {
    let big = 0x1234_5678_9ABC_DEF0_i64;
    let adjacent = "vm.br ^out(%i0->%i4, %i1->%i5) \n ^out: \n vm.return %i4:5";
    assert_eq!(run("0I_I", adjacent, &[l(big)]).expect("run"), [l(big)]);
    let split = "vm.br ^out(%i0->%i4, %i2->%i6, %i1->%i5) \n ^out: \n vm.return %i4:5, %i6";
    assert_eq!(run("0Ii_Ii", split, &[l(big), i(9)]).expect("run"), [l(big), i(9)]);
}

/// [vm 76]
#[test]
fn calls_of_every_shape() {
    let live = Live::default();
    let a = live.token();
    let context = context(
        module()
            .internal_function("nothing", "0v_v", "vm.return")
            .internal_function("take", "0i_v", "vm.return")
            .internal_function("take_ref", "0r_v", "vm.return")
            .internal_function("give", "0v_i", "%i0 = vm.const.i32 5 \n vm.return %i0")
            .internal_function("pass_ref", "0r_r", "vm.return %R0")
            .internal_function("two", "0i_ii", "%i1 = vm.add.i32 %i0, %i0 \n vm.return %i1, %i0")
            .internal_function("broken", "0v_v", "%i0 = vm.const.i32 9 \n vm.fail %i0, \"inside\"")
            .function(
                "f",
                "0ir_iiirri",
                "vm.call @m.nothing()
                vm.call @m.take(%i0)
                vm.call @m.take_ref(%r0)
                %i1 = vm.call @m.give()
                %r1 = vm.call @m.pass_ref(%r0)
                %i0, %i2 = vm.call @m.two(%i0)
                %i3 = vm.cmp.nz.ref %r0
                %r2 = vm.call @m.pass_ref(%R0)
                vm.return %i0, %i1, %i2, %r1, %r2, %i3",
            )
            .function("g", "0v_v", "vm.call @m.broken() \n vm.return"),
    );
    let called = context.function("m.f").expect("exported").call(&[i(21), r(&a)]).expect("called");
    assert_eq!(called, [i(42), i(5), i(21), r(&a), r(&a), i(1)]);
    drop(called);
    let status = context.function("m.g").expect("exported").call(&[]).expect_err("broken");
    assert_eq!((status.code(), &*status.message()), (Code::FailedPrecondition, "inside"));
    assert_eq!(a.count(), 1);
}

/// [vm 77]
#[test]
fn a_result_register_named_twice_keeps_the_last() {
    let live = Live::default();
    let log = Log::default();
    let (a, b) = (live.logged(1, &log), live.logged(2, &log));
    let context = context(
        module()
            .internal_function(
                "two",
                "0rr_iirr",
                "%i0 = vm.const.i32 1 \n %i1 = vm.const.i32 2 \n vm.return %i0, %i1, %R0, %R1",
            )
            .function("f", "0rr_ir", "%i0, %i0, %r0, %r0 = vm.call @m.two(%R0, %R1) \n vm.return %i0, %r0"),
    );
    let function = context.function("m.f").expect("exported");
    let results = function.call(&[Value::Ref(Some(a)), Value::Ref(Some(b.clone()))]).expect("called");
    assert_eq!(results, [i(2), r(&b)]);
    assert_eq!(log.take(), [1], "the earlier reference is released");
}

/// [vm 78]
#[test]
fn wide_values_pass_whole_through_calls() {
    let text = "
        %i2:3, %i4:5 = vm.call @m.swap(%i2:3, %i4:5)
        vm.return %i2:3, %i4:5";
    let context = context(
        module().internal_function("swap", "0IF_FI", "vm.return %i2:3, %i0:1").function("f", "0iIF_FI", text),
    );
    let arguments = [i(1), l(60_000_000_004), d(-1.0e300)];
    let results = context.function("m.f").expect("exported").call(&arguments).expect("called");
    assert_eq!(results, [d(-1.0e300), l(60_000_000_004)]);
}

/// [vm 79]
#[test]
fn recursion_goes_thousands_deep_and_fails_cleanly() {
    let text = "
        %i1 = vm.const.i32 1
        %i2 = vm.cmp.nz.i32 %i0
        vm.cond_br %i2, ^deeper(), ^end()
      ^deeper:
        %i0 = vm.sub.i32 %i0, %i1
        %i0 = vm.call @m.down(%i0)
        %i0 = vm.add.i32 %i0, %i1
        vm.return %i0
      ^end:
        vm.return %i0";
    let context = context(module().function("down", "0i_i", text));
    let down = context.function("m.down").expect("exported");
    assert_eq!(down.call(&[i(5000)]).expect("deep enough"), [i(5000)]);
    let status = down.call(&[i(10_000_000)]).expect_err("too deep");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(down.call(&[i(100)]).expect("works again"), [i(100)]);
}

/// [vm 79] The limit is the host's to choose.
#[test]
fn the_stack_limit_is_configurable() {
    let options = InstanceOptions { stack_bytes_max: 4096, ..InstanceOptions::default() };
    let instance = Instance::with_options(options);
    let module = load(&instance, module().function("f", "0v_v", "vm.call @m.f() \n vm.return"));
    let context = Context::new(&instance, vec![module]).expect("made");
    let status = context.function("m.f").expect("exported").call(&[]).expect_err("endless");
    assert_eq!(status.code(), Code::ResourceExhausted);
}

/// [vm 80]
#[test]
fn endless_programs_can_be_stopped() {
    let spin = "vm.br ^again() \n ^again: \n vm.br ^again()";
    let recursion = "vm.call @m.f() \n vm.br ^more() \n ^more: \n vm.call @m.f() \n vm.return";
    for text in [spin, recursion] {
        let context = context(module().function("f", "0v_v", text));
        let endless = context.function("m.f").expect("exported");
        let token = weft_vm::CancelToken::new();
        let options = InvokeOptions { cancel: Some(token.clone()), budget: None };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| endless.invoke_with(&options, &[], &mut Vec::new()));
            token.cancel();
            // The recursion may reach the end of its stack first.
            let code = code(running.join().expect("no panic"));
            assert!(code == Code::Cancelled || (text == recursion && code == Code::ResourceExhausted));
        });
        let options = InvokeOptions { cancel: None, budget: Some(10_000) };
        let spent = endless.invoke_with(&options, &[], &mut Vec::new());
        assert_eq!(code(spent), Code::ResourceExhausted);
    }
}

/// A budget that suffices changes nothing.
#[test]
fn a_budget_counts_branches_and_calls() {
    let text = "
        %i1 = vm.const.i32 1
        vm.br ^again()
      ^again:
        %i0 = vm.sub.i32 %i0, %i1
        vm.cond_br %i0, ^again(), ^out()
      ^out:
        vm.return %i0";
    let count = function("0i_i", text);
    let mut results = Vec::new();
    let within = InvokeOptions { cancel: None, budget: Some(10_010) };
    count.invoke_with(&within, &[i(10_000)], &mut results).expect("enough");
    assert_eq!(results, [i(0)]);
    let below = InvokeOptions { cancel: None, budget: Some(9_000) };
    assert_eq!(code(count.invoke_with(&below, &[i(10_000)], &mut results)), Code::ResourceExhausted);
}

/// [vm 81]
#[test]
fn debug_instructions_only_release() {
    let live = Live::default();
    let text = "
        vm.trace \"traced\"(%i0, %R0)
        vm.print \"printed\"(%r1, %i0)
        vm.break ^next(%i0->%i1)
      ^next:
        vm.cond_break %i0, ^out(%i1->%i2)
      ^out:
        %i3 = vm.cmp.nz.ref %r0
        %i4 = vm.cmp.nz.ref %r1
        vm.return %i2, %i3, %i4";
    let (a, b) = (live.token(), live.token());
    let results = run("0irr_iii", text, &[i(6), r(&a), r(&b)]).expect("nothing stops");
    assert_eq!(results, [i(6), i(0), i(1)]);
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 81] A host that asks sees what is printed.
#[test]
fn printing_reaches_the_hook() {
    type Seen = Arc<Mutex<Vec<(weft_vm::PrintKind, Vec<u8>, Vec<Value>)>>>;
    let seen = Seen::default();
    let sink = seen.clone();
    let hook: weft_vm::PrintHook = Box::new(move |kind, text, values| {
        sink.lock().expect("lock").push((kind, text.to_vec(), values.to_vec()))
    });
    let instance =
        Instance::with_options(InstanceOptions { print: Some(hook), ..InstanceOptions::default() });
    let text = "vm.print \"p\"(%i0) \n vm.trace \"t\"() \n vm.return";
    let module = load(&instance, module().function("f", "0i_v", text));
    let context = Context::new(&instance, vec![module]).expect("made");
    context.function("m.f").expect("exported").call(&[i(3)]).expect("printed");
    let seen = seen.lock().expect("lock");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], (weft_vm::PrintKind::Print, b"p".to_vec(), vec![i(3)]));
    assert_eq!(seen[1], (weft_vm::PrintKind::Trace, b"t".to_vec(), vec![]));
}
