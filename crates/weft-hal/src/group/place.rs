//! Where a device stands: the names of its timelines, and who hears of them.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Axis, Machine, Result, Tracker, TrackerOptions};

use crate::pool::ParkedPools;

/// Bits of a free identity that tell the queues of one device apart.
const ALONE_QUEUE_BITS: u32 = 8;

/// A place for one device: in a group, or alone. Given to the device when it is opened.
#[derive(Clone, Debug)]
pub struct DevicePlace {
    tracker: Arc<Tracker>,
    parked_pools: Arc<ParkedPools>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In a group, with this index.
    Member(u8),
    /// In none, with this number, which no other device of the process has.
    Alone(u64),
}

impl DevicePlace {
    /// The place with this index in the group around `tracker`.
    pub(super) fn new(tracker: &Arc<Tracker>, parked_pools: &Arc<ParkedPools>, index: u8) -> DevicePlace {
        let (tracker, parked_pools) = (Arc::clone(tracker), Arc::clone(parked_pools));
        DevicePlace { tracker, parked_pools, kind: Kind::Member(index) }
    }

    /// A place outside of any group, for a device with so many queues: it has a tracker of its own, and names that no
    /// other device of this process has, so that nobody takes its epochs for those of somebody else.
    pub fn alone(queue_count: u32) -> Result<DevicePlace> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tracker =
            Tracker::new(TrackerOptions { axis_capacity: queue_count, ..TrackerOptions::default() })?;
        // Relaxed: it only has to be another number each time.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parked_pools = Arc::new(ParkedPools::default());
        Ok(DevicePlace { tracker: Arc::new(tracker), parked_pools, kind: Kind::Alone(number) })
    }

    /// Who hears of the epochs of the device.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// The pools to tell when an epoch of the device is reached.
    pub fn parked_pools(&self) -> &Arc<ParkedPools> {
        &self.parked_pools
    }

    /// The index in the group; `None` if there is no group.
    pub fn index(&self) -> Option<u8> {
        match self.kind {
            Kind::Member(index) => Some(index),
            Kind::Alone(_) => None,
        }
    }

    /// The timeline of queue 0.
    pub fn base_axis(&self) -> Axis {
        self.queue_axis(0)
    }

    /// The timeline of a queue.
    pub fn queue_axis(&self, queue: u8) -> Axis {
        let machine: Machine = self.tracker.machine();
        match self.kind {
            Kind::Member(index) => machine.queue(index, queue),
            Kind::Alone(number) => machine.epilogue(number << ALONE_QUEUE_BITS | u64::from(queue)),
        }
    }

    /// Whether the two are one place: same index, same tracker.
    pub(crate) fn is_member(&self, index: u8, tracker: &Arc<Tracker>) -> bool {
        self.kind == Kind::Member(index) && Arc::ptr_eq(&self.tracker, tracker)
    }
}
