//! CPU devices: kernel loading, dispatch and the local-sync device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod abi;
mod block;
mod command_buffer;
pub mod dispatch;
pub mod executable;
pub mod features;
mod host_memory;
pub mod imports;
pub mod loader;
pub mod native;
mod numbering;
mod panics;
mod presence;
mod profiled;
mod queue_ops;
mod replay;
#[cfg(test)]
mod stepwise;
mod stop;
mod sync_device;
mod task_device;
mod task_queue;
mod worker_spans;

// Where kernels run: weft-task's workers wear the same mode for good.
pub use weft_task::float_mode;

pub use host_memory::HostMemory;
pub use sync_device::{LOCAL_SYNC, SyncDeviceOptions, open_sync_device};
pub use task_device::{LOCAL_TASK, TASK_QUEUES_MAX, TaskDeviceOptions, open_task_device};
pub use worker_spans::WorkerSpans;
