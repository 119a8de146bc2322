//! Assembly text to the code of one function: the text that `disassemble.rs` writes, and a little more.
//!
//! ```text
//! ^entry:                                // a block; the name is free
//!   %i2 = vm.add.i32 %i0, %i1            // "vm." may be left out
//!   %i4:5 = vm.ext.i32.i64.s %i2         // pairs are written with both halves, or by the even one
//!   vm.global.store.i64 %i4:5, .rwdata[@counter]
//!   vm.br ^exit(%i2->%i0)                // labels may be used before they stand
//! ^exit:
//!   vm.return %i0
//! ```
//!
//! One instruction a line; `//` starts a comment; `[0000001A]` in front is skipped. A text that does not start with
//! a label gets a block marker in front. Nothing is verified: wrong code can be written on purpose.
//!
//! Not here: modules around functions (`module_builder.rs`).

mod instruction;
mod scanner;

use std::collections::HashMap;

use weft_sync::{Result, Status, WhileDoing, bail};

use crate::archive::Features;
use crate::isa::{BLOCK_MARKER, CoreOp, Field, Instruction, Kind, Op, OpSet, Operand, Register, encode};
use scanner::Scanner;

/// The names that code may use.
#[derive(Debug)]
pub struct Symbols<'a> {
    /// The module's own name.
    pub module: &'a str,
    /// Full names of imports, by ordinal.
    pub imports: &'a [Box<str>],
    /// Names of functions, by ordinal; empty for those without.
    pub functions: &'a [Box<str>],
    /// Named globals.
    pub globals: &'a [Global],
    /// The type table; spellings that are not in it are added.
    pub types: &'a mut Vec<String>,
}

/// A global with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// What the text calls it, after `@`.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its byte offset, or for refs its ordinal.
    pub position: u32,
}

/// Assembled code, and what its function's descriptor has to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssembledCode {
    /// The code.
    pub bytes: Vec<u8>,
    /// Number of block markers.
    pub block_count: usize,
    /// One more than the highest value register used; an even one in the list of a call or `return` counts as a
    /// pair, since the list does not say.
    pub value_registers: usize,
    /// One more than the highest ref register used.
    pub ref_registers: usize,
    /// What the opcodes need; hints as compilers give them.
    pub requirements: u32,
    /// The pc of each instruction and the line of text that it comes from.
    pub lines: Vec<(u32, usize)>,
}

/// Assembles the code of one function.
///
/// ```
/// use weft_vm::assemble::{Symbols, assemble};
/// let mut symbols =
///     Symbols { module: "m", imports: &[], functions: &[], globals: &[], types: &mut Vec::new() };
/// let code = assemble("%i1 = vm.const.i32.zero \n vm.return %i1", &mut symbols).unwrap();
/// assert_eq!(code.bytes, [0x79, 0x0C, 1, 0, 0x5A, 0, 1, 0, 1, 0]);
/// assert_eq!((code.block_count, code.value_registers), (1, 2));
/// ```
pub fn assemble(text: &str, symbols: &mut Symbols<'_>) -> Result<AssembledCode> {
    let mut assembly = Assembly {
        symbols,
        line: 0,
        code: AssembledCode::default(),
        labels: HashMap::new(),
        references: Vec::new(),
        branches: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        assembly.line = index + 1;
        assembly.line(line).while_doing(|| format!("assembling line {}: `{}`", index + 1, line.trim()))?;
    }
    assembly.resolve()?;
    Ok(assembly.code)
}

struct Assembly<'a, 'symbols> {
    symbols: &'a mut Symbols<'symbols>,
    /// Of the text, from 1.
    line: usize,
    code: AssembledCode,
    labels: HashMap<String, u32>,
    /// Label uses; until all labels are known, a `pc` operand holds the index of its use here.
    references: Vec<Fixup>,
    /// Instructions with `pc` fields, and where they start.
    branches: Vec<(usize, Instruction)>,
}

struct Fixup {
    label: String,
    line: usize,
}

impl Assembly<'_, '_> {
    fn line(&mut self, line: &str) -> Result<()> {
        let mut scanner = Scanner::new(line);
        if scanner.sees("[") {
            scanner.expect("[")?;
            scanner.word();
            scanner.expect("]")?;
        }
        if scanner.is_at_end() {
            return Ok(());
        }
        if scanner.sees("^") {
            let name = scanner.label()?;
            scanner.expect(":")?;
            if !scanner.is_at_end() {
                return Err(scanner.unexpected("the end of the line after a label"));
            }
            return self.block(name);
        }
        if self.code.bytes.is_empty() {
            self.mark_block();
        }
        let instruction = self.instruction(&mut scanner)?;
        self.emit(instruction)
    }

