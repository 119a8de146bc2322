//! `select` and `switch` of every kind.

use crate::support::*;
use weft_vm::Value;

/// [vm 70]
#[test]
fn select_both_ways() {
    let text = "
        %i1 = vm.const.i32 10
        %i2 = vm.const.i32 20
        %i3 = vm.select.i32 %i0 ? %i1 : %i2
        %i4:5 = vm.const.i64 4294967296
        %i6:7 = vm.const.i64 8589934592
        %i8:9 = vm.select.i64 %i0 ? %i4:5 : %i6:7
        %i1 = vm.const.f32 1.5
        %i2 = vm.const.f32 2.5
        %i10 = vm.select.f32 %i0 ? %i1 : %i2
        %i4:5 = vm.const.f64 1.25
        %i6:7 = vm.const.f64 2.25
        %i12:13 = vm.select.f64 %i0 ? %i4:5 : %i6:7
        vm.return %i3, %i8:9, %i10, %i12:13";
    let select = function("0i_iIfF", text);
    let on_true = [i(10), l(1 << 32), f(1.5), d(1.25)];
    assert_eq!(select.call(&[i(1)]).expect("true"), on_true);
    assert_eq!(select.call(&[i(-2)]).expect("any other number is true"), on_true);
    assert_eq!(select.call(&[i(0)]).expect("false"), [i(20), l(1 << 33), f(2.5), d(2.25)]);
}

/// [vm 70] In range, −1, n, and an empty list of values.
#[test]
fn switch_of_scalars() {
    let cases: &[(&str, &str, &str, &str, [Value; 4])] = &[
        ("i32", "%i2", "%i4, %i6", "i", [i(1), i(2), i(3), i(3)]),
        ("i64", "%i2:3", "%i4:5, %i6:7", "I", [l(1 << 40), l(2 << 40), l(3 << 40), l(3 << 40)]),
        ("f32", "%i2", "%i4, %i6", "f", [f(1.0), f(2.0), f(3.0), f(3.0)]),
        ("f64", "%i2:3", "%i4:5, %i6:7", "F", [d(1.0), d(2.0), d(3.0), d(3.0)]),
    ];
    for (kind, default, values, letter, expected) in cases {
        let cconv = format!("0i{letter}{letter}{letter}_{letter}{letter}");
        let (first, second) =
            if letter.chars().all(char::is_uppercase) { ("%i8:9", "%i10:11") } else { ("%i8", "%i9") };
        // Arguments: index, default, two values. In narrow forms they are in consecutive registers.
        let moves = match *kind {
            "i32" | "f32" => "vm.br ^go(%i3->%i6, %i2->%i4, %i1->%i2) \n ^go:",
            _ => "",
        };
        let text = format!(
            "{moves}
            {first} = vm.switch.{kind} %i0[{values}] else {default}
            {second} = vm.switch.{kind} %i0[] else {default}
            vm.return {first}, {second}"
        );
        let function = function(&cconv, &text);
        let operands = [expected[2].clone(), expected[0].clone(), expected[1].clone()];
        for (index, chosen) in [(0, &expected[0]), (1, &expected[1]), (2, &expected[2]), (-1, &expected[3])] {
            let arguments: Vec<Value> = std::iter::once(i(index)).chain(operands.iter().cloned()).collect();
            let results = function.call(&arguments).expect("switched");
            assert_eq!(results, [chosen.clone(), expected[2].clone()], "{kind} {index}");
        }
    }
}

