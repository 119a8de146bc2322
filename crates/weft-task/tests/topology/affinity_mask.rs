//! Threads, masks and the machine below.
#![cfg(target_os = "linux")]

use std::thread;

use crate::manifest::stored;
use weft_sync::Code;
use weft_task::{
    CoreSelection, Machine, Placement, ProcessorSet, Topology, TopologyRequest, WorkerChoice,
    allowed_processors, set_allowed_processors,
};

/// [task 80] A thread that may use one processor sees one core, whichever it is.
#[test]
fn a_mask_of_one_processor_gives_one_worker_on_it() {
    for id in allowed_processors().unwrap().iter() {
        let seen = thread::spawn(move || {
            set_allowed_processors(&ProcessorSet::single(id)).unwrap();
            let machine = Machine::read_system().unwrap();
            TopologyRequest::default().resolve(&machine).unwrap()
        });
        let topologies = seen.join().unwrap();
        assert_eq!(topologies.len(), 1);
        assert_eq!(topologies[0].len(), 1);
        assert_eq!(topologies[0].groups()[0].placement.processor, Some(id));
    }
}

/// [task 80] Of each core the first processor within the mask is taken; outside of it nothing is placed, not even on
/// request.
#[test]
fn workers_stay_within_the_mask() {
    let mut machine = stored!("two_chiplets");
    machine.allow_only(&"9,16-18,25".parse().unwrap());
    let topology = Topology::from_physical_cores(&machine, &CoreSelection::default()).unwrap();
    let placed: Vec<_> = topology.groups().iter().map(|group| group.placement.processor.unwrap()).collect();
    assert_eq!(placed, [9, 16, 17, 18]);
    let request =
        TopologyRequest { workers: WorkerChoice::Processors(vec![vec![9, 0]]), ..TopologyRequest::default() };
    let refused = request.resolve(&machine).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("not allowed"), "{refused}");
}

/// [task 60] A thread is where it was placed; a place that the machine does not have is refused, and the thread goes on.
#[test]
fn threads_go_where_they_are_placed() {
    let last = allowed_processors().unwrap().iter().last().unwrap();
    let machine = Machine::read_system().unwrap();
    thread::spawn(move || {
        let placement =
            Placement { processor: Some(last), node: machine.node_of(last), ..Placement::ANYWHERE };
        placement.apply().unwrap();
        assert_eq!(allowed_processors().unwrap(), ProcessorSet::single(last));
        for absent in [1000, 5000, u32::MAX - 1] {
            let placement = Placement { processor: Some(absent), ..Placement::ANYWHERE };
            assert_eq!(placement.apply().unwrap_err().code(), Code::Unavailable);
        }
        Placement::ANYWHERE.apply().unwrap();
        assert_eq!(allowed_processors().unwrap(), ProcessorSet::single(last));
    })
    .join()
    .unwrap();
}
