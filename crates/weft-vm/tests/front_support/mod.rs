//! What the tests of archive, verifier and text forms share: a small random source, a module with something of
//! everything, and one valid instruction of any opcode in it.

#![allow(dead_code, reason = "each test program uses its own part of this module")]

use std::path::PathBuf;

use weft_vm::Archive;
use weft_vm::archive::definition::ModuleDef;
use weft_vm::archive::write::write_flatbuffer;
use weft_vm::assemble::AssembledCode;
use weft_vm::isa::{
    BLOCK_MARKER, Case, CoreOp, Field, IMPORT_BIT, Instruction, Kind, Op, Operand, Register, RemapPair,
    SEGMENT_SCALAR, encode,
};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::signature::{Argument, Signature};

/// Numbers that look random; a seed is a whole run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end
    }

    pub fn chance(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}

/// Imports of [`everything`], by ordinal.
pub const IMPORTS: [&str; 4] = ["0v_v", "0iIfFr_FrIif", "0iCrID_r", "0ICrDCiD_iI"];
/// Signature of the function under test in [`everything`].
pub const RESULTS: &str = "0_iIfFr";
/// Its register counts.
pub const VALUE_REGISTERS: u16 = 40;
pub const REF_REGISTERS: u16 = 12;
const GLOBAL_BYTES: u32 = 32;
const GLOBAL_REFS: u32 = 3;
const RODATA: usize = 3;
const TYPES: [&str; 9] =
    ["f32", "f64", "i32", "i64", "i8", "!hal.buffer", "!vm.buffer", "!vm.list<i32>", "!vm.opaque"];
const FIRST_REF_TYPE: usize = 5;

/// A module with types, imports, globals, constants and other functions, ready for functions under test.
pub fn everything() -> ModuleBuilder {
    let mut builder = ModuleBuilder::new("everything").global_bytes(GLOBAL_BYTES).global_refs(GLOBAL_REFS);
    for spelling in TYPES {
        builder = builder.type_entry(spelling);
    }
    for (index, cconv) in IMPORTS.iter().enumerate() {
        builder = builder.import(&format!("host.import{index}"), cconv);
    }
    for index in 0..RODATA {
        builder = builder.rodata(&vec![b'a' + index as u8; 5 * index]);
    }
    builder.internal_function("callee", "0iIr_rI", "vm.return %R0, %i2:3").function(
        "nothing",
        "0v_v",
        "vm.return",
    )
}

/// Code of a function with [`RESULTS`] that consists of the instruction, a way out, and that exit.
pub fn code_with(op: Op, random: &mut Random) -> AssembledCode {
    let mut instruction = sample(op, random);
    let mut length = vec![BLOCK_MARKER];
    encode(&instruction, &mut length).unwrap();
    if !op.info().terminator {
        encode(&branch(0), &mut length).unwrap();
    }
    let exit = length.len() as u32;
    set_targets(&mut instruction, exit);
    let mut bytes = vec![BLOCK_MARKER];
    encode(&instruction, &mut bytes).unwrap();
    if !op.info().terminator {
        encode(&branch(exit), &mut bytes).unwrap();
    }
    bytes.push(BLOCK_MARKER);
    encode(&sample(Op::Core(CoreOp::Return), random), &mut bytes).unwrap();
    AssembledCode {
        bytes,
        block_count: 2,
        value_registers: usize::from(VALUE_REGISTERS),
        ref_registers: usize::from(REF_REGISTERS),
        requirements: 1 | 2,
        lines: Vec::new(),
    }
}

fn branch(target: u32) -> Instruction {
    Instruction {
        op: Op::Core(CoreOp::Br),
        operands: vec![Operand::Index(target), Operand::Remap(Vec::new())],
    }
}

fn set_targets(instruction: &mut Instruction, target: u32) {
    for (field, operand) in instruction.op.info().fields.iter().zip(&mut instruction.operands) {
        match (field, operand) {
            (Field::Pc, Operand::Index(pc)) => *pc = target,
            (Field::Cases, Operand::Cases(cases)) => cases.iter_mut().for_each(|case| case.target = target),
            _ => {}
        }
    }
}

/// A register that can hold `kind`.
pub fn register(kind: Kind, random: &mut Random) -> Register {
    match kind {
        Kind::Ref => Register::reference(random.below(usize::from(REF_REGISTERS)) as u16),
        Kind::I32 | Kind::F32 => Register::value(random.below(usize::from(VALUE_REGISTERS)) as u16),
        Kind::I64 | Kind::F64 => Register::value(2 * random.below(usize::from(VALUE_REGISTERS) / 2) as u16),
    }
}

/// As [`register`]; refs may carry MOVE.
fn movable(kind: Kind, random: &mut Random) -> Register {
    let register = register(kind, random);
    if register.is_ref() && random.chance() { Register::moved(register.ordinal()) } else { register }
}

