//! Slabs that are made ready before somebody asks for them.
//!
//! What lives here: [`SlabCache`], a provider in front of another one, and its thread. Why: the first touch of a large
//! slab costs the system milliseconds of page faults.
//!
//! 1. The thread keeps `ready_target` slabs, prefaulted. It refills when a slab is asked for, not when slabs are trimmed.
//! 2. Who asks takes a ready slab (a hit), or wakes the thread and waits for the next one (a miss). Larger requests, and
//!    ones with more alignment, pass by and are prefaulted on the spot.
//! 3. A slab that comes back is kept while there are fewer than `ready_max`, and handed to who waits.
//! 4. When a refill fails the thread stops. The next who asks, or one who waits, gets the error; that clears it, and the
//!    thread goes on.
//! 5. No lock is held while the provider works. Dropping the cache waits for the thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use weft_sync::atomic::{Condvar, Mutex, MutexGuard, lock};
use weft_sync::{Instant, Result, Status, bail, status};

use super::slab::{SlabProperties, SlabProvider, take_slab};
use crate::buffer::{Buffer, BufferMetadata};
use crate::host_block::{BlockKeeper, HostBlock};

/// How a cache behaves.
pub struct SlabCacheOptions {
    /// Bytes of each slab. Larger requests pass by.
    pub slab_bytes: u64,
    /// Alignment of each slab, a power of two.
    pub alignment: u64,
    /// Slabs that the thread keeps ready.
    pub ready_target: usize,
    /// Slabs that are kept at most, those that came back included.
    pub ready_max: usize,
    /// Runs first on the thread, which it may pin to a node.
    pub on_start: Option<Box<dyn FnOnce() + Send>>,
}

/// What a cache has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlabCacheStatistics {
    /// Requests that found a ready slab.
    pub hits: u64,
    /// Requests that waited for one.
    pub misses: u64,
    /// Requests that passed by.
    pub bypasses: u64,
    /// Slabs that are ready now.
    pub ready: usize,
    /// Time spent on making pages present.
    pub prefault_time: Duration,
    /// How long slabs were ready before they were taken: an average in which the last one weighs an eighth.
    pub reuse_interval: Duration,
}

struct Ready {
    slab: HostBlock,
    since: Instant,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Ready>,
    waiting: usize,
    /// The thread should look whether slabs are missing.
    refill: bool,
    failure: Option<Status>,
    stop: bool,
    statistics: SlabCacheStatistics,
}

impl State {
    fn pop(&mut self) -> Option<HostBlock> {
        let Ready { slab, since } = self.ready.pop_front()?;
        let lasted = Instant::now().since(since);
        let average = &mut self.statistics.reuse_interval;
        *average = if average.is_zero() { lasted } else { (*average * 7 + lasted) / 8 };
        Some(slab)
    }
}

struct Shared {
    provider: Arc<dyn SlabProvider>,
    slab_bytes: u64,
    alignment: u64,
    ready_target: usize,
    ready_max: usize,
    state: Mutex<State>,
    /// The thread waits for work.
    work: Condvar,
    /// Those who ask wait for a slab, an error or the end.
    arrival: Condvar,
}

/// A provider of slabs that are ready when they are asked for.
pub struct SlabCache {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SlabCache {
    /// A cache before `provider`, with a thread that starts to fill it at once. INVALID_ARGUMENT for slabs of 0 bytes, an
    /// alignment that the provider does not have, or a target above the maximum.
    pub fn new(provider: Arc<dyn SlabProvider>, options: SlabCacheOptions) -> Result<SlabCache> {
        let SlabCacheOptions { slab_bytes, alignment, ready_target, ready_max, on_start } = options;
        let alignment_max = provider.properties().alignment_max;
        if slab_bytes == 0 {
            bail!(InvalidArgument, "slabs of 0 bytes");
        }
        if !alignment.is_power_of_two() || alignment > alignment_max {
            bail!(
                InvalidArgument,
                "an alignment of {alignment}; the provider has powers of two up to {alignment_max}"
            );
        }
        if ready_target > ready_max {
            bail!(InvalidArgument, "{ready_target} slabs kept ready of at most {ready_max}");
        }
        let state = Mutex::new(State { refill: true, ..State::default() });
        let shared = Arc::new(Shared {
            provider,
            slab_bytes,
            alignment,
            ready_target,
            ready_max,
            state,
            work: Condvar::new(),
            arrival: Condvar::new(),
        });
        let worker = Arc::clone(&shared);
        let run = move || {
            if let Some(on_start) = on_start {
                on_start();
            }
            worker.refill_until_stopped();
        };
        let thread = std::thread::Builder::new().name("weft-slabs".to_owned()).spawn(run);
        let thread =
            thread.map_err(|why| status!(ResourceExhausted, "no thread to keep slabs ready: {why}"))?;
        Ok(SlabCache { shared, thread: Some(thread) })
    }

