//! What one iteration of a benchmark does, for each kind of function (`docs/spec/hal-module.md` §13.5).
//!
//! What lives here: which functions can be measured, and the three ways to iterate them. What does not: how often
//! (see `measure.rs`).

use std::sync::Arc;

use weft::sync::{Deadline, Result, Semaphore};
use weft::vm::isa::Kind;
use weft::vm::signature::Argument;
use weft::{Fence, Fences, Function, Program, Value};

use super::measure::{Sample, Stopwatch, Subject};

/// How a function is iterated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One call an iteration.
    Call,
    /// The function repeats its work as often as its only argument says.
    Dispatch,
}

/// A function with its mode, if it can be measured without being named.
pub fn eligible(program: &Program) -> Vec<(Function, Mode)> {
    let mode = |function: &Function| match function.attribute("iree.benchmark") {
        Some("dispatch") if is_repeat_count(function) => Some(Mode::Dispatch),
        None | Some("entry") => (function.argument_count() == 0).then_some(Mode::Call),
        Some(_) => None,
    };
    let public = program.functions().filter(Function::is_public);
    public.filter_map(|function| mode(&function).map(|mode| (function, mode))).collect()
}

/// The mode of a function that was named.
pub fn mode_of(function: &Function) -> Mode {
    match function.attribute("iree.benchmark") {
        Some("dispatch") if is_repeat_count(function) => Mode::Dispatch,
        _ => Mode::Call,
    }
}

fn is_repeat_count(function: &Function) -> bool {
    function.signature().arguments() == [Argument::Value(Kind::I32)]
        && function.signature().results().is_empty()
}

/// A function under measurement.
pub struct Measured<'a> {
    function: &'a Function,
    mode: Mode,
    arguments: &'a [Value],
    batch: Batch,
    /// Results of the last iteration.
    pub results: Vec<Value>,
}

/// How calls are grouped.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Iterations that count as one step.
    pub size: u64,
    /// Chains of asynchronous calls that may overlap.
    pub concurrency: u64,
}

impl<'a> Measured<'a> {
    /// Prepares a function with its inputs.
    pub fn new(function: &'a Function, mode: Mode, arguments: &'a [Value], batch: Batch) -> Measured<'a> {
        Measured { function, mode, arguments, batch, results: Vec::new() }
    }

    fn call(&mut self) -> Result<()> {
        self.function.invoke(self.arguments.to_vec(), &mut self.results)
    }

    /// Steps of `batch.size` iterations, one call each.
    fn run_calls(&mut self, iterations: u64) -> Result<Sample> {
        let steps = iterations.div_ceil(self.batch.size);
        let mut watch = Stopwatch::default();
        watch.time(|| (0..steps).try_for_each(|_| self.call()))?;
        Ok(watch.sample(steps * self.batch.size))
    }

    /// Steps whose calls are all issued before the last one is waited for.
    fn run_enqueued(&mut self, iterations: u64) -> Result<Sample> {
        let size = self.batch.size.next_multiple_of(self.batch.concurrency);
        let steps = iterations.div_ceil(size);
        let mut watch = Stopwatch::default();
        for _ in 0..steps {
            let chains = Chains::new(size, self.batch.concurrency)?;
            watch.time(|| {
                for fences in &chains.calls {
                    self.results = self.function.call_fenced(self.arguments, fences.clone())?;
                }
                chains.done.as_ref().map_or(Ok(()), |done| done.wait(Deadline::NEVER))
            })?;
        }
        Ok(watch.sample(steps * size))
    }

    /// One call, told how often to repeat.
    fn run_dispatch(&mut self, iterations: u64) -> Result<Sample> {
        let steps = iterations.div_ceil(self.batch.size);
        let repeat = [Value::I32(i32::try_from(self.batch.size).unwrap_or(i32::MAX))];
        let mut watch = Stopwatch::default();
        watch
            .time(|| (0..steps).try_for_each(|_| self.function.invoke(repeat.to_vec(), &mut self.results)))?;
        Ok(watch.sample(steps * self.batch.size))
    }
}

impl Subject for Measured<'_> {
    fn run(&mut self, iterations: u64) -> Result<Sample> {
        match self.mode {
            Mode::Dispatch => self.run_dispatch(iterations),
            Mode::Call if self.function.is_asynchronous() => self.run_enqueued(iterations),
            Mode::Call => self.run_calls(iterations),
        }
    }
}

/// Fences for one batch of asynchronous calls: each call waits for the one before in its chain.
struct Chains {
    calls: Vec<Fences>,
    /// All chains have ended; none for no calls.
    done: Option<Arc<Fence>>,
}

impl Chains {
    fn new(size: u64, concurrency: u64) -> Result<Chains> {
        let timelines: Vec<Arc<Semaphore>> = (0..concurrency).map(|_| Arc::new(Semaphore::new(0))).collect();
        let mut last: Vec<Option<Arc<Fence>>> = vec![None; timelines.len()];
        let mut calls = Vec::new();
        for index in 0..size {
            let chain = (index % concurrency) as usize;
            let value = index / concurrency + 1;
            let signal = Fence::at(Arc::clone(&timelines[chain]), value);
            calls.push(Fences { wait: last[chain].take(), signal: Some(Arc::clone(&signal)) });
            last[chain] = Some(signal);
        }
        Ok(Chains { calls, done: Fence::join(last.iter().map(Option::as_ref))? })
    }
}
