//! Load validation: each rule about a module's tables, broken by itself.

mod front_support;

use front_support::{everything, written};
use weft_sync::Code;
use weft_vm::Archive;
use weft_vm::archive::definition::{ModuleDef, RodataDef, SignatureDef, StateDef};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::type_table::{TypeSpelling, ValueType};
use weft_vm::verify::verify;

type Module = ModuleDef<Vec<u8>>;

/// What reading says about [`everything`] after a change.
fn after(change: impl FnOnce(&mut Module)) -> Result<Archive, (Code, String)> {
    let bytes = written(&everything(), change);
    Archive::parse(&bytes).map_err(|status| (status.code(), status.to_string()))
}

#[track_caller]
fn refused(code: Code, words: &[&str], change: impl FnOnce(&mut Module)) {
    let (found, message) = after(change).unwrap_err();
    assert_eq!(found, code, "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in `{message}`");
    }
}

const INVALID: Code = Code::InvalidArgument;

/// [vm 19] Name, requirements, types, dependencies, imports, exports.
#[test]
fn names_and_ordinals() {
    after(|_| {}).unwrap();
    refused(INVALID, &["name is missing"], |module| module.name = None);
    refused(INVALID, &["name is empty"], |module| module.name = Some(String::new()));
    refused(INVALID, &["missing 0x10"], |module| module.requirements = 16);
    refused(INVALID, &["type 2", "full_name is missing"], |module| module.types[2] = None);
    refused(INVALID, &["type 2", "full_name is empty"], |module| module.types[2] = Some(String::new()));
    refused(INVALID, &["import 1", "missing"], |module| module.imports[1].full_name = None);
    refused(INVALID, &["import 1", "empty"], |module| module.imports[1].full_name = Some(String::new()));
    refused(INVALID, &["export 0", "missing"], |module| module.exports[0].local_name = None);
    refused(INVALID, &["export 0", "empty"], |module| module.exports[0].local_name = Some(String::new()));
    refused(INVALID, &["`nothing`", "function 2 of 2"], |module| module.exports[0].internal_ordinal = 2);
    refused(INVALID, &["function -1 of 2"], |module| module.exports[0].internal_ordinal = -1);
    let dependent = everything().dependency("other", 3);
    for name in [None, Some(String::new())] {
        let bytes = written(&dependent, |module| module.dependencies[0].name = name);
        assert_eq!(Archive::parse(&bytes).unwrap_err().code(), INVALID);
    }
    let archive = Archive::parse(&dependent.optional_dependency("maybe", 1).build().unwrap()).unwrap();
    let flags: Vec<_> =
        archive.dependencies.iter().map(|dependency| (dependency.required, dependency.optional)).collect();
    assert_eq!(flags, [(true, false), (false, true)]);
}

/// [vm 19] Constants and their compression.
#[test]
fn constants() {
    refused(Code::Unimplemented, &["compression 2"], |module| module.rodata[1].compression = 2);
    refused(Code::Unimplemented, &["compression 255"], |module| module.rodata[1].compression = 255);
    after(|module| module.rodata[1].compression = 1).unwrap();
    refused(INVALID, &["rodata segment 3", "1 bytes at 0"], |module| {
        module.rodata.push(RodataDef { external_length: 1, ..RodataDef::default() });
    });
    after(|module| module.rodata[0].embedded = Some(Vec::new())).unwrap();
}

