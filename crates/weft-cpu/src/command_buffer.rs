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

use weft_hal::{
    BufferRange, CommandRecorder, Dispatch, Executable, Operand, Pattern, Place, Recording, WHOLE_BUFFER,
    WorkgroupCount,
};
use weft_sync::{Result, bail};

use crate::dispatch::{Geometry, GeometryRequest};
use crate::executable::{CpuExecutable, EntryPoint};
use crate::host_memory::HostMemory;

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
}

/// A function that is called, and the executable that keeps it loaded.
pub(crate) struct Kernel {
    pub(crate) executable: Arc<Executable>,
    pub(crate) entry: EntryPoint,
    pub(crate) ordinal: u32,
    /// The executable has demands on binding lengths.
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
    },
    Update {
        target: Range,
        start: usize,
        length: usize,
    },
    /// As many bytes as the source range has.
    Copy {
        source: Range,
        target: Range,
    },
}

/// Everything that a dispatch needs and that a submission cannot change.
pub(crate) struct DispatchCommand {
    pub(crate) geometry: Geometry,
    /// Where counts are read at run time, if they are not in `geometry`.
    pub(crate) indirect: Option<Box<Range>>,
    pub(crate) constants_start: u32,
    pub(crate) bindings_start: u32,
    /// Index in `kernels`.
    pub(crate) kernel: u32,
    pub(crate) constant_count: u16,
    pub(crate) binding_count: u8,
}

impl Recording for Program {}

impl Program {
    /// Forgets all commands, keeps the room for them.
    pub(crate) fn clear(&mut self) {
        self.commands.clear();
        self.sources.clear();
        self.bindings.clear();
        self.constants.clear();
        self.bytes.clear();
        self.kernels.clear();
        self.local_memory_bytes = 0;
    }

