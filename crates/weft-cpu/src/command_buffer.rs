//! Command buffers of the local-sync device: a flat list of commands, resolved and replayed by `replay.rs`.
//!
//! What lives here: the recorder that makes a [`Program`] of validated commands, and the recorder that runs each command
//! while it is recorded. What does not: validation (`weft-hal`), execution (`replay.rs`).
//!
//! 1. Every operand becomes (source, offset, length). A *source* is a table slot or a buffer; each is looked up once a
//!    submission, however many commands use it. So a queue-allocated buffer that is not committed yet may be recorded.
//! 2. The program notes how many bytes of each source its commands use. A submission checks that once a source; after
//!    that no command can reach outside.
//! 3. Commands run in the order of recording, so barriers leave no trace.
//! 4. A finished program never changes: any number of submissions replay it at once.

use std::sync::Arc;

use weft_hal::profile::{Profiler, RecordingId};
use weft_hal::{
    BufferRange, CommandRecorder, Dispatch, Executable, Operand, Pattern, Place, Recording, WHOLE_BUFFER,
    WorkgroupCount,
};
use weft_sync::{CancelToken, Result, bail};

use crate::dispatch::{Geometry, GeometryRequest};
use crate::executable::{CpuExecutable, EntryPoint};
use crate::host_memory::HostMemory;
use crate::numbering::Numbering;
use crate::profiled::Watch;
use crate::replay::Callee;

/// Commands ready for replay.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) commands: Vec<Command>,
    pub(crate) sources: Vec<Source>,
    /// Bindings of all dispatches, one run a dispatch; equal neighbours share a run.
    pub(crate) bindings: Vec<Range>,
    /// Push constants of all dispatches.
    pub(crate) constants: Vec<u32>,
    /// Contents of all updates.
    pub(crate) bytes: Vec<u8>,
    /// What is called, each once.
    pub(crate) kernels: Vec<Kernel>,
    /// Most local memory that any dispatch needs.
    pub(crate) local_memory_bytes: u32,
    /// Commands that were recorded, also those that left no trace.
    pub(crate) recorded_count: u32,
    /// For profiles.
    pub(crate) id: RecordingId,
}

/// A program that is being recorded.
#[derive(Default)]
pub(crate) struct ProgramBuilder {
    program: Program,
    /// Numbers of `program.sources`.
    sources: Numbering<SourceKey>,
    /// Numbers of `program.kernels`, by executable and ordinal.
    kernels: Numbering<(usize, u32)>,
}

/// What makes a source the same source. Buffers are retained by the program, so their addresses are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SourceKey {
    Slot(u32),
    Buffer(usize),
}

/// A function that is called, and the executable that keeps it loaded.
pub(crate) struct Kernel {
    pub(crate) executable: Arc<Executable>,
    pub(crate) entry: EntryPoint,
    pub(crate) ordinal: u32,
    pub(crate) checks_lengths: bool,
}

/// Where bytes come from, looked up once a submission.
pub(crate) struct Source {
    pub(crate) place: SourcePlace,
    /// Commands use the bytes before this.
    pub(crate) extent: u64,
}

pub(crate) enum SourcePlace {
    /// An entry of the table.
    Slot(u32),
    /// A buffer, perhaps not committed yet. Retained.
    Buffer(Arc<weft_hal::Buffer>),
}

/// A range of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) source: u32,
    pub(crate) offset: u64,
    /// `WHOLE_BUFFER`: to the end of the source.
    pub(crate) length: u64,
}

/// One step.
pub(crate) enum Command {
    Dispatch(DispatchCommand),
    Fill {
        target: Range,
        pattern: Pattern,
        index: u32,
    },
    Update {
        target: Range,
        start: usize,
        length: usize,
        index: u32,
    },
    /// As many bytes as the source range has.
    Copy {
        source: Range,
        target: Range,
        index: u32,
    },
}

/// Everything that a dispatch needs and that a submission cannot change.
pub(crate) struct DispatchCommand {
    /// What is called; copied here so that the loop reads one place only.
    pub(crate) callee: Callee,
    pub(crate) geometry: Geometry,
    /// Where counts are read at run time, if they are not in `geometry`.
    pub(crate) indirect: Option<Box<Range>>,
    pub(crate) constants_start: u32,
    pub(crate) bindings_start: u32,
    /// Index in `kernels`.
    pub(crate) kernel: u32,
    /// Position among all commands that were recorded, for profiles.
    pub(crate) index: u32,
    pub(crate) constant_count: u16,
    pub(crate) binding_count: u8,
    /// The kernel has demands on binding lengths.
    pub(crate) checks_lengths: bool,
}

impl Recording for Program {
    fn id(&self) -> u64 {
        self.id.get()
    }
}

