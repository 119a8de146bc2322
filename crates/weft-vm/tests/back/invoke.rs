//! Calls by the host: arguments, results, errors, nesting.

use std::sync::{Arc, Mutex};

use crate::support::*;
use weft_vm::native::{NativeModule, Object, Span};
use weft_vm::{Buffer, Context, Function, Module, Ref, Value};

/// [vm 32] Mixed widths in several orders arrive exactly, from the host and from bytecode.
#[test]
fn native_functions_receive_exact_values() {
    let module: Module = NativeModule::builder("n", 0, |_| Ok(()))
        .export("a", |_: &(), (a, b, c, d, e): (i32, i64, Ref, f32, f64)| Ok((e, d, c, b, a)))
        .export("b", |_: &(), (a, b, c, d, e): (f64, i32, Option<Ref>, i64, f32)| Ok((a, b, c, d, e)))
        .export("c", |_: &(), (a, b, c): (u32, u64, bool32::Bits)| Ok((a, b, c.0)))
        .build()
        .expect("built")
        .into();
    let live = Live::default();
    let token = live.token();
    let Module::Native(native) = &module else { unreachable!("made so") };
    let signatures = ["a", "b", "c"].map(|name| native.export_signature(name).expect("exported").text());
    assert_eq!(signatures, ["0iIrfF_FfrIi", "0FirIf_FirIf", "0iIi_iIi"]);
    let caller = crate::support::module()
        .import("n.a", "0iIrfF_FfrIi")
        .import("n.b", "0FirIf_FirIf")
        .function("a", "0iIrfF_FfrIi", "%i8:9, %i10, %r1, %i12:13, %i14 = vm.call @n.a(%i0, %i2:3, %r0, %i4, %i6:7) \n vm.return %i8:9, %i10, %r1, %i12:13, %i14")
        .function("b", "0FirIf_FirIf", "%i8:9, %i10, %r1, %i12:13, %i14 = vm.call @n.b(%i0:1, %i2, %R0, %i4:5, %i6) \n vm.return %i8:9, %i10, %r1, %i12:13, %i14");
    let context = context_of(vec![module.clone()], caller);
    for place in ["n", "m"] {
        let function = |name: &str| context.export(place, name).expect("exported");
        let results = function("a").call(&[i(-3), l(-1 << 40), r(&token), f(1.5), d(-0.1)]).expect("called");
        assert_eq!(results, [d(-0.1), f(1.5), r(&token), l(-1 << 40), i(-3)]);
        let arguments = [d(1e300), i(7), Value::NULL, l(i64::MIN), f(-2.5)];
        assert_eq!(function("b").call(&arguments).expect("called"), arguments);
    }
    assert_eq!(token.count(), 1);
}

/// A host type of its own as an argument.
mod bool32 {
    use weft_sync::Result;
    use weft_vm::native::{Argument, Operands};

    pub struct Bits(pub i32);

    impl Argument for Bits {
        type At<'a> = Bits;
        const VALUES: usize = 1;

        fn describe(letters: &mut String) {
            i32::describe(letters);
        }

        fn read<'a>(operands: &mut Operands<'a>) -> Result<Bits> {
            Ok(Bits(i32::read(operands)?))
        }
    }
}

/// [vm 52]
#[test]
fn any_number_of_values_passes_through() {
    for count in [0, 1, 8, 600] {
        let registers: Vec<String> = (0..count).map(|index| format!("%i{index}")).collect();
        let letters = if count == 0 { "v".to_owned() } else { "i".repeat(count) };
        let function =
            function(&format!("0{letters}_{letters}"), &format!("vm.return {}", registers.join(", ")));
        let arguments: Vec<Value> = (0..count as i32).map(|index| i(index * 7 - 3)).collect();
        assert_eq!(function.call(&arguments).expect("passed"), arguments);
    }
}

