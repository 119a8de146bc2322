//! What orders things in weft: statuses, deadlines, timeline semaphores.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
//!
//! ```
//! use std::sync::Arc;
//! use weft_sync::{Code, Deadline, Semaphore, Status, wait_any};
//!
//! let (copied, computed) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
//! // When the copy has reached step 1, the computation may take its step 1.
//! let next = Arc::clone(&computed);
//! copied.on_reached(1, move |outcome| match outcome {
//!     Ok(()) => next.signal(1).expect("nobody else signals it"),
//!     Err(status) => next.fail(status),
//! });
//! copied.signal(1)?;
//! assert_eq!(wait_any(&[(&computed, 1), (&copied, 9)], Deadline::NEVER)?, 0);
//!
//! copied.fail(Status::new(Code::DataLoss, "the disk is gone"));
//! assert_eq!(copied.wait(2, Deadline::NEVER).unwrap_err().code(), Code::DataLoss);
//! # weft_sync::Result::Ok(())
//! ```

pub mod atomic;
mod axis;
mod callback;
mod cancel;
mod dispatch;
pub mod elision;
mod frontier;
mod gather;
mod lending;
pub mod list;
pub mod notification;
pub mod park;
mod pending;
pub mod reuse;
mod semaphore;
mod sleeper;
pub mod slots;
mod status;
mod time;
mod tracker;
mod turnstile;
mod wait_many;

pub use axis::{Axis, CompletionCounter, Domain, Machine};
pub use cancel::{CancelToken, CancelWork, wait_all_unless, wait_any_unless};
pub use frontier::{
    Causality, ENTRIES_MAX, Entry, Frontier, FrontierBox, FrontierBuf, Overflow, WIRE_BYTES_MAX, WireError,
};
pub use gather::{Gathering, on_all_reached, on_any_reached};
pub use lending::{Lender, lending_to};
pub use semaphore::{ExportTarget, Import, Link, Semaphore, Timepoint, Watch};
pub use status::{Code, Result, Status, WhileDoing};
pub use time::{Deadline, Instant};
pub use tracker::{Tracker, TrackerOptions, WaitId};
pub use turnstile::{Passage, Turnstile};
pub use wait_many::{AsPoint, Idle, Point, wait_all, wait_all_with, wait_any, wait_any_with};
