//! Who waits for which epochs: the part of a tracker that is under its lock.
//!
//! What lives here: [`Waiters`]. What does not: the protocol with those who advance (`mod.rs`, `README.md`).
//!
//! A waiter needs several epochs and watches one of them: one that was not reached when it last looked. Only that
//! axis knows of it. When the axis comes to the epoch, the waiter looks for another one that is not reached and
//! watches that; if there is none, it is due. So an advance costs what it decides, not what waits elsewhere.

use super::table::{AxisSlot, Table, UNWATCHED};
use crate::Status;
use crate::atomic::Ordering;
use crate::callback::Callback;
use crate::frontier::Frontier;

/// The end of a list, or of the chain of free nodes.
const NONE: u32 = u32::MAX;

/// Epochs that a waiter keeps in place.
const NEEDS_INLINE: usize = 4;

/// One epoch of one registered axis.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    slot: u32,
    epoch: u64,
}

/// The epochs of one frontier, their axes looked up.
#[derive(Debug)]
pub(super) struct Needs(NeedsStorage);

#[derive(Debug)]
enum NeedsStorage {
    Few(u8, [Need; NEEDS_INLINE]),
    Many(Box<[Need]>),
}

impl Needs {
    /// `None` if an axis is not registered.
    pub(super) fn of(frontier: &Frontier, table: &Table) -> Option<Needs> {
        let mut needs = frontier
            .into_iter()
            .map(|entry| table.find(entry.axis).map(|slot| Need { slot, epoch: entry.epoch }));
        if frontier.len() > NEEDS_INLINE {
            return Some(Needs(NeedsStorage::Many(needs.collect::<Option<Box<[Need]>>>()?)));
        }
        let mut few = [Need::default(); NEEDS_INLINE];
        for place in few.iter_mut().take(frontier.len()) {
            *place = needs.next()??;
        }
        Some(Needs(NeedsStorage::Few(frontier.len() as u8, few)))
    }

    fn as_slice(&self) -> &[Need] {
        match &self.0 {
            NeedsStorage::Few(count, needs) => &needs[..usize::from(*count)],
            NeedsStorage::Many(needs) => needs,
        }
    }

    fn names(&self, slot: u32) -> bool {
        self.as_slice().iter().any(|need| need.slot == slot)
    }
}

#[derive(Debug)]
struct Node {
    generation: u32,
    /// Neighbours in the list of the watched axis, which rises by `epoch`; of a free node, `next` is the next free one.
    previous: u32,
    next: u32,
    /// What the waiter watches.
    watching: Need,
    /// `None` for a free node.
    waiter: Option<Waiter>,
}

struct Waiter {
    needs: Needs,
    callback: Callback,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.needs.fmt(f)
    }
}

/// The waiters of one axis, and why it failed.
#[derive(Clone, Debug)]
struct AxisWaiters {
    first: u32,
    last: u32,
    failure: Option<Status>,
}

/// Everything that is under the lock of a tracker.
#[derive(Debug)]
pub(super) struct Waiters {
    nodes: Vec<Node>,
    free: u32,
    axes: Box<[AxisWaiters]>,
    pub(super) registered: u32,
}

/// Names a waiter until it is dispatched or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    index: u32,
    generation: u32,
}

/// What became of a waiter that looked at its axes.
enum Look {
    /// It watches an axis.
    Watching(Need),
    /// Every epoch is reached.
    Satisfied,
}

impl Waiters {
    /// `None` if there is no memory for `slots` lists.
    pub(super) fn new(slots: usize) -> Option<Waiters> {
        let mut axes = Vec::new();
        axes.try_reserve_exact(slots).ok()?;
        axes.resize(slots, AxisWaiters { first: NONE, last: NONE, failure: None });
        Some(Waiters { nodes: Vec::new(), free: NONE, axes: axes.into_boxed_slice(), registered: 0 })
    }

    /// The failure of an axis among `needs`, if there is one.
    pub(super) fn failure_among(&self, needs: &Needs) -> Option<Status> {
        needs.as_slice().iter().find_map(|need| self.axes[need.slot as usize].failure.clone())
    }

    /// Keeps the first failure of an axis; `false` if it has one.
    pub(super) fn set_failure(&mut self, slot: u32, status: &Status) -> bool {
        let failure = &mut self.axes[slot as usize].failure;
        let is_first = failure.is_none();
        failure.get_or_insert_with(|| status.clone());
        is_first
    }

    /// Keeps a waiter, or gives its callback back if every epoch is reached.
    pub(super) fn insert(
        &mut self,
        table: &Table,
        needs: Needs,
        callback: Callback,
    ) -> std::result::Result<Name, Callback> {
        let Look::Watching(watching) = self.look(table, &needs) else { return Err(callback) };
        let index = self.take_node();
        let node = &mut self.nodes[index as usize];
        node.watching = watching;
        node.waiter = Some(Waiter { needs, callback });
        let generation = node.generation;
        self.link(index);
        Ok(Name { index, generation })
    }

    /// Takes a waiter out; `None` if it has left.
    pub(super) fn remove(&mut self, table: &Table, name: Name) -> Option<Callback> {
        let node = self.nodes.get(name.index as usize)?;
        if node.generation != name.generation || node.waiter.is_none() {
            return None;
        }
        let slot = node.watching.slot;
        self.unlink(name.index);
        self.announce(table, slot);
        self.release_node(name.index)
    }

