//! Devices: the front that validates, and the contract of what is behind it.
//!
//! [`Device`] checks every argument (`validate.rs`, `command/`) and hands normalised operations to its
//! [`DeviceBackend`]. Which backend it is was decided at creation; nothing here depends on it.

use std::sync::{Arc, Weak};

use weft_sync::atomic::Mutex;
use weft_sync::{Axis, CancelToken, CancelWork, Deadline, Point, Result, bail, wait_all, wait_any};

use crate::allocator::Allocator;
use crate::buffer::{Buffer, BufferMetadata, BufferRange, DeviceId, Overlap};
use crate::command::{
    BindingEntry, CommandBuffer, CommandBufferParams, CommandRecorder, Dispatch, Recording, Region, Use,
    WorkgroupCount,
};
use crate::event::{Channel, Event};
use crate::executable::{Executable, ExecutableBackend, ExecutableParams};
use crate::file::File;
use crate::group::{DevicePlace, Membership};
use crate::memory::{BufferParams, MemoryAccess, PlacementFlags, QueueAffinity, WHOLE_BUFFER};
use crate::pool::Pool;
use crate::profile::{ProfileOptions, Profiler};
use crate::queue::{Alloca, AllocaFlags, DeallocaFlags, ExecuteFlags, HostCall, Submission};
use crate::validate::{self, Pattern};

