//! Transfers that fail while parameters are loaded, gathered and scattered: each in turn, on both devices and on every
//! backend of proactors.

use std::sync::Arc;

use weft::hal::{BufferParams, Fault, Faults};
use weft::parameters::{ParameterFile, ParameterScopes};
use weft::{Code, Deadline, FilePoller, Result, Tensor};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, NULL, Span, TemporaryFile, World};

/// Longer than what a proactor is asked to move at once, which is 8 MiB.
const LONG: usize = (8 << 20) + 5;
const SHORT: usize = 5000;

const SPANS: [Span<'static>; 3] = [
    ("first", 0, 0, SHORT as u64),
    ("long", 0, SHORT as u64, LONG as u64),
    ("last", 1, (SHORT + LONG) as u64, SHORT as u64 - 1),
];

fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 247) as u8).collect()
}

fn archive() -> Vec<u8> {
    let data = counting(LONG);
    irpa(&[
        Entry::Data("first", &data[..SHORT]),
        Entry::Data("long", &data),
        Entry::Data("last", &data[..SHORT]),
    ])
}

/// One way to use parameters.
#[derive(Clone, Copy, Debug)]
enum Way {
    Load,
    Gather,
    Scatter,
}

impl Way {
    fn verb(self) -> &'static str {
        match self {
            Way::Load => "loading",
            Way::Gather => "gathering",
            Way::Scatter => "scattering into",
        }
    }
}

struct Setup<'a> {
    uri: &'a str,
    poller: FilePoller,
    file: &'a TemporaryFile,
    /// What all parameters together are.
    expected: &'a [u8],
}

impl Setup<'_> {
    /// Uses all parameters once. How many transfers that took, and what came of it.
    fn attempt(&self, way: Way, every: u64, fault: Fault) -> (u64, Result<()>) {
        let faults = Arc::new(Faults::every(every, fault));
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", &ParameterFile::open_writable(&self.file.0).unwrap()).unwrap();
        let poller = self.poller.with_faults(Arc::clone(&faults));
        let world = World::polled(weft::open_device(self.uri).unwrap(), scopes, poller);
        let params = BufferParams::device_local();
        let buffer = world.device.allocator().allocate(&params, (SHORT + LONG + SHORT) as u64).unwrap();
        let outcome = match way {
            Way::Load => {
                let alone = SPANS.map(|(name, offset, _, length)| (name, offset, 0, length));
                world.load(NULL, DEFAULT, &alone).map(|loaded| assert!(loaded.concat() == self.expected))
            }
            Way::Gather => world.transfer("gather", NULL, &buffer, &SPANS).map(|()| {
                let length = self.expected.len() as u64;
                assert!(buffer.read_to_vec(0, length).unwrap() == self.expected);
            }),
            Way::Scatter => {
                buffer.write(0, self.expected).unwrap();
                world.transfer("scatter", NULL, &buffer, &SPANS)
            }
        };
        world.device.wait_idle(Deadline::NEVER).unwrap();
        drop(buffer);
        let live = world.device.allocator().statistics().device.live();
        assert_eq!(live, 0, "{} {way:?}, every {every}th {fault:?}", self.uri);
        if outcome.is_err() {
            self.check_others(&world);
        }
        (faults.count(), outcome)
    }

    /// A program of the same session, whose proactor it was, goes on.
    fn check_others(&self, world: &World) {
        let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
        let other = world.session.load(programs.join("elementwise_f32.vmfb")).unwrap();
        let argument = Tensor::new(&[4], &[-1.0f32; 4]).unwrap();
        assert_eq!(other.call::<Tensor>("abs", argument).unwrap().to_vec::<f32>().unwrap(), [1.0; 4]);
    }

    fn check(&self, way: Way) {
        let (count, outcome) = self.attempt(way, 0, Fault::Ends);
        outcome.unwrap();
        assert!(count >= 3, "{count} transfers");
        for (fault, code) in [(Fault::Fails, Code::Unknown), (Fault::Ends, Code::OutOfRange)] {
            for every in 1..=count + 1 {
                let (_, outcome) = self.attempt(way, every, fault);
                let Err(status) = outcome else {
                    assert!(every > count, "{way:?}, every {every}th {fault:?} of {count} was not noticed");
                    continue;
                };
                let text = status.to_string();
                assert_eq!(status.code(), code, "{way:?}, every {every}th: {text}");
                let named = |name: &str| text.contains(&format!("{} parameter `{name}` of `", way.verb()));
                assert!(SPANS.iter().any(|(name, ..)| named(name)), "{way:?}, every {every}th: {text}");
                assert!(text.contains("transfer-faults"), "{way:?}, every {every}th: {text}");
            }
        }
        // Short transfers are no failures.
        self.attempt(way, 1, Fault::IsShort(3 << 20)).1.unwrap();
    }
}

fn expected() -> Vec<u8> {
    let data = counting(LONG);
    [&data[..SHORT], &data[..], &data[1..SHORT]].concat()
}

#[cfg(target_os = "linux")]
fn open_descriptors() -> usize {
    let here = std::fs::read_dir("/proc/self/fd").unwrap();
    // Other tests of this process open files meanwhile: only those of this one count.
    let targets = here.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("transfer-faults")).count()
}

#[cfg(not(target_os = "linux"))]
fn open_descriptors() -> usize {
    0
}

/// Every Nth transfer fails or ends early, for every N: the error names the parameter and its file, memory and
/// descriptors come back, other programs go on. [hal-module 35] [hal-module 54]
#[test]
fn every_transfer_of_parameters_may_fail() {
    let (file, expected) = (TemporaryFile::new("transfer-faults.irpa", &archive()), expected());
    for backend in ["uring", "epoll", "poll", "none"] {
        for uri in DEVICES {
            let poller = FilePoller::with_backend(backend);
            if let Some(why) = poller.why_synchronous().filter(|_| backend != "none") {
                println!("skipped: {backend}: {why}");
                continue;
            }
            let setup = Setup { uri, poller, file: &file, expected: &expected };
            [Way::Load, Way::Gather, Way::Scatter].into_iter().for_each(|way| setup.check(way));
        }
    }
    assert_eq!(open_descriptors(), 0);
}
