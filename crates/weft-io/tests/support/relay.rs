//! What the tests of relays share: handles, plans, and polling for what no poll counts.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use crate::support::{Subject, after_ms, soon};
use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use weft_io::{Handle, Notification, Relay, RelayPlan, RelaySink, RelaySource};
use weft_sync::{Code, Status};

pub fn counter() -> Arc<OwnedFd> {
    Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap())
}

pub fn raise(fd: &OwnedFd, value: u64) {
    assert_eq!(rustix::io::write(fd, &value.to_ne_bytes()).unwrap(), 8);
}

/// What an eventfd holds; it holds nothing then.
pub fn take(fd: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    rustix::io::read(fd, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
}

pub fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap()
}

pub fn notification() -> Arc<Notification> {
    Arc::new(Notification::new())
}

pub fn from(source: &Arc<OwnedFd>) -> RelaySource {
    RelaySource::handle(Arc::clone(source))
}

pub fn to(sink: &Arc<OwnedFd>) -> RelaySink {
    RelaySink::handle(Arc::clone(sink), 1)
}

pub fn register(handle: &Handle, plan: RelayPlan) -> Relay {
    plan.register(handle).unwrap()
}

/// Polls until `is_enough`, which nothing counts. Panics after ten seconds.
pub fn poll_for(subject: &mut Subject, mut is_enough: impl FnMut() -> bool) {
    let limit = soon();
    while !is_enough() {
        assert_eq!(
            subject.poller.poll(limit).expect("it comes within ten seconds"),
            0,
            "relays do not count"
        );
    }
}

pub fn settle(subject: &mut Subject) {
    (0..3).for_each(|_| drop(subject.poller.poll(after_ms(1))));
}

/// What an error callback was told.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Code>>>);

impl Faults {
    pub fn note(&self) -> impl FnOnce(Status) + Send + 'static {
        let faults = self.clone();
        move |why| faults.0.lock().unwrap().push(why.code())
    }

    pub fn codes(&self) -> Vec<Code> {
        self.0.lock().unwrap().clone()
    }
}
