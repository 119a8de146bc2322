//! Groups: devices that tell each other how far they are.
//!
//! | file        | what lives there                                                    |
//! |-------------|---------------------------------------------------------------------|
//! | `mod.rs`    | a group, once it stands                                             |
//! | `builder.rs`| putting one together                                                |
//! | `member.rs` | what a device knows of its group                                     |
//! | `place.rs`  | where a device stands, by which its queues name their timelines     |
//! | `edge.rs`   | how one device reaches another: two words                           |
//! | `matrix.rs` | all edges of a group, and what they must have in common             |
//!
//! 1. A device is **opened for a place** ([`DevicePlace`]): the names of its timelines and the tracker that hears of them
//!    never change, so nothing looks them up while work is done. Then it **joins**: its front learns who else there is.
//! 2. A device is in one group at a time, for as long as a group holds it there. One whose timelines belong elsewhere,
//!    because it was opened alone or for another place, is refused.
//! 3. Joining is all or nothing: if one device is refused, those before it are outside again.
//! 4. A group holds its devices, and never changes. A *replacement* has other devices in the same places, with the same
//!    edges and the same tracker.
//! 5. A device that was opened alone has timelines as well, and names that nobody else has: what it vouches for means
//!    nothing to others, which is never wrong. It is asked for memory of its queues in vain: pools that several queues
//!    share need somebody who knows the epochs of all of them.

mod builder;
mod edge;
mod matrix;
mod member;
mod place;

pub use builder::GroupBuilder;
pub use edge::{Edge, EdgeCapabilities, EdgeFields, HandleKinds, LinkClass, LinkMode};
pub use matrix::{EdgeMatrix, EdgeMatrixBuilder};
pub use place::DevicePlace;

use std::sync::{Arc, Weak};

use weft_sync::{Axis, Result, Tracker, WhileDoing, bail};

use crate::device::Device;

/// Most devices of a group: bitmaps of them are 32 bits wide.
pub const GROUP_DEVICES_MAX: usize = 32;

/// What a device knows of the group that it is in. Bitmaps are by index and leave the device itself out.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The device's index in the group.
    pub index: u8,
    /// Which node of the machine's memory the device is next to.
    pub numa_node: u8,
    /// How every device reaches every other one.
    pub edges: Arc<EdgeMatrix>,
    /// How the device reaches itself.
    pub self_edge: Edge,
    /// Devices whose signals it can wait for by itself.
    pub can_wait_from: u32,
    /// Devices that can wait for its signals by themselves.
    pub can_signal_to: u32,
    /// Devices whose memory it can use, as it is or by a handle.
    pub can_import_from: u32,
    /// Devices that it exchanges bytes with, without a copy in between.
    pub can_p2p_with: u32,
    /// Who hears of the epochs of all devices.
    pub tracker: Arc<Tracker>,
    /// The timeline of queue 0, from which those of the other queues count on.
    pub base_axis: Axis,
}

impl Membership {
    fn new(index: usize, numa_node: u8, edges: &Arc<EdgeMatrix>, tracker: &Arc<Tracker>) -> Membership {
        let others = |is_so: &dyn Fn(usize) -> bool| {
            let others = (0..edges.device_count()).filter(|&other| other != index && is_so(other));
            others.fold(0, |map, other| map | 1 << other)
        };
        let outward = |other| edges.edge(index, other);
        Membership {
            index: index as u8,
            numa_node,
            edges: Arc::clone(edges),
            self_edge: outward(index),
            can_wait_from: others(&|other| outward(other).wait_mode().is_direct()),
            can_signal_to: others(&|other| outward(other).signal_mode().is_direct()),
            can_import_from: others(&|other| outward(other).can_import()),
            can_p2p_with: others(&|other| {
                outward(other).capabilities().contains(EdgeCapabilities::PEER_TO_PEER)
            }),
            tracker: Arc::clone(tracker),
            base_axis: tracker.machine().queue(index as u8, 0),
        }
    }
}

/// Devices that share a tracker. Made by [`GroupBuilder`]; never changes.
///
/// ```
/// use weft_hal::group::GroupBuilder;
/// use weft_hal::open_null_device;
/// let mut builder = GroupBuilder::local(2)?;
/// for _ in 0..2 {
///     builder.add(&open_null_device(), 0)?;
/// }
/// let group = builder.build()?;
/// assert_eq!(group.device(1).membership().expect("it is in the group").can_wait_from, 0b01);
/// # weft_sync::Result::Ok(())
/// ```
pub struct DeviceGroup {
    devices: Box<[Arc<Device>]>,
    /// By device. Devices refer to theirs weakly: whoever is held by no group is in none.
    memberships: Box<[Arc<Membership>]>,
    edges: Arc<EdgeMatrix>,
    tracker: Arc<Tracker>,
}

impl DeviceGroup {
    /// Puts the devices into their places: rule 3.
    fn assemble(
        devices: Box<[Arc<Device>]>,
        memberships: Box<[Arc<Membership>]>,
        edges: Arc<EdgeMatrix>,
        tracker: Arc<Tracker>,
    ) -> Result<Arc<DeviceGroup>> {
        let mut joined: Vec<(&Device, Weak<Membership>)> = Vec::with_capacity(devices.len());
        for (device, membership) in devices.iter().zip(&memberships) {
            match device.join(membership) {
                Ok(before) => joined.push((device, before)),
                Err(status) => {
                    joined.into_iter().for_each(|(device, before)| device.restore_membership(before));
                    let index = membership.index;
                    return Err(status)
                        .while_doing(|| format!("putting {} into place {index}", device.identifier()));
                }
            }
        }
        Ok(Arc::new(DeviceGroup { devices, memberships, edges, tracker }))
    }

    /// The devices, by index. At least one.
    pub fn devices(&self) -> &[Arc<Device>] {
        &self.devices
    }

    /// The device with this index. Panics beyond the last one.
    pub fn device(&self, index: usize) -> &Arc<Device> {
        &self.devices[index]
    }

    /// What the device with this index knows of the group. Panics beyond the last one.
    pub fn membership(&self, index: usize) -> &Membership {
        &self.memberships[index]
    }

    /// How the devices reach each other.
    pub fn edges(&self) -> &Arc<EdgeMatrix> {
        &self.edges
    }

    /// Who hears of the epochs of all devices.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// A group of other devices in the same places: same edges, nodes, tracker and timelines. A device may also stay where
    /// it is. INVALID_ARGUMENT for another number of devices.
    pub fn replacement(&self, devices: &[Arc<Device>]) -> Result<Arc<DeviceGroup>> {
        if devices.len() != self.devices.len() {
            bail!(InvalidArgument, "{} devices in place of {}", devices.len(), self.devices.len());
        }
        DeviceGroup::assemble(
            devices.into(),
            self.memberships.clone(),
            Arc::clone(&self.edges),
            Arc::clone(&self.tracker),
        )
    }
}

impl std::fmt::Debug for DeviceGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceGroup").field("devices", &self.devices).finish_non_exhaustive()
    }
}
