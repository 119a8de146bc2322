//! Calls that the host schedules itself: begin, wait or resume, end, abort (§14.2).
//!
//! Lives here: [`Invocation`], and [`CallFuture`] on top of it. Not here: calls that simply block
//! (`function.rs`), what native functions wait for (`native/step.rs`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};

use weft_sync::{Code, Deadline, Result, Status, Timepoint, bail};

use crate::backtrace::stack_text;
use crate::function::{Function, InvokeOptions};
use crate::interpret::Exit;
use crate::machine::Machine;
use crate::native::Wait;
use crate::value::Value;

/// Where an invocation stands after it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is over, well or badly: [`Invocation::end`] tells.
    Completed,
    /// It suspended so that others can run; [`Invocation::resume`] goes on.
    Yielded,
    /// It waits: [`Invocation::wait`] blocks until it can be resumed.
    Waiting,
}

/// One call of a function that may suspend and be resumed, on any thread. Dropping it aborts it.
///
/// ```
/// use weft_vm::native::{NativeModule, Step};
/// use weft_vm::{Context, Instance, Invocation, Progress, Value};
/// let module = NativeModule::builder("host", 0, |_| Ok(()))
///     .export_yielding("later", |_: &(), a: i32| Ok(Step::yield_now(move |_| Ok(Step::Done(a + 1)))))
///     .build()?;
/// let context = Context::new(&Instance::new(), vec![module.into()])?;
/// let mut invocation = Invocation::new(&context.function("host.later")?);
/// assert_eq!(invocation.begin(&[Value::I32(1)])?, Progress::Yielded);
/// assert_eq!(invocation.resume()?, Progress::Completed);
/// assert_eq!(invocation.end()?, [Value::I32(2)]);
/// # weft_sync::Result::Ok(())
/// ```
pub struct Invocation {
    function: Function,
    options: InvokeOptions,
    state: State,
}

enum State {
    Idle,
    Suspended {
        machine: Box<Machine>,
        /// How its wait ended, once that is known.
        outcome: Option<Result<()>>,
    },
    Completed(Result<Vec<Value>>),
    /// The results were taken.
    Ended,
}

impl Invocation {
    /// An invocation that has not begun.
    pub fn new(function: &Function) -> Invocation {
        Invocation::with_options(function, InvokeOptions::default())
    }

    /// An invocation within bounds.
    pub fn with_options(function: &Function, options: InvokeOptions) -> Invocation {
        Invocation { function: function.clone(), options, state: State::Idle }
    }

    /// Runs until the function returns, fails or suspends. Arguments that do not fit are an error of this call; the
    /// invocation stays idle then. FAILED_PRECONDITION unless idle.
    pub fn begin(&mut self, arguments: &[Value]) -> Result<Progress> {
        if !matches!(self.state, State::Idle) {
            return Err(self.not_now("begin"));
        }
        self.function.check_arguments(arguments)?;
        let mut machine = Machine::acquire();
        machine.budget = self.options.budget;
        let run = match self.function.begin(&mut machine, arguments) {
            Ok(()) => self.function.run(&mut machine, None, self.options.cancel.as_ref()),
            Err(status) => Err(status),
        };
        Ok(self.settle(machine, run))
    }

    /// Goes on after a suspension. FAILED_PRECONDITION unless it is suspended and what it waits for has come.
    pub fn resume(&mut self) -> Result<Progress> {
        self.look()?;
        let State::Suspended { mut machine, outcome } = std::mem::replace(&mut self.state, State::Ended)
        else {
            unreachable!("looked at above");
        };
        let run = self.function.run(&mut machine, outcome, self.options.cancel.as_ref());
        Ok(self.settle(machine, run))
    }

    /// What the suspended invocation waits for, if anything.
    pub fn waiting_for(&self) -> Option<&Wait> {
        match &self.state {
            State::Suspended { machine, .. } => machine.suspension.as_ref()?.wait.as_ref(),
            _ => None,
        }
    }

    /// Blocks the thread until the invocation can be resumed. DEFERRED when `limit` passes first, FAILED_PRECONDITION
    /// unless it waits for something.
    pub fn wait(&mut self, limit: Deadline) -> Result<()> {
        let Some(wait) = self.waiting_for() else { return Err(self.not_now("wait")) };
        match wait.block_unless(self.options.cancel.as_ref(), limit) {
            Some(found) => {
                if let State::Suspended { outcome, .. } = &mut self.state {
                    *outcome = Some(found);
                }
                Ok(())
            }
            None => bail!(Deferred, "the invocation still waits"),
        }
    }

