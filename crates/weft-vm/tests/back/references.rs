//! Refs in registers: equality, moves, calls, casts.

use std::sync::Arc;

use crate::support::*;
use weft_vm::{Ref, Value};

/// [vm 82] [vm 92]
#[test]
fn comparisons() {
    let live = Live::default();
    let (a, b) = (live.token(), live.token());
    let text = "
        %i0 = vm.cmp.eq.ref %r0, %r1
        %i1 = vm.cmp.ne.ref %r0, %r1
        %i2 = vm.cmp.nz.ref %r0
        vm.return %i0, %i1, %i2";
    let compare = function("0rr_iii", text);
    for (left, right, expected) in [
        (Value::NULL, Value::NULL, [1, 0, 0]),
        (r(&a), r(&a), [1, 0, 1]),
        (r(&a), r(&b), [0, 1, 1]),
        (r(&a), Value::NULL, [0, 1, 1]),
        (Value::NULL, r(&a), [0, 1, 0]),
    ] {
        assert_eq!(compare.call(&[left, right]).expect("compared"), expected.map(i));
    }
    let zero = "%r0 = vm.const.ref.zero \n vm.return %r0";
    assert_eq!(run("0r_r", zero, &[r(&a)]).expect("null"), [Value::NULL]);
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 83]
#[test]
fn references_through_calls() {
    let live = Live::default();
    let (a, b) = (live.numbered(1), live.numbered(2));
    let context = context(
        module()
            .internal_function("ignore", "0rr_v", "vm.return")
            .internal_function("same", "0r_r", "vm.return %r0")
            .internal_function("swap", "0rr_rr", "vm.return %R1, %R0")
            .internal_function(
                "chain",
                "0r_r",
                "%r0 = vm.call @m.same(%R0) \n %r0 = vm.call @m.same(%R0) \n vm.return %R0",
            )
            .function(
                "survives",
                "0r_ri",
                "vm.call @m.ignore(%r0, %r0) \n %i0 = vm.cmp.nz.ref %r0 \n vm.return %R0, %i0",
            )
            .function(
                "moved",
                "0r_i",
                "vm.call @m.ignore(%r0, %R0) \n %i0 = vm.cmp.nz.ref %r0 \n vm.return %i0",
            )
            .function("chained", "0r_r", "%r1 = vm.call @m.chain(%R0) \n vm.return %R1")
            .function("swapped", "0rr_rr", "%r0, %r1 = vm.call @m.swap(%r0, %r1) \n vm.return %R0, %R1")
            .function(
                "two",
                "0rr_rrrr",
                "%r2, %r3 = vm.call @m.swap(%r0, %r1) \n vm.return %r0, %r1, %r2, %r3",
            ),
    );
    let call =
        |name: &str, arguments: &[Value]| context.export("m", name).expect(name).call(arguments).expect(name);
    assert_eq!(call("survives", &[r(&a)]), [r(&a), i(1)]);
    assert_eq!(call("moved", &[r(&a)]), [i(0)]);
    assert_eq!(call("chained", &[r(&a)]), [r(&a)]);
    assert_eq!(call("swapped", &[r(&a), r(&b)]), [r(&b), r(&a)]);
    assert_eq!(call("two", &[r(&a), r(&b)]), [r(&a), r(&b), r(&b), r(&a)]);
    assert_eq!(call("swapped", &[r(&a), Value::NULL]), [Value::NULL, r(&a)]);
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 84] One path consumes, both do, neither does.
#[test]
fn conditionals_consume() {
    let live = Live::default();
    let log = Log::default();
    let builder = |on_true: &str, on_false: &str| {
        module().import("host.number", "0r_I").function(
            "f",
            "0ir_Ii",
            &format!(
                "vm.cond_br %i0, ^yes(), ^no()
              ^yes:
                %i2:3 = vm.call @host.number({on_true})
                vm.br ^out()
              ^no:
                %i2:3 = vm.call @host.number({on_false})
                vm.br ^out()
              ^out:
                %i4 = vm.cmp.nz.ref %r0
                vm.return %i2:3, %i4"
            ),
        )
    };
    let token = live.numbered(9);
    for (on_true, on_false, left) in [("%R0", "%R0", [0, 0]), ("%R0", "%r0", [0, 1]), ("%r0", "%r0", [1, 1])]
    {
        let context = context_of(vec![host(&live, &log)], builder(on_true, on_false));
        let function = context.function("m.f").expect("f");
        for (condition, left) in [(1, left[0]), (0, left[1])] {
            let results = function.call(&[i(condition), r(&token)]).expect("called");
            assert_eq!(results, [l(9), i(left)]);
        }
    }
    assert_eq!(token.count(), 1);
}

