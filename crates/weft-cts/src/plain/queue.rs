//! A queue of the plain device: one thread, one list.
//!
//! 1. A submission is kept under a number until its waits are reached or one fails; then it moves to the ready list.
//! 2. The thread takes ready submissions in the order in which they became ready, works, and signals.
//! 3. A signal carries what all waits were ordered after, and an epoch of the queue's own. Work that failed gets none.
//! 4. One whose token is cancelled moves to the ready list at once, and is told so.
//! 5. At the end everything that is kept or ready is told CANCELLED, and the thread is waited for.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use weft_hal::{HostCallEnd, Submission, fail_all};
use weft_sync::{
    Axis, CancelToken, CancelWork, Code, Frontier, FrontierBuf, Point, Result, Status, on_all_reached,
};

type Known = FrontierBuf<16>;
type Work = Box<dyn FnOnce(Result<()>) -> Result<HostCallEnd> + Send>;

/// What was submitted and has not run.
struct Operation {
    wait: Vec<Point>,
    signal: Vec<Point>,
    work: Work,
    cancel: Option<CancelWork>,
}

#[derive(Default)]
struct State {
    kept: HashMap<u64, Operation>,
    ready: VecDeque<(Operation, Result<()>)>,
    next: u64,
    is_over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    axis: Axis,
    /// The last epoch that was claimed.
    epoch: Mutex<u64>,
}

/// One queue.
pub(super) struct Queue {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    pub(super) fn start(axis: Axis) -> Queue {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), axis, epoch: Mutex::new(0) };
        let shared = Arc::new(shared);
        let own = Arc::clone(&shared);
        Queue { shared, thread: Some(std::thread::spawn(move || own.serve())) }
    }

    /// Calls `work` once, on the queue's thread: with `Ok` after the waits, with the failure if there is one.
    pub(super) fn submit(
        &self,
        at: &Submission<'_>,
        work: impl FnOnce(Result<()>) -> Result<HostCallEnd> + Send + 'static,
    ) {
        let operation = Operation {
            wait: at.wait.to_vec(),
            signal: at.signal.to_vec(),
            work: Box::new(work),
            cancel: at.cancel.map(CancelToken::work),
        };
        let number = {
            let mut state = self.shared.lock();
            state.next += 1;
            let number = state.next;
            state.kept.insert(number, operation);
            number
        };
        if let Some(token) = at.cancel {
            let shared = Arc::clone(&self.shared);
            // Detached, as below.
            drop(token.on_cancel(move || shared.make_ready(number, Err(CancelToken::status()))));
        }
        let shared = Arc::clone(&self.shared);
        // Detached: what is not kept any more when the call comes was told already.
        drop(on_all_reached(at.wait, move |outcome| shared.make_ready(number, outcome)));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let left = {
            let mut state = self.shared.lock();
            state.is_over = true;
            let kept = std::mem::take(&mut state.kept).into_values();
            let ready = std::mem::take(&mut state.ready).into_iter().map(|(operation, _)| operation);
            kept.chain(ready).collect::<Vec<_>>()
        };
        self.shared.changed.notify_all();
        for operation in left {
            self.shared.run(operation, Err(Status::new(Code::Cancelled, "the device ends")));
        }
        let thread = self.thread.take().expect("it is joined once");
        // The last handle may go on the queue's own thread, which then ends by itself.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_ready(&self, number: u64, outcome: Result<()>) {
        let mut state = self.lock();
        if let Some(operation) = state.kept.remove(&number) {
            state.ready.push_back((operation, outcome));
            self.changed.notify_all();
        }
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some((operation, outcome)) = state.ready.pop_front() {
                drop(state);
                self.run(operation, outcome);
                state = self.lock();
            } else if state.is_over {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn run(&self, operation: Operation, outcome: Result<()>) {
        let Operation { wait, signal, work, cancel } = operation;
        let is_cancelled = || cancel.as_ref().is_some_and(|work| work.token().is_cancelled());
        let outcome = if is_cancelled() { Err(CancelToken::status()) } else { outcome };
        let worked = catch_unwind(AssertUnwindSafe(|| work(outcome)));
        let panicked = |_| Err(Status::new(Code::Internal, "the work panicked"));
        let ended = match worked.unwrap_or_else(panicked) {
            // What the inline device left out, or ended half-way, was perhaps not done.
            _ if is_cancelled() => Err(CancelToken::status()),
            Ok(HostCallEnd::Done) => self.signal(&wait, &signal),
            Ok(HostCallEnd::Deferred) => Ok(()),
            Err(status) => Err(status),
        };
        if let Err(status) = ended {
            fail_all(&signal, status);
        }
    }

    fn signal(&self, wait: &[Point], signal: &[Point]) -> Result<()> {
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch += 1;
        let known = self.known(wait, *epoch);
        drop(epoch);
        signal.iter().try_for_each(|point| match &known {
            Some(known) => point.semaphore.signal_untainted(point.value, known),
            None => point.semaphore.signal_with(point.value, Frontier::EMPTY),
        })
    }

    /// All that is ordered before; `None` if that is not known or does not fit.
    fn known(&self, wait: &[Point], epoch: u64) -> Option<Known> {
        let mut known = Known::default();
        for point in wait {
            let past: Known = point.semaphore.complete_frontier(point.value)?;
            known.merge(&past).ok()?;
        }
        known.raise(self.axis, epoch).ok()?;
        Some(known)
    }
}
