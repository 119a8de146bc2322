//! The slow checks: sanitizers, model checking, fuzzing. Each says what it needs when that is missing.

use crate::{Outcome, source};
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The fuzz targets of `fuzz/`, in the order in which bytes meet them.
const FUZZ_TARGETS: &[&str] =
    &["archive", "program", "elf", "input_text", "frontier_wire", "address", "irpa", "safetensors", "gguf"];

/// A toolchain that can build std with instructions for the thread sanitizer in it, and what it needs for that.
struct Instrumenting {
    toolchain: &'static str,
    runtime: &'static str,
    linker: &'static str,
}

/// In the order in which they are tried. Without an instrumented std every channel, lock and `Arc` of it would be
/// reported as a race, so an ordinary toolchain will not do.
const INSTRUMENTING: &[Instrumenting] = &[
    Instrumenting { toolchain: "nightly", runtime: "librustc-nightly_rt.tsan.a", linker: "" },
    // Debian's `rustc-web` with `rust-web-src`. It ships no runtime of the sanitizer: the one of the stable toolchain,
    // built with the same LLVM, fits. Its own default linker takes minutes over such binaries.
    Instrumenting {
        toolchain: "deb",
        runtime: "librustc-stable_rt.tsan.a",
        linker: " -Clink-arg=-fuse-ld=lld",
    },
];

const WANTED_FOR_THREAD: &str = "needs `rustup component add rust-src --toolchain nightly`; or Debian's rustc-web, \
     cargo-web, rust-web-src and lld, `rustup toolchain link deb /usr`, and librustc-stable_rt.tsan.a of the stable \
     toolchain copied beside its libraries";

/// `sanitize address|thread [package]`: the whole suite, or one package's, under a sanitizer.
pub fn run(arguments: &[String]) -> Outcome {
    let package = arguments.get(1).map(String::as_str);
    match arguments.first().map(String::as_str) {
        Some("address") => address(package),
        Some("thread") => thread(package),
        other => Err(format!("expected `address` or `thread`, found `{}`", other.unwrap_or(""))),
    }
}

/// AddressSanitizer and LeakSanitizer.
fn address(package: Option<&str>) -> Outcome {
    // Refusing absurd sizes is what some tests are about: like the system's heap, the sanitizer's says no.
    let environment = [("RUSTFLAGS", "-Zsanitizer=address"), ("ASAN_OPTIONS", "allocator_may_return_null=1")];
    test("nightly", package, &["--target-dir", "target/asan"], &environment)
}

/// ThreadSanitizer, for all tests.
fn thread(package: Option<&str>) -> Outcome {
    instrumented(|toolchain, arguments, environment| test(toolchain, package, arguments, environment))
}

/// Runs cargo with ThreadSanitizer, with a std that is instrumented too. `--cfg tsan` shortens the longest tests.
fn instrumented(run: impl FnOnce(&str, &[&str], &[(&str, &str)]) -> Outcome) -> Outcome {
    let chosen = INSTRUMENTING.iter().find(|it| it.is_ready()).ok_or(WANTED_FOR_THREAD)?;
    let flags = format!("-Zsanitizer=thread --cfg tsan{}", chosen.linker);
    let environment = [
        // Debian's is a stable compiler; this lets it take the flags.
        ("RUSTC_BOOTSTRAP", "1"),
        ("RUSTFLAGS", flags.as_str()),
        ("TSAN_OPTIONS", "halt_on_error=1 exitcode=1 allocator_may_return_null=1"),
    ];
    run(chosen.toolchain, &["-Zbuild-std=std,panic_unwind", "--target-dir", "target/tsan"], &environment)
}

impl Instrumenting {
    /// Whether it is installed, with the sources of std and the runtime of the sanitizer.
    fn is_ready(&self) -> bool {
        let ask =
            Command::new("rustc").args([&format!("+{}", self.toolchain), "--print", "sysroot"]).output();
        let Ok(answer) = ask else { return false };
        let libraries = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()).join("lib/rustlib");
        answer.status.success()
            && libraries.join("src/rust/library/std").is_dir()
            && libraries.join(TARGET).join("lib").join(self.runtime).is_file()
    }
}

/// Runs the tests of one package or of all.
fn test(toolchain: &str, package: Option<&str>, more: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let toolchain = format!("+{toolchain}");
    // Doctests are left out: the doctest runner does not pass the flags to its own link step.
    let mut arguments = vec![toolchain.as_str(), "test", "--tests", "--no-fail-fast", "--target", TARGET];
    match package {
        Some(package) => arguments.extend(["--package", package]),
        None => arguments.extend(["--workspace", "--exclude", "weft-bench"]),
    }
    arguments.extend(more);
    source::command("cargo", &arguments, environment)
}

/// The loom models of weft-sync, weft-io and weft-task. How far each goes stands beside it.
pub fn loom(_arguments: &[String]) -> Outcome {
    source::command(
        "cargo",
        &[
            "test",
            "--release",
            "--package",
            "weft-sync",
            "--package",
            "weft-io",
            "--package",
            "weft-task",
            "--test",
            "loom",
            "--target-dir",
            "target/loom",
        ],
        &[("RUSTFLAGS", "--cfg loom")],
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

/// `storm [minutes] [--sanitize]`: everything that an executor can be asked for at once, for that long (10 minutes unless
/// told); with `--sanitize` under ThreadSanitizer.
pub fn storm(arguments: &[String]) -> Outcome {
    let (flags, minutes): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| *flag != &"--sanitize") {
        return Err(format!("expected `--sanitize`, found `{unknown}`"));
    }
    let minutes = minutes.first().map_or("10", |minutes| minutes.as_str());
    let minutes = minutes.parse::<u64>().map_err(|_| format!("expected minutes, found `{minutes}`"))?;
    let seconds = (minutes * 60).to_string();
    let time = [("WEFT_STORM_SECONDS", seconds.as_str())];
    let suite = ["test", "--release", "--package", "weft-task", "--test", "storm"];
    let shown = ["--", "--nocapture"];
    if flags.is_empty() {
        return source::command("cargo", &[&suite[..], &shown].concat(), &time);
    }
    instrumented(|toolchain, more, environment| {
        let toolchain = format!("+{toolchain}");
        let arguments = [&[toolchain.as_str()], &suite[..], &["--target", TARGET], more, &shown].concat();
        source::command("cargo", &arguments, &[environment, &time[..]].concat())
    })
}