/// [vm 19] Signatures: count, and each string.
#[test]
fn signatures() {
    refused(INVALID, &["1 function signatures for 2 functions"], |module| {
        module.signatures.pop();
    });
    refused(INVALID, &["3 function signatures for 2 functions"], |module| {
        module.signatures.push(SignatureDef::default());
    });
    let cconv = |text: &str| Some(text.to_owned());
    refused(INVALID, &["function 1", "`0q`"], |module| module.signatures[1].calling_convention = cconv("0q"));
    refused(Code::Unimplemented, &["`1v`"], |module| module.signatures[1].calling_convention = cconv("1v"));
    refused(INVALID, &["only imports may have spans"], |module| {
        module.signatures[1].calling_convention = cconv("0CiD");
    });
    refused(INVALID, &["import 0", "`host.import0`", "`0CC"], |module| {
        module.imports[0].signature =
            Some(SignatureDef { calling_convention: cconv("0CCiDD"), ..Default::default() });
    });
    refused(Code::Unimplemented, &["`2v`"], |module| {
        module.imports[0].signature =
            Some(SignatureDef { calling_convention: cconv("2v"), ..Default::default() });
    });
    for unsigned in [
        None,
        Some(SignatureDef::default()),
        Some(SignatureDef { calling_convention: cconv(""), ..Default::default() }),
    ] {
        let archive = after(|module| module.imports[0].signature = unsigned).unwrap();
        assert_eq!(archive.imports[0].signature, None);
    }
    let archive = after(|module| module.signatures[1].calling_convention = None).unwrap();
    assert_eq!(archive.functions[1].signature.text(), "");
}

/// [vm 20] [vm 19]
#[test]
fn other_bytecode_versions() {
    for (version, text) in [(0x10_0000, "16.0"), (0x11_0001, "17.1"), (0x12_0000, "18.0"), (0, "0.0")] {
        refused(INVALID, &[text, "17.0"], |module| module.bytecode_version = version);
    }
}

/// [vm 26] [vm 19] Function descriptors.
#[test]
fn descriptors() {
    refused(INVALID, &["block count is 0"], |module| module.functions[1].block_count = 0);
    refused(INVALID, &["block count is -5"], |module| module.functions[1].block_count = -5);
    refused(INVALID, &["0 bytes"], |module| module.functions[1].bytecode_length = 0);
    refused(INVALID, &["-4 bytes"], |module| module.functions[1].bytecode_length = -4);
    refused(INVALID, &["at -8"], |module| module.functions[1].bytecode_offset = -8);
    refused(INVALID, &["function 1"], |module| module.functions[1].bytecode_offset = i32::MAX);
    refused(INVALID, &["2147483647 bytes"], |module| module.functions[1].bytecode_length = i32::MAX);
    refused(INVALID, &["2147483647 bytes at 2147483647"], |module| {
        module.functions[1].bytecode_offset = i32::MAX;
        module.functions[1].bytecode_length = i32::MAX;
    });
    refused(INVALID, &["-1 value registers"], |module| module.functions[1].value_registers = -1);
    refused(INVALID, &["-2 ref registers"], |module| module.functions[1].ref_registers = -2);
    refused(INVALID, &["16384 ref registers", "16383"], |module| module.functions[1].ref_registers = 0x4000);
    after(|module| {
        module.functions[1].value_registers = 0x7FFF;
        module.functions[1].ref_registers = 0x3FFF;
    })
    .unwrap();
    refused(INVALID, &["function 1", "missing 0x20"], |module| module.functions[1].requirements = 32);
    refused(INVALID, &["does not lie within"], |module| module.bytecode = None);
    refused(INVALID, &["65536 functions"], |module| {
        module.functions = vec![module.functions[1]; 65_536];
        module.signatures = vec![module.signatures[1].clone(); 65_536];
    });
}

/// [vm 19] State sizes.
#[test]
fn state_sizes() {
    refused(INVALID, &["-1 bytes of value globals"], |module| {
        module.state = Some(StateDef { global_bytes: -1, global_refs: 0 });
    });
    refused(INVALID, &["-7 ref globals"], |module| {
        module.state = Some(StateDef { global_bytes: 0, global_refs: -7 });
    });
    let archive = after(|module| module.state = None).unwrap();
    assert_eq!((archive.global_bytes, archive.global_refs), (0, 0));
}

/// [vm 21] What cannot be the name of a type at all; names that nobody registered are the instance's to refuse.
#[test]
fn spellings_that_are_no_types() {
    for spelling in ["i1", "i128", "hal.buffer", "!", "I32", "index", "vm.list<i32>", " i32"] {
        refused(Code::NotFound, &[&format!("`{spelling}`")], |module| {
            module.types[0] = Some(spelling.to_owned())
        });
    }
}

