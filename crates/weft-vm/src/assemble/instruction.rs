//! One instruction of assembly text: words put into fields as `isa/text.rs` says.

use weft_sync::{Result, bail, status};

use super::scanner::Scanner;
use super::{Assembly, Fixup};
use crate::isa::text::{Piece, layout, leading_results};
use crate::isa::{Case, Field, IMPORT_BIT, Instruction, Op, Operand, Register, RemapPair};

impl Assembly<'_, '_> {
    /// Parses `[results =] [vm.]mnemonic operands` and notes the labels it names.
    pub(super) fn instruction(&mut self, scanner: &mut Scanner<'_>) -> Result<Instruction> {
        let results = leading_registers(scanner)?;
        let word = scanner.word();
        let mnemonic = word.strip_prefix("vm.").unwrap_or(word);
        let Some(op) = Op::by_mnemonic(mnemonic) else {
            bail!(InvalidArgument, "no instruction is called `{mnemonic}`");
        };
        let fields = op.info().fields;
        let mut operands: Vec<Option<Operand>> = vec![None; fields.len()];
        place_results(op, results, &mut operands)?;
        for piece in layout(op) {
            match piece {
                Piece::Literal(literal) => scanner.expect(literal)?,
                Piece::Field(index) => operands[index] = Some(self.operand(fields[index], scanner)?),
            }
        }
        if !scanner.is_at_end() {
            return Err(scanner.unexpected("the end of the instruction"));
        }
        let operands: Option<Vec<Operand>> = operands.into_iter().collect();
        // Every field is a leading result or in the layout.
        let operands = operands.ok_or_else(|| status!(Internal, "`{mnemonic}` has a field without text"))?;
        Ok(Instruction { op, operands })
    }

    fn operand(&mut self, field: Field, scanner: &mut Scanner<'_>) -> Result<Operand> {
        Ok(match field {
            Field::Read(_) | Field::ReadMove | Field::Write(_) => Operand::Register(scanner.register()?),
            Field::Imm32 => Operand::Imm32(scanner.integer(32)? as u32),
            Field::Imm64 => Operand::Imm64(scanner.integer(64)?),
            Field::ImmF32 => Operand::Imm32(f32_bits(scanner.float_word())?),
            Field::ImmF64 => Operand::Imm64(f64_bits(scanner.float_word())?),
            Field::GlobalOffset | Field::GlobalRef if scanner.sees("@") => {
                Operand::Index(self.global(scanner.symbol()?, field)?)
            }
            Field::GlobalOffset | Field::GlobalRef | Field::Rodata => {
                Operand::Index(scanner.integer(32)? as u32)
            }
            Field::Type => Operand::Index(self.type_id(scanner.type_name()?)),
            Field::Func => Operand::Index(self.callee(scanner.symbol()?)?),
            Field::Pc => Operand::Index(self.label_reference(scanner.label()?)),
            Field::Str => Operand::Str(scanner.string()?),
            Field::Regs | Field::RegsOf(_) | Field::RegsWrite => {
                Operand::Registers(separated(scanner, "%", |scanner| scanner.register())?)
            }
            Field::Segments => {
                let mut sizes = Vec::new();
                while !scanner.sees("]") {
                    if !sizes.is_empty() {
                        scanner.expect(",")?;
                    }
                    sizes.push(scanner.integer(16)? as u16);
                }
                Operand::Segments(sizes)
            }
            Field::Remap => Operand::Remap(remap(scanner)?),
            Field::Cases => Operand::Cases(self.cases(scanner)?),
        })
    }

