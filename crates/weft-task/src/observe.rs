//! Begin and end of what workers do, for those who trace.

use std::{fmt, ptr};

use crate::process::Process;

/// Identifies a process among those that exist: its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId(pub usize);

impl ProcessId {
    /// That of a process.
    #[must_use]
    pub fn of(process: &Process) -> ProcessId {
        ProcessId(ptr::from_ref(process).addr())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Something that a worker or a guest begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A run of drains of an immediate process.
    Immediate(ProcessId),
    /// A visit to a slot.
    Compute(ProcessId),
    /// A sleep.
    Sleep,
}

/// Is told when workers begin and end something, with the same values both times. Must not block.
///
/// Without an observer each event costs one predictable branch.
pub trait Observer: Send + Sync + 'static {
    /// Seat `worker` begins something.
    fn begin(&self, worker: usize, span: Span);
    /// Seat `worker` ends what it began.
    fn end(&self, worker: usize, span: Span);
}
