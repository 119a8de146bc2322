//! The syntax of flags (`docs/spec/hal-module.md` §13.1): `--name=value`, `--switch`, repetition, flag files.
//!
//! What lives here: [`Flag`], [`Kind`], parsing and looking up. Every value is checked against its kind here, so
//! that commands read values that are known to be good.
//! What does not: which flags exist (see `flag_table.rs`) and how they are explained (see `help.rs`).

use crate::failure::{Failure, Outcome, file_status};
use std::io::Read;
use weft::sync::{Status, WhileDoing, bail};

/// One flag of a command.
#[derive(Debug)]
pub struct Flag {
    /// The name without dashes.
    pub name: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// What it does, as lines of text.
    pub help: &'static str,
}

/// Which values a flag takes.
#[derive(Debug)]
pub enum Kind {
    /// `--name`, `--name=true`, `--name=false`; off unless given.
    Switch,
    /// A whole number that is not negative.
    Count(u64),
    /// A tolerance: a decimal number that is not negative.
    Real(f64),
    /// Text, and its default.
    Text(&'static str),
    /// One of the words; the first is the default.
    Choice(&'static [&'static str]),
    /// May be repeated; the text describes one value.
    List(&'static str),
    /// Instead of running, do this: `--name` or `--name=value`.
    Action,
}

/// Flags that belong together, as help shows them.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The flags, in the order of help.
    pub flags: &'static [Flag],
}

/// A parsed command line.
#[derive(Debug)]
pub struct Flags {
    groups: &'static [&'static Group],
    given: Vec<(&'static str, String)>,
    /// Arguments that are no flags, in order.
    pub positionals: Vec<String>,
}

/// Flag files may name flag files; a file that names itself ends here.
const FLAG_FILE_DEPTH_MAX: usize = 16;
/// The length that a flag file may have.
const FLAG_FILE_BYTES_MAX: u64 = 1 << 20;

/// Words the refusal of a flag that the command does not have.
pub type Unknown<'a> = &'a dyn Fn(&str) -> String;

