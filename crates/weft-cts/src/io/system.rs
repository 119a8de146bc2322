#![allow(unsafe_code, reason = "signal handlers, clocks of threads and futexes are not in std")]
//! What of the system cases need and std does not have: signals to a thread, its processor time, futexes.
//!
//! # Safety
//!
//! The handler does what a handler may: it reads a thread-local that needs no making, and calls `Handle::wake`, which says
//! of itself that it may be called there. What the thread-local points to lives until it is cleared, by the thread that
//! it belongs to.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::AtomicU32;
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

/// Wakes up to `count` threads and operations that wait on this word of the process, and says how many.
pub(super) fn futex_wake(word: &AtomicU32, count: i32) -> i64 {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: a wake reads nothing; the word is there.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, count) }
}

/// The same for the word as one that is shared between processes, which is another word to the system.
pub(super) fn futex_wake_shared(word: &AtomicU32, count: i32) -> i64 {
    // SAFETY: a wake reads nothing; the word is there.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) }
}

/// Sleeps until somebody wakes this word of the process, or for no reason; not if it has another value.
pub(super) fn futex_wait(word: &AtomicU32, expected: u32) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let never: *const libc::timespec = ptr::null();
    // SAFETY: the word is there, and read atomically.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, never) };
}

/// The processor time of this thread.
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written to.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(outcome, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
