//! Valid programs from arbitrary bytes: made from the opcode table, so that every opcode and field takes part.
//!
//! What it promises: the module verifies. What it does not: that a call succeeds. Anything may be null, of another
//! type, out of range, or loop until its budget ends.
//!
//! 1. Every function has the same registers: 32 values, 8 refs, so any even value register names a pair.
//! 2. Jumps go to blocks of the same function; calls go to any function of the module or to an import.
//! 3. Lists of a call fit the callee's signature.

use weft_sync::Result;
use weft_vm::assemble::AssembledCode;
use weft_vm::isa::{
    BLOCK_MARKER, Case, CoreOp, Field, IMPORT_BIT, Instruction, Kind, Op, Operand, Register, RemapPair,
    encode,
};
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::signature::Signature;

use crate::source::Source;

const VALUE_REGISTERS: usize = 32;
const REF_REGISTERS: usize = 8;
const GLOBAL_BYTES: u32 = 32;
const GLOBAL_REFS: u32 = 4;
const TYPES: &[&str] =
    &["i32", "i64", "f32", "f64", "!vm.buffer", "!vm.list<i32>", "!vm.list<?>", "!vm.opaque"];
/// Entries of `TYPES` that refs can be checked against.
const REF_TYPES: std::ops::Range<usize> = 4..8;
const RODATA: &[&[u8]] = &[b"", b"weft", &[0xFF; 33]];
const SIGNATURES: &[&str] = &["0v_v", "0i_i", "0iI_I", "0r_r", "0rif_ir", "0F_F", "0IfrF_FrI", "0v_rr"];
/// Import and its signature; see `run::host`.
const IMPORTS: &[(&str, &str)] = &[("host.add", "0iI_I"), ("host.same", "0r_r"), ("host.fail", "0i_v")];

/// A module made from the bytes: its archive. The same bytes give the same module.
pub fn module(source: &mut Source<'_>) -> Result<Vec<u8>> {
    let mut builder = ModuleBuilder::new("fuzz").global_bytes(GLOBAL_BYTES).global_refs(GLOBAL_REFS);
    for spelling in TYPES {
        builder = builder.type_entry(spelling);
    }
    for data in RODATA {
        builder = builder.rodata(data);
    }
    for (name, cconv) in IMPORTS {
        builder = builder.import(name, cconv);
    }
    builder = builder.optional_import("nowhere.nothing", "0v_v");
    let signatures: Vec<&str> = (0..1 + source.below(4)).map(|_| *source.pick(SIGNATURES)).collect();
    let shapes = Shapes::new(&signatures)?;
    for (index, cconv) in signatures.iter().enumerate() {
        builder = builder.raw_function(&format!("f{index}"), cconv, function(source, &shapes, index)?);
    }
    builder.build()
}

/// What calls have to fit: for functions first, then for imports.
struct Shapes {
    functions: Vec<(Vec<Kind>, Vec<Kind>)>,
    imports: Vec<(Vec<Kind>, Vec<Kind>)>,
    ops: Vec<Op>,
    terminators: Vec<Op>,
}

impl Shapes {
    fn new(signatures: &[&str]) -> Result<Shapes> {
        let shape = |cconv: &str| -> Result<(Vec<Kind>, Vec<Kind>)> {
            let signature = Signature::parse(cconv)?;
            Ok((signature.argument_kinds().unwrap_or_default(), signature.results().to_vec()))
        };
        let functions = signatures.iter().map(|cconv| shape(cconv)).collect::<Result<_>>()?;
        let mut imports = IMPORTS.iter().map(|(_, cconv)| shape(cconv)).collect::<Result<Vec<_>>>()?;
        imports.push((Vec::new(), Vec::new()));
        // Spans occur in imports of devices only; those forms are left to mutations of real modules.
        let variadic = |op: &Op| op.info().fields.contains(&Field::Segments);
        let (terminators, ops) = Op::all().filter(|op| !variadic(op)).partition(|op| op.info().terminator);
        Ok(Shapes { functions, imports, ops, terminators })
    }
}

/// The code of function `index`.
fn function(source: &mut Source<'_>, shapes: &Shapes, index: usize) -> Result<AssembledCode> {
    let blocks = 1 + source.below(5);
    let mut bodies: Vec<Vec<Instruction>> = Vec::new();
    for block in 0..blocks {
        let mut body = Vec::new();
        for _ in 0..source.below(12) {
            let op = *source.pick(&shapes.ops);
            body.push(instruction(source, shapes, op, blocks, index));
        }
        // The last block mostly returns, so that most functions end.
        let ends = block + 1 == blocks && !source.one_in(4);
        let op = if ends { Op::Core(CoreOp::Return) } else { *source.pick(&shapes.terminators) };
        body.push(instruction(source, shapes, op, blocks, index));
        bodies.push(body);
    }
    let starts = lay_out(&bodies)?;
    let mut code = Vec::new();
    for mut instruction in
        bodies.iter_mut().flat_map(|body| std::iter::once(None).chain(body.drain(..).map(Some)))
    {
        match &mut instruction {
            None => code.push(BLOCK_MARKER),
            Some(instruction) => {
                aim(instruction, &starts);
                encode(instruction, &mut code)?;
            }
        }
    }
    Ok(AssembledCode {
        bytes: code,
        block_count: blocks,
        value_registers: VALUE_REGISTERS,
        ref_registers: REF_REGISTERS,
        requirements: 0xF,
        lines: Vec::new(),
    })
}

/// Where each block starts. Lengths do not depend on where jumps go.
fn lay_out(bodies: &[Vec<Instruction>]) -> Result<Vec<u32>> {
    let mut starts = Vec::new();
    let mut code = Vec::new();
    for body in bodies {
        starts.push(code.len() as u32);
        code.push(BLOCK_MARKER);
        for instruction in body {
            encode(instruction, &mut code)?;
        }
    }
    Ok(starts)
}

