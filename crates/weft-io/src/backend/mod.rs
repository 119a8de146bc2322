//! What a backend provides. Adding one means adding a folder here, an arm in [`Backend`] and a line in `open.rs`.
//!
//! * `bind`      makes the calling thread the one that drives it, for good;
//! * `push`      takes one operation of a kernel kind and owns it until its completion; never blocks;
//! * `poll`      takes one watch of a handle, answered once;
//! * `cancel`    asks; the operation still comes back exactly once;
//! * `exchange`  hands over what was taken, and waits until something is there, somebody wakes, or a deadline;
//! * `next`      gives back one thing that had ended when the last `exchange` was over;
//! * `resume`    takes back what `next` has lent out with one of several answers; only those that do so need it;
//! * `close`     is the last call;
//! * the [`Waker`] that it was opened with ends an `exchange` from any thread.
//!
//! Timers, semaphores, notifications, messages and sequences are not a backend's business: they are the same on all of
//! them. The kind of backend is decided once, at creation; inside the loop it is one branch.

pub(crate) mod null;
pub(crate) mod open;
#[cfg(all(unix, not(loom)))]
pub(crate) mod readiness;
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) mod uring;

#[cfg(unix)]
use crate::ops::Interest;
use crate::record::Erased;
use crate::table::Key;
use weft_sync::park::Word;
use weft_sync::{Deadline, Result};

/// How an `exchange` is ended from outside.
#[derive(Debug)]
pub(crate) enum Waker {
    /// The backend reads from it.
    #[cfg(unix)]
    Handle(std::sync::Arc<crate::event_handle::EventHandle>),
    /// The backend sleeps on it.
    Word(std::sync::Arc<Word>),
}

impl Waker {
    /// Ends the `exchange` under way, or the next one. May be called in a signal handler.
    pub(crate) fn wake(&self) {
        match self {
            #[cfg(unix)]
            Waker::Handle(handle) => crate::event_handle::raise(handle),
            Waker::Word(word) => {
                word.value().fetch_add(1, weft_sync::atomic::Ordering::Release);
                word.wake_all();
            }
        }
    }
}

/// Something that a backend gives back.
pub(crate) enum Ended {
    /// An operation, its slot, and what it ended with: a number, or one of the system's errors.
    Operation { slot: u32, operation: Erased, outcome: std::result::Result<i64, i32> },
    /// One of several answers to an operation, which is on loan: [`Backend::resume`] takes it back before anything else.
    #[cfg(unix)]
    #[cfg_attr(loom, allow(dead_code, reason = "no kernel goes on by itself"))]
    Shot { slot: u32, operation: Erased, value: i64 },
    /// A watch: readiness in the bits of `poll(2)`, or an error below zero.
    #[cfg(unix)]
    Watch { number: u64, result: i32 },
}

/// The backend of one proactor.
pub(crate) enum Backend {
    #[cfg(all(target_os = "linux", not(loom)))]
    Uring(Box<uring::Uring>),
    #[cfg(all(unix, not(loom)))]
    Readiness(Box<readiness::Readiness>),
    Null(null::Null),
}

macro_rules! each {
    ($self:ident, $backend:ident => $body:expr) => {
        match $self {
            #[cfg(all(target_os = "linux", not(loom)))]
            Backend::Uring($backend) => $body,
            #[cfg(all(unix, not(loom)))]
            Backend::Readiness($backend) => $body,
            Backend::Null($backend) => $body,
        }
    };
}

impl Backend {
    /// Whose it is: registered memory says the same.
    pub(crate) fn introduce(&mut self, proactor: u32) {
        match self {
            #[cfg(all(target_os = "linux", not(loom)))]
            Backend::Uring(backend) => backend.introduce(proactor),
            _ => _ = proactor,
        }
    }

    pub(crate) fn bind(&mut self) -> Result<()> {
        each!(self, backend => backend.bind())
    }

    /// What it does about memory.
    #[cfg(all(unix, not(loom)))]
    pub(crate) fn registry(&self) -> crate::memory::Registry {
        match self {
            #[cfg(target_os = "linux")]
            Backend::Uring(backend) => crate::memory::Registry::Uring(backend.memory()),
            _ => crate::memory::Registry::Emulated,
        }
    }

    /// What it does about open files.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn files(&self) -> Option<std::sync::Arc<uring::Files>> {
        match self {
            Backend::Uring(backend) => backend.files(),
            _ => None,
        }
    }

    /// How many more operations fit before it would have to hand some over.
    #[inline]
    pub(crate) fn room(&mut self) -> usize {
        each!(self, backend => backend.room())
    }

    /// `is_linked`: the next push continues this one's chain. The caller has seen that both have room.
    #[inline]
    pub(crate) fn push(&mut self, key: Key, operation: Erased, is_linked: bool) {
        each!(self, backend => backend.push(key, operation, is_linked))
    }

    /// Takes an operation back that it has lent out for one of several answers.
    #[cfg(unix)]
    pub(crate) fn resume(&mut self, slot: u32, operation: Erased) {
        match self {
            #[cfg(all(target_os = "linux", not(loom)))]
            Backend::Uring(backend) => backend.resume(slot, operation),
            _ => unreachable!("{operation:?} in slot {slot}: this backend lends nothing"),
        }
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        each!(self, backend => backend.cancel(key))
    }

    /// Whoever cancelled it does not wait for others to let go of its memory; see `Lower::let_go`.
    #[cfg(unix)]
    pub(crate) fn let_go(&mut self, key: Key) {
        match self {
            #[cfg(all(target_os = "linux", not(loom)))]
            Backend::Uring(backend) => backend.let_go(key),
            #[cfg(not(loom))]
            Backend::Readiness(backend) => backend.let_go(key),
            // Nothing is kept beyond a call.
            _ => {}
        }
    }

    #[cfg(unix)]
    pub(crate) fn poll(&mut self, number: u64, fd: std::os::fd::BorrowedFd<'_>, interest: Interest) {
        each!(self, backend => backend.poll(number, fd, interest))
    }

    #[cfg(unix)]
    pub(crate) fn cancel_poll(&mut self, number: u64) {
        each!(self, backend => backend.cancel_poll(number))
    }

    /// Whether an exchange that does not wait would do anything.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        each!(self, backend => backend.is_due())
    }

    /// Whether an exchange that waits would come back at once: what it hands over ends without waiting for anything.
    #[inline]
    pub(crate) fn is_brief(&self) -> bool {
        each!(self, backend => backend.is_brief())
    }

    /// `Some`: waits until that deadline.
    pub(crate) fn exchange(&mut self, wait: Option<Deadline>) -> Result<()> {
        each!(self, backend => backend.exchange(wait))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<Ended> {
        each!(self, backend => backend.next())
    }

    /// The end, after everything has come back.
    pub(crate) fn close(&mut self) {
        each!(self, backend => backend.close())
    }
}
