//! Calls: everything that can be said about one, and the two ways of making it.
//!
//! | | plain function | asynchronous function |
//! |---|---|---|
//! | [`Call::run`] | waits, runs | waits, passes a fence of its own and waits for it |
//! | [`Call::submit`] | waits, runs | passes the fences on and returns |
//!
//! Either way the signal fences are reached when the results are valid, and fail when they never will be.
//!
//! 1. A cancelled call that blocks returns when nothing carries its token any more: what it was given can be used again
//!    at once. Whoever shares a token between calls waits for all of them, for they are cancelled together.
//! 2. What came before the cancel stays: a call whose results are valid gives them, however late it is cancelled.
//! 3. Waiting for that happens outside of [`Session::lending`](crate::Session): what was left to this thread begins then.
//! 4. Several signal fences are one, their union: of two points on one timeline the later counts, and a fence given twice
//!    is given once. It is looked at before anything runs: the call fails with INVALID_ARGUMENT if all that it would
//!    signal on a timeline is reached already, and with the failure of a fence that has failed.
//! 5. A call that fails for whatever reason fails the signal fences, but no timeline that has come that far already.
//! 6. Who blocks looks now and then whether anybody is left to signal what it waits for. If not, the call fails.
//!
//! What lives here: [`Call`], [`Fences`], waiting for asynchronous work. What does not: storage for results
//! (`outputs.rs`), arguments (`function.rs`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weft_hal::{Fence, Submission, fail_all};
use weft_sync::{Code, Deadline, Point, Result, Status, WhileDoing, bail, status, wait_all_unless};
use weft_vm::{CancelToken, InvokeOptions};

use crate::function::Function;
use crate::outputs::{Copies, Outputs};
use crate::value::{FromResults, IntoArguments, Value};

/// What a call waits for and what it signals. Nothing means ready at once, and nobody to tell.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    /// The work begins when this is reached; if it fails, so does the work.
    pub wait: Option<Arc<Fence>>,
    /// Reached when the results are valid; failed when they never will be.
    pub signal: Option<Arc<Fence>>,
}

/// A call that has not begun, from [`Function::prepare`]: say what it waits for, what it signals, where its results go,
/// who may cancel it, then [`run`](Call::run) or [`submit`](Call::submit) it.
///
/// ```
/// use weft::{CancelToken, Code, Program, Tensor};
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/digits.vmfb");
/// let classify = Program::load(path)?.function("classify")?;
/// let image = Tensor::new(&[8, 8], &[0.5f32; 64])?;
///
/// // Results go where the caller wants them, and nothing is allocated for them call after call.
/// let (scores, class) = (Tensor::zeros::<f32>(&[10])?, Tensor::zeros::<i32>(&[])?);
/// let token = CancelToken::new();
/// let (same, _): (Tensor, Tensor) =
///     classify.prepare(&image).into_outputs([&scores, &class]).cancelled_by(&token).run()?;
/// assert_eq!(same.to_vec::<f32>()?, scores.to_vec::<f32>()?);
///
/// // From any thread, before, in the middle, or after.
/// token.cancel();
/// let status = classify.prepare(&image).cancelled_by(&token).run::<(Tensor, Tensor)>().unwrap_err();
/// assert_eq!(status.code(), Code::Cancelled);
/// # weft::Result::Ok(())
/// ```
#[must_use = "nothing is called before `run` or `submit`"]
pub struct Call<'f> {
    function: &'f Function,
    arguments: Vec<Value>,
    outputs: Option<Vec<Value>>,
    after: Vec<Arc<Fence>>,
    signal: Vec<Arc<Fence>>,
    options: InvokeOptions,
}

impl<'f> Call<'f> {
    pub(crate) fn new(function: &'f Function, arguments: Vec<Value>) -> Call<'f> {
        let options = InvokeOptions::default();
        Call { function, arguments, outputs: None, after: Vec::new(), signal: Vec::new(), options }
    }

    /// The call begins after this fence is reached, and fails if it fails. Of several, after all.
    ///
    /// [`Call::run`] fails with FAILED_PRECONDITION once nobody else holds the fence or its timeline any more.
    pub fn after(mut self, fence: &Arc<Fence>) -> Call<'f> {
        self.after.push(Arc::clone(fence));
        self
    }

