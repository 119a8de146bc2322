//! The part of `weft devices` that shows which workers the local-task device would have.
//!
//! What does not live here: choosing them (`weft::task`), reading flags (`task_flags.rs`).

use std::io::{self, Write};

use weft::sync::{Result, WhileDoing};
use weft::task::{AffinitySet, Group, Machine, ProcessorSet, Topology, TopologyRequest, WorkerChoice};

/// A machine and the workers that it would get.
pub struct Workers {
    machine: Machine,
    topologies: Vec<Topology>,
    count_from_quota: Option<usize>,
}

impl Workers {
    /// Looks at the machine.
    pub fn of(request: &TopologyRequest) -> Result<Workers> {
        let doing = || match &request.snapshot {
            Some(folder) => format!("reading --task_topology_snapshot={}", folder.display()),
            None => "reading the topology of this machine".to_owned(),
        };
        let machine = request.machine().while_doing(doing)?;
        let resolving = || match request.workers {
            WorkerChoice::Processors(_) => "placing workers as --task_topology_cpu_ids= says",
            WorkerChoice::Count(_) => "combining --task_topology_group_count= with --task_topology_nodes=",
            WorkerChoice::PhysicalCores => "choosing nodes as --task_topology_nodes= says",
        };
        let topologies = request.resolve(&machine).while_doing(resolving)?;
        let count_from_quota = request.count_from_quota(&machine);
        Ok(Workers { machine, topologies, count_from_quota })
    }

    /// Writes the machine and a table for each executor.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let machine = &self.machine;
        let origin = if machine.is_snapshot() { "the snapshot" } else { "this machine" };
        writeln!(out, "\nWorkers that local-task would have, from {origin}")?;
        writeln!(out, "  processors:    {}", machine.present())?;
        writeln!(out, "  usable:        {}", machine.usable())?;
        let nodes: Vec<String> =
            machine.nodes().iter().map(|node| format!("{} ({})", node.id, node.processors)).collect();
        writeln!(
            out,
            "  nodes:         {}",
            if nodes.is_empty() { "not told".into() } else { nodes.join(", ") }
        )?;
        match (machine.quota(), self.count_from_quota) {
            (None, _) => writeln!(out, "  quota:         none")?,
            (Some(quota), limit) => {
                let share = quota.microseconds as f64 / quota.period_microseconds as f64;
                let effect = match limit {
                    Some(count) => format!("at most {count} workers unless more are asked for"),
                    None => "not applied to what was asked for".to_owned(),
                };
                writeln!(out, "  quota:         {share:.2} processors; {effect}")?;
            }
        }
        for (index, topology) in self.topologies.iter().enumerate() {
            write_topology(out, index, topology)?;
        }
        Ok(())
    }
}

fn write_topology(out: &mut dyn Write, index: usize, topology: &Topology) -> io::Result<()> {
    let workers = topology.len();
    if workers == 0 {
        // What an executor makes of it: without workers it would never run anything.
        return writeln!(out, "\n  executor {index}: 1 worker anywhere, in place of none");
    }
    let plural = if workers == 1 { "" } else { "s" };
    writeln!(out, "\n  executor {index}: {workers} worker{plural}, node {}", or_any(topology.node()))?;
    writeln!(
        out,
        "    {:>6}  {:>9}  {:>4}  {:>9}  {:>9}  {:>9}  shares its cache with",
        "worker", "processor", "node", "L1 data", "L2 data", "L3 data"
    )?;
    for (index, group) in topology.groups().iter().enumerate() {
        let Group { placement, caches, sharing } = group;
        writeln!(
            out,
            "    {index:>6}  {:>9}  {:>4}  {:>9}  {:>9}  {:>9}  {}",
            or_any(placement.processor),
            or_any(placement.node),
            bytes(caches.l1_data),
            bytes(caches.l2_data),
            bytes(caches.l3_data),
            sharers(index, sharing)
        )?;
    }
    Ok(())
}

fn or_any(id: Option<u32>) -> String {
    id.map_or_else(|| "any".to_owned(), |id| id.to_string())
}

/// The other workers, as ranges.
fn sharers(index: usize, sharing: &AffinitySet) -> String {
    if *sharing == AffinitySet::ALL {
        return "not known".to_owned();
    }
    let others: ProcessorSet =
        sharing.iter().filter(|other| *other != index).map(|other| other as u32).collect();
    if others.is_empty() { "none".to_owned() } else { format!("workers {others}") }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "-".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}
