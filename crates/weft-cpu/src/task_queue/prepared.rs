//! Allocations of large memory that is made present before it is filled: each step is a process.
//!
//! One process for all steps would be drained many times in a row. So each makes the next, behind whatever else is ready:
//! other work on the same workers waits for a step, and a cancel is heard in between. What a step is, and whether it does
//! anything, the allocator knows.

use std::sync::Arc;

use weft_hal::{Alloca, FirstUse, Submission};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use super::job::{Job, Request, contained};
use super::past::Past;
use super::{Look, Queue, Record, Ticket, TicketRef};
use crate::presence::HUGE_BYTES_MIN;

/// Whether this one is, rather than to be done by whoever comes by.
pub(crate) fn is_prepared(alloca: &Alloca<'_>) -> bool {
    alloca.first_use == FirstUse::Filled && alloca.pool.is_none() && alloca.size >= HUGE_BYTES_MIN as u64
}

impl Queue {
    /// Submits one. If nothing is waited for, memory that cannot be had is refused at once, as in `submit_short`.
    pub(crate) fn submit_prepared(
        &self,
        submission: &Submission<'_>,
        record: Option<Box<Record>>,
        mut request: Request,
    ) -> Result<()> {
        if let Look::Reached = self.look(submission) {
            match request.allocate() {
                Ok(block) => request.block = Some(block),
                Err(status) => {
                    let past = Past::of(submission);
                    self.end(TicketRef::of(submission, &past, record), Some(status.clone()));
                    return Err(status);
                }
            }
        }
        self.submit_job(submission, record, Job::Alloca(request))
    }

    pub(super) fn start_preparing(&self, request: Request, ticket: Ticket) {
        self.scope.begin();
        Preparing { request, next: 0, ticket, queue: self.retain() }.schedule();
    }
}

struct Preparing {
    request: Request,
    /// Where the next step begins.
    next: usize,
    ticket: Ticket,
    queue: Arc<Queue>,
}

impl Preparing {
    fn schedule(self) {
        let queue = Arc::clone(&self.queue);
        let step = Step(Mutex::new(Some(self)));
        queue.executor.schedule(&Process::new(step, ProcessOptions::default()));
    }

    /// `Ok(true)`: the buffer has its memory.
    fn step(&mut self) -> Result<bool> {
        let Preparing { request, next, ticket, queue } = self;
        if queue.is_closing() || ticket.is_cancelled() {
            return Err(queue.stopped());
        }
        if *next == 0
            && let Some(record) = &mut ticket.record
        {
            record.begin(queue.worker());
        }
        let mut block = match request.block.take() {
            Some(block) => block,
            None => request.allocate()?,
        };
        *next = request.allocator.prepare(&mut block, *next);
        if *next < block.length() {
            request.block = Some(block);
            return Ok(false);
        }
        queue.give(&request.buffer, block, ticket.record.as_deref()).map(|()| true)
    }
}

/// Drained once.
struct Step(Mutex<Option<Preparing>>);

impl Work for Step {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let Some(mut preparing) = lock(&self.0).take() else { return Drained::Finished };
        match contained("an allocator", || preparing.step()) {
            Ok(false) => preparing.schedule(),
            outcome => {
                let Preparing { request, mut ticket, queue, .. } = preparing;
                // Its memory, if it still has it, goes back before anybody hears of the end.
                drop(request);
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
        AllocaFlags, Allocator, AllocatorBackend, BufferParams, Device, DeviceId, HostBlock, HostCall,
        HostCallEnd, HostCallFlags, HostFunction, Statistics,
    };
    use weft_sync::atomic::{AtomicUsize, Ordering};
    use weft_sync::{CancelToken, Code, Deadline, Point, Semaphore};

    use super::*;
    use crate::host_memory::HostMemory;
    use crate::task_device::{LOCAL_TASK, TaskDeviceOptions, assemble};

    const STEPS: usize = 10;

    /// Memory that takes ten steps, and a token that is cancelled while memory is being allocated.
    #[derive(Default)]
    struct Stepwise {
        memory: HostMemory,
        steps: AtomicUsize,
        cancelled_meanwhile: Option<CancelToken>,
    }

    impl AllocatorBackend for Stepwise {
        fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
            if let Some(token) = &self.cancelled_meanwhile {
                token.cancel();
            }
            self.memory.allocate_block(params, size)
        }

        fn prepare(&self, block: &mut HostBlock, from: usize) -> usize {
            self.steps.fetch_add(1, Ordering::Relaxed);
            block.length().min(from + block.length().div_ceil(STEPS))
        }

        fn statistics(&self) -> Statistics {
            self.memory.statistics()
        }

        fn trim(&self) {}
    }

    fn device(memory: &Arc<Stepwise>) -> Arc<Device> {
        let (backend, _) = assemble(&TaskDeviceOptions::with_workers(1).unwrap()).unwrap();
        let memory = Arc::clone(memory) as Arc<dyn AllocatorBackend>;
        Device::new(LOCAL_TASK, Allocator::new(DeviceId::unique(), memory), backend)
    }

    fn point() -> Point {
        Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }
    }

    fn allocate(device: &Device, signal: &Point, cancel: Option<&CancelToken>) {
        let at = Submission { signal: std::slice::from_ref(signal), ..Submission::IMMEDIATE };
        let size = HUGE_BYTES_MIN as u64;
        let params = BufferParams::device_local();
        device.queue_alloca_to_fill(&at.cancelled_by(cancel), &params, size, AllocaFlags::empty()).unwrap();
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
        let (begun, go, prepared, ended) = (point(), point(), point(), point());
        // Keeps the only worker until both are ready.
        let (first, gate) = (begun.semaphore.clone(), go.semaphore.clone());
        call(&device, &point(), move || {
            first.signal(1)?;
            gate.wait(1, Deadline::NEVER)
        });
        begun.semaphore.wait(1, Deadline::NEVER).unwrap();
        allocate(&device, &prepared, None);
        let (before, counted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&memory));
        let seen = Arc::clone(&before);
        call(&device, &ended, move || {
            seen.store(counted.steps.load(Ordering::Relaxed), Ordering::Relaxed);
            Ok(())
        });
        go.semaphore.signal(1).unwrap();
        prepared.semaphore.wait(1, Deadline::NEVER).unwrap();
        ended.semaphore.wait(1, Deadline::NEVER).unwrap();
        assert_eq!(memory.steps.load(Ordering::Relaxed), STEPS);
        assert!(before.load(Ordering::Relaxed) <= 1, "{} steps came before", before.load(Ordering::Relaxed));
    }

    #[test]
    fn a_cancel_during_the_allocation_is_told_when_the_memory_is_back() {
        let token = CancelToken::new();
        let memory = Arc::new(Stepwise { cancelled_meanwhile: Some(token.clone()), ..Stepwise::default() });
        let device = device(&memory);
        let (end, live) = (point(), Arc::new(AtomicUsize::new(usize::MAX)));
        let (counted, told) = (Arc::clone(&memory), Arc::clone(&live));
        end.semaphore.on_reached(1, move |_| {
            told.store(counted.statistics().device.live() as usize, Ordering::Relaxed);
        });
        allocate(&device, &end, Some(&token));
        let status = end.semaphore.wait(1, Deadline::NEVER).unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        assert_eq!(live.load(Ordering::Relaxed), 0);
        token.wait_idle(Deadline::NEVER).unwrap();
    }
}