/// [vm 22]
#[test]
fn spellings_of_all_types() {
    let reference = |name: &str| TypeSpelling::Ref(name.to_owned());
    for (spelling, meaning) in [
        ("i8", TypeSpelling::Value(ValueType::I8)),
        ("i16", TypeSpelling::Value(ValueType::I16)),
        ("i32", TypeSpelling::Value(ValueType::I32)),
        ("i64", TypeSpelling::Value(ValueType::I64)),
        ("f32", TypeSpelling::Value(ValueType::F32)),
        ("f64", TypeSpelling::Value(ValueType::F64)),
        ("!vm.opaque", TypeSpelling::Opaque),
        ("!vm.list<i32>", reference("vm.list")),
        ("!vm.list<!vm.ref<!hal.buffer>>", reference("vm.list")),
        ("!vm.list<?>", reference("vm.list")),
        ("!vm.list", reference("vm.list")),
        ("!vm.list<any text at all", reference("vm.list")),
        ("!vm.buffer", reference("vm.buffer")),
        ("!hal.buffer_view", reference("hal.buffer_view")),
        ("!nobody.knows", reference("nobody.knows")),
    ] {
        let archive = after(|module| module.types[0] = Some(spelling.to_owned())).unwrap();
        assert_eq!(archive.types[0].spelling, meaning);
        assert_eq!(archive.types[0].full_name, spelling);
        assert_eq!(meaning.is_ref(), !matches!(meaning, TypeSpelling::Value(_)));
    }
}

/// [vm 24]
#[test]
fn exports_may_be_in_any_order() {
    let builder = ModuleBuilder::new("m")
        .internal_function("a", "0v_i", "%i0 = vm.const.i32 1\n vm.return %i0")
        .internal_function("b", "0v_i", "%i0 = vm.const.i32 2\n vm.return %i0")
        .export("second", 1)
        .export("first", 0)
        .export("again", 1);
    let archive = Archive::parse(&builder.build().unwrap()).unwrap();
    let exports: Vec<_> =
        archive.exports.iter().map(|export| (export.local_name.as_str(), export.function)).collect();
    assert_eq!(exports, [("second", 1), ("first", 0), ("again", 1)]);
}

/// [vm 25] Such modules are accepted; each function is verified for itself.
#[test]
fn functions_may_share_their_code() {
    let builder = ModuleBuilder::new("m")
        .function("narrow", "0i_i", "%i0 = vm.add.i32 %i0, %i0\n vm.return %i0")
        .function("other", "0i_i", "%i0 = vm.add.i32 %i0, %i0\n vm.return %i0");
    let bytes = written(&builder, |module| {
        module.functions[1].bytecode_offset = 0;
        module.functions[1].value_registers = 9;
    });
    let archive = Archive::parse(&bytes).unwrap();
    let verified = verify(&archive, &bytes).unwrap();
    assert_eq!(verified.function_code(0), verified.function_code(1));
    // The same code with too few registers for it.
    let bytes = written(&builder, |module| {
        module.functions[1].bytecode_offset = 0;
        module.functions[1].value_registers = 0;
        module.signatures[1].calling_convention = Some("0v_i".to_owned());
    });
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(verify(&archive, &bytes).unwrap_err().code(), Code::OutOfRange);
}

/// Debug data decides nothing: a broken database only is not there. Its offset is the root table's field 15.
#[test]
fn a_broken_debug_database_does_not_keep_a_module_from_loading() {
    use weft_vm::archive::definition::DebugDef;
    use weft_vm::debug_info::DebugInfo;
    let bytes = everything().debug(DebugDef::default()).build().unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let table = 4 + word(4);
    let vtable = table - word(table);
    let slot = vtable + 4 + 2 * 15;
    let field = table + usize::from(u16::from_le_bytes(bytes[slot..slot + 2].try_into().unwrap()));
    let archive = Archive::parse(&bytes).unwrap();
    assert!(DebugInfo::open(&archive, &bytes).is_some());
    for offset in [0, 1, 0x7FFF_FFFF, u32::MAX] {
        let mut broken = bytes.clone();
        broken[field..field + 4].copy_from_slice(&offset.to_le_bytes());
        let archive = Archive::parse(&broken).unwrap();
        assert!(DebugInfo::open(&archive, &broken).is_none());
        verify(&archive, &broken).unwrap();
    }
}
