//! Hundreds of small parameters: they share memory, and are read in the order in which they lie in their file.

use std::sync::Arc;

use weft::hal::{AllocatorWrapper, Buffer, DeallocaFlags, Fault, Faults, Submission};
use weft::parameters::{ParameterFile, ParameterScopes};
use weft::{Code, Deadline, DeviceOptions, Fence, FilePoller};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, IMMUTABLE, NULL, Span, TemporaryFile, World};

const LARGE: usize = 5 << 20;
const LITTLE: usize = 1536;
const COUNT: usize = 60;

/// What the parameter with this number holds: 60 of 80 KiB to 1.1 MiB, 35 MiB in all, which share three rooms; a large one,
/// and little ones that are too few.
fn contents(index: usize) -> Vec<u8> {
    let length = match index {
        0 => LARGE,
        1..=COUNT => (64 << 10) + index * 17_777 + index % 3,
        _ => LITTLE,
    };
    (0..length).map(|at| ((at ^ index) % 251) as u8).collect()
}

fn names() -> Vec<String> {
    (0..COUNT + 9).map(|index| format!("p{index}")).collect()
}

fn archive(names: &[String]) -> Vec<u8> {
    let contents: Vec<Vec<u8>> = (0..names.len()).map(contents).collect();
    let entries: Vec<Entry<'_>> =
        names.iter().zip(&contents).map(|(name, bytes)| Entry::Data(name, bytes)).collect();
    irpa(&entries)
}

/// From the last to the first, as compilers like to list them.
fn backwards(names: &[String]) -> Vec<Span<'_>> {
    let spans = names.iter().enumerate().map(|(index, name)| (&**name, 0, 0, contents(index).len() as u64));
    spans.rev().collect()
}

