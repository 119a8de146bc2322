//! Sessions and programs with several devices.
//!
//! What does not live here: groups themselves (`weft-hal/tests/groups.rs`, `weft-cts/tests/groups.rs`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use weft::hal::QueueAffinity;
use weft::task::{TaskOptions, TopologyRequest, WorkerChoice};
use weft::{Code, DeviceOptions, Session, Tensor};

/// Two workers for each local-task device, whatever the machine has.
fn options() -> DeviceOptions {
    let topology = TopologyRequest { workers: WorkerChoice::Count(2), ..TopologyRequest::default() };
    DeviceOptions { task: TaskOptions { topology, ..TaskOptions::default() }, ..DeviceOptions::default() }
}

fn session(devices: &[&str], lead: usize) -> Session {
    let builder = Session::builder().device_options(options()).lead_device(lead);
    devices.iter().fold(builder, |builder, uri| builder.device(*uri)).build().unwrap()
}

/// [hal 132] [hal 135] the devices of a session are one group: one tracker, timelines of their own, memory for all.
#[test]
fn devices_of_a_session_are_a_group() {
    let session = session(&["local-task", "local-sync", "local-task", "null"], 0);
    let devices = session.devices().unwrap();
    let group = session.group().unwrap().expect("the session opened them");
    assert_eq!(devices.len(), 4);
    let axes: BTreeSet<_> = devices.iter().filter_map(|device| device.queue_axis(0)).collect();
    assert_eq!(axes.len(), 2);
    for (index, device) in devices.iter().enumerate() {
        assert!(Arc::ptr_eq(device, group.device(index)));
        let known = device.membership().unwrap();
        assert_eq!((usize::from(known.index), known.can_wait_from), (index, 0xF & !(1 << index)));
        assert!(Arc::ptr_eq(&known.tracker, group.tracker()));
        device.queue_pool_source(QueueAffinity::ANY).unwrap();
    }
}

/// [hal 132] [hal 135] devices that were given stay outside; a session has at most 32 of its own, and one if nobody says.
#[test]
fn given_devices_are_not_moved() {
    let given = weft::open_device("local-task").unwrap();
    let session = Session::builder().open_device(given.clone()).build().unwrap();
    assert_eq!(session.devices().unwrap().len(), 1);
    assert!(session.group().unwrap().is_none() && given.membership().is_none());
    let refused = given.queue_pool_source(QueueAffinity::ANY).err().unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let session = Session::builder().open_device(given.clone()).device("local-sync").build().unwrap();
    assert_eq!(session.devices().unwrap().len(), 2);
    assert_eq!(session.group().unwrap().unwrap().devices().len(), 1);
    assert!(given.membership().is_none());

    assert_eq!(Session::new().unwrap().group().unwrap().unwrap().devices().len(), 1);
    let many = self::session(&["null"; 33], 0);
    assert_eq!(many.devices().err().unwrap().code(), Code::ResourceExhausted);
    assert_eq!(self::session(&["null"; 32], 31).devices().unwrap().len(), 32);
}

/// A program whose second half runs on another device gives the same on every pair, also if they have to wait for each
/// other's work, whichever of them lends itself to the caller. [hal 113]
#[test]
fn programs_on_two_devices() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs/two_devices.vmfb");
    let pairs = [
        ["local-sync", "local-sync"],
        ["local-task", "local-task"],
        ["local-task", "local-sync"],
        ["local-sync", "local-task"],
    ];
    for pair in pairs {
        for lead in [0, 1] {
            let session = session(&pair, lead);
            let run = session.load(&path).unwrap().function("run").unwrap();
            for round in 0..100u8 {
                let values = [0.0, 1.0, 2.0, 3.0].map(|value: f32| value + f32::from(round));
                let input = Tensor::new(&[4], &values).unwrap();
                let output: Tensor = run.call((input,)).unwrap();
                let expected = values.map(|value| 4.0 * value * value);
                assert_eq!(output.to_vec::<f32>().unwrap(), expected, "{pair:?}, lead {lead}");
            }
        }
    }
}
