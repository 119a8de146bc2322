//! A finished recording: blocks and what they refer to. Immutable; any number of submissions run it at once.
//!
//! What lives here: [`Blocks`], the recorder that the front talks to, and questions about shape. What does not: writing
//! (`builder.rs`), running (`alone.rs`, `together.rs`), text (`disassemble.rs`).

use std::sync::Arc;

use weft_hal::profile::RecordingId;
use weft_hal::{CommandRecorder, Dispatch, Pattern, Place, Recording};
use weft_sync::Result;

use super::builder::{BlockBuilder, BuilderLimits};
use super::storage::Block;
use crate::command_buffer::{Kernel, Source};
use crate::task_queue::Pace;

/// Commands that may run at the same time, between two barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Which block it lies in.
    pub(crate) block: u32,
    /// Word of its first work command.
    pub(crate) first: u16,
    /// Number of work commands, 1 to 255.
    pub(crate) commands: u8,
    /// Some command says only at run time how many tiles it has.
    pub(crate) is_dynamic: bool,
    /// Tiles of the others.
    pub(crate) tiles: u32,
}

/// A finished recording.
#[derive(Default)]
pub(crate) struct Blocks {
    pub(crate) blocks: Vec<Block>,
    /// Where the bindings of each block begin among those of all blocks.
    pub(crate) binding_starts: Vec<u32>,
    pub(crate) regions: Vec<Region>,
    /// What submissions look up: slots of the table, buffers that are committed late.
    pub(crate) sources: Vec<Source>,
    /// Buffers that are there from the start; their addresses are in the fixups.
    pub(crate) direct: Vec<Arc<weft_hal::Buffer>>,
    pub(crate) kernels: Vec<Kernel>,
    /// Most local memory that any dispatch needs.
    pub(crate) local_memory_bytes: u32,
    /// Dispatches that read their grid at run time.
    pub(crate) indirect_count: u32,
    /// No region has work for a second worker.
    pub(crate) is_narrow: bool,
    /// How long it takes.
    pub(crate) pace: Pace,
    /// Commands that were recorded, barriers and those without effect included.
    pub(crate) recorded_count: u32,
    /// Which of them each work command is, for profiles.
    pub(crate) numbers: Vec<u32>,
    /// What profiles tell recordings apart by.
    pub(crate) id: RecordingId,
    /// Made for one submission, and used again for another one after that.
    pub(crate) is_for_one_use: bool,
}

impl Blocks {
    /// Bindings of all blocks.
    pub(crate) fn binding_count(&self) -> usize {
        self.blocks.iter().map(Block::fixup_count).sum()
    }

    /// As new, but for room: lists keep theirs, and one block is kept.
    pub(crate) fn clear(&mut self) {
        self.blocks.truncate(1);
        self.blocks.iter_mut().for_each(Block::clear);
        self.binding_starts.clear();
        self.regions.clear();
        self.sources.clear();
        self.direct.clear();
        self.kernels.clear();
        self.local_memory_bytes = 0;
        self.indirect_count = 0;
        self.pace = Pace::default();
        self.recorded_count = 0;
        self.numbers.clear();
        self.id = RecordingId::default();
    }

    /// Bytes of all blocks.
    pub(crate) fn block_bytes(&self) -> usize {
        self.blocks.iter().map(Block::bytes).sum()
    }
}

/// What the front keeps of a recording.
pub(crate) struct BlockRecording(pub(crate) Arc<Blocks>);

impl Recording for BlockRecording {
    fn id(&self) -> u64 {
        self.0.id.get()
    }

    fn describe(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Records into blocks.
pub(crate) struct BlockRecorder(BlockBuilder);

impl BlockRecorder {
    pub(crate) fn new() -> BlockRecorder {
        BlockRecorder(BlockBuilder::new(BuilderLimits::default()))
    }
}

impl CommandRecorder for BlockRecorder {
    fn barrier(&mut self) -> Result<()> {
        self.0.barrier();
        Ok(())
    }

    fn skip(&mut self) {
        self.0.skip();
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.0.fill(target, pattern)
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.0.update(source, target)
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        self.0.copy(source, target)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.0.dispatch(dispatch)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        Ok(Box::new(BlockRecording(Arc::new(self.0.finish()))))
    }
}
