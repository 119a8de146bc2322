//! local-task beside local-sync: whole programs, and submissions without a program.
//!
//! `cargo bench -p weft-bench --bench device [part of a name]`. The programs are P0 to P5 of `docs/spec/hal.md`, *What to
//! measure*; the same modules run on each device in turn, in one process; the reference's tool runs them after that, where
//! it is installed (`weft_bench::peer`). The mark of a program on one worker is 1.3 ×
//! local-sync for P1 and 1.02 × where kernels are what takes time.

use std::path::PathBuf;
use std::sync::Arc;

use weft::{DeviceOptions, Function, Result, Session, Tensor, Value};
use weft_bench::kernel::{BareKernel, Memory};
use weft_bench::{Subject, Table, measure, peer};
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_cpu::native::{KernelError, KernelSpec, NativeKernel, NativeLibrary, Workgroup, reads_and_writes};
use weft_cpu::{SyncDeviceOptions, TaskDeviceOptions, open_sync_device, open_task_device};
use weft_hal::{
    Buffer, BufferParams, CachingMode, CommandBuffer, CommandBufferMode, CommandBufferParams,
    CommandCategory, Device, Dispatch, DispatchFlags, Executable, ExecutableParams, ExecuteFlags,
    ExecutionStage, Operand, QueueAffinity, Region, Submission, WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Deadline, Point, Semaphore};
use weft_task::{TaskOptions, TopologyRequest, WorkerChoice};

/// One program of the table.
struct Row {
    title: &'static str,
    module: &'static str,
    function: &'static str,
    inputs: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row { title: "P0 empty function", module: "p0_empty", function: "p0", inputs: &[] },
    Row { title: "P1 one dispatch of 4 floats", module: "p1_absolute", function: "p1", inputs: &["4xf32=1"] },
    Row {
        title: "P2 100 dependent dispatches",
        module: "p2_hundred_dispatches",
        function: "p2",
        inputs: &["4xf32=1"],
    },
    Row {
        title: "P3 1000 dependent dispatches",
        module: "p3_thousand_dispatches",
        function: "p3",
        inputs: &["4xf32=1"],
    },
    Row {
        title: "P4 512x512x512 matmul",
        module: "p4_matmul",
        function: "p4",
        inputs: &["512x512xf32=1", "512x512xf32=2"],
    },
    Row { title: "P5 scale 16 Mi floats", module: "p5_scale", function: "p5", inputs: &["16777216xf32=1"] },
];

fn main() -> Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let table = Table::begin("devices, one call");
    for row in ROWS {
        if is_wanted(row.module) {
            program(&table, row)?;
        }
    }
    submissions(&table, is_wanted)
}

/// How a subject is named, and its number of workers; 0 is local-sync.
const DEVICES: [(&str, usize); 3] =
    [("local-sync", 0), ("local-task, 1 worker", 1), ("local-task, 2 workers", 2)];

fn session(workers: usize) -> Result<Session> {
    let topology =
        TopologyRequest { workers: WorkerChoice::Count(workers.max(1)), ..TopologyRequest::default() };
    let task = TaskOptions { topology, ..TaskOptions::default() };
    let options = DeviceOptions { task, ..DeviceOptions::default() };
    let device = if workers == 0 { "local-sync" } else { "local-task" };
    Session::builder().device(device).device_options(options).build()
}

fn program(table: &Table, row: &Row) -> Result<()> {
    let path = module_path(row.module);
    let functions: Vec<Function> = DEVICES
        .iter()
        .map(|&(_, workers)| session(workers)?.load(&path)?.function(row.function))
        .collect::<Result<_>>()?;
    let inputs: Vec<Value> =
        row.inputs.iter().map(|text| tensor(text).map(Value::Tensor)).collect::<Result<_>>()?;
    let kernel = floor(row.module)?;
    let mut subjects = Vec::new();
    if let Some((kernel, (workgroups, repeats))) = &kernel {
        subjects.push(Subject::new("floor: the kernel in a bare loop", || kernel.run(*workgroups, *repeats)));
        if *workgroups > 1 {
            let both = || kernel.run_on_two_threads(*workgroups);
            subjects.push(Subject::new("floor: its halves on two threads", both));
        }
    }
    for ((name, _), function) in DEVICES.iter().zip(&functions) {
        let mut results = Vec::new();
        subjects.push(Subject::new(*name, {
            let inputs = &inputs;
            move || function.invoke(inputs.to_vec(), &mut results).expect("the program runs")
        }));
    }
    let mut figures = measure(subjects);
    let groups = ["--task_topology_group_count=1", "--task_topology_group_count=2"];
    for (index, group) in groups.into_iter().enumerate() {
        let device = ["--device=local-task", group];
        if let Some(reference) = peer::reference_on(&device, &path, row.function, row.inputs) {
            figures.push(weft_bench::Figure {
                name: format!("reference: its tool, local-task, {} workers", index + 1),
                median_ns: reference,
                min_ns: reference,
                ratio: reference / figures[0].median_ns,
            });
        }
    }
    table.group(row.title, &figures, None);
    Ok(())
}

