//! Memory that runs short while parameters are loaded: at each allocation of a device in turn, and sizes that hostile
//! archives claim.

use std::sync::Arc;

use weft::hal::AllocatorWrapper;
use weft::parameters::{ArchiveFormat, ParameterFile, ParameterScopes};
use weft::{Code, Deadline, DeviceOptions, Fence, Session, Status, Tensor};

use crate::build::{Entry, irpa, read};
use crate::harness::{DEFAULT, DEVICES, NULL, Span, TemporaryFile, World};

const LENGTH: usize = 300_000;
const SPANS: [Span<'static>; 4] = [
    ("early", 0, 0, LENGTH as u64),
    ("pattern", 1, 0, 1000),
    ("late", 0, 0, LENGTH as u64),
    ("odd", 0, 0, 4097),
];

fn archive() -> Vec<u8> {
    let data: Vec<u8> = (0..LENGTH).map(|index| (index % 249) as u8).collect();
    irpa(&[
        Entry::Data("early", &data),
        Entry::Splat("pattern", 1001, &[1, 2, 3]),
        Entry::Data("late", &data),
        Entry::Splat("odd", 4097, &[9; 5]),
    ])
}

/// A device that refuses the allocation with this number, and no other.
fn options(refused: u64) -> DeviceOptions {
    let wrapper = AllocatorWrapper::parse(&format!("countdown:{refused};1")).unwrap();
    DeviceOptions { allocator_wrappers: vec![wrapper], ..DeviceOptions::default() }
}

