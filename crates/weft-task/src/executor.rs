//! Starting, scheduling, stopping.
//!
//! What lives here: [`Executor`], a handle; the last one stops the workers. What does not: what workers do
//! (`worker.rs`), threads that lend themselves (`guest.rs`).
//!
//! 1. All workers are asked to leave before any of them is waited for: stopping takes as long as the slowest drain, not
//!    as long as all of them.
//! 2. The last worker to leave drops what lists and slots hold: processes that were never drained are dropped, not
//!    completed. Clients bring their processes to an end first.
//! 3. The last handle may be dropped on a worker, by a process that held it: of this executor, or of another. A worker
//!    waits for no other worker: not for itself, and not for one that may be waiting for it. It asks everybody to leave
//!    and lets the threads go. The shared side goes with the last of them. Everybody else waits.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use weft_sync::atomic::Ordering;
use weft_sync::{Code, Lender, Result, Status, bail, lending_to};

use crate::counters::Counters;
use crate::float_mode::flush_denormals_on_this_thread;
use crate::guest::Borrower;
use crate::inside;
use crate::local_memory::LocalMemory;
use crate::options::ExecutorOptions;
use crate::pin::worker_name;
use crate::process::Process;
use crate::report::Report;
use crate::shared::{Settings, Shared};
use crate::spin::SpinLimits;
use crate::topology::Group;
use crate::tuning::{
    GUESTS_MAX, LOCAL_MEMORY_BYTES_USUAL_MAX, STACK_BYTES_MAX, STACK_BYTES_MIN, WORKERS_MAX,
};
use crate::worker::Pump;

/// Workers that drain processes. A cheap handle; the last one stops them.
///
/// ```
/// use std::sync::Arc;
/// use weft_sync::{Deadline, Semaphore};
/// use weft_task::{Drained, Executor, ExecutorOptions, Process, ProcessOptions, Work, WorkerContext};
///
/// struct Hello(Arc<Semaphore>);
/// impl Work for Hello {
///     fn drain(&self, _: &WorkerContext<'_>) -> Drained {
///         Drained::Finished
///     }
///     fn released(&self) {
///         self.0.signal(1).expect("nobody else signals it");
///     }
/// }
///
/// let executor = Executor::new(&ExecutorOptions::default())?;
/// let done = Arc::new(Semaphore::new(0));
/// executor.schedule(&Process::new(Hello(Arc::clone(&done)), ProcessOptions::default()));
/// executor.wait(&done, 1, Deadline::NEVER)?;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Executor {
    owner: Arc<Owner>,
}

/// What the handles share: the threads.
struct Owner {
    shared: Arc<Shared>,
    borrower: Arc<dyn Lender>,
    threads: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts the workers. If one cannot be started, those that were are stopped, and the reason is returned.
    pub fn new(options: &ExecutorOptions) -> Result<Executor> {
        let shared = Arc::new(Shared::new(settings(options)?));
        let workers = shared.settings.workers;
        let borrower = Arc::new(Borrower(Arc::clone(&shared)));
        let mut owner = Owner { shared, borrower, threads: Vec::with_capacity(workers) };
        for index in 0..workers {
            let thread = start(&owner.shared, index, options)?;
            owner.threads.push(thread);
        }
        Ok(Executor { owner: Arc::new(owner) })
    }

    /// Makes a process known to the workers, and wakes as many as its budget says. Neither blocks nor allocates.
    ///
    /// A process that is idle is drained; one that is being drained is drained once more; one that is suspended or over
    /// stays as it is. Panics if the process was scheduled on another executor before.
    #[inline]
    pub fn schedule(&self, process: &Arc<Process>) {
        self.shared().schedule_from_outside(process, false);
    }

    /// Schedules a process like [`Executor::schedule`]; but where the calling thread has opened offers
    /// ([`Executor::offering`]), one worker less is woken, because this thread looks at it itself.
    #[inline]
    pub fn schedule_soon(&self, process: &Arc<Process>) {
        let shared = self.shared();
        let offer = inside::accepts(shared.id);
        if shared.schedule_from_outside(process, offer) {
            inside::leave_work(shared.id);
        }
    }

