//! List instructions.

use std::sync::Arc;

use crate::support::*;
use weft_vm::{ElementType, List, Ref, Value, ValueType};

/// Sets element 1 of a list of two `element`s by `set`, reads it back by `get`.
fn through(element: &str, set: &str, get: &str, value: Value) -> Result<Value> {
    let letter = |kind: &str| match kind {
        "i32" => ('i', "%i0", 1),
        "i64" => ('I', "%i0:1", 2),
        "f32" => ('f', "%i0", 1),
        _ => ('F', "%i0:1", 2),
    };
    let (argument, source, _) = letter(set);
    let (result, _, width) = letter(get);
    let target = if width == 2 { "%i6:7" } else { "%i6" };
    let text = format!(
        "%i2 = vm.const.i32 2
         %i3 = vm.const.i32 1
         %r0 = vm.list.alloc %i2 : !vm.list<{element}>
         vm.list.resize %r0, %i2
         vm.list.set.{set} %r0, %i3, {source}
         {target} = vm.list.get.{get} %r0, %i3
         vm.return {target}"
    );
    Ok(run(&format!("0{argument}_{result}"), &text, &[value])?.remove(0))
}

/// [vm 94] [vm 98]
#[test]
fn the_conversion_matrix() {
    // element, instruction of set, instruction of get, value, result.
    let cases: &[(&str, &str, &str, Value, Value)] = &[
        ("i8", "i32", "i32", i(300), i(44)),
        ("i8", "i32", "i32", i(-1), i(-1)),
        ("i8", "i32", "i32", i(200), i(-56)),
        ("i8", "i64", "i64", l(-129), l(127)),
        ("i16", "i32", "i32", i(70000), i(4464)),
        ("i16", "i32", "i64", i(-5), l(-5)),
        ("i32", "i32", "i32", i(i32::MIN), i(i32::MIN)),
        ("i32", "i64", "i32", l(0x1_0000_0007), i(7)),
        ("i32", "i32", "i64", i(-7), l(-7)),
        ("i64", "i64", "i64", l(i64::MIN), l(i64::MIN)),
        ("i64", "i64", "i32", l(0x1_0000_0007), i(7)),
        ("f32", "f32", "f32", f(1.5), f(1.5)),
        ("f32", "f64", "f64", d(0.1), d(f64::from(0.1_f32))),
        ("f64", "f64", "f64", d(0.1), d(0.1)),
        ("f64", "f64", "f32", d(0.1), f(0.1)),
        ("f64", "f32", "f64", f(0.1), d(f64::from(0.1_f32))),
        // Integers and floats read as zero of each other.
        ("i32", "f32", "i32", f(3.0), i(0)),
        ("i64", "f64", "i64", d(3.0), l(0)),
        ("f32", "i32", "f32", i(3), f(0.0)),
        ("f64", "i64", "f64", l(3), d(0.0)),
        ("i32", "i32", "f32", i(3), f(0.0)),
        ("f32", "f32", "i64", f(3.0), l(0)),
        // Variant slots keep the type of the instruction that set them.
        ("!vm.opaque", "i32", "i64", i(300), l(300)),
        ("!vm.opaque", "i32", "f32", i(300), f(0.0)),
        ("!vm.opaque", "i64", "i32", l(0x1_0000_0007), i(7)),
        ("!vm.opaque", "f32", "f64", f(2.5), d(2.5)),
        ("!vm.opaque", "f64", "f32", d(2.5), f(2.5)),
        ("!vm.opaque", "f64", "i32", d(2.5), i(0)),
    ];
    for (element, set, get, value, expected) in cases {
        let found = through(element, set, get, value.clone()).expect("converted");
        assert_eq!(found, *expected, "{element} set.{set} {value:?} get.{get}");
    }
    for get in ["i32", "i64", "f32", "f64"] {
        assert_eq!(code(through("!test.token", "i32", get, i(1))), Code::FailedPrecondition);
    }
}

