//! Every limit and choice of a proactor.
//!
//! What lives here: [`Config`]. What does not: which backend is opened (`backend/open.rs`).

use crate::Capabilities;

/// Limits and choices of one proactor. Every field is visible; [`Config::new`] says what each is by itself.
///
/// ```
/// use weft_io::Config;
/// let many_timers = Config { operations_max: 16_384, ..Config::new() };
/// assert_eq!(many_timers.ring_entries, 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Operations that may be under way at once, batches not yet submitted included. One more is refused and comes
    /// back. 4096 by itself. Each costs memory for as long as the proactor lives: roughly 130 bytes without a backend, 160
    /// with a ring, 200 with readiness. 1 to [`Config::LIMIT`].
    pub operations_max: u32,
    /// Entries of the submission ring, rounded up to a power of two; 0 stands for 256. Its completion ring has four times as
    /// many, or as many as the kernel gives. Not a limit on operations: the poll thread hands over what does not fit in
    /// several turns.
    pub ring_entries: u32,
    /// Messages that may lie in the mailbox between two polls, at least one, up to [`Config::LIMIT`]. One more is refused.
    pub messages_max: u32,
    /// What the proactor may use of what the kernel has.
    pub allowed: Capabilities,
    /// Shown in descriptions and thread names; more than 32 bytes are cut off.
    pub name: String,
    /// The first rung of the ladder of ring set-ups that is tried; 0 is the newest. For tests of the others.
    pub ring_rung: usize,
}

impl Config {
    /// More operations or messages than this are not possible: their places are made when the proactor is.
    pub const LIMIT: u32 = 1 << 20;

    /// 4096 operations, a ring of 256, 256 messages, everything allowed.
    pub const fn new() -> Config {
        Config {
            operations_max: 4096,
            ring_entries: 256,
            messages_max: 256,
            allowed: Capabilities::all(),
            name: String::new(),
            ring_rung: 0,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}
