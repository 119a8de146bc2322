//! The slow checks: sanitizers, model checking, fuzzing. Each says what it needs when that is missing.

use crate::{Outcome, source};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The fuzz targets of `fuzz/`, in the order in which bytes meet them.
const FUZZ_TARGETS: &[&str] = &["archive", "program", "elf", "input_text"];

/// `sanitize address`: the whole suite under AddressSanitizer and LeakSanitizer.
pub fn run(arguments: &[String]) -> Outcome {
    match arguments.first().map(String::as_str) {
        Some("address") => {}
        other => return Err(format!("expected `address`, found `{}`", other.unwrap_or(""))),
    }
    // Doctests are left out: the doctest runner does not pass the flags to its own link step.
    source::command(
        "cargo",
        &[
            "+nightly",
            "test",
            "--workspace",
            "--exclude",
            "weft-bench",
            "--tests",
            "--target",
            TARGET,
            "--target-dir",
            "target/asan",
        ],
        // Refusing absurd sizes is what some tests are about: like the system's heap, the sanitizer's says no.
        &[("RUSTFLAGS", "-Zsanitizer=address"), ("ASAN_OPTIONS", "allocator_may_return_null=1")],
    )
}

/// The loom models of weft-sync.
pub fn loom(_arguments: &[String]) -> Outcome {
    source::command(
        "cargo",
        &["test", "--release", "--package", "weft-sync", "--test", "loom", "--target-dir", "target/loom"],
        &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "2")],
    )
}

/// `fuzz [seconds] [target]`: each target for that long (600 s unless told).
pub fn fuzz(arguments: &[String]) -> Outcome {
    let seconds = arguments.first().map_or("600", String::as_str);
    seconds.parse::<u32>().map_err(|_| format!("expected seconds, found `{seconds}`"))?;
    let chosen: Vec<&str> = match arguments.get(1) {
        Some(target) => vec![target.as_str()],
        None => FUZZ_TARGETS.to_vec(),
    };
    for target in chosen {
        let time = format!("-max_total_time={seconds}");
        source::command(
            "cargo",
            &["+nightly", "fuzz", "run", target, "--", &time, "-timeout=10", "-rss_limit_mb=2048"],
            &[],
        )
        .map_err(|why| format!("{why} (install with `cargo install cargo-fuzz --locked`)"))?;
    }
    Ok(())
}