fn scopes(file: &TemporaryFile) -> ParameterScopes {
    let mut scopes = ParameterScopes::new();
    scopes.add("", "x.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
    scopes
}

fn check(buffers: &[Arc<Buffer>], index: usize) {
    let buffer = &buffers[buffers.len() - 1 - index];
    assert!(buffer.read_to_vec(0, u64::MAX).unwrap() == contents(index), "p{index}");
}

/// The list is in the program's order; a parameter that is deallocated takes none of the others along; the memory goes with
/// the last of those that share it. [hal-module 53]
#[test]
fn small_parameters_share_memory_and_nothing_else() {
    let names = names();
    let file = TemporaryFile::new("small.irpa", &archive(&names));
    for uri in DEVICES {
        for backend in ["io_uring", "epoll", "poll"] {
            let file = ParameterFile::open(&file.0).unwrap();
            let (world, _) = World::read_by(uri, &file, backend).unwrap();
            let signal = Fence::create();
            let buffers = world.load_between(None, Some(&signal), NULL, DEFAULT, &backwards(&names)).unwrap();
            signal.wait(Deadline::NEVER).unwrap();
            (0..names.len()).for_each(|index| check(&buffers, index));
            let of = |index: usize| &buffers[buffers.len() - 1 - index];
            assert!(buffers.iter().all(|buffer| buffer.byte_offset().is_multiple_of(64)));
            let rooms = (2..=COUNT).filter(|&index| !of(index).same_allocation(of(index - 1))).count() + 1;
            assert_eq!(rooms, 3, "of 16 MiB each");
            for alone in [0, COUNT + 1, COUNT + 2] {
                let others = (0..names.len()).filter(|&index| index != alone);
                assert!(others.into_iter().all(|index| !of(index).same_allocation(of(alone))), "p{alone}");
            }
            for (index, buffer) in buffers.iter().enumerate().filter(|(index, _)| index % 2 == 0) {
                let signal = Fence::create();
                let at = Submission::between(None, Some(&signal));
                world.device.queue_dealloca(&at, buffer, DeallocaFlags::empty()).unwrap();
                signal.wait(Deadline::NEVER).unwrap();
                assert!(index + 2 >= buffers.len() || buffers[index + 1].is_committed());
            }
            (0..names.len())
                .filter(|index| (names.len() - 1 - index) % 2 == 1)
                .for_each(|index| check(&buffers, index));
            let live = || world.device.allocator().statistics().device.live();
            let last = buffers[names.len() - 1 - COUNT].clone();
            drop(buffers);
            assert!((1..=16 << 20).contains(&live()), "{} bytes are held by one parameter", live());
            drop(last);
            world.device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(live(), 0, "{uri}, {backend}");
        }
    }
}

/// Memory that cannot be had is told of a parameter that was to lie in it, the first; and nothing stays. [hal-module 54]
#[test]
fn shared_memory_that_cannot_be_had_is_told_of_the_first_in_it() {
    let names = names();
    let file = TemporaryFile::new("small-short.irpa", &archive(&names));
    for uri in DEVICES {
        let mut told = Vec::new();
        for refused in 0.. {
            let wrapper = AllocatorWrapper::parse(&format!("countdown:{refused};1")).unwrap();
            let options = DeviceOptions { allocator_wrappers: vec![wrapper], ..DeviceOptions::default() };
            let world = World::on(weft::open_device_with(uri, &options).unwrap(), scopes(&file));
            let loaded = world.load(NULL, DEFAULT, &backwards(&names));
            world.device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(world.device.allocator().statistics().device.live(), 0, "{uri}, {refused}");
            let Err(status) = loaded else { break };
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            let text = status.to_string();
            told.extend(names.iter().position(|name| text.contains(&format!("parameter `{name}` of `"))));
        }
        assert_eq!(told.len(), 1 + 3 + 8, "{uri}: {told:?}");
        assert_eq!(told[..2], [0, 1], "{uri}");
        assert!(told.is_sorted() && told[3] < COUNT && told[4] == COUNT + 1, "{uri}: {told:?}");
    }
}

/// The n-th transfer is that of the n-th parameter in the file, whatever the order of the program. [hal-module 53]
#[test]
fn files_are_read_from_their_begin_to_their_end() {
    let names = names();
    let file = TemporaryFile::new("small-order.irpa", &archive(&names));
    for (nth, name) in [(1, "p0"), (2, "p1"), (3, "p2"), (40, "p39"), (62, "p61"), (69, "p68")] {
        let faults = Arc::new(Faults::every(nth, Fault::Fails));
        let poller = FilePoller::new().with_faults(faults);
        let world = World::polled(weft::open_device("local-sync").unwrap(), scopes(&file), poller);
        let status = world.load(NULL, DEFAULT, &backwards(&names)).unwrap_err();
        assert!(status.to_string().contains(&format!("loading parameter `{name}` of")), "{nth}: {status}");
    }
}

/// Each has owners of its own, as those that are used in place have. [hal-module 55]
#[test]
fn small_parameters_have_owners_of_their_own() {
    let names = names();
    let file = TemporaryFile::new("small-owners.irpa", &archive(&names));
    for uri in DEVICES {
        for opened in [ParameterFile::open(&file.0).unwrap(), ParameterFile::preload(&file.0).unwrap()] {
            let world = World::of(uri, &opened);
            let signal = Fence::create();
            let buffers =
                world.load_between(None, Some(&signal), NULL, IMMUTABLE, &backwards(&names)).unwrap();
            signal.wait(Deadline::NEVER).unwrap();
            let [one, two, three] = [2, 3, 4].map(|index| &buffers[names.len() - index]);
            one.preserve();
            assert!(two.discard() && !one.is_terminal(), "{uri}");
            assert!(!one.discard() && one.is_terminal() && one.discard(), "{uri}");
            assert!(three.is_terminal() && three.subspan(8, 8).unwrap().is_terminal(), "{uri}");
            assert!(!two.is_terminal() && !two.discard(), "{uri}");
        }
    }
}
