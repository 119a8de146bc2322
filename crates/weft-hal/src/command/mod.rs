//! Command buffers: recorded once, checked once, submitted with a table.
//!
//! What lives here: [`CommandBuffer`], which owns the recording state and all validation, and the
//! [`CommandRecorder`] that a device provides for the commands that passed. What does not: execution.
//!
//! State machine: created → (`begin`) → recording → (`end`) → finished. Commands are accepted while recording,
//! submissions when finished; everything else is FAILED_PRECONDITION. What was recorded never changes afterwards, so a
//! finished buffer is submitted from any number of threads at once without a lock.

mod flags;
mod operand;
mod requirement;

pub use flags::{
    AccessScope, CollectiveElement, CollectiveKind, CollectiveReduction, CommandBufferMode, CommandCategory,
    DispatchFlags, ExecutionStage,
};
pub use operand::{BindingEntry, Dispatch, Operand, OwnedPlace, Place, Region, WorkgroupCount};
pub(crate) use requirement::Use;

use std::any::Any;
use std::sync::OnceLock;

use weft_sync::atomic::{AtomicBool, Mutex, Ordering, lock};
use weft_sync::{CancelToken, Result, bail};

use crate::buffer::Overlap;
use crate::event::{Channel, Event};
use crate::memory::{QueueAffinity, UPDATE_BYTES_MAX, WHOLE_BUFFER};
use crate::validate::{self, Pattern};
use requirement::Requirements;

/// Bindings that one dispatch may have: executables cannot address more.
pub const BINDINGS_MAX: usize = 32;

/// What a command buffer is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandBufferParams {
    /// How it will be used.
    pub mode: CommandBufferMode,
    /// Commands that may be recorded.
    pub categories: CommandCategory,
    /// Queues that may run it.
    pub affinity: QueueAffinity,
    /// Slots that commands may refer to.
    pub binding_capacity: u32,
}

/// Takes validated commands and makes of them what its device runs. Operands were checked; `Operand::place` succeeds.
pub trait CommandRecorder: Send {
    /// Everything before is visible to everything after.
    fn barrier(&mut self) -> Result<()>;
    /// Repeats the pattern over the target.
    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()>;
    /// Writes the bytes, which are copied now.
    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()>;
    /// Copies as many bytes as the source has; the target has at least as many.
    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()>;
    /// Runs workgroups of a kernel. Counts of 0 never get here.
    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()>;
    /// Recorders that run commands at once stop when this token is cancelled.
    fn cancelled_by(&mut self, token: &CancelToken) {
        let _ = token;
    }
    /// A command without effect, such as one of length 0: only counted.
    fn skip(&mut self) {}
    /// A label for tools.
    fn begin_debug_group(&mut self, label: &str) {
        let _ = label;
    }
    /// Ends the innermost label.
    fn end_debug_group(&mut self) {}
    /// Ends the recording.
    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>>;
}

/// What a device made of a recording: immutable, run any number of times at once.
pub trait Recording: Any + Send + Sync {
    /// The number by which profiles tell recordings apart; 0 on devices that make none.
    fn id(&self) -> u64 {
        0
    }

    /// What the device made of it, as text for people. `None` on devices that keep it in no form worth showing.
    fn describe(&self) -> Option<String> {
        None
    }
}

/// A sequence of commands.
pub struct CommandBuffer {
    params: CommandBufferParams,
    state: Mutex<State>,
    finished: OnceLock<Finished>,
    submitted: AtomicBool,
}

enum State {
    Created(Box<dyn CommandRecorder>),
    Recording(Active),
    Finished,
}

/// A recording under way.
struct Active {
    recorder: Box<dyn CommandRecorder>,
    requirements: Requirements,
    debug_depth: usize,
    debug_unbalanced: bool,
}

/// A finished recording.
pub(crate) struct Finished {
    requirements: Requirements,
    recording: Box<dyn Recording>,
}

