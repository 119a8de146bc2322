//! What the local-sync device does differently while it is profiled: the same work, with records around it.
//!
//! Nothing here runs without a session: queue operations ask once (`Profiler::submitted`), and the replay loop not at
//! all, since a profiled replay has a loop of its own.
//!
//! 1. A profiled operation waits first, works without waits and signals, is recorded, and signals last: records are there
//!    before the signals fire.
//! 2. If a wait fails, the failed operation is recorded and the ordinary path is taken, which finds the failure at once.
//! 3. Arguments are checked before any of this, as without a session.
//!
//! What does not live here: the records and who gets them (`weft-hal/src/profile`).

use std::ffi::c_void;
use std::sync::Arc;

use weft_hal::profile::{
    CALLING_THREAD, ExecutionEvent, MemoryAction, MemoryEvent, OperationKind, Profiler, QueueEvent, now_ns,
};
use weft_hal::{
    Alloca, Allocator, AllocatorBackend, BindingEntry, Buffer, DeviceId, Dispatch, HostCall, Pinned,
    Submission,
};
use weft_sync::{Point, Result, Semaphore, Status, WhileDoing};

use crate::command_buffer::{Command, DispatchCommand, Program, ProgramBuilder};
use crate::host_memory::HostMemory;
use crate::queue_ops;
use crate::replay::{bytes_of, read_counts};
use crate::stop::Stop;

