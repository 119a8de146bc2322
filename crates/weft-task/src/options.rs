//! What an executor is made with.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::observe::Observer;
use crate::topology::Topology;

/// What an executor is made with.
///
/// ```
/// use weft_task::ExecutorOptions;
/// let options = ExecutorOptions { workers: 2, ..ExecutorOptions::default() };
/// assert!(options.spin.is_zero(), "an idle executor uses no processor");
/// ```
#[derive(Clone)]
pub struct ExecutorOptions {
    /// Worker threads, 1 to 1024, pinned nowhere; counts only where there is no topology.
    pub workers: usize,
    /// One worker for each group, where the group says. An empty one stands for one worker anywhere: an executor without
    /// workers would never run anything.
    pub topology: Option<Topology>,
    /// Threads that may lend themselves at the same time, at most 64; see [`Executor::lend`](crate::Executor::lend).
    pub guests_max: usize,
    /// How long an idle worker looks before it sleeps; zero: not at all. Bounded, adaptive and elected: see `spin.rs`.
    pub spin: Duration,
    /// How many workers spin at the same time.
    pub spinners_max: u32,
    /// Stack of a worker, at most 1 GiB; raised to at least 32 KiB. 0: the system's default.
    pub stack_bytes: usize,
    /// Scratch memory of a worker, at most 1 GiB, rounded up to whole cache lines; 0: as much as fits its cache, at most
    /// 64 MiB.
    pub local_memory_bytes: usize,
    /// Added to worker indices, so that several executors number their workers globally.
    pub worker_base_index: usize,
    /// Is told what workers begin and end.
    pub observer: Option<Arc<dyn Observer>>,
    /// Starts the threads.
    pub spawn: Arc<dyn Spawn>,
}

impl Default for ExecutorOptions {
    fn default() -> ExecutorOptions {
        ExecutorOptions {
            workers: 1,
            topology: None,
            guests_max: 4,
            spin: Duration::ZERO,
            spinners_max: 1,
            stack_bytes: 0,
            local_memory_bytes: 0,
            worker_base_index: 0,
            observer: None,
            spawn: Arc::new(SystemThreads),
        }
    }
}

impl fmt::Debug for ExecutorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorOptions")
            .field("workers", &self.workers)
            .field("topology", &self.topology)
            .field("guests_max", &self.guests_max)
            .field("spin", &self.spin)
            .finish_non_exhaustive()
    }
}

/// How threads are started: a seam, so that tests can refuse one. What is said to have been started has to run.
pub trait Spawn: Send + Sync {
    /// Starts worker `index` as `builder` says.
    fn spawn(
        &self,
        index: usize,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send>,
    ) -> io::Result<thread::JoinHandle<()>>;
}

/// Threads of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemThreads;

impl Spawn for SystemThreads {
    fn spawn(
        &self,
        _index: usize,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send>,
    ) -> io::Result<thread::JoinHandle<()>> {
        builder.spawn(body)
    }
}
