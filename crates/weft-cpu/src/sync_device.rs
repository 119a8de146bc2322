//! The local-sync device: one queue, everything on the calling thread, no threads created.
//!
//! Every operation waits for its waits (for ever), does its work and signals before the call returns. A wait for what
//! the same thread would signal later never ends; another thread may signal. Calls from several threads run at the same
//! time: the device itself has no lock.
//!
//! What lives here: assembling the device. The operations are in `queue_ops.rs`, memory in `host_memory.rs`, loading in
//! `loader/`.

use std::sync::Arc;

use weft_hal::profile::{OperationKind, Profiler};
use weft_hal::{
    Alloca, Allocator, AllocatorBackend, AllocatorWrapper, BindingEntry, Buffer, BufferRange,
    CommandBufferMode, CommandBufferParams, CommandRecorder, Device, DeviceBackend, DeviceId, Dispatch,
    ExecutableBackend, ExecutableParams, ExecuteFlags, File, HostCall, Pattern, Recording, Submission,
};
use weft_sync::Result;

use crate::command_buffer::{DeferredRecorder, InlineRecorder, Program};
use crate::host_memory::HostMemory;
use crate::loader::{LoaderOptions, Loaders};
use crate::{profiled, queue_ops};

/// What programs know the device as.
pub const LOCAL_SYNC: &str = "local-sync";

/// How a local-sync device is made. `Default`: all loaders, no wrappers.
pub struct SyncDeviceOptions {
    /// Loaders of executables, in the order in which they are asked.
    pub loaders: Arc<Loaders>,
    /// Wrappers around the allocator, innermost first.
    pub allocator_wrappers: Vec<AllocatorWrapper>,
}

impl Default for SyncDeviceOptions {
    fn default() -> SyncDeviceOptions {
        SyncDeviceOptions {
            loaders: Arc::new(Loaders::new(LoaderOptions::default())),
            allocator_wrappers: Vec::new(),
        }
    }
}

/// The backend of the device.
struct SyncDevice {
    memory: HostMemory,
    loaders: Arc<Loaders>,
    profiler: Arc<Profiler>,
}

/// Makes a local-sync device.
pub fn open_sync_device(options: &SyncDeviceOptions) -> Result<Arc<Device>> {
    let memory = HostMemory::new();
    let mut allocator: Arc<dyn AllocatorBackend> = Arc::new(memory.clone());
    for wrapper in &options.allocator_wrappers {
        allocator = wrapper.apply(allocator)?;
    }
    let profiler = Arc::new(Profiler::new());
    let backend = SyncDevice { memory, loaders: Arc::clone(&options.loaders), profiler };
    let allocator = Allocator::new(DeviceId::unique(), allocator);
    Ok(Device::new(LOCAL_SYNC, allocator, Box::new(backend)))
}

impl SyncDevice {
    /// Does `work`, with records if the device is being profiled.
    #[inline]
    fn watched(
        &self,
        submission: &Submission<'_>,
        operation: OperationKind,
        bytes: u64,
        work: impl FnOnce(&Submission<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.profiler.submitted(submission, operation, 1, bytes) {
            None => work(submission),
            Some(event) => profiled::watch(&self.profiler, submission, event, 0, |at, _| work(at)),
        }
    }
}

impl DeviceBackend for SyncDevice {
    fn profiler(&self) -> Option<&Arc<Profiler>> {
        Some(&self.profiler)
    }

