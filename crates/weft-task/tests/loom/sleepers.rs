//! Sleep against wake.

use super::{model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::Deadline;
use weft_task::model::{Dozed, Sleepers};

struct Shared {
    work: AtomicU32,
    /// That something was published which nobody has taken up.
    sign: AtomicU32,
    sleepers: Sleepers,
}

fn shared(seats: usize) -> Arc<Shared> {
    let sleepers = Sleepers::new(seats, 0);
    Arc::new(Shared { work: AtomicU32::new(0), sign: AtomicU32::new(0), sleepers })
}

impl Shared {
    fn publish(&self) {
        // Relaxed on both sides: the fences have to do it, or the claim.
        self.work.fetch_add(1, Ordering::Relaxed);
        self.sleepers.wake(1);
    }

    /// Takes one piece of work; sleeps as long as there is none.
    fn take(&self, seat: usize) {
        loop {
            let found = self.work.load(Ordering::Relaxed);
            if found > 0 {
                let taken =
                    self.work.compare_exchange(found, found - 1, Ordering::Relaxed, Ordering::Relaxed);
                if taken.is_ok() {
                    return;
                }
                continue;
            }
            let look = || self.work.load(Ordering::Relaxed) > 0;
            let doze = self.sleepers.doze(seat, Deadline::NEVER, look, |_, _| ());
            assert!(doze.end != Dozed::TimedOut);
        }
    }
}

/// The sleeper shows itself before its last look, the waker publishes before it looks for sleepers.
#[test]
fn a_sleeper_is_woken_or_has_seen_the_work() {
    model(|| {
        let it = shared(1);
        let sleeper = thread::spawn({
            let it = Arc::clone(&it);
            move || it.take(0)
        });
        it.publish();
        sleeper.join().unwrap();
    });
}

/// Two pieces of work, two sleepers: no wake goes twice to the same sleeper while the other one sleeps on.
#[test]
fn two_wakes_reach_two_sleepers() {
    wide_model(|| {
        let it = shared(2);
        let sleepers = [0, 1].map(|seat| {
            let it = Arc::clone(&it);
            thread::spawn(move || it.take(seat))
        });
        it.publish();
        it.publish();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// A ring without work, as for an end: it is not slept through, wherever it comes.
#[test]
fn a_ring_is_never_slept_through() {
    model(|| {
        let it = shared(1);
        let sleeper = thread::spawn({
            let it = Arc::clone(&it);
            move || {
                while it.work.load(Ordering::Relaxed) == 0 {
                    let look = || it.work.load(Ordering::Relaxed) > 0;
                    let _ = it.sleepers.doze(0, Deadline::NEVER, look, |_, _| ());
                }
            }
        });
        it.work.store(1, Ordering::Relaxed);
        it.sleepers.post(0);
        sleeper.join().unwrap();
    });
}

/// More are wanted than the waker wakes itself: the woken one wakes the other, though it looks for credits only once.
/// Both sleep already, or are about to and have nothing to find.
#[test]
fn the_woken_wakes_the_other() {
    wide_model(|| {
        let it = shared(2);
        let sleepers = [0, 1].map(|seat| {
            let it = Arc::clone(&it);
            thread::spawn(move || {
                let look = || it.work.load(Ordering::Relaxed) > 0;
                let _ = it.sleepers.doze(seat, Deadline::NEVER, look, |_, _| ());
                if it.sleepers.has_credits() {
                    it.sleepers.relay();
                }
            })
        });
        it.work.store(1, Ordering::Relaxed);
        it.sleepers.wake(2);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

impl Shared {
    /// Publishes work for as many, of which the sign is gone once the first of them has come.
    fn publish_wide(&self, count: u32) {
        self.work.store(1, Ordering::Relaxed);
        self.sign.store(1, Ordering::Relaxed);
        self.sleepers.wake(count);
    }

    /// Looks and sleeps until there is such work, as a seat does.
    fn come(&self, seat: usize) {
        loop {
            if self.sleepers.has_credits() {
                self.sleepers.relay();
            }
            let shortfalls = self.sleepers.shortfalls();
            if self.work.load(Ordering::Relaxed) > 0 {
                self.sign.store(0, Ordering::Relaxed);
                return;
            }
            let look = || self.sign.load(Ordering::Relaxed) > 0 || self.sleepers.shortfalls() != shortfalls;
            let _ = self.sleepers.doze(seat, Deadline::NEVER, look, |_, _| ());
        }
    }
}

/// Both are wanted, and each of them may have looked in vain before: the other one comes too.
#[test]
fn all_who_are_wanted_come() {
    model(|| {
        let it = shared(2);
        let sleepers = [0, 1].map(|seat| {
            let it = Arc::clone(&it);
            thread::spawn(move || it.come(seat))
        });
        it.publish_wide(2);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// One shows itself for a moment and is counted on: it gets a credit, which is relayed when it is up again, has looked in
/// vain, and is about to sleep.
#[test]
fn who_was_counted_on_comes() {
    model(|| {
        let it = shared(2);
        let sleepers = [0, 1].map(|seat| {
            let it = Arc::clone(&it);
            thread::spawn(move || {
                if seat == 1 {
                    let _ = it.sleepers.doze(seat, Deadline::NEVER, || true, |_, _| ());
                }
                it.come(seat);
            })
        });
        it.publish_wide(2);
        // The one who publishes is the first one to come.
        it.sign.store(0, Ordering::Relaxed);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// Three are wanted while two sleep: the first of those is woken and gets credits, the second one gets up by itself. Whoever
/// finds nobody for one credit wakes for all of them that it drops: two are about to sleep.
#[test]
fn dropped_credits_are_made_up_for() {
    wide_model(|| {
        let it = shared(4);
        let others = [2, 3].map(|seat| {
            let it = Arc::clone(&it);
            thread::spawn(move || {
                let shortfalls = it.sleepers.shortfalls();
                if it.work.load(Ordering::Relaxed) == 0 {
                    let look = || it.sleepers.shortfalls() != shortfalls;
                    let _ = it.sleepers.doze(seat, Deadline::NEVER, look, |_, _| ());
                }
                if it.sleepers.has_credits() {
                    it.sleepers.relay();
                }
            })
        });
        let second = || {
            it.publish_wide(3);
            true
        };
        let first = || {
            let _ = it.sleepers.doze(1, Deadline::NEVER, second, |_, _| ());
            true
        };
        let _ = it.sleepers.doze(0, Deadline::NEVER, first, |_, _| ());
        it.sleepers.relay();
        for other in others {
            other.join().unwrap();
        }
    });
}
