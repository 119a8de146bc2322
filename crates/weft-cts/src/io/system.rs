#![allow(unsafe_code, reason = "signal handlers, and the clock of a thread, are not in std")]
//! What of the system cases need and std does not have: signals to a thread, its processor time.
//!
//! # Safety
//!
//! The handler does what a handler may: it reads a thread-local that needs no making, and calls `Handle::wake`, which says
//! of itself that it may be called there. What the thread-local points to lives until it is cleared, by the thread that
//! it belongs to.

use std::cell::Cell;
use std::ptr;
use std::time::Duration;

use weft_io::Handle;

thread_local! {
    /// What the handler wakes on this thread.
    static WOKEN: Cell<*const Handle> = const { Cell::new(ptr::null()) };
}

extern "C" fn wake_there(_signal: libc::c_int) {
    let handle = WOKEN.get();
    if !handle.is_null() {
        // SAFETY: see the header.
        unsafe { &*handle }.wake();
    }
}

/// While `body` runs, signals to this thread wake `handle`.
pub(super) fn woken_by_signals(handle: &Handle, body: impl FnOnce()) {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            WOKEN.set(ptr::null());
        }
    }
    let clear = Clear;
    WOKEN.set(handle);
    body();
    drop(clear);
}

/// Has this signal interrupt system calls, without restarting them, and call the handler.
pub(super) fn handle_signal(signal: libc::c_int) {
    // SAFETY: all zeros are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = wake_there as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the action is whole, and the old one is not asked for.
    let outcome = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(outcome, 0);
}

/// A thread, for signals.
#[derive(Clone, Copy)]
pub(super) struct ThreadId(libc::pthread_t);

impl ThreadId {
    pub(super) fn of_this_thread() -> ThreadId {
        // SAFETY: has no preconditions.
        ThreadId(unsafe { libc::pthread_self() })
    }

    /// The thread must be there: it joins the senders.
    pub(super) fn signal(self, signal: libc::c_int) {
        // SAFETY: see above.
        let outcome = unsafe { libc::pthread_kill(self.0, signal) };
        assert_eq!(outcome, 0);
    }
}

/// The processor time of this thread.
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written to.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(outcome, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
