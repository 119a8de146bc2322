//! Tests in processes of their own: this test program again, told to run one test alone.
//!
//! What lives here: how a child is started, and how it knows that it is one. What does not: what children do.

use std::ffi::OsStr;
use std::process::Command;

use weft_io::BACKEND_VARIABLE;

/// Says to a child which test it is.
const CHILD: &str = "WEFT_CTS_CHILD";

/// This test program, told to run this test as a child.
pub fn child_of(test: &str) -> Command {
    let program = std::env::current_exe().expect("the program knows its path");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, test).env_remove(BACKEND_VARIABLE);
    command
}

/// Runs `body` in a process of its own. What it says was told is shown.
pub fn in_child(test: &str, environment: &[(&str, &OsStr)], body: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|name| name == test) {
        return body();
    }
    let output = child_of(test).envs(environment.iter().copied()).output().expect("the child starts");
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}: {}{}", output.status, told[0], told[1]);
    told.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("told: ")).for_each(|line| {
        println!("{line}");
    });
}
