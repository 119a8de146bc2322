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
mod params;
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
    /// The first word, or the first two.
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
    Command {
        name: "params dump",
        summary: "shows what files of parameters contain",
        usage: "usage: weft params dump [--checksums] <file.irpa|.safetensors|.gguf>...\n\n\
                One line for every parameter: where its bytes are in the file (- for a pattern, which has none),\n\
                how many they are, and its name. --parameters=<scope>=<file> shows a file in a scope of its own.",
        groups: &[&table::BASIC, &table::PARAMETERS, &table::PARAMS_DUMP],
        run: params::dump::run,
    },
    Command {
        name: "params convert",
        summary: "makes an archive of parameters out of files of any format",
        usage: "usage: weft params convert <file>... --output=<file.irpa>\n\n\
                All parameters go into one file, in the order of the inputs; scopes are dropped. examples:\n  \
                  weft params convert model.safetensors --output=model.irpa\n  \
                  weft params convert model.gguf --exclude=unused --rename=old=new --output=model.irpa\n  \
                  weft params convert model.irpa --strip --output=shape_only.irpa",
        groups: &[&table::BASIC, &table::PARAMETERS, &table::PARAMS_CONVERT],
        run: params::convert::run,
    },
    Command {
        name: "params create",
        summary: "makes an archive of parameters from declarations",
        usage: "usage: weft params create --data=<name>=<shape>x<type>... --output=<file.irpa>\n\n\
                examples:\n  \
                  weft params create --data=w=4x4xf32 --data=b=4xf32=0.5 --output=zeros.irpa\n  \
                  weft params create --splat=w=4096x4096xf32=0.01 --output=tiny.irpa",
        groups: &[&table::BASIC, &table::PARAMS_CREATE],
        run: params::create::run,
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
    let mut words = words.peekable();
    let second = || match words.peek() {
        Some(Ok(word)) => word.clone(),
        _ => String::new(),
    };
    let Some((command, word_count)) = find_command(&first, second) else {
        return finish("weft", other_command(&first, words.next().and_then(Result::ok)));
    };
    if word_count == 2 {
        words.next();
    }
    let origin = format!("weft {}", command.name);
    finish(&origin, words.collect::<Outcome<Vec<String>>>().and_then(|words| run_command(command, words)))
}

/// The command that the line begins with, and how many words that takes.
fn find_command(first: &str, second: impl FnOnce() -> String) -> Option<(&'static Command, usize)> {
    if let Some(command) = COMMANDS.iter().find(|command| command.name == first) {
        return Some((command, 1));
    }
    if !COMMANDS.iter().any(|command| command.name.split(' ').next() == Some(first)) {
        return None;
    }
    let both = format!("{first} {}", second());
    COMMANDS.iter().find(|command| command.name == both).map(|command| (command, 2))
}

/// The commands that begin with a word, of which each has another.
fn family(word: &str) -> impl Iterator<Item = &'static Command> {
    let beginning = format!("{word} ");
    COMMANDS.iter().filter(move |command| command.name.starts_with(&beginning))
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
    if family(word).next().is_some() {
        return family_command(word, next.as_deref().unwrap_or_default());
    }
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
                None if family(&name).next().is_some() => family_command(&name, "help"),
                None => Err(unknown_command(&name)),
            },
        },
        "version" | "--version" | "-V" => print(|out| writeln!(out, "weft {}", env!("CARGO_PKG_VERSION"))),
        word => Err(unknown_command(word)),
    }
}

/// The first word of several commands, without a second that makes one of them.
fn family_command(word: &str, next: &str) -> Outcome {
    if ["--help", "-h", "help"].contains(&next) {
        return print(|out| help::of_family(out, word, family(word)));
    }
    if next.is_empty() {
        print(|out| help::of_family(out, word, family(word)))?;
        return Err(Failure::usage(format!("'weft {word}' needs the name of a command behind it")));
    }
    let names: Vec<&str> = family(word).map(|command| command.name).collect();
    Err(Failure::usage(format!("unknown command '{word} {next}'; expected one of {}", names.join(", "))))
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
