//! `weft run --trace=FILE`: one call as a trace that <https://ui.perfetto.dev> and `chrome://tracing` show.
//!
//! 1. The file is made before the call, so that a bad path costs nothing; it is written after the call, also when that
//!    failed.
//! 2. Every device of the session gets a profiling session for the time of the call. Nothing else is measured: loading,
//!    reading inputs and printing results are outside.
//! 3. The first process of the trace is the caller: the call, and what was submitted. Each device is a process of its own.
//!
//! What lives here: the session and the caller's tracks. What does not: the tracks of a device (`device.rs`), slices that
//! overlap (`lanes.rs`), names of semaphores (`timelines.rs`), the format (`events.rs`), the records (`weft::hal::profile`).

mod device;
mod events;
mod lanes;
mod timelines;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use weft::hal::profile::{Profile, ProfileFamilies, ProfileLog, ProfileOptions, QueueEvent, now_ns};
use weft::sync::{Code, Result, WhileDoing};
use weft::{Device, Session};

use crate::failure::{Failure, Outcome, complain, file_status};
use crate::flags::Flags;
use events::{Args, Events, Track};
use timelines::Timelines;

/// Records of one kind that a trace can hold; what comes later is dropped, and the trace says so.
const RECORDS_MAX: usize = 1 << 20;
/// The caller's process; devices follow.
const CALLER: u32 = 1;
const CALL: Track = Track { process: CALLER, thread: 1 };
const SUBMISSIONS: Track = Track { process: CALLER, thread: 2 };
/// How long a submission is shown at most: its end is not known.
const SUBMISSION_NS: u64 = 1_000;

/// A trace under way.
pub struct Trace {
    path: String,
    file: File,
    devices: Vec<Tracing>,
    begin_ns: u64,
}

/// A device that is being traced.
struct Tracing {
    device: Arc<Device>,
    log: Arc<ProfileLog>,
    live_before: u64,
}

/// A device that was traced.
struct Traced {
    profile: Profile,
    /// Bytes that it had lent before the call.
    live_before: u64,
    /// Seats of workers in each executor; those after them are of guests.
    worker_count: u32,
}

impl Trace {
    /// Refuses what would write a file of a name that means standard output elsewhere: results go there.
    pub fn check(flags: &Flags) -> Outcome {
        if flags.text("trace") == "-" {
            return Err(Failure::usage(
                "--trace= needs a file, results go to standard output; ./- is a file",
            ));
        }
        Ok(())
    }

    /// Begins to trace if the flags ask for it. A program without devices has only its call to show.
    pub fn begin(session: &Session, flags: &Flags, uses_devices: bool) -> Result<Option<Trace>> {
        let path = flags.text("trace");
        if path.is_empty() {
            return Ok(None);
        }
        let file = File::create(path).map_err(|error| file_status(&error, "write", path));
        let file = file.while_doing(|| "beginning a trace")?;
        let mut trace = Trace { path: path.to_owned(), file, devices: Vec::new(), begin_ns: 0 };
        if uses_devices {
            for device in session.devices()? {
                trace.begin_device(device)?;
            }
        }
        trace.begin_ns = now_ns();
        Ok(Some(trace))
    }

    fn begin_device(&mut self, device: &Arc<Device>) -> Result<()> {
        let log = Arc::new(ProfileLog::default());
        let sink: Arc<ProfileLog> = Arc::clone(&log);
        let options =
            ProfileOptions { events_max: RECORDS_MAX, ..ProfileOptions::new(ProfileFamilies::LOCAL, sink) };
        match device.profiling_begin(&options) {
            Ok(()) => {
                let statistics = device.allocator().statistics();
                let live_before = statistics.device.live().saturating_add(statistics.host.live());
                self.devices.push(Tracing { device: Arc::clone(device), log, live_before });
                Ok(())
            }
            Err(status) if status.code() == Code::Unimplemented => {
                complain(format_args!("weft run: note: a device is not in the trace: {}", status.message()));
                Ok(())
            }
            Err(status) => Err(status.while_doing("beginning a trace")),
        }
    }

    /// Ends the trace after the call, and writes it.
    pub fn finish(self, function: &str, outcome: &Result<()>) -> Result<()> {
        let end_ns = now_ns();
        let mut traced = Vec::with_capacity(self.devices.len());
        for Tracing { device, log, live_before } in self.devices {
            device.profiling_end().while_doing(|| "ending a trace")?;
            let worker_count = device.query_i64("hal.dispatch", "concurrency").unwrap_or(0);
            let worker_count = u32::try_from(worker_count).unwrap_or(0);
            traced.push(Traced { profile: log.take(), live_before, worker_count });
        }
        let dropped: u64 = traced.iter().map(|device| device.profile.dropped).sum();
        if dropped > 0 {
            complain(format_args!("weft run: note: the trace is not whole: it lacks {dropped} records"));
        }
        let call = Call { function, outcome, begin_ns: self.begin_ns, end_ns, dropped };
        let mut out = BufWriter::new(&self.file);
        let written = call.write(&traced, &mut out).and_then(|()| out.flush());
        written.map_err(|error| file_status(&error, "write", &self.path)).while_doing(|| "writing a trace")
    }
}

/// What was traced.
struct Call<'a> {
    function: &'a str,
    outcome: &'a Result<()>,
    begin_ns: u64,
    end_ns: u64,
    dropped: u64,
}

impl Call<'_> {
    fn write(&self, devices: &[Traced], out: &mut dyn Write) -> std::io::Result<()> {
        let mut events = Events::begin(out, self.begin_ns)?;
        events.process(CALLER, "caller")?;
        events.thread(CALL, "call")?;
        let status = match self.outcome {
            Ok(()) => "OK".to_owned(),
            Err(status) => status.to_string(),
        };
        let args = Args::new().text("status", &status);
        events.slice(CALL, &format!("@{}", self.function), "call", (self.begin_ns, self.end_ns), &args)?;
        write_submissions(&mut events, devices)?;
        let timelines = Timelines::of(devices);
        for (ordinal, device) in devices.iter().enumerate() {
            device::write(&mut events, ordinal, device, &timelines)?;
        }
        events.end(self.dropped)
    }
}

/// The moments of submission, from which arrows lead to what came of it.
fn write_submissions(events: &mut Events<'_>, devices: &[Traced]) -> std::io::Result<()> {
    let mut submitted: Vec<(usize, &QueueEvent)> = Vec::new();
    for (ordinal, Traced { profile, .. }) in devices.iter().enumerate() {
        submitted.extend(profile.queue.iter().map(|event| (ordinal, event)));
    }
    submitted.sort_by_key(|(_, event)| event.submit_ns);
    if submitted.is_empty() {
        return Ok(());
    }
    events.thread(SUBMISSIONS, "submissions")?;
    for (index, (ordinal, event)) in submitted.iter().enumerate() {
        let next_ns = submitted.get(index + 1).map_or(u64::MAX, |(_, next)| next.submit_ns);
        let end_ns = next_ns.min(event.submit_ns.saturating_add(SUBMISSION_NS));
        let name = format!("submit {}", device::title(event));
        let args = Args::new().count("device", *ordinal as u64).count("submission", event.submission);
        events.slice(SUBMISSIONS, &name, "submission", (event.submit_ns, end_ns), &args)?;
        events.flow_begin(SUBMISSIONS, event.submit_ns, device::flow(*ordinal, event.submission))?;
    }
    Ok(())
}
