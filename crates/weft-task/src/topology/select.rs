//! Choosing processors for workers.
//!
//! What lives here: the constructors of [`Topology`] that look at a [`Machine`]. What does not: what users ask for in
//! flags (`request.rs`).
//!
//! 1. Distribution orders all candidates, then the list is cut: cut first, a wide machine would fill one cache only.
//! 2. Sharing masks are made last, of indices in the final order.

use std::collections::{BTreeSet, HashMap, HashSet};

use weft_sync::{Result, Status, bail, status};

use super::machine::{CoreKey, Machine, Processor, node_not_present};
use super::{Caches, Group, Topology};
use crate::affinity::AffinitySet;
use crate::pin::Placement;
use crate::tuning::WORKERS_MAX;

/// Which kind of processors, where the machine has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PerformanceLevel {
    /// All.
    #[default]
    Any,
    /// Less than three quarters of the capacity of the largest.
    Low,
    /// At least three quarters of the capacity of the largest.
    High,
}

/// In which order caches are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// In the order of processors: one cache is filled before the next.
    Compact,
    /// Round robin over caches: few workers get as much cache and bandwidth as there is.
    #[default]
    Scatter,
}

/// Which cores become workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSelection {
    /// Only cores of this node; of all nodes otherwise.
    pub node: Option<u32>,
    /// Only cores of this kind.
    pub level: PerformanceLevel,
    /// In which order.
    pub distribution: Distribution,
    /// At most so many.
    pub count_max: usize,
}

impl Default for CoreSelection {
    fn default() -> CoreSelection {
        let (level, distribution) = (PerformanceLevel::default(), Distribution::default());
        CoreSelection { node: None, level, distribution, count_max: WORKERS_MAX }
    }
}

impl Topology {
    /// One worker for each physical core, on its first processor that may be used.
    ///
    /// ```
    /// use weft_task::{CoreSelection, Machine, Topology};
    /// let machine = Machine::read_system()?;
    /// let topology = Topology::from_physical_cores(&machine, &CoreSelection::default())?;
    /// assert!(topology.groups().iter().all(|group| group.placement.processor.is_some()));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_physical_cores(machine: &Machine, selection: &CoreSelection) -> Result<Topology> {
        let mut seen: HashSet<&CoreKey> = HashSet::new();
        let usable = machine.processors.iter().filter(|processor| processor.usable);
        let cores = usable.filter(|processor| seen.insert(&processor.core)).collect();
        chosen(machine, selection, cores)
    }

    /// One worker for each logical processor that may be used, siblings of one core included: for work that waits for
    /// memory or devices more than it computes.
    ///
    /// ```
    /// use weft_task::{CoreSelection, Machine, Topology};
    /// let machine = Machine::read_system()?;
    /// let all = Topology::from_logical_processors(&machine, &CoreSelection::default())?;
    /// assert_eq!(all.len() as u64, machine.usable().count().min(1024));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_logical_processors(machine: &Machine, selection: &CoreSelection) -> Result<Topology> {
        chosen(machine, selection, machine.processors.iter().filter(|processor| processor.usable).collect())
    }

    /// One worker for each id, in this order; the same id twice is two workers on one processor.
    ///
    /// ```
    /// use weft_task::{Machine, Topology};
    /// let machine = Machine::read_system()?;
    /// let first = machine.usable().first().expect("this test runs somewhere");
    /// assert_eq!(Topology::from_processor_ids(&machine, &[first, first])?.len(), 2);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_processor_ids(machine: &Machine, ids: &[u32]) -> Result<Topology> {
        if ids.is_empty() {
            bail!(InvalidArgument, "at least one processor id is needed");
        }
        let find = |id: &u32| {
            let processor = machine.processor(*id).filter(|processor| processor.usable);
            processor.ok_or_else(|| not_usable(machine, *id))
        };
        grouped(machine, None, &ids.iter().map(find).collect::<Result<Vec<_>>>()?)
    }
}

