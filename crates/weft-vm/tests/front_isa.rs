//! The opcode table: equal to the specification's, searchable, and the source of one encoding.

mod front_support;

use front_support::{Random, folder, sample};
use weft_vm::isa::{
    BLOCK_MARKER, CoreOp, Cursor, DecodeError, F32Op, F64Op, Field, Kind, Op, OpSet, Operand, Register,
    decode, encode,
};

/// A row of the specification's tables.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    byte: u8,
    mnemonic: String,
    fields: String,
    terminator: bool,
}

fn specified(section: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(folder("../../docs/spec/vm-bytecode.md")).unwrap();
    let section = text.split(section).nth(1).unwrap_or_else(|| panic!("no section {section}"));
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']));
        let number = cells.next()?.parse().ok()?;
        let hexadecimal = u8::from_str_radix(cells.next()?, 16).ok()?;
        assert_eq!(number, hexadecimal, "{line}");
        let mnemonic = cells.next()?.to_owned();
        let fields = cells.next()?.replace('—', "");
        Some(Row { byte: number, mnemonic, fields, terminator: cells.next()?.starts_with("T:") })
    });
    rows.collect()
}

fn word(field: &Field) -> String {
    match field {
        Field::Read(kind) => kind.name().to_owned(),
        Field::ReadMove => "refM".to_owned(),
        Field::Write(Kind::Ref) => ">refM".to_owned(),
        Field::Write(kind) => format!(">{}", kind.name()),
        Field::RegsOf(Kind::Ref) => "regs:refM".to_owned(),
        Field::RegsOf(kind) => format!("regs:{}", kind.name()),
        Field::Imm32 => "imm32".to_owned(),
        Field::Imm64 => "imm64".to_owned(),
        Field::ImmF32 => "immf32".to_owned(),
        Field::ImmF64 => "immf64".to_owned(),
        Field::GlobalOffset => "goff".to_owned(),
        Field::GlobalRef => "gref".to_owned(),
        Field::Rodata => "rod".to_owned(),
        Field::Type => "type".to_owned(),
        Field::Func => "func".to_owned(),
        Field::Pc => "pc".to_owned(),
        Field::Str => "str".to_owned(),
        Field::Regs => "regs".to_owned(),
        Field::RegsWrite => ">regs".to_owned(),
        Field::Segments => "segs".to_owned(),
        Field::Remap => "remap".to_owned(),
        Field::Cases => "cases".to_owned(),
    }
}

fn tabled(ops: impl Iterator<Item = Op>) -> Vec<Row> {
    let row = |op: Op| {
        let info = op.info();
        Row {
            byte: info.byte,
            mnemonic: info.mnemonic.to_owned(),
            fields: info.fields.iter().map(word).collect::<Vec<_>>().join(" "),
            terminator: info.terminator,
        }
    };
    ops.map(row).collect()
}

#[test]
fn table_matches_the_specification() {
    assert_eq!(tabled(CoreOp::ALL.iter().map(|op| Op::Core(*op))), specified("### 12.1"));
    assert_eq!(tabled(F32Op::ALL.iter().map(|op| Op::F32(*op))), specified("### 12.2"));
    assert_eq!(tabled(F64Op::ALL.iter().map(|op| Op::F64(*op))), specified("### 12.3"));
}

/// [vm 144]
#[test]
fn opcodes_are_found_by_name_and_by_number() {
    for op in Op::all() {
        let info = op.info();
        assert_eq!(Op::by_mnemonic(info.mnemonic), Some(op));
        assert_eq!(Op::by_number(info.set, info.byte), Some(op));
    }
    for unknown in ["", "add", "add.i31", "vm.add.i32", "ADD.I32", "<block>", "<ext_f32>", "add.i32 "] {
        assert_eq!(Op::by_mnemonic(unknown), None, "{unknown}");
    }
    for byte in 0..=255_u8 {
        let core = matches!(byte, 0..=136 | 0xE0 | 0xE1);
        assert_eq!(Op::by_number(OpSet::Core, byte).is_some(), core, "core {byte}");
        assert_eq!(Op::by_number(OpSet::F32, byte).is_some(), byte <= 61, "f32 {byte}");
        assert_eq!(Op::by_number(OpSet::F64, byte).is_some(), byte <= 63, "f64 {byte}");
        assert_eq!(CoreOp::from_byte(byte).map(|op| op as u8), core.then_some(byte));
    }
}

#[test]
fn offsets_and_lengths_come_from_the_fields() {
    const ADD: usize = F32Op::AddF32.info().field_offset(2);
    assert_eq!(ADD, 6);
    assert_eq!(CoreOp::AddI32.info().fixed_length(), Some(7));
    assert_eq!(CoreOp::ConstI64.info().fixed_length(), Some(11));
    assert_eq!(CoreOp::Br.info().fixed_length(), None);
    assert_eq!(CoreOp::CondBr.info().field_offset(2), 7);
    let mut random = Random::new(1);
    for op in Op::all() {
        if let Some(length) = op.info().fixed_length() {
            let mut code = Vec::new();
            encode(&sample(op, &mut random), &mut code).unwrap();
            assert_eq!(code.len(), length, "{op:?}");
        }
    }
}

#[test]
fn decoding_undoes_encoding_at_even_and_odd_pcs() {
    let mut random = Random::new(2);
    for op in Op::all() {
        for round in 0..40 {
            let instruction = sample(op, &mut random);
            let mut code = vec![BLOCK_MARKER; 1 + round % 2];
            let start = code.len();
            encode(&instruction, &mut code).unwrap();
            let mut cursor = Cursor::new(&code, start);
            assert_eq!(decode(&mut cursor).as_ref(), Ok(&instruction));
            assert!(cursor.is_at_end());
            for length in start..code.len() {
                let short = decode(&mut Cursor::new(&code[..length], start));
                assert!(matches!(short, Err(DecodeError::Truncated { .. })), "{op:?} {length}: {short:?}");
            }
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_not_encoded() {
    let mut random = Random::new(3);
    let mut add = sample(Op::by_mnemonic("add.i32").unwrap(), &mut random);
    add.operands[1] = Operand::Imm32(5);
    assert!(encode(&add, &mut Vec::new()).is_err());
    add.operands.pop();
    assert!(encode(&add, &mut Vec::new()).is_err());
    let mut list = sample(Op::by_mnemonic("return").unwrap(), &mut random);
    list.operands = vec![Operand::Registers(vec![Register::value(0); 65_535])];
    encode(&list, &mut Vec::new()).unwrap();
    list.operands = vec![Operand::Registers(vec![Register::value(0); 65_536])];
    assert!(encode(&list, &mut Vec::new()).is_err());
}

#[test]
fn register_bits_mean_bank_move_and_ordinal() {
    let value = Register(0x7FFF);
    assert!(!value.is_ref() && !value.is_move());
    assert_eq!(value.ordinal(), 0x7FFF);
    assert!(!Register(0x4001).is_move(), "bit 14 belongs to a value register's ordinal");
    assert_eq!(Register(0x4001).ordinal(), 0x4001);
    let moved = Register::moved(0x3FFF);
    assert!(moved.is_ref() && moved.is_move());
    assert_eq!((moved.0, moved.ordinal()), (0xFFFF, 0x3FFF));
    assert!(!Register::reference(3).is_move());
}
