//! What the operands of a recording are in one submission.
//!
//! What lives here: [`Operands`]: sources looked up and pinned, bindings as addresses and lengths, indirect counts. What
//! does not: running.
//!
//! # Safety
//! Whoever runs commands relies on these facts:
//! 1. *Pinned*: the address of a source is good until [`Operands::release`]; that of a direct binding as long as the
//!    recording, which retains its buffer.
//! 2. *Inside*: a fixup's offset and length lie within the extent of its source ([`BlockBuilder`]), and
//!    [`Operands::look_up`] compared the extent with what was pinned. Direct ones were checked when they were recorded.
//! 3. *Permitted*: the front checked that writes go to buffers that allow them. Who else touches the bytes meanwhile is
//!    the submitter's business; see the header of `weft-hal/src/buffer.rs`.
//!
//! [`BlockBuilder`]: super::builder::BlockBuilder

#![allow(unsafe_code, reason = "addresses of pinned buffers go from thread to thread")]

use std::ffi::c_void;

use weft_hal::{BindingEntry, PinnedBuffer, validate};
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::{Result, Status, WhileDoing, status};

use super::isa::{Fixup, FixupKind, TRANSFER_TILE_BYTES};
use super::recording::Blocks;
use super::storage::{Block, Command};
use crate::command_buffer::{Source, SourcePlace};

/// The first byte of something that is pinned elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Address(pub(crate) *mut c_void);

// SAFETY: an address has no thread affinity; using it is unsafe elsewhere.
unsafe impl Send for Address {}
// SAFETY: as for `Send`.
unsafe impl Sync for Address {}

/// Operands of one submission. Keeps its room when it is released.
#[derive(Default)]
pub(crate) struct Operands {
    sources: Vec<(Address, usize)>,
    pins: Vec<PinnedBuffer>,
    /// Bindings of the loaded blocks.
    pointers: Vec<Address>,
    lengths: Vec<usize>,
    /// Grids that were read at run time, by place.
    grids: Vec<[AtomicU32; 3]>,
}

/// Operands that there is room for from the beginning.
const ROOM: usize = 32;

impl Operands {
    /// With room for those of most recordings: what is used again mostly never grows.
    #[cold]
    pub(crate) fn roomy() -> Operands {
        Operands {
            sources: Vec::with_capacity(ROOM),
            pins: Vec::with_capacity(ROOM),
            pointers: Vec::with_capacity(ROOM),
            lengths: Vec::with_capacity(ROOM),
            grids: Vec::new(),
        }
    }

