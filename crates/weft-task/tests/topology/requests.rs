//! What users ask for, and which executors they get.

use crate::manifest::stored;
use weft_sync::Code;
use weft_task::{Machine, NodeChoice, Quota, Topology, TopologyRequest, WorkerChoice};

fn resolve(machine: &Machine, workers: WorkerChoice, nodes: NodeChoice) -> weft_sync::Result<Vec<Topology>> {
    TopologyRequest { workers, nodes, ..TopologyRequest::default() }.resolve(machine)
}

fn cores(machine: &Machine, nodes: NodeChoice) -> Vec<(Option<u32>, usize)> {
    let topologies = resolve(machine, WorkerChoice::PhysicalCores, nodes).unwrap();
    topologies.iter().map(|topology| (topology.node(), topology.len())).collect()
}

/// [task 76] Two nodes: an executor for each, one over all, the caller's own, and those that are named.
#[test]
fn nodes_become_executors() {
    let machine = stored!("two_nodes");
    assert_eq!(cores(&machine, NodeChoice::Each), [(Some(0), 4), (Some(1), 4)]);
    assert_eq!(cores(&machine, NodeChoice::All), [(None, 8)]);
    assert_eq!(cores(&machine, NodeChoice::These(vec![1])), [(Some(1), 4)]);
    assert_eq!(cores(&machine, NodeChoice::These(vec![1, 0])), [(Some(1), 4), (Some(0), 4)]);
    let current = cores(&machine, NodeChoice::Current);
    assert_eq!((current[0].0.is_some(), current[0].1), (true, 4));
    let phone = stored!("phone");
    for nodes in [NodeChoice::Each, NodeChoice::All, NodeChoice::Current] {
        assert_eq!(cores(&phone, nodes), [(None, 8)]);
    }
}

/// [task 83] Nodes that the machine does not have.
#[test]
fn absent_nodes_are_refused() {
    for machine in [stored!("memory_only_node"), stored!("phone")] {
        let refused = resolve(&machine, WorkerChoice::PhysicalCores, NodeChoice::These(vec![1]));
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("not present"), "{refused}");
        let counted = resolve(&machine, WorkerChoice::Count(2), NodeChoice::These(vec![1]));
        assert_eq!(counted.unwrap_err().code(), Code::InvalidArgument);
    }
}

/// [task 74] A number of workers is one executor, which cannot be on several nodes.
#[test]
fn counts_fit_one_node() {
    let machine = stored!("two_nodes");
    let topologies = resolve(&machine, WorkerChoice::Count(3), NodeChoice::Current).unwrap();
    assert_eq!(topologies, [Topology::from_count(3)]);
    let refused = resolve(&machine, WorkerChoice::Count(3), NodeChoice::Each).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// [task 82] [task 84] Each list is an executor of its own, in order.
#[test]
fn lists_of_processors_become_executors() {
    let machine = stored!("two_nodes");
    let lists = WorkerChoice::Processors(vec![vec![3, 1], vec![5]]);
    let topologies = resolve(&machine, lists, NodeChoice::Current).unwrap();
    assert_eq!(topologies.iter().map(Topology::len).collect::<Vec<_>>(), [2, 1]);
    let many = WorkerChoice::Processors(vec![vec![0]; 17]);
    assert_eq!(resolve(&machine, many, NodeChoice::Current).unwrap_err().code(), Code::ResourceExhausted);
}

/// Unless told otherwise an executor has 64 workers; any other number may be asked for, zero included.
#[test]
fn the_number_of_workers_is_limited() {
    let machine = stored!("fragmented");
    for (count_max, expected) in [(None, 64), (Some(0), 0), (Some(3), 3), (Some(500), 200)] {
        let request = TopologyRequest { count_max, ..TopologyRequest::default() };
        assert_eq!(request.resolve(&machine).unwrap()[0].len(), expected);
    }
}

/// A quota limits the number that is chosen for the user, never one that the user chose.
#[test]
fn quotas_limit_only_the_default() {
    let mut machine = stored!("two_chiplets");
    machine.limit_to(Quota { microseconds: 250_000, period_microseconds: 100_000 });
    let workers = |request: TopologyRequest| {
        let limit = request.count_from_quota(&machine);
        (request.resolve(&machine).unwrap()[0].len(), limit)
    };
    assert_eq!(workers(TopologyRequest::default()), (3, Some(3)));
    assert_eq!(workers(TopologyRequest { count_max: Some(8), ..TopologyRequest::default() }), (8, None));
    let counted = TopologyRequest { workers: WorkerChoice::Count(9), ..TopologyRequest::default() };
    assert_eq!(workers(counted), (9, None));
}