impl Active {
    fn skip(&mut self) -> Result<()> {
        self.recorder.skip();
        Ok(())
    }
}

impl CommandBuffer {
    /// A command buffer over a device's recorder. Use `Device::create_command_buffer`.
    pub(crate) fn new(params: CommandBufferParams, recorder: Box<dyn CommandRecorder>) -> CommandBuffer {
        CommandBuffer {
            params,
            state: Mutex::new(State::Created(recorder)),
            finished: OnceLock::new(),
            submitted: AtomicBool::new(false),
        }
    }

    /// Checks what a command buffer is asked to be.
    pub(crate) fn check_params(params: &CommandBufferParams) -> Result<()> {
        let inline = params.mode.contains(CommandBufferMode::ALLOW_INLINE_EXECUTION);
        if inline && !(params.mode.contains(CommandBufferMode::ONE_SHOT) && params.binding_capacity == 0) {
            bail!(
                InvalidArgument,
                "inline execution needs a one-shot command buffer without bindings; mode is {}, binding capacity {}",
                params.mode,
                params.binding_capacity
            );
        }
        Ok(())
    }

    /// What it was made for.
    pub fn params(&self) -> &CommandBufferParams {
        &self.params
    }

    /// The number by which profiles know its commands, once it is finished; 0 before, and on devices that make none.
    pub fn id(&self) -> u64 {
        self.finished.get().map_or(0, |finished| finished.recording.id())
    }

    /// What the device made of the commands, once it is finished, as text for people. `None` before, and on devices that
    /// keep them in no form worth showing.
    pub fn describe(&self) -> Option<String> {
        self.finished.get()?.recording.describe()
    }

    /// Commands that run while they are recorded (`ALLOW_INLINE_EXECUTION`) end with CANCELLED once this token is cancelled.
    /// Commands that run when they are submitted go by the token of the submission.
    pub fn cancelled_by(&self, token: &CancelToken) {
        if let State::Created(recorder) | State::Recording(Active { recorder, .. }) = &mut *lock(&self.state)
        {
            recorder.cancelled_by(token);
        }
    }

