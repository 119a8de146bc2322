//! What a device that runs on workers is made with.

use std::time::Duration;

use crate::topology::TopologyRequest;

/// What a device that runs on workers is made with: one struct from flags to the factory of the device.
///
/// ```
/// use weft_task::TaskOptions;
/// let options = TaskOptions::default();
/// assert!(options.spin.is_zero());
/// assert_eq!(options.stack_bytes, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOptions {
    /// Which workers; one executor and one queue for each topology.
    pub topology: TopologyRequest,
    /// How long an idle worker looks for work before it sleeps.
    pub spin: Duration,
    /// Stack of a worker.
    pub stack_bytes: usize,
    /// Scratch memory of a worker; 0: as much as fits its cache.
    pub local_memory_bytes: usize,
    /// Ends the process when something that was submitted fails, with what failed: for debuggers.
    pub abort_on_failure: bool,
}

impl Default for TaskOptions {
    fn default() -> TaskOptions {
        TaskOptions {
            topology: TopologyRequest::default(),
            spin: Duration::ZERO,
            // Kernels of compiled programs keep tiles on the stack, and interpreted ones run the interpreter there. Only
            // what is touched costs memory.
            stack_bytes: 1 << 20,
            local_memory_bytes: 0,
            abort_on_failure: false,
        }
    }
}
