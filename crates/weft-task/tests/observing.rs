//! What an executor that stands still tells about itself.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{OpensWhenDropped, SLOWNESS, compute, executor, immediate, poll_until, watched};
use weft_task::{Drained, Process, ProcessId, ProcessOptions, Work, WorkerContext};

/// Drains that do not come back until they may.
fn stuck(options: ProcessOptions, gate: &Arc<AtomicBool>) -> (Arc<Process>, Arc<support::Watch>) {
    let gate = Arc::clone(gate);
    watched(options, move |_| {
        while !gate.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(100));
        }
        Drained::Finished
    })
}

/// Two workers that are stuck, and others that wait for them: in the list, in slots, for a slot.
#[test]
fn a_report_names_who_is_stuck_where_since_when_and_who_waits() {
    let executor = executor(2);
    let gate = Arc::new(AtomicBool::new(false));
    let open = OpensWhenDropped(Arc::clone(&gate));
    let (alone, alone_watch) = stuck(immediate(), &gate);
    let (wide, wide_watch) = stuck(compute(1), &gate);
    for (process, watch) in [(&alone, &alone_watch), (&wide, &wide_watch)] {
        executor.schedule(process);
        poll_until("inside", || watch.inside.load(Ordering::Acquire) == 1);
    }
    let finished = |options| watched(options, |_| Drained::Finished);
    let listed: Vec<_> = (0..3).map(|_| finished(immediate())).collect();
    let placed: Vec<_> = (0..20).map(|budget| finished(compute(budget))).collect();
    listed.iter().chain(&placed).for_each(|(process, _)| executor.schedule(process));

    let first = executor.report();
    thread::sleep(Duration::from_millis(50));
    let report = executor.report();
    let with: Vec<_> = report.seats.iter().filter_map(|seat| seat.process).collect();
    assert_eq!(with.len(), 2, "{report}");
    assert!(with.contains(&ProcessId::of(&alone)) && with.contains(&ProcessId::of(&wide)), "{report}");
    for (before, now) in first.seats.iter().zip(&report.seats).take(2) {
        assert!(now.stay >= before.stay + Duration::from_millis(20), "{report}");
    }
    assert!(report.seats.iter().enumerate().all(|(index, seat)| seat.is_taken == (index < 2)));
    let ids =
        |of: &[(Arc<Process>, _)]| of.iter().map(|(process, _)| ProcessId::of(process)).collect::<Vec<_>>();
    assert_eq!(report.immediate.iter().map(|it| it.process).collect::<Vec<_>>(), ids(&listed));
    // One slot is taken by the one that is stuck, fifteen by the first that came.
    assert_eq!(report.slots.len(), 16);
    assert_eq!(report.overflow.iter().map(|it| it.process).collect::<Vec<_>>(), ids(&placed[15..]));
    assert_eq!(report.overflow[0].wake_budget, 15);
    assert!(report.overflow.iter().all(|it| it.activity == "queued" && !it.is_terminal));

    let text = report.to_string();
    for (process, how) in [(&alone, "with process"), (&listed[2].0, "waits for a worker: process")] {
        assert!(text.contains(&format!("{how} {}", ProcessId::of(process))), "{text}");
    }
    assert!(text.contains(&format!("waits for a slot: process {}", ProcessId::of(&placed[19].0))), "{text}");
    drop(open);
    listed.iter().chain(&placed).for_each(|(_, watch)| watch.wait_released());
    poll_until("at rest", || executor.report().seats.iter().all(|seat| seat.process.is_none()));
}

/// Stuck at its end: a seat is with its process until all of it is over.
#[test]
fn a_seat_that_was_stuck_in_a_release_seemed_to_be_with_nobody() {
    struct Ends(Arc<AtomicBool>, Arc<AtomicBool>);
    impl Work for Ends {
        fn drain(&self, _: &WorkerContext<'_>) -> Drained {
            Drained::Finished
        }

        fn released(&self) {
            self.1.store(true, Ordering::Release);
            while !self.0.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
    }
    let executor = executor(1);
    for options in [immediate(), compute(1)] {
        let (gate, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let _open = OpensWhenDropped(Arc::clone(&gate));
        let process = Process::new(Ends(gate, Arc::clone(&inside)), options);
        executor.schedule(&process);
        poll_until("in its release", || inside.load(Ordering::Acquire));
        assert_eq!(executor.report().seats[0].process, Some(ProcessId::of(&process)));
    }
}

/// Lists are long, and reports are not.
#[test]
fn a_report_lists_the_first_of_many() {
    let executor = executor(1);
    let gate = Arc::new(AtomicBool::new(false));
    let open = OpensWhenDropped(Arc::clone(&gate));
    let (busy, watch) = stuck(immediate(), &gate);
    executor.schedule(&busy);
    poll_until("inside", || watch.inside.load(Ordering::Acquire) == 1);
    let all: Vec<_> = (0..10_000 / SLOWNESS).map(|_| watched(immediate(), |_| Drained::Finished)).collect();
    all.iter().for_each(|(process, _)| executor.schedule(process));
    let report = executor.report();
    assert_eq!(report.immediate.len(), 64);
    assert!(report.to_string().contains("perhaps others"));
    drop(open);
    all.iter().for_each(|(_, watch)| watch.wait_released());
    assert!(executor.report().immediate.is_empty());
}

/// What the system says of each worker, added up; guests are not counted, and workers that are gone neither.
#[test]
fn steals_are_those_of_the_workers() {
    let executor = executor(2);
    let (process, watch) = watched(compute(2), |_| Drained::Finished);
    executor.schedule(&process);
    watch.wait_released();
    support::wait_asleep(&executor);
    let seats = || (0..executor.seat_count()).map(|seat| executor.seat_counters(seat).unwrap().steals);
    // It goes on between the looks, and only up.
    let (before, all, after) = (seats().sum::<u64>(), executor.counters().steals, seats().sum::<u64>());
    assert!(before <= all && all <= after, "{before} {all} {after}");
    assert_eq!(seats().skip(2).sum::<u64>(), 0);
}
