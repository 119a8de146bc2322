//! The tracks of one device: queues, what ran for them, workers, memory.
//!
//! * A queue shows its submissions from "ready" to "done": a wait before that is the length of the arrow.
//! * A worker shows what it ran, inside of what it did meanwhile (drains, sleeps).
//! * What several workers ran together is shown with its queue, and each worker shows its part.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Result;

use weft::hal::profile::{
    CALLING_THREAD, ExecutionEvent, OperationKind, Profile, QueueEvent, RegionEvent, WaitStrategy,
    WorkerActivity, WorkerEvent,
};
use weft::sync::Code;

use super::events::{Args, Events, Track};
use super::lanes::{Flow, Slice, deal};
use super::timelines::Timelines;
use super::{CALLER, Traced};

/// What a submission is called.
pub fn title(event: &QueueEvent) -> String {
    format!("{} #{}", event.operation.name(), event.submission)
}

/// The number of the arrow of a submission.
pub fn flow(device: usize, submission: u64) -> u64 {
    // JSON numbers are exact up to 2^53.
    (device as u64) << 40 | submission & ((1 << 40) - 1)
}

/// The counter of what is lent.
const MEMORY: &str = "device memory";

/// Which of two slices encloses the other if they have the same times: the one with less.
const WORKER: u8 = 0;
const EXECUTE: u8 = 1;
const COMMAND: u8 = 2;
const TILES: u8 = 3;

/// A worker by executor and seat.
type Seat = (u32, u32);

/// Writes all tracks of the device with this ordinal.
pub fn write(
    events: &mut Events<'_>,
    ordinal: usize,
    Traced { profile, live_before, worker_count }: &Traced,
    timelines: &Timelines,
) -> Result<()> {
    let process = CALLER + 1 + ordinal as u32;
    let identifier = profile.session.as_ref().map_or("", |session| &*session.identifier);
    events.process(process, &format!("device {ordinal}: {identifier}"))?;
    let mut tracks = Tracks { events, process, count: 0 };
    let device = Slices { ordinal, profile, timelines, first: first_executions(profile) };
    let queues: BTreeSet<u32> = profile.queue.iter().map(|event| event.queue).collect();
    for queue in queues {
        tracks.write(&format!("queue {queue}"), device.submissions(queue), false)?;
        tracks.write(&format!("queue {queue}: on several workers"), device.shared(queue), true)?;
        tracks.write(&format!("queue {queue}: regions"), device.regions(queue), false)?;
    }
    for ((executor, worker), slices) in device.workers() {
        let name = seat_name((executor, worker), *worker_count, identifier);
        tracks.write(&name, slices, true)?;
    }
    let begin_ns = profile.session.as_ref().map_or(0, |session| session.begin_ns);
    let mut known = *live_before;
    tracks.events.counter(process, MEMORY, begin_ns, known)?;
    for event in &profile.memory {
        if event.live_bytes != known {
            known = event.live_bytes;
            tracks.events.counter(process, MEMORY, event.time_ns, known)?;
        }
    }
    Ok(())
}

fn seat_name((executor, worker): Seat, worker_count: u32, identifier: &str) -> String {
    if identifier == weft::cpu::LOCAL_SYNC {
        return "calling thread".to_owned();
    }
    let executor = if executor == 0 { String::new() } else { format!("executor {executor} ") };
    match worker.checked_sub(worker_count) {
        _ if worker == CALLING_THREAD => format!("{executor}calling threads"),
        None => format!("{executor}worker {worker}"),
        Some(guest) => format!("{executor}guest {guest}: a thread that waits"),
    }
}

/// Deals out rows.
struct Tracks<'a, 'b> {
    events: &'a mut Events<'b>,
    process: u32,
    /// Rows so far.
    count: u32,
}

impl Tracks<'_, '_> {
    fn write(&mut self, name: &str, slices: Vec<Slice>, nests: bool) -> Result<()> {
        for (index, row) in deal(slices, nests).into_iter().enumerate() {
            self.count += 1;
            let at = Track { process: self.process, thread: self.count };
            match index {
                0 => self.events.thread(at, name)?,
                // Rows of one name: what overlaps.
                _ => self.events.thread(at, &format!("{name} ({})", index + 1))?,
            }
            for slice in row {
                self.write_slice(at, &slice)?;
            }
        }
        Ok(())
    }

