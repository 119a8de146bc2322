//! The verifier: each rule of the specification's §16, broken by itself, with its status and the place it names.

mod front_support;

use front_support::{Random, built, code_with, everything, written};
use weft_sync::Code;
use weft_vm::Archive;
use weft_vm::archive::definition::FunctionDescriptor;
use weft_vm::isa::{BLOCK_MARKER, CoreOp, Field, Kind, Op, OpSet, Register, encode};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::signature::Signature;
use weft_vm::verify::{VerifiedCode, verify};

const INVALID: Code = Code::InvalidArgument;
const RANGE: Code = Code::OutOfRange;

/// The function under test is number 2 of [`everything`].
const TESTED: usize = 2;

fn checked(bytes: &[u8]) -> Result<VerifiedCode, (Code, String)> {
    let archive = Archive::parse(bytes).unwrap();
    verify(&archive, bytes).map_err(|status| (status.code(), status.to_string()))
}

/// A function of [`everything`]'s module with 8 value and 4 ref registers, unless `change` says otherwise.
fn verified(
    cconv: &str,
    text: &str,
    change: impl FnOnce(&mut FunctionDescriptor),
) -> Result<VerifiedCode, (Code, String)> {
    let builder = everything().function("tested", cconv, text);
    checked(&written(&builder, |module| {
        let descriptor = &mut module.functions[TESTED];
        (descriptor.value_registers, descriptor.ref_registers) = (8, 4);
        change(descriptor);
    }))
}

#[track_caller]
fn expect(result: Result<VerifiedCode, (Code, String)>, code: Code, words: &[&str]) {
    let (found, message) = result.expect_err("accepted");
    assert_eq!(found, code, "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in `{message}`");
    }
}

/// The text is refused with a status, at a pc, with a word in the message.
#[track_caller]
fn refused(code: Code, pc: usize, word: &str, cconv: &str, text: &str) {
    expect(verified(cconv, text, |_| {}), code, &[word, &format!("at everything.tested+{pc:08X}")]);
}

#[track_caller]
fn accepted(cconv: &str, text: &str) -> VerifiedCode {
    verified(cconv, text, |_| {}).unwrap_or_else(|(_, message)| panic!("{message}"))
}

/// Code given as bytes, with as many blocks as it has bytes 0x79 unless `blocks` says otherwise.
fn raw(code: &[u8], blocks: Option<i16>) -> Result<VerifiedCode, (Code, String)> {
    let builder = everything().function("tested", "0v_v", "vm.return");
    checked(&written(&builder, |module| {
        let bytecode = module.bytecode.as_mut().unwrap();
        let descriptor = &mut module.functions[TESTED];
        bytecode.truncate(descriptor.bytecode_offset as usize);
        bytecode.extend(code);
        descriptor.bytecode_length = code.len() as i32;
        descriptor.requirements = 3;
        (descriptor.value_registers, descriptor.ref_registers) = (8, 4);
        let markers = code.iter().filter(|byte| **byte == BLOCK_MARKER).count();
        descriptor.block_count = blocks.unwrap_or(markers.max(1) as i16);
    }))
}

const RETURN: [u8; 3] = [0x5A, 0, 0];

/// [vm 132] Rules 1 to 3: what the descriptor and the signature need.
#[test]
fn arguments_need_registers() {
    let text = "vm.return";
    let with = |cconv, values, refs| {
        verified(cconv, text, |descriptor| {
            (descriptor.value_registers, descriptor.ref_registers) = (values, refs);
        })
    };
    with("0iIrfF_v", 8, 1).unwrap();
    expect(
        with("0iIrfF_v", 7, 1),
        INVALID,
        &["need 8 value registers, the function has 7", "tested+00000000"],
    );
    expect(with("0iIrfF_v", 8, 0), INVALID, &["need 1 ref registers, the function has 0"]);
    expect(with("0iI_v", 3, 0), INVALID, &["need 4 value registers"]);
    expect(with("0i_v", 0, 4), INVALID, &["need 1 value registers"]);
    with("0v_v", 0, 0).unwrap();
}

/// [vm 134] [vm 132] Rule 4: no byte outside the function is needed.
#[test]
fn functions_cut_at_any_length_are_refused() {
    let mut random = Random::new(134);
    for op in Op::all() {
        let code = code_with(op, &mut random);
        let builder = everything().raw_function("tested", front_support::RESULTS, code.clone());
        checked(&builder.clone().build().unwrap()).unwrap_or_else(|(_, message)| panic!("{op:?}: {message}"));
        let exit = code.bytes.len() - 1;
        for length in 1..code.bytes.len() {
            let bytes = written(&builder, |module| module.functions[TESTED].bytecode_length = length as i32);
            let (status, message) = checked(&bytes).expect_err("accepted");
            assert!(status == RANGE || status == INVALID, "{op:?} cut to {length}: {message}");
            if length == exit {
                assert_eq!(status, RANGE, "the last list is cut: {message}");
            }
        }
    }
}

