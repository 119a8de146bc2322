//! Events: set before, after, in batches, on another thread; notifications and semaphores beside them.

use crate::floor::{Bare, raise};
use crate::subject::{beside, poll_dry, poll_until, poller};
use rustix::event::{EventfdFlags, eventfd};
use std::cell::RefCell;
use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weft_bench::{Subject, Table, measure, measure_busy};
use weft_io::ops::{EventWait, NotificationWait, SemaphoreWait};
use weft_io::{Done, Event, EventPool, Handle, Notification, Operation, Poller, WAKE_ALL};
use weft_sync::{Point, Semaphore};

thread_local! {
    static EVENTS: RefCell<Vec<Operation<EventWait>>> = const { RefCell::new(Vec::new()) };
    static NOTIFICATION: RefCell<Option<Operation<NotificationWait>>> = const { RefCell::new(None) };
    static SEMAPHORE: RefCell<Option<Operation<SemaphoreWait>>> = const { RefCell::new(None) };
}

fn handle() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("handles are to be had")
}

fn come_back(done: Done<EventWait>) {
    done.result.expect("nobody cancels");
    EVENTS.with_borrow_mut(|events| events.push(done.operation));
}

/// Hands every wait over, in one batch; how many.
fn wait_all(handle: &Handle) -> usize {
    let mut batch = handle.batch();
    EVENTS.with_borrow_mut(|events| {
        for operation in events.drain(..) {
            batch.add(operation.on_done(come_back)).expect("there is room");
        }
    });
    let count = batch.len();
    batch.submit().expect("the proactor is there");
    count
}

/// New events, with an operation each that is kept on this thread.
fn events(count: usize) -> Vec<Event> {
    let events: Vec<Event> = (0..count).map(|_| Event::new().expect("handles are to be had")).collect();
    let waits = events.iter().map(|event| Operation::new(EventWait { event: event.clone() }));
    EVENTS.with_borrow_mut(|pool| {
        pool.clear();
        pool.extend(waits);
    });
    events
}

fn one(table: &Table) {
    let (mut ring, fd) = (Bare::new(256), handle());
    let (mut before, mut after) = (poller(), poller());
    let event = &events(1)[0];
    let runtime = crate::peers::compio();
    let shared = Arc::new(handle());
    table.group(
        "event that is set, then waited for",
        &measure_busy(vec![
            Subject::new("floor: bare ring, write and read", || {
                raise(&fd);
                ring.read(fd.as_fd());
                ring.wait(1)
            }),
            Subject::new("weft", || {
                event.set();
                wait_all(before.handle());
                poll_until(&mut before, 1);
            }),
            Subject::new("compio, read of an eventfd", || {
                raise(&*shared);
                crate::peers::compio_read(&runtime, &shared)
            }),
        ]),
        beside(2.3),
    );
    table.group(
        "event that is waited for, then set",
        &measure_busy(vec![
            Subject::new("floor: bare ring, read and write", || {
                ring.begin_read(fd.as_fd());
                raise(&fd);
                ring.wait(1)
            }),
            Subject::new("weft", || {
                wait_all(after.handle());
                poll_dry(&mut after);
                event.set();
                poll_until(&mut after, 1);
            }),
        ]),
        beside(2.4),
    );
}

fn many(table: &Table, count: usize, reference_us: Option<f64>) {
    let (mut ring, mut armed) = (Bare::new(256), Bare::new(256));
    let handles: Vec<OwnedFd> = (0..count).map(|_| handle()).collect();
    let (mut before, mut after) = (poller(), poller());
    let events = events(count);
    let raise_all = || handles.iter().for_each(raise);
    table.group(
        &format!("{count} events"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, all set, all read", || {
                raise_all();
                handles.iter().for_each(|fd| ring.read(fd.as_fd()));
                ring.wait(count)
            }),
            Subject::new("weft, all set, all waited for", || {
                events.iter().for_each(Event::set);
                wait_all(before.handle());
                poll_until(&mut before, count);
            }),
            Subject::new("floor: bare ring, all read, all set", || {
                handles.iter().for_each(|fd| armed.read(fd.as_fd()));
                armed.wait(0);
                raise_all();
                armed.drain();
            }),
            Subject::new("weft, all waited for, all set", || {
                wait_all(after.handle());
                poll_dry(&mut after);
                events.iter().for_each(Event::set);
                poll_until(&mut after, count);
            }),
        ]),
        reference_us.and_then(beside),
    );
}

