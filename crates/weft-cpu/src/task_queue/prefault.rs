//! Memory that is made present before it is filled: each step is a process.
//!
//! One process for all steps would be drained many times in a row. So each makes the next, behind whatever else is ready:
//! other work on the same workers waits for a step, and a cancel is heard in between. What a step is, and whether it does
//! anything, the allocator knows.

use std::sync::Arc;

use weft_hal::{Allocator, Prefault};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use super::job::contained;
use super::{Queue, Ticket};

impl Queue {
    pub(super) fn start_prefault(&self, steps: Prefault, allocator: Arc<Allocator>, mut ticket: Ticket) {
        if let Some(record) = &mut ticket.record {
            record.begin(self.worker());
        }
        self.scope.begin();
        Prefaulting { steps, allocator, ticket, queue: self.retain() }.schedule();
    }
}

struct Prefaulting {
    steps: Prefault,
    allocator: Arc<Allocator>,
    ticket: Ticket,
    queue: Arc<Queue>,
}

impl Prefaulting {
    fn schedule(self) {
        let queue = Arc::clone(&self.queue);
        let step = Step(Mutex::new(Some(self)));
        queue.executor.schedule(&Process::new(step, ProcessOptions::default()));
    }

    /// Whether there is another.
    fn step(&mut self) -> Result<bool> {
        if self.queue.is_closing() || self.ticket.is_cancelled() {
            return Err(self.queue.stopped());
        }
        self.steps.step(&self.allocator)
    }
}

/// Drained once.
struct Step(Mutex<Option<Prefaulting>>);

impl Work for Step {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let Some(mut prefaulting) = lock(&self.0).take() else { return Drained::Finished };
        match contained("an allocator", || prefaulting.step()) {
            Ok(true) => prefaulting.schedule(),
            outcome => {
                let Prefaulting { steps, allocator, mut ticket, queue } = prefaulting;
                // Nobody holds the buffer for this any more when the end is heard.
                drop((steps, allocator));
                queue.end(ticket.take_ref(), outcome.err());
                queue.scope.end();
                // Last, with the ticket: the work of its token.
            }
        }
        Drained::Finished
    }
}

#[cfg(test)]
mod tests {
    use weft_hal::{
        AllocaFlags, AllocatorBackend, BufferParams, Device, DeviceId, HostCall, HostCallEnd, HostCallFlags,
        HostFunction, Region, Submission,
    };
    use weft_sync::atomic::{AtomicUsize, Ordering};
    use weft_sync::{CancelToken, Code, Deadline, Point, Semaphore};

    use super::*;
    use crate::stepwise::{STEP_BYTES, Stepwise};
    use crate::task_device::{LOCAL_TASK, TaskDeviceOptions, assemble};

    const STEPS: usize = 10;
    const BYTES: usize = STEPS * STEP_BYTES;

    fn device(memory: &Arc<Stepwise>) -> Arc<Device> {
        let (backend, _) = assemble(&TaskDeviceOptions::with_workers(1).unwrap()).unwrap();
        let memory = Arc::clone(memory) as Arc<dyn AllocatorBackend>;
        Device::new(LOCAL_TASK, Allocator::new(DeviceId::unique(), memory), backend)
    }

    fn point() -> Point {
        Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }
    }

    /// Memory that is being made present, and that nobody else holds by then.
    fn prefault(device: &Device, signal: &Point, cancel: Option<&CancelToken>) {
        let (params, gate) = (BufferParams::device_local(), point());
        let flags = AllocaFlags::empty();
        let buffer = device.queue_alloca(&Submission::IMMEDIATE, &params, BYTES as u64, flags).unwrap();
        let at = Submission {
            signal: std::slice::from_ref(signal),
            wait: std::slice::from_ref(&gate),
            ..Submission::IMMEDIATE
        };
        device.queue_prefault(&at.cancelled_by(cancel), &Region::whole(&buffer)).unwrap();
        drop(buffer);
        gate.semaphore.signal(1).unwrap();
    }

    fn call(device: &Device, signal: &Point, body: impl FnOnce() -> Result<()> + Send + 'static) {
        let at = Submission { signal: std::slice::from_ref(signal), ..Submission::IMMEDIATE };
        let function: Box<HostFunction> = Box::new(move |_, _| body().map(|()| HostCallEnd::Done));
        let call = HostCall { function, arguments: [0; 4], flags: HostCallFlags::empty() };
        device.queue_host_call(&at, call).unwrap();
    }

    #[test]
    fn others_have_their_turn_between_steps() {
        let memory = Arc::new(Stepwise::default());
        let device = device(&memory);
        let (begun, go, present, ended) = (point(), point(), point(), point());
        // Keeps the only worker until both are ready.
        let (first, gate) = (begun.semaphore.clone(), go.semaphore.clone());
        call(&device, &point(), move || {
            first.signal(1)?;
            gate.wait(1, Deadline::NEVER)
        });
        begun.semaphore.wait(1, Deadline::NEVER).unwrap();
        prefault(&device, &present, None);
        let (before, counted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&memory));
        let seen = Arc::clone(&before);
        call(&device, &ended, move || {
            seen.store(counted.steps.load(Ordering::Relaxed), Ordering::Relaxed);
            Ok(())
        });
        go.semaphore.signal(1).unwrap();
        present.semaphore.wait(1, Deadline::NEVER).unwrap();
        ended.semaphore.wait(1, Deadline::NEVER).unwrap();
        assert_eq!(memory.steps.load(Ordering::Relaxed), STEPS);
        assert!(before.load(Ordering::Relaxed) <= 1, "{} steps came before", before.load(Ordering::Relaxed));
    }

    #[test]
    fn a_cancel_between_steps_is_told_when_the_memory_is_let_go() {
        let token = CancelToken::new();
        let memory = Arc::new(Stepwise { cancelled_meanwhile: Some(token.clone()), ..Stepwise::default() });
        let device = device(&memory);
        let (end, (told, live)) = (point(), std::sync::mpsc::channel());
        let counted = Arc::clone(&memory);
        end.semaphore.on_reached(1, move |outcome| {
            told.send((outcome, counted.statistics().device.live())).unwrap();
        });
        prefault(&device, &end, Some(&token));
        let (outcome, live) = live.recv().unwrap();
        assert_eq!(outcome.unwrap_err().code(), Code::Cancelled);
        assert_eq!((live, memory.steps.load(Ordering::Relaxed)), (0, 1));
        token.wait_idle(Deadline::NEVER).unwrap();
    }
}
