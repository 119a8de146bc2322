//! Sessions: what they refuse, who gets their records, and what becomes of records without room or without a taker.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use weft_hal::Device;
use weft_hal::profile::{
    CounterSet, ProfileChunk, ProfileFamilies, ProfileFilter, ProfileFlags, ProfileLog, ProfileOptions,
    ProfileRecords, ProfileSession, ProfileSink,
};
use weft_sync::{Code, Result, Status};

use super::everything;
use crate::case::Caps;
use crate::subject::{NOW, Subject, fails_with, region, whole};

/// Counts what it is told, and fails as it is told.
#[derive(Default)]
struct Probe {
    begun: AtomicU32,
    written: AtomicU32,
    ended: AtomicU32,
    refuses: AtomicU32,
}

const BEGIN: u32 = 1;
const WRITE: u32 = 2;
const END: u32 = 4;

impl Probe {
    fn touched(&self) -> u32 {
        [&self.begun, &self.written, &self.ended].map(|count| count.load(Ordering::SeqCst)).iter().sum()
    }

    fn answer(&self, step: u32, count: &AtomicU32) -> Result<()> {
        count.fetch_add(1, Ordering::SeqCst);
        match self.refuses.load(Ordering::SeqCst) & step {
            0 => Ok(()),
            _ => Err(Status::new(Code::DataLoss, "the disk is full")),
        }
    }
}

impl ProfileSink for Probe {
    fn begin(&self, _session: &ProfileSession) -> Result<()> {
        self.answer(BEGIN, &self.begun)
    }

    fn write(&self, _session: &ProfileSession, _chunk: &ProfileChunk<'_>) -> Result<()> {
        self.answer(WRITE, &self.written)
    }

    fn end(&self, _session: &ProfileSession) -> Result<()> {
        self.answer(END, &self.ended)
    }
}

/// [hal 164] where nothing is recorded, nothing can be asked for.
pub(super) fn devices_without_records_say_so(subject: &Subject) {
    let probe = Arc::new(Probe::default());
    let options = ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, probe.clone());
    if subject.has.contains(Caps::WORK) {
        subject.device.profiling_begin(&options).unwrap();
        return subject.device.profiling_end().unwrap();
    }
    fails_with(subject.device.profiling_begin(&options), Code::Unimplemented);
    assert_eq!(probe.touched(), 0);
    subject.device.profiling_flush().unwrap();
    subject.device.profiling_end().unwrap();
}

/// [hal 164] the matrix.
pub(super) fn begin_is_validated(subject: &Subject) {
    use Code::{InvalidArgument, Unimplemented};
    let probe = Arc::new(Probe::default());
    let good = ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, probe.clone());
    let good = || good.clone();
    let counters = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        vec![CounterSet { name: "cycles".to_owned(), counters: names }]
    };
    let filtered = |filter| ProfileOptions { filter, ..good() };
    let families = |families| ProfileOptions { families, ..good() };
    let counting =
        |families, names: &[&str]| ProfileOptions { families, counter_sets: counters(names), ..good() };
    let known = ProfileFamilies::QUEUE_EVENTS;
    let mut refused = vec![
        (ProfileOptions { sink: None, ..good() }, InvalidArgument),
        (ProfileOptions { flags: ProfileFlags::from_bits_retain(2), ..good() }, InvalidArgument),
        (ProfileOptions { reserved: 1, ..good() }, InvalidArgument),
        (families(known | ProfileFamilies::from_bits_retain(1 << 11)), InvalidArgument),
        (families(ProfileFamilies::from_bits_retain(1 << 63)), InvalidArgument),
        (filtered(ProfileFilter { function: Some(String::new()), ..Default::default() }), InvalidArgument),
        (filtered(ProfileFilter { command_buffer: Some(0), ..Default::default() }), InvalidArgument),
        (families(ProfileFamilies::COUNTERS), InvalidArgument),
        (families(known | ProfileFamilies::COUNTER_RANGES), InvalidArgument),
        (counting(ProfileFamilies::COUNTERS, &[]), InvalidArgument),
        (counting(ProfileFamilies::COUNTERS, &["a", ""]), InvalidArgument),
        (counting(known, &["a", "b", "a"]), InvalidArgument),
        (counting(ProfileFamilies::COUNTERS, &["a", "b"]), Unimplemented),
    ];
    for bit in [2, 3, 6, 8] {
        refused.push((families(known | ProfileFamilies::from_bits_retain(1 << bit)), Unimplemented));
    }
    for (options, code) in &refused {
        fails_with(subject.device.profiling_begin(options), *code);
    }
    fails_with(ProfileFamilies::from_names("queue-events,weather"), InvalidArgument);
    // Nothing was asked for: nothing happens, with a sink or without.
    for sink in [None, good().sink] {
        let nothing = ProfileOptions { families: ProfileFamilies::empty(), sink, ..good() };
        subject.device.profiling_begin(&nothing).unwrap();
        subject.device.profiling_end().unwrap();
    }
    assert_eq!(probe.touched(), 0);
    // None of this left a session behind.
    subject.device.profiling_begin(&good()).unwrap();
    assert_eq!(probe.touched(), 1);
    subject.device.profiling_end().unwrap();
    assert_eq!(probe.touched(), 2);
}