    /// Starts recording.
    pub fn begin(&self) -> Result<()> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Finished) {
            State::Created(recorder) => {
                let requirements = Requirements::default();
                *state = State::Recording(Active {
                    recorder,
                    requirements,
                    debug_depth: 0,
                    debug_unbalanced: false,
                });
                Ok(())
            }
            other => {
                *state = other;
                bail!(FailedPrecondition, "the command buffer was begun before");
            }
        }
    }

    /// Ends recording; from now on it can be submitted.
    pub fn end(&self) -> Result<()> {
        let mut state = lock(&self.state);
        let State::Recording(active) = &*state else {
            bail!(FailedPrecondition, "the command buffer is not being recorded");
        };
        if active.debug_depth != 0 || active.debug_unbalanced {
            bail!(FailedPrecondition, "debug groups are not balanced; {} are open", active.debug_depth);
        }
        let State::Recording(active) = std::mem::replace(&mut *state, State::Finished) else {
            unreachable!("looked at above, under the same lock");
        };
        let recording = active.recorder.finish()?;
        let finished = Finished { requirements: active.requirements, recording };
        assert!(self.finished.set(finished).is_ok(), "a command buffer is finished once");
        Ok(())
    }

    fn record(
        &self,
        category: CommandCategory,
        command: impl FnOnce(&mut Active) -> Result<()>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        let State::Recording(active) = &mut *state else {
            bail!(FailedPrecondition, "the command buffer is not being recorded");
        };
        if !self.params.categories.contains(category) {
            bail!(
                FailedPrecondition,
                "a {category} command in a command buffer made for {}",
                self.params.categories
            );
        }
        command(active)
    }

    /// Orders everything before against everything after, and makes its writes visible.
    pub fn barrier(&self, source: ExecutionStage, target: ExecutionStage) -> Result<()> {
        let _ = (source, target);
        self.record(CommandCategory::empty(), |active| active.recorder.barrier())
    }

    /// A hint about a buffer's use.
    pub fn advise(&self, operand: &Operand<'_>) -> Result<()> {
        let _ = operand;
        self.record(CommandCategory::empty(), Active::skip)
    }

    /// Signals an event. No effect on CPU devices: recordings run in order.
    pub fn signal_event(&self, event: &Event) -> Result<()> {
        let _ = event;
        self.record(CommandCategory::empty(), Active::skip)
    }

    /// Resets an event. No effect on CPU devices.
    pub fn reset_event(&self, event: &Event) -> Result<()> {
        self.signal_event(event)
    }

    /// Waits for events: a barrier on CPU devices.
    pub fn wait_events(&self, events: &[&Event]) -> Result<()> {
        let _ = events;
        self.barrier(ExecutionStage::all(), ExecutionStage::all())
    }

    /// Opens a labelled group.
    pub fn begin_debug_group(&self, label: &str) -> Result<()> {
        self.record(CommandCategory::empty(), |active| {
            active.debug_depth += 1;
            active.recorder.begin_debug_group(label);
            Ok(())
        })
    }

    /// Closes the innermost group. Closing more than were opened shows at `end`.
    pub fn end_debug_group(&self) -> Result<()> {
        self.record(CommandCategory::empty(), |active| {
            match active.debug_depth.checked_sub(1) {
                Some(depth) => {
                    active.debug_depth = depth;
                    active.recorder.end_debug_group();
                }
                None => active.debug_unbalanced = true,
            }
            Ok(())
        })
    }

    /// Repeats a pattern of 1, 2 or 4 bytes, the low bytes of `bits`, over the target.
    pub fn fill(&self, target: &Operand<'_>, bits: u64, pattern_length: u64) -> Result<()> {
        self.record(CommandCategory::TRANSFER, |active| {
            let pattern = Pattern::new(bits, pattern_length)?;
            if target.length == 0 {
                return active.skip();
            }
            let multiple = u64::from(pattern.length);
            let need = Use { offset_multiple: multiple, length_multiple: multiple, ..Use::TRANSFER_TARGET };
            pattern.check_range(target.offset, target.length)?;
            let place = self.check(active, target, &need)?;
            if let Place::Direct(range) = &place {
                pattern.check_range(0, range.length)?;
            }
            active.recorder.fill(&place, pattern)
        })
    }

    /// Writes bytes, at most 64 KiB of them, which are copied now.
    pub fn update(&self, source: &[u8], target: &Operand<'_>) -> Result<()> {
        if source.len() as u64 > UPDATE_BYTES_MAX {
            bail!(InvalidArgument, "update of {} bytes, at most {UPDATE_BYTES_MAX}", source.len());
        }
        self.update_any_length(source, target)
    }

    /// Writes bytes, which are copied now, without the limit of [`CommandBuffer::update`]: programs may pass any length.
    pub fn update_any_length(&self, source: &[u8], target: &Operand<'_>) -> Result<()> {
        let length = source.len() as u64;
        self.record(CommandCategory::TRANSFER, |active| {
            if length == 0 {
                return active.skip();
            }
            if target.length != length && target.length != WHOLE_BUFFER {
                bail!(InvalidArgument, "update of {length} bytes into a range of {}", target.length);
            }
            let target = Operand { length, ..*target };
            let place = self.check(active, &target, &Use::TRANSFER_TARGET)?;
            active.recorder.update(source, &place)
        })
    }

    /// Copies. Lengths are equal, or the target's is `WHOLE_BUFFER` for "as many as the source".
    pub fn copy(&self, source: &Operand<'_>, target: &Operand<'_>) -> Result<()> {
        self.record(CommandCategory::TRANSFER, |active| {
            if source.length != target.length && target.length != WHOLE_BUFFER {
                bail!(InvalidArgument, "copy of {} bytes into a range of {}", source.length, target.length);
            }
            if source.length == 0 {
                return active.skip();
            }
            let from = self.check(active, source, &Use::TRANSFER_SOURCE)?;
            // A direct source knows its length now; so must the target.
            let target = Operand { length: from.length(), ..*target };
            let to = self.check(active, &target, &Use::TRANSFER_TARGET)?;
            match (&from, &to) {
                (Place::Direct(from), Place::Direct(to)) => {
                    if from.overlap(to) != Overlap::Disjoint {
                        bail!(InvalidArgument, "copy of {} bytes overlaps its source", from.length);
                    }
                }
                _ => active.requirements.note_copy(&from, &to),
            }
            active.recorder.copy(&from, &to)
        })
    }

    /// Runs workgroups of a kernel.
    pub fn dispatch(&self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.record(CommandCategory::DISPATCH, |active| {
            let function = validate::dispatch(dispatch)?;
            for (operand, need) in validate::binding_uses(function, dispatch) {
                self.check(active, operand, &need)?;
            }
            if let Some(source) = dispatch.workgroup_count.source() {
                validate::indirect_counts(source)?;
                let at_least = Operand { length: validate::INDIRECT_COUNT_BYTES, ..*source };
                self.check(active, &at_least, &Use::WORKGROUP_COUNTS)?;
            }
            if let WorkgroupCount::Direct(count) = dispatch.workgroup_count
                && count.contains(&0)
            {
                return active.skip();
            }
            active.recorder.dispatch(dispatch)
        })
    }

    /// Collectives need channels, which CPU devices do not have.
    pub fn collective(&self, channel: &Channel) -> Result<()> {
        let _ = channel;
        self.record(CommandCategory::DISPATCH, |_| bail!(Unimplemented, "collectives not implemented"))
    }

    /// Checks an operand: a buffer now, a slot at each submission.
    fn check<'a>(&self, active: &mut Active, operand: &Operand<'a>, need: &Use) -> Result<Place<'a>> {
        let place = match operand.buffer {
            Some(buffer) => {
                need.check(buffer)?;
                operand.place()?
            }
            None => {
                if operand.slot >= self.params.binding_capacity {
                    let (slot, capacity) = (operand.slot, self.params.binding_capacity);
                    bail!(OutOfRange, "slot {slot} of a command buffer with binding capacity {capacity}");
                }
                active.requirements.note(operand.slot, need, operand.offset, operand.length)?;
                operand.place()?
            }
        };
        Ok(place)
    }

    /// Checks one submission. On success the caller submits; a one-shot buffer is used up then.
    pub(crate) fn check_submission<'a>(
        &'a self,
        table: Option<&'a [BindingEntry<'a>]>,
        has_waits: bool,
    ) -> Result<(&'a dyn Recording, &'a [BindingEntry<'a>])> {
        let Some(finished) = self.finished.get() else {
            bail!(FailedPrecondition, "the command buffer is not finished");
        };
        if has_waits && self.params.mode.contains(CommandBufferMode::ALLOW_INLINE_EXECUTION) {
            bail!(InvalidArgument, "a command buffer for inline execution cannot wait");
        }
        let table = match table {
            _ if !finished.requirements.needs_table() => &[],
            Some(table) => table,
            None => bail!(InvalidArgument, "the command buffer refers to slots; a binding table is required"),
        };
        finished.requirements.check(table)?;
        if self.params.mode.contains(CommandBufferMode::ONE_SHOT)
            && self.submitted.swap(true, Ordering::Relaxed)
        {
            bail!(FailedPrecondition, "a one-shot command buffer was submitted before");
        }
        Ok((&*finished.recording, table))
    }
}

impl std::fmt::Debug for CommandBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandBuffer")
            .field("params", &self.params)
            .field("finished", &self.finished.get().is_some())
            .finish()
    }
}