    /// Looks up every source of a recording in a table that the front checked, and pins it.
    pub(crate) fn look_up(&mut self, blocks: &Blocks, table: &[BindingEntry<'_>]) -> Result<()> {
        for source in &blocks.sources {
            let (pin, base, length) = look_up_one(source, table)?;
            // Fact 2.
            if source.extent > length as u64 {
                return Err(too_short(source.extent, length));
            }
            self.sources.push((Address(base.cast()), length));
            self.pins.push(pin);
        }
        let places = blocks.indirect_count as usize;
        if self.grids.len() < places {
            self.grids.resize_with(places, Default::default);
        }
        Ok(())
    }

    /// Lets go of everything.
    pub(crate) fn release(&mut self) {
        self.sources.clear();
        self.pins.clear();
        self.pointers.clear();
        self.lengths.clear();
    }

    /// Makes the bindings of one block those that are loaded, from number 0 on.
    pub(crate) fn load_block(&mut self, blocks: &Blocks, block: usize) {
        self.pointers.clear();
        self.lengths.clear();
        self.load(blocks, block);
    }

    /// Loads the bindings of all blocks, one after the other.
    pub(crate) fn load_all(&mut self, blocks: &Blocks) {
        for block in 0..blocks.blocks.len() {
            self.load(blocks, block);
        }
    }

    fn load(&mut self, blocks: &Blocks, block: usize) {
        let block = &blocks.blocks[block];
        for number in 0..block.fixup_count() {
            let (base, length) = self.resolve(&block.fixup(number));
            self.pointers.push(Address(base));
            self.lengths.push(length);
        }
    }

    /// First byte and length of what a fixup stands for.
    #[inline]
    fn resolve(&self, fixup: &Fixup) -> (*mut c_void, usize) {
        match fixup.kind {
            FixupKind::Direct => (fixup.base.0, fixup.length as usize),
            FixupKind::Indirect => {
                let (Address(base), available) = self.sources[fixup.source as usize];
                // Fact 2: the offset is at most the extent.
                let offset = fixup.offset as usize;
                let rest = available - offset;
                let length = rest.min(usize::try_from(fixup.length).unwrap_or(usize::MAX));
                (base.wrapping_byte_add(offset), length)
            }
        }
    }

    /// Bytes of a binding of any block, loaded or not.
    pub(super) fn length_in(&self, block: &Block, number: u16) -> u64 {
        self.resolve(&block.fixup(usize::from(number))).1 as u64
    }

    /// Addresses of bindings, as kernels see them.
    #[inline]
    pub(crate) fn pointers(&self, first: usize, count: usize) -> &[*mut c_void] {
        let addresses = &self.pointers[first..first + count];
        // SAFETY: `Address` is transparent.
        unsafe { std::slice::from_raw_parts(addresses.as_ptr().cast(), addresses.len()) }
    }

    /// Lengths of bindings, as kernels see them.
    #[inline]
    pub(crate) fn lengths(&self, first: usize, count: usize) -> &[usize] {
        &self.lengths[first..first + count]
    }

    /// First byte and length of a binding.
    #[inline]
    pub(crate) fn bytes(&self, number: usize) -> (*mut u8, usize) {
        (self.pointers[number].0.cast(), self.lengths[number])
    }

    /// Reads the grid of an indirect dispatch and keeps it. `binding` is where it lies. Once a dispatch: later changes
    /// of the buffer change nothing.
    pub(crate) fn read_grid(&self, binding: usize, place: u32) -> Result<[u32; 3]> {
        let (base, length) = self.bytes(binding);
        if length < size_of::<[u32; 3]>() {
            return Err(too_short(size_of::<[u32; 3]>() as u64, length));
        }
        // SAFETY: 12 bytes are there (just checked, facts 1 and 2); the address may be unaligned.
        let grid = unsafe { base.cast::<[u32; 3]>().read_unaligned() };
        validate::grid(grid).while_doing(|| "reading indirect workgroup counts")?;
        for (cell, count) in self.grids[place as usize].iter().zip(grid) {
            // Relaxed: published with the region.
            cell.store(count, Ordering::Relaxed);
        }
        Ok(grid)
    }

    /// A grid that was read before.
    #[inline]
    pub(crate) fn grid(&self, place: u32) -> [u32; 3] {
        let cells = &self.grids[place as usize];
        [0, 1, 2].map(|axis| cells[axis].load(Ordering::Relaxed))
    }

    /// Tiles of a transfer whose length is known now. OUT_OF_RANGE beyond 2^32.
    pub(crate) fn transfer_tiles(&self, command: &Command<'_>, first: usize) -> Result<u32> {
        let length = match command {
            Command::Fill(fill) => self.lengths[first + usize::from(fill.target)],
            Command::Copy(copy) => self.lengths[first + usize::from(copy.source)],
            _ => 0,
        };
        u32::try_from((length as u64).div_ceil(TRANSFER_TILE_BYTES))
            .map_err(|_| status!(OutOfRange, "a transfer of {length} bytes has more than 2^32 tiles"))
    }
}

#[inline]
fn look_up_one(source: &Source, table: &[BindingEntry<'_>]) -> Result<(PinnedBuffer, *mut u8, usize)> {
    match &source.place {
        SourcePlace::Buffer(buffer) => buffer.pin_retained(0, weft_hal::WHOLE_BUFFER),
        SourcePlace::Slot(slot) => match table.get(*slot as usize) {
            Some(&BindingEntry { buffer: Some(buffer), offset, length }) => {
                buffer.pin_retained(offset, length)
            }
            _ => Err(no_entry(*slot, table.len())),
        },
    }
}

#[cold]
fn no_entry(slot: u32, count: usize) -> Status {
    status!(InvalidArgument, "slot {slot} has no buffer in a binding table with {count} entries")
}

#[cold]
pub(crate) fn too_short(extent: u64, length: usize) -> Status {
    status!(OutOfRange, "commands use {extent} bytes of a range of {length}")
}
