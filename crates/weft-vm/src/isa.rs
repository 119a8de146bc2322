//! The instruction set: what every opcode is called, which fields it carries, and how they are encoded.
//!
//! Lives here: the three opcode enums, [`OpInfo`] (made from the one table in `isa/table.rs`), [`Register`], and the
//! constants of the encoding (§10 of `docs/spec/vm-bytecode.md`). `isa/decode.rs` turns bytes into
//! [`Instruction`]s and back.
//! Not here: what instructions do (`ops/`), which uses of them are legal (`verify/`), how they print
//! (`disassemble.rs`).
//!
//! # Adding an opcode
//!
//! 1. Add its row to the set's macro in `isa/table.rs`, in ascending order of the byte. Enum, decoder, verifier,
//!    assembler and the generators of the tests know it from then on. If its text is not simply
//!    `results = vm.mnemonic operands`, it needs a template in `isa/text.rs`.
//! 2. Add its row to `docs/spec/vm-bytecode.md` §12; `table_matches_the_specification` compares the two.
//! 3. Give it a meaning: the `match` in the interpreter does not compile until it has one.
//! 4. A new kind of field needs a word in [`Field::parse`], a case in `isa/decode.rs`, one in `verify/walk.rs`
//!    and one in `disassemble/instruction.rs` and `assemble/instruction.rs`.

mod decode;
mod table;
pub(crate) mod text;

pub use decode::{Case, Cursor, DecodeError, Decoded, Instruction, Operand, RemapPair, decode, encode};
pub(crate) use decode::{remap_entries, u16_entries};
pub(crate) use table::for_each_core_op;
use table::{for_each_f32_op, for_each_f64_op};

/// The bytecode version that this build understands: major in the upper half, minor in the lower.
pub const BYTECODE_VERSION: u32 = 0x0011_0000;

/// The block marker, which opens every block and appears nowhere else.
pub const BLOCK_MARKER: u8 = CoreOp::Block as u8;

/// The largest pc that a block may have.
pub const BLOCK_PC_MAX: u32 = 0x00FF_FFFE;

/// Bit 31 of a `func` field: the rest is an import ordinal.
pub const IMPORT_BIT: u32 = 0x8000_0000;

/// The segment size that stands for "this argument is no span".
pub const SEGMENT_SCALAR: u16 = 0xFFFF;

/// What a register holds for one instruction. The value bank itself is untyped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One value register.
    I32,
    /// Two value registers, even one named.
    I64,
    /// One value register.
    F32,
    /// Two value registers, even one named.
    F64,
    /// One ref register.
    Ref,
}

impl Kind {
    /// How many consecutive registers of its bank a value of this kind takes.
    pub const fn registers(self) -> u32 {
        match self {
            Kind::I32 | Kind::F32 | Kind::Ref => 1,
            Kind::I64 | Kind::F64 => 2,
        }
    }

    /// Whether the kind lives in the ref bank.
    pub const fn is_ref(self) -> bool {
        matches!(self, Kind::Ref)
    }

    /// The word of the field notation.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::I32 => "i32",
            Kind::I64 => "i64",
            Kind::F32 => "f32",
            Kind::F64 => "f64",
            Kind::Ref => "ref",
        }
    }
}

/// A register operand as encoded: bank in bit 15, MOVE in bit 14 of refs, ordinal below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u16);

impl Register {
    /// Bit 15: the operand names a ref register.
    pub const REF_BIT: u16 = 0x8000;
    /// Bit 14 of a ref operand: the instruction consumes the register.
    pub const MOVE_BIT: u16 = 0x4000;

    /// Value register `ordinal`.
    pub const fn value(ordinal: u16) -> Register {
        Register(ordinal)
    }

    /// Ref register `ordinal`, kept by the instruction.
    pub const fn reference(ordinal: u16) -> Register {
        Register(ordinal | Self::REF_BIT)
    }

    /// Ref register `ordinal`, consumed by the instruction.
    pub const fn moved(ordinal: u16) -> Register {
        Register(ordinal | Self::REF_BIT | Self::MOVE_BIT)
    }

