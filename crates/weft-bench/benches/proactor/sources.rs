//! One handle that speaks among many that do not.

use crate::floor::{Bare, raise};
use crate::subject::{beside, poll_dry, poller_with};
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, OwnedFd};
use weft_bench::{Subject, Table, measure_busy};
use weft_io::{Config, Event, EventSource, Poller};
use weft_sync::Deadline;

fn handles(count: usize) -> Option<Vec<OwnedFd>> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    (0..count).map(|_| eventfd(0, flags).ok()).collect()
}

/// Sources whose callbacks take the signal.
fn sources(poller: &Poller, events: &[Event]) -> Vec<EventSource> {
    let source = |event: &Event| {
        let taken = event.clone();
        let callback = move |_| assert!(taken.reset(), "it was set");
        EventSource::register(poller.handle(), event.clone(), callback).expect("the proactor is there")
    };
    events.iter().map(source).collect()
}

fn group(table: &Table, idle: usize, reference_us: Option<f64>) {
    let events: Option<Vec<Event>> = (0..=idle).map(|_| Event::new().ok()).collect();
    let (Some(events), Some(handles)) = (events, handles(idle + 1)) else {
        println!("one among {idle} idle: skipped, this process may not have so many handles");
        return;
    };
    let mut poller = poller_with(&Config { operations_max: idle as u32 + 64, ..Config::new() });
    let sources = sources(&poller, &events);
    for _ in 0..=idle / 256 {
        poll_dry(&mut poller);
    }
    let mut ring = Bare::new(8192);
    handles.iter().for_each(|handle| ring.poll(handle.as_fd()));
    ring.wait(0);
    let (speaker, event) = (&handles[idle / 2], &events[idle / 2]);
    table.group(
        &format!("one source that speaks among {idle} that are idle"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, one poll each", || {
                raise(speaker);
                ring.wait(1);
                rustix::io::read(speaker, &mut [0; 8]).expect("it was raised");
                ring.poll(speaker.as_fd());
            }),
            Subject::new("weft, event sources", || {
                event.set();
                poller.poll(Deadline::NEVER).expect("the kernel polls")
            }),
        ]),
        reference_us.and_then(beside),
    );
    drop(sources);
}

pub fn run(table: &Table) {
    let published = [(1, Some(1.8)), (8, None), (64, None), (512, Some(1.4)), (4096, Some(1.6))];
    for (idle, reference_us) in published {
        group(table, idle, reference_us);
    }
}
