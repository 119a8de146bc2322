//! Polls that find nothing to do, callbacks of every poll, cancels.

use crate::floor::{Bare, raise};
use crate::subject::{poll_dry, poll_until, poller};
use rustix::event::{EventfdFlags, eventfd};
use std::cell::RefCell;
use std::os::fd::AsFd;
use weft_bench::{Subject, Table, measure_busy};
use weft_io::ops::EventWait;
use weft_io::{Done, Event, Operation, Poller, Progressed};
use weft_sync::Deadline;

thread_local! {
    static WAIT: RefCell<Option<Operation<EventWait>>> = const { RefCell::new(None) };
}

fn polls(table: &Table) {
    let (mut quiet, mut woken, mut one, mut sixteen) = (poller(), poller(), poller(), poller());
    one.progress().register(|| Progressed::Keep(0));
    for _ in 0..16 {
        sixteen.progress().register(|| Progressed::Keep(0));
    }
    let (mut looked, mut called) = (Bare::new(256), Bare::new(256));
    let handle = woken.handle().clone();
    handle.wake();
    table.group(
        "a poll that does not wait and finds nothing",
        &measure_busy(vec![
            Subject::new("floor: bare ring, one look at its queues", || looked.peek()),
            Subject::new("floor: bare ring, one call", || called.wait(0)),
            Subject::new("weft", || poll_dry(&mut quiet)),
            Subject::new("weft, one progress callback", || poll_dry(&mut one)),
            Subject::new("weft, sixteen progress callbacks", || poll_dry(&mut sixteen)),
            Subject::new("weft, woken before", || {
                handle.wake();
                woken.poll(Deadline::NEVER)
            }),
        ]),
        None,
    );
    let handle = quiet.handle().clone();
    handle.wake();
    table.group(
        "a wake when there was one before",
        &measure_busy(vec![Subject::new("weft", || handle.wake())]),
        None,
    );
}

fn cancelled(poller: &mut Poller) {
    let operation = WAIT.take().expect("it has come back");
    let operation = operation.on_done(|done: Done<EventWait>| WAIT.set(Some(done.operation)));
    let ticket = poller.handle().submit(operation).expect("there is room");
    poll_dry(poller);
    poller.handle().cancel(ticket).expect("its own");
    poll_until(poller, 1);
}

fn cancels(table: &Table) {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("handles are to be had");
    let mut ring = Bare::new(256);
    let mut poller = poller();
    let event = Event::new().expect("handles are to be had");
    WAIT.set(Some(Operation::new(EventWait { event })));
    table.group(
        "a wait in the kernel, begun and cancelled",
        &measure_busy(vec![
            Subject::new("floor: bare ring", || {
                ring.begin_read(fd.as_fd());
                ring.cancel_read()
            }),
            Subject::new("weft", || cancelled(&mut poller)),
        ]),
        None,
    );
    raise(&fd);
}

pub fn run(table: &Table) {
    polls(table);
    cancels(table);
}