/// [hal 164]
pub(super) fn sessions_do_not_nest(subject: &Subject) {
    let (first, second) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    let queue = ProfileFamilies::QUEUE_EVENTS;
    for round in 1..=2 {
        subject.device.profiling_begin(&ProfileOptions::new(queue, first.clone())).unwrap();
        let again = ProfileOptions::new(queue, second.clone());
        fails_with(subject.device.profiling_begin(&again), Code::FailedPrecondition);
        subject.device.profiling_begin(&ProfileOptions::default()).unwrap();
        subject.device.profiling_end().unwrap();
        assert_eq!(first.ended.load(Ordering::SeqCst), round);
        assert_eq!(second.touched(), 0);
    }
    // Devices have sessions of their own.
    let other = subject.separate();
    subject.device.profiling_begin(&ProfileOptions::new(queue, first)).unwrap();
    other.device.profiling_begin(&ProfileOptions::new(queue, second)).unwrap();
    subject.device.profiling_end().unwrap();
    other.device.profiling_end().unwrap();
}

/// [hal 164]
pub(super) fn options_are_cloned(subject: &Subject) {
    let log = Arc::new(ProfileLog::default());
    let mut options = everything(&log);
    options.filter.function = Some("add*".to_owned());
    subject.device.profiling_begin(&options).unwrap();
    options.filter.function = Some("nothing".to_owned());
    options.sink = None;
    drop(options);
    let buffer = subject.buffer(4);
    let operands = [whole(&buffer)];
    subject
        .run(|at| subject.device.queue_dispatch(at, &subject.dispatch("nothing", [1; 3], &[], &[])))
        .unwrap();
    subject
        .run(|at| subject.device.queue_dispatch(at, &subject.dispatch("add_one", [1; 3], &[], &operands)))
        .unwrap();
    subject.device.profiling_end().unwrap();
    let profile = log.take();
    assert_eq!((profile.queue.len(), profile.executions.len()), (2, 1));
    assert_eq!(Arc::strong_count(&log), 1, "the session let go of the sink");
}

/// [hal 164] a session that its sink refuses did not begin.
pub(super) fn a_sink_may_refuse_a_session(subject: &Subject) {
    let probe = Arc::new(Probe::default());
    let options = ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, probe.clone());
    probe.refuses.store(BEGIN, Ordering::SeqCst);
    fails_with(subject.device.profiling_begin(&options), Code::DataLoss);
    subject.run(|at| subject.device.queue_barrier(at)).unwrap();
    subject.device.profiling_end().unwrap();
    assert_eq!(probe.touched(), 1);
    probe.refuses.store(END, Ordering::SeqCst);
    subject.device.profiling_begin(&options).unwrap();
    fails_with(subject.device.profiling_end(), Code::DataLoss);
    // It has ended all the same.
    probe.refuses.store(0, Ordering::SeqCst);
    subject.device.profiling_begin(&options).unwrap();
    subject.device.profiling_end().unwrap();
}

/// [hal 165]
pub(super) fn nothing_comes_after_the_end(subject: &Subject) {
    let buffer = subject.buffer(64);
    let log = Arc::new(ProfileLog::default());
    let fill = || subject.run(|at| subject.device.queue_fill(at, &region(&buffer, 0, 64), 1, 1)).unwrap();
    fill();
    subject.device.profiling_begin(&everything(&log)).unwrap();
    fill();
    subject.device.profiling_end().unwrap();
    let profile = log.take();
    assert!(profile.has_ended && profile.queue.len() == 1 && profile.executions.len() == 1);
    fill();
    subject.device.profiling_flush().unwrap();
    subject.device.profiling_end().unwrap();
    let after = log.take();
    assert!(!after.has_ended && after.queue.is_empty() && after.executions.is_empty());
}

/// Notes each chunk of queue events: how many, and how many are missing.
#[derive(Default)]
struct Chunks(Mutex<Vec<(usize, u64, bool)>>);

impl ProfileSink for Chunks {
    fn begin(&self, _session: &ProfileSession) -> Result<()> {
        Ok(())
    }

