//! Profiling of devices: what was submitted, what ran, for how long, with which memory (`docs/spec/hal.md` §18).
//!
//! 1. A session begins with [`ProfileOptions`] on one device, which may have one session at a time. Options are cloned:
//!    what the caller does with them later changes nothing.
//! 2. Nothing is validated by the sink: when `begin` refuses, the sink was not touched.
//! 3. Records gather in bounded rings, one a family. A full ring drops what comes and the next chunk says how many it
//!    misses; with [`ProfileFlags::FLUSH_WHEN_FULL`] whoever finds the ring full flushes first.
//! 4. A flush hands the rings to the sink, outside of all locks. What the sink refuses stays for the next flush.
//! 5. The end marker is the last thing a sink gets of a session: records that come later are ignored.
//! 6. With no session a device pays one load of an atomic word for an operation, and no memory.
//!
//! What lives here: families (`family.rs`), options and their validation (`options.rs`), records (`record.rs`), rings
//! (`ring.rs`), sinks (`sink.rs`), and the [`Profiler`] that a device's backend holds and feeds (`profiler.rs`). What
//! does not: when a device records what (the devices), and what is made of it (the `weft` program writes traces).
//!
//! ```
//! use std::sync::Arc;
//! use weft_hal::profile::{ProfileFamilies, ProfileLog, ProfileOptions};
//! # fn profile(device: &weft_hal::Device) -> weft_sync::Result<()> {
//! let log = Arc::new(ProfileLog::default());
//! let families = ProfileFamilies::QUEUE_EVENTS | ProfileFamilies::EXECUTION_EVENTS;
//! device.profiling_begin(&ProfileOptions::new(families, log.clone()))?;
//! device.queue_barrier(&weft_hal::Submission::IMMEDIATE)?;
//! device.profiling_end()?;
//! assert_eq!(log.take().queue.len(), 1);
//! # Ok(()) }
//! ```

mod family;
mod options;
mod profiler;
#[cfg(test)]
mod races;
mod record;
mod ring;
mod sink;

pub use family::{ProfileFamilies, ProfileFlags};
pub use options::{CounterSet, EVENTS_MAX_DEFAULT, ProfileFilter, ProfileOptions};
pub use profiler::{Profiler, now_ns};
pub use record::{
    CALLING_THREAD, ExecutableRecord, ExecutionEvent, FunctionRecord, MemoryAction, MemoryEvent,
    OperationKind, POINTS_KEPT_MAX, PointList, QueueEvent, RecordingId, RegionEvent, TimelinePoint,
    WaitStrategy, WorkerActivity, WorkerEvent,
};
pub use sink::{Profile, ProfileChunk, ProfileLog, ProfileRecords, ProfileSession, ProfileSink};
