//! `weft check`: runs a module of compiled tests, in the layout of googletest (`docs/spec/hal-module.md` §12.2).
//!
//! What lives here: choosing tests, running each in a program of its own, the report. What does not: expectations
//! (the module `check` of `weft`).

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

use weft::sync::{Result, bail};
use weft::{CheckLog, Program};

use crate::failure::{Failure, Outcome, status_text};
use crate::flags::Flags;
use crate::setup;

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    if setup::listed_instead(flags)? {
        return Ok(());
    }
    setup::mention_ignored(flags, "weft check");
    let mut out = BufWriter::new(io::stdout().lock());
    let log = CheckLog::default();
    let session = setup::session(flags)?;
    let prepared = setup::program(&session, flags, Some(log.clone()))
        .and_then(|program| Ok((test_names(&program)?, program)));
    let (names, program) = match prepared {
        Ok(prepared) => prepared,
        Err(status) => {
            writeln!(out, "Test failed")?;
            out.flush()?;
            return Err(status.into());
        }
    };
    let suite = program.main_module().name().to_owned();
    let filter = Filter::parse(flags.text("gtest_filter"));
    let chosen: Vec<String> =
        names.into_iter().filter(|name| filter.matches(&format!("{suite}.{name}"))).collect();
    if flags.switch("gtest_list_tests") {
        list(&mut out, &suite, &chosen)?;
        return Ok(out.flush()?);
    }
    let style = Style::from_flags(flags);
    if flags.text("gtest_filter") != "*" {
        writeln!(out, "Note: Google Test filter = {}", flags.text("gtest_filter"))?;
    }
    let mut failed = false;
    for _ in 0..flags.count("gtest_repeat").max(1) {
        let mut run = Run { out: &mut out, style, suite: &suite, program: &program, log: &log };
        failed |= !run.all(&chosen)?;
    }
    verdict(&mut out, flags.switch("expect_failure"), failed)
}

/// What the exit code says, and the words for the inverted case.
fn verdict(out: &mut dyn Write, expect_failure: bool, failed: bool) -> Outcome {
    match (expect_failure, failed) {
        (false, _) => {}
        (true, true) => writeln!(out, "Test failed as expected")?,
        (true, false) => writeln!(out, "Test passed but expected failure")?,
    }
    out.flush()?;
    if failed == expect_failure { Ok(()) } else { Err(Failure::Reported) }
}

/// The exports that are tests, in their order.
fn test_names(program: &Program) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for function in program.functions().filter(weft::Function::is_public) {
        let (arguments, results) = (function.argument_count(), function.signature().results().len());
        if arguments + results > 0 {
            bail!(
                InvalidArgument,
                "expected functions with no inputs or outputs; `{}` has {arguments} inputs and {results} outputs",
                function.name()
            );
        }
        names.push(function.name().to_owned());
    }
    Ok(names)
}

fn list(out: &mut dyn Write, suite: &str, names: &[String]) -> io::Result<()> {
    if !names.is_empty() {
        writeln!(out, "{suite}.")?;
    }
    names.iter().try_for_each(|name| writeln!(out, "  {name}"))
}

/// How the report looks.
#[derive(Clone, Copy)]
struct Style {
    color: bool,
    brief: bool,
    times: bool,
}

impl Style {
    fn from_flags(flags: &Flags) -> Style {
        let color = match flags.text("gtest_color") {
            "yes" => true,
            "no" => false,
            _ => io::stdout().is_terminal(),
        };
        let times = matches!(flags.text("gtest_print_time"), "true" | "1");
        Style { color, brief: flags.switch("gtest_brief"), times }
    }

    fn elapsed(self, time: Duration) -> String {
        if self.times { format!(" ({} ms)", time.as_millis()) } else { String::new() }
    }

    fn elapsed_total(self, time: Duration) -> String {
        if self.times { format!(" ({} ms total)", time.as_millis()) } else { String::new() }
    }
}

/// The ten characters that begin a line of the report.
#[derive(Clone, Copy)]
enum Tag {
    Rule,
    Line,
    Run,
    Ok,
    Passed,
    Failed,
}

impl Tag {
    fn text(self, color: bool) -> String {
        let (text, is_bad) = match self {
            Tag::Rule => ("[==========]", false),
            Tag::Line => ("[----------]", false),
            Tag::Run => ("[ RUN      ]", false),
            Tag::Ok => ("[       OK ]", false),
            Tag::Passed => ("[  PASSED  ]", false),
            Tag::Failed => ("[  FAILED  ]", true),
        };
        match (color, is_bad) {
            (false, _) => text.to_owned(),
            (true, false) => format!("\x1b[0;32m{text}\x1b[m"),
            (true, true) => format!("\x1b[0;31m{text}\x1b[m"),
        }
    }
}

/// One pass over all chosen tests.
struct Run<'a> {
    out: &'a mut dyn Write,
    style: Style,
    suite: &'a str,
    program: &'a Program,
    log: &'a CheckLog,
}