    /// Whether the register is in the ref bank.
    pub const fn is_ref(self) -> bool {
        self.0 & Self::REF_BIT != 0
    }

    /// Whether a ref operand carries MOVE. Meaningless, and false, for value registers.
    pub const fn is_move(self) -> bool {
        self.0 & (Self::REF_BIT | Self::MOVE_BIT) == Self::REF_BIT | Self::MOVE_BIT
    }

    /// The index in its bank.
    pub const fn ordinal(self) -> u16 {
        if self.is_ref() { self.0 & 0x3FFF } else { self.0 & 0x7FFF }
    }
}

/// The three opcode tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpSet {
    /// No prefix.
    Core,
    /// Prefix 0xE0, needs EXT_F32.
    F32,
    /// Prefix 0xE1, needs EXT_F64.
    F64,
}

impl OpSet {
    /// The byte that precedes opcodes of the set.
    pub const fn prefix(self) -> Option<u8> {
        match self {
            OpSet::Core => None,
            OpSet::F32 => Some(CoreOp::PrefixF32 as u8),
            OpSet::F64 => Some(CoreOp::PrefixF64 as u8),
        }
    }
}

/// One field of an instruction (§10.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A register that is read and kept.
    Read(Kind),
    /// A ref register that is read, and consumed if it carries MOVE.
    ReadMove,
    /// A register that is written. MOVE is formally allowed on refs.
    Write(Kind),
    /// Four bytes of integer.
    Imm32,
    /// Eight bytes of integer.
    Imm64,
    /// Four bytes of float.
    ImmF32,
    /// Eight bytes of float.
    ImmF64,
    /// A byte offset into the value globals.
    GlobalOffset,
    /// The ordinal of a ref global.
    GlobalRef,
    /// The ordinal of a rodata segment.
    Rodata,
    /// An index into the type table.
    Type,
    /// A function: import ordinal with [`IMPORT_BIT`], internal ordinal without.
    Func,
    /// The pc of a block marker.
    Pc,
    /// A counted string.
    Str,
    /// A list of registers of any bank.
    Regs,
    /// A list of registers of one kind.
    RegsOf(Kind),
    /// The registers that receive results.
    RegsWrite,
    /// Segment sizes of a variadic call.
    Segments,
    /// Register moves on a branch, applied in order.
    Remap,
    /// The entries of a branch table.
    Cases,
}

impl Field {
    /// The field that a word of the table's notation means.
    pub const fn parse(word: &[u8]) -> Field {
        const WORDS: &[(&str, Field)] = &[
            ("i32", Field::Read(Kind::I32)),
            ("i64", Field::Read(Kind::I64)),
            ("f32", Field::Read(Kind::F32)),
            ("f64", Field::Read(Kind::F64)),
            ("ref", Field::Read(Kind::Ref)),
            ("refM", Field::ReadMove),
            (">i32", Field::Write(Kind::I32)),
            (">i64", Field::Write(Kind::I64)),
            (">f32", Field::Write(Kind::F32)),
            (">f64", Field::Write(Kind::F64)),
            (">refM", Field::Write(Kind::Ref)),
            ("imm32", Field::Imm32),
            ("imm64", Field::Imm64),
            ("immf32", Field::ImmF32),
            ("immf64", Field::ImmF64),
            ("goff", Field::GlobalOffset),
            ("gref", Field::GlobalRef),
            ("rod", Field::Rodata),
            ("type", Field::Type),
            ("func", Field::Func),
            ("pc", Field::Pc),
            ("str", Field::Str),
            ("regs", Field::Regs),
            ("regs:i32", Field::RegsOf(Kind::I32)),
            ("regs:i64", Field::RegsOf(Kind::I64)),
            ("regs:f32", Field::RegsOf(Kind::F32)),
            ("regs:f64", Field::RegsOf(Kind::F64)),
            ("regs:refM", Field::RegsOf(Kind::Ref)),
            (">regs", Field::RegsWrite),
            ("segs", Field::Segments),
            ("remap", Field::Remap),
            ("cases", Field::Cases),
        ];
        let mut index = 0;
        while index < WORDS.len() {
            if bytes_equal(WORDS[index].0.as_bytes(), word) {
                return WORDS[index].1;
            }
            index += 1;
        }
        panic!("unknown field word in the opcode table")
    }

