//! Imports, dependencies, static and dynamic contexts.

use std::sync::Arc;

use crate::support::*;
use weft_vm::native::NativeModule;
use weft_vm::{Context, Instance, Module};

/// A native module with one function `f` that gives a number.
fn giver(name: &str, version: u32, number: i32) -> Module {
    let builder = NativeModule::builder(name, version, |_| Ok(()));
    builder.export("f", move |_: &(), (): ()| Ok(number)).build().expect("built").into()
}

/// A module that calls `a.f`.
fn caller() -> weft_vm::module_builder::ModuleBuilder {
    module().import("a.f", "0v_i").function("f", "0v_i", "%i0 = vm.call @a.f() \n vm.return %i0")
}

/// [vm 34]
#[test]
fn the_newest_module_of_a_name_provides() {
    let context = context_of(vec![giver("a", 0, 1), giver("a", 0, 2)], caller());
    assert_eq!(context.function("m.f").expect("f").call(&[]).expect("called"), [i(2)]);
    assert_eq!(context.function("a.f").expect("f").call(&[]).expect("called"), [i(2)]);
}

/// [vm 34] The first module whose name matches decides, whether it has the function or not.
#[test]
fn an_older_module_does_not_help_out() {
    let empty = NativeModule::builder("a", 0, |_| Ok(())).build().expect("built");
    let instance = instance();
    let modules = vec![giver("a", 0, 1), empty.into(), load(&instance, caller())];
    assert_eq!(code(Context::new(&instance, modules)), Code::NotFound);
}

/// [vm 34] From itself, and from later modules, nothing can be imported.
#[test]
fn imports_look_backwards_only() {
    let instance = instance();
    let itself = module().import("m.g", "0v_v").function("g", "0v_v", "vm.return");
    assert_eq!(code(Context::new(&instance, vec![load(&instance, itself)])), Code::NotFound);
    let forward = vec![load(&instance, caller()), giver("a", 0, 1)];
    assert_eq!(code(Context::new(&instance, forward)), Code::NotFound);
}

/// [vm 35]
#[test]
fn required_imports_must_be_there() {
    let instance = instance();
    let status = Context::new(&instance, vec![load(&instance, caller())]).expect_err("no module");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("a.f"), "{status}");
    let other = NativeModule::builder("a", 0, |_| Ok(())).export("g", |_: &(), (): ()| Ok(())).build();
    let modules = vec![other.expect("built").into(), load(&instance, caller())];
    let status = Context::new(&instance, modules).expect_err("no function");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("a.f"), "{status}");
}

/// [vm 35] [vm 36]
#[test]
fn optional_imports_may_be_missing() {
    let builder = || {
        module()
            .optional_import("a.f", "0v_i")
            .function("there", "0v_i", "%i0 = vm.import.resolved @a.f \n vm.return %i0")
            .function("call", "0v_i", "%i0 = vm.call @a.f() \n vm.return %i0")
    };
    let without = context(builder());
    assert_eq!(without.function("m.there").expect("there").call(&[]).expect("asked"), [i(0)]);
    let status = without.function("m.call").expect("call").call(&[]).expect_err("not there");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("`a.f`"), "{status}");
    let no_function = NativeModule::builder("a", 0, |_| Ok(())).build().expect("built");
    let without_function = context_of(vec![no_function.into()], builder());
    assert_eq!(without_function.function("m.there").expect("there").call(&[]).expect("asked"), [i(0)]);
    let with = context_of(vec![giver("a", 0, 4)], builder());
    assert_eq!(with.function("m.there").expect("there").call(&[]).expect("asked"), [i(1)]);
    assert_eq!(with.function("m.call").expect("call").call(&[]).expect("called"), [i(4)]);
}

/// [vm 37]
#[test]
fn signatures_must_agree_to_the_letter() {
    let instance = instance();
    let wrong =
        module().import("a.f", "0i_i").function("f", "0i_i", "%i0 = vm.call @a.f(%i0) \n vm.return %i0");
    let status =
        Context::new(&instance, vec![giver("a", 0, 1), load(&instance, wrong)]).expect_err("mismatch");
    assert_eq!(status.code(), Code::Internal);
    for part in ["a.f", "between m", "source a", "0i_i", "0v_i"] {
        assert!(status.message().contains(part), "`{part}` in {status}");
    }
}

/// [vm 37] Without a declared signature the provider's governs, and the call sites are checked against it.
#[test]
fn undeclared_signatures_are_the_providers() {
    let text = "%i0 = vm.call @a.f() \n vm.return %i0";
    let fits = module().unsigned_import("a.f").function("f", "0v_i", text);
    let context = context_of(vec![giver("a", 0, 9)], fits);
    assert_eq!(context.function("m.f").expect("f").call(&[]).expect("called"), [i(9)]);
    let instance = instance();
    let unfit =
        module().unsigned_import("a.f").function("f", "0v_i", "%i0 = vm.call @a.f(%i0) \n vm.return %i0");
    let modules = vec![giver("a", 0, 9), load(&instance, unfit)];
    assert_eq!(code(Context::new(&instance, modules)), Code::InvalidArgument);
}

/// [vm 38]
#[test]
fn import_names_split_at_the_first_dot() {
    let builder = NativeModule::builder("a", 0, |_| Ok(()));
    let dotted: Module =
        builder.export("ex.file.open", |_: &(), (): ()| Ok(8_i32)).build().expect("built").into();
    let text = "%i0 = vm.call @a.ex.file.open() \n vm.return %i0";
    let context =
        context_of(vec![dotted], module().import("a.ex.file.open", "0v_i").function("f", "0v_i", text));
    assert_eq!(context.function("m.f").expect("f").call(&[]).expect("called"), [i(8)]);
    let instance = instance();
    let modules = vec![load(&instance, module().import("nodot", "0v_v"))];
    assert_eq!(code(Context::new(&instance, modules)), Code::InvalidArgument);
}