    fn write_slice(&mut self, at: Track, slice: &Slice) -> Result<()> {
        let times = (slice.start_ns, slice.end_ns);
        self.events.slice(at, &slice.name, slice.category, times, &slice.args)?;
        match slice.flow {
            Some(Flow::Step(flow)) => self.events.flow_step(at, slice.start_ns, flow)?,
            Some(Flow::End(flow)) => self.events.flow_end(at, slice.start_ns, flow)?,
            None => {}
        }
        for mark in &slice.marks {
            self.events.instant(at, mark, "semaphore", slice.end_ns)?;
        }
        Ok(())
    }
}

/// Makes slices of records.
struct Slices<'a> {
    ordinal: usize,
    profile: &'a Profile,
    timelines: &'a Timelines,
    /// Of each submission, what ran first for it: there its arrow ends.
    first: HashMap<u64, usize>,
}

fn first_executions(profile: &Profile) -> HashMap<u64, usize> {
    let mut first: HashMap<u64, usize> = HashMap::new();
    for (index, event) in profile.executions.iter().enumerate().filter(|(_, event)| event.submission > 0) {
        let known = first.entry(event.submission).or_insert(index);
        let current = &profile.executions[*known];
        // Of those that begin together, the longest: it encloses the others.
        if (event.start_ns, current.end_ns) < (current.start_ns, event.end_ns) {
            *known = index;
        }
    }
    first
}

