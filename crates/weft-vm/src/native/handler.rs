//! From typed Rust functions to the one shape that the interpreter calls.
//!
//! Lives here: [`Handler`], and the wrappers that read arguments, call, and write results. They are monomorphic: the
//! only indirect call is the one that the interpreter makes.

use std::any::Any;
use std::sync::Arc;

use weft_sync::Result;

use super::Entry;
use super::argument::Argument;
use super::operands::{CallSite, Operands, ResultSlots};
use super::result::Results;
use super::step::{Step, Wait};

/// A Rust function that takes the state and arguments of type `A` and returns `Result<R>`. Implemented for closures and
/// functions; there is no reason to implement it otherwise.
pub trait Handler<S, A, R>: Send + Sync + 'static {
    /// Reads the arguments and calls the function.
    fn handle<'a>(&self, state: &'a S, operands: &mut Operands<'a>) -> Result<R>;
}

// The first bound lets the compiler find `A` from the types that the closure spells out; the second is what is
// used: the closure accepts arguments of any lifetime.
impl<F, S, A, R> Handler<S, A, R> for F
where
    S: 'static,
    A: Argument + 'static,
    F: Fn(&S, A) -> Result<R>,
    F: for<'a> Fn(&S, A::At<'a>) -> Result<R>,
    F: Send + Sync + 'static,
{
    #[inline]
    fn handle<'a>(&self, state: &'a S, operands: &mut Operands<'a>) -> Result<R> {
        // Spells out which of the two bounds is meant.
        fn call<S, T, R>(function: impl Fn(&S, T) -> Result<R>, state: &S, arguments: T) -> Result<R> {
            function(state, arguments)
        }
        call(self, state, A::read(operands)?)
    }
}

/// How a call of a native function ended, failures aside.
pub(crate) enum Outcome {
    /// The results are written.
    Done,
    /// The invocation is to be suspended.
    Pending(Pending),
}

/// A native call that has not finished.
pub(crate) struct Pending {
    /// What it waits for; `None`: nothing in particular, others should run first.
    pub wait: Option<Wait>,
    /// Goes on with the outcome of the wait, and writes the results when that finishes the call.
    pub resume: ResumeCall,
}

/// A [`Resume`](super::Resume) closure in the one shape that the interpreter calls.
pub(crate) type ResumeCall = Box<dyn FnOnce(Result<()>, &mut ResultSlots<'_>) -> Result<Outcome> + Send>;

#[inline]
pub(super) fn state<S: Any>(state: &dyn Any) -> &S {
    state.downcast_ref::<S>().expect("the context made this state with the same module")
}

pub(super) fn entry<S, A, R, H>(handler: H) -> Entry
where
    S: Any,
    A: Argument + 'static,
    R: Results + 'static,
    H: Handler<S, A, R>,
{
    Arc::new(move |erased: &dyn Any, site: &mut CallSite<'_>| {
        let results = handler.handle(state::<S>(erased), &mut site.operands())?;
        site.release_moved();
        results.write(&mut site.results());
        Ok(Outcome::Done)
    })
}

pub(super) fn yielding_entry<S, A, R, H>(handler: H) -> Entry
where
    S: Any,
    A: Argument + 'static,
    R: Results + 'static,
    H: Handler<S, A, Step<R>>,
{
    Arc::new(move |erased: &dyn Any, site: &mut CallSite<'_>| {
        let step = handler.handle(state::<S>(erased), &mut site.operands())?;
        site.release_moved();
        Ok(finish(step, &mut site.results()))
    })
}

fn finish<R: Results + 'static>(step: Step<R>, slots: &mut ResultSlots<'_>) -> Outcome {
    let (wait, resume) = match step {
        Step::Done(results) => {
            results.write(slots);
            return Outcome::Done;
        }
        Step::Wait(wait, resume) => (Some(wait), resume),
        Step::Yield(resume) => (None, resume),
    };
    let resume =
        Box::new(move |outcome: Result<()>, slots: &mut ResultSlots<'_>| Ok(finish(resume(outcome)?, slots)));
    Outcome::Pending(Pending { wait, resume })
}
