//! Reads and writes of files by a proactor.
//!
//! What lives here: where such an operation begins, and its end. What does not: pieces, short transfers, cancelling
//! (`weft-hal/src/file/transfer.rs`).
//!
//! 1. The operation goes on without a worker. Its end is told by the thread that polls, or by the worker that does what no
//!    proactor has room for.
//! 2. It counts as in flight until its end has been told, so closing waits for that.

use std::sync::Arc;

use weft_hal::{BufferRange, Direction, File, Rest, TransferEnd, Transfers};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use super::{Queue, Ticket};
use crate::panics::contain;

/// Those of one queue.
pub(super) type QueueTransfers = Transfers<Ending>;

/// What is to be said at the end of a transfer.
pub(super) struct Ending {
    queue: Arc<Queue>,
    ticket: Ticket,
}

impl Queue {
    /// Begins a transfer whose waits are over.
    pub(super) fn start_transfer(
        &self,
        direction: Direction,
        file: &Arc<File>,
        offset: u64,
        range: &BufferRange<'_>,
        mut ticket: Ticket,
    ) {
        if let Some(record) = &mut ticket.record {
            record.begin_elsewhere();
        }
        self.scope.begin();
        let cancel = ticket.cancel().cloned();
        let end = Ending { queue: self.retain(), ticket };
        self.transfers.start(direction, file, offset, range, cancel.as_ref(), end);
    }
}

impl TransferEnd for Ending {
    fn ended(self, outcome: Result<()>) {
        let Ending { queue, mut ticket } = self;
        contain(|| queue.end(ticket.take_ref(), outcome.err()));
        queue.scope.end();
        // The last owner of a semaphore, or of the queue, may call anybody.
        contain(|| drop((ticket, queue)));
    }

    fn block(rest: Rest<Ending>) {
        let executor = rest.owner().queue.executor.clone();
        let process = Blocking(Mutex::new(Some(rest)));
        executor.schedule(&Process::new(process, ProcessOptions::default()));
    }
}

/// What is left of a transfer, as a process: it holds its worker.
struct Blocking(Mutex<Option<Rest<Ending>>>);

impl Work for Blocking {
    fn drain(&self, _worker: &WorkerContext<'_>) -> Drained {
        let rest = lock(&self.0).take();
        if let Some(rest) = rest {
            rest.run();
        }
        Drained::Finished
    }
}