/// [vm 39]
#[test]
fn dependencies() {
    let instance = instance();
    let make = |modules: Vec<Module>, builder| {
        let mut modules = modules;
        modules.push(load(&instance, builder));
        Context::new(&instance, modules)
    };
    let required = || module().dependency("a", 3);
    make(vec![giver("a", 3, 0)], required()).expect("version reached");
    make(vec![giver("a", 4, 0)], required()).expect("version passed");
    let status = make(vec![giver("a", 2, 0)], required()).expect_err("too low");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("have 2 but require 3"), "{status}");
    assert_eq!(code(make(vec![], required())), Code::NotFound);
    let optional = || module().optional_dependency("a", 3);
    make(vec![], optional()).expect("absence is tolerated");
    make(vec![giver("a", 2, 0)], optional()).expect("any version is tolerated");
}

/// [vm 44]
#[test]
fn only_dynamic_contexts_grow() {
    let instance = instance();
    let fixed = Context::new(&instance, vec![giver("a", 0, 1)]).expect("made");
    assert_eq!(code(fixed.register(giver("b", 0, 2))), Code::FailedPrecondition);

    let set = "vm.global.store.i32 %i0, .rwdata[0] \n vm.return";
    let get = "%i0 = vm.global.load.i32 .rwdata[0] \n vm.return %i0";
    let first = || module().global_bytes(4).function("set", "0i_v", set).function("get", "0v_i", get);
    let growing = Context::dynamic(&instance, vec![load(&instance, first())]).expect("made");
    growing.function("m.set").expect("set").call(&[i(5)]).expect("stored");
    let get = growing.function("m.get").expect("get");
    growing.register(giver("a", 0, 6)).expect("registered");
    growing.register(load(&instance, caller())).expect("registered");
    assert_eq!(get.call(&[]).expect("the state is where it was"), [i(5)]);
    assert_eq!(growing.function("m.f").expect("f").call(&[]).expect("linked to the newcomer"), [i(6)]);
    assert_eq!(growing.module_list().len(), 3);
    // A failed registration changes nothing.
    assert_eq!(code(growing.register(load(&instance, module().import("z.z", "0v_v")))), Code::NotFound);
    assert_eq!(growing.module_list().len(), 3);
}

/// [vm 51]
#[test]
fn state_of_a_module_that_is_not_there() {
    let instance = Instance::new();
    let counter = |start: i32| -> Module {
        let builder = NativeModule::builder("counter", 0, move |_| Ok(start));
        builder.export("get", |state: &i32, (): ()| Ok(*state)).build().expect("built").into()
    };
    let (inside, outside) = (counter(5), counter(6));
    let context: Arc<Context> = Context::new(&instance, vec![inside.clone()]).expect("made");
    assert_eq!(context.with_native_state(&inside, |state: &i32| *state).expect("there"), 5);
    assert_eq!(code(context.with_native_state(&outside, |state: &i32| *state)), Code::NotFound);
    assert_eq!(code(context.with_native_state(&inside, |state: &u8| *state)), Code::InvalidArgument);
}

/// [vm 56] Calls through three modules of bytecode, and back into a failing host function.
#[test]
fn calls_cross_modules() {
    let instance = instance();
    let low = weft_vm::module_builder::ModuleBuilder::new("low")
        .import("host.fail", "0i_v")
        .import("host.id32", "0i_i")
        .function(
            "double",
            "0iI_Ii",
            "%i1 = vm.call @host.id32(%i0) \n %i1 = vm.add.i32 %i1, %i1 \n vm.return %i2:3, %i1",
        )
        .function("break", "0i_v", "vm.call @host.fail(%i0) \n vm.return");
    let mid = weft_vm::module_builder::ModuleBuilder::new("mid")
        .import("low.double", "0iI_Ii")
        .import("low.break", "0i_v")
        .function("twice", "0iI_Ii", "%i2:3, %i0 = vm.call @low.double(%i0, %i2:3) \n %i2:3, %i0 = vm.call @low.double(%i0, %i2:3) \n vm.return %i2:3, %i0")
        .function("break", "0i_v", "vm.call @low.break(%i0) \n vm.return");
    let top = module()
        .import("mid.twice", "0iI_Ii")
        .import("mid.break", "0i_v")
        .function("f", "0iI_Ii", "%i2:3, %i0 = vm.call @mid.twice(%i0, %i2:3) \n vm.return %i2:3, %i0")
        .function("g", "0i_v", "vm.call @mid.break(%i0) \n vm.return");
    let mut modules = vec![host(&Live::default(), &Log::default())];
    modules.extend([low, mid, top].map(|builder| load(&instance, builder)));
    let context = Context::new(&instance, modules).expect("made");
    let results = context.function("m.f").expect("f").call(&[i(5), l(1 << 50)]).expect("called");
    assert_eq!(results, [l(1 << 50), i(20)]);
    let status = context.function("m.g").expect("g").call(&[i(14)]).expect_err("fails");
    assert_eq!((status.code(), &*status.message()), (Code::Unavailable, "host fails with 14"));
    let trail = status.to_string();
    for part in ["host.fail", "low.break", "mid.break", "m.g", "while calling import"] {
        assert!(trail.contains(part), "`{part}` in {trail}");
    }
}
