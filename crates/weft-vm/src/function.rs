//! Functions as hosts hold and call them.
//!
//! Lives here: [`Function`], argument checks (§9.6), blocking calls. Not here: finding functions (`context.rs`), calls
//! that the host schedules itself (`invocation.rs`).

use std::fmt;
use std::sync::Arc;

use weft_sync::{CancelToken, Deadline, Result, Status, bail, status};

use crate::context::Context;
use crate::direct_call::DirectCall;
use crate::interpret::Exit;
use crate::isa::Kind;
use crate::machine::{Environment, Machine};
use crate::signature::Signature;
use crate::state::Linked;
use crate::value::Value;

/// Bounds of one invocation.
#[derive(Clone, Debug, Default)]
pub struct InvokeOptions {
    /// Ends the invocation from outside: it fails with CANCELLED at its next branch, call or wait, the wait for the globals
    /// of its context among them. What it began elsewhere
    /// with the same token ([`NativeCall::cancel`](crate::native::NativeCall::cancel)) ends as well.
    pub cancel: Option<CancelToken>,
    /// How many branches and calls it may take before it fails with RESOURCE_EXHAUSTED.
    pub budget: Option<u64>,
}

/// A function of a module in a context. Cheap to clone and thread-safe; keeps the context alive.
///
/// ```
/// use weft_vm::native::NativeModule;
/// use weft_vm::{Context, Instance, Value};
/// let module = NativeModule::builder("math", 0, |_| Ok(()))
///     .export("add", |_: &(), (a, b): (i32, i64)| Ok(i64::from(a) + b))
///     .build()?;
/// let context = Context::new(&Instance::new(), vec![module.into()])?;
/// let add = context.function("math.add")?;
/// assert_eq!(add.call(&[Value::I32(1), Value::I64(2)])?, [Value::I64(3)]);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Function {
    // Before the context, so that module states go where the context releases them.
    modules: Arc<Vec<Arc<Linked>>>,
    context: Arc<Context>,
    arguments: Arc<[Kind]>,
    target: Target,
}

#[derive(Clone)]
pub(crate) enum Target {
    /// Internal ordinal; whether it may store globals.
    Bytecode { module: u32, function: u32, exclusive: bool },
    /// A Rust function.
    Native(Arc<DirectCall>),
}

impl Function {
    pub(crate) fn new(
        context: &Arc<Context>,
        modules: Arc<Vec<Arc<Linked>>>,
        signature: &Signature,
        target: Target,
    ) -> Result<Function> {
        let Some(arguments) = signature.argument_kinds() else {
            bail!(
                InvalidArgument,
                "functions with spans (`{}`) cannot be called by the host",
                signature.text()
            );
        };
        Ok(Function { modules, context: context.clone(), arguments: arguments.into(), target })
    }

