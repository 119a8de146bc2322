//! Value globals and ref globals.

use std::sync::Arc;

use crate::support::*;
use weft_vm::isa::Kind;
use weft_vm::{Ref, Value};

/// [vm 46]
#[test]
fn values_start_as_zero_and_keep_what_is_stored() {
    let store = "
        vm.global.store.i32 %i0, .rwdata[@a]
        vm.global.store.i64 %i2:3, .rwdata[@b]
        vm.global.store.f32 %i4, .rwdata[@c]
        vm.global.store.f64 %i6:7, .rwdata[@d]
        vm.return";
    let load = "
        %i0 = vm.global.load.i32 .rwdata[@a]
        %i2:3 = vm.global.load.i64 .rwdata[@b]
        %i4 = vm.global.load.f32 .rwdata[@c]
        %i6:7 = vm.global.load.f64 .rwdata[@d]
        vm.return %i0, %i2:3, %i4, %i6:7";
    let context = context(
        module()
            .global("a", Kind::I32)
            .global("b", Kind::I64)
            .global("c", Kind::F32)
            .global("d", Kind::F64)
            .function("store", "0iIfF_v", store)
            .function("load", "0v_iIfF", load),
    );
    let (load, store) =
        (context.function("m.load").expect("load"), context.function("m.store").expect("store"));
    assert_eq!(load.call(&[]).expect("loaded"), [i(0), l(0), f(0.0), d(0.0)]);
    let values = [i(-7), l(1 << 40), f(1.5), d(-2.25)];
    store.call(&values).expect("stored");
    assert_eq!(load.call(&[]).expect("loaded"), values);
    assert!(store.is_exclusive() && !load.is_exclusive());
}

/// [vm 46]
#[test]
fn init_assigns_first_values() {
    let init = "%i0 = vm.const.i32 42 \n vm.global.store.i32 %i0, .rwdata[0] \n vm.return";
    let get = "%i0 = vm.global.load.i32 .rwdata[0] \n vm.return %i0";
    let module = module().global_bytes(4).function("__init", "0v_v", init).function("get", "0v_i", get);
    assert_eq!(context(module).function("m.get").expect("get").call(&[]).expect("loaded"), [i(42)]);
}

/// Offsets need no alignment.
#[test]
fn offsets_may_be_odd() {
    let text = "
        vm.global.store.i64 %i0:1, .rwdata[3]
        %i2:3 = vm.global.load.i64 .rwdata[3]
        %i4 = vm.global.load.i32 .rwdata[5]
        vm.return %i2:3, %i4";
    let context = context(module().global_bytes(11).function("f", "0I_Ii", text));
    let results = context.function("m.f").expect("f").call(&[l(0x0807_0605_0403_0201)]).expect("run");
    assert_eq!(results, [l(0x0807_0605_0403_0201), i(0x0605_0403)]);
}

/// [vm 47]
#[test]
fn references_in_globals() {
    let live = Live::default();
    let context = context(
        module()
            .global_refs(2)
            .function("put", "0r_v", "vm.global.store.ref %R0, .refs[1] : !test.token \n vm.return")
            .function("get", "0v_r", "%r0 = vm.global.load.ref .refs[1] : !test.token \n vm.return %r0")
            .function("take", "0v_r", "%R0 = vm.global.load.ref .refs[1] : !test.token \n vm.return %r0")
            .function("wrong", "0v_r", "%r0 = vm.global.load.ref .refs[1] : !test.other \n vm.return %r0")
            .function("any", "0v_r", "%r0 = vm.global.load.ref .refs[1] : !vm.opaque \n vm.return %r0"),
    );
    let function = |name: &str| context.export("m", name).expect("exported");
    assert_eq!(function("get").call(&[]).expect("null"), [Value::NULL]);
    let (a, b) = (live.numbered(1), live.numbered(2));
    function("put").call(&[r(&a)]).expect("stored");
    assert_eq!(a.count(), 2);
    assert_eq!(function("get").call(&[]).expect("loaded"), [r(&a)]);
    assert_eq!(function("any").call(&[]).expect("loaded"), [r(&a)]);
    assert_eq!(code(function("wrong").call(&[])), Code::InvalidArgument);
    let other = Ref::new(Arc::new(Other));
    assert_eq!(code(function("put").call(&[r(&other)])), Code::InvalidArgument);
    assert_eq!(function("get").call(&[]).expect("unchanged"), [r(&a)]);
    function("put").call(&[r(&b)]).expect("replaced");
    assert_eq!((a.count(), b.count()), (1, 2));
    assert_eq!(function("take").call(&[]).expect("taken"), [r(&b)]);
    assert_eq!(function("get").call(&[]).expect("gone"), [Value::NULL]);
    assert_eq!(b.count(), 1);
    assert!(function("take").is_exclusive() && !function("get").is_exclusive());
}

