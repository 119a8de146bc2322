//! Schedule against drain: three states in one word.

use super::model;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_task::model::{Activity, Schedule};

/// A process with items; `queued` stands for the list, with as little order of its own as a list may have.
struct Shared {
    activity: Activity,
    queued: AtomicU32,
    items: [AtomicU32; 2],
    /// What drains write without any order of their own: one at a time has to come from the word.
    seen: UnsafeCell<u32>,
}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared {
            activity: Activity::new(),
            queued: AtomicU32::new(0),
            items: [AtomicU32::new(0), AtomicU32::new(0)],
            seen: UnsafeCell::new(0),
        })
    }

    fn publish(&self, index: usize) {
        self.items[index].fetch_add(1, Ordering::Relaxed);
        if self.activity.schedule() == Schedule::Enqueue {
            assert_eq!(self.queued.fetch_add(1, Ordering::Relaxed), 0, "queued twice");
        }
    }

    /// A worker that pops the process if it is queued, and drains it until it rests.
    fn work(&self) {
        if self.queued.compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        self.activity.begin();
        loop {
            let found: u32 = self.items.iter().map(|item| item.swap(0, Ordering::Relaxed)).sum();
            self.seen.with_mut(|seen| {
                // SAFETY: a plain write, which the model checks: only the drainer is here.
                #[allow(unsafe_code, reason = "the model watches this cell")]
                unsafe {
                    *seen += found;
                }
            });
            if found > 0 {
                continue;
            }
            if self.activity.rest() {
                return;
            }
            self.activity.begin();
        }
    }

    fn seen(&self) -> u32 {
        self.seen.with(|seen| {
            // SAFETY: as in `work`.
            #[allow(unsafe_code, reason = "the model watches this cell")]
            unsafe {
                *seen
            }
        })
    }
}

/// Two schedulers and a worker that may come too early: in the end nothing is unseen that is not queued.
/// [task 25, 36]
#[test]
fn two_schedulers_and_a_drain_lose_nothing() {
    model(|| {
        let it = Shared::new();
        let others = [0, 1].map(|index| {
            let it = Arc::clone(&it);
            thread::spawn(move || it.publish(index))
        });
        it.work();
        for other in others {
            other.join().unwrap();
        }
        it.work();
        assert_eq!(it.seen(), 2);
        assert!(!it.activity.is_needed(), "rests with something unseen");
    });
}

/// Two workers after each other, handing the process over through the word alone.
#[test]
fn one_drain_sees_the_one_before() {
    model(|| {
        let it = Shared::new();
        it.publish(0);
        let worker = thread::spawn({
            let it = Arc::clone(&it);
            move || it.work()
        });
        it.publish(1);
        it.work();
        worker.join().unwrap();
        it.work();
        assert_eq!(it.seen(), 2);
    });
}

/// What a drain found and left to a sibling is seen by the sibling that takes it up.
#[test]
fn what_is_raised_from_inside_is_seen() {
    model(|| {
        let it = Shared::new();
        let other = thread::spawn({
            let it = Arc::clone(&it);
            move || {
                it.items[0].store(1, Ordering::Relaxed);
                it.activity.raise();
            }
        });
        if it.activity.is_needed() {
            it.activity.begin();
            assert_eq!(it.items[0].load(Ordering::Relaxed), 1);
        }
        other.join().unwrap();
    });
}
