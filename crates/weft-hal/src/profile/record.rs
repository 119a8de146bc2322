//! What devices record: plain values, one type a family.
//!
//! Times are nanoseconds since an origin that all devices of the process share ([`now_ns`](super::now_ns)). Ids are
//! never 0: 0 stands for "none". What does not live here: when something is recorded (the devices).

use std::sync::Arc;

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Code, Point};

/// What a submission or a command does. The numbers are those of `docs/spec/hal.md` §18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OperationKind {
    /// Waits and signals.
    Barrier = 1,
    /// Runs workgroups.
    Dispatch = 2,
    /// Runs a command buffer.
    Execute = 3,
    /// Copies bytes.
    Copy = 4,
    /// Repeats a pattern.
    Fill = 5,
    /// Writes bytes that came with the command.
    Update = 6,
    /// Reads from a file.
    Read = 7,
    /// Writes to a file.
    Write = 8,
    /// Provides memory.
    Alloca = 9,
    /// Takes memory away.
    Dealloca = 10,
    /// Calls a host function.
    HostCall = 11,
}

impl OperationKind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            OperationKind::Barrier => "barrier",
            OperationKind::Dispatch => "dispatch",
            OperationKind::Execute => "execute",
            OperationKind::Copy => "copy",
            OperationKind::Fill => "fill",
            OperationKind::Update => "update",
            OperationKind::Read => "read",
            OperationKind::Write => "write",
            OperationKind::Alloca => "alloca",
            OperationKind::Dealloca => "dealloca",
            OperationKind::HostCall => "host call",
        }
    }
}

/// How the waits of a submission were dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WaitStrategy {
    /// There were none.
    None = 0,
    /// All were reached when it was submitted.
    Inline = 1,
    /// It was put off until they were.
    SoftwareDefer = 2,
}

/// A value of a semaphore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimelinePoint {
    /// Tells semaphores that exist at the same time apart.
    pub semaphore: u64,
    /// The value.
    pub value: u64,
}

/// Points that a [`PointList`] keeps; it counts the rest.
pub const POINTS_KEPT_MAX: usize = 4;

/// Waits or signals of a submission: all are counted, the first few kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointList {
    /// How many there were.
    pub count: u32,
    points: [TimelinePoint; POINTS_KEPT_MAX],
}

impl PointList {
    /// Notes the points.
    pub fn new(points: &[Point]) -> PointList {
        let mut list =
            PointList { count: u32::try_from(points.len()).unwrap_or(u32::MAX), ..PointList::default() };
        for (kept, point) in list.points.iter_mut().zip(points) {
            *kept =
                TimelinePoint { semaphore: Arc::as_ptr(&point.semaphore).addr() as u64, value: point.value };
        }
        list
    }

    /// Those that were kept.
    pub fn kept(&self) -> &[TimelinePoint] {
        &self.points[..POINTS_KEPT_MAX.min(self.count as usize)]
    }
}

/// A submission, recorded before its signals fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEvent {
    /// What it does.
    pub operation: OperationKind,
    /// Tells it apart from all other submissions to the device.
    pub submission: u64,
    /// Ordinal of the queue.
    pub queue: u32,
    /// What it waited for.
    pub waits: PointList,
    /// What it signals.
    pub signals: PointList,
    /// How the waits were dealt with.
    pub strategy: WaitStrategy,
    /// Commands of a command buffer; otherwise 1.
    pub operation_count: u32,
    /// Bytes that it moves, sets, provides or takes away; 0 where that is not known.
    pub payload_bytes: u64,
    /// When it was submitted.
    pub submit_ns: u64,
    /// When all waits were reached, or one failed.
    pub ready_ns: u64,
    /// When its work was done and the signals were about to fire.
    pub end_ns: u64,
    /// How it failed, if it did.
    pub failure: Option<Code>,
}

impl QueueEvent {
    /// The work of this submission as one thing that the host ran. None for barriers and changes of memory, which are
    /// nothing that runs, and for dispatches, which say more about themselves.
    pub fn execution(&self) -> Option<ExecutionEvent> {
        use OperationKind::{
            Alloca, Barrier, Copy, Dealloca, Dispatch, Execute, Fill, HostCall, Read, Update, Write,
        };
        match self.operation {
            Alloca | Barrier | Dealloca | Dispatch => None,
            Copy | Execute | Fill | HostCall | Read | Update | Write => Some(ExecutionEvent {
                failure: self.failure,
                payload_bytes: self.payload_bytes,
                start_ns: self.ready_ns,
                end_ns: self.end_ns,
                ..ExecutionEvent::new(self.operation, self.submission, self.queue)
            }),
        }
    }
}

/// Stands for a worker where a thread of the program did work itself, without a seat among the workers.
pub const CALLING_THREAD: u32 = u32::MAX;

