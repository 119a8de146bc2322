//! Frontiers, taint and links beside signals and failures.

use super::{lost, model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::{Code, CompletionCounter, Entry, Frontier, FrontierBuf, Machine, Semaphore};

fn past(epoch: u64) -> FrontierBuf<1> {
    FrontierBuf::single(Machine::LOCAL.host(1), epoch)
}

fn semaphore() -> Arc<Semaphore> {
    Arc::new(Semaphore::with_frontier(0, 2))
}

fn epoch_of(it: &Semaphore) -> u64 {
    let mut out = [Entry::new(Machine::LOCAL.host(1), 0)];
    if it.query_frontier(&mut out) == 0 { 0 } else { out[0].epoch }
}

/// [causal 41] [causal 42] A value may be seen before its frontier, never after a later one; a watermark never
/// before its frontier.
#[test]
fn signals_against_a_reader() {
    model(|| {
        let it = semaphore();
        let signaller = thread::spawn({
            let it = Arc::clone(&it);
            move || {
                it.signal_untainted(1, &past(10)).unwrap();
                it.signal_untainted(2, &past(20)).unwrap();
            }
        });
        let untainted = it.untainted_value();
        assert!(it.query().unwrap() >= untainted, "the watermark came before the value");
        assert!(epoch_of(&it) >= untainted * 10, "the watermark came before the frontier");
        let value = it.query().unwrap();
        let epoch = epoch_of(&it);
        assert!(epoch + 10 >= value * 10, "all but the newest signal have merged");
        if let Some(complete) = it.complete_frontier::<1>(1) {
            assert!(complete.covers(Machine::LOCAL.host(1), 10));
        }
        signaller.join().unwrap();
        assert_eq!((epoch_of(&it), it.untainted_value()), (20, 2));
    });
}

/// Two racing signals with frontiers merge both, and the watermark ends at the later one that succeeded.
#[test]
fn racing_signals_merge_both() {
    model(|| {
        let it = semaphore();
        let other = thread::spawn({
            let it = Arc::clone(&it);
            move || it.signal_untainted(1, &FrontierBuf::single(Machine::LOCAL.host(2), 5)).is_ok()
        });
        it.signal_untainted(2, &past(7)).unwrap();
        let both = other.join().unwrap();
        assert_eq!(it.frontier::<2>().unwrap().len(), 1 + usize::from(both));
        assert_eq!(it.untainted_value(), 2);
    });
}

/// [causal 36] [causal 37] A link that is made while its source moves or fails ends its target once, and takes along
/// no claim that the source did not make.
#[test]
fn link_against_signal() {
    model(|| {
        let (source, target) = (semaphore(), semaphore());
        let signaller = thread::spawn({
            let source = Arc::clone(&source);
            move || source.signal_untainted(1, &past(3)).unwrap()
        });
        source.link(1, &target, 4);
        signaller.join().unwrap();
        assert_eq!(target.query().unwrap(), 4);
        assert!(
            target.is_value_tainted(4) || epoch_of(&target) == 3,
            "untainted, and the frontier is missing"
        );
    });
}

/// [causal 36] Unlink against signal: moved or taken back, as it was told. Against failure: failed or taken back.
#[test]
fn unlink_against_signal_and_failure() {
    for fails in [false, true] {
        model(move || {
            let (source, target) = (semaphore(), semaphore());
            let link = source.link(1, &target, 4);
            let other = thread::spawn({
                let source = Arc::clone(&source);
                move || {
                    if fails {
                        source.fail(lost());
                    } else {
                        source.signal(1).unwrap();
                    }
                }
            });
            let taken_back = link.unlink();
            other.join().unwrap();
            match (taken_back, fails) {
                (true, _) => assert_eq!(target.query().unwrap(), 0),
                (false, false) => assert_eq!(target.query().unwrap(), 4),
                (false, true) => assert_eq!(target.query().unwrap_err().code(), Code::DataLoss),
            }
        });
    }
}

/// [causal 33] Two observers publish one value: neither fails, and it is signalled once.
#[test]
fn racing_publishers() {
    model(|| {
        let it = semaphore();
        let other = thread::spawn({
            let it = Arc::clone(&it);
            move || it.publish_untainted(1, &past(1)).unwrap()
        });
        it.publish_untainted(1, &past(1)).unwrap();
        assert!(it.is_reached(1).unwrap());
        other.join().unwrap();
        assert_eq!((epoch_of(&it), it.untainted_value()), (1, 1));
        it.publish_untainted(1, Frontier::EMPTY).unwrap();
    });
}

/// [causal 71] Work that ends out of order: whoever learns of epoch N sees the effects of all N completions.
#[test]
fn completion_epochs_publish_all_before() {
    model(|| {
        let work = Arc::new(([AtomicU32::new(0), AtomicU32::new(0)], CompletionCounter::new(), semaphore()));
        let workers = [0, 1].map(|index| {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                let (effects, completions, done) = &*work;
                effects[index].store(1, Ordering::Relaxed);
                let epoch = completions.complete();
                done.publish_untainted(epoch, &past(epoch)).unwrap();
            })
        });
        let (effects, completions, done) = &*work;
        let seen =
            |count: u64| effects.iter().filter(|it| it.load(Ordering::Relaxed) == 1).count() as u64 >= count;
        let epoch = done.query().unwrap();
        assert!(seen(epoch), "told of epoch {epoch} by another");
        let epoch = completions.completed();
        assert!(seen(epoch), "read epoch {epoch}");
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!((completions.completed(), done.query().unwrap()), (2, 2));
    });
}