/// [vm 138] [vm 132] Rules 5, 6 and 25: blocks are marker, instructions, terminator, and nothing between.
#[test]
fn blocks_have_a_shape() {
    let marker = [BLOCK_MARKER];
    let zero = [0x0C, 0, 0];
    let join = |parts: &[&[u8]]| parts.concat();
    // pc 1 is odd, so the list of `return` at pc 2 needs no pad.
    raw(&join(&[&marker, &RETURN]), None).unwrap();
    expect(
        raw(&join(&[&zero, &marker, &RETURN]), None),
        INVALID,
        &["`const.i32.zero` where a block", "+00000000"],
    );
    expect(
        raw(&join(&[&marker, &RETURN, &zero]), None),
        INVALID,
        &["where a block has to start", "+00000004"],
    );
    expect(
        raw(&join(&[&marker, &marker, &RETURN, &[0]]), None),
        INVALID,
        &["marker inside a block", "+00000001"],
    );
    expect(raw(&marker, None), INVALID, &["ends inside a block", "+00000001"]);
    expect(raw(&join(&[&marker, &zero]), None), INVALID, &["no terminator", "+00000004"]);
    expect(raw(&join(&[&marker, &RETURN, &[0]]), None), INVALID, &["+00000004"]);
    expect(raw(&join(&[&marker, &RETURN, &marker]), None), INVALID, &["ends inside a block", "+00000005"]);
    expect(raw(&join(&[&marker, &RETURN, &[0xE0]]), None), RANGE, &["+00000004"]);
    // A block that nobody branches to is legal.
    raw(&join(&[&marker, &RETURN, &marker, &[0x5A, 0, 0]]), None).unwrap();
}

/// [vm 136] [vm 132] Rules 7 and 8.
#[test]
fn opcodes_must_be_assigned_and_their_feature_declared() {
    for byte in (137..=223).chain(226..=255) {
        expect(
            raw(&[BLOCK_MARKER, byte, 0, 0, 0, 0], Some(1)),
            INVALID,
            &[&format!("0x{byte:02X}"), "+00000001"],
        );
    }
    for byte in 62..=255 {
        expect(raw(&[BLOCK_MARKER, 0xE0, byte, 0, 0, 0, 0], Some(1)), INVALID, &["f32 set", "+00000001"]);
    }
    for byte in 64..=255 {
        expect(raw(&[BLOCK_MARKER, 0xE1, byte, 0, 0, 0, 0], Some(1)), INVALID, &["f64 set", "+00000001"]);
    }
    let mut random = Random::new(136);
    for op in Op::all() {
        let needed = match op.info().set {
            OpSet::Core => continue,
            OpSet::F32 => (1, "EXT_F32"),
            OpSet::F64 => (2, "EXT_F64"),
        };
        let builder = everything().raw_function("tested", front_support::RESULTS, code_with(op, &mut random));
        // The other extension, and the hints, do not help.
        let bytes = written(&builder, |module| module.functions[TESTED].requirements = 15 & !needed.0);
        expect(checked(&bytes), INVALID, &[needed.1, op.info().mnemonic, "+00000001"]);
        let bytes = written(&builder, |module| module.functions[TESTED].requirements = needed.0);
        checked(&bytes).unwrap();
    }
}

/// [vm 135] [vm 132] Rules 9, 10, 11: bank, parity and range of every single operand of every opcode.
#[test]
fn single_registers_fit_their_kind_and_the_function() {
    let mut random = Random::new(135);
    for op in Op::all() {
        let code = code_with(op, &mut random);
        let Some(fixed) = leading_fixed_fields(op) else { continue };
        for (index, kind, written_ref, may_move) in fixed {
            let at = 1 + op.info().field_offset(index);
            let (values, refs) = (front_support::VALUE_REGISTERS, front_support::REF_REGISTERS);
            let cases: Vec<(u16, Code)> = match kind {
                Kind::Ref => {
                    let moved = Register::moved(0).0;
                    let mut cases =
                        vec![(0, INVALID), (0x8000 | refs, RANGE), (0xBFFF, RANGE), (0xFFFF, RANGE)];
                    if !may_move && !written_ref {
                        cases.push((moved, INVALID));
                        cases.last_mut().unwrap().1 = INVALID;
                        cases.retain(|(raw, _)| *raw != 0xFFFF);
                    }
                    cases
                }
                Kind::I32 | Kind::F32 => {
                    vec![(0x8000, INVALID), (0xC000, INVALID), (values, RANGE), (0x7FFF, RANGE)]
                }
                Kind::I64 | Kind::F64 => {
                    vec![
                        (0x8000, INVALID),
                        (1, INVALID),
                        (values - 1, INVALID),
                        (values, RANGE),
                        (0x7FFE, RANGE),
                    ]
                }
            };
            for (register, status) in cases {
                let mut changed = code.clone();
                changed.bytes[at..at + 2].copy_from_slice(&register.to_le_bytes());
                let builder = everything().raw_function("tested", front_support::RESULTS, changed);
                let (found, message) = checked(&builder.build().unwrap())
                    .expect_err(&format!("{op:?} field {index} = 0x{register:04X} accepted"));
                assert_eq!(found, status, "{op:?} field {index} = 0x{register:04X}: {message}");
                assert!(message.contains("at everything.tested+00000001"), "{message}");
            }
        }
    }
}