    /// Encoded size when it does not depend on the contents or on the pc.
    pub const fn fixed_size(self) -> Option<usize> {
        match self {
            Field::Read(_) | Field::ReadMove | Field::Write(_) => Some(2),
            Field::Imm32 | Field::ImmF32 => Some(4),
            Field::Imm64 | Field::ImmF64 => Some(8),
            Field::GlobalOffset | Field::GlobalRef | Field::Rodata => Some(4),
            Field::Type | Field::Func | Field::Pc => Some(4),
            Field::Str | Field::Regs | Field::RegsOf(_) | Field::RegsWrite => None,
            Field::Segments | Field::Remap | Field::Cases => None,
        }
    }

    /// Whether the instruction writes registers through this field.
    pub const fn is_result(self) -> bool {
        matches!(self, Field::Write(_) | Field::RegsWrite)
    }
}

/// Everything the table says about one opcode.
#[derive(Debug, PartialEq, Eq)]
pub struct OpInfo {
    /// The table it belongs to.
    pub set: OpSet,
    /// The opcode byte, after the prefix if the set has one.
    pub byte: u8,
    /// The name in text, without the `vm.` in front.
    pub mnemonic: &'static str,
    /// The fields in stream order.
    pub fields: &'static [Field],
    /// Whether it ends a block.
    pub terminator: bool,
    /// One line about what it does.
    pub meaning: &'static str,
}

impl OpInfo {
    /// Bytes before the first field: prefix and opcode.
    pub const fn opcode_size(&self) -> usize {
        match self.set {
            OpSet::Core => 1,
            OpSet::F32 | OpSet::F64 => 2,
        }
    }

    /// Where field `index` starts, counted from the first byte of the instruction (the prefix, if any). Only for
    /// fields that no field of variable size precedes; meant for constants, where asking for another one does not
    /// compile. `index == fields.len()` gives the length of an instruction of fixed size.
    ///
    /// ```
    /// use weft_vm::isa::CoreOp;
    /// const RESULT: usize = CoreOp::AddI32.info().field_offset(2);
    /// assert_eq!(RESULT, 5);
    /// ```
    pub const fn field_offset(&self, index: usize) -> usize {
        let mut offset = self.opcode_size();
        let mut field = 0;
        while field < index {
            match self.fields[field].fixed_size() {
                Some(size) => offset += size,
                None => panic!("a field of variable size comes before"),
            }
            field += 1;
        }
        offset
    }

    /// The length of the instruction when all its fields are of fixed size.
    pub const fn fixed_length(&self) -> Option<usize> {
        let mut field = 0;
        while field < self.fields.len() {
            if self.fields[field].fixed_size().is_none() {
                return None;
            }
            field += 1;
        }
        Some(self.field_offset(self.fields.len()))
    }
}

macro_rules! define_ops {
    ($(#[$doc:meta])* $set:ident $name:ident: $(
        $byte:literal $variant:ident $mnemonic:literal $fields:literal $($terminator:ident)? $meaning:literal;
    )*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = concat!("`", $mnemonic, " ", $fields, "`: `", $meaning, "`")] $variant = $byte,)*
        }

        impl $name {
            /// Every opcode of the set, ascending.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The opcode with this byte, if it is assigned.
            #[inline]
            pub const fn from_byte(byte: u8) -> Option<$name> {
                match byte {
                    $($byte => Some($name::$variant),)*
                    _ => None,
                }
            }

            /// The row of the table.
            pub const fn info(self) -> &'static OpInfo {
                match self {
                    $($name::$variant => {
                        const FIELDS: [Field; word_count($fields)] = parse_fields($fields);
                        const INFO: OpInfo = OpInfo {
                            set: OpSet::$set,
                            byte: $byte,
                            mnemonic: $mnemonic,
                            fields: &FIELDS,
                            terminator: !stringify!($($terminator)?).is_empty(),
                            meaning: $meaning,
                        };
                        &INFO
                    })*
                }
            }
        }
    };
}

