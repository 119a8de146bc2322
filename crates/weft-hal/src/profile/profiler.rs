//! What a device holds and feeds: the session, its rings, and the one word that says whether anybody listens.
//!
//! 1. `families` is 0 without a session. A device looks at it before it reads a clock or makes a record; everything
//!    else here is off that path.
//! 2. A record is made without a lock and kept under one. Under it `families` is looked at again, so that nothing is kept
//!    once `end` has cleared the word.
//! 3. The sink is foreign code: it is called without the lock, by one thread at a time. That thread is noted in
//!    `Active::keeper`; other threads that flush or end wait for it, and the sink itself, should it do so, is refused.
//! 4. Whatever became of the sink's call, panics included, its outcome is put in place by a destructor.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread::ThreadId;

use weft_sync::atomic::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering, lock};
use weft_sync::{Instant, Result, bail};

use super::family::{ProfileFamilies, ProfileFlags};
use super::options::{EVENTS_MAX_DEFAULT, ProfileOptions};
use super::record::{
    ExecutableRecord, ExecutionEvent, FunctionRecord, MemoryEvent, OperationKind, PointList, QueueEvent,
    RegionEvent, WaitStrategy, WorkerEvent,
};
use super::ring::{Batch, Ring};
use super::sink::{ProfileChunk, ProfileRecords, ProfileSession, ProfileSink};
use crate::buffer::DeviceId;
use crate::executable::{Executable, FunctionId};
use crate::fence::all_reached;
use crate::queue::Submission;

/// Nanoseconds since an origin that the whole process shares. Never 0, so that 0 can stand for "not yet".
pub fn now_ns() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    let passed = now.since(*ORIGIN.get_or_init(|| now)).as_nanos();
    // Five centuries fit.
    (passed as u64).saturating_add(1)
}

/// Takes the records of one device. Without a session it holds no memory and costs one load an operation.
///
/// * `families`   – any thread; written under the lock of `session`.
/// * `submission` – any thread.
/// * `session`    – under its lock; nobody else's code runs there.
#[derive(Debug, Default)]
pub struct Profiler {
    families: AtomicU64,
    /// Submissions that were numbered.
    submission: AtomicU64,
    session: Mutex<Option<Box<Active>>>,
    /// Rung when the sink has been called.
    released: Condvar,
}

/// A session under way.
struct Active {
    about: Arc<ProfileSession>,
    sink: Arc<dyn ProfileSink>,
    options: ProfileOptions,
    rings: Rings,
    /// Executables that were told of.
    known: HashSet<u64>,
    /// The thread that calls the sink.
    keeper: Option<ThreadId>,
}

/// One bounded ring a family.
struct Rings {
    executables: Ring<ExecutableRecord>,
    queue: Ring<QueueEvent>,
    executions: Ring<ExecutionEvent>,
    memory: Ring<MemoryEvent>,
    regions: Ring<RegionEvent>,
    workers: Ring<WorkerEvent>,
}

/// What was in the rings, on its way to the sink.
struct Batches {
    executables: Batch<ExecutableRecord>,
    queue: Batch<QueueEvent>,
    executions: Batch<ExecutionEvent>,
    memory: Batch<MemoryEvent>,
    regions: Batch<RegionEvent>,
    workers: Batch<WorkerEvent>,
}

/// Questions and records: what devices use.
impl Profiler {
    /// With no session.
    pub fn new() -> Profiler {
        Profiler::default()
    }

    /// Somebody wants some of these.
    #[inline]
    pub fn is_on(&self, families: ProfileFamilies) -> bool {
        // Relaxed: a device that sees a session late loses a record or two; those that it makes are checked under the
        // lock.
        self.families.load(Ordering::Relaxed) & families.bits() != 0
    }