impl Slices<'_> {
    fn submissions(&self, queue: u32) -> Vec<Slice> {
        let events = self.profile.queue.iter().filter(|event| event.queue == queue);
        events.map(|event| self.submission(event)).collect()
    }

    fn submission(&self, event: &QueueEvent) -> Slice {
        let id = flow(self.ordinal, event.submission);
        let strategy = match event.strategy {
            WaitStrategy::None => "none",
            WaitStrategy::Inline => "reached at submission",
            WaitStrategy::SoftwareDefer => "put off",
        };
        let waits = self.timelines.waits(self.ordinal, event.submission);
        let signals = self.timelines.signals(self.ordinal, event.submission);
        let mut args = Args::new()
            .count("submission", event.submission)
            .time("waited_us", event.ready_ns.saturating_sub(event.submit_ns))
            .text("waits", strategy);
        if event.waits.count > 0 {
            args = args.text("waits_for", &listed(waits, event.waits.count));
        }
        if event.signals.count > 0 {
            args = args.text("signals", &listed(signals, event.signals.count));
        }
        if event.operation == OperationKind::Execute {
            args = args.count("commands", u64::from(event.operation_count));
        }
        args = with_failure(with_bytes(args, event.payload_bytes), event.failure);
        let verb = if event.failure.is_some() { " fails" } else { "" };
        Slice {
            start_ns: event.ready_ns,
            end_ns: event.end_ns,
            depth: 0,
            name: title(event),
            category: "queue",
            args,
            flow: Some(if self.first.contains_key(&event.submission) {
                Flow::Step(id)
            } else {
                Flow::End(id)
            }),
            marks: signals.iter().map(|signal| format!("{signal}{verb}")).collect(),
        }
    }

    /// What ran for a queue on several workers.
    fn shared(&self, queue: u32) -> Vec<Slice> {
        let all = self.profile.executions.iter().enumerate();
        let shared = all.filter(|(_, event)| event.queue == queue && event.worker.is_none());
        shared.map(|(index, event)| self.execution(index, event)).collect()
    }

    fn execution(&self, index: usize, event: &ExecutionEvent) -> Slice {
        let mut args = Args::new().count("submission", event.submission);
        if event.command_buffer > 0 {
            args = args.count("command_buffer", event.command_buffer);
        }
        if let Some(command) = event.command_index {
            args = args.count("command", u64::from(command));
        }
        let name = match event.operation {
            OperationKind::Dispatch => {
                args = args.count("tiles", event.tile_count).time("tiles_us", event.tile_ns);
                self.function(event.executable, event.function)
            }
            other => {
                args = with_bytes(args, event.payload_bytes);
                other.name().to_owned()
            }
        };
        let is_first = self.first.get(&event.submission) == Some(&index);
        Slice {
            start_ns: event.start_ns,
            end_ns: event.end_ns,
            depth: if event.operation == OperationKind::Execute { EXECUTE } else { COMMAND },
            name,
            category: event.operation.name(),
            args: with_failure(args, event.failure),
            flow: is_first.then(|| Flow::End(flow(self.ordinal, event.submission))),
            marks: Vec::new(),
        }
    }

    fn function(&self, executable: u64, function: u32) -> String {
        match self.profile.function_name(executable, function) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("function {function} of executable {executable}"),
        }
    }

    fn regions(&self, queue: u32) -> Vec<Slice> {
        let regions = self.profile.regions.iter().filter(|event| event.queue == queue);
        regions.map(region).collect()
    }

    fn workers(&self) -> BTreeMap<Seat, Vec<Slice>> {
        let mut seats: BTreeMap<Seat, Vec<Slice>> = BTreeMap::new();
        for (index, event) in self.profile.executions.iter().enumerate() {
            if let Some(worker) = event.worker {
                // Each queue has an executor of its own.
                seats.entry((event.queue, worker)).or_default().push(self.execution(index, event));
            }
        }
        let is_whole = self.whole_dispatches();
        for event in self.profile.workers.iter().filter(|event| !is_whole.contains(&stretch(event))) {
            seats.entry((event.executor, event.worker)).or_default().push(self.activity(event));
        }
        seats
    }

    /// Of dispatches that one worker ran in one go: a stretch of its time is the same again.
    fn whole_dispatches(&self) -> HashSet<Stretch> {
        let whole = self.profile.executions.iter().filter_map(|event| {
            let seat = (event.queue, event.worker?);
            let is_dispatch = event.operation == OperationKind::Dispatch;
            is_dispatch.then_some((seat, event.start_ns, event.end_ns))
        });
        whole.collect()
    }

    fn activity(&self, event: &WorkerEvent) -> Slice {
        let of_process = |process: u64| Args::new().text("process", &format!("{process:#x}"));
        let (depth, name, category, args) = match event.activity {
            WorkerActivity::Sleep => (WORKER, "sleep".to_owned(), "sleep", Args::new()),
            WorkerActivity::Drain(process) => (WORKER, "drain".to_owned(), "worker", of_process(process)),
            WorkerActivity::Compute(process) => (WORKER, "help".to_owned(), "worker", of_process(process)),
            WorkerActivity::Tiles { executable, function, count, submission } => {
                let args = Args::new().count("tiles", count).count("submission", submission);
                (TILES, self.function(executable, function), "tiles", args)
            }
        };
        Slice {
            start_ns: event.start_ns,
            end_ns: event.end_ns,
            depth,
            name,
            category,
            args,
            flow: None,
            marks: Vec::new(),
        }
    }
}

/// Who was at work from when to when.
type Stretch = (Seat, u64, u64);

fn stretch(event: &WorkerEvent) -> Stretch {
    ((event.executor, event.worker), event.start_ns, event.end_ns)
}

fn region(event: &RegionEvent) -> Slice {
    let args = Args::new()
        .count("submission", event.submission)
        .count("epoch", u64::from(event.epoch))
        .count("tiles", event.tile_count)
        .count("budget_before", u64::from(event.budget_before))
        .count("budget_after", u64::from(event.budget_after))
        .count("drains_useful", u64::from(event.drains_useful))
        .count("drains_idle", u64::from(event.drains_idle))
        .count("workers_kept", u64::from(event.workers_kept))
        .count("workers_released", u64::from(event.workers_released));
    Slice {
        start_ns: event.start_ns,
        end_ns: event.end_ns,
        depth: 0,
        name: format!("region {}.{}", event.block_sequence, event.region),
        category: "region",
        args,
        flow: None,
        marks: Vec::new(),
    }
}

fn with_bytes(args: Args, bytes: u64) -> Args {
    if bytes > 0 { args.count("bytes", bytes) } else { args }
}

fn with_failure(args: Args, failure: Option<Code>) -> Args {
    args.text("status", failure.map_or("OK", Code::name))
}

/// The names, and how many more there are.
fn listed(names: &[String], count: u32) -> String {
    let mut text = names.join(", ");
    let more = (count as usize).saturating_sub(names.len());
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
