#![allow(unsafe_code, reason = "a waker that stands for its thread has neither data nor counts")]
//! Who wakes a future that a poll thread runs.
//!
//! What lives here: [`Alarm`], behind the waker of `Poller::block_on`, and its short form on the poll thread itself. What
//! does not: the loop (`future.rs`).
//!
//! 1. The waker that a future gets may go anywhere: it is counted, and ends the poll under way.
//! 2. **An operation that is parked on its poll thread ends there**, so all that it needs for a waker is a mark of that
//!    thread: no count is taken, and no bell rung, for a poll that ends an operation returns by itself. [`local`] says when
//!    that will do.
//! 3. The mark belongs to the thread, so a run inside another one may take that one's. It leaves the mark set when it goes.

use crate::handle::Handle;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};
use weft_sync::atomic::{AtomicBool, Ordering};

/// See the header.
pub(crate) struct Alarm {
    is_set: AtomicBool,
    handle: Handle,
}

impl Alarm {
    pub(crate) fn new(handle: Handle) -> Alarm {
        Alarm { is_set: AtomicBool::new(false), handle }
    }

    /// Whether somebody has woken the future since the last call.
    pub(crate) fn take(&self) -> bool {
        // Acquire pairs with the Release in `wake_by_ref`. One that the look misses rings.
        self.is_set.load(Ordering::Relaxed) && self.is_set.swap(false, Ordering::Acquire)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The poll thread itself, which is the one that takes the alarm back, need not say twice what it has seen.
        if self.handle.0.home.is_here() && self.is_set.load(Ordering::Relaxed) {
            return;
        }
        // The first one ends the poll; the others find that done.
        if !self.is_set.swap(true, Ordering::AcqRel) {
            self.handle.wake();
        }
    }
}

/// Which waker is that of the innermost run on this thread; and the mark of rule 2.
struct Thread {
    data: Cell<*const ()>,
    table: Cell<*const RawWakerVTable>,
    mark: Cell<bool>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { data: Cell::new(ptr::null()), table: Cell::new(ptr::null()), mark: Cell::new(false) }
    };
}

/// A run of a future on this thread, until it is dropped.
pub(crate) struct Run {
    outer: (*const (), *const RawWakerVTable),
}

impl Run {
    /// Begins a run whose future gets this waker. The mark is set: it has to be looked at.
    pub(crate) fn begin(waker: &Waker) -> Run {
        let outer = THREAD.with(|thread| {
            thread.mark.set(true);
            (thread.data.replace(waker.data()), thread.table.replace(waker.vtable()))
        });
        Run { outer }
    }

    /// Takes the mark.
    pub(crate) fn take(&self) -> bool {
        THREAD.with(|thread| thread.mark.replace(false))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.data.set(self.outer.0);
            thread.table.set(self.outer.1);
            thread.mark.set(true);
        });
    }
}

/// What to park instead of this waker, on the thread on which the operation ends.
#[inline]
pub(crate) fn local(waker: &Waker) -> &Waker {
    let is_own = THREAD.with(|thread| {
        ptr::eq(thread.data.get(), waker.data()) && ptr::eq(thread.table.get(), waker.vtable())
    });
    if is_own { &MARK } else { waker }
}

// SAFETY: the functions of the table use no data, and keep nothing.
static MARK: Waker = unsafe { Waker::new(ptr::null(), &MARK_TABLE) };

static MARK_TABLE: RawWakerVTable =
    RawWakerVTable::new(|_| RawWaker::new(ptr::null(), &MARK_TABLE), |_| set_mark(), |_| set_mark(), |_| {});

fn set_mark() {
    // A thread that is ending runs nothing any more.
    let _ = THREAD.try_with(|thread| thread.mark.set(true));
}