impl Flags {
    /// Parses `arguments` against the flags in `groups`. `unknown` words the refusal of a flag outside them.
    pub fn parse(
        groups: &'static [&'static Group],
        arguments: impl IntoIterator<Item = String>,
        unknown: Unknown<'_>,
    ) -> Outcome<Flags> {
        let mut flags = Flags { groups, given: Vec::new(), positionals: Vec::new() };
        let mut only_positionals = false;
        for argument in arguments {
            if only_positionals || !argument.starts_with("--") {
                if !only_positionals && argument == "-h" {
                    flags.take("help", unknown, 0)?;
                    continue;
                }
                if !only_positionals && argument.len() > 1 && argument.starts_with('-') {
                    return Err(Failure::usage(format!(
                        "flag '{argument}' not recognized; did you mean -{argument}?"
                    )));
                }
                flags.positionals.push(argument);
            } else if argument == "--" {
                only_positionals = true;
            } else {
                flags.take(&argument[2..], unknown, 0)?;
            }
        }
        Ok(flags)
    }

    /// Takes one `name=value` or `name`.
    fn take(&mut self, text: &str, unknown: Unknown<'_>, depth: usize) -> Outcome {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(flag) = self.groups.iter().flat_map(|group| group.flags).find(|flag| flag.name == name)
        else {
            return Err(Failure::usage(unknown(name)));
        };
        let value = match (value, &flag.kind) {
            (Some(value), kind) => {
                check(name, kind, value)?;
                value
            }
            (None, Kind::Switch) => "true",
            (None, Kind::Action) => "",
            (None, _) => {
                let shape = value_shape(&flag.kind);
                return Err(Failure::usage(format!(
                    "flag '{name}' needs a value in the same word: --{name}={shape}"
                )));
            }
        };
        if name == "flagfile" {
            return self.splice_file(value, unknown, depth);
        }
        self.given.push((flag.name, value.to_owned()));
        Ok(())
    }

    /// Reads a flag file at this point: later flags override it, it overrides earlier ones.
    fn splice_file(&mut self, path: &str, unknown: Unknown<'_>, depth: usize) -> Outcome {
        if depth >= FLAG_FILE_DEPTH_MAX {
            return Err(Failure::usage(format!(
                "flag files are nested more than {FLAG_FILE_DEPTH_MAX} deep at '{path}'; does one name itself?"
            )));
        }
        let text = read_flag_file(path).while_doing(|| "parsing flags").map_err(Failure::Usage)?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(flag) = line.strip_prefix("--") else {
                return Err(Failure::usage(format!(
                    "{path}:{}: a flag file holds one --flag a line, found '{line}'",
                    index + 1
                )));
            };
            // Help prints defaults in quotes (`--name="text"`) and is itself a flag file.
            let unquoted = flag.split_once('=').and_then(|(name, value)| {
                Some(format!("{name}={}", value.strip_prefix('"')?.strip_suffix('"')?))
            });
            self.take(unquoted.as_deref().unwrap_or(flag), unknown, depth + 1).map_err(|failure| {
                match failure {
                    Failure::Usage(status) => {
                        Failure::Usage(status.while_doing(format!("at {path}:{}", index + 1)))
                    }
                    other => other,
                }
            })?;
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> &'static Flag {
        let found = self.groups.iter().flat_map(|group| group.flags).find(|flag| flag.name == name);
        found.unwrap_or_else(|| panic!("a command looks up flag '{name}', which is not in its table"))
    }

    /// Whether the command has this flag.
    pub fn has(&self, name: &str) -> bool {
        self.groups.iter().flat_map(|group| group.flags).any(|flag| flag.name == name)
    }

    /// The last value given for `name`.
    pub fn given(&self, name: &str) -> Option<&str> {
        let flag = self.flag(name);
        self.given.iter().rev().find(|(given, _)| *given == flag.name).map(|(_, value)| value.as_str())
    }

    /// All values given for a list, in order.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let flag = self.flag(name);
        self.given.iter().filter(|(given, _)| *given == flag.name).map(|(_, value)| value.as_str()).collect()
    }

    /// Text, or its default.
    pub fn text(&self, name: &str) -> &str {
        match (self.given(name), &self.flag(name).kind) {
            (Some(value), _) => value,
            (None, Kind::Text(default)) => default,
            (None, Kind::Choice(words)) => words[0],
            (None, kind) => panic!("flag '{name}' is {kind:?}, not text"),
        }
    }

    /// Whether a switch is on.
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.given(name), Some("true" | "1"))
    }

    /// A whole number, or its default.
    pub fn count(&self, name: &str) -> u64 {
        match (self.given(name), &self.flag(name).kind) {
            (Some(value), _) => value.parse().expect("checked when parsed"),
            (None, Kind::Count(default)) => *default,
            (None, kind) => panic!("flag '{name}' is {kind:?}, not a count"),
        }
    }

    /// A tolerance, or its default.
    pub fn real(&self, name: &str) -> f64 {
        match (self.given(name), &self.flag(name).kind) {
            (Some(value), _) => value.parse().expect("checked when parsed"),
            (None, Kind::Real(default)) => *default,
            (None, kind) => panic!("flag '{name}' is {kind:?}, not a real"),
        }
    }
}

/// Refuses a value that the kind does not allow.
fn check(name: &str, kind: &Kind, value: &str) -> Outcome {
    let good = match kind {
        Kind::Switch => ["true", "false", "1", "0"].contains(&value),
        Kind::Count(_) => value.parse::<u64>().is_ok(),
        Kind::Real(_) => value.parse::<f64>().is_ok_and(|real| real >= 0.0),
        Kind::Choice(words) => words.contains(&value),
        Kind::Text(_) | Kind::List(_) | Kind::Action => true,
    };
    if good {
        return Ok(());
    }
    Err(Failure::usage(format!("unrecognized --{name}= value '{value}'; expected {}", expectation(kind))))
}

fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::Switch => "true or false".into(),
        Kind::Count(_) => "a whole number, 0 or more".into(),
        Kind::Real(_) => "a number, 0 or more".into(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::Text(_) | Kind::List(_) | Kind::Action => "text".into(),
    }
}

/// How help writes the value of a flag that has no default.
pub fn value_shape(kind: &Kind) -> &'static str {
    match kind {
        Kind::List(shape) => shape,
        Kind::Count(_) => "<n>",
        Kind::Real(_) => "<x>",
        Kind::Choice(_) => "<word>",
        Kind::Switch => "true",
        Kind::Text(_) | Kind::Action => "<text>",
    }
}