/// A context with one function for each list instruction, all on a list given as argument.
fn operations() -> impl Fn(&str, &[Value]) -> Result<Vec<Value>> {
    let context = context(
        module()
            .function("size", "0r_i", "%i0 = vm.list.size %r0 \n vm.return %i0")
            .function("reserve", "0ri_v", "vm.list.reserve %r0, %i0 \n vm.return")
            .function("resize", "0ri_v", "vm.list.resize %r0, %i0 \n vm.return")
            .function("get", "0ri_i", "%i0 = vm.list.get.i32 %r0, %i0 \n vm.return %i0")
            .function("set", "0rii_v", "vm.list.set.i32 %r0, %i0, %i1 \n vm.return")
            .function("get_ref", "0ri_r", "%r0 = vm.list.get.ref %r0, %i0 : !test.token \n vm.return %r0")
            .function("get_any", "0ri_r", "%r0 = vm.list.get.ref %r0, %i0 : !vm.opaque \n vm.return %r0")
            .function("take_ref", "0ri_r", "%R1 = vm.list.get.ref %r0, %i0 : !test.token \n vm.return %r1")
            .function("set_ref", "0rir_v", "vm.list.set.ref %r0, %i0, %r1 \n vm.return")
            .function(
                "move_ref",
                "0rir_i",
                "vm.list.set.ref %r0, %i0, %R1 \n %i0 = vm.cmp.nz.ref %r1 \n vm.return %i0",
            ),
    );
    move |name, arguments| context.export("m", name).expect("exported").call(arguments)
}

fn list(element: ElementType, size: usize) -> Ref {
    let list = List::new(element, 0).expect("made");
    list.resize(size).expect("resized");
    Ref::new(Arc::new(list))
}

fn token_list(size: usize) -> Ref {
    let instance = instance();
    let weft_vm::TypeSpec::Ref(token) = instance.resolve("!test.token").expect("known") else {
        unreachable!("a ref type")
    };
    list(ElementType::Ref(token), size)
}

/// [vm 95]
#[test]
fn indices_are_unsigned_and_checked() {
    let run = operations();
    for element in [ElementType::Value(ValueType::I32), ElementType::Variant] {
        let list = list(element, 3);
        for index in [3, 4, -1, i32::MIN] {
            assert_eq!(code(run("get", &[r(&list), i(index)])), Code::OutOfRange);
            assert_eq!(code(run("set", &[r(&list), i(index), i(1)])), Code::OutOfRange);
        }
    }
    let list = token_list(2);
    for index in [2, -1] {
        assert_eq!(code(run("get_ref", &[r(&list), i(index)])), Code::OutOfRange);
        assert_eq!(code(run("set_ref", &[r(&list), i(index), Value::NULL])), Code::OutOfRange);
    }
}

/// [vm 95] [vm 96]
#[test]
fn elements_start_as_zero_null_or_empty() {
    let run = operations();
    let values = list(ElementType::Value(ValueType::I32), 1);
    assert_eq!(run("get", &[r(&values), i(0)]).expect("zero"), [i(0)]);
    assert_eq!(run("get_ref", &[r(&token_list(1)), i(0)]).expect("null"), [Value::NULL]);
    let variant = list(ElementType::Variant, 1);
    assert_eq!(code(run("get", &[r(&variant), i(0)])), Code::FailedPrecondition);
    assert_eq!(run("get_ref", &[r(&variant), i(0)]).expect("null"), [Value::NULL]);
}

/// [vm 95] [vm 108] Null and objects that are no lists.
#[test]
fn every_instruction_wants_a_list() {
    let run = operations();
    let token = Live::default().token();
    for holder in [Value::NULL, r(&token)] {
        let cases: [(&str, &[Value]); 9] = [
            ("size", &[]),
            ("reserve", &[i(1)]),
            ("resize", &[i(1)]),
            ("get", &[i(0)]),
            ("set", &[i(0), i(0)]),
            ("get_ref", &[i(0)]),
            ("take_ref", &[i(0)]),
            ("set_ref", &[i(0), Value::NULL]),
            ("move_ref", &[i(0), Value::NULL]),
        ];
        for (name, rest) in cases {
            let arguments: Vec<Value> = [holder.clone()].into_iter().chain(rest.iter().cloned()).collect();
            assert_eq!(code(run(name, &arguments)), Code::InvalidArgument, "{name}");
        }
    }
}