    /// Reaches this fence when the results are valid, or fails it when they never will be. Of several, all; the same one
    /// twice, or two points of one timeline, are one fence.
    ///
    /// Nothing runs if the fence is reached already, which is INVALID_ARGUMENT and leaves its timeline as it is, nor if it
    /// has failed, which fails the call with the same status.
    pub fn signalling(mut self, fence: &Arc<Fence>) -> Call<'f> {
        self.signal.push(Arc::clone(fence));
        self
    }

    /// Puts the results into these tensors, in order: one for each result, of its shape and type, or [`Value::Null`] where
    /// a result goes wherever the program likes.
    ///
    /// Where the function takes storage for a result (an argument marked `iree.abi.output`) it gets the tensor, and writes
    /// there: such arguments are left out of those of [`Function::prepare`]. Other results are copied, on the queue,
    /// before the signal. The results of the call are these tensors. INVALID_ARGUMENT and PERMISSION_DENIED name the
    /// output that does not fit, before anything runs if the function says what it gives. Until the results are valid,
    /// and if they never will be, the contents of the tensors are anything.
    pub fn into_outputs(mut self, outputs: impl IntoArguments) -> Call<'f> {
        let mut values = Vec::with_capacity(4);
        outputs.append_to(&mut values);
        self.outputs = Some(values);
        self
    }

    /// Lets this token cancel the call and all that it submits, from any thread. One token may be given to several calls,
    /// which it then cancels together.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Call<'f> {
        self.options.cancel = Some(token.clone());
        self
    }

    /// As many branches and calls may the program take before it fails with RESOURCE_EXHAUSTED.
    pub fn budget(mut self, steps: u64) -> Call<'f> {
        self.options.budget = Some(steps);
        self
    }

    pub(crate) fn within(mut self, options: &InvokeOptions) -> Call<'f> {
        self.options = options.clone();
        self
    }

    pub(crate) fn between(mut self, fences: Fences) -> Call<'f> {
        self.after.extend(fences.wait);
        self.signal.extend(fences.signal);
        self
    }

    /// Calls, and waits for the results.
    ///
    /// Once cancelled it returns CANCELLED, as soon as nothing carries the token any more. So work that carries a token, a host
    /// call on a queue say, makes no blocking calls with that same one: they would wait for it.
    pub fn run<R: FromResults>(self) -> Result<R> {
        let function = self.function;
        R::from_results(self.run_values()?).map_err(|status| function.annotate(status))
    }

    /// Calls. If the function is asynchronous, its results are valid once the signal fences are reached, and not before;
    /// else it runs to its end.
    ///
    /// A failure of the call itself also fails the signal fences. Once cancelled, they fail with CANCELLED;
    /// [`CancelToken::wait_idle`] waits until nothing of the call is left.
    pub fn submit<R: FromResults>(self) -> Result<R> {
        let function = self.function;
        if !function.is_asynchronous() {
            return self.run();
        }
        let results = self.submit_values()?;
        R::from_results(results).map_err(|status| function.annotate(status))
    }

    pub(crate) fn run_values(mut self) -> Result<Vec<Value>> {
        let (function, signal) = (self.function, std::mem::take(&mut self.signal));
        self.run_to_signal(&signal).map_err(|status| refuse(function, &signal, status))
    }

    /// The call up to its signal.
    fn run_to_signal(self, signal: &[Arc<Fence>]) -> Result<Vec<Value>> {
        let (function, cancel) = (self.function, self.options.cancel.clone());
        let done = Fence::join(signal.iter().map(Some))?;
        let outcome = function.program().session().lending(|| self.perform(done.as_deref()));
        let is_cancelled = cancel.as_ref().filter(|cancel| cancel.is_cancelled());
        if let (Err(_), Some(cancel)) = (&outcome, is_cancelled) {
            // Rules 1 and 3. Where nobody may wait, in a callback, that is what the caller has to know first.
            cancel.wait_idle(Deadline::NEVER)?;
        }
        let results = outcome?;
        done.map_or(Ok(()), |done| done.signal())?;
        Ok(results)
    }

    /// The call up to valid results, on this thread.
    fn perform(mut self, signal: Option<&Fence>) -> Result<Vec<Value>> {
        let outputs = self.begin(signal)?;
        self.wait()?;
        let (function, cancel) = (self.function, self.options.cancel.as_ref());
        let mut results = if function.is_asynchronous() {
            let done = Fence::create();
            let fences = Fences { wait: None, signal: Some(Arc::clone(&done)) };
            let begun = function.enter(&self.options, self.arguments, Some(&fences));
            // From here on whoever holds the fence could still signal it.
            drop(fences);
            let results = begun?;
            let lost = || {
                status!(
                    FailedPrecondition,
                    "the function has let go of its signal fence without signalling it"
                )
            };
            wait_for(&done, cancel, lost)?;
            results
        } else {
            function.enter(&self.options, self.arguments, None)?
        };
        if let Some(outputs) = outputs {
            let copies = outputs.take_over(&mut results)?;
            if !copies.is_empty() {
                let done = Fence::create();
                copy(function, &copies, None, Some(&done), cancel)?;
                done.wait(Deadline::NEVER)?;
            }
        }
        Ok(results)
    }

    /// Waits for what the call begins after. Asynchronous functions would wait by themselves, but what they hold of a
    /// fence cannot be told from what others hold, who could still signal it (rule 6).
    fn wait(&mut self) -> Result<()> {
        let after = std::mem::take(&mut self.after);
        let Some(fence) = Fence::join(after.iter().map(Some))? else { return Ok(()) };
        // What the caller gave away to this call keeps nobody waiting.
        drop(after);
        let cancel = self.options.cancel.as_ref();
        wait_for(&fence, cancel, || abandoned(&fence))?;
        // The wait may have ended either way.
        cancel.map_or(Ok(()), CancelToken::check)
    }

    fn submit_values(mut self) -> Result<Vec<Value>> {
        let (function, signal) = (self.function, std::mem::take(&mut self.signal));
        self.enqueue(&signal).map_err(|status| refuse(function, &signal, status))
    }

    /// The call of an asynchronous function up to its return.
    fn enqueue(mut self, signal: &[Arc<Fence>]) -> Result<Vec<Value>> {
        let (wait, signal) =
            (Fence::join(self.after.iter().map(Some))?, Fence::join(signal.iter().map(Some))?);
        let outputs = self.begin(signal.as_deref())?;
        let (function, cancel) = (self.function, self.options.cancel.as_ref());
        let Some(outputs) = outputs else {
            let fences = Fences { wait, signal };
            return function.enter(&self.options, self.arguments, Some(&fences));
        };
        // What the function signals is followed by the copies, if there are any.
        let computed = Fence::create();
        let fences = Fences { wait, signal: Some(Arc::clone(&computed)) };
        let mut results = function.enter(&self.options, self.arguments, Some(&fences))?;
        let copies = outputs.take_over(&mut results)?;
        copy(function, &copies, Some(&computed), signal.as_ref(), cancel)?;
        Ok(results)
    }

    /// What can be known before the call. Where results go, checked; storage is among the arguments then.
    fn begin(&mut self, signal: Option<&Fence>) -> Result<Option<Outputs>> {
        if let Some(cancel) = &self.options.cancel {
            // A function that neither loops nor waits would not notice.
            cancel.check()?;
        }
        check_ahead(signal)?;
        let Some(values) = self.outputs.take() else { return Ok(None) };
        let outputs = Outputs::new(values)?;
        outputs.check(self.function)?;
        outputs.place(self.function, &mut self.arguments)?;
        Ok(Some(outputs))
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("function", self.function).field("arguments", &self.arguments).finish()
    }
}

