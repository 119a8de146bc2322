//! One pass over a function's code: blocks, instructions, fields (rules 1–8, 16–18, 22–26 of §16).

use weft_sync::Code;

use super::blocks::BlockList;
use super::fields::{Banks, Move, Target};
use super::{CallSite, Checked, FunctionFacts, Refusal, calls, fields};
use crate::archive::{Archive, Features, Function};
use crate::isa::{CoreOp, Cursor, Field, Kind, Op, OpInfo, OpSet, Register, remap_entries, u16_entries};
use crate::signature::Signature;

/// Verifies one function; `code` is the module's code. A failure comes with the pc of the instruction.
pub(super) fn verify_function(
    archive: &Archive,
    code: &[u8],
    ordinal: u32,
    unsigned_calls: &mut Vec<CallSite>,
) -> Result<FunctionFacts, (usize, Refusal)> {
    let function = &archive.functions[ordinal as usize];
    let facts = FunctionFacts { code: function.code.clone(), ..FunctionFacts::default() };
    let mut walk = Walk {
        archive,
        function,
        ordinal,
        banks: Banks::of(function),
        cursor: Cursor::new(&code[function.code.clone()], 0),
        start: 0,
        blocks: BlockList::new(function.block_count),
        facts,
        unsigned_calls,
    };
    match walk.entry().and_then(|()| walk.blocks()) {
        Ok(()) => {}
        Err(refusal) => return Err((walk.start, refusal)),
    }
    walk.blocks.finish()?;
    let mut facts = walk.facts;
    facts.callees.sort_unstable();
    facts.callees.dedup();
    facts.imports.sort_unstable();
    facts.imports.dedup();
    Ok(facts)
}

struct Walk<'a> {
    archive: &'a Archive,
    function: &'a Function,
    ordinal: u32,
    banks: Banks,
    cursor: Cursor<'a>,
    /// The pc of the instruction being checked.
    start: usize,
    blocks: BlockList,
    facts: FunctionFacts,
    unsigned_calls: &'a mut Vec<CallSite>,
}

/// What a call's earlier fields say about its later ones.
#[derive(Clone, Copy, Default)]
struct Call<'a> {
    /// The target's signature; `None` before it is known, and for imports that declare none.
    signature: Option<&'a Signature>,
    segments: Option<&'a [u8]>,
}

impl<'a> Walk<'a> {
    fn entry(&self) -> Checked {
        let missing = self.function.requirements.difference(Features::AVAILABLE);
        if !missing.is_empty() {
            return Err(Refusal::invalid(format_args!("function needs features {missing:?}")));
        }
        let signature = &self.function.signature;
        let Some(entry) = signature.entry_registers() else {
            return Err(Refusal::invalid(format_args!(
                "`{}`: only imports may have spans",
                signature.text()
            )));
        };
        let needed =
            [(entry.value_count, self.banks.values, "value"), (entry.ref_count, self.banks.refs, "ref")];
        for (needed, have, bank) in needed {
            if needed > have {
                return Err(Refusal::invalid(format_args!(
                    "arguments `{}` need {needed} {bank} registers, the function has {have}",
                    signature.text()
                )));
            }
        }
        Ok(())
    }

    fn blocks(&mut self) -> Checked {
        while !self.cursor.is_at_end() {
            self.start = self.cursor.pc();
            match self.cursor.op()? {
                Op::Core(CoreOp::Block) => self.blocks.marker(self.start)?,
                other => {
                    return Err(Refusal::invalid(format_args!(
                        "`{}` where a block has to start",
                        other.info().mnemonic
                    )));
                }
            }
            while !self.instruction()? {}
        }
        Ok(())
    }

    /// Checks one instruction; returns whether it ends the block.
    fn instruction(&mut self) -> Checked<bool> {
        self.start = self.cursor.pc();
        if self.cursor.is_at_end() {
            return Err(Refusal::invalid(
                "function ends inside a block: its last instruction is no terminator",
            ));
        }
        let op = self.cursor.op()?;
        let info = op.info();
        self.feature(op, info)?;
        self.note(op);
        let mut call = Call::default();
        for field in info.fields {
            self.field(op, *field, &mut call)?;
        }
        Ok(info.terminator)
    }

    fn feature(&self, op: Op, info: &OpInfo) -> Checked {
        let needed = match info.set {
            OpSet::Core if op.is_structural() => return Err(Refusal::invalid("block marker inside a block")),
            OpSet::Core => return Ok(()),
            OpSet::F32 => Features::EXT_F32,
            OpSet::F64 => Features::EXT_F64,
        };
        if !self.function.requirements.contains(needed) {
            return Err(Refusal::invalid(format_args!(
                "`{}` needs {needed:?}, which the function does not declare",
                info.mnemonic
            )));
        }
        Ok(())
    }

    /// Records what the opcode alone says about the function.
    fn note(&mut self, op: Op) {
        use crate::isa::{F32Op, F64Op};
        use CoreOp::{
            CallVariadicYieldable, CallYieldable, GlobalStoreI32, GlobalStoreI64, GlobalStoreIndirectI32,
            GlobalStoreIndirectI64, GlobalStoreIndirectRef, GlobalStoreRef, Yield,
        };
        match op {
            Op::Core(GlobalStoreI32 | GlobalStoreI64 | GlobalStoreRef)
            | Op::Core(GlobalStoreIndirectI32 | GlobalStoreIndirectI64 | GlobalStoreIndirectRef)
            | Op::F32(F32Op::GlobalStoreF32 | F32Op::GlobalStoreIndirectF32)
            | Op::F64(F64Op::GlobalStoreF64 | F64Op::GlobalStoreIndirectF64) => {
                self.facts.stores_globals = true
            }
            Op::Core(Yield | CallYieldable | CallVariadicYieldable) => self.facts.yields = true,
            _ => {}
        }
    }

