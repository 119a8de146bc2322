//! What was seen of a run, as records of the profile.
//!
//! 1. Told once, when the last tiles are done or nobody is inside any more: before the signals fire, and while operands
//!    and code are still there.
//! 2. A command is one event, whatever number of threads ran it. What has no tiles ran nothing and has none; the pieces
//!    into which a long update was cut are one again.
//! 3. Each piece of a dispatch is a stretch of its worker's time.
//! 4. A region's budgets are the threads that could be at work in it, and in the next one: never more than it has tiles.

use std::collections::BTreeSet;

use weft_hal::Executable;
use weft_hal::profile::{
    ExecutionEvent, OperationKind, ProfileFamilies, Profiler, RegionEvent, WorkerActivity, WorkerEvent,
};
use weft_sync::atomic::{AtomicU32, Ordering, lock};

use super::isa::{DispatchCommand, FLAG_INDIRECT, FLAG_PREDICATED, Header, TRANSFER_TILE_BYTES};
use super::operands::Operands;
use super::recording::{Blocks, Region};
use super::storage::Command;
use super::watch::{Piece, Watch};
use crate::command_buffer::Kernel;

/// Regions beyond one that count as the next ones.
const REGIONS_AHEAD: usize = 4;

/// What was done, all in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// When the first command began.
    pub(crate) began_ns: u64,
    /// When the last one ended; none if that is for others to say.
    pub(crate) ended_ns: Option<u64>,
    /// Who did it, if only one worker took part.
    pub(crate) worker: Option<u32>,
}

impl Watch {
    /// Somebody wants to know what recordings do.
    pub(crate) fn is_wanted(profiler: &Profiler) -> bool {
        profiler.is_on(
            ProfileFamilies::EXECUTION_EVENTS
                | ProfileFamilies::EXECUTABLE_METADATA
                | ProfileFamilies::REGION_EVENTS
                | ProfileFamilies::WORKER_EVENTS,
        )
    }

    /// Tells it all (rule 1). `None` if nothing was run, or it was told before.
    pub(crate) fn report(&self, profiler: &Profiler, blocks: &Blocks, operands: &Operands) -> Option<Done> {
        if !self.begin_report() {
            return None;
        }
        let mut pieces: Vec<Piece> = Vec::new();
        self.pieces.iter().for_each(|seat| pieces.append(&mut lock(seat)));
        pieces.sort_by_key(|piece| (piece.region, piece.index, piece.start_ns));
        let report = Report { watch: self, blocks, operands };
        let mut told = Told::default();
        report.commands(&pieces, &mut told);
        profiler.record_executions(told.executions);
        profiler.record_workers(told.stretches);
        if profiler.is_on(ProfileFamilies::REGION_EVENTS) {
            profiler.record_regions(report.regions(&pieces));
        }
        let began_ns = pieces.iter().map(|piece| piece.start_ns).min()?;
        let ended_ns = pieces.iter().map(|piece| piece.end_ns).max();
        Some(Done { began_ns, ended_ns, worker: worker_of(&pieces) })
    }
}

/// Who ran these pieces, if it was one worker.
fn worker_of(pieces: &[Piece]) -> Option<u32> {
    let first = pieces.first()?.worker;
    pieces.iter().all(|piece| piece.worker == first).then_some(first)
}

/// What is told of commands.
#[derive(Default)]
struct Told<'a> {
    executions: Vec<(ExecutionEvent, Option<&'a Executable>)>,
    stretches: Vec<WorkerEvent>,
}

struct Report<'a> {
    watch: &'a Watch,
    blocks: &'a Blocks,
    operands: &'a Operands,
}

/// A work command and what was done of it.
struct Run<'a> {
    header: Header,
    command: Command<'a>,
    region: &'a Region,
    /// Which command of the recording it is.
    number: u32,
    pieces: &'a [Piece],
}

