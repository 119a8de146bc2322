#![allow(unsafe_code, reason = "WaitOnAddress and its wakes; declared here, three functions of one system library")]
//! Windows: the system keeps the sleepers, keyed by the address of the word.
//!
//! # Safety
//!
//! Every address that is passed comes from a reference to the word that is borrowed for the call.

use crate::Deadline;
use crate::atomic::AtomicU32;
use std::ffi::c_void;

#[derive(Debug)]
pub(super) struct Means;

const INFINITE: u32 = u32::MAX;

#[link(name = "api-ms-win-core-synch-l1-2-0", kind = "raw-dylib")]
unsafe extern "system" {
    fn WaitOnAddress(address: *const c_void, compare: *const c_void, size: usize, milliseconds: u32) -> i32;
    fn WakeByAddressSingle(address: *const c_void);
    fn WakeByAddressAll(address: *const c_void);
}

impl Means {
    pub(super) const fn new() -> Means {
        Means
    }

    pub(super) fn sleep(&self, word: &AtomicU32, expected: u32, deadline: Deadline) {
        // Round up: truncating would turn the last part of a millisecond into a busy loop.
        let milliseconds = deadline.remaining().map_or(INFINITE, |left| {
            u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
        });
        let compare: *const u32 = &expected;
        // SAFETY: both addresses come from references that outlive the call and point to four readable bytes. The
        // system compares and sleeps; it writes nothing. Its result is a reason to look again either way.
        unsafe { WaitOnAddress(word.as_ptr().cast(), compare.cast(), 4, milliseconds) };
    }

    pub(super) fn wake(&self, word: &AtomicU32, count: u32) {
        let address: *const c_void = word.as_ptr().cast();
        if count == 1 {
            // SAFETY: the address is only a key; nothing is read through it.
            unsafe { WakeByAddressSingle(address) };
        } else {
            // Too many is allowed: a sleep may end for no reason.
            // SAFETY: the address is only a key; nothing is read through it.
            unsafe { WakeByAddressAll(address) };
        }
    }
}
