//! Several operations as one.
//!
//! What lives here: [`Sequence`], [`Step`]. What does not: how the poll thread runs one (`proactor/steps.rs`).
//!
//! Steps run one at a time, each in the sequence's own slot, so a sequence of any length needs one slot, and a cancel of
//! the sequence is one of its current step. The function, if there is one, is asked between them. The sequence ends once,
//! after the step that was under way, and all of its steps come back inside it.
//!
//! A notification's epoch is taken when the sequence is submitted, not when the step starts: a signal in between counts.
//! That of a step which the function put in is taken when it starts.
//!
//! A step that only another proactor can carry out is refused, like such an operation by itself.

use super::{Body, Kind};
use crate::Capabilities;
use crate::operation::{Operation, Params, sealed::Lower};
use crate::record::Erased;
use std::fmt;
use weft_sync::{Code, Result, Status, bail};

/// One operation of a sequence: of any kind but a sequence. A callback that it had is not called, and stays.
pub struct Step {
    operation: Option<Erased>,
    /// What it ended with, until it is asked for.
    value: Option<i64>,
}

impl Step {
    /// A step that does this.
    pub fn new<P: Params>(operation: impl Into<Operation<P>>) -> Step {
        Step { operation: Some(operation.into().erase()), value: None }
    }

    /// The proactor that alone can carry it out. What cannot be a step is refused for that.
    fn proactor(&self) -> Option<u32> {
        let operation = self.operation.as_ref().filter(|operation| operation.kind() != Kind::Sequence)?;
        operation.proactor()
    }

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        let Some(operation) = &mut self.operation else {
            bail!(InvalidArgument, "a step without an operation")
        };
        if operation.kind() == Kind::Sequence {
            bail!(InvalidArgument, "a sequence cannot be a step of another");
        }
        self.value = None;
        operation.prepare(capabilities)
    }

    pub(crate) fn from_erased(operation: Erased) -> Step {
        Step { operation: Some(operation), value: None }
    }

    /// What kind of operation it is.
    pub fn kind(&self) -> Kind {
        self.operation.as_ref().map_or(Kind::Nop, Erased::kind)
    }

    /// The parameters, if the step is of that kind: to be read and changed before its turn.
    pub fn params_mut<P: Params>(&mut self) -> Option<&mut P> {
        self.operation.as_mut()?.params_mut()
    }

    /// What the step ended with, once, if it is of that kind and ended well.
    pub fn take_output<P: Params>(&mut self) -> Option<P::Output> {
        let params = self.operation.as_mut()?.params_mut::<P>()?;
        let value = self.value.take()?;
        Some(params.output(value))
    }

    /// The operation itself, or the step again if it is of another kind.
    pub fn into_operation<P: Params>(self) -> std::result::Result<Operation<P>, Step> {
        match self.operation.map(Erased::unerase) {
            Some(Ok(record)) => Ok(Operation::from_record(record)),
            Some(Err(erased)) => Err(Step { operation: Some(erased), value: self.value }),
            None => Err(Step { operation: None, value: None }),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({:?})", self.kind())
    }
}

/// Called after each step that succeeded, with it and the next one, which it may change or replace; an error ends the
/// sequence, and so does a panic (`INTERNAL`) and a next step that cannot be submitted.
pub type Advance = Box<dyn FnMut(&mut Step, Option<&mut Step>) -> Result<()> + Send>;

