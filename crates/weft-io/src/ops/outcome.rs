//! What a kernel's answer to an operation says, and how the operation goes on.
//!
//! What lives here: the 64 bits of an [`Outcome`], [`Onward`], [`Lane`]. What does not: what the kernel answers
//! (`backend/*`), who decides (`settle` of each kind), what becomes of it (`proactor/socket.rs`).
//!
//! | bits  | of an outcome                                                                 |
//! |-------|-------------------------------------------------------------------------------|
//! | 0-31  | what the system call returned: bytes, a descriptor, readiness                 |
//! | 32    | nothing was copied                                                            |
//! | 33    | of a receive that got something: it has left nothing                          |
//!
//! So the outcome of an operation for which none of that exists is the number itself.

use weft_sync::Code;

/// What an operation was answered with; see the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome(i64);

const IS_ZERO_COPY: i64 = 1 << 32;
const IS_DRAINED: i64 = 1 << 33;

impl Outcome {
    /// A plain result.
    #[inline]
    pub(crate) fn of(result: u32) -> Outcome {
        Outcome(i64::from(result))
    }

    /// As it came through the proactor.
    #[inline]
    pub(crate) fn from_value(value: i64) -> Outcome {
        Outcome(value)
    }

    /// To go through the proactor.
    #[inline]
    pub(crate) fn value(self) -> i64 {
        self.0
    }

    /// Says that nothing was copied.
    pub(crate) fn without_copy(self) -> Outcome {
        Outcome(self.0 | IS_ZERO_COPY)
    }

    /// Says that a receive has left nothing.
    #[inline]
    pub(crate) fn drained(self) -> Outcome {
        Outcome(self.0 | IS_DRAINED)
    }

    /// Whether a receive has left nothing, as far as anybody knows.
    #[inline]
    pub(crate) fn is_drained(self) -> bool {
        self.0 & IS_DRAINED != 0
    }

    /// What the system call returned.
    #[inline]
    pub(crate) fn result(self) -> u32 {
        self.0 as u32
    }

    /// The same, as a number of bytes.
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        self.result() as usize
    }

    /// Whether nothing was copied.
    pub(crate) fn is_zero_copy(self) -> bool {
        self.0 & IS_ZERO_COPY != 0
    }
}

/// A kernel's answer: an [`Outcome`], or one of the system's errors.
pub type Answer = std::result::Result<i64, i32>;

/// How an operation goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Onward {
    /// It has ended with the answer.
    End,
    /// It has failed, with what its socket had failed with before.
    Fail(Code),
    /// It is not over: it goes to the backend again, which is told what is left of it.
    Again,
    /// The answer is one of several. It is told, and the operation goes on.
    Tell,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Receiving and accepting.
    In = 0,
    /// Sending and connecting.
    Out = 1,
}

/// One direction of one socket. Operations of a lane run one at a time, in the order in which they were submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The number of the socket's handle, which nobody else has while an operation has the socket.
    pub handle: u32,
    pub direction: Direction,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_outcome_do_not_mix() {
        for result in [0, 1, u32::MAX] {
            assert_eq!(Outcome::of(result).value(), i64::from(result));
            assert!(!Outcome::of(result).is_zero_copy() && !Outcome::of(result).is_drained());
            let outcome = Outcome::from_value(Outcome::of(result).without_copy().value());
            assert_eq!((outcome.result(), outcome.bytes()), (result, result as usize));
            assert!(outcome.is_zero_copy() && !outcome.is_drained());
            let outcome = Outcome::from_value(outcome.drained().value());
            assert_eq!(outcome.result(), result);
            assert!(outcome.is_zero_copy() && outcome.is_drained());
        }
    }
}
