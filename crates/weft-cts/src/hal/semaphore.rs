//! Semaphores, fences, waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_hal::{Fence, FenceBuilder, Submission, all_reached, fail_all, query_code, signal_all};
use weft_sync::{Code, Deadline, Point, Semaphore, Status, wait_all, wait_any};

use crate::case::Caps;
use crate::subject::{Subject, fails_with};

crate::cases! { $ SEMAPHORE for_each_semaphore_case {
    timelines_only_rise: Caps::NONE;
    the_first_failure_stays: Caps::NONE;
    waits_answer_at_once_or_time_out: Caps::NONE;
    waits_across_threads: Caps::NONE;
    a_failure_wakes_multi_waits_and_spares_the_others: Caps::NONE;
    devices_wait_for_all_and_any: Caps::NONE;
    lists_signal_in_order_and_fail_all: Caps::NONE;
    every_failure_is_told_as_it_was: Caps::NONE;
    fences_merge_points: Caps::NONE;
    fences_are_bounded: Caps::NONE;
    fences_tell_their_state: Caps::NONE;
} }

fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(initial))
}

fn point(semaphore: &Arc<Semaphore>, value: u64) -> Point {
    Point { semaphore: Arc::clone(semaphore), value }
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "the tape is gone")
}

fn after_ms(milliseconds: u64) -> Deadline {
    Deadline::after(Duration::from_millis(milliseconds))
}

/// [hal 65]
fn timelines_only_rise(_subject: &Subject) {
    let timeline = semaphore(3);
    assert_eq!(timeline.query().unwrap(), 3);
    timeline.signal(5).unwrap();
    for backward in [5, 4, 0] {
        let status = timeline.signal(backward).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "semaphore already signaled past 5");
    }
    let maximum = (1 << 31) - 2;
    timeline.signal(maximum).unwrap();
    assert_eq!(timeline.query().unwrap(), maximum);
    assert_eq!(semaphore(maximum).query().unwrap(), maximum);
}

/// [hal 66]
fn the_first_failure_stays(_subject: &Subject) {
    let timeline = semaphore(1);
    let waiter = Arc::clone(&timeline);
    let waiting = std::thread::spawn(move || waiter.wait(2, Deadline::NEVER));
    std::thread::sleep(Duration::from_millis(10));
    timeline.fail(lost());
    timeline.fail(Status::new(Code::Internal, "later"));
    fails_with(waiting.join().unwrap(), Code::DataLoss);
    fails_with(timeline.query(), Code::DataLoss);
    fails_with(timeline.wait(0, Deadline::NEVER), Code::DataLoss);
    assert!(timeline.query().unwrap_err().message().contains("the tape is gone"));
}

/// [hal 67]
fn waits_answer_at_once_or_time_out(_subject: &Subject) {
    let (reached, behind) = (semaphore(2), semaphore(0));
    wait_all(&[] as &[Point], Deadline::IMMEDIATE).unwrap();
    wait_all(&[point(&reached, 2), point(&reached, 1)], Deadline::IMMEDIATE).unwrap();
    let begin = Instant::now();
    fails_with(wait_all(&[point(&reached, 2), point(&behind, 1)], after_ms(20)), Code::DeadlineExceeded);
    assert!(begin.elapsed() >= Duration::from_millis(20));
    assert_eq!(wait_any(&[point(&behind, 1), point(&reached, 1)], Deadline::NEVER).unwrap(), 1);
    fails_with(wait_any(&[point(&behind, 1)], Deadline::IMMEDIATE), Code::DeadlineExceeded);
}

/// [hal 68]
fn waits_across_threads(_subject: &Subject) {
    let (ping, pong) = (semaphore(0), semaphore(0));
    let (their_ping, their_pong) = (Arc::clone(&ping), Arc::clone(&pong));
    let partner = std::thread::spawn(move || {
        for round in 1..=100 {
            their_ping.wait(round, Deadline::NEVER).unwrap();
            their_pong.signal(round).unwrap();
        }
    });
    let many: Vec<_> = (0..8)
        .map(|waiter| {
            let (ping, pong) = (Arc::clone(&ping), Arc::clone(&pong));
            // Beyond and below what is signalled at once; all, any.
            std::thread::spawn(move || match waiter % 2 {
                0 => wait_all(&[point(&ping, 50), point(&pong, 100)], Deadline::NEVER),
                _ => wait_any(&[point(&ping, 1000), point(&pong, 37)], Deadline::NEVER).map(|_| ()),
            })
        })
        .collect();
    for round in 1..=100 {
        ping.signal(round).unwrap();
        pong.wait(round, Deadline::NEVER).unwrap();
    }
    partner.join().unwrap();
    for waiter in many {
        waiter.join().unwrap().unwrap();
    }
}

/// [hal 68]
fn a_failure_wakes_multi_waits_and_spares_the_others(_subject: &Subject) {
    let (good, bad) = (semaphore(0), semaphore(0));
    let points = [point(&good, 1), point(&bad, 1)];
    let waiting = std::thread::spawn(move || wait_all(&points, Deadline::NEVER));
    std::thread::sleep(Duration::from_millis(10));
    bad.fail(lost());
    fails_with(waiting.join().unwrap(), Code::DataLoss);
    assert_eq!(good.query().unwrap(), 0);
    good.signal(1).unwrap();
}

