//! Groups of devices and the words of their edges, on devices without timelines.
//!
//! What does not live here: groups of devices whose queues signal epochs (`weft-cts/tests/groups.rs`).

use std::fmt::Debug;
use std::sync::Arc;

use weft_hal::group::{
    DeviceGroup, DevicePlace, Edge, EdgeCapabilities, EdgeFields, EdgeMatrix, EdgeMatrixBuilder,
    GROUP_DEVICES_MAX, GroupBuilder, HandleKinds, LinkClass, LinkMode,
};
use weft_hal::pool::{Pool, TlsfOptions};
use weft_hal::{Device, QueueAffinity, open_null_device};
use weft_sync::{Code, Machine, Result, TrackerOptions};

fn devices(count: usize) -> Vec<Arc<Device>> {
    (0..count).map(|_| open_null_device()).collect()
}

fn builder_of(devices: &[Arc<Device>]) -> GroupBuilder {
    let mut builder = GroupBuilder::local(devices.len()).unwrap();
    devices.iter().for_each(|device| builder.add(device, 0).unwrap());
    builder
}

fn group_of(devices: &[Arc<Device>]) -> Arc<DeviceGroup> {
    builder_of(devices).build().unwrap()
}

#[track_caller]
fn fails<T: Debug>(result: Result<T>, code: Code) {
    assert_eq!(result.expect_err("it should be refused").code(), code);
}

/// [hal 135] nobody, one too many; a builder is gone after it was used, and lets go of the devices.
#[test]
fn groups_have_1_to_32_devices() {
    fails(GroupBuilder::local(0).unwrap().build(), Code::InvalidArgument);
    fails(
        GroupBuilder::local(9).unwrap().build_with(EdgeMatrix::of_host(&[]).unwrap()),
        Code::InvalidArgument,
    );
    let all = devices(GROUP_DEVICES_MAX);
    let mut builder = builder_of(&all);
    let one_more = open_null_device();
    fails(builder.place(), Code::ResourceExhausted);
    fails(builder.add(&one_more, 0), Code::ResourceExhausted);
    let group = builder.build().unwrap();
    assert_eq!(group.devices().len(), 32);
    assert_eq!(group.membership(31).can_wait_from, 0x7FFF_FFFF);
    assert_eq!(group.device(31).membership().unwrap().base_axis.to_string(), "s1.m0.q31:0");
    assert!(one_more.membership().is_none());
    assert_eq!(Arc::strong_count(&one_more), 1);
    fails(EdgeMatrixBuilder::new(33), Code::ResourceExhausted);
}

/// [hal 135] the group holds its devices; who is held by none is in none, and may be put into another.
#[test]
fn devices_are_held_by_their_group() {
    let all = devices(2);
    let group = group_of(&all);
    assert_eq!(all.iter().map(Arc::strong_count).collect::<Vec<_>>(), [2, 2]);
    let [first, second] = [0, 1].map(|index| Arc::downgrade(&all[index]));
    drop(all);
    assert!(first.upgrade().is_some_and(|device| device.membership().is_some()));
    assert!(second.upgrade().is_some());
    let survivor = Arc::clone(group.device(1));
    drop(group);
    assert!(first.upgrade().is_none());
    assert!(survivor.membership().is_none());
    assert_eq!(group_of(&[Arc::clone(&survivor)]).membership(0).index, 0);
    // That group is gone as well.
    assert!(survivor.membership().is_none());
}

/// [hal 135] if the third device is refused, the first two are outside again, and the builder is gone.
#[test]
fn joining_is_all_or_nothing() {
    let all = devices(4);
    let taken = group_of(&all[2..3]);
    fails(builder_of(&all).build(), Code::FailedPrecondition);
    let inside: Vec<_> = all.iter().map(|device| device.membership().is_some()).collect();
    assert_eq!(inside, [false, false, true, false]);
    assert_eq!(all.iter().map(Arc::strong_count).collect::<Vec<_>>(), [1, 1, 2, 1]);
    let message = builder_of(&all).build().unwrap_err().to_string();
    assert!(message.contains("device 0 of another group") && message.contains("place 2"), "{message}");
    drop(taken);
    assert_eq!(group_of(&all).devices().len(), 4);
    // The same device cannot be in two places of one group.
    fails(builder_of(&[Arc::clone(&all[0]), Arc::clone(&all[0])]).build(), Code::FailedPrecondition);
    assert!(all[0].membership().is_none());
}

