//! Branches, switches, `fail`, and what programs print.

use weft_sync::{Code, Result, Status, status};

use super::{FIRST, SECOND, THIRD};
use crate::cpu::{Cpu, Scalar};
use crate::interpret::length;
use crate::isa::{CoreOp, Register};
use crate::native::U16List;
use crate::types::{Instance, PrintKind};
use crate::value::Value;

/// Bytes of a block target.
const PC: usize = 4;
/// Bytes of a register pair in a remap.
const PAIR: usize = 4;

impl Cpu {
    /// Applies the remap at `at`, pair after pair: later pairs see the effect of earlier ones (§10.6).
    #[inline(always)]
    fn remap(&mut self, at: usize) {
        let mut at = self.pad(at);
        let mut left = self.u16(at);
        at += 2;
        while left > 0 {
            let (source, target) = (self.register(at), self.register(at + 2));
            if source.is_ref() {
                self.assign_ref(source, target);
            } else {
                let value = self.word(source);
                self.set_word(target, value);
            }
            at += PAIR;
            left -= 1;
        }
    }

    /// Where the field after the remap at `at` starts.
    #[inline(always)]
    fn after_remap(&self, at: usize) -> usize {
        let at = self.pad(at);
        at + 2 + PAIR * usize::from(self.u16(at))
    }

    /// Takes the branch whose target is at `at`, with its remap after it.
    #[inline(always)]
    pub fn branch(&mut self, at: usize) {
        let distance = self.u32(at);
        self.remap(at + PC);
        self.jump_by(distance as i32);
    }

    /// `cond_br`: condition, then two targets with remaps.
    #[inline(always)]
    pub fn branch_if(&mut self) {
        self.branch_either(self.get(FIRST));
    }

    #[inline(always)]
    fn branch_either(&mut self, taken: bool) {
        if taken {
            self.branch(SECOND);
        } else {
            self.branch(self.after_remap(SECOND + PC));
        }
    }

    /// A comparison and the `cond_br` on its result, as one. The result is written all the same.
    #[inline(always)]
    pub fn branch_if_compared<T: Scalar>(&mut self, compare: impl FnOnce(T, T) -> bool) {
        let taken = compare(self.get(FIRST), self.get(SECOND));
        self.set(THIRD, taken);
        self.advance(const { length(CoreOp::CmpEqI32) });
        self.branch_either(taken);
    }

    /// `cmp.nz` and the `cond_br` on its result, as one.
    #[inline(always)]
    pub fn branch_if_not_zero<T: Scalar>(&mut self, test: impl FnOnce(T) -> bool) {
        let taken = test(self.get(FIRST));
        self.set(SECOND, taken);
        self.advance(const { length(CoreOp::CmpNzI32) });
        self.branch_either(taken);
    }

    /// `br_table`: index, default target, then counted cases.
    #[inline(never)]
    pub fn branch_table(mut self) -> Cpu {
        let index: u32 = self.get(FIRST);
        let mut at = self.after_remap(SECOND + PC);
        // No padding before the count (§10.4). A negative index is larger than any count.
        let count = u32::from(self.u16(at));
        at += 2;
        if index >= count {
            self.branch(SECOND);
            return self;
        }
        for _ in 0..index {
            at = self.after_remap(at + PC);
        }
        self.branch(at);
        self
    }

    /// `yield`: as a branch, but gives the pc instead of going there.
    pub fn branch_later(mut self) -> u32 {
        let target = self.target(FIRST);
        self.remap(FIRST + PC);
        target
    }

    /// `switch.K` of scalars: index, default, values.
    #[inline(always)]
    pub fn switch<T: Scalar>(&mut self) -> usize {
        let index: u32 = self.get(FIRST);
        let (values, end) = self.list(SECOND + 2);
        let chosen = match values.try_get(index) {
            Some(register) => T::read(self, Register(register)),
            None => self.get(SECOND),
        };
        self.set(end, chosen);
        end + 2
    }
}

/// `fail`: the status that the program raises; `None` for code 0. Also gives where the next block starts.
#[cold]
pub(crate) fn fail(cpu: Cpu) -> (Option<Status>, usize) {
    let code: u32 = cpu.get(FIRST);
    let (message, end) = cpu.text(SECOND);
    let status = match (code, Code::from_raw(code)) {
        (0, _) => None,
        (_, Some(code)) if code != Code::Deferred => Some(Status::from_bytes(code, message)),
        _ => {
            let mut text = message.to_vec();
            text.extend_from_slice(format!(" (status code {code})").as_bytes());
            Some(Status::from_bytes(Code::Unknown, text))
        }
    };
    (status, end)
}

/// The error for a `fail` with code 0 that has no block after it.
#[cold]
pub(crate) fn fail_at_end() -> Status {
    status!(Internal, "`fail` with code 0 and no block after it")
}

/// `print`, `trace`: shows the operands to the host's hook, then releases those with MOVE. Gives the length.
#[inline(never)]
pub(crate) fn print(mut cpu: Cpu, instance: &Instance, kind: PrintKind) -> usize {
    let (text, end) = cpu.text(FIRST);
    let (operands, end) = cpu.list(end);
    if let Some(hook) = &instance.options().print {
        let value = |register: Register| match register.is_ref() {
            true => Value::Ref(cpu.reference(register).cloned()),
            // The bank is untyped; the bits of one register are all that is known.
            false => Value::I32(cpu.word(register) as i32),
        };
        let values: Vec<Value> = operands.iter().map(|raw| value(Register(raw))).collect();
        hook(kind, text, &values);
    }
    release_moved(&mut cpu, operands);
    end
}

/// Releases the operands that carry MOVE.
pub(crate) fn release_moved(cpu: &mut Cpu, operands: U16List<'_>) {
    for register in operands.iter().map(Register) {
        if register.is_move() {
            cpu.set_ref(register, None);
        }
    }
}

/// The cancellation of an invocation, noticed where the program loops or calls.
#[cold]
pub(crate) fn cancelled() -> Status {
    status!(Cancelled, "the invocation was cancelled")
}

/// The end of an instruction budget.
#[cold]
pub(crate) fn budget_spent() -> Result<()> {
    Err(status!(ResourceExhausted, "the instruction budget of the invocation is spent"))
}