/// Single register fields that no variable field precedes: index, kind, whether written, whether MOVE is allowed.
fn leading_fixed_fields(op: Op) -> Option<Vec<(usize, Kind, bool, bool)>> {
    let fields = op.info().fields;
    let leading = fields.iter().position(|field| field.fixed_size().is_none()).unwrap_or(fields.len());
    let registers = fields[..leading].iter().enumerate().filter_map(|(index, field)| match field {
        Field::Read(kind) => Some((index, *kind, false, false)),
        Field::ReadMove => Some((index, Kind::Ref, false, true)),
        Field::Write(kind) => Some((index, *kind, true, *kind == Kind::Ref)),
        _ => None,
    });
    let registers: Vec<_> = registers.collect();
    (!registers.is_empty()).then_some(registers)
}

/// [vm 135] The last register as a pair; exact counts.
#[test]
fn pairs_end_within_the_function() {
    let text = "%i6:7 = vm.const.i64.zero\n vm.return";
    for (count, accepted) in [(8, true), (7, false), (6, false)] {
        let result = verified("0v_v", text, |descriptor| descriptor.value_registers = count);
        match accepted {
            true => drop(result.unwrap()),
            false => expect(result, RANGE, &["%i6 (a pair)", &format!("{count} value registers")]),
        }
    }
    // Counts are not rounded up to a power of two.
    expect(
        verified("0v_v", "%i5 = vm.const.i32.zero\n vm.return", |descriptor| descriptor.value_registers = 5),
        RANGE,
        &["%i5", "5 value registers"],
    );
}

/// [vm 135] [vm 132] Rule 12: MOVE only where a field allows it.
#[test]
fn moves_are_allowed_where_the_field_says_so() {
    accepted("0r_r", "%r1 = vm.assign.ref %R0\n vm.return %R1");
    accepted("0r_r", "%R1 = vm.global.load.ref .refs[0] : !vm.buffer\n vm.return %R1");
    accepted("0r_v", "vm.discard.refs %R0, %r1\n vm.return");
    accepted("0r_v", "vm.trace \"x\"(%R0, %i0)\n vm.print \"y\"(%i1, %R0)\n vm.return");
    accepted("0r_v", "vm.br ^b(%R0->%r1)\n^b:\n vm.return");
    accepted("0ir_r", "%r1 = vm.switch.ref %i0[%R0, %r1] else %R2 -> !vm.buffer\n vm.return %r1");
    refused(INVALID, 1, "%R0 may not carry MOVE", "0r_v", "%i0 = vm.cmp.nz.ref %R0\n vm.return");
    refused(INVALID, 1, "%R0 may not carry MOVE", "0r_v", "vm.list.reserve %R0, %i0\n vm.return");
    refused(INVALID, 1, "%R1 may not carry MOVE", "0r_v", "vm.br ^b(%r0->%R1)\n^b:\n vm.return");
    refused(
        INVALID,
        1,
        "%R0 may not carry MOVE",
        "0v_v",
        "%R0 = vm.call.variadic @host.import2 segments[65535, 0](%i0)\n vm.return",
    );
    refused(
        INVALID,
        1,
        "%R0 may not carry MOVE",
        "0v_v",
        "vm.call.variadic.yieldable @host.import2 segments[65535, 0](%i0) -> ^b(%R0)\n^b:\n vm.return",
    );
}

