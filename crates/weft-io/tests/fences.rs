//! What fences do to the numbers of descriptors. The rest is in the conformance suite.
#![cfg(target_os = "linux")]

mod support;

use std::os::fd::AsRawFd;
use std::sync::Arc;
use support::poll_until;
use weft_io::ops::Nop;
use weft_io::{Event, open_null};
use weft_sync::Semaphore;

fn timeline() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// [async-backends 196] Whoever closes an exported descriptor early gets no signal into what has its number next.
#[test]
fn a_closed_export_is_not_written_to() {
    let proactor = open_null(&weft_io::Config::new());
    let timeline = timeline();
    let fence = proactor.handle().export_fence(&timeline, 1).unwrap();
    let number = fence.as_raw_fd();
    drop(fence);
    // The lowest free number: the next descriptor gets it, unless another test is faster.
    let events: Vec<Event> = (0..8).map(|_| Event::new().unwrap()).collect();
    timeline.signal(1).unwrap();
    assert!(events.iter().all(|event| !event.reset()), "a foreign write to {number}");
}

/// [async-backends 197] Ten thousand fences later there are as many descriptors open as before.
#[test]
fn descriptors_are_closed_once_and_all() {
    // A process of its own, more or less: other tests of this file open and close descriptors meanwhile.
    let limit = open_descriptors() + 600;
    let Ok(proactor) = weft_io::open("uring", &weft_io::Config::new()) else { return };
    let mut poller = proactor.into_poller().unwrap();
    let handle = poller.handle().clone();
    for _ in 0..2_500 {
        let (source, target) = (timeline(), timeline());
        for value in 1..=4 {
            handle.import_fence(handle.export_fence(&source, value).unwrap(), &target, value).unwrap();
        }
        handle.submit(Nop).unwrap();
        // In order: two answers of one exchange may come the other way round.
        for value in 1..=4 {
            source.signal(value).unwrap();
            poll_until(&mut poller, || target.query().unwrap() >= value);
        }
    }
    assert!(open_descriptors() < limit, "{} descriptors, {limit} at most", open_descriptors());
}