/// [vm 96]
#[test]
fn variant_slots_change_their_kind() {
    let run = operations();
    let live = Live::default();
    let token = live.token();
    let list = list(ElementType::Variant, 3);
    run("set", &[r(&list), i(0), i(5)]).expect("a value");
    run("set_ref", &[r(&list), i(1), r(&token)]).expect("a reference");
    assert_eq!(run("get", &[r(&list), i(0)]).expect("a value"), [i(5)]);
    assert_eq!(run("get_ref", &[r(&list), i(1)]).expect("a reference"), [r(&token)]);
    assert_eq!(code(run("get_ref", &[r(&list), i(0)])), Code::FailedPrecondition);
    assert_eq!(code(run("get", &[r(&list), i(1)])), Code::FailedPrecondition);
    run("set", &[r(&list), i(1), i(6)]).expect("replaced");
    assert_eq!(token.count(), 1);
    run("set_ref", &[r(&list), i(0), r(&token)]).expect("replaced");
    assert_eq!(run("get_ref", &[r(&list), i(0)]).expect("a reference"), [r(&token)]);
    run("set_ref", &[r(&list), i(0), Value::NULL]).expect("null is a reference");
    assert_eq!(run("get_ref", &[r(&list), i(0)]).expect("null"), [Value::NULL]);
    assert_eq!(token.count(), 1);
    let values = crate::lists::list(ElementType::Value(ValueType::F32), 1);
    assert_eq!(code(run("get_ref", &[r(&values), i(0)])), Code::FailedPrecondition);
    assert_eq!(code(run("set_ref", &[r(&values), i(0), Value::NULL])), Code::FailedPrecondition);
    assert_eq!(code(run("set", &[r(&token_list(1)), i(0), i(1)])), Code::FailedPrecondition);
}

/// [vm 96] Lists of lists, made by a program; several at once.
#[test]
fn lists_of_lists() {
    let text = "
        %i0 = vm.const.i32 2
        %i1 = vm.const.i32 1
        %i2 = vm.const.i32 77
        %r0 = vm.list.alloc %i0 : !vm.list<!vm.list<i32>>
        %r1 = vm.list.alloc %i0 : !vm.list<i32>
        %r2 = vm.list.alloc %i0 : !vm.list<i64>
        vm.list.resize %r0, %i0
        vm.list.resize %r1, %i0
        vm.list.resize %r2, %i1
        vm.list.set.i32 %r1, %i1, %i2
        vm.list.set.ref %r0, %i1, %R1
        %r3 = vm.list.get.ref %r0, %i1 : !vm.list<i32>
        %i3 = vm.list.get.i32 %r3, %i1
        %i4 = vm.list.size %r2
        vm.return %i3, %i4";
    assert_eq!(run("0v_ii", text, &[]).expect("run"), [i(77), i(1)]);
}

/// [vm 97] An object of another type reads as null, without an error, and stays.
#[test]
fn reading_another_type_gives_null() {
    let run = operations();
    let other = Ref::new(Arc::new(Other));
    let list = list(ElementType::Variant, 1);
    run("set_ref", &[r(&list), i(0), r(&other)]).expect("set");
    assert_eq!(run("get_ref", &[r(&list), i(0)]).expect("null"), [Value::NULL]);
    assert_eq!(run("take_ref", &[r(&list), i(0)]).expect("null"), [Value::NULL]);
    assert_eq!(run("get_any", &[r(&list), i(0)]).expect("any"), [r(&other)]);
}

/// [vm 98]
#[test]
fn typed_lists_refuse_other_types() {
    let run = operations();
    let live = Live::default();
    let (token, other) = (live.token(), Ref::new(Arc::new(Other)));
    let list = token_list(1);
    run("set_ref", &[r(&list), i(0), r(&token)]).expect("set");
    assert_eq!(code(run("set_ref", &[r(&list), i(0), r(&other)])), Code::InvalidArgument);
    assert_eq!(code(run("move_ref", &[r(&list), i(0), r(&other)])), Code::InvalidArgument);
    assert_eq!(run("get_ref", &[r(&list), i(0)]).expect("intact"), [r(&token)]);
    run("set_ref", &[r(&list), i(0), Value::NULL]).expect("null always fits");
    assert_eq!((token.count(), other.count()), (1, 1));
}

