//! `weft check`: choosing tests, running each alone, the report, exit codes.
//!
//! The modules are those of `models/check`; their sources say which tests pass, which fail, and with what words.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::program::{Done, command, finish, run, weft};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/check")
}

fn check(module: &str, more: &[&str]) -> Done {
    let path = format!("--module={}", folder().join(format!("{module}.vmfb")).display());
    let mut arguments = vec!["check", &path];
    arguments.extend(more);
    weft(&arguments)
}

/// What the source of a test module says about its tests.
#[derive(Default)]
struct Directives {
    /// Names with whether they pass, in order.
    tests: Vec<(String, bool)>,
    /// Words that the report of a failing test contains.
    messages: HashMap<String, Vec<String>>,
}

impl Directives {
    fn of(module: &str) -> Directives {
        let path = folder().join(format!("{module}.mlir"));
        let source = fs::read_to_string(path).expect("a test module has a source");
        let mut all = Directives::default();
        for line in source.lines().filter_map(|line| line.strip_prefix("//! ")) {
            match line.split_once(": ") {
                Some(("passes", name)) => all.tests.push((name.to_owned(), true)),
                Some(("fails", name)) => all.tests.push((name.to_owned(), false)),
                Some(("message", text)) => {
                    let (name, _) = all.tests.last().expect("a message belongs to a test");
                    all.messages.entry(name.clone()).or_default().push(text.to_owned());
                }
                _ => {}
            }
        }
        all
    }
}

/// The part of a report between the line that starts a test and the line that ends it.
fn section<'a>(out: &'a str, module: &str, name: &str) -> (&'a str, bool) {
    let start = format!("[ RUN      ] {module}.{name}\n");
    let (_, rest) = out.split_once(&start).unwrap_or_else(|| panic!("{name} did not run: {out}"));
    for (tag, passed) in [("[       OK ]", true), ("[  FAILED  ]", false)] {
        let end = format!("{tag} {module}.{name} (");
        if let Some((text, _)) = rest.split_once(&end).filter(|(text, _)| !text.contains("[ RUN")) {
            return (text, passed);
        }
    }
    panic!("{name} did not end: {out}");
}

/// [hal-module 62] One test an export, in order; failures and their words; the rest still runs; the summary counts.
#[test]
fn every_export_is_a_test_and_failures_do_not_stop_the_rest() {
    for module in ["passing", "failing", "fresh_state"] {
        let Directives { tests, messages } = Directives::of(module);
        let failing = tests.iter().filter(|(_, passes)| !passes).count();
        let done = check(module, &[]);
        assert_eq!(done.code, Some(i32::from(failing > 0)), "{}{}", done.out, done.err);
        for (name, passes) in &tests {
            let (text, passed) = section(&done.out, module, name);
            assert_eq!(passed, *passes, "{name}: {text}");
            assert_eq!(text.is_empty(), *passes, "{name}: {text}");
            for message in messages.get(name).into_iter().flatten() {
                assert!(text.contains(message), "{name}: `{message}` is missing in {text}");
            }
        }
        assert_eq!(done.out.matches("[ RUN      ]").count(), tests.len());
        let passing = tests.len() - failing;
        let plural = if passing == 1 { "" } else { "s" };
        assert!(done.out.contains(&format!("[  PASSED  ] {passing} test{plural}.\n")), "{}", done.out);
    }
}

/// [hal-module 62] Skipped names do not run: `__init` is no test.
#[test]
fn details_of_the_compiler_are_no_tests() {
    let listed = check("fresh_state", &["--gtest_list_tests"]).success();
    assert_eq!(listed, "fresh_state.\n  first\n  second\n");
}

/// [hal-module 62] Filters choose, leave out, and may choose nothing.
#[test]
fn filters_choose_tests() {
    let out = check("failing", &["--gtest_filter=*.between_failures"]).success();
    assert!(out.starts_with("Note: Google Test filter = *.between_failures\n"));
    assert!(out.contains("[==========] 1 test from 1 test suite ran."));
    let out = check("failing", &["--gtest_filter=failing.*-*almost*:*true*:*false*:*equal*:*two*:*assert*"]);
    assert!(out.success().contains("Running 1 test from 1 test suite."));
    let out = check("failing", &["--gtest_filter=nothing"]).success();
    assert!(out.contains("No tests were run"));
    let out = check("fresh_state", &["--gtest_repeat=3", "--gtest_print_time=0"]).success();
    assert_eq!(out.matches("[       OK ] fresh_state.first\n").count(), 3);
    let out = check("failing", &["--gtest_brief", "--gtest_filter=*two_failures:*between*"]);
    assert!(!out.out.contains("[ RUN      ]") && out.out.contains("[  FAILED  ] failing.two_failures"));
}

/// [hal-module 62] The verdict can be turned round; what went wrong before any test is never expected.
#[test]
fn the_verdict_can_be_turned_round() {
    let done = check("failing", &["--expect_failure"]);
    assert!(done.success().ends_with("Test failed as expected\n"));
    let done = check("passing", &["--expect_failure"]);
    assert_eq!(done.code, Some(1));
    assert!(done.out.ends_with("Test passed but expected failure\n"));
    for flags in [&[][..], &["--expect_failure"]] {
        let done = check("with_arguments", flags).failure(1, "INVALID_ARGUMENT");
        assert_eq!(done.out, "Test failed\n");
        let done = check("nothing_there", flags).failure(1, "NOT_FOUND");
        assert_eq!(done.out, "Test failed\n");
    }
    let out = check("no_tests", &[]).success();
    assert!(out.contains("Running 0 tests from 0 test suites.") && out.contains("No tests were run"));
}

/// [hal-module 63] Run as an ordinary program, a test module skips its expectations.
#[test]
fn without_the_check_module_expectations_are_skipped() {
    let path = format!("--module={}", folder().join("failing.vmfb").display());
    for name in ["true_of_zero", "equal_contents", "almost_equal_f32"] {
        let out = weft(&["run", &path, &format!("--function={name}")]).success();
        assert_eq!(out, format!("EXEC @{name}\n"));
    }
    weft(&["run", &path, "--function=assertion"]).failure(1, "FAILED_PRECONDITION; this test stops here");
    assert!(run("tool_values", "fail", &["--input=0"]).success().ends_with("i32=0\n"));
}

/// Colours are for terminals, unless asked for.
#[test]
fn colours_are_for_terminals() {
    assert!(!check("failing", &[]).out.contains('\x1b'));
    let done = check("failing", &["--gtest_color=yes"]);
    assert!(done.out.contains("\x1b[0;32m[       OK ]\x1b[m") && done.out.contains("\x1b[0;31m[  FAILED  ]"));
    let done = finish(&mut command(&["check"]));
    done.failure(1, "no user module specified");
}
