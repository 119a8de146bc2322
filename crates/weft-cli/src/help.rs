//! What `weft --help` and `weft <command> --help` print.
//!
//! The help of a command is itself a flag file that sets every flag to its default: all words are comments, so that
//! `weft run --help > my.flags`, an edit and `weft run --flagfile=my.flags` work.

use crate::Command;
use crate::flags::{Flag, Group, Kind, value_shape};
use std::io::{self, Write};

/// Exit codes, for scripts and for people.
const EXIT_CODES: &str = "\
exit codes:
  0  it worked
  1  it failed: something could not be loaded or run, results differ, a test failed
  2  the command line is wrong";

/// The list of commands.
pub fn overview(out: &mut dyn Write, commands: &[Command]) -> io::Result<()> {
    writeln!(out, "weft runs compiled machine-learning programs.\n")?;
    writeln!(out, "usage: weft <command> [--flag=value]...\n\ncommands:")?;
    for command in commands {
        writeln!(out, "  {:<16}{}", command.name, command.summary)?;
    }
    for (name, summary) in [
        ("help", "this text; `weft help <command>` explains a command and its flags"),
        ("version", "prints the version"),
    ] {
        writeln!(out, "  {name:<16}{summary}")?;
    }
    writeln!(
        out,
        "\nexamples:\n  \
           weft run --module=model.vmfb --function=main --input=\"4xf32=1 2 3 4\"\n  \
           weft bench --module=model.vmfb --function=main --input=@image.npy\n  \
           weft dump --output=metadata model.vmfb\n"
    )?;
    writeln!(out, "{EXIT_CODES}")
}

/// The commands that begin with one word.
pub fn of_family<'a>(
    out: &mut dyn Write,
    word: &str,
    commands: impl Iterator<Item = &'a Command>,
) -> io::Result<()> {
    writeln!(out, "usage: weft {word} <command> [--flag=value]...\n\ncommands:")?;
    for command in commands {
        writeln!(out, "  {:<16}{}", command.name, command.summary)?;
    }
    writeln!(out, "\n`weft {word} <command> --help` explains a command and its flags.")
}

/// The flags of one command, as a flag file.
pub fn of_command(out: &mut dyn Write, command: &Command) -> io::Result<()> {
    comment(out, &format!("weft {}: {}", command.name, command.summary))?;
    writeln!(out, "#")?;
    comment(out, command.usage)?;
    writeln!(out, "#")?;
    comment(out, EXIT_CODES)?;
    for group in command.groups {
        of_group(out, group)?;
    }
    Ok(())
}

fn of_group(out: &mut dyn Write, group: &Group) -> io::Result<()> {
    let rule = "-".repeat(72usize.saturating_sub(group.title.len()));
    writeln!(out, "\n# ---- {} {rule}", group.title)?;
    for flag in group.flags {
        writeln!(out)?;
        comment(out, flag.help)?;
        if let Kind::Choice(words) = flag.kind {
            let words = words.iter().filter(|word| !word.is_empty());
            comment(out, &format!("One of {}.", words.copied().collect::<Vec<_>>().join(", ")))?;
        }
        writeln!(out, "{}", default_line(flag))?;
    }
    Ok(())
}

/// The flag with its default; flags that have none stay comments.
fn default_line(flag: &Flag) -> String {
    let name = flag.name;
    match flag.kind {
        Kind::Switch => format!("--{name}=false"),
        Kind::Count(default) => format!("--{name}={default}"),
        Kind::Real(default) if default != 0.0 && default < 1e-4 => format!("--{name}={default:e}"),
        Kind::Real(default) => format!("--{name}={default}"),
        Kind::Text(default) => format!("--{name}=\"{default}\""),
        Kind::Choice(words) => format!("--{name}=\"{}\"", words[0]),
        Kind::List(_) => format!("# --{name}={}", value_shape(&flag.kind)),
        Kind::Action => format!("# --{name}"),
    }
}

fn comment(out: &mut dyn Write, text: &str) -> io::Result<()> {
    for line in text.lines() {
        if line.is_empty() {
            writeln!(out, "#")?;
        } else {
            writeln!(out, "# {line}")?;
        }
    }
    Ok(())
}