    fn write(&self, _session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()> {
        if let ProfileRecords::Queue(events) = chunk.records {
            self.0.lock().unwrap().push((events.len(), chunk.dropped, chunk.is_truncated()));
        }
        Ok(())
    }

    fn end(&self, _session: &ProfileSession) -> Result<()> {
        Ok(())
    }
}

fn barriers(subject: &Subject, count: usize) {
    for _ in 0..count {
        subject.run(|at| subject.device.queue_barrier(at)).unwrap();
    }
}

/// [hal 166]
pub(super) fn full_rings_say_so(subject: &Subject) {
    let chunks = Arc::new(Chunks::default());
    let options = ProfileOptions {
        events_max: 4,
        ..ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, chunks.clone())
    };
    subject.device.profiling_begin(&options).unwrap();
    barriers(subject, 10);
    subject.device.profiling_flush().unwrap();
    barriers(subject, 3);
    subject.device.profiling_flush().unwrap();
    subject.device.profiling_flush().unwrap();
    barriers(subject, 5);
    subject.device.profiling_end().unwrap();
    assert_eq!(*chunks.0.lock().unwrap(), [(4, 6, true), (3, 0, false), (4, 1, true)]);
}

/// [hal 166] the other way to deal with a full ring.
pub(super) fn full_rings_may_flush(subject: &Subject) {
    let chunks = Arc::new(Chunks::default());
    let options = ProfileOptions {
        events_max: 4,
        flags: ProfileFlags::FLUSH_WHEN_FULL,
        ..ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, chunks.clone())
    };
    subject.device.profiling_begin(&options).unwrap();
    barriers(subject, 10);
    subject.device.profiling_end().unwrap();
    assert_eq!(*chunks.0.lock().unwrap(), [(4, 0, false), (4, 0, false), (2, 0, false)]);
}

/// A log whose writes fail while it is told so.
#[derive(Default)]
struct Unreliable {
    log: ProfileLog,
    probe: Probe,
}

impl ProfileSink for Unreliable {
    fn begin(&self, session: &ProfileSession) -> Result<()> {
        self.log.begin(session)
    }

    fn write(&self, session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()> {
        self.probe.write(session, chunk)?;
        self.log.write(session, chunk)
    }

    fn end(&self, session: &ProfileSession) -> Result<()> {
        self.log.end(session)
    }
}

/// [hal 166]
pub(super) fn failed_flushes_keep_events(subject: &Subject) {
    let sink = Arc::new(Unreliable::default());
    let options =
        ProfileOptions { events_max: 6, ..ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, sink.clone()) };
    subject.device.profiling_begin(&options).unwrap();
    barriers(subject, 4);
    sink.probe.refuses.store(WRITE, Ordering::SeqCst);
    for _ in 0..2 {
        fails_with(subject.device.profiling_flush(), Code::DataLoss);
    }
    assert!(sink.log.take().queue.is_empty());
    // They keep their room, too.
    barriers(subject, 4);
    sink.probe.refuses.store(0, Ordering::SeqCst);
    subject.device.profiling_flush().unwrap();
    let profile = sink.log.take();
    let submissions: Vec<u64> = profile.queue.iter().map(|event| event.submission).collect();
    assert_eq!((submissions.len(), profile.dropped), (6, 2));
    assert!(
        submissions.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "in order, each once: {submissions:?}"
    );
    // What cannot be written at the end is lost, and the session is over.
    barriers(subject, 1);
    sink.probe.refuses.store(WRITE, Ordering::SeqCst);
    fails_with(subject.device.profiling_end(), Code::DataLoss);
    let profile = sink.log.take();
    assert!(profile.has_ended && profile.queue.is_empty());
}

/// A sink that does to its own session what only others may.
struct Meddler {
    device: Arc<Device>,
    answers: Mutex<Vec<Option<Code>>>,
}

impl ProfileSink for Meddler {
    fn begin(&self, _session: &ProfileSession) -> Result<()> {
        Ok(())
    }

    fn write(&self, _session: &ProfileSession, _chunk: &ProfileChunk<'_>) -> Result<()> {
        let device = &self.device;
        let asked = [device.profiling_flush(), device.profiling_end(), device.queue_barrier(&NOW)];
        let codes = asked.map(|answer| answer.err().map(|status| status.code()));
        self.answers.lock().unwrap().extend(codes);
        Ok(())
    }

    fn end(&self, _session: &ProfileSession) -> Result<()> {
        Ok(())
    }
}

/// Sinks are called without locks: they are refused what would wait for themselves, and may use the device.
pub(super) fn sinks_cannot_call_back(subject: &Subject) {
    let meddler = Arc::new(Meddler { device: Arc::clone(&subject.device), answers: Mutex::new(Vec::new()) });
    let options = ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, meddler.clone());
    subject.device.profiling_begin(&options).unwrap();
    barriers(subject, 1);
    subject.device.profiling_flush().unwrap();
    let refused = Some(Code::FailedPrecondition);
    assert_eq!(*meddler.answers.lock().unwrap(), [refused, refused, None]);
    subject.device.profiling_end().unwrap();
}
