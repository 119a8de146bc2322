//! Folders that describe no machine, and are made to hurt whoever reads them. Each test is named after what was seen once.

use std::time::{Duration, Instant};

use crate::manifest::{Folder, machine};
use weft_sync::Code;
use weft_task::{CoreSelection, Distribution, Machine, Topology};

/// Generous: what is bounded takes a second or two without optimization, what is not takes minutes.
const PATIENCE: Duration = Duration::from_secs(if cfg!(tsan) { 600 } else { 20 });

fn processors(machine: &Machine) -> Vec<u32> {
    let topology = Topology::from_physical_cores(machine, &CoreSelection::default()).unwrap();
    topology.groups().iter().map(|group| group.placement.processor.unwrap()).collect()
}

#[cfg(unix)]
fn pipe(folder: &Folder, path: &str) {
    let path = folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
fn link(folder: &Folder, path: &str, target: &str) {
    let path = folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// [task 83]
#[cfg(unix)]
#[test]
fn a_pipe_blocked_the_reader() {
    let folder = Folder::new();
    pipe(&folder, "cpu/present");
    let refused = Machine::read(folder.path()).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("not a regular file"), "{refused}");
    let folder = Folder::new();
    folder.write("cpu/present", "0-1");
    pipe(&folder, "cpu/online");
    pipe(&folder, "node/online");
    pipe(&folder, "cpu/cpu0/topology/core_cpus_list");
    pipe(&folder, "cpu/cpu1/cache/index0/level");
    assert_eq!(processors(&Machine::read(folder.path()).unwrap()), [0, 1]);
}

/// [task 83]
#[cfg(unix)]
#[test]
fn a_link_to_an_endless_device_was_read_without_end() {
    let folder = Folder::new();
    link(&folder, "cpu/present", "/dev/zero");
    assert_eq!(Machine::read(folder.path()).unwrap_err().code(), Code::NotFound);
    let folder = Folder::new();
    folder.write("cpu/present", "0-1");
    link(&folder, "cpu/online", "/dev/zero");
    link(&folder, "cpu/cpu0/topology/core_cpus_list", "/dev/zero");
    link(&folder, "cpu/cpu1/cpu_capacity", "cpu_capacity");
    assert_eq!(processors(&Machine::read(folder.path()).unwrap()), [0, 1]);
}

#[test]
fn long_files_were_read_whole_however_many() {
    let start = Instant::now();
    let folder = Folder::new();
    folder.write("cpu/present", &" ".repeat((1 << 20) + 1));
    let refused = Machine::read(folder.path()).unwrap_err();
    assert!(refused.code() == Code::NotFound && refused.message().contains("too long"), "{refused}");
    // A list that is just short enough, again and again.
    folder.write("cpu/present", "0-99");
    folder.write("list", &format!("0-99{}", " ".repeat((1 << 20) - 4)));
    for processor in 0..100 {
        for file in ["core_cpus_list", "physical_package_id", "core_id"] {
            let path = folder.path().join(format!("cpu/cpu{processor}/topology/{file}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::hard_link(folder.path().join("list"), path).unwrap();
        }
    }
    assert_eq!(Machine::read(folder.path()).unwrap_err().code(), Code::ResourceExhausted);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

/// As many processors as there may be, about which nothing is known: each is a cache by itself.
#[test]
fn a_wide_machine_took_minutes_to_choose_from() {
    let folder = Folder::new();
    folder.write("cpu/present", if cfg!(tsan) { "0-8191" } else { "0-65535" });
    let start = Instant::now();
    let machine = Machine::read(folder.path()).unwrap();
    for distribution in [Distribution::Scatter, Distribution::Compact] {
        let selection = CoreSelection { distribution, ..CoreSelection::default() };
        let topology = Topology::from_physical_cores(&machine, &selection).unwrap();
        assert!(topology.groups().iter().map(|group| group.placement.processor.unwrap()).eq(0..1024));
        assert_eq!(Topology::from_logical_processors(&machine, &selection).unwrap(), topology);
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    folder.write("cpu/present", "0-65536");
    assert_eq!(Machine::read(folder.path()).unwrap_err().code(), Code::ResourceExhausted);
}

/// Each cache has the processors before it, too, and ends where no machine does; a processor is in the first cache that
/// has it, and caches take turns.
#[test]
fn caches_that_overlap_are_told_apart_by_their_order() {
    let cache = |id: u32, list: &str| {
        let index = format!("cpu/cpu{id}/cache/index0");
        format!("{index}/level=3\n{index}/type=Unified\n{index}/shared_cpu_list={list}\n")
    };
    let rising: String = (0..6).map(|id| cache(id, &format!("0-{id}"))).collect();
    assert_eq!(processors(&machine(&format!("cpu/present=0-5\n{rising}"))), [0, 1, 2, 3, 4, 5]);
    let wide = cache(2, "1-4294967294") + &cache(0, "0,3,5");
    assert_eq!(processors(&machine(&format!("cpu/present=0-5\n{wide}"))), [0, 1, 2, 3, 4, 5]);
    let two = cache(0, "0-2") + &cache(3, "2-5");
    assert_eq!(processors(&machine(&format!("cpu/present=0-5\n{two}"))), [0, 3, 1, 4, 2, 5]);
}
