//! One that speaks among many that do not: event sources, relays. One that speaks to many.

use crate::floor::{Bare, raise};
use crate::subject::{beside, poll_dry, poller_with};
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use weft_bench::{Subject, Table, measure_busy};
use weft_io::{
    Config, Event, EventSource, Notification, Poller, Relay, RelayPlan, RelaySink, RelaySource, WAKE_ALL,
};
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

/// A relay from one notification to another, again and again.
fn relay(poller: &Poller, source: &Arc<Notification>, sink: &Arc<Notification>) -> Relay {
    let sink = RelaySink::notification(Arc::clone(sink), WAKE_ALL);
    let plan = RelayPlan::new(RelaySource::notification(Arc::clone(source)), sink).persistent();
    plan.register(poller.handle()).expect("the proactor is there")
}

fn notifications(count: usize) -> Vec<Arc<Notification>> {
    (0..count).map(|_| Arc::new(Notification::new())).collect()
}

/// Polls until the sinks have moved on.
fn fire(poller: &mut Poller, source: &Notification, sinks: &[Arc<Notification>]) {
    let before = sinks[sinks.len() - 1].epoch();
    source.signal(WAKE_ALL);
    while sinks[sinks.len() - 1].epoch() == before {
        drop(poller.poll(Deadline::NEVER));
    }
}

/// One of so many relays, each between notifications of its own.
fn among_relays(table: &Table, count: usize, reference_us: f64) {
    let mut poller = poller_with(&Config::new());
    let (sources, sinks) = (notifications(count), notifications(count));
    let pairs = sources.iter().zip(&sinks);
    let relays: Vec<Relay> = pairs.map(|(source, sink)| relay(&poller, source, sink)).collect();
    let middle = count / 2;
    drop(poller.poll(Deadline::IMMEDIATE));
    table.group(
        &format!("one of {count} relays from a notification to another"),
        &measure_busy(vec![Subject::new("weft", || {
            fire(&mut poller, &sources[middle], &sinks[middle..=middle]);
        })]),
        beside(reference_us),
    );
    drop(relays);
}

/// One notification that is relayed to many.
fn fan_out(table: &Table, count: usize, reference_us: f64) {
    let mut poller = poller_with(&Config::new());
    let (source, sinks) = (Arc::new(Notification::new()), notifications(count));
    let relays: Vec<Relay> = sinks.iter().map(|sink| relay(&poller, &source, sink)).collect();
    drop(poller.poll(Deadline::IMMEDIATE));
    table.group(
        &format!("a notification that is relayed to {count} others"),
        &measure_busy(vec![Subject::new("weft", || fire(&mut poller, &source, &sinks))]),
        beside(reference_us),
    );
    drop(relays);
}

/// An event that is relayed to another: both are handles of the kernel.
fn between_handles(table: &Table) {
    let mut poller = poller_with(&Config::new());
    let (source, sink) = (Event::new().expect("a handle"), Event::new().expect("a handle"));
    let plan =
        RelayPlan::new(RelaySource::event(source.clone()), RelaySink::event(sink.clone())).persistent();
    let relay = plan.register(poller.handle()).expect("the proactor is there");
    drop(poller.poll(Deadline::IMMEDIATE));
    table.group(
        "an event that is relayed to another",
        &measure_busy(vec![Subject::new("weft", || {
            source.set();
            while !sink.reset() {
                drop(poller.poll(Deadline::NEVER));
            }
        })]),
        beside(2.2),
    );
    drop(relay);
}

pub fn run(table: &Table) {
    let published = [(1, Some(1.8)), (8, None), (64, None), (512, Some(1.4)), (4096, Some(1.6))];
    for (idle, reference_us) in published {
        group(table, idle, reference_us);
    }
    for (count, reference_us) in [(1, 1.8), (512, 3.2), (4096, 20.7)] {
        among_relays(table, count, reference_us);
    }
    for (count, reference_us) in [(1, 2.3), (64, 61.0), (256, 207.0)] {
        fan_out(table, count, reference_us);
    }
    between_handles(table);
}
