//! Who waits for which epochs: the part of a tracker that is under its lock.
//!
//! What lives here: [`Waiters`]. What does not: the protocol with those who advance (`mod.rs`, `README.md`).
//!
//! A waiter needs several epochs and watches one of them: one that was not reached when it last looked. Only that
//! axis knows of it. When the axis comes to the epoch, the waiter looks for another one that is not reached and
//! watches that; if there is none, it is due. So an advance costs what it decides, not what waits elsewhere.

use super::table::{AxisSlot, Table, UNWATCHED};
use crate::atomic::Ordering;
use crate::callback::Callback;
use crate::frontier::Frontier;
use crate::{Axis, Status};
use std::num::NonZeroU64;

/// The end of a list, or of the chain of free nodes.
const NONE: u32 = u32::MAX;

/// Epochs that a waiter keeps in place.
const NEEDS_INLINE: usize = 4;

/// Room beside a place, in epochs, that is kept for the next waiter in that place.
const NEEDS_KEPT: usize = 32;

/// One epoch of one registered axis.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    slot: u32,
    epoch: u64,
}

/// The epochs of one frontier, their axes looked up: in place while they are few.
#[derive(Default)]
struct Needs {
    count: u8,
    few: [Need; NEEDS_INLINE],
    /// All of them, if they are more than fit in place; else empty.
    many: Vec<Need>,
}

impl Needs {
    /// Looks the axes of a frontier up; the one that is not registered, if there is one.
    #[inline]
    fn look_up(&mut self, frontier: &Frontier, table: &Table) -> Result<(), Axis> {
        if frontier.len() > NEEDS_INLINE {
            return self.look_many_up(frontier, table);
        }
        self.count = frontier.len() as u8;
        for (place, entry) in self.few.iter_mut().zip(frontier) {
            place.slot = table.find(entry.axis).ok_or(entry.axis)?;
            place.epoch = entry.epoch;
        }
        Ok(())
    }

    #[cold]
    fn look_many_up(&mut self, frontier: &Frontier, table: &Table) -> Result<(), Axis> {
        self.many.reserve_exact(frontier.len());
        for entry in frontier {
            let slot = table.find(entry.axis).ok_or(entry.axis)?;
            self.many.push(Need { slot, epoch: entry.epoch });
        }
        Ok(())
    }

    #[inline]
    fn as_slice(&self) -> &[Need] {
        if self.many.is_empty() { &self.few[..usize::from(self.count)] } else { &self.many }
    }

    fn names(&self, slot: u32) -> bool {
        self.as_slice().iter().any(|need| need.slot == slot)
    }

    /// For the next waiter, which finds room for as many as most have.
    #[inline]
    fn clear(&mut self) {
        self.many.clear();
        if self.many.capacity() > NEEDS_KEPT {
            self.many = Vec::new();
        }
    }
}

struct Node {
    generation: u32,
    /// Neighbours in the list of the watched axis, which rises by `epoch`; of a free node, `next` is the next free one.
    previous: u32,
    next: u32,
    /// What the waiter watches.
    watching: Need,
    needs: Needs,
    /// Empty for a free node.
    callback: Callback,
}

/// The waiters of one axis, and why it failed.
#[derive(Clone, Debug)]
struct AxisWaiters {
    first: u32,
    last: u32,
    failure: Option<Status>,
}

/// Everything that is under the lock of a tracker.
pub(super) struct Waiters {
    nodes: Vec<Node>,
    free: u32,
    axes: Box<[AxisWaiters]>,
    pub(super) registered: u32,
}

/// Names a waiter until it is dispatched or cancelled: place and generation in one word, plus one, so that it travels in
/// a register, also inside an option. (No place has the greatest index, so the sum does not saturate.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(NonZeroU64);

impl Name {
    #[inline]
    fn new(index: u32, generation: u32) -> Name {
        Name(NonZeroU64::MIN.saturating_add(u64::from(generation) << 32 | u64::from(index)))
    }

    #[inline]
    fn index(self) -> u32 {
        (self.0.get() - 1) as u32
    }

    #[inline]
    fn generation(self) -> u32 {
        ((self.0.get() - 1) >> 32) as u32
    }
}

/// What became of a waiter that was to be kept.
pub(super) enum Insertion {
    /// It is kept; its callback has yet to be put into place.
    Kept(Name),
    /// Every epoch is reached.
    Satisfied,
    /// An axis has failed.
    Failed(Status),
    /// An axis is not registered.
    Unknown(Axis),
}

impl Waiters {
    /// `None` if there is no memory for `slots` lists.
    pub(super) fn new(slots: usize) -> Option<Waiters> {
        let mut axes = Vec::new();
        axes.try_reserve_exact(slots).ok()?;
        axes.resize(slots, AxisWaiters { first: NONE, last: NONE, failure: None });
        Some(Waiters { nodes: Vec::new(), free: NONE, axes: axes.into_boxed_slice(), registered: 0 })
    }

    /// Keeps the first failure of an axis; `false` if it has one.
    pub(super) fn set_failure(&mut self, slot: u32, status: &Status) -> bool {
        let failure = &mut self.axes[slot as usize].failure;
        let is_first = failure.is_none();
        failure.get_or_insert_with(|| status.clone());
        is_first
    }

