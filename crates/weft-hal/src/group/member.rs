//! What a device knows of its group: joining, leaving, and what it answers only as a member.

use std::sync::{Arc, Weak};

use weft_sync::atomic::lock;
use weft_sync::{Result, bail};

use super::Membership;
use crate::device::Device;
use crate::memory::QueueAffinity;
use crate::pool::{HostSlabs, PoolSource};

/// Groups.
impl Device {
    /// What the device knows of the group that it is in; `None` if it is in none.
    pub fn membership(&self) -> Option<Membership> {
        lock(&self.membership).upgrade().map(|membership| Membership::clone(&membership))
    }

    /// What pools are made of whose memory goes from queue to queue of the group: slabs of this device, and somebody who
    /// knows how far all queues are. FAILED_PRECONDITION outside of a group, INVALID_ARGUMENT for queues that do not exist.
    pub fn queue_pool_source(&self, affinity: QueueAffinity) -> Result<PoolSource> {
        affinity.select(self.queue_count())?;
        let Some(membership) = self.membership() else {
            bail!(FailedPrecondition, "{} is in no group: nobody knows the epochs of all", self.identifier());
        };
        let slabs = HostSlabs::new(Arc::clone(self.allocator().backend()));
        let tracker = membership.tracker;
        Ok(PoolSource::new(slabs).with_epoch_query(move |axis, epoch| tracker.query_epoch(axis, epoch)))
    }

    /// Enters a group; what it was in before comes back. FAILED_PRECONDITION if it is in another one, or its timelines
    /// were named for another place.
    pub(super) fn join(&self, membership: &Arc<Membership>) -> Result<Weak<Membership>> {
        if let Some(place) = self.place()
            && !place.is_member(membership.index, &membership.tracker)
        {
            bail!(
                FailedPrecondition,
                "its queues signal as {}: it was opened for another place",
                place.base_axis()
            );
        }
        let mut current = lock(&self.membership);
        if let Some(current) = current.upgrade()
            && !Arc::ptr_eq(&current, membership)
        {
            bail!(FailedPrecondition, "it is device {} of another group", current.index);
        }
        Ok(std::mem::replace(&mut *current, Arc::downgrade(membership)))
    }

    /// Undoes [`Device::join`].
    pub(super) fn restore_membership(&self, before: Weak<Membership>) {
        *lock(&self.membership) = before;
    }
}