impl Run<'_> {
    /// Runs the tests in order. `true` if all passed.
    fn all(&mut self, names: &[String]) -> Outcome<bool> {
        let suites = usize::from(!names.is_empty());
        let extent = format!("{} from {}", count(names.len(), "test"), count(suites, "test suite"));
        let started = Instant::now();
        self.line(Tag::Rule, &format!("Running {extent}."))?;
        let mut failed = Vec::new();
        if !names.is_empty() {
            let group = format!("{} from {}", count(names.len(), "test"), self.suite);
            self.line(Tag::Line, "Global test environment set-up.")?;
            self.line(Tag::Line, &group)?;
            for name in names {
                if !self.one(name)? {
                    failed.push(name.as_str());
                }
            }
            self.line(Tag::Line, &format!("{group}{}", self.style.elapsed_total(started.elapsed())))?;
            self.blank()?;
            self.line(Tag::Line, "Global test environment tear-down")?;
        }
        let style = Style { brief: false, ..self.style };
        self.style = style;
        self.line(Tag::Rule, &format!("{extent} ran.{}", style.elapsed_total(started.elapsed())))?;
        self.line(Tag::Passed, &format!("{}.", count(names.len() - failed.len(), "test")))?;
        if names.is_empty() {
            writeln!(self.out, "No tests were run: the module exports none that the filter matches.")?;
        }
        if !failed.is_empty() {
            self.line(Tag::Failed, &format!("{}, listed below:", count(failed.len(), "test")))?;
            for name in &failed {
                self.line(Tag::Failed, &format!("{}.{name}", self.suite))?;
            }
            let tests = if failed.len() == 1 { "TEST" } else { "TESTS" };
            writeln!(self.out, "\n{:2} FAILED {tests}", failed.len())?;
        }
        self.out.flush()?;
        Ok(failed.is_empty())
    }

    /// Runs one test in a program of its own, so that no state carries over. `true` if it passed.
    fn one(&mut self, name: &str) -> Outcome<bool> {
        let full_name = format!("{}.{name}", self.suite);
        self.line(Tag::Run, &full_name)?;
        // Should the test take down the process, the log names it.
        self.out.flush()?;
        let started = Instant::now();
        let outcome = self.program.fresh().and_then(|program| program.function(name)?.call::<()>(()));
        let mut messages = self.log.take();
        messages.extend(outcome.err().map(|status| status_text(&status)));
        for message in &messages {
            writeln!(self.out, "Failure\n{message}")?;
        }
        let text = format!("{full_name}{}", self.style.elapsed(started.elapsed()));
        if messages.is_empty() {
            self.line(Tag::Ok, &text)?;
        } else {
            writeln!(self.out, "{} {text}", Tag::Failed.text(self.style.color))?;
        }
        Ok(messages.is_empty())
    }

    fn line(&mut self, tag: Tag, text: &str) -> io::Result<()> {
        match self.style.brief {
            true => Ok(()),
            false => writeln!(self.out, "{} {text}", tag.text(self.style.color)),
        }
    }

    fn blank(&mut self) -> io::Result<()> {
        if self.style.brief { Ok(()) } else { writeln!(self.out) }
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `a*:b?-c`: patterns that choose, then patterns that leave out.
struct Filter<'a> {
    chosen: Vec<&'a str>,
    left_out: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    fn parse(text: &'a str) -> Filter<'a> {
        let (chosen, left_out) = text.split_once('-').unwrap_or((text, ""));
        let chosen = if chosen.is_empty() { "*" } else { chosen };
        let split = |list: &'a str| list.split(':').filter(|pattern| !pattern.is_empty()).collect();
        Filter { chosen: split(chosen), left_out: split(left_out) }
    }

    fn matches(&self, name: &str) -> bool {
        let any = |patterns: &[&str]| {
            patterns.iter().any(|pattern| matches_pattern(pattern.as_bytes(), name.as_bytes()))
        };
        any(&self.chosen) && !any(&self.left_out)
    }
}

/// `*` stands for any text, `?` for one byte. Linear: after a mismatch only the last `*` may give way.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut last_star = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, position));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star, covered)) = last_star else { return false };
                last_star = Some((star, covered + 1));
                at = star + 1;
                position = covered + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [hal-module 62] Which tests a filter chooses.
    #[test]
    fn filters_choose_and_leave_out() {
        for (filter, name, chosen) in [
            ("*", "m.f", true),
            ("", "m.f", true),
            ("m.f", "m.f", true),
            ("m.f", "m.ff", false),
            ("m.*:n.*", "n.g", true),
            ("*-m.f", "m.f", false),
            ("-m.f*", "m.g", true),
            ("-m.f*", "m.f2", false),
            ("m.?", "m.f", true),
            ("m.?", "m.", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("********x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaay", false),
        ] {
            assert_eq!(Filter::parse(filter).matches(name), chosen, "{filter} {name}");
        }
    }
}
