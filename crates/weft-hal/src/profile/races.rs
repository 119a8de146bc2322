//! Tests: threads that record, flush, begin and end at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use weft_sync::{Result, bail};

use super::*;
use crate::buffer::DeviceId;
use crate::queue::Submission;

/// Counts what it gets of each session, and panics over what comes outside of one.
#[derive(Default)]
struct Judge {
    is_open: AtomicBool,
    taken: AtomicU64,
    dropped: AtomicU64,
    writes: AtomicU64,
}

impl ProfileSink for Judge {
    fn begin(&self, _session: &ProfileSession) -> Result<()> {
        assert!(!self.is_open.swap(true, Ordering::SeqCst), "one session at a time");
        Ok(())
    }

    fn write(&self, _session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()> {
        assert!(self.is_open.load(Ordering::SeqCst), "nothing comes after the end");
        let ProfileRecords::Queue(events) = chunk.records else { panic!("nobody recorded {chunk:?}") };
        if self.writes.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
            bail!(Unavailable, "not this time");
        }
        self.taken.fetch_add(events.len() as u64, Ordering::SeqCst);
        self.dropped.fetch_add(chunk.dropped, Ordering::SeqCst);
        Ok(())
    }

    fn end(&self, _session: &ProfileSession) -> Result<()> {
        assert!(self.is_open.swap(false, Ordering::SeqCst), "a session ends once");
        Ok(())
    }
}

fn options(sink: &Arc<Judge>, flags: ProfileFlags) -> ProfileOptions {
    let sink: Arc<Judge> = Arc::clone(sink);
    ProfileOptions { events_max: 16, flags, ..ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, sink) }
}

fn begin(profiler: &Profiler, options: &ProfileOptions) -> Result<()> {
    profiler.begin(DeviceId(1), "test", 1, options)
}

fn record(profiler: &Profiler) -> bool {
    let event = profiler.submitted(&Submission::IMMEDIATE, OperationKind::Barrier, 1, 0);
    event.map(|event| profiler.record_queue_event(*event)).is_some()
}

/// [hal 165] Whoever comes when: sessions do not mix, and nothing is written after an end, failed writes in between or
/// not.
#[test]
fn sessions_end_while_others_record_and_flush() {
    for flags in [ProfileFlags::empty(), ProfileFlags::FLUSH_WHEN_FULL] {
        let (profiler, judge) = (Profiler::new(), Arc::new(Judge::default()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    (0..2000).for_each(|_| {
                        record(&profiler);
                    })
                });
                scope.spawn(|| (0..200).for_each(|_| drop(profiler.flush())));
            }
            for _ in 0..100 {
                begin(&profiler, &options(&judge, flags)).unwrap();
                record(&profiler);
                std::thread::yield_now();
                // Its last write may be one of those that fail.
                let _ = profiler.end();
                assert!(!judge.is_open.load(Ordering::SeqCst));
            }
        });
        assert!(!record(&profiler), "nobody listens any more");
    }
}

/// [hal 166] Failed and concurrent flushes lose nothing that had room.
#[test]
fn every_record_is_written_or_counted() {
    for flags in [ProfileFlags::empty(), ProfileFlags::FLUSH_WHEN_FULL] {
        let (profiler, judge) = (Profiler::new(), Arc::new(Judge::default()));
        begin(&profiler, &options(&judge, flags)).unwrap();
        let made = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for index in 0..1000 {
                        made.fetch_add(u64::from(record(&profiler)), Ordering::SeqCst);
                        if index % 50 == 0 {
                            let _ = profiler.flush();
                        }
                    }
                });
            }
        });
        while profiler.flush().is_err() {}
        profiler.end().unwrap();
        assert_eq!(made.load(Ordering::SeqCst), 3000);
        let seen = judge.taken.load(Ordering::SeqCst) + judge.dropped.load(Ordering::SeqCst);
        assert_eq!(seen, 3000, "{flags}");
    }
}

/// A sink that panics takes neither the records nor the session with it.
#[test]
fn panics_of_a_sink_leave_the_session_whole() {
    struct Fragile(AtomicBool, ProfileLog);
    impl ProfileSink for Fragile {
        fn begin(&self, session: &ProfileSession) -> Result<()> {
            self.1.begin(session)
        }
        fn write(&self, session: &ProfileSession, chunk: &ProfileChunk<'_>) -> Result<()> {
            assert!(self.0.swap(true, Ordering::SeqCst), "the first write goes wrong");
            self.1.write(session, chunk)
        }
        fn end(&self, session: &ProfileSession) -> Result<()> {
            self.1.end(session)
        }
    }
    let (profiler, sink) =
        (Profiler::new(), Arc::new(Fragile(AtomicBool::new(false), ProfileLog::default())));
    let given: Arc<Fragile> = Arc::clone(&sink);
    begin(&profiler, &ProfileOptions::new(ProfileFamilies::QUEUE_EVENTS, given)).unwrap();
    record(&profiler);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| profiler.flush()));
    assert!(panicked.is_err());
    record(&profiler);
    profiler.end().unwrap();
    let profile = sink.1.take();
    assert!(profile.has_ended);
    assert_eq!(profile.queue.iter().map(|event| event.submission).collect::<Vec<_>>(), [1, 2]);
}

/// [hal 167] Without a session a profiler is three words and a lock; the rings come with a session and go with it.
#[test]
fn off_is_small() {
    assert!(size_of::<Profiler>() <= 48, "{}", size_of::<Profiler>());
    let profiler = Profiler::new();
    assert!(!profiler.is_active() && !record(&profiler));
    assert!(!profiler.is_on(ProfileFamilies::all()));
}
