//! Firing of records: outside every lock, once each, without deep recursion.
//!
//! 1. Records move from a semaphore or a tracker to the work list of the firing thread while the lock of their owner
//!    is held; from then on they can no longer be cancelled.
//! 2. They are fired after the lock is free. Blocked threads come first, since waking them runs no foreign code.
//! 3. A callback that fires further records only appends them; the outermost firing drains the list. A chain of
//!    any length therefore uses the stack of one callback.
//! 4. A callback that panics does not cost the others their turn: the panic goes on once the list is empty.
//! 5. The list of a thread grows to the largest batch that the thread has fired and keeps that storage, up to
//!    [`KEPT_CAPACITY`] records: firing allocates nothing once a thread is warm.
//!
//! Which records fire, and why, is not here: see `semaphore` and `tracker`; nor the queue itself (`fifo.rs`).

mod fifo;

use crate::atomic::thread_local;
use crate::callback::Callback;
use crate::pending::{Action, Record};
use crate::semaphore::Forward;
use crate::sleeper::Wake;
use crate::{Result, Semaphore, Status};
use fifo::Fifo;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// How deep callbacks that run at once may nest before the next one has to queue. A callback that registers for
/// a value that is reached already nests in its caller; this bounds the stack that such a chain can take.
const NESTING_MAX: u32 = 16;

/// Storage for more entries than this is given back when the list is empty again.
const KEPT_CAPACITY: usize = 256;

/// Records that left their owners and wait for their turn on this thread.
pub(crate) struct Batch {
    wakes: VecDeque<(Wake, Result<()>)>,
    /// Callbacks, and what else may run foreign code in turn: links, semaphores that fail.
    calls: Fifo,
}

impl Batch {
    const fn new() -> Batch {
        Batch { wakes: VecDeque::new(), calls: Fifo::new() }
    }

    /// Appends a record that left its semaphore.
    #[inline]
    pub(crate) fn push(&mut self, record: Record, outcome: Result<()>) {
        match record.action {
            Action::Call(mut callback) => self.calls.push(&mut callback, outcome),
            Action::Wake(wake) => self.wakes.push_back((wake, outcome)),
            Action::Forward(forward) => self.push_forward(forward, outcome),
        }
    }

    /// Appends a callback that leaves its tracker, straight from its place.
    #[inline]
    pub(crate) fn push_callback(&mut self, place: &mut Callback, outcome: Result<()>) {
        self.calls.push(place, outcome);
    }

    fn push_forward(&mut self, forward: Box<Forward>, outcome: Result<()>) {
        self.calls.push(&mut Callback::new(move |outcome| forward.deliver(outcome)), outcome);
    }

    /// Appends the failure of a semaphore.
    pub(crate) fn push_failure(&mut self, semaphore: Arc<Semaphore>, status: Status) {
        let fail =
            move |outcome: Result<()>| outcome.err().into_iter().for_each(|status| semaphore.fail(status));
        self.calls.push(&mut Callback::new(fail), Err(status));
    }
}

/// The work list of one thread.
struct WorkList {
    batch: RefCell<Batch>,
    /// Callbacks that are running on this thread, one inside the other.
    nesting: Cell<u32>,
}

#[cfg(not(loom))]
thread_local! {
    static WORK: WorkList = const { WorkList::new() };
}

#[cfg(loom)]
thread_local! {
    static WORK: WorkList = WorkList::new();
}

/// Moves records to the work list of this thread by `collect`, which takes and frees the lock of their owner itself
/// and runs no foreign code, and fires them; inside a callback it leaves the callbacks to the outermost firing.
pub(crate) fn dispatch<R>(collect: impl FnOnce(&mut Batch) -> R) -> R {
    with_work_list(|work| {
        let collected = collect(&mut work.batch.borrow_mut());
        work.deliver_wakes();
        if work.nesting.get() == 0
            && let Some(panic) = work.drain_calls()
        {
            resume_unwind(panic);
        }
        collected
    })
}

/// Runs `callback` before returning; only beyond [`NESTING_MAX`] nested ones it queues instead, and runs on this
/// thread before the outermost callback's caller goes on.
#[inline]
pub(crate) fn call_now(callback: impl FnOnce(Result<()>) + Send + 'static, outcome: Result<()>) {
    with_work_list(|work| {
        if work.nesting.get() >= NESTING_MAX {
            work.batch.borrow_mut().calls.push(&mut Callback::new(callback), outcome);
        } else {
            work.run_now(callback, outcome);
        }
    });
}

/// As [`call_now`], for a link whose source is there already.
pub(crate) fn forward_now(forward: Box<Forward>, outcome: Result<()>) {
    with_work_list(|work| {
        if work.nesting.get() >= NESTING_MAX {
            work.batch.borrow_mut().push_forward(forward, outcome);
        } else {
            work.run_now(|outcome| forward.deliver(outcome), outcome);
        }
    });
}

/// True while a callback runs on this thread.
pub(crate) fn is_inside_callback() -> bool {
    WORK.try_with(|work| work.nesting.get() > 0).unwrap_or(false)
}

#[inline]
fn with_work_list<R>(body: impl FnOnce(&WorkList) -> R) -> R {
    let mut body = Some(body);
    let mut once = |work: &WorkList| body.take().map(|body| body(work));
    // Destructors of thread-local values may still signal after this thread's list is gone.
    match WORK.try_with(&mut once) {
        Ok(done) => done,
        Err(_) => once(&WorkList::new()),
    }
    .expect("the body runs once")
}

type Panic = Box<dyn Any + Send>;

impl WorkList {
    const fn new() -> WorkList {
        WorkList { batch: RefCell::new(Batch::new()), nesting: Cell::new(0) }
    }

    fn next_wake(&self) -> Option<(Wake, Result<()>)> {
        self.batch.borrow_mut().wakes.pop_front()
    }

    #[inline]
    fn next_call(&self) -> Option<(Callback, Result<()>)> {
        self.batch.borrow_mut().calls.pop()
    }

    #[inline]
    fn deliver_wakes(&self) {
        while let Some((wake, outcome)) = self.next_wake() {
            wake.deliver(outcome);
        }
    }

    #[inline]
    fn run_now(&self, call: impl FnOnce(Result<()>), outcome: Result<()>) {
        let mut panic = self.run(call, outcome);
        if self.nesting.get() == 0 {
            let later = self.drain_calls();
            panic = panic.or(later);
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Runs callbacks until none is left and returns the first panic.
    fn drain_calls(&self) -> Option<Panic> {
        let mut panic = None;
        while let Some((call, outcome)) = self.next_call() {
            let caught = self.run(|outcome| call.call(outcome), outcome);
            panic = panic.or(caught);
        }
        let mut batch = self.batch.borrow_mut();
        batch.calls.shrink_to(KEPT_CAPACITY);
        if batch.wakes.capacity() > KEPT_CAPACITY {
            batch.wakes.shrink_to(KEPT_CAPACITY);
        }
        panic
    }

    #[inline]
    fn run(&self, call: impl FnOnce(Result<()>), outcome: Result<()>) -> Option<Panic> {
        self.nesting.set(self.nesting.get() + 1);
        // Sound to assert: a panic is never swallowed, so nobody goes on with what the callback left half done.
        let caught = catch_unwind(AssertUnwindSafe(|| call(outcome))).err();
        self.nesting.set(self.nesting.get() - 1);
        caught
    }
}
