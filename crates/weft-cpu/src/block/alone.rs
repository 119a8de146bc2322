//! Running a recording on one thread: command after command, no atomics, no tiles.
//!
//! For recordings in which no region has work for two, and for devices with one worker. Commands run in the order of
//! recording, so barriers mean nothing. The facts that the unsafe code relies on are numbered in `operands.rs`.

#![allow(unsafe_code, reason = "touches buffer memory through checked addresses and calls kernels")]

use std::ffi::c_void;

use weft_hal::{Pattern, fill_bytes};
use weft_sync::{Result, Status, WhileDoing};

use super::isa::{DispatchCommand, FLAG_INDIRECT, FLAG_PREDICATED, FillCommand, Header};
use super::operands::{Operands, too_short};
use super::recording::Blocks;
use super::storage::Command;
use super::watch::Watcher;
use crate::command_buffer::Kernel;
use crate::dispatch::{
    Geometry, KernelFailure, LocalMemory, Operands as KernelOperands, check_binding_pointers,
};
use crate::stop::{Grid, Stop};

/// Local memory of the thread that runs, as large as any dispatch of the recording needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scratch(pub(crate) *mut c_void);

/// The one that runs.
struct Thread<S> {
    scratch: Scratch,
    seat: u32,
    stop: S,
}

/// Runs all commands until the first failure, or until `stop` is set (`stop.rs`): `Ok(false)` then.
///
/// # Safety
/// `operands` are those of this recording (`look_up` succeeded); `scratch` is initialised, aligned to 64, exclusive, and
/// holds `blocks.local_memory_bytes`.
pub(crate) unsafe fn run_alone<W: Watcher, S: Stop>(
    blocks: &Blocks,
    operands: &mut Operands,
    scratch: Scratch,
    seat: u32,
    stop: S,
    watcher: &mut W,
) -> Result<bool> {
    let thread = Thread { scratch, seat, stop };
    let mut region = 0;
    for (index, block) in blocks.blocks.iter().enumerate() {
        operands.load_block(blocks, index);
        // The kernel and the bindings that were checked last: another kernel may want more of the same bindings.
        let mut checked = None;
        for (_, header, command) in block.commands() {
            if stop.is_set() {
                return Ok(false);
            }
            match command {
                Command::Dispatch(dispatch, constants) => {
                    watcher.begin();
                    if checked != Some((dispatch.kernel, dispatch.bindings)) {
                        let outcome = check_bindings(blocks, operands, dispatch, 0);
                        if outcome.is_err() {
                            watcher.end(region, header.index, None, &outcome);
                            outcome?;
                        }
                        checked = Some((dispatch.kernel, dispatch.bindings));
                    }
                    // SAFETY: the caller's promises, and the bindings were just checked.
                    let outcome =
                        unsafe { run_dispatch(blocks, operands, header, dispatch, constants, &thread) };
                    if !tell(watcher, (region, header), outcome)? {
                        return Ok(false);
                    }
                }
                Command::Fill(_) | Command::Copy(_) | Command::Update(..) => {
                    watcher.begin();
                    // SAFETY: the caller's promises; the bindings of this block are loaded.
                    let outcome = unsafe { run_transfer(operands, &command, stop) };
                    if !tell(watcher, (region, header), outcome)? {
                        return Ok(false);
                    }
                }
                Command::Barrier(barrier) => region = barrier.region,
                Command::Branch | Command::Return => {}
            }
        }
    }
    Ok(true)
}

/// The end of a command, for whoever watches. The outcome of the command comes back.
#[inline(always)]
fn tell<W: Watcher>(watcher: &mut W, (region, header): (u32, Header), outcome: Result<bool>) -> Result<bool> {
    let went_on = *outcome.as_ref().unwrap_or(&true);
    let ended = outcome.map(drop);
    watcher.end(region, header.index, None, &ended);
    ended.map(|()| went_on)
}

/// `Ok(false)` if it was stopped.
///
/// # Safety
/// As for `run_alone`; the bindings of the command's block are loaded.
#[inline(always)]
unsafe fn run_transfer(operands: &Operands, command: &Command<'_>, stop: impl Stop) -> Result<bool> {
    match command {
        Command::Fill(fill) => {
            let (base, length) = operands.bytes(usize::from(fill.target));
            Ok(stop.in_pieces(length, |bytes| {
                // SAFETY: facts 1, 2 and 3; pieces are multiples of any pattern.
                unsafe { fill_bytes(base.wrapping_add(bytes.start), bytes.len(), pattern_of(fill)) };
            }))
        }
        Command::Copy(copy) => {
            let (source, length) = operands.bytes(usize::from(copy.source));
            let (target, available) = operands.bytes(usize::from(copy.target));
            if available < length {
                return Err(too_short(length as u64, available));
            }
            Ok(stop.in_pieces(length, |bytes| {
                let (from, to) = (source.wrapping_add(bytes.start), target.wrapping_add(bytes.start));
                // SAFETY: facts 1, 2 and 3 for both; `copy` allows overlap through aliasing imports.
                unsafe { std::ptr::copy(from, to, bytes.len()) };
            }))
        }
        Command::Update(update, bytes) => {
            let (target, length) = operands.bytes(usize::from(update.target));
            let length = length.min(bytes.len());
            // SAFETY: facts 1, 2 and 3; the recording's bytes are not a buffer, so they do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
            Ok(true)
        }
        Command::Dispatch(..) | Command::Barrier(_) | Command::Branch | Command::Return => Ok(true),
    }
}

