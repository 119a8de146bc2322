//! Slots: a cancel reaches the use that it names or none, and a slot is free once.

use super::{Plain, model};
use loom::thread;
use std::sync::Arc;
use weft_io::model::{IndexList, Key, NONE, Table};

struct World {
    table: Table,
    cancels: IndexList,
    /// What the owner of a slot may do with it, from `acquire` to `release`.
    owned: Box<[Plain<u32>]>,
    /// The slot's link in the list of cancels: of whoever cancelled, until the poll thread has read it.
    links: Box<[Plain<u32>]>,
}

impl World {
    fn new(slots: u32) -> Arc<World> {
        let [owned, links] = [(); 2].map(|()| (0..slots).map(|_| Plain::new(0)).collect());
        Arc::new(World { table: Table::new(slots), cancels: IndexList::new(slots), owned, links })
    }

    fn use_slot(&self, index: u32) {
        let owned = &self.owned[index as usize];
        owned.set(owned.get() + 1);
    }

    fn acquire(&self) -> Option<Key> {
        let key = self.table.acquire()?;
        self.use_slot(key.index);
        Some(key)
    }

    fn release(&self, index: u32) {
        self.use_slot(index);
        self.table.release(index);
    }

    fn cancel(&self, key: Key) {
        if self.table.cancel(key) {
            self.links[key.index as usize].set(1);
            self.cancels.push(key.index).unwrap();
        }
    }

    /// The poll thread looks at the cancels; how many found their operation.
    fn look(&self) -> u32 {
        let mut found = 0;
        let mut slot = self.cancels.drain();
        while slot != NONE {
            let after = self.cancels.after(slot);
            assert_eq!(self.links[slot as usize].get(), 1);
            found += u32::from(self.table.see_cancel(slot));
            slot = after;
        }
        found
    }

    /// Takes every slot; panics if one is free twice, or none any more.
    fn assert_all_free(&self) {
        let mut keys: Vec<u32> = std::iter::from_fn(|| self.acquire()).map(|key| key.index).collect();
        keys.sort_unstable();
        let all: Vec<u32> = (0..self.table.count()).collect();
        assert_eq!(keys, all);
    }
}

/// A cancel against the end of its operation, while somebody takes the slot again.
/// [async 96] [async-backends 76]
#[test]
fn a_cancel_reaches_its_own_use_or_none() {
    model(|| {
        let world = World::new(1);
        let key = world.acquire().unwrap();
        let canceller = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.cancel(key))
        };
        let submitter = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.acquire())
        };
        world.look();
        world.release(key.index);
        world.look();
        let next = submitter.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(world.look(), 0, "the first use is over, and the second was not cancelled");
        if let Some(next) = next {
            assert!(next != key && !world.table.is_cancelled(next.index));
            world.release(next.index);
        }
        world.assert_all_free();
    });
}

/// A batch that is given up: its slot was never shown to the poll thread, but its ticket was cancelled. The poll thread
/// finds it among the cancels while the submitter frees it: one of them frees, after the other is through with it, and
/// both may use it again.
#[test]
fn a_slot_that_was_never_shown_is_freed_once() {
    model(|| {
        let world = World::new(1);
        let key = world.acquire().unwrap();
        let canceller = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.cancel(key))
        };
        let submitter = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.release(key.index);
                if let Some(next) = world.acquire() {
                    world.cancel(next);
                    world.release(next.index);
                }
            })
        };
        world.look();
        if let Some(next) = world.acquire() {
            world.release(next.index);
        }
        canceller.join().unwrap();
        submitter.join().unwrap();
        world.look();
        world.assert_all_free();
    });
}

/// Two threads cancel the same use: it is told once, and the slot is free once.
/// [async 81] [async-backends 67]
#[test]
fn two_cancels_are_one() {
    model(|| {
        let world = World::new(1);
        let key = world.acquire().unwrap();
        let cancellers = [0, 1].map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.cancel(key))
        });
        let mut told = world.look();
        cancellers.into_iter().for_each(|canceller| canceller.join().unwrap());
        told += world.look();
        assert_eq!(told, 1);
        world.release(key.index);
        assert_eq!(world.look(), 0);
        world.assert_all_free();
    });
}

/// The poll thread cancels a use by itself while somebody else does.
#[test]
fn a_cancel_of_the_poll_thread_meets_another() {
    model(|| {
        let world = World::new(1);
        let key = world.acquire().unwrap();
        let canceller = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.cancel(key))
        };
        world.table.cancel_here(key.index);
        assert!(world.table.is_cancelled(key.index));
        world.look();
        world.release(key.index);
        canceller.join().unwrap();
        world.look();
        world.assert_all_free();
    });
}

/// The poll thread takes some slots for itself and gives all back, while two threads take some and give one back: none is
/// had twice, none is lost.
#[test]
fn slots_taken_and_freed_together_are_had_once() {
    model(|| {
        let world = World::new(128);
        // All but four of them are out, so that the poll thread takes up to two of those together.
        let mut out: Vec<Key> = (0..124).map(|_| world.acquire().unwrap()).collect();
        let takers = [false, true].map(|comes_back| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let key = world.acquire();
                if comes_back && let Some(key) = key {
                    world.release(key.index);
                    return None;
                }
                key
            })
        });
        let key = world.table.acquire_here().unwrap();
        world.use_slot(key.index);
        world.use_slot(key.index);
        world.table.release_here(key.index);
        world.table.share();
        out.extend(takers.into_iter().filter_map(|taker| taker.join().unwrap()));
        let mut taken: Vec<u32> = out.iter().map(|key| key.index).collect();
        taken.extend(std::iter::from_fn(|| world.acquire()).map(|key| key.index));
        taken.sort_unstable();
        assert_eq!(taken, (0..128).collect::<Vec<_>>());
    });
}

/// The poll thread takes for itself what another thread has just freed, and sees all that was done with it before.
#[test]
fn slots_taken_together_come_with_their_past() {
    model(|| {
        let world = World::new(128);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let key = world.acquire().unwrap();
                world.release(key.index);
            })
        };
        let key = world.table.acquire_here().unwrap();
        world.use_slot(key.index);
        world.use_slot(key.index);
        world.table.release_here(key.index);
        world.table.share();
        other.join().unwrap();
        world.assert_all_free();
    });
}
