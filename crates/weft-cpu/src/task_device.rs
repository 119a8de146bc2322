//! The local-task device: queues on the workers of an executor.
//!
//! Submissions return before the work is done, in any order of waits and signals. A thread that waits for the device
//! lends itself: it runs what it submitted, so that a call costs no hand-over (`weft-task`, *guests*).
//!
//! What lives here: assembling the device and what each operation becomes. What does not: queues (`task_queue/`), blocks
//! (`block/`), memory (`host_memory.rs`), loading (`loader/`).

use std::sync::Arc;

use weft_hal::group::DevicePlace;
use weft_hal::profile::{OperationKind, Profiler, RecordingId};
use weft_hal::{
    Alloca, Allocator, AllocatorBackend, AllocatorWrapper, BindingEntry, Buffer, BufferRange,
    CommandBufferMode, CommandBufferParams, CommandRecorder, Device, DeviceBackend, DeviceId, Dispatch,
    ExecutableBackend, ExecutableParams, ExecuteFlags, File, HostCall, Pattern, Place, Prefault, Recording,
    Submission,
};
use weft_sync::{Axis, Deadline, Point, Result, bail};
use weft_task::{Executor, ExecutorOptions};

use crate::block::{BlockBuilder, BlockRecorder, BlockRecording};
use crate::command_buffer::{InlineRecorder, Program};
use crate::host_memory::HostMemory;
use crate::loader::{LoaderOptions, Loaders};
use crate::task_queue::{
    Caller, Job, OwnedRange, PoolRequest, PoolsOfBuffers, Queue, QueueOptions, Record, job,
};

/// What programs know the device as.
pub const LOCAL_TASK: &str = "local-task";

/// Most queues of one device.
pub const TASK_QUEUES_MAX: usize = 16;

/// How a local-task device is made. `Default`: one queue, a worker for each processor that the process may use.
pub struct TaskDeviceOptions {
    /// One executor a queue, 1 to 16 of them. The same one may serve several queues.
    pub executors: Vec<Executor>,
    /// Fills and copies of fewer bytes are done by the thread that finds them ready, larger ones by all workers.
    pub inline_transfer_bytes: u64,
    /// Loaders of executables, in the order in which they are asked.
    pub loaders: Arc<Loaders>,
    /// Wrappers around the allocator, innermost first.
    pub allocator_wrappers: Vec<AllocatorWrapper>,
    /// The place in a group that it is opened for; `None`: it is alone.
    pub place: Option<DevicePlace>,
}

impl TaskDeviceOptions {
    /// One queue on a new executor with so many workers, pinned nowhere. At least one worker.
    pub fn with_workers(workers: usize) -> Result<TaskDeviceOptions> {
        let options = ExecutorOptions { workers, ..ExecutorOptions::default() };
        Ok(TaskDeviceOptions::on(vec![Executor::new(&options)?]))
    }

    /// A queue on each of these executors.
    pub fn on(executors: Vec<Executor>) -> TaskDeviceOptions {
        TaskDeviceOptions {
            executors,
            inline_transfer_bytes: 256 * 1024,
            loaders: Arc::new(Loaders::new(LoaderOptions::default())),
            allocator_wrappers: Vec::new(),
            place: None,
        }
    }
}

/// The backend of the device.
struct TaskDevice {
    queues: Vec<Arc<Queue>>,
    place: DevicePlace,
    inline_transfer_bytes: u64,
    memory: HostMemory,
    loaders: Arc<Loaders>,
    profiler: Arc<Profiler>,
}

/// Makes a local-task device. INVALID_ARGUMENT without executors or with more than 16, ALREADY_EXISTS if another one was
/// opened for the same place.
pub fn open_task_device(options: &TaskDeviceOptions) -> Result<Arc<Device>> {
    let (backend, memory) = assemble(options)?;
    Ok(Device::new(LOCAL_TASK, Allocator::new(DeviceId::unique(), memory), backend))
}

/// The backend of a device, and its memory.
pub(crate) fn assemble(
    options: &TaskDeviceOptions,
) -> Result<(Box<dyn DeviceBackend>, Arc<dyn AllocatorBackend>)> {
    let count = options.executors.len();
    if count == 0 || count > TASK_QUEUES_MAX {
        bail!(InvalidArgument, "a device has 1 to {TASK_QUEUES_MAX} queues, not {count}");
    }
    let memory = HostMemory::new();
    let mut allocator: Arc<dyn AllocatorBackend> = Arc::new(memory.clone());
    for wrapper in &options.allocator_wrappers {
        allocator = wrapper.apply(allocator)?;
    }
    let profiler = Arc::new(Profiler::new());
    let place = match &options.place {
        Some(place) => place.clone(),
        None => DevicePlace::alone(count as u32)?,
    };
    let origins = Arc::new(PoolsOfBuffers::default());
    let queue = |(index, executor): (usize, &Executor)| {
        let axis = place.queue_axis(index as u8);
        place.tracker().register(axis, None)?;
        Ok(Queue::new(QueueOptions {
            executor: executor.clone(),
            axis,
            memory: memory.clone(),
            profiler: Arc::clone(&profiler),
            tracker: Arc::clone(place.tracker()),
            parked: Arc::clone(place.parked_pools()),
            origins: Arc::clone(&origins),
        }))
    };
    let queues = options.executors.iter().enumerate().map(queue).collect::<Result<_>>()?;
    let backend = TaskDevice {
        queues,
        place,
        inline_transfer_bytes: options.inline_transfer_bytes,
        memory,
        loaders: Arc::clone(&options.loaders),
        profiler,
    };
    Ok((Box::new(backend), allocator))
}

