//! The memory of one block: commands grow up, fixups grow down.
//!
//! What lives here: [`Block`], the only place where commands and fixups are written to and read from raw words. What does
//! not: when a block is full and what goes where (`builder.rs`).
//!
//! ```text
//! word 0                                              last word
//! | command | command | … | branch |   free   | fixup 1 | fixup 0 |
//! ```
//!
//! # Safety
//! 1. Whatever lies below `command_words` was written by [`Block::push`], one whole command after the other, each with
//!    its own length in its header. So whoever walks from 0 in steps of that length always stands on a header.
//! 2. A header's opcode says which type was written behind it, because `push` takes it from the type's own header.
//! 3. The words of fixup `i` were written by [`Block::push_fixup`] if `i < fixup_count`.
//! 4. Commands and fixups never meet: both pushes check the room between them.

#![allow(unsafe_code, reason = "reads and writes typed commands in raw words; rules in the header")]

use super::isa::{
    BarrierCommand, COMMAND_BYTES_MAX, CopyCommand, DISPATCH_FIXED_BYTES, DispatchCommand, FIXUP_WORDS,
    FillCommand, Fixup, Header, Opcode, SteeringCommand, UpdateCommand, WORD_BYTES,
};

/// A piece of a recording.
pub(crate) struct Block {
    words: Box<[u64]>,
    command_words: u16,
    fixup_count: u16,
}

// SAFETY: the addresses in commands and fixups are of code and buffers that the recording retains and that any thread
// may use; a block is only changed through `&mut`.
unsafe impl Send for Block {}
// SAFETY: as for `Send`.
unsafe impl Sync for Block {}

/// A type that can stand in a block.
///
/// # Safety
/// `repr(C)`, aligned to at most a word, begins with a [`Header`], and is the layout of `OPCODE` in the table of `isa.rs`.
pub(crate) unsafe trait Layout: Copy {
    /// Its opcode.
    const OPCODE: Opcode;
    /// Bytes before what follows it.
    const FIXED_BYTES: usize;
    /// Sets the header.
    fn header_mut(&mut self) -> &mut Header;
}

macro_rules! layouts {
    ($($layout:ty => $opcode:ident, $bytes:expr;)*) => { $(
        // SAFETY: declared so in `isa.rs`, in the row of this opcode.
        unsafe impl Layout for $layout {
            const OPCODE: Opcode = Opcode::$opcode;
            const FIXED_BYTES: usize = $bytes;
            fn header_mut(&mut self) -> &mut Header {
                &mut self.header
            }
        }
    )* };
}

layouts! {
    DispatchCommand => Dispatch, DISPATCH_FIXED_BYTES;
    FillCommand => Fill, size_of::<FillCommand>();
    CopyCommand => Copy, size_of::<CopyCommand>();
    UpdateCommand => Update, size_of::<UpdateCommand>();
    BarrierCommand => Barrier, size_of::<BarrierCommand>();
}

