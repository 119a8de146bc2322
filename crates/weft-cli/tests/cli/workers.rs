//! The flags of workers, seen in `weft devices` and checked by every command that runs programs.

use std::fs;
use std::path::Path;

use crate::program::{Folder, run, weft};

/// A machine of the crate that chooses workers, as a folder.
fn snapshot(name: &str) -> (Folder, String) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weft-task/tests/topology/machines");
    let manifest = fs::read_to_string(manifests.join(format!("{name}.manifest"))).unwrap();
    let folder = Folder::new();
    for line in manifest.lines().filter(|line| !line.starts_with('#')) {
        let (path, content) = line.split_once('=').unwrap();
        let path = folder.path(path);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let flag = format!("--task_topology_snapshot={}", folder.path(""));
    (folder, flag)
}

/// The processors of the workers of each executor, as the tables of `weft devices` show them.
fn executors(flags: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["devices"];
    arguments.extend(flags);
    let out = weft(&arguments).success();
    let mut executors = Vec::new();
    for line in out.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["executor", ..] => executors.push(Vec::new()),
            // Rows come after the executor that they belong to; other lines begin with no number.
            [worker, processor, _node, ..] if worker.parse::<u32>().is_ok() => {
                executors.last_mut().expect("a table has a heading").push((*processor).to_owned());
            }
            _ => {}
        }
    }
    executors
}

fn one(flags: &[&str]) -> String {
    let executors = executors(flags);
    assert_eq!(executors.len(), 1);
    executors[0].join(" ")
}

/// [task 76] [task 83] Levels, distributions and what they are favoured for, on a machine that is only described.
#[test]
fn flags_choose_and_order_cores() {
    let (_folder, phone) = snapshot("phone");
    for (flags, expected) in [
        (&[][..], "0 2 4 1 3 5 6 7"),
        (&["--task_topology_distribution=compact"], "0 1 2 3 4 5 6 7"),
        (&["--task_topology_performance_level=high"], "0 2 1 3"),
        (&["--task_topology_performance_level=efficiency"], "4 5 6 7"),
        (&["--task_topology_favor=latency"], "0 1 2 3"),
        (&["--task_topology_favor=efficiency", "--task_topology_distribution=scatter"], "4 5 6 7"),
        (&["--task_topology_max_group_count=3"], "0 2 4"),
        (&["--task_topology_max_group_count=0"], ""),
        (&["--task_topology_group_count=2"], "any any"),
        (&["--task_topology_cpu_ids=5,1,5", "--task_topology_group_count=2"], "5 1 5"),
    ] {
        assert_eq!(one(&[&[phone.as_str()], flags].concat()), expected, "{flags:?}");
    }
}

/// A device of whose workers there should be none has one; the table said that there are none.
#[test]
fn no_worker_becomes_one_worker() {
    let (_folder, phone) = snapshot("phone");
    let out = weft(&["devices", &phone, "--task_topology_max_group_count=0"]).success();
    assert!(out.contains("executor 0: 1 worker anywhere"), "{out}");
}

/// [task 84] Nodes and repeated lists of processors become executors.
#[test]
fn nodes_and_lists_become_executors() {
    let (_folder, nodes) = snapshot("two_nodes");
    let all = [nodes.as_str(), "--task_topology_nodes=all"];
    assert_eq!(one(&all), "0 4 1 5 2 6 3 7");
    let split = executors(&[&nodes, "--task_topology_nodes=numa"]);
    assert_eq!(split, [["0", "1", "2", "3"], ["4", "5", "6", "7"]]);
    assert_eq!(one(&[&nodes, "--task_topology_nodes=1"]), "4 5 6 7");
    assert_eq!(one(&[&nodes, "--task_topology_nodes="]).split(' ').count(), 4);
    let lists = executors(&[&nodes, "--task_topology_cpu_ids=3,2", "--task_topology_cpu_ids=6"]);
    assert_eq!(lists, [vec!["3", "2"], vec!["6"]]);
    let out = weft(&["devices", &nodes, "--task_topology_nodes=numa"]).success();
    for text in [
        "nodes:         0 (0-3), 1 (4-7)\n",
        "quota:",
        "executor 1: 4 workers, node 1",
        "32 MiB",
        "workers 1-3",
    ] {
        assert!(out.contains(text), "{text} is missing in {out}");
    }
}

/// [task 82] [task 83] Wrong values are named with their flag, by every command that has the flags; what a machine does
/// not have is refused when it is looked for.
#[test]
fn wrong_values_name_the_flag() {
    for (flag, value) in [
        ("task_topology_mode", "logical"),
        ("task_topology_nodes", "x"),
        ("task_topology_cpu_ids", "0-1"),
        ("task_topology_cpu_ids", ""),
        ("task_topology_group_count", "-1"),
        ("task_topology_group_count", "1025"),
        ("task_topology_group_count", "18446744073709551615"),
        ("task_topology_max_group_count", "many"),
        ("task_topology_performance_level", "medium"),
        ("task_topology_distribution", "random"),
        ("task_topology_favor", "luck"),
        ("task_worker_spin_us", "-5"),
        ("task_worker_stack_size", "128K"),
        ("task_worker_stack_size", "32767"),
        ("task_worker_local_memory", "x"),
        ("task_abort_on_failure", "perhaps"),
    ] {
        let argument = format!("--{flag}={value}");
        for done in [weft(&["devices", &argument]), run("tool_benchmarks", "doubled", &[&argument])] {
            let done = done.failure(2, "INVALID_ARGUMENT");
            assert!(done.err.contains(&format!("--{flag}=")), "{}", done.err);
        }
        weft(&["bench", "--module=tool_benchmarks.vmfb", &argument]).failure(2, flag);
    }
    let (_folder, nodes) = snapshot("memory_only_node");
    for (flag, code) in [
        ("--task_topology_nodes=1", "INVALID_ARGUMENT"),
        ("--task_topology_cpu_ids=4", "OUT_OF_RANGE"),
        ("--task_topology_snapshot=/nonexistent", "NOT_FOUND"),
    ] {
        let name = flag.split('=').next().unwrap();
        let done = weft(&["devices", &nodes, flag]).failure(1, code);
        assert!(done.err.contains(name) && done.out.is_empty(), "{}", done.err);
    }
}

/// Values that are understood change nothing for devices without workers.
#[test]
fn other_devices_do_not_mind() {
    for flag in
        ["--task_topology_group_count=2", "--task_worker_spin_us=20", "--task_topology_snapshot=/nonexistent"]
    {
        run("tool_benchmarks", "doubled", &[flag]).success();
    }
}

/// A word that is no flag is a mistake, not an empty wish.
#[test]
fn devices_takes_flags_only() {
    weft(&["devices", "local-sync"])
        .failure(2, "INVALID_ARGUMENT; weft devices takes flags only, found 'local-sync'");
}
