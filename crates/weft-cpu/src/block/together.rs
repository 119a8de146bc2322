//! Running a recording on several threads: tiles of one region after the other.
//!
//! What lives here: what one thread does in one drain. What does not: the words by which tiles are claimed
//! (`weft_task::Tiles`), the process around it (`task_queue/execution.rs`). Facts that the unsafe code relies on are
//! numbered in `operands.rs`.
//!
//! 1. The tiles of a region are numbered through its commands. A thread claims a run of them, and walks from where it
//!    stood.
//! 2. Runs grow while they take less than 2 µs and shrink beyond 10, and never exceed a fair part of what is left: small
//!    kernels are claimed by the hundred, large ones one by one.
//! 3. **Help is called for by time, not by count.** A thread works alone for as long as a wake costs before it wakes
//!    another, and only if what is left will take several times as long, at the pace so far. So narrow and short programs
//!    wake nobody, and wide ones lose microseconds.
//! 4. Whoever retires the last tile of a region opens the next: it reads indirect counts then, once. What it read is
//!    published with the region.
//! 5. After a failure nobody claims any more; what was claimed ends.

#![allow(unsafe_code, reason = "touches buffer memory through checked addresses and calls kernels")]

use std::ops::Range;
use std::time::Duration;

use weft_hal::fill_bytes;
use weft_sync::{Instant, Result};
use weft_task::{OpenRegion, Tiles};

use super::alone::{
    Scratch, check_bindings, kernel_failure, kernel_operands, local_memory, pattern_of, read_grid,
};
use super::isa::{FLAG_INDIRECT, FLAG_PREDICATED, Header, TRANSFER_TILE_BYTES};
use super::operands::{Operands, too_short};
use super::recording::{Blocks, Region};
use super::storage::Command;
use super::watch::Watcher;
use crate::dispatch::{Geometry, run_tiles};
use crate::stop::Stop;

/// A run of tiles that took less is followed by a longer one.
const RUN_SHORT: Duration = Duration::from_micros(2);
/// A run that took more is followed by a shorter one.
const RUN_LONG: Duration = Duration::from_micros(10);
/// How long a thread works before it calls for help: about what a wake costs.
const ALONE_FOR: Duration = Duration::from_micros(5);
/// It calls if what is left will take longer than this. A thread on a processor that sleeps needs most of it to arrive.
const WORTH_A_CALL: Duration = Duration::from_micros(20);
/// Regions beyond the open one that count as left.
const REGIONS_AHEAD: usize = 16;
/// How long it waits before it calls again, should some have gone to sleep meanwhile.
const CALL_AGAIN: Duration = Duration::from_micros(25);
/// How long a thread stays before it lets others have it.
const SLICE: Duration = Duration::from_micros(500);

/// What one execution shares between its threads.
pub(crate) struct Share<'a, S> {
    pub(crate) blocks: &'a Blocks,
    pub(crate) operands: &'a Operands,
    pub(crate) tiles: &'a Tiles,
    pub(crate) stop: S,
    /// How many threads may be in it.
    pub(crate) workers: u32,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShareEnd {
    /// The last region is done. One thread is told; with what it took if that thread did it all, in one go.
    Over(Option<Duration>),
    /// There may be more, but this thread has had its share of time.
    Slice,
    /// Nothing to claim now; others are at the last tiles of the region. `worked`: this thread did some before.
    Idle {
        worked: bool,
        /// A region soon after this one has work for several.
        wide_ahead: bool,
    },
}

/// Where a thread stands in a region.
struct Cursor {
    region: u32,
    /// Word of the command.
    at: usize,
    /// Tiles of the region before this command.
    before: u32,
    /// The kernel and the bindings that were checked last.
    checked: Option<(u32, u16)>,
}

