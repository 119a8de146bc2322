//! From commands to blocks.
//!
//! What lives here: [`BlockBuilder`]: where a region ends, when a block is full, what a command refers to. What does not:
//! raw words (`storage.rs`), running.
//!
//! 1. A region is what stands between two barriers, and lies in one block. A barrier is written with the first command
//!    behind it, so regions are never empty.
//! 2. A command that does not fit, a region with 255 commands or with 2^32 tiles ends the region: that only adds order.
//!    What does not fit a block goes to a new one, with a branch to it.
//! 3. Everything that can fail comes before the first word is written; what fails half-way is taken back.
//! 4. Commands that follow each other closely share equal operands.
//! 5. An operand in a buffer that is there from the start is an address. One in a slot, or in a buffer that is committed
//!    in queue order, is a range of a *source*, which each submission looks up once. The builder notes how many bytes of
//!    a source are used; that is all that a submission has to check.

use weft_hal::{
    BufferRange, Dispatch, DispatchFlags, Executable, Operand, Pattern, Place, WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Result, bail};

use super::isa::{
    BarrierCommand, CopyCommand, DispatchCommand, FIXUP_WORDS, FLAG_INDIRECT, FLAG_PREDICATED,
    FLAG_SEQUENTIAL, FillCommand, Fixup, FixupKind, Header, Opcode, REGION_COMMANDS_MAX, TRANSFER_TILE_BYTES,
    UPDATE_COMMAND_BYTES_MAX, UpdateCommand,
};
use super::operands::Address;
use super::recording::{Blocks, Region};
use super::storage::{Block, Layout};
use crate::abi::DispatchAttributes;
use crate::command_buffer::{Kernel, Source, SourcePlace};
use crate::dispatch::{Geometry, GeometryRequest};
use crate::executable::CpuExecutable;
use crate::numbering::Numbering;

/// How large blocks are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuilderLimits {
    /// Words of the first block. Most recordings are small.
    pub(crate) first_words: usize,
    /// Each further block has twice as many, up to this.
    pub(crate) words_max: usize,
}

impl Default for BuilderLimits {
    fn default() -> BuilderLimits {
        BuilderLimits { first_words: 128, words_max: 4096 }
    }
}

/// Commands whose operands may be shared by a later one. Programs alternate between a few sets.
const RECENT_RUNS: usize = 4;

/// Words that stay free for a barrier and a branch.
const STEERING_WORDS: usize = 2;

/// Writes a recording.
pub(crate) struct BlockBuilder {
    limits: BuilderLimits,
    blocks: Blocks,
    sources: Numbering<SourceKey>,
    kernels: Numbering<(usize, u32)>,
    /// Addresses of the retained direct buffers.
    direct: Numbering<usize>,
    /// The region under way, if its barrier was written.
    region: Option<Region>,
    /// Commands so far, barriers included.
    number: u32,
    /// Of these, the dispatches that may run inline.
    inline_count: u32,
    /// The operands of the last few commands in the open block, the latest first: their first binding and their number.
    recent: [(u16, u8); RECENT_RUNS],
    /// The operands of the command under way.
    fixups: Vec<Fixup>,
}

/// What makes a source the same source. Buffers are retained, so their addresses are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SourceKey {
    Slot(u32),
    Buffer(usize),
}

impl Default for BlockBuilder {
    fn default() -> BlockBuilder {
        BlockBuilder::new(BuilderLimits::default())
    }
}

const NO_HEADER: Header = Header { opcode: Opcode::Return, flags: 0, words: 0, index: 0 };

impl BlockBuilder {
    pub(crate) fn new(limits: BuilderLimits) -> BlockBuilder {
        BlockBuilder {
            limits,
            blocks: Blocks::default(),
            sources: Numbering::default(),
            kernels: Numbering::default(),
            direct: Numbering::default(),
            region: None,
            number: 0,
            inline_count: 0,
            recent: [(0, 0); RECENT_RUNS],
            fixups: Vec::new(),
        }
    }

    /// Begins a recording for one submission, in the room of one that was cleared.
    pub(crate) fn begin_once(&mut self, room: Blocks) {
        self.blocks = room;
        self.blocks.is_for_one_use = true;
        self.sources.clear();
        self.kernels.clear();
        self.direct.clear();
        self.region = None;
        self.number = 0;
        self.inline_count = 0;
        self.recent = [(0, 0); RECENT_RUNS];
    }