    /// Takes out every waiter that watches `slot` and is satisfied by now, and moves on those that need another axis.
    pub(super) fn take_due(&mut self, table: &Table, slot: u32, mut each: impl FnMut(Callback)) -> usize {
        // Acquire: what was written before the advance that reached this epoch is visible to the callbacks.
        let reached = table.slot(slot).epoch.load(Ordering::Acquire);
        let mut count = 0;
        loop {
            let index = self.axes[slot as usize].first;
            let Some(node) = self.nodes.get(index as usize) else { break };
            if node.watching.epoch > reached {
                break;
            }
            self.unlink(index);
            let Some(waiter) = self.nodes[index as usize].waiter.take() else { break };
            match self.look(table, &waiter.needs) {
                Look::Watching(watching) => {
                    let node = &mut self.nodes[index as usize];
                    node.waiter = Some(waiter);
                    node.watching = watching;
                    self.link(index);
                }
                Look::Satisfied => {
                    self.release_node(index);
                    each(waiter.callback);
                    count += 1;
                }
            }
        }
        self.announce(table, slot);
        count
    }

    /// Takes out every waiter that names `slot`.
    pub(super) fn take_naming(&mut self, table: &Table, slot: u32, mut each: impl FnMut(Callback)) {
        for index in 0..self.nodes.len() as u32 {
            let node = &self.nodes[index as usize];
            if node.waiter.as_ref().is_some_and(|waiter| waiter.needs.names(slot)) {
                let watched = node.watching.slot;
                self.unlink(index);
                self.announce(table, watched);
                self.release_node(index).into_iter().for_each(&mut each);
            }
        }
    }

    /// Takes out every waiter.
    pub(super) fn take_all(&mut self, each: impl FnMut(Callback)) {
        let waiters = self.nodes.iter_mut().filter_map(|node| node.waiter.take());
        waiters.map(|waiter| waiter.callback).for_each(each);
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.waiter.is_none())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.nodes.iter().filter(|node| node.waiter.is_some()).count()
    }

    /// Finds an epoch that is not reached and announces that it is watched. From the last entry: any choice is right,
    /// and what sorts last (collectives, hosts, later devices) is mostly what comes last.
    fn look(&self, table: &Table, needs: &Needs) -> Look {
        for need in needs.as_slice().iter().rev() {
            let slot = table.slot(need.slot);
            // Acquire: the callback sees what came before each epoch that it needed.
            if slot.epoch.load(Ordering::Acquire) >= need.epoch {
                continue;
            }
            // Announce, then look: see the README. Relaxed: the read-modify-write publishes it.
            if need.epoch < slot.watched.load(Ordering::Relaxed) {
                slot.watched.store(need.epoch, Ordering::Relaxed);
            }
            // A read-modify-write, not a load: it takes a place among the advances. One that comes later acquires what
            // it releases and sees the announcement; one that came earlier is seen here.
            if slot.epoch.fetch_add(0, Ordering::AcqRel) < need.epoch {
                return Look::Watching(*need);
            }
            self.announce(table, need.slot);
        }
        Look::Satisfied
    }

    /// Says which epoch of an axis is watched first, or that none is.
    fn announce(&self, table: &Table, slot: u32) {
        let first = self.nodes.get(self.axes[slot as usize].first as usize);
        let epoch = first.map_or(UNWATCHED, |node| node.watching.epoch);
        let AxisSlot { watched, .. } = table.slot(slot);
        // Relaxed: raised only by whoever took the waiters below it; lowered in `look`, which publishes it.
        watched.store(epoch, Ordering::Relaxed);
    }

    fn take_node(&mut self) -> u32 {
        let index = self.free;
        if let Some(node) = self.nodes.get(index as usize) {
            self.free = node.next;
            return index;
        }
        self.nodes.push(Node {
            generation: 0,
            previous: NONE,
            next: NONE,
            watching: Need::default(),
            waiter: None,
        });
        (self.nodes.len() - 1) as u32
    }

    fn release_node(&mut self, index: u32) -> Option<Callback> {
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = index;
        node.waiter.take().map(|waiter| waiter.callback)
    }

    /// Puts a node into the list of the axis that it watches, behind those with a lower or equal epoch. From the
    /// end, because timelines are mostly waited for in rising order.
    fn link(&mut self, index: u32) {
        let Need { slot, epoch } = self.nodes[index as usize].watching;
        let mut previous = self.axes[slot as usize].last;
        while let Some(node) = self.nodes.get(previous as usize) {
            if node.watching.epoch <= epoch {
                break;
            }
            previous = node.previous;
        }
        let next = match self.nodes.get_mut(previous as usize) {
            Some(node) => std::mem::replace(&mut node.next, index),
            None => std::mem::replace(&mut self.axes[slot as usize].first, index),
        };
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.previous = index,
            None => self.axes[slot as usize].last = index,
        }
        let node = &mut self.nodes[index as usize];
        (node.previous, node.next) = (previous, next);
    }

    fn unlink(&mut self, index: u32) {
        let Node { previous, next, watching: Need { slot, .. }, .. } = self.nodes[index as usize];
        match self.nodes.get_mut(previous as usize) {
            Some(node) => node.next = next,
            None => self.axes[slot as usize].first = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.previous = previous,
            None => self.axes[slot as usize].last = previous,
        }
    }
}