/// [vm 48]
#[test]
fn indirect_globals_are_checked_when_they_run() {
    // mnemonic letter, cconv letter, registers of offset and value, width.
    for (kind, letter, value, width) in
        [("i32", 'i', "%i2", 4), ("i64", 'I', "%i2:3", 8), ("f32", 'f', "%i2", 4), ("f64", 'F', "%i2:3", 8)]
    {
        let load = format!("{value} = vm.global.load.indirect.{kind} .rwdata[%i0] \n vm.return {value}");
        let store = format!(
            "vm.br ^go(%i1->%i2) \n ^go: \n vm.global.store.indirect.{kind} {value}, .rwdata[%i0] \n vm.return"
        );
        let store = if width == 8 { store.replace("(%i1->%i2)", "()") } else { store };
        let context =
            context(module().global_bytes(20).function("load", &format!("0i_{letter}"), &load).function(
                "store",
                &format!("0i{letter}_v"),
                &store,
            ));
        let (load, store) =
            (context.function("m.load").expect("load"), context.function("m.store").expect("store"));
        let sample = match letter {
            'i' => i(77),
            'I' => l(77 << 33),
            'f' => f(7.5),
            _ => d(7.25),
        };
        for offset in [0, 1, 20 - width] {
            store.call(&[i(offset), sample.clone()]).expect("inside");
            assert_eq!(
                load.call(&[i(offset)]).expect("inside"),
                std::slice::from_ref(&sample),
                "{kind} {offset}"
            );
        }
        for offset in [20 - width + 1, 20, -1, i32::MIN] {
            assert_eq!(code(load.call(&[i(offset)])), Code::OutOfRange, "{kind} {offset}");
            assert_eq!(code(store.call(&[i(offset), sample.clone()])), Code::OutOfRange, "{kind} {offset}");
        }
    }
}

/// [vm 48]
#[test]
fn indirect_reference_globals() {
    let live = Live::default();
    let a = live.token();
    let context = context(
        module()
            .global_refs(2)
            .function(
                "put",
                "0ir_v",
                "vm.global.store.indirect.ref %r0, .refs[%i0] : !test.token \n vm.return",
            )
            .function(
                "get",
                "0i_r",
                "%r0 = vm.global.load.indirect.ref .refs[%i0] : !test.token \n vm.return %r0",
            ),
    );
    let (get, put) = (context.function("m.get").expect("get"), context.function("m.put").expect("put"));
    put.call(&[i(1), r(&a)]).expect("stored");
    assert_eq!(get.call(&[i(1)]).expect("loaded"), [r(&a)]);
    assert_eq!(get.call(&[i(0)]).expect("null"), [Value::NULL]);
    for ordinal in [2, -1] {
        assert_eq!(code(get.call(&[i(ordinal)])), Code::OutOfRange);
        assert_eq!(code(put.call(&[i(ordinal), r(&a)])), Code::OutOfRange);
    }
    drop((context, get, put));
    assert_eq!(a.count(), 1);
}
