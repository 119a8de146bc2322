//! What holds for topologies of any machine, and for damaged descriptions.

use crate::manifest::{Folder, machine, stored};
use weft_sync::Code;
use weft_task::{AffinitySet, CoreSelection, Group, Machine, Topology, WORKERS_MAX};

fn processors(machine: &Machine) -> Vec<u32> {
    let topology = Topology::from_physical_cores(machine, &CoreSelection::default()).unwrap();
    topology.groups().iter().map(|group| group.placement.processor.unwrap()).collect()
}

/// [task 73] The capacity is that of executors: 1024 here, 256 in the reference.
#[test]
fn topologies_fill_up() {
    let mut topology = Topology::default();
    assert!(topology.is_empty() && topology.get(0).is_none());
    for index in 0..8u32 {
        let mut group = Group::UNPINNED;
        group.placement.processor = Some(index + 10);
        topology.push(group).unwrap();
    }
    let read: Vec<_> = (0..9).map(|index| topology.get(index)?.placement.processor).collect();
    assert_eq!(read[..8], (10..18).map(Some).collect::<Vec<_>>());
    assert_eq!(read[8], None);
    while topology.len() < WORKERS_MAX {
        topology.push(Group::UNPINNED).unwrap();
    }
    assert_eq!(topology.push(Group::UNPINNED).unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(topology.len(), WORKERS_MAX);
}

/// [task 74] Workers without a place; too many are cut to the capacity (1024 here, 256 in the reference).
#[test]
fn a_count_gives_workers_without_a_place() {
    for count in [0, 1, 300] {
        let topology = Topology::from_count(count);
        assert_eq!(topology.len(), count);
        for group in topology.groups() {
            assert_eq!(group.placement.processor, None);
            assert_eq!(group.sharing, AffinitySet::ALL);
            assert!(group.caches.l1_data >= 32 << 10 && group.caches.l2_data >= 128 << 10);
        }
    }
    assert_eq!(Topology::from_count(WORKERS_MAX + 44).len(), WORKERS_MAX);
}

/// [task 75] Whatever this machine is.
#[test]
fn at_most_four_cores_of_this_machine() {
    let machine = Machine::read_system().unwrap();
    let selection = CoreSelection { count_max: 4, ..CoreSelection::default() };
    let topology = Topology::from_physical_cores(&machine, &selection).unwrap();
    assert!((1..=4).contains(&topology.len()));
    let usable = machine.usable();
    assert!(topology.groups().iter().all(|group| usable.contains(group.placement.processor.unwrap())));
}

/// [task 79] Processors with numbers above 1023 and 4095, and a list of more than 4 KiB.
#[test]
fn large_numbers_and_long_lists() {
    let ids: Vec<u32> = (0..900).map(|index| 1001 + index * 7).collect();
    let text = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    assert!(text.len() > 4096 && ids.last() > Some(&4095));
    let machine = machine(&format!("cpu/present={text}\nnode/online=0\nnode/node0/cpulist={text}\n"));
    assert_eq!(processors(&machine), ids);
    assert_eq!(machine.node_of(ids[899]), Some(0));
    assert_eq!(machine.node_of(ids[899] + 1), None);
}

/// [task 81] A processor that is present and offline gets no worker, and its sibling stands for the core.
#[test]
fn offline_processors_get_no_worker() {
    let siblings = "cpu/cpu0/topology/core_cpus_list=0-1\ncpu/cpu1/topology/core_cpus_list=0-1\n";
    let machine = machine(&format!("cpu/present=0-3\ncpu/online=1-2\n{siblings}"));
    assert_eq!(processors(&machine), [1, 2]);
    assert_eq!(machine.present().to_string(), "0-3");
    let refused = Topology::from_processor_ids(&machine, &[0]).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("offline"), "{refused}");
}

/// [task 82] Lists keep their order and duplicates; what is absent is refused.
#[test]
fn explicit_lists_are_taken_as_they_are() {
    let machine = stored!("two_chiplets");
    let topology = Topology::from_processor_ids(&machine, &[9, 1, 9, 17]).unwrap();
    let placed: Vec<_> = topology.groups().iter().map(|group| group.placement.processor.unwrap()).collect();
    assert_eq!(placed, [9, 1, 9, 17]);
    assert!(topology.groups()[0].sharing.iter().eq([0, 2]));
    assert!(topology.groups()[1].sharing.iter().eq([1, 3]));
    assert_eq!(topology.node(), None);
    let refused = Topology::from_processor_ids(&machine, &[1, 32]).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("32"), "{refused}");
    assert_eq!(Topology::from_processor_ids(&machine, &[]).unwrap_err().code(), Code::InvalidArgument);
}

/// [task 83] A folder that describes no machine.
#[test]
fn folders_without_processors_are_not_found() {
    let folder = Folder::new();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        assert_eq!(Machine::read(&path).unwrap_err().code(), Code::NotFound);
    }
    folder.write("cpu/present", "0-x");
    assert_eq!(Machine::read(folder.path()).unwrap_err().code(), Code::InvalidArgument);
    folder.write("cpu/present", "0-4294967294");
    assert_eq!(Machine::read(folder.path()).unwrap_err().code(), Code::ResourceExhausted);
}

/// What is malformed is unknown; the rest of the machine stands.
#[test]
fn damaged_files_degrade_to_unknown() {
    let machine = machine(
        "cpu/present=0-3\ncpu/online=x\nnode/online=0-1\nnode/node0/cpulist=0-1\nnode/node1/cpulist=?\n\
         cpu/cpu0/topology/core_cpus_list=2-3\ncpu/cpu1/topology/core_id=-1\ncpu/cpu1/topology/physical_package_id=0\n\
         cpu/cpu2/cache/index0/level=1\ncpu/cpu2/cache/index0/type=Data\ncpu/cpu2/cache/index0/size=lots\n\
         cpu/cpu3/cpu_capacity=big\n",
    );
    assert_eq!(processors(&machine), [0, 1, 2, 3]);
    assert_eq!(machine.nodes().len(), 1);
    let topology = Topology::from_physical_cores(&machine, &CoreSelection::default()).unwrap();
    assert_eq!(topology.groups()[2].caches.l1_data, 32 << 10);
}