/// What a device provides. Arguments were validated; affinities have exactly one bit of an existing queue.
///
/// * Every operation waits, works, signals as `queue.rs` says; failures of work go to the signals.
/// * A device that works inside the call also returns them.
/// * A cancelled submission ends as rule 6 there says; while anything of it is left it is counted (`CancelToken::work`).
/// * Submitted work does not depend on the caller's memory after return; buffers and executables are retained.
pub trait DeviceBackend: Send + Sync + 'static {
    /// Number of queues, at least 1.
    fn queue_count(&self) -> u32 {
        1
    }

    /// Takes the device's profiling records. `None` on devices that make none.
    fn profiler(&self) -> Option<&Arc<Profiler>> {
        None
    }

    /// The timeline of a queue, and how many epochs of it are completed. `None` for devices without timelines.
    fn queue_axis(&self, queue: u32) -> Option<(Axis, u64)> {
        let _ = queue;
        None
    }

    /// Where the device stands: by this its queues name their timelines. `None` for devices without timelines, which may
    /// join a group anywhere.
    fn place(&self) -> Option<&DevicePlace> {
        None
    }

    /// Answers to `hal.dispatch`, `hal.cpu` and whatever else the front does not know. `None`: unknown.
    fn query_i64(&self, category: &str, key: &str) -> Option<i64>;

    /// Some loader recognises the format.
    fn supports_format(&self, format: &str) -> bool;

    /// Loads an executable.
    fn prepare_executable(&self, params: &ExecutableParams<'_>) -> Result<Box<dyn ExecutableBackend>>;

    /// A recorder for a new command buffer.
    fn create_recorder(&self, params: &CommandBufferParams) -> Result<Box<dyn CommandRecorder>>;

    /// Gives back what is only kept for later.
    fn trim(&self);

    /// Makes a transient buffer and sees to it that it is committed, with memory of the pool if one is named, else from
    /// `allocator` or pools of the device, before the signals are reached.
    fn alloca(
        &self,
        at: &Submission<'_>,
        allocator: &Arc<Allocator>,
        alloca: &Alloca<'_>,
    ) -> Result<Arc<Buffer>>;

    /// Decommits a transient buffer, whose deallocation was claimed; withdraws the claim if that fails.
    fn dealloca(&self, submission: &Submission<'_>, buffer: &Buffer) -> Result<()>;

    /// Makes the memory of a range present that is about to be written, with steps of `allocator`. A hint.
    fn prefault(
        &self,
        submission: &Submission<'_>,
        allocator: &Arc<Allocator>,
        target: BufferRange<'_>,
    ) -> Result<()> {
        let _ = (allocator, target);
        self.barrier(submission)
    }

    /// Repeats a pattern.
    fn fill(&self, submission: &Submission<'_>, target: BufferRange<'_>, pattern: Pattern) -> Result<()>;

    /// Writes bytes, which are captured before the call returns.
    fn update(&self, submission: &Submission<'_>, source: &[u8], target: BufferRange<'_>) -> Result<()>;

    /// Copies between disjoint ranges of equal length.
    fn copy(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        target: BufferRange<'_>,
    ) -> Result<()>;

    /// Reads from a file that is not memory.
    fn read(
        &self,
        submission: &Submission<'_>,
        file: &Arc<File>,
        offset: u64,
        target: BufferRange<'_>,
    ) -> Result<()>;

    /// Writes to a file that is not memory.
    fn write(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        file: &Arc<File>,
        offset: u64,
    ) -> Result<()>;

    /// Runs workgroups of a kernel. All bindings are direct. Counts of 0 never get here.
    fn dispatch(&self, submission: &Submission<'_>, dispatch: &Dispatch<'_>) -> Result<()>;

    /// Runs a recording that this device made, with a table that fits it.
    fn execute(
        &self,
        submission: &Submission<'_>,
        recording: &dyn Recording,
        table: &[BindingEntry<'_>],
        flags: ExecuteFlags,
    ) -> Result<()>;

    /// Waits and signals.
    fn barrier(&self, submission: &Submission<'_>) -> Result<()>;

    /// Calls a host function.
    fn host_call(&self, submission: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()>;

    /// Blocks until all points are reached. A device whose work other threads do may let this one help.
    fn wait_all(&self, points: &[Point], deadline: Deadline) -> Result<()> {
        wait_all(points, deadline)
    }

    /// Runs `body`, which submits work and then waits for it by [`DeviceBackend::wait_all`]: what it submits may be
    /// left to that wait.
    fn lending(&self, body: &mut dyn FnMut()) {
        body();
    }

    /// Sees to it that what was left to a wait is begun without it.
    fn flush(&self) {}

    /// Waits until nothing that was submitted is in flight, and nothing of it holds memory.
    fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        let _ = deadline;
        Ok(())
    }
}

/// A device: queues, memory, executables.
pub struct Device {
    id: DeviceId,
    identifier: String,
    allocator: Arc<Allocator>,
    backend: Box<dyn DeviceBackend>,
    /// The group that it is in, while some group holds it there.
    pub(crate) membership: Mutex<Weak<Membership>>,
}

/// Creation and questions.
impl Device {
    /// A device over a backend. `identifier` is what programs match patterns against, such as `local-sync`.
    pub fn new(identifier: &str, allocator: Allocator, backend: Box<dyn DeviceBackend>) -> Arc<Device> {
        Arc::new(Device {
            id: allocator.device(),
            identifier: identifier.to_owned(),
            allocator: Arc::new(allocator),
            backend,
            membership: Mutex::new(Weak::new()),
        })
    }

    /// Tells it apart from the other devices of this process.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// Its kind, such as `local-sync`.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Where its buffers come from.
    pub fn allocator(&self) -> &Arc<Allocator> {
        &self.allocator
    }

    /// Number of queues.
    pub fn queue_count(&self) -> u32 {
        self.backend.queue_count()
    }

    /// The timeline of a queue, and how many of its epochs are completed: operations that succeeded, in the order in which
    /// they ended. `None` for devices whose queues have none.
    pub fn queue_axis(&self, queue: u32) -> Option<(Axis, u64)> {
        self.backend.queue_axis(queue)
    }

    /// Where the device stands: by this its queues name their timelines. `None` for devices whose queues have none.
    pub fn place(&self) -> Option<&DevicePlace> {
        self.backend.place()
    }

    /// Answers a query; `None` if nobody knows the category or key.
    pub fn query_i64(&self, category: &str, key: &str) -> Option<i64> {
        match (category, key) {
            ("hal.device.id", pattern) => Some(i64::from(matches_pattern(pattern, &self.identifier))),
            ("hal.executable.format", format) => Some(i64::from(self.backend.supports_format(format))),
            ("hal.device", "concurrency") => Some(i64::from(self.backend.queue_count())),
            _ => self.backend.query_i64(category, key),
        }
    }

    /// Gives back what is only kept for later: cached memory, idle blocks.
    pub fn trim(&self) {
        self.backend.trim();
        self.allocator.trim();
    }

    /// Loads an executable. NOT_FOUND if no loader knows the format.
    pub fn prepare_executable(&self, params: &ExecutableParams<'_>) -> Result<Arc<Executable>> {
        if !self.backend.supports_format(params.format) {
            bail!(NotFound, "no loader for executable format `{}` on {}", params.format, self.identifier);
        }
        let executable = self.backend.prepare_executable(params).map(Executable::new)?;
        if let Some(profiler) = self.backend.profiler() {
            profiler.record_executable(&executable);
        }
        Ok(executable)
    }

    /// Some loader knows the format.
    pub fn can_prepare(&self, format: &str) -> bool {
        self.backend.supports_format(format)
    }

    /// A new command buffer. Call `begin` on it to record.
    pub fn create_command_buffer(&self, params: CommandBufferParams) -> Result<Arc<CommandBuffer>> {
        CommandBuffer::check_params(&params)?;
        self.select(params.affinity)?;
        let recorder = self.backend.create_recorder(&params)?;
        Ok(Arc::new(CommandBuffer::new(params, recorder)))
    }

    /// A new event.
    pub fn create_event(&self) -> Arc<Event> {
        Arc::new(Event::default())
    }

    /// Collectives are not implemented.
    pub fn create_channel(&self) -> Result<Arc<Channel>> {
        bail!(Unimplemented, "collectives not implemented");
    }

    /// Waits for all of the points.
    pub fn wait_all(&self, points: &[Point], deadline: Deadline) -> Result<()> {
        self.backend.wait_all(points, deadline)
    }

    /// Runs `body` on a thread that submits work to this device and then waits for it by [`Device::wait_all`]. The
    /// device may leave to that wait what it would otherwise wake another thread for. Without such a wait the work
    /// begins when `body` returns, or at [`Device::queue_flush`].
    pub fn lending<R>(&self, body: impl FnOnce() -> R) -> R {
        let (mut body, mut result) = (Some(body), None);
        self.backend.lending(&mut || {
            if let Some(body) = body.take() {
                result = Some(body());
            }
        });
        result.expect("a device runs the body once")
    }

    /// Waits until nothing that was submitted is in flight any more, and nothing of it holds memory: signals may come a
    /// moment before that. DEADLINE_EXCEEDED if it takes longer. For statistics and orderly ends; nobody else has to.
    pub fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        self.backend.wait_idle(deadline)
    }

    /// Waits for any of the points; no points are reached already.
    pub fn wait_any(&self, points: &[Point], deadline: Deadline) -> Result<()> {
        if points.is_empty() { Ok(()) } else { wait_any(points, deadline).map(drop) }
    }

    /// What takes the device's records, for those who add some: executors' observers, say. `None` if it makes none.
    pub fn profiler(&self) -> Option<&Arc<Profiler>> {
        self.backend.profiler()
    }

    /// Begins a profiling session; see [`crate::profile`]. FAILED_PRECONDITION if there is one; nothing happens if the
    /// options ask for nothing.
    pub fn profiling_begin(&self, options: &ProfileOptions) -> Result<()> {
        match self.backend.profiler() {
            Some(profiler) => profiler.begin(self.id, &self.identifier, self.queue_count(), options),
            None => bail!(Unimplemented, "{} cannot be profiled", self.identifier),
        }
    }

    /// Hands what was recorded so far to the sink of the session, if there is one.
    pub fn profiling_flush(&self) -> Result<()> {
        self.backend.profiler().map_or(Ok(()), |profiler| profiler.flush())
    }

    /// Hands over the rest and ends the session, if there is one. It ends even if the sink fails.
    pub fn profiling_end(&self) -> Result<()> {
        self.backend.profiler().map_or(Ok(()), |profiler| profiler.end())
    }

    fn select(&self, affinity: QueueAffinity) -> Result<QueueAffinity> {
        affinity.select(self.backend.queue_count()).map(QueueAffinity::queue)
    }

    /// The submission with its queue chosen, and what counts the call itself among the work of its token: whoever waits for
    /// that waits for work that the call does on this thread, too.
    #[inline]
    fn chosen<'a>(&self, submission: &Submission<'a>) -> Result<(Submission<'a>, Option<CancelWork>)> {
        let work = submission.cancel.map(CancelToken::work);
        Ok((submission.on(self.select(submission.affinity)?), work))
    }
}

/// Queue operations. Errors in the arguments are returned and leave the signals untouched; see `queue.rs`.
impl Device {
    /// A buffer whose memory exists once the signals are reached. Metadata is final now.
    pub fn queue_alloca(
        &self,
        submission: &Submission<'_>,
        params: &BufferParams,
        size: u64,
        flags: AllocaFlags,
    ) -> Result<Arc<Buffer>> {
        self.queue_alloca_from(submission, None, params, size, flags)
    }

    /// The same with memory of `pool`. INVALID_ARGUMENT if that has no memory of such parameters, OUT_OF_RANGE if it has
    /// not so much in one piece.
    pub fn queue_alloca_from(
        &self,
        submission: &Submission<'_>,
        pool: Option<&Arc<Pool>>,
        params: &BufferParams,
        size: u64,
        flags: AllocaFlags,
    ) -> Result<Arc<Buffer>> {
        self.alloca(submission, pool, params, size, flags)
    }

    fn alloca(
        &self,
        submission: &Submission<'_>,
        pool: Option<&Arc<Pool>>,
        params: &BufferParams,
        size: u64,
        flags: AllocaFlags,
    ) -> Result<Arc<Buffer>> {
        let known = AllocaFlags::INDETERMINATE_LIFETIME | AllocaFlags::ALLOW_POOL_WAIT_FRONTIER;
        if !known.contains(flags) {
            bail!(InvalidArgument, "unknown alloca flags {}", flags.difference(known));
        }
        let (submission, _work) = self.chosen(submission)?;
        let params = self.allocator.adjusted(params)?;
        if let Some(pool) = pool {
            validate::pool_request(pool.capabilities(), &params, size)?;
        }
        let mut metadata = BufferMetadata::new(&params, self.id);
        metadata.placement.affinity = submission.affinity;
        if flags.contains(AllocaFlags::INDETERMINATE_LIFETIME) {
            metadata.placement.flags |= PlacementFlags::INDETERMINATE_LIFETIME;
        }
        let alloca = Alloca { pool, flags, params, metadata, size };
        self.backend.alloca(&submission, &self.allocator, &alloca)
    }

    /// Takes the memory of a queue-allocated buffer away. Any other buffer makes this a barrier; a second deallocation
    /// is INVALID_ARGUMENT.
    pub fn queue_dealloca(
        &self,
        submission: &Submission<'_>,
        buffer: &Buffer,
        flags: DeallocaFlags,
    ) -> Result<()> {
        let placement = buffer.placement();
        let origin = flags.contains(DeallocaFlags::PREFER_ORIGIN) && placement.device == self.id;
        let submission = if origin { submission.on(placement.affinity) } else { *submission };
        let (submission, _work) = self.chosen(&submission)?;
        if !buffer.is_transient() || placement.flags.contains(PlacementFlags::INDETERMINATE_LIFETIME) {
            return self.backend.barrier(&submission);
        }
        let buffer = buffer.allocated_buffer();
        if !buffer.claim_dealloca() {
            bail!(InvalidArgument, "the buffer was deallocated before");
        }
        self.backend.dealloca(&submission, buffer)
    }

    /// Makes the memory of a range present. Whoever is about to have it written by a transfer of a file, or by the host, says
    /// so: that is quicker than when whoever writes first has to, and goes on beside transfers into what is there already.
    /// The bytes stay what they are. A barrier, as which profiles show it, where nothing is to be gained: for length 0, for
    /// memory that others had before this buffer, on devices and systems that cannot. Elsewhere FAILED_PRECONDITION, through
    /// the signals, if the buffer has no memory when its turn comes.
    pub fn queue_prefault(&self, submission: &Submission<'_>, target: &Region<'_>) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        let range = target.check()?;
        if range.length == 0 {
            return self.backend.barrier(&submission);
        }
        self.backend.prefault(&submission, &self.allocator, range)
    }

    /// Repeats a pattern of 1, 2 or 4 bytes, the low bytes of `bits`. Length 0 is a barrier.
    pub fn queue_fill(
        &self,
        submission: &Submission<'_>,
        target: &Region<'_>,
        bits: u64,
        pattern_length: u64,
    ) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        let pattern = Pattern::new(bits, pattern_length)?;
        if target.length == 0 {
            return self.backend.barrier(&submission);
        }
        Use::TRANSFER_TARGET.check(target.buffer)?;
        pattern.check_range(target.offset, target.length)?;
        let range = target.check()?;
        pattern.check_range(0, range.length)?;
        self.backend.fill(&submission, range, pattern)
    }

    /// Writes bytes, any number of them, which are captured now. Length 0 is a barrier.
    pub fn queue_update(
        &self,
        submission: &Submission<'_>,
        source: &[u8],
        target: &Buffer,
        target_offset: u64,
    ) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        if source.is_empty() {
            return self.backend.barrier(&submission);
        }
        Use::TRANSFER_TARGET.check(target)?;
        let range = target.normalize(target_offset, source.len() as u64)?;
        self.backend.update(&submission, source, range)
    }

    /// Copies. Lengths are equal, or the target's is `WHOLE_BUFFER` for "as many as the source". Length 0 is a barrier.
    pub fn queue_copy(
        &self,
        submission: &Submission<'_>,
        source: &Region<'_>,
        target: &Region<'_>,
    ) -> Result<()> {
        if source.length != target.length && target.length != WHOLE_BUFFER {
            bail!(InvalidArgument, "copy of {} bytes into a range of {}", source.length, target.length);
        }
        let (submission, _work) = self.chosen(submission)?;
        if source.length == 0 {
            return self.backend.barrier(&submission);
        }
        Use::TRANSFER_SOURCE.check(source.buffer)?;
        Use::TRANSFER_TARGET.check(target.buffer)?;
        self.copy_checked(&submission, source.check()?, target.buffer, target.offset)
    }

    /// Reads from a file. Length 0 is a barrier.
    pub fn queue_read(
        &self,
        submission: &Submission<'_>,
        file: &Arc<File>,
        file_offset: u64,
        target: &Region<'_>,
    ) -> Result<()> {
        file.check_access(MemoryAccess::READ)?;
        let (submission, _work) = self.chosen(submission)?;
        if target.length == 0 {
            return self.backend.barrier(&submission);
        }
        Use::TRANSFER_TARGET.check(target.buffer)?;
        let range = target.check()?;
        file.check_read(file_offset, range.length)?;
        match file.storage() {
            Some(storage) => {
                let source = storage.normalize(file_offset, range.length)?;
                self.copy_checked(&submission, source, target.buffer, target.offset)
            }
            None => self.backend.read(&submission, file, file_offset, range),
        }
    }

    /// Writes to a file, which grows if need be. Length 0 is a barrier.
    pub fn queue_write(
        &self,
        submission: &Submission<'_>,
        source: &Region<'_>,
        file: &Arc<File>,
        file_offset: u64,
    ) -> Result<()> {
        file.check_access(MemoryAccess::WRITE)?;
        let (submission, _work) = self.chosen(submission)?;
        if source.length == 0 {
            return self.backend.barrier(&submission);
        }
        Use::TRANSFER_SOURCE.check(source.buffer)?;
        let range = source.check()?;
        file.check_write(file_offset, range.length)?;
        match file.storage() {
            Some(storage) => self.copy_checked(&submission, range, storage, file_offset),
            None => self.backend.write(&submission, range, file, file_offset),
        }
    }

    fn copy_checked(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        target: &Buffer,
        target_offset: u64,
    ) -> Result<()> {
        let target = target.normalize(target_offset, source.length)?;
        if source.overlap(&target) != Overlap::Disjoint {
            bail!(InvalidArgument, "copy of {} bytes overlaps its source", source.length);
        }
        self.backend.copy(submission, source, target)
    }

    /// Runs workgroups of one kernel without a command buffer. A binding without buffer is FAILED_PRECONDITION.
    pub fn queue_dispatch(&self, submission: &Submission<'_>, dispatch: &Dispatch<'_>) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        let function = validate::dispatch(dispatch)?;
        for (index, (operand, need)) in validate::binding_uses(function, dispatch).enumerate() {
            let Some(buffer) = operand.buffer else {
                bail!(FailedPrecondition, "binding {index} of `{}` has no buffer", function.name);
            };
            need.check(buffer)?;
            operand.place()?;
        }
        if let Some(source) = dispatch.workgroup_count.source() {
            validate::indirect_counts(source)?;
            let Some(buffer) = source.buffer else {
                bail!(InvalidArgument, "indirect workgroup counts of `{}` have no buffer", function.name);
            };
            Use::WORKGROUP_COUNTS.check(buffer)?;
            buffer.normalize(source.offset, validate::INDIRECT_COUNT_BYTES)?;
        }
        match dispatch.workgroup_count {
            WorkgroupCount::Direct(count) if count.contains(&0) => self.backend.barrier(&submission),
            _ => self.backend.dispatch(&submission, dispatch),
        }
    }

    /// Runs a finished command buffer, with a table if it refers to slots. None is a barrier.
    pub fn queue_execute(
        &self,
        submission: &Submission<'_>,
        commands: Option<&CommandBuffer>,
        table: Option<&[BindingEntry<'_>]>,
        flags: ExecuteFlags,
    ) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        let Some(commands) = commands else {
            return self.backend.barrier(&submission);
        };
        let (recording, table) = commands.check_submission(table, !submission.wait.is_empty())?;
        self.backend.execute(&submission, recording, table, flags)
    }

    /// Waits, then signals.
    pub fn queue_barrier(&self, submission: &Submission<'_>) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        self.backend.barrier(&submission)
    }

    /// Calls a host function in queue order.
    pub fn queue_host_call(&self, submission: &Submission<'_>, call: HostCall) -> Result<()> {
        let (submission, _work) = self.chosen(submission)?;
        self.backend.host_call(&submission, self.id, call)
    }

    /// Work starts when it is submitted, but for what [`Device::lending`] left to a wait: that begins now.
    pub fn queue_flush(&self, affinity: QueueAffinity) -> Result<()> {
        self.select(affinity)?;
        self.backend.flush();
        Ok(())
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("id", &self.id).field("identifier", &self.identifier).finish()
    }
}

/// `*` matches any run of characters, `?` any one.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to resume if the text after the last `*` does not fit: that `*`, and one more byte swallowed by it.
    let mut resume = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                resume = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match resume {
                Some((star, from)) => {
                    resume = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}
