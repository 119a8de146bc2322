//! How a command ends when it does not succeed: what is said, and which exit code the shell sees.
//!
//! 0 success; 1 the work failed; 2 the command line is wrong. One line on standard error says why, unless the
//! reason is already on standard output (mismatches, failed tests) or its reader went away.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use weft::hal::io_status;
use weft::sync::{Code, Status, status};

use crate::progress;

/// Why a command did not succeed.
pub enum Failure {
    /// The command line cannot be understood.
    Usage(Status),
    /// The work failed.
    Failed(Status),
    /// The work failed and the output says so already.
    Reported,
    /// Nobody reads standard output any more.
    OutputClosed,
}

/// What every command returns.
pub type Outcome<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// Says it on standard error and gives the exit code.
    pub fn report(&self, origin: &str) -> ExitCode {
        match self {
            Failure::Usage(status) => {
                complain(format_args!("{origin}: {}", status_text(status)));
                ExitCode::from(2)
            }
            Failure::Failed(status) => {
                complain(format_args!("{origin}: {}", status_text(status)));
                ExitCode::FAILURE
            }
            Failure::Reported | Failure::OutputClosed => ExitCode::FAILURE,
        }
    }

    /// A command line that cannot be understood.
    #[cold]
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage(Status::new(Code::InvalidArgument, message.into()))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Failed(status)
    }
}

/// For standard output only; errors of other files are worded where the file is known.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::OutputClosed;
        }
        // What could not be turned into text in the first place travels inside (see `text_sink.rs`).
        Failure::Failed(error.downcast::<Status>().unwrap_or_else(|error| {
            let reason = reason_text(&error);
            status!(Unavailable, "cannot write to standard output: {reason}")
        }))
    }
}

/// A status as it is printed: on one line, except for the stack of the program, whose frames have lines of their own.
///
/// Messages repeat what users and modules wrote. Control characters in it would break the line or the terminal.
pub fn status_text(status: &Status) -> String {
    let mut text = status.code().to_string();
    let message = status.message();
    if !message.is_empty() {
        text.push_str("; ");
        push_escaped(&mut text, &message, false);
    }
    for step in status.trail() {
        text.push_str("; ");
        push_escaped(&mut text, step, step.starts_with(STACK_START));
    }
    text
}

/// How the step begins that holds a program's stack.
const STACK_START: &str = "\n[";

fn push_escaped(text: &mut String, part: &str, keep_lines: bool) {
    for character in part.chars() {
        if character.is_control() && !(keep_lines && character == '\n') {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

/// One line on standard error. A closed standard error is no reason to fail differently.
pub fn complain(line: fmt::Arguments<'_>) {
    progress::hide();
    let _ = writeln!(io::stderr(), "{line}");
}

/// The status of a failed file operation: `NOT_FOUND; cannot open 'x.npy': No such file or directory`.
#[cold]
pub fn file_status(error: &io::Error, doing: &str, path: &str) -> Status {
    let code = match error.kind() {
        // The user named the wrong thing.
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Code::InvalidArgument,
        _ => io_status(error).code(),
    };
    Status::new(code, format!("cannot {doing} '{path}': {}", reason_text(error)))
}

/// The words of an error: "(os error 2)" helps nobody who sees the words before it.
fn reason_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_wrote_stays_on_one_line() {
        let status = Status::new(Code::NotFound, "no file `a\nb\u{1b}[2J`")
            .while_doing("\n[ 0] bytecode m.f:1 -")
            .while_doing("calling `c\rd`");
        assert_eq!(
            status_text(&status),
            "NOT_FOUND; no file `a\\nb\\u{1b}[2J`; \n[ 0] bytecode m.f:1 -; calling `c\\rd`"
        );
    }
}
