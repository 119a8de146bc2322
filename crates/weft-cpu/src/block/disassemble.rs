//! Blocks as text, for people: `weft dump --blocks`.

use std::fmt;

use super::isa::{FLAG_INDIRECT, FLAG_PREDICATED, FixupKind};
use super::recording::{BlockRecording, Blocks};
use super::storage::{Block, Command};
use crate::command_buffer::SourcePlace;
use weft_hal::WHOLE_BUFFER;

impl fmt::Display for BlockRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = &self.0;
        writeln!(
            f,
            "{} blocks, {} bytes, {} regions, {} bindings, {} bytes of local memory",
            blocks.blocks.len(),
            blocks.block_bytes(),
            blocks.regions.len(),
            blocks.binding_count(),
            blocks.local_memory_bytes
        )?;
        for (index, source) in blocks.sources.iter().enumerate() {
            match source.place {
                SourcePlace::Slot(slot) => write!(f, "source {index}: slot {slot}")?,
                SourcePlace::Buffer(_) => write!(f, "source {index}: queue-allocated buffer")?,
            }
            writeln!(f, ", {} bytes used", source.extent)?;
        }
        for (index, block) in blocks.blocks.iter().enumerate() {
            writeln!(f, "block {index}: {} bytes", block.bytes())?;
            for (at, header, command) in block.commands() {
                write!(f, "  {:>5}  {:<9}", at * super::isa::WORD_BYTES, header.opcode.mnemonic())?;
                write_command(f, blocks, block, header.flags, &command)?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn write_command(
    f: &mut fmt::Formatter<'_>,
    blocks: &Blocks,
    block: &Block,
    flags: u8,
    command: &Command<'_>,
) -> fmt::Result {
    match command {
        Command::Dispatch(dispatch, constants) => {
            let kernel = &blocks.kernels[dispatch.kernel as usize];
            let name = kernel.loaded().ok().and_then(|loaded| loaded.export(kernel.ordinal).ok());
            write!(f, "{}", name.map_or("?", |export| &export.name))?;
            if flags & FLAG_INDIRECT != 0 {
                write!(f, " grid at ")?;
                write_binding(f, block, dispatch.grid[0] as usize)?;
            } else {
                let [x, y, z] = dispatch.grid;
                write!(f, " {x}x{y}x{z}")?;
            }
            if flags & FLAG_PREDICATED != 0 {
                write!(f, " (never)")?;
            }
            if !constants.is_empty() {
                write!(f, " constants {constants:?}")?;
            }
            for binding in 0..usize::from(dispatch.binding_count) {
                write!(f, " ")?;
                write_binding(f, block, usize::from(dispatch.bindings) + binding)?;
            }
            Ok(())
        }
        Command::Fill(fill) => {
            write_binding(f, block, usize::from(fill.target))?;
            let digits = usize::from(fill.pattern_length) * 2;
            let pattern = fill.pattern & (u64::MAX >> (64 - 8 * u32::from(fill.pattern_length)));
            write!(f, " with 0x{pattern:0digits$X}")
        }
        Command::Copy(copy) => {
            write_binding(f, block, usize::from(copy.source))?;
            write!(f, " -> ")?;
            write_binding(f, block, usize::from(copy.target))
        }
        Command::Update(update, bytes) => {
            write!(f, "{} bytes -> ", bytes.len())?;
            write_binding(f, block, usize::from(update.target))
        }
        Command::Barrier(barrier) => {
            let tiles =
                blocks.regions.get(barrier.region as usize).map(|region| (region.tiles, region.is_dynamic));
            match tiles {
                Some((tiles, true)) => write!(f, "region {}: {tiles} tiles and more", barrier.region),
                Some((tiles, false)) => write!(f, "region {}: {tiles} tiles", barrier.region),
                None => write!(f, "region {}", barrier.region),
            }
        }
        Command::Branch | Command::Return => Ok(()),
    }
}

fn write_binding(f: &mut fmt::Formatter<'_>, block: &Block, number: usize) -> fmt::Result {
    let fixup = block.fixup(number);
    match fixup.kind {
        FixupKind::Direct => write!(f, "[direct")?,
        FixupKind::Indirect => write!(f, "[source {}+{}", fixup.source, fixup.offset)?,
    }
    match fixup.length {
        WHOLE_BUFFER => write!(f, " rest]"),
        length => write!(f, " {length}]"),
    }
}