/// A valid instruction of [`everything`]'s module; branch targets are 0.
pub fn sample(op: Op, random: &mut Random) -> Instruction {
    use CoreOp::{Call, CallVariadic, CallVariadicYieldable, CallYieldable};
    let fields = op.info().fields;
    let call = match op {
        Op::Core(Call | CallYieldable) => Some(random.below(3)),
        Op::Core(CallVariadic | CallVariadicYieldable) => Some(3 + random.below(4)),
        _ => None,
    };
    // Internal function 0, the imports without spans, then all imports.
    let call = call.map(|choice| match choice {
        0 => (0, "0iIr_rI"),
        1 | 2 => (IMPORT_BIT | (choice as u32 - 1), IMPORTS[choice - 1]),
        _ => (IMPORT_BIT | (choice as u32 - 3), IMPORTS[choice - 3]),
    });
    let mut segments = Vec::new();
    let mut operands = Vec::new();
    for field in fields {
        operands.push(match (field, call) {
            (Field::Func, Some((raw, _))) => Operand::Index(raw),
            (Field::Func, None) => Operand::Index(IMPORT_BIT | random.below(IMPORTS.len()) as u32),
            (Field::Segments, Some((_, cconv))) => {
                segments = segment_sizes(cconv, random);
                Operand::Segments(segments.clone())
            }
            (Field::Regs, Some((_, cconv))) => Operand::Registers(arguments(cconv, &segments, random)),
            (Field::RegsWrite, Some((_, cconv))) => Operand::Registers(
                Signature::parse(cconv)
                    .unwrap()
                    .results()
                    .iter()
                    .map(|kind| register(*kind, random))
                    .collect(),
            ),
            (field, _) => plain_operand(op, *field, random),
        });
    }
    Instruction { op, operands }
}

fn plain_operand(op: Op, field: Field, random: &mut Random) -> Operand {
    match field {
        Field::Read(kind) | Field::Write(kind) => Operand::Register(register(kind, random)),
        Field::ReadMove => Operand::Register(movable(Kind::Ref, random)),
        Field::Imm32 | Field::ImmF32 => Operand::Imm32(random.next() as u32),
        Field::Imm64 | Field::ImmF64 => Operand::Imm64(random.next()),
        Field::GlobalOffset => Operand::Index(random.below(GLOBAL_BYTES as usize - 7) as u32),
        Field::GlobalRef => Operand::Index(random.below(GLOBAL_REFS as usize) as u32),
        Field::Rodata => Operand::Index(random.below(RODATA) as u32),
        Field::Type if op == Op::Core(CoreOp::ListAlloc) => Operand::Index(random.below(TYPES.len()) as u32),
        Field::Type => Operand::Index((FIRST_REF_TYPE + random.below(TYPES.len() - FIRST_REF_TYPE)) as u32),
        Field::Func | Field::Pc => Operand::Index(0),
        Field::Str => Operand::Str((0..random.below(9)).map(|_| b'a' + random.below(26) as u8).collect()),
        Field::Regs => Operand::Registers(match op {
            Op::Core(CoreOp::Return) => arguments_of(Signature::parse(RESULTS).unwrap().results(), random),
            Op::Core(CoreOp::DiscardRefs) => {
                (0..random.below(4)).map(|_| movable(Kind::Ref, random)).collect()
            }
            _ => (0..random.below(5)).map(|_| any(random)).collect(),
        }),
        Field::RegsOf(kind) => {
            Operand::Registers((0..random.below(5)).map(|_| movable(kind, random)).collect())
        }
        Field::RegsWrite => Operand::Registers(Vec::new()),
        Field::Segments => Operand::Segments(Vec::new()),
        Field::Remap => Operand::Remap(remap(random)),
        Field::Cases => {
            Operand::Cases((0..random.below(4)).map(|_| Case { target: 0, remap: remap(random) }).collect())
        }
    }
}

fn any(random: &mut Random) -> Register {
    let kind = if random.chance() { Kind::Ref } else { Kind::I32 };
    movable(kind, random)
}

fn remap(random: &mut Random) -> Vec<RemapPair> {
    let pair = |random: &mut Random| {
        let source = any(random);
        let kind = if source.is_ref() { Kind::Ref } else { Kind::I32 };
        RemapPair { source, target: register(kind, random) }
    };
    (0..random.below(4)).map(|_| pair(random)).collect()
}

fn arguments_of(kinds: &[Kind], random: &mut Random) -> Vec<Register> {
    kinds.iter().map(|kind| movable(*kind, random)).collect()
}

fn segment_sizes(cconv: &str, random: &mut Random) -> Vec<u16> {
    let size = |argument: &Argument| match argument {
        Argument::Value(_) => SEGMENT_SCALAR,
        Argument::Span(_) => random.below(4) as u16,
    };
    Signature::parse(cconv).unwrap().arguments().iter().map(size).collect()
}

fn arguments(cconv: &str, segments: &[u16], random: &mut Random) -> Vec<Register> {
    let signature = Signature::parse(cconv).unwrap();
    let mut registers = Vec::new();
    for (index, argument) in signature.arguments().iter().enumerate() {
        match argument {
            Argument::Value(kind) => registers.push(movable(*kind, random)),
            Argument::Span(tuple) => {
                for _ in 0..segments[index] {
                    registers.extend(arguments_of(tuple, random));
                }
            }
        }
    }
    registers
}

/// The bytes of a module, and what reading them gives.
pub fn built(builder: ModuleBuilder) -> (Vec<u8>, Archive) {
    let bytes = builder.build().unwrap();
    let archive = Archive::parse(&bytes).unwrap();
    (bytes, archive)
}

/// A flat archive of a changed definition.
pub fn written(builder: &ModuleBuilder, change: impl FnOnce(&mut ModuleDef<Vec<u8>>)) -> Vec<u8> {
    let mut definition = builder.definition().unwrap();
    change(&mut definition);
    write_flatbuffer(&definition)
}

/// A folder of the repository, relative to this crate.
pub fn folder(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every `.vmfb` of a folder, by name. Fails if there is none, so that nothing is skipped silently.
pub fn compiled(path: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(path);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "vmfb"));
    files.sort();
    assert!(!files.is_empty(), "no compiled modules in {}", folder.display());
    let named = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(file).unwrap())
    };
    files.into_iter().map(named).collect()
}
