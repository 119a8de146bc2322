//! What a user asks for, before the machine is looked at.
//!
//! What lives here: [`TopologyRequest`] and how it becomes topologies, one for each executor. What does not: the flags
//! that fill it in, which belong to programs.

use std::path::PathBuf;

use weft_sync::{Result, bail};

use super::machine::node_not_present;
use super::{CoreSelection, Distribution, Machine, PerformanceLevel, Topology};
use crate::tuning::WORKERS_MAX;

/// Executors of one device: each is a queue.
const EXECUTORS_MAX: usize = 16;

/// Which workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WorkerChoice {
    /// One for each physical core.
    #[default]
    PhysicalCores,
    /// So many, not pinned.
    Count(usize),
    /// On these processors; each list is an executor.
    Processors(Vec<Vec<u32>>),
}

/// Which NUMA nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodeChoice {
    /// The one on which the caller runs.
    #[default]
    Current,
    /// An executor for each.
    Each,
    /// One executor over all.
    All,
    /// An executor for each of these.
    These(Vec<u32>),
}

/// Levels and distributions under the name of what they are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Favor {
    /// Few large cores that share a cache.
    Latency,
    /// All cores.
    Throughput,
    /// Few small cores.
    Efficiency,
}

impl Favor {
    /// What the name stands for.
    #[must_use]
    pub fn meaning(self) -> (PerformanceLevel, Distribution) {
        match self {
            Favor::Latency => (PerformanceLevel::High, Distribution::Compact),
            Favor::Throughput => (PerformanceLevel::Any, Distribution::Scatter),
            Favor::Efficiency => (PerformanceLevel::Low, Distribution::Compact),
        }
    }
}

/// What a user asks for.
///
/// ```
/// use weft_task::{TopologyRequest, WorkerChoice};
/// let request = TopologyRequest { workers: WorkerChoice::Count(3), ..TopologyRequest::default() };
/// let topologies = request.resolve(&request.machine()?)?;
/// assert_eq!(topologies.len(), 1);
/// assert_eq!(topologies[0].len(), 3);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyRequest {
    /// Which workers.
    pub workers: WorkerChoice,
    /// Which nodes.
    pub nodes: NodeChoice,
    /// At most so many workers in an executor that are placed on cores. Not given: [`Self::DEFAULT_COUNT_MAX`], or what
    /// the quota of the control group keeps busy, if that is less.
    pub count_max: Option<usize>,
    /// Which kind of cores.
    pub level: PerformanceLevel,
    /// In which order.
    pub distribution: Distribution,
    /// Describes the machine instead of the system.
    pub snapshot: Option<PathBuf>,
}

impl TopologyRequest {
    /// Workers of an executor, unless asked for otherwise.
    pub const DEFAULT_COUNT_MAX: usize = 64;

    /// The machine that is asked about.
    pub fn machine(&self) -> Result<Machine> {
        match &self.snapshot {
            Some(folder) => Machine::read(folder),
            None => Machine::read_system(),
        }
    }

    /// The number of workers to which the quota of the control group limits this request: only a request that names no
    /// number is limited.
    #[must_use]
    pub fn count_from_quota(&self, machine: &Machine) -> Option<usize> {
        if self.workers != WorkerChoice::PhysicalCores || self.count_max.is_some() {
            return None;
        }
        machine.quota().map(|quota| quota.workers())
    }

    /// One topology for each executor.
    pub fn resolve(&self, machine: &Machine) -> Result<Vec<Topology>> {
        if let WorkerChoice::Processors(lists) = &self.workers {
            if lists.len() > EXECUTORS_MAX {
                bail!(ResourceExhausted, "{} lists of processors, the most are {EXECUTORS_MAX}", lists.len());
            }
            return lists.iter().map(|ids| Topology::from_processor_ids(machine, ids)).collect();
        }
        let nodes = self.nodes_of(machine)?;
        if nodes.len() > EXECUTORS_MAX {
            bail!(ResourceExhausted, "{} nodes, the most executors are {EXECUTORS_MAX}", nodes.len());
        }
        if let WorkerChoice::Count(count) = self.workers {
            if nodes.len() > 1 {
                let chosen = nodes.len();
                bail!(InvalidArgument, "a number of workers that are not pinned fits one node, not {chosen}");
            }
            return Ok(vec![Topology::from_count(count)]);
        }
        let count_max = self.count_max.unwrap_or(Self::DEFAULT_COUNT_MAX);
        let count_max = count_max.min(self.count_from_quota(machine).unwrap_or(WORKERS_MAX));
        let (level, distribution) = (self.level, self.distribution);
        let topology = |node: &Option<u32>| {
            let selection = CoreSelection { node: *node, level, distribution, count_max };
            Topology::from_physical_cores(machine, &selection)
        };
        nodes.iter().map(topology).collect()
    }

    /// The node of each executor; none in particular for one over everything.
    fn nodes_of(&self, machine: &Machine) -> Result<Vec<Option<u32>>> {
        match &self.nodes {
            NodeChoice::All => Ok(vec![None]),
            NodeChoice::Current => Ok(vec![machine.current_node()]),
            NodeChoice::Each => {
                let usable = machine.usable();
                let nodes = machine.nodes().iter();
                // A node on which nothing may run would get an executor without workers.
                let nodes = nodes.filter(|node| !node.processors.intersection(&usable).is_empty());
                let nodes: Vec<_> = nodes.map(|node| Some(node.id)).collect();
                Ok(if nodes.is_empty() { vec![None] } else { nodes })
            }
            NodeChoice::These(ids) => {
                let has = |id: &u32| machine.nodes().iter().any(|node| node.id == *id);
                match ids.iter().find(|id| !has(id)) {
                    Some(id) => Err(node_not_present(machine, *id)),
                    None => Ok(ids.iter().copied().map(Some).collect()),
                }
            }
        }
    }
}