    fn field(&mut self, op: Op, field: Field, call: &mut Call<'a>) -> Checked {
        match field {
            Field::Read(kind) => self.banks.kind(Register(self.cursor.u16()?), kind, Move::Forbidden),
            Field::ReadMove => self.banks.kind(Register(self.cursor.u16()?), Kind::Ref, Move::Allowed),
            Field::Write(kind) => self.written(op, kind),
            Field::Imm32 | Field::ImmF32 => self.cursor.u32().map(drop).map_err(Refusal::from),
            Field::Imm64 | Field::ImmF64 => self.cursor.u64().map(drop).map_err(Refusal::from),
            Field::GlobalOffset => fields::global_offset(self.archive, op.info(), self.cursor.u32()?),
            Field::GlobalRef => {
                fields::ordinal(self.cursor.u32()?, self.archive.global_refs as usize, "ref global")
            }
            Field::Rodata => fields::ordinal(self.cursor.u32()?, self.archive.rodata.len(), "rodata segment"),
            Field::Type => {
                let element = op == Op::Core(CoreOp::ListAlloc);
                fields::type_id(self.archive, self.cursor.u32()?, element)
            }
            Field::Func => self.function_field(op, call),
            Field::Pc => {
                let target = self.cursor.u32()?;
                self.blocks.target(target, self.start)
            }
            Field::Str => {
                let count = usize::from(self.cursor.u16()?);
                self.cursor.bytes(count).map(drop).map_err(Refusal::from)
            }
            Field::Regs => self.register_list(op, call),
            Field::RegsOf(kind) => {
                let list = self.cursor.list(2)?;
                u16_entries(list).try_for_each(|raw| self.banks.kind(Register(raw), kind, Move::Allowed))
            }
            Field::RegsWrite => self.result_list(call),
            Field::Segments => self.segments(call),
            Field::Remap => self.remap(),
            Field::Cases => self.cases(),
        }
    }

    fn written(&mut self, op: Op, kind: Kind) -> Checked {
        let register = Register(self.cursor.u16()?);
        let loads_global = matches!(op, Op::Core(CoreOp::GlobalLoadRef | CoreOp::GlobalLoadIndirectRef));
        // Taking a ref out of a global leaves null behind, which is a store.
        self.facts.stores_globals |= loads_global && register.is_move();
        self.banks.kind(register, kind, Move::Allowed)
    }

    fn function_field(&mut self, op: Op, call: &mut Call<'a>) -> Checked {
        use CoreOp::{CallVariadic, CallVariadicYieldable, ImportResolved};
        let target = fields::function(self.archive, self.cursor.u32()?)?;
        match (op, target) {
            (Op::Core(ImportResolved), Target::Internal(_)) => {
                return Err(Refusal::invalid("`import.resolved` of a function that is no import"));
            }
            (Op::Core(ImportResolved), Target::Import(_)) => {}
            (Op::Core(CallVariadic | CallVariadicYieldable), Target::Internal(_)) => {
                let message = "variadic call of a function that is no import";
                return Err(Refusal::new(Code::FailedPrecondition, message));
            }
            (_, Target::Internal(ordinal)) => {
                self.facts.callees.push(ordinal);
                call.signature = Some(&self.archive.functions[ordinal as usize].signature);
            }
            (_, Target::Import(ordinal)) => {
                self.facts.imports.push(ordinal);
                call.signature = self.archive.imports[ordinal as usize].signature.as_ref();
                if call.signature.is_none() {
                    let pc = self.start as u32;
                    self.unsigned_calls.push(CallSite { function: self.ordinal, pc, import: ordinal });
                }
            }
        }
        Ok(())
    }

    fn register_list(&mut self, op: Op, call: &Call<'a>) -> Checked {
        let list = self.cursor.list(2)?;
        match (op, call.signature) {
            (Op::Core(CoreOp::Return), _) => {
                calls::results(self.banks, &self.function.signature, list, Move::Allowed)
            }
            (Op::Core(CoreOp::DiscardRefs), _) => {
                u16_entries(list).try_for_each(|raw| self.banks.kind(Register(raw), Kind::Ref, Move::Allowed))
            }
            (_, Some(signature)) => calls::operands(self.banks, signature, call.segments, list),
            // `trace`, `print`, and calls of imports whose signature is known when they are resolved.
            (_, None) => u16_entries(list).try_for_each(|raw| self.banks.any(Register(raw), Move::Allowed)),
        }
    }

    fn result_list(&mut self, call: &Call<'a>) -> Checked {
        let list = self.cursor.list(2)?;
        match call.signature {
            Some(signature) => calls::results(self.banks, signature, list, Move::Forbidden),
            None => u16_entries(list).try_for_each(|raw| self.banks.any(Register(raw), Move::Forbidden)),
        }
    }

    fn segments(&mut self, call: &mut Call<'a>) -> Checked {
        let list = self.cursor.list(2)?;
        call.segments = Some(list);
        call.signature.map_or(Ok(()), |signature| calls::segments(signature, list))
    }

    fn remap(&mut self) -> Checked {
        let list = self.cursor.list(4)?;
        remap_entries(list).try_for_each(|pair| self.banks.remap(pair))
    }

    fn cases(&mut self) -> Checked {
        let count = self.cursor.u16()?;
        for _ in 0..count {
            let target = self.cursor.u32()?;
            self.blocks.target(target, self.start)?;
            self.remap()?;
        }
        Ok(())
    }
}
