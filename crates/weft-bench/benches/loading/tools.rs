//! The first result of a process, and the most memory it had: weft's tool beside the reference's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weft_bench::{Figure, Table, peer};

use crate::{Load, rates};

/// Rounds that count of short loads; one more warms up.
const ROUNDS: usize = 11;

/// How parameters come into a process; the reference has the first two.
const MODES: [&str; 3] = ["file", "preload", "mmap"];

/// A tool with its flags.
struct Tool {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
}

/// Both tables of first results. The first row is the reference, if it is there.
pub fn measure(load: &Load) {
    let weft = program();
    if weft.is_none() {
        println!("first results: weft is missing: build it in the same profile, or name one in WEFT_PROGRAM");
    }
    let mut tools = Vec::new();
    if let Some(reference) = peer::find("iree-run-module") {
        for mode in &MODES[..2] {
            tools.push(tool(load, "reference", &reference, &[], "local-task", mode));
        }
    }
    if let Some(program) = weft {
        for device in ["local-sync", "local-task"] {
            for mode in MODES {
                tools.push(tool(load, "weft", &program, &["run"], device, mode));
            }
        }
    }
    if tools.is_empty() {
        return;
    }
    for is_cold in [false, true] {
        table(load, &tools, is_cold);
    }
}

/// `WEFT_PROGRAM`, or what was built next to this bench, which lies in `target/PROFILE/deps`.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("WEFT_PROGRAM") {
        return std::fs::canonicalize(named).ok();
    }
    let built = std::env::current_exe().ok()?.parent()?.parent()?.join("weft");
    built.is_file().then_some(built)
}

fn tool(load: &Load, name: &str, program: &Path, first: &[&str], device: &str, mode: &str) -> Tool {
    let mut arguments: Vec<String> = first.iter().map(|&word| word.to_owned()).collect();
    arguments.push(format!("--module={}", load.module.display()));
    arguments.push(format!("--parameters={}={}", load.scope, load.parameters.display()));
    arguments.push(format!("--parameter_mode={mode}"));
    arguments.push(format!("--device={device}"));
    arguments.push(format!("--function={}", load.function));
    arguments.extend(load.inputs.iter().map(|input| format!("--input={input}")));
    Tool { name: format!("{name}, {device}, {mode}"), program: program.to_owned(), arguments }
}

fn table(load: &Load, tools: &[Tool], is_cold: bool) {
    let mut times = vec![Vec::new(); tools.len()];
    let rounds = load.rounds(ROUNDS);
    for round in 0..=rounds {
        for index in crate::order(round, tools.len()) {
            prepare(load, is_cold);
            let start = Instant::now();
            let done = command(&tools[index]).status();
            let taken = start.elapsed().as_secs_f64() * 1e9;
            if round > 0 && done.is_ok_and(|status| status.success()) {
                times[index].push(taken);
            }
        }
    }
    let mut figures = Vec::new();
    for (tool, taken) in tools.iter().zip(&times) {
        if taken.len() < rounds {
            println!("{}: fails", tool.name);
            continue;
        }
        prepare(load, is_cold);
        let name = format!("{}: {} MB at most", tool.name, memory_most(tool) >> 20);
        figures.push(Figure::of(name, taken, &times[0]));
    }
    let table = Table::begin(if is_cold { "first result, cold" } else { "first result, warm" });
    table.group(&load.title, &figures, None);
}

fn prepare(load: &Load, is_cold: bool) {
    if is_cold && let Err(error) = rates::forget(&load.parameters) {
        println!("the file stays in memory: {error}");
    }
}

fn command(tool: &Tool) -> Command {
    let mut command = Command::new(&tool.program);
    command.args(&tool.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The most bytes that a run had in memory, files that it mapped among them, as far as looking every millisecond tells.
/// A tool may be a script that starts the program: whichever of them has most counts.
fn memory_most(tool: &Tool) -> u64 {
    let Ok(mut child) = command(tool).spawn() else { return 0 };
    let mut most = 0;
    while let Ok(None) = child.try_wait() {
        for process in std::iter::once(child.id()).chain(children_of(child.id())) {
            most = most.max(memory_of(process));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    most
}

fn children_of(process: u32) -> Vec<u32> {
    let text =
        std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// The most that this process has had so far.
fn memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kilobytes << 10
}