    /// Ends the region.
    pub(crate) fn barrier(&mut self) {
        self.skip();
        self.end_region();
    }

    /// Counts a command.
    pub(crate) fn skip(&mut self) {
        self.number = self.number.saturating_add(1);
    }

    pub(crate) fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        let fixup = self.fixup(target)?;
        self.fixups.clear();
        self.fixups.push(fixup);
        let (tiles, is_dynamic) = transfer_tiles(target.length())?;
        self.append::<FillCommand>(tiles, is_dynamic, &[], |bindings| {
            let (pattern_length, pattern) = (pattern.length, u64::from(pattern.repeated));
            (FillCommand { header: NO_HEADER, target: bindings, pattern_length, reserved: 0, pattern }, 0)
        })?;
        self.skip();
        Ok(())
    }

    pub(crate) fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        let fixups = [self.fixup(source)?, self.fixup(target)?];
        self.fixups.clear();
        self.fixups.extend(fixups);
        let (tiles, is_dynamic) = transfer_tiles(source.length())?;
        self.append::<CopyCommand>(tiles, is_dynamic, &[], |bindings| {
            (CopyCommand { header: NO_HEADER, source: bindings, target: bindings + 1 }, 0)
        })?;
        self.skip();
        Ok(())
    }

    pub(crate) fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        for (piece, bytes) in source.chunks(UPDATE_COMMAND_BYTES_MAX).enumerate() {
            let begin = (piece * UPDATE_COMMAND_BYTES_MAX) as u64;
            let length = bytes.len() as u64;
            let place = match *target {
                Place::Direct(range) => {
                    Place::Direct(BufferRange { offset: range.offset + begin, length, ..range })
                }
                Place::Slot { slot, offset, .. } => match offset.checked_add(begin) {
                    Some(offset) => Place::Slot { slot, offset, length },
                    None => bail!(OutOfRange, "an update reaches beyond 64 bits"),
                },
            };
            let fixup = self.fixup(&place)?;
            self.fixups.clear();
            self.fixups.push(fixup);
            self.append::<UpdateCommand>(1, false, bytes, |bindings| {
                let bytes = bytes.len() as u16;
                (UpdateCommand { header: NO_HEADER, target: bindings, bytes }, 0)
            })?;
        }
        // All pieces are one command.
        self.skip();
        Ok(())
    }

    pub(crate) fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        let kernel = self.kernel(dispatch)?;
        let entry = self.blocks.kernels[kernel as usize].entry;
        let (count, counts_at) = match dispatch.workgroup_count {
            WorkgroupCount::Direct(count) => (count, None),
            // Read and checked when the region begins.
            WorkgroupCount::IndirectStatic(source) | WorkgroupCount::IndirectDynamic(source) => {
                ([1; 3], Some(Operand { length: size_of::<[u32; 3]>() as u64, ..source }))
            }
        };
        let request = GeometryRequest {
            size: dispatch.workgroup_size,
            count,
            local_memory_bytes: dispatch.local_memory_bytes,
        };
        let geometry = Geometry::resolve(&entry.attributes, &request)?;
        let mut fixups = std::mem::take(&mut self.fixups);
        fixups.clear();
        for operand in dispatch.bindings.iter().chain(&counts_at) {
            fixups.push(self.fixup(&operand.place()?)?);
        }
        self.fixups = fixups;
        let is_empty = geometry.is_empty();
        let tiles = if is_empty { 0 } else { geometry.count.iter().product() };
        let number = self.number;
        let place = self.blocks.indirect_count;
        // The front compared all counts with those of the function, which are bytes.
        let (constant_count, binding_count) = (dispatch.constants.len() as u8, dispatch.bindings.len() as u8);
        let tail = Block::bytes_of(dispatch.constants);
        let is_dynamic = counts_at.is_some();
        if is_dynamic {
            // A region of its own: two of them could have more tiles together than a region can count.
            self.end_region();
        }
        self.append::<DispatchCommand>(tiles, is_dynamic, tail, |bindings| {
            let grid = match counts_at {
                None => geometry.count,
                // The operand behind the bindings.
                Some(_) => [u32::from(bindings) + u32::from(binding_count), place, 0],
            };
            let mut flags = 0;
            flags |= if is_dynamic { FLAG_INDIRECT } else { 0 };
            flags |= if is_empty { FLAG_PREDICATED } else { 0 };
            let sequential = entry.attributes.flags & DispatchAttributes::SEQUENTIAL != 0;
            flags |= if sequential { FLAG_SEQUENTIAL } else { 0 };
            let command = DispatchCommand {
                header: NO_HEADER,
                constant_count,
                binding_count,
                bindings,
                function: entry.function,
                environment: entry.environment,
                kernel,
                number,
                size: geometry.size,
                grid,
                tiles,
                local_memory_bytes: geometry.local_memory_bytes,
            };
            (command, flags)
        })?;
        self.skip();
        if is_dynamic {
            self.end_region();
            self.blocks.indirect_count += 1;
        }
        self.inline_count += u32::from(dispatch.flags.contains(DispatchFlags::ALLOW_INLINE_EXECUTION));
        self.blocks.local_memory_bytes = self.blocks.local_memory_bytes.max(geometry.local_memory_bytes);
        Ok(())
    }

    /// The finished recording.
    pub(crate) fn finish(mut self) -> Blocks {
        self.end()
    }

    /// As [`BlockBuilder::finish`]; the builder may begin another one.
    pub(crate) fn end(&mut self) -> Blocks {
        self.end_region();
        if let Some(block) = self.blocks.blocks.last_mut() {
            block.push_steering(Opcode::Return);
        }
        self.blocks.recorded_count = self.number;
        let mut start = 0;
        for block in &self.blocks.blocks {
            self.blocks.binding_starts.push(start);
            start += block.fixup_count() as u32;
        }
        // Dispatches that may run inline are for one worker, however many workgroups they have.
        let is_inline = std::mem::take(&mut self.inline_count) == self.number;
        self.blocks.is_narrow =
            is_inline || self.blocks.regions.iter().all(|region| !region.is_dynamic && region.tiles <= 1);
        std::mem::take(&mut self.blocks)
    }

    /// Writes a command with the operands in `self.fixups`. `make` is given the number of the first one.
    fn append<L: Layout>(
        &mut self,
        tiles: u32,
        is_dynamic: bool,
        tail: &[u8],
        make: impl FnOnce(u16) -> (L, u8),
    ) -> Result<()> {
        let Some(words) = Block::command_words::<L>(tail.len()) else {
            bail!(ResourceExhausted, "a command with {} bytes of its own fits no block", tail.len());
        };
        self.make_room(words + self.fixups.len() * FIXUP_WORDS, tiles)?;
        let block_index = (self.blocks.blocks.len() - 1) as u32;
        let block = self.blocks.blocks.last_mut().expect("room was made in it");
        let region = self.region.get_or_insert_with(|| {
            let region = self.blocks.regions.len() as u32;
            block.push(BarrierCommand { header: NO_HEADER, region }, 0, 0, &[]);
            let first = block.end_of_commands() as u16;
            Region { block: block_index, first, commands: 0, is_dynamic: false, tiles: 0 }
        });
        let bindings = share_or_push(block, &self.fixups, &mut self.recent);
        let (command, flags) = make(bindings);
        block.push(command, flags, region.commands, tail);
        region.commands += 1;
        region.tiles += if is_dynamic { 0 } else { tiles };
        region.is_dynamic |= is_dynamic;
        self.blocks.numbers.push(self.number);
        Ok(())
    }

    /// Sees to it that a command of so many words (operands included) and tiles fits the last block and the region.
    fn make_room(&mut self, words: usize, tiles: u32) -> Result<()> {
        let is_full = self.region.is_some_and(|region| {
            usize::from(region.commands) == REGION_COMMANDS_MAX || region.tiles.checked_add(tiles).is_none()
        });
        if is_full {
            self.end_region();
        }
        let needed = words + STEERING_WORDS;
        if self.blocks.blocks.last().is_some_and(|block| block.free_words() >= needed) {
            return Ok(());
        }
        if needed > self.limits.words_max {
            bail!(
                ResourceExhausted,
                "a command of {words} words does not fit a block of {}",
                self.limits.words_max
            );
        }
        self.end_region();
        let mut size = self.limits.first_words;
        if let Some(last) = self.blocks.blocks.last_mut() {
            last.push_steering(Opcode::Branch);
            size = (last.bytes() / super::isa::WORD_BYTES * 2).min(self.limits.words_max);
        }
        while size < needed {
            size *= 2;
        }
        self.blocks.blocks.push(Block::new(size.min(self.limits.words_max)));
        self.recent = [(0, 0); RECENT_RUNS];
        Ok(())
    }

    fn end_region(&mut self) {
        self.blocks.regions.extend(self.region.take());
    }

    fn kernel(&mut self, dispatch: &Dispatch<'_>) -> Result<u32> {
        // The front checked that the function exists, so it fits.
        let ordinal = dispatch.function.0 as u32;
        let executable: &Executable = dispatch.executable;
        let key = (std::ptr::from_ref(executable).addr(), ordinal);
        if let Some(known) = self.kernels.find(key) {
            return Ok(known as u32);
        }
        let Some(loaded) = executable.backend::<CpuExecutable>() else {
            bail!(InvalidArgument, "the executable was prepared for another kind of device");
        };
        let checks_lengths = loaded.export(ordinal)?.bindings.is_some();
        let Some(&entry) = loaded.entry(ordinal) else {
            bail!(OutOfRange, "function {ordinal} has no entry point");
        };
        self.blocks.kernels.push(Kernel { executable: executable.retain(), entry, ordinal, checks_lengths });
        self.kernels.push(key);
        Ok((self.blocks.kernels.len() - 1) as u32)
    }

    fn fixup(&mut self, place: &Place<'_>) -> Result<Fixup> {
        match *place {
            Place::Direct(BufferRange { buffer, offset, length }) if !buffer.is_transient() => {
                // Resident: the address is good for as long as the buffer, which is retained.
                let base = Address(buffer.pin()?.narrow(offset, length)?.base().cast());
                let key = std::ptr::from_ref(buffer).addr();
                if self.direct.find(key).is_none() {
                    self.direct.push(key);
                    self.blocks.direct.push(buffer.retain());
                }
                Ok(Fixup { base, offset: 0, length, source: 0, kind: FixupKind::Direct })
            }
            Place::Direct(BufferRange { buffer, offset, length }) => {
                let key = SourceKey::Buffer(std::ptr::from_ref(buffer).addr());
                self.indirect(key, || SourcePlace::Buffer(buffer.retain()), offset, length)
            }
            Place::Slot { slot, offset, length } => {
                self.indirect(SourceKey::Slot(slot), || SourcePlace::Slot(slot), offset, length)
            }
        }
    }

    fn indirect(
        &mut self,
        key: SourceKey,
        place: impl FnOnce() -> SourcePlace,
        offset: u64,
        length: u64,
    ) -> Result<Fixup> {
        let Some(end) = offset.checked_add(if length == WHOLE_BUFFER { 0 } else { length }) else {
            bail!(OutOfRange, "range of {length} bytes at offset {offset} exceeds 64 bits");
        };
        let sources = &mut self.blocks.sources;
        let source = self.sources.find(key).unwrap_or_else(|| {
            sources.push(Source { place: place(), extent: 0 });
            self.sources.push(key);
            sources.len() - 1
        });
        let extent = &mut sources[source].extent;
        *extent = end.max(*extent);
        let source = source as u32;
        let base = Address(std::ptr::null_mut());
        Ok(Fixup { base, offset, length, source, kind: FixupKind::Indirect })
    }
}