/// The name in `names` that was probably meant by `wrong`.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Two letters changed places are two edits.
    let limit = (wrong.len() / 3).clamp(2, 4);
    names
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= limit && *distance < wrong.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements between two short words.
fn edit_distance(from: &str, to: &str) -> usize {
    // Names are short; a pasted paragraph is no typing mistake and would cost quadratic time.
    if from.len() > 64 {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

/// A flag file's text. Flags are short: a file without an end is not read to it.
fn read_flag_file(path: &str) -> Result<String, Status> {
    let failed = |error: std::io::Error| file_status(&error, "read flag file", path);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FLAG_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FLAG_FILE_BYTES_MAX {
        bail!(OutOfRange, "flag file '{path}' has more than {FLAG_FILE_BYTES_MAX} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Group = Group {
        title: "test",
        flags: &[
            Flag { name: "flagfile", kind: Kind::List("<path>"), help: "" },
            Flag { name: "on", kind: Kind::Switch, help: "" },
            Flag { name: "count", kind: Kind::Count(7), help: "" },
            Flag { name: "atol", kind: Kind::Real(0.5), help: "" },
            Flag { name: "mode", kind: Kind::Choice(&["a", "b"]), help: "" },
            Flag { name: "name", kind: Kind::Text("x"), help: "" },
            Flag { name: "many", kind: Kind::List("<value>"), help: "" },
        ],
    };
    const GROUPS: &[&Group] = &[&GROUP];

    fn parse(arguments: &[&str]) -> Result<Flags, String> {
        let arguments = arguments.iter().map(|argument| argument.to_string());
        Flags::parse(GROUPS, arguments, &|name| format!("flag '{name}' not recognized")).map_err(|failure| {
            match failure {
                Failure::Usage(status) | Failure::Failed(status) => status.to_string(),
                Failure::Reported | Failure::OutputClosed => String::new(),
            }
        })
    }

    #[test]
    fn defaults_hold_until_given_and_the_last_value_wins() {
        let flags = parse(&[]).unwrap();
        assert!(!flags.switch("on"));
        assert_eq!((flags.count("count"), flags.real("atol")), (7, 0.5));
        assert_eq!((flags.text("mode"), flags.text("name")), ("a", "x"));
        let flags = parse(&["--on", "--count=1", "--count=2", "--mode=b", "--name=", "--atol=1e-3"]).unwrap();
        assert!(flags.switch("on"));
        assert_eq!((flags.count("count"), flags.real("atol")), (2, 1e-3));
        assert_eq!((flags.text("mode"), flags.text("name")), ("b", ""));
        assert!(!parse(&["--on", "--on=false"]).unwrap().switch("on"));
    }

    #[test]
    fn lists_keep_their_order_and_values_keep_their_equal_signs() {
        let flags = parse(&["--many=a=b", "word", "--many=", "--", "--many=c"]).unwrap();
        assert_eq!(flags.list("many"), ["a=b", ""]);
        assert_eq!(flags.positionals, ["word", "--many=c"]);
    }

    #[test]
    fn bad_values_are_refused_with_what_was_expected() {
        for (argument, expected) in [
            ("--count=abc", "unrecognized --count= value 'abc'; expected a whole number"),
            ("--count=-1", "expected a whole number"),
            ("--atol=-1", "expected a number, 0 or more"),
            ("--atol=nan", "expected a number, 0 or more"),
            ("--mode=c", "expected one of a, b"),
            ("--on=maybe", "expected true or false"),
            ("--many", "flag 'many' needs a value in the same word: --many=<value>"),
            ("--bogus=1", "flag 'bogus' not recognized"),
            ("-count=1", "did you mean --count=1?"),
        ] {
            let error = parse(&[argument]).unwrap_err();
            assert!(error.starts_with("INVALID_ARGUMENT; "), "{error}");
            assert!(error.contains(expected), "{argument}: {error}");
        }
    }

    #[test]
    fn the_nearest_name_forgives_typing_mistakes_only() {
        let names = ["module", "module_mode", "function", "input"];
        assert_eq!(nearest("modul", names.into_iter()), Some("module"));
        assert_eq!(nearest("inputs", names.into_iter()), Some("input"));
        assert_eq!(nearest("device", names.into_iter()), None);
    }
}
