//! Source locations: when they are trusted, how they print, and that broken ones are only unknown.

mod front_support;

use front_support::{built, compiled};
use weft_vm::archive::definition::{DebugDef, LocationDef, SourceMapDef};
use weft_vm::debug_info::{DebugInfo, function_name};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::verify::verify;

fn file(line: i32) -> LocationDef {
    LocationDef::FileLineColumn { file: Some("a.mlir".into()), line, column: 7 }
}

fn map(name: &str, locations: &[(i32, i32)]) -> SourceMapDef {
    SourceMapDef { name: Some(name.into()), locations: locations.to_vec() }
}

/// Two functions; blocks of the first at 0 and 10, instructions at 1, 4 and 11.
fn module() -> ModuleBuilder {
    ModuleBuilder::new("m")
        .function(
            "first",
            "0v_v",
            "%i0 = vm.const.i32.zero\n vm.br ^b()\n^b:\n %i0 = vm.const.i32.zero\n vm.return",
        )
        .internal_function("second", "0v_v", "vm.return")
}

/// [vm 129] Compilers write one entry, at index 0, that belongs to the last function.
#[test]
fn an_incomplete_table_is_ignored() {
    let debug = DebugDef { locations: vec![file(1)], functions: vec![map("second", &[(1, 0)])] };
    let (bytes, archive) = built(module().debug(debug));
    let verified = verify(&archive, &bytes).unwrap();
    let debug = DebugInfo::open(&archive, &bytes).unwrap();
    assert_eq!(debug.location(0, verified.function_code(0).unwrap(), 1), None);
    assert_eq!(debug.function_name(0), None);
    assert_eq!(debug.raw_function_name(0).as_deref(), Some("second"));
    assert_eq!(function_name(&archive, &bytes, 0).as_deref(), Some("first"));
    assert_eq!(function_name(&archive, &bytes, 1), None);
    // As compiled.
    let (_, bytes) = compiled("tests/data/front").into_iter().find(|(name, _)| name == "scalars").unwrap();
    let archive = weft_vm::Archive::parse(&bytes).unwrap();
    let debug = DebugInfo::open(&archive, &bytes).unwrap();
    assert!(archive.functions.len() > 1);
    assert_eq!(debug.function_name(0), None);
    assert!(debug.raw_function_name(0).is_some_and(|name| name != archive.exports[0].local_name));
}

/// [vm 129] A complete table: exact matches, then the nearest lower entry of the same block.
#[test]
fn a_complete_table_is_used() {
    let functions = vec![map("first_in_debug", &[(1, 0), (4, 1), (14, 2)]), map("second_in_debug", &[])];
    let debug = DebugDef { locations: vec![file(1), file(2), file(3)], functions };
    let (bytes, archive) = built(module().debug(debug));
    let verified = verify(&archive, &bytes).unwrap();
    let code = verified.function_code(0).unwrap();
    let debug = DebugInfo::open(&archive, &bytes).unwrap();
    let line = |pc: u32| debug.location(0, code, pc);
    assert_eq!(line(1).as_deref(), Some("a.mlir:1:7"));
    assert_eq!(line(4).as_deref(), Some("a.mlir:2:7"));
    assert_eq!(line(3).as_deref(), Some("a.mlir:1:7"), "the nearest lower entry");
    assert_eq!(line(0), None, "nothing lower");
    let second_block = code.iter().rposition(|byte| *byte == 0x79).unwrap() as u32;
    assert_eq!(line(second_block + 1), None, "the nearest lower entry is in another block");
    assert_eq!(line(second_block + 4).as_deref(), Some("a.mlir:3:7"));
    assert_eq!(debug.location(1, &[], 1), None);
    assert_eq!(debug.location(2, &[], 1), None);
    assert_eq!(function_name(&archive, &bytes, 0).as_deref(), Some("first_in_debug"));
    assert_eq!(function_name(&archive, &bytes, 1).as_deref(), Some("second_in_debug"));
}

fn texts(locations: Vec<LocationDef>) -> Vec<String> {
    let count = locations.len() as i32;
    let (bytes, archive) = built(module().debug(DebugDef { locations, functions: Vec::new() }));
    let debug = DebugInfo::open(&archive, &bytes).unwrap();
    (0..count).map(|index| debug.location_text(index)).collect()
}

/// [vm 129]
#[test]
fn every_kind_of_location_prints() {
    let name = |name: &str, child| LocationDef::Name { name: Some(name.into()), child };
    let texts = texts(vec![
        LocationDef::None,
        file(12),
        LocationDef::CallSite { callee: 1, caller: 3 },
        name("label", None),
        name("labelled", Some(1)),
        LocationDef::Fused { metadata: None, locations: vec![1, 3] },
        LocationDef::Fused { metadata: Some("why".into()), locations: vec![1] },
        LocationDef::Fused { metadata: None, locations: vec![] },
        LocationDef::FileLineColumn { file: None, line: 0, column: 0 },
        LocationDef::Unknown(200),
    ]);
    let expected = [
        "[unknown]",
        "a.mlir:12:7",
        "a.mlir:12:7\n      at \"label\"",
        "\"label\"",
        "\"labelled\"(a.mlir:12:7)",
        "[\n    a.mlir:12:7,\n    \"label\"\n  ]",
        "<why>[\n    a.mlir:12:7\n  ]",
        "[\n\n  ]",
        ":0:0",
        "[unknown]",
    ];
    assert_eq!(texts, expected);
}

/// [vm 129]
#[test]
fn cycles_and_bad_indices_end() {
    let texts = texts(vec![
        LocationDef::CallSite { callee: 0, caller: 0 },
        LocationDef::Name { name: Some("n".into()), child: Some(2) },
        LocationDef::Fused { metadata: None, locations: vec![1; 4] },
        LocationDef::CallSite { callee: -1, caller: 99 },
        LocationDef::Name { name: None, child: Some(i32::MIN) },
    ]);
    for text in &texts {
        assert!(text.contains("[unknown]") && text.len() < 1 << 20, "{} bytes", text.len());
    }
    assert_eq!(texts[3], "[unknown]\n      at [unknown]");
    assert_eq!(texts[4], "\"\"([unknown])");
}

/// [vm 129] Tables whose tags and values differ in number are not there.
#[test]
fn an_inconsistent_table_is_unknown() {
    let debug =
        DebugDef { locations: vec![file(1), file(2)], functions: vec![map("a", &[(1, 0)]), map("b", &[])] };
    let (bytes, archive) = built(module().debug(debug));
    // The tags are a vector of two bytes of value 2.
    let tags = bytes.windows(6).position(|window| window == [2, 0, 0, 0, 2, 2]).unwrap();
    let mut broken = bytes.clone();
    broken[tags] = 1;
    assert_eq!(DebugInfo::open(&archive, &broken).unwrap().location_text(0), "[unknown]");
    let mut broken = bytes;
    broken[tags..tags + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let debug = DebugInfo::open(&archive, &broken).unwrap();
    assert_eq!(debug.location_text(0), "[unknown]");
    assert_eq!(debug.function_name(0).as_deref(), Some("a"));
}