    /// Somebody wants something.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.families.load(Ordering::Relaxed) != 0
    }

    /// The event of an operation that is being submitted; none if nobody wants any. Its end and its failure, and when it was
    /// ready unless that was at once, are for the device to fill in, before [`Profiler::record_queue_event`].
    #[inline]
    pub fn submitted(
        &self,
        submission: &Submission<'_>,
        operation: OperationKind,
        operation_count: u32,
        payload_bytes: u64,
    ) -> Option<Box<QueueEvent>> {
        if self.is_active() {
            Some(self.number(submission, operation, operation_count, payload_bytes))
        } else {
            None
        }
    }

    #[cold]
    fn number(
        &self,
        submission: &Submission<'_>,
        operation: OperationKind,
        operation_count: u32,
        payload_bytes: u64,
    ) -> Box<QueueEvent> {
        let strategy = match all_reached(submission.wait) {
            _ if submission.wait.is_empty() => WaitStrategy::None,
            Ok(false) => WaitStrategy::SoftwareDefer,
            Ok(true) | Err(_) => WaitStrategy::Inline,
        };
        let submit_ns = now_ns();
        Box::new(QueueEvent {
            operation,
            submission: self.submission.fetch_add(1, Ordering::Relaxed) + 1,
            queue: submission.affinity.0.trailing_zeros(),
            waits: PointList::new(submission.wait),
            signals: PointList::new(submission.signal),
            strategy,
            operation_count,
            payload_bytes,
            submit_ns,
            // Until the device knows better: nothing to wait for is "ready at once".
            ready_ns: submit_ns,
            end_ns: 0,
            failure: None,
        })
    }

    /// Keeps the event of a submission. To be called before its signals fire.
    pub fn record_queue_event(&self, event: QueueEvent) {
        self.record(ProfileFamilies::QUEUE_EVENTS, [event], |rings| &mut rings.queue);
    }

    /// Keeps the event of a submission whose work was done, and that of the work, unless its parts are recorded one by
    /// one (a dispatch) or it takes no time of its own. To be called before its signals fire.
    pub fn record_done(&self, event: QueueEvent, command_buffer: u64, worker: Option<u32>) {
        if let Some(execution) = event.execution() {
            self.record_execution(ExecutionEvent { command_buffer, worker, ..execution }, None);
        }
        self.record_queue_event(event);
    }

    /// Keeps the event of something that ran, if the session's filter takes it. A dispatch names its executable.
    pub fn record_execution(&self, event: ExecutionEvent, executable: Option<&Executable>) {
        self.record_executions([(event, executable)]);
    }

    /// [`Profiler::record_execution`] for several, which costs less.
    pub fn record_executions<'a>(
        &self,
        events: impl IntoIterator<Item = (ExecutionEvent, Option<&'a Executable>)>,
    ) {
        if !self.is_on(ProfileFamilies::EXECUTION_EVENTS | ProfileFamilies::EXECUTABLE_METADATA) {
            return;
        }
        let filter = lock(&self.session).as_ref().map(|active| active.options.filter.clone());
        let Some(filter) = filter else { return };
        let mut told = 0;
        let mut taken = Vec::new();
        for (mut event, executable) in events {
            event.executable = executable.map_or(0, Executable::id);
            let id = FunctionId(u64::from(event.function));
            let function = executable.and_then(|executable| executable.function(id).ok());
            if filter.takes(&event, function.map(|function| function.name.as_str())) {
                if let Some(executable) = executable.filter(|executable| executable.id() != told) {
                    told = executable.id();
                    self.record_executable(executable);
                }
                taken.push(event);
            }
        }
        self.record(ProfileFamilies::EXECUTION_EVENTS, taken, |rings| &mut rings.executions);
    }

    /// Tells of an executable, unless the session knows it.
    pub fn record_executable(&self, executable: &Executable) {
        let family = ProfileFamilies::EXECUTABLE_METADATA;
        if !self.is_on(family) {
            return;
        }
        let is_new = lock(&self.session).as_mut().is_some_and(|active| active.known.insert(executable.id()));
        if is_new {
            self.record(family, [executable_record(executable)], |rings| &mut rings.executables);
        }
    }

    /// Keeps a memory event.
    pub fn record_memory(&self, event: MemoryEvent) {
        self.record(ProfileFamilies::MEMORY_EVENTS, [event], |rings| &mut rings.memory);
    }

    /// Keeps region events.
    pub fn record_regions(&self, events: impl IntoIterator<Item = RegionEvent>) {
        self.record(ProfileFamilies::REGION_EVENTS, events, |rings| &mut rings.regions);
    }

    /// Keeps stretches of workers' time.
    pub fn record_workers(&self, events: impl IntoIterator<Item = WorkerEvent>) {
        self.record(ProfileFamilies::WORKER_EVENTS, events, |rings| &mut rings.workers);
    }

    /// Under one lock, unless somebody has to flush. `events` must not come back here.
    fn record<T>(
        &self,
        family: ProfileFamilies,
        events: impl IntoIterator<Item = T>,
        ring: fn(&mut Rings) -> &mut Ring<T>,
    ) {
        if !self.is_on(family) {
            return;
        }
        let mut session = lock(&self.session);
        for event in events {
            if let Some(active) = &mut *session
                && active.flushes_when_full()
                && ring(&mut active.rings).is_full()
            {
                drop(session);
                // A failure keeps the ring full: the record is counted as dropped below.
                let _ = self.flush();
                session = lock(&self.session);
            }
            // Rule 2.
            if let Some(active) = &mut *session
                && self.is_on(family)
            {
                ring(&mut active.rings).push(event);
            }
        }
    }
}

