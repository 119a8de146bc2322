//! The list of the pending, the doorbell, and the sleep: nothing is missed, and one wake is enough.

use super::model;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_io::model::{Doorbell, IndexList, NONE, bell};

/// What producers and the poll thread share; `wakes` stands for the eventfd.
struct World {
    doorbell: Doorbell,
    pending: IndexList,
    wakes: AtomicU32,
    /// Written before a push without any order of its own: that has to come from the list.
    published: [UnsafeCell<u32>; 2],
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            doorbell: Doorbell::new(),
            pending: IndexList::new(2),
            wakes: AtomicU32::new(0),
            published: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    fn publish(&self, slot: u32) -> bool {
        self.published[slot as usize].with_mut(|cell| {
            // SAFETY: a plain write, which the model checks: nobody else may be here before the push.
            #[allow(unsafe_code, reason = "the model watches this cell")]
            unsafe {
                *cell = slot + 1;
            }
        });
        if self.pending.push(slot).is_err() {
            return false;
        }
        if self.doorbell.ring_after(bell::PENDING) {
            self.wakes.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn drained(&self, mut slot: u32) -> u32 {
        let mut found = 0;
        while slot != NONE {
            found += 1;
            let value = self.published[slot as usize].with(|cell| {
                // SAFETY: as in `publish`.
                #[allow(unsafe_code, reason = "the model watches this cell")]
                unsafe {
                    *cell
                }
            });
            assert_eq!(value, slot + 1);
            slot = self.pending.after(slot);
        }
        found
    }

    /// A poll thread: answers, looks, sleeps, until it has seen so many.
    fn poll_until(&self, wanted: u32) -> u32 {
        let (mut found, mut sleeps) = (0, 0);
        loop {
            if self.doorbell.answer() & bell::PENDING != 0 {
                found += self.drained(self.pending.drain());
            }
            if found == wanted {
                return sleeps;
            }
            if self.doorbell.sleep() {
                sleeps += 1;
                // A wake that never comes makes the model give up here.
                while self.wakes.swap(0, Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
            }
        }
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
        world.poll_until(2);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        // A wake for each sleep, at most.
        assert_eq!(world.wakes.load(Ordering::Relaxed), 0);
    });
}

/// Wakes that nobody sleeps through cost nothing; one that finds a sleeper wakes it once.
#[test]
fn wakes_of_two_threads_are_one() {
    model(|| {
        let world = World::new();
        let threads = [0, 1].map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                if world.doorbell.ring(bell::WAKE) {
                    world.wakes.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let mut is_woken = world.doorbell.answer() & bell::WAKE != 0;
        if !is_woken && world.doorbell.sleep() {
            while world.wakes.swap(0, Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            is_woken = world.doorbell.answer() & bell::WAKE != 0;
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        is_woken |= world.doorbell.answer() & bell::WAKE != 0;
        assert!(is_woken);
        assert_eq!(world.wakes.load(Ordering::Relaxed), 0, "none is left over");
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
