//! One operation after the other: linked in the kernel, in a sequence, with a function between the steps.
//!
//! 1. What stands beside a floor or a published figure reaches the kernel, each operation of it: wakes of a futex that
//!    nobody waits on. The kernel does a little more for one than for a NOP, of which the published figures are.
//! 2. A sequence is never linked in the kernel, a chain is; the marks of both are those of linked sequences.
//! 3. Steps that do nothing end without the kernel, so they stand alone, without a mark.

use crate::floor::Bare;
use crate::subject::{beside, poll_until, poller};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use weft_bench::{Subject, Table, measure_busy};
use weft_io::ops::{FutexWake, Nop, Sequence, Step};
use weft_io::{Done, Operation, Params, Poller};

thread_local! {
    static WAKES: RefCell<Vec<Operation<FutexWake>>> = const { RefCell::new(Vec::new()) };
    static SEQUENCE: RefCell<Option<Operation<Sequence>>> = const { RefCell::new(None) };
}

fn come_back(done: Done<FutexWake>) {
    done.result.expect("a wake of nobody is a wake");
    WAKES.with_borrow_mut(|pool| pool.push(done.operation));
}

/// One chain of everything in the pool; the kernel links it.
fn chain(poller: &mut Poller) {
    let mut batch = poller.handle().batch();
    WAKES.with_borrow_mut(|pool| {
        for operation in pool.drain(..) {
            let operation = operation.on_done(come_back);
            let outcome = if batch.is_empty() { batch.add(operation) } else { batch.then(operation) };
            outcome.expect("there is room");
        }
    });
    let count = batch.len();
    batch.submit().expect("the proactor is there");
    poll_until(poller, count);
}

/// Each submitted by the callback of the one before: the ring is entered for each.
fn by_callbacks(poller: &mut Poller, count: usize) {
    thread_local!(static LEFT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
    fn submit(handle: &weft_io::Handle, operation: Operation<FutexWake>) {
        let again = handle.clone();
        let operation = operation.on_done(move |done: Done<FutexWake>| {
            LEFT.set(LEFT.get() - 1);
            if LEFT.get() > 0 { submit(&again, done.operation) } else { come_back(done) }
        });
        handle.submit(operation).expect("there is room");
    }
    LEFT.set(count);
    let operation = WAKES.with_borrow_mut(|pool| pool.pop().expect("it has come back"));
    submit(poller.handle(), operation);
    poll_until(poller, count);
}

fn sequence(poller: &mut Poller, kept: &mut Option<Operation<Sequence>>, count: usize) {
    let operation = kept.take().expect("it has come back");
    let operation = operation.on_done(|done: Done<Sequence>| {
        done.result.expect("nothing fails");
        SEQUENCE.set(Some(done.operation));
    });
    poller.handle().submit(operation).expect("there is room");
    poll_until(poller, count);
    *kept = SEQUENCE.take();
}

/// So many steps of one kind.
fn steps<P: Params>(count: usize, step: impl Fn() -> P) -> Vec<Step> {
    (0..count).map(|_| Step::new::<P>(Operation::new(step()))).collect()
}

fn group(table: &Table, count: usize, linked_us: f64, in_turn_us: f64) {
    let word = Arc::new(AtomicU32::new(0));
    let wake = || FutexWake { word: Arc::clone(&word), count: 1 };
    WAKES.with_borrow_mut(|pool| {
        pool.clear();
        pool.extend((0..count).map(|_| Operation::new(wake())));
    });
    let mut plain = Some(Operation::new(Sequence::new(steps(count, wake))));
    let mut asked = Some(Operation::new(Sequence::with_advance(steps(count, wake), |_, _| Ok(()))));
    let mut idle = Some(Operation::new(Sequence::new(steps(count, || Nop))));
    let mut asked_idle = Some(Operation::new(Sequence::with_advance(steps(count, || Nop), |_, _| Ok(()))));
    let mut ring = Bare::new(256);
    let mut pollers: Vec<Poller> = (0..6).map(|_| poller()).collect();
    let [one, two, three, four, five, six] = pollers.as_mut_slice() else { unreachable!("six") };
    table.group(
        &format!("{count} futex wakes, each behind the one before"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, linked", || ring.linked_wakes(&word, count)),
            Subject::new("weft, a chain, linked in the kernel", || chain(one)),
            Subject::new("weft, a sequence, linked by the proactor", || sequence(two, &mut plain, count)),
        ]),
        beside(linked_us),
    );
    table.group(
        &format!("{count} futex wakes, something asked between them"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, one after the other", || ring.wakes_in_turn(&word, count)),
            Subject::new("weft, a sequence with a function", || sequence(three, &mut asked, count)),
            Subject::new("weft, each by the callback before", || by_callbacks(four, count)),
        ]),
        beside(in_turn_us),
    );
    table.group(
        &format!("{count} steps that do nothing, without the kernel"),
        &measure_busy(vec![
            Subject::new("a sequence", || sequence(five, &mut idle, count)),
            Subject::new("a sequence with a function", || sequence(six, &mut asked_idle, count)),
        ]),
        None,
    );
}

pub fn run(table: &Table) {
    let published = [(1, 1.7, 1.5), (8, 3.4, 5.3), (64, 22.0, 38.0)];
    for (count, linked_us, in_turn_us) in published {
        group(table, count, linked_us, in_turn_us);
    }
}
