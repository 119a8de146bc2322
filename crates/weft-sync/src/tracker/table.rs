//! Which axes are known and how far each has come: found by any thread without a lock, also while axes are added.
//!
//! What lives here: [`Table`], [`AxisSlot`]. What does not: who waits (`waiters.rs`).
//!
//! Open addressing over a power of two of slots, at most half of them taken, so a probe ends at an empty one. A slot
//! takes its axis once, by a release store after everything else in it was written, and keeps it for ever: a probe
//! that finds the axis has acquired the slot, and no probe can miss an axis whose registration it came after.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::{Axis, Semaphore};
use std::sync::{Arc, OnceLock};

/// The axis has failed; its status is with the waiters. Written under their lock.
pub(super) const FAILED: u32 = 1;
/// The bridge is no longer used.
pub(super) const DETACHED: u32 = 2;

/// `watched` of an axis that nobody watches.
pub(super) const UNWATCHED: u64 = u64::MAX;

/// One axis. Everything that an advance touches lies in one line of the cache, and nothing of another axis does.
///
/// * `key`     – 0 until the axis is registered; then the axis, for ever.
/// * `epoch`   – any thread, by read-modify-write only, never backward.
/// * `watched` – the lowest epoch that a waiter of this axis waits for; written under the lock of the waiters.
/// * `flags`   – written under the lock of the waiters.
/// * `bridge`  – written before the key.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(align(64)))]
pub(super) struct AxisSlot {
    key: AtomicU64,
    pub(super) epoch: AtomicU64,
    pub(super) watched: AtomicU64,
    pub(super) flags: AtomicU32,
    bridge: OnceLock<Arc<Semaphore>>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<AxisSlot>() == 64);

impl AxisSlot {
    fn empty() -> AxisSlot {
        AxisSlot {
            key: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            watched: AtomicU64::new(UNWATCHED),
            flags: AtomicU32::new(0),
            bridge: OnceLock::new(),
        }
    }

    /// The semaphore that follows this axis, unless it was detached.
    #[inline]
    pub(super) fn bridge(&self) -> Option<&Arc<Semaphore>> {
        let bridge = self.bridge.get()?;
        (self.flags.load(Ordering::Relaxed) & DETACHED == 0).then_some(bridge)
    }

    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        // Relaxed: the status is under the lock, where whoever sees this goes next.
        self.flags.load(Ordering::Relaxed) & FAILED != 0
    }
}

/// The axes of one tracker.
#[derive(Debug)]
pub(super) struct Table {
    slots: Box<[AxisSlot]>,
}

impl Table {
    /// A table for `capacity` axes; `None` if there is no memory for it.
    pub(super) fn with_capacity(capacity: u32) -> Option<Table> {
        let count = (u64::from(capacity) * 2).max(1).next_power_of_two();
        let count = usize::try_from(count).ok()?;
        let mut slots = Vec::new();
        slots.try_reserve_exact(count).ok()?;
        slots.resize_with(count, AxisSlot::empty);
        Some(Table { slots: slots.into_boxed_slice() })
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn slot(&self, index: u32) -> &AxisSlot {
        &self.slots[index as usize]
    }

    /// The slot of `axis`, if it is registered.
    #[inline]
    pub(super) fn find(&self, axis: Axis) -> Option<u32> {
        if axis.raw() == 0 {
            return None;
        }
        self.probe(axis).ok()
    }

    /// The slot of `axis`, or the empty one in which its probe ends.
    #[inline]
    fn probe(&self, axis: Axis) -> Result<u32, u32> {
        let mask = self.slots.len() - 1;
        let mut index = hash(axis) as usize & mask;
        loop {
            // Acquire pairs with the Release in `insert`.
            let key = self.slots[index].key.load(Ordering::Acquire);
            if key == axis.raw() {
                return Ok(index as u32);
            }
            if key == 0 {
                return Err(index as u32);
            }
            index = (index + 1) & mask;
        }
    }

    /// Gives `axis`, which is not registered, a slot. By one thread at a time, which has made sure of the room.
    pub(super) fn insert(&self, axis: Axis, bridge: Option<Arc<Semaphore>>) {
        let Err(index) = self.probe(axis) else { return };
        let slot = self.slot(index);
        if let Some(bridge) = bridge {
            // An empty slot has no bridge yet, so this sets it.
            let _ = slot.bridge.set(bridge);
        }
        // Pairs with the Acquire in `probe`: whoever finds the axis finds its bridge.
        slot.key.store(axis.raw(), Ordering::Release);
    }
}

/// Spreads axes, most of whose bits are the same, over all 64 bits: both halves of a full product, folded. Each bit
/// of the axis reaches the middle of the product, and the fold brings the middle to both ends.
#[inline]
fn hash(axis: Axis) -> u64 {
    /// Odd, without pattern: the fractional part of the golden ratio.
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let product = u128::from(axis.raw() ^ FACTOR.rotate_left(32)) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Machine;

    /// The longest probe of any of `axes` in a table made for as many.
    fn longest_probe(axes: &[Axis]) -> usize {
        let table = Table::with_capacity(axes.len() as u32).unwrap();
        for &axis in axes {
            table.insert(axis, None);
        }
        let mask = table.len() - 1;
        let probe = |&axis: &Axis| {
            let home = hash(axis) as usize & mask;
            let found = table.find(axis).expect("registered") as usize;
            (found + table.len() - home) & mask
        };
        axes.iter().map(probe).max().unwrap() + 1
    }

    /// [causal 62] Axes as topologies have them: many devices, many queues, machines, channels, contexts.
    #[test]
    fn realistic_axes_have_short_probes() {
        let machine = |index| Machine { session: 1, index };
        let devices = (0..=255).map(|device| machine(0).queue(device, 0)).collect::<Vec<_>>();
        let queues = (0..=255).map(|queue| machine(3).queue(1, queue)).collect::<Vec<_>>();
        let grid = (0..256).map(|it| machine(0).queue((it / 16) as u8, (it % 16) as u8)).collect::<Vec<_>>();
        let machines = (0..=255).map(|index| machine(index).queue(0, 0)).collect::<Vec<_>>();
        let channels = (0..256).map(|channel| machine(0).collective(channel)).collect::<Vec<_>>();
        let contexts = (0..256).map(|context| machine(0).host(context * 64)).collect::<Vec<_>>();
        let mixed = (0..8)
            .flat_map(|m| (0..8).map(move |device| machine(m).queue(device, 0)))
            .chain((0..64).map(|channel| machine(0).collective(channel)))
            .chain((0..64).map(|context| machine(0).host(context)))
            .chain((0..64).map(|id| machine(0).epilogue(id)))
            .collect::<Vec<_>>();
        let all = [devices, queues, grid, machines, channels, contexts, mixed];
        let longest = all.map(|axes| longest_probe(&axes));
        assert!(longest.iter().all(|&probe| probe <= 10), "{longest:?}");
    }

    #[test]
    fn a_full_table_still_ends_its_probes() {
        let table = Table::with_capacity(0).unwrap();
        assert_eq!(table.find(Machine::LOCAL.host(1)), None);
        assert_eq!(table.find(Axis::from_raw(0)), None);
    }
}