/// MOVE on the value consumes the register, MOVE on the result empties the slot.
#[test]
fn moves_in_and_out() {
    let run = operations();
    let live = Live::default();
    let token = live.token();
    let list = token_list(1);
    assert_eq!(run("move_ref", &[r(&list), i(0), r(&token)]).expect("moved in"), [i(0)]);
    assert_eq!(token.count(), 2);
    assert_eq!(run("take_ref", &[r(&list), i(0)]).expect("moved out"), [r(&token)]);
    assert_eq!(token.count(), 1);
    assert_eq!(run("get_ref", &[r(&list), i(0)]).expect("empty"), [Value::NULL]);
    // A list moved into itself: a cycle, broken here by taking it out again.
    let text = "
        vm.list.set.ref %r0, %i0, %R0
        %i1 = vm.cmp.nz.ref %r0
        vm.return %i1";
    let variant = crate::lists::list(ElementType::Variant, 1);
    assert_eq!(crate::support::run("0ri_i", text, &[r(&variant), i(0)]).expect("moved"), [i(0)]);
    assert_eq!(variant.count(), 2);
    variant.get::<List>().expect("a list").set(0, Value::Empty).expect("emptied");
    assert_eq!(variant.count(), 1);
}

/// [vm 99]
#[test]
fn sizes_and_capacities() {
    let run = operations();
    let (live, log) = (Live::default(), Log::default());
    let list = token_list(0);
    assert_eq!(run("size", &[r(&list)]).expect("size"), [i(0)]);
    run("resize", &[r(&list), i(3)]).expect("grown");
    for index in 0..3 {
        let token = live.logged(index.into(), &log);
        run("set_ref", &[r(&list), i(index), Value::Ref(Some(token))]).expect("set");
    }
    run("reserve", &[r(&list), i(100)]).expect("reserved");
    assert_eq!(run("size", &[r(&list)]).expect("size"), [i(3)]);
    assert_eq!(list.get::<List>().expect("a list").capacity(), 128);
    run("resize", &[r(&list), i(1)]).expect("cut");
    assert_eq!(log.take(), [1, 2], "the tail goes in index order");
    run("resize", &[r(&list), i(2)]).expect("grown");
    assert_eq!(run("get_ref", &[r(&list), i(1)]).expect("null"), [Value::NULL]);
    run("resize", &[r(&list), i(0)]).expect("emptied");
    assert_eq!((log.take(), live.count()), (vec![0], 0));

    let values = crate::lists::list(ElementType::Value(ValueType::I64), 0);
    let inner = values.get::<List>().expect("a list");
    for (wanted, capacity) in [(1, 64), (64, 64), (65, 128), (129, 256), (1000, 1024)] {
        run("reserve", &[r(&values), i(wanted)]).expect("reserved");
        assert_eq!(inner.capacity(), capacity, "{wanted}");
    }
    assert_eq!(code(inner.reserve(usize::MAX)), Code::OutOfRange);
    assert_eq!(code(inner.reserve(usize::MAX / 4)), Code::OutOfRange);
    assert_eq!(code(run("reserve", &[r(&values), i(-1)])), Code::ResourceExhausted);
}

/// [vm 101] A million deep, by the program's own hand and by the host's.
#[test]
fn deep_lists_die_without_recursion() {
    let text = "
        %i1 = vm.const.i32 1
        %i2 = vm.const.i32.zero
        vm.br ^more()
      ^more:
        %r1 = vm.list.alloc %i1 : !vm.list<!vm.opaque>
        vm.list.resize %r1, %i1
        vm.list.set.ref %r1, %i2, %R0
        vm.br ^next(%R1->%r0)
      ^next:
        %i0 = vm.sub.i32 %i0, %i1
        vm.cond_br %i0, ^more(), ^out()
      ^out:
        vm.return %R0";
    let live = Live::default();
    let deep = run("0ir_r", text, &[i(300_000), Value::Ref(Some(live.token()))]).expect("built");
    assert_eq!(live.count(), 1);
    drop(deep);
    assert_eq!(live.count(), 0);
}
