//! Thousands of connections for a while, and transfers over bad cables: programs of `weft-bench`, which say what they show.

use crate::{Outcome, source};

fn program(name: &str, arguments: &[String]) -> Outcome {
    let mut line = vec!["run", "--release", "--package", "weft-bench", "--bin", name, "--"];
    line.extend(arguments.iter().map(String::as_str));
    source::command("cargo", &line, &[])
}

/// `soak [seconds] [connections] [backend] [seed] [outside]`.
pub fn soak(arguments: &[String]) -> Outcome {
    program("soak", arguments)
}

/// `netns [backend …]`.
pub fn netns(arguments: &[String]) -> Outcome {
    program("netns", arguments)
}
