//! What a drain says it did.

use weft_sync::Status;

/// The answer of one call of [`Work::drain`](crate::Work::drain).
#[must_use = "the worker goes by this"]
#[derive(Debug)]
pub enum Drained {
    /// Nothing could be done. For a process with several workers it does not follow that there is nothing to do: only
    /// the last worker to leave decides that.
    Nothing,
    /// Progress was made, and there may be more: come back.
    Worked,
    /// The process is finished.
    Finished,
    /// The process is finished, with a failure. The first failure of a process wins.
    Failed(Status),
    /// No progress, but come back: the state moved under this worker, or it watches for the others. Until it has looked
    /// again the process stays where it is, whatever the others find.
    Again,
    /// No progress; stay near for a moment (compute processes only).
    KeepWarm(KeepWarm),
}

/// How a worker that found nothing may stay near a compute process, to bridge a gap of microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepWarm {
    /// [`Process::retention_epoch`](crate::Process::retention_epoch), read before the drain looked for work.
    pub epoch: u32,
    /// Most workers that may stay near; the wake budget of the process limits them too.
    pub retainers_max: u32,
}
