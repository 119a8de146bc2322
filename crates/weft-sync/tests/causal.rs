//! Timelines that say what they are ordered after: frontiers, taint, links, primitives from outside.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use weft_sync::{
    Axis, Code, Entry, ExportTarget, Frontier, FrontierBuf, Link, Machine, Overflow, Result, Semaphore,
    Status,
};

fn axis(number: u64) -> Axis {
    Machine::LOCAL.host(number)
}

fn set(pairs: &[(u64, u64)]) -> FrontierBuf<32> {
    let entries: Vec<_> = pairs.iter().map(|&(number, epoch)| Entry::new(axis(number), epoch)).collect();
    FrontierBuf::from_entries(&entries).unwrap()
}

fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::with_frontier(initial, Semaphore::FRONTIER_CAPACITY))
}

fn pairs(it: &Semaphore) -> Vec<(u64, u64)> {
    let frontier = it.frontier::<255>().unwrap();
    frontier.entries().iter().map(|entry| (entry.axis.ordinal(), entry.epoch)).collect()
}

fn lost() -> Status {
    Status::new(Code::DataLoss, "the disk is gone")
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().code()
}

/// [causal 31] Frontiers are kept, their epochs merged to the maximum; an empty one is fine.
#[test]
fn signals_carry_frontiers() {
    let it = semaphore(0);
    assert_eq!(pairs(&it), []);
    it.signal_with(1, &set(&[(1, 3), (2, 7)])).unwrap();
    it.signal_with(2, &set(&[(1, 5), (2, 6), (3, 1)])).unwrap();
    it.signal_with(3, Frontier::EMPTY).unwrap();
    assert_eq!(pairs(&it), [(1, 5), (2, 7), (3, 1)]);
    assert_eq!(it.query().unwrap(), 3);
    assert_eq!(code(it.signal_with(3, &set(&[(9, 9)]))), Code::InvalidArgument);
    assert_eq!(pairs(&it).len(), 3, "a refused signal leaves nothing");
}