impl<'a> Report<'a> {
    fn commands(&self, mut pieces: &[Piece], told: &mut Told<'a>) {
        let mut numbers = self.blocks.numbers.iter();
        for (region_number, region) in self.blocks.regions.iter().enumerate() {
            let block = &self.blocks.blocks[region.block as usize];
            let mut at = usize::from(region.first);
            for index in 0..region.commands {
                let (header, command) = block.command(at);
                at += usize::from(header.words);
                let number = numbers.next().copied().unwrap_or_default();
                let is_of = |piece: &&Piece| (piece.region as usize, piece.index) == (region_number, index);
                let (here, rest) = pieces.split_at(pieces.iter().take_while(is_of).count());
                pieces = rest;
                self.command(&Run { header, command, region, number, pieces: here }, told);
            }
        }
    }

    fn command(&self, run: &Run<'_>, told: &mut Told<'a>) {
        let Some(mut event) = self.event(run) else { return };
        let block = &self.blocks.blocks[run.region.block as usize];
        let (operation, bytes) = match run.command {
            Command::Dispatch(dispatch, _) => {
                let kernel = &self.blocks.kernels[dispatch.kernel as usize];
                event.function = kernel.ordinal;
                event.tile_count = u64::from(self.tiles_of(run.header, dispatch));
                event.tile_ns = run.pieces.iter().map(|piece| piece.busy_ns).sum();
                if event.tile_count > 0 {
                    told.stretches.extend(self.stretches(run.pieces, kernel, event.tile_count));
                    told.executions.push((event, Some(&kernel.executable)));
                }
                return;
            }
            Command::Fill(fill) => (OperationKind::Fill, self.operands.length_in(block, fill.target)),
            Command::Copy(copy) => (OperationKind::Copy, self.operands.length_in(block, copy.source)),
            Command::Update(update, _) => (OperationKind::Update, u64::from(update.bytes)),
            Command::Barrier(_) | Command::Branch | Command::Return => return,
        };
        if self.blocks.is_for_one_use {
            // The event of its submission says as much.
            return;
        }
        event.operation = operation;
        event.payload_bytes = bytes;
        match told.executions.last_mut() {
            // Rule 2: the next piece of an update.
            Some((before, _)) if before.command_index == event.command_index => {
                before.failure = before.failure.or(event.failure);
                before.worker = before.worker.filter(|_| before.worker == event.worker);
                before.start_ns = before.start_ns.min(event.start_ns);
                before.end_ns = before.end_ns.max(event.end_ns);
                before.payload_bytes += event.payload_bytes;
            }
            _ => told.executions.push((event, None)),
        }
    }

    /// What the pieces of a command say; none if there are none.
    fn event(&self, run: &Run<'_>) -> Option<ExecutionEvent> {
        let blank = ExecutionEvent::new(OperationKind::Dispatch, self.watch.submission, self.watch.queue);
        let is_recorded = !self.blocks.is_for_one_use;
        Some(ExecutionEvent {
            failure: run.pieces.iter().find_map(|piece| piece.failure),
            worker: worker_of(run.pieces),
            command_buffer: if is_recorded { self.blocks.id.get() } else { 0 },
            command_index: is_recorded.then_some(run.number),
            start_ns: run.pieces.first()?.start_ns,
            end_ns: run.pieces.iter().map(|piece| piece.end_ns).max()?,
            ..blank
        })
    }

    fn tiles_of(&self, header: Header, dispatch: &DispatchCommand) -> u32 {
        match header.flags {
            flags if flags & FLAG_PREDICATED != 0 => 0,
            // Checked when they were read: they fit.
            flags if flags & FLAG_INDIRECT != 0 => self.operands.grid(dispatch.grid[1]).iter().product(),
            _ => dispatch.tiles,
        }
    }

    /// Rule 3.
    fn stretches(&self, pieces: &[Piece], kernel: &Kernel, all: u64) -> impl Iterator<Item = WorkerEvent> {
        let (executable, function) = (kernel.executable.id(), kernel.ordinal);
        pieces.iter().map(move |piece| WorkerEvent {
            executor: self.watch.queue,
            worker: piece.worker,
            activity: WorkerActivity::Tiles {
                executable,
                function,
                count: piece.tiles.map_or(all, u64::from),
                submission: self.watch.submission,
            },
            start_ns: piece.start_ns,
            end_ns: piece.end_ns,
        })
    }