    /// Calls `body` on a thread that will look for work soon: in a wait of this executor, or because it is a worker
    /// whose drain is about to return. What [`Executor::schedule_soon`] is told meanwhile is left to this thread, one
    /// thing at a time. A thread that has no seat and did not wait wakes a worker for it when `body` returns.
    ///
    /// ```
    /// # use weft_task::*; use weft_sync::*; use std::sync::Arc;
    /// struct Signals(Arc<Semaphore>);
    /// impl Work for Signals {
    ///     fn drain(&self, _: &WorkerContext<'_>) -> Drained {
    ///         self.0.signal(1).expect("once");
    ///         Drained::Finished
    ///     }
    /// }
    /// let executor = Executor::new(&ExecutorOptions::default())?;
    /// let done = Arc::new(Semaphore::new(0));
    /// let process = Process::new(Signals(Arc::clone(&done)), ProcessOptions::default());
    /// executor.offering(|| {
    ///     executor.schedule_soon(&process);
    ///     executor.wait_all(&[Point { semaphore: Arc::clone(&done), value: 1 }], Deadline::NEVER)
    /// })?;
    /// assert_eq!(executor.counters().wakes, 0);
    /// # Result::Ok(())
    /// ```
    pub fn offering<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Also after a panic: what was left to this thread must not stay with it.
        struct End<'a>(&'a Shared, Option<inside::Offering>);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                drop(self.1.take());
                // A seat picks it up itself; an outer offer goes on.
                let goes_on = inside::executor() == self.0.id || inside::is_open(self.0.id);
                if !goes_on && inside::take_left_work(self.0.id) && self.0.ready.has_unattended() {
                    self.0.wake_from_outside(1);
                }
            }
        }
        let shared = self.shared();
        let _end = End(shared, Some(inside::Offering::open(shared.id)));
        body()
    }

    /// Whether the calling thread works for this executor, or has offered to ([`Executor::offering`]).
    #[inline]
    pub fn is_offered_this_thread(&self) -> bool {
        inside::is_open(self.shared().id) || self.is_inside()
    }

    /// As [`Executor::offering`]; and every wait of `body` for semaphores that has no deadline, in whatever crate, lends
    /// the thread to this executor.
    pub fn lending<R>(&self, body: impl FnOnce() -> R) -> R {
        lending_to(Arc::clone(&self.owner.borrower), || self.offering(body))
    }

    /// Ends a process that is not over yet with `CANCELLED`: here if it is suspended, else as soon as a worker looks.
    pub fn cancel(&self, process: &Arc<Process>) {
        self.shared().cancel(process);
    }

    /// Wakes a worker for what [`Executor::schedule_soon`] left to this thread, if there is anything.
    pub fn begin_left_work(&self) {
        let shared = self.shared();
        if inside::executor() != shared.id && inside::take_left_work(shared.id) {
            shared.wake_from_outside(1);
        }
    }

    /// Ends a process with a failure, unless it has one or is over: here if it is suspended, else as soon as a worker
    /// looks.
    pub fn fail(&self, process: &Arc<Process>, failure: Status) {
        self.shared().fail(process, failure);
    }

    /// How many worker threads there are.
    pub fn worker_count(&self) -> usize {
        self.shared().settings.workers
    }

    /// How many seats there are, workers and guests: worker indices of drains are below this, counted from the base.
    pub fn seat_count(&self) -> usize {
        self.shared().settings.workers + self.shared().settings.guests
    }

    /// What all workers and guests have done so far. Asks the system for a line about each worker, which takes some
    /// microseconds each.
    pub fn counters(&self) -> Counters {
        self.shared().count()
    }

    /// What one seat has done so far.
    pub fn seat_counters(&self, seat: usize) -> Option<Counters> {
        (seat < self.seat_count()).then(|| self.shared().count_of(seat))
    }

    /// Who sleeps, what waits, who is with what: a look at any time, from any thread.
    pub fn report(&self) -> Report {
        Report::of(self.shared())
    }

    /// Whether the calling thread is a worker of this executor, or a guest that works for it now.
    pub fn is_inside(&self) -> bool {
        inside::executor() == self.shared().id
    }

    /// The seat that the calling thread has now, as a worker of this executor or as a guest; `None` if it has none.
    ///
    /// ```
    /// # use weft_task::*;
    /// let executor = Executor::new(&ExecutorOptions { workers: 2, ..ExecutorOptions::default() })?;
    /// assert_eq!(executor.seat_of_this_thread(), None);
    /// let guest = executor.lend().expect("a seat is free");
    /// assert_eq!(executor.seat_of_this_thread(), Some(2));
    /// drop(guest);
    /// assert_eq!(executor.seat_of_this_thread(), None);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn seat_of_this_thread(&self) -> Option<usize> {
        inside::seat(self.shared().id)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.report(), f)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.request_exit();
        if inside::is_worker() {
            // Rule 3: dropping the handles lets the threads go.
            return;
        }
        for thread in self.threads.drain(..) {
            // A worker contains the panics of processes; one of its own has been printed and has nobody to go to.
            drop(thread.join());
        }
    }
}