/// [causal 31] A frontier that does not fit leaves the old one; the signal succeeds and fires what waits.
#[test]
fn an_overflowing_signal_still_signals() {
    let it = Arc::new(Semaphore::with_frontier(0, 2));
    it.signal_untainted(1, &set(&[(1, 1), (2, 1)])).unwrap();
    let fired = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fired);
    it.on_reached(2, move |outcome| {
        outcome.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
    });
    it.signal_untainted(2, &set(&[(1, 9), (3, 9)])).unwrap();
    assert_eq!((it.query().unwrap(), pairs(&it)), (2, vec![(1, 1), (2, 1)]));
    assert_eq!((it.untainted_value(), fired.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(Semaphore::new(0).frontier_capacity(), 0);
    let bare = Semaphore::new(0);
    bare.signal_untainted(1, &set(&[(1, 1)])).unwrap();
    assert!(bare.is_value_tainted(1), "no room for what it depends on");
    bare.signal_untainted(2, Frontier::EMPTY).unwrap();
    assert!(!bare.is_value_tainted(2), "nothing to depend on");
}

/// [causal 32] The watermark: where it starts, what raises it, what only lowers it.
#[test]
fn the_watermark_follows_witnessed_signals() {
    let it = semaphore(5);
    assert_eq!(it.untainted_value(), 5);
    assert!(!it.is_value_tainted(5) && !it.is_value_tainted(0) && it.is_value_tainted(6));
    it.signal(6).unwrap();
    it.signal_with(7, &set(&[(1, 1)])).unwrap();
    assert_eq!(it.untainted_value(), 5, "nobody vouched");
    it.signal_untainted(8, &set(&[(1, 2)])).unwrap();
    assert_eq!(it.untainted_value(), 8, "the next witnessed signal heals what was below it");
    it.mark_tainted_above(10);
    assert_eq!(it.untainted_value(), 8, "never raises");
    it.mark_tainted_above(6);
    it.mark_tainted_above(7);
    assert_eq!(it.untainted_value(), 6);
    assert_eq!(it.complete_frontier::<16>(6).unwrap().len(), 1);
    assert!(it.complete_frontier::<16>(8).is_none() && it.complete_frontier::<0>(6).is_none());
    it.signal_untainted(u64::MAX, Frontier::EMPTY).unwrap();
    assert!(!it.is_value_tainted(u64::MAX));
}

/// [causal 33] Late and repeated observers publish without error, and everything fires once.
#[test]
fn publishing_is_idempotent() {
    let (it, fired) = (semaphore(0), Arc::new(AtomicUsize::new(0)));
    for value in [1, 2] {
        let fired = Arc::clone(&fired);
        it.on_reached(value, move |_| _ = fired.fetch_add(1, Ordering::Relaxed));
    }
    for _ in 0..3 {
        it.publish_untainted(2, &set(&[(1, 4)])).unwrap();
        it.publish_untainted(1, &set(&[(9, 9)])).unwrap();
    }
    assert_eq!(fired.load(Ordering::Relaxed), 2);
    assert_eq!((it.query().unwrap(), it.untainted_value(), pairs(&it)), (2, 2, vec![(1, 4)]));
    it.fail(lost());
    assert_eq!(code(it.publish_untainted(1, Frontier::EMPTY)), Code::DataLoss);
    assert_eq!(code(it.publish_untainted(9, Frontier::EMPTY)), Code::DataLoss);
    assert_eq!(code(it.signal_untainted(9, Frontier::EMPTY)), Code::DataLoss);
}

/// [causal 40] Context recorded at submission moves nothing and fires nothing.
#[test]
fn merging_without_a_signal() {
    let it = Arc::new(Semaphore::with_frontier(0, 2));
    it.on_reached(1, |_| unreachable!("nothing was reached")).cancel();
    let timepoint = it.on_reached(1, |_| unreachable!("nothing was reached"));
    it.merge_frontier(&set(&[(1, 1), (2, 2)])).unwrap();
    assert_eq!((it.query().unwrap(), it.untainted_value()), (0, 0));
    assert_eq!(it.merge_frontier(&set(&[(1, 9), (3, 1)])), Err(Overflow { needed: 3, capacity: 2 }));
    assert_eq!(pairs(&it), [(1, 1), (2, 2)]);
    assert!(timepoint.cancel());
}

/// [causal 41] A query with too little room says how much there is.
#[test]
fn a_truncated_query_counts() {
    let it = semaphore(0);
    it.signal_with(1, &set(&[(1, 1), (2, 2), (3, 3)])).unwrap();
    let mut out = [Entry::new(axis(0), 0); 4];
    assert_eq!(it.query_frontier(&mut []), 3);
    assert_eq!(it.query_frontier(&mut out[..2]), 3);
    assert_eq!(out[1], Entry::new(axis(2), 2));
    assert_eq!(out[2], Entry::new(axis(0), 0));
    assert_eq!(it.query_frontier(&mut out), 3);
    assert_eq!(out[2], Entry::new(axis(3), 3));
    assert!(it.frontier::<2>().is_err());
}

/// [causal 41] [causal 42] Readers beside signallers see sorted sets that some signal up to now has published.
#[test]
fn concurrent_queries_see_whole_frontiers() {
    const ROUNDS: u64 = if cfg!(tsan) { 300 } else { 3_000 };
    let (it, done) = (semaphore(0), AtomicBool::new(false));
    // The signal of value v publishes epoch v on one of eight axes.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let value = it.query().unwrap();
                    let mut out = [Entry::new(axis(0), 0); 16];
                    let count = it.query_frontier(&mut out);
                    let seen = Frontier::new(&out[..count]).expect("canonical at any time");
                    let latest = it.query().unwrap();
                    assert!(
                        seen.into_iter()
                            .all(|entry| entry.epoch <= latest && entry.epoch % 8 == entry.axis.ordinal())
                    );
                    // All but the last signal before the look have merged; that one may be about to.
                    let newest = seen.into_iter().map(|entry| entry.epoch).max().unwrap_or(0);
                    assert!(
                        newest + 1 >= value,
                        "value {value} without the frontier of {}",
                        value.saturating_sub(1)
                    );
                }
            });
        }
        for value in 1..=ROUNDS {
            it.signal_untainted(value, &set(&[(value % 8, value)])).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(pairs(&it).len(), 8);
}

