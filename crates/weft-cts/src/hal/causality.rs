//! What the signals of a device are ordered after: frontiers that travel along semaphores.

use std::collections::BTreeSet;
use std::sync::Arc;

use weft_hal::{HostCallEnd, HostCallFlags, QueueAffinity, Region, Submission};
use weft_sync::{Axis, Code, FrontierBuf, Machine, Point, Semaphore, Status};

use crate::case::Caps;
use crate::hal::host_call::host_call;
use crate::subject::{NOW, Subject, eventually, fails_with, point};

crate::cases! { $ CAUSALITY for_each_causality_case {
    signals_name_their_queue_and_what_they_waited_for: Caps::FRONTIERS;
    order_travels_along_queues: Caps::FRONTIERS.union(Caps::ASYNC);
    order_travels_when_submitted_backwards: Caps::FRONTIERS.union(Caps::ASYNC);
    hosts_contribute_what_they_say: Caps::FRONTIERS;
    a_visible_value_has_its_frontier: Caps::FRONTIERS;
    what_does_not_fit_is_not_vouched_for: Caps::FRONTIERS;
    failures_advance_nothing: Caps::FRONTIERS;
    queues_and_devices_have_axes_of_their_own: Caps::FRONTIERS;
} }

type Known = FrontierBuf<16>;

/// A timeline that remembers what its values are ordered after.
fn timeline() -> Arc<Semaphore> {
    Arc::new(Semaphore::with_frontier(0, 16))
}

/// What the value is ordered after, all of it.
#[track_caller]
fn past(semaphore: &Semaphore, value: u64) -> Known {
    semaphore.complete_frontier(value).expect("the past of the value is complete")
}

/// Runs a barrier between these points on this queue, and returns what its signal is ordered after.
fn barrier(subject: &Subject, queue: QueueAffinity, wait: &[Point]) -> (Point, Known) {
    let signal = [point(&timeline(), 1)];
    subject.device.queue_barrier(&Submission { wait, signal: &signal, ..NOW }.on(queue)).unwrap();
    subject.reaches(&signal);
    // The value comes first; that it is vouched for may be seen a moment later.
    eventually("the signal is vouched for", || !signal[0].semaphore.is_value_tainted(1));
    let known = past(&signal[0].semaphore, 1);
    let [signal] = signal;
    (signal, known)
}

/// The axis that a queue signals with.
fn axis_of(subject: &Subject, queue: QueueAffinity) -> Axis {
    let (_, known) = barrier(subject, queue, &[]);
    let [entry] = known.as_frontier().entries() else { panic!("one entry, its own: {known}") };
    entry.axis
}

const FIRST: QueueAffinity = QueueAffinity(1);

/// The last queue; with one queue it is the first.
fn last(subject: &Subject) -> QueueAffinity {
    QueueAffinity(1 << (subject.device.queue_count() - 1))
}

/// [hal 127]
fn signals_name_their_queue_and_what_they_waited_for(subject: &Subject) {
    let own = axis_of(subject, FIRST);
    let foreign =
        Known::from_entries(FrontierBuf::single(Machine::LOCAL.host(3), 41).as_frontier().entries());
    let foreign = foreign.expect("one entry fits");
    let given = timeline();
    given.signal_untainted(1, &foreign).unwrap();
    let (first, known) = barrier(subject, FIRST, &[point(&given, 1)]);
    assert!(known.as_frontier().dominates(&foreign), "{known}");
    let epoch = known.as_frontier().epoch_of(own);
    assert!(epoch > 0, "{known} has no entry of {own}");
    // The next one is later on the same axis.
    let (_, later) = barrier(subject, FIRST, std::slice::from_ref(&first));
    assert!(later.as_frontier().dominates(&known), "{later} {known}");
    assert!(later.as_frontier().epoch_of(own) > epoch, "{later}");
}

/// [hal 128]
fn order_travels_along_queues(subject: &Subject) {
    let (a, known_a) = barrier(subject, FIRST, &[]);
    let (b, known_b) = barrier(subject, last(subject), &[a]);
    let (_, known_c) = barrier(subject, FIRST, &[b]);
    assert!(known_b.as_frontier().dominates(&known_a), "{known_b} {known_a}");
    assert!(known_c.as_frontier().dominates(&known_b), "{known_c} {known_b}");
    assert!(known_c.as_frontier().dominates(&known_a));
}

/// [hal 128] the waits are not there yet when the operations are submitted.
fn order_travels_when_submitted_backwards(subject: &Subject) {
    let steps: Vec<Point> = (0..5).map(|_| point(&timeline(), 1)).collect();
    let buffer = subject.buffer(8);
    for index in (0..4).rev() {
        let at = Submission { wait: &steps[index..=index], signal: &steps[index + 1..index + 2], ..NOW };
        let queue = if index % 2 == 0 { FIRST } else { last(subject) };
        subject.device.queue_fill(&at.on(queue), &Region::whole(&buffer), 1, 1).unwrap();
    }
    let origin = FrontierBuf::single(Machine::LOCAL.host(2), 9);
    steps[0].semaphore.signal_untainted(1, &origin).unwrap();
    subject.reaches(&steps);
    eventually("the end is vouched for", || !steps[4].semaphore.is_value_tainted(1));
    let all: Vec<Known> = steps.iter().map(|step| past(&step.semaphore, 1)).collect();
    for pair in all.windows(2) {
        assert!(pair[1].as_frontier().dominates(&pair[0]), "{} {}", pair[1], pair[0]);
        assert!(!pair[0].as_frontier().dominates(&pair[1]), "each adds an epoch of its own");
    }
    assert_eq!(all[4].as_frontier().epoch_of(Machine::LOCAL.host(2)), 9);
}

