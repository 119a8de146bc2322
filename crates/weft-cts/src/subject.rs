//! What cases run on: a device, fresh for each case, and shorthands for using it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_cpu::loader::{Bundled, LoaderOptions, Loaders};
use weft_cpu::{SyncDeviceOptions, TaskDeviceOptions, open_sync_device, open_task_device};
use weft_hal::{
    AllocaFlags, AllocatorWrapper, BindingEntry, Buffer, BufferParams, BufferUsage, CachingMode,
    CommandBuffer, CommandBufferMode, CommandBufferParams, CommandCategory, DeallocaFlags, Device, Dispatch,
    DispatchFlags, Executable, ExecutableParams, ExecuteFlags, Fence, FunctionId, Operand, QueueAffinity,
    Region, Submission, WorkgroupCount, open_null_device,
};
use weft_sync::{Code, Deadline, Point, Result, Semaphore, Status};
use weft_task::{Executor, ExecutorOptions};

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
    /// Threads that may run kernels of one queue at the same time.
    pub workers: u32,
    /// Waits lend their thread to the device, and have no deadline.
    pub lends: bool,
    open: Arc<Opener>,
}

/// Makes another device of the same kind, with these allocator wrappers.
type Opener = dyn Fn(&[&str]) -> Arc<Device> + Send + Sync;

/// The inline device.
pub fn local_sync() -> Subject {
    let has = Caps::WORK | Caps::INLINE | Caps::WRAPPERS | Caps::REUSE | Caps::POOLS;
    Subject::over("local_sync", has, 1, Arc::new(open_local_sync))
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
    let open = Arc::new(|_wrappers: &[&str]| open_null_device());
    Subject { name: "null_hal", has: Caps::INLINE, device, kernels, workers: 1, lends: false, open }
}

/// The plain asynchronous device with two queues.
pub fn plain() -> Subject {
    let has = Caps::WORK | Caps::ASYNC | Caps::QUEUES | Caps::FRONTIERS | Caps::WRAPPERS | Caps::REUSE;
    let open = |wrappers: &[&str]| {
        crate::plain::open_plain_device(2, loaders(), parsed(wrappers)).expect("the device opens")
    };
    Subject::over("plain", has, 1, Arc::new(open))
}

/// How a local-task subject is made.
struct TaskShape {
    name: &'static str,
    workers: u32,
    queues: u32,
    inline_transfer_bytes: u64,
    lends: bool,
}

/// One worker, one queue.
pub fn task_1() -> Subject {
    local_task(TaskShape { name: "task_1", ..TaskShape::PLAIN })
}

/// Two workers, one queue.
pub fn task_2() -> Subject {
    local_task(TaskShape { name: "task_2", workers: 2, ..TaskShape::PLAIN })
}

/// Eight workers, one queue; every transfer is cut into tiles.
pub fn task_8_tiled() -> Subject {
    local_task(TaskShape { name: "task_8_tiled", workers: 8, inline_transfer_bytes: 0, ..TaskShape::PLAIN })
}

/// As many workers as a dispatch can have, on however few processors.
pub fn task_64() -> Subject {
    local_task(TaskShape { name: "task_64", workers: 64, ..TaskShape::PLAIN })
}

/// Two workers for each of two queues.
pub fn task_2_queues() -> Subject {
    local_task(TaskShape { name: "task_2_queues", workers: 2, queues: 2, ..TaskShape::PLAIN })
}

/// One worker for each of two queues; one byte is too large a transfer for one thread.
pub fn task_1_queues_tiled() -> Subject {
    let shape =
        TaskShape { name: "task_1_queues_tiled", queues: 2, inline_transfer_bytes: 1, ..TaskShape::PLAIN };
    local_task(shape)
}

/// One worker and threads that wait by helping; no transfer is cut.
pub fn task_1_lending() -> Subject {
    let shape = TaskShape {
        name: "task_1_lending",
        lends: true,
        inline_transfer_bytes: u64::MAX,
        ..TaskShape::PLAIN
    };
    local_task(shape)
}

/// Two workers and threads that wait by helping.
pub fn task_2_lending() -> Subject {
    local_task(TaskShape { name: "task_2_lending", workers: 2, lends: true, ..TaskShape::PLAIN })
}

impl TaskShape {
    const PLAIN: TaskShape =
        TaskShape { name: "task", workers: 1, queues: 1, inline_transfer_bytes: 256 << 10, lends: false };
}

fn local_task(shape: TaskShape) -> Subject {
    let TaskShape { name, workers, queues, inline_transfer_bytes, lends } = shape;
    let mut has = Caps::WORK | Caps::ASYNC | Caps::FRONTIERS | Caps::POOLS | Caps::WRAPPERS | Caps::REUSE;
    has.set(Caps::QUEUES, queues > 1);
    has.set(Caps::PARALLEL, workers > 1);
    let open = move |wrappers: &[&str]| {
        let executor = || {
            let options = ExecutorOptions { workers: workers as usize, ..ExecutorOptions::default() };
            Executor::new(&options).expect("the executor starts")
        };
        let options = TaskDeviceOptions {
            inline_transfer_bytes,
            loaders: loaders(),
            allocator_wrappers: parsed(wrappers),
            ..TaskDeviceOptions::on((0..queues).map(|_| executor()).collect())
        };
        open_task_device(&options).expect("the device opens")
    };
    Subject { lends, ..Subject::over(name, has, workers, Arc::new(open)) }
}

