//! Bytes of code to [`Instruction`]s and back.
//!
//! Lives here: the checked [`Cursor`] over one function's code, which every reader of untrusted code uses, and the
//! owned [`Instruction`] form for text, tests and generators. It knows the encoding only: whether an operand is
//! legal is the verifier's business, and the interpreter reads verified bytes without any of this.
//!
//! Reading is total: any bytes give a value or a [`DecodeError`], and lengths are compared with what is left
//! before anything is allocated for them.

use std::fmt;

use weft_sync::{Code, Result, bail};

use super::{CoreOp, Field, Op, OpSet, Register};

/// Why bytes are no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The instruction runs past the end of the function.
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// No instruction has this opcode.
    Unassigned {
        /// The table that was asked.
        set: OpSet,
        /// The opcode byte.
        byte: u8,
    },
    /// An alignment byte is not zero.
    Pad(u8),
}

/// What reading yields.
pub type Decoded<T> = std::result::Result<T, DecodeError>;

impl DecodeError {
    /// The status code of §16 for it.
    pub fn code(self) -> Code {
        match self {
            DecodeError::Truncated { .. } => Code::OutOfRange,
            DecodeError::Unassigned { .. } | DecodeError::Pad(_) => Code::InvalidArgument,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated { needed, left } => {
                write!(f, "instruction needs {needed} more bytes, the function has {left} left")
            }
            DecodeError::Unassigned { set, byte } => {
                let set = match set {
                    OpSet::Core => "core",
                    OpSet::F32 => "f32",
                    OpSet::F64 => "f64",
                };
                write!(f, "opcode 0x{byte:02X} is not assigned in the {set} set")
            }
            DecodeError::Pad(byte) => write!(f, "alignment byte is 0x{byte:02X}, expected 0"),
        }
    }
}

/// Reads fields from one function's code; pcs are relative to its start, as in the encoding.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    code: &'a [u8],
    pc: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over the function `code`, standing at `pc`.
    pub fn new(code: &'a [u8], pc: usize) -> Cursor<'a> {
        Cursor { code, pc: pc.min(code.len()) }
    }

    /// Where the next field starts.
    pub fn pc(&self) -> usize {
        self.pc
    }

    /// Whether all bytes are read.
    pub fn is_at_end(&self) -> bool {
        self.pc == self.code.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let left = self.code.len() - self.pc;
        if count > left {
            return Err(DecodeError::Truncated { needed: count, left });
        }
        let bytes = &self.code[self.pc..self.pc + count];
        self.pc += count;
        Ok(bytes)
    }

    #[inline]
    fn array<const SIZE: usize>(&mut self) -> Decoded<[u8; SIZE]> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.bytes(SIZE)?);
        Ok(array)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Decoded<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Skips to an even pc; the byte skipped must be zero.
    #[inline]
    pub fn pad(&mut self) -> Decoded<()> {
        if self.pc % 2 == 1 {
            let byte = self.u8()?;
            if byte != 0 {
                return Err(DecodeError::Pad(byte));
            }
        }
        Ok(())
    }

    /// A counted list of `stride`-byte entries, after padding: its bytes.
    #[inline]
    pub fn list(&mut self, stride: usize) -> Decoded<&'a [u8]> {
        self.pad()?;
        let count = usize::from(self.u16()?);
        self.bytes(count * stride)
    }

    /// Opcode byte or bytes.
    #[inline]
    pub fn op(&mut self) -> Decoded<Op> {
        let first = self.u8()?;
        let (set, byte) = match CoreOp::from_byte(first) {
            Some(CoreOp::PrefixF32) => (OpSet::F32, self.u8()?),
            Some(CoreOp::PrefixF64) => (OpSet::F64, self.u8()?),
            _ => (OpSet::Core, first),
        };
        Op::by_number(set, byte).ok_or(DecodeError::Unassigned { set, byte })
    }
}

/// The u16 entries of a list that [`Cursor::list`] returned.
pub(crate) fn u16_entries(bytes: &[u8]) -> impl ExactSizeIterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// The pairs of a remap list that [`Cursor::list`] returned.
pub(crate) fn remap_entries(bytes: &[u8]) -> impl ExactSizeIterator<Item = RemapPair> + '_ {
    bytes.chunks_exact(4).map(|pair| RemapPair {
        source: Register(u16::from_le_bytes([pair[0], pair[1]])),
        target: Register(u16::from_le_bytes([pair[2], pair[3]])),
    })
}

/// One move of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemapPair {
    /// The register read.
    pub source: Register,
    /// The register written.
    pub target: Register,
}

/// One entry of a branch table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The pc of the target block.
    pub target: u32,
    /// The moves on the way.
    pub remap: Vec<RemapPair>,
}

/// The contents of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// `Read`, `ReadMove`, `Write`.
    Register(Register),
    /// `Imm32`, `ImmF32` (its bits).
    Imm32(u32),
    /// `Imm64`, `ImmF64` (its bits).
    Imm64(u64),
    /// `GlobalOffset`, `GlobalRef`, `Rodata`, `Type`, `Func`, `Pc`.
    Index(u32),
    /// `Str`.
    Str(Vec<u8>),
    /// `Regs`, `RegsOf`, `RegsWrite`.
    Registers(Vec<Register>),
    /// `Segments`.
    Segments(Vec<u16>),
    /// `Remap`.
    Remap(Vec<RemapPair>),
    /// `Cases`.
    Cases(Vec<Case>),
}