impl Program {
    /// The program behind a recording. INVALID_ARGUMENT for a recording of another kind of device.
    #[inline]
    pub(crate) fn of(recording: &dyn Recording) -> Result<&Program> {
        let any: &dyn std::any::Any = recording;
        match any.downcast_ref() {
            Some(program) => Ok(program),
            None => bail!(InvalidArgument, "the command buffer was recorded for another kind of device"),
        }
    }
}

impl ProgramBuilder {
    /// What was recorded so far.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The finished program.
    pub(crate) fn finish(self) -> Program {
        self.program
    }

    /// The position of the next command among all.
    pub(crate) fn count(&mut self) -> u32 {
        let index = self.program.recorded_count;
        self.program.recorded_count = index.saturating_add(1);
        index
    }

    /// Forgets all commands, keeps the room for them and their count.
    fn clear(&mut self) {
        self.sources.clear();
        self.kernels.clear();
        let program = &mut self.program;
        program.commands.clear();
        program.sources.clear();
        program.bindings.clear();
        program.constants.clear();
        program.bytes.clear();
        program.kernels.clear();
        program.local_memory_bytes = 0;
    }

    pub(crate) fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        let target = self.range(target)?;
        let index = self.count();
        self.program.commands.push(Command::Fill { target, pattern, index });
        Ok(())
    }

    pub(crate) fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        let target = self.range(target)?;
        let start = self.program.bytes.len();
        self.program.bytes.extend_from_slice(source);
        let index = self.count();
        self.program.commands.push(Command::Update { target, start, length: source.len(), index });
        Ok(())
    }

    pub(crate) fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        let (source, target) = (self.range(source)?, self.range(target)?);
        let index = self.count();
        self.program.commands.push(Command::Copy { source, target, index });
        Ok(())
    }

    pub(crate) fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        let kernel = self.kernel(dispatch)?;
        let Kernel { entry, checks_lengths, .. } = self.program.kernels[kernel as usize];
        let count = match dispatch.workgroup_count {
            WorkgroupCount::Direct(count) => count,
            // Read and checked when the command runs.
            WorkgroupCount::IndirectStatic(_) | WorkgroupCount::IndirectDynamic(_) => [1; 3],
        };
        let request = GeometryRequest {
            size: dispatch.workgroup_size,
            count,
            local_memory_bytes: dispatch.local_memory_bytes,
        };
        let geometry = Geometry::resolve(&entry.attributes, &request)?;
        self.program.local_memory_bytes = self.program.local_memory_bytes.max(geometry.local_memory_bytes);
        let indirect = match dispatch.workgroup_count.source() {
            None => None,
            Some(source) => {
                let counts = Operand { length: size_of::<[u32; 3]>() as u64, ..*source };
                Some(Box::new(self.range(&counts.place()?)?))
            }
        };
        let command = DispatchCommand {
            callee: Callee::new(&entry),
            geometry,
            indirect,
            constants_start: checked_index(self.program.constants.len())?,
            bindings_start: self.push_bindings(dispatch.bindings)?,
            kernel,
            index: self.count(),
            // The front compared both with the function's own, which are bytes.
            constant_count: dispatch.constants.len() as u16,
            binding_count: dispatch.bindings.len() as u8,
            checks_lengths,
        };
        self.program.constants.extend_from_slice(dispatch.constants);
        self.program.commands.push(Command::Dispatch(command));
        Ok(())
    }

    /// Adds a run of bindings; equal to the last run, it is that one.
    fn push_bindings(&mut self, bindings: &[Operand<'_>]) -> Result<u32> {
        let start = self.program.bindings.len();
        for operand in bindings {
            let range = self.range(&operand.place()?)?;
            self.program.bindings.push(range);
        }
        let last = start.saturating_sub(bindings.len());
        if !bindings.is_empty()
            && start >= bindings.len()
            && self.program.bindings[last..start] == self.program.bindings[start..]
        {
            self.program.bindings.truncate(start);
            return checked_index(last);
        }
        checked_index(start)
    }

    fn kernel(&mut self, dispatch: &Dispatch<'_>) -> Result<u32> {
        // The front checked that the function exists, so it fits.
        let ordinal = dispatch.function.0 as u32;
        let key = (std::ptr::from_ref(dispatch.executable).addr(), ordinal);
        if let Some(known) = self.kernels.find(key) {
            return checked_index(known);
        }
        let Some(loaded) = dispatch.executable.backend::<CpuExecutable>() else {
            bail!(InvalidArgument, "the executable was prepared for another kind of device");
        };
        let checks_lengths = loaded.export(ordinal)?.bindings.is_some();
        let Some(&entry) = loaded.entry(ordinal) else {
            bail!(OutOfRange, "function {ordinal} has no entry point");
        };
        let executable = dispatch.executable.retain();
        self.program.kernels.push(Kernel { executable, entry, ordinal, checks_lengths });
        self.kernels.push(key);
        checked_index(self.program.kernels.len() - 1)
    }

    fn range(&mut self, place: &Place<'_>) -> Result<Range> {
        let (offset, length) = match *place {
            Place::Direct(BufferRange { offset, length, .. }) | Place::Slot { offset, length, .. } => {
                (offset, length)
            }
        };
        let source = self.source(place)?;
        let Some(end) = offset.checked_add(if length == WHOLE_BUFFER { 0 } else { length }) else {
            bail!(OutOfRange, "range of {length} bytes at offset {offset} exceeds 64 bits");
        };
        let extent = &mut self.program.sources[source as usize].extent;
        *extent = end.max(*extent);
        Ok(Range { source, offset, length })
    }

    fn source(&mut self, place: &Place<'_>) -> Result<u32> {
        let key = match place {
            Place::Slot { slot, .. } => SourceKey::Slot(*slot),
            Place::Direct(range) => SourceKey::Buffer(std::ptr::from_ref(range.buffer).addr()),
        };
        if let Some(known) = self.sources.find(key) {
            return checked_index(known);
        }
        let place = match place {
            Place::Slot { slot, .. } => SourcePlace::Slot(*slot),
            Place::Direct(range) => SourcePlace::Buffer(range.buffer.retain()),
        };
        self.program.sources.push(Source { place, extent: 0 });
        self.sources.push(key);
        checked_index(self.program.sources.len() - 1)
    }
}

