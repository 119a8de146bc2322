//! What a backend can do, and what it is allowed to.
//!
//! What lives here: [`Capabilities`]. What does not: finding out (`backend/uring/mod.rs`).
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
        /// One submission delivers many completions.
        const MULTISHOT = 1 << 0;
        /// Chains run inside the kernel where its rules are ours.
        const LINKED_OPERATIONS = 1 << 3;
        /// Fences of other parties come in and go out as file descriptors.
        const DEVICE_FENCE = 1 << 6;
        /// Timers do not drift.
        const ABSOLUTE_TIMEOUT = 1 << 7;
        /// Futexes are waited for and woken by operations.
        const FUTEX_OPERATIONS = 1 << 8;
        /// The kernel carries messages from ring to ring.
        const PROACTOR_MESSAGING = 1 << 9;
    }
}
