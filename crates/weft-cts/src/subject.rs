//! What cases run on: a device, fresh for each case, and shorthands for using it.

use std::sync::Arc;

use weft_cpu::loader::{Bundled, LoaderOptions, Loaders};
use weft_cpu::{SyncDeviceOptions, open_sync_device};
use weft_hal::{
    AllocaFlags, AllocatorWrapper, BindingEntry, Buffer, BufferParams, BufferUsage, CachingMode,
    CommandBuffer, CommandBufferMode, CommandBufferParams, CommandCategory, DeallocaFlags, Device, Dispatch,
    DispatchFlags, Executable, ExecutableParams, ExecuteFlags, FunctionId, Operand, QueueAffinity, Region,
    Submission, WorkgroupCount, open_null_device,
};
use weft_sync::{Code, Point, Result, Semaphore, Status};

use crate::case::Caps;
use crate::hal::kernels;

/// A device under test.
pub struct Subject {
    /// For messages.
    pub name: &'static str,
    /// What it can do.
    pub has: Caps,
    /// The device, made for this case.
    pub device: Arc<Device>,
    /// The kernels of `hal/kernels.rs`.
    pub kernels: Arc<Executable>,
}

/// The inline device.
pub fn local_sync() -> Subject {
    let device = open_local_sync(&[]);
    let kernels = prepare(&device, "weft-native", kernels::LIBRARY.as_bytes());
    Subject { name: "local_sync", has: Caps::WORK | Caps::WRAPPERS | Caps::REUSE, device, kernels }
}

/// The device that runs nothing.
pub fn null_hal() -> Subject {
    let device = open_null_device();
    // The same functions, so that validation has the same to say about them.
    let real = local_sync().kernels;
    let functions = (0..real.function_count() as u64).filter_map(|id| real.function(FunctionId(id)).ok());
    let text: Vec<String> = functions
        .map(|function| format!("{} {} {}", function.name, function.constant_count, function.binding_count))
        .collect();
    let kernels = prepare(&device, "null", text.join("\n").as_bytes());
    Subject { name: "null_hal", has: Caps::NONE, device, kernels }
}

/// A local-sync device with the test kernels and these allocator wrappers.
pub fn open_local_sync(wrappers: &[&str]) -> Arc<Device> {
    let mut bundled = Bundled::new();
    let library = kernels::library().expect("the kernels are well-formed");
    bundled.register(Arc::new(library)).expect("the name is free");
    let wrappers =
        wrappers.iter().map(|text| AllocatorWrapper::parse(text).expect("the text is well-formed"));
    let options = SyncDeviceOptions {
        loaders: Arc::new(Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() })),
        allocator_wrappers: wrappers.collect(),
    };
    open_sync_device(&options).expect("the device opens")
}

fn prepare(device: &Device, format: &str, data: &[u8]) -> Arc<Executable> {
    let params = ExecutableParams { format, data, constants: &[], caching_mode: CachingMode::empty() };
    device.prepare_executable(&params).expect("the kernels load")
}

/// The code that a call must fail with.
#[track_caller]
pub fn fails_with<T>(result: Result<T>, code: Code) {
    match result {
        Ok(_) => panic!("succeeded; expected {code}"),
        Err(status) => assert_eq!(status.code(), code, "{status}"),
    }
}

/// Between nothing and nothing.
pub const NOW: Submission<'static> = Submission::IMMEDIATE;

/// A new timeline.
pub fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(initial))
}

/// A timeline that has failed.
pub fn failed(code: Code) -> Arc<Semaphore> {
    let semaphore = semaphore(0);
    semaphore.fail(Status::new(code, "given up"));
    semaphore
}

/// A point on a timeline.
pub fn point(semaphore: &Arc<Semaphore>, value: u64) -> Point {
    Point { semaphore: Arc::clone(semaphore), value }
}

/// A range of a buffer.
pub fn region(buffer: &Buffer, offset: u64, length: u64) -> Region<'_> {
    Region { buffer, offset, length }
}