/// [causal 36] Relay later, at once, and beyond the value; the handle takes it back.
#[test]
fn a_link_relays() {
    let [source, target] = [0, 0].map(semaphore);
    let link = source.link(2, &target, 10);
    source.signal(1).unwrap();
    assert_eq!(target.query().unwrap(), 0);
    source.signal(3).unwrap();
    assert_eq!(target.query().unwrap(), 10);
    assert!(!link.unlink() && !link.unlink());
    assert!(!source.link(3, &target, 11).unlink(), "at once");
    assert_eq!(target.query().unwrap(), 11);
    let link = source.link(9, &target, 12);
    assert!(link.unlink() && !link.unlink());
    source.signal(9).unwrap();
    assert_eq!(target.query().unwrap(), 11);
}

/// [causal 36] [causal 70] Failures go on, also those that came before, and through a whole chain.
#[test]
fn a_link_relays_failure() {
    let [first, second, third, fourth] = [0; 4].map(semaphore);
    first.link(1, &second, 1);
    second.link(1, &third, 1);
    first.fail(lost());
    for it in [&second, &third] {
        assert_eq!(code(it.query()), Code::DataLoss);
    }
    assert_eq!(third.failure().unwrap().message(), "the disk is gone");
    first.link(1, &fourth, 1);
    assert_eq!(code(fourth.query()), Code::DataLoss);
}

/// [causal 36] A chain of three, and several links leaving one source.
#[test]
fn links_chain_and_fan_out() {
    let all = [0; 5].map(semaphore);
    let [first, second, third, left, right] = &all;
    let _links: [Link; 4] =
        [first.link(1, second, 2), second.link(2, third, 3), first.link(1, left, 4), first.link(2, right, 5)];
    first.signal(1).unwrap();
    assert_eq!([second, third, left, right].map(|it| it.query().unwrap()), [2, 3, 4, 0]);
    first.signal(2).unwrap();
    assert_eq!(right.query().unwrap(), 5);
}

/// [causal 30] [causal 36] A source that goes away cancels its target; the handle of a link keeps it there.
#[test]
fn a_dropped_source_cancels_its_target() {
    let (source, target) = (semaphore(0), semaphore(0));
    let link = source.link(1, &target, 1);
    drop(source);
    assert_eq!(target.query().unwrap(), 0, "the link holds it");
    drop(link);
    assert_eq!(code(target.query()), Code::Cancelled);
}

/// [causal 37] A target that is already there was signalled twice: that is seen.
#[test]
fn a_link_to_a_passed_value_fails_its_target() {
    for already in [1, 5] {
        let (source, target) = (semaphore(0), semaphore(already));
        source.link(1, &target, 1);
        source.signal(1).unwrap();
        assert_eq!(code(target.query()), Code::InvalidArgument);
        assert_eq!(source.query().unwrap(), 1, "the source is as it was");
    }
}

/// [causal 37] What the source is ordered after goes along, and so does its doubt.
#[test]
fn a_link_forwards_frontier_and_taint() {
    let [first, second, third] = [0; 3].map(semaphore);
    first.link(1, &second, 1);
    second.link(1, &third, 1);
    third.merge_frontier(&set(&[(7, 7)])).unwrap();
    first.signal_untainted(1, &set(&[(1, 3)])).unwrap();
    assert_eq!((pairs(&second), pairs(&third)), (vec![(1, 3)], vec![(1, 3), (7, 7)]));
    assert!(!second.is_value_tainted(1) && !third.is_value_tainted(1));

    first.link(2, &second, 2);
    first.signal_with(2, &set(&[(2, 2)])).unwrap();
    assert_eq!(pairs(&second), [(1, 3), (2, 2)]);
    assert!(second.is_value_tainted(2));

    // At once: a value below the watermark carries no doubt, one above does.
    let [below, above] = [0; 2].map(semaphore);
    first.link(1, &below, 1);
    first.link(2, &above, 1);
    assert!(!below.is_value_tainted(1) && above.is_value_tainted(1));
    assert_eq!(pairs(&below), [(1, 3), (2, 2)]);

    let small = Arc::new(Semaphore::with_frontier(0, 1));
    first.link(1, &small, 1);
    assert!(small.query().unwrap() == 1 && small.is_value_tainted(1), "no room for all of it");
    assert_eq!(pairs(&small), []);
}

