//! The null device: validates and records everything, runs nothing.
//!
//! For tests of misuse and for floors of overhead: waits are waited for, signals are signalled, memory is really
//! allocated (zeroed, from the system heap), and no operation touches a byte of it. Its executable format `null` is text,
//! one function a line: name, number of constants, number of bindings.

use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::allocator::{Allocator, AllocatorBackend, Side, Statistics, StatisticsCounters};
use crate::buffer::{Buffer, BufferRange, DeviceId};
use crate::command::{BindingEntry, CommandBufferParams, CommandRecorder, Dispatch, Place, Recording};
use crate::device::{Device, DeviceBackend};
use crate::executable::{ExecutableBackend, ExecutableParams, FunctionInfo, FunctionParameter};
use crate::file::File;
use crate::host_block::{BlockKeeper, HostBlock};
use crate::memory::BufferParams;
use crate::queue::{Alloca, ExecuteFlags, HostCall, HostCallContext, Submission};
use crate::validate::Pattern;

/// What programs know the device as.
pub const NULL: &str = "null";

/// Makes a null device.
pub fn open_null_device() -> Arc<Device> {
    let allocator = Allocator::new(DeviceId::unique(), Arc::new(NullMemory::default()));
    Device::new(NULL, allocator, Box::new(NullDevice))
}

struct NullDevice;

impl DeviceBackend for NullDevice {
    fn query_i64(&self, category: &str, key: &str) -> Option<i64> {
        (category == "hal.dispatch" && key == "concurrency").then_some(1)
    }

    fn supports_format(&self, format: &str) -> bool {
        format == NULL
    }

    fn prepare_executable(&self, params: &ExecutableParams<'_>) -> Result<Box<dyn ExecutableBackend>> {
        let Ok(text) = std::str::from_utf8(params.data) else {
            bail!(InvalidArgument, "a null executable is text");
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(Box::new(NullExecutable(lines.map(parse_function).collect::<Result<_>>()?)))
    }

    fn create_recorder(&self, _params: &CommandBufferParams) -> Result<Box<dyn CommandRecorder>> {
        Ok(Box::new(NullRecording))
    }

    fn trim(&self) {}

    fn alloca(
        &self,
        submission: &Submission<'_>,
        allocator: &Arc<Allocator>,
        alloca: &Alloca<'_>,
    ) -> Result<Arc<Buffer>> {
        submission.run_alloca(allocator, alloca)
    }

    fn dealloca(&self, submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
        submission.run_dealloca(buffer)
    }

    fn fill(&self, submission: &Submission<'_>, _target: BufferRange<'_>, _pattern: Pattern) -> Result<()> {
        self.barrier(submission)
    }

    fn update(&self, submission: &Submission<'_>, _source: &[u8], _target: BufferRange<'_>) -> Result<()> {
        self.barrier(submission)
    }

    fn copy(
        &self,
        submission: &Submission<'_>,
        _source: BufferRange<'_>,
        _target: BufferRange<'_>,
    ) -> Result<()> {
        self.barrier(submission)
    }

    fn read(
        &self,
        submission: &Submission<'_>,
        _file: &Arc<File>,
        _offset: u64,
        _target: BufferRange<'_>,
    ) -> Result<()> {
        self.barrier(submission)
    }

    fn write(
        &self,
        submission: &Submission<'_>,
        _source: BufferRange<'_>,
        _file: &Arc<File>,
        _offset: u64,
    ) -> Result<()> {
        self.barrier(submission)
    }

    fn dispatch(&self, submission: &Submission<'_>, _dispatch: &Dispatch<'_>) -> Result<()> {
        self.barrier(submission)
    }

    fn execute(
        &self,
        submission: &Submission<'_>,
        recording: &dyn Recording,
        _table: &[BindingEntry<'_>],
        _flags: ExecuteFlags,
    ) -> Result<()> {
        let any: &dyn std::any::Any = recording;
        if !any.is::<NullRecording>() {
            bail!(InvalidArgument, "the command buffer was recorded for another kind of device");
        }
        self.barrier(submission)
    }

    fn barrier(&self, submission: &Submission<'_>) -> Result<()> {
        submission.run(|| Ok(())).map(drop_done)
    }

    fn host_call(&self, submission: &Submission<'_>, device: DeviceId, call: HostCall) -> Result<()> {
        // A host call is not device work: nobody would signal a deferred one if it were left out.
        let context = HostCallContext { device, affinity: submission.affinity, signal: submission.signal };
        call.run(submission, &context)
    }
}

fn drop_done(_done: Option<()>) {}

/// Accepts every command and keeps none.
struct NullRecording;

impl Recording for NullRecording {}

impl CommandRecorder for NullRecording {
    fn barrier(&mut self) -> Result<()> {
        Ok(())
    }

    fn fill(&mut self, _target: &Place<'_>, _pattern: Pattern) -> Result<()> {
        Ok(())
    }

    fn update(&mut self, _source: &[u8], _target: &Place<'_>) -> Result<()> {
        Ok(())
    }

    fn copy(&mut self, _source: &Place<'_>, _target: &Place<'_>) -> Result<()> {
        Ok(())
    }

    fn dispatch(&mut self, _dispatch: &Dispatch<'_>) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        Ok(self)
    }
}

struct NullExecutable(Vec<FunctionInfo>);

impl ExecutableBackend for NullExecutable {
    fn functions(&self) -> Vec<FunctionInfo> {
        self.0.clone()
    }

    fn parameters(&self, _ordinal: usize) -> Result<Vec<FunctionParameter>> {
        bail!(Unavailable, "null executables have no parameter table");
    }
}

fn parse_function(line: &str) -> Result<FunctionInfo> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, constants, bindings] = fields[..] else {
        bail!(InvalidArgument, "`{line}` is not a name, a number of constants and a number of bindings");
    };
    match (constants.parse(), bindings.parse()) {
        (Ok(constant_count), Ok(binding_count)) => Ok(FunctionInfo {
            name: name.to_owned(),
            constant_count,
            binding_count,
            ..FunctionInfo::default()
        }),
        _ => bail!(InvalidArgument, "`{line}` has a bad number"),
    }
}

/// Counted memory from the system heap.
#[derive(Default)]
struct NullMemory {
    counters: Arc<StatisticsCounters>,
}

/// Notes when a counted block comes back.
struct Counted {
    counters: Arc<StatisticsCounters>,
    side: Side,
}

impl AllocatorBackend for NullMemory {
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        let block = HostBlock::from_heap(size as usize, params.alignment_min as usize)?;
        let side = Side::of(params.memory_type);
        self.counters.allocated(side, size);
        Ok(block.lend(Arc::new(Counted { counters: Arc::clone(&self.counters), side })))
    }

    fn statistics(&self) -> Statistics {
        self.counters.snapshot()
    }

    fn trim(&self) {}
}

impl BlockKeeper for Counted {
    fn returned(&self, block: HostBlock) {
        self.counters.freed(self.side, block.length() as u64);
    }
}