/// [vm 132] Rule 13.
#[test]
fn type_ids() {
    accepted("0i_v", "%r0 = vm.list.alloc %i0 : !vm.list<i8>\n vm.return");
    accepted("0i_v", "%r0 = vm.list.alloc %i0 : !vm.list<!vm.opaque>\n vm.return");
    accepted("0r_v", "%r0 = vm.cast.any.ref %r0 : !vm.ref<?> -> !vm.opaque\n vm.return");
    refused(INVALID, 1, "type `i8`", "0r_v", "%r0 = vm.cast.any.ref %r0 : !vm.ref<?> -> i8\n vm.return");
    refused(INVALID, 1, "type `f64`", "0r_v", "%r0 = vm.list.get.ref %r0, %i0 : f64\n vm.return");
    refused(INVALID, 1, "type `i64`", "0r_v", "%r0 = vm.global.load.ref .refs[0] : i64\n vm.return");
    refused(INVALID, 1, "type `i64`", "0r_v", "vm.global.store.ref %r0, .refs[0] : i64\n vm.return");
    refused(INVALID, 1, "type `i32`", "0r_v", "%r0 = vm.select.ref %i0 ? %r0 : %r1 -> i32\n vm.return");
    refused(INVALID, 1, "type `i32`", "0r_v", "%r0 = vm.switch.ref %i0[] else %r1 -> i32\n vm.return");
    for (op, at) in [(CoreOp::ListAlloc, 1), (CoreOp::CastAnyRef, 3)] {
        let mut random = Random::new(13);
        for id in [9_u32, 0x8000_0000, u32::MAX] {
            let mut code = code_with(Op::Core(op), &mut random);
            code.bytes[1 + at..5 + at].copy_from_slice(&id.to_le_bytes());
            let builder = everything().raw_function("tested", front_support::RESULTS, code);
            expect(checked(&builder.build().unwrap()), RANGE, &["of 9", "+00000001"]);
        }
    }
}

/// [vm 132] Rules 14 and 15. The module has 32 bytes of globals, 3 ref globals and 3 constants.
#[test]
fn globals_and_constants() {
    let last = |op: &str, offset: u32| format!("%i0 = vm.global.load.{op} .rwdata[{offset}]\n vm.return");
    for (op, width) in [("i32", 4), ("f32", 4), ("i64", 8), ("f64", 8)] {
        accepted("0v_v", &last(op, 32 - width));
        refused(RANGE, 1, "of 32", "0v_v", &last(op, 33 - width));
        refused(RANGE, 1, "of 32", "0v_v", &last(op, 32));
        refused(RANGE, 1, "of 32", "0v_v", &last(op, u32::MAX));
        let store = format!("vm.global.store.{op} %i0, .rwdata[{}]\n vm.return", 33 - width);
        refused(RANGE, 1, "of 32", "0v_v", &store);
    }
    accepted("0v_v", "%r0 = vm.global.load.ref .refs[2] : !vm.buffer\n vm.return");
    refused(
        RANGE,
        1,
        "ref global 3 of 3",
        "0v_v",
        "%r0 = vm.global.load.ref .refs[3] : !vm.buffer\n vm.return",
    );
    refused(
        RANGE,
        1,
        "ref global 4294967295",
        "0v_v",
        "vm.global.store.ref %r0, .refs[0xFFFFFFFF] : !vm.buffer\n vm.return",
    );
    accepted("0v_v", "%r0 = vm.const.ref.rodata 2\n vm.return");
    refused(RANGE, 1, "rodata segment 3 of 3", "0v_v", "%r0 = vm.const.ref.rodata 3\n vm.return");
}

/// [vm 132] Rules 16 and 17.
#[test]
fn function_ordinals() {
    let func = |op: u8, raw_ordinal: u32, rest: &[u8]| {
        let mut code = vec![BLOCK_MARKER, op];
        code.extend(raw_ordinal.to_le_bytes());
        code.extend(rest);
        raw(&code, Some(1))
    };
    // What follows: for `import.resolved` its result, for calls an empty list, then more.
    let after = [0, 0, 0x5A, 0, 0, 0];
    accepted("0v_i", "%i0 = vm.import.resolved @host.import3\n vm.return %i0");
    expect(func(0x5C, 0x8000_0004, &after), INVALID, &["import 4 of 4", "+00000001"]);
    expect(func(0x5C, 0xFFFF_FFFF, &after), INVALID, &["import 2147483647 of 4"]);
    expect(func(0x5C, 0, &after), INVALID, &["no import"]);
    expect(func(0x58, 3, &after), INVALID, &["function 3 of 3"]);
    expect(func(0x58, 0x7FFF_FFFF, &after), INVALID, &["function 2147483647 of 3"]);
    expect(func(0x58, 0x8000_0004, &after), INVALID, &["import 4 of 4"]);
    expect(func(0x87, 3, &after), INVALID, &["function 3 of 3"]);
}

