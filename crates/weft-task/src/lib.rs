//! Cooperative processes on workers that wake in microseconds.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate. The protocols are in `README.md`.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use weft_sync::Deadline;
//! use weft_task::*;
//!
//! /// A hundred tiles, claimed by whoever comes.
//! struct Tiles { next: AtomicU32, scope: Arc<Scope> }
//! impl Work for Tiles {
//!     fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
//!         if self.next.fetch_add(1, Ordering::Relaxed) < 100 { Drained::Worked } else { Drained::Finished }
//!     }
//!     fn released(&self) { self.scope.end() }
//! }
//! let executor = Executor::new(&ExecutorOptions { workers: 2, ..Default::default() })?;
//! let scope = Arc::new(Scope::new("example", ScopeOptions::default()));
//! scope.begin();
//! let tiles = Tiles { next: AtomicU32::new(0), scope: Arc::clone(&scope) };
//! executor.schedule(&Process::new(tiles, ProcessOptions { wake_budget: 2, ..Default::default() }));
//! scope.wait_idle(Deadline::NEVER)?;
//! # weft_sync::Result::Ok(())
//! ```

mod activity;
mod affinity;
mod cache_line;
mod compute;
mod context;
mod counters;
mod drained;
mod executor;
pub mod float_mode;
mod guest;
mod inside;
mod list;
mod local_memory;
#[cfg(loom)]
pub mod model;
mod observe;
mod options;
mod outcome;
mod panics;
mod pin;
mod process;
mod processor;
mod ready;
mod report;
mod scope;
mod seats;
mod shared;
mod sleepers;
mod slot;
mod spin;
mod steals;
mod task_options;
mod tiles;
mod topology;
mod tuning;
mod warm;
mod whereabouts;
mod worker;

pub use affinity::{AffinitySet, AtomicAffinitySet, Indices};
pub use context::WorkerContext;
pub use counters::Counters;
pub use drained::{Drained, KeepWarm};
pub use executor::Executor;
pub use guest::{Bell, Guest};
pub use local_memory::{LOCAL_MEMORY_ALIGNMENT, Scratch};
pub use observe::{Observer, ProcessId, Span};
pub use options::{ExecutorOptions, Spawn, SystemThreads};
pub use outcome::State;
pub use pin::{Placement, THREAD_NAME_BYTES_MAX, allowed_processors, set_allowed_processors, worker_name};
pub use process::{Cancel, Process, ProcessOptions, Work};
pub use report::{Report, SeatReport, SlotReport, WaitingReport};
pub use scope::{InFlight, Scope, ScopeOptions};
pub use seats::{Seat, Seats};
pub use task_options::TaskOptions;
pub use tiles::{OpenRegion, Tiles};
pub use topology::{
    Caches, CoreSelection, Distribution, Favor, Group, Machine, Node, NodeChoice, PerformanceLevel,
    ProcessorSet, Quota, Topology, TopologyRequest, WorkerChoice, parse_bytes, parse_id,
};
pub use tuning::{GUESTS_MAX, STACK_BYTES_MIN, WORKERS_MAX};
