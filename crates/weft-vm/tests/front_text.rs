//! The text form: equal to the reference's, and back to the same bytes.

mod front_support;

use front_support::{Random, built, code_with, compiled, everything, folder};
use weft_sync::Code;
use weft_vm::Archive;
use weft_vm::assemble::{Symbols, assemble};
use weft_vm::disassemble::{Options, Style, disassemble_code, disassemble_module};
use weft_vm::isa::{Kind, Op};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::verify::verify;

const EXACT: Options = Options { pcs: false, style: Style::Exact };
const LISTING: Options = Options { pcs: true, style: Style::Reference };
const DATA: &str = "tests/data/front";
/// Compiled programs that other tests run.
const PROGRAMS: &str = "../../models/programs";

/// The two opcodes that the reference's tool cannot print (D18).
const UNPRINTABLE: [&str; 2] = ["switch.ref", "cast.ui64.f32"];

fn assembled(archive: &Archive, text: &str) -> Vec<u8> {
    let imports: Vec<Box<str>> =
        archive.imports.iter().map(|import| import.full_name.as_str().into()).collect();
    // Calls inside the module are read by the names that the listing gives.
    let names: Vec<Box<str>> = (0..archive.functions.len())
        .map(|ordinal| weft_vm::debug_info::export_name(archive, ordinal as u32).unwrap_or_default().into())
        .collect();
    let mut types = archive.types.iter().map(|entry| entry.full_name.clone()).collect();
    let mut symbols = Symbols {
        module: &archive.name,
        imports: &imports,
        functions: &names,
        globals: &[],
        types: &mut types,
    };
    assemble(text, &mut symbols).unwrap_or_else(|error| panic!("{error}\n{text}")).bytes
}

/// [vm 142] Every opcode, with operands of every shape.
#[test]
fn every_opcode_survives_the_way_to_text_and_back() {
    let mut random = Random::new(7);
    for op in Op::all() {
        for round in 0..20 {
            let code = code_with(op, &mut random);
            let (bytes, archive) =
                built(everything().raw_function("tested", front_support::RESULTS, code.clone()));
            let mnemonic = op.info().mnemonic;
            verify(&archive, &bytes).unwrap_or_else(|error| panic!("{mnemonic} round {round}: {error}"));
            let text = disassemble_code(&archive, &bytes, &code.bytes, &EXACT);
            assert_eq!(assembled(&archive, &text), code.bytes, "{mnemonic} round {round}:\n{text}");
        }
    }
}

/// Everything compiled that there is.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut modules = compiled(DATA);
    modules.extend(compiled(PROGRAMS));
    modules
}

/// [vm 142]
#[test]
fn compiled_functions_survive_the_way_to_text_and_back() {
    let mut functions = 0;
    for (name, bytes) in corpus() {
        let archive = Archive::parse(&bytes).unwrap();
        for ordinal in 0..archive.functions.len() {
            let function = archive.functions[ordinal].clone();
            let code = &bytes[archive.code.clone()][function.code.clone()];
            let text = disassemble_code(&archive, &bytes, code, &EXACT);
            // The listing names callees by the first debug entry; ordinals say the same thing reliably.
            let text = with_callee_ordinals(&archive, code, text);
            assert_eq!(assembled(&archive, &text), code, "{name}, function {ordinal}:\n{text}");
            functions += 1;
        }
    }
    assert!(functions > 50, "only {functions} functions");
}

/// Replaces the names of internal callees, in order of the calls, by `@module:ordinal`.
fn with_callee_ordinals(archive: &Archive, code: &[u8], text: String) -> String {
    use weft_vm::isa::{CoreOp, Cursor, Field, IMPORT_BIT, Operand, decode};
    let mut cursor = Cursor::new(code, 0);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        let instruction = decode(&mut cursor).unwrap();
        let is_call =
            instruction.op != Op::Core(CoreOp::Block) && instruction.op.info().fields.contains(&Field::Func);
        let Some(Operand::Index(raw)) = instruction.operands.first().filter(|_| is_call) else { continue };
        if raw & IMPORT_BIT == 0 {
            let start = line.find('@').unwrap();
            let end = start + line[start..].find('(').unwrap();
            line.replace_range(start..end, &format!("@{}:{raw}", archive.name));
        }
    }
    lines.join("\n")
}

