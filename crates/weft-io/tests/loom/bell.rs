//! Lists, the doorbell, and the sleep: nothing is missed, one wake is enough, and what was done before is visible.

use super::{Plain, model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_io::model::{Doorbell, IndexList, NONE, bell};

/// A doorbell, and a sleep: `wakes` stands for the eventfd.
#[derive(Default)]
pub(crate) struct Bell {
    doorbell: Doorbell,
    wakes: AtomicU32,
}

impl Bell {
    fn owe(&self, is_wake_owed: bool) {
        if is_wake_owed {
            // Relaxed: the eventfd orders nothing.
            self.wakes.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn ring(&self, what: u32) {
        self.owe(self.doorbell.ring(what));
    }

    /// For what was pushed on a list.
    pub(crate) fn ring_after(&self, what: u32) {
        self.owe(self.doorbell.ring_after(what));
    }

    /// A poll thread, which falls asleep whenever it can, until `take_in` has seen enough.
    pub(crate) fn poll_until(&self, mut take_in: impl FnMut(u32) -> bool) {
        while !take_in(self.doorbell.answer()) {
            if self.doorbell.sleep() {
                // A wake that never comes makes the model give up here.
                while self.wakes.swap(0, Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
            }
        }
    }

    /// When everybody is gone: a wake for each sleep, at most.
    pub(crate) fn assert_no_wake_is_left(&self) {
        assert_eq!(self.wakes.load(Ordering::Relaxed), 0);
    }
}

/// What producers and the poll thread share.
struct World {
    bell: Bell,
    pending: IndexList,
    published: [Plain<u32>; 2],
}

impl World {
    fn new() -> Arc<World> {
        let (bell, pending, published) = (Bell::default(), IndexList::new(2), Default::default());
        Arc::new(World { bell, pending, published })
    }

    fn publish(&self, slot: u32) -> bool {
        self.published[slot as usize].set(slot + 1);
        if self.pending.push(slot).is_err() {
            return false;
        }
        self.bell.ring_after(bell::PENDING);
        true
    }

    fn drained(&self, mut slot: u32) -> u32 {
        let mut found = 0;
        while slot != NONE {
            found += 1;
            assert_eq!(self.published[slot as usize].get(), slot + 1);
            slot = self.pending.after(slot);
        }
        found
    }
}

/// Two producers, of whom one may leave its ring out, and a poll thread that falls asleep whenever it can: it sees both.
/// [async-backends 24] [async-backends 25]
#[test]
fn a_ring_that_is_left_out_is_not_missed() {
    model(|| {
        let world = World::new();
        let producers = [0, 1].map(|slot| {
            let world = Arc::clone(&world);
            thread::spawn(move || assert!(world.publish(slot)))
        });
        let mut found = 0;
        world.bell.poll_until(|bits| {
            if bits & bell::PENDING != 0 {
                found += world.drained(world.pending.drain());
            }
            found == 2
        });
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        world.bell.assert_no_wake_is_left();
    });
}

/// Two threads ring without a list: the poll thread, asleep or not, sees what was done before each ring.
#[test]
fn what_comes_before_a_ring_is_seen() {
    const REASONS: [u32; 2] = [bell::WAKE, bell::MESSAGE];
    model(|| {
        let world = World::new();
        let threads = [0, 1].map(|index| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.published[index].set(1);
                world.bell.ring(REASONS[index]);
            })
        });
        let mut told = 0;
        world.bell.poll_until(|bits| {
            told |= bits;
            for (published, reason) in world.published.iter().zip(REASONS) {
                assert!(bits & reason == 0 || published.get() == 1);
            }
            told == REASONS[0] | REASONS[1]
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.bell.assert_no_wake_is_left();
    });
}

/// Wakes that nobody sleeps through cost nothing; one that finds a sleeper wakes it once.
#[test]
fn wakes_of_two_threads_are_one() {
    model(|| {
        let world = World::new();
        let threads = [0, 1].map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.bell.ring(bell::WAKE))
        });
        world.bell.poll_until(|bits| bits & bell::WAKE != 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.bell.assert_no_wake_is_left();
    });
}

/// A list that is closed while somebody pushes: each push is in what the closing took, or is refused.
/// [async-backends 234]
#[test]
fn a_closed_list_loses_nothing() {
    model(|| {
        let world = World::new();
        let producers = [0, 1].map(|slot| {
            let world = Arc::clone(&world);
            thread::spawn(move || u32::from(world.publish(slot)))
        });
        let early = world.drained(world.pending.drain());
        let last = world.drained(world.pending.close());
        assert_eq!(world.pending.drain(), NONE, "and a drain does not open it again");
        let accepted: u32 = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
        assert_eq!(accepted, early + last);
        assert_eq!(world.pending.close(), NONE);
    });
}
