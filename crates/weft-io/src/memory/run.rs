//! What one answer to a receive has brought.
//!
//! What lives here: [`Run`]. What does not: which buffers follow which (`backend/uring/group.rs`).
//!
//! 1. **Several buffers of one answer** were filled one behind the other, each but the last to its end. They are nobody
//!    else's from the moment at which the answer was seen: no lease is made of one, and it is not given to the kernel again,
//!    before the run has given it out.
//! 2. **What nobody takes goes back** to the pool with the run: where its operation ends without telling, or a callback
//!    panics between two of them.
//! 3. A lease is made when its turn comes, so a run of any length takes no memory.

use super::lease::Lease;

/// What an answer of the kernel says of the buffers that it has picked.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    /// The first.
    pub(crate) buffer: u16,
    /// How many bytes came.
    pub(crate) bytes: u32,
    /// More may come into the same buffer.
    pub(crate) goes_on: bool,
}

/// See the header.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The next one.
    lease: Option<Lease>,
    /// How many there are behind it.
    behind: u32,
    /// Bytes in all of them.
    bytes: usize,
}

impl Run {
    /// One buffer with so many bytes.
    pub(crate) fn of(lease: Lease, bytes: usize) -> Run {
        Run { lease: Some(lease), behind: 0, bytes }
    }

    /// The same, and so many buffers behind it, which the caller gives up (rule 1).
    #[cfg(target_os = "linux")]
    pub(super) fn of_many(lease: Lease, behind: u32, bytes: usize) -> Run {
        Run { lease: Some(lease), behind, bytes }
    }
}

impl Iterator for Run {
    /// A buffer, and how many bytes of it were received.
    type Item = (Lease, usize);

    fn next(&mut self) -> Option<(Lease, usize)> {
        let lease = self.lease.take()?;
        let mut bytes = self.bytes;
        if self.behind > 0
            && let Some((length, next)) = lease.pool().follow(&lease)
        {
            self.lease = Some(next);
            self.behind -= 1;
            bytes = length.min(bytes);
        }
        self.bytes -= bytes;
        Some((lease, bytes))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