#[cold]
fn not_usable(machine: &Machine, id: u32) -> Status {
    let reason = if machine.processor(id).is_some() { "offline or not allowed here" } else { "not present" };
    status!(OutOfRange, "processor {id} is {reason}; usable are {}", machine.usable())
}

/// Filters, orders and cuts the candidates.
fn chosen(machine: &Machine, selection: &CoreSelection, mut candidates: Vec<&Processor>) -> Result<Topology> {
    if let Some(id) = selection.node {
        let node = machine.nodes.iter().find(|node| node.id == id);
        let node = node.ok_or_else(|| node_not_present(machine, id))?;
        candidates.retain(|processor| node.processors.contains(processor.id));
    }
    keep_level(machine, selection.level, &mut candidates);
    if selection.distribution == Distribution::Scatter {
        candidates = scattered(&candidates);
    }
    candidates.truncate(selection.count_max.min(WORKERS_MAX));
    let only_node = match machine.nodes.as_slice() {
        [node] => Some(node.id),
        _ => None,
    };
    grouped(machine, selection.node.or(only_node), &candidates)
}

/// Keeps the processors of one kind. Machines whose processors are alike, or do not tell, have one kind.
fn keep_level(machine: &Machine, level: PerformanceLevel, candidates: &mut Vec<&Processor>) {
    let capacities = machine.processors.iter().filter_map(|processor| processor.capacity);
    let (Some(least), Some(most)) = (capacities.clone().min(), capacities.max()) else { return };
    if least == most || level == PerformanceLevel::Any {
        return;
    }
    let is_high = |processor: &Processor| {
        let capacity = processor.capacity.unwrap_or(most);
        u128::from(capacity) * 4 >= u128::from(most) * 3
    };
    candidates.retain(|processor| is_high(processor) == (level == PerformanceLevel::High));
}

/// Round robin over cache domains in the order in which they appear. Domains may overlap; each processor belongs to the
/// first one that has it. Each processor is looked up in a set once, however many domains there are.
fn scattered<'a>(candidates: &[&'a Processor]) -> Vec<&'a Processor> {
    let mut unclaimed: BTreeSet<u32> = candidates.iter().map(|processor| processor.id).collect();
    let mut domain_of = HashMap::new();
    let mut members: Vec<usize> = Vec::new();
    let mut turns: Vec<(usize, usize, &Processor)> = Vec::with_capacity(candidates.len());
    for processor in candidates {
        if !domain_of.contains_key(&processor.id) {
            let domain = members.len();
            members.push(0);
            for (first, last) in processor.cache_domain().ranges() {
                let claimed: Vec<u32> = unclaimed.range(first..=last).copied().collect();
                for id in claimed {
                    unclaimed.remove(&id);
                    domain_of.insert(id, domain);
                }
            }
        }
        let domain = domain_of[&processor.id];
        turns.push((members[domain], domain, processor));
        members[domain] += 1;
    }
    turns.sort_by_key(|(round, domain, _)| (*round, *domain));
    turns.into_iter().map(|(.., processor)| processor).collect()
}

/// One group for each processor, in order.
fn grouped(machine: &Machine, node: Option<u32>, processors: &[&Processor]) -> Result<Topology> {
    let mut topology = Topology::on_node(node);
    for processor in processors {
        let domain = processor.cache_domain();
        // Groups beyond the capacity are refused by `push`; the mask only needs to survive until then.
        let members = processors.iter().enumerate().take(WORKERS_MAX);
        let members = members.filter(|(_, member)| domain.contains(member.id)).map(|(index, _)| index);
        topology.push(Group {
            placement: Placement {
                processor: Some(processor.id),
                node: machine.node_of(processor.id),
                with_sibling: false,
            },
            caches: Caches {
                l1_data: processor.cache_bytes(1).unwrap_or(Caches::ASSUMED.l1_data),
                l2_data: processor.cache_bytes(2).unwrap_or(Caches::ASSUMED.l2_data),
                l3_data: processor.cache_bytes(3).unwrap_or(Caches::ASSUMED.l3_data),
            },
            sharing: members.collect::<AffinitySet>(),
        })?;
    }
    Ok(topology)
}
