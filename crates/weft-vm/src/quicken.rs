//! The private copy of the code that runs: as verified, but for the opcode bytes of common pairs.
//!
//! Lives here: which pairs are fused, and the rewriting. A comparison whose result the `cond_br` behind it tests is
//! the end of most loops; its opcode byte is replaced by one that does both. Nothing else changes: instructions stay
//! where they are, as long as they are, with the fields that they have, and the second instruction stays complete, so
//! pcs mean what they mean in the archive.
//!
//! The replacements are bytes that no instruction of the instruction set has; archives cannot contain them.

use crate::isa::{CoreOp, Cursor, Field, Op, for_each_core_op};
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

/// The code to run: a copy of the verified code with pairs fused.
pub(crate) fn quicken(code: &VerifiedCode) -> Box<[u8]> {
    let mut running: Box<[u8]> = code.bytes().into();
    debug_assert!(running.len() >= CODE_SLACK);
    for facts in code.functions() {
        // Functions may share code; fusing the same pair twice changes nothing, since the original is read.
        if let Some(function) = code.bytes().get(facts.code.clone()) {
            for (pc, fused) in pairs(function) {
                running[facts.code.start + pc] = fused as u8;
            }
        }
    }
    running
}

/// The comparisons of a function to be replaced.
fn pairs(function: &[u8]) -> Vec<(usize, RunOp)> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(function, 0);
    let mut before: Option<(usize, RunOp, u16)> = None;
    while !cursor.is_at_end() {
        let start = cursor.pc();
        // Verified code decodes; anything else would only mean nothing to fuse.
        let Ok(op) = cursor.op() else { break };
        let Some(first) = skip_fields(&mut cursor, op) else { break };
        if let (Some((pc, fused, result)), Op::Core(CoreOp::CondBr)) = (before, op)
            && first.is_some_and(|fields| fields.first == result)
        {
            found.push((pc, fused));
        }
        before = match op {
            Op::Core(core) => {
                RunOp::fusing(core).zip(first).map(|(fused, fields)| (start, fused, fields.last))
            }
            _ => None,
        };
    }
    found
}

/// The first and last register field of an instruction that begins with one.
#[derive(Clone, Copy)]
struct RegisterFields {
    first: u16,
    last: u16,
}

/// Moves past the fields. The outer `None`: the code does not decode.
fn skip_fields(cursor: &mut Cursor<'_>, op: Op) -> Option<Option<RegisterFields>> {
    let mut registers: Option<RegisterFields> = None;
    for (index, field) in op.info().fields.iter().enumerate() {
        match field {
            Field::Read(_) | Field::ReadMove | Field::Write(_) => {
                let register = cursor.u16().ok()?;
                match &mut registers {
                    Some(fields) => fields.last = register,
                    None if index == 0 => {
                        registers = Some(RegisterFields { first: register, last: register })
                    }
                    None => {}
                }
            }
            Field::Str => {
                let count = cursor.u16().ok()?;
                cursor.bytes(usize::from(count)).ok()?;
            }
            Field::Regs | Field::RegsOf(_) | Field::RegsWrite | Field::Segments => {
                cursor.list(2).ok()?;
            }
            Field::Remap => {
                cursor.list(4).ok()?;
            }
            Field::Cases => {
                for _ in 0..cursor.u16().ok()? {
                    cursor.u32().ok()?;
                    cursor.list(4).ok()?;
                }
            }
            fixed => {
                cursor.bytes(fixed.fixed_size()?).ok()?;
            }
        }
    }
    Some(registers)
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
        let running = quicken(&code);
        let changed: Vec<_> = running.iter().zip(code.bytes()).filter(|(new, old)| new != old).collect();
        assert_eq!(changed, [(&(RunOp::BranchLtI32S as u8), &(CoreOp::CmpLtI32S as u8))]);
    }
}
