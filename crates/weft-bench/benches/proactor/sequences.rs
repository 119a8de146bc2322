//! One operation after the other: linked in the kernel, in a sequence, with a function between the steps.

use crate::floor::Bare;
use crate::subject::{beside, poll_until, poller};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use weft_bench::{Subject, Table, measure_busy};
use weft_io::ops::{FutexWake, Nop, Sequence, Step};
use weft_io::{Done, Operation, Params, Poller};

thread_local! {
    static NOPS: RefCell<Vec<Operation<Nop>>> = const { RefCell::new(Vec::new()) };
    static SEQUENCE: RefCell<Option<Operation<Sequence>>> = const { RefCell::new(None) };
}

fn come_back(done: Done<Nop>) {
    done.result.expect("it does nothing");
    NOPS.with_borrow_mut(|pool| pool.push(done.operation));
}

/// One chain of everything in the pool; the kernel links it.
fn chain(poller: &mut Poller) {
    let mut batch = poller.handle().batch();
    NOPS.with_borrow_mut(|pool| {
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
    fn submit(handle: &weft_io::Handle, operation: Operation<Nop>) {
        let again = handle.clone();
        let operation = operation.on_done(move |done: Done<Nop>| {
            LEFT.set(LEFT.get() - 1);
            if LEFT.get() > 0 { submit(&again, done.operation) } else { come_back(done) }
        });
        handle.submit(operation).expect("there is room");
    }
    LEFT.set(count);
    let operation = NOPS.with_borrow_mut(|pool| pool.pop().expect("it has come back"));
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

fn group(table: &Table, count: usize, linked_us: Option<f64>, emulated_us: Option<f64>) {
    let fill = || {
        NOPS.with_borrow_mut(|pool| {
            pool.clear();
            pool.extend((0..count).map(|_| Operation::new(Nop)));
        });
    };
    let word = Arc::new(AtomicU32::new(0));
    let wake = || FutexWake { word: Arc::clone(&word), count: 1 };
    let mut plain = Some(Operation::new(Sequence::new(steps(count, || Nop))));
    let mut asked = Some(Operation::new(Sequence::with_advance(steps(count, || Nop), |_, _| Ok(()))));
    let mut kernel = Some(Operation::new(Sequence::new(steps(count, wake))));
    let mut asked_kernel = Some(Operation::new(Sequence::with_advance(steps(count, wake), |_, _| Ok(()))));
    let mut ring = Bare::new(256);
    let mut pollers: Vec<Poller> = (0..6).map(|_| poller()).collect();
    let [one, two, three, four, five, six] = pollers.as_mut_slice() else { unreachable!("six") };
    fill();
    table.group(
        &format!("{count} linked operations that do nothing"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, linked", || ring.chain(count)),
            Subject::new("weft, linked in the kernel", || chain(one)),
            Subject::new("weft, a sequence", || sequence(two, &mut plain, count)),
        ]),
        linked_us.and_then(beside),
    );
    fill();
    table.group(
        &format!("{count} operations, something asked between them"),
        &measure_busy(vec![
            Subject::new("floor: bare ring, one after the other", || {
                for _ in 0..count {
                    ring.nops(1);
                }
            }),
            Subject::new("weft, a sequence with a function", || sequence(four, &mut asked, count)),
            Subject::new("weft, each by the callback before", || by_callbacks(six, count)),
        ]),
        emulated_us.and_then(beside),
    );
    // Steps that the kernel takes: it is asked for each.
    table.group(
        &format!("{count} futex wakes that wake nobody, one after the other"),
        &measure_busy(vec![
            Subject::new("weft, a sequence", || sequence(three, &mut kernel, count)),
            Subject::new("weft, a sequence with a function", || sequence(five, &mut asked_kernel, count)),
        ]),
        beside(1.8 * count as f64),
    );
}

pub fn run(table: &Table) {
    let published = [(1, 1.7, 1.5), (8, 3.4, 5.3), (64, 22.0, 38.0)];
    for (count, linked_us, emulated_us) in published {
        group(table, count, Some(linked_us), Some(emulated_us));
    }
}
