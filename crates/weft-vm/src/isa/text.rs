//! How instructions are laid out in text: one template for an opcode, read by the disassembler to write and by the
//! assembler to parse.
//!
//! A template holds `{n}` where field `n` (in stream order) stands; everything else is literal. Results that a
//! template does not mention stand in front, as in `%i0 = vm.add.i32 %i1, %i2`; opcodes without a template show
//! their other fields in stream order, separated by commas.

use super::{CoreOp, Field, Op};

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(&'static str),
    /// Index of the field in stream order.
    Field(usize),
}

/// The template of an opcode whose operands are not simply listed.
fn template(op: Op) -> Option<&'static str> {
    use CoreOp::*;
    let mnemonic = op.info().mnemonic;
    let family = |name: &str| mnemonic.starts_with(name);
    // The value forms are the same for all kinds, in all three sets.
    Some(match op {
        Op::Core(GlobalLoadRef | GlobalLoadIndirectRef) => ".refs[{0}] : {1}",
        Op::Core(GlobalStoreRef | GlobalStoreIndirectRef) => "{2}, .refs[{0}] : {1}",
        _ if family("global.load.") => ".rwdata[{0}]",
        _ if family("global.store.") => "{1}, .rwdata[{0}]",
        Op::Core(ListAlloc) => "{1} : !vm.list<{0}>",
        Op::Core(ListGetRef) => "{0}, {1} : {2}",
        Op::Core(CastAnyRef) => "{0} : !vm.ref<?> -> {1}",
        Op::Core(SelectRef) => "{0} ? {2} : {3} -> {1}",
        _ if family("select.") => "{0} ? {1} : {2}",
        Op::Core(SwitchRef) => "{0}[{3}] else {2} -> {1}",
        _ if family("switch.") => "{0}[{2}] else {1}",
        _ if family("buffer.store.") => "{2}, {0}, {1}",
        Op::Core(Br | Yield | Break) => "{0}({1})",
        Op::Core(CondBr) => "{0}, {1}({2}), {3}({4})",
        Op::Core(CondBreak) => "{0}, {1}({2})",
        Op::Core(BrTable) => "{0} { default: {1}({2}){3} }",
        Op::Core(Call) => "{0}({1})",
        Op::Core(CallVariadic) => "{0} segments[{1}]({2})",
        Op::Core(CallYieldable) => "{0}({1}) -> {2}({3})",
        Op::Core(CallVariadicYieldable) => "{0} segments[{1}]({2}) -> {3}({4})",
        Op::Core(Trace | Print) => "{0}({1})",
        _ => return None,
    })
}

/// What follows the mnemonic.
pub(crate) fn layout(op: Op) -> Vec<Piece> {
    let Some(mut rest) = template(op) else {
        let listed = op.info().fields.iter().enumerate().filter(|(_, field)| !field.is_result());
        let mut pieces: Vec<Piece> =
            listed.flat_map(|(index, _)| [Piece::Literal(", "), Piece::Field(index)]).collect();
        pieces.drain(..pieces.len().min(1));
        return pieces;
    };
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        match placeholder(rest) {
            Some(field) => {
                pieces.push(Piece::Field(field));
                rest = &rest[3..];
            }
            None => {
                let end =
                    (1..rest.len()).find(|at| placeholder(&rest[*at..]).is_some()).unwrap_or(rest.len());
                pieces.push(Piece::Literal(&rest[..end]));
                rest = &rest[end..];
            }
        }
    }
    pieces
}

/// The field index if the text starts with `{n}`.
fn placeholder(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'{', digit @ b'0'..=b'9', b'}', ..] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

/// The fields that stand before the `=`, in stream order.
pub(crate) fn leading_results(op: Op) -> impl Iterator<Item = (usize, Field)> {
    let template = template(op).unwrap_or("");
    let fields = op.info().fields.iter().copied().enumerate();
    fields.filter(move |(index, field)| field.is_result() && !template.contains(&format!("{{{index}}}")))
}