    /// Keeps a waiter whose callback the caller then puts into place, under the same lock, unless the answer is known.
    /// (In two steps so that the closure goes straight to its place, and with the axes looked up in place: moving
    /// either there through a record costs as much as the rest.)
    pub(super) fn insert(&mut self, table: &Table, frontier: &Frontier) -> Insertion {
        let index = self.take_node();
        let node = &mut self.nodes[index as usize];
        let looked_up = node.needs.look_up(frontier, table);
        let generation = node.generation;
        match self.decide(table, index, looked_up) {
            Ok(watching) => {
                self.nodes[index as usize].watching = watching;
                self.link(index);
                Insertion::Kept(Name::new(index, generation))
            }
            Err(known) => {
                self.release_node(index);
                known
            }
        }
    }

    /// What the waiter in place `index` watches, or how it is answered.
    #[inline]
    fn decide(&self, table: &Table, index: u32, looked_up: Result<(), Axis>) -> Result<Need, Insertion> {
        looked_up.map_err(Insertion::Unknown)?;
        let needs = self.nodes[index as usize].needs.as_slice();
        let mut failures = needs.iter().filter_map(|need| self.axes[need.slot as usize].failure.as_ref());
        match failures.next() {
            Some(status) => Err(Insertion::Failed(status.clone())),
            None => self.watch(table, needs).ok_or(Insertion::Satisfied),
        }
    }

    /// The place for the callback of a waiter that was kept just now.
    #[inline]
    pub(super) fn callback_mut(&mut self, name: Name) -> &mut Callback {
        &mut self.nodes[name.index() as usize].callback
    }

    /// Takes a waiter out; `None` if it has left.
    pub(super) fn remove(&mut self, table: &Table, name: Name) -> Option<Callback> {
        let index = name.index();
        let node = self.nodes.get(index as usize)?;
        if node.generation != name.generation() || node.callback.is_empty() {
            return None;
        }
        let slot = node.watching.slot;
        self.unlink(index);
        self.announce(table, slot);
        Some(self.release_node(index).take())
    }

    /// Takes out every waiter that watches `slot` and is satisfied by now, and moves on those that need another axis.
    pub(super) fn take_due(
        &mut self,
        table: &Table,
        slot: u32,
        mut each: impl FnMut(&mut Callback),
    ) -> usize {
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
            if let Some(watching) = self.watch_another(table, index) {
                self.nodes[index as usize].watching = watching;
                self.link(index);
            } else {
                each(self.release_node(index));
                count += 1;
            }
        }
        self.announce(table, slot);
        count
    }

    /// Takes out every waiter that names `slot`.
    pub(super) fn take_naming(&mut self, table: &Table, slot: u32, mut each: impl FnMut(&mut Callback)) {
        for index in 0..self.nodes.len() as u32 {
            let node = &self.nodes[index as usize];
            if !node.callback.is_empty() && node.needs.names(slot) {
                let watched = node.watching.slot;
                self.unlink(index);
                self.announce(table, watched);
                each(self.release_node(index));
            }
        }
    }

    /// Takes out every waiter.
    pub(super) fn take_all(&mut self, each: impl FnMut(&mut Callback)) {
        let waiting = self.nodes.iter_mut().filter(|node| !node.callback.is_empty());
        waiting.map(|node| &mut node.callback).for_each(each);
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.callback.is_empty())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.nodes.iter().filter(|node| !node.callback.is_empty()).count()
    }

    /// What a waiter whose watched epoch was reached watches next; `None` if it is satisfied.
    #[inline]
    fn watch_another(&self, table: &Table, index: u32) -> Option<Need> {
        match self.nodes[index as usize].needs.as_slice() {
            [_] => None,
            needs => self.watch(table, needs),
        }
    }

    /// Finds an epoch that is not reached and announces that it is watched; `None` if all are reached. From the last
    /// entry: any choice is right, and what sorts last (collectives, hosts, later devices) is mostly what comes last.
    fn watch(&self, table: &Table, needs: &[Need]) -> Option<Need> {
        for need in needs.iter().rev() {
            let slot = table.slot(need.slot);
            if slot.watched.load(Ordering::Relaxed) <= need.epoch {
                // Announced already, by whoever watches that epoch or a lower one, and published by the first to do
                // so: every advance that the look below misses comes after that (rule 4 of the README).
                if slot.epoch.load(Ordering::Acquire) < need.epoch {
                    return Some(*need);
                }
                continue;
            }
            // Acquire: the callback sees what came before each epoch that it needed.
            if slot.epoch.load(Ordering::Acquire) >= need.epoch {
                continue;
            }
            // Announce, then look. Relaxed: the read-modify-write publishes it.
            slot.watched.store(need.epoch, Ordering::Relaxed);
            // A read-modify-write, not a load: it takes a place among the advances. One that comes later acquires what
            // it releases and sees the announcement; one that came earlier is seen here.
            if slot.epoch.fetch_add(0, Ordering::AcqRel) < need.epoch {
                return Some(*need);
            }
            self.announce(table, need.slot);
        }
        None
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
            needs: Needs::default(),
            callback: Callback::EMPTY,
        });
        (self.nodes.len() - 1) as u32
    }

    /// Frees a node. The callback is still in its place: whoever frees the node takes it away.
    #[inline]
    fn release_node(&mut self, index: u32) -> &mut Callback {
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = index;
        node.needs.clear();
        &mut node.callback
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
