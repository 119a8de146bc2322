//! The `weft` program: runs, measures, tests and shows compiled machine-learning programs.
//!
//! What lives here: the list of commands and how the program ends. Each command has a file of its own.

mod bench;
mod blocks;
mod check;
mod compare;
mod devices;
mod dump;
mod failure;
mod flag_table;
mod flags;
mod help;
mod inputs;
mod json;
mod load;
mod mapped_file;
mod npy;
mod outputs;
mod parameters;
mod plain_text;
mod progress;
mod results;
mod run;
mod setup;
mod task_flags;
mod text_sink;
mod trace;
mod worker_table;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use failure::{Failure, Outcome};
use flag_table as table;
use flags::{Flags, Group, nearest};

/// A command: `weft <name> [flags]`.
pub struct Command {
    /// The first word.
    pub name: &'static str,
    /// One line for the list of commands.
    pub summary: &'static str,
    /// Usage and what else must be known before the flags.
    pub usage: &'static str,
    /// The flags.
    pub groups: &'static [&'static Group],
    run: fn(&Flags) -> Outcome,
}

/// The commands, in the order of help.
const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        summary: "runs one function of a compiled module and prints, saves or compares its results",
        usage: "usage: weft run --module=<file.vmfb> [--function=<name>] [--input=<value>]...\n\n\
                examples:\n  \
                  weft run --module=mlp.vmfb --input=\"1x4xf32=1 2 3 4\"\n  \
                  weft run --module=mlp.vmfb --input=@image.npy --output=@scores.npy\n  \
                  weft run --module=mlp.vmfb --input=@image.npy --expected_output=@scores.npy\n  \
                  weft run --module=mlp.vmfb --input=@image.npy --trace=mlp.json",
        groups: &[
            &table::BASIC,
            &table::MODULES,
            &table::PARAMETERS,
            &table::CALL,
            &table::RESULTS,
            &table::DEVICES,
            &table::WORKERS,
            &table::DIAGNOSTICS,
            &table::TRACE,
            &table::RECORDINGS,
        ],
        run: run::run,
    },
    Command {
        name: "bench",
        summary: "times functions of a compiled module",
        usage: "usage: weft bench --module=<file.vmfb> [--function=<name> [--input=<value>]...]\n\n\
                Without --function every function that takes no inputs is measured. Reports are in the formats\n\
                of google-benchmark; both times are for one call, CPU counts all threads together.",
        groups: &[
            &table::BASIC,
            &table::MODULES,
            &table::PARAMETERS,
            &table::CALL,
            &table::BENCH,
            &table::RESULTS,
            &table::DEVICES,
            &table::WORKERS,
            &table::DIAGNOSTICS,
        ],
        run: bench::run,
    },
    Command {
        name: "check",
        summary: "runs a module of compiled tests, one line each",
        usage: "usage: weft check --module=<tests.vmfb> [--gtest_filter=<patterns>]\n\n\
                Every exported function of the last module is a test. It runs in a program of its own and fails\n\
                when an expectation of the check dialect or the call fails.",
        groups: &[
            &table::BASIC,
            &table::MODULES,
            &table::PARAMETERS,
            &table::CHECK,
            &table::DEVICES,
            &table::WORKERS,
        ],
        run: check::run,
    },
    Command {
        name: "dump",
        summary: "shows what a compiled module contains: tables, imports, exports, code",
        usage: "usage: weft dump [--output=<what>] <file.vmfb>\n\n\
                The module is read and checked but not run.",
        groups: &[&table::BASIC, &table::DUMP],
        run: dump::run,
    },
    Command {
        name: "devices",
        summary: "shows the devices of this machine and what they can do",
        usage: "usage: weft devices [--task_topology_...]\n\n\
                Without flags for scripts: drivers, devices, and the workers that the local-task device would have.",
        groups: &[&table::BASIC, &table::DEVICE_LISTING, &table::WORKERS],
        run: devices::run,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).map(|word| {
        word.into_string()
            .map_err(|word| Failure::usage(format!("argument '{}' is not UTF-8", word.to_string_lossy())))
    });
    let first = match words.next().transpose() {
        Ok(first) => first.unwrap_or_default(),
        Err(failure) => return failure.report("weft"),
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == first) else {
        return finish("weft", other_command(&first, words.next().and_then(Result::ok)));
    };
    let origin = format!("weft {}", command.name);
    finish(&origin, words.collect::<Outcome<Vec<String>>>().and_then(|words| run_command(command, words)))
}

fn finish(origin: &str, outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(origin),
    }
}

fn run_command(command: &'static Command, words: Vec<String>) -> Outcome {
    let flags = Flags::parse(command.groups, words, &|name| table::refuse(name, command.groups))?;
    if flags.given("help").is_some() {
        return print(|out| help::of_command(out, command));
    }
    (command.run)(&flags)
}

/// Help, version, and what is neither.
fn other_command(word: &str, next: Option<String>) -> Outcome {
    match word {
        "" => {
            // Asked for nothing in particular: show the way, and let scripts notice.
            print(|out| help::overview(out, COMMANDS))?;
            Err(Failure::usage("no command given"))
        }
        "help" | "--help" | "-h" => match next {
            None => print(|out| help::overview(out, COMMANDS)),
            Some(name) => match COMMANDS.iter().find(|command| command.name == name) {
                Some(command) => print(|out| help::of_command(out, command)),
                None => Err(unknown_command(&name)),
            },
        },
        "version" | "--version" | "-V" => print(|out| writeln!(out, "weft {}", env!("CARGO_PKG_VERSION"))),
        word => Err(unknown_command(word)),
    }
}

fn unknown_command(word: &str) -> Failure {
    if word.starts_with("--") {
        return Failure::usage(format!("flag '{word}' comes before any command; try: weft run {word}"));
    }
    let names = || COMMANDS.iter().map(|command| command.name);
    match nearest(word, names()) {
        Some(meant) => Failure::usage(format!("unknown command '{word}'; did you mean weft {meant}?")),
        None => {
            let names: Vec<&str> = names().collect();
            Failure::usage(format!(
                "unknown command '{word}'; expected one of {}, help, version",
                names.join(", ")
            ))
        }
    }
}

fn print(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Outcome {
    let mut out = BufWriter::new(std::io::stdout().lock());
    write(&mut out)?;
    Ok(out.flush()?)
}