/// [vm 141] The verifier's half: all compiler output satisfies the strict rules.
#[test]
fn all_compiled_functions_pass_the_verifier() {
    for (name, bytes) in corpus() {
        let archive = Archive::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        verify(&archive, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Headers show the registers of 64-bit parameters wrongly in the reference (D18); blanks at line ends are noise.
fn comparable(line: &str) -> String {
    let Some(header) = line.strip_prefix("vm.func @") else { return line.trim_end().to_owned() };
    let words = header.split(' ').map(|word| match word.starts_with('%') || word.contains("(%") {
        true => word.split('%').next().unwrap_or(""),
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// [vm 141] The dumps lie beside the modules; `build.sh` there makes them.
#[test]
fn listings_equal_the_reference_s() {
    let mut lines = 0;
    for (name, bytes) in compiled(DATA) {
        let archive = Archive::parse(&bytes).unwrap();
        let ours = disassemble_module(&archive, &bytes, &LISTING);
        let theirs = std::fs::read_to_string(folder(DATA).join(format!("{name}.txt"))).unwrap();
        assert_eq!(ours.lines().count(), theirs.lines().count(), "{name}");
        for (number, (our, their)) in ours.lines().zip(theirs.lines()).enumerate() {
            assert_eq!(comparable(our), comparable(their), "{name}, line {}", number + 1);
            lines += 1;
        }
    }
    assert!(lines > 2000, "only {lines} lines");
}

/// [vm 141] `all_opcodes.vmfb` has a function for every opcode; its dump is compared above.
#[test]
fn the_compared_listings_contain_every_opcode() {
    let text = std::fs::read_to_string(folder(DATA).join("all_opcodes.txt")).unwrap();
    for op in Op::all() {
        let mnemonic = op.info().mnemonic;
        let shown =
            text.lines().any(|line| line.contains(&format!("vm.{mnemonic}")) && line.starts_with('['));
        assert_eq!(shown, !UNPRINTABLE.contains(&mnemonic), "{mnemonic}");
    }
}

#[test]
#[ignore = "writes the module that `tests/data/front/build.sh` dumps"]
fn write_a_module_with_every_opcode() {
    let mut random = Random::new(99);
    let mut builder = everything().version(17).dependency("host", 4).optional_import("host.optional", "0v_i");
    for op in Op::all().filter(|op| !UNPRINTABLE.contains(&op.info().mnemonic)) {
        builder =
            builder.raw_function(op.info().mnemonic, front_support::RESULTS, code_with(op, &mut random));
    }
    let mut floats = String::new();
    for bits in
        [0x7FC0_0000_u32, 0xFFC0_0000, 0x7F80_0001, 0xFF80_0000, 0x7F80_0000, 0x8000_0000, 1, 0x322B_CC77]
    {
        floats += &format!("%i0 = vm.const.f32 0x{bits:08X}\n");
    }
    floats += "vm.return";
    builder = builder
        .function("floats", "0v_v", &floats)
        .export("also_nothing", 1)
        .internal_function("hidden", "0fF_v", "%r0, %i4 = vm.call @callee(%i0, %i2, %r0)\n vm.return")
        .function("caller", "0fF_v", "vm.call @hidden(%i0, %i2)\n vm.return");
    std::fs::write(folder(DATA).join("all_opcodes.vmfb"), builder.build().unwrap()).unwrap();
}

/// [vm 141] What the reference cannot print.
#[test]
fn opcodes_that_the_reference_cannot_print() {
    let text = "  %r0 = vm.switch.ref %i0[%r1, %R2] else %R3 -> !vm.buffer\n  %i0 = vm.cast.ui64.f32 %i2:3\n  vm.return\n";
    let (bytes, archive) = built(ModuleBuilder::new("m").function("f", "0v_v", text));
    let code = &bytes[archive.code.clone()][archive.functions[0].code.clone()];
    assert_eq!(disassemble_code(&archive, &bytes, code, &EXACT), format!("^bb0:\n{text}"));
}

#[test]
fn code_that_is_none_ends_the_listing_with_a_reason() {
    let (bytes, archive) = built(everything());
    let text = |code: &[u8]| disassemble_code(&archive, &bytes, code, &LISTING);
    assert_eq!(
        text(&[0x79, 0x99]),
        "[00000000]^bb0:\n[00000001]  // opcode 0x99 is not assigned in the core set\n"
    );
    assert!(text(&[0x79, 0x0D, 1]).ends_with("// instruction needs 4 more bytes, the function has 1 left\n"));
    // Operands that point nowhere are shown as what they are.
    let nowhere =
        [0x79, 0x58, 9, 0, 0, 0x80, 0, 0, 0, 0, 0x11, 0x50, 0, 0, 0, 0, 0x80, 0x56, 7, 0, 0, 0, 0, 0];
    let listed = text(&nowhere);
    assert!(
        listed.contains("@<import 9>") && listed.contains("rodata 80") && listed.contains("^0x7("),
        "{listed}"
    );
}

fn error(text: &str) -> (Code, String) {
    let status = ModuleBuilder::new("m")
        .import("host.f", "0i_i")
        .global("wide", Kind::I64)
        .global("object", Kind::Ref)
        .function("f", "0v_v", text)
        .build()
        .unwrap_err();
    (status.code(), status.to_string())
}

/// [vm 143]
#[test]
fn what_the_assembler_refuses() {
    for (code, words, text) in [
        (Code::AlreadyExists, "label `^a` stands twice", "^a:\n vm.return\n^a:\n vm.return"),
        (Code::NotFound, "label `^nowhere`, used in line 2", "\n vm.br ^nowhere()"),
        (Code::InvalidArgument, "line 2: `vm.jump ^a()`", "^a:\n vm.jump ^a()"),
        (Code::InvalidArgument, "expected `%i4:5`", "%i4:6 = vm.const.i64.zero"),
        (Code::InvalidArgument, "expected `%i4:5`", "%i4:3 = vm.const.i64.zero"),
        (Code::InvalidArgument, "the banks are", "%x0 = vm.const.i32.zero"),
        (Code::InvalidArgument, "up to 32767", "%i32768 = vm.const.i32.zero"),
        (Code::InvalidArgument, "up to 16383", "%r16384 = vm.const.ref.zero"),
        (Code::InvalidArgument, "does not fit 32 bits", "%i0 = vm.const.i32 4294967296"),
        (Code::InvalidArgument, "does not fit 32 bits", "%i0 = vm.const.i32 -2147483649"),
        (Code::InvalidArgument, "no f32", "%i0 = vm.const.f32 one"),
        (Code::InvalidArgument, "gives a result", "vm.const.i32 5"),
        (Code::InvalidArgument, "1 results fewer", "%i0, %i1 = vm.const.i32 5"),
        (Code::InvalidArgument, "the end of the instruction", "vm.return %i0 %i1"),
        (Code::InvalidArgument, "expected `,`", "%i0 = vm.add.i32 %i0 %i1"),
        (Code::InvalidArgument, "case 1 where case 0", "^a:\n vm.br_table %i0 { default: ^a(), 1: ^a() }"),
        (Code::InvalidArgument, "the closing quote", "vm.fail %i0, \"no end"),
        (Code::InvalidArgument, "escapes", "vm.fail %i0, \"\\q\""),
        (Code::NotFound, "`host.g`", "vm.call @host.g()"),
        (Code::NotFound, "no global is called `narrow`", "%i0 = vm.global.load.i32 .rwdata[@narrow]"),
        (Code::InvalidArgument, "global `object` holds ref", "%i0 = vm.global.load.i32 .rwdata[@object]"),
        (Code::InvalidArgument, "a type", "%r0 = vm.cast.any.ref %r0 : !vm.ref<?> -> "),
        (Code::InvalidArgument, "the end of the line after a label", "^a: vm.return"),
    ] {
        let (found, message) = error(text);
        assert_eq!(found, code, "{text}: {message}");
        assert!(message.contains(words), "{text}: `{words}` is not in `{message}`");
        assert!(message.contains("assembling function `f`"), "{message}");
    }
}

/// [vm 143]
#[test]
fn names_may_be_defined_once() {
    let refused = |builder: ModuleBuilder, word: &str| {
        let status = builder.build().unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert!(status.to_string().contains(word), "{status}");
    };
    let function = |name: &str| ModuleBuilder::new("m").function(name, "0v_v", "vm.return");
    refused(function("f").export("f", 0), "export `f`");
    refused(function("f").internal_function("f", "0v_v", "vm.return"), "function `f`");
    refused(ModuleBuilder::new("m").global("g", Kind::I32).global("g", Kind::Ref), "global `g`");
    function("f")
        .export("g", 0)
        .internal_function("", "0v_v", "vm.return")
        .internal_function("", "0v_v", "vm.return")
        .build()
        .unwrap();
}

/// [vm 143] Positions of globals, labels before they stand, gaps between functions, pairs.
#[test]
fn what_the_assembler_works_out() {
    let builder = ModuleBuilder::new("m")
        .global("a", Kind::I32)
        .global("wide", Kind::I64)
        .global("first", Kind::Ref)
        .global("b", Kind::F32)
        .global("second", Kind::Ref)
        .function(
            "f",
            "0v_v",
            "
            // A comment, then a forward branch.
              %i0 = const.i32 -1                    // `vm.` may be left out
              vm.cond_br %i0, ^later(%i0->%i1), ^now()
            ^now:
              %i4:5 = vm.global.load.i64 .rwdata[@wide]
              vm.global.store.f32 %i1, .rwdata[@b]
              %r0 = vm.global.load.ref .refs[@second] : !vm.buffer
              vm.br ^later(%i4->%i1)
            [0000ABCD]^later:
              [0000ABCE]  vm.return
            ",
        )
        .function("g", "0iI_I", "vm.return %i2:3");
    let definition = builder.definition().unwrap();
    assert_eq!(definition.functions[0].bytecode_offset, 0);
    assert_eq!(definition.functions[1].bytecode_offset % 8, 0);
    let gap =
        definition.functions[0].bytecode_length as usize..definition.functions[1].bytecode_offset as usize;
    assert!(!gap.is_empty() && definition.bytecode.as_ref().unwrap()[gap].iter().all(|byte| *byte == 0));
    assert_eq!((definition.functions[0].value_registers, definition.functions[0].ref_registers), (6, 1));
    assert_eq!(definition.functions[1].value_registers, 4);
    assert_eq!(definition.functions[0].requirements & 1, 1, "a float opcode was used");
    let state = definition.state.unwrap();
    assert_eq!((state.global_bytes, state.global_refs), (20, 2));
    let (bytes, archive) = built(builder);
    verify(&archive, &bytes).unwrap();
    let code = &bytes[archive.code.clone()][archive.functions[0].code.clone()];
    let text = disassemble_code(&archive, &bytes, code, &EXACT);
    for line in [
        "%i0 = vm.const.i32 -1  // 0xFFFFFFFF",
        "vm.cond_br %i0, ^bb2(%i0->%i1), ^bb1()",
        "%i4:5 = vm.global.load.i64 .rwdata[8]",
        "vm.global.store.f32 %i1, .rwdata[16]",
        "%r0 = vm.global.load.ref .refs[1] : !vm.buffer",
        "vm.br ^bb2(%i4->%i1)",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn strings_and_floats_of_any_bits_survive_in_exact_text() {
    let message: Vec<u8> = (0..=255).collect();
    let escaped = message.escape_ascii().to_string();
    let text = format!(
        "%i0 = vm.const.f32 0x7F800001\n%i2:3 = vm.const.f64 0xFFF8000000000001\n%i0 = vm.const.f32 -nan\n\
         %i0 = vm.const.f32 1e-45\nvm.fail %i0, \"{escaped}\""
    );
    let (bytes, archive) = built(ModuleBuilder::new("m").function("f", "0v_v", &text));
    let code = &bytes[archive.code.clone()][archive.functions[0].code.clone()];
    let again = disassemble_code(&archive, &bytes, code, &EXACT);
    assert_eq!(assembled(&archive, &again), code, "{again}");
    assert!(code.windows(256).any(|window| window == message));
}