/// [hal 135] bitmaps leave out the device itself: one device has none, two have each other, of three each has two.
#[test]
fn bitmaps_are_of_others() {
    for expected in [&[0][..], &[0b10, 0b01], &[0x6, 0x5, 0x3]] {
        let all = devices(expected.len());
        let group = group_of(&all);
        for (index, (device, expected)) in all.iter().zip(expected).enumerate() {
            let known = device.membership().unwrap();
            let maps = [known.can_wait_from, known.can_signal_to, known.can_import_from, known.can_p2p_with];
            assert_eq!(maps, [*expected; 4], "device {index} of {}", all.len());
            assert_eq!(known.index as usize, index);
            assert_eq!(known.base_axis, Machine::LOCAL.queue(index as u8, 0));
            assert!(known.self_edge.is_native() && known.self_edge == group.edges().edge(index, index));
            assert!(Arc::ptr_eq(&known.tracker, group.tracker()));
        }
    }
}

/// [hal 135] bitmaps say what the edges say, each its own part, and only in the direction of the edge.
#[test]
fn bitmaps_follow_the_edges() {
    let far = EdgeFields {
        wait_mode: LinkMode::None,
        signal_mode: LinkMode::Import,
        noncoherent_read_mode: LinkMode::Copy,
        coherent_read_mode: LinkMode::None,
        link_class: LinkClass::UNKNOWN,
        ..EdgeFields::default()
    };
    let near = EdgeFields {
        wait_mode: LinkMode::Import,
        signal_mode: LinkMode::Copy,
        coherent_read_mode: LinkMode::Import,
        noncoherent_read_mode: LinkMode::None,
        capabilities: EdgeCapabilities::PEER_TO_PEER,
        ..far
    };
    let mut edges = EdgeMatrixBuilder::new(2).unwrap();
    edges.set(0, 0, Edge::to_self()).unwrap();
    edges.set(1, 1, Edge::to_self()).unwrap();
    edges.set(0, 1, far.pack().unwrap()).unwrap();
    edges.set(1, 0, near.pack().unwrap()).unwrap();
    let edges = edges.build().unwrap();
    let all = devices(2);
    fails(builder_of(&all[..1]).build_with(edges.clone()), Code::InvalidArgument);
    let group = builder_of(&all).build_with(edges).unwrap();
    let maps = |index: usize| {
        let known = group.membership(index);
        [known.can_wait_from, known.can_signal_to, known.can_import_from, known.can_p2p_with]
    };
    assert_eq!((maps(0), maps(1)), ([0, 0b10, 0, 0], [0b01, 0, 0b01, 0b01]));
}

/// [hal 135] nodes of the machine's memory are kept, and edges between them know that they are apart.
#[test]
fn nodes_are_kept() {
    let all = devices(3);
    let mut builder = GroupBuilder::new(TrackerOptions::default()).unwrap();
    for (device, node) in all.iter().zip([0, 3, 3]) {
        builder.add(device, node).unwrap();
    }
    let group = builder.build().unwrap();
    assert_eq!([0, 1, 2].map(|index| group.membership(index).numa_node), [0, 3, 3]);
    let distance = |from, to| group.edges().edge(from, to).numa_distance();
    assert_eq!([distance(0, 1), distance(1, 2), distance(1, 1)], [1, 0, 0]);
}

/// [hal 135] replacements stand in the same places, with the same edges and tracker; what is told stays where it is.
#[test]
fn replacements_take_the_places() {
    let (first, second) = (devices(2), devices(2));
    let group = group_of(&first);
    let address = |group: &DeviceGroup, index| std::ptr::from_ref(group.membership(index));
    let before = address(&group, 1);
    fails(group.replacement(&second[..1]), Code::InvalidArgument);
    let all_others = group.replacement(&second).unwrap();
    assert!(Arc::ptr_eq(group.edges(), all_others.edges()));
    assert!(Arc::ptr_eq(group.tracker(), all_others.tracker()));
    assert_eq!(second[1].membership().unwrap().base_axis, first[1].membership().unwrap().base_axis);
    assert_eq!([address(&group, 1), address(&all_others, 1)], [before; 2]);
    // One stays, one is replaced: it is inside as long as either group is there.
    let one_other = group.replacement(&[Arc::clone(&first[0]), open_null_device()]).unwrap();
    drop(group);
    assert!(first[0].membership().is_some());
    // Nobody takes a place that is not its own, and then nobody moved.
    let fresh = open_null_device();
    let swapped = [Arc::clone(&fresh), Arc::clone(&first[0])];
    fails(one_other.replacement(&swapped), Code::FailedPrecondition);
    assert!(fresh.membership().is_none());
    assert_eq!(first[0].membership().unwrap().index, 0);
}

