//! What orders things in weft: statuses, deadlines, timeline semaphores.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

mod status;

pub use status::{Code, Result, Status, WhileDoing};
