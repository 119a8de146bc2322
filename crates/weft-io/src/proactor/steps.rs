//! Sequences: one step after the other, in the sequence's own slot.
//!
//! 1. The sequence lies in its entry while a step is under way; the step is wherever its kind puts it. So whatever is
//!    known of the slot is about the step, and a cancel of the sequence is one of its step.
//! 2. The mark of a cancel stays in the slot's word: it is looked at before a step starts, which is before and after the
//!    function was asked. So a cancel that finds no step to end still ends the sequence.
//! 3. A step that does nothing needs no kernel to do it: it ends when its turn comes.
//! 4. The function may have changed the next step, or put another in its place: it is checked, and prepared, like one that
//!    is submitted. One that is refused ends the sequence with the reason, and stays in it.
//! 5. The function's panic is a failure of the sequence, as an error of it would be; it does not leave the poll. So is that
//!    of memory of the next step, which is asked for its spans again.
//! 6. Each step counts as a completion; the end of the sequence does not, unless it has no steps.

use super::core::Core;
use super::panics::attempt;
use crate::ops::{Kind, Sequence};
use crate::record::Erased;
use weft_sync::{Result, Status, bail};

impl Core {
    pub(super) fn begin_sequence(&mut self, slot: u32, mut operation: Erased) {
        match Core::sequence(&mut operation).take_step() {
            Some(step) => self.begin_step(slot, operation, step),
            None => self.conclude(slot, operation, Ok(0)),
        }
    }

    fn begin_step(&mut self, slot: u32, operation: Erased, step: Erased) {
        self.entry(slot).sequence = Some(operation);
        match step.kind() {
            // Rule 3.
            Kind::Nop => self.conclude(slot, step, Ok(0)),
            _ => self.dispatch(slot, step),
        }
    }

    fn sequence(operation: &mut Erased) -> &mut Sequence {
        operation.params_mut().expect("only sequences have steps")
    }

    /// The step under way has ended: the next one, or the end.
    pub(super) fn end_step(&mut self, slot: u32, step: Erased, outcome: Result<i64>) {
        self.tally.count(1);
        let mut operation = self.entry(slot).sequence.take().expect("a step belongs to a sequence");
        Core::sequence(&mut operation).put_step(step, &outcome);
        let result = match outcome {
            Err(status) => Err(status),
            Ok(_) => self.ask_sequence(slot, &mut operation),
        };
        if let Err(status) = result {
            return self.complete(slot, operation, Err(status));
        }
        match self.next_step(&mut operation) {
            Ok(Some(step)) => self.begin_step(slot, operation, step),
            Ok(None) => self.complete(slot, operation, Ok(0)),
            Err(status) => self.complete(slot, operation, Err(status)),
        }
    }

    /// Rule 4. `None` after the last.
    fn next_step(&self, operation: &mut Erased) -> std::result::Result<Option<Erased>, Status> {
        let sequence = Core::sequence(operation);
        if sequence.advance.is_some() {
            self.handle.own(sequence.next_proactor())?;
            // Rule 5.
            let prepared = attempt(|| sequence.prepare_next(self.handle.capabilities()));
            prepared.unwrap_or_else(|| bail!(Internal, "the memory of a step panicked"))?;
        }
        Ok(sequence.take_step())
    }

    /// Rule 2, around the function.
    fn ask_sequence(&mut self, slot: u32, operation: &mut Erased) -> Result<()> {
        if self.shared().table.is_cancelled(slot) {
            return Err(self.bare.cancelled.clone());
        }
        // Rule 5.
        let asked = attempt(|| Core::sequence(operation).ask());
        asked.unwrap_or_else(|| bail!(Internal, "the function of a sequence panicked"))?;
        if self.shared().table.is_cancelled(slot) {
            return Err(self.bare.cancelled.clone());
        }
        Ok(())
    }
}