/// [hal 128] and a host that says nothing taints what follows: it may have waited for anything.
fn hosts_contribute_what_they_say(subject: &Subject) {
    let (said, silent) = (timeline(), timeline());
    said.signal_untainted(1, &FrontierBuf::single(Machine::LOCAL.host(7), 3)).unwrap();
    let (_, known) = barrier(subject, FIRST, &[point(&said, 1)]);
    assert_eq!(known.as_frontier().epoch_of(Machine::LOCAL.host(7)), 3);
    silent.signal(1).unwrap();
    let signal = [point(&timeline(), 1)];
    let wait = [point(&said, 1), point(&silent, 1)];
    subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
    subject.reaches(&signal);
    std::thread::sleep(std::time::Duration::from_millis(1));
    assert!(signal[0].semaphore.is_value_tainted(1), "nobody knows all that it is ordered after");
}

/// [hal 129] of a value that is vouched for. One thread looks, the others run.
fn a_visible_value_has_its_frontier(subject: &Subject) {
    let own = axis_of(subject, FIRST);
    for _ in 0..50 {
        let signal = [point(&timeline(), 1)];
        let semaphore = Arc::clone(&signal[0].semaphore);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
                while semaphore.is_value_tainted(1) {
                    assert!(std::time::Instant::now() < end, "it is never vouched for");
                    std::hint::spin_loop();
                }
                assert!(semaphore.is_reached(1).unwrap(), "vouched for before it was reached");
                assert!(past(&semaphore, 1).as_frontier().epoch_of(own) > 0, "without its frontier");
            });
            subject.device.queue_barrier(&Submission { signal: &signal, ..NOW }.on(FIRST)).unwrap();
        });
    }
}

/// [hal 130] a frontier that cannot hold all proves nothing.
fn what_does_not_fit_is_not_vouched_for(subject: &Subject) {
    let crowd: Vec<Point> = (0..40)
        .map(|host| {
            let semaphore = timeline();
            let origin = FrontierBuf::single(Machine::LOCAL.host(100 + host), 1);
            semaphore.signal_untainted(1, &origin).expect("it is new");
            point(&semaphore, 1)
        })
        .collect();
    for (waits, capacity) in [(&crowd[..], 16), (&crowd[..1], 1), (&crowd[..1], 0)] {
        let signal = [point(&Arc::new(Semaphore::with_frontier(0, capacity)), 1)];
        subject.device.queue_barrier(&Submission { wait: waits, signal: &signal, ..NOW }).unwrap();
        subject.reaches(&signal);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(signal[0].semaphore.is_value_tainted(1), "{} waits, room for {capacity}", waits.len());
        // What comes after it cannot know more than it.
        let next = [point(&timeline(), 1)];
        subject.device.queue_barrier(&Submission { wait: &signal, signal: &next, ..NOW }).unwrap();
        subject.reaches(&next);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(next[0].semaphore.is_value_tainted(1));
    }
}

/// [hal 131] [hal 122] an epoch is claimed by work that was done, and by nothing else.
fn failures_advance_nothing(subject: &Subject) {
    let own = axis_of(subject, FIRST);
    let epoch = || barrier(subject, FIRST, &[]).1.as_frontier().epoch_of(own);
    let before = epoch();
    for _ in 0..10 {
        let call = host_call(HostCallFlags::empty(), |_| Err(Status::new(Code::Aborted, "no")));
        fails_with(subject.run(|at| subject.device.queue_host_call(&at.on(FIRST), call)), Code::Aborted);
        let wait = [point(&crate::subject::failed(Code::Internal), 1)];
        fails_with(
            subject.run_after(&wait, |at| subject.device.queue_barrier(&at.on(FIRST))),
            Code::Internal,
        );
    }
    assert_eq!(epoch(), before + 1, "ten failures of each kind claimed nothing");
    let call = host_call(HostCallFlags::empty(), |_| Ok(HostCallEnd::Done));
    subject.run(|at| subject.device.queue_host_call(&at.on(FIRST), call)).unwrap();
    assert!(epoch() > before + 1);
}

/// [hal 132]
fn queues_and_devices_have_axes_of_their_own(subject: &Subject) {
    let devices = [subject.separate(), subject.separate()];
    let mut axes = BTreeSet::new();
    let mut count = 0;
    for of in devices.iter().chain([subject]) {
        for index in 0..of.device.queue_count() {
            let queue = QueueAffinity(1 << index);
            let axis = axis_of(of, queue);
            assert_eq!(axis, axis_of(of, queue), "it stays");
            axes.insert(axis.to_string());
            count += 1;
        }
    }
    assert_eq!(axes.len(), count);
}