/// Does `work` for a submission, with records.
#[cold]
pub(crate) fn watch<T>(
    profiler: &Profiler,
    submission: &Submission<'_>,
    mut event: Box<QueueEvent>,
    command_buffer: u64,
    work: impl FnOnce(&Submission<'_>, &QueueEvent) -> Result<T>,
) -> Result<T> {
    if !wait(profiler, submission, &mut event) {
        return work(submission, &event);
    }
    let told = Arc::new(Semaphore::new(0));
    let signal = [Point { semaphore: Arc::clone(&told), value: 1 }];
    let signal = if submission.cancel.is_some() { &signal[..] } else { &[] };
    let outcome = work(&Submission { wait: &[], signal, ..*submission }, &event);
    let outcome = match (outcome, told.failure()) {
        // Cancelled after the wait and before the work, of which nothing was done.
        (Ok(_), Some(status)) => Err(status),
        (outcome, _) => outcome,
    };
    finish(&mut event, outcome.as_ref().err());
    profiler.record_done(*event, command_buffer, Some(CALLING_THREAD));
    let done = Submission { wait: &[], cancel: None, ..*submission }.run(|| outcome)?;
    Ok(done.expect("there was nothing left to wait for"))
}

/// Waits; false if that failed, which is recorded then.
fn wait(profiler: &Profiler, submission: &Submission<'_>, event: &mut QueueEvent) -> bool {
    let waited = submission.wait_here();
    event.ready_ns = now_ns();
    let Err(status) = waited else { return true };
    finish(event, Some(&status));
    profiler.record_queue_event(event.clone());
    false
}

fn finish(event: &mut QueueEvent, failure: Option<&Status>) {
    event.end_ns = now_ns();
    event.failure = failure.map(Status::code);
}

#[cold]
pub(crate) fn dispatch(
    profiler: &Profiler,
    submission: &Submission<'_>,
    event: Box<QueueEvent>,
    memory: &HostMemory,
    dispatch: &Dispatch<'_>,
) -> Result<()> {
    let mut builder = ProgramBuilder::default();
    // Rule 3.
    builder.dispatch(dispatch)?;
    watch(profiler, submission, event, 0, |at, event| {
        let watch =
            Watch { profiler, submission: event.submission, queue: event.queue, command_buffer: None };
        let work = || builder.program().run(&[], memory, at.cancel, Some(&watch));
        at.run(|| work().while_doing(|| "dispatching")).map(drop)
    })
}

#[cold]
pub(crate) fn execute(
    profiler: &Profiler,
    submission: &Submission<'_>,
    event: Box<QueueEvent>,
    memory: &HostMemory,
    (program, table): (&Program, &[BindingEntry<'_>]),
) -> Result<()> {
    watch(profiler, submission, event, program.id.get(), |at, event| {
        let watch = Watch::of(profiler, event, program);
        let work = || program.run(table, memory, at.cancel, Some(&watch));
        at.run(|| work().while_doing(|| "executing a command buffer")).map(drop)
    })
}

#[cold]
pub(crate) fn alloca(
    profiler: &Profiler,
    submission: &Submission<'_>,
    event: Box<QueueEvent>,
    memory: &HostMemory,
    (allocator, alloca): (&Allocator, &Alloca<'_>),
) -> Result<Arc<Buffer>> {
    watch(profiler, submission, event, 0, |at, event| {
        let buffer = at.run_alloca(allocator, alloca)?;
        if buffer.is_committed() {
            let actions = [MemoryAction::Reserve, MemoryAction::Materialize, MemoryAction::Alloca];
            let pool = alloca.pool.map_or(0, |pool| Arc::as_ptr(pool).addr() as u64);
            record_memory(profiler, event, memory, (&buffer, pool), &actions);
        }
        Ok(buffer)
    })
}

#[cold]
pub(crate) fn dealloca(
    profiler: &Profiler,
    submission: &Submission<'_>,
    event: Box<QueueEvent>,
    memory: &HostMemory,
    buffer: &Buffer,
) -> Result<()> {
    watch(profiler, submission, event, 0, |at, event| {
        queue_ops::dealloca(at, buffer)?;
        if !buffer.is_committed() {
            let actions = [MemoryAction::Dealloca, MemoryAction::Release];
            record_memory(profiler, event, memory, (buffer, 0), &actions);
        }
        Ok(())
    })
}

/// One event for each step. No frontier is involved: memory is given back when all work that used it is over.
fn record_memory(
    profiler: &Profiler,
    event: &QueueEvent,
    memory: &HostMemory,
    (buffer, pool): (&Buffer, u64),
    actions: &[MemoryAction],
) {
    let statistics = memory.statistics();
    for &action in actions {
        profiler.record_memory(MemoryEvent {
            action,
            submission: event.submission,
            queue: event.queue,
            pool,
            allocation: std::ptr::from_ref(buffer).addr() as u64,
            length: buffer.byte_length(),
            reserved_length: memory.reserved_bytes(buffer.byte_length()),
            frontier_count: 0,
            live_bytes: statistics.device.live().saturating_add(statistics.host.live()),
            time_ns: now_ns(),
        });
    }
}

/// The signals stay with the call, which may answer later: so only the function is watched.
#[cold]
pub(crate) fn host_call(
    profiler: &Arc<Profiler>,
    submission: &Submission<'_>,
    mut event: Box<QueueEvent>,
    device: DeviceId,
    call: HostCall,
) -> Result<()> {
    if !wait(profiler, submission, &mut event) {
        return queue_ops::host_call(submission, device, call);
    }
    let (profiler, function) = (Arc::clone(profiler), call.function);
    let watched: Box<weft_hal::HostFunction> = Box::new(move |context, arguments| {
        let outcome = function(context, arguments);
        finish(&mut event, outcome.as_ref().err());
        profiler.record_done(*event, 0, Some(CALLING_THREAD));
        outcome
    });
    queue_ops::host_call(submission, device, HostCall { function: watched, ..call })
}

/// Who walks through a program with records, and for whom.
pub(crate) struct Watch<'a> {
    profiler: &'a Profiler,
    submission: u64,
    queue: u32,
    /// None for a dispatch without one.
    command_buffer: Option<u64>,
}

impl<'a> Watch<'a> {
    /// For the commands of a submission.
    pub(crate) fn of(profiler: &'a Profiler, event: &QueueEvent, program: &Program) -> Watch<'a> {
        let command_buffer = Some(program.id.get());
        Watch { profiler, submission: event.submission, queue: event.queue, command_buffer }
    }

    /// For commands that run before there is a submission.
    pub(crate) fn while_recording(profiler: &'a Profiler, command_buffer: u64) -> Watch<'a> {
        Watch { profiler, submission: 0, queue: 0, command_buffer: Some(command_buffer) }
    }

    /// Has `replay.rs` run one command at a time, and records each.
    pub(crate) fn run_commands(
        &self,
        program: &Program,
        slots: &[Pinned<'_>],
        local_base: *mut c_void,
        stop: impl Stop,
    ) -> Result<()> {
        for command in &program.commands {
            let mut event = self.event(command, slots);
            let kernel = match command {
                Command::Dispatch(dispatch) => Some(&program.kernels[dispatch.kernel as usize]),
                _ => None,
            };
            event.function = kernel.map_or(0, |kernel| kernel.ordinal);
            event.start_ns = now_ns();
            let outcome = program.run_commands(std::slice::from_ref(command), slots, local_base, stop);
            event.end_ns = now_ns();
            event.tile_ns = kernel.map_or(0, |_| event.end_ns - event.start_ns);
            event.failure = outcome.as_ref().err().map(Status::code);
            let executable = kernel.map(|kernel| &*kernel.executable);
            self.profiler.record_execution(event, executable);
            outcome?;
        }
        Ok(())
    }

    /// What is known of a command before it runs.
    fn event(&self, command: &Command, slots: &[Pinned<'_>]) -> ExecutionEvent {
        let (operation, index, target) = match command {
            Command::Dispatch(dispatch) => (OperationKind::Dispatch, dispatch.index, None),
            Command::Fill { target, index, .. } => (OperationKind::Fill, *index, Some(target)),
            Command::Update { target, index, .. } => (OperationKind::Update, *index, Some(target)),
            Command::Copy { source, index, .. } => (OperationKind::Copy, *index, Some(source)),
        };
        let mut event = ExecutionEvent::new(operation, self.submission, self.queue);
        event.worker = Some(CALLING_THREAD);
        event.command_buffer = self.command_buffer.unwrap_or(0);
        event.command_index = self.command_buffer.map(|_| index);
        event.payload_bytes = target.map_or(0, |range| bytes_of(range, slots).1 as u64);
        if let Command::Dispatch(dispatch) = command {
            event.tile_count = tile_count(dispatch, slots);
        }
        event
    }
}

/// Workgroups that the dispatch is about to run. Indirect counts that are refused are none.
fn tile_count(dispatch: &DispatchCommand, slots: &[Pinned<'_>]) -> u64 {
    let count = match &dispatch.indirect {
        None => dispatch.geometry.count,
        Some(source) => read_counts(bytes_of(source, slots)).unwrap_or([0; 3]),
    };
    count.into_iter().fold(1, |product: u64, axis| product.saturating_mul(u64::from(axis)))
}