/// [causal 39] A chain of a hundred thousand links, signalled and dropped, on a small stack.
#[test]
fn a_long_chain_of_links_does_not_overflow_the_stack() {
    const LINKS: usize = 100_000;
    let body = || {
        for fails in [false, true] {
            let chain: Vec<_> = (0..=LINKS).map(|_| Arc::new(Semaphore::with_frontier(0, 1))).collect();
            for pair in chain.windows(2) {
                pair[0].link(1, &pair[1], 1);
            }
            let last = Arc::clone(&chain[LINKS]);
            if fails {
                chain[0].signal_untainted(1, &set(&[(1, 5)])).unwrap();
                assert_eq!((last.query().unwrap(), pairs(&last)), (1, vec![(1, 5)]));
                assert!(!last.is_value_tainted(1));
            } else {
                drop(chain);
                assert_eq!(code(last.query()), Code::Cancelled);
            }
        }
    };
    thread::Builder::new().stack_size(256 << 10).spawn(body).unwrap().join().unwrap();
}

/// [causal 35] A link into a semaphore that a callback watches: both run, outside every lock.
#[test]
fn links_and_callbacks_mix() {
    let [source, target, last] = [0; 3].map(semaphore);
    source.link(1, &target, 1);
    let next = Arc::clone(&last);
    target.on_reached(1, move |outcome| {
        outcome.unwrap();
        next.signal_untainted(1, &set(&[(4, 4)])).unwrap();
    });
    let back = Arc::downgrade(&source);
    last.on_reached(1, move |_| back.upgrade().unwrap().signal(2).unwrap());
    source.signal(1).unwrap();
    assert_eq!([&source, &target, &last].map(|it| it.query().unwrap()), [2, 1, 1]);
}

/// [causal 46] Values from outside: signalled tainted, refused visibly, failed, forgotten; many at once.
#[test]
fn imported_values() {
    let it = semaphore(0);
    it.signal_untainted(1, &set(&[(1, 1)])).unwrap();
    it.import(2).signalled();
    assert!(it.query().unwrap() == 2 && it.is_value_tainted(2) && !it.is_value_tainted(1));
    assert_eq!(pairs(&it), [(1, 1)]);
    it.import(2).signalled();
    assert_eq!(code(it.query()), Code::InvalidArgument);

    let broken = semaphore(0);
    broken.import(1).failed(Status::new(Code::DataLoss, "hung up"));
    assert_eq!(code(broken.query()), Code::DataLoss);

    let imports: Vec<_> = (1..=40).map(|_| semaphore(0)).map(|it| (Arc::clone(&it), it.import(3))).collect();
    let watched: Vec<_> = imports.iter().map(|(it, _)| Arc::clone(it)).collect();
    thread::scope(|scope| {
        for (_, import) in imports {
            scope.spawn(move || import.signalled());
        }
    });
    assert!(watched.iter().all(|it| it.query().unwrap() == 3));
}

/// A primitive that remembers what it was told.
#[derive(Clone, Default)]
struct Primitive(Arc<Mutex<Vec<Option<Code>>>>);

impl Primitive {
    fn told(&self) -> Vec<Option<Code>> {
        self.0.lock().unwrap().clone()
    }
}

impl ExportTarget for Primitive {
    fn reached(self) {
        self.0.lock().unwrap().push(None);
    }

    fn failed(self, status: Status) {
        self.0.lock().unwrap().push(Some(status.code()));
    }
}

/// [causal 46] Exported values: set once reached, at once if they are, never after a failure; each on its own.
#[test]
fn exported_values() {
    let it = semaphore(1);
    let primitives: [Primitive; 4] = Default::default();
    let [reached, later, withdrawn, never] = &primitives;
    it.export(1, reached.clone());
    it.export(2, later.clone());
    let timepoint = it.export(2, withdrawn.clone());
    it.export(9, never.clone());
    assert_eq!([reached, later].map(|it| it.told().len()), [1, 0]);
    assert!(timepoint.cancel());
    it.signal(3).unwrap();
    assert_eq!((later.told(), withdrawn.told()), (vec![None], vec![]));
    it.fail(lost());
    assert_eq!(never.told(), [Some(Code::DataLoss)]);
    let after = Primitive::default();
    it.export(1, after.clone());
    assert_eq!(after.told(), [Some(Code::DataLoss)], "already failed");
}