/// `Ok(false)` if it was stopped.
///
/// # Safety
/// As for `run_alone`; the bindings of the dispatch were checked.
#[inline(always)]
unsafe fn run_dispatch(
    blocks: &Blocks,
    operands: &Operands,
    header: Header,
    dispatch: &DispatchCommand,
    constants: &[u32],
    thread: &Thread<impl Stop>,
) -> Result<bool> {
    let mut count = dispatch.grid;
    let mut tiles = dispatch.tiles;
    if header.flags & (FLAG_INDIRECT | FLAG_PREDICATED) != 0 {
        if header.flags & FLAG_INDIRECT != 0 {
            count = read_grid(blocks, operands, dispatch, 0)?;
            // The grid was checked to have at most 2^32 workgroups.
            tiles = count.iter().product();
        }
        if count.contains(&0) {
            return Ok(true);
        }
    }
    let geometry = Geometry { size: dispatch.size, count, local_memory_bytes: dispatch.local_memory_bytes };
    let state = geometry.state(&kernel_operands(operands, dispatch, constants, 0), 1);
    let local = local_memory(dispatch, thread.scratch);
    let grid = Grid {
        function: dispatch.function,
        environment: dispatch.environment,
        state: &state,
        local,
        processor_id: thread.seat,
        tiles,
    };
    // SAFETY: the recording retains the executable. The state points at the recording's constants and at bindings of these
    // operands, as many as the front compared with the function's; they were checked to be aligned and not null, and facts 1
    // and 2 make them good for their lengths. Local memory is the caller's promise.
    let outcome = unsafe { grid.run(thread.stop) };
    outcome.map_err(|failure| kernel_failure(&blocks.kernels[dispatch.kernel as usize], failure))
}

/// The counts of an indirect dispatch, read now and kept with the operands.
pub(crate) fn read_grid(
    blocks: &Blocks,
    operands: &Operands,
    dispatch: &DispatchCommand,
    first: usize,
) -> Result<[u32; 3]> {
    let grid = operands.read_grid(first + dispatch.grid[0] as usize, dispatch.grid[1]);
    grid.while_doing(|| blocks.kernels[dispatch.kernel as usize].dispatching())
}

/// Arrays of a dispatch whose block's bindings begin at `first`.
#[inline]
pub(crate) fn kernel_operands(
    operands: &Operands,
    dispatch: &DispatchCommand,
    constants: &[u32],
    first: usize,
) -> KernelOperands {
    let (start, count) = (first + usize::from(dispatch.bindings), usize::from(dispatch.binding_count));
    KernelOperands {
        constants: constants.as_ptr(),
        constant_count: u16::from(dispatch.constant_count),
        binding_count: dispatch.binding_count,
        binding_pointers: operands.pointers(start, count).as_ptr(),
        binding_lengths: operands.lengths(start, count).as_ptr(),
    }
}

#[inline]
pub(crate) fn local_memory(dispatch: &DispatchCommand, scratch: Scratch) -> LocalMemory {
    match dispatch.local_memory_bytes {
        0 => LocalMemory::NONE,
        bytes => LocalMemory { pointer: scratch.0, bytes },
    }
}

/// Checks what kernels take for granted about their bindings.
#[inline]
pub(crate) fn check_bindings(
    blocks: &Blocks,
    operands: &Operands,
    dispatch: &DispatchCommand,
    first: usize,
) -> Result<()> {
    let (start, count) = (first + usize::from(dispatch.bindings), usize::from(dispatch.binding_count));
    check_binding_pointers(operands.pointers(start, count))?;
    let kernel = &blocks.kernels[dispatch.kernel as usize];
    if kernel.checks_lengths {
        kernel.loaded()?.check_binding_lengths(kernel.ordinal, operands.lengths(start, count))?;
    }
    Ok(())
}

pub(crate) fn pattern_of(fill: &FillCommand) -> Pattern {
    Pattern { repeated: fill.pattern as u32, length: fill.pattern_length }
}

#[cold]
pub(crate) fn kernel_failure(kernel: &Kernel, failure: KernelFailure) -> Status {
    match kernel.loaded() {
        Ok(loaded) => loaded.kernel_failure(kernel.ordinal, failure),
        Err(status) => status,
    }
}
