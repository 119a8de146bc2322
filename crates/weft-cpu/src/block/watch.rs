//! Who watches a recording run: nobody, or the profile of its device.
//!
//! 1. Runners are compiled twice, with [`Nobody`] and with a [`Witness`]. Without a profile they look at no clock, take
//!    no lock and test nothing for it.
//! 2. A witness is a thread's, for one drain. What it sees is kept by seat, under a lock that nobody else wants, and
//!    **before** the tiles are retired. So whoever retires the last ones finds the pieces of all threads.
//! 3. A *piece* is what a thread did of one command in one go: tiles that it claimed one run after the other are one.
//!
//! What does not live here: records (`report.rs`).

use weft_hal::profile::now_ns;
use weft_sync::atomic::{AtomicBool, AtomicU32, Mutex, Ordering, lock};
use weft_sync::{Code, Result, Status};

/// Is told by a thread what it runs.
pub(crate) trait Watcher {
    /// A command, or some of its tiles, begins.
    fn begin(&mut self);
    /// It ends: the command at this place of this region, so many tiles; `None`: all that it has.
    fn end(&mut self, region: u32, index: u8, tiles: Option<u32>, outcome: &Result<()>);
    /// There was nothing to claim of an open region. `stays`: the thread waits for the next one.
    fn idle(&mut self, region: u32, worked: bool, stays: bool);
}

/// Watches nothing, and is nothing.
pub(crate) struct Nobody;

impl Watcher for Nobody {
    #[inline(always)]
    fn begin(&mut self) {}

    #[inline(always)]
    fn end(&mut self, _region: u32, _index: u8, _tiles: Option<u32>, _outcome: &Result<()>) {}

    #[inline(always)]
    fn idle(&mut self, _region: u32, _worked: bool, _stays: bool) {}
}

/// What is seen of one execution.
///
/// * `pieces`      – by seat; written by the thread on that seat, read at the end.
/// * `regions`     – any thread, relaxed: counts.
/// * `drains`      – any thread: gives each drain a number.
/// * `is_reported` – whoever ends the execution.
pub(crate) struct Watch {
    /// Number of the submission.
    pub(super) submission: u64,
    /// Ordinal of the queue.
    pub(super) queue: u32,
    pub(super) pieces: Box<[Mutex<Vec<Piece>>]>,
    pub(super) regions: Box<[Visits]>,
    drains: AtomicU32,
    is_reported: AtomicBool,
}

/// Rule 3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) region: u32,
    /// Place of the command in its region.
    pub(super) index: u8,
    /// Seat of the thread among those of the executor.
    pub(super) worker: u32,
    pub(super) drain: u32,
    /// `None`: all of the command.
    pub(super) tiles: Option<u32>,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// Without what came between the runs.
    pub(super) busy_ns: u64,
    pub(super) failure: Option<Code>,
}

/// Drains that came to a region for nothing.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// They did nothing before, either.
    pub(super) idle: AtomicU32,
    /// They waited for the next region.
    pub(super) kept: AtomicU32,
    /// They went away.
    pub(super) released: AtomicU32,
}

impl Watch {
    /// For a recording of so many regions, run by at most so many threads at once.
    pub(crate) fn new(submission: u64, queue: u32, seats: u32, regions: usize) -> Watch {
        Watch {
            submission,
            queue,
            pieces: (0..seats.max(1)).map(|_| Mutex::new(Vec::new())).collect(),
            regions: (0..regions).map(|_| Visits::default()).collect(),
            drains: AtomicU32::new(0),
            is_reported: AtomicBool::new(false),
        }
    }

    /// For one drain of the thread on a seat of this execution, which is a worker of the executor.
    pub(crate) fn witness(&self, seat: u32, worker: u32) -> Witness<'_> {
        let drain = self.drains.fetch_add(1, Ordering::Relaxed);
        Witness { watch: self, seat: seat as usize, worker, drain, start_ns: 0 }
    }

    /// True once.
    pub(super) fn begin_report(&self) -> bool {
        // Relaxed: the pieces come with their locks.
        !self.is_reported.swap(true, Ordering::Relaxed)
    }
}

/// Rule 2.
pub(crate) struct Witness<'a> {
    watch: &'a Watch,
    seat: usize,
    worker: u32,
    drain: u32,
    start_ns: u64,
}

impl Watcher for Witness<'_> {
    fn begin(&mut self) {
        self.start_ns = now_ns();
    }

    fn end(&mut self, region: u32, index: u8, tiles: Option<u32>, outcome: &Result<()>) {
        let (start_ns, end_ns) = (self.start_ns, now_ns());
        let failure = outcome.as_ref().err().map(Status::code);
        let mut pieces = lock(&self.watch.pieces[self.seat]);
        if let Some(last) = pieces.last_mut()
            && (last.drain, last.region, last.index) == (self.drain, region, index)
        {
            last.tiles = last.tiles.zip(tiles).map(|(before, more)| before.saturating_add(more));
            last.end_ns = end_ns;
            last.busy_ns += end_ns - start_ns;
            last.failure = failure;
        } else {
            pieces.push(Piece {
                region,
                index,
                worker: self.worker,
                drain: self.drain,
                tiles,
                start_ns,
                end_ns,
                busy_ns: end_ns - start_ns,
                failure,
            });
        }
    }

    fn idle(&mut self, region: u32, worked: bool, stays: bool) {
        let Some(visits) = self.watch.regions.get(region as usize) else { return };
        let left = if stays { &visits.kept } else { &visits.released };
        left.fetch_add(1, Ordering::Relaxed);
        if !worked {
            visits.idle.fetch_add(1, Ordering::Relaxed);
        }
    }
}