/// Replaces block numbers by pcs.
fn aim(instruction: &mut Instruction, starts: &[u32]) {
    let fields = instruction.op.info().fields;
    for (field, operand) in fields.iter().zip(&mut instruction.operands) {
        match (field, operand) {
            (Field::Pc, Operand::Index(block)) => *block = starts[*block as usize],
            (Field::Cases, Operand::Cases(cases)) => {
                cases.iter_mut().for_each(|case| case.target = starts[case.target as usize]);
            }
            _ => {}
        }
    }
}

/// One instruction with operands that the verifier accepts.
fn instruction(source: &mut Source<'_>, shapes: &Shapes, op: Op, blocks: usize, index: usize) -> Instruction {
    let callee = callee(source, shapes, op);
    let (arguments, results) = match (op, callee) {
        (Op::Core(CoreOp::Return), _) => (&shapes.functions[index].1[..], &[][..]),
        (_, Some(func)) => {
            let table = if func & IMPORT_BIT != 0 { &shapes.imports } else { &shapes.functions };
            let (arguments, results) = &table[(func & !IMPORT_BIT) as usize];
            (&arguments[..], &results[..])
        }
        _ => (&[][..], &[][..]),
    };
    let fits_signature = callee.is_some() || op == Op::Core(CoreOp::Return);
    let fields = op.info().fields;
    let operand = |field: &Field| match field {
        Field::Func => Operand::Index(callee.unwrap_or(IMPORT_BIT)),
        Field::Regs if fits_signature => list(source, arguments, true),
        Field::RegsWrite => list(source, results, false),
        field => free_operand(source, op, *field, blocks),
    };
    Instruction { op, operands: fields.iter().map(operand).collect() }
}

/// Whom a call calls; `None` for other instructions.
fn callee(source: &mut Source<'_>, shapes: &Shapes, op: Op) -> Option<u32> {
    match op {
        Op::Core(CoreOp::ImportResolved) => Some(IMPORT_BIT | source.below(shapes.imports.len()) as u32),
        Op::Core(CoreOp::Call | CoreOp::CallYieldable) if source.one_in(3) => {
            Some(IMPORT_BIT | source.below(shapes.imports.len()) as u32)
        }
        Op::Core(CoreOp::Call | CoreOp::CallYieldable) => Some(source.below(shapes.functions.len()) as u32),
        _ => None,
    }
}

/// An operand that no signature constrains.
fn free_operand(source: &mut Source<'_>, op: Op, field: Field, blocks: usize) -> Operand {
    match field {
        Field::Read(kind) | Field::Write(kind) => Operand::Register(register(source, kind, false)),
        Field::ReadMove => Operand::Register(register(source, Kind::Ref, true)),
        Field::Imm32 | Field::ImmF32 => Operand::Imm32(source.number() as u32),
        Field::Imm64 | Field::ImmF64 => Operand::Imm64(source.number()),
        Field::GlobalOffset => Operand::Index(source.below(GLOBAL_BYTES as usize - 7) as u32),
        Field::GlobalRef => Operand::Index(source.below(GLOBAL_REFS as usize) as u32),
        Field::Rodata => Operand::Index(source.below(RODATA.len()) as u32),
        Field::Type if op == Op::Core(CoreOp::ListAlloc) => Operand::Index(source.below(TYPES.len()) as u32),
        Field::Type => Operand::Index((REF_TYPES.start + source.below(REF_TYPES.len())) as u32),
        Field::Pc => Operand::Index(source.below(blocks) as u32),
        Field::Str => Operand::Str((0..source.below(6)).map(|_| source.byte()).collect()),
        Field::Regs => Operand::Registers(any_registers(source, op == Op::Core(CoreOp::DiscardRefs))),
        Field::RegsOf(kind) => {
            Operand::Registers((0..source.below(4)).map(|_| register(source, kind, true)).collect())
        }
        Field::Remap => Operand::Remap(remap(source)),
        Field::Cases => Operand::Cases(
            (0..source.below(4))
                .map(|_| Case { target: source.below(blocks) as u32, remap: remap(source) })
                .collect(),
        ),
        Field::Func | Field::RegsWrite | Field::Segments => unreachable!("made by the caller"),
    }
}

fn register(source: &mut Source<'_>, kind: Kind, may_move: bool) -> Register {
    if kind.is_ref() {
        let ordinal = source.below(REF_REGISTERS) as u16;
        return if may_move && source.one_in(2) {
            Register::moved(ordinal)
        } else {
            Register::reference(ordinal)
        };
    }
    let step = kind.registers() as usize;
    Register::value((source.below(VALUE_REGISTERS / step) * step) as u16)
}

fn list(source: &mut Source<'_>, kinds: &[Kind], may_move: bool) -> Operand {
    Operand::Registers(kinds.iter().map(|kind| register(source, *kind, may_move)).collect())
}

fn any_registers(source: &mut Source<'_>, refs_only: bool) -> Vec<Register> {
    let kind = |source: &mut Source<'_>| if refs_only || source.one_in(2) { Kind::Ref } else { Kind::I32 };
    (0..source.below(4))
        .map(|_| {
            let kind = kind(source);
            register(source, kind, true)
        })
        .collect()
}

fn remap(source: &mut Source<'_>) -> Vec<RemapPair> {
    (0..source.below(4))
        .map(|_| {
            let kind = if source.one_in(2) { Kind::Ref } else { Kind::I32 };
            RemapPair { source: register(source, kind, true), target: register(source, kind, false) }
        })
        .collect()
}
