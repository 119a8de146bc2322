//! Flags, flag files, help and what is said about mistakes.

use crate::program::{Folder, run, weft};

/// [hal-module 74] The last occurrence of a flag wins; booleans need no value.
#[test]
fn later_flags_override_earlier_ones() {
    let limited = |more: &[&str]| {
        let mut flags = vec!["--input=8xi32=1 2 3 4 5 6 7 8"];
        flags.extend(more);
        run("tool_values", "echo", &flags).success()
    };
    assert!(
        limited(&["--output_max_element_count=1", "--output_max_element_count=2"]).ends_with("=1 2...\n")
    );
    assert!(limited(&["--print_statistics", "--print_statistics=false"]).ends_with("8\n"));
}

/// [hal-module 74] A flag file is spliced where it stands; blank lines, comments and quotes are understood.
#[test]
fn flag_files_are_spliced_where_they_stand() {
    let folder = Folder::new();
    let inner = folder.file("inner.flags", "--output_max_element_count=3\n");
    let text = format!(
        "# a comment\r\n\n  --module=tool_values.vmfb  \n--function=\"echo\"\n--input=\"4xi32=1 2 3 4\"\n--flagfile={inner}\n"
    );
    let outer = folder.file("outer.flags", text);
    let flag = format!("--flagfile={outer}");
    assert!(weft(&["run", &flag]).success().ends_with("4xi32=1 2 3...\n"));
    assert!(weft(&["run", &flag, "--output_max_element_count=1"]).success().ends_with("4xi32=1...\n"));
    assert!(weft(&["run", "--output_max_element_count=1", &flag]).success().ends_with("4xi32=1 2 3...\n"));
}

/// [hal-module 74] What is wrong in a flag file is reported with file and line; a file that names itself ends.
#[test]
fn mistakes_in_flag_files_are_found() {
    let folder = Folder::new();
    for (text, expected) in [
        ("--module=a.vmfb\nword\n", ":2: a flag file holds one --flag a line"),
        ("\n--bogus\n", ":2"),
        ("--output_max_element_count=x", "expected a whole number"),
    ] {
        let path = folder.file("bad.flags", text);
        weft(&["run", &format!("--flagfile={path}")]).failure(2, expected);
    }
    let path = folder.path("self.flags");
    folder.file("self.flags", format!("--flagfile={path}\n"));
    weft(&["run", &format!("--flagfile={path}")]).failure(2, "does one name itself?");
    weft(&["run", "--flagfile=/nonexistent/x.flags"]).failure(2, "NOT_FOUND");
}

/// [hal-module 74] An unknown flag is an error that helps; a value as the next word is refused.
#[test]
fn unknown_flags_get_a_suggestion() {
    weft(&["run", "--bogus"]).failure(2, "INVALID_ARGUMENT; flag 'bogus' not recognized");
    weft(&["run", "--modul=x"]).failure(2, "did you mean --module?");
    weft(&["run", "--input", "4xf32"]).failure(2, "flag 'input' needs a value in the same word: --input=");
    weft(&["run", "-module=x"]).failure(2, "did you mean --module=x?");
    weft(&["dump", "--task_topology_group_count=1"]).failure(2, "local-task");
    weft(&["run", "--print_statistics=maybe"]).failure(2, "expected true or false");
    weft(&["run", "--equality_mode=foo"]).failure(2, "expected one of approximate, exact");
    weft(&["run", "--module_mode=foo"]).failure(2, "expected one of preload, mmap");
    weft(&["rnu"]).failure(2, "did you mean weft run?");
    weft(&["frobnicate"]).failure(2, "expected one of run, bench, check, dump, devices");
    weft(&["--module=x"]).failure(2, "comes before any command");
}

/// [hal-module 74] Help of every command is a flag file of defaults, and printing it runs nothing.
#[test]
fn help_is_a_flag_file() {
    let folder = Folder::new();
    for command in ["run", "bench", "check", "dump", "devices"] {
        let help = weft(&[command, "--help"]).success();
        assert!(help.contains("# usage: weft "), "{help}");
        assert_eq!(help, weft(&["help", command]).success());
        assert!(help.lines().all(|line| line.is_empty() || line.starts_with('#') || line.starts_with("--")));
        assert!(help.lines().all(|line| line.chars().count() <= 110), "help fits a terminal");
    }
    let help = weft(&["run", "--module=/nonexistent.vmfb", "--help"]).success();
    assert!(help.starts_with("# weft run"), "help is printed instead of running");
    let path = folder.file("defaults.flags", weft(&["run", "--help"]).success());
    let flags = ["--input=2xf32=1 2", &format!("--flagfile={path}")];
    // The file sets --function="" last, so the function must come after it.
    let done = weft(&["run", "--module=tool_values.vmfb", flags[0], flags[1], "--function=echo"]);
    assert!(done.success().ends_with("2xf32=1 2\n"));
}

/// Asking for nothing shows the way and tells scripts that nothing was done.
#[test]
fn the_overview_lists_every_command() {
    for words in [&["--help"][..], &["help"], &["-h"]] {
        let help = weft(words).success();
        for command in ["run", "bench", "check", "dump", "devices", "exit codes"] {
            assert!(help.contains(command), "{command} is missing in {help}");
        }
    }
    let done = weft(&[]).failure(2, "no command given");
    assert!(done.out.contains("usage: weft <command>"));
    assert!(weft(&["version"]).success().starts_with("weft "));
    weft(&["help", "rum"]).failure(2, "did you mean weft run?");
}

/// Words that are no flags are ignored, as by the reference, but not silently.
#[test]
fn stray_words_are_mentioned() {
    let done = run("tool_values", "fail", &["--input=0", "stray"]);
    assert!(done.err.contains("ignored 'stray'"), "{}", done.err);
    done.success();
    let done = run("tool_values", "fail", &["--input=0", "--trace_execution"]);
    assert!(done.err.contains("this build does not trace"), "{}", done.err);
    done.success();
    assert_eq!(run("tool_values", "fail", &["--input=0", "--trace_execution=false"]).err, "");
}