/// [vm 139] [vm 132] [vm 33] Rules 18 and 19: segment sizes, operand counts, result counts.
#[test]
fn calls_have_what_the_signature_says() {
    // host.import3 is `0ICrDCiD_iI`.
    let variadic = |segments: &str, operands: &str| {
        format!("%i0, %i2 = vm.call.variadic @host.import3 segments[{segments}]({operands})\n vm.return")
    };
    let ok = |segments: &str, operands: &str| drop(accepted("0v_v", &variadic(segments, operands)));
    ok("65535, 0, 0", "%i0");
    ok("65535, 2, 1", "%i2, %r0, %R1, %i3");
    let no = |code, word: &str, segments: &str, operands: &str| {
        refused(code, 1, word, "0v_v", &variadic(segments, operands));
    };
    no(RANGE, "2 segment sizes", "65535, 0", "%i0");
    no(RANGE, "0 segment sizes", "", "%i0");
    no(INVALID, "4 segment sizes", "65535, 0, 0, 0", "%i0");
    no(INVALID, "segment size 0 for argument 0", "0, 0, 0", "%i0");
    no(INVALID, "segment size 65535 for argument 1", "65535, 65535, 0", "%i0");
    no(INVALID, "segment size 65535 for argument 2", "65535, 0, 65535", "%i0");
    no(RANGE, "0 operands", "65535, 0, 0", "");
    no(RANGE, "2 operands", "65535, 1, 1", "%i0, %r0");
    no(RANGE, "1 operands", "65535, 65534, 65534", "%i0");
    no(INVALID, "3 operands", "65535, 1, 0", "%i0, %r0, %r1");
    no(INVALID, "%r1", "65535, 1, 1", "%i0, %r0, %r1");
    no(INVALID, "%i1 is not even", "65535, 0, 0", "%i1");
    // Internal functions have no spans, so a variadic call of one is another mistake.
    let internal =
        "%r0, %i2 = vm.call.variadic @callee segments[65535, 65535, 65535](%i0, %i2, %r0)\n vm.return";
    refused(Code::FailedPrecondition, 1, "no import", "0v_v", internal);
    let plain = |arguments: &str, results: &str| format!("{results}vm.call @callee({arguments})\n vm.return");
    accepted("0v_v", &plain("%i0, %i2, %R0", "%r0, %i4 = "));
    refused(RANGE, 1, "2 operands", "0v_v", &plain("%i0, %i2", "%r0, %i4 = "));
    refused(INVALID, 1, "4 operands", "0v_v", &plain("%i0, %i2, %r0, %r0", "%r0, %i4 = "));
    refused(RANGE, 1, "1 results", "0v_v", &plain("%i0, %i2, %r0", "%r0 = "));
    refused(INVALID, 1, "3 results", "0v_v", &plain("%i0, %i2, %r0", "%r0, %i4, %i5 = "));
    refused(INVALID, 1, "has spans", "0v_v", "%i0, %i2 = vm.call @host.import3(%i0)\n vm.return");
    refused(
        INVALID,
        1,
        "has spans",
        "0v_v",
        "vm.call.yieldable @host.import3(%i0) -> ^b(%i0, %i2)\n^b:\n vm.return",
    );
    // A signature without spans may be called with segment sizes that say so.
    accepted("0v_v", "vm.call.variadic @host.import0 segments[]()\n vm.return");
}

/// [vm 135] [vm 132] Rule 20: each register of the lists fits its kind.
#[test]
fn lists_have_registers_of_the_right_kind() {
    let call =
        |arguments: &str, results: &str| format!("{results} = vm.call @callee({arguments})\n vm.return");
    refused(INVALID, 1, "%r0", "0v_v", &call("%r0, %i2, %r0", "%r0, %i4"));
    refused(INVALID, 1, "%i3 is not even", "0v_v", &call("%i0, %i3, %r0", "%r0, %i4"));
    refused(INVALID, 1, "%i0", "0v_v", &call("%i0, %i2, %i0", "%r0, %i4"));
    refused(RANGE, 1, "%i8", "0v_v", &call("%i8, %i2, %r0", "%r0, %i4"));
    refused(RANGE, 1, "%i8 (a pair)", "0v_v", &call("%i0, %i8, %r0", "%r0, %i4"));
    refused(RANGE, 1, "%r4", "0v_v", &call("%i0, %i2, %r4", "%r0, %i4"));
    refused(INVALID, 1, "%i0", "0v_v", &call("%i0, %i2, %r0", "%i0, %i4"));
    refused(INVALID, 1, "%i5 is not even", "0v_v", &call("%i0, %i2, %r0", "%r0, %i5"));
    refused(RANGE, 1, "%r4", "0v_v", &call("%i0, %i2, %r0", "%r4, %i4"));
    // A register may be named more than once among the results.
    accepted("0v_v", "%i2, %r0, %i2, %i2, %i3 = vm.call @host.import1(%i0, %i2, %i0, %i2, %r0)\n vm.return");
    refused(RANGE, 1, "1 results", "0v_iI", "vm.return %i0");
    refused(INVALID, 1, "2 results", "0v_i", "vm.return %i0, %i1");
    refused(INVALID, 1, "%r0", "0v_i", "vm.return %r0");
    refused(INVALID, 1, "%i1 is not even", "0v_F", "vm.return %i1");
    refused(INVALID, 1, "%i0", "0v_r", "vm.return %i0");
    refused(RANGE, 1, "%r4", "0v_r", "vm.return %r4");
}

