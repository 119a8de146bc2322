//! The verifier: rejects, when a module is loaded, whatever the interpreter would otherwise have to check.
//!
//! The rules are those of `docs/spec/vm-bytecode.md` §16, by their numbers there. What an accepted function
//! guarantees, for the interpreter's SAFETY comments to cite as `verify 1` … `verify 14`:
//!
//! 1. The walk from pc 0 meets a block marker, then instructions up to a terminator, then the next marker or the
//!    end of the function; so every pc reached by running starts an instruction, and all bytes of it (opcode,
//!    prefix, pads, counts, lists, strings) lie within the function (rules 4–7, 25).
//! 2. A prefix is followed by an assigned opcode of its set, and the function declares the set's feature (7, 8).
//! 3. A value register operand has bit 15 clear and names a register below the function's value register count (9).
//! 4. A 64-bit register operand is even, and it and its successor are below the value register count (10).
//! 5. A ref register operand has bit 15 set and its ordinal is below the ref register count; MOVE is set only
//!    where the field allows it (11, 12). In lists of no fixed kind (`trace`, `print`) each entry satisfies 3 or 5;
//!    entries of `discard.refs` are ref registers (22).
//! 6. A remap pair has both registers in the same bank and range; the target has no MOVE (12, 21).
//! 7. Branch and resume targets are pcs of block markers of the same function (23).
//! 8. Type ids are inside the type table; all but `list.alloc`'s name a ref type or `!vm.opaque` (13).
//! 9. Immediate global offsets leave room for the access within the module's global bytes; ref-global and rodata
//!    ordinals are in range (14, 15).
//! 10. A `func` field names an existing import or internal function; `import.resolved` and the variadic calls name
//!     imports (16–18).
//! 11. A call of an internal function, or of an import with a declared signature, has one operand for each
//!     (flattened) argument and one result register for each result, each with bank, parity and range of its kind;
//!     segment sizes fit the spans (18–20).
//! 12. A call of an import *without* declared signature has operands and results that satisfy 3 or 5 only. Such
//!     calls are listed ([`VerifiedCode::unsigned_calls`]) and [`VerifiedCode::check_import_calls`] establishes 11
//!     for them once the provider is known (§9.3).
//! 13. The list of `return` has one register for each result of the function, each with bank, parity and range of
//!     its kind (20).
//! 14. The registers that the arguments need (§8.2) are below the function's counts; the signature has no spans
//!     (2, 3).
//!
//! The verified bytes are a private copy with [`CODE_SLACK`] zero bytes after them: archives that are mapped or
//! shared cannot change under the interpreter, and it may read a little past an instruction's end.
//!
//! Not established: that registers were written before they are read (they start as zero), that loops end, that
//! refs have the types that imports expect, and everything that §16 leaves to run time.
//!
//! `blocks.rs` keeps the block list, `walk.rs` goes through a function, `fields.rs` and `calls.rs` check operands.

mod blocks;
mod calls;
mod fields;
mod walk;

use std::fmt::Display;
use std::ops::Range;

use weft_sync::{Code, Result, Status, bail};

use crate::archive::Archive;
use crate::isa::DecodeError;
use crate::signature::Signature;

/// Zero bytes after the verified code.
pub const CODE_SLACK: usize = 16;

/// The code of a module whose every function satisfies the guarantees in the header of this module.
#[derive(Debug)]
pub struct VerifiedCode {
    bytes: Box<[u8]>,
    functions: Vec<FunctionFacts>,
    unsigned_calls: Vec<CallSite>,
}

/// What the verifier learned about one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Where its code is in [`VerifiedCode::bytes`].
    pub code: Range<usize>,
    /// Whether it may change a global itself: it stores one, or loads a ref global with MOVE.
    pub stores_globals: bool,
    /// Whether it contains an instruction that may suspend by itself: `yield` or a yieldable call.
    pub yields: bool,
    /// Internal functions that it calls, ascending, each once.
    pub callees: Vec<u32>,
    /// Imports that it calls, ascending, each once.
    pub imports: Vec<u32>,
}