/// Something that the host ran: a queue operation, a command buffer as a whole, or one of its commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionEvent {
    /// What it was.
    pub operation: OperationKind,
    /// How it failed, if it did.
    pub failure: Option<Code>,
    /// For which submission; 0 for commands that ran while they were recorded.
    pub submission: u64,
    /// Ordinal of the queue.
    pub queue: u32,
    /// The worker, if only one took part; [`CALLING_THREAD`] if that was none.
    pub worker: Option<u32>,
    /// The command buffer; 0 for none.
    pub command_buffer: u64,
    /// Position in the command buffer, where *all* commands count, barriers included; none for what is not a command.
    pub command_index: Option<u32>,
    /// The executable of a dispatch; 0 for none.
    pub executable: u64,
    /// The function of a dispatch.
    pub function: u32,
    /// Workgroups of a dispatch.
    pub tile_count: u64,
    /// Time of all workgroups together; more than `end_ns - start_ns` if several workers took part.
    pub tile_ns: u64,
    /// Bytes that it moves or sets.
    pub payload_bytes: u64,
    /// When it began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

impl ExecutionEvent {
    /// An event of this kind for a submission, with everything else empty.
    pub fn new(operation: OperationKind, submission: u64, queue: u32) -> ExecutionEvent {
        ExecutionEvent {
            operation,
            failure: None,
            submission,
            queue,
            worker: None,
            command_buffer: 0,
            command_index: None,
            executable: 0,
            function: 0,
            tile_count: 0,
            tile_ns: 0,
            payload_bytes: 0,
            start_ns: 0,
            end_ns: 0,
        }
    }
}

/// A function of an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRecord {
    /// Name of the export.
    pub name: String,
    /// Declared workgroup size; 0 = not declared.
    pub workgroup_size: [u32; 3],
    /// Push constants.
    pub constant_count: u16,
    /// Bindings.
    pub binding_count: u16,
}

/// An executable that a session saw, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableRecord {
    /// As in [`ExecutionEvent::executable`].
    pub executable: u64,
    /// By ordinal.
    pub functions: Vec<FunctionRecord>,
}

/// What became of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MemoryAction {
    /// A pool set a range aside.
    Reserve = 1,
    /// The range got bytes.
    Materialize = 2,
    /// A queue allocation was committed.
    Alloca = 3,
    /// A queue allocation was taken away.
    Dealloca = 4,
    /// A pool got a range back.
    Release = 5,
}

impl MemoryAction {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            MemoryAction::Reserve => "reserve",
            MemoryAction::Materialize => "materialize",
            MemoryAction::Alloca => "alloca",
            MemoryAction::Dealloca => "dealloca",
            MemoryAction::Release => "release",
        }
    }
}

/// A step in the life of a queue allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEvent {
    /// What happened.
    pub action: MemoryAction,
    /// For which submission; 0 for none.
    pub submission: u64,
    /// Ordinal of the queue.
    pub queue: u32,
    /// Tells pools that exist at the same time apart; 0 is what the device uses when none is named.
    pub pool: u64,
    /// Tells allocations that exist at the same time apart.
    pub allocation: u64,
    /// Bytes that were asked for.
    pub length: u64,
    /// Bytes that were set aside for them.
    pub reserved_length: u64,
    /// Entries of the frontier under which a range was released or has to be waited for.
    pub frontier_count: u32,
    /// Bytes that the device has lent after this, to anybody.
    pub live_bytes: u64,
    /// When.
    pub time_ns: u64,
}

/// A stretch of commands between two barriers, as the workers went through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionEvent {
    /// For which submission.
    pub submission: u64,
    /// Ordinal of the queue.
    pub queue: u32,
    /// Position of the block in the recording.
    pub block_sequence: u32,
    /// Position of the region in the block.
    pub region: u32,
    /// The epoch under which tiles were claimed.
    pub epoch: u32,
    /// Tiles.
    pub tile_count: u64,
    /// Class of the number of workers that could help.
    pub width_bucket: u8,
    /// Class of the number of workers that the next regions can use.
    pub lookahead_bucket: u8,
    /// Workers that were wanted before the region ended.
    pub budget_before: u32,
    /// Workers that are wanted after it.
    pub budget_after: u32,
    /// Drains that claimed tiles.
    pub drains_useful: u32,
    /// Drains that found none left.
    pub drains_idle: u32,
    /// Workers that stayed for the next region.
    pub workers_kept: u32,
    /// Workers that were let go.
    pub workers_released: u32,
    /// When it became the current one.
    pub start_ns: u64,
    /// When its last tile ended.
    pub end_ns: u64,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerActivity {
    /// Sleeps.
    Sleep,
    /// Goes through what is immediately ready; of the process with this number.
    Drain(u64),
    /// Helps a process that computes.
    Compute(u64),
    /// Runs tiles of a dispatch.
    Tiles {
        /// As in [`ExecutionEvent::executable`].
        executable: u64,
        /// The function.
        function: u32,
        /// How many.
        count: u64,
        /// For which submission.
        submission: u64,
    },
}

/// A stretch of a worker's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerEvent {
    /// Ordinal of the executor among those of the device.
    pub executor: u32,
    /// Its seat there, or [`CALLING_THREAD`].
    pub worker: u32,
    /// What it did.
    pub activity: WorkerActivity,
    /// From when.
    pub start_ns: u64,
    /// Until when.
    pub end_ns: u64,
}

/// The number of a recording, given to it when somebody asks for the first time.
#[derive(Debug, Default)]
pub struct RecordingId(AtomicU64);

impl RecordingId {
    /// The number: never 0, and that of no other recording of this process.
    pub fn get(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                match self.0.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => new,
                    // Another thread asked at the same time; a number is lost, which nobody minds.
                    Err(known) => known,
                }
            }
            known => known,
        }
    }
}