macro_rules! define_core {
    ($($rows:tt)*) => {
        define_ops! { /// Opcodes without prefix.
            Core CoreOp: $($rows)* }
    };
}
macro_rules! define_f32 {
    ($($rows:tt)*) => {
        define_ops! { /// Opcodes after the prefix 0xE0.
            F32 F32Op: $($rows)* }
    };
}
macro_rules! define_f64 {
    ($($rows:tt)*) => {
        define_ops! { /// Opcodes after the prefix 0xE1.
            F64 F64Op: $($rows)* }
    };
}
for_each_core_op!(define_core);
for_each_f32_op!(define_f32);
for_each_f64_op!(define_f64);

/// An opcode of any set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Without prefix.
    Core(CoreOp),
    /// After 0xE0.
    F32(F32Op),
    /// After 0xE1.
    F64(F64Op),
}

impl Op {
    /// The row of the table.
    pub const fn info(self) -> &'static OpInfo {
        match self {
            Op::Core(op) => op.info(),
            Op::F32(op) => op.info(),
            Op::F64(op) => op.info(),
        }
    }

    /// Every instruction of the three sets. The two prefixes and the block marker are no instructions.
    pub fn all() -> impl Iterator<Item = Op> {
        let core = CoreOp::ALL.iter().map(|&op| Op::Core(op));
        let float = F32Op::ALL.iter().map(|&op| Op::F32(op));
        let double = F64Op::ALL.iter().map(|&op| Op::F64(op));
        core.chain(float).chain(double).filter(|op| !op.is_structural())
    }

    /// Prefixes and the block marker: bytes that shape the code but are no instructions of their own.
    pub const fn is_structural(self) -> bool {
        matches!(self, Op::Core(CoreOp::Block | CoreOp::PrefixF32 | CoreOp::PrefixF64))
    }

    /// The opcode with this number in this set.
    pub const fn by_number(set: OpSet, byte: u8) -> Option<Op> {
        match set {
            OpSet::Core => match CoreOp::from_byte(byte) {
                Some(op) => Some(Op::Core(op)),
                None => None,
            },
            OpSet::F32 => match F32Op::from_byte(byte) {
                Some(op) => Some(Op::F32(op)),
                None => None,
            },
            OpSet::F64 => match F64Op::from_byte(byte) {
                Some(op) => Some(Op::F64(op)),
                None => None,
            },
        }
    }

    /// The instruction with this name, written without `vm.`.
    ///
    /// ```
    /// use weft_vm::isa::{CoreOp, Op};
    /// assert_eq!(Op::by_mnemonic("add.i32"), Some(Op::Core(CoreOp::AddI32)));
    /// assert_eq!(Op::by_mnemonic("add.i31"), None);
    /// ```
    pub fn by_mnemonic(mnemonic: &str) -> Option<Op> {
        use std::collections::HashMap;
        use std::sync::LazyLock;
        static NAMES: LazyLock<HashMap<&'static str, Op>> =
            LazyLock::new(|| Op::all().map(|op| (op.info().mnemonic, op)).collect());
        NAMES.get(mnemonic).copied()
    }
}

const fn word_count(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return 0;
    }
    let mut count = 1;
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b' ' {
            count += 1;
        }
        index += 1;
    }
    count
}

const fn parse_fields<const COUNT: usize>(text: &str) -> [Field; COUNT] {
    let mut fields = [Field::Imm32; COUNT];
    let mut rest = text.as_bytes();
    let mut index = 0;
    while index < COUNT {
        let mut end = 0;
        while end < rest.len() && rest[end] != b' ' {
            end += 1;
        }
        let (word, tail) = rest.split_at(end);
        fields[index] = Field::parse(word);
        rest = if let [_, after @ ..] = tail { after } else { tail };
        index += 1;
    }
    fields
}

const fn bytes_equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