/// One decoded instruction (or block marker).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Which.
    pub op: Op,
    /// One for each field of the opcode, in stream order.
    pub operands: Vec<Operand>,
}

/// Decodes the instruction where the cursor stands and moves past it.
pub fn decode(cursor: &mut Cursor<'_>) -> Decoded<Instruction> {
    let op = cursor.op()?;
    let fields = op.info().fields;
    let mut operands = Vec::with_capacity(fields.len());
    for field in fields {
        operands.push(decode_field(cursor, *field)?);
    }
    Ok(Instruction { op, operands })
}

fn decode_field(cursor: &mut Cursor<'_>, field: Field) -> Decoded<Operand> {
    Ok(match field {
        Field::Read(_) | Field::ReadMove | Field::Write(_) => Operand::Register(Register(cursor.u16()?)),
        Field::Imm32 | Field::ImmF32 => Operand::Imm32(cursor.u32()?),
        Field::Imm64 | Field::ImmF64 => Operand::Imm64(cursor.u64()?),
        Field::GlobalOffset | Field::GlobalRef | Field::Rodata => Operand::Index(cursor.u32()?),
        Field::Type | Field::Func | Field::Pc => Operand::Index(cursor.u32()?),
        Field::Str => {
            let count = usize::from(cursor.u16()?);
            Operand::Str(cursor.bytes(count)?.to_vec())
        }
        Field::Regs | Field::RegsOf(_) | Field::RegsWrite => {
            Operand::Registers(u16_entries(cursor.list(2)?).map(Register).collect())
        }
        Field::Segments => Operand::Segments(u16_entries(cursor.list(2)?).collect()),
        Field::Remap => Operand::Remap(remap_entries(cursor.list(4)?).collect()),
        Field::Cases => {
            let count = usize::from(cursor.u16()?);
            // No reservation by count: each case costs at least six bytes that may not be there.
            let mut cases = Vec::new();
            for _ in 0..count {
                let target = cursor.u32()?;
                cases.push(Case { target, remap: remap_entries(cursor.list(4)?).collect() });
            }
            Operand::Cases(cases)
        }
    })
}

/// Appends an instruction to the code of one function (`code` starts where the function starts, so that padding
/// falls right). Fails if the operands do not fit the opcode's fields or a list is longer than its u16 count.
pub fn encode(instruction: &Instruction, code: &mut Vec<u8>) -> Result<()> {
    let info = instruction.op.info();
    if instruction.operands.len() != info.fields.len() {
        bail!(
            InvalidArgument,
            "`{}` has {} fields, got {} operands",
            info.mnemonic,
            info.fields.len(),
            instruction.operands.len()
        );
    }
    code.extend(info.set.prefix());
    code.push(info.byte);
    for (index, (field, operand)) in info.fields.iter().zip(&instruction.operands).enumerate() {
        if !encode_field(*field, operand, code)? {
            bail!(
                InvalidArgument,
                "operand {index} of `{}`: expected what {field:?} holds, got {operand:?}",
                info.mnemonic
            );
        }
    }
    Ok(())
}

/// Returns whether the operand is what the field holds.
fn encode_field(field: Field, operand: &Operand, code: &mut Vec<u8>) -> Result<bool> {
    match (field, operand) {
        (Field::Read(_) | Field::ReadMove | Field::Write(_), Operand::Register(register)) => {
            code.extend(register.0.to_le_bytes());
        }
        (Field::Imm32 | Field::ImmF32, Operand::Imm32(bits)) => code.extend(bits.to_le_bytes()),
        (Field::Imm64 | Field::ImmF64, Operand::Imm64(bits)) => code.extend(bits.to_le_bytes()),
        (
            Field::GlobalOffset | Field::GlobalRef | Field::Rodata | Field::Type | Field::Func | Field::Pc,
            Operand::Index(index),
        ) => code.extend(index.to_le_bytes()),
        (Field::Str, Operand::Str(text)) => {
            encode_count(text.len(), code)?;
            code.extend(text);
        }
        (Field::Regs | Field::RegsOf(_) | Field::RegsWrite, Operand::Registers(registers)) => {
            encode_pad(code);
            encode_count(registers.len(), code)?;
            code.extend(registers.iter().flat_map(|register| register.0.to_le_bytes()));
        }
        (Field::Segments, Operand::Segments(sizes)) => {
            encode_pad(code);
            encode_count(sizes.len(), code)?;
            code.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        }
        (Field::Remap, Operand::Remap(pairs)) => encode_remap(pairs, code)?,
        (Field::Cases, Operand::Cases(cases)) => {
            encode_count(cases.len(), code)?;
            for case in cases {
                code.extend(case.target.to_le_bytes());
                encode_remap(&case.remap, code)?;
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn encode_remap(pairs: &[RemapPair], code: &mut Vec<u8>) -> Result<()> {
    encode_pad(code);
    encode_count(pairs.len(), code)?;
    for pair in pairs {
        code.extend(pair.source.0.to_le_bytes());
        code.extend(pair.target.0.to_le_bytes());
    }
    Ok(())
}

fn encode_pad(code: &mut Vec<u8>) {
    if code.len() % 2 == 1 {
        code.push(0);
    }
}

fn encode_count(count: usize, code: &mut Vec<u8>) -> Result<()> {
    let Ok(count) = u16::try_from(count) else {
        bail!(InvalidArgument, "list of {count} entries, at most {} can be encoded", u16::MAX);
    };
    code.extend(count.to_le_bytes());
    Ok(())
}