/// [hal 132] a device in no group has no pools that queues share; a member has.
#[test]
fn pools_of_queues_need_a_group() {
    let device = open_null_device();
    fails(device.queue_pool_source(QueueAffinity::ANY).map(drop), Code::FailedPrecondition);
    let group = group_of(std::slice::from_ref(&device));
    let source = device.queue_pool_source(QueueAffinity::ANY).unwrap();
    let pool = Pool::tlsf(source, &TlsfOptions { slab_bytes: 4096, ..TlsfOptions::default() }).unwrap();
    assert_eq!(pool.capabilities().size_max, 4096);
    fails(device.queue_pool_source(QueueAffinity(0b10)).map(drop), Code::InvalidArgument);
    drop(group);
    fails(device.queue_pool_source(QueueAffinity::ANY).map(drop), Code::FailedPrecondition);
}

/// [hal 132] every place names other timelines, and those outside of groups are nobody else's.
#[test]
fn places_name_their_own_timelines() {
    let all = devices(3);
    let mut builder = GroupBuilder::local(3).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for device in &all {
        let place = builder.place().unwrap();
        assert_eq!(place.index(), Some(names.len() as u8 / 4));
        names.extend((0..4).map(|queue| place.queue_axis(queue)));
        builder.add(device, 0).unwrap();
    }
    for _ in 0..3 {
        let place = DevicePlace::alone(4).unwrap();
        assert_eq!((place.index(), place.base_axis()), (None, place.queue_axis(0)));
        names.extend((0..4).map(|queue| place.queue_axis(queue)));
    }
    assert_eq!(names.len(), 24);
}

fn fields_with(name: &str, value: u8) -> EdgeFields {
    let mode = [LinkMode::Native, LinkMode::Import, LinkMode::Copy, LinkMode::None][value as usize & 3];
    let mut fields = EdgeFields::default();
    match name {
        "wait_mode" => fields.wait_mode = mode,
        "signal_mode" => fields.signal_mode = mode,
        "noncoherent_read_mode" => fields.noncoherent_read_mode = mode,
        "noncoherent_write_mode" => fields.noncoherent_write_mode = mode,
        "coherent_read_mode" => fields.coherent_read_mode = mode,
        "coherent_write_mode" => fields.coherent_write_mode = mode,
        "capabilities" => fields.capabilities = EdgeCapabilities::from_bits_retain(u16::from(value) << 8),
        "wait_cost" => fields.wait_cost = value,
        "signal_cost" => fields.signal_cost = value,
        "copy_cost" => fields.copy_cost = value,
        "latency_class" => fields.latency_class = value,
        "numa_distance" => fields.numa_distance = value,
        "link_class" => fields.link_class = LinkClass(value),
        "semaphore_import" => fields.semaphore_import = HandleKinds::from_bits_retain(value),
        "semaphore_export" => fields.semaphore_export = HandleKinds::from_bits_retain(value),
        "buffer_import" => fields.buffer_import = HandleKinds::from_bits_retain(value),
        "buffer_export" => fields.buffer_export = HandleKinds::from_bits_retain(value),
        other => panic!("a field without a test: {other}"),
    }
    fields
}

/// Where the specification has each field: word, first bit, bits.
const SPECIFIED: [(&str, usize, u32, u32); 17] = [
    ("wait_mode", 0, 0, 2),
    ("signal_mode", 0, 2, 2),
    ("noncoherent_read_mode", 0, 4, 2),
    ("noncoherent_write_mode", 0, 6, 2),
    ("coherent_read_mode", 0, 8, 2),
    ("coherent_write_mode", 0, 10, 2),
    ("capabilities", 0, 12, 16),
    ("wait_cost", 0, 28, 4),
    ("signal_cost", 0, 32, 4),
    ("copy_cost", 0, 36, 4),
    ("latency_class", 0, 40, 4),
    ("numa_distance", 0, 44, 4),
    ("link_class", 0, 48, 3),
    ("semaphore_import", 1, 0, 8),
    ("semaphore_export", 1, 8, 8),
    ("buffer_import", 1, 16, 8),
    ("buffer_export", 1, 24, 8),
];

