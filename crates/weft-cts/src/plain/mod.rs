//! The plain device: the simplest one that answers later.
//!
//! Each queue has one thread, which does what the inline device would do, when the waits are reached. It is here so that
//! the cases for such devices run on something that is easy to believe, and so that a case that fails on another device
//! can be told from a case that is wrong.

mod queue;
mod recording;

use std::any::Any;
use std::sync::Arc;

use weft_cpu::loader::Loaders;
use weft_cpu::{SyncDeviceOptions, open_sync_device};
use weft_hal::{
    Alloca, Allocator, AllocatorWrapper, BindingEntry, Buffer, BufferRange, CommandBufferMode,
    CommandBufferParams, CommandCategory, CommandRecorder, Device, DeviceBackend, DeviceId, Dispatch,
    ExecutableBackend, ExecutableParams, ExecuteFlags, File, HostCall, HostCallContext, HostCallEnd,
    HostCallFlags, Pattern, QueueAffinity, Recording, Region, Submission, signal_all,
};
use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Machine, Result, WhileDoing, bail};

use queue::Queue;
use recording::Recorded;

/// What programs would know the device as.
const PLAIN: &str = "plain-threads";

struct Plain {
    /// Does the work. It has no state but its memory, which is this device's too.
    inner: Arc<Device>,
    loaders: Arc<Loaders>,
    queues: Vec<Queue>,
}

/// Makes a plain device with so many queues.
pub fn open_plain_device(
    queue_count: u8,
    loaders: Arc<Loaders>,
    allocator_wrappers: Vec<AllocatorWrapper>,
) -> Result<Arc<Device>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let options = SyncDeviceOptions { loaders: Arc::clone(&loaders), allocator_wrappers };
    let inner = open_sync_device(&options)?;
    // So many at the same time are never open in one process.
    let number = NEXT.fetch_add(1, Ordering::Relaxed) as u8;
    let queues = (0..queue_count).map(|index| Queue::start(Machine::LOCAL.queue(number, index))).collect();
    let allocator = Allocator::new(DeviceId::unique(), Arc::clone(inner.allocator().backend()));
    Ok(Device::new(PLAIN, allocator, Box::new(Plain { inner, loaders, queues })))
}

/// A range that outlives the call.
struct Kept {
    buffer: Arc<Buffer>,
    offset: u64,
    length: u64,
}

impl Kept {
    fn new(range: &BufferRange<'_>) -> Kept {
        Kept { buffer: range.buffer.retain(), offset: range.offset, length: range.length }
    }

    fn region(&self) -> Region<'_> {
        Region { buffer: &self.buffer, offset: self.offset, length: self.length }
    }
}

const NOW: Submission<'static> = Submission::IMMEDIATE;

impl Plain {
    fn queue(&self, affinity: QueueAffinity) -> &Queue {
        &self.queues[affinity.0.trailing_zeros() as usize]
    }

    /// Has the inline device do something when it is due.
    fn later(
        &self,
        at: &Submission<'_>,
        work: impl FnOnce(&Device, &Submission<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (inner, cancel) = (Arc::clone(&self.inner), at.cancel.cloned());
        self.queue(at.affinity).submit(at, move |outcome| {
            outcome?;
            work(&inner, &NOW.cancelled_by(cancel.as_ref()))?;
            Ok(HostCallEnd::Done)
        });
        Ok(())
    }

    fn recorder(&self, params: CommandBufferParams) -> Result<Recorded> {
        let commands = self.inner.create_command_buffer(params)?;
        commands.begin()?;
        Ok(Recorded(commands))
    }
}

impl DeviceBackend for Plain {
    fn queue_count(&self) -> u32 {
        self.queues.len() as u32
    }

    fn query_i64(&self, category: &str, key: &str) -> Option<i64> {
        self.inner.query_i64(category, key)
    }

    fn supports_format(&self, format: &str) -> bool {
        self.loaders.supports(format)
    }

    fn prepare_executable(&self, params: &ExecutableParams<'_>) -> Result<Box<dyn ExecutableBackend>> {
        Ok(Box::new(self.loaders.load(params)?))
    }

    fn create_recorder(&self, params: &CommandBufferParams) -> Result<Box<dyn CommandRecorder>> {
        // The front has checked and keeps count of how it is used.
        let affinity = QueueAffinity::ANY;
        let params = CommandBufferParams { mode: CommandBufferMode::empty(), affinity, ..*params };
        Ok(Box::new(self.recorder(params)?))
    }

    fn trim(&self) {
        self.inner.trim();
    }

    fn alloca(
        &self,
        at: &Submission<'_>,
        allocator: &Arc<Allocator>,
        alloca: &Alloca<'_>,
    ) -> Result<Arc<Buffer>> {
        if alloca.pool.is_some() {
            bail!(Unimplemented, "the plain device knows no pools");
        }
        let buffer = Buffer::transient(alloca.metadata, alloca.size, None);
        let (params, size) = (alloca.params, alloca.size);
        let (target, allocator) = (Arc::clone(&buffer), Arc::clone(allocator));
        self.later(at, move |_, _| {
            let block = allocator.allocate_block(&params, size).while_doing(|| "allocating on a queue")?;
            target.commit(block)
        })?;
        Ok(buffer)
    }