/// [vm 70] [vm 87]
#[test]
fn select_of_references() {
    let live = Live::default();
    let (a, b) = (live.numbered(1), live.numbered(2));
    let text = "
        %r2 = vm.select.ref %i0 ? %r0 : %r1 -> !test.token
        %i1 = vm.cmp.nz.ref %r0
        %i2 = vm.cmp.nz.ref %r1
        vm.return %r2, %i1, %i2";
    let kept = function("0irr_rii", text);
    assert_eq!(kept.call(&[i(1), r(&a), r(&b)]).expect("true"), [r(&a), i(1), i(1)]);
    assert_eq!(kept.call(&[i(0), r(&a), r(&b)]).expect("false"), [r(&b), i(1), i(1)]);

    // Both moved: the chosen one goes to the result, the other is released, both registers are null.
    let moved = function("0irr_rii", &text.replace("%r0 : %r1", "%R0 : %R1"));
    assert_eq!(moved.call(&[i(1), r(&a), r(&b)]).expect("true"), [r(&a), i(0), i(0)]);
    assert_eq!(moved.call(&[i(0), r(&a), r(&b)]).expect("false"), [r(&b), i(0), i(0)]);
    assert_eq!((a.count(), b.count()), (1, 1));

    // The result is an operand; the other operand is consumed.
    let onto = "
        %r0 = vm.select.ref %i0 ? %R0 : %R1 -> !test.token
        %i1 = vm.cmp.nz.ref %r1
        vm.return %r0, %i1";
    let onto = function("0irr_ri", onto);
    assert_eq!(onto.call(&[i(1), r(&a), r(&b)]).expect("true"), [r(&a), i(0)]);
    assert_eq!(onto.call(&[i(0), r(&a), r(&b)]).expect("false"), [r(&b), i(0)]);

    // One register as both operands, moved once.
    let twice = "
        %r1 = vm.select.ref %i0 ? %R0 : %r0 -> !test.token
        %i1 = vm.cmp.nz.ref %r0
        vm.return %r1, %i1";
    let twice = function("0ir_ri", twice);
    for condition in [0, 1] {
        assert_eq!(twice.call(&[i(condition), r(&a)]).expect("chosen"), [r(&a), i(0)]);
    }
    drop((kept, moved, onto, twice));
    assert_eq!((a.count(), b.count()), (1, 1));
}

/// [vm 87] The type is checked first; on failure nothing changed.
#[test]
fn select_checks_the_chosen_one() {
    let live = Live::default();
    let (token, other) = (live.token(), weft_vm::Ref::new(std::sync::Arc::new(Other)));
    let text = "%r2 = vm.select.ref %i0 ? %r0 : %r1 -> !test.token \n vm.return %r2";
    let select = function("0irr_r", text);
    assert_eq!(
        select.call(&[i(1), r(&token), r(&other)]).expect("the other one is not looked at"),
        [r(&token)]
    );
    assert_eq!(code(select.call(&[i(0), r(&token), r(&other)])), Code::InvalidArgument);
    assert_eq!(select.call(&[i(0), r(&token), Value::NULL]).expect("null passes"), [Value::NULL]);
    let any = function("0irr_r", &text.replace("!test.token", "!vm.opaque"));
    assert_eq!(any.call(&[i(0), r(&token), r(&other)]).expect("any type passes"), [r(&other)]);
}

/// [vm 70] Unchosen operands with MOVE are released, chosen ones move.
#[test]
fn switch_of_references() {
    let live = Live::default();
    let (a, b, c) = (live.numbered(1), live.numbered(2), live.numbered(3));
    let text = "
        %r3 = vm.switch.ref %i0[%r0, %r1] else %r2 -> !test.token
        %i1 = vm.cmp.nz.ref %r0
        %i2 = vm.cmp.nz.ref %r1
        %i3 = vm.cmp.nz.ref %r2
        vm.return %r3, %i1, %i2, %i3";
    let kept = function("0irrr_riii", text);
    let arguments = |index| [i(index), r(&a), r(&b), r(&c)];
    for (index, chosen) in [(0, &a), (1, &b), (2, &c), (-1, &c)] {
        assert_eq!(kept.call(&arguments(index)).expect("chosen"), [r(chosen), i(1), i(1), i(1)]);
    }
    let moved = text.replace("%i0[%r0, %r1] else %r2", "%i0[%R0, %r1] else %R2");
    let moved = function("0irrr_riii", &moved);
    for (index, chosen) in [(0, &a), (1, &b), (7, &c)] {
        assert_eq!(moved.call(&arguments(index)).expect("chosen"), [r(chosen), i(0), i(1), i(0)]);
    }
    let empty = function("0ir_r", "%r1 = vm.switch.ref %i0[] else %r0 -> !test.token \n vm.return %r1");
    assert_eq!(empty.call(&[i(0), r(&a)]).expect("default"), [r(&a)]);
    drop((kept, moved, empty));
    assert_eq!((a.count(), b.count(), c.count()), (1, 1, 1));
}