/// Adds fixups, unless a command shortly before had the same. Returns the number of the first one.
fn share_or_push(block: &mut Block, fixups: &[Fixup], recent: &mut [(u16, u8); RECENT_RUNS]) -> u16 {
    let is_same = |&(start, count): &(u16, u8)| {
        usize::from(count) == fixups.len()
            && (0..).zip(fixups).all(|(index, fixup)| block.fixup(usize::from(start) + index) == *fixup)
    };
    let found = recent.iter().position(is_same);
    let run = match found {
        Some(index) => recent[index],
        None => {
            let start = block.fixup_count() as u16;
            for &fixup in fixups {
                block.push_fixup(fixup);
            }
            (start, fixups.len() as u8)
        }
    };
    recent[..=found.unwrap_or(RECENT_RUNS - 1)].rotate_right(1);
    recent[0] = run;
    run.0
}

/// Tiles of a transfer, and whether the number is known only at run time.
fn transfer_tiles(length: u64) -> Result<(u32, bool)> {
    if length == WHOLE_BUFFER {
        return Ok((1, true));
    }
    match u32::try_from(length.div_ceil(TRANSFER_TILE_BYTES)) {
        Ok(tiles) => Ok((tiles, false)),
        Err(_) => bail!(OutOfRange, "a transfer of {length} bytes has more than 2^32 tiles"),
    }
}
