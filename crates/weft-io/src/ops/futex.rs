//! Waiting on and waking of 32-bit words, together with threads that do the same by system calls.

use super::{Body, Kind};
use crate::Capabilities;
use crate::operation::{Params, sealed::Lower};
use std::sync::Arc;
use weft_sync::atomic::AtomicU32;
use weft_sync::{Result, bail};

fn needs_futex(capabilities: Capabilities) -> Result<()> {
    if !capabilities.contains(Capabilities::FUTEX_OPERATIONS) {
        bail!(
            Unavailable,
            "this proactor has no futex operations: only the backend uring has, on Linux 6.7 or later, if they are allowed"
        );
    }
    Ok(())
}

/// Ends when somebody wakes the word, or at once if it does not hold `expected`. Private to the process.
#[derive(Clone, Debug)]
pub struct FutexWait {
    /// The word.
    pub word: Arc<AtomicU32>,
    /// What it holds while there is something to wait for.
    pub expected: u32,
}

impl Params for FutexWait {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for FutexWait {
    const KIND: Kind = Kind::FutexWait;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        needs_futex(capabilities)
    }

    fn body(&mut self) -> Body<'_> {
        Body::FutexWait(self)
    }
}

/// Wakes up to `count` of those who wait on the word, whether by operation or by system call. Ends with their number.
#[derive(Clone, Debug)]
pub struct FutexWake {
    /// The word.
    pub word: Arc<AtomicU32>,
    /// How many, at most; the kernel counts to `i32::MAX`, which stands for all.
    pub count: u32,
}

impl Params for FutexWake {
    type Output = u32;

    fn output(&mut self, value: i64) -> u32 {
        value as u32
    }
}

impl Lower for FutexWake {
    const KIND: Kind = Kind::FutexWake;

    fn prepare(&mut self, capabilities: Capabilities) -> Result<()> {
        needs_futex(capabilities)
    }

    fn body(&mut self) -> Body<'_> {
        Body::FutexWake(self)
    }
}