/// Rule 4.
fn check_ahead(signal: Option<&Fence>) -> Result<()> {
    for Point { semaphore, value } in Fence::points_of(signal) {
        if semaphore.is_reached(*value).while_doing(|| "looking at the signal fence")? {
            bail!(InvalidArgument, "the signal fence is reached already: {value} on its timeline");
        }
    }
    Ok(())
}

/// Rule 5: what a call fails with, which those who wait for it are told.
#[cold]
fn refuse(function: &Function, signal: &[Arc<Fence>], status: Status) -> Status {
    let status = function.annotate(status);
    let points = signal.iter().flat_map(|fence| fence.points());
    let waited: Vec<Point> = points
        .filter(|point| matches!(point.semaphore.is_reached(point.value), Ok(false)))
        .cloned()
        .collect();
    fail_all(&waited, status.clone());
    status
}

/// Copies results to outputs between fences, on the queue that calls prefer.
fn copy(
    function: &Function,
    copies: &Copies,
    wait: Option<&Arc<Fence>>,
    signal: Option<&Arc<Fence>>,
    cancel: Option<&CancelToken>,
) -> Result<()> {
    let device = function.program().session().lead_device()?;
    let [wait, signal] = [wait, signal].map(|fence| fence.map(|fence| &**fence));
    let submission = Submission::between(wait, signal).cancelled_by(cancel);
    copies.submit(device, &submission).while_doing(|| "copying results to outputs")
}

/// How often a wait looks whether it can never end.
const POLL: Duration = Duration::from_millis(20);

/// Waits for a fence, and gives `lost` once nobody else could signal it any more.
fn wait_for(fence: &Arc<Fence>, cancel: Option<&CancelToken>, lost: impl Fn() -> Status) -> Result<()> {
    loop {
        // Asked first: what is released after that may still signal.
        let is_lost = Arc::strong_count(fence) == 1 && unheld(fence).is_some();
        let outcome = wait_all_unless(fence.points(), cancel, Deadline::after(POLL));
        // Rule 2: asked again, for a wait that was cancelled does not say whether the work was done.
        match (outcome, fence.query()) {
            (_, Ok(true)) => return Ok(()),
            (_, Err(status)) => return Err(status),
            (Err(status), Ok(false)) if status.code() != Code::DeadlineExceeded => return Err(status),
            _ if is_lost => return Err(lost()),
            _ => {}
        }
    }
}

/// A point that is not reached and whose timeline is held by nobody but this fence.
fn unheld(fence: &Fence) -> Option<&Point> {
    let is_unheld = |point: &&Point| {
        Arc::strong_count(&point.semaphore) == 1
            && matches!(point.semaphore.is_reached(point.value), Ok(false))
    };
    fence.points().iter().find(is_unheld)
}

#[cold]
fn abandoned(fence: &Fence) -> Status {
    let what = match unheld(fence) {
        Some(point) => format!(": {} on its timeline", point.value),
        None => String::new(),
    };
    status!(FailedPrecondition, "nobody is left to signal the fence that the call waits for{what}")
}
