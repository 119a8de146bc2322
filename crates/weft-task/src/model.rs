//! The protocols without threads of the system, for the models in `tests/loom`.

use std::sync::Arc;

use weft_sync::{Deadline, Status};

pub use crate::activity::{Activity, Schedule};
pub use crate::sleepers::{Doze, Dozed, Sleepers};

use crate::guest::{Bell, Guest};
use crate::local_memory::LocalMemory;
use crate::process::Process;
use crate::shared::{Settings, Shared};
use crate::spin::SpinLimits;
use crate::worker::Pump;

/// An executor whose workers are threads of the model.
#[derive(Clone)]
pub struct World(Arc<Shared>);

impl World {
    /// Nobody works yet.
    pub fn new(workers: usize, guests: usize) -> World {
        World(Arc::new(Shared::new(Settings {
            workers,
            guests,
            worker_base_index: 0,
            local_memory_bytes: vec![0; workers].into_boxed_slice(),
            placements: Box::default(),
            spin: SpinLimits::new(std::time::Duration::ZERO, 0, 1),
            observer: None,
        })))
    }

    /// Schedules from a thread without a seat.
    pub fn schedule(&self, process: &Arc<Process>) {
        self.0.schedule_from_outside(process, false);
    }

    /// Cancels from a thread without a seat.
    pub fn cancel(&self, process: &Arc<Process>) {
        self.0.cancel(process);
    }

    /// Fails from a thread without a seat.
    pub fn fail(&self, process: &Arc<Process>, failure: Status) {
        self.0.fail(process, failure);
    }

    /// The life of a worker.
    pub fn run(&self, worker: usize) {
        Pump::new(&self.0, worker, LocalMemory::default()).run();
    }

    /// One look of a worker at everything, as often as it finds something.
    pub fn pass(&self, worker: usize) {
        let pump = Pump::new(&self.0, worker, LocalMemory::default());
        while pump.pass() {}
    }

    /// One look of a worker at everything.
    pub fn pass_once(&self, worker: usize) {
        Pump::new(&self.0, worker, LocalMemory::default()).pass();
    }

    /// Asks everybody to leave.
    pub fn exit(&self) {
        self.0.request_exit();
    }

    /// Lends the calling thread until a condition holds.
    pub fn lend(&self, begin: impl FnOnce(&Guest<'_>, Bell), until: impl FnMut() -> bool) -> bool {
        let guest = Guest::new(&self.0, || Some(LocalMemory::default())).expect("a seat is free");
        begin(&guest, guest.bell());
        guest.run_until(Deadline::NEVER, until)
    }

    /// Whether any slot holds something.
    pub fn is_occupied(&self) -> bool {
        self.0.ready.occupied() > 0
    }
}
