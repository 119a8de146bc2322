//! SUSPEND, RESUME and LOW_MEMORY, from the program down to the devices, the files and the providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use weft::hal::AllocatorWrapper;
use weft::parameters::{ParameterEntry, ParameterFile, ParameterProvider, ParameterScopes};
use weft::vm::native::Signal;
use weft::{Deadline, DeviceOptions, Fence, Program, Result};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, NULL, TemporaryFile, World};

/// A provider that counts how often it is asked for room.
struct Counting(weft::parameters::IndexProvider, AtomicU32);

impl ParameterProvider for Counting {
    fn handles(&self, scope: &[u8]) -> bool {
        self.0.handles(scope)
    }

    fn find(&self, scope: &[u8], key: &[u8]) -> Result<Arc<ParameterEntry>> {
        self.0.find(scope, key)
    }

    fn trim(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// How often this process has a file open. Opened once by whoever reads headers, once more for each device.
#[cfg(target_os = "linux")]
fn times_open(name: &str) -> usize {
    let here = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = here.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains(name)).count()
}

/// Loads, then asks for room: blocks that the device keeps go back to the system, files that it has open are closed,
/// providers are told. What is in use stays, and everything works afterwards as before.
fn check(uri: &str, signal: Signal, trims: bool) {
    let name = format!("notified-{uri}-{signal:?}.irpa");
    let file = TemporaryFile::new(&name, &irpa(&[Entry::Data("a", &[7; 100_000])]));
    let mut scopes = ParameterScopes::new();
    scopes.add("", "x.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
    let index = Arc::clone(scopes.index(""));
    let provider = Arc::new(Counting(weft::parameters::IndexProvider::new("", index), AtomicU32::new(0)));
    drop(scopes);
    // Blocks that come back are kept, until somebody asks for room. The system gives two, refuses once, and goes on.
    let wrapper = |text| AllocatorWrapper::parse(text).unwrap();
    let allocator_wrappers = vec![wrapper("countdown:2;1"), wrapper("caching")];
    let options = DeviceOptions { allocator_wrappers, ..DeviceOptions::default() };
    let device = weft::open_device_with(uri, &options).unwrap();
    let world = World::provided(device, Arc::clone(&provider) as Arc<dyn ParameterProvider>);
    let program: Program = world.program("load");
    let try_load = || {
        let fence = Fence::create();
        let buffers = world.load_by(&program, None, Some(&fence), NULL, DEFAULT, &[("a", 0, 0, 100_000)]);
        let reached = fence.wait(Deadline::NEVER);
        buffers.and_then(|buffers| reached.map(|()| buffers[0].clone()))
    };
    let load = || try_load().unwrap().read_to_vec(0, u64::MAX).unwrap();
    let kept = try_load().unwrap();
    for _ in 0..2 {
        assert_eq!(load(), [7; 100_000], "the second time out of the cache");
        world.device.wait_idle(Deadline::NEVER).unwrap();
    }
    #[cfg(target_os = "linux")]
    assert_eq!(times_open(&name), 2, "{uri}");
    // Whoever imports devices has them trimmed; whoever imports parameters has files closed.
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
    let other = world.session.load(programs.join("elementwise_f32.vmfb")).unwrap();
    program.signal(signal).unwrap();
    other.signal(signal).unwrap();
    #[cfg(target_os = "linux")]
    assert_eq!(times_open(&name), if trims { 1 } else { 2 }, "{uri} {signal:?}");
    assert_eq!(provider.1.load(Ordering::SeqCst), u32::from(trims), "{uri} {signal:?}");
    let status = try_load().err();
    assert_eq!(status.is_some(), trims, "{uri} {signal:?}: the block came from the system: {status:?}");
    assert_eq!(kept.read_to_vec(0, u64::MAX).unwrap(), [7; 100_000], "what is in use stays");
    for _ in 0..2 {
        assert_eq!(load(), [7; 100_000], "{uri} {signal:?}");
    }
    #[cfg(target_os = "linux")]
    assert_eq!(times_open(&name), 2, "opened again, once");
}

/// [hal-module 42]
#[test]
fn programs_give_back_what_they_can() {
    for uri in DEVICES {
        check(uri, Signal::Suspend, true);
        check(uri, Signal::LowMemory, true);
        check(uri, Signal::Resume, false);
    }
}

/// A notification while transfers are under way takes nothing from them. [hal-module 42] [hal-module 79]
#[test]
fn notifications_do_not_disturb_transfers() {
    let file = TemporaryFile::new("disturbed.irpa", &irpa(&[Entry::Data("a", &vec![3; 20 << 20])]));
    for uri in DEVICES {
        let world = World::of(uri, &ParameterFile::open(&file.0).unwrap());
        let program = world.program("load");
        // The device of the queue that works inside the call would wait there.
        let waits = uri == "local-task";
        let (wait, signal) = (Fence::create(), Fence::create());
        let spans = [("a", 0, 0, 20 << 20), ("a", 5, 0, 1000)];
        let before = waits.then_some(&wait);
        let buffers = world.load_by(&program, before, Some(&signal), NULL, DEFAULT, &spans).unwrap();
        program.signal(Signal::LowMemory).unwrap();
        wait.signal().unwrap();
        program.signal(Signal::Suspend).unwrap();
        signal.wait(Deadline::NEVER).unwrap();
        assert!(buffers[0].read_to_vec(0, u64::MAX).unwrap().iter().all(|byte| *byte == 3), "{uri}");
        assert_eq!(buffers[1].read_to_vec(0, u64::MAX).unwrap(), [3; 1000]);
    }
}