/// [vm 53]
#[test]
fn arguments_are_checked_before_anything_runs() {
    let live = Live::default();
    let token = live.token();
    let function = function("0iIfFr_iIfFr", "vm.return %i0, %i2:3, %i4, %i6:7, %r0");
    let status = function.call(&[]).expect_err("missing");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("expected 5") && status.message().contains("found 0"), "{status}");
    let six = [i(1), l(1), f(1.0), d(1.0), Value::NULL, i(1)];
    assert_eq!(code(function.call(&six)), Code::InvalidArgument);
    let wrong = [i(1), Value::NULL, f(1.0), d(1.0), Value::NULL];
    let status = function.call(&wrong).expect_err("wrong kind");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("argument 1"), "{status}");
    assert_eq!(code(function.call(&[i(1), l(1), f(1.0), d(1.0), i(5)])), Code::FailedPrecondition);
    // Widths are converted, integers and floats are not.
    let converted = function.call(&[l((1 << 40) + 5), i(-2), d(0.5), f(0.25), r(&token)]).expect("converted");
    assert_eq!(converted, [i(5), l(-2), f(0.5), d(0.25), r(&token)]);
    let zeroed = function.call(&[f(3.0), d(3.0), i(3), l(3), Value::Empty]).expect("converted");
    assert_eq!(zeroed, [i(0), l(0), f(0.0), d(0.0), Value::NULL]);
}

/// [vm 54]
#[test]
fn results_replace_those_of_the_call_before() {
    let live = Live::default();
    let token = live.token();
    let pass = function("0r_r", "vm.return %r0");
    let mut results = vec![i(1), r(&token), r(&token)];
    pass.invoke(&[Value::NULL], &mut results).expect("passed");
    assert_eq!(results, [Value::NULL]);
    assert_eq!(token.count(), 1);
    pass.invoke(&[r(&token)], &mut results).expect("passed");
    assert_eq!(results, [r(&token)]);
}

/// [vm 55]
#[test]
fn errors_leave_arguments_alone() {
    let live = Live::default();
    let token = live.token();
    let text = "
        %r1 = vm.assign.ref %R0
        %r2 = vm.assign.ref %r1
        %i0 = vm.const.i32 3
        vm.fail %i0, \"late\"";
    let arguments = [r(&token)];
    assert_eq!(code(run("0r_v", text, &arguments)), Code::InvalidArgument);
    assert_eq!(arguments, [r(&token)]);
    assert_eq!(token.count(), 2);
}

/// [vm 53] [vm 92] Objects are checked by the native function's types; the error names both.
#[test]
fn native_arguments_are_typed() {
    let module: Module = NativeModule::builder("n", 0, |_| Ok(()))
        .export("length", |_: &(), buffer: &Buffer| Ok(buffer.len() as i64))
        .export("number", |_: &(), token: Option<Object<'_, Token>>| {
            Ok(token.map_or(-1, |token| token.number))
        })
        .export("keep", |_: &(), token: Arc<Token>| Ok(token))
        .build()
        .expect("built")
        .into();
    let instance = instance();
    let context = Context::new(&instance, vec![module]).expect("made");
    let function = |name: &str| context.export("n", name).expect("exported");
    let live = Live::default();
    let token = live.numbered(6);
    assert_eq!(function("number").call(&[r(&token)]).expect("called"), [l(6)]);
    assert_eq!(function("number").call(&[Value::NULL]).expect("called"), [l(-1)]);
    assert_eq!(function("keep").call(&[r(&token)]).expect("called"), [r(&token)]);
    let status = function("length").call(&[r(&token)]).expect_err("no buffer");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("vm.buffer") && status.message().contains("test.token"), "{status}");
    let status = function("length").call(&[Value::NULL]).expect_err("null");
    assert!(status.code() == Code::InvalidArgument && status.message().contains("null"), "{status}");
    assert_eq!(token.count(), 1);
}

/// [vm 33] Spans count tuples, also none; scalars around them keep their places.
#[test]
fn spans_reach_native_functions() {
    type Pairs<'a> = Span<'a, (i32, i64)>;
    let module: Module = NativeModule::builder("n", 0, |_| Ok(()))
        .export(
            "sum",
            |_: &(), (base, pairs, tokens, last): (i64, Pairs<'_>, Span<'_, Option<&Token>>, i32)| {
                let mut sum = base * i64::from(last);
                for pair in pairs.iter() {
                    let (a, b) = pair?;
                    sum += i64::from(a) * b;
                }
                for token in tokens.iter() {
                    sum += token?.map_or(1_000_000, |token| token.number);
                }
                Ok((sum, pairs.len() as i32, tokens.len() as i32))
            },
        )
        .build()
        .expect("built")
        .into();
    let cconv = "0ICiIDCrDi_Iii";
    let text = |segments: &str, operands: &str| {
        format!(
            "%i12:13, %i14, %i15 = vm.call.variadic @n.sum segments[65535, {segments}, 65535](%i0:1, {operands}%i2)
             vm.return %i12:13, %i14, %i15"
        )
    };
    let builder = module_with(cconv).function("none", "0Ii_Iii", &text("0, 0", "")).function(
        "two",
        "0IiiIr_Iii",
        &text("2, 3", "%i3, %i4:5, %i3, %i4:5, %r0, %r1, %R0, "),
    );
    let context = context_of(vec![module], builder);
    let none = context.function("m.none").expect("none").call(&[l(5), i(3)]).expect("called");
    assert_eq!(none, [l(15), i(0), i(0)]);
    let live = Live::default();
    let token = live.numbered(100);
    let arguments = [l(5), i(3), i(2), l(1 << 40), r(&token)];
    let two = context.function("m.two").expect("two").call(&arguments).expect("called");
    assert_eq!(two, [l(15 + 2 * 2 * (1 << 40) + 200 + 1_000_000), i(2), i(3)]);
    // The host cannot call spans itself.
    assert_eq!(code(context.function("n.sum")), Code::InvalidArgument);
}