    /// `, 0: ^label(remap), 1: …`
    fn cases(&mut self, scanner: &mut Scanner<'_>) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        while scanner.take(",") {
            let index = scanner.integer(16)? as usize;
            if index != cases.len() {
                bail!(InvalidArgument, "case {index} where case {} has to stand", cases.len());
            }
            scanner.expect(":")?;
            let target = self.label_reference(scanner.label()?);
            scanner.expect("(")?;
            cases.push(Case { target, remap: remap(scanner)? });
            scanner.expect(")")?;
        }
        Ok(cases)
    }

    /// The number standing for a label until all labels are known.
    fn label_reference(&mut self, name: &str) -> u32 {
        self.references.push(Fixup { label: name.to_owned(), line: self.line });
        self.references.len() as u32 - 1
    }

    fn callee(&self, name: &str) -> Result<u32> {
        let imports = self.symbols.imports;
        if let Some(ordinal) = imports.iter().position(|import| import.as_ref() == name) {
            return Ok(ordinal as u32 | IMPORT_BIT);
        }
        let local = name.strip_prefix(self.symbols.module).unwrap_or(name);
        if let Some(ordinal) = local.strip_prefix(':') {
            return ordinal.parse().map_err(|_| status!(InvalidArgument, "no function is called `{name}`"));
        }
        let local = if local.len() < name.len() { local.strip_prefix('.').unwrap_or(name) } else { name };
        match self.symbols.functions.iter().position(|function| function.as_ref() == local) {
            Some(ordinal) => Ok(ordinal as u32),
            None => bail!(NotFound, "no function or import is called `{name}`"),
        }
    }

    fn global(&self, name: &str, field: Field) -> Result<u32> {
        let global = self.symbols.globals.iter().find(|global| global.name == name);
        let Some(global) = global else { bail!(NotFound, "no global is called `{name}`") };
        if global.kind.is_ref() != (field == Field::GlobalRef) {
            bail!(InvalidArgument, "global `{name}` holds {}", global.kind.name());
        }
        Ok(global.position)
    }

    fn type_id(&mut self, name: &str) -> u32 {
        let types = &mut self.symbols.types;
        let found = types.iter().position(|known| known == name);
        let index = found.unwrap_or_else(|| {
            types.push(name.to_owned());
            types.len() - 1
        });
        index as u32
    }
}

/// Registers up to an `=`; none if there is no `=`.
fn leading_registers(scanner: &mut Scanner<'_>) -> Result<Vec<Register>> {
    let results = separated(scanner, "%", |scanner| scanner.register())?;
    if !results.is_empty() {
        scanner.expect("=")?;
    }
    Ok(results)
}

fn place_results(op: Op, results: Vec<Register>, operands: &mut [Option<Operand>]) -> Result<()> {
    let mut left = results.as_slice();
    for (index, field) in leading_results(op) {
        operands[index] = Some(match (field, left) {
            (Field::RegsWrite, all) => {
                left = &[];
                Operand::Registers(all.to_vec())
            }
            (_, [first, rest @ ..]) => {
                left = rest;
                Operand::Register(*first)
            }
            (_, []) => {
                bail!(InvalidArgument, "`{}` gives a result: `%... = ` is missing", op.info().mnemonic)
            }
        });
    }
    if !left.is_empty() {
        bail!(InvalidArgument, "`{}` gives {} results fewer", op.info().mnemonic, left.len());
    }
    Ok(())
}

/// Elements separated by commas, as long as each starts with `start`.
fn separated<T>(
    scanner: &mut Scanner<'_>,
    start: &str,
    element: impl Fn(&mut Scanner<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut elements = Vec::new();
    if !scanner.sees(start) {
        return Ok(elements);
    }
    loop {
        elements.push(element(scanner)?);
        if !scanner.take(",") {
            return Ok(elements);
        }
    }
}

fn remap(scanner: &mut Scanner<'_>) -> Result<Vec<RemapPair>> {
    separated(scanner, "%", |scanner| {
        let source = scanner.register()?;
        scanner.expect("->")?;
        Ok(RemapPair { source, target: scanner.register()? })
    })
}

fn f32_bits(word: &str) -> Result<u32> {
    let bits = match word {
        "nan" => Some(0x7FC0_0000),
        "-nan" => Some(0xFFC0_0000),
        _ => match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse::<f32>().ok().map(f32::to_bits),
        },
    };
    bits.ok_or_else(|| status!(InvalidArgument, "`{word}` is no f32"))
}

fn f64_bits(word: &str) -> Result<u64> {
    let bits = match word {
        "nan" => Some(0x7FF8_0000_0000_0000),
        "-nan" => Some(0xFFF8_0000_0000_0000),
        _ => match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => word.parse::<f64>().ok().map(f64::to_bits),
        },
    };
    bits.ok_or_else(|| status!(InvalidArgument, "`{word}` is no f64"))
}