impl<S: Stop> Share<'_, S> {
    /// Opens the first region that has tiles, from `region` on. `false` if there is none. By one thread at a time: first
    /// whoever submits, then the completer.
    pub(crate) fn open_from(&self, region: usize) -> Result<bool> {
        for (index, region) in self.blocks.regions.iter().enumerate().skip(region) {
            let tiles = if region.is_dynamic { self.count_tiles(region)? } else { region.tiles };
            if tiles > 0 {
                self.tiles.open(index as u32, tiles);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tiles of a region in which some commands know only now how many they have (rule 4).
    fn count_tiles(&self, region: &Region) -> Result<u32> {
        let mut total = 0_u32;
        let block = &self.blocks.blocks[region.block as usize];
        let first = self.blocks.binding_starts[region.block as usize] as usize;
        let mut at = usize::from(region.first);
        for _ in 0..region.commands {
            let (header, command) = block.command(at);
            if let Command::Dispatch(dispatch, _) = command
                && header.flags & FLAG_INDIRECT != 0
            {
                read_grid(self.blocks, self.operands, dispatch, first)?;
            }
            let tiles = self.tiles_of(header, &command, first)?;
            let Some(sum) = total.checked_add(tiles) else {
                weft_sync::bail!(OutOfRange, "commands between two barriers have more than 2^32 tiles");
            };
            total = sum;
            at += usize::from(header.words);
        }
        Ok(total)
    }

    /// Tiles of one command of an open region.
    #[inline]
    fn tiles_of(&self, header: Header, command: &Command<'_>, first: usize) -> Result<u32> {
        Ok(match command {
            Command::Dispatch(_, _) if header.flags & FLAG_PREDICATED != 0 => 0,
            // The grid was checked to have at most 2^32 workgroups.
            Command::Dispatch(dispatch, _) if header.flags & FLAG_INDIRECT != 0 => {
                self.operands.grid(dispatch.grid[1]).iter().product()
            }
            Command::Dispatch(dispatch, _) => dispatch.tiles,
            Command::Fill(_) | Command::Copy(_) => self.operands.transfer_tiles(command, first)?,
            Command::Update(_, _) => 1,
            Command::Barrier(_) | Command::Branch | Command::Return => 0,
        })
    }

    /// Claims and runs tiles until there is nothing to claim. `call` is told how many more threads could help.
    ///
    /// # Safety
    /// `operands` are those of this recording, all blocks loaded; `scratch` is initialised, aligned to 64, exclusive to
    /// this thread, and holds `blocks.local_memory_bytes`. `seat` is used by one thread at a time.
    pub(crate) unsafe fn work<W: Watcher>(
        &self,
        scratch: Scratch,
        seat: u32,
        watcher: &mut W,
        mut call: impl FnMut(u32),
    ) -> Result<ShareEnd> {
        let mut cursor = Cursor { region: u32::MAX, at: 0, before: 0, checked: None };
        let (mut worked, mut run, mut tiles_done) = (false, 1, 0_u32);
        let mut called: Option<Instant> = None;
        let start = Instant::now();
        let from_the_start = self.tiles.current().is_some_and(|open| {
            let is_first = self.blocks.regions[..open.region as usize].iter().all(|region| region.tiles == 0);
            is_first && self.tiles.unclaimed(open) == open.tiles
        });
        let mut last = None;
        while let Some(open) = self.tiles.current() {
            // A hint; the failure itself goes another way.
            if self.stop.is_set() {
                break;
            }
            let unclaimed = self.tiles.unclaimed(open);
            let fair = (unclaimed / (2 * self.workers)).max(1);
            let Some(range) = self.tiles.claim(open, run.min(fair)) else {
                let wide_ahead = self.is_wide_ahead(open);
                watcher.idle(open.region, worked, wide_ahead);
                return Ok(ShareEnd::Idle { worked, wide_ahead });
            };
            worked = true;
            let (count, more) = (range.len() as u32, self.tiles.unclaimed(open) > 0);
            if more && last.is_none() {
                last = Some(Instant::now());
            }
            // SAFETY: the caller's promises.
            unsafe { self.run(open, range, &mut cursor, scratch, seat, watcher)? };
            if self.tiles.retire(count) {
                if !self.open_from(open.region as usize + 1)? {
                    let did_all = from_the_start && called.is_none();
                    return Ok(ShareEnd::Over(did_all.then(|| Instant::now().since(start))));
                }
                if called.is_some() && self.tiles.current().is_some_and(|open| open.tiles > 1) {
                    call(0);
                }
                last = None;
                continue;
            }
            // The clock is only asked where there is something to share.
            if let (true, Some(begin)) = (more, last) {
                let now = Instant::now();
                run = next_run(run, now.since(begin));
                last = Some(now);
                let together = now.since(start);
                tiles_done += count;
                let is_due = called.is_none_or(|called| now.since(called) >= CALL_AGAIN);
                if is_due && together >= ALONE_FOR {
                    let left = self.left(open);
                    if together.saturating_mul(left) >= WORTH_A_CALL.saturating_mul(tiles_done) {
                        called = Some(now);
                        call(left.min(self.workers - 1));
                    }
                }
                if together >= SLICE {
                    return Ok(ShareEnd::Slice);
                }
            }
        }
        Ok(ShareEnd::Idle { worked, wide_ahead: false })
    }

    /// Tiles that threads could share, in the open region and the wide ones soon after it.
    fn left(&self, open: OpenRegion) -> u32 {
        let ahead = self.blocks.regions.iter().skip(open.region as usize + 1).take(REGIONS_AHEAD);
        let wide = ahead.filter(|region| region.tiles > 1).map(|region| region.tiles);
        wide.fold(self.tiles.unclaimed(open), u32::saturating_add)
    }

    /// Whether one of the next regions has work for several threads.
    fn is_wide_ahead(&self, open: OpenRegion) -> bool {
        let next = self.blocks.regions.iter().skip(open.region as usize + 1).take(4);
        next.into_iter().any(|region| region.is_dynamic || region.tiles > 1)
    }

    /// # Safety
    /// As for `work`; `range` was claimed from `open`.
    unsafe fn run<W: Watcher>(
        &self,
        open: OpenRegion,
        mut range: Range<u32>,
        cursor: &mut Cursor,
        scratch: Scratch,
        seat: u32,
        watcher: &mut W,
    ) -> Result<()> {
        let region = &self.blocks.regions[open.region as usize];
        let block = &self.blocks.blocks[region.block as usize];
        let first = self.blocks.binding_starts[region.block as usize] as usize;
        if cursor.region != open.region || range.start < cursor.before {
            *cursor = Cursor { region: open.region, at: usize::from(region.first), before: 0, checked: None };
        }
        while !range.is_empty() {
            let (header, command) = block.command(cursor.at);
            let tiles = self.tiles_of(header, &command, first)?;
            let end = cursor.before + tiles;
            if range.start >= end {
                cursor.at += usize::from(header.words);
                cursor.before = end;
                continue;
            }
            let here = range.start - cursor.before..range.end.min(end) - cursor.before;
            let count = here.len() as u32;
            range.start += count;
            watcher.begin();
            let outcome = match self.check(&command, first, cursor) {
                // SAFETY: the caller's promises; `here` lies within the tiles of the command.
                Ok(()) => unsafe { self.run_command(header, &command, here, first, scratch, seat) },
                Err(status) => Err(status),
            };
            watcher.end(open.region, header.index, Some(count), &outcome);
            outcome?;
        }
        Ok(())
    }

    /// Checks the bindings of a command, unless those were checked last.
    #[inline]
    fn check(&self, command: &Command<'_>, first: usize, cursor: &mut Cursor) -> Result<()> {
        if let Command::Dispatch(dispatch, _) = command
            && cursor.checked != Some((dispatch.kernel, dispatch.bindings))
        {
            check_bindings(self.blocks, self.operands, dispatch, first)?;
            cursor.checked = Some((dispatch.kernel, dispatch.bindings));
        }
        Ok(())
    }

    /// # Safety
    /// As for `run`; `tiles` lies within those of the command, whose bindings were checked.
    unsafe fn run_command(
        &self,
        header: Header,
        command: &Command<'_>,
        tiles: Range<u32>,
        first: usize,
        scratch: Scratch,
        seat: u32,
    ) -> Result<()> {
        match command {
            Command::Dispatch(dispatch, constants) => {
                let count = match header.flags & FLAG_INDIRECT {
                    0 => dispatch.grid,
                    _ => self.operands.grid(dispatch.grid[1]),
                };
                let geometry =
                    Geometry { size: dispatch.size, count, local_memory_bytes: dispatch.local_memory_bytes };
                let kernel = kernel_operands(self.operands, dispatch, constants, first);
                let state = geometry.state(&kernel, self.workers as usize);
                let (function, environment) = (dispatch.function, dispatch.environment);
                // SAFETY: as in `alone.rs`; the tiles lie within the grid.
                let outcome = unsafe {
                    run_tiles(function, environment, &state, local_memory(dispatch, scratch), seat, tiles)
                };
                let kernel = || &self.blocks.kernels[dispatch.kernel as usize];
                outcome.map_err(|failure| kernel_failure(kernel(), failure))?;
            }
            Command::Fill(fill) => {
                let (base, length) = self.operands.bytes(first + usize::from(fill.target));
                let bytes = bytes_of_tiles(tiles, length);
                // SAFETY: facts 1, 2 and 3; the part lies within the binding. Tiles are multiples of any pattern.
                unsafe { fill_bytes(base.wrapping_add(bytes.start), bytes.len(), pattern_of(fill)) };
            }
            Command::Copy(copy) => {
                let (source, length) = self.operands.bytes(first + usize::from(copy.source));
                let (target, available) = self.operands.bytes(first + usize::from(copy.target));
                if available < length {
                    return Err(too_short(length as u64, available));
                }
                let bytes = bytes_of_tiles(tiles, length);
                let (from, to) = (source.wrapping_add(bytes.start), target.wrapping_add(bytes.start));
                // SAFETY: facts 1, 2 and 3 for both; `copy` allows overlap through aliasing imports.
                unsafe { std::ptr::copy(from, to, bytes.len()) };
            }
            Command::Update(update, bytes) => {
                let (target, length) = self.operands.bytes(first + usize::from(update.target));
                let length = length.min(bytes.len());
                // SAFETY: facts 1, 2 and 3; the recording's bytes are not a buffer, so they do not overlap.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
            }
            Command::Barrier(_) | Command::Branch | Command::Return => {}
        }
        Ok(())
    }
}

/// Rule 2.
fn next_run(run: u32, took: Duration) -> u32 {
    if took < RUN_SHORT {
        run.saturating_mul(2)
    } else if took > RUN_LONG {
        (run / 2).max(1)
    } else {
        run
    }
}

/// The bytes of a transfer of `length` bytes that belong to these tiles.
fn bytes_of_tiles(tiles: Range<u32>, length: usize) -> Range<usize> {
    let tile = TRANSFER_TILE_BYTES as usize;
    (tiles.start as usize * tile).min(length)..(tiles.end as usize * tile).min(length)
}
