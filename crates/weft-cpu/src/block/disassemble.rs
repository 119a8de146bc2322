//! Blocks as text, for people: `weft run --dump_blocks`.
//!
//! Each line of a block is a command: its byte offset, its name, what it works on. An operand is `#` and the number of its
//! fixup, then where it lies: `slot1[16..80]` are bytes of an entry of the table that comes with the submission, `late0[..]`
//! of a buffer that is committed in queue order, `direct[64]` so many bytes at an address that is in the block. Equal
//! numbers are one fixup.

use std::fmt;

use super::isa::{FLAG_INDIRECT, FLAG_PREDICATED, FLAG_SEQUENTIAL, FixupKind, Opcode, WORD_BYTES};
use super::recording::{BlockRecording, Blocks};
use super::storage::{Block, Command};
use crate::command_buffer::SourcePlace;
use weft_hal::WHOLE_BUFFER;

impl fmt::Display for BlockRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = &*self.0;
        writeln!(
            f,
            "{}, {}, {}, {}, {} of local memory",
            Count(blocks.blocks.len(), "block"),
            Count(blocks.block_bytes(), "byte"),
            Count(blocks.regions.len(), "region"),
            Count(blocks.binding_count(), "fixup"),
            Count(blocks.local_memory_bytes as usize, "byte"),
        )?;
        for (index, source) in blocks.sources.iter().enumerate() {
            write_source(f, blocks, index)?;
            let kind = match source.place {
                SourcePlace::Slot(_) => "an entry of the table",
                SourcePlace::Buffer(_) => "a buffer that is committed in queue order",
            };
            writeln!(f, ": {kind}, bytes 0..{} used", source.extent)?;
        }
        for (index, block) in blocks.blocks.iter().enumerate() {
            let command_bytes = block.end_of_commands() * WORD_BYTES;
            writeln!(f, "block {index}: {command_bytes} of {} bytes are commands", block.bytes())?;
            for (at, header, command) in block.commands() {
                write!(f, "  {:>5}  ", at * WORD_BYTES)?;
                match header.opcode {
                    Opcode::Return => write!(f, "{}", header.opcode.mnemonic())?,
                    opcode => write!(f, "{:<9}", opcode.mnemonic())?,
                }
                write_command(f, blocks, block, header.flags, &command)?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// `1 tile`, `2 tiles`.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

fn write_command(
    f: &mut fmt::Formatter<'_>,
    blocks: &Blocks,
    block: &Block,
    flags: u8,
    command: &Command<'_>,
) -> fmt::Result {
    let operand = |number: usize| WrittenOperand { blocks, block, number };
    match command {
        Command::Dispatch(dispatch, constants) => {
            let kernel = &blocks.kernels[dispatch.kernel as usize];
            let name = kernel.loaded().ok().and_then(|loaded| loaded.export(kernel.ordinal).ok());
            write!(f, "{}", name.map_or("?", |export| &export.name))?;
            if flags & FLAG_INDIRECT != 0 {
                write!(f, ", grid at {}", operand(dispatch.grid[0] as usize))?;
            } else {
                let [x, y, z] = dispatch.grid;
                write!(f, ", grid {x}x{y}x{z}")?;
            }
            if flags & FLAG_PREDICATED != 0 {
                write!(f, " (never runs)")?;
            }
            if flags & FLAG_SEQUENTIAL != 0 {
                write!(f, ", in runs")?;
            }
            if !constants.is_empty() {
                write!(f, ", constants {constants:?}")?;
            }
            for binding in 0..usize::from(dispatch.binding_count) {
                write!(f, ", {}", operand(usize::from(dispatch.bindings) + binding))?;
            }
            Ok(())
        }
        Command::Fill(fill) => {
            let digits = usize::from(fill.pattern_length) * 2;
            let pattern = fill.pattern & (u64::MAX >> (64 - 8 * u32::from(fill.pattern_length)));
            write!(f, "{} with 0x{pattern:0digits$X}", operand(usize::from(fill.target)))
        }
        Command::Copy(copy) => {
            write!(f, "{} to {}", operand(usize::from(copy.source)), operand(usize::from(copy.target)))
        }
        Command::Update(update, bytes) => {
            write!(f, "{} to {}", Count(bytes.len(), "byte"), operand(usize::from(update.target)))
        }
        Command::Barrier(barrier) => {
            write!(f, "region {}", barrier.region)?;
            let Some(region) = blocks.regions.get(barrier.region as usize) else { return Ok(()) };
            let more = if region.is_dynamic { " and what is read when it begins" } else { "" };
            write!(f, ": {}{more}", Count(region.tiles as usize, "tile"))
        }
        Command::Branch => write!(f, "to the next block"),
        Command::Return => Ok(()),
    }
}

/// A fixup as operands name it.
struct WrittenOperand<'a> {
    blocks: &'a Blocks,
    block: &'a Block,
    number: usize,
}

impl fmt::Display for WrittenOperand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fixup = self.block.fixup(self.number);
        write!(f, "#{} ", self.number)?;
        match (fixup.kind, fixup.length) {
            (FixupKind::Direct, length) => write!(f, "direct[{length}]"),
            (FixupKind::Indirect, length) => {
                write_source(f, self.blocks, fixup.source as usize)?;
                match length {
                    WHOLE_BUFFER => write!(f, "[{}..]", fixup.offset),
                    length => write!(f, "[{}..{}]", fixup.offset, fixup.offset.saturating_add(length)),
                }
            }
        }
    }
}

fn write_source(f: &mut fmt::Formatter<'_>, blocks: &Blocks, index: usize) -> fmt::Result {
    match blocks.sources[index].place {
        SourcePlace::Slot(slot) => write!(f, "slot{slot}"),
        // Buffers have no names; the number is that of the source.
        SourcePlace::Buffer(_) => write!(f, "late{index}"),
    }
}
