//! Firing of records: outside every lock, once each, without deep recursion.
//!
//! 1. Records move from a semaphore to the work list of the firing thread while the lock of the semaphore is
//!    held; from then on they can no longer be cancelled.
//! 2. They are fired after the lock is free. Blocked threads come first, since waking them runs no foreign code.
//! 3. A callback that fires further records only appends them; the outermost firing drains the list. A chain of
//!    any length therefore uses the stack of one callback.
//! 4. A callback that panics does not cost the others their turn: the panic goes on once the list is empty.
//!
//! Which records fire, and why, is not here: see `semaphore.rs`.

use crate::Result;
use crate::atomic::thread_local;
use crate::pending::{Action, Callback, Record};
use crate::sleeper::Wake;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How deep callbacks that run at once may nest before the next one has to queue. A callback that registers for
/// a value that is reached already nests in its caller; this bounds the stack that such a chain can take.
const NESTING_MAX: u32 = 16;

/// Storage for more entries than this is given back when the list is empty again.
const KEPT_CAPACITY: usize = 256;

/// Records that left their semaphores and wait for their turn on this thread.
#[derive(Default)]
pub(crate) struct Batch {
    wakes: VecDeque<(Wake, Result<()>)>,
    calls: VecDeque<(Callback, Result<()>)>,
}

impl Batch {
    /// Appends a record that left its semaphore.
    pub(crate) fn push(&mut self, record: Record, outcome: Result<()>) {
        match record.action {
            Action::Call(callback) => self.calls.push_back((callback, outcome)),
            Action::Wake(wake) => self.wakes.push_back((wake, outcome)),
        }
    }
}

/// The work list of one thread.
struct WorkList {
    batch: RefCell<Batch>,
    /// Callbacks that are running on this thread, one inside the other.
    nesting: Cell<u32>,
}

thread_local! {
    static WORK: WorkList = WorkList::new();
}

/// Moves records to the work list of this thread by `collect`, which takes and frees the lock of the semaphore
/// itself and runs no foreign code, and fires them; inside a callback it leaves the callbacks to the outermost
/// firing.
pub(crate) fn dispatch(collect: impl FnOnce(&mut Batch)) {
    with_work_list(|work| {
        collect(&mut work.batch.borrow_mut());
        work.deliver_wakes();
        if work.nesting.get() == 0
            && let Some(panic) = work.drain_calls()
        {
            resume_unwind(panic);
        }
    });
}

/// Runs `callback` before returning; only beyond [`NESTING_MAX`] nested ones it queues instead, and runs on this
/// thread before the outermost callback's caller goes on.
pub(crate) fn call_now(callback: impl FnOnce(Result<()>) + Send + 'static, outcome: Result<()>) {
    with_work_list(|work| {
        if work.nesting.get() >= NESTING_MAX {
            work.batch.borrow_mut().calls.push_back((Box::new(callback), outcome));
            return;
        }
        let mut panic = work.run(callback, outcome);
        if work.nesting.get() == 0 {
            let later = work.drain_calls();
            panic = panic.or(later);
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    });
}

/// True while a callback runs on this thread.
pub(crate) fn is_inside_callback() -> bool {
    WORK.try_with(|work| work.nesting.get() > 0).unwrap_or(false)
}

fn with_work_list(body: impl FnOnce(&WorkList)) {
    // Destructors of thread-local values may still signal after this thread's list is gone.
    if WORK.try_with(|_| ()).is_ok() {
        WORK.with(body);
    } else {
        body(&WorkList::new());
    }
}

type Panic = Box<dyn Any + Send>;

impl WorkList {
    fn new() -> WorkList {
        WorkList { batch: RefCell::default(), nesting: Cell::new(0) }
    }

    fn next_wake(&self) -> Option<(Wake, Result<()>)> {
        self.batch.borrow_mut().wakes.pop_front()
    }

    fn next_call(&self) -> Option<(Callback, Result<()>)> {
        self.batch.borrow_mut().calls.pop_front()
    }

    fn deliver_wakes(&self) {
        while let Some((wake, outcome)) = self.next_wake() {
            wake.deliver(outcome);
        }
    }

    /// Runs callbacks until none is left and returns the first panic.
    fn drain_calls(&self) -> Option<Panic> {
        let mut panic = None;
        while let Some((callback, outcome)) = self.next_call() {
            let caught = self.run(callback, outcome);
            panic = panic.or(caught);
        }
        let mut batch = self.batch.borrow_mut();
        if batch.calls.capacity() > KEPT_CAPACITY {
            batch.calls.shrink_to(KEPT_CAPACITY);
        }
        if batch.wakes.capacity() > KEPT_CAPACITY {
            batch.wakes.shrink_to(KEPT_CAPACITY);
        }
        panic
    }

    fn run(&self, callback: impl FnOnce(Result<()>), outcome: Result<()>) -> Option<Panic> {
        self.nesting.set(self.nesting.get() + 1);
        // Sound to assert: a panic is never swallowed, so nobody goes on with what the callback left half done.
        let caught = catch_unwind(AssertUnwindSafe(|| callback(outcome))).err();
        self.nesting.set(self.nesting.get() - 1);
        caught
    }
}
