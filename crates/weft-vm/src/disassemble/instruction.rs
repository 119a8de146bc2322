//! The text of one instruction: its operands, put where `isa/text.rs` says.

use std::fmt::Write as _;

use super::number::format_general;
use super::{Listing, Style, block_name};
use crate::isa::text::{Piece, layout, leading_results};
use crate::isa::{Case, Field, IMPORT_BIT, Instruction, Kind, Operand, Register, RemapPair};

/// A register alone: `%i3`, `%r0`, with MOVE `%R0`.
fn register_text(register: Register) -> String {
    match (register.is_ref(), register.is_move()) {
        (false, _) => format!("%i{}", register.ordinal()),
        (true, false) => format!("%r{}", register.ordinal()),
        (true, true) => format!("%R{}", register.ordinal()),
    }
}

/// A register that holds `kind`: pairs show both halves.
fn kind_text(register: Register, kind: Kind) -> String {
    match kind {
        Kind::I64 | Kind::F64 if !register.is_ref() => {
            format!("%i{}:{}", register.ordinal(), register.ordinal() + 1)
        }
        _ => register_text(register),
    }
}

fn list_text(registers: &[Register]) -> String {
    let texts: Vec<String> = registers.iter().map(|register| register_text(*register)).collect();
    texts.join(", ")
}

impl Listing<'_> {
    /// Writes an instruction without indentation or newline.
    pub(super) fn instruction(&self, instruction: &Instruction, blocks: &[u32], out: &mut String) {
        let info = instruction.op.info();
        let text = |index: usize| self.operand(info.fields[index], &instruction.operands[index], blocks);
        let results: Vec<String> = leading_results(instruction.op)
            .map(|(index, _)| text(index))
            .filter(|text| !text.is_empty())
            .collect();
        if !results.is_empty() {
            let _ = write!(out, "{} = ", results.join(", "));
        }
        let _ = write!(out, "vm.{}", info.mnemonic);
        let mut body = String::new();
        for piece in layout(instruction.op) {
            match piece {
                Piece::Literal(literal) => body.push_str(literal),
                Piece::Field(index) => body.push_str(&text(index)),
            }
        }
        if !body.is_empty() {
            let _ = write!(out, " {body}");
        }
    }

    fn operand(&self, field: Field, operand: &Operand, blocks: &[u32]) -> String {
        match (field, operand) {
            (Field::Read(kind) | Field::Write(kind), Operand::Register(register)) => {
                kind_text(*register, kind)
            }
            (Field::ImmF32, Operand::Imm32(bits)) => self.f32_text(*bits),
            (Field::ImmF64, Operand::Imm64(bits)) => self.f64_text(*bits),
            (Field::Type, Operand::Index(index)) => match self.archive.types.get(*index as usize) {
                Some(entry) => entry.full_name.clone(),
                None => format!("<type {index}>"),
            },
            (Field::Func, Operand::Index(raw)) => self.callee_text(*raw),
            (Field::Pc, Operand::Index(pc)) => format!("^{}", block_name(blocks, *pc)),
            (Field::Rodata, Operand::Index(index)) => match self.archive.rodata.get(*index as usize) {
                Some(segment) => format!("{index}  // {}b", segment.range.len()),
                None => format!("{index}"),
            },
            (_, Operand::Register(register)) => register_text(*register),
            (_, Operand::Imm32(bits)) => format!("{}  // 0x{bits:08X}", *bits as i32),
            (_, Operand::Imm64(bits)) => format!("{}  // 0x{bits:016X}", *bits as i64),
            (_, Operand::Index(index)) => index.to_string(),
            (_, Operand::Str(text)) => self.string_text(text),
            (_, Operand::Registers(registers)) => list_text(registers),
            (_, Operand::Segments(sizes)) => {
                let texts: Vec<String> = sizes.iter().map(u16::to_string).collect();
                texts.join(", ")
            }
            (_, Operand::Remap(pairs)) => remap_text(pairs),
            (_, Operand::Cases(cases)) => cases_text(cases, blocks),
        }
    }

    fn callee_text(&self, raw: u32) -> String {
        let ordinal = raw & !IMPORT_BIT;
        if raw & IMPORT_BIT == 0 {
            return format!("@{}", self.callee_name(ordinal));
        }
        match self.archive.imports.get(ordinal as usize) {
            Some(import) => format!("@{}", import.full_name),
            None => format!("@<import {ordinal}>"),
        }
    }

    fn f32_text(&self, bits: u32) -> String {
        let value = f32::from_bits(bits);
        let is_plain = !value.is_nan() || bits & 0x7FFF_FFFF == 0x7FC0_0000;
        match self.options.style {
            Style::Exact if !is_plain => format!("0x{bits:08X}"),
            _ => format_general(f64::from(value), 9),
        }
    }

    fn f64_text(&self, bits: u64) -> String {
        let value = f64::from_bits(bits);
        let is_plain = !value.is_nan() || bits & (u64::MAX >> 1) == 0x7FF8_0000_0000_0000;
        match self.options.style {
            Style::Exact if !is_plain => format!("0x{bits:016X}"),
            _ => format_general(value, 17),
        }
    }

    fn string_text(&self, text: &[u8]) -> String {
        match self.options.style {
            Style::Reference => format!("\"{}\"", String::from_utf8_lossy(text)),
            Style::Exact => format!("\"{}\"", text.escape_ascii()),
        }
    }
}

fn remap_text(pairs: &[RemapPair]) -> String {
    let pair = |pair: &RemapPair| format!("{}->{}", register_text(pair.source), register_text(pair.target));
    let texts: Vec<String> = pairs.iter().map(pair).collect();
    texts.join(", ")
}

/// `, 0: ^bb1(…), 1: …`
fn cases_text(cases: &[Case], blocks: &[u32]) -> String {
    let mut text = String::new();
    for (index, case) in cases.iter().enumerate() {
        let _ = write!(text, ", {index}: ^{}({})", block_name(blocks, case.target), remap_text(&case.remap));
    }
    text
}
