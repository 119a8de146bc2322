//! One batch of transfers between parameters and device buffers.
//!
//! 1. Up to [`TIMELINES_MAX`] private timelines. An operation goes to the one with the fewest bytes before it; the first
//!    of a timeline waits for the caller's wait fence, later ones for the point before. So at most that many transfers
//!    are under way at a time, and they may end in any order.
//! 2. Long transfers are cut into pieces, which spread over the timelines like transfers of their own. But long reads that
//!    need a disk keep to one timeline, so that they come in the order of the file: a system with several places to read
//!    ahead from takes half as long again.
//! 3. Allocations have a timeline of their own, which waits for no transfer. Long memory that files are read into is made
//!    present a piece at a time, each before its own transfers are submitted: so one piece is made present while that before
//!    it is being filled, and on a device that does everything at once the system reads ahead meanwhile.
//! 4. Small parameters of a load lie together (`shared_room.rs`). Deallocating one of them is a barrier; the memory goes with
//!    the last.
//! 5. Splats of a batch are one command buffer.
//! 6. At the end one barrier waits for all timelines and signals the caller's fence. Between a timeline and the barrier
//!    stands a relay, which gives a failure the name of the parameter that it happened to.
//!
//! What lives here: [`Batch`]. What does not: tables of programs (see `module.rs`), who counts the bytes (see
//! `transfer_count.rs`), files as devices see them (see `open_files.rs`), the transfers themselves (`weft-hal`).

use std::sync::Arc;

use weft_hal::{
    AllocaFlags, Buffer, BufferParams, BufferUsage, Device, ExecuteFlags, QueueAffinity, Region, Submission,
};
use weft_sync::{CancelToken, Point, Result, Semaphore, Status, WhileDoing, bail};

use super::file::ParameterFile;
use super::index::{ParameterEntry, ParameterKind};
use super::lend::lend;
use super::open_files::OpenFiles;
use super::shared_room::{Place, Rooms};
use super::splats::{self, SplatFill};
use super::transfer_count::Announced;

/// Transfers of one batch that may be under way at a time.
const TIMELINES_MAX: usize = 8;

/// What is a long read: to begin it takes a small part of its time.
const LONG_READ_BYTES_MIN: u64 = 1 << 20;

/// The longest single transfer, and what is made present at a time. Long enough that a system call more does not show,
/// short enough that one large parameter keeps all timelines busy, and not longer than what systems read ahead.
const PIECE_BYTES_MAX: u64 = 8 << 20;

/// Shorter memory is not worth an operation that makes it present.
const PREFAULT_BYTES_MIN: u64 = 4 << 20;

/// A range of a parameter.
pub(super) struct Transfer {
    pub(super) entry: Arc<ParameterEntry>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Transfer {
    /// Where the range lies: the file, by name and by identity, and the offset in it. Splats come before all files.
    pub(super) fn place(&self) -> Option<(&str, *const ParameterFile, u64)> {
        match &self.entry.kind {
            ParameterKind::Splat(_) => None,
            // `ParameterEntry::check_range` has seen to it that this, and the end, are numbers.
            ParameterKind::File { file, offset } => {
                Some((file.name(), Arc::as_ptr(file), offset + self.offset))
            }
        }
    }

    /// The pieces of the range: where each begins in it, and its length.
    fn pieces(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let length = self.length;
        (0..length.div_ceil(PIECE_BYTES_MAX)).map(move |index| {
            let start = index * PIECE_BYTES_MAX;
            (start, PIECE_BYTES_MAX.min(length - start))
        })
    }
}

/// One private timeline of a batch.
struct Timeline {
    semaphore: Arc<Semaphore>,
    value: u64,
    bytes: u64,
    /// What every value stands for, in order.
    steps: Vec<Arc<ParameterEntry>>,
}

/// Memory that is being filled.
struct Target {
    buffer: Arc<Buffer>,
    /// When fresh memory is allocated, and present up to there.
    after: Option<Point>,
    /// Where what is to be made present begins.
    present: u64,
}

impl Target {
    /// As it is.
    fn new(buffer: Arc<Buffer>, after: Option<Point>) -> Target {
        Target { buffer, after, present: u64::MAX }
    }
}

/// Transfers between two fences.
pub(super) struct Batch<'a> {
    device: &'a Device,
    affinity: QueueAffinity,
    wait: &'a [Point],
    files: &'a OpenFiles,
    count: Option<Announced>,
    cancel: Option<&'a CancelToken>,
    verb: &'static str,
    timelines: Vec<Timeline>,
    /// Rule 3.
    allocations: Timeline,
    splats: Vec<SplatFill>,
    /// What the commands of splats wait for, if there is anything: the last allocation. And the first of them.
    splats_after: Option<Point>,
    splats_first: Option<Arc<ParameterEntry>>,
}