    fn query_i64(&self, category: &str, key: &str) -> Option<i64> {
        match (category, key) {
            ("hal.dispatch", "concurrency") => Some(1),
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
        Ok(Box::new(DeferredRecorder::default()))
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
        match self.profiler.submitted(submission, OperationKind::Alloca, 1, alloca.size) {
            None => submission.run_alloca(allocator, alloca),
            Some(event) => {
                profiled::alloca(&self.profiler, submission, event, &self.memory, (allocator, alloca))
            }
        }
    }

    fn dealloca(&self, submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
        match self.profiler.submitted(submission, OperationKind::Dealloca, 1, buffer.byte_length()) {
            None => queue_ops::dealloca(submission, buffer),
            Some(event) => profiled::dealloca(&self.profiler, submission, event, &self.memory, buffer),
        }
    }

    fn prefault(
        &self,
        submission: &Submission<'_>,
        allocator: &Arc<Allocator>,
        target: BufferRange<'_>,
    ) -> Result<()> {
        self.watched(submission, OperationKind::Barrier, 0, |at| queue_ops::prefault(at, allocator, target))
    }

    fn fill(&self, submission: &Submission<'_>, target: BufferRange<'_>, pattern: Pattern) -> Result<()> {
        self.watched(submission, OperationKind::Fill, target.length, |at| {
            queue_ops::fill(at, target, pattern)
        })
    }

    fn update(&self, submission: &Submission<'_>, source: &[u8], target: BufferRange<'_>) -> Result<()> {
        self.watched(submission, OperationKind::Update, target.length, |at| {
            queue_ops::update(at, source, target)
        })
    }

    fn copy(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        target: BufferRange<'_>,
    ) -> Result<()> {
        self.watched(submission, OperationKind::Copy, target.length, |at| queue_ops::copy(at, source, target))
    }

    fn read(
        &self,
        submission: &Submission<'_>,
        file: &Arc<File>,
        offset: u64,
        target: BufferRange<'_>,
    ) -> Result<()> {
        self.watched(submission, OperationKind::Read, target.length, |at| {
            queue_ops::read(at, file, offset, target)
        })
    }

    fn write(
        &self,
        submission: &Submission<'_>,
        source: BufferRange<'_>,
        file: &Arc<File>,
        offset: u64,
    ) -> Result<()> {
        self.watched(submission, OperationKind::Write, source.length, |at| {
            queue_ops::write(at, source, file, offset)
        })
    }

    fn dispatch(&self, submission: &Submission<'_>, dispatch: &Dispatch<'_>) -> Result<()> {
        match self.profiler.submitted(submission, OperationKind::Dispatch, 1, 0) {
            None => queue_ops::dispatch(submission, &self.memory, dispatch),
            Some(event) => profiled::dispatch(&self.profiler, submission, event, &self.memory, dispatch),
        }
    }

    fn execute(
        &self,
        submission: &Submission<'_>,
        recording: &dyn Recording,
        table: &[BindingEntry<'_>],
        flags: ExecuteFlags,
    ) -> Result<()> {
        // All that is borrowed lives until the call returns, and by then the work is done.
        let _ = flags;
        let program = Program::of(recording)?;
        match self.profiler.submitted(submission, OperationKind::Execute, program.recorded_count, 0) {
            None => queue_ops::execute(submission, &self.memory, program, table),
            Some(event) => {
                profiled::execute(&self.profiler, submission, event, &self.memory, (program, table))
            }
        }
    }

    fn barrier(&self, submission: &Submission<'_>) -> Result<()> {
        self.watched(submission, OperationKind::Barrier, 0, queue_ops::barrier)
    }

    fn host_call(&self, submission: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()> {
        match self.profiler.submitted(submission, OperationKind::HostCall, 1, 0) {
            None => queue_ops::host_call(submission, device, call),
            Some(event) => profiled::host_call(&self.profiler, submission, event, device, call),
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_hal::{AllocaFlags, BufferParams, DeallocaFlags, Region};
    use weft_sync::atomic::Ordering;
    use weft_sync::{CancelToken, Code};

    use super::*;
    use crate::stepwise::{STEP_BYTES, Stepwise};

    const BYTES: u64 = 4 * STEP_BYTES as u64;

    fn device(memory: &Arc<Stepwise>) -> Arc<Device> {
        let loaders = Arc::new(Loaders::new(LoaderOptions::default()));
        let backend =
            SyncDevice { memory: memory.memory.clone(), loaders, profiler: Arc::new(Profiler::new()) };
        let memory = Arc::clone(memory) as Arc<dyn AllocatorBackend>;
        Device::new(LOCAL_SYNC, Allocator::new(DeviceId::unique(), memory), Box::new(backend))
    }

    fn buffer(device: &Device) -> Arc<Buffer> {
        let (at, params) = (Submission::IMMEDIATE, BufferParams::device_local());
        device.queue_alloca(&at, &params, BYTES, AllocaFlags::empty()).unwrap()
    }

    #[test]
    fn fresh_memory_is_made_present_and_no_other() {
        let memory = Arc::new(Stepwise::default());
        let (device, at) = (device(&memory), Submission::IMMEDIATE);
        let steps = || memory.steps.swap(0, Ordering::Relaxed);
        let fresh = buffer(&device);
        device.queue_prefault(&at, &Region::whole(&fresh)).unwrap();
        assert_eq!(steps(), 4);
        let part = fresh.subspan(1 << 20, 3 << 20).unwrap();
        device.queue_prefault(&at, &Region { buffer: &part, offset: 100, length: (1 << 20) + 1 }).unwrap();
        assert_eq!(steps(), 2);
        device.queue_prefault(&at, &Region { buffer: &part, offset: 100, length: 0 }).unwrap();
        device.queue_dealloca(&at, &fresh, DeallocaFlags::empty()).unwrap();
        let late = device.queue_prefault(&at, &Region::whole(&fresh)).unwrap_err();
        assert_eq!(late.code(), Code::FailedPrecondition, "{late}");
        // It comes back.
        let kept = buffer(&device);
        device.queue_prefault(&at, &Region::whole(&kept)).unwrap();
        assert_eq!(steps(), 0);
    }

    #[test]
    fn a_cancel_is_heard_between_steps() {
        let token = CancelToken::new();
        let memory = Arc::new(Stepwise { cancelled_meanwhile: Some(token.clone()), ..Stepwise::default() });
        let device = device(&memory);
        let fresh = buffer(&device);
        let at = Submission::IMMEDIATE.cancelled_by(Some(&token));
        let status = device.queue_prefault(&at, &Region::whole(&fresh)).unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        assert_eq!(memory.steps.load(Ordering::Relaxed), 1);
        assert!(fresh.is_committed());
    }
}