fn scopes(file: &TemporaryFile) -> ParameterScopes {
    let mut scopes = ParameterScopes::new();
    scopes.add("", "x.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
    scopes
}

/// What a parameter's failure must say.
fn check_names(status: &Status, (name, ..): Span<'_>, file: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let text = status.to_string();
    assert!(text.contains(&format!("loading parameter `{name}`")), "not `{name}`: {text}");
    // Patterns are in no file.
    assert!(["pattern", "odd"].contains(&name) || text.contains(file), "{text}");
}

/// Each allocation of a load fails in turn: the fence and the error say for which parameter of which file, nothing stays
/// allocated, another program of the session goes on, and the next attempt succeeds. [hal-module 54] [hal-module 78]
#[test]
fn every_allocation_of_a_load_may_fail() {
    let file = TemporaryFile::new("short-memory.irpa", &archive());
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
    for uri in DEVICES {
        let mut refusals = 0;
        for refused in 0.. {
            let world = World::on(weft::open_device_with(uri, &options(refused)).unwrap(), scopes(&file));
            let other = world.session.load(programs.join("elementwise_f32.vmfb")).unwrap();
            let live = || world.device.allocator().statistics().device.live();
            let first = world.load(NULL, DEFAULT, &SPANS);
            world.device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(live(), 0, "{uri}, {refused}");
            let Err(status) = first else { break };
            refusals += 1;
            // Patterns come first, then files from their begin to their end.
            check_names(&status, SPANS[[1, 3, 0, 2][refused as usize]], "short-memory.irpa");
            let argument = Tensor::new(&[4], &[-1.0f32; 4]).unwrap();
            let answer: Tensor = other.call("abs", argument).unwrap();
            assert_eq!(answer.to_vec::<f32>().unwrap(), [1.0; 4]);
            let second = world.load(NULL, DEFAULT, &SPANS).unwrap();
            assert_eq!(second[1], [2, 3, 1].repeat(334)[..1000]);
            assert!(second[0] == second[2] && second[3] == [9; 4097]);
        }
        assert_eq!(refusals, SPANS.len(), "{uri}: a block for each parameter");
    }
}

/// Gather and scatter work in the caller's memory: without any more of it they go on. [hal-module 78]
#[test]
fn gathering_and_scattering_need_no_memory_of_the_device() {
    let file = TemporaryFile::new("no-memory.irpa", &archive());
    for uri in DEVICES {
        let wrapper = AllocatorWrapper::parse("countdown:1").unwrap();
        let options = DeviceOptions { allocator_wrappers: vec![wrapper], ..DeviceOptions::default() };
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", &ParameterFile::open_writable(&file.0).unwrap()).unwrap();
        let world = World::on(weft::open_device_with(uri, &options).unwrap(), scopes);
        let target = world.buffer(&vec![0; LENGTH]);
        assert_eq!(
            world.load(NULL, DEFAULT, &[("odd", 0, 0, 4097)]).unwrap_err().code(),
            Code::ResourceExhausted
        );
        let spans = [("early", 0, 0, 100_000), ("odd", 0, 100_000, 4097), ("late", 5, 200_000, 100_000)];
        world.transfer("gather", NULL, &target, &spans).unwrap();
        assert_eq!(target.read_to_vec(100_000, 3).unwrap(), [9; 3]);
        assert_eq!(target.read_to_vec(200_000, 3).unwrap(), [5, 6, 7]);
        world.transfer("scatter", NULL, &target, &[("late", 0, 0, 1000)]).unwrap();
    }
}

/// A program whose parameters find no memory is not loaded; the error says which parameter. The session goes on, and loads
/// it when there is memory. [hal-module 56]
#[test]
fn a_program_that_finds_no_memory_is_not_loaded() {
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
    let data = programs.join("data");
    for uri in DEVICES {
        let mut refusals = 0;
        for refused in 0.. {
            let mut scopes = ParameterScopes::new();
            for (scope, name) in [("model", "weights.irpa"), ("", "state.irpa")] {
                scopes.add(scope, name, &ParameterFile::open(data.join(name)).unwrap()).unwrap();
            }
            let device = weft::open_device_with(uri, &options(refused)).unwrap();
            let session = Session::builder().open_device(device.clone()).parameters(scopes).build().unwrap();
            let first = session.load(programs.join("parameters.vmfb"));
            let call = |program: &weft::Program| -> Vec<f32> {
                program.call::<Tensor>("get_bias", ()).unwrap().to_vec().unwrap()
            };
            let Err(status) = first else { break };
            refusals += 1;
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(device.allocator().statistics().device.live(), 0, "{uri}, {refused}");
            assert_eq!(call(&session.load(programs.join("parameters.vmfb")).unwrap()).len(), 2);
        }
        assert!(refusals > 0, "{uri}");
    }
}

/// What an archive claims is looked at before memory is asked for: parameters longer than memory, patterns without end,
/// headers and names that the file has no room for.
#[test]
fn claims_are_refused_before_memory_is_asked_for() {
    for length in [u64::MAX, 1 << 63, 1 << 46] {
        let file = ParameterFile::from_memory("claims", Arc::new(irpa(&[Entry::Splat("s", length, &[1])])));
        for uri in DEVICES {
            let world = World::of(uri, &file);
            let status = world.load(NULL, DEFAULT, &[("s", 0, 0, length)]).unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            assert!(status.to_string().contains("loading parameter `s`"), "{status}");
            let target = world.buffer(&[0; 8]);
            let gathered = world.transfer("gather", NULL, &target, &[("s", 0, 0, length)]);
            assert_eq!(gathered.unwrap_err().code(), Code::OutOfRange);
            // The end of it is a place like any other.
            world.transfer("gather", NULL, &target, &[("s", length - 8, 0, 8)]).unwrap();
            assert_eq!(target.read_to_vec(0, 8).unwrap(), [1; 8]);
            let signal = Fence::create();
            world.load_between(None, Some(&signal), NULL, DEFAULT, &[("s", 0, 0, 1)]).unwrap();
            signal.wait(Deadline::NEVER).unwrap();
        }
    }
    let claiming = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    for length in [u64::MAX, 1 << 62, 1 << 40, 3] {
        let status = read(ArchiveFormat::Safetensors, &claiming(length, b"{}")).unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        let gguf = [&b"GGUF\x03\0\0\0"[..], &length.to_le_bytes(), &[0; 8]].concat();
        assert_eq!(read(ArchiveFormat::Gguf, &gguf).unwrap_err().code(), Code::OutOfRange);
        let pairs = [&b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0"[..], &length.to_le_bytes(), &[0xFF; 8]].concat();
        assert_eq!(read(ArchiveFormat::Gguf, &pairs).unwrap_err().code(), Code::OutOfRange);
    }
}

/// A file without blocks that says it is longer than memory is refused when it is to be read as a whole, and read at
/// places all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_sparse_file_longer_than_memory_is_not_preloaded() {
    let file = TemporaryFile::new("sparse.irpa", &archive());
    let handle = std::fs::OpenOptions::new().write(true).open(&file.0).unwrap();
    // File systems differ in how long files may be, and some systems promise any memory.
    let promises = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    let longest = (42..60).rev().find(|bits| handle.set_len(1 << bits).is_ok());
    let (Some(bits), false) = (longest, promises.trim() == "1") else {
        return println!("skipped: no file is longer than memory here");
    };
    let status = ParameterFile::preload(&file.0).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{bits}: {status}");
    assert!(status.to_string().contains("sparse.irpa"), "{status}");
    let world = World::on(weft::open_device("local-task").unwrap(), scopes(&file));
    assert_eq!(world.load(NULL, DEFAULT, &[("pattern", 0, 0, 3)]).unwrap(), [[1, 2, 3]]);
}
