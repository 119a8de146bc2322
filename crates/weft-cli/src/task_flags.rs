//! From the flags of workers (`docs/spec/task.md` §10.4) to [`TaskOptions`].
//!
//! What does not live here: the flags themselves (`flag_table.rs`) and what they mean for a machine (`weft::task`).

use std::path::PathBuf;
use std::time::Duration;

use weft::sync::{Result, Status, WhileDoing, bail, status};
use weft::task::{
    Distribution, Favor, NodeChoice, PerformanceLevel, STACK_BYTES_MIN, TaskOptions, TopologyRequest,
    WORKERS_MAX, WorkerChoice, parse_id,
};

use crate::failure::{Failure, Outcome};
use crate::flags::Flags;

/// The options that the flags describe. Values that cannot be understood are named with their flag.
pub fn task_options(flags: &Flags) -> Outcome<TaskOptions> {
    read(flags).map_err(Failure::Usage)
}

fn read(flags: &Flags) -> Result<TaskOptions> {
    let size = |name| usize::try_from(flags.count(name)).map_err(|_| too_large(name));
    let stack_bytes = size("task_worker_stack_size")?;
    if stack_bytes < STACK_BYTES_MIN {
        bail!(
            InvalidArgument,
            "--task_worker_stack_size={stack_bytes} is too little, the least is {STACK_BYTES_MIN}"
        );
    }
    Ok(TaskOptions {
        topology: topology(flags)?,
        spin: Duration::from_micros(flags.count("task_worker_spin_us")),
        stack_bytes,
        local_memory_bytes: size("task_worker_local_memory")?,
        abort_on_failure: flags.switch("task_abort_on_failure"),
    })
}

#[cold]
fn too_large(name: &str) -> Status {
    status!(InvalidArgument, "the value of --{name}= does not fit this system")
}

fn topology(flags: &Flags) -> Result<TopologyRequest> {
    let saturated = |count| usize::try_from(count).unwrap_or(usize::MAX);
    let (level, distribution) = level_and_distribution(flags);
    let snapshot = flags.text("task_topology_snapshot");
    let count_max = flags.given("task_topology_max_group_count").is_some();
    Ok(TopologyRequest {
        workers: match (processors(flags)?, flags.count("task_topology_group_count")) {
            (Some(lists), _) => WorkerChoice::Processors(lists),
            (None, 0) => WorkerChoice::PhysicalCores,
            (None, count) => WorkerChoice::Count(worker_count(count)?),
        },
        nodes: nodes(flags.text("task_topology_nodes"))?,
        count_max: count_max.then(|| saturated(flags.count("task_topology_max_group_count"))),
        level,
        distribution,
        snapshot: (!snapshot.is_empty()).then(|| PathBuf::from(snapshot)),
    })
}

/// A number of workers that there can be: fewer than were asked for would be no answer.
fn worker_count(count: u64) -> Result<usize> {
    match usize::try_from(count) {
        Ok(count) if count <= WORKERS_MAX => Ok(count),
        _ => bail!(
            InvalidArgument,
            "--task_topology_group_count={count} is too many workers, the most are {WORKERS_MAX}"
        ),
    }
}

/// The lists of processors; none if the flag is not given.
fn processors(flags: &Flags) -> Result<Option<Vec<Vec<u32>>>> {
    let texts = flags.list("task_topology_cpu_ids");
    let lists = texts.iter().map(|text| {
        let ids = text.split(',').map(parse_id).collect::<Result<Vec<u32>>>();
        ids.while_doing(|| format!("reading --task_topology_cpu_ids={text}"))
    });
    let lists = lists.collect::<Result<Vec<_>>>()?;
    Ok((!lists.is_empty()).then_some(lists))
}

fn nodes(text: &str) -> Result<NodeChoice> {
    Ok(match text {
        "" | "current" => NodeChoice::Current,
        "numa" => NodeChoice::Each,
        "all" => NodeChoice::All,
        ids => NodeChoice::These(
            ids.split(',')
                .map(parse_id)
                .collect::<Result<_>>()
                .while_doing(|| "expected current, numa, all or node ids")
                .while_doing(|| format!("reading --task_topology_nodes={ids}"))?,
        ),
    })
}

fn level_and_distribution(flags: &Flags) -> (PerformanceLevel, Distribution) {
    match flags.text("task_topology_favor") {
        "latency" => return Favor::Latency.meaning(),
        "throughput" => return Favor::Throughput.meaning(),
        "efficiency" => return Favor::Efficiency.meaning(),
        _ => {}
    }
    let level = match flags.text("task_topology_performance_level") {
        "high" | "performance" => PerformanceLevel::High,
        "low" | "efficiency" => PerformanceLevel::Low,
        _ => PerformanceLevel::Any,
    };
    let distribution = match flags.text("task_topology_distribution") {
        "compact" => Distribution::Compact,
        _ => Distribution::Scatter,
    };
    (level, distribution)
}