/// [vm 132] Rules 21 and 22: remaps, `switch` values, `discard.refs`, `trace`.
#[test]
fn remaps_and_other_lists() {
    let branch = |pairs: &str| format!("vm.br ^b({pairs})\n^b:\n vm.return");
    accepted("0v_v", &branch("%i0->%i1, %r0->%r3, %i7->%i7, %i1->%i0"));
    refused(INVALID, 1, "other bank", "0v_v", &branch("%i0->%r0"));
    refused(INVALID, 1, "other bank", "0v_v", &branch("%R0->%i0"));
    refused(RANGE, 1, "%i8", "0v_v", &branch("%i8->%i0"));
    refused(RANGE, 1, "%i8", "0v_v", &branch("%i0->%i8"));
    refused(RANGE, 1, "%r4", "0v_v", &branch("%r4->%r0"));
    refused(RANGE, 1, "%r4", "0v_v", &branch("%r0->%r4"));
    let table = "vm.br_table %i0 { default: ^b(), 0: ^b(%i0->%i1), 1: ^b(%i0->%r1) }\n^b:\n vm.return";
    refused(INVALID, 1, "other bank", "0v_v", table);
    refused(INVALID, 1, "other bank", "0v_v", "vm.cond_br %i0, ^b(), ^b(%i0->%r0)\n^b:\n vm.return");
    refused(INVALID, 1, "other bank", "0v_v", "vm.yield ^b(%i0->%r0)\n^b:\n vm.return");
    refused(INVALID, 1, "%r0", "0v_v", "%i0 = vm.switch.i32 %i0[%i1, %r0] else %i2\n vm.return");
    refused(INVALID, 1, "%i1 is not even", "0v_v", "%i0 = vm.switch.i64 %i0[%i1] else %i2\n vm.return");
    refused(RANGE, 1, "%i8", "0v_v", "%i0 = vm.switch.f32 %i0[%i8] else %i2\n vm.return");
    refused(INVALID, 1, "%i0", "0v_v", "%r0 = vm.switch.ref %i0[%i0] else %r2 -> !vm.buffer\n vm.return");
    refused(INVALID, 1, "%i0", "0v_v", "vm.discard.refs %r0, %i0\n vm.return");
    refused(RANGE, 1, "%r4", "0v_v", "vm.discard.refs %r4\n vm.return");
    refused(RANGE, 1, "%i8", "0v_v", "vm.trace \"x\"(%i8)\n vm.return");
}

/// [vm 137] [vm 131] [vm 132] Rule 23: branches go to markers.
#[test]
fn branch_targets_are_markers() {
    // `br` to a given pc from a function whose only other block is at pc 10.
    let branch = |target: u32| {
        let mut code = vec![BLOCK_MARKER, 0x56];
        code.extend(target.to_le_bytes());
        code.extend([0, 0]);
        code.extend([BLOCK_MARKER, 0x5A, 0, 0]);
        raw(&code, Some(2))
    };
    branch(0).unwrap();
    branch(8).unwrap();
    for target in [1, 2, 7, 9, 11, 12, 13, 1000, 0x00FF_FFFE] {
        expect(branch(target), INVALID, &[&format!("target 0x{target:X}"), "+00000001"]);
    }
    for target in [0x00FF_FFFF, 0x0100_0000, 0x8000_0000, u32::MAX] {
        expect(branch(target), RANGE, &[&format!("target 0x{target:X}"), "+00000001"]);
    }
    // A byte 0x79 inside an immediate is no marker.
    let inside = [BLOCK_MARKER, 0x0D, 0x79, 0x79, 0x79, 0x79, 0, 0, 0x56, 2, 0, 0, 0, 0, 0, 0];
    expect(raw(&inside, Some(1)), INVALID, &["target 0x2", "+00000008"]);
    let table = "vm.br_table %i0 { default: ^a(), 0: ^b() }\n^a:\n vm.return\n^b:\n vm.return";
    let accepted = accepted("0v_v", table);
    assert_eq!(accepted.functions()[TESTED].callees, [0_u32; 0]);
}

