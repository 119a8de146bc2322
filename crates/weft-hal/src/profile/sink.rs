//! Who gets the data of a session: the trait, and one that keeps everything in memory.

use std::sync::Arc;

use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};

use super::family::ProfileFamilies;
use super::record::{ExecutableRecord, ExecutionEvent, MemoryEvent, QueueEvent, RegionEvent, WorkerEvent};
use crate::buffer::DeviceId;

/// What a session is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSession {
    /// Tells it apart from all other sessions of this process.
    pub id: u64,
    /// The device.
    pub device: DeviceId,
    /// Its kind, such as `local-sync`.
    pub identifier: Arc<str>,
    /// How many queues it has.
    pub queue_count: u32,
    /// What was asked for.
    pub families: ProfileFamilies,
    /// When it began.
    pub begin_ns: u64,
}

/// Records of one family, in the order in which they were made.
#[derive(Clone, Copy, Debug)]
pub enum ProfileRecords<'a> {
    /// Submissions.
    Queue(&'a [QueueEvent]),
    /// What the host ran.
    Executions(&'a [ExecutionEvent]),
    /// Functions by name.
    Executables(&'a [ExecutableRecord]),
    /// Memory.
    Memory(&'a [MemoryEvent]),
    /// Stretches of commands.
    Regions(&'a [RegionEvent]),
    /// Stretches of workers' time.
    Workers(&'a [WorkerEvent]),
}

/// What a flush hands over of one family.
#[derive(Clone, Copy, Debug)]
pub struct ProfileChunk<'a> {
    /// The records.
    pub records: ProfileRecords<'a>,
    /// How many more there would have been since the last chunk of this family, had there been room.
    pub dropped: u64,
}

impl ProfileChunk<'_> {
    /// Something is missing.
    pub fn is_truncated(&self) -> bool {
        self.dropped > 0
    }
}

/// Gets the data of sessions: `begin`, any number of chunks, `end`. Called by whoever begins, flushes and ends, and by
/// devices if the session flushes full rings; outside of all locks.
pub trait ProfileSink: Send + Sync + 'static {
    /// A session begins. A failure keeps it from beginning.
    fn begin(&self, session: &ProfileSession) -> Result<()>;

    /// Takes a chunk. After a failure the same records come again with the next flush.
    fn write(&self, session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()>;

    /// Nothing more comes of this session.
    fn end(&self, session: &ProfileSession) -> Result<()>;
}

/// All that was recorded, in memory.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The last session that began.
    pub session: Option<ProfileSession>,
    /// It has ended.
    pub has_ended: bool,
    /// Submissions.
    pub queue: Vec<QueueEvent>,
    /// What the host ran.
    pub executions: Vec<ExecutionEvent>,
    /// Functions by name.
    pub executables: Vec<ExecutableRecord>,
    /// Memory.
    pub memory: Vec<MemoryEvent>,
    /// Stretches of commands.
    pub regions: Vec<RegionEvent>,
    /// Stretches of workers' time.
    pub workers: Vec<WorkerEvent>,
    /// Records that found no room.
    pub dropped: u64,
}

impl Profile {
    /// The name of a function, if its executable was recorded.
    pub fn function_name(&self, executable: u64, function: u32) -> Option<&str> {
        let known = self.executables.iter().find(|record| record.executable == executable)?;
        known.functions.get(function as usize).map(|function| function.name.as_str())
    }
}

/// A sink that keeps everything until somebody takes it.
#[derive(Debug, Default)]
pub struct ProfileLog(Mutex<Profile>);

impl ProfileLog {
    /// Takes what was recorded so far.
    pub fn take(&self) -> Profile {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl ProfileSink for ProfileLog {
    fn begin(&self, session: &ProfileSession) -> Result<()> {
        let mut profile = lock(&self.0);
        profile.session = Some(session.clone());
        profile.has_ended = false;
        Ok(())
    }

    fn write(&self, _session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()> {
        let mut profile = lock(&self.0);
        profile.dropped = profile.dropped.saturating_add(chunk.dropped);
        match chunk.records {
            ProfileRecords::Queue(events) => profile.queue.extend_from_slice(events),
            ProfileRecords::Executions(events) => profile.executions.extend_from_slice(events),
            ProfileRecords::Executables(records) => profile.executables.extend_from_slice(records),
            ProfileRecords::Memory(events) => profile.memory.extend_from_slice(events),
            ProfileRecords::Regions(events) => profile.regions.extend_from_slice(events),
            ProfileRecords::Workers(events) => profile.workers.extend_from_slice(events),
        }
        Ok(())
    }

    fn end(&self, _session: &ProfileSession) -> Result<()> {
        lock(&self.0).has_ended = true;
        Ok(())
    }
}