/// A command as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command<'a> {
    Dispatch(&'a DispatchCommand, &'a [u32]),
    Fill(&'a FillCommand),
    Copy(&'a CopyCommand),
    Update(&'a UpdateCommand, &'a [u8]),
    Barrier(&'a BarrierCommand),
    Branch,
    Return,
}

impl Block {
    /// An empty block. `words` is at most 8192, so that offsets fit.
    pub(crate) fn new(words: usize) -> Block {
        assert!(words <= 8192, "a block has at most 64 KiB");
        Block { words: vec![0; words].into_boxed_slice(), command_words: 0, fixup_count: 0 }
    }

    /// As new. The words keep their old values, which nobody reads: both counts are 0.
    pub(crate) fn clear(&mut self) {
        self.command_words = 0;
        self.fixup_count = 0;
    }

    /// Words of a command with so much behind its fixed part. `None` if no command is that long.
    pub(crate) fn command_words<L: Layout>(tail_bytes: usize) -> Option<usize> {
        let bytes = (L::FIXED_BYTES + tail_bytes).max(size_of::<L>()).next_multiple_of(WORD_BYTES);
        (bytes <= COMMAND_BYTES_MAX).then_some(bytes / WORD_BYTES)
    }

    /// Push constants as what follows a command.
    pub(crate) fn bytes_of(constants: &[u32]) -> &[u8] {
        // SAFETY: the same memory; numbers have no padding, and bytes need no alignment.
        unsafe { std::slice::from_raw_parts(constants.as_ptr().cast(), size_of_val(constants)) }
    }

    /// Words that are free.
    pub(crate) fn free_words(&self) -> usize {
        self.words.len() - self.end_of_commands() - usize::from(self.fixup_count) * FIXUP_WORDS
    }

    /// Where the next command will begin.
    pub(crate) fn end_of_commands(&self) -> usize {
        usize::from(self.command_words)
    }

    /// Number of fixups.
    pub(crate) fn fixup_count(&self) -> usize {
        usize::from(self.fixup_count)
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * WORD_BYTES
    }

    /// Adds a command with `tail` behind it, for which there is room. Returns where it begins.
    pub(crate) fn push<L: Layout>(&mut self, mut command: L, flags: u8, index: u8, tail: &[u8]) -> usize {
        let words = Block::command_words::<L>(tail.len()).expect("the builder asked before");
        assert!(words <= self.free_words(), "the builder asked before");
        *command.header_mut() = Header { opcode: L::OPCODE, flags, words: words as u8, index };
        let at = self.end_of_commands();
        let place = self.words[at..at + words].as_mut_ptr().cast::<u8>();
        // SAFETY: `words` words are at least `size_of::<L>()` bytes, aligned for it (rule of `Layout`).
        unsafe { place.cast::<L>().write(command) };
        // SAFETY: `FIXED_BYTES + tail.len()` bytes fit in `words` words.
        let behind = unsafe { place.add(L::FIXED_BYTES) };
        // SAFETY: as above; the source is a borrowed slice, which is not part of the block.
        unsafe { std::ptr::copy_nonoverlapping(tail.as_ptr(), behind, tail.len()) };
        self.command_words += words as u16;
        at
    }

    /// Adds a command that steers, for which there is room.
    pub(crate) fn push_steering(&mut self, opcode: Opcode) {
        assert!(!opcode.is_work() && opcode != Opcode::Barrier && self.free_words() >= 1);
        let header = Header { opcode, flags: 0, words: 1, index: 0 };
        let at = self.end_of_commands();
        let place = (&raw mut self.words[at]).cast::<SteeringCommand>();
        // SAFETY: one word, which is the size of the type.
        unsafe { place.write(SteeringCommand { header, reserved: 0 }) };
        self.command_words += 1;
    }

    /// Adds a fixup, for which there is room. Returns its number.
    pub(crate) fn push_fixup(&mut self, fixup: Fixup) -> u16 {
        assert!(self.free_words() >= FIXUP_WORDS, "the builder asked before");
        let number = self.fixup_count;
        let at = self.fixup_at(usize::from(number));
        let place = self.words[at..at + FIXUP_WORDS].as_mut_ptr().cast::<Fixup>();
        // SAFETY: `FIXUP_WORDS` words are the size of the type, and aligned for it.
        unsafe { place.write(fixup) };
        self.fixup_count += 1;
        number
    }

    fn fixup_at(&self, number: usize) -> usize {
        self.words.len() - (number + 1) * FIXUP_WORDS
    }

    /// A fixup.
    #[inline]
    pub(crate) fn fixup(&self, number: usize) -> Fixup {
        assert!(number < self.fixup_count(), "fixup {number} of {}", self.fixup_count);
        let at = self.fixup_at(number);
        let place = self.words[at..at + FIXUP_WORDS].as_ptr().cast::<Fixup>();
        // SAFETY: rule 3.
        unsafe { place.read() }
    }

    /// The header at the beginning of a command.
    #[inline]
    fn header(&self, at: usize) -> Header {
        assert!(at < self.end_of_commands(), "word {at} of {}", self.command_words);
        // SAFETY: rule 1: `at` comes from `push` or from a step over a whole command.
        unsafe { (&raw const self.words[at]).cast::<Header>().read() }
    }

    /// The command that begins at word `at`, which `push` returned or to which [`Block::next`] led.
    #[inline]
    pub(crate) fn command(&self, at: usize) -> (Header, Command<'_>) {
        let header = self.header(at);
        let place = self.words[at..at + usize::from(header.words)].as_ptr().cast::<u8>();
        let command = match header.opcode {
            Opcode::Dispatch => {
                // SAFETY: rule 2.
                let command = unsafe { &*place.cast::<DispatchCommand>() };
                let count = usize::from(command.constant_count);
                // SAFETY: `push` wrote as many constants behind the fixed part.
                let first = unsafe { place.add(DISPATCH_FIXED_BYTES) };
                // SAFETY: as above; the offset is a multiple of 4 from a word.
                let constants = unsafe { std::slice::from_raw_parts(first.cast::<u32>(), count) };
                Command::Dispatch(command, constants)
            }
            // SAFETY: rule 2.
            Opcode::Fill => Command::Fill(unsafe { &*place.cast::<FillCommand>() }),
            // SAFETY: rule 2.
            Opcode::Copy => Command::Copy(unsafe { &*place.cast::<CopyCommand>() }),
            Opcode::Update => {
                // SAFETY: rule 2.
                let command = unsafe { &*place.cast::<UpdateCommand>() };
                // SAFETY: `push` wrote as many bytes behind the fixed part.
                let first = unsafe { place.add(size_of::<UpdateCommand>()) };
                // SAFETY: as above.
                let bytes = unsafe { std::slice::from_raw_parts(first, usize::from(command.bytes)) };
                Command::Update(command, bytes)
            }
            // SAFETY: rule 2.
            Opcode::Barrier => Command::Barrier(unsafe { &*place.cast::<BarrierCommand>() }),
            Opcode::Branch => Command::Branch,
            Opcode::Return => Command::Return,
        };
        (header, command)
    }

    /// All commands, with where they begin.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (usize, Header, Command<'_>)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            (at < self.end_of_commands()).then(|| {
                let (header, command) = self.command(at);
                let here = at;
                at += usize::from(header.words);
                (here, header, command)
            })
        })
    }
}