    /// The context it runs in.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        match &self.target {
            Target::Bytecode { module, function, .. } => {
                let state = self.modules[*module as usize].bytecode().expect("a bytecode target");
                &state.module.archive().functions[*function as usize].signature
            }
            Target::Native(call) => call.signature(),
        }
    }

    /// Whether it has the context alone while it runs, because it may store globals.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.target, Target::Bytecode { exclusive: true, .. })
    }

    /// Calls the function and waits for it. `results` is emptied first and filled on success; reuse it to spare the
    /// allocation.
    #[inline]
    pub fn invoke(&self, arguments: &[Value], results: &mut Vec<Value>) -> Result<()> {
        self.invoke_bounded(arguments, results, None, None)
    }

    /// Calls the function within bounds.
    pub fn invoke_with(
        &self,
        options: &InvokeOptions,
        arguments: &[Value],
        results: &mut Vec<Value>,
    ) -> Result<()> {
        self.invoke_bounded(arguments, results, options.cancel.as_ref(), options.budget)
    }

    /// Calls the function on behalf of somebody who cannot wait: FAILED_PRECONDITION where it would suspend.
    pub fn invoke_unsuspended(&self, arguments: &[Value], results: &mut Vec<Value>) -> Result<()> {
        results.clear();
        self.check_arguments(arguments)?;
        let mut machine = Machine::acquire();
        let begun = self.begin(&mut machine, arguments);
        let outcome = match begun.and_then(|()| self.run(&mut machine, None, None)) {
            Ok(Exit::Returned) => {
                self.take_results(&mut machine, results);
                Ok(())
            }
            Ok(Exit::Suspended) => Err(suspended()),
            Err(status) => Err(status),
        };
        machine.release();
        outcome
    }

    /// Calls the function and gives its results in a vector of their own.
    pub fn call(&self, arguments: &[Value]) -> Result<Vec<Value>> {
        let mut results = Vec::new();
        self.invoke(arguments, &mut results)?;
        Ok(results)
    }

    fn invoke_bounded(
        &self,
        arguments: &[Value],
        results: &mut Vec<Value>,
        cancel: Option<&CancelToken>,
        budget: Option<u64>,
    ) -> Result<()> {
        results.clear();
        self.check_arguments(arguments)?;
        let mut machine = Machine::acquire();
        machine.budget = budget;
        let outcome = self.drive(&mut machine, arguments, results, cancel);
        machine.release();
        outcome
    }

    fn drive(
        &self,
        machine: &mut Machine,
        arguments: &[Value],
        results: &mut Vec<Value>,
        cancel: Option<&CancelToken>,
    ) -> Result<()> {
        self.begin(machine, arguments)?;
        let mut exit = self.run(machine, None, cancel)?;
        while exit == Exit::Suspended {
            let outcome = block(machine, cancel);
            exit = self.run(machine, Some(outcome), cancel)?;
        }
        self.take_results(machine, results);
        Ok(())
    }

    /// Puts the arguments, which were checked, where the function finds them.
    pub(crate) fn begin(&self, machine: &mut Machine, arguments: &[Value]) -> Result<()> {
        match &self.target {
            Target::Bytecode { module, function, .. } => {
                let state = self.modules[*module as usize].bytecode().expect("a bytecode target");
                machine.begin_bytecode(self.context.instance(), state, *module, *function, arguments)
            }
            Target::Native(call) => {
                call.begin(machine, arguments);
                Ok(())
            }
        }
    }

    /// Runs until the function returns, suspends or fails: from the start, or after a suspension whose wait ended
    /// with `outcome`.
    #[inline]
    pub(crate) fn run(
        &self,
        machine: &mut Machine,
        outcome: Option<Result<()>>,
        cancel: Option<&CancelToken>,
    ) -> Result<Exit> {
        let exclusive = self.is_exclusive();
        let _inside = self.context.gate().enter(exclusive, cancel)?;
        let environment = self.environment(exclusive, cancel);
        match (&self.target, outcome) {
            (Target::Bytecode { .. }, None) => machine.run(&environment),
            (Target::Bytecode { .. }, Some(outcome)) => machine.resume(&environment, outcome),
            (Target::Native(call), None) => call.start(machine, &environment),
            (Target::Native(call), Some(outcome)) => call.resume(machine, &environment, outcome),
        }
    }

    pub(crate) fn environment<'a>(
        &'a self,
        exclusive: bool,
        cancel: Option<&'a CancelToken>,
    ) -> Environment<'a> {
        Environment { instance: self.context.instance(), modules: &self.modules, exclusive, cancel }
    }

    /// Moves the results of a finished run out.
    pub(crate) fn take_results(&self, machine: &mut Machine, results: &mut Vec<Value>) {
        match &self.target {
            Target::Bytecode { module, .. } => {
                let state = self.modules[*module as usize].bytecode().expect("a bytecode target");
                machine.take_results(state, results);
            }
            Target::Native(call) => call.take_results(machine, results),
        }
    }

    /// Number and kinds of the arguments.
    #[inline]
    pub(crate) fn check_arguments(&self, arguments: &[Value]) -> Result<()> {
        if arguments.len() != self.arguments.len() {
            return Err(self.wrong_count(arguments.len()));
        }
        let pairs = arguments.iter().zip(self.arguments.iter());
        for (index, (argument, kind)) in pairs.enumerate() {
            // An empty slot reads as null, as in a variant list.
            let fits = match argument {
                Value::Ref(_) | Value::Empty => kind.is_ref(),
                _ => !kind.is_ref(),
            };
            if !fits {
                return Err(wrong_kind(index, *kind, argument));
            }
        }
        Ok(())
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> Status {
        let expected = self.arguments.len();
        status!(
            InvalidArgument,
            "expected {expected} arguments, found {found} (`{}`)",
            self.signature().text()
        )
    }
}

#[cold]
fn wrong_kind(index: usize, expected: Kind, found: &Value) -> Status {
    let found = found.kind();
    status!(FailedPrecondition, "argument {index}: expected {}, found {found}", expected.name())
}

/// Waits for whatever the suspended machine waits for, and gives what the waiter gets.
pub(crate) fn block(machine: &Machine, cancel: Option<&CancelToken>) -> Result<()> {
    let wait = machine.suspension.as_ref().and_then(|suspension| suspension.wait.as_ref());
    let Some(wait) = wait else {
        std::thread::yield_now();
        return Ok(());
    };
    wait.block_unless(cancel, Deadline::NEVER).unwrap_or_else(|| Err(endless()))
}

#[cold]
fn suspended() -> Status {
    status!(FailedPrecondition, "the function suspended where nobody can wait for it")
}

#[cold]
fn endless() -> Status {
    status!(Internal, "a wait without an end ended")
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.signature().text())
    }
}