/// Runs steps in order until one fails. Ends with the first failure; with `CANCELLED` if it was cancelled. A sequence is
/// no step of another and no member of a chain.
///
/// ```
/// use weft_io::{Config, Operation, open_null, ops::{Nop, Sequence, Step, Timer}};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// let steps = vec![Step::new(Nop), Step::new(Timer { deadline: Deadline::NEVER })];
/// let sequence = Sequence::with_advance(steps, |_ended, next| {
///     if let Some(timer) = next.and_then(|next| next.params_mut::<Timer>()) {
///         timer.deadline = Deadline::IMMEDIATE;
///     }
///     Ok(())
/// });
/// poller.handle().submit(Operation::new(sequence)).expect("there is room");
/// let mut ended = 0;
/// while ended < 2 {
///     ended += poller.poll(Deadline::NEVER)?;
/// }
/// # weft_sync::Result::Ok(())
/// ```
pub struct Sequence {
    /// What is done.
    pub steps: Vec<Step>,
    /// Asked between the steps.
    pub advance: Option<Advance>,
    /// How many steps have ended.
    ended: usize,
}

impl Sequence {
    /// Runs these steps.
    pub fn new(steps: Vec<Step>) -> Sequence {
        Sequence { steps, advance: None, ended: 0 }
    }

    /// Runs these steps and calls `advance` between them.
    pub fn with_advance(
        steps: Vec<Step>,
        advance: impl FnMut(&mut Step, Option<&mut Step>) -> Result<()> + Send + 'static,
    ) -> Sequence {
        Sequence { advance: Some(Box::new(advance)), ..Sequence::new(steps) }
    }

    /// How many steps have ended: the index of the one under way.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// Checks the next step, if there is one, which the function may have changed.
    pub(crate) fn prepare_next(&mut self, capabilities: Capabilities) -> Result<()> {
        self.steps.get_mut(self.ended).map_or(Ok(()), |step| step.prepare(capabilities))
    }

    /// The proactor that alone can carry the next step out.
    pub(crate) fn next_proactor(&self) -> Option<u32> {
        self.steps.get(self.ended)?.proactor()
    }

    /// Takes the operation of the next step out, to be run; `None` after the last.
    pub(crate) fn take_step(&mut self) -> Option<Erased> {
        self.steps.get_mut(self.ended)?.operation.take()
    }

    /// Puts the operation of the step that has ended back.
    pub(crate) fn put_step(&mut self, mut operation: Erased, outcome: &Result<i64>) {
        let value = match outcome {
            Ok(value) => Some(*value),
            Err(why) => {
                operation.miss(why);
                None
            }
        };
        if let Some(step) = self.steps.get_mut(self.ended) {
            *step = Step { operation: Some(operation), value };
        }
        self.ended += 1;
    }

    /// Asks the function about the step that ended last, if there is a function.
    pub(crate) fn ask(&mut self) -> Result<()> {
        let Some(advance) = &mut self.advance else { return Ok(()) };
        let (before, after) = self.steps.split_at_mut(self.ended);
        match before.last_mut() {
            Some(ended) => advance(ended, after.first_mut()),
            None => Ok(()),
        }
    }
}

impl Params for Sequence {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for Sequence {
    const KIND: Kind = Kind::Sequence;

    fn proactor(&self) -> Option<u32> {
        self.steps.iter().find_map(Step::proactor)
    }

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        // Whoever called has asked for the first of them.
        let mut proactors = self.steps.iter().filter_map(Step::proactor);
        if let Some(first) = proactors.next()
            && proactors.any(|other| other != first)
        {
            bail!(InvalidArgument, "steps with memory that is registered with different proactors");
        }
        self.steps.iter_mut().try_for_each(|step| step.prepare(capabilities))?;
        self.ended = 0;
        Ok(())
    }

    fn release(&mut self) {
        // Steps that were not reached too.
        self.steps.iter_mut().filter_map(|step| step.operation.as_mut()).for_each(Erased::release);
    }

    fn miss(&mut self, _why: &Status) {
        // Those that were not reached, which is not their failure; the others know theirs, and it does them no harm.
        let why = &Status::new(Code::Cancelled, "the sequence ended before this step");
        self.steps.iter_mut().filter_map(|step| step.operation.as_mut()).for_each(|step| step.miss(why));
    }

    fn body(&mut self) -> Body<'_> {
        Body::Sequence(self)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence").field("steps", &self.steps).field("ended", &self.ended).finish()
    }
}