impl<'a> Batch<'a> {
    /// A batch that begins after `wait`. `verb` says in messages what it does.
    pub(super) fn new(
        device: &'a Device,
        affinity: QueueAffinity,
        wait: &'a [Point],
        files: &'a OpenFiles,
        verb: &'static str,
    ) -> Batch<'a> {
        Batch {
            device,
            affinity,
            wait,
            files,
            count: None,
            cancel: None,
            verb,
            timelines: Vec::new(),
            allocations: Timeline::default(),
            splats: Vec::new(),
            splats_after: None,
            splats_first: None,
        }
    }

    /// Counts what is transferred, of which so much was announced.
    pub(super) fn counted(mut self, count: Option<Announced>) -> Batch<'a> {
        self.count = count;
        self
    }

    /// Lets this token end every transfer, if there is one.
    pub(super) fn cancelled_by(mut self, cancel: Option<&'a CancelToken>) -> Batch<'a> {
        self.cancel = cancel;
        self
    }

    /// A buffer for each range, in their order: the file's own memory where that is possible, else memory that is being
    /// filled.
    pub(super) fn load(
        &mut self,
        transfers: &[&Transfer],
        params: &BufferParams,
    ) -> Result<Vec<Arc<Buffer>>> {
        let is_copied = |transfer: &Transfer| match &transfer.entry.kind {
            ParameterKind::File { file, .. } => file.memory().is_none(),
            ParameterKind::Splat(_) => false,
        };
        let lengths: Vec<Option<u64>> =
            transfers.iter().map(|transfer| is_copied(transfer).then_some(transfer.length)).collect();
        let Rooms { places, lengths } = Rooms::of(&lengths);
        let mut rooms: Vec<Option<Target>> = lengths.iter().map(|_| None).collect();
        let mut buffers = Vec::with_capacity(transfers.len());
        for (transfer, place) in transfers.iter().zip(places) {
            let loaded = match place {
                Some(Place { room, offset }) => match &mut rooms[room] {
                    Some(room) => self.load_into(room, offset, transfer),
                    unmade => self
                        .allocate_room(transfer, lengths[room], params)
                        .and_then(|room| self.load_into(unmade.insert(room), offset, transfer)),
                },
                None => self.load_alone(transfer, params),
            };
            buffers.push(loaded.while_doing(|| format!("{} {}", self.verb, transfer.entry.place()))?);
        }
        Ok(buffers)
    }

    /// Into memory that it shares with others, at this offset.
    fn load_into(&mut self, room: &mut Target, offset: u64, transfer: &Transfer) -> Result<Arc<Buffer>> {
        let part = room.buffer.part(offset, transfer.length)?;
        self.read(transfer, room, offset)?;
        Ok(part)
    }

    /// Without a copy, or into memory of its own.
    fn load_alone(&mut self, transfer: &Transfer, params: &BufferParams) -> Result<Arc<Buffer>> {
        if let Some(buffer) = self.alias(transfer, params)? {
            return Ok(buffer);
        }
        let mut target = self.allocate(transfer, transfer.length, params, AllocaFlags::empty())?;
        self.read(transfer, &mut target, 0)?;
        Ok(target.buffer)
    }

    /// Memory for several parameters, of which this is the first.
    fn allocate_room(&mut self, first: &Transfer, bytes: u64, params: &BufferParams) -> Result<Target> {
        // The rest of the room is still in use when one of them is deallocated.
        self.allocate(first, bytes, params, AllocaFlags::INDETERMINATE_LIFETIME)
    }

    fn allocate(
        &mut self,
        transfer: &Transfer,
        bytes: u64,
        params: &BufferParams,
        flags: AllocaFlags,
    ) -> Result<Target> {
        let device = self.device;
        let (buffer, point) = self.submit_allocation(transfer, |submission| {
            device.queue_alloca(submission, params, bytes, flags)
        })?;
        let mut target = Target::new(buffer, Some(point));
        // Splats: all workers touch it when the device fills it, which is quicker than one of them before.
        if matches!(transfer.entry.kind, ParameterKind::File { .. }) && bytes >= PREFAULT_BYTES_MIN {
            target.present = 0;
        }
        Ok(target)
    }

    /// Rule 3, for transfers that end before `end`.
    fn prefault(&mut self, target: &mut Target, end: u64, transfer: &Transfer) -> Result<()> {
        let device = self.device;
        while target.present < end {
            let length = PIECE_BYTES_MAX.min(target.buffer.byte_length() - target.present);
            let region = Region { buffer: &target.buffer, offset: target.present, length };
            let ((), point) =
                self.submit_allocation(transfer, |submission| device.queue_prefault(submission, &region))?;
            target.after = Some(point);
            target.present += length;
        }
        Ok(())
    }

    /// Puts an operation on the timeline of allocations.
    fn submit_allocation<T>(
        &mut self,
        transfer: &Transfer,
        operation: impl FnOnce(&Submission<'_>) -> Result<T>,
    ) -> Result<(T, Point)> {
        let (affinity, cancel) = (self.affinity, self.cancel);
        self.check_cancelled()?;
        let (waits, end) = self.allocations.step(self.wait, None, &transfer.entry);
        let signal = std::slice::from_ref(&end);
        let made = operation(&Submission { affinity, wait: &waits, signal, cancel })?;
        self.allocations.submitted(0);
        Ok((made, end))
    }

    /// Memory of the file as a buffer, without a copy. Only what the program never writes may be shared.
    fn alias(&self, transfer: &Transfer, params: &BufferParams) -> Result<Option<Arc<Buffer>>> {
        let ParameterKind::File { file, offset } = &transfer.entry.kind else { return Ok(None) };
        let (Some(memory), true) = (file.memory(), params.usage.contains(BufferUsage::SHARING_IMMUTABLE))
        else {
            return Ok(None);
        };
        let start = offset + transfer.offset;
        file.check_backed(start + transfer.length)?;
        Ok(lend(self.device.allocator(), params, memory, start, transfer.length).ok())
    }

    /// Copies the range into a buffer, which has room for it.
    pub(super) fn gather(&mut self, transfer: &Transfer, target: &Buffer, target_offset: u64) -> Result<()> {
        self.read(transfer, &mut Target::new(target.retain(), None), target_offset)
            .while_doing(|| format!("{} {}", self.verb, transfer.entry.place()))
    }

    /// Copies as much of a buffer into the range.
    pub(super) fn scatter(&mut self, transfer: &Transfer, source: &Buffer, source_offset: u64) -> Result<()> {
        let verb = self.verb;
        self.write(transfer, source, source_offset)
            .while_doing(|| format!("{verb} {}", transfer.entry.place()))
    }

    /// Has the target filled from `target_offset` on.
    fn read(&mut self, transfer: &Transfer, target: &mut Target, target_offset: u64) -> Result<()> {
        let (file, start) = match &transfer.entry.kind {
            ParameterKind::File { file, offset } => (file, offset + transfer.offset),
            ParameterKind::Splat(pattern) => {
                if transfer.length > 0 {
                    self.splats.push(SplatFill {
                        buffer: Arc::clone(&target.buffer),
                        offset: target_offset,
                        length: transfer.length,
                        pattern: pattern.from_offset(transfer.offset),
                    });
                    self.splats_after = target.after.clone().or(self.splats_after.take());
                    self.splats_first.get_or_insert_with(|| Arc::clone(&transfer.entry));
                }
                return Ok(());
            }
        };
        // The end: what comes after the header was read with it.
        let length = transfer.length;
        let needs_disk = length >= LONG_READ_BYTES_MIN && file.is_cached(start + length - 1) == Some(false);
        let timelines_max = if needs_disk { 1 } else { TIMELINES_MAX };
        let (device, file) = (self.device, self.files.open(self.device, file)?);
        for (at, length) in transfer.pieces() {
            self.prefault(target, target_offset + at + length, transfer)?;
            let region = Region { buffer: &target.buffer, offset: target_offset + at, length };
            self.submit((length, timelines_max), target.after.as_ref(), &transfer.entry, |submission| {
                device.queue_read(submission, &file, start + at, &region)
            })?;
        }
        Ok(())
    }

    fn write(&mut self, transfer: &Transfer, source: &Buffer, source_offset: u64) -> Result<()> {
        let ParameterKind::File { file, offset } = &transfer.entry.kind else {
            bail!(PermissionDenied, "a splat has no bytes to write to");
        };
        let (device, start) = (self.device, offset + transfer.offset);
        let file = self.files.open(device, file)?;
        for (at, length) in transfer.pieces() {
            let region = Region { buffer: source, offset: source_offset + at, length };
            self.submit((length, TIMELINES_MAX), None, &transfer.entry, |submission| {
                device.queue_write(submission, &region, &file, start + at)
            })?;
        }
        Ok(())
    }

    /// Puts an operation that moves so many bytes on one of the first so many timelines of transfers.
    fn submit(
        &mut self,
        (bytes, timelines_max): (u64, usize),
        after: Option<&Point>,
        entry: &Arc<ParameterEntry>,
        operation: impl FnOnce(&Submission<'_>) -> Result<()>,
    ) -> Result<()> {
        let (affinity, cancel) = (self.affinity, self.cancel);
        self.check_cancelled()?;
        let wait = self.wait;
        let timeline = self.timeline(timelines_max);
        let (waits, end) = timeline.step(wait, after, entry);
        operation(&Submission { affinity, wait: &waits, signal: std::slice::from_ref(&end), cancel })?;
        timeline.submitted(bytes);
        if let Some(count) = &mut self.count {
            count.submitted(bytes, &end);
        }
        Ok(())
    }

    /// Nothing more is enqueued for a call that is over, however many transfers it asked for.
    fn check_cancelled(&self) -> Result<()> {
        self.cancel.map_or(Ok(()), CancelToken::check)
    }

    /// The timeline with the fewest bytes; a new one rather than one in use, while there may be more.
    fn timeline(&mut self, max: usize) -> &mut Timeline {
        let least = (0..self.timelines.len().min(max)).min_by_key(|index| self.timelines[*index].bytes);
        let index = match least {
            Some(index) if self.timelines[index].bytes == 0 || self.timelines.len() >= max => index,
            _ => {
                self.timelines.push(Timeline::default());
                self.timelines.len() - 1
            }
        };
        &mut self.timelines[index]
    }

    /// Submits what was collected, and the barrier that signals `signal` after all of it.
    pub(super) fn finish(mut self, signal: &[Point]) -> Result<()> {
        if let Some(first) = self.splats_first.take() {
            let (device, fills) = (self.device, std::mem::take(&mut self.splats));
            let commands = splats::record(device, self.affinity, &fills)?;
            let after = self.splats_after.take();
            self.submit((0, TIMELINES_MAX), after.as_ref(), &first, |submission| {
                device.queue_execute(submission, Some(&commands), None, ExecuteFlags::empty())
            })?;
        }
        let allocations = Arc::new(std::mem::take(&mut self.allocations));
        let of_allocations = (allocations.value > 0).then(|| allocations.relay(self.verb, None));
        let of_transfers = self.timelines.iter().filter(|timeline| timeline.value > 0);
        let of_transfers = of_transfers.map(|timeline| timeline.relay(self.verb, Some(&allocations)));
        let relays: Vec<Point> = of_allocations.into_iter().chain(of_transfers).collect();
        let wait = if relays.is_empty() { self.wait } else { &relays };
        self.barrier(wait, signal)
    }

    fn barrier(&self, wait: &[Point], signal: &[Point]) -> Result<()> {
        let (affinity, cancel) = (self.affinity, self.cancel);
        self.device.queue_barrier(&Submission { affinity, wait, signal, cancel })
    }
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline { semaphore: Arc::new(Semaphore::new(0)), value: 0, bytes: 0, steps: Vec::new() }
    }
}

impl Timeline {
    /// What the next operation waits for, and the point that it signals. The first of a timeline comes after `wait`.
    fn step(
        &mut self,
        wait: &[Point],
        after: Option<&Point>,
        entry: &Arc<ParameterEntry>,
    ) -> (Vec<Point>, Point) {
        let point = |value| Point { semaphore: Arc::clone(&self.semaphore), value };
        let mut waits = if self.value == 0 { wait.to_vec() } else { vec![point(self.value)] };
        // What comes before on this timeline is waited for anyway.
        waits.extend(after.filter(|point| !Arc::ptr_eq(&point.semaphore, &self.semaphore)).cloned());
        let end = point(self.value + 1);
        // Noted first: an operation that fails at once has failed the timeline by the time it returns.
        self.steps.push(Arc::clone(entry));
        (waits, end)
    }

    #[cold]
    fn has_failed_with(&self, status: &Status) -> bool {
        self.semaphore.failure().is_some_and(|failure| failure.to_string() == status.to_string())
    }

    /// The operation was taken.
    fn submitted(&mut self, bytes: u64) {
        self.value += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A point that is reached with the last of this timeline, and fails with it, saying what failed: one of its own steps,
    /// or the allocation that one waited for.
    fn relay(&self, verb: &'static str, allocations: Option<&Arc<Timeline>>) -> Point {
        let relay = Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 };
        let target = Arc::clone(&relay.semaphore);
        let (steps, source) = (self.steps.clone(), Arc::downgrade(&self.semaphore));
        let allocations = allocations.cloned();
        self.semaphore.on_reached(self.value, move |outcome| {
            let answered = match outcome {
                Ok(()) => target.signal(1),
                Err(status) => {
                    let cause = allocations.filter(|allocations| allocations.has_failed_with(&status));
                    target.fail(match cause {
                        Some(cause) => named(status, &cause.steps, cause.semaphore.last_value(), verb),
                        None => {
                            let reached = source.upgrade().map_or(0, |semaphore| semaphore.last_value());
                            named(status, &steps, reached, verb)
                        }
                    });
                    Ok(())
                }
            };
            debug_assert!(answered.is_ok(), "nobody else signals a relay");
        });
        relay
    }
}

/// OUT_OF_RANGE unless the buffer has the range. Here all bits set are a number like any other, not "the rest".
pub(super) fn check_room(buffer: &Buffer, offset: u64, length: u64) -> Result<()> {
    let room = buffer.byte_length();
    if offset.checked_add(length).is_none_or(|end| end > room) {
        bail!(OutOfRange, "range of {length} bytes at {offset} of a buffer of {room}");
    }
    Ok(())
}

/// The failure with the parameter whose step was not reached.
#[cold]
fn named(status: Status, steps: &[Arc<ParameterEntry>], reached: u64, verb: &str) -> Status {
    match usize::try_from(reached).ok().and_then(|reached| steps.get(reached)) {
        Some(entry) => status.while_doing(format!("{verb} {}", entry.place())),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_poller::FilePoller;
    use crate::parameters::{ParameterFile, SplatPattern};
    use weft_sync::Deadline;

    /// A hundred transfers wait on eight timelines, one behind the other on each, and long ones spread over all of them.
    /// [hal-module 55]
    #[test]
    fn at_most_eight_transfers_are_under_way() {
        let device = crate::open_device("local-task").unwrap();
        let bytes: Vec<u8> = (0..40u32 << 20).map(|index| (index % 253) as u8).collect();
        let length = bytes.len() as u64;
        let file = ParameterFile::from_memory("test", Arc::new(bytes.clone()));
        let entry = Arc::new(ParameterEntry::new(*b"a", length, ParameterKind::File { file, offset: 0 }));
        let gate = Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 };
        let files = OpenFiles::new(FilePoller::default());
        let wait = std::slice::from_ref(&gate);
        let mut batch = Batch::new(&device, QueueAffinity::ANY, wait, &files, "loading");
        let params = BufferParams::device_local();
        let transfer = |offset, length| Transfer { entry: Arc::clone(&entry), offset, length };
        let transfers: Vec<Transfer> =
            std::iter::once(transfer(0, length)).chain((0..99).map(|index| transfer(index, 1000))).collect();
        let buffers = batch.load(&transfers.iter().collect::<Vec<_>>(), &params).unwrap();
        let (large, small) = buffers.split_first().unwrap();
        assert_eq!(batch.timelines.len(), TIMELINES_MAX);
        assert_eq!(batch.timelines.iter().map(|timeline| timeline.steps.len()).sum::<usize>(), 5 + 99);
        assert_eq!(batch.allocations.steps.len(), 100 + 5);
        for timeline in &batch.timelines {
            assert_eq!(timeline.value, timeline.steps.len() as u64, "each step has a value of its own");
            assert!(timeline.bytes <= PIECE_BYTES_MAX + 1000, "no timeline has more than one long piece");
            assert_eq!(timeline.semaphore.last_value(), 0, "nothing begins before the wait");
        }
        let done = Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 };
        batch.finish(std::slice::from_ref(&done)).unwrap();
        gate.semaphore.signal(1).unwrap();
        done.semaphore.wait(1, Deadline::NEVER).unwrap();
        assert!(large.read_to_vec(0, length).unwrap() == bytes);
        for (index, buffer) in small.iter().enumerate() {
            assert_eq!(buffer.read_to_vec(0, 1000).unwrap(), bytes[index..index + 1000]);
        }
    }

    /// Reads that need no disk spread over all timelines, and so do short ones; long ones that need one keep to one.
    /// [hal-module 55]
    #[cfg(target_os = "linux")]
    #[test]
    fn long_reads_from_a_disk_keep_together() {
        let device = crate::open_device("local-task").unwrap();
        let path = std::env::temp_dir().join(format!("weft-{}-long-reads", std::process::id()));
        std::fs::write(&path, vec![1; 40 << 20]).unwrap();
        let file = ParameterFile::open(&path);
        // It stays open.
        std::fs::remove_file(&path).unwrap();
        let file = file.unwrap();
        let kind = ParameterKind::File { file: Arc::clone(&file), offset: 0 };
        let entry = Arc::new(ParameterEntry::new(*b"a", 40 << 20, kind));
        let steps = |offset, lengths: &[u64]| {
            let files = OpenFiles::new(FilePoller::default());
            let mut batch = Batch::new(&device, QueueAffinity::ANY, &[], &files, "loading");
            let transfer = |&length| Transfer { entry: Arc::clone(&entry), offset, length };
            let transfers: Vec<Transfer> = lengths.iter().map(transfer).collect();
            let buffers =
                batch.load(&transfers.iter().collect::<Vec<_>>(), &BufferParams::device_local()).unwrap();
            let steps: Vec<usize> = batch.timelines.iter().map(|timeline| timeline.steps.len()).collect();
            let done = Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 };
            batch.finish(std::slice::from_ref(&done)).unwrap();
            done.semaphore.wait(1, Deadline::NEVER).unwrap();
            for (buffer, &length) in buffers.iter().zip(lengths) {
                assert_eq!(buffer.read_to_vec(length - 1, 1).unwrap(), [1]);
            }
            steps
        };
        assert_eq!(steps(0, &[30 << 20, 1 << 20, 1000]), [1, 1, 1, 1, 1, 1]);
        // Not every file system forgets, and none must at once.
        let handle = file.handle().unwrap();
        handle.sync_all().unwrap();
        let forgets = (0..50).any(|_| {
            rustix::fs::fadvise(handle, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            let steps = steps(3 << 20, &[30 << 20, 1000, 1000]);
            assert!([&[4, 1, 1][..], &[1; 6]].contains(&&*steps), "{steps:?}");
            steps[0] == 4
        });
        assert!(forgets || file.is_cached(39 << 20) != Some(false));
    }

    /// Memory is made present a piece at a time, as far as the next transfer needs it, and that transfer waits for it; also
    /// memory that parameters share, but none that is short. [hal-module 54]
    #[test]
    fn transfers_wait_for_their_piece_of_memory() {
        let device = crate::open_device("local-task").unwrap();
        let file = ParameterFile::from_memory("test", Arc::new(vec![0u8; 100]));
        let entry = Arc::new(ParameterEntry::new(*b"a", 100, ParameterKind::File { file, offset: 0 }));
        let files = OpenFiles::new(FilePoller::default());
        let mut batch = Batch::new(&device, QueueAffinity::ANY, &[], &files, "loading");
        let (params, transfer) = (BufferParams::device_local(), Transfer { entry, offset: 0, length: 100 });
        for is_shared in [false, true] {
            let begin = batch.allocations.value;
            let mut target = if is_shared {
                batch.allocate_room(&transfer, 20 << 20, &params).unwrap()
            } else {
                batch.allocate(&transfer, 20 << 20, &params, AllocaFlags::empty()).unwrap()
            };
            for (end, pieces) in [(1, 1), (8 << 20, 1), ((8 << 20) + 1, 2), (20 << 20, 3), (20 << 20, 3)] {
                batch.prefault(&mut target, end, &transfer).unwrap();
                let after = target.after.as_ref().unwrap();
                assert!(Arc::ptr_eq(&after.semaphore, &batch.allocations.semaphore));
                assert_eq!((after.value, batch.allocations.value), (begin + 1 + pieces, begin + 1 + pieces));
                assert_eq!(target.present, (pieces * PIECE_BYTES_MAX).min(20 << 20));
            }
        }
        let begin = batch.allocations.value;
        let mut short = batch.allocate(&transfer, (4 << 20) - 1, &params, AllocaFlags::empty()).unwrap();
        batch.prefault(&mut short, 1 << 20, &transfer).unwrap();
        assert_eq!(short.after.unwrap().value, begin + 1);
    }

    /// Patterns are written by the device: nobody makes their memory present before. [hal-module 54]
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_of_splats_is_left_to_the_device() {
        use std::os::unix::fs::FileExt;
        const LENGTH: u64 = 40 << 20;
        let device = crate::open_device("local-sync").unwrap();
        let kind = ParameterKind::Splat(SplatPattern::new(&[1]).unwrap());
        let entry = Arc::new(ParameterEntry::new(*b"s", LENGTH, kind));
        let files = OpenFiles::new(FilePoller::default());
        let mut batch = Batch::new(&device, QueueAffinity::ANY, &[], &files, "loading");
        let transfer = Transfer { entry, offset: 0, length: LENGTH };
        // Fills are submitted at the end, which does not come.
        let buffer = batch.load(&[&transfer], &BufferParams::device_local()).unwrap().remove(0);
        let address = buffer.pin().unwrap().base().addr() as u64;
        let mut entries = vec![0; (LENGTH / 4096) as usize * 8];
        let map = std::fs::File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entries, address / 4096 * 8).unwrap();
        let present = entries.chunks_exact(8).filter(|entry| entry[7] & 0x80 != 0).count();
        assert_eq!(present, 0, "pages");
    }
}
