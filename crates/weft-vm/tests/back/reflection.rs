//! What modules say about their functions.

use crate::support::*;
use weft_vm::reflection::{attribute_at, find_attribute};
use weft_vm::{Linkage, Module};

fn described() -> Module {
    let instance = instance();
    let builder = module()
        .attribute("kind", "test")
        .import("a.b", "0v_v")
        .function("first", "0v_i", "%i0 = vm.const.i32 1 \n vm.return %i0")
        .internal_function("hidden", "0v_i", "%i0 = vm.const.i32 2 \n vm.return %i0")
        .function_attribute("", "keyless")
        .function_attribute("name", "one")
        .function_attribute("name", "two")
        .export("renamed", 1)
        .export("again", 0);
    load(&instance, builder)
}

/// [vm 24]
#[test]
fn exports_map_to_internal_ordinals() {
    let context = context(
        module()
            .internal_function("a", "0v_i", "%i0 = vm.const.i32 10 \n vm.return %i0")
            .internal_function("b", "0v_i", "%i0 = vm.const.i32 20 \n vm.return %i0")
            .internal_function("c", "0v_i", "%i0 = vm.const.i32 30 \n vm.return %i0")
            .export("z", 2)
            .export("x", 0)
            .export("y", 1),
    );
    for (name, ordinal, value) in [("z", 0, 30), ("x", 1, 10), ("y", 2, 20)] {
        assert_eq!(context.export("m", name).expect(name).call(&[]).expect("called"), [i(value)]);
        let by_ordinal = context.function_at("m", Linkage::Export, ordinal).expect("in range");
        assert_eq!(by_ordinal.call(&[]).expect("called"), [i(value)]);
    }
    let internal = context.function_at("m", Linkage::Internal, 1).expect("in range");
    assert_eq!(internal.call(&[]).expect("called"), [i(20)]);
}

/// [vm 49]
#[test]
fn attributes_by_index_and_key() {
    let module = described();
    assert_eq!(find_attribute(module.attributes(), "kind"), Some("test"));
    // Attributes are those of the function that the export maps to: `renamed` is export 1.
    let attributes = module.function_attributes(Linkage::Export, 1).expect("an export");
    assert_eq!(attribute_at(attributes, 1).expect("there"), ("name", "one"));
    assert_eq!(find_attribute(attributes, "name"), Some("one"), "the first match");
    assert_eq!(find_attribute(attributes, "missing"), None);
    assert_eq!(code(attribute_at(attributes, 3)), Code::OutOfRange);
    assert_eq!(code(attribute_at(attributes, 0)), Code::FailedPrecondition);
    assert!(module.function_attributes(Linkage::Export, 0).expect("an export").is_empty());
    assert_eq!(code(module.function_attributes(Linkage::Import, 0)), Code::InvalidArgument);
    assert_eq!(code(module.function_attributes(Linkage::Internal, 1)), Code::InvalidArgument);
}

/// [vm 50]
#[test]
fn lookups_by_name_and_ordinal() {
    let module = described();
    assert_eq!(module.find_export("again"), Some(2));
    assert_eq!(module.find_export("hidden"), None);
    for (linkage, count) in [(Linkage::Import, 1), (Linkage::Export, 3), (Linkage::Internal, 2)] {
        assert_eq!(module.function_count(linkage), count);
        assert_eq!(code(module.function_name(linkage, count as u32)), Code::InvalidArgument, "{linkage:?}");
        assert_eq!(code(module.function_ordinal(linkage, u32::MAX)), Code::InvalidArgument, "{linkage:?}");
    }
    let name = |linkage, ordinal| module.function_name(linkage, ordinal).expect("in range");
    assert_eq!(name(Linkage::Import, 0).as_deref(), Some("a.b"));
    assert_eq!(name(Linkage::Export, 1).as_deref(), Some("renamed"));
    // No debug data: an export names the function.
    assert_eq!(name(Linkage::Internal, 0).as_deref(), Some("first"));
    assert_eq!(code(module.function_ordinal(Linkage::Import, 0)), Code::InvalidArgument);
}

/// [vm 50]
#[test]
fn lookups_in_a_context() {
    let context = context(module().function("f", "0v_v", "vm.return"));
    assert!(context.function("m.f").is_ok());
    assert_eq!(code(context.function("m.g")), Code::NotFound);
    assert_eq!(code(context.function("x.f")), Code::NotFound);
    assert_eq!(code(context.function("f")), Code::InvalidArgument);
    assert_eq!(code(context.function("m.")), Code::InvalidArgument);
    assert_eq!(code(context.function_at("m", Linkage::Export, 1)), Code::InvalidArgument);
    assert_eq!(code(context.function_at("x", Linkage::Export, 0)), Code::NotFound);
}
