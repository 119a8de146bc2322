//! Random histories of one timeline against a naive model.
#![cfg(not(loom))]

use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use weft_sync::{Code, Semaphore, Status, Timepoint};

#[derive(Clone, Debug)]
enum Step {
    Signal(u64),
    Fail(usize),
    Register(u64),
    Cancel(usize),
    Detach(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Few values, so that they meet; now and then the ends of the range.
    let value = prop_oneof![8 => 0..24u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    prop_oneof![
        6 => value.clone().prop_map(Step::Signal),
        1 => (0..2usize).prop_map(Step::Fail),
        8 => value.prop_map(Step::Register),
        4 => (0..16usize).prop_map(Step::Cancel),
        2 => (0..16usize).prop_map(Step::Detach),
    ]
}

/// A callback by number, and the failure that it got.
type Firing = (usize, Option<Code>);

const FAILURES: [Code; 2] = [Code::DataLoss, Code::Aborted];

/// What the contract says, by linear search.
#[derive(Default)]
struct Model {
    value: u64,
    failure: Option<Code>,
    pending: Vec<(u64, usize)>,
    fired: Vec<Firing>,
}

impl Model {
    fn signal(&mut self, value: u64) -> Result<(), Code> {
        if let Some(code) = self.failure {
            return Err(code);
        }
        if value <= self.value {
            return Err(Code::InvalidArgument);
        }
        self.value = value;
        self.fire(|target| target <= value, None);
        Ok(())
    }

    fn fail(&mut self, code: Code) {
        if self.failure.is_none() {
            self.failure = Some(code);
            self.fire(|_| true, Some(code));
        }
    }

    fn register(&mut self, value: u64, name: usize) {
        if self.failure.is_some() || value <= self.value {
            self.fired.push((name, self.failure));
        } else {
            self.pending.push((value, name));
        }
    }

    fn cancel(&mut self, name: usize) -> bool {
        let before = self.pending.len();
        self.pending.retain(|&(_, pending)| pending != name);
        self.pending.len() < before
    }

    fn fire(&mut self, is_due: impl Fn(u64) -> bool, outcome: Option<Code>) {
        let (due, rest): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|&(target, _)| is_due(target));
        self.pending = rest;
        self.fired.extend(due.into_iter().map(|(_, name)| (name, outcome)));
    }
}

fn sorted(fired: &[Firing]) -> Vec<Firing> {
    let mut fired = fired.to_vec();
    fired.sort_unstable();
    fired
}

fn code_of(outcome: weft_sync::Result<()>) -> Result<(), Code> {
    outcome.map_err(|status| status.code())
}

proptest! {
    /// [causal 26] [causal 27] [causal 28] [causal 29] [causal 30] Same answers and same firings as the model.
    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut model = Model::default();
        let fired: Arc<Mutex<Vec<Firing>>> = Arc::default();
        let mut timepoints: Vec<Option<Timepoint>> = Vec::new();
        for step in steps {
            match step {
                Step::Signal(value) => prop_assert_eq!(code_of(semaphore.signal(value)), model.signal(value)),
                Step::Fail(which) => {
                    semaphore.fail(Status::new(FAILURES[which], ""));
                    model.fail(FAILURES[which]);
                }
                Step::Register(value) => {
                    let (name, fired) = (timepoints.len(), Arc::clone(&fired));
                    timepoints.push(Some(semaphore.on_reached(value, move |outcome| {
                        fired.lock().unwrap().push((name, code_of(outcome).err()));
                    })));
                    model.register(value, name);
                }
                Step::Cancel(name) => {
                    if let Some(Some(timepoint)) = timepoints.get(name) {
                        prop_assert_eq!(timepoint.cancel(), model.cancel(name));
                    }
                }
                Step::Detach(name) => {
                    if let Some(slot) = timepoints.get_mut(name) {
                        *slot = None;
                    }
                }
            }
            prop_assert_eq!(sorted(&fired.lock().unwrap()), sorted(&model.fired));
            let answer = semaphore.query().map_err(|status| status.code());
            prop_assert_eq!(answer, model.failure.map_or(Ok(model.value), Err));
        }
        drop((semaphore, timepoints));
        model.fire(|_| true, Some(Code::Cancelled));
        prop_assert_eq!(sorted(&fired.lock().unwrap()), sorted(&model.fired), "at the end all were answered");
    }
}