fn executable_record(executable: &Executable) -> ExecutableRecord {
    let functions = (0..executable.function_count() as u64)
        .filter_map(|ordinal| executable.function(FunctionId(ordinal)).ok())
        .map(|function| FunctionRecord {
            name: function.name.clone(),
            workgroup_size: function.workgroup_size,
            constant_count: function.constant_count,
            binding_count: function.binding_count,
        })
        .collect();
    ExecutableRecord { executable: executable.id(), functions }
}

/// Sessions: what the front of the device calls.
impl Profiler {
    /// Begins a session, unless the options ask for nothing.
    pub(crate) fn begin(
        &self,
        device: DeviceId,
        identifier: &str,
        queue_count: u32,
        options: &ProfileOptions,
    ) -> Result<()> {
        options.check()?;
        let Some(sink) = options.sink.as_ref().filter(|_| !options.families.is_empty()) else {
            return Ok(());
        };
        if !ProfileFamilies::LOCAL.contains(options.families) {
            let missing = options.families.difference(ProfileFamilies::LOCAL);
            bail!(Unimplemented, "{identifier} has no profile data {missing}");
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let about = Arc::new(ProfileSession {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            device,
            identifier: identifier.into(),
            queue_count,
            families: options.families,
            begin_ns: now_ns(),
        });
        let mut session = lock(&self.session);
        if session.is_some() {
            bail!(FailedPrecondition, "{identifier} is being profiled already");
        }
        *session = Some(Box::new(Active {
            about: Arc::clone(&about),
            sink: Arc::clone(sink),
            options: options.clone(),
            rings: Rings::new(options.events_max),
            known: HashSet::new(),
            keeper: Some(std::thread::current().id()),
        }));
        drop(session);
        let mut call = SinkCall { profiler: self, unwritten: None, keeps_session: false };
        sink.begin(&about)?;
        call.keeps_session = true;
        drop(call);
        Ok(())
    }

    /// Hands over what was recorded so far. Without a session there is nothing to do.
    pub(crate) fn flush(&self) -> Result<()> {
        let Some(mut session) = self.claim()? else { return Ok(()) };
        let Some(active) = &mut *session else { return Ok(()) };
        let (about, sink) = (Arc::clone(&active.about), Arc::clone(&active.sink));
        let batches = active.rings.take();
        drop(session);
        let mut call = SinkCall { profiler: self, unwritten: Some(batches), keeps_session: true };
        call.write(&about, &*sink)
    }

    /// Hands over the rest and ends the session, whatever the sink says. Without a session there is nothing to do.
    pub(crate) fn end(&self) -> Result<()> {
        let Some(mut session) = self.claim()? else { return Ok(()) };
        let Some(active) = &mut *session else { return Ok(()) };
        self.families.store(0, Ordering::Relaxed);
        let (about, sink) = (Arc::clone(&active.about), Arc::clone(&active.sink));
        let batches = active.rings.take();
        drop(session);
        let mut call = SinkCall { profiler: self, unwritten: Some(batches), keeps_session: false };
        let written = call.write(&about, &*sink);
        written.and(sink.end(&about))
    }

    /// Makes this thread the one that calls the sink. None without a session.
    fn claim(&self) -> Result<Option<MutexGuard<'_, Option<Box<Active>>>>> {
        let this = std::thread::current().id();
        let mut session = lock(&self.session);
        loop {
            match &mut *session {
                None => return Ok(None),
                Some(active) => match active.keeper {
                    None => {
                        active.keeper = Some(this);
                        return Ok(Some(session));
                    }
                    Some(keeper) if keeper == this => {
                        bail!(FailedPrecondition, "a profile sink cannot flush or end its own session");
                    }
                    Some(_) => {
                        session = self.released.wait(session).unwrap_or_else(PoisonError::into_inner);
                    }
                },
            }
        }
    }
}