/// [vm 131] [vm 132] Rule 24: the number of blocks is exact.
#[test]
fn block_counts_are_exact() {
    let text = "vm.br ^b()\n^b:\n vm.return";
    verified("0v_v", text, |descriptor| descriptor.block_count = 2).unwrap();
    expect(
        verified("0v_v", text, |descriptor| descriptor.block_count = 1),
        INVALID,
        &["more blocks than the 1"],
    );
    for count in [3, 4, i16::MAX] {
        let result = verified("0v_v", text, |descriptor| descriptor.block_count = count);
        expect(result, INVALID, &[&format!("has 2 blocks but declares {count}")]);
    }
}

/// [vm 140] [vm 132] Rule 26.
#[test]
fn pads_are_zero() {
    // `discard.refs` at the even pc 4: its list is at 6 after the pad at 5.
    let code = |pad: u8| [BLOCK_MARKER, 0x0C, 0, 0, 0x85, pad, 0, 0, 0x5A, pad, 0, 0];
    raw(&code(0), None).unwrap();
    for pad in [1, 0x80, 0xFF] {
        expect(raw(&code(pad), None), INVALID, &[&format!("0x{pad:02X}"), "+00000004"]);
    }
    let mut random = Random::new(140);
    for op in Op::all() {
        // All lists of the instruction start at odd pcs in one of the two positions; set every pad in turn.
        let code = code_with(op, &mut random);
        for (position, _) in pads_of(&code.bytes) {
            let mut changed = code.clone();
            changed.bytes[position] = 3;
            let builder = everything().raw_function("tested", front_support::RESULTS, changed);
            expect(checked(&builder.build().unwrap()), INVALID, &["alignment byte is 0x03"]);
        }
    }
}

/// Positions of alignment bytes: those whose change decoding reports as a wrong pad.
fn pads_of(code: &[u8]) -> Vec<(usize, u8)> {
    use weft_vm::isa::{Cursor, DecodeError, decode};
    let is_pad = |position: &usize| {
        let mut changed = code.to_vec();
        changed[*position] = 3;
        let mut cursor = Cursor::new(&changed, 0);
        loop {
            match decode(&mut cursor) {
                Err(DecodeError::Pad(3)) => return true,
                Err(_) => return false,
                Ok(_) if cursor.is_at_end() => return false,
                Ok(_) => {}
            }
        }
    };
    // Only bytes that are zero now and not part of an operand keep the rest decodable as before.
    (0..code.len())
        .filter(|position| code[*position] == 0)
        .filter(is_pad)
        .map(|position| (position, 0))
        .collect()
}

/// Functions without a name are called by their number.
#[test]
fn places_name_the_function_or_its_ordinal() {
    let builder =
        ModuleBuilder::new("m").internal_function("", "0v_v", "%i0 = vm.const.i32.zero\n vm.return");
    let bytes = written(&builder, |module| module.functions[0].value_registers = 0);
    expect(checked(&bytes), RANGE, &["at m@0+00000001"]);
}

/// Calls of imports that declare no signature wait for the provider's.
#[test]
fn unsigned_calls_are_checked_when_the_signature_is_known() {
    let (bytes, archive) = built(
        ModuleBuilder::new("m")
            .unsigned_import("host.unsigned")
            .import("host.signed", "0v_v")
            .function("ok", "0irI_v", "vm.call @host.unsigned(%i0, %r0)\n vm.call @host.signed()\n vm.return")
            .function("more", "0irI_v", "%i0 = vm.call @host.unsigned(%i0, %R0)\n vm.return")
            .function(
                "spans",
                "0irI_v",
                "vm.call.variadic @host.unsigned segments[65535, 2](%i0, %r0, %r0)\n vm.return",
            ),
    );
    let verified = verify(&archive, &bytes).unwrap();
    let sites: Vec<(u32, u32)> =
        verified.unsigned_calls().iter().map(|site| (site.function, site.pc)).collect();
    assert_eq!(sites, [(0, 1), (1, 1), (2, 1)]);
    let only = |text: &str| {
        let (bytes, archive) =
            built(ModuleBuilder::new("m").unsigned_import("host.unsigned").function("f", "0irI_v", text));
        (verify(&archive, &bytes).unwrap(), archive)
    };
    let check = |(verified, archive): &(VerifiedCode, Archive), cconv: &str| {
        let signature = Signature::parse(cconv).unwrap();
        verified
            .check_import_calls(archive, 0, &signature)
            .map_err(|status| (status.code(), status.to_string()))
    };
    let plain = only("%i1 = vm.call @host.unsigned(%i0, %R0)\n vm.return");
    check(&plain, "0ir_i").unwrap();
    check(&plain, "0fr_f").unwrap();
    assert_eq!(check(&plain, "0i_i").unwrap_err().0, INVALID);
    assert_eq!(check(&plain, "0irr_i").unwrap_err().0, RANGE);
    assert_eq!(check(&plain, "0ri_i").unwrap_err().0, INVALID);
    assert_eq!(check(&plain, "0ir_v").unwrap_err().0, INVALID);
    assert_eq!(check(&plain, "0ir_ii").unwrap_err().0, RANGE);
    assert_eq!(check(&plain, "0ir_I").unwrap_err().0, INVALID, "%i1 is odd");
    let (code, message) = check(&plain, "0iCrD_i").unwrap_err();
    assert_eq!(code, INVALID);
    assert!(message.contains("has spans") && message.contains("at m.f+00000001"), "{message}");
    let spans = only("vm.call.variadic @host.unsigned segments[65535, 2](%i0, %r0, %r0)\n vm.return");
    check(&spans, "0iCrD_v").unwrap();
    assert_eq!(check(&spans, "0iCrrD_v").unwrap_err().0, RANGE);
    assert_eq!(check(&spans, "0irr_v").unwrap_err().0, RANGE);
    assert_eq!(check(&spans, "0CrDCrD_v").unwrap_err().0, INVALID);
    // Even then the registers themselves must exist.
    let (bytes, archive) = built(ModuleBuilder::new("m").unsigned_import("host.unsigned").function(
        "f",
        "0i_v",
        "vm.call @host.unsigned(%i0)\n vm.return",
    ));
    verify(&archive, &bytes).unwrap();
}

