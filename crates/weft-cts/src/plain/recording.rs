//! Command buffers of the plain device: recorded once more for the inline device, which runs them.

use std::sync::Arc;

use weft_hal::{
    CommandBuffer, CommandRecorder, Dispatch, ExecutionStage, Operand, Pattern, Place, Recording,
};
use weft_sync::Result;

/// A recording of the inline device.
pub(super) struct Recorded(pub(super) Arc<CommandBuffer>);

impl Recording for Recorded {}

fn operand<'a>(place: &Place<'a>) -> Operand<'a> {
    match *place {
        Place::Direct(range) => Operand::direct(range.buffer, range.offset, range.length),
        Place::Slot { slot, offset, length } => Operand::slot(slot, offset, length),
    }
}

impl CommandRecorder for Recorded {
    fn barrier(&mut self) -> Result<()> {
        self.0.barrier(ExecutionStage::all(), ExecutionStage::all())
    }

    fn fill(&mut self, target: &Place<'_>, pattern: Pattern) -> Result<()> {
        self.0.fill(&operand(target), pattern.repeated.into(), pattern.length.into())
    }

    fn update(&mut self, source: &[u8], target: &Place<'_>) -> Result<()> {
        self.0.update_any_length(source, &operand(target))
    }

    fn copy(&mut self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        let mut target = operand(target);
        target.length = source.length();
        self.0.copy(&operand(source), &target)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.0.dispatch(dispatch)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Recording>> {
        self.0.end()?;
        Ok(self)
    }
}