    /// What it has done.
    pub fn statistics(&self) -> SlabCacheStatistics {
        let state = lock(&self.shared.state);
        SlabCacheStatistics { ready: state.ready.len(), ..state.statistics }
    }

    /// Gives back ready slabs above `keep`.
    pub fn trim_to(&self, keep: usize) {
        let surplus: Vec<Ready> = {
            let mut state = lock(&self.shared.state);
            let first = state.ready.len().min(keep);
            state.ready.drain(first..).collect()
        };
        drop(surplus); // under no lock
    }
}

impl SlabProvider for SlabCache {
    fn properties(&self) -> SlabProperties {
        self.shared.provider.properties()
    }

    fn acquire_slab(&self, size: u64, alignment: u64) -> Result<HostBlock> {
        let shared = &self.shared;
        if size > shared.slab_bytes || alignment > shared.alignment {
            lock(&shared.state).statistics.bypasses += 1;
            let mut slab = take_slab(&*shared.provider, size, alignment)?;
            shared.prefault(&mut slab);
            return Ok(slab);
        }
        let slab = shared.take_ready()?;
        Ok(slab.lend(Arc::clone(shared) as Arc<dyn BlockKeeper>))
    }

    fn prefault(&self, slab: &mut HostBlock) {
        self.shared.prefault(slab);
    }

    fn wrap(&self, metadata: BufferMetadata, byte_length: u64, block: HostBlock) -> Result<Arc<Buffer>> {
        self.shared.provider.wrap(metadata, byte_length, block)
    }

    fn trim(&self) {
        self.trim_to(0);
        self.shared.provider.trim();
    }
}

impl Drop for SlabCache {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A provider that panicked took its thread with it; nothing is left to do for it.
            let _ = thread.join();
        }
        self.trim_to(0);
    }
}

impl Shared {
    fn prefault(&self, slab: &mut HostBlock) {
        let begin = Instant::now();
        self.provider.prefault(slab);
        lock(&self.state).statistics.prefault_time += Instant::now().since(begin);
    }

    /// A ready slab, or the next one, or the error of a refill.
    fn take_ready(&self) -> Result<HostBlock> {
        let mut state = lock(&self.state);
        if let Some(status) = state.failure.take() {
            self.ask_for_refill(&mut state);
            return Err(status);
        }
        if let Some(slab) = state.pop() {
            state.statistics.hits += 1;
            self.ask_for_refill(&mut state);
            return Ok(slab);
        }
        state.statistics.misses += 1;
        state.waiting += 1;
        self.ask_for_refill(&mut state);
        let outcome = loop {
            if let Some(slab) = state.pop() {
                break Ok(slab);
            }
            if let Some(status) = state.failure.take() {
                break Err(status);
            }
            state = wait(&self.arrival, state);
        };
        state.waiting -= 1;
        // For this slab, or after this error: the others who wait are served by the refill that goes on.
        self.ask_for_refill(&mut state);
        outcome
    }

    fn ask_for_refill(&self, state: &mut State) {
        state.refill = true;
        self.work.notify_one();
    }

    fn refill_until_stopped(&self) {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return;
            }
            let is_missing = state.ready.len() < self.ready_target.max(state.waiting);
            if !state.refill || !is_missing || state.failure.is_some() {
                state.refill = false;
                state = wait(&self.work, state);
                continue;
            }
            drop(state);
            let made = take_slab(&*self.provider, self.slab_bytes, self.alignment).map(|mut slab| {
                self.prefault(&mut slab);
                slab
            });
            state = lock(&self.state);
            match made {
                Ok(slab) => state.ready.push_back(Ready { slab, since: Instant::now() }),
                Err(status) => state.failure = Some(status),
            }
            self.arrival.notify_all();
        }
    }
}

/// Waits without regard to poison, as `lock` locks.
fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl BlockKeeper for Shared {
    fn returned(&self, block: HostBlock) {
        let surplus = {
            let mut state = lock(&self.state);
            if state.stop || state.ready.len() >= self.ready_max {
                Some(block)
            } else {
                state.ready.push_back(Ready { slab: block, since: Instant::now() });
                self.arrival.notify_all();
                None
            }
        };
        drop(surplus); // under no lock: the provider may do anything
    }
}
