//! Putting a group together.
//!
//! 1. The builder makes the tracker, so that devices can be opened for their places.
//! 2. Devices get their indices in the order in which they are added.
//! 3. [`GroupBuilder::build`] takes the builder, whatever comes of it.

use std::sync::Arc;

use weft_sync::{Result, Tracker, TrackerOptions, bail};

use super::{DeviceGroup, DevicePlace, EdgeMatrix, GROUP_DEVICES_MAX, Membership};
use crate::device::Device;
use crate::memory::QUEUES_MAX;
use crate::pool::ParkedPools;

/// Collects the devices of a group.
///
/// ```
/// use weft_hal::group::GroupBuilder;
/// let mut builder = GroupBuilder::local(1)?;
/// let place = builder.place()?;
/// assert_eq!(place.queue_axis(1).to_string(), "s1.m0.q0:1");
/// // A device is opened for `place` here, and its queues signal with such names.
/// builder.add(&weft_hal::open_null_device(), 0)?;
/// assert_eq!(builder.build()?.devices().len(), 1);
/// # weft_sync::Result::Ok(())
/// ```
///
/// A builder makes one group:
///
/// ```compile_fail
/// let builder = weft_hal::group::GroupBuilder::local(1).unwrap();
/// let _ = builder.build();
/// let _ = builder.build(); // it was taken, although there was no device
/// ```
#[derive(Debug)]
pub struct GroupBuilder {
    tracker: Arc<Tracker>,
    parked_pools: Arc<ParkedPools>,
    devices: Vec<Arc<Device>>,
    numa_nodes: Vec<u8>,
}

impl GroupBuilder {
    /// A group without devices so far.
    pub fn new(options: TrackerOptions) -> Result<GroupBuilder> {
        Ok(GroupBuilder {
            tracker: Arc::new(Tracker::new(options)?),
            parked_pools: Arc::new(ParkedPools::default()),
            devices: Vec::new(),
            numa_nodes: Vec::new(),
        })
    }

    /// A group on this machine, with room for the timelines of so many devices, whatever the number of their queues.
    pub fn local(device_count: usize) -> Result<GroupBuilder> {
        let axis_capacity = device_count.min(GROUP_DEVICES_MAX) as u32 * QUEUES_MAX;
        GroupBuilder::new(TrackerOptions { axis_capacity, ..TrackerOptions::default() })
    }

    /// Who will hear of the epochs of all devices.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// The place of the device that is added next: open it for that. RESOURCE_EXHAUSTED when all places are taken.
    pub fn place(&self) -> Result<DevicePlace> {
        let index = self.devices.len();
        if index == GROUP_DEVICES_MAX {
            bail!(ResourceExhausted, "a group has at most {GROUP_DEVICES_MAX} devices");
        }
        Ok(DevicePlace::new(&self.tracker, &self.parked_pools, index as u8))
    }

    /// Adds a device, which is next to this node of the machine's memory. RESOURCE_EXHAUSTED when all places are taken.
    pub fn add(&mut self, device: &Arc<Device>, numa_node: u8) -> Result<()> {
        self.place()?;
        self.devices.push(Arc::clone(device));
        self.numa_nodes.push(numa_node);
        Ok(())
    }

    /// The group, of devices that all work on the memory of this machine. INVALID_ARGUMENT if there are none,
    /// FAILED_PRECONDITION if one is in a group or was opened for another place.
    pub fn build(self) -> Result<Arc<DeviceGroup>> {
        let edges = EdgeMatrix::of_host(&self.numa_nodes)?;
        self.build_with(edges)
    }

    /// The group, of devices that reach each other by these edges. INVALID_ARGUMENT if they are those of more or fewer
    /// devices.
    pub fn build_with(self, edges: EdgeMatrix) -> Result<Arc<DeviceGroup>> {
        let GroupBuilder { tracker, devices, numa_nodes, .. } = self;
        if devices.is_empty() {
            bail!(InvalidArgument, "a group has at least one device");
        }
        if edges.device_count() != devices.len() {
            bail!(InvalidArgument, "edges of {} devices for {}", edges.device_count(), devices.len());
        }
        let edges = Arc::new(edges);
        let nodes = numa_nodes.into_iter().enumerate();
        let memberships = nodes.map(|(index, node)| Arc::new(Membership::new(index, node, &edges, &tracker)));
        DeviceGroup::assemble(devices.into(), memberships.collect(), edges, tracker)
    }
}