    fn block(&mut self, name: &str) -> Result<()> {
        let pc = self.code.bytes.len() as u32;
        if self.labels.insert(name.to_owned(), pc).is_some() {
            bail!(AlreadyExists, "label `^{name}` stands twice");
        }
        self.mark_block();
        Ok(())
    }

    fn mark_block(&mut self) {
        self.code.bytes.push(BLOCK_MARKER);
        self.code.block_count += 1;
    }

    fn emit(&mut self, instruction: Instruction) -> Result<()> {
        self.note(&instruction);
        let start = self.code.bytes.len();
        self.code.lines.push((start as u32, self.line));
        encode(&instruction, &mut self.code.bytes)?;
        if instruction.op.info().fields.contains(&Field::Pc) {
            self.branches.push((start, instruction));
        }
        Ok(())
    }

    /// Counts registers and features.
    fn note(&mut self, instruction: &Instruction) {
        let features = match instruction.op.info().set {
            OpSet::F32 => Features::EXT_F32,
            OpSet::F64 => Features::EXT_F64,
            OpSet::Core => match instruction.op {
                Op::Core(CoreOp::Yield | CoreOp::CallVariadicYieldable) => Features::YIELD,
                _ => Features::empty(),
            },
        };
        self.code.requirements |= features.bits();
        for (field, operand) in instruction.op.info().fields.iter().zip(&instruction.operands) {
            match (field, operand) {
                (Field::Read(kind) | Field::Write(kind), Operand::Register(register)) => {
                    self.used(*register, kind.registers());
                }
                (_, Operand::Register(register)) => self.used(*register, 1),
                (Field::RegsOf(kind), Operand::Registers(list)) => {
                    list.iter().for_each(|register| self.used(*register, kind.registers()));
                }
                // Lists of calls and `return` name pairs by their even register only, so each even one may be a pair.
                (_, Operand::Registers(list)) => {
                    list.iter()
                        .for_each(|register| self.used(*register, 2 - u32::from(register.ordinal() % 2)));
                }
                (_, Operand::Remap(pairs)) => self.used_by(pairs),
                (_, Operand::Cases(cases)) => cases.iter().for_each(|case| self.used_by(&case.remap)),
                _ => {}
            }
        }
    }

    fn used_by(&mut self, pairs: &[crate::isa::RemapPair]) {
        for pair in pairs {
            self.used(pair.source, 1);
            self.used(pair.target, 1);
        }
    }

    fn used(&mut self, register: Register, count: u32) {
        let count = if register.is_ref() { 1 } else { count as usize };
        let end = usize::from(register.ordinal()) + count;
        let registers =
            if register.is_ref() { &mut self.code.ref_registers } else { &mut self.code.value_registers };
        *registers = end.max(*registers);
    }

    /// Encodes the branches again, now that every label has a pc. The size of an instruction does not depend on
    /// its targets.
    fn resolve(&mut self) -> Result<()> {
        for (start, mut instruction) in std::mem::take(&mut self.branches) {
            for (field, operand) in instruction.op.info().fields.iter().zip(&mut instruction.operands) {
                match (field, operand) {
                    (Field::Pc, Operand::Index(reference)) => *reference = self.label_pc(*reference)?,
                    (Field::Cases, Operand::Cases(cases)) => {
                        for case in cases {
                            case.target = self.label_pc(case.target)?;
                        }
                    }
                    _ => {}
                }
            }
            // Pads depend on whether the pc is odd, and on nothing else before the instruction.
            let parity = start % 2;
            let mut bytes = vec![0; parity];
            encode(&instruction, &mut bytes)?;
            let length = bytes.len() - parity;
            self.code.bytes[start..start + length].copy_from_slice(&bytes[parity..]);
        }
        Ok(())
    }

    fn label_pc(&self, reference: u32) -> Result<u32> {
        let Fixup { label, line } = &self.references[reference as usize];
        match self.labels.get(label) {
            Some(pc) => Ok(*pc),
            None => Err(Status::new(
                weft_sync::Code::NotFound,
                format!("label `^{label}`, used in line {line}, does not stand anywhere"),
            )),
        }
    }
}