/// [vm 84] Several references in nested loops, exchanged in each round; an outer one used inside.
#[test]
fn loops_carry_references() {
    let live = Live::default();
    let text = "
        %i8 = vm.const.i32 1
        vm.br ^outer()
      ^outer:
        %i1 = vm.const.i32 3
        vm.br ^inner()
      ^inner:
        %i2:3 = vm.call @host.number(%r0)
        %i4:5 = vm.call @host.number(%r2)
        %i6:7 = vm.fma.i64 %i6:7, %i2:3, %i4:5
        %i1 = vm.sub.i32 %i1, %i8
        vm.cond_br %i1, ^inner(%R0->%r3, %R1->%r0, %R3->%r1), ^after()
      ^after:
        %i0 = vm.sub.i32 %i0, %i8
        vm.cond_br %i0, ^outer(%R1->%r3, %R0->%r1, %R3->%r0), ^out()
      ^out:
        vm.return %i6:7, %r0, %r1";
    let builder = module().import("host.number", "0r_I").function("f", "0irrr_Irr", text);
    let context = context_of(vec![host(&live, &Log::default())], builder);
    let (a, b, c) = (live.numbered(2), live.numbered(3), live.numbered(1));
    let results = context.function("m.f").expect("f").call(&[i(2), r(&a), r(&b), r(&c)]).expect("run");
    // Inner rounds read a b a; the inner loop ends with them swapped twice, the outer one swaps once more.
    let mut sum = 0;
    let mut pair = [2, 3];
    for outer in 0..2 {
        for inner in 0..3 {
            sum = sum * pair[0] + 1;
            if inner < 2 {
                pair.swap(0, 1);
            }
        }
        if outer == 0 {
            pair.swap(0, 1);
        }
    }
    let of = |number: i64| if number == 2 { r(&a) } else { r(&b) };
    assert_eq!(results, [l(sum), of(pair[0]), of(pair[1])]);
    drop(results);
    assert_eq!((a.count(), b.count(), c.count()), (1, 1, 1));
}

/// [vm 85] One side of a diamond uses the reference, the other discards it.
#[test]
fn diamonds() {
    let live = Live::default();
    let token = live.numbered(4);
    let text = "
        vm.cond_br %i0, ^use(), ^drop()
      ^use:
        %i2:3 = vm.call @host.number(%R0)
        vm.br ^join()
      ^drop:
        vm.discard.refs %r0
        vm.br ^join()
      ^join:
        %i1 = vm.cmp.nz.ref %r0
        vm.return %i2:3, %i1";
    let builder = module().import("host.number", "0r_I").function("f", "0ir_Ii", text);
    let context = context_of(vec![host(&live, &Log::default())], builder);
    let function = context.function("m.f").expect("f");
    assert_eq!(function.call(&[i(1), r(&token)]).expect("used"), [l(4), i(0)]);
    assert_eq!(function.call(&[i(0), r(&token)]).expect("dropped"), [l(0), i(0)]);
    assert_eq!(token.count(), 1);
}

/// [vm 86] What was stored elsewhere stays valid here.
#[test]
fn stored_references_stay_valid() {
    let live = Live::default();
    let (a, b) = (live.numbered(5), live.numbered(6));
    let text = "
        vm.global.store.ref %r0, .refs[0] : !test.token
        %i0 = vm.const.i32 2
        %i1 = vm.const.i32 1
        %r2 = vm.list.alloc %i0 : !vm.list<!test.token>
        vm.list.resize %r2, %i0
        vm.list.set.ref %r2, %i1, %r1
        vm.list.set.ref %r2, %i4, %r0
        %r3 = vm.list.get.ref %r2, %i1 : !test.token
        %r4 = vm.list.get.ref %r2, %i1 : !test.token
        %r5 = vm.list.get.ref %r2, %i4 : !test.token
        vm.return %r0, %r1, %r3, %r4, %r5";
    let context = context(module().global_refs(1).function("f", "0rr_rrrrr", text));
    let results = context.function("m.f").expect("f").call(&[r(&a), r(&b)]).expect("run");
    assert_eq!(results, [r(&a), r(&b), r(&b), r(&b), r(&a)]);
    drop((results, context));
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 88]
#[test]
fn discarding() {
    let (live, log) = (Live::default(), Log::default());
    let text = |list: &str| {
        format!(
            "vm.discard.refs {list}
             %i0 = vm.cmp.nz.ref %r0
             %i1 = vm.cmp.nz.ref %r1
             vm.return %i0, %i1"
        )
    };
    for (list, left, released) in [
        ("", [1, 1], vec![]),
        ("%r0", [0, 1], vec![1]),
        ("%R1, %r0", [0, 0], vec![2, 1]),
        ("%r0, %R0, %r2", [0, 1], vec![1]),
    ] {
        let arguments = [Value::Ref(Some(live.logged(1, &log))), Value::Ref(Some(live.logged(2, &log)))];
        // The only counts are the registers': the arguments are given away to a list and taken from there.
        let text = format!(
            "%r3 = vm.assign.ref %R0
             %i2 = vm.const.i32.zero
             %i3 = vm.const.i32 1
             %R0 = vm.list.get.ref %r3, %i2 : !test.token
             %R1 = vm.list.get.ref %r3, %i3 : !test.token
             {}",
            text(list)
        );
        let holder = Ref::new(Arc::new(weft_vm::List::from_values(arguments)));
        let discard = function("0r_ii", &text);
        let mut results = Vec::new();
        discard.invoke(&[r(&holder)], &mut results).expect("run");
        assert_eq!(results, left.map(i), "{list}");
        let order = log.take();
        assert_eq!(order[..released.len()], released, "{list}");
        assert_eq!(order.len(), 2, "the rest goes with the frame");
    }
    assert_eq!(live.count(), 0);
}