fn module_with(cconv: &str) -> weft_vm::module_builder::ModuleBuilder {
    crate::support::module().import("n.sum", cconv)
}

/// [vm 56] An import may invoke on another context; on its own it gets an error, not a deadlock.
#[test]
fn imports_may_invoke_elsewhere() {
    let elsewhere = function("0i_i", "%i1 = vm.add.i32 %i0, %i0 \n vm.return %i1");
    let own: Arc<Mutex<Option<Function>>> = Arc::default();
    let (inner, same) = (elsewhere.clone(), own.clone());
    let module: Module = NativeModule::builder("n", 0, |_| Ok(()))
        .export("elsewhere", move |_: &(), value: i32| match &inner.call(&[i(value)])?[..] {
            [Value::I32(doubled)] => Ok(doubled + 1),
            other => panic!("{other:?}"),
        })
        .export("here", move |_: &(), (): ()| {
            let own = same.lock().expect("lock").clone();
            own.expect("set").call(&[]).map(|_| ())
        })
        .build()
        .expect("built")
        .into();
    let builder = crate::support::module()
        .import("n.elsewhere", "0i_i")
        .import("n.here", "0v_v")
        .function("f", "0i_i", "%i0 = vm.call @n.elsewhere(%i0) \n vm.return %i0")
        .function("g", "0v_v", "vm.call @n.here() \n vm.return")
        .function("h", "0v_v", "vm.return");
    let context = context_of(vec![module], builder);
    *own.lock().expect("lock") = Some(context.function("m.h").expect("h"));
    assert_eq!(context.function("m.f").expect("f").call(&[i(20)]).expect("nested"), [i(41)]);
    assert_eq!(code(context.function("m.g").expect("g").call(&[])), Code::FailedPrecondition);
    context.function("m.h").expect("h").call(&[]).expect("the context is free again");
    // The module holds a function of its own context: a circle until it is broken.
    own.lock().expect("lock").take();
}

/// [vm 88] Operands of one call that name a register twice both see its value, whichever carries MOVE.
#[test]
fn operands_are_read_before_they_are_moved() {
    let live = Live::default();
    let token = live.token();
    for operands in ["%R0, %r0", "%r0, %R0", "%R0, %R0"] {
        let builder = crate::support::module()
            .import("host.same", "0rr_i")
            .internal_function("both", "0rr_rr", "vm.return %R0, %R1")
            .internal_function("twice", "0r_rr", "vm.return %R0, %R0")
            .function("native", "0r_ii", &format!("%i0 = vm.call @host.same({operands}) \n %i1 = vm.cmp.nz.ref %r0 \n vm.return %i0, %i1"))
            .function("internal", "0r_rri", &format!("%r1, %r2 = vm.call @m.both({operands}) \n %i1 = vm.cmp.nz.ref %r0 \n vm.return %R1, %R2, %i1"))
            .function("returned", "0r_rr", "%r0, %r1 = vm.call @m.twice(%R0) \n vm.return %R0, %R1")
            .function("out", "0r_rr", "vm.return %R0, %R0");
        let context = context_of(vec![host(&live, &Log::default())], builder);
        let call =
            |name: &str| context.export("m", name).expect("exported").call(&[r(&token)]).expect("called");
        assert_eq!(call("native"), [i(1), i(0)], "{operands}");
        assert_eq!(call("internal"), [r(&token), r(&token), i(0)], "{operands}");
        assert_eq!(call("returned"), [r(&token), r(&token)]);
        assert_eq!(call("out"), [r(&token), r(&token)]);
    }
    assert_eq!(token.count(), 1);
}