/// A tensor of one repeated value from its text.
fn tensor(text: &str) -> Result<Tensor> {
    let parsed = weft_hal::text::TensorText::parse(text)?;
    Tensor::from_bytes(parsed.shape.dims(), parsed.element_type, &parsed.bytes()?)
}

/// The program's kernel with its workgroups and how often they run, where it has one.
fn floor(module: &str) -> Result<Option<(BareKernel, (u32, u32))>> {
    let small = || Memory::floats(64, 1.0);
    let square = || Memory::floats(512 * 512, 1.0);
    let (memory, constants, grid): (_, &[u32], _) = match module {
        "p1_absolute" => (vec![small(), small()], &[], (1, 1)),
        "p2_hundred_dispatches" => (vec![small(), small()], &[0, 64], (1, 100)),
        "p3_thousand_dispatches" => (vec![small(), small()], &[0, 64], (1, 1000)),
        "p4_matmul" => (vec![square(), square(), square()], &[], (64, 1)),
        "p5_scale" => (vec![Memory::floats(1 << 24, 1.0), Memory::floats(1 << 24, 0.0)], &[], (4096, 1)),
        _ => return Ok(None),
    };
    Ok(Some((BareKernel::load(&module_path(module), memory, constants)?, grid)))
}

fn module_path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bench")).join(format!("{name}.vmfb"))
}

/// A device with a tiny kernel and a buffer for it.
struct Bench {
    device: Arc<Device>,
    kernels: Arc<Executable>,
    buffer: Arc<Buffer>,
    done: Arc<Semaphore>,
}

/// Adds one to a number.
struct Touch;

impl NativeKernel for Touch {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads_and_writes(4)], ..KernelSpec::new("touch") };

    fn run(_: &(), workgroup: &mut Workgroup<'_>) -> std::result::Result<(), KernelError> {
        let cells = workgroup.output::<u32>(0);
        cells.set(0, cells.get(0).wrapping_add(1));
        Ok(())
    }
}

/// Tiny dispatches in each shape.
const COUNT: u64 = 1000;

