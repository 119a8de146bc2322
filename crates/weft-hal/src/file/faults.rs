//! Transfers that go wrong on purpose, at the place where the system or a proactor answers.
//!
//! What lives here: [`Faults`], what tests give to a file. What does not: what becomes of a transfer then, which is the
//! same as for real faults.

use weft_sync::atomic::{AtomicU64, Ordering};

/// What goes wrong with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device fails: EIO.
    Fails,
    /// It moves at most so many bytes.
    IsShort(usize),
    /// There is nothing more: 0 bytes.
    Ends,
}

/// EIO.
const DEVICE_FAILED: i32 = 5;

impl Fault {
    /// How many bytes a transfer may move.
    pub(super) fn limit(fault: Option<Fault>, bytes: usize) -> usize {
        match fault {
            Some(Fault::IsShort(most)) => bytes.min(most),
            _ => bytes,
        }
    }

    /// What a system call is taken to have said.
    pub(super) fn outcome(fault: Option<Fault>, outcome: std::io::Result<usize>) -> std::io::Result<usize> {
        match fault {
            Some(Fault::Fails) => Err(std::io::Error::from_raw_os_error(DEVICE_FAILED)),
            Some(Fault::Ends) => Ok(0),
            Some(Fault::IsShort(_)) | None => outcome,
        }
    }
}

/// Goes wrong every so many transfers. Retries count.
#[derive(Debug)]
pub struct Faults {
    every: u64,
    fault: Fault,
    count: AtomicU64,
}

impl Faults {
    /// The transfers with the numbers `every`, `2 * every` and so on, counted from 1; none for 0.
    pub fn every(every: u64, fault: Fault) -> Faults {
        Faults { every, fault, count: AtomicU64::new(0) }
    }

    /// Transfers so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn next(&self) -> Option<Fault> {
        // Relaxed: a count, with no order to anything.
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        (self.every != 0 && number.is_multiple_of(self.every)).then_some(self.fault)
    }
}