/// [vm 90] Onto itself a reference stays; the last owner of another object may be replaced by it.
#[test]
fn assignments() {
    let live = Live::default();
    let token = live.token();
    let text = "
        %r0 = vm.assign.ref %r0
        %r0 = vm.assign.ref %R0
        %r1 = vm.assign.ref %r0
        %r1 = vm.assign.ref %R0
        %i0 = vm.cmp.nz.ref %r0
        vm.return %r1, %i0";
    assert_eq!(run("0r_ri", text, &[r(&token)]).expect("run"), [r(&token), i(0)]);
    assert_eq!(token.count(), 1);
    // The register holds the only count on a list, which holds the only count on the token that replaces it.
    let text = "
        %i0 = vm.const.i32.zero
        %r0 = vm.list.get.ref %r0, %i0 : !test.token
        vm.return %R0";
    let take = function("0r_r", text);
    let holder = weft_vm::List::from_values([Value::Ref(Some(live.numbered(3)))]);
    let results = take.call(&[Value::Ref(Some(Ref::new(Arc::new(holder))))]).expect("run");
    let [Value::Ref(Some(found))] = &results[..] else { panic!("{results:?}") };
    assert_eq!((found.get::<Token>().map(|token| token.number), found.count()), (Some(3), 1));
}

/// [vm 91] [vm 92]
#[test]
fn casts() {
    let live = Live::default();
    let (token, other) = (live.token(), Ref::new(Arc::new(Other)));
    let cast = |target: &str, operand: &str| {
        let text = format!(
            "%r1 = vm.cast.any.ref {operand} : !vm.ref<?> -> {target}
             %i0 = vm.cmp.nz.ref %r0
             vm.return %r1, %i0"
        );
        function("0r_ri", &text)
    };
    assert_eq!(cast("!test.token", "%r0").call(&[r(&token)]).expect("fits"), [r(&token), i(1)]);
    assert_eq!(cast("!test.token", "%R0").call(&[r(&token)]).expect("fits"), [r(&token), i(0)]);
    assert_eq!(cast("!test.token", "%R0").call(&[Value::NULL]).expect("null"), [Value::NULL, i(0)]);
    assert_eq!(cast("!vm.opaque", "%r0").call(&[r(&other)]).expect("any"), [r(&other), i(1)]);
    let status = cast("!test.token", "%R0").call(&[r(&other)]).expect_err("another type");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("test.token") && status.message().contains("test.other"), "{status}");
    // Lists are lists, whatever their elements.
    let list = Ref::new(Arc::new(weft_vm::List::from_values([])));
    assert_eq!(cast("!vm.list<i32>", "%r0").call(&[r(&list)]).expect("a list"), [r(&list), i(1)]);
    assert_eq!((token.count(), other.count()), (1, 1));
}

/// [vm 89] Rodata has one identity for each segment.
#[test]
fn constants_are_stable() {
    let text = "
        %r0 = vm.const.ref.rodata 0
        %r1 = vm.const.ref.rodata 0
        %r2 = vm.const.ref.rodata 1
        %i0 = vm.cmp.eq.ref %r0, %r1
        %i1 = vm.cmp.eq.ref %r0, %r2
        vm.return %i0, %i1";
    let context = context(module().rodata(b"same").rodata(b"same").function("f", "0v_ii", text));
    assert_eq!(context.function("m.f").expect("f").call(&[]).expect("compared"), [i(1), i(0)]);
}