/// A call instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// The calling function.
    pub function: u32,
    /// The pc of the call.
    pub pc: u32,
    /// The import called.
    pub import: u32,
}

impl VerifiedCode {
    /// All functions' code, followed by [`CODE_SLACK`] zero bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is known about each function, by internal ordinal.
    pub fn functions(&self) -> &[FunctionFacts] {
        &self.functions
    }

    /// The code of one function.
    pub fn function_code(&self, ordinal: u32) -> Option<&[u8]> {
        let facts = self.functions.get(ordinal as usize)?;
        self.bytes.get(facts.code.clone())
    }

    /// Calls of imports whose signature the archive does not declare.
    pub fn unsigned_calls(&self) -> &[CallSite] {
        &self.unsigned_calls
    }

    /// Checks all calls of an import without declared signature against the provider's. To be asked when the import
    /// is resolved; imports with a declared signature were checked at load and pass.
    pub fn check_import_calls(&self, archive: &Archive, import: u32, signature: &Signature) -> Result<()> {
        for site in self.unsigned_calls.iter().filter(|site| site.import == import) {
            let (Some(function), Some(code)) =
                (archive.functions.get(site.function as usize), self.function_code(site.function))
            else {
                bail!(Internal, "the archive is not the one that was verified");
            };
            calls::check_site(function, code, site.pc as usize, signature)
                .map_err(|refusal| refusal.at(&place(archive, &[], site.function), site.pc as usize))?;
        }
        Ok(())
    }
}

/// Verifies every function of an archive. `bytes` are the archive's bytes.
///
/// Total: any bytes give code or an error, in time linear in the code's size (block lookups take a logarithm more).
/// Functions may share code, but reading the archive has bounded how much.
pub fn verify(archive: &Archive, bytes: &[u8]) -> Result<VerifiedCode> {
    let Some(code) = bytes.get(archive.code.clone()) else {
        bail!(
            InvalidArgument,
            "code at {:?} lies outside the archive of {} bytes",
            archive.code,
            bytes.len()
        );
    };
    let mut owned = Vec::with_capacity(code.len() + CODE_SLACK);
    owned.extend(code);
    owned.resize(code.len() + CODE_SLACK, 0);
    let mut verified =
        VerifiedCode { bytes: owned.into(), functions: Vec::new(), unsigned_calls: Vec::new() };
    for ordinal in 0..archive.functions.len() as u32 {
        let facts = walk::verify_function(archive, &verified.bytes, ordinal, &mut verified.unsigned_calls)
            .map_err(|(pc, refusal)| refusal.at(&place(archive, bytes, ordinal), pc))?;
        verified.functions.push(facts);
    }
    Ok(verified)
}

/// `module.function`, or `module@ordinal` for functions without a name.
fn place(archive: &Archive, bytes: &[u8], ordinal: u32) -> String {
    match crate::debug_info::function_name(archive, bytes, ordinal) {
        Some(name) => format!("{}.{name}", archive.name),
        None => format!("{}@{ordinal}", archive.name),
    }
}

/// Why a function is refused; where is added by the caller.
///
/// Boxed, so that the answer "accepted", given for every operand, is one word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(Box<(Code, String)>);

impl Refusal {
    #[cold]
    fn new(code: Code, message: impl Display) -> Refusal {
        Refusal(Box::new((code, message.to_string())))
    }

    #[cold]
    fn invalid(message: impl Display) -> Refusal {
        Refusal::new(Code::InvalidArgument, message)
    }

    #[cold]
    fn out_of_range(message: impl Display) -> Refusal {
        Refusal::new(Code::OutOfRange, message)
    }

    #[cold]
    fn at(self, place: &str, pc: usize) -> Status {
        let (code, message) = *self.0;
        Status::new(code, message).while_doing(format!("at {place}+{pc:08X}"))
    }
}

impl From<DecodeError> for Refusal {
    #[cold]
    fn from(error: DecodeError) -> Refusal {
        Refusal::new(error.code(), error)
    }
}

type Checked<T = ()> = std::result::Result<T, Refusal>;