fn checked_index(index: usize) -> Result<u32> {
    match u32::try_from(index) {
        Ok(index) => Ok(index),
        Err(_) => bail!(ResourceExhausted, "a command buffer holds at most 2^32 of anything"),
    }
}

/// Records for later.
#[derive(Default)]
pub(crate) struct DeferredRecorder {
    builder: ProgramBuilder,
}

impl CommandRecorder for DeferredRecorder {
    fn barrier(&mut self) -> Result<()> {
        self.skip();
        Ok(())
    }

    fn skip(&mut self) {
        self.builder.count();
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.builder.fill(target, pattern)
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.builder.update(source, target)
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        self.builder.copy(source, target)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.builder.dispatch(dispatch)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        Ok(Box::new(self.builder.finish()))
    }
}

/// Runs each command at once; what is submitted later is empty.
pub(crate) struct InlineRecorder {
    /// Holds one command at a time.
    builder: ProgramBuilder,
    memory: HostMemory,
    /// If the device was being profiled when recording began.
    profiler: Option<Arc<Profiler>>,
    /// Of the call that records.
    cancel: Option<CancelToken>,
}

impl InlineRecorder {
    pub(crate) fn new(memory: HostMemory, profiler: Option<Arc<Profiler>>) -> InlineRecorder {
        InlineRecorder { builder: ProgramBuilder::default(), memory, profiler, cancel: None }
    }

    fn run(&mut self, record: impl FnOnce(&mut ProgramBuilder) -> Result<()>) -> Result<()> {
        let recorded = record(&mut self.builder);
        let program = self.builder.program();
        let watch = self.profiler.as_deref();
        let watch = watch.map(|profiler| Watch::while_recording(profiler, program.id.get()));
        let (memory, cancel) = (&self.memory, self.cancel.as_ref());
        // Counted: whoever waits for the work of the token waits for this.
        let _work = cancel.map(CancelToken::work);
        let outcome = recorded.and_then(|()| program.run(&[], memory, cancel, watch.as_ref()));
        self.builder.clear();
        outcome
    }
}

impl Kernel {
    /// What was going on when a dispatch of it failed.
    #[cold]
    pub(crate) fn dispatching(&self) -> String {
        let export = self.loaded().and_then(|loaded| loaded.export(self.ordinal));
        format!("dispatching kernel `{}`", export.map_or("?", |export| &export.name))
    }

    /// The loaded code behind the kernel.
    pub(crate) fn loaded(&self) -> Result<&CpuExecutable> {
        match self.executable.backend::<CpuExecutable>() {
            Some(loaded) => Ok(loaded),
            None => bail!(Internal, "the executable was loaded when the kernel was recorded"),
        }
    }
}

impl CommandRecorder for InlineRecorder {
    fn cancelled_by(&mut self, token: &CancelToken) {
        self.cancel = Some(token.clone());
    }

    fn barrier(&mut self) -> Result<()> {
        self.skip();
        Ok(())
    }

    fn skip(&mut self) {
        self.builder.count();
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.run(|builder| builder.fill(target, pattern))
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.run(|builder| builder.update(source, target))
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        self.run(|builder| builder.copy(source, target))
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.run(|builder| builder.dispatch(dispatch))
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        let Program { id, recorded_count, .. } = self.builder.finish();
        Ok(Box::new(Program { id, recorded_count, ..Program::default() }))
    }
}
