//! The private copy of the code that runs: as verified, but made easy to run.
//!
//! Lives here: what is changed, and the changing. Instructions stay as long as they are, with the fields that they
//! have, so pcs mean what they mean in the archive. Three things differ:
//!
//! 1. A comparison whose result the `cond_br` behind it tests is the end of most loops; its opcode byte is replaced
//!    by one that does both. The replacements are bytes that no instruction of the instruction set has. The `cond_br`
//!    stays complete.
//! 2. Branch and resume targets count from the start of their instruction, and to the byte after the block marker,
//!    which does nothing.
//! 3. Every function starts at an even address, so that padding follows from the address alone.
//!
//! Functions of an archive may overlap in every way, so each range of code gets a copy of its own: what is an opcode
//! to one function may be an operand to another. Functions that share a whole range share the copy.

use std::collections::HashMap;
use std::ops::Range;

use weft_sync::{Result, bail};

use crate::isa::{CoreOp, Cursor, Decoded, Field, Op, for_each_core_op};
use crate::verify::{CODE_SLACK, VerifiedCode};

macro_rules! define_run_ops {
    (
        core { $(
            $byte:literal $variant:ident $mnemonic:literal $fields:literal $($terminator:ident)? $meaning:literal;
        )* }
        fused { $($fused_byte:literal $fused:ident from $comparison:ident;)* }
    ) => {
        /// What the dispatch loop runs: the core set, and comparisons together with the `cond_br` that follows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum RunOp {
            $($variant = $byte,)*
            $($fused = $fused_byte,)*
        }

        impl RunOp {
            /// The opcode with this byte in the code that runs.
            #[inline(always)]
            pub const fn from_byte(byte: u8) -> Option<RunOp> {
                match byte {
                    $($byte => Some(RunOp::$variant),)*
                    $($fused_byte => Some(RunOp::$fused),)*
                    _ => None,
                }
            }

            /// What replaces a comparison before a `cond_br`.
            const fn fusing(op: CoreOp) -> Option<RunOp> {
                match op {
                    $(CoreOp::$comparison => Some(RunOp::$fused),)*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const FUSED: &[(RunOp, CoreOp)] = &[$((RunOp::$fused, CoreOp::$comparison)),*];
    };
}

macro_rules! define_with_core {
    ($($core:tt)*) => {
        define_run_ops! {
            core { $($core)* }
            fused {
                0xC0 BranchEqI32 from CmpEqI32;
                0xC1 BranchNeI32 from CmpNeI32;
                0xC2 BranchLtI32S from CmpLtI32S;
                0xC3 BranchLtI32U from CmpLtI32U;
                0xC4 BranchNzI32 from CmpNzI32;
                0xC5 BranchEqI64 from CmpEqI64;
                0xC6 BranchNeI64 from CmpNeI64;
                0xC7 BranchLtI64S from CmpLtI64S;
                0xC8 BranchLtI64U from CmpLtI64U;
                0xC9 BranchNzI64 from CmpNzI64;
            }
        }
    };
}

for_each_core_op!(define_with_core);

/// All functions' code, ready to run.
pub(crate) struct RunningCode {
    words: Box<[u64]>,
    /// By internal ordinal: where the function starts, in bytes.
    starts: Box<[u32]>,
}

const WORD: usize = size_of::<u64>();

impl RunningCode {
    /// Copies and changes verified code.
    pub fn new(code: &VerifiedCode) -> Result<RunningCode> {
        let mut bytes = Vec::new();
        let mut copies: HashMap<Range<usize>, u32> = HashMap::new();
        let mut starts = Vec::with_capacity(code.functions().len());
        for facts in code.functions() {
            if let Some(&start) = copies.get(&facts.code) {
                starts.push(start);
                continue;
            }
            let Ok(start) = u32::try_from(bytes.len()) else {
                bail!(ResourceExhausted, "the functions of a module have more than 4 GiB of code in all");
            };
            bytes.extend_from_slice(&code.bytes()[facts.code.clone()]);
            quicken(&mut bytes[start as usize..]);
            bytes.resize(bytes.len().next_multiple_of(WORD), 0);
            copies.insert(facts.code.clone(), start);
            starts.push(start);
        }
        bytes.resize(bytes.len() + CODE_SLACK, 0);
        let words = bytes.chunks_exact(WORD);
        let words = words.map(|word| u64::from_ne_bytes(word.try_into().expect("a whole word")));
        Ok(RunningCode { words: words.collect(), starts: starts.into() })
    }

    /// Where a function starts.
    pub fn start(&self, function: usize) -> u32 {
        self.starts[function]
    }

    /// The address of the code from `start` on, which is where a function starts.
    #[inline(always)]
    pub fn address(&self, start: u32) -> *const u8 {
        self.words[start as usize / WORD..].as_ptr().cast()
    }
}

/// Changes the code of one function, in place.
fn quicken(function: &mut [u8]) {
    let original = function.to_vec();
    let mut cursor = Cursor::new(&original, 0);
    let mut before: Option<(usize, RunOp, u16)> = None;
    while !cursor.is_at_end() {
        let start = cursor.pc();
        // Verified code decodes, so nothing is ever left unchanged.
        let instruction = cursor.op().and_then(|op| Ok((op, read_fields(&mut cursor, op)?)));
        let Ok((op, fields)) = instruction else { unreachable!("the verifier decoded this code") };
        for at in fields.targets {
            let target =
                u32::from_le_bytes([original[at], original[at + 1], original[at + 2], original[at + 3]]);
            let relative = (target + 1).wrapping_sub(start as u32);
            function[at..at + 4].copy_from_slice(&relative.to_le_bytes());
        }
        if let (Some((pc, fused, result)), Op::Core(CoreOp::CondBr)) = (before, op)
            && fields.first == Some(result)
        {
            function[pc] = fused as u8;
        }
        before = match op {
            Op::Core(core) => RunOp::fusing(core).zip(fields.last).map(|(fused, last)| (start, fused, last)),
            _ => None,
        };
    }
}

/// What matters of an instruction's fields.
#[derive(Default)]
struct Fields {
    /// The first and the last field that is a register.
    first: Option<u16>,
    last: Option<u16>,
    /// Where its targets are in the code.
    targets: Vec<usize>,
}

/// Moves past the fields.
fn read_fields(cursor: &mut Cursor<'_>, op: Op) -> Decoded<Fields> {
    let mut fields = Fields::default();
    for field in op.info().fields {
        match field {
            Field::Read(_) | Field::ReadMove | Field::Write(_) => {
                let register = cursor.u16()?;
                fields.first.get_or_insert(register);
                fields.last = Some(register);
            }
            Field::Pc => {
                fields.targets.push(cursor.pc());
                cursor.u32()?;
            }
            Field::Str => {
                let count = cursor.u16()?;
                cursor.bytes(usize::from(count))?;
            }
            Field::Regs | Field::RegsOf(_) | Field::RegsWrite | Field::Segments => drop(cursor.list(2)?),
            Field::Remap => drop(cursor.list(4)?),
            Field::Cases => {
                for _ in 0..cursor.u16()? {
                    fields.targets.push(cursor.pc());
                    cursor.u32()?;
                    cursor.list(4)?;
                }
            }
            fixed => drop(cursor.bytes(fixed.fixed_size().unwrap_or(0))?),
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::module_builder::ModuleBuilder;
    use crate::verify::verify;

    #[test]
    fn fused_bytes_are_no_opcodes_of_archives() {
        for &(fused, comparison) in FUSED {
            assert_eq!(CoreOp::from_byte(fused as u8), None);
            assert_eq!(RunOp::from_byte(fused as u8), Some(fused));
            assert_eq!(RunOp::fusing(comparison), Some(fused));
        }
    }

    #[test]
    fn only_the_tested_comparison_is_fused() {
        let text = "
            %i2 = vm.cmp.lt.i32.s %i0, %i1
            vm.cond_br %i2, ^a(), ^b()
          ^a:
            %i3 = vm.cmp.lt.i32.s %i0, %i1
            vm.cond_br %i2, ^b(), ^b()
          ^b:
            %i3 = vm.cmp.eq.i32 %i0, %i1
            %i2 = vm.const.i32 192
            vm.cond_br %i3, ^b(), ^c()
          ^c:
            vm.return";
        let bytes = ModuleBuilder::new("m").function("f", "0ii_v", text).build().expect("built");
        let archive = Archive::parse(&bytes).expect("parsed");
        let code = verify(&archive, &bytes).expect("verified");
        let function = code.function_code(0).expect("the only one");
        let mut running = function.to_vec();
        quicken(&mut running);
        let (fused, plain) = (RunOp::BranchLtI32S as u8, CoreOp::CmpLtI32S as u8);
        let opcodes: Vec<_> =
            running.iter().zip(function).filter(|(new, old)| (**new, **old) == (fused, plain)).collect();
        assert_eq!(opcodes.len(), 1);
        assert_eq!((function[1], running[1]), (plain, fused), "the first instruction of the first block");
    }

    #[test]
    fn targets_are_relative_and_past_the_marker() {
        // `br` at 1 to the block at 8, which goes to itself.
        let text = "vm.br ^a() \n ^a: \n vm.br ^a()";
        let bytes = ModuleBuilder::new("m").function("f", "0v_v", text).build().expect("built");
        let archive = Archive::parse(&bytes).expect("parsed");
        let code = verify(&archive, &bytes).expect("verified");
        let mut running = code.function_code(0).expect("the only one").to_vec();
        assert_eq!(running, [0x79, 0x56, 8, 0, 0, 0, 0, 0, 0x79, 0x56, 8, 0, 0, 0, 0, 0]);
        quicken(&mut running);
        assert_eq!(running, [0x79, 0x56, 8, 0, 0, 0, 0, 0, 0x79, 0x56, 0, 0, 0, 0, 0, 0]);
    }

    /// [vm 25] Overlapping functions get copies of their own, equal ones share.
    #[test]
    fn copies_do_not_interfere() {
        let bytes = ModuleBuilder::new("m")
            .function(
                "a",
                "0i_i",
                "%i1 = vm.cmp.nz.i32 %i0 \n vm.cond_br %i1, ^x(), ^x() \n ^x: \n vm.return %i1",
            )
            .function("b", "0i_i", "vm.return %i0")
            .build()
            .expect("built");
        let mut archive = Archive::parse(&bytes).expect("parsed");
        archive.functions.push(archive.functions[0].clone());
        let code = verify(&archive, &bytes).expect("verified");
        let running = RunningCode::new(&code).expect("copied");
        assert_eq!(running.start(0), running.start(2));
        assert_ne!(running.start(0), running.start(1));
        assert!(running.address(running.start(1)).cast::<u64>().is_aligned());
    }
}
