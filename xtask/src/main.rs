//! Checks that anybody can run, each alone or all as `ci`.
//!
//! What lives here: the menu. What does not: the checks themselves, one file each. None needs more than the
//! toolchain, except where its help line says so.

mod ci;
mod coverage;
mod kernels;
mod layers;
mod sanitize;
mod soak;
mod source;
mod stress;
mod systems;
mod tidy;

use std::process::ExitCode;

/// What a task gives back: nothing, or one line that says what is wrong.
type Outcome = Result<(), String>;

struct Task {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TASKS: &[Task] = &[
    Task { name: "ci", help: "everything that must pass before a change lands", run: ci::run },
    Task {
        name: "tidy",
        help: "headers, file and function sizes, unfinished code, dead links",
        run: tidy::run,
    },
    Task {
        name: "unsafe",
        help: "the inventory of files that contain unsafe code",
        run: tidy::unsafe_inventory,
    },
    Task { name: "layers", help: "which crate may name which, against the manifests", run: layers::run },
    Task {
        name: "coverage",
        help: "numbered behaviours of docs/spec cited by tests [--missing]",
        run: coverage::run,
    },
    Task {
        name: "sanitize",
        help: "the suite under a sanitizer: `sanitize address|thread [package]` (needs nightly; thread: rust-src too)",
        run: sanitize::run,
    },
    Task {
        name: "loom",
        help: "model-checks the lock-free protocols of weft-sync and weft-task",
        run: sanitize::loom,
    },
    Task {
        name: "storm",
        help: "an executor started, stopped, cancelled, rescheduled at random: `storm [minutes] [--sanitize]`",
        run: sanitize::storm,
    },
    Task {
        name: "stress",
        help: "the device suite on local-task up to 1,000 times: `stress [minutes]`",
        run: stress::run,
    },
    Task {
        name: "stress-io",
        help: "the proactor suite on every configuration 100 times: `stress-io [count] [--full]`",
        run: stress::io,
    },
    Task {
        name: "soak",
        help: "10,000 connections on one proactor for a minute: `soak [seconds] [connections] [uring|epoll|poll] [seed] [outside]`",
        run: soak::soak,
    },
    Task {
        name: "netns",
        help: "transfers over bad cables: `netns [uring|epoll|poll …]` (needs root, iproute2 and nftables)",
        run: soak::netns,
    },
    Task {
        name: "kernels",
        help: "the proactor suite on Linux 6.1, over a slow network, and on aarch64, emulated: `kernels [guest|delay|aarch64] [filter]`",
        run: kernels::run,
    },
    Task {
        name: "systems",
        help: "weft-io type-checks for macOS and FreeBSD (adds their standard libraries, or builds them)",
        run: systems::run,
    },
    Task {
        name: "fuzz",
        help: "every fuzz target: `fuzz [seconds] [target]` (needs nightly and cargo-fuzz)",
        run: sanitize::fuzz,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = arguments.first().and_then(|name| TASKS.iter().find(|task| task.name == name)) else {
        eprintln!("usage: cargo xtask <task>\n");
        for task in TASKS {
            eprintln!("  {:<10} {}", task.name, task.help);
        }
        return ExitCode::from(2);
    };
    match (task.run)(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{}: {why}", task.name);
            ExitCode::FAILURE
        }
    }
}