/// The sink is being called; ends with rule 4.
struct SinkCall<'a> {
    profiler: &'a Profiler,
    /// What the sink has not taken.
    unwritten: Option<Batches>,
    /// The session goes on afterwards.
    keeps_session: bool,
}

impl SinkCall<'_> {
    fn write(&mut self, about: &ProfileSession, sink: &dyn ProfileSink) -> Result<()> {
        match &mut self.unwritten {
            Some(batches) => batches.write(about, sink),
            None => Ok(()),
        }
    }
}

impl Drop for SinkCall<'_> {
    fn drop(&mut self) {
        let mut session = lock(&self.profiler.session);
        if !self.keeps_session {
            *session = None;
        }
        if let Some(active) = &mut *session {
            active.keeper = None;
            if let Some(batches) = self.unwritten.take() {
                active.rings.restore(batches);
            }
            self.profiler.families.store(active.about.families.bits(), Ordering::Relaxed);
        }
        drop(session);
        self.profiler.released.notify_all();
    }
}

impl Active {
    fn flushes_when_full(&self) -> bool {
        self.keeper.is_none() && self.options.flags.contains(ProfileFlags::FLUSH_WHEN_FULL)
    }
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active")
            .field("about", &self.about)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Rings {
    fn new(events_max: usize) -> Rings {
        let capacity = if events_max == 0 { EVENTS_MAX_DEFAULT } else { events_max };
        Rings {
            executables: Ring::new(capacity),
            queue: Ring::new(capacity),
            executions: Ring::new(capacity),
            memory: Ring::new(capacity),
            regions: Ring::new(capacity),
            workers: Ring::new(capacity),
        }
    }

    fn take(&mut self) -> Batches {
        Batches {
            executables: self.executables.take(),
            queue: self.queue.take(),
            executions: self.executions.take(),
            memory: self.memory.take(),
            regions: self.regions.take(),
            workers: self.workers.take(),
        }
    }

    fn restore(&mut self, batches: Batches) {
        self.executables.restore(batches.executables);
        self.queue.restore(batches.queue);
        self.executions.restore(batches.executions);
        self.memory.restore(batches.memory);
        self.regions.restore(batches.regions);
        self.workers.restore(batches.workers);
    }
}

impl Batches {
    /// Hands over family by family; what was taken is gone, the rest stays here. Names come before what is named.
    fn write(&mut self, about: &ProfileSession, sink: &dyn ProfileSink) -> Result<()> {
        write(about, sink, &mut self.executables, |events| ProfileRecords::Executables(events))?;
        write(about, sink, &mut self.queue, |events| ProfileRecords::Queue(events))?;
        write(about, sink, &mut self.executions, |events| ProfileRecords::Executions(events))?;
        write(about, sink, &mut self.memory, |events| ProfileRecords::Memory(events))?;
        write(about, sink, &mut self.regions, |events| ProfileRecords::Regions(events))?;
        write(about, sink, &mut self.workers, |events| ProfileRecords::Workers(events))
    }
}

fn write<T>(
    about: &ProfileSession,
    sink: &dyn ProfileSink,
    batch: &mut Batch<T>,
    records: for<'a> fn(&'a [T]) -> ProfileRecords<'a>,
) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    sink.write(about, &ProfileChunk { records: records(&batch.events), dropped: batch.dropped })?;
    *batch = Batch { events: Vec::new(), dropped: 0 };
    Ok(())
}