impl TaskDevice {
    /// The queue that the front chose: one bit.
    #[inline]
    fn queue(&self, submission: &Submission<'_>) -> &Queue {
        &self.queues[submission.affinity.0.trailing_zeros() as usize % self.queues.len()]
    }

    /// What is kept of a submission if the device is being profiled.
    #[inline]
    fn record(
        &self,
        submission: &Submission<'_>,
        operation: OperationKind,
        bytes: u64,
    ) -> Option<Box<Record>> {
        self.profiler.submitted(submission, operation, 1, bytes).map(|event| Record::new(*event))
    }

    /// The same for recordings of the program's.
    #[inline]
    fn record_of(&self, submission: &Submission<'_>, commands: u32, id: &RecordingId) -> Option<Box<Record>> {
        let event = self.profiler.submitted(submission, OperationKind::Execute, commands, 0)?;
        let mut record = Record::new(*event);
        record.executes(id.get());
        Some(record)
    }

    /// An operation as a recording for this submission.
    fn submit_recorded(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        commands: impl FnOnce(&mut BlockBuilder) -> Result<()>,
    ) -> Result<()> {
        let queue = self.queue(submission);
        queue.submit_recording(submission, record, queue.record_once(commands)?, &[])
    }
}

impl DeviceBackend for TaskDevice {
    fn profiler(&self) -> Option<&Arc<Profiler>> {
        Some(&self.profiler)
    }

    fn queue_count(&self) -> u32 {
        self.queues.len() as u32
    }

    fn queue_axis(&self, queue: u32) -> Option<(Axis, u64)> {
        self.queues.get(queue as usize).map(|queue| (queue.axis(), queue.completed()))
    }

    fn place(&self) -> Option<&DevicePlace> {
        Some(&self.place)
    }

    fn query_i64(&self, category: &str, key: &str) -> Option<i64> {
        match (category, key) {
            ("hal.dispatch", "concurrency") => Some(self.queues[0].executor.worker_count() as i64),
            ("hal.cpu", key) => self.loaders.processor_feature(key).map(i64::from),
            _ => None,
        }
    }

    fn supports_format(&self, format: &str) -> bool {
        self.loaders.supports(format)
    }

    fn prepare_executable(&self, params: &ExecutableParams<'_>) -> Result<Box<dyn ExecutableBackend>> {
        Ok(Box::new(self.loaders.load(params)?))
    }

    fn create_recorder(&self, params: &CommandBufferParams) -> Result<Box<dyn CommandRecorder>> {
        if params.mode.contains(CommandBufferMode::ALLOW_INLINE_EXECUTION) {
            let profiler = self.profiler.is_active().then(|| Arc::clone(&self.profiler));
            return Ok(Box::new(InlineRecorder::new(self.memory.clone(), profiler)));
        }
        Ok(Box::new(BlockRecorder::new()))
    }

    fn trim(&self) {
        self.memory.trim();
    }

    fn alloca(
        &self,
        submission: &Submission<'_>,
        allocator: &Arc<Allocator>,
        alloca: &Alloca<'_>,
    ) -> Result<Arc<Buffer>> {
        let buffer = Buffer::transient(alloca.metadata, alloca.size, None);
        let record = self.record(submission, OperationKind::Alloca, alloca.size);
        let queue = self.queue(submission);
        if let Some(pool) = alloca.pool {
            let request = PoolRequest::new(&buffer, pool, alloca);
            queue.submit_pool_request(submission, record, request)?;
            return Ok(buffer);
        }
        queue.submit_short(
            submission,
            record,
            |record| queue.commit(&buffer, allocator, &alloca.params, alloca.size, record),
            |_| {
                let request = job::Request::new(&buffer, allocator, alloca);
                Ok(Job::Alloca(request))
            },
        )?;
        Ok(buffer)
    }

    fn dealloca(&self, submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
        let record = self.record(submission, OperationKind::Dealloca, buffer.byte_length());
        let queue = self.queue(submission);
        queue.submit_dealloca(submission, record, buffer)
    }

    fn prefault(
        &self,
        submission: &Submission<'_>,
        allocator: &Arc<Allocator>,
        target: BufferRange<'_>,
    ) -> Result<()> {
        let record = self.record(submission, OperationKind::Barrier, 0);
        let job = Job::Prefault(Prefault::new(&target), Arc::clone(allocator));
        self.queue(submission).submit_job(submission, record, job)
    }