/// A thread that is asked to set one of two things. It spins, so that only the way back is a wake.
struct Signaller {
    asked: [AtomicU64; 2],
    is_over: AtomicBool,
}

impl Signaller {
    fn ask(&self, which: usize) {
        self.asked[which].fetch_add(1, Ordering::Release);
    }

    fn run(&self, signal: impl Fn(usize)) {
        let (mut answered, mut looks) = ([0, 0], 0_u32);
        while !self.is_over.load(Ordering::Relaxed) {
            for (which, answered) in answered.iter_mut().enumerate() {
                if self.asked[which].load(Ordering::Acquire) > *answered {
                    *answered += 1;
                    signal(which);
                }
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(1 << 12) {
                std::thread::yield_now();
            }
            spin_loop();
        }
    }
}

fn from_another_thread(table: &Table) {
    let (mut ring, fd) = (Bare::new(256), handle());
    let mut poller = poller();
    let event = &events(1)[0];
    let signaller = Signaller { asked: Default::default(), is_over: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        scope.spawn(|| signaller.run(|which| if which == 0 { raise(&fd) } else { event.set() }));
        let figures = measure(vec![
            Subject::new("floor: bare ring, write there, read here", || {
                ring.read(fd.as_fd());
                signaller.ask(0);
                ring.wait(1)
            }),
            Subject::new("weft", || {
                wait_all(poller.handle());
                signaller.ask(1);
                poll_until(&mut poller, 1);
            }),
        ]);
        signaller.is_over.store(true, Ordering::Relaxed);
        table.group("event that is set by another thread", &figures, beside(6.5));
    });
}

fn wait_notified(poller: &mut Poller, notification: &Notification) {
    let operation = NOTIFICATION.take().expect("it has come back");
    let operation = operation.on_done(|done| NOTIFICATION.set(Some(done.operation)));
    poller.handle().submit(operation).expect("there is room");
    poll_dry(poller);
    notification.signal(WAKE_ALL);
    poll_until(poller, 1);
}

fn wait_reached(poller: &mut Poller, semaphore: &Semaphore, value: u64) {
    let mut operation = SEMAPHORE.take().expect("it has come back");
    operation.points[0].value = value;
    let operation = operation.on_done(|done| SEMAPHORE.set(Some(done.operation)));
    poller.handle().submit(operation).expect("there is room");
    poll_dry(poller);
    semaphore.signal(value).expect("nobody else signals it");
    poll_until(poller, 1);
}

/// What is waited for in software: no kernel is asked.
fn in_software(table: &Table) {
    let (mut notified, mut reached) = (poller(), poller());
    let notification = Arc::new(Notification::new());
    NOTIFICATION.set(Some(Operation::new(NotificationWait::new(Arc::clone(&notification)))));
    let semaphore = Arc::new(Semaphore::new(0));
    let point = Point { semaphore: Arc::clone(&semaphore), value: 1 };
    SEMAPHORE.set(Some(Operation::new(SemaphoreWait::all(vec![point]))));
    let mut value = 0;
    table.group(
        "waited for, then signalled",
        &measure_busy(vec![
            Subject::new("weft, notification", || wait_notified(&mut notified, &notification)),
            Subject::new("weft, semaphore", || {
                value += 1;
                wait_reached(&mut reached, &semaphore, value);
            }),
        ]),
        None,
    );
    let (notification, event) = (Notification::new(), Event::new().expect("handles are to be had"));
    table.group(
        "the signal alone",
        &measure_busy(vec![
            Subject::new("floor: write to an eventfd", {
                let fd = handle();
                move || raise(&fd)
            }),
            Subject::new("weft, event", || event.set()),
            Subject::new("weft, notification that nobody observes", || notification.signal(WAKE_ALL)),
        ]),
        None,
    );
}

/// An event of a pool, taken and given back.
fn pooled(table: &Table) {
    let pool = EventPool::new(1).expect("handles are to be had");
    let figures = measure_busy(vec![
        Subject::new("floor: eventfd, made and closed", handle),
        Subject::new("weft, event of a pool", || pool.acquire().expect("one is free")),
    ]);
    table.group("event, taken and given back", &figures, beside(0.022));
}

pub fn run(table: &Table) {
    pooled(table);
    one(table);
    for (count, reference_us) in [(4, None), (16, None), (64, Some(64.0))] {
        many(table, count, reference_us);
    }
    from_another_thread(table);
    in_software(table);
}
