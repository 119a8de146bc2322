//! Operations that do nothing, so many at once.

use crate::floor::Bare;
use crate::peers;
use crate::subject::{poll_until, poller};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};
use weft_bench::{Subject, Table, measure_busy};
use weft_io::{Done, Handle, Operation, Poller, ops::Nop};

/// What an operation may cost beside the kernel's share.
const OVERHEAD_NS: f64 = 60.0;

thread_local! {
    /// Operations that are not under way.
    static POOL: RefCell<Vec<Operation<Nop>>> = const { RefCell::new(Vec::new()) };
}

fn come_back(done: Done<Nop>) {
    done.result.expect("it does nothing");
    POOL.with_borrow_mut(|pool| pool.push(done.operation));
}

/// As many operations as are in the pool, in one batch.
fn as_batch(poller: &mut Poller) {
    let count = POOL.with_borrow_mut(|pool| {
        let mut batch = poller.handle().batch();
        for operation in pool.drain(..) {
            batch.add(operation.on_done(come_back)).expect("there is room");
        }
        let count = batch.len();
        batch.submit().expect("the proactor is there");
        count
    });
    poll_until(poller, count);
}

/// The same one by one.
fn one_by_one(poller: &mut Poller) {
    let count = POOL.with_borrow_mut(|pool| {
        let handle = poller.handle();
        let submit = |operation: Operation<Nop>| handle.submit(operation.on_done(come_back));
        pool.drain(..).map(submit).filter(|outcome| outcome.is_ok()).count()
    });
    poll_until(poller, count);
}

/// Every callback submits its own operation again.
fn again(poller: &mut Poller) {
    thread_local!(static LEFT: Cell<usize> = const { Cell::new(0) });
    fn submit(handle: Handle, operation: Operation<Nop>) {
        let again = handle.clone();
        handle.submit(operation.on_done(move |done| come_again(again, done))).expect("there is room");
    }
    fn come_again(handle: Handle, done: Done<Nop>) {
        match LEFT.get() {
            0 => come_back(done),
            left => {
                LEFT.set(left - 1);
                submit(handle, done.operation);
            }
        }
    }
    let operations = POOL.with_borrow_mut(std::mem::take);
    let count = operations.len();
    LEFT.set(count * (TURNS - 1));
    operations.into_iter().for_each(|operation| submit(poller.handle().clone(), operation));
    poll_until(poller, count * TURNS);
}

/// As many futures as are in the pool, awaited together.
fn as_futures(poller: &mut Poller) {
    let handle = poller.handle().clone();
    let futures =
        POOL.with_borrow_mut(|pool| pool.drain(..).map(|operation| handle.run(operation)).collect());
    for done in poller.block_on(peers::all(futures)).expect("the kernel polls") {
        come_back(done);
    }
}

/// One operation, awaited again and again.
fn in_turn(poller: &mut Poller, count: usize) {
    let handle = poller.handle().clone();
    let mut operation = POOL.with_borrow_mut(|pool| pool.pop().expect("it has come back"));
    let outcome = poller.block_on(async {
        for _ in 0..count {
            let done = handle.run(operation).await;
            done.result.expect("it does nothing");
            operation = done.operation;
        }
        POOL.with_borrow_mut(|pool| pool.push(operation));
    });
    outcome.expect("the kernel polls");
}

/// How often each operation goes round in [`again`].
const TURNS: usize = 16;

/// What the kernel has of a batch at once.
fn group(table: &Table, count: usize) {
    POOL.with_borrow_mut(|pool| {
        pool.clear();
        pool.extend((0..count).map(|_| Operation::new(Nop)));
    });
    let mut bare = Bare::new(256);
    let (mut batch, mut single, mut circle, mut future) = (poller(), poller(), poller(), poller());
    let (compio, tokio) = (peers::compio(), peers::tokio_uring());
    let per_call = count as u64;
    let figures = measure_busy(vec![
        Subject::new("floor: bare ring", || bare.nops(count)).per_call(per_call),
        Subject::new("weft, one batch, callbacks", || as_batch(&mut batch)).per_call(per_call),
        Subject::new("weft, submitted one by one", || one_by_one(&mut single)).per_call(per_call),
        Subject::new("weft, callbacks submit again", || again(&mut circle)).per_call(per_call * TURNS as u64),
        Subject::new("weft, futures", || as_futures(&mut future)).per_call(per_call),
        Subject::new("compio, futures", || peers::compio_nops(&compio, count)).per_call(per_call),
        Subject::new("tokio-uring, futures", || peers::tokio_nops(&tokio, count)).per_call(per_call),
    ]);
    let floor = figures[0].median_ns;
    let mark = if count == 1 { floor * 1.5 } else { floor + OVERHEAD_NS };
    table.group(&format!("operations that do nothing, {count} at once"), &figures, Some(mark));
}

/// Futures of one after the other.
fn awaited(table: &Table) {
    POOL.with_borrow_mut(|pool| {
        pool.clear();
        pool.push(Operation::new(Nop));
    });
    let (mut bare, mut poller) = (Bare::new(256), poller());
    let (compio, tokio) = (peers::compio(), peers::tokio_uring());
    const COUNT: usize = 64;
    let figures = measure_busy(vec![
        Subject::new("floor: bare ring", || bare.nops(1)),
        Subject::new("weft, futures", || in_turn(&mut poller, COUNT)).per_call(COUNT as u64),
        Subject::new("compio, futures", || peers::compio_in_turn(&compio, COUNT)).per_call(COUNT as u64),
        Subject::new("tokio-uring, futures", || peers::tokio_in_turn(&tokio, COUNT)).per_call(COUNT as u64),
    ]);
    let mark = figures[0].median_ns * 1.5;
    table.group("operations that do nothing, awaited one after the other", &figures, Some(mark));
}

/// How one operation alone is spread.
fn percentiles() {
    let mut poller = poller();
    POOL.with_borrow_mut(|pool| {
        pool.clear();
        pool.push(Operation::new(Nop));
    });
    let mut times: Vec<Duration> = (0..100_000)
        .map(|_| {
            let start = Instant::now();
            one_by_one(&mut poller);
            start.elapsed()
        })
        .collect();
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize];
    println!(
        "one that does nothing, 100,000 times: min {:?}, p50 {:?}, p99 {:?}, p99.9 {:?}",
        times[0],
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

pub fn run(table: &Table) {
    for count in [1, 8, 32, 128, 256] {
        group(table, count);
    }
    awaited(table);
    percentiles();
}
