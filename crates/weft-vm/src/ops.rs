//! What the instructions do, by family.
//!
//! Lives here: the shapes that most instructions have (operands in, one result out). The families are in `ops/`.
//! Handlers that the dispatch loop inlines take `&mut Cpu`; all others take a copy and leave it to the loop to move
//! the pc, so that the loop keeps pc and banks in machine registers.
//! Not here: which opcode runs which handler (`interpret.rs`).

pub(crate) mod call;
pub(crate) mod control;
pub(crate) mod convert;
pub(crate) mod float;
pub(crate) mod global;
pub(crate) mod int;
pub(crate) mod list;
pub(crate) mod memory;
pub(crate) mod reference;

use weft_sync::Result;

use crate::cpu::{Cpu, Scalar};

/// Offsets of fields that are all registers, from the opcode byte (after the prefix, if any).
pub(crate) const FIRST: usize = 1;
pub(crate) const SECOND: usize = 3;
pub(crate) const THIRD: usize = 5;
pub(crate) const FOURTH: usize = 7;
pub(crate) const FIFTH: usize = 9;
pub(crate) const SIXTH: usize = 11;

impl Cpu {
    #[inline(always)]
    pub fn unary<A: Scalar, R: Scalar>(&mut self, operation: impl FnOnce(A) -> R) {
        let result = operation(self.get(FIRST));
        self.set(SECOND, result);
    }

    #[inline(always)]
    pub fn binary<A: Scalar, B: Scalar, R: Scalar>(&mut self, operation: impl FnOnce(A, B) -> R) {
        let result = operation(self.get(FIRST), self.get(SECOND));
        self.set(THIRD, result);
    }

    #[inline(always)]
    pub fn try_binary<A: Scalar, B: Scalar, R: Scalar>(
        &mut self,
        operation: impl FnOnce(A, B) -> Result<R>,
    ) -> Result<()> {
        let result = operation(self.get(FIRST), self.get(SECOND))?;
        self.set(THIRD, result);
        Ok(())
    }

    #[inline(always)]
    pub fn ternary<A: Scalar, B: Scalar, C: Scalar, R: Scalar>(
        &mut self,
        operation: impl FnOnce(A, B, C) -> R,
    ) {
        let result = operation(self.get(FIRST), self.get(SECOND), self.get(THIRD));
        self.set(FOURTH, result);
    }

    /// `select.K`: condition, value if true, value if false.
    #[inline(always)]
    pub fn select<T: Scalar>(&mut self) {
        self.ternary(|condition: bool, on_true: T, on_false: T| if condition { on_true } else { on_false });
    }
}