    pub(crate) fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        let target = self.range(target)?;
        self.commands.push(Command::Fill { target, pattern });
        Ok(())
    }

    pub(crate) fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        let target = self.range(target)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(source);
        self.commands.push(Command::Update { target, start, length: source.len() });
        Ok(())
    }

    pub(crate) fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        let (source, target) = (self.range(source)?, self.range(target)?);
        self.commands.push(Command::Copy { source, target });
        Ok(())
    }

    pub(crate) fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        let kernel = self.kernel(dispatch)?;
        let attributes = self.kernels[kernel as usize].entry.attributes;
        let (count, indirect) = match dispatch.workgroup_count {
            WorkgroupCount::Direct(count) => (count, None),
            WorkgroupCount::IndirectStatic(source) | WorkgroupCount::IndirectDynamic(source) => {
                let source = Operand { length: size_of::<[u32; 3]>() as u64, ..source };
                ([1; 3], Some(Box::new(self.range(&source.place()?)?)))
            }
        };
        let request = GeometryRequest {
            size: dispatch.workgroup_size,
            count,
            local_memory_bytes: dispatch.local_memory_bytes,
        };
        let geometry = Geometry::resolve(&attributes, &request)?;
        self.local_memory_bytes = self.local_memory_bytes.max(geometry.local_memory_bytes);
        let command = DispatchCommand {
            geometry,
            indirect,
            constants_start: checked_index(self.constants.len())?,
            bindings_start: self.push_bindings(dispatch.bindings)?,
            kernel,
            // The front compared both with the function's own, which are bytes.
            constant_count: dispatch.constants.len() as u16,
            binding_count: dispatch.bindings.len() as u8,
        };
        self.constants.extend_from_slice(dispatch.constants);
        self.commands.push(Command::Dispatch(command));
        Ok(())
    }

    /// Adds a run of bindings; equal to the last run, it is that one.
    fn push_bindings(&mut self, bindings: &[Operand<'_>]) -> Result<u32> {
        let start = self.bindings.len();
        for operand in bindings {
            let range = self.range(&operand.place()?)?;
            self.bindings.push(range);
        }
        let last = start.saturating_sub(bindings.len());
        if !bindings.is_empty()
            && start >= bindings.len()
            && self.bindings[last..start] == self.bindings[start..]
        {
            self.bindings.truncate(start);
            return checked_index(last);
        }
        checked_index(start)
    }

    fn kernel(&mut self, dispatch: &Dispatch<'_>) -> Result<u32> {
        // The front checked that the function exists, so it fits.
        let ordinal = dispatch.function.0 as u32;
        let same = |kernel: &Kernel| {
            kernel.ordinal == ordinal && std::ptr::eq(&*kernel.executable, dispatch.executable)
        };
        if let Some(known) = self.kernels.iter().rposition(same) {
            return checked_index(known);
        }
        let Some(loaded) = dispatch.executable.backend::<CpuExecutable>() else {
            bail!(InvalidArgument, "the executable was prepared for another kind of device");
        };
        let checks_lengths = loaded.export(ordinal)?.bindings.is_some();
        let Some(&entry) = loaded.entry(ordinal) else {
            bail!(OutOfRange, "function {ordinal} has no entry point");
        };
        self.kernels.push(Kernel {
            executable: dispatch.executable.retain(),
            entry,
            ordinal,
            checks_lengths,
        });
        checked_index(self.kernels.len() - 1)
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
        let extent = &mut self.sources[source as usize].extent;
        *extent = end.max(*extent);
        Ok(Range { source, offset, length })
    }

    /// Sources are few and the last ones are the likely ones.
    fn source(&mut self, place: &Place<'_>) -> Result<u32> {
        let same = |source: &Source| match (&source.place, place) {
            (SourcePlace::Slot(known), Place::Slot { slot, .. }) => known == slot,
            (SourcePlace::Buffer(known), Place::Direct(range)) => std::ptr::eq(&**known, range.buffer),
            _ => false,
        };
        if let Some(known) = self.sources.iter().rposition(same) {
            return checked_index(known);
        }
        let place = match place {
            Place::Slot { slot, .. } => SourcePlace::Slot(*slot),
            Place::Direct(range) => SourcePlace::Buffer(range.buffer.retain()),
        };
        self.sources.push(Source { place, extent: 0 });
        checked_index(self.sources.len() - 1)
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
    program: Program,
}

impl CommandRecorder for DeferredRecorder {
    fn barrier(&mut self) -> Result<()> {
        Ok(())
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.program.fill(target, pattern)
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.program.update(source, target)
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        self.program.copy(source, target)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.program.dispatch(dispatch)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        Ok(Box::new(self.program))
    }
}

/// Runs each command at once; what is submitted later is empty.
pub(crate) struct InlineRecorder {
    /// Holds one command at a time.
    program: Program,
    memory: HostMemory,
}

impl InlineRecorder {
    pub(crate) fn new(memory: HostMemory) -> InlineRecorder {
        InlineRecorder { program: Program::default(), memory }
    }

    fn run(&mut self, record: impl FnOnce(&mut Program) -> Result<()>) -> Result<()> {
        let outcome = record(&mut self.program).and_then(|()| self.program.run(&[], &self.memory));
        self.program.clear();
        outcome
    }
}

impl Kernel {
    /// The loaded code behind the kernel.
    pub(crate) fn loaded(&self) -> Result<&CpuExecutable> {
        match self.executable.backend::<CpuExecutable>() {
            Some(loaded) => Ok(loaded),
            None => bail!(Internal, "the executable was loaded when the kernel was recorded"),
        }
    }
}

impl CommandRecorder for InlineRecorder {
    fn barrier(&mut self) -> Result<()> {
        Ok(())
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.run(|program| program.fill(target, pattern))
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.run(|program| program.update(source, target))
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        self.run(|program| program.copy(source, target))
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.run(|program| program.dispatch(dispatch))
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        Ok(Box::new(Program::default()))
    }
}