/// [hal 69]
fn devices_wait_for_all_and_any(subject: &Subject) {
    let (reached, behind) = (semaphore(1), semaphore(0));
    let points = [point(&behind, 1), point(&reached, 1)];
    let device = &subject.device;
    device.wait_any(&points, Deadline::NEVER).unwrap();
    device.wait_any(&[], Deadline::IMMEDIATE).unwrap();
    device.wait_all(&[], Deadline::IMMEDIATE).unwrap();
    fails_with(device.wait_all(&points, Deadline::IMMEDIATE), Code::DeadlineExceeded);
    behind.fail(lost());
    fails_with(device.wait_all(&points, Deadline::NEVER), Code::DataLoss);
}

/// [hal 70]
fn lists_signal_in_order_and_fail_all(_subject: &Subject) {
    let [first, second, third] = [semaphore(0), semaphore(5), semaphore(0)];
    let points = [point(&first, 1), point(&second, 5), point(&third, 1)];
    let copies = points.clone();
    assert!(!all_reached(&points).unwrap());
    fails_with(signal_all(&points), Code::InvalidArgument);
    assert_eq!((first.query().unwrap(), third.query().unwrap()), (1, 0), "stops at the first error");
    drop(points);
    fail_all(&copies, lost());
    for semaphore in [&first, &second, &third] {
        fails_with(semaphore.query(), Code::DataLoss);
    }
    fails_with(all_reached(&copies), Code::DataLoss);
}

/// [hal 71] whichever code it has, whoever asks, and however long its text; operations that wait for it pass it on.
fn every_failure_is_told_as_it_was(subject: &Subject) {
    let codes: Vec<Code> = (1..=20).filter_map(Code::from_raw).collect();
    assert!(codes.len() >= 16, "{codes:?}");
    let text = "why ".repeat(1000);
    for code in codes {
        let failed = semaphore(3);
        failed.fail(Status::new(code, text.clone()));
        let told = [
            failed.query().map(drop),
            failed.is_reached(3).map(drop),
            failed.wait(4, Deadline::NEVER),
            subject.device.wait_all(&[point(&failed, 9)], Deadline::NEVER),
            Fence::at(Arc::clone(&failed), 1).query().map(drop),
        ];
        for outcome in told {
            let status = outcome.unwrap_err();
            assert_eq!((status.code(), status.message().contains(&text)), (code, true), "{status}");
        }
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { wait: &[point(&failed, 4)], signal: &signal, ..Submission::IMMEDIATE };
        subject.fails(subject.device.queue_barrier(&at), &signal, code);
    }
}

/// [hal 72] [hal-module 39]
fn fences_merge_points(_subject: &Subject) {
    let [a, b, c] = [semaphore(0), semaphore(0), semaphore(0)];
    let fence = Fence::new([point(&a, 1), point(&b, 2), point(&a, 3), point(&b, 1)]).unwrap();
    let values: Vec<u64> = fence.points().iter().map(|point| point.value).collect();
    assert_eq!(values, [3, 2]);
    let other = Fence::new([point(&c, 1), point(&b, 7)]).unwrap();
    let joined = Fence::join([Some(&fence), None, Some(&other), Some(&fence)]).unwrap().unwrap();
    let values: Vec<u64> = joined.points().iter().map(|point| point.value).collect();
    assert_eq!(values, [3, 7, 1]);
    assert!(Fence::join([]).unwrap().is_none());
    assert!(Fence::join([None, None]).unwrap().is_none());
    assert!(Arc::ptr_eq(&Fence::join([None, Some(&fence)]).unwrap().unwrap(), &fence));
    let mut builder = FenceBuilder::new(3).unwrap();
    builder.extend(&fence).unwrap();
    builder.extend(&other).unwrap();
    assert_eq!(builder.build().points().len(), 3);
}

/// [hal 72] [hal-module 39]
fn fences_are_bounded(_subject: &Subject) {
    fails_with(FenceBuilder::new(65536), Code::ResourceExhausted);
    let timelines: Vec<_> = (0..65536).map(|_| semaphore(0)).collect();
    let all =
        |count: usize| timelines[..count].iter().chain(&timelines[..9]).map(|timeline| point(timeline, 1));
    assert_eq!(Fence::new(all(65535)).unwrap().points().len(), 65535);
    fails_with(Fence::new(all(65536)), Code::ResourceExhausted);
    let mut full = FenceBuilder::new(1).unwrap();
    let only = semaphore(0);
    full.insert(point(&only, 1)).unwrap();
    full.insert(point(&only, 9)).unwrap();
    fails_with(full.insert(point(&semaphore(0), 1)), Code::ResourceExhausted);
}

/// [hal 72] [hal-module 38]
fn fences_tell_their_state(_subject: &Subject) {
    let fence = Fence::create();
    assert!(!fence.query().unwrap());
    assert_eq!(query_code(&fence), 17);
    fails_with(fence.wait(Deadline::IMMEDIATE), Code::DeadlineExceeded);
    fence.signal().unwrap();
    assert_eq!(query_code(&fence), 0);
    fence.wait(Deadline::IMMEDIATE).unwrap();
    fails_with(fence.signal(), Code::InvalidArgument);
    fence.fail(lost());
    assert_eq!(query_code(&fence), Code::DataLoss.raw());
    fails_with(fence.wait(Deadline::NEVER), Code::DataLoss);
    let nothing = Fence::new([]).unwrap();
    assert!(nothing.query().unwrap());
    nothing.wait(Deadline::IMMEDIATE).unwrap();
    assert!(Fence::points_of(None).is_empty());
    assert!(Fence::at(semaphore(4), 4).query().unwrap());
}