/// Little-endian bytes of 32-bit numbers.
pub fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Little-endian bytes of floats.
pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Subject {
    /// A device-local buffer of default usage, zeroed.
    pub fn buffer(&self, size: u64) -> Arc<Buffer> {
        self.buffer_for(BufferUsage::DEFAULT | BufferUsage::DISPATCH_INDIRECT_PARAMETERS, size)
    }

    /// A device-local buffer of this usage, zeroed.
    pub fn buffer_for(&self, usage: BufferUsage, size: u64) -> Arc<Buffer> {
        let params = BufferParams { usage, ..BufferParams::device_local() };
        let buffer = self.device.allocator().allocate(&params, size).expect("there is memory");
        buffer.zero(0, size).expect("the host can write it");
        buffer
    }

    /// A device-local buffer with these bytes.
    pub fn buffer_with(&self, bytes: &[u8]) -> Arc<Buffer> {
        let buffer = self.buffer(bytes.len() as u64);
        buffer.write(0, bytes).expect("the host can write it");
        buffer
    }

    /// A queue-allocated, device-local buffer.
    pub fn alloca(&self, submission: &Submission<'_>, size: u64) -> Result<Arc<Buffer>> {
        self.device.queue_alloca(submission, &BufferParams::device_local(), size, AllocaFlags::empty())
    }

    /// Ends the memory of a queue-allocated buffer.
    pub fn dealloca(&self, submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
        self.device.queue_dealloca(submission, buffer, DeallocaFlags::empty())
    }

    /// All 32-bit numbers of a buffer.
    pub fn read_words(&self, buffer: &Buffer) -> Vec<u32> {
        let bytes = bytes_of(buffer);
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes"))).collect()
    }

    /// All floats of a buffer.
    pub fn read_floats(&self, buffer: &Buffer) -> Vec<f32> {
        self.read_words(buffer).into_iter().map(f32::from_bits).collect()
    }

    /// A command buffer that is being recorded.
    pub fn commands(&self, mode: CommandBufferMode, binding_capacity: u32) -> Arc<CommandBuffer> {
        let commands = self.commands_not_begun(mode, CommandCategory::ANY, binding_capacity).expect("valid");
        commands.begin().expect("it is new");
        commands
    }

    /// A command buffer before `begin`.
    pub fn commands_not_begun(
        &self,
        mode: CommandBufferMode,
        categories: CommandCategory,
        binding_capacity: u32,
    ) -> Result<Arc<CommandBuffer>> {
        let affinity = QueueAffinity::ANY;
        self.device.create_command_buffer(CommandBufferParams {
            mode,
            categories,
            affinity,
            binding_capacity,
        })
    }

    /// Runs a finished command buffer between nothing and nothing.
    pub fn execute(&self, commands: &CommandBuffer, table: Option<&[BindingEntry<'_>]>) -> Result<()> {
        self.device.queue_execute(&Submission::IMMEDIATE, Some(commands), table, ExecuteFlags::empty())
    }

    /// Records with `record`, then runs once.
    pub fn run_once(&self, record: impl FnOnce(&CommandBuffer) -> Result<()>) -> Result<()> {
        let commands = self.commands(CommandBufferMode::ONE_SHOT, 0);
        record(&commands)?;
        commands.end()?;
        self.execute(&commands, None)
    }

    /// A function of the test kernels.
    pub fn function(&self, name: &str) -> FunctionId {
        self.kernels.lookup_function(name).expect("the kernel is in the library")
    }

    /// A dispatch of a test kernel.
    pub fn dispatch<'a>(
        &'a self,
        name: &str,
        count: [u32; 3],
        constants: &'a [u32],
        bindings: &'a [Operand<'a>],
    ) -> Dispatch<'a> {
        Dispatch {
            executable: &self.kernels,
            function: self.function(name),
            workgroup_size: [0; 3],
            workgroup_count: WorkgroupCount::Direct(count),
            local_memory_bytes: 0,
            constants,
            bindings,
            flags: DispatchFlags::empty(),
        }
    }
}

/// All bytes of a buffer.
pub fn bytes_of(buffer: &Buffer) -> Vec<u8> {
    buffer.read_to_vec(0, weft_hal::WHOLE_BUFFER).expect("the host can read it")
}

/// All of a buffer, as a direct operand.
pub fn whole(buffer: &Buffer) -> Operand<'_> {
    Operand::direct(buffer, 0, weft_hal::WHOLE_BUFFER)
}