    fn dealloca(&self, at: &Submission<'_>, buffer: &Buffer) -> Result<()> {
        let (buffer, cancel) = (buffer.retain(), at.cancel.cloned());
        self.queue(at.affinity).submit(at, move |outcome| {
            if let Err(status) = outcome {
                let is_cancelled = cancel.is_some_and(|token| token.is_cancelled());
                if is_cancelled {
                    buffer.decommit()
                } else {
                    buffer.withdraw_dealloca()
                }
                return Err(status);
            }
            buffer.decommit();
            Ok(HostCallEnd::Done)
        });
        Ok(())
    }

    fn fill(&self, at: &Submission<'_>, target: BufferRange<'_>, pattern: Pattern) -> Result<()> {
        let target = Kept::new(&target);
        self.later(at, move |inner, now| {
            inner.queue_fill(now, &target.region(), pattern.repeated.into(), pattern.length.into())
        })
    }

    fn update(&self, at: &Submission<'_>, source: &[u8], target: BufferRange<'_>) -> Result<()> {
        let (source, target) = (source.to_vec(), Kept::new(&target));
        self.later(at, move |inner, now| inner.queue_update(now, &source, &target.buffer, target.offset))
    }

    fn copy(&self, at: &Submission<'_>, source: BufferRange<'_>, target: BufferRange<'_>) -> Result<()> {
        let (source, target) = (Kept::new(&source), Kept::new(&target));
        self.later(at, move |inner, now| inner.queue_copy(now, &source.region(), &target.region()))
    }

    fn read(
        &self,
        at: &Submission<'_>,
        file: &Arc<File>,
        offset: u64,
        target: BufferRange<'_>,
    ) -> Result<()> {
        let (file, target) = (Arc::clone(file), Kept::new(&target));
        self.later(at, move |inner, now| inner.queue_read(now, &file, offset, &target.region()))
    }

    fn write(
        &self,
        at: &Submission<'_>,
        source: BufferRange<'_>,
        file: &Arc<File>,
        offset: u64,
    ) -> Result<()> {
        let (file, source) = (Arc::clone(file), Kept::new(&source));
        self.later(at, move |inner, now| inner.queue_write(now, &source.region(), &file, offset))
    }

    fn dispatch(&self, at: &Submission<'_>, dispatch: &Dispatch<'_>) -> Result<()> {
        let mut recorder = self.recorder(CommandBufferParams {
            mode: CommandBufferMode::empty(),
            categories: CommandCategory::DISPATCH,
            affinity: QueueAffinity::ANY,
            binding_capacity: 0,
        })?;
        recorder.dispatch(dispatch)?;
        recorder.0.end()?;
        self.later(at, move |inner, now| {
            inner.queue_execute(now, Some(&recorder.0), None, ExecuteFlags::empty())
        })
    }

    fn execute(
        &self,
        at: &Submission<'_>,
        recording: &dyn Recording,
        table: &[BindingEntry<'_>],
        flags: ExecuteFlags,
    ) -> Result<()> {
        let any: &dyn Any = recording;
        let Some(Recorded(commands)) = any.downcast_ref() else {
            bail!(InvalidArgument, "the command buffer was recorded for another kind of device");
        };
        let commands = Arc::clone(commands);
        let keep = |entry: &BindingEntry<'_>| (entry.buffer.map(Buffer::retain), entry.offset, entry.length);
        let table: Vec<_> = table.iter().map(keep).collect();
        self.later(at, move |inner, now| {
            let mut entries = Vec::with_capacity(table.len());
            for (buffer, offset, length) in &table {
                entries.push(BindingEntry { buffer: buffer.as_deref(), offset: *offset, length: *length });
            }
            inner.queue_execute(now, Some(&commands), Some(&entries), flags)
        })
    }

    fn barrier(&self, at: &Submission<'_>) -> Result<()> {
        self.later(at, |_, _| Ok(()))
    }

    fn host_call(&self, at: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()> {
        let HostCall { function, arguments, flags } = call;
        let (affinity, signal) = (at.affinity, at.signal.to_vec());
        self.queue(affinity).submit(at, move |outcome| {
            outcome?;
            if flags.contains(HostCallFlags::NON_BLOCKING) {
                signal_all(&signal)?;
                // Nobody waits for the outcome any more.
                let _ = function(&HostCallContext { device, affinity, signal: &[] }, arguments);
                return Ok(HostCallEnd::Deferred);
            }
            let context = HostCallContext { device, affinity, signal: &signal };
            function(&context, arguments).while_doing(|| "calling a host function")
        });
        Ok(())
    }
}