fn open_local_sync(wrappers: &[&str]) -> Arc<Device> {
    let allocator_wrappers = parsed(wrappers);
    open_sync_device(&SyncDeviceOptions { loaders: loaders(), allocator_wrappers }).expect("the device opens")
}

/// Loaders that know the test kernels.
fn loaders() -> Arc<Loaders> {
    let mut bundled = Bundled::new();
    let library = kernels::library().expect("the kernels are well-formed");
    bundled.register(Arc::new(library)).expect("the name is free");
    Arc::new(Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() }))
}

fn parsed(wrappers: &[&str]) -> Vec<AllocatorWrapper> {
    let parse = |text: &&str| AllocatorWrapper::parse(text).expect("the text is well-formed");
    wrappers.iter().map(parse).collect()
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

/// How long anything may take: beyond that it is stuck, and the case fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(if cfg!(tsan) { 120 } else { 20 });

/// The deadline of every wait for what must come.
pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// Looks until it is so. For what follows a signal without being ordered before it, such as the release of memory.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_micros(50));
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

/// A timeline and its first points, for chains of submissions.
pub struct Chain(Vec<[Point; 1]>);

impl Chain {
    /// A chain of so many steps.
    pub fn new(steps: usize) -> Chain {
        let timeline = semaphore(0);
        Chain((0..=steps as u64).map(|value| [point(&timeline, value)]).collect())
    }

    /// After the step before, before the step after. The first one waits for nothing that is not there.
    pub fn step(&self, index: usize) -> Submission<'_> {
        Submission { wait: &self.0[index], signal: &self.0[index + 1], ..NOW }
    }

    /// What the last step signals.
    pub fn end(&self) -> &[Point] {
        &self.0[self.0.len() - 1]
    }
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

/// What becomes of operations.
impl Subject {
    /// A subject of this kind; `open` also makes the further devices that cases ask for.
    fn over(name: &'static str, has: Caps, workers: u32, open: Arc<Opener>) -> Subject {
        let device = open(&[]);
        let kernels = prepare(&device, "weft-native", kernels::LIBRARY.as_bytes());
        Subject { name, has, device, kernels, workers, lends: false, open }
    }

    /// Another device of the same kind, with these allocator wrappers.
    pub fn open(&self, wrappers: &[&str]) -> Arc<Device> {
        (self.open)(wrappers)
    }

    /// The same on a device of its own, for cases that end it.
    pub fn separate(&self) -> Subject {
        let device = self.open(&[]);
        let kernels = prepare(&device, "weft-native", kernels::LIBRARY.as_bytes());
        Subject {
            device,
            kernels,
            name: self.name,
            has: self.has,
            workers: self.workers,
            lends: self.lends,
            open: Arc::clone(&self.open),
        }
    }

    /// Runs one operation to its end. The error is what it was refused with, and then nobody was told; or what it
    /// failed with, and then the signal says so too.
    #[track_caller]
    pub fn run<T>(&self, submit: impl FnOnce(&Submission<'_>) -> Result<T>) -> Result<T> {
        self.run_after(&[], submit)
    }

    /// [`Subject::run`], after these points.
    #[track_caller]
    pub fn run_after<T>(
        &self,
        wait: &[Point],
        submit: impl FnOnce(&Submission<'_>) -> Result<T>,
    ) -> Result<T> {
        let signal = [point(&semaphore(0), 1)];
        let submit_and_wait = || {
            let value = submit(&Submission { wait, signal: &signal, ..NOW })?;
            self.device.wait_all(&signal, self.deadline()).map(|()| value)
        };
        let outcome = if self.lends { self.device.lending(submit_and_wait) } else { submit_and_wait() };
        if let Err(status) = &outcome {
            match signal[0].semaphore.query() {
                Ok(value) => assert_eq!(value, 0, "refused, and signalled all the same: {status}"),
                Err(told) => assert_eq!(told.code(), status.code(), "{told}"),
            }
        }
        outcome
    }

    /// Of waits for what must come. A thread that lends itself has none; the time limit of the case is what ends it.
    fn deadline(&self) -> Deadline {
        if self.lends { Deadline::NEVER } else { soon() }
    }

    /// The points are reached.
    #[track_caller]
    pub fn reaches(&self, points: &[Point]) {
        self.device.wait_all(points, self.deadline()).expect("the points are reached in time");
    }

    /// The fence is reached.
    #[track_caller]
    pub fn passes(&self, fence: &Fence) {
        self.reaches(fence.points());
    }

    /// An operation that was accepted fails: all its signals say so, and a device that works inside the call returns it
    /// too.
    #[track_caller]
    pub fn fails<T>(&self, submitted: Result<T>, signals: &[Point], code: Code) {
        if let Err(status) = submitted {
            assert_eq!(status.code(), code, "{status}");
        }
        for point in signals {
            fails_with(point.semaphore.wait(point.value, soon()), code);
        }
    }

    /// Memory of the device that is lent out, once that is this much.
    #[track_caller]
    pub fn comes_to_live_bytes(&self, bytes: u64) {
        let live = || self.device.allocator().statistics().device.live();
        eventually(&format!("{bytes} bytes are lent"), || live() == bytes);
    }
}

/// Things to work with.
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

    /// Runs a finished command buffer to its end.
    #[track_caller]
    pub fn execute(&self, commands: &CommandBuffer, table: Option<&[BindingEntry<'_>]>) -> Result<()> {
        self.run(|at| self.device.queue_execute(at, Some(commands), table, ExecuteFlags::empty()))
    }

    /// Records with `record`, then runs once, to its end.
    #[track_caller]
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