/// [hal 136] every field has bits of its own, where the specification has them, and touches no other.
#[test]
fn edge_fields_are_independent() {
    assert_eq!(EdgeFields::LAYOUT, SPECIFIED);
    assert_eq!(EdgeFields::default().pack().unwrap().words(), [0, 0]);
    for (name, word, first, width) in SPECIFIED {
        let all_ones = ((1u64 << width) - 1).min(0xFF) as u8;
        let fields = fields_with(name, all_ones);
        let mut words = [0; 2];
        let shift = if name == "capabilities" { first + 8 } else { first };
        words[word] = u64::from(all_ones) << shift;
        let edge = fields.pack().unwrap();
        assert_eq!(edge.words(), words, "{name}");
        assert_eq!(Edge::from_words(words).unwrap(), edge);
        assert_eq!(edge.fields(), fields, "{name}");
    }
    let wide =
        EdgeFields { capabilities: EdgeCapabilities::from_bits_retain(0xFFFF), ..EdgeFields::default() };
    assert_eq!(wide.pack().unwrap().words(), [0xFFFF << 12, 0]);
}

/// [hal 136] bits without a field are 0, and numbers that do not fit are refused rather than cut.
#[test]
fn reserved_bits_stay_zero() {
    for bit in 51..64 {
        fails(Edge::from_words([1 << bit, 0]), Code::InvalidArgument);
    }
    for bit in 32..64 {
        fails(Edge::from_words([0, 1 << bit]), Code::InvalidArgument);
    }
    let all = Edge::from_words([(1 << 51) - 1, (1 << 32) - 1]).unwrap();
    assert_eq!(all.fields().pack().unwrap(), all);
    for name in ["wait_cost", "signal_cost", "copy_cost", "latency_class", "numa_distance"] {
        fails(fields_with(name, 16).pack(), Code::InvalidArgument);
    }
    fails(fields_with("link_class", 8).pack(), Code::InvalidArgument);
}

/// [hal 136] the numbers of the modes.
#[test]
fn modes_have_their_numbers() {
    let modes = [LinkMode::Native, LinkMode::Import, LinkMode::Copy, LinkMode::None];
    assert_eq!(modes.map(|mode| mode as u8), [0, 1, 2, 3]);
    assert_eq!(modes.map(LinkMode::is_direct), [true, true, false, false]);
    for mode in modes {
        let edge = EdgeFields { signal_mode: mode, ..EdgeFields::default() }.pack().unwrap();
        assert_eq!((edge.signal_mode(), edge.words()[0]), (mode, (mode as u64) << 2));
    }
    assert!(Edge::to_self().is_native() && Edge::to_host_device(true).is_native());
    assert_eq!(Edge::to_self().link_class(), LinkClass::SAME_DEVICE);
    assert_eq!(Edge::to_host_device(false).link_class(), LinkClass::HOST_MEMORY);
}

/// [hal 136] no edge missing, nobody strange to itself, the same thing between two from both sides.
#[test]
fn matrices_keep_their_rules() {
    let host = EdgeMatrix::of_host(&[0, 0, 1]).unwrap();
    let copy_but = |skipped: Option<(usize, usize)>| {
        let mut builder = EdgeMatrixBuilder::new(3).unwrap();
        for (from, to) in (0..9).map(|at| (at / 3, at % 3)) {
            if skipped != Some((from, to)) {
                builder.set(from, to, host.edge(from, to)).unwrap();
            }
        }
        builder
    };
    assert_eq!(copy_but(None).build().unwrap(), host);
    for missing in (0..9).map(|at| (at / 3, at % 3)) {
        fails(copy_but(Some(missing)).build(), Code::InvalidArgument);
    }
    for (index, mode) in [(0, "wait_mode"), (1, "coherent_write_mode"), (2, "noncoherent_read_mode")] {
        let mut builder = copy_but(None);
        builder.set(index, index, fields_with(mode, LinkMode::Import as u8).pack().unwrap()).unwrap();
        fails(builder.build(), Code::InvalidArgument);
    }
    let other = EdgeFields { link_class: LinkClass::UNKNOWN, ..host.edge(0, 2).fields() }.pack().unwrap();
    let mut builder = copy_but(None);
    builder.set(0, 2, other).unwrap();
    fails(builder.clone().build(), Code::InvalidArgument);
    builder.set(2, 0, other).unwrap();
    assert_eq!(builder.build().unwrap().edge(2, 0).link_class(), LinkClass::UNKNOWN);
    fails(copy_but(None).set(3, 0, other), Code::OutOfRange);
    fails(copy_but(None).set(0, 3, other), Code::OutOfRange);
}