    /// Takes the results or the error of a completed invocation, once. FAILED_PRECONDITION before and afterwards.
    pub fn end(&mut self) -> Result<Vec<Value>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Completed(results) => results,
            state => {
                self.state = state;
                Err(self.not_now("end"))
            }
        }
    }

    /// Gives up: releases everything, from the innermost frame outwards. The invocation is completed with ABORTED,
    /// unless it was completed before.
    pub fn abort(&mut self) {
        let aborted = || State::Completed(Err(Status::new(Code::Aborted, "the invocation was aborted")));
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle => self.state = aborted(),
            State::Suspended { machine, .. } => {
                machine.release();
                self.state = aborted();
            }
            state => self.state = state,
        }
    }

    /// The stack of a suspended invocation as text, innermost frame first.
    pub fn stack(&self) -> Option<String> {
        match &self.state {
            State::Suspended { machine, .. } => {
                Some(stack_text(machine, &self.function.environment(false, None)))
            }
            _ => None,
        }
    }

    /// Makes sure that a suspended invocation can go on, and knows how its wait ended.
    fn look(&mut self) -> Result<()> {
        let found = match &self.state {
            State::Suspended { outcome: Some(_), .. } => return Ok(()),
            State::Suspended { .. } => match self.waiting_for() {
                Some(wait) => wait.block_unless(self.options.cancel.as_ref(), Deadline::IMMEDIATE),
                None => Some(Ok(())),
            },
            _ => None,
        };
        match (found, &mut self.state) {
            (Some(found), State::Suspended { outcome, .. }) => *outcome = Some(found),
            _ => return Err(self.not_now("resume")),
        }
        Ok(())
    }

    fn settle(&mut self, mut machine: Box<Machine>, run: Result<Exit>) -> Progress {
        let results = match run {
            Ok(Exit::Suspended) => {
                let suspension = machine.suspension.as_ref();
                let waits = suspension.is_some_and(|suspension| suspension.wait.is_some());
                self.state = State::Suspended { machine, outcome: None };
                return if waits { Progress::Waiting } else { Progress::Yielded };
            }
            Ok(Exit::Returned) => {
                let mut results = Vec::new();
                self.function.take_results(&mut machine, &mut results);
                Ok(results)
            }
            Err(status) => Err(status),
        };
        machine.release();
        self.state = State::Completed(results);
        Progress::Completed
    }

    #[cold]
    fn not_now(&self, operation: &str) -> Status {
        let state = match &self.state {
            State::Idle => "idle",
            State::Suspended { .. } if self.waiting_for().is_some() => "waiting",
            State::Suspended { .. } => "suspended",
            State::Completed(_) => "completed",
            State::Ended => "ended",
        };
        weft_sync::status!(FailedPrecondition, "cannot {operation} an invocation that is {state}")
    }
}

/// Frames are released from the inside out.
impl Drop for Invocation {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle => "idle",
            State::Suspended { .. } => "suspended",
            State::Completed(_) => "completed",
            State::Ended => "ended",
        };
        write!(f, "Invocation({:?}, {state})", self.function)
    }
}

/// A call as a future: runs when polled, is woken when what it waits for comes.
///
/// A deadline of a wait wakes nobody: executors with timers poll again when [`CallFuture::deadline`] passes.
///
/// ```
/// use weft_vm::native::NativeModule;
/// use weft_vm::{CallFuture, Context, Instance};
/// # use std::future::Future;
/// let module = NativeModule::builder("host", 0, |_| Ok(())).export("one", |_: &(), (): ()| Ok(1_i32)).build()?;
/// let context = Context::new(&Instance::new(), vec![module.into()])?;
/// let mut call = std::pin::pin!(CallFuture::new(&context.function("host.one")?, vec![]));
/// let mut task = std::task::Context::from_waker(std::task::Waker::noop());
/// let std::task::Poll::Ready(results) = call.as_mut().poll(&mut task) else { panic!("nothing to wait for") };
/// assert_eq!(results?, [1.into()]);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
#[must_use = "futures run when they are polled"]
pub struct CallFuture {
    invocation: Invocation,
    /// Until the first poll.
    arguments: Option<Vec<Value>>,
    /// What will wake the task.
    timepoints: Vec<Timepoint>,
}

impl CallFuture {
    /// A call that begins at the first poll.
    pub fn new(function: &Function, arguments: Vec<Value>) -> CallFuture {
        CallFuture::with_options(function, arguments, InvokeOptions::default())
    }

    /// A call within bounds. Cancelling it wakes the task.
    pub fn with_options(function: &Function, arguments: Vec<Value>, options: InvokeOptions) -> CallFuture {
        CallFuture {
            invocation: Invocation::with_options(function, options),
            arguments: Some(arguments),
            timepoints: Vec::new(),
        }
    }

    /// When to poll again even if nobody woke the task.
    pub fn deadline(&self) -> Deadline {
        self.invocation.waiting_for().map_or(Deadline::NEVER, Wait::deadline)
    }

    fn withdraw(&mut self) {
        for timepoint in self.timepoints.drain(..) {
            timepoint.cancel();
        }
    }

    fn register(&mut self, waker: &Waker) {
        let Some(wait) = self.invocation.waiting_for() else { return };
        for point in wait.points() {
            let waker = waker.clone();
            self.timepoints.push(point.semaphore.on_reached(point.value, move |_| waker.wake()));
        }
        if let Some(token) = &self.invocation.options.cancel {
            let waker = waker.clone();
            self.timepoints.push(token.on_cancel(move || waker.wake()));
        }
    }

    /// Runs as far as it goes without waiting.
    fn advance(&mut self, waker: &Waker) -> Result<Progress> {
        let progress = match self.arguments.take() {
            Some(arguments) => self.invocation.begin(&arguments)?,
            None => self.invocation.resume()?,
        };
        if progress == Progress::Yielded {
            // Others first: back to the end of the executor's queue.
            waker.wake_by_ref();
        }
        Ok(progress)
    }
}

impl Future for CallFuture {
    type Output = Result<Vec<Value>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.withdraw();
        loop {
            if let Some(wait) = self.invocation.waiting_for() {
                let (wait, cancel) = (wait.clone(), self.invocation.options.cancel.clone());
                let is_over = || wait.block_unless(cancel.as_ref(), Deadline::IMMEDIATE).is_some();
                if !is_over() {
                    self.register(task.waker());
                    // A point may have come between the look and the registration; its callback has run then.
                    if !is_over() {
                        return Poll::Pending;
                    }
                    self.withdraw();
                }
            }
            match self.advance(task.waker()) {
                Ok(Progress::Completed) => return Poll::Ready(self.invocation.end()),
                Ok(Progress::Yielded) => return Poll::Pending,
                Ok(Progress::Waiting) => {}
                Err(status) => return Poll::Ready(Err(status)),
            }
        }
    }
}

impl Drop for CallFuture {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Invocations move between threads.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Invocation>();
    is_send::<CallFuture>();
};