impl Bench {
    fn new(workers: usize) -> Result<Bench> {
        let mut bundled = weft_cpu::loader::Bundled::new();
        let library = NativeLibrary::stateless("tiny").kernel::<Touch>()?.build();
        bundled.register(Arc::new(library))?;
        let loaders = Arc::new(Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() }));
        let device = match workers {
            0 => open_sync_device(&SyncDeviceOptions { loaders, ..SyncDeviceOptions::default() })?,
            _ => {
                open_task_device(&TaskDeviceOptions { loaders, ..TaskDeviceOptions::with_workers(workers)? })?
            }
        };
        let params = ExecutableParams {
            format: "weft-native",
            data: b"tiny",
            constants: &[],
            caching_mode: CachingMode::empty(),
        };
        let kernels = device.prepare_executable(&params)?;
        let buffer = device.allocator().allocate(&BufferParams::device_local(), 4)?;
        buffer.zero(0, 4)?;
        Ok(Bench { device, kernels, buffer, done: Arc::new(Semaphore::new(0)) })
    }

    fn next(&self) -> (Vec<Point>, Vec<Point>) {
        let value = self.done.last_value();
        let at = |value| vec![Point { semaphore: Arc::clone(&self.done), value }];
        (at(value), at(value + 1))
    }

    fn wait(&self) {
        let value = self.done.last_value();
        self.device
            .wait_all(&[Point { semaphore: Arc::clone(&self.done), value }], Deadline::NEVER)
            .expect("runs");
    }

    fn dispatch<'a>(&'a self, bindings: &'a [Operand<'a>]) -> Dispatch<'a> {
        Dispatch {
            executable: &self.kernels,
            function: self.kernels.lookup_function("touch").expect("it is there"),
            workgroup_size: [0; 3],
            workgroup_count: WorkgroupCount::Direct([1; 3]),
            local_memory_bytes: 0,
            constants: &[],
            bindings,
            flags: DispatchFlags::empty(),
        }
    }

    fn record(&self, barriers: bool) -> Result<Arc<CommandBuffer>> {
        let commands = self.device.create_command_buffer(CommandBufferParams {
            mode: CommandBufferMode::empty(),
            categories: CommandCategory::ANY,
            affinity: QueueAffinity::ANY,
            binding_capacity: 0,
        })?;
        commands.begin()?;
        let bindings = [Operand::direct(&self.buffer, 0, WHOLE_BUFFER)];
        for _ in 0..COUNT {
            commands.dispatch(&self.dispatch(&bindings))?;
            if barriers {
                commands.barrier(ExecutionStage::all(), ExecutionStage::all())?;
            }
        }
        commands.end()?;
        Ok(commands)
    }

    fn execute(&self, commands: &CommandBuffer) {
        let (wait, signal) = self.next();
        let submission = Submission { wait: &wait, signal: &signal, ..Submission::IMMEDIATE };
        let run = || {
            self.device
                .queue_execute(&submission, Some(commands), None, ExecuteFlags::empty())
                .expect("valid");
            self.device.wait_all(&signal, Deadline::NEVER).expect("runs");
        };
        self.device.lending(run);
    }

    /// Each waits for the one before.
    fn chain(&self, mut submit: impl FnMut(&Submission<'_>)) {
        let first = self.done.last_value();
        let at = |value| [Point { semaphore: Arc::clone(&self.done), value }];
        self.device.lending(|| {
            for value in first..first + COUNT {
                let (wait, signal) = (at(value), at(value + 1));
                submit(&Submission { wait: &wait, signal: &signal, ..Submission::IMMEDIATE });
            }
            self.device.wait_all(&at(first + COUNT), Deadline::NEVER).expect("runs");
        });
    }
}

fn submissions(table: &Table, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    let benches: Vec<Bench> =
        DEVICES.iter().map(|&(_, workers)| Bench::new(workers)).collect::<Result<_>>()?;
    for (name, barriers, mark) in [
        ("1000 dependent dispatches, one buffer", true, 15.0),
        ("1000 independent dispatches, one buffer", false, 15.0),
    ] {
        if is_wanted(name) {
            let recorded: Vec<_> =
                benches.iter().map(|bench| bench.record(barriers)).collect::<Result<_>>()?;
            let subjects = DEVICES.iter().zip(&benches).zip(&recorded);
            let subjects = subjects.map(|(((name, _), bench), commands)| {
                Subject::new(*name, move || bench.execute(commands)).per_call(COUNT)
            });
            table.group(name, &measure(subjects.collect()), Some(mark));
        }
    }
    if is_wanted("1000 dependent submissions") {
        let subjects = DEVICES.iter().zip(&benches).map(|((name, _), bench)| {
            Subject::new(*name, move || {
                let bindings = [Operand::direct(&bench.buffer, 0, WHOLE_BUFFER)];
                bench.chain(|at| bench.device.queue_dispatch(at, &bench.dispatch(&bindings)).expect("valid"));
            })
            .per_call(COUNT)
        });
        table.group("1000 dependent submissions of a dispatch", &measure(subjects.collect()), None);
    }
    if is_wanted("1000 fills") {
        let subjects = DEVICES.iter().zip(&benches).map(|((name, _), bench)| {
            Subject::new(*name, move || {
                let region = Region::whole(&bench.buffer);
                bench.chain(|at| bench.device.queue_fill(at, &region, 7, 4).expect("valid"));
            })
            .per_call(COUNT)
        });
        table.group("1000 fills of 4 bytes, each after the one before", &measure(subjects.collect()), None);
    }
    for bench in &benches {
        bench.wait();
    }
    Ok(())
}
