//! What must pass before a change lands, in the order in which a failure is cheapest to see.

use std::time::Instant;

use crate::{Outcome, coverage, layers, sanitize, source, systems, tidy};

/// Runs every part and prints how long each took.
pub fn run(_arguments: &[String]) -> Outcome {
    let deny_docs = [("RUSTDOCFLAGS", "-D warnings")];
    part("tidy", || tidy::run(&[]))?;
    part("layers", || layers::run(&[]))?;
    part("fmt", || source::command("cargo", &["fmt", "--all", "--check"], &[]))?;
    part("clippy", || {
        source::command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
    })?;
    // What only release builds compile, users see first.
    part("clippy of the release", || {
        source::command("cargo", &["clippy", "--workspace", "--release", "--", "-D", "warnings"], &[])
    })?;
    // Nobody here has a machine for them; the compiler knows what they have.
    part("other systems", systems::run_where_possible)?;
    part("docs", || source::command("cargo", &["doc", "--workspace", "--no-deps"], &deny_docs))?;
    // The README's test command, to the letter; it includes the conformance suite.
    part("test", || source::command("cargo", &["test", "--workspace"], &[]))?;
    // Every interleaving of the lock-free protocols, within bounds: seconds, once built.
    part("loom", || sanitize::loom(&[]))?;
    part("coverage", || coverage::run(&[]))?;
    // The README's first command: the main job on the model in the repository.
    part("main job", || source::command("cargo", MAIN_JOB, &[]))
}

const MAIN_JOB: &[&str] = &[
    "run",
    "--release",
    "--",
    "run",
    "--module=models/digits/digits.vmfb",
    "--function=classify",
    "--input=@models/digits/seven.npy",
];

fn part(name: &str, run: impl FnOnce() -> Outcome) -> Outcome {
    println!("== {name}");
    let start = Instant::now();
    run().map_err(|why| format!("{name}: {why}"))?;
    println!("== {name}: ok, {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