/// What the verifier learns for its users.
#[test]
fn facts_about_functions() {
    let (bytes, archive) = built(
        ModuleBuilder::new("m")
            .import("host.a", "0v_v")
            .import("host.b", "0v_v")
            .global("g", Kind::I32)
            .global("r", Kind::Ref)
            .type_entry("!vm.buffer")
            .function("stores", "0i_v", "vm.global.store.i32 %i0, .rwdata[@g]\n vm.return")
            .function("takes", "0v_r", "%R0 = vm.global.load.ref .refs[@r] : !vm.buffer\n vm.return %R0")
            .function("reads", "0v_r", "%r0 = vm.global.load.ref .refs[@r] : !vm.buffer\n vm.return %R0")
            .function(
                "calls",
                "0i_v",
                "vm.call @host.b()\n vm.call @stores(%i0)\n vm.call @stores(%i0)\n vm.call @calls(%i0)\n vm.return",
            )
            .function("yields", "0v_v", "vm.yield ^b()\n^b:\n vm.return"),
    );
    let verified = verify(&archive, &bytes).unwrap();
    let stores: Vec<bool> = verified.functions().iter().map(|facts| facts.stores_globals).collect();
    assert_eq!(stores, [true, true, false, false, false]);
    assert_eq!(verified.functions()[3].callees, [0, 3]);
    assert_eq!(verified.functions()[3].imports, [1]);
    assert!(verified.functions()[4].yields && !verified.functions()[3].yields);
}

/// [vm 133] What survives is run elsewhere; here, that the verifier decides about every flip.
#[test]
fn flipped_code_is_accepted_or_refused() {
    let mut random = Random::new(133);
    let (mut accepted, mut refused) = (0, 0);
    for op in Op::all() {
        let code = code_with(op, &mut random);
        let builder = everything().raw_function("tested", front_support::RESULTS, code.clone());
        let (bytes, archive) = built(builder);
        let start = archive.code.start + archive.functions[TESTED].code.start;
        for position in start..start + code.bytes.len() {
            for _ in 0..4 {
                let mut flipped = bytes.clone();
                flipped[position] ^= 1 + random.below(255) as u8;
                match verify(&archive, &flipped) {
                    Ok(_) => accepted += 1,
                    Err(status) => {
                        assert!(
                            matches!(status.code(), INVALID | RANGE | Code::FailedPrecondition),
                            "{status}"
                        );
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

/// Random bytes in the place of code.
#[test]
fn noise_is_refused() {
    let mut random = Random::new(5);
    for _ in 0..2000 {
        let mut code: Vec<u8> = (0..1 + random.below(60)).map(|_| random.next() as u8).collect();
        code[0] = BLOCK_MARKER;
        let blocks = 1 + random.below(4) as i16;
        let _ = raw(&code, Some(blocks));
    }
}

/// `encode` and the verifier agree about what an empty function is.
#[test]
fn the_smallest_function() {
    let mut code = vec![BLOCK_MARKER];
    let mut random = Random::new(0);
    let mut empty = front_support::sample(Op::Core(CoreOp::Return), &mut random);
    empty.operands = vec![weft_vm::isa::Operand::Registers(Vec::new())];
    encode(&empty, &mut code).unwrap();
    assert_eq!(code, [0x79, 0x5A, 0, 0]);
    let verified = raw(&code, Some(1)).unwrap();
    assert_eq!(verified.function_code(TESTED as u32), Some(&code[..]));
    assert_eq!(verified.function_code(99), None);
}
