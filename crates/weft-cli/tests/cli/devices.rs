//! Listings of drivers and devices, and devices that do not exist.

use crate::program::{command, finish, run, weft};

/// [hal-module 74] The listings that scripts read, from any command; nothing runs.
#[test]
fn listings_have_their_format() {
    for command in ["run", "bench", "check", "devices"] {
        let drivers = weft(&[command, "--list_drivers"]).success();
        let rule = format!("# {}\n", "=".repeat(76));
        let head = format!(
            "{rule}# Available HAL drivers\n{rule}# Use --list_devices={{driver name}} to enumerate available devices.\n\n      local-sync: "
        );
        assert!(drivers.starts_with(&head), "{drivers}");
        let devices = weft(&[command, "--list_devices"]).success();
        assert!(devices.lines().any(|line| line == "local-sync://"));
        assert_eq!(weft(&[command, "--list_devices=local-sync"]).success(), "local-sync://\n");
        let details = weft(&[command, "--dump_devices=local-sync"]).success();
        let device = format!("# ==={}===\n", "-".repeat(70));
        assert_eq!(
            details,
            format!(
                "{rule}# Enumerated devices for driver 'local-sync'\n{rule}\n{device}# --device=local-sync://\n#   \
                 default\n{device}"
            )
        );
        weft(&[command, "--list_devices=bogus"]).failure(1, "NOT_FOUND; no driver 'bogus' registered");
        weft(&[command, "--dump_devices=bogus"]).failure(1, "NOT_FOUND; no driver 'bogus' registered");
    }
}

/// [hal-module 74] Devices that do not exist are refused, with the names of those that do.
#[test]
fn unknown_devices_are_refused() {
    let with = |flag: &str| run("tool_benchmarks", "doubled", &[flag]);
    let done = with("--device=bogus").failure(1, "NOT_FOUND; no driver 'bogus' registered");
    assert!(done.err.contains("local-sync") && done.out.is_empty());
    with("--device=").failure(1, "NOT_FOUND; no driver '' registered");
    with("--device=local-sync://path").failure(1, "NOT_FOUND");
    with("--device_lead_allocator=9").failure(1, "OUT_OF_RANGE");
    with("--device_allocator=foo").failure(1, "INVALID_ARGUMENT; unrecognized allocator 'foo'");
    for flag in [
        "--device=local-sync",
        "--device=local-sync://",
        "--device=local-sync://?key=value",
        "--device=local-task",
        "--device=local-task://",
    ] {
        with(flag).success();
    }
    for flag in ["--device_allocator=caching", "--device_allocator=debug"] {
        assert!(with(flag).success().ends_with("4xf32=2 4 6 8\n"));
    }
}

/// Programs that need no device do not open one, so that a wrong one does not matter.
#[test]
fn programs_without_devices_open_none() {
    let done = run("tool_values", "fail", &["--input=0", "--device=bogus", "--print_statistics"]);
    assert!(!done.err.contains("Device:"));
    done.success();
}

/// `weft devices` tells people what there is.
#[test]
fn people_see_what_devices_can_do() {
    let out = weft(&["devices"]).success();
    for text in ["Drivers:\n", "--device=local-sync", "queues:", "formats:", "cpu features:"] {
        assert!(out.contains(text), "{text} is missing in {out}");
    }
    if cfg!(target_arch = "x86_64") {
        assert!(out.contains("embedded-elf-x86_64"));
    }
}

/// [async-backends 16] `weft devices` tells which backend carries input and output, what it can do, and why there is none.
#[test]
fn people_see_what_carries_input_and_output() {
    let with = |backend: Option<&str>| {
        let mut command = command(&["devices"]);
        command.env_remove("WEFT_IO_BACKEND");
        finish(command.envs(backend.map(|name| ("WEFT_IO_BACKEND", name)))).success()
    };
    let section = |out: &str| {
        let start = out.find("Input and output: ").unwrap_or_else(|| panic!("no such section: {out}"));
        out[start..].split("\n\n").next().expect("there is a first").to_owned()
    };
    let null = section(&with(Some("null")));
    assert!(null.starts_with("Input and output: null "), "{null}");
    assert!(null.contains("\n  capabilities: linked-operations absolute-timeout"), "{null}");
    let none = section(&with(Some("pigeons")));
    assert!(none.starts_with("Input and output: none\n  INVALID_ARGUMENT"), "{none}");
    assert!(none.contains("pigeons") && none.lines().count() == 2, "{none}");
    let best = section(&with(None));
    assert!(!best.contains("null"), "{best}");
    // Either something was opened, or each of those that were tried says why not.
    assert!(best.contains("capabilities: ") || best.contains("UNAVAILABLE"), "{best}");
}

/// [hal 113] [hal 135] A program over two devices, on devices of one group: the same as on the caller's thread, however many
/// workers and queues each has, whichever of them comes first.
#[test]
fn programs_run_on_several_devices() {
    let input = "--input=4xf32=1 2 3 4";
    let expected =
        run("two_devices", "run", &["--device=local-sync", "--device=local-sync", input]).success();
    assert!(expected.contains("4xf32=4 16 36 64"), "{expected}");
    for devices in [["local-task"; 2], ["local-task", "local-sync"], ["local-sync", "local-task"]] {
        let devices = devices.map(|device| format!("--device={device}"));
        for workers in
            ["--task_topology_group_count=1", "--task_topology_group_count=8", "--task_topology_nodes=all"]
        {
            let done = run("two_devices", "run", &[&devices[0], &devices[1], workers, input]);
            assert_eq!(done.err, "");
            assert_eq!(done.success(), expected, "{devices:?} {workers}");
        }
    }
    // A third one is not in the way.
    let three = run("two_devices", "run", &[&["--device=local-task"; 3][..], &[input]].concat());
    assert_eq!(three.success(), expected);
    let one = run("two_devices", "run", &["--device=local-task", input]);
    assert_ne!(one.code, Some(0), "one device is too few");
}
