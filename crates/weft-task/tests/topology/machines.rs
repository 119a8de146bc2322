//! Orders, nodes, sharing and caches of each machine.

use crate::manifest::stored;
use weft_task::{
    AffinitySet, CoreSelection, Distribution, Favor, Machine, PerformanceLevel, Topology, WORKERS_MAX,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn select(machine: &Machine, selection: CoreSelection) -> Topology {
    Topology::from_physical_cores(machine, &selection).unwrap()
}

fn scatter(machine: &Machine) -> Topology {
    select(machine, CoreSelection::default())
}

fn compact(machine: &Machine) -> Topology {
    select(machine, CoreSelection { distribution: Distribution::Compact, ..CoreSelection::default() })
}

fn level(machine: &Machine, level: PerformanceLevel) -> Vec<u32> {
    processors(&select(machine, CoreSelection { level, ..CoreSelection::default() }))
}

fn favor(machine: &Machine, favor: Favor) -> Vec<u32> {
    let (level, distribution) = favor.meaning();
    processors(&select(machine, CoreSelection { level, distribution, ..CoreSelection::default() }))
}

fn processors(topology: &Topology) -> Vec<u32> {
    topology.groups().iter().map(|group| group.placement.processor.unwrap()).collect()
}

/// The processors with which the worker on `processor` shares its last cache, itself included.
fn sharers(topology: &Topology, processor: u32) -> Vec<u32> {
    let placed = processors(topology);
    let index = placed.iter().position(|placed| *placed == processor).unwrap();
    let mut sharers: Vec<u32> = topology.groups()[index].sharing.iter().map(|index| placed[index]).collect();
    sharers.sort_unstable();
    sharers
}

/// [task 76] Three kinds of cores, each with a cache of its own; one node, which has no number.
#[test]
fn phone() {
    let machine = stored!("phone");
    let topology = scatter(&machine);
    assert_eq!(processors(&topology), [0, 2, 4, 1, 3, 5, 6, 7]);
    assert_eq!((topology.node(), machine.nodes().len()), (None, 0));
    assert_eq!(level(&machine, PerformanceLevel::High), [0, 2, 1, 3]);
    assert_eq!(level(&machine, PerformanceLevel::Low), [4, 5, 6, 7]);
    assert_eq!(favor(&machine, Favor::Latency), [0, 1, 2, 3]);
    assert_eq!(favor(&machine, Favor::Efficiency), [4, 5, 6, 7]);
    assert_eq!(favor(&machine, Favor::Throughput), processors(&topology));
    assert_eq!(sharers(&topology, 1), [0, 1]);
    assert_eq!(sharers(&topology, 6), [4, 5, 6, 7]);
    // Mask bits are positions in this order, not processors.
    assert_eq!(topology.groups()[1].sharing, [1, 4].into_iter().collect::<AffinitySet>());
    let caches = topology.groups()[0].caches;
    assert_eq!((caches.l1_data, caches.l2_data, caches.l3_data), (64 * KIB, 512 * KIB, 4 * MIB));
}

/// [task 76] No third level: each core is alone with its second-level cache.
#[test]
fn big_little() {
    let machine = stored!("big_little");
    let topology = scatter(&machine);
    assert_eq!(processors(&topology), [0, 1, 2, 3]);
    assert_eq!(level(&machine, PerformanceLevel::High), [0, 1]);
    assert_eq!(level(&machine, PerformanceLevel::Low), [2, 3]);
    assert!((0..4).all(|id| sharers(&topology, id) == [id]));
    assert_eq!(topology.groups()[0].caches.l3_data, 0);
}

/// [task 76] Core numbers that begin anew in each package do not fold the second package onto the first, whether the
/// system lists siblings or not.
#[test]
fn dual_sockets_have_all_their_cores() {
    for machine in [stored!("dual_socket"), stored!("dual_socket_no_siblings")] {
        let topology = scatter(&machine);
        assert_eq!(processors(&topology), [0, 4, 1, 5, 2, 6, 3, 7]);
        assert_eq!(processors(&compact(&machine)), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.node(), None);
        assert_eq!(sharers(&topology, 2), [0, 1, 2, 3]);
        assert_eq!(sharers(&topology, 5), [4, 5, 6, 7]);
    }
}

/// [task 76] Lists longer than any fixed buffer are read whole; processors about whose cores nothing is known are cores.
#[test]
fn fragmented() {
    let machine = stored!("fragmented");
    let topology = scatter(&machine);
    assert_eq!(processors(&topology), (0..200).map(|index| index * 2).collect::<Vec<_>>());
    assert_eq!(topology.node(), Some(0));
    assert!(topology.groups().iter().all(|group| group.placement.node == Some(0)));
    assert!(topology.groups().iter().all(|group| group.sharing.count() == 1));
    assert_eq!(topology.groups()[199].caches.l1_data, 32 * KIB);
    assert_eq!(topology.groups()[199].caches.l2_data, 128 * KIB);
}

/// [task 76] A package that the system calls 65535 is not known, and no reason to drop its cores.
#[test]
fn invalid_package() {
    let topology = scatter(&stored!("invalid_package"));
    assert_eq!(processors(&topology), [0, 1, 2, 3]);
    assert_eq!(topology.node(), None);
}

/// [task 76] A node without processors is no node.
#[test]
fn memory_only_node() {
    let machine = stored!("memory_only_node");
    assert_eq!(machine.nodes().iter().map(|node| node.id).collect::<Vec<_>>(), [0]);
    assert_eq!(scatter(&machine).node(), Some(0));
    let selection = CoreSelection { node: Some(1), ..CoreSelection::default() };
    let refused = Topology::from_physical_cores(&machine, &selection).unwrap_err();
    assert_eq!(refused.code(), weft_sync::Code::InvalidArgument);
    assert!(refused.message().contains("not present"), "{refused}");
}

/// [task 76] Two cores outside the third-level cache share their second-level cache.
#[test]
fn laptop_hybrid() {
    let topology = scatter(&stored!("laptop_hybrid"));
    let expected = [0, 20, 2, 21, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 19];
    assert_eq!(processors(&topology), expected);
    assert_eq!(sharers(&topology, 21), [20, 21]);
    let ring = [0, 2, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 19];
    assert_eq!(sharers(&topology, 0), ring);
    assert_eq!(sharers(&topology, 19), ring);
}

/// [task 76] One cache over two kinds of cores without capacities: kinds cannot be told apart, so no level leaves any out.
#[test]
fn desktop_hybrid() {
    let machine = stored!("desktop_hybrid");
    let topology = scatter(&machine);
    let expected: Vec<u32> = (0..16).step_by(2).chain(16..24).collect();
    assert_eq!(processors(&topology), expected);
    assert_eq!(topology.node(), Some(0));
    assert_eq!(level(&machine, PerformanceLevel::High), expected);
    assert_eq!(level(&machine, PerformanceLevel::Low), expected);
    assert_eq!(topology.groups()[0].caches.l2_data, 2 * MIB);
    assert_eq!(topology.groups()[15].caches.l2_data, 4 * MIB);
    assert_eq!(sharers(&topology, 16), expected);
}

/// [task 76] Nodes one by one, and all of them under one topology whose workers keep their own node.
#[test]
fn two_nodes() {
    let machine = stored!("two_nodes");
    for (node, expected) in [(0, [0, 1, 2, 3]), (1, [4, 5, 6, 7])] {
        let topology = select(&machine, CoreSelection { node: Some(node), ..CoreSelection::default() });
        assert_eq!(processors(&topology), expected);
        assert_eq!(topology.node(), Some(node));
        assert_eq!(topology.groups()[0].sharing, AffinitySet::first(4));
    }
    let all = scatter(&machine);
    assert_eq!(processors(&all), [0, 4, 1, 5, 2, 6, 3, 7]);
    assert_eq!(all.node(), None);
    let nodes: Vec<_> = all.groups().iter().map(|group| group.placement.node.unwrap()).collect();
    assert_eq!(nodes, [0, 1, 0, 1, 0, 1, 0, 1]);
}

/// [task 76] Scatter alternates between two caches, also when the list is cut: it is cut after it was ordered.
#[test]
fn two_chiplets() {
    let machine = stored!("two_chiplets");
    let alternating: Vec<u32> = (0..8).flat_map(|core| [core, core + 8]).collect();
    let topology = scatter(&machine);
    assert_eq!(processors(&topology), alternating);
    assert_eq!(processors(&compact(&machine)), (0..16).collect::<Vec<_>>());
    assert_eq!(sharers(&topology, 9), (8..16).collect::<Vec<_>>());
    let cut = select(&machine, CoreSelection { count_max: 10, ..CoreSelection::default() });
    assert_eq!(processors(&cut), alternating[..10]);
    assert!(cut.groups()[0].sharing.iter().eq((0..10).step_by(2)));
    let logical = Topology::from_logical_processors(&machine, &CoreSelection::default()).unwrap();
    assert_eq!(logical.len(), 32);
    assert_eq!(processors(&logical)[..4], [0, 8, 1, 9]);
    assert!(logical.len() <= WORKERS_MAX);
}