    fn regions(&self, mut pieces: &[Piece]) -> Vec<RegionEvent> {
        let mut events: Vec<RegionEvent> = Vec::new();
        let (mut block, mut region_in_block) = (0, 0);
        for (number, region) in self.blocks.regions.iter().enumerate() {
            if region.block != block {
                (block, region_in_block) = (region.block, 0);
            }
            let count = pieces.iter().take_while(|piece| piece.region as usize == number).count();
            let (here, rest) = pieces.split_at(count);
            pieces = rest;
            if let Some(mut event) = self.region(number, here) {
                // It became the open one when the one before was done.
                event.start_ns = events.last().map_or(event.start_ns, |before| before.end_ns);
                event.region = region_in_block;
                events.push(event);
            }
            region_in_block += 1;
        }
        events
    }

    fn region(&self, number: usize, pieces: &[Piece]) -> Option<RegionEvent> {
        let seats = self.watch.pieces.len() as u64;
        let width = |region: &Region| seats.min(u64::from(self.region_tiles(region))).max(1) as u32;
        let region = &self.blocks.regions[number];
        let next = &self.blocks.regions[number + 1..];
        let ahead = next.iter().take(REGIONS_AHEAD).map(width).max().unwrap_or(0);
        let visits = &self.watch.regions[number];
        // Relaxed: counts; those of threads that are still leaving are lost.
        let count = |visits: &AtomicU32| visits.load(Ordering::Relaxed);
        let drains_useful = match pieces {
            [] | [_] => pieces.len(),
            _ => pieces.iter().map(|piece| piece.drain).collect::<BTreeSet<u32>>().len(),
        };
        Some(RegionEvent {
            submission: self.watch.submission,
            queue: self.watch.queue,
            block_sequence: region.block,
            region: 0,
            epoch: number as u32,
            tile_count: u64::from(self.region_tiles(region)),
            width_bucket: bucket(width(region)),
            lookahead_bucket: bucket(ahead),
            budget_before: width(region),
            budget_after: next.first().map_or(0, width),
            drains_useful: drains_useful as u32,
            drains_idle: count(&visits.idle),
            workers_kept: count(&visits.kept),
            workers_released: count(&visits.released),
            start_ns: pieces.iter().map(|piece| piece.start_ns).min()?,
            end_ns: pieces.iter().map(|piece| piece.end_ns).max()?,
        })
    }

    /// Tiles of a region, those included that are known only at run time.
    fn region_tiles(&self, region: &Region) -> u32 {
        let block = &self.blocks.blocks[region.block as usize];
        let mut at = usize::from(region.first);
        let mut total = if region.is_dynamic { 0 } else { region.tiles };
        for _ in 0..if region.is_dynamic { region.commands } else { 0 } {
            let (header, command) = block.command(at);
            at += usize::from(header.words);
            let tiles = match command {
                Command::Dispatch(dispatch, _) => self.tiles_of(header, dispatch),
                Command::Fill(fill) => tiles_in(self.operands.length_in(block, fill.target)),
                Command::Copy(copy) => tiles_in(self.operands.length_in(block, copy.source)),
                Command::Update(..) => 1,
                Command::Barrier(_) | Command::Branch | Command::Return => 0,
            };
            total = total.saturating_add(tiles);
        }
        total
    }
}

fn tiles_in(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(TRANSFER_TILE_BYTES)).unwrap_or(u32::MAX)
}

/// Classes of numbers of workers: 0, 1, 2, 3 and 4, 5 to 8, and so on.
fn bucket(workers: u32) -> u8 {
    match workers {
        0 => 0,
        workers => 1 + workers.next_power_of_two().trailing_zeros() as u8,
    }
}
