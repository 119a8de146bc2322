//! The commands of blocks, as they lie in memory.
//!
//! What lives here: one table of opcodes and the layout of each command and fixup. What does not: where they are written
//! (`storage.rs`, `builder.rs`), what they do (`alone.rs`, `together.rs`), how they look as text (`disassemble.rs`).
//!
//! A command is a header of 4 bytes and a body; it begins at a multiple of 8 bytes and is a multiple of 8 long. Operands
//! are numbers of *bindings*: the resolved addresses and lengths of the block, one for each fixup. Nothing of this leaves
//! the process, so the byte order is the host's.

use super::operands::Address;
use crate::abi::{Environment, KernelFunction};

/// Bytes of one word: commands begin at words.
pub(crate) const WORD_BYTES: usize = 8;

/// The longest command: its length in words is one byte.
pub(crate) const COMMAND_BYTES_MAX: usize = 255 * WORD_BYTES;

/// Work commands of one region: their index is one byte.
pub(crate) const REGION_COMMANDS_MAX: usize = 255;

/// Bytes of a fill or copy that make one tile.
pub(crate) const TRANSFER_TILE_BYTES: u64 = 64 * 1024;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $mnemonic:literal, $layout:ty, $work:literal;)*) => {
        /// What a command does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Opcode { $($(#[$doc])* $name = $code,)* }

        impl Opcode {
            /// Its name in text.
            pub(crate) const fn mnemonic(self) -> &'static str {
                match self { $(Opcode::$name => $mnemonic,)* }
            }

            /// Whether it has tiles; others only steer.
            pub(crate) const fn is_work(self) -> bool {
                match self { $(Opcode::$name => $work,)* }
            }
        }
        $(const _: () = assert!(align_of::<$layout>() <= WORD_BYTES);)*
    };
}

commands! {
    /// Runs workgroups of a kernel, one tile each. Push constants follow.
    Dispatch = 0, "dispatch", DispatchCommand, true;
    /// Repeats a pattern over a binding.
    Fill = 1, "fill", FillCommand, true;
    /// Copies a binding to another.
    Copy = 2, "copy", CopyCommand, true;
    /// Writes bytes, which follow, to a binding.
    Update = 3, "update", UpdateCommand, true;
    /// Begins a region: everything before is done before anything after begins.
    Barrier = 4, "barrier", BarrierCommand, false;
    /// Goes on in the next block.
    Branch = 5, "branch", SteeringCommand, false;
    /// Ends the recording.
    Return = 6, "return", SteeringCommand, false;
}

/// Where commands begin.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) opcode: Opcode,
    pub(crate) flags: u8,
    /// Length of the command.
    pub(crate) words: u8,
    /// Which work command of its region it is.
    pub(crate) index: u8,
}

/// The workgroup count is read from a binding when the region begins.
pub(crate) const FLAG_INDIRECT: u8 = 1;
/// Never runs: its grid is empty. Kept so that numbers of commands stay those of the recording.
pub(crate) const FLAG_PREDICATED: u8 = 2;
/// Neighbouring workgroups belong together.
pub(crate) const FLAG_SEQUENTIAL: u8 = 4;

/// Push constants follow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct DispatchCommand {
    pub(crate) header: Header,
    pub(crate) constant_count: u8,
    pub(crate) binding_count: u8,
    /// The first of its bindings.
    pub(crate) bindings: u16,
    pub(crate) function: KernelFunction,
    pub(crate) environment: *const Environment,
    /// Index in the kernels of the recording.
    pub(crate) kernel: u32,
    /// Which command of the recording it is, barriers counted.
    pub(crate) number: u32,
    pub(crate) size: [u32; 3],
    /// The grid; for indirect ones the binding that holds it and the number of its place in the execution.
    pub(crate) grid: [u32; 3],
    /// Workgroups; 1 for indirect ones.
    pub(crate) tiles: u32,
    pub(crate) local_memory_bytes: u32,
}

/// Bytes before the push constants.
pub(crate) const DISPATCH_FIXED_BYTES: usize = std::mem::offset_of!(DispatchCommand, local_memory_bytes) + 4;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FillCommand {
    pub(crate) header: Header,
    pub(crate) target: u16,
    pub(crate) pattern_length: u8,
    pub(crate) reserved: u8,
    pub(crate) pattern: u64,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct CopyCommand {
    pub(crate) header: Header,
    pub(crate) source: u16,
    pub(crate) target: u16,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct UpdateCommand {
    pub(crate) header: Header,
    pub(crate) target: u16,
    /// Bytes that follow.
    pub(crate) bytes: u16,
}

/// Most bytes of one update command; longer updates are several.
pub(crate) const UPDATE_COMMAND_BYTES_MAX: usize = COMMAND_BYTES_MAX - size_of::<UpdateCommand>();

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct BarrierCommand {
    pub(crate) header: Header,
    /// Region that begins here, counted through the recording.
    pub(crate) region: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SteeringCommand {
    pub(crate) header: Header,
    pub(crate) reserved: u32,
}

/// How the bytes of a binding are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FixupKind {
    /// At an address that was known when it was recorded.
    Direct = 0,
    /// In a source that each submission looks up: a slot of its table, or a buffer that is committed late.
    Indirect = 1,
}

/// A binding before it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Fixup {
    /// The first byte of a direct one; null otherwise.
    pub(crate) base: Address,
    /// Added to the source's address; 0 for direct ones.
    pub(crate) offset: u64,
    /// Bytes, or `WHOLE_BUFFER` for the rest of the source.
    pub(crate) length: u64,
    /// Index in the sources of the recording.
    pub(crate) source: u32,
    pub(crate) kind: FixupKind,
}

/// Words of one fixup.
pub(crate) const FIXUP_WORDS: usize = size_of::<Fixup>() / WORD_BYTES;

// Sizes are part of what the builder relies on when it splits.
const _: () = assert!(size_of::<Header>() == 4 && size_of::<Fixup>() == 32);
const _: () = assert!(DISPATCH_FIXED_BYTES == 64 && size_of::<DispatchCommand>() == 64);
const _: () = assert!(size_of::<FillCommand>() == 16 && size_of::<CopyCommand>() == 8);
const _: () = assert!(size_of::<BarrierCommand>() == 8 && size_of::<SteeringCommand>() == 8);