    fn fill(&self, submission: &Submission<'_>, target: BufferRange<'_>, pattern: Pattern) -> Result<()> {
        let record = self.record(submission, OperationKind::Fill, target.length);
        if target.length > self.inline_transfer_bytes {
            return self.submit_recorded(submission, record, |to| to.fill(&Place::Direct(target), pattern));
        }
        let now = |_: Option<&Record>| job::fill(&target, pattern);
        let later = |_: &mut _| Ok(Job::Fill(OwnedRange::new(&target), pattern));
        self.queue(submission).submit_short(submission, record, now, later)
    }

    fn update(&self, submission: &Submission<'_>, source: &[u8], target: BufferRange<'_>) -> Result<()> {
        let record = self.record(submission, OperationKind::Update, target.length);
        let now = |_: Option<&Record>| job::update(source, &target);
        let later = |room: &mut _| Ok(Job::update(room, source, OwnedRange::new(&target)));
        self.queue(submission).submit_short(submission, record, now, later)
    }

    fn copy(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        target: BufferRange<'_>,
    ) -> Result<()> {
        let record = self.record(submission, OperationKind::Copy, source.length);
        if source.length > self.inline_transfer_bytes {
            let (source, target) = (Place::Direct(source), Place::Direct(target));
            return self.submit_recorded(submission, record, |to| to.copy(&source, &target));
        }
        let now = |_: Option<&Record>| job::copy(&source, &target);
        let later = |_: &mut _| Ok(Job::Copy(OwnedRange::new(&source), OwnedRange::new(&target)));
        self.queue(submission).submit_short(submission, record, now, later)
    }

    fn read(
        &self,
        submission: &Submission<'_>,
        file: &Arc<File>,
        offset: u64,
        target: BufferRange<'_>,
    ) -> Result<()> {
        let record = self.record(submission, OperationKind::Read, target.length);
        let job = Job::Read(Arc::clone(file), offset, OwnedRange::new(&target));
        self.queue(submission).submit_job(submission, record, job)
    }

    fn write(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        file: &Arc<File>,
        offset: u64,
    ) -> Result<()> {
        let record = self.record(submission, OperationKind::Write, source.length);
        let job = Job::Write(OwnedRange::new(&source), Arc::clone(file), offset);
        self.queue(submission).submit_job(submission, record, job)
    }

    fn dispatch(&self, submission: &Submission<'_>, dispatch: &Dispatch<'_>) -> Result<()> {
        let record = self.record(submission, OperationKind::Dispatch, 0);
        // Recording finds errors in the arguments, which leave the signals untouched.
        self.submit_recorded(submission, record, |to| to.dispatch(dispatch))
    }

    fn execute(
        &self,
        submission: &Submission<'_>,
        recording: &dyn Recording,
        table: &[BindingEntry<'_>],
        flags: ExecuteFlags,
    ) -> Result<()> {
        // A table that the caller promises to keep is retained all the same: a broken promise must not be a broken
        // program.
        let _ = flags;
        let any: &dyn std::any::Any = recording;
        if let Some(program) = any.downcast_ref::<Program>() {
            // It ran while it was recorded.
            let record = self.record_of(submission, program.recorded_count, &program.id);
            return self.queue(submission).submit_short(submission, record, |_| Ok(()), |_| Ok(Job::Barrier));
        }
        let Some(BlockRecording(blocks)) = any.downcast_ref::<BlockRecording>() else {
            bail!(InvalidArgument, "the command buffer was recorded for another kind of device");
        };
        let record = self.record_of(submission, blocks.recorded_count, &blocks.id);
        self.queue(submission).submit_recording(submission, record, Arc::clone(blocks), table)
    }

    fn barrier(&self, submission: &Submission<'_>) -> Result<()> {
        let record = self.record(submission, OperationKind::Barrier, 0);
        self.queue(submission).submit_short(submission, record, |_| Ok(()), |_| Ok(Job::Barrier))
    }

    fn host_call(&self, submission: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()> {
        let record = self.record(submission, OperationKind::HostCall, 0);
        let job = Job::HostCall(call, Caller { device, affinity: submission.affinity });
        self.queue(submission).submit_job(submission, record, job)
    }

    fn wait_all(&self, points: &[Point], deadline: Deadline) -> Result<()> {
        // A thread that lends itself may be kept by a kernel for as long as that takes; one with a deadline cannot.
        match deadline.remaining() {
            None => self.queues[0].executor.wait_all(points, deadline),
            Some(_) => {
                self.flush();
                weft_sync::wait_all(points, deadline)
            }
        }
    }

    fn lending(&self, body: &mut dyn FnMut()) {
        self.queues[0].executor.lending(body);
    }

    fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        self.queues.iter().try_for_each(|queue| queue.wait_idle(deadline))
    }

    fn flush(&self) {
        for queue in &self.queues {
            queue.executor.begin_left_work();
        }
    }
}

impl Drop for TaskDevice {
    fn drop(&mut self) {
        // All of them before anybody waits: operations of one may wait for another.
        for queue in &self.queues {
            queue.close();
        }
    }
}
