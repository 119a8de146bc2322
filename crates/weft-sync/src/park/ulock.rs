#![allow(unsafe_code, reason = "__ulock_wait and __ulock_wake of libSystem; declared here, two functions")]
//! Apple systems: the kernel keeps the sleepers, keyed by the address of the word.
//!
//! # Safety
//!
//! Every address that is passed comes from a reference to the word that is borrowed for the call.

use crate::Deadline;
use crate::atomic::AtomicU32;
use std::ffi::c_void;

#[derive(Debug)]
pub(super) struct Means;

const COMPARE_AND_WAIT: u32 = 1;
const WAKE_ALL: u32 = 0x0000_0100;
/// Failures come back as results, and `errno` stays as it is.
const NO_ERRNO: u32 = 0x0100_0000;

unsafe extern "C" {
    fn __ulock_wait(operation: u32, address: *mut c_void, value: u64, microseconds: u32) -> i32;
    fn __ulock_wake(operation: u32, address: *mut c_void, value: u64) -> i32;
}

impl Means {
    pub(super) const fn new() -> Means {
        Means
    }

    pub(super) fn sleep(&self, word: &AtomicU32, expected: u32, deadline: Deadline) {
        // 0 means for ever. Round up: truncating would turn the last microsecond into a busy loop, or into for ever.
        let microseconds = deadline.remaining().map_or(0, |left| {
            u32::try_from(left.as_nanos().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
        });
        let address = word.as_ptr().cast();
        // SAFETY: the address comes from a reference that outlives the call and points to four readable bytes. The
        // kernel compares and sleeps; it writes nothing. Its result is a reason to look again either way.
        unsafe { __ulock_wait(COMPARE_AND_WAIT | NO_ERRNO, address, u64::from(expected), microseconds) };
    }

    pub(super) fn wake(&self, word: &AtomicU32, count: u32) {
        // Too many is allowed: a sleep may end for no reason.
        let all = if count == 1 { 0 } else { WAKE_ALL };
        let address = word.as_ptr().cast();
        // SAFETY: the address is only a key; nothing is read through it.
        unsafe { __ulock_wake(COMPARE_AND_WAIT | NO_ERRNO | all, address, 0) };
    }
}
