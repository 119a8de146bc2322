//! What a backend can do, and what it is allowed to.
//!
//! What lives here: [`Capabilities`]. What does not: finding out (`backend/uring/detect.rs`).
//!
//! A capability says what the kernel accelerates. Without it the operation still works, by other means; the exception
//! is `FUTEX_OPERATIONS`, without which futex operations are refused with `UNAVAILABLE`.

bitflags::bitflags! {
    /// What the kernel carries. Effective is what was detected *and* allowed, for the life of a proactor.
    ///
    /// ```
    /// use weft_io::{Capabilities, Config, open_null};
    /// let allowed = Capabilities::all() - Capabilities::LINKED_OPERATIONS;
    /// let proactor = open_null(&Config { allowed, ..Config::new() });
    /// assert!(!proactor.handle().capabilities().contains(Capabilities::LINKED_OPERATIONS));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Capabilities: u32 {
        /// One submission delivers many completions: accepting, and receiving into provided buffers.
        const MULTISHOT = 1 << 0;
        /// Open files are used by their place in a table that the kernel keeps, if they were registered
        /// ([`Handle::register_file`](crate::Handle::register_file)). Spares two atomic operations on the file for each
        /// request: on Linux 6.18, 45 to 60 ns of the 450 (32 at once) to 700 (alone) of a read of 4 KiB from the cache, 45
        /// ns of the 700 of a send or receive of 64 bytes within the machine, and nothing to be seen over TCP. Not found
        /// before Linux 6.13, where a file that leaves the table stays open until unrelated requests have ended.
        const FIXED_FILES = 1 << 1;
        /// Memory can be pinned beforehand, once for many operations.
        const REGISTERED_BUFFERS = 1 << 2;
        /// Chains run inside the kernel where its rules are ours.
        const LINKED_OPERATIONS = 1 << 3;
        /// Sends that copy nothing, where protocol and device can.
        const ZERO_COPY_SEND = 1 << 4;
        /// Memory of devices can be registered.
        const DMABUF = 1 << 5;
        /// Fences of other parties come in and go out as file descriptors.
        const DEVICE_FENCE = 1 << 6;
        /// Timers do not drift.
        const ABSOLUTE_TIMEOUT = 1 << 7;
        /// Futexes are waited for and woken by operations.
        const FUTEX_OPERATIONS = 1 << 8;
        /// The kernel carries messages from ring to ring. Set by no backend: it was measured and gains nothing.
        const PROACTOR_MESSAGING = 1 << 9;
        /// Handles of events are delivered straight to the port of completions, on Windows. Set by no backend yet.
        const WAIT_COMPLETION_PACKET = 1 << 10;

        // From here on weft's own, each a finer part of one above that kernels learned later.

        /// The kernel picks a buffer out of a ring of them when data is there.
        const PROVIDED_BUFFERS = 1 << 16;
        /// One receive out of a stream fills several buffers of such a ring, one behind the other.
        const RECEIVE_BUNDLES = 1 << 17;
        /// Receives use such a buffer up piece by piece.
        const INCREMENTAL_BUFFERS = 1 << 18;
        /// A send without a copy tells whether there was a copy after all.
        const ZERO_COPY_REPORT = 1 << 19;
    }
}