fn settings(options: &ExecutorOptions) -> Result<Settings> {
    let groups: Vec<Group> = match &options.topology {
        Some(topology) if topology.is_empty() => vec![Group::UNPINNED],
        Some(topology) => topology.groups().to_vec(),
        None if options.workers == 0 => {
            bail!(InvalidArgument, "an executor without workers would never run anything")
        }
        // Refused below if there are too many; no need to make them for that.
        None => vec![Group::UNPINNED; options.workers.min(WORKERS_MAX + 1)],
    };
    if groups.len() > WORKERS_MAX {
        bail!(
            ResourceExhausted,
            "an executor has at most {WORKERS_MAX} workers, {} were asked for",
            options.workers.max(groups.len())
        );
    }
    if options.guests_max > GUESTS_MAX {
        bail!(
            ResourceExhausted,
            "an executor has at most {GUESTS_MAX} guests at a time, {} were asked for",
            options.guests_max
        );
    }
    if options.worker_base_index.checked_add(groups.len() + options.guests_max).is_none() {
        bail!(InvalidArgument, "worker indices from {} on are too large", options.worker_base_index);
    }
    if options.stack_bytes > STACK_BYTES_MAX {
        bail!(
            ResourceExhausted,
            "a worker has at most {STACK_BYTES_MAX} bytes of stack, {} were asked for",
            options.stack_bytes
        );
    }
    let usual = |bytes: u64| bytes.min(LOCAL_MEMORY_BYTES_USUAL_MAX as u64) as usize;
    let local_memory_bytes =
        groups.iter().map(|group| match (options.local_memory_bytes, group.caches.l2_data) {
            (0, 0) => usual(group.caches.l1_data),
            (0, l2_data) => usual(l2_data),
            (bytes, _) => bytes,
        });
    let processors = thread::available_parallelism().map_or(1, usize::from);
    Ok(Settings {
        workers: groups.len(),
        guests: options.guests_max,
        worker_base_index: options.worker_base_index,
        local_memory_bytes: local_memory_bytes.collect(),
        placements: groups.iter().map(|group| group.placement).collect(),
        spin: SpinLimits::new(options.spin, options.spinners_max, processors),
        observer: options.observer.clone(),
    })
}

fn start(shared: &Arc<Shared>, index: usize, options: &ExecutorOptions) -> Result<JoinHandle<()>> {
    let mut builder = thread::Builder::new().name(worker_name(options.worker_base_index + index));
    if options.stack_bytes > 0 {
        builder = builder.stack_size(options.stack_bytes.max(STACK_BYTES_MIN));
    }
    let memory = LocalMemory::set_aside(shared.settings.local_memory_bytes[index])?;
    let shared = Arc::clone(shared);
    let body = Box::new(move || {
        work(&shared, index, memory);
        shared.end_worker(index);
    });
    options.spawn.spawn(index, builder, body).map_err(|error| {
        Status::new(Code::ResourceExhausted, format!("worker {index} could not be started: {error}"))
    })
}

/// The life of a worker thread.
fn work(shared: &Shared, index: usize, mut memory: LocalMemory) {
    inside::become_worker(shared.id, index);
    shared.worker_threads.enter(index);
    if shared.is_exiting() {
        return;
    }
    if shared.settings.placements[index].apply().is_err() {
        // It runs elsewhere, which is slower at worst; the report says so.
        shared.refused_placements.fetch_add(1, Ordering::Relaxed);
    }
    flush_denormals_on_this_thread();
    memory.touch();
    Pump::new(shared, index, memory).run();
}
