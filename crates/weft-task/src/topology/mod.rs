//! Which workers an executor has, and where they run.
//!
//! What lives here: [`Topology`], an ordered list of [`Group`]s with one worker each. The parts: `processors.rs` reads
//! lists and sizes, `text.rs` files of any kind, `machine.rs` sysfs, `limits.rs` control groups, `select.rs` chooses
//! processors, `request.rs` is what a user asks for. What does not: moving threads there (`pin.rs`).

mod limits;
mod machine;
mod processors;
mod request;
mod select;
mod text;

pub use limits::Quota;
pub use machine::{Machine, Node};
pub use processors::{ProcessorSet, parse_bytes, parse_id};
pub use request::{Favor, NodeChoice, TopologyRequest, WorkerChoice};
pub use select::{CoreSelection, Distribution, PerformanceLevel};

use weft_sync::{Result, bail};

use crate::affinity::AffinitySet;
use crate::pin::Placement;
use crate::tuning::WORKERS_MAX;

/// Data caches of the processor of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// First level, bytes.
    pub l1_data: u64,
    /// Second level, bytes.
    pub l2_data: u64,
    /// Third level, bytes; 0 if there is none or it is not known.
    pub l3_data: u64,
}

impl Caches {
    /// What is assumed where the machine does not tell: what small processors have.
    pub const ASSUMED: Caches = Caches { l1_data: 32 << 10, l2_data: 128 << 10, l3_data: 0 };
}

/// Where one worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The processor and the node; neither for a worker that is not pinned.
    pub placement: Placement,
    /// The caches of the processor.
    pub caches: Caches,
    /// The groups that share the last cache with this one, itself included; all ones if that is not known.
    pub sharing: AffinitySet,
}

impl Group {
    /// A worker anywhere, about which nothing is known.
    pub const UNPINNED: Group =
        Group { placement: Placement::ANYWHERE, caches: Caches::ASSUMED, sharing: AffinitySet::ALL };
}

/// Which workers an executor has, and where they run.
///
/// ```
/// use weft_task::Topology;
/// let topology = Topology::from_count(2);
/// assert_eq!(topology.len(), 2);
/// assert!(topology.get(0).is_some_and(|group| group.placement.processor.is_none()));
/// assert!(Topology::default().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    node: Option<u32>,
    groups: Vec<Group>,
}

impl Topology {
    /// An empty topology of a node, or of none in particular.
    #[must_use]
    pub fn on_node(node: Option<u32>) -> Topology {
        Topology { node, groups: Vec::new() }
    }

    /// `count` workers, at most [`WORKERS_MAX`], that are not pinned.
    #[must_use]
    pub fn from_count(count: usize) -> Topology {
        Topology { node: None, groups: vec![Group::UNPINNED; count.min(WORKERS_MAX)] }
    }

    /// Adds a worker; its index is the number of those before it.
    pub fn push(&mut self, group: Group) -> Result<()> {
        if self.groups.len() == WORKERS_MAX {
            bail!(ResourceExhausted, "a topology has at most {WORKERS_MAX} groups");
        }
        self.groups.push(group);
        Ok(())
    }

    /// The node that all workers belong to.
    #[must_use]
    pub fn node(&self) -> Option<u32> {
        self.node
    }

    /// The group of a worker.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Group> {
        self.groups.get(index)
    }

    /// The groups in the order of workers.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group. Nothing that is scheduled on such an executor would ever run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
